# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The content of a page: every table and sentence of a document as plain data. Pure; absent parts are None."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...module_utils._benchmark.early import METRIC
from ...module_utils._benchmark.metrics import METRICS
from ...module_utils._benchmark.plan import delta_percent, telling_decimals
from ...module_utils._core.verdict import FAIL, INVALID, PASS, WARN
from . import words

UNMEASURED = "unmeasured"
# The worst outcome comes last: a failed function is certain, an invalid run may still be good.
_RANK = (UNMEASURED, PASS, WARN, INVALID, FAIL)
_KEY_METRICS = (
    "steady_output_throughput",
    "output_throughput",
    "mean_tpot_ms",
    "mean_ttft_ms",
    "steps_per_s",
    "acceptance_length",
)
_SHELL = ("/bin/sh", "sh", "/bin/bash", "bash")


class Verdict(NamedTuple):
    """The outcome of a run and, in one sentence, why."""

    status: str
    word: str
    sentence: str


class KeyFigure(NamedTuple):
    """A key figure. C(reference) is the figure it is compared with, C(value) and the others are for a bar."""

    metric: str
    title: str
    figure: str
    unit: str
    reference: str
    delta: str
    judged: str
    status: str
    value: float | None = None
    target: float | None = None
    limit: float | None = None


class CheckRow(NamedTuple):
    """A line of the table of checks, in words."""

    status: str
    title: str
    measured: str
    published: str
    limit: str
    delta: str
    source: str


class FunctionalRow(NamedTuple):
    """One functional check; C(evidence) is a text, a list or a dictionary."""

    status: str
    title: str
    message: str
    evidence: Any
    seconds: float | None


class Phase(NamedTuple):
    """One phase of the server's start."""

    title: str
    seconds: float | None
    detail: str


class RunTimes(NamedTuple):
    """Where the minutes of the run of the playbooks went until the report: name, time, cost and longest tasks."""

    heading: str
    rows: list[tuple[str, str, str, str]]


class Cost(NamedTuple):
    """What a million tokens cost at one throughput."""

    basis: str
    output: str
    total: str


class GatewayRow(NamedTuple):
    """What a gateway adds to a figure, in words; C(spread) is half the distance between the quartiles of the rounds."""

    status: str
    gateway: str
    title: str
    added: str
    spread: str
    limit: str
    when: str


class Repetitions(NamedTuple):
    """Several runs of the client, a row of figures for each; C(note) says what they are and how they were used."""

    note: str
    titles: list[str]
    rows: list[list[str]]


class View(NamedTuple):
    """Everything that the page and its Markdown form show, except the charts."""

    title: str
    host: str
    when: str
    load: str
    duration: str
    verdict: Verdict
    key_figures: list[KeyFigure]
    conditions: list[CheckRow]
    checks: list[CheckRow]
    further: list[CheckRow]
    hints: list[str]
    functional: list[FunctionalRow]
    gateways: list[GatewayRow]
    acceptance: list[tuple[str, float, list[float]]]
    run: RunTimes | None
    startup_seconds: float | None
    phases: list[Phase]
    environment: list[tuple[str, str]]
    server_command: str
    costs: list[Cost]
    price: str
    client_command: str
    playbook_command: str
    repetitions: Repetitions | None
    missing: list[str]
    notes: list[str]


def view(document: Mapping[str, Any]) -> View:
    """Return the view of C(document)."""
    result = document.get("result") or {}
    metadata = result.get("metadata") or {}
    checks = result.get("checks") or []
    thresholds = [check for check in checks if "op" in check]
    functional = document.get("functional") or {}
    startup = document.get("startup") or {}
    release = document.get("release") or {}
    metrics = result.get("metrics") or {}
    prices = costs(document)
    return View(
        title=str(metadata.get("title") or release.get("title") or "Benchmark"),
        host=str(document["host"]),
        when=words.moment(document.get("made_at")) if document.get("made_at") else "",
        load=load(result) if result.get("workload") else "",
        duration=words.duration(metrics["duration_s"]) if "duration_s" in metrics else "",
        verdict=verdict(document),
        key_figures=key_figures(result, prices),
        conditions=[check_row(check) for check in checks if "op" not in check],
        checks=[check_row(check) for check in thresholds],
        further=further_rows(result, thresholds),
        hints=list(result.get("hints") or []),
        functional=[functional_row(check) for check in functional.get("checks") or []],
        gateways=gateway_rows(document),
        acceptance=acceptance(document),
        run=run_times(document.get("run") or {}),
        startup_seconds=startup.get("seconds"),
        phases=[phase_row(phase) for phase in startup.get("phases") or []],
        environment=environment(document),
        server_command=words.command(_server_argv(document)),
        costs=prices,
        price=_price(document),
        client_command=client_command(result),
        playbook_command=playbook_command(document),
        repetitions=repetitions(result),
        missing=missing(document),
        notes=list(notes(document)),
    )


