"""Turn tables as people have them: who speaks when in a recording, and perhaps what, in the formats of other programs.

Each format has one function, which gives a row for each turn with the columns of ``docs/reference/columns.md``. Formats
that hold the turns of several recordings name them in ``file_name``; a table of one recording has its name or is given
with it.
"""

from __future__ import annotations

import gzip
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa

from speechcue_hf.corpora.metadata import Table, read_table
from speechcue_hf.errors import CorpusError

logger = logging.getLogger(__name__)

Row = dict[str, Any]

AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".mp3", ".m4a", ".mp4", ".aac", ".opus", ".webm", ".mkv", ".avi", ".mov"),
    *(".aif", ".aiff", ".amr", ".m4v", ".mka", ".wma"),
)
_LARGEST = 2**30
"""In bytes, of a table that is packed."""
_VOICE = re.compile(r"\[([^\]\n]{1,60})\]:?\s*(.*)", re.S)
_PREFIX = re.compile(r"([^\W\d][^:\n]{0,40}):\s+(.*)", re.S)
"""How a line says who speaks: ``[SPEAKER_00]: text``, and, where all lines do, ``Ann: text``."""
_WORD_TIERS = ("word", "words", "phone", "phones", "phoneme", "phonemes", "syllable", "syllables")
_SPEAKER_TIERS = ("speaker", "speakers", "diarisation", "diarization")


def read_turns(file: Path) -> list[Row]:
    """Read the turns of one table.

    Args:
        file: RTTM, Praat TextGrid, SubRip, WebVTT, ELAN, labels of Audacity (``.txt``), JSON of WhisperX,
            faster-whisper, OpenAI, whisper.cpp or transformers, ``segments`` of Kaldi, a manifest of lhotse
            (supervisions or cuts, ``.jsonl`` or ``.jsonl.gz``), or csv, tsv, jsonl or Parquet with the columns of
            ``docs/reference/columns.md``.

    Returns:
        A row for each turn, with ``start`` and ``end`` in s and what else the table says.

    Raises:
        CorpusError: If the table cannot be read; the message names it, and the line where there is one.
    """
    if not file.is_file():
        raise CorpusError(f"there is no turn table {file}")
    reader = _reader(file)
    if reader is None:
        raise CorpusError(f"{file} is no turn table that can be read: {', '.join(_READERS)}, or Kaldi's segments")
    try:
        rows = reader(file)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, SyntaxError, RecursionError) as error:
        raise CorpusError(f"{file} cannot be read as a turn table: {type(error).__name__}: {error}") from error
    if not rows:
        raise CorpusError(f"{file} has no turns")
    return rows


def read_turns_of(data_dir: Path, file: Path) -> Table:
    """Read the turns of recordings that lie in a folder; the table may lie elsewhere.

    Raises:
        CorpusError: As of :func:`read_turns`, or if it is not clear which recording a turn is of.
    """
    rows = read_turns(file)
    stems: dict[str, list[Path]] = {}
    for recording in recordings_in(data_dir):
        stems.setdefault(recording.stem, []).append(recording)
    names = {name: _recording(name, data_dir, stems, file) for name in {row.get("file_name") for row in rows}}
    return _table(file, [{**row, "file_name": names[row.get("file_name")]} for row in rows])


def tables_beside(data_dir: Path) -> list[Table]:
    """The turns of all recordings in a folder, from tables that lie beside them and have their names.

    Raises:
        CorpusError: If there are none, or some recordings have none.
    """
    if manifest := _manifest_in(data_dir):
        return [read_turns_of(data_dir, manifest)]
    recordings = recordings_in(data_dir)
    found = {recording: _beside(recording) for recording in recordings}
    lacking = [recording for recording, table in found.items() if table is None]
    if len(lacking) == len(recordings):
        raise CorpusError(
            f"{data_dir} holds no metadata.csv, metadata.jsonl, metadata.parquet or metadata.tsv, neither do its "
            "folders train, validation and test, and no turn table has the name of a recording. Write one row per "
            "utterance with at least the column file_name: `speechcue prepare folder --skeleton --data-dir DIR` begins "
            "it for you"
        )
    if lacking:
        raise CorpusError(
            f"{lacking[0].relative_to(data_dir)} has no turn table beside it (and {len(lacking) - 1} more), and others "
            "have: write one of the same name, or move the recording out of the folder"
        )
    tables = []
    for recording, file in found.items():
        assert file is not None
        name = recording.relative_to(data_dir).as_posix()
        tables.append(_table(file, [{"file_name": name, **row} for row in _of_one(read_turns(file), file, recording)]))
    return tables


