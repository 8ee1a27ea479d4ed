#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(nvidia_gpu_info)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvidia_gpu_info
short_description: Return the NVIDIA GPUs, driver and fabric of a host, and their state
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Queries C(nvidia-smi), the loaded kernel module and the PCI bus. Changes nothing.
  - Does not fail on a host without a GPU, without a driver, or with a driver that does not work.
options:
  timeout:
    description: How long C(nvidia-smi) may take, in seconds. It hangs if a GPU hangs.
    type: int
    default: 60
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Get the GPUs
  hgx.inference.nvidia_gpu_info:
  register: nvidia

- name: Require that every GPU has joined the fabric
  ansible.builtin.assert:
    that: nvidia.gpus | map(attribute='fabric.state') | unique == ['Completed']
"""

RETURN = r"""
installed:
  description: Whether C(nvidia-smi) is on the host's PATH.
  returned: always
  type: bool
driver_version:
  description: Version of the driver's libraries, or V(null).
  returned: always
  type: str
  sample: 580.95.05
cuda_version:
  description: The newest CUDA version that the driver supports, or V(null).
  returned: always
  type: str
  sample: "13.0"
loaded_module:
  description: The kernel module in use, or V(null).
  returned: always
  type: dict
  contains:
    version:
      description: Its version.
      type: str
      sample: 580.95.05
    open:
      description: Whether it is built from the open sources, which Blackwell GPUs need.
      type: bool
installed_module_version:
  description: Version of the kernel module that is installed for the running kernel, or V(null).
  returned: always
  type: str
  sample: 580.95.05
problem:
  description: Why C(nvidia-smi) is installed but does not list GPUs, or V(null).
  returned: always
  type: dict
  contains:
    cause:
      description: What is wrong.
      type: str
    evidence:
      description: The output of C(nvidia-smi) that shows it.
      type: str
    fix:
      description: What to do.
      type: str
hardware:
  description: The hardware on the PCI bus, independent of the driver.
  returned: always
  type: dict
  contains:
    gpus:
      description: PCI addresses of the NVIDIA GPUs.
      type: list
      elements: str
      sample: ["0000:18:00.0"]
    nvswitch:
      description:
        - V(pci) if there are NVSwitches that are PCI devices (up to HGX H200), V(nvlink5) if they are reached through
          ConnectX bridges (HGX B200), V(none) if there are none, or if they belong to the host of this virtual machine.
      type: str
fabric_manager:
  description: NVIDIA's Fabric Manager on this host.
  returned: always
  type: dict
  contains:
    version:
      description: Its version, or V(null).
      type: str
      sample: 580.95.05
    state:
      description: V(absent) if it is not installed, else the state of its systemd service, such as V(active).
      type: str
notes:
  description: Lines that nvidia-smi printed beside its report, such as a warning of a corrupted infoROM.
  returned: always
  type: list
  elements: str
gpus:
  description: The GPUs that the driver lists. A property that a GPU or the driver does not have is V(null).
  returned: always
  type: list
  elements: dict
  contains:
    index:
      description: Its number.
      type: int
    name:
      description: Its product name.
      type: str
      sample: NVIDIA B200
    uuid:
      description: Its identifier.
      type: str
    bus_id:
      description: Its PCI address.
      type: str
      sample: "0000:18:00.0"
    compute_cap:
      description: Its compute capability.
      type: str
      sample: "10.0"
    memory_total_mib:
      description: Its memory, in MiB.
      type: int
      sample: 183359
    memory_used_mib:
      description: Memory in use, in MiB.
      type: int
    persistence:
      description: Whether the driver keeps it initialised while it is idle.
      type: bool
    mig:
      description: Multi-instance mode, RV(ignore:current) and RV(ignore:pending); V(Enabled), V(Disabled) or V(null).
      type: dict
    ecc:
      description:
        - RV(ignore:enabled); errors since the driver was loaded, RV(ignore:volatile_uncorrected) and
          RV(ignore:volatile_corrected); errors of its lifetime, RV(ignore:aggregate_uncorrected).
        - Whether memory rows are pending to be remapped, RV(ignore:remapped_rows_pending), or could not be,
          RV(ignore:remapped_rows_failed).
        - Repairs that wait for a reset, RV(ignore:repairs_pending), a list of V(channel_repair) and V(tpc_repair);
          whether there is memory that cannot be repaired, RV(ignore:unrepairable).
      type: dict
    recovery_action:
      description: What the driver says must be done to recover the GPU, such as V(Reboot), or V(null) for nothing.
      type: str
    clocks:
      description:
        - RV(ignore:sm_mhz), RV(ignore:sm_max_mhz) and RV(ignore:memory_mhz), in MHz.
        - RV(ignore:event_reasons), why the clocks are not higher, such as V(gpu_idle) or V(hw_thermal_slowdown).
      type: dict
    power:
      description: RV(ignore:draw_w), RV(ignore:limit_w) and RV(ignore:default_limit_w), in watts.
      type: dict
    temperature_c:
      description: Its temperature, in degrees Celsius.
      type: int
    compute_mode:
      description: Who may use it, such as V(Default).
      type: str
    confidential:
      description: Whether it has memory that is protected by confidential computing.
      type: bool
    vgpu:
      description: Whether it is a virtual GPU, RV(ignore:guest), and the status of its RV(ignore:license) or V(null).
      type: dict
    pcie_width:
      description: The RV(ignore:current) and RV(ignore:max) lanes of its PCIe link.
      type: dict
    pcie_generation:
      description: The generation at which its PCIe link runs. It may be lower while the GPU is idle.
      type: int
    performance_state:
      description: V(P0) for full performance, up to V(P15).
      type: str
    fabric:
      description:
        - Whether it has joined the NVLink fabric, RV(ignore:state) and RV(ignore:status).
        - V(Completed) and V(Success) if so, both V(null) where there is no fabric.
        - RV(ignore:health) has the summary and the parts of its health, as nvidia-smi prints them or V(null).
      type: dict
    faults:
      description: Properties that it does not answer, each with what nvidia-smi prints instead.
      type: list
      elements: str
      sample: ["gpu_temp: ERR!"]
    nvlink:
      description: How many of its NVLinks are RV(ignore:active) and RV(ignore:inactive), or V(null) where it has none.
      type: dict
    processes:
      description: Processes that use it, each with RV(ignore:pid), RV(ignore:name) and RV(ignore:memory_mib).
      type: list
      elements: dict
"""


from ..module_utils._core.edge import Module, at_edge
from ..module_utils._nvidia.host import gpu_info


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(argument_spec={"timeout": {"type": "int", "default": 60}}, supports_check_mode=True)
    module.exit_json(changed=False, **gpu_info(module.params["timeout"]))


if __name__ == "__main__":
    main()
