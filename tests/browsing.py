"""Pages in a real browser: Debian's Chromium, driven by Playwright, which sees what the page asks and complains of."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium")
PLAYS_AT_ONCE = "--autoplay-policy=no-user-gesture-required"


@dataclass
class Seen:
    """What a page has done.

    Args:
        hosts: Whom it asked for anything.
        complaints: Errors on its console and in its scripts.
    """

    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator:
    """The browser; a test that needs it is skipped where there is none, but for ``SPEECHCUE_BROWSER=required``."""
    if CHROMIUM is None:
        if os.environ.get("SPEECHCUE_BROWSER") == "required":
            pytest.fail("SPEECHCUE_BROWSER=required, and there is no chromium: apt-get install chromium")
        pytest.skip("there is no chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Root may not use Chromium's own sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", PLAYS_AT_ONCE])
        yield browser
        browser.close()


@contextmanager
def opened(browser, address: str, **options) -> Iterator[tuple]:
    """A page in a context of its own, and what it has done so far."""
    context = browser.new_context(**options)
    context.set_default_timeout(240_000)
    page, seen = context.new_page(), Seen()
    page.on("request", lambda request: seen.hosts.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("console", lambda said: seen.complaints.append(said.text) if said.type == "error" else None)
    page.goto(address)
    yield page, seen
    context.close()


def wait_until_heard(part) -> None:
    """Wait until the player within a part of a page has come some way."""
    player = part.locator("audio")
    # Not wait_for_function: the pages of reports let nobody evaluate a text.
    for _ in range(600):
        if player.evaluate("player => player.currentTime") > 0.1:
            return
        part.page.wait_for_timeout(100)
    pytest.fail("the clip does not play")


# Half way from a dark to a light scheme a button has the contrast of neither.
_STILL = """() => Promise.all(
    document.getAnimations()
        .filter(it => Number.isFinite(it.effect.getComputedTiming().endTime))
        .map(it => it.finished.catch(() => {}))
).then(() => {})"""


def barriers(page) -> list[tuple[str, list[str]]]:
    """What axe-core finds wrong for people who do not see or use a mouse: rules, and the elements that break them."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate(_STILL)
    found = Axe().run(page).response["violations"]
    return [(it["id"], [node["html"][:200] for node in it["nodes"]]) for it in found]
