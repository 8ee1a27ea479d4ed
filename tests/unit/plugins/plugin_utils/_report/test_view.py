# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is shown of a document."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.plugin_utils._report import view
from ansible_collections.hgx.inference.tests.support import report_sample as sample


def empty(**parts: Any) -> dict[str, Any]:
    return {"format": 1, "host": "node", "made_at": None, "problem": None, **parts}


def broken(*names: str) -> dict[str, Any]:
    checks = [{"name": name, "title": name.title(), "status": "fail", "message": "no"} for name in names]
    return {"verdict": "fail", "checks": [*checks, {"name": "chat", "status": "pass", "message": "yes"}]}


def test_nothing_known_is_not_measured() -> None:
    shown = view.view(empty())
    assert shown.verdict.status == view.UNMEASURED
    assert shown.verdict.word == "NOT MEASURED"
    assert "benchmark" in shown.missing
    assert not (shown.key_figures or shown.checks or shown.functional or shown.phases or shown.costs or shown.notes)


def test_a_problem_is_the_reason() -> None:
    shown = view.view(empty(problem="There is no container."))
    assert (shown.verdict.word, shown.verdict.sentence) == ("INVALID", "There is no container.")


def test_a_pass_says_how_fast() -> None:
    shown = view.view(sample.document())
    assert shown.verdict.word == "PASS"
    assert shown.verdict.sentence == "14 of 14 thresholds met, at 1,494 output tokens per second in the steady state."
    assert shown.missing == []


def test_a_failure_names_the_worst_check_and_how_many() -> None:
    shown = view.view(sample.document(slowdown=1.3))
    assert shown.verdict.word == "FAIL"
    assert shown.verdict.sentence.startswith("Output throughput, steady state is 1,1")
    assert "the limit is ≥ 1,295 tok/s (1,439 − 10 %)." in shown.verdict.sentence
    assert "of 14 thresholds missed." in shown.verdict.sentence


def test_a_figure_that_just_misses_its_limit_is_seen_to() -> None:
    document = sample.document()
    check = next(check for check in document["result"]["checks"] if check.get("op") == ">=")
    check.update(status="fail", limit=1295.1, measured=1295.04, value=1295.1, tolerance="")
    assert "is 1,295.0 tok/s; the limit is ≥ 1,295.1 tok/s" in view.view(document).verdict.sentence


def test_a_failed_function_outranks_a_fast_benchmark() -> None:
    document = {**sample.document(), "functional": broken("stream", "tools", "image", "long")}
    shown = view.view(document)
    assert shown.verdict.status == "fail"
    assert shown.verdict.sentence.startswith("4 of 5 functional checks failed: Stream, Tools, Image and 1 more.")


def test_an_invalid_run_says_why() -> None:
    document = sample.document()
    document["result"].update(
        verdict="invalid", checks=[{"name": "output_length", "status": "invalid", "message": "the answers are short"}]
    )
    assert view.view(document).verdict == ("invalid", "INVALID", "The run cannot be judged: the answers are short.")


def test_which_rule_ended_the_run() -> None:
    shown = view.view(sample.document(size="quick"))
    assert shown.load.startswith("size quick: 64 requests")
    rule = "The run ended after 64 of at most 192 requests: the steady output throughput is "
    assert rule in shown.verdict.sentence
    assert "ended" not in view.view(sample.document(size="smoke")).verdict.sentence


def test_the_parts_of_a_run() -> None:
    metrics = [{"steady_output_throughput": 1290.0}, {"steady_output_throughput": 1310.0}]
    parts = [{"metrics": one, "latencies": []} for one in metrics]
    found = view.repetitions({"verdict": "pass", "parts": parts, "part": 1})
    assert found is not None
    assert found.note == "Parts of the run; the figures above are those of all requests, the charts those of part 2."
    assert len(found.rows) == 2
    assert view.repetitions({"verdict": "pass", "parts": parts[:1], "part": 0}) is None


def test_where_the_minutes_went() -> None:
    document = sample.document()
    found = view.view(document).run
    assert found is not None
    assert found.heading == "The run until here: 57\xa0min\xa031\xa0s, 51.30 USD at 53.52 USD an hour"
    assert found.rows[2] == ("Cache the weights", "24\xa0min\xa026\xa0s", "21.79 USD", "Fetch the models 24 min")
    document["run"].update(usd_per_hour=None, cost="cost unknown: no price per hour of a")
    found = view.view(document).run
    assert found is not None
    assert found.heading.endswith("s, cost unknown: no price per hour of a")
    assert found.rows[0][2] == "–"
    del document["run"]
    assert view.view(document).run is None
    assert "times of the run" in view.view(document).missing


