# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a server from starting, as far as that can be known before an old one is stopped for it.

Every function returns problems, each a sentence with what is wrong, where, and what to do.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from .._core.units import GIB
from .._hf.cache import COMMIT, RepoCache
from .._hf.verify import Memory
from .spec import bracketed, needs_guard

_NAMED_FILES = 3


def open_endpoint(address: str, has_key: bool) -> list[str]:
    """An address that others reach needs an API key."""
    if not address:
        return [
            "vllm_bind_address is empty, which Docker takes for every address. Name one: 127.0.0.1, or one of the host."
        ]
    try:
        ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return [f"vllm_bind_address is {address}, and Docker takes addresses only: 127.0.0.1, or one of the host."]
    if has_key or not needs_guard(address):
        return []
    return [
        f"vllm_bind_address is {address}, but there is no API key: anyone who reaches the address could use the"
        " server, for ports published by Docker pass the host's own firewall. Set VLLM_API_KEY in the environment or"
        " vllm_api_key in a vault, let the host make one (vllm_api_key_generate: true), or keep the server on"
        " 127.0.0.1 and reach it through an SSH tunnel."
    ]


def remote_code(args: Mapping[str, Any]) -> list[str]:
    """Code that comes with a model is only run at a commit. C(args) are the server's options by name."""
    if args.get("trust-remote-code") in (None, False):
        return []
    named, model, draft = repositories(args), args.get("model", ""), _draft(args)
    unpinned = []
    if model in named:
        unpinned += [f"--{name}" for name in ("revision", "code-revision") if not _is_commit(args.get(name))]
    tokenizer = args.get("tokenizer", "")
    if tokenizer in named and tokenizer != model and not _is_commit(args.get("tokenizer-revision")):
        unpinned.append("--tokenizer-revision")
    if draft.get("model") in named and not _is_commit(draft.get("revision")):
        unpinned.append("revision in --speculative-config")
    if not unpinned:
        return []
    return [
        f"--trust-remote-code runs code from the repositories of {', '.join(named)}, but not at a commit:"
        f" {', '.join(unpinned)} is none. Run the role hgx.inference.hf_cache, which records the commits, give"
        " them in vllm_revisions, or take the option out."
    ]


def synthetic(args: Mapping[str, Any]) -> str:
    """Return a warning about a server that accepts drafted tokens by chance, or nothing."""
    if _draft(args).get("rejection_sample_method") != "synthetic":
        return ""
    return (
        "speculative-config has rejection_sample_method: synthetic. Drafted tokens are accepted by chance, so the"
        " answers of this server are nonsense. It is for measurements only."
    )


def repositories(args: Mapping[str, Any]) -> list[str]:
    """Return the repositories that a server's options name. Folders of this host are left out."""
    named = dict.fromkeys(
        str(name or "") for name in (args.get("model"), _draft(args).get("model"), args.get("tokenizer"))
    )
    return [name for name in named if name and not name.startswith(("/", "."))]


def weights(cache_home: str, models: Mapping[str, str]) -> list[str]:
    """Every file of the models, repository to commit, has its size and was not written to since it was verified."""
    problems = []
    for repo, commit in models.items():
        cache = RepoCache(cache_home, repo)
        pinned = commit or cache.referenced_commit("main")
        if pinned is None or not os.path.isdir(cache.snapshot(pinned)):
            what = f"the commit {commit} of {repo}" if commit else repo
            problems.append(f"{what} is not in the cache {cache_home}, and the server downloads nothing. {_FETCH}")
            continue
        problems += _incomplete(cache, pinned)
    return problems


def memory(needed_gib: float, available: int, held: int) -> list[str]:
    """C(available) is the host's free memory, C(held) what the server holds that is to be replaced; both in bytes."""
    if available + held >= needed_gib * GIB:
        return []
    own = f", {held / GIB:.1f} GiB are held by the running server" if held else ""
    return [
        f"The server needs {needed_gib:g} GiB of memory (vllm_memory_gib); {available / GIB:.1f} GiB are"
        f" available{own}."
        " End what uses the memory ('ps aux --sort=-rss | head'), or lower vllm_memory_gib if it is too careful."
    ]


def shared_memory(needed_gib: float, free: int, ipc: str) -> list[str]:
    """C(free) is what /dev/shm of the host has, in bytes. A container that does not share it gets its own."""
    if ipc != "host" or free >= needed_gib * GIB:
        return []
    return [
        f"The workers talk through /dev/shm and need {needed_gib:g} GiB there (vllm_shm_gib); {free / GIB:.1f} GiB"
        " are free."
        f" Run 'mount -o remount,size={max(1, round(needed_gib * 2))}G /dev/shm', or remove what lies there."
    ]


def port(address: str, number: int, trouble: str | None) -> list[str]:
    """C(trouble) is what is wrong with the port, as in "taken by nginx (pid 9)", or None."""
    if trouble is None:
        return []
    return [
        f"{bracketed(address)}:{number} is {trouble}. Stop what has it, or set another vllm_port or vllm_bind_address."
    ]


_FETCH = "Run the role hgx.inference.hf_cache (playbooks/cache.yml)."


def _incomplete(cache: RepoCache, commit: str) -> list[str]:
    files = cache.recorded_files(commit)
    snapshot = cache.snapshot(commit)
    if files is None:
        # Fetched by another program. What it left unfinished shows in links that lead nowhere.
        broken = [name for name in _walk(snapshot) if not os.path.exists(os.path.join(snapshot, name))]
        return [_files("missing from", broken, snapshot)] if broken else []
    state = cache.state(commit, files)
    problems = []
    missing, replaced = {file.path for file in state.missing}, {file.path for file in state.replaced}
    lacking = sorted(missing - replaced)
    if lacking:
        problems.append(_files("missing from, or of a wrong size in,", lacking, snapshot))
    known = Memory(cache.memory)
    rewritten = [
        file.path
        for file in files
        if file.path in replaced or (file.path not in missing and known.changed(file.blob, cache.content(commit, file)))
    ]
    if rewritten:
        problems.append(_files("not what was verified, but was written to since, in", rewritten, snapshot))
    return problems


def _files(words: str, names: list[str], folder: str) -> str:
    listed = ", ".join(names[:_NAMED_FILES]) + (
        f" and {len(names) - _NAMED_FILES} more" if names[_NAMED_FILES:] else ""
    )
    return f"{listed} {'is' if len(names) == 1 else 'are'} {words} {folder}. {_FETCH}"


def _walk(folder: str) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _folders, names in os.walk(folder)
        for name in names
    )


def _is_commit(value: Any) -> bool:
    return re.fullmatch(COMMIT, str(value or "")) is not None


def _draft(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of speculative decoding: a mapping, the same as JSON, or options with dots."""
    name = "speculative-config"
    found = args.get(name)
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            found = None
    single = {key[len(name) + 1 :]: value for key, value in args.items() if key.startswith(f"{name}.")}
    return {**(found if isinstance(found, dict) else {}), **single}