def any_table(data_dir: Path) -> bool:
    """Whether there is a turn table beside a recording of a folder, or for all of them."""
    return _manifest_in(data_dir) is not None or any(map(_beside, recordings_in(data_dir)))


def _manifest_in(data_dir: Path) -> Path | None:
    """The table of Kaldi or lhotse in a folder."""
    names = ("segments", *(f"{kind}{suffix}" for kind in ("supervisions", "cuts") for suffix in _MANIFESTS))
    return next((data_dir / name for name in names if (data_dir / name).is_file()), None)


def recordings_in(folder: Path) -> list[Path]:
    """The audio and video files in a folder and below, by name, hidden ones left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    shown = (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(path for path in shown if path.is_file())


def _of_one(rows: Sequence[Row], file: Path, recording: Path) -> list[Row]:
    """The rows of a table beside a recording, of which all must be of it."""
    for number, row in enumerate(rows, start=1):
        name = row.get("file_name")
        if name is not None and Path(name).stem != recording.stem:
            raise CorpusError(
                f"{file}, row {number}: it is of {name!r} and not of {recording.name}, which it lies beside"
            )
    return [{key: value for key, value in row.items() if key != "file_name"} for row in rows]


def _beside(recording: Path) -> Path | None:
    """The turn table of a recording, which has its name; of several the one that says most, and the others are told."""
    tables = [recording.with_suffix(suffix) for suffix in _READERS]
    found = [table for table in tables if table.is_file() and (table.suffix != ".txt" or _is_labels(table))]
    if len(found) > 1:
        others = ", ".join(table.name for table in found[1:])
        logger.info("%s has its turns from %s; %s beside it is not read", recording.name, found[0].name, others)
    return found[0] if found else None


def _recording(name: str | None, data_dir: Path, stems: Mapping[str, list[Path]], table: Path) -> str:
    """The file that a table means by the name of a recording, relative to the folder."""
    if name is not None and (data_dir / name).is_file():
        return str(name)
    everything = [path for paths in stems.values() for path in paths]
    wanted = table.name.split(".")[0] if name is None else Path(name.replace("\\", "/")).name
    of_name = stems.get(wanted, []) or stems.get(Path(wanted).stem, [])
    found = of_name or (everything if name is None else [])
    if len(found) == 1:
        return found[0].relative_to(data_dir).as_posix()
    what = f"the recording {name!r} of {table}" if name is not None else f"the recording that {table} is of"
    there = f"{len(found)} fit" if found else "none is there"
    raise CorpusError(f"{what} is not clear in {data_dir}, {there}: name the table, or the recording, like the other")


def _table(file: Path, rows: Sequence[Row]) -> Table:
    """Rows as a table, in which all have all columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    whole = [{name: row.get(name) for name in names} for row in rows]
    try:
        return Table(file, whole, pa.Table.from_pylist(whole).schema)
    except pa.ArrowException as error:
        raise CorpusError(f"{file}: a column has values of several kinds: {error}") from error


def _lines(file: Path) -> list[tuple[int, str]]:
    """The lines of a text that say something, with their numbers."""
    text = file.read_text(encoding="utf-8-sig")
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _rttm(file: Path) -> list[Row]:
    """RTTM: one turn a line; channels count from 1, and say something only where there are several."""
    rows: list[Row] = []
    channels: set[str] = set()
    for number, line in _lines(file):
        fields = line.split()
        if fields[0] != "SPEAKER":
            if fields[0].startswith(";") or (fields[0].isupper() and len(fields) >= 8):
                continue
            raise ValueError(f"line {number} does not begin as a line of RTTM does")
        _, name, channel, start, length, _, _, speaker = fields[:8]
        channels.add(channel)
        end = round(float(start) + float(length), 6)
        rows.append({"file_name": name, "start": float(start), "end": end, "speaker": speaker, "channel": channel})
    several = len(channels) > 1
    return [{**row, "channel": int(row["channel"]) - 1 if several else None} for row in rows]


