# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The built artifact: it holds what a user needs and nothing else, and works where it is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SHIPPED = {
    "CHANGELOG.rst",
    "CONTRIBUTING.md",
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "changelogs",
    "docs",
    "inventories",
    "meta",
    "playbooks",
    "plugins",
    "recipes",
    "roles",
    "site.yml",
}


def run(*argv: str, cwd: Path, collections: Path | None = None) -> str:
    """Run a command as a user without this checkout would, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "HGX_"))}
    if collections:
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(collections)
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run("ansible-galaxy", "collection", "build", "--output-path", str(folder), cwd=ROOT)
    return next(folder.glob("hgx-inference-*.tar.gz"))


@pytest.fixture(scope="module")
def installed(artifact: Path) -> Path:
    """Return the folder of collections into which the artifact has been installed, without a network."""
    folder = artifact.parent / "collections"
    argv = ["ansible-galaxy", "collection", "install", str(artifact), "--offline", "-p", str(folder)]
    run(*argv, cwd=artifact.parent, collections=folder)
    return folder


def test_the_artifact_holds_what_ships(artifact: Path) -> None:
    with tarfile.open(artifact) as archive:
        members = archive.getmembers()
    names = {member.name for member in members}
    assert {name.partition("/")[0] for name in names} == SHIPPED
    assert [member.name for member in members if not member.isfile() and not member.isdir()] == []
    assert [name for name in names if name.endswith(".pyc")] == []
    wanted = [path for folder in ("playbooks", "recipes", "roles") for path in (ROOT / folder).rglob("*.yml")]
    assert {str(path.relative_to(ROOT)) for path in wanted} <= names


def test_the_collection_needs_no_other() -> None:
    """A missing collection would be noticed in the middle of a run."""
    assert "dependencies" not in yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    for folder in ("playbooks", "roles"):
        for path in (ROOT / folder).rglob("*.yml"):
            for name in re.findall(r"\b([a-z_]+\.[a-z_]+)\.[a-z_]+:", path.read_text(encoding="utf-8")):
                assert name in ("ansible.builtin", "hgx.inference"), path


def test_the_image_of_the_controller_has_its_build_context(artifact: Path, installed: Path, tmp_path: Path) -> None:
    definition = (ROOT / "execution-environment.yml").read_text(encoding="utf-8")
    (tmp_path / "execution-environment.yml").write_text(definition, encoding="utf-8")
    (tmp_path / "dist").symlink_to(artifact.parent)
    run("ansible-builder", "create", "--output-filename", "Containerfile", cwd=tmp_path)
    context = tmp_path / "context"
    assert (context / "_build" / "dist" / artifact.name).is_file()
    required = yaml.safe_load((context / "_build" / "requirements.yml").read_text(encoding="utf-8"))["collections"]
    assert [each["name"] for each in required] == [f"dist/{artifact.name}"]
    # What the collection asks for, as the build finds it.
    introspect = [sys.executable, str(context / "_build" / "scripts" / "introspect.py"), "introspect"]
    found = yaml.safe_load(run(*introspect, str(installed), cwd=tmp_path))
    assert [each for each in found["system"] if each.startswith("openssh-client")]
    assert found["python"] == []


def test_navigator_runs_a_playbook_without_a_container_engine() -> None:
    command = ["ansible-navigator", "run", "playbooks/plan.yml", "-i", "inventories/lambda"]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--served-model-name kimi-k2.6" in done.stdout
    assert list(ROOT.glob("*-artifact-*.json")) == []


def test_a_release_can_be_made(tmp_path: Path) -> None:
    """The fragments become the changelog of the next version, and are gone then."""
    shutil.copytree(ROOT / "changelogs", tmp_path / "changelogs")
    galaxy = (ROOT / "galaxy.yml").read_text(encoding="utf-8")
    (tmp_path / "galaxy.yml").write_text(re.sub("(?m)^version: .*", "version: 99.0.0", galaxy), encoding="utf-8")
    for folder in ("plugins", "roles"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    run("antsibull-changelog", "release", "--date", "2026-12-01", cwd=tmp_path, collections=ROOT / "collections")
    assert "v99.0.0\n=======" in (tmp_path / "CHANGELOG.rst").read_text(encoding="utf-8")
    assert list((tmp_path / "changelogs" / "fragments").glob("*.yml")) == []


def test_the_installed_site_resolves(installed: Path) -> None:
    inventory = str(installed / "ansible_collections/hgx/inference/inventories/lambda")
    site = ["ansible-playbook", "hgx.inference.site", "-i", inventory]
    run(*site, "--syntax-check", cwd=installed, collections=installed)
    tasks = run(*site, "--list-tasks", cwd=installed, collections=installed)
    for role in ("recipe", "docker", "hf_cache", "vllm"):
        assert f"hgx.inference.{role} : " in tasks


def test_the_installed_plugins_are_documented(installed: Path) -> None:
    plugins = installed / "ansible_collections/hgx/inference/plugins"
    modules = {f"hgx.inference.{path.stem}" for path in (plugins / "modules").glob("*.py")}
    listed = run("ansible-doc", "--list", "hgx.inference", cwd=installed, collections=installed)
    assert {line.split()[0] for line in listed.splitlines()} == modules
