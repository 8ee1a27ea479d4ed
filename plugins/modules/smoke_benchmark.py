#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(smoke_benchmark)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smoke_benchmark
short_description: Benchmark a served model and judge the figures
version_added: 0.1.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Runs vLLM's own benchmark client inside the container that serves the model, so that client and server have the same
    version.
  - Checks first that the server is idle and serves the model, and afterwards that all requests completed, with the
    requested lengths and uncached prompts, and without other traffic on the server. Otherwise the verdict is
    V(invalid), regardless of the figures. The client's exit code is ignored, as it is 0 even if every request failed.
  - A run that looks odd, such as one with chunks that hold many tokens, a speed far above the published one, or slots
    that stay free, has the verdict V(warn) at best. The warning gives the figure and the expected bound. A run in
    which tokens came faster than O(physical) allows has the verdict V(invalid).
  - Compares what the client received with what the server counted. If the server counts nothing, as with
    C(--disable-log-stats), the verdict is V(invalid). If it lacks a single counter, the verdict is V(warn) at best.
  - Reads the texts of the answers. If all repeat the same few words, are no valid Unicode or are empty, the verdict is
    V(invalid). The result keeps some of them.
  - Computes all sums from the client's lists of requests. If the client gives others, the verdict is V(invalid).
  - Sends one short request before the load, which shows how many tokens the chat template adds and whether the first
    chunk of a stream has text, and one after it if the model thinks, because the client keeps no thoughts.
  - Compares the figures with O(thresholds), writes one result file, and fails if the verdict is V(fail) or V(invalid).
  - The API key never leaves the place where the client runs, where it is read from O(api_key_file).
  - Whatever ends the module, also its loss of connection to the controller, ends the client.
options:
  container:
    description: Name of the running container that serves the model. Either this or O(client_command) is required.
    type: str
  client_command:
    description:
      - A command prefix that runs the client on a machine without Docker or in a container that Docker does not manage,
        such as C([env, "PATH=/opt/vllm/bin:/usr/bin"]). It must pass on standard input and output.
      - By default C(docker exec -i) with O(container).
    type: list
    elements: str
  engine_args:
    description:
      - With O(client_command), the engine arguments of the server, of which C(stream-interval) and
        C(max-num-batched-tokens) affect how answers arrive. Others are ignored.
      - With O(container) they are read from its command line.
    type: dict
    default: {}
  api_key_file:
    description: File with the server's API key, where the client runs. Without it no key is sent.
    type: path
    default: /run/secrets/vllm_api_key
  base_url:
    description: Address of the server as seen from where the client runs, without a path.
    type: str
    required: true
  model:
    description: Repository of the model, for the client's tokenizer.
    type: str
    required: true
  served_model_name:
    description: The name under which the model is served.
    type: str
    required: true
  size:
    description: The size to run, one of O(workload.sizes).
    type: str
    required: true
  repetitions:
    description:
      - How often the client runs, each time with another seed. The metrics are the medians. An invalid run ends the
        series.
      - Not possible with a size in O(workload.ends_early).
    type: int
    default: 1
  published:
    description: Published figures by metric, to compare with. They stand for a missing O(thresholds[].value).
    type: dict
    default: {}
  results_dir:
    description:
      - Directory on the target for the results. It gets the mode 0750.
      - C(latest.json) in it is a link to the newest.
    type: path
    required: true
  metadata:
    description: Further facts about the deployment to store in the result, such as recipe and profile.
    type: dict
    default: {}
  reuse:
    description:
      - With V(if_same), a valid result of the same load on the same start of the same container is judged again,
        against the current O(thresholds), and no load is put on the server. It must answer a request for one token,
        which shows that its engine does not hang.
      - A result that misses a threshold of severity V(fail) is never reused, so that a failure rests on new figures.
    type: str
    choices: [never, if_same]
    default: never
  reuse_max_age_s:
    description: Maximum age of a reused result, in seconds.
    type: int
    default: 86400
extends_documentation_fragment:
  - hgx.inference.benchmark
  - hgx.inference._attributes
  - hgx.inference._progress
  - hgx.inference._progress.at_once
