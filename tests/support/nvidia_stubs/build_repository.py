#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a signed apt repository of NVIDIA stub packages with the real names.

Usage: build_repository.py OUT [--kernel RELEASE]. What is in OUT afterwards, README.md beside this file says.
Does nothing when OUT was built from the same inputs. Needs dpkg-deb and gpg; standard library only.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAYLOAD = HERE / "payload"
RECORDED = HERE.parents[1] / "unit" / "fixtures" / "nvidia-smi" / "h100-idle.xml"  # the stub nvidia-smi's template
STUBS = "usr/lib/nvidia-stub"
UNITS = "usr/lib/systemd/system"

DRIVERS = ("570.124.06", "580.95.05", "580.126.20")
FABRIC_MANAGERS = (*DRIVERS, "580.105.08")  # the last one has no driver
TOOLKITS = ("1.18.1", "1.20.0")
NVLSM = "2025.06.11-1"


@dataclass(frozen=True)
class Package:
    """One stub package. Files are {path on the target: text or file of the payload}, scripts {name: text}."""

    name: str
    version: str
    folder: str  # below pool: all packages in it can be installed together
    depends: tuple[str, ...] = ()
    replaces: str = ""  # the virtual name that only one installed package may provide
    files: dict[str, str | Path] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    scripts: dict[str, str] = field(default_factory=dict)

    def control(self) -> str:
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": "amd64",
            "Maintainer": "hgx.inference tests <stub@example.invalid>",
            "Depends": ", ".join(self.depends),
            "Provides": self.replaces,
            "Conflicts": self.replaces,
            "Replaces": self.replaces,
            "Description": f"test stub of {self.name}",
        }
        return "".join(f"{key}: {value}\n" for key, value in fields.items() if value)

    @property
    def path(self) -> str:
        return f"pool/{self.folder}/{self.name}_{self.version}_amd64.deb"


