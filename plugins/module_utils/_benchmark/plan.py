# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a benchmark runs, what it measured, and whether that is good enough. Pure: no process, no file, no network."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._core.verdict import FAIL, INVALID, PASS, WARN
from .._vllm.args import ArgsError, option_values, render_args
from .metrics import METRICS
from .spec import GOODPUT_LIMITS

# Importing vLLM and preparing the prompts, before the first request.
CLIENT_START_S = 30

# Metrics that have a figure only where the workload sets limits.
GOODPUT_METRICS = ("goodput_rate", "request_goodput")
_SUFFIXES = {"": 1, "k": 10**3, "K": 2**10, "m": 10**6, "M": 2**20}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")

# Further client options that would change the load described by the workload.
_LOAD_OPTIONS = ("request-rate", "burstiness", "ramp-up-strategy", "ramp-up-start-rps", "ramp-up-end-rps")


class BenchmarkError(Exception):
    """A benchmark that cannot be run as asked; C(problems) has one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Limit(NamedTuple):
    """A threshold that applies: C(limit) is C(value) with the tolerance on the lenient side."""

    metric: str
    op: str
    value: float
    tolerance: float
    tolerance_text: str
    severity: str
    source: str

    @property
    def limit(self) -> float:
        """The worst figure that still passes; for C(==), the wanted figure itself."""
        return self.value + {">=": -1, "<=": 1, "==": 0}[self.op] * self.tolerance

    def met_by(self, measured: float) -> bool:
        """Return whether C(measured) is good enough."""
        if self.op == "==":
            return abs(measured - self.value) <= self.tolerance
        return measured >= self.limit if self.op == ">=" else measured <= self.limit


class Check(NamedTuple):
    """One judgement: a threshold on a metric, or a condition of the run's validity, which has no C(limit)."""

    name: str
    status: str
    message: str
    measured: float | None = None
    limit: Limit | None = None
    published: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the check with plain keys, for a result."""
        figures: dict[str, Any] = {}
        if self.limit:
            figures = {
                "op": self.limit.op,
                "value": self.limit.value,
                "tolerance": self.limit.tolerance_text,
                "limit": self.limit.limit,
                "severity": self.limit.severity,
                "source": self.limit.source,
                "unit": METRICS[self.name].unit,
                "measured": self.measured,
                "published": self.published,
                "delta_percent": delta_percent(self.measured, self.published),
            }
        return {"name": self.name, "status": self.status, "message": self.message, **figures}


class Physical(NamedTuple):
    """What bounds the speed by physics; see the schema of the same name."""

    gpus: int
    gpu_memory_gb_s: float
    active_gb: float

    @property
    def step_ms(self) -> float:
        """The time that a step takes at least, with one token or with many: its weights are read once."""
        return 1000 * self.active_gb / (self.gpus * self.gpu_memory_gb_s)


class Engine(NamedTuple):
    """The engine settings that affect how answers arrive; the defaults are those of vLLM."""

    stream_interval: int = 1  # tokens
    max_num_batched_tokens: int = 8192
    num_speculative_tokens: int = 0
    random_weights: bool = False

    @classmethod
    def of(cls, argv: Sequence[str]) -> Engine:
        """Return the settings in a server's command line."""
        command = " ".join(argv)  # a shell may take it as one word
        options = option_values(command.split())
        found: dict[str, Any] = {name: _integer(options.get(name.replace("_", "-"), "")) for name in cls._fields}
        drafted = re.search(r"num[-_]speculative[-_]tokens\W{1,6}(\d{1,4})\b", command)
        found["num_speculative_tokens"] = int(drafted[1]) if drafted else 0
        found["random_weights"] = options.get("load-format") == "dummy"
        return cls(**{name: value for name, value in found.items() if value})


ENGINE_DEFAULTS = Engine()


class Run(NamedTuple):
    """The outcome of a benchmark run. C(counters) are the server's, by time: before, measuring, busiest, after.

    C(look) is what one request before the run has shown of the server's streams; it is empty if there was none.
    """

    client: Mapping[str, Any]
    counters: Mapping[str, Mapping[str, float] | None]
    look: Mapping[str, Any] = {}

    @property
    def template_tokens(self) -> int | None:
        """Return how many tokens the server adds to a prompt, or None if it is unknown."""
        counted = self.look.get("prompt_tokens")
        # The prompt of that request is a single character.
        return max(0, counted - 1) if isinstance(counted, int) else None

    def gained(self, counter: str, with_warmup: bool = False) -> float | None:
        """Return how much a counter grew during the run, or None if the server does not have it."""
        measuring = None if with_warmup else self.counters.get("measuring")
        start, end = measuring or self.counters.get("before"), self.counters.get("after")
        if not start or not end or counter not in start or counter not in end:
            return None
        return end[counter] - start[counter]


