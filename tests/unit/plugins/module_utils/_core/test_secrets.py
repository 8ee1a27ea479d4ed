# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is taken out of text that is shown, and what is not."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.secrets import scrub

KEY = "k3y {{ with braces }}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"the key is {KEY}.", "the key is ********."),
        ("token hf_AbCdEfGhIjKlMnOp refused", "token hf_******** refused"),
        ("Authorization: Bearer abc.def-123=", "Authorization: Bearer ********"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ********"),
        ("refused: bearer abc.def-123=", "refused: bearer ********"),
        ("Incorrect API key provided: sk-proj-abcdefgh1234", "Incorrect API key provided: sk-********"),
        (
            "non-default args: {'api_key': ['s3cret', 'other'], 'port': 1}",
            "non-default args: {'api_key': [********], 'port': 1}",
        ),
        ("Config(hf_token='s3cret', port=1)", "Config(hf_token='********', port=1)"),
        ('{"password": "s3cret"}', '{"password": "********"}'),
        ("VLLM_API_KEY=s3cret HF_TOKEN=s3cret PATH=/bin", "VLLM_API_KEY=******** HF_TOKEN=******** PATH=/bin"),
        ("python3 -m vllm --api-key s3cret --port 1", "python3 -m vllm --api-key ******** --port 1"),
        ("--api-key=s3cret --hf-token s3cret", "--api-key=******** --hf-token ********"),
        ("http://user:s3cret@proxy:3128/", "http://********@proxy:3128/"),
    ],
)
def test_secrets_go(text: str, shown: str) -> None:
    assert scrub(text, [KEY, None, ""]) == shown


@pytest.mark.parametrize(
    "text",
    [
        "GPU KV cache size: 1,234,567 tokens, Maximum concurrency for 4,096 tokens per request: 45.51x",
        "ValueError: max_num_batched_tokens (2048) is smaller than max_model_len (4096)",
        "KeyError: 'invalid tool call parser: kimi_k9'",
        "token=None, api_key=None, 'hf_token': None",
        "tokenizer='/models/Kimi-K2.6', tokenizer_mode=auto, num_speculative_tokens=3",
        "--tokenizer-revision abc --speculative-config {}",
        "Basic settings are shown; Bearer is the scheme",
        "listening on http://0.0.0.0:8001",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert scrub(text, [KEY]) == text
