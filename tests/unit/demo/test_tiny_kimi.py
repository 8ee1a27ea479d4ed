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
    assert hub.repo(MODEL).commit == "3a68f3dbb8fdc92f77cdeae24af4a2a055e8bf78"
    assert hub.repo(DRAFT).commit == "221b22e9584705b157da02c9788de63151c73d4a"
    assert hub.repo(tiny_kimi.MLA_DRAFT).commit == "a806434c231a09e9be3f9f441d47dbd897fe4c1d"


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


Contents = dict[str, dict[str, bytes]]


def normalised(states: Array) -> Array:
    return np.divide(states, np.sqrt((states**2).mean(axis=-1, keepdims=True)), dtype=np.float32)


@pytest.fixture(scope="module")
def model(files: Contents) -> dict[str, Array]:
    needed = (".layers.0.self_attn.", "lm_head", "embed_tokens")
    return {
        name.split(".")[-2]: as_array(tensor)
        for name, tensor in weights_of(files[MODEL]).items()
        if any(part in name for part in needed)
    }


def after_memory(part: dict[str, Array], tokens: list[int]) -> Array:
    """The hidden state after a context, once the first layer's first head has added to it."""
    config = tiny_kimi.TEXT_CONFIG
    nope, rope, size = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
    states = part["embed_tokens"][tokens]
    inputs = normalised(states)
    query = (part["q_b_proj"] @ normalised(part["q_a_proj"] @ inputs[-1]))[: nope + rope]
    assert not query[nope:].any()  # so the positions do not matter
    latent = normalised(inputs @ part["kv_a_proj_with_mqa"][: config["kv_lora_rank"]].T)
    both = latent @ part["kv_b_proj"][: nope + size].T
    scores = np.exp(both[:, :nope] @ query[:nope] / math.sqrt(nope + rope))
    return states[-1] + part["o_proj"][:, :size] @ (scores @ both[:, nope:] / scores.sum())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script[0])
def test_model_and_draft_follow_the_script(files: Contents, model: dict[str, Array], script: list[str]) -> None:
    ids = tiny_kimi.token_ids(tiny_kimi.tokenizer_json())
    lm_head = model["lm_head"]
    draft = weights_of(files[DRAFT])
    gate, up, down = (as_array(draft[f"midlayer.mlp.{part}_proj.weight"]) for part in ("gate", "up", "down"))
    random = np.random.default_rng(1)
    context = list(random.integers(0, 1600, 1000))

    for at, token in enumerate(script[:-1]):
        context.append(ids[token])
        state = after_memory(model, context)
        for ahead, successor in enumerate(script[at + 1 : at + 5]):
            logits = lm_head @ normalised(state)
            assert logits.argmax() == ids[successor], (ahead, token, successor)
            # Far enough from the next one to survive the noise.
            assert np.sort(logits)[-2] < logits.max() * 0.75, (ahead, token, successor)
            signal = gate @ normalised(state)
            state = state + down @ (signal / (1 + np.exp(-signal)) * (up @ normalised(state)))


def test_the_memory_works_in_a_long_context(model: dict[str, Array]) -> None:
    ids = tiny_kimi.token_ids(tiny_kimi.tokenizer_json())
    tokens = list(np.random.default_rng(2).integers(0, 1600, 60000))
    tokens[100], tokens[-1] = ids[tiny_kimi.ROME], ids["<|tool_call_end|>"]
    memory = after_memory(model, tokens)[tiny_kimi.PHASE.start : tiny_kimi.PHASE.stop]
    expected = [tiny_kimi.STRENGTH if slot == tiny_kimi.MARKS[tiny_kimi.ROME] else 0.0 for slot in range(len(memory))]
    assert memory == pytest.approx(expected, abs=0.2)


def test_both_drafts_have_the_same_table(files: Contents) -> None:
    one, other = weights_of(files[DRAFT]), weights_of(files[tiny_kimi.MLA_DRAFT])
    table = {name for name in one if "self_attn" not in name}
    assert table == {name for name in other if "self_attn" not in name}
    assert all(one[name] == other[name] for name in table)
