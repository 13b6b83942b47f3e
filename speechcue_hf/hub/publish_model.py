"""Runs go to the Hub: a model with all that says how it was made, checked by licence and for traces, in one commit."""

from __future__ import annotations

import logging
import re
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import ModelCard

from speechcue_hf.corpora.catalogue import Corpus
from speechcue_hf.errors import LicenceError, PublishingError
from speechcue_hf.hub.card import model_card
from speechcue_hf.hub.licence import corpus_of_run
from speechcue_hf.hub.privacy import PrivateRecord, private_record
from speechcue_hf.hub.reading import read_table
from speechcue_hf.hub.run_records import SEEDS_FILES, RunRecords, best_run, read_run, without_speaker_names
from speechcue_hf.hub.scan import check_files
from speechcue_hf.hub.upload import commit_files, own_file, repository
from speechcue_hf.models.base import HUB_ID, TINY_MODEL, leads_elsewhere
from speechcue_hf.records import (
    BASE_MODEL_FOLDER,
    BIOGRAPHIES_FILE,
    CAPTIONS_FILE,
    CARD_FILE,
    CONFUSION_FILE,
    DESCRIBER_FILE,
    DISTRIBUTIONS_FILE,
    PREDICTIONS_FILE,
    PROMPT_FILE,
    PROMPT_TEMPLATE_FILE,
    RESULTS_FILE,
    TRAINING_FILE,
    TrainingRecord,
    find_record,
    read_json,
    write_record,
)

logger = logging.getLogger(__name__)

WEIGHTS = ("model.safetensors", "adapter_model.safetensors")
"""Files of weights; what a model has in parts, its index names."""

MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "spiece.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "preprocessor_config.json",
    "processor_config.json",
)
"""What a model is loaded from, beside weights and our code. Nothing else goes out: no checkpoint, no notes."""

_SHARD = re.compile(r"(?:adapter_)?model-\d{5}-of-\d{5}\.safetensors")

RECORDS = (
    TRAINING_FILE,
    RESULTS_FILE,
    PROMPT_FILE,
    PROMPT_TEMPLATE_FILE,
    DESCRIBER_FILE,
    BIOGRAPHIES_FILE,
    CAPTIONS_FILE,
    CONFUSION_FILE,
    DISTRIBUTIONS_FILE,
)
"""What lies beside a model and says how it was made and how good it is; none of it quotes a corpus."""

_REPLACED = (
    "model",
    "adapter_",
    "tokenizer",
    f"{BASE_MODEL_FOLDER}/",
    "seeds",
    "config.json",
    PREDICTIONS_FILE,
    *RECORDS,
)
"""Beginnings of what an earlier publication left in the repository and this one takes out."""


def publish_model(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    licence: str | None = None,
    everybody_is_licensed: bool = False,
    speaker_names: bool = False,
) -> str:
    """Publish a run, so that a stranger loads it by its id and finds out how it was made.

    Model, tokenizer or processor, prompt, describer, the records of biographies, captions, training and results, the
    confusion matrix, and a card that is written anew go out in one commit. An adapter names its base model on the Hub;
    a base model that was built on the spot goes along.

    Args:
        folder: What a training wrote. Of a folder with several seeds the run that was best on the selection split is
            published, with the mean and standard deviation of all of them.
        repo_id: ``user/name``; it is made if need be.
        private: Whether a repository that is made now is private.
        licence: Of the model, as the Hub names it; None states none.
        everybody_is_licensed: Says that all who can read this private or gated repository hold the corpus's licence.
            Predictions, which have its labels, stay here without it where the licence asks for that.
        speaker_names: Publish the names of speakers of own recordings; otherwise they become numbers.

    Returns:
        The commit, 40 hexadecimal digits.

    Raises:
        PublishingError: If there is no finished run, its weights are not in safetensors, nobody else could find its
            base model, a file tells of this machine, or the Hub does not take the commit; nothing is published then.
        LicenceError: If the tokenizer was trained on texts that may not leave, or a repository that must be private has
            become public.
        EvaluationError: If the records beside the model do not belong together.

    Example:
        >>> publish_model("runs/cues", "me/demo-cues", licence="apache-2.0")  # doctest: +SKIP
        '0d1e5ad6cbd9c3d9a9a47b1e4b7bd4b3a4f0c3d2'
    """
    run = best_run(folder := Path(folder))
    _training_record(run)
    records = read_run(run)
    files = {**_model_files(run), **_records(run, folder)}
    restricted = repository(repo_id, "model", private=private)
    corpus, reasons = _corpus_of(records, run), []
    # Of a corpus that is not known, nothing may be passed on.
    free = corpus is not None and corpus.may_leave != "cues"
    may_leave = (restricted and everybody_is_licensed) or free
    name = corpus.name if corpus else "a corpus that is not known"
    if _tokenizer_is_of_texts(records.training) and not free:
        _check_tokenizer(name, may_leave=may_leave)
        reasons.append(f"the tokenizer is made of texts of {name}, whose licence does not let them out")
    predictions = own_file(run, PREDICTIONS_FILE)
    if predictions is not None and may_leave:
        files[predictions.name] = predictions
        reasons += [] if free else [f"{predictions.name} has labels of {name}, whose licence does not let them out"]
    elif predictions is not None:
        logger.info("%s stays here: the labels in it may not be passed on to everybody", predictions.name)
    mark = private_record(repo_id, "model", reasons, restricted=restricted)
    card = model_card(run, repo_id=repo_id, licence=licence, speaker_names=speaker_names, private=mark)
    with TemporaryDirectory(prefix="speechcue-publish-") as staging:
        files |= _staged(card, mark, records if speaker_names else without_speaker_names(records), Path(staging))
        if DESCRIBER_FILE in files and files[DESCRIBER_FILE].parent == Path(staging):
            files.pop(DISTRIBUTIONS_FILE, None)
        check_files(list(files.values()), folders=[run.parent])
        return commit_files(
            repo_id, "model", files, "Publish the model", replaces=_REPLACED, restricted=mark is not None
        )


