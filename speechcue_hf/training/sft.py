"""Supervised fine-tuning of a chat model on a described dataset: the loss is on the label and the end token only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset, DatasetDict
from transformers import AutoConfig, AutoModelForCausalLM, PrinterCallback, set_seed
from trl import SFTTrainer, get_peft_config, get_quantization_config  # type: ignore[attr-defined]

from speechcue_hf.corpora.identity import identify
from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.corpora.subset import share_of
from speechcue_hf.errors import TrainingError
from speechcue_hf.filenames import BIOGRAPHIES_FILE, DESCRIBER_FILE, TRAINING_FILE
from speechcue_hf.models.base import TINY_MODEL, place_base_model
from speechcue_hf.models.loading import hub_commit, load_tokenizer
from speechcue_hf.models.tiny import one_thread
from speechcue_hf.prompts.biographies import biography_record
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts, label_names
from speechcue_hf.prompts.encoding import encode_completion
from speechcue_hf.prompts.future import future_record
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt
from speechcue_hf.training.arguments import FineTuning, ModelSettings, TrainingSettings
from speechcue_hf.training.checks import check_settings, check_splits, find_checkpoint
from speechcue_hf.training.publishing import Publish, check_quiet, train_and_publish
from speechcue_hf.training.record import count_rows, keep_beside, sha256_of, training_record, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


Judge = Callable[["PreTrainedModel", "PreTrainedTokenizerBase", Dataset, Sequence[str]], Mapping[str, float]]
"""Scores a model: given model, tokenizer, labelled prompt–completion rows and label words, it returns scores by name.
Evaluation comes after training, so whoever starts a run hands the judge over."""


@dataclass(frozen=True)
class TrainingInputs:
    """What a run trains on.

    Args:
        base: Hub id or folder of the base model.
        commit: Where it is on the Hub; None for a folder.
        tokenizer: Its tokenizer.
        specification: The prompt.
        budget: The token budget that prompts were shortened to.
        names: Label names, in the order of their class ids.
        rows: Prompt–completion rows, splits ``train`` and ``validation``.
        encoded: The labelled ones of them as tokens.
        future: What the prompts have of later turns, as :func:`speechcue_hf.prompts.future.future_record` says it.
    """

    base: str
    commit: str | None
    tokenizer: PreTrainedTokenizerBase
    specification: PromptSpecification
    budget: TokenBudget
    names: list[str]
    rows: DatasetDict
    encoded: DatasetDict
    future: Mapping[str, Any]

    @property
    def words(self) -> tuple[str, ...]:
        """Label words, in the order of their class ids."""
        return self.specification.words(self.names)


class CueTrainer(SFTTrainer):
    """TRL's trainer that also asks a judge, and writes no card: ``speechcue card`` writes it once, from the scores."""

    judge: Callable[[], Mapping[str, float]] | None = None

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing."""

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Loss on the selection split, and the judge's scores as ``eval_<name>``."""
        metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        if self.judge is not None:
            scores = {f"eval_{name}": score for name, score in self.judge().items()}
            self.log(dict(scores))
            metrics |= scores
        return metrics


def train_recipe(
    data: FineTuning,
    model: ModelSettings,
    training: TrainingSettings,
    judge: Judge | None = None,
    publish: Publish | None = None,
) -> Path:
    """Fine-tune on the dataset folder that a recipe names, once or with several seeds.

    Args:
        data: What is trained on; ``dataset`` must be set.
        model: The base model and its adapter.
        training: How it is trained.
        judge: Scores each epoch on the selection split.
        publish: Publishes the finished run, if the recipe says ``push_to_hub``.

    Returns:
        The output folder. With ``seeds`` it holds a folder for each, ``seed-1`` and so on, and ``seeds.json`` with mean
        and standard deviation of their scores on the selection split.

    Raises:
        TrainingError: If no dataset is named, or as :func:`fine_tune` says.
        CorpusError: If the folder holds no dataset.
    """
    if data.dataset is None:
        raise TrainingError("no dataset is named: pass --dataset with the folder that `speechcue describe` wrote")
    folder = Path(data.dataset)
    dataset = read_dataset(folder)
    describer, biographies = (
        folder / name if (folder / name).is_file() else None for name in (DESCRIBER_FILE, BIOGRAPHIES_FILE)
    )
    run = partial(fine_tune, dataset, data, model, describer=describer, biographies=biographies, judge=judge)
    return train_and_publish(run, data.seeds, training, publish)


