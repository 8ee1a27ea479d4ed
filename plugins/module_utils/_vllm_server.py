# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait until a vLLM server in a container has answered a completion, or say why it cannot."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any, NamedTuple

from . import _vllm_log
from ._docker_cli import inspect_container, run_docker
from ._progress import ProgressFile

POLL_INTERVAL_S = 1.0
LOG_LINES = 2000
# A first completion compiles kernels, so it may take minutes; a server that does not answer it in this time hangs.
COMPLETION_TIMEOUT_S = 600.0


class NotReady(Exception):
    """The server will not become ready, or did not in time."""


class Server(NamedTuple):
    """Where a server runs and how it is asked."""

    container: str
    base_url: str
    served_model_name: str
    api_key: str | None


class HttpAnswer(NamedTuple):
    """Status 0 means that nobody answered."""

    status: int
    body: str


def wait_until_ready(server: Server, timeout_s: float, progress: ProgressFile) -> dict[str, Any]:
    """Return C({"seconds": float, "completion": str}) once the server has answered a chat completion.

    C(/health) alone is no proof: some servers become healthy and fail the first request.

    Raises NotReady with the cause once the container has ended or refused the completion, or after C(timeout_s).
    """
    started = time.monotonic()
    shown = ""
    while True:
        _require_running(server)
        elapsed_s = time.monotonic() - started
        if _request(server, "/health", timeout_s=5).status == 200:
            progress.report(f"{elapsed_s:.0f} s, waiting for the first completion", force=True)
            completion = _complete(server)
            return {"seconds": round(time.monotonic() - started, 1), "completion": completion}
        words = _vllm_log.phase(_log(server.container, tail=200))
        if elapsed_s > timeout_s:
            raise NotReady(_timeout_message(server, timeout_s, words))
        progress.report(f"{elapsed_s:.0f} s, {words}", force=words != shown)
        shown = words
        time.sleep(POLL_INTERVAL_S)


def _require_running(server: Server) -> None:
    details = inspect_container(server.container)
    if details is None:
        raise NotReady(f"There is no container {server.container}.")
    state: dict[str, Any] = details["State"]
    if not state["Running"]:
        raise NotReady(_exit_message(server.container, state))


def _exit_message(container: str, state: dict[str, Any]) -> str:
    # A killed server leaves no error line, and Docker does not always know that it was the lack of memory.
    killed = state.get("OOMKilled") or state["ExitCode"] == 137
    lines = _vllm_log.cause(_log(container), limit=3 if killed else 15)
    if state.get("Error"):
        lines.append(state["Error"])
    quoted = "\n".join(f"  {line}" for line in lines) or "  (the log is empty)"
    reason = " It was killed: mostly by the kernel for lack of memory, see 'dmesg | grep -i oom', or by a person."
    return (
        f"The server's container {container} is not running (state {state['Status']}, exit code {state['ExitCode']})."
        f"{reason if killed else ''} Its log says:\n{quoted}\n"
        f"The whole log: docker logs {container}"
    )


def _timeout_message(server: Server, timeout_s: float, words: str) -> str:
    last = "\n".join(f"  {line}" for line in _log(server.container, tail=10))
    return (
        f"The server in {server.container} is not ready after {timeout_s:.0f} s; it is {words}."
        f" Its newest lines:\n{last}\n"
        "If it is still making progress, run the play again: it goes on waiting and restarts nothing."
    )


def _complete(server: Server) -> str:
    body = {
        "model": server.served_model_name,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 16,
    }
    answer = _request(server, "/v1/chat/completions", COMPLETION_TIMEOUT_S, body)
    if answer.status == 200:
        choice = json.loads(answer.body)["choices"][0]["message"]
        return str(choice.get("content") or choice.get("reasoning") or choice.get("reasoning_content") or "")
    _wait_for_exit(server)
    raise NotReady(
        f"The server in {server.container} is healthy but does not answer a chat completion"
        f" as {server.served_model_name!r}: {_http_words(answer)}\nThe whole log: docker logs {server.container}"
    )


def _wait_for_exit(server: Server) -> None:
    """An engine that dies of a request takes its container down moments later, and then its log has the cause."""
    for _second in range(5):
        time.sleep(1)
        _require_running(server)


def _http_words(answer: HttpAnswer) -> str:
    if answer.status == 0:
        return f"no answer ({answer.body})."
    if answer.status == 401:
        return "HTTP 401. Another program is behind this address, or the server was started with another API key."
    return f"HTTP {answer.status}: {answer.body[:500]}"


def _request(server: Server, path: str, timeout_s: float, body: dict[str, Any] | None = None) -> HttpAnswer:
    request = urllib.request.Request(server.base_url + path)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
        if server.api_key:
            request.add_header("Authorization", f"Bearer {server.api_key}")
    # The server is on this host: a proxy of the environment must not be asked for it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_s) as response:
            return HttpAnswer(response.status, response.read().decode("utf-8", errors="replace"))
    except urllib.error.HTTPError as exc:
        return HttpAnswer(exc.code, exc.read().decode("utf-8", errors="replace"))
    except OSError as exc:
        return HttpAnswer(0, str(exc))


def _log(container: str, tail: int = LOG_LINES) -> list[str]:
    return run_docker(["logs", "--tail", str(tail), container], merge=True).stdout.splitlines()
