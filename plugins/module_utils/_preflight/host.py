# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inspect everything that the preflight judges. Read-only."""

from __future__ import annotations

import errno
import glob
import json
import os
import platform
import re
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .._apt import sources
from .._core.files import read_text
from .._core.process import run
from .._core.units import GB
from .._docker.build import REPOSITORY, derived_image
from .._docker.cli import DockerError, own_pids, run_docker
from .._docker.registry import Answer, find_image, has_login, registry_url
from .._hf.cache import CacheError, RepoCache
from .._nvidia.host import gpu_info
from .downloads import (
    ALL_TIMEOUT_S,
    SILENT_PIP,
    URL_TIMEOUT_S,
    ask_all,
    find_model,
    find_package,
    pip_command,
    unreachable,
)
from .facts import Host, Needs, Volume

PROGRAM_TIMEOUT_S = 10.0
# Without the persistence daemon nvidia-smi first initialises all GPUs, which must not count as a hang.
GPU_TIMEOUT_S = 30.0
_CONTAINERD_ROOT = "/var/lib/containerd"
_APT_LISTS = "/var/lib/apt/lists"
_EFI_SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_UNFINISHED = ("half-installed", "unpacked", "half-configured")
# What must have one version: kernel module, libraries, Fabric Manager.
_DRIVER_PACKAGE = re.compile(
    r"(?:nvidia-(?:driver|dkms|kernel|open|utils|compute|fabricmanager|firmware)|libnvidia-(?!container)|linux-modules-nvidia|cuda-drivers)"
)
# File systems suitable for weights and images. A network file system may hang when asked for its free space.
_LOCAL = ("btrfs", "ext3", "ext4", "xfs", "zfs")


@dataclass(frozen=True)
class Places:
    """The sources of the deployment, and its paths and names on this host."""

    models: tuple[tuple[str, str], ...] = ()  # repository and revision
    image: str = ""
    image_pip: tuple[str, ...] = ()  # the packages that the image is built with
    containers: tuple[str, ...] = ()
    hub: str = ""
    hub_token: str = field(default="", repr=False)
    docker_data_root: str = ""
    driver_repository: str = ""
    toolkit_repository: str = ""
    controller_time: float | None = None


@dataclass(frozen=True)
class Engine:
    """The Docker engine. C(root) is where it stores images, or will store them once it is installed."""

    answers: bool
    root: str
    own_containers: tuple[dict[str, Any], ...]  # that run
    image_present: bool | None
    is_built: bool = False  # whether the image with its packages is there
    mirrors: tuple[str, ...] = ()  # of Docker Hub
    has_proxy: bool = False  # of its own


def look(needs: Needs, places: Places) -> Host:
    """Return the facts of the host. Takes as long as the slowest single query."""
    skew_s = None if places.controller_time is None else time.time() - places.controller_time
    with ThreadPoolExecutor(8) as pool:
        nvidia_job = pool.submit(gpu_info, GPU_TIMEOUT_S)
        engine_job = pool.submit(_engine, places)
        packages_job = pool.submit(_packages)
        headers_job = pool.submit(_headers)
        kernel_job = pool.submit(_kernel_log)
        cached_job = pool.submit(_cached, needs, places)
        engine, (missing, present) = engine_job.result(), cached_job.result()
        urls, questions = _wanted_urls(needs, places, engine, missing), _questions(places, engine, missing)
        sources_job = pool.submit(_ask_sources, urls, questions)
        nvidia, (reached, silent, answers) = nvidia_job.result(), sources_job.result()
    if missing is None and needs.hf_home:
        missing = _missing_by_hub(places, answers, present)
    silence = Answer("unknown", SILENT_PIP)
    pins = {pin: answers.get(pin, silence) for pin in places.image_pip if pin in questions}
    os_release = _os_release()
    volumes = _volumes()
    pids = {process["pid"] for gpu in nvidia["gpus"] for process in gpu["processes"]}
    return Host(
        os_id=os_release.get("ID", "unknown"),
        os_version=os_release.get("VERSION_ID", ""),
        architecture=platform.machine(),
        kernel=platform.release(),
        headers=headers_job.result(),
        secure_boot=_secure_boot(),
        nvidia=nvidia,
        own_pids=frozenset().union(*(own_pids(container["Id"], pids) for container in engine.own_containers)),
        volumes={
            "weights": _volume_of(needs.hf_home or "/", volumes),
            "images": _volume_of(engine.root, volumes),
        },
        other_volumes=tuple(volume for volume in volumes if volume.kind in _LOCAL),
        weights_missing_bytes=missing,
        image_present=engine.image_present,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        shm_bytes=_free_bytes("/dev/shm"),
        port_trouble=_ports_trouble(needs, engine.own_containers),
        skew_s=skew_s,
        uptime_s=float(read_text("/proc/uptime").partition(" ")[0] or 0),
        kernel_log=kernel_job.result(),
        reached=reached,
        unreachable=silent,
        downloads={name: answer for name, answer in answers.items() if name not in pins},
        python_packages=pins,
        source_conflicts=_source_conflicts(),
        dpkg_problems=packages_job.result()[0],
        model_config=_model_config(needs, places),
        upgraded_driver=packages_job.result()[1],
    )


