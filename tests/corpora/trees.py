"""Builds small corpora in the true formats of the releases, quirks included."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
import soundfile

APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "


@cache
def wav(duration: float, rate: int = 16000) -> bytes:
    """A mono sine of 200 Hz."""
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * 200 * np.arange(round(duration * rate)) / rate), rate, format="WAV")
    return file.getvalue()


@cache
def mp4(duration: float, rate: int = 48000) -> bytes:
    """A video with a stereo AAC track: a sine of 200 Hz, half as loud on the right."""
    file = io.BytesIO()
    sine = 0.5 * np.sin(2 * np.pi * 200 * np.arange(round(duration * rate)) / rate)
    sound = av.AudioFrame.from_ndarray(np.stack([sine, sine / 2]).astype(np.float32), format="fltp", layout="stereo")
    sound.sample_rate = rate
    picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
    with av.open(file, "w", format="mp4") as container:
        video = container.add_stream("mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p")
        audio = container.add_stream("aac", rate=rate, layout="stereo")
        for stream, frame in ((video, picture), (video, None), (audio, sound), (audio, None)):
            for packet in stream.encode(frame):
                container.mux(packet)
    return file.getvalue()


@dataclass(frozen=True)
class IemocapTurn:
    """One turn; ``number`` such as ``F000`` or ``MXX0``, ``categories`` one string per annotator, as in the file."""

    number: str
    start: float
    end: float
    text: str
    label: str = "neu"
    categories: tuple[str, ...] = ("Neutral state;", "Neutral state;", "Neutral state;")


IEMOCAP_DIALOGUES = {
    "Ses01F_impro01": [
        IemocapTurn("F000", 6.2901, 8.2357, "Excuse me."),
        # starts before the turn above ends, and stands after it although it starts earlier than it: as transcribed
        IemocapTurn("M000", 6.1, 11.3, "Do you  have your forms? [LAUGHTER]", "fru", ("Frustration;", "Anger;")),
        IemocapTurn("FXX0", 11.5, 11.9, "Uh-huh."),
        IemocapTurn("F001", 12.0, 14.5, "Yeah.", "xxx", ("Happiness;", "Excited;", "Happiness; Surprise;")),
        IemocapTurn("M001", 14.5, 16.0, "Let me see them.", "xxx", ("Happiness;", "Surprise; Happiness;", "Other;")),
        IemocapTurn("F002", 16.0, 17.0, "Oh!", "sur", ("Surprise;", "Surprise;")),
    ],
    "Ses01M_impro01": [IemocapTurn("M000", 1.0, 2.0, "Hi.", "hap", ("Happiness;", "Happiness;"))],
    "Ses02F_impro01": [
        IemocapTurn("F000", 0.5, 2.0, "No.", "ang", ("Anger;", "Anger;")),
        IemocapTurn("M000", 2.0, 4.0, "Why?", "sad", ("Sadness;", "Sadness;")),
    ],
    "Ses05F_impro01": [
        IemocapTurn("M000", 1.0, 3.0, "We did it!", "exc", ("Excited;", "Excited;")),
        IemocapTurn("F000", 3.0, 4.0, "We did.", "neu"),
        IemocapTurn("F001", 4.0, 4.5, "What?", "dis", ("Disgust;", "Disgust;")),
    ],
}


def iemocap(root: Path, clip: bytes | None = None) -> Path:
    """A release of four dialogues; returns its folder."""
    folder = root / "IEMOCAP_full_release"
    for dialogue, turns in IEMOCAP_DIALOGUES.items():
        iemocap_dialogue(folder, dialogue, turns, clip or wav(0.5))
    for session in ("Session3", "Session4"):
        (folder / session).mkdir()
    session = folder / "Session1"
    evaluation = session / "dialog/EmoEvaluation/Ses01F_impro01.txt"
    for kind in ("Categorical", "Attribute", "Self-evaluation"):
        (evaluation.parent / kind).mkdir()
        (evaluation.parent / kind / "Ses01F_impro01_e2_cat.txt").write_text("Ses01F_impro01_F000 :Neutral state; ()\n")
    clips = session / "sentences/wav/Ses01F_impro01"
    for file in (evaluation, session / "dialog/transcriptions/Ses01F_impro01.txt", clips / "Ses01F_impro01_F000.wav"):
        (file.parent / f"._{file.name}").write_bytes(APPLE_DOUBLE)
    (clips.parent / "._Ses01F_impro01").write_bytes(APPLE_DOUBLE)
    return folder


def iemocap_dialogue(folder: Path, dialogue: str, turns: Sequence[IemocapTurn], clip: bytes) -> None:
    """Write transcription, evaluation (sorted by name, without XX turns) and clips of one dialogue."""
    session = folder / f"Session{dialogue[4]}"
    transcription = session / "dialog/transcriptions" / f"{dialogue}.txt"
    evaluation = session / "dialog/EmoEvaluation" / f"{dialogue}.txt"
    clips = session / "sentences/wav" / dialogue
    for path in (transcription.parent, evaluation.parent, clips):
        path.mkdir(parents=True, exist_ok=True)
    transcription.write_text("".join(f"{_transcribed(dialogue, turn)}\n" for turn in turns))
    numbered = sorted((turn for turn in turns if "XX" not in turn.number), key=lambda turn: turn.number)
    blocks = "".join(_evaluated(dialogue, turn) for turn in numbered)
    evaluation.write_text("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + blocks)
    for turn in numbered:
        (clips / f"{dialogue}_{turn.number}.wav").write_bytes(clip)


def _transcribed(dialogue: str, turn: IemocapTurn) -> str:
    return f"{dialogue}_{turn.number} [{turn.start:08.4f}-{turn.end:08.4f}]: {turn.text}"


def _evaluated(dialogue: str, turn: IemocapTurn) -> str:
    annotators = [f"C-E{number}" for number in range(2, len(turn.categories) + 1)] + ["C-F1"]
    named = "".join(f"{who}:\t{names}\t()\n" for who, names in zip(annotators, turn.categories, strict=True))
    return (
        f"[{turn.start:.4f} - {turn.end:.4f}]\t{dialogue}_{turn.number}\t{turn.label}\t[2.5000, 3.0000, 3.5000]\n"
        f"{named}A-E3:\tval 3; act 2; dom  2;\t()\nA-F1:\tval 2; act 3; dom  3;\t()\n\n"
    )


MELD_HEADER = ["Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"]
MELD_HEADER += ["Season", "Episode", "StartTime", "EndTime"]
MELD_ROWS = {
    "train": [
        ("1", "also I was the point person on my company’s transition.", "Chandler", "neutral", "neutral", 0, 0),
        ("2", "“Really”—you must’ve…", "The Interviewer", "surprise", "positive", 0, 1),
        ("4", "None", "Chandler", "joy", "positive", 0, 3),
        ("3", "That I did.\nTwice.", "Chandler", "neutral", "neutral", 0, 2),
        ("5", "Can you believe it?", "Ross", "neutral", "neutral", 125, 3),
        ("6", "N/A", "Ross", "anger", "negative", 125, 10),
        ("7", "She runs.", "Ross", "neutral", "neutral", 309, 0),
    ],
    "dev": [
        ("1", "Oh my God!", "Phoebe", "surprise", "negative", 0, 0),
        ("1153", "Nobody has this.", "Joey", "neutral", "neutral", 110, 7),
    ],
    "test": [
        ("1", "Why?", "Rachel", "sadness", "negative", 0, 0),
        ("2", "Oh it's great.", "Rachel", "disgust", "negative", 38, 4),
        ("3", "What's that smell?", "Phoebe", "fear", "negative", 220, 0),
    ],
}
MELD_MEDIA = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}


def meld_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write annotations in today's form; rows without season, episode and times get some."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(MELD_HEADER)
        writer.writerows([*row, 8, 21, "00:16:16,059", "0:16:21,731"][: len(MELD_HEADER)] for row in rows)


def meld(root: Path, media: bool = True) -> Path:
    """A release of a few dialogues with one bad clip of each kind; returns its folder."""
    folder = root / "MELD.Raw"
    for name, rows in MELD_ROWS.items():
        meld_csv(folder / f"{name}_sent_emo.csv", rows)
        if media:
            meld_clips(folder / MELD_MEDIA[name], rows)
    if media:
        (folder / "train_splits/dia125_utt3.mp4").write_bytes(mp4(0.5)[:200])
        (folder / "dev_splits_complete/dia110_utt7.mp4").unlink()
        (folder / "dev_splits_complete/dia49_utt4.mp4").write_bytes(mp4(0.5))
        for twin in ("final_videos_testdia0_utt0.mp4", "._dia0_utt0.mp4"):
            (folder / "output_repeated_splits_test" / twin).write_bytes(APPLE_DOUBLE)
    return folder


def meld_clips(folder: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write the clip of each row."""
    folder.mkdir(parents=True)
    for row in rows:
        (folder / f"dia{row[5]}_utt{row[6]}.mp4").write_bytes(mp4(0.5))


