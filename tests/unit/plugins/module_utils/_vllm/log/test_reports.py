# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of failures as they are reported in public: the cause, or the area, and never the cause of another.

The texts are those of issues of vllm-project/vllm, flashinfer-ai/flashinfer, NVIDIA/nccl and nvidia-container-toolkit,
moby/moby, opencontainers/runc and huggingface/huggingface_hub, cut to what tells, in the form in which vLLM 0.19 logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.causes import Facts
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.areas import place
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.diagnose import diagnose, failure_text
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.parse import read

REPORTS = Path(__file__).parents[4] / "fixtures" / "field-reports"
PREFIX = "(Worker_TP3 pid=413) ERROR 04-18 15:45:48 [multiproc_executor.py:857] "
ENGINE = "(EngineCore pid=271) ERROR 04-18 15:45:50 [core.py:1108] "
FOLDER = "/usr/local/lib/python3.12/dist-packages/"
HEAD = [
    "(APIServer pid=1) INFO 04-18 15:44:10 [utils.py:233] non-default args: {'model': 'moonshotai/Kimi-K2.6',"
    " 'tensor_parallel_size': 8, 'kv_cache_dtype': 'fp8', 'speculative_config': {'method': 'eagle3'}}",
    "(EngineCore pid=271) INFO 04-18 15:44:41 [core.py:105] Initializing a V1 LLM engine (v0.19.1)",
]
TAIL = [
    f"{ENGINE}EngineCore failed to start.",
    f"{ENGINE}Traceback (most recent call last):",
    f'{ENGINE}  File "{FOLDER}vllm/v1/executor/multiproc_executor.py", line 711, in wait_for_ready',
    f"{ENGINE}    raise e from None",
    f"{ENGINE}Exception: WorkerProc initialization failed due to an exception in a background process. See stack trace"
    " for root cause.",
    "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
]


def worker(message: str, *frames: str, before: tuple[str, ...] = ()) -> list[str]:
    """Return a log of a start in which a worker fails with a message, in frames such as C(vllm/x.py function)."""
    said = [
        "WorkerProc failed to start.",
        "Traceback (most recent call last):",
        f'  File "{FOLDER}vllm/v1/executor/multiproc_executor.py", line 829, in worker_main',
        "    worker = WorkerProc(*args, **kwargs)",
    ]
    for path, function in (frame.split() for frame in frames):
        said += [f'  File "{FOLDER}{path}", line 12, in {function}', "    self.do(it)"]
    return [*HEAD, *before, *(PREFIX + line for line in [*said, *message.split("\n")]), *TAIL]


@dataclass
class Case:
    """A log, the key of its cause or "area KEY", words that must be told, and words that must not."""

    log: list[str]
    expected: str
    told: str = ""
    untold: str = ""


LOAD = ("vllm/v1/worker/gpu_worker.py load_model", "vllm/v1/worker/gpu_model_runner.py load_model")
PROFILE = (
    "vllm/v1/worker/gpu_worker.py determine_available_memory",
    "vllm/v1/worker/gpu_model_runner.py profile_run",
)
CAPTURE = (
    "vllm/v1/worker/gpu_worker.py compile_or_warm_up_model",
    "vllm/v1/worker/gpu_model_runner.py capture_model",
)
INIT = ("vllm/v1/worker/gpu_worker.py init_device",)
NINJA = (*PROFILE, "flashinfer/jit/core.py build", "flashinfer/jit/cpp_ext.py run_ninja")
CALLED = "subprocess.CalledProcessError: Command '['ninja', '-v']' returned non-zero exit status 1."
SHIM = (
    "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime"
    " create failed: runc create failed: unable to start container process: "
)
AUTOMATIC = (
    "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime"
    " create failed: could not apply required modification to OCI specification: error modifying OCI spec: failed to"
    ' create the automatic CDI modifier: failed to generate CDI spec for mode "auto": failed to construct device spec'
    " generators: "
)
HOOK = (
    f"{SHIM}error during container init: error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected"
    " mode as 'legacy'\n"
)

