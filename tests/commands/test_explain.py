from __future__ import annotations

import json

import pytest
from datasets import Dataset, DatasetDict

from speechcue_hf.cli import main
from speechcue_hf.commands.explain import as_text
from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.inference.explain import Explanation, check_claims
from tests.speech_models import EMOTIONS, describe, spoken_rows, write_clip, write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``prepared``, ``described`` and ``model``, as the commands before leave them."""
    folder = tmp_path_factory.mktemp("explain")
    rows = spoken_rows(folder / "clips")
    describer, described = describe(rows)
    write_dataset(DatasetDict(test=rows), folder / "prepared")
    write_dataset(DatasetDict(test=described), folder / "described")
    describer.save_pretrained(folder / "described")
    write_model(folder / "model", describer, described)
    return folder


def test_lines_for_people():
    text = "The emotion is sad. The speaker speaks with low pitch and loud volume."
    claims = check_claims(text, {"pitch": "high", "volume": None})
    explanation = Explanation("a.wav", "sad", {"happy": 0.25, "sad": 0.75}, text, claims, note="no voiced frames")
    assert as_text(explanation) == [
        "a.wav: sad (sad 0.75, happy 0.25)",
        "  The emotion is sad. The speaker speaks with low pitch [measured: high] and loud volume.",
        "  0 of 1 stated levels agree with the measurement, 1 not measured",
        "  no voiced frames",
    ]
    assert as_text(Explanation("b.wav", error="b.wav: the file is empty")) == ["b.wav: b.wav: the file is empty"]


def test_a_clip_is_explained(folder, tmp_path, capsys):
    clip = write_clip(tmp_path / "clip.wav", 150, 0.1)
    assert main(["explain", str(clip), "--model", str(folder / "model"), "--max-new-tokens", "3"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    name, _, rest = first.partition(": ")
    assert name == str(clip) and rest.split()[0] in EMOTIONS
    assert second.startswith(f"  The emotion is {rest.split()[0]}.")


def test_all_of_a_long_clip_is_heard_on_request(folder, tmp_path, capsys):
    clip = write_clip(tmp_path / "long.wav", 180, 0.1, seconds=12.5)
    arguments = ["explain", str(clip), "--model", str(folder / "model"), "--max-new-tokens", "1"]
    assert main(arguments) == 0 and "heard: the first 12 s of 12.50 s" in capsys.readouterr().out
    assert main([*arguments, "--windows"]) == 0 and "heard: 12.50 s in windows" in capsys.readouterr().out


def test_folders_as_json_lines_with_the_bad_ones_in_their_place(folder, tmp_path, capsys):
    write_clip(tmp_path / "many/a.wav", 150, 0.1)
    (tmp_path / "many/b.wav").write_bytes(b"")
    write_clip(tmp_path / "many/below/c.flac", 200, 0.1)
    arguments = ["explain", str(tmp_path / "many"), "gone.wav", "--model", str(folder / "model"), "--jsonl"]
    assert main([*arguments, "--max-new-tokens", "3", "--batch-size", "2"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [str(tmp_path / "many" / name) for name in ("a.wav", "b.wav", "below/c.flac")]
    assert [line["clip"] for line in lines] == [*names, "gone.wav"]
    assert [line["error"] for line in lines] == [
        None,
        "b.wav: the file is empty",
        None,
        "gone.wav: No such file or directory",
    ]
    assert set(lines[0]["probabilities"]) == set(EMOTIONS) and lines[1]["probabilities"] is None


def test_nothing_explained_is_exit_code_1(folder, capsys):
    assert main(["explain", "gone.wav", "--model", str(folder / "model")]) == 1
    shown = capsys.readouterr()
    assert shown.out == "gone.wav: gone.wav: No such file or directory\n"
    assert "none of 1 clips could be explained" in shown.err


def test_evaluate_finds_a_model_that_hears(folder, tmp_path, capsys):
    arguments = ["evaluate", "--dataset", str(folder / "described"), "--model", str(folder / "model")]
    assert main([*arguments, "-o", str(tmp_path)]) == 1
    assert "needs --audio" in capsys.readouterr().err
    arguments += ["--audio", str(folder / "prepared"), "--explain", "-o", str(tmp_path)]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert (results["n"], results["seed"], results["prompt"]["name"]) == (8, 1, "emotion")
    assert results["explanations"]["faithfulness"]["captions"] == 8
    predictions = Dataset.from_parquet(str(tmp_path / "predictions.parquet"))
    assert all(text.startswith("The emotion is ") for text in predictions["explanation"])
    printed = capsys.readouterr().out
    assert f"mean recall   {100 * results['unweighted_accuracy']:6.2f} %   (UA)" in printed
    assert str(tmp_path) not in (tmp_path / "results.json").read_text()
    assert main(["compare", str(tmp_path), str(tmp_path), "--draws", "10"]) == 0


def test_evaluate_says_that_a_task_is_not_known(folder, tmp_path, capsys):
    arguments = ["evaluate", "--dataset", str(folder / "described"), "--model", str(folder / "model")]
    assert main([*arguments, "--audio", str(folder / "prepared"), "-o", str(tmp_path)]) == 0
    assert "split test, task not known (no corpus.json)" in capsys.readouterr().out
