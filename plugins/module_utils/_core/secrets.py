# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take secrets out of text that is shown: log excerpts, answers of servers."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "********"
_NAME = r"[A-Za-z_-]*(?:api[_-]?keys?|token|secret|password|passwd|authorization)"
# Each keeps its group "keep" and loses the rest.
_PATTERNS = (
    # A name that tells, and its value: api_key='x', "token": ["x"], API_KEY=x, --api-key x
    re.compile(rf"(?P<keep>\b{_NAME}['\"]?\s*[=:]\s*['\"])[^'\"]+", re.IGNORECASE),
    re.compile(rf"(?P<keep>\b{_NAME}['\"]?\s*[=:]\s*\[)[^\]]+", re.IGNORECASE),
    re.compile(rf"(?P<keep>\b{_NAME}=)(?!None\b)[^\s'\",;&)\[\]]+", re.IGNORECASE),
    re.compile(rf"(?P<keep>--{_NAME}[ =])(?!\[)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bAuthorization['\"]?\s*[=:]\s*['\"]?\w+\s+)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bBearer\s+)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE),
    re.compile(r"(?P<keep>\bx-api-key['\"]?\s*:\s*['\"]?)[^\s'\"]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bhf_)[A-Za-z0-9]{8,}"),
    re.compile(r"(?P<keep>\bsk-)[A-Za-z0-9_-]{8,}"),
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^\s/:@]+:[^\s/@]+(?=@)", re.IGNORECASE),
)


def scrub(text: str, secrets: Iterable[str | None] = ()) -> str:
    """Return C(text) without the given secrets and without whatever looks like one."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: match["keep"] + MASK, text)
    return text
