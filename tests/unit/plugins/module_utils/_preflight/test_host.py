# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking at this very machine: ports, disks, the network, and a cache, all made for the purpose."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._core.process import Answer
from ansible_collections.hgx.inference.plugins.module_utils._docker import registry
from ansible_collections.hgx.inference.plugins.module_utils._docker.cli import Completed
from ansible_collections.hgx.inference.plugins.module_utils._preflight import downloads
from ansible_collections.hgx.inference.plugins.module_utils._preflight import host as _preflight_host
from ansible_collections.hgx.inference.plugins.module_utils._preflight.facts import Needs
from ansible_collections.hgx.inference.plugins.module_utils._preflight.host import Engine, Places

COMMIT = "a" * 40
BLOB = "b" * 64
OWN = {"Id": "c" * 64, "HostConfig": {"PortBindings": {"8001/tcp": [{"HostIp": "127.0.0.1", "HostPort": "PORT"}]}}}


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_is_held_by_a_process(listener: int) -> None:
    trouble = _preflight_host.port_trouble("127.0.0.1", listener, None)
    comm = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    assert trouble == f"taken by {comm} (pid {os.getpid()})"


def test_our_own_servers_port_is_free(listener: int) -> None:
    container = json.loads(json.dumps(OWN).replace("PORT", str(listener)))
    assert _preflight_host.port_trouble("127.0.0.1", listener, container) is None
    assert _preflight_host.port_trouble("127.0.0.1", listener, OWN) is not None
    on_host = {"HostConfig": {"NetworkMode": "host"}, "Config": {"Cmd": ["vllm", "serve", "--port", str(listener)]}}
    assert _preflight_host.port_trouble("127.0.0.1", listener, on_host) is None


def test_an_address_in_brackets() -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.bind(("::1", 0))
        server.listen()
        trouble = _preflight_host.port_trouble("[::1]", server.getsockname()[1], None)
    assert trouble and trouble.endswith(f"(pid {os.getpid()})")


def test_a_free_port() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    assert _preflight_host.port_trouble("127.0.0.1", port, None) is None


def test_an_address_that_this_machine_does_not_have(listener: int) -> None:
    """Whoever listens at this port of another address has nothing to do with it."""
    trouble = _preflight_host.port_trouble("192.0.2.1", listener, None)
    assert trouble == "not available on this host (Cannot assign requested address)"


def cached(home: Path, blob_bytes: int, record: bool) -> Needs:
    """Write a cache with one model of 1,000,000 bytes, of which C(blob_bytes) are there."""
    root = home / "hub" / "models--org--model"
    for name in ("refs", "trees", "blobs", f"snapshots/{COMMIT}"):
        (root / name).mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    if record:
        entry = {"size": 1_000_000, "blob_id": "d" * 40, "lfs_sha256": BLOB, "lfs_size": 1_000_000}
        record_text = json.dumps({"format_version": 1, "files": {"w.bin": entry}})
        (root / "trees" / f"{COMMIT}.json").write_text(record_text)
    if blob_bytes:
        (root / "blobs" / BLOB).write_bytes(b"x" * blob_bytes)
        (root / "snapshots" / COMMIT / "w.bin").symlink_to(f"../../blobs/{BLOB}")
    return Needs(hf_home=str(home), weights_gb=0.001)


PLACES = Places(models=(("org/model", "main"),), image="img:1", hub="http://hub.example")


@pytest.mark.parametrize(("blob_bytes", "expected"), [(1_000_000, 0), (0, 1_000_000)])
def test_missing_bytes_with_a_record(tmp_path: Path, blob_bytes: int, expected: int) -> None:
    assert _preflight_host._cached(cached(tmp_path, blob_bytes, record=True), PLACES) == (expected, blob_bytes)


@pytest.mark.parametrize(
    ("blob_bytes", "low", "high"), [(1_000_000, 0, 0), (0, 1_000_000, 1_000_000), (400_000, 590_000, 1_000_000)]
)
def test_missing_bytes_without_a_record(tmp_path: Path, blob_bytes: int, low: int, high: int) -> None:
    missing, _present = _preflight_host._cached(cached(tmp_path, blob_bytes, record=False), PLACES)
    assert missing is not None
    assert low <= missing <= high


def test_nothing_is_known_of_a_cache_that_is_not_named() -> None:
    assert _preflight_host._cached(Needs(), PLACES) == (None, 0)


def test_the_hub_tells_a_size_that_the_recipe_does_not_know(tmp_path: Path) -> None:
    unknown = replace(cached(tmp_path, 400_000, record=False), weights_gb=0)
    missing, present = _preflight_host._cached(unknown, PLACES)
    assert missing is None
    name = "org/model at main"
    by_hub = _preflight_host._missing_by_hub(PLACES, {name: registry.Answer("present", "", 1_000_000)}, present)
    assert by_hub == 1_000_000 - present
    assert _preflight_host._missing_by_hub(PLACES, {name: registry.Answer("present", "")}, present) is None
    assert _preflight_host._missing_by_hub(PLACES, {}, present) is None


