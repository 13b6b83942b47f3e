"""Freeze what the checked-out release writes, so that later releases are tested on it.

    python -m tests.upgrade.freeze tests/upgrade/0.2.0

Everything is made by commands and recipes, as users make it, and small: five dialogues of the demo corpus, models of
some ten thousand random parameters. Each release adds a set and leaves the earlier ones as they are;
``test_frozen_sets.py`` runs over all of them.
"""

from __future__ import annotations

import csv
import json
import os
import runpy
import shutil
import sys
import tempfile
from pathlib import Path

# Before the clients are imported: the published dataset goes to a Hub of our own.
os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="speechcue-freeze-"))
from tests.hub.hub_server import TOKEN, Hub

HUB = Hub()
os.environ |= {"HF_ENDPOINT": HUB.endpoint, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN}

import pyarrow.parquet as pq
import torch
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, Wav2Vec2FeatureExtractor, WavLMModel

from speechcue_hf.cli import main
from speechcue_hf.corpora.demo import DEMO_FOLDER
from speechcue_hf.models.tiny import train_tokenizer
from speechcue_hf.models.tiny_semollm import tiny_speech_config
from tests.models.bioserc.tiny_encoders import save_tiny_encoder

RECIPES = Path(__file__).parents[2] / "recipes"
SPLITS = {"train": 3, "validation": 1, "test": 1}
LEFT_OUT = ("*.png", "*.bin", "training_args*", ".*", "rng_state*", "paper-measured", "base_model")
"""Pictures, pickles of the trainer, locks, and links: ``test_frozen_sets.py`` makes those of base models again."""


def freeze(target: Path) -> None:
    """Make all parts in a folder of their own, then keep what is small and not a picture."""
    work = Path(tempfile.mkdtemp(prefix="speechcue-freeze-"))
    conversations = write_conversations(work / "raw", dict(SPLITS))
    make_models(work / "models", conversations)
    make_data(work)
    train_chat(work)
    train_encoders(work)
    train_stages(work)
    write_cards(work)
    publish(work)
    predict(work)
    for part in ("models", "recipes", "data", "runs", "cards", "published", "conversations", "expected"):
        shutil.copytree(work / part, target / part, ignore=shutil.ignore_patterns(*LEFT_OUT))
    forget_places(target, work)
    shutil.rmtree(work)


def forget_places(target: Path, work: Path) -> None:
    """Where a run lay while it was made is in the trainer's own files only; nothing of it is kept."""
    for path in (path for path in target.rglob("*") if path.suffix in (".json", ".yaml")):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(str(work), "made-elsewhere"), encoding="utf-8")


def run(*command: object) -> None:
    assert main([str(part) for part in command]) == 0, command


def write_conversations(folder: Path, wanted: dict[str, int], biography: bool = False) -> Path:
    """Some dialogues of the demo corpus in the layout of ``speechcue/folder``."""
    with (DEMO_FOLDER / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = {
        name
        for split, count in wanted.items()
        for name in list(dict.fromkeys(row["dialogue_id"] for row in rows if row["split"] == split))[:count]
    }
    kept = [row for row in rows if row["dialogue_id"] in chosen]
    if biography:
        kept = [{**row, "biography": f"{row['speaker']} is somebody."} for row in kept]
    (folder / "audio").mkdir(parents=True)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)
    for row in kept:
        shutil.copyfile(DEMO_FOLDER / row["file_name"], folder / row["file_name"])
    return folder


def make_models(folder: Path, conversations: Path) -> None:
    """Base models: a chat model, a text encoder, and the parts of a SEmoLLM."""
    texts = [conversations.joinpath("metadata.csv").read_text(encoding="utf-8")]
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokenizer = train_tokenizer(texts, 280)
    tokens = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    end = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(**sizes, **tokens, **end, max_position_embeddings=4096, initializer_range=0.1)
    ).save_pretrained(folder / "chat")
    tokenizer.save_pretrained(folder / "chat")
    save_tiny_encoder("roberta", folder / "encoder", texts)
    WavLMModel(tiny_speech_config("wavlm", 16, 2, {"conv_bias": True})).save_pretrained(folder / "speech_encoder")
    Wav2Vec2FeatureExtractor(return_attention_mask=True, do_normalize=False).save_pretrained(folder / "speech_encoder")
    reader = train_tokenizer(texts, 280)
    reader.add_special_tokens({"cls_token": "[CLS]", "sep_token": "[SEP]"})
    reader.save_pretrained(folder / "qformer")
    BertModel(
        BertConfig(**sizes, vocab_size=len(reader), pad_token_id=reader.pad_token_id, max_position_embeddings=256)
    ).save_pretrained(folder / "qformer")


def make_data(work: Path) -> None:
    """Dataset folders of every step, and a describer of each wording."""
    data, chat = work / "data", work / "models" / "chat"
    run("prepare", "folder", "--data-dir", work / "raw", "-o", data / "prepared")
    run("measure", data / "prepared", "-o", data / "measured")
    run("measure", data / "prepared", "-o", data / "paper-measured", "--preset", "speechcuellm")
    run("describe", data / "measured", "-o", data / "described")
    run("describe", data / "paper-measured", "-o", data / "paper", "--wording", "speechcuellm", "--levels", 4)
    run("describe", data / "measured", "-o", data / "heard", "--baseline", "gender", "--levels", 3)
    written = ("--model", chat, "--max-new-tokens", 12)
    run("biographies", data / "described", "-o", data / "biographies", *written)
    run("caption", data / "heard", "-o", data / "style")
    run("caption", data / "heard", "-o", data / "emotion", "--tasks", "explanation", "emotion")


