# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module smoke_benchmark with its real worker, against stand-ins of docker, of the client and of the server."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._benchmark import run as _benchmark_run
from ansible_collections.hgx.inference.plugins.module_utils._programs import benchmark_worker
from ansible_collections.hgx.inference.plugins.module_utils._vllm.log import watch
from ansible_collections.hgx.inference.plugins.modules import smoke_benchmark

ROOT = Path(__file__).parents[4]
KEY = "sk-very-secret-key"
NAME = "kimi {{ k2 }}"

WORKLOAD: dict[str, Any] = {
    "input_len": 64,
    "output_len": 16,
    "max_concurrency": 4,
    "warmup_prompts": 4,
    "sizes": {"quick": 2, "smoke": 8},
    "trust_remote_code": True,
    "time_limit_s": 30,
    "args": {"temperature": 0},
}

# Behaves as the engine does: its exec has the container's environment, not the caller's, and no terminal.
DOCKER = """\
#!/bin/sh
printf '%s\\n' "$*" >> '{folder}/docker.log'
case "$1" in
container)
  cat '{folder}/inspect.json' 2>/dev/null && exit
  echo 'Error: No such container: vllm' >&2; exit 1 ;;
logs)
  echo '(EngineCore pid=9) ERROR 11-23 10:00:00 [core.py:1] torch.OutOfMemoryError: CUDA out of memory.' >&2 ;;
exec)
  [ "$2 $3 $4 $5" = '-i vllm python3 -c' ] || exit 64
  exec env -i PATH='{folder}/container' TMPDIR='{folder}/tmp' python3 -c "$6" ;;
esac
"""

# Keeps what the worker says.
PYTHON = """\
#!/bin/bash
: >'{folder}/events'
exec '{python}' "$@" > >(PATH=/usr/bin:/bin tee '{folder}/events')
"""

# Sends the requests that it is told to, and reports as the real client does: in a file, with exit code 0.
CLIENT = """\
#!{python}
import json, os, signal, sys, time, urllib.request
arguments = sys.argv[3:]
value = lambda name: arguments[arguments.index("--" + name) + 1]
behaviour = open("{folder}/behaviour").read()
open("{folder}/client.pid", "w").write(str(os.getpid()))
open("{folder}/client.log", "a").write(" ".join(arguments) + "\\n")
print("Namespace(...)")
if behaviour == "usage":
    print("vllm: error: unrecognized arguments: --x")
    sys.exit(2)
if behaviour == "hang":
    signal.pause()
def ask():
    headers = {{"Authorization": "Bearer " + os.environ.get("OPENAI_API_KEY", "none")}}
    request = urllib.request.Request(value("base-url") + value("endpoint"), b"16", headers)
    urllib.request.urlopen(request).read()
count, output = int(value("num-prompts")), int(value("random-output-len"))
if behaviour == "good":
    for _ in range(int(value("num-warmups"))):
        ask()
    # The worker looks at the server's counters between warm-up and run. The real client leaves it the time.
    print("Starting main benchmark run...")
    deadline = time.monotonic() + 10
    while '"measuring"' not in open("{folder}/events").read() and time.monotonic() < deadline:
        time.sleep(0.01)
    for _ in range(count):
        ask()
done = count if behaviour == "good" else 0
seconds = count * 0.5 / min(count, 4)
result = dict(
    completed=done, failed=count - done, duration=seconds, max_concurrency=4, num_prompts=count,
    total_input_tokens=76 * done, total_output_tokens=output * done,
    output_throughput=output * done / seconds, total_token_throughput=(76 + output) * done / seconds,
    input_lens=[76] * count, output_lens=[output if done else 0] * count,
    ttfts=[0.1] * count, itls=[[0.1] * 4] * count, start_times=[0.5 * (i // 4) for i in range(count)],
    generated_texts=["Answer %d" % i for i in range(count)],
    errors=["" if done else "Traceback:\\n  Unauthorized"] * count,
)
changes = json.load(open("{folder}/changes.json")) if os.path.exists("{folder}/changes.json") else {{}}
result = {{key: entry for key, entry in {{**result, **changes}}.items() if entry != "missing"}}
with open(os.path.join(value("result-dir"), value("result-filename")), "w") as stream:
    json.dump(result, stream)
"""


