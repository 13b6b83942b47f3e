import json

import numpy as np
import pytest

from speechcue_hf.metrics.scores import (
    accuracy,
    classification_metrics,
    confusion_matrix,
    invalid_rate,
    macro_f1,
    per_class_table,
    unweighted_accuracy,
    weighted_f1,
)

LABELS = ["a", "b", "c"]
# Worked by hand: a has 2 hits, 1 false alarm (from c), 2 misses; b 1 hit, 1 false alarm, 0 misses; c 0 hits.
REFERENCES = [0, 0, 0, 0, 1, 2]
PREDICTIONS = [0, 0, 1, None, 1, 0]
F1_A, F1_B = 4 / 7, 2 / 3


def test_scores_worked_by_hand():
    assert weighted_f1(REFERENCES, PREDICTIONS) == pytest.approx((4 * F1_A + 1 * F1_B) / 6)
    assert macro_f1(REFERENCES, PREDICTIONS) == pytest.approx((F1_A + F1_B) / 3)
    assert accuracy(REFERENCES, PREDICTIONS) == pytest.approx(3 / 6)
    assert invalid_rate(PREDICTIONS) == pytest.approx(1 / 6)


def test_unweighted_accuracy_is_balanced_accuracy():
    """Against scikit-learn's own, which takes an invalid answer for one more class that is never right."""
    from sklearn.metrics import balanced_accuracy_score

    answers = [3 if answer is None else answer for answer in PREDICTIONS]
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert unweighted_accuracy(REFERENCES, PREDICTIONS) == balanced_accuracy_score(REFERENCES, answers)
    assert unweighted_accuracy(REFERENCES, PREDICTIONS) == pytest.approx((2 / 4 + 1 + 0) / 3)


def test_an_invalid_answer_is_never_better_than_a_wrong_one():
    wrong = [0, 0, 1, 2, 1, 0]
    assert accuracy(REFERENCES, PREDICTIONS) == accuracy(REFERENCES, wrong)
    assert per_class_table(REFERENCES, PREDICTIONS, LABELS)["a"]["recall"] == pytest.approx(2 / 4)


def test_everything_invalid_scores_nothing():
    nothing = [None] * len(REFERENCES)
    assert weighted_f1(REFERENCES, nothing) == macro_f1(REFERENCES, nothing) == accuracy(REFERENCES, nothing) == 0
    assert invalid_rate(nothing) == 1


def test_per_class_table():
    table = per_class_table(REFERENCES, PREDICTIONS, LABELS)
    assert table["a"] == pytest.approx({"precision": 2 / 3, "recall": 2 / 4, "f1": F1_A, "support": 4})
    assert table["c"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}


def test_confusion_matrix_has_an_invalid_column():
    np.testing.assert_array_equal(
        confusion_matrix(REFERENCES, PREDICTIONS, LABELS), [[2, 1, 0, 1], [0, 1, 0, 0], [1, 0, 0, 0]]
    )


def test_a_class_without_utterances_stays_out_of_the_macro_average():
    assert macro_f1([0, 1], [0, 1]) == 1
    assert classification_metrics([0, 1], [0, 1], LABELS)["macro_f1"] == 1


def test_all_metrics_are_json():
    results = classification_metrics(REFERENCES, PREDICTIONS, LABELS)
    assert json.loads(json.dumps(results)) == results
    assert results["n"] == sum(map(sum, results["confusion_matrix"]["counts"])) == 6


@pytest.mark.parametrize(("references", "predictions"), [([], []), ([0, 1], [0])])
def test_rows_must_match(references, predictions):
    with pytest.raises(ValueError, match="as many predictions"):
        weighted_f1(references, predictions)
