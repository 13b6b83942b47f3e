"""Reports of the frozen corpus and runs of 0.1.0, read back from the page."""

import json
import re
from base64 import b64decode
from pathlib import Path

import pytest
from datasets import DatasetDict

from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.errors import CorpusError, EvaluationError, RecordError
from speechcue_hf.report.build import write_report

pytestmark = pytest.mark.slow

FROZEN = Path(__file__).parent.parent / "upgrade" / "0.1.0"
DESCRIBED, PREPARED = FROZEN / "data" / "described", FROZEN / "data" / "prepared"


def contents(page):
    parts = re.findall(r'<script type="application/json" id="\w+-json">(.*?)</script>', page.read_text("utf-8"))
    return [json.loads(part) for part in parts]


def test_clips_come_from_the_dataset_that_has_them(tmp_path):
    said = write_report([DESCRIBED, PREPARED, FROZEN / "runs" / "encoders"], tmp_path / "report.html")
    report, clips = contents(tmp_path / "report.html")
    rows = sum(len(split) for split in read_dataset(DESCRIBED).values())
    assert said["turns"] == rows == report["turns"]["count"] and said["runs"] == 2
    assert said["clips"] == len(clips) == len(report["curves"]) == rows and said["clips_left_out"] == 0
    assert all(b64decode(clip).startswith(b"\x1aE\xdf\xa3") for clip in clips.values()), "each is a WebM file"
    assert report["data"]["distributions"] and report["table"]["cells"][1][0] == "encoders"


def test_the_scored_split_comes_first_where_clips_do_not_all_fit(tmp_path):
    said = write_report([DESCRIBED, PREPARED, FROZEN / "runs" / "chat"], tmp_path / "report.html", audio=0.05)
    report, clips = contents(tmp_path / "report.html")
    assert 0 < sum(len(b64decode(clip)) for clip in clips.values()) <= 50_000
    assert said["clips"] + said["clips_left_out"] == len(report["curves"]) == report["turns"]["count"]
    assert {int(place) for place in clips} <= set(report["runs"][0]["places"])


def test_without_clips_curves_stay(tmp_path):
    said = write_report([PREPARED], tmp_path / "report.html", audio=None)
    report, clips = contents(tmp_path / "report.html")
    assert clips == {} and said["clips"] == 0 and len(report["curves"]) == report["turns"]["count"]


def test_runs_alone_make_a_report(tmp_path):
    write_report([FROZEN / "runs" / "chat", FROZEN / "runs" / "encoders"], tmp_path / "report.html")
    report, _ = contents(tmp_path / "report.html")
    assert report["data"] is None and report["turns"]["count"] == 8 and len(report["pairs"]) == 1


def test_no_folder_of_this_machine_is_told(tmp_path):
    write_report([DESCRIBED, PREPARED, FROZEN / "runs" / "chat", FROZEN / "runs" / "encoders"], tmp_path / "r.html")
    assert str(FROZEN) not in (tmp_path / "r.html").read_text("utf-8")


def test_a_clip_that_cannot_be_heard_says_why(tmp_path):
    dataset = read_dataset(PREPARED)

    def damage(row, place):
        return {"audio": {"path": "broken.wav", "bytes": b"RIFF"}} if place == 0 else row

    broken = DatasetDict(test=dataset["test"].map(damage, with_indices=True))
    write_dataset(broken, tmp_path / "data")
    said = write_report([tmp_path / "data"], tmp_path / "report.html")
    report, clips = contents(tmp_path / "report.html")
    assert "broken.wav" in report["curves"]["0"]["fault"] and "0" not in clips
    assert said["clips"] == said["turns"] - 1


def test_datasets_that_do_not_belong_together_are_refused(tmp_path):
    dataset = read_dataset(PREPARED)
    write_dataset(DatasetDict(test=dataset["test"].select(range(4))), tmp_path / "part")
    with pytest.raises(EvaluationError, match=r"no row for .* \(and 3 more\)"):
        write_report([DESCRIBED, tmp_path / "part"], tmp_path / "report.html")


def test_what_is_no_dataset_and_no_run_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises((CorpusError, RecordError)):
        write_report([tmp_path / "empty"], tmp_path / "report.html")
    with pytest.raises(EvaluationError, match="name dataset folders, runs, or both"):
        write_report([], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
