# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask a Prometheus server, by its HTTP API."""

from __future__ import annotations

import json
import math
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from .._core.http import request

_TIMEOUT_S = 30
_DAY_S = 86400


class PrometheusError(Exception):
    """Prometheus does not answer, or refuses an expression."""


class Prometheus:
    """The server at an address such as C(http://127.0.0.1:9090)."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def query(self, expression: str, now: float) -> list[dict[str, Any]]:
        """Return C(labels) and C(value) of each sample at the time C(now). Raises PrometheusError."""
        data = self._get("query", {"query": expression, "time": f"{now:.3f}"})
        samples = [(each["metric"], float(each["value"][1])) for each in data["result"]]
        return [{"labels": labels, "value": value} for labels, value in samples if math.isfinite(value)]

    def daily(self, expression: str, now: float, days: int) -> list[dict[str, Any]]:
        """Return C(labels) and C(days), a value for each date: at C(now) and at the same time of the days before."""
        times = {"start": f"{now - (days - 1) * _DAY_S:.3f}", "end": f"{now:.3f}", "step": str(_DAY_S)}
        data = self._get("query_range", {"query": expression, **times})
        return [
            {
                "labels": each["metric"],
                "days": {
                    time.strftime("%Y-%m-%d", time.gmtime(float(at))): float(value)
                    for at, value in each["values"]
                    if math.isfinite(float(value))
                },
            }
            for each in data["result"]
        ]

    def alarms(self) -> list[dict[str, Any]] | None:
        """Return the firing alarms, each with C(labels), C(annotations) and C(activeAt); None without alarm rules.

        Raises PrometheusError.
        """
        rules = [rule for group in self._get("rules", {"type": "alert"})["groups"] for rule in group["rules"]]
        firing = [alarm for rule in rules for alarm in rule["alerts"] if alarm["state"] == "firing"]
        return firing if rules else None

    def _get(self, path: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        answer = request(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}", _TIMEOUT_S)
        try:
            said = json.loads(answer.body)
            if said["status"] == "success":
                data: dict[str, Any] = said["data"]
                return data
            why = str(said["error"])
        except (ValueError, LookupError, TypeError):
            why = answer.body[:200] or f"HTTP {answer.status}"
        asked = f", asked for {arguments['query']}" if "query" in arguments else ""
        raise PrometheusError(f"Prometheus at {self._url} does not answer{asked}: {why}")
