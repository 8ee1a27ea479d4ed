# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory through the real ansible-inventory, against the loopback API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.tests.support import ansible_command
from ansible_collections.hgx.inference.tests.support.lambda_api_server import KEY, Fault, LambdaApi, LambdaServer

ROOT = Path(__file__).parents[4]
MANAGED = [{"key": "hgx-managed-by", "value": "hgx.inference"}, {"key": "hgx-owner", "value": "eve"}]


class Listing(dict[str, Any]):
    """What ansible-inventory has printed."""

    stderr = ""
    rc = 0

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self["_meta"]["hostvars"]
        return found


@pytest.fixture
def server() -> Iterator[LambdaServer]:
    with LambdaServer(LambdaApi()) as server:
        yield server


@pytest.fixture
def environment(server: LambdaServer, tmp_path: Path) -> dict[str, str]:
    names = ("HGX_NODE", "LAMBDA_API_KEY", "LAMBDA_API_URL")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, "HOME": str(tmp_path), "LAMBDA_API_URL": server.url, "LAMBDA_API_INTERVAL": "0"}


@pytest.fixture
def ask(environment: dict[str, str], tmp_path: Path) -> Callable[..., Listing]:
    def ask(settings: str | None = None, *args: str, **more: str) -> Listing:
        source = ROOT / "inventories" / "lambda"
        if settings is not None:
            source = tmp_path / "test.lambda_cloud.yml"
            source.write_text(f"plugin: hgx.inference.lambda_cloud\n{settings}")
        command = ["ansible-inventory", "-i", str(source), "--list", *args]
        done = ansible_command.run(command, env={**environment, **more})
        listing = Listing(json.loads(done.stdout) if done.stdout.startswith("{") else {})
        listing.stderr, listing.rc = done.stderr, done.returncode
        assert KEY not in done.stdout + done.stderr
        return listing

    return ask


def test_with_a_key(server: LambdaServer, ask: Callable[..., Listing], tmp_path: Path) -> None:
    server.api.add(name="ours", tags=MANAGED)
    server.api.add(name="theirs")
    server.api.add(name="booting", status="booting")
    listing = ask(LAMBDA_API_KEY=KEY, LAMBDA_API_INTERVAL="0.01", XDG_STATE_HOME=str(tmp_path))
    assert (tmp_path / "hgx-inference" / "lambda" / "pace-requests").exists(), "the modules' pace is its own, too"
    assert set(listing.hosts) == {"ours", "theirs"}
    assert listing["inference"]["hosts"] == ["ours"]
    variables = listing.hosts["ours"]
    assert variables["ansible_host"] == "198.18.0.1"
    assert variables["ansible_user"] == "ubuntu"
    assert variables["lambda_price_usd_per_hour"] == 45.92
    assert variables["lambda_owner"] == "eve"
    assert "ansible_user" not in listing.hosts["theirs"]


def test_with_an_address(ask: Callable[..., Listing]) -> None:
    listing = ask(HGX_NODE="203.0.113.7")
    assert listing.hosts["kimi"]["ansible_host"] == "203.0.113.7"
    assert listing["inference"]["hosts"] == ["kimi"]
    assert "WARNING" not in listing.stderr


def test_with_both(server: LambdaServer, ask: Callable[..., Listing]) -> None:
    server.api.add(name="ours", tags=MANAGED)
    listing = ask(LAMBDA_API_KEY=KEY, HGX_NODE="203.0.113.7")
    assert sorted(listing["inference"]["hosts"]) == ["kimi", "ours"]


@pytest.mark.parametrize("by", ["ip", "private_ip", "name", "id"])
def test_an_instance_that_is_named_is_no_second_host(
    server: LambdaServer, ask: Callable[..., Listing], by: str
) -> None:
    instance = server.api.add(name="theirs")
    listing = ask(LAMBDA_API_KEY=KEY, HGX_NODE=instance[by])
    assert list(listing.hosts) == listing["inference"]["hosts"] == ["theirs"]


