import pytest

from speechcue_hf.captions.reading import (
    read_claims,
    read_denials,
    read_genders,
    read_transcript,
    read_words,
    without_quotes,
)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("with high pitch, normal speed and loud volume", {"pitch": "high", "speed": "normal", "volume": "loud"}),
        ("normal pitch and speed", {"pitch": "normal", "speed": "normal"}),
        ("Pitch and volume are low.", {"pitch": "low", "volume": "quiet"}),
        ("The pitch is very high, the speaking rate remains rather slow.", {"pitch": "high", "speed": "slow"}),
        ("a high-pitched, soft voice", {"pitch": "high", "volume": "quiet"}),
        ("He talks quickly in a deep voice.", {"pitch": "low", "speed": "fast"}),
        (
            "raised volume, increased speaking rate, lower average pitch",
            {"pitch": "low", "speed": "fast", "volume": "loud"},
        ),
        ("Volume: low", {"volume": "quiet"}),
        ("not loud, neither high nor low pitch, and the speed isn't fast", {}),
        ("a high opinion of normal people", {}),
        ("high in pitch, low in volume", {"pitch": "high", "volume": "quiet"}),
        ("The pitch is high and the volume low.", {"pitch": "high", "volume": "quiet"}),
        (
            "a high and steady pitch, which she whispers at a brisk pace",
            {"pitch": "high", "volume": "quiet", "speed": "fast"},
        ),
        ("not only loud but not happy with high pitch", {"volume": "loud", "pitch": "high"}),
        ("low pitch with high variation, high pitch variation, and the volume range is normal", {"pitch": "low"}),
        ("The speaker says 'Louder! A high pitch, don't you see' with low pitch.", {"pitch": "low"}),
        ('"Speak slowly," she said quietly.', {"volume": "quiet"}),
        ("", {}),
    ],
)
def test_levels_that_a_text_states(text, claims):
    assert {claim.cue: claim.word for claim in read_claims(text)} == claims


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("The pitch is not high.", [("pitch", "high")]),
        ("The volume isn't low, without any fast pace.", [("volume", "quiet"), ("speed", "fast")]),
        ("She does not speak loudly, and her pitch isn’t very low.", [("volume", "loud"), ("pitch", "low")]),
        ("Not happy but loud.", []),
        ("He says 'not so loud'.", []),
    ],
)
def test_levels_that_a_text_denies(text, denied):
    assert [(claim.cue, claim.word) for claim in read_denials(text)] == denied


def test_a_claim_knows_its_place():
    text = "The speaker says 'low pitch' with high pitch, quickly."
    assert [text[claim.start : claim.end] for claim in read_claims(text)] == ["high pitch", "quickly"]


def test_two_levels_of_one_cue_are_two_claims():
    assert [claim.word for claim in read_claims("The pitch is low. A high pitch indeed.")] == ["low", "high"]


@pytest.mark.parametrize(
    ("text", "transcript"),
    [
        ("The speaker says 'I'm done.' with low pitch.", "I'm done."),
        ("The speaker says 'That's goin' home, isn't it' with low pitch.", "That's goin' home, isn't it"),
        ("The emotion is sad. The male speaker says 'No'.", "No"),
        ("A woman, saying “Why?” softly.", "Why?"),
        ("The speaker speaks with low pitch.", None),
    ],
)
def test_what_a_caption_quotes(text, transcript):
    assert read_transcript(text) == transcript


def test_quotes_are_blanked_in_place():
    text = "He says 'a woman' to a man."
    assert len(without_quotes(text)) == len(text) and read_genders(text) == {"male"}


def test_words_that_are_denied_are_not_stated():
    assert read_words("She is not happy but very sad; 'angry' is what she says.", ["happy", "sad", "angry"]) == {"sad"}


def test_a_word_within_a_longer_one_is_not_stated():
    assert read_words("A non-neutral voice.", ["neutral", "non-neutral"]) == {"non-neutral"}
    assert read_words("Fine.", []) == set()


def test_pronouns_tell_the_gender():
    assert read_genders("Her voice is loud.") == {"female"} and read_genders("He shouts.") == {"male"}
