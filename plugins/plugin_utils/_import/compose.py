# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a recipe of what a text says. Every value was read, follows by a rule that is told, or is missing. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from ...module_utils._benchmark.derive import DERIVED, derived_figures
from ...module_utils._core.units import GB
from ...module_utils._model.architecture import UnknownShape, read_shape
from ...module_utils._model.fit import split_of
from . import figures, maker
from .server import SERVER_MODULE, NotUnderstood, Server, read_commands
from .services import is_compose, read_compose
from .shell import code_blocks, find_commands, without_code

_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.\d+(?:[-+.]\w+)*")
_VLLM_PORT = 8000
_DRAFT = re.compile(r"speculative[-_]config\.")
_CLIENT = ["vllm", "bench", "serve"]
_READY_TIMEOUT_S = 3600
_CLAUDE = (
    *("ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL"),
    *("ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_FAST_MODEL"),
)
# Keys of a config.json that the sizes follow from.
_CONFIG_KEYS = re.compile(
    r"vocab_size|model_type|\w*hidden_size|\w*intermediate_size|\w*num_hidden_layers|num_attention_heads"
    r"|num_key_value_heads|\w*head_dim|\w*lora_rank|o_groups|n_routed_experts|num_local_experts|num_experts\w*"
    r"|n_shared_experts|first_k_dense_replace|moe_layer_freq|mlp_layer_types|layer_types|sliding_window|index_n_heads"
    r"|num_nextn_predict_layers|compress_ratios|max_position_embeddings|expert_dtype|quantization_config|torch_dtype"
    r"|dtype|tie_word_embeddings|sparse_attention_config|text_config|vision_config"
)


class Given(NamedTuple):
    """What a person adds to a text. Empty texts and an empty C(config) mean that nothing is added."""

    source: str = ""
    hardware: str = ""
    config: Mapping[str, Any] = {}


class Imported(NamedTuple):
    """A recipe, and of each path in it why it is so: C(derived) by which rule, C(missing) and what to do."""

    data: dict[str, Any]
    derived: dict[str, str]
    missing: dict[str, str]
    notes: list[str]


class _Draft:
    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.derived: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def put(self, path: str, value: Any, why: str = "") -> None:
        """Set a value. C(why) is the rule by which it follows; without one it was read."""
        *parents, last = path.split(".")
        place = self.data
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
        if why:
            self.derived[path] = why

    def lack(self, path: str, what: str, unknown: bool = False) -> None:
        """Mark a path as missing. An C(unknown) size is null, which a recipe may have; the rest is left out."""
        self.missing[path] = what
        if unknown:
            self.put(path, None)


def import_recipe(text: str, given: Given) -> Imported:
    """Return the recipe of a text: a page, a command, or a recipe of the vLLM project. Raises NotUnderstood."""
    if re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text):
        raise NotUnderstood("control characters: this is no text")
    hardware = figures.read_hardware(text) if not given.hardware else [figures.given_hardware(given.hardware)]
    data = _yaml(text)
    draft, loads = _Draft(), []
    if maker.is_makers(data):
        name = hardware[0].gpu_name if given.hardware and hardware else ""
        server, chosen = maker.read_makers(data, name)
        published: dict[str, float] = {}
        several: dict[str, list[float]] = {}
        hardware = hardware if given.hardware else []
        if hardware and not any(key.endswith("parallel-size") for key in server.args):
            server.args["tensor-parallel-size"] = hardware[0].gpu_count
            chosen["engine.args.tensor-parallel-size"] = "the strategy single_node_tp"
    else:
        server, chosen = Server(), {}
        loads = _read_commands(text, server)
        published, several = figures.read_figures(text)
    _require_numbers(server, loads)
    if not server.complete:
        raise NotUnderstood(
            " ".join(["no command that starts a server (docker run ... vllm, vllm serve).", *server.notes])
        )
    one = hardware[0] if len(hardware) == 1 else None
    _head(draft, text, data, server, given, one)
    _hardware(draft, server, one, hardware, given.config)
    _models(draft, server)
    _architecture(draft, given.config)
    _image(draft, server, chosen)
    _engine(draft, server, one, chosen)
    _load(draft, server, loads)
    _figures(draft, published, several)
    name = draft.data["engine"]["served_model_name"]
    draft.put("clients.claude_code", dict.fromkeys(_CLAUDE, name), "the served name")
    return Imported(draft.data, draft.derived, draft.missing, list(dict.fromkeys(server.notes)))


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return None


