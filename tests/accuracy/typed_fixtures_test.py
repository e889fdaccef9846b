#!/usr/bin/python3
"""The fixture programs whose blocks have known types: what heapscan has to make of them."""
import argparse
import json
import os
import pathlib
import sys
import unittest
from collections import Counter

import evaluate

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from heapscan_cli import Fixture, run

arguments = argparse.Namespace()
SKIPPED = 77
PTRACE_REFUSED = 3
POLYMORPHIC = {"Circle", "Polygon", "Group", "Connection", "Registry", "Calendar",
               "std::make_shared<Account>"}


def judge(program, *words, options=()):
    """Runs the fixture program and looks into it: (figures, blocks)."""
    fixture = Fixture(program, *words)
    try:
        done = run(arguments.heapscan, "attach", fixture.pid, *evaluate.ALL_BLOCKS, *options)
    finally:
        fixture.end()
    if done.code == PTRACE_REFUSED and "CI" not in os.environ:
        raise unittest.SkipTest(done.err)
    if done.code not in (0, 1):
        raise RuntimeError(f"heapscan ended with code {done.code}: {done.err}")
    truth = evaluate.read_truth(" ".join(words) for words in fixture.truth)
    blocks, _, _ = evaluate.join(json.loads(done.out), truth)
    return evaluate.figures(blocks), blocks


class TypedFixtures(unittest.TestCase):
    def expect(self, name, right, *words, options=(), precision=0.95):
        figures, blocks = judge(arguments.fixtures / f"fixture_{name}", *words, options=options)
        wrong = "\n".join(evaluate.worst(blocks, 5))
        self.assertGreater(figures["right"].whole, 0, "no lost block has a known type")
        self.assertGreaterEqual(figures["type precision lost"].value(), precision, wrong)
        self.assertGreaterEqual(figures["type precision all"].value(), precision, wrong)
        self.assertLessEqual(figures["wrong"].value(), 0.02, wrong)
        self.assertGreaterEqual(figures["right"].value(), right, wrong)
        return blocks

    def test_structs_with_debug_information(self):
        self.expect("typed_structs", right=0.9)

    def test_structs_that_share_headers(self):
        self.expect("typed_objects", right=0.9)

    def test_heads_that_nothing_but_their_fields_names(self):
        named = {}
        for count, threads in (60, 1), (60, 4), (200, 2):
            # Words, buffers and empty values, which begin alike, may be one group without a name.
            blocks = self.expect("typed_replies", 0.85, str(count), options=("-j", str(threads)),
                                 precision=0.8)
            self.assertEqual([b for b in blocks if evaluate.is_wrong(b)], [])
            for kind in "reply", "value":
                groups = Counter((b.cluster, b.label) for b in blocks if b.type == kind and b.lost)
                group, together = groups.most_common(1)[0]
                self.assertGreaterEqual(together, 0.9 * groups.total(), groups)
                self.assertEqual(group[1], f"struct {kind}")
                self.assertEqual(named.setdefault(kind, group), group, "it grew")

    def test_nodes_with_a_text_and_items_with_their_text_behind_them(self):
        blocks = self.expect("typed_items", right=0.95)
        for kind in "word", "item":
            groups = {(b.cluster, b.label) for b in blocks if b.type == kind and b.lost}
            self.assertEqual([label for _, label in groups], [f"struct {kind}"])

    def test_what_the_c_library_hands_out(self):
        self.expect("typed_library", right=0.9)

    def test_frames_of_coroutines(self):
        for name, function in ("coroutines", " of (anonymous namespace)::fetch_quote"), ("coroutines_stripped", ""):
            program = arguments.fixtures / f"fixture_{name}"
            if function == "" and not program.exists():
                continue  # made by a compiler whose frames say nothing without symbols
            _, blocks = judge(program)
            frames = {b.label for b in blocks if b.lost and b.type == "frame"}
            self.assertEqual(frames, {"coroutine frame" + function})
            others = [b.label for b in blocks if b.type == "Callbacks" and "coroutine" in b.label]
            self.assertEqual(others, [], "two functions of different names, one of which calls the other")

    def test_classes_with_debug_information(self):
        self.expect("typed_classes", right=0.9)

    def test_classes_without(self):
        blocks = self.expect("typed_classes_stripped", right=0)
        polymorphic = [b for b in blocks if b.type in POLYMORPHIC]
        self.assertEqual({b.type for b in polymorphic}, POLYMORPHIC)
        self.assertEqual([b for b in polymorphic if not evaluate.is_right(b)], [])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heapscan", required=True)
    parser.add_argument("--fixtures", type=pathlib.Path, required=True)
    parser.parse_args(namespace=arguments)
    tests = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=2).run(tests)
    if not result.wasSuccessful():
        return 1
    return SKIPPED if result.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
