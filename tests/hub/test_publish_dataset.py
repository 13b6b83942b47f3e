import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import DatasetDict, load_dataset
from huggingface_hub import DatasetCard, HfApi

import speechcue_hf  # noqa: F401
from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import LicenceError, PublishingError
from speechcue_hf.hub import publish_dataset as publishing
from speechcue_hf.hub.publish_dataset import publish_dataset
from tests.corpora import trees
from tests.demo_slice import ROWS, demo_slice
from tests.hub.guarded import iemocap_described
from tests.hub.hub_server import Fault, Hub

pytestmark = pytest.mark.slow

NAME = "tester/demo"
CUES = ["dialogue_id", "utterance_id", "turn", "speech_description"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """A slice of the demo corpus as prepared and as described."""
    root = tmp_path_factory.mktemp("demo")
    clips, measured, described = root / "demo", root / "measured", root / "described"
    write_dataset(demo_slice(), clips)
    assert main(["measure", str(clips), "-o", str(measured), "--groups", "loudness"]) == 0
    assert main(["describe", str(measured), "-o", str(described)]) == 0
    return clips, described


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory) -> Path:
    """A described release, whose record is lost."""
    root = tmp_path_factory.mktemp("iemocap")
    described = iemocap_described(trees.iemocap(root), root)
    (described / "corpus.json").unlink()
    return described


def loaded(view: str, tmp_path: Path) -> DatasetDict:
    return load_dataset(NAME, view, cache_dir=str(tmp_path / "cache"))


def test_a_stranger_loads_what_was_published_clips_included(hub, folders, tmp_path):
    publish_dataset(folders, NAME, prompts=["speechcue"])
    for folder, view in zip(folders, ("utterances", "described"), strict=True):
        here, there = read_dataset(folder), loaded(view, tmp_path)
        assert {split: rows.num_rows for split, rows in there.items()} == ROWS
        for split in here:
            assert there[split].features == here[split].features
            assert there[split].to_list() == here[split].to_list()
    rows = loaded("sft-speechcue", tmp_path)["train"]
    assert rows[0]["completion"][0]["role"] == "assistant" and len(rows) == 48


def test_records_lie_beside_the_rows_byte_for_byte(hub, folders):
    publish_dataset(folders, NAME, prompts=["speechcue"])
    files = hub.files("dataset", NAME)
    for name in ("describer.json", "measurement.json", "corpus.json", "distributions.png"):
        assert files[f"described/{name}"] == (folders[1] / name).read_bytes()
    assert json.loads(files["sft-speechcue/prompt.json"])["name"] == "speechcue"
    assert "sft-speechcue/prompt.jinja" in files


def test_the_card_holds_what_the_records_say(hub, folders):
    publish_dataset(folders, NAME)
    card = DatasetCard.load(NAME)
    assert [config["config_name"] for config in card.data.configs] == ["described", "utterances"]
    assert card.data.license == "cc0-1.0"
    describer = json.loads((folders[1] / "describer.json").read_text())
    largest = max(describer["groups"].values(), key=lambda group: group["rows"])
    bounds = ", ".join(f"{bound:.4g}" for bound in largest["cues"]["intensity_mean_db"]["thresholds"])
    test = read_dataset(folders[1])["test"]
    happy = sum(test.features["emotion"].int2str(emotion) == "happy" for emotion in test["emotion"])
    for text in (
        "48 in 8 dialogues | 12 in 2 dialogues | 12 in 2 dialogues |",
        f"| `intensity_mean_db` | {bounds} |",
        "fitted on 48 rows of the split `train` only",
        "Measured by the preset `default`",
        "![distributions.png](described/distributions.png)",
        json.loads((folders[1] / "corpus.json").read_text())["revision"],
        "Licence of the corpus: CC0-1.0",
    ):
        assert text in card.content, text
    assert re.search(rf"^\| happy \|.* {happy} \|$", card.content, flags=re.MULTILINE)
    assert not re.search(r"\{\{|\{%|None|undefined", card.content)


