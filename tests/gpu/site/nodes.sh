#!/bin/bash
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Two nodes on one machine, for a server across nodes: each has its own host name, network, processes, shared memory,
# engine and state, and the GPUs of the machine. NCCL and vLLM take them for two machines.
#
#   nodes.sh start FOLDER   both nodes get the images of the engine that keeps its data in FOLDER and does not run
#   nodes.sh stop           ends the nodes and all that runs on them
#   nodes.sh enter NAME COMMAND...
#
# nodes.yml is the inventory, connection/node.py how Ansible reaches them. The hub is at the machine's end of their network.
set -euo pipefail
K=${K:-/opt/hgx-gpu-site} NODES=$K/nodes SELF=$(realpath "$0")
BRIDGE=hgx-nodes NETWORK=10.231.0
BETWEEN=(FORWARD -i $BRIDGE -o $BRIDGE -j ACCEPT) # an engine closes it for all that is bridged
OWN=(/var/lib/hgx-inference /var/lib/huggingface /opt/hgx-inference /etc/docker /etc/ansible) # a copy on each node
say() { echo "nodes: $*"; }

inside() { # NAME NUMBER IMAGES: what the first process of a node does
  local name=$1 number=$2 images=$3 path
  hostname "hgx-node-$name"
  mount -t proc proc /proc
  for path in "${OWN[@]}"; do mount --bind "$NODES/$name$path" "$path"; done
  mkdir -p /var/lib/docker; mount --bind "$images" /var/lib/docker
  mount -t tmpfs none /run; mount -t tmpfs none /dev/shm; mkdir -p /run/lock
  touch "$NODES/$name/dockerd.log" /var/log/dockerd.log; mount --bind "$NODES/$name/dockerd.log" /var/log/dockerd.log
  ip link set lo up
  until ip link show eth0 >/dev/null 2>&1; do sleep 0.1; done
  ip addr add "$NETWORK.$number/24" dev eth0; ip link set eth0 up; ip route add default via $NETWORK.254
  setsid --fork dockerd >>/var/log/dockerd.log 2>&1 </dev/null
  exec docker-init -- sleep infinity
}

start() {
  local name number=0 path images=$1
  ip link add $BRIDGE type bridge; ip addr add $NETWORK.254/24 dev $BRIDGE; ip link set $BRIDGE up
  iptables -I "${BETWEEN[@]}"
  mkdir -p "$NODES/b"; cp -a "$images" "$NODES/b/docker"; say "images copied after $SECONDS s"
  for name in a b; do
    number=$((number + 1))
    for path in "${OWN[@]}"; do mkdir -p "$path" "$NODES/$name$path"; cp -a "$path/." "$NODES/$name$path/"; done
    setsid unshare --mount --uts --ipc --net --pid --fork --propagation private bash "$SELF" inside $name $number "$images" >"$NODES/$name/log" 2>&1 </dev/null &
    local outer=$!
    until pgrep -P $outer >"$NODES/$name/pid"; do sleep 0.1; done
    ip link add hgx-node-$name type veth peer name eth0 netns "$(cat "$NODES/$name/pid")"
    ip link set hgx-node-$name master $BRIDGE up
    images=$NODES/b/docker
  done
  for name in a b; do
    for _ in $(seq 60); do enter $name docker version >/dev/null 2>&1 && break; sleep 0.5; done
    enter $name docker version >/dev/null || { cat "$NODES/$name/log"; return 1; }
    say "$name: $(enter $name hostname), engine $(enter $name docker version -f '{{.Server.Version}}'), $(enter $name docker images -q | wc -l) images"
  done
  say "ready after $SECONDS s"
}

enter() { # NAME COMMAND...
  nsenter --target "$(cat "$NODES/$1/pid")" --mount --uts --ipc --net --pid -- "${@:2}"
}

stop() { # The first process of a node takes all others of it along.
  local name
  for name in a b; do
    [ ! -s "$NODES/$name/pid" ] || ! kill "$(cat "$NODES/$name/pid")" 2>/dev/null || say "$name ended"
  done
  if ip link show $BRIDGE >/dev/null 2>&1; then ip link del $BRIDGE; iptables -D "${BETWEEN[@]}"; fi
}

case ${1:-} in
  start | stop | enter | inside) "$@" ;;
  *) sed -n '5,14s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
