"""What somebody wants to know the emotions of, as rows: a clip, a conversation in memory, or a folder of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Audio, ClassLabel, Dataset, Features, Value, concatenate_datasets, load_dataset

from speechcue_hf.audio import as_file
from speechcue_hf.corpora.catalogue import NAMESPACE
from speechcue_hf.corpora.clips import clip_status
from speechcue_hf.corpora.schema import utterance_features
from speechcue_hf.errors import AudioError

Turn = Mapping[str, Any]
Conversation = str | Path | bytes | Mapping[str, Any] | Sequence[Turn]

TURN_KEYS = ("text", "audio", "speaker", "gender", "start", "end", "biography")
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
            order, each with any of ``text``, ``audio`` (a clip), ``speaker``, ``gender`` (``female``, ``male``),
            ``start`` and ``end`` (s) and ``biography``; or a folder in the layout of ``speechcue/folder``.
        labels: Names of the emotions, in the order of the model's classes.
        text: What is said in the clip.

    Returns:
        The rows, with the columns that all loaders share, ``emotion`` null.

    Raises:
        AudioError: If there is neither a clip nor a folder of that name.
        CorpusError: If the folder's metadata is not valid.
        ValueError: If a turn says something that has no meaning here, there is none, or ``text`` goes with no clip.
    """
    conversation = _with_files(conversation)
    is_clip = isinstance(conversation, Mapping)
    if isinstance(conversation, str | Path):
        path = Path(conversation)
        if not path.exists():
            raise AudioError(f"there is no clip and no folder {str(path)!r}")
        is_clip = path.is_file()
    if is_clip:
        return _turn_rows([{"audio": conversation, "text": text}], labels)
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
    rows = [_turn_row(turn, number, features) for number, turn in enumerate(turns)]
    return Dataset.from_list(rows, features=plain).cast_column("audio", Audio(decode=False))


def _turn_row(turn: Turn, number: int, features: Features) -> dict[str, Any]:
    audio, status = _clip(turn.get("audio"))
    row = {**dict.fromkeys(features), **turn, "dialogue_id": "conversation", "utterance_id": f"turn {number}"}
    return {**row, "turn": number, "text": turn.get("text") or "", "audio": audio, "audio_status": status}


def _clip(audio: Any) -> tuple[dict[str, Any] | None, str]:
    """A clip as in the column ``audio``, and its state."""
    if isinstance(audio, Mapping) and audio.get("bytes") is not None:
        return {"bytes": audio["bytes"], "path": audio.get("path")}, clip_status(audio["bytes"], None)
    path = audio.get("path") if isinstance(audio, Mapping) else audio
    status = clip_status(None if path is None else Path(path), None)
    return (None if status in ("none", "missing") else {"bytes": None, "path": str(path)}), status
