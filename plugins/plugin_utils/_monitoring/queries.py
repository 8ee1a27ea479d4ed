# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions in Prometheus' language, by what they say of a server. Alarms, dashboards and pages share them.

A server is known by the labels C(node) and C(server). What vLLM says is summed over its engines. C(window) is a
duration such as C(5m). A figure that cannot be told is no sample, and never 0.
"""

from __future__ import annotations

BY = "by (node, server)"


def summed(expression: str) -> str:
    """Return the sum of an expression for each server."""
    return f"sum {BY} ({expression})"


def rate(metric: str, window: str) -> str:
    """Return the rate of a counter of vLLM for each server, per second."""
    return summed(f"rate(vllm:{metric}[{window}])")


def mean(histogram: str, window: str) -> str:
    """Return the mean of a histogram of vLLM for each server, in its unit."""
    return f"({rate(f'{histogram}_sum', window)} / ({rate(f'{histogram}_count', window)} > 0))"


def quantile(share: float, histogram: str, window: str) -> str:
    """Return a quantile of a histogram of vLLM for each server, in its unit."""
    buckets = f"sum by (node, server, le) (rate(vllm:{histogram}_bucket[{window}]))"
    return f"histogram_quantile({share}, {buckets})"


def tpot(window: str) -> str:
    """Return the mean time per output token, in seconds."""
    return mean("request_time_per_output_token_seconds", window)


def ttft(window: str) -> str:
    """Return the mean time to the first token, in seconds."""
    return mean("time_to_first_token_seconds", window)


def output_rate(window: str) -> str:
    """Return the output tokens per second."""
    return rate("generation_tokens_total", window)


def acceptance(window: str) -> str:
    """Return the tokens per step with speculative decoding."""
    accepted, drafts = "spec_decode_num_accepted_tokens_total", "spec_decode_num_drafts_total"
    return f"(1 + {rate(accepted, window)} / ({rate(drafts, window)} > 0))"


def computed_prompt_rate(window: str) -> str:
    """Return the prompt tokens per second that had to be computed, those from the prefix cache left out."""
    prompt, cached = rate("prompt_tokens_total", window), rate("prompt_tokens_cached_total", window)
    return f"({prompt} - ({cached} or 0 * {prompt}))"


def prefix_hits(window: str) -> str:
    """Return the share of the prompt tokens that the prefix cache had, from 0 to 1."""
    return f"({rate('prefix_cache_hits_total', window)} / ({rate('prefix_cache_queries_total', window)} > 0))"


def error_share(window: str) -> str:
    """Return the share of the requests that ended with an error, from 0 to 1."""
    ended = rate("request_success_total", window)
    failed = summed(f'rate(vllm:request_success_total{{finished_reason="error"}}[{window}])')
    return f"({failed} / ({ended} > 0))"


def running() -> str:
    """Return the requests that run now."""
    return summed("vllm:num_requests_running")


def waiting() -> str:
    """Return the requests that wait now."""
    return summed("vllm:num_requests_waiting")


def most(gauge: str, window: str) -> str:
    """Return the greatest value of a gauge of vLLM in a window."""
    return summed(f"max_over_time(vllm:{gauge}[{window}])")


def least(gauge: str, window: str) -> str:
    """Return the smallest value of a gauge of vLLM in a window."""
    return summed(f"min_over_time(vllm:{gauge}[{window}])")


def kv_cache() -> str:
    """Return the share of the KV cache in use, from 0 to 1."""
    return f"max {BY} (vllm:kv_cache_usage_perc)"


# --- what was proven ---


def proven(metric: str) -> str:
    """Return a figure of the proof, in the unit of its name."""
    return f'max {BY} (hgx_proof_figure{{metric="{metric}"}})'


def proven_load(part: str) -> str:
    """Return C(concurrency), C(input_len) or C(output_len) of the proof."""
    return f'max {BY} (hgx_proof_workload{{part="{part}"}})'


def proven_tpot(window: str) -> str:
    """Return the proven time per output token at the present concurrency, in seconds.

    It is that of the lowest measured concurrency that is not below the greatest of the window, since more requests at a
    time make each slower. Above all measured concurrencies nothing is proven, and there is no sample.
    """
    at = f"hgx_proof_point_concurrency >= on (node, server) group_left () {most('num_requests_running', window)}"
    return f"min {BY} (hgx_proof_point_tpot_seconds and on (node, server, point) ({at}))"


def proven_acceptance() -> str:
    """Return the acceptance length on real text or, if that was not measured, on the benchmark's."""
    return f"(max {BY} (hgx_proof_text_acceptance_length) or {proven('acceptance_length')})"


def comparable_load(window: str) -> str:
    """Return a sample for each server with no more prompt to compute for each output token than in its proof."""
    load = f"{computed_prompt_rate(window)} / ({output_rate(window)} > 0)"
    return f"({load} <= 1.25 * {proven_load('input_len')} / {proven_load('output_len')})"
