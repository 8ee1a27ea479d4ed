# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a server stands, in words. Nothing here looks at anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._core.timestamp import epoch
from .._core.units import human_duration
from .._nvidia.xid import find_xids
from .._programs.health import FAILING, HANGING, RUBBISH
from .._programs.watch import OFF, RESTART, XID
from .release import Plan, reasons

_WIDTH = 12
_EVENTS = 5
_SILENT_S = 300.0


def age(text: str, now: float) -> str:
    """Return how long ago that was."""
    then = epoch(text)
    return "an unknown time" if then is None or then <= 0 else human_duration(max(0.0, now - then))


def drift(record: Sequence[str] | None, container: Sequence[str] | None, wanted: Plan) -> list[str]:
    """Return where what runs, what is recorded and what the settings want differ."""
    lines = []
    if record is not None and container is not None:
        changed = reasons(*_only(record, container))
        lines += [f"the container is not as recorded: {words}" for words in changed]
    if record is None and container is not None:
        lines.append("the container has no record: another program or an earlier version has made it")
    lines += [f"the settings want: {words}" for words in wanted.reasons if wanted.action == "replace"]
    return lines


def render(found: Mapping[str, Any], now: float) -> list[str]:
    """Return the status in lines. C(found) is what the module vllm_status returns."""
    rows: list[tuple[str, str]] = [("server", _server(found, now))]
    rows += [("cause" if index == 0 else "", line) for index, line in enumerate(found["cause"])]
    rows += [("ranks" if index == 0 else "", line) for index, line in enumerate(_ranks(found))]
    record = found["record"]
    if record:
        profile = f", profile {record['profile']}" if record.get("profile") else ""
        by = f" by {record['created_by']}" if record.get("created_by") else ""
        rows.append(("release", f"{record['id']}: {record.get('title') or record['image']['name']}{profile}"))
        rows.append(("", f"made {record['created_at']}{by}, hgx.inference {record.get('collection_version') or '?'}"))
        if record.get("image_in_place_of"):
            rows.append(("", f"image {record['image']['name']}, in place of {record['image_in_place_of']}"))
        rows.append(("verdict", _verdict(found, now)))
        rows.append(("last good", found["last_good"] or "none yet"))
    if found["trial"]:
        rows += [
            ("sweep", f"its variant '{found['trial']}' runs instead of this release; if it was interrupted,"),
            ("", f"playbooks/rollback.yml -i INVENTORY -e vllm_rollback_to={record.get('id', 'ID')} returns"),
        ]
    rows += [("drift" if index == 0 else "", line) for index, line in enumerate(found["drift"])]
    if found["exists"]:
        rows.append(("supervision", _supervision(found["service"])))
        rows += [("watch" if index == 0 else "", line) for index, line in enumerate(_watch(found["service"], now))]
    gpus = found["gpus"]
    if gpus["wanted"] or gpus["lost"]:
        rows.append(("GPUs", gpus["problem"] or f"the container sees {gpus['set'] or 'all ' + str(gpus['wanted'])}"))
    if found["key_mode"]:
        rows.append(("API key", _key(found)))
    if found["node"].get("launched_at"):
        rows.append(("node", _node(found["node"], now)))
    return [f"{name:<{_WIDTH}} {words}".rstrip() for name, words in rows]


def gpu_problem(wanted: int, gpu_set: str, container: int | None, output: str) -> str:
    """Return why the container does not see its GPUs, or nothing. C(container) is None if it cannot tell."""
    if container == wanted:
        return ""
    said = output.strip().splitlines()[0] if output.strip() else "it lists none"
    has = f"it is to have {gpu_set}" if gpu_set else f"the host has {wanted}"
    return (
        f"the container has lost its GPUs: {has}, the container says '{said}'. A reload of systemd on"
        " the host ('systemctl daemon-reload', also by a package's installation) takes them away from containers that"
        " were started with --gpus. Restart the server ('docker restart'); vllm_gpu_request: cdi is not affected."
    )


def _server(found: Mapping[str, Any], now: float) -> str:
    if found["problem"]:
        return found["problem"]
    if not found["exists"]:
        return "nothing is deployed here"
    state, name = found["state"], found["container"]
    if not state["Running"]:
        return f"DOWN, {name} has ended {age(state['FinishedAt'], now)} ago (exit code {state['ExitCode']})"
    since = f"for {age(state['StartedAt'], now)}"
    if found["span"].get("rank"):
        return f"{_rank(found['span'])}, in {name} {since}; it answers at {found['span']['hosts'][0]}"
    if found["healthy"]:
        return f"serving {found['served_model_name']} at {found['base_url']}, in {name} {since}"
    return f"NOT READY, {name} runs {since}: {found['phase']}"


