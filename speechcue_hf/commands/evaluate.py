"""``speechcue evaluate``: score a model, or predictions made before, on a split."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.commands.arguments import (
    add_dataset,
    add_list,
    add_picture_format,
    positive_int,
    print_next,
    read_split,
)
from speechcue_hf.commands.served_options import add_served_arguments, print_estimate, runs_elsewhere, served_classifier
from speechcue_hf.errors import EvaluationError
from speechcue_hf.records import (
    ANSWER_STORE_FILE,
    CONFUSION_FILE,
    PREDICTIONS_FILE,
    RESULTS_FILE,
    SEEDS_FILE,
    ResultsRecord,
    SeedsRecord,
    beside,
    read_record,
    write_record,
)

if TYPE_CHECKING:
    from datasets import Dataset

    from speechcue_hf.inference.classifier import EmotionClassifier
    from speechcue_hf.inference.settings import InferenceSettings

logger = logging.getLogger(__name__)

_NO_DATASET = "--model needs a dataset: the folder that `speechcue describe` wrote."

EXAMPLES = """examples:
  speechcue evaluate data/described --model runs/demo --split test -o runs/demo
  speechcue evaluate data/described --model Qwen/Qwen3-0.6B --prompt speechcuellm -o runs/zero-shot
  speechcue evaluate data/described --model Qwen/Qwen3-0.6B -o runs/few-shot \\
      --prompt '{"extends": "speechcue", "demonstrations": 6}'
  speechcue evaluate data/described --model runs/demo --decode generate -o runs/demo-generated
  speechcue evaluate data/described --server http://localhost:8000/v1 --model Qwen/Qwen3-8B -o runs/qwen
  speechcue evaluate data/described --provider auto --model Qwen/Qwen3-8B --estimate --price 0.1 0.4 -o runs/qwen
  speechcue evaluate data/described --model runs/stage3 --audio data/demo --explain -o runs/stage3
  speechcue evaluate data/meld --predictions preds_for_eval_9.text --matching instructerc -o runs/published
  speechcue evaluate --predictions old.csv --matching instructerc --labels happy sad neutral angry -o runs/old
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_dataset(
        parser,
        "folder that `speechcue describe` wrote; with --predictions it names the corpus, and the rows of a .text",
        required=False,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", metavar="DIR_OR_ID", help="model or adapter; with --server its name there")
    source.add_argument(
        "--predictions", type=Path, help="predictions made before: .parquet, .csv, .jsonl or a paper's .text"
    )
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument("--explain", action="store_true", help="let it explain each clip, and judge what it states")
    parser.add_argument(
        "--bertscore",
        nargs=2,
        metavar=("MODEL", "LAYER"),
        help="with --explain: BERTScore against captions by template, by this encoder (roberta-large 17 in the paper)",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for results, predictions and picture")
    add_list(parser, "--labels", metavar="WORD", help="label words of --predictions, in order")
    parser.add_argument(
        "--estimate", action="store_true", help="of a server: only say how many requests and tokens it would take"
    )
    add_picture_format(parser)
    add_inference_arguments(parser)


def add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a model is asked about, and how; see :func:`load_for` and :func:`inference_settings`."""
    parser.add_argument("--split", default="test", help="split that is scored (default: %(default)s)")
    parser.add_argument(
        "--audio", type=Path, help="for a model that hears: the clips, as `speechcue prepare` wrote them"
    )
    parser.add_argument(
        "--prompt", help="preset, prompt file or settings as JSON (default: the one beside the model, else speechcue)"
    )
    parser.add_argument("--token-budget", type=int, help="most tokens of prompt and answer (default: as in training)")
    parser.add_argument(
        "--normalisation",
        choices=("sum", "mean", "contextual", "prior"),
        default="sum",
        help="over the tokens of a label; contextual divides by what a chat model says to a blank prompt; prior then "
        "multiplies by the label shares of the dataset's training split",
    )
    parser.add_argument("--sharing", choices=("prefix", "none"), default="prefix", help="run common beginnings once")
    parser.add_argument("--batch-size", type=positive_int, default=8, help="prompts in one pass, without sharing")
    parser.add_argument("--tokens-per-pass", type=positive_int, default=256, help="tokens in one pass, with sharing")
    add_served_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Score, write the report and print the figures; a folder of runs with several seeds, one after the other."""
    if arguments.estimate:
        _estimate(arguments)
    elif arguments.model is not None and (Path(arguments.model) / SEEDS_FILE).is_file():
        _run_seeds(arguments)
    else:
        _run_once(arguments)


def _estimate(arguments: argparse.Namespace) -> None:
    """Print what asking a server would take; nothing is asked."""
    from speechcue_hf.inference.served import ServedClassifier

    if arguments.dataset is None:
        raise EvaluationError(_NO_DATASET)
    classifier, rows = load_for(arguments, inference_settings(arguments))
    if not isinstance(classifier, ServedClassifier):
        raise ValueError("--estimate is of requests to a server: name it with --server or --provider")
    wanted = [place for place, emotion in enumerate(rows["emotion"]) if emotion is not None]
    print_estimate(classifier.estimate(rows, wanted), arguments)


def _run_seeds(arguments: argparse.Namespace) -> None:
    """Score the run of each seed into a folder of its own, and write mean and standard deviation of the scores."""
    from speechcue_hf.metrics.spread import spread_of
    from speechcue_hf.metrics.wording import METRICS

    seeds = read_record(SeedsRecord, Path(arguments.model)).seeds
    scores = []
    for name in (f"seed-{seed}" for seed in seeds):
        places = {"model": str(Path(arguments.model) / name), "output": arguments.output / name}
        results = _run_once(argparse.Namespace(**{**vars(arguments), **places}))
        scores.append({metric: getattr(results, metric) for metric in METRICS})
    record = SeedsRecord(seeds, spread_of(scores), arguments.split)
    path = write_record(record, arguments.output, f"{Path(SEEDS_FILE).stem}-{arguments.split}.json")
    print_spread(record, path)


def print_spread(record: SeedsRecord, path: Path) -> None:
    """Print mean and standard deviation of the scores over seeds, and where they were written."""
    from speechcue_hf.metrics.spread import spread_lines

    scored = f"split {record.split}" if record.split else "on the selection split"
    print(f"Mean and standard deviation over seeds {', '.join(map(str, record.seeds))}, {scored}:")
    print(*spread_lines({name.removeprefix("eval_"): found for name, found in record.scores.items()}), sep="\n")
    print(f"Written to {path}")


def _run_once(arguments: argparse.Namespace) -> ResultsRecord:
    from speechcue_hf.corpora.identity import metadata_of
    from speechcue_hf.corpora.parquet import identity_of
    from speechcue_hf.evaluation.report import write_report

    results, predictions = _score_predictions(arguments) if arguments.predictions else _score_model(arguments)
    identity = identity_of(arguments.dataset) if arguments.dataset else None
    results = replace(results, corpus=metadata_of(identity), split=arguments.split)
    write_report(arguments.output, results, predictions, picture_format=arguments.format)
    print_summary(results)
    print(f"Written to {arguments.output}: {RESULTS_FILE}, {PREDICTIONS_FILE}, {CONFUSION_FILE}")
    if arguments.model is not None and arguments.output.resolve() == Path(arguments.model).resolve():
        print_next("card", arguments.output)
    return results


def _score_model(arguments: argparse.Namespace) -> tuple[ResultsRecord, Dataset]:
    """Score a model, all of it taken from one commit if it comes from the Hub."""
    from speechcue_hf.evaluation.evaluate import evaluate
    from speechcue_hf.models.loading import hub_commit
    from speechcue_hf.provenance import Provenance

    if arguments.dataset is None:
        raise EvaluationError(_NO_DATASET)
    elsewhere = runs_elsewhere(arguments)
    commit = None if elsewhere and not arguments.vllm else hub_commit(arguments.model, arguments.revision)
    settings = inference_settings(arguments, explain=arguments.explain)
    classifier, rows = load_for(argparse.Namespace(**{**vars(arguments), "revision": commit}), settings)
    results, table = evaluate(classifier, rows, Provenance.of(arguments.dataset))
    explanations = _score_explanations(table, classifier, rows, arguments) if arguments.explain else None
    return replace(results, model_revision=commit, explanations=explanations), table


def load_for(arguments: argparse.Namespace, settings: InferenceSettings) -> tuple[EmotionClassifier, Dataset]:
    """Load the model that a command line names, or whoever asks it, and the split that it is to judge.

    A model that hears gets the split with its clips.
    """
    from speechcue_hf.corpora.joining import with_clips
    from speechcue_hf.corpora.parquet import read_dataset

    rows = read_split(arguments.dataset, arguments.split)
    if runs_elsewhere(arguments):
        return served_classifier(
            arguments,
            rows.features["emotion"].names,
            store=arguments.output / ANSWER_STORE_FILE,
            token_budget=arguments.token_budget,
            train=read_dataset(arguments.dataset).get("train"),
            settings=settings,
        ), rows
    from speechcue_hf.inference.loading import load_classifier

    classifier = load_classifier(
        arguments.model,
        revision=arguments.revision,
        settings=settings,
        prompt=arguments.prompt,
        names=rows.features["emotion"].names,
        token_budget=arguments.token_budget,
        train=read_dataset(arguments.dataset).get("train"),
    )
    if "audio" not in classifier.columns:
        return classifier, rows
    if arguments.audio is None:
        raise EvaluationError("A model that hears needs --audio: the folder that `speechcue prepare` wrote.")
    return classifier, with_clips(rows, read_split(arguments.audio, arguments.split))


def inference_settings(arguments: argparse.Namespace, **more: Any) -> InferenceSettings:
    """What a command line says of how a model is asked, and what else is set."""
    from speechcue_hf.inference.settings import InferenceSettings

    names = ("normalisation", "sharing", "batch_size", "tokens_per_pass", "decode", "matching")
    said = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    return InferenceSettings(**said, **more)


def _score_explanations(
    table: Dataset, classifier: EmotionClassifier, rows: Dataset, arguments: argparse.Namespace
) -> dict[str, Any] | None:
    """How far what the explanations state is true; None where there is none."""
    from speechcue_hf.cues.describe import SpeechDescriber
    from speechcue_hf.evaluation.explanations import score_explanations
    from speechcue_hf.inference.speech import SpeechClassifier

    if not isinstance(classifier, SpeechClassifier):
        raise EvaluationError("--explain needs a model that hears: this one writes no explanation, leave it out.")
    if "explanation" not in table.column_names:
        logger.warning("no clip could be heard, so there is no explanation to judge: the column note has the reasons")
        return None
    labelled = rows.select([place for place, emotion in enumerate(rows["emotion"]) if emotion is not None])
    describer = SpeechDescriber.from_pretrained(beside(arguments.dataset))
    bert_model = (arguments.bertscore[0], int(arguments.bertscore[1])) if arguments.bertscore else None
    return score_explanations(labelled, table["explanation"], classifier, describer, bert_model)


def _score_predictions(arguments: argparse.Namespace) -> tuple[ResultsRecord, Dataset]:
    from speechcue_hf.evaluation.evaluate import evaluate
    from speechcue_hf.evaluation.paper_predictions import SUFFIXES, read_paper_predictions
    from speechcue_hf.evaluation.predictions import read_predictions
    from speechcue_hf.evaluation.recorded import RecordedClassifier
    from speechcue_hf.prompts.specification import load_prompt

    of_paper = arguments.predictions.suffix in SUFFIXES
    rows = read_split(arguments.dataset, arguments.split) if of_paper and arguments.dataset else None
    words = arguments.labels
    if words is None and rows is not None:
        words = load_prompt("speechcuellm").words(rows.features["emotion"].names)
    if words is None:
        raise EvaluationError("--predictions needs --labels: the label words in order.")
    if of_paper:
        table = read_paper_predictions(arguments.predictions, words, rows)
    else:
        table = read_predictions(arguments.predictions)
    classifier = RecordedClassifier(table, tuple(words), arguments.matching)
    return evaluate(classifier, classifier.rows)


def print_summary(results: ResultsRecord) -> None:
    """Print the main figures of an evaluation."""
    interval = results.weighted_f1_interval
    task = f", task {results.corpus['task'] if results.corpus else 'not known (no corpus.json)'}"
    print(f"{results.n} labelled utterances of {interval['dialogues']} dialogues, split {results.split}{task}")
    print(
        f"  weighted F1   {100 * results.weighted_f1:6.2f} %   "
        f"(95 % interval over dialogues {100 * interval['low']:.2f} to {100 * interval['high']:.2f})"
    )
    if interval["warning"]:
        print(f"  {interval['warning']}")
    print(f"  macro F1      {100 * results.macro_f1:6.2f} %")
    print(f"  accuracy      {100 * results.accuracy:6.2f} %   (WA)")
    print(f"  mean recall   {100 * results.unweighted_accuracy:6.2f} %   (UA)")
    print(f"  invalid       {100 * results.invalid_rate:6.2f} %")
    if results.server is not None:
        print(f"  {_asked_line(results)}")
    if results.explanations is not None:
        _print_explanations(dict(results.explanations))
    if results.sees_future:
        print("  Turns after the one in question were seen, in prompts or by the generator of the biographies in them.")


def _asked_line(results: ResultsRecord) -> str:
    """How a server's labels were read, and what it took."""
    server = results.server or {}
    form = f" ({server['form']})" if server.get("form") else ""
    tokens = server.get("prompt_tokens")
    cached = f", {server['cached_tokens']:,} of them cached" if server.get("cached_tokens") else ""
    sent = "" if tokens is None else f", {tokens:,} tokens read{cached}"
    adapted = f"; {', '.join(server['adapted'])}" if server.get("adapted") else ""
    failed = f"; {results.unanswered} unanswered" if results.unanswered else ""
    measured = "" if results.decode in ("score", "first-token") else "; how likely they are is not known"
    return f"labels read by {results.decode}{form}{measured}: {server['requests']:,} requests{sent}{failed}{adapted}"


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
