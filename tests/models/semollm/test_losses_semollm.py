import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from speechcue_hf.models.semollm.losses_semollm import (
    clip_caption_similarity,
    contrastive_loss,
    draw_hard_negatives,
    generation_losses,
    matching_losses,
    query_similarity,
    same_caption,
)

CAPTIONS = torch.tensor([[5, 6, 0], [5, 7, 8], [5, 6, 0], [9, 6, 0]])


def random_batch(rows: int = 4, queries: int = 3, width: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(rows, queries, width, generator=generator, dtype=torch.float64)
    return normalize(clips, dim=-1), normalize(
        torch.randn(rows, width, generator=generator, dtype=torch.float64), dim=-1
    )


def test_the_best_query_decides_how_well_a_caption_fits() -> None:
    clips, captions = random_batch()
    found = clip_caption_similarity(clips, captions)
    for clip in range(4):
        for caption in range(4):
            cosines = [float(query @ captions[caption]) for query in clips[clip]]
            assert float(found[clip, caption]) == pytest.approx(max(cosines))


def test_contrastive_loss_by_brute_force_over_pairs() -> None:
    similarity, same = clip_caption_similarity(*random_batch()), same_caption(CAPTIONS)
    assert same.tolist() == [[row == other or {row, other} == {0, 2} for other in range(4)] for row in range(4)]
    cosines, total = similarity.numpy() / 0.07, 0.0
    for logits in (cosines, cosines.T):
        for row in range(4):
            share = [other for other in range(4) if same[row, other]]
            for other in range(4):
                target = 0.1 / 4 + (0.9 / len(share) if other in share else 0.0)
                total -= target * (logits[row, other] - np.log(np.exp(logits[row]).sum())) / 8
    assert float(contrastive_loss(similarity, same, torch.tensor(0.07))) == pytest.approx(total)


def test_contrastive_gradients_pull_pairs_together_and_reach_the_temperature() -> None:
    similarity = torch.zeros(4, 4, requires_grad=True)
    temperature = torch.tensor(0.07, requires_grad=True)
    contrastive_loss(similarity + torch.eye(4) * 0.01, same_caption(CAPTIONS), temperature).backward()
    assert similarity.grad is not None and temperature.grad is not None
    assert (similarity.grad.diagonal() < 0).all(), "a pair that belongs together is pulled together"
    assert similarity.grad[0, 2] < 0, "so is the caption of another clip that says the same"
    assert similarity.grad[0, 1] > 0 and similarity.grad[3, 0] > 0
    assert temperature.grad != 0


def test_hard_negatives_say_something_else_and_follow_similarity() -> None:
    torch.manual_seed(0)
    similarity = torch.tensor([[0.9, 0.1, 0.8, 0.2], [0.0] * 4, [0.0] * 4, [0.3, 0.2, 0.1, 0.9]])
    draws = [draw_hard_negatives(similarity, same_caption(CAPTIONS), torch.tensor(0.1)) for _ in range(3000)]
    assert all(possible.all() for _, possible in draws)
    rows = torch.stack([drawn for drawn, _ in draws])
    assert set(rows[:, 0].tolist()) == {1, 3}, "neither itself nor clip 2, which says the same"
    assert (rows[:, 0] == 3).float().mean().item() == pytest.approx(np.e / (1 + np.e), abs=0.03)
    weights = np.exp([3.0, 2.0, 1.0])
    for place, weight in enumerate(weights / weights.sum()):
        assert (rows[:, 3] == place).float().mean().item() == pytest.approx(weight, abs=0.03)


def test_a_batch_that_says_one_thing_has_no_negatives() -> None:
    same = torch.ones(3, 3, dtype=torch.bool)
    _, possible = draw_hard_negatives(torch.zeros(3, 3), same, torch.tensor(0.07))
    assert not possible.any()


def test_matching_loss_is_of_the_mean_over_queries() -> None:
    logits = torch.tensor([[[0.0, 2.0], [0.0, 4.0]], [[1.0, 0.0], [3.0, 2.0]]], dtype=torch.float64)
    found = matching_losses(logits, torch.tensor([1, 0]))
    np.testing.assert_allclose(found, [np.log(1 + np.exp(-3.0)), np.log(1 + np.exp(-1.0))])


def test_generation_loss_predicts_each_token_from_the_one_before() -> None:
    logits = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([[-100, 2, 5, 1], [-100, 3, -100, -100]])
    expected = []
    for row, place in ((0, 1), (0, 2), (0, 3), (1, 1)):
        before = logits[row, place - 1].numpy()
        expected.append(np.log(np.exp(before).sum()) - before[labels[row, place]])
    np.testing.assert_allclose(generation_losses(logits, labels), expected)


def test_query_similarity_by_brute_force() -> None:
    queries = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    cosines = [
        np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other))
        for clip in queries.numpy()
        for place, one in enumerate(clip)
        for other in np.delete(clip, place, axis=0)
    ]
    assert float(query_similarity(queries)) == pytest.approx(float(np.mean(cosines)), abs=1e-6)
    assert float(query_similarity(torch.ones(2, 4, 5))) == pytest.approx(1.0)
    assert float(query_similarity(torch.eye(4)[None])) == pytest.approx(0.0, abs=1e-6)
