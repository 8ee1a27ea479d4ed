# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiny model says its script. What vLLM makes of it is asserted where vLLM runs; here is the arithmetic."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from tokenizers import Tokenizer

from ansible_collections.hgx.inference.demo import tiny_kimi
from ansible_collections.hgx.inference.demo.tiny_kimi import DRAFT, MODEL, SCRIPTS, Tensor
from ansible_collections.hgx.inference.tests.support.hub_server import Hub

Array = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def files() -> dict[str, dict[str, bytes]]:
    return tiny_kimi.model_files()


@pytest.fixture(scope="module")
def tokenizer(files: dict[str, dict[str, bytes]]) -> Tokenizer:
    return Tokenizer.from_str(files[MODEL]["tokenizer.json"].decode())


def as_array(tensor: Tensor) -> Array:
    wide = np.frombuffer(tensor.data, "<u2").astype(np.uint32) << 16
    return wide.view(np.float32).reshape(tensor.shape)


def read_safetensors(data: bytes) -> dict[str, Tensor]:
    """The tensors of a file, read by the format's own rules."""
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    tensors, end = {}, 0
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        assert start == end
        end = stop
        body = data[8 + length + start : 8 + length + stop]
        assert len(body) == math.prod(entry["shape"]) * {"BF16": 2, "F32": 4}[entry["dtype"]]
        tensors[name] = Tensor(entry["dtype"], tuple(entry["shape"]), body)
    assert 8 + length + end == len(data)
    return tensors


def weights_of(files: dict[str, bytes]) -> dict[str, Tensor]:
    return {
        name: tensor
        for path, data in files.items()
        if path.endswith(".safetensors")
        for name, tensor in read_safetensors(data).items()
    }


def test_the_bytes_are_the_same_on_every_machine(files: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    for repo, content in files.items():
        assert tiny_kimi.write_folder(tmp_path / repo, content)
    hub = Hub(tmp_path)
    # A change of the model changes them, and every cache that holds it downloads it anew.
    assert hub.repo(MODEL).commit == "f2eb120e16f4551b577ba620921d80b46eb9caa3"
    assert hub.repo(DRAFT).commit == "03841b4201bd5461499478cd42e3c269839814c6"


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    content = {"config.json": b"{}", "model.safetensors": b"x"}
    assert tiny_kimi.write_folder(tmp_path, content)
    assert not tiny_kimi.write_folder(tmp_path, content)
    (tmp_path / "old.json").touch()
    (tmp_path / "config.json").write_bytes(b"{broken")
    assert tiny_kimi.write_folder(tmp_path, content)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == content


def test_the_index_names_the_file_of_every_tensor(files: dict[str, dict[str, bytes]]) -> None:
    index = json.loads(files[MODEL]["model.safetensors.index.json"])
    tensors = weights_of(files[MODEL])
    assert set(index["weight_map"]) == set(tensors)
    for name, path in index["weight_map"].items():
        assert name in read_safetensors(files[MODEL][path])
    assert index["metadata"]["total_size"] == sum(len(tensor.data) for tensor in tensors.values())


@pytest.mark.parametrize(("value", "code"), [(1.0, 0x3F80), (-2.0, 0xC000), (0.0, 0), (1 / 3, 0x3EAB), (1e-40, 1)])
def test_bf16(value: float, code: int) -> None:
    assert int.from_bytes(tiny_kimi.bf16(value), "little") == code


def test_noise_has_the_promised_size() -> None:
    noise = as_array(tiny_kimi.noise("x", 400, 300))
    assert noise.shape == (400, 300)
    assert abs(float(noise.mean())) < 0.001
    assert 0.7 < float(noise.std()) * math.sqrt(300) < 1.42
    assert tiny_kimi.noise("x", 4).data != tiny_kimi.noise("y", 4).data


def test_every_token_has_one_id(tokenizer: Tokenizer) -> None:
    assert sorted(tokenizer.get_vocab().values()) == list(range(tiny_kimi.VOCAB))
    ids = tiny_kimi.token_ids(tiny_kimi.tokenizer_json())
    for script in SCRIPTS:
        assert [tokenizer.decode([ids[token]], skip_special_tokens=False) for token in script] == script


@pytest.mark.parametrize(
    "text", ["What is the weather in Paris?", "Größe 東京 🙂", " a\n\tb  {{ c }}", "<think>x</think>"]
)
def test_any_text_survives_the_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_the_recipe_knows_the_token(tokenizer: Tokenizer) -> None:
    recipe = yaml.safe_load((Path(__file__).parents[3] / "recipes/tiny_kimi_cpu.yml").read_text(encoding="utf-8"))
    for text, number in recipe["functional"]["token_ids"].items():
        assert tokenizer.token_to_id(text) == number


def test_a_token_with_two_successors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_kimi, "SCRIPTS", [["a", "b", "a", "c"]])
    with pytest.raises(ValueError, match="two successors"):
        tiny_kimi.successors({"a": 0, "b": 1, "c": 2})


def test_model_and_draft_follow_the_script(files: dict[str, dict[str, bytes]]) -> None:
    ids = tiny_kimi.token_ids(tiny_kimi.tokenizer_json())
    chain = tiny_kimi.successors(ids)
    model, draft = weights_of(files[MODEL]), weights_of(files[DRAFT])
    embedding = as_array(model["language_model.model.embed_tokens.weight"])
    logits = embedding @ as_array(model["language_model.lm_head.weight"]).T
    gate, up, down = (as_array(draft[f"midlayer.mlp.{part}_proj.weight"]) for part in ("gate", "up", "down"))

    for token, successor in chain.items():
        assert logits[token].argmax() == successor
        assert np.sort(logits[token])[-2] < logits[token].max() / 2  # far enough from the next one to survive the noise
        state = embedding[token]
        signal = gate @ state
        state = state + down @ (signal / (1 + np.exp(-signal)) * (up @ state))
        proposal = int((as_array(draft["lm_head.weight"]) @ state).argmax())
        assert proposal == chain.get(successor, proposal)
