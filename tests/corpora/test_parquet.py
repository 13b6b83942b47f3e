from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, Value, load_dataset

from speechcue_hf.audio import decode
from speechcue_hf.corpora.parquet import read_dataset, shard_name, write_dataset, write_shard
from speechcue_hf.errors import CorpusError, SpeechcueError
from tests.corpora import trees
from tests.media import encoded, spoken

FEATURES = Features(
    {"name": Value("string"), "emotion": ClassLabel(names=["joy", "anger"]), "audio": Audio(decode=False)}
)


def rows_of(*clips: Path | None) -> Dataset:
    columns = {
        "name": [f"u{number}" for number in range(len(clips))],
        "emotion": [number % 2 for number in range(len(clips))],
        "audio": [clip and {"bytes": None, "path": str(clip)} for clip in clips],
    }
    plain = FEATURES.copy()
    plain["audio"] = {"bytes": Value("binary"), "path": Value("string")}
    return Dataset.from_dict(columns, features=plain).cast(FEATURES)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "release/clip.wav"
    path.parent.mkdir()
    path.write_bytes(trees.wav(0.5))
    return path


def test_a_folder_holds_what_was_written(tmp_path, clip):
    write_dataset(DatasetDict(train=rows_of(clip, None), test=rows_of(clip)), tmp_path / "out")
    dataset = read_dataset(tmp_path / "out")
    assert {split: rows.features for split, rows in dataset.items()} == {"train": FEATURES, "test": FEATURES}
    assert dataset["train"].to_list() == [
        {"name": "u0", "emotion": 0, "audio": {"bytes": trees.wav(0.5), "path": "clip.wav"}},
        {"name": "u1", "emotion": 1, "audio": None},
    ]


def test_plain_datasets_reads_it_in_another_process(tmp_path, clip):
    write_dataset(DatasetDict(train=rows_of(clip), validation=rows_of(None)), tmp_path / "out")
    clip.unlink()
    script = (
        "import sys; from datasets import load_dataset; dataset = load_dataset(sys.argv[1]); "
        "print({split: (len(rows), rows.features['emotion'].names) for split, rows in dataset.items()}, "
        "len(dataset['train'][0]['audio']['bytes']), 'speechcue_hf' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
    )
    expected = f"{{'train': (1, ['joy', 'anger']), 'validation': (1, ['joy', 'anger'])}} {len(trees.wav(0.5))} False"
    assert shown.stdout.strip() == expected


def test_no_local_path_is_in_the_files(tmp_path, clip):
    video = clip.with_name("video.mp4")
    video.write_bytes(trees.mp4(0.5))
    write_dataset(DatasetDict(train=rows_of(clip, video)), tmp_path / "out")
    content = (tmp_path / "out" / shard_name("train", 0, 1)).read_bytes()
    assert b"clip.wav" in content and str(tmp_path).encode() not in content


def test_of_a_video_the_sound_is_stored(tmp_path, clip):
    video = clip.with_name("video.mp4")
    video.write_bytes(trees.mp4(0.5))
    write_dataset(DatasetDict(train=rows_of(video)), tmp_path / "out")
    audio = read_dataset(tmp_path / "out")["train"][0]["audio"]
    with soundfile.SoundFile(io.BytesIO(audio["bytes"])) as sound:
        kind = (audio["path"], sound.format, sound.subtype, sound.samplerate, sound.channels)
        samples = sound.read()
    assert kind == ("video.flac", "FLAC", "PCM_16", 48000, 2)
    middle = samples[9600:14400]  # 20 periods of the sine: root mean square is the amplitude over sqrt(2)
    assert np.sqrt(np.mean(middle**2, axis=0)) == pytest.approx([0.5 / np.sqrt(2), 0.25 / np.sqrt(2)], rel=0.02)


