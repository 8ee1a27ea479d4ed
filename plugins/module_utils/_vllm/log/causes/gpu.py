# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes: The driver, the GPUs, their links, and how a container gets them."""

from __future__ import annotations

from ...._core.causes import Alternative, Facts, Signature
from .remedies import APPLICATION_XID, GPU_FAULT, RESET_GPU


def _same_driver(facts: Facts) -> bool | None:
    """Whether the driver's libraries on the host are of the version of its kernel module."""
    return facts.module in facts.libraries if facts.module and facts.libraries else None


def _other_driver(facts: Facts) -> bool | None:
    same = _same_driver(facts)
    return None if same is None else not same


_KERNEL_FAULTS = (
    r"illegal memory access|CUDA error: (?:unspecified launch failure|misaligned address|an illegal instruction)",
    r"CUDA_ERROR_(?:ILLEGAL_ADDRESS|LAUNCH_FAILED)",
)

GPU_FIRST = (
    Signature(
        "cuda-start",
        "CUDA does not start",
        (
            r"(?:cudaGetDeviceCount\(\)|cuInit|CUDA initialization|CUDA call).*[Ee]rror (?P<code>304|34|36|46|101|2|3"
            r"|999)\b"
            r"(?P<what>[^\"\n]*)",
            r"(?P<what>CUDA driver is a stub library|cudaErrorStubLibrary|cudaErrorOperatingSystem|OS call failed or"
            r" operation not supported on this OS)",
        ),
        "CUDA does not start in a process of the server, though it has found a driver.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The process loads the linker's stub in place of the driver's libcuda.",
                "LD_LIBRARY_PATH in the container names a folder stubs.",
                "take that folder out of LD_LIBRARY_PATH in vllm_env_extra or of the image.",
                decides=r"stub library|[Ee]rror 34\b|StubLibrary",
            ),
            Alternative(
                "CUDA_VISIBLE_DEVICES names GPUs that the container does not have.",
                "it is set in vllm_env_extra or the image; 'nvidia-smi -L' in the container lists fewer.",
                "take CUDA_VISIBLE_DEVICES out.",
                decides=r"[Ee]rror 101\b",
            ),
            Alternative(
                "Device nodes are missing in the container, or the host's kernel modules are not all loaded.",
                "'ls /dev/nvidia-uvm /dev/nvidiactl' in the container fails; 'lsmod | grep nvidia_uvm' on the host is"
                " empty; nvidia-smi works all the same.",
                "run 'nvidia-modprobe -u -c=0' on the host and start the container anew.",
                decides=r"[Ee]rror (?:3|304|999)\b(?!.*forward)",
            ),
            Alternative(
                "A GPU is in the compute mode exclusive or prohibited, or another process holds all of its memory.",
                "'nvidia-smi -q -d COMPUTE,MEMORY' shows it.",
                "set the mode Default ('nvidia-smi -c 0'), end the process.",
                decides=r"[Ee]rror (?:46|2)\b",
            ),
        ),
    ),
    Signature(
        "cuda-802",
        "Fabric not ready (CUDA error 802)",
        (
            r"(?<!os )\b[Ee]rror 802\b|cudaErrorSystemNotReady|CUDA_ERROR_SYSTEM_NOT_READY",
            r"system not yet initialized",
            r"Cuda failure 802",
        ),
        "CUDA does not start, because the GPUs are not ready as one system (CUDA error 802): mostly their NVLink"
        " fabric.",
        "The role hgx.inference.nvidia_driver repairs what is installed on the host.",
        alternatives=(
            Alternative(
                "Fabric Manager does not run, or has another version than the driver.",
                "'systemctl status nvidia-fabricmanager' is not active, or its version ('nv-fabricmanager --version')"
                " is not that of nvidia-smi.",
                "install it in the driver's version and start it.",
            ),
            Alternative(
                "Fabric Manager runs and cannot set the fabric up: the modules ib_umad and mlx5_ib, or nvlsm, are"
                " missing.",
                "'nvidia-smi -q -i 0 | grep -A4 Fabric' does not say Completed and Success; 'lsmod | grep -e ib_umad"
                " -e mlx5_ib' lacks one.",
                "install linux-modules-extra-$(uname -r) and nvlsm, load both modules, and restart Fabric Manager.",
            ),
            Alternative(
                "The machine is a guest, whose fabric its host sets up.",
                "there is no Fabric Manager here ('systemd-detect-virt' names a hypervisor), and the state is not"
                " Completed.",
                "have the provider repair it, or take another node.",
            ),
            Alternative(
                "Confidential computing is on and the GPUs wait for their release.",
                "'nvidia-smi conf-compute -f' says ON.",
                "run 'nvidia-smi conf-compute -srs 1'.",
            ),
        ),
    ),
    Signature(
        "cuda-803",
        "Driver and library differ (CUDA error 803)",
        (r"[Dd]river/library version mismatch",),
        "The driver in the kernel and its libraries have different versions: mostly an upgrade without a reboot.",
        "Reboot the host, or load the new kernel module; the role hgx.inference.nvidia_driver tells which versions"
        " are there.",
    ),
    Signature(
        "cuda-803",
        "Driver and library differ (CUDA error 803)",
        (
            r"(?<!os )\b[Ee]rror 803\b|cudaErrorSystemDriverMismatch|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
            r"unsupported display driver / cuda driver combination",
        ),
        "The server loads a libcuda that does not go with the driver in the kernel (CUDA error 803).",
        "",
        alternatives=(
            Alternative(
                "The image's own libcuda (its folder /usr/local/cuda/compat) comes before the newer one of the host,"
                " as in images of vLLM from 0.15 on where the GPUs come by CDI or by the runtime nvidia.",
                "'cat /proc/driver/nvidia/version' and nvidia-smi on the host show one version.",
                "set VLLM_ENABLE_CUDA_COMPATIBILITY=0 in vllm_env_extra, or choose an image in which that is"
                " repaired, or put the folder of the host's libcuda first in LD_LIBRARY_PATH. A reboot changes"
                " nothing.",
                decides=r"/cuda(?:-[\d.]+)?/compat",
                facts=_same_driver,
            ),
            Alternative(
                "The driver was upgraded and the old module is still in the kernel.",
                "the two versions differ, or nvidia-smi on the host says 'Driver/library version mismatch'.",
                "reboot the host, or load the new module.",
                facts=_other_driver,
            ),
        ),
    ),
    Signature(
        "cuda-804",
        "Image too new for this GPU's driver (CUDA error 804)",
        (
            r"(?<!os )\b[Ee]rror 804\b|cudaErrorCompatNotSupportedOnDevice|CUDA_ERROR_COMPAT_NOT_SUPPORTED",
            r"forward compatibility was attempted on non supported HW",
        ),
        "The server loads the compatibility libraries of the image, which this driver or GPU does not take (CUDA"
        " error 804).",
        "",
        alternatives=(
            Alternative(
                "The driver is older than the image's CUDA, and the GPU is none for which CUDA has forward"
                " compatibility.",
                "the CUDA version in the head of nvidia-smi is lower than the image's.",
                "install a driver of the image's CUDA version.",
            ),
            Alternative(
                "The driver is new enough, and the libraries are used without need.",
                "it is not lower.",
                "take the compat folder out of LD_LIBRARY_PATH (VLLM_ENABLE_CUDA_COMPATIBILITY=0 in vllm_env_extra).",
            ),
            Alternative(
                "The driver in the kernel and its libraries have different versions.",
                "nvidia-smi on the host fails with 'Driver/library version mismatch'.",
                "reboot the host.",
                facts=_other_driver,
            ),
        ),
    ),
    Signature(
        "driver-too-old",
        "Driver too old for the image",
        (
            r"driver version is insufficient for CUDA runtime version|cudaErrorInsufficientDriver",
            r"(?:CUDA|[Cc]uda|cuInit).*\b[Ee]rror 35\b",
        ),
        "CUDA in the image finds no driver that is new enough for it (CUDA error 35).",
        "",
        alternatives=(
            Alternative(
                "The NVIDIA driver is too old for the CUDA of the image.",
                "the CUDA version in the head of nvidia-smi is lower than the image's.",
                "install a newer driver (role hgx.inference.nvidia_driver; CUDA 13 needs 580), or choose an image"
                " with an older CUDA.",
            ),
            Alternative(
                "The container has no driver at all: it got no GPUs.",
                "nvidia-smi does not run in the container, and its CUDA version on the host is high enough.",
                "set vllm_gpus: all, and start it anew.",
            ),
            Alternative(
                "An old libcuda of the image comes first.",
                "'ldconfig -p | grep libcuda.so' in the container shows a folder compat or stubs.",
                "take that folder out of LD_LIBRARY_PATH.",
                decides=r"/cuda(?:-[\d.]+)?/(?:compat|lib64/stubs)",
            ),
        ),
    ),
    Signature(
        "driver-too-old",
        "Driver too old for the image",
        (
            r"unsatisfied condition: (?P<what>(?:cuda|driver) ?>=? ?[\d.]+)",
            r"NVIDIA driver on your system is too old",
            r"CUDA_ERROR_UNSUPPORTED_PTX_VERSION|compiled with an unsupported toolchain",
        ),
        "The NVIDIA driver is too old for the CUDA of the image.",
        "Install a newer driver (role hgx.inference.nvidia_driver; CUDA 13 needs 580), or choose an image with an"
        " older CUDA.",
        detail="The image asks for {what}.",
    ),
    Signature(
        "nvml-lost",
        "GPUs lost to the container",
        (
            r"Failed to initialize NVML: Unknown Error|NVMLError_Unknown|NVML_ERROR_UNKNOWN",
            r"NVMLError(?:_Uninitialized)?: Unknown Error",
            r"Failed to initialize NVML: Insufficient Permissions|NVMLError_NoPermission",
        ),
        "The container may not open its GPUs.",
        "",
        alternatives=(
            Alternative(
                "'systemctl daemon-reload' on the host, also by a package's installation, has taken them out of the"
                " container's cgroup.",
                "a new container lists them ('docker run --rm --gpus all --entrypoint nvidia-smi IMAGE -L').",
                "start the container again; with CDI (vllm_gpu_request: cdi) or the cgroupfs driver it does not"
                " happen again.",
                facts=lambda facts: False if facts.cdi else None,
            ),
            Alternative(
                "The toolkit may not, or is told not to, set the cgroup's devices.",
                "a new container does not list them either; 'grep no-cgroups"
                " /etc/nvidia-container-runtime/config.toml' says true.",
                "set no-cgroups = false (true is for rootless engines only), or request the GPUs by CDI.",
            ),
            Alternative(
                "A GPU has a fault.",
                "nvidia-smi on the host fails as well, or 'dmesg | grep -i xid' shows one.",
                "reset the GPU or reboot; have the node exchanged if it comes again.",
            ),
        ),
    ),
    Signature(
        "xid-application",
        "GPU work ended by the driver",
        (rf"Xid \([^)]*\): (?P<xid>{APPLICATION_XID})",),
        "The driver has ended the work of a process on a GPU: mostly an error of the process's kernels, and the GPU"
        " is sound.",
        "Look for the process's own error in the log. If the same GPU reports it with every program, run 'dcgmi diag"
        " -r 3' or have the node checked.",
        detail="It is Xid {xid}.",
        severity="hint",
    ),
    Signature(
        "gpu-hardware",
        "GPU fault",
        (
            r"uncorrectable (?:ECC|NVLink) error|CUDA_ERROR_ECC_UNCORRECTABLE|cudaErrorECCUncorrectable"
            r"|cudaErrorNvlinkUncorrectable",
            r"fallen off the bus|GPU is lost|NVMLError_GpuIsLost|GPU requires reset|NVMLError_ResetRequired",
            rf"(?:Xid \(PCI|NVRM: Xid)[^)]*\): (?P<xid>(?!{APPLICATION_XID})\d+)",
            r"CUDA error: hardware stack error|CUDA_ERROR_HARDWARE_STACK_ERROR",
        ),
        "A GPU reports a fault of its own.",
        "See 'dmesg | grep -i xid' and nvidia-smi; reset the GPU or reboot. If it comes again, have the node"
        " exchanged.",
        detail="It is Xid {xid}.",
    ),
    Signature(
        "gpu-unavailable",
        "GPU that takes no programs",
        (r"(?P<what>CUDA-capable device(?:\(s\) is/are|s are) busy or unavailable|CUDA_ERROR_DEVICE_UNAVAILABLE)",),
        "A GPU refuses new programs.",
        "",
        detail="It says {what}.",
        alternatives=(
            Alternative(
                "The GPU waits for a reset after an earlier fault; its counters may all be 0.",
                "'nvidia-smi --query-gpu=index,gpu_recovery_action --format=csv' does not say None for each.",
                "end its programs and run 'nvidia-smi -r', or reboot; if it comes again, have the node exchanged.",
                decides=r"Xid \([^)]*\): 154\b|NV_ERR_RESET_REQUIRED|GPU requires reset",
            ),
            Alternative(
                "Its compute mode lets in one process only, or none.",
                "'nvidia-smi --query-gpu=index,compute_mode --format=csv' does not say Default for each.",
                "run 'nvidia-smi -c 0'.",
            ),
            Alternative(
                "It is split (MIG), and its parts were not made.",
                "'nvidia-smi --query-gpu=index,mig.mode.current --format=csv' does not say Disabled for each.",
                "run 'nvidia-smi -mig 0', then reset the GPUs or reboot.",
            ),
            Alternative(
                "Another process has taken it, or has hung on it.",
                "'fuser -v /dev/nvidia*' lists one.",
                "end that process; one that cannot be ended needs a reboot.",
            ),
        ),
    ),
    Signature(
        "driver-not-loaded",
        "Driver not loaded",
        (
            r"[Dd]river [Nn]ot [Ll]oaded|NVMLError_DriverNotLoaded",
            r"couldn't communicate with the NVIDIA driver",
        ),
        "The host's NVIDIA driver is not loaded, or not installed.",
        "Run nvidia-smi on the host; the role hgx.inference.nvidia_driver installs a driver (nvidia_driver_mode:"
        " install) or says what is wrong with it.",
    ),
    Signature(
        "cdi-stale",
        "CDI names files of another driver",
        (
            r"failed to fulfil mount request: open (?P<name>\S*(?:nvidia|cuda)\S*\.so\.\d[^\s:]*)",
            r"failed to stat CDI host device \"(?P<name>[^\"]+)\"",
            r"error mounting \"(?P<name>[^\"]*lib(?:nvidia|cuda)[^\"]*\.so\.\d[^\"]*)\"",
        ),
        "The CDI specification, by which Docker gives the GPUs to containers, names a file that is gone: mostly it"
        " was made for the driver before an upgrade.",
        "Make it anew with 'systemctl restart nvidia-cdi-refresh' or 'nvidia-ctk cdi generate"
        " --output=/var/run/cdi/nvidia.yaml', then run the play again. A device node that is missing is made by"
        " 'nvidia-modprobe -m -u -c=0'.",
        detail="It is {name}.",
    ),
    Signature(
        "unknown-gpu",
        "GPU that the host does not have",
        (
            r"device error: (?:(?P<name>\S+): )?unknown device",
            r"failed to get device handle from index: (?:ERROR_INVALID_ARGUMENT|Invalid Argument)",
        ),
        "The container is to have a GPU that the host does not have, or has lost.",
        "See 'nvidia-smi -L' and correct vllm_gpus; where a GPU is missing there, see 'dmesg | grep -i xid'.",
        detail="It is {name}.",
    ),
)

