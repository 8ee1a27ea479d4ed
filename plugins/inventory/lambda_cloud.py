# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory C(lambda_cloud): hosts from the instances of a Lambda account."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lambda_cloud
short_description: Hosts from the Lambda Cloud API, from an address, or from both
version_added: 0.2.0
author: hgx.inference contributors (@hgx-inference)
description:
  - Adds every active instance of a Lambda account as a host.
  - Also adds hosts by address, for nodes outside the account.
  - Reads a file that ends in C(lambda_cloud.yml) or C(lambda_cloud.yaml).
  - A host has the name of its instance, or its ID if the name is missing, not unique or not usable as a host name.
  - Sets these variables, which are empty if the API returns no value. C(lambda_id), C(lambda_name), C(lambda_status),
    C(lambda_ip), C(lambda_private_ip), C(lambda_hostname), C(lambda_region), C(lambda_type),
    C(lambda_price_usd_per_hour), C(lambda_gpu_description), C(lambda_gpus), C(lambda_vcpus), C(lambda_memory_gib),
    C(lambda_storage_gib), C(lambda_image_id), C(lambda_image_family), C(lambda_ssh_key_names), C(lambda_file_systems),
    C(lambda_firewall_rulesets) (IDs) and C(lambda_tags) (a dictionary).
  - From the tags of M(hgx.inference.lambda_instance) it sets C(lambda_managed) (whether it launched the instance),
    C(lambda_owner), C(lambda_launched_at) and C(lambda_expires_at) (both as V(2026-11-25T14:00:00Z)).
  - Values of the API are never evaluated as templates. An invalid address is left out.
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [hgx.inference.lambda_cloud]
  api_key:
    description:
      - A key of the Lambda Cloud API; may be a template. Without a key only O(static_hosts) are added.
      - It is never cached or shown.
    type: str
    env:
      - name: LAMBDA_API_KEY
  api_url:
    description: Address of the API. Plain C(http) is accepted on the loopback interface only.
    type: str
    default: https://cloud.lambda.ai/api/v1
    env:
      - name: LAMBDA_API_URL
  api_timeout:
    description: Seconds that the request may take, with all its retries.
    type: float
    default: 60
  request_interval:
    description: Seconds between two requests of this user, over all processes. Lambda allows one a second.
    type: float
    default: 1
    env:
      - name: LAMBDA_API_INTERVAL
  regions:
    description: Only instances in these regions.
    type: list
    elements: str
    default: []
  types:
    description: Only instances of these types.
    type: list
    elements: str
    default: []
  names:
    description: Only instances with these names, which may be patterns such as V(kimi-*).
    type: list
    elements: str
    default: []
  statuses:
    description: Only instances in these states; an empty list means every state.
    type: list
    elements: str
    default: [active]
  tags:
    description: Only instances with these tags.
    type: dict
    default: {}
  hostname:
    description: A template for the name of a host, with the host variables of the instance.
    type: str
    default: ""
  connect_with:
    description: The address to connect to.
    type: str
    choices: [public, private]
    default: public
  group:
    description: Group of the static hosts and of the placeholder. Instances are added to it through O(groups).
    type: str
    default: inference
  static_hosts:
    description:
      - Additional hosts, name and address. The address may be a template. A host with an empty address is left out.
      - If the address is the name, the ID or an address of an instance of the account, no host is added, but this
        instance is put into O(group).
    type: dict
    default: {}
  placeholder:
    description:
      - Name of a host that is in O(group) while the group has no other host. Its address is undefined. Using it fails
        with a hint what to set or launch; a plan that contacts no host works.
    type: str
    default: ""
"""

EXAMPLES = r"""
# The key is in LAMBDA_API_KEY.
plugin: hgx.inference.lambda_cloud

---
# Nodes of one team in one region, over the private network, grouped, and remembered for five minutes.
plugin: hgx.inference.lambda_cloud
regions: [us-east-1]
tags:
  team: inference
connect_with: private
hostname: "{{ lambda_name }}-{{ lambda_region }}"
groups:
  inference: lambda_gpus == 8
