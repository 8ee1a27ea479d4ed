# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the results folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.secrets import KNOWN
from ansible_collections.hgx.inference.plugins.plugin_utils._report.folder import Folder, ReportError
from ansible_collections.hgx.inference.tests.support import report_sample as sample

STEM = "20261125T163145Z-quick"
PAGES = ["report.html", "report.json", "report.md"]


@pytest.fixture
def result(tmp_path: Path) -> Path:
    path = tmp_path / "node" / f"{STEM}.json"
    path.parent.mkdir()
    path.write_text(json.dumps(sample.result(size="quick")), encoding="utf-8")
    return path


def report(folder: Path, result: Path | None, dry: bool = False, **parts: Any) -> Folder:
    KNOWN.add("s3cret")
    made = Folder(folder, dry)
    with made.locked():
        made.report("node", result, parts, {"msg": "it was s3cret"})
        made.index()
    return made


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_report_is_written_once(tmp_path: Path, result: Path) -> None:
    assert report(tmp_path, result, node={"price_usd_per_hour": 53.52}).changed
    assert files(tmp_path) == ["index.html", f"node/{STEM}.json", *(f"node/{STEM}/{name}" for name in PAGES)]
    assert f'href="node/{STEM}/report.html"' in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert not report(tmp_path, result, node={"price_usd_per_hour": 53.52}).changed


def test_a_dry_run_writes_nothing(tmp_path: Path, result: Path) -> None:
    before = files(tmp_path)
    assert report(tmp_path, result, dry=True).changed
    assert files(tmp_path) == before
    assert report(tmp_path / "nowhere", result, dry=True).changed
    assert not (tmp_path / "nowhere").exists()


def test_a_rerun_keeps_what_it_does_not_know_and_does_not_flicker(tmp_path: Path, result: Path) -> None:
    check = {"name": "chat", "status": "pass", "message": "yes", "seconds": 0.61}
    report(tmp_path, result, startup={"seconds": 9}, functional={"verdict": "pass", "checks": [check]})
    again = {"verdict": "pass", "checks": [{**check, "seconds": 0.74}]}
    assert not report(tmp_path, result, startup=None, functional=again).changed
    failed = {"verdict": "fail", "checks": [{**check, "status": "fail"}]}
    assert report(tmp_path, result, startup=None, functional=failed).changed
    document = json.loads((tmp_path / "node" / STEM / "report.json").read_text(encoding="utf-8"))
    assert document["startup"] == {"seconds": 9}
    assert document["functional"]["verdict"] == "fail"


def test_what_was_not_measured_is_reported_until_it_is(tmp_path: Path, result: Path) -> None:
    report(tmp_path, None)
    page = tmp_path / "node" / "unmeasured" / "report.html"
    assert "it was ********" in page.read_text(encoding="utf-8")
    assert "it was ********" in (tmp_path / "index.html").read_text(encoding="utf-8")
    report(tmp_path, result)
    assert not page.parent.exists()
    assert "Not measured" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_all_reports_are_made_again_from_what_is_there(tmp_path: Path, result: Path) -> None:
    report(tmp_path, result, startup={"seconds": 9, "phases": [{"name": "weights", "seconds": 9}]})
    other = shutil.copy(result, result.with_name("20261124T163145Z-quick.json"))
    sweep = result.with_name("20261125T180200Z-sweep.json")
    sweep.write_text(json.dumps(sample.sweep()), encoding="utf-8")
    report(tmp_path, None)
    (result.parent / "broken.json").write_text("{", encoding="utf-8")
    (result.parent / "other.json").write_text("{}", encoding="utf-8")
    before = (tmp_path / "node" / STEM / "report.html").read_text(encoding="utf-8")
    made = Folder(tmp_path, dry=False)
    pages = made.remake()
    made.index()
    names = ["20261124T163145Z-quick", STEM, "20261125T180200Z-sweep", "unmeasured"]
    assert [page.parent.name for page in pages] == names
    assert (tmp_path / "node" / STEM / "report.html").read_text(encoding="utf-8") == before
    assert len(made.problems) == 2
    assert "broken.json is not JSON" in made.problems[0]
    assert Path(other).exists()


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), ("{", "is not JSON"), ("{}", "is not a benchmark result")]
)
def test_a_result_that_is_none_is_named(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "result.json"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match=f"result.json.* {words}"):
        report(tmp_path, path)


@pytest.mark.parametrize(
    "damage",
    [{"client": [1]}, {"checks": [{}]}, {"metadata": 7}, {"workload": [1]}, {"checks": 5}, {"spec_decode": True}],
)
def test_a_damaged_result_does_not_cost_the_page_of_all_runs(
    tmp_path: Path, result: Path, damage: dict[str, Any]
) -> None:
    damaged = result.with_name("20261124T163145Z-quick.json")
    damaged.write_text(json.dumps({**sample.result(size="quick"), **damage}), encoding="utf-8")
    made = report(tmp_path, result)
    made.remake()
    assert made.problems == [f"{damaged} is damaged and left out."]
    assert STEM in (tmp_path / "index.html").read_text(encoding="utf-8")
    with pytest.raises(ReportError, match=r"20261124T163145Z-quick\.json is damaged"):
        report(tmp_path, damaged)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ReportError, match="file is not a writable folder"):
        report(tmp_path / "file", None)


def test_a_gateway_is_added_to_the_newest_report_alone(tmp_path: Path, result: Path) -> None:
    older = result.with_name("20261120T163145Z-quick.json")
    shutil.copy(result, older)
    report(tmp_path, older)
    report(tmp_path, result, node={"price_usd_per_hour": 53.52})
    (tmp_path / "node" / "20261126T163145Z-sweep.json").write_text(json.dumps(sample.sweep()), encoding="utf-8")
    folder = Folder(tmp_path, dry=False)
    for name in ("one", "other"):
        assert folder.add_gateway("node", name, sample.gateway()) == tmp_path / "node" / STEM / "report.html"
    newest, first = (json.loads((tmp_path / "node" / stem / "report.json").read_text()) for stem in (STEM, older.stem))
    assert (sorted(newest["gateways"]), newest["node"]) == (["one", "other"], {"price_usd_per_hour": 53.52})
    assert first["gateways"] is None
    # A run that judges the same result again keeps it, and so does a rebuild.
    report(tmp_path, result, gateways=None)
    Folder(tmp_path, dry=False).remake()
    assert sorted(json.loads((tmp_path / "node" / STEM / "report.json").read_text())["gateways"]) == ["one", "other"]
    assert folder.add_gateway("nobody", "one", sample.gateway()) is None


def test_the_use_of_people_is_kept_and_made_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path, dry=False)
    page = folder.usage(sample.usage())
    text = page.read_text(encoding="utf-8")
    folder.index()
    assert 'href="usage.html"' in (tmp_path / "index.html").read_text(encoding="utf-8")
    page.write_text("old", encoding="utf-8")
    assert Folder(tmp_path, dry=False).remake() == [page]
    assert page.read_text(encoding="utf-8") == text
    (tmp_path / "usage.json").write_text('{"users": 1}', encoding="utf-8")
    broken = Folder(tmp_path, dry=False)
    assert broken.remake() == []
    assert broken.problems == [f"{tmp_path / 'usage.json'} is damaged and left out."]