def _read_commands(text: str, server: Server) -> list[dict[str, Any]]:
    """Read all commands into C(server); return the loads of those of the benchmark client."""
    loads, others = [], []
    blocks = [(block, _yaml(block)) for block in code_blocks(text)]
    try:
        for words in (
            words
            for block, data in blocks
            for words in (read_compose(data) if is_compose(data) else find_commands(block))
        ):
            client = next((place for place in range(len(words)) if words[place : place + 3] == _CLIENT), None)
            if client is None:
                others.append(words)
                continue
            load, own = figures.read_load(words[client + 3 :])
            loads.append(load)
            if own:
                server.notes.append(f"Of the benchmark, --{', --'.join(own)} was left out: this collection sets it.")
        read_commands(others, server)
    except ValueError as exc:
        raise NotUnderstood(f"a command whose quotes do not end ({exc})") from exc
    return loads


def _require_numbers(server: Server, loads: list[dict[str, Any]]) -> None:
    """Raise NotUnderstood for an option that must be a whole number and is none."""
    sizes = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size", "port")
    wanted = {f"--{name}": server.args[name] for name in sizes if name in server.args}
    for load in loads:
        wanted |= {name: load[name] for name in ("input_len", "output_len", "max_concurrency") if name in load}
        wanted |= {"--num-prompts": load["sizes"]["full"]} if "sizes" in load else {}
    for name, value in wanted.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise NotUnderstood(f"{name} {value!r}, which must be a whole number above 0")


def _head(draft: _Draft, text: str, data: Any, server: Server, given: Given, one: figures.Hardware | None) -> None:
    heading = re.search(r"^#\s+(.+)$", without_code(text), re.MULTILINE) if not maker.is_makers(data) else None
    where = f" on {one.gpu_count} x {one.gpu_name}" if one and one.gpu_count else ""
    title = heading[1].strip() if heading and not heading[1].startswith("!") else ""
    if title:
        draft.put("title", title)
    else:
        draft.put("title", f"{server.model.rpartition('/')[2]}{where}", "model and hardware")
    links = re.search(r"^(?:source|from|url):\s*(https?://\S+)", text, re.MULTILINE | re.IGNORECASE)
    source = given.source or (links[1] if links else "")
    for key in ("command_source", "figures_source"):
        if source:
            draft.put(key, source)
        else:
            draft.lack(key, "where it was published; -e import_source=URL")
    draft.put("proven", False, "no run of this collection")


def _hardware(
    draft: _Draft,
    server: Server,
    one: figures.Hardware | None,
    every: list[figures.Hardware],
    config: Mapping[str, Any],
) -> None:
    if one and not one.gpu_count:
        draft.put("hardware.gpu_count", 0)
    else:
        _gpus(draft, server, one, every)
    draft.lack("hardware.memory_gib", "memory of the host", unknown=True)
    if server.shm_gib:
        draft.put("hardware.shm_gib", server.shm_gib)
    try:
        weights = math.ceil(read_shape(config).bytes / GB) if config else 0
    except UnknownShape:
        weights = 0
    if weights:
        draft.put("hardware.disk_gb.weights", weights, "the architecture of config.json, without a draft")
    else:
        draft.lack("hardware.disk_gb.weights", "the size of the weights; the preflight asks the hub", unknown=True)
    draft.lack("hardware.disk_gb.image", "the size of the image, unpacked", unknown=True)


