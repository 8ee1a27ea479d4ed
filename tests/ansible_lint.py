# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ansible-lint with one syntax check for all playbooks and roles.

ansible-lint starts C(ansible-playbook --syntax-check) for each of them, and again for each imported playbook, which
takes two minutes of processor time. If the one check fails, ansible-lint makes its own checks and reports the place.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from unittest import mock

import yaml
from ansible_compat.runtime import Runtime
from ansiblelint.__main__ import _run_cli_entrypoint
from ansiblelint.errors import MatchError
from ansiblelint.file_utils import Lintable
from ansiblelint.runner import Runner

check_one_by_one = Runner._run_syntax_check_phase


def check_at_once(runner: Runner, matches: list[MatchError]) -> list[Lintable]:
    """Check the playbooks and roles that are linted, and return them; problems are added to the matches."""
    files = runner._collect_syntax_check_files()
    roles = [{"ansible.builtin.import_role": {"name": str(file.path)}} for file in files if file.kind == "role"]
    playbooks = [str(file.path) for file in files if file.kind == "playbook"]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as of_roles:
        yaml.safe_dump([{"hosts": "localhost", "tasks": roles}], of_roles)
        done = subprocess.run(
            ["ansible-playbook", "--syntax-check", of_roles.name, *playbooks],
            env={**os.environ, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "False"},
            capture_output=True,
            check=False,
        )
    return check_one_by_one(runner, matches) if done.returncode else files


def is_there(_runtime: Runtime, playbook: str, *, basedir: Path | None = None) -> bool:
    """Return whether an imported playbook exists. All playbooks of this repository are linted themselves."""
    return ((basedir or Path()) / playbook).is_file()


if __name__ == "__main__":
    with (
        mock.patch.object(Runner, "_run_syntax_check_phase", check_at_once),
        mock.patch.object(Runtime, "has_playbook", is_there),
    ):
        _run_cli_entrypoint()
