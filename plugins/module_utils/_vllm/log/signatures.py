# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How vLLM servers fail: the texts that show it, the cause, the fix. Messages and documentation come from here.

The order matters: of several that match one message, the first is taken, so the specific stands before the general.
A key may come more than once, with other texts for another sight of the same cause; its title is always the same.
"""

from __future__ import annotations

from dataclasses import replace

from ..._core.causes import Alternative, Facts, Signature
from ..._core.units import GIB
from ..._docker.messages import ENGINE
from ..._nvidia.messages import TOOLKIT

_CHECK_WEIGHTS = (
    "Run the role hgx.inference.hf_cache again with hf_cache_verify: true; it replaces what is missing or damaged."
)
_RECORDED = (
    "Serve the image, the packages and the models that the recipe names together, or versions that fit each other."
)

_NOT_COMPILED = "A kernel for the GPU could not be compiled while the server started."


def _same_driver(facts: Facts) -> bool | None:
    """Whether the driver's libraries on the host are of the version of its kernel module."""
    return facts.module in facts.libraries if facts.module and facts.libraries else None


def _other_driver(facts: Facts) -> bool | None:
    same = _same_driver(facts)
    return None if same is None else not same


def _little_shm(facts: Facts) -> bool | None:
    """Whether the container has a /dev/shm of its own that is smaller than a server of several GPUs needs."""
    return True if facts.shm_bytes is not None and facts.shm_bytes < GIB else None


def _gpu_was_free(facts: Facts) -> bool | None:
    """Whether hardly anything of the GPU's memory was in use before this server."""
    values = facts.values
    return None if not {"free", "total"} <= set(values) else float(values["free"]) >= _FREE * float(values["total"])


def _gpu_was_used(facts: Facts) -> bool | None:
    free = _gpu_was_free(facts)
    return None if free is None else not free


# Without a CUDA context of another process a GPU has more than this share of its memory free.
_FREE = 0.95
_LET_COMPILE = (
    "Choose an image that brings compiler and CUDA toolkit, remove the compile cache (vllm_state_dir/cache), or add"
    " enforce-eager: true to see whether it serves without."
)

_COMMAND_LINE = (
    Signature(
        "unknown-flag",
        "Unknown option",
        (r"error: unrecognized arguments: (?P<name>--?[^\s=]+)", r"error: unrecognized arguments: "),
        "The command line has an option that this version of vLLM does not know.",
        "Correct the option in vllm_engine_args_extra or in the recipe, or choose an image that knows it.",
        detail="It is {name}.",
        advice="Nearest known: {nearest}.",
        names=r"--[a-z][a-z0-9-]+",
    ),
    Signature(
        "unknown-parser",
        "Unknown tool or reasoning parser",
        (
            r"invalid (?P<kind>tool call|reasoning) parser: (?P<name>\S+) \(chose from \{(?P<choices>.*)\}",
            r"(?P<kind>Tool|Reasoning) parser '(?P<name>[^']+)' not found\. Available parsers: (?P<choices>.*)",
            r"(?P<kind>Tool|Reasoning) parser '(?P<name>[^']+)' not found",
        ),
        "This version of vLLM has no parser of that name.",
        "Correct tool-call-parser or reasoning-parser of the engine's arguments.",
        detail="It is {name!r}.",
        advice="Nearest known: {nearest}.",
    ),
    Signature(
        "bad-json",
        "Option with broken JSON",
        (
            r"error: argument (?P<name>[^\s:]+): Value .* cannot be converted to <function loads",
            r"error: argument (?P<name>[^\s:]+): .*(?:[Ii]nvalid JSON|JSONDecodeError)",
            r"Invalid JSON: ",
        ),
        "The value of an option is not valid JSON.",
        "Give the value as a mapping in YAML; it becomes JSON then. By hand: double quotes inside, single quotes"
        " around.",
        detail="The option is {name}.",
    ),
    Signature(
        "bad-choice",
        "Option with a value that is not among its choices",
        (
            r"error: argument (?P<option>[^\s:]+): invalid choice: '?(?P<name>[^'\s(]+)'? \(choose from"
            r" (?P<choices>.*)\)",
            r"Input should be (?P<choices>'.*') \[type=(?:literal_error|enum), input_value='?(?P<name>[^',]+)",
        ),
        "An option has a value that this version of vLLM does not know.",
        "Choose one of the values that the message lists.",
        detail="It is {name!r}.",
        advice="Nearest: {nearest}.",
    ),
    Signature(
        "bad-nested-key",
        "Unknown key inside a JSON option",
        (r"[Uu]nexpected keyword argument \[type=", r"type=unexpected_keyword_argument", r"type=extra_forbidden"),
        "An option that takes JSON has a key that this version of vLLM does not know.",
        "Correct the key: the evidence names it. Its documentation is that of the class it names.",
    ),
    Signature(
        "bad-argument",
        "Option with a wrong value",
        (
            r"^(?:\S+\.py|vllm(?: \w+)*): error: (?P<why>.+)",
            r"^error: (?P<why>argument .+)",
        ),
        "vLLM does not accept its command line.",
        "Correct the option in vllm_engine_args_extra or in the recipe.",
        detail="{why}.",
    ),
    Signature(
        "model-len-beyond-model",
        "max-model-len beyond what the model can",
        (
            r"max_model_len \((?P<asked>\d+)\) is greater than the derived max_model_len \(\w+=(?P<limit>\d+)",
            r"max_model_len=(?P<asked>\d+) cannot be larger than \w+=(?P<limit>\d+)",
        ),
        "max-model-len is larger than the model's context.",
        "Lower max-model-len, or leave it out: the model's own limit is the default.",
        detail="{asked} tokens are asked for, the model can {limit}.",
    ),
    Signature(
        "batch-too-small",
        "max-num-batched-tokens too small",
        (
            r"max_num_batched_tokens \((?P<asked>\d+)\) is smaller than max_model_len \((?P<needed>\d+)\)",
            r"max_num_batched_tokens \((?P<asked>\d+)\) must be greater than or equal to max_num_seqs"
            r" \((?P<needed>\d+)\)",
            r"Consider increasing max_num_batched_tokens or decreasing num_speculative_tokens",
            r"max_num_scheduled_tokens is set to -?\d+, which does not allow any tokens",
        ),
        "max-num-batched-tokens is too small for the other settings.",
        "Raise max-num-batched-tokens, or lower max-model-len, max-num-seqs or num_speculative_tokens.",
        detail="It is {asked}, at least {needed} are needed.",
    ),
    Signature(
        "tp-does-not-divide",
        "Tensor parallelism that does not divide the model",
        (
            r"attention heads \((?P<what>\d+)\) must be divisible by tensor parallel size \((?P<tp>\d+)\)",
            r"^(?:AssertionError|ValueError): (?P<what>\d+) is not divisible by (?P<tp>\d+)$",
            r"[Nn]umber of (?:\w+ )*heads.{0,60}(?:divisible|divided) by.{0,40}(?:TP|tensor)",
            r"is not divisible by (?:min_thread|the tensor|tp)|size_[kn] must (?:be )?divisible by",
            r"is not divisible by weight quantization block_[nk]",
            r"input size is not aligned with the quantized weight shape",
        ),
        "The model cannot be split over that number of GPUs.",
        "Choose a tensor-parallel-size that divides the model's attention heads and the blocks of its quantization.",
        detail="{what} is not divisible by {tp}.",
    ),
    Signature(
        "too-few-gpus",
        "More ranks than GPUs",
        (
            r"World size \((?P<wanted>\d+)\) is larger than the number of available GPUs \((?P<found>\d+)\)",
            r"required GPUs exceeds the total number of available GPUs",
            r"(?<!CUDA driver error: )invalid device ordinal",  # that one is of memory that the GPUs share
            r"local rank \d+ is out of bounds",
            r"Tensor parallel size may exceed available GPUs",
        ),
        "The server is to use more GPUs than its container sees.",
        "Give the container all GPUs (vllm_gpus), lower tensor-parallel-size, or see with nvidia-smi whether one is"
        " lost.",
        detail="{wanted} are needed, {found} are there.",
    ),
)

