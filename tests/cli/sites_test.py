#!/usr/bin/python3
"""Which code allocated it: --sites.

usage: sites_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import os
import subprocess
import sys
import unittest

import growth_test
from growth_test import OPTIONS, PTRACE_REFUSED, GrowthTest
from heapscan_cli import PATIENCE, fixture, run
from validate_json import parse

# fixtures/programs/call_sites.c, whose makers are told apart; and through what each asks malloc.
WRAPPED = "wrap_twice -> wrap_malloc -> malloc"
CALLEES = {"make_channel": "malloc", "make_watcher": "wrap_malloc -> malloc", "make_list": "wrap_array -> " + WRAPPED,
           "make_record": "wrap_header -> wrap_malloc -> malloc", "make_either": "wrap_malloc -> malloc"}
# A line of fixtures/programs/sessions.c
SESSION = r"session_new\+0x[0-9a-f]+ \(sessions\.c:38\)"


class SitesTest(GrowthTest):
    def program(self, name, *words):
        return fixture(os.path.join(OPTIONS.fixtures, "fixture_" + name), *words)

    def sites_of(self, name, *words):
        """{what the fixture says that made it: the first site, or None} of each group."""
        with self.program(name) as waiting:
            report = parse(self.heapscan("attach", waiting.pid, "--sites", "-n", 1000, "--format", "json", *words).out)
            makers = {int(address, 16): label for address, label in waiting.labels()}
        found = {}
        for group in report["leaks"]:
            maker = makers.get(int(group["example"], 16))
            if maker is not None:
                found[maker] = group["sites"][0] if group["sites"] else None
        return found


@unittest.skipIf(PTRACE_REFUSED, PTRACE_REFUSED)
class Sites(SitesTest):
    def test_names_the_function_that_allocated(self):
        for name, function, callee in (("strdup_loop", "leak_one", "strdup"),
                                       ("new_int_loop", "leak_one()", "operator new[](unsigned long)"),
                                       ("fibonacci_thread", "fibonacci", "calloc")):
            with self.subTest(fixture=name):
                (site,) = self.sites_of(name).values()
                self.assertEqual((site["function"], site["callee"]), (function, callee))
                self.assertGreaterEqual(site["probability"], 0.5)

    def test_are_found_behind_wrappers_and_by_what_they_write(self):
        sites = self.sites_of("call_sites")
        for maker, callee in CALLEES.items():
            with self.subTest(maker=maker):
                site = sites[maker]
                self.assertEqual((site["function"], site["callee"]), (maker, callee))
                self.assertGreaterEqual(site["probability"], 0.5)
                self.assertTrue(site["evidence"])
                self.assertRegex(site["source"], r"^call_sites\.c:\d+$")

    def test_are_found_however_the_program_was_compiled_and_linked(self):
        for name in ("call_sites_o0", "call_sites_o3", "call_sites_static"):
            # Whether a stale word still names a block is not what this is about.
            sites = self.sites_of(name, "--kinds", "definite,possible,reachable,indirect")
            for maker in CALLEES:
                with self.subTest(fixture=name, maker=maker):
                    self.assertEqual(sites[maker]["function"], maker)
                    self.assertGreaterEqual(sites[maker]["probability"], 0.5)

    def test_are_found_in_the_code_of_another_compiler(self):
        if not os.path.exists(os.path.join(OPTIONS.fixtures, "fixture_call_sites_clang_o2")):
            self.assertNotIn("CI", os.environ, "clang is not installed")
            self.skipTest("clang is not installed")
        makers = {"call_sites": CALLEES, "text_makers": ("copy_text",),
                  "assigned_results": ("make_task", "make_reply", "make_timer", "make_lease")}
        for program, wanted in makers.items():
            for level in ("o0", "o2", "o3"):
                sites = self.sites_of(f"{program}_clang_{level}", "--kinds", "definite,possible,reachable,indirect")
                for maker in wanted:
                    with self.subTest(program=program, level=level, maker=maker):
                        self.assertEqual(sites[maker]["function"], maker)
                        self.assertGreaterEqual(sites[maker]["probability"], 0.5)

    def test_of_blocks_that_a_tag_tells_apart_are_several(self):
        with self.program("call_sites") as waiting:
            words = ("attach", waiting.pid, "--sites", "-n", 100)
            groups = self.json_of("report", *words, code=1)["leaks"]
            text = self.heapscan(*words).out
            page = self.heapscan(*words, "--format", "html").out
        (shared,) = [group["shared_sites"] for group in groups if group["shared_sites"]]
        makers = ["make_reader", "make_signal", "make_timer", "make_writer"]
        self.assertEqual(sorted(site["function"] for site in shared), makers)
        for site in shared:
            self.assertEqual((site["callee"], site["agreeing"] * 4), (WRAPPED, site["samples"]))
        self.assertRegex(text, r"\n +allocated by 4 calls, which store different constants:\n"
                         r"(?: +make_\w+\+0x[0-9a-f]+ \(call_sites\.c:\d+\) \(8 of 32 samples\)\n){4}")
        self.assertIn("Allocated by several calls, which store different constants", page)

    def test_are_told_apart_by_what_the_source_assigns_them_to(self):
        for name in ("assigned_results", "assigned_results_o0", "assigned_results_o2"):
            sites = self.sites_of(name, "--kinds", "definite,possible,reachable,indirect")
            for maker, words in (("make_task", "returns them as a struct task *"),
                                 ("make_reply", "assigns them to reply, a struct reply *"),
                                 ("make_timer", "assigns them to owner->newest, a struct timer *"),
                                 ("make_lease", "assigns them to newest_lease, a struct lease *")):
                with self.subTest(fixture=name, maker=maker):
                    self.assertEqual(sites[maker]["function"], maker)
                    self.assertGreaterEqual(sites[maker]["probability"], 0.5)
                    self.assertIn(words, sites[maker]["evidence"])

    def test_texts_come_from_the_function_that_copies_them(self):
        for name in ("text_makers", "text_makers_o0", "text_makers_static"):
            with self.subTest(fixture=name):
                site = self.sites_of(name)["copy_text"]
                self.assertEqual((site["function"], site["callee"]), ("copy_text", "malloc"))
                self.assertGreaterEqual(site["probability"], 0.5)
                self.assertIn("is called from 6 places", site["evidence"])
                self.assertTrue([words for words in site["evidence"]
                                 if words.startswith("asks for as many bytes as the string has (")], site["evidence"])
        stripped = self.sites_of("text_makers_stripped")["copy_text"]
        self.assertEqual((stripped["module"], stripped["function"]), ("fixture_text_makers_stripped", ""))
        self.assertIn("is called from 6 places", stripped["evidence"])

    def test_code_around_a_site_is_shown_beside_what_it_says(self):
        with self.program("call_sites") as waiting:
            text = self.heapscan("attach", waiting.pid, "--sites", "-v").out
        self.assertRegex(text, r"\n +make_channel\+0x[0-9a-f]+ +call .* <- malloc, asks for 184 bytes\n")
        self.assertRegex(text, r"\n +make_channel\+0x[0-9a-f]+ +mov .* <- sets \+0x10 to &socket_operations ")
        self.assertRegex(text, r"\n +make_watcher\+0x[0-9a-f]+ +ret\n +\+0x0 -> close_quietly", "no other function's code")

    def test_need_no_symbols(self):
        named = self.sites_of("call_sites")
        for maker, site in self.sites_of("call_sites_stripped").items():
            if maker not in ("make_channel", "make_watcher", "make_record", "make_list"):
                continue
            with self.subTest(maker=maker):
                self.assertEqual((site["module"], site["function"]), ("fixture_call_sites_stripped", ""))
                self.assertEqual(site["call_address"], named[maker]["call_address"])

    def test_are_not_looked_for_unless_asked_for(self):
        with self.program("strdup_loop") as waiting:
            leaks = parse(self.heapscan("attach", waiting.pid, "--format", "json").out)["leaks"]
        self.assertEqual([group["sites"] for group in leaks], [[]])


@unittest.skipIf(PTRACE_REFUSED, PTRACE_REFUSED)
class SitesOfGrowth(SitesTest):
    def grown(self):
        """Of two runs, the second with more sessions."""
        with self.program("sessions", "100") as program:
            before = self.snapshot_of(program, self.folder() / "before")
        with self.program("sessions", "300") as program:
            return before, self.snapshot_of(program, self.folder() / "after")

    def test_of_a_diff_are_those_of_the_later_look(self):
        before, after = self.grown()
        text = self.heapscan("diff", before, after, "--sites")
        self.assertEqual((text.code, text.err), (1, ""))
        self.assertRegex(
            text.out, rf"(?m)  struct session  .*\n(?: {{7}}.*\n)* {{7}}allocated by {SESSION}, almost certainly$")

        report = self.json_of("diff", "diff", before, after, "--sites", code=1)
        of_core = parse(self.heapscan("core", after, "--sites", "--kinds", "definite", "--format", "json").out)["leaks"]
        (session,) = [group for group in report["groups"] if group["label"] == "struct session"]
        (leak,) = [leak for leak in of_core if leak["label"] == "struct session"]
        for name in ("function", "source", "callee", "call_address"):
            self.assertEqual(session["site"][name], leak["sites"][0][name], name)

    def test_without_the_option_no_code_is_read(self):
        before, after = self.grown()
        report = self.json_of("diff", "diff", before, after, code=1)
        self.assertEqual({str(group["site"]) for group in report["groups"]}, {"None"})
        self.assertNotIn("allocated by", self.heapscan("diff", before, after).out)

    def test_lines_and_pages_have_them(self):
        before, after = self.grown()
        lines = [parse(line) for line in self.heapscan("diff", before, after, "--sites", "--format", "jsonl").out.splitlines()]
        sites = {line["site"] for line in lines if line.get("label") == "struct session"}
        self.assertEqual(len(sites), 1)
        self.assertRegex(sites.pop(), "^" + SESSION + "$")
        page = self.heapscan("diff", before, after, "--sites", "--format", "html").out
        self.assertRegex(page, "allocated by " + SESSION + ", ")

    def test_of_a_watch_are_in_its_report(self):
        with self.program("sessions", "100") as program:
            result = self.heapscan("watch", program.pid, "0.01", "2", "--sites", "--format", "jsonl")
        groups = [line for line in map(parse, result.out.splitlines()) if line.get("label") == "struct session"]
        self.assertGreater(len(groups), 0)
        for group in groups:
            self.assertRegex(group["site"], SESSION)


@unittest.skipIf(PTRACE_REFUSED, PTRACE_REFUSED)
class SitesKept(SitesTest):
    """What is kept of the code in $XDG_CACHE_HOME/heapscan."""

    def setUp(self):
        super().setUp()
        self.caches = self.folder() / "caches"
        with self.program("call_sites") as program:
            self.core = self.snapshot_of(program, self.folder() / "core")

    def command(self, *words, core=None):
        return ("core", core or self.core, "--sites", "--format", "json", *words)

    def report(self, *words, core=None, caches=None):
        result = run(OPTIONS.heapscan, *self.command(*words, core=core), env={"XDG_CACHE_HOME": str(caches or self.caches)})
        self.assertEqual((result.code, result.err), (1, ""))
        return self.without_times(result.out)

    @staticmethod
    def without_times(text):
        return {name: value for name, value in parse(text).items() if name != "timing"}

    def kept(self):
        """{name: content}"""
        return {path.name: path.read_bytes() for path in (self.caches / "heapscan").iterdir()}

    def test_changes_nothing_about_what_is_said(self):
        without = self.report("--no-cache")
        self.assertFalse(self.caches.exists(), "not with --no-cache")
        self.assertEqual(self.report(), without)
        kept = self.kept()
        self.assertGreater(len(kept), 0)
        self.assertEqual(self.report(), without)
        self.assertEqual(self.kept(), kept)
        with self.program("call_sites") as program:
            another = self.snapshot_of(program, self.folder() / "another")
        self.assertEqual(self.report(core=another)["leaks"][0]["sites"], without["leaks"][0]["sites"])
        self.assertEqual(self.kept(), kept, "another process of the program lies elsewhere and has nothing new")

    def test_that_is_damaged_is_written_anew(self):
        right = self.report()
        kept = self.kept()
        for damage in (lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b"\0" * 4096,
                       lambda b: b + b"\0"):
            for name, content in kept.items():
                (self.caches / "heapscan" / name).write_bytes(damage(content))
            self.assertEqual(self.report(), right)
            self.assertEqual(self.kept(), kept)

    def test_is_no_matter_where_it_cannot_be(self):
        right = self.report("--no-cache")
        file = self.folder() / "file"
        file.write_text("x")
        for caches in (file, "/proc/self", "/nowhere/at/all"):
            self.assertEqual(self.report(caches=caches), right)

    def test_by_two_at_once_is_whole(self):
        right = self.report("--no-cache")
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.caches)}
        both = [subprocess.Popen([OPTIONS.heapscan, *map(str, self.command())], env=environment, stdout=subprocess.PIPE)
                for _ in range(2)]
        for process in both:
            out = process.communicate(timeout=PATIENCE)[0]
            self.assertEqual(self.without_times(out), right)
        kept = self.kept()
        self.assertEqual(self.report(), right)
        self.assertEqual(self.kept(), kept)
        self.assertEqual([name for name in kept if not name.endswith(".code")], [])


if __name__ == "__main__":
    sys.exit(growth_test.main(__doc__, __name__, ["Sites", "SitesOfGrowth", "SitesKept"]))
