#!/usr/bin/env python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lambda Cloud API on the loopback interface, as documented: instances that boot, run and terminate, and faults.

Faults are queued, in Python or through POST /_faults, and taken in order by the requests that they match:

    {"kind": "status", "status": 429, "code": "global/rate-limited", "times": 3}
    {"kind": "malformed"} {"kind": "slow", "seconds": 2} {"kind": "lagging", "seconds": 2}
    {"kind": "cut_before"} {"kind": "cut_after", "method": "POST", "path": "/instance-operations/launch"}

cut_before closes the connection without having acted, cut_after once it has. lagging hides what the request launches
from the list for a while. GET /_state returns the instances, including terminated ones, and the requests so far;
POST /_stop ends the server.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import socket
import socketserver
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PREFIX = "/api/v1"
KEY = "secret_hgx-test.0123456789abcdef"
REGIONS = ("us-east-1", "us-west-1", "us-south-1")
# Name: GPUs, vCPUs, memory and disk in GiB, cents an hour.
TYPES = {
    "gpu_8x_b200_sxm6": (8, 208, 2900, 22528, 4592),
    "gpu_1x_b200_sxm6": (1, 26, 360, 2816, 699),
    "gpu_1x_a10": (1, 30, 200, 1400, 129),
}
LAUNCH_KEYS = {
    *("region_name", "instance_type_name", "ssh_key_names", "name", "hostname", "image", "user_data", "tags"),
    *("file_system_names", "file_system_mounts", "firewall_rulesets"),
}
TAG_KEY = re.compile(r"[a-z][a-z0-9:-]{0,54}")


@dataclass
class Fault:
    """A fault of the next C(times) requests that match."""

    kind: str
    method: str = ""
    path: str = ""  # a prefix
    times: int = 1
    status: int = 500
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    text: str = '{"data": [{"id"'


class Refusal(Exception):
    """An error of the API: its status, code, message and suggestion."""

    def __init__(self, status: int, code: str, message: str, suggestion: str = "", **fields: str) -> None:
        super().__init__(message)
        self.status = status
        error = {"code": code, "message": message, **({"suggestion": suggestion} if suggestion else {})}
        self.body: dict[str, Any] = {"error": error}
        if fields:
            self.body["field_errors"] = {name: {"code": code, "message": text} for name, text in fields.items()}


