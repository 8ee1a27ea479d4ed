# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status in words: short, and true also where there is nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.timestamp import epoch
from ansible_collections.hgx.inference.plugins.module_utils._vllm import status
from ansible_collections.hgx.inference.plugins.module_utils._vllm.release import Plan

NOW = float(epoch("2026-11-25T18:00:00Z") or 0)
SERVING: dict[str, Any] = {
    "container": "vllm",
    "problem": "",
    "exists": True,
    "state": {"Running": True, "StartedAt": "2026-11-25T16:30:00.5Z"},
    "healthy": True,
    "phase": "",
    "cause": [],
    "served_model_name": "kimi-k2.6",
    "base_url": "http://127.0.0.1:8001",
    "record": {
        "id": "0123456789ab",
        "title": "Kimi {{ braces }}",
        "profile": "agentic",
        "created_at": "2026-11-25T16:00:00Z",
        "created_by": "eve@laptop",
        "collection_version": "0.2.0",
    },
    "verdict": {"verdict": "pass", "finished_at": "2026-11-25T17:00:00Z"},
    "last_good": "0123456789ab",
    "trial": "",
    "drift": ["the settings want: --max-model-len 1 -> 2", "more"],
    "service": {
        "unit": "hgx-inference-vllm.service",
        "ActiveState": "active",
        "enabled": True,
        "restarts": [1.0],
        "watch": {"mode": "observe", "state": "healthy", "words": "it answers", "looked_at": NOW - 9, "events": []},
    },
    "gpus": {"wanted": 8, "set": "", "lost": False, "problem": ""},
    "key_file": "/state/secrets/vllm_api_key",
    "key_mode": "0600",
    "span": {},
    "node": {"launched_at": "2026-11-25T08:00:00Z", "price_usd_per_hour": "50"},
}


def test_a_serving_node() -> None:
    assert status.render(SERVING, NOW) == [
        "server       serving kimi-k2.6 at http://127.0.0.1:8001, in vllm for 1 h 30 min",
        "release      0123456789ab: Kimi {{ braces }}, profile agentic",
        "             made 2026-11-25T16:00:00Z by eve@laptop, hgx.inference 0.2.0",
        "verdict      pass, 60 min ago",
        "last good    0123456789ab",
        "drift        the settings want: --max-model-len 1 -> 2",
        "             more",
        "supervision  hgx-inference-vllm.service is active, 1 restart lately",
        "watch        healthy: it answers (it only records)",
        "GPUs         the container sees all 8",
        "API key      asked for, in /state/secrets/vllm_api_key (0600)",
        "node         launched 10 h 00 min ago, about 500.00 USD at 50 USD an hour",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"problem": "UNKNOWN, the engine does not answer: x", "exists": False}, "UNKNOWN, the engine does not answer"),
        ({"exists": False, "record": {}}, "nothing is deployed here"),
        ({"healthy": False, "phase": "loading weights"}, "NOT READY, vllm runs for 1 h 30 min: loading weights"),
        (
            {"state": {"Running": False, "ExitCode": 0, "FinishedAt": "2026-11-25T17:59:30Z"}},
            "DOWN, vllm has ended 30 s ago (exit code 0)",
        ),
        ({"cause": ["It was killed.", "  evidence"]}, "cause        It was killed."),
        ({"verdict": {}}, "not proven"),
        ({"trial": "1 drafted"}, "sweep        its variant '1 drafted' runs instead of this release"),
        ({"trial": "1 drafted"}, "rollback.yml -i INVENTORY -e vllm_rollback_to=0123456789ab"),
        ({"service": {}}, "none, for there is no systemd here"),
        ({"service": {"unit": "u", "gave_up": "it ended again"}}, "GAVE UP: it ended again"),
        (
            {"service": {"unit": "u", "ActiveState": "inactive"}},
            "u is inactive, not started at boot, 0 restarts lately",
        ),
        ({"key_mode": "0644"}, "(0644): OTHERS CAN READ IT"),
        (
            {"gpus": {"wanted": 8, "set": "", "lost": True, "problem": "the container has lost its GPUs"}},
            "has lost its GPUs",
        ),
        (
            {"gpus": {"wanted": 4, "set": "4,5,6,7", "lost": False, "problem": ""}},
            "GPUs         the container sees 4,5,6,7",
        ),
        ({"node": {"launched_at": "2026-11-25T17:59:00Z"}}, "launched 60 s ago"),
    ],
)
def test_the_truth(changes: dict[str, Any], line: str) -> None:
    assert line in "\n".join(status.render({**SERVING, **changes}, NOW))


SPAN = {"name": "k3", "hosts": ["node-a", "node-b"], "rank": 0}
RANKS = [
    {"rank": 0, "host": "node-a", "state": "running", "cause": ""},
    {"rank": 1, "host": "node-b", "state": "ended", "cause": "exit code 137, killed"},
]


