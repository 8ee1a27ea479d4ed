# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes: The hub and the model's files."""

from __future__ import annotations

from ...._core.causes import Alternative, Signature
from .remedies import CHECK_WEIGHTS, RECORDED

_CDN = (
    "A download server behind the hub (its CDN) has refused a signed address with 403. The hub itself had admitted"
    " the request, so the token is right."
)

# Registries of images and buckets of one's own sign addresses in the same way.
_OF_THE_HUB = r"^(?!.*(?:docker\.|registry|/v2/|httpReadSeeker|when calling the)).*"
_BUCKET = r"botocore|boto3|runai_"

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

MODEL_FILES = (
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
            rf"{_OF_THE_HUB}403.*(?:cdn-lfs|xethub|cas-bridge|cas-server|cloudfront|X-Amz-|Expires=|Signature=)",
            rf"{_OF_THE_HUB}(?:cdn-lfs|xethub|cas-bridge|cas-server|cloudfront)\S*.*(?:\b403\b|Forbidden)",
            rf"{_OF_THE_HUB}(?:RequestTimeTooSkewed|Request has expired|ExpiredToken|SignatureDoesNotMatch)",
        ),
        _CDN,
        "",
        alternatives=_CDN_CAUSES,
        without=_BUCKET,
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
                "accept the licence, or give the token the permission; then run the role hgx.inference.hf_cache.",
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
            r"\b(?:ConnectError|ConnectTimeout|ConnectionError|NewConnectionError|MaxRetryError|NameResolutionError"
            r"|ReadTimeout)\b",
            r"Temporary failure in name resolution",
            r"Name or service not known",
        ),
        "The server asks the hub for a file, and the hub does not answer.",
        "Fetch the models with the role hgx.inference.hf_cache and serve them offline (HF_HUB_OFFLINE=1), or see to"
        " network and proxy.",
        within=r"huggingface|hf_hub|hf_api|hf_xet|transformers/|cached_file",
    ),
    Signature(
        "hub-unreachable",
        "Hub out of reach",
        (r"JSONDecodeError: ",),
        "Something else than the hub answers at its address: what comes is no JSON, as of a sign-in page, a proxy or a"
        " mirror.",
        "See who answers: 'curl -i https://huggingface.co/api/models/MODEL' on the host; HF_ENDPOINT and HTTPS_PROXY"
        " lead there. A server that has its models in the cache needs no hub (HF_HUB_OFFLINE=1).",
        within=r"(?s)(?=.*(?:huggingface|hf_api|transformers/))(?:.*)(?:requests/models\.py|httpx/_models\.py|hf_api\.py)",
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
        ),
        "A file of the weights is damaged or cut short.",
        CHECK_WEIGHTS,
    ),
    Signature(
        "corrupt-weights",
        "Damaged weights",
        # Caches and messages between processes are pickled, too.
        (r"invalid load key|PytorchStreamReader failed|failed finding central directory",),
        "A file of the weights is damaged or cut short.",
        CHECK_WEIGHTS,
        within=r"weight_utils|model_loader|load_weights|load_state_dict|checkpoint",
    ),
    Signature(
        "corrupt-weights",
        "Damaged weights",
        (r"[Cc]hecksum (?:mismatch|does not match)|[Cc]onsistency check failed|[Hh]ash mismatch|sha256.*mismatch",),
        "A file of the weights is damaged or cut short.",
        CHECK_WEIGHTS,
        within=r"safetensors|hugging|hf_hub|hf_xet|weight|shard|models--",
    ),
    Signature(
        "file-unreadable",
        "File that cannot be read to its end",
        (
            r"(?P<what>[Ii]nput/output error|os error 5\b|Stale file handle|os error 116\b|Transport endpoint is not"
            r" connected|os error 107\b)",
        ),
        "The file system of a file that the server needs, or the disk below it, does not deliver what it has.",
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
        (r"Converting from (?:Tiktoken|SentencePiece) failed", r"Couldn't instantiate the backend tokenizer"),
        "transformers cannot build the tokenizer from the files that the model has.",
        "",
        alternatives=(
            Alternative(
                "A package that reads them is missing: tiktoken, sentencepiece or protobuf.",
                "'pip show tiktoken sentencepiece protobuf' in the container does not find one.",
                "add it to image.pip of the recipe.",
            ),
            Alternative(
                "This transformers does not know this kind of tokenizer, or the server may not run the model's own.",
                "the recipe's image.pip pins another transformers, or trust-remote-code is not set.",
                f"correct that. {RECORDED}",
            ),
            Alternative(
                "A file of the tokenizer is missing.",
                "the role hgx.inference.hf_cache with hf_cache_verify: true finds it so.",
                "let that role fetch it.",
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
        CHECK_WEIGHTS,
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
        CHECK_WEIGHTS,
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
            r"No such file or directory: '(?:[^']*/)?config\.json'|have a file named config\.json",
            r"It looks like the config file at .* is not a valid JSON file",
        ),
        "The model's config.json is missing or broken.",
        CHECK_WEIGHTS,
    ),
    Signature(
        "config-missing",
        "No config.json",
        (r"Unrecognized model in|Should have a `model_type` key in its config\.json",),
        "transformers does not know what model this is.",
        "",
        alternatives=(
            Alternative(
                "The model's config.json is broken, or of another kind of repository.",
                "the file on the host has no model_type.",
                "correct the model's name in the recipe, or run the role hgx.inference.hf_cache again with"
                " hf_cache_verify: true.",
            ),
            Alternative(
                "The transformers of the image is older than the model.",
                "the file has a model_type, which is not in the list of the message.",
                f"correct transformers in image.pip of the recipe, or choose a newer image. {RECORDED}",
            ),
        ),
    ),
    Signature(
        "broken-json-file",
        "Broken JSON file of the model",
        (r"JSONDecodeError: ",),
        "A JSON file of the model is damaged or cut short: the index of its weights, its tokenizer or its"
        " configuration.",
        CHECK_WEIGHTS,
        within=r"weight_utils|[Tt]okeniz|transformers/|transformers_utils/|configuration_utils",
        without=r"requests/models\.py|httpx/_models\.py|hf_api\.py",
    ),
    Signature(
        "trust-remote-code",
        "Model that brings its own code",
        (
            r"--trust-remote-code",
            # transformers asks so where the code is not needed, too, and goes on.
            r"(?<!avoid this prompt in future by passing the argument `)trust_remote_code=True",
            r"requires you to execute the \w+ file",
            r"Error: .*contains custom code which must be executed",
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
        f" of the weights may be damaged. {CHECK_WEIGHTS}",
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
