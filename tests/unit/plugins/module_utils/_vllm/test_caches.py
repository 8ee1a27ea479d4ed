# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What starts compile: where it is kept, for whom, and how much of it."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm import caches, release

IMAGE = f"sha256:{'1a2b3c4d5e6f' * 5}0123"
MOUNTS = ["/srv/hf:/root/.cache/huggingface:ro", "/srv/vllm/cache:/root/.cache/vllm:rw"]
B200 = {"name": "NVIDIA B200"}


@pytest.mark.parametrize(
    ("gpus", "driver", "name"),
    [
        ([B200] * 8, "580.95.05", "NVIDIA-B200_580.95.05_1a2b3c4d5e6f"),
        ([{"name": "NVIDIA L4"}, B200], "570.1", "NVIDIA-B200_NVIDIA-L4_570.1_1a2b3c4d5e6f"),
        ([{"name": "../x y"}], None, "..-x-y_None_1a2b3c4d5e6f"),
        ([], None, "cpu_1a2b3c4d5e6f"),
    ],
)
def test_each_image_kind_of_gpu_and_driver_has_its_own(
    gpus: list[dict[str, Any]], driver: str | None, name: str
) -> None:
    assert caches.folder_name(IMAGE, gpus, driver) == name


def test_what_the_settings_say_stays() -> None:
    ours = caches.variables("here", MOUNTS, {"TRITON_CACHE_DIR": "/elsewhere"})
    assert (ours["VLLM_CACHE_ROOT"], ours["CUDA_CACHE_PATH"]) == (
        "/root/.cache/vllm/here",
        "/root/.cache/vllm/here/cuda",
    )
    assert "TRITON_CACHE_DIR" not in ours
    assert all(caches.is_ours(f"{name}={value}") for name, value in ours.items())
    assert not caches.is_ours("TRITON_CACHE_DIR=/elsewhere")
    assert caches.variables("here", MOUNTS[:1], {}) == {}, "a container without that mount keeps nothing"


def test_a_server_with_caches_is_the_release_of_one_without() -> None:
    spec = release.normalize({"image": "some/image:tag", "command": ["serve"], "mounts": MOUNTS, "env": {"A": "1"}})
    words = release.create_args(
        "vllm", {"id": "0123456789ab", "container": spec}, "some/image:tag", False, None, "here"
    )
    given = [word for option, word in itertools.pairwise(words) if option == "--env"]
    assert "VLLM_CACHE_ROOT=/root/.cache/vllm/here" in given
    container = {
        "Config": {"Image": "some/image:tag", "Env": given, "Entrypoint": ["/bin/sh"], "Cmd": []},
        "HostConfig": {"Binds": MOUNTS},
    }
    assert release.observed(container, [], spec)["env"] == {"A": "1"}


def test_the_newest_stay_up_to_the_limit(tmp_path: Path) -> None:
    for age, (name, size) in enumerate({"before": 300, "older": 5, "oldest": 5, "hf_modules": 900}.items(), 1):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").write_bytes(b"x" * size)
        os.utime(tmp_path / name, (10_000 - age, 10_000 - age))
    assert caches.make_room(str(tmp_path), "next", 1000) == ["older", "oldest"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before", "hf_modules", "next"]
    (tmp_path / "next" / "file").write_bytes(b"x" * 800)
    assert caches.make_room(str(tmp_path), "next", 1000) == ["before"]
    assert (tmp_path / "next" / "file").exists()
    assert caches.make_room(str(tmp_path), "next", 100) == ["next"]
    assert list((tmp_path / "next").iterdir()) == []


class TestBroken:
    """What earlier starts have compiled breaks a start."""

    STARTED_AT = 20_000.0

    def folder(self, root: Path, written_at: float) -> Path:
        folder = root / "cpu_1a2b3c4d5e6f"
        (folder / "torch_compile_cache").mkdir(parents=True)
        (folder / "torch_compile_cache" / "graph").write_bytes(b"x")
        os.utime(folder / "torch_compile_cache" / "graph", (written_at, written_at))
        return folder

    def test_it_is_set_aside_once_until_a_start_has_succeeded(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, 10_000)
        aside = caches.set_aside(str(folder), self.STARTED_AT)
        assert (Path(aside) / "torch_compile_cache" / "graph").exists()
        assert list(folder.iterdir()) == []
        os.utime(folder, (10_000, 10_000))
        (folder / "graph").write_bytes(b"x")
        os.utime(folder / "graph", (10_000, 10_000))
        assert caches.set_aside(str(folder), self.STARTED_AT) == ""
        caches.succeeded(str(folder))
        assert not Path(aside).exists()
        assert caches.set_aside(str(folder), self.STARTED_AT) == aside

    def test_what_this_start_has_compiled_is_not_of_an_earlier_one(self, tmp_path: Path) -> None:
        assert caches.set_aside(str(self.folder(tmp_path, 30_000)), self.STARTED_AT) == ""
        assert caches.set_aside("", self.STARTED_AT) == ""

    def test_it_goes_with_its_folder_and_takes_nobodys_place(self, tmp_path: Path) -> None:
        for name, age in {"a": 3, "a.aside": 1, "b": 2}.items():
            (tmp_path / name).mkdir()
            os.utime(tmp_path / name, (10_000 - age, 10_000 - age))
        assert caches.make_room(str(tmp_path), "b", 1000) == []
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.aside", "b"]
        assert caches.make_room(str(tmp_path), "c", 1000) == ["a"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]

    @pytest.mark.parametrize(
        ("env", "destination", "found"),
        [
            (["A=1", "VLLM_CACHE_ROOT=/root/.cache/vllm/here"], "/root/.cache/vllm", "/srv/cache/here"),
            (["VLLM_CACHE_ROOT=/elsewhere"], "/root/.cache/vllm", ""),
            (["VLLM_CACHE_ROOT=/root/.cache/vllm/here"], "/elsewhere", ""),
            (None, "/root/.cache/vllm", ""),
        ],
    )
    def test_where_a_container_keeps_it(self, env: list[str] | None, destination: str, found: str) -> None:
        mounts = [{"Source": "/srv/cache", "Destination": destination}]
        assert caches.folder_of({"Config": {"Env": env}, "Mounts": mounts}) == found
        assert caches.folder_of({"Config": {"Env": env}}) == ""
