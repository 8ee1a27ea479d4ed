# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of Prometheus' API, and what is told when it does not answer."""

from __future__ import annotations

import http.server
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._monitoring.prometheus import Prometheus, PrometheusError
from ansible_collections.hgx.inference.tests.support.serving import serving

DAY = 86400
NOW = 20 * DAY + 5.0


class Api(http.server.BaseHTTPRequestHandler):
    """Answers as Prometheus does."""

    asked: ClassVar[list[tuple[str, dict[str, str]]]] = []
    rules: ClassVar[list[Any]] = []

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        path, arguments = url.path.rpartition("/")[2], dict(urllib.parse.parse_qsl(url.query))
        Api.asked.append((path, arguments))
        labels = {"node": "n1"}
        data: Any = {
            "query": {"result": [{"metric": labels, "value": [NOW, "1.5"]}, {"metric": {}, "value": [NOW, "NaN"]}]},
            "query_range": {"result": [{"metric": labels, "values": [[NOW - DAY, "2"], [NOW, "+Inf"]]}]},
            "rules": {"groups": [{"rules": Api.rules}]},
        }[path]
        is_bad = arguments.get("query") == "bad("
        body = {"status": "error", "error": "parse error"} if is_bad else {"status": "success", "data": data}
        self.send_response(400 if is_bad else 200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def server() -> Iterator[Prometheus]:
    Api.asked.clear()
    with serving(Api) as url:
        yield Prometheus(f"{url}/")


def test_what_is_no_number_is_left_out(server: Prometheus) -> None:
    assert server.query('up{a="b"}', NOW) == [{"labels": {"node": "n1"}, "value": 1.5}]
    assert server.daily("x", NOW, 3) == [{"labels": {"node": "n1"}, "days": {"1970-01-20": 2.0}}]
    (_path, query), (_range, daily) = Api.asked[:2]
    assert query["query"] == 'up{a="b"}'
    assert (daily["start"], daily["end"], daily["step"]) == (f"{NOW - 2 * DAY:.3f}", f"{NOW:.3f}", "86400")


def test_without_rules_nothing_is_known_of_alarms(server: Prometheus, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.alarms() is None
    pending = {"state": "pending", "labels": {}}
    monkeypatch.setattr(Api, "rules", [{"alerts": [{"state": "firing", "labels": {"node": "n1"}}, pending]}])
    assert [alarm["labels"] for alarm in server.alarms() or []] == [{"node": "n1"}]
    monkeypatch.setattr(Api, "rules", [{"alerts": []}])
    assert server.alarms() == []


def test_a_refusal_is_told(server: Prometheus) -> None:
    with pytest.raises(PrometheusError, match=r"does not answer, asked for bad\(: parse error"):
        server.query("bad(", NOW)


def test_without_prometheus_the_reason_is_told() -> None:
    with pytest.raises(PrometheusError, match=r"Prometheus at http://127\.0\.0\.1:1 does not answer: .*refused"):
        Prometheus("http://127.0.0.1:1").alarms()
