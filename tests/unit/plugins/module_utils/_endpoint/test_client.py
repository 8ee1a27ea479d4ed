# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client of the API against answers that do not end, end too early, or cannot be asked for."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import client as _api_client
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.client import (
    Api,
    ApiError,
    split_lines,
    sse_events,
)

OK = b"HTTP/1.1 200 OK\r\n"
TIMEOUT_S = 0.3
# How long an answer goes on that has no end: long enough to be told from one that was left in time.
ENDLESS_S = 3


@contextlib.contextmanager
def answering(start: bytes, again: bytes = b"", pause_s: float = 0.02) -> Iterator[str]:
    """Answer one request with C(start), and then for ENDLESS_S with C(again), over and over."""
    end = time.monotonic() + ENDLESS_S

    def answer(server: socket.socket) -> None:
        with contextlib.suppress(OSError), server.accept()[0] as client:
            _take_request(client)
            client.sendall(start)
            while again and time.monotonic() < end:
                client.sendall(again)
                time.sleep(pause_s)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def _take_request(client: socket.socket) -> None:
    """Read all of it: a connection that is closed with something left in it is reset."""
    with client.makefile("rb") as request:
        request.readline()
        headers = http.client.parse_headers(request)
        request.read(int(headers["Content-Length"] or 0))


def stream_all(api: Api) -> None:
    list(api.stream("/stream", {}))


WAYS = {"get": lambda api: api.get("/x"), "post": lambda api: api.post("/x", {}), "stream": stream_all}
ENDLESS = {
    "comments in a stream": ("stream", OK + b"\r\n", b": ping\n\n"),
    "a line of a stream": ("stream", OK + b"\r\n", b"x"),
    "events": ("stream", OK + b"\r\n", b"data: {}\n\n"),
    "an object": ("post", OK + b"\r\n{", b" "),
    "a body": ("get", OK + b"\r\n", b" "),
    "chunks": ("get", OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "the size of a chunk": ("get", OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "a header": ("get", OK + b"X-Long: ", b"x"),
    "continuations": ("get", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize(("way", "start", "again"), list(ENDLESS.values()), ids=list(ENDLESS))
def test_an_answer_without_an_end_is_left_at_the_timeout(way: str, start: bytes, again: bytes) -> None:
    with answering(start, again) as url:
        started = time.monotonic()
        with pytest.raises(ApiError, match="no complete answer within") as caught:
            WAYS[way](Api(url, None, TIMEOUT_S))
        assert time.monotonic() - started < ENDLESS_S / 2
    assert caught.value.kind == _api_client.TIMEOUT


def test_events_come_as_they_arrive() -> None:
    with answering(OK + b"\r\n", b"data: {}\n\n", 0.05) as url:
        events = list(itertools.islice(Api(url, None, 2).stream("/x", {}), 3))
    assert events[0].seconds < events[1].seconds < events[2].seconds


def test_an_error_without_an_end_is_told_by_its_status() -> None:
    with answering(b"HTTP/1.1 500 No\r\n\r\n", b"x") as url:
        started = time.monotonic()
        with pytest.raises(ApiError, match=r"HTTP 500 from .*: an empty body"):
            Api(url, None, TIMEOUT_S).get("/x")
        assert time.monotonic() - started < ENDLESS_S / 2


def test_an_error_is_read_no_further_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_api_client, "MOST_ERROR_BYTES", 4)
    with answering(b"HTTP/1.1 500 No\r\n\r\nbroken") as url, pytest.raises(ApiError, match=r"HTTP 500 .*: brok$"):
        Api(url, None, TIMEOUT_S).get("/x")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("line_end", [b"\n", b" "])
def test_more_than_can_be_wanted_is_not_read(monkeypatch: pytest.MonkeyPatch, way: str, line_end: bytes) -> None:
    monkeypatch.setattr(_api_client, "MOST_BYTES", 2**20)
    body = (b": ping" + line_end) * 200_000
    with answering(OK + b"\r\n" + body) as url, pytest.raises(ApiError, match="with more than 1 MiB") as caught:
        WAYS[way](Api(url, None, 5))
    assert caught.value.kind == _api_client.TOO_LONG


def test_as_much_as_is_allowed_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_api_client, "MOST_BYTES", 5)
    with answering(OK + b"\r\nhello") as url:
        assert Api(url, None, 5).get("/x") == "hello"


def test_a_body_that_ends_too_early() -> None:
    words = r"in the middle of its answer \(IncompleteRead: .* 7 more"
    with (
        answering(OK + b"Content-Length: 9\r\n\r\n{}") as url,
        pytest.raises(ApiError, match=words) as caught,
    ):
        Api(url, None, 5).get("/x")
    assert caught.value.kind == _api_client.BROKEN


@pytest.mark.parametrize(("way", "field"), [("post", b""), ("stream", b"data: ")])
def test_json_that_is_too_deep(way: str, field: bytes) -> None:
    body = field + b"[" * 100_000 + b"\n\n"
    with answering(OK + b"\r\n" + body) as url, pytest.raises(ApiError, match="a JSON object"):
        WAYS[way](Api(url, None, 5))


def test_an_error_in_json_that_is_too_deep() -> None:
    with answering(b"HTTP/1.1 500 No\r\n\r\n" + b"[" * 60_000) as url, pytest.raises(ApiError, match="HTTP 500"):
        Api(url, None, 5).get("/x")


@pytest.mark.parametrize(
    ("url", "key", "timeout_s"),
    [
        ("127.0.0.1", None, 1),
        ("", None, 1),
        ("http://[::1", None, 1),
        ("http://127.0.0.1:port", None, 1),
        ("http://a b", None, 1),
        ("http://" + "a" * 70, None, 1),
        ("http://127.0.0.1:1", "two\nlines", 1),
        ("http://127.0.0.1:1", "\u20ac", 1),
        ("http://127.0.0.1:1", None, -1),
        ("http://127.0.0.1:1", None, 10**12),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_sent(url: str, key: str | None, timeout_s: float, way: str) -> None:
    with pytest.raises(ApiError, match=re.escape(f"No request can be sent to {url}: the address, the key")) as caught:
        WAYS[way](Api(url, key, timeout_s))
    assert caught.value.kind == _api_client.UNREACHABLE
    assert "two" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "no memory"}}, "no memory"),
        ({"error": "no memory", "choices": []}, "no memory"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "no memory"}}, "no memory"),
        ({"object": "error", "message": "no memory", "code": 500}, "no memory"),
        ({"detail": "no memory"}, "no memory"),
        ({"code": 500, "message": "no memory"}, "no memory"),
        ({"errors": ["no memory"]}, "no memory"),
    ],
)
def test_an_error_inside_of_a_success(body: dict[str, Any], said: str) -> None:
    text = json.dumps(body).encode()
    for way, answer in (("post", text), ("stream", text), ("stream", b"event: error\ndata: " + text + b"\n\n")):
        with answering(OK + b"\r\n" + answer) as url, pytest.raises(ApiError, match=f"an error: .*{said}") as caught:
            WAYS[way](Api(url, None, 5))
        assert (caught.value.kind, caught.value.status) == (_api_client.ERROR, 200)