# --- what to run ---


def request_count(workload: Mapping[str, Any], size: str) -> int:
    """Return the number of measured requests. Raises BenchmarkError for a size that the workload does not have."""
    sizes = workload["sizes"]
    if size not in sizes:
        raise BenchmarkError([f"size: the workload has no size {size!r}; it has {_listed(sizes)}."])
    return int(sizes[size])


def client_argv(
    workload: Mapping[str, Any], size: str, base_url: str, model: str, served_model_name: str, seed: int | None = None
) -> list[str]:
    """Return the client's argument vector, without the place of its result. Raises BenchmarkError.

    Without C(seed) it is that of the workload, where a seed that each run chooses for itself reads V(varied).
    """
    if seed is None:
        seed = workload.get("seed")
    # The options of the random data set have had these names in every version of the client.
    lengths = "random-" if workload["dataset"] == "random" else ""
    try:
        further = render_args(workload.get("args") or {})
    except ArgsError as exc:
        raise BenchmarkError([f"workload.args: {exc}"]) from exc
    own = [
        "vllm", "bench", "serve",
        "--backend", workload["backend"],
        "--base-url", base_url.rstrip("/"),
        "--endpoint", workload["endpoint"],
        "--model", model,
        "--served-model-name", served_model_name,
        *(["--trust-remote-code"] if workload.get("trust_remote_code") else []),
        "--dataset-name", workload["dataset"],
        f"--{lengths}input-len", str(workload["input_len"]),
        f"--{lengths}output-len", str(workload["output_len"]),
        "--num-prompts", str(request_count(workload, size)),
        "--max-concurrency", str(workload["max_concurrency"]),
        "--num-warmups", str(workload["warmup_prompts"]),
        "--seed", "varied" if seed is None else str(seed),
        "--percentile-metrics", "ttft,tpot,itl,e2el",
        "--metric-percentiles", "50,90,95,99",
        "--save-result",
        "--save-detailed",
        "--disable-tqdm",
    ]  # fmt: skip
    taken = {*own, *(f"--{name}" for name in _LOAD_OPTIONS)}
    problems = [
        f"workload.args: {option} would change the load that the workload describes; set it there, or leave it out."
        for option in (argument.partition("=")[0].replace("_", "-") for argument in further)
        if option.startswith("--") and option in taken
    ]
    if problems:
        raise BenchmarkError(problems)
    return [*own, *further]


def fingerprint(server: Sequence[str], argv: Sequence[str]) -> str:
    """Return a hash that identifies a load on one start of one server."""
    return hashlib.sha256(json.dumps([list(server), list(argv)]).encode()).hexdigest()


def expected_seconds(workload: Mapping[str, Any], size: str, published: Mapping[str, float]) -> float | None:
    """Return the approximate duration of a run at the published rate, or None if no rate is published."""
    rate = published.get("steady_output_throughput") or published.get("output_throughput")
    if not rate:
        return None
    requests = request_count(workload, size) + workload["warmup_prompts"]
    return CLIENT_START_S + requests * workload["output_len"] / rate


def limits_for(
    thresholds: Iterable[Mapping[str, Any]], published: Mapping[str, float], workload: Mapping[str, Any], size: str
) -> list[Limit]:
    """Return the thresholds that apply to C(size), every value filled in. Raises BenchmarkError with all problems."""
    problems: list[str] = []
    limits: list[Limit] = []
    no_numbers = {name: value for name, value in published.items() if not _is_number(value)}
    published = {name: value for name, value in published.items() if name not in no_numbers}
    for index, threshold in enumerate(thresholds):
        found = list(threshold_problems(threshold, published, workload))
        problems.extend(f"thresholds[{index}]: {problem}" for problem in found)
        if found or size not in (threshold.get("sizes") or [size]):
            continue
        metric = threshold["metric"]
        value = float(published[metric] if threshold.get("value") is None else threshold["value"])
        tolerance = threshold.get("tolerance")
        limits.append(
            Limit(
                metric=metric,
                op=threshold["op"],
                value=value,
                tolerance=_tolerance(tolerance, value) or 0.0,
                tolerance_text="" if tolerance is None else str(tolerance),
                severity=threshold["severity"],
                source=threshold.get("source") or "",
            )
        )
    problems.extend(f"published: {_unknown_metric(name)}" for name in published if name not in METRICS)
    problems.extend(f"published: {name} is {value!r}, which is no number." for name, value in no_numbers.items())
    if problems:
        raise BenchmarkError(problems)
    return limits


