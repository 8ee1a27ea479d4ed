# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a recipe fits hardware that a person names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hgx.inference.plugins.filter.vllm_plan import model_fit
from ansible_collections.hgx.inference.tests.support.recipe_args import deployments

(KIMI,) = [one.data for one in deployments() if one.name == "kimi_k2_6_hgx_b200/published"]
ARGS = KIMI["engine"]["args"]


@pytest.mark.parametrize(
    ("hardware", "name", "verdict"),
    [
        ("", "8 GPUs of 170 GiB", "unknown"),  # of disk and memory the recipe says what it needs, not what there is
        ("8xH100", "8 x H100", "no"),
        ({"gpu_count": 8, "gpu_memory_gib": 179, "memory_gib": 2900, "disk_gb": 22500}, "8 GPUs of 179 GiB", "yes"),
        ({"gpu_count": 8, "gpu_memory_gib": 179, "memory_gib": 100}, "8 GPUs of 179 GiB", "no"),
    ],
)
def test_a_verdict_for_hardware(hardware: Any, name: str, verdict: str) -> None:
    found = model_fit(KIMI, ARGS, hardware)
    assert (found["hardware"], found["verdict"]) == (name, verdict)


def test_the_models_own_config_is_preferred() -> None:
    lines = model_fit(KIMI, ARGS, config=json.dumps({"num_hidden_layers": 1}))["lines"]
    assert lines[2]["words"] == "the size of the KV cache is unknown: the config has no hidden_size"


@pytest.mark.parametrize(("hardware", "config"), [("8xB900", ""), ("", "{")])
def test_what_cannot_be_judged_is_an_error(hardware: str, config: str) -> None:
    with pytest.raises(AnsibleFilterError, match="model_fit: "):
        model_fit(KIMI, ARGS, hardware, config)
