# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find what is wrong with the variables of all roles, before any of them works. Pure, apart from reading the roles."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import ArgumentTypeError, ArgumentValueError

from ..module_utils._benchmark.plan import BenchmarkError, client_argv, limits_for
from ..module_utils._benchmark.spec import PHYSICAL, THRESHOLD, WORKLOAD
from ..module_utils._core.schema import COUNT, COUNT_OR_NONE, NUMBER, TEXT, Schema, check, shown, unknown
from ..module_utils._endpoint.checks import CHECK_NAMES
from ..module_utils._endpoint.spec import FUNCTIONAL, REAL_TEXT
from ..module_utils._nvidia.gpu_request import GPU_SET
from ..module_utils._preflight.judge import CHECKS
from ..module_utils._recipe import SCHEMA
from ..module_utils._vllm.release import secret_problems

_RECIPE = SCHEMA["properties"]
_PORT = _RECIPE["engine"]["properties"]["port"]
_AMOUNT = {**NUMBER, "minimum": 0, "title": "a number of 0 or more"}
_URL = {**TEXT, "pattern": r"^https?://[^\s/]+\S*$", "title": "an address such as 'https://huggingface.co'"}

# What an argument specification cannot say. An empty text and null are not checked.
_LIMITS: dict[str, Schema] = {
    "hf_cache_disk_reserve_gb": _AMOUNT,
    "hf_cache_endpoint": _URL,
    "hf_cache_mode": {**TEXT, "pattern": r"^[0-7]{3,4}$", "title": "an octal mode in quotes, such as '0755'"},
    "hf_cache_models": _RECIPE["models"],
    "hf_cache_peer_fanout": COUNT,
    "hf_cache_peer_port": _PORT,
    "hf_cache_stall_timeout": _AMOUNT,
    "hf_cache_workers": COUNT,
    "lambda_node_api_port": _PORT,
    "lambda_node_lifetime_hours": _AMOUNT,
    "lambda_node_max_price_per_hour": _AMOUNT,
    "lambda_node_ssh_port": _PORT,
    "preflight_warn": {"type": "array", "items": {**TEXT, "enum": list(CHECKS)}},
    "smoke_benchmark_base_url": _URL,
    "smoke_benchmark_endpoint": _URL,
    "smoke_benchmark_expected": FUNCTIONAL,
    "smoke_benchmark_functional_checks": {"type": "array", "items": {**TEXT, "enum": list(CHECK_NAMES)}},
    "smoke_benchmark_physical": {**PHYSICAL, "required": []},
    "smoke_benchmark_price_usd_per_hour": _AMOUNT,
    "smoke_benchmark_published": _RECIPE["published"],
    "smoke_benchmark_real_text": REAL_TEXT,
    "smoke_benchmark_repetitions": COUNT,
    "smoke_benchmark_reuse_max_age": COUNT_OR_NONE,
    "smoke_benchmark_sweep_concurrencies": {"type": "array", "items": COUNT, "minItems": 1},
    "smoke_benchmark_thresholds": {"type": "array", "items": THRESHOLD},
    "smoke_benchmark_workload": WORKLOAD,
    "vllm_container_port": _PORT,
    "vllm_drain_timeout": COUNT_OR_NONE,
    "vllm_engine_nodes": COUNT,
    "vllm_entrypoint": _RECIPE["engine"]["properties"]["entrypoint"],
    "vllm_gpus": {
        **TEXT,
        "pattern": f"^(all|{GPU_SET.pattern})$",
        "title": "'', 'all' or a list of GPUs such as '0,1,2,3'",
    },
    "vllm_image_digest": _RECIPE["image"]["properties"]["digest"],
    "vllm_image_pip": _RECIPE["image"]["properties"]["pip"],
    "vllm_keep_releases": COUNT,
    "vllm_memory_gib": _AMOUNT,
    "vllm_port": _PORT,
    "vllm_ready_timeout": COUNT,
    "vllm_restart_interval": COUNT,
    "vllm_restart_limit": COUNT_OR_NONE,
    "vllm_shm_gib": _AMOUNT,
    "vllm_span_all_reduce_gb_s": _AMOUNT,
    "vllm_span_port": _PORT,
    "vllm_stall_timeout": COUNT_OR_NONE,
}

# Facts and entry points' results that the roles set, without an argument specification.
_FACTS = (
    "hf_cache_snapshots",
    "smoke_benchmark_acceptance",
    "smoke_benchmark_functional",
    "smoke_benchmark_outcome",
    "vllm_checked_release",
    "vllm_release",
    "vllm_startup",
)
# Other collections use these words, too. A variable of theirs is nobody's mistake unless it resembles one of ours.
_COMMON_PREFIXES = ("apt_repository", "docker", "preflight", "recipe", "settings")
_RESEMBLES = 0.75
# For a name with a prefix of nobody.
_NEARLY_THE_SAME = 0.9

Template = Callable[[Any], Any]


