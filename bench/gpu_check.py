#!/usr/bin/env python3
"""Tests and measures a CUDA build on this machine's GPU, and writes a report.

Run by `cmake --workflow --preset gpu-check`, which configures and builds first. The steps: all
tests on the device; small trainings there beside the results that the CPU has for them;
compute-sanitizer's memcheck, initcheck, synccheck and racecheck over the kernels' tests; the
kernels' benchmarks; and training beside the PyTorch peer. Each has a share of the time; what a step
leaves over goes to those after it, and one that takes longer is ended and counts as failed. Writes
report.json and report.md into the build folder, each step's output into its folder gpu-check-logs.
Exits with 0 only if every step passed; a step whose tool is missing has not.

    python3 bench/gpu_check.py --build build/gpu-check
    python3 bench/gpu_check.py --build build/gpu-check --steps initcheck,peer

With --steps only the steps of these names run, and those that they need. That is not the check: it
writes partial-report.json and partial-report.md instead, and exits with 3 if all that ran passed.
Two more steps run only so: large, every kernel at sizes that leave the caches, and ladders, the
kernels that lead to two of them.

The peer needs a Python that has torch with CUDA, numpy and safetensors: one named by --python or by
the environment variable DERRD_PEER_PYTHON, else any python3 on PATH. CiteULike is read from the
folder that DERRD_DATA names (citeulike/users.dat); without it a synthetic set of its shape serves.
"""

import argparse
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent
TOTAL_SECONDS = 530  # from configuration to report
CHECK_SECONDS = 400  # for the steps, however long the build took
TAIL_LINES = 15  # of a failed step's output in the report
EXIT_PARTIAL = 3  # all that ran passed, but steps were left out
# In running order: checks before measurements.
NAMES = "tests agreement memcheck initcheck synccheck racecheck kernels data peer".split()
# Steps that run by name only: they take as long as the whole check.
EXTRA = "large ladders".split()
NEEDS = {"peer": {"data"}}


@dataclass
class Step:
    """One command. `read` turns its output into figures, and raises Unmet if these do not pass."""

    name: str
    title: str
    share: float  # guaranteed seconds
    command: list | None = None
    missing: str = ""  # reason why there is no command
    read: Callable[[str], dict] = lambda output: {}
    writes: Path | None = None  # output file, removed before the run


@dataclass
class Result:
    """`outcome` is passed, failed, timed out or not run."""

    name: str
    title: str
    command: str
    outcome: str
    reason: str = ""
    seconds: float = 0.0
    figures: dict = field(default_factory=dict)
    tail: list = field(default_factory=list)

    @property
    def passed(self):
        return self.outcome == "passed"


class Unmet(Exception):
    """A step's output does not show that it passed."""


def main():
    args = parse_arguments()
    logs = args.build / "gpu-check-logs"
    logs.mkdir(exist_ok=True)
    left_out = [name for name in NAMES if name not in args.steps]
    stem = "partial-report" if left_out else "report"
    written = args.build / f"{stem}.json", args.build / f"{stem}.md"
    for path in written:
        path.unlink(missing_ok=True)  # an earlier report must not pass for this run's
    start = time.monotonic()
    results = run_steps(steps(args, logs), time_left(args.started), logs)

    ran_passed = all(result.passed for result in results)
    report = {
        **facts(),
        "passed": ran_passed and not left_out,
        "left_out": left_out,
        "seconds": round(time.monotonic() - start, 1),
        "steps": [asdict(result) for result in results],
    }
    markdown = describe(report)
    written[0].write_text(json.dumps(report, indent=1) + "\n")
    written[1].write_text(markdown)
    print(markdown)
    sys.exit(1 if not ran_passed else EXIT_PARTIAL if left_out else 0)


def steps(args, logs):
    """The steps that were asked for, in order."""
    return [step for step in all_steps(args, logs) if step.name in args.steps]


