# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recipes made of published texts, against those written by hand; and what an import refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.plugins.module_utils._recipe import RecipeError, resolve
from ansible_collections.hgx.inference.plugins.plugin_utils._import.compose import Given, Imported, import_recipe
from ansible_collections.hgx.inference.plugins.plugin_utils._import.figures import read_figures, read_hardware
from ansible_collections.hgx.inference.plugins.plugin_utils._import.render import render, summary
from ansible_collections.hgx.inference.plugins.plugin_utils._import.server import SERVER_MODULE, NotUnderstood

ROOT = Path(__file__).parents[5]
TEXTS = ROOT / "tests" / "unit" / "fixtures" / "imports"
EXPLAINED: dict[str, dict[str, str]] = yaml.safe_load((TEXTS / "differences.yml").read_text(encoding="utf-8"))
EVERY = EXPLAINED.pop("every")
COMPOSE = """services:
  vllm:
    image: vllm/vllm-openai:v0.25.1
    environment: [A=1, "HF_TOKEN=${HF_TOKEN}"]
    ipc: host
    command: >
      --model o/n
      --tensor-parallel-size 8
      --x '{"a": "b c"}'
    deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}
  web:
    image: ghcr.io/web:main
    environment: {OPENAI_API_KEY: k3y}
"""
MAKERS = """model:
  model_id: o/n
  docker_image: localhost:5000/v/vllm:v1
  base_args: [--seed, 1, --api-key, k3y]
  base_env: {A: 1, HF_TOKEN: k3y}
"""
LEAST = "docker run --gpus all vllm/vllm-openai:v0.25.1 org/name --max-model-len 4096"


def imported(name: str) -> Imported:
    about = EXPLAINED[name]
    given = Given(about.get("source", ""), about["hardware"] if name.endswith(".yaml") else "")
    return import_recipe((TEXTS / name).read_text(encoding="utf-8"), given)


def by_hand(name: str) -> dict[str, Any]:
    path = ROOT / "recipes" / f"{EXPLAINED[name]['recipe']}.yml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def flat(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, data


def differences(one: Any, other: Any) -> set[str]:
    first, second = dict(flat(one)), dict(flat(other))
    nothing = object()
    return {path for path in {*first, *second} if first.get(path, nothing) != second.get(path, nothing)}


def covers(prefix: str, path: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}.")


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_difference_is_explained_and_every_explanation_needed(name: str) -> None:
    found = differences(imported(name).data, by_hand(name))
    own = {path for path in EXPLAINED[name] if path not in ("recipe", "source")}
    if not name.endswith(".yaml"):
        assert [path for path in own if not any(covers(path, each) for each in found)] == []
    assert [path for path in found if not any(covers(prefix, path) for prefix in {*own, *EVERY})] == []


def test_the_round_trip_of_the_published_command() -> None:
    """All that the published command, the table and the benchmark say is in the first recipe, and nothing else."""
    made, hand = imported("kimi_k2_6.md").data, by_hand("kimi_k2_6.md")
    for part in ("engine", "models", "container", "published"):
        assert made[part] == hand[part], part
    for key in ("name", "tag", "digest", "pip"):
        assert made["image"][key] == hand["image"][key]
    assert {**made["benchmark"], "time_limit_s": 3600} == hand["benchmark"]


@pytest.mark.parametrize("name", EXPLAINED)
def test_the_file_is_yaml_with_a_comment_for_all_that_was_not_read(name: str) -> None:
    made = imported(name)
    text = render(made, name)
    assert yaml.safe_load(text) == made.data
    comments = " ".join(line.strip("# ") for line in text.splitlines() if "#" in line)
    for why in made.derived.values():
        assert f"derived: {why}" in text
    for path, what in made.missing.items():
        assert " ".join(what.split()) in comments or f"missing: {path}" in comments, path
    assert max(map(len, text.splitlines())) < 200


def test_the_first_import_is_a_valid_recipe_and_others_say_what_they_lack() -> None:
    assert resolve(imported("kimi_k2_6.md").data, "published")["thresholds"][0]["value"] == pytest.approx(1439, abs=1)
    with pytest.raises(RecipeError) as refused:
        resolve(imported("kimi_k2_7_code.md").data, "published")
    assert refused.value.problems == ["image.tag: missing; it must be a text."]


def test_figures_of_two_engines_are_not_chosen_from() -> None:
    made = imported("glm_5_2.md")
    assert made.data["published"] == {}
    assert "1454.07; 1264.08" in made.missing["published.output_throughput"]


