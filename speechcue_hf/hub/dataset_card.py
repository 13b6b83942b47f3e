"""Dataset cards, written from what the published configs hold and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData

from speechcue_hf.corpora.catalogue import NAMESPACE, find_corpus
from speechcue_hf.records import BIOGRAPHIES_FILE, CAPTIONS_FILE, DESCRIBER_FILE, MEASUREMENT_FILE, PROMPT_FILE

_TEMPLATE = files("speechcue_hf.hub") / "templates" / "dataset_card.md.jinja"
_MOST_THRESHOLDS = 3
"""Groups of the describer whose thresholds the card shows; the file has all."""


def dataset_card(repo_id: str, configs: Mapping[str, Mapping[str, Any]], *, licence: str | None = None) -> DatasetCard:
    """Write the card of a published dataset.

    Args:
        repo_id: ``user/name`` on the Hub.
        configs: Config → what it holds, from :func:`speechcue_hf.hub.dataset_configs.describe_config`; one at least.
        licence: As the Hub names it; None takes that of the corpus.

    Returns:
        The card, whose metadata tells ``load_dataset`` the configs.
    """
    metadata = next((config["corpus"] for config in configs.values() if config["corpus"]), None)
    corpus = find_corpus(metadata and metadata["name"])
    card: DatasetCard = DatasetCard.from_template(
        _card_data(repo_id, configs, licence or (corpus.hub_licence if corpus else "other")),
        template_str=_TEMPLATE.read_text(encoding="utf-8"),
        repo_id=repo_id,
        name=repo_id.split("/")[-1],
        configs=configs,
        corpus=metadata,
        loader=NAMESPACE + corpus.name if corpus and corpus.may_leave == "cues" else None,
        licence=licence,
        describers={name: _describer(held) for name, held in configs.items() if DESCRIBER_FILE in held["records"]},
        shown_groups=_MOST_THRESHOLDS,
        measurement_file=MEASUREMENT_FILE,
        describer_file=DESCRIBER_FILE,
        biographies_file=BIOGRAPHIES_FILE,
        captions_file=CAPTIONS_FILE,
        prompt_file=PROMPT_FILE,
    )
    return card


def _card_data(repo_id: str, configs: Mapping[str, Mapping[str, Any]], licence: str) -> DatasetCardData:
    heard = any("audio" in held["columns"] or MEASUREMENT_FILE in held["records"] for held in configs.values())
    return DatasetCardData(
        language="en",
        license=licence,
        pretty_name=repo_id.split("/")[-1],
        task_categories=["text-classification", *(["audio-classification"] if heard else [])],
        tags=["speechcue_hf", "emotion-recognition-in-conversation"],
        configs=[_config(name, held) for name, held in configs.items()],
    )


def _config(name: str, held: Mapping[str, Any]) -> dict[str, Any]:
    files = [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in held["splits"]]
    return {"config_name": name, "data_files": files}


def _describer(held: Mapping[str, Any]) -> dict[str, Any]:
    """What the card shows of a describer: its settings, and the thresholds of its largest groups."""
    record = held["records"][DESCRIBER_FILE]
    groups = sorted(record["groups"].items(), key=lambda item: -item[1]["rows"])
    return {**record, "largest": dict(groups[:_MOST_THRESHOLDS])}
