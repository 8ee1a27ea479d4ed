# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes the figures of a run worth nothing."""

from __future__ import annotations

import heapq
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hgx.inference.plugins.module_utils._benchmark.measure import compute_metrics
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.plan import (
    ENGINE_DEFAULTS,
    Check,
    Engine,
    Physical,
    Run,
)
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.spec import SPREAD_MAX
from ansible_collections.hgx.inference.plugins.module_utils._benchmark.validity import validity_checks
from ansible_collections.hgx.inference.plugins.module_utils._programs.texts import survey
from ansible_collections.hgx.inference.tests.support.simulated_server import simulate
from ansible_collections.hgx.inference.tests.unit.support.benchmark_runs import (
    AFTER,
    BEFORE,
    IDLE,
    RECORDED,
    WORKLOAD,
    answers,
    recorded,
    simulated,
    statuses,
)

ROOT = Path(__file__).parents[5]


class TestValidity:
    def test_a_recorded_run_is_valid(self) -> None:
        checks = validity_checks(recorded("rich.json"), WORKLOAD, "smoke")
        assert statuses(checks) == {
            "client_result": "pass",
            "all_requests_completed": "pass",
            "server_stayed_up": "pass",
            "output_length": "pass",
            "input_length": "pass",
            "no_other_traffic": "pass",
            "prompts_not_cached": "pass",
            "answers_readable": "pass",
            "answers_streamed": "pass",
            "first_token": "pass",
            "plausible_speed": "pass",
            "acceptance_plausible": "pass",
            "slots_filled": "pass",
            "even_speed": "pass",
        }

    def test_a_run_on_a_gpu_with_the_counters_of_its_server_is_judged_as_it_was(self) -> None:
        record = json.loads((RECORDED / "record-h100.json").read_text())
        run = Run(record["client"], record["counters"])
        found = statuses(validity_checks(run, record["workload"], record["size"]))
        then = {check["name"]: check["status"] for check in record["checks"] if "limit" not in check}
        assert {name: found[name] for name in then} == then
        # Its texts were not kept.
        assert {name for name, status in found.items() if status != "pass"} == {"answers_readable"}
        metrics = compute_metrics(run, record["workload"])
        steps = metrics.pop("steps_per_s")  # which there was not then
        assert steps == pytest.approx(metrics["steady_output_throughput"] / metrics["acceptance_length"])
        assert metrics == pytest.approx(record["metrics"], rel=1e-4)

    @pytest.mark.parametrize(
        ("counter", "more", "check"),
        [("output_tokens", 4096, "no_other_traffic"), ("prefix_cache_hits", 200000, "prompts_not_cached")],
    )
    def test_the_counters_of_that_server_can_speak_against_it(self, counter: str, more: float, check: str) -> None:
        record = json.loads((RECORDED / "record-h100.json").read_text())
        record["counters"]["after"][counter] += more
        record["counters"]["after"]["prefix_cache_queries"] += 265000
        run = Run(record["client"], record["counters"])
        assert statuses(validity_checks(run, record["workload"], record["size"]))[check] != "pass"

    def test_a_recorded_run_on_a_cold_server_looks_odd(self) -> None:
        workload = {**WORKLOAD, "spread_max": SPREAD_MAX}
        found = statuses(validity_checks(recorded("small.json"), workload, "smoke"))
        assert {name for name, status in found.items() if status != "pass"} == {"even_speed"}
        assert found["even_speed"] == "warn"
        assert set(statuses(validity_checks(recorded("rich.json"), workload, "smoke")).values()) == {"pass"}

    @pytest.mark.parametrize(
        ("name", "size", "message"),
        [
            ("killed.json", "smoke", r"0 of 64 requests completed, 64 failed \(32 x .*"),
            ("raw-refused.json", "quick", r"0 of 2 requests completed, 2 failed \(2 x .*Cannot connect to host.*"),
            ("raw-wrongname.json", "quick", r"0 of 2 requests completed, 2 failed \(2 x Not Found\)"),
            ("raw-instant.json", "smoke", "32 of 64 requests completed, 0 failed"),
        ],
    )
    def test_recorded_failures(self, name: str, size: str, message: str) -> None:
        first = validity_checks(recorded(name), WORKLOAD, size)[1]
        assert first.status == "invalid"
        assert re.fullmatch(message, first.message)

    @pytest.mark.parametrize(
        ("changes", "failed_check"),
        [
            ({"completed": 63, "failed": 1}, "all_requests_completed"),
            ({"max_concurrency": 64}, "client_result"),
            ({"duration": 4.0}, "client_result"),
            ({"contradictions": ["x"]}, "client_result"),
            ({"output_lens": [256] * 63 + [255]}, "output_length"),
            ({"output_lens": [256] * 63 + [0]}, "output_length"),
            ({"output_lens": [0] * 64}, "output_length"),
            ({"output_lens": [256] * 63, "ttfts": [0.1] * 63}, "all_requests_completed"),
            ({"input_lens": [1013] * 64}, "input_length"),
            ({"input_lens": [1] * 32 + [2070] * 32}, "input_length"),
            ({"input_lens": [900] + [1034] * 63}, "input_length"),
            ({"input_lens": [1200] + [1024] * 63}, "input_length"),
        ],
    )
    def test_what_makes_a_run_invalid(self, changes: dict[str, Any], failed_check: str) -> None:
        checks = validity_checks(recorded("rich.json", **changes), WORKLOAD, "smoke")
        assert [check.name for check in checks if check.status == "invalid"] == [failed_check]

    @pytest.mark.parametrize(
        ("changes", "name", "message"),
        [
            (
                {"chunks": [0, *[255] * 63]},
                "answers_streamed",
                "answers in too few chunks: 1, such as 256 tokens in 1 chunk; "
                "at most 67.2 tokens per chunk are expected",
            ),
            (
                {"chunks": [80] * 64},
                "answers_streamed",
                "3.19 tokens per chunk, 2.1 per step of the engine; at most 3.15 per chunk are expected: "
                "the server or the client is short of CPU, or a proxy holds chunks back",
            ),
            (
                {"median_itl_ms": 0.5},
                "plausible_speed",
                "half of the chunks came within 0.50 ms of the one before; a step of an engine takes 0.8 ms or more",
            ),
            (
                {"ttfts": [0.0005] * 64},
                "plausible_speed",
                "half of the answers started within 0.50 ms; a step of an engine takes 0.8 ms or more",
            ),
            (
                {"duration": 30.0},
                "slots_filled",
                "the client ran on for 25.3 s after the last token; at most 1.0 s are expected",
            ),
        ],
    )
    def test_what_looks_odd_warns_with_figure_and_bound(self, changes: dict[str, Any], name: str, message: str) -> None:
        checks = validity_checks(recorded("rich.json", **changes), WORKLOAD, "smoke")
        assert [(c.name, c.status, c.message) for c in checks if c.status != "pass"] == [(name, "warn", message)]

    @pytest.mark.parametrize("length", [1014, 1024, 1024 + 64])
    def test_a_chat_template_is_allowed_for(self, length: int) -> None:
        checks = validity_checks(recorded("rich.json", input_lens=[length] * 64), WORKLOAD, "smoke")
        assert statuses(checks)["input_length"] == "pass"

    @pytest.mark.parametrize(
        ("tokens", "status"),
        [(0, "pass"), (501, "pass"), (-245, "pass"), (502, "invalid"), (-246, "invalid"), (-24576, "invalid")],
    )
    def test_other_traffic_up_to_a_hundredth_and_one_answer(self, tokens: int, status: str) -> None:
        run = recorded("rich.json")
        after = {**AFTER, "output_tokens": AFTER["output_tokens"] + tokens}
        checks = validity_checks(Run(run.client, {**run.counters, "after": after}), WORKLOAD, "smoke")
        assert statuses(checks)["no_other_traffic"] == status

    def test_a_server_that_answers_no_more_is_invalid(self) -> None:
        run = recorded("rich.json")
        checks = validity_checks(Run(run.client, {**run.counters, "after": None}), WORKLOAD, "smoke")
        assert [check.name for check in checks if check.status == "invalid"] == ["server_stayed_up"]

    @pytest.mark.parametrize("counter", ["prefix_cache_hits", "preemptions", "accepted_tokens", "requests"])
    def test_a_counter_that_has_fallen_is_of_another_start(self, counter: str) -> None:
        run = recorded("rich.json")
        counters = {**run.counters, "before": {**BEFORE, counter: 1e9}}
        check = check_of(Run(run.client, counters), "server_stayed_up")
        assert check.status == "invalid"
        assert f"the server counts fewer {counter.replace('_', ' ')} than before the run" in check.message

    @pytest.mark.parametrize(
        ("after", "message"),
        [
            ({"output_tokens": 5.0}, "the server's counters were reset: it restarted"),
            (
                {"prompt_tokens": 108000.0},
                "the server counted 108000 prompt tokens, the client sent at most 105504",
            ),
            (
                {"prompt_tokens": 98000.0},
                "the server counted 98000 prompt tokens, the client sent 99360: it did not read all of them",
            ),
            ({"requests": 99.0}, "the server counted 99 requests, the client sent at most 96"),
            ({"requests": 63.0}, "the server counted 63 requests, 64 were answered"),
        ],
    )
    def test_other_counters(self, after: dict[str, float], message: str) -> None:
        run = recorded("rich.json")
        counters = {**run.counters, "after": {**AFTER, **after}}
        (check,) = [c for c in validity_checks(Run(run.client, counters), WORKLOAD, "smoke") if c.status != "pass"]
        name = "server_stayed_up" if "restarted" in message else "no_other_traffic"
        assert (check.name, check.status, check.message) == (name, "invalid", message)

    @pytest.mark.parametrize(("waiting", "status"), [(5, "pass"), (6, "invalid")])
    def test_more_under_way_than_the_client_sends(self, waiting: int, status: str) -> None:
        run = recorded("rich.json")
        counters = {**run.counters, "busiest": {"running": 32.0, "waiting": float(waiting)}}
        assert statuses(validity_checks(Run(run.client, counters), WORKLOAD, "smoke"))["no_other_traffic"] == status

    @pytest.mark.parametrize(
        ("hits", "size", "status"), [(98, "smoke", "pass"), (99, "smoke", "invalid"), (501, "quick", "invalid")]
    )
    def test_a_load_that_was_run_before(self, hits: int, size: str, status: str) -> None:
        """One request in 64 has the prompt of the warm-up, and a sixteenth of each is the chat template."""
        run = recorded("rich.json")
        after = {**AFTER, "prefix_cache_queries": 1000.0, "prefix_cache_hits": float(hits)}
        checks = validity_checks(Run(run.client, {**run.counters, "after": after}), WORKLOAD, size)
        assert statuses(checks)["prompts_not_cached"] == status

    @pytest.mark.parametrize(
        "changes",
        [
            {"dataset": "sharegpt"},
            {"args": {"random-range-ratio": 0.2}},
            {"args": {"random_range_ratio": "0.2"}},
            {"args": {"random-range-ratio": '{"input": 0.2, "output": 0.2}'}},
            {"args": {"random-range-ratio": {"input": 0.2, "output": 0}}},
            {"args": {"random-prefix-len": 256}},
        ],
    )
    def test_lengths_that_vary_are_not_checked(self, changes: dict[str, Any]) -> None:
        lengths = [1, *range(100, 163)]
        run = recorded("rich.json", output_lens=lengths, total_output_tokens=sum(lengths))
        counted = {**AFTER, "output_tokens": BEFORE["output_tokens"] + sum(lengths) + 32 * lengths[-1]}
        run = Run(run.client, {**run.counters, "after": counted})
        found = statuses(validity_checks(run, {**WORKLOAD, **changes}, "smoke"))
        assert not {"input_length", "prompts_not_cached"} & set(found)
        assert (found["output_length"], found["no_other_traffic"]) == ("pass", "pass")
        for tokens in (0, sum(lengths) + 40 * lengths[-1]):
            after = {**counted, "output_tokens": BEFORE["output_tokens"] + tokens}
            other = Run(run.client, {**run.counters, "after": after})
            assert statuses(validity_checks(other, {**WORKLOAD, **changes}, "smoke"))["no_other_traffic"] == "invalid"

    @pytest.mark.parametrize("ratio", [0, None, {"input": 0, "output": 0.0}])
    def test_lengths_that_could_vary_but_do_not_are_checked(self, ratio: Any) -> None:
        workload = {**WORKLOAD, "args": {"random-range-ratio": ratio, "random-prefix-len": None}}
        assert "input_length" in statuses(validity_checks(recorded("rich.json"), workload, "smoke"))

    @pytest.mark.parametrize(
        ("counted", "template", "status"),
        [(1035, 0, "pass"), (1035, 64, "pass"), (1035, 96, "invalid"), (1024, 64, "pass"), (1024, 96, "invalid")],
    )
    def test_a_template_that_the_client_does_not_count(self, counted: int, template: int, status: str) -> None:
        """vLLM 0.19 and older count the text that they send; newer ones take the server's figure."""
        run = recorded("rich.json", input_lens=[counted] * 64, total_input_tokens=64 * counted)
        before = {**(run.counters["before"] or {}), "prompt_tokens": 0.0}
        after = {**AFTER, "prompt_tokens": 96.0 * (counted + template)}
        checks = validity_checks(Run(run.client, {**run.counters, "before": before, "after": after}), WORKLOAD, "smoke")
        assert statuses(checks)["no_other_traffic"] == status

    @pytest.mark.parametrize(
        ("published", "status"),
        [
            ({"output_throughput": 2310.0}, "pass"),
            ({"output_throughput": 2300.0}, "warn"),
            ({"mean_tpot_ms": 12.5}, "pass"),
            ({"mean_tpot_ms": 13.0}, "warn"),
            ({"p99_tpot_ms": 100.0}, "pass"),
            ({"mean_ttft_ms": 3900.0}, "pass"),
            ({"mean_ttft_ms": 3910.0}, "warn"),
        ],
    )
    def test_much_better_than_published(self, published: dict[str, float], status: str) -> None:
        checks = validity_checks(recorded("rich.json"), WORKLOAD, "smoke", published)
        assert statuses(checks)["plausible_speed"] == status


