# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image builder's decisions. That its image serves is shown by the demo itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.hgx.inference.demo import build_cpu_image
from ansible_collections.hgx.inference.demo.build_cpu_image import (
    VERSIONS,
    BuildError,
    digest,
    image_pip_conf,
    local_path,
    local_sources,
    pip_settings,
    step,
    suite_sources,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(build_cpu_image, "LOGS", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://mirror.example/simple", None),
        ("file:///srv/simple", Path("/srv/simple")),
        ("/srv/wheels", Path("/srv/wheels")),
        ("~/wheels", Path.home() / "wheels"),
    ],
)
def test_local_path(source: str, expected: Path | None) -> None:
    assert local_path(source) == expected


def test_pip_settings_of_files_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(build_cpu_image.os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://user:p%40ss@mirror.example/simple\ntrusted-host = mirror.example\n"
        "[install]\nextra-index-url =\n  https://a.example\n  https://b.example\n"
    )
    monkeypatch.setenv("PIP_TRUSTED_HOST", "other.example")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "90")

    settings = pip_settings()

    assert settings["index-url"] == "https://user:p%40ss@mirror.example/simple"
    assert settings["extra-index-url"] == "https://a.example https://b.example"
    assert settings["trusted-host"] == "other.example"
    assert settings["timeout"] == "90"


def test_the_image_gets_only_sources_in_the_network() -> None:
    conf = image_pip_conf(
        {
            "index-url": "https://mirror.example/simple",
            "extra-index-url": "file:///srv/simple https://b.example",
            "find-links": "/srv/wheels",
            "trusted-host": "mirror.example",
        }
    )
    assert conf.splitlines() == [
        "[global]",
        "cert = /etc/ssl/certs/ca-certificates.crt",
        "index-url = https://mirror.example/simple",
        "extra-index-url = https://b.example",
        "trusted-host = mirror.example",
    ]


def test_the_build_sees_the_sources_on_this_disk(tmp_path: Path) -> None:
    for name in ("wheels", "index/simple"):
        (tmp_path / name).mkdir(parents=True)
    settings = {
        "find-links": f"{tmp_path}/wheels {tmp_path}/absent https://links.example",
        "extra-index-url": f"file://{tmp_path}/index/simple",
    }
    assert local_sources(settings) == {tmp_path / "wheels", tmp_path / "index"}


def test_a_step_says_how_long_it_took(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step("Base system", [sys.executable, "-c", "print('made')"], "")
    assert capsys.readouterr().out == "image | Base system: done in 0 s\n"
    assert (logs / "base-system.log").read_text() == "made\n"


def test_a_step_that_fails_shows_its_log_and_a_way_out(logs: Path) -> None:
    with pytest.raises(BuildError) as failure:
        step("torch", [sys.executable, "-c", "print('no space left'); raise SystemExit(3)"], "Make room.")
    message = str(failure.value)
    assert "torch failed (exit code 3)" in message
    assert f"The end of {logs}/torch.log:\nno space left\nMake room." in message


def test_a_step_shows_its_last_line_meanwhile(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if "Collecting x" in text:
            (logs / "shown").touch()

    monkeypatch.setattr(build_cpu_image, "PROGRESS_S", 0.1)
    monkeypatch.setattr(build_cpu_image, "say", say)
    step("pip", ["sh", "-c", f"echo Collecting x; until [ -e '{logs}/shown' ]; do sleep 0.05; done"], "")
    assert any(text.endswith(" s, Collecting x") for text in said)
    assert said[-1].startswith("pip: done in")


def test_another_suite_comes_from_the_same_servers(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = tmp_path / "debian.sources"
    sources.write_text(
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\n"
        "Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\n"
    )
    monkeypatch.setattr(build_cpu_image, "apt_sources", lambda: sources)
    monkeypatch.setattr(build_cpu_image, "suite", lambda: "bookworm")

    assert suite_sources("bookworm") == sources
    translated = suite_sources("trixie")
    assert translated == logs / "trixie.sources"
    assert translated.read_text() == sources.read_text().replace("bookworm", "trixie")


def test_a_base_system_alone(logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(build_cpu_image, "image_inputs", lambda _image: "")
    build_cpu_image.build(None, "trixie", force=False, check=True)
    assert capsys.readouterr().out == "image | hgx-inference/base:trixie must be built\n"


def test_versions_of_one_torch_share_its_layer() -> None:
    def of(version: str) -> list[build_cpu_image.Layer]:
        return build_cpu_image.layers(version, "hgx-inference/base:bookworm", "inputs of the base")

    older, newer, oldest = of("0.22.1"), of("0.25.1"), of("0.19.1")
    assert older[0].image == newer[0].image == "hgx-inference/torch:2.11.0-bookworm"
    assert older[0].inputs == newer[0].inputs
    assert older[0].inputs != oldest[0].inputs
    assert older[1].image == "hgx-inference/vllm-cpu:0.22.1"
    assert len({layer.inputs for version in (older, newer, oldest) for layer in version}) == 5


def test_an_image_that_is_up_to_date_needs_no_layers(
    logs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted: dict[str, str] = {}
    monkeypatch.setattr(build_cpu_image, "image_inputs", lambda image: wanted.get(image, ""))
    base_inputs = digest(
        "bookworm", image_pip_conf(pip_settings()), *build_cpu_image.PACKAGES, *build_cpu_image.LEFT_OUT
    )
    image = build_cpu_image.layers("0.19.1", "hgx-inference/base:bookworm", base_inputs)[1]
    wanted[image.image] = image.inputs
    build_cpu_image.build("0.19.1", "bookworm", force=False, check=False)
    assert capsys.readouterr().out == "image | hgx-inference/vllm-cpu:0.19.1 is up to date\n"


def test_every_version_is_one_of_the_recipe() -> None:
    recipe = yaml.safe_load((ROOT / "recipes/tiny_kimi_cpu.yml").read_text(encoding="utf-8"))
    versions = VERSIONS["versions"]
    assert VERSIONS["newest"] == recipe["image"]["tag"] == list(versions)[-1]
    assert {needs["profile"] for needs in versions.values()} <= set(recipe["profiles"])
    assert all(set(needs) == {"torch", "pip", "profile", "env", "note"} for needs in versions.values())