def test_a_video_that_cannot_be_decoded_is_stored_as_it_is(tmp_path, clip, caplog):
    video = clip.with_name("video.mp4")
    video.write_bytes(trees.mp4(0.5)[:300])
    write_dataset(DatasetDict(train=rows_of(video)), tmp_path / "out")
    assert read_dataset(tmp_path / "out")["train"][0]["audio"] == {"bytes": trees.mp4(0.5)[:300], "path": "video.mp4"}
    assert "video.mp4" in caplog.text and "embedded as it is" in caplog.text


def test_a_video_that_ends_early_is_stored_as_it_is_so_that_it_still_says_so(tmp_path, clip, caplog):
    whole = encoded(spoken(44100), 44100, "matroska", "aac")
    video = clip.with_name("video.mkv")
    for content, note in (
        (whole[: len(whole) // 2], "the file ends early"),
        (whole[:20000] + b"\xff" * 80 + whole[20080:], "damaged packets were left out"),
    ):
        video.write_bytes(content)
        write_dataset(DatasetDict(train=rows_of(video)), tmp_path / "out")
        audio = read_dataset(tmp_path / "out")["train"][0]["audio"]
        assert audio == {"bytes": content, "path": "video.mkv"}
        assert decode(audio).notes == (note,)
    assert "video.mkv: not whole, embedded as it is" in caplog.text


@pytest.mark.parametrize(("form", "codec", "suffix"), [("mp4", "aac", "m4a"), ("matroska", "libopus", "mka")])
def test_the_sound_of_a_long_video_is_stored_as_it_is_encoded(tmp_path, clip, monkeypatch, form, codec, suffix):
    monkeypatch.setattr("speechcue_hf.corpora.parquet.LONGEST_FLAC", 3.0)
    video = clip.with_name("video.mkv")
    video.write_bytes(encoded(spoken(48000), 48000, form, codec))
    write_dataset(DatasetDict(train=rows_of(video)), tmp_path / "out")
    audio = read_dataset(tmp_path / "out")["train"][0]["audio"]
    assert audio["path"] == f"video.{suffix}"
    stored, before = decode(audio), decode(video)
    assert (stored.rate, stored.notes) == (48000, ()) and stored.duration == pytest.approx(before.duration, abs=0.03)
    shared = min(stored.samples.shape[1], before.samples.shape[1]) - 48000
    np.testing.assert_allclose(stored.samples[:, :shared], before.samples[:, :shared], atol=1e-6)


def test_few_clips_are_held_in_memory_at_a_time(tmp_path, clip, monkeypatch):
    monkeypatch.setattr("speechcue_hf.corpora.parquet.BYTES_PER_GROUP", 2 * len(trees.wav(0.5)))
    write_dataset(DatasetDict(train=rows_of(clip, None, clip, clip, None)), tmp_path / "out")
    file = pq.ParquetFile(tmp_path / "out" / shard_name("train", 0, 1))
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [3, 2]
    held = [audio and audio["bytes"] for audio in read_dataset(tmp_path / "out")["train"]["audio"]]
    assert held == [trees.wav(0.5), None, trees.wav(0.5), trees.wav(0.5), None]


def test_a_file_too_large_for_a_row_is_left_out_with_a_warning(tmp_path, clip, monkeypatch, caplog):
    monkeypatch.setattr("speechcue_hf.corpora.parquet.LARGEST_EMBEDDED", 1000)
    rows = rows_of(clip, None).add_column("audio_status", ["ok", "none"])
    write_dataset(DatasetDict(train=rows), tmp_path / "out")
    written = read_dataset(tmp_path / "out")["train"]
    assert written["audio"] == [None, None]
    assert written["audio_status"] == ["missing", "none"]
    assert "clip.wav: left out" in caplog.text


def test_processes_write_one_file_each_in_order(tmp_path, clip):
    write_dataset(DatasetDict(train=rows_of(*[clip] * 5), test=rows_of(clip)), tmp_path / "out", num_proc=2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
    ]
    assert read_dataset(tmp_path / "out")["train"]["name"] == ["u0", "u1", "u2", "u3", "u4"]


def test_writing_again_leaves_no_file_of_the_first_time(tmp_path):
    write_dataset(DatasetDict(train=rows_of(None, None), test=rows_of(None)), tmp_path / "out", num_proc=2)
    write_dataset(DatasetDict(train=rows_of(None), test=rows_of(None)), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00001.parquet",
    ]


def test_a_split_of_another_dataset_is_not_mixed_in(tmp_path):
    write_dataset(DatasetDict(train=rows_of(None), validation=rows_of(None)), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CorpusError, match=r"holds the split 'validation' of an earlier writing.*remove it"):
        write_dataset(DatasetDict(train=rows_of(None, None), test=rows_of(None)), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_that_fails_in_its_second_split_leaves_no_first_one(tmp_path, clip):
    gone = clip.with_name("gone.wav")
    with pytest.raises(FileNotFoundError, match=r"gone\.wav"):
        write_dataset(DatasetDict(train=rows_of(clip), test=rows_of(gone)), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_run_left_is_neither_read_nor_kept(tmp_path):
    (tmp_path / ".unfinished").mkdir()
    write_shard(rows_of(None, None), tmp_path / ".unfinished" / shard_name("test", 0, 1))
    write_dataset(DatasetDict(train=rows_of(None)), tmp_path)
    assert {split: len(rows) for split, rows in read_dataset(tmp_path).items()} == {"train": 1}
    assert [path.name for path in tmp_path.iterdir()] == [shard_name("train", 0, 1)]


def test_a_clip_that_vanished_leaves_no_file(tmp_path, clip):
    rows = rows_of(clip)
    clip.unlink()
    with pytest.raises(FileNotFoundError, match=r"clip\.wav"):
        write_shard(rows, tmp_path / "out" / shard_name("train", 0, 1))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_without_parquet_is_an_error(tmp_path):
    with pytest.raises(CorpusError, match="make it with `speechcue prepare`"):
        read_dataset(tmp_path)


def test_a_missing_shard_is_an_error(tmp_path):
    write_shard(rows_of(None), tmp_path / shard_name("train", 1, 3))
    with pytest.raises(CorpusError, match="holds 1 files of split 'train', which are not its 3 shards"):
        read_dataset(tmp_path)


def test_shards_of_two_writings_are_no_whole(tmp_path):
    write_shard(rows_of(None), tmp_path / shard_name("train", 0, 2))
    write_shard(rows_of(None), tmp_path / shard_name("train", 1, 3))
    with pytest.raises(CorpusError, match=r"not its 2 shards.*another --num-shards"):
        read_dataset(tmp_path)


def test_a_truncated_file_is_named(tmp_path):
    file = tmp_path / shard_name("train", 0, 1)
    write_shard(rows_of(None), file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(CorpusError, match=f"{file} is no whole Parquet file .*make it again"):
        read_dataset(tmp_path)


def test_a_split_without_rows_is_named(tmp_path):
    write_dataset(DatasetDict(train=rows_of(None), test=rows_of()), tmp_path)
    with pytest.raises(CorpusError, match=r"split 'test' has no rows, remove test-00000-of-00001\.parquet"):
        read_dataset(tmp_path)


def test_splits_come_in_the_order_of_plain_datasets(tmp_path):
    splits = ["train", "validation", "test"]
    write_dataset(DatasetDict({split: rows_of(None) for split in reversed(splits)}), tmp_path)
    assert list(read_dataset(tmp_path)) == splits == list(load_dataset(str(tmp_path)))


def test_processes_are_counted_from_one(tmp_path):
    with pytest.raises(ValueError, match="num_proc must be 1 or more, got 0"):
        write_dataset(DatasetDict(train=rows_of(None)), tmp_path, num_proc=0)


def test_files_with_other_columns_are_no_one_dataset(tmp_path):
    write_shard(rows_of(None), tmp_path / shard_name("train", 0, 1))
    write_shard(Dataset.from_dict({"words": ["hello"]}), tmp_path / shard_name("test", 0, 1))
    with pytest.raises(CorpusError, match=r"make them again together: .*words"):
        read_dataset(tmp_path)


def put(path: Path, *names: str) -> Path:
    """Write rows as plain datasets does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict({"name": list(names)}).to_parquet(path)
    return path


def names_of(place: Path) -> dict[str, list[str]]:
    return {split: rows["name"][:] for split, rows in read_dataset(place).items()}


def test_a_parquet_file_of_any_name_is_read(tmp_path, caplog):
    with caplog.at_level("INFO"):
        assert names_of(put(tmp_path / "rows.parquet", "a", "b")) == {"train": ["a", "b"]}
        read_dataset(tmp_path / "rows.parquet")
    assert caplog.text.count("rows.parquet names no split: its rows are taken as train") == 1
    assert names_of(put(tmp_path / "my_dev.parquet", "c")) == {"validation": ["c"]}


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["one.parquet", "two.parquet"], {"train": ["one", "two"]}),
        (["my_train.parquet", "val.parquet"], {"train": ["my_train"], "validation": ["val"]}),
        (["a-dev.parquet", "eval.parquet"], {"validation": ["a-dev"], "test": ["eval"]}),
        (["meld-train-1.parquet", "meld-train-2.parquet"], {"train": ["meld-train-1", "meld-train-2"]}),
        (["training/x.parquet", "testing/y.parquet"], {"train": ["x"], "test": ["y"]}),
        (["data/train-00000-of-00001.parquet", ".cache/train.parquet"], {"train": ["train-00000-of-00001"]}),
        (["constrained.parquet", "predictions.parquet"], {"train": ["constrained"]}),
    ],
)
def test_a_folder_of_parquet_is_read_by_what_its_names_say(tmp_path, files, splits):
    for name in files:
        put(tmp_path / name, Path(name).stem)
    assert names_of(tmp_path) == splits
    if "predictions.parquet" not in files:
        plain = load_dataset(str(tmp_path))
        assert {split: rows["name"][:] for split, rows in plain.items()} == splits


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train.parquet", "more.parquet"], r"more\.parquet names no split, and other files there do: rename it"),
        (["train_and_test.parquet"], "names train and test: rename it"),
        (["a/train.parquet", "b/train.parquet"], r"holds the split 'train' in .*a and in .*b: name one of these"),
        (["train-00000-of-00001.parquet", "train.parquet"], "which are not its 1 shards"),
    ],
)
def test_files_whose_split_is_not_clear_are_refused(tmp_path, files, message):
    for name in files:
        put(tmp_path / name, name)
    with pytest.raises(CorpusError, match=message):
        read_dataset(tmp_path)


def test_nothing_is_written_beside_files_that_would_be_read_with_it(tmp_path):
    put(tmp_path / "mine.parquet", "a")
    with pytest.raises(CorpusError, match=r"holds mine\.parquet, which is no part of this dataset"):
        write_dataset(DatasetDict(train=rows_of(None)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.parquet"]


NAMES_OF_STRANGERS = [
    "../elsewhere/data-00000-of-00001.arrow",
    "ABSOLUTE",
    "a/b.arrow",
    "a\\b",
    "..",
    "",
    None,
    3,
    "C:x",
]


@pytest.mark.parametrize("name", NAMES_OF_STRANGERS)
@pytest.mark.parametrize("several", [False, True])
def test_a_saved_state_names_files_in_its_own_folder(tmp_path, name, several):
    rows = Dataset.from_dict({"text": ["a"]})
    rows.save_to_disk(tmp_path / "elsewhere")
    (DatasetDict(train=rows) if several else rows).save_to_disk(tmp_path / "saved")
    state = next((tmp_path / "saved").rglob("state.json"))
    values = json.loads(state.read_text())
    stranger = str(tmp_path / "elsewhere" / "data-00000-of-00001.arrow")
    values["_data_files"] = [{"filename": stranger if name == "ABSOLUTE" else name}]
    state.write_text(json.dumps(values))
    with pytest.raises(CorpusError, match=r"state\.json names .* nothing in its own folder: save the rows again"):
        read_dataset(tmp_path / "saved")


def test_a_saved_state_follows_no_link_and_no_split_outside(tmp_path):
    rows = Dataset.from_dict({"text": ["a"]})
    rows.save_to_disk(tmp_path / "elsewhere")
    DatasetDict(train=rows).save_to_disk(tmp_path / "saved")
    (arrow,) = (tmp_path / "saved").rglob("*.arrow")
    arrow.unlink()
    arrow.symlink_to(tmp_path / "elsewhere" / "data-00000-of-00001.arrow")
    with pytest.raises(CorpusError, match="nothing in its own folder"):
        read_dataset(tmp_path / "saved")
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["../elsewhere"]}')
    with pytest.raises(CorpusError, match=r"dataset_dict\.json names '\.\./elsewhere'"):
        read_dataset(tmp_path / "saved")


@pytest.mark.parametrize("file", ["state.json", "dataset_info.json", "data-00000-of-00001.arrow"])
@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b"[" * 100_000, b"\xff" * 50])
def test_what_was_saved_to_disk_and_is_damaged_is_an_error_with_its_folder(tmp_path, file, data):
    Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / file).write_bytes(data)
    if (file, data) != ("dataset_info.json", b"{}"):
        with pytest.raises(SpeechcueError, match=str(tmp_path / "saved")):
            read_dataset(tmp_path / "saved")


@pytest.mark.parametrize("damage", [bytes(8), b"\x15\xff\xff\xff"])
def test_a_damaged_footer_is_an_error_with_its_file(tmp_path, damage):
    write_dataset(DatasetDict(train=Dataset.from_dict({"text": ["a"] * 9})), tmp_path / "out")
    path = tmp_path / "out" / "train-00000-of-00001.parquet"
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - length
    path.write_bytes(data[:start] + damage + data[start + len(damage) :])
    with pytest.raises(CorpusError, match=r"train-00000-of-00001\.parquet is no whole Parquet file"):
        read_dataset(tmp_path / "out")


def test_what_plain_datasets_saved_to_disk_is_read(tmp_path):
    rows = Dataset.from_dict({"name": ["a"]})
    DatasetDict(train=rows, test=rows).save_to_disk(tmp_path / "both")
    assert names_of(tmp_path / "both") == {"train": ["a"], "test": ["a"]}
    rows.save_to_disk(tmp_path / "one")
    assert names_of(tmp_path / "one") == {"train": ["a"]}


def test_a_place_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"there is no .*nowhere: make it"):
        read_dataset(tmp_path / "nowhere")


def test_sound_that_is_no_number_is_embedded_as_it_is(tmp_path):
    samples = np.full(8000, 0.1, dtype=np.float32)
    samples[100] = np.nan
    soundfile.write(tmp_path / "clip.webm", samples, 16000, format="WAV", subtype="FLOAT")
    held = (tmp_path / "clip.webm").read_bytes()
    write_dataset(DatasetDict(train=rows_of(str(tmp_path / "clip.webm"))), tmp_path / "out")
    assert read_dataset(tmp_path / "out")["train"]["audio"] == [{"bytes": held, "path": "clip.webm"}]


def test_pandas_reads_a_folder_beside_its_records(described_folder):
    records = [path.name for path in described_folder.iterdir() if path.suffix != ".parquet"]
    assert records
    found = pd.read_parquet(described_folder, ignore_prefixes=records)
    assert sorted(found["utterance_id"]) == sorted(
        name for rows in read_dataset(described_folder).values() for name in rows["utterance_id"]
    )
