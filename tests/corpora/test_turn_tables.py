"""Turn tables of other programs: each file is written here as its program writes it."""

import gzip
import json
import logging
import textwrap

import numpy as np
import parselmouth
import pytest
import soundfile
from parselmouth.praat import call

from speechcue_hf.corpora.turn_tables import read_turns, read_turns_of, tables_beside
from speechcue_hf.errors import CorpusError

TURNS = [
    {"start": 0.5, "end": 1.75, "speaker": "Ann", "text": "Hello there."},
    {"start": 2.0, "end": 3.25, "speaker": "Ben", "text": "Who is it?"},
    {"start": 3.0, "end": 4.5, "speaker": "Ann", "text": "It's me, Ann."},
]
"""The second and the third overlap."""


def written(folder, name, text):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return file


def rttm(folder):
    lines = [
        f"SPEAKER call 1 {it['start']:.3f} {it['end'] - it['start']:.3f} <NA> <NA> {it['speaker']} <NA> <NA>"
        for it in TURNS
    ]
    return written(folder, "call.rttm", "\n".join([";; made by hand", *lines]) + "\n")


def textgrid(folder, save="Save as text file"):
    """As Praat writes it."""
    grid = call("Create TextGrid", 0.0, 5.0, "Ann Ben", "")
    for tier, speaker in enumerate(("Ann", "Ben"), start=1):
        own = [it for it in TURNS if it["speaker"] == speaker]
        for time in sorted({time for it in own for time in (it["start"], it["end"])}):
            call(grid, "Insert boundary", tier, time)
        for it in own:
            middle = (it["start"] + it["end"]) / 2
            call(grid, "Set interval text", tier, int(call(grid, "Get interval at time", tier, middle)), it["text"])
    file = folder / "call.TextGrid"
    call(grid, save, str(file))
    return file


def clock(time, mark):
    return f"00:00:{int(time):02d}{mark}{round(time % 1 * 1000):03d}"


def srt(folder):
    cues = [
        f"{number}\n{clock(it['start'], ',')} --> {clock(it['end'], ',')}\n{it['speaker']}: {it['text']}\n"
        for number, it in enumerate(TURNS, start=1)
    ]
    return written(folder, "call.srt", "\n".join(cues))


def vtt(folder):
    cues = [
        f"{clock(it['start'], '.')} --> {clock(it['end'], '.')}\n<v {it['speaker']}>{it['text']}</v>\n" for it in TURNS
    ]
    return written(folder, "call.vtt", "WEBVTT\n\n" + "\n".join(cues))


def whisperx_vtt(folder):
    cues = [f"{clock(it['start'], '.')} --> {clock(it['end'], '.')}\n[{it['speaker']}]: {it['text']}\n" for it in TURNS]
    return written(folder, "call.vtt", "WEBVTT\n\n" + "\n".join(cues))


def elan(folder):
    """Tiers of speakers with a tier of words below one of them, which is no speaker."""
    slots = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="ts{2 * number + side}" TIME_VALUE="{round(1000 * it[key])}"/>'
        for number, it in enumerate(TURNS)
        for side, key in enumerate(("start", "end"))
    )
    tiers = "".join(
        f'<TIER LINGUISTIC_TYPE_REF="default" PARTICIPANT="{speaker}" TIER_ID="tier-{speaker}">'
        + "".join(
            f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" TIME_SLOT_REF1="ts{2 * number}" '
            f'TIME_SLOT_REF2="ts{2 * number + 1}"><ANNOTATION_VALUE>{it["text"]}</ANNOTATION_VALUE>'
            "</ALIGNABLE_ANNOTATION></ANNOTATION>"
            for number, it in enumerate(TURNS)
            if it["speaker"] == speaker
        )
        + "</TIER>"
        for speaker in ("Ann", "Ben")
    )
    gloss = (
        '<TIER LINGUISTIC_TYPE_REF="gloss" PARENT_REF="tier-Ben" TIER_ID="gloss"><ANNOTATION><REF_ANNOTATION '
        'ANNOTATION_ID="a9" ANNOTATION_REF="a1"><ANNOTATION_VALUE>who</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>'
        "</TIER>"
    )
    types = (
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="default" TIME_ALIGNABLE="true"/>'
        '<LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" LINGUISTIC_TYPE_ID="gloss" TIME_ALIGNABLE="false"/>'
    )
    return written(
        folder,
        "call.eaf",
        '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" '
        'FORMAT="3.0" VERSION="3.0"><HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>'
        f"<TIME_ORDER>{slots}</TIME_ORDER>{tiers}{gloss}{types}</ANNOTATION_DOCUMENT>",
    )