def load(result: Mapping[str, Any]) -> str:
    """Return the load in words, with the requests that were sent if the run ended early."""
    workload, size, ended = result["workload"], result["size"], result.get("ended")
    sent = {**workload, "sizes": {size: ended["requests"]}} if ended else workload
    return words.load(sent, size)


# --- the outcome ---


def verdict(document: Mapping[str, Any]) -> Verdict:
    """Return the worst of the outcomes of the benchmark, of the functional checks and of those of gateways."""
    result, functional = document.get("result") or {}, document.get("functional") or {}
    found = [str(part["verdict"]) for part in (result, functional) if part.get("verdict")]
    if not result and not any(status in (FAIL, INVALID) for status in found):
        found = [UNMEASURED] if not document.get("problem") else [INVALID]
    found += [row.status for row in gateway_rows(document) if result]
    status = max((status for status in found if status in _RANK), key=_RANK.index, default=INVALID)
    word = "not measured" if status == UNMEASURED else words.STATUS_WORDS[status]
    return Verdict(status, word.upper(), " ".join(_reasons(document, result, functional)))


def _reasons(document: Mapping[str, Any], result: Mapping[str, Any], functional: Mapping[str, Any]) -> Iterable[str]:
    broken = [check for check in functional.get("checks") or [] if check.get("status") == FAIL]
    if broken:
        titles = ", ".join(str(check.get("title") or check["name"]) for check in broken[:3])
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        yield f"{len(broken)} of {len(functional['checks'])} functional checks failed: {titles}{more}."
    if not result:
        if not broken:
            yield str(document.get("problem") or "The benchmark did not run, so nothing is known about the speed.")
        return
    checks = result.get("checks") or []
    thresholds = [check for check in checks if "op" in check]
    invalid = [check for check in checks if check["status"] == INVALID]
    missed = [check for check in thresholds if check["status"] != PASS]
    if invalid:
        yield f"The run cannot be judged: {invalid[0]['message']}."
    elif not thresholds:
        yield f"No threshold applies to size {result.get('size')}, so nothing is proven."
    elif missed:
        worst = max(missed, key=lambda check: _RANK.index(check["status"]))
        more = f" {len(missed)} of {len(thresholds)} thresholds missed." if len(missed) > 1 else ""
        yield f"{words.metric_title(worst['name'])} is {_measured(worst)}; the limit is {_limit(worst)}.{more}"
    else:
        steady = (result.get("metrics") or {}).get("steady_output_throughput")
        speed = f", at {words.figure(steady)} output tokens per second in the steady state" if steady else ""
        yield f"{len(thresholds)} of {len(thresholds)} thresholds met{speed}."
    if result.get("ended"):
        yield f"The run {result['ended']['sentence']}.".replace(METRIC, "the steady output throughput")
    for check in checks:
        if "op" not in check and check["status"] == WARN:
            yield f"Looks odd: {check['message']}."
    for row in gateway_rows(document):
        if row.status != PASS:
            yield f"{row.title} through {row.gateway}: {row.added} ({row.spread}); the limit is {row.limit}."


