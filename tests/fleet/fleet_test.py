#!/usr/bin/python3
"""tools/fleet with the real DuckDB and the real PostgreSQL, over made-up reports whose truth is known.

usage: fleet_test.py --heapscan PROGRAM --fixtures FOLDER [--hosts N] [SUITE...]

A host has 104 reports. An engine that is not there is a reason to skip, with CI=true in the environment a failure.
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import csv
import glob
import io
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import types
import unittest

import make_reports
import truth

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FLEET = str(ROOT / "tools/fleet/fleet")
sys.path.insert(0, str(HERE.parent / "cli"))
from heapscan_cli import fixture, run, run_suites, why_ptrace_is_refused  # noqa: E402

OPTIONS = types.SimpleNamespace(heapscan=None, fixtures=None, hosts=12)
ROWS = 40
PATIENCE = 60  # seconds
MODULES = ROOT / "build/duckdb/node_modules"


def fleet(*words, code=0):
    done = subprocess.run(["/usr/bin/python3", FLEET, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != code:
        raise AssertionError(f"{words} gave {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def require(missing):
    if missing and os.environ.get("CI") == "true":
        raise AssertionError(missing)
    if missing:
        raise unittest.SkipTest(missing)


def why_there_is_no_duckdb():
    if shutil.which("node") is None:
        return "there is no node (package nodejs), which DuckDB runs in"
    known = os.environ.get("NODE_PATH", "").split(os.pathsep) + [str(MODULES)]
    if not any(os.path.isdir(os.path.join(folder, "@duckdb/node-api")) for folder in known if folder):
        return "DuckDB (@duckdb/node-api of npm) is not installed; tools/setup does that"
    return None


class Reports:
    """The reports that all tests look at, made once."""

    folder = None

    @classmethod
    def get(cls):
        if cls.folder is None:
            cls.folder = tempfile.TemporaryDirectory(prefix="heapscan-fleet-test-")
            cls.fleet = make_reports.Fleet(OPTIONS.hosts)
            cls.counts = make_reports.write_reports(cls.fleet, cls.folder.name)
            cls.truth = truth.Truth(cls.fleet)
        return cls


class PostgresServer:
    """A server of our own, in a folder of its own, reached by its socket only."""

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb") +
                       glob.glob(str(ROOT / "build/programs/usr/lib/postgresql/*/bin/initdb")))
        self.why_not = None if found and shutil.which("psql", path=self.path_of(found)) else \
            "there is no PostgreSQL (package postgresql); tools/setup unpacks it"
        if self.why_not:
            return
        self.bin = os.path.dirname(found[-1])
        self.folder = tempfile.mkdtemp(prefix="heapscan-pg-")
        self.user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")
        data = os.path.join(self.folder, "data")
        self.as_user("initdb", "--pgdata", data, "--no-sync", "--no-locale", "--encoding", "UTF8", "--auth", "trust", check=True)
        # Comes back when the server says that it is ready.
        self.control("start", "--timeout", str(PATIENCE), "--log", os.path.join(self.folder, "log"),
                     "--options", f"-k {self.folder} -h '' -F -c logging_collector=off")
        os.environ["PATH"] = self.bin + os.pathsep + os.environ["PATH"]

    @staticmethod
    def path_of(found):
        return os.pathsep.join([os.path.dirname(path) for path in found] + [os.environ["PATH"]])

    def prefix(self):
        return ["setpriv", "--reuid", self.user, "--clear-groups"] if os.geteuid() == 0 else []

    def as_user(self, program, *words, check):
        return subprocess.run([*self.prefix(), os.path.join(self.bin, program), *words], check=check, cwd="/",
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def control(self, what, *words):
        self.as_user("pg_ctl", what, "--wait", "--silent", "--pgdata", os.path.join(self.folder, "data"), *words, check=True)

    def new_database(self, name):
        self.as_user("createdb", "-h", self.folder, name, check=True)
        return f"host={self.folder} user={self.user} dbname={name}"

    def end(self):
        self.control("stop", "--mode", "fast")
        shutil.rmtree(self.folder)


class Engine:
    """What both engines have to do; each test class has one."""

    maxDiff = None

    @classmethod
    def fill(cls):
        reports = Reports.get()
        began = time.monotonic()
        cls.loaded = fleet("load", cls.database, reports.folder.name)
        cls.seconds = time.monotonic() - began

    def test_every_report_is_loaded_once(self):
        counts = Reports.get().counts
        text = f"{OPTIONS.hosts} files: {counts['looks']} looks, {counts['groups']} groups\n"
        self.assertEqual((self.loaded.stdout, self.loaded.stderr), (text, ""))
        first = sorted(glob.glob(Reports.folder.name + "/*"))[0]
        fleet("load", self.database, first)
        looks = list(csv.DictReader(io.StringIO(fleet("query", self.database, "builds", "--format", "csv").stdout)))
        self.assertEqual(sum(int(row["looks"]) for row in looks), counts["looks"])

    def test_answers_are_true(self):
        began = time.monotonic()
        for question, words, rows in truth.what_is_asked(Reports.get().truth, ROWS):
            with self.subTest(question=question, words=words):
                text = fleet("query", self.database, question, *words, "--format", "json").stdout
                answer = [list(json.loads(line).values()) for line in text.splitlines()]
                self.assertEqual(answer, rows)
        asked = time.monotonic() - began
        print(f"{type(self).__name__}: loaded in {self.seconds:.1f} s, asked in {asked:.1f} s", file=sys.stderr)

    def test_own_questions_are_one_statement_with_words(self):
        with tempfile.TemporaryDirectory(prefix="heapscan-fleet-test-") as folder:
            own = pathlib.Path(folder, "own.sql")
            own.write_text("-- How many?\nselect count(*) as looks, :'word' as word, null as nothing\n"
                           "from looks where program = :'program';\n")
            answer = fleet("query", self.database, own, "program=mail", "word=it's", "--format", "json").stdout
            mails = [look for look in Reports.get().fleet.looks() if look.program == "mail"]
            self.assertEqual(json.loads(answer), {"looks": str(len(mails)), "word": "it's", "nothing": None})
            self.assertIn("needs word=…", fleet("query", self.database, own, "program=mail", code=2).stderr)
            own.write_text("select 1; drop table looks;")
            self.assertIn("has 2 statements", fleet("query", self.database, own, code=2).stderr)
            own.write_text("select nonsense")
            self.assertIn(": ", fleet("query", self.database, own, code=3).stderr)
        self.assertIn("cannot read", fleet("query", self.database, folder + "/gone.sql", code=2).stderr)

    def test_hostile_lines_are_left_out_or_are_only_data(self):
        good = [dict(line) for line in make_reports.lines_of(make_reports.shop(1, 20))]
        words = "'; drop table looks; -- \" \\ :'rows' $1 %s \\N,"
        data = [json.dumps({**good[0], "host": words, "unit": ""}),
                json.dumps({**good[1], "host": words, "unit": "", "label": words})]
        bad = ["", "{", "[]", "null", "7", '"heapscan.process/1"', "[" * 100000, json.dumps(good[0])[:-9],
               json.dumps({**good[0], "schema": "heapscan.process/2"}), json.dumps({**good[0], "schema": []}),
               json.dumps({**good[0], "in_use_bytes": 2**63}), json.dumps({**good[0], "in_use_bytes": 1.5}),
               json.dumps({**good[0], "in_use_bytes": True}), json.dumps({**good[0], "pause_seconds": float("inf")}),
               json.dumps({**good[0], "captured_at": -1}), json.dumps({**good[0], "captured_at": 1e300}),
               json.dumps({**good[0], "captured_at": None}), json.dumps({**good[0], "host": ["a"]}),
               json.dumps({**good[0], "host": "a\0b"}), json.dumps({**good[0], "host": "\ud800"}),
               json.dumps({**good[0], "host": "\x1b[31m"}), json.dumps({**good[0], "host": "\u202e"}),
               json.dumps({**good[0], "host": "x" * (1 << 21)})]
        with tempfile.TemporaryDirectory(prefix="heapscan-fleet-test-") as folder:
            path = pathlib.Path(folder) / "odd name'.jsonl"
            path.write_bytes("\n".join(data + bad).encode() + b"\n\xff\xfe\n")
            database = self.new_database("hostile")
            done = fleet("load", database, folder, code=1)
        self.assertEqual(done.stdout, "1 file: 1 look, 1 group\n")
        self.assertIn(f"{len(bad) + 1} lines are no reports", done.stderr)
        rows = [json.loads(line) for line in fleet("query", database, "lost-by-unit", "--format", "json").stdout.splitlines()]
        self.assertEqual([(row["unit"], row["on_host"]) for row in rows], [("", words)])
        owners = json.loads(fleet("query", database, "top-owners", "--format", "json").stdout)
        self.assertEqual(owners["label"], words)
        self.assertEqual(fleet("query", database, "first-build", f"id={words}").stdout.count("\n"), 1)

    def test_files_that_are_cut_off_count_as_far_as_they_go(self):
        reports = Reports.get()
        database = self.new_database("cut")
        with tempfile.TemporaryDirectory(prefix="heapscan-fleet-test-") as folder:
            for host, suffix in ((1, ".gz"), (2, ".zst")):
                name = f"host{host:04}.jsonl{suffix}"
                whole = pathlib.Path(reports.folder.name, name).read_bytes()
                pathlib.Path(folder, name).write_bytes(whole[:len(whole) - 200])
            done = fleet("load", database, folder, pathlib.Path(folder) / "nothing.jsonl", code=1)
        self.assertEqual(done.stderr.count("fleet: /"), 3, done.stderr)
        looks = int(done.stdout.split(": ")[1].split()[0])
        self.assertLessEqual(looks, 200)

    @unittest.skipIf(why_ptrace_is_refused(), why_ptrace_is_refused())
    def test_what_heapscan_writes_is_what_is_loaded(self):
        database = self.new_database("real")
        with tempfile.TemporaryDirectory(prefix="heapscan-fleet-test-") as folder:
            with fixture(os.path.join(OPTIONS.fixtures, "fixture_sessions")) as program:
                for number in range(2):
                    run(OPTIONS.heapscan, "attach", program.pid, "--sites", "--format", "jsonl", "-o", f"{folder}/{number}.jsonl")
                run(OPTIONS.heapscan, "diff", program.pid, program.pid, "--format", "jsonl", "-o", f"{folder}/diff.jsonl")
            done = fleet("load", database, folder)
        self.assertEqual(done.stderr, "")
        rows = [json.loads(line) for line in fleet("query", database, "top-owners", "--format", "json").stdout.splitlines()]
        session = next(row for row in rows if row["label"] == "struct session")
        self.assertEqual((session["program"], session["lost_bytes"]), ("fixture_sessions", "1320000"))


class DuckDb(Engine, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # No Debian package: where npm cannot be reached, not even CI has it.
        if missing := why_there_is_no_duckdb():
            raise unittest.SkipTest(missing)
        cls.folder = tempfile.TemporaryDirectory(prefix="heapscan-duckdb-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.database = cls.folder.name + "/fleet.duckdb"
        cls.fill()

    def new_database(self, name):
        return f"{self.folder.name}/{name}.duckdb"

    def test_parquet_has_all_rows(self):
        folder = self.folder.name + "/parquet"
        fleet("parquet", self.database, folder)
        script = [f"select (select count(*) from '{folder}/looks.parquet'), (select sum(bytes) from '{folder}/groups.parquet')"]
        environment = {**os.environ, "NODE_PATH": os.pathsep.join([os.environ.get("NODE_PATH", ""), str(MODULES)])}
        answer = subprocess.run(["node", str(ROOT / "tools/fleet/run_duckdb.cjs"), ":memory:"], input=json.dumps(script),
                                capture_output=True, text=True, check=True, env=environment).stdout
        looks = list(Reports.get().fleet.looks())
        self.assertEqual(json.loads(answer)["rows"], [[str(len(looks)), str(sum(look.in_use for look in looks))]])


class Postgres(Engine, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = PostgresServer()
        require(cls.server.why_not)
        cls.addClassCleanup(cls.server.end)
        cls.database = cls.server.new_database("fleet")
        cls.fill()

    def new_database(self, name):
        return self.server.new_database(name)

    def test_parquet_is_not_its_business(self):
        self.assertIn("Parquet is written by DuckDB", fleet("parquet", self.database, "/nowhere/x", code=2).stderr)


class Words(unittest.TestCase):
    def test_wrong_ones_are_usage_errors(self):
        for words, part in ((("query", "x.duckdb", "nonsense"), "there is no question 'nonsense'; there are builds, "),
                            (("query", "x.duckdb", "../tables"), "there is no question"),
                            (("query", "x.duckdb", "first-build"), "first-build needs id=…: of the group"),
                            (("query", "x.duckdb", "builds", "id=1"), "builds takes rows=…, not 'id=1'"),
                            (("query", "x.duckdb", "builds", "rows=x"), "rows is a number, not 'x'"),
                            (("query", "x.duckdb", "builds", "--format", "xml"), "--format is text, csv or json"),
                            ((), "usage: fleet load"), (("load", "x.duckdb"), "usage: fleet load")):
            done = fleet(*words, code=2)
            self.assertIn(part, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_every_question_is_listed(self):
        text = fleet("queries").stdout
        for path in (ROOT / "tools/fleet/queries").glob("*.sql"):
            self.assertRegex(text, rf"(?m)^{path.stem} +\S.*\?$")

    def test_a_reader_that_has_read_enough_is_no_error(self):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(["/usr/bin/python3", FLEET, "queries"], stdout=writer, stderr=subprocess.PIPE, text=True,
                              check=False)
        os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_database_that_cannot_be_reached_is_said(self):
        if shutil.which("psql"):
            self.assertIn("PostgreSQL: ", fleet("query", "host=/nonexistent", "builds", code=3).stderr)


def main():
    return run_suites(OPTIONS, __doc__, sys.modules[__name__], ["Words", "DuckDb", "Postgres"],
                      hosts={"type": int, "default": OPTIONS.hosts})


if __name__ == "__main__":
    sys.exit(main())
