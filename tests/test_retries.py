import pytest

from speechcue_hf.retries import Failure, RetriesEnded, RetryPolicy, persist, quoted

AT_ONCE = RetryPolicy(retries=2, first_wait=0.0)


def test_waits_grow_and_honour_the_server():
    policy = RetryPolicy(first_wait=1.0, longest_wait=10.0)
    waits = [[policy.wait(failures, None) for _ in range(200)] for failures in (1, 2, 3, 4, 5, 2000)]
    for longest, drawn in zip((1, 2, 4, 8, 10, 10), waits, strict=True):
        assert longest / 2 <= min(drawn) < max(drawn) <= longest
    assert policy.wait(1, 90.0) == 90.0


@pytest.mark.parametrize("asked", [86_400.0, 2.5e11])
def test_what_a_server_asks_for_is_capped_and_told(asked, caplog):
    request, waits = failing(1)[0], []
    policy = RetryPolicy(longest_asked_wait=120.0)
    answer = persist(request, lambda error: Failure("busy", heals=True, asked_wait=asked), policy, waits.append)
    assert (answer, waits) == ("answer", [120.0])
    assert caplog.messages == [
        f"busy; it asks for {asked:.0f} s of rest, trying again in 120 s, the most that is waited"
    ]


def test_a_long_wait_is_told(caplog):
    caplog.set_level("INFO", logger="speechcue_hf")
    for asked in (5.0, 20.0):
        persist(failing(1)[0], lambda error, asked=asked: Failure("busy", True, asked_wait=asked), RetryPolicy(), id)
    assert caplog.messages == ["busy; trying again in 20 s"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("wrong key sk-ab12345678", "wrong key ***"),
        ("wrong key sk-ab***…678.", "wrong key ***"),
        ("Bearer abc is not known", "*** is not known"),
        ("http://ann:hush@host/v1", "http://***@host/v1"),
        ("key 'private0-key1' and private0-k...", "key '***' and ***"),
        ("the sky is key1", "the sky is key1"),
        ("x" * 900, "x" * 200),
    ],
)
def test_what_looks_like_a_secret_is_masked(said, kept):
    assert quoted(said, "private0-key1", None) == kept


@pytest.mark.parametrize(
    "options", [{"retries": -1}, {"first_wait": -1}, {"longest_wait": -1}, {"longest_asked_wait": -1}]
)
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
