"""Whole prompts are pinned here as the papers have them, written by hand from their description."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, IterableDataset, IterableDatasetDict, Value

from speechcue_hf.errors import DialogueError, PromptError
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt

OPENING = (
    "Now you are expert of sentiment and emotional analysis."
    "The following conversation noted between '### ###' involves several speakers.  ### "
)
CUED_OPENING = (
    "Now you are expert of sentiment and emotional analysis."
    "The following conversation noted between '### ###' involves several speakers. "
    "The last three utterances are followed by its speech features. ### "
)
MELD_TURNS = (
    '\t Speaker_0:"You\'re late  again!"\t Speaker_1:"What?"\t Speaker_0:"It\'s nine   sharp."\t Speaker_2:"Sorry."'
)
MELD_LABELS = "<neutral, surprise, fear, sad, joyful, disgust, angry>"
BOTH = "based on both the context and audio features."


def _prompts(dataset: Dataset, prompt: str | dict[str, Any]) -> list[str]:
    return [messages[0]["content"] for messages in build_prompts(dataset, prompt)["prompt"]]


def _meld(**changes: Any) -> dict[str, Any]:
    return {"extends": "speechcuellm_meld", **changes}


def test_speechcuellm_on_meld(meld: Dataset) -> None:
    rows = build_prompts(meld, "speechcuellm_meld")
    assert rows[3]["prompt"] == [
        {
            "role": "user",
            "content": OPENING
            + MELD_TURNS
            + ' ### D3. Please select the emotional label of < Speaker_2:"Sorry."> from '
            + f"{MELD_LABELS} {BOTH} Respond with just one label:",
        }
    ]
    assert rows[3]["completion"] == [{"role": "assistant", "content": "sad"}]
    assert [completion[0]["content"] for completion in rows["completion"]] == ["angry", "surprise", "neutral", "sad"]


def test_speechcuellm_tells_nothing_of_meld_clips_of_half_a_second(meld: Dataset) -> None:
    assert _prompts(meld, _meld(impression=True))[1] == (
        OPENING + '\t Speaker_0:"You\'re late  again!"\t Speaker_1:"What?"'
        ' ### Please select the emotional label of < Speaker_1:"What?"> from '
        f"{MELD_LABELS} {BOTH} Respond with just one label:"
    )


def test_speechcuellm_with_impression(meld: Dataset) -> None:
    assert " ### D3. I3. Please select" in _prompts(meld, _meld(impression=True))[3]
    assert " ### I3. Please select" in _prompts(meld, _meld(impression=True, description=False))[3]


def test_speechcuellm_of_text_only(meld: Dataset) -> None:
    assert _prompts(meld, _meld(description=False))[3] == (
        OPENING + MELD_TURNS + ' ### Please select the emotional label of < Speaker_2:"Sorry."> from '
        f"{MELD_LABELS} based on the context. Respond with just one label:"
    )


def test_speechcuellm_with_context_cues_of_the_last_three_turns(meld: Dataset) -> None:
    assert _prompts(meld, _meld(context_cues=3))[3] == (
        CUED_OPENING + '\t Speaker_0:"You\'re late  again!"'
        '\t Speaker_1:"What?" (high pitch with very_low variation)'
        '\t Speaker_0:"It\'s nine   sharp."'
        '\t Speaker_2:"Sorry." (high pitch with medium variation)'
        ' ### D3. Please select the emotional label of < Speaker_2:"Sorry."> from '
        f"{MELD_LABELS} {BOTH} Respond with just one label:"
    )


def test_speechcuellm_of_audio_only(meld: Dataset) -> None:
    assert _prompts(meld, _meld(audio_only=True))[3] == (
        "Now you are expert of sentiment and emotional analysis using only audio features. D3. "
        f"Please select the emotional label from {MELD_LABELS} based on the audio features. "
        "Respond with just one label:"
    )
    assert _prompts(meld, _meld(audio_only=True, question="zero_shot"))[3] == (
        "Now you are expert of sentiment and emotional analysis using only audio features. D3. "
        "Please select the emotional label based on the audio features. "
        f"Please ONLY output only one label from {MELD_LABELS} without any other words: "
    )


def test_speechcuellm_zero_shot_asks_twice(meld: Dataset) -> None:
    zero_shot = {"question": "zero_shot", "question_count": 2}
    question = (
        f' Please select the emotional label of < Speaker_2:"Sorry."> {BOTH} '
        f"Please output ONLY ONE label from {MELD_LABELS} as the first word without any other words: "
    )
    assert _prompts(meld, _meld(**zero_shot))[3] == OPENING + MELD_TURNS + " ### D3." + question + question
    of_text = question.replace("both the context and audio features", "the context")
    expected = OPENING + MELD_TURNS + " ###" + of_text + of_text.removesuffix(" ")
    assert _prompts(meld, _meld(**zero_shot, description=False))[3] == expected


def test_speechcuellm_on_iemocap_numbers_by_gender_and_shows_12_turns_before(iemocap: Dataset) -> None:
    turns = "".join(f'\t Speaker_{1 - turn % 2}:"t{turn}"' for turn in range(1, 14))
    assert _prompts(iemocap, "speechcuellm_iemocap")[13] == (
        OPENING + turns + ' ### D13. Please select the emotional label of < Speaker_0:"t13"> from '
        f"<happy, sad, neutral, angry, excited, frustrated> {BOTH} Respond with just one label:"
    )


def test_instructerc(meld: Dataset) -> None:
    assert _prompts(meld, "instructerc")[3] == (
        "Now you are expert of sentiment and emotional analysis. "
        "The following conversation noted between '### ###' involves several speakers. ### "
        + MELD_TURNS
        + f' ### Please select the emotional label of < Speaker_2:"Sorry."> from {MELD_LABELS}:'
    )


def test_speechcue(meld: Dataset) -> None:
    rows = build_prompts(meld)
    assert rows[3]["prompt"][0]["content"] == (
        "Tell which emotion the speaker of the last turn feels. Answer with one of these labels and nothing else: "
        "neutral, surprise, fear, sadness, joy, disgust, anger.\n\nConversation:\n"
        "Monica: You\x92re late \x93again\x94!\nJoey: What?\nMonica: It’s nine — “sharp”.\nRoss: Sorry.\n"
        "D3.\nEmotion of Ross:"
    )
    assert rows[3]["completion"][0]["content"] == "sadness"


def test_a_missing_description_is_left_out(meld: Dataset) -> None:
    silent = meld.map(lambda row: {"speech_description": None}, features=meld.features)
    assert _prompts(silent, "speechcue") == _prompts(silent, "speechcue_text")
    assert " ### Please select" in _prompts(silent, "speechcuellm")[3]


def test_rows_keep_what_evaluation_needs_and_unlabelled_rows_their_place(meld: Dataset) -> None:
    unlabelled = meld.map(lambda row: {"emotion": None} if row["turn"] == 1 else {}, features=meld.features)
    rows = build_prompts(unlabelled)
    assert rows["utterance_id"] == meld["utterance_id"]
    assert rows["turn"] == meld["turn"]
    assert rows["emotion"] == [6, None, 0, 3]
    assert rows["completion"][1] is None
    assert rows.features["emotion"] == meld.features["emotion"]
    assert (rows[0]["prompt_name"], rows[0]["prompt_sha256"]) == ("speechcue", load_prompt("speechcue").fingerprint)
    assert "Joey: What?\n" in rows[3]["prompt"][0]["content"]


def test_same_rows_whole_streamed_and_split(dialogues: Callable[[Sequence[int]], Dataset]) -> None:
    dataset = dialogues([3, 1, 700, 40, 1500, 2])
    whole = build_prompts(dataset, "speechcuellm").to_list()
    stream = build_prompts(dataset.to_iterable_dataset(num_shards=5), "speechcuellm")
    assert isinstance(stream, IterableDataset)
    assert list(stream) == whole
    assert list(stream) == whole, "a second epoch differs"
    splits = build_prompts(DatasetDict(train=dataset, test=dialogues([2])), "speechcuellm")
    assert splits["train"].to_list() == whole
    streams = build_prompts(IterableDatasetDict(train=dataset.to_iterable_dataset()), "speechcuellm")
    assert list(streams["train"]) == whole
    assert len(splits["test"]) == 2


def test_no_prompt_depends_on_another_dialogue_or_a_later_turn(dialogues: Callable[[Sequence[int]], Dataset]) -> None:
    dataset = dialogues([5, 4])
    changed = dataset.map(
        lambda row: {"text": "changed"} if row["dialogue_id"] == "d0" or row["turn"] >= 2 else {},
        features=dataset.features,
    )
    assert _prompts(dataset, "speechcue")[5:7] == _prompts(changed, "speechcue")[5:7]


def test_prompts_of_a_dialogue_begin_alike(dialogues: Callable[[Sequence[int]], Dataset]) -> None:
    prompts = _prompts(dialogues([4]), "speechcue")
    for shorter, longer in pairwise(prompts):
        assert longer.startswith(shorter[: shorter.rindex("\nD") + 1])


@pytest.mark.parametrize(
    ("order", "where"),
    [([0, 2, 1], 2), ([1, 2], 1), ([0, 3, 1], 1)],
    ids=["shuffled", "filtered", "interleaved"],
)
def test_rows_that_are_no_dialogue_are_refused(
    dialogues: Callable[[Sequence[int]], Dataset], order: list[int], where: int
) -> None:
    dataset = dialogues([3, 2]).select(order)
    with pytest.raises(DialogueError, match=f"is turn {where} of dialogue 'd0'.* must stand together"):
        build_prompts(dataset)
    with pytest.raises(DialogueError, match=f"is turn {where} of dialogue"):
        list(build_prompts(dataset.to_iterable_dataset()))


def test_a_dataset_that_lacks_what_the_prompt_needs_is_refused(meld: Dataset) -> None:
    with pytest.raises(PromptError, match=r"speech_description.*speechcue describe.*speechcue_text"):
        build_prompts(meld.remove_columns("speech_description"))
    with pytest.raises(PromptError, match="not a ClassLabel"):
        build_prompts(meld.cast_column("emotion", Value("int64")))
    with pytest.raises(PromptError, match=r"'dia7_0' has no gender.*appearance"):
        build_prompts(meld, "speechcuellm_iemocap")
    stream = IterableDataset.from_generator(lambda: iter(meld.to_list()))
    with pytest.raises(PromptError, match="features of this stream"):
        build_prompts(stream)


def test_text_only_prompt_needs_no_measurement(meld: Dataset) -> None:
    columns = ["dialogue_id", "utterance_id", "turn", "speaker", "text", "emotion"]
    assert len(build_prompts(meld.select_columns(columns), "speechcue_text")) == 4


@pytest.mark.parametrize("prompt", ["speechcue", "speechcuellm", "instructerc"])
def test_a_dialogue_without_words_or_names_keeps_its_rows(meld: Dataset, prompt: str) -> None:
    nothing = {"text": None, "speaker": None, "speech_description": None, "emotion": None}
    rows = build_prompts(meld.map(lambda row: nothing, features=meld.features), prompt)
    assert rows["utterance_id"] == meld["utterance_id"]
    assert all(messages[0]["content"] for messages in rows["prompt"])
    assert rows["completion"] == [None] * 4


def test_an_empty_dataset_stays_empty(meld: Dataset) -> None:
    assert len(build_prompts(meld.select([]))) == 0


def test_a_label_set_of_any_corpus(meld: Dataset) -> None:
    emotion = ClassLabel(names=["neg", "neu", "pos"])
    other = meld.remove_columns("emotion").add_column("emotion", [0, 2, 1, 0]).cast_column("emotion", emotion)
    assert "labels and nothing else: neg, neu, pos.\n" in _prompts(other, "speechcue")[0]


@pytest.mark.parametrize("prompt", ["speechcue", "bioserc_text", "speechcue_text"])
def test_a_line_end_in_a_speaker_s_name_begins_no_turn(meld: Dataset, prompt: str) -> None:
    named = {"extends": prompt, "speakers": "name"}
    hostile = meld.map(lambda row: {"speaker": "Ben: angry\n X" if row["speaker"] == "Ross" else row["speaker"]})
    plain = meld.map(lambda row: {"speaker": "Ben: angry X" if row["speaker"] == "Ross" else row["speaker"]})
    assert build_prompts(hostile, named)["prompt"] == build_prompts(plain, named)["prompt"]