_DRAFT = (
    Signature(
        "draft-mismatch",
        "Draft model that does not fit",
        (
            r"[Tt]arget and draft model should have the same",
            r"[Ee]agle3? is only supported for .* models",
            r"Model architectures \['\w*(?:[Ee]agle|EAGLE|MTP|Medusa)\w*'\] are not supported",
            r"[Dd]raft model .*(?:does not match|mismatch|incompatible|not supported)",
            r"does not support EAGLE3 interface",
        ),
        "The draft model does not fit: not for this model, or not for this version of vLLM.",
        "Take the draft, its method and num_speculative_tokens from the recipe, and an image of the version that it"
        " is made for.",
    ),
    Signature(
        "draft-settings",
        "Speculation with settings that do not go together",
        (
            r"num_speculative_tokens(?! \+).{0,40}must be (?:provided|divisible|greater|less|a positive|set|equal)",
            r"num_speculative_tokens ?(?:=|:) ?\d+ (?:must be divisible|is greater|exceeds)",
            r"draft_tensor_parallel_size",
            r"(?:Unsupported|Unknown|Invalid) speculative method|speculative method .{0,40}(?:not supported|unknown)",
            r"only (?:one of|supports?) .{0,60}speculative",
        ),
        "The settings of speculation contradict each other, the draft, or what this version of vLLM admits.",
        "Correct speculative-config as the evidence says: method, num_speculative_tokens and"
        " draft_tensor_parallel_size as in the recipe. Without it (speculative-config: null in"
        " vllm_engine_args_extra) the server starts, at a cost of 60 to 90 % of the output on real text.",
        within=r"validation error for SpeculativeConfig|create_speculative_config|config/speculative\.py",
    ),
    Signature(
        "draft-mismatch",
        "Draft model that does not fit",
        (
            r"Model architectures \['(?P<what>[^']+)'\] are not supported",
            r"have the same vocabulary size",
            r"is only supported for .* models\. Got",
            r"does not match|mismatch",
            r"does not recognize this architecture",
        ),
        "The draft model does not fit: not for this model, or not for this version of vLLM.",
        "Take the draft, its method and num_speculative_tokens from the recipe, and an image of the version that it"
        " is made for.",
        within=r"validation error for SpeculativeConfig|create_speculative_config|config/speculative\.py",
    ),
    Signature(
        "draft-mismatch",
        "Draft model that does not fit",
        (
            r"Attempted to load weight",
            r"Tried to load weights of size",
            r"[Ss]ize mismatch",
            r"The size of tensor",
            r"shapes cannot be multiplied",
            r"expanded size of the tensor",
            r"no module or parameter named",
            r"weights were not initialized",
        ),
        "The draft model does not fit: its weights have other shapes or names than this model and this vLLM expect.",
        "Take a draft made for exactly this model, and an image of the version that it is made for.",
        within=r"(?s)(?:spec_decode/|drafter\.load_model|models/\S*eagle|models/\S*_mtp)"
        r".*(?:load_model|load_weights|weight_utils|weight_loader)|drafter\.load_model",
    ),
    Signature(
        "draft-mismatch",
        "Draft model that does not fit",
        (
            r"[Ss]ize mismatch|The size of tensor|shapes cannot be multiplied|expanded size of the tensor",
            r"shape mismatch|must match the existing size|invalid for input of size",
        ),
        "Speculative decoding fails on the shape of a tensor: the draft model and the model, or the draft and this"
        " version of vLLM, expect different sizes.",
        "Find out which: with the draft taken out (speculative-config: null in vllm_engine_args_extra) the server"
        " must start; that costs 60 to 90 % of the output on real text. Then take draft, method,"
        " num_speculative_tokens and image from the recipe together, or a newer image.",
        within=r"spec_decode/|models/\S*eagle|models/\S*_mtp",
        locate=True,
    ),
    Signature(
        "draft-mismatch",
        "Draft model that does not fit",
        (r"^KeyError: ", r"^AssertionError"),
        "The draft model does not fit: its weights have other shapes or names than this model and this vLLM expect.",
        "Take a draft made for exactly this model, and an image of the version that it is made for.",
        # The code of a draft that is loaded already raises them, too: only while it is loaded do they tell of a misfit.
        within=r"(?s)drafter\.load_model"
        r"|(?:spec_decode/|models/\S*eagle|models/\S*_mtp).*(?:load_model|load_weights|weight_utils)",
    ),
)

_SPECULATION = (
    Signature(
        "kv-page-size",
        "KV caches that do not go together",
        (r"page size of the layer is not divisible by the",),
        "The KV caches of the model and of its draft cannot be laid out together: their pages have sizes of which"
        " neither is a multiple of the other.",
        "Take kv-cache-dtype out of the engine's arguments (vllm_engine_args_extra: {kv-cache-dtype: null}; it costs"
        " 7 % of the output and half of the tokens that the cache holds), set another block-size, or take another"
        " draft.",
    ),
    Signature(
        "speculation-shapes",
        "Speculation that does not suit the CUDA graphs",
        (
            r"cudagraph shapes that are both a multiple of (?P<tokens>\d+) \(num_speculative_tokens \+ 1\)"
            r".* and (?P<tp>\d+) \(tensor_parallel_size\)",
            r"cudagraph shapes that are both a multiple",
        ),
        "num_speculative_tokens + 1 and tensor-parallel-size do not go together.",
        "Set num_speculative_tokens so that one is a multiple of the other (3 suits eight GPUs), or switch sequence"
        " parallelism off.",
        detail="They are {tokens} and {tp}.",
    ),
    Signature(
        "speculation-beyond-batch",
        "Batch larger than what was compiled",
        (r"Shape: (?P<tokens>\d+) out of considered ranges: \[\(\d+, (?P<limit>\d+)",),
        "The tokens of the draft came on top of a full batch, for which nothing was compiled: an error of this"
        " version of vLLM.",
        "Set another max-num-batched-tokens, which makes such a batch rarer, or choose an image with a newer vLLM.",
        detail="The batch had {tokens} tokens, {limit} were compiled.",
    ),
)

