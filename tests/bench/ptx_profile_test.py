"""Tests of bench/ptx_profile.py: its model, its reading of profiles, and, where DERRD_PTX_BUILD names
a build for the PTX executor, a training."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "bench" / "ptx_profile.py"
sys.path.insert(0, str(SCRIPT.parent))
sys.dont_write_bytecode = True

import ptx_profile as profile  # noqa: E402

GPU = profile.Gpu(multiprocessors=100, clock=1.0, memory=1.0, l2=2.0, l2_size=10, flops=10)

NOTHING = dict.fromkeys(
    ["warp_instructions", "lane_instructions", "longest_warp", "loads", "load_sectors", "stores"]
    + ["store_sectors", "loaded_footprint", "stored_footprint", "l2_sectors", "memory_sectors"]
    + ["shared_requests", "shared_conflicts", "shared_bytes"],
    0,
)


def launch(name="_Z10add_kernelPf", **counts):
    return {"kernel": name, "grid": [2, 1, 1], "block": [256, 1, 1], **NOTHING, **counts}


def node(number, after, us, busy=0.0):
    return {"node": number, "after": after, "us": us, "busy": busy}


class Model(unittest.TestCase):
    def bound(self, **counts):
        terms = profile.terms(GPU, launch(**counts))
        name = max(terms, key=terms.get)
        return name, terms[name]

    def test_the_slowest_resource_of_a_launch_is_its_time(self):
        self.assertEqual(self.bound(), ("launch", 2.0))
        # 100 MB at 1 TB/s; 100 MB at 2 TB/s
        self.assertEqual(self.bound(memory_sectors=3_125_000), ("memory", 100.0))
        self.assertEqual(self.bound(l2_sectors=3_125_000), ("L2", 50.0))
        # 100 multiprocessors, 2.4 instructions a clock each, 1000 clocks a microsecond
        self.assertEqual(self.bound(warp_instructions=24_000_000), ("instructions", 100.0))
        self.assertEqual(self.bound(longest_warp=1000), ("one warp", 8.0))
        # a pass of 128 bytes a clock: 5 + 3 million of shared memory, 2 million of four sectors
        counts = {"shared_requests": 5_000_000, "shared_conflicts": 3_000_000}
        self.assertEqual(self.bound(**counts, load_sectors=8_000_000), ("L1", 100.0))

    def test_even_warps_share_the_instructions(self):
        row = launch(warp_instructions=16_000, longest_warp=5000)  # 2 blocks of 8 warps
        row |= {"terms": profile.terms(GPU, row), "us": 40.0}
        self.assertAlmostEqual(profile.even_time(GPU, row), 8.0)  # 1000 instructions a warp

    def test_products_take_flops_or_bytes(self):
        terms = profile.terms(GPU, {"product": [1000, 2000, 500], "accumulates": 0})
        self.assertAlmostEqual(terms["flops"], 200.0)  # 2e9 flops at 10 TFLOP/s
        self.assertAlmostEqual(terms["memory"], 14.0)  # 14 MB exceed L2: memory's rate
        terms = profile.terms(GPU, {"product": [1000, 1000, 1], "accumulates": 1})
        self.assertAlmostEqual(terms["memory"], 4.004)  # 8.008 MB, C read and written, from L2
        self.assertAlmostEqual(profile.terms(GPU, {"set": 20_000_000})["memory"], 20.0)

    def test_occupancy_is_limited_by_registers_shared_memory_or_warps(self):
        def occupancy(registers, threads=256, shared=0):
            row = launch(shared_bytes=shared) | {"block": [threads, 1, 1]}
            return profile.occupancy(row, registers)

        self.assertEqual(occupancy(32), 1.0)
        self.assertEqual(occupancy(33), 0.75)  # 33 take the room of 40: 6 blocks
        self.assertEqual(occupancy(96), 0.25)
        self.assertEqual(occupancy(32, shared=48 * 1024), 0.5)  # 4 blocks
        self.assertEqual(occupancy(16, threads=32), 0.5)  # 32 blocks

    def test_branches_of_a_graph_overlap(self):
        chain = [node(0, [], 2), node(1, [0], 3), node(2, [1], 2)]
        self.assertEqual(profile.replay_time(chain), 7)
        branches = [node(0, [], 2), node(1, [0], 3), node(2, [0], 5), node(3, [1, 2], 2)]
        self.assertEqual(profile.replay_time(branches), 9)
        # but not beyond what the whole GPU does in a time
        full = [node(0, [], 4, busy=4), node(1, [], 4, busy=4)]
        self.assertEqual(profile.replay_time(full), 8)


class Reading(unittest.TestCase):
    def test_names(self):
        for full, name in {
            "void derrd::(anonymous namespace)::gather_kernel<32>(derrd::Vector<int>)": "gather",
            "derrd::(anonymous namespace)::bpr_forward_kernel(float*, float (*)(int))": "bpr_forward",
            "void cub::DeviceScanKernel<cub::Policy<(int)1>, int*>(int*)": "DeviceScan",
            "plain": "plain",
        }.items():
            self.assertEqual(profile.short(full), name)

    def test_numbers_have_three_digits(self):
        texts = [profile.number(x) for x in (0, 0.1234, 12.34, 1234, 123456, 12345678, 2.5e9)]
        self.assertEqual(texts, ["0", "0.123", "12.3", "1234", "123k", "12.3M", "2500M"])

    def profile_of(self, *lines):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "p.jsonl"
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            return profile.read_profile(path, GPU, {"_Z10add_kernelPf": 40})

    def epochs(self, count, skipped=0, end=()):
        """Two kernels a step, one of the plan, two of the evaluation, four recorded steps."""
        step = [launch("_Z3onev"), launch("_Z3twov")]
        lines = [launch("_Z5setupv"), {"copy": 4}, {"wait": "cudaStreamSynchronize"}]
        replay = 0
        for _ in range(count):
            lines += [launch("_Z4planv"), {"set": 4}, *step]
            for _ in range(4):
                replay += 1
                nodes = zip(step, ([], [0]))
                lines += [
                    r | {"replay": replay, "node": n, "after": a} for n, (r, a) in enumerate(nodes)
                ]
            lines += [{"skipped": "replay"}] * skipped
            lines += [*end, launch("_Z6scoresv"), {"copy": 8}, launch("_Z5ranksv")]
        return profile.cut(self.profile_of(*lines, {"copy": 100}))

    def test_a_profile_of_two_epochs_is_cut_into_their_parts(self):
        for skipped in (0, 3):
            epochs = self.epochs(2, skipped)
            self.assertEqual([row["name"] for row in epochs.plan], ["plan", "fill"])
            self.assertEqual([row["name"] for row in epochs.evaluation], ["scores", "ranks"])
            self.assertEqual(len(epochs.replays), 8)
            self.assertEqual(epochs.steps, 1 + 4 + skipped)
        for count in (1, 3):
            with self.assertRaisesRegex(SystemExit, "it takes two"):
                self.epochs(count)

    def test_rows_brought_up_to_date_count_to_the_plan(self):
        epochs = self.epochs(2, end=[launch("_Z20adam_catch_up_kernelv")])
        self.assertEqual([row["name"] for row in epochs.plan], ["plan", "fill", "adam_catch_up"])
        self.assertEqual([row["name"] for row in epochs.evaluation], ["scores", "ranks"])

    def test_summary_of_a_case(self):
        row, text = profile.report_epochs("title", self.epochs(2), {"one": 7.0})
        # 2 launches of 2 us, 5 steps, a plan of a launch and a fill, an evaluation of 2 launches
        self.assertEqual(row[:6], ["title", "2", "0", "0", "4", "5"])
        self.assertEqual(row[6:], ["0.004", "0.02", "0.024", "0.024", "0.004"])
        self.assertRegex(text, r"\| `one` \| 1 \|.*\| 7 \|\n")

    def test_a_benchmark_s_last_call(self):
        wait = {"wait": "cudaStreamSynchronize"}
        one, two = launch("_Z3onev"), launch("_Z3twov")
        rows = self.profile_of(launch(), wait, one, two, wait, one, two, one, two, wait, wait)
        self.assertEqual([r["name"] for r in profile.last_call(rows, 2)], ["one", "two"])

    def test_registers_belong_to_the_mangled_name(self):
        (row,) = self.profile_of(launch())
        self.assertEqual((row["name"], row["registers"]), ("add", 40))


class Running(unittest.TestCase):
    def test_a_killed_program_names_the_cure(self):
        killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        with self.assertRaisesRegex(SystemExit, "--jobs 1"):
            profile.run([sys.executable, "-c", killed])


@unittest.skipUnless(
    os.environ.get("DERRD_PTX_BUILD"), "this build does not run on the PTX executor"
)
class Executor(unittest.TestCase):
    def test_counts(self):
        program = Path(os.environ["DERRD_PTX_BUILD"]) / "tests" / "ptx_executor" / "ptx_counts"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "p.jsonl"
            options = {"PTX_EXECUTOR_PROFILE": str(path), "PTX_EXECUTOR_REPLAYS": "2"}
            subprocess.run([program], check=True, capture_output=True, env=os.environ | options)
            rows = profile.read_profile(path, GPU, {})
        by_name = {row["name"]: row for row in rows if "name" in row and "replay" not in row}

        def counts(name, *keys):
            return [by_name[name][key] for key in keys]

        # Of four blocks the first one's loads miss L1; what the host filled is not yet in L2.
        sectors = ["load_sectors", "loaded_footprint", "store_sectors", "stored_footprint"]
        self.assertEqual(counts("load_same", "loads", "stores", *sectors), [4, 4, 16, 4, 16, 16])
        self.assertEqual(counts("load_same", "l2_sectors", "memory_sectors"), [4 + 16, 4])
        self.assertEqual(counts("conflict", "shared_requests", "shared_conflicts"), [2, 15])
        longest, all_warps = counts("uneven", "longest_warp", "warp_instructions")
        self.assertGreater(longest, 300)
        self.assertLess(all_warps, longest + 60)
        # A chain with a branch, executed twice and skipped once.
        nodes = [(r["replay"], r["node"], r["after"]) for r in rows if "replay" in r]
        shape = [(0, []), (1, [0]), (2, [0]), (3, [1, 2])]
        self.assertEqual(nodes, [(replay, *node) for replay in (1, 2) for node in shape])
        self.assertEqual(sum("skipped" in row for row in rows), 1)


@unittest.skipUnless(
    os.environ.get("DERRD_PTX_BUILD"), "this build does not run on the PTX executor"
)
class Training(unittest.TestCase):
    def test_trains_and_predicts(self):
        build = Path(os.environ["DERRD_PTX_BUILD"])
        with tempfile.TemporaryDirectory() as folder:
            data, report = Path(folder) / "data.safetensors", Path(folder) / "report.md"
            size = ["--users", "100", "--items", "300", "--interactions", "5000"]
            synthesize = [build / "apps" / "derrd", "synthesize", *size, "--candidates", "50"]
            subprocess.run([*synthesize, "-o", data], check=True, capture_output=True)
            command = [sys.executable, SCRIPT, "--build", build, "--data", data, "--output", report]
            subprocess.run([*command, "--cases", "student"], check=True, capture_output=True)
            text = report.read_text()
        self.assertIn("predicted for one H200", text)
        self.assertRegex(text, r"\| BPR student, d = 20 \| [4-9] \| 0 \| 0 \| ")
        self.assertRegex(text, r"\| `bpr_forward\w*` \| 1 \| ")
        self.assertRegex(text, r"\| `leave_one_out\w*` \| \d ")


if __name__ == "__main__":
    unittest.main()
