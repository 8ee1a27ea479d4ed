# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The import through its playbook."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.hgx.inference.tests.support import ansible_command

COMMAND = "docker run --gpus all -e HF_TOKEN=hf_s3cret vllm/vllm-openai:v0.25.1 org/name\n"


def run(folder: Path, *more: str) -> tuple[int, str]:
    words = ["ansible-playbook", "playbooks/recipe_import.yml", "-e", "from=page.txt", "-e", f"import_folder={folder}"]
    done = ansible_command.run([*words, *more])
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_a_recipe_is_written_once_and_never_over_corrections(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text(COMMAND, encoding="utf-8")
    assert run(tmp_path, "--check")[0] == 0
    assert not (tmp_path / "page.yml").exists()
    rc, output = run(tmp_path)
    assert rc == 0
    assert "page.yml was written." in output
    assert "missing hardware.gpu_name: the GPU" in output
    recipe = tmp_path / "page.yml"
    assert "hf_s3cret" not in output + recipe.read_text(encoding="utf-8")
    assert "changed=0" in run(tmp_path)[1]
    recipe.write_text(recipe.read_text(encoding="utf-8") + "# corrected\n", encoding="utf-8")
    rc, output = run(tmp_path)
    assert rc != 0
    assert "exists and is another recipe" in output
    rc, output = run(tmp_path, "-e", "to=page.txt/recipe.yml")
    assert rc != 0
    assert "page.txt/recipe.yml cannot be written, and nothing of it is there: " in output
