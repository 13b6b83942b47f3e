"""How many times fewer tokens dialogue-shared scoring runs than scoring each of our prompts by itself."""

import pytest
from datasets import ClassLabel, Dataset

from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.normalisation import MELD_MAIN_CHARACTERS
from speechcue_hf.inference.scoring import count_tokens, encode_for_scoring
from speechcue_hf.models.tiny import train_tokenizer
from speechcue_hf.models.token_tree import build_token_tree
from speechcue_hf.prompts.build import build_prompts
from tests.tiny_chat import LABELS, LINES, make_model

from ..cues import published_meld

pytestmark = pytest.mark.slow

MELD = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]


def token_ratio(dataset: Dataset, labels: list[str]) -> float:
    prompts = list(build_prompts(dataset, "speechcue")["prompt"])
    tokenizer = train_tokenizer([*(messages[0]["content"] for messages in prompts), *labels], 16384)
    encoded = encode_for_scoring(make_model(max_position_embeddings=8192), tokenizer, prompts, labels)
    tree = build_token_tree([prompt + label[:-1] for prompt in encoded.prompts for label in encoded.completions])
    return count_tokens(encoded) / len(tree.tokens)


def with_emotions(rows: list[dict], labels: list[str]) -> Dataset:
    return Dataset.from_list(rows).cast_column("emotion", ClassLabel(names=labels))


def test_dialogues_of_50_turns_take_at_least_6_times_fewer_tokens():
    heard = "This turn is spoken much louder than usual, three semitones above her usual pitch, at her usual pace."
    rows = [
        {
            "dialogue_id": f"d{dialogue}",
            "utterance_id": f"d{dialogue}_u{turn}",
            "turn": turn,
            "speaker": ("Ann", "Bob")[turn % 2],
            "text": LINES[(turn + dialogue) % len(LINES)],
            "emotion": turn % len(LABELS),
            "speech_description": heard,
        }
        for dialogue in range(3)
        for turn in range(50)
    ]
    assert token_ratio(with_emotions(rows, LABELS), LABELS) >= 6


@pytest.mark.skipif(published_meld.folder() is None, reason="SPEECHCUE_CORPORA is not set")
def test_meld_test_takes_at_least_3_times_fewer_tokens():
    train, test = (published_meld.measured_rows(split) for split in ("train", "test"))
    described = describe_dataset(test, SpeechDescriber.fit(train, speakers=MELD_MAIN_CHARACTERS))
    heard = dict(zip(described["utterance_id"], described["speech_description"], strict=True))
    rows, turns = [], {}
    for line in published_meld.read_csv("test_sent_emo.csv"):
        turn = turns[line["Dialogue_ID"]] = turns.get(line["Dialogue_ID"], -1) + 1
        clip = f"dia{line['Dialogue_ID']}_utt{line['Utterance_ID']}.wav"
        rows.append(
            {
                "dialogue_id": line["Dialogue_ID"],
                "utterance_id": clip,
                "turn": turn,
                "speaker": line["Speaker"],
                "text": line["Utterance"],
                "emotion": MELD.index(line["Emotion"]),
                "speech_description": heard[clip],
            }
        )
    assert len(rows) == 2610
    assert token_ratio(with_emotions(rows, MELD), MELD) >= 3
