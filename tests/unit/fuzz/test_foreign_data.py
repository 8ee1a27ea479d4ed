# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever other programs write, our readers return or raise the error that they document.

The tests are small and the same in each run. C(make fuzz) tries more, and other data each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.hgx.inference.plugins.module_utils._docker.pull import Layers
from ansible_collections.hgx.inference.plugins.module_utils._docker.registry import parse_reference
from ansible_collections.hgx.inference.plugins.module_utils._endpoint import answers, streams, texts
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.client import Event
from ansible_collections.hgx.inference.plugins.module_utils._hf.cache import parse_tree
from ansible_collections.hgx.inference.plugins.module_utils._lambda.client import LambdaError
from ansible_collections.hgx.inference.plugins.module_utils._lambda.files import parse_entry
from ansible_collections.hgx.inference.plugins.module_utils._lambda.records import parse_instance
from ansible_collections.hgx.inference.plugins.module_utils._model.architecture import (
    UnknownShape,
    read_cache,
    read_shape,
)
from ansible_collections.hgx.inference.plugins.module_utils._nvidia import smi, xid
from ansible_collections.hgx.inference.plugins.module_utils._programs import nccl
from ansible_collections.hgx.inference.plugins.module_utils._programs.prometheus import samples
from ansible_collections.hgx.inference.plugins.module_utils._programs.stacks import parse_dump
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.diagnose import diagnose, failure_text
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.phases import Start
from ansible_collections.hgx.inference.plugins.plugin_utils._import.compose import Given, import_recipe
from ansible_collections.hgx.inference.plugins.plugin_utils._import.server import NotUnderstood

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
FIXTURES = Path(__file__).parents[1] / "fixtures"
SMALL = settings(
    max_examples=40 * TIMES,
    derandomize=TIMES == 1,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def read(*path: str) -> str:
    return FIXTURES.joinpath(*path).read_text(encoding="utf-8", errors="replace")


SMI, NVLINK, QUERY = (
    read("nvidia-smi", name) for name in ("h100-x2-idle.xml", "h100-x2-nvlink.txt", "h100-x2-query.csv")
)
LOGS = [read("vllm-logs", name) for name in ("fatal-unknown-flag.log", "healthy-start-timestamps.log")]


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """Return a real text that was cut, and of which a part is missing, doubled or something else."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 200)))
    middle = draw(st.sampled_from(["", text[start:end] * 2, "\x00", "{{ 7 }}", "NaN", "-1"]) | st.text(max_size=20))
    cut = draw(st.integers(0, len(text)) | st.just(len(text)))
    return (text[:start] + middle + text[end:])[:cut]


def mutated(draw: st.DrawFn, value: Any) -> Any:
    """Return a JSON value in which some values are others, or are missing."""
    if draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {key: mutated(draw, item) for key, item in value.items() if draw(st.integers(0, 9))}
    if isinstance(value, list):
        return [mutated(draw, item) for item in value]
    return value


def like(value: Any) -> st.SearchStrategy[Any]:
    return st.composite(lambda draw: mutated(draw, value))()


def tolerates(act: Callable[[], Any], *documented: type[Exception]) -> None:
    with suppress(*documented):
        act()


@SMALL
@given(damaged(SMI), damaged(NVLINK), damaged(QUERY))
def test_nvidia_smi(report: str, links: str, query: str) -> None:
    tolerates(lambda: smi.parse_report(report), smi.SmiError)
    gpus = smi.parse_report(SMI)["gpus"]
    smi.add_nvlink(gpus, links)
    smi.add_query(gpus, query)
    smi.explain_failure(1, report, None, None)
    smi.parse_module_version(query)


@SMALL
@given(damaged("NVRM: Xid (PCI:0000:17:00): 79, pid=1, GPU has fallen off the bus.\n" * 3))
def test_kernel_log(text: str) -> None:
    xid.find_xids(text)


@SMALL
@given(damaged('# TYPE a counter\nvllm:a_total{engine="0",b="x\\"y"} 1.0\nvllm:b NaN\nc{le="+Inf"} 1e9 17\n'))
def test_metrics(text: str) -> None:
    list(samples(text))


@SMALL
@given(st.sampled_from(LOGS).flatmap(damaged), st.none() | st.integers(-1, 300))
def test_logs(text: str, exit_code: int | None) -> None:
    lines = text.splitlines()[-400:]
    failure_text(diagnose(lines, exit_code), lines)
    start = Start(0)
    for line in lines:
        start.feed(line)
    start.result()


@SMALL
@given(st.text(max_size=200) | damaged('Thread 8 (idle): "MainThread"\n    wait (threading.py:355)\n'))
def test_dumps_and_names(text: str) -> None:
    parse_dump(text)
    parse_reference(text)


RAS = (FIXTURES / "nccl-ras" / "no-answer.txt").read_text(encoding="utf-8")
INIT = (FIXTURES / "nccl-ras" / "init.log").read_text(encoding="utf-8")


@SMALL
@given(st.text(max_size=200) | damaged(RAS), st.text(max_size=200) | damaged(INIT))
def test_what_nccl_says(answer: str, log: str) -> None:
    assert len(nccl.ras_words(answer)) <= 16
    assert len(nccl.init_words(log.splitlines())) <= 16


TREE = {
    "format_version": 1,
    "files": {"a/b.bin": {"size": 3, "blob_id": "a" * 40, "lfs_sha256": "b" * 64, "lfs_size": 9}},
}
PULL = {"id": "a", "status": "Downloading", "progressDetail": {"current": 5, "total": 9}}
INSTANCE = {
    "id": "i",
    "status": "active",
    "name": "n",
    "ip": "203.0.113.7",
    "region": {"name": "us-east-1"},
    "instance_type": {"name": "gpu", "price_cents_per_hour": 5352, "specs": {"gpus": 8, "memory_gib": 1}},
    "tags": [{"key": "a", "value": "b"}],
    "file_system_names": ["x"],
}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CALL = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT = {
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi", "tool_calls": [CALL]}}
    ],
    "usage": USAGE,
}
CHUNK = {
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "hi", "tool_calls": [CALL]}, "finish_reason": None}],
}
MESSAGE = {
    "type": "message",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1},
}
EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]


@SMALL
@given(like(TREE) | JSON)
def test_lists_of_the_hub(tree: Any) -> None:
    parse_tree(tree)


@SMALL
@given(like(PULL))
def test_messages_of_a_pull(message: Any) -> None:
    if isinstance(message, dict):
        Layers().add(message)


CONFIG = {
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 2,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "num_local_experts": 8,
    "layer_types": ["full_attention"] * 2,
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128], "ignore": ["re:.*"]},
    "vision_config": {"hidden_size": 8, "num_hidden_layers": 2, "intermediate_size": 16},
}


@SMALL
@given(like(CONFIG))
def test_configs_of_models(config: Any) -> None:
    if isinstance(config, dict):
        tolerates(lambda: read_shape(config), UnknownShape)
        tolerates(lambda: read_cache(config, "fp8", 8), UnknownShape)


PAGES = [path.read_text(encoding="utf-8") for path in sorted((FIXTURES / "imports").glob("*.md"))]


@SMALL
@given(st.sampled_from(PAGES).flatmap(damaged))
def test_pages(text: str) -> None:
    tolerates(lambda: import_recipe(text, Given()), NotUnderstood)


@SMALL
@given(like(INSTANCE) | JSON)
def test_instances(raw: Any) -> None:
    tolerates(lambda: parse_instance(raw), LambdaError)


@SMALL
@given(st.binary(max_size=60) | like(INSTANCE).map(lambda entry: json.dumps(entry).encode()))
def test_lines_of_the_journal(line: bytes) -> None:
    parse_entry(line)


@SMALL
@given(st.text(max_size=200), st.text(max_size=40))
def test_texts_of_a_model(text: str, other: str) -> None:
    texts.markup(text)
    texts.degenerate(text)
    texts.likeness(text, other)


# The caller, which knows the request, tells what has another form.
MALFORMED = (answers.AnswerError, *answers.FORM_ERRORS)


@SMALL
@given(like(CHAT), like(MESSAGE), st.lists(like(CHUNK), max_size=3), st.lists(like(EVENTS), max_size=1))
def test_answers(chat: Any, message: Any, chunks: list[Any], messages: list[Any]) -> None:
    tolerates(lambda: answers.from_chat(chat), *MALFORMED)
    tolerates(lambda: answers.from_messages(message), *MALFORMED)
    tolerates(lambda: streams.from_chat([Event(0.1, chunk) for chunk in chunks]), *MALFORMED)
    events = messages[0] if messages and isinstance(messages[0], list) else []
    tolerates(lambda: streams.from_messages_stream([Event(0.1, event) for event in events]), *MALFORMED)


def test_the_strategies_break_something() -> None:
    """Or the tests above would show nothing."""
    with pytest.raises(smi.SmiError):
        smi.parse_report(SMI[:-20])
    with pytest.raises(LambdaError):
        parse_instance({**INSTANCE, "id": None})
