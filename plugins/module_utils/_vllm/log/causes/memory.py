# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes: Memory of the GPUs, of their fabric and of the host."""

from __future__ import annotations

from ...._core.causes import Alternative, Facts, Signature
from ...._core.units import GIB
from .remedies import CHECK_WEIGHTS, MORE_SHM


def _gpu_was_free(facts: Facts) -> bool | None:
    """Whether hardly anything of the GPU's memory was in use before this server."""
    values = facts.values
    return None if not {"free", "total"} <= set(values) else float(values["free"]) >= _FREE * float(values["total"])


def _gpu_was_used(facts: Facts) -> bool | None:
    free = _gpu_was_free(facts)
    return None if free is None else not free


def _little_shm(facts: Facts) -> bool | None:
    """Whether the container has a /dev/shm of its own that is smaller than a server of several GPUs needs."""
    return True if facts.shm_bytes is not None and facts.shm_bytes < GIB else None


# Without a CUDA context of another process a GPU has more than this share of its memory free.
_FREE = 0.95

_WITHOUT_FUSION = (
    "vllm_engine_args_extra: {compilation_config.pass_config.fuse_allreduce_rms: false}. Its gain is not published by"
    " itself; the published figures were measured with it."
)

# Before those of memory: their 'out of memory' is not the GPU's.
FABRIC = (
    Signature(
        "all-reduce-workspace",
        "FlashInfer's all-reduce is not ready",
        (
            r"buffer size in the given workspace is insufficient for the given problem size",
            r"exceeds workspace max_token_num",
        ),
        "The memory of the fused all-reduce (fuse_allreduce_rms, which the recipe sets) is too small for a batch: an"
        " error of this version of vLLM, which computes its size for another way of reducing, or for the model alone"
        " where its draft is wider.",
        f"It serves without: {_WITHOUT_FUSION} Or choose a newer image: pull requests 47589 and 50932 of vLLM correct"
        " the size.",
        within=r"all_?reduce|flashinfer/comm",
    ),
    Signature(
        "all-reduce-workspace",
        "FlashInfer's all-reduce is not ready",
        (r"^AssertionError$",),
        "The all-reduce that is fused with the next normalization (fuse_allreduce_rms, which the recipe sets) has no"
        " memory that the GPUs share: setting it up failed before, for which vLLM only logs a warning.",
        "The line 'Failed to initialize FlashInfer All Reduce workspace' above says why. It serves without:"
        f" {_WITHOUT_FUSION}",
        within=r"assert \w*workspace\w* is not None",
    ),
    Signature(
        "all-reduce-workspace",
        "FlashInfer's all-reduce is not ready",
        (
            r"\[SymmDeviceMemory\].*[Mm]ulticast|[Dd]evice does not support multicast",
            r"[Ff]ailed to (?:create|initialize|allocate).*(?:[Aa]ll-?[Rr]educe|All Reduce).*[Ww]orkspace",
            r"(?:cuMulticast|[Mm]ulticast).*(?:not supported|fail|error|invalid)",
            r"CUDA_ERROR_(?:NOT_SUPPORTED|NOT_PERMITTED)",
        ),
        "The all-reduce that is fused with the next normalization (fuse_allreduce_rms, which the recipe sets) could"
        " not set up the memory that the GPUs share over NVLink.",
        f"It serves without: {_WITHOUT_FUSION}",
        alternatives=(
            Alternative(
                "It needs multicast over NVLink, and this machine does not offer it: as in many virtual machines, or"
                " with a fabric that is not set up.",
                "'nvidia-smi -q | grep -A6 Fabric' does not say Completed and Success, or the machine is a guest.",
                f"take the fusion out: {_WITHOUT_FUSION} Or choose an image with a vLLM that falls back by itself (pull"
                " request 35085).",
                decides=r"[Mm]ulticast|CUDA_ERROR_NOT_SUPPORTED|\(801\)|error 801",
            ),
            Alternative(
                "The container may not pass on the handles of that memory.",
                "vllm_capabilities_extra: [SYS_PTRACE] helps.",
                f"set vllm_capabilities_extra: [SYS_PTRACE], or take the fusion out: {_WITHOUT_FUSION}",
                decides=r"CUDA_ERROR_NOT_PERMITTED|\(800\)|pidfd",
            ),
            Alternative(
                "There is no memory left for it.",
                "nvidia-smi shows less than 1 GiB free at that moment.",
                f"lower gpu-memory-utilization by 0.05, or take the fusion out: {_WITHOUT_FUSION}",
                decides=r"CUDA_ERROR_OUT_OF_MEMORY|out of memory",
            ),
        ),
        within=r"all_?reduce_(?:rms_)?fusion|AllReduceFusion|flashinfer_all_reduce|flashinfer/comm|collective_fusion",
    ),
    Signature(
        "nccl-nvls",
        "NVLink SHARP (multicast) fails",
        (
            r"nvls\.cc(?!.*initialization error).*(?:WARN|fail|error)|NCCL WARN.*NVLS",
            r"NVLS.*(?:fail|error|Multicast)",
            r"(?:cuMulticast|NVLink.*[Mm]ulticast|[Mm]ulticast (?:memory|object|group|bind)).*(?:fail|error|invalid)",
            r"[Ff]ailed to .*[Mm]ulticast",
        ),
        "NCCL cannot use multicast over NVLink (NVLS). Out of memory in such a line does not mean the GPU's memory.",
        "With NCCL_NVLS_ENABLE=0 in vllm_env_extra it serves meanwhile, at the cost of some bandwidth.",
        alternatives=(
            Alternative(
                "The fabric's multicast memory is used up, or held by servers that have ended.",
                "nvidia-smi shows other processes that use NVLink, or it worked before.",
                "set NCCL_NVLS_ENABLE=0 in vllm_env_extra at once, which costs some bandwidth; then restart Fabric"
                " Manager and reset the GPUs, or choose an image with NCCL 2.28.9 or newer.",
                decides=r"(?:NVLS|[Mm]ulticast|nvls\.cc).*out of memory",
            ),
            Alternative(
                "The fabric is not set up for multicast, as in many virtual machines.",
                "'nvidia-smi -q | grep -A6 Fabric' does not say Completed and Success, or the machine is a guest.",
                "set NCCL_NVLS_ENABLE=0 in vllm_env_extra, which costs some bandwidth; have the provider set it up.",
            ),
            Alternative(
                "Fabric Manager has another version than the driver, or was restarted while GPUs were in use.",
                "'nv-fabricmanager --version' and nvidia-smi differ, or its log shows a start since.",
                "install the same version, stop the servers, restart Fabric Manager and reset the GPUs.",
            ),
        ),
    ),
)

