"""What all tests have, those in ``tests`` and the code blocks of the pages: an empty cache, and a Hub on loopback."""

import os
import tempfile
from collections.abc import Iterator

# Before datasets is imported: tests neither read nor fill the cache of whoever runs them.
_CACHE = tempfile.TemporaryDirectory(prefix="speechcue-tests-", ignore_cleanup_errors=True)
os.environ["HF_HOME"] = _CACHE.name

# Before huggingface_hub is imported: every client speaks to a Hub of our own, so that no test reaches the network.
from tests.hub.hub_server import TOKEN, Hub

_HUB = Hub()
os.environ |= {"HF_ENDPOINT": _HUB.endpoint, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
os.environ.pop("HF_TOKEN", None)

# Tiny models are slower on several threads than on one, above all when the cores are busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests.pages import PAGES

pytest_collect_file = PAGES.pytest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty Hub, which the test's clients are signed in to."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    _HUB.clear()
    yield _HUB
    _HUB.clear()
