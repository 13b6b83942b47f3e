"""Prediction files in the form that InstructERC and SpeechCueLLM write, scored against scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from sklearn.metrics import f1_score

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.paper_predictions import read_paper_predictions

NAMES = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
WORDS = ["neutral", "surprise", "fear", "sad", "joyful", "disgust", "angry"]
DIALOGUES = {
    "d1": [("Hi.", 0), ("It\u2019s you!", 1), ("Go.", 6)],
    "d2": [("Hi.", 0), ("Oh no\u2026 \u201cthat\u201d one.", 3)],
    "d3": [("Hi.", 4)],
}
OUTPUTS = {"d1": ["neutral", "I am surprised: surprise", "angry"], "d2": ["sad", "unhappy"], "d3": ["joyful"]}


def prompt(turns, place: int, *, cues: str = "") -> str:
    shown = "".join(f'\t Speaker_{i % 2}:"{text}"{cues}' for i, (text, _) in enumerate(turns[: place + 1]))
    target = f' Speaker_{place % 2}:"{turns[place][0]}"'
    return (
        (
            "Now you are expert of sentiment and emotional analysis.The following conversation noted between '### ###' "
            f"involves several speakers.  ### {shown} ### Please select the emotional label of <{target}> from "
            f"<{', '.join(WORDS)}> based on both the context and audio features. Respond with just one label:"
        )
        .replace("\u2019", "'")
        .replace("\u2026", " ")
        .replace("\u201c", "")
        .replace("\u201d", "")
    )


def write(path: Path, order=("d1", "d2", "d3"), cues: str = "", **changed: str) -> Path:
    entries = [
        {"input": prompt(DIALOGUES[name], place, cues=cues), "output": OUTPUTS[name][place], "target": WORDS[label]}
        for name in order
        for place, (_, label) in enumerate(DIALOGUES[name])
    ]
    listed = [{"index": index, **entry, **changed} for index, entry in enumerate(entries)]
    head = '{"Acc_SA": 66.667, "mode": "test"}\n              precision    recall\n\nconfuse_case: [4]  \n'
    path.write_text(f"{head}\nThe num of confuse_case is : 1 \n" + json.dumps(listed, indent=5, ensure_ascii=False))
    return path


@pytest.fixture
def rows() -> Dataset:
    features = Features(
        {name: Value("string") for name in ("utterance_id", "dialogue_id", "text")}
        | {"turn": Value("int32"), "emotion": ClassLabel(names=NAMES)}
    )
    return Dataset.from_list(
        [
            {"utterance_id": f"{name}_{turn}", "dialogue_id": name, "turn": turn, "text": text, "emotion": label}
            for name, turns in DIALOGUES.items()
            for turn, (text, label) in enumerate(turns)
        ],
        features=features,
    )


@pytest.mark.parametrize("order", [("d1", "d2", "d3"), ("d3", "d2", "d1"), ("d2", "d1", "d3")])
@pytest.mark.parametrize("cues", ["", " (low pitch with none variation)"])
def test_rows_stand_in_the_order_of_the_corpus(rows, tmp_path, order, cues):
    table = read_paper_predictions(write(tmp_path / "preds_for_eval_9.text", order, cues), WORDS, rows)
    assert table["utterance_id"][:] == rows["utterance_id"][:]
    assert table["output"][:] == [text for outputs in OUTPUTS.values() for text in outputs]


def test_without_rows_a_prompt_of_one_turn_begins_a_dialogue(tmp_path):
    table = read_paper_predictions(write(tmp_path / "preds_for_eval.text"), WORDS)
    assert table["dialogue_id"][:] == ["1", "1", "1", "2", "2", "3"]


def test_a_dialogue_that_the_file_lacks_is_told_and_not_scored(rows, tmp_path, caplog):
    table = read_paper_predictions(write(tmp_path / "preds_for_eval.text", ("d1", "d3")), WORDS, rows)
    assert set(table["dialogue_id"]) == {"d1", "d3"} and "nothing of 2 labelled rows" in caplog.text


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"target": "happy"}, "the label 'happy' is none of"),
        ({"target": "fear"}, "has the label 'fear' there and 'neutral' in the dataset"),
        ({"input": prompt([("Bye.", 0)], 0)}, "entry 0: no dialogue of the split goes on like this"),
        ({"output": 3}, "entry 0: has no input, output and target"),
    ],
)
def test_a_file_of_other_rows_is_refused(rows, tmp_path, changed, says):
    with pytest.raises(EvaluationError, match=says):
        read_paper_predictions(write(tmp_path / "preds_for_eval.text", **changed), WORDS, rows)


def test_prompts_of_audio_only_are_counted_along_the_rows(rows, tmp_path):
    path = write(tmp_path / "preds_for_eval.text", input="Please select the emotional label from <a> based on audio.")
    assert read_paper_predictions(path, WORDS, rows)["utterance_id"][:] == rows["utterance_id"][:]
    with pytest.raises(EvaluationError, match="give the dataset too"):
        read_paper_predictions(path, WORDS)
    with pytest.raises(EvaluationError, match="6 predictions, the split 5"):
        read_paper_predictions(path, WORDS, rows.select(range(5)))


@pytest.mark.parametrize("content", ["", "{}", '[{"index": 0, "input": "a"', '[{"index": 0}]'])
def test_a_file_of_another_form_is_refused(tmp_path, content):
    (tmp_path / "a.text").write_text(content)
    with pytest.raises(EvaluationError, match=r"a\.text"):
        read_paper_predictions(tmp_path / "a.text", WORDS)


@pytest.mark.parametrize(("matching", "read"), [("instructerc", "joyful"), ("strict", None)])
def test_the_command_scores_it(rows, tmp_path, matching, read, capsys):
    DatasetDict(test=rows).save_to_disk(tmp_path / "data")
    path = write(tmp_path / "preds_for_eval_9_66.6.text", ("d3", "d1", "d2"))
    line = ["evaluate", str(tmp_path / "data"), "--predictions", str(path), "-o", str(tmp_path / "out")]
    assert main([*line, "--matching", matching]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    true = [label for turns in DIALOGUES.values() for _, label in turns]
    # "unhappy" is no label; the published rule takes the nearest by edit distance. "I am surprised: surprise" has one.
    found = {"instructerc": [0, 1, 6, 3, WORDS.index(nearest()), 4], "strict": [0, 7, 6, 3, 7, 4]}[matching]
    expected = f1_score(true, found, average="weighted", labels=range(7), zero_division=0)
    assert results["weighted_f1"] == pytest.approx(expected)
    assert results["invalid_rate"] == pytest.approx(0 if matching == "instructerc" else 2 / 6)
    assert results["protocol"]["matching"] == matching if "protocol" in results else results["matching"] == matching


def nearest() -> str:
    """The label of least edit distance to ``unhappy``, by a textbook recursion."""
    from functools import cache

    @cache
    def distance(first: str, second: str) -> int:
        if not first or not second:
            return len(first) + len(second)
        if first[0] == second[0]:
            return distance(first[1:], second[1:])
        return 1 + min(distance(first[1:], second), distance(first, second[1:]), distance(first[1:], second[1:]))

    return min(WORDS, key=lambda word: distance("unhappy", word))


def test_labels_are_asked_for_where_there_is_no_dataset(tmp_path, capsys):
    path = write(tmp_path / "preds_for_eval.text")
    line = ["evaluate", "--predictions", str(path), "-o", str(tmp_path / "out"), "--matching", "strict"]
    assert main(line) == 1
    assert "--labels" in capsys.readouterr().err
    assert main([*line, "--labels", *WORDS]) == 0
    assert len(read_dataset(tmp_path / "out" / "predictions.parquet")["train"]) == 6
