# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the gateway costs: the same streams from one server, directly and through the gateway, in alternation."""

from __future__ import annotations

import http.client
import json
import ssl
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from .._core.verdict import FAIL, PASS, WARN

PATH = "/v1/completions"
_QUOTED_CHARACTERS = 200
_TIMEOUT_S = 120
# With fewer rounds their spread is not known.
_ROUNDS_MIN = 4


class CostError(Exception):
    """The cost cannot be measured; the message says why."""


class Side(NamedTuple):
    """Where requests go; without a C(context), they go without TLS."""

    address: str
    port: int
    headers: Mapping[str, str]
    context: ssl.SSLContext | None = None

    def connect(self) -> http.client.HTTPConnection:
        """Return a new open connection. Raises CostError."""
        connection = (
            http.client.HTTPSConnection(self.address, self.port, timeout=_TIMEOUT_S, context=self.context)
            if self.context
            else http.client.HTTPConnection(self.address, self.port, timeout=_TIMEOUT_S)
        )
        try:
            connection.connect()
        except OSError as exc:
            raise CostError(f"{self.address}:{self.port} cannot be reached: {exc}") from exc
        return connection


class Burst(NamedTuple):
    """What streams that ran at once have shown: the median of their times to first token, and tokens per second."""

    ttft_ms: float
    rate: float


# A burst to the server, and one through the gateway.
Round = tuple[Burst, Burst]


def question(model: str, output_len: int) -> bytes:
    """Return a request that costs the server the same each time."""
    body = {"model": model, "prompt": "Hello", "max_tokens": output_len, "temperature": 0, "ignore_eos": True}
    return json.dumps({**body, "stream": True, "stream_options": {"include_usage": True}}).encode()


