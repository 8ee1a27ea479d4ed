# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask a Hugging Face hub for the commit of a revision and for its files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from .cache import COMMIT, CacheError
from .errors import explain, is_final
from .worker import prepare_library

_ANSWER_TIMEOUT_S = 30.0

_T = TypeVar("_T")


class HubError(Exception):
    """The snapshot cannot be fetched; the message gives cause and remedy."""


class Hub:
    """One endpoint. Raises HubError, and ImportError if huggingface_hub is missing."""

    def __init__(self, cache_home: str, endpoint: str, token: str | None, retry_waits_s: Sequence[float]) -> None:
        self._cache_home = cache_home
        self._endpoint = endpoint
        self._token = token
        self._retry_waits_s = retry_waits_s

    def resolve(self, repo: str, revision: str) -> str:
        """Return the commit of a branch or tag."""
        info = self._ask(repo, revision, lambda api: api.model_info(repo, revision=revision, timeout=_ANSWER_TIMEOUT_S))
        commit = str(info.sha)
        if not COMMIT.fullmatch(commit):
            raise HubError(f"{repo}: {self._endpoint} names no commit. Is it a Hugging Face hub?")
        return commit

    def tree(self, repo: str, commit: str) -> dict[str, Any]:
        """Return the files of a commit in the format of the cache's record."""

        def listed(api: Any) -> dict[str, Any]:
            return {entry.path: entry for page in self._pages(api, repo, commit) for entry in page}

        files: dict[str, Any] = {}
        for path, entry in self._ask(repo, commit, listed).items():
            if hasattr(entry, "blob_id"):  # a folder has none
                files[path] = {"size": entry.size, "blob_id": entry.blob_id}
                if entry.lfs:
                    files[path].update(lfs_sha256=entry.lfs.sha256, lfs_size=entry.lfs.size)
                if entry.xet_hash:
                    files[path]["xet_hash"] = entry.xet_hash
        return {"format_version": 1, "files": files}

    def _pages(self, api: Any, repo: str, commit: str) -> Iterator[list[Any]]:
        """Yield the pages of the list of files, as C(list_repo_tree) does; each must bring something new."""
        from huggingface_hub.hf_api import RepoFile, RepoFolder
        from huggingface_hub.utils import hf_raise_for_status, http_backoff

        url: str | None = (
            f"{self._endpoint}/api/models/{repo}/tree/{quote(commit, safe='')}?recursive=true&expand=false"
        )
        headers = api._build_hf_headers()
        seen: set[str] = set()
        while url:
            # Elsewhere than at the endpoint the token is nobody's business.
            own = urlsplit(url)[:2] == urlsplit(self._endpoint)[:2]
            sent = headers if own else {name: headers[name] for name in headers if name.lower() != "authorization"}
            response = http_backoff("GET", url, headers=sent, timeout=_ANSWER_TIMEOUT_S)
            hf_raise_for_status(response)
            page = [(RepoFile if entry["type"] == "file" else RepoFolder)(**entry) for entry in response.json()]
            following = response.links.get("next", {}).get("url")
            new = {entry.path for entry in page} - seen
            if following and not new:
                raise HubError(f"{repo}: {self._endpoint} lists the files of {commit} in pages that never end.")
            seen |= new
            yield page
            url = following and str(response.url.join(following))

    def _ask(self, repo: str, revision: str, question: Callable[[Any], _T]) -> _T:
        prepare_library(self._cache_home, self._endpoint)
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self._endpoint, token=self._token)
        with self._explained(repo, revision):
            for wait_s in self._retry_waits_s:
                try:
                    return question(api)
                except Exception as exc:
                    if isinstance(exc, HubError) or is_final(exc, self._endpoint):
                        raise
                    time.sleep(wait_s)
            return question(api)

    @contextmanager
    def _explained(self, repo: str, revision: str) -> Iterator[None]:
        """Turn any exception of the library into a HubError with cause and remedy."""
        from huggingface_hub import get_token

        try:
            yield
        except (HubError, CacheError):
            raise
        except Exception as exc:
            has_token = bool(self._token or get_token())
            reason = explain(exc, repo, revision, self._endpoint, has_token, self._cache_home)
            raise HubError(f"{repo}: {reason}") from exc
