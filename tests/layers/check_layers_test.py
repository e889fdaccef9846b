"""The layer check must be able to fail.

Each folder in bad/ is laid over a copy of good/ and breaks one rule; its file `expected` holds the
one complaint that must be printed, and nothing else may be. good/ itself must pass.

usage: check_layers_test.py CHECK_LAYERS
"""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKER = None


def check(overlay=None):
    """Runs the checker over good/, with `overlay` copied over it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tree"
        shutil.copytree(HERE / "good", root)
        if overlay:
            shutil.copytree(overlay, root, dirs_exist_ok=True)
        return subprocess.run([sys.executable, CHECKER, root], capture_output=True, text=True,
                              encoding="utf-8", check=False)


class LayerCheck(unittest.TestCase):
    def test_good_tree_passes(self):
        run = check()
        self.assertEqual((run.returncode, run.stderr), (0, ""), run.stdout)

    def test_tree_without_sources_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(HERE / "good" / "docs", Path(folder) / "docs")
            run = subprocess.run([sys.executable, CHECKER, folder], capture_output=True,
                                 text=True, encoding="utf-8", check=False)
        self.assertEqual(run.returncode, 2)
        self.assertIn("no source files", run.stderr)


def add_bad_tree(overlay):
    expected = (overlay / "expected").read_text(encoding="utf-8").strip()

    def test(self):
        run = check(overlay)
        if overlay.name.startswith("table_"):
            self.assertEqual(run.returncode, 2, run.stdout)
            self.assertIn(expected, run.stderr)
        else:
            self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
            self.assertEqual(run.stdout.strip(), expected)

    setattr(LayerCheck, f"test_{overlay.name}_is_refused", test)


if __name__ == "__main__":
    CHECKER = sys.argv.pop(1)
    for tree in sorted((HERE / "bad").iterdir()):
        add_bad_tree(tree)
    unittest.main(verbosity=2)
