#!/usr/bin/python3
"""heapscan triage: where a machine's memory is.

usage: triage_test.py --heapscan PROGRAM --fixtures FOLDER [--regenerate] [SUITE...]
"""

import contextlib
import json
import mmap
import os
import pathlib
import shutil
import signal
import subprocess
import sys

from cli_test import OPTIONS, CliTest, main
from validate_json import parse, violations

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MACHINES = ROOT / "fixtures" / "machines"
MIB = 2**20
ALL = "100000"  # rows


class TriageTest(CliTest):
    def report(self, *words, **more):
        result = self.heapscan("triage", "--format", "json", *words, **more)
        self.assertEqual((result.code, result.err), (0, ""))
        return self.checked(result.out)

    def checked(self, text):
        report = parse(text)
        schema = parse((ROOT / "docs" / "triage.schema.json").read_text(encoding="utf-8"))
        self.assertEqual(violations(schema, report), [])
        uses = self.uses(report)
        self.assertEqual(sum(uses.values()), report["memory"]["total_bytes"], "the lines add up")
        self.assertEqual(len(uses), 20)
        return report

    def uses(self, report):
        return {row["use"]: row["bytes"] for row in report["memory"]["uses"]}


class Machines(TriageTest):
    def test_what_is_said_of_each(self):
        for machine in ("linux-6.1-ghost", "linux-5.15-zram", "linux-4.19-huge-pages"):
            with self.subTest(machine=machine):
                result = self.heapscan("triage", "--root", MACHINES / machine)
                self.assertEqual((result.code, result.err), (0, ""))
                self.assert_golden(f"triage_{machine}.txt", result.out)

    def test_they_add_up(self):
        for machine in sorted(MACHINES.iterdir()):
            with self.subTest(machine=machine.name):
                report = self.report("--root", machine)
                counters = dict(line.split(":") for line in (machine / "proc/meminfo").read_text().splitlines())
                self.assertEqual(report["memory"]["total_bytes"], int(counters["MemTotal"].split()[0]) * 1024)
                self.assertEqual(self.uses(report)["anonymous"], int(counters["AnonPages"].split()[0]) * 1024)

    def test_the_first_sentence_names_what_has_most(self):
        for machine, words in (("linux-6.1-ghost", "processes hold 43 % (13.4 GiB), python3 (1234) the most with 8.2 GiB; "
                                                   "nothing accounts for 39 % (12.2 GiB); "
                                                   "cgroup /system.slice/train.service is at 100 % of its limit"),
                               ("linux-6.18-slab", "slab that cannot be reclaimed holds 55 % (2.1 GiB)"),
                               ("linux-4.4", "processes hold 38 % (761.7 MiB), java (700) the most with 722.7 MiB")):
            self.assertIn(words, self.report("--root", MACHINES / machine)["summary"])

    def test_it_ends_in_the_next_command(self):
        ghost = [advice["command"] for advice in self.report("--root", MACHINES / "linux-6.1-ghost")["next"]]
        self.assertIn("cat /sys/kernel/debug/page_owner", ghost)
        self.assertIn("heapscan attach 1234", ghost)
        slab = [advice["command"] for advice in self.report("--root", MACHINES / "linux-6.18-slab")["next"]]
        self.assertEqual(slab[0], "slabtop -s c")
        healthy = [advice["command"] for advice in self.report("--root", MACHINES / "linux-4.4")["next"]]
        self.assertEqual(healthy, ["heapscan attach 700", "heapscan triage --seconds 30"])

    def test_names_from_the_machine_are_escaped(self):
        machine = self.folder()
        shutil.copytree(MACHINES / "linux-6.1-ghost", machine, dirs_exist_ok=True)
        (machine / "sys/fs/cgroup/user.slice").rename(machine / "sys/fs/cgroup/user\x1b[2J")
        for form in ("text", "json"):
            result = self.heapscan("triage", "-n", ALL, "--root", machine, "--format", form)
            self.assertNotIn("\x1b", result.out)
        self.assertIn("evil\\\\x1b[31m", result.out)
        self.assertIn("/user\\\\x1b[2J", result.out)

    def test_rows(self):
        machine = MACHINES / "linux-6.1-ghost"
        report = self.report("--root", machine, "-n", "1")
        self.assertEqual([process["pid"] for process in report["processes"]["largest"]], [1234])
        self.assertEqual((len(report["cgroups"]), report["cgroups_left_out"]), (1, 2))

    def test_growth(self):
        """Of files that stay as they are there is none."""
        report = self.report("--root", MACHINES / "linux-6.1-ghost", "--seconds", "0.01")
        self.assertGreaterEqual(report["seconds"], 0.01)
        self.assertEqual({row["growth_bytes"] for row in report["memory"]["uses"]}, {0})
        self.assertEqual([row["growth_bytes"] for row in report["processes"]["largest"]], [0, 0, 0])
        self.assertNotIn("heapscan triage --seconds 30", [advice["command"] for advice in report["next"]])

    def test_what_is_damaged_is_left_out(self):
        machine = self.folder()
        shutil.copytree(MACHINES / "linux-6.1-ghost", machine, dirs_exist_ok=True)
        for number, file in enumerate(sorted(path for path in machine.rglob("*") if path.is_file())):
            if file.name == "meminfo":
                continue
            text = file.read_bytes()
            file.write_bytes([text[:len(text) // 2], text.replace(b"0", b"99999999999999999999"), os.urandom(5000)][number % 3])
        self.report("--root", machine, "-n", ALL)


class Usage(TriageTest):
    def test_wrong_words(self):
        self.assert_complains(self.heapscan("triage", "4711"), 2, 'triage takes no words; "4711"')
        self.assert_complains(self.heapscan("triage", "--seconds", "0"), 2, "--seconds")
        self.assert_complains(self.heapscan("triage", "--seconds", "x"), 2, "--seconds")
        self.assert_complains(self.heapscan("triage", "--root", "/nonexistent"), 2, "--root")
        self.assert_complains(self.heapscan("triage", "--format", "html"), 2, "--format")

    def test_no_machine(self):
        self.assert_complains(self.heapscan("triage", "--root", self.folder()), 3, "MemTotal", "proc/meminfo")

    def test_to_a_file(self):
        path = self.folder() / "report"
        self.assertEqual(self.heapscan("triage", "-o", path).out, "")
        self.assertIn("\nmemory ", path.read_text(encoding="utf-8"))


# Grows by a mebibyte for each line that it reads, and says when it has.
GROW = """
import sys
kept = []
for line in sys.stdin:
    kept.append(bytearray(b"x" * 2**20))
    print("grown", flush=True)
"""


class Live(TriageTest):
    def counters(self):
        lines = pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return {key: int(rest.split()[0]) * 1024 for key, rest in (line.split(":") for line in lines)}

    def test_lines_are_the_kernels_counters(self):
        before = self.counters()
        uses = self.uses(self.report())
        after = self.counters()
        slack = 512 * MIB  # others work meanwhile
        for use, names in (("free", ["MemFree"]), ("anonymous", ["AnonPages"]), ("shared", ["Shmem"]),
                           ("slab-reclaimable", ["SReclaimable"]), ("slab-unreclaimable", ["SUnreclaim"]),
                           ("kernel-stacks", ["KernelStack"])):
            counts = [sum(counters[name] for name in names) for counters in (before, after)]
            self.assertGreaterEqual(uses[use], min(counts) - slack, use)
            self.assertLessEqual(uses[use], max(counts) + slack, use)
        self.assertGreater(uses["left-over"], -slack)

    def test_a_process_that_grows_comes_first(self):
        with subprocess.Popen([sys.executable, "-c", GROW], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as growing, \
                subprocess.Popen([OPTIONS.heapscan, "triage", "--format", "json", "--seconds", "1.5", "-n", ALL],
                                 stdout=subprocess.PIPE) as looking:
            self.wait_between_readings(looking)
            for _ in range(40):
                growing.stdin.write(b"\n")
                growing.stdin.flush()
                growing.stdout.readline()
            report = self.checked(looking.communicate()[0].decode())
            growing.stdin.close()
        row = next(row for row in report["processes"]["largest"] if row["pid"] == growing.pid)
        self.assertGreater(row["growth_bytes"], 30 * MIB)
        grown = [row["growth_bytes"] for row in report["processes"]["largest"] if row["growth_bytes"] is not None]
        self.assertEqual(grown, sorted(grown, reverse=True))
        self.assertFalse(row["new"])

    def test_processes_that_begin_and_end(self):
        with subprocess.Popen([sys.executable, "-c", "import mmap, sys; m = mmap.mmap(-1, 8 << 20); m.write(b'x' * (8 << 20));"
                                                     "print(flush=True); sys.stdin.read()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ending:
            ending.stdout.readline()
            with subprocess.Popen([OPTIONS.heapscan, "triage", "--format", "json", "--seconds", "1.5", "-n", ALL],
                                  stdout=subprocess.PIPE) as looking:
                self.wait_between_readings(looking)
                ending.stdin.close()
                ending.wait()
                report = parse(looking.communicate()[0].decode())
        self.assertIn(ending.pid, [row["pid"] for row in report["processes"]["largest_ended"]])
        self.assertGreaterEqual(report["processes"]["ended"], 1)

    def wait_between_readings(self, looking):
        """heapscan sleeps, in this command, only there."""
        nanosleep, clock_nanosleep = "35", "230"
        while looking.poll() is None:
            call = pathlib.Path(f"/proc/{looking.pid}/syscall").read_text(encoding="ascii")
            if call.split(" ")[0] in (nanosleep, clock_nanosleep):
                return
        self.fail("it never slept")

    def seen(self, find):
        """What find(report) finds; on a busy machine the time may not suffice to look at all in one report."""
        for _ in range(50):
            report = self.report("-n", ALL)
            found = find(report)
            if found:
                return report, found
        return self.fail(f"never found; left out: {report['left_out']}")

    @contextlib.contextmanager
    def file_of(self, folder, megabytes):
        path = pathlib.Path(folder) / f"heapscan-test-{os.getpid()}"
        with open(path, "w+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, megabytes * MIB)
                yield file
            finally:
                path.unlink(missing_ok=True)

    def test_a_large_file_in_shared_memory(self):
        with self.file_of("/dev/shm", 40):
            report, mounts = self.seen(lambda report: [
                mount for mount in report["shared"]["mounts"] if mount["point"] == "/dev/shm" and mount["largest_file"]])
        self.assertGreaterEqual(mounts[0]["used_bytes"], 40 * MIB)
        self.assertGreaterEqual(mounts[0]["largest_file_bytes"], 40 * MIB)
        self.assertGreaterEqual(report["shared"]["bytes"], 40 * MIB)
        self.assertTrue(mounts[0]["largest_file"].startswith("/dev/shm/"))

    def test_files_that_were_deleted_and_are_open(self):
        for folder, in_memory in (("/dev/shm", True), (str(self.folder()), None)):
            with self.file_of(folder, 8) as file:
                os.unlink(file.name)
                name = file.name
                rows = self.seen(lambda report: [row for row in report["nameless_files"] if row["path"] == name])[1]
                self.assertEqual([(row["pid"], row["descriptor"], row["holders"], row["memfd"]) for row in rows],
                                 [(os.getpid(), file.fileno(), 1, False)])
            self.assertGreaterEqual(rows[0]["bytes"], 8 * MIB)
            if in_memory is not None:
                self.assertEqual(rows[0]["in_memory"], in_memory)

    def test_a_memfd(self):
        memfd = os.memfd_create("frames\x1b[31m")
        self.addCleanup(os.close, memfd)
        os.posix_fallocate(memfd, 0, 48 * MIB)
        report, rows = self.seen(lambda report: [
            row for row in report["nameless_files"] if row["path"] == "/memfd:frames\\x1b[31m"])
        self.assertEqual([(row["bytes"], row["in_memory"], row["memfd"]) for row in rows], [(48 * MIB, True, True)])
        self.assertGreaterEqual(report["shared"]["memfd"]["bytes"], 48 * MIB)

    def test_memory_of_a_fork_is_counted_once(self):
        """By shares: what two processes share after a fork is half of each."""
        with mmap.mmap(-1, 64 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
            area.write(b"x" * (64 * MIB))
            child = os.fork()
            if child == 0:
                signal.pause()
            try:
                rows = self.seen(lambda report: self.with_shares(report, [os.getpid(), child]))[1]
            finally:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        self.assertGreater(sum(row["anonymous_bytes"] for row in rows), 128 * MIB)
        self.assertLess(sum(row["shares"]["anonymous_bytes"] for row in rows), 120 * MIB)

    def with_shares(self, report, pids):
        rows = [row for row in report["processes"]["largest"] if row["pid"] in pids and row["shares"]]
        return rows if len(rows) == len(pids) else []

    def test_without_rights(self):
        """Whatever cannot be read is said, and the rest is told."""
        folder = self.folder()
        folder.chmod(0o755)
        program = shutil.copy(OPTIONS.heapscan, folder)
        as_nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run([program, "triage", "--format", "json"], stdout=subprocess.PIPE, check=True, timeout=60, **as_nobody)
        report = json.loads(done.stdout)
        self.assertEqual(sum(self.uses(report).values()), report["memory"]["total_bytes"])
        if os.path.exists("/proc/slabinfo"):
            self.assertIn("/proc/slabinfo", report["not_read"])
        text = subprocess.run([program, "triage"], stdout=subprocess.PIPE, check=True, timeout=60, **as_nobody).stdout.decode()
        self.assertRegex(text, r"(?m)^not read    .*; run sudo heapscan triage$")


if __name__ == "__main__":
    sys.exit(main(["Machines", "Usage", "Live"], sys.modules[__name__]))