keyed_groups:
  - key: lambda_type
    prefix: type
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/hgx-inference/lambda
cache_timeout: 300
"""

import hashlib
from typing import Any, cast

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.template import trust_as_template

from ..module_utils._core.secrets import scrub
from ..module_utils._lambda.client import Client, LambdaError, default_state_dir
from ..module_utils._lambda.http import HttpTransport
from ..module_utils._lambda.inventory import ADDRESS, PLAIN, Filters, host_names, host_vars, is_selected
from ..module_utils._lambda.records import Instance, parse_instance

NOTHING_SET = "Set LAMBDA_API_KEY to use the nodes of your Lambda account, or HGX_NODE to the address of one node."
NO_NODE = (
    "No node: the Lambda account has {count} instances, and none is in the group {group}. Launch one with "
    "'ansible-playbook playbooks/provision.yml -i inventories/lambda', or set HGX_NODE to the name or address of yours."
)


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "hgx.inference.lambda_cloud"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("lambda_cloud.yml", "lambda_cloud.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        self.templar.available_variables = self._vars
        group = self.inventory.add_group(self.get_option("group"))
        static = self._static_hosts()
        key = self._text("api_key")
        instances = self._instances(path, cache, key) if key else []
        further = {
            name: address
            for name, address in static.items()
            if not any(is_selected(instance, address) for instance in instances)
        }
        for name, address in further.items():
            self.inventory.add_host(name, group)
            self.inventory.set_variable(name, "ansible_host", plain(address))
        self._add_instances(instances, list(static.values()), {*further, *self.inventory.groups}, group)
        if not self.inventory.groups[group].get_hosts():
            if not key:
                self.display.warning(NOTHING_SET)
            self._add_placeholder(group, NO_NODE.format(count=len(instances), group=group) if key else NOTHING_SET)

    def _text(self, option: str) -> str:
        """Return an option that may be a template, as plain text."""
        return str(self.templar.template(self.get_option(option)) or "").strip()

    def _static_hosts(self) -> dict[str, str]:
        hosts = {
            str(name): str(self.templar.template(address) or "").strip()
            for name, address in self.get_option("static_hosts").items()
        }
        for name, address in hosts.items():
            if address and not ADDRESS.fullmatch(address):
                raise AnsibleParserError(
                    f"static_hosts (HGX_NODE): {address!r} of {name} is not an address. Give the address or name alone."
                    " ansible_user has the user (ubuntu) and ansible_port the port."
                )
        return {name: address for name, address in hosts.items() if address}

    def _instances(self, path: str, cache: bool, key: str) -> list[Instance]:
        """Return all instances, from the cache if allowed. A hit leaves the age of the cache as it is."""
        url = self._text("api_url")
        # Another account is another entry; the key itself is not in the name.
        account = hashlib.sha256(f"{url} {key}".encode()).hexdigest()[:12]
        cache_key = f"{self.get_cache_key(path)}_{account}"
        use_cache = bool(self.get_option("cache"))
        if cache and use_cache:
            try:
                return cast("list[Instance]", self._cache[cache_key])
            except KeyError:
                pass
        try:
            limits = self.get_option("api_timeout"), self.get_option("request_interval")
            client = Client(HttpTransport(), key, url, *limits, default_state_dir())
            instances = [parse_instance(raw) for raw in client.get_list("/instances")]
        except LambdaError as exc:
            raise AnsibleParserError(scrub(str(exc))) from None
        if use_cache:
            self._cache[cache_key] = instances
        return instances

    def _add_instances(self, instances: list[Instance], selected: list[str], taken: set[str], group: str) -> None:
        names = ("regions", "types", "names", "statuses", "tags")
        filters = Filters(*[self.get_option(name) for name in names])
        shown = [
            instance
            for instance in instances
            if filters.pass_(instance) or any(is_selected(instance, address) for address in selected)
        ]
        variables = [host_vars(instance) for instance in shown]
        proposed = [self._proposed_name(one) for one in variables]
        for instance, one, name in zip(shown, variables, host_names(shown, proposed, taken), strict=True):
            self.inventory.add_host(name)
            self._set_variables(name, plain({**one, "ansible_host": self._address(instance)}))
            if any(is_selected(instance, address) for address in selected):
                self.inventory.add_child(group, name)

    def _proposed_name(self, variables: dict[str, Any]) -> str | None:
        hostname = self.get_option("hostname")
        if not hostname:
            name = variables["lambda_name"]
            return None if name is None else str(name)
        self.templar.available_variables = variables
        return str(self.templar.template(hostname))

    def _address(self, instance: Instance) -> str:
        private = self.get_option("connect_with") == "private"
        address = instance["private_ip"] if private else instance["ip"]
        kind = "private" if private else "public"
        return address or undefined(f"The instance has no {kind} address; it may still be booting.")

    def _set_variables(self, name: str, variables: dict[str, Any]) -> None:
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)
        strict, compose = self.get_option("strict"), self.get_option("compose")
        self._set_composite_vars(compose, variables, name, strict)
        # Only composed variables need another lookup; without any, skipping it saves half of the time.
        look_up = bool(compose)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict, look_up)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict, look_up)

    def _add_placeholder(self, group: str, hint: str) -> None:
        name = self.get_option("placeholder")
        if name:
            self.inventory.add_host(name, group)
            self.inventory.set_variable(name, "ansible_host", undefined(hint))
        else:
            self.display.warning(hint)


def plain(value: Any) -> Any:
    """Return a value marked as trusted if it cannot be a template, so that an inventory listing shows it as plain text.

    All other text of the API stays untrusted, which ansible-inventory marks with C(__ansible_unsafe).
    """
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return trust_as_template(value) if isinstance(value, str) and PLAIN.fullmatch(value) else value


def undefined(hint: str) -> str:
    """Return a value that fails with this hint when it is used. The hint must not contain text of the API."""
    return cast("str", trust_as_template("{{ undef(hint=" + repr(hint) + ") }}"))
