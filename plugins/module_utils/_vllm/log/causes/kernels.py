# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes: Kernels and compilers, and the engine that runs them."""

from __future__ import annotations

from ...._core.causes import Alternative, Signature
from .remedies import GPU_FAULT, RESET_GPU

_NOT_COMPILED = "A kernel for the GPU could not be compiled while the server started."

_KILLED = (
    "A compiler that builds kernels for the GPU was killed (code 137), nearly always for lack of memory: one of them"
    " takes up to 8 GiB, and as many run at once as there are processors."
)
_FEWER_JOBS = (
    "Set MAX_JOBS=4 and FLASHINFER_NVCC_THREADS=1 in vllm_env_extra, or take away the container's limit of memory."
    " 'dmesg | grep -i -e oom-kill -e killed' shows it. An image with ready-made kernels (flashinfer-jit-cache)"
    " compiles nothing."
)
_LET_COMPILE = (
    "Choose an image that brings compiler and CUDA toolkit, remove the compile cache (vllm_state_dir/cache), or add"
    " enforce-eager: true to see whether it serves without."
)

_WITHOUT_DEEP_GEMM = (
    "VLLM_USE_DEEP_GEMM=0 in vllm_env_extra, and no deep_gemm in moe-backend, serves without; fp8 models become slower."
)
_DEEP_GEMM_MISFITS = (
    Alternative(
        "DeepGEMM is of another version than this vLLM expects.",
        "the recipe's image.pip has deep_gemm, or the image is not a release of vLLM; a release before or after works.",
        f"take deep_gemm out of image.pip, or choose another release of the image. {_WITHOUT_DEEP_GEMM}",
        decides=r"'mn % 4 == 0 and num_groups == 1'",
    ),
    Alternative(
        "DeepGEMM has no kernels for this kind of GPU, and vLLM uses it all the same.",
        "'nvidia-smi --query-gpu=compute_cap --format=csv' shows neither 9.0 nor 10.0.",
        f"choose a newer image. {_WITHOUT_DEEP_GEMM}",
    ),
)
# DeepGEMM's compiler has done its work.
_COMPILED_AND_UNREAD = r"kernel_runtime\.hpp:\d+\)?:? '?exit_code == 0"

# What vLLM says of its arguments.
_EXPERT_PARALLEL = r"'enable_expert_parallel': True"

# Before those of the model's files: the same errors of the network, of another server.
KERNELS = (
    Signature(
        "compile-cache",
        "Compiled graph that is stale or broken",
        (
            r"UnpicklingError|invalid load key|EOFError: Ran out of input|PytorchStreamReader failed",
            r"No such file or directory: '[^']*/(?:torch_compile_cache|torchinductor_\w+|torch_aot_compile)/",
        ),
        "A compiled graph of the model in the cache is broken or gone: mostly two servers share the cache, or one was"
        " killed while it wrote.",
        "Remove vllm_state_dir/cache/*/torch_compile_cache on the host and run the play again; the graphs are compiled"
        " anew. Give each server a vllm_state_dir of its own.",
        within=r"vllm/compilation/|torch/_inductor/|torch/_dynamo/|torch/_functorch/",
    ),
    Signature(
        "kernel-download",
        "Kernels could not be downloaded",
        (
            r"(?:[Ff]ailed|[Uu]nable) to (?:get|download|fetch).*(?:cubin|kernel|artifact)",
            r"cubin.*(?:not found|404|checksum)",
        ),
        "A library wanted to download kernels for this GPU and could not.",
        "Choose an image that has them, or give the container a way to the network whenever it starts.",
    ),
    Signature(
        "kernel-download",
        "Kernels could not be downloaded",
        (
            r"(?:Connect|ConnectTimeout|Connection|NewConnection|MaxRetry|NameResolution|HTTP)Error\b|ReadTimeout\b",
            r"^AssertionError: \S+\.h not found",
        ),
        "FlashInfer wanted to download kernels for this GPU and could not.",
        "Choose an image that has them (the package flashinfer-cubin), or give the container a way to the network"
        " whenever it starts.",
        within=r"flashinfer/(?:artifacts|jit/|\S*cubin)",
    ),
)

