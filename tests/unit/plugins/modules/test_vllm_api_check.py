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

from ansible_collections.hgx.inference.plugins.module_utils._endpoint.accuracy import TASKS, Task
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.checks import CHECK_NAMES
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.client import Api
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.functions import Function
from ansible_collections.hgx.inference.plugins.modules import vllm_api_check
from ansible_collections.hgx.inference.tests.support import sandbox_docker
from ansible_collections.hgx.inference.tests.support.inference_server import (
    CONTEXT,
    KEY,
    MODEL,
    SOLUTIONS,
    Handler,
    InferenceServer,
    Reply,
    serving,
)


def _solution(task: Task) -> Any:
    if isinstance(task.answer, Function):
        return f"```python\n{sandbox_docker.SOLUTIONS[task.answer.name]}```"
    return task.answer


SOLUTIONS.update({task.question: _solution(task) for task in TASKS if task.answer is not None})
ACCURATE = {"arithmetic": 1, "json": 1, "needle": 1, "tool_calls": 1}


def run(
    capsys: pytest.CaptureFixture[str], base_url: str, *, check_mode: bool = False, **options: Any
) -> dict[str, Any]:
    args = {
        "base_url": base_url,
        "served_model_name": MODEL,
        "api_key": KEY,
        "token_ids": {"</think>": 163607},
        "timeout": 30,
        "accuracy": ACCURATE,
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


def posts(server: InferenceServer, path: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
    return [(headers, body) for asked, headers, body in server.requests if body and asked == path]


def test_the_requests_are_those_of_claude_code(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        assert run(capsys, server.base_url, checks=["messages_tools", "count_tokens"])["verdict"] == "pass"
    turns = [(headers, body) for headers, body in posts(server, "/v1/messages?beta=true") if body.get("stream")]
    assert len(turns) == 4
    for headers, body in turns:
        assert headers["Anthropic-Version"] == "2023-06-01"
        assert headers["Authorization"] == f"Bearer {KEY}"
        assert headers["User-Agent"].startswith("claude-cli/2.1.332")
        assert "X-Api-Key" not in headers
        assert body["tools"][0]["input_schema"]["required"] == ["city"]
        assert body["thinking"] == {"type": "adaptive", "display": "omitted"}
        assert body["context_management"]["edits"][0]["type"] == "clear_thinking_20251015"
        assert body["output_config"] == {"effort": "high"}
        assert [message["role"] for message in body["messages"]][:3] == ["user", "system", "assistant"]
        assert body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    last = turns[-1][1]["messages"][3:]
    assert [message["role"] for message in last] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert [block["type"] for block in last[1]["content"]] == ["thinking", "tool_use"]
    assert last[1]["content"][1]["input"] == {"city": "Paris"}
    assert last[2]["content"][0]["type"] == "tool_result"
    assert last[2]["content"][0]["tool_use_id"] == last[1]["content"][1]["id"] == "functions.get_weather:0"
    counted = posts(server, "/v1/messages/count_tokens?beta=true")
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers, _body in counted)


def test_the_requests_are_those_of_kimis_cli(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        assert run(capsys, server.base_url, checks=["tool_call_streamed"])["verdict"] == "pass"
    headers, body = posts(server, "/v1/chat/completions")[-1]
    system, _user, assistant, result = body["messages"]
    assert headers["User-Agent"] == "KimiCLI/1.52.0"
    assert "max_tokens" not in body
    assert (body["max_completion_tokens"], body["stream_options"]) == (2048, {"include_usage": True})
    assert system["role"] == "system"
    assert assistant["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    assert (result["role"], result["tool_call_id"]) == ("tool", assistant["tool_calls"][0]["id"])


def test_without_a_limit_the_accuracy_is_not_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        result = run(capsys, server.base_url, checks=["accuracy"], accuracy={})
    assert statuses(result)["accuracy"] == "skipped"
    assert len(posts(server, "/v1/chat/completions")) == 0


def test_only_kinds_with_a_limit_are_tried_and_a_share_may_be_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "miscalculates") as server:
        result = run(capsys, server.base_url, checks=["accuracy"], accuracy={"arithmetic": 0, "tool_calls": 1})
    assert result["verdict"] == "pass"
    (found,) = [check for check in result["checks"] if check["name"] == "accuracy"]
    assert found["message"] == "Right: arithmetic 0 of 8, tool_calls 6 of 6."
    assert "right is '396'" in found["evidence"]


def test_a_limit_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for limit in ({"sums": 1}, {"json": 90}, {"json": "all"}):
        with serving() as server:
            assert "accuracy" in run(capsys, server.base_url, accuracy=limit)["msg"]


@pytest.mark.parametrize(
    ("fault", "limit", "status", "words"),
    [
        ("", 1, "pass", "Right: arithmetic 8 of 8, code 4 of 4."),
        (
            "miscalculates",
            0.75,
            "fail",
            "of code 75% must be. The answer has no code of merged: 'It is 12.'",
        ),
    ],
)
def test_code_is_executed_in_the_image_of_the_server(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    fault: str,
    limit: float,
    status: str,
    words: str,
) -> None:
    sandbox_docker.install(tmp_path, monkeypatch)
    accurate = {"arithmetic": 0, "code": limit}
    with serving(KEY, fault) as server:
        result = run(
            capsys, server.base_url, checks=["accuracy"], accuracy=accurate, container=sandbox_docker.CONTAINER
        )
    assert statuses(result)["accuracy"] == status
    assert words in result["checks"][-1]["message"]


@pytest.mark.parametrize(("accurate", "status"), [({"code": 0}, "skipped"), ({"code": 0, "arithmetic": 1}, "warn")])
def test_code_that_cannot_be_executed_does_not_pass(
    capsys: pytest.CaptureFixture[str], accurate: dict[str, float], status: str
) -> None:
    with serving() as server:
        result = run(capsys, server.base_url, checks=["accuracy"], accuracy=accurate)
        asked = [body for _headers, body in posts(server, "/v1/chat/completions")]
    assert statuses(result)["accuracy"] == status
    assert "Code was not tried: the server is in no container" in result["checks"][-1]["message"]
    assert "Python function" not in json.dumps(asked)


# The fault, a check that finds it, and what the message says of it.
FAULTS = [
    ("open", "key", "answers a request with a wrong key at GET /v1/models"),
    ("open /v1/chat/completions", "key", "with a wrong key at POST /v1/chat/completions"),
    ("open /v1/messages", "key", "with a wrong key at POST /v1/messages"),
    ("open /v1/messages/count_tokens", "key", "at POST /v1/messages/count_tokens: anybody"),
    ("open_to_any_key", "key", "answers a request with a wrong key"),
    ("shouts", "chat", "it repeats '!' 200 times"),
    ("nan", "chat", "The reasoning is broken, it repeats '!' 98 times"),
    ("nan", "thinking", "once the KV cache holds NaN, every answer is broken"),
    ("leaks_in_whole", "chat", "'think>', is in its answer"),
    ("null_stop", "chat", "It stopped with None"),
    ("aborts", "chat", "It stopped with 'abort'"),
    ("filters", "chat", "It stopped with 'content_filter'"),
    ("undercounts", "chat", "output tokens, for 64 characters"),
    ("overcounts", "chat", "output tokens, for 64 characters"),
    ("other_model", "chat", "of another model, 'glm-5'"),
    ("error_in_200", "chat", "answered with HTTP 200 and an error: CUDA error: an illegal memory access"),
    ("silence", "chat", "it is empty"),
    ("wrong", "chat", "lacks 'Paris'"),
    ("endless", "chat", "did not end within"),
    ("formless", "chat", "does not have the expected form"),
    ("error", "chat", "HTTP 500"),
    ("silent", "chat", "no complete answer within 0 s"),
    ("cut", "streaming", "It was cut off"),
    ("no_usage", "streaming", "lacks the usage"),
    ("leaks_in_stream", "streaming", "'think>', is in its answer"),
    ("leaks_ends", "streaming", "'<|im_end|>', is in its answer"),
    ("goes_on", "streaming", "content comes after the finish_reason 'stop'"),
    ("aborts", "streaming", "It stopped with 'abort'"),
    ("overcounts", "streaming", "output tokens, for 64 characters"),
    ("other_model", "streaming", "of another model, 'glm-5'"),
    ("error_in_stream", "streaming", "ended its stream with an error: CUDA error"),
    ("error_instead_of_stream", "streaming", "with HTTP 200 and an error: CUDA error"),
    ("buffered", "streaming", "buffers the stream"),
    ("never_thinks", "thinking", "has no reasoning"),
    ("unparsed", "thinking", "was not parsed out"),
    ("always_thinks", "instant", "asked not to think, but thinks"),
    ("leaks_in_instant", "instant", "'think>', is in its answer"),
    ("undercounts", "instant", "0 output tokens"),
    ("calls_as_text", "tool_call", "'<|tool_call_begin|>', is in its answer"),
    ("calls_in_reasoning", "tool_call", "The reasoning parser took the call for thoughts"),
    ("aborts", "tool_call", "It stopped with 'abort'"),
    ("broken_arguments", "tool_call", "no valid JSON"),
    ("foreign_arguments", "tool_call", "do not fit the tool's schema in city, town"),
    ("misnames_tools", "tool_call", "the call names 'weather'"),
    ("no_ids", "tool_call", "needs an id of its own, for its result; they have ['']"),
    ("ends_turns", "tool_call", "stopped with 'stop' and not 'tool_calls'"),
    ("broken_arguments", "tool_call_streamed", "no valid JSON"),
    ("no_ids", "tool_call_streamed", "needs an id of its own"),
    ("ends_turns", "tool_call_streamed", "not 'tool_calls'"),
    ("cut", "tool_call_streamed", "It was cut off"),
    ("skips_index", "tool_call_streamed", "a tool call has the index 1, after 0 calls"),
    ("ends_after_thoughts", "tool_call_streamed", "The answer to the tool's result is empty"),
    ("one_call", "tool_calls_parallel", "but not for rome"),
    ("lumps_calls", "tool_calls_parallel", "once for 'Paris and Rome'"),
    ("same_ids", "tool_calls_parallel", "needs an id of its own"),
    ("one_index", "tool_calls_parallel", "'functions.get_weather:1', have the index 0"),
    ("loses_calls_under_load", "tool_calls_crowd", "after 6 tokens: the call was lost. Calls are lost or broken if"),
    ("blind", "image", "does not see that the picture is red"),
    ("sees_red", "image", "does not see that the picture is "),
    ("forgets", "long_context", "it does not find"),
    ("cuts_prompts", "long_context", "it cut them off"),
    ("claims_more", "long_context", "HTTP 400"),
    ("overcounts_prompts", "long_context", "tokens were sent, and the server counts"),
    ("no_messages", "messages", "HTTP 404"),
    ("wrong", "messages", "lacks 'Paris'"),
    ("no_claude", "messages", "HTTP 400"),
    ("no_system_role_in_other_words", "messages", "but they do not know these and give up"),
    ("leaks_in_messages", "messages", "'think>', is in its answer"),
    ("null_stop", "messages", "It stopped with None"),
    ("other_model", "messages", "of another model, 'glm-5'"),
    ("error_in_200", "messages", "with HTTP 200 and an error"),
    ("cut", "messages_tools", "lacks its message_stop"),
    ("leaks_in_messages_stream", "messages_tools", "'think>', is in its answer"),
    ("leaks_ends", "messages_tools", "'<|im_end|>'"),
    ("thinks_in_text", "messages_tools", "a thinking_delta comes in a block of type 'text', and Claude Code drops"),
    ("one_index", "messages_tools", "starts with the index 0, after 1 blocks"),
    ("leaves_blocks_open", "messages_tools", "the last still open"),
    ("no_event_names", "messages_tools", "clients go by the name"),
    ("no_usage", "messages_tools", "message_delta lacks the usage"),
    ("aborts", "messages_tools", "It stopped with 'abort'"),
    ("ends_after_thoughts", "messages_tools", "The answer to the tool's result is empty"),
    ("ends_turns", "messages_tools", "not 'tool_use'"),
    ("no_ids", "messages_tools", "needs an id of its own"),
    ("babbles", "messages_tools", "did not end: 'In Paris it is sunny"),
    ("broken_arguments", "messages_tools", "no valid JSON"),
    ("counts_badly", "count_tokens", "It counts 7 tokens, and 7"),
    ("counts_another_way", "count_tokens", "and the usage of the same request says"),
    ("no_messages", "count_tokens", "HTTP 404"),
    ("no_think_token", "tokenizer", "must be the token 163607"),
    ("mangles", "tokenizer", "comes back from the tokenizer as"),
    ("miscalculates", "accuracy", "Right: arithmetic 0 of 8, json 0 of 6, needle 0 of 4, tool_calls 6 of 6; of"),
    ("miscalculates", "accuracy", "'What is 17 * 23 + 5? Answer with the number only.' was answered 'It is 12.'"),
    ("forgets", "accuracy", "needle 0 of 4, tool_calls 6 of 6; of needle 100% must be"),
    ("foreign_arguments", "accuracy", 'get_weather({"town": "Paris"}): town: unknown name \'town\''),
    ("nan", "accuracy", "arithmetic 0 of 8"),
    ("shouts_under_load", "crowd", "One of 16 concurrent answers is broken. The answer is broken, it repeats '!'"),
    ("shouts_under_load", "crowd", "Kernels or the KV cache break answers under load"),
    ("loops_under_load", "crowd", "it repeats 'and the sea' again and again"),
    ("incoherent_under_load", "crowd", "its words form no sentence"),
    ("swaps_under_load", "crowd", "is that to"),
    ("nan", "crowd", "once the KV cache holds NaN"),
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


@pytest.mark.parametrize("fault", ["is_precise", "is_italian", "has_alias"])
def test_other_words_for_the_same_are_right(capsys: pytest.CaptureFixture[str], fault: str) -> None:
    with serving(KEY, fault) as server:
        result = run(capsys, server.base_url)
    assert result["verdict"] == "pass", result["summary"]


def test_a_stream_that_comes_at_once_by_chance_is_not_buffered(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "buffered_at_first") as server:
        result = run(capsys, server.base_url, checks=["streaming"])
    assert server.faults == set()
    assert statuses(result)["streaming"] == "pass"


def test_a_cause_of_several_failures_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "nan") as server:
        result = run(capsys, server.base_url)
    failed = [check for check in result["checks"] if check["status"] == "fail"]
    assert len(failed) == 15
    assert {check["cause"] for check in failed} == {"broken"}
    assert result["msg"].count("The engine computes wrong values.") == 1
    assert result["msg"].count("  fail") == 1
    assert "Chat; Streaming; Thinking; Instant; Tool call;" in result["msg"]
    for advice in ("hf_cache_verify); check transformers", "A proxy must not buffer", "--limit-mm-per-prompt"):
        assert advice not in result["msg"]


def test_a_fault_that_one_request_shows_is_not_one_of_the_load(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "one_index") as server:
        result = run(capsys, server.base_url, checks=["tool_calls_parallel", "tool_calls_crowd", "messages_tools"])
    assert [check["cause"] for check in result["checks"]] == ["", "protocol", "protocol", "protocol"]
    assert "several are streamed at once" not in result["msg"]


def test_an_error_behind_a_success_is_told_as_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "error_in_200") as server:
        result = run(capsys, server.base_url, checks=["chat", "tool_call", "messages"])
    assert result["msg"].count("CUDA error: an illegal memory access") == 1
    assert "KeyError" not in result["msg"]
    assert "weights" not in result["msg"]
    with serving(KEY, "error_in_list") as server:
        assert "with HTTP 200 and an error: The backend is asleep" in run(capsys, server.base_url)["msg"]


@pytest.mark.parametrize(
    ("fault", "check", "advice"),
    [
        ("other_ids", "tool_call_streamed", "Kimi's template needs the ids"),
        ("other_ids", "messages_tools", "Kimi's template needs the ids"),
    ],
)
def test_an_empty_turn_after_other_ids_is_told_by_the_ids(
    capsys: pytest.CaptureFixture[str], fault: str, check: str, advice: str
) -> None:
    with serving(KEY, fault, "ends_after_thoughts") as server:
        assert advice in run(capsys, server.base_url, checks=[check])["msg"]
    with serving(KEY, fault) as server:
        assert run(capsys, server.base_url, checks=[check])["verdict"] == "pass"
        options: dict[str, Any] = {"checks": [check], "tool_call_ids": r"functions\.\w+:\d+"}
        assert "'call_0', which does not fit" in run(capsys, server.base_url, **options)["msg"]


def test_a_system_role_that_is_refused_is_a_warning_that_says_what_follows(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "no_system_role") as server:
        result = run(capsys, server.base_url)
    assert result["verdict"] == "warn"
    assert statuses(result) == {
        **dict.fromkeys(CHECK_NAMES, "pass"),
        **dict.fromkeys(["messages", "messages_tools"], "warn"),
    }
    told = "\n".join(result["summary"])
    assert told.count("Claude Code 2.1.154 and newer send one.") == 1
    assert "Use vLLM 0.23 or newer, or a newer client." in told
    assert "HTTP 400" in told
    # Checks run beside each other, so their requests have no order.
    sent = [
        [message["role"] for message in body["messages"]] for _headers, body in posts(server, "/v1/messages?beta=true")
    ]
    assert ["user", "system", "assistant", "user"] in sent
    assert ["user", "assistant", "user"] in sent, "the same without the system role"


def test_a_failure_that_does_not_repeat_is_a_warning_with_both_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "flaky") as server:
        result = run(capsys, server.base_url, checks=["chat"])
    assert (result["verdict"], statuses(result)["chat"]) == ("warn", "warn")
    (line,) = (line for line in result["summary"] if "Chat" in line)
    assert "First: The answer to 'What is the capital of France?" in line
    assert "'The capital of France is Lyon.' Then: Answered in 12 tokens." in line
    assert "The capital of France is Paris." in result["checks"][1]["evidence"]


def test_an_open_server_is_no_flake(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "open") as server:
        run(capsys, server.base_url, checks=["key"])
    assert len([path for path, headers, _body in server.requests if "wrong" in headers.get("Authorization", "")]) == 10


def test_a_tokenizer_without_a_key_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """As with vLLM itself, which asks for its key at /v1 only."""
    with serving(KEY, "open /tokenize", "open /detokenize") as server:
        result = run(capsys, server.base_url, checks=["key"])
    assert result["verdict"] == "pass"
    assert "at /v1; POST /tokenize and POST /detokenize answer without it" in result["checks"][1]["message"]


def test_a_refusal_for_another_reason_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "refuses_with_400") as server:
        result = run(capsys, server.base_url, checks=["key"])
    assert "HTTP 400" in result["msg"]
    assert "answers a request" not in result["msg"]


