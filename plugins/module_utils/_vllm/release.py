# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release: what a vLLM server runs with, as data. Its ID, its container, and what makes two of them differ.

A container's specification has the keys of SPEC_DEFAULTS. The same is read back from a real container, so that record,
container and wish are compared in one form. Nothing here runs a program or reads a file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._core.secrets import MASK, is_secret_name, scrub
from .._core.units import GIB
from .._nvidia.gpu_request import request_words, requested_gpus
from . import caches
from .key import CONTAINER_FILE
from .spec import READY_LIMIT, bracketed, read_server

LABEL = "hgx.inference.release"
# vLLM raises its limit of open files to this, and warns if it cannot: each client and each worker needs some.
OPEN_FILES = 65535
# On the container of a release that is only tried: the name of the variant.
TRIAL_LABEL = "hgx.inference.trial"
ID = re.compile(r"[0-9a-f]{12}")
# The first words of every container's command, before the server's own: C(sh) reads the API key from its file. A server
# that is to have a key does not start without it, whoever starts it.
SHELL = "/bin/sh"
KEYED_WRAPPER = [
    "-c",
    f'VLLM_API_KEY="$(cat {CONTAINER_FILE})"; if [ -z "$VLLM_API_KEY" ]; then '
    'echo "The file of the API key is gone, without which anyone could use the server." >&2; exit 78; '
    'fi; export VLLM_API_KEY; exec "$@"',
    "vllm",
]
OPEN_WRAPPER = ["-c", 'exec "$@"', "vllm"]
SPEC_DEFAULTS: dict[str, Any] = {
    "image": "",
    "command": [],
    "env": {},
    "mounts": [],
    "ports": [],
    "network": "",
    "devices": [],
    "gpus": "",
    "gpu_set": "",
    "ipc": "",
    "shm_gib": 0.0,
    "capabilities": [],
    "pids_limit": 0,
    "health": "",
    "health_start_s": 0,
    "server": {},
}
# Docker's client gives each container the proxies of its configuration, and there loopback leads elsewhere.
_HEALTH_PREFIX = "no_proxy=127.0.0.1 "
_DOCKER_SHM_BYTES = 64 * 1024**2
_NS = 1_000_000_000
# What differs between the nodes of one server, as C(describe) says it: the API is on the head only.
_OF_ONE_NODE = re.compile(
    r"--(node-rank|headless|master-addr|host|port|middleware)( |$)|health check "
    r"|env (VLLM_HOST_IP|GLOO_SOCKET_IFNAME|NCCL_SOCKET_IFNAME|PYTHONPATH)=|mount [^ ]*:/run/guard:"
)
_SECRET_OPTIONS = ("--api-key", "--hf-token")
# Docker's command line adds these from its user's config.json (proxies) to each container that it creates.
_ADDED_BY_DOCKER = re.compile(r"(?:HTTP|HTTPS|FTP|NO|ALL)_PROXY", re.IGNORECASE)


class Plan(NamedTuple):
    """What is to be done to the container: V(none), V(start), V(replace), or V(adopt) a record for it; and why."""

    action: str
    reasons: list[str]
    before: list[str]
    after: list[str]


