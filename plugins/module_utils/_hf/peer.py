# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another node of the cluster that serves its cache over plain HTTP, even while it is still filling it.

It serves two folders of its cache: C(hub), and ours with C(offer.json), which announces what it will have. The peer is
not trusted: content must match its hash, and the list of a commit's files, which holds these hashes, must match a hash
that the caller got from a trusted source.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable

from .._core.files import read_text, replace_text
from .._core.http import request
from .cache import RepoCache, RepoFile, own_folder

_TIMEOUT_S = 10.0
_LOOK_INTERVAL_S = 1.0
# A node that is working answers at once.
_HELLO_S = 30.0
FETCHING, READY, FAILED = "fetching", "ready", "failed"


class Offer:
    """The file that tells other nodes what this node has or will have."""

    def __init__(self, cache_home: str, commits: Iterable[str]) -> None:
        self._path = os.path.join(own_folder(cache_home), "offer.json")
        self._commits = sorted(commits)

    def tell(self, state: str, count: int) -> None:
        """Write the offer if it has changed. C(count), the bytes on disk, is a sign of life."""
        text = json.dumps({"commits": self._commits, "state": state, "bytes": count})
        if read_text(self._path) != text:
            replace_text(self._path, text)


class Peer:
    """The cache of another node."""

    def __init__(self, url: str, patience_s: float) -> None:
        self._url = url.rstrip("/")
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._looked_at = 0.0
        self._offer: object = None
        self._news_at = time.monotonic()

    def blob_url(self, cache: RepoCache, file: RepoFile) -> str:
        return f"{self._url}/hub/{cache.folder}/blobs/{file.blob}"

    def tree(self, cache: RepoCache, commit: str) -> object:
        """Wait for the peer's record of a commit's files; return None if the peer will not have it.

        The caller must verify the record.
        """
        last = False
        while True:
            tree = self._get(f"hub/{cache.folder}/trees/{commit}.json")
            if tree is not None or last:
                return tree
            last = not self.wait_for(commit)

    def wait_for(self, commit: str) -> bool:
        """Return whether the peer may still get the missing files, after waiting a second if so."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked_at >= _LOOK_INTERVAL_S:
                self._looked_at = now
                offer = self._get("hgx-inference/offer.json")
                if offer is not None and offer != self._offer:
                    self._offer, self._news_at = offer, now
            patience_s = self._patience_s if self._offer else min(self._patience_s, _HELLO_S)
            waiting = promises(self._offer, commit) and now - self._news_at < patience_s
        if waiting:
            time.sleep(_LOOK_INTERVAL_S)
        return waiting

    def _get(self, path: str) -> object:
        answer = request(f"{self._url}/{path}", _TIMEOUT_S)
        try:
            return json.loads(answer.body) if answer.status == 200 else None
        except ValueError:
            return None


def promises(offer: object, commit: str) -> bool:
    """Return whether a node with this offer may still get files of a commit that it lacks now.

    An offer of other commits is from an earlier run; the current run has not started yet.
    """
    if not isinstance(offer, dict) or commit not in offer.get("commits", []):
        return True
    return bool(offer.get("state") == FETCHING)
