"""Tries drills in several processes, and reports."""

import collections
import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from . import file_drills, folder_drills, kill_drills
from .program import OTHER, REFUSED, SAME, Finding, prepare_worker

KILLS = {**kill_drills.DRILLS, **folder_drills.KILLS}
MUTATIONS = {**file_drills.DRILLS, **folder_drills.DAMAGE}
DRILLS = {**KILLS, **MUTATIONS}
KEPT = 5  # findings of a drill whose files stay
SHOWN = 3  # findings of a drill that are printed at once


@dataclasses.dataclass
class Count:
    """What the tries of a drill came to."""

    tries: int = 0
    ends: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    findings: int = 0
    seconds: float = 0.0
    impossible: str = ""  # why it can't be tried here


def chosen(only):
    """The drills that --only names: a group, or the beginning of names."""
    groups = {"kills": KILLS, "mutations": MUTATIONS}
    names = []
    for word in only or groups:
        found = groups.get(word) or [name for name in DRILLS if name.startswith(word)]
        if not found:
            raise ValueError(f"there is no drill {word}; there are {', '.join(DRILLS)}")
        names += [name for name in found if name not in names]
    return names


def try_once(lab, name, seed):
    """Tries a drill. Returns how it ended, and what was found, if so, with the steps there."""
    lab.begin()
    try:
        return DRILLS[name](lab, random.Random(seed)), "", []
    except Finding as e:
        what = str(e)
        damage = [step[2:] for step in lab.steps if step.startswith("# ")]
        return "finding", "; ".join([what, *(d for d in damage if d not in what)]), lab.steps
    except Exception:  # the drill itself
        return "finding", "the drill failed:\n" + traceback.format_exc(), lab.steps
    finally:
        lab.end_all()


def keep_finding(lab, folder, name, seed, what, steps):
    """Keeps the files of a finding, and the steps as a script, in a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with contextlib.suppress(OSError, shutil.Error):
        shutil.copytree(lab.folder, folder / "after", symlinks=True, ignore=pipes)
    prepare = getattr(DRILLS[name], "prepare", None)
    if prepare:  # the files before the commands
        rng, try_folder = random.Random(seed), lab.folder
        lab.begin(folder / "before")
        with contextlib.suppress(OSError, Finding):
            prepare(lab, rng)
        lab.folder = try_folder
    (folder / "what.txt").write_text(what + "\n")
    lines = ["#!/bin/sh", f"# {name}, seed {seed}: " + what.splitlines()[0],
             "export OPENBLAS_NUM_THREADS=1 LC_ALL=C.UTF-8",
             'rm -rf "$0.d" && cp -a "$(dirname "$0")/before" "$0.d" && cd "$0.d"' if prepare
             else 'rm -rf "$0.d" && mkdir -p "$0.d/run" && cd "$0.d"', *steps]
    (folder / "commands.sh").write_text("\n".join(lines) + "\n")


def pipes(folder, names):
    """Names of named pipes, which can't be copied."""
    return [n for n in names if (Path(folder) / n).is_fifo()]


