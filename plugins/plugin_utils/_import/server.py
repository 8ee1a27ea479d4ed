# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a command that starts a server: C(docker run), C(vllm serve), or vLLM's module of Python. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...module_utils._core.secrets import is_secret_name, scrub, scrubbed
from ...module_utils._vllm.args import option_name
from .shell import split_assignments, split_commands

SERVER_MODULE = "vllm.entrypoints.openai.api_server"
_SHELLS = ("bash", "sh", "/bin/bash", "/bin/sh")
# What docker run takes without a value; everything else has one.
_FLAGS = {
    *("-d", "--detach", "-i", "--interactive", "-t", "--tty", "-it", "-ti", "-dit", "-itd", "--rm", "--init"),
    *("--privileged", "--read-only", "-P", "--publish-all"),
}
# How a container of ours runs is our own matter, so these are left out with a note.
_OWN = {
    *("--name", "--restart", "--rm", "-d", "--detach", "-i", "-t", "-it", "-ti", "-dit", "-itd", "--interactive"),
    *("--tty", "--init", "--network", "--net", "--hostname", "-h", "--ulimit", "--label", "-l", "--pull", "--user"),
    *("--security-opt", "--cap-add", "--cap-drop", "--log-driver", "--log-opt", "--health-cmd", "--memory", "-w"),
    *("--workdir", "-P", "--publish-all"),
}
_SHORT = {"-e": "--env", "-v": "--volume", "-p": "--publish", "--mount": "--volume"}
# Where vLLM finds its files in a container: our role decides that.
_PLACES = {"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_CACHE"}
# Variables by which a container gets its GPUs.
_GPU_VARIABLES = ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE]-?\d+)?")
# What a shell or a reader replaces: a variable, the output of a command, a placeholder.
_REPLACED = re.compile(r"[$`]|<[A-Za-z][\w .-]*>")
# vLLM's own short names.
_ALIASES = {
    "-tp": "tensor-parallel-size",
    "-pp": "pipeline-parallel-size",
    "-dp": "data-parallel-size",
    "-dcp": "decode-context-parallel-size",
    "-pcp": "prefill-context-parallel-size",
    "-ep": "enable-expert-parallel",
    "-cc": "compilation-config",
    "-ac": "attention-config",
    "-sc": "speculative-config",
    "-O": "optimization-level",
    "-q": "quantization",
    "-asc": "api-server-count",
    "-n": "nnodes",
    "-r": "node-rank",
}


@dataclass
class Server:
    """What a command says of a server. C(notes) tells what was read and is not in the recipe."""

    model: str = ""
    args: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    image: str = ""
    tag: str = ""
    digest: str = ""
    pip: list[str] = field(default_factory=list)
    gpus: str = ""
    ipc: str = ""
    shm_gib: float = 0
    notes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether a command that serves a model was found."""
        return bool(self.model)


class NotUnderstood(Exception):
    """A part of a command that cannot be read, and must not be dropped silently."""


def read_commands(commands: Iterable[Sequence[str]], server: Server) -> bool:
    """Add what commands say to C(server), with a note on each that says nothing of one; return whether any does.

    Raises NotUnderstood.
    """
    found = False
    for words in commands:
        if read_command(words, server):
            found = True
        else:
            shown = " ".join(split_assignments(words)[1][:3])
            server.notes.append(scrub(f"The command '{shown} ...' was left out: it starts no server."))
    return found


def read_command(words: Sequence[str], server: Server) -> bool:
    """Add what a command says to C(server); return whether it is one of a server, of pip or an assignment.

    Raises NotUnderstood.
    """
    variables, rest = split_assignments(words)
    if not rest:
        take_env(variables, server)
        return bool(variables)
    if rest[:2] in (["docker", "exec"], ["podman", "exec"], ["uv", "run"]):
        rest = rest[next((place for place in range(2, len(rest)) if server_words(rest[place:]) is not None), 0) :]
    program = rest[0]
    if program == "export":
        take_env(dict(word.partition("=")[::2] for word in rest[1:] if "=" in word), server)
    elif program in ("pip", "pip3", "uv") and "install" in rest:
        _take_pip(rest, server)
    elif program in _SHELLS:
        return read_commands(_script(rest), server)
    elif program in ("docker", "podman") and rest[1:2] == ["run"]:
        return _read_docker(rest[2:], variables, server)
    elif server_words(rest) is not None:
        inner = Server()
        read_server(server_words(rest) or [], inner)
        _take_server(inner, variables, server)
    else:
        return False
    return True


def _script(words: Sequence[str]) -> list[list[str]]:
    """Return the commands of C(sh -c SCRIPT NAME WORDS); none without a script. C("$@") in it stands for the words."""
    place = next((index for index, word in enumerate(words) if re.fullmatch(r"-[a-z]*c", word)), len(words))
    commands = [split_assignments(each) for script in words[place + 1 : place + 2] for each in split_commands(script)]
    return [
        [*(f"{name}={value}" for name, value in variables.items()), *(words[place + 3 :] if rest == ["$@"] else rest)]
        for variables, rest in commands
    ]


def _take_server(found: Server, variables: Mapping[str, str], server: Server) -> None:
    if server.complete:
        raise NotUnderstood(f"a second command that starts a server, of {found.model}: give one of them alone")
    take_env({**variables, **found.env}, server)
    server.model, server.args = found.model, found.args
    server.pip += found.pip
    server.notes += found.notes


def server_words(words: Sequence[str]) -> list[str] | None:
    """Return the words after C(vllm serve) or vLLM's module, or None if it is another command."""
    if list(words[:2]) == ["vllm", "serve"]:
        return list(words[2:])
    if words and re.fullmatch(r"(?:.*/)?python[\d.]*", words[0]) and list(words[1:3]) == ["-m", SERVER_MODULE]:
        return list(words[3:])
    return None