def _os_release() -> dict[str, str]:
    pairs = re.findall(r'^(\w+)="?([^"\n]*)"?$', read_text("/etc/os-release"), re.MULTILINE)
    return dict(pairs)


def _engine(places: Places) -> Engine:
    root = places.docker_data_root or "/var/lib/docker"
    try:
        info = run_docker(["info", "--format", "{{json .}}"], timeout_s=PROGRAM_TIMEOUT_S)
        if info.rc != 0:
            return Engine(False, root, (), None)
        settings = json.loads(info.stdout)
        root_now = settings.get("DockerRootDir") or root
        root = places.docker_data_root or root_now
        # The default of new engines from 29 on, regardless of their data-root.
        if ["driver-type", "io.containerd.snapshotter.v1"] in (settings.get("DriverStatus") or []):
            root = root_now = _CONTAINERD_ROOT
        # It prints those that there are, and fails for the others.
        listed = run_docker(["container", "inspect", *places.containers], timeout_s=PROGRAM_TIMEOUT_S).stdout
        containers = json.loads(listed or "[]") if places.containers else []
        image = run_docker(["image", "inspect", "--format", "present", places.image], timeout_s=PROGRAM_TIMEOUT_S)
        built = run_docker(["image", "ls", "--quiet", "--filter", _built(places)], timeout_s=PROGRAM_TIMEOUT_S)
    except (DockerError, ValueError):
        return Engine(False, root, (), None)
    running = tuple(each for each in containers if each["State"]["Running"])
    # Images in the current folder must be pulled again once the engine uses another one.
    moves = os.path.realpath(root) != os.path.realpath(root_now)
    mirrors = tuple((settings.get("RegistryConfig") or {}).get("Mirrors") or ())
    has_proxy = bool(settings.get("HttpProxy") or settings.get("HttpsProxy"))
    is_built = bool(built.stdout.strip()) and not moves
    return Engine(True, root, running, image.rc == 0 and not moves, is_built, mirrors, has_proxy)


def _built(places: Places) -> str:
    """Return the filter for the image with its packages, whatever the tag is that its base had."""
    return f"reference={REPOSITORY}/*:*-{derived_image(places.image, '', places.image_pip).name.rpartition('-')[2]}"


def _cached(needs: Needs, places: Places) -> tuple[int | None, int]:
    """Return how many bytes must still be fetched, None if that is unknown here, and how many are there."""
    if not needs.hf_home:
        return None, 0
    missing, present = 0, 0
    for repo, revision in places.models:
        try:
            cache = RepoCache(needs.hf_home, repo)
        except CacheError:
            return None, 0
        commit = cache.pinned_commit(revision)
        files = cache.recorded_files(commit) if commit else None
        if commit is None or files is None:
            # Single files are unknown: subtract all blobs on disk from the total.
            present += sum(_size(path) for path in glob.glob(f"{glob.escape(cache.blobs)}/*"))
            missing = -1
        elif missing >= 0:
            state = cache.state(commit, files)
            missing += state.bytes_missing
            present += state.bytes_present
    if missing >= 0:
        return missing, present
    return (max(0, int(needs.weights_gb * GB) - present) if needs.weights_gb else None), present


def _missing_by_hub(places: Places, answers: dict[str, Answer], present: int) -> int | None:
    """Return how many bytes must still be fetched by the sizes that the hub names, or None."""
    names = [_model_name(repo, revision) for repo, revision in places.models]
    sizes = [answers[name].size for name in names if name in answers]
    known = [size for size in sizes if size is not None]
    return max(0, sum(known) - present) if len(known) == len(names) else None