# Before those of the model's files: the same errors of the network, of another server.
_KERNELS = (
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

_CDN = (
    "A download server behind the hub (its CDN) has refused a signed address with 403. The hub itself had admitted"
    " the request, so the token is right."
)
_CDN_CAUSES = (
    Alternative(
        "The signed address has expired: they hold for an hour or less, and a large file takes longer.",
        "the download had run for long, or was resumed.",
        "run the role hgx.inference.hf_cache again: it asks for a new address and resumes.",
        decides=r"Request has expired|ExpiredToken",
    ),
    Alternative(
        "The clock of the host is wrong.",
        "'date -u' differs from the true time by minutes.",
        "set the clock (timedatectl).",
        decides=r"RequestTimeTooSkewed|not yet valid",
    ),
    Alternative(
        "A proxy or a firewall refuses the download server.",
        "'curl -I' of that server's name, from the same host, is refused as well.",
        "admit *.hf.co, *.xethub.hf.co and *.huggingface.co; HF_HUB_DISABLE_XET=1 takes another server.",
    ),
)

_MODEL_FILES = (
    Signature(
        "proxy",
        "A proxy is in the way",
        (
            r"Tunnel connection failed: (?P<what>\d+[^'\")]*)",
            r"(?P<what>407 Proxy Authentication Required)",
            r"(?P<what>ProxyError|Unable to connect to proxy|Cannot connect to proxy)",
        ),
        "The proxy that the environment names refuses the connection, or does not answer. It is not the hub's answer.",
        "Correct HTTPS_PROXY, or add the address to NO_PROXY, where the download runs; have the proxy admit the hub"
        " and its download servers. A server that has its models in the cache needs no network (HF_HUB_OFFLINE=1).",
        detail="It says: {what}.",
    ),
    Signature(
        "certificate",
        "Certificate that is not trusted",
        (
            r"(?P<what>CERTIFICATE_VERIFY_FAILED[^)\"]*)",
            r"(?P<what>x509: certificate [^\"]*)",
            r"(?P<what>self[- ]signed certificate[^)\"]*)",
            r"(?P<what>invalid peer certificate[^)\"]*)",
        ),
        "The other side of an HTTPS connection shows a certificate that is not trusted here.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "A proxy of the network looks into the connection and shows a certificate of its own.",
                "'curl -vI https://ADDRESS' on the host names an issuer that is your company's.",
                "add its authority to the host and the container (SSL_CERT_FILE, REQUESTS_CA_BUNDLE; for images"
                " /etc/docker/certs.d), or have the proxy leave these addresses alone.",
                decides=r"self[- ]signed certificate in certificate chain|unknown authority|UnknownIssuer",
            ),
            Alternative(
                "The clock is wrong, or the certificate has expired.",
                "'date' on the host differs from the true time.",
                "set the clock (timedatectl).",
                decides=r"certificate has expired|not yet valid",
            ),
            Alternative(
                "The list of authorities is missing or old.",
                "the package ca-certificates is not installed, or years old.",
                "install it anew.",
            ),
        ),
    ),
    Signature(
        "download-refused",
        "The hub's download server refuses",
        (
            r"403.*(?:cdn-lfs|xethub|cas-bridge|cas-server|cloudfront|X-Amz-|Expires=|Signature=)",
            r"(?:cdn-lfs|xethub|cas-bridge|cas-server|cloudfront)\S*.*(?:\b403\b|Forbidden)",
            r"RequestTimeTooSkewed|Request has expired|ExpiredToken|SignatureDoesNotMatch",
        ),
        _CDN,
        "",
        alternatives=_CDN_CAUSES,
    ),
    Signature(
        "download-refused",
        "The hub's download server refuses",
        (r"https?://\S*(?:cdn-lfs|xethub|cas-bridge|cas-server|cloudfront|X-Amz-Signature)",),
        _CDN,
        "",
        alternatives=_CDN_CAUSES,
        within=r"\b403\b|Forbidden",
    ),
    Signature(
        "gated-repo",
        "Repository that needs access",
        (
            r"GatedRepoError",
            r"gated repo",
            r"Access to model \S+ is restricted",
            r"awaiting a review from the repo authors|must be authenticated to access it",
        ),
        "The hub refuses a repository: it is gated or private, and the token is missing or has no access.",
        "Accept the licence on the model's page, set HF_TOKEN on the controller, and run the role"
        " hgx.inference.hf_cache.",
    ),
    Signature(
        "gated-repo",
        "Repository that needs access",
        (
            r"Invalid (?:username or password|user token)",
            r"Invalid credentials in Authorization header",
            r"401 Client Error.*(?:huggingface|/api/models|/resolve/)",
        ),
        "The hub does not accept the token, or wants one (401).",
        "",
        alternatives=(
            Alternative(
                "The token is wrong, has expired or was revoked.",
                "'hf auth whoami' with this HF_TOKEN fails.",
                "set a new HF_TOKEN on the controller, and run the role hgx.inference.hf_cache.",
                decides=r"Invalid (?:username or password|user token|credentials)|User Access Token .* is expired",
            ),
            Alternative(
                "There is no token, and the repository is gated or private, or its name is wrong: the hub answers 401"
                " for what does not exist, too.",
                "the model's page does not open without signing in.",
                "correct the name, or accept the licence and set HF_TOKEN on the controller.",
            ),
        ),
    ),
    Signature(
        "gated-repo",
        "Repository that needs access",
        (r"403 (?:Client Error|Forbidden).*(?:huggingface\.co|/api/models|/resolve/)",),
        "The hub refuses a request (403).",
        "",
        alternatives=(
            Alternative(
                "The repository is gated, and the token's owner has no access, or the token is fine-grained and lacks"
                " the permission for gated repositories.",
                "the model's page, signed in as the token's owner, asks for the licence.",
                "accept it, or give the token the permission; then run the role hgx.inference.hf_cache.",
                decides=r"fine-grained|enable access to public gated repositories|[Gg]ated",
            ),
            Alternative(
                "A proxy or a firewall answers in the hub's place.",
                "'curl -sI https://huggingface.co/api/models/MODEL' from the same host does not show the header"
                " x-request-id.",
                "admit huggingface.co and *.hf.co.",
            ),
        ),
    ),
    Signature(
        "wrong-revision",
        "Unknown revision",
        (
            r"RevisionNotFoundError",
            r"Revision Not Found for url",
            r"(?P<name>\S+) is not a valid git identifier",
        ),
        "The repository has no such revision.",
        "Correct the revision in the recipe: a branch, a tag or a full commit of the model's repository.",
        detail="It is {name}.",
    ),
    Signature(
        "hub-unreachable",
        "Hub out of reach",
        (r"error happened while trying to locate the files? on the Hub",),
        "The server asks the hub for a file, and the hub does not answer.",
        "Fetch the models with the role hgx.inference.hf_cache and serve them offline (HF_HUB_OFFLINE=1), or see to"
        " network and proxy.",
    ),
    Signature(
        "model-not-cached",
        "Model not in the cache",
        (
            r"Cannot find an appropriate cached snapshot folder",
            r"outgoing traffic has been disabled",
            r"OfflineModeIsEnabled",
            r"[Oo]ffline mode is enabled",
            r"HF_HUB_OFFLINE",
            r"Cannot find the requested files in the (?:local|disk) cache and outgoing",
            r"Invalid repository ID or local directory specified: '?(?P<name>[^'\s]+)",
        ),
        "A model, its draft or one of their files (config.json first) is not in the cache that the server sees.",
        "Run the role hgx.inference.hf_cache for all models of the recipe, at the revisions that are served, into"
        " vllm_hf_home.",
        detail="It is {name}.",
    ),
    Signature(
        "hub-unreachable",
        "Hub out of reach",
        (
            r"Max retries exceeded with url.*(?:huggingface|/api/models|/resolve/)",
            r"(?:ConnectError|ConnectTimeout|ConnectionError|NewConnectionError|MaxRetryError|NameResolutionError"
            r"|ReadTimeout)\b",
            r"Temporary failure in name resolution",
            r"Name or service not known",
        ),
        "The server asks the hub for a file, and the hub does not answer.",
        "Fetch the models with the role hgx.inference.hf_cache and serve them offline (HF_HUB_OFFLINE=1), or see to"
        " network and proxy.",
        within=r"huggingface|hf_hub|httpx|requests/|urllib3|transformers|cached_file",
    ),
    Signature(
        "hub-unreachable",
        "Hub out of reach",
        (r"couldn't connect to 'https?://",),
        "The server misses a file of the model and cannot ask the hub for it.",
        "Run the role hgx.inference.hf_cache for all models of the recipe, or see to network and proxy.",
        severity="hint",
    ),
    Signature(
        "hub-file-missing",
        "File that the repository does not have",
        (
            r"(?<!Local)(?<!Remote)EntryNotFoundError|RemoteEntryNotFoundError",
            r"Entry Not Found for url: \S*/resolve/[^/]+/(?P<name>[^\s?]+?)\.?$",
        ),
        "The repository has no such file at that revision.",
        "Correct the revision in the recipe; see on the model's page whether the file was renamed or removed.",
        detail="It is {name}.",
    ),
    Signature(
        "repo-not-found",
        "Unknown repository",
        (
            r"RepositoryNotFoundError",
            r"is not a local folder and is not a valid model identifier",
            r"Repo id must be in the form.*: '(?P<name>[^']+)'",
            r"Repo id must be in the form",
            r"404 Client Error.*(?:huggingface|/api/models|/resolve/)",
        ),
        "There is no repository or folder of that name, or it is private.",
        "Correct the model's name in the recipe (ORGANISATION/NAME); a private repository needs HF_TOKEN, too.",
        detail="It is {name}.",
    ),
    Signature(
        "hub-busy",
        "Hub that refuses more requests",
        (r"429 Client Error|Too Many Requests",),
        "The server asks the hub for a file, and the hub has had too many requests of this address (HTTP 429).",
        "Fetch the models with the role hgx.inference.hf_cache, which waits as long as the hub says, and serve them"
        " offline (HF_HUB_OFFLINE=1).",
        within=r"hugging|hf_hub|transformers/",
    ),
    Signature(
        "no-mmap",
        "File system that cannot map files",
        (r"No such device \(os error 19\)",),
        "The file system with the weights cannot map files into memory, as some network and FUSE file systems cannot.",
        "Keep vllm_hf_home on a local disk, or mount that file system so that it can (mmap).",
    ),
    Signature(
        "corrupt-weights",
        "Damaged weights",
        (
            r"Safetensors?Error: (?!.*(?:does not contain tensor|os error|framework|device)).*"
            r"(?:[Hh]eader|[Ii]ncomplete|[Ii]nvalid|[Bb]uffer|[Oo]ffset|[Mm]etadata|[Jj]son)",
            r"Error while deserializing header",
            r"MetadataIncompleteBuffer|HeaderTooLarge|InvalidHeader|incomplete metadata",
            r"invalid load key|PytorchStreamReader failed|failed finding central directory",
        ),
        "A file of the weights is damaged or cut short.",
        _CHECK_WEIGHTS,
    ),
    Signature(
        "corrupt-weights",
        "Damaged weights",
        (r"[Cc]hecksum (?:mismatch|does not match)|[Cc]onsistency check failed|[Hh]ash mismatch|sha256.*mismatch",),
        "A file of the weights is damaged or cut short.",
        _CHECK_WEIGHTS,
        within=r"safetensors|hugging|hf_hub|hf_xet|weight|shard|models--",
    ),
    Signature(
        "file-unreadable",
        "File that cannot be read to its end",
        (
            r"(?P<what>[Ii]nput/output error|os error 5\b|Stale file handle|os error 116\b|Transport endpoint is not"
            r" connected|os error 107\b)",
        ),
        "The file system with the model's files, or the disk below it, does not deliver what it has.",
        "",
        detail="It says: {what}.",
        alternatives=(
            Alternative(
                "The network or FUSE file system has lost its connection or its server.",
                "'findmnt -T' of vllm_hf_home names nfs, fuse or the like; 'ls' there fails or hangs.",
                "mount it again, and better keep vllm_hf_home on a local disk.",
                decides=r"Stale file handle|os error 116\b|Transport endpoint|os error 107\b",
            ),
            Alternative(
                "The disk has errors.",
                "'dmesg | grep -i -e \"I/O error\" -e nvme -e medium' shows them.",
                "have the disk exchanged, and fetch the models again.",
            ),
        ),
    ),
    Signature(
        "tokenizer-missing",
        "Tokenizer incomplete",
        (
            r"Can't load tokenizer for",
            r"Could not find tiktoken\.model",
            r"(?:No such file or directory|not found)(?!.*/blobs/).*(?:tiktoken\.model|tokenizer\.model"
            r"|tokenizer\.json"
            r"|tokenizer_config\.json|tokenization_\w+\.py)",
            r"^(?!.*(?:[Pp]ermission|[Ii]nput/output|[Ss]tale|[Nn]o space|os error (?!2\b)))"
            r".*(?:tokenizer\.(?:json|model)|tiktoken\.model|vocab_file)",
            r"(?:vocab_file|path) should be .*not NoneType|expected str, bytes or os\.PathLike object, not NoneType",
        ),
        "A file of the tokenizer is missing or broken.",
        _CHECK_WEIGHTS,
        within=r"[Tt]okeniz|tiktoken",
    ),
    Signature(
        "shard-missing",
        "File of the model missing",
        (
            r"No such file or directory: ['\"]?(?P<name>[^'\"\s]+\.(?:safetensors|bin|gguf|pt))",
            r"Cannot find any model weights with",
            r"does not appear to have (?:a file|files) named (?P<name>(?!config\.json)\S+\.\w+)",
            r"does not appear to have (?:a file|files) named (?!config\.json)",
            r"[Ee]rror no file named",
            r"Could not find checkpoint files",
            r"[Ww]eight files referenced in index but missing: \{'(?P<name>[^']+)'",
            r"(?:shards?|files?) .*(?:missing|not found).*\.safetensors|\.safetensors\b.*(?:missing|not found)",
            r"No such file or directory: ['\"]?(?!\S*/blobs/[^/]+\.py)"
            r"(?P<name>[^'\"\s]*/(?:hub|models--|snapshots)[^'\"]*)",
        ),
        "A file of the model is missing.",
        _CHECK_WEIGHTS,
        detail="It is {name}.",
    ),
    Signature(
        "shard-missing",
        "File of the model missing",
        (
            r"weights were not initialized from\s+checkpoint: \{?'?(?P<name>[^',}]+)",
            r"weights were not initialized from",
        ),
        "The files of the model do not have all weights that this version of vLLM expects.",
        "",
        detail="One is {name}.",
        alternatives=(
            Alternative(
                "A file of the weights is missing or incomplete.",
                "the folder of the snapshot has fewer .safetensors files than model.safetensors.index.json names.",
                "run the role hgx.inference.hf_cache again with hf_cache_verify: true.",
                decides=r"referenced in (?:the )?index but missing|incomplete",
            ),
            Alternative(
                "The names of the weights are others than this version of vLLM knows: the model is newer than the"
                " image, or its quantization is another.",
                "all files are there (the role hgx.inference.hf_cache with hf_cache_verify: true finds nothing).",
                "serve the revision and the image that the recipe names together.",
            ),
        ),
    ),
    Signature(
        "config-missing",
        "No config.json",
        (
            r"Could not detect config format for no config file found",
            r"No such file or directory: '[^']*config\.json'|have a file named config\.json",
            r"(?:Unrecognized model in|Should have a `model_type` key in its config\.json)",
            r"It looks like the config file at .* is not a valid JSON file",
        ),
        "The model's config.json is missing or broken.",
        _CHECK_WEIGHTS,
    ),
    Signature(
        "broken-json-file",
        "Broken JSON file of the model",
        (r"JSONDecodeError: ",),
        "A JSON file of the model is damaged or cut short: the index of its weights, its tokenizer or its"
        " configuration.",
        _CHECK_WEIGHTS,
        within=r"weight_utils|[Tt]okeniz|transformers/|transformers_utils/|configuration_utils",
    ),
    Signature(
        "trust-remote-code",
        "Model that brings its own code",
        (
            r"--trust-remote-code",
            r"trust_remote_code=True",
            r"requires you to execute the \w+ file",
            r"contains custom code which must be executed",
        ),
        "The model brings its own Python code, and the server may not run it.",
        "Set trust-remote-code: true among the engine's arguments, with the revision pinned, once you trust that code.",
    ),
    Signature(
        "unknown-architecture",
        "Model that this vLLM does not know",
        (
            r"Model architectures \['?(?P<what>[^\]']+)'?.*\] are not supported",
            r"does not recognize this architecture",
            r"Model architecture (?P<what>\S+) (?:was supported in vLLM until|is not supported in-tree)",
            r"Cannot find model module\. '(?P<what>\w+)'",
            r"No model architectures are specified",
            r"The Transformers implementation of '?(?P<what>\w+)'? is not compatible",
        ),
        "This version of vLLM, or of transformers in it, does not know the model's architecture.",
        "Choose an image with a newer vLLM, or the one that the recipe names.",
        detail="It is {what}.",
    ),
    Signature(
        "weights-do-not-fit",
        "Weights that do not fit the model",
        (
            r"Attempted to load weight \((?P<file>.+)\) into parameter \((?P<model>.+)\)",
            r"no module or parameter named",
            r"[Ss]ize mismatch for \S+(?:: copying|\.(?:weight|bias))",
            r"Tried to load weights of size",
        ),
        "The weights have other shapes or names than this version of vLLM expects of the model.",
        "Serve the revision and the image that the recipe names together; see that model, quantization and revision"
        " belong together.",
    ),
    Signature(
        "weights-do-not-fit",
        "Weights that do not fit the model",
        (r"does not contain tensor (?P<name>\S+)",),
        "The weights lack a tensor that this version of vLLM reads.",
        "Serve the revision and the image that the recipe names together; see that model, quantization and revision"
        " belong together.",
        detail="It is {name}.",
    ),
    Signature(
        "pipeline-parallel",
        "Layer that this process does not have",
        (r"^KeyError: '(?P<name>[\w.]*layers\.\d+\.[\w.]+)'",),
        "The KV cache is to be bound to a layer that this process does not have.",
        "",
        detail="It is {name}.",
        alternatives=(
            Alternative(
                "The layer belongs to another pipeline stage: pipeline parallelism does not work for this model in"
                " this version of vLLM.",
                "pipeline-parallel-size is above 1.",
                "set pipeline-parallel-size: 1 in vllm_engine_args_extra and tensor-parallel-size to the number of"
                " GPUs, which costs nothing on one node; or take a newer vLLM.",
                decides=r"'?pipeline_parallel_size'?[=:] ?[2-9]|--pipeline-parallel-size[ =][2-9]",
                excludes=r"'?pipeline_parallel_size'?[=:] ?1\b",
            ),
            Alternative(
                "The layer belongs to the draft, whose layers this version names differently.",
                "the server starts with speculative-config: null in vllm_engine_args_extra.",
                "take the draft and the image of the recipe together.",
            ),
        ),
        within=r"bind_kv_cache|initialize_kv_cache|kv_sharing",
    ),
    Signature(
        "weights-do-not-fit",
        "Weights that do not fit the model",
        (r"^KeyError: '(?P<name>(?:[\w.]*\.)?(?:layers\.\d+|embed_tokens|lm_head)\.[\w.]+)'",),
        "The weights hold a tensor that this version of vLLM does not know in the model.",
        "Serve the image that the recipe names for this model, or one with a newer vLLM. If it is that image, the"
        " index"
        f" of the weights may be damaged. {_CHECK_WEIGHTS}",
        detail="It is {name}.",
        within=r"in load_weights|weight_utils",
    ),
    Signature(
        "chat-template-missing",
        "Chat template not found",
        (r"chat template .*(?:looks like a file path|failed to be opened|does not exist)",),
        "The chat template is not a file in the container.",
        "Give chat-template as a path inside the container, in a folder that is mounted.",
    ),
)

