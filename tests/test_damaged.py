"""Damaged records and annotations: whatever is wrong in one, it is an error of ours with file, place and fix."""

import copy
import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict, load_dataset, load_dataset_builder

from speechcue_hf.cli import main
from speechcue_hf.corpora import emorynlp, iemocap, meld, wav_list
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import SpeechcueError
from speechcue_hf.evaluation.predictions import read_predictions
from speechcue_hf.hub.card import model_card
from speechcue_hf.hub.dataset_card import dataset_card, describe_config
from speechcue_hf.prompts.specification import load_prompt
from speechcue_hf.records import (
    BiographiesRecord,
    CaptionsRecord,
    CorpusIdentity,
    ResultsRecord,
    SeedsRecord,
    TrainingRecord,
    find_record,
)
from tests.corpora import test_emorynlp, trees

pytestmark = pytest.mark.slow

FROZEN = Path(__file__).parent / "upgrade" / "0.1.0"
WRONG = [None, True, -1, 10**30, 1e308, "x", "\ud800", [], ["a"], [None], {}, {"a": {"b": []}}]
NOT_JSON = [
    b"",
    b"null",
    b"[]",
    b"3",
    b'"x"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    '{"a": 1}'.encode("utf-16"),
]
ROWS = DatasetDict(train=Dataset.from_dict({"dialogue_id": ["a"], "utterance_id": ["b"], "x": [1]}))


