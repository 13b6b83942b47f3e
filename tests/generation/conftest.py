import threading

import pytest

from tests.generation.openai_server import ChatServer


@pytest.fixture
def serve():
    """Start servers in this process, stopped with the test."""
    servers = []

    def start(**plan):
        server = ChatServer(**plan)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