def _rank(span: Mapping[str, Any]) -> str:
    return f"rank {span['rank']} of {span['name']}"


def _ranks(found: Mapping[str, Any]) -> list[str]:
    """Return how the ranks of a server across hosts are, as its head sees them, and what was decided last."""
    span, service = found["span"], found["service"]
    if not span or not service:
        return []
    if not span["rank"] and service.get("ActiveState") != "active":
        return ["unknown, since the service that watches them does not run"]
    lines = [
        f"rank {each['rank']} on {each['host']}: {each['state']}{', ' if each['cause'] else ''}{each['cause']}"
        for each in service.get("ranks") or []
    ]
    if not lines:
        lines = [f"{', '.join(span['hosts'])}; the first one sees them all" if span["rank"] else "nothing is known yet"]
    lines += [f"last stopped together: {service['why']}"] if service.get("why") else []
    return [*lines, *([f"they cannot talk to each other: {service['link']}"] if service.get("link") else [])]


def _verdict(found: Mapping[str, Any], now: float) -> str:
    verdict = found["verdict"]
    if found["span"].get("rank"):
        return f"that of the head, {found['span']['hosts'][0]}"
    if not verdict.get("verdict"):
        return "not proven: no benchmark was passed with this release"
    return f"{verdict['verdict']}, {age(verdict.get('finished_at', ''), now)} ago"


def _supervision(service: Mapping[str, Any]) -> str:
    if not service:
        return "none, for there is no systemd here: nothing starts the server again after it died or after a boot"
    if service.get("gave_up"):
        return f"GAVE UP: {service['gave_up']}. The cause is in the server's log; correct it and run the play again"
    words = f"{service['unit']} is {service.get('ActiveState', 'unknown')}"
    words += "" if service.get("enabled") else ", not started at boot"
    words += ", its unit has changed and is read at the next boot" if service.get("NeedDaemonReload") == "yes" else ""
    count = len(service.get("restarts", []))
    return f"{words}, {count} restart{'' if count == 1 else 's'} lately"


def _watch(service: Mapping[str, Any], now: float) -> list[str]:
    """Return what the watch beside the server says, and its newest events."""
    seen = service.get("watch") or {}
    if not service or seen.get("state", OFF) == OFF:
        return ["off: nothing notices a server that hangs or answers rubbish"] if service else []
    silent_s = now - float(seen.get("looked_at", 0))
    if silent_s > _SILENT_S:
        return [f"UNKNOWN, it has not looked for {human_duration(silent_s)}: see journalctl -u {service['unit']}"]
    state = seen["state"]
    mode = "restarts" if seen.get("mode") == RESTART else "only records"
    lines = [f"{state.upper() if state in (HANGING, RUBBISH, FAILING) else state}: {seen['words']} (it {mode})"]
    for event in seen.get("events", [])[-_EVENTS:]:
        times = f", {event['times']} times" if event["times"] > 1 else ""
        lines.append(f"{human_duration(max(0.0, now - event['last_at']))} ago: {_event_words(event)}{times}")
        lines += [f"  {line}" for line in event.get("dump", []) if line.startswith(("process ", "NCCL: "))]
    return lines


def _event_words(event: Mapping[str, Any]) -> str:
    words = str(event["words"])
    if event["kind"] != XID:
        return f"{event['kind']}: {words}"
    faults = [f" ({xid.meaning}. {xid.fix})" for xid in find_xids(words) if xid.fix]
    return words + "".join(faults)


def _key(found: Mapping[str, Any]) -> str:
    words = f"asked for, in {found['key_file']} ({found['key_mode']})"
    return words if found["key_mode"] == "0600" else f"{words}: OTHERS CAN READ IT, it must be 0600"


def _node(node: Mapping[str, Any], now: float) -> str:
    launched = epoch(str(node["launched_at"]))
    words = f"launched {age(str(node['launched_at']), now)} ago"
    if launched is None or not node.get("price_usd_per_hour"):
        return words
    price = float(node["price_usd_per_hour"])
    return f"{words}, about {max(0.0, now - launched) / 3600 * price:.2f} USD at {price:g} USD an hour"


def _only(old: Sequence[str], new: Sequence[str]) -> tuple[list[str], list[str]]:
    return [line for line in old if line not in new], [line for line in new if line not in old]
