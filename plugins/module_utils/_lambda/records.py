# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances and instance types: the API's data, validated and flattened; and what identifies an instance."""

from __future__ import annotations

import datetime
import difflib
import ipaddress
import math
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

from .._core.secrets import quoted
from .._core.units import human_duration
from .client import QUOTED, LambdaError

# Tags that identify a node launched by this collection.
MANAGED = "hgx-managed-by"
MANAGED_VALUE = "hgx.inference"
OWNER = "hgx-owner"
LAUNCH = "hgx-launch"
LAUNCHED_AT = "hgx-launched-at"
EXPIRES_AT = "hgx-expires-at"

# An unknown status counts as running, because it may cost money.
GONE = frozenset(["terminated", "terminating", "preempted"])
UNKNOWN = "unknown"  # a type or a region that the API does not name
OPEN_REGIONS = frozenset(["us-south-1"])  # Lambda's firewall rules do not apply there


class Instance(TypedDict):
    """One instance. Only these fields are kept, since the API also sends tokens, which must not be cached or logged."""

    id: str
    name: str | None
    status: str
    ip: str | None
    private_ip: str | None
    hostname: str | None
    region: str
    type: str
    gpu_description: str | None
    gpus: int | None
    vcpus: int | None
    memory_gib: int | None
    storage_gib: int | None
    price_usd_per_hour: float | None
    image_id: str | None
    image_family: str | None
    ssh_key_names: list[str]
    file_systems: list[str]
    firewall_rulesets: list[str]
    tags: dict[str, str]
    managed: bool
    owner: str | None
    launched_at: str | None
    expires_at: str | None


@dataclass(frozen=True)
class Identity:
    """What identifies an instance; all given fields must match."""

    id: str | None = None
    name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    def matches(self, instance: Instance) -> bool:
        return (
            self.id in (None, instance["id"])
            and self.name in (None, instance["name"])
            and self.tags.items() <= instance["tags"].items()
        )

    def __str__(self) -> str:
        parts = [f"ID {self.id}"] if self.id else []
        parts += [f"name {self.name!r}"] if self.name else []
        parts += [f"tag {key}={value}" for key, value in sorted(self.tags.items())]
        return " and ".join(parts)


class Offer(NamedTuple):
    """An instance type and the regions that have capacity now."""

    name: str
    description: str
    price_usd_per_hour: float
    regions: list[str]


def parse_instance(raw: Any) -> Instance:
    """Return the instance. Raises LambdaError if it lacks an essential field."""
    if not isinstance(raw, dict) or not _text(raw.get("id")) or not _text(raw.get("status")):
        raise LambdaError(f"The API lists an instance without id or status ({field_names(raw)}). Run again later.")
    kind = _dict(raw.get("instance_type"))
    specs = _dict(kind.get("specs"))
    image = _dict(raw.get("image"))
    tags = parse_tags(raw.get("tags"))
    return {
        "id": str(raw["id"]),
        "name": _text(raw.get("name")),
        "status": str(raw["status"]),
        "ip": _address(raw.get("ip")),
        "private_ip": _address(raw.get("private_ip")),
        "hostname": _text(raw.get("hostname")),
        "region": _text(_dict(raw.get("region")).get("name")) or UNKNOWN,
        "type": _text(kind.get("name")) or UNKNOWN,
        "gpu_description": _text(kind.get("gpu_description")),
        "gpus": _int(specs.get("gpus")),
        "vcpus": _int(specs.get("vcpus")),
        "memory_gib": _int(specs.get("memory_gib")),
        "storage_gib": _int(specs.get("storage_gib")),
        "price_usd_per_hour": parse_price(kind.get("price_cents_per_hour")),
        "image_id": _text(image.get("id")),
        "image_family": _text(image.get("family")),
        "ssh_key_names": _texts(raw.get("ssh_key_names")),
        "file_systems": _texts(raw.get("file_system_names")),
        "firewall_rulesets": _texts([_dict(entry).get("id") for entry in _list(raw.get("firewall_rulesets"))]),
        "tags": tags,
        "managed": tags.get(MANAGED) == MANAGED_VALUE,
        "owner": tags.get(OWNER),
        "launched_at": tags.get(LAUNCHED_AT),
        "expires_at": tags.get(EXPIRES_AT),
    }


