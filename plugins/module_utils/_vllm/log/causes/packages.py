# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes: Packages in the image."""

from __future__ import annotations

from ...._core.causes import Alternative, Signature
from .remedies import CHECK_WEIGHTS, RECORDED

PACKAGES = (
    Signature(
        "library-missing",
        "Missing shared library",
        (
            r"^(?:OSError|ImportError|.*error while loading shared libraries): (?P<name>lib(?:GL|glib|gthread|SM|X\w+"
            r"|gomp|numa|ibverbs|rdmacm|hwloc|mpi|ssl|crypto|stdc\+\+|ffi|sndfile|av\w+|jemalloc|tcmalloc\w*)[-.\d]"
            r"\S*?): cannot open shared object",
        ),
        "The image lacks a shared library of the system that a Python package needs.",
        "Choose an image that has it, or derive one that installs it ('apt-file search' names the package: libgl1 for"
        " libGL, libnuma1 for libnuma, libibverbs1 for libibverbs).",
        detail="It is {name}.",
    ),
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
        "library-missing",
        "Missing shared library",
        (r"\[FAIL\] .*?(?P<name>libcudart\.so)\b",),
        "The loader of the weights (load-format: fastsafetensors) opens CUDA's runtime by a name that the image lacks.",
        "Choose an image that has it (CUDA's development package), or leave load-format out.",
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
        (r"No such file or directory: '\S*/blobs/(?P<what>[^/']+\.py)'",),
        "This transformers cannot use the Python code that the model brings: mostly it is newer than that code.",
        "Pin the transformers of the recipe in its image.pip. If it is that one: " + CHECK_WEIGHTS,
        detail="It shows in {what}.",
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        (r"Failed to apply prompt replacement for mm_items",),
        "The model's code for images does not give what vLLM expects: mostly this transformers does not fit the model.",
        f"Correct the recipe's image.pip. {RECORDED}",
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
        "remote-code-cache",
        "The model's own code is not found",
        (r"No module named '(?P<name>transformers_modules[\w.]*)'",),
        "A process of the server does not find the Python code that the model brings and that transformers has copied"
        " to a folder of modules.",
        "Remove vllm_state_dir/cache/hf_modules on the host and run the play again. trust-remote-code must be set, and"
        " HF_MODULES_CACHE must be one folder for all processes that all may read.",
        detail="It is {name}.",
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        # Python names a part only where the package itself is there.
        (r"ModuleNotFoundError: No module named '(?P<what>\w+\.[\w.]+)'",),
        "A Python package of the image lacks a part of itself, or one that another package expects.",
        "",
        detail="It is {what}.",
        alternatives=(
            Alternative(
                "It has another version than the package that imports it expects: one was put on top of the image.",
                "'pip check' in the container names them, or it starts without image.pip of the recipe.",
                f"correct the recipe's image.pip. {RECORDED}",
            ),
            Alternative(
                "A folder of that name comes before the package, such as a checkout of its source.",
                "'python3 -c \"import NAME; print(NAME.__file__)\"' in the container names another place than"
                " site-packages.",
                "rename or unmount that folder, or start the server in another one.",
            ),
            Alternative(
                "It is installed in part: built without CUDA, or the build was broken off.",
                "its folder in site-packages has no file of that name.",
                "pull or build the image again.",
            ),
        ),
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
            r"operator (?P<what>\w+)::\w+ does not exist",
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
                f"correct transformers and tokenizers in the recipe's image.pip. {RECORDED}",
            ),
            Alternative("The file is damaged.", "the same role finds it so.", "let it fetch the file again."),
        ),
    ),
    Signature(
        "package-conflict",
        "Packages that do not fit each other",
        (
            r"AttributeError: module '(?P<what>cutlass[\w.]*)' has no attribute",
            r"ImportError: cannot import name '\w+' from '(?P<what>cutlass[\w.]*)'",
            r"TypeError: (?P<what>mlir_global_dtors\(\)) missing",
        ),
        "The package nvidia-cutlass-dsl does not fit the kernels that are written in it: it has another version than"
        " they expect, or files of its parts (libs-base, libs-cu13) have replaced each other.",
        "'pip list | grep cutlass' in the container shows their versions. Take out of the recipe's image.pip what has"
        " changed them, or choose another release of the image.",
        detail="It shows in {what}.",
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
        f" pin the version that this vLLM admits. If it is empty, choose another image. {RECORDED}",
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
                f"correct the recipe's image.pip. {RECORDED}",
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
        f"Correct the recipe's image.pip. {RECORDED}",
        within=r"tokenization_\w+\.py|tokenizers/\w+\.py|tokenization_utils",
    ),
)
