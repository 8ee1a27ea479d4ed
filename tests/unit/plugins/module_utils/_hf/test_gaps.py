# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is missing by the list of files alone; tests of hf_snapshot have the rest."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._hf.cache import RepoFile
from ansible_collections.hgx.inference.plugins.module_utils._hf.gaps import listed_gap


def files(*paths: str, empty: int = 0) -> list[RepoFile]:
    """Return a list of files, of which the last C(empty) are empty."""
    full = len(paths) - empty
    return [RepoFile(path, 9 if index < full else 0, "a" * 40) for index, path in enumerate(paths)]


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ([], "it lists no file at all"),
        (files("a.bin", "config.json", empty=1), "config.json is empty"),
        (files("a.bin", "tokenizer.model", "tiktoken.model", empty=2), "tokenizer.model, tiktoken.model are empty"),
        (files("a.json", "model.safetensors", empty=1), "model.safetensors of its weights is empty"),
        (files("pytorch_model-00001-of-00002.bin"), "pytorch_model-00002-of-00002.bin is missing"),
        (files("model-00002-of-00002.safetensors", "a-1-of-2.bin"), "model-00001-of-00002.safetensors is missing"),
    ],
)
def test_what_a_list_lacks(listed: list[RepoFile], words: str) -> None:
    assert words in listed_gap(listed)


@pytest.mark.parametrize(
    "listed",
    [
        files("config.json"),
        files("model.safetensors", "pytorch_model-00001-of-00002.bin"),
        files("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"),
        files("model.safetensors", "eval/config.json", "results.json", "__init__.py", "LICENSE", empty=4),
    ],
)
def test_a_list_that_lacks_nothing(listed: list[RepoFile]) -> None:
    assert listed_gap(listed) == ""