class Host:
    """A host with a serving container, in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.base_url = f"http://127.0.0.1:{port}"
        for name in ("container", "tmp", "results", "bin"):
            (folder / name).mkdir()
        self._executable("bin/docker", DOCKER)
        self._executable("container/python3", PYTHON)
        self._executable("container/vllm", CLIENT)
        self.container()
        self.client("good")

    def _executable(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text.format(folder=self.folder, python=sys.executable))
        path.chmod(0o755)

    def container(self, started_at: str = "2026-11-23T10:00:00Z", running: bool = True) -> None:
        details = {
            "Id": "c0ffee",
            "Image": "sha256:abc",
            "Path": "python3",
            "Args": ["-m", "server", "--api-key", KEY],
            "Config": {"Image": "vllm:1", "Env": [f"VLLM_API_KEY={KEY}"]},
            "State": {
                "Running": running,
                "Status": "running" if running else "exited",
                "ExitCode": 0 if running else 137,
                "StartedAt": started_at,
            },
        }
        (self.folder / "inspect.json").write_text(json.dumps([details]))

    def client(self, behaviour: str) -> None:
        (self.folder / "behaviour").write_text(behaviour)

    def client_is_running(self) -> bool:
        try:
            pid = int((self.folder / "client.pid").read_text())
            return "vllm" in Path(f"/proc/{pid}/cmdline").read_text()
        except (OSError, ValueError):  # it has not got that far, or has ended
            return False

    def arguments(self, **changes: Any) -> dict[str, Any]:
        return {
            "container": "vllm",
            "api_key_file": str(self.folder / "api_key"),
            "base_url": self.base_url,
            "model": "moonshotai/Kimi-K2.6",
            "served_model_name": NAME,
            "workload": WORKLOAD,
            "size": "smoke",
            "thresholds": [{"metric": "output_throughput", "op": ">=", "value": 120, "source": "{{ page }}"}],
            "results_dir": str(self.results),
            "metadata": {"recipe": "tiny", "title": "A {{ title }}"},
            **changes,
        }


class Server(ThreadingHTTPServer):
    """Counts as vLLM does."""

    counters: dict[str, int]
    keys: set[str | None]
    model = NAME
    pause_s = 0.0
    engine = 0  # what is answered in place of the engine's work, if any
    template = 12  # tokens that it adds to a prompt
    role_first = False  # whether the first chunk has no text
    comments = ""
    stale_s = 0.0  # how old the counters may be
    cached = (0.0, "")  # when they were read, and the text
    lacking: tuple[str, ...] = ()  # counters
    wants_key = ""  # for /metrics
    caches_template = False
    gains: dict[str, int] = {}  # noqa: RUF012  # further ones of each request
    thought = ""  # comes apart from the text
    words: tuple[str, ...] = ("It", " is")

    def streamed(self) -> str:
        """A short answer, as vLLM streams it."""
        usage = {"prompt_tokens": self.template + 1, "completion_tokens": 2}
        events: list[dict[str, Any]] = [{"choices": [{"delta": {"content": word}}]} for word in self.words]
        if self.thought:
            events = [{"choices": [{"delta": {"reasoning": self.thought}}]}]
        if self.role_first:
            events.insert(0, {"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        events.append({"choices": [], "usage": usage})
        return self.comments + "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"

    def metrics(self) -> str:
        read_at, text = self.cached
        if time.monotonic() - read_at < self.stale_s:
            return text
        lines = [
            f'{sample}{{engine="0",position="{position}"}} {self.counters[name]}.0\n'
            for name, sample in benchmark_worker.COUNTERS.items()
            for position in range(3 if name == "accepted_at_" else 1)
            if name not in self.lacking
        ]
        self.cached = time.monotonic(), "".join([*lines, "process_start_time_seconds 1795624276.59\n"])
        return self.cached[1]


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        server: Server

        def do_GET(self) -> None:
            key = self.server.wants_key
            if self.path == "/metrics" and key and self.headers["Authorization"] != f"Bearer {key}":
                self._send("", 401)
                return
            answers = {
                "/metrics": self.server.metrics(),
                "/version": '{"version": "0.99"}',
                "/v1/models": json.dumps({"data": [{"id": self.server.model}]}),
            }
            self._send(answers[self.path])

        def do_POST(self) -> None:
            time.sleep(self.server.pause_s)
            if self.server.engine:
                self._send("{}", self.server.engine)
                return
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            tokens = asked if isinstance(asked, int) else asked.get("max_tokens", 2)
            self.server.keys.add(self.headers["Authorization"])
            gains = {"requests": 1, "prompt_tokens": 64 + self.server.template, "output_tokens": tokens}
            gains["prefix_cache_queries"] = gains["prompt_tokens"]
            if self.server.caches_template:
                gains["prefix_cache_hits"] = self.server.template
            gains.update(self.server.gains)
            gains.update({"drafts": 4, "draft_tokens": 12, "accepted_tokens": 12, "accepted_at_": 4})
            for name, gain in gains.items():
                self.server.counters[name] += gain
            self._send(self.server.streamed() if isinstance(asked, dict) and asked.get("stream") else "{}")

        def _send(self, text: str, status: int = 200) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as instance:
        instance.counters = dict.fromkeys(benchmark_worker.COUNTERS, 0)
        instance.keys = set()
        threading.Thread(target=instance.serve_forever, args=[0.02], daemon=True).start()
        yield instance
        instance.shutdown()


@pytest.fixture
def host(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path, server.server_address[1])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return host


@pytest.fixture
def run(host: Host, capsys: pytest.CaptureFixture[str]) -> Any:
    def run_module(**changes: Any) -> dict[str, Any]:
        arguments = {name: value for name, value in host.arguments(**changes).items() if value is not None}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            smoke_benchmark.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run_module


@pytest.fixture
def a_minute_later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Set the module's clock forward: results are named by the second."""
    return lambda: monkeypatch.setattr(smoke_benchmark, "_now", lambda: datetime.now(UTC) + timedelta(minutes=1))


