# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loading of recipes through the real ansible command."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hgx.inference.tests.support import ansible_command

ROOT = Path(__file__).parents[4]


def load(recipe: str, profile: str = "published") -> tuple[int, str]:
    done = ansible_command.run(
        ["ansible", "localhost", "-m", "hgx.inference.load_recipe", "-a", f"recipe={recipe} profile={profile}"]
    )
    return done.returncode, done.stdout + done.stderr


def test_a_bundled_recipe_by_name() -> None:
    rc, output = load("tiny_kimi_cpu")
    assert rc == 0
    assert "name: tiny_kimi_cpu" in output


def test_a_file_keeps_what_looks_like_a_template(tmp_path: Path) -> None:
    text = (ROOT / "recipes" / "tiny_kimi_cpu.yml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yml"
    path.write_text(text.replace("temperature: 0", "chat-template: '{{ 7 * 7 }}'"), encoding="utf-8")
    rc, output = load(str(path))
    assert rc == 0
    assert "name: mine" in output
    assert "{{ 7 * 7 }}" in output


@pytest.mark.parametrize(
    ("recipe", "profile", "words"),
    [
        (
            "kimi_k2_6_hgx_b20",
            "published",
            "There is no bundled recipe 'kimi_k2_6_hgx_b20'. Did you mean 'kimi_k2_6_hgx_b200'?",
        ),
        ("kimi_k2_6_hgx_b200", "agentik", "recipe_profile: unknown name 'agentik'; did you mean 'agentic'?"),
        ("nowhere.yml", "published", "There is no recipe file"),
    ],
)
def test_refusals(recipe: str, profile: str, words: str) -> None:
    rc, output = load(recipe, profile)
    assert rc != 0
    assert words in " ".join(output.split())
