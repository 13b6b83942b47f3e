"""``speechcue evaluate``: score a model, or predictions made before, on a split."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from datasets import Dataset

from speechcue_hf.corpora.identity import read_identity
from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.report import write_report
from speechcue_hf.evaluation.runs import biographies_of, describer_sha256, model_type, prompt_beside, read_record
from speechcue_hf.filenames import CONFUSION_FILE, DESCRIBER_FILE, RESULTS_FILE, SEEDS_FILE, TRAINING_FILE
from speechcue_hf.models.loading import find_beside, hub_commit
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt

EXAMPLES = """examples:
  speechcue evaluate --dataset data/described --model runs/demo --split test -o runs/demo
  speechcue evaluate --dataset data/described --model Qwen/Qwen3-0.6B --prompt speechcuellm -o runs/zero-shot
  speechcue evaluate --dataset data/described --model Qwen/Qwen3-0.6B -o runs/few-shot \\
      --prompt '{"extends": "speechcue", "demonstrations": 6}'
  speechcue evaluate --dataset data/described --model runs/demo --decode generate -o runs/demo-generated
  speechcue evaluate --dataset data/described --model runs/stage3 --audio data/demo --explain -o runs/stage3
  speechcue evaluate --predictions old.csv --matching instructerc --labels happy,sad,neutral,angry,excited,frustrated \\
      -o runs/old
"""


METRICS = ("weighted_f1", "macro_f1", "accuracy", "unweighted_accuracy")
"""Of which mean and standard deviation over seeds are told."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help="model or adapter: a folder, or an id on the Hub")
    source.add_argument("--predictions", type=Path, help="predictions made before: .parquet, .csv or .jsonl")
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument(
        "--dataset",
        type=Path,
        help="folder that `speechcue describe` wrote; with --predictions it only names the corpus",
    )
    parser.add_argument(
        "--audio", type=Path, help="for a model that hears: the clips, as `speechcue prepare` wrote them"
    )
    parser.add_argument("--explain", action="store_true", help="let it explain each clip, and judge what it states")
    parser.add_argument(
        "--bertscore",
        nargs=2,
        metavar=("MODEL", "LAYER"),
        help="with --explain: BERTScore against captions by template, by this encoder (roberta-large 17 in the paper)",
    )
    parser.add_argument("--split", default="test", help="split that is scored (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for results, predictions and picture")
    parser.add_argument(
        "--prompt", help="preset, prompt file or settings as JSON (default: the one beside the model, else speechcue)"
    )
    parser.add_argument("--token-budget", type=int, help="most tokens of prompt and answer (default: as in training)")
    parser.add_argument("--decode", choices=("score", "generate"), default="score", help="how answers are read")
    parser.add_argument("--normalisation", choices=("sum", "mean"), default="sum", help="over the tokens of a label")
    parser.add_argument("--sharing", choices=("prefix", "none"), default="prefix", help="run common beginnings once")
    parser.add_argument("--matching", choices=("strict", "instructerc"), help="from a generated text to a label")
    parser.add_argument("--labels", help="label words of --predictions in order, separated by commas")
    parser.add_argument("--batch-size", type=int, default=8, help="prompts in one pass, without sharing")
    parser.add_argument("--tokens-per-pass", type=int, default=256, help="tokens in one pass, with sharing")


def run(arguments: argparse.Namespace) -> None:
    """Score, write the report and print the figures; a folder of runs with several seeds, one after the other.

    Raises:
        EvaluationError: If model, dataset and labels do not fit together.
    """
    if arguments.model is not None and (Path(arguments.model) / SEEDS_FILE).is_file():
        _run_seeds(arguments)
    else:
        _run_once(arguments)


def _run_seeds(arguments: argparse.Namespace) -> None:
    """Score the run of each seed into a folder of its own, and write mean and standard deviation of the scores."""
    from speechcue_hf.metrics.spread import spread_lines, spread_of

    seeds = read_record(Path(arguments.model) / SEEDS_FILE)["seeds"]
    scores = []
    for name in (f"seed-{seed}" for seed in seeds):
        places = {"model": str(Path(arguments.model) / name), "output": arguments.output / name}
        results = _run_once(argparse.Namespace(**{**vars(arguments), **places}))
        scores.append({metric: results[metric] for metric in METRICS})
    spread = spread_of(scores)
    path = arguments.output / f"seeds-{arguments.split}.json"
    path.write_text(json.dumps({"seeds": seeds, "split": arguments.split, **spread}, indent=2) + "\n", encoding="utf-8")
    print(f"Mean and standard deviation over seeds {', '.join(map(str, seeds))}, split {arguments.split}:")
    print(*spread_lines(spread), sep="\n")
    print(f"Written to {path}")


