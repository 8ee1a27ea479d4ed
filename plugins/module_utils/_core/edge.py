# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The edge that every result of a module crosses: no secret that the run knows leaves it."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Collection
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .secrets import KNOWN, MASK, learn_environment, scrub, scrubbed


class Module(AnsibleModule):
    """A module whose result, warnings and failures leave it scrubbed.

    C(data) names the values of the result that a later task passes to a program. Of these only known secrets are
    masked, and not what merely looks like one: a chat template with C("eos_token": "</s>") must arrive as it is.
    """

    current: Module | None = None

    def __init__(self, *args: Any, data: Collection[str] = (), **kwargs: Any) -> None:
        self._data = data
        self.no_log_values: set[str] = set()
        KNOWN.clear()
        learn_environment()
        super().__init__(*args, **kwargs)
        self._learn()
        Module.current = self

    def exit_json(self, **kwargs: Any) -> None:
        """Return a success, scrubbed."""
        super().exit_json(**self._scrubbed(kwargs))

    def fail_json(self, msg: Any, **kwargs: Any) -> None:
        """Return a failure, scrubbed."""
        super().fail_json(**self._scrubbed({"msg": str(msg), **kwargs}))

    def warn(self, warning: str, **kwargs: Any) -> None:
        """Add a warning to the result, scrubbed."""
        super().warn(scrub(warning), **kwargs)

    def _scrubbed(self, result: dict[str, Any]) -> dict[str, Any]:
        self._learn()
        leaves = {name: (KNOWN.masked_in if name in self._data else scrubbed)(value) for name, value in result.items()}
        hidden = {name for name, option in self.argument_spec.items() if option.get("no_log")}
        given = {name: MASK if value and name in hidden else value for name, value in self.params.items()}
        return {"invocation": {"module_args": scrubbed(given)}, **leaves}

    def _learn(self) -> None:
        """Know the values of C(no_log) options, and let core mask what it adds itself, such as a traceback.

        Core would mask a short secret within each word.
        """
        KNOWN.add(*map(str, self.no_log_values))
        self.no_log_values = set(KNOWN.texts)


def at_edge(main: Callable[[], None]) -> Callable[[], None]:
    """Return the C(main) of a module that crosses the edge even when it crashes."""

    @functools.wraps(main)
    def guarded() -> None:
        Module.current = None
        try:
            main()
        except Exception as exc:
            if Module.current is None:
                raise
            words = f"This is a fault of the module, please report it: {type(exc).__name__}: {exc}"
            Module.current.fail_json(msg=words, exception=traceback.format_exc())

    return guarded