def test_a_pass(run: Any, host: Host, server: Server) -> None:
    result = run()
    assert not result.get("failed")
    assert (result["changed"], result["verdict"], result["reused"]) == (False, "pass", False)
    assert result["metrics"]["steady_output_throughput"] == pytest.approx(4 * 16 / 0.5)
    assert result["metrics"]["acceptance_length"] == 4
    assert result["summary"][0].startswith("PASS: 1 of 1 thresholds met (size smoke: 8 requests of 64 + 16 tokens")
    assert "{{ page }}" in result["summary"][1]
    assert server.keys == {None, "Bearer none"}  # that of the worker's own request, and of the client's

    path = Path(result["result_path"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (host.results / "latest.json").resolve() == path
    stored = json.loads(path.read_text())
    assert stored["metadata"] == {"recipe": "tiny", "title": "A {{ title }}"}
    assert stored["environment"]["vllm_version"] == "0.99"
    assert stored["environment"]["client_argv"][-2:] == ["--temperature", "0"]
    assert NAME in stored["environment"]["client_argv"]
    # One request before the run shows what the server is like.
    before, measuring, after = (stored["counters"][when]["requests"] for when in ("before", "measuring", "after"))
    assert (before, measuring, after) == (1, 5, 13)
    assert (stored["look"]["prompt_tokens"], stored["look"]["first_chunk_has_text"]) == (13, True)
    assert stored["client"]["texts"]["samples"][0] == "Answer 0"
    assert os.listdir(host.results) == ["latest.json", path.name] or os.listdir(host.results) == [
        path.name,
        "latest.json",
    ]
    assert "generated_texts" not in stored["client"]
    assert stored["client"]["e2els"] == [0.5] * 8
    assert stored["client"]["series"]["running"][0] == 4
    assert stored["spec_decode"] == {"acceptance_length": 4, "per_position": [1.0, 1.0, 1.0]}
    assert stored["client_command"][:6] == ["docker", "exec", "-i", "vllm", "vllm", "bench"]
    assert "repetitions" not in stored
    assert os.listdir(host.folder / "tmp") == [f"hgx-benchmark-{os.getuid()}.lock"]


def test_an_impossible_threshold(run: Any) -> None:
    result = run(thresholds=[{"metric": "output_throughput", "op": ">=", "value": 1e6, "tolerance": "10%"}])
    assert result["failed"]
    assert result["verdict"] == "fail"
    assert "output_throughput         128 tok/s  >= 900000 tok/s (1000000 - 10%)" in result["msg"]
    assert Path(result["result_path"]).exists()
    # The rest would only fill the screen: it is in the file.
    core = {"changed", "failed", "msg", "invocation", "warnings"}  # warnings may be those of an earlier test
    assert set(result) - core == {"verdict", "summary", "result_path"}
    assert json.loads(Path(result["result_path"]).read_text())["checks"][-1]["limit"] == 900000


def test_a_warning_does_not_fail(run: Any) -> None:
    result = run(thresholds=[{"metric": "output_throughput", "op": ">=", "value": 1e6, "severity": "warn"}])
    assert not result.get("failed")
    assert result["verdict"] == "warn"
    warnings = json.dumps(result["warnings"])
    assert "WARN: 1 of 1 thresholds missed" in warnings
    assert "output_throughput is 128 tok/s; the limit is >= 1000000 tok/s" in warnings


def test_exit_code_0_with_all_requests_failed(run: Any, host: Host) -> None:
    host.client("fails")
    result = run()
    assert result["failed"]
    assert result["verdict"] == "invalid"
    assert "0 of 8 requests completed, 8 failed (8 x Unauthorized)" in result["msg"]
    assert "hint: The server requires an API key" in result["msg"]
    stored = json.loads(Path(result["result_path"]).read_text())
    assert set(stored["metrics"]) == {"completed", "failed", "duration_s"}


def test_a_key_is_used_and_shows_nowhere(run: Any, host: Host, server: Server) -> None:
    (host.folder / "api_key").write_text(KEY + "\n")
    result = run()
    assert result["verdict"] == "pass"
    assert server.keys == {f"Bearer {KEY}"}
    assert KEY not in json.dumps(result)
    assert KEY not in Path(result["result_path"]).read_text()
    assert KEY not in (host.folder / "docker.log").read_text()
    assert json.loads(Path(result["result_path"]).read_text())["environment"]["server_argv"][-2:] == [
        "--api-key",
        "********",
    ]


class TestForeignData:
    """Whatever the client and the server write, the run is judged, and what was measured is stored."""

    def changed(self, host: Host, **changes: Any) -> None:
        (host.folder / "changes.json").write_text(json.dumps(changes))

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"ttfts": "missing", "itls": "missing"}, "it lacks ttfts, itls"),
            ({"duration": 0}, "the duration is 0 s"),
            ({"total_output_tokens": 500}, "total_output_tokens is 500 by the client and 128 by its own list"),
            ({"duration": 0.1, "output_throughput": None}, "the requests took 1 s, the duration is 0.1 s"),
        ],
    )
    def test_a_result_that_cannot_be_judged(self, run: Any, host: Host, changes: Any, reason: str) -> None:
        run()
        self.changed(host, **changes)
        result = run(reuse="never")
        assert (result["failed"], result["verdict"]) == (True, "invalid")
        assert reason in result["msg"]
        stored = json.loads(Path(result["result_path"]).read_text())
        assert (stored["verdict"], stored["client"]["num_prompts"]) == ("invalid", 8)
        (host.folder / "changes.json").unlink()
        assert run(reuse="if_same")["reused"] is False, "the earlier pass does not count any more"

    def test_sums_that_the_client_does_not_give_are_computed(self, run: Any, host: Host) -> None:
        self.changed(host, **dict.fromkeys(["output_throughput", "total_input_tokens", "failed"], "missing"))
        result = run()
        assert result["verdict"] == "pass"
        assert result["metrics"]["output_throughput"] == pytest.approx(128)
        assert result["metrics"]["p95_itl_ms"] == pytest.approx(100)

    @pytest.mark.parametrize("text", ["[]", '{"completed": 8'])
    def test_a_result_that_is_no_json_object(self, run: Any, host: Host, text: str) -> None:
        client = host.folder / "container" / "vllm"
        client.write_text(client.read_text().replace("json.dump(result, stream)", f"stream.write({text!r})"))
        result = run()
        assert result["verdict"] == "invalid"
        assert "client_result  the result of the client cannot be judged: it is no JSON" in result["msg"]
        assert Path(result["result_path"]).exists()

    def test_what_was_measured_survives_a_fault_of_ours(
        self, run: Any, host: Host, monkeypatch: pytest.MonkeyPatch, a_minute_later: Callable[[], None]
    ) -> None:
        run()
        a_minute_later()
        with monkeypatch.context() as patch:
            patch.setattr(smoke_benchmark, "validity_checks", lambda *_args: dict[str, Any]()["x"])
            message = run()["msg"]
        (kept,) = host.results.glob("*-failed.json")
        assert message == (
            f"The benchmark has run, but its result could not be judged: KeyError('x'). What was measured is in {kept}."
        )
        stored = json.loads(kept.read_text())
        assert (stored["verdict"], stored["client"]["completed"]) == ("invalid", 8)
        assert run(reuse="if_same")["reused"] is False

    def test_a_damaged_result_is_ignored_in_one_sentence(self, run: Any) -> None:
        path = Path(run()["result_path"])
        record = json.loads(path.read_text())
        sentence = f"The stored result {path} is damaged. It is ignored, and so are earlier ones."
        damages: list[dict[str, Any]] = [
            {"client": {}},
            {"client": None},
            {"client": {**record["client"], "output_lens": ["x"] * 8}},
            {"client": {**record["client"], "texts": [1]}},
            {"counters": []},
            {"look": None},
            {"look": 7},
            {"repetitions": 7},
            {"repetitions": [{"duration_s": "long"}] * 2},
        ]
        for damage in damages:
            path.write_text(json.dumps({**record, **damage}))
            planned = run(_ansible_check_mode=True, reuse="if_same")
            assert sentence in json.dumps(planned["warnings"]), damage
            assert len(planned["summary"]) == 1
        result = run(reuse="if_same")
        assert (result["verdict"], result["reused"]) == ("pass", False)
        assert sentence in json.dumps(result["warnings"])
        assert run(reuse="if_same")["reused"] is True

    def test_a_result_of_an_earlier_version(self, run: Any) -> None:
        path = Path(run()["result_path"])
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "schema": 2}))
        result = run(reuse="if_same")
        assert result["reused"] is False
        assert "is of another version of this collection, whose checks were others" in json.dumps(result["warnings"])


