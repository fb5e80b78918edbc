"""Tests of bench/compare.py with programs that are shell scripts."""

import json
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
COMPARE = ROOT / "bench" / "compare.py"
sys.path.insert(0, str(COMPARE.parent))
sys.dont_write_bytecode = True

import compare  # noqa: E402

# Both write down how they were called and log the seconds of one epoch; derrd also leaves a model,
# whose text is its kind, and both want a teacher to be there.
CALLED = """echo "$0 $*" >>{calls}
for option; do [ "$previous" = {log} ] && log=$option; [ "$previous" = -o ] && model=$option
[ "$previous" = --model ] && kind=$option
[ "$previous" = --teacher ] && {{ [ -s "$option" ] || exit 9; echo "teacher $(cat $option)" >>{calls}; }}
previous=$option; done
[ -z "$model" ] || echo "${{kind-student}}" >"$model"
[ -z "$log" ] || echo '{record}' >"$log"
"""


class Programs(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.calls = self.folder / "calls"
        (self.folder / "data").write_text("data")
        self.script("derrd", "--log", {"seconds": {"prepare": 0.1, "train": 0.3, "evaluate": 0.1}})
        self.script("python", "--json", {"train_s": 1.5, "eval_s": 0.6})

    def script(self, name, log, times):
        record = json.dumps({"epoch": 0, **times})
        path = self.folder / name
        path.write_text("#!/bin/sh\n" + CALLED.format(calls=self.calls, log=log, record=record))
        path.chmod(0o755)

    def compare(self, *options):
        """The report's rows by case; the calls of programs in order, as lists of words."""
        report = self.folder / "report.json"
        self.calls.write_text("")
        command = [sys.executable, COMPARE, "--data", self.folder / "data", "--rounds", "1"]
        command += ["--derrd", self.folder / "derrd", "--python", self.folder / "python"]
        done = subprocess.run(
            [*command, "--json", report, *options], capture_output=True, text=True, timeout=60
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line.split() for line in self.calls.read_text().splitlines()]
        lines = [line for line in lines if not {"--version", "-c"} & set(line)]
        rows = {row["case"]: row for row in json.loads(report.read_text())["rows"]}
        return rows, lines, done.stdout

    def test_neumf_bounds(self):
        rows, calls, table = self.compare("--cases", "neumf-teacher", "neumf-student")
        self.assertEqual(list(rows), ["neumf-teacher", "neumf-student"])
        bounds = [(row["at_most_s"], row["at_least_ratio"]) for row in rows.values()]
        self.assertEqual(bounds, [(6, 2), (1, 4)])
        self.assertAlmostEqual(rows["neumf-student"]["ratio"]["plain"], 4.2)
        self.assertIn("NeuMF teacher, d = 250", table)
        programs = [Path(call[0]).name for call in calls]
        self.assertEqual(programs, ["derrd", "python", "python"] * 2)
        ours, plain, tuned = (" ".join(call) for call in calls[:3])
        self.assertIn("train --model neumf --dim 250 --layers 1", ours)
        self.assertIn("--model neumf --case teacher --dim 250", plain)
        self.assertIn("--setting plain", plain)
        self.assertIn("--setting tuned", tuned)

    def test_teacher_is_trained_once_and_of_the_student_s_kind(self):
        _, calls, _ = self.compare("--cases", "rrd", "neumf-rrd", "neumf-de")
        ours = [call[1:] for call in calls if call[0].endswith("derrd")]
        trained = [call[2] for call in ours if call[0] == "train"]
        self.assertEqual(trained, ["bpr", "neumf"])
        teachers = [call[1] for call in calls if call[0] == "teacher"]
        self.assertEqual(teachers, ["bpr"] * 3 + ["neumf"] * 6)

    def test_measured_teacher_is_used(self):
        _, calls, _ = self.compare("--cases", "neumf-rrd", "neumf-teacher")
        trained = [call for call in calls if call[0].endswith("derrd") and call[1] == "train"]
        self.assertEqual(len(trained), 1)
        self.assertEqual([call[1] for call in calls if call[0] == "teacher"], ["neumf"] * 3)

    def test_named_teacher_is_used_and_kept(self):
        teacher = self.folder / "mine"
        teacher.write_text("mine")
        options = ["--cases", "neumf-teacher", "neumf-rrd", "--neumf-teacher", str(teacher)]
        _, calls, _ = self.compare(*options)
        self.assertEqual([call[1] for call in calls if call[0] == "teacher"], ["mine"] * 3)
        self.assertEqual(teacher.read_text(), "mine")

    def test_default_leaves_out_what_has_no_bound(self):
        rows, _, _ = self.compare()
        self.assertIn("neumf-rrd", rows)
        self.assertNotIn("neumf-de", rows)
        rows, _, table = self.compare("--cases", "neumf-de")
        self.assertNotIn("at_most_s", rows["neumf-de"])
        self.assertIn("4.2x", table)


class Rows(unittest.TestCase):
    """Whether a row's bounds are met."""

    def met(self, case, ours, plain, device="cpu", mib=100, other_work=0.0):
        (bound,) = (bound for bound in compare.BOUNDS if bound.case == case)
        programs = {
            "derrd": compare.Times([ours], [0.0], mib, other_work),
            "plain": compare.Times([plain], [0.0], 5000, other_work),
        }
        args = unittest.mock.Mock(settings=["plain"], device=device)
        return compare.row(bound, programs, args)["met"]

    def test_seconds_and_ratio(self):
        self.assertTrue(self.met("neumf-rrd", 1.0, 2.0))
        self.assertFalse(self.met("neumf-rrd", 1.0, 1.9))
        self.assertTrue(self.met("neumf-rrd", 6.0, 20.0))
        self.assertFalse(self.met("neumf-rrd", 6.1, 20.0))

    def test_without_bound(self):
        self.assertTrue(self.met("neumf-de", 100.0, 1.0))
        self.assertTrue(self.met("neumf-rrd", 100.0, 1.0, device="cuda"))

    def test_memory_and_other_work(self):
        for case in ("neumf-rrd", "neumf-de"):
            self.assertFalse(self.met(case, 1.0, 2.0, mib=1600))
            self.assertFalse(self.met(case, 1.0, 2.0, other_work=0.2))


if __name__ == "__main__":
    unittest.main()
