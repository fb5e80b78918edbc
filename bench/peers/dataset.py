"""Leave-one-out data, negative sampling and the evaluation on it."""

from dataclasses import dataclass

import torch
from safetensors.torch import load_file


@dataclass
class Dataset:
    """One user per row; -1 marks a missing held-out item and pads the candidates."""

    users: torch.Tensor  # [n] user of every training interaction, ascending
    items: torch.Tensor  # [n] its item, ascending within a user
    ranked: torch.Tensor  # [U, 2 + C] validation item, test item, candidates
    seen: torch.Tensor  # [n] ascending keys user * I + item of the training interactions
    n_users: int
    n_items: int

    @classmethod
    def load(cls, path, device):
        tensors = load_file(path, device=str(device))
        offsets = tensors["train_offsets"]
        n_users = len(offsets) - 1
        if "valid_item" not in tensors or "test_item" not in tensors:
            raise SystemExit(f"{path}: users have several held-out items; prepare it with --holdout 1")
        n_items = len(
            tensors["item_ids"] if "item_ids" in tensors else tensors["item_id_offsets"][1:]
        )
        users = torch.arange(n_users, device=device).repeat_interleave(offsets.diff())
        items = tensors["train_items"].long()
        return cls(
            users=users,
            items=items,
            ranked=torch.cat(
                [
                    tensors["valid_item"].unsqueeze(1),
                    tensors["test_item"].unsqueeze(1),
                    tensors["candidates"],
                ],
                1,
            ).long(),
            seen=users * n_items + items,
            n_users=n_users,
            n_items=n_items,
        )

    def sample_negatives(self):
        """An item per training interaction, uniform over those its user has not in training."""
        negatives = torch.randint(self.n_items, self.items.shape, device=self.items.device)
        pending = torch.arange(len(negatives), device=negatives.device)
        while len(pending):
            pending = pending[
                contains(self.seen, self.users[pending] * self.n_items + negatives[pending])
            ]
            negatives[pending] = torch.randint(self.n_items, pending.shape, device=negatives.device)
        return negatives


def contains(ascending, keys):
    """Whether each key is one of `ascending`."""
    position = torch.searchsorted(ascending, keys).clamp_(max=len(ascending) - 1)
    return ascending[position] == keys


@torch.inference_mode()
def hit_rates(model, data, n=5):
    """H@n of the validation and of the test items, each ranked among itself and the candidates.

    Ties count against the held-out item, and so does NaN.
    """
    score = model.candidate_scorer()
    present = data.ranked >= 0
    hits = []
    for part in torch.arange(data.n_users, device=present.device).split(model.evaluation_users):
        scores = score(part, data.ranked[part].clamp(min=0))
        target, others = scores.masked_fill_(~present[part], -torch.inf).tensor_split([2], 1)
        lower = (others.unsqueeze(2) < target.unsqueeze(1)).sum(1)
        hits.append(others.shape[1] - lower < n)
    present = present[:, :2]
    hits = (torch.cat(hits) & present).sum(0) / present.sum(0)
    return hits.tolist()
