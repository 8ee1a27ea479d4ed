#!/usr/bin/python
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module C(span_probe)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: span_probe
short_description: Find out whether the nodes of one server reach each other, and what each of them has
version_added: 0.3.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Listens for the other nodes and calls them at the same time, so it must run on all nodes at once. It ends by itself.
  - Both sides of a connection prove by O(nonce) that they belong to one play.
  - Judges nothing, which the filter P(hgx.inference.span_verdict#filter) does for all nodes together. Changes nothing.
options:
  rank:
    description: Rank of this host.
    type: int
    required: true
  addresses:
    description: Addresses of all ranks. The network to a rank whose address is empty is not tried.
    type: list
    elements: str
    required: true
  ports:
    description:
      - Ports to listen at and to call, first that of the head. The last one must be one that no program uses, such as a
        random one.
    type: list
    elements: int
    required: true
  nonce:
    description: A secret of this play.
    type: str
    required: true
  timeout:
    description: How long another node may take to appear, in seconds.
    type: int
    default: 60
  container:
    description: Name of the server's container. A port that it holds is not occupied by another program.
    type: str
    default: vllm
  variables:
    description: The environment of the server. Its variables that name an address or an interface are reported.
    type: dict
    default: {}
  image:
    description: Name of the image.
    type: str
    required: true
  hf_home:
    description: The folder of the Hugging Face cache.
    type: path
    required: true
  commits:
    description: Repository to commit of the weights.
    type: dict
    default: {}
extends_documentation_fragment: [hgx.inference._attributes.info]
"""

EXAMPLES = r"""
- name: Try the network between the nodes
  hgx.inference.span_probe:
    rank: "{{ vllm_span.rank }}"
    addresses: "{{ vllm_span.addresses }}"
    ports: [29501, 41234]
    nonce: "{{ nonce }}"
    image: vllm/vllm-openai:v0.25.1
    hf_home: /home/ubuntu/.cache/huggingface
  register: probe
"""

RETURN = r"""
address:
  description: The address of this host between the nodes; empty if it is not known.
  returned: success
  type: str
interfaces:
  description: C(name), C(address) and C(mtu) for each IPv4 address of the host.
  returned: success
  type: list
  elements: dict
variables:
  description: Those variables of the server that name an address or an interface.
  returned: success
  type: dict
listening:
  description: For each of O(ports) why it cannot be listened at, or an empty text.
  returned: success
  type: dict
peers:
  description: What was found out about each other rank.
  returned: success
  type: dict
  contains:
    ports:
      description: For each of O(ports) why it cannot be reached, or an empty text.
      type: dict
    transfer:
      description: Why a transfer of 1 MiB in both directions failed, or an empty text.
      type: str
    offset_s:
      description: By how many seconds the clock of the other node is ahead, give or take half of RV(peers.rtt_s).
      type: float
    rtt_s:
      description: Time between question and answer, in seconds.
      type: float
    datagram_mtu:
      description: Size of the largest packet that passed unfragmented, in bytes; V(0) if no datagram was answered.
      type: int
own_server:
  description: Whether the container is a server of ours that runs.
  returned: success
  type: bool
driver:
  description: Version of the NVIDIA driver, empty if there is none.
  returned: success
  type: str
gpus:
  description: Names of the GPUs.
  returned: success
  type: list
  elements: str
image:
  description: What the image is known by, its digest for one from a registry. Empty if it is not on the host.
  returned: success
  type: str
image_name:
  description: Name of the image.
  returned: success
  type: str
weights:
  description: Repository to a digest of the files in the cache, empty if there is none.
  returned: success
  type: dict
rdma:
  description: C(name) of each RDMA device, and whether it has an C(active) port.
  returned: success
  type: list
  elements: dict
gpudirect:
  description: By what RDMA devices reach the memory of GPUs, or an empty text.
  returned: success
  type: str
memlock:
  description: How many bytes a container may lock, V(-1) without a limit, V(null) if that is unknown.
  returned: success
  type: int
"""

from contextlib import suppress
from typing import Any

from ..module_utils._core.edge import Module, at_edge
from ..module_utils._docker.build import image_identity
from ..module_utils._docker.cli import DockerError, inspect_container, inspect_image
from ..module_utils._span import host
from ..module_utils._span.judge import VARIABLES
from ..module_utils._span.probe import LIMITS, Node, mtu_of
from ..module_utils._vllm.gpus import read_report
from ..module_utils._vllm.release import LABEL


@at_edge
def main() -> None:
    """Run the module."""
    module = Module(
        argument_spec={
            "rank": {"type": "int", "required": True},
            "addresses": {"type": "list", "elements": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "required": True},
            "nonce": {"type": "str", "required": True, "no_log": True},
            "timeout": {"type": "int", "default": 60},
            "container": {"type": "str", "default": "vllm"},
            "variables": {"type": "dict", "default": {}},
            "image": {"type": "str", "required": True},
            "hf_home": {"type": "path", "required": True},
            "commits": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    rank, addresses = params["rank"], params["addresses"]
    if not 0 <= rank < len(addresses) or not params["ports"]:
        module.fail_json(msg=f"There is no rank {rank} among {len(addresses)} addresses, or no port to try.")
    interfaces = host.interfaces()
    listening: dict[str, str] = {}
    peers: dict[str, Any] = {}
    if addresses[rank]:
        limits = LIMITS._replace(appear_s=float(params["timeout"]))
        mtu = mtu_of(interfaces, addresses[rank])
        listening, peers = Node(rank, addresses, params["ports"], params["nonce"], mtu, limits).run()
    report = read_report()
    module.exit_json(
        changed=False,
        address=addresses[rank],
        interfaces=interfaces,
        variables={name: str(value) for name, value in params["variables"].items() if name in VARIABLES},
        listening=listening,
        peers=peers,
        driver=report["driver_version"] or "",
        gpus=[gpu["name"] for gpu in report["gpus"]],
        image_name=params["image"],
        weights=host.weights(params["hf_home"], params["commits"]),
        rdma=host.rdma_devices(),
        gpudirect=host.gpudirect(),
        memlock=host.memory_lock_limit(),
        **_of_engine(params["container"], params["image"]),
    )


def _of_engine(container: str, image: str) -> dict[str, Any]:
    """Return what only the Docker engine knows, which an early check runs without."""
    with suppress(DockerError):
        details = inspect_container(container) or {}
        labels = (details.get("Config") or {}).get("Labels") or {}
        runs = bool((details.get("State") or {}).get("Running")) and LABEL in labels
        return {"own_server": runs, "image": image_identity(inspect_image(image))}
    return {"own_server": False, "image": ""}


if __name__ == "__main__":
    main()
