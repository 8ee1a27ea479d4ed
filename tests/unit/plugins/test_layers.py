# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packages of module_utils form layers: a package imports only from the layers below its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MODULE_UTILS = Path(__file__).parents[3] / "plugins" / "module_utils"
# Lowest first. Packages of one layer know nothing of each other.
LAYERS = (
    {"_programs"},
    {"_core"},
    {"_apt", "_docker", "_model"},
    {"_gateway", "_hf", "_lambda", "_nvidia", "_span"},
    {"_preflight", "_vllm"},
    {"_benchmark"},
    {"_endpoint", "_monitoring", "_proof"},
    {"_recipe"},
)
LAYER_OF = {package: number for number, packages in enumerate(LAYERS) for package in packages}


def imported_packages(source: str, depth: int) -> set[str]:
    """Return the packages of module_utils that a module imports which lies C(depth) folders below it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == depth + 1:
            found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level > depth + 1:
            found.add("..")
        elif isinstance(node, ast.ImportFrom) and "ansible_collections" in (node.module or ""):
            found.add(str(node.module))
    return found


def forbidden_imports(path: Path, source: str) -> set[str]:
    """Return the packages that a module must not import but does."""
    parts = path.relative_to(MODULE_UTILS).with_suffix("").parts
    own = LAYER_OF[parts[0]]
    return {
        package
        for package in imported_packages(source, len(parts) - 1)
        if package != parts[0] and LAYER_OF.get(package, len(LAYERS)) >= own
    }


@pytest.mark.parametrize(
    "path", sorted(MODULE_UTILS.rglob("*.py")), ids=lambda path: path.relative_to(MODULE_UTILS).as_posix()
)
def test_a_package_imports_only_lower_layers(path: Path) -> None:
    assert forbidden_imports(path, path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("module", "line", "forbidden"),
    [
        ("_hf/cache.py", "from .._vllm import release", {"_vllm"}),
        ("_hf/cache.py", "from .._lambda.client import Client", {"_lambda"}),
        ("_hf/cache.py", "from .._core.progress import ProgressFile", set()),
        ("_vllm/log/watch.py", "from ..._endpoint.client import Api", {"_endpoint"}),
        ("_vllm/log/watch.py", "from ..args import render_args", set()),
        ("_programs/supervisor.py", "from .._core.timestamp import epoch", {"_core"}),
        ("_recipe.py", "from ._benchmark.metrics import METRICS", set()),
        ("_core/files.py", "from ...plugin_utils import _progress", {".."}),
    ],
)
def test_a_forbidden_import_is_found(module: str, line: str, forbidden: set[str]) -> None:
    assert forbidden_imports(MODULE_UTILS / module, line) == forbidden
