import itertools

import numpy as np
import pytest

from speechcue_hf.audio import DAMAGED, ENDS_EARLY
from speechcue_hf.cues.levels import DEGREES, LEVEL_NAMES
from speechcue_hf.cues.loudness import MAINS_HUM
from speechcue_hf.cues.wording import WORDINGS, CueFeatures, put_in_words, wording_sha256

LOWEST, LOW, MEDIUM, HIGH, HIGHEST = range(5)


def one(wording="speechcue", levels=None, values=None, usual=None, level_count=5, note=None, status="ok", **who):
    """Description and impression of one clip. A cue with a level has a value, 1 unless given."""
    levels = levels or {}
    values = {**dict.fromkeys(levels, 1.0), **(values or {})}
    features = CueFeatures(
        values={column: np.array([value], dtype=float) for column, value in values.items()},
        levels={cue: np.array([level]) for cue, level in levels.items()},
        usual={cue: np.array([value], dtype=float) for cue, value in (usual or {}).items()},
        level_count=level_count,
        references=[who.get("reference", "speaker")],
        genders=[who.get("gender")],
        notes=[note],
        statuses=[status],
    )
    descriptions, impressions = put_in_words(wording, features)
    return descriptions[0], impressions[0]


def paper(loudness=-1, loudness_variation=-1, pitch=-1, pitch_sd=-1, pitch_range=-1, rate=-1, level_count=5):
    levels = {
        "intensity_mean_db": loudness,
        "intensity_sd_db": loudness_variation,
        "f0_mean_hz": pitch,
        "f0_sd_hz": pitch_sd,
        "f0_range_hz": pitch_range,
        "articulation_rate_per_s": rate,
    }
    return one("speechcuellm", levels, level_count=level_count)


class TestPaper:
    """Forms that the published dev file shows are in test_describe.py, which compares all of it; here the others."""

    def test_pitch_range_stands_in_for_pitch_sd(self):
        assert "very high pitch with low variation" in paper(pitch=HIGHEST, pitch_range=LOW)[0]
        assert "very high pitch with high variation" in paper(pitch=HIGHEST, pitch_sd=HIGH, pitch_range=LOW)[0]

    def test_a_missing_cue_drops_its_part(self):
        start = "Target speech characteristics: "
        assert paper(rate=LOW)[0] == start + "low speaking rate."
        assert paper(loudness=MEDIUM)[0] == start + "moderate volume."
        assert paper(loudness=MEDIUM, loudness_variation=HIGH)[0] == start + "moderate volume with high variation."

    def test_nothing_measured(self):
        description, impression = paper()
        assert description == "Insufficient data to describe speech characteristics."
        assert "uses a higher pitch with noticeable variation" in impression  # The published defect, kept.

    def test_words_of_other_numbers_of_levels(self):
        # methods.md: the words of 6 and of 4 levels.
        six = ["extremely low", "very low", "low", "moderate", "high", "extremely high"]
        four = ["low", "moderately low", "moderately high", "high"]
        for count, words in ((6, six), (4, four), (3, ["low", "moderate", "high"])):
            said = [paper(rate=level, level_count=count)[0] for level in range(count)]
            assert said == [f"Target speech characteristics: {word} speaking rate." for word in words]

    def test_every_combination_of_levels_is_worded(self):
        for count in LEVEL_NAMES:
            for levels in itertools.product((-1, 0, count - 1), repeat=6):
                description, impression = paper(*levels, level_count=count)
                assert description.endswith(".") and impression.endswith(".")
                assert "  " not in description + impression and "None" not in description + impression


