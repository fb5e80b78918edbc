#!/usr/bin/env python3
"""Trains every system on the published split of CiteULike, several seeds, and prints its test metrics beside the published figures.

    python3 bench/quality.py --split FOLDER [--seeds 0 1 2] [--work build/quality] [--derrd build/cpu/apps/derrd]

FOLDER holds split0.train.tsv, split0.valid.tsv and split0.test.tsv (user and item number per line). Runs that are finished are kept, one
that was interrupted goes on from its checkpoint. Needs nothing but Python's standard library.
"""

import argparse
import concurrent.futures
import datetime
import json
import pathlib
import platform
import struct
import subprocess
import sys

# Arguments of `derrd distill`. The authors' weight of RRD (1e-3) is that of RRD alone; beside DE, half of it is tried too, for which RRD's
# loss is 8 % of the base loss at first (Section 5.4 finds 7 to 10 % best). Validation chooses between the two, as in Section 5.1.
DISTILLED = {
    "student": ["--method", "none"],
    "rrd": ["--method", "rrd"],
    "de": ["--method", "de"],
    "de-rrd": ["--method", "de-rrd"],
    "de-rrd-half": ["--method", "de-rrd", "--lambda-rrd", "5e-4"],
}
DERRD = ["de-rrd", "de-rrd-half"]
SYSTEMS = ["teacher", *DISTILLED]

METRICS = [f"{metric}@{n}" for n in (5, 10, 20) for metric in ("H", "N", "M")]

# Test figures: the logs of the paper's authors for this split (Student, RRD, DE), the paper's Table 2 (Teacher, DE-RRD: means of five splits).
PUBLISHED = {
    "teacher": [.5135, .3970, .3583, .6185, .4310, .3724, .7099, .4541, .3788],
    "student": [.4486, .3353, .2978, .5559, .3686, .3104, .6584, .3966, .3201],
    "rrd": [.4698, .3554, .3175, .5727, .3879, .3303, .6679, .4132, .3382],
    "de": [.4773, .3595, .3205, .5796, .3933, .3350, .6729, .4149, .3391],
    "de-rrd": [.4843, .3632, .3231, .5966, .3989, .3373, .6991, .4251, .3447],
}
PUBLISHED["de-rrd-half"] = PUBLISHED["de-rrd"]
BOUNDS = {"teacher": .510, "student": .440, "rrd": .455, "de": .465, "de-rrd": .465, "de-rrd-half": .465}
DERRD_ABOVE_STUDENT = .02


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", type=pathlib.Path, required=True, help="folder of split0.{train,valid,test}.tsv")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--systems", nargs="+", default=SYSTEMS, choices=SYSTEMS)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/quality"))
    parser.add_argument("--derrd", type=pathlib.Path, default=pathlib.Path("build/cpu/apps/derrd"))
    parser.add_argument("--jobs", type=int, default=1, help="seeds trained at the same time, each with --threads")
    parser.add_argument("--threads", type=int, default=0, help="of each run; 0: all cores")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures there")
    parser.add_argument("--markdown", type=pathlib.Path, help="also write the table there")
    parser.add_argument("--check", action="store_true", help="exit with 1 unless every bound is met")
    return parser.parse_args()


def run(command, log):
    with open(log, "w") as output:
        code = subprocess.run([str(c) for c in command], stdout=output, stderr=subprocess.STDOUT).returncode
    if code != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {code}; its output is in {log}")


def prepare(a):
    data = a.work / "data.safetensors"
    if not data.exists():
        parts = [arg for part in ("train", "valid", "test") for arg in (f"--{part}", a.split / f"split0.{part}.tsv")]
        run([a.derrd, "prepare", *parts, "--split-seed", 0, "-o", data], a.work / "prepare.txt")
    return data


def model_of(a, system, seed):
    return a.work / f"{system}-{seed}.safetensors"


