# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Merging, comparing and writing the settings of an engine."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._docker import daemon
from ansible_collections.hgx.inference.plugins.module_utils._docker.daemon import DaemonConfigError

NVIDIA = {"path": "nvidia-container-runtime", "args": []}
ROTATION = {"log-opts": {"max-size": "100m", "max-file": "5"}}


@pytest.mark.parametrize(
    ("current", "wanted", "merged"),
    [
        pytest.param({}, {"live-restore": True}, {"live-restore": True}, id="no file"),
        pytest.param({"bip": "10.1.0.1/16"}, {"debug": True}, {"bip": "10.1.0.1/16", "debug": True}, id="foreign keys"),
        pytest.param(
            {"runtimes": {"kata": {"path": "kata"}}, "debug": True},
            {"runtimes": {"nvidia": NVIDIA}},
            {"runtimes": {"kata": {"path": "kata"}, "nvidia": NVIDIA}, "debug": True},
            id="nested mappings",
        ),
        pytest.param({"labels": ["a"]}, {"labels": ["b"]}, {"labels": ["b"]}, id="lists are replaced"),
        pytest.param({"features": True}, {"features": {"cdi": True}}, {"features": {"cdi": True}}, id="not a mapping"),
        pytest.param({}, {"labels": ["{{ x }}"]}, {"labels": ["{{ x }}"]}, id="braces"),
        pytest.param(
            {"log-opts": {"max-size": "1m", "tag": "x"}},
            ROTATION,
            {"log-opts": {"max-size": "100m", "max-file": "5", "tag": "x"}},
            id="log options of the same driver",
        ),
        pytest.param(
            {"log-driver": "journald", "log-opts": {"tag": "x"}},
            ROTATION,
            {"log-driver": "journald", "log-opts": {"tag": "x"}},
            id="rotation is left out where the driver does none",
        ),
        pytest.param(
            {"log-driver": "fluentd", "log-opts": {"fluentd-address": "x"}},
            {"log-driver": "json-file", **ROTATION},
            {"log-driver": "json-file", **ROTATION},
            id="options of another driver go with it",
        ),
    ],
)
def test_merge(current: dict[str, Any], wanted: dict[str, Any], merged: dict[str, Any]) -> None:
    assert list(daemon.merge(current, wanted).items()) == list(merged.items()), "values and order"


def test_merge_where_a_flag_names_the_log_driver() -> None:
    assert daemon.merge({}, ROTATION, log_driver="journald") == {}


@pytest.mark.parametrize(
    ("before", "after", "keys", "restart"),
    [
        ({}, {}, [], []),
        ({"runtimes": {}}, {"runtimes": {"nvidia": NVIDIA}}, ["runtimes.nvidia"], []),
        ({"runtimes": {"nvidia": NVIDIA}}, {"runtimes": {"nvidia": {**NVIDIA, "path": "x"}}}, ["runtimes.nvidia"], []),
        ({}, {"live-restore": True}, ["live-restore"], []),
        # Read again by a reload, but looked at only when the engine starts.
        ({}, {"features": {"cdi": True}}, ["features.cdi"], ["features.cdi"]),
        ({}, ROTATION, ["log-opts.max-size", "log-opts.max-file"], ["log-opts.max-size", "log-opts.max-file"]),
        (
            {"data-root": "/a", "debug": False},
            {"data-root": "/b", "debug": True},
            ["data-root", "debug"],
            ["data-root"],
        ),
        ({"mtu": 1}, {"mtu": True}, ["mtu"], ["mtu"]),
    ],
)
def test_changed_keys(before: dict[str, Any], after: dict[str, Any], keys: list[str], restart: list[str]) -> None:
    assert daemon.changed_keys(before, after) == keys
    assert daemon.restart_keys(keys) == restart


INFO = {"ServerVersion": "26.1.5", "LiveRestoreEnabled": False, "Runtimes": {"runc": {}}, "CDISpecDirs": []}


@pytest.mark.parametrize(
    ("config", "info", "keys"),
    [
        ({"live-restore": True, "debug": True}, {}, ["live-restore"]),
        ({"live-restore": True}, {"LiveRestoreEnabled": True}, []),
        ({"runtimes": {"runc": {}, "nvidia": NVIDIA}}, {}, ["runtimes.nvidia"]),
        ({"features": {"cdi": True}}, {}, ["features.cdi"]),
        ({"features": {"cdi": True}}, {"CDISpecDirs": ["/etc/cdi"]}, []),
        ({"features": {"cdi": True}}, {"ServerVersion": "20.10.24+dfsg1"}, []),  # it knows no CDI
        ({"default-runtime": "nvidia"}, {"DefaultRuntime": "runc"}, ["default-runtime"]),
        ({"default-runtime": "nvidia"}, {}, []),
    ],
)
def test_unapplied_keys(config: dict[str, Any], info: dict[str, Any], keys: list[str]) -> None:
    assert daemon.unapplied_keys(config, {**INFO, **info}) == keys


def test_render() -> None:
    text = daemon.render({"labels": ["ä=1"], "features": {}})
    assert text == '{\n    "labels": [\n        "ä=1"\n    ],\n    "features": {}\n}\n'


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            '{\n  "debug": tru\n}\n',
            [
                "/d.json is not valid JSON: line 2, column 12: Expecting value",
                '    "debug": tru\n             ^',
                "correct the file",
            ],
        ),
        ('{"debug": true', ["line 1, column 15"]),
        ("[]", ["/d.json holds a JSON list where the engine wants an object", "Nothing was changed"]),
    ],
)
def test_parse_refuses(text: str, parts: list[str]) -> None:
    with pytest.raises(DaemonConfigError) as refusal:
        daemon.parse(text, "/d.json")
    assert [part for part in parts if part not in str(refusal.value)] == []


def test_parse_takes_an_empty_file() -> None:
    assert daemon.parse(" \n", "/d.json") == {}


def test_refusal_names_keys_containers_and_ways_out() -> None:
    text = daemon.refuse_restart("/d.json", ["data-root", "mtu"], "", ["vllm", "web"], survive=False)
    for part in ("changing data-root, mtu in /d.json", "vllm, web", "Nothing was changed", "docker_restart_ok: true",
                 "its containers stop", "leave these settings out"):  # fmt: skip
        assert part in text
    text = daemon.refuse_restart("/d.json", [], "--gpus to work", ["vllm"], survive=True)
    assert "must be restarted for --gpus to work" in text
    assert "keep running" in text
    assert "leave these settings out" not in text