ENGINE = (
    Signature(
        "kv-cache-dtype",
        "KV cache type not supported",
        (r"indexer_kv_dtype='?(?P<name>\w+)'? is not supported",),
        "The cache of sparse attention's indexer cannot have that type on this GPU: fp8 needs Blackwell.",
        "Take indexer_kv_dtype out of attention-config among the engine's arguments.",
        detail="It is {name}.",
    ),
    Signature(
        "kv-cache-dtype",
        "KV cache type not supported",
        (
            r"kv_cache_dtype not supported",
            r"(?i)does not support (?:quantized|\w*(?:fp|int|e4m|e5m|bf|float)\d\w*) kv[- _]?cache",
            r"[Uu]nsupported (?:kv[_ ]?cache|data type of kv cache|kv_cache_dtype)",
            r"kv[_-]cache[_-]dtype.*(?:not supported|unsupported|not implemented|invalid)",
            r"(?i)fp8 kv[- _]?cache.*not (?:yet )?(?:supported|implemented)",
            r"FlashAttention does not support \w*fp8",
            r"kv_data_type \S+ is not supported",
        ),
        "The KV cache cannot have that type on this hardware, or with this model's attention.",
        "Take kv-cache-dtype out (vllm_engine_args_extra: {kv-cache-dtype: null}), or choose auto; it costs 7 % of"
        " the output and half of the tokens that the cache holds.",
    ),
    Signature(
        "kv-cache-dtype",
        "KV cache type not supported",
        (
            r"expected scalar type \w+ but found Float8",
            r"(?:[Uu]nsupported|[Ii]nvalid|not supported|must be|[Ee]xpected).{0,60}(?:fp8|float8|Float8|FP8|e4m3"
            r"|E4M3|e5m2)",
            r"(?:fp8|float8|Float8|FP8|e4m3|E4M3|e5m2).{0,60}(?:not supported|unsupported|not implemented|invalid)",
        ),
        "The attention of this image cannot read a KV cache in fp8 (kv-cache-dtype, which the recipe sets), with this"
        " model on this GPU.",
        "Take kv-cache-dtype out (vllm_engine_args_extra: {kv-cache-dtype: null}); it costs 7 % of the output and"
        " half of the tokens that the cache holds. Or set another attention-backend.",
        within=r"attention/|flash_attn|flash_mla|flashmla|flashinfer/(?:mla|decode|prefill|attention)"
        r"|reshape_and_cache"
        r"|concat_and_cache",
    ),
    Signature(
        "attention-backend",
        "No attention backend for this model",
        (
            r"No valid (?:\w+ )*backend found.*Reasons: \{(?P<why>.+)\}",
            r"No valid (?:\w+ )*backend found",
            r"Selected backend \S+ is not valid for this configuration",
            r"Invalid attention backend",
        ),
        "No attention backend of this image suits the model, the GPU and the KV cache together.",
        "Take out attention-backend and VLLM_ATTENTION_BACKEND, which costs nothing; then kv-cache-dtype"
        " (vllm_engine_args_extra: {kv-cache-dtype: null}), which costs 7 % of the output and half of the tokens that"
        " the cache holds.",
        detail="The reasons: {why}.",
    ),
    Signature(
        "attention-backend",
        "No attention backend for this model",
        (r"Mismatched (?P<what>m[A-Z]\w*\.strides\[\d\])",),
        "FlashAttention 4, which vLLM takes for the prefill of MLA on Blackwell, fails at the first prompt that does"
        " not fit in one step: an error of vLLM before 0.26.",
        "Choose an image with vLLM 0.26 or newer, or add mla_prefill_backend: TRTLLM_RAGGED to attention-config in"
        " vllm_engine_args_extra. attention-backend does not change it.",
        detail="It says: {what}.",
    ),
    Signature(
        "attention-backend",
        "No attention backend for this model",
        (r"Trtllm-gen kernels not found", r"Missing TRTLLM-GEN kernel"),
        "FlashInfer has no ready-made kernel (of TensorRT-LLM) for this attention: for the size of its heads, the"
        " tokens of a step and the type of the KV cache together.",
        "Set another attention-backend. Or try what changes the kernel: fewer num_speculative_tokens, for each makes a"
        " step longer, or no kv-cache-dtype (vllm_engine_args_extra: {kv-cache-dtype: null}), which costs 7 % of the"
        " output and half of the tokens that the cache holds. Newer images have more of these kernels.",
    ),
    Signature(
        "quantization",
        "Quantization not supported",
        (r"does not match the quantization method specified",),
        "The quantization that is set is not the one of the model's own config.json.",
        "Take quantization out of the engine's arguments.",
    ),
    Signature(
        "quantization",
        "Quantization not supported",
        (
            r"Unknown quantization method: '?(?P<name>[\w-]+)",
            r"quantization is (?:currently )?not supported",
            r"[Qq]uantization method (?P<name>\S+) is not supported",
            r"[Nn]o (?:compatible|supported) .*(?:quantization|kernel)",
            r"[Uu]nsupported (?:quantization|quant)|Quantization scheme is not supported",
            r"[Ff]ailed to find a kernel that can implement",
            r"No compressed-tensors compatible scheme",
        ),
        "This vLLM cannot run the model's quantization, or not on this hardware.",
        "Leave quantization to the model's own config.json, or choose a model in another format or another image.",
        detail="It is {name}.",
    ),
    Signature(
        "moe-backend",
        "No kernels for the experts",
        (
            r"No (?P<name>\w+) MoE backend supports the deployment",
            r"MoE backend '(?P<name>\w+)' does not support the deployment",
            r"moe[_-]backend\W+(?P<name>\w+)\W{1,3}(?:is )?not supported",
        ),
        "This vLLM has no kernels for the model's experts that suit the quantization, the GPU and the parallelism"
        " together.",
        "Take out moe-backend and the environment variables that choose one (VLLM_USE_FLASHINFER_MOE_*), change"
        " tensor or expert parallelism, or choose another image.",
        detail="It is about {name}.",
    ),
    Signature(
        "moe-backend",
        "No kernels for the experts",
        (r"MegaMoE currently requires expert parallel",),
        "The kernels of moe-backend deep_gemm_mega_moe need expert parallelism.",
        "",
        alternatives=(
            Alternative(
                "It is not set.",
                "the engine's arguments have no enable-expert-parallel.",
                "set enable-expert-parallel: true, or take moe-backend out.",
                excludes=_EXPERT_PARALLEL,
            ),
            Alternative(
                "It is set, but this version of vLLM does not hand it to the model's draft.",
                "it comes with speculative-config only.",
                "choose a newer image (pull request 55914 of vLLM corrects it), or take speculative-config or"
                " moe-backend out.",
                decides=_EXPERT_PARALLEL,
            ),
        ),
    ),
    Signature(
        "moe-backend",
        "No kernels for the experts",
        (
            r"^RuntimeError: (?:Error: )?(?:Error in function '\w+' at|CUDA error in) \S*(?:moe|batched_gemm)",
            r"^RuntimeError: .*Failed to (?:initialize|run) cutlass .*(?:grouped|batched) gemm",
            r"FusedMoE flashinfer kernels are only supported",
        ),
        "FlashInfer's kernels for the model's experts do not run: not with these shapes, this quantization and"
        " parallelism, or not on this GPU.",
        "Set another moe-backend in vllm_engine_args_extra, such as triton, or take it out, and the environment"
        " variables that choose one (VLLM_USE_FLASHINFER_MOE_*, VLLM_FLASHINFER_MOE_BACKEND); or choose a newer image.",
    ),
    Signature(
        "compile-cache",
        "Compiled graph that is stale or broken",
        (
            r"vLLM failed to compile the model\. The most likely reason",
            r"^AssertionError: Expected tensors only, but got",
            r"increment_version expects each element of the iterable to be a tensor",
        ),
        "A compiled graph of the model in the cache is stale or broken: mostly a compilation before this one failed,"
        " or another version made it.",
        "Remove vllm_state_dir/cache/*/torch_compile_cache on the host and run the play again; the graphs are compiled"
        " anew.",
    ),
    Signature(
        "all-reduce-workspace",
        "FlashInfer's all-reduce is not ready",
        (r"Flashinfer (?:allreduce )?workspace must be initialized",),
        "The compiled graph fuses all-reduce with the next normalization, for which FlashInfer could not make its"
        " workspace, or which a cached graph expects that was compiled before.",
        "Look in the log for 'Failed to initialize FlashInfer All Reduce workspace', which says why. Remove"
        " vllm_state_dir/cache/*/torch_compile_cache on the host; if it comes again, serve without the fusion"
        " (vllm_engine_args_extra: {compilation_config.pass_config.fuse_allreduce_rms: false}), whose gain is not"
        " published by itself.",
    ),
    Signature(
        "kernel-too-large",
        "Kernel that needs more than the GPU has",
        (
            r"out of resource: (?P<what>[\w ]+?),? Required: (?P<wanted>\d+),? Hardware limit: ?(?P<limit>\d+)",
            r"OutOfResources: out of resource",
        ),
        "A kernel of Triton needs more of a resource than this GPU has: its settings are made for another GPU.",
        "Try another version of the image; or take out the engine argument that chose the kernel (attention-backend,"
        " moe-backend, quantization) and tuned settings (VLLM_TUNED_CONFIG_FOLDER).",
        detail="Of {what} it needs {wanted}, and there are {limit}.",
        # Outside of a traceback it is a choice that the compiler has tried and passed over.
        within=r"triton",
    ),
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (
            r"(?:NVCC|NVRTC) compilation failed",
            r"Assertion error \(\S*/jit/\S+\): .*(?:exit_code == 0|NVCC version)",
            r"NVCC version should be",
        ),
        "A kernel of DeepGEMM could not be compiled while the server started.",
        "VLLM_USE_DEEP_GEMM=0 in vllm_env_extra serves without DeepGEMM.",
        alternatives=(
            Alternative(
                "The compiler is too old for the code or the GPU, or its toolkit lacks headers.",
                "what the compiler said stands in the log above the evidence; 'nvcc --version' in the container.",
                "choose an image with the CUDA toolkit of a version that knows the GPU (for Blackwell 12.9 or newer).",
                decides=r"NVCC version should be|[Uu]nsupported gpu architecture|is not defined for option",
                excludes=_COMPILED_AND_UNREAD,
            ),
            Alternative(
                "The image lacks cuobjdump, with which DeepGEMM reads what it has compiled.",
                "'which cuobjdump' in the container finds nothing.",
                "choose an image with the whole CUDA toolkit.",
                excludes=r"(?:NVCC|NVRTC) compilation failed|NVCC version should be",
            ),
            Alternative(
                "Its cache has a half-written kernel, of processes that compiled the same at once or were killed.",
                "the next start gets further.",
                "remove vllm_state_dir/cache/*/deep_gemm on the host, or ~/.deep_gemm in the container,"
                " and start again.",
            ),
            Alternative(
                "DeepGEMM is installed wrongly, or is of another version than this vLLM expects.",
                "the recipe's image.pip has deep_gemm, or somebody has built it into the image.",
                "take it out, or choose vLLM's own image, which brings one.",
            ),
            Alternative(
                "The compiler was killed for lack of memory, or had no disk.",
                "'dmesg | grep -i oom'; 'df -h'.",
                "make room.",
                decides=r"[Nn]o space left|code=137",
            ),
        ),
    ),
    Signature(
        "deep-gemm",
        "DeepGEMM that does not fit",
        (r"DeepGEMM backend is not available|requires DeepGEMM to be installed",),
        "The server is to use DeepGEMM, and the image has none, or an older one than this vLLM expects.",
        "Choose vLLM's own image, which brings one, and take deep_gemm out of the recipe's image.pip. Or set"
        " VLLM_USE_DEEP_GEMM=0 in vllm_env_extra; models with sparse attention, as DeepSeek from V3.2 on, do not run"
        " without.",
    ),
    Signature(
        "deep-gemm",
        "DeepGEMM that does not fit",
        (r"Assertion error \(?\S*csrc/\S+\.hpp:\d+\)?:? '?(?P<what>next_n ==[^']+)",),
        "Each num_speculative_tokens adds a token to a step, and DeepGEMM's kernel for the indexer of sparse attention"
        " takes no such number of them on this GPU; on Hopper it takes 1 and 2.",
        "Set num_speculative_tokens: 1 in speculative-config, take speculative-config out, or choose a newer image.",
        detail="It says: {what}.",
    ),
    Signature(
        "deep-gemm",
        "DeepGEMM that does not fit",
        (r"Assertion error \(?\S*csrc/\S+\.hpp:\d+\)?:? '?(?P<what>context_lens\.is_contiguous\(\))",),
        "A step had fewer tokens than num_speculative_tokens + 1, and this version of vLLM then hands their lengths to"
        " DeepGEMM in a form that it does not accept.",
        "Set num_speculative_tokens: 1 in speculative-config, or choose a newer image (pull request 42135 of vLLM"
        " corrects it).",
        detail="It says: {what}.",
    ),
    Signature(
        "deep-gemm",
        "DeepGEMM that does not fit",
        (r"Assertion error \(?\S*csrc/\S*(?:attention|mqa_logits\w*)\.hpp:\d+\)?:? '?(?P<what>[^']+)",),
        "DeepGEMM's kernels for the indexer of sparse attention do not accept what this vLLM gives them. The model does"
        " not run without them.",
        "See whether it serves without speculative-config or with another block-size; else choose another release of"
        " the image, and take deep_gemm out of the recipe's image.pip.",
        detail="It says: {what}.",
    ),
    Signature(
        "deep-gemm",
        "DeepGEMM that does not fit",
        (r"Assertion error \(?(?!\S*/jit/)\S*csrc/(?:apis|jit_kernels|utils)/\S+\.hpp:\d+\)?:? '?(?P<what>[^']+)",),
        "DeepGEMM does not accept a matrix, or the scales of its fp8.",
        "",
        detail="It says: {what}.",
        alternatives=_DEEP_GEMM_MISFITS,
    ),
    Signature(
        "deep-gemm",
        "DeepGEMM that does not fit",
        (r"CUDA (?:driver|runtime) error \(?\S*/jit/\w+\.hpp:\d+\)?:? '?(?P<what>[^']+)",),
        "A kernel of DeepGEMM could not be loaded or started on the GPU.",
        "",
        detail="It says: {what}.",
        alternatives=_DEEP_GEMM_MISFITS,
    ),
    Signature(
        "compile-killed",
        "Compiler killed for lack of memory",
        (
            r"FAILED: \[code=(?:137|143)\]",
            r"Killed signal terminated program (?P<name>\w+)",
            r"(?:nvcc error|cicc|ptxas|cudafe\+\+|cc1plus|ninja|nvcc).*(?:died due to signal 9|signal 9|[Kk]illed"
            r"|exit code 137"
            r"|code 137|status 137|exit status 137)",
            r"CalledProcessError: .*(?:nvcc|ninja|cicc|g\+\+).*(?:SIGKILL|non-zero exit status (?:137|-9))",
            r"(?:SubprocException|subprocess).*(?:SIGKILL|signal 9)",
        ),
        _KILLED,
        _FEWER_JOBS,
    ),
    Signature(
        "compile-killed",
        "Compiler killed for lack of memory",
        (r"^Killed$",),  # older versions of ninja tell no code
        _KILLED,
        _FEWER_JOBS,
        within=r"[Nn]inja|nvcc|cc1plus",
    ),
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (
            r"(?:[Cc]ould not find|not find|No such file or directory:?) [`'\"]?(?P<name>\S*nvcc)\b",
            r"(?P<name>nvcc): (?:command )?not found",
            r"(?P<name>CUDA_HOME) environment variable is not set",
        ),
        "A kernel for the GPU could not be compiled while the server started: there is no CUDA compiler where it is"
        " sought.",
        "Choose an image with the CUDA toolkit, or with ready-made kernels (flashinfer-jit-cache, flashinfer-cubin);"
        " see that CUDA_HOME in vllm_env_extra is right. VLLM_USE_FLASHINFER_SAMPLER=0 and another attention-backend"
        " or moe-backend get round FlashInfer's kernels, at the cost of speed.",
        detail="It misses {name}.",
    ),
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (
            r"(?:[Cc]ould not find|not find|No such file or directory:?) [`'\"]?\S*ninja\b|Ninja is required",
            r"ninja: (?:command )?not found",
        ),
        "A kernel for the GPU could not be compiled while the server started: the image has no ninja.",
        "Add ninja to the recipe's image.pip, or choose an image that has it.",
    ),
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (
            r"Failed to find C compiler|[Nn]o (?:working )?C\+\+ compiler|InvalidCxxCompiler",
            r"(?:gcc|g\+\+|cc1plus)['`]?: .*(?:No such file|not found)|cannot execute .?cc1",
        ),
        "Code could not be compiled while the server started: the image has no working C or C++ compiler.",
        "",
        alternatives=(
            Alternative(
                "torch.compile translates a part of the model, for a CPU or beside the GPU. enforce-eager: true does"
                " not prevent that everywhere: some parts, such as vision towers, are always compiled.",
                "the traceback goes through torch/_inductor and not through Triton.",
                "put gcc and g++ into the image, or set TORCHDYNAMO_DISABLE: '1' in vllm_env_extra, which compiles"
                " nothing and costs speed.",
                decides=r"InvalidCxxCompiler|C\+\+ compiler",
            ),
            Alternative(
                "A kernel for the GPU is compiled (Triton, FlashInfer, DeepGEMM).",
                "the traceback goes through one of them.",
                "choose an image that brings the compiler (gcc and g++), or kernels that are ready-made.",
                decides=r"Failed to find C compiler|nvcc|[Nn]inja",
            ),
        ),
    ),
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (
            r"fatal error: (?P<name>\S+\.(?:h|hpp|cuh|hh)): No such file",
            r"fatal error: (?P<name>[\w/.+]+): No such file",
        ),
        "A kernel for the GPU could not be compiled while the server started: the image lacks a header.",
        "Choose an image with the whole CUDA toolkit; Python.h is in python3-dev. A package in image.pip that was put"
        " on top may have replaced the folder with the headers.",
        detail="It is {name}.",
    ),
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (r"cannot find -l(?P<name>\w+)",),
        "A kernel for the GPU could not be linked while the server started: the linker does not find a library.",
        "Where it is cuda: add /usr/local/cuda/lib64/stubs to LIBRARY_PATH in vllm_env_extra, or see that the"
        " container has the driver's libcuda.so. Else choose an image that has the library.",
        detail="It is lib{name}.",
    ),
    Signature(
        "compiler-crash",
        "Compiler that crashed",
        (
            r"internal compiler error|FAILED: \[code=139\]|(?:nvcc|cicc|ptxas|cc1plus).*(?:[Ss]egmentation fault"
            r"|signal 11)",
            r"LLVM ERROR|Tileiras|MLIR.*(?:[Ff]ail|[Cc]rash)",
        ),
        "A compiler itself crashed over a kernel for the GPU.",
        "Remove vllm_state_dir/cache on the host and try once more; then take out what chose the kernel (moe-backend,"
        " attention-backend, the fusions of compilation_config), or try another version of the image.",
        locate=True,
    ),
    Signature(
        "engine-ready-timeout",
        "Engine not ready in time",
        (
            r"Timed out waiting for engine core process\w* to start.*Waited (?P<seconds>\d+)",
            r"Timed out waiting for (?:(?:new )?engine core process|engines? to)",
            r"VLLM_ENGINE_READY_TIMEOUT_S",
        ),
        "The engine was not ready within vLLM's own time limit.",
        "",
        detail="It waited for {seconds} s.",
        alternatives=(
            Alternative(
                "It still made progress: large weights load longer than that.",
                "the newest lines of the workers show shards or graphs that go on, 'iostat -x 5' shows reading.",
                "raise vllm_ready_timeout above that, from which vLLM's own limit follows; see that the disk is fast.",
            ),
            Alternative(
                "A worker hangs, mostly while the GPUs set up their communication.",
                "nothing is read, the GPUs stand at 0 % and the log repeats 'No available shared memory broadcast"
                " block'.",
                "a longer limit does not help. 'py-spy dump --pid PID' of the workers shows where they wait; try"
                " NCCL_NVLS_ENABLE=0, then VLLM_ALLREDUCE_USE_SYMM_MEM=0 in vllm_env_extra.",
            ),
            Alternative(
                "A worker has ended without a word.",
                "'dmesg | grep -i -e oom -e killed -e xid' names it.",
                "see to that.",
            ),
        ),
    ),
    Signature(
        "front-end-gone",
        "The API server did not answer its engine",
        (r"Did not receive response from front-end process within",),
        "The engine waited for the API server, which had ended or hung.",
        "See the lines of the API server (APIServer) above that line for its own error.",
        severity="hint",
    ),
    Signature(
        "engine-hung",
        "Engine hung",
        (r"RPC call to (?P<what>\w+) timed out", r"TimeoutError: .*(?:execute_model|sample_tokens)"),
        "A worker did not answer the engine in time.",
        "",
        detail="It was asked for {what}.",
        alternatives=(
            Alternative(
                "It waits for another GPU, or hangs in a kernel.",
                "nvidia-smi shows GPUs at 0 % or 100 % for minutes; 'py-spy dump --pid PID' of the workers shows"
                " where.",
                "restart the server. Try NCCL_NVLS_ENABLE=0 or disable-custom-all-reduce: true.",
            ),
            Alternative(
                "It compiles kernels at a first request, on slow or few processors.",
                "'top' shows nvcc, cicc or ptxas.",
                "raise VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS in vllm_env_extra; the next start finds them compiled.",
            ),
            Alternative(
                "A GPU has a fault, such as failing memory.",
                "'dmesg | grep -i xid' shows one, always of the same GPU (48, 63, 64, 94 and 95 are its memory);"
                " 'nvidia-smi -q | grep -A4 Remapped' shows rows that are pending or more each day.",
                RESET_GPU,
                decides=GPU_FAULT,
            ),
            Alternative(
                "A worker has ended.",
                "'dmesg | grep -i -e oom -e killed' names it.",
                "see to the memory.",
                decides=r"oom-kill|Out of memory: Killed",
            ),
        ),
    ),
)