_PACKAGES = (
    Signature(
        "library-missing",
        "Missing shared library",
        (
            # Those of the driver tell of no GPU.
            r"^(?:OSError|ImportError|.*error while loading shared libraries): (?!\S*lib(?:cuda\.so|nvidia-))"
            r"(?P<name>\S*lib[^\s:]+): cannot open shared object",
            r"failed to open (?P<name>lib[^\s:]+\.so[\w.]*?)\.?$",
        ),
        "The image lacks a shared library: mostly a Python package was built for another version of CUDA or of torch.",
        "Take the package out of the recipe's image.pip, or pin the version that is built for the image's CUDA and"
        " torch; see that no LD_LIBRARY_PATH in vllm_env_extra hides the image's own libraries.",
        detail="It is {name}.",
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        (
            r"(?P<what>flashinfer-[\w-]+) version \((?P<found>[^)]+)\) does not match flashinfer version"
            r" \((?P<wanted>[^)]+)\)",
        ),
        "FlashInfer and the package with its kernels have different versions: mostly a package that was installed on"
        " top of the image has changed one of them.",
        "Pin both to the image's version in the recipe's image.pip, or take the package out that changes them."
        " FLASHINFER_DISABLE_VERSION_CHECK=1 in vllm_env_extra skips the check; use it only to find the cause.",
        detail="{what} is {found}, flashinfer is {wanted}.",
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        (
            r"Couldn't instantiate the backend tokenizer",
            r"No such file or directory: '\S*/blobs/(?P<what>[^/']+\.py)'",
        ),
        "This transformers cannot use the Python code that the model brings: mostly it is newer than that code.",
        "Pin the transformers of the recipe in its image.pip. If it is that one: " + _CHECK_WEIGHTS,
        detail="It shows in {what}.",
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        (r"Failed to apply prompt replacement for mm_items",),
        "The model's code for images does not give what vLLM expects: mostly this transformers does not fit the model.",
        f"Correct the recipe's image.pip. {_RECORDED}",
        severity="hint",
    ),
    Signature(
        "api-key-gone",
        "The API key's file is gone",
        (r"The file of the API key is gone",),  # what our own start of the server says
        "The server is to have an API key, whose file in vllm_state_dir is missing or empty. It does not start so.",
        "Run playbooks/serve.yml with the key in VLLM_API_KEY, or with vllm_api_key_generate: true for a new one."
        " With neither, it is served without a key on loopback, and refused on other addresses.",
    ),
    Signature(
        "guard-gone",
        "The guard of the API key is gone",
        (r"No module named 'key_guard'",),
        "The middleware that wants the API key at every path is gone from vllm_state_dir/guard. Nothing starts so.",
        "Run playbooks/serve.yml with the same settings: it writes the middleware again.",
    ),
    Signature(
        "package-missing",
        "Missing Python package",
        (
            r"ModuleNotFoundError: No module named '(?P<name>[\w.]+)'",
            r"packages that were not found in your environment: (?P<name>[\w., -]+?)\. Run",
            r"requires the [`'\"]?(?P<name>[\w-]+)[`'\"]? (?:package|library)",
            r"PackageNotFoundError: (?:No package metadata was found for )?(?P<name>[\w-]+)",
            r"^ImportError: (?P<name>[\w-]+) is not installed\. Please install",
            r"^ImportError: .*pip install [`'\"]?(?P<name>[\w-]+)",
            r"^ImportError: .*[Pp]lease install (?:package )?[`'\"]?(?P<name>[\w-]+)",
            r"^ImportError: .*requires (?:installation of |the )?(?P<name>[\w-]+)(?: module)?(?: to be installed|\.?$)",
        ),
        "The image lacks a Python package.",
        "Add the package to the recipe's image.pip, at a version that fits vLLM.",
        detail="It is {name}.",
    ),
    Signature(
        "binary-mismatch",
        "Compiled package of another build",
        (
            r"(?P<what>\S+\.so[\w.]*): undefined symbol",
            r"undefined symbol",
            r"(?P<what>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found",
            r"numpy\.dtype size changed|compiled using NumPy 1\.x",
            r"version `(?P<what>[^']+)' not found \(required by",
        ),
        "A compiled package is built for another version of torch, CUDA, NumPy or the system's libraries than the"
        " image has.",
        "Take the package that the evidence names out of the recipe's image.pip, or pin the build for the image's"
        " torch and CUDA; see that no LD_LIBRARY_PATH in vllm_env_extra hides the image's own libraries.",
        detail="It shows in {what}.",
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        (r"data did not match any variant of untagged enum",),
        "The package tokenizers cannot read the model's tokenizer.json.",
        "",
        alternatives=(
            Alternative(
                "The file is written by a newer version of tokenizers than the image has.",
                "the file is whole (the role hgx.inference.hf_cache with hf_cache_verify: true finds nothing).",
                f"correct transformers and tokenizers in the recipe's image.pip. {_RECORDED}",
            ),
            Alternative("The file is damaged.", "the same role finds it so.", "let it fetch the file again."),
        ),
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        (
            r"ImportError: cannot import name '(?P<name>\w+)' from '(?P<what>[\w.]+)'",
            r"(?P<what>[\w.-]+)[<>=!~]=?[\w.,<>=!]+ is required for a normal functioning of this module, but found",
            r"AttributeError: .*(?:[Tt]okeniz|Processor).*has no attribute",
            r"AttributeError: module '(?P<what>(?:transformers|tokenizers|huggingface_hub|torch|numpy|flashinfer"
            r"|triton)[\w.]*)'",
            r"VersionConflict|DistributionNotFound|ContextualVersionConflict",
            r"requires (?P<what>[\w.-]+) ?[<>=!~].*but you have",
            r"Tokenizer class (?P<what>\S+) does not exist or is not currently imported",
            r"^TypeError: (?P<what>\w*Token\w*)\.",
        ),
        "Python packages in the image do not fit each other: one expects another version of the other.",
        "Correct the recipe's image.pip (mostly transformers): take a package out that was put on top of the image, or"
        f" pin the version that this vLLM admits. {_RECORDED}",
        detail="It shows in {what}.",
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        (r"partially initialized module '?(?P<what>[\w.]+)", r"^ImportError: (?!libcuda\.so|libnvidia)(?P<what>\S*)"),
        "A Python package of the image cannot be imported.",
        "",
        alternatives=(
            Alternative(
                "A file or folder of that name comes before the package, or it imports itself in a circle.",
                "'python3 -c \"import NAME; print(NAME.__file__)\"' in the container names another place than"
                " site-packages.",
                "rename or unmount that file.",
                decides=r"partially initialized module",
            ),
            Alternative(
                "Packages do not fit each other: one was put on top of the image.",
                "'pip check' in the container names them, or it starts without image.pip of the recipe.",
                f"correct the recipe's image.pip. {_RECORDED}",
            ),
            Alternative(
                "The package is not there, or not for this Python or CUDA.",
                "'pip show NAME' in the container does not find it.",
                "add it to image.pip, at a version that fits vLLM.",
            ),
        ),
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        (r"^(?:AttributeError|TypeError|NameError): ",),
        "The tokenizer's code does not fit the packages in the image: mostly its version of transformers.",
        f"Correct the recipe's image.pip. {_RECORDED}",
        within=r"tokenization_\w+\.py|tokenizers/\w+\.py|tokenization_utils",
    ),
)