class TestCounters:
    """What the server counts, and what it does not tell."""

    @pytest.mark.parametrize("template", [0, 12, 75, 300, 1500])
    def test_a_system_prompt_of_any_length_is_honest(self, run: Any, host: Host, server: Server, template: int) -> None:
        """Each of the ten prompts of the template is found in the cache from the second request on."""
        server.template = template
        server.caches_template = True
        lengths = [64 + template] * 8
        (host.folder / "changes.json").write_text(
            json.dumps({"input_lens": lengths, "total_input_tokens": None, "total_token_throughput": None})
        )
        result = run()
        assert result["verdict"] == "pass", result

    def test_more_than_the_template_is_not_honest(self, run: Any, host: Host, server: Server) -> None:
        server.template = 75
        (host.folder / "changes.json").write_text(
            json.dumps({"input_lens": [64 + 75 + 65] * 8, "total_input_tokens": None, "total_token_throughput": None})
        )
        result = run()
        assert result["verdict"] == "invalid"
        assert "203 are expected; the server adds 75 to each" in result["msg"]

    @pytest.mark.slow
    @pytest.mark.parametrize("stale_s", [1.5, 3.0])
    def test_counters_from_a_cache(self, run: Any, server: Server, stale_s: float) -> None:
        server.stale_s = stale_s
        server.counters.update(requests=5, output_tokens=900, prompt_tokens=900)
        server.metrics()  # that of before
        server.counters.update(requests=9, output_tokens=9900, prompt_tokens=9900)
        result = run()
        assert result["verdict"] == "pass", result

    @pytest.mark.parametrize(
        ("lacking", "verdict", "message"),
        [
            (["prefix_cache_hits", "prompt_tokens_cached"], "warn", "unknown: the server does not count how much"),
            (["prefix_cache_hits"], "pass", ""),
            (["prompt_tokens_cached"], "pass", ""),
            (["requests"], "warn", "its counts of requests are unknown"),
            (["prompt_tokens", "requests"], "warn", "its counts of requests and prompt tokens are unknown"),
            (["output_tokens"], "invalid", "the server counts no tokens"),
        ],
    )
    def test_a_missing_counter_is_unknown(
        self, run: Any, server: Server, lacking: list[str], verdict: str, message: str
    ) -> None:
        server.lacking = tuple(lacking)
        result = run()
        assert result["verdict"] == verdict, result
        assert message in json.dumps([result["summary"], result.get("warnings", [])])

    def test_an_external_cache_counts(self, run: Any, server: Server) -> None:
        server.gains = {"external_cache_hits": 70}
        assert "% of the input was in the prefix cache" in run()["msg"]
        server.gains = {"prompt_tokens_cached": 70}
        assert "% of the input was in the prefix cache" in run()["msg"]

    @pytest.mark.parametrize("key", ["", KEY])
    def test_counters_behind_the_key(self, run: Any, host: Host, server: Server, key: str) -> None:
        server.wants_key = KEY
        (host.folder / "api_key").write_text(key)
        result = run()
        if key:
            assert result["verdict"] == "pass", result
            return
        assert "The server's counters cannot be read in the container vllm: http://127.0.0.1" in result["msg"]
        assert "/metrics answers 401 Unauthorized, and there is no API key here" in result["msg"]

    def test_a_first_chunk_without_text(self, run: Any, host: Host, server: Server) -> None:
        server.role_first = True
        changes = {"ttfts": [0.013] * 8, "itls": [[0.387, *[0.025] * 4]] * 8}
        (host.folder / "changes.json").write_text(json.dumps(changes))
        result = run()
        assert result["verdict"] == "warn"
        assert result["metrics"]["mean_ttft_ms"] == pytest.approx(400)
        assert result["metrics"]["tokens_per_chunk"] == pytest.approx(15 / 4)
        assert (
            "the first chunk came after 13 ms and has no text, the first text after 400 ms; "
            "the time to the first token is the latter"
        ) in json.dumps(result["warnings"])
        server.role_first = False
        assert "if the first one has no text, the time" in json.dumps(run()["warnings"])

    def test_comments_in_the_stream(self, run: Any, host: Host, server: Server) -> None:
        server.comments = ": ping\n\n"
        (host.folder / "changes.json").write_text(
            json.dumps({"output_lens": [15] * 8, "total_output_tokens": None, **dict.fromkeys(SUMS)})
        )
        message = run()["msg"]
        assert "hint: The stream has SSE comments" in message
        assert "other clients" not in message


SUMS = ("output_throughput", "total_token_throughput")


class TestTexts:
    """What the answers say."""

    def said(self, host: Host, texts: list[str], **changes: Any) -> None:
        (host.folder / "changes.json").write_text(json.dumps({"generated_texts": texts, **changes}))

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (["!" * 200] * 8, "8 of 8 answers repeat few words or characters, such as '!'"),
            ([f"Well {index} {'the cat ' * 40}" for index in range(8)], "such as 'cat the'"),
            (["\ufffda\ufffd\ufffdb\ud800\ufffd\ufffdcd\ufffd"] * 8, "8 of 8 answers are no valid Unicode"),
        ],
    )
    def test_rubbish_is_invalid(self, run: Any, host: Host, texts: list[str], message: str) -> None:
        self.said(host, texts)
        result = run()
        assert result["verdict"] == "invalid"
        assert message in result["msg"]
        assert "hint: The model does not work" in result["msg"]

    def test_no_answer_has_a_text(self, run: Any, host: Host, server: Server) -> None:
        self.said(host, [""] * 8)
        assert "unknown: none of the 8 answers has a text" in json.dumps(run()["warnings"])
        server.words = ("", "")
        assert "none of the 8 answers has a text, nor has one more" in run()["msg"]

    def test_a_part_of_the_answers(self, run: Any, host: Host) -> None:
        """Random tokens make a healthy model babble now and then."""
        self.said(host, ["!" * 200] * 3 + HONEST[:5])
        assert run()["verdict"] == "pass"
        self.said(host, ["!" * 200] * 2 + ["la " * 60] * 2 + HONEST[:4])
        assert run()["verdict"] == "warn"

    def test_no_texts(self, run: Any, host: Host) -> None:
        self.said(host, "missing")  # type: ignore[arg-type]
        assert "unknown: the client has kept no text of the answers" in json.dumps(run()["warnings"])

    @pytest.mark.parametrize(("thought", "verdict"), [("The sea is blue and wide.", "pass"), ("!" * 99, "invalid")])
    def test_thoughts_that_the_client_does_not_keep(
        self, run: Any, host: Host, server: Server, thought: str, verdict: str
    ) -> None:
        server.thought = thought
        self.said(host, [""] * 8)
        result = run()
        assert result["verdict"] == verdict, result
        assert ("and one more answer is '!!!" in json.dumps(result)) == (verdict == "invalid")

    @pytest.mark.parametrize(("factor", "verdict"), [(1, "pass"), (1.3, "warn")])
    def test_tokens_are_counted_by_the_tokenizer(self, run: Any, host: Host, factor: float, verdict: str) -> None:
        """A stand-in of transformers counts words."""
        (host.folder / "tmp" / "transformers.py").write_text(TOKENIZER)
        docker = host.folder / "bin" / "docker"
        docker.write_text(docker.read_text().replace("env -i ", f"env -i PYTHONPATH='{host.folder}/tmp' "))
        self.said(host, [f"{index} " + "word and " * int(7.5 / factor) for index in range(8)])
        result = run()
        assert result["verdict"] == verdict
        if verdict == "warn":
            assert "the server counts 128 tokens in answers whose texts have" in json.dumps(result["warnings"])

    def test_acceptance_near_its_maximum_and_a_speed_above_published(self, run: Any, host: Host) -> None:
        published = {"output_throughput": 100}
        result = run(published=published)
        assert result["verdict"] == "warn"
        assert "100.0 % of the drafted tokens were accepted and output_throughput is 1.28 times as good" in json.dumps(
            result["warnings"]
        )
        # With texts that repeat themselves it is more than odd.
        self.said(host, [f"{index} " + "la " * 60 for index in range(5)] + HONEST[:3])
        assert run(published=published)["verdict"] == "invalid"


