# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E501  # lines as they were logged

"""Reports that were tried once the causes were written (November 2026), and what is told of them since.

They are modelled on public issues of vLLM 0.19 to 0.32, FlashInfer, Triton, the hub, Docker and NVIDIA's toolkit, in the
form in which a user's log has them. The names say what happened. Those below "One text, another cause" were made to look
like other causes: of 27, 18 got one at the first try, and of the 85 before them 3. Of the 23 after them none did.
"""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.diagnose import diagnose

from .test_reports import CAPTURE, FOLDER, HEAD, INIT, LOAD, NINJA, PROFILE, TAIL, Case, told_of, worker

WEIGHTS = (*LOAD, "vllm/model_executor/model_loader/default_loader.py load_weights")
SHIM = "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: "
HOOK = (
    SHIM + "runc create failed: unable to start container process: error during container init: error running prestart"
    " hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\n"
)
MLA = (
    *PROFILE,
    "vllm/model_executor/models/deepseek_v2.py forward",
    "vllm/model_executor/layers/mla.py forward_native",
    "vllm/model_executor/layers/attention/mla_attention.py forward",
)
MOE = (*PROFILE, "vllm/model_executor/layers/fused_moe/layer.py forward_cuda")


def api(message: str, *frames: str, before: tuple[str, ...] = ()) -> list[str]:
    """Return a log of a start in which the API server fails with a message."""
    said = [
        "Traceback (most recent call last):",
        '  File "/usr/local/bin/vllm", line 10, in <module>',
        "    sys.exit(main())",
    ]
    for path, function in (frame.split() for frame in frames):
        said += [
            f'  File "{FOLDER}{path}", line 77, in {function}',
            "    return func(*args, **kwargs)",
            "           ^^^^^^^^^^^^^^^^^^^^^",
        ]
    return [HEAD[0], *before, *(f"(APIServer pid=1) {line}" for line in [*said, *message.split("\n")])]


def engine(message: str, *frames: str, before: tuple[str, ...] = ()) -> list[str]:
    """Return a log of a start of one GPU, in which the engine fails, as a terminal of docker compose shows it."""
    head = "vllm-1  | (EngineCore pid=135) ERROR 09-14 08:01:12 [core.py:1231] "
    said = ["EngineCore failed to start.", "Traceback (most recent call last):"]
    for path, function in (frame.split() for frame in ("vllm/v1/engine/core.py run_engine_core", *frames)):
        said += [f'  File "{FOLDER}{path}", line 1200, in {function}', "    super().__init__("]
    again = [f"vllm-1  | (EngineCore pid=135) {line}" for line in said[1:]]
    lines = [*(head + line for line in [*said, *message.split("\n")]), *again]
    lines += [f"vllm-1  | (EngineCore pid=135) {line}" for line in message.split("\n")]
    return [*(f"vllm-1  | {line}" for line in [*HEAD, *before]), *lines, f"vllm-1  | {TAIL[-1]}"]


SERVE = (
    "vllm/entrypoints/cli/main.py main",
    "vllm/entrypoints/cli/serve.py cmd",
    "vllm/entrypoints/openai/api_server.py run_server",
)
CONFIG = (*SERVE, "vllm/engine/arg_utils.py create_engine_config")

