"""The check of names must be able to fail, and only where two types really have one name.

usage: check_names_test.py CHECK_NAMES
"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECKER = None


def run_over(files):
    """Runs the checker over a tree of these files."""
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return subprocess.run([sys.executable, CHECKER, root], capture_output=True, text=True,
                              encoding="utf-8", check=False)


def within(body, namespace="heapscan"):
    return f"#pragma once\nnamespace {namespace} {{\n{body}\n}}\n"


class NameCheck(unittest.TestCase):
    def check_pair(self, first, second, complaint, extra=None):
        """Two files of one layer; no complaint is no pair."""
        run = run_over({"include/heapscan/report/a.h": first, "src/report/b.cpp": second,
                        **(extra or {})})
        if complaint is None:
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        else:
            self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
            self.assertEqual(run.stdout.strip(), complaint)

    def test_one_name_in_two_files_is_refused(self):
        self.check_pair(within("struct Member { int a; };"),
                        within("struct Other {};\nstruct Member {\n  long a;\n};"),
                        "src/report/b.cpp:4: struct heapscan::Member is defined here and in "
                        "include/heapscan/report/a.h:3")

    def test_kinds_of_types_share_their_names(self):
        self.check_pair(within("enum class Kind : unsigned char { A };"),
                        within("template <typename T>\nclass Kind final : public Base<T> {};"),
                        "src/report/b.cpp:4: class heapscan::Kind is defined here and in "
                        "include/heapscan/report/a.h:3")

    def test_types_within_types_are_looked_at(self):
        self.check_pair(within("class File {\n  struct State { int a; };\n};"),
                        within("struct File::State { long a; };"),
                        "src/report/b.cpp:3: struct heapscan::File::State is defined here and in "
                        "include/heapscan/report/a.h:4")

    def test_layers_are_compared_with_each_other(self):
        run = run_over({"src/heap/a.h": within("struct Row {};"),
                        "src/reach/a.h": within("struct Row {};")})
        self.assertEqual(run.returncode, 1, run.stdout)

    def test_declarations_and_uses_are_no_definitions(self):
        self.check_pair(within("struct Member { int a; };"),
                        within("struct Member;\nenum class Kind : int;\n"
                               "struct Member make() { return {}; }\n"
                               "const struct Member one = {1};\nMember two{};"), None)

    def test_other_namespaces_have_names_of_their_own(self):
        self.check_pair(within("struct Member {};"), within("struct Member {};", "heapscan::glibc"),
                        None)

    def test_specialisations_are_not_the_template(self):
        self.check_pair(within("template <typename T> struct Hash {};"),
                        within("template <> struct Hash<int> {};"), None)

    def test_comments_and_texts_are_no_code(self):
        self.check_pair(within("struct Member {};"),
                        within("// struct Member {\n/* struct Member { */\n"
                               "const char* a = \"struct Member {\";\n"
                               "const char* b = R\"(struct Member {)\";\n"
                               "constexpr int kMany = 1'000'000; char c = '{';\n"
                               "#define MEMBER struct Member {"), None)

    def test_types_within_functions_are_left_alone(self):
        body = "int {}() {{\n  struct Local {{ int a; }};\n  return 0;\n}}"
        self.check_pair(within(body.format("f")), within(body.format("g")), None)

    def test_anonymous_namespaces_belong_to_their_layer(self):
        body = "namespace {\nstruct Row { int a; };\n}"
        self.check_pair(within(""), within(body), None, {"src/heap/c.cpp": within(body)})
        self.check_pair(within(""), within(body),
                        "src/report/c.cpp:4: struct heapscan::(anonymous)::Row is defined here and "
                        "in src/report/b.cpp:4", {"src/report/c.cpp": within(body)})

    def test_what_is_anonymous_has_no_name_that_headers_have(self):
        body = "namespace {\nstruct Row { int a; };\n}"
        self.check_pair(within(""), within(body),
                        "src/report/b.cpp:4: struct (anonymous) heapscan::Row is defined here, and "
                        "another heapscan::Row in include/heapscan/heap/c.h:3",
                        {"include/heapscan/heap/c.h": within("struct Row {};")})

    def test_tree_without_sources_is_refused(self):
        self.assertEqual(run_over({"README.md": "no sources"}).returncode, 2)


if __name__ == "__main__":
    CHECKER = sys.argv.pop(1)
    unittest.main()
