# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is taken out of text that is shown, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.secrets import (
    KNOWN,
    SecretError,
    is_secret_name,
    learn_environment,
    quoted,
    read_secret,
    scrub,
    scrubbed,
)

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
        ("S3_TOKEN=s3cret AWS_SECRET_ACCESS_KEY=s3cret", "S3_TOKEN=******** AWS_SECRET_ACCESS_KEY=********"),
        ("--api-key=s3cret --hf-token s3cret", "--api-key=******** --hf-token ********"),
        ("http://user:s3cret@proxy:3128/", "http://********@proxy:3128/"),
        ("git+https://s3cret@github.com/x", "git+https://********@github.com/x"),
        ('{"http-proxy": "http://user:s3cret@proxy:3128"}', '{"http-proxy": "http://********@proxy:3128"}'),
        ("DB_PASS=s3cret NGC_KEY=s3cret KEY=1", "DB_PASS=******** NGC_KEY=******** KEY=1"),
        ("https://cdn.example/f?X-Amz-Signature=s3cret&a=b failed", "https://cdn.example/f?******** failed"),
        ("https://x.blob.example/f?sv=1&sig=s3cret%3D", "https://x.blob.example/f?********"),
    ],
)
def test_secrets_go(text: str, shown: str) -> None:
    KNOWN.add(KEY, None, "")
    assert scrub(text) == shown


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
        "https://hub.example/api/models?revision=main&limit=5",
    ],
)
def test_the_rest_stays(text: str) -> None:
    KNOWN.add(KEY)
    assert scrub(text) is text


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "VLLM_API_KEY",
        "OPENAI_APIKEY",
        "--api-key",
        "DB_PASS",
        "AWS_ACCESS_KEY_ID",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "GITHUB_PAT",
        "AWS_SECRET_ACCESS_KEY",
        "NGC_CREDENTIALS",
        "client_secret",
        "x-api-key",
        "SSH_PASSPHRASE",
        "SECRETKEY",
        "--privatekey",
        "SecretAccessKey",
        "Authorization",
        "password",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer",
        "VLLM_MAX_TOKENS",
        "--max-num-batched-tokens",
        "bypass",
        "monkey",
        "key_file",
        "hotkey",
        "--allowed-headers",
        "PATH",
        "COMPAT",
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["serve", "--port", "1"], ["serve", "--port", "1"]),
        (["--api-key", "abc", "--x"], ["--api-key", "********", "--x"]),
        (["--api-key=abc", "--hf-token=t"], ["--api-key=********", "--hf-token=********"]),
        (["--hf-token", "--x"], ["--hf-token", "--x"]),
        (["env", "OPENAI_API_KEY=abc", "PATH=/x"], ["env", "OPENAI_API_KEY=********", "PATH=/x"]),
        (["--api-key", "abc", "def", "--x", "y"], ["--api-key", "********", "********", "--x", "y"]),
        (["bash", "-c", "vllm serve m --api-key abc"], ["bash", "-c", "vllm serve m --api-key ********"]),
        (
            ["--header", "x-api-key=abc", "Authorization=abc"],
            ["--header", "x-api-key=********", "Authorization=********"],
        ),
    ],
)
def test_secrets_are_taken_out_of_an_argv(argv: list[str], shown: list[str]) -> None:
    assert scrubbed(argv) == shown


def test_secrets_are_taken_out_of_nested_values_by_name() -> None:
    given = {
        "args": {"temperature": 0, "header": ["x-api-key=abc", "a=b"], "api-key": "abc", "x": {"x": 1}},
        "env": {"NGC_KEY": "abc", "PATH": "/bin"},
        "tags": [{"key": "team", "value": "a"}],
        "tokens": 3,
        "hf_tokens": ["abc", 5],
    }
    assert scrubbed(given) == {
        "args": {
            "temperature": 0,
            "header": ["x-api-key=********", "a=b"],
            "api-key": "********",
            "x": {"x": 1},
        },
        "env": {"NGC_KEY": "********", "PATH": "/bin"},
        "tags": [{"key": "team", "value": "a"}],
        "tokens": 3,
        "hf_tokens": ["abc", 5],
    }


def test_a_text_is_masked_before_it_is_cut() -> None:
    KNOWN.add("k" * 40)
    assert quoted("x " * 10 + "k" * 40, 30) == "x x x x x x x x x x ********"
    assert quoted("x\n y" * 10, 12) == "x yx yx y..."


def test_the_environment_has_secrets_and_paths_to_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OTHER_TOKEN", "hunter2hunter2")
    monkeypatch.setenv("TLS_KEY", str(tmp_path))
    learn_environment()
    assert scrub(f"hunter2hunter2 in {tmp_path}") == f"******** in {tmp_path}"


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert read_secret(None) is None
    assert read_secret(str(path)) is None
    path.write_text("\n")
    assert read_secret(str(path)) is None
    path.write_text(f" {KEY}\n")
    assert read_secret(str(path)) == KEY


def test_a_secret_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(SecretError, match=r"The API key cannot be read from .*key: it is not text in UTF-8"):
        read_secret(str(tmp_path / "key"))
    with pytest.raises(SecretError, match=r"cannot be read from .*: Is a directory"):
        read_secret(str(tmp_path))
