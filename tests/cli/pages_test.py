#!/usr/bin/python3
"""What is made of heapscan's own words: help, manual pages, completion.

usage: pages_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
"""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys

from cli_test import OPTIONS, CliTest, main
from heapscan_cli import run

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@functools.cache
def printed(*words):
    """What heapscan prints for words that it always answers in the same way."""
    return run(OPTIONS.heapscan, *words).out


class PagesTest(CliTest):
    def commands(self):
        text = printed("help")
        return re.findall(r"^  ([a-z-]+) ", text[text.index("\nCommands:"):text.index("\nOptions:")], re.MULTILINE)

    def options_of(self, command):
        """Every spelling of every option that the help page lists."""
        text = printed(command, "--help")
        lines = re.findall(r"^  (?:    )?(-.*)$", text[text.index("\nOptions:"):], re.MULTILINE)
        return [name for line in lines for name in re.findall(r"(?:^|, )(--?[a-z-]+)", line.split("  ")[0])]

    def output_of(self, *command, **more):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60, **more)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout.decode()


class Words(PagesTest):
    def test_help_is_what_the_option_shows(self):
        self.assertEqual(self.heapscan("help").out, self.heapscan("--help").out)
        self.assertIn("attach", self.commands())
        for command in self.commands():
            self.assertEqual(self.heapscan("help", command).out, self.heapscan(command, "--help").out)

    def test_help_for_no_command(self):
        self.assert_complains(self.heapscan("help", "atach"), 2, '"atach" (did you mean heapscan attach?)', "--help")
        self.assert_complains(self.heapscan("help", "attach", "core"), 2, 'help takes one command; "core"')
        self.assertNotIn("\x1b", self.heapscan("help", "\x1b[31m").err)

    def test_version_is_what_the_option_shows(self):
        self.assertEqual(self.heapscan("version").out, self.heapscan("--version").out)
        self.assert_complains(self.heapscan("version", "2"), 2, 'version takes no words; "2"')


