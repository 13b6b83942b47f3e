"""What somebody wants to know the emotions of, as rows: a clip, a conversation in memory, or a folder of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Audio, ClassLabel, Dataset, Features, Value, concatenate_datasets, load_dataset

from speechcue_hf.audio import as_file
from speechcue_hf.corpora.catalogue import NAMESPACE
from speechcue_hf.corpora.clips import clip_status
from speechcue_hf.corpora.recordings import PART_KEYS, MisfitError, Spoken, cut_turns, spoken
from speechcue_hf.corpora.schema import utterance_features
from speechcue_hf.errors import AudioError

Turn = Mapping[str, Any]
Conversation = str | Path | bytes | Mapping[str, Any] | Sequence[Turn]

TURN_KEYS = ("text", "audio", "speaker", "gender", "start", "end", "channel", "biography")
"""What a turn may say; all of it may be missing, and what a model needs it asks for."""


def is_batch(conversation: Any) -> bool:
    """Whether something is several conversations: a list of paths, of files as bytes, or of lists of turns.

    Example:
        >>> is_batch(["a.wav", "b.wav"]), is_batch([[{"text": "Hi."}]]), is_batch([{"text": "Hi."}]), is_batch("a.wav")
        (True, True, False, False)
    """
    if not isinstance(conversation, list | tuple) or not conversation:
        return False
    return all(isinstance(one, str | Path | bytes | list | tuple) for one in conversation)


def rows_of(conversation: Conversation, labels: Sequence[str], text: str | None = None) -> Dataset:
    """Make rows of utterances whose emotion is not known.

    Args:
        conversation: A clip, in any form of :func:`speechcue_hf.audio.as_file`; the turns of a conversation in speaking
            order, each with any of ``text``, ``audio`` (a clip, or the recording of several turns), ``speaker``,
            ``gender`` (``female``, ``male``), ``start`` and ``end`` (s), ``channel`` and ``biography``; or a folder in
            the layout of ``speechcue/folder``. Turns are cut out of a recording as that loader does it, and so is a
            clip that says ``start``, ``end`` or ``channel`` beside its path.
        labels: Names of the emotions, in the order of the model's classes.
        text: What is said in the clip.

    Returns:
        The rows, with the columns that all loaders share, ``emotion`` null.

    Raises:
        AudioError: If there is neither a clip nor a folder of that name.
        CorpusError: If the folder's metadata is not valid.
        ValueError: If a turn says something that has no meaning here or does not fit its recording, there is none, or
            ``text`` goes with no clip.
    """
    conversation = _with_files(conversation)
    is_clip = isinstance(conversation, Mapping)
    if isinstance(conversation, str | Path):
        path = Path(conversation)
        if not path.exists():
            raise AudioError(f"there is no clip and no folder {str(path)!r}")
        is_clip = path.is_file()
    if is_clip:
        return _turn_rows([{**_turn_of(conversation), "text": text}], labels)  # type: ignore[arg-type]
    if text is not None:
        raise ValueError("text= goes with one clip; a conversation has the text of each turn in its turns")
    if isinstance(conversation, str | Path):
        return _folder_rows(Path(conversation), labels)
    return _turn_rows(list(conversation), labels)  # type: ignore[arg-type]


def _with_files(conversation: Conversation) -> Conversation:
    """A conversation whose clips are paths or files, whatever they were in memory."""
    if isinstance(conversation, str | Path):
        return conversation
    if not isinstance(conversation, Sequence) or isinstance(conversation, bytes | bytearray):
        file: Conversation = as_file(conversation)
        return file
    turns: Sequence[Any] = conversation
    if other := [turn for turn in turns if not isinstance(turn, Mapping)]:
        raise ValueError(
            f"a turn is a table such as {{'text': ..., 'audio': ...}}, and this is a {type(other[0]).__name__}"
        )
    return [{**turn, "audio": as_file(turn["audio"])} if turn.get("audio") is not None else turn for turn in turns]


def _folder_rows(folder: Path, labels: Sequence[str]) -> Dataset:
    """Rows of all splits; what the folder says of emotions is not looked at."""
    splits = load_dataset(NAMESPACE + "folder", data_dir=str(folder))
    rows = concatenate_datasets([split.remove_columns("emotion") for split in splits.values()])
    return rows.add_column("emotion", [None] * len(rows), feature=ClassLabel(names=list(labels)))


def _turn_rows(turns: Sequence[Turn], labels: Sequence[str]) -> Dataset:
    if not turns:
        raise ValueError("the conversation has no turns")
    if unknown := sorted({key for turn in turns for key in turn} - set(TURN_KEYS)):
        raise ValueError(f"a turn says {unknown[0]!r}, which has no meaning here: it may say {', '.join(TURN_KEYS)}")
    extras = {"biography": Value("string")} if any("biography" in turn for turn in turns) else {}
    features = utterance_features(labels, extras)
    # Cast afterwards: encoding a column of datasets.Audio needs torchcodec, reading one does not.
    plain = Features({**features, "audio": {"bytes": Value("binary"), "path": Value("string")}})
    rows = [
        {
            **dict.fromkeys(features),
            **{key: value for key, value in turn.items() if key in features},
            "dialogue_id": "conversation",
            "utterance_id": f"turn {number}",
            "turn": number,
            "text": turn.get("text") or "",
            "audio": audio,
            "audio_status": status,
        }
        for number, (turn, (audio, status)) in enumerate(zip(turns, _clips(turns), strict=True))
    ]
    return Dataset.from_list(rows, features=plain).cast_column("audio", Audio(decode=False))


def _turn_of(clip: str | Path | Mapping[str, Any]) -> Turn:
    """A clip as a turn, which has what the clip says beside its path and its bytes."""
    said = clip.items() if isinstance(clip, Mapping) else ()
    return {"audio": clip, **{key: value for key, value in said if key not in ("path", "bytes")}}


def _clips(turns: Sequence[Turn]) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """The clip of each turn as in the column ``audio``, cut out of its recording where there is one, and its state."""
    utterances = [_utterance(turn, number) for number, turn in enumerate(turns)]
    try:
        for utterance, cut in zip(utterances, cut_turns(utterances), strict=True):
            if cut is None:
                yield _whole(utterance.audio)
            else:
                flac = None if cut.flac is None else {"bytes": cut.flac, "path": f"{utterance.name}.flac"}
                yield flac, cut.status
    except MisfitError as error:
        raise ValueError(f"{error.name}, {'audio' if error.said == 'file_name' else error.said}: {error}") from error


def _utterance(turn: Turn, number: int) -> Spoken:
    """What a turn says of its clip; a clip without a path is none."""
    audio = turn.get("audio")
    if isinstance(audio, Mapping) and audio.get("bytes") is None:
        audio = audio.get("path")
    try:
        return spoken(audio, f"turn {number}", **{key: turn.get(key) for key in PART_KEYS})
    except ValueError as error:
        raise ValueError(f"turn {number}, channel: {error}") from error


def _whole(audio: Any) -> tuple[dict[str, Any] | None, str]:
    """A clip that is a file as it is."""
    if isinstance(audio, Mapping):
        return {"bytes": audio["bytes"], "path": audio.get("path")}, clip_status(audio["bytes"], None)
    status = clip_status(None if audio is None else Path(audio), None)
    return (None if status in ("none", "missing") else {"bytes": None, "path": str(audio)}), status
