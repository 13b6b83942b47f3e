"""``speechcue export``: prompts or captions for other fine-tuning tools, and tasks for evaluation harnesses."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.commands.arguments import add_dataset
from speechcue_hf.corpora.identity import corpus_of_metadata, metadata_of
from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.export import TOOLS, export_dataset
from speechcue_hf.hub.harness import HARNESSES

EXAMPLES = """examples:
  speechcue export data/described -o exported --to llama-factory
  speechcue export data/described -o exported --to openai --prompt speechcuellm
  speechcue export data/captions -o exported --to ms-swift --audio data/demo
  speechcue export data/described -o task --to lm-eval --model Qwen/Qwen3-0.6B

Paths of clips are relative to the folder that is written: start the tool there, or name it as its media folder.
"""

_NEXT = {
    "llama-factory": "llamafactory-cli train with dataset_dir: {target}, media_dir: {target}, mask_history: true",
    "ms-swift": "swift sft --dataset train.jsonl --val_dataset validation.jsonl --loss_scale last_round, in {target}",
    "axolotl": "put {target}/axolotl.yaml into your config",
    "lm-eval": "lm_eval run --include_path {target} --tasks {task} --model hf "
    "--model_args pretrained={model},dtype=float32,add_bos_token=False",
    "lighteval": 'lighteval accelerate "model_name={model},dtype=float32,override_chat_template=False,batch_size=1" '
    '"custom|{task}|0" --custom-tasks {target}/lighteval_task.py',
    "openai": "upload {target}/train.jsonl as the training file, validation.jsonl as the validation file",
}
"""How a tool is given the files; the settings put the loss on the answer only, where the file cannot say it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_dataset(parser, "folder that `speechcue describe` or `caption` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="new folder for the files")
    parser.add_argument("--to", choices=(*TOOLS, *HARNESSES), required=True, help="the tool")
    parser.add_argument("--prompt", help="preset or prompt file for described rows (default: speechcue)")
    parser.add_argument("--model", metavar="DIR_OR_ID", help="for a harness: the model whose prompts are written")
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument("--audio", type=Path, help="dataset folder with the clips, which are written as wav files")


def run(arguments: argparse.Namespace) -> None:
    """Export, and say what was written, what was left out, and what comes next."""
    if arguments.to in HARNESSES:
        _run_harness(arguments)
        return
    if arguments.model is not None:
        raise PublishingError(f"{arguments.to} renders prompts by itself: leave out --model")
    exported = export_dataset(
        arguments.dataset, arguments.output, arguments.to, prompt=arguments.prompt, clips=arguments.audio
    )
    written = ", ".join(f"{split}.jsonl {part.written}" for split, part in exported.items() if part.written)
    print(f"Written to {arguments.output} for {arguments.to}: {written} rows")
    unanswered = ", ".join(f"{split} {part.unanswered}" for split, part in exported.items() if part.unanswered)
    if unanswered:
        print(f"Left out, without a label or a caption: {unanswered}")
    for split, part in exported.items():
        for utterance, reason in part.unheard.items():
            print(f"Left out, {split} {utterance}: {reason}")
    _remind_of_licence(arguments.dataset)
    print(f"In {arguments.to}: {_NEXT[arguments.to].format(target=arguments.output)}")


def _run_harness(arguments: argparse.Namespace) -> None:
    from speechcue_hf.hub.harness import task_name, write_harness

    if arguments.model is None or arguments.audio is not None:
        raise PublishingError(
            f"a task for {arguments.to} holds prompts as a model's chat template renders them, and no clips: name the "
            "model (--model), and leave out --audio"
        )
    model, task = arguments.model, task_name(arguments.dataset)
    counts = write_harness(
        arguments.dataset, arguments.output, arguments.to, model, revision=arguments.revision, prompt=arguments.prompt
    )
    print(f"Written to {arguments.output} for {arguments.to}: task {task}, ", end="")
    print(", ".join(f"{split}.jsonl {written}" for split, (written, _) in counts.items() if written), "rows")
    if unlabelled := ", ".join(f"{split} {missing}" for split, (_, missing) in counts.items() if missing):
        print(f"Left out, without a label: {unlabelled}")
    _remind_of_licence(arguments.dataset)
    print(f"Run it: {_NEXT[arguments.to].format(target=arguments.output, task=task, model=model)}")


def _remind_of_licence(folder: Path) -> None:
    """Say it where the licence of a corpus does not let its text and audio out."""
    from speechcue_hf.corpora.parquet import identity_of

    corpus = corpus_of_metadata(metadata_of(identity_of(folder)))
    if corpus and corpus.may_leave == "cues":
        print(f"These files hold text or audio of {corpus.name}, whose licence does not let them out: keep them.")
