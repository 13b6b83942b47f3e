from dataclasses import replace

import pytest
from datasets import DatasetDict

from speechcue_hf.captions.build import Captioner, caption_dataset, caption_features
from speechcue_hf.captions.tasks import caption_task
from speechcue_hf.errors import CaptionError

STYLE, EMOTION, EXPLANATION = (caption_task(name) for name in ("style", "emotion", "explanation"))


def test_one_row_for_each_utterance_and_task(described):
    rows = caption_dataset(DatasetDict(train=described), [STYLE, EMOTION], 5)["train"]
    assert list(zip(rows["utterance_id"], rows["task"], strict=True)) == [
        (utterance, task) for utterance in ("d0_u0", "d0_u1", "d1_u0") for task in ("style", "emotion")
    ]
    assert rows["caption"] == [
        "The female speaker says 'I like it, I don't lie.' with high pitch, normal speed and loud volume.",
        "The emotion is happy.",
        "The speaker speaks with slow speed.",
        "The emotion is sad.",
        None,
        None,
    ]
    assert rows["caption_note"][4:] == ["pitch and speed and volume not measured", "the utterance has no emotion label"]
    assert rows["completion"][4:] == [None, None]


def test_question_and_answer_are_messages_with_the_clip_first(described):
    row = caption_dataset(described, [EMOTION], 5)[0]
    assert row["prompt"] == [
        {
            "role": "user",
            "content": [{"type": "audio", "text": None}, {"type": "text", "text": EMOTION.question}],
        }
    ]
    assert row["completion"] == [{"role": "assistant", "content": [{"type": "text", "text": "The emotion is happy."}]}]


def test_levels_stand_beside_captions_that_do_not_state_them(described):
    rows = caption_dataset(described, [EMOTION], 5)
    assert [rows[cue][:2] for cue in ("pitch", "speed", "volume")] == [
        ["high", None],
        ["normal", "slow"],
        ["loud", None],
    ]


def test_map_takes_it_as_it_is(described):
    captioner = Captioner((STYLE,), 5, ("happy", "sad"))
    options = {"remove_columns": described.column_names, "features": caption_features(described.features)}
    mapped = described.map(captioner, batched=True, batch_size=2, **options)
    assert mapped["caption"] == caption_dataset(described, [STYLE], 5)["caption"]


def test_a_template_that_contradicts_the_measurements_is_refused(described, monkeypatch):
    monkeypatch.setattr(
        "speechcue_hf.captions.build.render", lambda name, **known: "Low pitch, normal speed, loud volume."
    )
    row = caption_dataset(described, [STYLE], 5)[0]
    assert (row["caption"], row["completion"]) == (None, None)
    assert row["caption_note"] == "the caption says low pitch, measured is high"


@pytest.mark.parametrize("status", ["corrupt", "miscut", "missing", "none"])
def test_a_clip_that_is_not_the_utterance_has_no_caption(described, status):
    rows = caption_dataset(described.add_column("audio_status", [status, "ok", "ok"]), [STYLE], 5)
    assert (rows[0]["caption"], rows[0]["caption_note"]) == (None, f"the clip is {status}")
    assert rows[1]["caption"] is not None


def test_without_measurements_nothing_can_be_captioned(described):
    with pytest.raises(
        CaptionError, match="no column intensity_mean_db_level, which captions with volume need: describe"
    ):
        caption_dataset(described.remove_columns("intensity_mean_db_level"), [STYLE], 5)
    assert caption_dataset(described.remove_columns("intensity_mean_db_level"), [EMOTION], 5)[0]["volume"] is None


def test_a_task_is_needed(described):
    with pytest.raises(CaptionError, match="there is no task"):
        caption_dataset(described, [], 5)


def test_own_questions(described):
    own = replace(caption_task("speed"), question="How fast?")
    row = caption_dataset(described, [own], 5)[1]
    assert (row["task"], row["prompt"][0]["content"][1]["text"]) == ("speed", "How fast?")
    assert row["caption"] == "The speaker speaks with slow speed."