def parse_tags(raw: Any) -> dict[str, str]:
    entries = [_dict(entry) for entry in _list(raw)]
    return {str(entry["key"]): str(entry.get("value", "")) for entry in entries if entry.get("key")}


def render_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": tags[key]} for key in sorted(tags)]


def parse_price(cents: Any) -> float | None:
    """Return USD an hour, or None if it is not a positive number. The API sends the cents as a number or as text."""
    try:
        usd = float(cents) / 100
    except (TypeError, ValueError, OverflowError):
        return None
    usd = round(usd, 4) if is_positive(usd) and not isinstance(cents, bool) else 0.0
    return usd or None


def is_positive(number: float) -> bool:
    """Return whether this is a positive number, and neither infinite nor NaN."""
    return math.isfinite(number) and number > 0


def parse_offer(data: Any, name: str) -> Offer:
    """Return one entry of the API's list of instance types. Raises LambdaError with the nearest names if unknown."""
    types = _dict(data)
    if name not in types:
        near = difflib.get_close_matches(name, types, n=3) or sorted(types)
        raise LambdaError(f"Lambda has no instance type {name!r}. Did you mean {' or '.join(near)}?")
    entry = _dict(types[name])
    kind = _dict(entry.get("instance_type"))
    price = parse_price(kind.get("price_cents_per_hour"))
    if price is None:
        raise LambdaError(
            f"The API gives no price for {name} that is a positive number; nothing is launched at an unknown price."
        )
    regions = [_text(_dict(region).get("name")) for region in _list(entry.get("regions_with_capacity_available"))]
    return Offer(name, _text(kind.get("description")) or name, price, [region for region in regions if region])


def refuse_dear_offer(offer: Offer, max_price_per_hour: float | None) -> None:
    if max_price_per_hour is not None and not math.isfinite(max_price_per_hour):
        raise LambdaError(
            f"max_price_per_hour is {max_price_per_hour}, which limits nothing. Nothing was launched. Give USD an hour."
        )
    if max_price_per_hour is not None and offer.price_usd_per_hour > max_price_per_hour:
        raise LambdaError(
            f"{offer.name} costs {offer.price_usd_per_hour:.2f} USD an hour, more than max_price_per_hour "
            f"({max_price_per_hour:.2f}). Nothing was launched. Raise the limit or choose a smaller type."
        )


def regions_to_try(offer: Offer, wanted: list[str], bound: str | None) -> list[str]:
    """Return the regions with capacity, the preferred ones first. C(bound) is where the file systems are, if any.

    A region without a firewall is tried only if C(wanted) names it.
    """
    closed = [region for region in offer.regions if region not in OPEN_REGIONS]
    candidates = [region for region in wanted if region in offer.regions] if wanted else closed
    return [region for region in candidates if bound is None or region == bound]


def explain_no_capacity(offer: Offer, wanted: list[str], bound: str | None, waited_s: float) -> str:
    """Return the message for the case that no region had a free node."""
    others = [region for region in offer.regions if region not in regions_to_try(offer, wanted, bound)]
    anywhere = f"outside {', '.join(others)}" if others else "anywhere"
    where = f"in {bound}, where the file systems are" if bound else f"in {', '.join(wanted)}" if wanted else anywhere
    after = f" after {human_duration(waited_s)}" if waited_s >= 60 else ""
    told = [f"{region} (no firewall, every port is open)" if region in OPEN_REGIONS else region for region in others]
    name_it = "name it in regions (in the role lambda_node_regions)"
    elsewhere = f" There is capacity in {', '.join(told)}: {name_it}." if others else ""
    return (
        f"Lambda has no free {offer.name} {where}{after}. Nothing was launched.{elsewhere} "
        "Set capacity_timeout (in the role lambda_node_capacity_timeout_s) to wait for one."
    )


