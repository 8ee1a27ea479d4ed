# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counters of a server, and the acceptance of drafted tokens on a stand-in for one."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._endpoint import text_probe
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.client import Api, ApiError
from ansible_collections.hgx.inference.plugins.module_utils._endpoint.server import parse_metrics
from ansible_collections.hgx.inference.tests.support.inference_server import KEY, MODEL, serving

METRICS = """\
# TYPE vllm:spec_decode_num_drafts_total counter
vllm:spec_decode_num_drafts_total{engine="0",model_name="kimi-k2.6"} 100.0
vllm:spec_decode_num_drafts_total{engine="1",model_name="kimi-k2.6"} 20.0
vllm:spec_decode_num_accepted_tokens_total{engine="0",model_name="kimi-k2.6"} 1.8e+02
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="kimi-k2.6",position="0"} 90.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="1",model_name="kimi-k2.6",position="0"} 10.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="kimi-k2.6",position="10"} 30.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="kimi-k2.6",position="2"} 50.0
process_start_time_seconds 1.79546180779e+09
"""


def test_metrics_are_summed_over_engines() -> None:
    found = parse_metrics(METRICS)
    assert found["vllm:spec_decode_num_drafts_total"] == 120
    assert found["vllm:spec_decode_num_accepted_tokens_per_pos_total:0"] == 100
    assert found["process_start_time_seconds"] == 1795461807.79


def test_acceptance_is_what_the_counters_gained() -> None:
    before = {"vllm:spec_decode_num_drafts_total": 20.0, "vllm:spec_decode_num_accepted_tokens_per_pos_total:0": 20.0}
    found = text_probe.acceptance(before, parse_metrics(METRICS))
    assert found == {"acceptance_length": 2.8, "per_position": [0.8, 0.5, 0.3]}


@pytest.mark.parametrize("after", [{}, {"vllm:spec_decode_num_drafts_total": 20.0}])
def test_without_a_draft_there_is_no_acceptance(after: dict[str, float]) -> None:
    found = text_probe.acceptance({"vllm:spec_decode_num_drafts_total": 20.0}, after)
    assert found == {"acceptance_length": None, "per_position": []}


SETS = {"code": ["Write a loop.", "Write a list."], "prose": ["Write a letter."]}


def test_sets_are_told_apart() -> None:
    with serving() as server:
        found = text_probe.probe(Api(server.base_url, KEY, 5), MODEL, SETS, output_len=32, concurrency=2)
    assert found["acceptance_length"] == 2.5
    assert found["per_position"] == [1.0, 0.5]
    assert [(entry["name"], entry["prompts"], entry["output_tokens"]) for entry in found["sets"]] == [
        ("code", 2, 24),
        ("prose", 1, 12),
    ]
    assert found["output_tokens"] == 36
    assert found["undisturbed"]
    assert found["unreadable"] == 0
    assert text_probe.summary(found) == "2.5 tokens are accepted per step on real text (code 2.5, prose 2.5)"
    assert {body["max_tokens"] for _path, _headers, body in server.requests if body} == {32}


def test_the_tokens_of_others_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        api = Api(server.base_url, KEY, 5)
        post = api.post

        def busy(*args: object) -> object:
            server.generated += 100
            return post(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(api, "post", busy)
        found = text_probe.probe(api, MODEL, SETS, output_len=32, concurrency=1)
    assert not found["undisturbed"]
    assert "include tokens of other requests" in text_probe.summary(found)


def test_the_acceptance_of_rubbish_is_worthless() -> None:
    with serving(KEY, "shouts") as server:
        found = text_probe.probe(Api(server.base_url, KEY, 5), MODEL, SETS, output_len=32, concurrency=2)
    assert found["unreadable"] == 3
    assert "; 3 answers are empty, repeat themselves or are no text" in text_probe.summary(found)


def test_a_server_without_a_draft() -> None:
    with serving(KEY, "no_draft") as server:
        found = text_probe.probe(Api(server.base_url, KEY, 5), MODEL, SETS, output_len=32, concurrency=2)
    assert text_probe.summary(found) == "No draft is active: the server counts no drafted tokens."


def test_a_refused_key() -> None:
    with serving() as server, pytest.raises(ApiError, match="HTTP 401"):
        text_probe.probe(Api(server.base_url, "wrong", 5), MODEL, SETS, output_len=32, concurrency=2)
