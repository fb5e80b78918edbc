#!/usr/bin/env python3
"""Times derrd beside a plain PyTorch implementation of the same training, in one run.

The peer comes in two settings of equal results: `plain`, what a good PyTorch user writes first, and
`tuned`, with all that measuring found. The bounds are on the ratio to plain; both are reported.
All train on the same data file and, in turn (A B C A B C), on the same machine, with the same
batch, dimensions and threads. The report has seconds per epoch for training (with negatives and
samples) and for leave-one-out evaluation: minimum and median over all epochs of all rounds, peak
memory of the process, and the ratio of the minima. Other work on the machine slows PyTorch's
spinning threads many times over. Its share of the processors is measured (the column shows the
quietest run's), and a row without an undisturbed run does not count as met. The teacher is the one
of the same kind that derrd has just trained, unless --teacher or --neumf-teacher names another.
Both programs get the same file.

    python3 bench/compare.py --data citeulike.safetensors --python /tmp/peer-venv/bin/python
    python3 bench/compare.py --data citeulike.safetensors --side-by-side
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / "bench" / "peers" / "torch_peer.py"
STUDENT_DIM, TEACHER_DIM = 20, 200
NEUMF_STUDENT_DIM, NEUMF_TEACHER_DIM = 25, 250
SIDE_BY_SIDE_BOUND = 2.5  # time of two runs at once, in times of one run
MEMORY_BOUND_MIB = 1.5 * 1024
SETTINGS = ["plain", "tuned"]  # of the peer
DISTURBED = 0.1  # largest share of the processors' time for other work, else figures do not count


@dataclass
class Case:
    """One training to time."""

    title: str
    command: list  # derrd's subcommand and its options
    peer: list  # the peer's options
    teacher: str | None = None  # the case that trains the model to distil


@dataclass
class Bound:
    """A row of the table: a part of a case's epoch, its most seconds, its least ratio to the peer.

    For CiteULike on two idle CPU cores. Without bounds a row is only measured.
    """

    title: str
    case: str
    part: str  # "epoch" (training + evaluation) or "evaluate"
    seconds: float | None = None
    ratio: float | None = None


def train(model, dim, *options):
    return ["train", "--model", model, "--dim", str(dim), *options]


def distill(method, dim, *options):
    """A student of its teacher's kind."""
    return ["distill", "--method", method, "--dim", str(dim), *options]


def peer(model, case, dim, *options):
    return ["--model", model, "--case", case, "--dim", str(dim), *options]


CASES = {
    "teacher": Case(
        f"teacher, d = {TEACHER_DIM}",
        train("bpr", TEACHER_DIM),
        peer("bpr", "teacher", TEACHER_DIM),
    ),
    "student": Case(
        f"student, d = {STUDENT_DIM}",
        train("bpr", STUDENT_DIM),
        peer("bpr", "student", STUDENT_DIM),
    ),
    "rrd": Case(
        "RRD, K = L = 40",
        distill("rrd", STUDENT_DIM),
        peer("bpr", "rrd", STUDENT_DIM),
        "teacher",
    ),
    "de": Case(
        "DE, M = 30, epoch 0",
        distill("de", STUDENT_DIM),
        peer("bpr", "de", STUDENT_DIM),
        "teacher",
    ),
    "de-200": Case(
        "DE, M = 30, epoch 200",
        distill("de", STUDENT_DIM, "--tau-epoch", "200"),
        peer("bpr", "de", STUDENT_DIM, "--start-epoch", "200"),
        "teacher",
    ),
    "neumf-teacher": Case(
        f"NeuMF teacher, d = {NEUMF_TEACHER_DIM}",
        train("neumf", NEUMF_TEACHER_DIM, "--layers", "1"),
        peer("neumf", "teacher", NEUMF_TEACHER_DIM),
    ),
    "neumf-student": Case(
        f"NeuMF student, d = {NEUMF_STUDENT_DIM}",
        train("neumf", NEUMF_STUDENT_DIM, "--layers", "1"),
        peer("neumf", "student", NEUMF_STUDENT_DIM),
    ),
    "neumf-rrd": Case(
        "NeuMF RRD, K = L = 40",
        distill("rrd", NEUMF_STUDENT_DIM),
        peer("neumf", "rrd", NEUMF_STUDENT_DIM),
        "neumf-teacher",
    ),
    "neumf-de": Case(
        "NeuMF DE, M = 30, epoch 0",
        distill("de", NEUMF_STUDENT_DIM),
        peer("neumf", "de", NEUMF_STUDENT_DIM),
        "neumf-teacher",
    ),
}

