#!/usr/bin/python3
"""heapscan on a build server: when it fails, what it leaves out, and the formats that servers read.

usage: gate_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
"""

import os
import shutil
import sys
import xml.etree.ElementTree

from jsonschema import Draft202012Validator

from cli_test import OPTIONS, SCHEMA, CliTest, main, needs_ptrace
from heapscan_cli import fixture
from validate_json import parse, violations

EVERYTHING = ("-n", "1000000000")

TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {"physicalLocation": {
        "type": "object",
        "required": ["artifactLocation"],
        "properties": {
            "artifactLocation": {"type": "object", "required": ["uri"],
                                 "properties": {"uri": {"type": "string", "pattern": r"^[!-~]+$"}}},
            "region": {"type": "object", "required": ["startLine"],
                       "properties": {"startLine": {"type": "integer", "minimum": 1}}}}}}}
RESULT = {
    "type": "object",
    "required": ["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"],
    "properties": {
        "ruleId": {"enum": ["definite-leak", "possible-leak"]},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "baselineState": {"enum": ["new", "unchanged", "updated", "absent"]},
        "message": TEXT,
        "locations": {"type": "array", "minItems": 1, "items": LOCATION},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}}}}
# What version 2.1.0 of SARIF asks of the parts that heapscan writes.
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "items": {
            "type": "object",
            "required": ["tool", "results"],
            "properties": {
                "tool": {"type": "object", "required": ["driver"], "properties": {"driver": {
                    "type": "object", "required": ["name", "rules"], "properties": {"rules": {"type": "array", "items": {
                        "type": "object", "required": ["id", "shortDescription"],
                        "properties": {"shortDescription": TEXT}}}}}}},
                "results": {"type": "array", "items": RESULT}}}}}}


class GateTest(CliTest):
    def looked_at(self, waiting, *options, code):
        result = self.heapscan("attach", waiting.pid, *options)
        self.assertEqual((result.code, result.err), (code, ""), result.out)
        return result.out


class Gates(GateTest):
    @needs_ptrace
    def test_fail_above(self):
        with self.fixture("sessions") as waiting:
            report = parse(self.looked_at(waiting, "--format", "json", code=1))
            totals = report["totals"]["verdicts"]
            lost = {key: totals["definite"][key] + totals["indirect"][key] for key in ("blocks", "bytes")}
            self.assertEqual(lost["blocks"], 10000)
            for allowed, code in ((f"{lost['bytes']}", 0), (f"{lost['bytes'] - 1}", 1), ("1G", 0), ("0", 1),
                                  ("10000 blocks", 0), ("9999blocks", 1)):
                text = self.looked_at(waiting, "-q", "--fail-above", allowed, code=code)
                self.assertIn("\ngate        " + ("failed: " if code else "passed: "), text)

    @needs_ptrace
    def test_what_every_program_has_is_told_apart_by_program_and_not_by_build(self):
        folder = self.folder()
        baseline, rules = folder / "baseline.json", folder / "rules"
        ids = {}
        for name in ("shop-1.0", "shop-1.1", "bank"):
            shutil.copy(os.path.join(OPTIONS.fixtures, "fixture_strdup_loop"), folder / name)
            with fixture(str(folder / name)) as waiting:
                leak = parse(self.looked_at(waiting, "--format", "json", code=1))["leaks"][0]
                ids[name] = leak["id"]
                if name == "shop-1.0":
                    self.looked_at(waiting, "--format", "json", "-o", baseline, code=1)
                    rules.write_text(f"id:{leak['id']}\n", encoding="utf-8")
                is_other = name == "bank"
                self.looked_at(waiting, "-q", "--baseline", baseline, code=int(is_other))
                self.looked_at(waiting, "-q", "--suppressions", rules, code=int(is_other))
        self.assertEqual(leak["label"], "text")
        self.assertEqual(ids["shop-1.0"], ids["shop-1.1"])
        self.assertNotEqual(ids["shop-1.0"], ids["bank"])

    def test_what_may_be_allowed(self):
        for value in ("x", "-1", "4 M", "blocks", "x blocks", "1.5 blocks", "10kk", "4Mblocks"):
            self.assert_complains(self.heapscan("attach", "1", f"--fail-above={value}"), 2, "--fail-above takes", value)

    @needs_ptrace
    def test_a_baseline(self):
        """Five strings are lost now, three were then, and then five again."""
        folder = self.folder()
        for count in (3, 5):
            with self.fixture("strdup_loop", str(count)) as waiting:
                self.looked_at(waiting, *EVERYTHING, "--format", "json", "-o", folder / f"{count}.json", code=1)
        with self.fixture("strdup_loop", "5") as waiting:
            text = self.looked_at(waiting, "--baseline", folder / "3.json", code=1)
            self.assertRegex(text, r"  #1 .*   grown by [\d.]+ B in 2 blocks\n")
            self.assertRegex(text, r"\ngate        failed: \d+ B in 2 blocks more than in .*3\.json "
                                   r"\(0 groups new, 1 grown, 0 known\), nothing allowed\nSUMMARY")
            self.assertIn(f" --baseline {folder}/3.json --cluster ", text)
            self.looked_at(waiting, "-q", "--baseline", folder / "3.json", "--fail-above", "2 blocks", code=0)
            self.assertRegex(self.looked_at(waiting, "--baseline", folder / "5.json", code=0), r"  #1 .*   known\n")
            report = parse(self.looked_at(waiting, "--baseline", folder / "3.json", "--format", "json", code=1))
            self.assertEqual(violations(parse(SCHEMA.read_text(encoding="utf-8")), report), [])
            self.assertEqual((report["gate"]["failed"], report["gate"]["counted"]["blocks"]), (True, 2))
            self.assertEqual([group["since_baseline"]["state"] for group in report["leaks"]], ["grown"])
        with self.fixture("chains") as waiting:
            self.assertRegex(self.looked_at(waiting, "--baseline", folder / "3.json", code=1), r"  #1 .*   new\n")

    @needs_ptrace
    def test_baselines_that_are_none(self):
        folder = self.folder()
        with self.fixture("chains") as waiting:
            self.looked_at(waiting, "-n", "1", "--format", "json", "-o", folder / "short.json", code=1)
        for file, said in ((folder / "missing", "cannot read the baseline"), (folder, "Is a directory"),
                           (__file__, "is no report of heapscan"), (folder / "short.json", "hold 1 of 5 blocks")):
            self.assert_complains(self.heapscan("attach", "2147483647", "--baseline", file), 2, str(file), said)


