# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The edge that the result of every action crosses on the controller: no secret that the run knows leaves it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..module_utils._core.secrets import KNOWN, is_secret_name, learn_environment, scrub, scrubbed

# Options that hold secrets under other names.
_SECRET_OPTIONS = ("user_data",)


class EdgeActionBase(ActionBase):
    """Returns what C(act) returns, scrubbed; a failure, too.

    C(data) names the values of the result that a later task passes to a program. Of these only known secrets are
    masked.
    """

    TRANSFERS_FILES = False
    data: Collection[str] = ()

    def act(self, result: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Do the task and return its result, which includes C(result)."""
        raise NotImplementedError

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        KNOWN.clear()
        learn_environment()
        KNOWN.add(*_secrets_in(self._task.args))
        try:
            found = self.act(super().run(tmp, task_vars), task_vars or {})
        except AnsibleConnectionFailure:  # which core tells from a failure
            raise
        except Exception as exc:
            words = scrub(str(exc))
            if words == str(exc):
                raise
            raise AnsibleActionFail(words) from None
        return {name: (KNOWN.masked_in if name in self.data else scrubbed)(value) for name, value in found.items()}


def _secrets_in(args: Mapping[str, Any]) -> Iterable[str]:
    for name, value in args.items():
        if is_secret_name(name) or name in _SECRET_OPTIONS:
            yield from map(str, value if isinstance(value, (list, tuple)) else [value or ""])
