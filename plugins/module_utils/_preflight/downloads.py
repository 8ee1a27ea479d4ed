# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask where the deployment will download from, before it does. Read-only."""

from __future__ import annotations

import glob
import importlib.util
import json
import os
import re
import shutil
import ssl
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .._core.process import run
from .._core.units import human_bytes
from .._docker.registry import API_PATH, Answer
from .._nvidia.packages import version_key

URL_TIMEOUT_S = 5.0
# For all questions together, because a request's time limit does not cover name resolution.
ALL_TIMEOUT_S = 8.0
_MOST_BYTES = 16 * 2**20
# Python of the serving images, for which a package may have files that this host's own Python cannot use.
_IMAGES_PYTHON = "3.12"
# Debian keeps pip for new environments in a file.
_PIP_FILES = "/usr/share/python-wheels/pip-*.whl"
_NEAREST_VERSIONS = 3
SILENT_PIP = "pip did not answer in time"

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def ask_all(questions: Mapping[_Key, Callable[[], _Value]], silence: _Value) -> dict[_Key, _Value]:
    """Return the answer to each question, or C(silence) for each that has none after ALL_TIMEOUT_S."""
    found: dict[_Key, _Value] = {}

    def ask(key: _Key) -> None:
        found[key] = questions[key]()

    # Daemon threads, because a look-up at a dead name server cannot be stopped, and the module must not wait for it.
    threads = [threading.Thread(target=ask, args=(key,), daemon=True) for key in questions]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + ALL_TIMEOUT_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return {key: found.get(key, silence) for key in questions}


def unreachable(url: str) -> str | None:
    """Return why nothing answers at C(url), or None. A refusal such as 401 or 404 is an answer, a 5xx is not.

    A registry with an untrusted certificate counts as reachable, since the engine's settings decide on trust.
    """
    try:
        request = urllib.request.Request(url, method="HEAD")
        # A new opener uses the proxies of the environment, as the download will.
        with urllib.request.build_opener().open(request, timeout=URL_TIMEOUT_S):
            return None
    except urllib.error.HTTPError as exc:
        return f"status {exc.code}" if exc.code >= 500 else None
    except urllib.error.URLError as exc:
        if isinstance(exc.reason, ssl.SSLError) and url.endswith(API_PATH):
            return None
        return str(exc.reason)
    except (OSError, ValueError) as exc:
        return str(exc)


def find_model(hub: str, repo: str, revision: str, token: str) -> Answer:
    """Return whether a hub has a revision of a model; the detail of a present one is its commit and size."""
    url = f"{hub.rstrip('/')}/api/models/{repo}/revision/{urllib.parse.quote(revision, safe='')}?blobs=true"
    request = urllib.request.Request(url)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener().open(request, timeout=URL_TIMEOUT_S) as response:
            info = json.loads(response.read(_MOST_BYTES))
            sizes = [file.get("size") for file in info.get("siblings") or ()]
            size = sum(sizes) if sizes and all(isinstance(each, int) for each in sizes) else None
            words = f", {human_bytes(size)}" if size is not None else ""
            return Answer("present", f"commit {str(info['sha'])[:8]}{words}", size)
    except urllib.error.HTTPError as exc:
        if exc.code in (401, 403):
            return Answer("denied", f"status {exc.code}")
        if exc.code == 404:
            missing = exc.headers.get("X-Error-Code") == "RevisionNotFound"
            return Answer("absent", f"it has no revision {revision}" if missing else "status 404")
        return Answer("limited" if exc.code == 429 else "unknown", f"status {exc.code}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        return Answer("unknown", str(getattr(exc, "reason", exc)))


def pip_command() -> list[str]:
    """Return the words that run pip on this host, or nothing if it has none."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    program = shutil.which("pip3")
    if program:
        return [program]
    files = sorted(glob.glob(_PIP_FILES))
    return [sys.executable, f"{files[-1]}/pip"] if files else []


def find_package(pin: str, pip: list[str]) -> Answer:
    """Return whether the index that pip asks by default has a package such as V(name==1.2) in a file that can be used.

    pip asks, as it will while the image is built: without the settings of this host and its user. It only looks at
    wheels and at the list of versions, because a look into a source package would run its code.
    """
    if not pip:
        return Answer("unknown", "there is no pip on this host that could ask")
    name, _equals, version = pin.partition("==")
    common = [
        "--isolated",
        "--no-input",
        "--no-cache-dir",
        "-vv",
        "--retries",
        "0",
        "--timeout",
        f"{URL_TIMEOUT_S:.0f}",
    ]
    install = ["install", "--dry-run", "--no-deps", "--ignore-installed", "--only-binary", ":all:"]
    with tempfile.TemporaryDirectory() as folder:  # pip may be killed, and leaves its files then
        start = ["env", f"PIP_CONFIG_FILE={os.devnull}", f"TMPDIR={folder}", *pip]

        def ask(words: list[str]) -> Answer:
            done = run([*start, *words, *common], ALL_TIMEOUT_S - 1)
            return _package_answer(done.rc, done.output, version if words[0] == "index" else "")

        questions = (
            [*install, pin],
            [*install, "--python-version", _IMAGES_PYTHON, "--target", folder, pin],
            ["index", "versions", name.partition("[")[0]],
        )
        with ThreadPoolExecutor(len(questions)) as pool:
            answers = {answer.state: answer for answer in pool.map(ask, questions)}
    return answers.get("present") or answers.get("unknown") or answers["absent"]


def _package_answer(rc: int | None, output: str, version: str) -> Answer:
    """Return what pip says; C(version) is the one that is to be in its list of versions."""
    listed = re.search(r"^Available versions: (.*)|\(from versions: (.*)\)", output, re.MULTILINE)
    versions = [each for each in (listed[1] or listed[2]).split(", ") if each != "none"] if listed else []
    if rc == 0 and (not version or version in versions):
        return Answer("present", "")
    if rc != 0 and "No matching distribution found" not in output:
        last = [line for line in output.splitlines() if line.startswith("ERROR:")][-1:]
        return Answer("unknown", last[0] if last else SILENT_PIP)
    silent = [why for why in re.findall(r"Could not fetch URL \S+ (.*) - skipping", output) if " 404 " not in f" {why}"]
    if silent:
        return Answer("unknown", silent[0])
    newest = sorted(versions, key=version_key)[-_NEAREST_VERSIONS:]
    return Answer("absent", f"its newest are {', '.join(newest)}" if newest else "no version of it is")
