# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced on the GPU machine. K is the folder of all that stands in.
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/local/nvidia/bin
# NVLink's multicast stays off: on a host whose GPUs others share it can put them out of service.
export NCCL_NVLS_ENABLE=0 TORCH_SYMM_MEM_DISABLE_MULTICAST=1 NVSHMEM_DISABLE_NVLS=1 VLLM_ALLREDUCE_USE_SYMM_MEM=0
export SAFE_NAMES="NCCL_NVLS_ENABLE TORCH_SYMM_MEM_DISABLE_MULTICAST NVSHMEM_DISABLE_NVLS VLLM_ALLREDUCE_USE_SYMM_MEM"
export IMAGE=vllm/vllm-openai:v0.26.0 HUB_PORT=18080
# pip takes what was carried.
export PYTHONPATH=$K/tools/site PIP_NO_INDEX=1 PIP_FIND_LINKS=$K/tools/wheels
export ANSIBLE_FORCE_COLOR=0 ANSIBLE_NOCOLOR=1 VLLM_API_KEY=gpu-site-test-key
