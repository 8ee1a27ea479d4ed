# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options as a command line, and back."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.args import ArgsError, option_values, render_args


@pytest.mark.parametrize(
    ("options", "argv"),
    [
        ({}, []),
        ({"trust-remote-code": True}, ["--trust-remote-code"]),
        ({"enable-prefix-caching": False}, ["--no-enable-prefix-caching"]),
        ({"kv-cache-dtype": None}, []),
        (
            {"max-model-len": 131072, "gpu-memory-utilization": 0.9},
            ["--max-model-len", "131072", "--gpu-memory-utilization", "0.9"],
        ),
        (
            {"speculative-config": {"method": "eagle3", "n": 3, "x": True}},
            ["--speculative-config", '{"method":"eagle3","n":3,"x":true}'],
        ),
        (
            {"compilation_config.pass_config.fuse_allreduce_rms": True},
            ["--compilation_config.pass_config.fuse_allreduce_rms", "true"],
        ),
        ({"allowed-origins": ["a", "b"]}, ["--allowed-origins", "a", "b"]),
        ({"chat-template": "{{ not a template }}"}, ["--chat-template", "{{ not a template }}"]),
        ({"served-model-name": "two words"}, ["--served-model-name", "two words"]),
    ],
)
def test_rendering(options: dict[str, Any], argv: list[str]) -> None:
    assert render_args(options) == argv


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"--model": "x"}, "without leading dashes"),
        ({"a b": "x"}, "is not the name of an option"),
        ({"lora-modules": []}, "use null to leave the option out"),
        ({"seed": {1, 2}}, "a value of type set"),
        ({"served-model-name": ["a", "--trust-remote-code"]}, "would be read as another option"),
    ],
)
def test_refusals(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArgsError, match=reason):
        render_args(options)


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["vllm", "serve", "--model", "org/name", "--port=80"], {"model": "org/name", "port": "80"}),
        (["--served_model_name", "one", "two"], {"served-model-name": "one"}),
        (
            ["--enforce-eager", "--seed", "-1", "--language-model-only"],
            {"enforce-eager": "", "seed": "-1", "language-model-only": ""},
        ),
        (["--seed", "1", "--seed=2"], {"seed": "2"}),
        (["--speculative-config", '{"model": "a b"}'], {"speculative-config": '{"model": "a b"}'}),
        (["--speculative_config.draft_model", "a"], {"speculative-config.draft_model": "a"}),
    ],
)
def test_values(argv: list[str], options: dict[str, str]) -> None:
    assert option_values(argv) == options
