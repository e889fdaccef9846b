#!/usr/bin/python3
"""heapscan as a user meets it.

usage: cli_test.py --heapscan PROGRAM --fixtures FOLDER [--regenerate] [SUITE...]
With --regenerate the golden files are written, not compared. Exit code 77: everything that ran passed, but something
had to be skipped.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

from heapscan_cli import (fixture, healthy_process, normalised, run, run_suites, run_until_mapped, traced,
                          why_ptrace_is_refused)
from validate_json import parse, repeated_keys, violations

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
SCHEMA = HERE.parent.parent / "docs" / "report.schema.json"
OPTIONS = argparse.Namespace(heapscan="", fixtures="", regenerate=False)
PTRACE_REFUSED = why_ptrace_is_refused()

needs_ptrace = unittest.skipIf(PTRACE_REFUSED, PTRACE_REFUSED)


class CliTest(unittest.TestCase):
    maxDiff = None

    def heapscan(self, *words, **more):
        return run(OPTIONS.heapscan, *words, **more)

    def fixture(self, name, *words):
        return fixture(os.path.join(OPTIONS.fixtures, "fixture_" + name), *words)

    def folder(self):
        folder = tempfile.TemporaryDirectory(prefix="heapscan-test-")
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)

    def assert_golden(self, name, text):
        path = GOLDEN / name
        if OPTIONS.regenerate:
            path.write_text(text, encoding="utf-8")
        self.assertEqual(text, path.read_text(encoding="utf-8"), f"tests/cli/golden/{name}; see tests/cli/regenerate")

    def assert_complains(self, result, code, *parts):
        self.assertEqual((result.code, result.out), (code, ""), result.err)
        self.assertTrue(result.err.startswith("heapscan: "), result.err)
        self.assertRegex(result.err, r"[^.\n]\n$", "no full stop")
        self.assertNotRegex(result.err, r"^heapscan: [A-Z][a-z]", "no capital")
        for part in parts:
            self.assertIn(part, result.err)


class Help(CliTest):
    def test_of_the_program(self):
        for word in ("--help", "-h"):
            result = self.heapscan(word)
            self.assertEqual((result.code, result.err), (0, ""))
            self.assert_golden("help.txt", result.out)

    def test_of_the_schema(self):
        """A reader resolves references against the id, which has to be an absolute URI for that."""
        schema = parse(SCHEMA.read_text(encoding="utf-8"))
        self.assertRegex(schema["$id"], r"^[a-z][a-z0-9+.-]*:[^#]+$")

    def test_of_every_command(self):
        for command in ("assert", "attach", "blocks", "cluster", "completion", "core", "diff", "explore", "find", "grep", "help",
                        "holds", "refs", "run", "snapshot", "trace", "triage", "version", "watch", "whatis", "why"):
            result = self.heapscan(command, "--help")
            self.assertEqual((result.code, result.err), (0, ""))
            self.assert_golden(f"help_{command}.txt", result.out)

    def test_version(self):
        result = self.heapscan("--version")
        self.assertEqual((result.code, result.err), (0, ""))
        self.assertRegex(result.out, r"^heapscan \d+\.\d+\.\d+\n$")

    def test_that_cannot_be_written_fails(self):
        with open("/dev/full", "wb") as full:
            self.assert_complains(self.heapscan("--help", stdout=full), 3, "No space left on device")


class Usage(CliTest):
    def test_no_words(self):
        self.assert_complains(self.heapscan(), 2, "heapscan attach PID", "--help")

    def test_unknown_command(self):
        self.assert_complains(self.heapscan("frobnicate"), 2, '"frobnicate"')

    def test_hostile_words_are_escaped(self):
        for words in (["\x1b[31m"], ["attach", "\x1b[31m"], ["attach", "1", "--kinds", "\x1b[31m"]):
            self.assertNotIn("\x1b", self.heapscan(*words).err)

    def test_missing_target(self):
        for command in ("attach", "core", "diff", "holds", "watch", "why"):
            self.assert_complains(self.heapscan(command), 2, f"{command} needs", f"heapscan {command} --help")

    def test_too_many_words(self):
        self.assert_complains(self.heapscan("attach", "1", "2"), 2, 'attach takes one process id or name; "2" is one')
        self.assert_complains(self.heapscan("holds", "1", "2", "3"), 2, 'holds takes one process or file, and what holds')

    def test_the_first_wrong_word_is_the_one_named(self):
        """The word itself, not a sentence of all that follows in some order."""
        for words, said in (
                (["10742", "-p"], 'there is no command "10742" (did you mean heapscan attach 10742?); see'),
                (["b", "a", "diff"], 'there is no command "b"; see'),
                (["atach", "1"], 'there is no command "atach" (did you mean heapscan attach?)'),
                ([__file__], f'there is no command "{__file__}" (did you mean heapscan core {__file__}?)'),
                (["attach", "/x", "--sysroot", "/"], "--sysroot is an option of core, not of attach; see"),
                (["core", "x", "--newest"], "--newest is an option of attach, not of core; see"),
                (["attach", "1", "--block", "all"], 'attach has no option "--block" (did you mean --blocks?); see'),
                (["attach", "1", "--suppresions=x"], 'no option "--suppresions" (did you mean --suppressions?)'),
                (["attach", "1", "--verbose=maybe"], "--verbose takes no value; see"),
                (["attach", "1", "-x", "--bogus"], 'attach has no option "-x"; see'),
                (["--format", "json", "attach", "1"], 'options follow the command; "--format" comes before it; see'),
                (["--nonsense"], 'there is no option "--nonsense"; see')):
            with self.subTest(words=words):
                self.assert_complains(self.heapscan(*words), 2, "heapscan: ", said)

    def test_contradictions_are_refused(self):
        file = self.folder() / "file"
        file.write_text("")
        for words, said in (
                (["--min-size", "10k", "--max-size", "1k"], "--min-size 10240 is larger than --max-size 1024"),
                (["-q", "-v"], "--verbose and --quiet exclude each other"),
                (["-v", "-q"], "exclude each other"),
                (["--newest", "--oldest"], "exclude each other"),
                (["--all-matching", "--newest"], "exclude each other"),
                (["--debug-dir", "/no/such/place"], '--debug-dir takes a directory, not "/no/such/place": No such file'),
                (["--debug-dir", "/", "--debug-dir", file], "Not a directory"),
                (["-o", ""], "--output takes the name of a file")):
            with self.subTest(words=words):
                self.assert_complains(self.heapscan("attach", "2147483647", *words), 2, said)
        self.assert_complains(self.heapscan("core", __file__, "--sysroot", "/no/such/place"), 2,
                              '--sysroot takes a directory, not "/no/such/place"')

    def test_choices_need_a_name(self):
        for choice in ("--newest", "--oldest", "--all-matching"):
            self.assert_complains(self.heapscan("attach", "2147483647", choice), 2, "2147483647 is a process id")

    def test_an_empty_word_is_no_process(self):
        self.assert_complains(self.heapscan("attach", ""), 2, "a process id or name")

    def test_options_before_the_command(self):
        self.assert_complains(self.heapscan("--format", "json", "attach", "1"), 2, "--format")

    def test_flags_take_no_value(self):
        self.assert_complains(self.heapscan("attach", "1", "--verbose=maybe"), 2, "--verbose")

    def test_unknown_option(self):
        self.assert_complains(self.heapscan("attach", "1", "--bogus"), 2, "--bogus")

    def test_bad_values(self):
        bad = {
            "--min-size": ["", "x", "-1", "10kk", "0x", "1e3", "99999999999999999999", "18446744073709551615k"],
            "--max-size": ["ten", "4 M"],
            "--kinds": ["", "a", "definite,", "definite,,possible", "Definite", "not judged"],
            "--blocks": ["some", ""],
            "--format": ["xml", "JSON"],
            "--sort": ["size"],
            "--color": ["yes"],
            "--top": ["-1", "ten", "99999999999999999999"],
            "--threads": ["-1", "two", "100000"],
            "--cluster": ["", "abc", "0123456789abcdef0", "ABCD", "wxyz"],
        }
        for option, values in bad.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    result = self.heapscan("attach", "1", f"{option}={value}")
                    self.assert_complains(result, 2, option)

    def test_values_must_be_there(self):
        for option in ("--output", "--top", "--threads", "--kinds", "--debug-dir", "--min-size", "--cluster", "--suppressions"):
            with self.subTest(option=option):
                self.assert_complains(self.heapscan("attach", "1", option), 2, f"{option} needs a value")

    def test_all_needs_a_cluster(self):
        self.assert_complains(self.heapscan("attach", "2147483647", "--all"), 2, "--cluster ID")

    def test_suppressions_that_cannot_be_read(self):
        folder = self.folder()
        bad = folder / "bad.supp"
        bad.write_text("# known\nleak:foo\nsize:lots\n")
        self.assert_complains(self.heapscan("attach", "2147483647", "--suppressions", bad), 2,
                              f"{bad}:3: ", '"lots" is not a size', "1k-4k")
        self.assert_complains(self.heapscan("attach", "2147483647", "--suppressions", folder / "missing"), 2,
                              str(folder / "missing"), "No such file")
        self.assert_complains(self.heapscan("attach", "2147483647", "--suppressions", folder), 2, "Is a directory")

    def test_the_last_value_counts(self):
        self.assert_complains(self.heapscan("attach", "1", "-n", "1", "-n", "x"), 2, "--top", '"x"')

    def test_pids_that_cannot_be(self):
        for pid in ("0", "2147483648", "99999999999999999999"):
            self.assert_complains(self.heapscan("attach", pid), 2, pid)

    def test_no_such_process(self):
        self.assert_complains(self.heapscan("attach", "2147483647"), 3, "2147483647")

    def test_no_process_of_that_name(self):
        self.assert_complains(self.heapscan("attach", "no-such-name-anywhere"), 3, '"no-such-name-anywhere"')

    def twins(self):
        """Two processes of one name, the one that was started first, first."""
        program = self.folder() / "heapscan-twin"
        shutil.copy(os.path.join(OPTIONS.fixtures, "fixture_strdup_loop"), program)
        twins = contextlib.ExitStack()
        self.addCleanup(twins.close)
        one = twins.enter_context(fixture(str(program), "3"))
        two = twins.enter_context(fixture(str(program), "5"))
        return one.pid, two.pid

    def test_several_processes_of_one_name(self):
        one, two = self.twins()
        result = self.heapscan("attach", "heapscan-twin")
        self.assert_complains(result, 2, "2 processes", "--newest", "--oldest", "--all-matching", "heapscan-twin 5")
        header, *rows = [line.split() for line in result.err.splitlines()[1:]]
        self.assertEqual(header, ["PID", "AGE", "RSS", "COMMAND"])
        self.assertEqual([row[0] for row in rows], sorted([str(one), str(two)], key=int))
        for row in rows:
            self.assertRegex(" ".join(row[1:5]), r"^\d+ (s|min) [\d.]+ [KM]iB$")

    @needs_ptrace
    def test_one_of_several_by_age(self):
        one, two = self.twins()
        for choice, pid in (("--oldest", one), ("--newest", two)):
            result = self.heapscan("attach", "heapscan-twin", choice)
            self.assertEqual((result.code, result.err), (1, ""))
            self.assertTrue(result.out.startswith(f"heapscan: pid {pid} "), result.out)

    @needs_ptrace
    def test_all_of_several(self):
        one, two = self.twins()
        result = self.heapscan("attach", "heapscan-twin", "--all-matching")
        self.assertEqual((result.code, result.err), (1, ""))
        reports = result.out.split("\n\n")
        self.assertEqual([report.split()[2] for report in reports], sorted([str(one), str(two)], key=int))
        folder = self.folder()
        result = self.heapscan("attach", "heapscan-twin", "--all-matching", "--format", "json", "-o", folder / "r.json")
        self.assertEqual((result.code, result.out, result.err), (1, "", ""))
        for pid in (one, two):
            report = parse((folder / f"r.{pid}.json").read_text(encoding="utf-8"))
            self.assertEqual(report["target"]["pid"], pid)
        self.assertEqual(len(list(folder.iterdir())), 2)

    @needs_ptrace
    def test_the_exit_code_of_several_is_the_worst(self):
        """One process of the name leaks, one is stopped by a tracer of its own."""
        one, two = self.twins()
        with traced(two):
            result = self.heapscan("attach", "heapscan-twin", "--all-matching", "-q")
        self.assertEqual(result.code, 3)
        self.assertIn(f"cannot attach to process {two} ", result.err)
        self.assertIn("\nSUMMARY: ", result.out)
        self.assertEqual(self.heapscan("attach", "heapscan-twin", "--oldest", "-q").code, 1, one)

    @needs_ptrace
    def test_reports_that_could_not_be_made_leave_no_empty_lines(self):
        one, two = self.twins()
        for refused in (one, two):
            with self.subTest(first=refused == one), traced(refused):
                result = self.heapscan("attach", "heapscan-twin", "--all-matching", "-q")
                self.assertRegex(result.out, r"\Aleaked [^\0]*\nSUMMARY: [^\n]*\n\Z")
                self.assertNotIn("\n\n", result.out)
        with traced(one), traced(two):
            self.assert_complains(self.heapscan("attach", "heapscan-twin", "--all-matching"), 3, "already traced by")

    def without_own_proc(self, *prepare):
        """Runs a command line in a mount namespace of its own, after `prepare` has changed /proc there."""
        return ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c",
                f'{" ".join(prepare)} || exit 77; exec "$@"', "sh"]

    def run_without_own_proc(self, command, *words):
        if shutil.which("unshare") is None:
            self.skipTest("unshare is not in PATH")
        result = run(command[0], *command[1:], OPTIONS.heapscan, *words)
        if result.code == 77 or result.err.startswith("unshare:"):
            self.skipTest(f"/proc cannot be replaced in a mount namespace here: {result.err.strip()}")
        return result

    def test_without_proc(self):
        command = self.without_own_proc("mount -t tmpfs none /proc")
        for target in ("1", "no-such-name-anywhere"):
            result = self.run_without_own_proc(command, "attach", target)
            self.assert_complains(result, 3, "/proc: it is not mounted here", "`mount -t proc proc /proc`")

    def test_a_proc_of_another_pid_namespace(self):
        command = self.without_own_proc("true")
        command[1:1] = ["--pid", "--fork"]
        for target in ("2", "no-such-name-anywhere"):
            result = self.run_without_own_proc(command, "attach", target)
            self.assert_complains(result, 3, "/proc: it is that of another pid namespace")

    def test_a_proc_that_hides_processes(self):
        if os.geteuid() != 0:
            self.skipTest("mounting /proc with hidepid needs root")
        if shutil.which("setpriv") is None:
            self.skipTest("setpriv is not in PATH")
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if run(as_nobody[0], *as_nobody[1:], OPTIONS.heapscan, "--version").code != 0:
            self.skipTest("another user cannot run heapscan here")
        command = [*self.without_own_proc("mount -t proc -o hidepid=2 proc /proc"), *as_nobody]
        self.assert_complains(self.run_without_own_proc(command, "attach", "1"), 3, "hidepid", "as root (sudo)")
        self.assert_complains(self.run_without_own_proc(command, "attach", "no-such-name-anywhere"), 3,
                              '"no-such-name-anywhere"; /proc is mounted with hidepid', "as root (sudo)")

    @needs_ptrace
    def test_by_the_path_of_the_program(self):
        program = self.folder() / "heapscan-path"
        shutil.copy(os.path.join(OPTIONS.fixtures, "fixture_strdup_loop"), program)
        with fixture(str(program)) as waiting:
            result = self.heapscan("attach", program)
            self.assertEqual((result.code, result.err), (1, ""))
            self.assertTrue(result.out.startswith(f"heapscan: pid {waiting.pid} "), result.out)

    def test_no_such_core(self):
        missing = self.folder() / "missing"
        self.assert_complains(self.heapscan("core", missing), 3, str(missing), "No such file")

    def test_a_file_that_is_no_core(self):
        self.assert_complains(self.heapscan("core", __file__), 3, "cli_test.py")


@needs_ptrace
class Output(CliTest):
    @needs_ptrace
    def test_what_would_cost_too_much_is_left_alone(self):
        with healthy_process() as process:
            for command, *more in (("attach",), ("snapshot", "-o", self.folder() / "look.core")):
                for limit, part in (("--max-copy=1", "and --max-copy is 1 B"), ("--max-pause=0", "and --max-pause is 0")):
                    result = self.heapscan(command, process.pid, limit, *more)
                    self.assert_complains(result, 3, f"process {process.pid} was left alone: ", part)
                    self.assertFalse(more and os.path.exists(more[-1]))
            self.assertEqual(self.heapscan("attach", process.pid, "--max-copy", "64G", "--max-pause", "1e9").code, 0)
        self.assert_complains(self.heapscan("attach", "1", "--max-copy=x"), 2, "--max-copy takes a size")
        self.assert_complains(self.heapscan("attach", "1", "--max-pause=x"), 2, "--max-pause takes a number of milliseconds")

    """Of the strdup loop: 2000 lost blocks of 24 bytes."""

    def setUp(self):
        waiting = self.fixture("strdup_loop")
        self.pid = waiting.__enter__().pid
        self.addCleanup(waiting.__exit__, None, None, None)

    def test_goes_to_a_file_of_ones_own(self):
        folder = self.folder()
        report = folder / "report.txt"
        report.write_text("what was there before")
        report.chmod(0o644)
        result = self.heapscan("attach", self.pid, "-o", report)
        self.assertEqual((result.code, result.out, result.err), (1, "", ""))
        self.assertIn("\nSUMMARY: ", report.read_text())
        self.assertEqual(stat.S_IMODE(report.stat().st_mode), 0o600)
        self.assertEqual(os.listdir(folder), ["report.txt"])

    def test_the_pause_is_announced_and_accounted_for(self):
        result = self.heapscan("attach", self.pid, "-v", "--timing")
        self.assertRegex(result.err, r"^heapscan: about [\d.]+ [KM]iB to copy, 1 thread to stop; "
                                     r"expected pause [\d.]+ ms; [\d.]+ [GM]iB of memory available\n$")
        for part in ("stop threads", "read registers", "read maps", "kernel references", "copy", "release"):
            self.assertRegex(result.out, rf"\n    pause: {part} +[\d.]+ ms\n")
        self.assertEqual(self.heapscan("attach", self.pid, "--timing").err, "")

    def test_the_parts_of_the_pause_add_up(self):
        report = json.loads(self.heapscan("attach", self.pid, "--timing", "--format", "json").out)
        parts = {name: seconds for name, seconds in report["timing"].items() if name.startswith("pause: ")}
        parts.pop("pause: waited for a processor", None)
        self.assertEqual(len(parts), 6)
        self.assertAlmostEqual(sum(parts.values()), report["target"]["pause_seconds"], delta=0.001)
        self.assertGreater(report["timing"]["acquire"], sum(parts.values()))

    def test_minus_is_standard_output(self):
        self.assertIn("\nSUMMARY: ", self.heapscan("attach", self.pid, "-o", "-").out)

    def test_does_not_follow_links(self):
        folder = self.folder()
        victim = folder / "victim"
        victim.write_text("precious")
        (folder / "link").symlink_to(victim)
        self.assert_complains(self.heapscan("attach", self.pid, "-o", folder / "link"), 3, "symbolic link")
        self.assertEqual(victim.read_text(), "precious")

    def test_fails_before_anything_is_stopped(self):
        missing = self.folder() / "missing" / "report"
        self.assert_complains(self.heapscan("attach", "2147483647", "-o", missing), 3, "cannot write the report")
        self.assert_complains(self.heapscan("attach", "2147483647", "-o", self.folder()), 3, "Is a directory")

    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            self.assert_complains(self.heapscan("attach", self.pid, stdout=full), 3, "standard output: No space left")
        self.assert_complains(self.heapscan("attach", self.pid, "-o", "/dev/full"), 3, "/dev/full: No space left")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/full").st_mode))

    def test_closed_standard_output(self):
        command = f'"{OPTIONS.heapscan}" attach {self.pid} >&-'
        done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(b"cannot write the report to standard output", done.stderr)

    def test_reader_that_had_enough(self):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:
            result = self.heapscan("attach", self.pid, "--blocks", "all", stdout=pipe)
        self.assertEqual((result.code, result.err), (1, ""))

    def test_colour(self):
        plain = self.heapscan("attach", self.pid, env={"TERM": "xterm"}).out
        self.assertNotIn("\x1b", plain, "a pipe is no terminal")
        always = self.heapscan("attach", self.pid, "--color", "always", env={"NO_COLOR": "1"}).out
        self.assertIn("\x1b[", always)

    def on_terminal(self, *words, env):
        """What heapscan prints when its standard output is a terminal."""
        try:
            ours, theirs = os.openpty()
        except OSError as error:
            self.skipTest(f"no terminal device is to be had: {error}")
        try:
            result = self.heapscan("attach", self.pid, "-q", *words, env={"TERM": "xterm", **env}, stdout=theirs)
            self.assertEqual(result.code, 1, result.err)
        finally:
            os.close(theirs)
        text = os.read(ours, 1 << 16)
        os.close(ours)
        return text

    def test_colour_on_a_terminal(self):
        self.assertIn(b"\x1b[", self.on_terminal(env={}))
        self.assertIn(b"\x1b[", self.on_terminal(env={"NO_COLOR": ""}))
        self.assertNotIn(b"\x1b[", self.on_terminal(env={"NO_COLOR": "1"}))
        self.assertNotIn(b"\x1b[", self.on_terminal(env={"TERM": "dumb"}))
        self.assertNotIn(b"\x1b[", self.on_terminal("--color", "never", env={}))

    def test_threads_change_nothing(self):
        reports = {normalised(self.heapscan("attach", self.pid, "--blocks", "all", "-j", n).out) for n in (0, 1, 4)}
        self.assertEqual(len(reports), 1)


@needs_ptrace
class Reports(CliTest):
    def report(self, name, *words, arguments=()):
        with self.fixture(name, *arguments) as waiting:
            result = self.heapscan("attach", waiting.pid, *words)
        self.assertEqual(result.code, 1, result.err)
        self.assertRegex(result.err, r"^heapscan: about .* to copy, .*\n$" if "-v" in words else "^$")
        return result.out

    def test_golden(self):
        self.assert_golden("sessions.txt", normalised(self.report("sessions")))
        self.assert_golden("sessions_quiet.txt", normalised(self.report("sessions", "-q")))
        self.assert_golden("strdup_loop.txt", normalised(self.report("strdup_loop")))
        self.assert_golden("chains.txt", normalised(self.report("chains")))
        self.assert_golden("rings.txt", normalised(self.report("rings")))
        self.assert_golden("strdup_loop_blocks.txt",
                           normalised(self.report("strdup_loop", "--blocks", "lost", arguments=["3"])))

    def test_healthy_process(self):
        with healthy_process() as process:
            result = self.heapscan("attach", process.pid)
        self.assertEqual((result.code, result.err), (0, ""), result.out)
        self.assertIn("\nleaked      nothing\n", result.out)

    def test_by_name(self):
        program = self.folder() / "heapscan-only"
        shutil.copy(os.path.join(OPTIONS.fixtures, "fixture_strdup_loop"), program)
        with fixture(str(program)) as waiting:
            result = self.heapscan("attach", "heapscan-only")
            self.assertEqual((result.code, result.err), (1, ""))
            self.assertTrue(result.out.startswith(f"heapscan: pid {waiting.pid} (heapscan-only), 1 thread, "))

    def test_commands_lead_on(self):
        with self.fixture("sessions") as waiting:
            first = self.heapscan("attach", waiting.pid).out
            command = next(line.split() for line in first.splitlines() if line.startswith("      heapscan "))
            self.assertEqual(command[:3], ["heapscan", "attach", str(waiting.pid)])
            second = self.heapscan(*command[1:])
        self.assertEqual((second.code, second.err), (1, ""))
        self.assertIn("\ngroup       ", second.out)

    def test_no_content(self):
        """Nothing of what sessions and strings hold, in any way of looking at them."""
        secrets = ["session of user", "GET /index", "127.0.0.1", "test_memory"]
        secrets += [secret.encode().hex() for secret in secrets] + [secret[:8].encode()[::-1].hex() for secret in secrets]
        for name in ("sessions", "strdup_loop"):
            with self.fixture(name) as waiting:
                ids = [group["id"] for group in
                       parse(self.heapscan("attach", waiting.pid, "--format", "json", "--kinds",
                                           "definite,indirect").out)["leaks"]]
                self.assertTrue(ids)
                views = [["-v", "--blocks", "all"], ["--kinds", "definite,indirect,possible,reachable", "-n", "100"]]
                views += [["--cluster", each, "--all", "-v"] for each in ids]
                for view in views:
                    for form in ("text", "json"):
                        words = ["attach", waiting.pid, "--no-content", "--format", form, *view]
                        shown = self.heapscan(*words).out
                        self.assertIn(str(waiting.pid), shown)
                        for secret in secrets:
                            self.assertNotIn(secret, shown, words)
        self.assertIn(" --no-content --cluster ", self.report("sessions", "--no-content"))

    def test_content_is_shown_otherwise(self):
        """The secrets above are there to be found."""
        self.assertIn("GET /index", self.report("sessions"))
        self.assertIn("test_memory", self.report("strdup_loop"))

    def test_cluster(self):
        with self.fixture("sessions") as waiting:
            groups = parse(self.heapscan("attach", waiting.pid, "--format", "json").out)["leaks"]
            group = groups[0]
            text = self.heapscan("attach", waiting.pid, "--cluster", group["id"])
            self.assert_golden("sessions_cluster.txt", normalised(text.out))
            self.assertEqual((text.code, text.err), (1, ""))
            short = self.heapscan("attach", waiting.pid, "--cluster", group["id"][:8], "--all")
            self.assertEqual(short.err, "")
            self.assertEqual(sum(" definite " in line for line in short.out.split("\nblocks\n")[1].splitlines()),
                             group["blocks"])
            wrong = group["id"][:-1] + ("0" if group["id"][-1] != "0" else "1")
            self.assert_complains(self.heapscan("attach", waiting.pid, "--cluster", wrong), 2,
                                  f"there is no group {wrong}", group["id"])

    def test_a_group_of_one_block(self):
        with self.fixture("chains") as waiting:
            group = parse(self.heapscan("attach", waiting.pid, "--format", "json").out)["leaks"][0]
            self.assertEqual(group["blocks"], 1)
            text = self.heapscan("attach", waiting.pid, "--cluster", group["id"]).out
        self.assertRegex(text, r"\nwords {7}of block 0x[0-9a-f]+ \([\d,]+ B\), the only one sampled\n")

    def suppressed(self, name, rules, *words):
        supp = self.folder() / "my.supp"
        supp.write_text(rules)
        with self.fixture(name) as waiting:
            return supp, self.heapscan("attach", waiting.pid, "--suppressions", supp, *words)

    def test_suppressions(self):
        supp, result = self.suppressed("strdup_loop", "# known\nsize:24\nleak:never")
        self.assertEqual((result.code, result.err), (0, ""), result.out)
        self.assertIn("\nleaked      nothing\n", result.out)
        self.assertIn("\nsuppressed  46.9 KiB in 2,000 blocks\n", result.out)
        self.assertIn(f"    2,000 blocks    46.9 KiB  size:24 ({supp}:2)\n", result.out)
        self.assertIn(f"        0 blocks         0 B  leak:never ({supp}:3): matches nothing\n", result.out)
        self.assertTrue(result.out.endswith("; 46.9 KiB suppressed\n"))

    def test_suppressed_blocks_take_what_hangs_below_along(self):
        _, result = self.suppressed("sessions", "size:264", "--format", "json", "--blocks", "all")
        self.assertEqual((result.code, result.err), (0, ""))
        report = parse(result.out)
        self.assertEqual(violations(parse(SCHEMA.read_text(encoding="utf-8")), report), [])
        verdicts = report["totals"]["verdicts"]
        self.assertEqual(verdicts["definite"]["blocks"] + verdicts["indirect"]["blocks"], 0)
        self.assertEqual(verdicts["suppressed"]["blocks"], 10000)
        self.assertEqual([(row["rule"], row["blocks"]) for row in report["suppressions"]], [("size:264", 10000)])
        self.assertEqual(sum(row["verdict"] == "suppressed" for row in report["blocks"]), 10000)
        self.assertEqual(report["unused_suppressions"], [])

    def test_suppressions_that_match_nothing_are_named(self):
        supp, result = self.suppressed("strdup_loop", "leak:never\ntype:^nobody$\n", "--format", "json")
        self.assertEqual((result.code, result.err), (1, ""))
        report = parse(result.out)
        self.assertEqual(violations(parse(SCHEMA.read_text(encoding="utf-8")), report), [])
        self.assertEqual(report["unused_suppressions"],
                         [{"rule": "leak:never", "source": f"{supp}:1"},
                          {"rule": "type:^nobody$", "source": f"{supp}:2"}])
        _, text = self.suppressed("strdup_loop", "leak:never")
        self.assertIn("\nsuppressed  0 B in 0 blocks\n        0 blocks         0 B  leak:never (", text.out)
        _, plain = self.suppressed("strdup_loop", "")
        self.assertNotIn("\nsuppressed", plain.out, "the built-in ones are not named")

    def test_commands_keep_the_suppressions(self):
        supp, result = self.suppressed("sessions", "leak:never", "--no-builtin-suppressions")
        self.assertEqual(result.code, 1)
        self.assertIn(f" --suppressions {supp} --no-builtin-suppressions --cluster ", result.out)

    def test_verbose_and_timing(self):
        report = self.report("sessions", "-v", "--timing")
        for part in ("\nverdicts ", "\nwords ", "\nallocator ", "\nchecks ", "\ntiming\n", "  acquire ", "  report "):
            self.assertIn(part, report)

    def test_stale_words_are_the_reason(self):
        report = self.report("message_ring", "-n", "1")
        self.assertRegex(report, r"\n      1,\d{3} blocks: held only by words of 0x[0-9a-f]+, 9\d % of whose pointers lead to "
                                 r"freed memory\n")

    def test_filters(self):
        report = self.report("sessions", "--max-size", "263")
        self.assertNotIn("264 B", report)
        self.assertIn(" definitely lost in 5,000 blocks", report)


@needs_ptrace
class JsonReports(CliTest):
    def report(self, waiting, *words):
        result = self.heapscan("attach", waiting.pid, "--format", "json", *words)
        self.assertEqual(result.err, "")
        report = parse(result.out)
        self.assertEqual(violations(parse(SCHEMA.read_text(encoding="utf-8")), report), [])
        return report

    def test_tells_the_truth(self):
        for name in ("sessions", "strdup_loop", "chains", "rings"):
            with self.subTest(fixture=name), self.fixture(name) as waiting:
                report = self.report(waiting, "--blocks", "all", "--timing", "-n", 1000)
                verdicts = report["totals"]["verdicts"]
                for verdict in ("definite", "indirect", "possible"):
                    blocks, size = waiting.totals().get(verdict, (0, 0))
                    self.assertEqual(verdicts[verdict], {"blocks": blocks, "bytes": size}, verdict)
                self.assert_parts_add_up(report)

    def assert_parts_add_up(self, report):
        verdicts = report["totals"]["verdicts"]
        for verdict in ("reachable", "possible", "indirect", "definite"):
            rows = [row for row in report["blocks"] if row["verdict"] == verdict]
            self.assertEqual(verdicts[verdict], {"blocks": len(rows), "bytes": sum(row["size"] for row in rows)})
        for verdict in ("possible", "definite"):
            groups = [group for group in report["leaks"] if group["verdict"] == verdict]
            self.assertEqual(verdicts[verdict]["blocks"], sum(group["blocks"] for group in groups))
        lost = [group["indirect"]["bytes"] for group in report["leaks"]]
        self.assertEqual(verdicts["indirect"]["bytes"], sum(lost))
        addresses = [int(row["address"], 16) for row in report["blocks"]]
        self.assertEqual(addresses, sorted(set(addresses)))

    def test_a_program_with_a_malloc_of_its_own_keeps_its_types(self):
        with self.fixture("own_malloc") as waiting:
            report = self.report(waiting)
        self.assertEqual([group["label"] for group in report["leaks"]], ["struct parcel"])
        self.assertIn("struct address", {row["label"] for row in report["leaks"][0]["below"]})

    def test_of_a_healthy_process(self):
        with healthy_process() as process:
            report = self.report(process)
        self.assertEqual((report["leaks"], report["blocks"], report["timing"]), ([], [], {}))
        self.assertEqual(report["target"]["command"], "cat")

    def test_group_ids_last(self):
        ids = []
        for _ in range(2):
            with self.fixture("sessions") as waiting:
                ids.append([group["id"] for group in self.report(waiting)["leaks"]])
        self.assertEqual(ids[0], ids[1])
        self.assertTrue(ids[0])

    def ids_of(self, name, path):
        """Of the fixture program when it is installed as `path`."""
        path.parent.mkdir(exist_ok=True)
        shutil.copy(os.path.join(OPTIONS.fixtures, "fixture_" + name), path)
        with fixture(path) as waiting:
            return [group["id"] for group in self.report(waiting)["leaks"]]

    def test_ids_of_text_are_those_of_one_program(self):
        folder = self.folder()
        shop = self.ids_of("strdup_loop", folder / "bin" / "shop")
        self.assertEqual(len(shop), 1)
        self.assertEqual(self.ids_of("strdup_loop", folder / "sbin" / "shop"), shop, "wherever it is installed")
        bank = self.ids_of("strdup_loop", folder / "bin" / "bank")
        self.assertNotEqual(bank, shop, "text is text in every program")

    def test_ids_of_types_are_those_of_the_type(self):
        folder = self.folder()
        session = self.ids_of("sessions", folder / "shop")[0]
        self.assertEqual(self.ids_of("sessions", folder / "bank")[0], session)

    def test_a_rule_for_an_id_works(self):
        with self.fixture("strdup_loop") as waiting:
            rule = "id:" + self.report(waiting)["leaks"][0]["id"]
            supp = self.folder() / "my.supp"
            supp.write_text(rule)
            report = self.report(waiting, "--suppressions", supp)
        self.assertEqual(report["leaks"], [])
        self.assertEqual([row["rule"] for row in report["suppressions"]], [rule])

    def test_id_and_verdict_are_a_key(self):
        for name in ("chains", "rings", "cpp_containers", "typed_objects"):
            with self.subTest(fixture=name), self.fixture(name) as waiting:
                report = self.report(waiting, "-n", 1000, "--kinds", "definite,possible,indirect,reachable")
                self.assertEqual(repeated_keys(report), [])
                self.assertGreater(len(report["leaks"]), 1)

    def test_cluster(self):
        with self.fixture("chains") as waiting:
            for group in self.report(waiting, "-n", 100)["leaks"]:
                report = self.report(waiting, "--cluster", group["id"], "--all")
                cluster = report["cluster"]
                self.assertEqual((cluster["id"], cluster["label"]), (group["id"], group["label"]))
                self.assertEqual(len(report["blocks"]), cluster["blocks"])
                self.assertEqual({row["cluster"] for row in report["blocks"]}, {group["id"]})
                ends = [word["offset"] + word["length"] for word in cluster["words"]]
                self.assertEqual([0, *ends[:-1]], [word["offset"] for word in cluster["words"]])

    def test_no_content(self):
        with self.fixture("sessions") as waiting:
            report = self.report(waiting, "--no-content")
        for group in report["leaks"]:
            self.assertEqual(group["content"], {"hex": None, "text": None})


@needs_ptrace
@unittest.skipUnless(shutil.which("gcore"), "gcore is not installed")
class Cores(CliTest):
    def core_of(self, waiting, folder):
        done = subprocess.run(["gcore", "-o", folder / "core", str(waiting.pid)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        core = folder / f"core.{waiting.pid}"
        self.assertTrue(core.exists(), done.stdout)
        return core

    def test_says_what_the_process_said(self):
        folder = self.folder()
        with self.fixture("sessions") as waiting:
            core = self.core_of(waiting, folder)
            live = self.heapscan("attach", waiting.pid, "-q")
        result = self.heapscan("core", core, "-q")
        self.assertEqual((result.code, result.err), (1, ""))
        self.assertEqual(result.out.splitlines()[-1], live.out.splitlines()[-1])

    @needs_ptrace
    def test_file_cut_short_while_it_is_read(self):
        folder = self.folder()
        with self.fixture("sessions") as waiting:
            core = self.core_of(waiting, folder)
        report = folder / "report"
        result = run_until_mapped(OPTIONS.heapscan, "core", core, "-o", report, path=core,
                                  then=lambda: os.truncate(core, 4096))
        self.assert_complains(result, 3, f"{core} can no longer be read: it was cut short")
        self.assertEqual(sorted(folder.iterdir()), [core])

    @needs_ptrace
    def test_file_changed_where_nothing_was_read(self):
        folder = self.folder()
        with self.fixture("sessions") as waiting:
            core = self.core_of(waiting, folder)
        result = run_until_mapped(OPTIONS.heapscan, "core", core, path=core, then=lambda: os.truncate(
            core, core.stat().st_size + 4096))
        self.assert_complains(result, 3, f"{core} was changed while it was read")

    def test_json(self):
        with self.fixture("chains") as waiting:
            core = self.core_of(waiting, self.folder())
        result = self.heapscan("core", core, "--format", "json", "--blocks", "lost")
        report = parse(result.out)
        self.assertEqual(violations(parse(SCHEMA.read_text(encoding="utf-8")), report), [])
        self.assertEqual((report["target"]["kind"], report["target"]["pause_seconds"]), ("core", None))

    def test_commands_quote_the_file(self):
        folder = self.folder() / "with space"
        folder.mkdir()
        with self.fixture("strdup_loop") as waiting:
            core = self.core_of(waiting, folder)
        result = self.heapscan("core", core)
        self.assertIn(f"      heapscan core '{core}' --cluster ", result.out)


def main(suites, module):
    return run_suites(OPTIONS, __doc__, module, suites, regenerate={"action": "store_true"})


if __name__ == "__main__":
    sys.exit(main(["Help", "Usage", "Output", "Reports", "JsonReports", "Cores"], sys.modules[__name__]))
