# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which area a failure without a known cause lies: by the innermost frame of its first exception, the exception's
class, or the words of a line outside of a traceback. What to check there, and which of the recipe's switches belong to
it. tests/proof/vllm_source.py holds the map against the source of vLLM.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .parse import Log, LogLine, Raised


@dataclass(frozen=True)
class Area:
    """A part of a server in which a failure can lie. C(look) says what to check."""

    key: str
    title: str
    look: str


@dataclass(frozen=True)
class Switch:
    """A setting that a recipe makes. C(mentions) finds it in a failure, C(argument) among the non-default arguments."""

    name: str
    areas: tuple[str, ...]
    take_out: str
    cost: str
    mentions: str
    argument: str = ""


class Place(NamedTuple):
    """Where a failure lies. C(where) is the frame or the exception that tells it, C(evidence) its lines."""

    area: Area
    where: str
    evidence: list[LogLine]
    switches: list[Switch]


AREAS = {
    area.key: area
    for area in (
        Area(
            "weights",
            "loading weights",
            "that model, revision, quantization and image are those of the recipe, and that the files are whole"
            " (role hgx.inference.hf_cache with hf_cache_verify: true).",
        ),
        Area(
            "draft",
            "draft and speculative decoding",
            "that draft, method and num_speculative_tokens are those of the recipe, and that the image has the vLLM"
            " that the draft is made for. Serve once without the draft: if that works, the draft is the cause.",
        ),
        Area(
            "kv-cache",
            "KV cache and memory",
            "in nvidia-smi how much memory is free before the start, and gpu-memory-utilization, max-model-len,"
            " max-num-seqs, block-size and pipeline-parallel-size.",
        ),
        Area(
            "processes",
            "shared memory and processes",
            "'df -h /dev/shm', the container's limits of memory, processes and open files, and 'dmesg | grep -i -e oom"
            " -e killed -e segfault' for a process that was ended from outside.",
        ),
        Area(
            "attention",
            "attention backend",
            "which backend the log says is used ('Using ... backend'). Another one can be set by attention-backend"
            " among the engine's arguments.",
        ),
        Area(
            "compile",
            "compile and kernels",
            "what the compiler or the kernel said in the log above, that the image's CUDA toolkit knows this GPU, and"
            " vllm_state_dir/cache, which may be removed. enforce-eager: true shows whether it serves without compiled"
            " graphs.",
        ),
        Area(
            "collectives",
            "collectives and fabric",
            "'nvidia-smi -q | grep -A6 Fabric', 'nvidia-smi nvlink --status' and 'dmesg | grep -i xid' on the host."
            " NCCL_DEBUG=INFO in vllm_env_extra has the log name the call that fails; NCCL_NVLS_ENABLE=0,"
            " disable-custom-all-reduce: true and VLLM_ALLREDUCE_USE_SYMM_MEM=0 each take one way of talking out.",
        ),
        Area(
            "gpu-access",
            "container and GPU access",
            "nvidia-smi on the host and in a container ('docker run --rm --gpus all --entrypoint nvidia-smi IMAGE'),"
            " and that versions of driver, module and toolkit go together.",
        ),
        Area(
            "hub",
            "hub and files",
            "that the models of the recipe are whole in vllm_hf_home (role hgx.inference.hf_cache), and who answered:"
            " the hub, its download servers, a proxy, or nobody.",
        ),
        Area(
            "arguments",
            "arguments",
            "the engine's arguments in the recipe and in vllm_engine_args_extra against what this version of vLLM"
            " accepts ('vllm serve --help=all' in the image).",
        ),
        Area(
            "packages",
            "packages",
            "which packages the recipe's image.pip puts on top of the image; without them the image's own fit each"
            " other.",
        ),
        Area(
            "api-server",
            "API server",
            "port, address, key and middleware of the server, and its parsers and chat template.",
        ),
    )
}