def test_every_endpoint_is_asked_without_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        result = run(capsys, server.base_url)
    sent = {(path.partition("?")[0], headers.get("Authorization")) for path, headers, _body in server.requests}
    paths = {path for path, key in sent if key == f"Bearer {KEY}"} - {"/metrics", "/version"}
    assert result["verdict"] == "pass"
    guarded = {*paths, "/v1/completions", "/v1/responses"}  # which generate, too
    assert guarded == {path for path, key in sent if key is None}
    assert guarded == {path for path, key in sent if key and "wrong" in key}


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses"])
def test_an_open_endpoint_that_no_check_uses(capsys: pytest.CaptureFixture[str], path: str) -> None:
    with serving(KEY, f"open {path}") as server:
        result = run(capsys, server.base_url, checks=["key"])
    assert f"answers a request with a wrong key at POST {path}: anybody" in result["msg"]


@pytest.mark.parametrize(
    "fault", ["refuses_by_redirect", "refuses_by_page", "refuses_by_error_in_200", "refuses_with_404"]
)
def test_what_is_no_answer_is_a_refusal(capsys: pytest.CaptureFixture[str], fault: str) -> None:
    with serving(KEY, fault) as server:
        result = run(capsys, server.base_url, checks=["key"])
    assert result["verdict"] == "pass", result


