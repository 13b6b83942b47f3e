"""Tasks for evaluation harnesses: what is in them, and, where a harness is installed, that it finds the score we do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.harness import HARNESSES, task_name, write_harness
from speechcue_hf.inference.loading import load_classifier
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.encoding import completions_as_text, encode_completion
from speechcue_hf.prompts.specification import load_prompt
from tests.prompts.chat_templates import KNOWN, known_tokenizer

pytestmark = pytest.mark.slow

MODEL = Path(__file__).parents[1] / "upgrade" / "0.1.0" / "models" / "chat"
NAME = "speechcue_described"


@pytest.fixture
def described(described_folder: Path, tmp_path: Path) -> Path:
    """Described conversations, of which two turns have no label, and one says a control token."""
    dataset = read_dataset(described_folder)
    said = {0: {"text": "<|im_end|> they said"}, 3: {"emotion": None}, 4: {"emotion": None}}
    for split in ("train", "test"):
        dataset[split] = dataset[split].map(lambda row, place: row | said.get(place, {}), with_indices=True)
    write_dataset(dataset, tmp_path / "described")
    return tmp_path / "described"


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def scored(described: Path):
    """The rows of the training split, which are the most, as we score them: utterance → label."""
    rows = read_dataset(described)["train"]
    wanted = [place for place, emotion in enumerate(rows["emotion"]) if emotion is not None]
    found = load_classifier(MODEL, names=rows.features["emotion"].names).predict(rows, wanted)
    return {rows[place]["utterance_id"]: it.label for place, it in zip(wanted, found, strict=True)}


@pytest.mark.parametrize("name", KNOWN)
def test_text_has_the_tokens_that_we_score(name: str) -> None:
    """Put into tokens by the harness, prompt and choice are what our own scoring runs."""
    tokenizer, asked = known_tokenizer(name), [{"role": "user", "content": "How?"}]
    prompt, choices = completions_as_text(tokenizer, asked, ["happy", "sad"])
    for word, choice in zip(["happy", "sad"], choices, strict=True):
        ids = encode_completion(tokenizer, asked, [{"role": "assistant", "content": word}])
        assert tokenizer(prompt + choice, add_special_tokens=False)["input_ids"] == [*ids[0], *ids[1]]


@pytest.mark.parametrize("harness", HARNESSES)
def test_a_task_holds_prompts_choices_and_labels(harness, described: Path, tmp_path: Path) -> None:
    counts = write_harness(described, tmp_path / "out", harness, str(MODEL))
    dataset = read_dataset(described)
    assert counts == {"train": (22, 2), "validation": (12, 0), "test": (10, 2)}
    rows = [row for row in build_prompts(dataset["test"]) if row["emotion"] is not None]
    words = dataset["test"].features["emotion"].names
    for line, row in zip(lines(tmp_path / "out" / "data" / "test.jsonl"), rows, strict=True):
        content = row["prompt"][0]["content"].replace("<|im_end|>", "< |im_end|>")
        assert line["prompt"] == f"<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n"
        assert line["choices"] == [f"{word}<|im_end|>" for word in words] and line["label"] == row["emotion"]


def test_a_model_is_asked_with_the_prompt_beside_it(described: Path, tmp_path: Path) -> None:
    shutil.copytree(MODEL, tmp_path / "run")
    prompt = load_prompt({"extends": "bioserc_text", "name": "own"})
    prompt.save(tmp_path / "run")
    write_harness(described, tmp_path / "out", "lm-eval", str(tmp_path / "run"))
    first = lines(tmp_path / "out" / "data" / "test.jsonl")[0]
    assert first["prompt"].startswith("<|im_start|>system\n### You are an expert")
    assert f"own ({prompt.fingerprint[:12]})" in (tmp_path / "out" / "task.yaml").read_text()


def test_command_says_how_it_is_run(described: Path, tmp_path: Path, capsys) -> None:
    arguments = ["export", str(described), "-o", str(tmp_path / "out"), "--to", "lm-eval"]
    assert main(arguments) == 1
    assert "--model" in capsys.readouterr().err
    assert main([*arguments, "--model", str(MODEL)]) == 0
    said = capsys.readouterr().out
    assert f"--tasks {NAME} --model hf --model_args pretrained={MODEL}" in said
    assert "Left out, without a label: train 2, test 2" in said
    with pytest.raises(PublishingError, match="not empty"):
        write_harness(described, tmp_path / "out", "lighteval", str(MODEL))
    assert main([*arguments[:-1], "openai", "--model", str(MODEL), "-o", str(tmp_path / "other")]) == 1


def test_name_of_a_task() -> None:
    assert task_name(Path("data/MELD, described")) == "speechcue_meld_described"


def test_lm_eval_finds_our_predictions(described: Path, scored, tmp_path: Path) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.tasks import TaskManager
    from sklearn.metrics import f1_score

    write_harness(described, tmp_path / "out", "lm-eval", str(MODEL))
    # Its own score is of the test split; the training split has more rows to compare.
    task = tmp_path / "out" / "task.yaml"
    task.write_text(task.read_text().replace("training_split: train\n", "").replace("_split: test", "_split: train"))
    results = lm_eval.simple_evaluate(
        model="hf",
        model_args=f"pretrained={MODEL},dtype=float32,add_bos_token=False",
        tasks=[NAME],
        task_manager=TaskManager(include_path=str(tmp_path / "out"), include_defaults=False),
        device="cpu",
    )
    found = {
        sample["doc"]["utterance_id"]: int(np.argmax([likelihood for likelihood, _ in sample["filtered_resps"]]))
        for sample in results["samples"][NAME]
    }
    assert found == scored
    labels = {row["utterance_id"]: row["emotion"] for row in read_dataset(described)["train"]}
    expected = f1_score([labels[name] for name in scored], list(scored.values()), average="weighted", zero_division=0)
    assert results["results"][NAME]["f1,none"] == pytest.approx(expected)


def test_lighteval_finds_our_score(described: Path, scored, tmp_path: Path) -> None:
    pytest.importorskip("lighteval")
    try:
        # Its list of tasks fetches a file as it is imported, and 0.11 asks of huggingface_hub what 2 has no more.
        import lighteval.tasks.registry  # noqa: F401
    except (ImportError, OSError, TypeError) as error:
        pytest.skip(f"this lighteval does not start here: {error}")
    from lighteval.logging.evaluation_tracker import EvaluationTracker
    from lighteval.models.transformers.transformers_model import TransformersModelConfig
    from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
    from sklearn.metrics import f1_score

    # It keeps answers in the folder of a model.
    model = shutil.copytree(MODEL, tmp_path / "model")
    write_harness(described, tmp_path / "out", "lighteval", str(model))
    task = tmp_path / "out" / "lighteval_task.py"
    task.write_text(task.read_text().replace('evaluation_splits=["test"]', 'evaluation_splits=["train"]'))
    pipeline = Pipeline(
        tasks=f"custom|{NAME}|0",
        pipeline_parameters=PipelineParameters(
            launcher_type=ParallelismManager.ACCELERATE, custom_tasks_directory=str(task)
        ),
        evaluation_tracker=EvaluationTracker(output_dir=str(tmp_path / "results")),
        model_config=TransformersModelConfig(
            model_name=str(model), dtype="float32", override_chat_template=False, batch_size=1, device="cpu"
        ),
    )
    pipeline.evaluate()
    labels = {row["utterance_id"]: row["emotion"] for row in read_dataset(described)["train"]}
    expected = f1_score([labels[name] for name in scored], list(scored.values()), average="weighted", zero_division=0)
    assert pipeline.get_results()["results"]["all"]["weighted_f1"] == pytest.approx(expected)
