"""The training of derrd in plain PyTorch, to run beside it: BPR-MF or NeuMF, DE, RRD and DE-RRD.

Prints one JSON record per epoch: seconds of training (negatives and samples included) and of
leave-one-out evaluation, the losses (mean over the batches of their sums, unweighted), H@5.

Two settings compute the same. `plain` is what a good PyTorch user writes first: Adam as it comes,
every expert's output and their weighted sum, NeuMF's first layer on [user; item]. `tuned` has what
measuring found: fused Adam, the gate's weights folded into the experts' hidden layer, the first layer
as a product per user and one per item, denormal numbers flushed to zero.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from dataset import Dataset, hit_rates
from experts import distillation_experts, temperature
from models import Batch, BprMf, NeuMf, SplitNeuMf, load_model, save_model
from relaxed_ranking import RelaxedRanking

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-3
LAMBDA_DE = 1e-2
LAMBDA_RRD = 1e-3
DIMS = {"bpr": {"student": 20, "teacher": 200}, "neumf": {"student": 25, "teacher": 250}}


def main():
    args = parse_arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    tuned = args.setting == "tuned"
    torch.set_flush_denormal(tuned)  # weights of experts underflow as tau falls
    device = torch.device(args.device)

    data = Dataset.load(args.data, device)
    experts = ranking = None
    if args.case == "evaluate" and args.teacher:
        model = load_teacher(args, data, device)
    else:
        model = new_model(args, data, args.dim).to(device)
    if args.case in ("de", "rrd", "de-rrd"):
        teacher = load_teacher(args, data, device)
        if "de" in args.case.split("-"):
            experts = distillation_experts(model, teacher, folded=tuned).to(device)
        if "rrd" in args.case.split("-"):
            ranking = RelaxedRanking(data, teacher)

    if args.case != "evaluate":
        modules = [model, experts] if experts else [model]
        optimizer = torch.optim.Adam(
            [p for module in modules for p in module.parameters() if p.requires_grad],
            lr=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            fused=True if tuned else None,
        )

    log = open(args.json, "w") if args.json else None
    for epoch in range(args.start_epoch, args.start_epoch + args.epochs):
        start = now(device)
        losses = {"base": None, "de": None, "rrd": None}
        if args.case != "evaluate":
            losses = train_epoch(
                model, experts, ranking, optimizer, data, args.batch, temperature(epoch)
            )
        trained = now(device)
        valid_h5, test_h5 = hit_rates(model, data)
        record = {
            "model": args.model,
            "case": args.case,
            "setting": args.setting,
            "epoch": epoch,
            "train_s": round(trained - start, 4),
            "eval_s": round(now(device) - trained, 4),
            **{f"loss_{name}": value for name, value in losses.items()},
            "valid_h5": round(valid_h5, 4),
            "test_h5": round(test_h5, 4),
        }
        for stream in (None, log) if log else (None,):
            print(json.dumps(record), file=stream, flush=True)

    if args.save:
        save_model(model, args.save)


def train_epoch(model, experts, ranking, optimizer, data, batch, tau):
    """One pass over the training interactions; returns each loss's mean over the batches."""
    negatives = data.sample_negatives()
    samples = ranking.sample() if ranking else None
    totals = torch.zeros(3, device=data.users.device)
    batches = torch.randperm(len(data.users), device=data.users.device).split(batch)
    for rows in batches:
        part = Batch(data.users[rows], data.items[rows], negatives[rows])
        base = model.loss(part)
        de = rrd = base.new_zeros(())
        if experts:
            de = experts.loss(model, part, tau)
        if ranking:
            rrd = ranking.loss(model, part.distinct_users, samples)

        optimizer.zero_grad()
        (base + LAMBDA_DE * de + LAMBDA_RRD * rrd).backward()
        optimizer.step()
        totals += torch.stack([base, de, rrd]).detach()
    base, de, rrd = (totals / len(batches)).tolist()
    return {"base": base, "de": de if experts else None, "rrd": rrd if ranking else None}


def neumf_kind(args):
    return SplitNeuMf if args.setting == "tuned" else NeuMf


def new_model(args, data, dim):
    """As drawn at random, in the setting's way."""
    if args.model == "bpr":
        return BprMf(data.n_users, data.n_items, dim)
    return neumf_kind(args)(data.n_users, data.n_items, dim, args.layers)


def load_teacher(args, data, device):
    """A frozen model, from the file or drawn at random."""
    if args.teacher:
        model = load_model(args.teacher, data, neumf_kind(args)).to(device)
    elif args.random_teacher:
        model = new_model(args, data, DIMS[args.model]["teacher"]).to(device)
    else:
        raise SystemExit(f"--case {args.case} needs --teacher FILE or --random-teacher")
    return model.requires_grad_(False)


def now(device):
    """Wall clock in seconds, after the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    cases = ["student", "teacher", "rrd", "de", "de-rrd", "evaluate"]
    parser.add_argument("--data", type=Path, required=True, help="data set made by derrd prepare")
    parser.add_argument("--case", choices=cases, required=True)
    parser.add_argument("--model", choices=DIMS, default="bpr")
    parser.add_argument("--teacher", type=Path, help="model file of derrd's, BPR or NeuMF")
    parser.add_argument(
        "--random-teacher", action="store_true", help="one of the student's kind, for timing"
    )
    dims = "; ".join(
        f"{model}: {', '.join(f'{dim} for a {role}' for role, dim in roles.items())}"
        for model, roles in DIMS.items()
    )
    parser.add_argument("--dim", type=int, help=f"default: {dims}")
    parser.add_argument("--layers", type=int, default=1, help="hidden layers of NeuMF")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--start-epoch", type=int, default=0, help="sets the temperature of DE")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--setting", choices=["plain", "tuned"], default="plain")
    parser.add_argument("--save", type=Path, help="write the trained model here")
    parser.add_argument("--json", type=Path, help="write the records here too")
    args = parser.parse_args()
    if args.dim is None:
        role = "teacher" if args.case in ("teacher", "evaluate") else "student"
        args.dim = DIMS[args.model][role]
    return args


if __name__ == "__main__":
    main()
