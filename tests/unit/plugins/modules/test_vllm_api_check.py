# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module vllm_api_check against a server that can do everything, and against one fault after the other."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._endpoint.checks import CHECK_NAMES
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.client import Api
from ansible_collections.hgx.inference.plugins.modules import vllm_api_check
from ansible_collections.hgx.inference.tests.support.inference_server import CONTEXT, KEY, MODEL, serving


def run(
    capsys: pytest.CaptureFixture[str], base_url: str, *, check_mode: bool = False, **options: Any
) -> dict[str, Any]:
    args = {
        "base_url": base_url,
        "served_model_name": MODEL,
        "api_key": KEY,
        "token_ids": {"</think>": 163607},
        "timeout": 30,
        "_ansible_check_mode": check_mode,
        **options,
    }
    with patch_module_args(args), pytest.raises(SystemExit):
        vllm_api_check.main()
    printed = capsys.readouterr().out
    assert KEY not in printed
    result: dict[str, Any] = json.loads(printed)
    assert result.get("changed", False) is False
    return result


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["status"] for check in result["checks"]}


def test_a_server_that_can_do_everything_passes_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        result = run(capsys, server.base_url)
    assert result["verdict"] == "pass", result["summary"]
    assert statuses(result) == dict.fromkeys(CHECK_NAMES, "pass")
    assert result["server"] == {"started_at": server.started_at, "version": "0.32.0"}
    assert result["summary"][0] == f"PASS: {len(CHECK_NAMES)} pass of {len(CHECK_NAMES)} functional checks"
    longest = max(len(json.dumps(body)) // 4 for _path, _headers, body in server.requests if body)
    assert 0.6 * CONTEXT < longest < CONTEXT


def test_the_calls_are_those_of_claude_code(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        assert run(capsys, server.base_url, checks=["messages_tools", "count_tokens"])["verdict"] == "pass"
    posts = [(path, headers, body) for path, headers, body in server.requests if body]
    assert [path for path, _headers, _body in posts if "count" not in path] == ["/v1/messages?beta=true"] * 2
    for _path, headers, body in posts:
        assert headers["anthropic-version".title()] == "2023-06-01"
        assert headers["Authorization"] == f"Bearer {KEY}"
        assert "X-Api-Key" not in headers
        assert body["tools"][0]["input_schema"]["required"] == ["city"]
    second = next(body for _path, _headers, body in posts if len(body["messages"]) == 3)
    assert [block["type"] for block in second["messages"][1]["content"]] == ["thinking", "tool_use"]
    assert second["messages"][1]["content"][1]["input"] == {"city": "Paris"}
    assert second["messages"][2]["content"][0]["type"] == "tool_result"


# The fault, a check that finds it, and what the message says of it.
FAULTS = [
    ("open", "key", "answers a request with a wrong key"),
    ("open_to_any_key", "key", "answers a request with a wrong key"),
    ("shouts", "chat", "it repeats '!' 200 times"),
    ("silence", "chat", "it is empty"),
    ("wrong", "chat", "lacks 'Paris'"),
    ("endless", "chat", "did not end within"),
    ("formless", "chat", "does not have the expected form"),
    ("error", "chat", "HTTP 500"),
    ("silent", "chat", "no complete answer within 0 s"),
    ("cut", "streaming", "It was cut off"),
    ("no_usage", "streaming", "lacks the usage"),
    ("buffered", "streaming", "buffers the stream"),
    ("never_thinks", "thinking", "has no reasoning"),
    ("unparsed", "thinking", "was not parsed out"),
    ("always_thinks", "instant", "asked not to think, but thinks"),
    ("calls_as_text", "tool_call", "No tool was called"),
    ("broken_arguments", "tool_call", "no valid JSON"),
    ("foreign_arguments", "tool_call", "do not fit the tool's schema in city, town"),
    ("misnames_tools", "tool_call", "the call names 'weather'"),
    ("no_ids", "tool_call", "needs an id of its own, for its result; they have ['']"),
    ("ends_turns", "tool_call", "stopped with 'stop' and not 'tool_calls'"),
    ("broken_arguments", "tool_call_streamed", "no valid JSON"),
    ("no_ids", "tool_call_streamed", "needs an id of its own"),
    ("ends_turns", "tool_call_streamed", "not 'tool_calls'"),
    ("cut", "tool_call_streamed", "It was cut off"),
    ("one_call", "tool_calls_parallel", "but not for rome"),
    ("lumps_calls", "tool_calls_parallel", "once for 'Paris and Rome'"),
    ("same_ids", "tool_calls_parallel", "needs an id of its own"),
    ("blind", "image", "does not see that the picture is red"),
    ("forgets", "long_context", "it does not find"),
    ("cuts_prompts", "long_context", "it cut them off"),
    ("no_messages", "messages", "HTTP 404"),
    ("wrong", "messages", "lacks 'Paris'"),
    ("cut", "messages_tools", "lacks its message_stop"),
    ("ends_turns", "messages_tools", "not 'tool_use'"),
    ("no_ids", "messages_tools", "needs an id of its own"),
    ("babbles", "messages_tools", "did not end: 'In Paris it is sunny"),
    ("broken_arguments", "messages_tools", "no valid JSON"),
    ("counts_badly", "count_tokens", "It counts 7 tokens, and 7"),
    ("no_messages", "count_tokens", "HTTP 404"),
    ("no_think_token", "tokenizer", "must be the token 163607"),
    ("mangles", "tokenizer", "comes back from the tokenizer as"),
    ("shouts_under_load", "crowd", "One of 8 concurrent answers is broken"),
]


def test_every_check_can_fail() -> None:
    assert {check for _fault, check, _words in FAULTS} | {"models"} == set(CHECK_NAMES)


@pytest.mark.parametrize(("fault", "check", "words"), FAULTS)
def test_a_fault_is_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: str, check: str, words: str
) -> None:
    if fault == "silent":
        monkeypatch.setattr(vllm_api_check, "Api", lambda url, key, _timeout_s: Api(url, key, 0.5))
    with serving(KEY, fault) as server:
        result = run(capsys, server.base_url, checks=[check])
    assert result["failed"]
    assert result["verdict"] == "fail"
    assert statuses(result) == {"models": "pass", check: "fail"}
    assert words in result["msg"]
    assert result["checks"][1]["message"] in result["msg"]


@pytest.mark.parametrize(("fault", "words"), [("", "used its result"), ("forgets", "without using its result")])
def test_a_use_of_the_tools_result_is_told_where_it_is_seen(
    capsys: pytest.CaptureFixture[str], fault: str, words: str
) -> None:
    with serving(KEY, fault) as server:
        result = run(capsys, server.base_url, checks=["messages_tools"])
    assert result["verdict"] == "pass"
    assert words in result["checks"][1]["message"]


def test_all_failures_come_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "blind", "one_call", "counts_badly") as server:
        result = run(capsys, server.base_url)
    failed = [name for name, status in statuses(result).items() if status == "fail"]
    assert failed == ["tool_calls_parallel", "image", "count_tokens"]
    assert result["summary"][0] == f"FAIL: {len(CHECK_NAMES) - 3} pass, 3 fail of {len(CHECK_NAMES)} functional checks"


