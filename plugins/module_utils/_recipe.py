# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of a recipe: what a recipe file may say, and how a profile is merged into it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ._benchmark.metrics import METRICS
from ._benchmark.plan import GOODPUT_LIMITS, SPREAD_MAX, threshold_problems
from ._endpoint.checks import CHECK_NAMES
from ._vllm.args import ArgsError, render_args

_DERIVED_ARGS = {
    "model": "the repository with the role 'model'",
    "served-model-name": "engine.served_model_name",
    "port": "engine.port",
    "host": "the address that the role publishes",
}


class RecipeError(Exception):
    """A recipe that cannot be used; C(problems) has one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Node:
    """What may stand at one place of a recipe."""

    what = "anything"

    def check(self, value: Any, path: str, problems: list[str]) -> Any:
        """Return C(value) with defaults filled in; append to C(problems) what is wrong with it."""
        return value


class Scalar(Node):
    """A single value."""

    def __init__(self, what: str, *types: type, choices: Sequence[Any] = (), pattern: str = "") -> None:
        self.what = what
        self._types = types
        self._choices = choices
        self._pattern = pattern

    def check(self, value: Any, path: str, problems: list[str]) -> Any:
        # bool is an int to Python, and "yes" where a number belongs is a mistake.
        if not isinstance(value, self._types) or (isinstance(value, bool) and bool not in self._types):
            problems.append(f"{path}: {_shown(value)} is not {self.what}.")
        elif self._choices and value not in self._choices:
            problems.append(f"{path}: {_unknown(str(value), [str(choice) for choice in self._choices])}")
        elif self._pattern and not re.fullmatch(self._pattern, str(value)):
            problems.append(f"{path}: {_shown(value)} is not {self.what}.")
        return value


class ListOf(Node):
    """A list whose items are all alike."""

    def __init__(self, item: Node, empty: bool = True) -> None:
        self.what = f"a list of {item.what}"
        self._item = item
        self._empty = empty

    def check(self, value: Any, path: str, problems: list[str]) -> Any:
        if not isinstance(value, Sequence) or isinstance(value, str):
            problems.append(f"{path}: {_shown(value)} is not a list.")
            return value
        if not value and not self._empty:
            problems.append(f"{path}: the list must not be empty.")
        return [self._item.check(item, f"{path}[{index}]", problems) for index, item in enumerate(value)]


class MapOf(Node):
    """A mapping with free keys, or keys out of a fixed set."""

    what = "a mapping"

    def __init__(self, item: Node, keys: Iterable[str] = ()) -> None:
        self._item = item
        self._keys = list(keys)

    def check(self, value: Any, path: str, problems: list[str]) -> Any:
        if not isinstance(value, Mapping):
            problems.append(f"{path}: {_shown(value)} is not a mapping.")
            return value
        for key in value:
            if self._keys and key not in self._keys:
                problems.append(f"{path}.{key}: {_unknown(str(key), self._keys)}")
        return {key: self._item.check(item, f"{path}.{key}", problems) for key, item in value.items()}


class Field(NamedTuple):
    """One key of a Record."""

    node: Node
    required: bool = True
    default: Any = None


class Record(Node):
    """A mapping with known keys."""

    what = "a mapping"

    def __init__(self, **fields: Field) -> None:
        self.fields = fields

    def check(self, value: Any, path: str, problems: list[str]) -> Any:
        if not isinstance(value, Mapping):
            problems.append(f"{path or 'The recipe'}: {_shown(value)} is not a mapping.")
            return value
        problems.extend(
            f"{_join(path, key)}: {_unknown(str(key), self.fields)}" for key in value if key not in self.fields
        )
        checked = {}
        for key, field in self.fields.items():
            if key not in value:
                if field.required:
                    problems.append(f"{_join(path, key)}: missing; it must be {field.node.what}.")
                checked[key] = field.default
            elif value[key] is None and not field.required:
                checked[key] = field.default
            else:
                checked[key] = field.node.check(value[key], _join(path, key), problems)
        return checked


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _shown(value: Any) -> str:
    text = repr(str(value) if isinstance(value, str) else value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"unknown name {name!r}; did you mean {near[0]!r}?"
    return f"unknown name {name!r}; known are {', '.join(sorted(names))}."


_TEXT = Scalar("a text", str)
_COUNT = Scalar("a whole number of 1 or more", int, pattern=r"[1-9]\d*")
_COUNT0 = Scalar("a whole number", int, pattern=r"\d+")
_NUMBER = Scalar("a number", int, float)
_FLAG = Scalar("true or false", bool)
_PORT = Scalar("a port number", int, pattern=r"[1-9]\d{0,4}")
_REPO = Scalar("a repository such as 'org/name'", str, pattern=r"[\w.-]+/[\w.-]+")
_METRIC = Scalar("the name of a metric", str, choices=list(METRICS))

THRESHOLD = Record(
    metric=Field(_METRIC),
    op=Field(Scalar("one of '>=', '<=', '=='", str, choices=(">=", "<=", "=="))),
    value=Field(_NUMBER, required=False),
    tolerance=Field(Scalar("a share such as '10%' or a number", str, int, float), required=False),
    severity=Field(Scalar("one of 'fail', 'warn', 'invalid'", str, choices=("fail", "warn", "invalid"))),
    sizes=Field(ListOf(_TEXT, empty=False), required=False),
    source=Field(_TEXT),
)

BENCHMARK = Record(
    backend=Field(_TEXT),
    endpoint=Field(Scalar("a path such as '/v1/chat/completions'", str, pattern=r"/\S+")),
    dataset=Field(_TEXT),
    input_len=Field(_COUNT),
    output_len=Field(_COUNT),
    max_concurrency=Field(_COUNT),
    warmup_prompts=Field(_COUNT0),
    seed=Field(_COUNT0, required=False),
    sizes=Field(MapOf(_COUNT)),
    trust_remote_code=Field(_FLAG, required=False, default=False),
    time_limit_s=Field(_COUNT),
    goodput=Field(MapOf(_NUMBER, keys=GOODPUT_LIMITS), required=False),
    spread_max=Field(_NUMBER, required=False, default=SPREAD_MAX),
    args=Field(MapOf(Node()), required=False, default={}),
)

# What the functional checks must know of the model; C(skip) says which it cannot pass, and why.
FUNCTIONAL = Record(
    skip=Field(MapOf(Scalar("a reason", str), keys=CHECK_NAMES), required=False, default={}),
    answer=Field(_TEXT, required=False, default="Paris"),
    instant_template_kwargs=Field(MapOf(Node()), required=False, default={"thinking": False}),
    long_context=Field(
        Record(
            tokens=Field(_COUNT, required=False),
            recall=Field(_FLAG, required=False, default=True),
        ),
        required=False,
        default={"tokens": None, "recall": True},
    ),
    token_ids=Field(MapOf(_COUNT0), required=False, default={}),
)

# How much real text is answered to see how many drafted tokens are accepted.
REAL_TEXT = Record(
    prompts=Field(_COUNT, required=False, default=8),
    output_len=Field(_COUNT, required=False, default=256),
    concurrency=Field(_COUNT, required=False, default=4),
)

RECIPE = Record(
    title=Field(_TEXT),
    source=Field(_TEXT),
    hardware=Field(
        Record(
            gpu_name=Field(_TEXT, required=False),
            gpu_count=Field(_COUNT0),
            driver_min=Field(Scalar("a version in quotes, such as '580'", str, pattern=r"\d+(\.\d+)*"), required=False),
            gpu_memory_gib=Field(_NUMBER, required=False),
            fabric=Field(_FLAG, required=False, default=False),
            memory_gib=Field(_NUMBER),
            shm_gib=Field(_NUMBER, required=False),
            disk_gb=Field(Record(weights=Field(_NUMBER), image=Field(_NUMBER))),
            price_usd_per_hour=Field(_NUMBER, required=False),
            lambda_cloud=Field(
                Record(instance_type=Field(_TEXT), image_family=Field(_TEXT), ssh_user=Field(_TEXT)), required=False
            ),
        )
    ),
    models=Field(
        ListOf(
            Record(
                repo=Field(_REPO),
                revision=Field(_TEXT),
                role=Field(Scalar("'model' or 'draft'", str, choices=("model", "draft"))),
            ),
            empty=False,
        )
    ),
    image=Field(
        Record(
            name=Field(_TEXT),
            tag=Field(_TEXT),
            digest=Field(Scalar("a digest 'sha256:...'", str, pattern=r"sha256:[0-9a-f]{64}"), required=False),
            pip=Field(
                ListOf(
                    Scalar("a pinned package such as 'name==1.2'", str, pattern=r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==\S+")
                )
            ),
        )
    ),
    container=Field(
        Record(
            gpus=Field(Scalar("'all'", str, choices=("all",)), required=False),
            ipc=Field(_TEXT, required=False),
        )
    ),
    engine=Field(
        Record(
            entrypoint=Field(ListOf(_TEXT, empty=False)),
            served_model_name=Field(_TEXT),
            port=Field(_PORT),
            ready_timeout_s=Field(_COUNT),
            env=Field(MapOf(Scalar("a text (in quotes)", str))),
            args=Field(MapOf(Node())),
        )
    ),
    profiles=Field(MapOf(Node())),
    benchmark=Field(BENCHMARK),
    functional=Field(FUNCTIONAL, required=False, default=FUNCTIONAL.check({}, "", [])),
    real_text=Field(REAL_TEXT, required=False, default=REAL_TEXT.check({}, "", [])),
    published=Field(MapOf(_NUMBER, keys=METRICS)),
    thresholds=Field(ListOf(THRESHOLD)),
    clients=Field(MapOf(MapOf(_TEXT)), required=False, default={}),
)


def resolve(data: Any, profile: str) -> dict[str, Any]:
    """Return the recipe C(data) with C(profile) merged in and every default filled in.

    All profiles are checked, not only the one asked for. Raises RecipeError with all problems found.
    """
    problems: list[str] = []
    _check(data, problems)
    profiles = data.get("profiles") if isinstance(data, Mapping) else None
    if not isinstance(profiles, Mapping):
        raise RecipeError(problems)
    for name, changes in profiles.items():
        if not isinstance(changes, Mapping):
            problems.append(f"profiles.{name}: {_shown(changes)} is not a mapping.")
            continue
        found: list[str] = []
        _check(merge(data, changes), found)
        problems.extend(f"profiles.{name}.{problem}" for problem in found if problem not in problems)
    if profile not in profiles:
        problems.append(f"recipe_profile: {_unknown(profile, profiles)}")
    if problems:
        raise RecipeError(problems)
    recipe = _check(merge(data, profiles[profile]), problems)
    del recipe["profiles"]
    return {**recipe, "profile": profile}


def merge(base: Any, changes: Any) -> Any:
    """Return C(base) with C(changes) laid over it: mappings are merged, everything else is replaced."""
    if isinstance(base, Mapping) and isinstance(changes, Mapping):
        return {**base, **{key: merge(base.get(key), value) for key, value in changes.items()}}
    return changes


def _check(data: Any, problems: list[str]) -> dict[str, Any]:
    shape_problems: list[str] = []
    recipe: dict[str, Any] = RECIPE.check(data, "", shape_problems)
    problems.extend(shape_problems)
    if not shape_problems:
        problems.extend(_contradictions(recipe))
    return recipe


def _contradictions(recipe: dict[str, Any]) -> Iterable[str]:
    """What is wrong although every single value has the right shape."""
    roles = [model["role"] for model in recipe["models"]]
    if roles.count("model") != 1 or roles.count("draft") > 1:
        yield "models: exactly one repository must have the role 'model', and at most one the role 'draft'."
    for path, options in (("engine.args", recipe["engine"]["args"]), ("benchmark.args", recipe["benchmark"]["args"])):
        for key, value in options.items():
            try:
                render_args({key: value})
            except ArgsError as exc:
                yield f"{path}.{key}: {exc}"
    yield from _engine_contradictions(recipe)
    for index, threshold in enumerate(recipe["thresholds"]):
        for problem in threshold_problems(threshold, recipe["published"], recipe["benchmark"]):
            yield f"thresholds[{index}]: {problem}"


def _engine_contradictions(recipe: dict[str, Any]) -> Iterable[str]:
    """The engine must serve what is cached, and where and as what the checks ask for it."""
    args = recipe["engine"]["args"]
    for key, source in _DERIVED_ARGS.items():
        if key in args:
            yield f"engine.args.{key}: leave it out; it follows from {source}."
    speculative = args.get("speculative-config")
    draft = next((model["repo"] for model in recipe["models"] if model["role"] == "draft"), None)
    if isinstance(speculative, Mapping) and "model" in speculative and speculative["model"] != draft:
        found = _shown(speculative["model"])
        yield f"engine.args.speculative-config.model: {found} is not the draft of 'models', {_shown(draft)}."
