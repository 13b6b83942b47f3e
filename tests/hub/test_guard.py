"""Ways round the licence: each is tried on a small release, and what may not leave must not arrive on the Hub.

What a case does is in its name. None is known to the package by itself: rows are recognised by their traces, by the
tree they were loaded from or by their counts, and what leaves of them is checked by type, bounds and origin.
"""

import base64
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Audio, ClassLabel, Dataset, DatasetDict, List, Value, concatenate_datasets
from huggingface_hub import HfApi

from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.errors import LicenceError, PublishingError, SpeechcueError
from speechcue_hf.hub import publish_dataset as publishing
from speechcue_hf.hub.publish_dataset import publish_corpus, publish_dataset
from speechcue_hf.records import CorpusIdentity, read_record, write_record
from tests.corpora import trees
from tests.hub.guarded import OWN, changed, command, iemocap_described, prepared

pytestmark = pytest.mark.slow

NAME = "tester/out"
CUES = ["dialogue_id", "utterance_id", "turn", "audio_status", "intensity_mean_db", "speech_description"]
CUES += ["speech_impression", "intensity_mean_db_level", "intensity_mean_db_z"]
SAID = "Do you  have your forms? [LAUGHTER]"
"""A transcript of the release."""

Row = dict[str, Any]


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    return trees.iemocap(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def cues(release, tmp_path_factory) -> Path:
    """The described release: text, labels and cues, no clips."""
    return iemocap_described(release, tmp_path_factory.mktemp("cues"))


@pytest.fixture(scope="module")
def clips(cues) -> Path:
    """The prepared release: text, labels and clips."""
    return cues.with_name("iemocap")


def published(hub) -> bytes:
    return b"".join(hub.files("dataset", NAME).values()) if ("dataset", NAME) in hub.repositories else b""


def refused(hub, folders: list[Path], match: str = "the licence of iemocap", **options: Any) -> None:
    with pytest.raises(SpeechcueError, match=match):
        publish_dataset(folders, NAME, **options)
    assert not published(hub)


# Rows that do not say where they come from


def renumbered(row: Row) -> Row:
    """Nothing of the release's own names is left."""
    number = abs(hash(row["utterance_id"])) % 10**9
    audio = row["audio"] and {**row["audio"], "path": f"{number}.wav"}
    named = {"dialogue_id": f"d{abs(hash(row['dialogue_id'])) % 10**6}", "utterance_id": f"u{number}", "speaker": None}
    return {**row, **named, "audio": audio}


def named(change: Callable[[str], str]) -> Callable[[Row], Row]:
    """Ids, speakers and file names are changed."""

    def renamed(row: Row) -> Row:
        audio = row["audio"] and {**row["audio"], "path": change(row["audio"]["path"])}
        ids = {name: change(row[name]) for name in ("dialogue_id", "utterance_id", "speaker")}
        return {**row, **ids, "audio": audio}

    return renamed


def only(column: str, value: Callable[[str], Any]) -> Callable[[Row], Row]:
    """One column alone still tells of the release."""
    return lambda row: {**renumbered(row), column: value(row["utterance_id"])}


def path_only(row: Row) -> Row:
    return {**renumbered(row), "audio": row["audio"]}


DISGUISES: dict[str, Callable[[Row], Row]] = {
    "a prefix before ids": named(lambda name: f"lab7_{name}"),
    "a prefix without a mark": named(lambda name: f"x{name}"),
    "lower case": named(str.lower),
    "upper case": named(str.upper),
    "a suffix": named(lambda name: f"clip-{name}-v2"),
    "dashes for underscores": named(lambda name: name.replace("_", "-")),
    "blanks for underscores": named(lambda name: name.replace("_", " ")),
    "no underscores": named(lambda name: name.replace("_", "")),
    "letters of full width": named(lambda name: "".join(chr(ord(it) + 0xFEE0) if it.isalnum() else it for it in name)),
    "characters that nobody sees": named(lambda name: "\u200b".join(name)),
    "ids in base64": named(lambda name: base64.b64encode(f"utterance {name}".encode()).decode()),
    "ids escaped as in an address": named(lambda name: name.replace("_", "%5F").replace("F", "%46")),
    "ids of dialogues alone": only("dialogue_id", lambda name: name[:14]),
    "ids of utterances alone": only("utterance_id", str),
    "speakers alone": only("speaker", lambda name: name[:5] + name[-5:-3]),
    "speakers alone, between marks": only("speaker", lambda name: f"x1_{name[:5]}__{name[-4]}_v2".lower()),
    "names of clips alone": path_only,
    "numbers within a dialogue": only("utterance_id", lambda name: name[7:]),
    "a further column of texts": only("source", str),
    "the name of the corpus alone": only("source", lambda name: "IEMOCAP"),
    "a column of lists": only("source", lambda name: ["a", name]),
    "a column of tables": only("source", lambda name: {"from": {"id": name}}),
    "a column of bytes": only("source", str.encode),
    "the path in the release": only("source", lambda name: f"/x/Session1/sentences/wav/{len(name)}.wav"),
    "JSON within a text": only("source", lambda name: json.dumps({"id": json.dumps(name.replace("F", "\\u0046"))})),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES.keys())
def test_rows_are_known_in_disguise(hub, clips, tmp_path, disguise):
    refused(hub, [changed(clips, tmp_path / "out", disguise)], everybody_is_licensed=True)


def test_names_of_classes_tell_too(hub, clips, tmp_path):
    folder = changed(clips, tmp_path / "out", renumbered)
    dataset = read_dataset(folder)
    features = ClassLabel(names=["Ses01F_impro01_F000", "other"])
    rows = {
        split: part.add_column("of", [0] * len(part)).cast_column("of", features) for split, part in dataset.items()
    }
    write_dataset(DatasetDict(rows), tmp_path / "classes")
    write_record(OWN, tmp_path / "classes")
    refused(hub, [tmp_path / "classes"])


@pytest.mark.parametrize("corpus", ["folder", "demo", "meld", "wav_list"])
def test_a_record_of_another_corpus_changes_nothing(hub, clips, tmp_path, corpus):
    shutil.copytree(clips, tmp_path / "out")
    record = json.loads((clips / "corpus.json").read_text())
    (tmp_path / "out" / "corpus.json").write_text(json.dumps({**record, "corpus": corpus, "licence": ""}))
    refused(hub, [tmp_path / "out"])


def test_the_licence_in_the_record_counts_where_nothing_else_tells(hub, clips, tmp_path):
    folder = changed(clips, tmp_path / "out", renumbered)
    record = json.loads((clips / "corpus.json").read_text())
    (folder / "corpus.json").write_text(json.dumps({**record, "corpus": "folder"}))
    with pytest.raises(LicenceError, match="the licence of iemocap"):
        publish_dataset([folder], NAME)


def test_one_row_among_others_is_enough(hub, clips, tmp_path):
    command("prepare", "demo", "-o", tmp_path / "demo")
    demo, foreign = read_dataset(tmp_path / "demo"), read_dataset(clips)["train"]
    row = foreign.select([0]).select_columns(["dialogue_id", "utterance_id", "turn", "text", "audio"])
    own = demo["test"].select_columns(row.column_names).cast(row.features)
    rows = DatasetDict(train=demo["train"].select_columns(row.column_names), test=concatenate_datasets([own, row]))
    write_dataset(rows, tmp_path / "mixed")
    record = read_record(CorpusIdentity, tmp_path / "demo")
    write_record(replace(record, utterances={}), tmp_path / "mixed")
    refused(hub, [tmp_path / "mixed"])


def test_columns_that_stay_here_tell_too(hub, clips, tmp_path):
    folder = changed(clips, tmp_path / "out", only("speaker", lambda name: f"{name[:5]}_F"))
    refused(hub, [folder], columns=["dialogue_id", "utterance_id", "text"])


@pytest.mark.parametrize(("dialogues", "rows"), [(31, 1623), (108, 5163)])
def test_a_release_is_known_by_its_counts(hub, tmp_path, dialogues, rows):
    ids = [f"talk{place % dialogues}" for place in range(rows)]
    table = {"dialogue_id": ids, "utterance_id": list(map(str, range(rows))), "text": ["Well."] * rows}
    write_dataset(DatasetDict(train=Dataset.from_dict(table)), tmp_path / "out")
    write_record(OWN, tmp_path / "out")
    refused(hub, [tmp_path / "out"])


def test_a_release_is_known_by_the_counts_of_labels_called_otherwise(hub, tmp_path):
    labels = [label for label, count in {"a": 1708, "b": 1103, "c": 1084, "d": 1636}.items() for _ in range(count)]
    ids = list(map(str, range(len(labels))))
    table = {"dialogue_id": ids, "utterance_id": ids, "text": ["Well."] * len(ids), "emotion": labels}
    write_dataset(DatasetDict(train=Dataset.from_dict(table)), tmp_path / "out")
    write_record(OWN, tmp_path / "out")
    refused(hub, [tmp_path / "out"])


# The release through other loaders


def write_metadata(folder: Path, files: list[Path | None]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file_name,dialogue_id,utterance_id,text"]
    for place, file in enumerate(files):
        lines.append(f'{"" if file is None else os.path.relpath(file, folder)},d,{place},"{SAID}"')
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    return folder


def release_itself(release: Path, folder: Path) -> Path:
    root = Path(shutil.copytree(release, folder / "conversations"))
    return write_metadata(root, sorted(root.rglob("Ses*.wav")))


def release_further_down(release: Path, folder: Path) -> Path:
    root = Path(shutil.copytree(release, folder / "conversations" / "corpora" / "audio")).parents[1]
    return write_metadata(root, sorted(root.rglob("Ses*.wav")))


def clips_called_otherwise(release: Path, folder: Path) -> Path:
    root = Path(shutil.copytree(release, folder / "conversations"))
    for place, file in enumerate(sorted(root.rglob("Ses*.wav"))):
        file.rename(file.with_name(f"{place}.wav"))
    return write_metadata(root, sorted(root.rglob("[0-9].wav")))


def texts_within_the_tree(release: Path, folder: Path) -> Path:
    return write_metadata(Path(shutil.copytree(release, folder / "conversations")), [None, None])


def within_a_session(release: Path, folder: Path) -> Path:
    root = Path(shutil.copytree(release / "Session1", folder / "mine"))
    return write_metadata(root, [None, None])


def links_to_clips(release: Path, folder: Path) -> Path:
    links = []
    (folder / "conversations").mkdir()
    for place, file in enumerate(sorted(release.rglob("Ses*.wav"))):
        links.append(folder / "conversations" / f"{place}.wav")
        links[-1].symlink_to(file)
    return write_metadata(folder / "conversations", links)


def link_to_the_folder(release: Path, folder: Path) -> Path:
    (folder / "conversations").mkdir()
    (folder / "conversations" / "audio").symlink_to(release / "Session1" / "sentences" / "wav")
    return write_metadata(folder / "conversations", sorted((folder / "conversations" / "audio").glob("Ses*/Ses*.wav")))


FOLDERS = [release_itself, release_further_down, clips_called_otherwise, texts_within_the_tree, within_a_session]
FOLDERS += [links_to_clips, link_to_the_folder]


@pytest.mark.parametrize("tree", FOLDERS, ids=lambda tree: tree.__name__.replace("_", " "))
def test_its_tree_is_known_when_somebody_loads_it_as_their_own(hub, release, tmp_path, tree, caplog):
    folder = prepared("folder", tree(release, tmp_path), tmp_path / "out")
    assert "these rows are of iemocap" in caplog.text
    assert json.loads((folder / "corpus.json").read_text())["licence"].startswith("IEMOCAP licence")
    # The record says so; what the rows say themselves is taken away.
    rows = changed(folder, tmp_path / "bare", renumbered)
    shutil.copyfile(folder / "corpus.json", rows / "corpus.json")
    refused(hub, [rows])


@pytest.mark.parametrize("how", ["a prefix", "numbers and whole paths", "numbers and paths from here", "links"])
def test_a_list_of_its_clips_is_known(hub, release, tmp_path, how):
    folder = tmp_path / "list"
    folder.mkdir()
    lines = []
    for place, file in enumerate(sorted(release.rglob("Ses*.wav"))):
        path = str(file) if how != "numbers and paths from here" else os.path.relpath(file, folder)
        if how == "links":
            (folder / f"{place}.wav").symlink_to(file)
            path = f"{place}.wav"
        lines.append(f"{f'mine_{file.stem}' if how == 'a prefix' else place}\t{path}\n")
    (folder / "train.tsv").write_text("".join(lines))
    refused(hub, [prepared("wav_list", folder, tmp_path / "out")])


# Columns that may leave, with something else in them


def put(column: str, value: Any) -> Callable[[Row], Row]:
    return lambda row: {**row, column: value(row) if callable(value) else value}


SMUGGLED: dict[str, tuple[Callable[[Row], Row], dict[str, Any]]] = {
    "a transcript for a description": (put("speech_description", lambda row: row["text"]), {}),
    "a transcript for an impression": (put("speech_impression", lambda row: row["text"]), {}),
    "a transcript after a description": (put("speech_description", lambda row: f"Loud. {row['text']}"), {}),
    "the words in another order": (
        put("speech_description", lambda row: " ".join(sorted(row["text"].split()))),
        {},
    ),
    "a transcript of another row": (put("speech_impression", SAID), {}),
    "a label for a level": (put("intensity_mean_db_level", "happy"), {}),
    "a transcript for a level": (put("intensity_mean_db_level", lambda row: row["text"]), {}),
    "a transcript for a status": (put("audio_status", lambda row: row["text"]), {}),
    "a transcript after an id": (put("utterance_id", lambda row: f"{row['utterance_id']}: {row['text']}"), {}),
    "a transcript within an id": (
        put("utterance_id", lambda row: row["utterance_id"] + "_" + "_".join(row["text"].split())),
        {},
    ),
    "a transcript for a dialogue": (put("dialogue_id", lambda row: row["text"].replace(" ", "_")), {}),
    "a transcript for a measurement": (
        put("intensity_mean_db", lambda row: row["text"]),
        {"intensity_mean_db": Value("string")},
    ),
    "a transcript for a z-score": (
        put("intensity_mean_db_z", lambda row: row["text"]),
        {"intensity_mean_db_z": Value("string")},
    ),
    "a list in a column of texts": (
        put("speech_description", lambda row: [row["text"]]),
        {"speech_description": List(Value("string"))},
    ),
    "a table in a column of texts": (
        put("speech_description", lambda row: {"is": row["speech_description"], "was": row["text"]}),
        {},
    ),
    "bytes in a column of texts": (
        put("speech_impression", lambda row: row["text"].encode()),
        {"speech_impression": Value("binary")},
    ),
    "classes in a column of levels": (
        put("intensity_mean_db_level", 0),
        {"intensity_mean_db_level": ClassLabel(names=[SAID])},
    ),
    "a measurement beyond what speech can be": (put("intensity_mean_db", 68111032.0), {}),
    "a measurement that is no number": (put("intensity_mean_db", float("inf")), {}),
    "turns that do not count": (put("turn", lambda row: ord(row["text"][0])), {"turn": Value("int32")}),
    "a level of a cue that was not described": (put("f0_mean_hz_level", "high"), {}),
}


WHY = (
    "the licence of iemocap|is none of|is no measurement|whole dialogues|stand together|is not (what|of) the describer"
)
"""Each says what is wrong, and none that the corpus is not known."""


@pytest.mark.parametrize(("change", "types"), SMUGGLED.values(), ids=SMUGGLED.keys())
def test_a_column_holds_what_its_name_says_or_does_not_leave(hub, cues, tmp_path, change, types):
    columns = list(CUES) + (["f0_mean_hz_level"] if change(row_of(cues)).get("f0_mean_hz_level") == "high" else [])
    publish_dataset([cues], NAME, columns=CUES)
    hub.clear()
    refused(hub, [changed(cues, tmp_path / "out", change, **types)], WHY, columns=columns)


def row_of(folder: Path) -> Row:
    return read_dataset(folder)["train"][0]


def test_letters_written_as_measurements_do_not_leave(hub, release, tmp_path):
    """Enough rows for whole numbers not to be chance."""
    turns = [trees.IemocapTurn(f"F{place:03}", place, place + 0.5, SAID) for place in range(24)]
    root = trees.iemocap(tmp_path / "long")
    trees.iemocap_dialogue(root, "Ses01F_impro07", turns, trees.wav(0.5))
    folder = iemocap_described(root, tmp_path)
    codes = changed(folder, tmp_path / "codes", put("intensity_mean_db", lambda row: float(ord(SAID[row["turn"]]))))
    with pytest.raises(LicenceError, match="whole numbers, which are no measurements"):
        publish_dataset([codes], NAME, columns=["dialogue_id", "utterance_id", "turn", "intensity_mean_db"])


def test_a_split_is_not_called_by_a_transcript(hub, cues, tmp_path):
    write_dataset(DatasetDict(Excuse_me=read_dataset(cues)["train"]), tmp_path / "out")
    shutil.copyfile(cues / "describer.json", tmp_path / "out" / "describer.json")
    refused(hub, [tmp_path / "out"], "has a split 'Excuse_me'", columns=CUES)


def test_words_without_their_describer_do_not_leave(hub, cues, tmp_path):
    folder = changed(cues, tmp_path / "out", lambda row: row)
    (folder / "describer.json").unlink()
    with pytest.raises(LicenceError, match=r"no describer\.json beside the rows"):
        publish_dataset([folder], NAME, columns=CUES)


def with_notes(cues: Path, folder: Path) -> Path:
    """A note of the measurement, which descriptions quote, holds the transcript."""
    noted = {"measurement_note": lambda row: row["text"], "intensity_mean_db": None, "intensity_sd_db": None}
    types = dict.fromkeys(("intensity_mean_db", "intensity_sd_db"), Value("float64"))
    rows = changed(cues, folder / "noted", lambda row: {**row, **{k: v and v(row) for k, v in noted.items()}}, **types)
    command("describe", rows, "-o", folder / "worded", "--describer", cues)
    return folder / "worded"


def with_unknown_settings(cues: Path, folder: Path) -> Path:
    rows = changed(cues, folder / "out", lambda row: row)
    for name in ("describer.json", "measurement.json"):
        (rows / name).write_text(json.dumps({**json.loads((rows / name).read_text()), "examples": [SAID]}))
    return rows


def with_a_citation(cues: Path, folder: Path) -> Path:
    shutil.copytree(cues, folder / "out")
    record = json.loads((cues / "corpus.json").read_text())
    (folder / "out" / "corpus.json").write_text(json.dumps({**record, "citation": SAID, "homepage": SAID}))
    return folder / "out"


def with_a_picture(cues: Path, folder: Path) -> Path:
    rows = changed(cues, folder / "out", lambda row: row)
    chunk = b"tEXtComment\0" + SAID.encode()
    picture = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (rows / "distributions.png").write_bytes(picture)
    return rows


def with_other_records(cues: Path, folder: Path) -> Path:
    rows = changed(cues, folder / "out", lambda row: row)
    for name in ("captions.json", "biographies.json", "prompt.json", "prompt.jinja", "notes.txt"):
        (rows / name).write_text(json.dumps({"example": SAID}))
    return rows


def with_z_scores_made_up(cues: Path, folder: Path) -> Path:
    return changed(cues, folder / "out", put("intensity_mean_db_z", 68.111032))


BESIDE = [with_notes, with_unknown_settings, with_a_citation, with_a_picture, with_other_records, with_z_scores_made_up]


@pytest.mark.parametrize("change", BESIDE, ids=lambda change: change.__name__.replace("_", " "))
def test_what_is_beside_the_columns_or_makes_them_stays_here(hub, cues, tmp_path, change):
    publish_dataset([change(cues, tmp_path)], NAME, columns=CUES)
    told = published(hub)
    assert told and SAID.encode() not in told and b"LAUGHTER" not in told and struct.pack("<d", 68.111032) not in told
    assert {path.rsplit("/")[-1].split("-")[0] for path in hub.files("dataset", NAME)} <= {
        *("train", "validation", "test", "README.md", "views.json"),
        *("corpus.json", "describer.json", "measurement.json"),
    }


@pytest.mark.parametrize("place", ["groups", "trained_on", "package_version"])
def test_a_describer_tells_of_no_transcript(hub, cues, tmp_path, place):
    rows = changed(cues, tmp_path / "out", lambda row: row)
    record = json.loads((rows / "describer.json").read_text())
    more = {"groups": {**record["groups"], f"speaker: {SAID}": record["groups"]["overall"]}}
    more |= {"trained_on": {**record["trained_on"], "example": SAID}, "package_version": SAID}
    (rows / "describer.json").write_text(json.dumps({**record, place: more[place]}))
    refused(hub, [rows], r"describer\.json says", columns=CUES)


def test_prompts_do_not_leave(hub, cues):
    refused(hub, [cues], columns=CUES, prompts=["speechcue"])


def test_a_link_is_not_followed(hub, cues, tmp_path):
    command("prepare", "demo", "-o", tmp_path / "demo")
    for path in (tmp_path / "demo").glob("*.parquet"):
        path.unlink()
        path.symlink_to(cues / path.name)
    with pytest.raises(PublishingError, match="is a link"):
        publish_dataset([tmp_path / "demo"], NAME)


# Repositories


def test_a_gate_that_opens_to_everybody_who_asks_is_none(hub, cues):
    HfApi().create_repo(NAME, repo_type="dataset")
    HfApi().update_repo_settings(NAME, repo_type="dataset", gated="auto")
    refused(hub, [cues], everybody_is_licensed=True)


def test_a_repository_that_becomes_public_meanwhile_gets_nothing(hub, cues, monkeypatch):
    def opened(*arguments: Any, **options: Any) -> None:
        hub.repositories["dataset", NAME].private = False

    monkeypatch.setattr(publishing, "check_files", opened)
    with pytest.raises(PublishingError, match="has become public"):
        publish_dataset([cues], NAME, private=True, everybody_is_licensed=True)
    assert not published(hub)


def test_a_private_repository_is_marked_and_what_could_be_public_warns(hub, cues, caplog):
    publish_dataset([cues], NAME, private=True, everybody_is_licensed=True)
    files = hub.files("dataset", NAME)
    (reason,) = json.loads(files["private.json"])["reasons"]
    assert "the licence of iemocap" in reason and " text" in reason
    assert "> **This repository must stay private.** the licence of iemocap" in files["README.md"].decode()
    publish_dataset([cues], NAME, columns=CUES)
    assert f"{NAME} must stay private" in caplog.text
    # The history still has the rest.
    assert "private.json" in hub.files("dataset", NAME)
    hub.repositories["dataset", NAME].private = False
    with pytest.raises(LicenceError, match=r"is public, although it is marked .* make it private again"):
        publish_dataset([cues], NAME, columns=CUES)


@pytest.mark.parametrize("damage", [b"", b"null", b"[]", b'{"reasons": 3}', b'{"format_version": 99}', b"[" * 100_000])
def test_a_damaged_mark_is_still_one(hub, cues, damage):
    HfApi().create_repo(NAME, repo_type="dataset")
    HfApi().upload_file(path_or_fileobj=damage, path_in_repo="private.json", repo_id=NAME, repo_type="dataset")
    with pytest.raises(LicenceError, match="is public, although it is marked"):
        publish_dataset([cues], NAME, columns=CUES)


# Clips of a television series


@pytest.fixture(scope="module")
def meld(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("meld")
    return prepared("meld", trees.meld(root), root / "prepared", "--no-verify")


def test_clips_of_meld_go_to_a_public_repository_only_if_somebody_says_so(hub, meld, caplog):
    with pytest.raises(LicenceError, match=r"does not let audio out to a public .*no licence of the recordings"):
        publish_dataset([meld], NAME)
    assert not published(hub)
    columns = [name for name in read_dataset(meld)["train"].column_names if name != "audio"]
    publish_dataset([meld], NAME, columns=columns)
    assert "private.json" not in hub.files("dataset", NAME)
    publish_dataset([meld], NAME, clips_may_be_public=True)
    assert b"fLaC" in published(hub) and "private.json" not in hub.files("dataset", NAME)


def test_clips_of_meld_in_a_private_repository_mark_it(hub, meld):
    publish_dataset([meld], NAME, private=True)
    assert "audio" in json.loads(hub.files("dataset", NAME)["private.json"])["reasons"][0]


def test_the_whole_way_leaves_the_clips_of_meld_here(hub, meld, tmp_path):
    shutil.copytree(meld, tmp_path / "meld")
    publish_corpus(tmp_path / "meld", NAME)
    files = hub.files("dataset", NAME)
    assert b"fLaC" not in published(hub) and "described/train-00000-of-00001.parquet" in files
    assert "utterances/train-00000-of-00001.parquet" in files


def sound(row: Row) -> bytes:
    return (row["audio"] or {}).get("bytes") or b"fLaC" + bytes(2000)


CLIPS: dict[str, tuple[Callable[[Row], Any], Any]] = {
    "bytes": (sound, Value("binary")),
    "numbers": (lambda row: [0.5] * 100, List(Value("float32"))),
    "numbers in lists": (lambda row: [[1, 2]] * 100, List(List(Value("int16")))),
    "a table": (lambda row: {"clip": {"data": sound(row)}}, {"clip": {"data": Value("binary")}}),
    "a list of tables": (lambda row: [{"data": sound(row)}], List({"data": Value("binary")})),
    "text": (lambda row: base64.b64encode(sound(row) + bytes(2000)).decode(), Value("string")),
    "text in lists": (lambda row: [base64.b85encode(sound(row) + bytes(2000)).decode()], List(Value("string"))),
    "another column of clips": (lambda row: {"bytes": sound(row), "path": "a.flac"}, Audio(decode=False)),
}


@pytest.mark.parametrize(("value", "kind"), CLIPS.values(), ids=CLIPS.keys())
def test_clips_of_meld_are_known_by_what_a_column_can_hold(hub, meld, tmp_path, value, kind):
    dataset = read_dataset(meld)
    rows = DatasetDict(
        {
            split: part.map(
                lambda row: {"more": value(row)}, features=type(part.features)({**part.features, "more": kind})
            )
            for split, part in dataset.items()
        }
    )
    write_dataset(rows.remove_columns("audio"), tmp_path / "out")
    write_record(OWN, tmp_path / "out")
    with pytest.raises(LicenceError, match="does not let more out"):
        publish_dataset([tmp_path / "out"], NAME)


def test_clips_of_meld_are_known_in_somebodys_own_folder(hub, tmp_path):
    release = trees.meld(tmp_path)
    files = sorted(release.rglob("dia*.mp4"))[:2]
    write_metadata(release, files)
    folder = prepared("folder", release, tmp_path / "out")
    with pytest.raises(LicenceError, match="the licence of meld"):
        publish_dataset([folder], NAME)