def test_the_models_own_config_is_read(tmp_path: Path) -> None:
    needs = cached(tmp_path, 0, record=True)
    assert _preflight_host._model_config(needs, PLACES) is None
    config = tmp_path / "hub" / "models--org--model" / "snapshots" / COMMIT / "config.json"
    config.write_text('{"hidden_size": 1}', encoding="utf-8")
    assert _preflight_host._model_config(needs, PLACES) == {"hidden_size": 1}
    config.write_text("[", encoding="utf-8")
    assert _preflight_host._model_config(needs, PLACES) is None


def test_docker_hubs_mirror() -> None:
    mirrors = ("https://mirror.example/", "https://other.example/")
    assert _preflight_host.registry_url("ubuntu", mirrors) == "https://mirror.example/v2/"
    assert _preflight_host.registry_url("ghcr.example/a", mirrors) == "https://ghcr.example/v2/"


def test_the_ports_of_several_servers(listener: int) -> None:
    own = json.loads(json.dumps(OWN).replace("PORT", str(listener)))
    assert _preflight_host._ports_trouble(Needs(ports=(listener,)), [own]) is None
    trouble = _preflight_host._ports_trouble(Needs(ports=(listener, 1)), [])
    assert trouble is not None
    assert trouble.startswith(f"{listener}: taken by ")


