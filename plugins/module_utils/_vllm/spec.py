# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn the settings of the role vllm into the specification of its container. Nothing else decides what it contains.

A specification is a dict with the keys of SPEC_DEFAULTS in C(release.py). Its key C(server) holds the options and the
published ports as data. For a container that another program made, C(read_server) parses them from its words.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from ansible.module_utils.parsing.convert_bool import boolean

from .._core.mappings import merge
from .._docker.build import Image, derived_image
from .._hf.cache import COMMIT
from .._programs import key_guard
from .._span.topology import Span
from .args import option_name, option_values, render_args
from .key import CONTAINER_FOLDER, key_file

# The container's limit of processes. No server comes near it, and a fork bomb ends there.
_PIDS_LIMIT = 32768
# The weights may belong to another user and be closed to others. vLLM itself runs as root in its image.
_CAPABILITIES = ("DAC_OVERRIDE",)
# The weights are mounted read-only and belong to their own user. Code of a model's repository goes to our own cache.
_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": "/root/.cache/vllm/hf_modules", "VLLM_NO_USAGE_STATS": "1"}
# vLLM's own limit for the start of its engine, and what it is unless it is set, in seconds.
READY_LIMIT = "VLLM_ENGINE_READY_TIMEOUT_S"
_OWN_READY_LIMIT_S = 600
_GUARD_FOLDER = "/run/guard"
_GUARD = "key_guard.KeyGuard"
_RDMA_DEVICES = "/dev/infiniband"
_LOOPBACK = ("127.0.0.1", "::1")


class Settings(TypedDict):
    """The variables of the role that decide what the server runs with. Numbers may be text, as templates make it."""

    vllm_image_name: str
    vllm_image_tag: str
    vllm_image_digest: str
    vllm_image_pip: Sequence[str]
    vllm_model: str
    vllm_revisions: Mapping[str, str]
    vllm_served_model_name: str
    vllm_entrypoint: Sequence[str]
    vllm_engine_args: Mapping[str, Any]
    vllm_engine_args_extra: Mapping[str, Any]
    vllm_env: Mapping[str, Any]
    vllm_env_extra: Mapping[str, Any]
    vllm_cuda_compatibility: bool
    vllm_container_port: int
    vllm_ready_timeout: int
    vllm_bind_address: str
    vllm_port: int
    vllm_gpus: str | int | None
    vllm_gpu_request: str
    vllm_ipc_mode: str
    vllm_capabilities_extra: Sequence[str]
    vllm_shm_gib: float
    vllm_hf_home: str
    vllm_state_dir: str
    vllm_span: Span | Mapping[str, Any]
    vllm_span_rdma: bool | str


class Published(TypedDict):
    """A published port of the host. The address has no brackets; an empty one means every address to Docker."""

    address: str
    port: int


class Server(TypedDict):
    """The options of a server by name, as in C(max-model-len), and where its port is published."""

    args: dict[str, Any]
    published: list[Published]


def needs_guard(address: str) -> bool:
    """Return whether a server at this address can be reached from other machines.

    Such a server needs an API key. vLLM checks the key at some paths only, so the guard checks it at all of them.
    """
    return address.strip("[]") not in _LOOPBACK


def guard_file(state_dir: str) -> tuple[str, str]:
    """Return the path of the guard on the host, and its source. The folder's name contains the source's hash."""
    source = inspect.getsource(key_guard)
    folder = hashlib.sha256(source.rstrip().encode()).hexdigest()[:12]
    return os.path.join(state_dir, "guard", folder, "key_guard.py"), source


def make_image(settings: Settings) -> Image:
    """Return the image, which is built if packages come on top."""
    name, tag, digest = settings["vllm_image_name"], settings["vllm_image_tag"], settings["vllm_image_digest"]
    return derived_image(f"{name}@{digest}" if digest else f"{name}:{tag}", tag, settings["vllm_image_pip"])


def known_commits(
    revisions: Mapping[str, str], recorded: Mapping[str, str], fetched: Mapping[str, str]
) -> dict[str, str]:
    """Return repository -> commit for the repositories whose commit is known.

    C(recorded) is what the cache has recorded for the C(revisions). C(fetched) is what this run has fetched, and wins:
    in check mode the cache's record is not updated.
    """
    given = {repo: revision for repo, revision in revisions.items() if re.fullmatch(COMMIT, str(revision))}
    ours = {repo: commit for repo, commit in fetched.items() if repo in revisions}
    return {str(repo): str(commit) for repo, commit in {**given, **recorded, **ours}.items()}


