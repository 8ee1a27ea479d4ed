# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E501, RUF001  # lines as they were logged

"""More public reports, tried once the causes were written: none may get the cause of another.

The names say where they come from. Each was judged by hand when it was added: the cause, or the area, is the right one.
"""

from __future__ import annotations

import pytest

from .test_reports import AUTOMATIC, CAPTURE, HEAD, HOOK, INIT, LOAD, NINJA, PROFILE, SHIM, Case, told_of, worker

DOCKER = "docker: Error response from daemon: "
RAISED = ["(APIServer pid=1) Traceback (most recent call last):"]
NESTED = "(APIServer pid=1) (EngineCore_DP0 pid=68) ERROR 02-06 16:34:06 [core.py:936] "
WEIGHTS = (*LOAD, "vllm/model_executor/model_loader/default_loader.py load_weights")
FUSION = (
    *PROFILE,
    "vllm/compilation/passes/pass_manager.py configure",
    "vllm/compilation/passes/fusion/allreduce_rms_fusion.py __init__",
    "flashinfer/comm/allreduce.py create_allreduce_fusion_workspace",
)
ROW_REMAPPED = (
    "NVRM: Xid (PCI:0000:10:1c): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate."
)
HUNG = [
    *HEAD,
    *(
        "(EngineCore pid=1146) ERROR 09-05 01:24:34 [core.py:1403] " + x
        for x in [
            "EngineCore encountered a fatal error.",
            "Traceback (most recent call last):",
            '  File "/usr/local/lib/python3.12/dist-packages/vllm/v1/executor/multiproc_executor.py", line 387, in get_response',
            '    raise TimeoutError(f"RPC call to {method} timed out.") from e',
            "TimeoutError: RPC call to sample_tokens timed out.",
        ]
    ),
]
FUSED = (
    *CAPTURE,
    "vllm/compilation/passes/fusion/allreduce_rms_fusion.py call_trtllm_fused_allreduce_norm",
    "flashinfer/comm/allreduce.py allreduce_fusion",
)
DEEP_GEMM = (
    *PROFILE,
    "vllm/model_executor/warmup/deep_gemm_warmup.py _deepgemm_fp8_gemm_nt_warmup",
    "vllm/utils/deep_gemm.py fp8_gemm_nt",
)

INDEXER = (
    "vllm/v1/attention/backends/mla/indexer.py build",
    "vllm/utils/deep_gemm.py get_paged_mqa_logits_metadata",
)
FLASH_MLA = (
    *PROFILE,
    "vllm/models/deepseek_v4/nvidia/flashmla.py _forward_prefill",
    "vllm/third_party/flashmla/flash_mla_interface.py flash_mla_sparse_fwd",
)
EXPERT_PARALLEL = "(APIServer pid=1) INFO 09-08 13:00:08 [api_utils.py:286] non-default args: {'enable_expert_parallel': True, 'moe_backend': 'deep_gemm_mega_moe'}"
MEGA_MOE = worker(
    "NotImplementedError: DeepSeek V4 MegaMoE currently requires expert parallel. Enable it with --enable-expert-parallel, or pick a different moe backend.",
    *LOAD,
    "vllm/models/deepseek_v4/nvidia/model.py __init__",
)


def no_nccl(warning: str, kind: str = "unhandled cuda error") -> list[str]:
    return worker(
        f"RuntimeError: NCCL error: {kind} (run with NCCL_DEBUG=INFO for details)",
        *INIT,
        "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
        before=(warning,),
    )


