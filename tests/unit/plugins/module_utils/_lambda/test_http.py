# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the transport makes of an API that keeps a request waiting."""

from __future__ import annotations

import pytest

from ansible_collections.hgx.inference.plugins.module_utils._lambda.client import TransportError
from ansible_collections.hgx.inference.plugins.module_utils._lambda.http import HttpTransport
from ansible_collections.hgx.inference.tests.support.lambda_api_server import Fault, LambdaServer


def test_an_answer_that_does_not_come() -> None:
    with LambdaServer() as server:
        server.faults = [Fault("slow", seconds=30)]
        with pytest.raises(TransportError, match="none within 0 s") as caught:
            HttpTransport().send("GET", f"{server.url}/instances", {}, None, timeout_s=0.2)
    assert caught.value.sent, "so it may have been acted upon"