HONEST = [
    "| Name | Value |\n| --- | --- |\n| a | 1 |\n| b | 2 |\n| c | 3 |\n",
    "```python\nfor index in range(10):\n    print(index)\n    total += index\n```",
    "Die Anfrage enthält zufällige Zeichen, also frage ich nach, was gemeint ist.",
    "用户发送了一串随机的字符,看起来没有任何意义,所以我会礼貌地询问。",
    "Запрос похож на случайный набор слов, поэтому я уточню.",
    "1. One\n2. Two\n3. Three\n4. Four\n5. Five\n6. Six\n7. Seven\n8. Eight\n",
    "مرحبا، يبدو أن النص عشوائي. هل يمكنك التوضيح؟",
    "- 1,408 tok/s\n- 7,046 tok/s\n- 2,264.48 ms\n- 32,176.03 ms",
]
TOKENIZER = """
class AutoTokenizer:
    @classmethod
    def from_pretrained(cls, name, trust_remote_code):
        assert (name, trust_remote_code) == ("moonshotai/Kimi-K2.6", True)
        return lambda text, add_special_tokens: type("Encoding", (), {"input_ids": text.split()})
"""


def seeds_of(host: Host) -> list[str]:
    return [line.split("--seed ")[1].split()[0] for line in (host.folder / "client.log").read_text().splitlines()]


class TestSeed:
    def test_each_run_has_its_own(self, run: Any, host: Host) -> None:
        stored = json.loads(Path(run()["result_path"]).read_text())
        (seed,) = seeds_of(host)
        assert abs(int(seed) - time.time()) < 60
        assert stored["client_command"][stored["client_command"].index("--seed") + 1] == seed
        assert "varied" in stored["environment"]["client_argv"]

    def test_one_that_was_asked_for(self, run: Any, host: Host) -> None:
        run(workload={**WORKLOAD, "seed": 7}, repetitions=2)
        assert seeds_of(host) == ["7", "8"]


class TestRepetitions:
    def test_medians(self, run: Any, server: Server) -> None:
        result = run(repetitions=3)
        assert result["verdict"] == "pass", result["summary"]
        assert result["spread"]["output_throughput"] == 0
        assert "  medians of 3 runs, in which steady_output_throughput differed by 0 tok/s" in result["summary"]
        stored = json.loads(Path(result["result_path"]).read_text())
        assert [metrics["completed"] for metrics in stored["repetitions"]] == [8, 8, 8]
        asked = server.counters["requests"]
        again = run(repetitions=3, reuse="if_same")
        assert (again["reused"], again["metrics"]) == (True, result["metrics"])
        assert server.counters["requests"] == asked + 1

    def test_an_invalid_run_ends_the_series(self, run: Any, host: Host) -> None:
        host.client("fails")
        result = run(repetitions=3)
        assert result["verdict"] == "invalid"
        assert len(seeds_of(host)) == 1

    def test_none(self, run: Any) -> None:
        assert run(repetitions=0)["msg"] == "repetitions: 0 is not 1 or more."


