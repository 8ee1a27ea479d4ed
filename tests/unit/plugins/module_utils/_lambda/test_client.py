# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client: what it repeats, what it never repeats, and what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.secrets import KNOWN
from ansible_collections.hgx.inference.plugins.module_utils._lambda.client import (
    ApiError,
    Client,
    LambdaError,
    Repeat,
    Response,
    TransportError,
    Uncertain,
    checked_url,
    poll,
)
from ansible_collections.hgx.inference.tests.support.simulated_clock import SimulatedClock

KEY = "secret_key-0123456789"
LOST, REFUSED = TransportError("cut", sent=True), TransportError("refused", sent=False)


class Script:
    """A transport that answers from a list; the last entry is repeated."""

    def __init__(
        self, *answers: Response | TransportError, takes_s: float = 0.0, clock: SimulatedClock | None = None
    ) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str, float]] = []
        self.takes_s = takes_s
        self.clock = clock

    def send(self, method: str, url: str, headers: dict[str, str], body: bytes | None, timeout_s: float) -> Response:
        assert headers["Authorization"] == f"Bearer {KEY}"
        self.sent.append((method, url, timeout_s))
        if self.clock:
            self.clock.now += min(self.takes_s, timeout_s)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, TransportError):
            raise answer
        return answer


def ok(data: Any = None) -> Response:
    return Response(200, {}, json.dumps({"data": data}).encode())


def error(status: int, code: str = "", message: str = "no", **more: Any) -> Response:
    headers = more.pop("headers", {})
    content = {"error": {"code": code, "message": message, "suggestion": None}, **more}
    return Response(status, headers, json.dumps(content).encode())


def client(script: Script, clock: SimulatedClock | None = None, **options: Any) -> Client:
    return Client(script, KEY, clock=clock or SimulatedClock(1000.0), **{"interval_s": 0, **options})


@pytest.mark.parametrize(
    "failures",
    [
        [error(429)],
        [error(429), error(429), error(429)],
        [error(500), error(502), error(503)],
        [Response(502, {}, b"<html>Bad Gateway</html>")],
        [Response(200, {}, b'{"data": [{"id"')],
        [Response(200, {}, b'{"no": "data"}')],
        [Response(200, {}, b"\xff\xfe")],
        [LOST, REFUSED],
    ],
)
def test_a_read_is_repeated_until_it_succeeds(failures: list[Response | TransportError]) -> None:
    script = Script(*failures, ok([1]))
    assert client(script).get("/instances") == [1]
    assert len(script.sent) == len(failures) + 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error(429, "global/too-many-requests"), "(429). no Other programs use the same key."),
        (error(500, "global/unknown"), "global/unknown (500). no The API, or a proxy on the way"),
        (
            Response(502, {}, b"<html>Bad\nGateway</html>"),
            "http/502 (502). The answer is a web page of 24 bytes.",
        ),
        (Response(200, {}, b'{"data": [{"id"'), "not what the API documents: no JSON of 15 bytes."),
        (Response(200, {}, b'{"token": "s3cret"}'), "documents: an object with the fields token."),
        (Response(200, {}, b'["s3cret"]'), "documents: JSON, but not an object (list)."),
        (Response(503, {}, b""), "http/503 (503). The answer is empty."),
        (
            Response(503, {"content-type": "text/plain; charset=x"}, b"s3cret"),
            "The answer is no JSON (text/plain) of 6 bytes.",
        ),
        (REFUSED, "no answer (refused). Check the network"),
    ],
)
def test_a_read_gives_up_in_time(answer: Response | TransportError, words: str) -> None:
    clock = SimulatedClock(1000.0)
    with pytest.raises(LambdaError) as caught:
        client(Script(answer), clock, timeout_s=60).get("/instances")
    assert words in str(caught.value)
    assert "Gave up after" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "GET https://cloud.lambda.ai/api/v1/instances" in str(caught.value)
    assert clock.now <= 1060


def test_a_slow_api_does_not_take_longer_than_the_limit() -> None:
    clock = SimulatedClock(1000.0)
    script = Script(LOST, takes_s=100, clock=clock)
    with pytest.raises(LambdaError, match="Gave up"):
        client(script, clock, timeout_s=60).get("/instances")
    assert clock.now <= 1061
    assert script.sent[0][2] == 30


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "global/invalid-api-key", "Make a key in the Lambda console"),
        (403, "global/account-inactive", "Activate the account"),
        (400, "global/quota-exceeded", "Release a node that is not needed"),
        (404, "global/object-does-not-exist", "Check the name or ID"),
        (400, "instance-operations/launch/insufficient-capacity", "capacity_timeout"),
        (403, "", "The key has no permission for this"),
        (418, "global/new-one", "global/new-one (418). no"),
    ],
)
def test_a_refusal_is_told_by_its_code_and_not_repeated(status: int, code: str, words: str) -> None:
    script = Script(error(status, code))
    with pytest.raises(ApiError) as caught:
        client(script).get("/instances")
    assert words in str(caught.value)
    assert caught.value.code == (code or f"http/{status}")
    assert len(script.sent) == 1


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_explained_and_not_followed(status: int) -> None:
    script = Script(Response(status, {"location": "https://login.example:444/in?ticket=s3cret"}, b"moved"))
    with pytest.raises(ApiError) as caught:
        client(script).call("POST", "/x", {}, Repeat.NEVER)
    assert f"a redirect to login.example ({status}), which is not followed" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert len(script.sent) == 1