def train(a, data, system, seed):
    """One model, unless it is there already."""
    model = model_of(a, system, seed)
    if model.exists():
        return
    stem = a.work / f"{system}-{seed}"
    if system == "teacher":
        command = [a.derrd, "train", "--model", "bpr", "--dim", 200]
    else:
        command = [a.derrd, "distill", "--teacher", model_of(a, "teacher", seed), *DISTILLED[system], "--size", 0.1]
    command += ["--data", data, "--seed", seed, "--preset", "authors", "--threads", a.threads, "--log", f"{stem}.jsonl",
                "--checkpoint", f"{stem}.checkpoint", "--resume", "-o", model]
    run(command, f"{stem}.txt")
    print(f"{system}, seed {seed}: done", flush=True)


def train_seed(a, data, seed):
    for system in ["teacher"] + [s for s in a.systems if s != "teacher"]:
        train(a, data, system, seed)


def metadata(path):
    """Of a safetensors file: its header is a length in 8 bytes and then JSON."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return header["__metadata__"]


def result(a, system, seed):
    """Reported validation H@5 and test metrics, best epoch and seconds per epoch of a finished run."""
    metrics = json.loads(metadata(model_of(a, system, seed))["metrics"])
    records = [json.loads(line) for line in open(a.work / f"{system}-{seed}.jsonl")]
    seconds = [sum(r["seconds"].values()) for r in records]
    return {"valid": metrics["valid"]["H@5"], "test": [metrics["test"][m] for m in METRICS], "best_epoch": metrics["best_epoch"], "epochs": len(records),
            "seconds": sum(seconds)}


def mean(values):
    return sum(values) / len(values)


def main():
    a = parse_arguments()
    a.work.mkdir(parents=True, exist_ok=True)
    data = prepare(a)
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for finished in [pool.submit(train_seed, a, data, seed) for seed in a.seeds]:
            finished.result()

    systems = [s for s in SYSTEMS if s in a.systems]
    results = {s: [result(a, s, seed) for seed in a.seeds] for s in systems}
    lines = ["| | " + " | ".join(METRICS) + " | best epochs | s for all epochs |", "|---" * (len(METRICS) + 3) + "|"]
    for s in systems:
        ours = [mean([r["test"][i] for r in results[s]]) for i in range(len(METRICS))]
        lines.append(f"| {s} | " + " | ".join(f"{v:.4f}" for v in ours)
                     + " | " + ", ".join(str(r["best_epoch"]) for r in results[s])
                     + f" | {mean([r['seconds'] for r in results[s]]):.0f} |")
        lines.append("| &nbsp; published | " + " | ".join(f"{v:.4f}" for v in PUBLISHED[s]) + " | | |")
    table = "\n".join(lines)
    print(f"\nCiteULike, split 0, test, mean of seeds {a.seeds}\n\n{table}\n")

    missed = []
    for s in systems:
        h5 = mean([r["test"][0] for r in results[s]])
        met = h5 >= BOUNDS[s]
        print(f"{s}: H@5 {h5:.4f}, bound {BOUNDS[s]:.3f}: {'met' if met else 'MISSED'}")
        missed += [] if met else [s]
    if "student" in systems and set(DERRD) <= set(systems):
        valid = {s: mean([r["valid"] for r in results[s]]) for s in DERRD}
        chosen = max(DERRD, key=valid.get)
        print("validation H@5: " + ", ".join(f"{s} {v:.4f}" for s, v in valid.items()) + f"; chosen: {chosen}")
        gain = mean([r["test"][0] for r in results[chosen]]) - mean([r["test"][0] for r in results["student"]])
        met = gain >= DERRD_ABOVE_STUDENT
        print(f"{chosen} above student: {gain:.4f}, bound {DERRD_ABOVE_STUDENT}: {'met' if met else 'MISSED'}")
        missed += [] if met else ["gain"]

    if a.json:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        a.json.write_text(json.dumps({"date": datetime.date.today().isoformat(), "machine": platform.processor() or platform.machine(),
                                      "commit": commit, "command": sys.argv, "seeds": a.seeds, "metrics": METRICS,
                                      "results": results, "published": PUBLISHED}, indent=1) + "\n")
    if a.markdown:
        a.markdown.write_text(table + "\n")
    if a.check and missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