BOUNDS = [
    Bound("student, d = 20", "student", "epoch", 0.10, 5),
    Bound("teacher, d = 200", "teacher", "epoch", 0.8, 3),
    Bound("RRD, K = L = 40", "rrd", "epoch", 0.35, 4),
    Bound("DE, M = 30, epoch 0", "de", "epoch", 6, 4),
    Bound("DE, M = 30, epoch 200", "de-200", "epoch", 0.6, 20),
    Bound("leave-one-out evaluation, d = 200", "teacher", "evaluate", 0.12, 2),
    Bound("NeuMF teacher, d = 250", "neumf-teacher", "epoch", 6, 2),
    Bound("NeuMF student, d = 25", "neumf-student", "epoch", 1, 4),
    Bound("NeuMF RRD, K = L = 40", "neumf-rrd", "epoch", 6, 2),
    Bound("NeuMF DE, M = 30, epoch 0", "neumf-de", "epoch"),
]


@dataclass
class Usage:
    """What a run took of the machine, and what others took of it meanwhile."""

    wall: float
    peak_mib: float
    other_work: float


@dataclass
class Times:
    """Seconds of every epoch of every round of one program on one case."""

    train: list = field(default_factory=list)
    evaluate: list = field(default_factory=list)
    peak_mib: float = 0.0
    other_work: float = 1.0  # share of the processors that others used during the quietest run

    def add(self, epochs, usage):
        self.train += [train for train, _ in epochs]
        self.evaluate += [evaluate for _, evaluate in epochs]
        self.peak_mib = max(self.peak_mib, usage.peak_mib)
        self.other_work = min(self.other_work, usage.other_work)

    def part(self, name):
        if name == "train":
            return self.train
        if name == "evaluate":
            return self.evaluate
        return [train + evaluate for train, evaluate in zip(self.train, self.evaluate)]


def main():
    args = parse_arguments()
    for path, cure in (
        (args.derrd, "build it, or name it with --derrd"),
        (args.data, "make it with derrd prepare"),
    ):
        if not path.exists():
            sys.exit(f"compare.py: {path} does not exist: {cure}")

    with tempfile.TemporaryDirectory(prefix="derrd-compare-") as folder:
        measure = side_by_side if args.side_by_side else beside_peer
        report, table, ok = measure(args, Path(folder))

    report = {"machine": machine(args), **report}
    markdown = "\n".join([*describe(report["machine"], args), "", *table, ""])
    print(markdown)
    if args.markdown:
        args.markdown.write_text(markdown)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    if args.check and not ok:
        sys.exit("compare.py: a bound is not met")


def beside_peer(args, folder):
    """Every case with both programs in turn; returns report, table, whether all bounds hold."""
    times = {}
    for name in selected_cases(args):
        case = CASES[name]
        teacher = teacher_of(case, args, folder)
        times[name] = {program: Times() for program in ("derrd", *args.settings)}
        for round_number in range(args.rounds):
            progress(f"{case.title}: round {round_number + 1} of {args.rounds}")
            output = model_file(name, folder)
            times[name]["derrd"].add(*run_derrd(args, case, teacher, output, folder))
            for setting in args.settings:
                times[name][setting].add(*run_peer(args, case, setting, teacher, folder))

    rows = [row(bound, times[bound.case], args) for bound in BOUNDS if bound.case in times]
    report = {
        "rows": rows,
        "times": {
            name: {program: asdict(times) for program, times in programs.items()}
            for name, programs in times.items()
        },
    }
    return report, peer_table(rows, args.settings), all(row["met"] for row in rows)