def _textgrid(file: Path) -> list[Row]:
    """Praat's TextGrid, read by Praat: an interval tier for each speaker, whose labels are what is said."""
    from speechcue_hf import praat
    from speechcue_hf.praat import call

    # Praat opens sounds and other things, too.
    if b"TextGrid" not in file.read_bytes()[:200].replace(b"\0", b""):
        raise ValueError("it does not say that it is a TextGrid")
    try:
        grid = praat.read(str(file))
        tiers = [
            number
            for number in range(1, int(call(grid, "Get number of tiers")) + 1)
            if call(grid, "Is interval tier", number)
        ]
        named = {number: call(grid, "Get tier name", number) for number in tiers}
        intervals = {number: _intervals(grid, number) for number in tiers}
    except praat.PraatError as error:
        raise ValueError(" ".join(str(error).split())) from error
    speakers = {number: name for number, name in named.items() if _last_word(name) not in _WORD_TIERS}
    if tiers and not speakers:
        raise ValueError(f"its tiers, {', '.join(named.values())}, hold no turns: add a tier for each speaker")
    if left := [named[number] for number in tiers if number not in speakers]:
        logger.info("%s: the tiers %s are left out, which hold no turns", file.name, ", ".join(left))
    rows = []
    for number, name in speakers.items():
        labels = len(speakers) == 1 and name.strip().lower() in _SPEAKER_TIERS
        for start, end, text in intervals[number]:
            rows.append(
                {"start": start, "end": end, **({"speaker": text} if labels else {"speaker": name, "text": text})}
            )
    return sorted(rows, key=_start)


def _intervals(grid: Any, tier: int) -> list[tuple[float, float, str]]:
    """Intervals of a tier with a label, in s."""
    from speechcue_hf.praat import call

    labels = [
        call(grid, "Get label of interval", tier, it + 1) for it in range(call(grid, "Get number of intervals", tier))
    ]
    return [
        (
            round(call(grid, "Get start time of interval", tier, number), 6),
            round(call(grid, "Get end time of interval", tier, number), 6),
            label.strip(),
        )
        for number, label in enumerate(labels, start=1)
        if label.strip()
    ]


def _last_word(name: str) -> str:
    return str((re.findall(r"\w+", name.lower()) or [""])[-1])


def _subtitles(file: Path) -> list[Row]:
    """SubRip and WebVTT, whose voices, or the beginnings of whose lines, say who speaks."""
    import webvtt

    try:
        read = webvtt.from_srt(str(file)) if file.suffix.lower() == ".srt" else webvtt.read(str(file), strict=True)
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError) as error:
        raise ValueError(f"it is malformed: {error}") from error
    return _with_speakers(
        [
            {
                "start": _seconds(it.start_time),
                "end": _seconds(it.end_time),
                "speaker": it.voice,
                "text": " ".join(it.text.split()),
            }
            for it in read.captions
        ]
    )


def _seconds(time: Any) -> float:
    """A time of webvtt in s."""
    hours, minutes, seconds, milliseconds = time.to_tuple()
    return float(((hours * 60 + minutes) * 60 + seconds) + milliseconds / 1000)


def _elan(file: Path) -> list[Row]:
    """ELAN: a tier that depends on no other is a speaker, called by its participant if it has one."""
    document = ElementTree.parse(file).getroot()
    if document.tag != "ANNOTATION_DOCUMENT":
        raise ValueError("it is XML of something else")
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in document.iter("TIME_SLOT")}
    rows = []
    for tier in document.iter("TIER"):
        if tier.get("PARENT_REF"):
            continue
        speaker = tier.get("PARTICIPANT") or tier.get("TIER_ID")
        for said in tier.iter("ALIGNABLE_ANNOTATION"):
            start, end = (times.get(said.get(slot)) for slot in ("TIME_SLOT_REF1", "TIME_SLOT_REF2"))
            if start is None or end is None:
                raise ValueError(f"annotation {said.get('ANNOTATION_ID')} of tier {speaker} has no times: give it some")
            text = (said.findtext("ANNOTATION_VALUE") or "").strip()
            rows.append({"start": int(start) / 1000, "end": int(end) / 1000, "speaker": speaker, "text": text})
    return sorted(rows, key=_start)