def places(value: Any, depth: int = 3, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of all values in JSON values, as far down as this; of a list the first, and of a table of cues the first two."""
    if place:
        yield place
    if depth and isinstance(value, dict):
        for key in list(value) if depth > 1 else list(value)[:2]:
            yield from places(value[key], depth - 1, (*place, key))
    elif depth and isinstance(value, list) and value:
        yield from places(value[0], depth - 1, (*place, 0))


def damaged(values: Any) -> Iterator[bytes]:
    """The same JSON with one value gone, or another in its place; each value meets each kind of wrong ones in turn."""
    for turn, place in enumerate(places(values)):
        for wrong in (..., WRONG[turn % len(WRONG)], WRONG[(turn * 5 + 3) % len(WRONG)]):
            other = copy.deepcopy(values)
            node = other
            for key in place[:-1]:
                node = node[key]
            if wrong is ...:
                del node[place[-1]]
            else:
                node[place[-1]] = wrong
            yield json.dumps(other).encode()
    yield from NOT_JSON


def survives(use: Callable[[], object]) -> str | None:
    """Use what is damaged: it works all the same, or it is an error of ours, whose message is given."""
    try:
        use()
    except SpeechcueError as error:
        return str(error)
    return None


def use_run(folder: Path) -> None:
    """All that a card shows; chat models have their prompts rendered, which others have not."""
    model_card(folder)
    for kind in (TrainingRecord, ResultsRecord, SeedsRecord, BiographiesRecord, CaptionsRecord):
        find_record(kind, folder)


def use_data(folder: Path) -> None:
    held = describe_config(ROWS, find_record(CorpusIdentity, folder), folder)
    str(dataset_card("me/x", {"described": held}))
    for kind in (BiographiesRecord, CaptionsRecord):
        find_record(kind, folder)


def use_describer(folder: Path) -> None:
    describer = SpeechDescriber.from_pretrained(folder)
    if describer.settings is not None:
        describer.measurement_settings()


RECORDS = [
    *(("runs/encoders/seed-1", name, use_run) for name in ("training.json", "results.json")),
    *(("runs/stage2", name, use_run) for name in ("training.json", "captions.json")),
    ("runs/stage3", "adapter_config.json", use_run),
    *(("data/biographies", name, use_data) for name in ("corpus.json", "biographies.json", "measurement.json")),
    ("data/emotion", "captions.json", use_data),
    ("data/described", "describer.json", use_describer),
    ("runs/chat", "prompt.json", lambda folder: load_prompt(folder / "prompt.json")),
]


@pytest.mark.parametrize(("source", "name", "use"), RECORDS, ids=[f"{source}/{name}" for source, name, _ in RECORDS])
def test_a_damaged_record_is_an_error_with_its_file(tmp_path, source, name, use):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in (FROZEN / source).iterdir():
        if path.suffix in (".json", ".jinja") and not path.name.startswith("tokenizer"):
            shutil.copyfile(path, folder / path.name)
    use(folder)
    refused = 0
    for data in damaged(json.loads((folder / name).read_text())):
        (folder / name).write_bytes(data)
        message = survives(lambda: use(folder))
        refused += message is not None
        # A card of a dataset is made of the records of several folders, and says which key it misses.
        named = (str(folder), name, "prompt", "a record beside the rows")
        assert message is None or any(it in message for it in named), (data, message)
    assert refused > len(NOT_JSON) - 2


@pytest.mark.parametrize("data", [b"", b"PAR1", b"my notes", b"PAR1" + bytes(100) + b"PAR1"])
def test_damaged_predictions_are_an_error_with_their_file(tmp_path, data):
    (tmp_path / "predictions.parquet").write_bytes(data)
    assert str(tmp_path) in survives(lambda: read_predictions(tmp_path))


def cut(data: bytes) -> Iterator[bytes]:
    """Annotations as bad disks, editors and spreadsheets leave them."""
    lines = data.split(b"\n")
    third = lines[2] if len(lines) > 2 else lines[-1]
    yield from (
        b"",
        data[: len(data) // 2],
        data[: len(data) // 2] + b"\xff\xfe" + data[len(data) // 2 :],
        b"\0" * 50 + data,
    )
    yield from (
        data.replace(b",", b";"),
        data.replace(b",", b"\t"),
        data.replace(b"\n", b"\r"),
        data.decode().encode("utf-16"),
    )
    yield from (b"\n".join(lines[1:]), b"\n".join(reversed(lines)), data + b"\n" + third, data + b'"' + third)
    yield from (
        data.replace(b'"', b""),
        data.replace(b"0", b"x"),
        data.replace(b"1", b"1" * 400),
        data + b"a" * 200_000,
    )
    yield from (
        data.replace(b":", b"."),
        data.replace(b"[", b"("),
        data.replace(b"[", b"[" * 9000),
        data.replace(b"'", b"{"),
    )
    yield data.replace(third, third[: len(third) // 2])


def broken_cells(path: Path) -> Iterator[bytes]:
    """A csv with one cell of its second row changed."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    for column in range(len(rows[0])):
        for value in ("", "x", "-1", "9" * 400, "[", "[[[", "{}", "[1]", "'a'", "()", "\0"):
            changed = [list(row) for row in rows]
            changed[1][column] = value
            yield "\r\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in changed).encode()


def emorynlp_csv(folder: Path) -> Path:
    test_emorynlp.write_csv(folder)
    return folder / "emorynlp_train_final.csv"


ANNOTATIONS = {
    "meld": (meld, lambda folder: trees.meld(folder, media=False) / "train_sent_emo.csv", 1),
    "emorynlp": (emorynlp, emorynlp_csv, 1),
    "iemocap, labels": (
        iemocap,
        lambda folder: trees.iemocap(folder) / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt",
        5,
    ),
    "iemocap, texts": (
        iemocap,
        lambda folder: trees.iemocap(folder) / "Session1/dialog/transcriptions/Ses01F_impro01.txt",
        5,
    ),
}


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_damaged_annotations_are_an_error_with_their_file(tmp_path, name):
    module, make, above = ANNOTATIONS[name]
    path = make(tmp_path)
    corpus = name.split(",")[0]
    root = path.parents[above - 1] if above == 1 else path.parents[3]
    builder = load_dataset_builder(
        f"speechcue/{corpus}", data_dir=str(root), verify=False, cache_dir=str(tmp_path / "c")
    )
    changes = [*cut(path.read_bytes()), *(broken_cells(path) if path.suffix == ".csv" else ())]
    for data in changes:
        path.write_bytes(data)
        message = survives(lambda: list(builder._split_generators(None)))
        named = (path.name, "utterance", "holds no", str(root))
        assert message is None or any(it in message for it in named), message
    assert module.__name__.endswith(corpus)


@pytest.mark.parametrize("name", ["scene_id", "utterance_id", "transcript", "speakers", "emotion"])
def test_a_value_of_another_kind_in_json_is_an_error_with_its_file(tmp_path, name):
    test_emorynlp.write_json(tmp_path)
    path = tmp_path / "emotion-detection-dev.json"
    text = path.read_text()
    cache = str(tmp_path / "c")
    builder = load_dataset_builder("speechcue/emorynlp", data_dir=str(tmp_path), verify=False, cache_dir=cache)
    for value in WRONG:
        scene = json.loads(text)
        inner = scene["episodes"][0]["scenes"][0]
        (inner if name in inner else inner["utterances"][0])[name] = value
        path.write_text(json.dumps(scene))
        message = survives(lambda: list(builder._split_generators(None)))
        assert message is None or path.name in message or "utterance" in message, (value, message)


def test_a_split_without_rows_is_an_error_with_its_folder(tmp_path):
    root = trees.meld(tmp_path, media=False)
    path = root / "dev_sent_emo.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    load = lambda: load_dataset("speechcue/meld", data_dir=str(root), verify=False, cache_dir=str(tmp_path / "c"))  # noqa: E731
    assert f"{root} has no utterances of split 'validation'" in survives(load)


FOLDERS = {
    "metadata.csv": b"""file_name,dialogue_id,speaker,emotion,text,start
,d,Ann,happy,"Hello, you",1.5
,d,Ben,sad,Oh,2
""",
    "metadata.jsonl": b"""{"file_name": null, "utterance_id": "a", "text": "Hi"}
{"file_name": null, "utterance_id": "b"}
""",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_damaged_metadata_of_own_recordings_are_an_error_with_their_file(tmp_path, name, capsys):
    data = FOLDERS[name]
    values = [b"[1]", b"{}", b"1e999", b"99999999999999999999999", b'"\\ud800"', b"[" * 50_000, b"NaN"]
    changes = [*cut(data), *(data.replace(b'"Hi"', value) for value in values if name.endswith("jsonl"))]
    for place, changed in enumerate(changes):
        folder = tmp_path / str(place)
        folder.mkdir()
        (folder / name).write_bytes(changed)
        code = main(["prepare", "folder", "--data-dir", str(folder), "-o", str(folder / "out")])
        said = capsys.readouterr().err
        assert code in (0, 1), said
        assert code == 0 or name in said or "utterance" in said or str(folder) in said, said


def test_metadata_in_damaged_parquet(tmp_path, capsys):
    table = pa.table({"file_name": ["a.wav"], "more": pa.array([{"a": 1}])})
    pq.write_table(table, tmp_path / "metadata.parquet")
    whole = (tmp_path / "metadata.parquet").read_bytes()
    for data in (b"", whole[:100], whole[:4] + bytes(len(whole) - 8) + whole[-4:], b"PAR1" + whole):
        (tmp_path / "metadata.parquet").write_bytes(data)
        assert main(["prepare", "folder", "--data-dir", str(tmp_path), "-o", str(tmp_path / "out")]) == 1
        assert "metadata.parquet" in capsys.readouterr().err


def test_a_damaged_list_of_clips(tmp_path):
    (tmp_path / "train.tsv").write_text("a\ta.wav\nb\tb.wav\n")
    builder = wav_list.WavListBuilder
    assert builder.CORPUS == "wav_list"
    for data in (*cut(b"a\ta.wav\nb\tb.wav\n"), b"a\ta\0.wav\n"):
        (tmp_path / "train.tsv").write_bytes(data)
        load = lambda: load_dataset("speechcue/wav_list", data_dir=str(tmp_path), cache_dir=str(tmp_path / "c"))  # noqa: E731
        message = survives(load)
        assert message is None or "train.tsv" in message or "utterance 'a'" in message, message
