"""Leave-one-out data, negative sampling and the evaluation on it."""

from dataclasses import dataclass

import torch
from safetensors.torch import load_file

EVALUATION_USERS = 128  # users scored at a time: their scores of all items stay in the cache


@dataclass
class Dataset:
    """One user per row; -1 marks a missing held-out item and pads the candidates."""

    users: torch.Tensor  # [n] user of every training interaction, ascending
    items: torch.Tensor  # [n] its item, ascending within a user
    valid: torch.Tensor  # [U]
    test: torch.Tensor  # [U]
    candidates: torch.Tensor  # [U, C]
    seen: torch.Tensor  # [n] ascending keys user * I + item of the training interactions
    n_users: int
    n_items: int

    @classmethod
    def load(cls, path, device):
        tensors = load_file(path, device=str(device))
        offsets = tensors["train_offsets"]
        n_users = len(offsets) - 1
        n_items = len(
            tensors["item_ids"] if "item_ids" in tensors else tensors["item_id_offsets"][1:]
        )
        users = torch.arange(n_users, device=device).repeat_interleave(offsets.diff())
        items = tensors["train_items"].long()
        return cls(
            users=users,
            items=items,
            valid=tensors["valid_item"].long(),
            test=tensors["test_item"].long(),
            candidates=tensors["candidates"].long(),
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
def hit_rates(user_vectors, item_vectors, data, n=5):
    """H@n of the validation and of the test items, each ranked among itself and the candidates.

    Ties count against the held-out item, and so does NaN. The scores of all items are one matrix
    product per tile of users; to gather the candidates' vectors, [users, 501, d], costs more than
    the products that it saves as soon as d is large.
    """
    held_out = torch.stack([data.valid, data.test], 1)
    hits = []
    for part in torch.arange(data.n_users, device=held_out.device).split(EVALUATION_USERS):
        scores = user_vectors[part] @ item_vectors.T
        target = scores.gather(1, held_out[part].clamp(min=0))
        candidates = data.candidates[part]
        score = scores.gather(1, candidates.clamp(min=0)).masked_fill_(candidates < 0, -torch.inf)
        lower = (score.unsqueeze(2) < target.unsqueeze(1)).sum(1)
        hits.append(candidates.shape[1] - lower < n)
    present = held_out >= 0
    hits = (torch.cat(hits) & present).sum(0) / present.sum(0)
    return hits.tolist()