@pytest.mark.parametrize(("input_factor", "output_factor"), [(1, 3), (2, 1), (0.5, 1), (1, 0.3)])
def test_a_usage_that_the_tokenizer_does_not_confirm(
    capsys: pytest.CaptureFixture[str], input_factor: float, output_factor: float
) -> None:
    class Counting(Handler):
        def _chat(self, reply: Reply, prompt: int, words: int, stream: bool) -> None:
            super()._chat(reply, int(prompt * input_factor), int(words * output_factor), stream)

    with serving(handler=Counting) as server:
        result = run(capsys, server.base_url, checks=["tokenizer"])
    assert result["checks"][1]["cause"] == "miscounted", result


def test_a_tokenizer_of_texts_only(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "tokenizes_texts_only") as server:
        assert run(capsys, server.base_url, checks=["tokenizer"])["verdict"] == "pass"


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (307, "redirects nothing"),
        (413, "client_max_body_size"),
        (429, "limits the number of requests"),
        (503, "A proxy got no answer"),
    ],
)
def test_what_a_gateway_says_is_not_blamed_on_the_model(
    capsys: pytest.CaptureFixture[str], status: int, advice: str
) -> None:
    class Gateway(Handler):
        def _generate(self, path: str, body: dict[str, Any]) -> None:
            self._answer(status, "<html>no</html>")

    with serving(handler=Gateway) as server:
        result = run(capsys, server.base_url, checks=["chat", "long_context"])
    assert advice in result["msg"]
    assert "weights" not in result["msg"]


