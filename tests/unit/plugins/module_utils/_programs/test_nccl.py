# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What NCCL 2.28.9 said on two H200 of a rank that was behind, one that did not answer, and one that never came."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.hgx.inference.plugins.module_utils._programs import nccl

RECORDED = Path(__file__).parents[3] / "fixtures" / "nccl-ras"


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def test_the_rank_that_is_behind() -> None:
    assert nccl.ras_words(recorded("behind.txt")) == [
        "#0-0 (e53e9b6ed7d989de) MISMATCH",
        "  Communicator ranks have different AllReduce operation counts",
        "  Rank 0 has launched up to operation 2 -- GPU 0 managed by process 668 on node 192.0.2.2",
        "  Rank 1 has launched up to operation 1 -- GPU 1 managed by process 669 on node 192.0.2.2",
    ]


def test_the_rank_that_does_not_answer() -> None:
    words = nccl.ras_words(recorded("no-answer.txt"))
    assert "  Rank 1 -- GPU 1 managed by process 669 on node 192.0.2.2" in words
    assert not any(line.startswith("=") for line in words)


def test_no_trouble_and_no_answer() -> None:
    assert nccl.ras_words("Status  Errors\n RUNNING  OK\n\nErrors\n======\n\nWarnings\n========\n\n\n") == []
    assert nccl.ras_words("") == []


def test_the_rank_that_never_came() -> None:
    lines = [f"(Worker_TP0 pid=783) {line}" for line in recorded("init.log").splitlines()]
    assert nccl.init_words(lines) == ["communicator 0x8bbcedfc28f4f8e3: of 2 ranks these have not come: 1"]
    both = [*lines, lines[-1].replace("rank 0", "rank 1")]
    assert nccl.init_words(both) == ["communicator 0x8bbcedfc28f4f8e3: of 2 ranks these do not get through: 0, 1"]
    assert nccl.init_words(["NCCL INFO Using network Socket"]) == []


def test_the_files_of_the_flight_recorder(tmp_path: Path) -> None:
    folder = tmp_path / "8" / "root" / "tmp"
    folder.mkdir(parents=True)
    (folder / "nccl_trace_rank_0").touch()
    assert nccl.recordings({7, 8}, str(tmp_path)) == ["/tmp/nccl_trace_rank_0"]
    assert nccl.recordings({7}, str(tmp_path)) == []