CASES = {
    # One symptom, several causes
    "803 behind compat": Case(
        worker(
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display driver"
            " / cuda driver combination",
            *INIT,
            before=("LD_LIBRARY_PATH=/usr/local/cuda/compat:/usr/local/nvidia/lib64",),
        ),
        "cuda-803",
        "VLLM_ENABLE_CUDA_COMPATIBILITY=0",
        "Test:",
    ),
    "803 undecided": Case(
        worker(
            "RuntimeError: CUDA driver initialization failed. Error 803: system has unsupported display driver", *INIT
        ),
        "cuda-803",
        "(1) Test: 'cat /proc/driver/nvidia/version'",
    ),
    "NVML mismatch": Case(
        ["Failed to initialize NVML: Driver/library version mismatch", "NVML library version: 580.159"],
        "cuda-803",
        "Reboot the host",
        "compat",
    ),
    "802 undecided": Case(
        worker(
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized", *INIT
        ),
        "cuda-802",
        "linux-modules-extra",
    ),
    "error 304": Case(
        worker(
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling"
            " NumCudaDevices() that might have already set an error? Error 304: OS call failed or operation not"
            " supported"
            " on this OS",
            *INIT,
        ),
        "cuda-start",
        "nvidia-modprobe",
    ),
    "error 34 stub": Case(
        worker("RuntimeError: CUDA initialization: Error 34: CUDA driver is a stub library", *INIT),
        "cuda-start",
        "LD_LIBRARY_PATH",
        "nvidia-modprobe",
    ),
    "compile job killed": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\n[31/87] /usr/local/cuda/bin/nvcc -c a.cu\n"
            "FAILED: [code=137] fused_moe_100/a.cuda.o \nKilled\nninja: build stopped: subcommand failed.",
            *NINJA,
        ),
        "compile-killed",
        "MAX_JOBS=4",
        "brings compiler",
    ),
    "cicc killed by signal": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nnvcc error   : 'cicc' died due to signal 9 (Kill signal)",
            *NINJA,
        ),
        "compile-killed",
        "'cicc' died",
    ),
    "killed without a code": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\n[160/312] /usr/local/cuda/bin/nvcc -c a.cu\nKilled\n"
            "FAILED: a.cu.o\nninja: build stopped: subcommand failed.",
            *NINJA,
        ),
        "compile-killed",
        "MAX_JOBS=4",
    ),
    "wrong path of the compiler": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nFAILED: [code=127] a.cuda.o\n/bin/sh: 1:"
            " :/usr/local/cuda-12.8/bin/nvcc: not found\nninja: build stopped: subcommand failed.",
            *NINJA,
        ),
        "kernel-compile",
        "CUDA_HOME",
    ),
    "Ray's store": Case(
        [
            "[2026-03-25 05:44:29,435 W 39 39] (raylet) store_runner.cc:83: System memory request exceeds memory"
            " available in /dev/shm. The request is for 10200547328 bytes, and the amount available is 9663676416."
        ],
        "shared-memory",
        "vllm_ipc_mode: host",
    ),
    "shm found too small": Case(
        worker(
            "RuntimeError: Insufficient space in /dev/shm for shared-memory ring buffer: 240 MiB required, 64 MiB free."
            " Increase /dev/shm (e.g. --shm-size or --ipc=host).",
            "vllm/distributed/device_communicators/shm_broadcast.py check_shm_free_space",
        ),
        "shared-memory",
        "vllm_ipc_mode: host",
    ),
    "gcc killed": Case(
        worker(
            "RuntimeError: Error building extension 'cumem'\ng++: fatal error: Killed signal terminated program"
            " cc1plus\ncompilation terminated.",
            *NINJA,
        ),
        "compile-killed",
    ),
    "compiler on a full disk": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nFAILED: [code=1] a.cuda.o\nnvcc fatal   : Could not open"
            " output file '/tmp/x.ii': No space left on device\nninja: build stopped: subcommand failed.",
            *NINJA,
        ),
        "disk-full",
        "df -h",
    ),
    "arch unknown to nvcc": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nFAILED: [code=1] a.cuda.o\nnvcc fatal   : Unsupported gpu"
            " architecture 'compute_120a'\nninja: build stopped: subcommand failed.",
            *NINJA,
        ),
        "no-kernel-for-gpu",
        "It does not know compute_120a.",
    ),
    "no arch left": Case(
        worker(
            "RuntimeError: No supported CUDA architectures found for major versions [10].",
            *LOAD,
            "flashinfer/compilation_context.py get_nvcc_flags_list",
        ),
        "no-kernel-for-gpu",
        "too old to know the GPU",
    ),
    "header missing": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nFAILED: [code=1] a.o\n/tmp/a.cu:3:10: fatal error:"
            " curand_kernel.h: No such file or directory\nninja: build stopped: subcommand failed.",
            *NINJA,
        ),
        "kernel-compile",
        "It is curand_kernel.h.",
    ),
    "Python.h missing": Case(
        worker(
            "torch._inductor.exc.InductorError: CalledProcessError: Command '['/usr/bin/gcc', '/tmp/main.c', '-O3']'"
            " returned non-zero exit status 1.",
            *PROFILE,
            "torch/_inductor/compile_fx.py _compile_fx_inner",
            before=("/tmp/tmpx/main.c:5:10: fatal error: Python.h: No such file or directory",),
        ),
        "kernel-compile",
    ),
    "compiler's own error": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nFAILED: [code=2] a.o\n/tmp/a.cuh(88): error: identifier"
            ' "cudaLaunchAttributePDL" is undefined\nninja: build stopped: subcommand failed.',
            *NINJA,
        ),
        "kernel-compile",
        "identifier",
    ),
    "compiler crash": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nFAILED: [code=139] a.o\nSegmentation fault (core dumped)",
            *NINJA,
        ),
        "compiler-crash",
    ),
    "NVLS out of memory": Case(
        worker(
            "torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:93, unhandled cuda error\n"
            "ncclUnhandledCudaError: Call to CUDA function failed.\nFailed to bind NVLink SHARP (NVLS) Multicast memory"
            " of size 2097152 : CUDA error 2 'out of memory'.",
            "vllm/distributed/parallel_state.py init_distributed_environment",
            "torch/distributed/distributed_c10d.py all_reduce",
        ),
        "nccl-nvls",
        "NCCL_NVLS_ENABLE=0",
        "gpu-memory-utilization",
    ),
    "NVLS not supported": Case(
        worker(
            "RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=("node:413:413 [3] transport/nvls.cc:254 NCCL WARN Cuda failure 801 'operation not supported'",),
        ),
        "nccl-nvls",
        "not set up for multicast",
    ),
    "NCCL out of GPU memory": Case(
        worker(
            "RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=("node:413:413 [3] include/alloc.h:228 NCCL WARN Cuda failure 2 'out of memory'",),
        ),
        "cuda-out-of-memory",
        "need not be the GPU's memory",
    ),
    "duplicate GPU": Case(
        worker(
            "RuntimeError: NCCL error: invalid usage (run with NCCL_DEBUG=WARN for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=(
                "n:1:1 [0] init.cc:943 NCCL WARN Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 1b000",
            ),
        ),
        "nccl-duplicate-gpu",
        "ranks 1 and 0",
    ),
    "shm full": Case(
        worker(
            "RuntimeError: unable to write to file </torch_413_2851_0>: No space left on device (28)",
            "torch/multiprocessing/reductions.py reduce_storage",
        ),
        "shared-memory",
        "vllm_ipc_mode: host",
        "vllm_hf_home",
    ),
    "shm objects and open files": Case(
        worker(
            "RuntimeError: unable to open shared memory object </torch_413_1> in read-write mode: Too many open files"
            " (24)",
            "torch/multiprocessing/reductions.py rebuild_storage_filename",
        ),
        "too-many-files",
    ),
    "NCCL segment without room": Case(
        worker(
            "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=(
                "h:85:85 [0] misc/shmutils.cc:87 NCCL WARN Error: failed to extend /dev/shm/nccl-8YvpIC to 33030532"
                " bytes, error: No space left on device (28)",
            ),
        ),
        "shared-memory",
    ),
    "NCCL segment of another container": Case(
        worker(
            "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=(
                "h:85:85 [0] NCCL WARN Error while attaching to shared memory segment /dev/shm/nccl-x (size"
                " 192814336), error: No such file or directory (2)",
            ),
        ),
        "shared-memory-apart",
        "NCCL_HOSTID",
        "too little",
    ),
    "bus error": Case(
        [
            *HEAD,
            "Fatal Python error: Bus error",
            "(EngineCore pid=271) ERROR 04-18 15:45:48 [core_client.py:600] Engine"
            " core proc EngineCore died unexpectedly, shutting down client.",
        ],
        "shared-memory",
        "(2) A mapped file",
    ),
    "GPU taken": Case(
        worker(
            "ValueError: Free memory on device cuda:3 (60.1/178.4 GiB) on startup is less than desired GPU memory"
            " utilization (0.9, 160.5 GiB). Decrease GPU memory utilization.",
            "vllm/v1/worker/utils.py request_memory",
        ),
        "gpu-memory-taken",
        "Another process holds memory",
        "empty GPU",
    ),
    "utilization above what is free": Case(
        worker(
            "ValueError: Free memory on device cuda:0 (176.9/178.4 GiB) on startup is less than desired GPU memory"
            " utilization (0.995, 177.5 GiB).",
            "vllm/v1/worker/utils.py request_memory",
        ),
        "gpu-memory-taken",
        "an empty GPU has free",
        "Another process",
    ),
    "cuBLAS does not start": Case(
        worker(
            "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
            *PROFILE,
            "vllm/model_executor/layers/linear.py apply",
        ),
        "cuda-library-start",
        "no memory left",
    ),
    "device-side assert": Case(
        worker(
            "torch.AcceleratorError: CUDA error: device-side assert triggered",
            *PROFILE,
            "vllm/model_executor/layers/vocab_parallel_embedding.py forward",
        ),
        "cuda-fault",
        "out of its bounds",
    ),
    "illegal access in a draft": Case(
        worker(
            "torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
            *CAPTURE,
            "vllm/v1/spec_decode/eagle.py dummy_run",
        ),
        "cuda-fault",
        "speculative-config: null",
    ),
    "application Xid": Case(
        ["NVRM: Xid (PCI:0000:1b:00): 31, pid=413, name=VLLM::Worker_TP, MMU Fault"],
        "xid-application",
        "Xid 31",
        "exchanged",
    ),
    "GPU that waits for a reset": Case(
        worker("torch.AcceleratorError: CUDA error: CUDA-capable device(s) is/are busy or unavailable", *INIT),
        "gpu-unavailable",
        "gpu_recovery_action",
    ),
    "hardware Xid": Case(["NVRM: Xid (PCI:0000:1b:00): 79, GPU has fallen off the bus."], "gpu-hardware", "exchanged"),
    "no driver in the container": Case(
        worker("RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU", *INIT),
        "no-gpu",
        "without GPUs",
        "nvidia_driver_mode",
    ),
    "permission of a device": Case(
        worker("OSError: [Errno 1] Operation not permitted: '/dev/nvidia0'", *INIT), "gpu-permission", "cgroup"
    ),
    "port below 1024": Case(
        [
            "Traceback (most recent call last):",
            f'  File "{FOLDER}vllm/entrypoints/openai/api_server.py", line 5, in create_server_socket',
            "PermissionError: [Errno 1] Operation not permitted",
        ],
        "area api-server",
    ),
    "address in a download": Case(
        worker(
            "OSError: [Errno 99] Cannot assign requested address",
            "huggingface_hub/file_download.py hf_hub_download",
            "urllib3/util/connection.py create_connection",
        ),
        "area hub",
        "",
        "vllm_bind_address",
    ),
    "EAGAIN of a socket": Case(
        worker(
            "zmq.error.Again: Resource temporarily unavailable",
            "vllm/v1/engine/core_client.py get_output",
            "zmq/sugar/socket.py recv",
        ),
        "area processes",
        "",
        "ulimit -u",
    ),
    "model architecture": Case(
        worker(
            "ValueError: Unsupported architecture: KimiK9ForCausalLM",
            *LOAD,
            "vllm/model_executor/models/registry.py resolve_model_cls",
        ),
        "area weights",
        "",
        "CUDA 12.8",
    ),
    "unloadable tensor": Case(
        worker(
            "safetensors_rust.SafetensorError: File does not contain tensor lm_head.weight",
            *LOAD,
            "vllm/model_executor/model_loader/weight_utils.py safetensors_weights_iterator",
        ),
        "weights-do-not-fit",
        "lm_head.weight",
        "damaged",
    ),
    "disk error": Case(
        worker(
            "OSError: [Errno 5] Input/output error",
            *LOAD,
            "vllm/model_executor/model_loader/weight_utils.py safetensors_weights_iterator",
        ),
        "file-unreadable",
        "The disk has errors.",
    ),
    "stale NFS": Case(
        worker(
            "OSError: [Errno 116] Stale file handle: '/root/.cache/huggingface/hub/models--a--b/x.safetensors'", *LOAD
        ),
        "file-unreadable",
        "Mount it again",
    ),
    "weights without names": Case(
        worker(
            "ValueError: Following weights were not initialized from checkpoint: {'model.layers.1.mlp.gate.bias'}",
            *LOAD,
            "vllm/model_executor/model_loader/default_loader.py load_weights",
        ),
        "shard-missing",
        "(2) The names of the weights",
    ),
    "GLIBC": Case(
        worker(
            "ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /x/_C.so)",
            "vllm/platforms/cuda.py <module>",
        ),
        "binary-mismatch",
        "GLIBC_2.38",
        "transformers",
    ),
    "undefined symbol": Case(
        worker(
            "ImportError: /x/vllm/_C.abi3.so: undefined symbol: _ZN3c106ivalue14ConstantString6createE",
            "vllm/_custom_ops.py <module>",
        ),
        "binary-mismatch",
        "another version of torch",
        "transformers",
    ),
    "circular import": Case(
        worker(
            "AttributeError: partially initialized module 'torch' has no attribute 'version' (most likely due to a"
            " circular import)",
            *INIT,
        ),
        "package-conflict",
        "comes before the package",
    ),
    "tokenizer of a newer version": Case(
        worker(
            "Exception: data did not match any variant of untagged enum ModelWrapper at line 1234 column 3",
            "transformers/tokenization_utils_fast.py __init__",
        ),
        "package-conflict",
        "(2) The file is damaged",
    ),
    "ready timeout": Case(
        [
            "(APIServer pid=1) TimeoutError: Timed out waiting for engine core processes to start. This is often"
            " caused by"
            " slow weight loading for large models. Waited 600s (configured by VLLM_ENGINE_READY_TIMEOUT_S)."
        ],
        "engine-ready-timeout",
        "a longer limit does not help",
    ),
    "watchdog": Case(
        [
            "[rank3]:[E420 10:00:00.1 ProcessGroupNCCL.cpp:632] [Rank 3] Watchdog caught collective operation timeout:"
            " WorkNCCL(SeqNum=1, OpType=ALLREDUCE) ran for 600000 milliseconds before timing out."
        ],
        "nccl-timeout",
        "NCCL_P2P_DISABLE=1",
    ),
    "died without a word": Case(
        [
            *HEAD,
            "(EngineCore pid=271) ERROR 04-18 15:45:48 [multiproc_executor.py:258] Worker proc VllmWorker-3 died"
            " unexpectedly, shutting down executor.",
        ],
        "worker-died",
        "(2) It crashed in native code",
    ),
    "semaphore without room": Case(
        worker(
            "OSError: [Errno 28] No space left on device",
            "vllm/v1/executor/multiproc_executor.py make_worker_process",
            "multiprocessing/synchronize.py __init__",
        ),
        "shared-memory",
        "vllm_ipc_mode: host",
        "vllm_hf_home",
    ),
    "illegal instruction of a GPU": Case(
        worker(
            "RuntimeError: NCCL error: unhandled cuda error",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=("h:1:1 [0] NCCL WARN Cuda failure 715 'an illegal instruction was encountered'",),
        ),
        "nccl-error",
        "",
        "processor",
    ),
    "queue pair without memory": Case(
        worker(
            "RuntimeError: NCCL error: unhandled system error",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=("h:1:1 [0] NCCL WARN Call to ibv_create_qp failed with error Cannot allocate memory errno 12",),
        ),
        "locked-memory",
        "NCCL_IB_DISABLE=1",
    ),
    "tokenizer of another user": Case(
        worker(
            "PermissionError: [Errno 13] Permission denied: '/root/.cache/huggingface/hub/x/tokenizer.json'",
            "transformers/tokenization_utils_base.py from_pretrained",
        ),
        "permission-denied",
        "",
        "missing or broken",
    ),
    "no temporary folder": Case(
        worker("FileNotFoundError: [Errno 2] No usable temporary directory found in ['/tmp', '/var/tmp']", *INIT),
        "read-only",
        "full",
    ),
    "CUDA in a process that was forked": Case(
        worker(
            "RuntimeError: NCCL error: unhandled cuda error",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=("h:1:1 [2] transport/nvls.cc:246 NCCL WARN Cuda failure 3 'initialization error'",),
        ),
        "nccl-error",
    ),
    "said before a process died": Case(
        [
            *HEAD,
            "/dvs/p4/build/nvshmem/src/host/init/init.cu:972: non-zero status: 7 nvshmemi_init failed",
            "(EngineCore pid=271) ERROR 04-18 15:45:48 [multiproc_executor.py:258] Worker proc VllmWorker-3 died"
            " unexpectedly, shutting down executor.",
        ],
        "worker-died",
        "of the area: collectives and fabric.\n  /dvs/p4/build/nvshmem",
    ),
    "processor of another version": Case(
        worker(
            "TypeError: KimiK25Processor.__init__() got an unexpected keyword argument 'media_processor'",
            "vllm/transformers_utils/processor.py cached_processor_from_config",
            "transformers_modules/kimi/processing.py from_pretrained",
        ),
        "area packages",
    ),
    "kernel that does not fit": Case(
        worker(
            "torch._inductor.exc.InductorError: RuntimeError: No valid triton configs. OutOfMemoryError: out of"
            " resource: triton_red_fused Required: 262192 Hardware limit:232448 Reducing block sizes may help.",
            *PROFILE,
            "torch/_inductor/runtime/triton_heuristics.py f",
        ),
        "kernel-too-large",
        "262192",
    ),
    # Who answered
    "CDN with an expired address": Case(
        worker(
            "huggingface_hub.errors.HfHubHTTPError: 403 Forbidden: None.\nCannot access content at:"
            " https://cas-bridge.xethub.hf.co/xet-bridge-us/abc?X-Amz-Signature=1&Expires=1.",
            "huggingface_hub/file_download.py http_get",
        ),
        "download-refused",
        "the token is right",
        "licence",
    ),
    "gated": Case(
        worker(
            "huggingface_hub.errors.GatedRepoError: 403 Client Error. (Request ID: Root=1-6)\n\nCannot access gated"
            " repo for url https://huggingface.co/a/b/resolve/main/config.json.",
            "huggingface_hub/utils/_http.py hf_raise_for_status",
        ),
        "gated-repo",
        "licence",
    ),
    "bad token": Case(
        worker(
            "huggingface_hub.errors.HfHubHTTPError: 401 Client Error: Unauthorized for url:"
            " https://huggingface.co/api/models/a/b\n\nInvalid user token.",
            "huggingface_hub/utils/_http.py hf_raise_for_status",
        ),
        "gated-repo",
        "The token is wrong",
        "licence",
    ),
    "403 of the hub": Case(
        worker(
            "requests.exceptions.HTTPError: 403 Client Error: Forbidden for url:"
            " https://huggingface.co/a/b/resolve/main/x.safetensors",
            "huggingface_hub/utils/_http.py hf_raise_for_status",
        ),
        "gated-repo",
        "(2) A proxy",
    ),
    "proxy": Case(
        worker(
            "requests.exceptions.ProxyError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded"
            " (Caused by ProxyError('Unable to connect to proxy', OSError('Tunnel connection failed: 403 Forbidden')))",
            "huggingface_hub/file_download.py _request_wrapper",
        ),
        "proxy",
        "NO_PROXY",
        "licence",
    ),
    "certificate": Case(
        worker(
            "requests.exceptions.SSLError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded"
            " (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify"
            " failed: self-signed certificate in certificate chain (_ssl.c:1006)')))",
            "huggingface_hub/file_download.py _request_wrapper",
        ),
        "certificate",
        "Add its authority",
        "hub does not answer",
    ),
    "file not in the repository": Case(
        worker(
            "huggingface_hub.errors.EntryNotFoundError: 404 Client Error.\n\nEntry Not Found for url:"
            " https://huggingface.co/a/b/resolve/main/tiktoken.model.",
            "huggingface_hub/utils/_http.py hf_raise_for_status",
        ),
        "hub-file-missing",
        "",
        "no repository",
    ),
    # The recipe's own switches
    "fused all-reduce without multicast": Case(
        worker(
            "RuntimeError: [SymmDeviceMemory] Device does not support multicasting.",
            "vllm/compilation/passes/fusion/allreduce_rms_fusion.py __init__",
            "flashinfer/comm/mnnvl.py __init__",
        ),
        "all-reduce-workspace",
        "fuse_allreduce_rms: false",
    ),
    "fused all-reduce, other error": Case(
        worker(
            "AssertionError: rank mismatch",
            *PROFILE,
            "vllm/compilation/passes/fusion/allreduce_rms_fusion.py __init__",
            "flashinfer/comm/trtllm_ar.py trtllm_create_ipc_workspace_for_all_reduce_fusion",
        ),
        "area collectives",
        "fuse_allreduce_rms: false",
    ),
    "fused all-reduce, invalid argument": Case(
        worker("RuntimeError: CUDA error: invalid argument", *CAPTURE, "flashinfer/comm/allreduce.py allreduce_fusion"),
        "cuda-error",
        "fuse_allreduce_rms: false",
    ),
    "fp8 cache in FlashMLA": Case(
        worker(
            "NotImplementedError: FlashMLA V1 with FP8 KV cache not yet supported!",
            *LOAD,
            "vllm/v1/attention/backends/mla/flashmla.py __init__",
        ),
        "kv-cache-dtype",
        "kv-cache-dtype: null",
    ),
    "fp8 cache in a kernel": Case(
        worker(
            "RuntimeError: Unsupported data type: Float8_e4m3fn for decode",
            *PROFILE,
            "vllm/v1/attention/backends/mla/flashinfer_mla.py forward_mqa",
            "flashinfer/mla.py trtllm_batch_decode",
        ),
        "kv-cache-dtype",
        "7 % of the output",
    ),
    "attention, no word of fp8": Case(
        worker("AssertionError", *PROFILE, "vllm/v1/attention/backends/mla/flashinfer_mla.py __init__"),
        "area attention",
        "kv-cache-dtype: null",
    ),
    "experts": Case(
        worker(
            "AssertionError",
            *LOAD,
            "vllm/model_executor/layers/fused_moe/layer.py process_weights",
            "flashinfer/fused_moe/core.py trtllm_fp4_block_scale_moe",
        ),
        "area compile",
        "moe-backend",
    ),
    "pipeline stages": Case(
        [
            line.replace("'tensor_parallel_size': 8", "'pipeline_parallel_size': 2")
            for line in worker(
                "KeyError: 'language_model.model.layers.30.self_attn.attn'",
                "vllm/v1/worker/gpu_model_runner.py initialize_kv_cache",
                "vllm/v1/worker/utils.py bind_kv_cache",
            )
        ],
        "pipeline-parallel",
        "pipeline-parallel-size: 1",
    ),
    "graphs": Case(
        worker("torch.AcceleratorError: CUDA error: operation not permitted when stream is capturing", *CAPTURE),
        "cuda-error",
        "enforce-eager: true",
    ),
    "draft without an attribute": Case(
        worker(
            "AttributeError: 'Eagle3LlamaForCausalLM' object has no attribute 'combine_hidden_states'",
            *PROFILE,
            "vllm/v1/spec_decode/eagle.py propose",
        ),
        "area draft",
        "60 to 90 %",
    ),
    "draft's attention": Case(
        worker(
            "AssertionError: All EAGLE layers should belong to the same kv cache group",
            "vllm/v1/worker/gpu_model_runner.py initialize_kv_cache",
            "vllm/v1/spec_decode/eagle.py validate_same_kv_cache_group",
        ),
        "area draft",
        "speculative-config: null",
    ),
    "draft's settings": Case(
        [
            "(APIServer pid=1) Traceback (most recent call last):",
            f'(APIServer pid=1)   File "{FOLDER}vllm/engine/arg_utils.py", line 1, in create_speculative_config',
            "(APIServer pid=1) pydantic_core._pydantic_core.ValidationError: 1 validation error for SpeculativeConfig",
            "(APIServer pid=1)   Value error, num_speculative_tokens must be provided with speculative model unless"
            " the draft"
            " model config contains an n_predict parameter.",
        ],
        "draft-settings",
    ),
    "a compiler for the CPU is missing": Case(
        worker(
            "torch._inductor.exc.InductorError: InvalidCxxCompiler: No working C++ compiler found in"
            " torch._inductor.config.cpp.cxx: (None, 'g++')",
            *PROFILE,
            "torch/_inductor/cpp_builder.py get_cpp_compiler",
        ),
        "kernel-compile",
        "TORCHDYNAMO_DISABLE",
        "for the GPU",
    ),
    "a compiler for Triton is missing": Case(
        worker(
            "RuntimeError: Failed to find C compiler. Please specify via CC environment variable or set"
            " triton.knobs.build.impl.",
            *PROFILE,
            "triton/runtime/build.py _build",
        ),
        "kernel-compile",
        "ready-made",
        "TORCHDYNAMO_DISABLE",
    ),
    "a part of vLLM is missing": Case(
        worker(
            "ImportError: cannot import name 'flash_attn_varlen_func' from 'vllm.v1.attention.backends.fa_utils'"
            f" ({FOLDER}vllm/v1/attention/backends/fa_utils.py)",
            *LOAD,
            "vllm/v1/attention/backends/mla/flashattn_mla.py <module>",
        ),
        "package-conflict",
        "an import of it in the image itself",
        "transformers",
    ),
    "a plugin of another vLLM": Case(
        worker(
            "ModuleNotFoundError: No module named 'vllm.attention.backends'", *LOAD, "some_plugin/register.py <module>"
        ),
        "package-conflict",
        "is made for another version of vLLM",
    ),
    "draft that this vLLM cannot": Case(
        worker(
            "TypeError: _sample_recovered_tokens_kernel_impl() got an unexpected keyword argument 'USE_FP64_GUMBEL'",
            *PROFILE,
            "vllm/v1/sample/rejection_sampler.py forward",
        ),
        "vllm-inconsistent",
        "speculative-config: null",
    ),
    "code of a model that does not suit transformers": Case(
        worker(
            "TypeError: __init__() got an unexpected keyword argument 'dtype'", *LOAD, "transformers/modeling.py load"
        ),
        "area packages",
        untold="error of this version",
    ),
    "a vLLM older than the model": Case(
        worker(
            "ValueError: Unrecognized image processor in /root/.cache/huggingface/hub/models--moonshotai--Kimi-K2.6/"
            "snapshots/f2eb. Should have a `image_processor_type` key in its preprocessor_config.json of config.json,"
            " or one of the following `model_type` keys in its config.json: aimv2, aria",
            "transformers/models/auto/image_processing_auto.py from_pretrained",
        ),
        "processor-missing",
        "This vLLM is older than the model",
    ),
    "KV cache and chunks on a CPU": Case(
        worker(
            "RuntimeError: Chunked-prefill and prefix-cache on the CPU backend is not compatible with FP8 KV cache.",
            "vllm/platforms/cpu.py check_and_update_config",
        ),
        "platform-cannot",
        "On the CPU: Chunked-prefill and prefix-cache.",
    ),
    "a warning of what a CPU cannot": Case(
        worker(
            "ValueError: something new",
            *LOAD,
            before=("(Worker pid=2) WARNING 04-18 15:44:50 [x.py:1] Pin memory is not supported on CPU.",),
        ),
        "area weights",
        untold="Pin memory",
    ),
    "vision tower": Case(
        worker(
            "RuntimeError: The size of tensor a (1152) must match the size of tensor b (144)",
            *PROFILE,
            "vllm/model_executor/models/kimi_k25_vit.py forward",
            "vllm/model_executor/models/vision.py run_dp_sharded_mrope_vision_model",
        ),
        "area compile",
        "mm-encoder-tp-mode: null",
    ),
    "fused all-reduce without rights": Case(
        worker(
            "RuntimeError: CUDA driver error: CUDA_ERROR_NOT_PERMITTED(800)",
            "vllm/compilation/passes/fusion/allreduce_rms_fusion.py __init__",
            "flashinfer/comm/mnnvl.py __init__",
        ),
        "all-reduce-workspace",
        "SYS_PTRACE",
        "Fabric",
    ),
    "fused all-reduce, no word why": Case(
        worker(
            "RuntimeError: Failed to create allreduce fusion workspace",
            "vllm/compilation/passes/fusion/allreduce_rms_fusion.py __init__",
            "flashinfer/comm/allreduce.py create_allreduce_fusion_workspace",
        ),
        "all-reduce-workspace",
        "(3) Test:",
    ),
    "DeepGEMM without a word of the compiler": Case(
        worker(
            "RuntimeError: Assertion error (csrc/jit/kernel_runtime.hpp:45): exit_code == 0",
            *PROFILE,
            "vllm/utils/deep_gemm.py fp8_gemm_nt",
        ),
        "kernel-compile",
        "VLLM_USE_DEEP_GEMM=0",
    ),
    "quantization of another kind": Case(
        worker(
            "ValueError: Quantization method specified in the model config (fp8) does not match the quantization method"
            " specified in the `quantization` argument (awq).",
            "vllm/config/model.py _verify_quantization",
        ),
        "quantization",
        "Take quantization out",
        "hardware",
    ),
    "model that transformers does not know": Case(
        worker(
            "ValueError: Unrecognized model in /m. Should have a `model_type` key in its config.json, or contain one of"
            " the following strings in its name: albert",
            "transformers/models/auto/configuration_auto.py from_pretrained",
        ),
        "config-missing",
        "(2) Test:",
    ),
    # Areas
    "area weights": Case(
        worker(
            "RuntimeError: Tensor cannot be narrowed",
            *LOAD,
            "vllm/model_executor/model_loader/default_loader.py load_weights",
            "vllm/model_executor/layers/linear.py weight_loader",
        ),
        "area weights",
    ),
    "area cache": Case(
        worker("AssertionError: page sizes differ", "vllm/v1/core/kv_cache_utils.py get_kv_cache_config"),
        "area kv-cache",
    ),
    "area processes": Case(
        worker(
            "RuntimeError: reader is not subscribed", "vllm/distributed/device_communicators/shm_broadcast.py dequeue"
        ),
        "area processes",
    ),
    "area compile": Case(
        worker(
            "RuntimeError: unexpected node",
            *PROFILE,
            "vllm/compilation/backends.py __call__",
            "torch/_inductor/graph.py run_node",
        ),
        "area compile",
    ),
    "area collectives": Case(
        worker("ValueError: group is not initialized", "vllm/distributed/parallel_state.py initialize_model_parallel"),
        "area collectives",
    ),
    "area GPU": Case(
        worker("RuntimeError: no such query", *INIT, "vllm/platforms/cuda.py get_device_name"), "area gpu-access"
    ),
    "area hub": Case(
        worker(
            "ValueError: bad processor",
            "vllm/transformers_utils/processor.py cached_get_processor",
            "transformers/processing_utils.py from_pretrained",
        ),
        "area hub",
    ),
    "area arguments": Case(
        worker("ValueError: data parallel master has no port", "vllm/config/parallel.py __post_init__"),
        "area arguments",
    ),
    "area packages": Case(
        worker("RuntimeError: plugin failed", "vllm/plugins/__init__.py load_general_plugins"), "area packages"
    ),
    "area API": Case(
        [
            "(APIServer pid=1) Traceback (most recent call last):",
            f'(APIServer pid=1)   File "{FOLDER}vllm/entrypoints/openai/api_server.py", line 700, in run_server',
            f'(APIServer pid=1)   File "{FOLDER}uvicorn/server.py", line 90, in startup',
            "(APIServer pid=1) ValueError: unknown protocol",
        ],
        "area api-server",
    ),
    "traceback without its beginning": Case(
        [
            f'  File "{FOLDER}vllm/v1/worker/gpu_worker.py", line 1, in load_model',
            f'  File "{FOLDER}vllm/model_executor/model_loader/utils.py", line 9, in initialize_model',
            "TypeError: __init__() got an unexpected keyword argument 'prefix'",
        ],
        "area weights",
    ),
    "raised from another": Case(
        [
            *HEAD,
            *(
                PREFIX + line
                for line in (
                    "WorkerProc failed to start.",
                    "Traceback (most recent call last):",
                    f'  File "{FOLDER}flashinfer/comm/mnnvl.py", line 3, in alloc',
                    "ValueError: no handle",
                    "",
                    "The above exception was the direct cause of the following exception:",
                    "",
                    "Traceback (most recent call last):",
                    f'  File "{FOLDER}vllm/v1/worker/gpu_worker.py", line 3, in load_model',
                    "RuntimeError: the model could not be set up",
                )
            ),
            *TAIL,
        ],
        "area collectives",
        "ValueError: no handle",
    ),
    "header missing, said before": Case(
        worker(
            "torch._dynamo.exc.BackendCompilerFailed: backend='<vllm.compilation.backends.VllmBackend>' raised:\n"
            "CalledProcessError: Command '['/usr/bin/gcc', '/tmp/main.c']' returned non-zero exit status 1.",
            *PROFILE,
            "torch/_dynamo/output_graph.py call_user_compiler",
            before=("gcc: fatal error: cannot execute 'cc1': execvp: No such file or directory",),
        ),
        "kernel-compile",
        "no working C",
    ),
    "two versions of cuDNN": Case(
        worker("RuntimeError: cuDNN error: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH", *PROFILE),
        "binary-mismatch",
        "cuDNN of two versions",
        "Xid",
    ),
    "no peer access": Case(
        worker(
            "RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=(
                "h:1:1 [0] transport/p2p.cc:273 NCCL WARN Cuda failure 'peer access is not supported between these two"
                " devices'",
            ),
        ),
        "peer-access",
        "ACS",
    ),
    "expandable segments": Case(
        [
            *HEAD,
            "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
            "Failed: Cuda error custom_all_reduce.cuh:455 'invalid argument'",
        ],
        "custom-all-reduce",
        "Take it out of vllm_env_extra",
        "NCCL_P2P",
    ),
    "nvcc of the distribution": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nFAILED: [code=1] a.cuda.o\nnvcc fatal   : Unknown option"
            " '-static-global-template-stub=false'\nninja: build stopped: subcommand failed.",
            *NINJA,
        ),
        "kernel-compile",
        "/usr/bin/nvcc",
    ),
    # Layers below
    "hook told to use CDI": Case(
        (
            HOOK + "invoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not"
            " supported."
        ).split("\n"),
        "toolkit-mode",
        "vllm_gpu_request: cdi",
    ),
    "proc of a nested container": Case(
        [
            f'{SHIM}error during container init: error mounting "proc" to rootfs at "/proc": mount src=proc, dst=/proc:'
            " operation not permitted: unknown"
        ],
        "nested-container",
        "nesting",
    ),
    "no InfiniBand": Case(
        [
            "docker: Error response from daemon: error gathering device information while adding custom device"
            ' "/dev/infiniband": no such file or directory'
        ],
        "device-missing",
        "It is /dev/infiniband.",
    ),
    "cgroup filter of the hook": Case(
        (
            HOOK + "nvidia-container-cli: mount error: failed to add device rules: unable to find any existing device"
            " filters"
            " attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted: unknown."
        ).split("\n"),
        "toolkit-cgroup",
        "1.18",
        "Run the role",
    ),
    "ldconfig by signal": Case(
        (HOOK + "nvidia-container-cli: ldcache error: process /sbin/ldconfig terminated with signal 9").split("\n"),
        "toolkit-ldconfig",
        "LimitNOFILE",
    ),
    "ldconfig of Ubuntu": Case(
        (
            HOOK + "nvidia-container-cli: ldcache error: open failed: /sbin/ldconfig.real: no such file or directory"
        ).split("\n"),
        "toolkit-ldconfig",
        "Set ldconfig =",
    ),
    "GPU lost before the specification": Case(
        [
            AUTOMATIC
            + "failed to get full GPU device editors: error getting device handle for index '1': Unknown Error",
        ],
        "toolkit-lost-gpu",
        "give the node back",
    ),
    "root of a driver container": Case(
        (HOOK + "nvidia-container-cli: initialization error: change root failed: no such file or directory").split(
            "\n"
        ),
        "toolkit-root",
        "Comment out root",
    ),
    "driver RPC": Case(
        (HOOK + "nvidia-container-cli: initialization error: driver rpc error: timed out: unknown").split("\n"),
        "toolkit-driver-hangs",
        "nvidia-persistenced",
    ),
    "hook without rights": Case(
        (HOOK + "nvidia-container-cli: initialization error: nvml error: insufficient permissions: unknown").split(
            "\n"
        ),
        "toolkit-driver",
        "nvidia-modprobe",
    ),
    "snap": Case(
        (
            HOOK
            + "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared"
            " object file: no such file or directory: unknown"
        ).split("\n"),
        "toolkit-library",
        "snap list docker",
    ),
    "file exists": Case(
        (
            HOOK + "nvidia-container-cli: mount error: file creation failed: /var/lib/docker/overlay2/x/merged/usr/lib/"
            "libnvidia-ml.so.1: file exists: unknown"
        ).split("\n"),
        "toolkit-mount",
        "Remove libcuda",
    ),
    "requirement": Case(
        (HOOK + "nvidia-container-cli: requirement error: invalid expression: unknown").split("\n"),
        "toolkit-requirement",
    ),
    "CDI twice": Case(
        [
            "docker: Error response from daemon: CDI device injection failed: conflicting device"
            ' "nvidia.com/gpu=all" in'
            " specs /etc/cdi/nvidia.yaml and /var/run/cdi/nvidia.yaml"
        ],
        "cdi-conflict",
    ),
    "CDI newer than the engine": Case(
        [
            "docker: Error response from daemon: failed to load CDI Spec: failed to parse CDI Spec"
            ' "/etc/cdi/nvidia.yaml":'
            ' json: unknown field "additionalGids"'
        ],
        "cdi-version",
        "Update the engine",
    ),
    "CDI made at the start": Case(
        [
            "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI"
            " runtime"
            " create failed: could not apply required modification to OCI specification: error modifying OCI spec:"
            " failed to"
            " inject CDI devices: unresolvable CDI devices runtime.nvidia.com/gpu=all: unknown"
        ],
        "cdi-missing",
        "what it says",
    ),
    "CDI hook": Case(
        [
            f"{SHIM}error during container init: error running createContainer hook #0: fork/exec"
            f" /usr/bin/nvidia-cdi-hook: no"
            " such file or directory"
        ],
        "cdi-hook",
        "Write the specification anew",
    ),
    "runtime without runc": Case(
        [
            "docker: Error response from daemon: failed to create NVIDIA Container Runtime: error constructing"
            " low-level"
            " runtime: error locating runtime: no runtime binary found from candidate list: [runc crun]: unknown."
        ],
        "toolkit-runtime",
    ),
    "MIG": Case(["docker: Error response from daemon: nvidia: device MIG-1 is invalid: MIG not enabled"], "gpu-mig"),
    "filter of runc": Case(
        [
            f"{SHIM}error during container init: error setting cgroup config for procHooks process:"
            " bpf_prog_query(BPF_CGROUP_DEVICE) failed: invalid argument: unknown"
        ],
        "cgroup-device-filter",
        "distribution's kernel",
    ),
    "runc in an LXC": Case(
        [
            f"{SHIM}error during container init: open sysctl net.ipv4.ip_unprivileged_port_start file: reopen fd 8:"
            " permission denied: unknown"
        ],
        "container-security",
        "LXC",
    ),
    "init dies": Case([f"{SHIM}can't get final child's PID from pipe: EOF: unknown"], "container-init", "oom"),
    "not executable": Case([f'{SHIM}exec: "/app/run.sh": permission denied: unknown'], "container-init", "/app/run.sh"),
    "containerd's shim": Case(
        [
            "docker: Error response from daemon: failed to create task for container: failed to create shim task:"
            " ttrpc:"
            " closed: unknown"
        ],
        "containerd-gone",
    ),
    "containerd ended": Case(
        [
            'docker: Error response from daemon: connection error: desc = "transport: Error while dialing dial unix'
            ' /run/containerd/containerd.sock: connect: connection refused": unavailable'
        ],
        "containerd-gone",
        "Restart containerd",
    ),
    "overlay on overlay": Case(
        [
            "docker: Error response from daemon: error creating overlay mount to /var/lib/docker/overlay2/a/merged:"
            " invalid"
            " argument."
        ],
        "storage-mount",
        "ext4 or xfs",
    ),
    "layer without room": Case(
        ["failed to register layer: write /usr/lib/libtorch_cuda.so: no space left on device"], "disk-full", "df -h"
    ),
    "layer lost": Case(
        [
            "Error response from daemon: failed to extract layer sha256:1a2b: mount callback failed: unexpected"
            " commit digest"
        ],
        "image-damaged",
        "pull it anew",
    ),
    "image deleted": Case(
        ["Error response from daemon: manifest for vllm/vllm-openai:nightly-abc not found: manifest unknown"],
        "image-pull-refused",
        "nightly",
    ),
    "rate limit": Case(
        ["Error response from daemon: toomanyrequests: You have reached your unauthenticated pull rate limit."],
        "image-pull-refused",
        "docker login",
        "licence",
    ),
    "registry refuses": Case(
        [
            'Error response from daemon: Head "https://nvcr.io/v2/nvidia/vllm/manifests/26.04": unauthorized:'
            " authentication required"
        ],
        "image-pull-refused",
        "",
        "HF_TOKEN",
    ),
    "registry out of reach": Case(
        [
            'Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io:'
            " no such host"
        ],
        "image-pull-network",
    ),
    "registry behind a proxy": Case(
        [
            'Error response from daemon: Get "https://registry-1.docker.io/v2/": tls: failed to verify'
            " certificate: x509:"
            " certificate signed by unknown authority"
        ],
        "certificate",
        "/etc/docker/certs.d",
    ),
    "no engine": Case(
        ["Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"],
        "engine-not-running",
    ),
    "no right to the engine": Case(
        ["permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"],
        "engine-permission",
    ),
    "old client": Case(
        ["Error response from daemon: client version 1.41 is too old. Minimum supported API version is 1.44"],
        "engine-versions",
    ),
    "name in use": Case(
        ['Error response from daemon: Conflict. The container name "/vllm" is already in use by container "0f3a".'],
        "name-in-use",
    ),
    "no address pool": Case(
        [
            "Error response from daemon: could not find an available, non-overlapping IPv4 address pool among the"
            " defaults"
        ],
        "docker-network-setup",
        "prune",
    ),
    "front end gone": Case(
        worker(
            "RuntimeError: Did not receive response from front-end process within 5 minutes",
            "vllm/v1/engine/core.py startup_handshake",
        ),
        "front-end-gone",
        "",
        "VLLM_ENGINE_READY_TIMEOUT_S",
    ),
}