def _run_once(arguments: argparse.Namespace) -> dict[str, Any]:
    results, predictions = _score_predictions(arguments) if arguments.predictions else _score_model(arguments)
    identity = read_identity(arguments.dataset) if arguments.dataset else None
    results = {"corpus": identity and identity.facts, "split": arguments.split, **results}
    write_report(arguments.output, results, predictions)
    print_summary(results)
    print(f"Written to {arguments.output}: {RESULTS_FILE}, predictions.parquet, {CONFUSION_FILE}")
    print(f"Next: speechcue card {arguments.output}")
    return results


def print_summary(results: dict[str, Any]) -> None:
    """Print the main figures of an evaluation."""
    interval = results["weighted_f1_interval"]
    task = f", task {results['corpus']['task'] if results['corpus'] else 'not known (no corpus.json)'}"
    print(f"{results['n']} labelled utterances of {interval['dialogues']} dialogues, split {results['split']}{task}")
    print(
        f"  weighted F1   {100 * results['weighted_f1']:6.2f} %   "
        f"(95 % interval over dialogues {100 * interval['low']:.2f} to {100 * interval['high']:.2f})"
    )
    if interval["warning"]:
        print(f"  {interval['warning']}")
    print(f"  macro F1      {100 * results['macro_f1']:6.2f} %")
    print(f"  accuracy      {100 * results['accuracy']:6.2f} %   (WA)")
    print(f"  mean recall   {100 * results['unweighted_accuracy']:6.2f} %   (UA)")
    print(f"  invalid       {100 * results['invalid_rate']:6.2f} %")
    if "explanations" in results:
        _print_explanations(results["explanations"])
    if results.get("sees_future"):
        print("  Turns after the one in question were seen, in prompts or by the generator of the biographies in them.")


def _print_explanations(explanations: dict[str, Any]) -> None:
    """Print which share of what explanations state is true."""
    for cue, scores in explanations["faithfulness"].items():
        if cue != "captions" and scores["faithfulness"] is not None:
            judged = scores["claims"] - scores["unmeasured"]
            print(f"  {'all levels' if cue == 'all' else cue:<14}{100 * scores['faithfulness']:6.2f} %   ", end="")
            print(f"of {judged} stated levels agree with the measurement")
    transcript = explanations["transcript"]
    if transcript is not None and transcript["word_error_rate"] is not None:
        print(f"  word errors   {100 * transcript['word_error_rate']:6.2f} %   of {transcript['words']} words")
    if "bert_score" in explanations:
        print(f"  BERTScore F1  {100 * explanations['bert_score']['f1']:6.2f} %   against captions by template")


def _score_model(arguments: argparse.Namespace) -> tuple[dict[str, Any], Dataset]:
    """Score a model, all of it taken from one commit if it comes from the Hub."""
    if arguments.dataset is None:
        raise EvaluationError("--model needs --dataset: the folder that `speechcue describe` wrote.")
    commit = hub_commit(arguments.model, arguments.revision)
    arguments = argparse.Namespace(**{**vars(arguments), "revision": commit})
    scorers = {"bioserc": _score_encoder, "semollm": _score_speech_model}
    score = scorers.get(model_type(arguments.model, commit) or "", _score_chat_model)
    results, predictions = score(arguments)
    return {**results, "model_revision": commit}, predictions


