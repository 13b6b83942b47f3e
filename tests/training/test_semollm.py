import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import DatasetDict
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoProcessor

from speechcue_hf.errors import CorpusError, TrainingError
from speechcue_hf.models.semollm.configuration_semollm import SEmoLLMConfig, count_frames
from speechcue_hf.models.semollm.modeling_semollm import SEmoLLMForConditionalGeneration
from speechcue_hf.models.semollm.pretraining_semollm import SEmoLLMForPretraining
from speechcue_hf.training.arguments import DataSettings, StageSettings, StageTraining
from speechcue_hf.training.augmentation import Augmentation
from speechcue_hf.training.semollm import augmented, check_stage, train_stage
from speechcue_hf.training.semollm_batches import AnswerCollator, ClipLoader
from tests.models.semollm.tiny_model import build_tiny_semollm
from tests.training.spoken_corpus import spoken_corpus
from tests.training.test_augmentation import needs_torchaudio

pytestmark = pytest.mark.slow

SMALL = {"num_query_tokens": 4, "classifier_proj_size": 16, "projection_dropout": 0.0}
Run = Callable[..., Path]


def training(output: Path, **changes: Any) -> StageTraining:
    values = {"num_train_epochs": 2, "learning_rate": 2e-3, "logging_steps": 1, "disable_tqdm": True, "seed": 3}
    return StageTraining(output_dir=str(output), per_device_train_batch_size=4, **values | changes)


@pytest.fixture(scope="module")
def corpus() -> tuple[DatasetDict, DatasetDict]:
    return spoken_corpus()


