# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts of a running server, and findings that hold as long as it runs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from .._core.files import ensure_folder, replace_text
from .._core.secrets import scrubbed
from .._programs.prometheus import samples
from .answers import FORM_ERRORS
from .client import Api, ApiError

_POSITION = re.compile(r'position="(\d+)"')

STARTED = "process_start_time_seconds"
GENERATED = "vllm:generation_tokens_total"
DRAFTS = "vllm:spec_decode_num_drafts_total"
ACCEPTED = "vllm:spec_decode_num_accepted_tokens_total"
ACCEPTED_AT = "vllm:spec_decode_num_accepted_tokens_per_pos_total"


def parse_metrics(text: str) -> dict[str, float]:
    """Return the samples of C(/metrics), summed over engines; a position follows the name, as in C(name:0)."""
    found: dict[str, float] = {}
    for sample, labels, value in samples(text):
        position = _POSITION.search(labels)
        name = f"{sample}:{position.group(1)}" if position else sample
        found[name] = found.get(name, 0.0) + value
    return found


def describe(api: Api) -> dict[str, Any]:
    """Return C(started_at), in seconds since 1970, and C(version); None if unknown."""
    return {"started_at": _started_at(api), "version": _version(api)}


def _started_at(api: Api) -> float | None:
    try:
        return parse_metrics(api.get("/metrics")).get(STARTED)
    except ApiError:
        return None


def _version(api: Api) -> str | None:
    try:
        return str(json.loads(api.get("/version"))["version"])
    except (ApiError, *FORM_ERRORS):
        return None


def fingerprint(started_at: float | None, question: Mapping[str, Any]) -> str:
    """Return a hash of the question and the start of the server, or an empty text if the start is unknown."""
    if started_at is None:
        return ""
    return hashlib.sha256(json.dumps([started_at, question], sort_keys=True).encode()).hexdigest()


def recall(api: Api, path: str | None, wanted: str, max_age_s: int) -> dict[str, Any] | None:
    """Return the findings in C(path) if they have the fingerprint C(wanted) and are not too old.

    The server must still accept the key, which a gateway may have revoked while the server ran on.
    """
    if not path or not wanted:
        return None
    try:
        api.get("/v1/models")
        with open(path, encoding="utf-8") as stream:
            kept = json.load(stream)
        fresh = kept["fingerprint"] == wanted and 0 <= time.time() - kept["found_at"] <= max_age_s
        return dict(kept["findings"]) if fresh else None
    except (ApiError, OSError, *FORM_ERRORS):
        return None


def keep(path: str | None, found: str, findings: Mapping[str, Any]) -> None:
    """Write C(findings) for C(recall), atomically. Raises OSError."""
    if not path or not found:
        return
    ensure_folder(os.path.dirname(path))
    kept = {"fingerprint": found, "found_at": time.time(), "findings": scrubbed(findings)}
    replace_text(path, json.dumps(kept), mode=0o600)