def key_figures(result: Mapping[str, Any], prices: Sequence[Cost]) -> list[KeyFigure]:
    """Return the key figures, each with its reference."""
    metrics, published = result.get("metrics") or {}, result.get("published") or {}
    found = []
    for name in _KEY_METRICS:
        value = metrics.get(name)
        if value is None:
            continue
        judgements = [check for check in result.get("checks") or [] if check["name"] == name and "op" in check]
        statuses = [check["status"] for check in judgements]
        first = judgements[0] if judgements else {}
        # With a tolerance a threshold's value is the target, without one it is the limit itself.
        target = published.get(name, first.get("value") if first.get("tolerance") else None)
        delta = delta_percent(value, target)
        if target is not None:
            reference = f"{'published' if name in published else 'wanted'} {words.figure(target)}"
        else:
            reference = f"limit {_limit(first)}" if first else ""
        found.append(
            KeyFigure(
                metric=name,
                title=words.metric_title(name),
                figure=words.figure(value),
                unit=METRICS[name].unit,
                reference=reference,
                delta="" if delta is None else words.signed_percent(delta),
                judged=words.judged(name, delta),
                status=max(statuses, key=_RANK.index) if statuses else "",
                value=value,
                target=target,
                limit=first.get("limit"),
            )
        )
    if prices and found:
        cost = prices[0]
        figure, _space, unit = cost.output.partition(" ")
        found.append(
            KeyFigure("cost", "1 million output tokens", figure, unit, f"{cost.total} per million of all", "", "", "")
        )
    return found


def check_row(check: Mapping[str, Any]) -> CheckRow:
    """Return a check in words: a threshold with its figures, a condition with its message."""
    if "op" not in check:
        return CheckRow(check["status"], words.metric_title(check["name"]), check["message"], "", "", "", "")
    delta = check.get("delta_percent")
    better = words.judged(check["name"], delta)
    return CheckRow(
        status=check["status"],
        title=words.metric_title(check["name"]),
        measured=_measured(check),
        published=words.figure(check.get("published")),
        limit=_limit(check),
        delta=words.signed_percent(delta) + (f" {better}" if better else ""),
        source=check.get("source") or "",
    )


def further_rows(result: Mapping[str, Any], thresholds: Iterable[Mapping[str, Any]]) -> list[CheckRow]:
    """Return all other figures, published ones first."""
    metrics, published = result.get("metrics") or {}, result.get("published") or {}
    judged = {check["name"] for check in thresholds}
    names = [name for name in metrics if name not in judged and name in METRICS]
    rows = []
    for name in sorted(names, key=lambda name: name not in published):
        delta = delta_percent(metrics[name], published.get(name))
        better = words.judged(name, delta)
        rows.append(
            CheckRow(
                status="",
                title=words.metric_title(name),
                measured=words.with_unit(name, metrics[name]),
                published=words.figure(published.get(name)),
                limit="",
                delta=words.signed_percent(delta) + (f" {better}" if better else ""),
                source=METRICS[name].description,
            )
        )
    return rows


def _measured(check: Mapping[str, Any]) -> str:
    measured = check.get("measured")
    return "not measured" if measured is None else words.with_unit(check["name"], measured, _decimals(check))


def _decimals(check: Mapping[str, Any]) -> int | None:
    """Return how many decimals show that the limit was missed, or None if the default does."""
    measured, limit = check.get("measured"), check["limit"]
    if check["status"] == PASS or measured is None or words.figure(measured) != words.figure(limit):
        return None
    return telling_decimals(measured, limit, 0)


def _limit(check: Mapping[str, Any]) -> str:
    sign = {">=": "≥", "<=": "≤", "==": "="}.get(check["op"], check["op"])
    limit = f"{sign} {words.with_unit(check['name'], check['limit'], _decimals(check))}"
    tolerance = check.get("tolerance")
    if not tolerance:
        return limit
    direction = {">=": words.MINUS, "<=": "+"}.get(check["op"], "±")
    return f"{limit} ({words.figure(check['value'])} {direction} {str(tolerance).replace('%', ' %')})"


def gateway_rows(document: Mapping[str, Any]) -> list[GatewayRow]:
    """Return what each gateway adds to the time to first token and takes of the throughput, with its limits."""
    return [
        _gateway_row(name, check, found.get("measured_at"))
        for name, found in sorted((document.get("gateways") or {}).items())
        for check in found.get("checks") or []
    ]