def test_a_key_that_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = run(capsys, "http://127.0.0.1:1", api_key="", api_key_file=str(tmp_path))["msg"]
    assert message == f"The API key cannot be read from {tmp_path}: Is a directory."
    (tmp_path / "key").write_bytes(b"\xff")
    message = run(capsys, "http://127.0.0.1:1", api_key="", api_key_file=str(tmp_path / "key"))["msg"]
    assert message == f"The API key cannot be read from {tmp_path / 'key'}: it is not text in UTF-8."


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "127.0.0.1"}, "No request can be sent to 127.0.0.1: the address, the key"),
        ({"base_url": "http://127.0.0.1:1", "api_key": "two\nlines"}, "No request can be sent to http://127.0.0.1:1:"),
    ],
)
def test_what_cannot_be_asked_is_told(capsys: pytest.CaptureFixture[str], options: dict[str, Any], words: str) -> None:
    result = run(capsys, **{"checks": ["chat"], **options})
    assert statuses(result) == {"models": "fail", "chat": "skipped"}
    assert result["server"] == {"started_at": None, "version": None}
    assert words in result["msg"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# How a client can miss the server: its faults, the client's options, the kind, what the message says.
MISSED: list[tuple[str, tuple[str, ...], dict[str, Any], str, str]] = [
    ("nobody listens", (), {"base_url": None}, "unreachable", "the SSH tunnel is not open, the port is wrong"),
    ("a foreign port", ("foreign",), {}, "unreachable", "Another program listens there: the port is wrong."),
    (
        "a port of no vLLM",
        ("plain",),
        {},
        "unreachable",
        "a list of models: 'hello world'. Another program listens",
    ),
    ("a dead tunnel", ("drops",), {}, "unreachable", "nothing listens at the far end of the tunnel"),
    (
        "a wrong key",
        (),
        {"api_key": "wrong"},
        "key",
        "HTTP 401",
    ),
    ("no key", (), {"api_key": ""}, "key", "no key was sent, and the server wants one"),
    ("a wrong name", (), {"served_model_name": "kimi"}, "model", f"No model is served as 'kimi'; served are {MODEL}."),
    ("another wrong name", (), {"further_model_names": [MODEL, "k2"]}, "model", "No model is served as 'k2'"),
    ("an unserved name", ("unlisted",), {}, "model", "served are other"),
]


@pytest.mark.parametrize(
    ("faults", "options", "kind", "words"), [case[1:] for case in MISSED], ids=[c[0] for c in MISSED]
)
def test_a_missed_server_is_told_apart(
    capsys: pytest.CaptureFixture[str], faults: tuple[str, ...], options: dict[str, Any], kind: str, words: str
) -> None:
    with serving(KEY, *faults) as server:
        url = f"http://127.0.0.1:{free_port()}" if "base_url" in options else server.base_url
        result = run(capsys, **{"checks": ["chat"], **options, "base_url": url})
    assert statuses(result) == {"models": "fail", "chat": "skipped"}
    assert result["checks"][0]["evidence"] == kind
    assert words in result["msg"]


def test_what_the_model_cannot_do_is_skipped_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "blind") as server:
        result = run(capsys, server.base_url, checks=["chat", "image"], skip={"image": "It has {{ no }} eyes."})
    assert statuses(result) == {"models": "pass", "chat": "pass", "image": "skipped"}
    assert "It has {{ no }} eyes." in result["summary"][1]