def _model_name(repo: str, revision: str) -> str:
    return f"{repo} at {revision}"


def _model_config(needs: Needs, places: Places) -> dict[str, Any] | None:
    """Return the config.json of the first model, or None if it is not in the cache."""
    if not (needs.hf_home and places.models):
        return None
    repo, revision = places.models[0]
    try:
        cache = RepoCache(needs.hf_home, repo)
        commit = cache.pinned_commit(revision)
        config = json.loads(read_text(os.path.join(cache.snapshot(commit), "config.json"))) if commit else None
    except (CacheError, OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_blocks * 512
    except OSError:
        return 0


def _volumes() -> list[Volume]:
    """Return all mounted file systems, the mount point as folder; of several on one point the last one counts."""
    found = {}
    for line in read_text("/proc/self/mounts").splitlines():
        device, mount, kind = line.split(" ")[:3]
        mount = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), mount)
        found[mount] = Volume(mount, mount, device, kind, _free_bytes(mount) if kind in _LOCAL else 0)
    return list(found.values())


def _volume_of(folder: str, volumes: Iterable[Volume]) -> Volume:
    """Return the file system that holds, or would hold, C(folder)."""
    existing = os.path.realpath(folder)
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing)
    holding = [volume for volume in volumes if f"{existing}/".startswith(volume.mount.rstrip("/") + "/")]
    deepest = max(holding, key=lambda volume: len(volume.mount))
    return Volume(folder, deepest.mount, deepest.device, deepest.kind, _free_bytes(existing))


def _free_bytes(folder: str) -> int:
    try:
        status = os.statvfs(folder)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize


def _secure_boot() -> bool | None:
    """Return whether Secure Boot is on; the last byte of the variable says so, after four of attributes."""
    try:
        with open(_EFI_SECURE_BOOT, "rb") as stream:
            return stream.read()[-1:] == b"\x01"
    except OSError:
        return None


def _kernel_log() -> str | None:
    """Return the kernel's messages since the boot, or None if this user may not read them."""
    for command in (["dmesg"], ["journalctl", "--dmesg", "--boot", "--no-pager", "--quiet"]):
        answer = run(command, PROGRAM_TIMEOUT_S)
        if answer.rc == 0 and answer.output:
            return answer.output
    return None


def _headers() -> bool | None:
    release = platform.release()
    if os.path.isdir(f"/lib/modules/{release}/build"):
        return True
    policy = run(["apt-cache", "policy", f"linux-headers-{release}"], PROGRAM_TIMEOUT_S)
    # A fresh machine has no package lists yet, so the answer is unknown.
    if policy.rc != 0 or not glob.glob(f"{_APT_LISTS}/*_Packages*"):
        return None
    candidate = re.search(r"Candidate: (\S+)", policy.output)
    return candidate is not None and candidate.group(1) != "(none)"


def _packages() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the packages that an interrupted installation left unfinished, and those of the driver that apt upgrades.

    The latter are only asked for where upgrades come by themselves.
    """
    audit = run(["dpkg-query", "--show", "--showformat", "${Status}\t${Package}\n"], PROGRAM_TIMEOUT_S)
    found = re.findall(r"^(\S+) \S+ (\S+)\t(\S+)$", audit.output, re.MULTILINE)
    broken = [f"{name} is {state}" for _want, state, name in found if state in _UNFINISHED]
    installed = {name: want for want, state, name in found if state == "installed"}
    free = [name for name, want in installed.items() if want != "hold" and _DRIVER_PACKAGE.match(name)]
    return tuple(broken), tuple(free) if "unattended-upgrades" in installed else ()


def _source_conflicts() -> tuple[str, ...]:
    return tuple(sources.signing_conflicts(sources.read_sources()))


def _ports_trouble(needs: Needs, containers: Iterable[dict[str, Any]]) -> str | None:
    """Return what is wrong with the wanted ports, or None."""
    own = {port for container in containers for port in _published_ports(container)}
    found = {port: port_trouble(needs.bind_address, port, None) for port in needs.ports if str(port) not in own}
    troubles = [
        trouble if len(needs.ports) == 1 else f"{port}: {trouble}" for port, trouble in found.items() if trouble
    ]
    return "; ".join(troubles) or None


def _published_ports(container: dict[str, Any]) -> set[str]:
    """Return the ports of the host that a container has, from C(docker inspect).

    On the network of the host that is the option C(--port) of a server.
    """
    settings = container.get("HostConfig") or {}
    bindings = settings.get("PortBindings") or {}
    found = {binding["HostPort"] for published in bindings.values() for binding in published or []}
    if settings.get("NetworkMode") == "host":
        words = (container.get("Config") or {}).get("Cmd") or []
        found |= {port for option, port in zip(words, words[1:]) if option == "--port"}
    return found


def port_trouble(address: str, port: int, container: dict[str, Any] | None) -> str | None:
    """Return what is wrong with the wanted port, or None if it is free, our own server's, or 0, for none."""
    if not port:
        return None
    if str(port) in _published_ports(container or {}):
        return None
    address = address.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            return None
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                return f"not available on this host ({exc.strerror})"
            return f"taken by {_container_with_port(port) or _listener(port) or 'a process that this user cannot see'}"