class TestEarlyEnd:
    WORKLOAD = {**WORKLOAD, "sizes": {"smoke": 16}, "ends_early": ["smoke"]}  # noqa: RUF012

    def asked(self, host: Host) -> list[tuple[str, str]]:
        """Return the number of requests and of those for the warm-up of each run of the client."""
        lines = (host.folder / "client.log").read_text().splitlines()
        return [tuple(line.split(f"--num-{name} ")[1].split()[0] for name in ("prompts", "warmups")) for line in lines]  # type: ignore[misc]

    def limit(self, value: float) -> list[dict[str, Any]]:
        return [{"metric": "steady_output_throughput", "op": ">=", "value": value}]

    def test_two_waves_decide(self, run: Any, host: Host) -> None:
        result = run(workload=self.WORKLOAD, thresholds=self.limit(100))
        assert result["verdict"] == "pass", result["summary"]
        assert self.asked(host) == [("8", "4")]
        assert result["metrics"]["completed"] == 8
        sentence = (
            "ended after 8 of at most 16 requests: steady_output_throughput is 124 to 128 tok/s (95 %), above the limit"
            " 100"
        )
        assert f"  {sentence}" in result["summary"]
        assert "size smoke: 8 requests of" in result["summary"][0]
        stored = json.loads(Path(result["result_path"]).read_text())
        assert stored["ended"] == result["ended"]
        assert (stored["ended"]["early"], stored["ended"]["sentence"]) == (True, sentence)
        again = run(workload=self.WORKLOAD, thresholds=self.limit(110), reuse="if_same")
        assert (again["reused"], again["ended"]["limits"]) == (True, [110])
        assert not self.is_judged_again(run, 126), "two waves do not decide that"
        assert not self.is_judged_again(run, 100, ends_early=[])

    def test_two_waves_do_not_decide(self, run: Any, host: Host) -> None:
        result = run(workload=self.WORKLOAD, thresholds=self.limit(126))
        assert result["verdict"] == "pass", result["summary"]
        assert self.asked(host) == [("8", "4"), ("8", "0")]
        assert result["metrics"]["completed"] == 16
        assert result["ended"]["sentence"].startswith("ended after all requests")
        assert "size smoke: 16 requests of" in result["summary"][0]
        again = run(workload=self.WORKLOAD, thresholds=self.limit(126), reuse="if_same")
        assert (again["reused"], again["metrics"]) == (True, result["metrics"])

    def is_judged_again(self, run: Any, limit: float, **workload: Any) -> bool:
        options = {"workload": {**self.WORKLOAD, **workload}, "thresholds": self.limit(limit), "reuse": "if_same"}
        return "judged again" in "".join(run(_ansible_check_mode=True, **options)["summary"])

    def test_a_part_that_is_invalid_ends_the_run(self, run: Any, host: Host) -> None:
        host.client("fails")
        assert run(workload=self.WORKLOAD, thresholds=self.limit(126))["verdict"] == "invalid"
        assert len(self.asked(host)) == 1

    def test_what_cannot_be(self, run: Any) -> None:
        message = run(workload=self.WORKLOAD, thresholds=self.limit(1), repetitions=2)["msg"]
        assert message == "repetitions: size smoke ends early. Repeat one that does not."

    def test_the_plan(self, run: Any) -> None:
        options = {"workload": self.WORKLOAD, "thresholds": self.limit(1), "published": {"output_throughput": 1}}
        (line,) = run(_ansible_check_mode=True, **options)["summary"]
        assert line.endswith("about 4 min at the published rate, 6 min if two waves do not decide).")