def _gateway_row(name: str, check: Mapping[str, Any], when: str | None) -> GatewayRow:
    value, spread, limit = check["value"], check["spread"], check["limit"]
    if check["name"] == "gateway_ttft_ms":
        figures = f"{round(value, 1) + 0.0:+.1f} ms", f"± {spread:.1f} ms", f"+{limit:g} ms"
    else:
        figures = f"{-100 * value + 0.0:+.1f} %", f"± {100 * spread:.1f} %", f"-{100 * limit:g} %"
    title = {"gateway_ttft_ms": "Time to first token", "gateway_throughput_loss": "Throughput"}[check["name"]]
    added, spread_words, limit_words = (figure.replace("-", words.MINUS) for figure in figures)
    return GatewayRow(check["status"], name, title, added, spread_words, limit_words, words.moment(when, short=True))


def functional_row(check: Mapping[str, Any]) -> FunctionalRow:
    """Return a functional check with defaults filled in."""
    status = check.get("status")
    return FunctionalRow(
        status=str(status) if status in words.STATUS_WORDS else INVALID,
        title=str(check.get("title") or check.get("name") or ""),
        message=str(check.get("message") or ""),
        evidence=check.get("evidence"),
        seconds=check.get("seconds"),
    )


def phase_row(phase: Mapping[str, Any]) -> Phase:
    """Return a phase with defaults filled in."""
    return Phase(
        str(phase.get("title") or phase.get("name") or ""), phase.get("seconds"), str(phase.get("detail") or "")
    )


def run_times(run: Mapping[str, Any]) -> RunTimes | None:
    """Return where the minutes of the run went, and what they cost if the price is known."""
    phases, price = run.get("phases") or [], run.get("usd_per_hour")
    if not phases:
        return None

    def usd(seconds: float) -> str:
        return words.usd(price * seconds / 3600) if price else words.NOTHING

    whole = sum(phase["seconds"] for phase in phases)
    cost = f"{usd(whole)} {run['cost']}" if price else run.get("cost")
    return RunTimes(
        f"The run until here: {', '.join(part for part in (words.duration(whole), cost) if part)}",
        [(one["name"], words.duration(one["seconds"]), usd(one["seconds"]), one["longest"]) for one in phases],
    )


# --- speculative decoding ---


def acceptance(document: Mapping[str, Any]) -> list[tuple[str, float, list[float]]]:
    """Return name, acceptance length and acceptance by position (0 to 1) of the random run and of the real texts."""
    result, probe = document.get("result") or {}, document.get("acceptance") or {}
    client = result.get("client") or {}
    decode = result.get("spec_decode") or client.get("spec_decode") or {}
    length = (result.get("metrics") or {}).get("acceptance_length", decode.get("acceptance_length"))
    rates = decode.get("per_position")
    if rates is None:
        rates = client.get("spec_decode_per_position_acceptance_rates")
    found = [("random tokens", length, rates)]
    if probe:
        found.append(("real text", probe.get("acceptance_length"), probe.get("per_position")))
        found += [
            (f"real text: {part.get('name')}", part.get("acceptance_length"), part.get("per_position"))
            for part in probe.get("sets") or []
        ]
    return [(name, float(length), _shares(rates)) for name, length, rates in found if length is not None]


def _shares(rates: Sequence[float] | None) -> list[float]:
    """The rates from 0 to 1; the client of vLLM reports percent in some versions."""
    values = [float(rate) for rate in rates or []]
    return [value / 100 for value in values] if any(value > 1 for value in values) else values


# --- what ran, and how to repeat it ---


