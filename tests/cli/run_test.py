#!/usr/bin/python3
"""Programs that heapscan runs and judges when they end.

usage: run_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
The program they run is in the folder of the fixtures as well.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

from cli_test import OPTIONS, CliTest, main, needs_ptrace
from heapscan_cli import PATIENCE
from validate_json import parse


class RunTest(CliTest):
    def ending(self):
        return os.path.join(OPTIONS.fixtures, "cli_ending")

    def run_program(self, how, *options, code, **more):
        result = self.heapscan("run", *options, "--", self.ending(), how, **more)
        self.assertEqual(result.code, code, result.err)
        self.assertEqual(result.out.split("\n")[0], f"{how} are the words")
        return result

    def lost_blocks(self, text):
        """Of each report."""
        return [int(blocks) for blocks in re.findall(r"^SUMMARY: .* definitely lost in (\d+) block", text, re.MULTILINE)]


@needs_ptrace
class Ends(RunTest):
    def test_whatever_way_it_ends(self):
        for how, blocks in (("return", 10), ("exit", 10), ("_exit", 10), ("abort", 10), ("kill", 10), ("fork", 10),
                            ("vfork", 10), ("threads", 22), ("last-thread", 13), ("joined", 22)):
            with self.subTest(how=how):
                self.assertEqual(self.lost_blocks(self.run_program(how, "-q", code=1).err), [blocks])

    def test_nothing_is_said_when_nothing_is_lost(self):
        result = self.run_program("clean", code=5)
        self.assertEqual((result.out, result.err), ("clean are the words\n", ""))

    def test_the_report_on_request(self):
        folder = self.folder()
        self.assertIn("\nleaked      nothing\n", self.run_program("clean", "-v", code=5).err)
        self.assertEqual(self.run_program("clean", "-o", folder / "report", code=5).err, "")
        self.assertIn("\nleaked      nothing\n", (folder / "report").read_text(encoding="utf-8"))

    def test_another_program_is_judged_at_its_own_end(self):
        """Threads are killed for that, which is not the end."""
        began = time.monotonic()
        result = self.run_program("exec", "-q", code=5)
        self.assertEqual((result.out, result.err), ("exec are the words\nclean are the words\n", ""))
        self.assertLess(time.monotonic() - began, 8)

    def test_before_it_becomes_another_program(self):
        folder = self.folder()
        result = self.run_program("exec", "-q", "--exec", code=1)
        self.assertEqual((result.out, self.lost_blocks(result.err)), ("exec are the words\nclean are the words\n", [22]))
        self.run_program("exec", "--exec", "--format", "json", "-o", folder / "r.json", code=1)
        reports = {re.sub(r"\d+", "PID", path.name, count=1): parse(path.read_text(encoding="utf-8")) for path in folder.iterdir()}
        self.assertEqual({name: report["totals"]["verdicts"]["definite"]["blocks"] for name, report in reports.items()},
                         {"r.json": 0, "r.PID-exec1.json": 22})
        self.assertEqual(len({report["target"]["pid"] for report in reports.values()}), 1)

    def test_before_it_fails_to_become_another_program(self):
        """Nothing is said twice: the program goes on, and is judged at its end."""
        no_program = self.folder() / "no_program"
        no_program.write_bytes(b"\x7fELF no")
        no_program.chmod(0o755)
        result = self.heapscan("run", "-q", "--exec", "--", self.ending(), "exec-fails", no_program)
        self.assertEqual((result.code, self.lost_blocks(result.err)), (1, [10]))

    def test_copies_that_become_another_program_are_not_judged(self):
        """What they have lost their parent has."""
        for options in (["--exec"], ["--exec", "--follow"]):
            result = self.run_program("fork-exec", "-q", *options, code=1)
            self.assertEqual(self.lost_blocks(result.err), [10])

    def test_whatever_way_it_ends_when_every_call_is_seen(self):
        for how, blocks in (("return", 10), ("kill", 10), ("vfork", 10), ("threads", 22), ("last-thread", 13)):
            with self.subTest(how=how):
                self.assertEqual(self.lost_blocks(self.run_program(how, "-q", "--exec", code=1).err), [blocks])

    def test_processes_below_it(self):
        folder = self.folder()
        text = self.run_program("fork", "-q", "--follow", code=1).err
        self.assertEqual(sorted(self.lost_blocks(text)), [10, 17])
        self.run_program("vfork", "-q", "--follow", "-o", folder / "r", code=1)
        self.assertEqual([path.name for path in folder.iterdir()], ["r"])
        self.run_program("fork", "--follow", "--format", "json", "-o", folder / "r.json", code=1)
        reports = [parse(path.read_text(encoding="utf-8")) for path in folder.glob("r*.json")]
        self.assertEqual(sorted(report["totals"]["verdicts"]["definite"]["blocks"] for report in reports), [10, 17])
        result = self.heapscan("run", "--follow", "--", "sh", "-c", f"'{self.ending()}' clean; '{self.ending()}' exit")
        self.assertEqual((result.code, self.lost_blocks(result.err)), (1, [10]))

    def test_the_commands_lead_to_the_same(self):
        text = self.run_program("return", "--no-debuginfod", code=1).err
        command = re.search(r"^ +heapscan (run --cluster [0-9a-f]{16} --no-debuginfod -- .* return)$", text, re.MULTILINE)
        self.assertIsNotNone(command, text)
        result = self.heapscan(*command[1].split())
        self.assertEqual(result.code, 1, result.err)
        self.assertIn("10 blocks", result.err)


@needs_ptrace
class ExitCodes(RunTest):
    def test_one_of_our_own(self):
        self.run_program("exit", "--exit-code", "23", code=23)
        self.run_program("exit", "--exit-code", "0", code=7)
        self.run_program("clean", "--exit-code", "23", code=5)
        self.run_program("abort", "--exit-code", "0", code=128 + signal.SIGABRT)

    def test_what_is_allowed(self):
        self.run_program("exit", "--fail-above", "10 blocks", code=7)
        folder = self.folder()
        known = folder / "known.json"
        self.run_program("exit", "-n", "1000000000", "--format", "json", "-o", known, code=1)
        self.run_program("return", "--baseline", known, code=0)
        self.assertIn("3 blocks more than", self.run_program("last-thread", "-q", "--baseline", known, code=1).err)
        rules = folder / "rules"
        self.run_program("return", "--suggest-suppressions", "-o", rules, code=1)
        self.assertEqual(self.run_program("return", "--suppressions", rules, code=0).err, "")

    def test_junit_for_test_runners(self):
        file = self.folder() / "leaks.xml"
        self.run_program("return", "--format", "junit", "-o", file, code=1)
        self.assertEqual(xml.etree.ElementTree.parse(file).find("testsuite").get("failures"), "1")

    def test_programs_that_cannot_be_run(self):
        for program, said in (("/no/such/program", "No such file or directory"), ("/", "Permission denied"),
                              ("\x1b[31m", "cannot run \\x1b[31m: ")):
            self.assert_complains(self.heapscan("run", program), 3, said)

    def test_no_report_is_no_success(self):
        for options, how, code in (([], "joined", 3), (["--exit-code", "0"], "joined", 0), ([], "exit", 7)):
            result = self.run_program(how, "-o", "/dev/full", *options, code=code)
            self.assertRegex(result.err, r"^heapscan: no report on process \d+: .*No space left on device\n$")


class Words(RunTest):
    def test_wrong_words_start_nothing(self):
        folder = self.folder()
        touch = ["--", "touch", folder / "started"]
        (folder / "rules").write_text("nonsense\n")
        for words, said in (([], "run needs the program"), (["--bogus", *touch], 'no option "--bogus"'),
                            (["--exit-code", "256", *touch], "--exit-code takes a number from 0 to 255"),
                            (["--suppressions", folder / "rules", *touch], "rules:1: "),
                            (["--baseline", folder / "none", *touch], "cannot read the baseline"),
                            (["--all", *touch], "--all needs --cluster")):
            with self.subTest(words=words):
                self.assert_complains(self.heapscan("run", *words), 2, said)
        self.assertFalse((folder / "started").exists())

    @needs_ptrace
    def test_the_mark_is_needed_for_nothing_else(self):
        for words in ((["-q", "--", self.ending(), "exit", "--", "-v", "--bogus"]),
                      (["-n", "3", "-q", self.ending(), "exit", "--", "-v", "--bogus"])):
            result = self.heapscan("run", *words)
            self.assertEqual((result.code, result.out), (1, "exit -- -v --bogus are the words\n"), result.err)

    @needs_ptrace
    def test_standard_input_is_its_own(self):
        result = subprocess.run([OPTIONS.heapscan, "run", "-q", "--", self.ending(), "read"], input=b"one\ntwo\n",
                                capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(result.stdout, b"read are the words\nread one\nread two\n")


@needs_ptrace
class Signals(RunTest):
    def started(self, *options):
        """heapscan and the program that it runs, which waits."""
        tool = subprocess.Popen([OPTIONS.heapscan, "run", "-q", *options, "--", self.ending(), "wait"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(tool.stdout.close)
        self.addCleanup(tool.stderr.close)
        self.addCleanup(tool.kill)
        self.assertEqual(tool.stdout.readline(), b"wait are the words\n")
        children = pathlib.Path(f"/proc/{tool.pid}/task/{tool.pid}/children").read_text("ascii").split()
        return tool, int(children[0])

    def test_what_is_sent_to_us_goes_to_the_program(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            tool, _ = self.started("--exit-code", "0")
            tool.send_signal(number)
            self.assertEqual(tool.wait(PATIENCE), 128 + number)
            self.assertEqual(self.lost_blocks(tool.stderr.read().decode()), [10])

    def test_the_program_lives_on_when_we_are_killed(self):
        tool, pid = self.started()
        self.assertIn(f"\nTracerPid:\t{tool.pid}\n", pathlib.Path(f"/proc/{pid}/status").read_text("ascii"))
        tool.kill()
        tool.wait(PATIENCE)
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text("ascii")
            self.assertIn("\nTracerPid:\t0\n", status)
            self.assertRegex(status, r"\nState:\t[RS] ")
        finally:
            os.kill(pid, signal.SIGKILL)

    def test_a_program_that_is_stopped_stays_so(self):
        tool, pid = self.started()
        os.kill(pid, signal.SIGSTOP)
        status = pathlib.Path(f"/proc/{pid}/stat")
        deadline = time.monotonic() + PATIENCE
        while status.read_text("ascii").rsplit(")", 1)[1].split()[0] not in "tT":
            self.assertLess(time.monotonic(), deadline)
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(tool.wait(PATIENCE), 1)


if __name__ == "__main__":
    sys.exit(main(["Ends", "ExitCodes", "Words", "Signals"], sys.modules[__name__]))