def read_options(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the positional words at the start, and the options by name with values as a recipe has them."""
    first = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    options: dict[str, Any] = {}
    rest = list(words[first:])
    while rest:
        word = re.sub(r"^-O(?=\d)", "-O=", rest.pop(0))
        name, equals, value = word.partition("=")
        values = [value] if equals else []
        while not equals and rest and not _is_option(rest[0]):
            values.append(rest.pop(0))
        _put(options, _full_name(name), values)
    return list(words[:first]), options


def _put(options: dict[str, Any], name: str, values: list[str]) -> None:
    """Add one option. Dots of a name with dashes become a mapping, as vLLM takes them."""
    if not values:
        plain = name.removeprefix("no-")
        options[plain] = plain == name
    elif is_secret_name(name.replace("-", "_").upper()):
        options[name] = None
    else:
        options[name] = _value(values[0]) if len(values) == 1 else [_value(value) for value in values]


def _full_name(name: str) -> str:
    short, dot, inside = name.partition(".")
    if short in _ALIASES:
        return f"{_ALIASES[short]}{dot}{inside}"
    if not name.startswith("--"):
        raise NotUnderstood(f"the option {name}")
    plain = name[2:]
    return plain if dot else option_name(plain)


def _is_option(word: str) -> bool:
    return word.startswith("-") and not _NUMBER.fullmatch(word) and len(word) > 1


def _value(text: str) -> Any:
    """Return a value as YAML has it: JSON as a mapping, numbers as numbers."""
    if text[:1] in "{[":
        try:
            return json.loads(text)
        except ValueError as exc:
            raise NotUnderstood(f"the value {text[:80]!r} is no JSON ({exc})") from exc
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _NUMBER.fullmatch(text):
        return float(text) if re.search(r"[.eE]", text) else int(text)
    _require_written_out(text)
    return text


def _require_written_out(text: str) -> None:
    if _REPLACED.search(text):
        raise NotUnderstood(f"the variable in {text!r}: replace it with its value")


def read_server(words: Sequence[str], server: Server) -> None:
    """Add the model and the options of vLLM's own words to C(server). Raises NotUnderstood."""
    positional, options = read_options(words)
    named = options.pop("model", None)
    if len(positional) > 1 or (positional and named):
        raise NotUnderstood(f"the words {' '.join(positional)}, of which one must be the model")
    model = str(positional[0] if positional else named or "")
    if not model:
        raise NotUnderstood("a server without a model")
    _require_written_out(model)
    if "config" in options:
        raise NotUnderstood("--config: put the options of its file into the command")
    for name, value in list(options.items()):
        if value is not None and scrubbed({name: value}) == {name: value}:
            continue
        del options[name]
        server.notes.append(f"--{name} was left out: a secret comes from the environment (VLLM_API_KEY).")
    server.model, server.args = model, options


def _read_docker(words: list[str], variables: Mapping[str, str], server: Server) -> bool:
    """Read what follows C(docker run); return whether it is a server. Pages also run others, such as nvidia-smi."""
    options: dict[str, list[str]] = {}
    while words and words[0].startswith("-"):
        name, equals, value = words.pop(0).partition("=")
        if name in _FLAGS:
            value = ""
        elif not equals:
            if not words:
                raise NotUnderstood(f"docker run {name} without a value")
            value = words.pop(0)
        options.setdefault(_SHORT.get(name, name), []).append(value)
    if not words:
        raise NotUnderstood("docker run without an image")
    image, *command = words
    entrypoint = (options.get("--entrypoint") or [""])[-1]
    inner = Server()
    if entrypoint or not _is_arguments(image, command):
        command = [entrypoint, *command] if entrypoint else command
        if not read_command(command, inner) or not inner.complete:
            if "vllm" in image:
                raise NotUnderstood(f"the container's command {' '.join(command[:4])}")
            return False
    else:
        read_server(command, inner)  # the image's own entry point is the server
    _take_server(inner, variables, server)
    _take_docker_options(options, server)
    take_image(image, server)
    return True


def _is_arguments(image: str, words: Sequence[str]) -> bool:
    """Return whether the words after an image can be those of vLLM's own entry point."""
    if words[:1] in (["vllm"], *([shell] for shell in _SHELLS)) or server_words(words) is not None:
        return False
    return "vllm" in image or "--model" in words or bool(re.fullmatch(r"[\w.-]+/[\w.-]+", "".join(words[:1])))


def _take_docker_options(options: Mapping[str, list[str]], server: Server) -> None:
    for name, values in options.items():
        if name == "--env":
            take_env(dict(value.partition("=")[::2] for value in values), server)
        elif name == "--gpus" or (name == "--device" and "nvidia.com/gpu=all" in values):
            if values not in (["all"], ["nvidia.com/gpu=all"]):
                raise NotUnderstood(f"{name} {values[0]}: a recipe has all GPUs of its host, or none")
            server.gpus = "all"
        elif name == "--runtime" and values == ["nvidia"]:
            server.gpus = "all"
        elif name == "--ipc":
            server.ipc = values[-1]
        elif name == "--shm-size":
            server.shm_gib = _gibibytes(values[-1])
        elif name == "--volume":
            others = [value for value in values if "huggingface" not in value]
            server.notes += [f"The volume {value} was left out: a recipe has no files of its own." for value in others]
        elif name == "--publish":
            server.notes.append(f"The published port {values[-1]} is vllm_port and vllm_bind_address in the inventory.")
        elif name == "--env-file":
            raise NotUnderstood("--env-file: put its variables into the command")
        elif name != "--entrypoint" and name not in _OWN:
            raise NotUnderstood(f"docker run {name} {values[-1]}".rstrip())


def _gibibytes(size: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:([gm])b?)", size.lower())
    if not found:
        raise NotUnderstood(f"--shm-size {size}: give it in g or m")
    return float(found[1]) / (1 if found[2] == "g" else 1024)


def take_image(reference: str, server: Server) -> None:
    """Add an image to C(server). Raises NotUnderstood."""
    _require_written_out(reference)
    name, _at, digest = reference.partition("@")
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        path, tag = name, ""
    server.image, server.tag, server.digest = path, tag, digest


def take_env(variables: Mapping[str, str], server: Server) -> None:
    """Add variables to C(server), without secrets and what is ours to decide. Raises NotUnderstood."""
    for name, value in variables.items():
        if is_secret_name(name) or scrub(value) != value:
            server.notes.append(f"{name} was left out: a secret comes from the environment or a vault.")
        elif name in _PLACES:
            server.notes.append(f"{name} was left out: the roles decide where the weights are.")
        elif name == "NVIDIA_VISIBLE_DEVICES" and value != "all":
            raise NotUnderstood(f"{name}={value}: a recipe has all GPUs of its host, or none")
        elif name in _GPU_VARIABLES:
            server.gpus = "all"
        elif _REPLACED.search(value) or not value:
            raise NotUnderstood(f"the variable {name} without a value")
        else:
            server.env[name] = value


def _take_pip(words: Sequence[str], server: Server) -> None:
    packages = [word for word in words[words.index("install") + 1 :] if not word.startswith("-")]
    for package in packages:
        if package.partition("[")[0].partition("=")[0].partition(">")[0] == "vllm":
            server.notes.append(f"pip install {package}: the image has its own vLLM.")
        elif re.fullmatch(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==\S+", package):
            server.pip.append(package)
        else:
            server.notes.append(scrub(f"pip install {package} was left out: it is not pinned to a version."))
