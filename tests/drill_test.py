"""Tests of drill.py: it passes a derrd that is right, and finds what is wrong with others.

The others are shell scripts around the real program, which the environment variable DERRD names.
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
DERRD = os.environ.get("DERRD", str(HERE.parent / "build/cpu/apps/derrd"))
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

from drill import materials, mutations  # noqa: E402  (the folder)

DATA_SET = "damage: data set"
# A program that does something else where the real one refuses a file.
INSTEAD_OF_REFUSING = """#!/bin/sh
[ "$1" = recommend -o "$1" = train -o "$1" = evaluate ] || exec {derrd} "$@"
{derrd} "$@"
code=$?
[ $code = 0 ] || {{ {instead}; }}
exit $code
"""
# A program that does something to what a resumed training has made; it tidies up after dead runs.
AFTER_RESUMING = """#!/bin/sh
rm -f ./derrd-*.tmp
case "$*" in *--resume*) [ -e checkpoint ] || exec {derrd} "$@" ;; *) exec {derrd} "$@" ;; esac
{derrd} "$@"
code=$?
{after}
exit $code
"""


class Programs(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def program(self, text, **parts):
        path = self.folder / "derrd"
        path.write_text(text.format(derrd=DERRD, **parts))
        path.chmod(0o755)
        return str(path)

    def drill(self, program, *options, code):
        """What drill.py prints; its files stay in the folder `kept`."""
        command = [sys.executable, str(HERE / "drill.py"), program, "--jobs", "1", *options]
        if "--keep" not in options:
            command += ["--keep", str(self.folder / "kept")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=250)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def found(self, text, what):
        """The name and seed of a finding that the output shows."""
        found = re.search(rf"FINDING '?([^'\n]*:\d+)'?: [^\n]*{what}", text)
        self.assertTrue(found, text)
        return found.group(1)

    def test_passes_a_right_program(self):
        text = self.drill(DERRD, "--minutes", "0.05", "--only", DATA_SET, "hangup", code=0)
        self.assertRegex(text, r"\| damage: data set +\| +[1-9]")
        self.assertRegex(text, r"\| hangup ignored +\| +[1-9]")
        self.assertIn("2 drills", text)
        self.assertNotIn("FINDING", text)

    def test_finds_ignored_damage_and_repeats_it(self):
        program = self.program(INSTEAD_OF_REFUSING, instead="exit 0")
        options = ["--minutes", "2", "--first", "--seed", "1", "--only", DATA_SET]
        text = self.drill(program, *options, code=1)
        again = self.found(text, "another result")
        (kept,) = (self.folder / "kept/findings").glob(re.sub(r"\W+", "-", again))
        self.assertTrue((kept / "before/data").exists() or (kept / "before/data").is_symlink())
        self.assertIn("--data data", (kept / "commands.sh").read_text())
        alone = self.drill(program, "--repeat", again, "--keep", str(self.folder / "again"), code=1)
        self.assertEqual(self.found(alone, "another result"), again)
        self.drill(DERRD, "--repeat", again, "--keep", str(self.folder / "right"), code=0)

    def test_finds_crashes(self):
        program = self.program(INSTEAD_OF_REFUSING, instead="kill -SEGV $$")
        text = self.drill(program, "--minutes", "2", "--first", "--only", DATA_SET, code=1)
        self.found(text, "crashed by SIGSEGV")

    def test_finds_hangs_and_ends_them(self):
        seconds = 10**6 + os.getpid()  # which no other test sleeps
        program = self.program(INSTEAD_OF_REFUSING, instead=f"sleep {seconds}")
        options = ["--minutes", "2", "--first", "--limit", "2", "--only", DATA_SET]
        self.found(self.drill(program, *options, code=1), "hangs")
        self.assertNotIn(f"sleep\x00{seconds}", command_lines())

    def test_finds_raw_bytes(self):
        program = self.program(INSTEAD_OF_REFUSING, instead=r"printf '\033[31m' >&2")
        text = self.drill(program, "--minutes", "2", "--first", "--only", DATA_SET, code=1)
        self.found(text, "raw bytes")

    def test_finds_silent_refusals(self):
        program = self.program(INSTEAD_OF_REFUSING.replace('"$@"\ncode', '"$@" 2>/dev/null\ncode'),
                               instead=":")
        text = self.drill(program, "--minutes", "2", "--first", "--only", DATA_SET, code=1)
        self.found(text, "without a message")

    def test_finds_another_model_after_a_kill(self):
        program = self.program(AFTER_RESUMING, after="[ ! -e model ] || printf x >>model")
        text = self.drill(program, "--minutes", "3", "--first", "--only", "kill: bpr", code=1)
        self.found(text, "another model|torn|exit code 1")

    def test_finds_another_log_after_a_kill(self):
        program = self.program(AFTER_RESUMING, after="tail -n 3 log >l && cp l log && rm l")
        text = self.drill(program, "--minutes", "3", "--first", "--only", "kill: bpr", code=1)
        self.found(text, "(?:another log|exit code 1)")  # which derrd may notice by itself

    def test_finds_what_is_left_behind(self):
        program = self.program(AFTER_RESUMING, after="echo >model.tmp-1")
        text = self.drill(program, "--minutes", "3", "--first", "--only", "kill: bpr", code=1)
        self.found(text, "left files behind")

    def test_a_set_up_that_fails_is_no_pass(self):
        text = self.drill(self.program("#!/bin/sh\nexit 3\n"), "--only", DATA_SET, code=1)
        self.assertIn("the set-up failed", text)

    def test_interrupted_it_shows_the_table(self):
        command = [sys.executable, str(HERE / "drill.py"), DERRD, "--minutes", "5", "--jobs", "1"]
        process = subprocess.Popen([*command, "--only", DATA_SET], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertIn("1 drills", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertIn("interrupted", out)
        self.assertRegex(out, r"\| damage: data set +\|")
        self.assertNotIn("Traceback", out + err)

    def test_usage(self):
        for options in (["--only", "no such"], ["--repeat", "kill: bpr"], ["--jobs", "0"]):
            command = [sys.executable, str(HERE / "drill.py"), DERRD, *options]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r"^drill.py: .*\n$")


def command_lines():
    texts = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            texts.append(path.read_text(errors="replace"))
        except OSError:
            pass
    return "\n".join(texts)


class Damage(unittest.TestCase):
    TEXT = materials.safetensors([("x", "F32", [2], bytes(8))], {"format": "f"}) + b"line\n" * 20

    def test_every_change_changes_and_can_be_repeated(self):
        for seed in range(2000):
            new, what = mutations.change(random.Random(seed), self.TEXT)
            self.assertNotEqual(new, self.TEXT, what)
            self.assertEqual(mutations.change(random.Random(seed), self.TEXT), (new, what))

    def test_small_files_can_be_changed(self):
        for change in mutations.CHANGES:
            for size in (1, 2, 3):
                for seed in range(50):
                    change(random.Random(seed), bytearray(range(size)))

    def test_other_things_stand_in_a_files_place(self):
        with tempfile.TemporaryDirectory() as folder:
            kinds = set()
            for seed in range(60):
                path = Path(folder) / str(seed)
                path.write_bytes(self.TEXT)
                mutations.damage_file(random.Random(seed), path, [__file__], replaced=1)
                kinds.add("link" if path.is_symlink() else "folder" if path.is_dir() else "pipe"
                          if path.is_fifo() else "empty" if path.stat().st_size == 0 else "other")
            self.assertEqual(kinds, {"link", "folder", "pipe", "empty", "other"})

    def test_torn_files_are_seen(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            whole = materials.safetensors([("x", "F32", [2], bytes(8))], {"format": "f"})
            path.write_bytes(whole)
            self.assertEqual(materials.metadata_of(path), {"format": "f"})
            for torn in (b"", whole[:5], whole[:20], whole[:-1], whole + b"x"):
                path.write_bytes(torn)
                self.assertRaises(ValueError, materials.metadata_of, path)


if __name__ == "__main__":
    unittest.main()
