import pytest

from speechcue_hf.generation.failures import Patience


def test_waits_grow_and_honour_the_server():
    patience = Patience(first_wait=1.0, longest_wait=10.0)
    waits = [[patience.wait(failures, None) for _ in range(200)] for failures in (1, 2, 3, 4, 5, 2000)]
    for longest, drawn in zip((1, 2, 4, 8, 10, 10), waits, strict=True):
        assert longest / 2 <= min(drawn) < max(drawn) <= longest
    assert patience.wait(1, 90.0) == 90.0


@pytest.mark.parametrize("options", [{"timeout": 0}, {"retries": -1}, {"first_wait": -1}, {"longest_wait": -1}])
def test_wrong_patience_is_refused(options):
    with pytest.raises(ValueError):
        Patience(**options)
