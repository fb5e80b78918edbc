"""Drills with killed trainings: each ends in the model and the log of an uninterrupted run."""

import contextlib
import json
import os
import pty
import random
import resource
import signal
import threading
import time

from .file_drills import records
from .materials import REPRODUCE, SEARCH, SHORT, metadata_of
from .program import REFUSED, SAME, Finding, SmallDisk
from .trainings import (
    CASES,
    FILES,
    check_whole,
    compare,
    compare_log,
    finish,
    new_folder,
    pause,
    start,
    training,
)

EXPERIMENTS = {"reproduce": (REPRODUCE + SHORT, "report/index.html"),
               "search": (SEARCH + SHORT, "points")}
SOFT = ["TERM", "INT", "HUP", "USR1", "XCPU"]  # signals that end a training after its epoch


def killed(case):
    """The drill of a case: kills at random moments."""

    def drill(lab, rng):
        run, folder = training(lab, rng, case), new_folder(lab)
        for _ in range(rng.randint(1, 4)):
            process = start(lab, rng, run, folder, note="& p=$!")
            pause(lab, rng, run.seconds)
            lab.note("kill -KILL $p; wait")
            process.send(signal.SIGKILL)
            process.wait().expect(0, -signal.SIGKILL)
            check_whole(lab, run, folder)
        finish(lab, run, folder)
        return SAME

    return drill


def log_lines(folder):
    with contextlib.suppress(OSError):
        return (folder / "log").read_bytes().count(b"\n")
    return 0


def signals(lab, rng):
    """Signals that ask a training to stop: it saves its state after the epoch."""
    run, folder = training(lab, rng), new_folder(lab)
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(SOFT)
        number = getattr(signal, "SIG" + name)
        before = log_lines(folder)
        process = start(lab, rng, run, folder, note="& p=$!")
        pause(lab, rng, run.seconds)
        in_epochs = log_lines(folder) > before  # so that it listens to signals by now
        lab.note(f"kill -{name} $p; wait")
        sent = process.send(number)
        ended = process.wait()
        check_whole(lab, run, folder)
        finished = (folder / "model").exists() and (folder / "model").read_bytes() == run.model
        if not (sent and in_epochs):
            ended.expect(0, -number, 128 + number)
        elif ended.code == -number and not finished:
            raise Finding(f"SIG{name} ended the training at once, without a checkpoint")
        else:
            ended.expect(0, 128 + number, *([-number] if finished else []))
            check_saved(folder)
    finish(lab, run, folder)
    return SAME


def check_saved(folder):
    """Raises Finding unless the checkpoint has all epochs of the log."""
    logged = log_lines(folder)
    epochs = json.loads(metadata_of(folder / "checkpoint")["state"])["next_epoch"]
    if epochs != logged:
        raise Finding(f"the checkpoint has {epochs} epochs, the log {logged}")


