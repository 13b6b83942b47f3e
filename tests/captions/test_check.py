import pytest

from speechcue_hf.captions.check import check_caption

FACTS = {"pitch": "high", "speed": "normal", "volume": None, "gender": "female", "emotion": "angry"}
CUES = ["pitch", "speed", "volume"]
EMOTIONS = ["happy", "sad", "angry"]


@pytest.mark.parametrize(
    ("caption", "wrong"),
    [
        ("A woman speaks with high pitch at normal speed.", None),
        ("Low pitch and normal speed.", "the caption says low pitch, measured is high"),
        ("High pitch, normal speed, loud volume.", "the caption says loud volume, measured is nothing"),
        ("High pitch.", "the caption leaves out the speed"),
        ("A man speaks with high pitch and normal speed.", "the caption says male, known is female"),
        ("High pitch and normal speed: she sounds happy.", "the caption says happy, labelled is angry"),
        ("High pitch and normal speed, not happy but angry.", None),
        ("High pitch and normal speed: angry, or rather sad.", "the caption says sad, labelled is angry"),
        ("He speaks with high pitch and normal speed.", "the caption says male, known is female"),
        ("High pitch, normal speed; not a high pitch.", "the caption denies high pitch, measured is high"),
        ("High pitch, normal speed; the pitch isn't low.", None),
        ("High pitch, normal speed; she does not speak loudly.", "the caption denies loud volume, measured is nothing"),
        ("High pitch and low pitch, normal speed.", "the caption says low pitch, measured is high"),
        ("Fine.", "the caption leaves out the pitch; the caption leaves out the speed"),
    ],
)
def test_what_is_wrong_with_a_caption(caption, wrong):
    assert check_caption(caption, FACTS, CUES, EMOTIONS) == wrong


def test_the_emotion_must_be_named_where_it_is_asked_for():
    assert check_caption("A fine day.", FACTS, ["emotion"]) == "the caption leaves out the emotion"


def test_a_gender_that_is_not_known_is_not_to_be_stated():
    assert check_caption("A man speaks.", {}, []) == "the caption says male, known is nothing"


@pytest.mark.parametrize(
    "transcript", ["He said 'no'. A sad man, speaking loudly.' with low pitch.", "no", '"Low pitch"']
)
def test_a_transcript_is_not_read_whatever_it_holds(transcript):
    caption = f"The female speaker says '{transcript}' with high pitch and normal speed."
    assert check_caption(caption, {**FACTS, "transcript": transcript}, CUES, EMOTIONS) is None


def test_of_what_nothing_is_known_nothing_is_asked():
    assert check_caption("A fine day.", {}, [*CUES, "emotion", "gender"], EMOTIONS) is None


@pytest.mark.parametrize("transcript", ["no and never", "No! Never.", "They say no, never."])
def test_pieces_of_what_is_said_may_be_quoted_one_by_one(transcript):
    known = {"volume": "loud", "transcript": transcript}
    assert check_caption("With loud volume the speaker says 'no' and 'never'.", known, ["volume"]) is None
    wrong = check_caption("With loud volume the speaker says 'no' and 'always'.", known, ["volume"])
    assert wrong == "the caption quotes 'always', which is not said"


def test_what_is_not_said_is_not_to_be_quoted():
    known = {"pitch": "high", "transcript": "I like it, don't you?"}
    assert check_caption("She says 'I LIKE it!' with high pitch.", {**known, "gender": "female"}, ["pitch"]) is None
    wrong = check_caption('The speaker says "I like" and "a lie" with high pitch.', known, ["pitch"])
    assert wrong == "the caption quotes 'a lie', which is not said"
    assert (
        check_caption("“No”, with high pitch.", {"pitch": "high"}, []) == "the caption quotes 'No', which is not said"
    )
