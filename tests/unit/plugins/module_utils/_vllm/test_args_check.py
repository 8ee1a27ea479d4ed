# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check of a command line, against stand-ins of the docker command and of the layouts that vLLM has had.

The end-to-end tests run it against a real vLLM.
"""

from __future__ import annotations

import _ctypes
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._docker.cli import DockerError
from ansible_collections.hgx.inference.plugins.module_utils._vllm.args_check import read_args
from ansible_collections.hgx.inference.plugins.module_utils._vllm.release import normalize

PARSER = "from argparse import ArgumentParser as FlexibleArgumentParser\n"
SERVER_ARGS = """
def make_arg_parser(parser):
    print("an import that talks")
    parser.add_argument("--model", required=True)
    parser.add_argument("--tool-call-parser")
    parser.add_argument("--reasoning-parser")
    parser.add_argument("--load-format", default="auto")
    parser.add_argument("--max-model-len", type=int, default=1)
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
ENGINE = """
import os
MESSAGE = '''1 validation error for ModelConfig
  Value error, User-specified max_model_len (9) is greater than the derived max_model_len (max_position_embeddings=4.0
 or model_max_length=None in model's config.json). [type=value_error, input_value=ArgsKwargs(()), input_type=ArgsKwargs]
    For further information visit https://errors.pydantic.dev/2.14/v/value_error'''
class Missing(FileNotFoundError, ValueError):
    pass
class AsyncEngineArgs:
    @classmethod
    def from_cli_args(cls, args):
        engine = cls()
        engine.length = args.max_model_len
        return engine
    def create_engine_config(self, usage_context):
        print("a configuration that talks")
        assert usage_context == "server" and os.environ.get("HOME") != "refuse"
        if self.length > 8:
            raise ValueError(MESSAGE.replace("4.0\\n", "4.0"))
        if self.length == 7:
            raise Missing("the weights are not in the cache")
        if self.length == 6:
            raise RuntimeError("CUDA out of memory")
        if self.length == 5:
            raise SystemExit(3)
"""
USAGE = """
class UsageContext:
    OPENAI_API_SERVER = "server"
"""
MODEL = {"vllm/engine/arg_utils.py": ENGINE, "vllm/usage/usage_lib.py": USAGE}
LAYOUTS = {
    "old": {
        "vllm/utils/__init__.py": PARSER,
        "vllm/entrypoints/openai/cli_args.py": SERVER_ARGS,
        "vllm/entrypoints/openai/tool_parsers.py": TOOL_PARSERS,
        **MODEL,
    },
    "new": {
        "vllm/utils/argparse_utils.py": PARSER,
        "vllm/entrypoints/launchers/cli_args.py": SERVER_ARGS,
        "vllm/tool_parsers.py": TOOL_PARSERS,
        **MODEL,
    },
    "no engine": {
        "vllm/utils/argparse_utils.py": PARSER,
        "vllm/entrypoints/launchers/cli_args.py": SERVER_ARGS,
        "vllm/tool_parsers.py": TOOL_PARSERS,
    },
    "unknown": {"vllm/utils/__init__.py": ""},
}