def _gpus(draft: _Draft, server: Server, one: figures.Hardware | None, every: list[figures.Hardware]) -> None:
    gpus = split_of(server.args).gpus
    stated = any(name.endswith("parallel-size") for name in server.args)
    if one:
        draft.put("hardware.gpu_name", one.gpu_name)
    elif every:
        named = ", ".join(f"{each.gpu_count} x {each.gpu_name}" for each in every)
        draft.lack("hardware.gpu_name", f"the text names {named}; -e import_hardware=8xB200")
    else:
        draft.lack("hardware.gpu_name", "the GPU; -e import_hardware=8xB200")
    if stated or not one:
        why = "tensor x pipeline x data parallel size" if stated else "vLLM's default is one GPU"
        draft.put("hardware.gpu_count", gpus, why)
    else:
        draft.put("hardware.gpu_count", one.gpu_count)
    if one and one.is_hgx and gpus > 1:
        draft.put("hardware.fabric", True, "the GPUs of an HGX board talk through switches")
    if "cu13" in server.tag:
        draft.put("hardware.driver_min", "580", "CUDA 13 needs it")
    else:
        draft.lack("hardware.driver_min", "the oldest driver for the CUDA of the image")


def _models(draft: _Draft, server: Server) -> None:
    revision = server.args.pop("revision", None)
    models = [{"repo": server.model, "revision": str(revision or "main"), "role": "model"}]
    speculative = server.args.get("speculative-config")
    if not isinstance(speculative, Mapping):
        speculative = {name.partition(".")[2]: value for name, value in server.args.items() if _DRAFT.match(name)}
    if speculative.get("model") not in (None, server.model):
        models.append(
            {"repo": str(speculative["model"]), "revision": str(speculative.get("revision", "main")), "role": "draft"}
        )
    draft.put("models", models)
    if revision is None:
        draft.missing["models.revision"] = "no commit is named: vLLM takes main, and the first run records its commit"


def _architecture(draft: _Draft, config: Mapping[str, Any]) -> None:
    if config:
        draft.put("architecture", {"source": "the model's own config.json", "config": _kept(config)})
    else:
        draft.missing["architecture"] = "the model's config.json; -e import_config=FILE"


def _kept(config: Mapping[str, Any]) -> dict[str, Any]:
    inner = ("text_config", "vision_config")
    return {
        key: _kept(value) if key in inner and isinstance(value, Mapping) else value
        for key, value in config.items()
        if _CONFIG_KEYS.fullmatch(key) and value is not None
    }


def _image(draft: _Draft, server: Server, chosen: Mapping[str, str]) -> None:
    if server.image:
        draft.put("image.name", server.image)
    else:
        draft.put("image.name", "vllm/vllm-openai", "vLLM's own image, since the command names none")
    if server.tag and server.tag != "latest":
        draft.put("image.tag", server.tag)
    else:
        words = "latest moves with each release" if server.tag else "the command names none"
        draft.lack("image.tag", f"{words}: give a release, such as v0.25.1")
    draft.put("image.digest", server.digest or None)
    release = _RELEASE.fullmatch(server.tag)
    if chosen.get("image.vllm"):
        draft.put("image.vllm", chosen["image.vllm"])
    elif release:
        major, minor = int(release[1]), int(release[2])
        draft.put("image.vllm", f">={major}.{minor},<{major}.{minor + 1}", "the tag")
    else:
        draft.lack("image.vllm", "the versions of vLLM with which it works, such as >=0.25")
    draft.put("image.pip", list(server.pip))


def _engine(draft: _Draft, server: Server, one: figures.Hardware | None, chosen: Mapping[str, str]) -> None:
    args = dict(server.args)
    if one and not one.gpu_count:
        draft.put("container.gpus", None)
    elif server.gpus or (one and not server.image):
        draft.put("container.gpus", "all", "" if server.gpus else "the hardware has GPUs")
    elif split_of(args).gpus > 1:
        draft.put("container.gpus", "all", "several GPUs")
    else:
        draft.lack("container.gpus", "'all', or nothing for a server on CPUs", unknown=True)
    if server.ipc or split_of(args).gpus == 1:
        draft.put("container.ipc", server.ipc or None)
    else:
        draft.put("container.ipc", "host", "the workers of several GPUs talk through shared memory")
    draft.put("engine.entrypoint", ["python3", "-m", SERVER_MODULE], "the module behind 'vllm serve'")
    name = args.pop("served-model-name", None)
    names = name if isinstance(name, list) else [name]
    draft.put("engine.served_model_name", str(names[0] or server.model), "" if name else "vLLM's default")
    port = args.pop("port", None)
    draft.put("engine.port", int(port or _VLLM_PORT), "" if port else "vLLM's default")
    args.pop("host", None)
    draft.put("engine.ready_timeout_s", _READY_TIMEOUT_S, "this collection's for large models; no start is known")
    draft.put("engine.env", dict(server.env))
    draft.put("engine.args", args)
    draft.derived.update({path: why for path, why in chosen.items() if path.startswith("engine.args")})
    draft.put("profiles.published", {}, "the command as it is")