def _score_speech_model(arguments: argparse.Namespace) -> tuple[dict[str, Any], Dataset]:
    from speechcue_hf.evaluation.speech import evaluate_speech_model
    from speechcue_hf.inference.explain import Explainer

    if arguments.prompt is not None or arguments.decode != "score":
        raise EvaluationError("A model that hears is asked its own question and scored: leave out --prompt, --decode.")
    if arguments.audio is None:
        raise EvaluationError("A model that hears needs --audio: the folder that `speechcue prepare` wrote.")
    found = describer_sha256(arguments.dataset)
    if found is None:
        raise EvaluationError(f"{arguments.dataset} holds no {DESCRIBER_FILE}: give what `speechcue describe` wrote.")
    record = find_beside(arguments.model, TRAINING_FILE, arguments.revision)
    return evaluate_speech_model(
        read_split(arguments.dataset, arguments.split),
        read_split(arguments.audio, arguments.split),
        Explainer.from_pretrained(arguments.model, revision=arguments.revision, batch_size=arguments.batch_size),
        describer_sha256=found,
        normalisation=arguments.normalisation,
        explain=arguments.explain,
        bert_model=(arguments.bertscore[0], int(arguments.bertscore[1])) if arguments.bertscore else None,
        seed=None if record is None else read_record(record)["seed"],
    )


def _score_encoder(arguments: argparse.Namespace) -> tuple[dict[str, Any], Dataset]:
    from speechcue_hf.evaluation.encoder import evaluate_encoder
    from speechcue_hf.models.loading import load_encoder

    if arguments.prompt is not None or arguments.decode != "score":
        raise EvaluationError("An encoder classifier reads no prompt and writes no text: leave out --prompt, --decode.")
    record = find_beside(arguments.model, TRAINING_FILE, arguments.revision)
    model, tokenizer = load_encoder(arguments.model, arguments.revision)
    return evaluate_encoder(
        read_split(arguments.dataset, arguments.split),
        model,
        tokenizer,
        training=None if record is None else read_record(record),
        describer_sha256=describer_sha256(arguments.dataset),
        biographies=biographies_of(arguments.dataset),
        batch_size=arguments.batch_size,
    )


def _score_chat_model(arguments: argparse.Namespace) -> tuple[dict[str, Any], Dataset]:
    from speechcue_hf.evaluation.evaluate import InferenceSettings, evaluate_model
    from speechcue_hf.models.loading import load_model

    rows = read_split(arguments.dataset, arguments.split)
    prompt = load_prompt(arguments.prompt or prompt_beside(arguments.model, arguments.revision) or "speechcue")
    record = find_beside(arguments.model, TRAINING_FILE, arguments.revision)
    training = None if record is None else read_record(record)
    budget = arguments.token_budget if training is None else arguments.token_budget or training["token_budget"]
    model, tokenizer = load_model(arguments.model, arguments.revision)
    return evaluate_model(
        rows,
        model,
        tokenizer,
        prompt,
        decoding=InferenceSettings(
            decode=arguments.decode,
            normalisation=arguments.normalisation,
            sharing=arguments.sharing,
            matching=arguments.matching or "strict",
            batch_size=arguments.batch_size,
            tokens_per_pass=arguments.tokens_per_pass,
        ),
        training=training,
        describer_sha256=describer_sha256(arguments.dataset),
        biographies=biographies_of(arguments.dataset),
        token_budget=budget,
        train=read_train(arguments.dataset, prompt),
    )


def read_train(folder: Path, prompt: PromptSpecification) -> Dataset | None:
    """Read the training split of a dataset folder for a prompt that shows demonstrations; None for any other prompt.

    Raises:
        EvaluationError: If there is no such split.
    """
    return read_split(folder, "train") if prompt.demonstrations else None


def read_split(folder: Path, split: str) -> Dataset:
    """Read one split of a dataset folder.

    Raises:
        EvaluationError: If there is no such split.
        CorpusError: If the folder holds no dataset.
    """
    dataset = read_dataset(folder)
    if split not in dataset:
        raise EvaluationError(f"{folder} has no split {split!r}; it has {', '.join(dataset)}.")
    return dataset[split]


def _score_predictions(arguments: argparse.Namespace) -> tuple[dict[str, Any], Dataset]:
    from speechcue_hf.evaluation.evaluate import evaluate_predictions
    from speechcue_hf.evaluation.predictions import read_predictions

    if arguments.labels is None:
        raise EvaluationError("--predictions needs --labels: the label words in order, separated by commas.")
    labels = [label.strip() for label in arguments.labels.split(",")]
    return evaluate_predictions(read_predictions(arguments.predictions), labels, matching=arguments.matching)