def told_of(log: list[str], facts: Facts | None = None) -> tuple[str, str]:
    """Return the key of the cause or "area KEY", and the whole message."""
    known = diagnose(log, 1, facts)
    cause, rest = failure_text(known, log)
    found = place(read(log))
    return known.key if known else f"area {found.area.key}" if found else "none", "\n".join([cause, *rest])


@pytest.mark.parametrize("name", CASES)
def test_reports(name: str) -> None:
    case = CASES[name]
    key, message = told_of(case.log)
    assert key == case.expected, message
    assert case.told in message
    assert not case.untold or case.untold not in message, message


@pytest.mark.parametrize(
    ("report", "key", "told"),
    [
        ("R01", "cuda-803", "VLLM_ENABLE_CUDA_COMPATIBILITY=0"),
        ("R02", "no-kernel-for-gpu", "newer CUDA toolkit"),
        ("R04", "all-reduce-workspace", "fuse_allreduce_rms: false"),
        ("R06", "nccl-nvls", "NCCL 2.28.9"),
        ("R07", "pipeline-parallel", "pipeline-parallel-size: 1"),
        ("R10", "toolkit-cgroup", "1.18"),
        ("R11", "compile-killed", "FAILED: [code=137]"),
    ],
)
def test_field_reports(report: str, key: str, told: str) -> None:
    (path,) = REPORTS.glob(f"{report}.*")
    found, message = told_of(path.read_text(encoding="utf-8").split("\n"))
    assert found == key, message
    assert told in message


