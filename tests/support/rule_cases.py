# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For each alarm, a fleet that fires it and one that almost does: the input of C(promtool test rules).

Everything is relative to a fleet in which all is well and nothing may fire. Each case changes some of its series.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.hgx.inference.plugins.plugin_utils._monitoring.rules import RUNBOOK, rules

STEP_S = 60
STEPS = 45
CHANGE = 25  # the step in which something changes, where it has not been so from the beginning
END = "40m"
END_S = 2400
# So that hours need not be played.
SETTINGS = {"ReleaseNotProven": {"for": "10m"}, "NodeIdleAndBilled": {"window": "30m"}}
VLLM = 'job="vllm",node="n1",server="vllm",instance="n1:8001",model_name="m"'
NODE = 'job="node",node="n1",instance="n1:9100"'
OWN = f'{NODE},server="vllm"'
RELEASE = f'{OWN},release="abc"'


def constant(value: float) -> str:
    return f"{value:g}x{STEPS}"


def changed(before: float, after: float, for_steps: int = STEPS) -> str:
    """Return a series that changes; with C(for_steps) it changes back."""
    rest = STEPS - CHANGE - for_steps
    return f"{before:g}x{CHANGE - 1} {after:g}x{for_steps - 1}" + (f" {before:g}x{rest}" if rest > 0 else "")


def rising(by: float) -> str:
    """Return a series that rises in each step."""
    return f"0+{by:g}x{STEPS}"


def per_second(value: float) -> str:
    return rising(value * STEP_S)


def histogram(name: str, mean: float, requests: float = 0.7) -> dict[str, str]:
    return {
        f"vllm:{name}_sum{{{VLLM}}}": per_second(mean * requests),
        f"vllm:{name}_count{{{VLLM}}}": per_second(requests),
    }


def vllm(**metrics: str) -> dict[str, str]:
    return {f"vllm:{name}{{{VLLM}}}": values for name, values in metrics.items()}


def proof(**figures: float) -> dict[str, str]:
    return {f'hgx_proof_figure{{{RELEASE},metric="{name}"}}': constant(value) for name, value in figures.items()}


def expiry(kind: str, days: float) -> dict[str, str]:
    return {f'hgx_expiry_timestamp_seconds{{{NODE},kind="{kind}",name="x"}}': constant(days * 86400 + END_S)}


STALE_XID = f'hgx_xid_timestamp_seconds{{{OWN},bus_id="0000:17:00",xid="79"}}'
THROTTLED = f'hgx_gpu_throttled{{{NODE},gpu="5",bus_id="0000:17:00",reason="hw_thermal_slowdown"}}'
FABRIC = f'hgx_gpu_fabric_joined{{{NODE},gpu="5",bus_id="0000:17:00"}}'
PROVEN = f'hgx_release_proven{{{RELEASE},verdict="pass"}}'
UP = {
    name: f'haproxy_server_status{{job="gateway",node="g1",proxy="vllm",server="{name}",state="UP"}}' for name in "ab"
}
DISK = f'{{{NODE},mountpoint="/",fstype="ext4",device="/dev/sda"}}'
IDLE = vllm(
    num_requests_running=constant(0),
    generation_tokens_total=constant(9),
    prompt_tokens_total=constant(9),
    iteration_tokens_total_count=constant(9),
    spec_decode_num_drafts_total=constant(9),
    spec_decode_num_accepted_tokens_total=constant(9),
    request_success_total=constant(9),
)
HEALTHY = {
    'up{job="vllm",node="n1",server="vllm",instance="n1:8001"}': constant(1),
    f"up{{{NODE}}}": constant(1),
    'up{job="gateway",node="g1",instance="g1:8405"}': constant(1),
    **vllm(
        num_requests_running=constant(32),
        num_requests_waiting=constant(0),
        generation_tokens_total=per_second(1400),
        prompt_tokens_total=per_second(5600),
        prompt_tokens_cached_total=constant(0),
        iteration_tokens_total_count=per_second(10),
        request_success_total=per_second(0.7),
        kv_cache_usage_perc=constant(0.5),
        num_preemptions_total=constant(0),
        prefix_cache_queries_total=per_second(5600),
        prefix_cache_hits_total=per_second(2000),
        spec_decode_num_drafts_total=per_second(560),
        spec_decode_num_accepted_tokens_total=per_second(840),
    ),
    **histogram("request_time_per_output_token_seconds", 0.021),
    **histogram("time_to_first_token_seconds", 2.0),
    **histogram("request_queue_time_seconds", 0.0),
    f'hgx_release_info{{{RELEASE},current="1"}}': constant(1),
    PROVEN: constant(1),
    **proof(steady_output_throughput=1439, acceptance_length=1.6, warm_mean_ttft_ms=2264),
    f"hgx_proof_text_acceptance_length{{{OWN}}}": constant(2.5),
    **{
        f'hgx_proof_workload{{{RELEASE},part="{part}"}}': constant(value)
        for part, value in (("concurrency", 32), ("input_len", 8192), ("output_len", 2048))
    },
    **{
        f'hgx_proof_point_{name}{{{RELEASE},point="{at}"}}': constant(value)
        for at, tpot in ((8, 0.009), (32, 0.021))
        for name, value in (("concurrency", at), ("tpot_seconds", tpot))
    },
    **{
        f'hgx_watch_state{{{OWN},state="{state}"}}': constant(state == "healthy")
        for state in ("healthy", "hanging", "rubbish")
    },
    f"hgx_watch_looked_timestamp_seconds{{{OWN}}}": rising(STEP_S),
    **{name: constant(1) for name in UP.values()},
    f"hgx_gpus{{{NODE}}}": constant(8),
    f"hgx_node_gpus_expected{{{NODE}}}": constant(8),
    THROTTLED: constant(0),
    FABRIC: constant(1),
    f'hgx_gpu_ecc_uncorrected_total{{{NODE},gpu="5"}}': constant(0),
    f'node_textfile_mtime_seconds{{{NODE},file="/x/hgx_gpus.prom"}}': rising(STEP_S),
    f"node_filesystem_avail_bytes{DISK}": constant(50),
    f"node_filesystem_size_bytes{DISK}": constant(100),
    **expiry("certificate", 90),
    **expiry("key", 90),
    f"hgx_node_expiry_timestamp_seconds{{{NODE}}}": constant(86400 + END_S),
    f"hgx_node_price_usd_per_hour{{{NODE}}}": constant(53.52),
}


