# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Advice and patterns that several causes share."""

from __future__ import annotations

CHECK_WEIGHTS = (
    "Run the role hgx.inference.hf_cache again with hf_cache_verify: true; it replaces what is missing or damaged."
)

RECORDED = (
    "Serve the image, the packages and the models that the recipe names together, or versions that fit each other."
)

MORE_SHM = "Serve with vllm_ipc_mode: host, and see with 'df -h /dev/shm' on the host that it is not full."

# Xid by which the driver ends the work of a process: mostly an error of its kernels, and the GPU is sound.
APPLICATION_XID = r"(?:13|31|32|43|45|69|109)\b"
GPU_FAULT = (
    rf"(?:Xid \(PCI|NVRM: Xid)[^)]*\): (?!{APPLICATION_XID})\d+|uncorrectable (?:ECC|NVLink) error|fallen off the bus"
)
RESET_GPU = "reset the GPUs or reboot; have the node exchanged if it comes again."