def test_the_cards_program_runs_as_it_stands(hub, folders, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    publish_dataset(folders, NAME, prompts=["speechcue"])
    program = re.search(r"```python\n(.*?)```", DatasetCard.load(NAME).content, flags=re.DOTALL)[1]
    made: dict[str, object] = {}
    exec(program, made)
    assert made["sft_speechcue"].num_rows == made["described"].num_rows == ROWS


def test_a_view_published_later_joins_those_there_are(hub, folders, tmp_path):
    publish_dataset(folders[:1], NAME)
    publish_dataset(folders[1:], NAME)
    assert [config["config_name"] for config in DatasetCard.load(NAME).data.configs] == ["described", "utterances"]
    assert loaded("utterances", tmp_path)["test"].num_rows == 12


def test_shards_follow_the_size_and_old_ones_go(hub, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(publishing, "SHARD_BYTES", 100_000)
    publish_dataset(folders[:1], NAME)
    many = [path for path in hub.files("dataset", NAME) if path.startswith("utterances/train-")]
    assert len(many) > 1 and loaded("utterances", tmp_path)["train"].num_rows == 48
    monkeypatch.setattr(publishing, "SHARD_BYTES", 10**9)
    publish_dataset(folders[:1], NAME)
    assert [path for path in hub.files("dataset", NAME) if path.startswith("utterances/train-")] == [
        "utterances/train-00000-of-00001.parquet"
    ]


def test_publishing_again_changes_nothing(hub, folders):
    assert publish_dataset(folders, NAME) == publish_dataset(folders, NAME)


def test_a_cut_upload_is_resumed(hub: Hub, folders, monkeypatch):
    monkeypatch.setattr("speechcue_hf.hub.upload.time.sleep", lambda seconds: None)
    hub.faults.append(Fault("POST", "/commit/", cut=True, times=9))
    with pytest.raises(PublishingError, match="run the command again"):
        publish_dataset(folders, NAME)
    assert hub.files("dataset", NAME) == {}
    sent = sum(method == "PUT" for method, _ in hub.requests)
    publish_dataset(folders, NAME)
    # Only the card and the facts could be new; every large file is there.
    assert sum(method == "PUT" for method, _ in hub.requests) == sent


def test_iemocap_leaves_as_cues_only_whatever_is_recorded(hub, iemocap):
    with pytest.raises(
        LicenceError, match=r"does not let .*text.* out to a public .*--columns dialogue_id .*published="
    ):
        publish_dataset([iemocap], NAME)
    assert hub.files("dataset", NAME) == {}
    publish_dataset([iemocap], NAME, columns=CUES)
    published = b"".join(hub.files("dataset", NAME).values())
    assert b"Excuse me" not in published and b"Too little is known" in published


def test_a_private_repository_of_iemocap_asks_for_the_flag(hub, iemocap):
    with pytest.raises(LicenceError, match="--everybody-is-licensed"):
        publish_dataset([iemocap], NAME, private=True)
    publish_dataset([iemocap], NAME, private=True, everybody_is_licensed=True)
    assert "described/train-00000-of-00001.parquet" in hub.files("dataset", NAME)


def test_a_public_repository_is_not_taken_for_private_because_the_flag_says_so(hub, iemocap):
    HfApi().create_repo(NAME, repo_type="dataset", private=False)
    with pytest.raises(PublishingError, match="is a public repository"):
        publish_dataset([iemocap], NAME, private=True, everybody_is_licensed=True)
    with pytest.raises(LicenceError, match="public repository"):
        publish_dataset([iemocap], NAME, everybody_is_licensed=True)
    assert hub.files("dataset", NAME) == {}


def test_a_gated_repository_of_iemocap_asks_for_the_flag(hub, iemocap):
    HfApi().create_repo(NAME, repo_type="dataset")
    HfApi().update_repo_settings(NAME, repo_type="dataset", gated="manual")
    with pytest.raises(LicenceError, match="--everybody-is-licensed"):
        publish_dataset([iemocap], NAME)
    publish_dataset([iemocap], NAME, everybody_is_licensed=True)
    assert "described/train-00000-of-00001.parquet" in hub.files("dataset", NAME)


@pytest.mark.parametrize("name", ["../../out", "my prompt", "a.b", ""])
def test_the_name_of_a_prompt_leads_nowhere_else(hub, folders, tmp_path, name):
    (tmp_path / "own.json").write_text(json.dumps({"extends": "speechcue", "name": name}))
    with pytest.raises(PublishingError, match="cannot name a config"):
        publish_dataset(folders[1:], NAME, prompts=[str(tmp_path / "own.json")])
    assert not hub.repositories


def test_rows_keep_their_ids(hub, folders):
    with pytest.raises(PublishingError, match="add dialogue_id and utterance_id"):
        publish_dataset(folders[1:], NAME, columns=["speech_description"])
    publish_dataset(folders[1:], NAME, columns=CUES)
    card = DatasetCard.load(NAME).content
    assert "`speech_description` (string)." in card and "| label |" not in card


def test_what_tells_of_this_machine_stops_the_upload(hub, folders, tmp_path):
    folder = tmp_path / "described"
    shutil.copytree(folders[1], folder)
    record = json.loads((folder / "measurement.json").read_text())
    (folder / "measurement.json").write_text(json.dumps({**record, "source": "/home/ann/demo"}))
    with pytest.raises(PublishingError, match=r"measurement\.json holds a path of this machine"):
        publish_dataset([folder], NAME)
    assert hub.files("dataset", NAME) == {}


def test_two_corpora_do_not_mix(hub, folders, tmp_path):
    publish_dataset(folders[:1], NAME)
    other = read_dataset(folders[1])
    other["test"] = other["test"].select(range(8))
    write_dataset(other, tmp_path / "fewer")
    with pytest.raises(PublishingError, match="different rows"):
        publish_dataset([folders[0], tmp_path / "fewer"], NAME)
    with pytest.raises(PublishingError, match="configs of another corpus, release or split"):
        publish_dataset([tmp_path / "fewer"], NAME)


def test_the_command_says_where_it_is(hub, folders, capsys):
    assert main(["publish", "dataset", str(folders[1]), "--repo-id", NAME, "--columns", *CUES, "nothing"]) == 1
    assert "described has no columns nothing" in capsys.readouterr().err
    assert main(["publish", "dataset", str(folders[1]), "--repo-id", NAME]) == 0
    head = hub.repositories["dataset", NAME].commits[-1].sha
    assert f"Published as {NAME}, commit {head[:12]}" in capsys.readouterr().out


def test_the_card_says_how_biographies_were_written(hub, told):
    publish_dataset([told], NAME)
    record = json.loads((told / "biographies.json").read_text())
    card = DatasetCard.load(NAME).content
    assert json.loads(hub.files("dataset", NAME)["biographies/biographies.json"]) == record
    assert f"scope `{record['scope']}`, made from the turns before each row only" in card
    assert f"(SHA-256 `{record['prompt']['sha256']}`)" in card
    for split, rows in record["rows"].items():
        assert f"- {split}: {rows['with_biography']} of {rows['all']} rows have one" in card


def test_the_card_says_how_captions_were_written(hub, folders, tmp_path):
    heard, captions = tmp_path / "heard", tmp_path / "captions"
    assert main(["describe", str(folders[1]), "-o", str(heard), "--baseline", "gender"]) == 0
    assert main(["caption", str(heard), "-o", str(captions), "--tasks", "style", "emotion"]) == 0
    publish_dataset([captions], NAME)
    assert hub.files("dataset", NAME)["captions/captions.json"] == (captions / "captions.json").read_bytes()
    card = DatasetCard.load(NAME).content
    assert "## Config `captions`" in card and "Captions of the tasks style, emotion, written by templates." in card


def test_a_corpus_of_text_claims_no_audio(hub, folders, tmp_path):
    text = read_dataset(folders[0]).remove_columns("audio")
    write_dataset(text, tmp_path / "text")
    publish_dataset([tmp_path / "text"], NAME)
    assert DatasetCard.load(NAME).data.task_categories == ["text-classification"]


def named(folder: Path, target: Path) -> Path:
    """Own recordings of people with names that nothing else has."""
    called = {"A": "Annabel Smith", "B": "Benjamin"}

    def told(row: dict) -> dict:
        speaker = list(called.values())[row["turn"] % 2]
        return {**row, "speaker": speaker, "biography": f"{speaker} lives with Benjamin. Benjamins do not."}

    rows = DatasetDict({split: part.map(told) for split, part in read_dataset(folder).items()})
    write_dataset(rows, target)
    describer = SpeechDescriber.from_pretrained(folder)
    groups = {**describer.groups, "speaker: Annabel Smith": describer.groups["overall"]}
    replace(describer, groups=groups).save_pretrained(target)
    return target


def test_speakers_of_own_recordings_become_numbers(hub, described_conversations, tmp_path, caplog):
    folder = named(described_conversations, tmp_path / "described")
    publish_dataset([folder], NAME, prompts=["speechcue"])
    files = hub.files("dataset", NAME)
    rows = loaded("biographies", tmp_path)["train"]
    assert set(rows["speaker"]) == {"speaker 1", "speaker 2"} and rows.column_names[-1] == "biography"
    assert rows["biography"][0] == "speaker 1 lives with speaker 2. Benjamins do not."
    prompt = loaded("sft-speechcue", tmp_path)["train"][1]["prompt"][0]["content"]
    assert "\nspeaker 1: " in prompt and "Emotion of speaker 2:" in prompt and "Annabel" not in prompt
    for name in ("README.md", "views.json", "biographies/describer.json"):
        assert b"Annabel" not in files[name] and b"speaker: speaker 1" in files[name], name
    assert "biographies/distributions.png" not in files
    there = SpeechDescriber.from_pretrained(snapshot(files, "biographies/describer.json", tmp_path))
    assert there.fingerprint == SpeechDescriber.from_pretrained(folder).fingerprint
    publish_dataset([folder], NAME, speaker_names=True)
    assert b"Annabel" in hub.files("dataset", NAME)["views.json"]


def snapshot(files: dict[str, bytes], path: str, folder: Path) -> Path:
    place = folder / "snapshot"
    place.mkdir()
    (place / Path(path).name).write_bytes(files[path])
    return place


def test_names_in_what_is_said_are_counted(hub, described_conversations, tmp_path, caplog):
    folder = named(described_conversations, tmp_path / "described")
    rows = DatasetDict(
        {split: part.map(lambda row: {"text": "Benjamin, stop."}) for split, part in read_dataset(folder).items()}
    )
    write_dataset(rows, folder)
    publish_dataset([folder], NAME)
    assert "the column text names speakers in 24 rows" in caplog.text


def test_speakers_of_a_release_keep_their_names(hub, folders, tmp_path):
    publish_dataset(folders[1:], NAME)
    assert set(loaded("described", tmp_path)["train"]["speaker"]) == set(read_dataset(folders[1])["train"]["speaker"])