def script(name: str, **values: str) -> str:
    text = (PAYLOAD / "scripts" / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def driver(version: str) -> list[Package]:
    """The packages of one driver version, tied to each other as tightly as the real ones."""
    branch, full = version.partition(".")[0], f"{version}-0ubuntu1"
    folder = f"driver_{version}"
    library = f"usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{version}"
    persistenced = "nvidia-persistenced.service"

    def same(*names: str) -> tuple[str, ...]:
        return tuple(f"{name} (= {full})" for name in names)

    source, kernel = f"nvidia-kernel-source-{branch}-open", f"nvidia-kernel-common-{branch}"
    compute, utils = f"libnvidia-compute-{branch}", f"nvidia-utils-{branch}"
    module, daemon = f"nvidia-dkms-{branch}-open", f"nvidia-compute-utils-{branch}"
    return [
        Package(
            f"nvidia-driver-{branch}-open",
            full,
            folder,
            same(module, source, kernel, compute, utils, daemon),
            "nvidia-driver-binary",
        ),
        Package(
            module,
            full,
            folder,
            same(source, kernel),
            "nvidia-dkms-kernel",
            scripts={"postinst": script("dkms.postinst"), "prerm": script("dkms.prerm")},
        ),
        Package(
            source,
            full,
            folder,
            ("nvidia-stub-machine",),
            "nvidia-kernel-source",
            files={f"usr/src/nvidia-{version}/dkms.conf": f'PACKAGE_NAME="nvidia"\nPACKAGE_VERSION="{version}"\n'},
        ),
        Package(
            kernel,
            full,
            folder,
            (),
            "nvidia-kernel-common",
            files={
                "usr/lib/modprobe.d/nvidia-graphics-drivers.conf": PAYLOAD / "etc" / "nvidia-graphics-drivers-kms.conf"
            },
        ),
        Package(compute, full, folder, (), "libnvidia-compute", files={library: f"libnvidia-ml {version}\n"}),
        Package(
            utils,
            full,
            folder,
            ("nvidia-stub-machine", *same(compute)),
            "nvidia-utils",
            programs=("usr/bin/nvidia-smi",),
        ),
        Package(
            daemon,
            full,
            folder,
            ("nvidia-stub-machine", *same(compute)),
            "nvidia-compute-utils",
            files={f"{UNITS}/{persistenced}": PAYLOAD / "units" / persistenced},
            programs=("usr/bin/nvidia-persistenced",),
            scripts={
                "postinst": script("service.postinst"),
                "prerm": script("service.prerm", UNIT=persistenced),
            },
        ),
    ]


def fabric_manager(version: str) -> Package:
    unit = "nvidia-fabricmanager.service"
    return Package(
        f"nvidia-fabricmanager-{version.partition('.')[0]}",
        f"{version}-1",
        f"fabricmanager_{version}",
        ("nvidia-stub-machine",),
        "nvidia-fabricmanager",
        files={
            f"{UNITS}/{unit}": PAYLOAD / "units" / unit,
            f"{STUBS}/versions/fabricmanager": f"{version}\n",
            "usr/share/nvidia/nvswitch/fabricmanager.cfg": PAYLOAD / "etc" / "fabricmanager.cfg",
        },
        programs=("usr/bin/nv-fabricmanager",),
        scripts={"postinst": script("service.postinst"), "prerm": script("service.prerm", UNIT=unit)},
    )


def toolkit(version: str) -> list[Package]:
    full, folder = f"{version}-1", f"toolkit_{version}"
    units = ("nvidia-cdi-refresh.service", "nvidia-cdi-refresh.path")
    return [
        Package(
            "nvidia-container-toolkit",
            full,
            folder,
            (f"libnvidia-container-tools (>= {full})", f"nvidia-container-toolkit-base (= {full})"),
            programs=("usr/bin/nvidia-container-runtime-hook",),
        ),
        Package(
            "nvidia-container-toolkit-base",
            full,
            folder,
            ("nvidia-stub-machine",),
            files={
                **{f"etc/systemd/system/{unit}": PAYLOAD / "units" / unit for unit in units},
                "etc/nvidia-container-toolkit/nvidia-cdi-refresh.env": PAYLOAD / "etc" / "nvidia-cdi-refresh.env",
                "etc/nvidia-container-runtime/config.toml": PAYLOAD / "etc" / "config.toml",
                f"{STUBS}/versions/toolkit": f"{version}\n",
            },
            programs=("usr/bin/nvidia-ctk", "usr/bin/nvidia-cdi-hook", "usr/bin/nvidia-container-runtime"),
            scripts={"postinst": script("toolkit.postinst")},
        ),
        Package(
            "libnvidia-container-tools",
            full,
            folder,
            (f"libnvidia-container1 (>= {full})", "nvidia-stub-machine"),
            programs=("usr/bin/nvidia-container-cli",),
        ),
        Package("libnvidia-container1", full, folder),
    ]


def machine() -> Package:
    """The hardware and the kernel's tools. Not in the repository's index: a machine is not installed by apt."""
    unit = "nvidia-stub.service"
    return Package(
        "nvidia-stub-machine",
        "1",
        "machine",
        files={
            **{f"{STUBS}/nvidia_stub/{path.name}": path for path in sorted((PAYLOAD / "nvidia_stub").glob("*.py"))},
            f"{STUBS}/nvidia_stub/recorded.xml": RECORDED,
            f"{UNITS}/{unit}": PAYLOAD / "units" / unit,
        },
        programs=tuple(f"usr/local/sbin/{name}" for name in ("dkms", "lsmod", "modinfo", "modprobe", "nvidia-stub")),
        scripts={"postinst": script("machine.postinst")},
    )


def catalog(kernel: str) -> list[Package]:
    headers = Package(
        f"linux-headers-{kernel}",
        "1",
        "headers",
        ("nvidia-stub-machine",),
        files={f"lib/modules/{kernel}/build/Makefile": f"# the headers of {kernel}\n"},
        scripts={"postinst": script("dkms.postinst")},
    )
    nvlsm = Package("nvlsm", NVLSM, "nvlsm", files={"opt/nvidia/nvlsm/sbin/nvlsm": f"NVLink subnet manager {NVLSM}\n"})
    return [
        headers,
        nvlsm,
        *(package for version in DRIVERS for package in driver(version)),
        *(fabric_manager(version) for version in FABRIC_MANAGERS),
        *(package for version in TOOLKITS for package in toolkit(version)),
    ]


def build_package(package: Package, out: Path, work: Path) -> str:
    """Make the .deb. Returns its paragraph of the index."""
    root = work / f"{package.name}_{package.version}"
    launchers = dict.fromkeys(package.programs, PAYLOAD / "launcher")
    for place, content in {**package.files, **launchers}.items():
        target = root / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content.read_bytes())
        target.chmod(0o755 if place in launchers else 0o644)
    control = root / "DEBIAN"
    control.mkdir(parents=True)
    (control / "control").write_text(package.control())
    conffiles = [f"/{place}\n" for place in package.files if place.startswith("etc/")]
    (control / "conffiles").write_text("".join(conffiles))
    for name, text in package.scripts.items():
        (control / name).write_text(text)
        (control / name).chmod(0o755)
    deb = out / package.path
    deb.parent.mkdir(parents=True, exist_ok=True)
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(root), str(deb))
    made = deb.read_bytes()
    return f"{package.control()}Filename: {package.path}\nSize: {len(made)}\nSHA256: {sha256(made)}\n"


