"""What earlier releases wrote still loads, scores the same, predicts the same, gets its card, and is trained on.

Each folder beside this file is what one release wrote, made by ``freeze.py``. A set is never changed: where a test
fails, the package is to be mended.
"""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from speechcue_hf.cli import main

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
RUNS = {"chat": "chat", "encoder": "encoders/seed-1", "stage3": "stage3"}
VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "runs").is_dir())
DATA = {"chat": "biographies", "encoder": "described", "stage3": "heard"}
LIKELIHOOD = 1e-3
"""Largest difference of a log-probability: another release of torch adds in another order."""


@pytest.fixture(scope="module", params=VERSIONS)
def frozen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a set, with the links to base models that the release made."""
    folder = tmp_path_factory.mktemp("frozen") / request.param
    shutil.copytree(HERE / request.param, folder)
    (folder / "runs" / "chat" / "base_model").symlink_to(folder / "models" / "chat")
    (folder / "runs" / "stage3" / "base_model").symlink_to(folder / "runs" / "stage2")
    for path in (folder / "recipes").glob("*.yaml"):
        path.write_text(path.read_text(encoding="utf-8").replace("made-elsewhere", str(folder)), encoding="utf-8")
    return folder


def run(*command: object) -> None:
    assert main([str(part) for part in command]) == 0, command


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def likelihoods(probabilities) -> list[float]:
    values = probabilities.values() if isinstance(probabilities, dict) else probabilities
    return [math.log(max(value, 1e-30)) for value in values]


def assert_same_rows(found: list[dict], expected: list[dict], texts: tuple[str, ...]) -> None:
    assert [row["utterance_id"] for row in found] == [row["utterance_id"] for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        assert [row[name] for name in texts] == [wanted[name] for name in texts]
        assert likelihoods(row["probabilities"]) == pytest.approx(likelihoods(wanted["probabilities"]), abs=LIKELIHOOD)


def test_measures_and_describes_the_same(frozen: Path, tmp_path: Path) -> None:
    run("measure", frozen / "data" / "prepared", "-o", tmp_path / "measured")
    run("describe", tmp_path / "measured", "-o", tmp_path / "described", "--describer", frozen / "data" / "described")
    for step in ("measured", "described"):
        for path in sorted((frozen / "data" / step).glob("*.parquet")):
            before, now = (pq.read_table(folder / path.name) for folder in (path.parent, tmp_path / step))
            assert set(now.column_names) >= set(before.column_names)
            for field in before.schema:
                values, kept = (table[field.name].to_pylist() for table in (now, before))
                if pa.types.is_floating(field.type):
                    kept = [value and pytest.approx(value, rel=1e-6, abs=1e-9) for value in kept]
                assert values == kept, field.name


@pytest.mark.parametrize("data", ["described", "paper", "heard"])
def test_a_described_folder_is_described_again_by_its_own_describer(frozen: Path, tmp_path: Path, data: str) -> None:
    folder = frozen / "data" / data
    run("describe", folder, "-o", tmp_path / "again", "--describer", folder)
    for path in folder.glob("*.parquet"):
        before, now = (pq.read_table(place / path.name) for place in (folder, tmp_path / "again"))
        assert now["speech_description"] == before["speech_description"]
        assert now["speech_impression"] == before["speech_impression"]


@pytest.mark.parametrize("kind", RUNS)
def test_scores_the_same(frozen: Path, tmp_path: Path, kind: str) -> None:
    expected = json.loads((frozen / "expected" / f"{kind}.json").read_text(encoding="utf-8"))
    audio = ("--audio", frozen / "data" / "prepared", "--explain") if kind == "stage3" else ()
    data = ("--dataset", frozen / "data" / DATA[kind], *audio)
    run("evaluate", *data, "--model", frozen / "runs" / RUNS[kind], "-o", tmp_path)
    found = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    texts = ("label", "prediction", *(["explanation"] if kind == "stage3" else []))
    assert_same_rows(found, expected["rows"], texts)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["weighted_f1"] == pytest.approx(expected["weighted_f1"], abs=1e-12)


@pytest.mark.parametrize("kind", RUNS)
def test_predicts_the_same(frozen: Path, tmp_path: Path, kind: str) -> None:
    run("predict", frozen / "conversations", "--model", frozen / "runs" / RUNS[kind], "-o", tmp_path / "found.jsonl")
    texts = ("emotion", "speaker", "text", "description")
    assert_same_rows(lines(tmp_path / "found.jsonl"), lines(frozen / "expected" / f"{kind}.jsonl"), texts)


@pytest.mark.parametrize("kind", RUNS)
def test_gets_its_card(frozen: Path, kind: str) -> None:
    folder = frozen / "runs" / RUNS[kind]
    run("card", folder, "--repo-id", "me/model", "--licence", "apache-2.0")
    card = (folder / "README.md").read_text(encoding="utf-8")
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert f"{100 * results['weighted_f1']:.2f} %" in card
    assert "folder-6-erc" in card


@pytest.mark.parametrize("kind", ["chat", "encoder", "stage1", "stage2", "stage3"])
def test_the_program_on_its_card_still_runs(
    frozen: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = (frozen / "cards" / f"{kind}.md").read_text(encoding="utf-8")
    monkeypatch.chdir(frozen / "runs" / RUNS.get(kind, kind))
    exec(compile(card.split("```python\n")[1].split("```")[0], f"{kind}.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("kind", RUNS)
def test_a_setting_that_a_later_release_adds_harms_no_run(frozen: Path, tmp_path: Path, kind: str) -> None:
    """Every record of that release has one more setting, with a default: fingerprints and with them all checks hold."""
    expected = json.loads((frozen / "expected" / f"{kind}.json").read_text(encoding="utf-8"))
    audio = ("--audio", frozen / "data" / "prepared") if kind == "stage3" else ()
    folder = frozen / "runs" / RUNS[kind]
    commands = [
        ("evaluate", frozen / "data" / DATA[kind], *audio, "--model", folder, "-o", tmp_path / "scored"),
        ("predict", frozen / "conversations", "--model", folder),
        ("card", folder),
    ]
    later = [sys.executable, str(HERE / "next_release.py"), json.dumps(commands, default=str)]
    done = subprocess.run(later, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "scored" / "results.json").read_text(encoding="utf-8"))
    assert results["weighted_f1"] == pytest.approx(expected["weighted_f1"], abs=1e-12)
    assert results["emphasis"] is False


def test_runs_are_compared_and_averaged(frozen: Path, tmp_path: Path) -> None:
    seeds = [frozen / "runs" / "encoders" / f"seed-{seed}" for seed in (1, 2)]
    run("compare", *seeds, "-o", tmp_path / "comparison.json")
    run("ensemble", *seeds, "-o", tmp_path / "together")
    compared = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    kept = [json.loads((seed / "results.json").read_text(encoding="utf-8"))["weighted_f1"] for seed in seeds]
    assert compared["weighted_f1"] == pytest.approx(kept)
    assert json.loads((tmp_path / "together" / "results.json").read_text(encoding="utf-8"))["n"] == 8


def test_all_seeds_are_scored_again(frozen: Path, tmp_path: Path) -> None:
    runs = frozen / "runs" / "encoders"
    run("evaluate", "--dataset", frozen / "data" / "described", "--model", runs, "-o", tmp_path)
    before, now = (json.loads((folder / "seeds-test.json").read_text(encoding="utf-8")) for folder in (runs, tmp_path))
    assert now["weighted_f1"]["values"] == pytest.approx(before["weighted_f1"]["values"])


def test_a_killed_run_goes_on(frozen: Path) -> None:
    output = frozen / "runs" / "killed"
    data = ("--dataset", frozen / "data" / "biographies", "--output-dir", output)
    run(
        "train",
        "--config",
        frozen / "recipes" / "chat.yaml",
        *data,
        "num_train_epochs=2",
        "resume_from_checkpoint=true",
    )
    record = json.loads((output / "training.json").read_text(encoding="utf-8"))
    assert record["steps"] == 6
    assert [entry["step"] for entry in record["log"] if "eval_weighted_f1" in entry] == [3, 6]


def test_a_finished_encoder_is_trained_on(frozen: Path, tmp_path: Path) -> None:
    start = frozen / "runs" / "encoders" / "seed-1"
    line = ("--config", frozen / "recipes" / "encoder.yaml", "--dataset", frozen / "data" / "described")
    run("train", *line, "--output-dir", tmp_path, f"encoder={start}", "num_train_epochs=1", "max_steps=1")
    record = json.loads((tmp_path / "seed-1" / "training.json").read_text(encoding="utf-8"))
    before = json.loads((start / "training.json").read_text(encoding="utf-8"))
    assert record["trained_before"][0]["corpus"] == before["corpus"]
    assert record["base_model"] == before["base_model"]


@pytest.mark.parametrize("stage", [2, 3])
def test_a_finished_stage_is_followed_by_the_next(frozen: Path, tmp_path: Path, stage: int) -> None:
    run("train", "--config", frozen / "recipes" / f"stage{stage}.yaml", "-o", tmp_path / "next")
    assert json.loads((tmp_path / "next" / "training.json").read_text(encoding="utf-8"))["stage"] == stage


def test_no_biography_is_written_twice(frozen: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.jsonl"
    shutil.copyfile(frozen / "data" / "biographies" / "biographies-store.jsonl", store)
    before = store.read_bytes()
    written = ("--model", frozen / "models" / "chat", "--max-new-tokens", 12, "--store", store)
    run("biographies", frozen / "data" / "described", "-o", tmp_path / "biographies", *written)
    assert store.read_bytes() == before
    for path in (frozen / "data" / "biographies").glob("*.parquet"):
        assert pq.read_table(tmp_path / "biographies" / path.name)["biography"] == pq.read_table(path)["biography"]


def test_a_published_view_is_loaded_and_joined(frozen: Path, tmp_path: Path, hub) -> None:
    from huggingface_hub import HfApi

    HfApi().create_repo("tester/frozen", repo_type="dataset")
    HfApi().upload_folder(repo_id="tester/frozen", folder_path=str(frozen / "published"), repo_type="dataset")
    rows = load_dataset("tester/frozen", "described", cache_dir=str(tmp_path / "cache"))
    kept = pq.read_table(next((frozen / "data" / "described").glob("test-*.parquet")))
    assert list(rows["test"]["speech_description"]) == kept["speech_description"].to_pylist()
    run("describe", frozen / "data" / "measured", "-o", tmp_path / "again", "--describer", "tester/frozen")
    again = pq.read_table(next((tmp_path / "again").glob("test-*.parquet")))
    assert again["speech_description"] == kept["speech_description"]


def test_a_run_is_published(frozen: Path, hub) -> None:
    run("publish", "model", frozen / "runs" / "encoders", "--repo-id", "tester/encoder", "--licence", "apache-2.0")
    assert "training.json" in hub.repositories["model", "tester/encoder"].commits[-1].files


def test_no_set_is_larger_than_it_may_be() -> None:
    assert VERSIONS
    for version in VERSIONS:
        assert sum(path.stat().st_size for path in (HERE / version).rglob("*") if path.is_file()) <= 3_000_000