def first_release(text: str) -> str:
    """Today's MELD csv as the first release had it: cp1252 control characters for punctuation, no-break spaces."""
    control = {code: bytes([code]).decode("cp1252") for code in (0x85, *range(0x91, 0x98))}
    for code, character in control.items():
        text = text.replace(character, chr(code))
    return text.replace("I was", "I\xa0was")


LIBRITTS_TEXTS = {
    "train-clean-100/103/1241/103_1241_000000_000002": ("Mister Smith went home.", "Mr. Smith went home."),
    "train-clean-100/103/1241/103_1241_000000_000001": ("Hello.", "Hello."),
    "train-other-500/20/205/20_205_000000_000000": ("It rained.", "It rained."),
    "dev-clean/84/121123/84_121123_000007_000001": ("Yes.", "Yes."),
}


def libritts(root: Path) -> Path:
    """Two readers of train and one of dev, clips out of order; returns its folder."""
    folder = root / "LibriTTS"
    for name, (text, original) in LIBRITTS_TEXTS.items():
        stem = folder / name
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_name(f"{stem.name}.wav").write_bytes(wav(0.5, 24000))
        stem.with_name(f"{stem.name}.normalized.txt").write_text(text)
        stem.with_name(f"{stem.name}.original.txt").write_text(original)
        stem.with_name("103_1241.trans.tsv").write_text("not read")
    lines = ["READER\tGENDER\tSUBSET\tNAME", "103\tF\ttrain-clean-100\tKaren", "20\tF\ttrain-other-500\tGesine"]
    (folder / "speakers.tsv").write_text("\n".join([*lines, "84\tM\tdev-clean\tChristie Nowak"]) + "\n")
    return folder


