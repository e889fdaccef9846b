"""The Debian package that cpack makes: lintian accepts it, and it installs, works and goes from a clean system.

usage: package_test.py --heapscan PROGRAM --fixtures FOLDER (--build FOLDER | --build-for RELEASE |
                       --package FILE [--for RELEASE]) [SUITE...]

--build makes the package of this machine's Debian release in that build folder, --build-for that of another release, in
a clean system of that (not optimised); --package takes one that is there, as of tools/build_package, and --for says for
which release it is (the default: this machine's).
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import argparse
import functools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from heapscan_cli import fixture, run_suites

OPTIONS = argparse.Namespace()
TOOLS = Path(__file__).parents[2] / "tools"


def run(*words, **more):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **more)


def temporary_folder():
    folder = tempfile.TemporaryDirectory(prefix="heapscan-package-")
    unittest.addModuleCleanup(folder.cleanup)
    return Path(folder.name)


@functools.cache
def package():
    if OPTIONS.package:
        return Path(OPTIONS.package)
    folder = temporary_folder()
    if OPTIONS.build_for:
        done = run(TOOLS / "build_package", "--unoptimized", OPTIONS.build_for, folder)
    else:
        build = Path(OPTIONS.build).absolute()
        done = run("cpack", "--config", build / "CPackConfig.cmake", "-B", folder, cwd=build)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    (made,) = folder.glob("*.deb")
    return made


class Lintian(unittest.TestCase):
    def test_has_no_complaint(self):
        done = run("lintian", "--fail-on", "error,warning,info", "--allow-root", package())
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class CleanSystem(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("a chroot takes root")
        suite = OPTIONS.build_for or OPTIONS.release or platform.freedesktop_os_release()["VERSION_CODENAME"]
        cls.system = temporary_folder() / "system"
        cls.addClassCleanup(run, "umount", cls.system / "proc")
        done = run(TOOLS / "clean_system", suite, cls.system)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        shutil.copy(package(), cls.system / "heapscan.deb")
        shutil.copy(Path(OPTIONS.fixtures) / "fixture_sessions", cls.system / "sessions")

    def inside(self, *words):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        done = run("chroot", self.system, *words, env=environment)
        return done.returncode, done.stdout, done.stderr

    def succeeds(self, *words):
        code, out, err = self.inside(*words)
        self.assertEqual(code, 0, f"{words}\n{out}{err}")
        return out

    def test_installs_works_and_goes(self):
        self.succeeds("apt-get", "install", "-q", "-y", "--no-install-recommends", "/heapscan.deb")
        self.assertEqual(self.succeeds("heapscan", "version"), run(OPTIONS.heapscan, "version").stdout)
        self.assertNotEqual(self.inside("which", "g++")[0], 0)  # nothing of what builds it
        files = [Path(line) for line in self.succeeds("dpkg", "--listfiles", "heapscan").split()]

        with fixture("chroot", self.system, "/sessions") as waiting:
            code, out, err = self.inside("heapscan", "attach", waiting.pid, "--format", "json")
            self.assertEqual((code, err), (1, ""))
            leaked = json.loads(out)["totals"]["verdicts"]
            for verdict in ("definite", "indirect"):
                blocks, size = waiting.totals()[verdict]
                self.assertEqual(leaked[verdict], {"blocks": blocks, "bytes": size}, verdict)

        self.succeeds("bash", "-c", ". /usr/share/bash-completion/completions/heapscan && complete -p heapscan")
        listed = re.search(r"^Commands:\n((?:  .*\n)+)", self.succeeds("heapscan", "--help"), re.MULTILINE)[1]
        commands = re.findall(r"^  (\w+)", listed, re.MULTILINE)
        pages = {path.name for path in files if path.parent.name == "man1"}
        self.assertEqual(pages, {f"heapscan-{command}.1.gz" for command in commands} | {"heapscan.1.gz"})

        self.succeeds("dpkg", "--purge", "heapscan")
        self.assertEqual([path for path in files if path.name != "." and "heapscan" in str(path)
                          and (self.system / path.relative_to("/")).exists()], [])


if __name__ == "__main__":
    sys.exit(run_suites(OPTIONS, __doc__, sys.modules[__name__], ["Lintian", "CleanSystem"],
                        build={}, build_for={}, package={}, **{"for": {"dest": "release"}}))