def _labels(file: Path) -> list[Row]:
    """Labels of Audacity: start, end and text between tabs; a line with a backslash holds frequencies."""
    rows = []
    for number, line in _lines(file):
        if line.startswith("\\"):
            continue
        start, end, *text = line.rstrip("\r").split("\t")
        try:
            rows.append({"start": float(start), "end": float(end), "text": " ".join(text).strip()})
        except ValueError as error:
            raise ValueError(f"line {number} does not begin with a start and an end in s: {error}") from error
    return _with_speakers(rows)


def _is_labels(file: Path) -> bool:
    """Whether a text is one of labels, and not what somebody wrote down."""
    try:
        return bool(_labels(file))
    except ValueError:
        return False


def _transcript(file: Path) -> list[Row]:
    """JSON of WhisperX, faster-whisper, OpenAI, whisper.cpp and transformers: segments with their times."""
    said = json.loads(file.read_text(encoding="utf-8-sig"))
    language = said.get("language") if isinstance(said, dict) else None
    rows = [_segment(it) for it in _segments(said)]
    if language:
        rows = [{**row, "language": language} for row in rows]
    return _with_speakers(rows)


def _segments(said: Any) -> list[Any]:
    """The list of segments, by the name that each program has for it."""
    for name in ("segments", "chunks", "transcription"):
        if isinstance(said, dict) and isinstance(said.get(name), list):
            return list(said[name])
    if isinstance(said, list):
        return said
    raise ValueError("it has no segments: transcribe with times (OpenAI: response_format verbose_json)")


def _segment(segment: Any) -> Row:
    """One segment: an object, or, of faster-whisper, a list that begins with id, seek, start, end and text."""
    if isinstance(segment, list):
        _, _, start, end, text = segment[:5]
        return {"start": start, "end": end, "speaker": None, "text": text.strip()}
    start, end = segment.get("start"), segment.get("end")
    if "timestamp" in segment:
        start, end = segment["timestamp"]
    if "offsets" in segment:
        start, end = segment["offsets"]["from"] / 1000, segment["offsets"]["to"] / 1000
    if start is None or end is None:
        raise ValueError(f"a segment has no start or no end: {segment!s:.80}")
    return {"start": start, "end": end, "speaker": segment.get("speaker"), "text": (segment.get("text") or "").strip()}


def _kaldi(file: Path) -> list[Row]:
    """Kaldi's ``segments``, with ``wav.scp``, ``text``, ``utt2spk``, ``spk2gender`` and channels beside it."""
    beside = {name: _kaldi_map(file.with_name(name)) for name in ("wav.scp", "text", "utt2spk", "spk2gender")}
    channels = _kaldi_map(file.with_name("reco2file_and_channel"))
    rows = []
    for number, line in _lines(file):
        fields = line.split()
        if len(fields) != 4:
            raise ValueError(f"line {number} is not an utterance, a recording, a start and an end")
        utterance, recording, start, end = fields
        speaker = beside["utt2spk"].get(utterance)
        channel = (channels.get(recording) or " ").split()[-1:]
        rows.append(
            {
                "utterance_id": utterance,
                "file_name": _kaldi_file(recording, beside["wav.scp"].get(recording, recording)),
                "start": float(start),
                "end": float(end),
                "speaker": speaker,
                "gender": beside["spk2gender"].get(speaker or ""),
                "text": beside["text"].get(utterance, ""),
                "channel": {"A": 0, "B": 1}.get(channel[0]) if channel else None,
            }
        )
    return rows


def _kaldi_map(file: Path) -> dict[str, str]:
    """A file of Kaldi: a name and what belongs to it on each line; empty where there is none."""
    lines = _lines(file) if file.is_file() else []
    return {
        parts[0]: parts[1].strip() if len(parts) > 1 else "" for parts in (line.split(None, 1) for _, line in lines)
    }


