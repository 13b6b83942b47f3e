import pytest
from datasets import Dataset, DatasetDict, load_dataset

import speechcue_hf  # noqa: F401
from speechcue_hf.corpora.identity import identify
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.corpora.published import commit_of, join_published, read_published
from speechcue_hf.errors import CorpusError
from speechcue_hf.hub.publish_dataset import publish_dataset
from speechcue_hf.records import CorpusIdentity, find_record
from tests.corpora import trees

NAME = "tester/iemocap-cues"


@pytest.fixture
def release(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    read_published.cache_clear()
    return trees.iemocap(tmp_path)


def load(release, **options):
    return load_dataset("speechcue/iemocap", "all", data_dir=str(release), **{"verify": False, **options})


@pytest.fixture
def own(release):
    return load(release)


def publish(own, tmp_path, word="said", without=None):
    """Descriptions in an order of their own, of the rows that are to be kept; in a laboratory's own repository."""
    published = DatasetDict()
    for split, rows in own.items():
        ids = [name for name in rows["utterance_id"] if name != without][::-1]
        described = [f"{name} is {word}" for name in ids]
        published[split] = Dataset.from_dict(
            {"dialogue_id": ids, "utterance_id": ids, "speech_description": described, "f0_mean_hz": range(len(ids))}
        )
    write_dataset(published, tmp_path / f"cues-{word}")
    return publish_dataset([tmp_path / f"cues-{word}"], NAME, private=True, everybody_is_licensed=True)


def test_published_columns_meet_their_utterances(hub, release, own, tmp_path):
    publish(own, tmp_path)
    joined = load(release, published=NAME)
    for split, rows in joined.items():
        assert rows["speech_description"][:] == [f"{name} is said" for name in rows["utterance_id"]]
        assert rows.remove_columns(["speech_description", "f0_mean_hz"]).to_list() == own[split].to_list()


def test_the_commit_that_was_joined_stays_with_the_rows(hub, release, own, tmp_path):
    commit = publish(own, tmp_path)
    write_dataset(load(release, published=NAME).remove_columns("audio"), tmp_path / "joined")
    assert identify(own).joined == ""
    read = read_dataset(tmp_path / "joined").map(lambda row: {"more": 1})
    assert find_record(CorpusIdentity, tmp_path / "joined").joined == identify(read).joined == f"{NAME}@{commit}"


def test_a_new_commit_there_makes_new_rows_here(hub, release, own, tmp_path):
    publish(own, tmp_path)
    assert load(release, published=NAME)["train"][0]["speech_description"].endswith("said")
    publish(own, tmp_path, word="shouted")
    assert load(release, published=NAME)["train"][0]["speech_description"].endswith("shouted")


def test_a_row_that_was_not_published_is_named_or_stays_null(hub, release, own, tmp_path):
    first = own["train"][0]["utterance_id"]
    publish(own, tmp_path, without=first)
    joined = load(release, published=NAME)["train"]
    assert joined["speech_description"][0] is None and joined["speech_description"][1] is not None
    table = own["train"].with_format("arrow")[:]
    with pytest.raises(CorpusError, match=f"utterance '{first}' and 0 more .*verify=False"):
        join_published(table, read_published(NAME, "described", commit_of(NAME)), required=True)


def test_offline_what_was_fetched_before_is_joined(hub, release, own, tmp_path, monkeypatch):
    publish(own, tmp_path)
    load(release, published=NAME)
    hub.clear()
    read_published.cache_clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert load(release, published=NAME)["train"][0]["speech_description"].endswith("said")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"published": "tester/nothing"}, "no dataset 'tester/nothing' on the Hub"),
        ({"published_view": "sft-x"}, "sft-x"),
    ],
)
def test_what_is_not_there_is_named(hub, release, own, tmp_path, options, message):
    publish(own, tmp_path)
    with pytest.raises(CorpusError, match=message):
        load(release, **{"published": NAME, **options})