class Case(NamedTuple):
    """What an alarm says of two fleets: C(fires) fires it, and C(almost) fires nothing at all.

    C(also) are further alarms that the first fleet fires. C(summary) and C(cause) are what the alarm says.
    """

    fires: Mapping[str, str | None]
    almost: Mapping[str, str | None]
    also: tuple[str, ...] = ()
    summary: str = ""
    cause: str = ""


LATER = changed(0, 1)
XID_AT = f"_x{CHANGE} {CHANGE * STEP_S}x{STEPS}"
CASES = {
    "SlowerThanProven": Case(
        {**histogram("request_time_per_output_token_seconds", 0.028), THROTTLED: "0x38 1x9"},
        # At 33 requests at a time nothing is proven.
        {
            **histogram("request_time_per_output_token_seconds", 0.028),
            **vllm(num_requests_running=constant(33)),
        },
        summary="vllm on n1: 28ms for each output token, more than proven at this concurrency.",
        cause="GPU 5 lowers its clocks (hw_thermal_slowdown). ",
    ),
    "ThroughputBelowProof": Case(
        vllm(generation_tokens_total=per_second(1140)) | vllm(prompt_tokens_total=per_second(4000)),
        # Its clients send more to read than those of the proof.
        vllm(generation_tokens_total=per_second(1140)) | vllm(prompt_tokens_total=per_second(6000)),
        summary="vllm on n1: 1140 output tokens per second at saturation, less than it has proven.",
        cause="No cause shows in the metrics.",
    ),
    "AcceptanceBelowProof": Case(
        vllm(spec_decode_num_accepted_tokens_total=per_second(500)),
        vllm(spec_decode_num_accepted_tokens_total=per_second(580)),
        summary="vllm on n1: 1.89 tokens per step, less than the draft has proven.",
        cause="The draft is accepted less than proven (1.89 tokens per step). ",
    ),
    "FirstTokenLaterThanProven": Case(
        histogram("time_to_first_token_seconds", 4.0),
        histogram("time_to_first_token_seconds", 4.0) | histogram("request_queue_time_seconds", 2.0),
    ),
    "ReleaseNotProven": Case(
        {PROVEN: None}, {PROVEN: None, f'hgx_release_proven{{{RELEASE},verdict="warn"}}': constant(1)}
    ),
    "VllmDown": Case(
        {'up{job="vllm",node="n1",server="vllm",instance="n1:8001"}': changed(1, 0)},
        {'up{job="vllm",node="n1",server="vllm",instance="n1:8001"}': changed(1, 0, 1)},
    ),
    "VllmStalled": Case(
        IDLE | vllm(num_requests_running=constant(3)),
        # A prompt so long that no token has come for minutes.
        IDLE
        | vllm(num_requests_running=constant(3), iteration_tokens_total_count=per_second(0.1))
        | {f"hgx_node_price_usd_per_hour{{{NODE}}}": None},
        also=("NodeIdleAndBilled",),
    ),
    "VllmUnwell": Case(
        {f'hgx_watch_state{{{OWN},state="rubbish"}}': LATER}, {f'hgx_watch_state{{{OWN},state="asking"}}': LATER}
    ),
    "WatchSilent": Case(
        {f"hgx_watch_looked_timestamp_seconds{{{OWN}}}": constant(60)},
        {f"hgx_watch_looked_timestamp_seconds{{{OWN}}}": None},
    ),
    "RankDown": Case(
        {f'hgx_span_rank_up{{{OWN},rank="1",host="n2"}}': changed(1, 0)},
        {f'hgx_span_rank_up{{{OWN},rank="1",host="n2"}}': changed(1, 0, 1)},
    ),
    "RanksRestarted": Case(
        {f'hgx_span_stopped_timestamp_seconds{{{OWN},why="rank 1 on n2: it died"}}': constant(0)},
        {f'hgx_span_stopped_timestamp_seconds{{{OWN},why="rank 1 on n2: it died"}}': constant(-7200)},
    ),
    "RequestsFail": Case(
        {f'vllm:request_success_total{{{VLLM},finished_reason="error"}}': per_second(0.05)},
        {f'vllm:request_success_total{{{VLLM},finished_reason="error"}}': per_second(0.01)},
    ),
    "RequestsQueue": Case(
        vllm(num_requests_waiting=constant(3)), vllm(num_requests_waiting=f"0 3 0 3 0 3 0 3 0x{STEPS}")
    ),
    "KvCacheFull": Case(vllm(kv_cache_usage_perc=constant(0.97)), vllm(kv_cache_usage_perc=constant(0.94))),
    "RequestsPreempted": Case(
        vllm(num_preemptions_total=per_second(0.02)), vllm(num_preemptions_total=per_second(0.005))
    ),
    "GatewayDown": Case(
        {'up{job="gateway",node="g1",instance="g1:8405"}': changed(1, 0)},
        {'up{job="gateway",node="g1",instance="g1:8405"}': None},
    ),
    "NodeOutOfRotation": Case({UP["a"]: changed(1, 0)}, {UP["a"]: changed(1, 0, 5)}),
    "FleetBelowHalf": Case(
        {UP["a"]: changed(1, 0), UP["b"]: changed(1, 0)},
        {UP["a"]: changed(1, 0, 5)},
        also=("NodeOutOfRotation",),
    ),
    "NodeDown": Case({f"up{{{NODE}}}": changed(1, 0)}, {f"up{{{NODE}}}": changed(1, 0, 1)}),
    "XidEvent": Case(
        {STALE_XID: XID_AT},
        {STALE_XID.replace('"79"', '"31"'): XID_AT},
    ),
    "GpuThrottles": Case(
        {THROTTLED: constant(1)}, {THROTTLED.replace("hw_thermal_slowdown", "sw_power_cap"): constant(1)}
    ),
    "GpuMemoryErrors": Case(
        {f'hgx_gpu_ecc_uncorrected_total{{{NODE},gpu="5"}}': constant(1)},
        {f'hgx_gpu_ecc_uncorrected_total{{{NODE},gpu="5"}}': None},
    ),
    "GpuLost": Case({f"hgx_gpus{{{NODE}}}": constant(7)}, {f"hgx_gpus{{{NODE}}}": None}),
    "FabricIncomplete": Case({FABRIC: constant(0)}, {FABRIC: None}),
    "GpuMetricsOld": Case(
        {f'node_textfile_mtime_seconds{{{NODE},file="/x/hgx_gpus.prom"}}': constant(60)},
        {f'node_textfile_mtime_seconds{{{NODE},file="/x/other.prom"}}': constant(60)},
    ),
    "DiskFull": Case(
        {f"node_filesystem_avail_bytes{DISK}": constant(4)}, {f"node_filesystem_avail_bytes{DISK}": constant(6)}
    ),
    "CertificateExpires": Case(expiry("certificate", 13), expiry("certificate", 15)),
    "KeyExpires": Case(expiry("key", 6), expiry("key", 8)),
    "NodeExpires": Case(
        {f"hgx_node_expiry_timestamp_seconds{{{NODE}}}": constant(11 * 3600 + END_S)},
        {f"hgx_node_expiry_timestamp_seconds{{{NODE}}}": constant(13 * 3600 + END_S)},
    ),
    "NodeIdleAndBilled": Case(IDLE, IDLE | {f"hgx_node_price_usd_per_hour{{{NODE}}}": None}),
}


