# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alarms: those relative to what a node has proven, and the classical ones. Pure.

Each has its entry of the same name in docs/guides/monitoring.md, and cases in tests/support/rule_cases.py.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ...module_utils._nvidia.xid import HARMLESS
from . import queries as q

PAGE, WARN, INFO = "page", "warn", "info"
RUNBOOK = "docs/guides/monitoring.md"
_HARMLESS = "|".join(map(str, sorted(HARMLESS)))
_SETTINGS = ("enabled", "for", "window", "limit", "severity")
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")


class RuleError(Exception):
    """Settings that no rule can be made of; C(problems) has a sentence for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class Alarm(NamedTuple):
    """One alarm. C(expression) takes the window and the limit; an alarm without a limit or window ignores them."""

    name: str
    severity: str
    expression: Callable[[str, float], str]
    summary: str
    wait: str
    window: str = "5m"
    limit: float = 0.0
    relative: bool = False


def _query(expression: str, words: str) -> str:
    """Return a template that says C(words) for each sample of an expression about the node, which is its C(%s)."""
    quoted = expression.replace('"', "'")
    return f'{{{{ range query (printf "{quoted}" $labels.node) }}}}{{{{ $known = true }}}}{words} {{{{ end }}}}'


# What is known to make a server slow, by what its metrics show. The words are those of the alarm's text.
_THROTTLED = "max by (gpu, reason) (hgx_gpu_throttled{node='%s',reason!='sw_power_cap'}) == 1"
_OWN = " and on (node) (up{node='%s'})"
CAUSE = (
    "{{ $known := false }}"
    + _query(_THROTTLED, "GPU {{ .Labels.gpu }} lowers its clocks ({{ .Labels.reason }}).")
    + _query("hgx_xid_timestamp_seconds{node='%s'} > time() - 86400", "Xid {{ .Labels.xid }} at {{ .Labels.bus_id }}.")
    + _query("hgx_gpu_fabric_joined{node='%s'} == 0", "GPU {{ .Labels.gpu }} is not in the fabric.")
    + _query(
        f"({q.acceptance('10m')} < 0.8 * {q.proven_acceptance()}){_OWN}",
        "The draft is accepted less than proven ({{ printf `%.2f` .Value }} tokens per step).",
    )
    + _query(
        f"({q.prefix_hits('10m')} < 0.5 * {q.prefix_hits('1d')}){_OWN}",
        "The prefix cache hits {{ .Value | humanizePercentage }}, less than half of the day's share.",
    )
    + _query(f"({q.waiting()} > 0){_OWN}", "{{ .Value }} requests wait.")
    + "{{ if not $known }}No cause shows in the metrics.{{ end }}"
)


def _above(expression: str, reference: str, limit: float) -> str:
    return f"{expression} > {limit} * {reference}"


def _tpot(window: str, limit: float) -> str:
    return f"{_above(q.tpot(window), q.proven_tpot(window), limit)} and {q.comparable_load(window)}"


def _acceptance(window: str, limit: float) -> str:
    enough = q.summed(f"increase(vllm:spec_decode_num_drafts_total[{window}])")
    return f"{q.acceptance(window)} < {limit} * {q.proven_acceptance()} and {enough} > 100"


def _throughput(window: str, limit: float) -> str:
    saturated = f"{q.least('num_requests_running', window)} >= 0.9 * {q.proven_load('concurrency')}"
    slow = f"{q.output_rate(window)} < {limit} * {q.proven('steady_output_throughput')}"
    return f"{slow} and ({saturated}) and {q.comparable_load(window)}"


def _ttft(window: str, limit: float) -> str:
    alone = f"({q.ttft(window)} - {q.mean('request_queue_time_seconds', window)})"
    slow = _above(alone, f"{q.proven('warm_mean_ttft_ms')} / 1000", limit)
    prompt = f"{q.computed_prompt_rate(window)} / ({q.rate('request_success_total', window)} > 0)"
    no_longer = f"({prompt} <= 1.25 * {q.proven_load('input_len')})"
    no_queue = f"({q.most('num_requests_waiting', window)} == 0)"
    no_more = f"({q.most('num_requests_running', window)} <= {q.proven_load('concurrency')})"
    return f"{slow} and {no_queue} and {no_more} and {no_longer}"


def _stalled(window: str, _limit: float) -> str:
    """No counter moves. A long prompt counts its steps before its tokens."""
    moved = " or ".join(
        f"{q.summed(f'increase(vllm:{metric}[{window}])')} > 0"
        for metric in ("generation_tokens_total", "prompt_tokens_total", "iteration_tokens_total_count")
    )
    known = q.summed(f"count_over_time(vllm:generation_tokens_total[{window}])")
    return f"({q.least('num_requests_running', window)} > 0 and {known} > 1) unless ({moved})"


def _idle(window: str, limit: float) -> str:
    """A node that costs money and serves nothing, in USD a day."""
    served = f"sum by (node) (increase(vllm:generation_tokens_total[{window}])) > 0"
    known = f'max by (node) (up{{job="vllm"}} offset {window}) >= 0'
    return f"24 * max by (node) (hgx_node_price_usd_per_hour) > {limit} and ({known}) unless ({served})"


def _until(metric: str) -> Callable[[str, float], str]:
    return lambda _window, limit: f"{metric} - time() < {limit}"


def _fewer_gpus(_window: str, _limit: float) -> str:
    return "max by (node) (hgx_gpus) < max by (node) (hgx_node_gpus_expected)"


def _of_server(what: str) -> str:
    return f"{{{{ $labels.server }}}} on {{{{ $labels.node }}}}: {what}"


_DAY = 86400.0
ALARMS = (
    # Relative to the proof.
    Alarm(
        "SlowerThanProven",
        WARN,
        _tpot,
        _of_server("{{ $value | humanizeDuration }} for each output token, more than proven at this concurrency."),
        "10m",
        window="10m",
        limit=1.25,
        relative=True,
    ),
    Alarm(
        "ThroughputBelowProof",
        WARN,
        _throughput,
        _of_server("{{ printf `%.0f` $value }} output tokens per second at saturation, less than it has proven."),
        "10m",
        window="10m",
        limit=0.8,
        relative=True,
    ),
    Alarm(
        "AcceptanceBelowProof",
        WARN,
        _acceptance,
        _of_server("{{ printf `%.2f` $value }} tokens per step, less than the draft has proven."),
        "15m",
        window="15m",
        limit=0.8,
        relative=True,
    ),
    Alarm(
        "FirstTokenLaterThanProven",
        WARN,
        _ttft,
        _of_server("{{ $value | humanizeDuration }} to the first token without a queue, more than it has proven."),
        "10m",
        window="10m",
        limit=1.5,
        relative=True,
    ),
    Alarm(
        "ReleaseNotProven",
        WARN,
        lambda _window, _limit: (
            'hgx_release_info{current="1"} unless on (node, server, release) hgx_release_proven{verdict=~"pass|warn"}'
        ),
        _of_server("it serves release {{ $labels.release }}, which has not passed its benchmark."),
        "1h",
    ),
    # The server.
    Alarm(
        "VllmDown",
        PAGE,
        lambda _window, _limit: 'up{job="vllm"} == 0',
        _of_server("it does not answer /metrics."),
        "2m",
    ),
    Alarm(
        "VllmStalled",
        PAGE,
        _stalled,
        _of_server("{{ $value }} requests run, and no token comes."),
        "1m",
        window="3m",
    ),
    Alarm(
        "VllmUnwell",
        PAGE,
        lambda _window, _limit: 'hgx_watch_state{state=~"hanging|rubbish|failing"} == 1',
        _of_server("its own watch has found it {{ $labels.state }}."),
        "1m",
    ),
    Alarm(
        "WatchSilent",
        WARN,
        lambda _window, limit: f"time() - hgx_watch_looked_timestamp_seconds > {limit}",
        _of_server("its watch has not looked for {{ $value | humanizeDuration }}."),
        "1m",
        limit=300.0,
    ),
    Alarm(
        "RankDown",
        PAGE,
        lambda _window, _limit: "hgx_span_rank_up == 0",
        _of_server("rank {{ $labels.rank }} on {{ $labels.host }} is down, or is not heard."),
        "1m",
    ),
    Alarm(
        "RanksRestarted",
        WARN,
        lambda _window, limit: f"time() - hgx_span_stopped_timestamp_seconds < {limit}",
        _of_server("all ranks were stopped: {{ $labels.why }}."),
        "0s",
        limit=3600.0,
    ),
    Alarm(
        "RequestsFail",
        WARN,
        lambda window, limit: f"{q.error_share(window)} > {limit}",
        _of_server("{{ $value | humanizePercentage }} of the requests end with an error."),
        "5m",
        limit=0.02,
    ),
    Alarm(
        "RequestsQueue",
        WARN,
        lambda window, _limit: f"{q.least('num_requests_waiting', window)} > 0",
        _of_server("{{ $value }} requests or more have waited all the time."),
        "5m",
    ),
    Alarm(
        "KvCacheFull",
        WARN,
        lambda _window, limit: f"{q.kv_cache()} > {limit}",
        _of_server("{{ $value | humanizePercentage }} of the KV cache is in use."),
        "10m",
        limit=0.95,
    ),
    Alarm(
        "RequestsPreempted",
        WARN,
        lambda window, limit: f"{q.rate('num_preemptions_total', window)} > {limit}",
        _of_server("{{ printf `%.2f` $value }} requests a second are preempted."),
        "10m",
        limit=0.01,
    ),
    # The gateway.
    Alarm(
        "GatewayDown",
        PAGE,
        lambda _window, _limit: 'up{job="gateway"} == 0',
        "The gateway {{ $labels.node }} does not answer.",
        "1m",
    ),
    Alarm(
        "NodeOutOfRotation",
        WARN,
        lambda _window, _limit: 'haproxy_server_status{proxy="vllm",state="UP"} == 0',
        "{{ $labels.server }} takes no traffic from the gateway {{ $labels.node }}.",
        "10m",
    ),
    Alarm(
        "FleetBelowHalf",
        PAGE,
        lambda _window, limit: f'avg by (node, proxy) (haproxy_server_status{{proxy="vllm",state="UP"}}) < {limit}',
        "The gateway {{ $labels.node }} reaches {{ $value | humanizePercentage }} of its servers.",
        "1m",
        limit=0.5,
    ),
    # The node.
    Alarm(
        "NodeDown",
        PAGE,
        lambda _window, _limit: 'up{job="node"} == 0',
        "The node exporter of {{ $labels.node }} does not answer.",
        "2m",
    ),
    Alarm(
        "XidEvent",
        PAGE,
        lambda _window, limit: f'time() - hgx_xid_timestamp_seconds{{xid!~"{_HARMLESS}"}} < {limit}',
        "The GPU at {{ $labels.bus_id }} of {{ $labels.node }} has reported Xid {{ $labels.xid }}.",
        "0s",
        limit=3600.0,
    ),
    Alarm(
        "GpuThrottles",
        WARN,
        lambda window, limit: f'avg_over_time(hgx_gpu_throttled{{reason!="sw_power_cap"}}[{window}]) > {limit}',
        "GPU {{ $labels.gpu }} of {{ $labels.node }} lowers its clocks ({{ $labels.reason }}).",
        "5m",
        window="10m",
        limit=0.2,
    ),
    Alarm(
        "GpuMemoryErrors",
        PAGE,
        lambda _window, _limit: "hgx_gpu_ecc_uncorrected_total > 0",
        "GPU {{ $labels.gpu }} of {{ $labels.node }} has {{ $value }} uncorrectable memory errors.",
        "0s",
    ),
    Alarm(
        "GpuLost",
        PAGE,
        _fewer_gpus,
        "{{ $labels.node }} has {{ $value }} GPUs, fewer than its recipe needs.",
        "2m",
    ),
    Alarm(
        "FabricIncomplete",
        PAGE,
        lambda _window, _limit: "hgx_gpu_fabric_joined == 0",
        "GPU {{ $labels.gpu }} of {{ $labels.node }} has left the NVLink fabric.",
        "2m",
    ),
    Alarm(
        "GpuMetricsOld",
        WARN,
        lambda _window, limit: f'time() - node_textfile_mtime_seconds{{file=~".*hgx_gpus.prom"}} > {limit}',
        "nvidia-smi of {{ $labels.node }} has not answered for {{ $value | humanizeDuration }}.",
        "1m",
        limit=180.0,
    ),
    Alarm(
        "DiskFull",
        WARN,
        lambda _window, limit: (
            'node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|squashfs|ramfs"} / node_filesystem_size_bytes'
            + f" < {limit}"
        ),
        "{{ $labels.mountpoint }} of {{ $labels.node }} has {{ $value | humanizePercentage }} left.",
        "10m",
        limit=0.05,
    ),
    # What ends, and what it costs.
    Alarm(
        "CertificateExpires",
        WARN,
        _until('hgx_expiry_timestamp_seconds{kind="certificate"}'),
        "The certificate {{ $labels.name }} of {{ $labels.node }} ends in {{ $value | humanizeDuration }}.",
        "0s",
        limit=14 * _DAY,
    ),
    Alarm(
        "KeyExpires",
        WARN,
        _until('hgx_expiry_timestamp_seconds{kind="key"}'),
        "The key {{ $labels.name }} of {{ $labels.node }} ends in {{ $value | humanizeDuration }}.",
        "0s",
        limit=7 * _DAY,
    ),
    Alarm(
        "NodeExpires",
        WARN,
        _until("hgx_node_expiry_timestamp_seconds"),
        "{{ $labels.node }} is to be released in {{ $value | humanizeDuration }}.",
        "0s",
        limit=12 * 3600.0,
    ),
    Alarm(
        "NodeIdleAndBilled",
        INFO,
        _idle,
        "{{ $labels.node }} has served no token for hours, and costs {{ printf `%.0f` $value }} USD a day.",
        "5m",
        window="6h",
    ),
)
BY_NAME = {alarm.name: alarm for alarm in ALARMS}


def problems(settings: Mapping[str, Any]) -> Iterable[str]:
    """Return why C(settings), name -> settings of an alarm, cannot be used, in sentences."""
    for name, changed in settings.items():
        if name not in BY_NAME:
            near = difflib.get_close_matches(str(name), BY_NAME, n=1)
            yield f"There is no alarm {name!r}" + (f"; did you mean {near[0]!r}?" if near else ".")
        elif not isinstance(changed, Mapping):
            yield f"{name} needs a mapping with some of {', '.join(_SETTINGS)}."
        else:
            yield from _setting_problems(name, changed)


def _setting_problems(name: str, changed: Mapping[str, Any]) -> Iterable[str]:
    for key, value in changed.items():
        if key not in _SETTINGS:
            yield f"{name} has no setting {key!r}; it has {', '.join(_SETTINGS)}."
        elif key in ("for", "window") and not _DURATION.fullmatch(str(value)):
            yield f"{name}.{key} is {value!r}, which is no duration such as 90s or 5m."
        elif key == "limit" and (isinstance(value, bool) or not isinstance(value, (int, float))):
            yield f"{name}.limit is {value!r}, which is no number."
        elif key == "severity" and value not in (PAGE, WARN, INFO):
            yield f"{name}.severity is {value!r}, which is none of {PAGE}, {WARN}, {INFO}."
        elif key == "enabled" and not isinstance(value, bool):
            yield f"{name}.enabled is {value!r}, which is neither true nor false."


def rules(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a rule file. Raises RuleError."""
    found = list(problems(settings))
    if found:
        raise RuleError(found)
    wanted = [(alarm, settings.get(alarm.name) or {}) for alarm in ALARMS]
    enabled = [_rule(alarm, changed) for alarm, changed in wanted if changed.get("enabled", True)]
    return {"groups": [{"name": "hgx-inference", "rules": enabled}]}


def _rule(alarm: Alarm, changed: Mapping[str, Any]) -> dict[str, Any]:
    window, limit = str(changed.get("window", alarm.window)), float(changed.get("limit", alarm.limit))
    annotations = {"summary": alarm.summary, "runbook": f"{RUNBOOK}#{alarm.name.lower()}"}
    return {
        "alert": alarm.name,
        "expr": alarm.expression(window, limit),
        "for": str(changed.get("for", alarm.wait)),
        "labels": {"severity": str(changed.get("severity", alarm.severity))},
        "annotations": {**annotations, **({"cause": CAUSE} if alarm.relative else {})},
    }