@pytest.mark.parametrize(
    "body", [{"error": None, "choices": []}, {"object": "list", "data": []}, {"detail": 1, "a": 2}]
)
def test_a_success_is_none(body: dict[str, Any]) -> None:
    with answering(OK + b"\r\n" + json.dumps(body).encode()) as url:
        assert Api(url, None, 5).post("/x", {}) == body


def test_an_answer_that_is_not_streamed() -> None:
    with answering(OK + b'\r\n{"choices": []}') as url, pytest.raises(ApiError, match="did not stream its answer"):
        stream_all(Api(url, None, 5))


@pytest.mark.parametrize("text", [b"<html>Sign in</html>", b"\n\nInternal Server Error", b"[]", b"null"])
def test_a_page_in_place_of_a_stream(text: bytes) -> None:
    with answering(OK + b"\r\n" + text) as url, pytest.raises(ApiError, match="did not stream its answer") as caught:
        stream_all(Api(url, None, 5))
    assert caught.value.kind == _api_client.FORM


@pytest.mark.parametrize("way", WAYS)
def test_a_redirect_is_told_and_not_followed(way: str) -> None:
    start = b"HTTP/1.1 302 Found\r\nLocation: https://login.example/in?ticket=s3cret\r\n\r\n"
    with (
        answering(start) as url,
        pytest.raises(ApiError, match=r"HTTP 302 .*a redirect to login\.example, which") as caught,
    ):
        WAYS[way](Api(url, "sk-key", 5))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_end_in_any_way_and_pieces_anywhere(end: bytes, size: int, mark: bytes) -> None:
    text = mark + end.join([b"event: a", b"data: 1", b"", b": ping", b"", b"data: [DONE]", b"", b""])
    pieces = [text[index : index + size] for index in range(0, len(text), size)]
    assert list(sse_events(split_lines(pieces))) == [("a", "1"), ("", "[DONE]")]


def test_only_the_end_of_a_stream_needs_no_blank_line() -> None:
    assert list(sse_events([b"data: 1", b"", b"data: [DONE]"])) == [("", "1"), ("", "[DONE]")]
    assert list(sse_events([b"data: 1", b"", b"data: 2"])) == [("", "1")]


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_is_compressed_unasked(way: str) -> None:
    start = OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b"
    with (
        answering(start) as url,
        pytest.raises(ApiError, match=r"/\w+ is compressed \(gzip\), which was not asked for"),
    ):
        WAYS[way](Api(url, None, 5))


def test_events_have_names() -> None:
    lines = [
        b"event: ping\n",
        b"data: 1\n",
        b"\n",
        b": a comment\n",
        b"data: 2\n",
        b"data: 3\n",
        b"\n",
        b"event: x\n",
        b"\n",
    ]
    assert list(sse_events(lines)) == [("ping", "1"), ("", "2\n3")]