def engine_args(settings: Settings, commits: Mapping[str, str], trial: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the server, in order. C(trial) overrides the settings, also single keys of a mapping."""
    model, span = settings["vllm_model"], settings["vllm_span"]
    args = {
        "model": model,
        "served-model-name": settings["vllm_served_model_name"],
        **({} if _is_follower(span) else _listening(settings)),
        **settings["vllm_engine_args"],
        **settings["vllm_engine_args_extra"],
    }
    args = merge(args, trial)
    if _is_guarded(settings):
        args["middleware"] = _GUARD
    return _pin({**args, **_span_args(span)}, model, commits)


def make_spec(settings: Settings, commits: Mapping[str, str], trial: Mapping[str, Any]) -> dict[str, Any]:
    """Return the container's specification; C(trial) are engine arguments as for C(engine_args).

    Raises ArgsError for an option that cannot be rendered, and ValueError for text where a number belongs.
    """
    address, port, inside = settings["vllm_bind_address"], int(settings["vllm_port"]), settings["vllm_container_port"]
    state_dir, guarded, span = settings["vllm_state_dir"], _is_guarded(settings), settings["vllm_span"]
    gpus = "" if settings["vllm_gpus"] is None else str(settings["vllm_gpus"])  # YAML makes a number of one GPU
    args = engine_args(settings, commits, trial)
    entrypoint = [str(word) for word in settings["vllm_entrypoint"]]
    environment = {
        **_ENVIRONMENT,
        **({"PYTHONPATH": _GUARD_FOLDER} if guarded else {}),
        **({"VLLM_ENABLE_CUDA_COMPATIBILITY": "1"} if settings["vllm_cuda_compatibility"] else {}),
        **_ready_limit(settings),
        **_span_env(span),
        **settings["vllm_env"],
        **settings["vllm_env_extra"],
    }
    # In two pieces, because ansible-test takes it for a call of this module.
    opener = "urllib.request.url" + "open"
    published = [] if _is_follower(span) else [Published(address=address.strip("[]"), port=port)]
    here = f"http://127.0.0.1:{inside}" if not span else endpoint({"args": {}, "published": published})["base_url"]
    health = f'import urllib.request; {opener}("{here}/health", timeout=5)'
    return {
        "image": make_image(settings).name,
        "command": [*entrypoint, *render_args(args)],
        "env": {str(name): str(value) for name, value in environment.items()},
        "mounts": [
            f"{settings['vllm_hf_home']}:/root/.cache/huggingface:ro",
            f"{state_dir}/cache:/root/.cache/vllm:rw",  # what vLLM itself compiles survives the container
            f"{os.path.dirname(key_file(state_dir))}:{CONTAINER_FOLDER}:ro",
            *([f"{os.path.dirname(guard_file(state_dir)[0])}:{_GUARD_FOLDER}:ro"] if guarded else []),
        ],
        # Between the nodes the engine opens ports of its own choice, so that none can be published.
        "network": "host" if span else "",
        "ports": [] if span else [f"{bracketed(address)}:{port}:{inside}"],
        "devices": [_RDMA_DEVICES] if span and boolean(settings["vllm_span_rdma"]) else [],
        "gpus": settings["vllm_gpu_request"] if gpus else "",
        "gpu_set": "" if gpus == "all" else gpus,
        "ipc": settings["vllm_ipc_mode"],
        "shm_gib": float(settings["vllm_shm_gib"]),
        "capabilities": [*_CAPABILITIES, *settings["vllm_capabilities_extra"]],
        "pids_limit": _PIDS_LIMIT,
        "health": "" if _is_follower(span) else f"python3 -c {shlex.quote(health)}",
        "health_start_s": int(settings["vllm_ready_timeout"]),
        "server": {
            "args": {**option_values(entrypoint), **_given(args)},
            "published": published,
        },
    }


def _ready_limit(settings: Settings) -> dict[str, str]:
    """Return vLLM's own limit, so that it does not end a start for which there is still time."""
    timeout_s = int(settings["vllm_ready_timeout"])
    given = {**settings["vllm_env"], **settings["vllm_env_extra"]}.get(READY_LIMIT)
    if given is not None and int(given) < timeout_s:
        raise ValueError(
            f"{READY_LIMIT} is {given} in vllm_env or vllm_env_extra, and vllm_ready_timeout is {timeout_s}: vLLM would"
            " end a start for which there is still time. Take the variable out, it follows from vllm_ready_timeout."
        )
    return {READY_LIMIT: str(timeout_s)} if timeout_s > _OWN_READY_LIMIT_S else {}


def read_server(command: Sequence[str], ports: Sequence[str], network: str = "") -> Server:
    """Parse the words of a container of which nothing else is recorded. On the host's network the server publishes."""
    args = dict(option_values(command))
    published = [_published(port) for port in ports]
    if network == "host" and "headless" not in args and str(args.get("port", "")).isdigit():
        published = [Published(address=str(args.get("host", "")).strip("[]"), port=int(args["port"]))]
    return {"args": args, "published": published}


def endpoint(server: Server) -> dict[str, str]:
    """Return where the server is reached on the host, and under which name: C({base_url, served_model_name})."""
    published = server["published"][0] if server["published"] else Published(address="127.0.0.1", port=0)
    address = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(published["address"], published["address"])
    name = server["args"].get("served-model-name") or server["args"].get("model", "")
    return {
        "base_url": f"http://{bracketed(address)}:{published['port']}",
        "served_model_name": str(name[0] if isinstance(name, list) else name),
    }


def bracketed(address: str) -> str:
    """Return an address as it stands before a port."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def _is_follower(span: Mapping[str, Any]) -> bool:
    """Return whether this host runs a part of a server whose API is on another one."""
    return bool(span) and int(span["rank"]) > 0


def _is_guarded(settings: Settings) -> bool:
    return needs_guard(settings["vllm_bind_address"]) and not _is_follower(settings["vllm_span"])


def _listening(settings: Settings) -> dict[str, Any]:
    """Return where the API listens: inside of its container or, on the network of the host, where it is published."""
    if settings["vllm_span"]:
        return {"host": settings["vllm_bind_address"].strip("[]"), "port": int(settings["vllm_port"])}
    return {"host": "0.0.0.0", "port": settings["vllm_container_port"]}


def _span_args(span: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of one of several nodes; what only a plan does not know yet is named."""
    if not span:
        return {}
    return {
        "nnodes": span["nodes"],
        "node-rank": span["rank"],
        "master-addr": span["head_address"] or f"<address of {span['hosts'][0]}>",
        "master-port": span["port"],
        **({"headless": True} if _is_follower(span) else {}),
    }


def _span_env(span: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables by which the engine and its libraries find the network between the nodes."""
    if not span:
        return {}
    interface = span["interface"] or f"<interface of {span['hosts'][span['rank']]}>"
    return {
        "VLLM_HOST_IP": span["address"] or f"<address of {span['hosts'][span['rank']]}>",
        "GLOO_SOCKET_IFNAME": interface,
        "NCCL_SOCKET_IFNAME": f"={interface}",  # without the sign it is a prefix: eth1 is eth10, too
    }


def _pin(args: dict[str, Any], model: str, commits: Mapping[str, str]) -> dict[str, Any]:
    """Add the known commits, so that a new commit restarts the server. Options that are set already win."""
    draft = args.get("speculative-config")
    if isinstance(draft, Mapping) and str(draft.get("model")) in commits and "revision" not in draft:
        args = {**args, "speculative-config": {**draft, "revision": commits[str(draft["model"])]}}
    pins = {
        "revision": commits.get(model),
        "tokenizer-revision": commits.get(args.get("tokenizer") or model),
        "code-revision": commits.get(model),
    }
    return {**args, **{name: commit for name, commit in pins.items() if commit and name not in args}}


def _given(args: Mapping[str, Any]) -> dict[str, Any]:
    return {option_name(name): value for name, value in args.items() if value is not None}


def _published(port: str) -> Published:
    address, _colon, number = port.rpartition(":")[0].rpartition(":")
    return {"address": address.strip("[]"), "port": int(number) if number.isdigit() else 0}
