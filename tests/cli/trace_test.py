#!/usr/bin/python3
"""heapscan trace as a user meets it, on a program that forgets what some of its functions allocate.

No test sleeps: heapscan says when its probes are in place, the program when a round is over, and SIGTERM ends the trace (a shell may have SIGINT ignored).

usage: trace_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import ctypes
import gzip
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import unittest

import growth_test
from growth_test import DOCS, GrowthTest, OPTIONS, PTRACE_REFUSED
from heapscan_cli import PATIENCE, fixture, healthy_process
from pprof_profile import Profile
from validate_json import parse, violations

# fixtures/programs/traced.c, traced_library.c
ROUND, TICKET, JOB, ALIGNED, GROWN, RECORD = 100, 264, 488, 1032, 2056, 776
MOST_ALIGNED = ALIGNED + 32  # glibc leaves what is too small to be split off
LONG = 600  # seconds; SIGTERM comes first


def why_probes_are_refused():
    """The reason why no process can be traced here; None when one can."""
    if PTRACE_REFUSED:
        return PTRACE_REFUSED
    if not os.path.exists("/sys/bus/event_source/devices/uprobe/type"):
        return "this kernel has no uprobes"
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = (ctypes.c_uint32 * 32)(2, 4, 8, 1)  # an array of one: key of 4 bytes, value of 8
    sys_bpf, map_create = 321, 0
    descriptor = libc.syscall(sys_bpf, map_create, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if descriptor < 0:
        return f"bpf() is refused: {os.strerror(ctypes.get_errno())}"
    os.close(descriptor)
    with open("/proc/self/status", encoding="ascii") as status:
        effective = int(next(line for line in status if line.startswith("CapEff")).split()[1], 16)
    cap_sys_admin, cap_perfmon, cap_bpf = 21, 38, 39
    if effective & 1 << cap_sys_admin or effective & 1 << cap_perfmon and effective & 1 << cap_bpf:
        return None
    return "probes need root, or CAP_BPF and CAP_PERFMON"


PROBES_REFUSED = why_probes_are_refused()
needs_probes = unittest.skipIf(PROBES_REFUSED, PROBES_REFUSED)


def code_of_libc(pid):
    """As the process has it."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        begin, end = next(line for line in maps if re.search(r" r-xp .*/libc[.-]", line)).split()[0].split("-")
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(int(begin, 16))
        return memory.read(int(end, 16) - int(begin, 16))