_NO_FIGURE = "no figure of its own is published; the published figures were measured with it"
SWITCHES = (
    Switch(
        "fuse_allreduce_rms",
        ("collectives", "compile"),
        "{compilation_config.pass_config.fuse_allreduce_rms: false}",
        _NO_FIGURE,
        r"all_?reduce_(?:rms_)?fusion|AllReduceFusion|fuse_allreduce_rms|allreduce_norm|collective_fusion",
        "fuse_allreduce_rms",
    ),
    Switch(
        "speculative-config",
        ("draft",),
        "{speculative-config: null}",
        "60 to 90 % more output on real text comes from the draft",
        r"spec_decode|speculat|eagle|medusa|drafter|draft_model|_mtp\b",
        "speculative_config",
    ),
    Switch(
        "kv-cache-dtype fp8",
        ("attention", "kv-cache"),
        "{kv-cache-dtype: null}",
        "7 % of the output and half of the tokens that the KV cache holds",
        r"fp8.{0,40}kv|kv.{0,40}fp8|kv_cache_dtype|kv-cache-dtype|k_scale|Float8|e4m3|e5m2",
        "kv_cache_dtype",
    ),
    Switch(
        "mm-encoder-tp-mode data",
        ("weights",),
        "{mm-encoder-tp-mode: null}",
        _NO_FIGURE,
        r"mm_encoder|vision_tower|vision_model|(?:moon)?vit\b|mm_projector|run_dp_sharded|\bvision\.py",
        "mm_encoder_tp_mode",
    ),
    Switch(
        "tensor-parallel-size",
        (),
        "a value that divides the model and that the GPUs hold",
        "Kimi K2.6 needs all eight GPUs for its weights",
        r"tensor_parallel_size|tensor-parallel-size|tp_size|divisible",
        "tensor_parallel_size",
    ),
    Switch(
        "pipeline-parallel-size",
        (),
        "{pipeline-parallel-size: 1}, with tensor parallelism over all GPUs",
        "nothing on one node",
        r"pipeline_parallel|pp_size|PPMissingLayer|intermediate_tensors",
        "pipeline_parallel_size",
    ),
    Switch(
        "moe-backend",
        (),
        "{moe-backend: null}, without VLLM_USE_FLASHINFER_MOE_*",
        "another kernel for the experts, mostly slower",
        r"fused_moe|\bmoe_|_moe\b|MoE",
        "moe_backend",
    ),
    Switch(
        "DeepGEMM",
        (),
        "VLLM_USE_DEEP_GEMM=0 in vllm_env_extra",
        "slower matrix multiplications of fp8 models; none for Kimi's INT4",
        r"deep_gemm|DeepGEMM|jit_kernels|jit/kernel_runtime",
    ),
    Switch(
        "CUDA graphs",
        (),
        "{enforce-eager: true}",
        "a large part of the output at low load; use it to find the cause",
        r"cuda_?graph|CUDAGraph|capture_model|stream is capturing|during capture|StreamCapture",
    ),
    Switch(
        "enable-prefix-caching",
        (),
        "{enable-prefix-caching: false}",
        "repeated prompts, as of coding agents, are computed anew",
        r"prefix_cach|block_pool|block_hash",
        "enable_prefix_caching",
    ),
    Switch(
        "tool-call-parser and reasoning-parser",
        (),
        "{tool-call-parser: null, reasoning-parser: null, enable-auto-tool-choice: null}",
        "tool calls and thoughts then stay in the text",
        r"tool_pars|reasoning_pars|ToolParser|ReasoningParser|vllm/reasoning/",
        "tool_call_parser",
    ),
)

