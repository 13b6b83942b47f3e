from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedTokenizerFast

from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.training.label_loss import (
    NO_LOSS,
    batches_of_dialogues,
    collate_rows,
    collate_trees,
    label_loss,
)
from speechcue_hf.training.sft import encode_rows
from tests.tiny_chat import LINES, described, make_model, make_tokenizer, tokenizer  # noqa: F401

pytestmark = pytest.mark.slow

Gradients = dict[str, torch.Tensor]


@pytest.fixture
def rows(described: Dataset, tokenizer: PreTrainedTokenizerFast) -> Dataset:  # noqa: F811
    """Eleven labelled rows of two dialogues, as training encodes them."""
    return encode_rows(build_prompts(described, "speechcue"), tokenizer)


def dialogues(described: Dataset) -> list[str]:  # noqa: F811
    return [row["dialogue_id"] for row in described if row["emotion"] is not None]


def adapted(model: torch.nn.Module) -> torch.nn.Module:
    """With an adapter that does something, as after some steps."""
    torch.manual_seed(1)
    return get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))


def in_double(model: torch.nn.Module) -> torch.nn.Module:
    """In double precision throughout: the norms of transformers compute in single precision whatever they are given."""

    def norm(module: torch.nn.Module, states: torch.Tensor) -> torch.Tensor:
        scale = torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + module.variance_epsilon)
        return module.weight * states * scale

    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = partial(norm, module)
    return model.double()


def separately(model: torch.nn.Module, rows: Sequence) -> tuple[float, Gradients]:
    """The slow reference: one whole forward pass for each row, alone, and autograd through all of them."""
    model.zero_grad()
    total = torch.zeros((), dtype=torch.float64)
    for row in rows:
        ids, labels = torch.tensor([row["input_ids"]]), torch.tensor(row["labels"])
        log_probabilities = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        places = (labels[1:] != NO_LOSS).nonzero().squeeze(1)
        loss = -log_probabilities[places, labels[1:][places]].sum()
        loss.backward()
        total += loss.detach().double()
    return float(total), gradients(model)


def together(model: torch.nn.Module, batches: Sequence) -> tuple[float, Gradients]:
    model.zero_grad()
    total = 0.0
    for batch in batches:
        loss = label_loss(model, batch, next(model.parameters()).dtype)
        loss.backward()
        total += float(loss.detach())
    return total, gradients(model)


def gradients(model: torch.nn.Module) -> Gradients:
    return {name: it.grad.clone() for name, it in model.named_parameters() if it.grad is not None}


def assert_equal(found: tuple[float, Gradients], expected: tuple[float, Gradients], within: float) -> None:
    assert found[0] == pytest.approx(expected[0], rel=within)
    assert found[1].keys() == expected[1].keys()
    assert found[1]
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).norm() <= within * gradient.norm(), name


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
@pytest.mark.parametrize("trained", ["adapter", "everything"])
@pytest.mark.parametrize("tokens", [100_000, 300, 1])
def test_loss_and_every_gradient_equal_those_of_separate_prompts(
    kind: str,
    trained: str,
    tokens: int,
    rows: Dataset,
    described: Dataset,  # noqa: F811
) -> None:
    """All dialogues in one step, dialogues by themselves, and dialogues that are cut down to single utterances."""

    def model() -> torch.nn.Module:
        return adapted(make_model(kind)) if trained == "adapter" else make_model(kind)

    batches = batches_of_dialogues(rows, dialogues(described), tokens, seed=0)
    assert len(batches) == {100_000: 1, 1: len(rows)}.get(tokens, len(batches))
    trees = [collate_trees([batch]) for batch in batches]
    assert_equal(together(model(), trees), separately(model(), rows), 1e-5)
    exact = in_double(model())
    expected = separately(exact, rows)
    assert_equal(together(exact, trees), expected, 1e-10)
    assert_equal(together(exact, [collate_trees(list(batches))]), expected, 1e-10)


def test_rows_that_are_padded_give_the_same(rows: Dataset) -> None:
    model = in_double(adapted(make_model()))
    halves = [collate_rows([rows[place] for place in part]) for part in (range(5), range(5, len(rows)))]
    assert_equal(together(model, halves), separately(model, rows), 1e-10)


def test_activation_checkpoints_change_no_gradient(rows: Dataset, described: Dataset) -> None:  # noqa: F811
    model = in_double(make_model()).train()
    batches = [collate_trees([it]) for it in batches_of_dialogues(rows, dialogues(described), 100_000, seed=0)]
    expected = separately(model, rows)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert_equal(together(model, batches), expected, 1e-10)