class TestManner:
    def test_everything_as_usual(self):
        levels = dict.fromkeys(("intensity_mean_db", "f0_mean_hz", "articulation_rate_per_s"), MEDIUM)
        description, impression = one(levels=levels, gender="female")
        assert description == "This turn is spoken at her usual volume, pitch and pace."
        assert impression == "Nothing in the voice points to a strong feeling."

    @pytest.mark.parametrize(
        ("ratio", "level", "distance"),
        [
            (2 ** (3 / 12), HIGH, "three semitones above"),
            (2 ** (-1 / 12), LOW, "one semitone below"),
            (2.0, HIGHEST, "an octave above"),
            (2.5, HIGHEST, "more than an octave above"),
            (2 ** (0.2 / 12), HIGH, "slightly above"),
        ],
    )
    def test_pitch_in_semitones(self, ratio, level, distance):
        cue = {"f0_median_hz": level}
        description, _ = one(
            levels=cue, values={"f0_median_hz": 200 * ratio}, usual={"f0_median_hz": 200.0}, gender="male"
        )
        assert description == f"This turn is spoken {distance} his usual pitch."

    def test_median_pitch_goes_before_mean_pitch(self):
        levels = {"f0_median_hz": HIGH, "f0_mean_hz": LOWEST}
        values = {"f0_median_hz": 224.5, "f0_mean_hz": 100.0}
        usual = {"f0_median_hz": 200.0, "f0_mean_hz": 200.0}
        assert "two semitones above" in one(levels=levels, values=values, usual=usual)[0]

    @pytest.mark.parametrize(
        ("reference", "gender", "expected"),
        [
            ("speaker", "female", "This turn is spoken much louder than usual, at her usual pace."),
            ("speaker", None, "This turn is spoken much louder than usual, at their usual pace."),
            ("past", "male", "This turn is spoken much louder than before, at his earlier pace."),
            ("gender", "male", "For a man, this turn is spoken much louder than average, at the average pace."),
            ("overall", "male", "This turn is spoken much louder than average, at the average pace."),
        ],
    )
    def test_says_whose_habit_it_compares_with(self, reference, gender, expected):
        levels = {"intensity_mean_db": HIGHEST, "articulation_rate_per_s": MEDIUM}
        assert one(levels=levels, reference=reference, gender=gender)[0] == expected

    def test_equal_degrees_are_said_once(self):
        levels = {"intensity_mean_db": LOW, "articulation_rate_per_s": HIGH}
        assert one(levels=levels)[0] == "This turn is spoken a little more softly and faster than usual."
        levels["articulation_rate_per_s"] = HIGHEST
        assert one(levels=levels)[0] == "This turn is spoken a little more softly and much faster than usual."

    def test_coarse_levels_have_no_degrees(self):
        assert one(levels={"intensity_mean_db": 2}, level_count=3)[0] == "This turn is spoken louder than usual."
        assert one(levels={"intensity_mean_db": 3}, level_count=4)[0] == "This turn is spoken louder than usual."


class TestFurtherCues:
    def test_intonation_and_volume(self):
        levels = {"intensity_mean_db": MEDIUM, "f0_sd_semitones": HIGHEST, "intensity_sd_db": LOW}
        assert "The intonation is much livelier and the volume a little more even than usual." in one(levels=levels)[0]

    @pytest.mark.parametrize(
        ("slope", "level", "said"),
        [
            (12.0, HIGH, "The pitch rises at the end."),
            (-12.0, LOWEST, "The pitch falls at the end."),
            (-12.0, MEDIUM, ""),  # As the speaker always ends.
            (2.0, HIGHEST, ""),  # Below what is heard as a glide.
            (-12.0, HIGH, ""),  # Less of a fall than usual is no rise.
        ],
    )
    def test_ending(self, slope, level, said):
        cue = "final_contour_semitones_per_s"
        description, _ = one(levels={"intensity_mean_db": MEDIUM, cue: level}, values={cue: slope})
        assert description.removeprefix("This turn is spoken at their usual volume.").strip() == said

    def test_voice_is_rough_only_when_two_signs_agree(self):
        levels = {"intensity_mean_db": MEDIUM, "jitter_local_ratio": HIGHEST}
        assert "rougher" not in one(levels=levels)[0]
        assert "The voice sounds a little rougher" in one(levels={**levels, "shimmer_local_ratio": HIGH})[0]
        assert "The voice sounds much rougher" in one(levels={**levels, "hnr_mean_db": LOWEST})[0]
        assert "rougher" not in one(levels={**levels, "shimmer_local_ratio": LOWEST})[0]

    def test_pause_and_timing(self):
        def said(**values):
            return one(levels={"intensity_mean_db": MEDIUM}, values=values)[0].partition(". ")[2]

        assert said(longest_pause_s=0.84) == "The longest pause lasts 0.8 s."
        assert said(longest_pause_s=0.3) == ""
        assert said(turn_latency_s=-0.52, overlap_s=0.52) == "The turn overlaps the previous one by 0.5 s."
        assert said(turn_latency_s=1.6, overlap_s=0.0) == "The turn starts 1.6 s after the previous one."
        assert said(turn_latency_s=40.0, overlap_s=0.0) == ""

    def test_reliability(self):
        def said(status="ok", note=None, **values):
            levels = {"intensity_mean_db": MEDIUM, "f0_mean_hz": HIGH, "f0_sd_hz": HIGH}
            return one(levels=levels, values=values, status=status, note=note)[0]

        assert "noisy" in said(snr_db=2.0)
        assert "noisy" not in said(snr_db=20.0) + said()
        assert "clipped, so the volume is uncertain" in said(clipped_ratio=0.02)
        assert "holds more than this turn" in said(status="miscut")
        for early in ({"status": "truncated"}, {"note": f"{ENDS_EARLY}; pitch: no voiced frames"}):
            assert "the file ends early, so this is about its beginning only." in said(**early).lower()
        assert "the file is damaged in places, which were left out." in said(note=DAMAGED).lower()
        assert "a mains hum lies under the voice, so this is uncertain." in said(note=f"recording: {MAINS_HUM}").lower()
        unvoiced = said(voiced_s=0.05)
        assert unvoiced == "This turn is spoken at their usual volume. Too little of it is voiced to judge its pitch."

    def test_short_clip(self):
        description, impression = one(levels={"intensity_mean_db": HIGHEST}, values={"duration_s": 0.14})
        assert description == "The clip lasts 0.14 s: too short to judge how it is spoken."
        assert impression == "No impression can be drawn from this clip."

    def test_unmeasured_clip(self):
        nothing = {"intensity_mean_db": np.nan, "duration_s": np.nan}
        assert one(values=nothing, note="audio missing")[0] == "The speech was not measured: audio missing."
        assert one(values=nothing)[0] == "The speech was not measured."
        assert one(values=nothing)[1] == "No impression can be drawn from this clip."