# The modules of vLLM, and of what it stands on: prefix of the path, functions (all if empty), area. The first that
# fits is taken; an empty area leaves the decision to the frame around.
_MODULES: tuple[tuple[str, str, str], ...] = (
    # vLLM
    ("vllm/v1/spec_decode/", "", "draft"),
    ("vllm/v1/worker/gpu/spec_decode/", "", "draft"),
    ("vllm/v1/sample/rejection_sampler.py", "", "draft"),
    ("vllm/transformers_utils/configs/speculators/", "", "draft"),
    ("vllm/transformers_utils/configs/eagle.py", "", "draft"),
    ("vllm/transformers_utils/configs/medusa.py", "", "draft"),
    ("vllm/config/speculative.py", "", "draft"),
    ("vllm/distributed/device_communicators/shm_broadcast.py", "", "processes"),
    ("vllm/distributed/device_communicators/shm_object_storage.py", "", "processes"),
    ("vllm/distributed/kv_transfer/", "", "kv-cache"),
    ("vllm/distributed/kv_events.py", "", "kv-cache"),
    ("vllm/distributed/ec_transfer/", "", "kv-cache"),
    ("vllm/distributed/weight_transfer/", "", "weights"),
    ("vllm/distributed/utils.py", "ensure_divisibility|divide", "arguments"),
    ("vllm/distributed/", "", "collectives"),
    ("vllm/utils/nccl.py", "", "collectives"),
    ("vllm/v1/attention/", "", "attention"),
    ("vllm/model_executor/layers/attention/", "", "attention"),
    ("vllm/model_executor/layers/mla.py", "", "attention"),
    ("vllm/vllm_flash_attn/", "", "attention"),
    ("vllm/config/attention.py", "", "attention"),
    ("vllm/v1/core/sched/", "", "kv-cache"),
    ("vllm/v1/core/", "", "kv-cache"),
    ("vllm/v1/kv_cache_interface.py", "", "kv-cache"),
    ("vllm/v1/kv_offload/", "", "kv-cache"),
    ("vllm/v1/simple_kv_offload/", "", "kv-cache"),
    ("vllm/v1/worker/block_table.py", "", "kv-cache"),
    ("vllm/v1/worker/gpu/block_table.py", "", "kv-cache"),
    ("vllm/v1/worker/gpu/kv_connector.py", "", "kv-cache"),
    ("vllm/v1/worker/kv_connector_model_runner_mixin.py", "", "kv-cache"),
    ("vllm/v1/worker/utils.py", "request_memory", "kv-cache"),
    ("vllm/v1/worker/utils.py", "bind_kv_cache|add_kv_sharing_layers_to_kv_cache_groups", "kv-cache"),
    ("vllm/v1/worker/gpu/attn_utils.py", "", "kv-cache"),
    ("vllm/v1/worker/gpu_worker.py", "init_device", "gpu-access"),
    (
        "vllm/v1/worker/gpu_worker.py",
        "determine_available_memory|initialize_from_config|sleep|wake_up",
        "kv-cache",
    ),
    ("vllm/v1/worker/gpu_worker.py", "compile_or_warm_up_model", "compile"),
    ("vllm/v1/worker/gpu_worker.py", "load_model", "weights"),
    ("vllm/v1/worker/gpu_worker.py", "init_worker_distributed_environment", "collectives"),
    ("vllm/v1/worker/cpu_worker.py", "determine_available_memory", "kv-cache"),
    (
        "vllm/v1/worker/gpu_model_runner.py",
        "initialize_kv_cache|initialize_kv_cache_tensors|_allocate_kv_cache_tensors|_reshape_kv_cache_tensors"
        "|get_kv_cache_spec|may_reinitialize_input_batch",
        "kv-cache",
    ),
    ("vllm/v1/worker/gpu_model_runner.py", "initialize_attn_backend|initialize_metadata_builders", "attention"),
    (
        "vllm/v1/worker/gpu_model_runner.py",
        "capture_model|_capture_cudagraphs|_dummy_run|_dummy_sampler_run|profile_run",
        "compile",
    ),
    ("vllm/v1/worker/gpu_model_runner.py", "load_model|reload_weights", "weights"),
    ("vllm/v1/worker/gpu_model_runner.py", "propose_draft_token_ids|take_draft_token_ids", "draft"),
    ("vllm/v1/worker/gpu/cudagraph_utils.py", "", "compile"),
    ("vllm/v1/worker/gpu/warmup.py", "", "compile"),
    ("vllm/v1/worker/encoder_cudagraph.py", "", "compile"),
    ("vllm/v1/worker/workspace.py", "", "kv-cache"),
    ("vllm/v1/worker/worker_base.py", "", ""),
    ("vllm/v1/worker/", "", ""),
    ("vllm/v1/executor/multiproc_executor.py", "wait_for_ready|worker_main|make_worker_process", ""),
    ("vllm/v1/executor/", "", "processes"),
    ("vllm/v1/cudagraph_dispatcher.py", "", "compile"),
    ("vllm/v1/engine/core.py", "_initialize_kv_caches", "kv-cache"),
    ("vllm/v1/engine/core_client.py", "", "processes"),
    ("vllm/v1/engine/coordinator.py", "", "processes"),
    ("vllm/v1/engine/utils.py", "", "processes"),
    ("vllm/v1/engine/tensor_ipc.py", "", "processes"),
    ("vllm/v1/engine/input_processor.py", "", "api-server"),
    ("vllm/v1/engine/output_processor.py", "", "api-server"),
    ("vllm/v1/engine/detokenizer.py", "", "api-server"),
    ("vllm/v1/engine/", "", ""),
    ("vllm/v1/sample/", "", "compile"),
    ("vllm/v1/structured_output/", "", "api-server"),
    ("vllm/v1/metrics/", "", "api-server"),
    ("vllm/v1/serial_utils.py", "", "processes"),
    ("vllm/v1/utils.py", "", "processes"),
    ("vllm/compilation/", "", "compile"),
    ("vllm/model_executor/model_loader/", "", "weights"),
    ("vllm/model_executor/parameter.py", "", "weights"),
    ("vllm/model_executor/offloader/", "", "weights"),
    ("vllm/device_allocator/", "", "kv-cache"),
    ("vllm/model_executor/warmup/", "", "compile"),
    ("vllm/model_executor/kernels/", "", "compile"),
    ("vllm/model_executor/custom_op.py", "", "compile"),
    ("vllm/model_executor/layers/quantization/base_config.py", "", "weights"),
    ("vllm/model_executor/layers/quantization/compressed_tensors/compressed_tensors.py", "", "weights"),
    (
        "vllm/model_executor/layers/quantization/compressed_tensors/compressed_tensors_moe",
        "get_moe_method",
        "weights",
    ),
    (
        "vllm/model_executor/layers/",
        "weight_loader|weight_loader_v2|load_weights|create_weights|process_weights_after_loading|get_quant_method",
        "weights",
    ),
    ("vllm/model_executor/layers/", "__init__|from_config|get_quantization_config|get_config_filenames", "weights"),
    ("vllm/model_executor/layers/", "", "compile"),
    ("vllm/model_executor/models/", "load_weights|__init__|hf_to_vllm_mapper|load_params_config", "weights"),
    ("vllm/model_executor/models/registry.py", "", "weights"),
    ("vllm/model_executor/models/config.py", "", "arguments"),
    ("vllm/model_executor/models/", "", "compile"),
    ("vllm/models/", "load_weights|__init__", "weights"),
    ("vllm/models/", "", "compile"),
    ("vllm/model_executor/", "", "weights"),
    ("vllm/kernels/", "", "compile"),
    ("vllm/triton_utils/", "", "compile"),
    ("vllm/utils/deep_gemm.py", "", "compile"),
    ("vllm/utils/flashinfer.py", "", "compile"),
    ("vllm/_custom_ops.py", "", "compile"),
    ("vllm/utils/mem_utils.py", "", "kv-cache"),
    ("vllm/utils/network_utils.py", "", "processes"),
    ("vllm/utils/system_utils.py", "", "processes"),
    ("vllm/utils/argparse_utils.py", "", "arguments"),
    ("vllm/utils/import_utils.py", "", "packages"),
    ("vllm/utils/", "", ""),
    ("vllm/lora/", "", "weights"),
    ("vllm/config/cache.py", "", "kv-cache"),
    ("vllm/config/compilation.py", "", "compile"),
    ("vllm/config/", "", "arguments"),
    ("vllm/engine/arg_utils.py", "", "arguments"),
    ("vllm/engine/", "", "processes"),
    ("vllm/envs.py", "", "arguments"),
    ("vllm/sampling_params.py", "", "api-server"),
    ("vllm/transformers_utils/", "", "hub"),
    ("vllm/tokenizers/", "", "hub"),
    ("vllm/multimodal/", "", "hub"),
    ("vllm/connections.py", "", "hub"),
    ("vllm/platforms/", "", "gpu-access"),
    ("vllm/plugins/", "", "packages"),
    ("vllm/third_party/pynvml.py", "", "gpu-access"),
    ("vllm/reasoning/", "", "api-server"),
    ("vllm/tool_parsers/", "", "api-server"),
    ("vllm/parser/", "", "api-server"),
    ("vllm/renderers/", "", "api-server"),
    ("vllm/entrypoints/cli/", "", "arguments"),
    ("vllm/entrypoints/", "", "api-server"),
    ("vllm/inputs/", "", "api-server"),
    ("vllm/ray/", "", "processes"),
    ("vllm/", "", ""),
)
# Where no frame tells, the innermost of these does.
_FALLBACK: tuple[tuple[str, str], ...] = (
    ("vllm/v1/worker/utils.py", "kv-cache"),
    ("vllm/v1/worker/gpu/buffer_utils.py", "kv-cache"),
    ("vllm/v1/worker/lora_model_runner_mixin.py", "weights"),
    ("vllm/v1/worker/gpu/pool/", "api-server"),
    ("vllm/v1/worker/worker_base.py", "processes"),
    ("vllm/v1/worker/gpu_worker.py", "gpu-access"),
    ("vllm/v1/worker/", "compile"),
    ("vllm/v1/pool/", "api-server"),
    ("vllm/v1/request.py", "api-server"),
    ("vllm/v1/", "processes"),
    ("vllm/utils/", "processes"),
    ("vllm/", "api-server"),
)
# What vLLM stands on. These are searched in any path, in this order.
_LIBRARIES: tuple[tuple[str, str, str], ...] = (
    (r"flashinfer/comm/", "", "collectives"),
    (r"flashinfer/(?:artifacts|\S*cubin_loader)", "", "compile"),
    (
        r"flashinfer/(?:jit/|compilation_context|fused_moe|gemm|autotuner|moe|trtllm|cute_dsl|aot|__init__)",
        "",
        "compile",
    ),
    (r"flashinfer/(?:mla|decode|prefill|attention|page|cascade|sparse|xqa|cudnn)", "", "attention"),
    (r"flashinfer/", "", "compile"),
    (r"(?:flash_attn|flash_mla|flashmla)", "", "attention"),
    (r"torch/distributed/_?symmetric_memory|torch/distributed/", "", "collectives"),
    (
        r"torch/(?:_inductor|_dynamo|_functorch|fx|_ops|_higher_order_ops|utils/cpp_extension|utils/_triton|_library)",
        "",
        "compile",
    ),
    (r"torch/cuda/(?:graphs)\.py", "", "compile"),
    (
        r"torch/cuda/__init__\.py",
        "_lazy_init|set_device|_check_capability|get_device_properties|get_device_capability|mem_get_info|device_count",
        "gpu-access",
    ),
    (r"torch/cuda/memory\.py", "", "kv-cache"),
    (r"torch/multiprocessing/", "", "processes"),
    (r"torch/serialization\.py|torch/storage\.py", "", "weights"),
    (r"safetensors/|runai_model_streamer|fastsafetensors|instanttensor|tensorizer/", "", "weights"),
    (r"(?:^|/)triton/|deep_gemm|/cutlass/|tilelang|nvidia_cutlass_dsl|quack/", "", "compile"),
    (r"pynvml", "", "gpu-access"),
    (r"huggingface_hub/|hf_xet|transformers/|tokenizers/|tiktoken/|transformers_modules/", "", "hub"),
    (
        r"multiprocessing/(?:shared_memory|resource_tracker|spawn|popen_\w+|connection|synchronize|context)",
        "",
        "processes",
    ),
    (r"(?:^|/)zmq/|(?:^|/)ray/", "", "processes"),
    (r"uvicorn/|fastapi/|starlette/|uvloop/", "", "api-server"),
    (r"pydantic|argparse\.py|(?:^|/)yaml/", "", "arguments"),
    (r"importlib/metadata", "", "packages"),
    (r"compressed_tensors/", "", "weights"),
)
# Classes that tell more than the frame that raised them.
_CLASSES: tuple[tuple[str, str], ...] = (
    (r"(?:ModuleNotFound|Import|PackageNotFound)Error$", "packages"),
    (r"OutOfMemoryError$|^MemoryError$", "kv-cache"),
    (r"Dist(?:Backend|Store|Network)?Error$|NCCLError$|ncclError$", "collectives"),
    (r"SafetensorError$", "weights"),
    (
        r"(?:HfHubHTTP|RepositoryNotFound|RevisionNotFound|GatedRepo|EntryNotFound|LocalEntryNotFound"
        r"|HFValidation)Error$",
        "hub",
    ),
    (
        r"(?:InductorError|BackendCompilerFailed|TorchRuntimeError|CompilationError|PTXASError|OutOfResources"
        r"|LoweringException|Unsupported|NinjaError|TritonMissing|CppCompileError)$",
        "compile",
    ),
    (r"NVMLError\w*$", "gpu-access"),
    (r"ZMQError$", "processes"),
    (r"ValidationError$", "arguments"),
)
_CLASSES_WITHOUT_FRAME: tuple[tuple[str, str], ...] = (
    (r"(?:Connect|Connection|ConnectTimeout|HTTP|HTTPStatus|Proxy|SSL|ReadTimeout|MaxRetry)Error$", "hub"),
    (r"(?:BrokenPipe|ChildProcess|ProcessLookup|ConnectionReset|ConnectionRefused|EOF)Error$", "processes"),
)
# In the code that reads a model's files these tell of packages of other versions than it expects.
_MISFIT = ("TypeError", "AttributeError", "NameError")
# Words of lines outside of a traceback, the most specific first.
_WORDS: tuple[tuple[str, str], ...] = (
    (
        r"nvidia-container|nvidia-ctk|\bCDI\b|nvidia-cdi|OCI runtime|\brunc\b|containerd|cgroup|NVML"
        r"|Error response from daemon|/dev/nvidia",
        "gpu-access",
    ),
    (r"NCCL|c10d|ProcessGroup|NVLS|[Mm]ulticast|TCPStore|gloo|NVSHMEM|nvshmem|ncclI?\w+|MNNVL|fabric", "collectives"),
    (r"speculat|[Dd]raft model|eagle|EAGLE", "draft"),
    (
        r"ptxas|nvcc|[Nn]inja|triton|inductor|dynamo|FAILED: \[|cubin|Tileiras|LLVM ERROR|cutlass|deep_gemm|DeepGEMM",
        "compile",
    ),
    (r"FlashInfer|flashinfer|FlashAttention|FlashMLA|flash_attn", "attention"),
    (r"/dev/shm|shared memory|psm_|semaphore|leaked|fork|thread", "processes"),
    (r"KV cache|kv_cache|out of memory|gpu_memory_utilization", "kv-cache"),
    (r"safetensors|checkpoint|weight", "weights"),
    (r"huggingface|hf_hub|tokenizer|snapshot|xet", "hub"),
    (r"error: argument|--\w", "arguments"),
    (r"ModuleNotFoundError|ImportError|undefined symbol|GLIBC", "packages"),
    (r"uvicorn|bind|listen", "api-server"),
)
_DRAFT_FRAME = re.compile(
    r"spec_decode/|[Ss]peculat|models/\S*(?:eagle|medusa|_mtp|mlp_speculator)|[Dd]rafter|[Dd]raft[_ ]model"
    r"|/configs/eagle"
    r"|aux_hidden_state|[Ee]agle3?\b|EAGLE"
)
# Where a draft fails in code that is not its own.
_DRAFT_SHOWS = ("weights", "attention", "kv-cache", "compile", "collectives", "arguments", "draft", "hub")
_PACKAGE = re.compile(r"(?:.*/)?(vllm/(?:(?!.*/vllm/).*))$")
_NON_DEFAULT = re.compile(r"non-default args: (?P<args>\{.*)")
_TROUBLE = re.compile(
    r"(?i)error|fail|fatal|cannot|can't|could not|unable|denied|refused|abort|terminate|invalid|assert|not found"
    r"|no such"
)
_SHOWN_SWITCHES = 4
_MESSAGE_LINES = 4