@pytest.mark.parametrize(
    ("facts", "told", "untold"),
    [
        (Facts(module="580.159.04", libraries=("580.159.04",)), "A reboot changes nothing.", "Test:"),
        (Facts(module="580.159.04", libraries=("580.181.01",)), "Reboot the host", "compat"),
        (Facts(), "(2) Test:", "no-such"),
    ],
)
def test_facts_decide_between_the_causes_of_error_803(facts: Facts, told: str, untold: str) -> None:
    key, message = told_of(CASES["803 undecided"].log, facts)
    assert key == "cuda-803"
    assert told in message
    assert untold not in message


@pytest.mark.parametrize(("size", "decided"), [(64 * 2**20, True), (32 * 2**30, False), (None, False)])
def test_the_size_of_the_shared_memory_decides(size: int | None, decided: bool) -> None:
    _key, message = told_of(CASES["bus error"].log, Facts(shm_bytes=size))
    assert ("Test:" not in message) is decided
    assert "vllm_ipc_mode: host" in message


def test_what_facts_deny_is_not_offered() -> None:
    lost = worker("pynvml.NVMLError_Unknown: Unknown Error", *INIT)
    assert "daemon-reload" in told_of(lost)[1]
    assert "daemon-reload" not in told_of(lost, Facts(cdi=True))[1]
