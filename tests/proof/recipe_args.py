#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the real parser of vLLM read the command line of each bundled recipe, in the version that the recipe names.

    recipe_args.py    record the outcome in docs/recipe_args.json, from which the guide's table is made

Exits with 1 if a command line is refused. The images are the CPU builds of `make matrix` (demo/build_cpu_image.py
--version=VERSION). Options that only a build for GPUs checks, such as the name of a kernel, are not checked by them.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "collections"))

from ansible_collections.hgx.inference.tests.support import recipe_args

RECORD = recipe_args.ROOT / "docs" / "recipe_args.json"


def main() -> int:
    found = {}
    wanted = sorted(
        ((recipe_args.parser_version(one.data["image"]), one) for one in recipe_args.deployments()),
        key=lambda pair: (pair[0], pair[1].name),
    )
    for version, pairs in itertools.groupby(wanted, key=lambda pair: pair[0]):
        group = [one for _version, one in pairs]
        started = time.monotonic()
        for one, answer in zip(group, recipe_args.parse(version, [one.argv for one in group]), strict=True):
            problems = answer.get("problems", [answer.get("unchecked", "")])
            found[one.name] = {"version": version, "argv": one.fingerprint, "problems": problems}
            print(f"{one.name:45} vLLM {version}: {'; '.join(problems) or 'accepted'}", flush=True)
        print(f"vLLM {version}: {time.monotonic() - started:.0f} s", flush=True)
    RECORD.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n", encoding="utf-8")
    return 1 if any(entry["problems"] for entry in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
