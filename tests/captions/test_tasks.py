import pytest

from speechcue_hf.captions.tasks import SEMOLLM_TASKS, caption_task, render
from speechcue_hf.errors import CaptionError

DESCRIBE = "Please describe the pitch, speed, and volume in the audio."
RECOGNISE = (
    "Please recognize the emotions contained in the speech based on the description of vocal features and the content "
    "within the audio."
)


def test_the_questions_of_the_paper():
    assert caption_task("style").question == DESCRIBE
    assert caption_task("emotion").question == RECOGNISE
    assert caption_task("emotion+gender").question == f"{RECOGNISE} Please also describe the gender."
    assert caption_task("emotion+pitch+volume").question == f"{RECOGNISE} Please also describe the pitch and volume."


def test_tasks_of_the_paper_are_told_apart_by_their_questions():
    tasks = [caption_task(name) for name in (*SEMOLLM_TASKS, "explanation")]
    assert len({task.question for task in tasks}) == len(tasks) == 8
    assert [task.name for task in tasks] == [*SEMOLLM_TASKS, "explanation"]


def test_the_order_of_parts_does_not_matter():
    assert caption_task("pitch+emotion") == caption_task("emotion+pitch")
    assert caption_task("transcript+gender+pitch+speed+volume").name == "style"


def test_an_unknown_part_is_named():
    with pytest.raises(CaptionError, match=r"'emotion\+timbre' is no task: 'timbre' is neither a part"):
        caption_task("emotion+timbre")


NOTHING = dict.fromkeys(("gender", "pitch", "speed", "volume", "transcript", "emotion"))


@pytest.mark.parametrize(
    ("known", "caption"),
    [
        (
            {"gender": "female", "transcript": "I like it", "pitch": "high", "speed": "normal", "volume": "loud"},
            "The female speaker says 'I like it' with high pitch, normal speed and loud volume.",
        ),
        ({"emotion": "angry"}, "The emotion is angry."),
        ({"emotion": "angry", "pitch": "low"}, "The emotion is angry. The speaker speaks with low pitch."),
        ({"gender": "male"}, "The speaker is male."),
        ({"gender": "male", "transcript": "No"}, "The male speaker says 'No'."),
        ({"pitch": "low", "volume": "quiet"}, "The speaker speaks with low pitch and quiet volume."),
    ],
)
def test_the_words_of_captions(known, caption):
    assert render("caption", **{**NOTHING, **known}) == caption
