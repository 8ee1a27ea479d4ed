# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics of a node and of its verification, as the module writes them."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hgx.inference.plugins.module_utils._nvidia.smi import FABRIC_HEALTH
from ansible_collections.hgx.inference.plugins.module_utils._programs.prometheus import samples
from ansible_collections.hgx.inference.plugins.modules import monitoring_metrics

HEALTH = dict.fromkeys(("summary", *FABRIC_HEALTH))
GPU = {
    "index": 0,
    "faults": [],
    "ecc": {"volatile_uncorrected": 0, "remapped_rows_pending": False, "remapped_rows_failed": False},
    "clocks": {"event_reasons": ["gpu_idle"]},
    "fabric": {"state": "Completed", "status": "Success", "health": HEALTH},
}
INFO = {
    "driver_version": "580.95.05",
    "cuda_version": "13.0",
    "problem": None,
    "gpus": [GPU],
    "hardware": {"nvswitch": "pci"},
    "fabric_manager": {"version": "580.95.05", "state": "active"},
}


def run(capsys: pytest.CaptureFixture[str], check: bool = False, **options: Any) -> dict[str, Any]:
    with patch_module_args({**options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        monitoring_metrics.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def written(path: Path) -> dict[str, float]:
    return {name + labels: value for name, labels, value in samples(path.read_text(encoding="utf-8"))}


def test_a_node_is_told_and_what_is_unknown_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {
        "dest": str(tmp_path),
        "node": {
            "price_usd_per_hour": "53.52",
            "expires_at": "1970-01-02T00:00:00Z",
            "launched_at": "",
            "gpus_expected": 8,
        },
        "gpus": INFO,
        "expiries": [{"kind": "key", "name": "ann", "at": "1970-01-01T00:01:00Z"}],
    }
    assert run(capsys, True, **options)["changed"]
    assert list(tmp_path.iterdir()) == []
    assert run(capsys, **options)["changed"]
    assert not run(capsys, **options)["changed"]
    assert written(tmp_path / "hgx_node.prom") == {
        "hgx_node_price_usd_per_hour": 53.52,
        "hgx_node_expiry_timestamp_seconds": 86400,
        "hgx_node_gpus_expected": 8,
        'hgx_expiry_timestamp_seconds{kind="key",name="ann"}': 60,
        'hgx_driver_info{driver="580.95.05",cuda="13.0"}': 1,
        'hgx_fabric_state{state="complete"}': 1,
        **{f'hgx_node_health{{part="{part}"}}': 1 for part in ("answers", "memory", "fabric", "clocks")},
    }


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"faults": ["gpu_temp: ERR!"]}, "answers"),
        ({"ecc": {**GPU["ecc"], "remapped_rows_pending": True}}, "memory"),  # type: ignore[dict-item]
        (
            {"fabric": {"state": "In Progress", "status": None, "health": HEALTH}},
            "fabric",
        ),
        ({"clocks": {"event_reasons": ["hw_thermal_slowdown"]}}, "clocks"),
    ],
)
def test_a_part_that_is_not_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], part: str
) -> None:
    run(capsys, dest=str(tmp_path), node={}, gpus={**INFO, "gpus": [{**GPU, **changed}]})
    found = written(tmp_path / "hgx_node.prom")
    assert [name for name, value in found.items() if name.startswith("hgx_node_health") and not value] == [
        f'hgx_node_health{{part="{part}"}}'
    ]
    assert "hgx_node_price_usd_per_hour" not in found


def test_what_no_gpu_tells_is_not_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither 1 nor 0: a driver that does not answer knows nothing of the memory."""
    problem = {"cause": "no driver", "evidence": "", "fix": ""}
    unknown = {**GPU, "ecc": {**GPU["ecc"], "volatile_uncorrected": None}, "clocks": {"event_reasons": None}}  # type: ignore[dict-item]
    for info in ({**INFO, "gpus": [], "problem": problem}, {**INFO, "gpus": [unknown]}):
        run(capsys, dest=str(tmp_path), node={"price_usd_per_hour": "inf"}, gpus=info)
        found = written(tmp_path / "hgx_node.prom")
        assert {name for name in found if "health" in name} == {
            f'hgx_node_health{{part="{part}"}}' for part in ("answers", "fabric")
        }
        assert "hgx_node_price_usd_per_hour" not in found


def test_a_failed_verification_is_told_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = tmp_path / "result.json"
    result.write_text('{"verdict": "pass", "finished_at": "1970-01-01T00:01:00Z"}')
    verification = {"result": str(result), "failed": True, "acceptance_length": 2.5}
    run(capsys, dest=str(tmp_path), server="b", verification=verification)
    assert written(tmp_path / "hgx_verification_b.prom") == {
        'hgx_verification_verdict{server="b",verdict="fail"}': 1,
        'hgx_verification_timestamp_seconds{server="b"}': 60,
        'hgx_proof_text_acceptance_length{server="b"}': 2.5,
    }
    run(capsys, dest=str(tmp_path), server="b", verification={"result": str(result)})
    assert written(tmp_path / "hgx_verification_b.prom")['hgx_verification_verdict{server="b",verdict="pass"}'] == 1
    result.write_text("damaged")
    run(capsys, dest=str(tmp_path), server="b", verification={"result": str(result)})
    assert written(tmp_path / "hgx_verification_b.prom") == {}


def test_the_end_of_a_certificate_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    subprocess.run([*made, "-subj", "/CN=x", "-keyout", "/dev/null", "-out", path], check=True, capture_output=True)
    result = run(capsys, dest=str(tmp_path), node={}, certificates=[str(path), str(tmp_path / "nothing.pem")])
    (at,) = written(tmp_path / "hgx_node.prom").values()
    assert abs(at - time.time() - 30 * 86400) < 600
    assert "nothing.pem cannot be read" in str(result["warnings"])


def test_a_host_without_a_node_exporter_gets_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run(capsys, dest=str(tmp_path / "nowhere"), node={"price_usd_per_hour": "1"})["changed"]