def check_of(
    run: Run,
    name: str,
    workload: dict[str, Any] = WORKLOAD,
    published: dict[str, float] | None = None,
    engine: Engine = ENGINE_DEFAULTS,
) -> Check:
    (check,) = [check for check in validity_checks(run, workload, "smoke", published, engine) if check.name == name]
    return check


LOOPING = ["!" * 200] * 64
TEXTS = answers(64)
# Ten ways in which servers are told who they are, by the tokens that the template adds.
SYSTEM_PROMPTS = {
    "none": 4,
    "Kimi": 12,
    "ChatML": 21,
    "Llama 2": 30,
    "Mistral": 58,
    "Claude-like": 75,
    "with the date": 97,
    "of a company": 300,
    "with tools": 1200,
    "with examples": 4000,
}


class TestTexts:
    @pytest.mark.parametrize(
        ("texts", "on_random", "on_text"),
        [
            (TEXTS, "pass", "pass"),
            (LOOPING, "invalid", "invalid"),
            (LOOPING[:63] + TEXTS[:1], "warn", "invalid"),
            (LOOPING[:32] + TEXTS[:32], "warn", "invalid"),
            (LOOPING[:31] + TEXTS[:33], "pass", "warn"),
            ([f"{word} " * 60 for word in range(64)], "warn", "invalid"),
            (LOOPING[:1] + TEXTS[:63], "pass", "warn"),
            (["\ufffda\ufffd\ufffdb\ufffd"] * 64, "invalid", "invalid"),
            ([""] * 32 + TEXTS[:32], "warn", "warn"),
            ([""] * 31 + TEXTS[:33], "pass", "pass"),
            ([""] * 32 + LOOPING[:32], "invalid", "invalid"),
            (["All the same."] * 64, "pass", "warn"),  # so do scripted models, and short answers to random tokens
        ],
    )
    def test_of_random_prompts_and_of_others(self, texts: list[str], on_random: str, on_text: str) -> None:
        run = recorded("rich.json", texts=survey(texts))
        assert check_of(run, "answers_readable").status == on_random
        other = {**WORKLOAD, "dataset": "sharegpt"}
        assert check_of(run, "answers_readable", other).status == on_text

    @pytest.mark.parametrize("texts", [[""] * 64, LOOPING, TEXTS])
    def test_random_weights_are_told_instead(self, texts: list[str]) -> None:
        engine = Engine.of(["--load-format", "dummy", "--max-model-len", "4096"])
        check = check_of(recorded("rich.json", texts=survey(texts)), "answers_readable", engine=engine)
        assert check.status == "warn"
        assert "the weights are random" in check.message

    @pytest.mark.parametrize(
        ("accepted", "published", "loops", "status"),
        [
            (1100, 1000.0, 0, "pass"),
            (2950, 4000.0, 0, "pass"),
            (2950, 3000.0, 0, "pass"),
            (2950, 3000.0, 40, "invalid"),
            (1100, 3000.0, 40, "warn"),
            (1100, 1000.0, 40, "invalid"),
        ],
    )
    def test_figures_that_are_too_good_make_loops_certain(
        self, accepted: float, published: float, loops: int, status: str
    ) -> None:
        run = recorded("rich.json", texts=survey([f"{index} " + "la " * 60 for index in range(loops)] + TEXTS[loops:]))
        after = {**AFTER, "accepted_tokens": 20.0 + accepted}
        run = Run(run.client, {**run.counters, "after": after})
        assert check_of(run, "answers_readable", published={"output_throughput": published}).status == status

    @pytest.mark.parametrize(
        ("look", "status", "message"),
        [
            ({}, "warn", "unknown: none of the 64 answers has a text, and whether they are thoughts was not seen"),
            ({"thoughts": False, "text": " "}, "invalid", "none of the 64 answers has a text, nor has one more"),
            ({"thoughts": False, "text": "Hi"}, "warn", "unknown: none of the 64 answers has a text"),
            ({"thoughts": True}, "warn", "unknown: none of the 64 answers has a text"),
            ({"thoughts": True, "sample": survey(["I think."])}, "pass", "one more was read"),
            ({"thoughts": True, "sample": survey(["!" * 99])}, "invalid", "and one more answer is '!!!!"),
            ({"thoughts": True, "sample": survey([""])}, "invalid", "and one more answer is ''"),
        ],
    )
    def test_answers_without_a_text(self, look: dict[str, Any], status: str, message: str) -> None:
        run = recorded("rich.json", texts=survey([""] * 64))
        check = check_of(Run(run.client, run.counters, look), "answers_readable")
        assert (check.status, message in check.message) == (status, True)

    @pytest.mark.parametrize(
        ("tokens", "status"),
        [
            (None, "pass"),
            ({"counted": 1000, "claimed": 1000}, "pass"),
            ({"counted": 1000, "claimed": 1100}, "pass"),
            ({"counted": 1000, "claimed": 900}, "pass"),  # text of random tokens has another number of them
            ({"counted": 1000, "claimed": 1300}, "warn"),
        ],
    )
    def test_tokens_that_the_texts_do_not_have(self, tokens: dict[str, int] | None, status: str) -> None:
        check = check_of(recorded("rich.json", texts={**survey(TEXTS), "tokens": tokens}), "answers_readable")
        assert check.status == status
        assert ("is unknown" in check.message) == (tokens is None)
        assert ("the server counts 1300 tokens in answers whose texts have 1000" in check.message) == (status == "warn")

    @pytest.mark.parametrize("texts", [[""] * 64, TEXTS])
    @pytest.mark.parametrize(
        ("claimed", "status"), [(128, "pass"), (132, "pass"), (144, "pass"), (145, "warn"), (30, "pass")]
    )
    def test_tokens_that_thoughts_do_not_have(self, texts: list[str], claimed: int, status: str) -> None:
        sample = {**survey(["I think."]), "tokens": {"counted": 128, "claimed": claimed}}
        look = {"thoughts": True, "text": "Hm", "sample": sample}
        run = recorded("rich.json", texts={**survey(texts), "tokens": None})
        check = check_of(Run(run.client, run.counters, look), "answers_readable")
        assert check.status == status
        told = "the server counts 145 tokens in one more answer whose text, with its thoughts, has 128"
        assert (told in check.message) == (status == "warn")
        assert "is unknown" not in check.message