def ask(connection: http.client.HTTPConnection, headers: Mapping[str, str], body: bytes) -> tuple[float, int]:
    """Send a request, and return the seconds to its first token and the number of its tokens. Raises CostError."""
    first, tokens, ended = 0.0, 0, False
    try:
        began = time.perf_counter()
        connection.request("POST", PATH, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        if response.status != 200:
            raise CostError(f"HTTP {response.status} from {_name(connection)}: {_quoted(response.read(65536))}")
        for line in iter(response.readline, b""):
            if not line.startswith(b"data:"):
                continue
            first = first or time.perf_counter() - began
            data = line[5:].strip()
            ended = data == b"[DONE]"
            tokens = tokens if ended else _tokens(data) or tokens
    except (OSError, http.client.HTTPException) as exc:
        raise CostError(f"{_name(connection)} gave no whole answer: {type(exc).__name__} {exc}".rstrip()) from exc
    if not (ended and tokens):
        raise CostError(f"{_name(connection)} ended an answer without {'its usage' if ended else 'its last event'}.")
    return first, tokens


def burst(side: Side, streams: int, body: bytes) -> Burst:
    """Send C(streams) requests at once, on connections that are open before the clock starts. Raises CostError."""
    connections: list[http.client.HTTPConnection] = []
    try:
        for _stream in range(streams):
            connections.append(side.connect())
        with ThreadPoolExecutor(streams) as pool:
            began = time.perf_counter()
            answers = list(pool.map(lambda connection: ask(connection, side.headers, body), connections))
            seconds = time.perf_counter() - began
    finally:
        for connection in connections:
            connection.close()
    ttft_ms = 1000 * statistics.median(first for first, _count in answers)
    return Burst(ttft_ms, sum(tokens for _first, tokens in answers) / seconds)


def alternate(one: Callable[[], Burst], other: Callable[[], Burst], rounds: int) -> list[Round]:
    """Return the bursts of each round. Each other round begins with the other side, so that a drift falls on both."""
    found = []
    for number in range(rounds):
        if number % 2:
            after = other()
            found.append((one(), after))
        else:
            found.append((one(), other()))
    return found


def judge(
    rounds: Sequence[Round], ttft_ms_max: float, loss_max: float, severity: str = FAIL, busy: bool = False
) -> dict[str, Any]:
    """Return C(ttft_ms) and C(throughput_loss), which the gateway adds, the C(checks) and a C(summary) in one line.

    Both are medians of the differences within a round. The spread of each is half the distance between the quartiles:
    on a busy server it is larger than what the gateway costs, and the medians say nothing. So a median beyond its limit
    is a warning. It has C(severity) only if three of four rounds are beyond the limit, of at least four, and the host
    is not C(busy): a gateway that waits for a processor is as slow in every round.
    """
    certain = not busy and len(rounds) >= _ROUNDS_MIN
    added = [through.ttft_ms - direct.ttft_ms for direct, through in rounds]
    losses = [1 - through.rate / direct.rate for direct, through in rounds]
    figures = {"ttft_ms": round(statistics.median(added), 2), "throughput_loss": round(statistics.median(losses), 4)}
    spreads = {"ttft_ms": round(_half_spread(added), 2), "throughput_loss": round(_half_spread(losses), 4)}
    limits = {"ttft_ms": (added, ttft_ms_max), "throughput_loss": (losses, loss_max)}
    checks = [
        {
            "name": f"gateway_{name}",
            "status": _status(values, limit, severity if certain else WARN),
            "value": figures[name],
            "spread": spreads[name],
            "limit": limit,
        }
        for name, (values, limit) in limits.items()
    ]
    return {
        **figures,
        "direct_ttft_ms": round(statistics.median(direct.ttft_ms for direct, _through in rounds), 2),
        "direct_throughput": round(statistics.median(direct.rate for direct, _through in rounds), 1),
        "checks": checks,
        "summary": f"gateway: {_signed(figures['ttft_ms'])} ms TTFT, {_signed(-100 * figures['throughput_loss'])} %"
        f" throughput (± {_half_spread(added):.1f} ms, ± {100 * _half_spread(losses):.1f} %)",
    }


def exceeded(found: Mapping[str, Any], status: str) -> list[str]:
    """Return the checks with this status in words."""
    words = {
        "gateway_ttft_ms": lambda check: (
            f"adds {check['value']:.1f} ms (± {check['spread']:.1f} ms) to the TTFT, more than {check['limit']:g} ms"
        ),
        "gateway_throughput_loss": lambda check: (
            f"costs {check['value']:.1%} (± {check['spread']:.1%}) of the throughput, more than {check['limit']:.1%}"
        ),
    }
    return [f"The gateway {words[check['name']](check)}." for check in found["checks"] if check["status"] == status]


def server_of(conversation: str, table: str, states: str, backend: str = "vllm") -> str:
    """Return the name of the server that HAProxy keeps a conversation on.

    C(table) is its answer to C(show table), and C(states) that to C(show servers state). Raises CostError.
    """
    number = ""
    for line in table.splitlines():
        fields = dict(word.partition("=")[::2] for word in line.split() if "=" in word)
        if fields.get("key") == conversation:
            number = fields.get("server_id", "")
    names: list[str] = []
    for line in states.splitlines():
        if line.startswith("# "):
            names = line[2:].split()
        row = dict(zip(names, line.split()))
        if number and row.get("be_name") == backend and row.get("srv_id") == number:
            return row["srv_name"]
    raise CostError("HAProxy does not tell which server it has sent a request to.")


def _tokens(data: bytes) -> int:
    """Return the tokens of the answer if this event tells them, else 0. Raises CostError for an error."""
    try:
        event = json.loads(data)
        if "error" in event:
            raise CostError(f"An answer ended with an error: {_quoted(data)}")
        return int((event.get("usage") or {}).get("completion_tokens") or 0)
    except (ValueError, TypeError, AttributeError) as exc:
        raise CostError(f"An answer has an event of another form: {_quoted(data)}") from exc


def _status(values: Sequence[float], limit: float, severity: str) -> str:
    if statistics.median(values) <= limit:
        return PASS
    return severity if sorted(values)[len(values) // 4] > limit else WARN


def _half_spread(values: Sequence[float]) -> float:
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return (ordered[-1 - quarter] - ordered[quarter]) / 2


def _name(connection: http.client.HTTPConnection) -> str:
    return f"{connection.host}:{connection.port}"


def _quoted(data: bytes) -> str:
    return data[:_QUOTED_CHARACTERS].decode("utf-8", "replace").strip()


def _signed(number: float) -> str:
    return f"{round(number, 1) + 0.0:+.1f}"