attributes:
  check_mode:
    support: full
    details: Puts no load on the server in check mode, but reports the load and its estimated time.
  diff_mode:
    support: N/A
    details: A benchmark is an observation and reports no change.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Prove that the node reaches the published throughput
  hgx.inference.smoke_benchmark:
    container: vllm
    base_url: http://127.0.0.1:8001
    model: moonshotai/Kimi-K2.6
    served_model_name: kimi-k2.6
    workload:
      input_len: 8192
      output_len: 2048
      max_concurrency: 32
      warmup_prompts: 32
      sizes: {smoke: 128, full: 512}
      trust_remote_code: true
    size: full
    published:
      output_throughput: 1408
    thresholds:
      - metric: output_throughput
        op: ">="
        tolerance: 5%
        source: published
    results_dir: /var/lib/hgx-inference/results

- name: Measure a server that runs without Docker
  hgx.inference.smoke_benchmark:
    client_command: [env, "PATH=/opt/vllm/bin:/usr/bin:/bin"]
    base_url: http://127.0.0.1:8000
    model: Qwen/Qwen3-8B
    served_model_name: qwen3-8b
    workload: {input_len: 1024, output_len: 256, max_concurrency: 32, warmup_prompts: 32, sizes: {smoke: 128}}
    size: smoke
    results_dir: /var/lib/hgx-inference/results

- name: Judge the newest figures again, against other thresholds
  hgx.inference.smoke_benchmark:
    container: vllm
    base_url: http://127.0.0.1:8001
    model: moonshotai/Kimi-K2.6
    served_model_name: kimi-k2.6
    workload: "{{ recipe.benchmark }}"
    size: smoke
    thresholds:
      - metric: mean_ttft_ms
        op: "<="
        value: 2000
        severity: warn
    results_dir: /var/lib/hgx-inference/results
    reuse: if_same
"""

RETURN = r"""
verdict:
  description: The outcome, V(pass), V(warn), V(fail) or V(invalid).
  returned: when the module ran out of check mode, or a result was reused
  type: str
  sample: pass
summary:
  description: The outcome in lines for people.
  returned: always
  type: list
  elements: str
  sample: ["PASS: 1 of 1 thresholds met (size full: 512 requests of 8192 + 2048 tokens, 32 at a time, 744.7 s)"]
seconds:
  description: How long the run would take at the published rate, in seconds; V(null) if none is published.
  returned: in check mode
  type: float
  sample: 762.5
metrics:
  description: Every metric that could be measured, by name; with O(repetitions) the median.
  returned: when the verdict is V(pass) or V(warn)
  type: dict
  sample: {output_throughput: 1408.2, mean_ttft_ms: 2264.5}
spread:
  description: Difference between the greatest and the least figure of each metric, by name.
  returned: when the verdict is V(pass) or V(warn), with more than one of the O(repetitions)
  type: dict
  sample: {output_throughput: 12.1}
published:
  description: As in O(published).
  returned: when the verdict is V(pass) or V(warn)
  type: dict
  sample: {output_throughput: 1408}
steady_interval:
  description: Half width of the 95 % confidence interval of C(steady_output_throughput) in one run, in tokens/s.
  returned: when the verdict is V(pass) or V(warn)
  type: float
  sample: 36.1
ended:
  description:
    - Which rule ended the run; V(null) for a size that is always sent as a whole, see O(workload.ends_early).
  returned: when the verdict is V(pass) or V(warn)
  type: dict
  contains:
    early:
      description: Whether the run was decided before all requests were sent.
      type: bool
    requests:
      description: The number of measured requests.
      type: int
    requests_max:
      description: The number of requests of the size.
      type: int
    interval:
      description: The least and the greatest C(steady_output_throughput) with 95 % confidence, in tokens/s.
      type: list
      elements: float
    limits:
      description: The limits that the interval has to clear, in tokens/s.
      type: list
      elements: float
    sentence:
      description: The rule in words.
      type: str