def audacity(folder):
    lines = [f"{it['start']:.6f}\t{it['end']:.6f}\t{it['speaker']}: {it['text']}" for it in TURNS]
    return written(folder, "call.txt", "\n".join([lines[0], "\\\t200.000000\t3000.000000", *lines[1:]]) + "\n")


def whisperx(folder):
    words = [{"word": "Hello", "start": 0.5, "end": 0.9, "score": 0.9}]
    return written(folder, "call.json", json.dumps({"segments": [{**it, "words": words} for it in TURNS]}))


def csv_file(folder):
    lines = [f'{it["start"]},{it["end"]},{it["speaker"]},"{it["text"]}"' for it in TURNS]
    return written(folder, "call.csv", "\n".join(["start,end,speaker,text", *lines]))


WITH_TEXT = [textgrid, srt, vtt, whisperx_vtt, elan, audacity, whisperx, csv_file]


def found(rows):
    return [{name: row.get(name) for name in TURNS[0]} for row in rows]


@pytest.mark.parametrize("write", WITH_TEXT)
def test_turns_are_those_of_the_file(tmp_path, write):
    rows = found(read_turns(write(tmp_path)))
    assert [{**row, "start": float(row["start"]), "end": float(row["end"])} for row in rows] == TURNS


@pytest.mark.parametrize("save", ["Save as short text file", "Save as binary file"])
def test_every_textgrid_of_praat(tmp_path, save):
    assert found(read_turns(textgrid(tmp_path, save))) == TURNS


def test_rttm_has_no_text_and_channels_only_where_there_are_several(tmp_path):
    rows = read_turns(rttm(tmp_path))
    assert rows[0] == {"file_name": "call", "start": 0.5, "end": 1.75, "speaker": "Ann", "channel": None}
    assert [row["speaker"] for row in rows] == ["Ann", "Ben", "Ann"]
    lines = "SPEAKER call 1 0 1 <NA> <NA> Ann <NA> <NA>\nSPEAKER call 2 1 1 <NA> <NA> Ben <NA> <NA>\n"
    assert [row["channel"] for row in read_turns(written(tmp_path, "two.rttm", lines))] == [0, 1]


@pytest.mark.parametrize(
    "said",
    [
        {"text": "Hi.", "language": "en", "segments": [{"id": 0, "start": 0.5, "end": 1.0, "text": " Hi."}]},
        [{"start": 0.5, "end": 1.0, "text": " Hi."}],
        [[1, 0, 0.5, 1.0, " Hi.", [50364], -0.2]],
        {"text": "Hi.", "chunks": [{"timestamp": [0.5, 1.0], "text": " Hi."}]},
        {"transcription": [{"offsets": {"from": 500, "to": 1000}, "text": " Hi."}]},
    ],
)
def test_json_of_openai_faster_whisper_transformers_and_whisper_cpp(tmp_path, said):
    [row] = read_turns(written(tmp_path, "call.json", json.dumps(said)))
    assert found([row]) == [{"start": 0.5, "end": 1.0, "speaker": None, "text": "Hi."}]
    assert row.get("language") == ("en" if isinstance(said, dict) and "language" in said else None)


def tones(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, 0.1 * np.sin(np.arange(5 * 8000)), 8000)


def test_kaldi(tmp_path):
    tones(tmp_path, "wavs/call.wav")
    written(tmp_path, "kaldi/segments", "Ann-1 call 0.5 1.75\nBen-1 call 2.0 3.25\n")
    written(tmp_path, "kaldi/wav.scp", "call /somewhere/else/call.wav\n")
    written(tmp_path, "kaldi/text", "Ann-1 Hello there.\nBen-1 Who is it?\n")
    written(tmp_path, "kaldi/utt2spk", "Ann-1 Ann\nBen-1 Ben\n")
    written(tmp_path, "kaldi/spk2gender", "Ann f\nBen m\n")
    table = read_turns_of(tmp_path / "wavs", tmp_path / "kaldi/segments")
    assert found(table.rows) == TURNS[:2]
    assert [row["utterance_id"] for row in table.rows] == ["Ann-1", "Ben-1"]
    assert [row["gender"] for row in table.rows] == ["f", "m"]
    assert [row["file_name"] for row in table.rows] == ["call.wav"] * 2
    written(tmp_path, "kaldi/wav.scp", "call sph2pipe -f wav call.sph |\n")
    with pytest.raises(CorpusError, match=r"segments cannot be read.*a command for 'call', and none is run"):
        read_turns(tmp_path / "kaldi/segments")


