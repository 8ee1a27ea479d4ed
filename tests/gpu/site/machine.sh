#!/bin/bash
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# On a machine with NVIDIA GPUs, root, Python 3.12 with torch, and no network: what stands in for registries and packages.
#
#   machine.sh keep FOLDER     keeps the pieces of FOLDER in $K/pieces (they may come one at a time)
#   machine.sh engine          Docker, nvidia-ctk and ip, a CDI specification, images of this machine's own files; about 20 s
#   machine.sh server          vLLM's image, the models on a loopback hub, Ansible; about 40 s, after all pieces
#   machine.sh steps OUT STEP...   steps.py, which has the steps and their record
#   machine.sh all FOLDER OUT  all of that from the bare machine to a verdict, where one command may take five minutes
#
# Each line that is printed goes to $K/logs/machine.log too.
set -uo pipefail
export K=${K:-/opt/hgx-gpu-site}
HGX=$(cd "$(dirname "$0")/../../.."; pwd) L=$K/logs P=$K/pieces; mkdir -p "$L" "$P"
. "$HGX/tests/gpu/site/env.sh"
T0=$(date +%s%N)
say() { printf '[%5.1f s] %s\n' "$(( ($(date +%s%N) - T0) / 100000000 ))e-1" "$*" | tee -a "$L/machine.log"; }
# In every container, NVLink's multicast is off.
SAFE=(); for name in $SAFE_NAMES; do SAFE+=(-c "ENV $name=${!name}"); done
PYTHON=$(python3 -c 'import sys; print(sys.prefix)')
PACKAGES=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib")[1:])')
ETC=(etc/alternatives etc/ssl etc/passwd etc/group etc/nsswitch.conf etc/os-release etc/ld.so.conf etc/ld.so.conf.d)
TAR=(tar -C / --one-file-system --ignore-failed-read --exclude='usr/bin/docker*' --exclude='usr/bin/containerd*' --exclude='usr/bin/nvidia-*')
BIN=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

engine() {
  say "$(uname -r), $(nproc) cores, $(. /etc/os-release; echo "$PRETTY_NAME"), $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | sort | uniq -c | xargs)"
  mkdir -p "$K/engine"; xz -dc -T0 "$P/engine.tar.xz" | tar xf - -C "$K/engine" || { say "engine.tar.xz is damaged"; return 1; }
  cp -a "$K/engine/docker/usr/." /usr/
  command -v ip >/dev/null || { cp -an "$K/engine/network/usr/." /usr/; ldconfig; }
  cp -a "$K/engine/toolkit/." /usr/bin/ 2>/dev/null; ln -sf /proc/self/mounts /etc/mtab
  getent group docker >/dev/null || groupadd -r docker
  local kind tool
  for kind in nft legacy; do
    /usr/sbin/iptables-$kind -t nat -L >"$L/iptables-$kind.txt" 2>&1 || continue
    for tool in iptables ip6tables; do
      ln -sf $tool-$kind /usr/sbin/$tool; ln -sf $tool-$kind-save /usr/sbin/$tool-save; ln -sf $tool-$kind-restore /usr/sbin/$tool-restore
    done
    break
  done
  setsid --fork dockerd >>/var/log/dockerd.log 2>&1 </dev/null
  for _ in $(seq 40); do docker version >"$L/docker-version.txt" 2>&1 && break; sleep 0.5; done
  docker info >"$L/docker-info.txt" 2>&1 || { say "dockerd does not answer"; tail -5 /var/log/dockerd.log; return 1; }
  say "dockerd $(docker version -f '{{.Server.Version}}') answers"
  "${TAR[@]}" --exclude='*/libLLVM*' --exclude='*.a' -cf - bin sbin lib lib64 usr/bin usr/sbin/ldconfig* usr/lib/x86_64-linux-gnu \
    usr/lib64 usr/lib/os-release "${ETC[@]}" 2>"$L/tar-probe.txt" | docker import "${SAFE[@]}" -c "ENV PATH=$BIN" - ubuntu:24.04 >/dev/null 2>&1
  say "image ubuntu:24.04, $(docker image inspect -f '{{.Size}}' ubuntu:24.04 2>&1) bytes"
  # The base of vLLM's image takes a minute: in the background, while the next pieces travel.
  setsid --fork bash "$0" base >/dev/null 2>&1 </dev/null
  cdi
}

