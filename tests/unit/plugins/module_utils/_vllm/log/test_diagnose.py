# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The causes that are named for recorded and for constructed logs, and the logs and lines that name none."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.diagnose import SIGNATURES, diagnose, failure_text
from ansible_collections.hgx.inference.tests.proof.diagnosis import FAULTS

from .test_public_reports import CASES as PUBLIC
from .test_reports import CASES
from .test_unseen_reports import CASES as UNSEEN

LOGS = Path(__file__).parents[4] / "fixtures" / "vllm-logs"
CONSTRUCTED = sorted((LOGS / "constructed").glob("*.log"))
FROM_GPUS = sorted((LOGS / "gpu").glob("*.log"))


def read(path: Path) -> list[str]:
    return path.read_bytes().decode().split("\n")


def key_of(lines: list[str], exit_code: int | None = None) -> str | None:
    diagnosis = diagnose(lines, exit_code)
    return diagnosis.key if diagnosis else None


@pytest.mark.parametrize(
    ("log", "key", "cause", "evidence", "fix"),
    [
        (
            "fatal-unknown-flag",
            "unknown-flag",
            "It is --no-such-flag.",
            "api_server.py: error: unrecognized",
            "Nearest known: --",
        ),
        (
            "fatal-bad-parser-name",
            "unknown-parser",
            "It is 'kimi_k9'.",
            "KeyError: 'invalid tool call parser",
            "kimi_k2",
        ),
        (
            "fatal-kv-cache-too-small",
            "kv-cache-too-small",
            "0.02 GiB are needed for 4096 tokens, 0.0 GiB are free.",
            "EngineCore: ValueError: To serve at least one request",
            "About 208 tokens fit now.",
        ),
        (
            "fatal-max-model-len",
            "model-len-beyond-model",
            "999999 tokens are asked for, the model can 4096.",
            "ModelConfig",
            "Lower",
        ),
        (
            "fatal-model-not-in-cache-offline",
            "model-not-cached",
            "not in the cache",
            "LocalEntryNotFoundError",
            "hf_cache",
        ),
        (
            "fatal-port-taken-docker-publish",
            "port-taken-host",
            "It is port 18902.",
            "port is already allocated",
            "sport = :18902",
        ),
        (
            "fatal-safetensors-truncated",
            "corrupt-weights",
            "damaged or cut short",
            "Worker: safetensors",
            "hf_cache_verify",
        ),
        (
            "not-enough-memory",
            "host-memory-taken",
            "14.43 of 16.34 GiB are free, 15.03 GiB are wanted.",
            "VllmWorker-0: ",
            "Set",
        ),
        (
            "spec-draft-unsupported-architecture",
            "draft-mismatch",
            "draft model does not fit",
            "Eagle3DeepSeekMTPModel",
            "Take",
        ),
    ],
)
def test_recorded_logs(log: str, key: str, cause: str, evidence: str, fix: str) -> None:
    diagnosis = diagnose(read(LOGS / f"{log}.log"))
    assert diagnosis
    assert diagnosis.key == key
    assert cause in diagnosis.cause
    assert evidence in "\n".join(diagnosis.evidence)
    assert fix in diagnosis.fix
    assert 1 <= len(diagnosis.evidence) <= 5


@pytest.mark.parametrize("path", CONSTRUCTED + FROM_GPUS, ids=lambda path: f"{path.parent.stem}-{path.stem}")
def test_constructed_logs_and_those_of_gpus(path: Path) -> None:
    assert str(key_of(read(path))).replace("None", "none") == path.stem.partition("--")[0]


@pytest.mark.parametrize(
    ("log", "cause", "evidence", "fix"),
    [
        ("disk-full--bundled-kernels", "A disk is full", "No space left on device", "df -h"),
        ("gpu-memory-taken--two-gpus", "130.34 of 139.8 GiB are free, 139.79 GiB are wanted.", "cuda:0", "nvidia-smi"),
        ("gpu-memory-taken--by-somebody-else", "had no memory left when the", "out of memory", "nvidia-smi"),
        ("cuda-out-of-memory--loading", "2.62 GiB were asked for, 1.59 GiB of 139.80 GiB were free", "GPU 0", "lower"),
        ("gpu-memory-taken--profiling", "110.72 GiB were free, then 121.2 GiB.", "memory profiling", "again"),
        ("kernel-compile--no-compiler", "could not be compiled", "Failed to find C compiler", "compiler"),
        ("kv-cache-too-small--one-request", "0.32 GiB are needed for 32768 tokens", "To serve", "About 25536 tokens"),
        ("moe-backend--trtllm", "It is about FLASHINFER_TRTLLM.", "does not support current device", "moe-backend"),
        ("nccl-error--interface", "through NCCL", "invalid usage", "NCCL_SOCKET_IFNAME names no interface"),
        ("too-few-gpus--second-hidden", "2 are needed, 1 are there.", "World size (2)", "nvidia-smi"),
        ("attention-backend--blackwell-only", "No attention backend", "compute capability", "attention-backend"),
    ],
)
def test_what_is_told_of_a_log_of_gpus(log: str, cause: str, evidence: str, fix: str) -> None:
    diagnosis = diagnose(read(LOGS / "gpu" / f"{log}.log"))
    assert diagnosis
    assert cause in diagnosis.cause
    assert evidence in "\n".join(diagnosis.evidence)
    assert fix in diagnosis.fix


