#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(docker_daemon_config)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_daemon_config
short_description: Merge settings into a Docker engine's daemon.json and apply them
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Merges settings into those in the file. Other settings and the order of the keys stay. The file is indented by four
    spaces.
  - A file that already has the same meaning is not touched.
  - The installed engine validates the new file before it replaces the old one. A backup of the old file is kept.
  - Settings that a running engine can reload are reloaded, which does not affect containers. Others need a restart. If
    containers run and O(restart_ok) does not allow it, the module fails before anything is written.
  - If the engine does not accept the new file, the old one is restored, and the module fails with the engine's message.
  - Never reloads systemd, which can take GPUs away from running containers.
options:
  config:
    description:
      - The settings. Mappings are merged with those in the file, other values replace those in the file.
      - Log options without a log driver are left out if the file names a driver that does not rotate files.
    type: dict
    default: {}
  path:
    description: The file. If the engine runs with C(--config-file), that file is used instead.
    type: path
    default: /etc/docker/daemon.json
  restart_ok:
    description: Whether the engine may be restarted while containers run.
    type: bool
    default: false
  restart_reason:
    description: If set, the engine is restarted even without changes. The text completes "must be restarted for".
    type: str
    default: ""
  timeout:
    description: How long a restarted engine may take to answer, in seconds.
    type: int
    default: 120
