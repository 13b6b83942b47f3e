"""What a worker has around it: a home, a Hub on loopback, and a listener that nobody has a reason to ask.

To be imported before any library that looks at the environment once.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

from tests.campaign.fault import Fault
from tests.hub.hub_server import TOKEN, Hub

HUB = Hub()


class Listener:
    """A server on loopback that a clip, a record or a server's answer names; who asks it obeyed a stranger."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._asked = 0
        self._strangers: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()
        sys.addaudithook(self._watch)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def check(self) -> None:
        """Fail if somebody asked since the last look.

        Raises:
            Fault: If the listener, or any machine but this one, was asked.
        """
        asked, self._asked = self._asked, 0
        strangers, self._strangers = self._strangers, []
        if asked or strangers:
            raise Fault("request", f"{asked} requests to an address that a file named, others: {strangers}")

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            self._asked += 1
            connection.close()

    def _watch(self, event: str, details: tuple[object, ...]) -> None:
        if event == "socket.connect" and isinstance(details[1], tuple) and details[1][0] not in ("127.0.0.1", "::1"):
            self._strangers.append(str(details[1]))


LISTENER = Listener()


def surround(workshop: Path) -> None:
    """Let libraries keep their caches in the workshop, and ask our Hub alone."""
    os.environ |= {"HF_HOME": str(workshop / "home"), "HF_TOKEN": TOKEN, "HF_ENDPOINT": HUB.endpoint}
    os.environ |= {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    # datasets counts loadings of Parquet at an address of its own.
    os.environ |= {"HF_UPDATE_DOWNLOAD_COUNTS": "0"}
    os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
