# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proof is what was signed, to the byte, and tells how another one differs."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._proof.collect import ProofError, collect
from ansible_collections.hgx.inference.plugins.plugin_utils._proof import archive
from ansible_collections.hgx.inference.plugins.plugin_utils._proof.compare import compare, text

GPU = {
    "index": 0,
    "name": "NVIDIA B200",
    "sm_max_mhz": 1965,
    "power_limit_w": 1000.0,
    "memory_total_mib": 183359,
    "slowed_by": ["gpu_idle"],
    "pcie_width": {"current": 16, "max": 16},
}
CONTENT: dict[str, Any] = {
    "release": {
        "id": "a" * 12,
        "recipe": "kimi",
        "profile": "published",
        "collection_version": "0.3.0",
        "image": {"name": "vllm/vllm-openai:v0.20.2", "digest": "sha256:1"},
        "container": {"image": "x", "command": ["--model", "m", "--speculative-config", "{}"], "env": {"A": "1"}},
        "commits": {"org/model": "1" * 40},
    },
    "benchmark": {
        "verdict": "pass",
        "finished_at": "2026-11-30T10:00:00Z",
        "metrics": {"steady_output_throughput": 1400.0, "mean_tpot_ms": 21.0},
        "workload": {"dataset": "random", "input_len": 8192, "output_len": 2048, "max_concurrency": 32},
    },
    "packages": ["vllm==0.20.2", "torch==2.11"],
    "weights": [{"repo": "org/model", "commit": "1" * 40, "tree_sha256": "f" * 64}],
    "node": {"driver": "580.95.05", "cpus": 208, "kernel": "6.8", "fabric": {"state": "complete"}, "gpus": [GPU] * 8},
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the keys of ann and bob, and one with a passphrase."""
    folder = tmp_path_factory.mktemp("keys")
    for name, passphrase in (("ann", ""), ("bob", ""), ("locked", "secret")):
        words = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            passphrase,
            "-C",
            f"{name}@example",
            "-f",
            str(folder / name),
        ]
        subprocess.run(words, check=True)
    return folder


@pytest.fixture(scope="module")
def made(keys: Path) -> bytes:
    return archive.make("node1", "2026-11-30T12:00:00Z", CONTENT, keys / "ann")


def test_a_proof_is_read_as_it_was_made(made: bytes, keys: Path) -> None:
    proof = archive.read(made, keys / "ann.pub")
    assert (proof.host, proof.made_at, proof.signer) == ("node1", "2026-11-30T12:00:00Z", "ann@example")
    assert proof.content == CONTENT
    allowed = keys / "allowed"
    public = " ".join((keys / "ann.pub").read_text().split()[:2])
    allowed.write_text(f'# ours\n\nteam@example namespaces="{archive.NAMESPACE}" {public}\n')
    assert archive.read(made, allowed).signer == "team@example"


def test_any_altered_byte_is_refused(made: bytes, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature itself is checked by ssh-keygen once for each; what it says of the same manifest is remembered."""
    verified = archive._verify(made_manifest(made), made_signature(made), keys / "ann.pub")
    known = (made_manifest(made), made_signature(made))

    def verify(manifest: bytes, signature: bytes, signers: Path) -> str:
        if (manifest, archive._armored(signature)) == known:
            return verified
        raise archive.ArchiveError("refused: the signature does not fit")

    monkeypatch.setattr(archive, "_verify", verify)
    places = random.Random(7).sample(range(len(made)), 300)
    for place in [*range(1024), *places, len(made) - 1]:
        altered = made[:place] + bytes([made[place] ^ 1]) + made[place + 1 :]
        with pytest.raises(archive.ArchiveError, match="refused"):
            archive.read(altered, keys / "ann.pub")
    for other in (made + b"\0", made[:-1], made + b"\0" * 10240, b"", b"\x1f\x8b"):
        with pytest.raises(archive.ArchiveError, match="refused"):
            archive.read(other, keys / "ann.pub")


def made_manifest(made: bytes) -> bytes:
    return archive._files(made)[archive.MANIFEST]


def made_signature(made: bytes) -> bytes:
    return archive._files(made)[archive.SIGNATURE]


def in_manifest(files: dict[str, bytes]) -> None:
    files[archive.MANIFEST] = files[archive.MANIFEST].replace(b"node1", b"node2")


def in_a_part(files: dict[str, bytes]) -> None:
    files["benchmark.json"] = files["benchmark.json"].replace(b"1400", b"1500")


def in_the_signature(files: dict[str, bytes]) -> None:
    """Written in another way, which OpenSSH reads just the same."""
    files[archive.SIGNATURE] = files[archive.SIGNATURE].replace(b"\n", b"\n\n", 2)


@pytest.mark.parametrize(
    ("alter", "why"),
    [
        (in_manifest, "its signature does not fit"),
        (in_a_part, "benchmark.json differs from what was signed"),
        (in_the_signature, "its signature is not written as OpenSSH writes it"),
        (lambda files: files.pop("node.json"), "it lacks node.json"),
        (lambda files: files.update({"../../x": b""}), "it has a file '../../x'"),
    ],
)
def test_why_an_altered_proof_is_refused(
    made: bytes, keys: Path, alter: Callable[[dict[str, bytes]], Any], why: str
) -> None:
    files = archive._files(made)
    alter(files)
    with pytest.raises(archive.ArchiveError, match="The proof is refused: ") as refused:
        archive.read(archive._tar(files), keys / "ann.pub")
    assert why in str(refused.value)


def test_what_is_no_archive_is_refused(made: bytes, keys: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(made)
    assert archive.load(tmp_path / "a") == made
    os.truncate(tmp_path / "a", 2**40)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "a", tmp_path / "pipe", tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(archive.ArchiveError, match=r"is no file of at most 256 MiB\."):
            archive.load(path)
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 0
    for other in (header.tobuf() * 3000, header.tobuf()):
        with pytest.raises(archive.ArchiveError, match="refused"):
            archive.read(other, keys / "ann.pub")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
        link = tarfile.TarInfo("node.json")
        link.type, link.linkname = kind, "/etc/passwd"
        with pytest.raises(archive.ArchiveError, match=r"has a file 'node\.json'"):
            archive.read(link.tobuf() + b"\0" * 1024, keys / "ann.pub")


def test_a_proof_that_somebody_else_has_signed(made: bytes, keys: Path) -> None:
    with pytest.raises(
        archive.ArchiveError, match=r"ED25519 key SHA256:\S+, which is not in .*bob.pub. If you know"
    ) as no:
        archive.read(made, keys / "bob.pub")
    assert "The proof is refused" in str(no.value)
    with pytest.raises(archive.ArchiveError, match="as proof_signers"):
        archive.read(made, keys / "nobody.pub")


def test_a_signature_made_for_something_else(made: bytes, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = archive._files(made)
    monkeypatch.setattr(archive, "NAMESPACE", "git")
    files[archive.SIGNATURE] = archive._sign(files[archive.MANIFEST], keys / "ann")
    monkeypatch.undo()
    with pytest.raises(archive.ArchiveError, match="its signature does not fit"):
        archive.read(archive._tar(files), keys / "ann.pub")


@pytest.mark.parametrize(("key", "why"), [("locked", "must be in the agent"), ("nobody", "ssh-keygen -t ed25519")])
def test_a_key_that_cannot_sign(keys: Path, key: str, why: str) -> None:
    with pytest.raises(archive.ArchiveError, match=why):
        archive.make("node1", "", CONTENT, keys / key)


def changed(**parts: dict[str, Any]) -> dict[str, Any]:
    content = copy.deepcopy(CONTENT)
    for part, values in parts.items():
        content[part].update(values)
    return content


def test_the_same_is_the_same() -> None:
    comparison = compare(CONTENT, CONTENT)
    assert comparison.differences == []
    assert text(comparison, "a", "b")[0] == "a and b were proven with the same release, weights, driver and hardware."


def test_differences_are_named_and_what_may_make_it_slower() -> None:
    other = changed(
        release={
            "id": "b" * 12,
            "image": {"name": "vllm/vllm-openai:v0.20.2", "digest": "sha256:2"},
            "container": {"image": "x", "command": ["--model", "m", "--enforce-eager"], "env": {"A": "1"}},
        },
        benchmark={"metrics": {"steady_output_throughput": 1260.0, "mean_tpot_ms": 24.0}},
        node={
            "driver": "570.10",
            "fabric": {"state": "stuck"},
            "gpus": [{**GPU, "power_limit_w": 700.0}] * 6 + [{**GPU, "index": 6, "slowed_by": ["hw_thermal_slowdown"]}],
        },
    )
    other["packages"] = ["vllm==0.20.2", "torch==2.12"]
    other["weights"] = [{**CONTENT["weights"][0], "tree_sha256": "e" * 64}]
    lines = text(compare(CONTENT, other), "node1", "node2")
    said = "\n".join(lines)
    for words in (
        "vllm/vllm-openai:v0.20.2 (sha256:1) -> vllm/vllm-openai:v0.20.2 (sha256:2)",
        "--speculative-config {} removed: the draft decides",
        "--enforce-eager on added: without CUDA graphs",
        "org/model has other files at the same commit",
        "torch==2.11 removed, torch==2.12 added",
        "driver 580.95.05 -> 570.10: an older driver",
        "complete -> stuck: GPUs exchange",
        "GPUs      8 -> 7",
        "GPU power limit (W) 1000.0 -> 700.0, 1000.0: the slowest GPU",
        "GPU 6 is slowed down (hw_thermal_slowdown): the slowest GPU",
        "steady_output_throughput 1400 -> 1260 tok/s, 10.0 % worse",
        "mean_tpot_ms 21 -> 24 ms, 14.3 % worse",
    ):
        assert words in said, said
    back = text(compare(other, CONTENT), "node2", "node1")
    assert not any("an older driver" in line or "fewer GPUs" in line for line in back), "this way it is no cause"


def test_loads_that_differ_do_not_compare() -> None:
    other = changed(benchmark={"workload": {**CONTENT["benchmark"]["workload"], "max_concurrency": 8}})
    lines = text(compare(CONTENT, other), "a", "b")
    assert "The loads differ, so the figures do not compare." in lines
    assert not any("worse" in line for line in lines)


def test_a_figure_that_one_of_them_lacks_is_not_compared() -> None:
    other = changed(benchmark={"metrics": {"steady_output_throughput": None}})
    assert not any("steady_output_throughput" in line for line in text(compare(CONTENT, other), "a", "b"))


def test_a_loss_that_nothing_explains_is_told() -> None:
    other = changed(benchmark={"metrics": {"steady_output_throughput": 1200.0}})
    assert "nothing that was recorded explains it" in text(compare(CONTENT, other), "a", "b")[-1]


NO_GPUS: dict[str, Any] = {"gpus": [], "problem": None, "driver_version": None}


def test_what_is_read_on_a_node_holds_no_secret(tmp_path: Path) -> None:
    folder = tmp_path / "releases" / ("a" * 12)
    folder.mkdir(parents=True)
    with pytest.raises(ProofError, match="No release is deployed"):
        collect(str(tmp_path), str(tmp_path), "", NO_GPUS)
    container = {"command": ["--api-key", "k3y-that-nobody-may-see"], "env": {"HF_TOKEN": "hf_AbCdEfGhIjKl"}}
    record = {"format": 1, "id": "a" * 12, "container": container, "commits": {"org/model": "1" * 40}}
    (folder / "release.json").write_text(json.dumps(record))
    (tmp_path / "current").symlink_to(f"releases/{'a' * 12}")
    with pytest.raises(ProofError, match="has not passed a benchmark here"):
        collect(str(tmp_path), str(tmp_path), "", NO_GPUS)
    (folder / "benchmark.json").write_text('{"verdict": "pass", "client": {"argv": "Bearer abcdefghijk"}}')
    found = collect(str(tmp_path), str(tmp_path), "", NO_GPUS)
    said = json.dumps(found)
    assert not [secret for secret in ("k3y", "AbCdEf", "abcdefghijk") if secret in said]
    assert found["weights"] == [
        {"repo": "org/model", "commit": "1" * 40, "files": None, "bytes": None, "tree_sha256": None, "complete": None}
    ]
    assert found["node"]["fabric"] is None
    shutil.rmtree(folder)
