"""Supervised fine-tuning of a chat model on a described dataset: the loss is on the label and the end token only."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset, DatasetDict
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.trainer_utils import get_last_checkpoint
from trl import SFTTrainer, get_peft_config, get_quantization_config  # type: ignore[attr-defined]

from speechcue_hf import __version__
from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.errors import TrainingError
from speechcue_hf.models.loading import BASE_MODEL_FOLDER, load_tokenizer
from speechcue_hf.models.tiny import build_tiny_model
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.encoding import encode_completion
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt
from speechcue_hf.training.arguments import TINY_MODEL, FineTuning, ModelSettings, TrainingSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

RECORD_FILE = "training.json"
"""Name under which a run keeps what it was made from and how."""

DESCRIBER_FILE = "describer.json"

_RECORDED_SETTINGS = (
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "lr_scheduler_type",
    "warmup_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "optim",
    "adam_beta1",
    "adam_beta2",
    "weight_decay",
    "max_grad_norm",
    "bf16",
    "metric_for_best_model",
)
_RECORDED_ADAPTER = ("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_modules_to_save")


class CueTrainer(SFTTrainer):
    """TRL's trainer without its cards: the card of a run is written once, from its scores, by ``speechcue card``."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing."""


def train_recipe(data: FineTuning, model: ModelSettings, training: TrainingSettings) -> Path:
    """Fine-tune on the dataset folder that a recipe names.

    Args:
        data: What is trained on; ``dataset`` must be set.
        model: The base model and its adapter.
        training: How it is trained.

    Returns:
        The output folder.

    Raises:
        TrainingError: If no dataset is named, or as :func:`fine_tune` says.
        CorpusError: If the folder holds no dataset.
    """
    if data.dataset is None:
        raise TrainingError("no dataset is named: pass --dataset with the folder that `speechcue describe` wrote")
    folder = Path(data.dataset)
    describer = folder / DESCRIBER_FILE
    return fine_tune(read_dataset(folder), data, model, training, describer if describer.is_file() else None)


def fine_tune(
    dataset: DatasetDict,
    data: FineTuning,
    model: ModelSettings,
    training: TrainingSettings,
    describer: Path | None = None,
) -> Path:
    """Fine-tune a chat model and write it with all that is needed to use and to judge it.

    Args:
        dataset: The described dataset, with the splits that ``data`` names.
        data: What is trained on.
        model: The base model and its adapter.
        training: How it is trained; ``output_dir`` is where the results go.
        describer: The describer's file, if there is one; it is copied beside the model.

    Returns:
        The output folder: adapter or model, tokenizer, ``prompt.json`` with its template, ``describer.json``, and
        ``training.json``, which records settings, seed, prompt, labels, row counts, losses and library versions.

    Raises:
        TrainingError: If the test split is given for selection, a split is missing or empty, splits share utterances,
            the output folder holds an unfinished run and resuming was not asked for, or a row would be lost.
        PromptError: If the dataset does not fit the prompt.
    """
    _check_splits(dataset, data)
    _check_settings(model, training)
    specification = load_prompt(data.prompt or "speechcue")
    output = Path(training.output_dir)
    checkpoint = _checkpoint(training)
    chosen = DatasetDict(train=dataset[data.train_split], validation=dataset[data.selection_split])
    with training.main_process_first(desc="preparing model and rows"):
        base = _base_model(str(model.model_name_or_path), build_prompts(chosen, specification), output, training)
        tokenizer = load_tokenizer(base)
        budget = TokenBudget(tokenizer, data.token_budget or _context(base))
        rows = build_prompts(chosen, specification, budget=budget)
        encoded = DatasetDict({split: encode_rows(part, tokenizer) for split, part in rows.items()})
    trainer = CueTrainer(
        model=_load_base(base, model),
        args=training,
        train_dataset=encoded["train"],
        eval_dataset=encoded["validation"],
        processing_class=tokenizer,
        peft_config=get_peft_config(model),
    )
    _check_row_count(trainer, encoded)
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model(str(output))
    if trainer.is_world_process_zero():
        _keep_beside(output, base, specification, describer)
        names = dataset[data.train_split].features["emotion"].names
        record = {
            **_record(trainer, model, training),
            "prompt": {"name": specification.name, "sha256": specification.fingerprint},
            "labels": {"names": names, "words": specification.words(names)},
            "describer_sha256": None if describer is None else hashlib.sha256(describer.read_bytes()).hexdigest(),
            "token_budget": budget.limit,
            "rows": {split: _counts(rows[split]) for split in rows},
        }
        (output / RECORD_FILE).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    trainer.accelerator.wait_for_everyone()
    return output


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
    labelled = [index for index, emotion in enumerate(rows["emotion"]) if emotion is not None]
    if not labelled:
        raise TrainingError("no row has a label: check the column emotion")
    return rows.select(labelled).map(
        _encode_row, fn_kwargs={"tokenizer": tokenizer}, remove_columns=rows.column_names, desc="Encoding rows"
    )


