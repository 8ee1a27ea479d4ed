# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the build of an image has installed, and what it has changed without being told to."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._docker import packages
from ansible_collections.hgx.inference.plugins.module_utils._docker.build import derived_image
from ansible_collections.hgx.inference.plugins.module_utils._docker.cli import Completed, DockerTimeout

DOCKERFILE = derived_image("vllm/vllm-openai:x", "x", ["transformers==4.57.6", "hf_xet[a]==1.2"]).dockerfile
BASE = "# a comment\nhuggingface_hub==1.2.0\ntransformers==5.4.0\nvllm @ file:///w/vllm.whl\ntqdm==4.67\n"
NOW = "huggingface-hub==0.36.2\ntransformers==4.57.6\nvllm @ file:///w/vllm.whl\nhf-xet==1.2\nrequests==2.32\n"


def test_the_build_records_before_and_after() -> None:
    lines = packages.recording(DOCKERFILE).splitlines()
    assert [line.split(" ")[0] for line in lines[1:]] == ["FROM", "RUN", "RUN", "RUN"]
    assert "freeze" in lines[2]
    assert lines[3] == DOCKERFILE.splitlines()[2]
    assert "freeze" in lines[4]
    assert packages.recording("FROM x\nRUN y\n") == "FROM x\nRUN y\n"


def test_what_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "run_docker", lambda _args, _timeout_s: Completed(0, f"{BASE}----\n{NOW}", ""))
    found = packages.read_packages("image")
    assert found.all[0] == "hf-xet==1.2"
    assert len(found.digest) == 12
    assert packages.unasked(found, DOCKERFILE) == [
        "huggingface-hub 1.2.0 -> 0.36.2",
        "requests (new) -> 2.32",
        "tqdm 4.67 -> (gone)",
    ]
    more = DOCKERFILE.replace("\n", " huggingface_hub==0.36.2 requests==2.32 tqdm==1\n")
    assert packages.unasked(found, more) == []


def test_an_image_that_has_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "run_docker", lambda _args, _timeout_s: Completed(1, "", "cat: no such file"))
    assert packages.read_packages("image") == packages.Packages()

    def hang(_args: list[str], _timeout_s: float) -> Completed:
        raise DockerTimeout("run")

    monkeypatch.setattr(packages, "run_docker", hang)
    assert packages.read_packages("image").digest == ""
    assert packages.unasked(packages.Packages(), DOCKERFILE) == []


def test_packages_that_do_not_fit() -> None:
    line = "vllm 0.19.1 requires transformers>=5.0, but you have transformers 4.57.6 which is incompatible."
    assert packages.unfit(["#8 41.2 Successfully installed x", f"#8 41.3 {line}", line]) == [line[:-1]]


CONFLICT = """\
Step 2/2 : RUN python3 -m pip install a==1 b==2
ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.

The conflict is caused by:
    a 1 depends on c<1
    b 2 depends on c>=1

To fix this you could try to:
1. loosen the range of package versions you've specified
ERROR: ResolutionImpossible: for help visit https://pip.example/
The command '/bin/sh -c python3 -m pip install a==1 b==2' returned a non-zero code: 1
"""


def test_why_pip_cannot_install() -> None:
    told = packages.conflict(CONFLICT.splitlines())
    assert told == [line for line in CONFLICT.splitlines()[1:6] if line]
    assert packages.conflict(["manifest for x not found"]) == []