def test_a_config_gives_sizes() -> None:
    config = {**by_hand("kimi_k2_6.md")["architecture"]["config"], "auto_map": {"x": "y"}}
    made = import_recipe(LEAST, Given(config=config))
    assert made.data["hardware"]["disk_gb"]["weights"] == 596
    assert made.data["architecture"]["config"] == by_hand("kimi_k2_6.md")["architecture"]["config"]


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        (LEAST, "engine.args", {"max-model-len": 4096}),
        (LEAST, "image.vllm", ">=0.25,<0.26"),
        (LEAST.replace("--gpus", "--shm-size=512m -v /x:/x --gpus"), "hardware.shm_gib", 0.5),
        ("vllm serve org/name --no-enable-prefix-caching --port=9000", "engine.args", {"enable-prefix-caching": False}),
        ("A=1 B='x y' vllm serve org/name", "engine.env", {"A": "1", "B": "x y"}),
        ("export A=1\nvllm serve org/name", "engine.env", {"A": "1"}),
        ("$ sudo docker run i:1 vllm serve org/name -tp 2", "engine.args", {"tensor-parallel-size": 2}),
        ("vllm serve org/name --seed -1", "engine.args", {"seed": -1}),
        ("docker run i@sha256:" + "a" * 64 + " --model org/name", "image.digest", "sha256:" + "a" * 64),
        ("docker run localhost:5000/i --model org/name", "image.name", "localhost:5000/i"),
        ("vllm serve org/name --a_b '{\"image\": 2}'", "engine.args", {"a-b": {"image": 2}}),
        ("vllm serve org/name --cuda-graph-sizes 1 2 4", "engine.args", {"cuda-graph-sizes": [1, 2, 4]}),
        ("vllm serve org/name --served-model-name a b", "engine.served_model_name", "a"),
        ("pip install 'x==1'\nvllm serve org/name", "image.pip", ["x==1"]),
        ("vllm serve org/name # --port 9\n", "engine.port", 8000),
        ("vllm serve o/n --revision v1", "models", [{"repo": "o/n", "revision": "v1", "role": "model"}]),
        ("vllm serve o/n -dcp 2 -ep -O3 -cc.mode 3 > log 2>&1 &", "engine.args", {
            "decode-context-parallel-size": 2, "enable-expert-parallel": True, "optimization-level": 3,
            "compilation-config.mode": 3}),
        ("vllm serve o/n --x '#a > b | c; d' --api-key $KEY 2>&1 | tee log", "engine.args", {"x": "#a > b | c; d"}),
        ("vllm serve o/n --api-key <your key> --port 9 # it's free", "engine.port", 9),
        ("vllm serve o/n \\\n  # GPUs\n  --seed 8 \\  # eight\n  --port 9", "engine.args", {"seed": 8}),
        ("vllm serve o/n\n  -tp 8\n  --port 9", "engine.port", 9),
        ("docker run `\r\n  -e A=1 `\r\n  v/vllm:1 `\r\n  --model o/n\r\n", "engine.env", {"A": "1"}),
        ("docker run ^\r\n  -e A=1 ^\r\n  v/vllm:1 ^\r\n  --model o/n\r\n", "image.name", "v/vllm"),
        ("vllm serve o/n –seed 4 --x \u2018{“a”: 1}\u2019", "engine.args", {"seed": 4, "x": {"a": 1}}),
        ("vllm\xa0serve o/n --seed\xa03", "engine.args", {"seed": 3}),
        ("# export A=1\n# vllm serve without drafts:\nvllm serve o/n", "engine.env", {}),
        ("docker isn't needed.\n\n```bash\nvllm serve o/n --seed 1\n```\n", "engine.args", {"seed": 1}),
        ("root@host:~# vllm serve o/n --seed 1", "engine.args", {"seed": 1}),
        ("$ docker run \\\n> -e A=1 \\\n> v/vllm:1 --model o/n", "engine.env", {"A": "1"}),
        ("sudo -E docker run v/vllm:1 --model o/n", "image.tag", "1"),
        ("cd /x && uv run vllm serve o/n --seed 1", "engine.args", {"seed": 1}),
        ("docker exec -it vllm vllm serve o/n --seed 1", "engine.args", {"seed": 1}),
        ("docker run v/vllm:1 --model o/a\ndocker run --gpus all nvidia/cuda:13 nvidia-smi", "image.name", "v/vllm"),
        ("docker run -p 3000:8080 ghcr.io/web:main\ndocker run v/vllm:1 --model o/a", "image.tag", "1"),
        ("docker run --entrypoint bash v/vllm:1 -lc 'pip install x==1\nvllm serve o/n #\nls'", "image.pip", ["x==1"]),
        ("docker run v/vllm:1 bash -c 'ls; exec \"$@\"' sh vllm serve o/n --seed 1", "engine.args", {"seed": 1}),
        ("vllm serve o/n\ndocker run v/vllm:1 vllm bench serve --random-input-len 5", "benchmark", {"input_len": 5}),
        ("docker run --mount type=bind,src=/a,dst=/b v/vllm:1 --model o/n", "engine.args", {}),
        ("vllm serve o/n --speculative-config.model o/d", "models", [
            {"repo": "o/n", "revision": "main", "role": "model"},
            {"repo": "o/d", "revision": "main", "role": "draft"}]),
        ("vllm serve o/n\nvllm bench serve --goodput ttft:500", "published", {}),
        ("vllm serve o/n\nfault at 0xA12", "hardware.gpu_count", 1),
        (COMPOSE, "engine.args", {"tensor-parallel-size": 8, "x": {"a": "b c"}}),
        (COMPOSE, "engine.env", {"A": "1"}),
        (MAKERS, "image", {"name": "localhost:5000/v/vllm", "tag": "v1", "digest": None, "pip": []}),
        (MAKERS, "engine.args", {"seed": 1, "tensor-parallel-size": 8}),
        (MAKERS, "engine.env", {"A": "1"}),
        ("```sh\n# Start it:\nvllm serve o/n\n```\n# The model\n", "title", "The model"),
        (f"The server's file:\n\n```yaml\n{COMPOSE}```\n```bash\ndocker compose up -d\n```\n", "container", {
            "gpus": "all", "ipc": "host"}),
        (COMPOSE.replace("ipc: host", f"entrypoint: [python3, -m, {SERVER_MODULE}]"), "image.tag", "v0.25.1"),
    ],
)  # fmt: skip
def test_forms_of_commands(text: str, path: str, value: Any) -> None:
    data: Any = import_recipe(text, Given(hardware="8xB200" if text == MAKERS else "")).data
    for key in path.split("."):
        data = data[key]
    assert data == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Nothing to serve.", "no command that starts a server"),
        ("vllm serve", "a server without a model"),
        ("vllm serve $MODEL", r"the variable in '\$MODEL'"),
        ("vllm serve org/name --max-model-len $LEN", r"the variable in '\$LEN'"),
        ("docker run --gpus 2 i:1 org/name", "--gpus 2"),
        ("docker run --gpus all --device-cgroup-rule x i:1 org/name", "--device-cgroup-rule"),
        ("docker run -e A i:1 org/name", "the variable A without a value"),
        ("docker run --shm-size 5 i:1 org/name", "--shm-size 5"),
        ("docker run --env-file f i:1 org/name", "--env-file"),
        ("docker run --entrypoint python3 v/vllm:1 serve.py", "the container's command"),
        ("docker run --entrypoint python3 i:1 serve.py", "no command that starts a server .*'docker run --entrypoint"),
        ("docker run i:1 --model o/a\ndocker run i:2 --model o/b", "a second command that starts a server, of o/b"),
        ("docker run -e NVIDIA_VISIBLE_DEVICES=0,1 v/vllm:1 --model o/n", "NVIDIA_VISIBLE_DEVICES=0,1"),
        ("vllm serve org/name --config config.yaml", "--config"),
        ("vllm serve org/name --x `cat y`", "the variable in '`cat'"),
        ("vllm serve <model>", "the variable in '<model>'"),
        (COMPOSE.replace("ipc: host", "env_file: .env"), "--env-file"),
        (COMPOSE.replace("count: all", "count: 4"), "--gpus 4"),
        ("services: {a: 1}", "a Compose file in a form that is not known"),
        ("[" * 1_000, "no command that starts a server"),
        ("vllm serve org/name -Z 1", "the option -Z"),
        ("vllm serve org/name --speculative-config '{bad}'", "is no JSON"),
        ("vllm serve org/a\nvllm serve org/b", "a second command"),
        ("vllm serve org/name extra", "the words org/name extra"),
        ("vllm serve org/name --x 'open", "quotes"),
        ("vllm serve org/name -tp two", "--tensor-parallel-size 'two'"),
        ("vllm serve org/name\nvllm bench serve --random-input-len x", "input_len 'x'"),
        ("vllm serve org/name\x00", "control characters"),
        ("model: {model_id: org/name}\nfeatures: [1]", "a form that is not known here"),
    ],
)
def test_what_is_not_understood_ends_the_import(text: str, words: str) -> None:
    with pytest.raises(NotUnderstood, match=words):
        import_recipe(text, Given(hardware="8xB200"))