@pytest.mark.parametrize("body", ["<html>Sign in</html>", {"status": "error", "msg": "no GPU"}, []])
def test_an_answer_of_another_form_is_quoted(capsys: pytest.CaptureFixture[str], body: Any) -> None:
    class Other(Handler):
        def _generate(self, path: str, _body: dict[str, Any]) -> None:
            self._answer(200, body)

    with serving(handler=Other) as server:
        result = run(capsys, server.base_url, checks=["chat", "streaming", "messages"])
    assert {check["cause"] for check in result["checks"][1:]} == {"form"}
    for check in result["checks"][1:]:
        assert (body if isinstance(body, str) else json.dumps(body)) in check["message"]


@pytest.mark.parametrize(("start", "end"), [(0, 0.4), (0, 0.7), (0.3, 1), (0.6, 1)])
def test_a_server_that_reads_a_part_of_a_long_text_and_counts_all_of_it(
    capsys: pytest.CaptureFixture[str], start: float, end: float
) -> None:
    class Leaving(Handler):
        def _reply(self, body: dict[str, Any]) -> Reply:
            text = body["messages"][-1]["content"]
            kept = text[int(start * len(text)) : int(end * len(text))] + text.rpartition("\n\n")[2]
            return super()._reply({**body, "messages": [{"role": "user", "content": kept}]})

    with serving(handler=Leaving) as server:
        result = run(capsys, server.base_url, checks=["long_context"])
    assert "it does not find 'The code of the" in result["msg"]