def place(log: Log) -> Place | None:
    """Return the area in which a failure lies, or None where nothing tells it."""
    failure = log.failure
    exceptions = [failure.root, *reversed(failure.raised)] if failure else [log.cut] if log.cut else []
    for raised in exceptions:
        key, where = _of_exception(raised)
        if key:
            told = failure.lines if failure else [*raised.frames, *raised.message]
            text = "\n".join(line.text for line in told)
            return _placed(key, where, [*raised.frames[-1:], *raised.message[:_MESSAGE_LINES]], text, log)
    for line in failure.root.message if failure else log.spoken:
        if failure is None and not (line.level or _TROUBLE.search(line.text)):
            continue
        for pattern, key in _WORDS:
            if re.search(pattern, line.text):
                return _placed(key, "", [line], line.text, log)
    return None


def _of_exception(raised: Raised) -> tuple[str, str]:
    """Return the key of the area of an exception with its frames, and what tells it; empty if nothing does."""
    found = next((key for pattern, key in _CLASSES if re.search(pattern, raised.name)), "")
    for frame in reversed(raised.frames):
        found = found or area_of_frame(*raised.path_and_function(frame))
    found = found or _fallback(raised)
    if found in _DRAFT_SHOWS and any(_DRAFT_FRAME.search(line.text) for line in [*raised.frames, *raised.message]):
        found = "draft"
    if found == "hub" and raised.name in _MISFIT:
        found = "packages"
    if not found:
        found = next((key for pattern, key in _CLASSES_WITHOUT_FRAME if re.search(pattern, raised.name)), "")
    return found, raised.where()


