from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """Twelve measured rows, four of them held out, as ``speechcue describe`` leaves them."""
    columns = {
        "dialogue_id": ["d"] * 12,
        "utterance_id": [f"d_{row}" for row in range(12)],
        "gender": ["female", "male"] * 6,
        "text": ["Hello."] * 12,
        "emotion": [0, 1, None] * 4,
        "f0_median_hz": [float(100 + 10 * row) for row in range(12)],
        "articulation_rate_per_s": [4.0, 5.0, 6.0, 7.0] * 3,
        "intensity_mean_db": [60.0, 70.0, 65.0, None] * 3,
    }
    text, number = Value("string"), Value("float64")
    kinds = {name: number if isinstance(values[0], float) else text for name, values in columns.items()}
    rows = Dataset.from_dict(columns, features=Features(kinds | {"emotion": ClassLabel(names=["happy", "sad"])}))
    train = rows.select(range(8))
    describer = SpeechDescriber.fit(train, levels=3, baseline="overall")
    folder = tmp_path_factory.mktemp("captions") / "described"
    write_dataset(describe_dataset(DatasetDict(train=train, test=rows.select(range(8, 12))), describer), folder)
    describer.save_pretrained(folder)
    return folder


def test_by_template(described, tmp_path, capsys):
    output = tmp_path / "captions"
    assert main(["caption", str(described), "-o", str(output), "--tasks", "style", "emotion+pitch"]) == 0
    rows = read_dataset(output)["test"]
    assert rows["task"] == ["style", "emotion+pitch"] * 4
    assert rows[0]["caption"] == "The female speaker says 'Hello.' with high pitch, slow speed and quiet volume."
    assert rows["caption_note"][:].count("the utterance has no emotion label") == 2
    record = json.loads((output / "captions.json").read_text())
    assert record["describer_sha256"] == SpeechDescriber.from_pretrained(output).fingerprint
    assert (record["writer"], record["baseline"]) == (None, "overall")
    assert record["rows"]["test"] == {"all": 8, "captions": 6, "without": {"the utterance has no emotion label": 2}}
    printed = capsys.readouterr().out
    assert "test: 6 of 8 rows have a caption" in printed
    assert "style: The female speaker says 'Hello.' with low pitch" in printed


def test_that_no_row_has_a_caption_is_said(described, tmp_path, capsys):
    arguments = ["caption", str(described), "-o", str(tmp_path / "out"), "--model", "tiny", "--max-new-tokens", "4"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.endswith("No row has a caption: there is nothing to train on.\n")


def test_by_a_chat_model_whose_texts_are_checked_and_kept(described, tmp_path):
    """The tiny random model writes nonsense, which states no level: each of its texts is refused."""
    arguments = ["caption", str(described), "-o", str(tmp_path / "out"), "--tasks", "style", "emotion"]
    arguments += ["--model", "tiny", "--max-new-tokens", "4", "--temperature", "2"]
    assert main(arguments) == 0
    rows = read_dataset(tmp_path / "out")["train"].filter(lambda task: task == "style", input_columns="task")
    assert set(rows["caption"]) == {None} and all(rows["caption_key"])
    assert all("leaves out" in note or "empty text" in note for note in rows["caption_note"])
    store = tmp_path / "out/captions-store.jsonl"
    stored = store.read_text()
    record = json.loads((tmp_path / "out/captions.json").read_text())
    assert record["writer"]["model"] == "tiny" and str(tmp_path) not in json.dumps(record) + stored
    assert main(arguments) == 0
    texts = [[json.loads(line).get("text") for line in text.splitlines()] for text in (stored, store.read_text())]
    assert len([text for text in texts[0] if text]) == len([text for text in texts[1] if text]) > 0


def test_a_folder_that_was_not_described_is_refused(described, tmp_path, capsys):
    write_dataset(read_dataset(described), tmp_path / "bare")
    assert main(["caption", str(tmp_path / "bare"), "-o", str(tmp_path / "out")]) == 1
    assert "holds no describer.json" in capsys.readouterr().err


def test_levels_that_one_clip_cannot_tell_are_named(described, tmp_path, capsys):
    folder = shutil.copytree(described, tmp_path / "described")
    assert main(["caption", str(folder), "-o", str(tmp_path / "out"), "--tasks", "emotion"]) == 0
    assert "baseline" not in capsys.readouterr().out
    replace(SpeechDescriber.from_pretrained(folder), baseline="speaker").save_pretrained(folder)
    assert main(["caption", str(folder), "-o", str(tmp_path / "out"), "--tasks", "emotion"]) == 0
    assert "compare speakers with themselves (baseline speaker)" in capsys.readouterr().out


def test_an_unknown_task_is_named(described, tmp_path, capsys):
    assert main(["caption", str(described), "-o", str(tmp_path / "out"), "--tasks", "timbre"]) == 1
    assert "'timbre' is no task" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
