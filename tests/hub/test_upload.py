import hashlib

import pytest
from huggingface_hub import HfApi, hf_hub_download

from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.upload import commit_files, repository
from speechcue_hf.retries import RetryPolicy
from tests.hub.hub_server import TOKEN, Fault, Hub

pytestmark = pytest.mark.slow

NAME = "tester/cues"
FAST = RetryPolicy(retries=3, first_wait=0.0)
FILES = {"README.md": b"# Cues\n", "cues/test-00000-of-00001.parquet": b"rows " * 1000}


@pytest.fixture
def there(hub: Hub) -> Hub:
    assert not repository(NAME, "dataset", private=False)
    return hub


def publish(files=FILES, **options):
    return commit_files(NAME, "dataset", files, "Publish cues", retries=FAST, **options)


def uploads(hub: Hub) -> int:
    return sum(method == "PUT" and path.startswith("/lfs/") for method, path in hub.requests)


def test_files_arrive_byte_for_byte(there, tmp_path):
    sha = publish()
    assert there.files("dataset", NAME) == FILES
    assert sha == there.repositories["dataset", NAME].commits[-1].sha
    for path, data in FILES.items():
        with open(hf_hub_download(NAME, path, repo_type="dataset", revision=sha, cache_dir=tmp_path), "rb") as file:
            assert file.read() == data


def test_what_is_there_already_makes_no_commit(there):
    assert publish() == publish()
    assert len(there.repositories["dataset", NAME].commits) == 2


def test_shards_of_an_earlier_time_go_with_the_same_commit(there):
    publish({**FILES, "cues/train-00000-of-00002.parquet": b"old", "other/x.parquet": b"stays"})
    publish({"cues/test-00000-of-00001.parquet": b"new"}, replaces=["cues/"])
    assert set(there.files("dataset", NAME)) == {"README.md", "cues/test-00000-of-00001.parquet", "other/x.parquet"}
    assert len(there.repositories["dataset", NAME].commits) == 3


def test_private_and_gated_repositories_are_told_apart_from_public_ones(hub):
    assert repository("tester/secret", "model", private=True)
    repository("tester/open", "model", private=False)
    HfApi().update_repo_settings("tester/open", gated="manual")
    assert repository("tester/open", "model", private=False)


HEALING = {
    "too many requests": Fault("POST", "/commit/", 429, times=2, headers={"Retry-After": "0"}),
    "a server error": Fault("POST", "/commit/", 500, times=2),
    "a conflict": Fault("POST", "/commit/", 409),
    "a moved head": Fault("POST", "/commit/", 412),
    "a cut connection": Fault("POST", "/commit/", cut=True, times=2),
    "a cut upload": Fault("PUT", "/lfs/", cut=True),
    "a slow answer": Fault("POST", "/commit/", wait=0.3),
    "an error on the way": Fault("POST", "/preupload/", 503),
}


@pytest.mark.parametrize("fault", HEALING.values(), ids=HEALING.keys())
def test_what_can_heal_is_tried_again(there, fault, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    there.faults.append(fault)
    publish()
    assert there.files("dataset", NAME) == FILES
    assert len(there.repositories["dataset", NAME].commits) == 2


def test_a_commit_whose_answer_was_lost_is_not_made_twice(there):
    there.faults.append(Fault("POST", "/commit/", 500, late=True))
    publish()
    assert len(there.repositories["dataset", NAME].commits) == 2


@pytest.mark.parametrize(
    ("status", "fix"), [(401, "hf auth login"), (403, "right to write"), (400, "run the command again")]
)
def test_what_cannot_heal_stops_at_once_and_says_what_to_do(there, status, fix):
    there.faults.append(Fault("POST", "/commit/", status, times=9))
    with pytest.raises(
        PublishingError, match=rf"tester/cues: the Hub answered {status}.*Nothing was published; .*{fix}"
    ):
        publish()
    assert there.faults[0].times == 8
    assert there.files("dataset", NAME) == {}


def test_nothing_is_half_published_and_a_second_run_sends_no_file_again(there):
    there.faults.append(Fault("POST", "/commit/", cut=True, times=4))
    with pytest.raises(PublishingError, match=r"no answer from the Hub .*run the command again"):
        publish()
    assert there.files("dataset", NAME) == {}
    assert hashlib.sha256(FILES["cues/test-00000-of-00001.parquet"]).hexdigest() in there.objects
    sent = uploads(there)
    publish()
    assert (uploads(there), there.files("dataset", NAME)) == (sent, FILES)


def test_without_a_token_the_cure_is_named_and_no_token_is_ever_shown(hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PublishingError, match="hf auth login"):
        repository(NAME, "dataset", private=False, retries=FAST)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.faults.append(Fault("POST", "/api/repos/create", 403))
    with pytest.raises(PublishingError) as refusal:
        repository(NAME, "dataset", private=False, retries=FAST)
    assert TOKEN not in str(refusal.value)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", "/api/validate-yaml", 400, body={"errors": [{"message": "no"}]}),
        Fault("POST", "/preupload/", 200, body={"files": None}),
        Fault("POST", "/preupload/", 200, body={}),
        Fault("POST", "/info/lfs/", 200, body={"objects": [{"oid": 3}]}),
        Fault("POST", "/commit/", 200, body={}),
    ],
    ids=lambda fault: fault.path,
)
def test_an_answer_that_is_not_understood_is_an_error_of_ours(there, fault):
    there.faults.append(fault)
    with pytest.raises(PublishingError, match=r"tester/cues: the Hub does not take it, or its answer"):
        publish()
