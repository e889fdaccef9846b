#!/usr/bin/python3
"""What grows and who holds it: diff, holds and why, on programs that know the answer.

usage: growth_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from heapscan_cli import fixture, run, run_suites, why_ptrace_is_refused
from validate_json import parse, violations

DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs"
OPTIONS = argparse.Namespace(heapscan="", fixtures="")
PTRACE_REFUSED = why_ptrace_is_refused()
NO_GCORE = None if shutil.which("gcore") else "gcore is not installed (package gdb)"

needs_ptrace = unittest.skipIf(PTRACE_REFUSED, PTRACE_REFUSED)
needs_gcore = unittest.skipIf(PTRACE_REFUSED or NO_GCORE, PTRACE_REFUSED or NO_GCORE)

# fixtures/programs/growth.c
QUEUED, CACHED, FORGOTTEN = 1000, 400, 80
JOB, PAYLOAD, ENTRY, TICKET, DISGUISED = 40, 104, 72, 120, 3000


class GrowthTest(unittest.TestCase):
    maxDiff = None

    def folder(self):
        folder = tempfile.TemporaryDirectory(prefix="heapscan-test-")
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)

    def growing(self):
        return fixture(os.path.join(OPTIONS.fixtures, "fixture_growth"))

    def grow(self, program, steps=1, byte=b"."):
        for _ in range(steps):
            program.process.stdin.write(byte)
            program.process.stdin.flush()
            program.read_truth()

    def core_of(self, program, path):
        subprocess.run(["gcore", "-o", path, str(program.pid)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return f"{path}.{program.pid}"

    def heapscan(self, *words):
        return run(OPTIONS.heapscan, *words)

    def snapshot_of(self, program, path, *options):
        result = self.heapscan("snapshot", program.pid, "-o", path, *options)
        self.assertEqual(result.code, 0, result.err)
        return path

    def json_of(self, schema, *words, code=0):
        result = self.heapscan(*words, "--format", "json")
        self.assertEqual((result.code, result.err), (code, ""))
        value = parse(result.out)
        rules = parse((DOCS / f"{schema}.schema.json").read_text(encoding="utf-8"))
        self.assertEqual(violations(rules, value), [])
        return value


def resident_bytes(pid, begin, end):
    """Of the mappings of a process that lie in that range."""
    resident, is_in = 0, False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for line in file:
            mapping = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if mapping:
                is_in = begin <= int(mapping[1], 16) and int(mapping[2], 16) <= end
            elif is_in and line.startswith("Rss:"):
                resident += int(line.split()[1]) * 1024
    return resident


def total(blocks, size):
    return {"blocks": blocks, "bytes": blocks * size}


class Diff(GrowthTest):
    def assert_sums(self, change):
        """What there was, less what is gone, is what there is, less what was born."""
        for unit in ("blocks", "bytes"):
            self.assertEqual(change["before"][unit] - change["gone"][unit],
                             change["after"][unit] - change["born"][unit], unit)
            self.assertEqual(change["after"][unit] - change["born"][unit],
                             change["unchanged"][unit] + change["changed"][unit], unit)

    def group(self, report, size, name):
        found = [g for g in report["groups"] if name in g["label"]]
        self.assertEqual(len(found), 1, [(g["label"], g["change"]["after"]) for g in report["groups"]])
        self.assertEqual(found[0]["change"]["after"]["bytes"], found[0]["change"]["after"]["blocks"] * size)
        return found[0]

    @needs_gcore
    def test_of_two_cores_tells_growth_from_churn_and_leaks(self):
        folder = self.folder()
        with self.growing() as program:
            before = self.core_of(program, folder / "before")
            self.grow(program, 3)
            after = self.core_of(program, folder / "after")
        report = self.json_of("diff", "diff", before, after, "-n", 100, code=1)
        self.assertTrue(report["same_process"], report["why_not_same"])
        self.assert_sums(report["total"])
        for group in report["groups"]:
            self.assert_sums(group["change"])

        jobs = self.group(report, JOB, "struct job")
        self.assertEqual(jobs["change"]["born"], total(3 * QUEUED, JOB))
        self.assertEqual(jobs["change"]["gone"], total(0, JOB))
        self.assertEqual(jobs["change"]["after"], total(4 * QUEUED, JOB))
        self.assertEqual(jobs["holder"], "fixture_growth: queue")
        self.assertTrue(jobs["suspect"])

        entries = self.group(report, ENTRY, "struct entry")
        self.assertEqual(entries["change"]["after"], total(CACHED, ENTRY))
        self.assertEqual(entries["growth_bytes"], 0)
        self.assertFalse(entries["suspect"])

        self.assertEqual(report["total"]["newly_lost"], total(3 * FORGOTTEN, TICKET))
        self.assertEqual(report["total"]["confirmed"], total(FORGOTTEN, TICKET))
        self.assertEqual(report["total"]["written_since"]["blocks"], 1)
        self.assertFalse([g for g in report["groups"] if "struct setting" in g["label"]], "they never change")

    @needs_gcore
    def test_ids_and_labels_of_a_kind_that_grows_stay(self):
        folder = self.folder()
        with self.growing() as program:
            reports = []
            for look in ("one", "two", "three"):
                core = self.core_of(program, folder / look)
                reports.append(self.json_of("report", "core", core, "--kinds", "reachable", "-n", 50, code=1))
                self.grow(program, 4)
        kinds = [{(g["id"], g["label"]) for g in report["leaks"] if "struct" in g["label"]} for report in reports]
        self.assertEqual(kinds[0], kinds[1])
        self.assertEqual(kinds[0], kinds[2])

    @needs_gcore
    def test_of_several_looks_says_in_how_many_intervals_each_kind_grew(self):
        folder = self.folder()
        with self.growing() as program:
            looks = []
            for look in ("one", "two", "three"):
                looks.append(self.core_of(program, folder / look))
                self.grow(program)
        report = self.json_of("diff", "diff", *looks, "-n", 100, code=1)
        self.assertEqual(report["intervals"], 2)
        self.assertEqual(self.group(report, JOB, "struct job")["grew_in_intervals"], 2)
        self.assertEqual(self.group(report, ENTRY, "struct entry")["grew_in_intervals"], 0)

    @needs_gcore
    def test_the_last_look_may_be_the_process_itself(self):
        with self.growing() as program:
            before = self.core_of(program, self.folder() / "before")
            self.grow(program)
            report = self.json_of("diff", "diff", before, program.pid, "-n", 100, code=1)
        self.assertTrue(report["same_process"])
        self.assertEqual(self.group(report, JOB, "struct job")["change"]["born"], total(QUEUED, JOB))

    @needs_ptrace
    def test_of_snapshots_whatever_they_keep(self):
        """What a look without contents left out still tells whether a block was written to."""
        folder = self.folder()
        before, after = {}, {}
        with self.growing() as program:
            for kept in ("full", "pointers"):
                before[kept] = self.snapshot_of(program, folder / f"before.{kept}", "--content", kept)
            self.grow(program, 3)
            for kept in ("full", "pointers"):
                after[kept] = self.snapshot_of(program, folder / f"after.{kept}", "--content", kept)
            totals = {}
            for first in before:
                for second in after:
                    report = self.json_of("diff", "diff", before[first], after[second], "-n", 100, code=1)
                    self.assertTrue(report["same_process"], report["why_not_same"])
                    totals[first, second] = report["total"]
                report = self.json_of("diff", "diff", before[first], program.pid, "-n", 100, code=1)
                totals[first, "live"] = report["total"]
        for looks, sums in totals.items():
            with self.subTest(looks=looks):
                self.assertEqual(sums["confirmed"], total(FORGOTTEN, TICKET))
                self.assertEqual(sums["newly_lost"], total(3 * FORGOTTEN, TICKET))
                self.assertEqual(sums["written_since"]["blocks"], 1)
                self.assertEqual(sums["born"], totals["full", "full"]["born"])
                self.assertEqual(sums["unchanged"], totals["full", "full"]["unchanged"])

    @needs_gcore
    def test_of_a_look_with_itself_nothing_changes(self):
        with self.growing() as program:
            core = self.core_of(program, self.folder() / "core")
        report = self.json_of("diff", "diff", core, core, code=1)
        self.assertEqual(report["groups"], [])
        self.assertEqual(report["total"]["before"], report["total"]["after"])
        self.assertEqual(report["total"]["confirmed"],
                         {"blocks": FORGOTTEN + 1, "bytes": FORGOTTEN * TICKET + DISGUISED})
        self.assertTrue(all(cause["before_bytes"] == cause["after_bytes"] for cause in report["causes"]))

    @needs_gcore
    def test_of_two_runs_compares_kinds(self):
        folder = self.folder()
        with self.growing() as program:
            before = self.core_of(program, folder / "before")
        with self.growing() as program:
            self.grow(program, 2)
            after = self.core_of(program, folder / "after")
        report = self.json_of("diff", "diff", before, after, "-n", 100, code=1)
        self.assertFalse(report["same_process"])
        self.assertEqual(report["why_not_same"], "they are of two runs of the program")
        jobs = self.group(report, JOB, "struct job")["change"]
        self.assertEqual((jobs["before"], jobs["after"]), (total(QUEUED, JOB), total(3 * QUEUED, JOB)))
        text = self.heapscan("diff", before, after).out
        self.assertIn("compared    by kinds of blocks only: they are of two runs of the program", text)

    @needs_gcore
    @needs_ptrace
    def test_headers_of_blocks_are_not_kept_free(self):
        steps = 20
        with self.growing() as program:
            before = self.snapshot_of(program, self.folder() / "before")
            self.grow(program, steps)
            causes = self.json_of("diff", "diff", before, program.pid, code=1)["causes"]
        grew = {row["cause"]: row["after_bytes"] - row["before_bytes"] for row in causes}
        # Of each step 1,000 jobs of 40 bytes with texts of 104, 8 bytes of malloc's in front of each.
        self.assertGreaterEqual(grew["held by the program"], steps * 1000 * (40 + 104 + 2 * 8))
        self.assertLess(grew["kept free by malloc"], 200 * 1024)

    def test_the_text_begins_with_what_explains_the_growth(self):
        folder = self.folder()
        with self.growing() as program:
            before = self.core_of(program, folder / "before")
            self.grow(program, 3)
            after = self.core_of(program, folder / "after")
        result = self.heapscan("diff", before, after)
        self.assertEqual((result.code, result.err), (1, ""))
        lines = result.out.splitlines()
        self.assertRegex(lines[0], r"^heapscan: .*before\.\d+ → .*after\.\d+ \(fixture_growth\), .* later$")
        self.assertRegex(lines[1], r"^memory +\+.* mapped.*: .*held by the program")
        self.assertIn("confirmed   9.4 KiB in 80 blocks unreachable both times, not a byte changed", result.out)
        self.assertIn("suspect: held, growing, and what was there was not written to since", result.out)
        self.assertNotIn("struct entry", result.out, "one is replaced at each step")
        self.assertIn("  1 more group did not grow: blocks of it were freed, and as many born\n", result.out)

    @needs_ptrace
    def test_what_leaks_stands_before_what_grows_faster(self):
        folder = self.folder()
        with self.growing() as program:
            before = self.snapshot_of(program, folder / "before")
            self.grow(program, 3)
            groups = self.json_of("diff", "diff", before, program.pid, code=1)["groups"]
        self.assertEqual(groups[0]["change"]["lost_now"], total(4 * FORGOTTEN, TICKET))
        growth = [group["growth_bytes"] for group in groups]
        self.assertLess(growth[0], growth[1])
        self.assertEqual(growth[1:], sorted(growth[1:], reverse=True))

    @needs_ptrace
    def test_what_leaks_without_growing_is_named(self):
        folder = self.folder()
        with self.growing() as program:
            before = self.snapshot_of(program, folder / "before")
            self.grow(program, byte=b"f")
            groups = self.json_of("diff", "diff", before, program.pid, code=1)["groups"]
        self.assertEqual([(g["label"], g["growth_bytes"], g["change"]["lost_now"]["blocks"]) for g in groups],
                         [("struct setting", 0, 300)])

    def test_one_look_is_too_few(self):
        result = self.heapscan("diff", __file__)
        self.assertEqual((result.code, result.out), (2, ""))
        self.assertIn("diff compares two looks or more", result.err)


class Holds(GrowthTest):
    @needs_ptrace
    def test_the_variable_that_holds_the_queue(self):
        with self.growing() as program:
            self.grow(program, 4)
            report = self.json_of("holds", "holds", program.pid)
            below = self.json_of("holds", "holds", program.pid, "queue")
            by_address = self.json_of("holds", "holds", program.pid, below["tree"][0]["address"])
        rows = report["tree"]
        queue = [row for row in rows if row["name"] == "queue"]
        self.assertEqual(len(queue), 1, rows)
        self.assertEqual(queue[0]["type"], "struct job_queue")
        self.assertEqual(queue[0]["retained"], {"blocks": 10 * QUEUED, "bytes": 5 * QUEUED * (JOB + PAYLOAD)})
        self.assertEqual(rows[queue[0]["parent"]]["name"], "fixture_growth")
        jobs = [row for row in rows if "struct job" in row["name"] and row["kind"] == "blocks"]
        self.assertEqual([(row["own"], row["repeats"]) for row in jobs], [(total(5 * QUEUED, JOB), True)])
        self.assertEqual(below["tree"][0]["name"], "queue")
        self.assertEqual(below["tree"][0]["retained"], queue[0]["retained"])
        self.assertEqual(by_address["tree"], below["tree"])
        self.assertEqual(rows[0]["retained"], report["live"])

    @needs_ptrace
    def test_the_first_screen_says_what_holds_most_when_little_is_lost(self):
        with self.growing() as program:
            self.grow(program, 4)
            result = self.heapscan("attach", program.pid)
        self.assertRegex(result.out, r"(?m)^held +[\d.]+ KiB in [\d,]+ blocks; most of it is reachable only through$")
        self.assertRegex(result.out, r"(?m)^ +703\.1 KiB +\d+ %  fixture_growth: queue$")
        self.assertIn(f"  what they hold: heapscan holds {program.pid}\n", result.out)

    @needs_ptrace
    def test_a_holder_that_is_not_there(self):
        with self.growing() as program:
            result = self.heapscan("holds", program.pid, "quue")
        self.assertEqual((result.code, result.out), (2, ""))
        self.assertIn("there is no root or group quue that holds anything; the largest roots are "
                      "fixture_growth: queue", result.err)

    @needs_ptrace
    def test_of_reserved_memory_what_was_touched(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_reservations")) as program:
            begin, size = next((int(words[1], 16), int(words[2])) for words in program.truth
                               if words[0] == "mapping" and words[3] == "live")
            live = self.json_of("holds", "holds", program.pid, "-n", 50)
            snapshot = self.snapshot_of(program, self.folder() / "look")
            (why,) = self.json_of("why", "why", program.pid, hex(begin))["answers"]
            text = self.heapscan("why", program.pid, hex(begin)).out
            touched = resident_bytes(program.pid, begin, begin + size)
        row = next(row for row in live["tree"] if row["address"] and int(row["address"], 16) == begin)
        self.assertLess(touched, size)
        self.assertEqual(row["own"], {"blocks": 1, "bytes": touched})
        for block in (why["block"], why["paths"][0]["steps"][-1]):
            self.assertEqual((block["size"], block["resident"]), (size, touched))
        self.assertRegex(text, r"(?m)^0x[0-9a-f]+  [\d.]+ \w+, [\d.]+ \w+ of it resident, .*reachable")
        self.assertEqual(live["tree"][row["parent"]]["name"], "arena_base")
        again = self.json_of("holds", "holds", snapshot, "-n", 50)
        self.assertEqual([(row["name"], row["own"], row["retained"]) for row in again["tree"]],
                         [(row["name"], row["own"], row["retained"]) for row in live["tree"]])

    @needs_ptrace
    def test_what_all_memory_is_used_for_adds_up(self):
        with self.growing() as program:
            report = self.json_of("report", "attach", program.pid, code=1)
            resident = 0
            with open(f"/proc/{program.pid}/smaps_rollup", encoding="ascii") as file:
                for line in file:
                    if line.startswith("Rss:"):
                        resident = int(line.split()[1]) * 1024
        memory = report["memory"]
        self.assertEqual(sum(use["resident_bytes"] for use in memory["uses"]), memory["resident_bytes"])
        self.assertEqual(sum(use["mapped_bytes"] for use in memory["uses"]), memory["mapped_bytes"])
        self.assertLess(abs(memory["resident_bytes"] - resident), 64 * 1024)
        uses = {use["use"]: use for use in memory["uses"]}
        self.assertEqual(uses["malloc leaked"]["mapped_bytes"],
                         sum(report["totals"]["verdicts"][verdict]["bytes"] for verdict in ("definite", "indirect")))


class Words(GrowthTest):
    """What all commands have in common."""

    @needs_ptrace
    def test_timing_goes_into_the_report(self):
        with self.growing() as program:
            snapshot = self.snapshot_of(program, self.folder() / "snapshot")
            for words in (["holds", program.pid], ["why", program.pid, "0x10"], ["diff", snapshot, program.pid]):
                with self.subTest(words=words):
                    result = self.heapscan(*words, "--timing")
                    self.assertEqual(result.err, "")
                    self.assertRegex(result.out, r"(?ms)^timing\n.*walk heap .*^  total ")
                    code = 1 if words[0] == "diff" else 0
                    timing = self.json_of(words[0], *words, "--timing", code=code)["timing"]
                    self.assertTrue([phase for phase in timing if phase.endswith("walk heap")])
                    self.assertIn("report", timing)
                    self.assertEqual(self.json_of(words[0], *words, code=code)["timing"], {})


class Why(GrowthTest):
    @needs_ptrace
    def test_the_way_to_a_block_member_by_member(self):
        with self.growing() as program:
            blocks = parse(self.heapscan("attach", program.pid, "--blocks", "all", "--format", "json").out)["blocks"]
            payloads = [b["address"] for b in blocks if b["size"] == PAYLOAD and b["verdict"] == "reachable"]
            lost = [b["address"] for b in blocks if b["size"] == TICKET and b["verdict"] == "definite"]
            self.assertEqual((len(payloads), len(lost)), (QUEUED, FORGOTTEN))
            report = self.json_of("why", "why", program.pid, payloads[1], lost[0], "0x10")
            text = self.heapscan("why", program.pid, payloads[1])
        way, gone, nowhere = report["answers"]
        self.assertEqual([path["root"] for path in way["paths"]], ["queue"])
        self.assertEqual(way["paths"][0]["owner"], "fixture_growth")
        self.assertEqual([step["member"] for step in way["paths"][0]["steps"]], ["first", "next", "payload"])
        self.assertEqual(way["paths"][0]["steps"][-1]["address"], payloads[1])
        self.assertEqual(way["block"]["state"], "reachable")
        self.assertEqual((gone["paths"], gone["block"]["state"]), ([], "definite"))
        self.assertIn("no pointer to", gone["evidence"][-1])
        self.assertEqual((nowhere["block"], nowhere["place"]), (None, "not mapped"))
        self.assertRegex(text.out, r"(?m)^  from queue of fixture_growth, at 0x[0-9a-f]+$")
        self.assertRegex(text.out, r"(?m)^    payload → 0x[0-9a-f]+, 104 B, char\[\]$")

    @needs_ptrace
    def test_a_long_list_is_a_few_rows(self):
        with self.growing() as program:
            blocks = parse(self.heapscan("attach", program.pid, "--blocks", "all", "--format", "json").out)["blocks"]
            jobs = [b["address"] for b in blocks if b["size"] == JOB and b["verdict"] == "reachable"]
            steps = self.json_of("why", "why", program.pid, jobs[900])["answers"][0]["paths"][0]["steps"]
        self.assertLess(len(steps), 8)
        self.assertEqual(sum(step["times"] for step in steps), 901)

    def test_an_address_has_to_be_one(self):
        result = self.heapscan("why", __file__, "main")
        self.assertEqual((result.code, result.out), (2, ""))
        self.assertIn('"main" is no address', result.err)


def main(usage, module, names):
    return run_suites(OPTIONS, usage, sys.modules[module], names)


if __name__ == "__main__":
    sys.exit(main(__doc__, __name__, ["Diff", "Holds", "Words", "Why"]))
