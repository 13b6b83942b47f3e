import getpass
from pathlib import Path

import pytest
from datasets import Dataset

from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.scan import check_files
from tests.hub.hub_server import TOKEN


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_token_is_found_and_not_shown(tmp_path):
    path = written(tmp_path, "training.json", f'{{"token": "{TOKEN}"}}')
    with pytest.raises(PublishingError, match=r"training\.json holds an access token") as refusal:
        check_files([path])
    assert TOKEN not in str(refusal.value)


@pytest.mark.parametrize("place", ["/home/ann/corpora/x.wav", "/Users/ann/x", "C:\\\\Users\\\\ann\\\\x"])
def test_a_home_of_any_system_is_found(tmp_path, place):
    with pytest.raises(PublishingError, match=r"README\.md holds a path of this machine"):
        check_files([written(tmp_path, "README.md", f"trained on {place}")])


def test_folders_of_this_machine_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, "config.json", f'{{"base": "{tmp_path}/base_model"}}')
    with pytest.raises(PublishingError, match="path of this machine"):
        check_files([path])
    data = tmp_path / "elsewhere" / "data"
    monkeypatch.chdir("/")
    with pytest.raises(PublishingError, match="path of this machine"):
        check_files([written(tmp_path, "seeds.json", f"{data}")], folders=[data])


def test_the_users_name_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "annabel")
    with pytest.raises(PublishingError, match="user"):
        check_files([written(tmp_path, "README.md", "made by annabel")])
    check_files([written(tmp_path, "README.md", "made by annabella")])


def test_parquet_is_looked_into_nested_columns_too(tmp_path):
    path = tmp_path / "train-00000-of-00001.parquet"
    Dataset.from_dict(
        {"audio": [{"path": "a.wav", "bytes": b"/home/ann"}], "prompt": [[{"content": "hello"}]]}
    ).to_parquet(path)
    check_files([path])
    rows = {"audio": [{"path": "a.wav"}, {"path": "/home/ann/a.wav"}], "prompt": [[{"content": "hello"}]] * 2}
    Dataset.from_dict(rows).to_parquet(path)
    with pytest.raises(PublishingError, match="parquet holds a path"):
        check_files([path])
    Dataset.from_dict({"prompt": [[{"content": f"say {TOKEN}"}]]}).to_parquet(path)
    with pytest.raises(PublishingError, match="parquet holds an access token"):
        check_files([path])


def test_ordinary_files_pass(tmp_path):
    text = '{"settings": {"learning_rate": 0.1}, "source": "speechcue/demo", "what": "root of the matter, /etc, a/b"}'
    check_files([written(tmp_path, "training.json", text)])