GPU = (
    Signature(
        "no-gpu-runtime",
        "Docker cannot give GPUs to containers",
        (
            r"could not select device driver \"(?:cdi|nvidia)\"",
            r"adding custom device \"nvidia\.com/",
            r"could not select device driver \"?\"? ?with capabilities: \[\[gpu",
            r"failed to discover GPU vendor from CDI",
            r"AMD CDI spec not found",
            r"CDI specs for required vendor amd\.com not found",
            r"[Uu]nknown or invalid runtime name: nvidia",
            r"nvidia-container-runtime\S*: (?:executable file )?not found",
            r"nvidia-container-runtime.*no such file",
        ),
        "Docker could not give the GPUs to the container: it does not know NVIDIA's toolkit, or not in the way that"
        " they are requested.",
        "Check in this order: 'nvidia-ctk --version' (else the package nvidia-container-toolkit is missing); 'docker"
        " info --format {{.Runtimes}}' names nvidia (else 'nvidia-ctk runtime configure --runtime=docker'); the"
        " engine was restarted since ('systemctl restart docker'); for CDI, 'nvidia-ctk cdi list' names"
        " nvidia.com/gpu=all. The role hgx.inference.nvidia_container_toolkit does these four.",
    ),
    Signature(
        "no-gpu-runtime",
        "Docker cannot give GPUs to containers",
        (r"CDI device injection failed:? ?(?P<what>[^\"]*)",),
        "The engine could not give the GPUs to the container by CDI.",
        "See 'nvidia-ctk cdi list' and the files in /etc/cdi and /var/run/cdi: 'systemctl restart nvidia-cdi-refresh'"
        " writes the one for the GPUs anew. vllm_gpu_request: runtime needs no such file.",
        detail="It says: {what}.",
    ),
    Signature(
        "no-gpu-runtime",
        "Docker cannot give GPUs to containers",
        (r"nvidia-container-cli\S*: (?!requirement error)(?P<what>[^\"]+)",),
        "NVIDIA's hook, with which Docker gives the GPUs to a container, has failed.",
        "See 'nvidia-container-cli -k -d /dev/tty info' on the host, which does the same and says more. Requesting"
        " the GPUs by CDI (vllm_gpu_request: cdi) needs no hook.",
        detail="It says: {what}.",
    ),
    Signature(
        "no-kernel-for-gpu",
        "GPU that the image has no kernels for",
        (r"type (?P<what>fp8\w+|bf16) not supported in this architecture",),
        "The GPU does not have the number format that a kernel is to use.",
        "Take kv-cache-dtype out (vllm_engine_args_extra: {kv-cache-dtype: null}), or choose a model in another"
        " format; fp8 needs a GPU of the generation Ada, Hopper or newer.",
        detail="It is {what}.",
    ),
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (r"nvcc fatal\s*: (?P<what>Unknown option '[^']+'|Don't know what to do with '[^']+')",),
        "A kernel for the GPU could not be compiled while the server started: the CUDA compiler is older than the"
        " code of FlashInfer or torch expects.",
        "See which one is used ('which -a nvcc', CUDA_HOME in vllm_env_extra): the distribution's own /usr/bin/nvcc"
        " is mostly too old. Choose an image with the CUDA toolkit that its torch is built for, or with ready-made"
        " kernels (flashinfer-jit-cache).",
        detail="It says: {what}.",
    ),
    Signature(
        "no-kernel-for-gpu",
        "GPU that the image has no kernels for",
        (
            r"No supported CUDA architectures found for (?P<what>major versions \[[\d, ]+\])",
            r"[Uu]nsupported gpu architecture '(?P<what>[\w.]+)'",
            r"Value '(?P<what>sm_\w+)' is not defined for option 'gpu-name'",
            r"(?P<what>SM \S+) requires CUDA",
        ),
        "A kernel for this GPU is to be compiled in the container, and the image's CUDA toolkit (nvcc, ptxas) is too"
        " old to know the GPU.",
        "Choose an image with a newer CUDA toolkit (for B200 12.8 or newer, for B300 12.9 or newer), or one that"
        " brings FlashInfer's kernels ready-made (flashinfer-jit-cache). To get round the kernels: another"
        " moe-backend in vllm_engine_args_extra and VLLM_USE_FLASHINFER_SAMPLER=0 in vllm_env_extra; it costs speed.",
        detail="It does not know {what}.",
    ),
    Signature(
        "no-kernel-for-gpu",
        "GPU that the image has no kernels for",
        (
            r"no kernel image is available|cudaErrorNoKernelImageForDevice|CUDA_ERROR_NO_BINARY_FOR_GPU",
            r"is not compatible with the current PyTorch installation",
            r"only supported on (?:GPUs|devices) with compute capability",
            r"Minimum capability: \d+\. Current capability: \d+",
            r"(?:[Rr]equires|needs) (?:GPUs with )?(?:compute capability|SM ?\d+|sm_?\d+)",
            r"[Uu]nsupported (?:compute capability|SM version|CUDA arch\w*|gpu arch)",
            r"no CUDA architectures",
            r"(?:is )?not supported on this (?:device|GPU)$",
        ),
        "The image's kernels do not run on this model of GPU.",
        "Choose an image that is built for it (for Blackwell one with CUDA 12.8 or newer), another dtype or another"
        " quantization.",
    ),
    Signature(
        "nccl-timeout",
        "Ranks wait for each other in vain",
        (
            r"Watchdog caught collective operation timeout",
            r"collective operation timeout",
            r"[Ww]atchdog (?:got stuck|hang)",
        ),
        "A collective operation of the GPUs did not end in time.",
        "",
        alternatives=(
            Alternative(
                "A rank has failed or hangs in other code, and the others wait for it.",
                "one worker of the log says nothing more, or says an error, before the others' time-out.",
                "see to that worker: its own last lines have the cause.",
            ),
            Alternative(
                "A GPU or a link has a fault.",
                "'dmesg | grep -i xid' or 'nvidia-smi nvlink --status' shows it.",
                RESET_GPU,
                decides=GPU_FAULT,
            ),
            Alternative(
                "NCCL hangs on one of its ways: multicast, peer access, shared memory.",
                "it works with NCCL_NVLS_ENABLE=0, with NCCL_P2P_DISABLE=1, or with NCCL_SHM_DISABLE=1 in"
                " vllm_env_extra, tried one by one; NCCL_DEBUG=INFO names the way.",
                "keep that setting, and see to IOMMU and ACS for peer access, and to the fabric for multicast.",
            ),
        ),
    ),
    Signature(
        "nccl-timeout",
        "Ranks wait for each other in vain",
        (
            r"DistStoreError: Timed out .*?(?P<joined>\d+)/(?P<all>\d+) clients joined",
            r"DistStoreError: Timed out",
        ),
        "Not all workers have joined the group in time: one has died, hangs, or does not find the others.",
        "Look in the log for the worker that says least, and for what it said last; see 'dmesg | grep -i -e xid -e"
        " oom'. If all of them wait, give them an address of the host in VLLM_HOST_IP (vllm_env_extra).",
        detail="{joined} of {all} have joined.",
        severity="hint",
    ),
    Signature(
        "nccl-duplicate-gpu",
        "Two ranks on one GPU",
        (r"Duplicate GPU detected.*?rank (?P<one>\d+).*?rank (?P<other>\d+)", r"Duplicate GPU detected"),
        "Two processes of the server use the same GPU.",
        "Give the container as many GPUs as tensor-parallel-size names (vllm_gpus: all), and take"
        " CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES out of vllm_env_extra.",
        detail="They are the ranks {one} and {other}.",
    ),
    Signature(
        "nccl-error",
        "NCCL error",
        (
            r"NCCL error: (?P<usage>invalid usage)",
            r"NCCL error(?: in)?:? ?(?P<what>.*)",
            r"NCCL WARN (?P<what>.*)",
            r"nccl(?:System|Internal|UnhandledCuda|InvalidUsage|Remote)Error",
        ),
        "The GPUs cannot talk to each other through NCCL.",
        "NCCL_DEBUG=INFO in vllm_env_extra: the first line with WARN says which call failed.",
        advice="'{usage}' mostly means that NCCL_SOCKET_IFNAME names no interface of the container.",
        severity="hint",
        alternatives=(
            Alternative(
                "Shared memory, a limit or a network interface ('unhandled system error').",
                "'df -h /dev/shm' in the container shows 64M, or NCCL_SOCKET_IFNAME is set.",
                "set vllm_ipc_mode: host, and take NCCL_SOCKET_IFNAME out.",
                excludes=r"NCCL error: unhandled cuda error",
            ),
            Alternative(
                "A GPU, its memory or the fabric ('unhandled cuda error').",
                "nvidia-smi fails or shows a full GPU, or 'dmesg | grep -i xid' shows a fault.",
                "see to that GPU.",
                decides=GPU_FAULT,
                excludes=r"NCCL error: unhandled system error",
            ),
            Alternative(
                "A kernel failed before, and NCCL only noticed it.",
                "it comes while CUDA graphs are recorded or requests are served; with NCCL_DEBUG=INFO it says Cuda"
                " failure 700.",
                "see to that: take out fusions, moe-backend or attention-backend one by one, or set another"
                " cudagraph_mode in compilation-config.",
                excludes=r"NCCL error: unhandled system error",
            ),
            Alternative(
                "Another process ended before ('remote error').",
                "one worker of the log says an error earlier.",
                "see to that worker.",
                decides=r"NCCL error: remote process exited|ncclRemoteError",
            ),
            Alternative(
                "A file of the topology, which the image or the environment names, is missing or broken.",
                "'env | grep -e NCCL_TOPO_FILE -e NCCL_GRAPH_FILE' in the container, or /etc/nccl.conf, names one.",
                "take that setting out.",
                decides=r"NCCL WARN (?:Attribute \w+ of node \w+ not found|Could not open XML)",
            ),
            Alternative(
                "NCCL finds no libcuda in the container.",
                "'ldconfig -p | grep libcuda.so' in it is empty.",
                "set vllm_gpus: all and start the container anew; take NCCL_CUDA_PATH out.",
                decides=r"NCCL WARN Failed to find CUDA library",
            ),
        ),
    ),
    Signature(
        "binary-mismatch",
        "Compiled package of another build",
        (r"(?P<what>CUDNN_STATUS_(?:SUBLIBRARY_\w+|\w*VERSION_MISMATCH\w*|ARCH_MISMATCH))",),
        "Parts of cuDNN of two versions are loaded, or one of them cannot be loaded.",
        "Take LD_LIBRARY_PATH out of vllm_env_extra, and torch and nvidia-cudnn out of the recipe's image.pip.",
        detail="It says {what}.",
    ),
    Signature(
        "peer-access",
        "GPUs without access to each other",
        (r"transport/p2p\.cc.*(?P<what>Cuda failure 101)",),
        "A process cannot open the memory of another one's GPU, because it sees only its own: each has a container or a"
        " cgroup of its own, with one GPU.",
        "Give all processes of a machine all of its GPUs: one container with vllm_gpus: all. NCCL_P2P_DISABLE=1 in"
        " vllm_env_extra serves meanwhile, at a high cost of speed.",
        detail="NCCL says: {what}.",
    ),
    Signature(
        "peer-access",
        "GPUs without access to each other",
        (r"NCCL WARN.*(?P<what>peer access is not supported[^']*|Cuda failure 217)",),
        "NCCL cannot let the GPUs access each other's memory (peer access).",
        "NCCL_P2P_DISABLE=1 in vllm_env_extra serves meanwhile, at a high cost of speed. 'nvidia-smi topo -p2p r'"
        " shows which pair has none: an IOMMU or ACS of the host, a virtual machine that was given GPUs without their"
        " NVLink, or a fabric that is not set up ('nvidia-smi -q | grep -A6 Fabric').",
        detail="It says: {what}.",
    ),
    Signature(
        "cuda-library-start",
        "CUDA library that does not start",
        (r"(?P<what>(?:CUBLAS|CUDNN|CUSOLVER|CUSPARSE)_STATUS_NOT_INITIALIZED)",),
        "A library of CUDA could not start on the GPU.",
        "",
        detail="It says {what}.",
        alternatives=(
            Alternative(
                "The GPU has no memory left for it.",
                "nvidia-smi shows less than 1 GiB free at that moment.",
                "lower gpu-memory-utilization by 0.05, or end other processes on the GPU.",
                decides=r"out of memory",
            ),
            Alternative(
                "Another version of the library is loaded than torch is built for.",
                "image.pip of the recipe has torch or nvidia-* packages, or LD_LIBRARY_PATH is set in vllm_env_extra.",
                "take them out.",
            ),
            Alternative(
                "A kernel failed before, and this is the first call after it.",
                "CUDA_LAUNCH_BLOCKING=1 in vllm_env_extra names another call.",
                "see to that call.",
            ),
        ),
        locate=True,
    ),
    Signature(
        "cuda-fault",
        "CUDA error while running",
        (r"device-side assert(?!ion)",),
        "A kernel on the GPU was given a value out of its bounds.",
        "The log has 'Assertion ... failed' above; CUDA_LAUNCH_BLOCKING=1 in vllm_env_extra names the kernel.",
        alternatives=(
            Alternative(
                "It is an index, mostly a token that the embedding does not have.",
                "model, draft and tokenizer are not those of the recipe, or weights are dummy.",
                "serve those that belong together.",
            ),
            Alternative(
                "It is a position beyond the context that the draft's config names, or the model's.",
                "max_position_embeddings in its config.json is smaller than max-model-len, and is the bound in the"
                " assertion.",
                "choose a newer image (pull request 49343 of vLLM raises it for drafts), a draft with the model's"
                " context, or a lower max-model-len. enforce-eager: true only hides it.",
                decides=r"index out of bounds: 0 <= .* < (?:2048|4096|8192|16384)\)?` failed",
            ),
        ),
        locate=True,
    ),
    Signature(
        "cuda-fault",
        "CUDA error while running",
        (r"[Ii]nvalid access of peer GPU memory over nvlink|cudaErrorContained|CUDA_ERROR_CONTAINED",),
        "A GPU has stopped the work of a process, mostly when it used the memory of another GPU over NVLink.",
        "",
        alternatives=(
            Alternative(
                "The process of that other GPU has failed before, or both disagree about the memory.",
                "another worker of the log says an error earlier, or died.",
                "see to that worker.",
            ),
            Alternative(
                "A GPU or a link has a fault.",
                "'dmesg | grep -i xid' or 'nvidia-smi nvlink --status' shows it.",
                RESET_GPU,
                decides=GPU_FAULT,
            ),
        ),
        locate=True,
    ),
    Signature(
        "cuda-fault",
        "CUDA error while running",
        (r"(?:exception was triggered at|^Kernel: ).*?(?P<what>\w*[Mm]o[Ee]\w*)",),
        "A kernel of the model's experts failed on the GPU, as the GPU's dump says.",
        "Set another moe-backend in vllm_engine_args_extra, such as triton, and take VLLM_USE_FLASHINFER_MOE_* out of"
        " vllm_env_extra; or choose another version of the image.",
        detail="It is {what}.",
    ),
    Signature(
        "cuda-fault",
        "CUDA error while running",
        (
            r"flashmla\S*/(?:phase1\.cuh|host\.h):\S+ Assertion `(?:res == CUresult::CUDA_SUCCESS|false)` failed",
            r"Assertion `(?:res == CUresult::CUDA_SUCCESS|false)` failed \(\S*flashmla\S*/(?:phase1\.cuh|host\.h):",
        ),
        "FlashMLA's sparse attention could not describe a tensor to the GPU, mostly because it was empty, of a step in"
        " which a request had no token to read: an error of vLLM from 0.26 on, with a draft or with the KV cache in the"
        " host's memory.",
        "Set VLLM_USE_BREAKABLE_CUDAGRAPH=0 in vllm_env_extra, or take speculative-config and kv-transfer-config out;"
        " or choose another image, as 0.25, which serves, or a newer one.",
    ),
    Signature(
        "cuda-fault",
        "CUDA error while running",
        _KERNEL_FAULTS,
        "DeepGEMM's kernel that plans the indexer of sparse attention read beyond its memory while CUDA graphs were"
        " recorded: an error of the DeepGEMM in vLLM 0.27, mostly on Hopper.",
        "Choose another image, 0.26 or 0.28 (pull request 52035 of vLLM brings another DeepGEMM). Meanwhile another"
        " cudagraph_mode in compilation-config serves, such as FULL_DECODE_ONLY or PIECEWISE.",
        within=r"paged_mqa_logits_metadata",
    ),
    Signature(
        "cuda-fault",
        "CUDA error while running",
        _KERNEL_FAULTS,
        "FlashInfer tried kernels on the GPU to find the fastest, and one of them failed.",
        "Set enable-flashinfer-autotune: false in vllm_engine_args_extra, which may cost speed. If it comes again"
        " later, set another moe-backend, such as triton.",
        within=r", in flashinfer_autotune\b",
    ),
    Signature(
        "cuda-fault",
        "CUDA error while running",
        (
            *_KERNEL_FAULTS,
            r"(?P<what>CUBLAS_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR)|CUDNN_STATUS_(?:EXECUTION_FAILED"
            r"|INTERNAL_ERROR))",
            r"CUDA Exception: Warp |CUDBG_EXCEPTION_WARP_",
        ),
        "A kernel failed on the GPU. The line is where it was noticed, not where it failed.",
        "CUDA_LAUNCH_BLOCKING=1 in vllm_env_extra names the kernel.",
        alternatives=(
            Alternative(
                "The kernel has an error, in this version or with these settings.",
                "it comes again at the same place, and is gone with one of these in vllm_engine_args_extra, tried one"
                " by one: enforce-eager: true; kv-cache-dtype: null; speculative-config: null; another"
                " attention-backend; another moe-backend, such as triton;"
                " compilation_config.pass_config.fuse_allreduce_rms: false; enable-flashinfer-autotune: false; or with"
                " VLLM_USE_DEEP_GEMM=0 in vllm_env_extra where the lines name DeepGEMM.",
                "keep that, and try another version of the image; search vLLM's issues for the kernel's name.",
            ),
            Alternative(
                "The GPU has a fault.",
                "'dmesg | grep -i xid' shows 48, 63, 64, 79, 94 or 95, or it is always the same GPU and never the"
                " same place.",
                "reset the GPU or have the node exchanged.",
                decides=r"Xid \(PCI[^)]*\): (?:48|63|64|74|79|92|94|95|119|120)\b|uncorrectable ECC",
            ),
        ),
        locate=True,
    ),
    Signature(
        "cublas-refused",
        "Matrix multiplication refused by cuBLAS",
        (r"(?P<what>CUBLAS_STATUS_(?:INVALID_VALUE|NOT_SUPPORTED|ARCH_MISMATCH))",),
        "cuBLAS refuses a matrix multiplication: mostly another cuBLAS is loaded than the one that the image's torch"
        " is built for, or it cannot do this shape and type on this GPU.",
        "Take LD_LIBRARY_PATH out of vllm_env_extra, and torch and nvidia-cublas out of the recipe's image.pip. If"
        " they are not there, try another version of the image, another dtype or another quantization.",
        detail="It says {what}.",
    ),
    Signature(
        "custom-all-reduce",
        "Custom all-reduce fails",
        (r"(?:Failed: )?[Cc]uda error \S*custom_all_reduce\S* '(?P<what>[^']+)'",),
        "vLLM's own all-reduce cannot share the memory of the GPUs between its processes.",
        "With disable-custom-all-reduce: true in vllm_engine_args_extra it serves meanwhile: NCCL then does the work,"
        " a little slower.",
        detail="CUDA says: {what}.",
        alternatives=(
            Alternative(
                "torch's memory is in segments that can grow, which cannot be shared.",
                "PYTORCH_CUDA_ALLOC_CONF or PYTORCH_ALLOC_CONF has expandable_segments:True.",
                "take it out of vllm_env_extra or of the image; or set disable-custom-all-reduce: true.",
                decides=r"expandable_segments:True",
            ),
            Alternative(
                "The GPUs have no peer access to each other, or the fabric is not set up.",
                "'nvidia-smi topo -p2p r' does not say OK for all, or 'nvidia-smi -q -i 0 | grep -A4 Fabric' does not"
                " say Completed and Success.",
                "set disable-custom-all-reduce: true in vllm_engine_args_extra, and have that repaired.",
            ),
            Alternative(
                "The ranks are on different machines, or in containers that do not share their process IDs.",
                "several nodes or containers serve together.",
                "set disable-custom-all-reduce: true.",
            ),
        ),
    ),
    Signature(
        "symmetric-memory",
        "Symmetric memory of the GPUs fails",
        (r"CUDA driver error: (?!system not yet initialized|out of memory)(?P<what>.*[^\s.])",),
        "torch cannot map the memory of the GPUs into each other over NVLink (symmetric memory).",
        "Set VLLM_ALLREDUCE_USE_SYMM_MEM=0 in vllm_env_extra; NCCL then does the work. The reason is mostly the"
        " fabric: see 'nvidia-smi -q -i 0 | grep -A4 Fabric'.",
        detail="CUDA says: {what}.",
        within=r"_symmetric_memory|symm_mem\.py",
    ),
    Signature(
        "pidfd-denied",
        "Memory of another process refused",
        (r"pidfd_getfd.*(?:not permitted|[Pp]ermission denied)|(?:not permitted|[Pp]ermission denied).*pidfd_getfd",),
        "The server's processes may not share GPU memory by way of each other's file descriptors, as FlashInfer does"
        " over NVLink (MNNVL): it needs the capability SYS_PTRACE, and the role drops all capabilities that a server"
        " does not need.",
        "Set vllm_capabilities_extra: [SYS_PTRACE], or do without: another all2all-backend among the engine's"
        " arguments, or vllm_engine_args_extra: {compilation_config.pass_config.fuse_allreduce_rms: false} where the"
        " fused all-reduce asks for it.",
    ),
    Signature(
        "cuda-fork",
        "CUDA in a forked process",
        (r"Cannot re-initialize CUDA in forked subprocess",),
        "A worker was forked from a process that already uses CUDA.",
        "Set VLLM_WORKER_MULTIPROC_METHOD to spawn in vllm_env_extra. Where CUDA cannot start at all, as without"
        " /dev/nvidia-uvm, the log then says so.",
    ),
    Signature(
        "no-gpu",
        "No GPU in the container",
        (r"Torch not compiled with CUDA enabled",),
        "The image's torch is built without CUDA.",
        "Choose an image for NVIDIA GPUs, or take torch out of the recipe's image.pip.",
        severity="hint",
    ),
    Signature(
        "no-gpu",
        "No GPU in the container",
        (
            r"No CUDA GPUs are available|CUDA unknown error|CUDA error: unknown error",
            r"no CUDA-capable device is detected|cudaErrorNoDevice|CUDA_ERROR_NO_DEVICE",
            r"(?:CUDA|[Cc]uda|cuInit).*\b[Ee]rror 100\b",
            r"lib(?:cuda\.so|nvidia-)[^\s:]*: cannot open shared object",
            r"NVML Shared Library Not Found|NVMLError_LibraryNotFound",
            r"NVIDIA driver on your system is not installed|Found no NVIDIA driver",
            r"Failed to infer device type",
        ),
        "The server sees no GPU that it can use.",
        "",
        severity="hint",
        alternatives=(
            Alternative(
                "The container was started without GPUs, or they were taken from it.",
                "'docker exec CONTAINER nvidia-smi -L' fails, and nvidia-smi on the host works.",
                "set vllm_gpus: all; a new container then must list them ('docker run --rm --gpus all --entrypoint"
                " nvidia-smi IMAGE -L').",
                decides=r"libnvidia-ml\.so|NVML Shared Library Not Found|LibraryNotFound|Found no NVIDIA driver",
            ),
            Alternative(
                "The host's driver does not work.",
                "nvidia-smi on the host fails.",
                "see what it says; the role hgx.inference.nvidia_driver checks the driver.",
            ),
            Alternative(
                "A device node is missing, or a variable hides the GPUs.",
                "'ls /dev/nvidia-uvm' in the container fails, or CUDA_VISIBLE_DEVICES or NVIDIA_VISIBLE_DEVICES is"
                " set.",
                "run 'nvidia-modprobe -u -c=0' on the host and start the container anew; take the variable out.",
            ),
            Alternative(
                "The image is not built for NVIDIA GPUs.",
                "'python3 -c \"import torch; print(torch.version.cuda)\"' in it prints None.",
                "choose another image.",
            ),
        ),
    ),
    Signature(
        "cuda-error",
        "Other CUDA error",
        # A process that ends while others still use the GPU says "driver shutting down".
        (
            r"\bCUDA(?:RT)? (?:driver |runtime )?error(?: \([^)]*\))?: (?!driver shutting down)"
            r"(?P<what>[^'\"]*[^'\"\s.])",
        ),
        "A CUDA call failed, for a reason that has no name of its own here.",
        "See nvidia-smi for other processes and for a compute mode that is not Default, and 'dmesg | grep -i xid' for"
        " faults. Then find the part that fails: enforce-eager: true serves without CUDA graphs,"
        " disable-custom-all-reduce: true without memory that the GPUs share, and CUDA_LAUNCH_BLOCKING=1 in"
        " vllm_env_extra names the call. Search vLLM's issues for the evidence.",
        detail="It says: {what}.",
        severity="hint",
    ),
)
