"""The base models, BPR matrix factorisation and NeuMF, and derrd's files of them.

Every model has
    loss(batch)            of a batch, summed
    scores(users, items)   [n, S] of users [n] and items [n, S], differentiable
    candidate_scorer()     a function as `scores`, for parameters that stand still meanwhile
    evaluation_users       how many users that function should get at a time
    all_scores(users)      [n, I], for a teacher's lists
    tensors()              its parameters by derrd's names of them, as views
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

LIST_TILE = 4, 512  # users and items whose hidden vectors stay in the cache


@dataclass
class Batch:
    """Training interactions with a negative each; [B] users or items."""

    users: torch.Tensor
    positives: torch.Tensor
    negatives: torch.Tensor
    joint: torch.Tensor | None = None  # [B, 2, D + H] set by NeuMf.loss: what the experts tap

    @cached_property
    def distinct_users(self):
        return self.users.unique()

    @cached_property
    def items(self):
        """[B, 2]: the positive and the negative."""
        return torch.stack([self.positives, self.negatives], 1)


class BprMf(nn.Module):
    """Score = user . item."""

    evaluation_users = 128  # at a time: their scores of all items stay in the cache

    def __init__(self, n_users, n_items, dim):
        super().__init__()
        self.user = nn.Embedding(n_users, dim)
        self.item = nn.Embedding(n_items, dim)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.01)

    def loss(self, batch):
        user = self.user(batch.users)
        positive, negative = self.item(torch.stack([batch.positives, batch.negatives]))
        return -F.logsigmoid((user * (positive - negative)).sum(1)).sum()

    def scores(self, users, items):
        return (self.item(items) @ self.user(users).unsqueeze(2)).squeeze(2)

    def candidate_scorer(self):
        """All items' scores are one matrix product per tile of users.

        To gather the candidates' vectors, [users, 501, d], costs more than the products that it
        saves as soon as d is large.
        """
        return lambda users, items: self.all_scores(users).gather(1, items)

    def all_scores(self, users):
        return self.user.weight[users] @ self.item.weight.T

    def tensors(self):
        return {"user_embedding": self.user.weight.data, "item_embedding": self.item.weight.data}


class NeuMf(nn.Module):
    """Score = output([gmf; mlp]), with embeddings of their own for both parts.

    gmf is user * item, mlp the last of some hidden layers on [user; item], each half as wide as
    its input, with ReLU.
    """

    def __init__(self, n_users, n_items, dim, layers=1):
        super().__init__()
        self.user_gmf, self.user_mlp = nn.Embedding(n_users, dim), nn.Embedding(n_users, dim)
        self.item_gmf, self.item_mlp = nn.Embedding(n_items, dim), nn.Embedding(n_items, dim)
        for table in (self.user_gmf, self.user_mlp, self.item_gmf, self.item_mlp):
            nn.init.normal_(table.weight, std=0.01)
        widths = [2 * dim >> layer for layer in range(layers + 1)]
        self.hidden = nn.ModuleList(nn.Linear(*width) for width in pairwise(widths))
        for layer in self.hidden:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.output = nn.Linear(dim + widths[-1], 1)
        bound = (6 / self.output.in_features) ** 0.5
        nn.init.uniform_(self.output.weight, -bound, bound)
        nn.init.zeros_(self.output.bias)

    @property
    def evaluation_users(self):
        """At a time. On a CPU the hidden vectors of their items should not leave the cache."""
        weight = self.user_gmf.weight
        return 256 if weight.is_cuda else max(8, 512 // weight.shape[1])

    def joint(self, users, items):
        """[gmf; mlp] of users [n] with items [n, S]: [n, S, D + H]."""
        gmf = self.user_gmf(users).unsqueeze(1) * self.item_gmf(items)
        hidden = self.first_layer(users, items).relu()
        return torch.cat([gmf, self.later_layers(hidden)], 2)

    def first_layer(self, users, items):
        """Before its ReLU."""
        user = self.user_mlp(users).unsqueeze(1).expand(-1, items.shape[1], -1)
        return self.hidden[0](torch.cat([user, self.item_mlp(items)], 2))

    def later_layers(self, hidden):
        for layer in self.hidden[1:]:
            hidden = layer(hidden).relu()
        return hidden

    def loss(self, batch):
        """Binary cross entropy of positives and negatives."""
        batch.joint = self.joint(batch.users, batch.items)
        scores = self.output(batch.joint).squeeze(2)
        target = torch.zeros_like(scores)
        target[:, 0] = 1
        return F.binary_cross_entropy_with_logits(scores, target, reduction="sum")

    def scores(self, users, items):
        return self.output(self.joint(users, items)).squeeze(2)

    def candidate_scorer(self):
        return self.scores

    def all_scores(self, users):
        """Layer 1 is a product per user and one per item, and their sum per pair, tile by tile."""
        weight_gmf, weight_mlp = self.output_weights()
        scores = torch.addmm(
            self.output.bias, self.user_gmf.weight[users] * weight_gmf, self.item_gmf.weight.T
        )
        user, item = self.projected_users(users), self.projected_items()
        users_in, items_in = LIST_TILE
        for user_part, row in zip(user.split(users_in), scores.split(users_in)):
            for item_part, tile in zip(item.split(items_in), row.split(items_in, 1)):
                hidden = (user_part.unsqueeze(1) + item_part).relu_()
                tile += self.later_layers(hidden) @ weight_mlp
        return scores

    def first_weights(self):
        """The first layer's weight of the user [H, D] and of the item."""
        return self.hidden[0].weight.chunk(2, 1)

    def projected_users(self, users):
        return F.linear(self.user_mlp(users), self.first_weights()[0], self.hidden[0].bias)

    def projected_items(self):
        """Of all items."""
        return F.linear(self.item_mlp.weight, self.first_weights()[1])

    def output_weights(self):
        """The output's weight of gmf [D] and of mlp [H]."""
        dim = self.user_gmf.embedding_dim
        return self.output.weight[0].split([dim, self.output.in_features - dim])

    def tensors(self):
        user_weight, item_weight = (weight.data for weight in self.first_weights())
        names = {
            name: getattr(self, name).weight.data
            for name in ("user_gmf", "item_gmf", "user_mlp", "item_mlp")
        }
        names |= {"hidden.1.user_weight": user_weight, "hidden.1.item_weight": item_weight}
        for number, layer in enumerate(self.hidden, start=1):
            if number > 1:
                names[f"hidden.{number}.weight"] = layer.weight.data
            names[f"hidden.{number}.bias"] = layer.bias.data.unsqueeze(0)
        names["output.weight"] = self.output.weight.data
        names["output.bias"] = self.output.bias.data.unsqueeze(0)
        return names