@pytest.fixture(scope="module")
def runs(corpus: tuple[DatasetDict, DatasetDict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished stages 1 to 3, two epochs each, with every checkpoint; not to be changed."""
    folder = tmp_path_factory.mktemp("stages")
    for stage in (1, 2, 3):
        start = None if stage == 1 else str(folder / f"stage{stage - 1}")
        settings = StageSettings(stage=stage, start_from=start, lora_dropout=0.0, **SMALL)
        train_stage(*corpus, DataSettings(), settings, training(folder / f"stage{stage}", save_total_limit=None))
    return folder


def read_record(run: Path) -> dict[str, Any]:
    return json.loads((run / "training.json").read_text())


def logged(run: Path, name: str) -> list[float]:
    return [line[name] for line in read_record(run)["log"] if name in line]


def load_stage(run: Path) -> Any:
    if (run / "adapter_config.json").is_file():
        base = SEmoLLMForConditionalGeneration.from_pretrained(run / "base_model")
        return PeftModel.from_pretrained(base, str(run)).eval()
    return SEmoLLMForConditionalGeneration.from_pretrained(run).eval()


def mean_loss(run: Path, corpus: tuple[DatasetDict, DatasetDict]) -> float:
    """Loss on each answer of the validation split, from one full forward pass for each row."""
    clips, captions = corpus[0]["validation"], corpus[1]["validation"].select(range(4))
    model, processor = load_stage(run), AutoProcessor.from_pretrained(run)
    collate, losses = AnswerCollator(processor, 6.0), []
    for row in captions.with_transform(ClipLoader(clips, 6.0, None)):
        inputs = collate([row])
        labels = inputs.pop("labels")
        with torch.inference_mode():
            logits = model(**inputs).logits[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits, labels[0, 1:], ignore_index=-100, reduction="none"))
    tokens = torch.cat([loss[loss > 0] for loss in losses])
    return float(tokens.mean())


def test_every_stage_lowers_its_loss_and_keeps_its_best(
    runs: Path, corpus: tuple[DatasetDict, DatasetDict], caplog: pytest.LogCaptureFixture
) -> None:
    for stage in (1, 2, 3):
        record = read_record(runs / f"stage{stage}")
        evaluated = logged(runs / f"stage{stage}", "eval_loss")
        assert record["stage"] == stage and record["best"]["eval_loss"] == min(evaluated)
        assert evaluated[-1] < logged(runs / f"stage{stage}", "loss")[0]
        assert record["rows"]["train"] == {"all": 9, "with_caption": 8}
        assert 0 < record["parameters"]["trained"] < record["parameters"]["all"]
    for stage in (2, 3):
        run = runs / f"stage{stage}"
        assert mean_loss(run, corpus) == pytest.approx(read_record(run)["best"]["eval_loss"], rel=1e-3)
    assert not caplog.records, "a model loads without a warning"


def test_stage_1_logs_each_loss_and_the_similarity_of_queries(runs: Path) -> None:
    log = [line for line in read_record(runs / "stage1")["log"] if "loss" in line]
    for line in log:
        parts = line["matching_loss"] + line["contrastive_loss"] + line["generation_loss"]
        assert line["loss"] == pytest.approx(parts, rel=1e-4)
        assert -1 <= line["query_similarity"] <= 1
    assert len(logged(runs / "stage1", "eval_matching_loss")) == 2


def test_each_stage_trains_its_own_part_and_carries_the_rest_on(runs: Path) -> None:
    first = SEmoLLMForPretraining.from_pretrained(runs / "stage1").state_dict()
    second = load_stage(runs / "stage2").state_dict()
    third = load_stage(runs / "stage3").base_model.model.state_dict()
    parts = runs / "stage2" / "tiny_parts" / "language_model"
    language = AutoModelForCausalLM.from_pretrained(parts).model.state_dict()
    for name, value in language.items():
        kept = second[f"model.language_model.{name}"]
        assert torch.equal(kept[: len(value)], value), "stage 2 leaves the language model as it is"
    encoder = [name for name in first if name.startswith("speech_encoder")]
    assert encoder and all(torch.equal(first[name], second[f"model.{name}"]) for name in encoder)
    query = "speech_adapter.projector.qformer.query_tokens"
    assert not torch.equal(first[query], second[f"model.{query}"]), "stage 2 trains the adapter"
    changed = third[f"model.{query.replace('adapter.', 'adapter.modules_to_save.default.', 1)}"]
    assert not torch.equal(second[f"model.{query}"], changed), "and so does stage 3"
    lora = {name: value for name, value in third.items() if "lora_B" in name}
    assert lora and all("language_model" in name for name in lora)
    assert any(value.any() for value in lora.values())


def test_records_and_models_name_no_path(runs: Path) -> None:
    for run in (runs / f"stage{stage}" for stage in (1, 2, 3)):
        assert not [path.name for path in run.iterdir() if path.is_file() and str(runs).encode() in path.read_bytes()]
        assert not [path for path in run.rglob("*config.json") if str(runs) in path.read_text()]
        assert not list(run.rglob("README.md"))


def test_interrupted_stage_goes_on_to_the_same_end(
    runs: Path, corpus: tuple[DatasetDict, DatasetDict], tmp_path: Path
) -> None:
    finished, cut = runs / "stage3", tmp_path / "cut"
    shutil.copytree(finished / "checkpoint-2", cut / "checkpoint-2")
    settings = StageSettings(stage=3, start_from=str(runs / "stage2"), lora_dropout=0.0, **SMALL)
    with pytest.raises(TrainingError, match="already holds checkpoint-2"):
        train_stage(*corpus, DataSettings(), settings, training(cut))
    train_stage(*corpus, DataSettings(), settings, training(cut, resume_from_checkpoint="true"))
    assert logged(cut, "eval_loss") == pytest.approx(logged(finished, "eval_loss"), rel=1e-5)


@pytest.mark.parametrize("kind", ["layers", "sum"])
def test_kept_states_give_the_loss_of_computed_ones(
    kind: Any,
    runs: Path,
    corpus: tuple[DatasetDict, DatasetDict],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = {"stage": 2, "start_from": str(runs / "stage1"), **SMALL}
    kept = StageSettings(states=str(tmp_path / "states"), states_kind=kind, **settings)
    train_stage(*corpus, DataSettings(), kept, training(tmp_path / "kept"))
    assert read_record(tmp_path / "kept")["states_kept"] == kind
    # With the sum the layer weights learn no more, so that only the first loss is the same.
    compared = slice(None) if kind == "layers" else slice(1)
    found, expected = (logged(run, "loss")[compared] for run in (tmp_path / "kept", runs / "stage2"))
    assert found == pytest.approx(expected, abs=2e-3)
    assert "missing keys" not in caplog.text, "the tied head of the best checkpoint, which no file holds"


@pytest.mark.parametrize("kept", [False, True])
def test_only_training_clips_are_augmented(
    kept: bool, runs: Path, corpus: tuple[DatasetDict, DatasetDict], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: dict[str, list[torch.Tensor]] = {"samples": [], "states": []}

    def see(kind: str, speech: torch.Tensor) -> torch.Tensor:
        seen[kind].append(speech)
        return speech

    monkeypatch.setattr(Augmentation, "samples", lambda self, samples, rate: see("samples", samples))
    monkeypatch.setattr(Augmentation, "states", lambda self, states: see("states", states))
    settings = StageSettings(
        stage=2,
        start_from=str(runs / "stage1"),
        augmentation={"time_masks": 1} | ({} if kept else {"snr_db": [10.0, 20.0]}),
        states=str(tmp_path / "states") if kept else None,
        **SMALL,
    )
    train_stage(*corpus, DataSettings(), settings, training(tmp_path / "run", num_train_epochs=1))
    # Eight training rows, once; the four of the validation split are left alone.
    assert {kind: len(speech) for kind, speech in seen.items()} == {"samples": 0 if kept else 8, "states": 8}
    lengths = [len(row["samples"]) for row in corpus_samples(corpus)]
    frames = sorted(
        count_frames(length, SEmoLLMConfig.from_pretrained(runs / "stage1").conv_layers) for length in lengths
    )
    assert sorted(states.shape[1] for states in seen["states"]) == frames, "each clip without its padding"


def corpus_samples(corpus: tuple[DatasetDict, DatasetDict]) -> Any:
    """The captioned training rows with their samples."""
    clips, captions = (part["train"].select(range(8)) for part in corpus)
    return captions.with_transform(ClipLoader(clips, 6.0, None))


def test_queries_that_collapse_stop_the_run(corpus: tuple[DatasetDict, DatasetDict], tmp_path: Path) -> None:
    settings = StageSettings(stage=1, collapse_threshold=-1.0, **SMALL)
    with pytest.raises(TrainingError, match=r"queries have collapsed: at step 1 .*Lower learning_rate"):
        train_stage(*corpus, DataSettings(), settings, training(tmp_path))


def test_a_batch_too_large_for_the_memory_is_an_error_with_advice(
    corpus: tuple[DatasetDict, DatasetDict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(SEmoLLMForPretraining, "forward", too_large)
    with pytest.raises(TrainingError, match=r"batch of 4 rows .*per_device_train_batch_size 2 .*Tried to allocate 2"):
        train_stage(*corpus, DataSettings(), StageSettings(stage=1, **SMALL), training(tmp_path))


def test_stages_start_from_the_stage_before_and_nothing_else(runs: Path, tmp_path: Path) -> None:
    for settings, message in (
        (StageSettings(stage=4), "stage must be 1, 2 or 3, got 4"),
        (StageSettings(stage=1, start_from=str(runs / "stage1")), "leave start_from out"),
        (StageSettings(stage=2), "name its folder by start_from"),
        (StageSettings(stage=3, start_from=str(runs / "stage1")), "is of stage 1, but stage 3 starts from stage 2"),
        (StageSettings(stage=2, start_from=str(tmp_path)), "holds no finished stage: there is no training.json"),
    ):
        with pytest.raises(TrainingError, match=message):
            check_stage(settings)


def test_augmentation_that_makes_captions_untrue_or_belongs_to_kept_states_is_refused(runs: Path) -> None:
    start = str(runs / "stage1")
    for settings, message in (
        (StageSettings(stage=1, augmentation={"gain_db": 6.0}), "would make untrue"),
        (StageSettings(stage=2, start_from=start, augmentation={"speeds": [0.9]}), "would make untrue"),
        (StageSettings(stage=1, states="s", augmentation={"snr_db": [5.0, 9.0]}), "those of the clips as they are"),
    ):
        with pytest.raises(TrainingError, match=message):
            check_stage(settings)


def test_the_test_split_and_unknown_clips_are_refused(corpus: tuple[DatasetDict, DatasetDict], tmp_path: Path) -> None:
    clips, captions = corpus
    renamed = DatasetDict(train=captions["train"], test=captions["validation"])
    with pytest.raises(TrainingError, match="the test split must not choose"):
        train_stage(clips, renamed, DataSettings(selection_split="test"), StageSettings(), training(tmp_path))
    with pytest.raises(CorpusError, match="no column 'audio': give what `speechcue prepare` wrote"):
        train_stage(clips.remove_columns("audio"), captions, DataSettings(), StageSettings(**SMALL), training(tmp_path))
    fewer = DatasetDict(train=clips["train"].select(range(3)), validation=clips["validation"])
    with pytest.raises(CorpusError, match="the dataset with the clips has no row for"):
        train_stage(fewer, captions, DataSettings(), StageSettings(**SMALL), training(tmp_path))


def test_a_caption_longer_than_the_qformer_reads_is_named(
    corpus: tuple[DatasetDict, DatasetDict], tmp_path: Path
) -> None:
    clips, captions = corpus
    long = DatasetDict({split: rows.map(lambda row: {"caption": "very " * 200}) for split, rows in captions.items()})
    with pytest.raises(TrainingError, match=r"the caption of train\d has \d+ tokens, the Q-Former has 96 positions"):
        train_stage(clips, long, DataSettings(), StageSettings(**SMALL), training(tmp_path))


def test_states_are_masked_alike_whether_computed_or_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_tiny_semollm(["a high voice"])[0].model.speech_encoder
    samples, mask = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0)), torch.ones(2, 4000)
    mask[1, 2000:] = 0
    states, frames = encoder(samples, mask)
    kept = {"labels": mask, "speech_states": states.half(), "speech_states_mask": frames}
    computed = {"labels": mask, "input_features": samples, "input_features_mask": mask}
    monkeypatch.setattr(Augmentation, "states", lambda self, clip: clip * (torch.arange(clip.shape[1]) > 0)[:, None])
    for inputs in (kept, computed):
        found = augmented(inputs, encoder, Augmentation(time_masks=1))
        assert set(found) == {"labels", "speech_states", "speech_states_mask"}
        assert torch.equal(found["speech_states_mask"], frames)
        assert not found["speech_states"][:, :, 0].any()
        torch.testing.assert_close(found["speech_states"][:, :, 1:].float(), states[:, :, 1:], atol=2e-3, rtol=2e-3)
    assert kept["speech_states"][:, :, 0].any(), "what is kept stays as it is"


@needs_torchaudio
def test_masks_leave_the_padding_out_and_differ_between_clips() -> None:
    states = torch.ones(2, 3, 50, 8)
    frames = torch.arange(50) < torch.tensor([[50], [20]])
    inputs = {"speech_states": states, "speech_states_mask": frames}
    torch.manual_seed(0)
    settings = Augmentation(time_masks=1, longest_time_mask=40, largest_time_share=0.5)
    for _ in range(20):
        masked = augmented(inputs, torch.nn.Identity(), settings)["speech_states"][:, 0, :, 0] == 0
        assert masked[0].sum() <= 25 and masked[1].sum() <= 10 and not masked[1, 20:].any()
    assert masked.any() and masked[0, :20].tolist() != masked[1, :20].tolist()