class TestTooGood:
    @pytest.mark.parametrize(
        ("accepted", "published", "status"),
        [
            (2950, {}, "pass"),
            (2950, {"output_throughput": 3454.0}, "pass"),
            (2950, {"output_throughput": 3400.0}, "warn"),
            (2950, {"output_throughput": 3400.0, "acceptance_rate": 99.0}, "pass"),
            (2600, {"output_throughput": 3400.0}, "pass"),
            (0, {}, "pass"),
            (3010, {}, "pass"),
            (3100, {}, "invalid"),
            (-20, {}, "invalid"),
        ],
    )
    def test_acceptance(self, accepted: float, published: dict[str, float], status: str) -> None:
        run = recorded("rich.json")
        after = {**AFTER, "accepted_tokens": 20.0 + accepted}
        run = Run(run.client, {**run.counters, "after": after})
        assert check_of(run, "acceptance_plausible", published=published).status == status

    def test_each_metric_is_told_with_both_figures(self) -> None:
        check = check_of(
            recorded("rich.json"), "plausible_speed", published={"output_throughput": 1439.0, "mean_tpot_ms": 20.4}
        )
        assert check.message == (
            "output_throughput is 2.4 times as good as published (3453.45 against 1439 tok/s); "
            "mean_tpot_ms is 2.4 times as good as published (8.5 against 20.4 ms)"
        )


