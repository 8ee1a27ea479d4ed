#!/usr/bin/env bash
# Both ends of what is supported: requirements/dev.txt has the oldest supported ansible-core for Python 3.11, and the newest for newer ones.
set -euo pipefail
cd "$(dirname "$0")/.."
unset LAMBDA_API_KEY

try() { # path of a Python
  local environment
  environment=$PWD/.cache/venv/python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  uv venv --quiet --clear --python "$1" "$environment"
  uv pip sync --quiet --system-certs --python "$environment/bin/python" requirements/dev.txt
  export PATH=$environment/bin:$PATH
  ansible --version | sed -nE '1s/.*core ([^]]*).*/ansible-core \1/p'
  python --version
  pytest --quiet -p no:cacheprovider -m 'not slow'
  for playbook in site playbooks/provision playbooks/release_node; do
    ansible-playbook "$playbook.yml" -i inventories/lambda --syntax-check
  done
  ansible-playbook playbooks/plan.yml -i inventories/lambda >/dev/null
}

# A Python counts only if it really runs: version managers leave commands on PATH that answer 127.
find_python() { # versions, the first that is there
  local version candidate
  for version in "$@"; do
    for candidate in "python$version" "/usr/bin/python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python3; do
      if "$candidate" -c '' 2>/dev/null; then
        type -P "$candidate"
        return
      fi
    done
  done
  echo >&2 "tests/compat.sh: no Python $* here"
  return 1
}

for python in "$(find_python 3.11)" "$(find_python 3.14 3.13 3.12)"; do
  (try "$python")
done