def test_bfloat16_is_as_close_as_it_is_to_itself(rows: Dataset, described: Dataset) -> None:  # noqa: F811
    exact = separately(make_model().double(), rows)[0]
    model = make_model().bfloat16()
    batches = [collate_trees([it]) for it in batches_of_dialogues(rows, dialogues(described), 100_000, seed=0)]
    off = abs(separately(model, rows)[0] - exact)
    assert abs(together(model, batches)[0] - exact) <= 2 * off + 1e-2 * exact


def test_labels_may_be_smoothed(rows: Dataset) -> None:
    model = make_model().double()
    expected = torch.zeros((), dtype=torch.float64)
    for row in rows:
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1].log_softmax(-1)
        for place, label in enumerate(row["labels"][1:]):
            if label != NO_LOSS:
                expected -= 0.9 * logits[place, label] + 0.1 * logits[place].mean()
    assert label_loss(model, collate_rows(list(rows)), torch.float64, smoothing=0.1).item() == pytest.approx(
        expected.item(), rel=1e-10
    )


def test_logits_are_computed_where_a_label_is_predicted_and_nowhere_else(rows: Dataset, described: Dataset) -> None:  # noqa: F811
    model = make_model()
    seen: list[int] = []
    model.lm_head.register_forward_hook(lambda module, args, output: seen.append(output.shape[1]))
    (batch,) = batches_of_dialogues(rows, dialogues(described), 100_000, seed=0)
    together(model, [collate_trees([batch]), collate_rows(list(rows))])
    predicted = {
        (tuple(row["input_ids"][:place]),) for row in rows for place, it in enumerate(row["labels"]) if it >= 0
    }
    assert seen[0] == len(predicted)
    assert seen[1] <= sum(label != NO_LOSS for row in rows for label in row["labels"])


def test_batches_hold_every_row_once_and_no_more_tokens_than_asked_for(
    rows: Dataset,
    described: Dataset,  # noqa: F811
) -> None:
    names = dialogues(described)
    whole = batches_of_dialogues(rows, names, 100_000, seed=0)
    assert len(whole) == 1
    for tokens in (150, 250, 400):
        batches = batches_of_dialogues(rows, names, tokens, seed=0)
        held = [list(row) for batch in batches for row in batch["input_ids"]]
        assert sorted(held) == sorted(rows["input_ids"])
        for batch in batches:
            size = collate_trees([batch])["input_ids"].shape[1]
            assert size <= tokens or len(batch["input_ids"]) == 1
    assert batches_of_dialogues(rows, names, 250, seed=0)[:] == batches_of_dialogues(rows, names, 250, seed=0)[:]


def test_a_dialogue_that_fits_stays_whole(tokenizer: PreTrainedTokenizerFast) -> None:  # noqa: F811
    rows = Dataset.from_list(
        [
            {"input_ids": [dialogue, *range(10, 12 + turn), 9], "labels": [NO_LOSS] * (3 + turn) + [9]}
            for dialogue in range(8)
            for turn in range(4)
        ]
    )
    batches = batches_of_dialogues(rows, [str(place // 4) for place in range(32)], 14, seed=3)
    held = [[row[0] for row in batch["input_ids"]] for batch in batches]
    assert all(dialogues.count(number) == 4 for dialogues in held for number in set(dialogues))
    assert max(len(set(numbers)) for numbers in held) == 2, "several dialogues come together"
    drawn = [number for numbers in held for number in numbers[::4]]
    assert any(later < earlier for earlier, later in pairwise(drawn)), "in an order that is drawn"


def test_a_model_that_two_processes_share_has_the_same_gradients(
    rows: Dataset,
    described: Dataset,  # noqa: F811
    tmp_path: Path,
) -> None:
    """FSDP2 over gloo, each process with trees of its own."""
    trees = [collate_trees([batch]) for batch in batches_of_dialogues(rows, dialogues(described), 300, seed=0)]
    trees = trees[: len(trees) // 2 * 2]
    torch.multiprocessing.spawn(_half_of_a_model, (trees, tmp_path), nprocs=2)
    expected = together(make_model("llama"), trees)
    losses = [torch.load(tmp_path / f"loss-{rank}.pt") for rank in range(2)]
    assert_equal((float(sum(losses)), torch.load(tmp_path / "gradients.pt")), expected, 1e-5)


def _half_of_a_model(rank: int, trees: Sequence, folder: Path) -> None:
    """A process of two: run every second tree, and write its loss and, the first one, all gradients."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder / 'meet'}", world_size=2, rank=rank)
    model = make_model("llama")
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    total = torch.zeros(())
    for tree in trees[rank::2]:
        loss = label_loss(model, tree, torch.float32)
        loss.backward()
        total += loss.detach()
    torch.save(total, folder / f"loss-{rank}.pt")
    # Over processes it takes the mean, and the loss is a sum.
    found = {name: 2 * it.grad.full_tensor() for name, it in model.named_parameters() if it.grad is not None}
    if rank == 0:
        torch.save(found, folder / "gradients.pt")
    torch.distributed.destroy_process_group()