MEMORY = (
    Signature(
        "gpu-memory-taken",
        "GPU memory held by another process",
        (
            r"Free memory on device (?P<gpu>\S*) ?\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is less"
            r" than desired"
            r" GPU memory utilization \((?P<share>[\d.]+), (?P<wanted>[\d.]+) GiB\)",
            r"Free memory on device .*on startup is less than desired",
            r"No available GPU memory",
        ),
        "The GPU has less free memory than the server wants.",
        "",
        detail="{free} of {total} GiB are free, {wanted} GiB are wanted.",
        alternatives=(
            Alternative(
                "Another process holds memory of the GPU.",
                "nvidia-smi on the host lists it, or shows memory in use without a process, as of a container.",
                "See nvidia-smi for who holds it and end it, or wait until a stopped server has freed it; or lower"
                " gpu-memory-utilization.",
                facts=_gpu_was_used,
            ),
            Alternative(
                "gpu-memory-utilization asks for more than an empty GPU has free: the driver needs some itself.",
                "nvidia-smi on the host shows hardly any memory in use.",
                "lower gpu-memory-utilization below the free share.",
                facts=_gpu_was_free,
            ),
        ),
    ),
    Signature(
        "gpu-memory-taken",
        "GPU memory held by another process",
        (
            r"Error in memory profiling\. Initial free memory (?P<first>[\d.]+) GiB,"
            r" current free memory (?P<then>[\d.]+)",
        ),
        "Another process freed GPU memory while the server measured how much there is: mostly a server that was still"
        " ending.",
        "Run the play again once nvidia-smi shows no other process.",
        detail="{first} GiB were free, then {then} GiB.",
    ),
    Signature(
        "gpu-memory-taken",
        "GPU memory held by another process",
        (r"CUDA error: out of memory",),
        "The GPU had no memory left when the server asked how much is free, before it had taken any.",
        "See nvidia-smi on the host for who holds it and end it, or wait until a stopped server has freed it.",
        within=r"in init_device[\s\S]*(?:MemorySnapshot|set_device)",
    ),
    Signature(
        "host-memory-taken",
        "Not enough free memory for the CPU build",
        (
            r"Available memory on node \S+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is less than"
            r" desired CPU memory"
            r" utilization \((?P<share>[\d.]+), (?P<wanted>[\d.]+) GiB\)",
            r"Available memory on node .* on startup is less than",
        ),
        "The machine has less free memory than the server wants.",
        "Set kv-cache-memory-bytes or lower gpu-memory-utilization, which the CPU build reads too; or end what holds"
        " the memory.",
        detail="{free} of {total} GiB are free, {wanted} GiB are wanted.",
    ),
    Signature(
        "kv-cache-too-small",
        "KV cache too small",
        (
            r"max seq len \((?P<length>\d+)\), \(?(?P<needed>[\d.]+) GiB KV cache is needed, which is larger than"
            r" the available"
            r" KV cache memory \((?P<free>[\d.]+) GiB\).*estimated maximum model length is (?P<fits>\d+)",
            r"max seq len \((?P<length>\d+)\), \(?(?P<needed>[\d.]+) GiB KV cache is needed, which is larger than"
            r" the available"
            r" KV cache memory \((?P<free>[\d.]+) GiB\)",
            r"max seq len \((?P<length>\d+)\) is larger than the maximum number of tokens that can be stored in KV"
            r" cache"
            r" \((?P<fits>\d+)\)",
            r"No available memory for the cache blocks",
            r"Cannot auto-fit max_model_len",
        ),
        "What is left of the memory is too small for the KV cache of one request of max-model-len tokens.",
        "Lower max-model-len, raise gpu-memory-utilization (or kv-cache-memory-bytes), or use kv-cache-dtype fp8.",
        detail="{needed} GiB are needed for {length} tokens, {free} GiB are free.",
        advice="About {fits} tokens fit now.",
    ),
    Signature(
        "cuda-out-of-memory",
        "GPU out of memory",
        (
            r"CUDA out of memory\. Tried to allocate (?P<wanted>[\d.]+ \w+)\. GPU (?P<gpu>\d+) has a t"
            r"otal capacity of"
            r" (?P<total>[\d.]+ \w+) of which (?P<free>[\d.]+ \w+) is free",
            r"CUDA out of memory",
        ),
        "A GPU ran out of memory while the model was loaded, profiled or run.",
        "See nvidia-smi for other processes on the GPU. Else lower gpu-memory-utilization, max-num-seqs or"
        " max-num-batched-tokens, or spread the model over more GPUs.",
        detail="GPU {gpu}: {wanted} were asked for, {free} of {total} were free.",
    ),
    Signature(
        "cuda-out-of-memory",
        "GPU out of memory",
        (
            r"CUDA (?:driver )?error(?: \d+)?:? '?out of memory|cudaErrorMemoryAllocation|CUDA_ERROR_OUT_OF_MEMORY",
            r"Cuda failure (?:2 )?'out of memory'",
            r"CUBLAS_STATUS_ALLOC_FAILED",
        ),
        "A CUDA call outside of torch's own memory management got no memory. That need not be the GPU's memory.",
        "",
        alternatives=(
            Alternative(
                "The GPU's memory is full: what NCCL, cuBLAS and CUDA graphs need comes on top of"
                " gpu-memory-utilization, or another process holds some.",
                "nvidia-smi shows less than 2 GiB free at that moment, or another process.",
                "end the other process, or lower gpu-memory-utilization by 0.05.",
                decides=r"CUBLAS_STATUS_ALLOC_FAILED",
            ),
            Alternative(
                "The host has no memory to pin, or the container may not lock it.",
                "'free -g' shows little, the container has a limit of memory, or 'ulimit -l' in it is not unlimited.",
                "take the limits away (default-ulimits memlock in Docker's daemon.json).",
                decides=r"cuda(?:HostAlloc|MallocHost|HostRegister)|cuMemHostAlloc|pin_memory",
            ),
            Alternative(
                "The fabric has no multicast memory left, or holds some of servers that have ended.",
                "the log names NVLS or multicast, or NCCL_NVLS_ENABLE=0 in vllm_env_extra helps.",
                "keep NCCL_NVLS_ENABLE=0, or restart Fabric Manager and reset the GPUs.",
            ),
        ),
        locate=True,
    ),
    Signature(
        "shared-memory-apart",
        "Processes without a common shared memory",
        (r"[Ee]rror while attaching to shared memory segment (?P<name>\S+).*No such file",),
        "NCCL believes that two ranks share /dev/shm, and one does not find the other's segment there.",
        "",
        detail="It is {name}.",
        alternatives=(
            Alternative(
                "The ranks run in containers or machines of the same name that do not share memory.",
                "several containers serve together, or two machines have one host name or boot ID.",
                "start them with one IPC namespace (vllm_ipc_mode: host), or set another NCCL_HOSTID in"
                " vllm_env_extra of each; NCCL_SHM_DISABLE=1 goes without.",
            ),
            Alternative(
                "Another rank ended before, and took its segment away.",
                "one worker of the log says an error earlier.",
                "see to that worker.",
            ),
            Alternative(
                "A program cleans /dev/shm, such as systemd at the end of a session (RemoveIPC).",
                "'grep RemoveIPC /etc/systemd/logind.conf' is yes, and the server runs as a plain user.",
                "set RemoveIPC=no, or run it as a system user.",
            ),
        ),
    ),
    Signature(
        "shared-memory",
        "Too little shared memory",
        (
            r"unable to write to file </torch_",
            r"[Nn]o space left on device.*(?:/dev/shm|/psm_|/nccl-|shm)",
            r"(?:/dev/shm|shared memory|shm).*[Nn]o space left on device",
            r"posix_fallocate.*[Nn]o space left on device",
            r"insufficient shared memory|exceeds memory available in /dev/shm|[Ii]nsufficient space in \S*/dev/shm",
            r"failed to extend /dev/shm",
            r"[Nn]ot enough free space in .*/dev/shm|/dev/shm is (?:full|too small)",
        ),
        "The container has too little shared memory (/dev/shm).",
        MORE_SHM,
    ),
    Signature(
        "shared-memory",
        "Too little shared memory",
        (
            r"[Bb]us error|SIGBUS",
            r"exit code: -7\b|Failed core proc\(s\): \{[^}]*'[^']+': -7\b",
            r"unable to open shared memory object <[^>]*>(?! in [\w-]+ mode: (?:Too many|Permission))",
            r"[Ee]rror while creating shared memory segment",
        ),
        "A process could not use a part of its shared memory or of a file that is mapped into it (bus error).",
        "",
        exit_codes=(135,),
        alternatives=(
            Alternative(
                "The container has too little shared memory (/dev/shm).",
                "'df -h /dev/shm' in the container shows 64M, or a full one.",
                MORE_SHM,
                decides=r"insufficient shared memory|out of shared memory|caused by insufficient|increase (?:the )?shm",
                facts=_little_shm,
            ),
            Alternative(
                "A mapped file of the weights is cut short, or its file system cannot deliver it.",
                "'dmesg | grep -i -e \"I/O error\" -e nfs -e fuse' shows errors; 'df -h' shows a full disk.",
                CHECK_WEIGHTS,
            ),
            Alternative(
                "The memory of the host has a fault.",
                '\'dmesg | grep -i -e mce -e "hardware error" -e "memory failure"\' shows it.',
                "have the node exchanged.",
            ),
        ),
    ),
    Signature(
        "shared-memory",
        "Too little shared memory",
        (r"[Nn]o space left on device",),
        "The container has too little shared memory (/dev/shm).",
        MORE_SHM,
        within=r"shared_memory\.py|shm_broadcast|shm_object|multiprocessing/(?:synchronize|context|heap|queues)\.py",
    ),
    Signature(
        "oom-killed",
        "Killed for lack of memory",
        (
            r"Memory cgroup out of memory",
            r"oom-kill:",
            r"Out of memory: Killed process",
            r"container init was OOM-killed",
        ),
        "The kernel killed the server because the container's limit, or the host, had no memory left.",
        "Take away or raise the container's memory limit, end what else uses memory, or lower what the server takes"
        " (kv-cache-memory-bytes, the number of processes).",
    ),
    Signature(
        "locked-memory",
        "Too little locked memory",
        (r"NCCL WARN Call to ibv_reg_\w+ failed|NCCL WARN Call to ibv_\w+ failed.*Cannot allocate memory",),
        "NCCL may not lock the memory that it wants to use over InfiniBand: the container's limit is too low, or"
        " NCCL's buffers are too large.",
        "Set NCCL_IB_DISABLE=1 in vllm_env_extra, for one node needs no InfiniBand; or give containers unlimited"
        " memlock (default-ulimits in Docker's daemon.json) and take NCCL_BUFFSIZE out of vllm_env_extra.",
    ),
    Signature(
        "host-out-of-memory",
        "Host out of memory",
        (
            r"DefaultCPUAllocator: (?:can't|not enough)|unable to mmap \d+ bytes",
            r"[Cc]annot allocate memory|std::bad_alloc",
            r"^MemoryError(?!: Not enough space in the data buffer)",
        ),
        "The host, or the limit of the container, has too little memory.",
        "End what else uses the memory, take away the container's limit, or use a host with more. 'dmesg | grep -i"
        " oom' names the processes that were killed.",
    ),
)
