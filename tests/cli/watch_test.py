#!/usr/bin/python3
"""heapscan watch as a user meets it, on a program that grows a step at a time.

No test sleeps: a look is made when SIGUSR1 asks for one, and every line is waited for.

usage: watch_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import growth_test
from growth_test import DOCS, FORGOTTEN, GrowthTest, JOB, OPTIONS, QUEUED, TICKET, needs_ptrace, total
from heapscan_cli import PATIENCE, healthy_process, traced
from validate_json import parse, validator_of, violations_by

RULES = validator_of(parse((DOCS / "watch.schema.json").read_text(encoding="utf-8")))


class Lines:
    """Lines of a file descriptor, each waited for as long as it takes."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.text = b""
        self.ended = False

    def next(self):
        """The next line, or None at the end."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.text and not self.ended:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.descriptor], [], [], left)[0]:
                raise AssertionError(f"no line came; so far {self.text}")
            try:
                more = os.read(self.descriptor, 65536)
            except OSError:  # a terminal whose other end is closed
                more = b""
            self.text += more
            self.ended = not more
        if b"\n" not in self.text:
            return None
        line, self.text = self.text.split(b"\n", 1)
        return line.decode().rstrip("\r")

    def rest(self):
        lines = []
        while (line := self.next()) is not None:
            lines.append(line)
        return lines


class Watching:
    """heapscan watch, running."""

    def __init__(self, test, target, *words, stdout=subprocess.PIPE, json=True, env=None, prepare=None):
        self.test = test
        self.json = json
        command = [OPTIONS.heapscan, "watch", str(target), *[str(word) for word in words]]
        environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
        environment.update(env or {})
        self.process = subprocess.Popen(command + (["--format", "json"] if json else []), stdin=subprocess.DEVNULL,
                                        stdout=stdout, stderr=subprocess.PIPE, env=environment, preexec_fn=prepare)
        self.lines = Lines(self.process.stdout.fileno()) if stdout == subprocess.PIPE else None
        test.addCleanup(self.end)

    def end(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def signal(self, number):
        self.process.send_signal(number)

    def object(self, kind):
        """The next object of this type."""
        while (line := self.lines.next()) is not None:
            value = parse(line)
            self.test.assertEqual(violations_by(RULES, value), [], line)
            if value["type"] == kind:
                return value
        raise AssertionError(f"no {kind} came; {self.process.stderr.read().decode()}")

    def line(self, pattern):
        """The next line that matches."""
        while (line := self.lines.next()) is not None:
            if re.search(pattern, line):
                return line
        raise AssertionError(f"no line like {pattern} came; {self.process.stderr.read().decode()}")

    def report(self):
        """One that was asked for now, with a look of its own."""
        self.signal(signal.SIGUSR1)
        return self.object("report")

    def finish(self, code):
        """What it still writes, after it has ended with that exit code."""
        rest = self.lines.rest() if self.lines else []
        err = self.process.stderr.read().decode()
        self.test.assertEqual(self.process.wait(timeout=PATIENCE), code, err)
        return rest, err


class WatchTest(GrowthTest):
    def watch(self, target, *words, **more):
        return Watching(self, target, *words, **more)

    def group(self, report, size, name):
        found = [g for g in report["changes"]["groups"] if name in g["label"]]
        self.assertEqual(len(found), 1, [g["label"] for g in report["changes"]["groups"]])
        self.assertEqual(found[0]["change"]["after"]["bytes"], found[0]["change"]["after"]["blocks"] * size)
        return found[0]

    def last_report(self, watching, code=1):
        watching.signal(signal.SIGINT)
        report = watching.object("report")
        self.assertTrue(report["last"])
        self.assertEqual(watching.finish(code)[0], [])
        return report


@needs_ptrace
class WatchGrowth(WatchTest):
    def test_what_grew_in_every_interval_and_what_holds_it(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 3600)
            start = watching.object("start")
            self.assertEqual((start["pid"], start["command"]), (program.pid, "fixture_growth"))
            sample = watching.object("sample")
            look = watching.object("look")
            self.assertEqual((look["number"], look["reason"]), (1, "at the start"))
            self.assertEqual(look["lost"]["blocks"], FORGOTTEN + 1)

            self.grow(program, 3)
            one = watching.report()
            self.assertEqual((one["last"], one["ended"], one["looks"]), (False, None, 2))
            self.assertEqual(one["changes"]["intervals"], 1)
            self.assertEqual(one["changes"]["total"]["confirmed"], total(FORGOTTEN, TICKET))
            self.assertEqual(one["changes"]["total"]["newly_lost"], total(3 * FORGOTTEN, TICKET))
            self.assertEqual(one["changes"]["total"]["written_since"]["blocks"], 1)
            jobs = self.group(one, JOB, "struct job")
            self.assertEqual(jobs["change"]["born"], total(3 * QUEUED, JOB))
            self.assertEqual((jobs["holder"], jobs["suspect"]), ("fixture_growth: queue", True))

            self.grow(program, 2)
            two = watching.report()
            jobs = self.group(two, JOB, "struct job")
            self.assertEqual(jobs["grew_in_intervals"], 2)
            self.assertEqual(jobs["history"], [QUEUED * JOB, 4 * QUEUED * JOB, 6 * QUEUED * JOB])
            self.assertEqual(jobs["change"]["born"], total(5 * QUEUED, JOB), "since the first look")
            self.assertEqual(two["changes"]["total"]["confirmed"], total(4 * FORGOTTEN, TICKET), "by the last two looks")
            self.assertEqual(two["changes"]["total"]["newly_lost"], total(2 * FORGOTTEN, TICKET))
            self.assertFalse([g for g in two["changes"]["groups"] if "struct entry" in g["label"]], "a cache of one size")

            three = self.last_report(watching)
        self.assertEqual((three["ended"], three["looks"]), ("interrupted", 4))
        jobs = self.group(three, JOB, "struct job")
        self.assertEqual((jobs["grew_in_intervals"], three["changes"]["intervals"]), (2, 3))
        self.assertEqual(three["changes"]["total"]["newly_lost"]["blocks"], 0)
        self.assertEqual(three["stopped"]["stops"], 4)
        self.assertGreaterEqual(three["stopped"]["seconds"], three["stopped"]["longest"])
        self.assertIsNone(three["rate"], "one sample is too few")
        self.assertEqual(three["first"]["rss_bytes"], sample["rss_bytes"])

    def test_growth_makes_it_look(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 0.02)
            watching.object("look")
            self.grow(program, 40)
            look = watching.object("look")
            self.assertRegex(look["reason"], r"^memory grew by \d+\.\d MiB$")
            self.last_report(watching)

    def test_every_so_many_samples(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 0.02, 7, "--every", 3)
            reasons = [watching.object("look")["reason"] for _ in range(3)]
            self.assertEqual(reasons, ["at the start", "sample 4", "at the end"])
            report = watching.object("report")
            watching.finish(1)
        self.assertEqual((report["samples"], report["ended"]), (7, "7 samples taken"))

    def test_of_many_looks_some_are_kept_and_the_last(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 0.01, 67, "--every", 1)
            watching.object("look")
            self.grow(program)
            report = watching.object("report")
            watching.finish(1)
        self.assertGreater(report["looks"], 64)
        history = self.group(report, JOB, "struct job")["history"]
        self.assertLess(len(history), 40)
        self.assertEqual((history[0], history[-1]), (QUEUED * JOB, 2 * QUEUED * JOB))

    def test_the_rate_is_that_of_the_samples(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 0.02)
            for _ in range(30):  # on a busy machine it grows in fits and starts, and that may take more samples to see
                for _ in range(20):
                    watching.object("sample")
                    self.grow(program)
                report = watching.report()
                if report["rate"] and report["rate"]["low"] > 0:
                    break
            self.last_report(watching)
        self.assertGreater(report["rate"]["low"], 0)
        self.assertGreaterEqual(report["rate"]["bytes_per_second"], report["rate"]["low"])
        self.assertGreaterEqual(report["rate"]["high"], report["rate"]["bytes_per_second"])
        self.assertLess(report["time_left"]["soonest"], report["time_left"]["latest"])
        self.assertGreater(report["first"]["threads"], 0)

    def test_text(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 0.05, json=False)
            self.assertEqual(watching.lines.next(), f"heapscan: watching pid {program.pid} (fixture_growth) every 0.05 s "
                             "until it ends or Ctrl-C")
            self.assertEqual(watching.lines.next(), f"a report at any time: kill -USR1 {watching.process.pid}")
            self.assertRegex(watching.lines.next(), r"^ +time +RSS +PSS +anonymous +shared +swap +growth +rate$")
            self.assertRegex(watching.lines.next(), r"^ +0\.0 s( +[\d.]+ [KM]iB){3} +0 B +0 B$")
            self.assertRegex(watching.lines.next(), r"^look 1 \(at the start\): 188\.\d KiB in 2,781 blocks in use, 12\.3 KiB "
                             r"in 81 blocks unreachable; stopped for [\d.]+ ms$")
            self.grow(program, 3)
            watching.line(r"^ +\d\.\d s.* \+[\d.]+ KiB +\+[\d.]+ .iB/min$")
            watching.signal(signal.SIGINT)
            rest, err = watching.finish(1)
        self.assertEqual(err, "")
        text = "\n".join(rest)
        self.assertRegex(text, rf"\nheapscan: pid {program.pid} \(fixture_growth\) watched for [\d.]+ s: \d+ samples, 2 looks, "
                         r"stopped for [\d.]+ ms in all, [\d.]+ ms at most; interrupted\n")
        self.assertRegex(text, r"\nsamples     [\d.]+ MiB → [\d.]+ MiB resident \(\+[\d.]+ KiB\); without files ")
        self.assertIn("\nconfirmed   9.4 KiB in 80 blocks unreachable both times, not a byte changed\n", text)
        self.assertIn("       new ones are held by fixture_growth: queue\n", text)
        self.assertIn("       suspect: held, growing, and what was there was not written to since", text)
        self.assertNotRegex(text, "[▁▂▃▄▅▆▇█]")

    def on_terminal(self, locale):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with self.growing() as program:
            watching = self.watch(program.pid, 3600, json=False, stdout=theirs, env={"LC_ALL": locale, "TERM": "xterm"})
            os.close(theirs)
            lines = Lines(ours)
            while "look 1" not in lines.next():
                pass
            self.grow(program, 7)
            watching.signal(signal.SIGINT)
            text = "\n".join(lines.rest())
            watching.finish(1)
        self.assertIn("\x1b[1mstruct job", text)
        return text

    def test_a_terminal_shows_how_each_group_went(self):
        self.assertIn("\n       ▂█\n", self.on_terminal("C.UTF-8"))

    def test_a_terminal_without_utf_8_does_not(self):
        self.assertNotRegex(self.on_terminal("C"), "[▁▂▃▄▅▆▇█]")


@needs_ptrace
class WatchEnds(WatchTest):
    def test_with_the_process_and_says_what_it_knew(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 3600)
            watching.object("look")
            self.grow(program)
            watching.report()
            program.process.kill()
            report = watching.object("report")
            self.assertEqual(watching.finish(1), ([], ""))
        self.assertEqual((report["ended"], report["last"], report["looks"]), ("the process has ended", True, 2))
        self.assertEqual(self.group(report, JOB, "struct job")["change"]["born"], total(QUEUED, JOB))
        self.assertIsNone(report["time_left"])

    def test_with_the_process_before_a_second_look(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 3600)
            watching.object("look")
            program.process.kill()
            report = watching.object("report")
            watching.finish(1)
        self.assertIsNone(report["changes"])
        self.assertEqual(report["only_look"]["lost"]["blocks"], FORGOTTEN + 1)

    def test_with_nothing_lost(self):
        with healthy_process() as process:
            watching = self.watch(process.pid, 3600)
            watching.object("look")
            report = self.last_report(watching, code=0)
        self.assertEqual(report["changes"]["total"]["lost_now"]["blocks"], 0)

    def test_a_report_asked_for_before_the_first_line_is_made(self):
        def ask_early():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            os.kill(os.getpid(), signal.SIGUSR1)  # waits across exec

        with self.growing() as program:
            watching = self.watch(program.pid, 3600, prepare=ask_early)
            self.assertFalse(watching.object("report")["last"])
            self.last_report(watching)

    def test_with_exec(self):
        script = 'echo ready; read line; exec cat'
        with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            self.addCleanup(process.kill)
            self.assertEqual(process.stdout.readline(), b"ready\n")
            watching = self.watch(process.pid, 0.05)
            watching.object("look")
            process.stdin.write(b"go on\n")
            process.stdin.flush()
            report = watching.object("report")
            watching.finish(0)
            process.kill()
        self.assertEqual(report["ended"], "the process has become another program (exec)")
        self.assertEqual(report["looks"], 1)

    def test_with_sigterm(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 3600)
            watching.object("look")
            watching.signal(signal.SIGTERM)
            self.assertEqual(watching.object("report")["ended"], "ended by SIGTERM")
            watching.finish(1)

    def test_quietly(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 0.02, 3, "--quiet", json=False)
            rest, err = watching.finish(1)
        self.assertEqual(err, "")
        self.assertIn(": 3 samples, 2 looks, ", rest[0])
        self.assertFalse([line for line in rest if line.startswith("look ")])

    def test_when_nobody_reads_on(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 0.02, json=False)
            watching.lines.next()
            watching.process.stdout.close()
            self.assertEqual(watching.process.stderr.read(), b"")
            self.assertEqual(watching.process.wait(timeout=PATIENCE), 1)
            watching.process.stdout = None

    def test_the_process_runs_on(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 0.02, "--every", 1)
            for _ in range(5):
                watching.object("look")
                self.grow(program)
            watching.process.kill()
            self.grow(program, 2)


@needs_ptrace
class WatchLooks(WatchTest):
    def test_none_that_stops_for_too_long(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 3600, "--max-pause", 0)
            self.assertRegex(watching.object("note")["text"], r"^no look at the start: it is expected to stop the process for "
                             r"[\d.]+ ms, and --max-pause is 0$")
            watching.object("sample")
            report = self.last_report(watching, code=0)
        self.assertEqual((report["looks"], report["stopped"]["stops"]), (0, 0))
        self.assertIsNone(report["changes"])

    def test_none_when_all_of_the_time_is_used_up(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 0.02, "--every", 1, "--max-stopped", 30)
            self.assertRegex(watching.object("note")["text"], r"^no look \(sample \d+\): it is expected .* in all, and "
                             r"--max-stopped is 30$")
            report = self.last_report(watching)
        self.assertGreater(report["looks"], 0)
        self.assertLess(report["stopped"]["seconds"], 1)

    def test_one_that_fails_is_noted(self):
        with self.growing() as program:
            watching = self.watch(program.pid, 3600)
            watching.object("look")
            with traced(program.pid):
                watching.signal(signal.SIGUSR1)
                note = watching.object("note")
                self.assertRegex(note["text"], r"^no look \(a report was asked for\): .*traced")
                self.assertEqual(watching.object("report")["looks"], 1)
            self.assertEqual(watching.report()["looks"], 2)
            self.last_report(watching)


@needs_ptrace
class WatchSnapshots(WatchTest):
    def test_until_growth(self):
        folder = self.folder()
        with self.growing() as program:
            watching = self.watch(program.pid, 0.02, "--until-growth", "1M", "-o", folder / "at-%p.core")
            watching.object("look")
            self.grow(program, 12)
            report = watching.object("report")
            watching.finish(1)
            file = folder / f"at-{program.pid}.core"
        self.assertRegex(report["ended"], r"^memory grew by \d\.\d MiB$")
        self.assertEqual(report["snapshot"], str(file))
        self.assertEqual((report["looks"], report["stopped"]["stops"]), (2, 2), "one stop for both")
        kept = self.heapscan("core", file, "--quiet")
        self.assertEqual(kept.code, 1)
        lost = report["changes"]["total"]["lost_now"]["blocks"]
        self.assertIn(f"in {lost:,} blocks", kept.out)

    def test_near_a_limit(self):
        folder = self.folder()
        with self.growing() as program:
            watching = self.watch(program.pid, 0.02, "--near-limit", "1%", "-o", folder / "%p.core.zst", json=False)
            rest, err = watching.finish(1)
        text = "\n".join(rest)
        file = folder / f"{program.pid}.core.zst"
        self.assertRegex(text, r"heapscan: pid .* [\d.]+ [GM]iB of [\d.]+ [GM]iB are used, (the machine|cgroup /\S*)\n")
        self.assertIn(f"snapshot    {file}; see heapscan core", text)
        self.assertRegex(err, rf"^heapscan: pid {program.pid} \(fixture_growth\), 1 thread, stopped for .*; {file} takes ")
        self.assertTrue(file.exists())

    def test_when_the_process_can_be_stopped_again(self):
        file = self.folder() / "kept"
        with self.growing() as program:
            watching = self.watch(program.pid, 0.02, "--until-growth", "1M", "-o", file)
            watching.object("look")
            with traced(program.pid):
                self.grow(program, 12)
                self.assertRegex(watching.object("note")["text"], "^no look .memory grew by .*traced")
            self.assertEqual(watching.object("report")["snapshot"], str(file))
            watching.finish(1)

    def test_that_cannot_be_written(self):
        file = self.folder() / "taken"
        file.write_text("mine")
        with self.growing() as program:
            result = self.heapscan("watch", program.pid, 0.02, "--until-growth", "1M", "-o", file)
            self.assertEqual((result.code, result.out), (3, ""))
            self.assertIn("--force", result.err)
            self.assertEqual(file.read_text(), "mine")


class WatchUsage(WatchTest):
    def refused(self, *words, code=2):
        result = self.heapscan("watch", *words)
        self.assertEqual((result.code, result.out), (code, ""), result.err)
        return result.err

    def test_words_that_cannot_be_taken(self):
        self.assertIn("SECONDS takes a number of seconds from 0.01 to 86400, not \"0\"", self.refused(1, 0))
        self.assertIn("not \"soon\"", self.refused(1, "soon"))
        self.assertIn("not \"nan\"", self.refused(1, "nan"))
        self.assertIn("COUNT is at least 2", self.refused(1, 1, 1))
        self.assertIn("COUNT takes a number", self.refused(1, 1, "many"))
        self.assertIn("--near-limit takes a number of percent from 1 to 100", self.refused(1, "--near-limit", "120%"))
        self.assertIn("--until-growth takes a size", self.refused(1, "--until-growth", "much"))
        self.assertIn("--max-pause takes a number of milliseconds", self.refused(1, "--max-pause", "-1"))
        self.assertIn("--output takes the name of a file", self.refused(1, "-o", "-"))
        self.assertIn("redirect standard output", self.refused(1, "-o", "file"))
        self.assertIn("a % stands before", self.refused(1, "-o", "%x"))

    def test_processes_that_are_not_there(self):
        self.assertIn("no process", self.refused(0x7fffffff, code=3))
        self.assertIn("no process is called", self.refused("no-such-program-here", code=3))

    def test_ourselves(self):
        result = self.heapscan("watch", os.getpid(), "--until-growth", "1M", "-o", "/no/such/folder/file")
        self.assertEqual(result.code, 3)
        self.assertIn("/no/such/folder", result.err)

    def test_schema_says_of_changes_what_that_of_diff_says(self):
        watch, diff = (parse((DOCS / f"{name}.schema.json").read_text(encoding="utf-8")) for name in ("watch", "diff"))
        for name in set(diff["$defs"]) - {"look"}:
            self.assertEqual(watch["$defs"][name], diff["$defs"][name], name)
        self.assertEqual(list(watch["$defs"]["changes"]["properties"]), list(diff["properties"])[3:])

    def test_help_teaches(self):
        result = self.heapscan("watch", "--help")
        self.assertEqual(result.code, 0)
        for words in ("[SECONDS] [COUNT]", "--near-limit 90%", "kill -USR1", "Exit codes:", "heapscan-%p-%t.core.zst"):
            self.assertIn(words, result.out)


if __name__ == "__main__":
    sys.exit(growth_test.main(__doc__, __name__,
                                    ["WatchGrowth", "WatchEnds", "WatchLooks", "WatchSnapshots", "WatchUsage"]))
