"""The training of derrd in plain PyTorch, to run beside it: BPR-MF, DE, RRD and DE-RRD.

Prints one JSON record per epoch: seconds of training (negatives and samples included) and of
leave-one-out evaluation, the losses (mean over the batches of their sums, unweighted), H@5.

Two settings compute the same. `plain` is what a good PyTorch user writes first: Adam as it comes,
every expert's output and their weighted sum. `tuned` has what measuring found: fused Adam, the
gate's weights folded into the experts' hidden layer, denormal numbers flushed to zero.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from dataset import Dataset, hit_rates
from models import BprMf, DistillationExperts, temperature
from relaxed_ranking import RelaxedRanking

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-3
LAMBDA_DE = 1e-2
LAMBDA_RRD = 1e-3
TEACHER_DIM = 200


def main():
    args = parse_arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    tuned = args.setting == "tuned"
    torch.set_flush_denormal(tuned)  # weights of experts underflow as tau falls
    device = torch.device(args.device)

    data = Dataset.load(args.data, device)
    model = BprMf(data.n_users, data.n_items, args.dim).to(device)
    experts = ranking = None
    if args.case in ("de", "rrd", "de-rrd"):
        teacher = load_teacher(args, data, device)
        if "de" in args.case.split("-"):
            experts = DistillationExperts(args.dim, *teacher, folded=tuned).to(device)
        if "rrd" in args.case.split("-"):
            ranking = RelaxedRanking(data, *teacher)
    elif args.case == "evaluate" and args.teacher:
        user, item = load_teacher(args, data, device)
        model.user.weight.data, model.item.weight.data = user, item

    parameters = [*model.parameters(), *(experts.parameters() if experts else ())]
    optimizer = torch.optim.Adam(
        parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True if tuned else None
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
        valid_h5, test_h5 = hit_rates(model.user.weight, model.item.weight, data)
        record = {
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
        save_file(
            {"user_embedding": model.user.weight.data, "item_embedding": model.item.weight.data},
            args.save,
        )


def train_epoch(model, experts, ranking, optimizer, data, batch, tau):
    """One pass over the training interactions; returns each loss's mean over the batches."""
    negatives = data.sample_negatives()
    samples = ranking.sample() if ranking else None
    totals = torch.zeros(3, device=data.users.device)
    batches = torch.randperm(len(data.users), device=data.users.device).split(batch)
    for rows in batches:
        users, positives, negative = data.users[rows], data.items[rows], negatives[rows]
        base = model.loss(users, positives, negative)
        de = rrd = base.new_zeros(())
        if experts or ranking:
            distinct_users = users.unique()
        if experts:
            de = experts.loss(model, distinct_users, positives, negative, tau)
        if ranking:
            rrd = ranking.loss(model, distinct_users, samples)

        optimizer.zero_grad()
        (base + LAMBDA_DE * de + LAMBDA_RRD * rrd).backward()
        optimizer.step()
        totals += torch.stack([base, de, rrd]).detach()
    base, de, rrd = (totals / len(batches)).tolist()
    return {"base": base, "de": de if experts else None, "rrd": rrd if ranking else None}


def load_teacher(args, data, device):
    """User and item vectors in float32, from the file or drawn at random."""
    if args.teacher:
        tensors = load_file(args.teacher, device=str(device))
        user, item = (tensors[f"{side}_embedding"].float() for side in ("user", "item"))
        if (len(user), len(item)) != (data.n_users, data.n_items):
            raise SystemExit(
                f"{args.teacher}: {len(user)} users and {len(item)} items, "
                f"but the data set has {data.n_users} and {data.n_items}"
            )
        return user, item
    if not args.random_teacher:
        raise SystemExit(f"--case {args.case} needs --teacher FILE or --random-teacher")
    return tuple(
        0.01 * torch.randn(rows, TEACHER_DIM, device=device)
        for rows in (data.n_users, data.n_items)
    )


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
    parser.add_argument(
        "--teacher", type=Path, help="safetensors with user_embedding and item_embedding"
    )
    parser.add_argument(
        "--random-teacher", action="store_true", help=f"dimension {TEACHER_DIM}, for timing"
    )
    parser.add_argument("--dim", type=int, help=f"default: {TEACHER_DIM} for a teacher, else 20")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--start-epoch", type=int, default=0, help="sets the temperature of DE")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--setting", choices=["plain", "tuned"], default="plain")
    parser.add_argument("--save", type=Path, help="write the trained embeddings here")
    parser.add_argument("--json", type=Path, help="write the records here too")
    args = parser.parse_args()
    if args.dim is None:
        args.dim = TEACHER_DIM if args.case in ("teacher", "evaluate") else 20
    return args


if __name__ == "__main__":
    main()
