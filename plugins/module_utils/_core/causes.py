# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How causes of failures are written down, and how the causes of one symptom are told apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Facts(NamedTuple):
    """What is known beside the log; what is not known is empty or None.

    C(module) and C(libraries) are the versions of the driver in the kernel and of its libraries on the host.
    C(shm_bytes) is the size of the container's own /dev/shm. C(cdi) is whether it got the GPUs by CDI. C(values) are
    what the pattern has found.
    """

    module: str = ""
    libraries: tuple[str, ...] = ()
    shm_bytes: int | None = None
    cdi: bool | None = None
    values: Mapping[str, str] = {}


@dataclass(frozen=True)
class Alternative:
    """One of several causes of a failure.

    It is taken for certain if a line of the log matches C(decides) or C(facts) says so (True), and ruled out if a line
    matches C(excludes) or C(facts) denies it (False). C(test) is how a person finds out.
    """

    cause: str
    test: str
    fix: str
    decides: str = ""
    excludes: str = ""
    facts: Callable[[Facts], bool | None] | None = None

    def holds(self, said: str, facts: Facts) -> bool | None:
        """Return whether this is the cause, None if neither log nor facts tell."""
        if self.excludes and re.search(self.excludes, said, re.MULTILINE):
            return False
        known = self.facts(facts) if self.facts else None
        if known is not None:
            return known
        return True if self.decides and re.search(self.decides, said, re.MULTILINE) else None


@dataclass(frozen=True)
class Signature:
    """One way to fail.

    C(patterns) are searched in single lines. C(detail) is added to the cause and C(advice) to the fix where a pattern
    has found all groups that they name; C(nearest) is a list of the valid names closest to the group C(name), out of
    the group C(choices) or of what C(names) finds in the log. C(within) must be found in the same traceback,
    and C(without) must not.
    A hint only follows from another failure, or has many causes: it is taken if there is nothing else.
    C(alternatives) are the causes behind C(cause), which then says no more than what was seen, the likeliest first.
    With C(locate), as with a hint, the area in which it surfaced is told, too. With C(outside) it is only searched
    where a server's own log has not begun: in what engines and toolkits say.
    """

    key: str
    title: str
    patterns: tuple[str, ...]
    cause: str
    fix: str
    detail: str = ""
    advice: str = ""
    severity: str = "fatal"
    within: str = ""
    without: str = ""
    names: str = ""
    exit_codes: tuple[int, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    locate: bool = False
    outside: bool = False

    @property
    def is_hint(self) -> bool:
        return self.severity == "hint"

    def decided(self, seen: str, said: str, facts: Facts) -> tuple[str, str]:
        """Return cause and fix: of several causes the one for which log or facts decide, or all with their tests.

        C(seen) is the cause with what the pattern has found, C(said) all that was said.
        """
        if not self.alternatives:
            return seen, self.fix
        judged = [(each, each.holds(said, facts)) for each in self.alternatives]
        for alternative, holds in judged:
            if holds:
                fix = alternative.fix[:1].upper() + alternative.fix[1:]
                return (
                    f"{seen} {alternative.cause}",
                    f"{fix}\n  How to check that this is the cause: {alternative.test}",
                )
        left = [alternative for alternative, holds in judged if holds is None] or list(self.alternatives)
        causes = " ".join(f"({number}) {each.cause}" for number, each in enumerate(left, 1))
        lines = ["Find out which cause it is, in this order."]
        lines += [f"  ({number}) Test: {each.test} If so: {each.fix}" for number, each in enumerate(left, 1)]
        lines += [f"  {self.fix}"] if self.fix else []
        return f"{seen} The causes that it can have, the likeliest first: {causes}", "\n".join(lines)
