"""Drills with killed trainings: each ends in the model and the log of an uninterrupted run."""

import contextlib
import dataclasses
import json
import os
import pty
import random
import resource
import shutil
import signal
import threading
import time
from pathlib import Path

from .file_drills import records
from .materials import REPRODUCE, SHORT, metadata_of
from .program import REFUSED, SAME, Finding, SmallDisk

FILES = "-o model --log log --checkpoint checkpoint"
TRAIN = "train --data @data --threads 1 --batch 128 --patience 100000"
STUDENT = TRAIN.replace("train", "distill") + " --dim 3 --k 5 --l 5 --list 30 --experts 3"
CASES = {  # with the kind of teacher, whose choice --auto-lambda's weights need
    "bpr": f"{TRAIN} --dim 8",
    "neumf": f"{TRAIN} --dim 8 --model neumf --layers 2",
    "rrd+ir": f"{STUDENT} --teacher @bpr --method rrd+ir --ir-k 3 --ir-l 3 --ir-list 20",
    "de": f"{STUDENT} --teacher @bpr --method de",
    "de-rrd": f"{STUDENT} --teacher @neumf --method de-rrd --layers 1",
    "rd+cd": f"{STUDENT} --teacher @bpr --method rd+cd --rd-warmup 5 --cd-list 40 --cd-items 9",
}
SOFT = ["TERM", "INT", "HUP", "USR1", "XCPU"]  # signals that end a training after its epoch
SECONDS = 0.25  # of an uninterrupted run, about


@dataclasses.dataclass
class Training:
    """A training with the result of its uninterrupted run."""

    command: str
    seconds: float
    model: bytes
    log: list
    files: set


def training(lab, rng, case=None, seed=None):
    """A case with random variations, trained without interruption once."""
    case = case or rng.choice(list(CASES))
    command = CASES[case]
    if rng.random() < 0.25:
        command += " --preset paper"
    if command.startswith("distill") and case != "rd+cd" and rng.random() < 0.25:
        command += " --auto-lambda"
    command += f" --seed {rng.randrange(2) if seed is None else seed}"
    if command not in lab.cache:
        lab.cache[command] = reference(lab, command)
    return lab.cache[command]


def reference(lab, command):
    """The uninterrupted run; the number of its epochs makes it last about SECONDS."""
    kind = command.split(" --preset")[0].split(" --auto-lambda")[0].split(" --seed")[0]
    if ("epochs", kind) not in lab.cache:
        with lab.aside():
            _, seconds = timed(lab, command, 20)
            lab.cache["epochs", kind] = min(600, max(60, int(20 * SECONDS / seconds)))
    with lab.aside() as folder:
        whole, seconds = timed(lab, command, lab.cache["epochs", kind])
        return Training(whole, seconds, (folder / "model").read_bytes(), records(folder / "log"),
                        set(os.listdir(folder)))


def timed(lab, command, epochs):
    """The command with that many epochs, and how long it takes."""
    whole = f"{command} --epochs {epochs}"
    start = time.monotonic()
    lab.run(f"{whole} {FILES} --checkpoint-every 0").expect(0)
    return whole, time.monotonic() - start


def start(lab, rng, run, folder, options="", **how):
    """Starts the training, or goes on with it, with checkpoints of every epoch or few."""
    every = rng.choice([0, 0, 0.02, 30])
    return lab.start(f"{run.command} {FILES} --resume --checkpoint-every {every} {options}",
                     folder=folder, **how)


def pause(lab, rng, seconds):
    """Waits for a random moment of a run."""
    moment = rng.random() * seconds * 1.05
    lab.note(f"sleep {moment:.3f}")
    time.sleep(moment)


def check_whole(lab, run, folder):
    """Raises Finding if a file of the killed run is torn."""
    for name in ("model", "checkpoint"):
        path = folder / name
        if path.exists():
            try:
                metadata_of(path)
            except ValueError as e:
                raise Finding(f"{name} is torn after the kill: {e}") from None
    if (folder / "model").exists():
        lab.run("recommend --data @data --threads 1 --top 1 --users 1 --model model",
                folder=folder).expect(0)


def finish(lab, run, folder):
    """Goes on to the end. Raises Finding unless all is as in the uninterrupted run."""
    lab.run(f"{run.command} {FILES} --resume", folder=folder).expect(0)
    compare(run, folder)
    left = set(os.listdir(folder)) - run.files
    if left:
        raise Finding(f"dead runs left files behind: {sorted(left)}")


def compare(run, folder):
    """Raises Finding unless model and log are the uninterrupted run's."""
    if not (folder / "model").exists():
        raise Finding("exit code 0 without a model")
    if (folder / "model").read_bytes() != run.model:
        raise Finding("another model than the uninterrupted run's")
    compare_log(run, folder / "log")


def compare_log(run, path):
    log = records(path)
    if log != run.log:
        wrong = next((n for n, (a, b) in enumerate(zip(log, run.log)) if a != b),
                     min(len(log), len(run.log)))
        raise Finding(f"another {path.name} than the uninterrupted run's from line {wrong + 1} "
                      f"on, {len(log)} lines instead of {len(run.log)}")


def new_folder(lab, name="run"):
    folder = lab.folder / name
    folder.mkdir()
    return folder


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

    ignored = rng.random() < 0.5  # by a parent such as Python
    ended = start(lab, rng, run, folder, before=limit, restore_signals=not ignored,
                  note=f"# with ulimit -f of {size} bytes, SIGXFSZ {'ignored' * ignored}").wait()
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
    disk = SmallDisk(folder)
    size = 4096 * rng.randint(2, 32)
    disk.mount(size)
    try:
        ended = start(lab, rng, run, folder,
                      note=f"# on mount -t tmpfs -o size={size} none run").wait().expect(0, 1)
        check_whole(lab, run, folder)
        if ended.code == 0:
            compare(run, folder)
        lab.note("mount -o remount,size=16M run")
        disk.resize(1 << 24)
        finish(lab, run, folder)
    except Finding:
        shutil.copytree(folder, lab.folder / "run.disk", dirs_exist_ok=True)
        raise
    finally:
        disk.unmount()
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
    what = rng.choice(["train", "train", "train", "reproduce", "error"])
    run, folder = training(lab, rng), new_folder(lab)
    how, things = broken_streams(rng, kind, 0.2 if what == "reproduce" else run.seconds)
    how["note"] = f"# standard error: {kind}"
    try:
        if what == "train" and rng.random() < 0.5:
            process = start(lab, rng, run, folder, rng.choice(["", "--quiet"]), **how)
        elif what == "train":  # whose first file may get the number of standard error
            process = lab.start(f"{run.command} -o model --log log", folder=folder, **how)
        elif what == "reproduce":
            process = lab.start(REPRODUCE + SHORT, folder=folder, **how)
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
    elif what == "reproduce" and not (folder / "report/index.html").exists():
        raise Finding(f"standard error {kind}: no report")
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
        elif shared == "checkpoint" and Path(folder / f"log{n}").exists():
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