@pytest.mark.parametrize("log", ["healthy-start", "healthy-start-timestamps"])
def test_a_healthy_log_names_no_cause(log: str) -> None:
    assert diagnose(read(LOGS / f"{log}.log")) is None


@pytest.mark.parametrize(
    "line",
    [
        "(APIServer pid=1) WARNING 11-23 19:59:13 [system_utils.py:255] OSError: [Errno 24] Too many open files",
        "(Worker_TP0 pid=4) INFO 04-18 15:46:02 [shm.py:681] No available shared memory broadcast block found",
        "(Worker_TP0 pid=4) WARNING 04-18 15:46:02 [symm_mem.py:98] multicast operations are not supported: invalid",
        "node:413:413 [3] NCCL INFO NET/IB : No device found. Error: no space left on device",
        "/usr/lib/python3.12/x.py:254: UserWarning: resource_tracker: There appear to be 4 leaked objects",
        "[rank0]:[W418 15:45:50.5 ProcessGroupNCCL.cpp:1476] Warning: destroy_process_group() was not called",
        "set_mempolicy: Operation not permitted",
        "[W1123 20:00:02.930149888 utils.cpp:41] Warning: numa_migrate_pages failed. errno: 1",
        "(Worker_TP0 pid=12) 2026-04-20 10:00:00,100 - WARNING - autotuner.py:490 - flashinfer.jit: [Autotuner]:"
        " Skipping tactic 14, due to failure while profiling: CUDA error: an illegal instruction was encountered",
        "2026-04-20 10:00:00,100 - INFO - core.py:12 - flashinfer.jit: CUDA error: invalid argument",
        "[AutoTuner]: Skipping tactic 3: CUDA out of memory",
        "  what():  CUDA error: driver shutting down",
        "AUTOTUNE triton_mm: OutOfResources: out of resource: shared memory, Required: 264224, Hardware limit: 232448",
        'INFO:     172.17.0.1:40482 - "GET /v1/models HTTP/1.1" 401 Unauthorized',
    ],
)
def test_harmless_lines(line: str) -> None:
    assert diagnose([line, "(EngineCore pid=22) INFO 11-23 20:29:10 [core.py:1] going on"]) is None


def test_a_warning_of_another_logger_does_not_hide_its_errors() -> None:
    line = (
        "(Worker_TP0 pid=12) 2026-04-20 10:00:00,100 - {} - core.py:12 - flashinfer.jit: CUDA error: invalid argument"
    )
    assert key_of([line.format("WARNING")], 0) == "stopped"
    assert key_of([line.format("ERROR")], 0) == "cuda-error"


def worker_failed(message: str, *frames: str) -> list[str]:
    """Return the lines of a worker whose traceback has these frames, each the end of a file's name and a function."""
    prefix = "(Worker_TP3 pid=413) ERROR 04-18 15:45:48 [multiproc_executor.py:857] "
    files = [f'  File "/vllm/{file}", line 1, in {function}' for file, function in (frame.split() for frame in frames)]
    said = ["WorkerProc failed to start.", "Traceback (most recent call last):", *files, message]
    return [prefix + line for line in said]


