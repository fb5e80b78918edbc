"""Relaxed Ranking Distillation (DE-RRD, CIKM'20, eq. 9-10)."""

import torch

from dataset import contains

LIST_USERS = 256  # users whose scores of all items are held at a time


class RelaxedRanking:
    """Keeps the teacher's list of every user, draws each epoch's items, computes the loss."""

    def __init__(self, data, teacher, interesting=40, uninteresting=40, t=10, length=500):
        self.interesting, self.uninteresting = interesting, uninteresting
        self.n_items = data.n_items
        self.lists = teacher_lists(data, teacher, length)  # [U, R]
        self.weights = torch.exp(-torch.arange(1, length + 1, device=self.lists.device) / t)
        self.user = torch.arange(data.n_users, device=self.lists.device).unsqueeze(1)
        in_list = (self.user * self.n_items + self.lists).flatten()
        self.excluded = torch.cat([data.seen, in_list]).sort().values
        if self.n_items - data.users.bincount().max() - length < uninteresting:
            raise SystemExit(
                f"a user has fewer than {uninteresting} items below the teacher's list"
            )

    def sample(self):
        """Items [U, K + L]: interesting ones in the teacher's order, then uninteresting ones."""
        weights = self.weights.expand(len(self.lists), -1)
        ranks = weights.multinomial(self.interesting).sort(1).values
        return torch.cat([self.lists.gather(1, ranks), self._sample_uninteresting()], 1)

    def _sample_uninteresting(self):
        """Distinct items, uniform over those neither in training nor in the list; by rejection."""
        shape = (len(self.lists), self.uninteresting)
        items = torch.randint(self.n_items, shape, device=self.lists.device)
        while True:
            ordered, order = items.sort(stable=True, dim=1)
            repeated = torch.zeros_like(items, dtype=torch.bool)
            repeated.scatter_(1, order[:, 1:], ordered[:, 1:] == ordered[:, :-1])
            rejected = repeated | contains(self.excluded, self.user * self.n_items + items)
            count = int(rejected.sum())
            if count == 0:
                return items
            items[rejected] = torch.randint(self.n_items, (count,), device=items.device)

    def loss(self, model, distinct_users, samples):
        """-log of the relaxed permutation probability, summed over users.

        Exponentials are taken relative to a user's largest score: exact while none of its scores
        lies more than 80 below that. torch.logcumsumexp has no such limit and is slower.
        """
        scores = model.scores(distinct_users, samples[distinct_users])  # [n, K + L]
        scores = scores - scores.detach().amax(1, keepdim=True)
        interesting, uninteresting = scores.split([self.interesting, self.uninteresting], 1)
        below = uninteresting.exp().sum(1, keepdim=True)
        tail = interesting.exp().flip(1).cumsum(1) + below
        return tail.log().sum() - interesting.sum()


@torch.inference_mode()
def teacher_lists(data, teacher, length):
    """The `length` items of highest teacher score per user, training items left out."""
    lists = []
    for part in torch.arange(data.n_users, device=data.users.device).split(LIST_USERS):
        scores = teacher.all_scores(part)
        first, last = torch.searchsorted(data.users, torch.stack([part[0], part[-1] + 1])).tolist()
        scores[data.users[first:last] - part[0], data.items[first:last]] = -torch.inf
        lists.append(scores.topk(length, 1).indices)
    return torch.cat(lists)
