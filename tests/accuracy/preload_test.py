#!/usr/bin/python3
"""Holds what truth_preload.c records against what a fixture program says of its own blocks."""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from collections import defaultdict

arguments = argparse.Namespace()


def record(folder, fixture, **options):
    """Runs a fixture under the library to its end: (what it said, what was recorded), in words."""
    environment = {**os.environ, "LD_PRELOAD": str(arguments.preload), "TRUTH_AT": "exit",
                   "TRUTH_DIR": str(folder), "TRUTH_PROGRAM": fixture.name, **options}
    done = subprocess.run([fixture], capture_output=True, text=True,
                          env=environment, input="", timeout=60, check=False)
    recorded = (folder / "truth").read_text(encoding="utf-8")
    return ([line.split() for line in done.stdout.splitlines()],
            [line.split() for line in recorded.splitlines()])


class Preload(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def record(self, fixture="typed_structs", **options):
        said, recorded = record(self.folder, arguments.fixtures / f"fixture_{fixture}", **options)
        self.said = {words[1]: words for words in said if words[0] == "block"}
        self.recorded = {words[1]: words for words in recorded if words[0] == "block"}
        self.chains = {words[1]: words[2:] for words in recorded if words[0] == "chain"}

    def test_every_block_is_there_with_its_size(self):
        self.record()
        self.assertGreater(len(self.said), 1000)
        for address, words in self.said.items():
            self.assertEqual(self.recorded[address][2], words[2], address)

    def test_blocks_of_one_type_come_from_one_place(self):
        self.record()
        callers = defaultdict(set)  # of truth_alloc, which is the innermost frame of all
        for address, words in self.said.items():
            callers[words[3]].add(self.chains[self.recorded[address][3]][1])
        self.assertEqual({label: len(places) for label, places in callers.items()},
                         dict.fromkeys(callers, 1))
        self.assertEqual(len(set.union(*callers.values())), len(callers))

    def test_only_the_sample_is_not_freed(self):
        def dropped(percent):
            self.record("typed_classes", TRUTH_LEAK=percent)
            return sum(words[5] == "dropped" for words in self.recorded.values())
        self.assertEqual(dropped("0"), 0)
        self.assertGreater(dropped("100"), 100)

    def test_another_program_is_left_alone(self):
        with self.assertRaises(FileNotFoundError):
            self.record(TRUTH_PROGRAM="another")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preload", type=pathlib.Path, required=True)
    parser.add_argument("--fixtures", type=pathlib.Path, required=True)
    _, rest = parser.parse_known_args(namespace=arguments)
    unittest.main(argv=[sys.argv[0], *rest])