def test_what_looks_odd_is_named_beside_the_thresholds() -> None:
    document = sample.document()
    document["result"]["verdict"] = "warn"
    document["result"]["checks"].append({"name": "even_speed", "status": "warn", "message": "the server was slow"})
    assert view.view(document).verdict.word == "WARNING"
    assert view.view(document).verdict.sentence.endswith("in the steady state. Looks odd: the server was slow.")


def test_a_figure_is_held_against_published_then_wanted_then_its_limit() -> None:
    found = {figure.metric: figure for figure in view.view(sample.document()).key_figures}
    assert found["output_throughput"].reference == "published 1,408"
    assert found["steady_output_throughput"].reference == "wanted 1,439"
    assert found["acceptance_length"].reference == "limit ≥ 1.90 tok"
    assert found["acceptance_length"].delta == ""
    assert found["mean_tpot_ms"].judged == "better"
    assert found["cost"].unit == "USD"


def test_the_published_price() -> None:
    # 53.52 USD an hour at the published 1408 and 7046 tokens a second
    (published,) = (cost for cost in view.costs(sample.document()) if "published" in cost.basis)
    assert (published.output, published.total) == ("10.56 USD", "2.11 USD")
    assert view.costs({**sample.document(), "node": None}) == []


@pytest.mark.parametrize(
    ("argv", "first"),
    [
        (["/bin/sh", "-c", 'export KEY; exec "$@"', "vllm", "python3", "-m", "x", "--port", "1"], "python3 -m x \\"),
        (["vllm", "serve"], "vllm serve"),
    ],
)
def test_the_servers_command_is_shown_without_the_shell_around_it(argv: list[str], first: str) -> None:
    document = empty(result={"environment": {"server_argv": argv}})
    assert view.view(document).server_command.split("\n")[0] == first


def test_how_to_measure_again() -> None:
    document = sample.document()
    shown = view.view(document)
    assert "--limit kimi-b200-1" in shown.playbook_command
    assert "-e smoke_benchmark_size=full" in shown.playbook_command
    assert "--env OPENAI_API_KEY vllm vllm bench serve" in shown.client_command
    document["result"]["client_command"] = ["env", "A=1", "vllm", "bench"]
    assert view.view(document).client_command == "env A=1 vllm bench"


def test_acceptance_of_clients_old_and_new() -> None:
    client = {"spec_decode_per_position_acceptance_rates": [63.0, 20.0]}
    old = empty(result={"metrics": {"acceptance_length": 1.8}, "client": client})
    assert view.acceptance(old) == [("random tokens", 1.8, [0.63, 0.2])]
    assert [row[0] for row in view.acceptance(sample.document())][-1] == "real text: prose"
    assert view.acceptance(empty(acceptance={"acceptance_length": None})) == []


def test_notes_depend_on_the_run() -> None:
    full, short = (" ".join(view.notes(sample.document(size=size))) for size in ("full", "quick"))
    assert "rests on the slowest 5" in full
    assert "anecdote" in short
    assert "2 waves of 32" in short
    assert "waves of" not in full
    document = sample.document()
    document["node"]["gpus"] = []
    assert "No GPU" in " ".join(view.notes(document))


def test_repetitions() -> None:
    document = sample.document()
    metrics = document["result"]["metrics"]
    document["result"]["repetitions"] = [metrics, {**metrics, "acceptance_length": None}]
    found = view.view(document).repetitions
    assert found
    assert found.note == "Repetitions; the figures above are their medians."
    assert (found.titles[0], found.rows[0][0]) == ("Output throughput, steady state", "1,494 tok/s")
    assert {len(row) for row in found.rows} == {len(found.titles)}
    assert "One run." not in " ".join(view.notes(document))


def test_an_invalid_repetition_has_no_medians() -> None:
    document = sample.document()
    document["result"].update(repetitions=[document["result"]["metrics"], {}], verdict="invalid")
    found = view.view(document).repetitions
    assert found
    assert "the last one is invalid" in found.note
    assert "their medians" not in found.note
    assert set(found.rows[1]) == {"–"}
