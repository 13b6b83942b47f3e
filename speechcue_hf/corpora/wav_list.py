"""Lists of clips as SEmoLLM reads them: one ``id<TAB>path of the wav`` a line, and nothing else known of a clip.

The folder holds ``train``, ``validation`` and ``test`` as ``.tsv``, ``.txt`` or ``.scp`` (SEmoLLM has ``test.scp``), or
one list of any other name, whose clips are all ``train``. Relative paths start at the list's folder; absolute ones are
taken as they stand. Each clip is a dialogue of its own. A command, which Kaldi ends in ``|``, is refused and not run.
"""

from __future__ import annotations

from pathlib import Path

from speechcue_hf.corpora.builder import CorpusBuilder
from speechcue_hf.corpora.release import read_utf8
from speechcue_hf.corpora.schema import SPLITS, Utterance
from speechcue_hf.errors import CorpusError

SUFFIXES = (".tsv", ".txt", ".scp")

_HEADERS = {"path", "wav", "wav_path", "file", "filename", "file_name", "audio"}
"""What a first line calls the second column where it is no clip."""


class WavListBuilder(CorpusBuilder):
    """Clips named by lists."""

    CORPUS = "wav_list"

    def read(self, data_dir: Path) -> dict[str, list[Utterance]]:
        """The clips of each list."""
        splits = {split: _read_list(file) for split, file in _lists(data_dir).items()}
        seen: dict[str, str] = {}
        for split, utterances in splits.items():
            for utterance in utterances:
                if (home := seen.setdefault(utterance.utterance_id, split)) != split:
                    raise CorpusError(
                        f"{data_dir}: {utterance.utterance_id!r} stands in the lists {home} and {split}: keep it in one"
                    )
        return splits


def _lists(data_dir: Path) -> dict[str, Path]:
    """Split → list: one for each split, or a single one of any name."""
    files = sorted(path for path in data_dir.iterdir() if path.suffix in SUFFIXES and path.is_file())
    named = [(split, path) for split in SPLITS for path in files if path.stem == split]
    if len(named) > len(dict(named)) or (not named and len(files) != 1):
        found = ", ".join(path.name for path in files) or "none"
        raise CorpusError(
            f"{data_dir} must hold one list, or one for each of {', '.join(SPLITS)} ({' or '.join(SUFFIXES)}); "
            f"found: {found}"
        )
    return dict(named) or {"train": files[0]}


def _read_list(file: Path) -> list[Utterance]:
    """The clips of one list."""
    clips: dict[str, Path] = {}
    for number, line in enumerate(read_utf8(file).splitlines(), start=1):
        name, tab, path = line.partition("\t")
        if not line.strip():
            continue
        if path.strip().endswith("|") or line.strip().endswith("|"):
            raise CorpusError(
                f"{file}, line {number}: {line!r:.80} is a command and no clip, and commands of a list are never run: "
                "run it yourself, and name the wav that it makes"
            )
        if not clips and path.strip().lower() in _HEADERS and not (file.parent / path.strip()).is_file():
            raise CorpusError(f"{file}, line {number}: {line!r} is a header: lists have none, remove the line")
        if not tab or not name.strip() or not path.strip() or "\t" in path.strip():
            raise CorpusError(f"{file}, line {number}: {line!r} is not an id, a tab and the path of a wav")
        if name.strip() in clips:
            raise CorpusError(f"{file}, line {number}: the id {name.strip()!r} stands above already: keep one of them")
        clips[name.strip()] = file.parent / path.strip()
    if not clips:
        raise CorpusError(f"{file} names no clip: write one id, tab and path a line")
    return [Utterance(dialogue_id=name, utterance_id=name, text="", clip=clip) for name, clip in clips.items()]


def watched(data_dir: Path) -> list[Path]:
    """The lists and the clips they name."""
    files = list(_lists(data_dir).values()) if data_dir.is_dir() else []
    return [*files, *(utterance.clip for file in files for utterance in _read_list(file) if utterance.clip)]