base() { # vLLM's image without vLLM: this machine's Python with torch
  local unused=(); for name in 'jax*' 'cupy*' 'onnx*' cmake tensorstore 'torch/lib/*.a' 'tensorboard*' 'cv2*' 'opencv*'; do unused+=(--exclude="$PACKAGES/$name"); done
  "${TAR[@]}" "${unused[@]}" --exclude=usr/local --exclude=usr/share/doc --exclude=usr/share/man --exclude=usr/src --exclude=usr/sbin/dockerd --exclude=usr/lib/jvm \
    -cf - bin sbin lib lib64 usr "$(echo "${PYTHON#/}" | cut -d/ -f1-2)" "${ETC[@]}" 2>"$L/tar-base.txt" |
    docker import "${SAFE[@]}" -c "ENV PATH=$PYTHON/bin:$BIN" -c 'ENV LC_ALL=C.UTF-8' - hgx-base:latest >"$L/import-base.txt" 2>&1
  say "image hgx-base, $(docker image inspect -f '{{.Size}}' hgx-base 2>&1) bytes"; touch "$K/base.done"
}

cdi() { # A specification for a driver that is not in /usr: its libraries must be known to the linker
  mkdir -p /etc/cdi; local root; root=$(dirname "$(dirname "$(command -v nvidia-smi)")")
  if [ "$root" != /usr ] && [ -d "$root/lib64" ]; then echo "$root/lib64" >/etc/ld.so.conf.d/zz-nvidia.conf; ldconfig; rm /etc/ld.so.conf.d/zz-nvidia.conf; fi
  if command -v nvidia-ctk >/dev/null; then
    nvidia-ctk cdi generate "$@" --output=/etc/cdi/nvidia.yaml >"$L/cdi.log" 2>&1
  else
    python3 "$HGX/tests/gpu/site/cdi.py" "$root" >/etc/cdi/nvidia.yaml
  fi
  cp /etc/cdi/nvidia.yaml "$L/cdi.yaml"; sleep 1
  local path; for path in nvidia-smi "$root/bin/nvidia-smi"; do # the second where the driver is not in /usr
    docker run --rm --network none --entrypoint "$path" --device nvidia.com/gpu=all ubuntu:24.04 -L >"$L/cdi.run" 2>&1
    say "a container with the GPUs by CDI runs $path: rc=$?, $(grep -c '^GPU ' "$L/cdi.run") GPUs; $(nvidia-ctk --version 2>/dev/null | head -1 || echo 'specification by cdi.py')"
    grep -q '^GPU ' "$L/cdi.run" && break
  done
}

computes() { # Whether torch computes on all GPUs in a container
  docker run --rm --network none --device nvidia.com/gpu=all "$IMAGE" python3 -c '
import torch
count = torch.cuda.device_count()
print(count, "GPUs compute", [float(torch.ones(8, device=index).sum()) for index in range(count)]); assert count' >"$L/computes.txt" 2>&1
  local rc=$?; say "torch in a container: $(tail -1 "$L/computes.txt")"; return $rc
}

server() {
  (cd "$P" && sha256sum -c SHA256) >"$L/sha256.txt" 2>&1 || { say "pieces are missing or damaged"; cat "$L/sha256.txt"; return 1; }
  mkdir -p "$K/vllm" "$K/tools"; xz -dc -T0 "$P/tools.tar.xz" | tar xf - -C "$K/tools"
  cat "$P"/vllm.? | xz -dc -T0 | tar xf - -C "$K/vllm"; say "unpacked"
  python3 -m compileall -q -j 16 "$K/vllm" "$K/tools/site" >/dev/null 2>&1; say "compiled"
  printf '#!/bin/sh\nexec python3 -m vllm.entrypoints.cli.main "$@"\n' >"$K/vllm-command"; chmod 755 "$K/vllm-command"
  for _ in $(seq 120); do [ -e "$K/base.done" ] && break; sleep 1; done
  local container; container=$(docker create hgx-base true) && docker cp -q "$K/vllm" "$container:/opt/" && docker cp -q "$K/vllm-command" "$container:/usr/bin/vllm" &&
    docker commit -c 'ENV PYTHONPATH=/opt/vllm' "$container" "$IMAGE" >/dev/null; docker rm "$container" >/dev/null
  say "image $IMAGE, $(docker image inspect -f '{{.Size}}' "$IMAGE" 2>&1) bytes"
  computes || { cdi --driver-root="$(dirname "$(dirname "$(command -v nvidia-smi)")")" --dev-root=/; computes; }
  cd "$HGX" || return 1
  python3 tests/gpu/site/models.py "$K/hub" >"$L/models.txt" 2>&1 || { say "no models"; tail -3 "$L/models.txt"; return 1; }
  setsid --fork python3 tests/support/hub_server.py --root "$K/hub" --bind 127.0.0.1 --port "$HUB_PORT" >"$L/hub.log" 2>&1 </dev/null
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then # then the role could not make an environment
    local venv=/opt/hgx-inference/hf-venv needs=$HGX/roles/hf_cache/files/requirements.txt; mkdir -p "${venv%/*}"
    uv venv -q --python "$(command -v python3)" $venv && uv pip install -q --no-index --find-links "$K/tools/wheels" --python $venv/bin/python -r "$needs" && cp "$needs" $venv/
    say "the environment of huggingface_hub is made by uv, rc=$?"; touch "$K/uv.used"
  fi
  sleep 1; python3 -m ansible --version >"$L/ansible.txt" 2>&1; say "$(head -1 "$L/ansible.txt"), hub $(curl -s -m 3 "http://127.0.0.1:$HUB_PORT/health" | head -c 40)"
}

case ${1:-} in
  keep) cp -f "$2"/* "$P/" && say "pieces: $(ls "$P" | xargs)" ;;
  engine | base | server) "$1" ;;
  steps) mkdir -p "$2"; exec python3 "$HGX/tests/gpu/site/steps.py" "${@:2}" ;;
  all) bash "$0" keep "$2" && bash "$0" engine && bash "$0" server && bash "$0" steps "$3" bare ;;
  *) sed -n '5,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
