#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the models that the hub of a GPU machine serves.   models.py HUB [LAYERS]

The demo's scripted model has weights. The model of Kimi K2.6's widths has none (load-format dummy), and as many of
K2.6's 61 layers as fit into the GPUs.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# As many heads as eight GPUs need, in the sizes of Kimi K2.6, for which GPUs have kernels.
HEADS = {"num_attention_heads": 8, "num_key_value_heads": 8, "qk_nope_head_dim": 128, "v_head_dim": 128}


def main(hub: Path, layers: int) -> None:
    """Write all models below the folder C(hub)."""
    from ansible_collections.hgx.inference.tests.gpu import kimi_shaped

    kimi_shaped.tiny_kimi.TEXT_CONFIG.update(HEADS)
    for repo, files in kimi_shaped.tiny_kimi.model_files().items():
        kimi_shaped.tiny_kimi.write_folder(hub / repo, files)
    written = hub / "hgx-test/written"
    kimi_shaped.write(written, layers)
    for name, repo in (("model", "kimi-wide"), ("draft", "kimi-wide-eagle3")):
        shutil.rmtree(hub / "hgx-test" / repo, ignore_errors=True)
        (written / name).rename(hub / "hgx-test" / repo)
    written.rmdir()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "collections"))
    main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 6)