@pytest.mark.parametrize("status", [302, 303, 408, 409, 499, 500])
def test_an_answer_that_does_not_say_whether_the_request_was_acted_upon(status: int) -> None:
    with pytest.raises(Uncertain):
        client(Script(error(status))).call("POST", "/x", {}, Repeat.NEVER)


def test_an_answer_that_quotes_user_data_does_not_spread_it() -> None:
    caller = client(Script(error(400, message="bad: password: hunter2hunter2", field_errors={"a": f"x {KEY}"})))
    KNOWN.add("#cloud-config\n  password: hunter2hunter2\n- a\n")
    with pytest.raises(ApiError) as caught:
        caller.get("/x")
    assert "hunter2" not in str(caught.value)
    assert "bad: ********" in str(caught.value)


def test_a_key_that_is_cut_in_half_is_not_shown() -> None:
    with pytest.raises(ApiError) as caught:
        client(Script(error(400, message="x" * 290 + KEY))).get("/x")
    assert KEY[:4] not in str(caught.value)


def test_wrong_fields_are_named() -> None:
    fields = {"region_name": {"code": "x", "message": "Not a region."}, "odd": "wrong"}
    with pytest.raises(ApiError, match=r"region_name: Not a region\. odd: wrong Correct the value"):
        client(Script(error(400, "global/invalid-parameters", field_errors=fields))).get("/instances")


@pytest.mark.parametrize(
    ("repeat", "answer", "kind", "tries"),
    [
        (Repeat.NEVER, LOST, Uncertain, 1),
        (Repeat.NEVER, error(500), Uncertain, 1),
        (Repeat.NEVER, Response(200, {}, b"{"), Uncertain, 1),
        (Repeat.NEVER, error(429), ApiError, 1),
        (Repeat.NEVER, error(400), ApiError, 1),
        (Repeat.NEVER, REFUSED, LambdaError, 1),
        (Repeat.REFUSED, LOST, Uncertain, 1),
        (Repeat.REFUSED, error(503), Uncertain, 1),
    ],
)
def test_a_launch_is_never_repeated(
    repeat: Repeat, answer: Response | TransportError, kind: type[Exception], tries: int
) -> None:
    script = Script(answer)
    with pytest.raises(LambdaError) as caught:
        client(script).call("POST", "/instance-operations/launch", {}, repeat)
    assert type(caught.value) is kind
    assert len(script.sent) == tries


@pytest.mark.parametrize("answer", [error(429), REFUSED])
def test_what_was_certainly_not_acted_upon_may_be_sent_again(answer: Response | TransportError) -> None:
    assert client(Script(answer, ok({}))).call("POST", "/x", {}, Repeat.REFUSED) == {}


def test_the_api_is_asked_once_a_second() -> None:
    clock = SimulatedClock(1000.0)
    script = Script(ok())
    caller = client(script, clock, interval_s=1.0)
    for _request in range(4):
        caller.get("/instances")
    assert clock.now == 1003
    caller.wait_for_launch_slot()
    caller.wait_for_launch_slot()
    assert clock.now == 1015


def test_the_api_may_ask_for_patience() -> None:
    clock = SimulatedClock(1000.0)
    client(Script(error(429, headers={"retry-after": "7"}), ok()), clock).get("/x")
    assert clock.now == 1007


def test_an_answer_that_quotes_the_key_does_not_spread_it() -> None:
    with pytest.raises(ApiError) as caught:
        client(Script(error(401, message=f"Bearer {KEY} is no key"))).get("/x")
    assert KEY not in str(caught.value)
    assert "Bearer ******** is no key" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "words"),
    [(None, "Set LAMBDA_API_KEY"), ("  ", "Set LAMBDA_API_KEY"), ("two\nlines", "line break")],
)
def test_keys_that_cannot_be(key: str | None, words: str) -> None:
    with pytest.raises(LambdaError, match=words) as caught:
        Client(Script(ok()), key)
    assert "two" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://cloud.lambda.ai/api/v1/", True),
        ("http://127.0.0.1:8080/api/v1", True),
        ("http://localhost/api", True),
        ("http://[::1]:1/api", True),
        ("http://cloud.lambda.ai/api/v1", False),
        ("http://127.0.0.1.evil.example/", False),
        ("file:///etc/passwd", False),
        ("cloud.lambda.ai", False),
    ],
)
def test_the_key_goes_over_https_only(url: str, good: bool) -> None:
    if good:
        assert checked_url(url) == url.rstrip("/")
    else:
        with pytest.raises(LambdaError, match="https only"):
            checked_url(url)


def test_a_list_is_a_list() -> None:
    with pytest.raises(LambdaError, match="not a list of objects"):
        client(Script(ok({"a": 1}))).get_list("/instances")


def test_poll_looks_once_at_least() -> None:
    clock = SimulatedClock(1000.0)
    assert list(poll(clock, 0, 5)) == [0]
    assert list(poll(clock, 10, 5)) == [10, 5, 0]


def test_pace_is_kept_between_processes(tmp_path: Path) -> None:
    clock = SimulatedClock(1000.0)
    for _process in range(3):
        client(Script(ok()), clock, interval_s=1.0, state_dir=str(tmp_path)).get("/x")
    assert clock.now == 1002