CASES = {
    # Attention
    "TllmGenFmhaRunner on SM120": Case(
        worker(
            "RuntimeError: Error in function 'TllmGenFmhaRunner' at /usr/local/lib/python3.12/dist-packages/flashinfer/data/include/flashinfer/trtllm/fmha/fmhaRunner.cuh:37: Unsupported architecture",
            *MLA,
            "vllm/v1/attention/backends/mla/prefill/trtllm_ragged.py run_prefill_new_tokens",
            "flashinfer/prefill.py trtllm_ragged_attention_deepseek",
        ),
        "area attention",
    ),
    "head size of a backend": Case(
        engine(
            "ValueError: Selected backend AttentionBackendEnum.FLASHINFER is not valid for this configuration. Reason: ['head_size not supported']",
            "vllm/v1/executor/uniproc_executor.py _init_executor",
            *LOAD,
            "vllm/v1/attention/selector.py _cached_get_attn_backend",
            "vllm/platforms/cuda.py get_attn_backend_cls",
        ),
        "attention-backend",
    ),
    "FlashMLA sparse assert": Case(
        worker(
            "RuntimeError: FlashMLA sparse prefill: topk must be a multiple of 128, got 2000",
            *MLA,
            "vllm/v1/attention/backends/mla/flashmla_sparse.py forward_mqa",
            "vllm/third_party/flashmla/flash_mla_interface.py flash_mla_sparse_fwd",
        ),
        "area attention",
    ),
    "FlashMLA CUDA error": Case(
        worker(
            "RuntimeError: CUDA error (/workspace/.deps/flashmla-src/csrc/sm100/decode/dense/splitkv_mla.cuh:1014): invalid argument",
            *CAPTURE,
            "vllm/v1/attention/backends/mla/flashmla.py forward_mqa",
        ),
        "cuda-error",
    ),
    "FA4 cute dsl": Case(
        worker(
            "cutlass.base_dsl.common.DSLRuntimeError: DSLRuntimeError: \U0001f4a5\U0001f4a5\U0001f4a5 Error during runtime code generation for function `__call__` \U0001f4a5\U0001f4a5\U0001f4a5\n  Caused exception: Unknown MMA op",
            *MLA,
            "vllm/vllm_flash_attn/cute/interface.py _flash_attn_fwd",
            "nvidia_cutlass_dsl/python_packages/cutlass/base_dsl/dsl.py generate_mlir",
        ),
        "area compile",
    ),
    "block size of MLA": Case(
        worker(
            "AssertionError: block_size must be 32 or 64, got 16",
            "vllm/v1/worker/gpu_worker.py initialize_from_config",
            "vllm/v1/worker/gpu_model_runner.py initialize_kv_cache",
            "vllm/v1/worker/gpu_model_runner.py initialize_attn_backend",
            "vllm/v1/attention/backends/mla/flashinfer_mla.py __init__",
        ),
        "area attention",
    ),
    "cascade workspace": Case(
        worker(
            "RuntimeError: Buffer overflow when allocating memory for batch_prefill_tmp_v with size 1207959552 and alignment 16, but only 0 bytes available in AlignedAllocator. Increase the workspace buffer size.",
            *PROFILE,
            "vllm/v1/attention/backends/flashinfer.py build",
            "flashinfer/prefill.py plan",
        ),
        "area attention",
    ),
    # Kernels and compilers
    "FlashInfer sees no GPU of its list": Case(
        worker(
            "RuntimeError: FlashInfer requires GPUs with sm75 or higher",
            *PROFILE,
            "vllm/v1/sample/ops/topk_topp_sampler.py forward_cuda",
            "flashinfer/jit/core.py check_cuda_arch",
        ),
        "no-kernel-for-gpu",
    ),
    "ptxas too old, from Triton": Case(
        engine(
            "RuntimeError: Internal Triton PTX codegen error\n`ptxas` stderr:\nptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'\n\nRepro command: /usr/local/lib/python3.12/dist-packages/triton/backends/nvidia/bin/ptxas -lineinfo -v --gpu-name=sm_121a /tmp/tmph45.ptx -o /tmp/tmph45.ptx.o",
            *PROFILE,
            "triton/runtime/jit.py run",
            "triton/backends/nvidia/compiler.py make_cubin",
        ),
        "no-kernel-for-gpu",
    ),
    "GPU too old for Triton": Case(
        engine(
            "torch._inductor.exc.InductorError: GPUTooOldForTriton: Found Tesla P100-PCIE-16GB which is too old to be supported by the triton GPU compiler, which is used as the backend. Triton only supports devices of CUDA Capability >= 7.0, but your device is of CUDA capability 6.0",
            *PROFILE,
            "torch/_inductor/scheduler.py create_backend",
        ),
        "kernel-compile",
    ),
    "compile cache that is no pickle": Case(
        worker(
            "_pickle.UnpicklingError: invalid load key, '\\x00'.",
            *PROFILE,
            "vllm/compilation/decorators.py __call__",
            "vllm/compilation/caching.py deserialize_compile_artifacts",
        ),
        "compile-cache",
    ),
    "compile cache that is empty": Case(
        worker(
            "EOFError: Ran out of input",
            *PROFILE,
            "vllm/compilation/backends.py __call__",
            "vllm/compilation/compiler_interface.py load",
            "torch/_inductor/standalone_compile.py load",
        ),
        "compile-cache",
    ),
    "compile cache that another process removed": Case(
        worker(
            "FileNotFoundError: [Errno 2] No such file or directory: '/root/.cache/vllm/torch_compile_cache/1dbb3e77cd/rank_3_0/backbone/artifact_compile_range_1_8192_subgraph_7'",
            *PROFILE,
            "vllm/compilation/compiler_interface.py load",
        ),
        "compile-cache",
    ),
    "archive of the AOT cache": Case(
        worker(
            "RuntimeError: PytorchStreamReader failed locating file data/aotinductor/model/metadata.json: file not found",
            *PROFILE,
            "vllm/compilation/decorators.py __call__",
            "torch/_inductor/package/package.py load_package",
        ),
        "compile-cache",
    ),
    "Triton out of memory": Case(
        worker(
            "RuntimeError: Triton Error [CUDA]: out of memory",
            *CAPTURE,
            "triton/runtime/jit.py run",
            "triton/compiler/compiler.py _init_handles",
        ),
        "area compile",
    ),
    "Triton invalid image": Case(
        worker(
            "RuntimeError: Triton Error [CUDA]: device kernel image is invalid",
            *PROFILE,
            "triton/runtime/jit.py run",
            "triton/compiler/compiler.py _init_handles",
        ),
        "area compile",
    ),
    "Triton cache race": Case(
        worker(
            "OSError: [Errno 39] Directory not empty: '/root/.triton/cache/tmp.pid_912_7f' -> '/root/.triton/cache/3KQ2'",
            *PROFILE,
            "triton/runtime/jit.py run",
            "triton/runtime/cache.py put",
        ),
        "area compile",
    ),
    "tuned config of experts that is broken": Case(
        worker(
            "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
            *MOE,
            "vllm/model_executor/layers/fused_moe/fused_moe.py get_moe_configs",
            "json/decoder.py raw_decode",
        ),
        "area compile",
    ),
    "cutlass on a GPU without it": Case(
        worker(
            "NotImplementedError: No compiled cutlass_scaled_mm for a compute capability less than CUDA device capability: 121",
            *PROFILE,
            "vllm/model_executor/kernels/linear/scaled_mm/cutlass.py apply_scaled_mm",
            "vllm/_custom_ops.py cutlass_scaled_mm",
        ),
        "area compile",
    ),
    "MoE backend for INT4": Case(
        worker(
            "ValueError: moe_backend='flashinfer_trtllm' is not supported for compressed-tensors W4A16 MoE. Supported: ['marlin', 'flashinfer_cutlass'].",
            *LOAD,
            "vllm/model_executor/layers/quantization/compressed_tensors/compressed_tensors_moe.py get_moe_method",
        ),
        "moe-backend",
    ),
    "FP4 experts with an odd hidden size": Case(
        worker(
            "RuntimeError: Check failed: (intermediate_size % 128 == 0) is false: intermediate_size must be a multiple of 128 but got 2112",
            *MOE,
            "flashinfer/fused_moe/core.py trtllm_fp4_block_scale_moe_op",
        ),
        "area compile",
    ),
    "NVRTC cannot open builtins": Case(
        worker(
            "RuntimeError: nvrtc: error: failed to open libnvrtc-builtins.so.13.0.\n  Make sure that libnvrtc-builtins.so.13.0 is installed correctly.",
            *PROFILE,
            "torch/cuda/_utils.py _nvrtc_compile",
        ),
        "library-missing",
    ),
    "g++ killed in inductor": Case(
        engine(
            "torch._inductor.exc.InductorError: CppCompileError: C++ compile error\n\nCommand:\ng++ /tmp/torchinductor_root/x/cx.main.cpp -D TORCH_INDUCTOR_CPP_WRAPPER -shared -o cx.main.so\n\nOutput:\ng++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.",
            *PROFILE,
            "torch/_inductor/cpp_builder.py run_compile_cmd",
        ),
        "compile-killed",
    ),
    "nvcc and a new gcc": Case(
        worker(
            "RuntimeError: Ninja build failed. Ninja output:\nFAILED: [code=1] batch_decode.cuda.o\n/usr/local/cuda/include/crt/host_config.h:150:2: error: #error -- unsupported GNU version! gcc versions later than 14 are not supported!\nninja: build stopped: subcommand failed.",
            *NINJA,
        ),
        "kernel-compile",
    ),
    # Packages
    "vLLM without its compiled part": Case(
        api(
            "ModuleNotFoundError: No module named 'vllm._C'",
            "vllm/entrypoints/cli/main.py main",
            "vllm/platforms/cuda.py <module>",
        ),
        "package-conflict",
    ),
    "flash-attn from another torch": Case(
        api(
            "ImportError: /usr/local/lib/python3.12/dist-packages/flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so: undefined symbol: _ZN3c104cuda29c10_cuda_check_implementationEiPKcS2_ib",
            *SERVE,
            "transformers/modeling_flash_attention_utils.py <module>",
        ),
        "binary-mismatch",
    ),
    "torchvision of another torch": Case(
        api(
            "RuntimeError: operator torchvision::nms does not exist",
            *SERVE,
            "torchvision/_meta_registrations.py <module>",
            "torch/_library/fake_impl.py register",
        ),
        "binary-mismatch",
    ),
    "libGL": Case(
        api(
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
            *SERVE,
            "vllm/multimodal/video.py <module>",
            "cv2/__init__.py bootstrap",
        ),
        "library-missing",
        "a shared library of the system",
    ),
    "cuda 12 wheel in a cuda 13 image": Case(
        worker(
            "OSError: libcudart.so.12: cannot open shared object file: No such file or directory",
            *INIT,
            "lmcache/v1/gpu_connector.py <module>",
        ),
        "library-missing",
    ),
    "processor of another transformers": Case(
        api(
            "TypeError: KimiK25Processor.__init__() got an unexpected keyword argument 'media_processor'",
            *CONFIG,
            "vllm/transformers_utils/processor.py cached_get_processor",
            "transformers/processing_utils.py from_args_and_dict",
        ),
        "area packages",
    ),
    "config of another transformers": Case(
        worker(
            "AttributeError: 'KimiK25Config' object has no attribute 'media_placeholder_token_id'",
            *LOAD,
            "vllm/model_executor/model_loader/utils.py initialize_model",
            "vllm/model_executor/models/kimi_k25.py __init__",
            "transformers/configuration_utils.py __getattribute__",
        ),
        "area packages",
    ),
    "prompt updates": Case(
        worker(
            "RuntimeError: Expected there to be 1 prompt placeholders corresponding to 1 image items, but instead found 0 prompt placeholders! Make sure the implementation of `_call_hf_processor` and `_get_mm_fields_config` are consistent with each other.",
            *PROFILE,
            "vllm/multimodal/processing/processor.py _validate_mm_placeholders",
        ),
        "area hub",
    ),
    "no processing class": Case(
        api(
            "ValueError: Unrecognized processing class in /models/Kimi-K2.6. Can't instantiate a processor, a tokenizer, an image processor, a video processor or a feature extractor for this model. Make sure the repository contains the files of at least one of those processing classes.",
            *CONFIG,
            "transformers/models/auto/processing_auto.py from_pretrained",
        ),
        "area hub",
    ),
    "numpy of another generation": Case(
        api(
            "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject",
            *SERVE,
            "scipy/sparse/__init__.py <module>",
        ),
        "binary-mismatch",
    ),
    "triton kernels missing": Case(
        worker(
            "ModuleNotFoundError: No module named 'triton_kernels.routing'",
            *LOAD,
            "vllm/model_executor/layers/fused_moe/gpt_oss_triton_kernels_moe.py <module>",
        ),
        "package-conflict",
    ),
    "pydantic of another version": Case(
        api(
            "TypeError: Dataclass field config has type int but default value specifies init=False",
            "vllm/entrypoints/cli/main.py main",
            "pydantic/_internal/_dataclasses.py complete_dataclass",
        ),
        "area arguments",
    ),
    # Weights, draft, LoRA
    "indexer of a newer model": Case(
        worker(
            "KeyError: 'model.layers.3.self_attn.indexer.wq_b.weight'",
            *WEIGHTS,
            "vllm/model_executor/models/deepseek_v2.py load_weights",
        ),
        "weights-do-not-fit",
    ),
    "sparse scheme": Case(
        engine(
            "KeyError: 'Linear'",
            *LOAD,
            "vllm/model_executor/layers/quantization/compressed_tensors/compressed_tensors.py get_scheme_dict",
        ),
        "area weights",
    ),
    "language_model prefix": Case(
        engine(
            "ValueError: There is no module or parameter named 'language_model' in LlamaForCausalLM",
            *WEIGHTS,
            "vllm/model_executor/models/utils.py _load_module",
        ),
        "weights-do-not-fit",
    ),
    "awq without a config": Case(
        engine(
            "ValueError: Cannot find the config file for awq",
            *LOAD,
            "vllm/model_executor/model_loader/weight_utils.py get_quant_config",
        ),
        "area weights",
    ),
    "LoRA rank": Case(
        engine(
            "ValueError: LoRA rank 64 is greater than max_lora_rank 16.",
            "vllm/lora/worker_manager.py _load_adapter",
            "vllm/lora/peft_helper.py validate_legal",
        ),
        "area weights",
    ),
    "draft that concatenates three layers": Case(
        worker(
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (8192x21504 and 7168x7168)",
            *PROFILE,
            "vllm/v1/spec_decode/eagle.py dummy_run",
            "vllm/model_executor/models/deepseek_eagle3.py combine_hidden_states",
            "vllm/model_executor/layers/linear.py forward",
        ),
        "draft-mismatch",
    ),
    "draft list index": Case(
        worker(
            "IndexError: list index out of range",
            *LOAD,
            "vllm/v1/spec_decode/eagle.py load_model",
            "vllm/model_executor/models/llama_eagle3.py __init__",
        ),
        "area draft",
    ),
    "ngram and numba": Case(
        worker(
            "numba.core.errors.TypingError: Failed in nopython mode pipeline (step: nopython frontend)\nNo implementation of function Function(<built-in function setitem>) found for signature",
            "vllm/v1/worker/gpu_model_runner.py __init__",
            "vllm/v1/spec_decode/ngram_proposer.py __init__",
            "numba/core/dispatcher.py error_rewrite",
        ),
        "area draft",
    ),
    "MTP of a model that has none": Case(
        api(
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for SpeculativeConfig\n  Value error, Unsupported speculative method: 'mtp' for model type 'kimi_k25' [type=value_error, input_value=ArgsKwargs((), {'method': 'mtp'}), input_type=ArgsKwargs]",
            *CONFIG,
            "vllm/engine/arg_utils.py create_speculative_config",
        ),
        "draft-settings",
    ),
    "draft with other parallelism": Case(
        worker(
            "AssertionError: 64 is not divisible by 6",
            *LOAD,
            "vllm/v1/spec_decode/eagle.py load_model",
            "vllm/distributed/utils.py divide",
        ),
        "tp-does-not-divide",
    ),
    # Memory
    "profiling OOM of the encoder": Case(
        worker(
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 12.50 GiB. GPU 3 has a total capacity of 178.35 GiB of which 4.12 GiB is free. Process 91 has 174.22 GiB memory in use.",
            *PROFILE,
            "vllm/model_executor/models/kimi_k25.py embed_multimodal",
        ),
        "cuda-out-of-memory",
    ),
    "negative KV memory": Case(
        engine(
            "ValueError: No available memory for the cache blocks. Available KV cache memory: -11.42 GiB. Try increasing `gpu_memory_utilization` when initializing the engine.",
            "vllm/v1/engine/core.py _initialize_kv_caches",
            "vllm/v1/core/kv_cache_utils.py _check_enough_kv_cache_memory",
        ),
        "kv-cache-too-small",
    ),
    "mmap of a shard": Case(
        worker(
            "RuntimeError: unable to mmap 4976698672 bytes from file </root/.cache/huggingface/hub/models--moonshotai--Kimi-K2.6/blobs/0a1>: Cannot allocate memory (12)",
            *WEIGHTS,
        ),
        "host-out-of-memory",
    ),
    "pinned memory": Case(
        worker(
            "torch.AcceleratorError: CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.",
            "vllm/v1/worker/gpu_worker.py initialize_from_config",
            "vllm/v1/kv_offload/cpu/gpu_worker.py __init__",
            "torch/_utils.py pin_memory",
        ),
        "cuda-out-of-memory",
    ),
    "engine killed": Case(
        [
            *HEAD,
            "(Worker_TP0 pid=410) INFO 09-14 08:03:00 [default_loader.py:384] Loading weights took 81.20 seconds",
            "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore_DP0': -9}",
        ],
        "killed",
    ),
    "too many shared objects": Case(
        worker(
            "RuntimeError: unable to open shared memory object </torch_410_2213_7> in read-write mode: Too many open files (24)",
            *LOAD,
            "torch/multiprocessing/reductions.py rebuild_storage_fd",
        ),
        "too-many-files",
    ),
    # Collectives
    "InfiniBand port that flaps": Case(
        worker(
            "torch.distributed.DistBackendError: NCCL error in: /pytorch/torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:3760, remote process exited or there was a network error, NCCL version 2.28.9\nncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.",
            "vllm/v1/worker/gpu_worker.py execute_model",
            "torch/distributed/distributed_c10d.py all_reduce",
            before=(
                "node:311:405 [0] transport/net_ib.cc:199 NCCL WARN NET/IB : mlx5_32:1 Got async error event: port error",
            ),
        ),
        "nccl-error",
    ),
    "nixl_ep without its group": Case(
        worker(
            "AttributeError: 'NoneType' object has no attribute 'store'",
            *LOAD,
            "vllm/model_executor/layers/fused_moe/config.py make",
            "vllm/distributed/device_communicators/all2all.py __init__",
        ),
        "area collectives",
    ),
    "gloo preamble": Case(
        worker(
            "RuntimeError: [enforce fail at /pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:456] op.preamble.length <= op.nbytes. 21 vs 8",
            *INIT,
            "vllm/distributed/parallel_state.py in_the_same_node_as",
            "torch/distributed/distributed_c10d.py barrier",
        ),
        "area collectives",
    ),
    "socket of another rank": Case(
        worker(
            "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
            *INIT,
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=(
                "node:410:410 [3] misc/socket.cc:538 NCCL WARN socketStartConnect: Connect to 10.0.0.5<43213> failed : Software caused connection abort",
            ),
        ),
        "nccl-error",
    ),
    "shm of NCCL": Case(
        worker(
            "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
            *INIT,
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=(
                "node:410:410 [3] misc/shmutils.cc:85 NCCL WARN Error: failed to extend /dev/shm/nccl-Zq7p1c to 33030532 bytes, error: No space left on device (28)",
            ),
        ),
        "shared-memory",
    ),
    "fusion for 16 ranks": Case(
        worker(
            "ValueError: Flashinfer allreduce fusion: world size 16 is not in the supported world sizes [2, 4, 8]",
            *PROFILE,
            "vllm/compilation/passes/fusion/allreduce_rms_fusion.py __init__",
        ),
        "area compile",
    ),
    "DeepEP asks for InfiniBand": Case(
        worker(
            "RuntimeError: DeepEP error: CPU recv timeout",
            *PROFILE,
            "vllm/model_executor/layers/fused_moe/deepep_ht_prepare_finalize.py _do_dispatch",
            "deep_ep/buffer.py dispatch",
            before=(
                "/dvs/p4/build/sw/rel/gpgpu/toolkit/r12.8/main_nvshmem/src/modules/transport/ibgda/ibgda.cpp:3600: NULL value no device found: mlx5_bond_0",
            ),
        ),
        "area compile",
    ),
    # GPUs and their access
    "toolchain of the PTX": Case(
        worker(
            "torch.AcceleratorError: CUDA error: the provided PTX was compiled with an unsupported toolchain.",
            *PROFILE,
            "vllm/_custom_ops.py rms_norm",
        ),
        "driver-too-old",
    ),
    "contained error": Case(
        [
            *HEAD,
            "NVRM: Xid (PCI:0000:9b:00): 94, pid=41210, name=VLLM::Worker_TP, Contained: SM (0x1). RST: No, D-RST: No",
            *worker("torch.AcceleratorError: CUDA error: uncorrectable ECC error encountered", *PROFILE)[2:],
        ],
        "gpu-hardware",
    ),
    "ldconfig of the hook": Case(
        [
            HOOK
            + "nvidia-container-cli: ldcache error: process /sbin/ldconfig.real failed with error code: 127: unknown."
        ],
        "toolkit-ldconfig",
    ),
    "files of the driver in the image": Case(
        [
            HOOK
            + "nvidia-container-cli: mount error: file creation failed: /var/lib/docker/overlay2/4c1/merged/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1: file exists: unknown."
        ],
        "toolkit-mount",
    ),
    "modeset missing": Case(
        [
            HOOK
            + "nvidia-container-cli: mount error: stat failed: /dev/nvidia-modeset: no such file or directory: unknown."
        ],
        "toolkit-mount",
    ),
    "CDI of compose": Case(
        ["Error response from daemon: CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all"],
        "cdi-missing",
    ),
    "segfault in the driver's library": Case(
        [
            *HEAD,
            "!!!!!!! Segfault encountered !!!!!!!",
            '  File "<unknown>", line 0, in cuMulticastBindMem',
            "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore_DP0': -11}",
        ],
        "segfault",
    ),
    # Files and the hub
    "xet length": Case(
        api(
            "RuntimeError: Data processing error: CAS service error : Error : result term data length 63574543 did not match expected value 67084736",
            *CONFIG,
            "huggingface_hub/file_download.py xet_get",
        ),
        "area hub",
    ),
    "xet timer": Case(
        api(
            "RuntimeError: Data processing error: CAS service error : IO Error: Timer expired",
            *CONFIG,
            "huggingface_hub/file_download.py xet_get",
        ),
        "area hub",
    ),
    "incomplete read": Case(
        api(
            "httpx.RemoteProtocolError: peer closed connection without sending complete message body (received 1073741824 bytes, expected 4976698672)",
            *CONFIG,
            "huggingface_hub/file_download.py http_get",
        ),
        "area hub",
    ),
    "lock of the cache": Case(
        api(
            "PermissionError: [Errno 13] Permission denied: '/root/.cache/huggingface/hub/.locks/models--moonshotai--Kimi-K2.6/8d1.lock'",
            *CONFIG,
            "huggingface_hub/utils/_fixes.py WeakFileLock",
        ),
        "permission-denied",
    ),
    # Arguments and the API server
    "JSON of limit-mm-per-prompt": Case(
        [
            HEAD[0],
            "usage: vllm serve [model_tag] [options]",
            "vllm serve: error: argument --limit-mm-per-prompt: Value image=1 cannot be converted to <function loads at 0x7f>.",
        ],
        "bad-json",
    ),
    "value missing": Case(
        [
            "usage: vllm serve [model_tag] [options]",
            "vllm serve: error: argument --tool-call-parser: expected one argument",
        ],
        "bad-argument",
    ),
    "encoder budget": Case(
        api(
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for VllmConfig\n  Value error, Chunked MM input disabled but max_tokens_per_mm_item (16384) is larger than max_num_batched_tokens (8192). Please increase max_num_batched_tokens. [type=value_error]",
            *CONFIG,
        ),
        "bad-configuration",
    ),
    "auto tool choice alone": Case(
        api(
            "TypeError: Error: --enable-auto-tool-choice requires --tool-call-parser",
            "vllm/entrypoints/cli/main.py main",
            "vllm/entrypoints/openai/cli_args.py validate_parsed_serve_args",
        ),
        "area api-server",
    ),
    "connector unknown": Case(
        engine(
            "ValueError: Unsupported connector type: LMCacheMPConnector",
            "vllm/v1/core/sched/scheduler.py __init__",
            "vllm/distributed/kv_transfer/kv_connector/factory.py get_connector_class",
        ),
        "area kv-cache",
    ),
    "metrics twice": Case(
        api(
            "ValueError: Duplicated timeseries in CollectorRegistry: {'vllm:num_requests_running'}",
            *SERVE,
            "vllm/v1/metrics/loggers.py __init__",
            "prometheus_client/registry.py register",
        ),
        "area api-server",
    ),
    "folder of the metrics": Case(
        api(
            "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/vllm_prometheus/counter_412.db'",
            *SERVE,
            "vllm/v1/metrics/prometheus.py setup_multiprocess_prometheus",
            "prometheus_client/mmap_dict.py __init__",
        ),
        "area api-server",
    ),
    "chat template with an unknown filter": Case(
        api(
            "jinja2.exceptions.TemplateAssertionError: No filter named 'tojson_pretty'.",
            *SERVE,
            "vllm/renderers/hf.py resolve_chat_template",
            "jinja2/environment.py compile",
        ),
        "area api-server",
    ),
    "entry point of another image": Case(
        [
            SHIM
            + 'runc create failed: unable to start container process: error during container init: exec: "--model": executable file not found in $PATH: unknown.'
        ],
        "entrypoint-missing",
    ),
    "layer that does not fit": Case(
        [
            "failed to register layer: write /usr/local/lib/python3.12/dist-packages/torch/lib/libtorch_cuda.so: no space left on device"
        ],
        "disk-full",
    ),
    "registry behind a proxy": Case(
        [
            'Error response from daemon: Get "https://registry-1.docker.io/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority'
        ],
        "certificate",
    ),
    "userland proxy": Case(
        [
            "docker: Error response from daemon: failed to set up container networking: driver failed programming external connectivity on endpoint vllm (8c1): failed to bind host port for 0.0.0.0:8001:172.17.0.2:8001/tcp: address already in use"
        ],
        "port-taken-host",
    ),
    "volume of a cluster": Case(
        [
            SHIM
            + 'runc create failed: unable to start container process: error during container init: error mounting "/mnt/weights" to rootfs at "/root/.cache/huggingface": mount src=/mnt/weights, dst=/root/.cache/huggingface: transport endpoint is not connected: unknown'
        ],
        "mount-failed",
    ),
    "memory cgroup of a small container": Case(
        [
            SHIM
            + "runc create failed: unable to start container process: container init was OOM-killed (memory limit too low?): unknown"
        ],
        "oom-killed",
    ),
    "lock file of a container that was killed": Case(
        worker(
            "TimeoutError: Timed out acquiring lock /root/.cache/vllm/flashinfer_autotune.lock after 600 s",
            *PROFILE,
            "vllm/model_executor/warmup/kernel_warmup.py flashinfer_autotune",
            "filelock/_api.py acquire",
        ),
        "area compile",
    ),
    # One text, another cause
    "inotify has no more watches": Case(
        api("OSError: [Errno 28] inotify watch limit reached", *SERVE, "watchfiles/main.py watch"),
        "inotify-limit",
    ),
    "inotify says no space": Case(
        api("OSError: [Errno 28] No space left on device", *SERVE, "watchdog/observers/inotify_c.py _raise_error"),
        "inotify-limit",
    ),
    "namespaces are used up": Case(
        [SHIM + "runc create failed: unable to start container process: unshare: no space left on device: unknown"],
        "container-init",
    ),
    "cgroups are used up": Case(
        [
            SHIM
            + "runc create failed: unable to start container process: unable to apply cgroup configuration: mkdir /sys/fs/cgroup/memory/docker/9c: no space left on device: unknown"
        ],
        "cgroup-setup",
    ),
    "files of the engine": Case(
        [
            SHIM
            + "runc create failed: unable to start container process: error adding pid 4123 to cgroups: failed to create fsnotify watcher: too many open files: unknown"
        ],
        "inotify-limit",
    ),
    "lock on a network file system": Case(
        api(
            "OSError: [Errno 35] Resource deadlock avoided (os error 35)",
            *CONFIG,
            "huggingface_hub/file_download.py _hf_hub_download_to_cache_dir",
        ),
        "area hub",
    ),
    "network is down for xet": Case(
        api(
            "RuntimeError: Data processing error: Network is down (os error 100)",
            *CONFIG,
            "huggingface_hub/file_download.py xet_get",
        ),
        "area hub",
    ),
    "gloo port": Case(
        worker(
            "RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/device.cc:208] bind: Address already in use",
            *INIT,
            "torch/distributed/distributed_c10d.py _new_process_group_helper",
        ),
        "distributed-port-taken",
    ),
    "redis of LMCache": Case(
        worker(
            "socket.gaierror: [Errno -2] Name or service not known",
            *INIT,
            "vllm/distributed/kv_transfer/kv_connector/v1/lmcache_connector.py __init__",
            "lmcache/v1/storage_backend/connector/redis_connector.py __init__",
            "redis/connection.py connect",
        ),
        "area kv-cache",
    ),
    "collector of traces": Case(
        api(
            "requests.exceptions.ConnectionError: HTTPConnectionPool(host='otel-collector', port=4318): Max retries exceeded with url: /v1/traces (Caused by NewConnectionError('Failed to establish a new connection: [Errno 111] Connection refused'))",
            *SERVE,
            "vllm/tracing/otel.py init_otel_tracer",
            "opentelemetry/exporter/otlp/proto/http/trace_exporter/__init__.py export",
            "requests/adapters.py send",
        ),
        "area api-server",
    ),
    "bucket out of reach": Case(
        worker(
            'botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: "https://s3.us-east-9.amazonaws.com/weights?list-type=2"',
            *LOAD,
            "vllm/model_executor/model_loader/runai_streamer_loader.py _prepare_weights",
            "botocore/httpsession.py send",
            "urllib3/connectionpool.py urlopen",
        ),
        "area weights",
    ),
    "credentials of a bucket": Case(
        worker(
            "botocore.exceptions.ClientError: An error occurred (ExpiredToken) when calling the GetObject operation: The provided token has expired.",
            *LOAD,
            "vllm/model_executor/model_loader/runai_streamer_loader.py _prepare_weights",
            "botocore/client.py _make_api_call",
        ),
        "area weights",
    ),
    "sign-in page in place of the hub": Case(
        api(
            "requests.exceptions.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
            *CONFIG,
            "transformers/utils/hub.py cached_files",
            "huggingface_hub/hf_api.py model_info",
            "requests/models.py json",
        ),
        "hub-unreachable",
    ),
    "code of the model is not in its cache": Case(
        worker(
            "ModuleNotFoundError: No module named 'transformers_modules.moonshotai.Kimi_hyphen_K2_dot_6'",
            *LOAD,
            "vllm/v1/serial_utils.py decode",
            "cloudpickle/cloudpickle.py subimport",
        ),
        "remote-code-cache",
    ),
    "transformers without the model": Case(
        api(
            "ModuleNotFoundError: No module named 'transformers.models.kimi_k25'",
            *CONFIG,
            "vllm/transformers_utils/processors/kimi_k25.py <module>",
        ),
        "package-conflict",
    ),
    "plugin of another vLLM": Case(
        api(
            "ModuleNotFoundError: No module named 'vllm.attention.backends.abstract'",
            *SERVE,
            "vllm/plugins/__init__.py load_plugins_by_group",
            "vllm_extra/register.py <module>",
        ),
        "package-conflict",
    ),
    "adapter without a config": Case(
        engine(
            "FileNotFoundError: [Errno 2] No such file or directory: '/adapters/sql/adapter_config.json'",
            "vllm/lora/worker_manager.py _load_adapter",
            "vllm/lora/peft_helper.py from_local_dir",
        ),
        "area weights",
    ),
    "hybrid caches and a connector": Case(
        engine(
            "ValueError: Connector LMCacheConnectorV1 does not support hybrid KV cache groups, but the model needs them.",
            "vllm/v1/core/sched/scheduler.py __init__",
            "vllm/distributed/kv_transfer/kv_connector/factory.py create_connector",
        ),
        "area kv-cache",
    ),
    "CDN of an image registry": Case(
        [
            "docker: failed to copy: httpReadSeeker: failed open: unexpected status code https://production.cloudfront.docker.com/registry-v2/docker/registry/v2/blobs/sha256/4c/4c1/data?Expires=1&Signature=x: 403 Forbidden"
        ],
        "image-pull-refused",
    ),
    "proxy of the engine": Case(
        [
            'docker: Error response from daemon: Get "https://registry-1.docker.io/v2/": proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused'
        ],
        "image-pull-network",
    ),
    "disk of the compile cache": Case(
        worker(
            "OSError: [Errno 5] Input/output error: '/root/.cache/vllm/torch_compile_cache/1dbb3e77cd/rank_0_0/backbone/x.py'",
            *PROFILE,
            "vllm/compilation/backends.py __call__",
        ),
        "file-unreadable",
    ),
    "stub of a graph in .pt": Case(
        worker(
            "FileNotFoundError: [Errno 2] No such file or directory: '/root/.cache/vllm/torch_compile_cache/torch_aot_compile/9c/rank_0_0/model.pt'",
            *PROFILE,
            "vllm/compilation/decorators.py __call__",
        ),
        "compile-cache",
    ),
    "privileged port": Case(
        api(
            "PermissionError: [Errno 13] Permission denied",
            *SERVE,
            "vllm/entrypoints/openai/api_server.py create_server_socket",
        ),
        "area api-server",
    ),
    "nvcc that may not be executed": Case(
        worker("PermissionError: [Errno 13] Permission denied: '/usr/local/cuda/bin/nvcc'", *NINJA),
        "permission-denied",
    ),
    "NaN guard": Case(
        worker(
            "ValueError: Sampled token IDs exceed the max model vocab size: 4294967295",
            *PROFILE,
            "vllm/v1/sample/sampler.py forward",
        ),
        "area compile",
    ),
    "watchdog of the CPU": Case(
        [
            *HEAD,
            "(APIServer pid=1) INFO:     Application startup complete.",
            "(EngineCore pid=271) ERROR 09-14 09:00:00 [dump_input.py:72] Dumping input data for V1 LLM engine (v0.19.1)",
            "(EngineCore pid=271) ERROR 09-14 09:00:00 [core.py:1102] EngineCore encountered a fatal error.",
            "(EngineCore pid=271) ERROR 09-14 09:00:00 [core.py:1102] Traceback (most recent call last):",
            f'(EngineCore pid=271) ERROR 09-14 09:00:00 [core.py:1102]   File "{FOLDER}vllm/v1/executor/multiproc_executor.py", line 384, in get_response',
            "(EngineCore pid=271) ERROR 09-14 09:00:00 [core.py:1102] TimeoutError: RPC call to sample_tokens timed out.",
        ],
        "engine-hung",
    ),
    "request that is too long": Case(
        [
            *HEAD,
            "(APIServer pid=1) INFO:     Application startup complete.",
            "(APIServer pid=1) ERROR 09-14 09:00:00 [serving_chat.py:301] Traceback (most recent call last):",
            f'(APIServer pid=1) ERROR 09-14 09:00:00 [serving_chat.py:301]   File "{FOLDER}vllm/entrypoints/openai/chat_completion/serving.py", line 301, in create_chat_completion',
            "(APIServer pid=1) ERROR 09-14 09:00:00 [serving_chat.py:301] ValueError: The decoder prompt (length 300000) is longer than the maximum model length of 262144.",
            "(EngineCore pid=271) torch.AcceleratorError: CUDA error: unspecified launch failure",
            "(APIServer pid=1) ERROR 09-14 09:01:00 [async_llm.py:701] AsyncLLM output_handler failed. EngineDeadError",
        ],
        "cuda-fault",
    ),
    # Tried after what the ones above have shown was corrected
    "GPUs by their UUID": Case(
        api(
            "ValueError: invalid literal for int() with base 10: 'GPU-8f31c2aa-1d1e-4e0e-a3c0-7c0b7d8a1f11'",
            *CONFIG,
            "vllm/platforms/cuda.py device_id_to_physical_device_id",
        ),
        "area gpu-access",
    ),
    "NVML assert of the allocator": Case(
        worker(
            'RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "/pytorch/c10/cuda/CUDACachingAllocator.cpp":1131, please report a bug to PyTorch.',
            *PROFILE,
            "vllm/model_executor/layers/linear.py forward",
        ),
        "area compile",
    ),
    "NVML does not know the memory": Case(
        api(
            "vllm.third_party.pynvml.NVMLError_NotSupported: Not Supported",
            *CONFIG,
            "vllm/platforms/cuda.py get_device_total_memory",
            "vllm/third_party/pynvml.py _nvmlCheckReturn",
        ),
        "area gpu-access",
    ),
    "nvidia-smi is not there": Case(
        worker(
            "FileNotFoundError: [Errno 2] No such file or directory: 'nvidia-smi'",
            *INIT,
            "mooncake/mooncake_connector.py __init__",
            "subprocess.py _execute_child",
        ),
        "area gpu-access",
    ),
    "libcuda for Triton": Case(
        worker(
            "AssertionError: libcuda.so cannot found!\nPossible files are located at ['/usr/lib/x86_64-linux-gnu/libcuda.so.1'].Please create a symlink of libcuda.so to any of the files.",
            *PROFILE,
            "triton/backends/nvidia/driver.py libcuda_dirs",
        ),
        "area compile",
    ),
    "name of the image": Case(
        ["docker: invalid reference format: repository name (vLLM/vllm-openai) must be lowercase"],
        "image-pull-refused",
    ),
    "shim that takes too long": Case(
        [
            "docker: Error response from daemon: failed to create task for container: failed to create shim task: context deadline exceeded: unknown"
        ],
        "containerd-gone",
    ),
    "driver is not installed": Case(
        [
            HOOK
            + "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory: unknown."
        ],
        "toolkit-library",
    ),
    "bitsandbytes": Case(
        engine(
            "ValueError: Cannot find any of ['adapter_name_or_path'] in the model's quantization config.",
            *LOAD,
            "vllm/model_executor/layers/quantization/base_config.py get_from_keys",
        ),
        "area weights",
    ),
    "engine's disk is read-only": Case(
        ["docker: Error response from daemon: mkdir /var/lib/docker/overlay2/9c-init: read-only file system."],
        "area gpu-access",
    ),
    "cuDNN graph": Case(
        worker(
            "cudnn.cudnnGraphNotSupportedError: No valid engine configs for Matmul_MUL_GEN_INDEX_",
            *MLA,
            "flashinfer/cudnn/prefill.py cudnn_batch_prefill_with_kv_cache",
        ),
        "area attention",
    ),
    "sleep mode twice": Case(
        engine(
            "AssertionError: Sleep mode can only be used for one instance per process.",
            "vllm/v1/worker/gpu_worker.py load_model",
            "vllm/device_allocator/cumem.py get_instance",
        ),
        "area kv-cache",
    ),
    "threads of xet": Case(
        api(
            "RuntimeError: Data processing error: Resource temporarily unavailable (os error 11)",
            *CONFIG,
            "huggingface_hub/file_download.py xet_get",
        ),
        "area hub",
    ),
    "message between processes that is damaged": Case(
        worker(
            "_pickle.UnpicklingError: invalid load key, '\\xf4'.",
            "vllm/v1/executor/multiproc_executor.py worker_busy_loop",
            "vllm/distributed/device_communicators/shm_broadcast.py dequeue",
        ),
        "area processes",
    ),
    "tokens of the tool parser": Case(
        api(
            "RuntimeError: Kimi-K2 Tool parser could not locate tool call start/end tokens in the tokenizer!",
            *SERVE,
            "vllm/tool_parsers/kimi_k2_tool_parser.py __init__",
        ),
        "area api-server",
    ),
    "connection of a key-value store": Case(
        worker(
            "httpx.ConnectError: [Errno 111] Connection refused",
            *INIT,
            "vllm/distributed/kv_transfer/kv_connector/v1/mooncake/mooncake_connector.py __init__",
            "httpx/_transports/default.py handle_request",
        ),
        "area kv-cache",
    ),
    "wrong protocol of a proxy": Case(
        api(
            "requests.exceptions.SSLError: (MaxRetryError(\"HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded with url: /api/models/moonshotai/Kimi-K2.6 (Caused by SSLError(SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong version number')))\"))",
            *CONFIG,
            "huggingface_hub/hf_api.py model_info",
            "requests/adapters.py send",
        ),
        "hub-unreachable",
    ),
    "permission of the shared memory": Case(
        worker(
            "PermissionError: [Errno 13] Permission denied: '/psm_5c1a2b3d'",
            *INIT,
            "vllm/distributed/device_communicators/shm_broadcast.py __init__",
            "multiprocessing/shared_memory.py __init__",
        ),
        "permission-denied",
    ),
    "NUMA of a GPU": Case(
        worker(
            "OSError: [Errno 2] No such file or directory: '/sys/bus/pci/devices/0000:9b:00.0/numa_node'",
            *INIT,
            "vllm/utils/numa_utils.py get_numa_node",
        ),
        "area gpu-access",
    ),
    "rope of the draft": Case(
        api(
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for SpeculativeConfig\n  Value error, rope_parameters: unknown rope_type 'yarn3' [type=value_error]",
            *CONFIG,
            "vllm/engine/arg_utils.py create_speculative_config",
        ),
        "bad-configuration",
    ),
    "expert parallelism of a dense model": Case(
        worker(
            "AssertionError: num_experts 384 must be divisible by ep_size 5",
            *LOAD,
            "vllm/model_executor/layers/fused_moe/layer.py __init__",
        ),
        "area weights",
    ),
    "CUDA graphs and a copy": Case(
        worker(
            "RuntimeError: Cannot copy between CPU and CUDA tensors during CUDA graph capture unless the CPU tensor is pinned.",
            *CAPTURE,
            "vllm/v1/spec_decode/eagle.py propose",
        ),
        "area draft",
    ),
    "file of the engine's settings": Case(
        [
            "Job for docker.service failed because the control process exited with error code.",
            "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character '}' looking for beginning of object key string",
        ],
        "engine-not-running",
    ),
}


