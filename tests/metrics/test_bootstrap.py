import numpy as np
import pytest

from speechcue_hf.metrics.bootstrap import (
    bootstrap_weighted_f1,
    counts_by_dialogue,
    few_dialogues_warning,
    interval,
    sign_probability,
    weighted_f1_from_counts,
)
from speechcue_hf.metrics.scores import weighted_f1

LABELS = ["a", "b", "c"]


@pytest.fixture
def rows():
    generator = np.random.default_rng(1)
    dialogues = np.repeat([f"d{index}" for index in range(40)], 8)
    references = generator.choice(3, size=320, p=[0.6, 0.3, 0.1])
    right = generator.random(320) < 0.6
    predictions = np.where(right, references, generator.choice([0, 1, 2, -1], size=320))
    return dialogues, references, [None if value < 0 else int(value) for value in predictions]


def test_counts_give_the_weighted_f1_of_scikit_learn(rows):
    dialogues, references, predictions = rows
    counts = counts_by_dialogue(dialogues, references, predictions, LABELS)
    assert counts.shape == (40, 3, 4) and (counts.sum(axis=(1, 2)) == 8).all()
    assert weighted_f1_from_counts(counts.sum(axis=0)) == pytest.approx(weighted_f1(references, predictions))


def test_draws_equal_scoring_the_drawn_rows_one_by_one(rows):
    dialogues, references, predictions = rows
    counts = counts_by_dialogue(dialogues, references, predictions, LABELS)
    fast = bootstrap_weighted_f1(counts, draws=20, seed=3)
    names = np.unique(dialogues)
    weights = np.random.default_rng(3).multinomial(len(names), np.full(len(names), 1 / len(names)), size=20)
    for score, weight in zip(fast, weights, strict=True):
        chosen = [
            row
            for name, times in zip(names, weight, strict=True)
            for row in np.flatnonzero(dialogues == name).tolist() * times
        ]
        assert score == pytest.approx(weighted_f1(references[chosen], [predictions[row] for row in chosen]))


def test_interval_covers_the_truth_about_as_often_as_it_says():
    """Accuracy-like task with known expectation: 95 % intervals of repeated test sets hold it about 95 times in 100."""
    generator = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        hits = generator.binomial(10, 0.7, size=60)
        counts = np.zeros((60, 1, 2), dtype=int)
        counts[:, 0, 0], counts[:, 0, 1] = hits, 10 - hits
        low, high = interval(bootstrap_weighted_f1(counts, draws=400, seed=seed))
        held += low <= 2 * 0.7 / 1.7 <= high
    assert 180 <= held <= 199


def test_draws_are_reproducible_and_seeded(rows):
    counts = counts_by_dialogue(*rows, LABELS)
    np.testing.assert_array_equal(bootstrap_weighted_f1(counts, seed=1), bootstrap_weighted_f1(counts, seed=1))
    assert (bootstrap_weighted_f1(counts, seed=1) != bootstrap_weighted_f1(counts, seed=2)).any()


def test_sign_probability():
    assert sign_probability(np.array([1.0] * 999)) == pytest.approx(2 / 1000)
    assert sign_probability(np.array([1.0, -1.0] * 50)) == 1
    assert sign_probability(np.zeros(99)) == 1


def test_chance_differences_are_rarely_called_real():
    """Of 100 pairs of equally good systems about 5 should fall below p = 0.05."""
    small = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        true = generator.choice(3, size=160)
        answers = [np.where(generator.random(160) < 0.6, true, (true + 1) % 3).tolist() for _ in range(2)]
        counts = [counts_by_dialogue(np.arange(160) // 8, true, answer, LABELS) for answer in answers]
        first, second = (bootstrap_weighted_f1(count, draws=300, seed=seed) for count in counts)
        small += sign_probability(second - first) < 0.05
    assert 1 <= small <= 12


@pytest.mark.parametrize(("dialogues", "warned"), [(1, "1 dialogue is too few"), (19, "19 dialogues are"), (20, None)])
def test_too_few_dialogues_are_said(dialogues, warned):
    warning = few_dialogues_warning(dialogues)
    assert warning is None if warned is None else warned in warning