def _fallback(raised: Raised) -> str:
    for frame in reversed(raised.frames):
        module = _PACKAGE.match(raised.path_and_function(frame)[0])
        # The executor stands around everything that a worker does.
        if module and not module[1].startswith(("vllm/v1/executor/", "vllm/v1/engine/core.py")):
            return next(key for prefix, key in _FALLBACK if module[1].startswith(prefix))
    return ""


def area_of_frame(path: str, function: str) -> str:
    """Return the key of the area of a frame; empty if the frame around it has to tell."""
    module = _PACKAGE.match(path)
    if module:
        for prefix, functions, key in _MODULES:
            if module[1].startswith(prefix) and (not functions or function in functions.split("|")):
                return key
        return ""
    return next(
        (
            key
            for pattern, functions, key in _LIBRARIES
            if re.search(pattern, path) and (not functions or function in functions.split("|"))
        ),
        "",
    )


def modules() -> Iterable[tuple[str, list[str]]]:
    """Yield the prefixes of vLLM's modules that the map names, and their functions."""
    for prefix, functions, _key in _MODULES:
        yield prefix, functions.split("|") if functions else []
    for prefix, _key in _FALLBACK:
        yield prefix, []


def _placed(key: str, where: str, evidence: list[LogLine], text: str, log: Log) -> Place:
    return Place(AREAS[key], where, evidence, _switches(key, text, log))


