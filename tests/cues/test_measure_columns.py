"""Datasets as the Hub has them: a column ``Audio()``, samples in rows, streams, and no ids."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Audio, Dataset, DatasetDict, IterableDataset, NamedSplit

from speechcue_hf.audio import as_file, decode
from speechcue_hf.cues.measure import measure_dataset, measure_speech
from speechcue_hf.cues.settings import MeasurementSettings
from tests.cues.measure_clips import as_bytes, voice

PITCH = MeasurementSettings(groups=("pitch",))
HZ = (120, 200)


def clips() -> list[dict]:
    return [as_bytes(voice(hz, 0.5)) for hz in HZ]


def hub_column() -> Dataset:
    """Written without torchcodec: files as they are, and the column cast to the default ``Audio()``."""
    undecoded = Dataset.from_dict({"audio": clips(), "text": ["a", "b"]}).cast_column("audio", Audio(decode=False))
    return undecoded.cast_column("audio", Audio())


def samples(dtype=np.float64) -> list[dict]:
    found = []
    for clip in map(decode, clips()):
        array = clip.samples[0] if dtype == np.float64 else (clip.samples[0] * 32767).astype(dtype)
        found.append({"array": array, "sampling_rate": clip.rate})
    return found


def expected() -> list[dict]:
    return [measure_speech({"audio": clip}, PITCH) for clip in clips()]


def of_clips(rows) -> list[dict]:
    return [{name: row[name] for name in expected()[0]} for row in rows]


def test_a_column_of_the_hub_is_not_decoded_by_datasets():
    measured = measure_dataset(hub_column(), PITCH)
    assert of_clips(measured) == expected()
    assert [round(row["f0_mean_hz"]) for row in measured] == list(HZ)
    assert measured["utterance_id"][:] == ["row_0", "row_1"] and measured["text"][:] == ["a", "b"]


def test_splits_give_different_ids():
    measured = measure_dataset(splits(hub_column()), PITCH)
    assert measured["train"]["utterance_id"][:] == ["train_0", "train_1"]
    assert measured["test"]["utterance_id"][:] == ["test_0", "test_1"]


def splits(rows: Dataset) -> DatasetDict:
    return DatasetDict(
        {name: Dataset(rows.data, info=rows.info.copy(), split=NamedSplit(name)) for name in ("train", "test")}
    )


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("cast", [True, False], ids=["Audio()", "Audio(decode=False)"])
def test_streams(stream, cast):
    rows = hub_column() if cast else hub_column().cast_column("audio", Audio(decode=False))
    rows = rows.to_iterable_dataset() if stream else rows
    found = list(measure_dataset(rows, PITCH))
    assert of_clips(found) == expected() and [row["utterance_id"] for row in found] == ["row_0", "row_1"]


def test_a_stream_without_features():
    def rows():
        yield from ({"utterance_id": str(place), "audio": clip} for place, clip in enumerate(samples()))

    found = list(measure_dataset(IterableDataset.from_generator(rows), PITCH))
    assert of_clips(found) == expected()


@pytest.mark.parametrize("dtype", [np.float64, np.int16])
def test_samples_in_rows(dtype):
    rows = Dataset.from_list([{"audio": {**it, "array": it["array"].tolist()}} for it in samples()])
    if dtype == np.int16:
        found = [measure_speech({"audio": it}, PITCH) for it in samples(dtype)]
        assert [round(row["f0_mean_hz"]) for row in found] == list(HZ)
    else:
        assert of_clips(measure_dataset(rows, PITCH)) == expected()


class Decoder:
    """What a column ``Audio()`` gives where torchcodec is installed."""

    def __init__(self, clip: dict):
        self.clip = clip

    def get_all_samples(self):
        decoded = decode(self.clip)
        return type("AudioSamples", (), {"data": decoded.samples, "sample_rate": decoded.rate})


def test_a_decoder_of_torchcodec():
    assert [measure_speech({"audio": Decoder(clip)}, PITCH) for clip in clips()] == expected()


@pytest.mark.parametrize("clip", [3, {"array": [0.0]}, {"file": "a.wav"}, np.zeros(100), [0.0, 0.1]])
def test_what_is_no_clip_is_an_error_and_not_a_missing_one(clip):
    with pytest.raises(ValueError, match=r"u7, audio: (a clip is a path|samples without sampling_rate)"):
        measure_speech({"audio": clip, "utterance_id": "u7"}, PITCH)


def test_the_other_parts_of_a_mapping_stay():
    clip = as_file({"array": np.zeros((2, 800)), "sampling_rate": 8000, "channel": 1, "path": "x"})
    assert clip["channel"] == 1 and clip["path"] is None and decode(clip).samples.shape == (2, 800)
