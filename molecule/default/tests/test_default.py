# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the site left behind: an endpoint that answers those who have the key, and its proof."""

from __future__ import annotations

import json
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

KEY = "molecule-endpoint-key"
TOKEN = "hf_molecule"
STATE = "/var/lib/hgx-inference"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(host: Host, path: str, body: dict[str, Any] | None = None, key: str = "") -> tuple[int, dict[str, Any]]:
    """Return status and body of the server's answer. Without C(key) the shell reads it, since sudo logs the command."""
    key = key or f"$(cat {STATE}/vllm/secrets/vllm_api_key)"
    data = f"-H 'Content-Type: application/json' -d '{json.dumps(body)}'" if body else ""
    address = f"http://127.0.0.1:8001{path}"
    text = host.check_output(f"curl -s -w '\\n%{{http_code}}' -H \"Authorization: Bearer {key}\" {data} {address}")
    content, _newline, status = text.rpartition("\n")
    return int(status), json.loads(content)


def chat(host: Host, content: str, **further: Any) -> dict[str, Any]:
    body = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": content}], "max_tokens": 64, **further}
    status, answer = ask(host, "/v1/chat/completions", body)
    assert status == 200, answer
    message: dict[str, Any] = answer["choices"][0]["message"]
    return message


def test_engine(host: Host) -> None:
    service = host.service("docker")
    assert service.is_running
    assert service.is_enabled


def test_models(host: Host) -> None:
    status, models = ask(host, "/v1/models")
    assert status == 200
    assert [model["id"] for model in models["data"]] == ["kimi-k2.6"]


def test_a_wrong_key_is_refused(host: Host) -> None:
    assert ask(host, "/v1/models", key="wrong")[0] == 401


def test_thinking_and_answer(host: Host) -> None:
    message = chat(host, "Hello")
    assert message["reasoning"] == "The user greets me, so I will answer briefly."
    assert message["content"].startswith("Hello from a tiny Kimi-shaped model")


def test_instant_mode_does_not_think(host: Host) -> None:
    message = chat(host, "Hello", chat_template_kwargs={"thinking": False})
    assert not message["reasoning"]
    assert message["content"].startswith("Hello from a tiny Kimi-shaped model")


def test_tool_call(host: Host) -> None:
    (call,) = chat(host, "What is the weather in Paris?", tools=[TOOL])["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}


def test_container(host: Host) -> None:
    (details,) = json.loads(host.check_output("docker inspect vllm"))
    assert details["State"]["Health"]["Status"] in ("starting", "healthy")
    assert details["HostConfig"]["PortBindings"] == {"8001/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8001"}]}
    assert details["Config"]["Image"].startswith("hgx-inference/vllm-cpu:0.32.0-")
    assert "HF_HUB_OFFLINE=1" in details["Config"]["Env"]


def test_secrets_are_nowhere_but_in_their_file(host: Host) -> None:
    key_file = host.file(f"{STATE}/vllm/secrets/vllm_api_key")
    assert key_file.mode == 0o600
    assert key_file.user == "root"
    key, token = (f"{secret[:4]}''{secret[4:]}" for secret in (KEY, TOKEN))  # sudo logs this command
    found = host.run(f"grep -rlFe {key} -e {token} {STATE} /var/lib/huggingface /var/lib/docker/containers /var/log")
    assert found.stdout.split() == [key_file.path]


def test_weights_are_in_the_standard_cache(host: Host) -> None:
    hub = host.file("/var/lib/huggingface/hub")
    assert {"models--moonshotai--Kimi-K2.6", "models--lightseekorg--kimi-k2.6-eagle3"} <= set(hub.listdir())


def test_the_server_runs_the_commits_of_the_cache(host: Host) -> None:
    (details,) = json.loads(host.check_output("docker inspect vllm"))
    words = details["Config"]["Cmd"]
    recorded = "/var/lib/huggingface/hub/models--{}/refs/main"
    model = host.file(recorded.format("moonshotai--Kimi-K2.6")).content_string
    draft = host.file(recorded.format("lightseekorg--kimi-k2.6-eagle3")).content_string
    for option in ("--revision", "--tokenizer-revision", "--code-revision"):
        assert words[words.index(option) + 1] == model
    assert json.loads(words[words.index("--speculative-config") + 1])["revision"] == draft


def test_the_answers_are_those_that_clients_expect(host: Host) -> None:
    kept = json.loads(host.file(f"{STATE}/results/.functional.json").content_string)["findings"]
    assert kept["verdict"] == "pass"
    assert {check["status"] for check in kept["checks"]} == {"pass"}
    assert len(kept["checks"]) == 18


def test_the_draft_is_accepted_on_real_text(host: Host) -> None:
    kept = json.loads(host.file(f"{STATE}/results/.real_text.json").content_string)["findings"]
    assert kept["acceptance_length"] > 3.9
    assert [entry["name"] for entry in kept["sets"]] == ["code", "prose"]


@pytest.fixture(scope="module")
def client() -> Host:
    return testinfra.get_host("docker://hgx-molecule-client")


def test_the_clients_files_are_their_owners(client: Host) -> None:
    folder = "/root/.config/hgx-inference"
    for path in ("/root/.claude/settings.json", f"{folder}/claude_code.env", f"{folder}/openai.env"):
        assert client.file(path).mode == 0o600
    environment = json.loads(client.file("/root/.claude/settings.json").content_string)["env"]
    assert environment["ANTHROPIC_AUTH_TOKEN"] == KEY
    assert environment["ANTHROPIC_API_KEY"] == ""


def test_a_shell_with_these_files_alone_calls_a_tool_through_the_tunnel(client: Host) -> None:
    tool = {"name": "get_weather", "description": "The weather", "input_schema": TOOL["function"]["parameters"]}
    body = {
        "model": "kimi-k2.6",
        "max_tokens": 64,
        "stream": True,
        "tools": [tool],
        "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
    }
    streamed = client.check_output(
        ". /root/.config/hgx-inference/claude_code.env && curl -sN $ANTHROPIC_BASE_URL/v1/messages"
        " -H 'anthropic-version: 2023-06-01' -H 'Content-Type: application/json'"
        f" -H \"Authorization: Bearer $ANTHROPIC_AUTH_TOKEN\" -d '{json.dumps(body)}'"
    )
    assert r'"partial_json":"{\"city\": \"Paris\"}"' in streamed
    assert streamed.rstrip().endswith('data: {"type":"message_stop"}')


def test_result_is_a_pass(host: Host) -> None:
    result = json.loads(host.file(f"{STATE}/results/latest.json").content_string)
    assert result["verdict"] in ("pass", "warn")  # it looks odd on a busy machine
    assert result["metrics"]["completed"] == 8
    assert result["ended"]["early"], "two waves are enough, even on a busy machine: the limit is far away"
    assert result["metrics"]["acceptance_length"] > 3.9
