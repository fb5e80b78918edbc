"""BPR matrix factorisation and the Distillation Experts (DE-RRD, CIKM'20, eq. 4-8)."""

import torch
import torch.nn.functional as F
from torch import nn


class BprMf(nn.Module):
    """Score = user . item."""

    def __init__(self, n_users, n_items, dim):
        super().__init__()
        self.user = nn.Embedding(n_users, dim)
        self.item = nn.Embedding(n_items, dim)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.01)

    def loss(self, users, positives, negatives):
        user = self.user(users)
        positive, negative = self.item(torch.stack([positives, negatives]))
        return -F.logsigmoid((user * (positive - negative)).sum(1)).sum()


class Experts(nn.Module):
    """M experts Linear ReLU Linear from student to teacher vectors, mixed by a Gumbel-Softmax gate."""

    def __init__(self, student_dim, teacher_dim, experts):
        super().__init__()
        hidden = (
            (student_dim + teacher_dim) // 2 if student_dim != teacher_dim else student_dim // 2
        )
        self.experts, self.hidden = experts, hidden
        self.first = nn.Linear(student_dim, experts * hidden)
        self.second = nn.Parameter(torch.empty(experts, hidden, teacher_dim))
        self.second_bias = nn.Parameter(torch.empty(experts, teacher_dim))
        for parameter in (self.second, self.second_bias):
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)
        self.gate = nn.Linear(teacher_dim, experts)

    def loss(self, student, teacher, tau):
        """Squared distance of the mixture [n, T] to the teacher's vectors, summed."""
        alpha = self.gate(teacher).softmax(1)
        selection = F.gumbel_softmax((alpha + 1e-10).log(), tau)  # [n, M]
        hidden = self.first(student).relu().view(-1, self.experts, self.hidden)
        return (self.mixture(hidden, selection) - teacher).square().sum()

    def mixture(self, hidden, selection):
        """Sum over the experts of their outputs [M, n, T], by the weights of the gate."""
        outputs = torch.baddbmm(self.second_bias.unsqueeze(1), hidden.transpose(0, 1), self.second)
        return torch.einsum("nm,mnt->nt", selection, outputs)


class FoldedExperts(Experts):
    """The mixture is linear in the experts' outputs, so the gate's weights multiply the hidden layer.

    The second layer of all experts is one matrix product then, and [M, n, T] is never formed.
    """

    def mixture(self, hidden, selection):
        weighted = (hidden * selection.unsqueeze(2)).flatten(1)
        return torch.addmm(selection @ self.second_bias, weighted, self.second.flatten(0, 1))


class DistillationExperts(nn.Module):
    """The DE loss of a batch: users with their experts, items with theirs."""

    def __init__(self, student_dim, teacher_user, teacher_item, experts=30, folded=False):
        super().__init__()
        kind = FoldedExperts if folded else Experts
        self.register_buffer("teacher_user", teacher_user)
        self.register_buffer("teacher_item", teacher_item)
        self.users = kind(student_dim, teacher_user.shape[1], experts)
        self.items = kind(student_dim, teacher_item.shape[1], experts)

    def loss(self, model, distinct_users, positives, negatives, tau):
        items = torch.cat([positives.unique(), negatives.unique()])
        return self.users.loss(
            model.user(distinct_users), self.teacher_user[distinct_users], tau
        ) + 0.5 * self.items.loss(model.item(items), self.teacher_item[items], tau)


def temperature(epoch, epochs=1000, start=1.0, end=1e-10):
    """tau of an epoch; the authors' program starts to lower it one epoch late."""
    return start * (end / start) ** (max(epoch - 1, 0) / epochs)