def fine_tune(
    dataset: DatasetDict,
    data: FineTuning,
    model: ModelSettings,
    training: TrainingSettings,
    *,
    describer: Path | None = None,
    biographies: Path | None = None,
    judge: Judge | None = None,
) -> Path:
    """Fine-tune a chat model and write it with all that is needed to use and to judge it.

    Args:
        dataset: The described dataset, with the splits that ``data`` names.
        data: What is trained on.
        model: The base model and its adapter.
        training: How it is trained; ``output_dir`` is where the results go.
        describer: The describer's file, if there is one; it is copied beside the model.
        biographies: The record of the dataset's biographies, if there is one; it is copied as well.
        judge: Scores each epoch on the selection split; without one the loss chooses.

    Returns:
        The output folder: adapter or model, tokenizer, ``prompt.json`` with its template, ``describer.json``,
        ``biographies.json``, and ``training.json``, which records settings, seed, prompt, labels, row counts, losses,
        library versions, and as ``sees_future`` whether prompts or biographies saw turns after the one in question.

    Raises:
        TrainingError: If the test split is given for selection, a split is missing or empty, splits share utterances,
            the output folder holds an unfinished run and resuming was not asked for, or a row would be lost.
        PromptError: If the dataset does not fit the prompt.

    Example:
        >>> fine_tune(described, FineTuning(), ModelSettings(), TrainingSettings(output_dir="runs/a"))  # doctest: +SKIP
        PosixPath('runs/a')
    """
    check_splits(dataset, data)
    check_settings(model, training, judged=judge is not None)
    check_quiet(training)
    checkpoint = find_checkpoint(training)
    with training.main_process_first(desc="preparing model and rows"):
        inputs = prepare_inputs(dataset, data, model, training)
    trainer = _make_trainer(inputs, model, training, judge)
    # A tiny model gains nothing from threads, and on busy cores waits for them: eight times the time of one.
    with one_thread() if model.model_name_or_path == TINY_MODEL else nullcontext():
        trainer.train(resume_from_checkpoint=checkpoint)
    output = Path(training.output_dir)
    trainer.save_model(str(output))
    if trainer.is_world_process_zero():
        inputs.specification.save(output)
        keep_beside(output, describer, biographies)
        identity = identify(dataset)
        record = training_record(trainer, model, training) | _inputs_record(inputs, data)
        record |= {"describer_sha256": sha256_of(describer), **biography_record(biographies)}
        record["corpus"] = identity and identity.facts
        write_json(record, output / TRAINING_FILE)
    trainer.accelerator.wait_for_everyone()
    return output


def prepare_inputs(
    dataset: DatasetDict, data: FineTuning, model: ModelSettings, training: TrainingSettings
) -> TrainingInputs:
    """Find the base model and turn the dataset into tokens.

    Arguments and errors as for :func:`fine_tune`.

    Returns:
        What the run trains on.
    """
    specification = load_prompt(data.prompt or "speechcue")
    train = share_of(dataset[data.train_split], data.data_percent, training.seed)
    chosen = DatasetDict(train=train, validation=dataset[data.selection_split])
    names = label_names(train.features)
    texts = _texts(train, specification)
    base = place_base_model(str(model.model_name_or_path), Path(training.output_dir), texts, training.seed)
    commit = hub_commit(base, model.model_revision)
    tokenizer = load_tokenizer(base, commit)
    budget = TokenBudget(tokenizer, _token_limit(data.token_budget, _context(base, commit)))
    rows = build_prompts(chosen, specification, budget=budget)
    encoded = DatasetDict({split: encode_rows(part, tokenizer) for split, part in rows.items()})
    future = future_record(specification, (scope for part in rows.values() for scope in part["biography_scope"]))
    return TrainingInputs(base, commit, tokenizer, specification, budget, names, rows, encoded, future)


