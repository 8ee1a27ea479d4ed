# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure a server that is idle, by a few requests of its own, and tell Prometheus. From a systemd timer, at night.

It says whether the server has become slower than it was, with one request at a time. It proves no published figure.
A server that has something to do is left alone.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from . import exposition
from .exposition import Family
from .health import RUNNING, TOKENS, WAITING
from .proven import pointed, read_json
from .turns import Turn
from .watch import read_counters

HISTORY = "selftest.json"
KEPT = 400
# So many of the first results of a release are what later ones are compared with.
FIRST = 3
_TIMES = 3
_WARM_UP_TOKENS, _TOKENS = 16, 128
_REQUEST_S = 300.0
_PROMPT = "Write down the numbers from one to one hundred in words."


class Skipped(Exception):
    """Nothing was measured; the message says why."""


Ask = Callable[[int], tuple[int, float]]


def measure(counters: Callable[[], Mapping[str, float] | None], ask: Ask) -> float:
    """Return the output tokens per second of one request at a time, the median of three. Raises Skipped.

    C(ask) sends a request for so many tokens, and returns how many came in how many seconds.
    """
    before = counters()
    if before is None or TOKENS not in before:
        raise Skipped("the server tells no counters")
    if before.get(RUNNING, 0) or before.get(WAITING, 0):
        raise Skipped("the server has requests")
    answers = [ask(_WARM_UP_TOKENS), *(ask(_TOKENS) for _time in range(_TIMES))]
    if any(tokens <= 0 or seconds <= 0 for tokens, seconds in answers):
        raise Skipped("a request got no answer")
    after = counters()
    if after is None or TOKENS not in after:
        raise Skipped("the server tells no counters")
    others = after[TOKENS] - before[TOKENS] - sum(tokens for tokens, _seconds in answers)
    if after.get(RUNNING, 0) or abs(others) > 1:
        raise Skipped("others sent requests meanwhile")
    return statistics.median(tokens / seconds for tokens, seconds in answers[1:])


def with_result(history: list[dict[str, Any]], at: int, release: str, rate: float) -> list[dict[str, Any]]:
    """Return the history with a new result at its end."""
    return [*history, {"at": at, "release": release, "rate": round(rate, 3)}][-KEPT:]


def baseline(history: list[dict[str, Any]], release: str) -> float | None:
    """Return the median of the first results of a release; None while there are too few."""
    first = [entry["rate"] for entry in history if entry.get("release") == release][:FIRST]
    return statistics.median(first) if len(first) == FIRST else None


def families(server: str, history: list[dict[str, Any]]) -> list[Family]:
    """Return the newest result as metrics."""
    if not history:
        return []
    newest = history[-1]
    labels = {"server": server, "release": str(newest["release"])}
    first = baseline(history, newest["release"])
    return [
        Family("hgx_selftest_tokens_per_second", "Output rate of one request at a time.", [(labels, newest["rate"])]),
        Family("hgx_selftest_baseline_tokens_per_second", "The first such rates of the release.", [(labels, first)]),
        Family("hgx_selftest_timestamp_seconds", "When the server was last measured so.", [(labels, newest["at"])]),
    ]


def main(settings_file: str) -> int:
    """Measure the server of the supervisor's settings, and say what came of it."""
    settings = read_json(settings_file) or {}
    watch, folder = settings.get("watch") or {}, os.path.dirname(os.path.abspath(settings_file))
    turn = Turn()
    try:
        if not turn.take():
            raise Skipped("a benchmark or a check runs")
        url = str(watch.get("base_url"))
        rate = measure(lambda: read_counters(url), lambda tokens: _ask(url, watch, tokens))
    except Skipped as why:
        sys.stdout.write(f"skipped: {why}\n")
        return 0
    finally:
        turn.give_back()
    path = os.path.join(folder, HISTORY)
    found = read_json(path)
    history = with_result(
        found if isinstance(found, list) else [], round(time.time()), pointed(os.path.dirname(folder), "current"), rate
    )
    with open(f"{path}.new", "w", encoding="utf-8") as stream:
        json.dump(history, stream)
    os.replace(f"{path}.new", path)
    exposition.write(f"selftest_{settings['container']}", families(settings["container"], history))
    sys.stdout.write(f"{rate:.1f} output tokens per second with one request at a time\n")
    return 0


def _ask(base_url: str, watch: Mapping[str, Any], tokens: int) -> tuple[int, float]:
    url = urllib.parse.urlsplit(base_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=_REQUEST_S)
    body = {
        "model": watch["served_model_name"],
        "messages": [{"role": "user", "content": _PROMPT}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "temperature": 0,
    }
    key = ""
    with suppress(OSError), open(watch["key_file"], encoding="utf-8") as stream:
        key = stream.read().strip()
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    began = time.monotonic()
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = json.loads(connection.getresponse().read())
        return int(answer["usage"]["completion_tokens"]), time.monotonic() - began
    except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException):
        return 0, 0.0
    finally:
        connection.close()