def all_steps(args, logs):
    """A step for each of NAMES and EXTRA, in their order."""
    kernels_test = args.build / "tests" / "kernels" / "kernels_test"
    engine_test = args.build / "tests" / "engine" / "engine_test"
    derrd = args.build / "apps" / "derrd"
    data, agreed, compared = (
        logs / name for name in ("data.safetensors", "agreement.json", "peer.json")
    )

    jobs = str(min(8, os.cpu_count() or 1))
    tests = ["ctest", "--test-dir", args.build, "--output-on-failure", "--no-tests=error"]
    yield Step("tests", "all tests on the device", 90, [*tests, "-j", jobs], read=read_ctest)

    compare_runs = [engine_test, "--gtest_filter=*CrossBackend*", f"--gtest_output=json:{agreed}"]
    yield Step(
        "agreement",
        "CPU and CUDA runs agree",
        20,
        compare_runs,
        read=lambda output: read_agreement(output, agreed),
        writes=agreed,
    )

    sanitizer = find_sanitizer(args.toolkit_bin)
    missing = "" if sanitizer else "compute-sanitizer is neither on PATH nor in the CUDA toolkit"
    for tool, share, read in (
        ("memcheck", 40, read_errors),
        ("initcheck", 40, read_errors),
        ("synccheck", 40, read_errors),
        ("racecheck", 60, read_racecheck),
    ):
        # Some tests provoke failed calls of the CUDA interface, and check them.
        options = ["--tool", tool, "--error-exitcode", "99", "--report-api-errors", "no"]
        command = [sanitizer, *options, kernels_test] if sanitizer else None
        yield Step(tool, f"{tool} over the kernels' tests", share, command, missing, read)

    kernels_bench = args.build / "bench" / "kernels_bench"

    def benchmarks(name, title, share, program, *options):
        measured = logs / f"{name}.json"
        command = [program, *options, f"--benchmark_out={measured}", "--benchmark_out_format=json"]
        read = lambda _: read_benchmarks(measured)  # noqa: E731
        return Step(name, title, share, command, read=read, writes=measured)

    small = ["--benchmark_filter=-/large/", "--benchmark_min_time=0.05"]
    yield benchmarks("kernels", "kernel benchmarks", 40, kernels_bench, *small)

    users = Path(os.environ.get("DERRD_DATA") or "/nonexistent") / "citeulike" / "users.dat"
    make_data = [derrd, "synthesize"]
    if users.exists():
        make_data = [derrd, "prepare", users, "--format", "citeulike"]
    make_data += ["-o", data]
    yield Step("data", "data set for the peer comparison", 5, make_data, writes=data)

    # The search starts PyTorch, which takes a while.
    python = find_peer_python(args.python) if "peer" in args.steps else None
    missing = "" if python else "no python3 here imports torch with CUDA, numpy and safetensors"
    compare = [sys.executable, ROOT / "bench" / "compare.py", "--device", "cuda"]
    compare += ["--derrd", derrd, "--data", data, "--python", python, "--json", compared]
    # NeuMF's cases would take as long again, most of it PyTorch's start.
    compare += ["--epochs", "2", "--rounds", "1"]
    compare += ["--cases", "student", "teacher", "rrd", "de", "de-200"]
    yield Step(
        "peer",
        "training beside PyTorch",
        65,
        compare if python else None,
        missing,
        read=lambda _: read_peer(compared),
        writes=compared,
    )

    large = ["--benchmark_filter=/large/", "--benchmark_min_time=0.02"]
    yield benchmarks("large", "kernel benchmarks beyond the caches", 240, kernels_bench, *large)
    ladder_bench = args.build / "bench" / "ladders" / "ladder_bench"
    yield benchmarks("ladders", "ladders of kernels", 60, ladder_bench, "--benchmark_min_time=0.02")


# Running


def run_steps(wanted, seconds, logs):
    """Runs steps in turn within `seconds` altogether; every step has at least its share of them."""
    waiting = list(wanted)
    deadline = time.monotonic() + seconds
    results = []
    while waiting:
        step = waiting.pop(0)
        print(f"gpu-check: {step.title} ...", flush=True)
        reserved = sum(later.share for later in waiting if later.command)
        limit = max(deadline - time.monotonic() - reserved, min(step.share, seconds))
        result = run_step(step, limit, logs / f"{step.name}.txt")
        results.append(result)
        reason = f": {result.reason}" if result.reason else ""
        print(f"gpu-check: {result.outcome} after {result.seconds:.0f} s{reason}", flush=True)
    return results


def run_step(step, limit, log):
    """Runs a step for `limit` seconds at most; its output goes to `log`."""
    if step.command is None:
        return Result(step.name, step.title, "", "not run", step.missing)
    command = [str(part) for part in step.command]
    result = Result(step.name, step.title, " ".join(command), "failed")
    if step.writes:
        step.writes.unlink(missing_ok=True)
    start = time.monotonic()
    try:
        with open(log, "w") as stream:
            code = run_within(command, limit, stream)
        if code != 0:
            result.reason = f"exit code {code}"
    except subprocess.TimeoutExpired:
        result.outcome, result.reason = "timed out", f"ended after its {limit:.0f} s"
    except OSError as error:
        result.reason = f"cannot start {command[0]}: {error.strerror}"
    result.seconds = round(time.monotonic() - start, 1)

    output = log.read_text(errors="replace") if log.exists() else ""
    try:
        result.figures = step.read(output)
    except Unmet as unmet:
        result.reason = result.reason or str(unmet)
    if not result.reason:
        result.outcome = "passed"
    else:
        result.tail = output.splitlines()[-TAIL_LINES:]
    return result


