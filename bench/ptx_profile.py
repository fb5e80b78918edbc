#!/usr/bin/env python3
"""Predicts the time of every kernel on a GPU from what the PTX executor counts.

Trains two epochs of each method on the executor and prints a table per kernel: launches, instructions,
memory sectors, registers, and the microseconds that a model (bench/README.md) predicts from them.
The program is the one of the preset `ptx`. The data is the file of --data, else CiteULike where
DERRD_DATA/citeulike/users.dat is present, else synthetic data of the same size.

    python3 bench/ptx_profile.py                            # every method
    python3 bench/ptx_profile.py --cases rrd de-200 --gpu A100
    python3 bench/ptx_profile.py --kernels                  # kernels_bench's large shapes
    python3 bench/ptx_profile.py --profile p.jsonl          # a profile that is there already
"""

import argparse
import csv
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECTOR = 32  # bytes
WARPS, BLOCKS, REGISTERS, SHARED = 64, 32, 65536, 228 * 1024  # of a multiprocessor

# ---------------------------------------------------------------- the model


@dataclass
class Gpu:
    """Rates that long kernels reach, not the data sheet's peaks."""

    multiprocessors: int
    clock: float  # GHz
    memory: float  # TB/s
    l2: float  # TB/s
    l2_size: float  # MB
    flops: float  # TFLOP/s of products in float32


GPUS = {
    "H200": Gpu(132, 1.7, 4.0, 5.5, 50, 45),
    "H100": Gpu(132, 1.7, 2.8, 5.5, 50, 45),
    "A100": Gpu(108, 1.4, 1.7, 4.0, 40, 15),
    "RTX 4090": Gpu(128, 2.5, 0.9, 5.0, 72, 55),
    "T4": Gpu(40, 1.2, 0.26, 1.2, 4, 4.5),
}
LAUNCH = 2.0  # microseconds from the start of a small kernel to that of the next
ISSUE = 4 * 0.6  # instructions per clock of a multiprocessor
LATENCY = 8  # clocks from an instruction of a warp to its next


def terms(gpu, row):
    """Microseconds that each resource needs for a launch, a product or a fill."""
    if "warp_instructions" in row:
        sectors = row["load_sectors"] + row["store_sectors"]
        passes = row["shared_requests"] + row["shared_conflicts"] + sectors / 4
        clocks = gpu.clock * 1e3  # per microsecond
        return {
            "launch": LAUNCH,
            "memory": SECTOR * row["memory_sectors"] / gpu.memory * 1e-6,
            "L2": SECTOR * row["l2_sectors"] / gpu.l2 * 1e-6,
            "L1": passes / (gpu.multiprocessors * clocks),
            "instructions": row["warp_instructions"] / (gpu.multiprocessors * ISSUE * clocks),
            "one warp": row["longest_warp"] * LATENCY / clocks,
        }
    if "product" in row:
        m, n, k = row["product"]
        moved = 4 * (m * k + k * n + (2 if row["accumulates"] else 1) * m * n)
        flops = 2 * m * n * k
    else:
        moved, flops = row["set"], 0
    rate = gpu.l2 if moved <= gpu.l2_size * 1e6 else gpu.memory
    return {"launch": LAUNCH, "memory": moved / rate * 1e-6, "flops": flops / gpu.flops * 1e-6}