def _staged(card: ModelCard, mark: PrivateRecord | None, records: RunRecords, staging: Path) -> dict[str, Path]:
    """What is written for the publication, and lies not beside the model."""
    (staging / CARD_FILE).write_text(str(card), encoding="utf-8")
    if mark is not None:
        write_record(mark, staging)
    if records.describer is not None and records.describer.named_sha256 is not None:
        write_record(records.describer, staging)
    return {path.name: path for path in staging.iterdir()}


def _training_record(run: Path) -> TrainingRecord:
    training = find_record(TrainingRecord, run)
    if training is None:
        raise PublishingError(
            f"{run} holds no {TRAINING_FILE}: publish what `speechcue train` or a recipe has finished"
        )
    return training


def _model_files(run: Path) -> dict[str, Path]:
    """What the model is loaded from: path in the repository → file here."""
    files = _files_of(run)
    if "adapter_config.json" not in files:
        return files
    base = read_json(run / "adapter_config.json", TrainingRecord.FIX).get("base_model_name_or_path")
    if not isinstance(base, str):
        raise PublishingError(f"{run.name}/adapter_config.json names no base_model_name_or_path: {TrainingRecord.FIX}")
    if base == BASE_MODEL_FOLDER and not leads_elsewhere(run / base):
        return files | {f"{base}/{name}": path for name, path in _files_of(run / base).items()}
    if base == BASE_MODEL_FOLDER or not HUB_ID.fullmatch(base):
        raise PublishingError(
            f"the base model of {run.name} is on this machine only, so nobody else could load the adapter: publish it "
            "first (`speechcue publish model` if this package trained it), and write its id on the Hub into "
            "adapter_config.json as base_model_name_or_path"
        )
    return files


def _files_of(folder: Path) -> dict[str, Path]:
    """The files of a model, each by its exact name."""
    names = [*WEIGHTS, *_parts(folder), *MODEL_FILES, *_own_code()]
    files = {name: path for name in names if (path := own_file(folder, name)) is not None}
    if not any(name.endswith(".safetensors") for name in files):
        raise PublishingError(
            f"{folder.name} holds no weights in safetensors, and pickles are not published: save the model again with "
            "model.save_pretrained(folder)"
        )
    return files


def _parts(folder: Path) -> list[str]:
    """The index of weights in parts, and the parts that it names."""
    found = []
    for name in WEIGHTS:
        if (index := own_file(folder, f"{name}.index.json")) is not None:
            places = read_json(index, TrainingRecord.FIX).get("weight_map")
            parts = sorted(set(map(str, places.values()))) if isinstance(places, dict) else []
            if wrong := [part for part in parts if not _SHARD.fullmatch(part)]:
                raise PublishingError(
                    f"{index} names a part {wrong[0][:60]!r}, which is no name of weights: save again"
                )
            if missing := [part for part in parts if own_file(folder, part) is None]:
                raise PublishingError(f"{index} names {missing[0]}, which is not there: save the model again")
            found += [index.name, *parts]
    return found


def _own_code() -> list[str]:
    """The modules of this package that transformers puts beside a model of its own kinds."""
    models = resources.files("speechcue_hf.models")
    return sorted(
        entry.name
        for kind in ("bioserc", "semollm")
        for entry in (models / kind).iterdir()
        if entry.name.endswith(f"_{kind}.py")
    )


def _records(run: Path, folder: Path) -> dict[str, Path]:
    """The records of the run, and of all seeds where there are several."""
    places = [(run, name) for name in RECORDS] + [(folder, name) for name in SEEDS_FILES if run != folder]
    return {name: path for place, name in places if (path := own_file(place, name)) is not None}


def _corpus_of(records: RunRecords, run: Path) -> Corpus | None:
    """The strictest corpus that was trained or evaluated on; some are known by what was predicted, too."""
    stated = [corpus for _, corpus in records.corpora]
    predictions = run / PREDICTIONS_FILE
    return corpus_of_run(stated, read_table(predictions) if predictions.is_file() else None)


def _tokenizer_is_of_texts(training: TrainingRecord) -> bool:
    """Whether the tokens of a model are pieces of its corpus, as those of a tiny one are."""
    part = {1: "qformer", 2: "language_model"}.get(training.stage or 0)
    return (training.base_model if part is None else (training.model or {}).get(part)) == TINY_MODEL


def _check_tokenizer(name: str, *, may_leave: bool) -> None:
    if not may_leave:
        raise LicenceError(
            f"the tokenizer of this tiny model was trained on texts of {name}, which may not be passed on: "
            "train on a base model of the Hub, or publish to a private or gated repository with --everybody-is-licensed"
        )
