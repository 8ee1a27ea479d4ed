# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A known secret is masked in every form that programs print it in, and short ones do not hide the rest."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from urllib.parse import quote, quote_plus

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._programs.secrets import MASK, Known

LONG = ["hunter2hunter2", "a\"b\\c é/+%&<x> d'e", "k3y {{ with braces }}", "xMQ==/+aaaaaaaa", "s" * 200]


@pytest.mark.parametrize("secret", LONG)
@pytest.mark.parametrize(
    "form",
    [
        str,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: json.dumps(json.dumps(text)),
        repr,
        quote,
        quote_plus,
        lambda text: quote(text, safe=""),
        lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
        lambda text: quote(quote(text, safe=""), safe=""),
        html.escape,
        shlex.quote,
        lambda text: text.encode().hex(),
    ],
)
def test_every_form_is_masked(secret: str, form: object) -> None:
    text = f"before {form(secret)} after"  # type: ignore[operator]
    shown = Known([secret]).masked(text)
    assert MASK in shown
    assert not set(shown.replace(MASK, "")) - set("before after'\"\\")


@pytest.mark.parametrize("secret", LONG)
@pytest.mark.parametrize("before", ["", "a", "ab", "user:", "Bearer "])
def test_base64_is_masked_wherever_it_begins(secret: str, before: str) -> None:
    for coded in (base64.b64encode, base64.urlsafe_b64encode):
        text = coded(f"{before}{secret}:and more".encode()).decode()
        shown = Known([secret]).masked(text)
        left = shown.replace(MASK, "")
        assert MASK in shown
        assert len(left) <= len(text) - len(secret)


def test_lines_of_a_long_text_are_secrets_too() -> None:
    known = Known(["#cloud-config\n  password: hunter2hunter2\n- a\n"])
    assert known.masked("line 2 is 'password: hunter2hunter2', - a") == f"line 2 is '{MASK}', - a"


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("s3cr3t", "the key s3cr3t, s3cr3ts", f"the key {MASK}, s3cr3ts"),
        ("test", 'tested "test" latest', f'tested "{MASK}" latest'),
        (
            "test",
            "/home/test/results of test-1, test.example and 1.test",
            "/home/test/results of test-1, test.example and 1.test",
        ),
        ("test", "refused: test. key=test&x=1", f"refused: {MASK}. key={MASK}&x=1"),
        ("abcd", "YWJjZA== abcdef", f"{MASK} abcdef"),
        ("a", "a banana", "a banana"),
        ("123", "port 1234, 123 tokens", "port 1234, 123 tokens"),
        ("EMPTY", "it is EMPTY", "it is EMPTY"),
        ("true", '{"changed": true}', '{"changed": true}'),
        ("", "nothing", "nothing"),
        (None, "nothing", "nothing"),
    ],
)
def test_a_short_secret_hides_no_more_than_itself(secret: str | None, text: str, shown: str) -> None:
    assert Known([secret]).masked(text) == shown


def test_nested_values_and_names() -> None:
    known = Known(["hunter2hunter2"])
    assert known.masked_in({"x hunter2hunter2": [("hunter2hunter2", 1, None)]}) == {f"x {MASK}": [[MASK, 1, None]]}
