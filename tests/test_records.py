"""Records: read and written in one way, whole or not at all, by this release, the ones before and the ones after."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.errors import PromptError, RecordError
from speechcue_hf.prompts.specification import load_prompt
from speechcue_hf.records import (
    BiographiesRecord,
    CaptionsRecord,
    CorpusIdentity,
    Record,
    ResultsRecord,
    SeedsRecord,
    find_record,
    read_record,
    write_json,
    write_record,
    write_record_once,
)
from tests.records import simple_describer, training_record
from tests.upgrade.next_release import KINDS, SETTING, extended

SCORES = dict.fromkeys(("weighted_f1", "macro_f1", "accuracy", "unweighted_accuracy", "invalid_rate"), 0.5)
INTERVAL = {"low": 0.4, "high": 0.6, "confidence": 0.95, "dialogues": 2}
TABLES = {"per_class": {}, "confusion_matrix": {}, "weighted_f1_interval": INTERVAL}
CAPTIONS = {"tasks": {"style": {"parts": ["pitch"], "question": "?"}}, "emotions": ("sad",), "baseline": "gender"}
RECORDS: dict[str, Record] = {
    "corpus": CorpusIdentity("meld", "default", "GPL", "", "", ("sad", "glad"), {"train": 3}, "a" * 64, "", "0.1.0"),
    "measurement": MeasurementSettings(groups=("loudness",)),
    "describer": simple_describer(),
    "biographies": BiographiesRecord("written", "history", False, {"model": "m"}, refresh=4),
    "captions": CaptionsRecord(
        **CAPTIONS, templates_sha256="b", describer_sha256="c", writer=None, rows={}, package_version="0"
    ),
    "training": training_record(stage=2, sees_future=False, trained_before=({"rows": 3},)),
    "results": ResultsRecord(labels=("a", "b"), n=2, **SCORES, **TABLES, split="test"),
    "seeds": SeedsRecord((1, 11), {"weighted_f1": {"mean": 0.5, "sd": 0.1, "values": [0.4, 0.6]}}, "test"),
}
each = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())


def edit(path: Path, **changes: Any) -> dict[str, Any]:
    values = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(values), encoding="utf-8")
    return values


def test_these_are_all_records() -> None:
    kinds = {type(record).__name__ for record in RECORDS.values()} | {"PromptSpecification"}
    assert kinds == {name for names in KINDS.values() for name in names}


@each
def test_what_is_written_is_read(record: Record, tmp_path: Path) -> None:
    path = write_record(record, tmp_path)
    assert (path.name, json.loads(path.read_text())["format_version"]) == (record.FILE, 1)
    read = read_record(type(record), tmp_path)
    assert read.fingerprint == record.fingerprint and read.to_values().keys() == record.to_values().keys()
    assert read_record(type(record), path) == find_record(type(record), tmp_path) == read
    assert [it.name for it in tmp_path.iterdir()] == [record.FILE]


@each
def test_a_setting_that_is_added_with_a_default_harms_no_record(record: Record, tmp_path: Path) -> None:
    """Of what was written before it: it is read, has its default, and the fingerprint that runs hold is the same."""
    write_record(record, tmp_path)
    later = read_record(extended(type(record)), tmp_path)
    assert getattr(later, SETTING) is False
    assert later.fingerprint == record.fingerprint
    assert replace(later, **{SETTING: True}).fingerprint != record.fingerprint


@each
def test_a_key_of_a_later_release_is_kept(record: Record, tmp_path: Path) -> None:
    path = write_record(record, tmp_path)
    edit(path, **{SETTING: True})
    read = read_record(type(record), tmp_path)
    assert read.unknown == {SETTING: True} and read.fingerprint == record.fingerprint
    assert json.loads(write_record(read, tmp_path / "again").read_text())[SETTING] is True


@each
def test_a_newer_format_is_refused_by_name_with_what_to_do(record: Record, tmp_path: Path) -> None:
    path = write_record(record, tmp_path)
    edit(path, format_version=2)
    with pytest.raises(RecordError, match=rf"{path} is in format 2, .* reads up to format 1: .*pip install -U"):
        read_record(type(record), tmp_path)


@each
@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"text"'])
def test_what_is_no_table_names_the_file_and_the_fix(record: Record, text: str, tmp_path: Path) -> None:
    (tmp_path / record.FILE).write_text(text)
    with pytest.raises(RecordError, match=rf"{tmp_path / record.FILE} (is no JSON|holds a).*: {record.FIX}"):
        read_record(type(record), tmp_path)


WRONG = {
    "corpus": ("licence", 3, "licence must be text, got 3"),
    "measurement": ("groups", ["nonsense"], "has no group 'nonsense'"),
    "describer": ("groups", {}, "'overall'|no overall statistics"),
    "biographies": ("sees_future", "yes", "sees_future must be true or false, got 'yes'"),
    "captions": ("emotions", "sad", "emotions must be a list of texts, got 'sad'"),
    "training": ("seed", "one", "seed must be a whole number, got 'one'"),
    "results": ("weighted_f1", None, "weighted_f1 must be a number, got None"),
    "seeds": ("seeds", [1, "b"], r"seeds must be a list of whole numbers, got \[1, 'b'\]"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_damaged_value_names_file_key_and_fix(name: str, tmp_path: Path) -> None:
    record, (key, value, says) = RECORDS[name], WRONG[name]
    edit(write_record(record, tmp_path), **{key: value})
    with pytest.raises(RecordError, match=rf"{record.FILE}.*({says}).*: {record.FIX}"):
        read_record(type(record), tmp_path)


def test_a_missing_key_that_has_no_default_is_named(tmp_path: Path) -> None:
    path = write_record(RECORDS["training"], tmp_path)
    path.write_text(json.dumps({"seed": 1}))
    with pytest.raises(RecordError, match=r"training\.json has no 'base_model': train again"):
        read_record(type(RECORDS["training"]), tmp_path)


def test_a_prompt_is_a_record_too(tmp_path: Path) -> None:
    prompt = load_prompt({"extends": "speechcue", "history": 3})
    prompt.save(tmp_path)
    assert load_prompt(tmp_path / "prompt.json").fingerprint == prompt.fingerprint
    values = edit(tmp_path / "prompt.json", **{SETTING: True})
    later = load_prompt(tmp_path / "prompt.json")
    assert later.unknown == {SETTING: True} and later.fingerprint == prompt.fingerprint
    edit(tmp_path / "prompt.json", format_version=2)
    with pytest.raises(PromptError, match=r"is in format 2.*install a newer one"):
        load_prompt(tmp_path / "prompt.json")
    (tmp_path / "prompt.json").write_text(json.dumps({**values, "history": "many"}))
    with pytest.raises(PromptError, match="history must be a whole number or null, got 'many'"):
        load_prompt(tmp_path / "prompt.json")


def test_a_file_appears_only_once_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json({"a": 1}, tmp_path / "a.json")

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json({"a": 2}, tmp_path / "a.json")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


def test_of_records_that_come_at_once_one_is_written(tmp_path: Path) -> None:
    groups = [("loudness",), ("pitch",), ("rhythm",), ("loudness", "pitch")]
    start = threading.Barrier(len(groups))

    def write(group: tuple[str, ...]) -> MeasurementSettings:
        start.wait(timeout=60)
        return write_record_once(MeasurementSettings(groups=group), tmp_path)

    with ThreadPoolExecutor(len(groups)) as pool:
        there = list(pool.map(write, groups))
    assert there == [read_record(MeasurementSettings, tmp_path)] * len(groups)
    assert [path.name for path in tmp_path.iterdir()] == [MeasurementSettings.FILE]


def test_numbers_that_are_none_are_null(tmp_path: Path) -> None:
    write_json({"a": float("nan"), "b": [float("inf"), 1.5], "ü": "é"}, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": None, "b": [None, 1.5], "ü": "é"} and "é" in text


def test_a_record_that_is_not_there(tmp_path: Path) -> None:
    assert find_record(SeedsRecord, tmp_path) is None
    with pytest.raises(RecordError, match=r"holds no seeds\.json: train or evaluate the seeds again"):
        read_record(SeedsRecord, tmp_path)
