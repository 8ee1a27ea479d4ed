# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a check that runs inside a vLLM image: its own parser reads a command line. No model is loaded.

Where the model's files are at hand, vLLM then makes its configuration of it, as a server does before it uses a GPU.

Prints one JSON object: C({"version": "0.19.1", "problems": [...], "options": [...]}) or, where this version of vLLM is
laid out in another way, C({"version": "0.19.1", "unchecked": reason}).
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import io
import json
import sys
from collections.abc import Iterator
from typing import Any

# Where the versions of vLLM keep it, newest first.
PARSER_CLASS = ("vllm.utils.argparse_utils", "vllm.utils")
SERVER_ARGS = ("vllm.entrypoints.launchers.cli_args", "vllm.entrypoints.openai.cli_args")
TOOL_PARSERS = ("vllm.tool_parsers", "vllm.entrypoints.openai.tool_parsers")
REASONING_PARSERS = ("vllm.reasoning",)
# What loaders of weights need that vLLM does not: the module and its package, by the value of load-format.
LOADERS = {
    "fastsafetensors": ("fastsafetensors", "fastsafetensors"),
    "runai_streamer": ("runai_model_streamer", "runai-model-streamer"),
    "runai_streamer_sharded": ("runai_model_streamer", "runai-model-streamer"),
    "tensorizer": ("tensorizer", "tensorizer"),
}

# Packages of Python bring it with a number at its end, which fastsafetensors (0.1.15 to 0.3.3) does not ask for.
CUDA_RUNTIME = "libcudart.so"


def main(job: dict[str, Any]) -> None:
    """Check C(job["argv"]), the server's arguments without its command; with C(job["model"]) against the model, too.

    C(options) are all that the parser knows.
    """
    output = sys.stdout
    # vLLM's imports and its parser print to both streams.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            parser = _first(SERVER_ARGS, "make_arg_parser")(_first(PARSER_CLASS, "FlexibleArgumentParser")())
            problems = list(_problems(parser, job["argv"], errors, job["model"]))
            result: dict[str, Any] = {"problems": problems, "options": sorted(parser._option_string_actions)}
        except (ImportError, AttributeError) as exc:
            result = {"unchecked": f"{type(exc).__name__}: {exc}"}
        version = getattr(sys.modules.get("vllm"), "__version__", "")
    output.write(json.dumps({"version": version, **result}) + "\n")


def _problems(parser: Any, argv: list[str], errors: io.StringIO, with_model: bool) -> Iterator[str]:
    validate = _first(SERVER_ARGS, "validate_parsed_serve_args")
    try:
        args = parser.parse_args(argv)
        validate(args)
    except SystemExit:
        # The usage comes first, and is long.
        yield errors.getvalue().rpartition("error: ")[2].strip()
        return
    except (TypeError, ValueError) as exc:
        yield str(exc)
        return
    # The parser takes any name; the server looks it up only when it starts.
    unknown = [*_unknown_parsers(args), *_missing_loader(args)]
    yield from unknown
    if with_model and not unknown:
        yield from _unfit(args)


def _unfit(args: Any) -> Iterator[str]:
    """Yield why vLLM's configuration refuses the model with these options.

    Only what it says of values counts. The rest may be due to this container, which has no network, and whose GPUs are
    in use.
    """
    try:
        engine = importlib.import_module("vllm.engine.arg_utils").AsyncEngineArgs.from_cli_args(args)
        context = importlib.import_module("vllm.usage.usage_lib").UsageContext.OPENAI_API_SERVER
        engine.create_engine_config(usage_context=context)
    except ValueError as exc:
        if not isinstance(exc, OSError):  # a file that is missing
            # pydantic adds its own type of the error, the input and a link.
            lines = (line.partition(" [type=")[0] for line in str(exc).splitlines() if "errors.pydantic" not in line)
            yield "\n".join(lines)
    except (Exception, SystemExit):  # pylint: disable=broad-except
        return


def _unknown_parsers(args: Any) -> Iterator[str]:
    """Yield the names of parsers that this vLLM does not have."""
    for name, modules, manager in (
        ("tool_call_parser", TOOL_PARSERS, "ToolParserManager"),
        ("reasoning_parser", REASONING_PARSERS, "ReasoningParserManager"),
    ):
        value = getattr(args, name, None)
        known = sorted(_first(modules, manager).list_registered()) if value else []
        if value and value not in known:
            yield f"argument --{name.replace('_', '-')}: invalid choice: {value!r} (choose from {', '.join(known)})"


def _missing_loader(args: Any) -> Iterator[str]:
    """Yield what the loader of the weights lacks. vLLM itself misses it only after its engine has started."""
    name = str(getattr(args, "load_format", None) or "")
    module, package = LOADERS.get(name, ("", ""))
    if module and importlib.util.find_spec(module) is None:
        yield (
            f"argument --load-format: {name!r} needs the Python package {package}, which the image does not have\n"
            f"Fix: add {package}==VERSION to vllm_image_pip (image.pip of the recipe), or leave load-format out."
        )
    elif name == "fastsafetensors" and _lacks(CUDA_RUNTIME):
        yield (
            f"argument --load-format: {name!r} opens the library {CUDA_RUNTIME} by this name, which the image does not"
            " have\nFix: choose an image that has it (CUDA's development package), or leave load-format out."
        )


def _lacks(library: str) -> bool:
    """Return whether a vLLM for NVIDIA's GPUs does not find a library of CUDA."""
    if importlib.import_module("torch").version.cuda is None:
        return False
    try:
        ctypes.CDLL(library)
    except OSError:
        return True
    return False


def _first(modules: tuple[str, ...], name: str) -> Any:
    """Return what is called C(name) in the first of the modules that exists. Raises ImportError or AttributeError."""
    for module in modules[:-1]:
        with contextlib.suppress(ImportError):
            return getattr(importlib.import_module(module), name)
    return getattr(importlib.import_module(modules[-1]), name)