def _kaldi_file(recording: str, said: str) -> str:
    """The file of a recording; no command is run."""
    if said.endswith("|"):
        raise ValueError(
            f"wav.scp has a command for {recording!r}, and none is run: run it, and name the file it writes"
        )
    return said


_MANIFESTS = (".jsonl", ".jsonl.gz")


def _manifest(file: Path) -> list[Row]:
    """Lines of JSON: supervisions or cuts of lhotse, or rows with the columns of ``docs/reference/columns.md``."""
    entries = _json_lines(file)
    if all("recording_id" in it and "duration" in it for it in entries):
        named = file.with_name(file.name.replace("supervisions", "recordings"))
        sources = {it["id"]: _source(it) for it in (_json_lines(named) if named != file and named.is_file() else ())}
        return [_supervision(it, sources.get(it["recording_id"], it["recording_id"]), 0.0) for it in entries]
    if all("supervisions" in it and "recording" in it for it in entries):
        return [
            _supervision(said, _source(cut["recording"]), cut["start"])
            for cut in entries
            for said in cut["supervisions"]
        ]
    if file.suffix == ".gz":
        raise ValueError("it holds neither supervisions nor cuts of lhotse")
    return [dict(row) for row in read_table(file).rows]


def _json_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines, which may be packed."""
    if file.suffix != ".gz":
        data = file.read_bytes()
    else:
        with gzip.open(file) as packed:
            data = packed.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError(f"it holds more than {_LARGEST:,} bytes once unpacked")
    return [json.loads(line) for line in data.decode("utf-8-sig").split("\n") if line.strip()]


def _source(recording: Mapping[str, Any]) -> str:
    """The file of a recording of lhotse; one that is a command or an address is known by the recording's id."""
    [source, *_] = recording["sources"]
    return str(source["source"] if source["type"] == "file" else recording["id"])


def _supervision(said: Mapping[str, Any], file_name: str, offset: float) -> Row:
    """A turn of lhotse, whose cut begins at ``offset`` s of the recording."""
    channel = said.get("channel")
    start = offset + said["start"]
    row = {
        "utterance_id": said["id"],
        "file_name": file_name,
        "start": round(start, 6),
        "end": round(start + said["duration"], 6),
        "speaker": said.get("speaker"),
        "gender": said.get("gender"),
        "text": said.get("text") or "",
        # A list means all of them.
        "channel": channel if isinstance(channel, int) else None,
    }
    return {**row, **({"language": said["language"]} if said.get("language") else {})}


def _own(file: Path) -> list[Row]:
    """A table with the columns of ``docs/reference/columns.md``."""
    return [dict(row) for row in read_table(file).rows]


def _with_speakers(rows: Sequence[Row]) -> list[Row]:
    """Rows whose texts begin with who speaks, with that as their speaker."""
    plain = bool(rows) and all(_PREFIX.fullmatch(row["text"]) for row in rows)
    found = []
    for row in rows:
        said = _VOICE.fullmatch(row["text"]) or (_PREFIX.fullmatch(row["text"]) if plain else None)
        if row.get("speaker") is None and said and said[2]:
            row = {**row, "speaker": said[1].strip(), "text": said[2].strip()}
        found.append(row)
    return found


def _start(row: Row) -> float:
    return float(row["start"])


_READERS: dict[str, Callable[[Path], list[Row]]] = {
    ".eaf": _elan,
    ".TextGrid": _textgrid,
    ".json": _transcript,
    ".jsonl": _manifest,
    ".vtt": _subtitles,
    ".srt": _subtitles,
    ".csv": _own,
    ".tsv": _own,
    ".parquet": _own,
    ".rttm": _rttm,
    ".txt": _labels,
}
"""By suffix; beside a recording the first that is there is taken, for it says most."""


def _reader(file: Path) -> Callable[[Path], list[Row]] | None:
    """The function for a file."""
    if file.name == "segments":
        return _kaldi
    if file.name.endswith(_MANIFESTS):
        return _manifest
    return {suffix.lower(): reader for suffix, reader in _READERS.items()}.get(file.suffix.lower())
