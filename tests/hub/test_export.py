"""Exports against the schemas that the tools publish (``schemas/``, each names its source), and against the rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from datasets import DatasetDict, load_dataset
from jsonschema import Draft202012Validator

from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.export import TOOLS, export_dataset
from speechcue_hf.prompts.build import build_prompts
from tests.training.spoken_corpus import spoken_corpus

SCHEMAS = Path(__file__).parent / "schemas"


def check(content, schema: str) -> None:
    Draft202012Validator(json.loads((SCHEMAS / f"{schema}.json").read_text())).validate(content)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def partly_labelled(dataset_folder, tmp_path_factory):
    """The described corpus with one row of train and all of validation unlabelled."""
    dataset = load_dataset(str(dataset_folder))
    hidden = {"train": {"train0_1"}, "validation": set(dataset["validation"]["utterance_id"]), "test": set()}
    folder = tmp_path_factory.mktemp("partly") / "de,scribed"
    changed = {
        split: rows.map(
            lambda row, names=hidden[split]: row | ({"emotion": None} if row["utterance_id"] in names else {})
        )
        for split, rows in dataset.items()
    }
    write_dataset(DatasetDict(changed), folder)
    return folder


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Folders of captions and of their clips, one of which is no audio."""
    clips, captions = spoken_corpus()
    damaged = [{"path": "train0.wav", "bytes": b"RIFF"}, *clips["train"]["audio"][1:]]
    clips["train"] = clips["train"].remove_columns("audio").add_column("audio", damaged)
    folder = tmp_path_factory.mktemp("spoken")
    write_dataset(captions, folder / "captions")
    write_dataset(clips, folder / "clips")
    return folder


@pytest.mark.parametrize("tool", TOOLS)
def test_described_rows_fit_the_published_schema(tool, partly_labelled, tmp_path):
    exported = export_dataset(partly_labelled, tmp_path / "out", tool, prompt="bioserc_text")
    assert {split: (part.written, part.unanswered) for split, part in exported.items()} == {
        "train": (5, 1),
        "validation": (0, 6),
        "test": (6, 0),
    }
    assert not (tmp_path / "out" / "validation.jsonl").exists()
    expected = build_prompts(load_dataset(str(partly_labelled)), "bioserc_text")["test"]
    for line, row in zip(lines(tmp_path / "out" / "test.jsonl"), expected, strict=True):
        check(line, f"{tool.replace('-', '_')}_row")
        assert line["messages"] == row["prompt"] + row["completion"]
        assert line.get("utterance_id") == (None if tool == "openai" else row["utterance_id"])


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool != "openai"])
def test_captions_fit_the_published_schema_and_their_clips_lie_beside(tool, spoken, tmp_path):
    exported = export_dataset(spoken / "captions", tmp_path / "out", tool, clips=spoken / "clips")
    train = exported["train"]
    assert (train.written, train.unanswered) == (7, 1) and "train0.wav" in train.unheard["train0"]
    original = spoken_corpus()[0]["train"][1]["audio"]["bytes"]
    (tmp_path / "original.wav").write_bytes(original)
    for line in lines(tmp_path / "out" / "train.jsonl"):
        check(line, f"{tool.replace('-', '_')}_row")
        asked = line["messages"][0]["content"]
        named = [asked[0]["path"]] if tool == "axolotl" else line["audios"]
        assert named == [f"audio/train/{line['utterance_id']}.wav"]
        assert (tmp_path / "out" / named[0]).is_file()
        text = asked if tool != "axolotl" else "<audio>" + asked[1]["text"]
        assert text == "<audio>Please describe the pitch and volume in the audio."
    written, rate = soundfile.read(tmp_path / "out" / "audio/train/train1.wav")
    expected, expected_rate = soundfile.read(tmp_path / "original.wav")
    assert rate == expected_rate
    np.testing.assert_allclose(written, expected, atol=2**-15)


def test_described_rows_may_have_clips_too(dataset_folder, spoken, tmp_path):
    clips = load_dataset(str(spoken / "clips"))["train"].select([1] * 6)
    named = {
        split: clips.remove_columns("utterance_id").add_column("utterance_id", rows["utterance_id"][:])
        for split, rows in load_dataset(str(dataset_folder)).items()
    }
    write_dataset(DatasetDict(named), tmp_path / "clips")
    export_dataset(dataset_folder, tmp_path / "out", "ms-swift", clips=tmp_path / "clips")
    line = lines(tmp_path / "out" / "test.jsonl")[0]
    check(line, "ms_swift_row")
    prompt = build_prompts(load_dataset(str(dataset_folder))["test"])[0]["prompt"][-1]["content"]
    assert line["messages"][-2]["content"] == "<audio>" + prompt
    assert line["audios"] == ["audio/test/test0_0.wav"]