# The compiler's own exceptions stand around any other cause, such as a full disk.
COMPILER = (
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (
            r"(?P<what>error: .+)",
            r"(?P<what>(?:ptxas|nvcc) (?:fatal|error).*)",
        ),
        _NOT_COMPILED,
        _LET_COMPILE,
        detail="The compiler says: {what}.",
        within=r"[Nn]inja build failed|ninja: build stopped|Error building extension|nvcc .*-c ",
        locate=True,
    ),
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (
            r"FAILED: .*",
            r"ninja: build stopped|[Nn]inja build failed",
            r"ptxas (?:fatal|error)|PTXASError|`ptxas` (?:failed|raised)",
            r"Error compiling objects for extension|Error building extension|C\+\+ compile error|CppCompileError",
            r"CalledProcessError: Command .*(?:gcc|g\+\+|/cc|clang|nvcc|ld)\b",
        ),
        _NOT_COMPILED,
        _LET_COMPILE,
        locate=True,
        severity="hint",
    ),
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (
            r"(?:InductorError|BackendCompilerFailed|TorchRuntimeError|torch\._dynamo\.exc\.\w+"
            r"|triton\.compiler\.errors\.\w+|CompilationError)\b",
        ),
        "A part of the model could not be compiled while the server started.",
        "The evidence has the compiler's own reason. Remove vllm_state_dir/cache; enforce-eager: true serves without"
        " compiled graphs, at the cost of a large part of the speed.",
        locate=True,
        severity="hint",
    ),
)
