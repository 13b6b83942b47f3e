"""Runs go to the Hub: a model with all that says how it was made, checked by licence and for traces, in one commit."""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from speechcue_hf.corpora.catalogue import Corpus, corpus_of_ids, find_corpus
from speechcue_hf.errors import LicenceError, PublishingError
from speechcue_hf.hub.card import model_card
from speechcue_hf.hub.scan import check_files
from speechcue_hf.hub.upload import commit_files, repository
from speechcue_hf.models.base import HUB_ID, TINY_MODEL
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
    SEEDS_FILE,
    TRAINING_FILE,
    SeedsRecord,
    TrainingRecord,
    find_record,
    read_json,
    read_record,
)

logger = logging.getLogger(__name__)

MODEL_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "chat_template.jinja",
    "preprocessor_config.json",
    "processor_config.json",
    "*_bioserc.py",
    "*_semollm.py",
)
"""What a model is loaded from. Nothing else goes out: no checkpoint, no optimizer, no pickle, nobody's notes."""

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

    Returns:
        The commit, 40 hexadecimal digits.

    Raises:
        PublishingError: If there is no finished run, its weights are not in safetensors, nobody else could find its
            base model, a file tells of this machine, or the Hub does not take the commit; nothing is published then.
        LicenceError: If the tokenizer was trained on texts that may not leave.
        EvaluationError: If the records beside the model do not belong together.

    Example:
        >>> publish_model("runs/cues", "me/demo-cues", licence="apache-2.0")  # doctest: +SKIP
        '0d1e5ad6cbd9c3d9a9a47b1e4b7bd4b3a4f0c3d2'
    """
    run = _best_run(folder := Path(folder))
    training = _training_record(run)
    files = {**_model_files(run), **_records(run, folder)}
    card = model_card(run, repo_id=repo_id, licence=licence)
    restricted = repository(repo_id, "model", private=private)
    corpus = _corpus_of(training, run)
    # Of a corpus that is not known, nothing may be passed on.
    free = corpus is not None and corpus.may_leave == "everything"
    may_leave = (restricted and everybody_is_licensed) or free
    _check_tokenizer(training, corpus, may_leave=may_leave)
    predictions = run / PREDICTIONS_FILE
    if predictions.is_file() and may_leave:
        files[predictions.name] = predictions
    elif predictions.is_file():
        logger.info("%s stays here: the labels in it may not be passed on to everybody", predictions.name)
    with TemporaryDirectory(prefix="speechcue-publish-") as staging:
        files[CARD_FILE] = Path(staging) / CARD_FILE
        files[CARD_FILE].write_text(str(card), encoding="utf-8")
        check_files(list(files.values()), folders=[run.parent])
        return commit_files(repo_id, "model", files, "Publish the model", replaces=_REPLACED)


def _best_run(folder: Path) -> Path:
    """Choose the run that is published."""
    if not (folder / SEEDS_FILE).is_file():
        return folder
    runs = [folder / f"seed-{seed}" for seed in read_record(SeedsRecord, folder).seeds]
    best = min(runs, key=lambda run: _selection_loss(_training_record(run)))
    logger.info("%s was best on the selection split and is published", best.name)
    return best


def _selection_loss(training: TrainingRecord) -> float:
    """What chose the best step of a run, as a number of which less is better."""
    metric = str(training.settings["metric_for_best_model"] or "loss").removeprefix("eval_")
    score: float = training.best[f"eval_{metric}"]
    return score if metric == "loss" else -score


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
    base = str(read_json(run / "adapter_config.json", TrainingRecord.FIX)["base_model_name_or_path"])
    if base == BASE_MODEL_FOLDER and not (run / base).is_symlink():
        return files | {f"{base}/{name}": path for name, path in _files_of(run / base).items()}
    if base == BASE_MODEL_FOLDER or not HUB_ID.fullmatch(base):
        raise PublishingError(
            f"the base model of {run.name} is on this machine only, so nobody else could load the adapter: publish it "
            "first (`speechcue publish model` if this package trained it), and write its id on the Hub into "
            "adapter_config.json as base_model_name_or_path"
        )
    return files


def _files_of(folder: Path) -> dict[str, Path]:
    files = {path.name: path for pattern in MODEL_FILES for path in sorted(folder.glob(pattern)) if path.is_file()}
    if not any(name.endswith(".safetensors") for name in files):
        raise PublishingError(
            f"{folder.name} holds no weights in safetensors, and pickles are not published: save the model again with "
            "model.save_pretrained(folder)"
        )
    return files


def _records(run: Path, folder: Path) -> dict[str, Path]:
    """The records of the run, and of all seeds where there are several."""
    of_seeds = [] if run == folder else sorted(folder.glob("seeds*.json"))
    return {path.name: path for path in (*(run / name for name in RECORDS), *of_seeds) if path.is_file()}


def _corpus_of(training: TrainingRecord, run: Path) -> Corpus | None:
    """The corpus that was trained on; some are known by the ids of what was predicted, too."""
    predictions, known = run / PREDICTIONS_FILE, None
    if predictions.is_file():
        known = corpus_of_ids(pq.read_table(predictions, columns=["utterance_id"])["utterance_id"].to_pylist())
    return known or find_corpus((training.corpus or {}).get("name"))


def _check_tokenizer(training: TrainingRecord, corpus: Corpus | None, *, may_leave: bool) -> None:
    """Refuse the tokenizer of a tiny model, whose tokens are pieces of the corpus, where those may not leave."""
    part = {1: "qformer", 2: "language_model"}.get(training.stage or 0)
    made_of = training.base_model if part is None else (training.model or {})[part]
    if made_of == TINY_MODEL and not may_leave:
        name = corpus.name if corpus else "an unknown corpus"
        raise LicenceError(
            f"the tokenizer of this tiny model was trained on texts of {name}, which may not be passed on: "
            "train on a base model of the Hub, or publish to a private or gated repository with --everybody-is-licensed"
        )