class TestTemplate:
    @pytest.mark.parametrize("tokens", SYSTEM_PROMPTS.values(), ids=SYSTEM_PROMPTS)
    @pytest.mark.parametrize("counts_template", [True, False])
    def test_a_system_prompt_of_any_length_is_honest(self, tokens: int, counts_template: bool) -> None:
        """Also if all of it is found in the prefix cache, and with a client that does not count it (vLLM 0.19)."""
        told = 1024 + tokens * counts_template
        run = recorded("rich.json", input_lens=[told] * 64, total_input_tokens=64 * told)
        read = 96.0 * (1024 + tokens)
        after = {**AFTER, "prompt_tokens": read, "prefix_cache_queries": read, "prefix_cache_hits": 96.0 * tokens}
        look = {"prompt_tokens": tokens + 1}
        run = Run(run.client, {**run.counters, "measuring": None, "after": after}, look)
        found = statuses(validity_checks(run, WORKLOAD, "smoke"))
        assert {name for name, status in found.items() if status == "invalid"} == set()

    @pytest.mark.parametrize(
        ("length", "read", "hits", "check"),
        [
            (1024 + 75 + 65, 96.0 * 1164, 0.0, "input_length"),
            (1024, 96.0 * 1200, 0.0, "no_other_traffic"),
            (1024 + 75, 96.0 * 1099, 96.0 * 500, "prompts_not_cached"),
        ],
    )
    def test_more_than_the_template_is_not(self, length: int, read: float, hits: float, check: str) -> None:
        run = recorded("rich.json", input_lens=[length] * 64, total_input_tokens=64 * length)
        after = {**AFTER, "prompt_tokens": read, "prefix_cache_queries": read, "prefix_cache_hits": hits}
        run = Run(run.client, {**run.counters, "after": after}, {"prompt_tokens": 76})
        found = statuses(validity_checks(run, WORKLOAD, "smoke"))
        assert [name for name, status in found.items() if status == "invalid"] == [check]

    def test_a_template_for_which_the_count_of_the_prompts_has_no_room(self) -> None:
        """Otherwise a server that claims a long template could have all prompts in its cache."""
        run = recorded("rich.json")
        after = {**AFTER, "prefix_cache_queries": 96.0 * 1035, "prefix_cache_hits": 96.0 * 1000}
        for told in (12, 60_000):
            run = Run(run.client, {**run.counters, "measuring": None, "after": after}, {"prompt_tokens": told})
            assert statuses(validity_checks(run, WORKLOAD, "smoke"))["prompts_not_cached"] == "invalid"