class Tracing:
    """heapscan trace, with its probes in place."""

    def __init__(self, test, pid, *words):
        self.test = test
        self.process = subprocess.Popen(
            [OPTIONS.heapscan, "trace", str(pid), str(LONG), *[str(word) for word in words]], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        test.addCleanup(self.end)
        line = self.process.stderr.readline().decode()
        if "tracing pid" not in line:
            raise AssertionError(line + self.process.stderr.read().decode())

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def finish(self, code=1):
        """What it writes, once it has been told to end."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=PATIENCE)
        self.test.assertEqual((self.process.returncode, err), (code, b""), out)
        return out


def libraries_of(program):
    listed = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE).stdout.decode()
    return re.findall(r"(/\S+) \(0x", listed)


class TraceTest(GrowthTest):
    program = "fixture_traced"

    def traced(self, program=None):
        return fixture(os.path.join(OPTIONS.fixtures, program or self.program),
                       os.path.join(OPTIONS.fixtures, "traced_library.so"))

    def trace(self, program, *words):
        return Tracing(self, program.pid, *words)

    def report(self, program, *words, rounds=1):
        """In JSON, of so many rounds."""
        tracing = self.trace(program, "--format", "json", *words)
        self.grow(program, rounds)
        value = parse(tracing.finish().decode())
        rules = parse((DOCS / "trace.schema.json").read_text(encoding="utf-8"))
        self.assertEqual(violations(rules, value), [])
        return value

    def stacks(self, report, function):
        """Those of which the first frame that is not inlined is of that function."""
        return [s for s in report["stacks"]
                if next(f for f in s["frames"] if not f["inlined"])["function"] == function]

    def stack(self, report, function):
        found = self.stacks(report, function)
        self.assertEqual(len(found), 1, [[f["function"] for f in s["frames"]] for s in report["stacks"]])
        return found[0]

    def assert_fates(self, stack, size, definite=0, indirect=0, possible=0, reachable=0, freed=0):
        for fate, blocks in (("definite", definite), ("indirect", indirect), ("possible", possible),
                             ("reachable", reachable), ("freed", freed)):
            self.assertEqual(stack[fate], {"blocks": blocks, "bytes": blocks * size}, fate)

    def assert_aligned_are_lost(self, stack, blocks):
        self.assertEqual(stack["definite"]["blocks"], blocks)
        self.assertTrue(blocks * ALIGNED <= stack["definite"]["bytes"] <= blocks * MOST_ALIGNED, stack)
        self.assertEqual([stack[fate]["blocks"] for fate in ("indirect", "possible", "reachable", "freed")], [0] * 4)


@needs_probes
class TraceStacks(TraceTest):
    def test_tell_what_became_of_the_blocks(self):
        with self.traced() as program:
            self.grow(program)  # what came before is not counted
            report = self.report(program, rounds=2)  # of more, not all might be recorded
        self.assert_fates(self.stack(report, "forget_ticket"), TICKET, definite=2 * ROUND)
        self.assert_fates(self.stack(report, "keep_ticket"), TICKET, reachable=2 * ROUND)
        self.assert_fates(self.stack(report, "use_ticket"), TICKET, freed=2 * ROUND)
        self.assert_aligned_are_lost(self.stack(report, "forget_aligned"), 2 * ROUND)
        self.assertEqual(report["lost_records"], 0)
        self.assertEqual(report["one_in"], 1)
        self.assertEqual([f["function"] for f in self.stack(report, "forget_aligned")["frames"]][:3],
                         ["forget_aligned", "step", "main"])

    def test_of_blocks_that_grow_name_the_call_that_grew_them(self):
        with self.traced() as program:
            report = self.report(program)
        first, grown = sorted(self.stacks(report, "forget_grown"), key=lambda s: s["freed"]["blocks"], reverse=True)
        self.assert_fates(grown, GROWN, definite=ROUND)
        self.assertEqual(first["freed"]["blocks"] + grown["freed"]["blocks"], ROUND, "each was of 40 bytes once")

    def test_name_functions_that_were_inlined_and_their_lines(self):
        with self.traced() as program:
            stack = self.stack(self.report(program), "forget_ticket")
        source = (pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "programs" / "traced.c").read_text().split("\n")
        inlined, around = stack["frames"][:2]
        self.assertEqual((inlined["function"], inlined["inlined"], around["inlined"]), ("new_ticket", True, False))
        self.assertIn("malloc(TICKET)", source[inlined["line"] - 1])
        self.assertIn("new_ticket(number)", source[around["line"] - 1])
        self.assertTrue(around["file"].endswith("traced.c"))

    def test_of_threads_end_where_those_began(self):
        with self.traced() as program:
            stack = self.stack(self.report(program), "forget_job")
        self.assert_fates(stack, JOB, definite=ROUND)
        self.assertEqual(stack["frames"][1]["function"], "work_in_thread")
        self.assertTrue(stack["whole"])
        self.assertNotIn("main", [f["function"] for f in stack["frames"]])

    def test_of_a_library_that_is_loaded_meanwhile(self):
        with self.traced() as program:
            stack = self.stack(self.report(program), "forget_record")
        self.assert_fates(stack, RECORD, definite=ROUND)
        self.assertEqual([f["function"] for f in stack["frames"]][:4], ["forget_record", "library_round", "step", "main"])
        self.assertTrue(stack["frames"][0]["module"].endswith("traced_library.so"))

    def test_of_a_stripped_program_without_frame_pointers(self):
        functions = {}
        table = subprocess.run(["nm", "-S", os.path.join(OPTIONS.fixtures, "fixture_traced_optimized")], check=True,
                               stdout=subprocess.PIPE).stdout.decode()
        for line in table.splitlines():
            words = line.split()
            if len(words) == 4:
                functions[words[3]] = range(int(words[0], 16), int(words[0], 16) + int(words[1], 16))
        with self.traced("fixture_traced_stripped") as program:
            report = self.report(program, "--size", TICKET)
        lost = [s for s in report["stacks"] if s["definite"]["blocks"]]
        self.assertEqual(len(lost), 1)
        self.assert_fates(lost[0], TICKET, definite=ROUND)
        self.assertIsNone(lost[0]["frames"][0]["function"])
        self.assertTrue(lost[0]["frames"][0]["module"].endswith("fixture_traced_stripped"))
        self.assertTrue(lost[0]["whole"])
        path = [next((name for name, code in functions.items() if int(f["module_address"], 16) in code), None)
                for f in lost[0]["frames"] if f["module"].endswith("fixture_traced_stripped")]
        self.assertEqual(path[0], "forget_ticket")
        self.assertEqual(path[-1], "_start")

    def test_of_a_static_program(self):
        with self.traced("fixture_traced_static") as program:
            report = self.report(program, "--size", TICKET)
        # Its heap lies low, where the links that malloc leaves in freed blocks, as it scrambles them, can
        # lead into the middle of blocks: then one that was forgotten hangs below another, or may be in use.
        forgotten = self.stack(report, "forget_ticket")
        below, possible = (forgotten[fate]["blocks"] for fate in ("indirect", "possible"))
        self.assertLess(below + possible, ROUND / 10)
        self.assert_fates(forgotten, TICKET, definite=ROUND - below - possible, indirect=below, possible=possible)
        self.assert_fates(self.stack(report, "use_ticket"), TICKET, freed=ROUND)

    def test_by_a_heapscan_that_a_loader_of_its_own_has_started(self):
        with self.traced() as program:
            done = subprocess.run(["/lib64/ld-linux-x86-64.so.2", OPTIONS.heapscan, "trace", str(program.pid), "1"],
                                  capture_output=True, text=True, check=False)
        self.assertIn(f"tracing pid {program.pid} ", done.stderr)
        self.assertNotIn("no probe on a function of its own", done.stderr)
        self.assertIn("recorded ", done.stdout)

    def test_of_a_program_below_another_root_whose_files_are_gone(self):
        if os.geteuid() != 0:
            self.skipTest("chroot takes root")
        root = self.folder()
        program = os.path.join(OPTIONS.fixtures, self.program)
        for path in {program, os.path.join(OPTIONS.fixtures, "traced_library.so"), *libraries_of(program)}:
            copy = root / path.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        with fixture("chroot", root, program, os.path.join(OPTIONS.fixtures, "traced_library.so")) as inside:
            self.grow(inside)
            shutil.rmtree(root)
            root.mkdir()
            report = self.report(inside)
        self.assert_fates(self.stack(report, "forget_ticket"), TICKET, definite=ROUND)
        self.assert_fates(self.stack(report, "forget_record"), RECORD, definite=ROUND)


@needs_probes
class TraceSelection(TraceTest):
    def test_by_size(self):
        with self.traced() as program:
            report = self.report(program, "--size", f"{JOB}-{RECORD}")
        self.assertEqual(report["sizes"], {"least": JOB, "most": RECORD})
        self.assertEqual({s["frames"][0]["function"] for s in report["stacks"]}, {"forget_job", "forget_record"})
        self.assertEqual(report["recorded"], 2 * ROUND)
        self.assertGreater(report["calls"], 5 * ROUND)

    def test_by_group(self):
        with self.traced() as program:
            self.grow(program)
            attached = self.json_of("report", "attach", program.pid, code=1)
            group = next(g for g in attached["leaks"] if ALIGNED <= g["sizes"][0]["size"] <= MOST_ALIGNED)
            sizes = [s["size"] for s in group["sizes"]]
            report = self.report(program, "--cluster", group["id"])
            refused = self.heapscan("trace", program.pid, 1, "--cluster", "ffffffffffffffff")
        self.assertEqual(report["sizes"], {"least": min(sizes), "most": max(sizes)})
        self.assert_aligned_are_lost(self.stack(report, "forget_aligned"), ROUND)
        self.assertEqual(refused.code, 2)
        self.assertIn("there is no group ffffffffffffffff", refused.err)

    def test_by_addresses(self):
        """Of a sample, numbers are estimates of all."""
        with self.traced() as program:
            report = self.report(program, "--sample", 4, "--size", TICKET, rounds=20)
        self.assertEqual(report["one_in"], 4)
        self.assertLess(report["recorded"], report["calls"] / 2)
        lost = self.stack(report, "forget_ticket")["definite"]["blocks"]
        self.assertEqual(lost % 4, 0)
        self.assertTrue(0.8 * 20 * ROUND < lost < 1.2 * 20 * ROUND, lost)


@needs_probes
class TraceFormats(TraceTest):
    def test_text(self):
        with self.traced() as program:
            tracing = self.trace(program, "--size", TICKET)
            self.grow(program)
            text = tracing.finish().decode()
        self.assertIn("(fixture_traced) traced for", text)
        self.assertIn(f"of {TICKET} B", text)
        self.assertIn(f"#1   25.8 KiB in {ROUND} blocks leaked", text)
        self.assertRegex(text, r"new_ticket \(.*traced.c:\d+\)  inlined\n +forget_ticket\+0x")
        self.assertRegex(text, r"slowdown +about \d+\.\d\d times as slow meanwhile: \d+\.\d us for each call|"
                               r"slowdown +\d+\.\d us for each call")
        self.assertIn("SUMMARY: 25.8 KiB definitely lost in 100 blocks", text)

    def test_folded_for_flame_graphs(self):
        with self.traced() as program:
            tracing = self.trace(program, "--size", TICKET, "--folded")
            self.grow(program)
            lines = tracing.finish().decode().splitlines()
        self.assertEqual(len(lines), 1)
        stack, weight = lines[0].rsplit(" ", 1)
        self.assertEqual(int(weight), ROUND * TICKET)
        self.assertEqual(stack.split(";")[0], "_start")
        self.assertEqual(stack.split(";")[-4:], ["main", "step", "forget_ticket", "new_ticket"])

    def test_folded_by_another_weight(self):
        with self.traced() as program:
            tracing = self.trace(program, "--size", TICKET, "--folded", "--weight", "freed")
            self.grow(program)
            lines = tracing.finish().decode().splitlines()
        self.assertTrue(any(line.endswith(f"use_ticket;new_ticket {ROUND * TICKET}") for line in lines), lines)

    def test_a_page(self):
        with self.traced() as program:
            tracing = self.trace(program, "--size", TICKET, "--format", "html")
            self.grow(program)
            page = tracing.finish().decode()
        tree = parse(re.search(r'id="tree">(.*?)</script>', page, re.DOTALL)[1])
        self.assertEqual([row["name"] for row in tree][-4:], ["main", "step", "forget_ticket", "new_ticket"])
        self.assertEqual(tree[0]["bytes"], ROUND * TICKET)
        report = parse(re.search(r'id="report">(.*?)</script>', page, re.DOTALL)[1])
        rules = parse((DOCS / "trace.schema.json").read_text(encoding="utf-8"))
        self.assertEqual(violations(rules, report), [])
        self.assertIn(f"25.8 KiB in {ROUND} blocks of what was allocated in", page)

    def test_pprof(self):
        path = self.folder() / "leak.pb.gz"
        with self.traced() as program:
            tracing = self.trace(program, "--size", TICKET, "--format", "pprof", "-o", path)
            self.grow(program)
            tracing.finish()
        profile = Profile(gzip.decompress(path.read_bytes()))
        self.assertEqual(profile.types, ["lost_blocks/count", "lost_bytes/bytes", "possible_blocks/count",
                                         "possible_bytes/bytes", "reachable_blocks/count", "reachable_bytes/bytes",
                                         "freed_blocks/count", "freed_bytes/bytes"])
        lost = [s for s in profile.samples if s[1][1]]
        self.assertEqual([s[1][:2] for s in lost], [[ROUND, ROUND * TICKET]])
        self.assertEqual(lost[0][0][:4], ["new_ticket", "forget_ticket", "step", "main"])
        self.assertEqual(profile.default, "lost_bytes")
        if shutil.which("go"):
            subprocess.run(["go", "tool", "pprof", "-top", str(path)], check=True, stdout=subprocess.DEVNULL)


@needs_probes
class TraceEnds(TraceTest):
    def test_killed_leaves_the_program_and_no_probe(self):
        with self.traced() as program:
            code = code_of_libc(program.pid)
            for _ in range(3):
                tracing = self.trace(program)
                self.assertNotEqual(code_of_libc(program.pid), code, "probes are breakpoints")
                program.process.stdin.write(b".")
                program.process.stdin.flush()
                tracing.process.kill()
                tracing.process.wait()
                self.assertEqual(code_of_libc(program.pid), code)
                program.read_truth()
            self.grow(program)
            report = self.report(program)
            self.assert_fates(self.stack(report, "forget_ticket"), TICKET, definite=ROUND)
            self.assertIsNone(program.process.poll())

    def test_after_its_time(self):
        with self.traced() as program:
            result = self.heapscan("trace", program.pid, "0.05", "--format", "json")
        self.assertEqual(result.code, 0, result.err)
        value = parse(result.out)
        self.assertEqual(value["ended"], "the time is over")
        self.assertEqual(value["notes"], ["no allocation function was called in that time"])

    def test_with_the_process(self):
        with self.traced() as program:
            tracing = self.trace(program)
            program.process.stdin.close()
            out, err = tracing.process.communicate(timeout=PATIENCE)
        self.assertEqual((tracing.process.returncode, out), (3, b""))
        self.assertIn(f"process {program.pid} ended, or became another program", err.decode())

    def test_when_it_costs_too_much(self):
        spin = "malloc = ctypes.CDLL(None).calloc\nwhile True: malloc(0, 0)"
        with subprocess.Popen([sys.executable, "-c", "import ctypes; print(flush=True)\n" + spin], stdout=subprocess.PIPE) as busy:
            try:
                busy.stdout.readline()
                result = self.heapscan("trace", busy.pid, LONG, "--max-slowdown", "1.01")
            finally:
                busy.kill()
        self.assertEqual(result.code, 1, result.err)
        self.assertIn("ended early, as the probes took", result.out)
        self.assertIn("--max-slowdown sets what is too much", result.out)


class TraceUsage(TraceTest):
    def refused(self, *words, code=2):
        result = self.heapscan("trace", *words)
        self.assertEqual((result.code, result.out), (code, ""), result.err)
        self.assertTrue(result.err.startswith("heapscan: "))
        return result.err

    def test_words_that_mean_nothing(self):
        self.assertIn("needs more words", self.refused())
        self.assertIn("SECONDS takes a number of seconds", self.refused(1, "soon"))
        self.assertIn("--size takes a size", self.refused(1, "--size", "big"))
        self.assertIn("--size 4k-1k is no range", self.refused(1, "--size", "4k-1k"))
        self.assertIn("--sample takes a number from 1", self.refused(1, "--sample", "0"))
        self.assertIn("--cluster takes the id of a group", self.refused(1, "--cluster", "x"))
        self.assertIn("both say which sizes", self.refused(1, "--cluster", "abcd", "--size", "8"))
        self.assertIn("--format takes one of text, json, html, folded, pprof", self.refused(1, "--format", "xml"))
        self.assertIn("--weight takes one of", self.refused(1, "--weight", "most"))

    def test_processes_that_are_not_there(self):
        self.assertIn("no process", self.refused(0x7fffffff, code=3))
        self.assertIn("no process is called", self.refused("no-such-program-here", code=3))

    @needs_probes
    def test_without_the_right_to(self):
        if os.geteuid() != 0 or not shutil.which("setpriv"):
            self.skipTest("giving up capabilities takes root and setpriv")
        with healthy_process() as process:
            done = subprocess.run(
                ["setpriv", "--bounding-set=-sys_admin,-perfmon,-bpf", "--inh-caps=-all", OPTIONS.heapscan, "trace",
                 str(process.pid), "0.01"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                timeout=PATIENCE, check=False)
        self.assertEqual((done.returncode, done.stdout), (3, b""), done.stderr)
        self.assertIn("cannot trace allocations: ", done.stderr.decode())
        self.assertIn("probes take root, or CAP_BPF and CAP_PERFMON", done.stderr.decode())

    @unittest.skipIf(PTRACE_REFUSED, PTRACE_REFUSED)
    def test_without_a_malloc_that_can_be_found(self):
        stripped = self.folder() / "stripped"
        subprocess.run(["strip", "-o", stripped, os.path.join(OPTIONS.fixtures, "fixture_traced_static")], check=True)
        with fixture(stripped, "no library") as program:
            self.assertIn("stripped has another C library, or is linked statically and stripped of its symbols",
                          self.refused(program.pid, code=4))

    def test_help_teaches(self):
        result = self.heapscan("trace", "--help")
        self.assertEqual(result.code, 0)
        for words in ("--cluster ID", "--size N[-M]", "--format pprof", "CAP_PERFMON", "flamegraph.pl", "Exit codes:"):
            self.assertIn(words, result.out)


if __name__ == "__main__":
    sys.exit(growth_test.main(__doc__, __name__,
                                    ["TraceStacks", "TraceSelection", "TraceFormats", "TraceEnds", "TraceUsage"]))
