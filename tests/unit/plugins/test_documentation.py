# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation of the modules, merged with its fragments as ansible-doc does."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.plugins.module_utils._benchmark.spec import THRESHOLD, WORKLOAD
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.spec import FUNCTIONAL, REAL_TEXT
from ansible_collections.hgx.inference.plugins.plugin_utils._documentation import documented as as_documented

ROOT = Path(__file__).parents[3]
MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    """Return the options of the modules that share a schema, by module, as ansible-doc prints them."""
    names = [f"hgx.inference.{name}" for name in ("smoke_benchmark", "vllm_api_check", "vllm_text_probe")]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(["ansible-doc", "--json", *names], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name.rpartition(".")[2]: entry["doc"]["options"] for name, entry in json.loads(done.stdout).items()}


def repeated_keys(text: str) -> list[str]:
    """Return the keys that a mapping of a YAML text has more than once; the last of them would win."""
    found = []
    nodes = [yaml.compose(text, yaml.SafeLoader)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            found += [key for key, times in Counter(key.value for key, _value in node.value).items() if times > 1]
            nodes += [value for _key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_key_is_repeated(path: Path) -> None:
    """ansible-doc only warns, and a repeated extends_documentation_fragment loses the options of the first."""
    blocks = path.read_text(encoding="utf-8").split('r"""\n')[1:]
    assert [key for block in blocks for key in repeated_keys(block.split('"""')[0])] == []


def differences(options: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Return the keys of a schema that options do not document with its default, its description and its keys."""
    found = []
    for name, inner in schema["properties"].items():
        option = options.get(name, {})
        told = (option.get("required", False), option.get("default"), "".join(option.get("description", [])))
        if told != (name in schema["required"], inner.get("default"), inner["description"]):
            found.append(name)
        if inner.get("properties"):
            found += [f"{name}.{each}" for each in differences(option.get("suboptions", {}), inner)]
    return found


@pytest.mark.parametrize(("option", "schema"), [("workload", WORKLOAD), ("thresholds", THRESHOLD)])
def test_the_benchmark_documents_its_schema(documented: dict[str, Any], option: str, schema: dict[str, Any]) -> None:
    suboptions = documented["smoke_benchmark"][option]["suboptions"]
    assert set(suboptions) == set(schema["properties"])
    assert differences(suboptions, schema) == []


@pytest.mark.parametrize(("module", "schema"), [("vllm_api_check", FUNCTIONAL), ("vllm_text_probe", REAL_TEXT)])
def test_a_probe_documents_its_schema(documented: dict[str, Any], module: str, schema: dict[str, Any]) -> None:
    assert differences(documented[module], schema) == []


@pytest.mark.parametrize(("variable", "schema"), [("expected", FUNCTIONAL), ("real_text", REAL_TEXT)])
def test_the_role_has_the_same_schema(variable: str, schema: dict[str, Any]) -> None:
    """The role hands on single keys of these variables, so its own specification must refuse an unknown one."""
    path = ROOT / "roles" / "smoke_benchmark" / "meta" / "argument_specs.yml"
    specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    assert specs[f"smoke_benchmark_{variable}"]["options"] == as_documented(schema, nested="options")
