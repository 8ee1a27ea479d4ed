# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read apt's source lists, in both formats, and compare the repositories they name."""

from __future__ import annotations

import glob
import os
import platform
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# The host's architecture in Debian's spelling, which replaces $(ARCH) in a source.
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

_NO = ("no", "false", "without", "off", "disable", "0")
_OPTION = re.compile(r"\[(?P<options>[^\]]*)\]")


class Source(NamedTuple):
    """One entry of a list. C(signed_by) is a file, fingerprints, or the key itself; empty if the entry has none."""

    file: str
    types: list[str]
    uris: list[str]
    suites: list[str]
    components: list[str]
    signed_by: str
    enabled: bool


def read_sources(root: str = "/etc/apt") -> list[Source]:
    """Return the entries of all lists below C(root), in the order in which apt reads them."""
    parts = glob.glob(f"{root}/sources.list.d/*.list") + glob.glob(f"{root}/sources.list.d/*.sources")
    found: list[Source] = []
    for path in [f"{root}/sources.list", *sorted(parts)]:
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as stream:
                parse = parse_deb822 if path.endswith(".sources") else parse_one_line
                found.extend(parse(stream.read(), path))
    return found


def parse_one_line(text: str, file: str) -> list[Source]:
    """Return the entries of a list of lines C(deb [option=value] URI SUITE COMPONENT...)."""
    found = []
    for line in text.splitlines():
        kind, _space, rest = line.partition("#")[0].strip().partition(" ")
        if kind not in ("deb", "deb-src"):
            continue
        bracket = _OPTION.match(rest.strip())
        options = dict(word.partition("=")[::2] for word in bracket.group("options").split()) if bracket else {}
        words = (rest.strip()[bracket.end() :] if bracket else rest).split()
        if len(words) >= 2:
            signed_by = options.get("signed-by", "")
            found.append(Source(file, [kind], [words[0]], [words[1]], words[2:], signed_by, True))
    return found


def parse_deb822(text: str, file: str) -> list[Source]:
    """Return the entries of a list of stanzas."""
    found = []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n[ \t]*\n", "\n".join(lines)):
        fields = _fields(stanza)
        if fields.get("uris"):
            found.append(
                Source(
                    file,
                    fields.get("types", "deb").split(),
                    fields["uris"].split(),
                    fields.get("suites", "").split(),
                    fields.get("components", "").split(),
                    fields.get("signed-by", "").strip(),
                    fields.get("enabled", "yes").strip().lower() not in _NO,
                )
            )
    return found


def _fields(stanza: str) -> dict[str, str]:
    """Return the fields of a stanza, names in lower case. Lines that begin with a space continue a field."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1].isspace():
            fields[name] = fields.get(name, "") + "\n" + line.strip()
        else:
            name, _colon, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def serving(sources: Iterable[Source], uris: Sequence[str], arch: str = ARCH) -> list[Source]:
    """Return the enabled entries for binary packages that name one of the repositories C(uris)."""
    wanted = {_canonical(uri, arch) for uri in uris}
    return [
        source
        for source in sources
        if source.enabled and "deb" in source.types and any(_canonical(uri, arch) in wanted for uri in source.uris)
    ]


def signing_conflicts(sources: Iterable[Source], arch: str = ARCH) -> list[str]:
    """Return a line for every repository that enabled entries name with different keys: apt then refuses to work."""
    keys: dict[tuple[str, str], dict[str, str]] = {}
    for source in sources:
        for uri in source.uris if source.enabled else ():
            for suite in source.suites:
                repository = (_canonical(uri, arch), suite.rstrip("/") or "/")
                signed_by = source.signed_by if "\n" not in source.signed_by else "a key of its own"
                keys.setdefault(repository, {}).setdefault(source.file, signed_by)
    return [
        f"{uri} {suite}: " + ", ".join(f"{file} with {key or 'no key'}" for file, key in by_file.items())
        for (uri, suite), by_file in keys.items()
        if len(set(by_file.values())) > 1
    ]


def _canonical(uri: str, arch: str) -> str:
    """Return the URI in a canonical form, so that two spellings of the same repository are equal."""
    scheme, separator, rest = uri.replace("$(ARCH)", arch).partition("://")
    if not separator:
        return uri.rstrip("/")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{re.sub('/+', '/', path)}".rstrip("/")
