# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulation of an engine that is a thousand times as fast as simulated_server.py, because it counts no tokens.

It has what makes a short run of the real engine misleading: all slots start at once and wait for each other's prompts,
a step takes longer the more requests run, and the acceptance of drafts varies between requests. From step to step it
only asks which request ends next.
"""

from __future__ import annotations

import heapq
import math
import random
import statistics
from typing import NamedTuple

CONCURRENCY = 32


class Engine(NamedTuple):
    """An engine under the published load of Kimi K2.6 on an HGX B200.

    A request takes as many steps as its tokens over the tokens per step, which vary by C(spread) (the standard
    deviation over the mean) between requests. C(steps) and C(step_s) are the means with all slots busy; an empty engine
    would take 1 - C(batch_share) of that. A prompt takes C(prefill_s), in which the others do one step.
    """

    steps: float = 2048 / 2.105
    step_s: float = 0.037
    spread: float = 0.28
    prefill_s: float = 0.33
    batch_share: float = 0.4

    def latencies(self, requests: int, luck: random.Random) -> list[float]:
        """Return the latency of each request of a run, in seconds, in the order in which they end."""
        sigma = math.sqrt(math.log(1 + self.spread**2))
        now = done_steps = 0.0
        starts: list[float] = [0.0] * min(CONCURRENCY, requests)
        prefilled = 0
        running: list[tuple[float, float]] = []  # the step after which it ends, and when it started
        latencies: list[float] = []
        while len(latencies) < requests:
            if prefilled < len(starts):
                now, done_steps = now + self.prefill_s, done_steps + 1
                ends_at = done_steps + self.steps * luck.lognormvariate(-(sigma**2) / 2, sigma)
                heapq.heappush(running, (ends_at, starts[prefilled]))
                prefilled += 1
            else:
                share = 1 - self.batch_share * (1 - len(running) / CONCURRENCY)
                now, done_steps = now + (running[0][0] - done_steps) * self.step_s * share, running[0][0]
            while running and running[0][0] <= done_steps:
                latencies.append(now - heapq.heappop(running)[1])
                if len(starts) < requests:
                    starts.append(now)
        return latencies

    def with_throughput(self, tokens_per_s: float, output_len: int) -> Engine:
        """Return an engine that is slower or faster, so that it has this output throughput in the long run."""
        found = CONCURRENCY * output_len / statistics.fmean(self.latencies(20_000, random.Random(0)))
        factor = found / tokens_per_s
        return self._replace(step_s=self.step_s * factor, prefill_s=self.prefill_s * factor)