@pytest.mark.parametrize(
    ("message", "frames", "key", "detail"),
    [
        *(
            (f"torch.AcceleratorError: CUDA error: {what}", ("x.py f",), "cuda-error", f"It says: {what}.")
            for what in (
                "invalid argument",
                "operation not permitted when stream is capturing",
                "invalid resource handle",
                "peer access is not supported between these two devices",
                "mapping of buffer object failed",
            )
        ),
        ("RuntimeError: CUDART error: invalid argument", ("x.py f",), "cuda-error", "It says: invalid argument."),
        # What has a name of its own keeps it.
        ("RuntimeError: CUDA error: an illegal memory access was encountered", ("x.py f",), "cuda-fault", ""),
        ("RuntimeError: CUDA error: out of memory", ("x.py f",), "cuda-out-of-memory", ""),
        ("RuntimeError: CUDA error: invalid device ordinal", ("x.py f",), "too-few-gpus", ""),
        ("RuntimeError: CUDA error: unknown error", ("x.py f",), "no-gpu", ""),
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasLtMatmul( handle )`",
            ("x.py f",),
            "cublas-refused",
            "CUBLAS_STATUS_NOT_SUPPORTED",
        ),
        (
            "RuntimeError: pidfd_getfd: Operation not permitted",
            ("torch/multiprocessing/reductions.py rebuild",),
            "pidfd-denied",
            "SYS_PTRACE",
        ),
        (
            "ImportError: /opt/lib/libnccl.so.2: cannot open shared object file: No such file or directory",
            ("x.py f",),
            "library-missing",
            "It is /opt/lib/libnccl.so.2.",
        ),
        ("ImportError: libcuda.so.1: cannot open shared object file", ("x.py f",), "no-gpu", ""),
        ("OSError: libnvidia-ml.so.1: cannot open shared object file", ("x.py f",), "no-gpu", ""),
        ("KeyError: 'lm_head.weight'", ("models/deepseek_v2.py load_weights",), "weights-do-not-fit", "lm_head.weight"),
        ("KeyError: 'model.layers.3.mlp.experts'", ("models/deepseek_v2.py forward",), None, ""),
        ("KeyError: 'num_experts'", ("models/deepseek_v2.py load_weights",), None, ""),
        (
            "KeyError: 'model.layers.3.mlp.experts'",
            ("models/deepseek_eagle3.py load_weights",),
            "draft-mismatch",
            "draft model",
        ),
        ("AssertionError", ("v1/spec_decode/eagle.py load_model",), "draft-mismatch", "draft model"),
        ("AssertionError", ("gpu_model_runner.py capture_model", "v1/spec_decode/eagle.py dummy_run"), None, ""),
        ("KeyError: 3", ("model_runner.py load_model", "v1/spec_decode/eagle.py propose"), None, ""),
        (
            "RuntimeError: Size mismatch",
            ("v1/spec_decode/eagle.py propose",),
            "draft-mismatch",
            "draft model",
        ),
    ],
)
def test_how_a_worker_failed(message: str, frames: tuple[str, ...], key: str | None, detail: str) -> None:
    log = worker_failed(message, *frames)
    assert key_of(log) == key
    assert detail in failure_text(diagnose(log), log)[0]


def test_what_was_said_before_explains_another_cuda_error() -> None:
    said = "Failed: Cuda error /workspace/csrc/custom_all_reduce.cuh:455 'invalid argument'"
    log = [said, *worker_failed("torch.AcceleratorError: CUDA error: invalid argument", "x.py f")]
    assert key_of(log) == "custom-all-reduce"


REQUEST = [
    f"(APIServer pid=1) ERROR 04-18 16:00:00 [serving.py:1] {text}"
    for text in (
        "Error in preprocessing prompt inputs",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in f',
        "FileNotFoundError: No such file or directory: 'a.safetensors'",
    )
]
RAW = [line.partition("] ")[2] for line in REQUEST[1:3]]


def test_a_request_that_failed_has_ended_nothing() -> None:
    assert key_of(REQUEST, 137) == "killed"
    died = "(APIServer pid=1) ERROR 04-18 16:00:01 [core_client.py:667] Engine core proc EngineCore died unexpectedly"
    assert key_of(["INFO:     Application startup complete.", *REQUEST, died], 0) == "worker-died"
    assert key_of([*RAW, "OSError: [Errno 98] Address already in use", *REQUEST], 1) == "port-taken"


def test_a_request_that_failed_in_a_group_has_ended_nothing() -> None:
    group = [
        "ERROR:    Exception in ASGI application",
        "  + Exception Group Traceback (most recent call last):",
        '  |   File "/usr/lib/python3.12/site-packages/uvicorn/protocols/http/httptools_impl.py", line 1, in run_asgi',
        "  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)",
        "  +-+---------------- 1 ----------------",
        "    | Traceback (most recent call last):",
        '    |   File "/usr/lib/python3.12/site-packages/starlette/responses.py", line 1, in wrap',
        "    | PermissionError: [Errno 13] Permission denied: '/root/x'",
        "    +------------------------------------",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3.12/site-packages/starlette/middleware/errors.py", line 1, in __call__',
        "PermissionError: [Errno 13] Permission denied: '/root/x'",
    ]
    died = "(APIServer pid=1) ERROR 04-18 16:00:01 [core_client.py:667] Engine core proc EngineCore died unexpectedly"
    log = ["INFO:     Application startup complete.", *group]
    assert key_of(log) is None
    assert key_of([*log, died], 0) == "worker-died"


def test_a_long_line_is_shown_where_it_tells() -> None:
    told = 'failed to stat CDI host device "/dev/nvidia9": no such file or directory'
    diagnosis = diagnose([f"OCI runtime create failed: {'x' * 400}: {told}{'y' * 400}"])
    assert diagnosis
    (evidence,) = diagnosis.evidence
    assert told in evidence
    assert evidence.startswith("... xxx")
    assert evidence.endswith("yyy ...")
    assert len(evidence) < 310


def test_an_unknown_exception_is_not_explained_by_other_lines() -> None:
    log = read(LOGS / "constructed/none--unknown-exception.log")
    assert any("Address already in use" in line for line in log)
    cause, rest = failure_text(diagnose(log), log)
    assert cause == (
        "The cause is not one of the known ones. The area: compile and kernels (RuntimeError in"
        " vllm/model_executor/models/deepseek_v2.py, forward)."
    )
    assert "RuntimeError: shape '[2048, 2048]' is invalid" in rest[-2]
    assert rest[-1].startswith("Fix: Check ")


@pytest.mark.parametrize(
    ("lines", "exit_code", "key"),
    [
        ([], 137, "killed"),
        ([], 135, "shared-memory"),
        ([], 134, "aborted"),
        ([], 132, "illegal-instruction"),
        ([], 127, "entrypoint-missing"),
        ([], 143, "stopped"),
        ([], 0, "stopped"),
        ([], 1, None),
        (["api_server.py: error: unrecognized arguments: --x"], 137, "unknown-flag"),
    ],
)
def test_the_exit_code_counts_where_the_log_is_mute(lines: list[str], exit_code: int, key: str | None) -> None:
    assert key_of(lines, exit_code) == key


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.key)
def test_signatures_are_complete(signature: object) -> None:
    from ansible_collections.hgx.inference.plugins.module_utils._vllm.log.signatures import Signature

    assert isinstance(signature, Signature)
    assert isinstance(signature.patterns, tuple)
    groups = {name for pattern in signature.patterns for name in re.compile(pattern).groupindex} | {"nearest"}
    for template in (signature.detail, signature.advice):
        assert {name for _text, name, _spec, _conversion in string.Formatter().parse(template) if name} <= groups
    assert signature.severity in ("fatal", "hint")
    assert signature.cause.endswith(".")
    assert signature.fix.endswith((".", ":")) or (signature.alternatives and not signature.fix)
    assert len(signature.alternatives) != 1
    for alternative in signature.alternatives:
        assert all(text.endswith(".") for text in (alternative.cause, alternative.test, alternative.fix))
        assert re.compile(alternative.decides)
        assert re.compile(alternative.excludes)
    assert "{" not in signature.title + signature.cause


def test_a_key_has_one_title() -> None:
    assert len({(signature.key, signature.title) for signature in SIGNATURES}) == len(
        {signature.key for signature in SIGNATURES}
    )


def test_every_cause_is_seen_in_a_log() -> None:
    seen = {key_of(read(path)) for path in [*CONSTRUCTED, *FROM_GPUS, *LOGS.glob("*.log")]}
    seen |= {signature.key for signature in SIGNATURES if signature.exit_codes}
    seen |= {key_of(case.log) for case in [*CASES.values(), *PUBLIC.values(), *UNSEEN.values()]}
    missing = {signature.key for signature in SIGNATURES} - seen
    assert not missing


@pytest.mark.parametrize("fault", FAULTS)
def test_the_faults_of_the_proof_have_causes_that_its_search_tells_apart(fault: str) -> None:
    """tests/proof/diagnosis.py takes the first signature whose cause is in the message."""
    for key in FAULTS[fault].expected.split():
        named = [signature for signature in SIGNATURES if signature.key == key]
        assert named
        for signature in named:
            said = " ".join([signature.cause, *(each.cause for each in signature.alternatives), signature.fix])
            assert next(each.key for each in SIGNATURES if each.cause in said) == key