checks:
  description: Every check, conditions of validity first. After a failure they are in the file at RV(result_path).
  returned: when the verdict is V(pass) or V(warn)
  type: list
  elements: dict
  contains:
    name:
      description: Name of the metric or of the condition.
      type: str
    status:
      description: V(pass), V(warn), V(fail) or V(invalid).
      type: str
    message:
      description: The check in words.
      type: str
    measured:
      description: The figure, or null if there is none. Like all below, only with a threshold.
      type: float
    unit:
      description: Unit of the figure.
      type: str
    op:
      description: As in O(thresholds[].op).
      type: str
    value:
      description: The threshold's value, or the published figure in its place.
      type: float
    tolerance:
      description: As in O(thresholds[].tolerance), or empty.
      type: str
    limit:
      description: The worst figure that passes.
      type: float
    severity:
      description: As in O(thresholds[].severity).
      type: str
    source:
      description: As in O(thresholds[].source), or empty.
      type: str
    published:
      description: The published figure, or null.
      type: float
    delta_percent:
      description: By how many percent the figure is above the published one, or null.
      type: float
hints:
  description: Probable causes of figures that are not good enough. After a failure they are at the end of RV(summary).
  returned: when the verdict is V(pass) or V(warn)
  type: list
  elements: str
  sample: ["Requests were preempted: the KV cache is too small for this concurrency."]
result_path:
  description: The result file on the target. It holds all of the above, each request, and what was run.
  returned: when something was measured
  type: str
  sample: /var/lib/hgx-inference/results/20261123T201500Z-full.json
reusable:
  description: Whether an earlier result would be judged again instead of a measurement.
  returned: in check mode
  type: bool
  sample: false
reused:
  description: Whether RV(result_path) is an earlier result, judged again.
  returned: when the verdict is V(pass) or V(warn)
  type: bool
  sample: false
