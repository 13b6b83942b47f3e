import pytest

from speechcue_hf.retries import Failure, RetriesEnded, RetryPolicy, persist

AT_ONCE = RetryPolicy(retries=2, first_wait=0.0)


def test_waits_grow_and_honour_the_server():
    policy = RetryPolicy(first_wait=1.0, longest_wait=10.0)
    waits = [[policy.wait(failures, None) for _ in range(200)] for failures in (1, 2, 3, 4, 5, 2000)]
    for longest, drawn in zip((1, 2, 4, 8, 10, 10), waits, strict=True):
        assert longest / 2 <= min(drawn) < max(drawn) <= longest
    assert policy.wait(1, 90.0) == 90.0


@pytest.mark.parametrize("options", [{"retries": -1}, {"first_wait": -1}, {"longest_wait": -1}])
def test_negative_values_are_refused(options):
    with pytest.raises(ValueError):
        RetryPolicy(**options)


def failing(times):
    """A request that fails so many times, and counts how often it was made."""
    made = []

    def request():
        made.append(None)
        if len(made) <= times:
            raise OSError("busy")
        return "answer"

    return request, made


def explain(error):
    return Failure(str(error), heals=True)


def test_what_heals_is_asked_again():
    request, made = failing(2)
    assert (persist(request, explain, AT_ONCE), len(made)) == ("answer", 3)


def test_the_end_names_failure_and_tries():
    request, _ = failing(9)
    with pytest.raises(RetriesEnded, match="busy") as end:
        persist(request, explain, AT_ONCE)
    assert (end.value.tries, end.value.failure.reason) == (3, "busy")


def test_a_pause_can_give_up():
    request, made = failing(9)
    assert persist(request, explain, AT_ONCE, pause=lambda seconds: True) is None
    assert len(made) == 1
