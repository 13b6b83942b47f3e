"""Dataset cards, written from what the published configs hold and from nothing else."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from huggingface_hub import DatasetCard, DatasetCardData

from speechcue_hf.corpora.catalogue import NAMESPACE, find_corpus
from speechcue_hf.corpora.identity import metadata_of
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.errors import PublishingError, RecordError
from speechcue_hf.hub.card import DAMAGE, MOST_GROUPS
from speechcue_hf.hub.privacy import PrivateRecord
from speechcue_hf.records import (
    BIOGRAPHIES_FILE,
    CAPTIONS_FILE,
    DESCRIBER_FILE,
    DISTRIBUTIONS_FILE,
    MEASUREMENT_FILE,
    PROMPT_FILE,
    PROMPT_TEMPLATE_FILE,
    VIEWS_FILE,
    BiographiesRecord,
    CaptionsRecord,
    CorpusIdentity,
    find_record,
    read_json,
)
from speechcue_hf.templates import card_templates, plain_line

RECORDS = (
    MEASUREMENT_FILE,
    DESCRIBER_FILE,
    DISTRIBUTIONS_FILE,
    BIOGRAPHIES_FILE,
    CAPTIONS_FILE,
    PROMPT_FILE,
    PROMPT_TEMPLATE_FILE,
)
"""What lies beside rows and is published with them."""

_FIX = "make it again with the command that wrote it"


def describe_config(dataset: DatasetDict, identity: CorpusIdentity | None, folder: Path) -> dict[str, Any]:
    """Say what a config holds, for the card: its splits, columns, labels and corpus, and the records in its folder.

    Raises:
        RecordError: If one of the records is damaged.
    """
    for kind in (MeasurementSettings, SpeechDescriber, BiographiesRecord, CaptionsRecord):
        find_record(kind, folder)
    features = next(iter(dataset.values())).features
    records = [name for name in RECORDS if (folder / name).is_file()]
    read = {name: read_json(folder / name, _FIX) for name in records if name.endswith(".json")}
    return {
        "splits": {str(split): _count(rows) for split, rows in dataset.items()},
        "columns": {name: _type_name(feature) for name, feature in features.items()},
        "labels": {str(split): _label_counts(rows) for split, rows in dataset.items() if "emotion" in features},
        "corpus": metadata_of(identity),
        "records": read,
        "pictures": [name for name in records if name.endswith(".png")],
    }


def read_configs(content: bytes, repo_id: str) -> dict[str, Any]:
    """Read what :func:`describe_config` said of the configs that a repository holds.

    Raises:
        PublishingError: If somebody wrote something else there.
    """
    try:
        configs = json.loads(content)
        for name, held in configs.items():
            _check_config(name, held)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise PublishingError(
            f"{VIEWS_FILE} of {repo_id} does not say what its configs hold ({plain_line(str(error))}): take it out of "
            "the repository, and publish all configs again"
        ) from error
    return dict(configs)


def _check_config(name: str, held: Mapping[str, Any]) -> None:
    """Refuse names that are none: they stand in the card's program and in its metadata."""
    names = [name, *held["splits"], *held["labels"]]
    if wrong := [it for it in names if not re.fullmatch(r"[\w.-]{1,100}", it)]:
        raise ValueError(f"{wrong[0][:60]!r} is no name")
    for value, kind in ((held["columns"], dict), (held["records"], dict), (held["corpus"] or {}, dict)):
        if not isinstance(value, kind):
            raise TypeError(f"{value!r:.60} is no table")
    if not set(held["records"]) | set(held["pictures"]) <= set(RECORDS):
        raise ValueError("it names files that are no records")


def _count(rows: Dataset) -> dict[str, int]:
    return {"rows": len(rows), "dialogues": len(rows.unique("dialogue_id"))}


def _label_counts(rows: Dataset) -> dict[str, int]:
    counts = Counter(rows["emotion"])
    labelled = {name: counts[label] for label, name in enumerate(rows.features["emotion"].names)}
    return {**labelled, "unlabelled": counts[None]}


def _type_name(feature: Any) -> str:
    if isinstance(feature, Mapping):
        return "struct"
    name: str = getattr(feature, "dtype", None) or type(feature).__name__
    return {"dict": "audio"}.get(name, name) if type(feature).__name__ != "ClassLabel" else "label"


def dataset_card(
    repo_id: str,
    configs: Mapping[str, Mapping[str, Any]],
    *,
    licence: str | None = None,
    private: PrivateRecord | None = None,
) -> DatasetCard:
    """Write the card of a published dataset.

    Args:
        repo_id: ``user/name`` on the Hub.
        configs: Config → what it holds, from :func:`describe_config`; one at least.
        licence: As the Hub names it; None takes that of the corpus.
        private: Why the repository must stay private; None where it need not.

    Returns:
        The card, whose metadata tells ``load_dataset`` the configs.

    Raises:
        RecordError: If a record lacks what the card shows.
    """
    try:
        return DatasetCard(_rendered(repo_id, configs, licence, private))
    except DAMAGE as error:
        raise RecordError(
            f"a record beside the rows does not have what the card shows ({plain_line(str(error))}): {_FIX}"
        ) from error


def _rendered(
    repo_id: str, configs: Mapping[str, Mapping[str, Any]], licence: str | None, private: PrivateRecord | None
) -> str:
    metadata = next((config["corpus"] for config in configs.values() if config["corpus"]), None)
    corpus = find_corpus(metadata and metadata["name"])
    return (
        card_templates("hub/templates")
        .get_template("dataset_card.md.jinja")
        .render(
            card_data=_card_data(repo_id, configs, licence or (corpus.hub_licence if corpus else "other")).to_yaml(),
            private=private,
            repo_id=repo_id,
            name=repo_id.split("/")[-1],
            configs=configs,
            corpus=metadata,
            loader=NAMESPACE + corpus.name if corpus and corpus.may_leave == "cues" else None,
            licence=licence,
            describers={name: _describer(held) for name, held in configs.items() if DESCRIBER_FILE in held["records"]},
            shown_groups=MOST_GROUPS,
        )
    )


def _card_data(repo_id: str, configs: Mapping[str, Mapping[str, Any]], licence: str) -> DatasetCardData:
    heard = any("audio" in held["columns"] or MEASUREMENT_FILE in held["records"] for held in configs.values())
    return DatasetCardData(
        language="en",
        license=licence,
        pretty_name=repo_id.split("/")[-1],
        task_categories=["text-classification", *(["audio-classification"] if heard else [])],
        tags=["speechcue_hf", "emotion-recognition-in-conversation"],
        configs=[{"config_name": name, "data_files": _data_files(name, held)} for name, held in configs.items()],
    )


def _data_files(name: str, held: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in held["splits"]]


def _describer(held: Mapping[str, Any]) -> dict[str, Any]:
    """What the card shows of a describer: its settings, and the thresholds of its largest groups."""
    record = held["records"][DESCRIBER_FILE]
    groups = sorted(record["groups"].items(), key=lambda item: -item[1]["rows"])
    return {**record, "largest": dict(groups[:MOST_GROUPS])}
