"""``speechcue quickstart``: the main job on the demo corpus, with the voice, without it, and with other voices."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.models.base import TINY_MODEL

EXAMPLES = """examples:
  speechcue quickstart                                            # a tiny random model, under two minutes on a CPU
  speechcue quickstart -o first --model HuggingFaceTB/SmolLM2-135M-Instruct
"""

PRETRAINED = """\
{model} will be trained three times. Its largest batch is run once before each training, which then says what memory and
how many minutes an epoch takes (three epochs): if that is too much, stop with Ctrl-C."""
PROVED = """
Proved: the words about the voice carry what the voice carries, to speakers and sentences that the model never saw, and
a model that reads them uses it. The describer learnt its thresholds from the train split alone.
Not proved: anything about people. The speech is espeak-ng's, with one manner for each emotion, and the sentences are
written so that they tell nothing; people are far less regular, and what they say tells much."""

SUMMARY = """
{output} holds
  model.safetensors or adapter_model.safetensors   the model, with tokenizer, prompt.json and describer.json beside it
  results.json       all scores; predictions.parquet has each utterance, confusion_matrix.png the picture
  README.md          the model card, filled from what was measured
  without_voice/, other_voices/     the same of the other two trainings
  data/              the described corpus: load_dataset("{output}/data")
  distributions.png, dialogue.png   what was measured, with the thresholds and the words
"""
NEXT = """Next:
  my recordings     speechcue prepare folder --data-dir my_conversations -o data/mine
  a corpus I have   speechcue check meld --data-dir MELD.Raw
  a server I have   speechcue predict my_calls --server http://localhost:8000/v1 --model NAME --labels happy sad
  a GPU I have      speechcue quickstart -o first --model HuggingFaceTB/SmolLM2-135M-Instruct"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("quickstart"), help="new folder (default: %(default)s)"
    )
    parser.add_argument("--model", default=TINY_MODEL, help="chat model: Hub id or folder (default: a tiny random one)")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the model, the order of rows and the exchange of voices (default: 1)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run all steps, say what each made, print the table, and what to do next."""
    from speechcue_hf.quickstart import quickstart, scores

    if arguments.model != TINY_MODEL:
        print(PRETRAINED.format(model=arguments.model), flush=True)
    elif not arguments.verbose:
        _say_steps_only()
    for step in quickstart(arguments.output, arguments.model, arguments.seed):
        print(f"• {step}", flush=True)
    found = scores(arguments.output)
    results = next(iter(found.values()))
    print(f"\n{'voice in the prompt':<22} weighted F1   accuracy   (test, {results.n} utterances)")
    for voice, result in found.items():
        print(f"{voice:<22} {100 * result.weighted_f1:9.1f} % {100 * result.accuracy:8.1f} %")
    print(f"{'(a label drawn by lot':<22} {100 / len(results.labels):9.1f} % {100 / len(results.labels):8.1f} %)")
    print(PROVED)
    print(SUMMARY.format(output=arguments.output))
    print(NEXT)


def _say_steps_only() -> None:
    """Show no progress bars and no log, on a terminal either: each step takes seconds and says what it made."""
    import logging

    import datasets
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]
    from transformers.utils.logging import disable_progress_bar

    datasets.disable_progress_bars()
    disable_progress_bars()
    disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("speechcue_hf").setLevel(logging.WARNING)