def work(connection, lab):
    """A worker: tries what the connection says, until it says nothing more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    prepare_worker(lab.shared["limited"])
    try:
        while task := connection.recv():
            name, seed, folder = task
            start = time.monotonic()
            end, what, steps = try_once(lab, name, seed)
            seconds = time.monotonic() - start
            if folder and what:
                keep_finding(lab, folder, name, seed, what, steps)
            connection.send((name, seed, end, what, seconds))
    except (EOFError, BrokenPipeError):
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        lab.end_all()


class Runner:
    """The order of tries, the processes that try, the counts."""

    def __init__(self, names, labs, findings, seed, args):
        self.names, self.findings, self.seed = names, findings, seed
        self.seconds, self.first = 60 * args.minutes, args.first
        self.counts = {name: Count() for name in names}
        self.order = random.Random(f"order {seed}")
        self.begun = collections.Counter()
        self.first_round = list(names)
        self.order.shuffle(self.first_round)
        self.spent = collections.Counter()  # seconds by group
        self.current = {}
        self.terminal = sys.stderr.isatty()
        self.start = self.shown = time.monotonic()
        fork = multiprocessing.get_context("fork")
        self.workers = []
        for lab in labs:
            ours, theirs = fork.Pipe()
            worker = fork.Process(target=work, args=(theirs, lab), daemon=True)
            worker.start()
            theirs.close()
            self.workers.append((worker, ours))

    def next(self):
        """The next try, or None: each drill once, then by chance, both groups equally long."""
        if self.first and any(count.findings for count in self.counts.values()):
            return None
        if self.first_round:
            name = self.first_round.pop()
        elif self.passed_seconds() >= self.seconds:
            return None
        else:
            possible = [n for n in self.names if not self.counts[n].impossible]
            groups = [[n for n in possible if n in g] for g in (KILLS, MUTATIONS)]
            groups = [g for g in groups if g]
            if not groups:
                return None
            group = min(groups, key=lambda g: self.spent[g[0] in KILLS])
            name = self.order.choice(group)
        self.begun[name] += 1
        seed = random.Random(f"{self.seed} {name} {self.begun[name]}").getrandbits(32)
        return name, seed

    def give(self, connection, task):
        """Gives a worker its next try; without one it ends."""
        self.current.pop(connection, None)
        if task is None:
            connection.send(None)
            return False
        name, seed = task
        folder = None
        if self.counts[name].findings < KEPT:
            folder = self.findings / re.sub(r"\W+", "-", f"{name}-{seed}")
        self.current[connection] = f"{name}:{seed}"
        connection.send((name, seed, folder))
        return True

    def run(self, tasks=None):
        """Tries until the time is over, or only what `tasks` yields."""
        take = self.next if tasks is None else lambda: next(tasks, None)
        try:
            busy = [c for _, c in self.workers if self.give(c, take())]
            while busy:
                for connection in multiprocessing.connection.wait(busy, timeout=1):
                    try:
                        self.count(*connection.recv())
                    except EOFError:
                        self.line(f"drill.py: a worker was killed in {self.current[connection]}")
                        self.counts[self.current[connection].rsplit(":", 1)[0]].findings += 1
                        busy.remove(connection)
                        continue
                    if not self.give(connection, take()):
                        busy.remove(connection)
                self.progress(busy)
        finally:
            self.end()

    def end(self):
        """Ends the workers, and with them all that they run."""
        for worker, connection in self.workers:
            connection.close()
        for worker, _ in self.workers:
            worker.join(0.5)
            if worker.is_alive():
                worker.terminate()
                worker.join(10)
        if self.terminal:
            sys.stderr.write("\r\x1b[K")

    def count(self, name, seed, end, what, seconds):
        """Counts a try."""
        count = self.counts[name]
        self.spent[name in KILLS] += seconds
        if end not in (SAME, REFUSED, OTHER, "finding"):
            count.impossible = end
            return
        count.tries += 1
        count.seconds += seconds
        if end != "finding":
            count.ends[end] += 1
            return
        count.findings += 1
        self.findings.mkdir(exist_ok=True)
        with (self.findings / "all.tsv").open("a") as file:
            first = " ".join(what.split())
            file.write(f"{self.passed_seconds():.1f}\t{name}:{seed}\t{first}\n")
        if count.findings <= SHOWN:
            self.line(f"FINDING {shlex.quote(f'{name}:{seed}')}: {what}")

    def line(self, text):
        if self.terminal:
            sys.stderr.write("\r\x1b[K")
        print(text, flush=True)

    def progress(self, busy):
        """A line of progress: on a terminal in place, else every ten seconds."""
        now = time.monotonic()
        if now - self.shown < (0.5 if self.terminal else 10):
            return
        self.shown = now
        passed = self.passed_seconds()
        left = max(0.0, self.seconds - passed)
        tries = sum(c.tries for c in self.counts.values())
        findings = sum(c.findings for c in self.counts.values())
        waiting = f", {len(self.first_round)} drills not begun" if self.first_round else ""
        current = ", ".join(self.current[c] for c in busy if c in self.current)
        text = (f"{clock(passed)}, {clock(left)} left: {tries} tries, {findings} findings"
                f"{waiting}; now {current}")
        if self.terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r\x1b[K" + text[:width])
            sys.stderr.flush()
        else:
            print(text, flush=True)

    def passed_seconds(self):
        return time.monotonic() - self.start

    def passed(self):
        """Tells whether there is no finding, and every drill that is possible was tried."""
        return all((c.tries or c.impossible) and not c.findings for c in self.counts.values())


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def table(counts):
    """The counts as a table in Markdown."""
    rows = [("drill", "tries", "refused", "same result", "another result allowed", "findings",
             "seconds a try")]
    total = Count()
    for name, c in counts.items():
        total.tries += c.tries
        total.ends += c.ends
        total.findings += c.findings
        rows.append(row(name, c))
    rows.append(row("all", total))
    widths = [max(len(cells[n]) for cells in rows) for n in range(len(rows[0]))]
    lines = []
    for cells in rows:
        first, *rest = (cell.ljust(w) if n == 0 else cell.rjust(w)
                        for n, (cell, w) in enumerate(zip(cells, widths)))
        lines.append("| " + " | ".join([first, *rest]) + " |")
    rule = ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    for name, c in counts.items():
        if c.impossible:
            lines.append(f"\n{name}: {c.impossible}")
        elif not c.tries:
            lines.append(f"\n{name}: NOT TRIED")
    return "\n".join(lines)


def row(name, c):
    ends = [str(c.ends[end]) for end in (REFUSED, SAME, OTHER)]
    seconds = f"{c.seconds / c.tries:.2f}" if c.tries and c.seconds else ""
    return (name, str(c.tries), *ends, str(c.findings), seconds)


def cores():
    return len(os.sched_getaffinity(0))


def has_namespaces():
    """Tells whether this user may give a program processes of its own."""
    try:
        return subprocess.run(["unshare", "--fork", "--pid", "true"],
                              stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False
