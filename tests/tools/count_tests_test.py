"""What tools/count_tests.py makes of ctest's results: above all, what must not pass as passed.

usage: count_tests_test.py COUNT_TESTS
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

COUNTER = None
PASSED = '<testcase name="p" status="run"/>'
FAILED = '<testcase name="f" status="fail"><failure message="Timeout"/></testcase>'
SKIPPED = ('<testcase name="s" status="notrun">'
           '<skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>'
           "<system-out>a.cpp:2: Skipped\nptrace is refused\n</system-out></testcase>")
SKIPPED_BY_UNITTEST = (
    '<testcase name="u" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/><system-out>'
    "test_a (m.T.test_a) ... ok\ntest_b (m.T.test_b) ... skipped 'no terminal'\n"
    "test_c (m.T.test_c) ... skipped \"it's gone\"\ntest_d (m.T.test_d) ... skipped 'no terminal'\n"
    "</system-out></testcase>")
NOT_BUILT = ('<testcase name="n" status="notrun">'
             '<skipped message="Unable to find executable"/></testcase>')


def count(*builds, options=()):
    """Runs the counter; each of `builds` is the test cases of one build."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, cases in enumerate(builds):
            build = Path(folder) / f"build{number}"
            build.mkdir()
            (build / "results.xml").write_text(f"<testsuite>{''.join(cases)}</testsuite>")
            labels = {"name": "LABELS", "value": ["live"]}
            (build / "tests.json").write_text(
                json.dumps({"tests": [{"name": "s", "properties": [labels]}, {"name": "p"}]}))
            paths.append(build)
        run = subprocess.run([sys.executable, COUNTER, *options, *paths], capture_output=True,
                             text=True, check=False)
        return run.returncode, run.stdout.splitlines()


class CountTests(unittest.TestCase):
    def test_builds_are_added_up(self):
        self.assertEqual(count([PASSED, PASSED], [PASSED]), (0, ["3 passed, 0 failed"]))

    def test_failure_fails_and_is_named(self):
        code, lines = count([PASSED, FAILED])
        self.assertEqual(code, 1)
        self.assertEqual(lines, ["failed: build0: f: Timeout", "1 passed, 1 failed"])

    def test_program_that_was_not_built_is_a_failure(self):
        code, lines = count([PASSED, NOT_BUILT])
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed"))

    def test_build_without_tests_is_a_failure(self):
        code, lines = count([PASSED], [])
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed"))

    def test_skipped_test_is_counted_apart_with_its_reason(self):
        code, lines = count([PASSED, SKIPPED], options=["--skipped", "2"])
        self.assertEqual(code, 0)
        self.assertEqual(lines, ["skipped: build0: s: ptrace is refused",
                                 "1 passed, 0 failed, 3 skipped"])

    def test_unittest_says_its_reasons_in_its_own_way(self):
        _, lines = count([PASSED, SKIPPED_BY_UNITTEST])
        self.assertEqual(lines, ["skipped: build0: u: no terminal; it's gone",
                                 "1 passed, 0 failed, 1 skipped"])

    def test_skipped_test_can_be_forbidden_by_label(self):
        code, lines = count([PASSED, SKIPPED], options=["--no-skipped", "live"])
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed"))
        code, lines = count([PASSED, SKIPPED], options=["--no-skipped", "unit"])
        self.assertEqual((code, lines[-1]), (0, "1 passed, 0 failed, 1 skipped"))

    def test_missing_results_are_an_error(self):
        run = subprocess.run([sys.executable, COUNTER, "/nonexistent"], capture_output=True,
                             text=True, check=False)
        self.assertNotEqual(run.returncode, 0)


if __name__ == "__main__":
    COUNTER = sys.argv.pop(1)
    unittest.main(verbosity=2)
