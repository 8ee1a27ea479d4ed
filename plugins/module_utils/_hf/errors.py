# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Causes and remedies of errors at a Hugging Face hub or on the way to it."""

from __future__ import annotations

import errno
import json
import os
import re
from urllib.parse import urlsplit

from .._core.files import free_bytes
from .._core.units import human_bytes

_KEPT = "Fetched data is kept; run again to resume."


def explain(error: BaseException, repo: str, revision: str, endpoint: str, has_token: bool, cache: str) -> str:
    """Return cause and remedy of an exception that huggingface_hub raised. C(cache) is the folder it wrote to."""
    import httpx2
    from huggingface_hub import errors

    error = _root(error)
    page = f"{endpoint}/{repo}"
    if isinstance(error, errors.GatedRepoError):
        who = "the account of the token" if has_token else "an account, and give its token"
        return f"access is restricted. Accept the licence or ask for access at {page} with {who}; then run again."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{endpoint} has no revision {revision} of it. Its branches, tags and commits: {page}/commits/main."
    if isinstance(error, errors.HfHubHTTPError):
        status, host = error.response.status_code, answered_elsewhere(error, endpoint)
        if host:
            return (
                f"{host} answered with status {status}. {endpoint} sends downloads there, and gave several new "
                f"addresses that were refused, too. Check the way to {host}, such as a proxy or firewall, or try "
                f"later. {_KEPT}"
            )
        return explain_status(status, endpoint, page, has_token)
    if isinstance(error, httpx2.TooManyRedirects):
        return f"{endpoint} redirects in a circle. Check the endpoint, and for a proxy or a sign-in page on the way."
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError, LookupError, TypeError, AttributeError)):
        return (
            f"{endpoint} answers what no Hugging Face hub answers ({type(error).__name__}). Check the endpoint, and "
            f"for a proxy or a sign-in page on the way. {_KEPT}"
        )
    if isinstance(error, (httpx2.TransportError, httpx2.InvalidURL)):
        return (
            f"{endpoint} cannot be reached ({type(error).__name__}: {error}). "
            f"Check the endpoint, and this host's network, name resolution and proxy. {_KEPT}"
        )
    return explain_os_error(error, cache)


def explain_os_error(error: BaseException, cache: str) -> str:
    """Return cause and remedy of an error of this machine. C(cache) is the folder that was written to."""
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return (
            f"{error.filename or cache} is on a read-only file system. Mount it for writing, or choose another cache."
        )
    if isinstance(error, PermissionError):
        return (
            f"user id {os.geteuid()} may not write {error.filename or cache}. "
            "Run as the owner of the cache, or give the cache to this user."
        )
    if is_full(error):
        return f"the disk is full ({error}); {human_bytes(free_bytes(cache))} are free at {cache}. {_KEPT}"
    return f"{type(error).__name__}: {error}. {_KEPT}"


def is_full(error: BaseException) -> bool:
    """Return whether the disk is full. Xet gives the reason as text only."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "os error 28" in str(error) or "os error 122" in str(error)


def is_final(error: BaseException, endpoint: str) -> bool:
    """Return whether a retry would meet the same error.

    Only the hub itself can refuse for good. A host that it sends downloads to has refused one address, which may have
    expired; the next request gets a new one.
    """
    import httpx2

    error = _root(error)
    status = status_of(error)
    if status is not None:
        if answered_elsewhere(error, endpoint):
            return False
        return 400 <= status < 500 and status not in (408, 425, 429)
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return True
    return isinstance(error, (PermissionError, httpx2.InvalidURL, httpx2.UnsupportedProtocol))


def answered_elsewhere(error: BaseException, endpoint: str) -> str:
    """Return the host that answered if the hub had sent the request on to its content network, else an empty text.

    An address below the hub's own C(/api) or C(.../resolve/) is the hub's, also after a redirect, as for a renamed
    repository.
    """
    from huggingface_hub import errors

    if not isinstance(error, errors.HfHubHTTPError) or not error.response.history:
        return ""
    url, own = urlsplit(str(error.response.url)), urlsplit(endpoint)
    is_hub = url.netloc == own.netloc and re.match(rf"{re.escape(own.path)}/(api/|.*/resolve/)", url.path)
    return "" if is_hub else url.netloc.rpartition("@")[2]


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of the refusal, or None."""
    from huggingface_hub import errors

    return error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None


def _root(error: BaseException) -> BaseException:
    """Return the real cause of a failed download, which the library hides behind "not found in the local cache"."""
    from huggingface_hub import errors

    while isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__:
        error = error.__cause__
    return error


def explain_status(status: int, endpoint: str, page: str, has_token: bool) -> str:
    """Return cause and remedy of an HTTP status without a more specific reason."""
    if status == 401:
        if has_token:
            return f"{endpoint} refuses the token (401): it is wrong or has expired, or there is no such name: {page}."
        return f"{endpoint} shows it only with a token, or has no such name (401). Check {page}, or give a token."
    if status == 403:
        return f"the token may not read it (403). Give the token read access, or accept the licence at {page}."
    if status == 404:
        hidden = "" if has_token else ", and give a token if it is private"
        return f"{endpoint} has no such repository, or lacks a file of it (404). Check {page}{hidden}."
    if status == 429:
        return f"{endpoint} asks for fewer requests (429). Wait some minutes, or give a token. {_KEPT}"
    return f"{endpoint} answered with status {status}. {_KEPT}"
