"""Clips in the formats that people bring: encoded on the spot, and an Ogg Speex, which nothing here can encode."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import soundfile
from scipy.signal import resample_poly

SPOKEN = Path(__file__).parents[1] / "speechcue_hf/corpora/demo_data/audio/bicycle_00.ogg"


def spoken(rate=16000):
    """A voice that says a sentence of two seconds three times, shape ``(frames,)``."""
    samples, own = soundfile.read(SPOKEN)
    return np.tile(resample_poly(samples, rate, own), 3)


def encoded(samples, rate, form, codec, bit_rate=64000, **options):
    """A file of one channel, as FFmpeg writes it; ``samples`` of shape ``(frames,)``."""
    file = io.BytesIO()
    with av.open(file, "w", format=form, options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = bit_rate
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        sized = av.AudioResampler(
            stream.codec_context.format.name, "mono", rate, frame_size=stream.codec_context.frame_size or 1024
        )
        for part in [*sized.resample(frame), *sized.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


def as_wav(samples, rate=16000, subtype="PCM_16"):
    """A wav; ``samples`` of shape ``(frames,)`` or ``(frames, channels)``."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format="WAV")
    return file.getvalue()


def speex(packets=100, seed=0):
    """Ogg Speex, narrowband, 20 ms a packet of random parameters at 8 kbit/s: noise, but whole by every rule."""
    header = b"Speex   " + b"1.2".ljust(20, b"\0")
    header += struct.pack("<13i", 1, 80, 8000, 0, 4, 1, -1, 160, 0, 1, 0, 0, 0)
    random = np.random.default_rng(seed)
    # Five bits: narrowband, mode 3.
    frames = [bytes([0b00011000 | random.integers(8), *random.integers(0, 256, 19)]) for _ in range(packets)]
    comment = struct.pack("<i4si", 4, b"test", 0)
    pages = [_page(0, 0, 2, [header]), _page(1, 0, 0, [comment])]
    for number, start in enumerate(range(0, packets, 50), 2):
        held = frames[start : start + 50]
        last = start + 50 >= packets
        pages.append(_page(number, 160 * min(packets, start + 50), 4 * last, held))
    return b"".join(pages)


def _page(number, granule, flags, packets):
    lacing = bytes(len(packet) for packet in packets)
    head = struct.pack("<4sBBqiIIB", b"OggS", 0, flags, granule, 7, number, 0, len(packets))
    page = bytearray(head + lacing + b"".join(packets))
    checksum = 0
    for byte in page:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if checksum & 0x80000000 else checksum << 1
    page[22:26] = struct.pack("<I", checksum)
    return bytes(page)
