#!/usr/bin/python3
"""tools/fleet/look on real processes, with a stand-in for systemctl; and the units of systemd that run it.

usage: look_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import types
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools/fleet"
sys.path.insert(0, str(HERE.parent / "cli"))
from heapscan_cli import fixture, healthy_process, run_suites, why_ptrace_is_refused  # noqa: E402

OPTIONS = types.SimpleNamespace()
SYSTEMCTL = """#!/bin/sh
[ "$*" = "show --property ControlGroup --value -- shop.service" ] || exit 0
echo /system.slice/shop.service
"""
DAY = 86400


class Host(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="heapscan-look-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.spool = self.folder / "spool"
        self.spool.mkdir()
        (self.folder / "bin").mkdir()
        systemctl = self.folder / "bin/systemctl"
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o755)

    def unit_has(self, pids, below=()):
        cgroup = self.folder / "cgroups/system.slice/shop.service"
        (cgroup / "workers").mkdir(parents=True, exist_ok=True)
        (cgroup / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
        (cgroup / "workers/cgroup.procs").write_text("".join(f"{pid}\n" for pid in below))

    def look(self, *words, code=0, **settings):
        environment = {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "HEAPSCAN": OPTIONS.heapscan,
                       "HEAPSCAN_SPOOL": str(self.spool), "HEAPSCAN_CGROUPS": str(self.folder / "cgroups"), **settings}
        done = subprocess.run(["/bin/sh", str(TOOLS / "look"), *words], capture_output=True, text=True, check=False,
                              env=environment)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def spooled(self):
        return sorted(path.name for path in self.spool.iterdir())

    def lines(self):
        found = []
        for path in sorted(self.spool.iterdir()):
            found += [json.loads(line) for line in gzip.open(path, "rt")]
        return found


@unittest.skipIf(why_ptrace_is_refused(), why_ptrace_is_refused())
class Looks(Host):
    def test_every_process_of_the_unit_is_a_file(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")) as leaking, healthy_process() as healthy:
            self.unit_has([leaking.pid], [healthy.pid])
            self.look("shop")
        self.assertEqual(len(self.spooled()), 2)
        for pid, name in zip(sorted([leaking.pid, healthy.pid], key=str), self.spooled()):
            self.assertRegex(name, rf"^shop\.service\.{pid}\.\d{{8}}T\d{{6}}Z\.jsonl\.gz$")
            self.assertEqual((self.spool / name).stat().st_mode & 0o777, 0o600)
        processes = {line["pid"]: line for line in self.lines() if line["schema"] == "heapscan.process/1"}
        self.assertEqual(processes[leaking.pid]["lost_bytes"], 1520000)
        self.assertEqual(processes[healthy.pid]["lost_bytes"], 0)
        self.assertIn("reachable", {line.get("verdict") for line in self.lines()})

    def test_the_largest_come_first_and_no_more_than_were_asked_for(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")) as large, healthy_process() as small:
            self.unit_has([small.pid, large.pid])
            self.look("shop.service", HEAPSCAN_PROCESSES="1", HEAPSCAN_KINDS="definite", HEAPSCAN_OPTIONS="--sites --no-content")
        self.assertEqual({line["pid"] for line in self.lines()}, {large.pid})
        self.assertIn("session_new", self.lines()[1]["site"])

    def test_what_would_cost_too_much_is_left_alone_and_said(self):
        with healthy_process() as process:
            self.unit_has([process.pid])
            self.assertIn(f"process {process.pid} was left alone: about ", self.look("shop", code=1, HEAPSCAN_MAX_COPY="1"))
            self.assertIn("and --max-pause is 0", self.look("shop", code=1, HEAPSCAN_MAX_PAUSE="0"))
        self.assertEqual(self.spooled(), [])

    def test_a_process_that_has_ended_does_not_keep_the_others_waiting(self):
        with subprocess.Popen(["true"]) as ended:
            ended.wait()
            with healthy_process() as process:
                self.unit_has([ended.pid, process.pid])
                self.look("shop")
        self.assertEqual({line["pid"] for line in self.lines()}, {process.pid})

    def test_old_files_and_those_that_are_too_many_are_deleted(self):
        for name, age, size in (("new.jsonl.gz", 0, 1), ("old.jsonl.gz", 8, 1), ("other.txt", 9, 1), ("large.jsonl.gz", 2, 3),
                                ("larger.jsonl.gz", 3, 3)):
            path = self.spool / name
            path.write_bytes(os.urandom(size << 19))
            then = time.time() - age * DAY
            os.utime(path, (then, then))
        self.unit_has([])
        self.look("shop")
        self.assertEqual(self.spooled(), ["large.jsonl.gz", "larger.jsonl.gz", "new.jsonl.gz", "other.txt"])
        self.look("shop", HEAPSCAN_KEEP_MIB="2")
        self.assertEqual(self.spooled(), ["large.jsonl.gz", "new.jsonl.gz", "other.txt"])


class Words(Host):
    def test_what_is_no_unit(self):
        self.assertIn("systemd knows no processes of nothing.service", self.look("nothing", code=2))
        self.assertIn("is no unit", self.look("../../etc", code=2))
        self.assertIn("usage: look UNIT", self.look(code=2))
        self.assertIn("usage: look UNIT", self.look("--frobnicate", code=2))


class Units(unittest.TestCase):
    @unittest.skipIf(shutil.which("systemd-analyze") is None, "there is no systemd-analyze (package systemd)")
    def test_systemd_finds_no_fault_with_them(self):
        with tempfile.TemporaryDirectory(prefix="heapscan-units-") as name:
            folder = pathlib.Path(name)
            text = (TOOLS / "heapscan-fleet@.service.in").read_text(encoding="utf-8")
            for variable, value in (("DOC_DIR", "/usr/share/doc/heapscan"), ("FLEET_DIR", str(TOOLS)),
                                    ("PROGRAM", OPTIONS.heapscan)):
                self.assertIn(f"@HEAPSCAN_{variable}@", text)
                text = text.replace(f"@HEAPSCAN_{variable}@", value)
            self.assertNotIn("@HEAPSCAN", text)
            (folder / "heapscan-fleet@shop.service").write_text(text)
            (folder / "shop.service").write_text("[Service]\nExecStart=/bin/true\n")
            shutil.copy(TOOLS / "heapscan-fleet@.timer", folder / "heapscan-fleet@shop.timer")
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(folder / "heapscan-fleet@shop.service"),
                                   str(folder / "heapscan-fleet@shop.timer")], capture_output=True, text=True, check=False)
        # It also reads the machine's own units, which are not ours to mend.
        own = [line for line in done.stderr.splitlines() if "heapscan-fleet" in line]
        self.assertEqual(own, [])
        self.assertEqual(done.returncode, 0, done.stderr)


def main():
    return run_suites(OPTIONS, __doc__, sys.modules[__name__], ["Looks", "Words", "Units"])


if __name__ == "__main__":
    sys.exit(main())
