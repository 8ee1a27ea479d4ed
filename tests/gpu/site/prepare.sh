#!/bin/bash
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# On a machine with package registries (x86-64, Debian or Ubuntu, no GPU): make the pieces that a GPU machine without
# network lacks.     prepare.sh WORK [TOOLKIT]
#
# WORK/out then has engine.tar.xz (Docker, nvidia-ctk, ip), tools.tar.xz (ansible-core, wheels of the roles) and vllm.0,
# vllm.1 ... (vLLM with its packages), each smaller than PIECE, and SHA256.
# TOOLKIT is a git repository of NVIDIA's container toolkit, of which nvidia-ctk is built; without it cdi.py stands in.
# The engine's packages need glibc 2.38 on the GPU machine. SM is the GPU's compute capability, without the point.
set -euo pipefail
H=$(cd "$(dirname "$0")"; pwd) W=$(mkdir -p "$1"; realpath "$1") TOOLKIT=${2:-}
VLLM=${VLLM:-0.26.0} SM=${SM:-90} XZ=${XZ:-6} PIECE=${PIECE:-54000000} SUITE=${SUITE:-sid} GO=${GO:-1.26} TOOLKIT_VERSION=${TOOLKIT_VERSION:-1.20.0}
export PIP_CONSTRAINT=
cd "$W"; mkdir -p apt/lists/partial apt/cache/archives/partial debs wheels out
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -1)} # else name one of Debian's
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR $SUITE main" >apt/sources.list
APT=(apt-get -qq -o Dir::Etc::SourceList="$W/apt/sources.list" -o Dir::Etc::SourceParts=/nonexistent -o Dir::State::Lists="$W/apt/lists" -o Dir::Cache="$W/apt/cache")
say() { echo "[$SECONDS s] $*"; }

packages() { # FOLDER PACKAGE...: unpack Debian packages without installing them
  local folder=$1; shift
  [ -d "$folder" ] && return
  [ -n "$(ls apt/lists | grep Packages)" ] || "${APT[@]}" update
  mkdir -p "debs/$folder"; (cd "debs/$folder" && "${APT[@]}" download "${@/%//$SUITE}")
  for deb in "debs/$folder"/*.deb; do dpkg -x "$deb" "$folder.new"; done
  mv "$folder.new" "$folder"
}

wheels() { # FOLDER PIP_ARGUMENTS...: download wheels for Python 3.12, with whatever glibc up to 2.39
  local folder=wheels/$1 platforms=(--platform manylinux2014_x86_64 --platform manylinux1_x86_64) minor; shift
  [ -d "$folder" ] && return
  for minor in 39 35 34 31 28 27 26 24 17 12 5; do platforms+=(--platform "manylinux_2_${minor}_x86_64"); done
  python3 -m pip download -q --only-binary=:all: --python-version 3.12 --implementation cp --abi cp312 --abi abi3 --abi none "${platforms[@]}" -d "$folder.new" "$@"
  mv "$folder.new" "$folder"
}

toolkit() { # nvidia-ctk and nvidia-cdi-hook, from the sources of the version that the role installs
  mkdir -p toolkit
  [ -z "$TOOLKIT" ] || [ -x toolkit/nvidia-ctk ] && return
  packages go "golang-$GO-go" "golang-$GO-src"
  rm -rf source goroot; mkdir source; git -C "$TOOLKIT" archive "v$TOOLKIT_VERSION" | tar xf - -C source
  mkdir goroot; cp -a "go/usr/lib/go-$GO/." goroot/; find goroot -type l -delete; cp -a "go/usr/share/go-$GO/." goroot/
  export GOROOT=$W/goroot GOFLAGS=-mod=vendor GOTOOLCHAIN=local GOPROXY=off GOCACHE=$W/gocache GOPATH=$W/gopath
  local program flags="-s -w -extldflags=-Wl,-z,lazy -X github.com/NVIDIA/nvidia-container-toolkit/internal/info.version=$TOOLKIT_VERSION"
  for program in nvidia-ctk nvidia-cdi-hook; do (cd source && "$GOROOT/bin/go" build -trimpath -ldflags "$flags" -o "$W/toolkit/$program" "./cmd/$program"); done
}

pack() { # NAME TAR_ARGUMENTS...
  tar --sort=name --owner=0 --group=0 --mtime=2026-01-01 -cf - "${@:2}" | xz -T2 -"$XZ" --block-size=32MiB >"out/$1.new"
  mv "out/$1.new" "out/$1"
}

packages docker docker.io docker-cli containerd runc iptables libip4tc2 libip6tc2 libxtables12 libmnl0 libnetfilter-conntrack3 \
  libnfnetlink0 libnftnl11 tini-static
packages network iproute2 libbpf1 libelf1t64 libcap2 # for nodes.sh, where the machine has no ip
toolkit
if [ ! -s out/engine.tar.xz ]; then
  (cd docker && rm -rf etc usr/share usr/lib/{cni,containerd,systemd,udev,sysusers.d} usr/bin/ctr \
    usr/sbin/{fs-idmap,pidfd-kill,recvtty,remap-rootfs,sd-helper,seccompagent,nfnl_osf})
  (cd network && rm -rf etc usr/share var)
  pack engine.tar.xz docker network toolkit
fi
say "engine: $(stat -c %s out/engine.tar.xz) bytes, with $(ls toolkit | wc -l) programs of the toolkit"

if [ ! -s out/tools.tar.xz ]; then
  wheels ansible --no-deps ansible-core==2.21.5 cryptography cffi pycparser resolvelib
  wheels roles -r "$H/../../../roles/hf_cache/files/requirements.txt"
  rm -rf tools; mkdir -p tools/site; for wheel in wheels/ansible/*.whl; do unzip -qo "$wheel" -d tools/site; done
  cp -r wheels/roles tools/wheels; pack tools.tar.xz -C tools .
fi
say "tools: $(stat -c %s out/tools.tar.xz) bytes"

if [ ! -s out/vllm.0 ]; then
  wheels vllm --no-deps "vllm==$VLLM"
  wheels needs --no-deps -r "$H/wheels.txt"
  rm -rf vllm; mkdir vllm; python3 "$H/thin.py" vllm "$SM" wheels/vllm/*.whl wheels/needs/*.whl
  # A library that cannot be stripped travels as it is, which only takes more room.
  find vllm -name '*.so*' -type f -size +1M ! -path 'vllm/vllm/*' | while read -r library; do
    strip --strip-unneeded "$library" 2>/dev/null || say "not stripped: $library"
  done
  say "thinned: $(du -sm vllm | cut -f1) MB"
  pack vllm.tar.xz -C vllm .; (cd out && split -b "$PIECE" -d -a1 vllm.tar.xz vllm. && rm vllm.tar.xz)
fi
(cd out && sha256sum ./* >../SHA256 && mv ../SHA256 SHA256 && ls -la)
say done