UP = "(APIServer pid=1) INFO:     Application startup complete."
DOWN = "(APIServer pid=1) INFO:     Shutting down"
OF_REQUEST = "(APIServer pid=1) ERROR 09-14 09:00:00 [serving_chat.py:301] "
LOADING = "(Worker_TP0 pid=4) INFO 09-14 08:03:00 [x.py:1] Loading safetensors checkpoint shards: 10%"
FATAL = "(EngineCore pid=271) ERROR 09-14 09:00:00 [core.py:1102] EngineCore encountered a fatal error."
# What was said long before, or of a request, has ended nothing. Of these 6 got a wrong cause at the first try.
ENDED = {
    "certificate of a request": (
        [*HEAD, UP, f"{OF_REQUEST}Cannot connect to host example.com:443 [SSL: CERTIFICATE_VERIFY_FAILED]", DOWN],
        143,
        "stopped",
    ),
    "proxy of a request": (
        [*HEAD, UP, f"{OF_REQUEST}407 Proxy Authentication Required for https://example.com/cat.png"],
        137,
        "killed",
    ),
    "file of a request": (
        [*HEAD, UP, f"{OF_REQUEST}[Errno 13] Permission denied: '/root/.cache/images/x'", DOWN],
        0,
        "stopped",
    ),
    "rate of a request": (
        [*HEAD, UP, f"{OF_REQUEST}429 Client Error: Too Many Requests for url: https://example.com/x.png", DOWN],
        0,
        "stopped",
    ),
    "tool call of a request": (
        [*HEAD, UP, f"{OF_REQUEST}Error in extracting tool call: JSONDecodeError: Expecting value", FATAL],
        0,
        "engine-died",
    ),
    "program that was tried": (["/bin/sh: 1: ninja: not found", *HEAD, *[LOADING] * 40], 137, "killed"),
    "program that was tried before a failure": (
        worker(
            "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
            *INIT,
            "vllm/distributed/device_communicators/pynccl_wrapper.py NCCL_CHECK",
            before=("/bin/sh: 1: gcc: not found",),
        ),
        1,
        "nccl-error",
    ),
    "registry that takes too long": (
        [
            'Error response from daemon: Get "https://nvcr.io/v2/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        ],
        125,
        "image-pull-network",
    ),
}


@pytest.mark.parametrize("name", ENDED)
def test_what_has_ended_nothing(name: str) -> None:
    log, exit_code, key = ENDED[name]
    diagnosis = diagnose(log, exit_code)
    assert diagnosis
    assert diagnosis.key == key, diagnosis.cause


@pytest.mark.parametrize("name", CASES)
def test_unseen_reports(name: str) -> None:
    case = CASES[name]
    key, message = told_of(case.log)
    assert key == case.expected, message
    assert case.told in message
