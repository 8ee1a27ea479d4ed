# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dashboards are those of their source, and each of their expressions is one that Prometheus is asked in tests."""

from __future__ import annotations

import json

from ansible_collections.hgx.inference.docs import dashboards


def test_the_dashboards_are_up_to_date() -> None:
    assert dashboards.OUTPUT.read_text(encoding="utf-8") == dashboards.make(), "run make dashboards"


def test_a_panel_has_its_lines_for_the_chosen_nodes() -> None:
    board = json.loads(dashboards.make())
    drawn = [panel for panel in board["panels"] if panel["type"] == "timeseries"]
    panels = [panel for row in dashboards.BOARD.values() for panel in row]
    assert [panel["title"] for panel in drawn] == [panel.title for panel in panels]
    targets = [target["expr"] for panel in drawn for target in panel["targets"]]
    assert targets == [f'({each}) and on (node) (up{{node=~"$node"}})' for each in dashboards.expressions()]
    # A row has 24 columns.
    assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in drawn) == 24
