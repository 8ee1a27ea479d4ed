# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done to the specifications before antsibull-docs reads them."""

from __future__ import annotations

from typing import Any

from ansible_collections.hgx.inference.docs.build import CONTENTS, tell_templates_in_words


def test_a_default_that_is_a_template_is_told_in_words() -> None:
    options: dict[str, dict[str, Any]] = {
        "port": {"type": "int", "default": "{{ recipe.engine.port | default(8001) }}", "description": "The port."},
        "name": {"type": "str", "default": "{{ recipe.name }}", "description": "The name."},
        "count": {"type": "int", "default": 3, "description": ["How many."]},
    }
    tell_templates_in_words(options)
    assert options["port"] == {
        "type": "int",
        "description": ["The port.", r"By default C({{ recipe.engine.port | default(8001\) }})."],
    }
    assert options["name"]["default"] == "{{ recipe.name }}"
    assert options["count"] == {"type": "int", "default": 3, "description": ["How many."]}


def test_pages_lose_their_own_contents() -> None:
    assert CONTENTS.sub("", "Title\n\n.. contents::\n   :local:\n   :depth: 2\n\nText") == "Title\n\n\nText"
