"""Mutated clips, playlists and what else lies where a clip should: each costs its own row a note, and nothing more."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import soundfile

from speechcue_hf.corpora.parquet import read_dataset
from tests.campaign.commands import expect, speechcue
from tests.campaign.fault import Fault
from tests.campaign.mutations import bits_flipped, cut, mutated, piece_doubled, piece_lost, piece_overwritten
from tests.campaign.surroundings import LISTENER
from tests.corpora import trees
from tests.media import as_wav, encoded, speex, spoken

FROZEN = Path(__file__).parents[1] / "upgrade" / "0.1.0"
CLIPS = 4
"""Mutated ones in a conversation, beside one that is whole."""
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".webm", ".mkv", ".mp4", ".avi", ".m3u8", ".sdp", ".txt", ".raw", "")
EXTREMES = (0, 1, 2**31 - 1, 2**32 - 1, 2**31, 96_000_001, 16_800_000, 44, 0x7FFF0000)
HEADER = 400
"""Bytes at the beginning where most fields are."""

Attempt = Callable[[Random, Path], Iterator[str]]


def ready(folder: Path) -> Attempt:
    """Encode a sentence in each format, and fit a describer."""
    folder.mkdir(parents=True)
    canary = folder / "canary.wav"
    canary.write_bytes(trees.wav(1.0))
    shutil.copytree(FROZEN / "runs" / "chat", folder / "chat")
    (folder / "chat" / "base_model").symlink_to(FROZEN / "models" / "chat")
    return partial(attempt, encodings(), canary, folder / "chat")


def encodings() -> dict[str, bytes]:
    """Suffix → a sentence of two seconds, by the encoders that are there."""
    voice = spoken()[:32_000]
    both = np.stack([voice, 0.5 * voice], axis=1)
    made = {
        ".wav": as_wav(voice),
        ".stereo.wav": as_wav(both),
        ".float.wav": as_wav(voice, subtype="FLOAT"),
        ".ima.wav": as_wav(voice, subtype="IMA_ADPCM"),
        ".speex.ogg": speex(),
        ".mp4": trees.mp4(2.0),
    }
    for suffix, form, subtype in (
        (".flac", "FLAC", "PCM_16"),
        (".ogg", "OGG", "VORBIS"),
        (".opus.ogg", "OGG", "OPUS"),
        (".aiff", "AIFF", "PCM_16"),
        (".w64", "W64", "PCM_16"),
        (".caf", "CAF", "PCM_16"),
    ):
        soundfile.write(path := f"/tmp/{os.getpid()}{suffix}", voice, 16_000, subtype=subtype, format=form)
        made[suffix] = Path(path).read_bytes()
        Path(path).unlink()
    for suffix, form, codec in (
        (".mp3", "mp3", "libmp3lame"),
        (".webm", "webm", "libopus"),
        (".mkv", "matroska", "aac"),
        (".m4a", "mp4", "aac"),
        (".avi", "avi", "ac3"),
        (".wma", "asf", "wmav2"),
        (".tta", "tta", "tta"),
        (".mov", "mov", "alac"),
        (".ts", "mpegts", "mp2"),
        (".flv", "flv", "aac"),
    ):
        made[suffix] = encoded(
            voice if codec != "libopus" else spoken(48_000)[:96_000],
            48_000 if codec in ("libopus", "ac3") else 16_000,
            form,
            codec,
        )
    return made


def attempt(sounds: dict[str, bytes], canary: Path, run: Path, random: Random, folder: Path) -> Iterator[str]:
    """A conversation of whole and mutated clips goes from the folder to descriptions."""
    source = folder / "conversation"
    source.mkdir()
    (source / "whole.wav").write_bytes(sounds[".wav"])
    names, foreign = ["whole.wav"], set()
    for place in range(CLIPS):
        suffix = random.choice(SUFFIXES) if random.random() < 0.2 else "." + random.choice([*sounds]).split(".")[-1]
        path = source / f"{place}{suffix}"
        if random.random() < 0.15:
            yield f"{path.name}: {place_stranger(random, path, canary)}"
            foreign.add(path.name)
        else:
            kind = random.choice([*sounds])
            data, does = mutate(random, sounds[kind])
            path.write_bytes(data)
            yield f"{path.name}: {kind} {does}"
        names.append(path.name)
    write_metadata(source, names)
    check_described(source, folder, names, foreign)
    if random.random() < 0.1:
        yield "predict"
        predict(source, folder, run, len(names))


def write_metadata(folder: Path, names: list[str]) -> None:
    lines = [f"{name},talk,{turn},{'AB'[turn % 2]},happy,Well." for turn, name in enumerate(names)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,dialogue_id,utterance_id,speaker,emotion,text", *lines]))


def check_described(source: Path, folder: Path, names: list[str], foreign: set[str]) -> None:
    """Every row arrives, the whole clip is measured, and no stranger's second file is heard.

    Raises:
        Fault: If not.
    """
    expect("prepare", "folder", "--data-dir", source, "-o", folder / "prepared")
    expect("measure", folder / "prepared", "-o", folder / "measured")
    expect("describe", folder / "measured", "-o", folder / "described", "--describer", FROZEN / "data" / "described")
    rows = read_dataset(folder / "described")["train"]
    if len(rows) != len(names) or rows["turn"][:] != list(range(len(names))):
        raise Fault("lost row", f"{len(names)} clips became {len(rows)} rows: {rows['utterance_id'][:]}")
    if rows[0]["audio_status"] != "ok" or rows[0]["intensity_mean_db"] is None:
        raise Fault("lost row", f"the clip that is whole is {rows[0]['audio_status']}: {rows[0]['measurement_note']}")
    for name, row in zip(names, rows, strict=True):
        if row["intensity_mean_db"] is None and not row["measurement_note"]:
            raise Fault("lost row", f"{name} is not measured, and no note says why")
        if name in foreign and row["audio_status"] == "ok":
            raise Fault("leak", f"{name} is heard, although it names another file")


def predict(source: Path, folder: Path, run: Path, count: int) -> None:
    """A model gives every row an emotion, or says what is wrong.

    Raises:
        Fault: If a row is missing.
    """
    said = speechcue("predict", source, "--model", run, "-o", folder / "found.jsonl")
    if said.code == 0 and len((folder / "found.jsonl").read_text().splitlines()) != count:
        raise Fault("lost row", f"predict says {(folder / 'found.jsonl').read_text()}")


# What is done to a clip


def mutate(random: Random, data: bytes) -> tuple[bytes, str]:
    """Another clip, and what was done to it."""
    changes = [cut, bits_flipped, header_flipped, field_changed, piece_lost, piece_doubled, piece_overwritten]
    changes += [reference_made, header_made, prefixed]
    return mutated(random, data, changes)


def header_flipped(random: Random, data: bytes) -> bytes:
    return bits_flipped(random, data[:HEADER]) + data[HEADER:]


def field_changed(random: Random, data: bytes) -> bytes:
    """A number in the header is as large or as small as it can be."""
    place = random.randrange(0, min(HEADER, len(data)), 2)
    layout = random.choice(["<I", ">I", "<H", ">H", "<Q"])
    value = random.choice(EXTREMES) % 256 ** struct.calcsize(layout)
    field = struct.pack(layout, value)
    return data[:place] + field + data[place + len(field) :]


def reference_made(random: Random, data: bytes) -> bytes:
    """An mp4 says that its sound lies in another file."""
    return data.replace(b"url \0\0\0\1", b"url \0\0\0\0").replace(b"mdat", b"free", random.randrange(2))


def header_made(random: Random, data: bytes) -> bytes:
    """A wav that declares what it likes."""
    rate, channels = random.choice([1, 8000, 96_000_001, 16_800_000, 2**31]), random.choice([0, 1, 2, 255, 65_535])
    kind, bits = random.choice([1, 2, 3, 6, 0x11, 0x55, 0x161, 0xFFFE]), random.choice([0, 1, 8, 16, 24, 32, 64])
    declared = random.choice([0, len(data), 2**31, 2**32 - 1])
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * 2 % 2**32, random.choice([0, 1, 2, 4]), bits)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", declared, b"WAVE", b"fmt ", len(form))
        + form
        + struct.pack("<4sI", b"data", declared)
        + data
    )


def prefixed(random: Random, data: bytes) -> bytes:
    return random.choice([b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"\0" * 5000, b"#EXTM3U\n", b"\xff\xfb\x90\0", b"OggS"]) + data


# What is no clip


def place_stranger(random: Random, path: Path, canary: Path) -> str:
    """Something that is no sound itself, but names one, or an address; what it is."""
    if random.random() < 0.3:
        kind = random.choice(["folder", "pipe", "empty", "noise", "link to nowhere"])
        match kind:
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "empty":
                path.touch()
            case "noise":
                path.write_bytes(random.randbytes(random.randrange(1, 5000)))
            case _:
                path.symlink_to(path.with_name("nowhere"))
        return kind
    target = random.choice([f"{LISTENER.address}/a.wav", str(canary), f"file://{canary}", f"../../ready/{canary.name}"])
    kind = random.choice([*PLAYLISTS])
    path.write_bytes(PLAYLISTS[kind].format(target=target, port=LISTENER.port, host="127.0.0.1").encode())
    return f"{kind} of {target}"


PLAYLISTS = {
    "HLS": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
    "HLS with a key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n',
    "list": "#EXTM3U\n{target}\n",
    "pls": "[playlist]\nFile1={target}\nNumberOfEntries=1\nVersion=2\n",
    "concatenation": "ffconcat version 1.0\nfile '{target}'\nduration 3\n",
    "concatenation, marked": "ffconcat version 1.0\nfile 'subfile,,start,0,end,9999,,:{target}'\n",
    "session": "v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\nm=audio {port} RTP/AVP 0\n",
    "DASH": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" '
    'bandwidth="9"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>\n',
    "XSPF": '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList><track><location>'
    "{target}</location></track></trackList></playlist>\n",
    "ASX": '<asx version="3.0"><entry><ref href="{target}"/></entry></asx>\n',
    "image sequence": "{target}",
    "IMF": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>'
    "{target}</Id></CompositionPlaylist>\n",
    "SDP over RTSP": "v=0\nm=audio 0 RTP/AVP 0\na=control:rtsp://{host}:{port}/x\n",
}