def differences(
    found: Instance,
    type_: str | None,
    regions: list[str],
    ssh_key: str | None,
    mounts: list[str],
    max_price_per_hour: float | None = None,
) -> list[str]:
    """Return how an instance differs from the wanted one in ways that cannot be changed after the launch."""
    problems = []
    if type_ and found["type"] != type_:
        problems.append(f"it is a {found['type']}, not a {type_}")
    if regions and found["region"] not in regions:
        problems.append(f"it is in {found['region']}, not in {' or '.join(regions)}")
    if ssh_key and found["ssh_key_names"] and ssh_key not in found["ssh_key_names"]:
        problems.append(f"its SSH key is {', '.join(found['ssh_key_names'])}, not {ssh_key}")
    missing = [name for name in mounts if name not in found["file_systems"]]
    if missing:
        problems.append(f"it lacks the file system {', '.join(missing)}")
    price = found["price_usd_per_hour"]
    if price is not None and max_price_per_hour is not None and price > max_price_per_hour:
        problems.append(f"it costs {price:.2f} USD an hour, more than max_price_per_hour ({max_price_per_hour:.2f})")
    return problems


def unlike_launch(found: Instance, asked: dict[str, Any], max_price_per_hour: float | None) -> list[str]:
    """Return how a new instance differs from the body of its launch, as far as the API tells it."""
    problems = differences(
        found,
        asked["instance_type_name"] if found["type"] != UNKNOWN else None,
        [asked["region_name"]] if found["region"] != UNKNOWN else [],
        asked["ssh_key_names"][0],
        asked.get("file_system_names", []),
        max_price_per_hour,
    )
    for key in ("id", "family"):
        wanted, real = asked["image"].get(key), found["image_id" if key == "id" else "image_family"]
        if wanted and real and wanted != real:
            problems.append(f"its image is {real}, not {wanted}")
    if asked.get("name") and found["name"] != asked["name"]:
        problems.append(f"its name is {found['name']!r}, not {asked['name']!r}, so that a later run would not find it")
    rulesets = {entry["id"] for entry in asked.get("firewall_rulesets", [])}
    if found["firewall_rulesets"] and set(found["firewall_rulesets"]) != rulesets:
        problems.append(
            f"its firewall rule sets are {', '.join(sorted(found['firewall_rulesets']))}, "
            f"not {', '.join(sorted(rulesets)) or 'none'}"
        )
    tags = parse_tags(asked["tags"])
    lost = [key for key in sorted(tags) if found["tags"].get(key) != tags[key]]
    if lost:
        problems.append(f"it lacks the tag {', '.join(lost)}")
    return problems


def odd_in_launch(found: Instance, asked: dict[str, Any], offer: Offer) -> list[str]:
    """Return what only looks odd in a new instance, or cannot be compared with its launch."""
    told, price = [], found["price_usd_per_hour"]
    if price is None:
        told.append(f"the API gives no price for it; offered were {offer.price_usd_per_hour:.2f} USD an hour")
    elif price != offer.price_usd_per_hour:
        told.append(f"it costs {price:.2f} USD an hour; offered were {offer.price_usd_per_hour:.2f}")
    told += [f"the API does not say its {key}" for key in ("type", "region") if dict(found)[key] == UNKNOWN]
    if asked.get("firewall_rulesets") and not found["firewall_rulesets"]:
        told.append("the API does not list the firewall rule sets that it was launched with")
    if asked.get("hostname") and found["hostname"] not in (None, asked["hostname"]):
        told.append(f"its host name is {found['hostname']}, not {asked['hostname']}")
    return told


