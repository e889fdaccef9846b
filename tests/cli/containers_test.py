#!/usr/bin/python3
"""Containers as one thing with entries: of C++, GLib, CPython, lists and trees, streams, memory resources.

usage: containers_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import ctypes.util
import os
import re
import subprocess
import sys
import unittest
import unittest.mock

import growth_test
from growth_test import NO_GCORE, OPTIONS, GrowthTest, needs_ptrace
from heapscan_cli import fixture
from validate_json import parse


class Containers(GrowthTest):
    """fixtures/programs/server_containers.cpp"""

    SESSIONS, HEADERS, QUEUED, LINES, SAMPLES = 1000, 4, 300, 50, 500
    TAGS, TAGGED, ROWS, CELLS, USERS, RIGHTS = 60, 7, 40, 9, 80, 5
    WAITING, STALLED, SHARDS, SHARD = 20, 1500, 5, 90

    @needs_ptrace
    def test_containers_are_one_thing_with_entries(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_server_containers")) as program:
            report = self.json_of("holds", "holds", program.pid, "--depth", 8, "-n", 20)
            text = self.heapscan("holds", program.pid, "--depth", 8, "-n", 20).out
        rows, entries = {}, {}
        for row in report["tree"]:
            if row["containers"]:
                rows.setdefault(row["name"], row)
                entries[row["name"]] = entries.get(row["name"], 0) + row["entries"]
        self.assertEqual(entries, {
            "server.value.sessions": self.SESSIONS, "server.value.queue": self.QUEUED,
            "server.value.log": self.LINES, "samples": self.SAMPLES,
            "Session::headers": self.SESSIONS * self.HEADERS,
            "tags.value": self.TAGS, "values": self.TAGS * self.TAGGED,
            "table": self.ROWS, "elements": self.ROWS * self.CELLS,
            "users.value": self.USERS, "values.rights": self.USERS * self.RIGHTS,
            "subscribers.value[].waiting": 2 * self.WAITING + self.STALLED, "shards[]": self.SHARDS * self.SHARD})
        for name, containers in (("values", self.TAGS), ("elements", self.ROWS), ("values.rights", self.USERS)):
            self.assertEqual((rows[name]["containers"], rows[name]["own"]["blocks"]), (containers, containers))
        # One session may hang below a node of another group, which points at the container itself.
        headers = rows["Session::headers"]
        self.assertGreaterEqual(headers["containers"], self.SESSIONS - 1)
        self.assertEqual(headers["retained"]["blocks"], headers["containers"] * self.HEADERS)
        self.assertEqual(rows["samples"]["kind"], "root")
        # Each session with its headers, its node, and the buckets.
        self.assertEqual(rows["server.value.sessions"]["retained"]["blocks"],
                         self.SESSIONS * (self.HEADERS + 2) + 1)
        self.assertEqual(rows["server.value.log"]["retained"]["blocks"], 2 * self.LINES)
        self.assertRegex(text, r"(?m) std::unordered_map<int, Session ?\*> in server\.value\.sessions: 1,000 entries$")
        # Of an array all together, and which element has most of it.
        self.assertEqual([rows[name]["containers"] for name in ("subscribers.value[].waiting", "shards[]")], [4, self.SHARDS])
        self.assertEqual(rows["subscribers.value[].waiting"]["largest"], {"element": 2, "entries": self.STALLED})
        self.assertIsNone(rows["shards[]"]["largest"])
        self.assertIsNone(rows["server.value.queue"]["largest"])
        self.assertRegex(text, r"(?m) 4 × std::deque<long(?: int)?> in subscribers\.value\[\]\.waiting: "
                               r"1,540 entries, 1,500 of them in \[2\]$")
        self.assertRegex(text, r"(?m) (999|1,000) × std::map<int, long( int)?> in Session::headers: [34],\d+ entries$")

    @needs_ptrace
    def test_growth_in_several_containers(self):
        folder = self.folder()
        program = os.path.join(OPTIONS.fixtures, "fixture_server_containers")
        looks = []
        for sessions in ("1000", "4000"):
            with fixture(program, sessions) as waiting:
                looks.append(self.snapshot_of(waiting, folder / sessions))
        groups = self.json_of("diff", "diff", *looks)["groups"]
        holders = [group["holder"] for group in groups if group["growth_bytes"] > 0 and group["holder"]]
        self.assertTrue([words for words in holders if words.endswith("in server.value.sessions: 4,000 entries")], holders)

    @needs_ptrace
    def test_counts_that_were_left_out_are_not_known(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_server_containers")) as program:
            snapshot = self.folder() / "snapshot"
            self.heapscan("snapshot", program.pid, "-o", snapshot, "--content", "none")
            tree = self.json_of("holds", "holds", snapshot, "--depth", 8, "-n", 20)["tree"]
        entries = {row["name"]: row["entries"] for row in tree if row["containers"]}
        self.assertIsNone(entries["server.value.sessions"])
        self.assertIsNone(entries["server.value.log"])
        self.assertEqual(entries["samples"], self.SAMPLES)  # this is worked out from pointers

    @needs_ptrace
    def test_a_report_names_the_container_that_has_most_of_what_is_held(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_server_containers"), "4000") as program:
            server = self.json_of("report", "attach", program.pid, code=0)["holders"][0]
            text = self.heapscan("attach", program.pid).out
        name = r"std::unordered_map<int, Session ?\*> in server\.value\.sessions: 4,000 entries"
        self.assertRegex(text, rf"(?m)^ +[\d.]+ MiB +\d+ %  fixture_server_containers: server\n +mostly {name}$")
        container = server["container"]
        self.assertRegex(container["name"], name)
        self.assertEqual((container["containers"], container["entries"]), (1, 4000))
        self.assertGreater(2 * container["bytes"], server["retained"]["bytes"])
        self.assertLess(container["bytes"], server["retained"]["bytes"])


@needs_ptrace
class OtherContainers(GrowthTest):
    """Those that no type of the program tells of: live, and as a snapshot and a core."""

    def program(self, name):
        path = os.path.join(OPTIONS.fixtures, "fixture_" + name)
        if name == "glib_containers" and not ctypes.util.find_library("glib-2.0"):
            self.assertNotIn("CI", os.environ, "libglib-2.0 is not installed (package libglib2.0-bin)")
            self.skipTest("libglib-2.0 is not installed (package libglib2.0-bin)")
        return fixture(path)

    def rows_of(self, target, *words):
        report = self.json_of("holds", "holds", target, "--depth", 12, "-n", 50, *words)
        return report["tree"]

    def texts_of(self, name, *words):
        """What the rows are called, of a program that is looked at in three ways."""
        folder = self.folder()
        with self.program(name) as program:
            targets = [program.pid, self.snapshot_of(program, folder / "snapshot")]
            if not NO_GCORE:
                targets.append(self.core_of(program, folder / "core"))
            texts = [self.heapscan("holds", target, "--depth", 12, "-n", 50, *words).out for target in targets]
            self.rows_of(program.pid)
        names = [re.findall(r"(?m)^[ ≥] *[\d.,]+ [KM]?i?B .{19} +(.*)$", text) for text in texts]
        for other in names[1:]:
            self.assertEqual(sorted(names[0]), sorted(other))
        return names[0]

    def test_glib(self):
        names = self.texts_of("glib_containers", "fixture_glib_containers")
        for name in ("GHashTable: 3,000 entries", "GHashTable in server::seen: 500 entries", "GPtrArray: 700 entries",
                     "GArray: 900 entries", "GQueue: 250 entries", "GQueue in replies: 120 entries", "GTree: 600 entries"):
            self.assertIn(name, names)
        self.assertRegex("\n".join(names), r"(?m)^list of GSList through next: 350 entries  \[")
        self.assertRegex("\n".join(names), r"(?m)^list of GList through next and prev: 400 entries  \[")
        with self.program("glib_containers") as program:
            rows = self.rows_of(program.pid, "sessions")
        table = [row for row in rows if row["kind"] == "container"]
        self.assertEqual([(row["own"]["blocks"], row["retained"]["blocks"]) for row in table], [(4, 3004)])

    def test_glib_with_slices(self):
        with unittest.mock.patch.dict(os.environ, G_SLICE=""), self.program("glib_containers") as program:
            rows = self.rows_of(program.pid)
        # Both may lie in one block of GLib's, and are one row then. GLib has some of its own.
        entries = sum(row["entries"] for row in rows if row["type"] == "GHashTable")
        self.assertGreaterEqual(entries, 3000 + 500)
        self.assertLess(entries, 3000 + 500 + 100)

    def test_slices_of_glib_are_said_to_be_that(self):
        library = ctypes.util.find_library("glib-2.0")
        if library and ctypes.c_uint.in_dll(ctypes.CDLL(library), "glib_minor_version").value >= 76:
            self.skipTest("this GLib has no slices any more")
        with unittest.mock.patch.dict(os.environ, G_SLICE=""), self.program("glib_containers") as program:
            report = self.json_of("report", "attach", program.pid)
            rows = self.rows_of(program.pid)
        slices = [row for row in report["memory"]["managers"] if row["name"] == "GLib's slices"]
        self.assertEqual([row["use"] for row in slices], ["malloc in use"])
        self.assertEqual(slices[0]["hint"], "G_SLICE=always-malloc shows what is in them")
        # Of GList's 400 nodes, 350 of GSList and 600 of GTree.
        self.assertGreater(slices[0]["bytes"], 400 * 24 + 350 * 16 + 600 * 40)
        self.assertLess(slices[0]["bytes"], 128 * 1024)
        self.assertIn("page of GLib's slices", {row["name"] for row in rows})
        with unittest.mock.patch.dict(os.environ, G_SLICE="always-malloc"), self.program("glib_containers") as program:
            report = self.json_of("report", "attach", program.pid)
        self.assertEqual([row for row in report["memory"]["managers"] if row["name"] == "GLib's slices"], [])

    def test_lists_and_trees(self):
        text = "\n".join(self.texts_of("intrusive_lists"))
        self.assertRegex(text, r"(?m)^list of struct job through next: 1,200 entries  \[")
        self.assertRegex(text, r"(?m)^list of struct packet through link\.next and link\.previous: 800 entries  \[")
        self.assertRegex(text, r"(?m)^list of struct task through siblings\.next and siblings\.prev: 600 entries  \[")
        self.assertRegex(text, r"(?m)^tree of struct name through left and right: 1,023 entries  \[")

    def test_open_files(self):
        names = self.texts_of("open_files")
        self.assertIn("8 × open FILE", names)
        self.assertIn("4 × open FILE", names)
        with self.program("open_files") as program:
            rows = [row for row in self.rows_of(program.pid) if row["type"] == "open FILE"]
        self.assertEqual(sorted((row["containers"], row["own"]["blocks"]) for row in rows), [(4, 8), (8, 15)])

    def test_memory_resources(self):
        names = self.texts_of("pmr_arenas")
        self.assertIn("std::pmr::monotonic_buffer_resource in Request at +0x8", names)
        self.assertIn("std::pmr::unsynchronized_pool_resource in pool", names)
        with self.program("pmr_arenas") as program:
            lost = self.json_of("report", "attach", program.pid)["totals"]["verdicts"]
        for verdict in ("definite", "indirect", "possible"):
            self.assertEqual(lost[verdict]["blocks"], 0, "buffers that only the one behind knows")

    def test_python(self):
        script = ("import os,sys\ncache={}\nfor i in range(20000): cache['key %d'%i]=[i]\n"
                  "log=['line %d'%i for i in range(30000)]\nseen=set(range(5000))\n"
                  "class Server:\n def __init__(self): self.port=1; self.sessions=[object() for i in range(4000)]\n"
                  "class Router(Server):\n pass\n"
                  "class Channel:\n __slots__=('name','queue')\n"
                  "class Topic(Channel):\n __slots__=('backlog',)\n"
                  "topics=[Topic() for i in range(3)]\n"
                  "for t in topics: t.name=1; t.queue=[object() for i in range(2000)]; t.backlog={i:[i] for i in range(90)}\n"
                  "servers=(Server(),Server())\nrouter=Router(); router.routes={i:[i] for i in range(3000)}\n"
                  "print('ready',os.getpid(),flush=True)\nsys.stdin.read()\n")
        folder = self.folder()
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            try:
                program.stdout.readline()
                targets = [program.pid, self.snapshot_of(program, folder / "snapshot")]
                texts = [self.heapscan("holds", target, "--depth", 12, "-n", 50).out for target in targets]
                notes = parse(self.heapscan("attach", program.pid, "--format", "json").out)["notes"]
            finally:
                program.kill()
        kept = [note["text"] for note in notes if note["kind"] == "allocator"]
        self.assertRegex(" ".join(kept), "only refers to itself, or whose count is wrong, is held")
        for text in texts:
            for name in ("Python dict in __main__.cache: 20,000 entries", "Python list in __main__.log: 30,000 entries",
                         "Python set in __main__.seen: 5,000 entries", "2 × Python list in Server.sessions: 8,000 entries",
                         "Python list in Router.sessions: 4,000 entries", "Python dict in Router.routes: 3,000 entries",
                         "3 × Python list in Topic.queue: 6,000 entries",
                         "3 × Python dict in Topic.backlog: 270 entries"):
                self.assertIn(name, text)

    def test_growth_is_said_of_the_container(self):
        # Beside it the same object holds more that is old.
        script = ("import sys\n"
                  "class Server:\n def __init__(self): self.sessions={i:[i] for i in range(40000)}; self.log=[]\n"
                  "server=Server()\n"
                  "def more():\n for i in range(5000): server.log.append(['value %d'%i])\n print('ready',flush=True)\n"
                  "more()\nfor line in sys.stdin: more()\n")
        folder = self.folder()
        environment = {**os.environ, "PYTHONMALLOC": "malloc"}
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env=environment) as program:
            try:
                program.stdout.readline()
                before = self.snapshot_of(program, folder / "before")
                program.stdin.write(b"\n")
                program.stdin.flush()
                program.stdout.readline()
                after = self.snapshot_of(program, folder / "after")
            finally:
                program.kill()
        text = self.heapscan("diff", before, after).out
        holder = "Python list in Server.log: 10,000 entries"
        self.assertIn(f"       new ones are held by {holder}\n", text)
        self.assertNotIn("Server.sessions", text)
        holders = [group["holder"] for group in parse(self.heapscan("diff", before, after, "--format", "json").out)["groups"]]
        self.assertIn(holder, holders)


if __name__ == "__main__":
    sys.exit(growth_test.main(__doc__, __name__, ["Containers", "OtherContainers"]))
