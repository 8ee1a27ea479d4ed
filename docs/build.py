# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the documentation, without a network: python -m docs.build ARTIFACT FOLDER. A warning is an error.

The reference of roles, modules and plugins comes from their own specifications in the built collection.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import yaml

from . import recipes
from .tables import ROOT, clients_table, evidence_table, load_clients, load_evidence, troubleshooting_table
from .versions import load_records, versions_page

COLLECTION = "ansible_collections/hgx/inference"
# The theme shows the contents of each page beside it.
CONTENTS = re.compile(r"^\.\. contents::\n(?: +:.*\n)*", re.MULTILINE)
SIGNATURES = "ansible_collections.hgx.inference.plugins.module_utils._vllm.log.signatures"


def main(artifact: Path, folder: Path) -> None:
    """Build the site of the artifact into FOLDER/html."""
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    shutil.copytree(ROOT / "docs", source, ignore=shutil.ignore_patterns("__pycache__"))
    write_reference(artifact, folder / "collections", source / "reference")
    write_tables(source / "generated")
    options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--jobs", "auto"]
    run("sphinx-build", *options, "-d", str(folder / "doctrees"), str(source), str(folder / "html"))


def write_reference(artifact: Path, collections: Path, reference: Path) -> None:
    """Have antsibull-docs write a page for each role, module and plugin of the artifact."""
    collection = collections / COLLECTION
    collection.mkdir(parents=True)
    reference.mkdir()
    with tarfile.open(artifact) as archive:
        archive.extractall(collection, filter="data")
    for specs in collection.glob("roles/*/meta/argument_specs.yml"):
        documented = yaml.safe_load(specs.read_text(encoding="utf-8"))
        for spec in documented["argument_specs"].values():
            spec.setdefault("description", spec["short_description"])  # antsibull-docs wants both
            tell_templates_in_words(spec.get("options", {}))
        specs.write_text(yaml.safe_dump(documented, sort_keys=False), encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
    }
    options = ["--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", str(reference)]
    run("antsibull-docs", "collection", *options, "hgx.inference", environment=environment)
    for page in reference.glob("*.rst"):
        text = page.read_text(encoding="utf-8")
        if "ERROR while parsing" in text:  # for antsibull-docs a text like any other
            raise SystemExit(f"{page.name}: broken markup: {text.partition('ERROR while parsing')[2][:200]}")
        page.write_text(CONTENTS.sub("", text), encoding="utf-8")


def tell_templates_in_words(options: dict[str, dict[str, Any]]) -> None:
    """Move defaults that are templates into the descriptions: antsibull-docs wants values of the option's type."""
    for option in options.values():
        tell_templates_in_words(option.get("options") or {})
        default = option.get("default")
        if isinstance(default, str) and "{{" in default and option["type"] not in ("str", "path", "raw"):
            described = option["description"]
            template = option.pop("default").replace("\\", "\\\\").replace(")", "\\)")
            option["description"] = [
                *([described] if isinstance(described, str) else described),
                f"By default C({template}).",
            ]


def write_tables(folder: Path) -> None:
    """Write the tables that the guides include."""
    folder.mkdir()
    (folder / "evidence.md").write_text(evidence_table(load_evidence()), encoding="utf-8")
    (folder / "clients.md").write_text(clients_table(load_clients()), encoding="utf-8")
    (folder / "versions.md").write_text(versions_page(load_records()), encoding="utf-8")
    recipes.main(folder)
    sys.path.insert(0, str(ROOT / "collections"))
    signatures = importlib.import_module(SIGNATURES).SIGNATURES
    (folder / "troubleshooting.md").write_text(troubleshooting_table(signatures), encoding="utf-8")


def run(*command: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed, see above")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
