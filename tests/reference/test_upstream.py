"""Random upstream gradients have the properties that all gradients of the loss have, and no others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from grader.reference.cases import build_cases
from grader.reference.upstream import weighted_gradients
from tests.conftest import assignment_called

ROWS = 6
Y = torch.tensor([0, 2, 1, 1, 0, 2])
MASK = torch.tensor([[1.0, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 1], [1, 1, 1], [1, 0, 1]]).double()


def random_gradient(loss: Callable[[torch.Tensor], torch.Tensor], *, seed: int = 0) -> torch.Tensor:
    """The weighted gradient of a loss for its argument, (6, 3)."""

    def draw(length: int) -> torch.Tensor:
        return torch.randn(length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + length))

    leaf = torch.randn(ROWS, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(9)).requires_grad_()
    logits = leaf * 1  # as in a network, where it is computed from something
    (gradient,) = weighted_gradients(loss(logits), [logits], rows=ROWS, draw=draw)
    return gradient


CROSS_ENTROPIES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "rows": lambda z: (torch.logsumexp(z, 1) - z[torch.arange(ROWS), Y]).mean(),
    "two means": lambda z: torch.logsumexp(z, 1).mean() - z[torch.arange(ROWS), Y].mean(),
    "one hot": lambda z: torch.logsumexp(z, 1).mean() - (torch.nn.functional.one_hot(Y, 3) * z).sum() / ROWS,
    "library": lambda z: torch.nn.functional.cross_entropy(z, Y),
    "flat": lambda z: torch.logsumexp(z.repeat(5, 1), 1).mean() - z.repeat(5, 1)[torch.arange(30), Y.repeat(5)].mean(),
}


@pytest.mark.parametrize("name", CROSS_ENTROPIES)
def test_behind_a_softmax_they_sum_to_zero(name: str) -> None:
    gradient = random_gradient(CROSS_ENTROPIES[name])

    torch.testing.assert_close(gradient.sum(1), torch.zeros(ROWS, dtype=torch.float64))
    assert float(gradient.abs().min()) > 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda z: (z * MASK).square().mean(),
        lambda z: (z * MASK).square().sum() / MASK.sum(),
        lambda z: (torch.logsumexp(z * MASK, 1)).sum(),
        lambda z: torch.einsum("nk,nk->", z * MASK, z * MASK),
    ],
)
def test_behind_a_mask_they_are_zero(loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert torch.equal(random_gradient(loss) != 0, MASK != 0)


def test_they_are_random_have_both_signs_and_are_not_small() -> None:
    """A row has one weight, some are negative, and another draw gives others."""
    first, second = (random_gradient(CROSS_ENTROPIES["rows"], seed=seed) for seed in (0, 100))
    leaf = random_gradient(lambda z: z.sum())
    signs = leaf[:, 0].sign()

    assert set(signs.tolist()) == {1.0, -1.0}
    assert 0.5 < float(first.square().mean().sqrt()) < 5
    assert len({round(ratio, 6) for ratio in (first / second)[:, 0].tolist()}) == ROWS
    torch.testing.assert_close(first / second, (first / second)[:, :1].expand(ROWS, 3))


def test_in_the_shipped_assignments_they_are_as_in_the_network() -> None:
    cases = {name: build_cases(assignment_called(name)) for name in ("convnet", "embedding_rnn", "attention")}

    for case in cases["convnet"]["grad_z"]:
        assert not case.arguments["dp"][case.arguments["p"] < 0].any()
    for assignment_id, exercise in (("embedding_rnn", "grad_last"), ("convnet", "grad_b2"), ("attention", "grad_bo")):
        for case in cases[assignment_id][exercise]:
            assert case.arguments["dlogits"].sum(1).abs().max() < 1e-6 * case.arguments["dlogits"].abs().max()
    vjp, linear = cases["convnet"]["grad_b2"][2:]
    assert not torch.allclose(vjp.arguments["dlogits"], linear.arguments["dlogits"])