def _load(draft: _Draft, server: Server, loads: list[dict[str, Any]]) -> None:
    load = figures.merged_load(loads)
    if not loads:
        for key in ("input_len", "output_len", "max_concurrency", "sizes"):
            draft.lack(f"benchmark.{key}", "no 'vllm bench serve' in the text")
        draft.put("benchmark", {})
        return
    draft.put("benchmark", {})
    for key, value in load.items():
        draft.put(f"benchmark.{key}", value)
    for key in ("input_len", "output_len", "max_concurrency"):
        if key not in load:
            words = "the benchmarks of the text differ" if any(key in each for each in loads) else "not in the command"
            draft.lack(f"benchmark.{key}", words)
    count, full = load.get("max_concurrency"), (load.get("sizes") or {}).get("full")
    if count and full:
        sizes = {"quick": 6 * count, "smoke": 4 * count, "full": full}
        draft.put("benchmark.sizes", sizes, "6 and 4 waves; 'full' was read")
        draft.put("benchmark.ends_early", ["quick"], "2 waves mostly decide")
    if count and "warmup_prompts" not in load:
        draft.put("benchmark.warmup_prompts", count, "one full wave")
    if server.args.get("trust-remote-code") and "trust_remote_code" not in load:
        draft.put("benchmark.trust_remote_code", True, "the server's tokenizer is code of the repository")


def _figures(draft: _Draft, published: dict[str, float], several: dict[str, list[float]]) -> None:
    draft.put("published", published)
    for metric, values in several.items():
        shown = "; ".join(f"{value:g}" for value in values)
        draft.missing[f"published.{metric}"] = f"the text has several: {shown}. Which belongs to this command?"
    if not published and not several:
        draft.missing["published"] = "no figures in the text"
    load = draft.data["benchmark"]
    complete = {"max_concurrency", "output_len"} <= set(load)
    derived = derived_figures(published, load) if complete else {}
    draft.put("thresholds", _thresholds(published, derived), "this collection's tolerances, for each figure there is")


def _thresholds(published: Mapping[str, float], derived: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the limits: missed throughputs and TPOT fail a run, the rest warns."""
    wanted = (
        ("steady_output_throughput", ">=", "10%", "fail", None),
        ("output_throughput", ">=", "5%", "fail", ["full"]),
        ("total_token_throughput", ">=", "5%", "fail", ["full"]),
        ("mean_tpot_ms", "<=", "10%", "fail", ["smoke", "full"]),
        ("mean_ttft_ms", "<=", "10%", "warn", ["full"]),
        ("mean_itl_ms", "<=", "15%", "warn", ["smoke", "full"]),
        ("p99_ttft_ms", "<=", "20%", "warn", ["full"]),
        ("p99_tpot_ms", "<=", "20%", "warn", ["full"]),
        ("p99_itl_ms", "<=", "20%", "warn", ["full"]),
        ("acceptance_length", ">=", "10%", "warn", None),
    )
    limits = []
    for metric, op, tolerance, severity, sizes in wanted:
        source = "published" if metric in published else DERIVED if metric in derived else ""
        # Without a draft it is 1 whatever happens.
        if not source or (metric == "acceptance_length" and derived.get(metric, 2) < 1.1):
            continue
        limit = {"metric": metric, "op": op, "tolerance": tolerance, "severity": severity}
        limits.append({**limit, **({"sizes": sizes} if sizes else {}), "source": source})
    return limits
