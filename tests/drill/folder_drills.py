"""Drills of reproduce and search: kills, and damage to their work folders."""

import os
import re
import shutil
import signal
import time

from .file_drills import records
from .materials import LONG, REPRODUCE, SEARCH, SHORT
from .mutations import damage_file
from .program import REFUSED, SAME, Finding, SmallDisk, send
from .trainings import new_folder

FAILED = re.compile(r"FAILED with exit code (\d+)")


def texts(folder):
    """The bytes of all files in a folder, by name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def trained(work):
    """The models and logs of a work folder, by name; times left out."""
    result = {}
    for path in sorted(work.glob("*/*")):
        if path.name == "model.safetensors":
            result[str(path.relative_to(work))] = path.read_bytes()
        elif path.name == "log.jsonl":
            result[str(path.relative_to(work))] = records(path)
    return result


def products(command, folder):
    """What is compared: reproduce's report, models and logs; search's table of points."""
    if command.startswith("search"):
        return (folder / "points").read_bytes()
    return texts(folder / "report"), trained(folder / "work")


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def whole(lab, command):
    """Seconds, products and file names of the uninterrupted run."""
    if command not in lab.cache:
        with lab.aside() as folder:
            start = time.monotonic()
            lab.run(command).expect(0)
            seconds = time.monotonic() - start
            lab.cache[command] = seconds, products(command, folder), names(folder)
    return lab.cache[command]


class Killing:
    """A command on a work folder, and what may happen to it and its children."""

    def __init__(self, lab, rng, command, folder=None):
        self.lab, self.rng, self.command = lab, rng, command
        self.folder = folder or lab.folder
        self.seconds, self.products, self.names = whole(lab, command)

    def start(self):
        process = self.lab.start(self.command, folder=self.folder, note="& p=$!")
        self.pause()
        return process

    def pause(self, share=1.0):
        moment = self.rng.random() * self.seconds * share
        self.lab.note(f"sleep {moment:.3f}")
        time.sleep(moment)

    def kill_parent(self):
        process = self.start()
        self.lab.note("kill -KILL $p; wait")
        process.send(signal.SIGKILL)
        process.wait().expect(0, -signal.SIGKILL)

    def terminate(self):
        process = self.start()
        number = self.rng.choice([signal.SIGTERM, signal.SIGINT])
        self.lab.note(f"kill -{number.name[3:]} $p; wait")
        process.send(number)
        process.wait().expect(0, 128 + number, -number)

    def kill_child(self):
        process = self.start()
        children = process.children()
        self.lab.note("pkill -KILL -P $p  # one of its children")
        if children:
            send(self.rng.choice(children), signal.SIGKILL)
        process.wait().expect(0, 1)

    def start_and_stop(self):
        """A process whose children are stopped, and these children."""
        process = self.start()
        children = process.children()
        for child in children:
            send(child, signal.SIGSTOP)
        return process, children

    def stop_children(self):
        """Children are stopped for a while; then they go on, or are killed."""
        process, children = self.start_and_stop()
        number = self.rng.choice([signal.SIGCONT, signal.SIGKILL])
        self.lab.note(f"pkill -STOP -P $p; sleep .1; pkill -{number.name[3:]} -P $p; wait")
        time.sleep(0.1 * self.rng.random())
        for child in children:
            send(child, number)
        process.wait().expect(0, 1)

    def stopped_children_of_a_dead_parent(self):
        """A second call waits for the children of the first one, or says what to do."""
        process, children = self.start_and_stop()
        process.send(signal.SIGKILL)
        self.lab.note("pkill -STOP -P $p; kill -KILL $p")
        second = self.lab.start(self.command, note="& p=$!")
        self.pause(0.5)
        number = self.rng.choice([signal.SIGCONT, signal.SIGKILL])
        self.lab.note(f"# SIG{number.name[3:]} to the stopped children; wait $p")
        for child in children:
            send(child, number)
        process.wait()  # not before: a child stopped at its start still has its parent's output
        second.wait().expect(0, 1)

    def two_at_once(self):
        first = self.start()
        second = self.lab.start(self.command, note="&")
        self.lab.note("wait")
        first.wait().expect(0)
        second.wait().expect(0)

    EVENTS = [kill_parent, kill_parent, terminate, kill_child, stop_children,
              stopped_children_of_a_dead_parent, two_at_once]

    def finish(self):
        """The same command to the end. Raises Finding unless all is as without interruption."""
        self.lab.run(self.command, folder=self.folder).expect(0)
        self.compare(self.folder)
        left = sorted(set(names(self.folder)) - set(self.names))
        if left and self.command.startswith("reproduce"):  # search keeps points' checkpoints
            raise Finding(f"dead runs left files behind: {left}")

    def compare(self, folder):
        """Raises Finding unless the results in a folder are those without interruption."""
        found = products(self.command, folder)
        if found != self.products:
            different = difference(self.products, found)
            raise Finding("other results than the uninterrupted run's" + different)


def difference(expected, found):
    """Which files differ, if the results are files."""
    if isinstance(expected, bytes):
        return ""
    different = [
        name
        for e, f in zip(expected, found)
        for name in sorted(set(e) | set(f))
        if e.get(name) != f.get(name)
    ]
    return ": " + ", ".join(different)


def killed(command):
    """The drill of a command: one to four events, then the end."""

    def drill(lab, rng):
        killing = Killing(lab, rng, command)
        for _ in range(rng.randint(1, 4)):
            rng.choice(Killing.EVENTS)(killing)
        killing.finish()
        return SAME

    return drill


def full_disk(command):
    """The drill of a command on a disk that is full, and then is not."""

    def drill(lab, rng):
        if why := SmallDisk.enter():
            return f"not possible here: {why}"
        killing = Killing(lab, rng, command, new_folder(lab))
        with SmallDisk(killing.folder, 4096 * rng.randint(2, 100)) as disk:
            lab.note(f"mount -t tmpfs -o size={disk.size} none run")
            ended = lab.run(command, folder=killing.folder).expect(0, 1)
            check_exits(ended)
            lab.note("mount -o remount,size=16M run")
            disk.resize(1 << 24)
            killing.finish()
        return REFUSED if ended.code else SAME

    return drill


def vanish(command):
    """The drill of a command whose folder is removed or renamed in the run."""

    def drill(lab, rng):
        killing = Killing(lab, rng, command, new_folder(lab))
        process = killing.start()
        how = rng.choice(["removed", "renamed", "renamed and removed"])
        lab.note(f"# run/ is {how}; wait")
        moved = lab.folder / "moved"
        if how != "removed":
            killing.folder.rename(moved)
        if how != "renamed":
            shutil.rmtree(moved if moved.exists() else killing.folder, ignore_errors=True)
        ended = process.wait().expect(0, 1)
        check_exits(ended)
        if ended.code == 0 and how == "renamed":
            killing.compare(moved)
        return REFUSED if ended.code else SAME

    return drill


def others_of(lab, path):
    """Files of the same kind in the work folder of another seed."""
    run = path.parent.name.rsplit(".split-", 1)[0]
    found = sorted((lab.base / "other-seed" / "work").glob(f"{run}.split-*/{path.name}"))
    if path.name == "checkpoint.safetensors":
        found.append(lab.base / "other-seed.checkpoint" / "checkpoint")
    return found


def named_paths(lab, text):
    """Existing files and folders of the work folder that a message names."""
    found = []
    for name in re.findall(r"work[^\s,;:()'\"]*", text):
        path = lab.folder / name.rstrip(".")
        if name.rstrip("./") != "work" and os.path.lexists(path):
            found.append(path)
    return found


def damaged_folder(source):
    """The drill of a work folder: one of its files is damaged, and the command repeated."""

    def prepare(lab, rng):
        shutil.copytree(lab.base / source / "work", lab.folder / "work")
        files = sorted(p for p in (lab.folder / "work").rglob("*") if p.is_file())
        weights = [1 if p.suffix == ".txt" else 4 for p in files]  # texts are for people
        (path,) = rng.choices(files, weights)
        replaced = 0.2 if path.stat().st_size else 1  # an empty one has no bytes to change
        what, _, _ = damage_file(rng, path, others_of(lab, path), "alone", replaced)
        return path.relative_to(lab.folder), what

    def drill(lab, rng):
        _, (report, _), _ = whole(lab, REPRODUCE + SHORT)
        name, what = prepare(lab, rng)
        lab.note(f"# {name}: {what}")
        first = lab.run(REPRODUCE + SHORT).expect(0, 1, 2).expect_readable()
        check_exits(first)
        if first.code == 0:
            check_report(lab, report, f"{name}: {what}")
            return SAME
        refused = f"{name}: {what}: refused ({first.message(300)})"
        if not named_paths(lab, first.err.decode(errors="replace")):
            raise Finding(f"{refused}, which names no file")
        heal(lab, report, refused)
        return REFUSED

    drill.prepare = prepare
    return drill


def check_exits(ended):
    """Raises Finding if a child crashed."""
    for code in FAILED.findall(ended.err.decode(errors="replace")):
        if int(code) > 127:
            raise Finding(f"a run crashed with exit code {code}: {ended.message(1500)}")


def check_report(lab, report, what):
    found = texts(lab.folder / "report")
    if found != report:
        raise Finding(f"{what}: exit code 0, another report{difference([report], [found])}")


def heal(lab, report, refused):
    """The same command once more; then without what it says is to be deleted."""
    again = lab.run(REPRODUCE + SHORT).expect(0, 1, 2)
    if again.code == 0:
        check_report(lab, report, refused + ", repeated")
        return
    message = again.err.decode(errors="replace")
    paths = named_paths(lab, message) if re.search("delete|remove", message) else []
    if not paths:
        raise Finding(f"{refused}, repeated too, and it says of no file to delete it")
    path = max(paths, key=lambda p: len(str(p)))
    lab.note(f"rm -r {path.relative_to(lab.folder)}")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    last = lab.run(REPRODUCE + SHORT).expect(0, 1, 2)
    if last.code != 0:
        raise Finding(f"{refused}, also without {path.relative_to(lab.folder)}")
    check_report(lab, report, refused + ", without the file that it named")


COMMANDS = {"reproduce": REPRODUCE + LONG, "search": SEARCH + LONG}
ACCIDENTS = {"kills": killed, "full disk": full_disk, "folder vanishes": vanish}
KILLS = {
    f"{name}: {accident}": drill(command)
    for accident, drill in ACCIDENTS.items()
    for name, command in COMMANDS.items()
}
DAMAGE = {
    "work folder, finished": damaged_folder("finished"),
    "work folder, interrupted": damaged_folder("interrupted"),
}