class TestUnknown:
    @pytest.mark.parametrize(
        ("lacking", "check", "message"),
        [
            ("prefix_cache_queries", "prompts_not_cached", "unknown: the server does not count how much"),
            ("prefix_cache_hits", "prompts_not_cached", "unknown: the server does not count how much"),
            ("requests", "no_other_traffic", "its counts of requests are unknown"),
            ("prompt_tokens", "no_other_traffic", "its counts of prompt tokens are unknown"),
        ],
    )
    def test_a_missing_counter_is_told(self, lacking: str, check: str, message: str) -> None:
        run = recorded("rich.json")
        counters = {
            when: {name: value for name, value in (counted or {}).items() if name != lacking}
            for when, counted in run.counters.items()
        }
        found = check_of(Run(run.client, counters), check)
        assert (found.status, message in found.message) == ("warn", True)

    @pytest.mark.parametrize("counter", ["external_cache_hits", "prompt_tokens_cached"])
    def test_other_caches_count(self, counter: str) -> None:
        run = recorded("rich.json")
        counters = {
            when: {**(counted or {}), "prefix_cache_queries": 1000.0 * (when == "after"), counter: 0.0}
            for when, counted in run.counters.items()
        }
        share = {"external_cache_hits": 500.0, "prompt_tokens_cached": 50000.0}[counter]
        counters["after"][counter] = share
        counters["measuring"] = None  # type: ignore[assignment]
        assert check_of(Run(run.client, counters), "prompts_not_cached").status == "invalid"