def normalize(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the specification with all its keys and plain types: templates make text of numbers."""
    merged = {**SPEC_DEFAULTS, **spec}
    words = {key: [str(word) for word in merged[key]] for key in ("command", "mounts", "ports", "devices")}
    return {
        **{key: str(merged[key] or "") for key in ("image", "network", "gpus", "gpu_set", "ipc", "health")},
        **words,
        "capabilities": [str(name).upper().removeprefix("CAP_") for name in merged["capabilities"]],
        "env": {str(name): str(value) for name, value in merged["env"].items()},
        "shm_gib": float(merged["shm_gib"]),
        "pids_limit": int(merged["pids_limit"]),
        "health_start_s": int(merged["health_start_s"]),
        "server": merged["server"] or read_server(words["command"], words["ports"], str(merged["network"] or "")),
    }


def release_id(spec: Mapping[str, Any], image_identity: str, commits: Mapping[str, str]) -> str:
    """Return the ID: 12 hex digits that follow from all that the server runs with, whatever its order.

    A server across nodes has one ID: what only one of its nodes has is no part of it, such as its rank and its address.
    """
    inputs = {"spec": sorted(describe_shared(spec)), "image": image_identity, "commits": commits}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]


def describe_shared(spec: Mapping[str, Any]) -> list[str]:
    """Return what all nodes of a server across nodes have alike, in lines; of another server it is all."""
    return [line for line in describe(spec) if not (spec["network"] and _OF_ONE_NODE.match(line))]


def describe(spec: Mapping[str, Any]) -> list[str]:
    """Return the specification in lines, one for each option, variable and setting."""
    return [
        f"image {spec['image']}",
        *_options(spec["command"]),
        *(f"env {name}={value}" for name, value in sorted(spec["env"].items())),
        *(f"mount {mount}" for mount in spec["mounts"]),
        *(f"port {port}" for port in spec["ports"]),
        *([f"network {spec['network']}"] if spec["network"] else []),
        *(f"device {device}" for device in spec["devices"]),
        *([f"GPUs {spec['gpu_set'] or 'all'}, by {spec['gpus']}"] if spec["gpus"] else []),
        *([f"ipc {spec['ipc']}"] if spec["ipc"] else []),
        *([f"shared memory {spec['shm_gib']:g} GiB"] if spec["shm_gib"] and spec["ipc"] != "host" else []),
        f"capabilities {' '.join(sorted(spec['capabilities'])) or 'none'}",
        f"processes at most {spec['pids_limit'] or 'unlimited'}",
        f"health check {spec['health']}",
    ]


def shown(lines: Iterable[str]) -> list[str]:
    """Return the lines as people may see them."""
    return [_hide(line) for line in lines]


def differences(old: Sequence[str], new: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the lines that only one of them has."""
    return [line for line in old if line not in new], [line for line in new if line not in old]


def reasons(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return in words what is different: V(--max-model-len 4096 -> 8192)."""
    old, new = _by_key(before), _by_key(after)
    words = []
    for key in dict.fromkeys([*old, *new]):
        if key in old and key in new:
            words.append(f"{key} {old[key]} -> {new[key]}")
        else:
            words.append(
                f"{key} {new[key]}".strip() + " added" if key in new else f"{key} {old[key]}".strip() + " removed"
            )
    return words


def server_args(command: Sequence[str]) -> list[str]:
    """Return the server's arguments, without the words that start it."""
    first = next((index for index, word in enumerate(command) if word.startswith("--")), len(command))
    return list(command[first:])


def secret_problems(spec: Mapping[str, Any]) -> list[str]:
    """Return what of the specification is a secret in a place that C(docker inspect) and a record show to many."""
    problems = [
        f"{name} is a secret in the server's environment, which 'docker inspect' shows. "
        "Give the API key as vllm_api_key, and take the variable out of vllm_env."
        for name, value in spec["env"].items()
        if value and is_secret_name(name)
    ]
    options = {word.partition("=")[0].replace("_", "-") for word in spec["command"] if word.startswith("--")}
    problems += [
        f"{option} is a secret in the server's command line, which 'docker inspect' and the process list show. "
        "Give the API key as vllm_api_key."
        for option in _SECRET_OPTIONS
        if option in options
    ]
    return problems


def plan(
    wanted: Mapping[str, Any],
    image_id: str | None,
    container: Mapping[str, Any] | None,
    image_env: Sequence[str],
    recorded: bool,
    new_key: bool = False,
) -> Plan:
    """Compare what is wanted with the real container.

    C(container) is what C(docker inspect) says of it, C(image_env) the environment that its image brings, C(recorded)
    whether the release has a record, and C(new_key) whether the server runs with another API key.
    """
    lines = describe(wanted)
    if container is None:
        return Plan("start", ["there is no container"], [], shown(lines))
    before, after = differences(describe(observed(container, image_env, wanted, image_id)), lines)
    words = reasons(shown(before), shown(after))
    state = container["State"]
    if not state["Running"]:
        why = f"the container is not running (state {state['Status']}, exit code {state['ExitCode']})"
        return Plan("start", [why, *words], shown(before), shown(after))
    if image_id and container["Image"] != image_id:
        words.append(f"the image {wanted['image']} is another build than the one that runs")
    if new_key:
        words.append("the API key has changed")
    if words:
        return Plan("replace", words, shown(before), shown(after))
    if not recorded:
        return Plan("adopt", ["the running container is what is wanted, but has no record"], [], [])
    return Plan("none", [], [], [])


def create_args(
    name: str,
    record: Mapping[str, Any],
    image: str,
    keyed: bool,
    open_files: int | None = None,
    cache_folder: str = "",
) -> list[str]:
    """Return the words after C(docker) that create the container of a release from C(image), an ID or a name.

    C(keyed) is whether the server is to have an API key. C(open_files) is how many the engine can give; None leaves the
    limit as it is. C(cache_folder) is where it keeps what it compiles. Both are properties of the host, and no part of
    a release.
    """
    spec = record["container"]
    options: list[str] = ["--name", name, "--label", f"{LABEL}={record['id']}", "--restart", "no", "--pull", "never"]
    options += ["--label", f"{TRIAL_LABEL}={record['trial']}"] if record.get("trial") else []
    options += ["--security-opt", "no-new-privileges", "--cap-drop", "ALL"]
    options += [word for capability in spec["capabilities"] for word in ("--cap-add", capability)]
    options += ["--pids-limit", str(spec["pids_limit"] or -1)]
    options += ["--ulimit", f"nofile={OPEN_FILES}:{open_files}"] if (open_files or 0) >= OPEN_FILES else []
    environment = {**caches.variables(cache_folder, spec["mounts"], spec["env"]), **spec["env"]}
    options += [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
    options += [word for mount in spec["mounts"] for word in ("--volume", mount)]
    options += [word for port in spec["ports"] for word in ("--publish", port)]
    options += ["--network", spec["network"]] if spec.get("network") else []
    options += device_words(spec)
    options += request_words(spec["gpus"], spec.get("gpu_set", ""))  # which records of earlier versions lack
    options += ["--ipc", spec["ipc"]] if spec["ipc"] else []
    if spec["shm_gib"] and spec["ipc"] != "host":
        options += ["--shm-size", str(int(spec["shm_gib"] * GIB))]
    if spec["health"]:
        options += [
            "--health-cmd",
            _HEALTH_PREFIX + spec["health"],
            "--health-interval",
            "30s",
            "--health-timeout",
            "10s",
        ]
        options += ["--health-retries", "3", "--health-start-period", f"{spec['health_start_s']}s"]
    wrapper = KEYED_WRAPPER if keyed else OPEN_WRAPPER
    return ["create", *options, "--entrypoint", SHELL, image, *wrapper, *spec["command"]]


def device_words(spec: Mapping[str, Any]) -> list[str]:
    """Return the words that pass devices. Those of RDMA also need memory that is locked without a limit."""
    devices = spec.get("devices") or []
    words = [word for device in devices for word in ("--device", device)]
    return [*words, "--ulimit", "memlock=-1:-1"] if words else []


def is_keyed(container: Mapping[str, Any]) -> bool:
    """Return whether the server in a container reads an API key when it starts."""
    return [SHELL, *KEYED_WRAPPER] == _whole_command(container)[: len(KEYED_WRAPPER) + 1]


def _whole_command(container: Mapping[str, Any]) -> list[str]:
    config = container["Config"]
    return [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]


def left_by_trial(container: Mapping[str, Any], current: str) -> str:
    """Return the name of the variant that a container runs instead of the current release; empty if it does not."""
    labels = container["Config"].get("Labels") or {}
    return "" if labels.get(LABEL) == current else str(labels.get(TRIAL_LABEL, ""))


def observed(
    container: Mapping[str, Any], image_env: Sequence[str], wanted: Mapping[str, Any], image_id: str | None = None
) -> dict[str, Any]:
    """Return the specification that a real container has, from what C(docker inspect) says of it.

    A container made from the ID of the wanted image counts as one made from its name. A variable that both the image
    and the specification set counts as set by the latter. The limit of a start counts as the wanted one: it is no
    reason to start a server again.
    """
    limit = {name: value for name, value in wanted["env"].items() if name == READY_LIMIT}
    given = [f"{name}={value}" for name, value in wanted["env"].items()]
    config, host = container["Config"], container["HostConfig"]
    command = _whole_command(container)
    for wrapper in (KEYED_WRAPPER, OPEN_WRAPPER):
        if command[: len(wrapper) + 1] == [SHELL, *wrapper]:
            command = command[len(wrapper) + 1 :]
    shm = host.get("ShmSize") or _DOCKER_SHM_BYTES
    health = (config.get("Healthcheck") or {}).get("Test") or []
    name, ports = config["Image"], _ports(host.get("PortBindings") or {})
    gpus, gpu_set = requested_gpus(host.get("DeviceRequests") or [])
    network = "host" if host.get("NetworkMode") == "host" else ""
    return {
        "image": wanted["image"] if image_id and name == image_id else name,
        "command": command,
        "env": {
            **{
                name: value
                for entry in config.get("Env") or []
                for name, _equals, value in [entry.partition("=")]
                if entry in given or not (entry in image_env or _ADDED_BY_DOCKER.fullmatch(name))
                if name != READY_LIMIT and (entry in given or not caches.is_ours(entry))
            },
            **limit,
        },
        "mounts": list(host.get("Binds") or []),
        "ports": ports,
        "network": network,
        "devices": [device["PathOnHost"] for device in host.get("Devices") or []],
        "gpus": gpus,
        "gpu_set": gpu_set,
        "ipc": "" if host.get("IpcMode") in (None, "", "private", "shareable") else host["IpcMode"],
        "shm_gib": 0.0 if shm == _DOCKER_SHM_BYTES else shm / GIB,
        "capabilities": _capabilities(host),
        "pids_limit": max(0, host.get("PidsLimit") or 0),
        "health": (health[1] if len(health) == 2 and health[0] == "CMD-SHELL" else " ".join(health)).removeprefix(
            _HEALTH_PREFIX
        ),
        "health_start_s": ((config.get("Healthcheck") or {}).get("StartPeriod") or 0) // _NS,
        "server": read_server(command, ports, network),
    }


def _capabilities(host: Mapping[str, Any]) -> list[str]:
    added = sorted(name.removeprefix("CAP_") for name in host.get("CapAdd") or [])
    dropped = [name.removeprefix("CAP_") for name in host.get("CapDrop") or []]
    restricted = any(option.startswith("no-new-privileges") for option in host.get("SecurityOpt") or [])
    if host.get("Privileged"):
        return ["(privileged)"]
    return [
        *added,
        *([] if dropped == ["ALL"] else ["(Docker's own)"]),
        *([] if restricted else ["(new privileges)"]),
    ]


def _ports(bindings: Mapping[str, Any]) -> list[str]:
    return [
        f"{bracketed(binding['HostIp'])}:{binding['HostPort']}:{port.removesuffix('/tcp')}"
        for port, published in sorted(bindings.items())
        for binding in published or []
    ]


def _options(command: Sequence[str]) -> list[str]:
    """Return each option of a command with its values in one line, after the words before the first one."""
    lines = ["command"]
    for word in command:
        if word.startswith("--"):
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines


def _by_key(lines: Sequence[str]) -> dict[str, str]:
    """Return name -> value; an option that is switched off goes by the name of the one that switches it on."""
    found = {}
    for line in lines:
        key, _blank, value = line.partition(" ")
        if key.startswith("--no-"):
            key, value = f"--{key[len('--no-') :]}", value or "off"
        elif key.startswith("--"):
            value = value or "on"
        elif key == "env":
            name, _equals, value = value.partition("=")
            key = f"env {name}"
        elif key == "mount":
            source, _colon, value = value.partition(":")
            key, value = f"mount {value}", source
        found[key] = value
    return found


def _hide(line: str) -> str:
    option = re.split(r"[ =]", line, maxsplit=1)[0]
    if option.replace("_", "-") in _SECRET_OPTIONS and option != line:
        return f"{option} {MASK}"
    name, equals, _value = line.partition("=")
    return f"{name}={MASK}" if equals and line.startswith("env ") and is_secret_name(name) else scrub(line)