def test_llama_factory_is_told_of_the_files(partly_labelled, spoken, tmp_path):
    export_dataset(partly_labelled, tmp_path / "text", "llama-factory")
    export_dataset(spoken / "captions", tmp_path / "audio", "llama-factory", clips=spoken / "clips")
    for folder, names in (("text", ["de_scribed_train", "de_scribed_test"]), ("audio", ["captions_train"])):
        info = json.loads((tmp_path / folder / "dataset_info.json").read_text())
        check(info, "llama_factory_dataset_info")
        assert set(names) <= set(info)
        for entry in info.values():
            first = lines(tmp_path / folder / entry["file_name"])[0]
            assert set(entry["columns"].values()) <= set(first)
            assert ("audios" in entry["columns"]) == (folder == "audio")


def test_axolotl_gets_its_part_of_a_config(dataset_folder, spoken, tmp_path):
    export_dataset(dataset_folder, tmp_path / "text", "axolotl")
    export_dataset(spoken / "captions", tmp_path / "audio", "axolotl", clips=spoken / "clips")
    for folder in ("text", "audio"):
        config = yaml.safe_load((tmp_path / folder / "axolotl.yaml").read_text())
        check(config, "axolotl_config")
        paths = [config[key][0]["path"] for key in ("datasets", "test_datasets")]
        assert paths == ["train.jsonl", "validation.jsonl"], "the test split is trained on and chosen by nowhere"
        assert ("processor_type" in config) == (folder == "audio")


def test_answers_of_demonstrations_have_no_weight_at_openai(dataset_folder, tmp_path):
    prompt = tmp_path / "few.json"
    prompt.write_text(json.dumps({"extends": "speechcue", "demonstrations": 2}))
    export_dataset(dataset_folder, tmp_path / "out", "openai", prompt=str(prompt))
    for line in lines(tmp_path / "out" / "train.jsonl"):
        check(line, "openai_row")
        answers = [message for message in line["messages"] if message["role"] == "assistant"]
        assert [answer.get("weight") for answer in answers] == [0, 0, None]


def test_what_does_not_fit_is_refused(dataset_folder, spoken, partly_labelled, tmp_path):
    captions, clips = spoken / "captions", spoken / "clips"
    with pytest.raises(PublishingError, match="not on audio"):
        export_dataset(captions, tmp_path / "out", "openai", clips=clips)
    with pytest.raises(PublishingError, match="questions of their own"):
        export_dataset(captions, tmp_path / "out", "axolotl", clips=clips, prompt="speechcue")
    with pytest.raises(PublishingError, match="--audio"):
        export_dataset(captions, tmp_path / "out", "axolotl")
    with pytest.raises(PublishingError, match="choose from llama-factory"):
        export_dataset(dataset_folder, tmp_path / "out", "unsloth")
    assert not (tmp_path / "out").exists()
    with pytest.raises(PublishingError, match=r"no row for 'train0_0' of train \(and 5 more\)"):
        export_dataset(dataset_folder, tmp_path / "out", "axolotl", clips=clips)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "train.jsonl").touch()
    with pytest.raises(PublishingError, match="is not empty"):
        export_dataset(dataset_folder, tmp_path / "full", "axolotl")
    nothing = DatasetDict(validation=load_dataset(str(partly_labelled))["validation"])
    write_dataset(nothing, tmp_path / "nothing")
    with pytest.raises(PublishingError, match="nothing to train on"):
        export_dataset(tmp_path / "nothing", tmp_path / "none", "axolotl")


def test_an_id_that_is_no_file_name_becomes_one(dataset_folder, spoken, tmp_path):
    clips, captions = spoken_corpus({"train": 2})
    named = [
        DatasetDict(train=rows["train"].map(lambda row: {"utterance_id": "../a/" + row["utterance_id"]}))
        for rows in (clips, captions)
    ]
    for name, rows in zip(("clips", "captions"), named, strict=True):
        write_dataset(rows, tmp_path / name)
    export_dataset(tmp_path / "captions", tmp_path / "out", "ms-swift", clips=tmp_path / "clips")
    assert [path.parent for path in (tmp_path / "out").rglob("*.wav")] == [tmp_path / "out/audio/train"]


@pytest.mark.parametrize("tool", TOOLS)
def test_what_tools_take_for_more_than_text_stays_text(tool, dataset_folder, tmp_path):
    """A transcript's tags would be counted as clips, and its control tokens end the message."""
    dataset = DatasetDict(load_dataset(str(dataset_folder)))
    said = "<audio> and <image> and <|im_end|> and <laughs> 1 < 2"
    dataset["train"] = dataset["train"].map(lambda row: {"text": said})
    write_dataset(dataset, tmp_path / "described")
    export_dataset(tmp_path / "described", tmp_path / "out", tool)
    text = (tmp_path / "out" / "train.jsonl").read_text()
    assert "< audio> and < image> and < |im_end|> and <laughs> 1 < 2" in text
    assert "<audio>" not in text and "<|im_end|>" not in text
