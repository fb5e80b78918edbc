"""Trainings that the drills kill, and what their uninterrupted runs make."""

import dataclasses
import os
import time

from .file_drills import records
from .materials import metadata_of
from .program import Finding

FILES = "-o model --log log --checkpoint checkpoint"
TRAIN = "train --data @data --threads 1 --batch 128 --patience 100000"
STUDENT = TRAIN.replace("train", "distill") + " --dim 3 --k 5 --l 5 --list 30 --experts 3"
CASES = {
    "bpr": f"{TRAIN} --dim 8",
    "neumf": f"{TRAIN} --dim 8 --model neumf --layers 2",
    "rrd+ir": f"{STUDENT} --teacher @bpr --method rrd+ir --ir-k 3 --ir-l 3 --ir-list 20",
    "de": f"{STUDENT} --teacher @bpr --method de",
    "de-rrd": f"{STUDENT} --teacher @neumf --method de-rrd --layers 1",
    "rd+cd": f"{STUDENT} --teacher @bpr --method rd+cd --rd-warmup 5 --cd-list 40 --cd-items 9",
}
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
