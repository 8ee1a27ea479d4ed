#!/usr/bin/python3
# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the server again and again: a line for each request says when it began and ended, and its status; 0 is none."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request

KEY_FILE = "/var/lib/hgx-inference/vllm/secrets/vllm_api_key"


def ask(key: str, max_tokens: int) -> int:
    """Return the status of one answer. More tokens than the model's script has make a long one."""
    body = {
        "model": "kimi-k2.6",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": max_tokens,
        "ignore_eos": max_tokens > 16,
    }
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    url = "http://127.0.0.1:8001/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=600) as response:
            return len(json.load(response)["choices"]) and int(response.status)
    except urllib.error.HTTPError as exc:
        return exc.code
    except (OSError, ValueError):
        return 0


def main() -> None:
    """Ask once with the given number of tokens, or for ever."""
    with open(KEY_FILE, encoding="utf-8") as stream:
        key = stream.read().strip()
    while True:
        began = time.time()
        status = ask(key, int(sys.argv[1]) if sys.argv[1:] else 4)
        sys.stdout.write(f"{began:.3f} {time.time():.3f} {status}\n")
        sys.stdout.flush()
        if sys.argv[1:]:
            return
        time.sleep(0.5)  # of the processor time, the tests need the rest


if __name__ == "__main__":
    main()