def test_no_secret_comes_along() -> None:
    text = (
        "docker run -e HF_TOKEN=hf_abc123 -e VLLM_API_KEY=k3y -e A=hf_abcdefgh12 --gpus all vllm:1 o/n"
        " --api-key s3cret\npip install git+https://me:t0ken@host.org/x"
    )
    made = import_recipe(text, Given())
    everything = render(made, "x") + "\n".join(summary(made)) + json.dumps(made.data)
    assert not [secret for secret in ("hf_abc", "k3y", "s3cret", "t0ken") if secret in everything]
    assert len([note for note in made.notes if "secret" in note]) == 4


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("Output token throughput (tok/s):  1408.00", {"output_throughput": 1408}),
        ("| Output throughput | 1,408 tok/s |", {"output_throughput": 1408}),
        ("TTFT mean/P99: 2.26 s / 32.2 s", {"mean_ttft_ms": 2260, "p99_ttft_ms": 32200}),
        ("| Metric | Mean | P99 |\n| --- | --- | --- |\n| TTFT (ms) | 5 | 9 |", {"mean_ttft_ms": 5, "p99_ttft_ms": 9}),
        ("| | A | B |\n| --- | --- | --- |\n| TTFT (ms) | 5 | 9 |", {}),
        ("Median TPOT (ms): 8", {"median_tpot_ms": 8}),
        ("Peak output token throughput (tok/s): 9000", {}),
        ("Output tok/s per user: 44", {}),
        ("| Output tok/s | TTFT |\n| --- | --- |\n| 855 | 3656 ms |", {"output_throughput": 855, "mean_ttft_ms": 3656}),
        ("P99 ITL (ms): 12\nP99 ITL (ms): 13", {}),
        ("We serve 32 users.", {}),
        ("TTFT mean/P99: 800 ms / 1.2 s", {"mean_ttft_ms": 800, "p99_ttft_ms": 1200}),
        ("Mean TTFT (seconds): 2.26", {"mean_ttft_ms": 2260}),
        ("Mean TTFT: 2.26 sec", {"mean_ttft_ms": 2260}),
        ("| Metric | Mean (s) |\n| --- | --- |\n| TTFT | 5 |", {"mean_ttft_ms": 5000}),
        ("Mean ITL: 800 µs", {"mean_itl_ms": 0.8}),
        ("Mean TTFT: 2264ms", {"mean_ttft_ms": 2264}),
        ("Mean TPOT (ms): 21,14", {}),
        ("Output throughput (tok/s): 1.408,5", {}),
        ("| Output throughput | +20 % |", {}),
        ("Total output throughput (tok/s): 1408", {"output_throughput": 1408}),
        ("Total input throughput (tok/s): 1408", {}),
        ("Total throughput (input + output, tok/s): 7046", {"total_token_throughput": 7046}),
        ("Output tok/s/GPU: 176", {}),
        ("| Output throughput | 176 tok/s/GPU |", {}),
        ("Maximum output throughput (tok/s): 9000", {}),
    ],
)
def test_figures(text: str, figures: dict[str, float]) -> None:
    assert read_figures(text)[0] == figures


def test_a_server_without_a_gpu() -> None:
    data = import_recipe("docker run --ipc host i:1 org/name", Given(hardware="cpu")).data
    assert (data["hardware"]["gpu_count"], data["container"]["gpus"]) == (0, None)
    assert "gpu_name" not in data["hardware"]


def test_hardware() -> None:
    assert [tuple(each) for each in read_hardware("one HGX B200 and 4x H100")] == [
        (8, "B200", True),
        (4, "H100", False),
    ]
    assert read_hardware("A100 tokens of H2O") == []
    assert import_recipe(LEAST, Given(hardware="8 x L40S")).data["hardware"]["gpu_name"] == "L40S"
    with pytest.raises(NotUnderstood, match="'eight of them'"):
        import_recipe(LEAST, Given(hardware="eight of them"))
