# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The functional checks against numbers and forms that no server should give."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import checks, results
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.checks import CHECK_NAMES
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.client import Api, Event
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.probe import Expected, Probe
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.results import Result

MODEL = "kimi"
INFINITY = float("inf")
NO_COUNTS: list[Any] = [0, -3, 0.5, 1e300, INFINITY, -INFINITY, float("nan"), True, "12", [], {}]


class Canned(Api):
    """A server without a network. C(max_model_len) and C(count) are what it claims."""

    def __init__(self, max_model_len: Any = 4096, count: Any = 600) -> None:
        super().__init__("http://canned", None, 1)
        self.max_model_len = max_model_len
        self.count = count
        self.longest = 0

    def get(self, path: str) -> str:
        return json.dumps({"data": [{"id": MODEL, "max_model_len": self.max_model_len}]})

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        if path == "/tokenize":
            return {"count": self.count}
        text = body["messages"][0]["content"]
        self.longest = max(self.longest, len(text))
        message = {"content": "The capital of France is Paris."}
        usage = {"prompt_tokens": len(text), "completion_tokens": 7}
        return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}


class Odd(Canned):
    """Answers everything with the same value in every place."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        names = ("choices", "usage", "content", "stop_reason", "count", "tokens", "prompt", "input_tokens")
        return dict.fromkeys(names, self.value)

    def stream(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Iterator[Event]:
        yield Event(0.1, self.post(path, body))


def check(api: Api, *names: str, tokens: int | None = None) -> dict[str, Result]:
    probe = Probe(api, MODEL, (), Expected("Paris", {}, tokens, False, {"</think>": 7}))
    return {result.name: result for result in results.run_checks(probe, names, {})}


@pytest.mark.parametrize("count", [*NO_COUNTS, None])
def test_a_count_of_tokens_that_counts_nothing(count: Any) -> None:
    found = check(Canned(count=count), "long_context")["long_context"]
    assert (found.status, found.evidence) == ("fail", "form")
    assert f"does not have the expected form (ValueError: count is {count!r} and must be" in found.message


@pytest.mark.parametrize("length", NO_COUNTS)
def test_a_length_of_the_context_that_is_none(length: Any) -> None:
    found = check(Canned(max_model_len=length), "chat", "long_context")
    assert found["chat"].status == "pass"
    assert (found["long_context"].status, found["long_context"].evidence) == ("fail", "form")
    assert f"(ValueError: max_model_len is {length!r} and must be a whole number above 0)" in (
        found["long_context"].message
    )


@pytest.mark.parametrize(("length", "tokens"), [(10**300, None), (10**7, 10**7), (None, 10**7)])
def test_a_text_is_no_longer_than_can_be_wanted(length: int | None, tokens: int | None) -> None:
    api = Canned(max_model_len=length)
    found = check(api, "long_context", tokens=tokens)["long_context"]
    assert found.status == "pass"
    assert found.message.endswith(f" No more than {checks.MOST_TEXT_TOKENS} are tried.")
    assert api.longest < 5 * checks.MOST_TEXT_TOKENS


def test_a_shorter_text_is_not_said_to_be_limited() -> None:
    assert "No more than" not in check(Canned(), "long_context")["long_context"].message


def test_a_count_so_small_that_the_text_would_have_no_end() -> None:
    api = Canned(max_model_len=10**12, count=1)
    found = check(api, "long_context")["long_context"]
    assert (found.status, found.evidence) == ("fail", "answer")
    assert "A text of 1999872 tokens would be longer than 64 MiB: the server counts 1 in" in found.message
    assert api.longest == 0


@pytest.mark.parametrize("value", [*NO_COUNTS, None, "text", [{}], [INFINITY], {"prompt_tokens": INFINITY}])
def test_whatever_is_answered_is_told(value: Any) -> None:
    found = check(Odd(value), *CHECK_NAMES)
    assert set(found) == set(CHECK_NAMES)
    assert {found[name].status for name in ("chat", "streaming", "messages", "long_context")} == {"fail"}


@pytest.mark.parametrize("error", checks.FORM_ERRORS)
def test_every_error_of_the_form_is_told(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    api = Canned()

    def fail(*_args: object) -> None:
        raise error("odd")

    monkeypatch.setattr(api, "post", fail)
    found = check(api, "chat")["chat"]
    assert (found.status, found.evidence) == ("fail", "form")
    assert f"({error.__name__}: " in found.message


def test_a_list_of_models_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Canned, "get", lambda self, path: "[" * 100_000)
    assert "Another program listens there" in check(Canned())["models"].message