# Before those of memory: their 'out of memory' is not the GPU's.
_FABRIC = (
    Signature(
        "all-reduce-workspace",
        "FlashInfer's all-reduce is not ready",
        (
            r"\[SymmDeviceMemory\].*[Mm]ulticast|[Dd]evice does not support multicast",
            r"[Ff]ailed to (?:create|initialize|allocate).*(?:all-?reduce|AllReduce|allreduce"
            r"|All Reduce).*[Ww]orkspace",
            r"(?:cuMulticast|[Mm]ulticast).*(?:not supported|fail|error|invalid)|CUDA_ERROR_(?:NOT_SUPPORTED"
            r"|NOT_PERMITTED)",
        ),
        "The all-reduce that is fused with the next normalization (fuse_allreduce_rms, which the recipe sets) needs"
        " multicast over NVLink, and this machine does not offer it: as in many virtual machines, or with a fabric"
        " that is not set up.",
        "Take the fusion out: vllm_engine_args_extra: {compilation_config.pass_config.fuse_allreduce_rms: false}. Its"
        " gain is not published by itself; the published figures were measured with it. Or choose an image with a"
        " vLLM that falls back by itself (pull request 35085). Whether the fabric is at fault: 'nvidia-smi -q | grep"
        " -A6 Fabric' must say Completed and Success.",
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

_MORE_SHM = "Serve with vllm_ipc_mode: host, and see with 'df -h /dev/shm' on the host that it is not full."

_MEMORY = (
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
            r"insufficient shared memory",
            r"failed to extend /dev/shm",
            r"[Nn]ot enough free space in .*/dev/shm|/dev/shm is (?:full|too small)",
        ),
        "The container has too little shared memory (/dev/shm).",
        _MORE_SHM,
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
                _MORE_SHM,
                decides=r"insufficient shared memory|might be caused by insufficient|increase (?:the )?shm",
                facts=_little_shm,
            ),
            Alternative(
                "A mapped file of the weights is cut short, or its file system cannot deliver it.",
                "'dmesg | grep -i -e \"I/O error\" -e nfs -e fuse' shows errors; 'df -h' shows a full disk.",
                _CHECK_WEIGHTS,
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
        _MORE_SHM,
        within=r"shared_memory\.py|shm_broadcast|shm_object|multiprocessing/(?:synchronize|context|heap|queues)\.py",
    ),
    Signature(
        "oom-killed",
        "Killed for lack of memory",
        (r"Memory cgroup out of memory", r"oom-kill:", r"Out of memory: Killed process"),
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

_SYSTEM = (
    Signature(
        "disk-full",
        "Disk full",
        (r"[Nn]o space left on device", r"[Dd]isk quota exceeded", r"os error (?:28|122)\b"),
        "A disk is full: that of the weights, of the compile cache, of the container's /tmp, or of Docker itself.",
        "See 'df -h' for vllm_hf_home, vllm_state_dir and Docker's data folder, and make room.",
    ),
    Signature(
        "read-only",
        "Read-only file system",
        (
            r"Read-only file system:? '?(?P<name>[^'\s]*)",
            r"os error 30\b",
        ),
        "The server writes to a folder that is mounted read-only.",
        "Let it write elsewhere: below /root/.cache/vllm, which is vllm_state_dir/cache on the host. The cache of"
        " weights stays read-only.",
        detail="It is {name}.",
    ),
    Signature(
        "gpu-permission",
        "The container may not open the GPUs",
        (
            r"(?P<name>/dev/(?:nvidia|infiniband)\S*?)['\"]?: (?:[Pp]ermission denied|[Oo]peration not permitted)",
            r"(?:[Pp]ermission denied|[Oo]peration not permitted):? ['\"]?(?P<name>/dev/(?:nvidia"
            r"|infiniband)\S*?)['\"]?$",
        ),
        "A process may not open a device node.",
        "",
        detail="It is {name}.",
        alternatives=(
            Alternative(
                "The container's cgroup does not list the device: the GPUs were not requested, or systemd has taken"
                " them away since ('systemctl daemon-reload').",
                "a new container lists the GPUs ('docker run --rm --gpus all --entrypoint nvidia-smi IMAGE -L').",
                "restart the server; with CDI (vllm_gpu_request: cdi) it does not happen again.",
            ),
            Alternative(
                "The node belongs to others on the host.",
                "'ls -l /dev/nvidia*' is not crw-rw-rw-.",
                "set NVreg_DeviceFileMode=0666 for the module nvidia, or run the container as root.",
            ),
        ),
    ),
    Signature(
        "read-only",
        "Read-only file system",
        (r"No usable temporary directory", r"cannot cache function"),
        "The server finds no folder that it may write to.",
        "See /tmp and /root in the container: mounted read-only, full ('df -h'), or of another user. Below"
        " /root/.cache/vllm, which is vllm_state_dir/cache on the host, it may write.",
    ),
    Signature(
        "permission-denied",
        "Permission denied",
        (
            r"Permission denied:? '(?P<name>[^']+)'",
            r"^PermissionError: \[Errno 13\] Permission denied: ",
            r"[Pp]ermission denied.*(?:cache|hub|/root|/tmp)",
            r"os error 13\b",
        ),
        "The server may not read or write a file.",
        "Give the file to the user that the container runs as, or run the role hgx.inference.hf_cache, which sets"
        " owner and mode. Where owner and mode are right, SELinux or AppArmor forbids it ('ausearch -m avc', 'dmesg |"
        " grep -i apparmor').",
        detail="It is {name}.",
    ),
    Signature(
        "port-taken-host",
        "Port of the host taken",
        (
            r"Bind for (?P<address>\S+):(?P<port>\d+) failed: port is already allocated",
            r"listen tcp\S* (?P<address>\S*):(?P<port>\d+): bind: address already in use",
            r"failed to bind (?:host )?port .*?(?P<address>[\d.:\[\]]*):(?P<port>\d+)\b.*address already in use",
            r"port is already allocated",
        ),
        "Another program or container holds the port of the host, so Docker did not start the server.",
        "Choose another vllm_port, or end what holds it.",
        detail="It is port {port}.",
        advice="'ss -ltnp sport = :{port}' and 'docker ps' tell who that is.",
    ),
    Signature(
        "bind-address",
        "Address that the host does not have",
        (r"(?i)(?:bind|listen)\b.*cannot assign requested address",),
        "The host has no such address to listen on.",
        "Set vllm_bind_address to an address of the host ('ip -brief address'), or leave it at 127.0.0.1.",
    ),
    Signature(
        "bind-address",
        "Address that the host does not have",
        (r"(?i)cannot assign requested address",),
        "The host has no such address to listen on.",
        "Set vllm_bind_address to an address of the host ('ip -brief address'), or leave it at 127.0.0.1;"
        " VLLM_HOST_IP and MASTER_ADDR in vllm_env_extra must be addresses of the host, too.",
        within=r"create_server_socket|\.bind\(|in bind\b|TCPStore|zmq",
    ),
    Signature(
        "distributed-port-taken",
        "Port between the processes taken",
        (
            r"(?:server socket has failed to (?:listen|bind)|EADDRINUSE).*port: (?P<port>\d+)",
            r"EADDRINUSE|DistNetworkError.*already in use",
            r"ZMQError: Address already in use",
        ),
        "A port over which the server's processes talk to each other is taken.",
        "Try again. Beside another server with the host's network, give each its own VLLM_PORT or MASTER_PORT.",
        detail="It is port {port}.",
    ),
    Signature(
        "port-taken",
        "Port taken inside the container",
        (
            r"attempting to bind on address \('(?P<address>[^']*)', (?P<port>\d+)[^)]*\): \[?.*address"
            r" already in use",
            r"[Aa]ddress already in use",
        ),
        "Another program in the container, or on the host's network, holds the port on which the server listens.",
        "Choose another port, or end what holds it.",
        detail="It is port {port}.",
        advice="'ss -ltnp sport = :{port}' tells who that is.",
    ),
    Signature(
        "numa-bind",
        "Memory that may not be bound to a NUMA node",
        (r"setting membind: (?P<what>Operation not permitted|Invalid argument)",),
        "numactl starts the server's processes and may not bind their memory to a NUMA node.",
        "Take numa-bind out of the engine's arguments, or set vllm_capabilities_extra: [SYS_NICE].",
        detail="It says: {what}.",
    ),
    Signature(
        "too-many-files",
        "Too many open files",
        (r"Too many open files",),
        "The server needs more open files than it may have.",
        "Raise the limit: default-ulimits in Docker's daemon.json, or LimitNOFILE of the engine's unit.",
    ),
    Signature(
        "process-limit",
        "No more processes or threads",
        (
            r"can't start new thread|pthread_create failed|[Tt]hread creation failed",
            r"(?:fork|clone3?|vfork|exec)\b.*Resource temporarily unavailable",
            r"pids\.max|cgroup: fork rejected",
        ),
        "The server needs more processes or threads than it may have.",
        "Raise the limit of the container (pids) or of the host (ulimit -u, kernel.threads-max).",
    ),
    Signature(
        "process-limit",
        "No more processes or threads",
        (r"Resource temporarily unavailable",),
        "The server needs more processes or threads than it may have.",
        "Raise the limit of the container (pids) or of the host (ulimit -u, kernel.threads-max).",
        within=r"in _?fork|subprocess\.py|popen_\w+\.py|os\.fork|_fork_exec",
    ),
    Signature(
        "network-interface",
        "No way between the ranks",
        (
            r"[Uu]nable to (?:resolve hostname|find address)|Unable to find interface",
            r"gaierror",
            r"[Ff]ailed to find (?:a )?(?:suitable )?(?:network )?interface",
            r"Bootstrap : no socket interface found",
        ),
        "The server's processes do not find each other over the network: a name or an interface is not there.",
        "See that the host's name resolves to one of its addresses; else name the interface in GLOO_SOCKET_IFNAME and"
        " NCCL_SOCKET_IFNAME, or the address in VLLM_HOST_IP (vllm_env_extra).",
    ),
    Signature(
        "network-interface",
        "No way between the ranks",
        (
            r"Gloo connectFullMesh failed",
            r"client socket has (?:timed out|failed to connect)|DistNetworkError",
        ),
        "A process of the server did not reach another one over the network.",
        "",
        alternatives=(
            Alternative(
                "They use an address or an interface at which nobody answers.",
                "'getent hosts $(hostname)' gives no address of 'ip -brief address'.",
                "name the interface in GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME, or the address in VLLM_HOST_IP"
                " (vllm_env_extra).",
            ),
            Alternative(
                "The other process has ended before.",
                "a worker of the log says its last word earlier than the others; 'dmesg | grep -i -e oom -e xid'.",
                "see to that process.",
            ),
            Alternative(
                "A firewall is between them.",
                "several nodes serve together, or the host's firewall filters its own addresses.",
                "admit the nodes' private network.",
            ),
        ),
    ),
)

_GPU_FIRST = (
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
                "take it out.",
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
            r"\b[Ee]rror 802\b|cudaErrorSystemNotReady|CUDA_ERROR_SYSTEM_NOT_READY",
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
            r"\b[Ee]rror 803\b|cudaErrorSystemDriverMismatch|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
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
            r"\b[Ee]rror 804\b|cudaErrorCompatNotSupportedOnDevice|CUDA_ERROR_COMPAT_NOT_SUPPORTED",
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
        (r"driver version is insufficient for CUDA runtime version|cudaErrorInsufficientDriver|\b[Ee]rror 35\b",),
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
        (r"Xid \([^)]*\): (?P<xid>13|31|32|43|45|69|109)\b",),
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
            r"(?:Xid \(PCI|NVRM: Xid)[^)]*\): (?P<xid>(?!(?:13|31|32|43|45|69|109)\b)\d+)",
            r"CUDA error: hardware stack error|CUDA_ERROR_HARDWARE_STACK_ERROR|cudaErrorContained",
        ),
        "A GPU reports a fault of its own.",
        "See 'dmesg | grep -i xid' and nvidia-smi; reset the GPU or reboot. If it comes again, have the node"
        " exchanged.",
        detail="It is Xid {xid}.",
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
        " --output=/var/run/cdi/nvidia.yaml', then run the play again.",
        detail="It is {name}.",
    ),
    Signature(
        "unknown-gpu",
        "GPU that the host does not have",
        (r"device error: (?:(?P<name>\S+): )?unknown device",),
        "The container is to have a GPU that the host does not have, or has lost.",
        "See 'nvidia-smi -L' and correct vllm_gpus; where a GPU is missing there, see 'dmesg | grep -i xid'.",
        detail="It is {name}.",
    ),
)

