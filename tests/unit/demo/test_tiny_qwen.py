# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tiny model of Qwen3's shape."""

from __future__ import annotations

import json
import struct

import pytest

from ansible_collections.hgx.inference.demo import tiny_qwen
from ansible_collections.hgx.inference.plugins.module_utils._model.architecture import read_cache, read_shape


def test_the_weights_are_those_that_the_architecture_says() -> None:
    files = tiny_qwen.model_files()
    config, weights = json.loads(files["config.json"]), files["model.safetensors"]
    (length,) = struct.unpack("<Q", weights[:8])
    header = json.loads(weights[8 : 8 + length])
    assert header["model.layers.1.self_attn.k_proj.weight"]["shape"] == [128, 256]
    # The norms are not counted.
    assert read_shape(config).bytes == pytest.approx(len(weights) - 8 - length, rel=0.002)
    assert read_cache(config, "auto", 1).per_token == 2 * 2 * 2 * 64 * 2