def acted(folder: Path, names: Iterable[str]) -> Path:
    """Clips of the given names, with the leavings of a Mac; returns the folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(wav(0.5))
        (folder / name).with_name(f"._{Path(name).name}").write_bytes(APPLE_DOUBLE)
    return folder


def ravdess(root: Path) -> Path:
    """A clip of an actor of each split, and a song."""
    names = ("01/03-01-05-02-01-01-01", "02/03-01-01-01-02-02-02", "18/03-01-08-01-01-01-18", "24/03-01-06-01-02-01-24")
    return acted(root / "RAVDESS", [f"Actor_{name}.wav" for name in (*names, "01/03-02-05-01-01-01-01")])


def crema_d(root: Path) -> Path:
    """A clip of an actor of each split, and the one of the short name."""
    names = ("1001_IEO_ANG_HI", "1040_ITH_SAD_X", "1070_DFA_NEU_XX", "1091_WSI_HAP_XX")
    folder = acted(root / "CREMA-D", [f"AudioWAV/{name}.wav" for name in names])
    lines = ['"ActorID","Age","Sex","Race","Ethnicity"', '1001,51,"Male","Caucasian","Not Hispanic"']
    lines += [f'{actor},30,"{sex}","Asian","Not Hispanic"' for actor, sex in ((1040, "Male"), (1070, "Male"))]
    (folder / "VideoDemographics.csv").write_text("\n".join([*lines, '1091,29,"Female","Asian","Not Hispanic"']) + "\n")
    return folder


def emodb(root: Path) -> Path:
    """Clips of a man and a woman to train, and of a man to test."""
    return acted(root / "EmoDB", [f"wav/{name}.wav" for name in ("03a01Fa", "03a01Nc", "08b10Wa", "12a05Lb")])