@pytest.mark.parametrize("packed", [False, True])
def test_lhotse(tmp_path, packed):
    tones(tmp_path, "call.wav")
    suffix, opened = (".jsonl.gz", gzip.open) if packed else (".jsonl", open)
    said = [
        {"id": f"s{n}", "recording_id": "r", "duration": it["end"] - it["start"], "channel": 0, **it, "end": None}
        for n, it in enumerate(TURNS)
    ]
    recording = {"id": "r", "sources": [{"type": "file", "channels": [0], "source": "audio/call.wav"}]}
    cut = {"id": "c", "start": 0.5, "duration": 4.5, "channel": 0, "recording": recording}
    cut["supervisions"] = [{**it, "start": it["start"] - 0.5} for it in said]
    for name, entries in (("supervisions", said), ("recordings", [recording]), ("cuts", [cut])):
        with opened(tmp_path / f"{name}{suffix}", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)
    for name in ("supervisions", "cuts"):
        table = read_turns_of(tmp_path, tmp_path / f"{name}{suffix}")
        assert found(table.rows) == TURNS
        assert {row["file_name"] for row in table.rows} == {"call.wav"}


def test_tables_are_found_by_name_and_the_one_that_says_most_is_taken(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="speechcue_hf")
    tones(tmp_path, "a/call.wav", "b/call.flac")
    whisperx(tmp_path / "a")
    srt(tmp_path / "a")
    rttm(tmp_path / "b")
    tables = tables_beside(tmp_path)
    assert [table.file.name for table in tables] == ["call.json", "call.rttm"]
    assert [table.rows[0]["file_name"] for table in tables] == ["a/call.wav", "b/call.flac"]
    assert "call.wav has its turns from call.json; call.srt beside it is not read" in caplog.text
    tones(tmp_path, "c/other.wav")
    with pytest.raises(CorpusError, match=r"c/other.wav has no turn table beside it.*same name"):
        tables_beside(tmp_path)


def test_a_transcript_beside_a_recording_is_no_table(tmp_path):
    tones(tmp_path, "call.wav")
    written(tmp_path, "call.txt", "Hello there.\nWho is it?\n")
    with pytest.raises(CorpusError, match=r"--skeleton"):
        tables_beside(tmp_path)


def test_which_recording_a_table_is_of(tmp_path):
    table = whisperx(tmp_path / "tables")
    recordings = tmp_path / "recordings"
    tones(recordings, "one.wav")
    assert read_turns_of(recordings, table).rows[0]["file_name"] == "one.wav"
    tones(recordings, "two.wav")
    with pytest.raises(CorpusError, match=r"the recording that .*call.json is of is not clear.*2 fit: name the table"):
        read_turns_of(recordings, table)
    tones(recordings, "below/call.wav")
    assert read_turns_of(recordings, table).rows[0]["file_name"] == "below/call.wav"
    tones(recordings, "call.flac")
    with pytest.raises(CorpusError, match="2 fit"):
        read_turns_of(recordings, rttm(tmp_path / "tables"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.rttm", "SPEAKER call 1 0.5 1.0 <NA> <NA> Ann <NA>\nhello\n", "line 2 does not begin as a line of RTTM"),
        ("a.TextGrid", "nothing of Praat\n", "does not say that it is a TextGrid"),
        ("a.TextGrid", 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n', "cannot be read as a turn table"),
        ("a.srt", "nothing\n", "cannot be read|has no turns"),
        ("a.vtt", "nothing\n", "cannot be read as a turn table"),
        ("a.eaf", "<not xml", "cannot be read as a turn table"),
        ("a.txt", "0.5\t1.0\thello\none\ttwo\tthree\n", "line 2 does not begin with a start and an end"),
        ("a.json", '{"text": "Hi."}', "has no segments"),
        ("a.json", '{"segments": [{"start": 1, "end": null, "text": "x"}]}', "a segment has no start or no end"),
        ("a.json", '{"segments": []}', "has no turns"),
        ("segments", "a b 1\n", "line 1 is not an utterance, a recording, a start and an end"),
        ("a.docx", "x", "is no turn table that can be read"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, message):
    with pytest.raises(CorpusError, match=rf"{name}.*({message})"):
        read_turns(written(tmp_path, name, text))


def test_tiers_that_hold_words_are_left_out(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="speechcue_hf")
    for names, count in (("Ann words", 1), ("words phones", None)):
        grid = call("Create TextGrid", 0.0, 5.0, names, "")
        call(grid, "Set interval text", 1, 1, "hello")
        call(grid, "Set interval text", 2, 1, "world")
        call(grid, "Save as text file", str(tmp_path / "call.TextGrid"))
        if count:
            assert found(read_turns(tmp_path / "call.TextGrid")) == [
                {"start": 0.0, "end": 5.0, "speaker": "Ann", "text": "hello"}
            ]
            assert "the tiers words are left out" in caplog.text
        else:
            with pytest.raises(CorpusError, match="its tiers, words, phones, hold no turns"):
                read_turns(tmp_path / "call.TextGrid")
    assert parselmouth.read(str(tmp_path / "call.TextGrid")).class_name == "TextGrid"
