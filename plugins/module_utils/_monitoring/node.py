# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What plays know of a node, as metrics: its price and its end, its driver and fabric, and its last verification."""

from __future__ import annotations

import math
import re
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .._core.timestamp import epoch
from .._nvidia.fabric import judge_fabric
from .._nvidia.smi import SLOWDOWNS
from .._programs.exposition import Family

_MEMORY = ("volatile_uncorrected", "remapped_rows_pending", "remapped_rows_failed")


def node_families(
    node: Mapping[str, Any], gpus: Mapping[str, Any], expiries: Iterable[Mapping[str, Any]]
) -> list[Family]:
    """Return the metrics of a node.

    C(node) has C(price_usd_per_hour), C(launched_at), C(expires_at) and C(gpus_expected), C(gpus) is the result of the
    module nvidia_gpu_info, and C(expiries) have C(kind), C(name) and C(at). What is missing or empty is unknown.
    """
    found = [
        Family(
            "hgx_node_price_usd_per_hour", "What the node costs.", [({}, _positive(node.get("price_usd_per_hour")))]
        ),
        Family(
            "hgx_node_launched_timestamp_seconds", "When the node was launched.", [({}, _at(node.get("launched_at")))]
        ),
        Family(
            "hgx_node_expiry_timestamp_seconds", "When the node is to be released.", [({}, _at(node.get("expires_at")))]
        ),
        Family("hgx_node_gpus_expected", "GPUs that the recipe needs.", [({}, _positive(node.get("gpus_expected")))]),
        Family(
            "hgx_expiry_timestamp_seconds",
            "When a certificate or a key ends.",
            [({"kind": str(each["kind"]), "name": str(each["name"])}, _at(each["at"])) for each in expiries],
        ),
    ]
    return [*found, *_gpu_families(gpus)]


def certificate_end(output: str) -> str:
    """Return the time in C(notAfter=Nov 30 16:00:00 2027 GMT), as openssl prints it; empty if there is none."""
    found = re.search(r"^notAfter=(.*)$", output, re.MULTILINE)
    try:
        at = ssl.cert_time_to_seconds(found[1].strip()) if found else None
    except ValueError:
        at = None
    return "" if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def verification_families(server: str, verification: Mapping[str, Any]) -> list[Family]:
    """Return the metrics of the last verification of a server, whether it passed or not.

    C(verification) has C(verdict), C(finished_at) and C(acceptance_length), the one on real text.
    """
    own = {"server": server}
    verdict = str(verification.get("verdict") or "")
    return [
        Family(
            "hgx_verification_verdict",
            "1 for the verdict of the last verification.",
            [({**own, "verdict": verdict}, 1 if verdict else None)],
        ),
        Family(
            "hgx_verification_timestamp_seconds",
            "When the last verification has ended.",
            [(own, _at(verification.get("finished_at")))],
        ),
        Family(
            "hgx_proof_text_acceptance_length",
            "Tokens per step on real text, in the last verification.",
            [(own, _positive(verification.get("acceptance_length")))],
        ),
    ]


def _gpu_families(info: Mapping[str, Any]) -> Iterable[Family]:
    if not info.get("gpus") and not info.get("problem"):
        return
    driver = {"driver": str(info.get("driver_version") or ""), "cuda": str(info.get("cuda_version") or "")}
    yield Family("hgx_driver_info", "The driver.", [(driver, 1 if driver["driver"] else None)])
    fabric = judge_fabric(info).state
    yield Family("hgx_fabric_state", "1 for the state of the NVLink fabric.", [({"state": fabric}, 1)])
    gpus = info.get("gpus") or []
    judged = {
        "answers": not info.get("problem") and not any(gpu["faults"] for gpu in gpus),
        "memory": _all([_has_good_memory(gpu["ecc"]) for gpu in gpus]),
        "fabric": fabric == "complete",
        "clocks": _all([_has_full_clocks(gpu["clocks"]["event_reasons"]) for gpu in gpus]),
    }
    yield Family(
        "hgx_node_health",
        "1 if a part of the hardware was in order when a play last looked.",
        [({"part": part}, None if good is None else float(good)) for part, good in judged.items()],
    )


def _all(known: Sequence[bool | None]) -> bool | None:
    """Return whether all is good, or None if that is unknown."""
    return False if False in known else None if None in known or not known else True


def _has_good_memory(ecc: Mapping[str, Any]) -> bool | None:
    return _all([None if ecc[name] is None else not ecc[name] for name in _MEMORY])


def _has_full_clocks(reasons: Sequence[str] | None) -> bool | None:
    return None if reasons is None else not set(reasons) & set(SLOWDOWNS)


def _at(value: Any) -> float | None:
    return epoch(str(value)) if value else None


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < math.inf else None
