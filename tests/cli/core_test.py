#!/usr/bin/python3
"""Cores that are no plain files: packed ones, standard input, what systemd-coredump has kept.

usage: core_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
"""

import gzip
import lzma
import os
import pty
import subprocess
import sys

from cli_test import OPTIONS, CliTest, main, needs_ptrace

COREDUMPCTL = """#!/bin/sh
printf '%s\\n' "$@" >"$FAKE/words"
case $* in
  *nothing*) echo "No match found." >&2; exit 1 ;;
  *silent*) exit 0 ;;
  *half*) head -c 100000 "$FAKE/core"; echo "Failed to read it: Input/output error" >&2; exit 1 ;;
  *) exec cat "$FAKE/core" ;;
esac
"""


class CoreTest(CliTest):
    def core(self, folder):
        with self.fixture("sessions") as waiting:
            result = self.heapscan("snapshot", waiting.pid, "-o", folder / "core")
            self.assertEqual(result.code, 0, result.err)
        return folder / "core"

    def piped(self, data, *words):
        return subprocess.run([OPTIONS.heapscan, "core", *words], input=data, capture_output=True, timeout=60, check=False)

    def summary(self, result):
        self.assertEqual((result.code, result.err), (1, ""))
        return result.out.splitlines()[-1]


class Packed(CoreTest):
    @needs_ptrace
    def test_whatever_they_are_called(self):
        folder = self.folder()
        core = self.core(folder)
        expected = self.summary(self.heapscan("core", core, "-q"))
        self.assertIn("5,000 blocks", expected)
        for name, packed in (("a.core", gzip.compress(core.read_bytes(), 1)),
                             ("core.zst", lzma.compress(core.read_bytes(), preset=0))):
            (folder / name).write_bytes(packed)
            self.assertEqual(self.summary(self.heapscan("core", folder / name, "-q")), expected)
        self.assertIn("confirmed", self.heapscan("diff", folder / "a.core", folder / "core.zst", "-q").out)

    @needs_ptrace
    def test_one_that_is_cut_off_gives_what_it_has(self):
        folder = self.folder()
        packed = gzip.compress(self.core(folder).read_bytes(), 1)
        (folder / "cut.gz").write_bytes(packed[:-100])
        result = self.heapscan("core", folder / "cut.gz", "-v")
        self.assertIn("its gzip data is cut off", result.out + result.err)
        self.assertIn("SUMMARY: ", result.out)

    @needs_ptrace
    def test_standard_input(self):
        folder = self.folder()
        core = self.core(folder)
        expected = self.summary(self.heapscan("core", core, "-q"))
        for data in (core.read_bytes(), lzma.compress(core.read_bytes(), preset=0)):
            result = self.piped(data, "-", "-q")
            self.assertEqual((result.returncode, result.stderr), (1, b""))
            self.assertEqual(result.stdout.decode().splitlines()[-1], expected)
        text = self.piped(core.read_bytes(), "-").stdout.decode()
        self.assertRegex(text, r"\Aheapscan: snapshot standard input \(fixture_session\), ")
        self.assertIn("      heapscan core - --cluster ", text)

    def test_standard_input_that_is_no_core(self):
        for data, said in ((b"", "cannot read standard input as a core dump: it is empty"),
                           (b"hello", "cannot read standard input as a core dump: it is not an ELF file")):
            result = self.piped(data, "-")
            self.assertEqual((result.returncode, result.stdout), (3, b""))
            self.assertIn(said, result.stderr.decode())

    def test_a_terminal_is_no_core(self):
        controller, terminal = pty.openpty()
        try:
            result = subprocess.run([OPTIONS.heapscan, "core", "-"], stdin=terminal, capture_output=True, timeout=60, check=False)
        finally:
            os.close(controller)
            os.close(terminal)
        self.assertEqual((result.returncode, result.stdout), (2, b""))
        self.assertIn("standard input is a terminal; pipe a core dump in", result.stderr.decode())


class Last(CoreTest):
    def last(self, folder, *words):
        program = folder / "coredumpctl"
        program.write_text(COREDUMPCTL)
        program.chmod(0o755)
        return self.heapscan("core", "--last", *words,
                             env={"FAKE": str(folder), "PATH": f"{folder}:{os.environ['PATH']}"})

    @needs_ptrace
    def test_what_coredumpctl_writes_is_read(self):
        folder = self.folder()
        expected = self.summary(self.heapscan("core", self.core(folder), "-q"))
        for match, words in ((["-q"], "dump\n"), (["x y$(touch z)", "-q"], "dump\nx y$(touch z)\n")):
            self.assertEqual(self.summary(self.last(folder, *match)), expected)
            self.assertEqual((folder / "words").read_text(), "--quiet\n--no-pager\n" + words)
        text = self.last(folder, "nginx").out
        self.assertIn("heapscan: snapshot the last core dump of nginx (fixture_session), ", text)
        self.assertIn("      heapscan core --last nginx --cluster ", text)
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["core", "coredumpctl", "words"])

    @needs_ptrace
    def test_what_coredumpctl_complains_of_is_told(self):
        folder = self.folder()
        self.core(folder)
        for match, said in (("nothing", 'no core dump of "nothing": No match found; `coredumpctl list`'),
                            ("silent", 'no core dump of "silent": it did not say why'),
                            ("half", "Failed to read it: Input/output error")):
            self.assert_complains(self.last(folder, match), 3, said)

    def test_no_coredumpctl(self):
        self.assert_complains(self.heapscan("core", "--last", env={"PATH": str(self.folder())}), 3,
                              "cannot run coredumpctl: No such file", "systemd-coredump", "name the core dump's file")

    def test_words_that_contradict(self):
        self.assert_complains(self.heapscan("core", "x", "--last"), 2, "a file or --last, not both")
        self.assert_complains(self.heapscan("core"), 2, "core needs a file, - for standard input, or --last")
        self.assert_complains(self.heapscan("core", "--last=-o/etc/x"), 2, '--last takes a process id')


if __name__ == "__main__":
    sys.exit(main(["Packed", "Last"], sys.modules[__name__]))