"""

import itertools
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..module_utils._benchmark import early, store
from ..module_utils._benchmark import measure as measured
from ..module_utils._benchmark import plan as benchmark
from ..module_utils._benchmark.run import (
    Load,
    LoadError,
    Measured,
    Place,
    RunError,
    identify,
    measure,
    require_answer,
    tokenizer_args,
)
from ..module_utils._benchmark.spec import PHYSICAL, THRESHOLD, WORKLOAD
from ..module_utils._benchmark.summary import describe, failure, hints, repeated, summary
from ..module_utils._benchmark.validity import validity_checks
from ..module_utils._core.edge import Module, at_edge
from ..module_utils._core.progress import ControllerGone, ProgressFile
from ..module_utils._core.schema import argument_spec
from ..module_utils._core.timestamp import epoch
from ..module_utils._core.units import human_duration
from ..module_utils._core.verdict import FAIL, INVALID, PASS, WARN
from ..module_utils._docker.cli import DockerError, inspect_container
from ..module_utils._programs.turns import measuring
from ..module_utils._vllm.args import ArgsError, render_args

# What reading a value of another form than expected may raise.
_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Series(NamedTuple):
    """Runs of the client that are judged as one.

    Without C(latencies) they are repetitions, whose medians count. With them they are parts of a run that may end
    early, whose requests count together; each list has a part's latencies in seconds.
    """

    metrics: list[dict[str, float]]
    latencies: list[list[float]] | None

    def stored(self, chosen: int) -> dict[str, Any]:
        """Return what a result has of them; C(chosen) is the index of the run whose requests it has."""
        if self.latencies:
            parts = [{"metrics": one, "latencies": its} for one, its in zip(self.metrics, self.latencies)]
            return {"parts": parts, "part": chosen}
        return {"repetitions": self.metrics} if len(self.metrics) > 1 else {}


class SmokeBenchmark:
    """One benchmark of one server."""

    def __init__(self, params: dict[str, Any], progress: ProgressFile) -> None:
        self._params = params
        self._progress = progress
        self._workload: dict[str, Any] = params["workload"]
        self._size: str = params["size"]
        self._place = Place.of(params["container"], params["client_command"])
        self._base_url: str = params["base_url"].rstrip("/")
        # The request is validated before any load is put on the server.
        self._limits = benchmark.limits_for(params["thresholds"], params["published"], self._workload, self._size)
        self._deciding = early.limits_of(self._limits)
        self._parts = early.parts_of(self._workload, self._size, self._deciding)
        self._require_sense(params["repetitions"])
        self._argv = self._client_argv(self._workload)
        self._engine = self._engine_of(None)
        self._physical = benchmark.Physical(**params["physical"]) if params["physical"] else None
        self.notes: list[str] = []

    def _require_sense(self, repetitions: int) -> None:
        if repetitions < 1:
            raise benchmark.BenchmarkError([f"repetitions: {repetitions} is not 1 or more."])
        if len(self._parts) > 1 and repetitions > 1:
            raise benchmark.BenchmarkError([f"repetitions: size {self._size} ends early. Repeat one that does not."])

    def _client_argv(self, workload: dict[str, Any], seed: int | None = None) -> list[str]:
        model, served_model_name = self._params["model"], self._params["served_model_name"]
        return benchmark.client_argv(workload, self._size, self._base_url, model, served_model_name, seed)

    def plan(self) -> dict[str, Any]:
        """Return what would run."""
        times = [benchmark.expected_seconds(part, self._size, self._params["published"]) for part in self._parts]
        first, rest = (times[0] or 0) * self._params["repetitions"], sum(time or 0 for time in times[1:])
        seconds = first + rest or None
        longest = f", {human_duration(first + rest)} if two waves do not decide" if rest else ""
        duration = f", about {human_duration(first)} at the published rate{longest}" if seconds else ""
        served = self._params["container"] or self._base_url
        lines = [f"Would benchmark {served} ({describe(self._workload, self._size)}{duration})."]
        try:
            earlier = self.reusable(look_only=True)
        except DockerError:  # the engine is not installed yet
            earlier = None
        if earlier:
            lines += [
                "If the server stays as it is, an earlier result is judged again instead:",
                *earlier["summary"],
            ]
        return {"summary": lines, "seconds": seconds, "reusable": bool(earlier)}

    def reusable(self, look_only: bool = False) -> dict[str, Any] | None:
        """Judge the newest good result of the same load on the same start of the server; return None without one."""
        if self._params["reuse"] == "never":
            return None
        container = self._container()
        server, load = self._fingerprints(container)
        if server is None or load is None or (container and not container["State"]["Running"]):
            return None
        self._engine = self._engine_of(container)
        stored = store.newest(self._params["results_dir"], load, server, _now(), self._params["reuse_max_age_s"])
        path, record = stored.path, stored.record
        self.notes += stored.ignored
        try:
            outcome = self._judge_stored(record) if record else None
            finished_at = str(record["finished_at"]) if outcome else ""
        except _MALFORMED:
            self.notes.append(f"The stored result {path} is damaged. It is ignored, and so are earlier ones.")
            return None
        if outcome is None:
            return None
        if not look_only:
            name, key_file = self._params["served_model_name"], self._params["api_key_file"]
            require_answer(Load.none(self._place, self._base_url, key_file, name, self._workload["endpoint"]))
        if outcome["verdict"] != record["verdict"] and not look_only:
            store.judge_again(path, {**record, **outcome})
        outcome["summary"].append(f"  from the result of {finished_at}, judged again")
        return {**outcome, "result_path": path, "reused": True}

    def _judge_stored(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Judge a stored result; return None if it is not good enough."""
        parts = record.get("parts")
        if record["verdict"] == INVALID or len(record.get("repetitions") or [0]) < self._params["repetitions"]:
            return None
        metrics = [part["metrics"] for part in parts] if parts else record.get("repetitions") or []
        series = Series(metrics, [part["latencies"] for part in parts] if parts else None)
        run = benchmark.Run(record["client"], record["counters"], record["look"])
        outcome = self._judge(run, self._parts[record.get("part", 0)], series)
        if parts and not outcome["ended"]["early"] and len(parts) < len(self._parts):
            return None  # another limit, which the first part does not decide
        return outcome if outcome["verdict"] in (PASS, WARN) else None

    def run(self) -> dict[str, Any]:
        """Load the server, judge the figures and store the result."""
        container = self._running_container()
        store.provide(self._params["results_dir"])
        self._engine = self._engine_of(container)
        started_at = _now()
        server, _load = self._fingerprints(container)
        note = store.begin(self._params["results_dir"], server, started_at, self._size)
        try:
            with measuring():
                outcome = self._run(container, started_at, note)
        except LoadError as exc:
            store.keep(note, server, _now(), str(exc))
            raise
        except (RunError, ControllerGone):  # which say nothing of the server
            store.forget(note)
            raise
        except _MALFORMED as exc:
            raise RunError(
                f"The benchmark has run, but its result could not be judged: {exc!r}. What was measured is in {note}."
            ) from exc
        store.forget(note)
        return outcome

    def _run(self, container: dict[str, Any] | None, started_at: datetime, note: str) -> dict[str, Any]:
        """Load the server; until the result is stored, what was measured is kept in the file C(note)."""
        tokenizer = tokenizer_args(container, self._workload) if container else []
        seed = self._workload["seed"]
        first_seed = int(started_at.timestamp()) if seed is None else seed
        parts = self._parts * self._params["repetitions"]
        runs: list[Measured] = []
        outcomes: list[dict[str, Any]] = []
        for number, part in enumerate(parts):
            argv = [*self._client_argv(part, first_seed + number), *tokenizer]
            runs.append(self._measure(argv, part, self._which(number), container))
            server, _load = self._fingerprints(container, runs[-1].server)
            store.keep(note, server, _now(), "The benchmark has run and was not judged.", runs[-1].run._asdict())
            outcomes.append(self._judge(runs[-1].run, part))
            if outcomes[-1]["verdict"] == INVALID or self._is_decided(runs):
                break
        finished_at = _now()
        invalid = outcomes[-1]["verdict"] == INVALID
        chosen = len(runs) - 1
        if not invalid:
            # If some runs look odd, one of these represents all of them.
            odd = [index for index, outcome in enumerate(outcomes) if _looks_odd(outcome["checks"])]
            chosen = measured.middle_of([outcome["metrics"] for outcome in outcomes], odd)
        series = Series([outcome["metrics"] for outcome in outcomes], self._latencies(runs))
        outcome = outcomes[chosen] if invalid else self._judge(runs[chosen].run, parts[chosen], series)
        command = [*self._place.command, *self._client_argv(parts[chosen], first_seed + chosen), *tokenizer]
        server, load = self._fingerprints(container, runs[chosen].server)
        record = {
            "schema": store.SCHEMA,
            **outcome,
            **series.stored(chosen),
            "size": self._size,
            "workload": self._workload,
            "metadata": self._params["metadata"],
            "started_at": f"{started_at:%Y-%m-%dT%H:%M:%SZ}",
            "finished_at": f"{finished_at:%Y-%m-%dT%H:%M:%SZ}",
            "environment": self._environment(container, runs[chosen]),
            "fingerprint": load,
            "server_fingerprint": server,
            "counters": runs[chosen].run.counters,
            "client": runs[chosen].run.client,
            "look": runs[chosen].run.look,
            "client_command": command,
            "spec_decode": measured.spec_decode(runs[chosen].run),
        }
        path = store.save(self._params["results_dir"], record, finished_at, self._size)
        return {**outcome, "result_path": path, "reused": False}

    def _which(self, number: int) -> str:
        """Return which run of the client it is, for its progress; nothing if there is only one."""
        if len(self._parts) > 1:
            return "undecided, all other requests follow: " if number else ""
        count = self._params["repetitions"]
        return f"run {number + 1} of {count}: " if count > 1 else ""

    def _measure(
        self, argv: list[str], workload: dict[str, Any], which: str, container: dict[str, Any] | None
    ) -> Measured:
        requests = benchmark.request_count(workload, self._size)
        load = Load(
            place=self._place,
            argv=argv,
            base_url=self._base_url,
            served_model_name=self._params["served_model_name"],
            key_file=self._params["api_key_file"],
            time_limit_s=workload["time_limit_s"],
            warmup_requests=workload["warmup_prompts"],
            requests=requests,
            output_tokens=requests * workload["output_len"],
            endpoint=workload["endpoint"],
            server_since=epoch(container["State"]["StartedAt"]) if container else None,
        )
        return measure(load, lambda line: self._progress.report(which + line))

    def _latencies(self, runs: list[Measured]) -> list[list[float]] | None:
        """Return the latencies of each part of a run that may end early, None of another run."""
        return [measured.latencies_of(one.run) for one in runs] if len(self._parts) > 1 else None

    def _is_decided(self, runs: list[Measured]) -> bool:
        latencies = self._latencies(runs)
        if latencies is None:
            return False
        metrics = [measured.compute_metrics(one.run, self._workload) for one in runs]
        interval = self._interval(measured.pooled(metrics), [*itertools.chain(*latencies)])
        return interval is not None and interval.clears(self._deciding)

    def _interval(self, metrics: dict[str, float], latencies: list[float]) -> early.Interval | None:
        half_width = measured.steady_interval(latencies, metrics)
        return None if half_width is None else early.Interval.of(metrics[early.METRIC], half_width)

    def _ended(self, metrics: dict[str, float], latencies: list[float]) -> dict[str, Any] | None:
        """Return which rule ended a run that may end early."""
        interval = self._interval(metrics, latencies)
        if interval is None:
            return None
        requests_max = benchmark.request_count(self._workload, self._size)
        return early.Ended(
            early=len(latencies) < requests_max and interval.clears(self._deciding),
            requests=len(latencies),
            requests_max=requests_max,
            interval=interval,
            limits=self._deciding,
        ).as_dict()

    def _judge(self, run: benchmark.Run, workload: dict[str, Any], series: Series | None = None) -> dict[str, Any]:
        """Judge a run; with a C(series), the metrics of all its runs in place of its own."""
        published = self._params["published"]
        own = measured.compute_metrics(run, workload)
        latencies, metrics, ended = measured.latencies_of(run), own, None
        if series and series.latencies:
            latencies, metrics = [*itertools.chain(*series.latencies)], measured.pooled(series.metrics)
            ended = self._ended(metrics, latencies)
        elif series and len(series.metrics) > 1:
            metrics = measured.median_of(series.metrics)
        validity = validity_checks(run, workload, self._size, published, self._engine, self._physical)
        invalid = any(check.status == INVALID for check in validity)
        thresholds = [] if invalid else benchmark.threshold_checks(self._limits, metrics, published)
        verdict = benchmark.verdict(validity, thresholds)
        checks = [*validity, *thresholds]
        interval = measured.steady_interval(latencies, metrics)
        found_hints = hints(run, self._workload, checks, metrics, self._engine)
        sent = {**workload, "sizes": {self._size: ended["requests"]}} if ended else workload
        lines = summary(verdict, sent, self._size, checks, metrics, published, interval)
        outcome = {
            "verdict": verdict,
            "hints": found_hints,
            "checks": [check.as_dict() for check in checks],
            "metrics": metrics,
            "published": published,
            "steady_interval": interval,
            "ended": ended,
        }
        if ended:
            lines.append(f"  {ended['sentence']}")
        elif series and len(series.metrics) > 1:
            spread = measured.spread_of(series.metrics)
            outcome["spread"] = spread
            lines.append(repeated(len(series.metrics), spread))
        return {**outcome, "summary": [*lines, *(f"  hint: {hint}" for hint in found_hints)]}

    def _engine_of(self, container: dict[str, Any] | None) -> benchmark.Engine:
        if container:
            return benchmark.Engine.of(container["Args"])
        try:
            return benchmark.Engine.of(render_args(self._params["engine_args"]))
        except ArgsError as exc:
            raise benchmark.BenchmarkError([f"engine_args: {exc}"]) from exc

    def _container(self) -> dict[str, Any] | None:
        return inspect_container(self._place.container) if self._place.container else None

    def _running_container(self) -> dict[str, Any] | None:
        name, container = self._place.container, self._container()
        if not name:
            return None
        if container is None:
            raise RunError(f"There is no container {name!r} on this host. Serve the model first, or correct the name.")
        state = container["State"]
        if not state["Running"]:
            raise RunError(
                f"The container {name} is not running (status {state['Status']}, exit code {state['ExitCode']})."
                f" Its log says why: docker logs --tail 50 {name}"
            )
        return container

    def _fingerprints(
        self, container: dict[str, Any] | None, server: dict[str, Any] | None = None
    ) -> tuple[str | None, str | None]:
        """Return hashes of this start of the server, and of it with the load; None if unknown."""
        start = self._start_of_server(container, server)
        if start is None:
            return None, None
        load = [*self._argv, *(["ends early"] if len(self._parts) > 1 else [])]
        return benchmark.fingerprint(start, []), benchmark.fingerprint(start, load)

    def _start_of_server(self, container: dict[str, Any] | None, server: dict[str, Any] | None) -> list[str] | None:
        if container:
            return [container["Id"], container["State"]["StartedAt"]]
        if self._place.container:
            return None
        # Any server may be behind a command, so its own facts identify it.
        server = server or identify(self._place, self._base_url, self._params["api_key_file"])
        if not server or not server["started"]:
            return None
        return [*self._place.command, server["version"], server["started"]]

    def _environment(self, container: dict[str, Any] | None, measured: Measured) -> dict[str, Any]:
        environment = {
            "vllm_version": measured.server["version"],
            "client_version": measured.client_version,
            "server_started": measured.server["started"],
            "client_argv": self._argv,
        }
        if container is None:
            return environment
        # Not the container's variables: they may hold secrets.
        return {
            "container": self._place.container,
            "container_id": container["Id"],
            "container_started_at": container["State"]["StartedAt"],
            "image": container["Config"]["Image"],
            "image_id": container["Image"],
            "server_argv": [container["Path"], *container["Args"]],
            **environment,
        }