_GPU = (
    Signature(
        "no-gpu-runtime",
        "Docker cannot give GPUs to containers",
        (
            r"could not select device driver \"(?:cdi|nvidia)\"",
            r"adding custom device \"(?:/dev/nvidia|nvidia\.com/)",
            r"could not select device driver \"?\"? ?with capabilities: \[\[gpu",
            r"failed to discover GPU vendor from CDI",
            r"AMD CDI spec not found",
            r"CDI specs for required vendor amd\.com not found",
            r"CDI device injection failed",
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
                "reset the GPUs or reboot; have the node exchanged if it comes again.",
                decides=r"NVRM: Xid|Xid \(PCI",
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
        "Set NCCL_DEBUG=INFO in vllm_env_extra: the first line with WARN says which call failed. 'unhandled system"
        " error' mostly is shared memory, a limit or a network interface ('df -h /dev/shm', vllm_ipc_mode: host);"
        " 'unhandled cuda error' a GPU, its memory or the fabric (nvidia-smi, 'dmesg | grep -i xid'); 'remote error'"
        " another process that ended before.",
        advice="'{usage}' mostly means that NCCL_SOCKET_IFNAME names no interface of the container.",
        severity="hint",
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
        "A kernel on the GPU was given a value out of its bounds: mostly an index, such as a token that the embedding"
        " does not have.",
        "CUDA_LAUNCH_BLOCKING=1 in vllm_env_extra names the kernel. See that model, draft and tokenizer belong"
        " together and that no weights are dummy; the log has 'Assertion ... failed' above.",
        locate=True,
    ),
    Signature(
        "cuda-fault",
        "CUDA error while running",
        (
            r"illegal memory access|CUDA error: (?:unspecified launch failure|misaligned address"
            r"|an illegal instruction)",
            r"CUDA_ERROR_(?:ILLEGAL_ADDRESS|LAUNCH_FAILED)",
            r"(?P<what>CUBLAS_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR)|CUDNN_STATUS_(?:EXECUTION_FAILED"
            r"|INTERNAL_ERROR))",
        ),
        "A kernel failed on the GPU. The line is where it was noticed, not where it failed.",
        "CUDA_LAUNCH_BLOCKING=1 in vllm_env_extra names the kernel.",
        alternatives=(
            Alternative(
                "The kernel has an error, in this version or with these settings.",
                "it comes again at the same place, and is gone with one of these in vllm_engine_args_extra, tried one"
                " by one: enforce-eager: true; kv-cache-dtype: null; speculative-config: null; another"
                " attention-backend.",
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
            r"no CUDA-capable device is detected|cudaErrorNoDevice|CUDA_ERROR_NO_DEVICE|\b[Ee]rror 100\b",
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

_ENGINE = (
    Signature(
        "kv-cache-dtype",
        "KV cache type not supported",
        (
            r"kv_cache_dtype not supported",
            r"(?i)does not support (?:fp8|quantized|\w+) kv[- _]?cache",
            r"[Uu]nsupported (?:kv[_ ]?cache|data type of kv cache|kv_cache_dtype)",
            r"kv[_-]cache[_-]dtype.*(?:not supported|unsupported|not implemented|invalid)",
            r"(?i)fp8 kv[- _]?cache.*not (?:yet )?(?:supported|implemented)",
            r"FlashAttention does not support \w*fp8",
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
            r"No valid attention backend found.*Reasons: \{(?P<why>.+)\}",
            r"No valid attention backend found",
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
        "quantization",
        "Quantization not supported",
        (
            r"Unknown quantization method: '?(?P<name>[\w-]+)",
            r"does not match the quantization method specified",
            r"quantization is (?:currently )?not supported",
            r"[Qq]uantization method (?P<name>\S+) is not supported",
            r"[Nn]o (?:compatible|supported) .*(?:quantization|kernel)",
            r"[Uu]nsupported (?:quantization|quant)|Quantization scheme is not supported",
            r"[Ff]ailed to find a kernel that can implement",
            r"No compressed-tensors compatible scheme",
        ),
        "This vLLM cannot run the model's quantization on this hardware.",
        "Leave quantization to the model's own config.json, or choose a model in another format or another image.",
        detail="It is {name}.",
    ),
    Signature(
        "moe-backend",
        "No kernels for the experts",
        (
            r"No (?P<name>\w+) MoE backend supports the deployment",
            r"MoE backend '(?P<name>\w+)' does not support the deployment",
        ),
        "This vLLM has no kernels for the model's experts that suit the quantization, the GPU and the parallelism"
        " together.",
        "Take out moe-backend and the environment variables that choose one (VLLM_USE_FLASHINFER_MOE_*), change"
        " tensor or expert parallelism, or choose another image.",
        detail="It is about {name}.",
    ),
    Signature(
        "compile-cache",
        "Compiled graph that is stale or broken",
        (
            r"vLLM failed to compile the model\. The most likely reason",
            r"^AssertionError: Expected tensors only, but got",
            r"increment_version expects each element of the iterable to be a tensor",
        ),
        "A compiled graph of the model in the cache is stale or broken: a compilation before this one failed, or"
        " another version made it.",
        "Remove vllm_state_dir/cache/torch_compile_cache on the host and run the play again; the graphs are compiled"
        " anew.",
    ),
    Signature(
        "all-reduce-workspace",
        "FlashInfer's all-reduce is not ready",
        (r"Flashinfer (?:allreduce )?workspace must be initialized",),
        "The compiled graph fuses all-reduce with the next normalization, for which FlashInfer could not make its"
        " workspace, or which a cached graph expects that was compiled before.",
        "Look in the log for 'Failed to initialize FlashInfer All Reduce workspace', which says why. Remove"
        " vllm_state_dir/cache/torch_compile_cache on the host; if it comes again, serve without the fusion"
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
        "A kernel for the GPU could not be compiled while the server started: the compiler refuses the code of"
        " DeepGEMM, mostly because it is too old for this GPU.",
        "Choose an image with the CUDA toolkit of a version that knows the GPU (for Blackwell 12.9 or newer); what"
        " the compiler said stands in the log above the evidence. VLLM_USE_DEEP_GEMM=0 in vllm_env_extra serves"
        " without DeepGEMM.",
    ),
    Signature(
        "compile-killed",
        "Compiler killed for lack of memory",
        (
            r"FAILED: \[code=137\]",
            r"Killed signal terminated program (?P<name>\w+)",
            r"(?:nvcc error|cicc|ptxas|cudafe\+\+|cc1plus|ninja|nvcc).*(?:died due to signal 9|signal 9|[Kk]illed"
            r"|exit code 137"
            r"|code 137|status 137|exit status 137)",
            r"CalledProcessError: .*(?:nvcc|ninja|cicc|g\+\+).*(?:SIGKILL|non-zero exit status (?:137|-9))",
            r"(?:SubprocException|subprocess).*(?:SIGKILL|signal 9)",
        ),
        "A compiler that builds kernels for the GPU was killed (code 137): one of them takes up to 8 GiB, and as many"
        " run at once as there are processors, which is more memory than the host or the container's limit has.",
        "Set MAX_JOBS=4 and FLASHINFER_NVCC_THREADS=1 in vllm_env_extra, or take away the container's limit of"
        " memory. 'dmesg | grep -i -e oom-kill -e killed' shows it. An image with ready-made kernels"
        " (flashinfer-jit-cache) compiles nothing.",
    ),
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (
            r"(?:[Cc]ould not find|not find|No such file or directory:?) [`'\"]?(?P<name>\S*nvcc)\b",
            r"(?P<name>nvcc): (?:command )?not found",
            r"(?P<name>CUDA_HOME) environment variable is not set",
        ),
        "A kernel for the GPU could not be compiled while the server started: the image has no CUDA compiler.",
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
        "A kernel for the GPU could not be compiled while the server started: the image has no working C or C++"
        " compiler.",
        "Choose an image that brings the compiler (gcc and g++). Without, it serves with enforce-eager: true only"
        " where no kernel is to be compiled.",
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
                "set VLLM_ENGINE_READY_TIMEOUT_S in vllm_env_extra to more seconds than the load takes, such as 3600;"
                " see that the disk is fast.",
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
                "nvidia-smi shows GPUs at 0 % or 100 % for minutes, or 'dmesg | grep -i xid' shows a fault; 'py-spy"
                " dump --pid PID' of the workers shows where.",
                "restart the server; see to the fault. Try NCCL_NVLS_ENABLE=0 or disable-custom-all-reduce: true.",
                decides=r"NVRM: Xid|Xid \(PCI",
            ),
            Alternative(
                "It compiles kernels at a first request, on slow or few processors.",
                "'top' shows nvcc, cicc or ptxas.",
                "raise VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS in vllm_env_extra; the next start finds them compiled.",
            ),
            Alternative(
                "A worker has ended.",
                "'dmesg | grep -i -e oom -e killed' names it.",
                "see to the memory.",
            ),
        ),
    ),
)

_START = (
    Signature(
        "exec-format",
        "Image of another architecture",
        (r"exec format error", r"cannot execute binary file"),
        "The kernel cannot execute the image's program.",
        "",
        alternatives=(
            Alternative(
                "The image is made for another processor architecture.",
                "'docker image inspect --format {{.Architecture}} IMAGE' and 'uname -m' differ.",
                "choose the image for this host's architecture.",
            ),
            Alternative(
                "The entry point is a script without a first line (#!), or an empty or damaged file.",
                "they agree.",
                "correct the entry point (recipe: engine.entrypoint), or pull the image again.",
            ),
        ),
    ),
    Signature(
        "entrypoint-missing",
        "Command not in the image",
        (
            r"exec: \"(?P<name>[^\"]+)\": .*(?:not found|no such file)",
            r"exec: (?:line )?\d*:? ?(?P<name>[\w./-]+): not found",
            r"(?P<name>\b(?:vllm|python3?|bash|sh|serve)): (?:command )?not found$",
            r"can't open file '(?P<name>[^']+)'",
            r"No module named (?P<name>vllm[\w.]*)$",
            r"Error while finding module specification for '(?P<name>[\w.]+)'",
        ),
        "The image has no such command.",
        "Choose an image of vLLM, or the entry point that it has (recipe: engine.entrypoint, such as [vllm, serve]).",
        detail="It is {name}.",
        exit_codes=(126, 127),
    ),
    Signature(
        "mount-failed",
        "Folder that cannot be mounted",
        (
            r"bind source path does not exist: (?P<name>\S+)",
            r"error mounting \"(?P<name>(?!proc\"|sysfs\"|devpts\"|cgroup\""
            r"|mqueue\")[^\"]+)\".*(?P<why>not a directory|permission denied"
            r"|no such file or directory"
            r"|read-only file system|input/output error|operation not permitted)",
            r"invalid mount config|error mounting \"(?P<name>(?!proc\"|sysfs\"|devpts\"|cgroup\"|mqueue\")[^\"]+)\""
            r"|mounts denied",
            r"error while creating mount source path '(?P<name>[^']+)'",
        ),
        "Docker could not mount a folder into the container.",
        "See that it is there, is a folder where a folder is wanted, and that the engine may read it (network file"
        " systems with root_squash, snap's and rootless engines may not); then run the play again.",
        detail="It is {name}.",
    ),
    Signature(
        "docker-network",
        "Docker's rules of the firewall are gone",
        (r"iptables failed: .*(?:No chain/target/match by that name|Chain 'DOCKER\S*' does not exist)",),
        "Docker cannot publish the server's port: something has removed its rules from the firewall, mostly a reload"
        " of the firewall.",
        "Run 'systemctl restart docker', which writes them again, then the play.",
    ),
    Signature(
        "container-limits",
        "Limit that Docker may not set",
        (r"error setting rlimit type (?P<name>\d+)",),
        "Docker may not give the container a limit that its settings ask for: it runs without the rights, or the"
        " host's own limit is lower.",
        "Lower default-ulimits in Docker's daemon.json, or let the engine run as root with a higher limit.",
        detail="It is limit {name}, by the kernel's number.",
    ),
    Signature(
        "illegal-instruction",
        "Processor too old for the image",
        (
            r"(?<!an )[Ii]llegal instruction(?! was)|SIGILL",
            r"Failed core proc\(s\): \{'[^']+': -4\b",
            r"exit code: -4\b",
        ),
        "The image uses instructions that this processor does not have.",
        "Choose an image that is built for this processor.",
        exit_codes=(132,),
    ),
    Signature(
        "segfault",
        "Crash in native code",
        (
            r"[Ss]egmentation fault|SIGSEGV|Segfault encountered",
            r"Failed core proc\(s\): \{'[^']+': -11\b",
            r"exit code: -11\b",
        ),
        "A process of the server crashed in native code.",
        "Search vLLM's issues for the newest lines of the log; try another version of the image.",
        severity="hint",
        exit_codes=(139,),
    ),
    Signature(
        "aborted",
        "Aborted in native code",
        (r"Failed core proc\(s\): \{[^}]*'[^']+': -6\b", r"exit code: -6\b"),
        "A process of the server ended itself in native code (SIGABRT).",
        "The lines above have what it said last: 'terminate called', 'what():', 'Assertion', 'watchdog'. Search"
        " vLLM's issues for that, or try another version of the image.",
        severity="hint",
        exit_codes=(134,),
        alternatives=(
            Alternative(
                "NCCL's watchdog waited for another GPU in vain.",
                "the log has 'watchdog' or 'collective operation timeout'.",
                "see 'dmesg | grep -i xid', and the worker that says least.",
                decides=r"[Ww]atchdog (?:caught|thread)|collective operation timeout",
            ),
            Alternative(
                "A check inside a library failed, or memory of the process was damaged.",
                "the log has 'what():', 'Assertion', 'free()' or 'malloc()'.",
                "try another version of the image, without what was put on top of it (image.pip).",
            ),
        ),
    ),
    Signature(
        "bad-configuration",
        "Settings that contradict each other",
        (r"^\s+(?:Value error|Input should|Field required|Assertion failed)",),
        "vLLM refuses its settings.",
        "Correct the engine's arguments as the evidence says, in vllm_engine_args_extra or in the recipe.",
        severity="hint",
        within=r"validation errors? for \w+Config",
    ),
    Signature(
        "killed",
        "Killed",
        (
            r"Failed core proc\(s\): \{[^}]*'[^']+': -9\b",
            r"exit code: -9\b",
            r"^Killed$",
        ),
        "A process of the server was killed from outside.",
        "",
        severity="hint",
        exit_codes=(137,),
        alternatives=(
            Alternative(
                "The kernel did it for lack of memory, of the host or of the container's limit.",
                "'dmesg | grep -i -e oom -e killed', or 'docker inspect --format {{.State.OOMKilled}} CONTAINER'.",
                "take away or raise the limit, or end what else uses memory.",
                decides=r"oom-kill|Out of memory: Killed",
            ),
            Alternative(
                "The engine did it: a stop that took longer than its limit, or its own restart.",
                "'journalctl -u docker' names the container at that time.",
                "run the play again.",
            ),
            Alternative(
                "A person or another program did it.",
                "neither of them has a word of it.",
                "run the play again.",
            ),
        ),
    ),
    Signature(
        "worker-died",
        "A process of the server died",
        (
            r"Worker proc (?P<name>\S+) died unexpectedly",
            r"Engine core proc (?P<name>\S+) died unexpectedly",
            r"engine core exited unexpectedly",
            r"Got fatal signal from worker processes",
            r"Engine core initialization failed",
        ),
        "A process of the server died without a word.",
        "",
        detail="It is {name}.",
        severity="hint",
        alternatives=(
            Alternative(
                "The kernel killed it for lack of memory.",
                "'dmesg | grep -i -e oom -e killed' names it.",
                "take away the container's limit of memory, or end what else uses memory.",
                decides=r"oom-kill|Out of memory: Killed",
            ),
            Alternative(
                "It crashed in native code, or a GPU failed under it.",
                "'dmesg | grep -i -e segfault -e xid' names it.",
                "try another version of the image; for Xid see to the GPU.",
                decides=r"SIGSEGV|[Ss]egmentation fault|Segfault encountered",
            ),
            Alternative(
                "A person or a program ended it, or its own words are further up than the lines that were read.",
                "'docker logs CONTAINER 2>&1 | grep -n -m3 -e ERROR -e Traceback'.",
                "go by the first error there.",
            ),
        ),
    ),
    Signature(
        "engine-died",
        "Engine died while serving",
        (r"EngineDeadError|EngineCore encountered an issue",),
        "The engine died while it served. Its server then ends with exit code 0, which says nothing.",
        "See the log above that line; the play starts the server again.",
        severity="hint",
    ),
)

_LAST = (
    Signature(
        "container-not-started",
        "Docker could not start the container",
        (
            r"OCI runtime create failed: (?P<what>.+)",
            r"failed to create (?:task|shim)",
            r"driver failed programming external connectivity",
        ),
        "Docker could not start the container.",
        "See the evidence; 'journalctl -u docker' has more.",
        severity="hint",
    ),
    Signature(
        "stopped",
        "Stopped",
        (),
        "The server has ended without an error: a person or a program told it to stop.",
        "Run the play again; it starts the server.",
        severity="hint",
        exit_codes=(0, 143),
    ),
)

# The compiler's own exceptions stand around any other cause, such as a full disk.
_COMPILER = (
    Signature(
        "kernel-compile",
        "Kernels could not be compiled",
        (
            r"(?P<what>error: .+)",
            r"(?P<what>ptxas (?:fatal|error).*)",
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

SIGNATURES: tuple[Signature, ...] = (
    *_COMMAND_LINE,
    *_DRAFT,
    *_SPECULATION,
    *_KERNELS,
    *_MODEL_FILES,
    *_FABRIC,
    *_MEMORY,
    *_GPU_FIRST,
    *(replace(signature, outside=True) for signature in TOOLKIT),
    *_GPU,
    *_ENGINE,
    *_SYSTEM,
    *_PACKAGES,
    *_COMPILER,
    *_START,
    *(replace(signature, outside=True) for signature in ENGINE),
    *_LAST,
)
