# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal: an entry is whole or absent, and a line that cannot be read is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._lambda.client import Clock
from ansible_collections.hgx.inference.plugins.module_utils._lambda.files import Journal, numbered


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.jsonl"


def test_the_newest_entry_with_the_facts(path: Path) -> None:
    journal = Journal(str(path), Clock())
    assert journal.last(name="a") == (None, [])
    for event, name in (("one", "a"), ("two", "a"), ("three", "b")):
        journal.add(event, name=name)
    entry, unread = journal.last(name="a")
    assert entry is not None
    assert (entry["event"], unread) == ("two", [])
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", range(1, 12))
def test_an_entry_after_a_cut_line_starts_a_line_of_its_own(path: Path, cut: int) -> None:
    journal = Journal(str(path), Clock())
    journal.add("launching", name="a")
    os.truncate(path, path.stat().st_size - cut)
    journal.add("seen", name="b")
    entry, unread = journal.last(name="b")
    assert entry is not None
    # Without its line end only, an entry is whole.
    assert (entry["event"], unread) == ("seen", [1] if cut > 1 else [])


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"null",
        b"[]",
        b'"launching"',
        b'{"time": 1}',
        b'{"event": "x"}',
        b'{"event": 1, "time": 1}',
        b'{"event": "x", "time": "1"}',
        b'{"event": "x", "time": NaN}',
        b'{"event": "x", "time": true}',
        b'{"event": "x", "time": 1}{"event": "y", "time": 2}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_lines_that_cannot_be_read(path: Path, line: bytes) -> None:
    journal = Journal(str(path), Clock())
    journal.add("one", name="a")
    with path.open("ab") as stream:
        stream.write(b"\n" + line + b"\n")
    journal.add("two", name="a")
    assert journal.last(name="a")[1] == [3], "an empty line is no loss"
    journal.add("forced", name="b")
    assert journal.last(name="a")[1] == [3]
    journal.add("forced", name="a")
    assert journal.last(name="a")[1] == []


def test_numbers_of_lines() -> None:
    assert [numbered([2]), numbered([2, 3])] == ["line 2", "lines 2, 3"]
    assert numbered(list(range(1, 9))) == "lines 1, 2, 3, 4, 5 and 3 more"


def test_processes_that_write_at_once_do_not_mix_lines(path: Path) -> None:
    program = (
        "import sys; from ansible_collections.hgx.inference.plugins.module_utils._lambda import client, files\n"
        "for n in range(50): files.Journal(sys.argv[1], client.Clock()).add('x', text='y' * 5000)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [subprocess.Popen([sys.executable, "-c", program, str(path)], env=environment) for _n in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(path.read_bytes().splitlines()) == 150
    assert Journal(str(path), Clock()).last()[1] == []
