#!/usr/bin/python3
"""Reports as pages: what is in the file, and what a browser makes of it.

usage: html_test.py --heapscan PROGRAM --fixtures FOLDER --make-html-pages PROGRAM [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped. With CI=true in the environment a browser
that is missing is a failure.
"""

import argparse
import base64
import gzip
import hashlib
import html.parser
import json
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from heapscan_cli import fixture, run, run_suites, why_ptrace_is_refused
from pprof_profile import Profile
from validate_json import parse, violations

try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    webdriver = None

DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs"
CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
OPTIONS = argparse.Namespace(heapscan="", fixtures="", make_html_pages="")
PTRACE_REFUSED = why_ptrace_is_refused()
needs_ptrace = unittest.skipIf(PTRACE_REFUSED, PTRACE_REFUSED)


def why_there_is_no_browser():
    """What is missing for tests with a browser; None when nothing is."""
    if webdriver is None:
        return "selenium is not installed (package python3-selenium)"
    missing = [path for path in (CHROMIUM, DRIVER) if not os.path.exists(path)]
    return f"{missing[0]} is missing (packages chromium, chromium-driver)" if missing else None


class PageReader(html.parser.HTMLParser):
    """The elements of a page, and the text of those that hold scripts, styles and data."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.texts = {}
        self.policy = ""
        self.inside = None
        self.words = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        self.inside = (tag, values.get("id")) if tag in ("script", "style") else None
        if self.inside:
            self.texts[self.inside] = ""

    def handle_data(self, data):
        if self.inside:
            self.texts[self.inside] += data
        else:
            self.words.append(data)

    def handle_endtag(self, tag):
        self.inside = None

    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def policy_hash(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class FileTest(unittest.TestCase):
    maxDiff = None

    def heapscan(self, *words, **more):
        return run(OPTIONS.heapscan, *words, **more)

    def folder(self):
        folder = tempfile.TemporaryDirectory(prefix="heapscan-test-")
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)

    def page(self, *words, code):
        result = self.heapscan(*words, "--format", "html")
        self.assertEqual((result.code, result.err), (code, ""))
        return PageReader(result.out)

    def follows(self, schema, value):
        text = (DOCS / f"{schema}.schema.json").read_text(encoding="utf-8")
        self.assertEqual(violations(parse(text), value), [])

    def snapshot(self, program):
        folder = tempfile.TemporaryDirectory(prefix="heapscan-test-")
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/look.core"
        self.assertEqual(self.heapscan("snapshot", program.pid, "-o", path, "-q").code, 0)
        return path


class Pages(FileTest):
    @needs_ptrace
    def test_its_policy_names_the_very_text_of_its_script_and_style(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")) as program:
            page = self.page("attach", program.pid, code=1)
        self.assertIn(f"script-src '{policy_hash(page.texts['script', None])}'", page.policy)
        self.assertIn(f"style-src '{policy_hash(page.texts['style', None])}'", page.policy)
        self.assertIn("Redistribution and use in source and binary forms", page.texts["script", None])

    @needs_ptrace
    def test_has_the_figures_of_the_json(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")) as program:
            path = self.snapshot(program)
        report = parse(self.heapscan("core", path, "--format", "json").out)
        page = self.page("core", path, code=1)
        carried = parse(page.texts["script", "report"])
        for part in ("target", "totals", "memory", "mappings", "free_memory"):
            self.assertEqual(carried[part], report[part])
        for part in ("id", "label", "verdict", "bytes", "blocks", "indirect", "sizes", "strings", "example"):
            self.assertEqual(carried["leaks"][0][part], report["leaks"][0][part])
        self.follows("report", carried)
        self.follows("holds", parse(page.texts["script", "holds"]))
        leak = report["leaks"][0]
        self.assertIn(f"{leak['label']} {leak['id']} {leak['verdict']}", page.text())
        self.assertIn("1.4 MiB is leaked", page.text())
        self.assertIn("idle_list", page.text())

    @needs_ptrace
    def test_quotes_no_content_when_asked(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")) as program:
            shown = self.heapscan("attach", program.pid, "--format", "html").out
            hidden = self.heapscan("attach", program.pid, "--format", "html", "--no-content").out
        for text in ("GET /index", "session of user", "474554202f"):
            self.assertIn(text, shown)
            self.assertNotIn(text, hidden)

    @needs_ptrace
    def test_shows_why_a_block_is_reachable(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")) as program:
            path = self.snapshot(program)
        blocks = parse(self.heapscan("find", path, "session", "reachable", "--format", "json").out)
        address = re.search(r"0x[0-9a-f]{8,}", json.dumps(blocks["blocks"]))[0]
        page = self.page("why", path, address, code=0)
        carried = parse(page.texts["script", "why"])
        self.follows("why", carried)
        self.assertEqual(carried["answers"][0]["block"]["label"], "struct session")
        self.assertIn("idle_list", page.text())
        self.assertIn(f"{address}, struct session of 264 B, is reachable: idle_list of fixture_sessions leads to it.", page.text())

    @needs_ptrace
    def test_shows_what_grew(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_growth")) as program:
            before = self.snapshot(program)
            program.process.stdin.write(b".")
            program.process.stdin.flush()
            program.read_truth()
            diff = self.page("diff", before, program.pid, code=1)
            watch = self.page("watch", program.pid, "0.05", "3", code=1)
        self.follows("diff", parse(diff.texts["script", "report"]))
        self.assertIn("struct job", diff.text())
        self.assertIn("fixture_growth: queue", diff.text())
        lines = [parse(line) for line in watch.texts["script", "report"].splitlines()]
        self.assertEqual([line["type"] for line in lines].count("sample"), 3)
        self.assertEqual(lines[-1]["type"], "report")
        self.assertIn("Memory over time", watch.text())

    @needs_ptrace
    def test_of_who_holds_what_is_as_deep_as_the_tree(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")) as program:
            path = self.snapshot(program)
        depth = {}
        for words in ((), ("--depth", "1")):
            page = self.page("holds", path, *words, code=0)
            depth[words] = len(parse(page.texts["script", "holds"])["tree"])
        whole = len(parse(self.heapscan("holds", path, "--depth", "9", "--format", "json").out)["tree"])
        self.assertEqual(depth[()], whole)
        self.assertLess(depth["--depth", "1"], whole)

    @needs_ptrace
    def test_one_for_each_process_takes_a_file(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")) as one:
            with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")):
                name = pathlib.Path(f"/proc/{one.pid}/comm").read_text().strip()
                result = self.heapscan("attach", name, "--all-matching", "--format", "html")
        self.assertEqual((result.code, result.out), (2, ""))
        self.assertIn("name one with -o", result.err)


class Lines(FileTest):
    def lines_of(self, result):
        """The line of the process, and those of its groups; each follows its schema."""
        lines = [parse(line) for line in result.out.splitlines()]
        self.assertGreater(len(lines), 0, result.err)
        self.follows("process", lines[0])
        for line in lines[1:]:
            self.follows("groups", line)
            for field in ("host", "unit", "program", "build_id", "captured_at", "pid"):
                self.assertEqual(line[field], lines[0][field])
        self.assertEqual(lines[0]["groups"], len(lines) - 1)
        return lines[0], lines[1:]

    @needs_ptrace
    def test_of_looks_and_of_comparisons(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_growth")) as program:
            before = self.snapshot(program)
            program.process.stdin.write(b".")
            program.process.stdin.flush()
            program.read_truth()
            look = self.heapscan("attach", program.pid, "--format", "jsonl")
            core = self.heapscan("core", before, "--format", "jsonl")
            diff = self.heapscan("diff", before, program.pid, "--format", "jsonl")
            unit = open(f"/proc/{program.pid}/cgroup", encoding="utf-8").read()
        for result in (look, core, diff):
            process, groups = self.lines_of(result)
            self.assertGreater(len(groups), 0)
            self.assertEqual((process["pid"], process["command"]), (program.pid, "fixture_growth"))
            self.assertRegex(process["build_id"], "^[0-9a-f]{40}$")
            self.assertIn("libc.so.6", [module["name"] for module in process["modules"]])
            lost = [group for group in groups if group["verdict"] in ("definite", "indirect")]
            self.assertEqual(sum(group["lost_bytes"] for group in groups), sum(group["bytes"] for group in lost))
        live, _ = self.lines_of(look)
        compared, _ = self.lines_of(diff)
        for field in ("in_use_bytes", "in_use_blocks", "lost_bytes", "lost_blocks", "possible_bytes", "free_bytes"):
            self.assertEqual(live[field], compared[field], field)
        self.assertEqual(live["host"], os.uname().nodename)
        self.assertGreater(live["rss_bytes"], 0)
        self.assertGreater(live["limit_bytes"], live["limit_used_bytes"])
        self.assertIn(live["unit"] or "", unit)
        dead, _ = self.lines_of(core)
        self.assertEqual((dead["host"], dead["unit"], dead["limit_name"]), (None, None, None))

    @needs_ptrace
    def test_of_comparisons_have_all_groups_and_add_up(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_growth")) as program:
            before = self.snapshot(program)
            program.process.stdin.write(b".")
            program.process.stdin.flush()
            program.read_truth()
            diff = self.heapscan("diff", before, program.pid, "--format", "jsonl")
            first = self.heapscan("diff", before, program.pid, "--format", "jsonl", "-n", "1")
        process, groups = self.lines_of(diff)
        keys = [(group["id"], group["verdict"]) for group in groups]
        self.assertEqual(len(set(keys)), len(keys))
        for whole, part in (("in_use_bytes", "bytes"), ("in_use_blocks", "blocks"), ("lost_bytes", "lost_bytes"),
                            ("growth_bytes", "growth_bytes"), ("growth_blocks", "growth_blocks")):
            self.assertEqual(sum(group[part] for group in groups), process[whole], part)
        jobs = [group for group in groups if group["label"] == "struct job"]
        self.assertEqual(sum(group["growth_bytes"] for group in jobs), 40000)
        self.assertEqual(jobs[0]["growth_bytes_per_minute"], jobs[0]["growth_bytes"] * 60 / jobs[0]["seconds"])
        few, groups = self.lines_of(first)
        self.assertEqual(len({group["id"] for group in groups}), 1)
        self.assertGreater(few["groups_left_out"], 0)

    @needs_ptrace
    def test_of_two_builds_have_one_line_for_what_both_have(self):
        folder = tempfile.TemporaryDirectory(prefix="heapscan-test-")
        self.addCleanup(folder.cleanup)
        paths = []
        for name in ("shop-1.0", "shop-1.1"):
            shutil.copy(os.path.join(OPTIONS.fixtures, "fixture_strdup_loop"), f"{folder.name}/{name}")
            with fixture(f"{folder.name}/{name}") as program:
                paths.append(self.snapshot(program))
        process, groups = self.lines_of(self.heapscan("diff", *paths, "--format", "jsonl"))
        self.assertEqual(process["program"], "shop")
        texts = [group for group in groups if (group["label"], group["verdict"]) == ("text", "definite")]
        self.assertEqual([group["growth_bytes"] for group in texts], [0])
        self.assertIn("they are of two builds of the program", self.heapscan("diff", *paths, "--format", "json").out)

    @needs_ptrace
    def test_without_content_have_the_labels_that_json_has(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_strdup_loop")) as program:
            path = self.snapshot(program)
        words = ("core", path, "--kinds", "definite,possible,reachable", "--no-content", "-n", "1000")
        leaks = parse(self.heapscan(*words, "--format", "json").out)["leaks"]
        _, groups = self.lines_of(self.heapscan(*words, "--format", "jsonl"))
        self.assertEqual([group["label"] for group in groups], [leak["label"] for leak in leaks])
        self.assertEqual([group["bytes"] for group in groups], [leak["bytes"] for leak in leaks])

    @needs_ptrace
    def test_of_a_watch_are_written_at_its_end(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_growth")) as program:
            result = self.heapscan("watch", program.pid, "0.01", "2", "--format", "jsonl")
        process, groups = self.lines_of(result)
        self.assertEqual(process["growth_bytes"], 0)
        self.assertGreater(len(groups), 0)
        self.assertEqual(sum(group["bytes"] for group in groups), process["in_use_bytes"])
        self.assertEqual({group["growth_bytes"] for group in groups}, {0})

    @needs_ptrace
    def test_for_flame_graphs_add_up(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_growth")) as program:
            path = self.snapshot(program)
        folded = self.heapscan("holds", path, "--format", "folded")
        live = parse(self.heapscan("holds", path, "--format", "json").out)["live"]
        rows = [line.rsplit(" ", 1) for line in folded.out.splitlines()]
        self.assertEqual(sum(int(size) for _, size in rows), live["bytes"])
        self.assertIn("everything;fixture_growth;queue", folded.out)

    @needs_ptrace
    def test_for_pprof_add_up(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_growth")) as program:
            snapshot = self.snapshot(program)
        path = self.folder() / "holds.pb.gz"
        self.assertEqual(self.heapscan("holds", snapshot, "--format", "pprof", "-o", path).out, "")
        profile = Profile(gzip.decompress(path.read_bytes()))
        live = parse(self.heapscan("holds", snapshot, "--format", "json").out)["live"]
        self.assertEqual((profile.types, profile.default), (["blocks/count", "bytes/bytes"], "bytes"))
        self.assertEqual([sum(values[i] for _, values in profile.samples) for i in (0, 1)], [live["blocks"], live["bytes"]])
        self.assertIn(["queue", "fixture_growth", "everything"], [stack[-3:] for stack, _ in profile.samples])

    @needs_ptrace
    def test_of_what_is_leaked(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")) as program:
            snapshot = self.snapshot(program)
        folded = self.heapscan("core", snapshot, "--format", "folded")
        self.assertEqual(folded.out, "all blocks;leaked;struct session 1320000\nall blocks;leaked;struct session;char[] 200000\n")
        path = self.folder() / "leaked.pb.gz"
        self.assertEqual(self.heapscan("core", snapshot, "--format", "pprof", "-o", path).code, 1)
        profile = Profile(gzip.decompress(path.read_bytes()))
        self.assertEqual(profile.samples, [(["struct session", "leaked", "all blocks"], [5000, 1320000]),
                                           (["char[]", "struct session", "leaked", "all blocks"], [5000, 200000])])

    def test_for_pprof_is_not_for_a_terminal(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)
        for command in ("core", "holds"):
            result = self.heapscan(command, __file__, "--format", "pprof", stdout=theirs)
            self.assertEqual(result.code, 2)
            self.assertIn("--format pprof is nothing to read on a terminal; write it to a file with -o FILE", result.err)


class Browser(unittest.TestCase):
    """One browser for all of them: it takes longer to start than the pages take."""

    @classmethod
    def setUpClass(cls):
        missing = why_there_is_no_browser()
        if missing and os.environ.get("CI") == "true":
            raise AssertionError(missing)
        if missing:
            raise unittest.SkipTest(missing)
        folder = tempfile.TemporaryDirectory(prefix="heapscan-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        subprocess.run([OPTIONS.make_html_pages, cls.folder], check=True)
        cls.browser = cls.start(f"{cls.folder}/profile")
        cls.addClassCleanup(cls.browser.quit)

    @staticmethod
    def start(profile):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for option in ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
                       "disable-background-networking", "disable-component-update", "disable-sync",
                       "disable-dev-shm-usage", "window-size=1280,1000", f"user-data-dir={profile}"):
            options.add_argument(f"--{option}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        return webdriver.Chrome(service=webdriver.chrome.service.Service(DRIVER), options=options)

    def open(self, name):
        self.browser.get(f"file://{self.folder}/{name}")
        self.assertEqual(self.run_script("return document.documentElement.dataset.ready"), "true")
        # Laid out, scroll bars and all: from then on nothing is drawn anew.
        self.browser.execute_async_script(
            "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(arguments[0])))")

    def run_script(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def data(self, name):
        return json.loads(self.run_script("return document.getElementById(arguments[0]).textContent", name))

    def find(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def press(self, cell):
        """At its upper edge, where no other cell lies on it."""
        webdriver.ActionChains(self.browser).move_to_element_with_offset(
            cell, 0, 3 - cell.size["height"] // 2).click().perform()

    def cells(self):
        return [cell.get_attribute("aria-label") for cell in self.find("#tree-section .cell")]

    def test_nothing_of_the_target_runs_and_nothing_is_complained_of(self):
        for name in ("look.html", "holds.html", "changes.html", "watch.html", "why.html", "many.html"):
            self.open(name)
            self.assertEqual(self.browser.get_log("browser"), [], name)
            self.assertIsNone(self.run_script("return window.__pwned ?? null"), name)
            self.assertEqual(self.run_script("return document.images.length"), 0, name)

    def test_shows_the_figures_that_it_carries(self):
        self.open("look.html")
        leaks = self.data("report")["leaks"]
        shown = [[int(cell.get_attribute("data-value")) for cell in row.find_elements(By.CSS_SELECTOR, ".number")]
                 for row in self.find("#groups tbody tr")]
        self.assertEqual(shown, [[leak["bytes"], leak["indirect"]["bytes"], leak["blocks"], leak["sizes"][-1]["size"]]
                                 for leak in leaks])
        uses = self.data("report")["memory"]["uses"]
        self.assertEqual(len(self.find("svg.stacked rect")), len([use for use in uses if use["resident_bytes"]]))

    def test_a_press_goes_down_the_tree_and_escape_comes_back(self):
        self.open("look.html")
        whole = self.cells()
        self.assertTrue(any("sessions" in cell for cell in whole))
        self.press(self.find("#tree-section .cell.level-1")[0])
        below = self.cells()
        self.assertLess(len(below), len(whole))
        self.assertEqual(len(self.find("#tree-section .step")), 2)
        cell = self.find("#tree-section .cell.level-1")[0]
        cell.send_keys(Keys.ESCAPE)
        self.assertEqual(self.cells(), whole)

    def test_keys_go_from_area_to_area(self):
        self.open("look.html")
        first = self.find("#tree-section .cell.level-1")[0]
        self.run_script("arguments[0].focus()", first)
        first.send_keys(Keys.ARROW_RIGHT)
        focused = self.browser.switch_to.active_element
        self.assertIn("cell", focused.get_attribute("class"))
        self.assertNotEqual(focused.get_attribute("aria-label"), first.get_attribute("aria-label"))
        label = focused.get_attribute("aria-label")
        focused.send_keys(Keys.ENTER)
        self.assertEqual(self.find("#tree-section .step")[-1].text[:5], label[:5])
        self.assertIn("cell", self.browser.switch_to.active_element.get_attribute("class"), "the focus stays")

    def test_the_end_of_a_branch_tells_of_an_example(self):
        self.open("holds.html")
        leaf = self.find("#memory .cell.leaf:not(.plain)")[0]
        leaf.click()
        self.assertIn("0x555500002000", self.find("#memory .info")[0].text)
        self.assertIn("heapscan why 4711 0x555500002000", self.find("#memory .info .command")[0].text)

    def test_a_tree_is_also_drawn_as_a_flame_graph(self):
        self.open("holds.html")
        self.find("#memory .view")[1].click()
        tops = {cell.get_attribute("data-level"): cell.rect["y"] for cell in self.find("#memory .cell")}
        self.assertEqual(sorted(tops, key=tops.get), sorted(tops))
        self.assertGreaterEqual(len(tops), 4)

    def test_ten_thousand_groups_stay_fluid(self):
        began = time.monotonic()
        self.open("many.html")
        self.assertLess(time.monotonic() - began, 6)
        self.assertEqual(self.find("#groups .tools .more")[0].text, "10,000 rows")
        self.assertLess(len(self.find("#groups tbody tr")), 1000)
        began = time.monotonic()
        headings = self.find("#groups .sort")
        headings[4].send_keys(Keys.ENTER)
        most = self.find("#groups tbody tr")[0].find_elements(By.CSS_SELECTOR, ".number")[2].text
        headings[4].send_keys(Keys.ENTER)
        least = self.find("#groups tbody tr")[0].find_elements(By.CSS_SELECTOR, ".number")[2].text
        self.assertEqual((most, least), ("97", "1"))
        self.find("#groups .filter")[0].send_keys("type_4711")
        self.assertEqual(self.find("#groups tbody tr td a, #groups tbody tr td.name")[0].text.split()[1], "type_4711")
        self.assertLess(time.monotonic() - began, 6)

    def test_a_group_that_is_linked_to_is_opened(self):
        self.open("look.html")
        link = self.find("#groups a")[1]
        target = link.get_attribute("href").split("#")[1]
        self.run_script("document.getElementById(arguments[0]).open = false", target)
        link.click()
        self.assertTrue(self.run_script("return document.getElementById(arguments[0]).open", target))

    def test_can_be_read_with_scripts_off(self):
        self.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            self.browser.get(f"file://{self.folder}/look.html")
            text = self.find("main")[0].text
        finally:
            self.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        for part in ("malloc in use", "00000000000000aa", "5.9 KiB 60 % reachable", "Groups in full"):
            self.assertIn(part, text)


def main():
    return run_suites(OPTIONS, __doc__, sys.modules[__name__], ["Pages", "Lines", "Browser"],
                      make_html_pages={"required": True})


if __name__ == "__main__":
    sys.exit(main())
