# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles that talk to an endpoint, against a stand-in for one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.spec import endpoint, read_server
from ansible_collections.hgx.inference.tests.support import ansible_command
from ansible_collections.hgx.inference.tests.support.inference_server import KEY, MODEL, InferenceServer, serving

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def play(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["ansible-playbook", "-i", "inventories/local", *arguments]
    done = ansible_command.run(command, {**os.environ, **environment})
    done.stdout += done.stderr
    return done


def write(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("connection", "bind", "address", "has_tunnel"),
    [
        ("ssh", "127.0.0.1", "127.0.0.1:8001", True),
        ("ssh", "0.0.0.0", "203.0.113.7:8001", False),
        ("ssh", "10.0.0.5", "10.0.0.5:8001", False),
        ("local", "0.0.0.0", "127.0.0.1:8001", False),
    ],
)
def test_the_next_steps_name_an_address_that_is_reached_from_here(
    connection: str, bind: str, address: str, has_tunnel: bool
) -> None:
    server = read_server(["--model", MODEL], [f"{bind}:8001:8001"])
    known = {
        "__vllm_spec": endpoint(server),
        "ansible_connection": connection,
        "ansible_host": "203.0.113.7",
        "inventory_hostname": "node",
        "vllm_bind_address": bind,
        "vllm_port": 8001,
        "vllm_served_model_name": MODEL,
    }
    text = jinja2.Template((ROOT / "roles/vllm/templates/next_steps.txt.j2").read_text()).render(known)
    assert f"curl -s http://{address}/v1/chat/completions" in text
    assert ("ssh -N -o ExitOnForwardFailure=yes -L 8001:127.0.0.1:8001 ubuntu@203.0.113.7" in text) is has_tunnel


def test_all_failed_checks_come_in_one_message_and_stay_a_fact(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    expected = {"answer": "Paris", "skip": {"thinking": "It is simple-minded."}}
    tasks = [{"ansible.builtin.include_role": {"name": "hgx.inference.smoke_benchmark", "tasks_from": "functional"}}]
    show = [{"ansible.builtin.debug": {"msg": "kept: {{ smoke_benchmark_functional.verdict }}"}}]
    playbook = write(
        tmp_path / "play.json", [{"hosts": "all", "gather_facts": False, "tasks": [{"block": tasks, "always": show}]}]
    )
    with serving(KEY, "blind", "no_messages") as server:
        settings = {
            "smoke_benchmark_endpoint": server.base_url,
            "smoke_benchmark_api_key_file": str(tmp_path / "key"),
            "smoke_benchmark_served_model_name": MODEL,
            "smoke_benchmark_expected": expected,
            "smoke_benchmark_functional_checks": ["chat", "thinking", "image", "count_tokens"],
            "smoke_benchmark_results_dir": str(tmp_path),
        }
        done = play(playbook, "-e", json.dumps(settings))
    assert done.returncode == 2, done.stdout
    assert "FAIL: 2 pass, 2 fail, 1 skipped of 5 functional checks" in done.stdout
    assert "It does not see that the picture is red" in done.stdout
    assert "It is simple-minded." in done.stdout
    assert "kept: fail" in done.stdout


def set_up_client(server: InferenceServer, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "llm_client_base_url": server.base_url,
        "llm_client_claude_code_settings": str(folder / "claude" / "settings.json"),
        "llm_client_env_dir": str(folder / "env"),
    }
    return play("playbooks/clients.yml", "-e", json.dumps(settings), *arguments, VLLM_API_KEY=KEY)


def test_a_clients_settings_are_merged_and_the_key_is_in_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "claude").mkdir()
    (tmp_path / "claude").chmod(0o755)
    (tmp_path / "dotfiles").mkdir()
    file = tmp_path / "dotfiles" / "claude.json"
    link = tmp_path / "claude" / "settings.json"
    link.symlink_to("../dotfiles/claude.json")
    write(file, {"theme": "dark {{ x }}", "env": {"EDITOR": "vi", "ANTHROPIC_API_KEY": "sk-other"}})
    program = tmp_path / "claude-code" / "claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '2.1.300 (Claude Code)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    with serving(KEY, "no_system_role") as server:
        plan = set_up_client(server, tmp_path, "--check", "--diff")
        assert server.requests == []
        done = set_up_client(server, tmp_path, "--diff", "-vvv")
    for run in (plan, done):
        assert run.returncode == 0, run.stdout
        assert "changed=4 " in run.stdout
        assert KEY not in run.stdout
        assert "sk-other" not in run.stdout
    said = " ".join(done.stdout.split())
    assert "so at each turn of a coding agent the whole conversation is processed again" in said
    assert "WARNING: Claude Code 2.1.300 on localhost and vLLM 0.19.1 on localhost cannot work together." in said
    settings = json.loads(file.read_text(encoding="utf-8"))
    assert settings["theme"] == "dark {{ x }}"
    assert settings["env"]["EDITOR"] == "vi"
    assert settings["env"]["ANTHROPIC_API_KEY"] == ""
    assert settings["env"]["ANTHROPIC_AUTH_TOKEN"] == KEY
    assert settings["env"]["ANTHROPIC_SMALL_FAST_MODEL"] == MODEL
    files = [file, *(tmp_path / "env").iterdir()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600] * 3
    assert link.is_symlink()
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("claude", "env")] == [0o755, 0o700]
    (backup,) = (tmp_path / "dotfiles").glob("claude.json.*")
    assert "sk-other" in backup.read_text(encoding="utf-8")


