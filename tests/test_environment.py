import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from speechcue_hf import environment
from speechcue_hf.environment import (
    examine,
    extra_finding,
    extra_requirements,
    library_versions,
    python_finding,
    space_finding,
    token_finding,
    torchaudio_finding,
)


@pytest.mark.parametrize(
    ("running", "state"), [((3, 9), "problem"), ((3, 10), "ok"), ((3, 13), "ok"), ((3, 14), "problem")]
)
def test_python_is_supported_from_3_10_to_3_13(running, state):
    assert python_finding(running).state == state


def test_a_torchaudio_that_does_not_import_is_a_problem_with_its_cure(tmp_path, monkeypatch):
    broken = tmp_path / "torchaudio"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise OSError('libc10_cuda.so: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = torchaudio_finding({"torchaudio": "2.11.0", "torch": "2.13.0+cpu"})
    assert finding.state == "problem"
    assert "libc10_cuda.so" in finding.what and "2.13.0+cpu" in finding.what
    assert "speechcue_hf[torchaudio]" in finding.fix


def test_a_torchaudio_that_imports_is_fine(tmp_path, monkeypatch):
    (tmp_path / "torchaudio.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert torchaudio_finding({"torchaudio": "2.11.0", "torch": "2.11.0"}).state == "ok"


def test_an_extra_names_the_packages_of_setup_cfg():
    assert {"torch", "transformers", "trl", "peft", "accelerate"} <= set(extra_requirements("train"))
    assert extra_requirements("torchaudio") == ["torch", "torchaudio"]


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(environment, "_is_installed", lambda name: name != "trl")
    finding = extra_finding("train")
    assert (finding.state, finding.what) == ("note", "extra [train] lacks trl")
    assert "speechcue_hf[train]" in finding.fix


def test_the_token_is_never_shown():
    assert "secret" not in token_finding("hf_secret").what
    assert token_finding(None).state == "note"


def test_a_full_disk_is_a_problem(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**8))
    finding = space_finding(tmp_path / "not" / "there")
    assert finding.state == "problem" and "0.1 GB" in finding.what and "HF_HOME" in finding.fix


def test_versions_are_those_installed():
    import datasets

    assert library_versions()["datasets"] == datasets.__version__


def test_no_finding_shows_the_home_folder():
    assert not any(str(Path.home()) in finding.what + finding.fix for finding in examine())