def train_chat(work: Path) -> None:
    """An adapter that is told descriptions and biographies, its scores, and a run that was killed after an epoch."""
    shape = {"model_name_or_path": str(work / "models" / "chat"), "lora_target_modules": ["q_proj", "v_proj"]}
    settings = shape | {"lora_r": 2, "lora_alpha": 4, "learning_rate": 1e-3, "disable_tqdm": True, "seed": 3}
    chosen = {"prompt": "speechcue_biography", "metric_for_best_model": "weighted_f1"}
    data = work / "data" / "biographies"
    recipe = write_recipe(work, "chat", settings | chosen | {"num_train_epochs": 1})
    run("train", "--config", recipe, "--dataset", data, "--output-dir", work / "runs" / "chat")
    run("evaluate", "--dataset", data, "--model", work / "runs" / "chat", "-o", work / "runs" / "chat")
    run("train", "--config", recipe, "--dataset", data, "--output-dir", work / "runs" / "killed")
    for path in (work / "runs" / "killed").iterdir():
        if path.is_file():
            path.unlink()
    for folder in (work / "runs" / "chat").glob("checkpoint-*"):
        shutil.rmtree(folder)


def train_encoders(work: Path) -> None:
    """Two seeds of an encoder classifier, with their mean on the selection split and on test."""
    shape = {"encoder": str(work / "models" / "encoder"), "num_attention_heads": 4, "cues": "z_scores"}
    settings = shape | {"num_train_epochs": 2, "learning_rate": 1e-2, "seeds": [1, 2], "disable_tqdm": True}
    recipe = write_recipe(work, "encoder", settings)
    runs = work / "runs" / "encoders"
    run("train", "--config", recipe, "--dataset", work / "data" / "described", "--output-dir", runs)
    run("evaluate", "--dataset", work / "data" / "described", "--model", runs, "-o", runs)
    for folder in runs.glob("*/checkpoint-*"):
        shutil.rmtree(folder)
    for path in (runs / "seed-2").glob("*.py"):
        path.unlink()


def train_stages(work: Path) -> None:
    """The three stages of a SEmoLLM, the last one scored."""
    models, data, runs = work / "models", work / "data", work / "runs"
    parts = {"speech_encoder": str(models / "speech_encoder"), "qformer": str(models / "qformer")}
    small = {"num_query_tokens": 4, "classifier_proj_size": 16}
    stages = {
        1: parts | small | {"captions": str(data / "style")},
        2: {"language_model": str(models / "chat"), "captions": str(data / "style")},
        3: {"lora_r": 2, "lora_alpha": 4, "captions": str(data / "emotion")},
    }
    for stage, settings in stages.items():
        start = {} if stage == 1 else {"start_from": str(runs / f"stage{stage - 1}")}
        common = {"stage": stage, "max_steps": 2, "learning_rate": 1e-3, "seed": 3, "disable_tqdm": True}
        places = {"dataset": str(data / "prepared"), "output_dir": str(runs / f"stage{stage}")}
        recipe = write_recipe(work, f"stage{stage}", settings | start | common | places)
        sys.argv = ["semollm.py", "--config", str(recipe)]
        runpy.run_path(str(RECIPES / "semollm.py"), run_name="__main__")
    scored = ("--dataset", data / "heard", "--audio", data / "prepared", "--explain")
    run("evaluate", *scored, "--model", runs / "stage3", "-o", runs / "stage3")
    for folder in runs.glob("stage*/checkpoint-*"):
        shutil.rmtree(folder)


def write_cards(work: Path) -> None:
    """The card of each kind of run, whose program must go on running."""
    (work / "cards").mkdir()
    runs = {"chat": "chat", "encoder": "encoders/seed-1"} | {f"stage{stage}": f"stage{stage}" for stage in (1, 2, 3)}
    for name, folder in runs.items():
        run("card", work / "runs" / folder)
        shutil.move(work / "runs" / folder / "README.md", work / "cards" / f"{name}.md")


def publish(work: Path) -> None:
    """The files of a dataset repository."""
    data = work / "data"
    run("publish", "dataset", data / "described", "--repo-id", "tester/frozen", "--licence", "cc0-1.0")
    for name, content in HUB.repositories["dataset", "tester/frozen"].commits[-1].files.items():
        path = work / "published" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def predict(work: Path) -> None:
    """What each run says of a conversation, and the scores and probabilities that it got on test."""
    conversations = write_conversations(work / "conversations", {"test": 1}, biography=True)
    expected = work / "expected"
    expected.mkdir()
    runs = {"chat": "chat", "encoder": "encoders/seed-1", "stage3": "stage3"}
    for name, place in runs.items():
        run("predict", conversations, "--model", work / "runs" / place, "-o", expected / f"{name}.jsonl")
        results = json.loads((work / "runs" / place / "results.json").read_text(encoding="utf-8"))
        table = pq.read_table(work / "runs" / place / "predictions.parquet").to_pylist()
        scores = {"weighted_f1": results["weighted_f1"], "rows": table}
        (expected / f"{name}.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")


def write_recipe(work: Path, name: str, settings: dict[str, object]) -> Path:
    path = work / "recipes" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    freeze(Path(sys.argv[1]))
