# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.callback import phases
from ansible_collections.hgx.inference.tests.support import ansible_command

ROOT = Path(__file__).parents[4]
PLAYBOOK = """\
- name: First phase
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Load
      hgx.inference.load_recipe: {recipe: kimi_k2_6_hgx_b200, price_usd_per_hour: 36000}
    - name: Skip this
      ansible.builtin.debug: {msg: hidden}
      when: false
    - name: Change nothing
      ansible.builtin.command: {argv: [pwd]}
      changed_when: false
    - name: Tell a list
      ansible.builtin.debug: {msg: [one, "two {{ '{{' }} braces"]}
    - name: Tell each
      ansible.builtin.debug: {msg: "item {{ item }}"}
      loop: [a, b]
    - name: Warn
      ansible.builtin.find: {paths: [/nowhere]}
    - name: Change one of two
      ansible.builtin.command: {argv: [echo, "{{ item }}"]}
      loop: [left, right]
      changed_when: item == 'left'
    - name: Tell what the main process has loaded
      ansible.builtin.debug: {msg: "loaded: {{ 'inference.plugins.filter.vllm_spec' | loaded }}"}
- name: Phase of nobody
  hosts: "{{ [] }}"
- name: Second phase
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Include
      ansible.builtin.include_tasks: {file: included.yml}
"""
INCLUDED = """\
- name: Fail
  ansible.builtin.fail: {msg: "what is wrong\\nwhat to do"}
"""
LOADED = """\
import sys

class FilterModule:
    def filters(self):
        return {"loaded": lambda name: any(each.endswith(name) for each in sys.modules)}
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one play prints, by verbosity."""
    folder = tmp_path_factory.mktemp("phases")
    (folder / "play.yml").write_text(PLAYBOOK)
    (folder / "included.yml").write_text(INCLUDED)
    (folder / "filter_plugins").mkdir()
    (folder / "filter_plugins/loaded.py").write_text(LOADED)

    def play(*options: str) -> str:
        done = ansible_command.run(
            [
                "ansible-playbook",
                str(folder / "play.yml"),
                "-i",
                "localhost,",
                "-c",
                "local",
                "-e",
                f"ansible_python_interpreter={sys.executable}",
                *options,
            ],
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        )
        assert done.returncode == 2, done.stdout
        return done.stdout + done.stderr

    return {"brief": play(), "-v": play("-v")}


def test_what_changed_nothing_is_hidden(outputs: dict[str, str]) -> None:
    assert not re.search(
        r"nobody|no hosts matched|hidden|Skip this|Change nothing|included:|TASK \[Include|right", outputs["brief"]
    )


def test_plugins_are_loaded_before_the_process_of_a_task_starts(outputs: dict[str, str]) -> None:
    assert "  loaded: True\n" in outputs["brief"]


def test_messages_are_shown_as_lines(outputs: dict[str, str]) -> None:
    assert "\n[localhost]\n  one\n  two {{ braces\n" in outputs["brief"]
    assert "\n[localhost]\n  item a\n\n[localhost]\n  item b\n" in outputs["brief"]


def test_a_warning_of_a_task_that_changed_nothing_is_shown(outputs: dict[str, str]) -> None:
    assert re.search(r"WARNING\]: Skipped '/nowhere' path", outputs["brief"])


def test_changes_are_shown(outputs: dict[str, str]) -> None:
    assert re.search(r"TASK \[Change one of two\] \*+\nchanged: \[localhost\] => \(item=left\)", outputs["brief"])


def test_a_failure_is_told_once(outputs: dict[str, str]) -> None:
    assert re.search(
        r"TASK \[Fail\] \*+\nfatal: \[localhost\]: FAILED!\n  what is wrong\n  what to do\n", outputs["brief"]
    )
    assert outputs["brief"].count("what is wrong") == 1
    assert outputs["-v"].count("what is wrong") > 1


def test_each_phase_has_its_time(outputs: dict[str, str]) -> None:
    row = r" +\d+ s +\d+\.\d\d USD"
    lines = rf"TIMES \*+\nFirst phase{row}\nSecond phase{row}\nTotal{row}  at 36000\.00 USD an hour\n"
    assert re.search(lines, outputs["brief"])
    assert "TIMES" not in outputs["-v"]


def test_verbose_output_hides_nothing(outputs: dict[str, str]) -> None:
    for text in (
        "skipping: [localhost]",
        "PLAY [Phase of nobody]",
        "no hosts matched",
        "TASK [Change nothing]",
        "included: ",
        "(item=right)",
    ):
        assert text in outputs["-v"]


@pytest.mark.parametrize(("ends", "shown"), [(False, ["Install"]), (True, [])])
def test_a_task_that_takes_long_is_shown_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, ends: bool, shown: list[str]
) -> None:
    timers: list[Timer] = []

    class Timer:
        """What threading.Timer is; the test says when its time is over."""

        daemon = False
        is_canceled = False

        def __init__(self, _seconds: float, function: Callable[..., None], args: Sequence[Any] = ()) -> None:
            self.function, self.args = function, args
            timers.append(self)

        def start(self) -> None:
            pass

        def cancel(self) -> None:
            self.is_canceled = True

    monkeypatch.setattr(phases.threading, "Timer", Timer)
    monkeypatch.setattr(phases.DefaultCallback, "_task_start", lambda _self, _task, _prefix: None)
    callback = phases.CallbackModule()
    banners: list[str] = []
    monkeypatch.setattr(callback, "_print_task_banner", lambda task: banners.append(task.name))
    callback._task_start(SimpleNamespace(name="Install"))
    if ends:
        callback._task_start(SimpleNamespace(name="Next"))
    installing = timers[1]
    if not installing.is_canceled:
        installing.function(*installing.args)
    assert banners == shown


CHANGED_KEY = """\
Task failed: Failed to connect to the host via ssh: @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Add correct host key in /home/me/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /home/me/.ssh/known_hosts:7
Host key for {} has changed and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize("name", ["lambda-0920582c7ff041399e34823a0be62549", "[192.0.2.7]:2222"])
def test_a_changed_host_key_is_told_in_a_sentence_with_its_fix(name: str) -> None:
    assert phases._unreachable(CHANGED_KEY.format(name)) == (
        f"The SSH host key of {name} is not the one of the first connection: the machine was installed anew, or another"
        " machine answers. If you expect that, remove the old key and run again:"
        f" ssh-keygen -f '/home/me/.ssh/known_hosts' -R '{name}'"
    )


def test_an_unreachable_host_is_told_in_lines(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text("- hosts: all\n  gather_facts: false\n  tasks: [ansible.builtin.ping: ]\n")
    options = ["-i", "node1,", "-e", "ansible_ssh_common_args='-F none -o ProxyCommand=false'"]
    done = ansible_command.run(
        ["ansible-playbook", str(tmp_path / "play.yml"), *options],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
    )
    assert done.returncode == 4, done.stdout
    told = done.stdout.partition("fatal: [node1]: UNREACHABLE!\n")[2].splitlines()
    assert told[0].startswith("  Task failed: Failed to connect to the host via ssh:")
    assert "  What was done so far is kept: the next run continues from here." in told
