# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a server that serves hangs or answers rubbish. Pure: time, counters and answers are given to it.

A server hangs if two things come together: requests are under way, and no counter has moved for the limit; and then a
request for one token of our own gets none within the limit either, while still nothing moves. A long prefill, a busy
server or counters that cannot be read are no hang.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .texts import excerpt, is_broken, loop_of

# A watch that has not looked for so long was itself stopped, as by a host that was suspended.
GAP_S = 60.0
FIRST_TEXT_S = 30.0
RETRY_S = 15.0
# So many answers to different prompts, one after the other, must be rubbish.
RUBBISH_TIMES = 3

RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
TOKENS = "vllm:generation_tokens_total"
# What moves while a server works. The chunks of a long prompt show in the use of the KV cache and in the steps.
PROGRESS = (
    TOKENS,
    "vllm:prompt_tokens_total",
    "vllm:request_success_total",
    "vllm:iteration_tokens_total_sum",
    "vllm:iteration_tokens_total_count",
    "vllm:num_preemptions_total",
    "vllm:kv_cache_usage_perc",
    "vllm:gpu_cache_usage_perc",
)

QUIET, STARTING, HEALTHY, UNKNOWN = "quiet", "starting", "healthy", "unknown"
ASKING, HANGING, RUBBISH, FAILING, RECOVERED = "asking", "hanging", "rubbish", "failing", "recovered"
STATES = (QUIET, STARTING, HEALTHY, UNKNOWN, ASKING, HANGING, RUBBISH, FAILING)
TOKEN, TEXT = "token", "text"


class Look(NamedTuple):
    """What was seen at one moment.

    C(start) tells one start of the server from another; it is empty if none runs. C(counters) is None if the server
    did not tell them. C(unhealthy) is whether Docker's own check, inside the container, fails. C(quiet) is why the
    watch may send no request and draw no conclusion now.
    """

    start: str
    counters: Mapping[str, float] | None = None
    unhealthy: bool = False
    quiet: str = ""


class Answer(NamedTuple):
    """The answer to a request of our own. C(status) is that of HTTP, 0 if there was none."""

    status: int
    text: str = ""


class Finding(NamedTuple):
    """Something to record."""

    kind: str
    words: str


class Step(NamedTuple):
    """What follows from a look.

    C(ask) is the request to send now (TOKEN or TEXT), if any; it replaces one that is pending. C(faulty) is whether
    this look has proven that the server is of no use.
    """

    state: str
    words: str
    ask: str = ""
    findings: Sequence[Finding] = ()
    faulty: bool = False