def test_a_server_without_a_key(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with serving(None) as server:
        result = run(capsys, server.base_url, api_key="", api_key_file=str(tmp_path / "none"), checks=["key"])
    assert result["verdict"] == "warn", "nothing was proven"
    assert statuses(result) == {"models": "pass", "key": "skipped"}


def test_the_key_may_be_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    with serving() as server:
        assert run(capsys, server.base_url, api_key="", api_key_file=str(tmp_path / "key"))["verdict"] == "pass"


def test_a_shorter_text_may_be_asked_for_and_not_be_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "forgets") as server:
        result = run(capsys, server.base_url, checks=["long_context"], long_context={"tokens": 1000, "recall": False})
    assert result["verdict"] == "pass"
    assert "and answered" in result["checks"][1]["message"]


def test_an_outcome_is_reused_until_the_server_starts_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with serving() as server:
        options: dict[str, Any] = {"reuse_file": str(tmp_path / "kept.json"), "checks": ["chat"]}
        first = run(capsys, server.base_url, **options)
        asked = len(server.requests)
        again = run(capsys, server.base_url, **options)
        assert (first["reused"], again["reused"]) == (False, True)
        assert again["checks"] == first["checks"]
        assert [path for path, *_rest in server.requests[asked:]] == ["/metrics", "/version"]
        assert run(capsys, server.base_url, **{**options, "checks": ["image"]})["reused"] is False
        run(capsys, server.base_url, **options)
        assert run(capsys, server.base_url, **options, reuse_max_age=0)["reused"] is False
        server.started_at += 1
        assert run(capsys, server.base_url, **options)["reused"] is False


def test_a_failure_is_never_reused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with serving(KEY, "wrong") as server:
        options: dict[str, Any] = {"reuse_file": str(tmp_path / "kept.json"), "checks": ["chat"]}
        run(capsys, server.base_url, **options)
        server.faults = frozenset()
        assert run(capsys, server.base_url, **options)["reused"] is False


def test_check_mode_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        result = run(capsys, server.base_url, check_mode=True)
        assert server.requests == []
    assert result["summary"] == [f"Would check the answers of {server.base_url}."]


def test_an_unknown_check_cannot_be_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "http://127.0.0.1:1", skip={"pictures": "none"})
    assert "there is no check pictures; there are models, key" in result["msg"]