@pytest.mark.parametrize(
    ("settings", "data_root", "root", "present"),
    [
        ({}, "", "/var/lib/docker", True),
        ({"DockerRootDir": "/data"}, "/data", "/data", True),
        ({}, "/data", "/data", False),  # it is about to move, and the image stays behind
        ({"DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}, "/data", "/var/lib/containerd", True),
    ],
)
def test_where_images_are(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], data_root: str, root: str, present: bool
) -> None:
    info = {"DockerRootDir": "/var/lib/docker", **settings}
    answers = {"info": Completed(0, json.dumps(info), ""), "image": Completed(0, "present", "")}
    missing = Completed(1, "", "no such container")
    monkeypatch.setattr(_preflight_host, "run_docker", lambda args, **_more: answers.get(args[0], missing))
    engine = _preflight_host._engine(Places(image="i", docker_data_root=data_root))
    assert (engine.root, engine.image_present) == (root, present)


def test_an_engine_with_a_proxy_and_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    info = {"RegistryConfig": {"Mirrors": ["https://mirror.example/"]}, "HttpsProxy": "http://proxy.example"}
    answers = {"info": Completed(0, json.dumps(info), "")}
    missing = Completed(1, "", "no such image")
    monkeypatch.setattr(_preflight_host, "run_docker", lambda args, **_more: answers.get(args[0], missing))
    engine = _preflight_host._engine(PLACES)
    assert _preflight_host._wanted_urls(Needs(), PLACES, engine, 0) == []
    without = replace(engine, has_proxy=False)
    assert _preflight_host._wanted_urls(Needs(), PLACES, without, 0) == ["https://mirror.example/v2/"]


class Answers(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as answers:
        threading.Thread(target=answers.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{answers.server_port}"
        answers.shutdown()


def test_reachability(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    urls = [f"{server}/200", f"{server}/401", f"{server}/404", f"{server}/503", nobody, "nonsense://x"]
    there = registry.Answer("present", "")
    reached, silent, answers = _preflight_host._ask_sources(urls, {"a model": lambda: there})
    assert reached == tuple(urls[:3])
    assert silent[urls[3]] == "status 503"
    assert "refused" in silent[nobody].lower()
    assert "unknown url type" in silent["nonsense://x"]
    assert answers == {"a model": there}
    assert _preflight_host._ask_sources([], {}) == ((), {}, {})


def test_a_registry_without_tls_answers() -> None:
    """The engine's settings say whether that is wanted; of the hub it is a fault."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        address = f"https://127.0.0.1:{server.server_address[1]}"
        reached, silent, _answers = _preflight_host._ask_sources([f"{address}/v2/", f"{address}/200"], {})
        server.shutdown()
    assert reached == (f"{address}/v2/",)
    assert "SSL" in silent[f"{address}/200"]


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As seen with one: a look-up goes on for 20 s, whatever the time limit of the request."""
    answered = threading.Event()
    monkeypatch.setattr(downloads, "ALL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(_preflight_host, "unreachable", lambda url: None if "quick" in url else str(answered.wait(60)))
    started = time.monotonic()
    urls = ["http://quick", "http://slow", "http://slower"]
    reached, silent, answers = _preflight_host._ask_sources(
        urls, {"a model": lambda: registry.Answer("", str(answered.wait(60)))}
    )
    answered.set()
    assert time.monotonic() - started < 10
    assert reached == ("http://quick",)
    assert set(silent) == {"http://slow", "http://slower"}
    assert "does the name server answer" in silent["http://slow"]
    assert answers == {}


@pytest.mark.parametrize("unattended", [True, False])
def test_packages_that_are_unfinished_or_may_be_upgraded(unattended: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = (
        "install ok half-configured\tlinux-headers\n"
        "install ok installed\tlibnvidia-compute-580\n"
        "hold ok installed\tnvidia-dkms-580-open\n"
        "install ok installed\tlibnvidia-container1\n"
        "deinstall ok config-files\tnvidia-driver-570\n"
    )
    listed += "install ok installed\tunattended-upgrades\n" if unattended else ""
    monkeypatch.setattr(_preflight_host, "run", lambda _command, _timeout_s: Answer(0, listed))
    broken, upgraded = _preflight_host._packages()
    assert broken == ("linux-headers is half-configured",)
    assert upgraded == (("libnvidia-compute-580",) if unattended else ())


@pytest.mark.parametrize(
    ("engine", "missing", "asked"),
    [
        (Engine(True, "/", (), False), 5, ["img:1", "org/model at main"]),
        (Engine(True, "/", (), True), 0, []),
        # Behind the engine's own proxy it cannot be tried from here.
        (Engine(True, "/", (), False, has_proxy=True), None, ["org/model at main"]),
    ],
)
def test_what_is_asked_of_registry_and_hub(
    engine: Engine, missing: int | None, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert list(_preflight_host._questions(PLACES, engine, missing)) == asked


@pytest.mark.parametrize(("is_built", "asked"), [(False, ["a==1", "b==2"]), (True, [])])
def test_an_index_is_only_asked_for_what_is_not_built(
    is_built: bool, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    places = replace(PLACES, image_pip=("a==1", "b==2"))
    engine = Engine(True, "/", (), True, is_built=is_built)
    assert list(_preflight_host._questions(places, engine, 0)) == asked


def test_a_built_image_is_known_by_its_base_and_its_packages() -> None:
    places = replace(PLACES, image="vllm/vllm-openai:cu130-nightly", image_pip=("transformers==4.57.6",))
    assert _preflight_host._built(places) == "reference=hgx-inference/*:*-c0eaf6e7401f"


def test_a_registry_with_a_login_is_not_asked_as_a_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"auths": {"https://index.docker.io/v1/": {}}}')
    assert list(_preflight_host._questions(PLACES, Engine(True, "/", (), False), 0)) == []


def wanted(needs: Needs, places: Places, monkeypatch: pytest.MonkeyPatch, **engine: bool) -> list[str]:
    monkeypatch.setenv("PATH", "/nonexistent")
    state = Engine(engine.get("answers", True), "/var/lib/docker", (), engine.get("image_present", True))
    return _preflight_host._wanted_urls(needs, places, state, 0)


def test_only_what_will_be_needed_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    places = replace(PLACES, driver_repository="https://driver.example", toolkit_repository="https://ctk.example")
    assert wanted(Needs(), places, monkeypatch) == []
    assert wanted(Needs(), places, monkeypatch, image_present=False) == ["https://registry-1.docker.io/v2/"]
    # Without a container toolkit NVIDIA's packages are needed, but only where there shall be GPUs.
    assert wanted(Needs(gpu_count=8), places, monkeypatch) == ["https://ctk.example"]
    install = Needs(gpu_count=8, install_driver=True)
    assert wanted(install, places, monkeypatch) == ["https://driver.example", "https://ctk.example"]
    assert _preflight_host._wanted_urls(Needs(), PLACES, Engine(True, "/", (), True), 5) == ["http://hub.example"]


@pytest.mark.parametrize(
    ("lists", "policy", "expected"),
    [
        (False, "", None),  # no package lists yet
        (True, "", False),
        (True, "linux-headers-x:\n  Installed: (none)\n  Candidate: (none)\n", False),
        (True, "linux-headers-x:\n  Installed: (none)\n  Candidate: 6.8.0\n", True),
    ],
)
def test_kernel_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lists: bool, policy: str, expected: bool | None
) -> None:
    if lists:
        (tmp_path / "mirror_dists_noble_main_Packages.lz4").touch()
    monkeypatch.setattr(_preflight_host, "_APT_LISTS", str(tmp_path))
    monkeypatch.setattr(_preflight_host.platform, "release", lambda: "no-such-kernel")
    monkeypatch.setattr(_preflight_host, "run", lambda _argv, _timeout_s: Answer(0, policy))
    assert _preflight_host._headers() is expected


def test_the_file_system_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    volumes = _preflight_host._volumes()
    volume = _preflight_host._volume_of(str(tmp_path / "not" / "yet"), volumes)
    assert volume.folder == str(tmp_path / "not" / "yet")
    assert os.path.ismount(volume.mount)
    assert volume.free_bytes > 0


def test_a_look_at_this_machine() -> None:
    host = _preflight_host.look(Needs(hf_home="/"), Places(containers=("no-such-container",), controller_time=0.0))
    assert host.os_id
    assert host.memory_bytes > 0
    assert host.shm_bytes > 0
    assert host.skew_s is not None
    assert host.skew_s > 1_000_000
    assert set(host.volumes) == {"weights", "images"}
    assert host.own_pids == frozenset()
