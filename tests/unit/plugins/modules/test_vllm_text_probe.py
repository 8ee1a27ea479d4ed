# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module vllm_text_probe, with the prompts that the role brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._endpoint.answers import FORM_ERRORS
from ansible_collections.hgx.inference.plugins.modules import vllm_text_probe
from ansible_collections.hgx.inference.tests.support.inference_server import KEY, MODEL, serving

SETS = yaml.safe_load(
    (Path(__file__).parents[4] / "roles/smoke_benchmark/files/real_text.yml").read_text(encoding="utf-8")
)


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    args = {"served_model_name": MODEL, "sets": SETS, "timeout": 5, **options}
    with patch_module_args(args), pytest.raises(SystemExit):
        vllm_text_probe.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_prompts_of_each_set_are_sent_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    with serving() as server:
        options = {
            "base_url": server.base_url,
            "api_key_file": str(key),
            "prompts": 3,
            "reuse_file": str(tmp_path / "x"),
        }
        first, again = run(capsys, **options), run(capsys, **options)
    assert [entry["prompts"] for entry in first["sets"]] == [3, 3]
    assert first["acceptance_length"] == 2.5
    assert (first["reused"], again["reused"]) == (False, True)
    assert again["sets"] == first["sets"]
    sent = [body["messages"][0]["content"] for _path, _headers, body in server.requests if body]
    assert sorted(sent) == sorted(SETS["code"][:3] + SETS["prose"][:3])


def test_a_failure_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(KEY) as server:
        assert "no key was sent" in run(capsys, base_url=server.base_url)["msg"]
    with serving(None, "formless") as server:
        assert "does not have the expected form" in run(capsys, base_url=server.base_url)["msg"]


@pytest.mark.parametrize("error", FORM_ERRORS)
def test_whatever_is_answered_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_args: object) -> None:
        raise error("odd")

    monkeypatch.setattr(vllm_text_probe.text_probe, "probe", fail)
    with serving() as server:
        assert f"does not have the expected form ({error.__name__}: " in run(capsys, base_url=server.base_url)["msg"]


def test_a_key_that_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    message = run(capsys, base_url="http://127.0.0.1:1", api_key_file=str(tmp_path))["msg"]
    assert message == f"The API key cannot be read from {tmp_path}: Is a directory."


def test_an_address_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "could not be measured: No request can be sent to nowhere:" in run(capsys, base_url="nowhere")["msg"]


def test_check_mode_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as server:
        run(capsys, base_url=server.base_url, _ansible_check_mode=True)
        assert server.requests == []
