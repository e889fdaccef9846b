#!/usr/bin/python3
"""Adds up what ctest says about several builds, in one line.

usage: count_tests.py [--no-skipped LABEL] [--skipped N] BUILD...

Each BUILD is a build folder in which ctest left results.xml (--output-junit) and tests.json
(--show-only=json-v1). Prints every test that failed or was skipped, with the reason, and as the
last line `N passed, N failed`, followed by `, N skipped` if any were. A test whose program is
missing has failed. --no-skipped makes a skipped test with that label a failed one; --skipped adds
what could not even be registered. Exit code 0 if nothing failed, 1 otherwise.
"""

import argparse
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

# What ctest writes for a test that asked to be skipped; any other <skipped> means that ctest could
# not run it.
ASKED_TO_BE_SKIPPED = re.compile(r"SKIP_(REGULAR_EXPRESSION_MATCHED|RETURN_CODE)")


def labels_of_tests(path):
    labels = {}
    for test in json.loads(path.read_text(encoding="utf-8"))["tests"]:
        for prop in test.get("properties", []):
            if prop["name"] == "LABELS":
                labels[test["name"]] = set(prop["value"])
    return labels


def reason(case):
    """The line a skipped GoogleTest printed after `file:line: Skipped`, or what unittest says."""
    output = case.findtext("system-out") or ""
    if match := re.search(r": Skipped\n(.+)", output):
        return match[1].strip()
    reasons = re.findall(r"\.\.\. skipped (['\"])(.+)\1$", output, re.MULTILINE)
    return "; ".join(dict.fromkeys(text for _, text in reasons)) or "no reason given"


def outcome(case):
    """Returns (passed | failed | skipped, explanation)."""
    skipped = case.find("skipped")
    if skipped is not None:
        message = skipped.get("message", "")
        if ASKED_TO_BE_SKIPPED.search(message):
            return "skipped", reason(case)
        return "failed", message
    failure = case.find("failure")
    if failure is not None:
        return "failed", failure.get("message", "")
    return ("passed", "") if case.get("status") == "run" else ("failed", case.get("status"))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--no-skipped", metavar="LABEL")
    parser.add_argument("--skipped", type=int, default=0)
    parser.add_argument("builds", nargs="+", type=Path)
    arguments = parser.parse_args()

    count = {"passed": 0, "failed": 0, "skipped": arguments.skipped}
    for build in arguments.builds:
        labels = labels_of_tests(build / "tests.json")
        cases = list(ElementTree.parse(build / "results.xml").iter("testcase"))
        if not cases:
            count["failed"] += 1
            print(f"failed: {build.name}: no test ran")
        for case in cases:
            name = case.get("name")
            result, why = outcome(case)
            if result == "skipped" and arguments.no_skipped in labels.get(name, ()):
                result, why = "failed", f"skipped ({why}), which is not allowed here"
            count[result] += 1
            if result != "passed":
                print(f"{result}: {build.name}: {name}: {why or 'see its output'}")

    line = f"{count['passed']} passed, {count['failed']} failed"
    if count["skipped"]:
        line += f", {count['skipped']} skipped"
    print(line)
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