def _encode_row(row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    prompt, answer = encode_completion(tokenizer, row["prompt"], row["completion"])
    return {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}


def _check_splits(dataset: DatasetDict, data: FineTuning) -> None:
    if data.selection_split == "test":
        raise TrainingError(
            "the test split must not choose the best epoch: its score would no longer say how the model does on unseen "
            "dialogues. Choose on validation, and report on test once"
        )
    for split in (data.train_split, data.selection_split):
        if split not in dataset or len(dataset[split]) == 0:
            raise TrainingError(f"the dataset has no rows of split {split!r}, it has {sorted(dataset)}")
    seen: dict[str, str] = {}
    for split in (data.train_split, data.selection_split, "test"):
        for utterance in dataset[split]["utterance_id"] if split in dataset else ():
            if seen.setdefault(utterance, split) != split:
                raise TrainingError(
                    f"utterance {utterance!r} is in {seen[utterance]!r} and in {split!r}: splits must not share rows"
                )


def _check_settings(model: ModelSettings, training: TrainingSettings) -> None:
    if training.max_length is not None or training.packing:
        raise TrainingError("max_length and packing cut rows off in silence: use token_budget, which shortens prompts")
    if (model.load_in_4bit or model.load_in_8bit) and not torch.cuda.is_available():
        raise TrainingError("a quantised base model needs a CUDA GPU: leave out load_in_4bit and load_in_8bit")


def _checkpoint(training: TrainingSettings) -> str | None:
    """The checkpoint to resume from; a folder that holds one is not trained over unless told so."""
    output = Path(training.output_dir)
    last = get_last_checkpoint(str(output)) if output.is_dir() else None  # type: ignore[no-untyped-call]
    wanted = training.resume_from_checkpoint
    if str(wanted).lower() == "true":
        return last
    if wanted is None and last is not None:
        raise TrainingError(
            f"{output.name} already holds {Path(last).name} of an earlier run: go on with it by "
            "--resume_from_checkpoint true, or give another --output_dir"
        )
    return wanted


def _base_model(name: str, rows: DatasetDict, output: Path, training: TrainingSettings) -> str:
    """Path or Hub id of the base model; one that is not on the Hub is to be found beside the adapter."""
    beside = output / BASE_MODEL_FOLDER
    if name != TINY_MODEL and not Path(name).is_dir():
        return name
    if training.process_index == 0 and not beside.exists():
        output.mkdir(parents=True, exist_ok=True)
        if name == TINY_MODEL:
            _save_tiny_model(rows["train"], beside, training.seed)
        else:
            beside.symlink_to(Path(name).resolve(), target_is_directory=True)
    return str(beside)


def _save_tiny_model(rows: Dataset, folder: Path, seed: int) -> None:
    texts = [messages[0]["content"] for messages in rows["prompt"]]
    tiny, tokenizer = build_tiny_model([*texts, *rows.features["emotion"].names], seed=seed)
    tiny.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _context(base: str) -> int:
    """Most tokens that the model has positions for."""
    positions: int = AutoConfig.from_pretrained(base).get_text_config().max_position_embeddings
    return positions


def _load_base(base: str, model: ModelSettings) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        base,
        revision=model.model_revision,
        dtype=model.dtype if torch.cuda.is_available() else "float32",
        attn_implementation=model.attn_implementation,
        quantization_config=get_quantization_config(model),
    )


def _check_row_count(trainer: CueTrainer, encoded: DatasetDict) -> None:
    taken: dict[str, Any] = {"train": trainer.train_dataset, "validation": trainer.eval_dataset}
    for name, given in taken.items():
        if len(given) != len(encoded[name]):
            raise TrainingError(f"the trainer took {len(given)} of {len(encoded[name])} rows of {name}")


def _keep_beside(output: Path, base: str, specification: PromptSpecification, describer: Path | None) -> None:
    """Put prompt and describer beside the model, and take out what would tell of this machine."""
    specification.save(output)
    if describer is not None:
        shutil.copyfile(describer, output / DESCRIBER_FILE)
    (output / "training_args.bin").unlink(missing_ok=True)
    for card in output.rglob("README.md"):
        card.unlink()
    if Path(base) == output / BASE_MODEL_FOLDER:
        for path in output.rglob("adapter_config.json"):
            settings = json.loads(path.read_text(encoding="utf-8"))
            path.write_text(json.dumps(settings | {"base_model_name_or_path": BASE_MODEL_FOLDER}, indent=2))


def _counts(rows: Dataset) -> dict[str, int]:
    return {
        "all": len(rows),
        "unlabelled": sum(emotion is None for emotion in rows["emotion"]),
        "shortened": sum(count > 0 for count in rows["turns_dropped"]),
    }


def _record(trainer: CueTrainer, model: ModelSettings, training: TrainingSettings) -> dict[str, Any]:
    """What was trained and how it went, without paths."""
    adapter = {name: getattr(model, name) for name in _RECORDED_ADAPTER} if model.use_peft else None
    return {
        "base_model": Path(str(model.model_name_or_path)).name
        if Path(str(model.model_name_or_path)).is_dir()
        else model.model_name_or_path,
        "seed": training.seed,
        "adapter": adapter,
        "quantised": bool(model.load_in_4bit or model.load_in_8bit),
        "settings": {name: getattr(training, name) for name in _RECORDED_SETTINGS},
        "processes": training.world_size,
        "parameters": _parameters(trainer.model),
        "steps": trainer.state.global_step,
        "best": {"step": trainer.state.best_global_step, training.metric_for_best_model: trainer.state.best_metric},
        "log": _losses(trainer.state.log_history),
        "versions": {
            "python": platform.python_version(),
            "speechcue_hf": __version__,
            **{name: version(name) for name in ("torch", "transformers", "trl", "peft", "datasets", "accelerate")},
        },
    }


def _parameters(model: Any) -> dict[str, int]:
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return {"all": sum(size for size, _ in sizes), "trained": sum(size for size, trained in sizes if trained)}


def _losses(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    kept = ("epoch", "step", "loss", "eval_loss", "learning_rate")
    lines = [{name: entry[name] for name in kept if name in entry} for entry in history]
    return [line for line in lines if "loss" in line or "eval_loss" in line]