def occupancy(row, registers):
    """Part of a multiprocessor's warps that blocks of this launch can fill."""
    x, y, z = row["block"]
    warps = -(-x * y * z // 32)
    per_warp = -(-registers * 32 // 256) * 256
    limits = [BLOCKS, WARPS // warps, REGISTERS // (per_warp * warps)]
    limits.append(SHARED // (row["shared_bytes"] + 1024))
    return min(limits) * warps / WARPS


def even_time(gpu, row):
    """Microseconds of a launch whose warps shared its instructions equally."""
    if "warp_instructions" not in row:
        return row["us"]
    x, y, z = row["grid"]
    warps = x * y * z * -(-row["block"][0] * row["block"][1] * row["block"][2] // 32)
    average = row["warp_instructions"] / warps * LATENCY / (gpu.clock * 1e3)
    return max(average, *(us for name, us in row["terms"].items() if name != "one warp"))


def replay_time(rows, time="us"):
    """Microseconds of a graph: its longest chain, or what its nodes together ask of the GPU."""
    ends = {}
    for row in rows:
        ends[row["node"]] = row[time] + max((ends[n] for n in row["after"] if n in ends), default=0)
    return max(max(ends.values(), default=0), sum(row["busy"] for row in rows))


# ---------------------------------------------------------------- profiles


def demangle(names):
    names = sorted(set(names))
    done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True)
    return dict(zip(names, done.stdout.splitlines()))


def short(name):
    """`bpr_forward` for void derrd::(anonymous namespace)::bpr_forward_kernel<32>(float*)."""
    name = name.replace("(anonymous namespace)", "").replace("<unnamed>", "")
    while (shorter := re.sub(r"<[^<>]*>", "", name)) != name:
        name = shorter
    name = re.sub(r"\(.*", "", name).split()[-1]
    return re.sub(r"(?<=.)_?[Kk]ernel$", "", name.split("::")[-1])


def read_profile(path, gpu, registers):
    """The lines of the executor's profile, each with its name and its predicted times."""
    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    names = demangle(row["kernel"] for row in rows if "kernel" in row)
    for row in rows:
        if "kernel" in row:
            row["registers"] = registers.get(row["kernel"], 0)
            row["name"] = short(names[row["kernel"]])
        elif "product" in row:
            row["name"] = "product {} x {} x {}".format(*row["product"])
        elif "set" in row:
            row["name"] = "fill"
        else:
            continue
        row["terms"] = terms(gpu, row)
        row["bound"] = max(row["terms"], key=row["terms"].get)
        row["us"] = row["terms"][row["bound"]]
        row["even"] = even_time(gpu, row)
        row["busy"] = max(v for k, v in row["terms"].items() if k not in ("launch", "one warp"))
    return rows


@dataclass
class Epochs:
    """A profile of two epochs, cut at the recorded steps."""

    replays: list  # lists of rows
    steps: int  # of an epoch
    plan: list  # of the second epoch
    evaluation: list


def cut(rows):
    """Cuts the profile of two epochs. An epoch is a plan, a step launch by launch, the recorded
    steps, lazy rows brought up to date, and the evaluation. The lazy rows count to the plan."""
    is_step = ["replay" in row or "skipped" in row for row in rows]
    if not any(is_step):
        raise SystemExit(
            "The profile has no recorded step: train with --graph on, 3 steps or more."
        )
    last = len(rows) - is_step[::-1].index(True)
    evaluation = [row for row in rows[last:] if "us" in row]
    gaps, begin = [], None  # what ran between recorded steps
    for n in range(is_step.index(True), last):
        if is_step[n]:
            if begin is not None:
                gaps.append((begin, n))
            begin = None
        elif begin is None:
            begin = n
    replays = {}
    for row in rows:
        if "replay" in row:
            replays.setdefault(row["replay"], []).append(row)
    replays = list(replays.values())
    skipped = sum("skipped" in row for row in rows)
    step = [row for row in replays[0] if "us" in row]
    if len(gaps) != 1:
        raise SystemExit(f"The profile is of {len(gaps) + 1} epochs; it takes two.")
    between = [row for row in rows[slice(*gaps[0])] if "us" in row]
    names = [[row["name"] for row in part] for part in (between, evaluation, step)]
    if names[0][: len(names[1])] != names[1] or names[0][-len(names[2]) :] != names[2]:
        raise SystemExit("Between the epochs' steps there is no evaluation, plan and step.")
    steps = (len(replays) + skipped) // 2 + 1
    end = 0  # launches of the epoch's end
    while end < len(evaluation) and evaluation[end]["name"] == "adam_catch_up":
        end += 1
    plan = between[len(evaluation) : -len(step)] + evaluation[:end]
    return Epochs(replays, steps, plan, evaluation[end:])


# ---------------------------------------------------------------- tables


@dataclass
class Sum:
    """Launches of one kernel, in one part of an epoch."""

    name: str
    rows: list
    runs: int  # of that part

    def __getitem__(self, count):
        return sum(row.get(count, 0) for row in self.rows)

    def cells(self, measured):
        launches = len(self.rows)
        bound = Counter()
        for row in self.rows:
            bound[row["bound"]] += row["us"]
        cells = [f"`{self.name}`", number(launches / self.runs)]
        if self["warp_instructions"]:
            loads, stores = self["load_sectors"], self["store_sectors"]
            least = self["loaded_footprint"] + self["stored_footprint"]
            registers = max(row["registers"] for row in self.rows)
            fill = min(occupancy(row, row["registers"] or 32) for row in self.rows)
            cells += [
                number(self["warp_instructions"] / launches),
                number(max(row["longest_warp"] for row in self.rows)),
                f"{100 * self['lane_instructions'] / (32 * self['warp_instructions']):.0f} %",
                f"{ratio(loads, self['loads'])} / {ratio(stores, self['stores'])}",
                number(SECTOR * self["l2_sectors"] / launches * 1e-3),
                ratio(self["l2_sectors"], least),
                number(self["shared_conflicts"] / launches),
                f"{registers or '?'}",
                f"{100 * fill:.0f} %",
            ]
        else:
            cells += [""] * 9
        us = sum(row["us"] for row in self.rows)
        cells += [number(us / launches), bound.most_common(1)[0][0], number(us / self.runs)]
        if measured is not None:
            cells.append(number(measured[self.name]) if self.name in measured else "")
        return cells


HEAD = [
    "kernel",
    "launches",
    "warp instructions",
    "longest warp",
    "lanes",
    "sectors a request",
    "kB",
    "of least",
    "conflicts",
    "registers",
    "occupancy",
    "us",
    "bound by",
    "us in all",
]


def ratio(a, b):
    return f"{a / b:.1f}" if b else "-"


def number(x):
    """Three digits, with k and M for thousands and millions."""
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if x >= 10 * factor or x >= 1e5:
            if x >= factor:
                return f"{x / factor:.3g}{unit}" if x < 1000 * factor else f"{x / factor:.0f}{unit}"
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def markdown(head, rows):
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def sums(rows, runs=1):
    by_name = {}
    for row in rows:
        if "us" in row:
            by_name.setdefault(row["name"], []).append(row)
    made = [Sum(name, each, runs) for name, each in by_name.items()]
    return sorted(made, key=lambda s: -sum(row["us"] for row in s.rows))


def kernel_table(rows, runs, measured):
    head = HEAD + (["measured us"] if measured is not None else [])
    return markdown(head, [s.cells(measured) for s in sums(rows, runs)])


def report_epochs(title, epochs, measured):
    """The row of the summary, and the case's tables."""
    flat = [row for replay in epochs.replays for row in replay]
    runs = len(epochs.replays)
    step = sum(replay_time(r) for r in epochs.replays) / runs
    even = sum(replay_time(r, "even") for r in epochs.replays) / runs * epochs.steps * 1e-3
    even += sum(row["even"] for row in epochs.plan) * 1e-3
    plan = sum(row["us"] for row in epochs.plan) * 1e-3
    evaluation = sum(row["us"] for row in epochs.evaluation) * 1e-3
    training = step * epochs.steps * 1e-3
    launches = sum("set" not in row for row in epochs.replays[0] if "us" in row)
    products = sum("product" in row for row in epochs.replays[0])
    fills = sum("set" in row for row in epochs.replays[0])
    summary = [title, str(launches), str(products), str(fills), number(step), str(epochs.steps)]
    summary += [number(x) for x in (plan, training, plan + training, even, evaluation)]
    text = f"## {title}\n\n"
    parts = {"A step": (flat, runs), "The plan": (epochs.plan, 1)}
    parts["The evaluation"] = (epochs.evaluation, 1)
    for name, (rows, count) in parts.items():
        text += f"{name}:\n\n{kernel_table(rows, count, measured)}\n"
    return summary, text


SUMMARY = [
    "training",
    "launches a step",
    "products",
    "fills",
    "us a step",
    "steps",
    "plan ms",
    "steps ms",
    "epoch ms",
    "with even warps",
    "evaluation ms",
]

# ---------------------------------------------------------------- runs


@dataclass
class Case:
    title: str
    command: list
    teacher: str | None = None
    replays: int | None = None  # of an epoch to execute; all where rows wait for their updates


def train(model, dim, *options):
    return ["train", "--model", model, "--dim", str(dim), *options]


def distill(method, dim, *options):
    return ["distill", "--method", method, "--dim", str(dim), *options]


CASES = {
    "student": Case("BPR student, d = 20", train("bpr", 20), replays=8),
    "teacher": Case("BPR teacher, d = 200", train("bpr", 200)),
    "rrd": Case("RRD, K = L = 40", distill("rrd", 20), "teacher", 4),
    "de": Case("DE, M = 30, epoch 0: stacked", distill("de", 20), "teacher", 2),
    "de-200": Case(
        "DE, M = 30, epoch 200: routed", distill("de", 20, "--tau-epoch", "200"), "teacher", 2
    ),
    "de-rrd": Case("DE-RRD, epoch 0", distill("de-rrd", 20), "teacher", 2),
    "rd": Case("RD", distill("rd", 20, "--rd-warmup", "0"), "teacher", 4),
    "cd": Case("CD", distill("cd", 20), "teacher", 4),
    "ir-rrd": Case("IR-RRD", distill("rrd+ir", 20), "teacher", 2),
    "neumf-teacher": Case("NeuMF teacher, d = 250", train("neumf", 250, "--layers", "1")),
    "neumf-student": Case("NeuMF student, d = 25", train("neumf", 25, "--layers", "1"), replays=4),
    "neumf-rrd": Case("NeuMF RRD", distill("rrd", 25), "neumf-teacher", 2),
    "neumf-de": Case("NeuMF DE, epoch 0", distill("de", 25), "neumf-teacher", 2),
}


def run(command, **environment):
    shown = " ".join(map(str, command))
    environment = {name: str(value) for name, value in environment.items()}
    print(shown, file=sys.stderr, flush=True)
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode == -signal.SIGKILL:
        raise SystemExit(f"{shown}: killed; if memory ran out, try --jobs 1")
    if done.returncode != 0:
        raise SystemExit(f"{shown}: {done.stderr or done.stdout}")
    return done.stdout


def data_file(derrd, given, folder):
    """The data set to train on, and what it is called."""
    if given:
        return given, Path(given).name
    users = Path(os.environ.get("DERRD_DATA", "")) / "citeulike" / "users.dat"
    path = folder / "data.safetensors"
    if os.environ.get("DERRD_DATA") and users.exists():
        run([derrd, "prepare", users, "--format", "citeulike", "-o", path])
        return path, "CiteULike"
    run([derrd, "synthesize", "-o", path])
    return path, "synthetic, of CiteULike's size"


def registers_of(program):
    """Registers by kernel, from ptxas; kept beside the program until that changes."""
    kept = program.with_name(program.name + ".registers")
    if not kept.exists() or kept.stat().st_mtime < program.stat().st_mtime:
        script = ROOT / "tests" / "ptx_executor" / "registers.py"
        kept.write_text(run([sys.executable, script, program]))
    lines = [line.split() for line in kept.read_text().splitlines()]
    return {line[0]: int(line[1]) for line in lines}


# Benchmarks at a million rows of the smallest dimension, or 100,000 users with 80 slots: minutes
# each on the executor. adam_epoch, whose names go on after D:64, is 50
# steps a call, and not among them.
LARGE_SHAPES = [
    "(R:1000000|rows:1000000/B:1000000|U:1000000/I:1000000/B:1000000)/D:64/real",
    "N:1000000/(W:128|T:64|E:30|k:128/n:30)",
    "B:100000/(n:50|K:10)",
    "U:100000/I:1000000/B:100000/K:40/D:64",
]
LARGE = f"/large/({'|'.join(LARGE_SHAPES)})"


def profile_case(name, gpu, derrd, data, folder):
    """Trains two epochs; the file of counts."""
    case = CASES[name]
    profile, model = folder / f"{name}.jsonl", folder / f"{name}.safetensors"
    command = [derrd, *case.command, "--data", data, "--epochs", "2", "--quiet", "-o", model]
    if case.teacher:
        command += ["--teacher", folder / f"{case.teacher}.safetensors"]
    environment = {"PTX_EXECUTOR_PROFILE": profile, "PTX_EXECUTOR_L2": int(gpu.l2_size * 1e6)}
    if case.replays:
        environment["PTX_EXECUTOR_REPLAYS"] = case.replays
    run(command, **environment)
    return profile


def last_call(rows, calls):
    """The launches of a benchmark's last call. A synchronisation ends each group of calls."""
    ends = [n for n, row in enumerate(rows) if "wait" in row]
    begins = [-1, *ends]
    groups = [[r for r in rows[b + 1 : e] if "us" in r] for b, e in zip(begins, ends)]
    last = [group for group in groups if group][-1]
    return last[-len(last) // calls :]


def profile_kernel(name, bench, gpu, registers, folder):
    """The launches of a benchmark's last call, and the bytes and flops that it must have."""
    place = Path(tempfile.mkdtemp(dir=folder))
    profile, result = place / "profile.jsonl", place / "result.json"
    command = [bench, "--benchmark_filter=^" + re.sub(r"([.+()])", r"\\\1", name) + "$"]
    command += ["--benchmark_min_time=0", "--benchmark_out_format=json"]
    environment = {"PTX_EXECUTOR_PROFILE": profile, "PTX_EXECUTOR_L2": int(gpu.l2_size * 1e6)}
    run([*command, f"--benchmark_out={result}"], **environment)
    timed = json.loads(result.read_text())["benchmarks"][0]
    seconds = timed["real_time"] * 1e-6  # of a call, in microseconds
    rows = last_call(read_profile(profile, gpu, registers), timed["iterations"])
    profile.unlink()
    return rows, timed.get("GB/s", 0) * 1e9 * seconds, timed.get("GFLOP/s", 0) * 1e9 * seconds


def profile_kernels(options, gpu, folder):
    """A line per benchmark of kernels_bench, and the tables of their launches."""
    bench = options.build / "bench" / "kernels_bench"
    registers = registers_of(bench)
    listed = run([bench, "--benchmark_list_tests", f"--benchmark_filter={options.kernels}"])
    names = [line.strip() for line in listed.splitlines() if "/" in line]
    with ThreadPoolExecutor(options.jobs) as pool:
        calls = pool.map(lambda name: profile_kernel(name, bench, gpu, registers, folder), names)
        table, text = [], ""
        for name, (rows, least, flops) in zip(names, calls):
            us = sum(row["us"] for row in rows)
            moved = sum(SECTOR * row.get("l2_sectors", 0) for row in rows)
            issued = sum(row.get("warp_instructions", 0) for row in rows)
            name = name.removesuffix("/real_time")
            cells = [f"`{name}`", str(len(rows)), number(moved * 1e-6), ratio(moved, least)]
            cells += [ratio(issued, flops / 64), number(us)]
            cells += [max(rows, key=lambda row: row["us"])["bound"]]
            cells += [f"{100 * least / (us * gpu.memory * 1e6):.0f} %" if least else "-"]
            table.append(cells)
            text += f"`{name}`:\n\n{kernel_table(rows, 1, options.measured)}\n"
    head = ["benchmark", "launches", "MB", "of least", "instructions / 32 multiply-adds"]
    return markdown([*head, "us", "bound by", "of memory's rate"], table), text


def read_measured(path):
    """Microseconds by kernel: `nsys stats --report cuda_gpu_kern_sum --format csv`."""
    with open(path, newline="") as file:
        return {short(row["Name"]): float(row["Avg (ns)"]) * 1e-3 for row in csv.DictReader(file)}


def commit():
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "ptx", metavar="FOLDER")
    parser.add_argument("--gpu", choices=GPUS, default="H200", help="predicted GPU [H200]")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--data", metavar="FILE", help="data set of derrd prepare or synthesize")
    parser.add_argument(
        "--kernels",
        nargs="?",
        const=LARGE,
        metavar="FILTER",
        help="benchmarks of kernels_bench instead [large shapes]",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="runs at once; a large shape takes up to 14 GB of memory [processors]",
    )
    parser.add_argument("--profile", metavar="FILE", help="profile of two epochs instead of a run")
    parser.add_argument(
        "--measured", metavar="CSV", help="kernels' times on a GPU, from nsys stats"
    )
    parser.add_argument("--output", metavar="FILE", help="Markdown file [standard output]")
    options = parser.parse_args()
    options.measured = read_measured(options.measured) if options.measured else None
    gpu = GPUS[options.gpu]
    command = "python3 bench/ptx_profile.py " + " ".join(sys.argv[1:])
    where = f"{datetime.date.today()}, commit {commit()}, predicted for one {options.gpu}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.kernels:
            table, text = profile_kernels(options, gpu, folder)
            where += "."
        else:
            table, text, data = profile_methods(options, gpu, folder)
            where += f", data: {data}."
    report = f"# Profile by the PTX executor\n\n{where}\n\n    {command.strip()}\n\n{table}\n{text}"
    if options.output:
        Path(options.output).write_text(report)
    else:
        print(report, end="")


def profile_methods(options, gpu, folder):
    derrd = options.build / "apps" / "derrd"
    registers = registers_of(derrd)
    if options.profile:
        row, text = report_epochs(
            "profile", cut(read_profile(options.profile, gpu, registers)), options.measured
        )
        return markdown(SUMMARY, [row]), text, options.profile
    data, title = data_file(derrd, options.data, folder)
    teachers = {CASES[name].teacher for name in options.cases} - {None}
    done = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        for names in (teachers, set(options.cases) - teachers):
            profiles = pool.map(lambda name: profile_case(name, gpu, derrd, data, folder), names)
            for name, profile in zip(names, profiles):
                epochs = cut(read_profile(profile, gpu, registers))
                done[name] = report_epochs(CASES[name].title, epochs, options.measured)
    rows, texts = zip(*(done[name] for name in options.cases))
    return markdown(SUMMARY, rows), "".join(texts), title


if __name__ == "__main__":
    main()
