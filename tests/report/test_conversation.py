"""A conversation that somebody brings, as a page."""

import json
import re

import pytest

from speechcue_hf import DEMO_FOLDER
from speechcue_hf.inference.explain import Explanation, check_claims
from speechcue_hf.inference.recognizer import RecognizedEmotion
from speechcue_hf.inference.recordings import described_turns
from speechcue_hf.report.conversation import Answers, conversation_page

CLIPS = [DEMO_FOLDER / "audio" / f"{name}.ogg" for name in ("keys_25", "library_03")]


@pytest.fixture(scope="module")
def rows():
    turns = [{"audio": str(clip), "speaker": None, "text": "</script>Hi."} for clip in CLIPS]
    return described_turns(turns)


def contents(page):
    return [
        json.loads(part) for part in re.findall(r'<script type="application/json" id="[\w-]+">(.*?)</script>', page)
    ]


def test_without_a_model_there_are_turns_words_and_clips(rows):
    report, clips = contents(conversation_page(rows, title="Mine", notes=["Few turns."]))
    assert report["runs"] == [] and report["turns"]["count"] == len(clips) == len(report["curves"]) == 2
    assert [note["text"] for note in report["licence"]][1:] == ["Few turns."]
    assert "agreed to" in report["licence"][0]["text"], "who is heard has a say"


def test_answers_are_those_of_the_model_and_nobody_says_which_are_right(rows):
    emotions = [
        RecognizedEmotion("d", "u0", None, "Hi.", "sad", {"happy": 0.25, "sad": 0.75}, None, None),
        RecognizedEmotion("d", "u1", None, "Hi.", None, None, None, "no answer"),
    ]
    [run] = contents(conversation_page(rows, Answers("mine", emotions)))[0]["runs"]
    assert (run["name"], run["labels"], run["answers"]) == ("mine", ["happy", "sad"], [1, -1])
    assert run["probabilities"] == [[250, 750], None] and run["true"] is None
    assert run["notes"]["values"] == [None, "no answer"]


def test_claims_stand_where_they_are_made_with_what_was_measured(rows):
    said = "A high pitch, spoken loudly and with a fast pace."
    claims = check_claims(said, {"pitch": "high", "volume": "low", "speed": None})
    answers = Answers(
        "mine",
        [RecognizedEmotion("d", f"u{place}", None, "Hi.", "sad", {"sad": 1.0}, None, None) for place in range(2)],
        [Explanation("a", explanation=said, claims=claims), Explanation("b", error="cannot be decoded")],
    )
    [run] = contents(conversation_page(rows, answers))[0]["runs"]
    assert run["explanations"]["values"] == [said, "cannot be decoded"]
    made, none = run["claims"]
    assert none is None and [said[: claim["end"]].split()[-1] for claim in made] == ["pitch", "loudly", "pace"]
    assert [(claim["measured"], claim["contradicted"]) for claim in made] == [
        ("high", False),
        ("low", True),
        (None, False),
    ]
