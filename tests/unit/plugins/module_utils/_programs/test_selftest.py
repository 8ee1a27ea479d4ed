# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nightly self-test: what it measures, and when it leaves the server alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs import selftest
from ansible_collections.hgx.inference.plugins.module_utils._programs.exposition import render
from ansible_collections.hgx.inference.plugins.module_utils._programs.health import RUNNING, TOKENS
from ansible_collections.hgx.inference.tests.support import inference_server


class Server:
    """Answers in the seconds that it is given."""

    def __init__(self, *seconds: float, others: float = 0, running: float = 0) -> None:
        self.seconds = list(seconds)
        self.counted = {TOKENS: 1000.0, RUNNING: running}
        self.others = others

    def ask(self, tokens: int) -> tuple[int, float]:
        self.counted[TOKENS] += tokens + self.others
        return tokens, self.seconds.pop(0)

    def measure(self) -> float:
        return selftest.measure(lambda: dict(self.counted), self.ask)


def test_the_rate_is_the_median_without_the_first_request() -> None:
    assert Server(9, 2, 1, 4).measure() == 64


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (Server(running=1), "the server has requests"),
        (Server(1, 1, 1, 1, others=5), "others sent requests meanwhile"),
        (Server(1, 1, 0, 1), "a request got no answer"),
    ],
)
def test_a_server_with_something_to_do_is_not_measured(server: Server, why: str) -> None:
    with pytest.raises(selftest.Skipped, match=why):
        server.measure()
    with pytest.raises(selftest.Skipped, match="no counters"):
        selftest.measure(lambda: None, server.ask)


def test_a_server_that_ends_meanwhile_is_no_other_use() -> None:
    told = iter([{TOKENS: 5.0}])
    with pytest.raises(selftest.Skipped, match="no counters"):
        selftest.measure(lambda: next(told, None), lambda tokens: (tokens, 1.0))


def test_a_release_is_compared_with_its_own_first_results() -> None:
    history = selftest.with_result([{"at": 1, "release": "old", "rate": 500.0}], 2, "a", 100.0)
    assert selftest.baseline(history, "a") is None
    assert "baseline" not in render(selftest.families("vllm", history)), "unknown is absent"
    for at, rate in ((3, 104.0), (4, 102.0), (5, 60.0)):
        history = selftest.with_result(history, at, "a", rate)
    assert selftest.baseline(history, "a") == 102.0
    text = render(selftest.families("vllm", history))
    assert 'hgx_selftest_tokens_per_second{server="vllm",release="a"} 60\n' in text
    assert selftest.families("vllm", []) == []


def test_a_server_is_measured_through_its_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key").write_text(inference_server.KEY)
    monkeypatch.setattr(selftest, "Turn", Free)
    counted = {TOKENS: 0.0}
    monkeypatch.setattr(selftest, "read_counters", lambda _url: dict(counted))
    settings = tmp_path / "supervisor" / "settings.json"
    settings.parent.mkdir()
    (tmp_path / "current").symlink_to(f"releases/{'a' * 12}")
    with inference_server.serving() as server:
        watch = {
            "base_url": server.base_url,
            "served_model_name": inference_server.MODEL,
            "key_file": str(tmp_path / "key"),
        }
        settings.write_text(json.dumps({"container": "vllm", "watch": watch}))
        ask = selftest._ask

        def counting(*arguments: object) -> tuple[int, float]:
            found = ask(*arguments)  # type: ignore[arg-type]
            counted[TOKENS] += found[0]
            return found

        monkeypatch.setattr(selftest, "_ask", counting)
        assert selftest.main(str(settings)) == 0
    assert "output tokens per second" in capsys.readouterr().out
    (entry,) = json.loads((settings.parent / selftest.HISTORY).read_text())
    assert entry["release"] == "a" * 12
    monkeypatch.setattr(selftest, "Turn", Taken)
    assert selftest.main(str(settings)) == 0
    assert capsys.readouterr().out == "skipped: a benchmark or a check runs\n"


class Free:
    """Nobody else measures."""

    def take(self) -> bool:
        return True

    def give_back(self) -> None:
        pass


class Taken(Free):
    """A benchmark runs."""

    def take(self) -> bool:
        return False