def ignored_hangup(lab, rng):
    """Under nohup a closed terminal does not stop a training."""
    run, folder = training(lab, rng), new_folder(lab)
    process = start(lab, rng, run, folder, note="& p=$!  # with SIGHUP ignored",
                    before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    for _ in range(2):
        pause(lab, rng, run.seconds / 2)
        lab.note("kill -HUP $p")
        process.send(signal.SIGHUP)
    process.wait().expect(0)
    compare(run, folder)
    return SAME


def stopped(lab, rng):
    """SIGSTOP for a moment; then it goes on, or is killed."""
    run, folder = training(lab, rng), new_folder(lab)
    process = start(lab, rng, run, folder, note="& p=$!")
    pause(lab, rng, run.seconds)
    process.send(signal.SIGSTOP)
    time.sleep(rng.random() * 0.1)
    number = rng.choice([signal.SIGCONT, signal.SIGKILL])
    lab.note(f"kill -STOP $p; sleep .1; kill -{number.name[3:]} $p; wait")
    process.send(number)
    process.wait().expect(0, -signal.SIGKILL)
    check_whole(lab, run, folder)
    finish(lab, run, folder)
    return SAME


def file_limit(lab, rng):
    """A limit on the size of files, which ends in an error like that of a full disk."""
    run, folder = training(lab, rng), new_folder(lab)
    size = rng.choice([0, rng.randrange(1 << 12), rng.randrange(1 << 14), rng.randrange(1 << 16)])

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    ignored = rng.random() < 0.5  # SIGXFSZ, by a parent such as Python
    note = f"# no file above {size} bytes" + (", SIGXFSZ ignored" if ignored else "")
    ended = start(lab, rng, run, folder, before=limit, restore_signals=not ignored,
                  note=note).wait()
    ended.expect(0, 1)
    check_whole(lab, run, folder)
    if ended.code == 0:
        compare(run, folder)
    finish(lab, run, folder)
    return REFUSED if ended.code else SAME


def full_disk(lab, rng):
    """A disk that is full, and then is not."""
    if why := SmallDisk.enter():
        return f"not possible here: {why}"
    run, folder = training(lab, rng), new_folder(lab)
    with SmallDisk(folder, 4096 * rng.randint(2, 32)) as disk:
        lab.note(f"mount -t tmpfs -o size={disk.size} none run")
        ended = start(lab, rng, run, folder).wait().expect(0, 1)
        check_whole(lab, run, folder)
        if ended.code == 0:
            compare(run, folder)
        lab.note("mount -o remount,size=16M run")
        disk.resize(1 << 24)
        finish(lab, run, folder)
    return REFUSED if ended.code else SAME


def close_later(descriptor, seconds):
    """Closes a descriptor after a while, while this process waits for something else."""
    timer = threading.Timer(seconds, os.close, [descriptor])
    timer.start()
    return timer


def broken_streams(rng, kind, seconds):
    """What lab.start() needs for a standard error that can't be written, and what to end then."""
    if kind == "closed":
        return {"before": lambda: os.close(2)}, []
    if kind == "full":
        full = os.open("/dev/full", os.O_WRONLY)
        return {"stderr": full}, [full]
    if kind == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
        return {"stderr": writer, "restore_signals": False}, [writer]  # SIGPIPE stays ignored
    master, slave = pty.openpty()
    timer = close_later(master, rng.random() * seconds)
    return {"stdin": slave, "stdout": slave, "stderr": slave,
            "before": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}, [slave, timer]


def let_go(things):
    for thing in things:
        if isinstance(thing, int):
            os.close(thing)
        else:
            thing.join()


def broken_stderr(lab, rng):
    """A standard error that is closed, full, a broken pipe, or a terminal that went away."""
    kind = rng.choice(["closed", "full", "pipe", "terminal"])
    what = rng.choice(["train", "train", "train", "reproduce", "search", "error"])
    run, folder = training(lab, rng), new_folder(lab)
    how, things = broken_streams(rng, kind, run.seconds)
    how["note"] = f"# standard error: {kind}"
    try:
        if what == "train" and rng.random() < 0.5:
            process = start(lab, rng, run, folder, rng.choice(["", "--quiet"]), **how)
        elif what == "train":  # whose first file may get the number of standard error
            process = lab.start(f"{run.command} -o model --log log", folder=folder, **how)
        elif what in EXPERIMENTS:
            process = lab.start(EXPERIMENTS[what][0], folder=folder, **how)
        else:
            process = lab.start("evaluate --data none --model none", folder=folder, **how)
        ended = process.wait()
    finally:
        let_go(things)
    # Without standard output, where the terminal was, a command ends with 1, its work done.
    expected = [1] if what == "error" else [0, 1] if kind == "terminal" else [0]
    if ended.code not in expected:
        raise Finding(f"standard error {kind}: {what} ended with {ended.code}, not {expected}")
    if what == "train":
        compare(run, folder)
    elif what in EXPERIMENTS and not (folder / EXPERIMENTS[what][1]).exists():
        raise Finding(f"standard error {kind}: {what} made nothing")
    return SAME


def vanish(lab, rng):
    """The folder of the outputs is removed or renamed in the run."""
    run, folder = training(lab, rng), new_folder(lab)
    inside = rng.random() < 0.5  # by relative names from the folder itself, or from above
    if inside:
        process = start(lab, rng, run, folder, note="& p=$!")
    else:
        files = " ".join("run/" + w if w in ("model", "log", "checkpoint") else w
                         for w in FILES.split())
        process = lab.start(f"{run.command} {files} --checkpoint-every 0", note="& p=$!")
    pause(lab, rng, run.seconds)
    how = rng.choice(["removed", "renamed", "renamed and removed"])
    lab.note(f"# run/ is {how}; wait")
    moved, had_model = lab.folder / "moved", False
    if how != "removed":
        folder.rename(moved)
    if how != "renamed":
        had_model = remove(moved if moved.exists() else folder)
    ended = process.wait().expect(0, 1)
    if ended.code == 0:
        models = [f / "model" for f in (folder, moved) if (f / "model").exists()]
        if not models and not had_model:
            raise Finding(f"run/ was {how}: exit code 0 without a model")
        if any(m.read_bytes() != run.model for m in models):
            raise Finding(f"run/ was {how}: exit code 0 with another model")
    return REFUSED if ended.code else SAME


def remove(folder):
    """Removes a folder in which a run still writes. Tells whether it had a model."""
    had_model = False
    while True:
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
                os.unlink(folder / name)
                had_model |= name == "model"
        with contextlib.suppress(OSError):  # a new file is there
            folder.rmdir()
            return had_model


def in_own_namespace(lab, rng):
    """Words that make the run number 1 of its own processes, as in a container, or none."""
    if lab.shared["namespaces"] and rng.random() < 0.5:
        return ["unshare", "--fork", "--pid"]
    return []


def two_at_once(lab, rng):
    """Two runs at once with one checkpoint, one log, or all the same files."""
    shared = rng.choice(["checkpoint", "log", "all"])
    case = rng.choice(list(CASES))
    variation = rng.randrange(1 << 30)
    seeds = (0, 0) if shared == "all" else (0, 1)
    runs = [training(lab, random.Random(variation), case, seed) for seed in seeds]
    folder, wrap = new_folder(lab), in_own_namespace(lab, rng)
    if shared == "all" and rng.random() < 0.5:  # both resume
        process = start(lab, rng, runs[0], folder, note="& p=$!")
        pause(lab, rng, runs[0].seconds)
        process.send(signal.SIGKILL)
        process.wait()
        lab.note("kill -KILL $p; wait")
    processes = []
    for n, run in enumerate(runs):
        own = {"checkpoint": f"-o model{n} --log log{n} --checkpoint checkpoint",
               "log": f"-o model{n} --log log", "all": FILES + " --resume"}[shared]
        every = "" if shared == "log" else " --checkpoint-every 0"
        processes.append(lab.start(f"{run.command} {own}{every}", folder=folder, wrap=wrap,
                                   note="&"))
        if n == 0 and rng.random() < 0.5:
            pause(lab, rng, run.seconds)
    lab.note("wait")
    ended = [process.wait().expect(0, 1) for process in processes]
    if all(e.code for e in ended):
        raise Finding(f"none of the two was allowed to run: {ended[0].message()}")
    check_both(shared, runs, ended, folder)
    if shared == "all":
        finish(lab, runs[0], folder)
    return REFUSED if any(e.code for e in ended) else SAME


def check_both(shared, runs, ended, folder):
    """Raises Finding unless each run is whole, or was refused before it began."""
    if shared == "all":
        compare(runs[0], folder)
        return
    for n, (run, end) in enumerate(zip(runs, ended)):
        if end.code == 0:
            if (folder / f"model{n}").read_bytes() != run.model:
                raise Finding("two at once: another model than by itself")
            if shared == "checkpoint":
                compare_log(run, folder / f"log{n}")
        elif shared == "checkpoint" and (folder / f"log{n}").exists():
            raise Finding(f"two at once: one failed after it had begun: {end.message()}")
    if shared == "log":
        log = records(folder / "log")
        if log not in [run.log for run, end in zip(runs, ended) if end.code == 0]:
            raise Finding("two at once: the log is neither run's")


DRILLS = {
    **{f"kill: {case}": killed(case) for case in CASES},
    "signals": signals,
    "hangup ignored": ignored_hangup,
    "stop": stopped,
    "file size limit": file_limit,
    "full disk": full_disk,
    "standard error": broken_stderr,
    "folder vanishes": vanish,
    "two at once": two_at_once,
}
