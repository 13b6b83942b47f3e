"""``docs/reference/columns.md`` names every column that a user meets."""

from __future__ import annotations

import re
from pathlib import Path

from speechcue_hf.biographies.write import BIOGRAPHY_FEATURES
from speechcue_hf.captions.build import caption_features
from speechcue_hf.corpora import (
    crema_d,
    dailydialog,
    demo,
    emodb,
    emorynlp,
    folder,
    iemocap,
    libritts,
    meld,
    ravdess,
)
from speechcue_hf.corpora.schema import AUDIO_STATUSES, utterance_features
from speechcue_hf.cues.table import measurement_columns

REFERENCE = (Path(__file__).parents[1] / "docs" / "reference" / "columns.md").read_text(encoding="utf-8")


def test_every_column_is_in_the_reference() -> None:
    named = set(re.findall(r"`(\w+)`", REFERENCE))
    builders = (
        iemocap.IemocapBuilder,
        meld.MeldBuilder,
        emorynlp.EmoryNLPBuilder,
        dailydialog.DailyDialogBuilder,
        libritts.LibriTTSBuilder,
        ravdess.RavdessBuilder,
        crema_d.CremaDBuilder,
        emodb.EmoDBBuilder,
    )
    extras = {column for builder in builders for column in builder.EXTRAS}
    captions = caption_features(utterance_features([], {}))
    added = {*folder.COLUMNS, *measurement_columns(), *BIOGRAPHY_FEATURES}
    assert named >= {*utterance_features([], {}), *AUDIO_STATUSES, *extras, *added, *captions}


def test_labels_are_in_class_id_order() -> None:
    rows = dict(re.findall(r"^\| (\w+(?: `[\w-]+`)?) \| ((?:[\w ]+, )+[\w ]+) \|$", REFERENCE, flags=re.MULTILINE))
    assert {corpus: tuple(labels.split(", ")) for corpus, labels in rows.items()} == {
        **{f"IEMOCAP `{config}`": labels for config, labels in iemocap.EMOTIONS.items()},
        "MELD": meld.EMOTIONS,
        "EmoryNLP": emorynlp.EMOTIONS,
        "DailyDialog": dailydialog.EMOTIONS,
        "RAVDESS": ravdess.EMOTIONS,
        "CREMA_D": tuple(crema_d.EMOTIONS.values()),
        "EmoDB": tuple(emodb.EMOTIONS.values()),
        "demo": demo.EMOTIONS,
    }
