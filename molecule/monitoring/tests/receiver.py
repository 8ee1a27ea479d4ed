#!/usr/bin/python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Receive alarms from Alertmanager, and write one line of JSON for each to /var/tmp/alarms."""

from __future__ import annotations

import http.server
import json


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what Alertmanager posts."""

    def do_POST(self) -> None:
        """Write the alarms of one notification."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open("/var/tmp/alarms", "a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(alarm) + "\n" for alarm in body["alerts"])
        self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    http.server.HTTPServer(("127.0.0.1", 9900), Receiver).serve_forever()