def _looks_odd(checks: list[dict[str, Any]]) -> bool:
    """Return whether a condition of validity, which has no limit of its own, gave a warning."""
    return any(check["status"] == WARN and "limit" not in check for check in checks)


def _now() -> datetime:
    return datetime.now(timezone.utc)


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "container": {"type": "str"},
            "client_command": {"type": "list", "elements": "str"},
            "engine_args": {"type": "dict", "default": {}},
            "api_key_file": {"type": "path", "default": "/run/secrets/vllm_api_key", "no_log": False},
            "base_url": {"type": "str", "required": True},
            "model": {"type": "str", "required": True},
            "served_model_name": {"type": "str", "required": True},
            "workload": {"type": "dict", "required": True, "options": argument_spec(WORKLOAD)},
            "size": {"type": "str", "required": True},
            "repetitions": {"type": "int", "default": 1},
            "published": {"type": "dict", "default": {}},
            "physical": {"type": "dict", "options": argument_spec(PHYSICAL)},
            "thresholds": {"type": "list", "elements": "dict", "default": [], "options": argument_spec(THRESHOLD)},
            "results_dir": {"type": "path", "required": True},
            "metadata": {"type": "dict", "default": {}},
            "reuse": {"type": "str", "choices": ["never", "if_same"], "default": "never"},
            "reuse_max_age_s": {"type": "int", "default": 86400},
            "progress_file": {"type": "path"},
            "at_once": {"type": "bool", "default": False},
        },
        required_one_of=[("container", "client_command")],
        mutually_exclusive=[("container", "client_command")],
        supports_check_mode=True,
    )
    try:
        job = SmokeBenchmark(module.params, ProgressFile(module.params["progress_file"], watched=True))
        if module.check_mode:
            plan = job.plan()
            for note in job.notes:
                module.warn(note)
            module.exit_json(changed=False, **plan)
        reused = job.reusable()
        if module.params["at_once"] and not reused:
            module.exit_json(changed=False, later=True)
        outcome = reused or job.run()
        for note in job.notes:
            module.warn(note)
    except (benchmark.BenchmarkError, RunError, store.StoreError, DockerError, ControllerGone) as exc:
        module.fail_json(msg=str(exc), verdict=INVALID, summary=str(exc).splitlines())
    if outcome["verdict"] in (FAIL, INVALID):
        # Everything else is in the file, because Ansible prints all that a failure returns.
        kept = {name: outcome[name] for name in ("verdict", "summary", "result_path")}
        module.fail_json(msg=failure(outcome["summary"]), **kept)
    if outcome["verdict"] == WARN:
        module.warn(outcome["summary"][0])
        for check in outcome["checks"]:
            if check["status"] == WARN:
                module.warn(check["message"])
    module.exit_json(changed=False, **outcome)


if __name__ == "__main__":
    main()
