# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes that do not fit together are refused before anything is stopped or loaded, with all findings in one message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import testinfra
from testinfra.host import Host

from ansible_collections.hgx.inference.tests.support import plays

HEAD: Host = testinfra.get_host("docker://hgx-span-a")
FOLLOWER: Host = testinfra.get_host("docker://hgx-span-b")
IMAGE = "hgx-inference/vllm-cpu:0.32.0"
# New connections only: those of the server that runs go on.
CLOSED = "INPUT -p tcp --syn --dport 29501 -j REJECT --reject-with tcp-reset"


@contextmanager
def closed_port() -> Iterator[None]:
    """Close the port at which the ranks meet, on the head."""
    HEAD.check_output(f"iptables -I {CLOSED}")
    try:
        yield
    finally:
        HEAD.check_output(f"iptables -D {CLOSED}")


@contextmanager
def other_image() -> Iterator[None]:
    """Give the image's name to another build, on the follower."""
    own = FOLLOWER.check_output(f"docker image inspect --format '{{{{.Id}}}}' {IMAGE}")
    FOLLOWER.check_output(f"echo 'FROM {IMAGE}\nLABEL other=1' | docker build --quiet --tag {IMAGE} -")
    try:
        yield
    finally:
        FOLLOWER.check_output(f"docker tag {own} {IMAGE}")


def started(host: Host) -> str:
    return str(host.check_output("docker inspect --format '{{.State.StartedAt}}' vllm"))


def test_the_temporary_containers_of_the_all_reduce_are_gone() -> None:
    for host in (HEAD, FOLLOWER):
        assert host.check_output("docker ps --all --format '{{.Names}}'").split() == ["vllm"]


def test_wrong_interface_closed_port_and_other_image_are_refused_in_one_message() -> None:
    before = [started(HEAD), started(FOLLOWER)]
    with closed_port(), other_image():
        rc, output = plays.play("span", "serve", vllm_env_extra={"GLOO_SOCKET_IFNAME": "eth9"})
    output = " ".join(output.split())
    assert rc == 2, output
    assert "The nodes of span_tiny (hgx-span-a, hgx-span-b) do not fit together" in output
    message = output[output.index("do not fit together") :].partition("PLAY RECAP")[0]
    for words in (
        "hgx-span-a: GLOO_SOCKET_IFNAME is 'eth9'",
        "hgx-span-b: GLOO_SOCKET_IFNAME is 'eth9'",
        "hgx-span-b cannot reach hgx-span-a at port 29501 (Connection refused)",
        f"one image {IMAGE} on all nodes",
        "hgx-span-a has the findings",
    ):
        assert words in message, output
    assert [started(HEAD), started(FOLLOWER)] == before