class ManPages(PagesTest):
    def setUp(self):
        self.made = self.folder()
        self.output_of(str(ROOT / "tools" / "make_pages"), OPTIONS.heapscan, str(self.made))
        self.output_of("gzip", "-d", *map(str, sorted((self.made / "man").iterdir())))
        self.pages = sorted((self.made / "man").iterdir())

    def shown(self, page):
        text = self.output_of("man", "-l", str(page), env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MANPAGER": "cat"})
        return re.sub(".\x08", "", text)

    def test_there_is_one_for_each_command(self):
        self.assertEqual([page.name for page in self.pages],
                         sorted(["heapscan.1", *(f"heapscan-{command}.1" for command in self.commands())]))

    def test_they_are_well_formed(self):
        for page in self.pages:
            with self.subTest(page=page.name):
                self.assertEqual(self.output_of("groff", "-man", "-ww", "-Tutf8", "-z", str(page)), "")
                self.assertRegex(self.output_of("lexgrog", str(page)), rf': "{page.stem} - [a-z].*"\n$')

    def test_they_hold_what_help_says(self):
        for command in self.commands():
            text = self.shown(self.made / "man" / f"heapscan-{command}.1")
            flat = " ".join(text.split())
            headings = re.findall(r"^[A-Z][A-Z ]*$", text, re.MULTILINE)
            self.assertEqual(headings[:2] + headings[-1:], ["NAME", "SYNOPSIS", "SEE ALSO"])
            for name in self.options_of(command):
                self.assertRegex(text, rf"(?m)^ +(.*, )?{name}\b", command)
            for line in printed(command, "--help").partition("\nExamples:")[2].splitlines():
                self.assertIn(" ".join(line.split()).replace("Exit codes:", "EXIT STATUS"), flat)


class Completion(PagesTest):
    def completed(self, *words, folder="/"):
        """What bash offers for the last of the words."""
        script = printed("completion", "bash")
        ask = ('source /dev/stdin; cd "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _heapscan;'
               '(($? == 0)) || exit 1; printf "%s\\n" "${COMPREPLY[@]}"')
        text = self.output_of("bash", "--norc", "-c", ask, "bash", str(folder), "heapscan", *words, input=script.encode())
        return sorted(text.split("\n")[:-1]) if text != "\n" else []

    def test_commands(self):
        self.assertEqual(self.completed("at"), ["attach"])
        self.assertEqual(self.completed(""), sorted([*self.commands(), "--help", "--version", "-h"]))
        self.assertEqual(self.completed("help", "sn"), ["snapshot"])

    def test_options(self):
        for command in self.commands():
            self.assertEqual(self.completed(command, "-"), sorted(set(self.options_of(command))), command)
        self.assertEqual(self.completed("diff", "--new"), ["--new-only"])

    def test_values(self):
        self.assertEqual(self.completed("attach", "--sort", ""), ["bytes", "count"])
        self.assertEqual(self.completed("attach", "--sort", "=", "c"), ["count"])
        self.assertEqual(self.completed("attach", "--sort", "="), ["bytes", "count"])
        self.assertEqual(self.completed("completion", "f"), ["fish"])
        self.assertEqual(self.completed("attach", "--top", ""), [])

    def test_files_and_folders(self):
        folder = self.folder()
        (folder / "a core").touch()
        (folder / "apart").mkdir()
        self.assertEqual(self.completed("core", "a", folder=folder), ["a core", "apart"])
        self.assertEqual(self.completed("core", "x", "-o", "a", folder=folder), ["a core", "apart"])
        self.assertEqual(self.completed("core", "x", "--debug-dir", "a", folder=folder), ["apart"])

    def test_processes(self):
        self.assertIn(str(os.getpid()), self.completed("attach", str(os.getpid())))
        self.assertIn(str(os.getpid()), self.completed("diff", "x", str(os.getpid())))

    def test_a_hostile_name_is_not_evaluated(self):
        folder = self.folder()
        program = folder / "x$(touch y)"
        shutil.copy("/bin/cat", program)
        with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdin.write(b"ready\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), b"ready\n")
            self.assertEqual(pathlib.Path(f"/proc/{process.pid}/comm").read_text("ascii"), "x$(touch y)\n")
            offered = self.completed("attach", "x", folder=folder)
            self.assertIn(str(process.pid), self.completed("attach", str(process.pid), folder=folder))
        self.assertEqual([name for name in offered if "touch" in name], [])
        self.assertEqual([path.name for path in folder.iterdir()], [program.name])

    def test_every_shell_has_every_option(self):
        for shell, spelled in (("bash", "{}"), ("zsh", "'{}["), ("fish", " -l {}")):
            script = printed("completion", shell)
            for command in self.commands():
                self.assertIn(command, script)
            for name in ("--leave-calls", "--new-only"):
                self.assertIn(spelled.format(name.lstrip("-") if shell == "fish" else name), script)


class Installed(PagesTest):
    """What `cmake --install` puts where, below /usr as in a package and below /usr/local."""

    def installed(self, prefix):
        build = pathlib.Path(OPTIONS.heapscan).resolve().parent.parent
        folder = self.folder()
        self.output_of("cmake", "--install", str(build), "--prefix", prefix, env={**os.environ, "DESTDIR": str(folder)})
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    def assert_unit_names_installed_paths(self, prefix):
        folder = self.folder()
        build = pathlib.Path(OPTIONS.heapscan).resolve().parent.parent
        self.output_of("cmake", "--install", str(build), "--prefix", prefix, env={**os.environ, "DESTDIR": str(folder)})
        unit = (folder / prefix[1:] / "share/doc/heapscan/examples/heapscan-fleet@.service").read_text(encoding="utf-8")
        self.assertIn(f"\nEnvironment=HEAPSCAN={prefix}/bin/heapscan\n", unit)
        self.assertIn(f"\nExecStart={prefix}/share/heapscan/fleet/look %i.service\n", unit)
        self.assertTrue(os.access(folder / prefix[1:] / "share/heapscan/fleet/look", os.X_OK))

    def test_units_name_installed_paths(self):
        for prefix in ("/usr", "/usr/local"):
            self.assert_unit_names_installed_paths(prefix)

    def test_below_usr(self):
        files = self.installed("/usr")
        for file in ("bin/heapscan", "share/man/man1/heapscan.1.gz", "share/man/man1/heapscan-attach.1.gz",
                     "share/bash-completion/completions/heapscan", "share/fish/vendor_completions.d/heapscan.fish",
                     "share/doc/heapscan/examples/heapscan-fleet@.timer", "share/heapscan/fleet/fleet",
                     "share/heapscan/fleet/queries/top-owners.sql", "share/doc/heapscan/copyright", "share/doc/heapscan/changelog.Debian.gz"):
            self.assertIn(f"usr/{file}", files)
        self.assertNotIn("usr/share/doc/heapscan/LICENSE", files)
        self.assertIn(f"usr/share/zsh/{'vendor-completions' if os.path.exists('/etc/debian_version') else 'site-functions'}/_heapscan",
                      files)

    def test_below_usr_local(self):
        files = self.installed("/usr/local")
        self.assertIn("usr/local/share/zsh/site-functions/_heapscan", files)
        self.assertIn("usr/local/share/doc/heapscan/LICENSE", files)
        self.assertNotIn("usr/local/share/doc/heapscan/copyright", files)


if __name__ == "__main__":
    sys.exit(main(["Words", "ManPages", "Completion", "Installed"], sys.modules[__name__]))