def judged(run: Run, requests: int = 128, spread_max: float = SPREAD_MAX) -> dict[str, str]:
    own = {"max_concurrency": run.client["max_concurrency"], "sizes": {"smoke": requests}}
    workload = {**WORKLOAD, "warmup_prompts": 0, "spread_max": spread_max, **own}
    return {
        name: status for name, status in statuses(validity_checks(run, workload, "smoke")).items() if status != "pass"
    }


HONEST = simulate(128, 32, 0)


def lingering(requests: int, share: float) -> Run:
    """An honest run but for a pause after each answer, of a share of the mean latency, before the slot is free."""
    honest = simulate(requests, 32, 0)
    latencies = [ttft + sum(gaps) for ttft, gaps in zip(honest["ttfts"], honest["itls"], strict=True)]
    pause = share * sum(latencies) / requests
    starts, slots = honest["start_times"], [0.0] * 32
    for index in sorted(range(requests), key=lambda index: starts[index]):
        starts[index] = heapq.heappop(slots)
        heapq.heappush(slots, starts[index] + latencies[index] + pause)
    return simulated({**honest, "start_times": starts, "duration": max(slots)})


def changed(**changes: Any) -> Run:
    """A run whose server counts the drafts of the honest one."""
    counted = simulated(HONEST).counters["after"] or {}
    drafts = {name: counted[name] for name in ("drafts", "draft_tokens", "accepted_tokens")}
    return simulated({**HONEST, **changes}, **drafts)