class TestImpression:
    @pytest.mark.parametrize(
        ("loudness", "pitch", "rate", "word"),
        [
            (HIGHEST, HIGHEST, HIGH, "much more animated than usual"),
            (HIGH, HIGH, HIGH, "more animated than usual"),
            (LOWEST, LOWEST, LOW, "much more subdued than usual"),
            (LOW, LOW, LOW, "more subdued than usual"),
            (HIGH, LOW, MEDIUM, "louder but lower"),
            (LOW, HIGH, MEDIUM, "softer but higher"),
            (HIGH, MEDIUM, LOW, "louder but slower"),
            (LOW, MEDIUM, HIGH, "softer but faster"),
            (MEDIUM, HIGH, LOW, "different directions"),
            (HIGH, HIGH, -1, "more animated than usual"),
            (HIGHEST, -1, -1, "No impression"),
        ],
    )
    def test_tone(self, loudness, pitch, rate, word):
        levels = {"intensity_mean_db": loudness, "f0_mean_hz": pitch, "articulation_rate_per_s": rate}
        assert word in one(levels={cue: level for cue, level in levels.items() if level >= 0})[1]

    def test_every_reading_is_hedged(self):
        degrees = range(len(DEGREES[5]))
        for loudness, pitch, rate, variation in itertools.product(degrees, repeat=4):
            levels = {"intensity_mean_db": loudness, "f0_mean_hz": pitch, "f0_sd_hz": variation}
            levels["articulation_rate_per_s"] = rate
            _, impression = one(levels=levels)
            for sentence in impression.removesuffix(".").split(". "):
                assert "may" in sentence or "strong feeling" in sentence or "no one feeling" in sentence


def test_what_was_not_measured_is_not_said():
    """Each cue beside an ordinary volume, at every level: no word of any other cue."""
    words = {
        "intensity_sd_db": ("even ", "varied"),
        "f0_median_hz": ("usual pitch", "semitone"),
        "f0_sd_semitones": ("intonation",),
        "articulation_rate_per_s": ("pace", "fast", "slow"),
        "final_contour_semitones_per_s": ("rises", "falls"),
        "spectral_tilt_db_per_octave": ("bright", "dull"),
        "longest_pause_s": ("pause",),
        "overlap_s": ("overlaps", "early"),
    }
    for cue, level in itertools.product(words, range(5)):
        levels = {"intensity_mean_db": MEDIUM, cue: level}
        values = {cue: 20.0 if level > MEDIUM else -20.0}
        text = " ".join(one(levels=levels, values=values, usual={cue: 20.0}))
        assert any(word in text for word in words[cue]) or level <= MEDIUM
        for other in set(words) - {cue}:
            assert not any(word in text for word in words[other]), (cue, level, text)


def test_hash_follows_the_templates():
    assert len({wording_sha256(wording) for wording in WORDINGS}) == len(WORDINGS)
    assert wording_sha256("speechcue") == wording_sha256("speechcue")