def environment(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the environment of the run, by name."""
    result, release, node = (document.get(part) or {} for part in ("result", "release", "node"))
    ran, metadata, image = result.get("environment") or {}, result.get("metadata") or {}, release.get("image") or {}
    startup = document.get("startup") or {}
    tokens = startup.get("kv_cache_tokens")
    rows = [
        ("Recipe", _joined(" / ", metadata.get("recipe") or release.get("recipe"), metadata.get("profile"))),
        ("GPUs", gpus(node)),
        ("Driver", _joined(", CUDA ", node.get("driver"), node.get("cuda"))),
        ("vLLM", ran.get("vllm_version")),
        ("Image", image.get("name") or ran.get("image")),
        ("Image digest", image.get("digest")),
        ("Image ID", image.get("id") or ran.get("image_id")),
        *((str(repo), f"commit {commit}") for repo, commit in (release.get("commits") or {}).items()),
        ("Release", _joined(", made by ", release.get("id"), release.get("created_by"))),
        ("Deployed", words.moment(release["created_at"]) if release.get("created_at") else None),
        ("Server started", words.moment(ran["container_started_at"]) if ran.get("container_started_at") else None),
        ("KV cache", f"{tokens:,} tokens" if isinstance(tokens, int) else None),
        *flags(startup.get("flags") or []),
        ("hgx.inference", release.get("collection_version")),
        *((str(name), str(value)) for name, value in (release.get("env") or {}).items()),
    ]  # fmt: skip
    return [(name, str(value)) for name, value in rows if value]


def flags(found: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return which options of the server are in force, by its log."""
    told = {True: "Options in force", False: "Options NOT in force", None: "Options that the log does not tell"}
    rows = []
    for holds, title in told.items():
        texts = [
            f"{flag['flag']} {flag['asked']}" + ("" if holds else f" ({flag['found']})" if flag["found"] else "")
            for flag in found
            if flag["holds"] is holds
        ]
        rows.append((title, ", ".join(texts)))
    return rows


def gpus(node: Mapping[str, Any]) -> str:
    """Return the GPUs in words: 8 x NVIDIA B200."""
    names = [str(gpu.get("name") if isinstance(gpu, Mapping) else gpu) for gpu in node.get("gpus") or []]
    return ", ".join(f"{names.count(name)} {words.TIMES} {name}" for name in dict.fromkeys(names))


def _joined(separator: str, *parts: Any) -> str:
    return separator.join(str(part) for part in parts if part)


def _server_argv(document: Mapping[str, Any]) -> list[str]:
    release, result = document.get("release") or {}, document.get("result") or {}
    argv = list(release.get("argv") or (result.get("environment") or {}).get("server_argv") or [])
    if argv[:1] and argv[0] in _SHELL and argv[1:2] == ["-c"]:
        argv = argv[4:]  # the shell that reads the key from a file: its script and the script's name
    return [str(argument) for argument in argv]


def client_command(result: Mapping[str, Any]) -> str:
    """Return the command that runs the same load by hand."""
    ran = result.get("environment") or {}
    argv = result.get("client_command")
    if not argv and ran.get("client_argv"):
        argv = ["docker", "exec", "--env", "OPENAI_API_KEY", ran.get("container") or "CONTAINER", *ran["client_argv"]]
    return words.command([str(argument) for argument in argv or []])


def playbook_command(document: Mapping[str, Any]) -> str:
    """Return the command that measures the server again."""
    result = document.get("result") or {}
    metadata = result.get("metadata") or {}
    extra = {
        "recipe_file": metadata.get("recipe"),
        "recipe_profile": metadata.get("profile"),
        "smoke_benchmark_size": result.get("size"),
        "smoke_benchmark_reuse": "never",
        "vllm_instance": metadata.get("instance"),
    }
    host = metadata.get("host") or document["host"]
    lines = [f"ansible-playbook hgx.inference.verify -i INVENTORY --limit {shlex.quote(str(host))}"]
    lines += [f"-e {name}={shlex.quote(str(value))}" for name, value in extra.items() if value]
    return " \\\n  ".join(lines)


def repetitions(result: Mapping[str, Any]) -> Repetitions | None:
    """Return the key figures of each repetition, or of each part of a run, if there is more than one."""
    parts = result.get("parts") or []
    runs = [part["metrics"] for part in parts] or result.get("repetitions") or []
    if len(runs) < 2:
        return None
    what = "Parts of the run" if parts else "Repetitions"
    note = "the figures above are those of all requests" if parts else "the figures above are their medians"
    # The first invalid run ends the series and is the one that was judged.
    if result.get("verdict") == INVALID:
        note = "the last one is invalid, so the figures above are its own"
    elif parts:
        note += f", the charts those of part {result['part'] + 1}"
    names = [name for name in _KEY_METRICS if any(name in run for run in runs)]
    return Repetitions(
        f"{what}; {note}.",
        [words.metric_title(name) for name in names],
        [[words.with_unit(name, run.get(name)) for name in names] for run in runs],
    )


# --- what it costs ---


def costs(document: Mapping[str, Any]) -> list[Cost]:
    """Return the price of a million tokens at the measured and at the published throughputs."""
    result = document.get("result") or {}
    price = (document.get("node") or {}).get("price_usd_per_hour")
    metrics, published = result.get("metrics") or {}, result.get("published") or {}
    output = metrics.get("output_throughput")
    if not price or not output:
        return []
    total = metrics.get("total_token_throughput", output)
    found = [("measured, whole run", output, total)]
    steady = metrics.get("steady_output_throughput")
    if steady:
        found.append(("measured, steady state", steady, steady * total / output))
    if published.get("output_throughput") and published.get("total_token_throughput"):
        found.append(("at the published rate", published["output_throughput"], published["total_token_throughput"]))
    return [
        Cost(basis, words.usd(per_million(price, rate)), words.usd(per_million(price, of_all)))
        for basis, rate, of_all in found
    ]


def per_million(price_per_hour: float, tokens_per_second: float) -> float:
    """Return the price of a million tokens on a node that does nothing else."""
    return float(price_per_hour) / 3600 / tokens_per_second * 1e6


def _price(document: Mapping[str, Any]) -> str:
    price = (document.get("node") or {}).get("price_usd_per_hour")
    return f"{words.usd(float(price))} an hour" if price else ""


# --- notes for the reader ---


def missing(document: Mapping[str, Any]) -> list[str]:
    """Return in words what was not measured or is unknown."""
    result = document.get("result") or {}
    parts = {
        "benchmark": result,
        "functional checks": document.get("functional"),
        "acceptance on real text": document.get("acceptance"),
        "phases of the start": document.get("startup"),
        "record of the deployment": document.get("release"),
        "price of the node": _price(document),
        "times of the run": document.get("run"),
        "GPUs and driver": (document.get("node") or {}).get("gpus"),
    }
    return [name for name, part in parts.items() if not part]


def notes(document: Mapping[str, Any]) -> Iterable[str]:
    """Yield notes on the significance of the figures."""
    result = document.get("result") or {}
    metrics, workload = result.get("metrics") or {}, result.get("workload") or {}
    count = int(metrics.get("completed") or 0)
    if not count:
        return
    concurrency = int(workload.get("max_concurrency") or 1)
    tail = max(1, round(count / 100))
    yield (
        f"A P99 of {count} requests rests on the {'slowest one' if tail == 1 else f'slowest {tail}'}"
        f"{': it is an anecdote' if count < 200 else ''}. P99s should warn, not decide."
    )
    interval = result.get("steady_interval")
    known = f", known to ±{words.figure(interval)} tok/s (95 %, conservative)" if interval else ""
    yield (
        "Whole-run throughput includes ramp-up and drain, so it grows with the number of requests; the steady state"
        f" leaves both out: concurrency {words.TIMES} mean output / mean latency (Little's law){known}."
    )
    waves = count / concurrency
    if waves < 16:
        yield (
            f"This run had {waves:.0f} waves of {concurrency} requests. With so few, compare the steady state with a"
            " published whole-run figure, and mean TTFT only with runs of the same size."
        )
    if workload.get("dataset") == "random":
        yield (
            "The prompts are random tokens. They depress the acceptance of drafts and spread experts unlike real text,"
            " so they are for comparison with published figures, not a forecast for your traffic."
        )
    yield "ITL is the time between chunks, which hold several tokens with speculative decoding; TPOT is per token."
    if len(result.get("repetitions") or []) < 2:
        yield "One run. Only repetitions show the variation from run to run."
    node = document.get("node") or {}
    if node.get("problem"):
        yield f"The GPUs could not be read when this was written: {node['problem']}"
    elif node and not node.get("gpus"):
        yield "No GPU: these figures say nothing about the speed of any real model."