def test_an_instance_may_bear_the_name_of_the_static_host(server: LambdaServer, ask: Callable[..., Listing]) -> None:
    server.api.add(name="kimi")
    listing = ask(LAMBDA_API_KEY=KEY, HGX_NODE="kimi")
    assert listing.hosts["kimi"]["ansible_host"] == "198.18.0.1"
    server.api.add(name="kimi")
    listing = ask(None, "--flush-cache", LAMBDA_API_KEY=KEY, HGX_NODE="203.0.113.7")
    assert listing["inference"]["hosts"] == ["kimi"]
    assert listing.hosts["kimi"]["ansible_host"] == "203.0.113.7"
    assert len(listing.hosts) == 3


def test_with_neither_it_says_what_to_set(ask: Callable[..., Listing]) -> None:
    listing = ask()
    hint = "Set LAMBDA_API_KEY to use the nodes of your Lambda account, or HGX_NODE to the address of one node."
    assert hint in listing.stderr.replace("\n", " ")
    assert hint in listing.hosts["kimi"]["ansible_host"]


def play(environment: dict[str, str], *args: str) -> tuple[int, str]:
    command = ["ansible", "inference", "-i", "inventories/lambda", "-m", "ansible.builtin.ping", *args]
    done = ansible_command.run(command, env=environment)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("key", "words"), [("", "Set LAMBDA_API_KEY to use"), (KEY, "Launch one with 'ansible-playbook playbooks/prov")]
)
def test_a_play_without_a_node_fails(environment: dict[str, str], key: str, words: str) -> None:
    rc, output = play({**environment, "LAMBDA_API_KEY": key})
    assert rc != 0
    assert words in output


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [
        ("regions: [us-west-1]", ["west"]),
        ("types: [gpu_1x_a10]", ["small"]),
        ("names: ['w*']", ["west"]),
        ("statuses: [booting]", ["new"]),
        ("statuses: []", ["east", "new", "small", "west"]),
        ("tags: {team: a}", ["east"]),
        ('hostname: "{{ lambda_name }}-{{ lambda_region }}"\ntags: {team: a}', ["east-us-east-1"]),
    ],
)
def test_filters(server: LambdaServer, ask: Callable[..., Listing], settings: str, hosts: list[str]) -> None:
    server.api.add(name="east", tags=[{"key": "team", "value": "a"}])
    server.api.add(name="west", region={"name": "us-west-1"})
    server.api.add(name="small", instance_type={"name": "gpu_1x_a10"})
    server.api.add(name="new", status="booting", ip=None)
    assert sorted(ask(settings, LAMBDA_API_KEY=KEY).hosts) == hosts


def test_private_addresses_and_constructed_groups(server: LambdaServer, ask: Callable[..., Listing]) -> None:
    server.api.add(name="east", private_ip="10.1.2.3")
    server.api.add(name="bare", private_ip=None)
    settings = """
connect_with: private
strict: true
compose: {half: lambda_gpus // 2}
groups: {big: half == 4}
keyed_groups: [{key: lambda_region, prefix: region}]
"""
    listing = ask(settings, LAMBDA_API_KEY=KEY)
    assert listing.hosts["east"]["ansible_host"] == "10.1.2.3"
    assert listing.hosts["east"]["half"] == 4
    assert "no private address" in listing.hosts["bare"]["ansible_host"]
    assert sorted(listing["big"]["hosts"]) == ["bare", "east"]
    assert sorted(listing["region_us_east_1"]["hosts"]) == ["bare", "east"]


