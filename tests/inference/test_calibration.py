import pytest

from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.calibration import blank_rows, label_shares, named_prior
from speechcue_hf.inference.settings import CLOSED_SET, InferenceSettings
from tests.tiny_chat import LABELS, described_split


def test_shares_are_of_the_rows_that_have_a_label():
    rows = described_split()
    counts = [sum(emotion == place for emotion in rows["emotion"]) for place in range(len(LABELS))]
    assert label_shares(rows, LABELS) == pytest.approx([count / 11 for count in counts])


def test_a_prior_that_nothing_tells_is_refused_with_what_needs_none():
    rows = described_split()
    unlabelled = rows.map(lambda row: {"emotion": None}, features=rows.features)
    for train, said in (
        (None, "there is none"),
        (rows.select([]), "none of whose rows"),
        (unlabelled, "none of whose"),
    ):
        with pytest.raises(EvaluationError, match=f"{said}.*take --normalisation contextual"):
            label_shares(train, LABELS)
    with pytest.raises(EvaluationError, match="which has other labels"):
        label_shares(rows, LABELS[::-1])


def test_a_prior_counts_only_where_it_is_asked_for_by_name():
    rows = described_split()
    for settings in (CLOSED_SET, InferenceSettings(normalisation="contextual")):
        assert named_prior(settings, rows, LABELS, LABELS) == {}
    words = [label.upper() for label in LABELS]
    prior = named_prior(InferenceSettings(normalisation="prior"), rows, LABELS, words)["prior"]
    assert list(prior) == words and sum(prior.values()) == pytest.approx(1)


def test_nothing_is_said_in_blank_rows():
    blank = blank_rows(described_split())
    assert set(blank["text"]) == set(blank["speech_description"]) == {""}
    assert blank["speaker"][:] == described_split()["speaker"][:] and blank.features == described_split().features