def check(
    folder: Path, layout: str, args: list[str], with_model: bool = False, **spec: Any
) -> tuple[dict[str, Any], list[str]]:
    """Return the reading and the words of its call of docker."""
    spec = normalize({"command": ["vllm", "serve", *args], **spec})
    for name, content in LAYOUTS[layout].items():
        (folder / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "site" / name).write_text(content)
    for package in {file.parent for file in (folder / "site").rglob("*.py")}:
        (package / "__init__.py").touch()
    (folder / "site" / "vllm").mkdir(exist_ok=True)
    (folder / "site" / "vllm" / "__init__.py").write_text('__version__ = "0.19.2rc1.dev134+cu130"\n')
    # The last two words are -c and the program.
    (folder / "docker").write_text(
        f"#!/bin/bash\nprintf '%s\\n' \"$@\" >'{folder}/words'\n"
        f"LD_LIBRARY_PATH='{folder}' PYTHONPATH='{folder}/site' exec '{sys.executable}' \"${{@: -2}}\"\n"
    )
    (folder / "docker").chmod(0o755)
    program = (
        "import json\n"
        "from ansible_collections.hgx.inference.plugins.module_utils._vllm.args_check import read_args\n"
        f"print(json.dumps(read_args('some/image:tag', {spec!r}, {with_model}, 60)._asdict()))\n"
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
    assert result == {"problems": [], "unchecked": "", "version": "0.19.2rc1.dev134+cu130"}
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


@pytest.mark.parametrize(
    ("loader", "module", "package"),
    [
        ("fastsafetensors", "fastsafetensors", "fastsafetensors"),
        ("runai_streamer", "runai_model_streamer", "runai-model-streamer"),
    ],
)
def test_a_loader_needs_its_package_in_the_image(tmp_path: Path, loader: str, module: str, package: str) -> None:
    (found,) = check(tmp_path, "new", ["--model", "x", "--load-format", loader])[0]["problems"]
    assert f"argument --load-format: '{loader}' needs the Python package {package}, which" in found
    assert f"\nFix: add {package}==VERSION to vllm_image_pip" in found
    assert found.count("Fix:") == 1
    (tmp_path / "site" / f"{module}.py").touch()
    (tmp_path / "site" / "torch.py").write_text("class version:\n    cuda = None\n")
    assert check(tmp_path, "new", ["--model", "x", "--load-format", loader])[0]["problems"] == []


def test_a_loader_needs_its_library_in_the_image(tmp_path: Path) -> None:
    args = ["--model", "x", "--load-format", "fastsafetensors"]
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "fastsafetensors.py").touch()
    (tmp_path / "site" / "torch.py").write_text("class version:\n    cuda = '13.0'\n")
    # This machine may have it, so another file stands before it.
    library = tmp_path / "libcudart.so"
    library.write_text("no library")
    (found,) = check(tmp_path, "new", args)[0]["problems"]
    assert "opens the library libcudart.so by this name, which the image does not have\nFix: choose an" in found
    library.unlink()
    library.symlink_to(_ctypes.__file__)  # any library that can be opened will do
    assert check(tmp_path, "new", args)[0]["problems"] == []


def test_an_unknown_layout_is_said_and_not_taken_for_a_mistake(tmp_path: Path) -> None:
    result, _words = check(tmp_path, "unknown", ["--model", "x"])
    assert result["problems"] == []
    assert "ModuleNotFoundError" in result["unchecked"]


@pytest.mark.parametrize("layout", ["old", "new"])
def test_values_that_the_model_does_not_take(tmp_path: Path, layout: str) -> None:
    args = ["--model", "x", "--max-model-len", "9"]
    result, _words = check(tmp_path, layout, args, with_model=True)
    (found,) = result["problems"]
    assert "max_model_len (9) is greater than the derived max_model_len" in found
    assert "Fix: Lower max-model-len" in found
    assert "type=value_error" not in found
    assert "pydantic.dev" not in found
    assert check(tmp_path, layout, args)[0]["problems"] == [], "the weights are not here yet"


@pytest.mark.parametrize("length", [1, 5, 6, 7], ids=["fits", "exit", "GPU in use", "missing file"])
def test_what_only_the_check_runs_into_refuses_nothing(tmp_path: Path, length: int) -> None:
    result, _words = check(tmp_path, "new", ["--model", "x", "--max-model-len", str(length)], with_model=True)
    assert result == {"problems": [], "unchecked": "", "version": "0.19.2rc1.dev134+cu130"}


def test_another_engine_refuses_nothing(tmp_path: Path) -> None:
    result, _words = check(tmp_path, "no engine", ["--model", "x", "--max-model-len", "9"], with_model=True)
    assert result == {"problems": [], "unchecked": "", "version": "0.19.2rc1.dev134+cu130"}


def test_the_model_is_read_as_the_server_would(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    mounts = [f"{cache}:/root/.cache/huggingface:ro", f"{cache}:/run/secrets:ro", f"{tmp_path}/no:/root/.cache/vllm:rw"]
    spec = {"env": {"A": "{{ braces }}", "VLLM_LOGGING_LEVEL": "DEBUG"}, "mounts": mounts}
    _result, words = check(tmp_path, "new", ["--model", "x"], with_model=True, **spec)
    assert [word for word in words if word.startswith(str(tmp_path))] == mounts[:1]
    assert "A={{ braces }}" in words
    assert words.index("VLLM_LOGGING_LEVEL=ERROR") > words.index("VLLM_LOGGING_LEVEL=DEBUG")
    assert words[words.index("--network") + 1] == "none"


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
        read_args("some/image:tag", normalize({"gpus": "runtime"}), False, 60)
    assert str(caught.value).startswith(
        "The command line could not be checked with some/image:tag: Docker could not give the GPUs"
    )
    assert "  could not select device driver" in str(caught.value)