def test_hostile_values_stay_data(
    server: LambdaServer, ask: Callable[..., Listing], environment: dict[str, str]
) -> None:
    evil = "{{ lookup('ansible.builtin.pipe', 'touch /tmp/hgx-evil') }}"
    names = [evil, "localhost", "inference", "-oProxyCommand=x", "twin", "twin"]
    tags = [{"key": "team", "value": evil}, *MANAGED]
    found = [server.api.add(name=name, tags=tags, hostname=evil, region={"name": evil}) for name in names]
    found.append(server.api.add(name="address", ip="-oProxyCommand=x", tags=MANAGED))
    listing = ask(LAMBDA_API_KEY=KEY)
    assert set(listing.hosts) == {*[one["id"] for one in found[:-1]], "address"}
    variables = listing.hosts[found[0]["id"]]
    assert variables["lambda_tags"]["team"] == variables["lambda_hostname"] == {"__ansible_unsafe": evil}
    assert "no public address" in listing.hosts["address"]["ansible_host"]
    show = ["-m", "ansible.builtin.debug", "-a", "msg={{ lambda_name ~ lambda_tags.team }}", "-l", found[0]["id"]]
    rc, output = play({**environment, "LAMBDA_API_KEY": KEY}, *show)
    assert rc == 0
    assert "{{ lookup(" in output
    assert not Path("/tmp/hgx-evil").exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("status", status=401, code="global/invalid-api-key", times=99), "Make a key in the Lambda console"),
        (Fault("status", status=429, times=99), "(429). Fault for Bearer ******** Other programs use the same key."),
        (Fault("malformed", times=99), "not what the API documents"),
        (Fault("cut_before", times=99), "Check the network, the proxy and api_url"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_an_api_that_fails_is_an_error_within_the_limit(
    server: LambdaServer, ask: Callable[..., Listing], fault: Fault, words: str
) -> None:
    server.faults = [fault]
    started = time.monotonic()
    listing = ask("api_timeout: 0.1", LAMBDA_API_KEY=KEY)
    assert time.monotonic() - started < 20  # with its start; without the limit it would go on for a minute
    assert listing.rc != 0
    assert words in " ".join(listing.stderr.split())


def test_an_address_that_is_none(ask: Callable[..., Listing]) -> None:
    listing = ask("static_hosts: {kimi: -oProxyCommand=reboot}")
    assert listing.rc != 0
    assert "is not an address" in " ".join(listing.stderr.split())


def test_two_hundred_instances_and_the_cache(server: LambdaServer, ask: Callable[..., Listing], tmp_path: Path) -> None:
    for _number in range(200):
        server.api.add(tags=MANAGED)
    for _run in range(3):
        assert len(ask(LAMBDA_API_KEY=KEY)["inference"]["hosts"]) == 200
    assert server.count("GET", "/instances") == 1
    cached = [path for path in (tmp_path / ".cache").rglob("*") if path.is_file()]
    assert cached
    text = "".join(path.read_text() for path in cached)
    assert KEY not in text
    assert "s3cret" not in text


def test_another_key_has_a_cache_of_its_own_and_a_flush_asks_again(
    server: LambdaServer, ask: Callable[..., Listing]
) -> None:
    server.api.add(name="ours", tags=MANAGED)
    ask(LAMBDA_API_KEY=KEY)
    server.api.add(name="new", tags=MANAGED)
    assert len(ask(LAMBDA_API_KEY=KEY).hosts) == 1
    assert ask(LAMBDA_API_KEY="another").rc != 0
    assert len(ask(None, "--flush-cache", LAMBDA_API_KEY=KEY).hosts) == 2


def test_the_key_is_not_shown_with_full_verbosity(server: LambdaServer, ask: Callable[..., Listing]) -> None:
    server.faults = [Fault("status", status=401)]
    listing = ask(f"api_key: {KEY}", "-vvvv")
    assert listing.rc != 0
    assert "********" in listing.stderr


def test_the_documentation_can_be_read() -> None:
    assert shutil.which("ansible-doc")
    done = subprocess.run(
        ["ansible-doc", "-t", "inventory", "hgx.inference.lambda_cloud"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
