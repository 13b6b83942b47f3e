"""From dataset folders and runs to the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Audio, Dataset, DatasetDict

from speechcue_hf import __version__
from speechcue_hf.corpora.catalogue import strictest
from speechcue_hf.corpora.identity import corpus_of_metadata
from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.cues.analysis import clip_curves
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import AudioError, EvaluationError
from speechcue_hf.evaluation.runs import Run, read_runs
from speechcue_hf.progress import progress
from speechcue_hf.records import DESCRIBER_FILE, RESULTS_FILE, beside
from speechcue_hf.report.corpus import corpus_of, licence_notes, overview, turns_of
from speechcue_hf.report.page import render_page
from speechcue_hf.report.runs import runs_of, turns_of_predictions
from speechcue_hf.report.sound import compact_curves, encode_opus

MOST_MEGABYTES = 20.0
"""Of clips in a page, as Opus: an hour and three quarters of speech."""


def write_report(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    audio: float | None = MOST_MEGABYTES,
    title: str | None = None,
) -> dict[str, Any]:
    """Write datasets and runs as one HTML file, which opens from disk in any browser and sends nothing anywhere.

    Args:
        paths: Dataset folders and folders of evaluated runs, in any order. The first dataset gives the turns; columns
            that it lacks, such as clips, are taken from the others by utterance id. The runs must have been scored on
            the same utterances; a folder of several seeds counts as one run.
        output: The file.
        audio: Most megabytes of clips, as Opus, the scored split first; None leaves clips out. Curves go in for every
            clip that is there.
        title: Of the page; None names the folders.

    Returns:
        ``turns``, ``runs``, ``clips`` and ``clips_left_out``, counted, and the ``megabytes`` of the file.

    Raises:
        CorpusError: If a folder holds neither rows nor results.
        EvaluationError: If the runs cannot be set beside each other, or a dataset lacks an utterance of theirs.
        RecordError: If a record is damaged.

    Example:
        >>> described.save_to_disk("described")
        >>> write_report(["described"], "report.html")["turns"]
        72
    """
    report, dataset = describe_report(list(map(Path, paths)), title)
    scored = [place for run in report["runs"] for place in run["places"]]
    curves, clips, left_out = sound_of(dataset, scored, 0 if audio is None else audio * 1e6)
    report |= {"curves": curves, "licence": licence_notes(report.pop("corpus"), sound=bool(clips))}
    report["clips_left_out"] = left_out
    page = render_page(report, clips).encode()
    Path(output).write_bytes(page)
    return {
        "turns": report["turns"]["count"],
        "runs": len(report["runs"]),
        "clips": len(clips),
        "clips_left_out": left_out,
        "megabytes": round(len(page) / 1e6, 2),
    }


def describe_report(paths: Sequence[Path], title: str | None = None) -> tuple[dict[str, Any], DatasetDict]:
    """All that a report says beside sound; its ``corpus`` is a :class:`speechcue_hf.corpora.catalogue.Corpus` or None.

    Args:
        paths: As for :func:`write_report`.
        title: Likewise.

    Returns:
        The report, and the dataset whose rows, one split after the other, are its turns.

    Raises:
        EvaluationError, CorpusError, RecordError: As of :func:`write_report`.
    """
    if not paths:
        raise EvaluationError("A report is of something: name dataset folders, runs, or both.")
    folders = [path for path in paths if not _is_run(path)]
    evaluated = [path for path in paths if _is_run(path)]
    runs = read_runs(evaluated) if evaluated else []
    given = _together([read_dataset(folder) for folder in folders]) if folders else None
    dataset = turns_of_predictions(runs) if given is None else given
    turns = turns_of(dataset)
    ids = [name for rows in dataset.values() for name in rows["utterance_id"][:]]
    places = {name: place for place, name in enumerate(ids)}
    said = runs_of(evaluated, given, places) if runs else {"table": None, "pairs": [], "runs": []}
    report = {
        "title": title or ", ".join(dict.fromkeys(path.resolve().name for path in paths)),
        "version": __version__,
        "corpus": strictest([corpus_of(dataset), *_corpora_of(runs)]),
        "data": None if given is None else overview(given, _describer(folders)),
        "turns": turns,
        **said,
    }
    return report, dataset


def _is_run(path: Path) -> bool:
    return any(path.glob(RESULTS_FILE)) or any(path.glob(f"seed-*/{RESULTS_FILE}"))


def _corpora_of(runs: Sequence[Run]) -> list[Any]:
    return [corpus_of_metadata(result.corpus) for run in runs for result in run.results]


def _describer(folders: Sequence[Path]) -> SpeechDescriber | None:
    """The describer beside the first folder that has one."""
    found = [folder for folder in folders if (beside(folder) / DESCRIBER_FILE).is_file()]
    return SpeechDescriber.from_pretrained(beside(found[0])) if found else None


def _together(datasets: Sequence[DatasetDict]) -> DatasetDict:
    """The first dataset, with the columns that it lacks from the others, by utterance id."""
    joined = dict(datasets[0].items())
    for other in datasets[1:]:
        for split, rows in other.items():
            if split in joined:
                joined[split] = _with_columns_of(joined[split], rows)
    return DatasetDict(joined)


def _with_columns_of(rows: Dataset, other: Dataset) -> Dataset:
    new = [name for name in other.column_names if name not in rows.column_names]
    places = {name: place for place, name in enumerate(other["utterance_id"][:])}
    wanted = [places.get(name) for name in rows["utterance_id"][:]]
    if not new or None in wanted:
        missing = [name for name, place in zip(rows["utterance_id"][:], wanted, strict=True) if place is None]
        if missing:
            raise EvaluationError(
                f"one dataset of the report has no row for {missing[0]!r} (and {len(missing) - 1} more), which another "
                "one has: give datasets that were made from one another"
            )
        return rows
    return put_beside(rows, other.select_columns(new).select(wanted))


def sound_of(
    dataset: DatasetDict, scored: Sequence[int], most_bytes: float
) -> tuple[dict[str, Any], dict[int, bytes], int]:
    """Curves of all clips that can be decoded, as many clips as fit, and how many did not.

    Args:
        dataset: Its rows, one split after the other, are the turns.
        scored: Places of the turns whose clips come first.
        most_bytes: Of all clips together.

    Returns:
        Place of a turn, as text, → its curves or its ``fault``; place → its clip; and the number that is left out.
    """
    curves: dict[str, Any] = {}
    clips: dict[int, bytes] = {}
    left_out, size = 0, 0
    sources = _clip_sources(dataset)
    order = [place for place in dict.fromkeys([*scored, *sources]) if place in sources]
    for place in progress(order, "Drawing clips", "clips"):
        rows, index = sources[place]
        audio = rows[index]["audio"]
        if audio is None:
            continue
        try:
            drawn = clip_curves(audio)
        except AudioError as error:
            curves[str(place)] = {"fault": str(error)}
            continue
        curves[str(place)] = compact_curves(drawn)
        made = encode_opus(drawn.samples) if size < most_bytes and drawn.samples.size else b""
        if made and size + len(made) <= most_bytes:
            clips[place], size = made, size + len(made)
        else:
            left_out += 1
    return curves, clips, left_out


def _clip_sources(dataset: DatasetDict) -> dict[int, tuple[Dataset, int]]:
    """Place of a turn → the rows and the number of the row that hold its clip."""
    sources: dict[int, tuple[Dataset, int]] = {}
    start = 0
    for rows in dataset.values():
        if "audio" in rows.column_names:
            heard = rows.select_columns("audio").cast_column("audio", Audio(decode=False))
            sources |= {start + index: (heard, index) for index in range(len(rows))}
        start += len(rows)
    return sources