def threshold_problems(
    threshold: Mapping[str, Any], published: Mapping[str, float], workload: Mapping[str, Any]
) -> Iterable[str]:
    """Return why a threshold cannot be applied, in sentences."""
    metric = threshold["metric"]
    if metric not in METRICS:
        yield _unknown_metric(metric)
    elif threshold.get("value") is None and metric not in published:
        yield f"no value, and no figure of {metric} is published that could stand for it."
    elif _tolerance(threshold.get("tolerance"), 1.0) is None:
        yield f"the tolerance {threshold['tolerance']!r} is neither a share such as 10% nor a number of 0 or more."
    if metric in GOODPUT_METRICS and not any((workload.get("goodput") or {}).values()):
        yield f"{metric} needs limits in the workload's goodput: {_listed(GOODPUT_LIMITS)}."
    for size in threshold.get("sizes") or ():
        if size not in workload["sizes"]:
            yield f"the workload has no size {size!r}; it has {_listed(workload['sizes'])}."


def _tolerance(tolerance: Any, value: float) -> float | None:
    """The tolerance as a number in the metric's own unit, None if it is no tolerance."""
    if tolerance is None:
        return 0.0
    share = _PERCENT.fullmatch(str(tolerance).strip())
    if share:
        return abs(value) * float(share[1]) / 100
    try:
        number = float(tolerance)
    except (TypeError, ValueError):
        return None
    return number if number >= 0 and math.isfinite(number) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _unknown_metric(name: str) -> str:
    near = difflib.get_close_matches(name, METRICS, n=1)
    return f"there is no metric {name!r}" + (f"; did you mean {near[0]!r}?" if near else ".")


def _integer(text: str) -> int:
    """Return a number in the notation of vLLM's options, where 16k is 16000 and 16K is 16384; 0 for other text."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text)
    return int(float(match[1]) * _SUFFIXES[match[2]]) if match else 0


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


# --- whether it is good enough ---


def threshold_checks(
    limits: Iterable[Limit], metrics: Mapping[str, float], published: Mapping[str, float]
) -> list[Check]:
    """Judge C(metrics). A metric without a figure never passes: the threshold counts as missed."""
    checks = []
    for limit in limits:
        measured = metrics.get(limit.metric)
        met = measured is not None and limit.met_by(measured)
        checks.append(
            Check(
                name=limit.metric,
                status=PASS if met else limit.severity,
                message=_judgement(limit, measured),
                measured=measured,
                limit=limit,
                published=published.get(limit.metric),
            )
        )
    return checks


def _judgement(limit: Limit, measured: float | None) -> str:
    figure, wanted = judged_texts(limit, measured)
    return f"{limit.metric} is {figure}; the limit is {wanted}"


def judged_texts(limit: Limit, measured: float | None) -> tuple[str, str]:
    """Return the figure and the limit in words, with enough decimals to show that the limit was missed."""
    unit, decimals = METRICS[limit.metric].unit, 2
    if measured is not None and not limit.met_by(measured):
        decimals = telling_decimals(measured, limit.limit)
    figure = "not measured" if measured is None else f"{number(measured, decimals)} {unit}"
    if not limit.tolerance:
        return figure, f"{limit.op} {number(limit.limit, decimals)} {unit}"
    if limit.op == "==":
        return figure, f"== {number(limit.value)} {unit} +/- {limit.tolerance_text}"
    sign = "-" if limit.op == ">=" else "+"
    made_of = f"{number(limit.value)} {sign} {limit.tolerance_text}"
    return figure, f"{limit.op} {number(limit.limit, decimals)} {unit} ({made_of})"


def telling_decimals(one: float, other: float, least: int = 2) -> int:
    """Return how many decimals distinguish two figures."""
    return next((digits for digits in range(least, 12) if f"{one:.{digits}f}" != f"{other:.{digits}f}"), least)


def number(value: float, decimals: int = 2) -> str:
    """Return a figure with at most C(decimals) decimals and no trailing zeros."""
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def delta_percent(measured: float | None, published: float | None) -> float | None:
    """Return the difference of C(measured) from C(published) in percent."""
    if measured is None or not published:
        return None
    return 100 * (measured / published - 1)


def verdict(validity: Iterable[Check], thresholds: Sequence[Check]) -> str:
    """Return the worst status. Without thresholds nothing is proven, so that is a warning and not a pass."""
    found = {check.status for check in (*validity, *thresholds)}
    for worst in (INVALID, FAIL, WARN):
        if worst in found:
            return worst
    return PASS if thresholds else WARN
