# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The results folder on the controller.

C(HOST/RUN.json) are results, C(HOST/RUN/report.*) their reports, and C(index.html) compares them. C(usage.html) has the
use of each person.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...module_utils._core.files import replace_text
from ...module_utils._core.secrets import scrubbed
from . import history, render, usage
from .document import build

# The name used for a run without a result.
UNMEASURED = "unmeasured"
INDEX = "index.html"
OPERATION = "operation.html"
USAGE = "usage.html"
# What reading a result of another form than expected may raise.
_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_REPORT = ("report.html", "report.md", "report.json")


class ReportError(Exception):
    """A result that cannot be read, or a report that cannot be written."""


class Folder:
    """Reads results and writes reports; with C(dry) it only determines what it would write."""

    def __init__(self, path: Path, dry: bool) -> None:
        self._path = path
        self._dry = dry
        self.changed = False
        self.problems: list[str] = []

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the folder: several hosts finish at the same time, and each writes the page of all runs."""
        if self._dry and not self._path.is_dir():
            yield
            return
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_RDONLY)
        except OSError as exc:
            raise ReportError(f"{self._path} is not a writable folder: {exc.strerror}.") from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def report(self, host: str, result: Path | None, parts: Mapping[str, Any], outcome: Mapping[str, Any]) -> Path:
        """Write the report of one run of one host and return the page's path."""
        record = _read(result) if result else None
        stem = result.stem if result else UNMEASURED
        if record is not None and history.is_sweep(record):
            return self._write_sweep(host, stem, record)
        earlier = self._document(host, stem) if record else None
        if record:
            self._forget(host, UNMEASURED)
        try:
            return self._write_report(host, stem, {**_kept(earlier, parts), "result": record}, outcome)
        except _MALFORMED as exc:
            raise ReportError(f"{result or self._path / host} is damaged: {exc!r}.") from exc

    def add_gateway(self, host: str, gateway: str, cost: Mapping[str, Any]) -> Path | None:
        """Add what a gateway costs to the newest report of a host. Return its page, or None without a result."""
        results = [(stem, record) for each, stem, record in self._results() if each == host]
        for stem, record in reversed(results):
            if not history.is_sweep(record):
                document = {"result": record, **(self._document(host, stem) or {})}
                gateways = {**(document.get("gateways") or {}), gateway: cost}
                return self._write_report(host, stem, {**document, "gateways": gateways}, {})
        return None

    def remake(self) -> list[Path]:
        """Write the reports of all results again and return the pages' paths."""
        written = []
        for host, stem, record in self._results():
            if history.is_sweep(record):
                written.append(self._write_sweep(host, stem, record))
            else:
                earlier = self._document(host, stem) or {}
                with self._left_out(host, stem):
                    written.append(self._write_report(host, stem, {"result": record, **earlier}, {}))
        for host in self._hosts():
            if unmeasured := self._document(host, UNMEASURED):
                written.append(self._write_report(host, UNMEASURED, unmeasured, {"msg": unmeasured.get("problem")}))
        data = self._path / "usage.json"
        if data.exists():
            try:
                written.append(self.usage(json.loads(data.read_text(encoding="utf-8"))))
            except (OSError, *_MALFORMED):
                self.problems.append(f"{data} is damaged and left out.")
        return written

    def index(self) -> Path:
        """Write the page that compares all runs and return its path."""
        entries, sweeps = [], []
        for host, stem, record in self._results():
            page = self._page(host, stem)
            if history.is_sweep(record):
                sweeps.append((host, stem, page))
                continue
            with self._left_out(host, stem):
                document = self._document(host, stem) or build(host, {"result": record}, {})
                entry = history.Entry(host, stem, document, page)
                history.groups([entry])
                entries.append(entry)
        unmeasured = [
            (host, self._page(host, UNMEASURED), str(found.get("problem") or "The benchmark did not run."))
            for host in self._hosts()
            if (found := self._document(host, UNMEASURED))
        ]
        text = render.page(
            "index.html.j2",
            groups=history.groups(entries),
            sweeps=sweeps,
            unmeasured=unmeasured,
            usage=(self._path / USAGE).exists(),
            operations=[host for host in self._hosts() if (self._path / host / OPERATION).exists()],
            runs=len(entries),
            hosts=len({entry.host for entry in entries}),
        )
        return self._write(self._path / INDEX, text)

    def operation(self, host: str, text: str) -> Path:
        """Write the page about the operation of what a host watches, and return its path."""
        return self._write(self._path / host / OPERATION, text)

    def usage(self, found: Mapping[str, Any]) -> Path:
        """Write the page about the use of each person, and return its path."""
        hidden: dict[str, Any] = scrubbed(found)
        text = usage.page(hidden, INDEX)
        self._write(self._path / "usage.json", json.dumps(hidden, separators=(",", ":")) + "\n")
        return self._write(self._path / USAGE, text)

    @contextlib.contextmanager
    def _left_out(self, host: str, stem: str) -> Iterator[None]:
        """Leave out a result that is damaged, and say so."""
        try:
            yield
        except _MALFORMED:
            problem = f"{self._path / host / stem}.json is damaged and left out."
            if problem not in self.problems:
                self.problems.append(problem)

    def _hosts(self) -> list[str]:
        return sorted(path.name for path in self._path.iterdir() if path.is_dir()) if self._path.is_dir() else []

    def _results(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for host in self._hosts():
            for path in sorted((self._path / host).glob("*.json")):
                try:
                    record = _read(path)
                except ReportError as exc:
                    if str(exc) not in self.problems:
                        self.problems.append(str(exc))
                else:
                    yield host, path.stem, record

    def _document(self, host: str, stem: str) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            document: dict[str, Any] = json.loads(
                (self._path / host / stem / "report.json").read_text(encoding="utf-8")
            )
            return document if document["host"] == host else None
        return None

    def _page(self, host: str, stem: str) -> str:
        return f"{host}/{stem}/report.html" if (self._path / host / stem / "report.html").exists() else ""

    def _write_report(self, host: str, stem: str, parts: Mapping[str, Any], outcome: Mapping[str, Any]) -> Path:
        document = build(host, parts, outcome)
        folder = self._path / host / stem
        self._write(folder / "report.json", json.dumps(document, separators=(",", ":")) + "\n")
        self._write(folder / "report.md", render.markdown(document))
        return self._write(folder / "report.html", render.html(document, f"../../{INDEX}"))

    def _write_sweep(self, host: str, stem: str, record: Mapping[str, Any]) -> Path:
        sweep = scrubbed(record)
        metrics, rows = history.sweep_rows(sweep)
        text = render.page(
            "sweep.html.j2",
            host=host,
            stem=stem,
            sweep=sweep,
            metrics=metrics,
            rows=rows,
            fronts=history.fronts(sweep),
            index=f"../../{INDEX}",
        )
        return self._write(self._path / host / stem / "report.html", text)

    def _write(self, path: Path, text: str) -> Path:
        with contextlib.suppress(OSError, ValueError):
            if path.read_text(encoding="utf-8") == text:
                return path
        self.changed = True
        if not self._dry:
            try:
                replace_text(str(path), text)
            except OSError as exc:
                raise ReportError(f"{path} cannot be written: {exc.strerror}.") from exc
        return path

    def _forget(self, host: str, stem: str) -> None:
        """Remove a report that is out of date."""
        folder = self._path / host / stem
        if folder.is_dir():
            self.changed = True
            if not self._dry:
                for name in _REPORT:
                    (folder / name).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ReportError(f"The result {path} cannot be read: {exc.strerror}.") from exc
    except ValueError as exc:
        raise ReportError(f"{path} is not JSON: {exc}.") from exc
    if isinstance(record, dict):
        if history.is_sweep(record):
            return record
        kinds = {"verdict": str, "metrics": dict, "finished_at": str}
        if all(isinstance(record.get(name), kind) for name, kind in kinds.items()):
            return record
    raise ReportError(f"{path} is not a benchmark result: it lacks verdict, metrics or finished_at.")


def _kept(earlier: Mapping[str, Any] | None, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return C(parts), completed with those of an earlier report of the same result.

    Functional checks with unchanged outcomes are kept, so that their durations alone do not change a page.
    """
    kept = {name: part or (earlier or {}).get(name) for name, part in parts.items()}
    before = (earlier or {}).get("functional")
    if before and _statuses(before) == _statuses(kept.get("functional") or {}):
        kept["functional"] = before
    return kept


def _statuses(functional: Mapping[str, Any]) -> dict[str, str]:
    return {str(check.get("name")): str(check.get("status")) for check in functional.get("checks") or []}
