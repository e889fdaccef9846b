#!/usr/bin/python3
"""Which code allocated what grew: --sites of diff and watch.

usage: growth_sites_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import os
import sys
import unittest

import growth_test
from growth_test import OPTIONS, PTRACE_REFUSED, GrowthTest
from heapscan_cli import fixture, run
from validate_json import parse

# Lines of fixtures/programs/sessions.c
SESSION = r"session_new\+0x[0-9a-f]+ \(sessions\.c:38\)"


@unittest.skipIf(PTRACE_REFUSED, PTRACE_REFUSED)
class GrowthSites(GrowthTest):
    def sessions(self, count):
        return fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions"), str(count))

    def grown(self):
        """Of two runs, the second with more sessions."""
        with self.sessions(100) as program:
            before = self.snapshot_of(program, self.folder() / "before")
        with self.sessions(300) as program:
            return before, self.snapshot_of(program, self.folder() / "after")

    def test_of_a_diff_are_those_of_the_later_look(self):
        before, after = self.grown()
        text = run(OPTIONS.heapscan, "diff", before, after, "--sites")
        self.assertEqual((text.code, text.err), (1, ""))
        self.assertRegex(
            text.out, rf"(?m)  struct session  .*\n(?: {{7}}.*\n)* {{7}}allocated by {SESSION}, almost certainly$")

        report = self.json_of("diff", "diff", before, after, "--sites", code=1)
        of_core = parse(self.heapscan("core", after, "--sites", "--kinds", "definite", "--format", "json").out)["leaks"]
        (session,) = [group for group in report["groups"] if group["label"] == "struct session"]
        (leak,) = [leak for leak in of_core if leak["label"] == "struct session"]
        for name in ("function", "source", "callee", "call_address"):
            self.assertEqual(session["site"][name], leak["sites"][0][name], name)

    def test_without_the_option_no_code_is_read(self):
        before, after = self.grown()
        report = self.json_of("diff", "diff", before, after, code=1)
        self.assertEqual({str(group["site"]) for group in report["groups"]}, {"None"})
        self.assertNotIn("allocated by", self.heapscan("diff", before, after).out)

    def test_lines_and_pages_have_them(self):
        before, after = self.grown()
        lines = [parse(line) for line in self.heapscan("diff", before, after, "--sites", "--format", "jsonl").out.splitlines()]
        sites = {line["site"] for line in lines if line.get("label") == "struct session"}
        self.assertEqual(len(sites), 1)
        self.assertRegex(sites.pop(), "^" + SESSION + "$")
        page = self.heapscan("diff", before, after, "--sites", "--format", "html").out
        self.assertRegex(page, "allocated by " + SESSION + ", ")

    def test_of_a_watch_are_in_its_report(self):
        with self.sessions(100) as program:
            result = self.heapscan("watch", program.pid, "0.01", "2", "--sites", "--format", "jsonl")
        groups = [line for line in map(parse, result.out.splitlines()) if line.get("label") == "struct session"]
        self.assertGreater(len(groups), 0)
        for group in groups:
            self.assertRegex(group["site"], SESSION)


if __name__ == "__main__":
    sys.exit(growth_test.main(__doc__, __name__, ["GrowthSites"]))