def row(bound, programs, args):
    """Minima and medians of a bound's part, for all programs, and whether the bound holds."""
    result = {"title": bound.title, "case": bound.case, "part": bound.part}
    for program, times in programs.items():
        for part in ("train", "evaluate", "epoch"):
            values = times.part(part)
            result[f"{program}_{part}_s"] = {
                "min": min(values),
                "median": statistics.median(values),
            }
        result[f"{program}_peak_mib"] = times.peak_mib
    ours = result[f"derrd_{bound.part}_s"]
    for name, statistic in (("ratio", "min"), ("ratio_of_medians", "median")):
        result[name] = {
            setting: result[f"{setting}_{bound.part}_s"][statistic] / ours[statistic]
            for setting in args.settings
        }
    result["other_work"] = max(times.other_work for times in programs.values())
    undisturbed = result["other_work"] <= DISTURBED
    result["met"] = undisturbed and programs["derrd"].peak_mib <= MEMORY_BOUND_MIB
    if args.device == "cpu" and bound.seconds is not None:
        result["at_most_s"], result["at_least_ratio"] = bound.seconds, bound.ratio
        # The bound on speed is on the ratio to plain, and not met by a run that leaves plain out.
        result["met"] &= ours["min"] <= bound.seconds
        result["met"] &= result["ratio"].get("plain", 0) >= bound.ratio
    return result