def write_index(out: Path, paragraphs: list[str], keyring: Path) -> None:
    """Write the suite C(stable) with its signed Release file."""
    suite = out / "dists" / "stable"
    binary = suite / "main" / "binary-amd64"
    binary.mkdir(parents=True)
    text = "\n".join(paragraphs).encode()
    (binary / "Packages").write_bytes(text)
    (binary / "Packages.gz").write_bytes(gzip.compress(text, mtime=0))
    sums = [
        f" {sha256(path.read_bytes())} {path.stat().st_size} {path.relative_to(suite)}"
        for path in sorted(binary.iterdir())
    ]
    lines = ["Origin: nvidia-stubs", "Label: nvidia-stubs", "Suite: stable", "Codename: stable"]
    lines += ["Architectures: amd64", "Components: main", f"Date: {formatdate(usegmt=True)}", "SHA256:", *sums]
    (suite / "Release").write_text("\n".join(lines) + "\n")
    gpg(keyring, "--clearsign", "--local-user", "repository", "-o", str(suite / "InRelease"), str(suite / "Release"))
    gpg(keyring, "--armor", "--detach-sign", "-o", str(suite / "Release.gpg"), str(suite / "Release"))


def make_keys(out: Path, keyring: Path) -> None:
    """The key that signs, and one that does not. The private halves end with this build."""
    for name in ("repository", "wrong"):
        gpg(
            keyring,
            "--passphrase",
            "",
            "--quick-gen-key",
            f"{name} <{name}@example.invalid>",
            "ed25519",
            "sign",
            "never",
        )
        file = out / ("key" if name == "repository" else "wrong-key")
        gpg(keyring, "--armor", "-o", f"{file}.asc", "--export", name)
        gpg(keyring, "-o", f"{file}.gpg", "--export", name)


def build(out: Path, kernel: str) -> None:
    for path in out.iterdir():  # the folder itself stays: it may be mounted
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor() as pool:
        work = Path(name)
        keyring = work / "gnupg"
        keyring.mkdir(mode=0o700)
        try:
            keys = pool.submit(make_keys, out, keyring)
            pool.submit(build_package, machine(), out, work).result()
            paragraphs = list(pool.map(lambda package: build_package(package, out, work), catalog(kernel)))
            keys.result()
            write_index(out, paragraphs, keyring)
        finally:
            run("gpgconf", "--homedir", str(keyring), "--kill", "all")


def inputs(kernel: str) -> str:
    """A digest of all that goes into the repository."""
    paths = [
        Path(__file__),
        RECORDED,
        *(path for path in sorted(PAYLOAD.rglob("*")) if "__pycache__" not in path.parts),
    ]
    parts = [kernel.encode(), *(path.name.encode() + path.read_bytes() for path in paths if path.is_file())]
    return sha256(b"\0".join(parts))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def gpg(keyring: Path, *args: str) -> None:
    run("gpg", "--homedir", str(keyring), "--batch", "--quiet", "--yes", *args)


def run(*argv: str) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} failed:\n{done.stderr}")


def install_tools() -> None:
    """Debian's minimal systems lack gpg."""
    if not shutil.which("gpg"):
        root = [] if os.geteuid() == 0 else ["sudo"]
        run(*root, "apt-get", "update")
        run(*root, "apt-get", "install", "-y", "--no-install-recommends", "gnupg")


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the apt repository of NVIDIA stub packages.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--kernel", default=os.uname().release, help="for which linux-headers (default: %(default)s)")
    args = parser.parse_args()
    os.umask(0o022)  # apt reads as a user of its own
    args.out.mkdir(parents=True, exist_ok=True)
    stamp, wanted = args.out / ".inputs", inputs(args.kernel)
    with args.out.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            print(f"{args.out} is up to date")
            return 0
        install_tools()
        build(args.out, args.kernel)
        stamp.write_text(wanted)
    print(f"{args.out}: built")
    return 0


if __name__ == "__main__":
    sys.exit(main())
