"""A report of the frozen corpus and runs of 0.1.0, in a browser."""

import json
import shutil
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from speechcue_hf import build_prompts
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.inference.explain import Explanation, check_claims
from speechcue_hf.inference.recognizer import RecognizedEmotion
from speechcue_hf.report.build import write_report
from speechcue_hf.report.conversation import Answers, conversation_page
from tests.browsing import barriers, chromium, opened, wait_until_heard

pytestmark = pytest.mark.slow

FROZEN = Path(__file__).parent.parent / "upgrade" / "0.1.0"
BIOGRAPHIES, PREPARED = FROZEN / "data" / "biographies", FROZEN / "data" / "prepared"
CHAT, ENCODER = FROZEN / "runs" / "chat", FROZEN / "runs" / "encoders" / "seed-1"
SHUFFLED = {"shuffled cues": {"weighted_f1": 0.5, "changed": 0.25, "transitions": []}}
NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)> {{7*7}} &amp;"


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    chat = shutil.copytree(CHAT, place / "chat")
    (chat / "intervention.json").write_text(json.dumps({"variants": SHUFFLED}))
    write_report([BIOGRAPHIES, PREPARED, chat, ENCODER], place / "report.html")
    return (place / "report.html").as_uri()


@pytest.fixture(scope="module")
def answers():
    """Utterance id → what each run answered, beside the label and how likely it was."""
    tables = [Dataset.from_parquet(str(run / "predictions.parquet")) for run in (CHAT, ENCODER)]
    return [{row["utterance_id"]: row for row in table} for table in tables]


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
    first = read_dataset(BIOGRAPHIES)["train"][0]
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


def ids(page):
    """Of the turns that are shown."""
    return [text.split(" · ")[0] for text in page.locator(".turn header > .soft:last-child").all_inner_texts()]


def test_the_turns_where_two_runs_differ(page, answers):
    page.get_by_label("differs from").select_option("seed-1")
    chat, encoder = answers
    differ = {name for name, row in chat.items() if row["prediction"] != encoder[name]["prediction"]}
    assert {*ids(page)} == differ and differ


def test_the_worst_mistakes_come_first(page, answers):
    page.get_by_role("button", name="Worst mistakes first").first.click()
    labels = json.loads((CHAT / "results.json").read_text())["labels"]
    rows = [row for row in answers[0].values() if row["prediction"] != row["label"]]
    rows.sort(key=lambda row: round(1000 * row["probabilities"][labels.index(row["label"])]))
    assert ids(page) == [row["utterance_id"] for row in rows]


def test_what_is_no_answer_is_found(browser, tmp_path):
    run = shutil.copytree(ENCODER, tmp_path / "run")
    table = Dataset.from_parquet(str(run / "predictions.parquet"))
    unanswered = table[3]["utterance_id"]
    table = table.map(lambda row: {"prediction": None} if row["utterance_id"] == unanswered else row)
    table.to_parquet(str(run / "predictions.parquet"))
    write_report([BIOGRAPHIES, run], tmp_path / "report.html", audio=None)
    with opened(browser, (tmp_path / "report.html").as_uri()) as (page, _):
        page.get_by_role("button", name="Without a valid answer: 1").click()
        assert ids(page) == [unanswered] and "no valid answer" in page.locator(".turn .wrong").inner_text()


def test_what_the_model_saw_and_what_other_cues_changed(page):
    rows = read_dataset(BIOGRAPHIES)["test"]
    row = next(row for row in rows if row["biography"])
    page.get_by_label("words or id").fill(row["utterance_id"])
    turn = page.locator(".turn").first
    turn.get_by_text("Prompt (chat)").click()
    built = build_prompts(rows, str(CHAT / "prompt.json"))
    [prompt] = [it["prompt"] for it in built if it["utterance_id"] == row["utterance_id"]]
    assert turn.locator("pre").all_text_contents() == [message["content"] for message in prompt]
    turn.get_by_text("Biography").click()
    assert turn.locator("details p").first.text_content() == row["biography"]
    assert page.get_by_role("row", name="shuffled cues").inner_text().split("\t")[1:] == ["50.00 %", "25.00 %"]


def test_turns_come_in_pages_and_no_two_levels_by_one_name(page):
    turns = page.locator(".turn")
    levels = [text.split(":")[0] for text in turns.first.locator(".levels li").all_inner_texts()]
    assert len({*levels}) == len(levels) > 3
    assert turns.count() == 25
    turns.last.focus()
    page.keyboard.press("j")
    assert turns.count() == 15 and page.locator(".where").first.inner_text() == "page 2 of 2"
    assert page.locator(".turn:focus").get_attribute("data-turn") == "25"


@pytest.mark.parametrize("way", ["hover", "focus"])
def test_a_phrase_lights_up_its_curve(page, way):
    turn = page.locator(".turn", has=page.locator(".phrase")).first
    phrase = turn.locator(".phrase", has_text="pitch").first
    shown = "path => getComputedStyle(path).opacity"
    assert turn.locator(".loudness").evaluate(shown) == "1"
    getattr(phrase, way)()
    assert float(turn.locator(".loudness").evaluate(shown)) < 0.2 and turn.locator(".pitch").evaluate(shown) == "1"


def test_it_prints_what_is_read_and_nothing_to_press(page):
    assert page.pdf().startswith(b"%PDF")
    assert page.locator("#runs > details").evaluate_all("parts => parts.every((part) => part.open)")
    page.emulate_media(media="print")
    assert page.locator(".said").first.is_visible() and page.locator(".matrix").first.is_visible()
    assert not any(page.locator(part).first.is_visible() for part in ("nav", ".filters", ".pages", "audio"))


def test_nothing_that_a_corpus_says_becomes_markup(browser, tmp_path):
    names = ("text", "speaker", "speech_description", "biography", "dialogue_id")
    rows = read_dataset(BIOGRAPHIES)["test"].map(lambda row: dict.fromkeys(names, NASTY))
    write_dataset(DatasetDict(test=rows), tmp_path / "data")
    write_report([tmp_path / "data"], tmp_path / "report.html", title=NASTY)
    with opened(browser, (tmp_path / "report.html").as_uri()) as (page, seen):
        assert page.title() == NASTY and page.locator("img").count() == 0
        assert page.locator(".said").first.text_content() == page.locator(".turn h3").first.text_content() == NASTY
    assert seen.hosts <= {""} and not seen.complaints


def test_nothing_keeps_anybody_out(page):
    # One turn with all that there is: axe-core takes its time.
    page.get_by_label("words or id").fill("party_03")
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    page.locator(".turn .chances").last.wait_for()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert barriers(page) == []


def test_each_claim_of_an_explanation_is_marked(browser, tmp_path):
    said = "A high pitch, spoken loudly and with a fast pace."
    explained = Explanation("a", explanation=said, claims=check_claims(said, {"pitch": "high", "volume": "low"}))
    emotion = RecognizedEmotion("d", "u", None, "Hi.", "sad", {"sad": 1.0}, None, None)
    rows = read_dataset(BIOGRAPHIES)["test"].select([0])
    page = conversation_page(rows, Answers("mine", [emotion], [explained]))
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    with opened(browser, (tmp_path / "page.html").as_uri()) as (page, seen):
        marked = "A high pitch [✓ as measured], spoken loudly [✗ measured: low] and with a fast pace [? not measured]."
        assert page.locator(".explanation").inner_text() == marked and not seen.complaints
