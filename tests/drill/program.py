"""Runs of derrd: each in a session of its own, with a time limit, none left behind."""

import contextlib
import ctypes
import dataclasses
import os
import pty
import re
import resource
import select
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MEMORY_BYTES = 4 << 30  # of a run: a damaged size must not take the machine's memory
SAME, REFUSED, OTHER = "same", "refused", "other"  # how a try may end
# Also what a sanitizer writes, whose exit code is 1 like that of a refusal.
FAULTS = re.compile(rb"AddressSanitizer|LeakSanitizer|runtime error:|terminate called")
# All but line ends, tabs, the carriage return and the erasing of a progress line.
RAW = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]|\xc2[\x80-\x9f]|\x1b(?!\[K)")


class Finding(Exception):
    """What a drill found, as a sentence."""


@dataclasses.dataclass
class Ended:
    """A run that has ended: its exit code, below 0 for a signal, and what it printed."""

    words: list
    code: int
    out: bytes
    err: bytes

    def message(self, bytes_=600):
        """The end of standard error, fit to print."""
        return self.err[-bytes_:].decode(errors="backslashreplace").strip()

    def expect(self, *codes):
        """Itself. Raises Finding unless it ended with one of the codes, and said why not with 0."""
        what = shlex.join(self.words[:1] + self.words[-4:])
        if self.code < 0 and self.code not in codes:
            raise Finding(f"{what}: crashed by {signal.Signals(-self.code).name}: {self.message()}")
        if self.code not in codes:
            raise Finding(f"{what}: exit code {self.code}, not {codes}: {self.message()}")
        if FAULTS.search(self.err):
            raise Finding(f"{what}: {self.message(4000)}")
        if self.code in (1, 2) and not self.err.strip():
            raise Finding(f"{what}: exit code {self.code} without a message")
        return self

    def expect_readable(self):
        """Itself. Raises Finding if standard error has bytes that control a terminal."""
        if raw := RAW.search(self.err):
            raise Finding(f"standard error has the raw bytes {raw.group()!r}: {self.message()}")
        return self


def processes():
    """(pid, parent, session, state) of all processes."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            text = Path("/proc", name, "stat").read_text(errors="replace")
            fields = text[text.rindex(")") + 2 :].split()  # the name before may hold anything
            yield int(name), int(fields[1]), int(fields[3]), fields[0]


def send(pid, number):
    """Sends a signal, unless the process has ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Running:
    """A run in progress, with its output in pipes."""

    def __init__(self, lab, words, popen):
        self.lab, self.words, self.popen = lab, words, popen

    def poll(self):
        return self.popen.poll()

    def send(self, number):
        """Sends a signal; tells whether the run was still there."""
        if self.popen.poll() is not None:
            return False
        self.popen.send_signal(number)
        return True

    def children(self):
        """Process numbers of its children, zombies left out."""
        return [p for p, parent, _, state in processes() if parent == self.popen.pid != p
                and state != "Z"]

    def wait(self):
        """The ended run. Raises Finding after the time limit."""
        try:
            out, err = self.popen.communicate(timeout=self.lab.limit)
        except subprocess.TimeoutExpired:
            states = [(p, s) for p, _, session, s in processes() if session == self.popen.pid]
            raise Finding(
                f"hangs: no end after {self.lab.limit:.0f} s of {shlex.join(self.words)} "
                f"(processes and their states: {states})"
            ) from None
        return Ended(self.words, self.popen.returncode, out or b"", err or b"")


class Lab:
    """Where a worker's drills run: derrd, the folder of the try, and the steps so far.

    `base` has files that all drills read and none writes; `@name` in words stands for one of them.
    """

    def __init__(self, derrd, base, folder, limit, shared):
        self.derrd, self.base, self.folder, self.limit = derrd, Path(base), Path(folder), limit
        self.shared = shared  # what the set-up measured
        self.cache = {}  # references by case
        self.steps, self.running = [], []
        self.environment = {
            **{k: v for k, v in os.environ.items() if k != "DERRD_DATA"},
            "LC_ALL": "C.UTF-8",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def begin(self, folder=None):
        """Begins a try in an empty folder."""
        self.folder = Path(folder or self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.steps = []

    @contextlib.contextmanager
    def aside(self):
        """An empty folder for a reference run, whose steps nobody needs."""
        kept = self.folder, self.steps
        self.begin(self.folder.with_name(self.folder.name + ".whole"))
        try:
            yield self.folder
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder, self.steps = kept

    def words(self, command):
        """A command as a list, from a text or a list, with its `@names` resolved."""
        words = shlex.split(command) if isinstance(command, str) else list(map(str, command))
        return [re.sub(r"(^|=)@", rf"\g<1>{self.base}/", word) for word in words]

    def note(self, step):
        """Adds a line of shell to the steps."""
        self.steps.append(step)

    def start(self, command, folder=None, before=None, note="", wrap=(), **how):
        """Starts derrd in the try's folder, or one within it.

        before: called in the new process, with the standard streams in place
        note: shell that stands behind the command in the steps
        wrap: words before derrd
        """
        words = self.words(command)
        cwd = Path(folder or self.folder)
        shown = shlex.join([*wrap, self.derrd, *words])
        if cwd != self.folder:
            shown = f"(cd {cwd.relative_to(self.folder)} && exec {shown})"
        self.note(f"{shown} {note}".rstrip())
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               **how}
        popen = subprocess.Popen(
            [*wrap, self.derrd, *words], cwd=cwd, env=self.environment, preexec_fn=before,
            start_new_session=True, **how,
        )
        running = Running(self, words, popen)
        self.running.append(running)
        return running

    def run(self, command, **how):
        """Runs derrd to its end."""
        running = self.start(command, **how)
        ended = running.wait()
        if running.words[0] not in ("reproduce", "search"):  # these may leave children behind
            self.running.remove(running)
        return ended

    def start_other(self, words):
        """Starts another program beside derrd, without output."""
        self.note(shlex.join(words) + " &")
        popen = subprocess.Popen(words, cwd=self.folder, start_new_session=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        self.running.append(Running(self, words, popen))

    def on_terminal(self, command):
        """Runs derrd on a terminal; all that it printed is in `err`."""
        master, slave = pty.openpty()
        try:
            running = self.start(command, note="# on a terminal", stdin=slave, stdout=slave,
                                 stderr=slave)
        finally:
            os.close(slave)
        printed = bytearray()
        end = time.monotonic() + self.limit
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
            while select.select([master], [], [], max(0, end - time.monotonic()))[0]:
                printed += os.read(master, 1 << 16)
        os.close(master)
        ended = running.wait()
        ended.err = bytes(printed)
        return ended

    def end_all(self):
        """Ends what the try left running, children of killed runs too."""
        sessions = {running.popen.pid for running in self.running}
        while sessions:
            left = [p for p, _, session, state in processes() if session in sessions
                    and state != "Z"]
            for process in left:
                send(process, signal.SIGKILL)
            if not left:
                break
            time.sleep(0.005)
        for running in self.running:
            for pipe in (running.popen.stdout, running.popen.stderr):
                if pipe:
                    pipe.close()
            running.popen.wait()
        self.running = []
        with contextlib.suppress(ChildProcessError):  # orphans, which come to this process
            while os.waitpid(-1, os.WNOHANG)[0] > 0:
                pass


def limit_memory():
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


def runs_within_limit(derrd):
    """Tells whether the program starts within the limit; one with a sanitizer does not."""
    done = subprocess.run([derrd, "--version"], preexec_fn=limit_memory, capture_output=True)
    return done.returncode == 0


def prepare_worker(limited):
    """Makes this process a place for runs: orphans come here, memory is limited."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limited:
        limit_memory()


class SmallDisk:
    """A file system of its own in a folder, in a mount namespace that dies with this process."""

    NEW_MOUNTS, NEW_USER = 0x20000, 0x10000000
    PRIVATE_ALL, REMOUNT, DETACH = 0x44000, 0x20, 2
    entered = None  # why not, or "" once this process is in a namespace

    @classmethod
    def enter(cls):
        """Enters the namespace, once. Returns why that is impossible, or an empty text."""
        if cls.entered is None:
            cls.entered = cls._enter()
        return cls.entered

    @classmethod
    def _enter(cls):
        user, group = os.getuid(), os.getgid()
        if LIBC.unshare(cls.NEW_MOUNTS) != 0:
            if LIBC.unshare(cls.NEW_MOUNTS | cls.NEW_USER) != 0:
                return f"no namespace: {os.strerror(ctypes.get_errno())}"
            try:
                Path("/proc/self/setgroups").write_text("deny")
                Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
                Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
            except OSError as e:
                return f"no namespace: {e.strerror}"
        if LIBC.mount(b"none", b"/", None, cls.PRIVATE_ALL, None) != 0:
            return f"no mount: {os.strerror(ctypes.get_errno())}"
        return ""

    def __init__(self, folder, size):
        self.folder, self.size = Path(folder), size

    def __enter__(self):
        self._mount(self.size)
        return self

    def __exit__(self, kind, *_):
        if kind:  # what was found: its files stay beside
            shutil.copytree(self.folder, self.folder.with_name(self.folder.name + ".disk"))
        LIBC.umount2(bytes(self.folder), self.DETACH)

    def resize(self, size):
        self._mount(size, self.REMOUNT)

    def _mount(self, size, flags=0):
        options = f"size={size}".encode()
        if LIBC.mount(b"none", bytes(self.folder), b"tmpfs", flags, options) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