class LambdaApi:
    """The account behind the API."""

    def __init__(
        self, boot_s: float = 0.0, terminate_s: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self.boot_s = boot_s
        self.terminate_s = terminate_s
        self.capacity: dict[str, list[str]] = {name: ["us-east-1", "us-west-1"] for name in TYPES}
        # A region may have no capacity although the list of types says so.
        self.full: set[str] = set()
        self.ssh_keys = ["laptop"]
        self.file_systems: dict[str, str] = {}  # name -> region
        self.rulesets: dict[str, dict[str, Any]] = {}
        self.instances: dict[str, dict[str, Any]] = {}
        self.launches = 0
        self.quota = 1000
        # As documented, only a new name is accepted and other fields are ignored. Otherwise name and tags are replaced.
        self.takes_tags = False
        # Where the API does something else than it was asked for.
        self.launched_as: dict[str, Any] = {}  # fields of each new instance
        self.twins = 0  # further instances of each launch
        self.kept_rules: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = list
        self.keeps_rulesets = False  # a rule set that is removed stays
        self.deaf_to: set[str] = set()  # "terminate", "restart": accepted without effect
        self._since: dict[str, float] = {}
        self._hidden: dict[str, float] = {}
        self.lag_s = 0.0

    def add(self, **fields: Any) -> dict[str, Any]:
        """Add an active instance that was not launched through the API."""
        number = len(self.instances)
        instance = self._instance("gpu_8x_b200_sxm6", "us-east-1")
        instance.update(
            name=f"node-{number}",
            status="active",
            ip=f"198.18.{number // 250}.{number % 250 + 1}",
            private_ip=f"10.0.{number // 250}.{number % 250 + 1}",
        )
        instance.update(fields)
        self.instances[instance["id"]] = instance
        return instance

    @staticmethod
    def _instance(kind: str, region: str) -> dict[str, Any]:
        return {
            "id": uuid.uuid4().hex,
            "ip": None,
            "private_ip": None,
            "status": "booting",
            "ssh_key_names": ["laptop"],
            "file_system_names": [],
            "file_system_mounts": [],
            "region": {"name": region, "description": f"Somewhere in {region}"},
            "instance_type": instance_type(kind),
            "hostname": "192-0-2-1",
            "jupyter_token": "jupyter-s3cret",
            "jupyter_url": "https://jupyter.example/?token=jupyter-s3cret",
            "tags": [],
            "firewall_rulesets": [],
            "actions": {},
        }

    def advance(self) -> None:
        """Advance the state: booted instances become active, terminated ones disappear."""
        now = self.clock()
        for id_, instance in self.instances.items():
            since = now - self._since.get(id_, now)
            if instance["status"] == "booting" and id_ in self._since and since >= self.boot_s:
                instance.update(status="active", ip="127.0.0.1", private_ip="10.0.0.1")
            elif instance["status"] == "terminating" and since >= self.terminate_s:
                instance.update(status="terminated")

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Return the data of the answer; raise Refusal."""
        self.advance()
        routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", r"/instances", self._list),
            ("GET", r"/instances/([^/]+)", self._show),
            ("POST", r"/instances/([^/]+)", self._update),
            ("GET", r"/instance-types", self._types),
            ("POST", r"/instance-operations/launch", self._launch),
            ("POST", r"/instance-operations/terminate", self._terminate),
            ("POST", r"/instance-operations/restart", self._restart),
            ("GET", r"/ssh-keys", lambda _body: [{"id": name, "name": name} for name in self.ssh_keys]),
            ("GET", r"/file-systems", self._file_systems),
            ("GET", r"/firewall-rulesets", lambda _body: list(self.rulesets.values())),
            ("POST", r"/firewall-rulesets", self._add_ruleset),
            ("GET", r"/firewall-rulesets/([^/]+)", lambda _body, id_: self._ruleset(id_)),
            ("PATCH", r"/firewall-rulesets/([^/]+)", self._change_ruleset),
            ("DELETE", r"/firewall-rulesets/([^/]+)", self._remove_ruleset),
        ]
        for route_method, pattern, handler in routes:
            match = re.fullmatch(pattern, path)
            if match and method == route_method:
                return handler(body, *match.groups())
        raise Refusal(404, "global/object-does-not-exist", f"There is no {method} {path}")

    def _list(self, _body: Any) -> list[dict[str, Any]]:
        now = self.clock()
        return [
            instance
            for id_, instance in self.instances.items()
            if instance["status"] != "terminated" and self._hidden.get(id_, 0) <= now
        ]

    def _show(self, _body: Any, id_: str) -> dict[str, Any]:
        if id_ not in self.instances or self._hidden.get(id_, 0) > self.clock():
            raise Refusal(404, "global/object-does-not-exist", "Specified instance does not exist.")
        return self.instances[id_]

    def _update(self, body: Any, id_: str) -> dict[str, Any]:
        instance = self._show(None, id_)
        if self.takes_tags:
            instance.update(name=body.get("name"), tags=body.get("tags", []))
        elif "name" in body:
            instance["name"] = body["name"]
        return instance

    def _types(self, _body: Any) -> dict[str, Any]:
        return {
            name: {
                "instance_type": instance_type(name),
                "regions_with_capacity_available": [
                    {"name": region, "description": region} for region in self.capacity[name]
                ],
            }
            for name in TYPES
        }

    def _file_systems(self, _body: Any) -> list[dict[str, Any]]:
        return [
            {"id": f"fs-{name}", "name": name, "region": {"name": region}, "is_in_use": False}
            for name, region in self.file_systems.items()
        ]

    def _launch(self, body: Any) -> dict[str, Any]:
        problems = self._launch_problems(body)
        if problems:
            raise Refusal(400, "global/invalid-parameters", "Invalid request data", **problems)
        region, kind = body["region_name"], body["instance_type_name"]
        for name in body.get("file_system_names", []):
            if self.file_systems.get(name) != region:
                code = "instance-operations/launch/file-system-in-wrong-region"
                raise Refusal(400, code, f"File system {name} is in a different region than the instance.")
        running = [one for one in self.instances.values() if one["status"] in ("active", "booting")]
        if len(running) >= self.quota:
            raise Refusal(400, "global/quota-exceeded", "Quota exceeded.", "Contact support to increase your quota.")
        if region not in self.capacity[kind] or region in self.full:
            code = "instance-operations/launch/insufficient-capacity"
            raise Refusal(400, code, "Not enough capacity to fulfill launch request.", "Choose another region.")
        instance = self._instance(kind, region)
        instance.update(
            name=body.get("name"),
            tags=body.get("tags", []),
            ssh_key_names=body["ssh_key_names"],
            file_system_names=body.get("file_system_names", []),
            firewall_rulesets=body.get("firewall_rulesets", []),
        )
        instance.update(self.launched_as)
        ids = []
        for _number in range(1 + self.twins):
            id_ = instance["id"]
            self.instances[id_] = instance
            self._since[id_] = self.clock()
            self._hidden[id_] = self.clock() + self.lag_s
            ids.append(id_)
            instance = {**instance, "id": uuid.uuid4().hex}
        self.launches += 1
        return {"instance_ids": ids}

    def _launch_problems(self, body: Any) -> dict[str, str]:
        """Return what is wrong with the body of a launch: field -> words."""
        if not isinstance(body, dict):
            return {"body": "not an object"}
        problems = dict.fromkeys(sorted(set(body) - LAUNCH_KEYS), "Unknown field.")
        if body.get("region_name") not in REGIONS:
            problems["region_name"] = "Not a region."
        if body.get("instance_type_name") not in TYPES:
            problems["instance_type_name"] = "Not an instance type."
        keys = body.get("ssh_key_names")
        if not isinstance(keys, list) or len(keys) != 1 or keys[0] not in self.ssh_keys:
            problems["ssh_key_names"] = "Exactly one known key is required."
        if len(body.get("name") or "") > 64:
            problems["name"] = "Longer than 64 characters."
        image = body.get("image", {"family": "lambda-stack-24-04"})
        if image not in ({"family": "gpu-base-24-04"}, {"family": "lambda-stack-24-04"}, {"id": "image-1"}):
            problems["image"] = "Not an image."
        for tag in body.get("tags", []):
            if not TAG_KEY.fullmatch(tag.get("key", "")) or len(tag.get("value", "")) > 128:
                problems["tags"] = f"Not a tag: {tag}"
        for entry in body.get("firewall_rulesets", []):
            ruleset = self.rulesets.get(entry.get("id"))
            if not ruleset or ruleset["region"]["name"] != body.get("region_name"):
                problems["firewall_rulesets"] = "Not a rule set of this region."
        return problems

    def _terminate(self, body: Any) -> dict[str, Any]:
        found = [self._show(None, id_) for id_ in body["instance_ids"]]
        for instance in found if "terminate" not in self.deaf_to else []:
            instance.update(status="terminating")
            self._since[instance["id"]] = self.clock()
        return {"terminated_instances": found}

    def _restart(self, body: Any) -> dict[str, Any]:
        found = [self._show(None, id_) for id_ in body["instance_ids"] if "restart" not in self.deaf_to]
        for instance in found:
            instance.update(status="booting")
            self._since[instance["id"]] = self.clock()
        return {"restarted_instances": found}

    def _ruleset(self, id_: str) -> dict[str, Any]:
        if id_ not in self.rulesets:
            raise Refusal(404, "global/object-does-not-exist", "Specified firewall ruleset does not exist.")
        return self.rulesets[id_]

    def _add_ruleset(self, body: Any) -> dict[str, Any]:
        if any(known["name"] == body["name"] for known in self.rulesets.values()):
            raise Refusal(400, "global/duplicate", "A ruleset with this name already exists.")
        id_ = uuid.uuid4().hex
        region = {"name": body["region"], "description": body["region"]}
        self.rulesets[id_] = {
            "id": id_,
            "name": body["name"],
            "region": region,
            "rules": self.kept_rules(checked_rules(body["rules"])),
            "instance_ids": [],
        }
        return self.rulesets[id_]

    def _change_ruleset(self, body: Any, id_: str) -> dict[str, Any]:
        ruleset = self._ruleset(id_)
        if "rules" in body:
            ruleset["rules"] = self.kept_rules(checked_rules(body["rules"]))
        if "name" in body:
            ruleset["name"] = body["name"]
        return ruleset

    def _remove_ruleset(self, _body: Any, id_: str) -> dict[str, Any]:
        self._ruleset(id_)
        used = [one for one in self.instances.values() if {"id": id_} in one["firewall_rulesets"]]
        if any(one["status"] not in ("terminated", "terminating") for one in used):
            raise Refusal(400, "firewall-rulesets/in-use", "The ruleset is in use.", "Terminate its instances first.")
        if not self.keeps_rulesets:
            del self.rulesets[id_]
        return {}


def instance_type(name: str) -> dict[str, Any]:
    gpus, vcpus, memory, storage, cents = TYPES[name]
    model = name.split("_")[2].upper()
    return {
        "name": name,
        "description": f"{gpus}x {model}",
        "gpu_description": f"{model} (180 GB SXM6)",
        "price_cents_per_hour": cents,
        "specs": {"vcpus": vcpus, "memory_gib": memory, "storage_gib": storage, "gpus": gpus},
    }


def checked_rules(rules: Any) -> list[dict[str, Any]]:
    for rule in rules:
        if rule["protocol"] not in ("tcp", "udp", "icmp", "all") or "source_network" not in rule:
            raise Refusal(400, "global/invalid-parameters", "Invalid rule", rules=str(rule))
        # As documented: not allowed for icmp, required for the others.
        if len(rule.get("port_range", [])) != (0 if rule["protocol"] == "icmp" else 2):
            raise Refusal(400, "global/invalid-parameters", "Invalid rule", rules="port_range is wrong")
    return list(rules)


class LambdaHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "hgx-lambda"
    server: LambdaServer

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        server, path = self.server, urlsplit(self.path).path
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        body = json.loads(text) if text else None
        if path.startswith("/_"):
            self._send(200, server.control(path, body))
            return
        path = path[len(PREFIX) :] if path.startswith(PREFIX) else path
        with server.lock:
            server.requests.append((time.monotonic(), self.command, path))
            fault = server.take_fault(self.command, path)
        if fault is not None and self._go_wrong_first(fault):
            return
        try:
            if self.headers.get("Authorization") != f"Bearer {server.key}":
                raise Refusal(401, "global/invalid-api-key", "API key was invalid, expired, or deleted.", "Check it.")
            with server.lock:
                server.require_pace(path)
                server.api.lag_s = fault.seconds if fault and fault.kind == "lagging" else 0.0
                data = json.loads(json.dumps(server.api.answer(self.command, path, body)))
        except Refusal as exc:
            self._send(exc.status, exc.body)
            return
        if fault is not None and fault.kind == "cut_after":
            self._cut()
        else:
            self._send(200, {"data": data})

    def _go_wrong_first(self, fault: Fault) -> bool:
        """Apply a fault before the request is handled; return whether the request is done."""
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault.kind == "status":
            error = {"code": fault.code or "global/unknown", "message": f"Fault for {self.headers['Authorization']}"}
            self._send(fault.status, {"error": error}, fault.headers)
            return True
        elif fault.kind == "malformed":
            self._send_bytes(200, fault.text.encode(), fault.headers)
            return True
        elif fault.kind == "cut_before":
            self._cut()
            return True
        return False

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(value).encode(), headers or {})

    def _send_bytes(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        with contextlib.suppress(OSError):  # the client may have given up
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        if self.server.verbose:
            super().log_message(format, *args)


class LambdaServer(ThreadingHTTPServer):
    """The API, listening. C(url) is what api_url must be. Port 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self,
        api: LambdaApi | None = None,
        bind: str = "127.0.0.1",
        port: int = 0,
        key: str = KEY,
        pace_s: float = 0.0,
        verbose: bool = False,
    ) -> None:
        self.api = api or LambdaApi()
        self.key = key
        self.pace_s = pace_s  # 1.0 is Lambda's: a request a second, a launch in twelve
        self.verbose = verbose
        self.faults: list[Fault] = []
        self.requests: list[tuple[float, str, str]] = []
        self.refused_for_pace = 0
        self.clock = time.monotonic
        self.lock = threading.Lock()
        self._last: dict[str, float] = {}
        super().__init__((bind, port), LambdaHandler)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}{PREFIX}"

    def count(self, method: str, path: str) -> int:
        return len([1 for _time, seen, where in self.requests if (seen, where) == (method, path)])

    def running(self) -> list[dict[str, Any]]:
        """Return the instances that bill."""
        with self.lock:
            self.api.advance()
            return [one for one in self.api.instances.values() if one["status"] in ("active", "booting", "unhealthy")]

    def take_fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method in ("", method) and path.startswith(fault.path):
                fault.times -= 1
                return fault
        return None

    def require_pace(self, path: str) -> None:
        """Raise a 429 for clients that are too fast. Generous, because a busy machine delays requests."""
        launch = path == "/instance-operations/launch"
        for kind, interval_s in [("request", self.pace_s), *([("launch", 12 * self.pace_s)] if launch else [])]:
            now = self.clock()
            if now - self._last.get(kind, -1e9) < interval_s * 0.5:
                self.refused_for_pace += 1
                raise Refusal(429, "global/too-many-requests", "Rate limit exceeded.", "Slow down.")
            self._last[kind] = now

    def control(self, path: str, body: Any) -> dict[str, Any]:
        """Handle a control request of a test in another process."""
        with self.lock:
            if path == "/_faults":
                self.faults.append(Fault(**body))
            elif path == "/_stop":
                threading.Timer(0.3, self.shutdown).start()  # once this is answered
            self.api.advance()
            return {
                "instances": list(self.api.instances.values()),
                "launches": self.api.launches,
                "requests": self.requests,
                "refused_for_pace": self.refused_for_pace,
            }

    def __enter__(self) -> LambdaServer:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.shutdown()
        self.server_close()


class Greeter(socketserver.ThreadingTCPServer):
    """Sends the greeting of an SSH server, and nothing else."""

    daemon_threads = True
    allow_reuse_address = True

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"SSH-2.0-hgx\r\n")

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), self.Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __exit__(self, *_exc: object) -> None:
        self.shutdown()
        self.server_close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Answer as the Lambda Cloud API does.")
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--key", default=KEY, help="the API key (default: %(default)s)")
    parser.add_argument("--boot", type=float, default=2.0, metavar="S", help="seconds that an instance boots")
    parser.add_argument("--pace", type=float, default=0.0, metavar="S", help="seconds between requests, or 429")
    parser.add_argument("--instances", type=int, default=0, help="active instances at the start")
    parser.add_argument("--ssh-port", type=int, default=0, help="greet there as an SSH server does")
    args = parser.parse_args()
    api = LambdaApi(boot_s=args.boot, terminate_s=args.boot)
    for _number in range(args.instances):
        api.add()
    if args.ssh_port:
        Greeter(args.ssh_port)
    server = LambdaServer(api, args.bind, args.port, args.key, args.pace, verbose=True)
    print(server.url, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
