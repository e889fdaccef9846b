#!/usr/bin/python3
"""Snapshots as a user meets them: written, read by heapscan, by gdb and by eu-readelf, handed on without contents.

usage: snapshot_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import contextlib
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import unittest

import cli_test
from cli_test import CliTest, OPTIONS, SCHEMA, needs_ptrace
from heapscan_cli import healthy_process, run
from validate_json import parse, violations

SECRET = "zqvjkwyb-wybbqzvx-jxkqphgw-"

# Secrets in the heap, in freed memory, on the stack (argv, environment) and in registers' reach.
KEEPER = f"""
import sys, threading
held = [("{SECRET}%d" % i) * 5 for i in range(2000)]
dropped = [("{SECRET}%d" % i) * 5 for i in range(2000)]
del dropped
for i in range(7): threading.Thread(target=threading.Event().wait, daemon=True).start()
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.read()
"""


@contextlib.contextmanager
def keeper_of_secrets():
    environment = dict(os.environ, PASSWORD=SECRET * 3)
    with subprocess.Popen([sys.executable, "-c", KEEPER, SECRET], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=environment) as process:
        try:
            if process.stdout.readline() != b"ready\n":
                raise AssertionError("it never said that it was ready")
            yield process
        finally:
            process.kill()


def summary(result):
    return result.out.splitlines()[-1]


@needs_ptrace
class Written(CliTest):
    def test_says_what_the_process_says(self):
        folder = self.folder()
        with self.fixture("sessions") as waiting:
            live = self.heapscan("attach", waiting.pid)
            for name in ("a.core", "a.core.zst"):
                result = self.heapscan("snapshot", waiting.pid, "-o", folder / name)
                self.assertEqual((result.code, result.out), (0, ""), result.err)
                self.assertRegex(result.err, rf"^heapscan: pid {waiting.pid} \(\S+\), 1 thread, stopped for [\d.]+ ms; "
                                 rf"\S+{name} takes .* written in .*; see heapscan core \S+{name}\n$")
        for name in ("a.core", "a.core.zst"):
            kept = self.heapscan("core", folder / name)
            self.assertEqual((kept.code, kept.err), (1, ""))
            self.assertRegex(kept.out, r"^heapscan: snapshot \S+ \(\S+\), pid \d+, 1 thread, taken "
                             r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, stopped for [\d.]+ m?s\n")
            expected = re.sub(r"heapscan attach \d+", f"heapscan core {folder / name}", live.out)
            self.assertEqual(kept.out.splitlines()[1:], expected.splitlines()[1:])

    def test_json(self):
        file = self.folder() / "a.core"
        with self.fixture("chains") as waiting:
            self.heapscan("snapshot", waiting.pid, "-o", file)
        report = parse(self.heapscan("core", file, "--format", "json", "--blocks", "lost").out)
        self.assertEqual(violations(parse(SCHEMA.read_text(encoding="utf-8")), report), [])
        target = report["target"]
        self.assertEqual((target["kind"], target["snapshot"], target["content"]), ("core", True, "full"))
        self.assertGreater(target["pause_seconds"], 0)
        self.assertNotIn("kernel-references", [note["kind"] for note in report["notes"]])

    def test_file_is_for_its_owner_alone(self):
        file = self.folder() / "a.core"
        with healthy_process() as process:
            result = run(OPTIONS.heapscan, "snapshot", process.pid, "-o", file, "-q", preexec_fn=lambda: os.umask(0))
        self.assertEqual((result.code, result.out, result.err), (0, "", ""))
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertEqual(list(file.parent.iterdir()), [file])

    def test_does_not_overwrite(self):
        folder = self.folder()
        file = folder / "a.core"
        file.write_text("precious")
        with healthy_process() as process:
            self.assert_complains(self.heapscan("snapshot", process.pid, "-o", file), 3,
                                  "the file exists; name another one, or replace it with --force")
            self.assertEqual(file.read_text(), "precious")
            self.assertEqual(self.heapscan("snapshot", process.pid, "-o", file, "--force").code, 0)
            self.assertEqual(self.heapscan("core", file, "-q").code, 0)
            link = folder / "link"
            link.symlink_to(file)
            self.assert_complains(self.heapscan("snapshot", process.pid, "-o", link, "--force"), 3, "symbolic link")
            self.assert_complains(self.heapscan("snapshot", process.pid, "-o", "/dev/null", "--force"), 3,
                                  "no regular file")
            self.assert_complains(self.heapscan("snapshot", process.pid, "-o", folder / "none" / "a"), 3,
                                  "No such file or directory; make the directory first")
            self.assert_complains(self.heapscan("snapshot", process.pid, "-o", folder), 3, "it is a directory")

    def test_disk_full_leaves_nothing(self):
        folder = self.folder()
        with healthy_process() as process:
            for name in ("a.core", "a.core.zst"):
                result = run(OPTIONS.heapscan, "snapshot", process.pid, "-o", folder / name,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)))
                self.assert_complains(result, 3, f"cannot write the snapshot to {folder / name}: File too large")
        self.assertEqual(list(folder.iterdir()), [])

    def test_full_file_system_leaves_nothing(self):
        folder = self.folder()
        script = f'mount -t tmpfs -o size=512k none {folder} && exec "$@"'
        # Root needs no namespace of its own users, from which nothing outside could be traced.
        words = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", script, "sh"]
        if shutil.which("unshare") is None or subprocess.run([*words, "true"], check=False,
                                                             stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no file system can be mounted here")
        with healthy_process() as process:
            list_it = f'"$@"; code=$?; ls -A {folder}; exit $code'
            done = subprocess.run([*words, "sh", "-c", list_it, "sh", OPTIONS.heapscan, "snapshot", str(process.pid),
                                   "-o", str(folder / "a.core")], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  check=False)
        if b"No space left" not in done.stderr:
            self.skipTest(f"not traced from there: {done.stderr.decode()}")
        self.assertEqual((done.returncode, done.stdout), (3, b""))
        self.assertIn(b"name a file on another disk", done.stderr)

    def test_names_say_which(self):
        folder = self.folder()
        with healthy_process() as process:
            self.assertEqual(self.heapscan("snapshot", process.pid, "-o", folder / "%h-%p-%t%%.core").code, 0)
        (file,) = folder.iterdir()
        self.assertRegex(file.name, rf"^{re.escape(os.uname().nodename)}-{process.pid}-\d+%\.core$")

    def test_interrupted_leaves_nothing(self):
        """Whenever the signal comes: before, while or after the file is written."""
        folder = self.folder()
        with keeper_of_secrets() as process:
            for delay in (0.05, 0.1, 0.2):
                with subprocess.Popen([OPTIONS.heapscan, "snapshot", str(process.pid), "-o", folder / "a.core.zst"],
                                      stderr=subprocess.PIPE) as writer:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        writer.wait(delay)
                    writer.send_signal(signal.SIGINT)
                    writer.communicate(timeout=60)
                left = [path.name for path in folder.iterdir()]
                self.assertIn(left, ([], ["a.core.zst"]))
                for path in folder.iterdir():
                    self.assertEqual(self.heapscan("core", path, "-q").code, 0, "it is not whole")
                    path.unlink()

    def test_cut_off_anywhere_is_judged_or_refused(self):
        folder = self.folder()
        whole = folder / "a.core"
        with self.fixture("sessions") as waiting:
            self.heapscan("snapshot", waiting.pid, "-o", whole)
        size = whole.stat().st_size
        cut = folder / "cut.core"
        for share in (0.0001, 0.01, 0.2, 0.5, 0.9, 0.999):
            shutil.copyfile(whole, cut)
            os.truncate(cut, int(size * share))
            result = self.heapscan("core", cut)
            # The variables of the C library, without which there is no heap, are at the begin.
            codes = (0,) if share >= 0.2 else (0, 3, 4)
            self.assertIn(result.code, codes, f"lost is what is not known: {result.out} {result.err}")
            self.assertTrue(result.err.startswith("heapscan: ") or "cut off" in result.out, result.out)


class Usage(CliTest):
    def test_needs_a_target_and_a_file(self):
        self.assert_complains(self.heapscan("snapshot", "-o", "x"), 2, "snapshot needs a process id or name")
        self.assert_complains(self.heapscan("snapshot", "1"), 2, "snapshot needs --output")

    def test_refuses_what_makes_no_sense(self):
        for words, said in ((["--content", "some"], '--content takes one of full, pointers, none, not "some"'),
                            (["-o", "a%e"], "a % stands before p (process id), h (host), t (time)"),
                            (["-o", "-"], "cannot go to standard output"),
                            (["-q", "-v"], "exclude each other")):
            with self.subTest(words=words):
                self.assert_complains(self.heapscan("snapshot", "2147483647", "-o", "x", *words), 2, said)

    def test_no_such_process(self):
        self.assert_complains(self.heapscan("snapshot", "2147483647", "-o", self.folder() / "x"), 3, "2147483647")


@needs_ptrace
class WithoutContents(CliTest):
    def test_secrets_are_gone(self):
        folder = self.folder()
        with keeper_of_secrets() as process:
            for content in ("full", "pointers", "none"):
                result = self.heapscan("snapshot", process.pid, "-o", folder / content, "--content", content)
                self.assertEqual(result.code, 0, result.err)
        self.assertIn(SECRET.encode(), (folder / "full").read_bytes())
        for content in ("pointers", "none"):
            bytes_of_file = (folder / content).read_bytes()
            for part in (SECRET, SECRET[:6], SECRET[2:6], "wybbqz", "jxkqp", "phgw"):
                self.assertFalse(part.encode() in bytes_of_file, f"{part} with --content {content}")

    def test_blocks_are_judged_all_the_same(self):
        folder = self.folder()
        with self.fixture("sessions") as waiting:
            live = self.heapscan("attach", waiting.pid, "-q")
            for content in ("pointers", "none"):
                self.heapscan("snapshot", waiting.pid, "-o", folder / content, "--content", content)
        result = self.heapscan("core", folder / "pointers", "-q")
        self.assertEqual((result.code, summary(result)), (1, summary(live)))
        head = self.heapscan("core", folder / "pointers").out.splitlines()[0]
        self.assertRegex(head, r", written without contents \(addresses and small numbers only\)$")
        result = self.heapscan("core", folder / "none")
        self.assertEqual(result.code, 0, "without any number nothing is called lost")
        self.assertIn("--content none", result.out)
        self.assertRegex(result.out.splitlines()[0], r"written without contents \(addresses only\)$")


@needs_ptrace
class InOtherPrograms(CliTest):
    def snapshot(self):
        file = self.folder() / "a.core"
        with keeper_of_secrets() as process:
            program = os.readlink(f"/proc/{process.pid}/exe")
            self.assertEqual(self.heapscan("snapshot", process.pid, "-o", file).code, 0)
        return program, file, process.pid

    @unittest.skipUnless(shutil.which("gdb"), "gdb is not installed")
    def test_gdb(self):
        program, file, pid = self.snapshot()
        commands = ["info threads", "bt", "x/2gx $sp", "info sharedlibrary", "p $xmm0", "thread apply all bt 1"]
        words = [word for command in commands for word in ("-ex", command)]
        done = subprocess.run(["gdb", "-nx", "-q", "-batch", program, file, *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        said = done.stdout.decode(errors="replace")
        self.assertEqual(len(re.findall(r"^\[New LWP \d+\]$", said, re.MULTILINE)), 8, said)
        self.assertRegex(said, rf"(?m)^\* 1 .*(LWP {pid}\b|Thread 0x)", said)
        self.assertRegex(said, r"(?m)^#1 ", said)
        self.assertRegex(said, r"(?m)^0x[0-9a-f]+.*:\s+0x[0-9a-f]{16}\s+0x[0-9a-f]{16}$", said)
        self.assertRegex(said, r"Yes.*libc\.so\.6", said)
        self.assertIn("v4_float", said)
        self.assertNotIn("Cannot access memory", said)

    @unittest.skipUnless(shutil.which("eu-readelf"), "eu-readelf is not installed")
    def test_eu_readelf(self):
        _, file, pid = self.snapshot()
        done = subprocess.run(["eu-readelf", "-n", file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        said = done.stdout.decode(errors="replace")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        for part in (f"pid: {pid}", "PRSTATUS", "PRPSINFO", "FILE", "AUXV", "X86_XSTATE", "HEAPSCAN"):
            self.assertIn(part, said)


if __name__ == "__main__":
    sys.exit(cli_test.main(["Written", "Usage", "WithoutContents", "InOtherPrograms"], sys.modules[__name__]))
