"""Supervised fine-tuning of a chat model on a described dataset: the loss is on the label and the end token only."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from torch.utils.data import DataLoader
from transformers import AutoConfig, AutoModelForCausalLM, TrainerCallback, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import EvalLoopOutput
from trl import SFTTrainer, get_peft_config, get_quantization_config  # type: ignore[attr-defined]

from speechcue_hf.corpora.identity import identify, metadata_of
from speechcue_hf.errors import TrainingError
from speechcue_hf.inference.chat import ChatClassifier
from speechcue_hf.inference.questions import shown_by_prompt
from speechcue_hf.inference.settings import InferenceSettings
from speechcue_hf.models.base import TINY_MODEL, base_model_name, place_base_model
from speechcue_hf.models.loading import hub_commit, load_tokenizer
from speechcue_hf.models.tiny import one_thread
from speechcue_hf.models.token_tree import why_not_branching
from speechcue_hf.progress import progress
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts, label_names
from speechcue_hf.prompts.encoding import check_chat, encode_completion
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt
from speechcue_hf.provenance import NOT_KNOWN, Provenance
from speechcue_hf.records import read_json
from speechcue_hf.training.arguments import FineTuning, ModelSettings, TrainingSettings, check_settings
from speechcue_hf.training.label_loss import NO_LOSS, batches_of_dialogues, collate_rows, collate_trees, label_loss
from speechcue_hf.training.lower_states import keep_lower_states, upper_layers
from speechcue_hf.training.run import SelectingTrainer, check_run, check_splits, chosen_rows, train_and_record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

_ADAPTER = (
    *("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_modules_to_save"),
    "lora_first_layer",
)


@dataclass(frozen=True)
class TrainingInputs:
    """What a run trains on, in the splits ``train`` and ``validation``, and what made it.

    ``chosen`` are the rows as they came, ``rows`` their prompts and completions, ``encoded`` the labelled ones' tokens.
    """

    base: str
    commit: str | None
    tokenizer: PreTrainedTokenizerBase
    specification: PromptSpecification
    budget: TokenBudget
    names: list[str]
    chosen: DatasetDict
    rows: DatasetDict
    encoded: DatasetDict


class CueTrainer(SelectingTrainer, SFTTrainer):
    """TRL's trainer with the batches and the loss of :mod:`speechcue_hf.training.label_loss`.

    It selects by score, and writes no card: ``speechcue card`` writes it once, from the scores.
    """

    first_layer = 0
    """The first layer that batches run; those below it ran before."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Sum over the labels of a batch, by how many the optimiser's whole step has."""
        unwrapped: Any = self.model
        with upper_layers(unwrapped, self.first_layer):
            loss = label_loss(model, inputs, unwrapped.dtype, smoothing=self.args.label_smoothing_factor)
        if num_items_in_batch is None:
            num_items_in_batch = len(inputs["labels"]) - 1
        elif self.args.average_tokens_across_devices:
            # They are those of all processes, over which gradients are averaged.
            loss = loss * self.accelerator.num_processes
        loss = loss / num_items_in_batch
        return (loss, {}) if return_outputs else loss

    def evaluation_loop(self, dataloader: Any, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> Any:
        """Mean loss over all labels of the selection split, in every process alike, as the scores are."""
        model: Any = self.model
        rows: Any = self.eval_dataset
        batches: Any = DataLoader(rows, batch_size=self.args.per_device_eval_batch_size, collate_fn=self.data_collator)
        total, count = 0.0, 0
        model.eval()
        for batch in progress(batches, "Loss on the selection split", "batches"):
            with torch.inference_mode(), self.compute_loss_context_manager(), upper_layers(model, self.first_layer):
                total += float(label_loss(model, self._prepare_inputs(batch), model.dtype))
            count += len(batch["labels"]) - 1
        return EvalLoopOutput(np.empty(0), None, {f"{metric_key_prefix}_loss": total / count}, len(rows))


def fine_tune(
    dataset: DatasetDict,
    data: FineTuning,
    model: ModelSettings,
    training: TrainingSettings,
    *,
    provenance: Provenance = NOT_KNOWN,
) -> Path:
    """Fine-tune a chat model and write it with all that is needed to use and to judge it.

    Args:
        dataset: The described dataset, with the splits that ``data`` names.
        data: What is trained on.
        model: The base model and its adapter.
        training: How it is trained; ``output_dir`` is where the results go. Each epoch is scored on the selection
            split; ``metric_for_best_model`` says whether ``weighted_f1`` or the loss chooses.
        provenance: How the rows were made; its records are copied beside the model.

    Returns:
        The output folder: adapter or model, tokenizer, ``prompt.json`` with its template, ``describer.json``,
        ``biographies.json``, and ``training.json``, which records settings, seed, prompt, labels, row counts, losses,
        library versions, and as ``sees_future`` whether prompts or biographies saw turns after the one in question.

    Raises:
        TrainingError: If the test split is given for selection, a split is missing or empty, splits share utterances,
            the output folder holds an unfinished run and resuming was not asked for, or a row would be lost.
        PromptError: If the dataset does not fit the prompt, or the base model's chat template garbles it.
        ValueError: If a setting has no such value.

    Example:
        >>> fine_tune(described, FineTuning(), ModelSettings(), TrainingSettings(output_dir="runs/a"))  # doctest: +SKIP
        PosixPath('runs/a')
    """
    check_settings(data, model, training)
    check_splits(dataset, data)
    _check_settings(model, training)
    checkpoint = check_run(training)
    with training.main_process_first(desc="preparing model and rows"):
        inputs = prepare_inputs(dataset, data, model, training)
    trainer = _make_trainer(inputs, model, training, checkpoint)
    describe = partial(_describe, inputs, dataset, data, model, provenance)
    # A tiny model gains nothing from threads, and on busy cores waits for them: eight times the time of one.
    with one_thread() if model.model_name_or_path == TINY_MODEL else nullcontext():
        if training.world_size == 1:
            _announce(trainer)
        return train_and_record(trainer, checkpoint, describe)


def _check_settings(model: ModelSettings, training: TrainingSettings) -> None:
    """Refuse settings that would lose rows or cannot work here."""
    if training.max_length is not None or training.packing:
        raise TrainingError("max_length and packing cut rows off in silence: use token_budget, which shortens prompts")
    # Chunked, as earlier releases of TRL have it by default, it is the same loss.
    if training.loss_type not in ("nll", "chunked_nll") or training.use_liger_kernel or training.padding_free:
        raise TrainingError(
            "loss_type, use_liger_kernel and padding_free do not apply: the loss is on the label alone, and its logits "
            "are computed nowhere else. Leave them out"
        )
    learns_below = not model.use_peft or model.lora_first_layer == 0 or model.lora_modules_to_save
    if model.states is not None and learns_below:
        raise TrainingError(
            "states can be kept below layers with an adapter only: set lora_first_layer and leave lora_modules_to_save "
            "out, or leave states out"
        )


def prepare_inputs(
    dataset: DatasetDict, data: FineTuning, model: ModelSettings, training: TrainingSettings
) -> TrainingInputs:
    """Find the base model and turn the dataset into tokens; arguments and errors as for :func:`fine_tune`."""
    specification = load_prompt(data.prompt or "speechcue")
    chosen = chosen_rows(dataset, data, training.seed)
    names = label_names(chosen["train"].features)
    texts = _texts(chosen["train"], specification)
    base = place_base_model(str(model.model_name_or_path), Path(training.output_dir), texts, training.seed)
    commit = hub_commit(base, model.model_revision)
    tokenizer = load_tokenizer(base, commit)
    check_chat(tokenizer, specification.words(names))
    budget = TokenBudget(tokenizer, _token_limit(data.token_budget, base, commit))
    rows = build_prompts(chosen, specification, budget=budget)
    encoded = DatasetDict({split: encode_rows(part, tokenizer) for split, part in rows.items()})
    return TrainingInputs(base, commit, tokenizer, specification, budget, names, chosen, rows, encoded)


def encode_rows(rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset:
    """Prompt–completion rows as tokens with the loss on the completion; unlabelled rows, which have none, are left out.

    Args:
        rows: From :func:`speechcue_hf.prompts.build.build_prompts`.
        tokenizer: The model's tokenizer.

    Returns:
        ``input_ids``, ``labels`` (−100 where there is no loss) and ``length``, the tokens that are run, of every
        labelled row, in order.

    Raises:
        TrainingError: If no row is labelled.
        PromptError: If the chat template does not separate prompt and answer.
    """
    labelled = _labelled_places(rows)
    if not labelled:
        raise TrainingError("no row has a label: check the column emotion")
    return rows.select(labelled).map(
        _encode_row, fn_kwargs={"tokenizer": tokenizer}, remove_columns=rows.column_names, desc="Encoding rows"
    )


def _texts(dataset: Dataset, specification: PromptSpecification) -> Iterator[str]:
    """Prompts and answers, built only when somebody reads them."""
    yield from label_names(dataset.features)
    for messages in build_prompts(dataset, replace(specification, demonstrations=0))["prompt"]:
        yield from (message["content"] for message in messages)


def _encode_row(row: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    prompt, answer = encode_completion(tokenizer, row["prompt"], row["completion"])
    ids = prompt + answer
    return {"input_ids": ids, "labels": [NO_LOSS] * len(prompt) + answer, "length": len(ids) - 1}


def _labelled_places(rows: Dataset) -> list[int]:
    return [place for place, emotion in enumerate(rows["emotion"]) if emotion is not None]


def _token_limit(requested: int | None, base: str, commit: str | None) -> int:
    """The token budget: what is asked for, or as much as the model has positions for."""
    config = AutoConfig.from_pretrained(base, revision=commit or "main")
    context: int = config.get_text_config().max_position_embeddings
    if requested is not None and requested > context:
        raise TrainingError(f"token_budget is {requested}, but the model has {context} positions: ask for at most that")
    return context if requested is None else requested


def _describe(
    inputs: TrainingInputs,
    dataset: DatasetDict,
    data: FineTuning,
    model: ModelSettings,
    provenance: Provenance,
    output: Path,
) -> dict[str, Any]:
    """Put prompt, describer and biographies beside the model, and say what it was trained on."""
    inputs.specification.save(output)
    provenance.copy_beside(output)
    scopes = (scope for part in inputs.rows.values() for scope in part["biography_scope"])
    words = inputs.specification.words(inputs.names)
    template = check_chat(inputs.tokenizer, words)
    return {
        "base_model": base_model_name(str(model.model_name_or_path)),
        "base_model_revision": inputs.commit,
        "adapter": {name: getattr(model, name) for name in _ADAPTER} if model.use_peft else None,
        "quantised": bool(model.load_in_4bit or model.load_in_8bit),
        "labels": {"names": inputs.names, "words": list(words)},
        "corpus": metadata_of(identify(dataset)),
        "data_percent": data.data_percent,
        "rows": {split: _count_rows(rows) for split, rows in inputs.rows.items()},
        **provenance.shown,
        **shown_by_prompt(inputs.specification, inputs.budget.limit, scopes, template),
    }


def _count_rows(rows: Dataset) -> dict[str, int]:
    """Count the rows of a split, those without a label, and those whose prompt the token budget shortened."""
    return {
        "all": len(rows),
        "unlabelled": sum(emotion is None for emotion in rows["emotion"]),
        "shortened": sum(count > 0 for count in rows["turns_dropped"]),
    }


def _make_trainer(
    inputs: TrainingInputs, model: ModelSettings, training: TrainingSettings, checkpoint: str | None
) -> CueTrainer:
    # Before the adapter is made, so that its parameters follow the seed too; not every release of TRL sees to that.
    set_seed(training.seed)
    adapter: Any = get_peft_config(model)
    if adapter is not None:
        adapter.revision = inputs.commit
        adapter.layers_to_transform = _upper_layers_of(inputs, model.lora_first_layer)
    base = _load_base(inputs, model)
    shared = _shares_dialogues(base, inputs.specification, training, checkpoint)
    training.sharing = "dialogue" if shared else "none"
    training.dataset_kwargs = {"skip_prepare_dataset": True}
    if model.states is not None and not shared:
        raise TrainingError("states are kept for whole dialogues: set sharing to dialogue, or leave states out")
    rows = _batches(inputs, base, model, training) if shared else inputs.encoded
    trainer = CueTrainer(
        model=base,
        args=training,
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        data_collator=collate_trees if shared else collate_rows,
        processing_class=inputs.tokenizer,
        peft_config=adapter,
        callbacks=[_Sharing(training.sharing)],
    )
    trainer.first_layer = 0 if model.states is None else model.lora_first_layer
    selection = inputs.chosen["validation"]
    wanted = _labelled_places(selection)
    trainer.predictions = partial(_classifier(inputs, trainer.model).predict, selection, wanted)
    trainer.references = [selection["emotion"][place] for place in wanted]
    return trainer


def _upper_layers_of(inputs: TrainingInputs, first: int) -> list[int] | None:
    """The layers that get an adapter; None is all of them."""
    if first == 0:
        return None
    layers = (
        AutoConfig.from_pretrained(inputs.base, revision=inputs.commit or "main").get_text_config().num_hidden_layers
    )
    if first >= layers:
        raise TrainingError(f"lora_first_layer is {first}, and the model's {layers} layers are counted from 0")
    return list(range(first, layers))


def _load_base(inputs: TrainingInputs, model: ModelSettings) -> Any:
    """The base model, in single precision where there is no GPU."""
    if not torch.cuda.is_available():
        model = replace(model, dtype="float32")
    base = AutoModelForCausalLM.from_pretrained(
        inputs.base,
        revision=inputs.commit or "main",
        dtype=model.dtype,
        attn_implementation=model.attn_implementation,
        quantization_config=get_quantization_config(model),
    )
    # What is tied to the embeddings is in no checkpoint; the trainer would warn that it is missing from the best one.
    base._keys_to_ignore_on_save = [*(base._keys_to_ignore_on_save or ()), *base.all_tied_weights_keys]
    return base


class _Sharing(TrainerCallback, ExportableState):
    """Says in each checkpoint how batches are made, so that a run goes on as it began."""

    def __init__(self, sharing: str) -> None:
        self.sharing = sharing

    def state(self) -> dict[str, Any]:
        """What :func:`_began_with` reads."""
        return {"args": {"sharing": self.sharing}, "attributes": {}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take a place in the state of a run that was begun without it, which the trainer does not."""
        state.stateful_callbacks.setdefault(type(self).__name__, self.state())


def _began_with(checkpoint: str) -> str:
    """How the run of a checkpoint makes its batches: row by row if it does not say, as in version 0.1.0."""
    state = read_json(Path(checkpoint) / TRAINER_STATE_NAME, "go on from another checkpoint, or train anew")
    said = (state.get("stateful_callbacks") or {}).get(_Sharing.__name__) or {}
    return str(said.get("args", {}).get("sharing", "none"))


def _shares_dialogues(
    model: Any, specification: PromptSpecification, training: TrainingSettings, checkpoint: str | None
) -> bool:
    """Whether what the prompts of a dialogue have in common is run once."""
    if checkpoint is not None:
        began = _began_with(checkpoint)
        if training.sharing not in (None, began):
            raise TrainingError(f"the run began with sharing: {began}, and can only go on with it")
        return began == "dialogue"
    reason = why_not_branching(model)
    if training.sharing == "dialogue" and reason is not None:
        raise TrainingError(f"{reason}, so prompts cannot branch: set sharing to none")
    # Prompts that show only the last turns begin alike in short dialogues alone.
    whole = specification.history is None
    return training.sharing == "dialogue" or (training.sharing is None and reason is None and whole)


def _batches(
    inputs: TrainingInputs, base: Any, model: ModelSettings, training: TrainingSettings
) -> Mapping[str, Dataset]:
    """The labelled rows in batches of whole dialogues, with the states below the layers that learn if they are kept."""
    # Of the trainer's, whose batches are those of tokens.
    training.per_device_train_batch_size = training.per_device_eval_batch_size = 1
    # Seeds share states that are kept, so that they share their batches too.
    seed = training.seed if model.states is None else 0
    batches = {}
    for split, rows in inputs.rows.items():
        dialogues = rows.select(_labelled_places(rows))["dialogue_id"]
        batches[split] = batches_of_dialogues(inputs.encoded[split], dialogues, training.tokens_per_batch, seed)
    if model.states is None:
        return batches
    # The trainer does not know what states are.
    training.remove_unused_columns = False
    with training.main_process_first(desc="keeping states"):
        return keep_lower_states(batches, base, model.lora_first_layer, Path(model.states))


def _announce(trainer: CueTrainer) -> None:
    """Say what time and memory the training will take, by its largest batch, which runs once and changes nothing."""
    training, model, rows = trainer.args, cast(Any, trainer.model), cast(Any, trainer.train_dataset)
    lengths: list[int] = rows["length"][:]
    largest = sorted(range(len(lengths)), key=lambda place: -lengths[place])[: training.per_device_train_batch_size]
    batch = trainer._prepare_inputs(trainer.data_collator([rows[place] for place in largest]))
    start = time.perf_counter()
    with torch.random.fork_rng(), trainer.compute_loss_context_manager():
        model.train()
        trainer.compute_loss(model, batch).backward()
    seconds = time.perf_counter() - start
    model.zero_grad()
    tokens = sum(lengths[place] for place in largest)
    logger.info(
        "Training: %s tokens an epoch. The largest batch, %s tokens, took %.1f s and %.1f GB with all that is loaded; "
        "at that rate an epoch takes about %.1f min",
        f"{sum(lengths):,}",
        f"{tokens:,}",
        seconds,
        _peak_memory() / 1e9,
        seconds / tokens * sum(lengths) / 60,
    )


def _peak_memory() -> int:
    """Most bytes that were held so far: of the GPU where there is one, of this process where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _classifier(inputs: TrainingInputs, network: Any) -> ChatClassifier:
    """The model in training as it will be evaluated; each prompt runs by itself where prompts cannot branch."""
    settings = InferenceSettings(sharing="prefix" if why_not_branching(network) is None else "none")
    names, budget = tuple(inputs.names), inputs.budget.limit
    return ChatClassifier(
        network, inputs.tokenizer, inputs.specification, names, budget, inputs.chosen["train"], settings
    )