def test_a_server_across_hosts_is_shown_with_its_ranks() -> None:
    service = {**SERVING["service"], "ranks": RANKS, "why": "rank 1 on node-b: it died", "link": ""}
    lines = status.render({**SERVING, "span": SPAN, "service": service}, NOW)
    assert lines[:4] == [
        "server       serving kimi-k2.6 at http://127.0.0.1:8001, in vllm for 1 h 30 min",
        "ranks        rank 0 on node-a: running",
        "             rank 1 on node-b: ended, exit code 137, killed",
        "             last stopped together: rank 1 on node-b: it died",
    ]


def test_ranks_that_nobody_watches_are_unknown() -> None:
    service = {**SERVING["service"], "ranks": RANKS, "ActiveState": "inactive"}
    lines = status.render({**SERVING, "span": SPAN, "service": service}, NOW)
    assert lines[1] == "ranks        unknown, since the service that watches them does not run"
    assert not lines[2].startswith(" ")


def test_a_follower_points_to_its_head() -> None:
    found = {**SERVING, "span": {**SPAN, "rank": 1}, "healthy": False, "verdict": {}}
    lines = status.render({**found, "service": {**SERVING["service"], "link": "the key is missing"}}, NOW)
    assert lines[:3] == [
        "server       rank 1 of k3, in vllm for 1 h 30 min; it answers at node-a",
        "ranks        node-a, node-b; the first one sees them all",
        "             they cannot talk to each other: the key is missing",
    ]
    assert "verdict      that of the head, node-a" in lines


XID = "NVRM: Xid (PCI:0000:17:00): 79, pid=1, GPU has fallen off the bus."


def watched(**seen: Any) -> list[str]:
    """Return the lines of the status about the watch."""
    watch = {"mode": "restart", "state": "healthy", "words": "it answers", "looked_at": NOW, "events": [], **seen}
    lines = status.render({**SERVING, "service": {"unit": "u.service", "watch": watch}}, NOW)
    first = next(index for index, line in enumerate(lines) if line.startswith("watch"))
    last = next(index for index, line in enumerate(lines) if line.startswith("GPUs"))
    return [line[13:] for line in lines[first:last]]


def event(kind: str, words: str, times: int = 1, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "words": words, "at": NOW - 300, "last_at": NOW - 120, "times": times, **more}


@pytest.mark.parametrize(
    ("seen", "lines"),
    [
        ({"state": "off", "mode": "off"}, ["off: nothing notices a server that hangs or answers rubbish"]),
        ({"looked_at": NOW - 3600}, ["UNKNOWN, it has not looked for 60 min: see journalctl -u u.service"]),
        (
            {
                "state": "hanging",
                "words": "no token for 600 s",
                "events": [
                    event(
                        "hanging", "no token for 600 s", dump=["process 7 waits in execute_model:", "  wait (x.py:1)"]
                    )
                ],
            },
            [
                "HANGING: no token for 600 s (it restarts)",
                "2 min ago: hanging: no token for 600 s",
                "  process 7 waits in execute_model:",
            ],
        ),
        (
            {"events": [event("xid", XID, 3)]},
            [
                "healthy: it answers (it restarts)",
                f"2 min ago: {XID} (the GPU has fallen off the bus. Reboot once. If it comes again, give the node back:"
                " the provider must repair it.), 3 times",
            ],
        ),
    ],
)
def test_what_the_watch_saw(seen: dict[str, Any], lines: list[str]) -> None:
    assert watched(**seen) == lines


def test_of_many_events_the_newest_are_shown() -> None:
    lines = watched(events=[event("unknown", f"number {number}") for number in range(50)])
    assert len(lines) == 6
    assert lines[-1].endswith("number 49")


def test_drift() -> None:
    nothing = Plan("none", [], [], [])
    assert status.drift(["image a"], ["image a"], nothing) == []
    assert status.drift(None, None, nothing) == []
    assert status.drift(["image a"], ["image b"], nothing) == ["the container is not as recorded: image a -> b"]
    assert "has no record" in status.drift(None, ["image b"], nothing)[0]
    wanted = Plan("replace", ["image a -> c"], ["image a"], ["image c"])
    assert status.drift(["image a"], ["image a"], wanted) == ["the settings want: image a -> c"]


def test_lost_gpus() -> None:
    assert status.gpu_problem(8, "", 8, "") == ""
    lost = status.gpu_problem(8, "", None, "Failed to initialize NVML: Unknown Error\n")
    assert "the host has 8, the container says 'Failed to initialize NVML: Unknown Error'" in lost
    assert "daemon-reload" in lost
