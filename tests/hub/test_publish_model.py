"""What a run looks like on the Hub, and what a stranger gets from there, with the real clients."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from huggingface_hub import HfApi, ModelCard
from peft import AutoPeftModelForCausalLM, PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoModelForSequenceClassification,
    AutoProcessor,
    AutoTokenizer,
)

from speechcue_hf.audio import decode
from speechcue_hf.cli import main
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import DescriberError, LicenceError, PublishingError, TrainingError
from speechcue_hf.hub.publish_dataset import publish_dataset
from speechcue_hf.hub.publish_model import publish_model
from speechcue_hf.inference.recognizer import EmotionRecognizer
from speechcue_hf.models.loading import load_encoder, load_model, load_speech_model
from tests.hub.hub_server import Fault

pytestmark = pytest.mark.slow

NAME = "tester/model"
RECORDS = {
    "training.json",
    "results.json",
    "describer.json",
    "confusion_matrix.png",
    "predictions.parquet",
    "README.md",
}
TOKENIZER = {"tokenizer.json", "tokenizer_config.json"}


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def copy_of(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target, symlinks=True, ignore=shutil.ignore_patterns("checkpoint-*"))
    return target


def chat_logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([[5, 6, 7, 8]], device=model.device)).logits.float().cpu()


def speech_logits(model: torch.nn.Module, processor, clip: Path) -> torch.Tensor:
    sound = decode(clip)
    prompt = f"{processor.audio_token}What is the emotion?"
    inputs = processor(prompt, audio=[sound.samples], sampling_rate=sound.rate)
    with torch.inference_mode():
        return model(**inputs.to(model.device)).logits.float().cpu()


def encoder_logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.tensor([[[0, 9, 10, 2], [0, 11, 12, 2]]], device=model.device)
    ones = torch.ones_like(ids)
    cues = torch.full((1, 2, len(model.config.cue_names)), 0.5, device=model.device)
    speakers = torch.tensor([[0, 1]], device=model.device)
    with torch.inference_mode():
        read = {"input_ids": ids, "attention_mask": ones, "span_mask": ones, "cues": cues, "speakers": speakers}
        return model(**read).logits.float().cpu()


def test_an_adapter_goes_out_whole_and_nothing_else_does(hub, chat, tmp_path):
    run = copy_of(chat, tmp_path / "run")
    for name in ("training_args.bin", "optimizer.pt", "pytorch_model.bin", "notes.txt", ".env"):
        (run / name).write_text("of nobody's concern")
    (run / "checkpoint-2").mkdir()
    (run / "checkpoint-2" / "adapter_model.safetensors").write_bytes(b"")
    commit = publish_model(run, NAME, licence="apache-2.0")
    files = hub.files("model", NAME)
    own = {"adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", *TOKENIZER}
    base = {"config.json", "generation_config.json", "model.safetensors", "chat_template.jinja", *TOKENIZER}
    told = {"prompt.json", "prompt.jinja", "biographies.json"}
    assert files.keys() == own | told | RECORDS | {f"base_model/{name}" for name in base}
    assert all(data == (run / path).read_bytes() for path, data in files.items() if path != "README.md")
    assert commit == HfApi().model_info(NAME).sha and len(hub.repositories["model", NAME].commits) == 2
    card = ModelCard.load(NAME)
    assert card.data.license == "apache-2.0" and card.data.library_name == "peft" and NAME in card.content
    model, tokenizer = load_model(NAME, commit)
    assert torch.equal(chat_logits(model), chat_logits(load_model(run)[0]))
    assert tokenizer.get_vocab() == load_model(run)[1].get_vocab()


def test_peft_alone_loads_an_adapter_whose_base_model_is_on_the_hub(hub, chat, tmp_path):
    api = HfApi()
    api.create_repo("tester/base")
    revision = api.upload_folder(folder_path=chat / "base_model", repo_id="tester/base").oid
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id="tester/base")
    run = copy_of(chat, tmp_path / "run")
    change(run / "adapter_config.json", base_model_name_or_path="tester/base", revision=revision)
    publish_model(run, NAME)
    assert not [path for path in hub.files("model", NAME) if path.startswith("base_model")]
    loaded = AutoPeftModelForCausalLM.from_pretrained(NAME).eval()
    assert torch.equal(chat_logits(loaded), chat_logits(load_model(chat)[0]))
    assert torch.equal(chat_logits(load_model(NAME)[0]), chat_logits(load_model(chat)[0]))


def test_a_base_model_of_this_machine_is_refused_with_the_cure(hub, chat, tmp_path):
    run = copy_of(chat, tmp_path / "run")
    shutil.move(run / "base_model", tmp_path / "llama")
    (run / "base_model").symlink_to(tmp_path / "llama")
    with pytest.raises(PublishingError, match=r"on this machine only.*publish it first.*base_model_name_or_path"):
        publish_model(run, NAME)
    assert not hub.repositories


def test_a_whole_chat_model_is_one_of_transformers(hub, chat, tmp_path):
    run = copy_of(chat, tmp_path / "run")
    for path in run.glob("adapter_*"):
        path.unlink()
    for path in (run / "base_model").iterdir():
        shutil.move(path, run / path.name)
    change(run / "training.json", adapter=None)
    publish_model(run, NAME)
    loaded = AutoModelForCausalLM.from_pretrained(NAME).eval()
    assert torch.equal(chat_logits(loaded), chat_logits(load_model(chat / "base_model")[0]))
    assert len(AutoTokenizer.from_pretrained(NAME)) == loaded.config.vocab_size


def test_an_encoder_loads_by_the_auto_class(hub, encoder):
    publish_model(encoder, NAME)
    files = hub.files("model", NAME)
    code = {path.name for path in encoder.glob("*_bioserc.py")}
    expected = {"config.json", "model.safetensors", "distributions.png"} | TOKENIZER | RECORDS | code
    assert code and files.keys() == expected
    loaded = AutoModelForSequenceClassification.from_pretrained(NAME).eval()
    assert torch.equal(encoder_logits(loaded), encoder_logits(load_encoder(encoder)[0]))
    assert list(loaded.config.id2label.values()) == json.loads(files["training.json"])["labels"]["names"]


def test_a_model_that_hears_and_an_adapter_on_it_load_by_id(hub, speech, tmp_path):
    stage2, stage3 = (speech / "runs" / name for name in ("stage2", "stage3"))
    clip = sorted((speech / "corpus" / "audio").glob("*.wav"))[0]
    revision = publish_model(stage2, "tester/stage2")
    whole = AutoModelForMultimodalLM.from_pretrained("tester/stage2").eval()
    processor = AutoProcessor.from_pretrained("tester/stage2")
    assert torch.equal(speech_logits(whole, processor, clip), speech_logits(*load_speech_model(stage2), clip))
    with pytest.raises(PublishingError, match="publish it first"):
        publish_model(stage3, NAME)
    run = copy_of(stage3, tmp_path / "run")
    change(run / "adapter_config.json", base_model_name_or_path="tester/stage2", revision=revision)
    publish_model(run, NAME)
    expected = speech_logits(*load_speech_model(stage3), clip)
    assert torch.equal(speech_logits(*load_speech_model(NAME), clip), expected)
    adapted = PeftModel.from_pretrained(whole, NAME).eval()
    assert torch.equal(speech_logits(adapted, AutoProcessor.from_pretrained(NAME), clip), expected)
    here, there = (EmotionRecognizer.from_pretrained(source)(clip)[0] for source in (stage3, NAME))
    assert here.probabilities == pytest.approx(there.probabilities)


def test_a_describer_loads_from_the_model_it_lies_beside(hub, encoder):
    commit = publish_model(encoder, NAME)
    here = SpeechDescriber.from_pretrained(encoder)
    assert SpeechDescriber.from_pretrained(NAME, revision=commit).fingerprint == here.fingerprint
    with pytest.raises(DescriberError, match="tester/nothing is neither a folder nor a"):
        SpeechDescriber.from_pretrained("tester/nothing")


def test_a_describer_loads_from_the_dataset_it_described(hub, described_conversations):
    commit = publish_dataset([described_conversations], "tester/cues")
    here = SpeechDescriber.from_pretrained(described_conversations)
    assert SpeechDescriber.from_pretrained("tester/cues").fingerprint == here.fingerprint
    assert SpeechDescriber.from_pretrained("tester/cues", revision=commit).fingerprint == here.fingerprint
    with pytest.raises(DescriberError, match=r"nor a dataset repository with described/describer\.json"):
        SpeechDescriber.from_pretrained("tester/cues", revision="nothing")


def test_results_say_which_commit_was_scored(hub, encoder, described_conversations, tmp_path):
    commit = publish_model(encoder, NAME)
    arguments = ["evaluate", "--dataset", str(described_conversations), "--model", NAME, "-o", str(tmp_path)]
    assert main(arguments) == 0
    here, there = (json.loads((folder / "results.json").read_text()) for folder in (encoder, tmp_path))
    assert there["model_revision"] == commit and here["model_revision"] is None
    assert {**there, "model_revision": None} == here


def test_of_several_seeds_the_best_on_validation_goes_out_with_the_mean_of_all(hub, run, tmp_path):
    for seed, loss in ((3, 2.0), (5, 1.5), (7, 1.7)):
        folder = copy_of(run, tmp_path / "runs" / f"seed-{seed}")
        best = {"step": 2, "eval_loss": loss}
        change(folder / "training.json", seed=seed, best=best)
        change(folder / "results.json", seed=seed)
    (tmp_path / "runs" / "seeds.json").write_text(
        json.dumps({"seeds": [3, 5, 7], "eval_loss": {"mean": 1.7, "sd": 0.3}})
    )
    publish_model(tmp_path / "runs", NAME)
    files = hub.files("model", NAME)
    assert json.loads(files["training.json"])["seed"] == 5
    assert json.loads(files["seeds.json"])["seeds"] == [3, 5, 7]


def test_another_kind_of_model_leaves_nothing_of_the_one_before(hub, run, encoder):
    publish_model(run, NAME)
    HfApi().upload_file(path_or_fileobj=b"by hand", path_in_repo="LICENSE", repo_id=NAME)
    publish_model(encoder, NAME)
    files = hub.files("model", NAME)
    assert not [path for path in files if path.startswith(("adapter", "base_model", "prompt"))]
    assert files["LICENSE"] == b"by hand"
    assert "*.parquet" in hub.repositories["model", NAME].commits[-1].files[".gitattributes"].decode()


def of_iemocap(run: Path, **changes: object) -> Path:
    corpus = json.loads((run / "training.json").read_text())["corpus"]
    facts = {**corpus, "name": "iemocap", "task": "iemocap-3-erc"}
    change(run / "training.json", corpus=facts, **changes)
    change(run / "results.json", corpus=facts)
    return run


def test_labels_of_iemocap_leave_for_those_only_who_hold_its_licence(hub, run):
    of_iemocap(run, base_model="some/model")
    publish_model(run, NAME)
    assert "predictions.parquet" not in hub.files("model", NAME) and "results.json" in hub.files("model", NAME)
    publish_model(run, "tester/lab", private=True, everybody_is_licensed=True)
    assert "predictions.parquet" in hub.files("model", "tester/lab")
    publish_model(run, NAME, everybody_is_licensed=True)
    assert "predictions.parquet" not in hub.files("model", NAME)


def test_iemocap_is_known_by_its_ids_whatever_the_record_says(hub, run):
    change(run / "training.json", base_model="some/model")
    table = pq.read_table(run / "predictions.parquet").to_pylist()
    ids = [{**row, "utterance_id": f"Ses01F_impro01_F{place:03}"} for place, row in enumerate(table)]
    pq.write_table(pa.Table.from_pylist(ids), run / "predictions.parquet")
    publish_model(run, NAME)
    assert "predictions.parquet" not in hub.files("model", NAME)


def test_a_tokenizer_made_of_iemocap_does_not_leave(hub, run):
    of_iemocap(run)
    with pytest.raises(LicenceError, match=r"trained on texts of iemocap.*--everybody-is-licensed"):
        publish_model(run, NAME)
    assert not hub.files("model", NAME)
    publish_model(run, "tester/lab", private=True, everybody_is_licensed=True)
    assert "tokenizer.json" in hub.files("model", "tester/lab")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("training.json", str(Path.home() / "corpora"), r"training\.json holds a path of this machine"),
        ("biographies.json", "hf_" + "a" * 34, r"biographies\.json holds an access token"),
        ("tokenizer_config.json", "/home/ann/llama", r"tokenizer_config\.json holds a path of this machine"),
    ],
)
def test_what_tells_of_this_machine_stays(hub, chat, tmp_path, name, text, message):
    run = copy_of(chat, tmp_path / "run")
    change(run / name, left_over=text)
    with pytest.raises(PublishingError, match=message):
        publish_model(run, NAME)
    assert not hub.files("model", NAME)


def test_what_is_no_finished_run_in_safetensors_is_refused(hub, run, tmp_path):
    with pytest.raises(PublishingError, match=r"holds no training\.json: publish what `speechcue train`"):
        publish_model(tmp_path, NAME)
    (run / "adapter_model.safetensors").rename(run / "adapter_model.bin")
    with pytest.raises(PublishingError, match=r"no weights in safetensors.*save_pretrained"):
        publish_model(run, NAME)
    assert not hub.repositories


def test_a_cut_upload_publishes_nothing_and_is_gone_on_with(hub, run, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.faults.append(Fault("POST", r"/commit/", status=403, times=1))
    with pytest.raises(PublishingError, match="Nothing was published"):
        publish_model(run, NAME)
    assert not hub.files("model", NAME)
    hub.faults.append(Fault("POST", r"/commit/", status=500, times=2))
    publish_model(run, NAME)
    assert "adapter_model.safetensors" in hub.files("model", NAME)


def test_what_may_not_be_read_says_what_to_do(hub, encoder, monkeypatch):
    with pytest.raises(OSError, match=r"not a valid model identifier[\s\S]*hf auth login"):
        EmotionRecognizer.from_pretrained("tester/nothing")
    publish_model(encoder, NAME)
    with pytest.raises(OSError, match="not a valid git identifier"):
        EmotionRecognizer.from_pretrained(NAME, revision="nothing")
    hub.repositories["model", NAME].gated = True
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(OSError, match=r"gated repo[\s\S]*access"):
        EmotionRecognizer.from_pretrained(NAME)


def test_offline_everything_loads_that_was_fetched_before(hub, chat, encoder, speech, conversations, monkeypatch):
    clip = next(conversations.rglob("*.ogg"))
    turns = [{"speaker": "Ann", "text": "Yes.", "audio": str(clip), "biography": None}]
    for source, name in (
        (chat, "tester/chat"),
        (encoder, "tester/encoder"),
        (speech / "runs" / "stage2", "tester/ears"),
    ):
        publish_model(source, name)
    names = ("tester/chat", "tester/encoder", "tester/ears")
    asked = {"tester/chat": turns, "tester/encoder": [{"text": "Yes.", "audio": str(clip)}], "tester/ears": clip}
    before = {name: EmotionRecognizer.from_pretrained(name)(asked[name]) for name in names}
    hub.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert {name: EmotionRecognizer.from_pretrained(name)(asked[name]) for name in names} == before
    assert SpeechDescriber.from_pretrained("tester/chat").baseline and not hub.requests


RECIPE = """
dataset: {dataset}
output_dir: {output}
max_steps: 2
save_strategy: steps
save_steps: 1
eval_strategy: steps
eval_steps: 1
disable_tqdm: true
push_to_hub: true
hub_model_id: {name}
hub_private_repo: true
"""


@pytest.mark.parametrize("kind", ["chat", "encoder"])
def test_push_to_hub_publishes_the_finished_run_and_no_checkpoint(hub, kind, dataset_folder, encoder, tmp_path):
    recipe, output = tmp_path / "recipe.yaml", tmp_path / "run"
    text = RECIPE.format(dataset=dataset_folder, output=output, name=NAME)
    HfApi().create_repo("tester/roberta")
    base = HfApi().upload_folder(folder_path=encoder.parent / "roberta", repo_id="tester/roberta").oid
    shape = "encoder: tester/roberta\nnum_attention_heads: 4\n"
    recipe.write_text(text + (shape if kind == "encoder" else "model_name_or_path: tiny\n"))
    assert main(["train", "--config", str(recipe)]) == 0
    assert list(output.glob("checkpoint-*"))
    repository = hub.repositories["model", NAME]
    assert [commit.title for commit in repository.commits] == ["initial commit", "Publish the model"]
    assert repository.private
    files = hub.files("model", NAME)
    weights = "adapter_model.safetensors" if kind == "chat" else "model.safetensors"
    assert files[weights] == (output / weights).read_bytes()
    leaked = [
        path for path in files if "checkpoint" in path or path.endswith((".bin", ".pt", ".pth")) or "state" in path
    ]
    assert not leaked
    assert str(tmp_path).encode() not in b"".join(files.values())
    assert "has not been evaluated" in files["README.md"].decode()
    assert json.loads(files["training.json"])["base_model_revision"] == (base if kind == "encoder" else None)


def test_push_to_hub_of_a_model_that_hears_publishes_the_finished_stage(hub, speech, tmp_path):
    from speechcue_hf.models.semollm.pretraining_semollm import SEmoLLMForPretraining
    from speechcue_hf.run_recipe import run_recipe
    from speechcue_hf.training.arguments import DataSettings, StageSettings, StageTraining
    from speechcue_hf.training.recipes import Recipe
    from tests.speech_runs import SMALL

    corpus, output = speech / "corpus", tmp_path / "stage1"
    model = StageSettings(stage=1, captions=str(corpus / "captions"), **SMALL)
    pushed = {"push_to_hub": True, "hub_model_id": NAME, "max_steps": 1, "disable_tqdm": True}
    training = StageTraining(output_dir=str(output), **pushed)
    run_recipe(Recipe("speech", DataSettings(dataset=str(corpus / "clips")), model, training))
    files = hub.files("model", NAME)
    assert [commit.title for commit in hub.repositories["model", NAME].commits] == [
        "initial commit",
        "Publish the model",
    ]
    assert not [path for path in files if "/" in path or path.endswith((".bin", ".pt", ".pth"))]
    assert json.loads(files["training.json"])["part_revisions"] == {"speech_encoder": None, "qformer": None}
    here, there = (SEmoLLMForPretraining.from_pretrained(source).state_dict() for source in (str(output), NAME))
    assert here.keys() == there.keys() and all(torch.equal(here[name], there[name]) for name in here)


@pytest.mark.parametrize(
    ("line", "message"),
    [("hub_model_id: model", "user/name"), ("hub_token: hf_secret", "hub_token does not belong in a recipe")],
)
def test_push_to_hub_fails_before_the_training_if_it_must_fail(hub, dataset_folder, tmp_path, capsys, line, message):
    recipe = tmp_path / "recipe.yaml"
    text = RECIPE.format(dataset=dataset_folder, output=tmp_path / "run", name=NAME)
    key = line.split(":")[0]
    recipe.write_text("\n".join([*(it for it in text.splitlines() if not it.startswith(key)), line]))
    assert main(["train", "--config", str(recipe)]) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_trainer_alone_does_not_push(hub, all_splits, tmp_path):
    from speechcue_hf.training.arguments import FineTuning, ModelSettings, TrainingSettings
    from speechcue_hf.training.sft import fine_tune

    settings = TrainingSettings(output_dir=str(tmp_path), push_to_hub=True, hub_model_id=NAME)
    with pytest.raises(TrainingError, match="publish_model"):
        fine_tune(all_splits, FineTuning(), ModelSettings(), settings)
    assert not hub.repositories


@pytest.mark.parametrize(
    "name",
    [
        *(
            "tokenizer.py",
            "tokenizer_notes.json",
            "tokenizer.json.bak",
            "vocab.bak",
            "my_semollm.py",
            "secret_bioserc.py",
        ),
        *("other.safetensors", "model-00001-of-00002.safetensors", "seeds-secret.json", "config.json.orig", "a.pth"),
    ],
)
def test_only_exact_names_go_out(hub, encoder, tmp_path, name):
    run = copy_of(encoder, tmp_path / "run")
    shutil.copyfile(run / "model.safetensors", run / name)
    publish_model(run, NAME)
    assert name not in hub.files("model", NAME)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "results.json",
        "confusion_matrix.png",
        "predictions.parquet",
    ],
)
def test_a_link_is_neither_followed_nor_sent(hub, encoder, tmp_path, name):
    run = copy_of(encoder, tmp_path / "run")
    shutil.move(run / name, tmp_path / name)
    (run / name).symlink_to(tmp_path / name)
    with pytest.raises(PublishingError, match=rf"{name} is a link"):
        publish_model(run, NAME)
    assert not hub.repositories or not hub.files("model", NAME)


def in_parts(run: Path, parts: list[str], written: list[str]) -> None:
    data = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").unlink()
    for name in written:
        (run / name).write_bytes(data)
    index = {"metadata": {}, "weight_map": {f"w{place}": name for place, name in enumerate(parts)}}
    (run / "model.safetensors.index.json").write_text(json.dumps(index))


def test_weights_in_parts_go_out_as_their_index_names_them(hub, encoder, tmp_path):
    run = copy_of(encoder, tmp_path / "run")
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    in_parts(run, parts, [*parts, "model-00003-of-00003.safetensors"])
    publish_model(run, NAME)
    sent = {name for name in hub.files("model", NAME) if "safetensors" in name}
    assert sent == {*parts, "model.safetensors.index.json"}


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("../secret.safetensors", "no name of weights"),
        ("notes.txt", "no name"),
        ("model-00001-of-00001.safetensors", "not there"),
    ],
)
def test_an_index_leads_nowhere_else(hub, encoder, tmp_path, part, says):
    run = copy_of(encoder, tmp_path / "run")
    (tmp_path / "secret.safetensors").write_bytes(b"secret")
    in_parts(run, [part], [])
    with pytest.raises(PublishingError, match=says):
        publish_model(run, NAME)


def predicted_as(run: Path, **names: object) -> None:
    rows = pq.read_table(run / "predictions.parquet").to_pylist()
    changed = [{**row, **{name: value(place) for name, value in names.items()}} for place, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(changed), run / "predictions.parquet")


RUNS_OF_IEMOCAP = {
    "ids with a prefix": lambda run: predicted_as(run, utterance_id=lambda place: f"my-Ses01F_impro01_F{place:03}"),
    "ids in lower case": lambda run: predicted_as(run, utterance_id=lambda place: f"ses01f_impro01_f{place:03}"),
    "dialogues alone": lambda run: predicted_as(run, dialogue_id=lambda place: "Ses02M_script01_1"),
    "a note": lambda run: predicted_as(run, note=lambda place: f"Ses05F_impro04_M{place:03}.wav: the file is empty"),
    "a list": lambda run: predicted_as(run, of=lambda place: [f"Ses05F_impro04_M{place:03}"]),
    "the record of the training": lambda run: corpus_in(run, "training.json"),
    "the record of the results alone": lambda run: corpus_in(run, "results.json"),
    "its licence under another name": lambda run: corpus_in(run, "training.json", name="folder"),
    "what was trained on before": lambda run: change(
        run / "training.json", trained_before=[{"corpus": iemocap_in(run), "rows": 1, "training_sha256": "a" * 64}]
    ),
}


def iemocap_in(run: Path, **changes: object) -> dict[str, object]:
    licence = "IEMOCAP licence of the University of Southern California, to each user"
    corpus = json.loads((run / "training.json").read_text())["corpus"]
    return {**corpus, "name": "iemocap", "licence": licence, **changes}


def corpus_in(run: Path, record: str, **changes: object) -> None:
    change(run / record, corpus=iemocap_in(run, **changes))


@pytest.mark.parametrize("hidden", RUNS_OF_IEMOCAP.values(), ids=RUNS_OF_IEMOCAP.keys())
def test_a_run_of_iemocap_is_known(hub, run, hidden):
    change(run / "training.json", base_model="some/model")
    hidden(run)
    publish_model(run, NAME)
    assert "predictions.parquet" not in hub.files("model", NAME) and "results.json" in hub.files("model", NAME)
    publish_model(run, "tester/lab", private=True, everybody_is_licensed=True)
    files = hub.files("model", "tester/lab")
    assert "labels of iemocap" in json.loads(files["private.json"])["reasons"][0]
    assert b"**This repository must stay private.**" in files["README.md"] and "predictions.parquet" in files


def test_speakers_of_own_recordings_become_numbers(hub, encoder, tmp_path):
    run = copy_of(encoder, tmp_path / "run")
    record = json.loads((run / "describer.json").read_text())
    overall = record["groups"]["overall"]
    groups = {"overall": overall, "speaker: Annabel Smith": overall, "speaker: Benjamin": overall}
    change(run / "describer.json", groups=groups)
    fingerprint = SpeechDescriber.from_pretrained(run).fingerprint
    change(run / "training.json", describer_sha256=fingerprint)
    change(run / "results.json", describer_sha256=fingerprint)
    publish_model(run, NAME)
    files = hub.files("model", NAME)
    everything = b"".join(data for path, data in files.items() if path.endswith((".json", ".md")))
    assert b"Annabel" not in everything and b"Benjamin" not in everything
    assert b"speaker: training speaker 1" in files["README.md"] and "distributions.png" not in files
    # The fingerprint is that of the training, so that what was described with names can be scored.
    assert SpeechDescriber.from_pretrained(NAME).fingerprint == fingerprint
    assert EmotionRecognizer.from_pretrained(NAME)
    publish_model(run, NAME, speaker_names=True)
    assert b"Annabel" in hub.files("model", NAME)["describer.json"]
