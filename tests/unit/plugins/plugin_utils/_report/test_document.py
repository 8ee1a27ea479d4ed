# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What gets into the document of a run, and what must not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.secrets import KNOWN, scrubbed
from ansible_collections.hgx.inference.plugins.plugin_utils._report.document import build

KEY = "3f1c9ad27be0-endpoint-key"


@pytest.mark.parametrize(
    "planted",
    [
        {"env": {"VLLM_API_KEY": "abc123secret"}},
        {"env": {"HF_TOKEN": "abc123secret"}},
        {"env": {"OPENAI_APIKEY": "abc123secret", "DB_PASS": "abc123secret", "NGC_CREDENTIALS": "abc123secret"}},
        {"argv": ["vllm", "serve", "--api-key", "abc123secret"]},
        {"argv": ["vllm", "serve", "--api-key=abc123secret"]},
        {"checks": [{"evidence": "Authorization: Bearer abc123secret"}]},
        {"checks": [{"evidence": {"text": "HF_TOKEN=hf_abc123secret"}}]},
        {"note": "sk-abc123secret and hf_abc123secret"},
        {"deep": [{"deeper": f"it was {KEY}!"}], f"{KEY}": 1},
    ],
)
def test_no_secret_remains(planted: dict[str, Any]) -> None:
    KNOWN.add(KEY, "")
    document = build("node", {"release": planted, "functional": planted}, {"msg": f"refused {KEY}"})
    text = json.dumps(document)
    assert "abc123secret" not in text
    assert KEY not in text


def test_what_only_sounds_like_a_secret_remains() -> None:
    harmless = {
        "tokenizer_id": "moonshotai/Kimi-K2.6",
        "total_output_tokens": 5,
        "tokens_per_chunk": 2.1,
        "bypass": "no_proxy",
        "monkey": "see",
        "argv": ["--tokenizer-revision", "f2eb", "--max-num-batched-tokens", "8192"],
    }
    assert scrubbed(harmless) == harmless


def test_an_earlier_result_shows_todays_judgement() -> None:
    record = {"verdict": "pass", "checks": [], "finished_at": "2026-11-25T16:31:45Z", "size": "smoke"}
    document = build("node", {"result": record}, {"reused": True, "verdict": "warn", "hints": ["a"]})
    assert document["result"]["verdict"] == "warn"
    assert document["result"]["size"] == "smoke"
    assert document["made_at"] == "2026-11-25T16:31:45Z"
    assert record["verdict"] == "pass"
    again = build("node", {"result": record}, {"reused": False, "verdict": "warn"})
    assert again["result"]["verdict"] == "pass"


def test_without_a_result_there_is_a_reason() -> None:
    document = build("node", {}, {"msg": "There is no container 'vllm'."})
    assert document["problem"] == "There is no container 'vllm'."
    assert {document[part] for part in ("result", "functional", "release", "node")} == {None}
