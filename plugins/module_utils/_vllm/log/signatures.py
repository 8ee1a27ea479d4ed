# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How vLLM servers fail: the texts that show it, the cause, the fix. Messages and documentation come from here.

The order matters: of several that match one message, the first is taken, so the specific stands before the general.
A key may come more than once, with other texts for another sight of the same cause; its title is always the same.
"""

from __future__ import annotations

from dataclasses import replace

from ..._core.causes import Signature
from ..._docker.messages import ENGINE
from ..._nvidia.messages import TOOLKIT
from .causes import arguments, gpu, kernels, memory, model_files, packages, start, system, version

SIGNATURES: tuple[Signature, ...] = (
    *arguments.COMMAND_LINE,
    *arguments.DRAFT,
    *arguments.SPECULATION,
    *kernels.KERNELS,
    *model_files.MODEL_FILES,
    *memory.FABRIC,
    *memory.MEMORY,
    *gpu.GPU_FIRST,
    *(replace(signature, outside=True) for signature in TOOLKIT),
    *gpu.GPU,
    *kernels.ENGINE,
    *system.SYSTEM,
    *version.VERSION,
    *packages.PACKAGES,
    *kernels.COMPILER,
    *start.START,
    *(replace(signature, outside=True) for signature in ENGINE),
    *start.LAST,
)