def run_within(command, limit, stream):
    """The exit code; a command that takes too long is ended with all that it has started."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stream,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return child.wait(limit)
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise


def time_left(started):
    """Seconds for the steps: what the build has left, if that file tells when it began."""
    since = time.time() - started.stat().st_mtime if started and started.exists() else TOTAL_SECONDS
    return max(TOTAL_SECONDS - since, CHECK_SECONDS)


# Reading what commands print

# Properties that tests/engine/training/cross_backend_test.cpp records: losses relative to the
# CPU's, hit rates as they are.
DIFFERENCES = ("first_epoch_losses", "second_epoch_losses", "later_losses", "hit_rate")


def read_ctest(output):
    summary = re.search(r"(\d+) tests? failed out of (\d+)", output)
    if not summary:
        raise Unmet("ctest printed no summary")
    failed, total = map(int, summary.groups())
    skipped = len(re.findall(r"\*\*\*Skipped", output))
    return {"tests": total, "failed": failed, "skipped": skipped}


def read_errors(output):
    """Counts of memcheck, initcheck and synccheck."""
    return {**passed_tests(output), **summary(output, r"ERROR SUMMARY: (?P<errors>\d+) error")}


def read_racecheck(output):
    pattern = r"RACECHECK SUMMARY: (?P<hazards>\d+) hazards? displayed"
    return {**passed_tests(output), **summary(output, pattern)}


def summary(output, pattern):
    """The sanitizer's count, which must be there and zero."""
    found = re.search(pattern, output)
    if not found:
        raise Unmet("compute-sanitizer printed no summary")
    counts = {name: int(count) for name, count in found.groupdict().items()}
    if any(counts.values()):
        raise Unmet(found.group())
    return counts


def passed_tests(output):
    """GoogleTest's count of passed tests, which must not be zero."""
    found = re.search(r"\[  PASSED  \] (\d+) test", output)
    if not found or found.group(1) == "0":
        raise Unmet("no test passed")
    return {"tests": int(found.group(1))}


def read_agreement(output, path):
    """Number of tests, and each training's largest differences from the CPU's."""
    figures = passed_tests(output)
    for suite in read_json(path).get("testsuites", []):
        for test in suite["testsuite"]:
            if test["result"] != "COMPLETED":
                raise Unmet(f"{suite['name']}.{test['name']} was {test['result'].lower()}")
            differences = {column: float(test[column]) for column in DIFFERENCES if column in test}
            if differences:
                figures[test["name"].rpartition("/")[2]] = differences
    if len(figures) == 1:
        raise Unmet("no training was compared")
    return figures


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Unmet(f"no figures: {error}") from None


def read_benchmarks(path):
    """Microseconds and percent of the roof (a copy, or a library's product) by benchmark, the
    bandwidth of a copy, and the benchmarks that were skipped for want of memory."""
    report = read_json(path)
    context = report.get("context", {})
    figures = {key: context[key] for key in ("copy_GB/s", "skipped") if context.get(key)}
    rows = {}
    for run in report.get("benchmarks", []):
        name = run["name"].removesuffix("/real_time")
        if run.get("error_occurred"):
            raise Unmet(f"{name}: {run.get('error_message')}")
        rows[name] = {"us": round(run["real_time"], 3)}
        for counter, unit in (
            ("%copy", "percent_of_copy"),
            ("%gemm", "percent_of_gemm"),
            ("GB/s", "gb_per_s"),
            ("GFLOP/s", "gflop_per_s"),
        ):
            if counter in run:
                rows[name][unit] = round(run[counter], 1)
    if not rows:
        raise Unmet("no benchmark ran")
    return {**figures, **rows}


def read_peer(path):
    """Seconds per epoch of derrd, and how many times as long each setting of the peer takes."""
    figures = {}
    for row in read_json(path).get("rows", []):
        ours = row[f"derrd_{row['part']}_s"]["min"]
        ratios = {f"times_{setting}": round(r, 2) for setting, r in row["ratio"].items()}
        figures[row["title"]] = {"derrd_s": round(ours, 5), **ratios}
    if not figures:
        raise Unmet("no row was measured")
    return figures


