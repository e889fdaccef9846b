#!/usr/bin/python3
"""Where memory is: what malloc keeps, mappings that are lost, threads that have ended.

usage: memory_test.py --heapscan PROGRAM --fixtures FOLDER [SUITE...]
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import os
import subprocess
import sys

import growth_test
from growth_test import OPTIONS, GrowthTest, needs_ptrace
from heapscan_cli import Fixture, fixture
from validate_json import parse


class Hoarding(GrowthTest):
    """fixtures/programs/hoarding.c"""

    KIND = "struct listener"

    def serving(self, steps):
        serving = Fixture(os.path.join(OPTIONS.fixtures, "fixture_hoarding"))
        self.addCleanup(serving.end)
        serving.said = {"pin": {}, "kept": {}}
        self.serve(serving, steps)
        return serving

    def serve(self, program, steps):
        for _ in range(steps):
            program.process.stdin.write(b".")
            program.process.stdin.flush()
            for words in program.read_truth():
                if words[0] in program.said:
                    program.said[words[0]][words[-1]] = words[1:-1]

    @needs_ptrace
    def test_what_keeps_free_memory_from_going_back(self):
        program = self.serving(2)
        report = self.json_of("report", "attach", program.pid)
        free = report["free_memory"]
        self.assertTrue(free["large"])
        arenas = {"main" if arena["main"] else "thread": arena for arena in free["arenas"]}
        self.assertEqual(len(free["arenas"]), 2)
        for name, arena in arenas.items():
            address, size = program.said["pin"][name]
            stretch = arena["stretches"][0]
            self.assertEqual(stretch["pin"]["address"], address)
            self.assertEqual(stretch["pin"]["size"], int(size))
            self.assertIn(self.KIND, stretch["pin"]["label"])
            self.assertEqual(arena["last"], stretch["pin"])
            self.assertEqual(stretch["above"], {"blocks": 1, "bytes": int(size)})
            # The thread's dynamic TLS was cut off the main one later.
            self.assertLess(abs(stretch["bytes"] - int(program.said["kept"][name][0])), 512)
        self.assertEqual(arenas["main"]["stretches"][0]["pin"]["held_by"], "fixture_hoarding: listeners")
        text = self.heapscan("attach", program.pid).out
        self.assertRegex(text, r"(?m)^free +16\.[45] MiB kept by malloc; malloc_trim\(0\) would give back 16\.[34] MiB$")
        pin = program.said["pin"]["main"][0]
        self.assertRegex(text, r"(?m)^  arena 0 +11\.\d MiB free, .* of it at the end, which free\(\) gives back; 11\.5 MiB "
                               rf"lies below {pin}, 56 B, struct listener, held by fixture_hoarding: "
                               r"listeners$")

    @needs_ptrace
    def test_malloc_trim_gives_back_what_was_said(self):
        program = self.serving(2)
        said = self.json_of("report", "attach", program.pid)["free_memory"]["page_bytes"]
        before = self.resident_bytes(program)
        self.serve(program, 1)
        gave = before - self.resident_bytes(program)
        self.assertLess(abs(gave - said), 64 * 1024, (gave, said))
        self.assertLess(self.json_of("report", "attach", program.pid)["free_memory"]["page_bytes"], 64 * 1024)

    def resident_bytes(self, program):
        with open(f"/proc/{program.pid}/smaps_rollup", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Rss:"))

    @needs_ptrace
    def test_a_diff_says_which_arena_keeps_it_and_what_lies_above(self):
        program = self.serving(0)
        before = self.snapshot_of(program, self.folder() / "before")
        self.serve(program, 1)
        report = self.json_of("diff", "diff", before, program.pid)
        self.assertEqual(len(report["kept_free"]), 1)
        kept = report["kept_free"][0]
        self.assertLess(kept["before_bytes"], 1 << 20)
        self.assertTrue(kept["now"]["main"])
        self.assertEqual(kept["now"]["stretches"][0]["pin"]["address"], program.said["pin"]["main"][0])
        pin = program.said["pin"]["main"][0]
        text = self.heapscan("diff", before, program.pid).out
        self.assertRegex(text, r"(?m)^memory +\+11\.\d MiB resident.*: \+11\.\d MiB kept free by malloc")
        self.assertRegex(text, r"(?m)^  \+11\.\d MiB kept free in arena 0: .* lies below "
                               rf"{pin}, 56 B, struct listener, held by")

    @needs_ptrace
    def test_free_memory_that_shares_its_pages_is_free(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_pinned_pages")) as program:
            report = self.json_of("report", "attach", program.pid)
            text = self.heapscan("attach", program.pid).out
        pinned, freed = (int(words[1]) for words in program.truth if words[0] in ("pinned", "freed"))
        resident = {row["use"]: row["resident_bytes"] for row in report["memory"]["uses"]}
        # A page of the heap may not be resident: one that nothing was written to yet.
        self.assertGreater(resident["malloc free"], freed - 4096)
        self.assertGreaterEqual(resident["malloc in use"], pinned)
        self.assertLess(resident["malloc in use"], pinned + 64 * 1024)
        self.assertEqual(sum(resident.values()), report["memory"]["resident_bytes"])
        self.assertRegex(text, r"(?m)^memory +[\d.]+ MiB resident: [\d.]+ MiB malloc free, ")
        self.assertRegex(text, r"(?m)^free +[\d.]+ MiB kept by malloc; malloc_trim\(0\) would give back ")

    @needs_ptrace
    def test_what_a_variable_mostly_holds_has_a_name(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_pinned_pages")) as program:
            holder = self.json_of("report", "attach", program.pid, code=0)["holders"][0]
            with_sites = self.json_of("report", "attach", program.pid, "--sites", code=0)["holders"][0]
            text = self.heapscan("attach", program.pid).out
        blocks = next(int(words[2]) for words in program.truth if words[0] == "pinned")
        self.assertEqual(holder["name"], "fixture_pinned_pages: index_head")
        self.assertEqual((holder["kind"]["label"], holder["kind"]["own"]["blocks"]), ("struct entry", blocks))
        self.assertEqual(holder["kind"]["retained"], holder["retained"])
        self.assertIsNone(holder["container"])
        self.assertIsNone(with_sites["kind"], "live blocks are not grouped then")
        self.assertRegex(text, r"(?m)^ +[\d.]+ MiB +\d+ %  fixture_pinned_pages: index_head\n"
                               rf" +mostly list of struct entry through next: {blocks:,} entries$")

    @needs_ptrace
    def test_little_free_memory_is_told_of_with_v_only(self):
        with self.growing() as program:
            self.assertNotRegex(self.heapscan("attach", program.pid).out, r"(?m)^free ")
            self.assertRegex(self.heapscan("attach", program.pid, "-v").out, r"(?m)^free +\d")


class Mappings(GrowthTest):
    """fixtures/programs/lost_frames.c"""

    FRAMES, FRAME = 300, 64 << 10

    @needs_ptrace
    def test_lost_mappings_of_one_size_are_one_line(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_lost_frames")) as program:
            result = self.heapscan("attach", program.pid)
            report = self.json_of("report", "attach", program.pid, code=1)
            silent = self.json_of("report", "attach", program.pid, "--no-content", code=1)
        self.assertRegex(result.out, r"(?m)^mappings +300 leaked \(18\.8 MiB\), 0 possibly leaked \(0 B\)\n"
                                     r"  300 × 64\.0 KiB +18\.8 MiB \(\S+ \S+ resident\)  definite  no pointer to "
                                     r"0x[0-9a-f]+ found anywhere in the process; so are the others\n"
                                     r"      all begin with 6672616d65206f66 ")
        self.assertEqual(len(report["mappings"]), self.FRAMES)
        self.assertEqual({row["size"] for row in report["mappings"]}, {self.FRAME})
        self.assertTrue(all(row["content"]["text"].startswith("frame of camera") for row in report["mappings"]))
        self.assertEqual({row["content"]["hex"] for row in silent["mappings"]}, {None})


class Areas(GrowthTest):
    """fixtures/programs/merged_buffers.c"""

    BUFFERS, KEPT, BUFFER = 100, 4, 256 << 10

    @needs_ptrace
    def test_parts_of_joined_mappings_that_nothing_names(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_merged_buffers")) as program:
            report = self.json_of("report", "attach", program.pid)
            text = self.heapscan("attach", program.pid).out
        begin = int(next(words[1] for words in program.truth if words[0] == "area"), 16)
        self.assertEqual(len(report["areas"]), 1)
        area = report["areas"][0]
        self.assertEqual((area["period"], area["parts"], area["places"]), (self.BUFFER, self.BUFFERS, self.KEPT))
        named = {7, 37, 67, 97, 50}
        self.assertEqual(area["unnamed"],
                         [hex(begin + i * self.BUFFER) for i in range(self.BUFFERS) if i not in named])
        self.assertRegex(text, r"(?m)^areas +95 parts of 23\.8 MiB in mappings that touch, possibly leaked\n"
                               r"  25\.0 MiB area 0x[0-9a-f]+, named at 4 places, period 256\.0 KiB: nothing names 95 "
                               r"of 100 parts, such as 0x[0-9a-f]+$")


class Shared(GrowthTest):
    """fixtures/programs/shared_memory.c"""

    HALF, LARGE = 64 << 10, 160 << 20

    @needs_ptrace
    def test_lost_shared_memory_of_every_kind(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_shared_memory")) as program:
            report = self.json_of("report", "attach", program.pid, code=1)
            text = self.heapscan("attach", program.pid, "-v").out
        lost = {words[1] for words in program.truth if words[0] == "mapping" and words[4] == "definite"}
        self.assertEqual({row["address"] for row in report["mappings"] if row["verdict"] == "definite"}, lost)
        kinds = {row["kind"] for row in report["mappings"]}
        self.assertIn("memfd frames", kinds)
        self.assertIn("shared anonymous memory", kinds)
        self.assertEqual(len([kind for kind in kinds if kind.startswith(("SysV shared memory 0x", "POSIX shared "))]), 2)
        self.assertRegex(text, r"definite  memfd frames: no pointer to 0x[0-9a-f]+ found anywhere in the process; "
                               r"other processes may still use the memory")

    @needs_ptrace
    def test_what_holds_shared_memory_says_which(self):
        with fixture(os.path.join(OPTIONS.fixtures, "fixture_shared_memory")) as program:
            tree = self.json_of("holds", "holds", program.pid, "fixture_shared_memory")["tree"]
            memory = self.json_of("report", "attach", program.pid, code=1)["memory"]
        # All four are in one array, so they are one row.
        self.assertRegex(tree[-1]["name"], "^mapping, such as (shared anonymous|memfd frames|SysV|POSIX)")
        # What was lost of each object counts as that.
        named = {row["name"]: row["bytes"] for row in memory["managers"] if row["use"] == "shared memory"}
        self.assertEqual(named["memfd frames"], self.HALF)
        self.assertEqual([size for name, size in named.items() if name.startswith("POSIX shared memory heapscan-")],
                         [self.HALF])
        shared = next(row["resident_bytes"] for row in memory["uses"] if row["use"] == "shared memory")
        self.assertLessEqual(sum(named.values()), shared)

    @needs_ptrace
    def test_much_shared_memory_is_told_of_by_name(self):
        size = 64 << 20
        script = (f"import mmap,os,sys\nfile=os.memfd_create('frames'); os.ftruncate(file,{size})\n"
                  f"memory=mmap.mmap(file,{size}); memory.write(b'x'*{size}); print('ready',flush=True); sys.stdin.read()\n")
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            try:
                self.assertEqual(program.stdout.readline(), b"ready\n")
                text = self.heapscan("attach", program.pid).out
                page = self.heapscan("attach", program.pid, "--format", "html").out
            finally:
                program.kill()
        self.assertRegex(text, r"(?m)^            64\.0 MiB of shared memory: memfd frames$")
        self.assertIn('<p class="more">64.0 MiB of shared memory: memfd frames</p>', page)

    @needs_ptrace
    def test_shared_objects_that_touch_and_such_with_holes(self):
        # What is left of an object whose first half is gone goes on at the very offset where the other one ends.
        script = ("import ctypes,mmap,sys\n"
                  "libc=ctypes.CDLL(None); libc.mmap.restype=ctypes.c_void_p\n"
                  "libc.mmap.argtypes=[ctypes.c_void_p,ctypes.c_size_t]+[ctypes.c_int]*3+[ctypes.c_long]\n"
                  "def share(at,size): return libc.mmap(at,size,3,mmap.MAP_SHARED|mmap.MAP_ANONYMOUS|(at and 16),-1,0)\n"
                  f"large=share(0,{self.LARGE}); near=share(0,{2 * self.HALF}); share(near,{self.HALF})\n"
                  f"for at in (near,near+{self.HALF},large,large+{self.LARGE}-8): ctypes.memset(at,1,8)\n"
                  "print(hex(near),hex(large),flush=True)\nsys.stdin.read()\n")
        folder = self.folder()
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            try:
                near, large = (int(word, 16) for word in program.stdout.readline().split())
                targets = [program.pid, self.snapshot_of(program, folder / "snapshot")]
                # Python may have the addresses somewhere, or not.
                reports = [parse(self.heapscan("attach" if target == program.pid else "core", target, "--format", "json",
                                               "--kinds", "definite,indirect,possible,reachable").out)
                           for target in targets]
            finally:
                program.kill()
        wanted = [(near, self.HALF), (near + self.HALF, self.HALF), (large, self.LARGE)]
        for report in reports:
            shared = [(int(row["address"], 16), row["size"]) for row in report["mappings"]
                      if row["kind"] == "shared anonymous memory"]
            self.assertEqual(sorted(shared), sorted(wanted))


class Threads(GrowthTest):
    """fixtures/programs/unjoined.c"""

    JOBS, LOGS = 50, 10

    def unjoined(self):
        return fixture(os.path.join(OPTIONS.fixtures, "fixture_unjoined"))

    @needs_ptrace
    def test_ended_threads_that_nobody_joined(self):
        with self.unjoined() as program:
            self.grow(program)
            text = self.heapscan("attach", program.pid).out
            report = self.json_of("report", "attach", program.pid)
        self.assertRegex(text, rf"(?m)^threads +{2 * (self.JOBS + self.LOGS)} ended threads were never joined; "
                               r"960\.5 MiB of stacks \(\S+ \S+ resident\)$\n"
                               rf"  {2 * self.JOBS} × run_job \(unjoined\.c:\d+\)\n"
                               rf"  {2 * self.LOGS} × write_log \(unjoined\.c:\d+\)\n(?!  )")
        self.assertEqual([row["threads"] for row in report["ended_threads"]], [2 * self.JOBS, 2 * self.LOGS])

    @needs_ptrace
    def test_a_diff_says_how_many_more(self):
        with self.unjoined() as program:
            before = self.snapshot_of(program, self.folder() / "before")
            self.grow(program)
            report = self.json_of("diff", "diff", before, program.pid)
            text = self.heapscan("diff", before, program.pid).out
        sums = [sum(row["threads"] for row in report["ended_threads"][look]) for look in ("before", "after")]
        self.assertEqual(sums, [self.JOBS + self.LOGS, 2 * (self.JOBS + self.LOGS)])
        self.assertRegex(text, r"(?m)^  60 more ended threads that nobody joined: 960\.5 MiB of stacks .*\n"
                               r"       100 of them ran run_job \(unjoined\.c:\d+\)$")

    @needs_ptrace
    def test_a_first_thread_that_has_ended_is_nobodys_to_join(self):
        # It is ready when /proc/self/stat, which tells of the first thread, says that this has ended.
        ends = ("import ctypes, os, threading\n"
                "def stay():\n"
                "    while open('/proc/self/stat').read().split()[2] != 'Z': os.sched_yield()\n"
                "    print('ready 1', flush=True)\n"
                "    threading.Event().wait()\n"
                "threading.Thread(target=stay).start()\n"
                "ctypes.CDLL(None).pthread_exit(None)\n")
        with fixture(sys.executable, "-c", ends) as program:
            result = self.heapscan("attach", program.pid)
        self.assertNotRegex(result.out, "(?m)^threads")
        self.assertEqual(result.code, 0)

    @needs_ptrace
    def test_threads_that_were_joined_are_nobodys_business(self):
        with self.growing() as program:
            self.assertEqual(self.json_of("report", "attach", program.pid, code=1)["ended_threads"], [])


if __name__ == "__main__":
    sys.exit(growth_test.main(__doc__, __name__, ["Hoarding", "Mappings", "Areas", "Shared", "Threads"]))
