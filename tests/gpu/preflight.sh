#!/usr/bin/env bash
# On a machine with NVIDIA GPUs: run nvidia_gpu_info and preflight against it, for real.
# Usage: tests/gpu/preflight.sh GPU_COUNT [ansible-playbook options]; ansible-core must be on PATH. Installs and changes nothing.
set -euo pipefail
count=$1; shift
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The recipe of the embedded default, for a machine of H100 GPUs.
python3 - "$count" >"$work/h100.yml" <<'PYTHON'
import sys
import yaml

count = int(sys.argv[1])
with open("recipes/tiny_kimi_cpu.yml", encoding="utf-8") as stream:
    recipe = yaml.safe_load(stream)
recipe["hardware"] = {
    "gpu_name": "H100",
    "gpu_count": count,
    "gpu_memory_gib": 79,
    "driver_min": "580",
    "fabric": count > 1,
    "memory_gib": 64,
    "shm_gib": 16,
    "disk_gb": {"weights": 0.1, "image": 10},
}
yaml.safe_dump(recipe, sys.stdout, sort_keys=False)
PYTHON
cat >"$work/hosts.yml" <<'YAML'
inference: {hosts: {localhost: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}}}
YAML

ansible localhost -m hgx.inference.nvidia_gpu_info
ansible-playbook playbooks/preflight.yml -i "$work/hosts.yml" -e recipe_file="$work/h100.yml" "$@"
