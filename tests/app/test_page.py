"""The app as a person starts it: spoken to by gradio's client, which sends clips, and in a browser."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import parselmouth
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from parselmouth.praat import call

from speechcue_hf import DEMO_FOLDER
from tests.browsing import barriers, chromium, opened, wait_until_heard
from tests.transcription.spoken import RATE, agree, recording

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a program without a word to it"),
]

ROOT = Path(__file__).parents[2]
FROZEN = ROOT / "tests" / "upgrade" / "0.1.0" / "runs"
READS, HEARS = "encoder", "stage3"
"""Folders of a model that reads z-scores of the voice, and of one that hears and explains."""

CLIPS = [DEMO_FOLDER / "audio" / f"{name}.ogg" for name in ("keys_25", "library_03", "station_15")]
WORDS = ["Ann: I got the <b>job</b> {{7*7}} ${7*7}!", "Bob: You: really?", "Yes."]
NASTY = ["I got the <b>job</b> {{7*7}} ${7*7}!", "You: really?", "Yes."]


class App:
    """The program, its address, and its folder of temporary files."""

    def __init__(self, place: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "speechcue_hf.cli", "app", "--model", READS, HEARS, "--describer", READS],
            cwd=place,
            env={**os.environ, "TMPDIR": str(place), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = re.search(r"http://127\.0\.0\.1:\d+/", self.process.stdout.readline())[0]
        [self.folder] = place.glob("speechcue-app-*")

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    place = tmp_path_factory.mktemp("app")
    for source, name in (("encoders/seed-1", READS), ("stage3", HEARS), ("stage2", f"{HEARS}/base_model")):
        shutil.copytree(FROZEN / source, place / name)
    started = App(place)
    yield started
    started.process.kill()


@pytest.fixture
def client(app, tmp_path):
    return Client(app.address, verbose=False, download_files=tmp_path)


def add(client, *clips, recorded=None, words="", cut=False):
    uploaded = [handle_file(clip) for clip in clips] or None
    return client.predict(words, uploaded, recorded and handle_file(recorded), cut, api_name="/add")


def rows_of(files):
    with open(files[0], encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def report_of(files):
    return json.loads(re.search(r'id="report-json">(.*?)</script>', Path(files[1]).read_text("utf-8"))[1])


@pytest.mark.parametrize("way", ["uploaded", "recorded"])
def test_a_clip_comes_back_with_praats_numbers(client, tmp_path, way):
    samples, rate = soundfile.read(CLIPS[0])
    sound = parselmouth.Sound(samples, rate).resample(16000)
    if way == "uploaded":
        add(client, CLIPS[0])
    else:
        # What a browser sends of its microphone.
        soundfile.write(tmp_path / "audio.wav", samples, rate)
        add(client, recorded=tmp_path / "audio.wav")
    _, files = client.predict("Ann: Hello.", "none", "the turns with one another", False, api_name="/listen")
    [row] = rows_of(files)
    assert (row["speaker"], row["text"]) == ("Ann", "Hello.")
    assert float(row["duration_s"]) == pytest.approx(sound.duration, abs=0.001)
    assert float(row["intensity_mean_db"]) == pytest.approx(
        call(sound.to_intensity(), "Get mean", 0, 0, "energy"), abs=0.2
    )
    frames = sound.to_pitch(pitch_floor=75, pitch_ceiling=400).selected_array["frequency"]
    assert float(row["f0_median_hz"]) == pytest.approx(np.median(frames[frames > 0]), rel=0.03)


def test_a_recording_is_cut_into_its_turns(client, tmp_path):
    sound, placed = recording([0.8, 0.9])
    soundfile.write(tmp_path / "call.wav", sound, RATE)
    listed, *_ = add(client, tmp_path / "call.wav", cut=True)
    times = [map(float, it) for it in re.findall(r"call\.wav, ([\d.]+) to ([\d.]+) s", listed)]

    class Span:
        def __init__(self, start, end):
            self.start, self.end = start, end

    assert agree([Span(*it) for it in times], placed, tolerance=0.3)


def test_the_turns_of_a_conversation_are_those_of_the_report(client):
    add(client, *CLIPS[:2])
    _, lines, *_ = add(client, CLIPS[2], words="\n".join(WORDS[:2]))
    assert lines.splitlines()[:2] == WORDS[:2]
    page, files = client.predict("\n".join(WORDS), READS, READS, False, api_name="/listen")
    report = report_of(files)
    assert report["turns"]["columns"]["text"]["values"] == NASTY
    assert report["turns"]["columns"]["speaker"]["values"] == ["Ann", "Bob", None]
    [run] = report["runs"]
    rows = rows_of(files)
    assert [run["labels"][answer] for answer in run["answers"]] == [row["emotion"] for row in rows]
    assert all(sum(chances) == pytest.approx(1000, abs=4) for chances in run["probabilities"])
    assert unescape(re.search(r'srcdoc="(.*?)"', page, re.S)[1]) == Path(files[1]).read_text("utf-8")


def test_claims_stand_beside_the_measurement(client):
    add(client, CLIPS[0])
    _, files = client.predict("", HEARS, READS, True, api_name="/listen")
    [run] = report_of(files)["runs"]
    [explanation], [claims] = run["explanations"]["values"], run["claims"]
    assert explanation.startswith("The emotion is")
    assert all(0 < claim["end"] <= len(explanation) for claim in claims)


def compare(client, first, second, *choices, words=("I got the job!", "")):
    clips = [None if clip is None else handle_file(clip) for clip in (first, second)]
    return client.predict(*clips, *words, *choices, api_name="/compare")


def test_another_voice_for_the_same_words_changes_the_measurement(client):
    table, _, files = compare(client, CLIPS[0], CLIPS[1], "none", READS, False)
    first, second = rows_of(files)
    assert first["text"] == second["text"] == "I got the job!" and first["speaker"] == "First take"
    lengths = [soundfile.info(clip).duration for clip in CLIPS[:2]]
    assert f"<td>{lengths[1] - lengths[0]:+.3g}</td>" in table
    assert "<mark>" in table, "what changed in words"


def test_other_words_for_the_same_voice_change_the_answer_alone(client):
    table, _, files = compare(client, CLIPS[0], None, READS, READS, False, words=("Great!", "<i>No</i>, no, no!"))
    first, second = rows_of(files)
    assert first["duration_s"] == second["duration_s"] and first["f0_median_hz"] == second["f0_median_hz"]
    chances = [name for name in first if name.startswith("probabilities_")]
    assert any(first[name] != second[name] for name in chances)
    assert "&lt;i&gt;No&lt;/i&gt;" in table


def test_what_is_missing_or_no_sound_is_said(client, tmp_path):
    (tmp_path / "list.wav").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.wav\n")
    with pytest.raises(AppError, match="choose files or record something first"):
        client.predict("", None, None, False, api_name="/add")
    with pytest.raises(AppError, match=r"list\.wav"):
        add(client, tmp_path / "list.wav", cut=True)
    with pytest.raises(AppError, match="second take, other words, or both"):
        compare(client, CLIPS[0], None, "none", READS, False)
    add(client, CLIPS[0])
    with pytest.raises(AppError, match="is told of clips and does not hear them"):
        client.predict("", READS, READS, True, api_name="/listen")
    with pytest.raises(AppError, match="not in the list of choices"):
        client.predict("", "me/any-model-of-the-hub", READS, False, api_name="/listen")


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def accessible(page, *parts):
    """In light and in dark."""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        # Gradio says so of its page when it has changed its colours.
        page.locator("body.dark" if scheme == "dark" else "body:not(.dark)").wait_for()
        assert [barriers(part) for part in (page, *parts)] == [[]] * (1 + len(parts))
    return True


def test_a_conversation_in_a_browser(app, browser):
    with opened(browser, app.address, color_scheme="light") as (page, seen):
        page.locator("input[type=file]").first.set_input_files(CLIPS)
        page.get_by_text("station_15").wait_for()
        page.get_by_role("button", name="Add to the conversation").click()
        page.locator("ol.turns li").nth(2).wait_for()
        page.get_by_label("Who says what").fill("\n".join(WORDS))
        page.get_by_role("button", name="Listen").click()
        report = page.frame_locator("iframe.conversation")
        turns = report.locator(".turn")
        turns.nth(2).wait_for()
        assert report.locator(".said").all_inner_texts() == NASTY
        turns.first.focus()
        page.keyboard.press("p")
        wait_until_heard(turns.first)
        page.keyboard.press("j")
        assert report.locator(".turn:focus").get_attribute("data-turn") == "1"
        page.get_by_text("turns").last.wait_for()
        assert accessible(page, page.frames[1])
        page.get_by_role("tab", name="Two takes").press("Enter")
        page.get_by_role("button", name="Compare").wait_for()
        for clip in CLIPS[:2]:
            page.locator("input[type=file]").last.set_input_files(clip)
            page.get_by_label("Play").nth(CLIPS.index(clip)).wait_for()
        page.get_by_role("button", name="Compare").click()
        page.locator(".changes table").wait_for()
        assert accessible(page)
        assert seen.hosts <= {app.address.split("/")[2], ""} and not seen.complaints


def test_temporary_files_go_with_the_app(app):
    assert [*app.folder.rglob("*.ogg")] and [*app.folder.rglob("turns.csv")]
    place = app.folder.parent
    app.end()
    left = {path.name for path in place.iterdir()}
    assert {name for name in left if not name.startswith("torch")} == {READS, HEARS}, "nothing that was heard"
