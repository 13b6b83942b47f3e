"""The probe on the published MELD measurements, against the table of the facts (weighted F1 and accuracy, seed 42).

The perceptron takes four times as long as forest and vector machine together: ``benchmarks/probe.py`` compares it.
"""

import pytest
from datasets import ClassLabel

from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.normalisation import MELD_MAIN_CHARACTERS
from speechcue_hf.evaluation import probe as probe_module
from speechcue_hf.evaluation.probe import FOREST, PERCEPTRON, VECTOR_MACHINE, probe_cues

from ..cues import published_meld

EMOTIONS = ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
PUBLISHED = {
    "z": {FOREST: (37.97, 48.24), VECTOR_MACHINE: (33.86, 48.47), PERCEPTRON: (38.41, 43.87)},
    "level": {FOREST: (36.57,), VECTOR_MACHINE: (35.36,), PERCEPTRON: (35.80,)},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(published_meld.folder() is None, reason="SPEECHCUE_CORPORA is not set"),
]


def labelled(split):
    """Measured rows with their emotions, in speaking order."""
    rows = published_meld.measured_rows(split)
    emotions = {
        f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.wav": EMOTIONS.index(row["Emotion"])
        for row in published_meld.read_csv(f"{split}_sent_emo.csv")
    }
    rows = rows.add_column("emotion", [emotions.get(name) for name in rows["utterance_id"]])
    return rows.cast_column("emotion", ClassLabel(names=EMOTIONS))


def described():
    """Both splits by a describer of the train split."""
    train, test = labelled("train"), labelled("test")
    describer = SpeechDescriber.fit(train, levels=5, wording="speechcuellm", speakers=MELD_MAIN_CHARACTERS)
    return [describe_dataset(split, describer) for split in (train, test)]


@pytest.fixture(scope="module")
def probes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe_module, "PERCEPTRON_EPOCHS", 1)
        splits = described()
        return {
            representation: {
                probe.classifier: probe.results for probe in probe_cues(*splits, representation=representation)
            }
            for representation in PUBLISHED
        }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("representation", "classifier"), [(on, name) for on in PUBLISHED for name in (FOREST, VECTOR_MACHINE)]
)
def test_figures_of_the_table_agree(probes, representation, classifier):
    results = probes[representation][classifier]
    assert results["n"] == 2610
    for measure, published in zip(("weighted_f1", "accuracy"), PUBLISHED[representation][classifier], strict=False):
        assert 100 * results[measure] == pytest.approx(published, abs=1), measure
