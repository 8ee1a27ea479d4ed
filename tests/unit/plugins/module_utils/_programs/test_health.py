# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a server counts as hanging or as rubbish, and what must never count so."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs import health
from ansible_collections.hgx.inference.plugins.module_utils._programs.health import Answer, Judge, Look, Step

LIMIT, INTERVAL, TICK = 300.0, 600.0, 5.0
GOOD = Answer(200, "The sea is a large body of salt water.")
BAD = Answer(200, "!" * 48)


class Server:
    """A server and the time: every 5 seconds it is looked at. Its answer to a request of the watch comes at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.judge = Judge(LIMIT, INTERVAL, lambda: self.now)
        self.start = "one"
        self.tokens: float | None = 100.0
        self.running = 0.0
        self.waiting = 0.0
        self.rate = 0.0
        self.deaf = False
        self.unhealthy = False
        self.quiet = ""
        self.answers: Callable[[str], Answer | None] = lambda kind: GOOD
        self.asked: list[tuple[float, str]] = []
        self.findings: list[tuple[str, str]] = []
        self.faulty: list[float] = []

    def look(self) -> Look:
        counters = {health.RUNNING: self.running, health.WAITING: self.waiting}
        if self.tokens is not None:
            counters[health.TOKENS] = self.tokens
        return Look(self.start, None if self.deaf else counters, self.unhealthy, self.quiet)

    def turn(self, seconds: float = TICK) -> Step:
        self.now += seconds
        if self.tokens is not None:
            self.tokens += self.rate * seconds
        pending = self.judge.pending
        answer = self.answers(pending) if pending else None
        if answer and answer.status == 200 and self.tokens is not None:
            self.tokens += 1
        step = self.judge.step(self.look(), answer)
        if step.ask:
            self.asked.append((self.now, step.ask))
        self.findings += step.findings
        if step.faulty:
            self.faulty.append(self.now)
        return step

    def run(self, seconds: float) -> Step:
        until, step = self.now + seconds, self.turn()
        while self.now < until:
            step = self.turn()
        return step

    def kinds(self) -> list[str]:
        return [kind for kind, _words in self.findings]

    def hang(self) -> None:
        self.answers, self.rate = lambda kind: None, 0.0


@pytest.fixture
def server() -> Server:
    server = Server()
    server.run(120)
    server.asked.clear()
    return server


def test_an_idle_server_is_asked_now_and_then(server: Server) -> None:
    step = server.run(2 * INTERVAL)
    assert (step.state, step.words) == ("healthy", "it answers")
    assert [kind for _at, kind in server.asked] == ["text", "text"]
    assert server.findings == []


def test_a_hang_under_load_is_told_in_twice_the_limit_and_once(server: Server) -> None:
    server.running, server.rate = 3, 500
    server.run(60)
    server.hang()
    hung_at = server.now
    step = server.run(3 * LIMIT)
    assert step.state == "hanging"
    assert server.kinds() == ["hanging"]
    assert "no token for 6" in server.findings[0][1]
    assert 2 * LIMIT <= server.faulty[0] - hung_at <= 2 * LIMIT + 4 * TICK
    server.answers, server.rate = lambda kind: GOOD, 500
    assert server.run(60).state == "healthy"
    assert server.kinds() == ["hanging", "recovered"]


def test_a_hang_of_an_idle_server_shows_in_its_own_request(server: Server) -> None:
    server.hang()
    server.run(INTERVAL + 2 * LIMIT + 6 * TICK)
    assert [kind for _at, kind in server.asked][:2] == ["text", "token"]
    assert server.kinds() == ["hanging"]


def test_a_long_prefill_is_no_hang(server: Server) -> None:
    """No token for minutes, and our own request waits behind; then the tokens come."""
    server.running = 1
    server.answers = lambda kind: None
    server.run(LIMIT + 60)
    assert server.asked[-1][1] == "token"
    server.rate = 50
    server.run(30)
    server.answers = lambda kind: GOOD
    assert server.run(LIMIT).state == "healthy"
    assert (server.findings, server.faulty) == ([], [])


def test_a_request_of_our_own_that_is_passed_over_proves_nothing(server: Server) -> None:
    server.running, server.rate = 8, 500
    server.answers = lambda kind: None
    server.run(2 * INTERVAL)
    assert server.kinds() == ["unknown"]
    assert "others get some" in server.findings[0][1]
    assert server.faulty == []


def test_steps_or_a_growing_cache_without_tokens_are_progress() -> None:
    now = [0.0]
    judge = Judge(LIMIT, INTERVAL, lambda: now[0])
    for number in range(400):
        now[0] += TICK
        counters = {health.TOKENS: 5.0, health.RUNNING: 1.0, "vllm:kv_cache_usage_perc": number / 1000}
        assert judge.step(Look("one", counters)).state != "hanging"


def test_missing_counters_are_neither_healthy_nor_failed(server: Server) -> None:
    server.tokens = None
    server.answers = lambda kind: None
    server.run(3 * INTERVAL)
    assert set(server.kinds()) <= {"unknown"}
    assert "is unknown" in server.findings[0][1]
    assert server.faulty == []


def test_counters_that_do_not_come_need_the_check_inside_the_container(server: Server) -> None:
    server.deaf = True
    server.answers = lambda kind: Answer(0)
    server.run(3 * LIMIT)
    assert (server.kinds(), server.faulty) == (["unknown"], [])
    server.unhealthy = True
    server.run(3 * LIMIT)
    assert server.kinds() == ["unknown", "hanging"]
    assert "neither from outside nor inside" in server.findings[-1][1]


def test_a_server_that_refuses_the_watch_is_left_alone(server: Server) -> None:
    server.answers = lambda kind: Answer(401)
    step = server.run(3 * INTERVAL)
    assert (step.state, server.kinds(), server.faulty) == ("unknown", ["unknown"], [])
    assert "HTTP 401" in step.words


def test_after_a_lost_connection_it_waits_before_it_asks_again(server: Server) -> None:
    server.answers = lambda kind: Answer(0)
    step = server.run(INTERVAL + 3 * health.RETRY_S)
    assert (step.state, step.words) == ("unknown", "its own request got no answer")
    assert {kind for _at, kind in server.asked} == {"text"}
    pauses = [later - at for (at, _kind), (later, _next) in itertools.pairwise(server.asked)]
    assert pauses
    assert min(pauses) >= health.RETRY_S


def test_errors_are_told(server: Server) -> None:
    server.answers = lambda kind: Answer(500)
    server.run(2 * INTERVAL)
    assert (server.kinds(), server.faulty) == (["failing"], [])


def test_rubbish_takes_three_answers_in_a_row(server: Server) -> None:
    answers = iter([BAD, BAD, GOOD, BAD, BAD, BAD])
    server.answers = lambda kind: next(answers, BAD)
    server.run(INTERVAL + 3 * health.RETRY_S + 60)
    assert server.findings == []
    server.run(INTERVAL)
    assert server.kinds() == ["rubbish"]
    assert "it repeats '!'" in server.findings[0][1]
    assert server.faulty
    server.answers = lambda kind: GOOD
    server.run(60)
    assert server.kinds() == ["rubbish", "recovered"]


def test_behind_a_queue_no_text_is_asked_for(server: Server) -> None:
    server.running, server.waiting, server.rate = 32, 5, 900
    server.run(2 * INTERVAL)
    assert server.asked == []


@pytest.mark.parametrize("why", ["a play deploys", "a benchmark or a check runs"])
def test_it_keeps_still(server: Server, why: str) -> None:
    server.running, server.rate = 3, 500
    server.run(30)
    server.hang()
    server.run(2 * LIMIT - 30)
    server.quiet = why
    step = server.run(5 * LIMIT)
    assert (step.state, step.words, server.judge.pending) == ("quiet", why, "")
    server.quiet = ""
    server.run(2 * LIMIT - 30)
    assert server.findings == [], "what was before does not count any more"


def test_a_start_is_not_judged_before_it_has_answered() -> None:
    server = Server()
    server.tokens, server.running = 0.0, 1
    server.answers = lambda kind: None
    step = server.run(4 * INTERVAL)
    assert (step.state, server.findings) == ("starting", [])
    server.start, server.deaf = "two", True
    assert server.run(4 * INTERVAL).state == "starting"
    assert server.asked[-1][1] == "text"


def test_a_new_start_is_another_server(server: Server) -> None:
    server.running = 3
    server.hang()
    server.run(2 * LIMIT - 30)
    server.start, server.tokens, server.running = "two", 0.0, 0
    server.run(2 * LIMIT)
    assert server.findings == []


def test_a_host_that_was_suspended_starts_anew(server: Server) -> None:
    server.running = 3
    server.hang()
    server.run(60)
    server.turn(10 * LIMIT)
    server.run(LIMIT)
    assert server.findings == []


def test_a_server_that_does_not_run_is_not_asked(server: Server) -> None:
    server.start = ""
    step = server.run(2 * INTERVAL)
    assert (step.state, step.words, server.asked) == ("quiet", "the server does not run", [])
