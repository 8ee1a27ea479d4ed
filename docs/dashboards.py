# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the Grafana dashboards of role monitoring: C(make dashboards).

Their expressions are those of the alarms and the page. The scenario molecule/monitoring asks a real Prometheus each of
them, but those in ELSEWHERE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh

from ansible_collections.hgx.inference.plugins.plugin_utils._monitoring import queries as q

OUTPUT = Path(__file__).parents[1] / "roles" / "monitoring" / "files" / "dashboards" / "hgx-inference.json"
# vLLM's own boards show its metrics in more detail, at this commit of its repository.
VLLM_BOARDS = "https://github.com/vllm-project/vllm/tree/v0.20.2/examples/observability/dashboards"
# What has no data on a machine without GPUs, without a gateway or a prefix cache, or where nothing is wrong.
_GPU_ONLY, _GATEWAY_ONLY = "hgx_gpu|hgx_xid", "haproxy_"
_SELDOM = "ALERTS|hgx_node_expiry|num_preemptions_total|error|prefix_cache"
ELSEWHERE = re.compile(f"{_GPU_ONLY}|{_GATEWAY_ONLY}|{_SELDOM}")
_SOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")
_WINDOW = "$__rate_interval"
_HEIGHT, _WIDTH = 8, 8  # of 24 columns


class Panel(NamedTuple):
    """A panel: its title, its unit in Grafana, and its lines, each an expression and a legend."""

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]


_OWN = "{{node}} {{server}}"
_GPU = "{{node}} GPU {{gpu}}"
BOARD: dict[str, tuple[Panel, ...]] = {
    "Now, and what was proven": (
        Panel(
            "Output tokens per second",
            "short",
            ((q.output_rate(_WINDOW), _OWN), (q.proven("steady_output_throughput"), f"{_OWN} proven")),
        ),
        Panel("Time per output token", "s", ((q.tpot(_WINDOW), _OWN), (q.proven_tpot("5m"), f"{_OWN} proven"))),
        Panel(
            "Time to first token",
            "s",
            (
                (q.ttft(_WINDOW), f"{_OWN} mean"),
                (q.quantile(0.95, "time_to_first_token_seconds", _WINDOW), f"{_OWN} P95"),
                (f"{q.proven('warm_mean_ttft_ms')} / 1000", f"{_OWN} proven mean"),
            ),
        ),
        Panel(
            "Requests",
            "short",
            (
                (q.running(), f"{_OWN} running"),
                (q.waiting(), f"{_OWN} waiting"),
                (q.proven_load("concurrency"), f"{_OWN} proven"),
            ),
        ),
        Panel(
            "Tokens per step",
            "short",
            ((q.acceptance(_WINDOW), _OWN), (q.proven_acceptance(), f"{_OWN} proven")),
        ),
        Panel(
            "Cache",
            "percentunit",
            ((q.kv_cache(), f"{_OWN} KV cache in use"), (q.prefix_hits(_WINDOW), f"{_OWN} prefix cache hits")),
        ),
    ),
    "What is wrong": (
        Panel("Firing alarms", "short", (('ALERTS{alertstate="firing"}', "{{alertname}} {{node}}"),)),
        Panel("Requests with an error", "percentunit", ((q.error_share(_WINDOW), _OWN),)),
        Panel("Preempted requests per second", "short", ((q.rate("num_preemptions_total", _WINDOW), _OWN),)),
        Panel("State that the watch has found", "short", (("hgx_watch_state == 1", f"{_OWN} {{{{state}}}}"),)),
        Panel(
            "Age of the proof",
            "s",
            (("time() - hgx_proof_timestamp_seconds", f"{_OWN} {{{{release}}}}"),),
        ),
        Panel("Xid events", "short", (("hgx_xid_total", "{{node}} {{bus_id}} Xid {{xid}}"),)),
    ),
    "GPUs": (
        Panel("Clock", "hertz", (("hgx_gpu_sm_clock_hertz", _GPU),)),
        Panel("Power", "watt", (("hgx_gpu_power_watts", _GPU),)),
        Panel("Temperature", "celsius", (("hgx_gpu_temperature_celsius", _GPU),)),
        Panel("Lowered clocks", "short", (("hgx_gpu_throttled == 1", f"{_GPU} {{{{reason}}}}"),)),
        Panel("In the fabric", "short", (("hgx_gpu_fabric_joined", _GPU),)),
        Panel("Uncorrectable memory errors", "short", (("hgx_gpu_ecc_uncorrected_total", _GPU),)),
    ),
    "Costs": (
        Panel(
            "Output tokens in 24 hours",
            "short",
            ((q.summed("increase(vllm:generation_tokens_total[1d])"), _OWN),),
        ),
        Panel(
            "USD for 1 million output tokens",
            "currencyUSD",
            (
                (
                    "1e6 * max by (node) (hgx_node_price_usd_per_hour)"
                    " / (3600 * sum by (node) (rate(vllm:generation_tokens_total[1h])) > 0)",
                    "{{node}} served",
                ),
                (
                    "1e6 * max by (node) (hgx_node_price_usd_per_hour)"
                    ' / (3600 * sum by (node) (hgx_proof_figure{metric="steady_output_throughput"}))',
                    "{{node}} proven",
                ),
            ),
        ),
        Panel("Hours until the node ends", "h", (("(hgx_node_expiry_timestamp_seconds - time()) / 3600", "{{node}}"),)),
    ),
    "Gateway": (
        Panel(
            "Requests per second",
            "short",
            (("sum by (node, server) (rate(haproxy_server_http_responses_total[5m]))", _OWN),),
        ),
        Panel("Servers that take traffic", "short", (('haproxy_server_status{proxy="vllm",state="UP"}', _OWN),)),
    ),
}


def expressions() -> Iterator[str]:
    """Yield every expression of the board."""
    for panels in BOARD.values():
        for panel in panels:
            yield from (expression for expression, _legend in panel.lines)


def make() -> str:
    """Return the board as JSON."""
    board = (
        dashboard.Dashboard("hgx.inference")
        .uid("hgx-inference")
        .description(f"Each server beside what its node has proven. vLLM's own boards: {VLLM_BOARDS}")
        .tags(["hgx.inference", "vllm"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("node")
            .label("Node")
            .query("label_values(up, node)")
            .datasource(_SOURCE)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    )
    for title, panels in BOARD.items():
        board = board.with_row(dashboard.Row(title))
        for panel in panels:
            board = board.with_panel(_panel(panel))
    text: str = JSONEncoder(sort_keys=True, indent=1).encode(board.build())
    return text + "\n"


def _panel(panel: Panel) -> Any:
    drawn = timeseries.Panel().title(panel.title).unit(panel.unit).datasource(_SOURCE).height(_HEIGHT).span(_WIDTH)
    for index, (expression, legend) in enumerate(panel.lines):
        chosen = f'({expression}) and on (node) (up{{node=~"$node"}})'
        query = prometheus.Dataquery().expr(chosen).legend_format(legend).ref_id(chr(ord("A") + index))
        drawn = drawn.with_target(query.datasource(_SOURCE))
    return drawn


if __name__ == "__main__":
    OUTPUT.write_text(make(), encoding="utf-8")