def iso_time(seconds: float) -> str:
    """Return the time as C(2026-11-25T14:00:00Z)."""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str | None) -> float | None:
    """Return seconds since 1970, or None if it is not a time with its zone, such as C(2026-11-25T14:00:00Z)."""
    try:
        parsed = datetime.datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", (text or "").strip()))
        return parsed.timestamp() if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def with_utc_expiry(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags with the expiry in UTC. Raises LambdaError if the expiry is not a time."""
    if EXPIRES_AT not in tags:
        return tags
    expires = parse_time(tags[EXPIRES_AT])
    if expires is None:
        raise LambdaError(
            f"The tag {EXPIRES_AT} is {tags[EXPIRES_AT]!r}, which is not a time with its zone, so the instance would "
            "never expire. Write it as 2026-11-25T14:00:00Z (UTC). Nothing was launched."
        )
    return {**tags, EXPIRES_AT: iso_time(expires)}


def explain_kept_tags(found: Instance, tags: dict[str, str]) -> str:
    """Return the message for the case that the API did not change the tags of an instance to C(tags)."""
    kept = [key for key in sorted(tags) if found["tags"].get(key) != tags[key]]
    expiry = ""
    if EXPIRES_AT in kept:
        at = found["expires_at"]
        who = "whoever releases expired nodes (lambda_node_release_expired)"
        until = (
            f"expires at {at}, and is then released by {who}" if at else f"has no expiry, and is not released by {who}"
        )
        expiry = (
            f" It still {until}. The expiry is set at the launch, by this tag or by lifetime_hours (in the role "
            "lambda_node_lifetime_hours)."
        )
    return (
        f"Lambda did not change {', '.join(kept)} of {described(found)}: its API documents tags at the launch only."
        f"{expiry} Leave the tag out to use the instance as it is."
    )


def age_hours(instance: Instance, now: float) -> float | None:
    launched = parse_time(instance["launched_at"])
    return None if launched is None else round(max(0.0, now - launched) / 3600, 3)


def cost_usd(instance: Instance, now: float) -> float | None:
    """Return the cost so far in USD, before taxes and discounts, or None if the launch time is unknown."""
    hours, price = age_hours(instance, now), instance["price_usd_per_hour"]
    return None if hours is None or price is None else round(hours * price, 2)


def expiry(now: float, hours: float) -> str:
    """Return when an instance that is launched now expires. Raises LambdaError if there is no such time."""
    try:
        if is_positive(hours):
            return iso_time(now + hours * 3600)
    except (ValueError, OverflowError, OSError):
        pass
    raise LambdaError(
        f"lifetime_hours is {hours}, which is no time to live. Nothing was launched. Give hours, such as 8."
    )


def is_expired(instance: Instance, now: float) -> bool:
    expires = parse_time(instance["expires_at"])
    return expires is not None and expires <= now


def open_region_warning(region: str) -> str:
    return (
        f"Lambda does not apply firewall rules in {region}: every port of an instance there is open to the internet. "
        "Keep the server on 127.0.0.1 and use an SSH tunnel, or choose another region."
    )


def described(instance: Instance) -> str:
    """Return C(kimi (0920582c, gpu_8x_b200_sxm6 in us-east-1))."""
    return f"{instance['name'] or 'unnamed'} ({instance['id']}, {instance['type']} in {instance['region']})"


def priced(instance: Instance) -> str:
    price = instance["price_usd_per_hour"]
    return "an unknown price" if price is None else f"{price:.2f} USD an hour"


def field_names(raw: Any) -> str:
    """Return the names of the fields of an entry, never its values: these may be secrets, such as a token."""
    if not isinstance(raw, dict):
        return f"it is a {type(raw).__name__}, not an object"
    return f"its fields: {quoted(', '.join(sorted(map(str, raw))), QUOTED) or 'none'}"


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Any) -> list[str]:
    return [entry for entry in _list(value) if isinstance(entry, str)]


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _address(value: Any) -> str | None:
    """Return an IP address, else None: anything else would end up on the command line of ssh."""
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) else None
    except ValueError:
        return None
