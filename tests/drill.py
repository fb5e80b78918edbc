#!/usr/bin/env python3
"""Drills derrd: kills its runs at random moments and damages its files, and compares the results.

A drill is one kind of accident. Each try of it is random, but for the moment of a kill a function
of its seed. There are two groups:

  kills      train, distill, reproduce and search are killed, stopped, told to end, run out of disk
             or of standard error, or lose their folder. All ends with the same command once more,
             and its models, logs and tables must equal those of an uninterrupted run to the bit.
  mutations  bits are flipped, bytes lost, blocks exchanged, in files of every kind, or something
             else stands in a file's place. The file must be refused, or the result be that of the
             whole file. Files that have no hash may give another result, but no crash, no hang, and
             nothing raw on a terminal.

A finding is whatever breaks these rules, and a run that takes longer than a minute. It is printed
with its drill and seed, and its files are kept, with commands.sh to see it once more. The exit code
is 0 if there is no finding and every drill was tried, else 1.

    python3 tests/drill.py build/cpu/apps/derrd --minutes 60
    python3 tests/drill.py build/cpu/apps/derrd --minutes 5 --only mutations
    python3 tests/drill.py build/cpu/apps/derrd --only 'kill: de' 'full disk'
    python3 tests/drill.py build/cpu/apps/derrd --repeat 'damage: model bpr:2891336453'
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

from drill import materials, runner  # noqa: E402  (the folder beside this file)
from drill.program import Finding, Lab, runs_within_limit  # noqa: E402

LIMIT = 60  # seconds of a run, on a machine where the measured one takes a second or less


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="drills: " + ", ".join(runner.DRILLS))
    parser.add_argument("derrd", help="the program to drill", type=Path)
    parser.add_argument("--minutes", type=float, default=2,
                        help="time to drill; every drill is tried once in any case [2]")
    parser.add_argument("--seed", type=int, help="seed of all tries [a new one, which is printed]")
    parser.add_argument("--jobs", type=int, default=runner.cores(),
                        help="drills at a time [one per core]")
    parser.add_argument("--keep", type=Path, metavar="DIR",
                        help="new folder for all files, which stays [a temporary one, of which "
                        "only findings stay]")
    parser.add_argument("--only", nargs="+", metavar="NAME",
                        help="kills, mutations, or the beginning of drills' names")
    parser.add_argument("--repeat", metavar="NAME:SEED", help="this one try again, alone")
    parser.add_argument("--first", action="store_true", help="stop at the first finding")
    parser.add_argument("--limit", type=float, default=LIMIT,
                        help=f"seconds after which a run hangs; more on a slow machine [{LIMIT}]")
    return parser.parse_args()


def main():
    args = parse_arguments()
    if not os.access(args.derrd, os.X_OK):
        sys.exit(f"drill.py: {args.derrd} is not a program; build it first")
    if args.jobs < 1:
        sys.exit("drill.py: --jobs must be at least 1")
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    try:
        names, tasks = what_to_try(args)
    except ValueError as e:
        sys.exit(f"drill.py: {e}")
    if args.keep and args.keep.exists() and any(args.keep.iterdir()):
        sys.exit(f"drill.py: --keep: {args.keep} is not empty")
    folder = args.keep or Path(tempfile.mkdtemp(prefix="derrd-drill-"))
    folder = folder.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found = True
    try:
        found = drill(args, names, tasks, seed, folder)
    except KeyboardInterrupt:
        print("\ninterrupted before the first try")
    finally:
        tidy(folder, found, args.keep)
    sys.exit(1 if found else 0)


def what_to_try(args):
    """The names of the drills, and with --repeat the only try. Raises ValueError."""
    if not args.repeat:
        return runner.chosen(args.only), None
    name, _, seed = args.repeat.rpartition(":")
    if name not in runner.DRILLS or not seed.isdigit():
        raise ValueError("--repeat takes a drill's name and a seed, as a finding shows them")
    return [name], iter([(name, int(seed))])


def drill(args, names, tasks, seed, folder):
    """Sets up, drills and prints. Tells whether anything was found."""
    derrd = str(args.derrd.resolve())
    shared = {"namespaces": runner.has_namespaces(), "limited": runs_within_limit(derrd)}
    lab = Lab(derrd, folder / "base", folder / "base", args.limit, shared)
    try:
        materials.make(lab)
    except Finding as e:
        print(f"drill.py: the set-up failed: {e}")
        return True
    finally:
        lab.end_all()
    limit = args.limit * max(1.0, shared["seconds"])
    jobs = 1 if tasks else args.jobs
    labs = [Lab(derrd, folder / "base", folder / f"try{n}", limit, shared) for n in range(jobs)]
    run = runner.Runner(names, labs, folder / "findings", seed, args)
    try:
        print(f"{len(names)} drills of {args.derrd}, seed {seed}, {jobs} at a time; "
              f"a run hangs after {limit:.0f} s", flush=True)
        run.run(tasks)
    except KeyboardInterrupt:
        print("\ninterrupted")
    print(f"\n{runner.table(run.counts)}\n\n{runner.clock(run.passed_seconds())} minutes")
    found = sum(c.findings for c in run.counts.values())
    if found:
        print(f"{found} findings: {folder / 'findings'}; --repeat NAME:SEED tries one again")
    return not run.passed()


def tidy(folder, found, keep):
    """Removes what nobody needs any more: without findings all, else what the tries left."""
    if keep:
        return
    if not found or not (folder / "findings").is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.glob("try*"):
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