class Role(NamedTuple):
    """A role: the options of all its entry points by name, its defaults, and its further variables."""

    name: str
    options: Mapping[str, Any]
    defaults: Mapping[str, Any]
    variables: Mapping[str, Any]


def read_roles(folder: Path, load: Callable[[str], Any]) -> list[Role]:
    """Return the roles in a folder; C(load) reads a YAML file."""
    roles = []
    for specs in sorted(folder.glob("*/meta/argument_specs.yml")):
        role = specs.parents[1]
        entries = load(str(specs))["argument_specs"].values()
        options = {name: option for entry in entries for name, option in entry.get("options", {}).items()}
        defaults, variables = (
            load(str(file)) if file.exists() else {}
            for file in (role / f"{kind}/main.yml" for kind in ("defaults", "vars"))
        )
        roles.append(Role(role.name, options, defaults, variables))
    return roles


def unknown_names(roles: Iterable[Role], names: Iterable[str]) -> list[str]:
    """Return a sentence for each name that looks like a variable of a role and is none."""
    roles = list(roles)
    known = {name for role in roles for name in (*role.options, *role.defaults)} | {*_FACTS}
    found = []
    for name in sorted(each for each in set(names) - known if not each.startswith(("_", "ansible_"))):
        owner = next((role.name for role in roles if name.startswith(f"{role.name}_")), None)
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=_RESEMBLES if owner else _NEARLY_THE_SAME)
        if near:
            found.append(f"{name} is not a variable of a role, so no role reads it; did you mean {near[0]}?")
        elif owner and owner not in _COMMON_PREFIXES:
            found.append(f"{name} is not a variable of the role {owner}, so no role reads it.")
    return found


def wrong_values(roles: Iterable[Role], given: Mapping[str, Any], template: Template) -> dict[str, list[str]]:
    """Return for each variable of C(given) that its role would refuse the reasons, as C(NAME: sentence).

    C(template) renders a value, and raises an exception if it cannot.
    """
    problems: dict[str, list[str]] = {}
    for role in roles:
        for name, option in role.options.items():
            if name not in given:
                continue
            found = list(_value_problems(name, option, given[name], template))
            if found:
                problems[name] = found
    return problems


def contradictions(evaluate: Callable[[str], Any]) -> Iterator[str]:
    """Yield the contradictions between variables that are valid by themselves; C(evaluate) takes an expression."""
    try:
        evaluate("__vllm_servers")
        container = evaluate("__vllm_spec.container")
    except Exception as exc:  # whatever an expression raises
        yield _reason(exc)
    else:
        yield from secret_problems(container)
    try:
        yield from _benchmark_problems(evaluate)
    except Exception as exc:  # whatever an expression raises
        yield _reason(exc)


def plain_http(address: str) -> list[str]:
    """Return a warning if a server at this address is reached through public networks."""
    try:
        public = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return []
    if not (public.is_global or public.is_unspecified):
        return []
    return [
        f"vllm_bind_address is {address}: the server speaks plain HTTP there, so key and texts can be read on the way."
        " Put TLS in front of it, let only a private network reach it, or keep it on 127.0.0.1 behind an SSH tunnel."
    ]


def _benchmark_problems(evaluate: Callable[[str], Any]) -> Iterator[str]:
    names = ("workload", "size", "thresholds", "published", "base_url", "model", "served_model_name")
    values = {name: evaluate(f"smoke_benchmark_{name}") for name in names}
    workload = check(values["workload"], WORKLOAD, "", [])
    thresholds = [check(threshold, THRESHOLD, "", []) for threshold in values["thresholds"]]
    for act in (
        lambda: limits_for(thresholds, values["published"], workload, values["size"]),
        lambda: client_argv(workload, values["size"], values["base_url"], values["model"], values["served_model_name"]),
    ):
        try:
            act()
        except BenchmarkError as exc:
            yield from (f"smoke_benchmark_{problem}" for problem in exc.problems)


def _value_problems(name: str, option: Mapping[str, Any], value: Any, template: Template) -> Iterator[str]:
    try:
        value = template(value)
    except Exception as exc:  # whatever an expression raises
        yield f"{name} cannot be evaluated: {_reason(exc)}"
        return
    if value is None:
        return
    spec = {key: item for key, item in option.items() if key not in ("default", "required")}
    result = ArgumentSpecValidator({name: spec}).validate({name: value})
    for error in result.errors:
        if isinstance(error, ArgumentTypeError) and "options" not in option:
            yield f"{name}: {'its value' if option.get('no_log') else shown(value)} is not of type {option['type']}."
        elif isinstance(error, ArgumentValueError) and "choices" in option:
            yield f"{name}: {unknown(value, option['choices'])}"
        else:
            yield f"{name}: {error.msg}"
    if not result.error_messages and name in _LIMITS and value != "":
        problems: list[str] = []
        check(result.validated_parameters[name], _LIMITS[name], name, problems)
        yield from problems


def _reason(error: Exception) -> str:
    """Return the message of an error without those of the errors that it led to."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return str(error)