def test_an_outcome_is_not_told_again_to_a_key_that_was_revoked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with serving() as server:
        options: dict[str, Any] = {"reuse_file": str(tmp_path / "kept.json"), "checks": ["chat"]}
        assert run(capsys, server.base_url, **options)["verdict"] == "pass"
        server.key = "another"
        assert run(capsys, server.base_url, **options)["verdict"] == "fail"


def test_a_context_that_is_shorter_than_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        result = run(capsys, server.base_url, checks=["long_context"], long_context={"tokens": 200_000})
    assert f"A context of 200000 tokens was asked for, and the server has one of {CONTEXT}." in result["msg"]


def test_a_failure_that_the_recipe_allows_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "blind") as server:
        result = run(capsys, server.base_url, checks=["chat", "image"], warn={"image": "Its tower is {{ small }}."})
    assert (result["verdict"], statuses(result)["image"]) == ("warn", "warn")
    assert "Only a warning: Its tower is {{ small }}." in result["checks"][2]["message"]


def test_single_calls_are_asked_for_where_a_model_cannot_do_two(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "one_call") as server:
        options: dict[str, Any] = {"skip": {"tool_calls_parallel": "The script has one call."}}
        assert run(capsys, server.base_url, checks=["tool_calls_crowd"], **options)["verdict"] == "pass"
        assert run(capsys, server.base_url, checks=["tool_calls_crowd"])["verdict"] == "fail"