CASES = {
    "vllm-backport#62 unknown": Case(HUNG, "engine-hung", "(3) A GPU has a fault, such as failing memory."),
    "vllm-backport#62 failing HBM": Case(
        [*HUNG, ROW_REMAPPED],
        "engine-hung",
        "in time. It was asked for sample_tokens. A GPU has a fault",
        "NCCL_NVLS_ENABLE",
    ),
    "an Xid of the process itself is no fault of a GPU": Case(
        [*HUNG, "NVRM: Xid (PCI:0000:9c:00): 31, pid=1234, name=VLLM::Worker_TP, MMU Fault"],
        "engine-hung",
        "(1) It waits for another GPU",
    ),
    "flashinfer#1532 nvcc unknown option": Case(
        [
            "(vllm-test, pid=2150) (EngineCore_0 pid=3966) ERROR 08-21 07:45:43 [core.py:700] " + x
            for x in [
                "EngineCore failed to start.",
                "Traceback (most recent call last):",
                '  File "/opt/lib/python3.10/site-packages/flashinfer/jit/cpp_ext.py", line 200, in run_ninja',
                "    subprocess.run(",
                "subprocess.CalledProcessError: Command '['ninja', '-v', '-C', '/opt/.cache/flashinfer/86/cached_ops', '-f', 'x.ninja']' returned non-zero exit status 1.",
                "",
                "The above exception was the direct cause of the following exception:",
                "",
                "Traceback (most recent call last):",
                '  File "/opt/lib/python3.10/site-packages/vllm/v1/worker/gpu_worker.py", line 1, in compile_or_warm_up_model',
                '  File "/opt/lib/python3.10/site-packages/flashinfer/sampling.py", line 1, in top_k_top_p_sampling_from_logits',
                "RuntimeError: Ninja build failed. Ninja output:",
                "ninja: Entering directory `/opt/.cache/flashinfer/86/cached_ops'",
                "[1/4] /usr/bin/nvcc -c sampling.cu",
                "FAILED: sampling/sampling.cuda.o ",
                "nvcc fatal   : Unknown option '-static-global-template-stub=false'",
                "ninja: build stopped: subcommand failed.",
            ]
        ],
        "kernel-compile",
    ),
    "vllm#42609 expandable": Case(
        [
            *HEAD,
            "Failed: Cuda error custom_all_reduce.cuh:455 'invalid argument'",
            "(EngineCore pid=1) ERROR 05-14 10:00:00 [multiproc_executor.py:258] Worker proc VllmWorker-1 died unexpectedly, shutting down executor.",
        ],
        "custom-all-reduce",
    ),
    "vllm#52778 cross node": Case(
        [
            *HEAD,
            "Cuda error /workspace/csrc/custom_all_reduce.cuh:143 'invalid resource handle'",
            "(EngineCore pid=1) ERROR 05-14 10:00:00 [multiproc_executor.py:258] Worker proc VllmWorker-1 died unexpectedly, shutting down executor.",
        ],
        "custom-all-reduce",
    ),
    "Qwen3-VL#2018 symm mem state": Case(
        worker(
            "RuntimeError: CUDA driver error: the operation cannot be performed in the present state",
            *INIT,
            "vllm/distributed/device_communicators/symm_mem.py __init__",
            "torch/distributed/_symmetric_memory/__init__.py rendezvous",
        ),
        "symmetric-memory",
    ),
    "vllm#47982 b12x": Case(
        worker(
            "ValueError: num_tokens (16384) exceeds max_num_tokens (8192)",
            *PROFILE,
            "vllm/model_executor/layers/fused_moe/flashinfer_b12x_moe.py apply",
            "flashinfer/fused_moe/b12x.py run",
        ),
        "area compile",
    ),
    "flashinfer#3206 trtllm": Case(
        worker(
            "AssertionError",
            *LOAD,
            "vllm/model_executor/layers/quantization/modelopt.py process_weights_after_loading",
            "flashinfer/fused_moe/utils.py shuffle_matrix_a",
        ),
        "area compile",
    ),
    "spark#296 page size assert": Case(
        worker(
            "AssertionError",
            "vllm/v1/engine/core.py _initialize_kv_caches",
            "vllm/v1/core/kv_cache_utils.py get_kv_cache_groups",
            "vllm/v1/core/kv_cache_utils.py unify_kv_cache_spec_page_size",
        ),
        "area kv-cache",
    ),
    "vllm#48896 minimal kv": Case(
        worker(
            "RuntimeError: shape '[32, 64, 576]' is invalid for input of size 1343488",
            "vllm/v1/worker/gpu_worker.py determine_available_memory",
            "vllm/v1/worker/gpu_model_runner.py _init_minimal_kv_cache_for_profiling",
            "vllm/v1/worker/gpu_model_runner.py initialize_kv_cache_tensors",
            "vllm/v1/worker/gpu_model_runner.py _reshape_kv_cache_tensors",
        ),
        "area kv-cache",
    ),
    "vllm#49696 zeroer": Case(
        worker(
            "AssertionError: Non-uniform page sizes: 2112 vs 10496",
            "vllm/v1/worker/gpu_worker.py initialize_from_config",
            "vllm/v1/worker/gpu/model_runner.py _init_kv_zero_meta",
            "vllm/v1/worker/utils.py __init__",
        ),
        "area kv-cache",
    ),
    "DeepGEMM#153": Case(
        worker(
            "RuntimeError: Failed: Assertion error csrc/jit_kernels/impls/smxx_layout.hpp:136 'mn % 4 == 0 and num_groups == 1'",
            *PROFILE,
            "vllm/utils/deep_gemm.py fp8_m_grouped_gemm_nt_masked",
        ),
        "deep-gemm",
        "DeepGEMM is of another version than this vLLM expects.",
        "Test:",
    ),
    "vllm PR#21533": Case(
        worker("RuntimeError: Failed: Assertion error csrc/utils/layout.hpp:57 'Unknown recipe'", *DEEP_GEMM),
        "deep-gemm",
        "VLLM_USE_DEEP_GEMM=0",
    ),
    "vllm#47130": Case(
        worker(
            "RuntimeError: Assertion error (/workspace/.deps/deepgemm-src/csrc/apis/../jit_kernels/impls/../heuristics/../../utils/layout.hpp:76): Unknown recipe",
            *DEEP_GEMM,
        ),
        "deep-gemm",
        "It says: Unknown recipe.",
    ),
    "vllm#51884": Case(
        worker(
            "RuntimeError: Assertion error (/workspace/.deps/deepgemm-src/csrc/apis/layout.hpp:60): Unknown SF transformation",
            *LOAD,
            "vllm/model_executor/kernels/linear/scaled_mm/deep_gemm.py process_weights_after_loading",
            "vllm/utils/deep_gemm.py transform_sf_into_required_layout",
        ),
        "deep-gemm",
        "compute_cap",
    ),
    "vllm#41849": Case(
        worker(
            "RuntimeError: DeepGEMM backend is not available or outdated. Please install or update the `deep_gemm` to a newer version to enable FP8 kernels.",
            *DEEP_GEMM,
        ),
        "deep-gemm",
        "Choose vLLM's own image",
    ),
    "vllm#43457": Case(
        worker(
            "RuntimeError: Assertion error (/home/ubuntu/src/vllm/.deps/deepgemm-src/csrc/apis/../jit_kernels/impls/smxx_fp8_fp4_paged_mqa_logits.hpp:233): next_n == 1 or next_n == 2",
            *CAPTURE,
            "vllm/utils/deep_gemm.py fp8_fp4_paged_mqa_logits",
        ),
        "deep-gemm",
        "Set num_speculative_tokens: 1",
        "VLLM_USE_DEEP_GEMM",
    ),
    "vllm#53635": Case(
        worker(
            "RuntimeError: Assertion error (csrc/apis/attention.hpp:262): block_kv == 32 or block_kv == 64",
            *CAPTURE,
            *INDEXER,
        ),
        "deep-gemm",
        "The model does not run without them.",
        "VLLM_USE_DEEP_GEMM",
    ),
    "vllm#41094": Case(
        worker(
            "RuntimeError: Assertion error (/workspace/.deps/deepgemm-src/csrc/apis/attention.hpp:201): context_lens.is_contiguous()",
            *CAPTURE,
            *INDEXER,
        ),
        "deep-gemm",
        "Set num_speculative_tokens: 1",
    ),
    "vllm-windows#59": Case(
        worker(
            "RuntimeError: Sparse Attention Indexer CUDA op requires DeepGEMM to be installed.",
            *INIT,
            "vllm/model_executor/layers/sparse_attn_indexer.py __init__",
        ),
        "deep-gemm",
        "the image has none",
    ),
    "vllm#49883": Case(
        worker(
            "RuntimeError: Assertion error (/workspace/.deps/flashmla-src/csrc/sm90/prefill/sparse/instantiations/../phase1.cuh:614): Assertion `res == CUresult::CUDA_SUCCESS` failed.",
            *FLASH_MLA,
        ),
        "cuda-fault",
        "VLLM_USE_BREAKABLE_CUDAGRAPH=0",
    ),
    "vllm#50842": Case(
        worker(
            "RuntimeError: Assertion `false` failed (/workspace/.deps/flashmla-src/csrc/kerutils/include/kerutils/host/host.h:140)",
            *FLASH_MLA,
        ),
        "cuda-fault",
        "take speculative-config",
    ),
    "vllm#51499": Case(
        worker("torch.AcceleratorError: CUDA error: an illegal memory access was encountered", *CAPTURE, *INDEXER),
        "cuda-fault",
        "another cudagraph_mode in compilation-config serves",
    ),
    "vllm#51181 as NCCL noticed it": Case(
        no_nccl("Capturing CUDA graphs (decode, FULL)"),
        "nccl-error",
        "(2) A kernel failed before, and NCCL only noticed it.",
    ),
    "vllm PR#55914": Case(
        [EXPERT_PARALLEL, *MEGA_MOE], "moe-backend", "does not hand it to the model's draft", "Test:"
    ),
    "vllm PR#55914 without the setting": Case(MEGA_MOE, "moe-backend", "(1) It is not set."),
    "vllm-gb10#27": Case(
        worker(
            "RuntimeError: CUDA driver error (.../jit/handle.hpp:141): 200 (CUDA_ERROR_INVALID_IMAGE, device kernel image is invalid)",
            *DEEP_GEMM,
        ),
        "deep-gemm",
        "could not be loaded",
    ),
    "dynamo#2302": Case(
        worker("RuntimeError: Failed: CUDA runtime error csrc/jit/kernel_runtime.hpp:108 '98'", *DEEP_GEMM),
        "deep-gemm",
        "(1) DeepGEMM is of another version than this vLLM expects.",
    ),
    "vllm#24547 wrong DeepGEMM": Case(
        worker(
            'RuntimeError: Assertion error (csrc/apis/../jit_kernels/impls/../../jit/compiler.hpp:178): false and "NVCC compilation failed"',
            *DEEP_GEMM,
        ),
        "kernel-compile",
        "DeepGEMM is installed wrongly",
        "cuobjdump",
    ),
    "llm-d#1269 cuobjdump": Case(
        worker(
            "RuntimeError: Assertion error (csrc/apis/../jit_kernels/impls/../../jit/kernel_runtime.hpp:45): exit_code == 0",
            *DEEP_GEMM,
        ),
        "kernel-compile",
        "(1) The image lacks cuobjdump",
        "too old",
    ),
    "MiaAI#119 deepgemm runtime": Case(
        worker(
            "RuntimeError: Assertion error (/x/csrc/jit/compiler.hpp:120): runtime != nullptr",
            *PROFILE,
            "vllm/model_executor/kernels/linear/scaled_mm/deep_gemm.py apply_block_scaled_mm",
            "torch/_ops.py __call__",
        ),
        "area compile",
    ),
    "vllm#30324 bmm_fp8": Case(
        worker(
            "RuntimeError: bmm_fp8_internal_cublaslt failed: the library was not initialized",
            *CAPTURE,
            "flashinfer/gemm/gemm_base.py bmm_fp8",
        ),
        "area compile",
    ),
    "vllm#10856 zmq": Case(
        worker(
            "zmq.error.ZMQError: Operation not supported",
            "vllm/v1/engine/core_client.py __init__",
            "zmq/sugar/socket.py send",
        ),
        "area processes",
    ),
    "vllm#21750 compose blobfile": Case(
        [
            "vllm  | " + x
            for x in [
                "INFO 07-28 03:34:36 [config.py:2434] Chunked prefill is enabled",
                "Traceback (most recent call last):",
                '  File "/usr/local/lib/python3.12/dist-packages/tiktoken/load.py", line 11, in read_file',
                "    import blobfile",
                "ModuleNotFoundError: No module named 'blobfile'",
                "",
                "The above exception was the direct cause of the following exception:",
                "",
                "Traceback (most recent call last):",
                '  File "/usr/local/lib/python3.12/dist-packages/tiktoken/load.py", line 13, in read_file',
                "ImportError: blobfile is not installed. Please install it by running `pip install blobfile`.",
            ]
        ],
        "package-missing",
    ),
    "vllm#48071 mnnvl capture": Case(
        worker(
            "torch.AcceleratorError: CUDA error: unspecified launch failure",
            *CAPTURE,
            "vllm/compilation/passes/fusion/allreduce_rms_fusion.py call_trtllm_fused_allreduce_norm",
            "flashinfer/comm/allreduce.py allreduce_fusion",
        ),
        "cuda-fault",
    ),
    "vllm#55973 capture invalidated": Case(
        worker(
            "torch.AcceleratorError: CUDA error: operation failed due to a previous error during capture",
            *CAPTURE,
            "torch/cuda/graphs.py capture_end",
        ),
        "cuda-error",
    ),
    "vllm#18888 flashmla fp8": Case(
        worker(
            "NotImplementedError: FlashMLA V1 with FP8 KV cache not yet supported",
            *LOAD,
            "vllm/v1/attention/backends/mla/flashmla.py __init__",
        ),
        "kv-cache-dtype",
    ),
    "vllm#11329 fp8 v1": Case(
        worker(
            "RuntimeError: Query, Key, and Value must have the same dtype, got Float8_e4m3fn",
            *PROFILE,
            "vllm/vllm_flash_attn/flash_attn_interface.py flash_attn_varlen_func",
        ),
        "area attention",
    ),
    "vllm#35720 fp8 sm80": Case(
        worker(
            "torch._inductor.exc.InductorError: CompilationError: at 1:0:\nValueError(\"type fp8e4nv not supported in this architecture. The supported fp8 dtypes are ('fp8e4b15', 'fp8e5')\")",
            *PROFILE,
            "torch/_inductor/compile_fx.py f",
        ),
        "no-kernel-for-gpu",
    ),
    "vllm#26067 sm100 kernel": Case(
        worker(
            "RuntimeError: Error in function 'run' at /workspace/csrc/trtllm_fused_moe_runner.cu:300: No kernel found for the given options",
            *PROFILE,
            "vllm/model_executor/layers/fused_moe/layer.py forward",
            "flashinfer/fused_moe/core.py trtllm_fp8_block_scale_moe",
        ),
        "moe-backend",
    ),
    "llm-d#1269 exit code": Case(
        worker(
            "RuntimeError: Assertion error (csrc/apis/../jit_kernels/impls/../../jit/kernel_runtime.hpp:45): exit_code == 0",
            *PROFILE,
            "vllm/utils/deep_gemm.py fp8_gemm_nt",
        ),
        "kernel-compile",
    ),
    "vllm#1771 bus": Case(
        [
            *HEAD,
            "(Worker_TP1 pid=301) Fatal Python error: Bus error",
            "(EngineCore pid=1) ERROR 05-14 10:00:00 [multiproc_executor.py:258] Worker proc VllmWorker-1 died unexpectedly, shutting down executor.",
        ],
        "shared-memory",
    ),
    "vllm#18831 shm ENOENT": Case(
        worker(
            "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=(
                "h:1:1 [0] NCCL WARN Error while attaching to shared memory segment /dev/shm/nccl- (size 192814336), error: No such file or directory (2)",
            ),
        ),
        "shared-memory-apart",
    ),
    "vllm#3688 nccl invalid argument": Case(
        worker(
            "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1333, unhandled cuda error (run with NCCL_DEBUG=INFO for details), NCCL version 2.18.1\nncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\nCuda failure 'invalid argument'",
            "torch/distributed/distributed_c10d.py all_reduce",
        ),
        "nccl-error",
    ),
    "vllm#42510 block size": Case(
        worker(
            "ValueError: No common block size for 8. ",
            "vllm/v1/worker/gpu_worker.py initialize_from_config",
            "vllm/v1/worker/gpu_model_runner.py initialize_kv_cache",
            "vllm/v1/worker/gpu_model_runner.py may_reinitialize_input_batch",
            "vllm/v1/worker/utils.py select_common_block_size",
        ),
        "area kv-cache",
    ),
    "eagle crash blackwell 22755": Case(
        worker(
            "AssertionError",
            "vllm/v1/worker/gpu_model_runner.py propose_draft_token_ids",
            "vllm/v1/spec_decode/eagle.py propose",
            "vllm/v1/attention/backends/flashinfer.py build_for_drafting",
        ),
        "area draft",
    ),
    "eagle3 26328": Case(
        worker(
            "AttributeError: 'GptOssForCausalLM' object has no attribute 'set_aux_hidden_state_layers'",
            *LOAD,
            "vllm/v1/worker/gpu_model_runner.py load_model",
        ),
        "area draft",
    ),
    "eagle3 54526 speculators": Case(
        worker(
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for SpeculativeConfig\n  Value error, Unsupported speculative method: 'eagle3_spec'. [type=value_error]",
            "vllm/engine/arg_utils.py create_speculative_config",
        ),
        "draft-settings",
    ),
    "mm budget GLM-V#204": Case(
        worker(
            "ValueError: Mismatch in `video` token count between text and `input_ids`.",
            "vllm/v1/worker/gpu_model_runner.py __init__",
            "vllm/v1/worker/utils.py __init__",
            "vllm/multimodal/registry.py get_max_tokens_per_item_by_modality",
            "transformers/models/glm4v/processing_glm4v.py _check_special_mm_tokens",
        ),
        "area hub",
    ),
    "vision DP heads": Case(
        worker(
            "ValueError: not enough values to unpack (expected 2, got 0)",
            *PROFILE,
            "vllm/model_executor/models/kimi_k25.py _process_image_input",
            "vllm/model_executor/models/vision.py run_dp_sharded_mrope_vision_model",
        ),
        "area compile",
    ),
    "vllm 0.11 pkg": Case(
        [
            "Traceback (most recent call last):",
            '  File "/opt/conda/lib/python3.11/site-packages/vllm/__init__.py", line 13, in <module>',
            "    from vllm.engine.arg_utils import AsyncEngineArgs",
            '  File "/opt/conda/lib/python3.11/site-packages/vllm/config.py", line 22, in <module>',
            "ImportError: cannot import name 'ALLOWED_LAYER_TYPES' from 'transformers.configuration_utils' (/x/configuration_utils.py)",
        ],
        "package-conflict",
    ),
    "max-seq-len-to-capture": Case(
        [
            "usage: vllm [-h] [-v] {chat,complete,serve,bench} ...",
            "vllm: error: unrecognized arguments: --max-seq-len-to-capture 9416",
        ],
        "unknown-flag",
    ),
    "nct#1246": Case(
        (HOOK + "nvidia-container-cli: ldcache error: process /sbin/ldconfig terminated with signal 9").split("\n"),
        "toolkit-ldconfig",
    ),
    "nct#1357": Case(
        (
            SHIM
            + "error during container init: error running hook #0: error running hook: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\nnvidia-container-cli: ldcache error: process /sbin/ldconfig failed with error code: 1: unknown."
        ).split("\n"),
        "toolkit-ldconfig",
    ),
    "nvd#1252": Case(
        [
            DOCKER
            + 'OCI runtime create failed: container_linux.go:349: starting container process caused "process_linux.go:449: container init caused \\"process_linux.go:432: running prestart hook 1 caused \\\\\\"error running hook: exit status 1, stdout: , stderr: nvidia-container-cli: initialization error: driver error: failed to process request\\\\\\\\n\\\\\\"\\"": unknown.'
        ],
        "toolkit-driver-hangs",
    ),
    "nvd#1012": Case(
        [
            DOCKER
            + 'OCI runtime create failed: container_linux.go:345: starting container process caused "process_linux.go:424: container init caused \\"running prestart hook 1 caused \\\\\\"error running hook: exit status 1, stdout: , stderr: nvidia-container-cli: initialization error: cuda error: unknown error\\\\\\\\n\\\\\\"\\"": unknown.'
        ],
        "toolkit-driver",
    ),
    "nvd#1190": Case(
        [
            DOCKER
            + 'OCI runtime create failed: unable to retrieve OCI runtime error (open /run/containerd/x/log.json: no such file or directory): exec: "nvidia-container-runtime": executable file not found in $PATH: : unknown.'
        ],
        "no-gpu-runtime",
    ),
    "runc#2959": Case(
        [
            DOCKER
            + "OCI runtime create failed: container_linux.go:367: starting container process caused: process_linux.go:495: container init caused: process_linux.go:458: setting cgroup config for procHooks process caused: load program: invalid argument: unknown"
        ],
        "cgroup-device-filter",
    ),
    "runc#2792": Case(
        [
            DOCKER
            + "OCI runtime create failed: container_linux.go:367: starting container process caused: process_linux.go:495: container init caused: process_linux.go:458: setting cgroup config for procHooks process caused: can't load program: operation not permitted: unknown."
        ],
        "cgroup-device-filter",
    ),
    "runc#3312": Case(
        [
            "Error response from daemon: OCI runtime create failed: container_linux.go:380: starting container process caused: process_linux.go:385: applying cgroup configuration for process caused: error creating systemd unit `docker-init-proxy.scope`: got `failed`: unknown"
        ],
        "cgroup-setup",
    ),
    "for-linux#1198": Case(
        ['Error response from daemon: OCI runtime create failed: namespace {"cgroup" ""} does not exist: unknown.'],
        "cgroup-setup",
    ),
    "pterodactyl#118": Case(
        [
            "ERROR: for daemon  Cannot start service daemon: OCI runtime create failed: container_linux.go:380: starting container process caused: process_linux.go:545: container init caused: process_linux.go:508: setting cgroup config for procHooks process caused: resulting devices cgroup doesn't match target mode: unknown"
        ],
        "cgroup-device-filter",
    ),
    "moby#47550": Case([SHIM + "can't get final child's PID from pipe: EOF: unknown."], "container-init"),
    "nct#1537": Case(
        [
            DOCKER
            + "failed to create task for container: failed to create shim task: OCI runtime create failed: could not apply required modification to OCI specification: error modifying OCI spec: failed to inject CDI devices: unresolvable CDI devices runtime.nvidia.com/gpu=all: unknown"
        ],
        "cdi-missing",
    ),
    "nct#1239": Case(
        [
            "Error: failed to create containerd task: failed to create shim task: OCI runtime create failed: could not apply required modification to OCI specification: error modifying OCI spec: failed to inject CDI devices: unresolvable CDI devices management.nvidia.com/gpu=GPU-e78e68c0-4e6a-737e-f9cc-4223fe50aead"
        ],
        "cdi-missing",
    ),
    "moby#47633": Case(
        [DOCKER + "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all."], "cdi-missing"
    ),
    "nct#434": Case([DOCKER + 'could not select device driver "cdi" with capabilities: [].'], "no-gpu-runtime"),
    "nct#38 hostPath": Case(
        [
            'Error response from daemon: failed to load CDI Spec: failed to parse CDI Spec "/etc/cdi/nvidia.yaml": failed to unmarshal CDI Spec: error unmarshaling JSON: while decoding JSON: json: unknown field "hostPath"'
        ],
        "cdi-version",
    ),
    "dockerd containerd timeout": Case(
        ["failed to start containerd: timeout waiting for containerd to start"], "containerd-gone"
    ),
    "hub 403 sd": Case(
        worker(
            "requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: https://huggingface.co/CompVis/x/resolve/main/sd-v1-4.ckpt",
            "huggingface_hub/utils/_errors.py hf_raise_for_status",
        ),
        "gated-repo",
    ),
    "hub cdn 403": Case(
        worker(
            "huggingface_hub.errors.HfHubHTTPError: 403 Client Error: Forbidden for url: https://cdn-lfs-us-1.hf.co/repos/ab/cd/abc?response-content-disposition=inline&Expires=1700000000&Policy=ey&Signature=abc&Key-Pair-Id=K24",
            "huggingface_hub/utils/_http.py hf_raise_for_status",
        ),
        "download-refused",
    ),
    "hub xet RuntimeError": Case(
        worker(
            "RuntimeError: Data processing error: CAS service error : Reqwest Error: HTTP status client error (403 Forbidden), domain: https://cas-server.xethub.hf.co/reconstructions/abc",
            "huggingface_hub/file_download.py xet_get",
        ),
        "download-refused",
    ),
    "hub xet io": Case(
        worker(
            "RuntimeError: Data processing error: File reconstruction error: Internal Writer Error: Background writer channel closed",
            "huggingface_hub/file_download.py xet_get",
        ),
        "area hub",
    ),
    "flashinfer#2633": Case(
        worker("IndexError: string index out of range", *FUSION, "flashinfer/comm/mnnvl.py is_mnnvl_fabric_supported"),
        "area collectives",
    ),
    "flashinfer#2006": Case(
        worker(
            "RuntimeError: CUDART error: invalid resource handle",
            *FUSION,
            "flashinfer/comm/trtllm_ar.py trtllm_create_ipc_workspace_for_all_reduce_fusion",
            "flashinfer/comm/cuda_ipc.py CUDART_CHECK",
        ),
        "cuda-error",
    ),
    "flashinfer 801": Case(
        worker(
            "RuntimeError: CUDA driver error: CUDA_ERROR_NOT_SUPPORTED(801)",
            *FUSION,
            "flashinfer/comm/mnnvl.py _alloc_mn_mcast_mem",
        ),
        "all-reduce-workspace",
    ),
    "flashinfer pidfd": Case(
        worker("OSError: [Errno 1] Operation not permitted: pidfd_getfd", *FUSION, "flashinfer/comm/mnnvl.py __init__"),
        "pidfd-denied",
    ),
    "pidfd in fusion": Case(
        worker(
            "RuntimeError: pidfd_getfd(pid=300, fd=12) failed with errno 1: Operation not permitted",
            *FUSION,
            "flashinfer/comm/mnnvl.py __init__",
        ),
        "pidfd-denied",
    ),
    "vllm#49200, gonka#1707": Case(
        worker(
            "ValueError: Mismatched mO.strides[0]",
            *PROFILE,
            "vllm/model_executor/layers/attention/mla_attention.py forward_mha",
            "vllm/vllm_flash_attn/cute/interface.py _flash_attn_fwd",
        ),
        "attention-backend",
        "mla_prefill_backend: TRTLLM_RAGGED",
    ),
    "vllm#25102 unbound": Case(
        worker(
            "UnboundLocalError: cannot access local variable 'returned_lse' where it is not associated with a value",
            *PROFILE,
            "vllm/v1/attention/backends/mla/cutlass_mla.py _forward_decode",
        ),
        "area attention",
    ),
    "vllm#24513": Case(
        worker(
            "RuntimeError: shape '[2, 84738, 16, 1, 576]' is invalid for input of size 780945408",
            "vllm/v1/worker/gpu_worker.py initialize_from_config",
            "vllm/v1/worker/gpu_model_runner.py initialize_kv_cache",
            "vllm/v1/worker/gpu_model_runner.py _reshape_kv_cache_tensors",
        ),
        "area kv-cache",
    ),
    "vllm#49949": Case(
        worker(
            "RuntimeError: moe_wna16_marlin_gemm, /workspace/csrc/libtorch_stable/moe/marlin_moe_wna16/ops.cu:768, size_k = 256, is not divisible by b_scales.size(1) = 15",
            *PROFILE,
            "vllm/_custom_ops.py moe_wna16_marlin_gemm",
        ),
        "tp-does-not-divide",
        "tensor-parallel-size",
    ),
    "vllm#41511 marlin": Case(
        worker(
            "RuntimeError: size_k = 512 is not divisible by group_size",
            *PROFILE,
            "vllm/model_executor/layers/fused_moe/fused_marlin_moe.py fused_marlin_moe",
            "vllm/_custom_ops.py moe_wna16_marlin_gemm",
            "torch/_ops.py __call__",
        ),
        "tp-does-not-divide",
        "enable-expert-parallel",
    ),
    "vllm#17604": Case(
        worker("RuntimeError: size_k must divisible by BLOCK_SIZE_K", *PROFILE, "vllm/_custom_ops.py moe_wna16_gemm"),
        "tp-does-not-divide",
    ),
    "vllm#15918 cc1": Case(
        [
            *HEAD,
            "gcc: fatal error: cannot execute ‘cc1’: execvp: No such file or directory",
            "compilation terminated.",
            *worker(
                "torch._dynamo.exc.BackendCompilerFailed: backend='<vllm.compilation.backends.VllmBackend object at 0x7>' raised:\nCalledProcessError: Command '['/usr/bin/gcc', '/tmp/x/main.c']' returned non-zero exit status 1.",
                *PROFILE,
                "torch/_dynamo/output_graph.py call_user_compiler",
            )[2:],
        ],
        "kernel-compile",
    ),
    "llm-d#706": Case(
        [
            NESTED + x
            for x in [
                "EngineCore failed to start.",
                "Traceback (most recent call last):",
                'File "/opt/vllm-source/vllm/v1/worker/gpu_worker.py", line 209, in init_device',
                "current_platform.set_device(self.device)",
                'File "/opt/vllm/lib64/python3.12/site-packages/torch/cuda/__init__.py", line 412, in _lazy_init',
                "torch._C._cuda_init()",
                "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() that might have already set an error? Error 803: system has unsupported display driver / cuda driver combination",
            ]
        ],
        "cuda-803",
    ),
    "warning 803": Case(
        [
            "(APIServer pid=1) /usr/local/lib/python3.12/dist-packages/torch/cuda/__init__.py:182: UserWarning: CUDA initialization: Unexpected error from cudaGetDeviceCount(). Error 803: system has unsupported display driver / cuda driver combination (Triggered internally at CUDAFunctions.cpp:119.)",
            "(APIServer pid=1) Traceback (most recent call last):",
            '(APIServer pid=1)   File "/x/site-packages/vllm/config/device.py", line 1, in __post_init__',
            "(APIServer pid=1) RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`",
        ],
        "cuda-803",
    ),
    "arctic#63": Case(
        [
            *HEAD,
            "(VllmWorker rank=3 pid=103125) INFO 05-28 17:47:14 [pynccl.py:69] vLLM is using nccl==2.21.5",
            "CRITICAL 05-28 17:47:20 [core_client.py:269] Got fatal signal from worker processes, shutting down. See stack trace above for root cause issue.",
        ],
        "worker-died",
    ),
    "triton shared mem": Case(
        worker(
            "triton.runtime.errors.OutOfResources: out of resource: shared memory, Required: 163840, Hardware limit: 101376. Reducing block sizes or `num_stages` may help.",
            *PROFILE,
            "triton/runtime/autotuner.py run",
        ),
        "kernel-too-large",
    ),
    "triton no ptxas": Case(
        worker("RuntimeError: Cannot find ptxas", *PROFILE, "triton/backends/nvidia/compiler.py get_ptxas"),
        "area compile",
    ),
    "nvrtc": Case(
        worker(
            "RuntimeError: nvrtc: error: failed to open libnvrtc-builtins.so.13.0.\n  Make sure that libnvrtc-builtins.so.13.0 is installed correctly.",
            *PROFILE,
            "torch/nn/modules/module.py _call_impl",
        ),
        "library-missing",
    ),
    "cudnn": Case(
        worker(
            "RuntimeError: cuDNN error: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH",
            *PROFILE,
            "vllm/model_executor/models/kimi_k25_vit.py forward",
        ),
        "binary-mismatch",
    ),
    "libcuda mem shortage in workers": Case(
        [
            *HEAD,
            "(Worker_TP0 pid=1) torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 178.35 GiB of which 1.2 GiB is free.",
        ],
        "cuda-out-of-memory",
    ),
    "hf rate": Case(
        worker(
            "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url: https://huggingface.co/api/models/a",
            "huggingface_hub/utils/_http.py hf_raise_for_status",
        ),
        "hub-busy",
    ),
    "hf 5xx": Case(
        worker(
            "huggingface_hub.errors.HfHubHTTPError: 502 Server Error: Bad Gateway for url: https://huggingface.co/api/models/moonshotai/Kimi-K2.6",
            "huggingface_hub/utils/_http.py hf_raise_for_status",
        ),
        "area hub",
    ),
    "hf consistency": Case(
        worker(
            "OSError: Consistency check failed: file should be of size 9815000000 but has size 4000000 (model-00002.safetensors).",
            "huggingface_hub/file_download.py http_get",
        ),
        "corrupt-weights",
    ),
    "mem lock": Case(
        worker(
            "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=("h:1:1 [0] NCCL WARN Call to ibv_reg_mr failed with error Cannot allocate memory",),
        ),
        "locked-memory",
    ),
    "nccl no p2p": Case(
        worker(
            "RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=(
                "h:1:1 [0] transport/p2p.cc:273 NCCL WARN Cuda failure 217 'peer access is not supported between these two devices'",
            ),
        ),
        "peer-access",
    ),
    "nccl cumem host": Case(
        worker(
            "RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=("h:1:1 [0] allocator.cc:58 NCCL WARN Cuda failure 1 'invalid argument'",),
        ),
        "nccl-error",
    ),
    "nccl mismatch": Case(
        worker(
            "RuntimeError: NCCL error: internal error - please report this issue to the NCCL developers",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=(
                "h:1:1 [0] misc/socket.cc:483 NCCL WARN socketStartConnect: Connect to 172.17.0.2<37501> failed : Software caused connection abort",
            ),
        ),
        "nccl-error",
    ),
    "nccl symbol": Case(
        [
            "Traceback (most recent call last):",
            '  File "/x/site-packages/torch/__init__.py", line 409, in <module>',
            "ImportError: /x/libtorch_cuda.so: undefined symbol: ncclCommWindowRegister",
        ],
        "binary-mismatch",
    ),
    "dockershm proxy": Case(
        [
            'docker: Error response from daemon: Get "https://registry-1.docker.io/v2/": proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused'
        ],
        "image-pull-network",
    ),
    "docker disk": Case(
        ["docker: Error response from daemon: mkdir /var/lib/docker/overlay2/abc-init: no space left on device."],
        "disk-full",
    ),
    "docker unauthorized": Case(
        ['docker: Error response from daemon: Head "https://ghcr.io/v2/x/manifests/1": denied: denied'],
        "image-pull-refused",
    ),
    "docker device": Case(
        [
            'docker: Error response from daemon: error gathering device information while adding custom device "/dev/infiniband": no such file or directory'
        ],
        "device-missing",
    ),
    "docker cap": Case(
        [
            'docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "proc" to rootfs at "/proc": mount src=proc, dst=/proc, flags=MS_NOSUID: operation not permitted: unknown'
        ],
        "nested-container",
    ),
    "docker ulimit": Case(
        [
            "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error setting rlimit type 8: operation not permitted: unknown"
        ],
        "container-limits",
    ),
    "docker cpuset": Case(
        ["docker: Error response from daemon: Requested CPUs are not available - requested 0-255, available: 0-63."],
        "area gpu-access",
    ),
    "docker memory": Case(
        ["docker: Error response from daemon: Minimum memory limit allowed is 6MB."], "area gpu-access"
    ),
    "nvml lib mismatch by cli": Case(
        (
            HOOK + "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown."
        ).split("\n"),
        "cuda-803",
    ),
    "no nvidia device": Case(
        (HOOK + "nvidia-container-cli: device error: GPU-8f4: unknown device: unknown").split("\n"), "unknown-gpu"
    ),
    "cdi no such dev": Case(
        [
            'docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error mounting "/usr/lib/x86_64-linux-gnu/libcuda.so.580.82.07" to rootfs at "/usr/lib/x86_64-linux-gnu/libcuda.so.580.82.07": no such file or directory'
        ],
        "cdi-stale",
    ),
    "cdi device node": Case(
        [
            'docker: Error response from daemon: failed to create task for container: CDI device injection failed: failed to inject devices: failed to stat CDI host device "/dev/nvidia-modeset": no such file or directory'
        ],
        "cdi-stale",
    ),
    "hook direct": Case(
        (
            HOOK
            + "invoking the NVIDIA Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not supported. Please use the NVIDIA Container Runtime (e.g. specify the --runtime=nvidia flag) instead."
        ).split("\n"),
        "toolkit-mode",
    ),
    "mps": Case(
        worker(
            "torch.AcceleratorError: CUDA error: the remote procedural call between the MPS server and the MPS client failed",
            *INIT,
        ),
        "cuda-error",
    ),
    "busy": Case(
        worker("torch.AcceleratorError: CUDA error: CUDA-capable device(s) is/are busy or unavailable", *INIT),
        "gpu-unavailable",
    ),
    "fm": Case(worker("RuntimeError: CUDA error: system not yet initialized", *INIT), "cuda-802"),
    "prefetch numa": Case(
        worker(
            "AssertionError: Encoder cache size too small",
            "vllm/v1/core/encoder_cache_manager.py compute_mm_encoder_budget",
        ),
        "area kv-cache",
    ),
    "tokenizer attr": Case(
        worker(
            "AttributeError: 'TikTokenTokenizer' object has no attribute 'all_special_tokens_extended'",
            "vllm/tokenizers/hf.py get_cached_tokenizer",
        ),
        "package-conflict",
    ),
    "chat template": Case(
        [
            "(APIServer pid=1) Traceback (most recent call last):",
            '(APIServer pid=1)   File "/x/site-packages/vllm/entrypoints/openai/api_server.py", line 1, in init_app_state',
            "(APIServer pid=1) jinja2.exceptions.TemplateSyntaxError: expected token 'end of print statement', got 'x'",
        ],
        "area api-server",
    ),
    "vllm Kimi FP8 kv: 'fp8_e4m3 kv cache scale' assert": Case(
        worker(
            "AssertionError: fp8 KV cache requires calculate_kv_scales or k_scale",
            *LOAD,
            "vllm/model_executor/layers/attention/mla_attention.py process_weights_after_loading",
        ),
        "area attention",
    ),
    "FLASHINFER_MLA block size": Case(
        worker(
            "ValueError: Selected backend AttentionBackendEnum.FLASHINFER_MLA is not valid for this configuration. Reason: ['block_size not supported']",
            "vllm/platforms/cuda.py get_attn_backend_cls",
        ),
        "attention-backend",
    ),
    # Recorded on two H200, with vLLM 0.26.0.
    "MLA of other dimensions": Case(
        worker(
            "ValueError: No valid MLA prefill backend found with MLAPrefillSelectorConfig(dtype=torch.bfloat16,"
            " mla_dimensions=(qk_nope_head_dim=64, qk_rope_head_dim=64, v_head_dim=64)). Reasons: {FLASH_ATTN: [Model"
            " does not have supported MLA dimensions (got (qk_nope_head_dim=64, qk_rope_head_dim=64, v_head_dim=64))]}.",
            *LOAD,
            "vllm/v1/attention/backends/mla/prefill/selector.py get_mla_prefill_backend",
        ),
        "attention-backend",
    ),
    "eagle3 aux layers": Case(
        worker(
            "IndexError: list index out of range",
            *PROFILE,
            "vllm/model_executor/models/deepseek_v2.py forward",
            "vllm/v1/spec_decode/eagle.py propose",
        ),
        "area draft",
    ),
    "eagle embed share": Case(
        worker(
            "AttributeError: 'PPMissingLayer' object has no attribute 'weight'",
            *LOAD,
            "vllm/v1/spec_decode/eagle.py load_model",
        ),
        "area draft",
    ),
    "draft vocab d2t": Case(
        worker(
            "RuntimeError: The size of tensor a (32000) must match the size of tensor b (163840) at non-singleton dimension 0",
            *LOAD,
            "vllm/v1/spec_decode/eagle.py load_model",
            "vllm/model_executor/models/llama_eagle3.py load_weights",
        ),
        "draft-mismatch",
    ),
    "cutlass internal": Case(
        worker(
            "RuntimeError: Error Internal", *PROFILE, "vllm/_custom_ops.py cutlass_scaled_mm", "torch/_ops.py __call__"
        ),
        "area compile",
    ),
    "trtllm kernel missing": Case(
        worker(
            "RuntimeError: Missing TRTLLM-GEN kernel (context) for request qkvLayout 2, maskType 0",
            *PROFILE,
            "vllm/v1/attention/backends/mla/flashinfer_mla.py forward",
            "flashinfer/mla.py trtllm_batch_decode_with_kv_cache_mla",
        ),
        "attention-backend",
    ),
    "cubin checksum": Case(
        worker(
            "RuntimeError: Failed to load cubin fmhaSm100Kernel.cubin: checksum mismatch",
            *PROFILE,
            "flashinfer/jit/cubin_loader.py get_cubin",
        ),
        "kernel-download",
    ),
    "flashinfer no network": Case(
        worker(
            "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='edge.urm.nvidia.com', port=443): Max retries exceeded with url: /artifactory/x.cubin (Caused by NameResolutionError('Failed to resolve edge.urm.nvidia.com'))",
            *PROFILE,
            "flashinfer/jit/cubin_loader.py download_with_lock",
        ),
        "kernel-download",
    ),
    "inductor triton smem": Case(
        worker(
            "torch._inductor.exc.InductorError: RuntimeError: No valid triton configs. OutOfMemoryError: out of resource: triton_red_fused Required: 262192 Hardware limit:232448 Reducing block sizes or `num_stages` may help.",
            *PROFILE,
            "torch/_inductor/compile_fx.py f",
        ),
        "kernel-too-large",
    ),
    "dynamo unsupported": Case(
        worker(
            "torch._dynamo.exc.Unsupported: Attempted to call function marked as skipped",
            *PROFILE,
            "torch/_dynamo/exc.py unimplemented",
        ),
        "kernel-compile",
    ),
    "recompile limit": Case(
        worker(
            "torch._dynamo.exc.FailOnRecompileLimitHit: recompile_limit reached",
            *PROFILE,
            "torch/_dynamo/convert_frame.py f",
        ),
        "kernel-compile",
    ),
    "shm broadcast timeouts": Case(
        worker(
            "TimeoutError: RPC call to sample_tokens timed out.", "vllm/v1/executor/multiproc_executor.py get_response"
        ),
        "engine-hung",
    ),
    "gloo timeouts": Case(
        worker(
            "RuntimeError: [../third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 1800000ms for recv operation to complete",
            "torch/distributed/distributed_c10d.py broadcast_object_list",
        ),
        "area collectives",
    ),
    "nccl lib": Case(
        worker(
            "OSError: libnccl.so.2: cannot open shared object file: No such file or directory",
            "vllm/distributed/device_communicators/pynccl_wrapper.py __init__",
        ),
        "library-missing",
    ),
    "cuda visible devices": Case(worker("RuntimeError: CUDA error: invalid device ordinal", *INIT), "too-few-gpus"),
    "mig": Case(
        worker("RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable", *INIT), "gpu-unavailable"
    ),
    "numba cache": Case(
        worker(
            "RuntimeError: cannot cache function '_x': no locator available for file '/x.py'",
            "vllm/v1/spec_decode/ngram_proposer.py <module>",
        ),
        "read-only",
    ),
    "triton cache perms": Case(
        worker(
            "PermissionError: [Errno 13] Permission denied: '/.triton'", *PROFILE, "triton/runtime/cache.py __init__"
        ),
        "permission-denied",
    ),
    "dynamo#12457": Case(
        worker(
            "KeyError: 'getpwuid(): uid not found: 1000'",
            *PROFILE,
            "torch/_inductor/runtime/cache_dir_utils.py default_cache_dir",
            "getpass.py getuser",
        ),
        "unknown-user",
        "Or set USER",
    ),
    "hf cache readonly lock": Case(
        worker(
            "OSError: [Errno 30] Read-only file system: '/root/.cache/huggingface/hub/.locks'",
            "huggingface_hub/file_download.py hf_hub_download",
        ),
        "read-only",
    ),
    "ulimit": Case(worker("OSError: [Errno 24] Too many open files", "zmq/sugar/context.py socket"), "too-many-files"),
    "tokenizer mismatch": Case(
        worker(
            "ValueError: Tokenizer class TikTokenTokenizer does not exist or is not currently imported.",
            "transformers/models/auto/tokenization_auto.py from_pretrained",
        ),
        "package-conflict",
    ),
    "processor kwargs": Case(
        worker(
            "TypeError: KimiK25Processor.__init__() got an unexpected keyword argument 'media_processor'",
            "vllm/transformers_utils/processor.py cached_processor_from_config",
            "transformers_modules/kimi/processing.py from_pretrained",
        ),
        "area packages",
    ),
    "image processor import": Case(
        worker(
            "ImportError: cannot import name 'is_torchvision_v2_available' from 'transformers.utils'",
            "transformers_modules/kimi/image_processing.py <module>",
        ),
        "package-conflict",
    ),
    "moonvit flash attn": Case(
        worker(
            "ImportError: This modeling file requires the following packages that were not found in your environment: flash_attn. Run `pip install flash_attn`",
            "transformers/dynamic_module_utils.py check_imports",
        ),
        "package-missing",
    ),
    "rope": Case(
        worker("KeyError: 'rope_type'", "vllm/transformers_utils/config.py patch_rope_parameters"), "area hub"
    ),
    "config attr": Case(
        worker(
            "AttributeError: 'KimiK25Config' object has no attribute 'vocab_size'",
            "vllm/config/model.py get_vocab_size",
        ),
        "area arguments",
    ),
    "max_num_seqs cudagraph": Case(
        worker(
            "ValueError: max_num_seqs (2048) exceeds the number of available cache blocks",
            "vllm/config/vllm.py __post_init__",
        ),
        "area arguments",
    ),
    "port ray": Case(
        worker("ConnectionRefusedError: [Errno 111] Connection refused", "vllm/utils/network_utils.py get_ip"),
        "area processes",
    ),
    "ssl": Case(
        [
            *RAISED,
            '(APIServer pid=1)   File "/x/site-packages/uvicorn/config.py", line 1, in create_ssl_context',
            "(APIServer pid=1) FileNotFoundError: [Errno 2] No such file or directory",
        ],
        "area api-server",
    ),
    "middleware": Case(
        [
            *RAISED,
            '(APIServer pid=1)   File "/x/site-packages/vllm/entrypoints/openai/api_server.py", line 1, in build_app',
            "(APIServer pid=1) ValueError: Invalid middleware foo. Must be a function or a class.",
        ],
        "area api-server",
    ),
    "int4 marlin arch": Case(
        worker(
            "RuntimeError: Marlin kernel only supports compute capability 8.0 or newer",
            *LOAD,
            "vllm/model_executor/layers/quantization/utils/marlin_utils.py verify_marlin_supported",
        ),
        "area compile",
    ),
    "zero-size moe": Case(
        worker(
            "ValueError: Failed to find a kernel that can implement the WNA16 linear layer. Reasons: MarlinLinearKernel cannot implement due to: Weight input_size_per_partition = 88 is not divisible by min_thread_k = 128. Consider reducing tensor_parallel_size",
            *LOAD,
            "vllm/model_executor/kernels/linear/__init__.py choose_mp_linear_kernel",
        ),
        "tp-does-not-divide",
    ),
    "cumem": Case(
        worker(
            "RuntimeError: CUDA Error: invalid argument at /workspace/csrc/cumem_allocator.cpp:119",
            *LOAD,
            "vllm/device_allocator/cumem.py create_and_map",
        ),
        "area kv-cache",
    ),
    "nvshmem": Case(
        [
            *HEAD,
            "/dvs/p4/build/nvshmem/src/host/init/init.cu:972: non-zero status: 7 nvshmemi_init failed",
            "(EngineCore pid=1) ERROR 05-14 10:00:00 [multiproc_executor.py:258] Worker proc VllmWorker-1 died unexpectedly, shutting down executor.",
        ],
        "worker-died",
    ),
    "deepep": Case(
        worker(
            "RuntimeError: Failed: CUDA error /DeepEP/csrc/deep_ep.cpp:103 'operation not supported'",
            "vllm/distributed/device_communicators/all2all.py get_handle",
            "deep_ep/buffer.py __init__",
        ),
        "area collectives",
    ),
    "terminate c10": Case(
        [
            *HEAD,
            "terminate called after throwing an instance of 'c10::DistBackendError'",
            "  what():  [PG ID 2 PG GUID 3 Rank 3] Process group watchdog thread terminated with exception: CUDA error: unspecified launch failure",
            "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': -6}",
        ],
        "cuda-fault",
    ),
    "glibc free": Case(
        [
            *HEAD,
            "free(): invalid pointer",
            "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': -6}",
        ],
        "aborted",
    ),
    "oom killer container": Case(
        [
            *HEAD,
            "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': -9}",
        ],
        "killed",
    ),
    "weights int": Case(
        worker(
            "ValueError: Unsupported load_format: fastsafetensor",
            "vllm/model_executor/model_loader/__init__.py get_model_loader",
        ),
        "area weights",
    ),
    "runai": Case(
        worker(
            "Exception: Could not receive runai_response from libstreamer due to: b'File access error'",
            *LOAD,
            "runai_model_streamer/libstreamer/libstreamer.py runai_response",
        ),
        "area weights",
    ),
    "tensor meta": Case(
        worker(
            "NotImplementedError: Cannot copy out of meta tensor; no data!",
            *LOAD,
            "vllm/model_executor/model_loader/utils.py process_weights_after_loading",
        ),
        "area weights",
    ),
    "pydantic tp": Case(
        [
            *RAISED,
            '(APIServer pid=1)   File "/x/site-packages/vllm/engine/arg_utils.py", line 1, in create_engine_config',
            "(APIServer pid=1) pydantic_core._pydantic_core.ValidationError: 1 validation error for ParallelConfig",
            "(APIServer pid=1)   Value error, World size (16) is larger than the number of available GPUs (8) in this node.",
        ],
        "too-few-gpus",
    ),
    "vllm#13127 lower": Case(
        worker(
            "AttributeError: Qwen2Tokenizer has no attribute lower",
            "vllm/transformers_utils/tokenizer.py get_tokenizer",
            "transformers/tokenization_utils_base.py __getattr__",
        ),
        "package-conflict",
    ),
    "swift#8352 saved by 5.2": Case(
        [
            *RAISED,
            '(APIServer pid=1)   File "/x/site-packages/transformers/tokenization_utils_base.py", line 1, in from_pretrained',
            "(APIServer pid=1) AttributeError: 'list' object has no attribute 'keys'",
        ],
        "package-conflict",
    ),
    "tinker#378 kimi": Case(
        worker(
            "ImportError: cannot import name 'bytes_to_unicode' from 'transformers.models.gpt2.tokenization_gpt2'",
            "transformers_modules/Kimi/tokenization_kimi.py <module>",
        ),
        "package-conflict",
    ),
    "vllm#14465 guided": Case(
        worker(
            "AttributeError: 'MistralTokenizer' object has no attribute 'backend_tokenizer'",
            "vllm/v1/structured_output/__init__.py __init__",
            "vllm/tokenizers/mistral.py x",
        ),
        "package-conflict",
    ),
    "gloo 5779": Case(
        worker(
            "RuntimeError: Gloo connectFullMesh failed with [../third_party/gloo/gloo/transport/tcp/pair.cc:144] no error",
            "vllm/distributed/parallel_state.py __init__",
            "torch/distributed/distributed_c10d.py _new_process_group_helper",
        ),
        "network-interface",
    ),
    "llmc#959": Case(
        worker(
            "KeyError: 'layers.0.mlp.down_proj.weight_scale'",
            *WEIGHTS,
            "vllm/model_executor/models/llama.py load_weights",
        ),
        "weights-do-not-fit",
    ),
    "vllm#40358": Case(
        worker(
            "KeyError: 'layers.0.mlp.experts.w13_bias'", *WEIGHTS, "vllm/model_executor/models/gpt_oss.py load_weights"
        ),
        "weights-do-not-fit",
    ),
    "llmc#1127": Case(
        worker(
            "RuntimeError: start (0) + length (1280) exceeds dimension size (1024).",
            *WEIGHTS,
            "vllm/model_executor/models/pixtral.py load_weights",
            "vllm/model_executor/parameter.py load_qkv_weight",
        ),
        "area weights",
    ),
    "vllm#25241 w4afp8": Case(
        worker(
            "ValueError: No compressed-tensors compatible scheme was found.",
            *LOAD,
            "vllm/model_executor/layers/quantization/compressed_tensors/compressed_tensors.py _get_scheme_from_parts",
        ),
        "quantization",
    ),
    "vllm#11010 tiktoken": Case(
        worker(
            "ValueError: Converting from Tiktoken failed, if a converter for SentencePiece is available, provide a model path with a SentencePiece tokenizer.model file.",
            "transformers/convert_slow_tokenizer.py convert_slow_tokenizer",
        ),
        "tokenizer-missing",
    ),
    "vllm#27430 launch failure": Case(
        worker(
            "torch.AcceleratorError: CUDA error: unspecified launch failure",
            *PROFILE,
            "torch/cuda/streams.py synchronize",
        ),
        "cuda-fault",
    ),
    "vllm#19445 sampler OOM": Case(
        worker(
            "RuntimeError: CUDA out of memory occurred when warming up sampler with 256 dummy requests. Please try lowering `max_num_seqs` or `gpu_memory_utilization` when initializing the engine.",
            "vllm/v1/worker/gpu_worker.py compile_or_warm_up_model",
            "vllm/v1/worker/gpu_model_runner.py _dummy_sampler_run",
        ),
        "cuda-out-of-memory",
    ),
    "vllm#39872 cudart": Case(
        [
            *RAISED,
            '(APIServer pid=1)   File "/x/site-packages/vllm/platforms/cuda.py", line 17, in <module>',
            "(APIServer pid=1) ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
        ],
        "library-missing",
    ),
    "nct#1967 cuda unknown": Case(
        [
            *HEAD,
            "(Worker_TP0 pid=1) /x/torch/cuda/__init__.py:182: UserWarning: CUDA initialization: CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env variable CUDA_VISIBLE_DEVICES after program start.",
            "(APIServer pid=1) RuntimeError: Failed to infer device type",
        ],
        "no-gpu",
    ),
    "nvd#68 inject": Case(
        [
            "docker: Error response from daemon: OCI runtime create failed: unable to retrieve OCI runtime error (open /run/x/log.json: no such file or directory): nvidia-container-runtime did not terminate sucessfully: 2019/07/23 17:28:30 ERROR: nvidia-container-runtime: inject NVIDIA hook: stat /usr/bin/nvidia-container-runtime-hook: no such file or directory\n: unknown."
        ],
        "no-gpu-runtime",
    ),
    "nct 1.19 no driver": Case(
        [AUTOMATIC + "failed to initialize NVML: Driver Not Loaded"],
        "driver-not-loaded",
    ),
    "nct 1.19 no library": Case(
        [AUTOMATIC + "failed to initialize NVML: ERROR_LIBRARY_NOT_FOUND"],
        "toolkit-library",
    ),
    "nct 1.19 no such GPU": Case(
        [AUTOMATIC + "failed to get device handle from index: Invalid Argument"],
        "unknown-gpu",
    ),
    "gpu-operator#1099": Case(
        [
            "Error: failed to create containerd task: failed to create shim task: OCI runtime create failed: unable to load containerd config: failed to load config: failed to run command chroot: exit status 127"
        ],
        "toolkit-runtime",
    ),
    "hopsworks loader": Case(
        worker(
            "RuntimeError: DataLoader worker (pid 729) is killed by signal: Bus error. It is possible that dataloader's workers are out of shared memory. Please try to raise your shared memory limit.",
            *LOAD,
        ),
        "shared-memory",
    ),
    "vllm#36077 colon": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\n[1/11] :/usr/local/cuda-12.8/bin/nvcc -c a.cu\nFAILED: [code=127] a.cuda.o\n/bin/sh: 1: :/usr/local/cuda-12.8/bin/nvcc: not found",
            *NINJA,
        ),
        "kernel-compile",
    ),
    "fi-win#6 single input": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nFAILED: [code=1] sampling.cuda.o\nnvcc fatal   : A single input file is required for a non-link phase when an outputfile is specified",
            *NINJA,
        ),
        "kernel-compile",
    ),
    "fi#3634 code 4": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nFAILED: [code=143] a.cuda.o\nFAILED: [code=4] b.cuda.o\nninja: build stopped: subcommand failed.",
            *NINJA,
        ),
        "compile-killed",
    ),
    "vllm#9369 nvls init": Case(
        worker(
            "RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=("k:44712:44746 [2] transport/nvls.cc:246 NCCL WARN Cuda failure 3 'initialization error'",),
        ),
        "nccl-error",
    ),
    "nccl#2101 vgpu": Case(
        worker(
            "RuntimeError: NCCL error: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=("k:1:1 [0] init.cc:426 NCCL WARN Cuda failure 801 'operation not supported'",),
        ),
        "nccl-error",
    ),
    "vllm#24915 increment": Case(
        worker(
            "RuntimeError: increment_version expects each element of the iterable to be a tensor",
            *PROFILE,
            "torch/autograd/graph.py increment_version",
        ),
        "compile-cache",
    ),
    "club#572 AOT": Case(
        worker(
            "AttributeError: 'ColumnParallelLinear' object has no attribute 'workspace'",
            *PROFILE,
            "torch/_dynamo/aot_compile.py __call__",
        ),
        "area compile",
    ),
    "torch#180910 fake": Case(
        worker(
            "RuntimeError: Cannot access data pointer of Tensor (e.g. FakeTensor, FunctionalTensor). If you're using torch.compile/export/fx, it is likely that we are erroneously tracing into a custom kernel.",
            *PROFILE,
            "torch/_functorch/_aot_autograd/autograd_cache.py save",
        ),
        "area compile",
    ),
    "edut#579": Case(
        worker(
            "AssertionError: Expected tensors only, but got: <class 'int'>",
            *PROFILE,
            "torch/_inductor/utils.py copy_misaligned_inputs",
        ),
        "compile-cache",
    ),
    "ray#55209": Case(
        worker(
            "RuntimeError: vLLM failed to compile the model. The most likely reason for this is that a previous compilation failed, leading to a corrupted compilation artifact.",
            *PROFILE,
            "vllm/compilation/compiler_interface.py load",
        ),
        "compile-cache",
    ),
    "gpustack#5014 raylet": Case(
        [
            "[2026-03-25 05:44:29,435 W 39 39] (raylet) store_runner.cc:83: System memory request exceeds memory available in /dev/shm."
        ],
        "shared-memory",
    ),
    "nebari etc ENOSPC heap": Case(
        worker(
            "OSError: [Errno 28] No space left on device",
            "torch/storage.py share_memory_",
            "multiprocessing/heap.py __init__",
        ),
        "shared-memory",
    ),
    "glm4v budget": Case(
        worker(
            "KeyError: 'longest_edge'",
            "vllm/multimodal/registry.py get_max_tokens",
            "transformers/models/qwen2_vl/image_processing_qwen2_vl.py __init__",
        ),
        "area hub",
    ),
    "bagel": Case(
        worker(
            "ValueError: Attempted to assign 0 multimodal tokens to 4096 placeholders",
            *PROFILE,
            "vllm/model_executor/models/utils.py _merge_multimodal_embeddings",
        ),
        "area compile",
    ),
    "moderror trtllm": Case(
        worker(
            "RuntimeError: [TensorRT-LLM][ERROR] CUDA runtime error in cudaDeviceGetDefaultMemPool(&memPool, device): operation not supported",
            *INIT,
        ),
        "area gpu-access",
    ),
    "DeepGEMM#173 nvcc too old for B200": Case(
        [
            "Warning: please use at least NVCC 12.9 for the best DeepGEMM performanceNVCC compilation failed: nvcc fatal   : Unsupported gpu architecture 'sm_100f'",
            "",
            "Traceback (most recent call last):",
            '  File "/sgl-workspace/DeepGEMM/tests/test_bf16.py", line 123, in <module>',
            "    test_gemm()",
            '  File "/sgl-workspace/DeepGEMM/tests/test_bf16.py", line 30, in test_gemm',
            "    getattr(deep_gemm, func_name)(a, b, d, c=c)",
            'RuntimeError: Assertion error (csrc/apis/../jit_kernels/impls/../../jit/compiler.hpp:176): false and "NVCC compilation failed"',
        ],
        "kernel-compile",
        "image with the CUDA toolkit of a version that knows the GPU",
        "half-written kernel",
    ),
    "vllm#47284 all-reduce": Case(
        worker(
            "ValueError: The buffer size in the given workspace is insufficient for the given problem size",
            *FUSED,
            "flashinfer/comm/trtllm_mnnvl_ar.py trtllm_mnnvl_fused_allreduce_add_rmsnorm",
        ),
        "all-reduce-workspace",
        "fuse_allreduce_rms: false",
    ),
    "vllm PR#55127 no workspace": Case(
        "assert workspace is not None".join(
            "\n".join(worker("AssertionError", *FUSED[:-1])).rsplit("self.do(it)", 1)
        ).split("\n"),
        "all-reduce-workspace",
        "Failed to initialize FlashInfer All Reduce workspace",
    ),
    "vllm#34948 fused all-reduce": Case(
        worker("torch.AcceleratorError: CUDA error: an illegal memory access was encountered", *CAPTURE),
        "cuda-fault",
        "fuse_allreduce_rms: false",
    ),
    "vllm#52457 another kernel's": Case(
        worker(
            "torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
            *CAPTURE,
            before=(
                "Failed: Cuda error /workspace/csrc/custom_all_reduce.cuh:164 'an illegal memory access was encountered'",
            ),
        ),
        "cuda-fault",
        "another moe-backend",
    ),
    "flashinfer#3310 experts": Case(
        worker(
            "RuntimeError: Error in function 'TrtllmGenBatchedGemmRunner' at /workspace/csrc/trtllm_batched_gemm_runner.cu:143: No kernel found for the given options: mDtypeA: E2m1, mDtypeB: E2m1",
            *PROFILE,
            "flashinfer/fused_moe/core.py trtllm_fp4_block_scale_moe_op",
        ),
        "moe-backend",
        "another moe-backend",
    ),
    "flashinfer#1929 experts": Case(
        worker(
            "RuntimeError: Error: CUDA error in /workspace/csrc/trtllm_fused_moe_dev_kernel.cu:178 executing 'cudaLaunchKernelEx(&config, kernelTyped, params)': invalid argument",
            *PROFILE,
            "flashinfer/fused_moe/core.py trtllm_fp8_block_scale_moe",
        ),
        "moe-backend",
    ),
    "vllm#39620 routing": Case(
        worker(
            "RuntimeError: Error in function 'launchHistogramScoresKernel' at /workspace/csrc/fused_moe/trtllm_backend/routingRenormalize/launchHistogramScoresKernel.cu:95: Got CUDA error. See above for details.",
            *PROFILE,
            "vllm/model_executor/layers/fused_moe/experts/trtllm_fp8_moe.py _apply_block_scale",
            "flashinfer/fused_moe/core.py trtllm_fp8_block_scale_moe",
        ),
        "moe-backend",
    ),
    "vllm#24109 Llama4 only": Case(
        worker(
            "AssertionError: FusedMoE flashinfer kernels are only supported for Llama4",
            *PROFILE,
            "vllm/model_executor/layers/quantization/fp8.py apply",
        ),
        "moe-backend",
        "VLLM_FLASHINFER_MOE_BACKEND",
    ),
    "flashinfer#2077 passed over": Case(
        [
            *HEAD,
            "(Worker_PP0 pid=38385) 2025-11-11 06:41:27,319 - WARNING - autotuner.py:485 - flashinfer.jit: [Autotuner]: Skipping tactic <flashinfer.fused_moe.core.get_cutlass_fused_moe_module.<locals>.MoERunner object at 0x7c70ccce8350> 15, due to failure while profiling: [TensorRT-LLM][ERROR] Assertion failed: Failed to initialize cutlass TMA WS grouped gemm. Error: Error Internal",
            *worker("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", *CAPTURE)[2:],
        ],
        "cuda-out-of-memory",
        "",
        "moe-backend",
    ),
    "flashinfer#2219 dump": Case(
        [
            *HEAD,
            "CUDA Exception: Warp Illegal Address",
            "The exception was triggered at PC 0xe7a2f69b3a0  void tensorrt_llm::kernels::cutlass_kernels::finalizeMoeRoutingKernel<__nv_bfloat16, __nv_bfloat16, __nv_bfloat16, (tensorrt_llm::kernels::cutlass_kernels::ScaleMode)1>(__nv_bfloat16 const*, __nv_bfloat16*)",
        ],
        "cuda-fault",
        "It is finalizeMoeRoutingKernel.",
    ),
    "vllm#45285 autotune": Case(
        worker(
            "torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
            "vllm/v1/worker/gpu_worker.py compile_or_warm_up_model",
            "vllm/model_executor/warmup/kernel_warmup.py flashinfer_autotune",
            "vllm/model_executor/layers/fused_moe/experts/trtllm_bf16_moe.py apply",
        ),
        "cuda-fault",
        "enable-flashinfer-autotune: false",
        "Test:",
    ),
    "flashinfer#3511 attention": Case(
        worker(
            "RuntimeError: Error in function 'loadKernel' at /workspace/include/flashinfer/trtllm/fmha/fmhaKernels.cuh:900: Trtllm-gen kernels not found: qkvLayout=2, maskType=1, kernelType=3, tileScheduler=0, multiCtasKvMode=1, headDimPerCtaV=512",
            *CAPTURE,
            "flashinfer/decode.py trtllm_batch_decode_with_kv_cache",
        ),
        "attention-backend",
        "fewer num_speculative_tokens",
    ),
    "vllm#49859 ThrMma": Case(
        worker(
            "AttributeError: module 'cutlass.cute.core' has no attribute 'ThrMma'",
            "vllm/v1/worker/gpu_worker.py compile_or_warm_up_model",
            "vllm/model_executor/warmup/kernel_warmup.py _warmup_ll_bf16_router_gemm",
        ),
        "package-conflict",
        "nvidia-cutlass-dsl",
    ),
    "vllm#44949 mlir": Case(
        worker("TypeError: mlir_global_dtors() missing 1 required positional argument: 'data'", *PROFILE),
        "package-conflict",
        "nvidia-cutlass-dsl",
    ),
    "dynamo#11775 increment_coord": Case(
        worker("ImportError: cannot import name 'increment_coord' from 'cutlass.cute.core'", *PROFILE),
        "package-conflict",
        "nvidia-cutlass-dsl",
        "transformers",
    ),
    "vllm#22755 the draft's context": Case(
        worker(
            "torch.AcceleratorError: CUDA error: device-side assert triggered",
            "vllm/v1/worker/gpu_model_runner.py propose_draft_token_ids",
            "vllm/v1/spec_decode/eagle.py propose",
            before=(
                "/root/.cache/vllm/torch_compile_cache/be188126ee/rank_0_0/inductor_cache/sb/csb4oil3msr6exef73a73ay7nhpngmxzhvkm4wtxncwppqojxfzb.py:37: unknown: block: [15986,0,0], thread: [82,0,0] Assertion `index out of bounds: 0 <= tl.broadcast_to(tmp10, [XBLOCK]) < 2048` failed.",
            ),
        ),
        "cuda-fault",
        "max_position_embeddings",
        "Test:",
    ),
    "vllm#40259 peer": Case(
        worker(
            "torch.AcceleratorError: CUDA error: Invalid access of peer GPU memory over nvlink or a hardware error\nSearch for `cudaErrorContained' in https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html for more information.",
            "vllm/v1/worker/gpu_model_runner.py _prepare_inputs",
        ),
        "cuda-fault",
        "(1) The process of that other GPU has failed before",
    ),
    "vllm#50856 indexer on H200": Case(
        worker(
            "NotImplementedError: indexer_kv_dtype='fp8' is not supported by the Triton indexer impl.",
            *LOAD,
            "vllm/models/minimax_m3/common/indexer.py select_indexer_impl_cls",
        ),
        "kv-cache-dtype",
        "Take indexer_kv_dtype out",
        "kv-cache-dtype: null",
    ),
    "vllm#57713 fp8 on Hopper": Case(
        worker(
            "ValueError: MLA kv_data_type torch.uint8 is not supported. Supported dtypes: [torch.float16, torch.bfloat16, torch.float8_e4m3fn].",
            *PROFILE,
        ),
        "kv-cache-dtype",
        "kv-cache-dtype: null",
    ),
    "vllm#28007 division": Case(
        [
            *HEAD,
            "[9ec78181b8c7:56683:0:56683] Caught signal 8 (Floating point exception: integer divide by zero)",
            "==== backtrace (tid:  56683) ====",
            "(EngineCore pid=1) ERROR 05-14 10:00:00 [multiproc_executor.py:258] Worker proc VllmWorker-1 died unexpectedly, shutting down executor.",
        ],
        "segfault",
        "fused_moe",
        "lack of memory",
    ),
    "vllm#38619 marlin repack": Case(
        worker(
            "torch.AcceleratorError: CUDA error: the provided PTX was compiled with an unsupported toolchain.",
            *LOAD,
            "vllm/model_executor/layers/quantization/compressed_tensors/compressed_tensors_moe.py process_weights_after_loading",
        ),
        "driver-too-old",
    ),
    "nccl#1948 one GPU each": Case(
        no_nccl("h:1:1 [0] transport/p2p.cc:275 NCCL WARN Cuda failure 101 'invalid device ordinal'"),
        "peer-access",
        "sees only its own",
        "tensor-parallel-size",
    ),
    "nccl#1726 topology": Case(
        no_nccl("h:1:1 [0] graph/xml.h:85 NCCL WARN Attribute arch of node cpu not found", "internal error"),
        "nccl-error",
        "NCCL_TOPO_FILE",
        "Test:",
    ),
    "nccl-tests#166 libcuda": Case(
        no_nccl(
            "h:1:1 [0] misc/cudawrap.cc:179 NCCL WARN Failed to find CUDA library libcuda.so (NCCL_CUDA_PATH='') : ",
            "internal error",
        ),
        "nccl-error",
        "NCCL finds no libcuda",
        "Test:",
    ),
    "vllm#20226 unhandled": Case(
        no_nccl("NCCL version 2.26.2+cuda12.6"),
        "nccl-error",
        "(1) A GPU, its memory or the fabric",
        "Shared memory, a limit",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_public_reports(name: str) -> None:
    case = CASES[name]
    key, message = told_of(case.log)
    assert key == case.expected, message
    assert case.told in message
    assert not case.untold or case.untold not in message, message
