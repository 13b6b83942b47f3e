"""Whether SEmoLLM's three stages learn: from scratch, a tiny model names pitch, speed, volume and emotion of new clips.

    OMP_NUM_THREADS=1 python benchmarks/semollm.py --seeds 1 2 3
    OMP_NUM_THREADS=1 python benchmarks/semollm.py --epoch

The corpus is that of ``dataset_scripts/levels.py``, whose levels are known because espeak-ng was told them;
sentences of the test split are in no other split. Nothing is downloaded: the speech encoder is a random Whisper encoder
on a log-mel spectrogram, which, unlike the normalised samples that most encoders read, keeps the loudness; it is frozen
and stays random. The language model is random as well and first learns, from text alone, to answer a question from
facts that stand where the clip will stand: it knows no clip, as Llama knows none. Then the three stages follow as in
``semollm/tiny``. Answers are generated and read strictly: one that does not state exactly one level of a cue counts
as wrong for it. ``--epoch`` times an epoch with the encoder and with its states from the disk.
What it printed stands in ``semollm.md``.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict, load_dataset
from figures import recorded
from peft import PeftModel
from sklearn.metrics import accuracy_score
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoProcessor, AutoTokenizer, WavLMConfig, WhisperConfig

import speechcue_hf  # noqa: F401 - lets datasets know the corpora
from speechcue_hf.captions.build import captioned, question
from speechcue_hf.captions.parts import CUE_WORDS
from speechcue_hf.captions.reading import read_claims, read_words
from speechcue_hf.captions.tasks import caption_task, render
from speechcue_hf.metrics.spread import spread_of
from speechcue_hf.models.semollm.assembly import start_stage1, start_stage2
from speechcue_hf.models.semollm.modeling_semollm import SEmoLLMForConditionalGeneration
from speechcue_hf.models.tiny_semollm import LANGUAGE_MODEL, QFORMER, SPEECH_ENCODER, build_tiny_parts
from speechcue_hf.training.arguments import DataSettings, StageSettings, StageTraining
from speechcue_hf.training.semollm import train_stage
from speechcue_hf.training.semollm_batches import AnswerCollator, ClipLoader, StateLoader
from speechcue_hf.training.speech_states import keep_states, read_clip

EMOTIONS = ("angry", "happy", "neutral", "sad")
STYLE = caption_task("gender+pitch+speed+volume")
EMOTION = caption_task("emotion")
TARGETS = {**CUE_WORDS, "emotion": EMOTIONS}
STEPS = {1: 600, 2: 240, 3: 120}
RATES = {1: 3e-3, 2: 3e-3, 3: 2e-3}


def main() -> None:
    """Print the scores, or the times of an epoch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1, 2, 3], help="of parameters and of the order of rows"
    )
    parser.add_argument("--folder", type=Path, help="where corpus and runs go; a temporary folder by default")
    parser.add_argument("--epoch", action="store_true", help="time an epoch with and without kept states instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        corpus = speak_corpus(folder / "levels")
        if arguments.epoch:
            print_epoch_times(corpus, folder)
        else:
            print_scores([run_seed(corpus, folder / f"seed-{seed}", seed) for seed in arguments.seeds], corpus["test"])


def speak_corpus(folder: Path) -> DatasetDict:
    """Let espeak-ng speak, unless it has."""
    if not (folder / "metadata.csv").is_file():
        script = Path(__file__).parents[1] / "dataset_scripts" / "levels.py"
        subprocess.run([sys.executable, str(script), str(folder)], check=True)
    return load_dataset("speechcue/folder", data_dir=str(folder))


def facts_of(row: Mapping[str, Any]) -> dict[str, str | None]:
    """What is known of a clip, by part of captions."""
    known = {cue: row[cue] for cue in CUE_WORDS}
    return {"gender": row["gender"], **known, "emotion": row["emotion"], "transcript": None}


def caption_rows(rows: Dataset, tasks: Sequence[Any]) -> Dataset:
    """Question and answer for each clip and task, made of the levels that were spoken."""
    names = rows.features["emotion"].names
    made = []
    for row in rows.remove_columns("audio"):
        facts = facts_of(row | {"emotion": names[row["emotion"]]})
        for task in tasks:
            asked = {part: fact if part in task.parts else None for part, fact in facts.items()}
            answer = captioned(render("caption", **asked), None, None)
            made.append({"utterance_id": row["utterance_id"], "prompt": question(task), **answer})
    return Dataset.from_list(made)


def run_seed(corpus: DatasetDict, folder: Path, seed: int) -> dict[str, Any]:
    """Train the three stages and score the last two.

    Returns:
        Answers of the test split after stage 2 and after stage 3, and CPU seconds of each part.
    """
    style = DatasetDict({split: caption_rows(rows, [STYLE]) for split, rows in corpus.items()})
    both = DatasetDict({split: caption_rows(rows, [STYLE, EMOTION]) for split, rows in corpus.items()})
    parts, seconds, answers = folder / "parts", {}, {}
    encoder = WhisperConfig(
        d_model=128, encoder_layers=1, encoder_attention_heads=4, encoder_ffn_dim=128, decoder_layers=1, vocab_size=64,
        max_source_positions=150, num_mel_bins=80, init_std=0.1, pad_token_id=0, bos_token_id=1, eos_token_id=1,
        decoder_start_token_id=1, decoder_ffn_dim=64, decoder_attention_heads=4,
    )  # fmt: skip
    build_tiny_parts(parts, texts_of(both["train"]), seed=seed, hidden_size=64, speech=encoder)
    seconds["language model"] = cpu_seconds(lambda: teach_language(parts / LANGUAGE_MODEL, seed))
    for stage, captions in ((1, style), (2, style), (3, both)):
        settings = (stage_settings(stage, folder), stage_training(stage, folder, seed))
        seconds[f"stage {stage}"] = cpu_seconds(partial(train_stage, corpus, captions, DataSettings(), *settings))
        if stage > 1:
            answers[stage] = answer_clips(folder / f"stage{stage}", corpus["test"])
    print(f"seed {seed}:", ", ".join(f"{part} {spent:.0f} CPU-s" for part, spent in seconds.items()), flush=True)
    return {"answers": answers, "seconds": seconds}


def stage_settings(stage: int, folder: Path) -> StageSettings:
    """As in ``semollm/tiny``, on the parts of this seed; one folder of states serves all stages."""
    parts = {
        "speech_encoder": str(folder / "parts" / SPEECH_ENCODER),
        "qformer": str(folder / "parts" / QFORMER),
        "language_model": str(folder / "parts" / LANGUAGE_MODEL),
    }
    return StageSettings(
        stage=stage,
        start_from=None if stage == 1 else str(folder / f"stage{stage - 1}"),
        states=str(folder / "states"),
        num_query_tokens=8,
        classifier_proj_size=128,
        lora_dropout=0.0,
        **parts,
    )


def stage_training(stage: int, folder: Path, seed: int) -> StageTraining:
    """Settings of the trainer; the best of a few evaluations on the validation split is kept."""
    steps = STEPS[stage]
    return StageTraining(
        output_dir=str(folder / f"stage{stage}"),
        max_steps=steps,
        learning_rate=RATES[stage],
        warmup_steps=50,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=50,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=steps // 4,
        save_steps=steps // 4,
        logging_steps=steps // 8,
        disable_tqdm=True,
        seed=seed,
    )


def texts_of(rows: Dataset) -> list[str]:
    """What the tokenizers must know."""
    facts = [f"{word} {cue}" for cue, words in CUE_WORDS.items() for word in words]
    return [*rows["caption"], STYLE.question, EMOTION.question, "female speaker male speaker", *facts, *EMOTIONS]


def teach_language(folder: Path, seed: int, steps: int = 100) -> None:
    """Teach the language model, from text alone, to answer the question about style from facts before it."""
    torch.manual_seed(seed)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    draw = random.Random(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 20) * (1 - step / steps))
    model.train()
    for _ in range(steps):
        ids, labels = zip(*(_lesson(draw, tokenizer) for _ in range(32)), strict=True)
        batch = pad_sequence(ids, batch_first=True, padding_value=tokenizer.pad_token_id)
        loss = model(batch, labels=pad_sequence(labels, batch_first=True, padding_value=-100)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.save_pretrained(folder)


def _lesson(draw: random.Random, tokenizer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """A question after facts in any order, and its answer."""
    facts = {cue: draw.choice(words) for cue, words in CUE_WORDS.items()} | {"gender": draw.choice(("female", "male"))}
    said = [f"{word} speaker" if part == "gender" else f"{word} {part}" for part, word in facts.items()]
    draw.shuffle(said)
    messages = [{"role": "user", "content": " ".join(["", *said, STYLE.question])}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    answer = render("caption", **facts, emotion=None, transcript=None) + tokenizer.eos_token
    before, after = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, answer))
    return torch.tensor(before + after), torch.tensor([-100] * len(before) + after)


@torch.inference_mode()
def answer_clips(run: Path, rows: Dataset) -> dict[str, list[str]]:
    """Generated answers to both questions, greedily."""
    model, processor = load_run(run)
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    seconds = base.config.train_seconds
    answers: dict[str, list[str]] = {}
    for task in (STYLE, EMOTION):
        prompt = processor.apply_chat_template(question(task), tokenize=False, add_generation_prompt=True)
        found: list[str] = []
        for start in range(0, len(rows), 60):
            clips = [read_clip(row["audio"], seconds) for row in rows.select(range(start, min(start + 60, len(rows))))]
            inputs = processor(
                [prompt] * len(clips), [samples for samples, _ in clips], sampling_rate=[rate for _, rate in clips]
            )
            output = model.generate(**inputs, max_new_tokens=40, do_sample=False)
            new = output[:, inputs["input_ids"].shape[1] :]
            found += processor.tokenizer.batch_decode(new, skip_special_tokens=True)
        answers[task.name] = found
    return answers


def load_run(folder: Path) -> tuple[Any, Any]:
    """Model and processor of a finished stage."""
    adapted = (folder / "adapter_config.json").is_file()
    model = SEmoLLMForConditionalGeneration.from_pretrained(folder / "base_model" if adapted else folder)
    model = PeftModel.from_pretrained(model, str(folder)) if adapted else model
    return model.eval(), AutoProcessor.from_pretrained(folder)


def read_answer(answer: str, target: str) -> str:
    """The one word that an answer states for a target; what is not exactly one is ``invalid``."""
    if target == "emotion":
        words = sorted(read_words(answer, EMOTIONS))
    else:
        words = [claim.word for claim in read_claims(answer) if claim.cue == target]
    return words[0] if len(words) == 1 else "invalid"


def score(answers: Mapping[str, Sequence[str]], rows: Dataset, target: str) -> dict[str, float]:
    """Balanced accuracy, accuracy and share of invalid answers."""
    names = rows.features["emotion"].names
    truth = [names[label] for label in rows["emotion"]] if target == "emotion" else list(rows[target])
    found = [read_answer(text, target) for text in answers["emotion" if target == "emotion" else STYLE.name]]
    hits = [[one == other for one, other in zip(truth, found, strict=True) if one == name] for name in TARGETS[target]]
    return {
        "balanced": sum(sum(part) / len(part) for part in hits) / len(hits),
        "accuracy": accuracy_score(truth, found),
        "invalid": found.count("invalid") / len(found),
        "majority": max(truth.count(name) for name in TARGETS[target]) / len(truth),
    }


def print_scores(runs: Sequence[Mapping[str, Any]], rows: Dataset) -> None:
    """A line for each target and stage: mean ± standard deviation over seeds."""
    heading = "balanced accuracy   chance   accuracy          majority  invalid"
    print(f"\n{len(rows)} test clips, {len(runs)} seeds     {heading}")
    for stage, targets in ((2, tuple(CUE_WORDS)), (3, tuple(TARGETS))):
        for target in targets:
            scores = spread_of([score(run["answers"][stage], rows, target) for run in runs])
            balanced, accuracy = (worded(scores[name]) for name in ("balanced", "accuracy"))
            print(
                f"stage {stage}  {target:<10} {balanced:>28} {1 / len(TARGETS[target]):8.3f}   {accuracy:<16}"
                f" {scores['majority']['mean']:8.3f} {scores['invalid']['mean']:8.3f}"
            )
    total = spread_of([{"seconds": sum(run["seconds"].values())} for run in runs])["seconds"]
    print(f"CPU seconds of one seed: {worded(total, 0)}")


def print_epoch_times(corpus: DatasetDict, folder: Path, clips: int = 16) -> None:
    """CPU time of an epoch of stage 2 with an encoder of WavLM-base's shape, and with its states from the disk."""
    spoken = DatasetDict(train=corpus["train"].select(range(clips)))
    rows = caption_rows(spoken["train"], [STYLE])
    parts = folder / "epoch_parts"
    build_tiny_parts(
        parts, texts_of(rows), hidden_size=64, speech=WavLMConfig(feat_extract_norm="layer", conv_bias=True)
    )
    for part in start_stage1(str(parts / SPEECH_ENCODER), str(parts / QFORMER)):
        part.save_pretrained(folder / "epoch_stage1")
    model, processor = start_stage2(str(folder / "epoch_stage1"), str(parts / LANGUAGE_MODEL))
    seconds, layers = model.config.train_seconds, model.config.num_speech_layers
    with_encoder = rows.with_transform(ClipLoader(spoken["train"], seconds, None))
    kept: dict[str, Dataset] = {}
    encoder = model.model.speech_encoder

    def keep() -> None:
        kept.update(keep_states(spoken, encoder, processor, folder / "epoch_states", seconds=seconds))

    print(f"{clips} clips, WavLM-base's shape, batches of 4: CPU seconds")
    collate = AnswerCollator(processor, seconds)
    times = {"an epoch with the encoder": cpu_seconds(lambda: run_epoch(model, with_encoder, collate))}
    times["keeping the states, once"] = cpu_seconds(keep)
    from_disk = rows.with_transform(StateLoader(kept["train"], layers))
    times["an epoch with states from the disk"] = cpu_seconds(lambda: run_epoch(model, from_disk, collate))
    for name, spent in times.items():
        print(f"{name:<36} {spent:8.2f}")
    frames = sum(kept["train"]["frames"])
    size = sum(len(states) for states in kept["train"]["speech_states"])
    print(f"{size / 1e6:.1f} MB for {frames / 50:.0f} s of speech: {layers} layers, float16")


def run_epoch(model: SEmoLLMForConditionalGeneration, rows: Dataset, collate: AnswerCollator) -> None:
    """Forward and backward over all rows."""
    model.train()
    for start in range(0, len(rows), 4):
        model(**collate([rows[place] for place in range(start, start + 4)])).loss.backward()


def worded(spread: Mapping[str, Any], digits: int = 3) -> str:
    """Mean ± standard deviation."""
    return f"{spread['mean']:.{digits}f}" + ("" if spread["sd"] is None else f" ± {spread['sd']:.{digits}f}")


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU time of this process for some work; other programs disturb it least."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    with recorded("semollm_epoch" if "--epoch" in sys.argv else "semollm"):
        main()
