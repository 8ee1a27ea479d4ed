# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which reports of the driver tell of a fault.

fixtures/nvidia-smi/README.md names the public reports that have these lines. Those of 136, 156, 161, 172 and 399 are
constructed.
"""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._nvidia.xid import find_xids

GPU = "[ 9012.3] NVRM: Xid (PCI:0000:17:00): "
SWITCH = "[   25.9] nvidia-nvswitch3: SXid (PCI:0000:c3:00.0): "
TO_RESET = "154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"
TO_REBOOT = "154, GPU recovery action changed from 0x0 (None) to 0x2 (OS Reboot)"
TO_NONE = "154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"


@pytest.mark.parametrize(
    ("lines", "number", "meaning", "fix"),
    [
        ([GPU + "46, pid='<unknown>', name=<unknown>"], 46, "stopped processing", "Reset the GPU"),
        ([GPU + "48, pid=1, name=python3, DBE (double bit error)"], 48, "uncorrectable memory error", "Reset the GPU"),
        ([GPU + "136, ALI training failed"], 136, "could not be trained", "give the node back"),
        ([GPU + "156, Resource retirement event"], 156, "retired at its next reset", "Reset the GPU"),
        ([GPU + TO_RESET], 154, "the driver asks for 'GPU Reset Required'", "Reset the GPU or reboot"),
        ([GPU + TO_REBOOT], 154, "the driver asks for 'OS Reboot'", "reboot"),
        ([GPU + TO_NONE, GPU + TO_REBOOT], 154, "'OS Reboot'", "reboot"),
        (["NVRM: Xid (PCI:0000:17:00 GPU-I:05): 95, pid=7, Uncontained: LTC TAG"], 95, "uncontained", "Reset the GPU"),
        ([SWITCH + "20034, Fatal, Link 30 LTSSM Fault Up"], 20034, "fatal error of an NVSwitch", "resets GPUs"),
    ],
)
def test_faults(lines: list[str], number: int, meaning: str, fix: str) -> None:
    (xid,) = find_xids("\n".join(lines))
    assert xid.number == number
    assert meaning in xid.meaning
    assert fix in xid.fix
    assert xid.line == lines[-1]


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        (GPU + "109, pid=1797828, name=pt_main_thread, Ch 00000008, errorString CTX SWITCH TIMEOUT", "switch"),
        (GPU + "145, RLW_RXPIPE Nonfatal XC0 i0 Link 13 (0x0409a0c2 0x00000008)", "NVLink error"),
        (GPU + "161, Channel retirement failure", "could not be retired"),
        (GPU + "172, Uncorrectable SRAM error", "SRAM"),
        (GPU + "399, something new", ""),
        (SWITCH + "12028, Non-fatal, Link 32 egress non-posted PRIV error (First)", "error of an NVSwitch"),
    ],
)
def test_what_is_no_certain_fault(line: str, meaning: str) -> None:
    (xid,) = find_xids(line)
    assert meaning in xid.meaning
    assert xid.fix == ""


@pytest.mark.parametrize(
    "line",
    [
        GPU + "31, pid=413, name=VLLM::Worker_TP, MMU Fault",
        GPU + "45, pid=1818990, name=python3, Ch 00000001 caused by previous Xid 149",
        GPU + "63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.",
        GPU + "137, RLW_RXPIPE interrupt hit on link 11 on GPU0: PRIV Error",
        "\n".join([GPU + TO_RESET, GPU + TO_NONE]),
        # Each start of HGX H100 in confidential mode.
        SWITCH + "22013, Non-fatal, Link 00 Minion Link DLREQ interrupt",
        SWITCH + "22013, Severity 0 Engine instance 00 Sub-engine instance 00",
        SWITCH + "24007, Data {0x00000000, 0x00000000, 0x00000000}",
        "[    0.000000] Linux version 6.8.0-60-generic",
    ],
)
def test_what_says_nothing_of_the_machine(line: str) -> None:
    assert find_xids(line) == []
