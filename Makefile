# hgx.inference: `make` lists the targets. Each target works from a fresh clone, because it sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

INVENTORY ?= inventories/lambda
READY := .venv/.ready
# Unit tests run side by side, more than there are cores, because many of them wait for a process or a timer.
SIDE_BY_SIDE := --numprocesses=$(shell expr $$(nproc) + 1) --dist=worksteal
# Empty if this user gets root without a password.
ASK_SUDO = $(shell [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null || echo --ask-become-pass)

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# What Python compiles is kept, apart from the sources and even where the environment says otherwise: the tests start it thousands of times.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/pyc

help: ## List the targets
	@awk -F ':.*## ' '/^##@/ { print substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

##@ Use
demo: setup ## Run the whole site on this machine without a GPU: model, hub, vLLM (VLLM_VERSION), benchmark, verdict
	@ansible-playbook demo/prepare.yml site.yml -i inventories/local $(if $(VLLM_VERSION),-e demo_version=$(VLLM_VERSION)) $(ASK_SUDO)

demo-down: setup ## Stop the demo, keep its image and weights
	@ansible-playbook demo/teardown.yml -i inventories/local $(ASK_SUDO)

plan: setup ## Print what INVENTORY would serve, and whether it fits HARDWARE (8xB200); FORMAT=docker prints a docker command; contacts no host
	@ansible-playbook playbooks/plan.yml -i $(INVENTORY) $(if $(FORMAT),-e vllm_plan_format=$(FORMAT)) $(if $(HARDWARE),-e vllm_plan_hardware=$(HARDWARE)) \
	  $(if $(RECIPE),-e recipe_file=$(RECIPE))

##@ Develop
setup: $(READY) ## Create .venv with the development tools

# A Python counts only if it really runs: version managers leave commands on PATH that answer 127.
# uv installs the pinned tools, because pip takes minutes for them.
$(READY): requirements/dev.txt
	@find_python() {
	  local version candidate
	  for version in 3.12 3.13 3.14 3.11; do
	    for candidate in $(PYTHON) python$$version /usr/bin/python$$version \
	        "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/$$version.*/bin/python3; do
	      if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	        type -P "$$candidate"
	        return
	      fi
	    done
	  done
	  return 1
	}
	apt_install() {
	  local sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo
	  command -v apt-get >/dev/null || { echo >&2 "make setup: install $$*, then try again"; exit 1; }
	  $$sudo apt-get update -qq
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$$@" >/dev/null
	}
	python=$$(find_python) || {
	  apt_install python3 python3-venv
	  python=$$(find_python) || { echo >&2 "make setup: no Python >= 3.11 here (or name one: make setup PYTHON=...)"; exit 1; }
	}
	"$$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install "python$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
	if ! .venv/bin/python -c '' 2>/dev/null; then
	  echo "make setup: .venv with $$("$$python" --version)"
	  "$$python" -m venv --clear .venv
	fi
	grep '^uv==' requirements/dev.txt | .venv/bin/python -m pip install --quiet --disable-pip-version-check -r /dev/stdin
	.venv/bin/uv pip sync --quiet --system-certs --python .venv/bin/python requirements/dev.txt
	mkdir -p .cache  # as this user, before the demo needs it as root
	touch $@

requirements: setup .cache/venv/node/.ready ## Pin the newest tools in requirements/, and with hashes what the role hf_cache installs
	@for each in dev docs importer node; do
	  uv pip compile --quiet --universal --python-version 3.11 --no-header --upgrade -o requirements/$$each.txt requirements/$$each.in
	done
	(cd roles/hf_cache/files
	  uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --upgrade requirements.in \
	    | sed 's/^huggingface-hub/huggingface_hub/' >requirements.new
	  mv requirements.new requirements.txt)
	export PATH=$(CURDIR)/.cache/venv/node/bin:$$PATH
	cd requirements
	npm install --package-lock-only --ignore-scripts --save-exact --omit-lockfile-registry-resolved @anthropic-ai/claude-code@latest

# Tools that cannot share .venv get their own environments.
.cache/venv/%/.ready: requirements/%.txt | $(READY)
	@uv venv --quiet --clear --python .venv/bin/python .cache/venv/$*
	uv pip sync --quiet --system-certs --python .cache/venv/$*/bin/python requirements/$*.txt
	touch $@

##@ Check
check: setup ## Run linters and quick unit tests side by side, under 3 minutes
	@$(MAKE) --jobs=2 --output-sync=target lint unit

lint: setup ## Run ruff, mypy, yamllint, ansible-lint
	@ruff check
	ruff format --check
	mypy
	yamllint --strict .
	python tests/ansible_lint.py --offline
	antsibull-changelog lint

unit: setup ## Run the unit tests, without the slow ones
	@pytest $(SIDE_BY_SIDE) -m 'not slow'

unit-all: setup ## Run all unit tests
	@pytest $(SIDE_BY_SIDE) --durations=20 tests/unit

fuzz: setup ## Try the readers of foreign data with much more, and other, data than the unit tests do; 10 minutes
	@FUZZ_TIMES=$(or $(FUZZ_TIMES),100) pytest $(SIDE_BY_SIDE) tests/unit/fuzz tests/unit/plugins -k 'fuzz or Fuzz'

docs: dist .cache/venv/docs/.ready ## Build the documentation into .cache/docs/html and check its links
	@export PATH=$(CURDIR)/.cache/venv/docs/bin:$$PATH
	python -m docs.build dist/hgx-inference-*.tar.gz .cache/docs
	python -m docs.links .cache/docs/html

evidence: setup ## Update README.md from docs/evidence.yml
	@python -m docs.tables

matrix: setup ## Run the site with each version of vLLM (VERSIONS), and record what works in docs/matrix; hours
	@PYTHONPATH=collections python -m ansible_collections.hgx.inference.tests.matrix.run $(VERSIONS)

recipes: setup ## Have the parsers of vLLM read the commands of all recipes, and record the outcome in docs/; 2 minutes
	@python tests/proof/recipe_args.py

dashboards: setup ## Update the Grafana dashboards from docs/dashboards.py
	@PYTHONPATH=collections python -m ansible_collections.hgx.inference.docs.dashboards

schema: setup ## Update recipes/recipe.schema.json from the schema in Python
	@python -m docs.recipe_schema

importer: dist .cache/venv/importer/.ready ## Run the checks of Galaxy's importer
	@tests/importer.sh dist/hgx-inference-*.tar.gz .cache/venv/importer

compat: setup ## Run unit tests and a plan with the oldest supported ansible-core and Python, and with the newest Python
	@tests/compat.sh

sanity: dist ## Run ansible-test sanity on the built collection
	@tests/sanity.sh dist/hgx-inference-*.tar.gz

e2e: setup ## Run the site on this machine with the real vLLM, and with injected faults
	@pytest --durations=20 tests/e2e

molecule: setup ## Run the site and the roles on container hosts with systemd, the real vLLM and stubs of NVIDIA's packages
	@ansible-playbook demo/prepare.yml -i inventories/local $(ASK_SUDO)
	tests/lanes.sh '$(NVIDIA_LANE)' '$(HOST_LANE)' '$(SERVER_LANE) $(NIGHT_LANE)'

# As long as each other. The hosts that run at once are as many as root's 128 inotify instances allow.
NVIDIA_LANE := nvidia_container_toolkit nvidia_driver
HOST_LANE := prepare docker hf_cache preflight gateway default
SERVER_LANE := vllm monitoring
# Two real servers that are replaced under requests need 10 minutes of both cores, one across two hosts 5, and ten
# stand-ins 2: by `make molecule`, not in `make test`.
NIGHT_LANE := fleet span ten_nodes
PACKAGE_LANE := docs importer sanity
DEMO_LANE := tests/e2e/test_clients.py+tests/e2e/test_embedded_default.py tests/e2e/test_versions.py tests/e2e/test_faults.py+tests/e2e/test_sandbox.py tests/e2e/test_lying_server.py

test: setup ## Run all tests, the quick ones first
	@tests/lanes.sh lint unit-all
	ansible-playbook demo/prepare.yml -i inventories/local $(ASK_SUDO)
	tests/lanes.sh '$(NVIDIA_LANE) $(SERVER_LANE)' '$(HOST_LANE)' '$(DEMO_LANE) $(PACKAGE_LANE)'

dist: setup ## Build the collection artifact into dist/
	@rm -f dist/*.tar.gz
	ansible-galaxy collection build --output-path dist

ee: dist ## Build the execution environment, a controller image; needs image registries
	@ansible-builder build --context .cache/ee --tag hgx-inference-ee:latest --container-runtime docker \
	  $(if $(EE_BASE_IMAGE),--build-arg EE_BASE_IMAGE=$(EE_BASE_IMAGE))

clean: ## Remove everything that these targets created: demo, caches, results, environment
	@if [ -e .cache/hgx ]; then
	  $(MAKE) setup
	  ansible-playbook demo/teardown.yml -i inventories/local -e demo_purge=true $(ASK_SUDO)
	fi
	rm -rf .ansible .cache .venv dist results

.PHONY: help demo demo-down plan setup requirements check lint unit unit-all fuzz docs evidence matrix recipes dashboards schema importer compat sanity e2e molecule test dist ee clean