class TestLiars:
    """What a server that lies looks like to the client, and in the counters, made from an honest run."""

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("requests", [64, 128])
    def test_an_honest_server(self, requests: int, seed: int) -> None:
        assert judged(simulated(simulate(requests, 32, seed)), requests) == {}

    def test_cut_streams(self) -> None:
        """No usage arrives: the client counts the tokens of the text, which is empty under a reasoning parser."""
        cut = changed(itls=[[]] * 128, output_lens=[0] * 128)
        assert judged(cut) == {"output_length": "invalid"}
        one_token = changed(itls=[[]] * 128, output_lens=[1] * 128)
        assert judged(one_token)["output_length"] == "invalid"

    def test_cut_streams_that_claim_all_tokens(self) -> None:
        assert judged(changed(itls=[[]] * 128))["answers_streamed"] == "warn"
        one_cut = [[], *HONEST["itls"][1:]]
        assert judged(changed(itls=one_cut)) == {"answers_streamed": "warn"}

    def test_few_chunks_that_claim_all_tokens(self) -> None:
        long_gaps = [[sum(gaps) / 20] * 20 for gaps in HONEST["itls"]]
        assert judged(changed(itls=long_gaps)) == {"answers_streamed": "warn"}

    def test_half_of_the_chunks(self) -> None:
        half = [[sum(gaps[index : index + 2]) for index in range(0, len(gaps), 2)] for gaps in HONEST["itls"]]
        assert judged(changed(itls=half)) == {"answers_streamed": "warn"}

    def test_streams_that_are_held_back(self) -> None:
        """All chunks but the first in one piece, at the time of the last."""
        held = [[0.00002] * (len(gaps) - 1) + [sum(gaps)] for gaps in HONEST["itls"]]
        assert judged(changed(itls=held)) == {"plausible_speed": "warn"}

    def test_errors_and_cut_streams(self) -> None:
        cut = changed(completed=115, failed=13, itls=[[]] * 128, output_lens=[0] * 128)
        assert judged(cut) == {"all_requests_completed": "invalid", "output_length": "invalid"}

    def test_connections_that_stay_open(self) -> None:
        """No second request shows it where each slot is used once."""
        once = simulate(32, 32, 0)
        assert judged(simulated({**once, "duration": 1.05 * once["duration"]}), 32) == {}
        assert judged(simulated({**once, "duration": 2 * once["duration"]}), 32) == {"slots_filled": "warn"}

    @pytest.mark.parametrize("lengths", [[255] * 128, [256] * 127 + [257], [1] + [256] * 127])
    def test_wrong_lengths(self, lengths: list[int]) -> None:
        assert judged(changed(output_lens=lengths))["output_length"] == "invalid"

    def test_a_tenth_of_errors(self) -> None:
        lengths = [0] * 13 + [256] * 115
        found = judged(changed(completed=115, failed=13, output_lens=lengths, errors=["Bad Gateway"] * 13 + [""] * 115))
        assert found["all_requests_completed"] == "invalid"

    def test_a_cache_that_answers_without_the_server(self) -> None:
        assert judged(simulated(HONEST, output_tokens=0.0)) == {"no_other_traffic": "invalid"}

    def test_a_cache_that_counts(self) -> None:
        instant = {"ttfts": [0.001] * 128, "itls": [[0.00002] * 255] * 128, "start_times": [0.0] * 128}
        assert judged(changed(**instant))["plausible_speed"] == "warn"

    @pytest.mark.parametrize("tokens", [1.02, 0.98])
    def test_counters_that_do_not_match(self, tokens: float) -> None:
        assert judged(simulated(HONEST, output_tokens=tokens * 128 * 256)) == {"no_other_traffic": "invalid"}

    def test_a_server_that_counts_nothing(self) -> None:
        run = simulated(HONEST)
        blind = {**run.counters, "before": IDLE, "after": IDLE}
        assert judged(Run(run.client, blind)) == {
            "no_other_traffic": "invalid",
            "prompts_not_cached": "warn",
            "answers_streamed": "warn",
        }

    @pytest.mark.parametrize("share", [0.5, 1.0])
    def test_slow_half_of_the_time(self, share: float) -> None:
        """A third of the speed in every second period."""
        period = share * HONEST["duration"] / 2
        run = simulated(simulate(128, 32, 0, lambda now: 3.0 if now % (2 * period) >= period else 1.0))
        assert judged(run)["even_speed"] == "warn"
        assert judged(run, spread_max=0) == {}

    def test_slow_for_moments_that_every_request_sees(self) -> None:
        """Where few gaps are due to the prompts of others, the gaps tell."""
        assert judged(simulated(simulate(32, 4, 0)), 32) == {}
        run = simulated(simulate(32, 4, 0, lambda now: 4.0 if now % 1.0 < 0.5 else 1.0))
        assert judged(run, 32) == {"even_speed": "warn"}
        check = check_of(run, "even_speed", {**WORKLOAD, "max_concurrency": 4, "spread_max": SPREAD_MAX})
        assert check.message == (
            "an answer paused 36 times on average, for 54 % of its time; at most 5 times or 30 % is expected"
        )

    @pytest.mark.parametrize(("concurrency", "slow", "period"), [(32, 5.0, 0.5), (8, 4.0, 1.0), (8, 10.0, 2.0)])
    def test_stalls_where_many_gaps_are_due_to_prompts(self, concurrency: int, slow: float, period: float) -> None:
        assert judged(simulated(simulate(128, concurrency, 0))) == {}
        run = simulated(simulate(128, concurrency, 0, lambda now: slow if now % period < period / 2 else 1.0))
        assert judged(run) == {"even_speed": "warn"}

    def test_slow_for_every_second_request(self) -> None:
        gaps = [[3 * gap for gap in gaps] if index % 2 else gaps for index, gaps in enumerate(HONEST["itls"])]
        assert judged(changed(itls=gaps, duration=2 * HONEST["duration"]))["even_speed"] == "warn"

    def test_time_that_no_latency_shows(self) -> None:
        """Answers whose connection stays open after the last token, so that the next request waits."""
        for requests in (64, 128, 512):
            assert judged(lingering(requests, 0.05), requests) == {}
            assert judged(lingering(requests, 0.2), requests) == {"slots_filled": "warn"}
        check = check_of(lingering(512, 0.2), "slots_filled")
        assert check.message == "the 32 slots were busy for 83.9 % of the time; 90 % or more is expected"

    def test_no_slot_is_used_twice(self) -> None:
        assert judged(simulated(simulate(32, 32, 0)), 32) == {}


class TestEngine:
    """Settings of the engine that show in the pace of its answers."""

    @pytest.mark.parametrize(
        ("argv", "engine"),
        [
            (["vllm", "serve", "m"], Engine()),
            (["serve", "--stream-interval", "10", "--max-num-batched-tokens=2048"], Engine(10, 2048)),
            (["serve", "--max-num-batched-tokens", "auto"], Engine()),
            (["serve", "--max-num-batched-tokens", "16K"], Engine(max_num_batched_tokens=16384)),
            (["serve", "--stream_interval=4", "--stream-interval", "5"], Engine(5)),
            (["-c", "vllm serve m --stream-interval 20"], Engine(20)),
            (["serve", "--stream-interval", "0", "--max-num-batched-tokens", "16k"], Engine(1, 16000)),
        ],
    )
    def test_what_a_command_line_says(self, argv: list[str], engine: Engine) -> None:
        assert Engine.of(argv) == engine

    @pytest.mark.parametrize(("interval", "status"), [(1, "warn"), (12, "pass")])
    def test_tokens_that_are_sent_together(self, interval: int, status: str) -> None:
        long_gaps = [[sum(gaps) / 22] * 22 for gaps in HONEST["itls"]]
        workload = {**WORKLOAD, "warmup_prompts": 0, "sizes": {"smoke": 128}}
        checks = validity_checks(changed(itls=long_gaps), workload, "smoke", engine=Engine(interval))
        (check,) = [check for check in checks if check.name == "answers_streamed"]
        assert check.status == status
        assert ("stream-interval" in check.message) == (interval > 1)

    @pytest.mark.parametrize(("budget", "status"), [(1024, "warn"), (128, "pass")])
    def test_prompts_that_are_read_in_several_steps(self, budget: int, status: str) -> None:
        """Then many of the gaps are due to the prompts of others."""
        run = simulated(simulate(32, 4, 0, lambda now: 4.0 if now % 1.0 < 0.5 else 1.0))
        workload = {**WORKLOAD, "warmup_prompts": 0, "sizes": {"smoke": 32}, "spread_max": SPREAD_MAX}
        workload["max_concurrency"] = 4
        checks = validity_checks(run, workload, "smoke", engine=Engine(1, budget))
        assert statuses(checks)["even_speed"] == status