def peer_table(rows, settings):
    """Markdown: each program's minimum (median), then the bounds; ratios are the peer's to ours."""
    lines = ["| s per epoch: min (median) | program | train | evaluate | MiB |", "|---" * 5 + "|"]
    for row in rows:
        for program in ["derrd", *settings]:
            name = program if program == "derrd" else f"PyTorch {program}"
            train = quote(row[f"{program}_train_s"]) if row["part"] == "epoch" else ""
            evaluate, mib = quote(row[f"{program}_evaluate_s"]), f"{row[f'{program}_peak_mib']:.0f}"
            lines.append(f"| {row['title']} | {name} | {train} | {evaluate} | {mib} |")

    ratios = [setting + (", at least" if setting == "plain" else "") for setting in settings]
    heads = ["", "derrd s, at most", *ratios, "other work", "met"]
    lines += ["", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        bounded = "at_most_s" in row
        total = seconds(row[f"derrd_{row['part']}_s"]["min"])
        cells = [row["title"], f"{total}, {row['at_most_s']:g}" if bounded else total]
        for setting in settings:
            at_least = f", {row['at_least_ratio']:g}x" if bounded and setting == "plain" else ""
            cells.append(f"{row['ratio'][setting]:.1f}x{at_least}")
        cells += [f"{row['other_work']:.0%}", verdict(row)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def side_by_side(args, folder):
    """One run of ours alone, then two at once, in turn; returns as beside_peer does."""
    rows = []
    for name in selected_cases(args):
        case = CASES[name]
        teacher = teacher_of(case, args, folder)
        runs = {1: [], 2: []}
        for round_number in range(args.rounds):
            progress(
                f"{case.title}, one and two at once: round {round_number + 1} of {args.rounds}"
            )
            for copies, usages in runs.items():
                commands = (
                    derrd_command(args, case, teacher, folder / f"{copy}", folder / f"{copy}.jsonl")
                    for copy in range(copies)
                )
                usages.append(run(*commands))
        alone, together = ([usage.wall for usage in usages] for usages in runs.values())
        other_work = max(min(usage.other_work for usage in usages) for usages in runs.values())
        ratio = min(together) / min(alone)
        rows.append(
            {
                "title": case.title,
                "alone_s": alone,
                "together_s": together,
                "ratio": ratio,
                "at_most": SIDE_BY_SIDE_BOUND,
                "other_work": other_work,
                "met": ratio <= SIDE_BY_SIDE_BOUND and other_work <= DISTURBED,
            }
        )
    table = [
        "| s per run: min (median) | one run | two at once | ratio, at most | other work | met |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        one, two = (
            quote({"min": min(walls), "median": statistics.median(walls)})
            for walls in (row["alone_s"], row["together_s"])
        )
        table.append(
            f"| {row['title']} | {one} | {two} | {row['ratio']:.2f}, {SIDE_BY_SIDE_BOUND} "
            f"| {row['other_work']:.0%} | {verdict(row)} |"
        )
    return {"side_by_side": rows}, table, all(row["met"] for row in rows)


# Running the programs


def derrd_command(args, case, teacher, output, log):
    command = [args.derrd, *case.command, "--data", args.data, "--epochs", args.epochs]
    command += ["--batch", args.batch, "--threads", args.threads, "--seed", args.seed]
    command += ["--log", log, "-o", output]
    return command + (["--teacher", teacher] if teacher else [])


def run_derrd(args, case, teacher, output, folder):
    log = folder / "derrd.jsonl"
    usage = run(derrd_command(args, case, teacher, output, log))
    phases = [record["seconds"] for record in read_records(log)]
    return [(phase["prepare"] + phase["train"], phase["evaluate"]) for phase in phases], usage


def run_peer(args, case, setting, teacher, folder):
    log = folder / "peer.jsonl"
    command = [args.python, PEER, *case.peer, "--data", args.data, "--epochs", args.epochs]
    command += ["--batch", args.batch, "--threads", args.threads, "--seed", args.seed]
    command += ["--device", args.device, "--setting", setting, "--json", log]
    usage = run(command + (["--teacher", teacher] if teacher else []))
    return [(record["train_s"], record["eval_s"]) for record in read_records(log)], usage


def teacher_of(case, args, folder):
    """The model file that a case distils, trained if there is none yet; None if it distils none."""
    if case.teacher is None:
        return None
    named = {"teacher": args.teacher, "neumf-teacher": args.neumf_teacher}[case.teacher]
    teacher = named or model_file(case.teacher, folder)
    if not teacher.exists():
        progress(f"training a {CASES[case.teacher].title}")
        log = folder / "teacher.jsonl"
        run(derrd_command(args, CASES[case.teacher], None, teacher, log))
    return teacher


def model_file(case_name, folder):
    """Where derrd leaves a case's model, until the case's next run."""
    return folder / f"{case_name}.safetensors"


def run(*commands):
    """Runs programs at once to their ends; a failure ends this program with their last output."""
    busy, start = busy_seconds(), time.perf_counter()
    children = [spawn(command) for command in commands]
    own, peak_mib = 0.0, 0.0
    for child, _ in children:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        own += usage.ru_utime + usage.ru_stime
        peak_mib = max(peak_mib, usage.ru_maxrss / 1024)
    wall = time.perf_counter() - start
    others = busy_seconds() - busy - own
    for child, output in children:
        if child.returncode != 0:
            output.seek(0)
            tail = output.read().decode(errors="replace")[-2000:]
            sys.exit(
                f"compare.py: exit code {child.returncode} from: {' '.join(child.args)}\n{tail}"
            )
    return Usage(wall, peak_mib, max(others, 0.0) / (wall * os.cpu_count()))


def spawn(command):
    """Starts a program whose output goes to a file, to be shown if it fails."""
    output = tempfile.TemporaryFile()
    command = [str(part) for part in command]
    try:
        return (
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output),
            output,
        )
    except OSError as error:
        sys.exit(f"compare.py: cannot start {command[0]}: {error.strerror}")


def busy_seconds():
    """Processor time that all processes have used since the machine started."""
    user, nice, system, _, _, irq, softirq, *_ = (
        Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    ticks = sum(map(int, (user, nice, system, irq, softirq)))
    return ticks / os.sysconf("SC_CLK_TCK")


def read_records(path):
    """The log's records of epochs; a log may hold lines of other kinds."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records = [record for record in records if "epoch" in record]
    if not records:
        sys.exit(f"compare.py: no epochs in {path}")
    return records


# Facts and formats


def machine(args):
    """What the figures depend on."""
    facts = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "device": gpu_name() if args.device == "cuda" else "cpu",
        "commit": commit(),
        "derrd": output_of([args.derrd, "--version"]),
    }
    if not args.side_by_side:
        script = "import platform, torch; print(platform.python_version(), torch.__version__)"
        versions = (output_of([args.python, "-c", script]) or "unknown unknown").split()
        facts["peer_python"], facts["peer_torch"] = versions
    return facts


def cpu_name():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        "unknown",
    )


def gpu_name():
    return (
        output_of(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
        or "unknown"
    )


def commit():
    name = output_of(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"]) or "unknown"
    return name + (
        " with changes" if output_of(["git", "-C", ROOT, "status", "--porcelain"]) else ""
    )


def output_of(command):
    """What a command prints, or None where it is missing or fails."""
    try:
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def describe(facts, args):
    """The report's first lines."""
    lines = [
        f"{facts['date']}, commit {facts['commit']}, {args.data.name}",
        f"{facts['cpu']}, {facts['cores']} cores, device {facts['device']}, {args.threads} threads",
        facts["system"],
        f"derrd: {facts['derrd'] or 'unknown version'}",
    ]
    if "peer_torch" in facts:
        lines.append(f"peer: PyTorch {facts['peer_torch']}, Python {facts['peer_python']}")
    runs = f"{args.rounds} rounds of {args.epochs} epochs, batch {args.batch}"
    return [line + "  " for line in lines] + [runs]


def seconds(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def verdict(row):
    if row["other_work"] > DISTURBED:
        return "disturbed"
    return "yes" if row["met"] else "**no**"


def quote(times):
    return f"{seconds(times['min'])} ({seconds(times['median'])})"


def progress(text):
    print(text, file=sys.stderr, flush=True)


def selected_cases(args):
    """In the order of CASES: a teacher before the others, which use its file."""
    return [name for name in CASES if name in args.cases]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="data set made by derrd prepare")
    parser.add_argument("--derrd", type=Path, help="our program (build/<device>/apps/derrd)")
    parser.add_argument(
        "--python", default=sys.executable, help="Python of the peer, with its requirements"
    )
    for kind, option in (("BPR", "--teacher"), ("NeuMF", "--neumf-teacher")):
        parser.add_argument(
            option, type=Path, help=f"{kind} model file to distil (else one is trained)"
        )
    bounded = [name for name in CASES if any(b.case == name and b.seconds for b in BOUNDS)]
    parser.add_argument(
        "--cases",
        nargs="+",
        choices=CASES,
        default=bounded,
        help="default: those with a bound, " + " ".join(bounded),
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="of both programs")
    parser.add_argument(
        "--settings", nargs="+", choices=SETTINGS, default=SETTINGS, help="of the peer (both)"
    )
    parser.add_argument("--epochs", type=int, default=3, help="per run (3)")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each program per case (2)")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--side-by-side", action="store_true", help="two of our runs at once against one"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 if a bound is not met")
    parser.add_argument("--json", type=Path, help="write every measurement here")
    parser.add_argument("--markdown", type=Path, help="write the printed report here too")
    args = parser.parse_args()
    if args.derrd is None:
        args.derrd = ROOT / "build" / args.device / "apps" / "derrd"
    for teacher in (args.teacher, args.neumf_teacher):
        if teacher and not teacher.exists():
            parser.error(f"the teacher {teacher} does not exist")
    for name in ("epochs", "rounds", "batch", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1")
    return args


if __name__ == "__main__":
    main()
