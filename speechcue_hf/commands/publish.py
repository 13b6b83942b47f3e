"""``speechcue publish``: put datasets and models on the Hub, as far as their licence lets them."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from speechcue_hf.commands.arguments import add_list

logger = logging.getLogger(__name__)

EXAMPLES = """examples:
  speechcue publish dataset data/demo data/described --repo-id me/demo --prompt speechcue
  speechcue publish dataset data/described --repo-id me/iemocap-cues --columns dialogue_id utterance_id turn \\
      f0_mean_hz f0_mean_hz_level f0_mean_hz_z speech_description speech_impression
  speechcue publish dataset data/described --repo-id lab/iemocap --private --everybody-is-licensed
  speechcue publish model runs/cues --repo-id me/demo-cues --licence apache-2.0
  speechcue publish app --repo-id me/listen --model me/demo-cues --describer me/demo

Log in with `hf auth login` before. What fails leaves the repository as it was; the same command goes on where it stood.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    kinds = parser.add_subparsers(dest="kind", metavar="dataset | model | app", required=True)
    dataset = kinds.add_parser(
        "dataset", help="dataset folders, each as a config of one repository", allow_abbrev=False
    )
    dataset.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="dataset folder")
    dataset.add_argument("--prompt", nargs="+", default=[], help="publish the last folder's prompts too, as sft-PROMPT")
    add_list(dataset, "--columns", metavar="COLUMN", help="publish only these columns")
    _add_clips_term(dataset)
    model = kinds.add_parser("model", help="the folder of a run, with its card", allow_abbrev=False)
    model.add_argument("folder", type=Path, metavar="DIR", help="folder that training wrote")
    app = kinds.add_parser("app", help="the app of `speechcue app`, as a Space", allow_abbrev=False)
    add_list(app, "--model", metavar="ID", default=[], help="models on the Hub to choose from")
    add_list(app, "--describer", metavar="ID", default=[], help="describers on the Hub to choose from")
    add_list(
        app,
        "--labels",
        metavar="WORD",
        default=[],
        help="emotions for models that were not trained: words, or a corpus",
    )
    for kind in (dataset, model, app):
        kind.add_argument("--repo-id", required=True, help="user/name; it is made if need be")
    for kind in (dataset, model):
        _add_terms(kind)
    _add_repository_terms(app)


def add_push_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a corpus script that say whether and how its dataset is published."""
    parser.add_argument("--push-to-hub", metavar="REPO_ID", help="measure, describe and publish as user/name")
    _add_terms(parser)
    _add_clips_term(parser)


def _add_terms(parser: argparse.ArgumentParser) -> None:
    _add_repository_terms(parser)
    parser.add_argument(
        "--everybody-is-licensed",
        action="store_true",
        help="all who can read this private or gated repository hold the licence of the corpus",
    )
    parser.add_argument(
        "--speaker-names", action="store_true", help="publish the names of speakers of own recordings, not numbers"
    )


def _add_repository_terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--licence", help="as the Hub names it, such as apache-2.0")


def _add_clips_term(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clips-may-be-public",
        action="store_true",
        help="you hold the right to pass on clips whose corpus licenses its annotations only, such as MELD's",
    )


def _terms(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("private", "licence", "everybody_is_licensed", "clips_may_be_public", "speaker_names")
    return {name: vars(arguments)[name] for name in names if name in vars(arguments)}


def run(arguments: argparse.Namespace) -> None:
    """Publish, and say where it is."""
    if arguments.kind == "dataset":
        from speechcue_hf.hub.publish_dataset import publish_dataset

        commit = publish_dataset(
            arguments.folders,
            arguments.repo_id,
            prompts=arguments.prompt,
            columns=arguments.columns,
            **_terms(arguments),
        )
        use = f"its card shows how to load it: https://huggingface.co/datasets/{arguments.repo_id}"
    elif arguments.kind == "app":
        from speechcue_hf.hub.publish_app import publish_app

        commit = publish_app(
            arguments.repo_id,
            models=arguments.model,
            describers=arguments.describer,
            labels=arguments.labels,
            **_terms(arguments),
        )
        use = f"it starts at https://huggingface.co/spaces/{arguments.repo_id}"
    else:
        from speechcue_hf.hub.publish_model import publish_model

        commit = publish_model(arguments.folder, arguments.repo_id, **_terms(arguments))
        use = f"its card shows how to use it: https://huggingface.co/{arguments.repo_id}"
    print(f"Published as {arguments.repo_id}, commit {commit[:12]}; {use}")


def push(folder: Path, arguments: argparse.Namespace, num_proc: int | None = None) -> None:
    """Publish the corpus that a script prepared in a folder, if its arguments ask for it."""
    from speechcue_hf.hub.publish_dataset import publish_corpus

    if arguments.push_to_hub is not None:
        commit = publish_corpus(folder, arguments.push_to_hub, num_proc=num_proc, **_terms(arguments))
        logger.info("published as %s, commit %s", arguments.push_to_hub, commit[:12])