class TestReuse:
    def test_at_once_puts_no_load_on_the_server(self, run: Any, server: Server) -> None:
        assert run(reuse="if_same", at_once=True)["later"]
        assert server.counters["requests"] == 0
        first = run()
        second = run(reuse="if_same", at_once=True)
        assert (second["reused"], second["result_path"]) == (True, first["result_path"])

    def test_the_same_load_is_judged_again(self, run: Any, server: Server) -> None:
        first = run()
        asked = server.counters["requests"]
        wanted = [{"metric": "output_throughput", "op": "<=", "value": 128}]
        second = run(reuse="if_same", thresholds=wanted)
        assert server.counters["requests"] == asked + 1, "a request for one token shows that the engine is alive"
        assert (second["reused"], second["result_path"], second["verdict"]) == (True, first["result_path"], "pass")
        assert second["checks"][-1]["op"] == "<="
        assert "judged again" in second["summary"][-1]

    def test_an_engine_that_hangs_has_not_passed(
        self, run: Any, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run()
        monkeypatch.setattr(benchmark_worker, "LATE_COUNTERS_S", 0.1)
        monkeypatch.setattr(_benchmark_run, "ASK_LIMIT_S", 20)
        advice = "Its log may say why: docker logs --tail 50 vllm. To restart it: docker restart vllm"
        for server.engine, reason in (
            (200, "it is answered, but the engine has produced nothing"),
            (500, "HTTP Error 500: Internal Server Error"),
            (401, "HTTP Error 401: Unauthorized"),  # a key that was rotated, or is wrong
        ):
            result = run(reuse="if_same")
            assert result["failed"]
            assert "but now a request for one token at http://127.0.0.1" in result["msg"]
            assert f" fails: {reason}. {advice}" in result["msg"]
        monkeypatch.setattr(_benchmark_run, "ASK_LIMIT_S", 0.3)
        server.pause_s = 3
        message = run(reuse="if_same")["msg"]
        assert "fails: no answer within 0.3 s, so the engine hangs, or others keep it busy. Its log" in message

    def test_what_is_not_the_same_is_run_anew(self, run: Any, host: Host) -> None:
        wanted = [{"metric": "output_throughput", "op": ">=", "value": 1}]

        def is_judged_again(**changes: Any) -> bool:
            options = {"reuse": "if_same", "thresholds": wanted, **changes}
            return "judged again" in "".join(run(_ansible_check_mode=True, **options)["summary"])

        run()
        assert is_judged_again()
        assert not is_judged_again(reuse="never")
        assert not is_judged_again(size="quick")
        assert not is_judged_again(workload={**WORKLOAD, "seed": 1})
        assert not is_judged_again(repetitions=2)
        assert not is_judged_again(reuse_max_age_s=-1)
        host.container(started_at="2026-11-23T11:00:00Z")
        assert not is_judged_again()
        assert run(reuse="if_same", thresholds=wanted)["reused"] is False

    def test_a_container_that_has_stopped_since(self, run: Any, host: Host) -> None:
        run()
        host.container(running=False)
        result = run(reuse="if_same")
        assert result["failed"]
        assert "is not running (status exited, exit code 137)" in result["msg"]

    def test_a_load_that_gave_nothing_is_not_forgotten(
        self, run: Any, host: Host, a_minute_later: Callable[[], None]
    ) -> None:
        first = run()
        host.client("usage")
        a_minute_later()
        assert "wrote no result" in run()["msg"]
        host.client("good")
        second = run(reuse="if_same")
        assert (second["reused"], second["verdict"]) == (False, "pass")
        assert second["result_path"] != first["result_path"]

    def test_an_attempt_without_a_load_changes_nothing(self, run: Any) -> None:
        run()
        assert "does not answer" in run(base_url="http://127.0.0.1:1")["msg"]
        assert run(reuse="if_same")["reused"] is True

    def test_a_failure_rests_on_new_figures(self, run: Any, server: Server) -> None:
        run()
        asked = server.counters["requests"]
        result = run(reuse="if_same", thresholds=[{"metric": "output_throughput", "op": ">=", "value": 1e6}])
        assert result["failed"]
        assert server.counters["requests"] == 2 * asked

    def test_a_result_bears_its_newest_judgement(self, run: Any) -> None:
        failed = run(thresholds=[{"metric": "output_throughput", "op": ">=", "value": 1e6}])
        lenient = [{"metric": "output_throughput", "op": ">=", "value": 1}]
        assert "earlier result is judged again" in "".join(
            run(_ansible_check_mode=True, reuse="if_same", thresholds=lenient)["summary"]
        )
        stored = Path(failed["result_path"])
        assert json.loads(stored.read_text())["verdict"] == "fail"
        assert run(reuse="if_same", thresholds=lenient)["reused"] is True
        assert json.loads(stored.read_text())["verdict"] == "pass"

    def test_a_bad_result_of_another_size_is_not_forgotten(self, run: Any, a_minute_later: Callable[[], None]) -> None:
        wanted = [{"metric": "output_throughput", "op": ">=", "value": 1}]
        run(thresholds=wanted)
        a_minute_later()
        run(size="quick", thresholds=[{**wanted[0], "value": 1e6}])
        assert run(reuse="if_same", thresholds=wanted)["reused"] is False

    def test_an_invalid_result_is_not_used(self, run: Any, host: Host) -> None:
        host.client("fails")
        run()
        host.client("good")
        result = run(reuse="if_same")
        assert (result["verdict"], result["reused"]) == ("pass", False)


class TestNothingMeasured:
    def test_a_server_that_is_older_than_the_container(self, run: Any, host: Host, server: Server) -> None:
        host.container(started_at="2026-11-25T20:00:00Z")
        message = run()["msg"]
        assert "before the container vllm was started, so it is a different server. Is base_url right?" in message
        assert server.counters["requests"] == 0

    def test_a_busy_server(self, run: Any, server: Server, monkeypatch: pytest.MonkeyPatch, host: Host) -> None:
        server.counters.update(running=3, waiting=2)
        monkeypatch.setattr(benchmark_worker, "IDLE_WAIT_S", 0.1)
        result = run()
        assert result["failed"]
        assert result["verdict"] == "invalid"
        assert "busy: 3 requests running, 2 waiting" in result["msg"]
        assert not (host.folder / "client.pid").exists()

    def test_a_server_that_just_finishes(self, run: Any, server: Server) -> None:
        server.counters["running"] = 1
        threading.Timer(0.1, server.counters.update, kwargs={"running": 0}).start()
        assert run()["verdict"] == "pass"

    def test_other_traffic_during_the_run(self, run: Any, host: Host) -> None:
        # The container counts for a model that the client does not ask.
        client = host.folder / "container" / "vllm"
        client.write_text(client.read_text().replace('b"16"', 'b"19"'))
        result = run()
        assert result["verdict"] == "invalid"
        assert "the server produced 228 tokens, the client received 192, warm-up included" in result["msg"]

    def test_the_time_limit_ends_the_client(self, run: Any, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        host.client("hang")
        wanted = _benchmark_run.Load

        def load(*args: Any, **options: Any) -> Any:
            return wanted(*args, **{**options, "time_limit_s": 0.4})

        monkeypatch.setattr(smoke_benchmark, "Load", load)
        message = run()["msg"]
        assert "stopped at its time limit of 0.4 s: the client is starting. Choose a smaller size" in message
        assert not host.client_is_running()
        assert os.listdir(host.folder / "tmp") == [f"hgx-benchmark-{os.getuid()}.lock"]

    def test_another_benchmark_in_the_container(self, run: Any, host: Host) -> None:
        with open(host.folder / "tmp" / f"hgx-benchmark-{os.getuid()}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert "Another benchmark is running in the container vllm." in run()["msg"]

    def test_the_lock_follows_no_link(self, run: Any, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "SETTLE_S", 0.0)  # the container runs on
        victim = host.folder / "victim"
        victim.write_text("kept")
        (host.folder / "tmp" / f"hgx-benchmark-{os.getuid()}.lock").symlink_to(victim)
        assert "was interrupted" in run()["msg"]
        assert victim.read_text() == "kept"

    def test_a_client_that_wants_other_options(self, run: Any, host: Host) -> None:
        host.client("usage")
        message = run()["msg"]
        assert "exit code 2 and wrote no result" in message
        assert "vllm: error: unrecognized arguments: --x" in message

    def test_an_image_without_the_client(self, run: Any, host: Host) -> None:
        (host.folder / "container" / "vllm").unlink()
        assert "There is no command 'vllm' in the container vllm" in run()["msg"]

    def test_another_model(self, run: Any, server: Server, host: Host) -> None:
        server.model = "gpt-2"
        message = run()["msg"]
        assert f"serves gpt-2, not {NAME}. Is that its port" in message
        assert not (host.folder / "client.pid").exists()

    def test_nothing_listens(self, run: Any) -> None:
        message = run(base_url="http://127.0.0.1:1")["msg"]
        assert "does not answer at http://127.0.0.1:1 in the container vllm" in message
        assert "refused" in message

    def test_a_container_that_stops_during_the_run(self, run: Any, host: Host) -> None:
        stopped = f"cp '{host.folder}/stopped.json' '{host.folder}/inspect.json'; exit 137 #"
        host.container(running=False)
        (host.folder / "inspect.json").rename(host.folder / "stopped.json")
        host.container()
        docker = host.folder / "bin" / "docker"
        docker.write_text(docker.read_text().replace("[ ", f"{stopped} [ "))
        message = run()["msg"]
        assert "has ended with exit code 137 during the run, at: " in message
        assert "A GPU ran out of memory" in message
        assert "  EngineCore: torch.OutOfMemoryError: CUDA out of memory." in message

    def test_a_container_that_is_stopped(self, run: Any, host: Host) -> None:
        host.container(running=False)
        assert "is not running (status exited, exit code 137)" in run()["msg"]

    def test_no_container(self, run: Any, host: Host) -> None:
        (host.folder / "inspect.json").unlink()
        assert run()["msg"].startswith("There is no container 'vllm' on this host.")

    def test_no_place_for_the_result(self, run: Any, host: Host) -> None:
        (host.folder / "file").touch()
        refused = run(results_dir=str(host.folder / "file" / "results"))["msg"]
        assert refused == f"results_dir: {host.folder}/file/results is no directory to write to: Not a directory."
        assert not (host.folder / "client.pid").exists()

    def test_the_results_are_for_owner_and_group(self, run: Any, host: Host) -> None:
        folder = host.folder / "new" / "results"
        run(results_dir=str(folder))
        assert folder.stat().st_mode & 0o777 == 0o750

    def test_thresholds_that_cannot_be_judged(self, run: Any, host: Host) -> None:
        wanted = [{"metric": "mean_tftt_ms", "op": "<=", "value": 1}, {"metric": "mean_ttft_ms", "op": "<="}]
        message = run(thresholds=wanted)["msg"]
        assert "thresholds[0]: there is no metric 'mean_tftt_ms'; did you mean 'mean_ttft_ms'?" in message
        assert "thresholds[1]: no value" in message
        assert not (host.folder / "docker.log").exists()


class TestWithoutDocker:
    """The client behind a command prefix."""

    @pytest.fixture
    def run(self, run: Any, host: Host, monkeypatch: pytest.MonkeyPatch) -> Any:
        place = {"PATH": f"{host.folder}/container", "TMPDIR": f"{host.folder}/tmp"}
        command = ["/usr/bin/env", *(f"{name}={value}" for name, value in place.items())]
        monkeypatch.setenv("PATH", str(host.folder))
        return lambda **changes: run(**{"container": None, "client_command": command, **changes})

    def test_a_pass_is_stored_and_used_again(self, run: Any, host: Host, server: Server) -> None:
        first = run()
        assert first["verdict"] == "pass"
        environment = json.loads(Path(first["result_path"]).read_text())["environment"]
        assert environment["server_started"] == "1795624276.59"
        assert "container" not in environment
        asked = server.counters["requests"]
        assert run(reuse="if_same")["reused"] is True
        assert server.counters["requests"] == asked + 1
        assert not (host.folder / "docker.log").exists()

    def test_the_engine_is_told(self, run: Any, host: Host) -> None:
        (host.folder / "changes.json").write_text(json.dumps({"itls": [[0.4]] * 8}))
        assert "15 tokens per chunk, 4 per step" in json.dumps(run()["warnings"])
        assert run(engine_args={"stream-interval": 8, "tensor-parallel-size": 8})["verdict"] == "pass"
        assert run(engine_args={"x": [[]]})["msg"].startswith("engine_args: ")

    def test_a_command_that_does_not_exist(self, run: Any) -> None:
        assert "cannot be run behind '/none x': No such file" in run(client_command=["/none", "x"])["msg"]

    def test_nothing_listens(self, run: Any) -> None:
        assert "does not answer at http://127.0.0.1:1 behind '/usr/bin/env" in run(base_url="http://127.0.0.1:1")["msg"]


class TestCheckMode:
    def test_no_load(self, run: Any, server: Server) -> None:
        result = run(_ansible_check_mode=True, published={"output_throughput": 1})
        assert (result["changed"], result.get("verdict")) == (False, None)
        assert result["summary"] == [
            "Would benchmark vllm (size smoke: 8 requests of 64 + 16 tokens, 4 at a time,"
            " about 4 min at the published rate)."
        ]
        assert not any(server.counters.values())

    def test_an_earlier_result_is_named(self, run: Any) -> None:
        run()
        planned = run(_ansible_check_mode=True, reuse="if_same")
        summary = planned["summary"]
        assert summary[1:2] == ["If the server stays as it is, an earlier result is judged again instead:"]
        assert planned["reusable"] is True
        assert run(_ansible_check_mode=True, reuse="never")["reusable"] is False
        assert summary[2].startswith("PASS")

    def test_a_host_without_an_engine(self, run: Any, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(host.folder))
        assert not run(_ansible_check_mode=True, reuse="if_same").get("failed")


class TestInterruption:
    def wait_for_client(self, host: Host) -> None:
        deadline = time.monotonic() + 20
        while not host.client_is_running():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_a_killed_module_leaves_no_client(self, host: Host) -> None:
        host.client("hang")
        script = f"""
            import json, sys
            from ansible.module_utils.testing import patch_module_args
            from ansible_collections.hgx.inference.plugins.modules import smoke_benchmark
            with patch_module_args(json.loads({json.dumps(host.arguments())!r})):
                smoke_benchmark.main()
        """
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
        with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=environment) as module:
            self.wait_for_client(host)
            module.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while host.client_is_running():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_a_lost_controller_ends_the_client(self, run: Any, host: Host) -> None:
        host.client("hang")
        (host.folder / "progress.seen").touch()
        long_ago = time.time() - 1000
        os.utime(host.folder / "progress.seen", (long_ago, long_ago))
        assert "Nobody has watched this task" in run(progress_file=str(host.folder / "progress"))["msg"]
        assert not host.client_is_running()


def test_progress_is_kept_in_the_file(run: Any, host: Host) -> None:
    run(progress_file=str(host.folder / "progress"))
    assert (host.folder / "progress").read_text() == "the client is starting\n"


def test_progress_in_words() -> None:
    place = _benchmark_run.Place.of("vllm", None)
    load = _benchmark_run.Load(
        place, ["vllm"], "http://h", "m", "", 60, warmup_requests=4, requests=8, output_tokens=128
    )
    progress = _benchmark_run.Progress(load)
    idle = {"running": 0, "waiting": 0, "requests": 10, "output_tokens": 1000}
    events: list[tuple[dict[str, Any], str]] = [
        ({"event": "started", "counters": idle, "client_version": "1"}, "the client is starting"),
        ({"event": "progress", "counters": idle}, "the client is starting"),
        ({"event": "progress", "counters": {**idle, "running": 4}}, "warm-up, 0 of 4 requests done"),
        ({"event": "progress", "counters": {**idle, "requests": 12}}, "warm-up, 2 of 4 requests done"),
        ({"event": "measuring", "seconds": 5.0, "counters": {**idle, "requests": 14, "output_tokens": 1064}}, ""),
        (
            {"event": "progress", "seconds": 7.0, "counters": {**idle, "requests": 14, "output_tokens": 1064}},
            "0 of 8 requests done",
        ),
        (
            {"event": "progress", "seconds": 9.0, "counters": {**idle, "requests": 16, "output_tokens": 1104}},
            "2 of 8 requests done, 10 tok/s, about 9 s left",
        ),
    ]
    for event, words in events:
        assert progress.line(event) == words or event["event"] == "measuring"


def test_the_name_of_a_result_is_its_time(run: Any) -> None:
    path = Path(run()["result_path"])
    written = datetime.strptime(path.name, "%Y%m%dT%H%M%SZ-smoke.json").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - written).total_seconds()) < 30
