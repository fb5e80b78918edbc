"""The Distillation Experts (DE-RRD, CIKM'20, eq. 4-8)."""

import torch
import torch.nn.functional as F
from torch import nn

from models import NeuMf


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


class EntityExperts(nn.Module):
    """DE of BPR: the batch's distinct users with their experts, its distinct items with theirs."""

    def __init__(self, student, teacher, kind, experts=30):
        super().__init__()
        dims = student.user.embedding_dim, teacher.user.embedding_dim
        self.teacher = teacher
        self.users, self.items = kind(*dims, experts), kind(*dims, experts)

    def loss(self, model, batch, tau):
        users = batch.distinct_users
        items = torch.cat([batch.positives.unique(), batch.negatives.unique()])
        return self.users.loss(
            model.user(users), self.teacher.user(users), tau
        ) + 0.5 * self.items.loss(model.item(items), self.teacher.item(items), tau)


class PairExperts(nn.Module):
    """DE of NeuMF: the joint vectors of the batch's positive and negative pairs."""

    def __init__(self, student, teacher, kind, experts=30):
        super().__init__()
        self.teacher = teacher
        self.pairs = kind(student.output.in_features, teacher.output.in_features, experts)

    def loss(self, model, batch, tau):
        teacher = self.teacher.joint(batch.users, batch.items)
        return self.pairs.loss(batch.joint.flatten(0, 1), teacher.flatten(0, 1), tau)


def distillation_experts(student, teacher, folded):
    """The experts for a student and its frozen teacher, which have to be of one kind."""
    if isinstance(student, NeuMf) != isinstance(teacher, NeuMf):
        raise SystemExit("DE needs a teacher of the student's kind")
    of = PairExperts if isinstance(student, NeuMf) else EntityExperts
    return of(student, teacher, FoldedExperts if folded else Experts)


def temperature(epoch, epochs=1000, start=1.0, end=1e-10):
    """tau of an epoch; the authors' program starts to lower it one epoch late."""
    return start * (end / start) ** (max(epoch - 1, 0) / epochs)