OUTCOMES = {
    "2.1.153": "2.1.153 on node and vLLM 0.19.1 on server work together, because this client sends no message of the",
    "2.1.154": "WARNING: Claude Code 2.1.154 on node and vLLM 0.19.1 on server cannot work together.",
    "2.1.309": "Install Claude Code 2.1.310 or newer, of which one request in each conversation fails and is repeated,"
    " or serve with vLLM 0.23.0 or newer (recipe_profile=coding if the recipe has it).",
    "2.1.310": "node and vLLM 0.19.1 on server work together, but one request in each conversation fails with HTTP 400",
    "3.0.0": "To avoid that, serve with vLLM 0.23.0 or newer (recipe_profile=coding if the recipe has it).",
}


def test_each_version_of_claude_code_is_judged(tmp_path: Path) -> None:
    known = {
        "llm_client_server": "server",
        "inventory_hostname": "node",
        "__llm_client_claude_code": {"server": {"version": "0.19.1"}},
        "__llm_client_found": {"stdout": "{{ item }} (Claude Code)"},
    }
    shown = {"ansible.builtin.debug": {"msg": "{{ __llm_client_compatibility }}"}, "loop": list(OUTCOMES)}
    one = {
        "hosts": "all",
        "gather_facts": False,
        "vars": known,
        "vars_files": [str(ROOT / "roles/llm_client/vars/claude_code.yml")],
        "tasks": [shown],
    }
    done = play(write(tmp_path / "play.json", [one]))
    said = " ".join(done.stdout.split())
    for version, words in OUTCOMES.items():
        assert words in said, (version, said)


def test_settings_that_cannot_be_merged_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "claude").mkdir()
    (tmp_path / "claude" / "settings.json").write_text("{oops")
    with serving() as server:
        done = set_up_client(server, tmp_path)
    assert done.returncode == 2
    assert "Nothing was changed: fix the file or move it away." in " ".join(done.stdout.split())
    assert (tmp_path / "claude" / "settings.json").read_text() == "{oops"


def test_claude_code_must_know_its_model(tmp_path: Path) -> None:
    with serving() as server:
        done = set_up_client(server, tmp_path, "-e", '{"llm_client_claude_code_env": {}}')
    assert done.returncode == 2
    assert "set ANTHROPIC_MODEL" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_tunnel_to_another_server_is_noticed(tmp_path: Path) -> None:
    """Two starts of a server differ, though their models have the same name."""
    playbook = write(
        tmp_path / "play.json",
        [
            {
                "hosts": "all",
                "gather_facts": False,
                "vars": {"llm_client_server": "{{ inventory_hostname }}", "llm_client_served_model_name": MODEL},
                "tasks": [
                    {"ansible.builtin.include_role": {"name": "hgx.inference.llm_client", "tasks_from": "tunnel"}}
                ],
            }
        ],
    )

    def check(server: InferenceServer) -> subprocess.CompletedProcess[str]:
        settings = {"vllm_port": server.server_port, "vllm_bind_address": server.server_address[0]}
        return play(playbook, "-e", json.dumps(settings), VLLM_API_KEY=KEY)

    with serving() as server:
        opened = check(server)
    with serving(KEY, "no_metrics") as server:
        unsure = check(server)
    assert opened.returncode == unsure.returncode == 0, opened.stdout + unsure.stdout
    assert "is not proven that" not in opened.stdout
    assert "so it is not proven that" in " ".join(unsure.stdout.split())
    # Here the same port of another loopback address is the node.
    with serving(host="127.0.0.2") as server:
        closed = check(server)
        with serving(host="127.0.0.1", port=server.server_port):
            astray = check(server)
    assert closed.returncode == astray.returncode == 2
    tunnel = f"ssh -N -o ExitOnForwardFailure=yes -L {server.server_port}:127.0.0.1:{server.server_port}"
    assert f"Open it with: {tunnel}" in closed.stdout
    told = " ".join(astray.stdout.split()).replace("''", "'")  # quoted as in YAML
    assert "leads to another server than localhost's" in told