def said(name: str, case: Case) -> list[dict[str, Any]]:
    """Return a test of what an alarm says in full."""
    if not case.summary:
        return []
    annotations = {"summary": case.summary, "cause": case.cause, "runbook": f"{RUNBOOK}#{name.lower()}"}
    alert = {"exp_labels": {"node": "n1", "server": "vllm", "severity": "warn"}, "exp_annotations": annotations}
    return [{"alertname": name, "eval_time": END, "exp_alerts": [alert]}]


def firing(overrides: Mapping[str, str | None], alarms: tuple[str, ...]) -> dict[str, Any]:
    """Return a test: this fleet fires exactly these alarms."""
    series = {**HEALTHY, **overrides}
    return {
        "interval": f"{STEP_S}s",
        "input_series": [{"series": name, "values": values} for name, values in series.items() if values is not None],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": END,
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(alarms)],
            }
        ],
    }


def tests(rule_file: str) -> dict[str, Any]:
    """Return the content of a test file for a file of rules."""
    found = [firing({}, ())]
    for name, case in CASES.items():
        fires = {**firing(case.fires, (name, *case.also)), "alert_rule_test": said(name, case)}
        found += [fires, firing(case.almost, ())]
    return {"rule_files": [rule_file], "evaluation_interval": f"{STEP_S}s", "tests": found}


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8") as stream:
        json.dump(rules(SETTINGS), stream)
    with open(sys.argv[2], "w", encoding="utf-8") as stream:
        json.dump(tests(sys.argv[1]), stream)