def _switches(key: str, text: str, log: Log) -> list[Switch]:
    """Return the switches that belong to a failure: those it mentions, then those of its area that are set."""
    args = next((match["args"] for line in log.lines for match in [_NON_DEFAULT.search(line.text)] if match), None)
    mentioned = [switch for switch in SWITCHES if re.search(switch.mentions, text)]
    of_area = [
        switch
        for switch in SWITCHES
        if key in switch.areas and switch not in mentioned and (args is None or switch.argument in args)
    ]
    return [*mentioned, *of_area][:_SHOWN_SWITCHES]


def place_words(found: Place) -> tuple[str, str]:
    """Return the cause and the fix of a failure of which only the area is known."""
    where = f" ({found.where})" if found.where else ""
    cause = f"The cause is not one of the known ones. The area: {found.area.title}{where}."
    fix = f"Check {found.area.look}"
    if found.switches:
        fix += f" {switch_words(found.switches)}"
    return cause, fix


def switch_words(switches: Sequence[Switch]) -> str:
    """Return which settings to take out, in vllm_engine_args_extra, and what that costs."""
    named = "; ".join(f"{switch.name}: {switch.take_out} (costs: {switch.cost})" for switch in switches)
    return f"Switches of the recipe to take out one by one in vllm_engine_args_extra: {named}."
