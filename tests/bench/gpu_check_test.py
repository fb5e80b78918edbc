"""Tests of bench/gpu_check.py with a build folder and tools that are shell scripts."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
sys.dont_write_bytecode = True

import gpu_check  # noqa: E402

NVIDIA_SMI = 'case "$*" in *name*) echo "Fake GPU, 1 MiB";; *) echo 1.2.3;; esac'
CTEST = "echo '100% tests passed, 0 tests failed out of 7'"
# Refuses, as the real one does, what it doesn't know: the first such word counts as the program.
SANITIZER = """[ "$1 $3 $4 $5 $6" = "--tool --error-exitcode 99 --report-api-errors no" ] || exit 1
[ -x "$7" ] || exit 1
echo '[  PASSED  ] 5 tests.'
case $2 in
memcheck) echo '========= ERROR SUMMARY: 0 errors' ;;
initcheck) echo '========= ERROR SUMMARY: 0 errors' ;;
synccheck) echo '========= ERROR SUMMARY: 0 errors' ;;
racecheck) echo '========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)' ;;
esac"""
TOOLS = ["memcheck", "initcheck", "synccheck", "racecheck"]
AGREEMENT = {
    "testsuites": [
        {
            "name": "CrossBackend",
            "testsuite": [{"name": "DrawsTheSame", "result": "COMPLETED"}],
        },
        {
            "name": "Methods/CrossBackendRun",
            "testsuite": [
                {
                    "name": "HasTheSameLossesAndMetrics/bpr_de",
                    "result": "COMPLETED",
                    "first_epoch_losses": "2.5e-07",
                    "hit_rate": "0.00275",
                }
            ],
        },
    ]
}


def engine_test(passed=2, report=AGREEMENT, code=0):
    """A script that stands for the engine's tests."""
    return f"""case $1 in --gtest_filter=*CrossBackend*) ;; *) exit 2 ;; esac
echo '[  PASSED  ] {passed} tests.'; echo '{json.dumps(report)}' >"${{2#*json:}}"; exit {code}"""


BENCHMARKS = {
    "context": {"copy_GB/s": "4050.1", "skipped": ""},
    "benchmarks": [{"name": "copy/64/real_time", "real_time": 2.5, "%copy": 98.76, "GB/s": 4000.0}],
}
BENCH = f"""for option; do case $option in --benchmark_out=*)
echo '{json.dumps(BENCHMARKS)}' >"${{option#*=}}" ;; esac; done"""
# compare.py asks it for its version, and finds its figures in --log.
DERRD = """case $1 in --version) echo derrd fake ;; synthesize) : >"$3" ;; *)
while [ $# -gt 0 ]; do [ "$1" = --log ] && log=$2; [ "$1" = -o ] && : >"$2"; shift; done
echo '{"epoch": 0, "seconds": {"prepare": 0.1, "train": 0.8, "evaluate": 0.1}}' >"$log" ;; esac"""
PEER = """while [ $# -gt 0 ]; do [ "$1" = --json ] && log=$2; shift; done
[ -z "$log" ] || echo '{"epoch": 0, "train_s": 3.0, "eval_s": 1.0}' >"$log" """


