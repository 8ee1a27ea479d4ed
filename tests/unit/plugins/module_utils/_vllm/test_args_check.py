# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check of a command line, against stand-ins of the docker command and of the layouts that vLLM has had.

The end-to-end tests run it against a real vLLM.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._docker.cli import DockerError
from ansible_collections.hgx.inference.plugins.module_utils._vllm.args_check import read_args

PARSER = "from argparse import ArgumentParser as FlexibleArgumentParser\n"
SERVER_ARGS = """
def make_arg_parser(parser):
    print("an import that talks")
    parser.add_argument("--model", required=True)
    parser.add_argument("--tool-call-parser")
    parser.add_argument("--reasoning-parser")
    return parser
def validate_parsed_serve_args(args):
    if args.model == "bad":
        raise TypeError("This model cannot be served.")
"""
TOOL_PARSERS = """
class ToolParserManager:
    @staticmethod
    def list_registered():
        return ["kimi_k2", "hermes"]
"""
LAYOUTS = {
    "old": {
        "vllm/utils/__init__.py": PARSER,
        "vllm/entrypoints/openai/cli_args.py": SERVER_ARGS,
        "vllm/entrypoints/openai/tool_parsers.py": TOOL_PARSERS,
    },
    "new": {
        "vllm/utils/argparse_utils.py": PARSER,
        "vllm/entrypoints/launchers/cli_args.py": SERVER_ARGS,
        "vllm/tool_parsers.py": TOOL_PARSERS,
    },
    "unknown": {"vllm/utils/__init__.py": ""},
}


def check(folder: Path, layout: str, args: list[str], gpus: str = "") -> tuple[dict[str, Any], list[str]]:
    """Return the reading and the words of its call of docker."""
    for name, content in LAYOUTS[layout].items():
        (folder / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "site" / name).write_text(content)
    for package in {file.parent for file in (folder / "site").rglob("*.py")}:
        (package / "__init__.py").touch()
    # The last two words are -c and the program.
    (folder / "docker").write_text(
        f"#!/bin/bash\nprintf '%s\\n' \"$@\" >'{folder}/words'\n"
        f"PYTHONPATH='{folder}/site' exec '{sys.executable}' \"${{@: -2}}\"\n"
    )
    (folder / "docker").chmod(0o755)
    program = (
        "import json\n"
        "from ansible_collections.hgx.inference.plugins.module_utils._vllm.args_check import read_args\n"
        f"print(json.dumps(read_args('some/image:tag', {args!r}, {gpus!r}, 60)._asdict()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": f"{folder}:/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[5] / "collections")},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout), (folder / "words").read_text().splitlines()


@pytest.mark.parametrize("layout", ["old", "new"])
def test_good_arguments(tmp_path: Path, layout: str) -> None:
    args = ["--model", "{{ braces }}", "--tool-call-parser", "kimi_k2"]
    result, words = check(tmp_path, layout, args)
    assert result == {"problems": [], "unchecked": ""}
    assert "--gpus" not in words
    assert words[words.index("--entrypoint") + 1 : -2] == ["python3", "some/image:tag"]


@pytest.mark.parametrize("layout", ["old", "new"])
@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (
            ["--model", "x", "--tool-kall-parser", "y"],
            "unrecognized arguments: --tool-kall-parser y\nFix: Correct the",
        ),
        (["--model", "x", "--tool-kall-parser", "y"], "Nearest known: --tool-call-parser"),
        ([], "the following arguments are required: --model"),
        (["--model", "bad"], "This model cannot be served."),
        (["--model", "x", "--tool-call-parser", "kimi_k9"], "'kimi_k9' (choose from hermes, kimi_k2)"),
    ],
)
def test_bad_arguments(tmp_path: Path, layout: str, args: list[str], problem: str) -> None:
    result, _words = check(tmp_path, layout, args)
    (found,) = result["problems"]
    assert problem in found


def test_an_unknown_layout_is_said_and_not_taken_for_a_mistake(tmp_path: Path) -> None:
    result, _words = check(tmp_path, "unknown", ["--model", "x"])
    assert result["problems"] == []
    assert "ModuleNotFoundError" in result["unchecked"]


@pytest.mark.parametrize(("gpu_request", "words"), [("runtime", "--gpus all"), ("cdi", "--device nvidia.com/gpu=all")])
def test_gpus(tmp_path: Path, gpu_request: str, words: str) -> None:
    _result, asked = check(tmp_path, "new", ["--model", "x"], gpus=gpu_request)
    assert f" {words} " in " ".join(asked)


def test_a_container_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").write_text(
        "#!/bin/sh\necho 'could not select device driver \"\" with capabilities: [[gpu]]' >&2\nexit 125\n"
    )
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(DockerError) as caught:
        read_args("some/image:tag", [], "runtime", 60)
    assert str(caught.value).startswith(
        "The command line could not be checked with some/image:tag: Docker could not give the GPUs"
    )
    assert "  could not select device driver" in str(caught.value)
