"""A router whose history has no room on the disk: it goes on, and so does history in the end."""

from __future__ import annotations

import json
import resource
from itertools import pairwise
from typing import Any
from urllib.request import urlopen

from epnet.wire import SessionParameters, SupplyParameters, encode
from tests.real.processes import until
from tests.real.test_router import RouterTestCase

OFFER = SupplyParameters(voltage_limit=(200, 1000), power_limit=5000, voltage=400)

ROOM = 4096


class FullDiskTests(RouterTestCase):
    def test_itIsToldAndTheRouterGoesOn(self) -> None:
        router, port, page = self.startRouter()
        peer = self.connectRaw(port)
        peer.send(encode(SessionParameters(identity="rawsink1", type="solar")))
        peer.repeat(encode(OFFER))

        def history() -> Any:
            with urlopen(f"http://127.0.0.1:{page}/api/v1/state") as response:
                return json.load(response)["history"]

        until(lambda: history()["written"], "the first samples are written")
        # No file may grow beyond less than a page of SQLite; what the router prints is shorter.
        self.assertLess(len(router.text), ROOM / 2)
        _, most = resource.prlimit(router.number, resource.RLIMIT_FSIZE)
        resource.prlimit(router.number, resource.RLIMIT_FSIZE, (ROOM, most))
        until(lambda: history()["failure"], "the disk is found to be full")
        router.says("history cannot be written")
        written, heard = history()["written"], len(peer.heard)
        until(lambda: history()["waiting"] > 6, "samples wait")
        self.assertEqual(history()["written"], written)
        self.assertGreater(len(peer.heard), heard)
        with urlopen(f"http://127.0.0.1:{page}/readyz") as response:
            self.assertEqual(response.status, 200)

        resource.prlimit(router.number, resource.RLIMIT_FSIZE, (most, most))
        until(lambda: history()["failure"] is None, "there is room again")
        router.says("history is written again; 0 samples have been dropped")
        self.assertEqual(history()["dropped"], 0)
        series = f"http://127.0.0.1:{page}/api/v1/history?field=connected&step=1"
        with urlopen(series) as response:
            [found] = json.load(response)["series"]
        times = [point[0] for point in found["points"]]
        self.assertGreater(len(times), 6)
        self.assertLessEqual(max(b - a for a, b in pairwise(times)), 2)
