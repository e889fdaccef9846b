#!/usr/bin/python3
"""Questions about one look: whatis, refs, grep, find, blocks, cluster, assert, and sessions of explore.

usage: explore_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import growth_test
from growth_test import (DISGUISED, FORGOTTEN, JOB, NO_GCORE, OPTIONS, PTRACE_REFUSED, QUEUED, TICKET, GrowthTest,
                         total)
from heapscan_cli import PATIENCE, fixture
from validate_json import parse


class LookedAt(GrowthTest):
    """One core of a growing program, in which every question has a known answer."""

    @classmethod
    def setUpClass(cls):
        if PTRACE_REFUSED or NO_GCORE:
            raise unittest.SkipTest(PTRACE_REFUSED or NO_GCORE)
        folder = tempfile.TemporaryDirectory(prefix="heapscan-test-")
        cls.addClassCleanup(folder.cleanup)
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_growth")) as program:
            cls.core = GrowthTest.core_of(cls, program, os.path.join(folder.name, "core"))

    def found(self, *words):
        return self.json_of("find", *words)

    def jobs(self):
        return self.found("find", self.core, "^struct job$", "-n", 2000)["blocks"]


class Find(LookedAt):
    def test_by_label_group_size_and_verdict(self):
        jobs = self.found("find", self.core, "job")
        self.assertEqual(jobs["total"], total(QUEUED, JOB))
        self.assertEqual([(g["label"], g["total"]) for g in jobs["groups"]], [("struct job", total(QUEUED, JOB))])
        self.assertEqual(len(jobs["blocks"]), 20)
        self.assertEqual({b["state"] for b in jobs["blocks"]}, {"reachable"})
        by_id = self.found("find", self.core, jobs["groups"][0]["id"][:8], "-n", 5)
        self.assertEqual((by_id["total"], by_id["blocks"]), (jobs["total"], jobs["blocks"][:5]))
        self.assertEqual(self.found("find", self.core, f"job[{JOB}]")["total"], jobs["total"])
        self.assertEqual(self.found("find", self.core, f"job[{JOB + 1}-]")["total"], total(0, 0))
        self.assertEqual(self.found("find", self.core, "job", "unreachable")["total"], total(0, 0))

    def test_blocks_by_verdict_and_size(self):
        lost = self.found("blocks", self.core, "unreachable", "--largest", "-n", 2)
        self.assertEqual(lost["total"], {"blocks": FORGOTTEN + 1, "bytes": FORGOTTEN * TICKET + DISGUISED})
        self.assertEqual([b["size"] for b in lost["blocks"]], [DISGUISED, TICKET])
        everything = self.found("blocks", self.core)
        kinds = [self.found("blocks", self.core, kind)["total"]
                 for kind in ("reachable", "possible", "definite", "indirect")]
        for unit in ("blocks", "bytes"):
            self.assertEqual(everything["total"][unit], sum(kind[unit] for kind in kinds), unit)
        free = self.found("blocks", self.core, "free")
        self.assertGreater(free["total"]["blocks"], 0)
        self.assertEqual({b["state"] for b in free["blocks"]}, {"free"})
        text = self.heapscan("blocks", self.core, "unreachable", "-n", 1)
        self.assertRegex(text.out, rf"(?m)^  {FORGOTTEN} more blocks, show with: heapscan blocks \S+ unreachable -n 81$")

    def test_what_cannot_be_meant_is_refused(self):
        # Before anything is looked at: the file is no core dump.
        for words, said in ((["find", __file__, "job[9-3]"], "is no range of sizes"),
                            (["blocks", __file__, "leaked"], 'not "leaked"'),
                            (["whatis", __file__, "main"], '"main" is no address'),
                            (["refs", __file__, "main"], '"main" is no address'),
                            (["assert", __file__, "main", "job"], '"main" is no address'),
                            (["grep", __file__, "70000", "--width", "2"], "does not fit into 2 bytes"),
                            (["grep", __file__, "text", "--width", "2"], "--width is for numbers")):
            with self.subTest(words=words):
                result = self.heapscan(*words)
                self.assertEqual((result.code, result.out), (2, ""))
                self.assertIn(said, result.err)


class Whatis(LookedAt):
    def answer(self, *addresses):
        return self.json_of("whatis", "whatis", self.core, *addresses)["answers"]

    def test_a_block_its_middle_a_variable_and_nothing(self):
        job = self.jobs()[3]["address"]
        variable = self.json_of("why", "why", self.core, job)["answers"][0]["paths"][0]["place"]
        begin, middle, head, nothing = self.answer(job, hex(int(job, 16) + 9), variable, "0x10")
        self.assertEqual((begin["place"]["kind"], begin["place"]["name"], begin["place"]["state"]),
                         ("block", "struct job", "reachable"))
        self.assertEqual([row["member"] for row in begin["words"]][:3], ["next", "id", "payload"])
        self.assertEqual((middle["place"]["begin"], middle["place"]["member"]), (job, "id"))
        self.assertEqual((head["place"]["kind"], head["place"]["name"], head["place"]["member"]),
                         ("variable", "queue", "first"))
        self.assertEqual((nothing["place"]["kind"], nothing["mapping"], nothing["words"]), ("unmapped", None, []))
        text = self.heapscan("whatis", self.core, hex(int(job, 16) + 9)).out
        self.assertIn(f"+0x9 id in block {job}, 40 B, struct job, reachable", text)

    def test_without_content_no_word_is_shown(self):
        job = self.jobs()[0]["address"]
        answer = self.json_of("whatis", "whatis", self.core, job, "--no-content")["answers"][0]
        self.assertIsNone(answer["word"])
        self.assertEqual({row["bytes"] for row in answer["words"]}, {None})

    def test_a_type_that_fits_and_one_that_does_not(self):
        job = self.jobs()[0]["address"]
        fit = self.json_of("whatis", "assert", self.core, job, "struct job")["answers"][0]["fit"]
        self.assertEqual((fit["type"], fit["contradictions"]), ("struct job", []))
        self.assertGreater(fit["members"], 0)
        wrong = self.json_of("whatis", "assert", self.core, job, "entry")["answers"][0]["fit"]
        self.assertIn("the block has 40 B", wrong["contradictions"][0]["reason"])
        unknown = self.heapscan("assert", self.core, job, "no_such_type")
        self.assertEqual((unknown.code, unknown.out), (2, ""))
        self.assertIn('no struct, class or union "no_such_type"', unknown.err)

    def test_a_group_in_detail(self):
        group = self.found("find", self.core, "job")["groups"][0]["id"]
        report = self.json_of("report", "cluster", self.core, group[:8])
        self.assertEqual((report["cluster"]["id"], report["cluster"]["blocks"]), (group, QUEUED))
        text = self.heapscan("cluster", self.core, group).out
        again = re.search(r"(?m)^  heapscan (core .*--all)$", text).group(1).split()
        self.assertIn(f"group       {group}", self.heapscan(*again).out)


class Refs(LookedAt):
    def test_every_pointer_to_a_block(self):
        jobs = [b["address"] for b in self.jobs()]
        first, second, lost = self.json_of(
            "refs", "refs", self.core, jobs[0], jobs[1],
            self.found("blocks", self.core, "unreachable", "--largest")["blocks"][0]["address"])["answers"]
        self.assertIn(("variable", "queue", "first", 0),
                      [(p["kind"], p["name"], p["member"], r["into"]) for r in first["references"] for p in [r["place"]]])
        self.assertIn((jobs[0], "next"),
                      [(r["place"]["begin"], r["place"]["member"]) for r in second["references"]])
        self.assertEqual((lost["total"], lost["references"]), (0, []))

    def test_of_many_the_first_are_shown(self):
        last = self.jobs()[-1]["address"]  # named by the one before it and by the queue
        answer = self.json_of("refs", "refs", self.core, last, "-n", 1)["answers"][0]
        self.assertEqual((answer["total"], len(answer["references"])), (2, 1))
        self.assertRegex(self.heapscan("refs", self.core, last, "-n", 1).out,
                         r"(?m)^  1 more, show with: heapscan refs \S+ 0x[0-9a-f]+ -n 2$")


class Grep(LookedAt):
    def grep(self, *words):
        return self.json_of("grep", "grep", self.core, *words)

    def test_a_pointer_a_small_number_and_a_text(self):
        job = self.jobs()[1]["address"]
        pointer = self.grep(job)
        self.assertIn("next", [hit["place"]["member"] for hit in pointer["hits"]])
        ids = self.grep(str(QUEUED - 1))
        self.assertIn(("struct job", "id"), [(hit["place"]["name"], hit["place"]["member"]) for hit in ids["hits"]])
        text = self.grep("fixture_growth", "-n", 1000)
        self.assertGreater(text["total"], 0)
        self.assertTrue(all("fixture_growth" in hit["around"] for hit in text["hits"]))
        self.assertEqual(self.grep("no such text anywhere")["total"], 0)

    def test_digits_can_be_a_text(self):
        self.assertEqual(self.grep("--text", "12345")["pattern"], '"12345"')
        self.assertEqual(self.grep('"12345"')["pattern"], '"12345"')
        self.assertEqual(self.grep("12345", "--width", 2)["pattern"], "0x3039 as a number of 2 bytes")
        too_large = self.heapscan("grep", self.core, "70000", "--width", "2")
        self.assertEqual(too_large.code, 2)
        self.assertIn("70000 does not fit into 2 bytes", too_large.err)

    def test_without_content_no_text_is_shown(self):
        text = self.json_of("grep", "grep", self.core, "fixture_growth", "--no-content")
        self.assertEqual({hit["around"] for hit in text["hits"]}, {None})


class Session(LookedAt):
    def session(self, *lines, options=()):
        done = subprocess.run([OPTIONS.heapscan, "explore", self.core, *options], input="\n".join(lines) + "\n",
                              capture_output=True, timeout=PATIENCE, check=False, text=True)
        return done.returncode, done.stdout, done.stderr

    def test_many_questions_about_one_look(self):
        jobs = [b["address"] for b in self.jobs()]
        code, out, err = self.session("# a comment", "", "find job -n 1", f"why {jobs[0]}", f"refs {jobs[1]}",
                                      "holds queue", "grep 'fixture growth'", "report -n 1", "help", "help grep",
                                      "quit", "find entry")
        self.assertEqual((code, err), (0, ""))
        for line in (f"  {jobs[0]}           40 B  reachable  struct job",
                     f"  {QUEUED - 1} more blocks, show with: find job -n {QUEUED}",
                     '"fixture growth"  is nowhere in the memory that was saved',
                     "Find a number or a text in the memory"):
            self.assertIn(line + "\n", out)
        self.assertIn(f"{jobs[0]}  40 B, struct job, reachable; holds", out)
        self.assertIn("queue  struct job_queue", out)
        self.assertNotIn('"entry"', out)  # behind quit

    def test_answers_are_those_of_the_commands(self):
        job = self.jobs()[2]["address"]
        for words in (["whatis", job], ["refs", job], ["grep", job], ["find", "job", "-n", "3"], ["why", job],
                      ["holds", "queue"]):
            with self.subTest(words=words):
                _, out, _ = self.session(" ".join(words + ["--format", "json"]), options=("-q",))
                in_session = parse(out[out.index("{"):])
                once = parse(self.heapscan(words[0], self.core, *words[1:], "--format", "json").out)
                self.assertEqual(in_session, once)

    def test_an_assertion_holds_for_the_session(self):
        lost = self.found("blocks", self.core, "unreachable", "--largest")["blocks"][1]["address"]
        code, out, err = self.session(f"whatis {lost}", f"assert {lost} job", f"whatis {lost}")
        self.assertEqual((code, err), (0, ""))
        before, after = out.split("struct job (32 B)", 1)  # it does not fit, and is shown so
        self.assertNotIn("payload", before)
        self.assertEqual(len(re.findall("payload", after)), 2)

    def test_a_line_that_cannot_be_answered_ends_nothing(self):
        code, out, err = self.session("find 'job", "nonsense", "why", "refs zz", "find job -n 1")
        self.assertEqual(code, 2)
        self.assertIn("struct job", out)
        for said in ("the line ends within ' quotes", '"nonsense" is no command of a session', "see help why",
                     '"zz" is no address'):
            self.assertIn(said, err)

    def test_an_answer_can_go_to_a_file(self):
        path = self.folder() / "answer.json"
        code, out, err = self.session(f"find job --format json -o {path}")
        self.assertEqual((code, err), (0, ""))
        self.assertNotIn("struct job", out)
        self.assertEqual(parse(path.read_text())["total"], total(QUEUED, JOB))
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)


class Terminal:
    """A session as a person has it: behind a terminal."""

    def __init__(self, words, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(words[0], [str(word) for word in words], {**os.environ, **environment})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.seen = ""

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} did not appear in {self.seen!r}")
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")
        before, self.seen = self.seen.split(text, 1)
        return before

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def end(self):
        """Reads what is left, for a terminal is given back only when nothing is; the exit code."""
        deadline = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < deadline:
                if select.select([self.fd], [], [], 1)[0]:
                    self.seen += os.read(self.fd, 65536).decode(errors="replace")
        except OSError:  # EIO: nobody has the other side open any more
            pass
        else:
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGKILL:
            raise TimeoutError(f"the session did not end after {self.seen!r}")
        return code


class OnATerminal(LookedAt):
    def test_completion_history_interrupts_and_pager(self):
        home = self.folder()
        environment = {"TERM": "xterm", "XDG_STATE_HOME": str(home), "PAGER": "sed 's/^/paged: /'", "NO_COLOR": "1",
                       "LC_ALL": "C.UTF-8"}
        terminal = Terminal([OPTIONS.heapscan, "explore", self.core], environment)
        terminal.wait_for("(heapscan) ")
        terminal.type("ho\tque\t\n")
        terminal.wait_for("queue  struct job_queue")
        terminal.wait_for("(heapscan) ")
        terminal.type("half a line\x03")
        terminal.wait_for("(heapscan) ")
        terminal.type("blocks -n 500\n")
        terminal.wait_for("paged: found")
        terminal.wait_for("(heapscan) ")
        terminal.type("grep 'tschüss'\n")
        terminal.wait_for("tsch\\xc3\\xbcss")
        terminal.wait_for("(heapscan) ")
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)
        history = home / "heapscan" / "history"
        self.assertEqual(history.stat().st_mode & 0o777, 0o600)
        # The file has \040 for a blank.
        self.assertIn("holds\\040queue", history.read_text())


if __name__ == "__main__":
    sys.exit(growth_test.main(__doc__, __name__,
                              ["Find", "Whatis", "Refs", "Grep", "Session", "OnATerminal"]))