# Finding tools


def find_sanitizer(toolkit_bin):
    """Path of compute-sanitizer: on PATH, in the toolkit's bin, or in a folder beside that."""
    found = shutil.which("compute-sanitizer")
    if found or not toolkit_bin:
        return found
    folders = [toolkit_bin, toolkit_bin.parent / "compute-sanitizer"]
    return shutil.which("compute-sanitizer", path=os.pathsep.join(map(str, folders)))


def find_peer_python(named):
    """The first Python that can run the peer on the GPU."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    candidates = [named, os.environ.get("DERRD_PEER_PYTHON")]
    candidates += [shutil.which("python3", path=folder) for folder in folders if folder]
    test = "import numpy, safetensors.torch, torch; raise SystemExit(not torch.cuda.is_available())"
    for python in dict.fromkeys(filter(None, candidates)):
        try:
            done = subprocess.run([python, "-c", test], capture_output=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return python
    return None


def output_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


# The report


def facts():
    query = ["--format=csv,noheader"]
    changes = output_of("git", "-C", str(ROOT), "status", "--porcelain")
    commit = output_of("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "device": output_of("nvidia-smi", "--query-gpu=name,memory.total", *query),
        "driver": output_of("nvidia-smi", "--query-gpu=driver_version", *query),
        "commit": commit + (" with changes" if changes not in ("", "unknown") else ""),
    }


def describe(report):
    """Markdown: facts, a row for each step, the figures, and the end of what failed steps said."""
    title = "passed" if report["passed"] else "NOT PASSED"
    if report["left_out"] and all(step["outcome"] == "passed" for step in report["steps"]):
        title = "PARTIAL, these steps passed"
    lines = [
        f"# GPU check: {title}",
        "",
        f"{report['date']}, {report['device']}, driver {report['driver']}, "
        f"commit {report['commit']}, {report['seconds']:.0f} s",
        "",
    ]
    if report["left_out"]:
        left_out = ", ".join(report["left_out"])
        lines += [f"**This is a part of the check. Left out: {left_out}.**", ""]
    lines += ["| step | result | s | |", "|---|---|---|---|"]
    for step in report["steps"]:
        outcome = step["outcome"] if step["outcome"] == "passed" else f"**{step['outcome']}**"
        counts = {name: n for name, n in step["figures"].items() if not isinstance(n, dict)}
        remark = step["reason"] or ", ".join(f"{count} {name}" for name, count in counts.items())
        lines.append(f"| {step['title']} | {outcome} | {step['seconds']:.0f} | {remark} |")

    for step in report["steps"]:
        rows = {name: row for name, row in step["figures"].items() if isinstance(row, dict)}
        if rows:
            title = step["title"][0].upper() + step["title"][1:]
            lines += ["", f"## {title}", "", *figures_table(rows)]
    lines += ["", "## Commands", ""]
    lines += [f"- {step['title']}: `{step['command']}`" for step in report["steps"]]
    for step in report["steps"]:
        if step["tail"]:
            lines += ["", f"## End of the output: {step['title']}", "", "```", *step["tail"], "```"]
    return "\n".join(lines) + "\n"


def figures_table(figures):
    """A row for each name; columns in the order in which they first appear."""
    columns = list(dict.fromkeys(column for row in figures.values() for column in row))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in figures.items():
        lines.append(f"| {name} | " + " | ".join(str(row.get(c, "")) for c in columns) + " |")
    return lines


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, required=True, help="folder of the CUDA build")
    parser.add_argument("--toolkit-bin", type=Path, help="the CUDA toolkit's folder of programs")
    parser.add_argument("--python", help="Python of the peer")
    parser.add_argument(
        "--started", type=Path, help="a file whose date is when the build began, to stay in time"
    )
    parser.add_argument(
        "--steps",
        help=f"run only these, of {', '.join(NAMES + EXTRA)}; names separated by commas",
    )
    args = parser.parse_args()
    args.steps = chosen(args.steps, parser)
    if not args.build.is_dir():
        parser.error(f"--build {args.build} is no folder")
    args.build = args.build.resolve()
    return args


def chosen(names, parser):
    """The names of the steps to run: all, or those given with what they need."""
    if names is None:
        return set(NAMES)
    given = set(names.split(","))
    if unknown := sorted(given - set(NAMES + EXTRA)):
        parser.error(f"--steps {','.join(unknown)}: there are {', '.join(NAMES + EXTRA)}")
    return given.union(*(NEEDS.get(name, ()) for name in given))


if __name__ == "__main__":
    main()