class Suggestions(GateTest):
    @needs_ptrace
    def test_they_leave_out_what_was_found(self):
        rules = self.folder() / "rules"
        for name in ("chains", "rings", "sessions", "cpp_containers"):
            with self.subTest(fixture=name), self.fixture(name) as waiting:
                before = parse(self.looked_at(waiting, *EVERYTHING, "--format", "json", code=1))
                self.looked_at(waiting, "--suggest-suppressions", "-o", rules, code=1)
                after = parse(self.looked_at(waiting, "--suppressions", rules, "--format", "json", code=0))
                self.assertEqual(after["leaks"], [])
                self.assertEqual(after["unused_suppressions"], [])
                text = rules.read_text(encoding="utf-8")
                self.assertEqual(sorted(line for line in text.splitlines() if line.startswith("id:")),
                                 sorted({"id:" + group["id"] for group in before["leaks"]}))
                for group in before["leaks"]:
                    self.assertIn(f"# {group['label']}: ", text)
                rules.unlink()

    def test_they_are_no_report(self):
        self.assert_complains(self.heapscan("attach", "2147483647", "--suggest-suppressions", "--format", "json"), 2,
                              "--suggest-suppressions", "leave out --format")

    @needs_ptrace
    def test_rules_that_match_nothing_are_named(self):
        rules = self.folder() / "rules"
        rules.write_text("leak:no_such_thing\n")
        with self.fixture("sessions") as waiting:
            self.assertIn(f"leak:no_such_thing ({rules}:1): matches nothing\n",
                          self.looked_at(waiting, "--suppressions", rules, code=1))

    @needs_ptrace
    def test_leak_rules_are_held_against_the_code_that_allocated(self):
        rules = self.folder() / "rules"
        rules.write_text("leak:^make_channel$\nleak:wrap_header\n")
        with self.fixture("call_sites") as waiting:
            makers = {int(address, 16): label for address, label in waiting.labels()}
            options = ("--suppressions", rules, "--sites")
            report = parse(self.looked_at(waiting, *options, "--format", "json", code=1))
            text = self.looked_at(waiting, *options, code=1)
            without = parse(self.looked_at(waiting, "--suppressions", rules, "--format", "json", code=1))
        self.assertEqual([(row["rule"], row["by_allocating_code"]) for row in report["suppressions"]],
                         [("leak:^make_channel$", True), ("leak:wrap_header", True)])
        left = {makers[int(group["example"], 16)] for group in report["leaks"]}
        self.assertFalse(left & {"make_channel", "make_record"})
        self.assertIn("make_list", left)
        self.assertIn(f"leak:wrap_header ({rules}:2): matches the code that allocated them\n", text)
        self.assertEqual(len(without["unused_suppressions"]), 2)


class Formats(GateTest):
    @needs_ptrace
    def test_junit(self):
        with self.fixture("call_sites") as waiting:
            report = parse(self.looked_at(waiting, *EVERYTHING, "--format", "json", code=1))
            suite = xml.etree.ElementTree.fromstring(
                self.looked_at(waiting, "-n", "1", "--sites", "--format", "junit", code=1)).find("testsuite")
        tests = suite.findall("testcase")
        self.assertEqual({test.get("name") for test in tests},
                         {f"{group['label']} [{group['id']}]" for group in report["leaks"]})
        self.assertEqual(int(suite.get("failures")), len([test for test in tests if test.find("failure") is not None]))
        self.assertEqual(int(suite.get("failures")), len([g for g in report["leaks"] if g["verdict"] == "definite"]))
        self.assertTrue([test for test in tests if "allocated by make_list" in (test.findtext("failure") or "")])

    @needs_ptrace
    def test_sarif(self):
        with self.fixture("call_sites") as waiting:
            report = parse(self.looked_at(waiting, *EVERYTHING, "--format", "json", code=1))
            document = parse(self.looked_at(waiting, "-n", "1", "--sites", "--format", "sarif", code=1))
        self.assertEqual([error.message for error in Draft202012Validator(SARIF).iter_errors(document)], [])
        run = document["runs"][0]
        self.assertEqual(sorted(result["partialFingerprints"]["heapscanGroup/v1"] for result in run["results"]),
                         sorted(group["id"] for group in report["leaks"]))
        for result in run["results"]:
            self.assertEqual(run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"], result["ruleId"])
        places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
        self.assertIn("call_sites.c", [place["artifactLocation"]["uri"] for place in places if "region" in place])

    def test_only_attach_and_core_have_them(self):
        for words in (["diff", "x", "y"], ["holds", "x"], ["why", "x", "0x10"], ["watch", "x"]):
            self.assert_complains(self.heapscan(*words, "--format", "sarif"), 2, "--format takes one of")


if __name__ == "__main__":
    sys.exit(main(["Gates", "Suggestions", "Formats"], sys.modules[__name__]))
