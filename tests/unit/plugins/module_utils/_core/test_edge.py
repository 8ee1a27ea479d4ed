# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a module or an action returns, no secret that its run knows leaves it; and all of them leave that way."""

from __future__ import annotations

import ast
import base64
import json
from collections.abc import Callable
from inspect import getsource
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._core.edge import Module, at_edge
from ansible_collections.hgx.inference.plugins.module_utils._core.secrets import KNOWN, read_secret

PLUGINS = Path(__file__).parents[5] / "plugins"
KEY, TOKEN, OWN = "key/of+the=file", "token-of-the-environment", 'no_log "option"'
SECRETS = (KEY, TOKEN, OWN)
MODULES = sorted(
    path.name for path in (PLUGINS / "modules").glob("*.py") if "def main" in path.read_text(encoding="utf-8")
)
ACTIONS = sorted(path.name for path in (PLUGINS / "action").glob("*.py"))


@pytest.fixture(autouse=True)
def _as_on_a_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible.module_utils._internal.is_controller", False)


def outcome(
    main: Callable[[], None], args: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> tuple[str, dict[str, Any]]:
    """Return what a module prints, as text and as its result."""
    # Older versions of ansible-core always add the invocation.
    invocation = {"_ansible_inject_invocation": True} if "_ansible_inject_invocation" in getsource(basic) else {}
    with patch_module_args({**args, **invocation}), pytest.raises(SystemExit):
        at_edge(main)()
    text = capsys.readouterr().out
    return text, json.loads(text)


def leaky(end: Callable[[Module, dict[str, Any]], None], key_file: Path) -> Callable[[], None]:
    """Return a module that knows three secrets and puts all forms of them everywhere."""

    def main() -> None:
        module = Module(
            argument_spec={"password": {"type": "str", "no_log": True}, "url": {"type": "str"}},
            supports_check_mode=True,
            data=("recipe",),
        )
        read_secret(str(key_file))
        told = [text for secret in SECRETS for text in (secret, quote(secret, safe=""), json.dumps(secret))]
        told += [base64.b64encode(f"user:{secret}".encode()).decode() for secret in SECRETS]
        module.warn(f"warned of {' '.join(told)}")
        nested = {"list": told, "deep": [{f"name {KEY}": (1, None, True, told)}]}
        end(module, {"diff": {"before": "\n".join(told), "after": nested}, "nested": nested, "recipe": nested})

    return main


def succeed(module: Module, result: dict[str, Any]) -> None:
    module.exit_json(changed=True, **result)


def fail(module: Module, result: dict[str, Any]) -> None:
    module.fail_json(msg=f"it is {' '.join(SECRETS)}", exception=f"Traceback: {SECRETS!r}", **result)


def fail_within(module: Module, result: dict[str, Any]) -> None:
    try:
        raise OSError(f"refused {KEY}")
    except OSError as exc:
        module.fail_json(msg=str(exc), **result)


def crash(module: Module, result: dict[str, Any]) -> None:
    raise KeyError(f"{SECRETS}: {result}")


@pytest.mark.parametrize("end", [succeed, fail, fail_within, crash])
def test_no_form_of_a_secret_leaves_a_module(
    end: Callable[[Module, dict[str, Any]], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    text, result = outcome(leaky(end, key_file), {"password": OWN, "url": f"http://x/?{OWN}"}, capsys)
    for secret in SECRETS:
        for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
            assert form not in text
        for before in ("", "u", "us"):
            assert base64.b64encode(f"{before}{secret}".encode()).decode()[4:-4] not in text
    assert bool(result.get("failed")) is (end is not succeed)
    assert result["invocation"]["module_args"]["password"] == "********"
    if end is crash:
        assert result["msg"].startswith("This is a fault of the module, please report it: KeyError")
    else:
        assert result["nested"]["deep"][0]["name ********"][:3] == [1, None, True]


def test_a_short_secret_leaves_the_result_readable(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        module = Module(argument_spec={"password": {"type": "str", "no_log": True}})
        module.exit_json(msg="a plain sentence about 3 cats", figure=3, on=True)

    for password in ("a", "3", "at", "cat"):
        _text, result = outcome(main, {"password": password}, capsys)
        assert result["msg"] == "a plain sentence about 3 cats"
        assert result["figure"] == 3
        assert result["invocation"]["module_args"]["password"] == "********"


def test_what_a_program_is_given_arrives_though_it_looks_like_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--hf-overrides", '{"eos_token": "</s>"}']

    def main() -> None:
        Module(argument_spec={}, data=("record",)).exit_json(record={"argv": argv}, argv=argv)

    _text, result = outcome(main, {}, capsys)
    assert result["record"]["argv"] == argv
    assert result["argv"] != argv


def test_a_run_does_not_know_the_secrets_of_the_one_before(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        Module(argument_spec={}).exit_json(msg="hunter2hunter2")

    KNOWN.add("hunter2hunter2")
    assert outcome(main, {}, capsys)[1]["msg"] == "hunter2hunter2"


def test_wrong_options_are_told_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        spec = {"password": {"type": "str", "no_log": True}, "state": {"type": "str", "choices": ["on", "off"]}}
        Module(argument_spec=spec)

    _text, result = outcome(main, {"password": "hunter2hunter2", "state": "hunter2hunter2"}, capsys)
    assert result["failed"]
    assert "hunter2" not in json.dumps(result)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_leaves_through_the_edge(name: str) -> None:
    tree = ast.parse((PLUGINS / "modules" / name).read_text(encoding="utf-8"))
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    assert [ast.unparse(decorator) for decorator in main.decorator_list] == ["at_edge"]
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert "Module" in called
    assert not called & {"AnsibleModule", "print", "sys.stdout.write", "sys.exit", "exit"}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert {"Module", "at_edge"} <= imported
    assert "AnsibleModule" not in imported


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_leaves_through_the_edge(name: str) -> None:
    tree = ast.parse((PLUGINS / "action" / name).read_text(encoding="utf-8"))
    plugin = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ActionModule")
    assert {ast.unparse(base) for base in plugin.bases} <= {"EdgeActionBase", "ProgressActionBase"}
    assert "run" not in {node.name for node in plugin.body if isinstance(node, ast.FunctionDef)}


def test_nothing_else_ends_a_module() -> None:
    """Only the edge may make an AnsibleModule, so nothing below can print a result by itself."""
    users = [
        str(path.relative_to(PLUGINS))
        for path in sorted(PLUGINS.rglob("*.py"))
        if "import AnsibleModule" in path.read_text(encoding="utf-8")
    ]
    assert users == ["module_utils/_core/edge.py"]
