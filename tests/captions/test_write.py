import pytest

from speechcue_hf.captions.build import caption_dataset
from speechcue_hf.captions.tasks import caption_task
from speechcue_hf.captions.write import RAN_OUT, caption_requests, opening, with_written_captions
from speechcue_hf.generation.cleaning import STILL_REASONING
from speechcue_hf.generation.request import GeneratedText
from speechcue_hf.generation.store import EMPTY


@pytest.fixture
def rows(described):
    return caption_dataset(described, [caption_task(name) for name in ("style", "emotion", "explanation")], 5)


def answers(rows, texts):
    return {
        key: GeneratedText(key, text, None if text else "HTTP 500", 9, 9)
        for key, text in zip(caption_requests(rows), texts, strict=True)
    }


def test_only_captions_with_measured_cues_are_asked_for(rows):
    requests = list(caption_requests(rows).values())
    assert [request.group for request in requests] == ["style", "explanation", "style", "explanation"]
    style, explanation = (request.messages[0]["content"] for request in requests[:2])
    assert "The female speaker says 'I like it, I don't lie.' with high pitch" in style and "happy" not in style
    assert "The emotion is" not in explanation and "The speaker's emotion is happy." in explanation
    assert 'State "high pitch", "normal speed" and "loud volume"' in explanation


def test_what_was_written_takes_the_place_of_the_template(rows):
    texts = [
        "A woman says it\nloudly, with high pitch at normal speed. ",
        "Her high pitch and loud volume fit joy, at normal speed.",
        "A slow speaker.",
        None,
    ]
    written = with_written_captions(rows, answers(rows, texts))
    assert written["caption"] == [
        "A woman says it loudly, with high pitch at normal speed.",
        "The emotion is happy.",
        "The emotion is happy. Her high pitch and loud volume fit joy, at normal speed.",
        "A slow speaker.",
        "The emotion is sad.",
        *[None] * 4,
    ]
    assert written["caption_note"][5] == "HTTP 500"
    assert written["completion"][2][0]["content"][0]["text"] == written["caption"][2]
    keys = written["caption_key"]
    assert [key is None for key in keys] == [False, True, False, False, True, False, True, True, True]


GOOD = "A woman speaks loudly with high pitch at normal speed."


def test_reasoning_and_wrappings_are_no_part_of_a_caption(rows):
    texts = [f"<think>Quietly?</think>Sure! Here is the caption:\n\n{GOOD}", *[None] * 3]
    written = with_written_captions(rows, answers(rows, texts))
    assert written["caption"][0] == GOOD


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (GeneratedText("", "<think>A woman who"), STILL_REASONING),
        (GeneratedText("", "</s>"), EMPTY),
        (GeneratedText("", f"{GOOD} She", finish_reason="length"), RAN_OUT),
    ],
)
def test_a_caption_without_its_end_is_refused(rows, answer, reason):
    first, *_ = caption_requests(rows)
    written = with_written_captions(rows, {first: answer})
    assert (written["caption"][0], written["caption_note"][0]) == (None, reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A woman speaks quietly with high pitch at normal speed.", "the caption says quiet volume, measured is loud"),
        ("A woman speaks.", "the caption leaves out the pitch"),
        ("A man speaks loudly with high pitch at normal speed.", "the caption says male, known is female"),
    ],
)
def test_a_text_that_contradicts_is_refused_and_not_replaced(rows, text, reason):
    row = with_written_captions(rows, answers(rows, [text] * 4))[0]
    assert (row["caption"], row["completion"]) == (None, None)
    assert reason in row["caption_note"] and row["caption_key"]


def test_without_an_answer_the_row_says_so(rows):
    row = with_written_captions(rows, {})[0]
    assert (row["caption"], row["caption_note"]) == (None, "not written yet")


def test_the_opening_is_that_of_the_template():
    assert (opening("sad"), opening(None)) == ("The emotion is sad.", "")