def test_every_message_says_something() -> None:
    checks: list[Check] = validity_checks(recorded("rich.json"), WORKLOAD, "smoke")
    assert all(check.message for check in checks)


class TestPhysics:
    """The recorded run: 11.4 ms a token, 2.1 tokens a step by the counters."""

    @staticmethod
    def judged(physical: Physical | None, engine: Engine = ENGINE_DEFAULTS, **changes: Any) -> Check:
        run = recorded("rich.json", **changes)
        checks = validity_checks(run, WORKLOAD, "smoke", {}, engine, physical)
        return next(check for check in checks if check.name == "plausible_speed")

    def took_ms(self) -> float:
        client = recorded("rich.json").client
        waited = sum(client["e2els"]) - sum(client["ttfts"])
        return float(1000 * waited / sum(tokens - 1 for tokens in client["output_lens"]))

    def physical(self, tpot_ms: float) -> Physical:
        """Return hardware on which a token takes at least this long with 2.1 tokens a step."""
        return Physical(8, 8000.0, 8 * 8000.0 * tpot_ms * 2.1 / 1000)

    def test_what_is_slower_than_memory_passes_and_what_is_faster_is_impossible(self) -> None:
        assert self.judged(self.physical(self.took_ms() * 0.99)).status == "pass"
        assert self.judged(self.physical(self.took_ms())).status == "pass"
        found = self.judged(self.physical(self.took_ms() * 1.1))
        assert found.status == "invalid"
        assert re.fullmatch(
            r"a token took [\d.]+ ms, which is impossible: 8 GPUs with 8000 GB/s take [\d.]+ ms or more, because each"
            r" step of 2.1 tokens reads [\d.]+ GB of weights",
            found.message,
        )

    def test_without_the_data_nothing_is_impossible(self) -> None:
        assert self.judged(None, tpots=[1e-6] * 64).status == "pass"

    def test_a_recorded_run_on_an_h100_is_possible(self) -> None:
        # A small model, whose step takes 15 ms, on a GPU with 3,350 GB/s.
        record = json.loads((RECORDED / "record-h100.json").read_text())
        run = Run(record["client"], record["counters"])
        checks = validity_checks(run, record["workload"], record["size"], None, ENGINE_DEFAULTS, Physical(1, 3350, 1.2))
        assert statuses(checks)["plausible_speed"] == "pass"

    def test_the_published_run_is_far_from_the_limit_of_the_recipe(self) -> None:
        recipe = yaml.safe_load((ROOT / "recipes" / "kimi_k2_6_hgx_b200.yml").read_text())
        limit_ms = Physical(**recipe["physical"]).step_ms / 2.1
        assert 0.1 < limit_ms < 0.3 < recipe["published"]["mean_tpot_ms"] / 20

    def test_drafts_that_the_server_does_not_count_are_those_of_its_command(self) -> None:
        physical = self.physical(self.took_ms() * 1.5)
        run = recorded("rich.json")
        without = {
            time: {name: value for name, value in counters.items() if "draft" not in name and "accept" not in name}
            for time, counters in run.counters.items()
            if counters
        }
        for drafted, status in ((0, "invalid"), (3, "pass")):
            engine = Engine(num_speculative_tokens=drafted)
            checks = validity_checks(Run(run.client, without), WORKLOAD, "smoke", {}, engine, physical)
            assert statuses(checks)["plausible_speed"] == status

    def test_an_answer_in_one_piece_does_not_show_when_its_tokens_came(self) -> None:
        client = recorded("rich.json").client
        whole = {"chunks": [0] * 64, "ttfts": client["e2els"]}
        assert self.judged(self.physical(self.took_ms()), **whole).status == "pass"

    @pytest.mark.parametrize(
        ("argv", "drafted"),
        [
            (["--speculative-config", '{"method": "eagle3", "num_speculative_tokens": 3}'], 3),
            (["--speculative-config.num_speculative_tokens", "5"], 5),
            (["--speculative_config", '{"num_speculative_tokens":12}'], 12),
            (["bash", "-c", "vllm serve m --speculative-config '{\"num_speculative_tokens\": 2}'"], 2),
            (["--port", "3"], 0),
        ],
    )
    def test_the_drafts_of_a_command(self, argv: list[str], drafted: int) -> None:
        assert Engine.of(argv).num_speculative_tokens == drafted
