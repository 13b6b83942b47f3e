"""One protocol for every kind of model: what each keeps to, and that nothing else is needed to evaluate one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datasets import Dataset

from speechcue_hf import SpeechDescriber, evaluate, intervene, load_classifier, read_dataset
from speechcue_hf.cli import main
from speechcue_hf.corpora.joining import with_clips
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.intervention import SHUFFLED, TRUE, WITHOUT, shuffled
from speechcue_hf.evaluation.recorded import AveragedClassifier
from speechcue_hf.inference.classifier import Prediction
from speechcue_hf.inference.recognizer import EmotionRecognizer
from speechcue_hf.models.bioserc.dialogues import collate, dialogue_examples
from tests.records import training_record

pytestmark = pytest.mark.slow

KINDS = ("chat", "encoder", "speech")


@pytest.fixture(scope="module")
def runs(chat, encoder, speech) -> dict[str, Path]:
    return {"chat": chat, "encoder": encoder, "speech": speech / "runs" / "stage3"}


@pytest.fixture(scope="module")
def data(told, described_conversations, speech) -> dict[str, Path]:
    return {"chat": told, "encoder": described_conversations, "speech": speech / "corpus" / "described"}


@pytest.fixture(scope="module")
def rows(data, speech) -> dict[str, Dataset]:
    """The test split of each kind, with clips for the one that hears."""
    tests = {kind: read_dataset(folder)["test"] for kind, folder in data.items()}
    tests["speech"] = with_clips(tests["speech"], read_dataset(speech / "corpus" / "clips")["test"])
    return tests


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_loaded_with_what_it_reads_and_predicts_as_it_was_evaluated(kind, runs, rows) -> None:
    classifier = load_classifier(runs[kind])
    assert list(classifier.names) == rows[kind].features["emotion"].names
    assert set(classifier.voice) <= set(classifier.columns) <= set(rows[kind].column_names)
    assert classifier.training.kind == kind and classifier.protocol["decode"] in ("score", "classify")
    kept = pq.read_table(runs[kind] / "predictions.parquet").to_pydict()
    wanted = [place for place, emotion in enumerate(rows[kind]["emotion"]) if emotion is not None]
    predictions = classifier.predict(rows[kind], wanted)
    assert [classifier.words[it.label] for it in predictions] == kept["prediction"]
    for found, expected in zip(predictions, kept["probabilities"], strict=True):
        assert found.probabilities == pytest.approx(expected, abs=1e-4)
        assert sum(found.probabilities) == pytest.approx(1)
    last = classifier.predict(rows[kind], wanted[-1:])
    assert [it.probabilities for it in last] == [pytest.approx(predictions[-1].probabilities, abs=1e-4)]


@pytest.mark.parametrize("kind", KINDS)
def test_intervene_by_command(kind, runs, data, speech, tmp_path, capsys) -> None:
    line = ["intervene", str(data[kind]), "--model", str(runs[kind]), "-o", str(tmp_path)]
    line += ["--audio", str(speech / "corpus" / "clips")] if kind == "speech" else ["--cues", "intensity_mean_db"]
    assert main(line) == 0
    said = capsys.readouterr().out
    moved = [] if kind == "speech" else ["intensity_mean_db raised", "intensity_mean_db lowered"]
    assert all(name in said for name in (TRUE, SHUFFLED, WITHOUT, *moved))
    assert (tmp_path / "intervention.png").is_file()


def test_an_encoder_is_asked_with_the_cues_of_others_and_with_none(runs, data, rows) -> None:
    """Against forward passes of our own over the exchanged and the missing z-scores."""
    table, classifier = rows["encoder"], load_classifier(runs["encoder"])
    describer = SpeechDescriber.from_pretrained(data["encoder"])
    report = intervene(classifier, table, describer, seed=3)["variants"]
    order = np.random.default_rng(3).permutation(len(table))
    cues = [name for name in table.column_names if name.endswith("_z")]
    silent = table.map(lambda row: dict.fromkeys(cues), features=table.features)
    exchanged = table.map(lambda row, place: {name: table[int(order[place])][name] for name in cues}, with_indices=True)

    def likely(changed: Dataset) -> np.ndarray:
        model = classifier.model
        examples = list(dialogue_examples(changed, classifier.tokenizer, model.config, model.token_limit))
        with torch.inference_mode():
            logits = model(**collate(examples)).logits
        return (
            torch.cat([part[: len(it["labels"])] for part, it in zip(logits, examples, strict=True)])
            .softmax(-1)
            .numpy()
        )

    true = likely(table)
    for name, changed in ((TRUE, table), (SHUFFLED, exchanged), (WITHOUT, silent)):
        shift = (likely(changed) - true).mean(0)
        assert list(report[name]["probability_shift"].values()) == pytest.approx(shift.tolist(), abs=1e-5)
    assert max(map(abs, report[WITHOUT]["probability_shift"].values())) > 1e-4


def test_a_model_that_hears_is_asked_with_other_clips_and_with_silence(runs, data, rows, speech) -> None:
    table, classifier = rows["speech"], load_classifier(runs["speech"])
    describer = SpeechDescriber.from_pretrained(data["speech"])
    report = intervene(classifier, table, describer, seed=0)["variants"]
    assert list(report) == [TRUE, SHUFFLED, WITHOUT]
    true = np.array([it.probabilities for it in classifier.predict(table)])
    exchanged = shuffled(table, classifier.voice, describer, 0)
    assert exchanged["text"][:] == table["text"][:] and exchanged["audio"][:] != table["audio"][:]
    other = np.array([it.probabilities for it in classifier.predict(exchanged)])
    assert list(report[SHUFFLED]["probability_shift"].values()) == pytest.approx((other - true).mean(0), abs=1e-5)
    quiet = np.array([it.probabilities for it in classifier.without_voice().predict(table)])
    assert list(report[WITHOUT]["probability_shift"].values()) == pytest.approx((quiet - true).mean(0), abs=1e-5)
    with pytest.raises(EvaluationError, match="in which one cue cannot be moved without the others"):
        intervene(classifier, table, describer, cues=["intensity_mean_db"])


@dataclass(frozen=True)
class Loud:
    """A fourth kind of model: who is loud is angry. It has the members of the protocol and nothing else."""

    names: tuple[str, ...]
    training: object = None
    deaf: bool = False

    @property
    def words(self):
        return self.names

    @property
    def columns(self):
        return ("dialogue_id", "intensity_mean_db_z")

    @property
    def voice(self):
        return ("intensity_mean_db_z",)

    @property
    def protocol(self):
        return {"decode": "classify"}

    def shown(self, rows):
        return {"sees_future": False}

    def without_voice(self):
        return replace(self, deaf=True)

    def predict(self, rows, wanted=None):
        scores = [0.0 if self.deaf or score is None else score for score in rows["intensity_mean_db_z"]]
        return [self._judge(scores[place]) for place in (range(len(scores)) if wanted is None else wanted)]

    def _judge(self, score):
        share = 1 / (1 + np.exp(-score))
        rest = (1 - share) / (len(self.names) - 1)
        likely = tuple(share if name == "angry" else rest for name in self.names)
        return Prediction(int(np.argmax(likely)), likely)


def test_a_fourth_kind_is_evaluated_intervened_in_averaged_and_asked(data, rows, conversations) -> None:
    table = rows["encoder"]
    loud = Loud(tuple(table.features["emotion"].names))
    results, predictions = evaluate(loud, table)
    scores = table["intensity_mean_db_z"]
    said = [word for word, score in zip(predictions["prediction"], scores, strict=True) if score > 0]
    assert set(said) == {"angry"} and results.decode == "classify"
    describer = SpeechDescriber.from_pretrained(data["encoder"])
    report = intervene(loud, table, describer, cues=["intensity_mean_db"])["variants"]
    assert report["intensity_mean_db raised"]["probability_shift"]["angry"] > 0.2
    assert report["intensity_mean_db lowered"]["probability_shift"]["angry"] < -0.2
    both, _ = evaluate(AveragedClassifier((loud, loud.without_voice())), table)
    assert both.n == results.n
    recognizer = EmotionRecognizer(loud, training_record(), describer)
    assert len(recognizer(conversations)) == sum(len(part) for part in read_dataset(data["encoder"]).values())


def test_average_is_intervened_in_as_one(runs, data, rows) -> None:
    table = rows["encoder"]
    members = (load_classifier(runs["encoder"]), Loud(tuple(table.features["emotion"].names)))
    together = AveragedClassifier(members)
    each = [np.array([it.probabilities for it in member.predict(table)]) for member in members]
    found = np.array([it.probabilities for it in together.predict(table)])
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)
    assert set(together.voice) >= {"intensity_mean_db_z"} and together.without_voice() is not None
    variants = intervene(together, table, SpeechDescriber.from_pretrained(data["encoder"]))["variants"]
    assert list(variants) == [TRUE, SHUFFLED, WITHOUT]


def test_what_is_recorded_has_no_voice_to_exchange(runs, data, rows) -> None:
    from speechcue_hf.evaluation.predictions import read_predictions
    from speechcue_hf.evaluation.recorded import RecordedClassifier

    table = read_predictions(runs["encoder"])
    recorded = RecordedClassifier(table, tuple(rows["encoder"].features["emotion"].names))
    assert recorded.without_voice() is None
    with pytest.raises(EvaluationError, match="told nothing of the voice"):
        intervene(recorded, rows["encoder"], SpeechDescriber.from_pretrained(data["encoder"]))