class Judge:
    """Judges one look after the other. C(limit_s) and C(interval_s) may be changed between them."""

    def __init__(self, limit_s: float, interval_s: float, clock: Callable[[], float]) -> None:
        self.limit_s = limit_s
        self.interval_s = interval_s
        self._clock = clock
        self._looked_at = clock()
        self._start = ""
        self._served = False
        self._told: set[str] = set()
        self._findings: list[Finding] = []
        self._faulty = False
        self._begin(self._looked_at, None)
        self._say(QUIET, "it has not looked yet")

    @property
    def pending(self) -> str:
        """The request of our own that is under way; empty if there is none."""
        return self._question

    def step(self, look: Look, answer: Answer | None = None) -> Step:
        """Judge a look, with the answer to the pending request if it has come."""
        now = self._clock()
        gap, self._looked_at, self._findings, self._faulty = now - self._looked_at, now, [], False
        is_new = bool(look.start) and look.start != self._start
        if is_new:
            self._start, self._served, self._told, self._rubbish = look.start, False, set(), 0
        if look.quiet or not look.start or is_new or gap > GAP_S:
            self._begin(now, look.counters)
            self._text_at = now + (min(FIRST_TEXT_S, self.interval_s) if is_new else self.interval_s)
            why = look.quiet or ("the server does not run" if not look.start else "")
            return self._step(QUIET if why else STARTING, why or "it has begun to watch")
        self._count(now, look.counters)
        if answer is not None and self._question:
            self._hear(now, answer)
        ask = self._suspect(now)
        if not ask and self._question and now - self._asked_at >= self.limit_s:
            ask = self._unanswered(now, look)
        ask = ask or self._next(now, look)
        return self._step(self._state, self._words, ask)

    def _begin(self, now: float, counters: Mapping[str, float] | None) -> None:
        """Forget what has been going on."""
        self._question = ""
        self._again = False
        self._asked_at = self._still_since = self._deaf_since = now
        self._text_at = now + self.interval_s
        self._rubbish = 0
        self._progress = _progress(counters)

    def _count(self, now: float, counters: Mapping[str, float] | None) -> None:
        progress = _progress(counters)
        under_way = sum((counters or {}).get(name, 0.0) for name in (RUNNING, WAITING)) > 0
        # Counters that are not there tell neither of progress nor of a hang.
        moved = progress is None or progress != self._progress
        if moved or not (under_way or self._question):
            self._still_since = now
        if counters is not None:
            self._deaf_since = now
        self._progress = progress
        self._served = self._served or bool((counters or {}).get(TOKENS))

    def _hear(self, now: float, answer: Answer) -> None:
        question, self._question = self._question, ""
        if answer.status == 0:
            if question == TOKEN and self._served:
                self._question, self._again = TOKEN, True  # it goes on within the same limit
            else:
                self._say(UNKNOWN, "its own request got no answer")
                self._text_at = now + RETRY_S
            return
        self._text_at = now + self.interval_s
        self._still_since = self._deaf_since = now
        if answer.status != 200:
            kind = FAILING if answer.status >= 500 else UNKNOWN
            self._find(kind, f"its own request was answered with HTTP {answer.status}")
            return
        self._served = True
        rubbish = self._rubbish_of(answer.text) if question == TEXT else ""
        if rubbish:
            self._text_at = now + RETRY_S
            if self._rubbish >= RUBBISH_TIMES:
                self._find(RUBBISH, f"{RUBBISH_TIMES} answers to different prompts were rubbish: {rubbish}")
                self._faulty = True
            elif RUBBISH not in self._told:
                self._say(ASKING, f"an answer was rubbish ({rubbish}); it asks again with another prompt")
        elif question == TEXT or RUBBISH not in self._told:  # one token is no proof of sense
            if self._told & {HANGING, RUBBISH}:
                self._findings.append(Finding(RECOVERED, "it answers again"))
            self._told -= {HANGING, RUBBISH}
            self._say(HEALTHY, "it answers" if answer.text.strip() else "it answers, with an empty text")

    def _rubbish_of(self, text: str) -> str:
        """Return what is wrong with an answer, and count such answers in a row."""
        loop = loop_of(text)
        wrong = f"it repeats {excerpt(loop)!r}" if loop else "it is no text" if is_broken(text) else ""
        self._rubbish = self._rubbish + 1 if wrong else 0
        return wrong

    def _suspect(self, now: float) -> str:
        """Return TOKEN if nothing has moved, or been told, for the limit; whatever else is asked then is of no use."""
        still_s, deaf_s = now - self._still_since, now - self._deaf_since
        if not self._served or self._question == TOKEN or max(still_s, deaf_s) < self.limit_s:
            return ""
        what = f"no token for {still_s:.0f} s" if still_s >= self.limit_s else f"no counters for {deaf_s:.0f} s"
        self._say(ASKING, f"{what}; it asks for one token")
        return TOKEN

    def _unanswered(self, now: float, look: Look) -> str:
        """Return what to ask next, as the limit of a request has passed."""
        question, self._question = self._question, ""
        self._text_at = now + self.interval_s
        if not self._served:
            self._say(STARTING, "it has not answered a request yet")
            return ""
        if question == TOKEN and self._still_since <= self._asked_at:
            return self._hangs(f"no token for {now - self._still_since:.0f} s, and none for its own request")
        if question == TOKEN and self._deaf_since < self._asked_at and look.unhealthy:
            for_s = now - self._deaf_since
            return self._hangs(f"it has answered nothing for {for_s:.0f} s, neither from outside nor inside")
        self._still_since = self._deaf_since = now
        why = "whether others get some is unknown" if self._progress is None else "others get some"
        self._find(UNKNOWN, f"its own request got no token within {self.limit_s:.0f} s; {why}")
        return ""

    def _hangs(self, words: str) -> str:
        """Tell that the server hangs; its next token will show that it has recovered."""
        self._find(HANGING, words)
        self._faulty = True
        return TOKEN

    def _next(self, now: float, look: Look) -> str:
        """Return the request to send now, if it is time for one."""
        if self._question:
            again, self._again = self._again, False
            return self._question if again else ""
        # Behind a queue it would not be cheap.
        if now >= self._text_at and look.counters is not None and not look.counters.get(WAITING):
            return TEXT
        return ""

    def _step(self, state: str, words: str, ask: str = "") -> Step:
        if ask and ask != self._question:
            self._question, self._asked_at, self._again = ask, self._looked_at, False
        self._say(state, words)
        return Step(state, words, ask, tuple(self._findings), self._faulty)

    def _say(self, state: str, words: str) -> None:
        self._state, self._words = state, words

    def _find(self, kind: str, words: str) -> None:
        """Tell a finding, once for a start of the server unless it has recovered."""
        self._say(kind, words)
        if kind not in self._told:
            self._told.add(kind)
            self._findings.append(Finding(kind, words))


def _progress(counters: Mapping[str, float] | None) -> dict[str, float] | None:
    """Return what shows progress; None if the server does not count its tokens."""
    if counters is None or TOKENS not in counters:
        return None
    return {name: counters[name] for name in PROGRESS if name in counters}