class SplitNeuMf(NeuMf):
    """W [user; item] = W_u user + W_i item: a product per user and per item, and a sum per pair.

    Where a batch or an evaluation meets most items several times, that is a product of W_i with the
    whole table, and the joint vectors are never formed: the output's weight multiplies the user's
    side of gmf.
    """

    def first_layer(self, users, items):
        item = F.linear(self.item_mlp(items), self.first_weights()[1])
        return self.projected_users(users).unsqueeze(1) + item

    def scores(self, users, items):
        return self.scores_of(users, items, self.projected_items())

    def candidate_scorer(self):
        projected = self.projected_items()
        return lambda users, items: self.scores_of(users, items, projected)

    def scores_of(self, users, items, projected):
        weight_gmf, weight_mlp = self.output_weights()
        user = self.user_gmf(users) * weight_gmf
        gmf = (self.item_gmf(items) @ user.unsqueeze(2)).squeeze(2)
        hidden = self.projected_users(users).unsqueeze(1) + F.embedding(items, projected)
        return gmf + self.later_layers(hidden.relu_()) @ weight_mlp + self.output.bias


def load_model(path, data, neumf):
    """The model in a file of derrd's, of the kind that its tensors tell; `neumf`: its class."""
    file = load_file(path)
    if "user_gmf" in file:
        user, item = file["user_gmf"], file["item_gmf"]
        layers = sum(name.startswith("hidden.") and name.endswith(".bias") for name in file)
        model = neumf(len(user), len(item), user.shape[1], layers)
    elif "user_embedding" in file:
        user, item = file["user_embedding"], file["item_embedding"]
        model = BprMf(len(user), len(item), user.shape[1])
    else:
        raise SystemExit(f"{path}: neither a BPR nor a NeuMF model: {', '.join(file)}")
    if (len(user), len(item)) != (data.n_users, data.n_items):
        raise SystemExit(
            f"{path}: {len(user)} users and {len(item)} items, "
            f"but the data set has {data.n_users} and {data.n_items}"
        )
    for name, parameter in model.tensors().items():
        if name not in file or file[name].numel() != parameter.numel():
            raise SystemExit(f"{path}: no {name} of {list(parameter.shape)}")
        parameter.copy_(file[name].reshape(parameter.shape))
    return model


def save_model(model, path):
    save_file({name: tensor.contiguous() for name, tensor in model.tensors().items()}, path)