extends_documentation_fragment: [hgx.inference._attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Passwords in addresses are left out.
  idempotent:
    support: partial
    details: With O(restart_reason), the engine is always restarted.
"""

EXAMPLES = r"""
- name: Rotate logs
  hgx.inference.docker_daemon_config:
    config:
      log-opts: {max-size: 100m, max-file: "5"}

- name: Add NVIDIA's runtime, which needs a reload
  hgx.inference.docker_daemon_config:
    config:
      runtimes:
        nvidia: {path: nvidia-container-runtime, args: []}

- name: Move the engine's data, even while containers run
  hgx.inference.docker_daemon_config:
    config: {data-root: /data/docker}
    restart_ok: true
"""

RETURN = r"""
action:
  description: What the engine needed to use the settings. In check mode, what it would need.
  returned: success
  type: str
  choices: [none, reload, restart]
settings:
  description: Dotted names of the settings that were changed, or that the running engine had not applied yet.
  returned: success
  type: list
  elements: str
  sample: [log-opts.max-size, runtimes.nvidia]
path:
  description: The file.
  returned: success
  type: str
  sample: /etc/docker/daemon.json
backup_file:
  description: The copy of the old file.
  returned: when a file was replaced
  type: str
  sample: /etc/docker/daemon.json.4711.2026-11-25@14:02:11~
"""

import os
import tempfile
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._docker import daemon, engine
from ..module_utils._docker.cli import DockerError
from ..module_utils._docker.daemon import DaemonConfigError


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "config": {"type": "dict", "default": {}},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "restart_ok": {"type": "bool", "default": False},
            "restart_reason": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**DaemonConfig(module).ensure())
    except (DaemonConfigError, DockerError, OSError) as exc:
        module.fail_json(msg=str(exc))


class DaemonConfig:
    """The settings on disk and the engine that uses them."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        # In check mode for a bare host there is neither an engine nor its client.
        self.info = engine.info() if module.get_bin_path("docker") else None
        self.process = engine.process() if self.info else None
        argv = self.process.argv if self.process else []
        self.path = os.path.realpath(engine.config_file(argv, self.params["path"]))
        self.text = _read(self.path)

    def ensure(self) -> dict[str, Any]:
        """Ensure that file and engine have the wanted settings, and return the module's result."""
        before = daemon.parse(self.text or "", self.path)
        driver = (self.info or {}).get("LoggingDriver", "json-file")
        after = daemon.merge(before, self.params["config"], driver)
        keys = daemon.changed_keys(before, after)
        rewrite = not daemon.same(before, after)
        if self.info:
            unapplied = daemon.unapplied_keys(self.params["config"], self.info)
            keys += [key for key in unapplied if key not in keys]
        action = self._action(keys)
        result: dict[str, Any] = {"changed": rewrite or action != "none", "action": action, "settings": keys}
        result["path"] = self.path
        if rewrite:
            new = daemon.render(after)
            result["diff"] = self._diff(daemon.render(before) if self.text else "", new)
        if not self.module.check_mode:
            if rewrite:
                result.update(self._replace(new))
            self._apply(action, result.get("backup_file"), rewrite)
            self._tell_what_stays_behind(keys)
        return result

    def _action(self, keys: list[str]) -> str:
        """Return the action that the engine needs. Raises DaemonConfigError if it is not allowed or not possible."""
        reason = self.params["restart_reason"]
        if self.info is None or not (keys or reason):
            return "none"
        if self.process is None:
            raise DaemonConfigError(
                f"An engine answers, but {engine.PID_FILE} does not lead to it, so it cannot be made to use"
                f" {self.path}. Nothing was changed: edit the file by hand, and restart the engine."
            )
        restart = daemon.restart_keys(keys)
        if not (restart or reason):
            return "reload"
        running = engine.containers()
        if running and not self.params["restart_ok"]:
            survive = bool(self.info.get("LiveRestoreEnabled"))
            raise DaemonConfigError(daemon.refuse_restart(self.path, restart, reason, running, survive))
        return "restart"

    def _replace(self, text: str) -> dict[str, str]:
        """Write the file after the engine has validated it, and return the name of the backup."""
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.module.tmpdir)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        problem = engine.validate(temporary, self.process.argv if self.process else [])
        if problem:
            raise DaemonConfigError(f"The engine refuses the settings for {self.path}, which is unchanged: {problem}")
        copies = {} if self.text is None else {"backup_file": self.module.backup_local(self.path)}
        os.chmod(temporary, 0o644)
        self.module.atomic_move(temporary, self.path)
        return copies

    def _apply(self, action: str, backup: str | None, rewritten: bool) -> None:
        """Apply the file to the engine. If that fails, restore the old file and raise DockerError."""
        try:
            self._signal(action)
        except DockerError as exc:
            if not rewritten:
                raise
            if backup:
                self.module.atomic_move(backup, self.path)
            else:
                os.unlink(self.path)
            self._go_back(action, f"{exc}\nThe old {self.path} is back,")

    def _go_back(self, action: str, words: str) -> None:
        """Apply the restored old file to the engine, and raise DockerError."""
        try:
            if action == "restart":
                self._signal(action)
        except DockerError as exc:
            raise DockerError(f"{words} but the engine does not start with it either: {exc}") from exc
        raise DockerError(f"{words} and the engine runs with it.")

    def _signal(self, action: str) -> None:
        if self.process and action == "reload":
            engine.reload(self.process)
        elif self.process and action == "restart":
            engine.restart(self.process, self.params["timeout"])

    def _tell_what_stays_behind(self, keys: list[str]) -> None:
        info = self.info or {}
        if "data-root" in keys and (info.get("Images") or info.get("Containers")):
            self.module.warn(
                f"{info['Images']} images and {info['Containers']} containers stay behind in {info['DockerRootDir']}:"
                " the engine does not move its data. Delete that folder once nothing in it is needed."
            )

    def _diff(self, old: str, new: str) -> dict[str, str]:
        """Return the diff. C(old) is formatted like C(new), so that the diff shows settings and not spaces."""
        return {
            "before": old,
            "after": new,
            "before_header": self.path,
            "after_header": self.path,
        }


def _read(path: str) -> str | None:
    """Return the content of the file, or None if there is none. Raises DaemonConfigError if it is not text."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as exc:
        raise DaemonConfigError(f"{path} is not text in UTF-8: {exc}. Nothing was changed: correct the file.") from exc


if __name__ == "__main__":
    main()