def _container_with_port(port: int) -> str | None:
    try:
        names = run_docker(["ps", "--filter", f"publish={port}", "--format", "{{.Names}}"], PROGRAM_TIMEOUT_S).stdout
    except DockerError:
        return None
    return f"the container {names.strip()}" if names.strip() else None


def _listener(port: int) -> str | None:
    """Return name and PID of the process that listens on a port, or None if this user may not see it."""
    inodes = {
        fields[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in (line.split() for line in read_text(table).splitlines()[1:])
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port
    }
    links = {f"socket:[{inode}]" for inode in inodes}
    for descriptor in glob.iglob("/proc/[0-9]*/fd/*"):
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target in links:
            pid = descriptor.split("/")[2]
            return f"{read_text(f'/proc/{pid}/comm').strip()} (pid {pid})"
    return None


def _wanted_urls(needs: Needs, places: Places, engine: Engine, weights_missing: int | None) -> list[str]:
    """Return the addresses that the deployment will need, given the state of the host."""
    urls = []
    if places.models and weights_missing != 0:
        urls.append(places.hub)
    # Addresses behind the engine's own proxy cannot be tried from here.
    if places.image and not engine.image_present and not engine.has_proxy:
        urls.append(registry_url(places.image, engine.mirrors))
    installs_docker = not engine.answers
    installs_driver = bool(needs.gpu_count) and needs.install_driver
    installs_toolkit = bool(needs.gpu_count) and run(["nvidia-ctk", "--version"], PROGRAM_TIMEOUT_S).missing
    if installs_driver:
        urls.append(places.driver_repository)
    if installs_toolkit:
        urls.append(places.toolkit_repository)
    if installs_docker or installs_driver or installs_toolkit:
        targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], PROGRAM_TIMEOUT_S)
        urls.extend(targets.output.split() if targets.rc == 0 else [])
    return [url for url in dict.fromkeys(urls) if url.startswith(("http://", "https://"))]


def _ask_sources(
    urls: list[str], questions: dict[str, Callable[[], Answer]]
) -> tuple[tuple[str, ...], dict[str, str], dict[str, Answer]]:
    """Return the addresses that answered, the errors of the others, and the answers to the questions."""
    jobs: dict[str, Callable[[], Answer | str | None]] = {
        **questions,
        **{url: partial(unreachable, url) for url in urls},
    }
    silence = f"no answer within {ALL_TIMEOUT_S:.0f} s; does the name server answer ('getent hosts NAME')?"
    found: dict[str, Answer | str | None] = ask_all(jobs, silence)
    reasons = {url: found[url] for url in urls}
    return (
        tuple(url for url, reason in reasons.items() if reason is None),
        {url: str(reason) for url, reason in reasons.items() if reason is not None},
        {name: answer for name, answer in found.items() if isinstance(answer, Answer)},
    )


def _questions(places: Places, engine: Engine, weights_missing: int | None) -> dict[str, Callable[[], Answer]]:
    """Return what is asked of hub and registry, by name of the model or image."""
    questions: dict[str, Callable[[], Answer]] = {}
    if places.image and not engine.image_present and not engine.has_proxy and not has_login(places.image):
        url = registry_url(places.image, engine.mirrors)
        questions[places.image] = partial(find_image, places.image, url, URL_TIMEOUT_S)
    if places.hub and weights_missing != 0:
        for repo, revision in places.models:
            questions[_model_name(repo, revision)] = partial(find_model, places.hub, repo, revision, places.hub_token)
    if places.image_pip and not engine.is_built:
        pip = pip_command()
        questions.update({pin: partial(find_package, pin, pip) for pin in places.image_pip})
    return questions
