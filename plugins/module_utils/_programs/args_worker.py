# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of a check that runs inside a vLLM image: its own parser reads a command line. No model is loaded.

Prints one JSON object: C({"problems": [...], "options": [...]}) or, where this version of vLLM is laid out in another
way, C({"unchecked": reason}).
"""

from __future__ import annotations

import contextlib
import importlib
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


def main(job: dict[str, Any]) -> None:
    """Check C(job["argv"]), the server's arguments without its command.

    C(options) are all that the parser knows.
    """
    output = sys.stdout
    # vLLM's imports and its parser print to both streams.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            parser = _first(SERVER_ARGS, "make_arg_parser")(_first(PARSER_CLASS, "FlexibleArgumentParser")())
            problems = list(_problems(parser, job["argv"], errors))
            result: dict[str, Any] = {"problems": problems, "options": sorted(parser._option_string_actions)}
        except (ImportError, AttributeError) as exc:
            result = {"unchecked": f"{type(exc).__name__}: {exc}"}
    output.write(json.dumps(result) + "\n")


def _problems(parser: Any, argv: list[str], errors: io.StringIO) -> Iterator[str]:
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
    for name, modules, manager in (
        ("tool_call_parser", TOOL_PARSERS, "ToolParserManager"),
        ("reasoning_parser", REASONING_PARSERS, "ReasoningParserManager"),
    ):
        value = getattr(args, name, None)
        known = sorted(_first(modules, manager).list_registered()) if value else []
        if value and value not in known:
            yield f"argument --{name.replace('_', '-')}: invalid choice: {value!r} (choose from {', '.join(known)})"


def _first(modules: tuple[str, ...], name: str) -> Any:
    """Return what is called C(name) in the first of the modules that exists. Raises ImportError or AttributeError."""
    for module in modules[:-1]:
        with contextlib.suppress(ImportError):
            return getattr(importlib.import_module(module), name)
    return getattr(importlib.import_module(modules[-1]), name)