def test_no_check_asks_with_the_outcome_of_another_key(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options: dict[str, Any] = {"reuse_file": str(tmp_path / "kept.json"), "checks": ["chat"]}
    with serving() as server:
        assert run(capsys, server.base_url, **options)["verdict"] == "pass"
        assert run(capsys, server.base_url, api_key="rotated", **options)["verdict"] == "fail"


def test_a_form_of_ids_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "http://127.0.0.1:1", tool_call_ids="functions(")
    assert result["msg"].startswith("tool_call_ids: 'functions(' is no regular expression: ")


def test_a_model_may_remember_the_result_of_its_tool(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "remembers") as server:
        assert run(capsys, server.base_url, checks=["messages_tools"])["verdict"] == "pass"
    assert len(posts(server, "/v1/messages?beta=true")) == 3


def test_all_failures_come_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY, "blind", "one_call", "counts_badly") as server:
        result = run(capsys, server.base_url)
    failed = [name for name, status in statuses(result).items() if status == "fail"]
    assert failed == ["tool_calls_parallel", "tool_calls_crowd", "image", "count_tokens"]
    assert result["summary"][0] == f"FAIL: {len(CHECK_NAMES) - 4} pass, 4 fail of {len(CHECK_NAMES)} functional checks"


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
    (
        "a wrong name",
        (),
        {"served_model_name": "kimi"},
        "model",
        f"No model is served as 'kimi'; served are {MODEL}, alias, glm-5.",
    ),
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


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (["blind"], "It answers about a picture, which adds "),
        (["sees_red"], "The answer about a picture lacks 'square': 'Red.'"),
        (["blind", "drops_pictures"], "the picture was dropped"),
    ],
)
def test_a_model_that_cannot_see_answers_about_a_picture(
    capsys: pytest.CaptureFixture[str], faults: list[str], words: str
) -> None:
    with serving(KEY, *faults) as server:
        result = run(capsys, server.base_url, checks=["image"], image_answer="square")
    assert words in result["checks"][-1]["message"]


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
        assert [path for path, *_rest in server.requests[asked:]] == ["/metrics", "/version", "/v1/models"]
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