class WholeCheck(unittest.TestCase):
    """The program itself, with PATH leading to the scripts."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.build = self.folder / "build"
        self.script("bin/nvidia-smi", NVIDIA_SMI)
        self.script("bin/ctest", CTEST)
        self.script("bin/compute-sanitizer", SANITIZER)
        self.script("bin/python3", PEER)
        self.script("build/tests/kernels/kernels_test", "exit 0")
        self.script("build/tests/engine/engine_test", engine_test())
        self.script("build/bench/kernels_bench", BENCH)
        self.script("build/bench/ladders/ladder_bench", BENCH)
        self.script("build/apps/derrd", DERRD)

    def script(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def start(self, *options):
        path = f"{self.folder / 'bin'}:/usr/bin:/bin"
        environment = {**os.environ, "PATH": path}
        environment.pop("DERRD_DATA", None)
        environment.pop("DERRD_PEER_PYTHON", None)
        command = [sys.executable, ROOT / "bench" / "gpu_check.py", "--build", self.build]
        return subprocess.Popen(
            [*command, *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def check(self, *options, name="report"):
        """Exit code and report."""
        process = self.start(*options)
        _, errors = process.communicate(timeout=100)
        path = self.build / f"{name}.json"
        self.assertTrue(path.exists(), errors)
        return process.returncode, json.loads(path.read_text())

    def step_of(self, report, name):
        return next(step for step in report["steps"] if step["name"] == name)

    def expect_only(self, name, outcome, reason):
        code, report = self.check()
        self.assertNotEqual(code, 0)
        self.assertFalse(report["passed"])
        for step in report["steps"]:
            expected = outcome if step["name"] == name else "passed"
            self.assertEqual(step["outcome"], expected, step)
        self.assertRegex(self.step_of(report, name)["reason"], reason)
        self.assertIn("NOT PASSED", (self.build / "report.md").read_text())

    def test_passes_and_reports_everything(self):
        code, report = self.check()
        self.assertEqual(code, 0, json.dumps(report, indent=1))
        self.assertTrue(report["passed"])
        self.assertEqual(report["device"], "Fake GPU, 1 MiB")
        self.assertEqual(report["driver"], "1.2.3")
        for fact in ("date", "commit", "seconds"):
            self.assertIn(fact, report)
        self.assertEqual(report["left_out"], [])
        names = ["tests", "agreement", *TOOLS, "kernels", "data", "peer"]
        self.assertEqual([step["name"] for step in report["steps"]], names)
        self.assertEqual(self.step_of(report, "tests")["figures"]["tests"], 7)
        self.assertEqual(
            self.step_of(report, "agreement")["figures"],
            {"tests": 2, "bpr_de": {"first_epoch_losses": 2.5e-7, "hit_rate": 0.00275}},
        )
        for tool in ("memcheck", "initcheck", "synccheck"):
            self.assertEqual(self.step_of(report, tool)["figures"], {"tests": 5, "errors": 0})
        self.assertEqual(self.step_of(report, "racecheck")["figures"], {"tests": 5, "hazards": 0})
        self.assertEqual(
            self.step_of(report, "kernels")["figures"],
            {
                "copy_GB/s": "4050.1",
                "copy/64": {"us": 2.5, "percent_of_copy": 98.8, "gb_per_s": 4000.0},
            },
        )
        student = self.step_of(report, "peer")["figures"]["student, d = 20"]
        self.assertEqual(student, {"derrd_s": 1.0, "times_plain": 4.0, "times_tuned": 4.0})
        markdown = (self.build / "report.md").read_text()
        for text in (
            "GPU check: passed",
            "Fake GPU",
            "| CPU and CUDA runs agree | passed | 0 | 2 tests |",
            "## CPU and CUDA runs agree",
            "| bpr_de | 2.5e-07 | 0.00275 |",
            "| initcheck over the kernels' tests | passed | 0 | 5 tests, 0 errors |",
            "| copy/64 | 2.5 | 98.8 |",
            "student, d = 20",
        ):
            self.assertIn(text, markdown)

    def test_step_that_fails(self):
        engine, kernels = "build/tests/engine/engine_test", "build/bench/kernels_bench"
        error = {"benchmarks": [{"name": "a", "error_occurred": True, "error_message": "boom"}]}
        bench_error = BENCH.replace(json.dumps(BENCHMARKS), json.dumps(error))
        alone = {"testsuites": AGREEMENT["testsuites"][:1]}
        skipped = json.loads(json.dumps(AGREEMENT).replace("COMPLETED", "SKIPPED"))
        some_failed = "echo '90% tests passed, 1 tests failed out of 7'; exit 8"
        cases = [
            ("tests", "bin/ctest", some_failed, "exit code 8"),
            ("tests", "bin/ctest", "echo 'No tests were found!!!'", "no summary"),
            ("agreement", engine, engine_test(passed=0), "no test passed"),
            ("agreement", engine, engine_test(report=alone), "no training was compared"),
            ("agreement", engine, engine_test(report=skipped), "DrawsTheSame was skipped"),
            ("kernels", kernels, "exit 0", "no figures"),
            ("kernels", kernels, bench_error, "a: boom"),
            ("peer", "bin/python3", 'case "$*" in *torch_peer.py*) exit 3 ;; esac', "exit code 1"),
        ]
        for tool in ("memcheck", "initcheck", "synccheck"):
            clean = f"{tool}) echo '========= ERROR SUMMARY: 0 errors'"
            self.assertIn(clean, SANITIZER)
            found = SANITIZER.replace(clean, clean.replace("0 errors", "2 errors"))
            cases.append((tool, "bin/compute-sanitizer", found, "2 error"))
        hazard = SANITIZER.replace("Y: 0 hazards", "Y: 1 hazard")
        cases.append(("racecheck", "bin/compute-sanitizer", hazard, "1 hazard"))
        for step, script, text, reason in cases:
            with self.subTest(step=step, reason=reason):
                good = (self.folder / script).read_text()
                self.script(script, text)
                self.expect_only(step, "failed", reason)
                (self.folder / script).write_text(good)

    def test_trainings_that_differ(self):
        self.script("build/tests/engine/engine_test", engine_test(passed=1, code=1))
        self.expect_only("agreement", "failed", "exit code 1")
        self.assertIn("| bpr_de | 2.5e-07 |", (self.build / "report.md").read_text())

    def test_comparison_of_an_earlier_run_does_not_count(self):
        self.check()
        self.script("build/tests/engine/engine_test", "echo '[  PASSED  ] 2 tests.'")
        self.expect_only("agreement", "failed", "no figures")

    def test_missing_sanitizer(self):
        (self.folder / "bin" / "compute-sanitizer").unlink()
        code, report = self.check()
        self.assertEqual(code, 1)
        for name in TOOLS:
            self.assertEqual(self.step_of(report, name)["outcome"], "not run")
            self.assertIn("compute-sanitizer", self.step_of(report, name)["reason"])

    def test_sanitizer_of_the_toolkit(self):
        (self.folder / "bin" / "compute-sanitizer").unlink()
        self.script("toolkit/compute-sanitizer/compute-sanitizer", SANITIZER)
        (self.folder / "toolkit" / "bin").mkdir()
        code, _ = self.check("--toolkit-bin", str(self.folder / "toolkit" / "bin"))
        self.assertEqual(code, 0)

    def test_sanitizers_that_say_nothing_or_skip_all(self):
        silent, skipped = "echo '[  PASSED  ] 5 tests.'", SANITIZER.replace("] 5", "] 0")
        for text, reason in (silent, "no summary"), (skipped, "no test passed"):
            self.script("bin/compute-sanitizer", text)
            _, report = self.check()
            for name in TOOLS:
                self.assertEqual(self.step_of(report, name)["outcome"], "failed")
                self.assertIn(reason, self.step_of(report, name)["reason"])

    def test_figures_of_an_earlier_run_do_not_count(self):
        self.check()
        self.script("build/bench/kernels_bench", "exit 0")
        self.expect_only("kernels", "failed", "no figures")

    def test_missing_program(self):
        (self.build / "bench" / "kernels_bench").unlink()
        self.expect_only("kernels", "failed", "cannot start")

    def test_no_python_with_torch(self):
        without = 'case "$*" in *torch*) exit 1 ;; esac'
        self.script("bin/python3", without)
        blind = self.folder / "blind"  # hides the system's python3, whatever it can import
        blind.mkdir()
        for tool in ("sh", "git"):
            (blind / tool).symlink_to(f"/usr/bin/{tool}")
        with unittest.mock.patch.dict(os.environ, {"PATH": f"{self.folder / 'bin'}:{blind}"}):
            self.assertIsNone(gpu_check.find_peer_python(None))
            self.assertIsNone(gpu_check.find_peer_python("/nonexistent/python3"))

    def test_some_steps_are_not_the_check(self):
        whole = self.check()
        code, report = self.check("--steps", "racecheck,initcheck", name="partial-report")
        self.assertEqual(code, 3)
        self.assertFalse(report["passed"])
        self.assertEqual([step["name"] for step in report["steps"]], ["initcheck", "racecheck"])
        left_out = ["tests", "agreement", "memcheck", "synccheck", "kernels", "data", "peer"]
        self.assertEqual(report["left_out"], left_out)
        markdown = (self.build / "partial-report.md").read_text()
        self.assertNotIn("GPU check: passed", markdown)
        self.assertIn("PARTIAL", markdown)
        self.assertIn("Left out: tests, agreement, memcheck", markdown)
        # The whole check's report stays what it was.
        self.assertEqual(whole[1], json.loads((self.build / "report.json").read_text()))

    def test_failing_among_some_steps(self):
        self.script("build/bench/kernels_bench", "exit 0")
        code, report = self.check("--steps", "kernels", name="partial-report")
        self.assertEqual(code, 1)
        self.assertFalse(report["passed"])
        markdown = (self.build / "partial-report.md").read_text()
        self.assertIn("GPU check: NOT PASSED", markdown)
        self.assertIn("Left out: tests", markdown)

    def test_a_step_brings_what_it_needs(self):
        code, report = self.check("--steps", "peer", name="partial-report")
        self.assertEqual(code, 3)
        self.assertEqual([step["name"] for step in report["steps"]], ["data", "peer"])

    def test_large_benchmarks_and_ladders_run_by_name_only(self):
        large = """case "$*" in *--benchmark_filter=/large/*) ;; *) exit 2 ;; esac
"""
        figures = {
            "context": {"copy_GB/s": "4050.1", "skipped": "bpr/large/1 (20.6 GB)"},
            "benchmarks": [{"name": "gemm/large/9/real_time", "real_time": 9.0, "%gemm": 71.26}],
        }
        script = BENCH.replace(json.dumps(BENCHMARKS), json.dumps(figures))
        self.script("build/bench/kernels_bench", large + script)
        code, report = self.check("--steps", "large,ladders", name="partial-report")
        self.assertEqual(code, 3, json.dumps(report, indent=1))
        self.assertEqual([step["name"] for step in report["steps"]], ["large", "ladders"])
        self.assertEqual(report["left_out"], gpu_check.NAMES)
        self.assertEqual(
            self.step_of(report, "large")["figures"],
            {
                "copy_GB/s": "4050.1",
                "skipped": "bpr/large/1 (20.6 GB)",
                "gemm/large/9": {"us": 9.0, "percent_of_gemm": 71.3},
            },
        )
        self.assertIn("copy/64", self.step_of(report, "ladders")["figures"])

    def test_large_benchmarks_are_no_part_of_the_check(self):
        small = """case "$*" in *--benchmark_filter=-/large/*) ;; *) exit 2 ;; esac
"""
        self.script("build/bench/kernels_bench", small + BENCH)
        self.assertEqual(self.check()[0], 0)

    def test_all_steps_by_name_are_the_check(self):
        code, report = self.check("--steps", ",".join(gpu_check.NAMES))
        self.assertEqual(code, 0)
        self.assertTrue(report["passed"])

    def test_no_search_for_a_peer_that_is_not_wanted(self):
        self.script("bin/python3", f": >{self.folder}/searched")
        self.check("--steps", "kernels", name="partial-report")
        self.assertFalse((self.folder / "searched").exists())
        self.check("--steps", "peer", name="partial-report")
        self.assertTrue((self.folder / "searched").exists())

    def test_unknown_step(self):
        for names in ("memchek", "", "tests,"):
            process = self.start("--steps", names)
            _, errors = process.communicate(timeout=100)
            self.assertEqual(process.returncode, 2)
            self.assertIn("tests, agreement, memcheck", errors)
            self.assertFalse((self.build / "partial-report.json").exists())

    def test_an_interrupted_run_leaves_no_report(self):
        self.check()
        self.script("bin/ctest", f": >{self.folder}/began; sleep 600")
        process = self.start()
        while not (self.folder / "began").exists():
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=100)
        self.assertNotEqual(process.returncode, 0)
        for name in ("report.json", "report.md"):
            self.assertFalse((self.build / name).exists(), name)


class Steps(unittest.TestCase):
    """The time that steps get, and their ends."""

    def run_steps(self, seconds, *steps):
        with tempfile.TemporaryDirectory() as folder:
            return gpu_check.run_steps(steps, seconds, Path(folder))

    def test_without_a_command(self):
        (result,) = self.run_steps(9, gpu_check.Step("a", "a", 1, None, "no tool"))
        self.assertFalse(result.passed)
        self.assertEqual((result.outcome, result.reason), ("not run", "no tool"))

    def test_hanging_step_is_ended_with_its_children(self):
        with tempfile.TemporaryDirectory() as folder:
            pid = Path(folder) / "pid"
            hang = ["sh", "-c", f"sleep 600 & echo $! >{pid}; wait"]
            start = time.monotonic()
            hanging, following = self.run_steps(
                3, gpu_check.Step("a", "a", 1, hang), gpu_check.Step("b", "b", 2, ["true"])
            )
            self.assertLess(time.monotonic() - start, 3)
            self.assertEqual(hanging.outcome, "timed out")
            self.assertTrue(following.passed)
            child = Path("/proc") / pid.read_text().strip() / "status"
            gone = lambda: not child.exists() or "State:\tZ" in child.read_text()
            while not gone() and time.monotonic() - start < 10:
                time.sleep(0.05)
            self.assertTrue(gone())

    def test_a_step_gets_what_others_left(self):
        slow = ["sh", "-c", "sleep 1.5"]
        quick = gpu_check.Step("a", "a", 2, ["true"])
        _, result = self.run_steps(3, quick, gpu_check.Step("b", "b", 1, slow))
        self.assertTrue(result.passed)

    def test_time_left(self):
        with tempfile.NamedTemporaryFile() as started:
            path = Path(started.name)
            self.assertAlmostEqual(gpu_check.time_left(path), gpu_check.TOTAL_SECONDS, delta=2)
            os.utime(path, (0, time.time() - 60))
            self.assertAlmostEqual(gpu_check.time_left(path), gpu_check.TOTAL_SECONDS - 60, delta=2)
            os.utime(path, (0, 0))
            self.assertEqual(gpu_check.time_left(path), gpu_check.CHECK_SECONDS)
        self.assertEqual(gpu_check.time_left(None), gpu_check.CHECK_SECONDS)

    def test_shares_fit(self):
        with tempfile.TemporaryDirectory() as folder:
            args = unittest.mock.Mock(
                build=Path(folder), toolkit_bin=None, python=None, steps=set(gpu_check.NAMES)
            )
            steps = gpu_check.steps(args, Path(folder))
        self.assertEqual([step.name for step in steps], gpu_check.NAMES)
        self.assertLessEqual(sum(step.share for step in steps), gpu_check.CHECK_SECONDS)
        self.assertLess(gpu_check.TOTAL_SECONDS, 9 * 60)


if __name__ == "__main__":
    unittest.main()