def encode_rows(rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset:
    """Prompt–completion rows as tokens with the loss on the completion; unlabelled rows, which have none, are left out.

    Args:
        rows: From :func:`speechcue_hf.prompts.build.build_prompts`.
        tokenizer: The model's tokenizer.

    Returns:
        ``input_ids`` and ``labels`` (−100 where there is no loss) of every labelled row, in order.

    Raises:
        TrainingError: If no row is labelled.
        PromptError: If the chat template does not separate prompt and answer.
    """
    labelled = _labelled(rows)
    if len(labelled) == 0:
        raise TrainingError("no row has a label: check the column emotion")
    return labelled.map(
        _encode_row, fn_kwargs={"tokenizer": tokenizer}, remove_columns=rows.column_names, desc="Encoding rows"
    )


def _texts(dataset: Dataset, specification: PromptSpecification) -> Iterator[str]:
    """Prompts and answers, built only when somebody reads them."""
    yield from label_names(dataset.features)
    for messages in build_prompts(dataset, replace(specification, demonstrations=0))["prompt"]:
        yield from (message["content"] for message in messages)


def _encode_row(row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    prompt, answer = encode_completion(tokenizer, row["prompt"], row["completion"])
    return {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}


def _labelled(rows: Dataset) -> Dataset:
    return rows.select([index for index, emotion in enumerate(rows["emotion"]) if emotion is not None])


def _context(base: str, commit: str | None) -> int:
    """Most tokens that the model has positions for."""
    positions: int = (
        AutoConfig.from_pretrained(base, revision=commit or "main").get_text_config().max_position_embeddings
    )
    return positions


def _token_limit(asked: int | None, context: int) -> int:
    """The token budget: what is asked for, or as much as the model can take."""
    if asked is not None and asked > context:
        raise TrainingError(f"token_budget is {asked}, but the model has {context} positions: ask for at most that")
    return context if asked is None else asked


def _make_trainer(
    inputs: TrainingInputs, model: ModelSettings, training: TrainingSettings, judge: Judge | None
) -> CueTrainer:
    # Before the adapter is made, so that its parameters follow the seed too; not every release of TRL sees to that.
    set_seed(training.seed)
    adapter = get_peft_config(model)
    if adapter is not None:
        adapter.revision = inputs.commit
    trainer = CueTrainer(
        model=_load_base(inputs, model),
        args=training,
        train_dataset=inputs.encoded["train"],
        eval_dataset=inputs.encoded["validation"],
        processing_class=inputs.tokenizer,
        peft_config=adapter,
    )
    # What stands for the bar where bars are off prints raw numbers among our lines; training.json has them.
    trainer.remove_callback(PrinterCallback)
    network: Any = trainer.model
    if model.use_peft:
        # PEFT writes a card with every checkpoint, which names the base model by its path on this machine.
        network.create_or_update_model_card = lambda folder: None
    _check_row_count(trainer, inputs.encoded)
    if judge is not None:
        rows = _labelled(inputs.rows["validation"])
        trainer.judge = partial(judge, network, inputs.tokenizer, rows, inputs.words)
    return trainer


def _check_row_count(trainer: CueTrainer, encoded: DatasetDict) -> None:
    """Refuse a trainer that has left rows out, as TRL's truncation does without a word."""
    taken: dict[str, Any] = {"train": trainer.train_dataset, "validation": trainer.eval_dataset}
    for split, rows in taken.items():
        if len(rows) != len(encoded[split]):
            raise TrainingError(f"the trainer took {len(rows)} of {len(encoded[split])} rows of {split}")


def _load_base(inputs: TrainingInputs, model: ModelSettings) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        inputs.base,
        revision=inputs.commit or "main",
        dtype=model.dtype if torch.cuda.is_available() else "float32",
        attn_implementation=model.attn_implementation,
        quantization_config=get_quantization_config(model),
    )


def _inputs_record(inputs: TrainingInputs, data: FineTuning) -> dict[str, Any]:
    return {
        "base_model_revision": inputs.commit,
        "prompt": {"name": inputs.specification.name, "sha256": inputs.specification.fingerprint},
        "labels": {"names": inputs.names, "words": inputs.words},
        **inputs.future,
        "token_budget": inputs.budget.limit,
        "data_percent": data.data_percent,
        "rows": {split: count_rows(rows) for split, rows in inputs.rows.items()},
    }
