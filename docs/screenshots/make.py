# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the pictures of README.md anew: python -m docs.screenshots.make. Needs the demo (`make demo`) and Chromium.

The terminal shows a real run on this machine, the report the made-up figures of the sample.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from examples.runner.run import Drawing, run_site

from ..tables import ROOT

FOLDER = Path(__file__).parent
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
# Rich refers to a font on a server; a picture must not.
WEB_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def terminal(path: Path) -> None:
    """Run the site in the machine's demo and draw what the terminal shows at its end."""
    with Drawing(Console()) as drawing:
        result = run_site(extra_vars={"smoke_benchmark_reuse": "never"}, display=drawing)
        drawing.over()
    picture = Console(record=True, file=io.StringIO(), width=112, force_terminal=True)
    picture.print("[bold]$[/] python examples/runner/run.py -i inventories/local", highlight=False)
    picture.print(drawing.last())
    result.show(picture)
    svg = picture.export_svg(title="the demo on two cores, with a tiny model", unique_id="terminal")
    path.write_text(WEB_FONTS.sub("", svg).replace("Fira Code", "ui-monospace"), encoding="utf-8")


def report(path: Path) -> None:
    """Render the sample of the report and take a picture of its beginning."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, ROOT / "tests/support/report_sample.py", folder], check=True)
        page = max(Path(folder).glob("kimi-b200-1/*-full/report.html"))
        options = ["--window-size=1000,730", "--blink-settings=preferredColorScheme=1", f"--screenshot={path}"]
        subprocess.run([*CHROMIUM, *options, page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    report(FOLDER / "report.png")
    terminal(FOLDER / "terminal.svg")
