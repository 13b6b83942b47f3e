"""A report of the frozen corpus and runs of 0.1.0, in a browser."""

from pathlib import Path

import pytest

from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.report.build import write_report
from tests.browsing import barriers, chromium, opened, wait_until_heard

FROZEN = Path(__file__).parent.parent / "upgrade" / "0.1.0"
RUNS = [FROZEN / "runs" / name for name in ("chat", "encoders")]


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report([FROZEN / "data" / "described", FROZEN / "data" / "prepared", *RUNS], path)
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    """The report; whatever a test does with it, it asks nobody for anything and makes no error."""
    with opened(browser, address) as (page, seen):
        yield page
    assert seen.hosts <= {""} and not seen.complaints


def test_a_clip_is_played_and_seen_to_be(page):
    turn = page.locator(".turn").first
    turn.focus()
    page.keyboard.press("p")
    wait_until_heard(turn)
    assert turn.locator(".playhead").get_attribute("visibility") == "visible"
    length = turn.locator("audio").evaluate("player => player.duration")
    first = read_dataset(FROZEN / "data" / "described")["train"][0]
    assert length == pytest.approx(first["duration_s"], abs=0.05)
    page.keyboard.press("j")
    page.keyboard.press("p")
    wait_until_heard(page.locator(".turn").nth(1))
    assert turn.locator("audio").evaluate("player => player.paused"), "one clip at a time"


def test_a_cell_of_the_matrix_shows_its_turns(page):
    cells = page.locator(".matrix button:enabled")
    cell = cells.first
    said = cell.get_attribute("aria-label")
    count = int(cell.inner_text())
    cell.click()
    assert page.locator(".turn").count() == count and cell.get_attribute("aria-pressed") == "true"
    label = said.removeprefix("true ").partition(",")[0]
    assert page.locator(".turn header strong").all_inner_texts() == [label] * count
    assert page.evaluate("document.activeElement.id") == "found"
    page.get_by_role("button", name="Show all").click()
    assert page.locator("#found").inner_text() == "40 of 40 turns"
    assert cell.get_attribute("aria-pressed") == "false", "nothing is filtered by any more"


def test_a_conversation_is_walked_by_keyboard(page):
    def here():
        return page.evaluate("Number(document.activeElement.dataset.turn)")

    page.locator(".turn").nth(2).focus()
    page.keyboard.press("c")
    dialogue = page.locator("select[name=dialogue]").input_value()
    turns = page.locator(".turn")
    assert dialogue and here() == 2
    walked = [here()]
    for _ in range(turns.count() - 3):
        page.keyboard.press("j")
        walked.append(here())
    assert walked == [*range(2, turns.count())]
    page.keyboard.press("k")
    assert here() == walked[-2]
    assert all(dialogue in text for text in turns.locator("header .soft").all_inner_texts() if "·" in text)


def test_a_phrase_lights_up_its_curve(page):
    turn = page.locator(".turn", has=page.locator(".phrase")).first
    turn.locator(".phrase").first.focus()
    assert "lit-" in turn.get_attribute("class")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(browser, address, scheme):
    with opened(browser, address, color_scheme=scheme) as (page, _):
        for summary in page.locator("summary").all():
            if summary.is_visible():
                summary.click()
        assert barriers(page) == []
