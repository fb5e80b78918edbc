"""Tests of bench/peers. Without PyTorch they are skipped, which ctest reports (exit code 77)."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PEERS = Path(__file__).resolve().parent.parent.parent / "bench" / "peers"
sys.path.insert(0, str(PEERS))
sys.dont_write_bytecode = True

try:
    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file, save_file
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

from dataset import Dataset, hit_rates  # noqa: E402
from experts import Experts, FoldedExperts, PairExperts, distillation_experts  # noqa: E402
from models import Batch, BprMf, NeuMf, SplitNeuMf, load_model, save_model  # noqa: E402
from relaxed_ranking import teacher_lists  # noqa: E402

USERS, ITEMS, CANDIDATES = 37, 120, 20


def synthetic_file(path):
    """A data set in derrd's format: users prefer items of their own half."""
    torch.manual_seed(1)
    chosen = torch.stack([torch.randperm(ITEMS // 2)[:12] for _ in range(USERS)])
    chosen += ITEMS // 2 * (torch.arange(USERS) % 2).unsqueeze(1)
    unseen = torch.ones(USERS, ITEMS).scatter_(1, chosen, 0)
    held_out = chosen[:, :2].to(torch.int32)
    held_out[0, 0] = -1
    candidates = unseen.multinomial(CANDIDATES).to(torch.int32)
    candidates[::3, 6:] = -1
    save_file(
        {
            "train_offsets": torch.arange(USERS + 1) * 10,
            "train_items": chosen[:, 2:].sort(1).values.flatten().to(torch.int32),
            "valid_item": held_out[:, 0].contiguous(),
            "test_item": held_out[:, 1].contiguous(),
            "candidates": candidates,
            "item_ids": torch.arange(ITEMS),
            "user_ids": torch.arange(USERS),
        },
        path,
    )


def larger(model, scale=30):
    """Embeddings at which every ReLU sees both signs and no score hides in the rounding."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, tensor in model.tensors().items():
            if name.startswith(("user", "item")):
                tensor.mul_(scale)
    return model


class WithData(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = Path(scratch.name)
        cls.file = cls.folder / "data.safetensors"
        synthetic_file(cls.file)
        cls.data = Dataset.load(cls.file, torch.device("cpu"))

    def setUp(self):
        torch.manual_seed(2)

    def models(self):
        for layers in (1, 2, 4):
            yield larger(NeuMf(USERS, ITEMS, 19, layers))
            yield larger(SplitNeuMf(USERS, ITEMS, 19, layers))
        yield larger(BprMf(USERS, ITEMS, 19))


class Neumf(WithData):
    def test_parameter_counts(self):
        for dim, count in ((250, 15_326_751), (125, 7_632_126), (25, 1_521_426)):
            with torch.device("meta"):
                model = NeuMf(5220, 25182, dim)
            self.assertEqual(sum(p.numel() for p in model.parameters()), count)

    def test_score_of_a_pair(self):
        """Compares with the definition, written from derrd's tensors for one pair at a time."""
        for model in self.models():
            if isinstance(model, BprMf):
                continue
            t = {name: tensor.double() for name, tensor in model.tensors().items()}
            users, items = torch.tensor([3, 0, 3]), torch.tensor([[5, 5], [119, 0], [7, 5]])
            scores = model.scores(users, items)
            for n, s in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)):
                u, i = users[n], items[n, s]
                hidden = t["hidden.1.user_weight"] @ t["user_mlp"][u] + t["hidden.1.bias"][0]
                hidden = hidden + t["hidden.1.item_weight"] @ t["item_mlp"][i]
                for layer in range(2, len(model.hidden) + 1):
                    weight, bias = t[f"hidden.{layer}.weight"], t[f"hidden.{layer}.bias"][0]
                    hidden = weight @ hidden.relu() + bias
                joint = torch.cat([t["user_gmf"][u] * t["item_gmf"][i], hidden.relu()])
                expected = t["output.weight"][0] @ joint + t["output.bias"][0, 0]
                # Sums of at most 57 products, in float: far below 1e-4 of the terms.
                self.assertAlmostEqual(
                    scores[n, s].item(), expected.item(), delta=1e-4 * joint.abs().sum().item()
                )

    def test_settings_have_equal_losses_and_gradients(self):
        batch = [torch.randint(rows, (64,)) for rows in (USERS, ITEMS, ITEMS)]
        samples = torch.randint(ITEMS, (64, 7))
        for layers in (1, 3):
            plain = larger(NeuMf(USERS, ITEMS, 12, layers))
            split = SplitNeuMf(USERS, ITEMS, 12, layers)
            split.load_state_dict(plain.state_dict())
            losses = (
                lambda model: model.loss(Batch(*batch)),
                lambda model: model.scores(batch[0], samples).logsumexp(1).sum(),
            )
            for loss in losses:
                values = [loss(model) for model in (plain, split)]
                torch.testing.assert_close(values[1], values[0])
                for value in values:
                    value.backward()
                for (name, p), q in zip(plain.named_parameters(), split.parameters()):
                    scale = p.grad.abs().max().item()
                    # Float sums of a few hundred terms in another order.
                    torch.testing.assert_close(q.grad, p.grad, rtol=0, atol=1e-4 * scale, msg=name)
                    p.grad = q.grad = None

    def test_loss_is_binary_cross_entropy(self):
        model = larger(NeuMf(USERS, ITEMS, 8))
        users, positives, negatives = (torch.randint(30, (9,)) for _ in range(3))
        positive, negative = model.scores(users, torch.stack([positives, negatives], 1)).T
        expected = -(F.logsigmoid(positive) + F.logsigmoid(-negative)).sum()
        torch.testing.assert_close(model.loss(Batch(users, positives, negatives)), expected)


class AllModels(WithData):
    @torch.no_grad()
    def test_ways_to_score_agree(self):
        for model in self.models():
            users = torch.arange(USERS)
            items = torch.arange(ITEMS).expand(USERS, -1)
            expected = model.scores(users, items)
            tolerance = dict(rtol=0, atol=1e-4 * expected.abs().max().item())  # sums reordered
            torch.testing.assert_close(model.all_scores(users), expected, **tolerance)
            torch.testing.assert_close(
                model.candidate_scorer()(users, items), expected, **tolerance
            )

    @torch.no_grad()
    def test_hit_rates(self):
        data = self.data
        for model in self.models():
            scores = model.scores(torch.arange(USERS), torch.arange(ITEMS).expand(USERS, -1))
            hits = [[], []]
            for user, row in enumerate(data.ranked.tolist()):
                for side, target in enumerate(row[:2]):
                    if target >= 0:
                        others = [scores[user, item] for item in row[2:] if item >= 0]
                        higher = sum(other >= scores[user, target] for other in others)
                        hits[side].append(higher < 5)
            expected = [sum(side) / len(side) for side in hits]
            self.assertEqual([len(side) for side in hits], [USERS - 1, USERS])
            self.assertTrue(0 < expected[0] < 1)
            for found, wanted in zip(hit_rates(model, data), expected):
                self.assertAlmostEqual(found, wanted, places=6)

    def test_ties_count_against_the_held_out_item(self):
        model = BprMf(USERS, ITEMS, 4)
        model.item.weight.data.fill_(1)
        self.assertEqual(hit_rates(model, self.data), [0, 0])

    @torch.no_grad()
    def test_teacher_lists(self):
        for model in self.models():
            lists = teacher_lists(self.data, model, 30)
            scores = model.all_scores(torch.arange(USERS))
            scores[self.data.users, self.data.items] = -torch.inf
            self.assertEqual(lists.shape, (USERS, 30))
            self.assertTrue((lists == scores.topk(30, 1).indices).all())

    def test_files_come_back(self):
        path = self.folder / "model.safetensors"
        for model in self.models():
            save_model(model, path)
            back = load_model(path, self.data, type(model))
            self.assertIs(type(back), type(model))
            for mine, other in zip(model.parameters(), back.parameters(), strict=True):
                self.assertTrue(torch.equal(mine, other))

    def test_names_and_shapes_of_a_neumf_file(self):
        path = self.folder / "model.safetensors"
        save_model(NeuMf(USERS, ITEMS, 10, 2), path)
        shapes = {name: tuple(tensor.shape) for name, tensor in load_file(path).items()}
        self.assertEqual(
            shapes,
            {
                "user_gmf": (USERS, 10),
                "item_gmf": (ITEMS, 10),
                "user_mlp": (USERS, 10),
                "item_mlp": (ITEMS, 10),
                "hidden.1.user_weight": (10, 10),
                "hidden.1.item_weight": (10, 10),
                "hidden.1.bias": (1, 10),
                "hidden.2.weight": (5, 10),
                "hidden.2.bias": (1, 5),
                "output.weight": (1, 15),
                "output.bias": (1, 1),
            },
        )

    def test_files_that_do_not_fit(self):
        path = self.folder / "model.safetensors"
        tensors = {name: t.clone() for name, t in NeuMf(USERS, ITEMS, 10).tensors().items()}
        broken = {
            "no hidden.1.item_weight": {"hidden.1.item_weight": None},
            "no output.weight of": {"output.weight": torch.zeros(1, 10)},
            "36 users": {"user_gmf": torch.zeros(36, 10)},
            "neither": {"user_gmf": None},
        }
        for message, change in broken.items():
            changed = {**tensors, **change}
            save_file({name: t for name, t in changed.items() if t is not None}, path)
            with self.assertRaisesRegex(SystemExit, message):
                load_model(path, self.data, NeuMf)


class DistillationExperts(WithData):
    def test_pairs(self):
        student, teacher = larger(NeuMf(USERS, ITEMS, 4)), larger(NeuMf(USERS, ITEMS, 9))
        experts = distillation_experts(student, teacher.requires_grad_(False), folded=False)
        self.assertIsInstance(experts, PairExperts)
        batch = Batch(*(torch.randint(30, (11,)) for _ in range(3)))
        student.loss(batch)
        torch.manual_seed(3)
        loss = experts.loss(student, batch, 0.5)
        users = batch.users.repeat_interleave(2)
        items = batch.items.flatten().unsqueeze(1)
        torch.manual_seed(3)
        expected = experts.pairs.loss(
            student.joint(users, items).squeeze(1), teacher.joint(users, items).squeeze(1), 0.5
        )
        torch.testing.assert_close(loss, expected)
        loss.backward()
        self.assertGreater(student.user_mlp.weight.grad.abs().sum(), 0)
        self.assertIsNone(teacher.user_mlp.weight.grad)

    def test_folded(self):
        plain, folded = (kind(6, 10, 5) for kind in (Experts, FoldedExperts))
        folded.load_state_dict(plain.state_dict())
        student, teacher = torch.randn(17, 6), torch.randn(17, 10)
        losses = []
        for experts in (plain, folded):
            torch.manual_seed(4)
            losses.append(experts.loss(student, teacher, 0.7))
        torch.testing.assert_close(*losses)

    def test_kinds_have_to_agree(self):
        with self.assertRaisesRegex(SystemExit, "kind"):
            distillation_experts(NeuMf(3, 3, 2), BprMf(3, 3, 2), False)


class Program(WithData):
    """torch_peer.py itself. The lists of 500 need more items than the synthetic file has."""

    def run_peer(self, *options):
        command = [sys.executable, "-B", PEERS / "torch_peer.py", "--data", self.file]
        command += ["--threads", "1", "--dim", "8", "--batch", "64", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_settings_have_equal_losses(self):
        for case in (["student"], ["de", "--random-teacher"]):
            plain, tuned = (
                self.run_peer("--model", "neumf", "--case", *case, "--setting", setting)
                for setting in ("plain", "tuned")
            )
            for one, other in zip(plain, tuned, strict=True):
                for loss in ("loss_base", "loss_de"):
                    # Seven steps an epoch do not amplify the rounding of a float beyond this.
                    if one[loss] is not None:
                        self.assertAlmostEqual(one[loss], other[loss], delta=1e-3 * one[loss])
                self.assertLessEqual(abs(one["test_h5"] - other["test_h5"]), 2 / USERS)

    def test_learns(self):
        options = ["--case", "student", "--epochs", "30", "--batch", "16"]
        records = self.run_peer("--model", "neumf", *options)
        self.assertLess(records[-1]["loss_base"], 0.75 * records[0]["loss_base"])
        # By chance 5 in 21; with the half known, 5 among about 10.
        self.assertGreater(records[-1]["valid_h5"] + records[-1]["test_h5"], 0.76)

    def test_saved_model_evaluates_the_same(self):
        path = self.folder / "saved.safetensors"
        options = ["--case", "teacher", "--epochs", "2", "--save", str(path)]
        trained = self.run_peer("--model", "neumf", *options)[-1]
        for setting in ("plain", "tuned"):
            options = ["--case", "evaluate", "--teacher", str(path), "--epochs", "1"]
            (evaluated,) = self.run_peer(*options, "--setting", setting)
            self.assertEqual(evaluated["test_h5"], trained["test_h5"])


if __name__ == "__main__":
    unittest.main()
