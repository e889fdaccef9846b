"""The image that tools/oci_image makes: whole, the same each time, nothing in it but what the program needs, and it runs there.

usage: oci_image_test.py OCI_IMAGE HEAPSCAN
Exit code 77: everything that ran passed, but something had to be skipped.
"""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

OCI_IMAGE = None
HEAPSCAN = None


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


class OciImage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="heapscan-image-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.archive = Path(cls.folder.name) / "image.tar"
        done = run(OCI_IMAGE, HEAPSCAN, cls.archive)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        with tarfile.open(cls.archive) as archive:
            cls.files = {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}

    def blob(self, described):
        """What a descriptor stands for, after its size and digest were checked."""
        data = self.files["blobs/sha256/" + described["digest"].removeprefix("sha256:")]
        self.assertEqual((len(data), "sha256:" + hashlib.sha256(data).hexdigest()), (described["size"], described["digest"]))
        return data

    def layer(self):
        (described,) = json.loads(self.files["index.json"])["manifests"]
        manifest = json.loads(self.blob(described))
        config = json.loads(self.blob(manifest["config"]))
        (packed,) = manifest["layers"]
        layer = gzip.decompress(self.blob(packed))
        self.assertEqual(config["rootfs"]["diff_ids"], ["sha256:" + hashlib.sha256(layer).hexdigest()])
        return config, layer

    def test_what_refers_to_what(self):
        config, _ = self.layer()
        self.assertEqual(json.loads(self.files["oci-layout"]), {"imageLayoutVersion": "1.0.0"})
        self.assertEqual(config["config"]["Entrypoint"], ["/usr/bin/heapscan"])
        version = run(HEAPSCAN, "version").stdout.split()[1]
        (saved,) = json.loads(self.files["manifest.json"])
        self.assertEqual(saved["RepoTags"], [f"heapscan:{version}"])
        self.assertEqual(json.loads(self.files[saved["Config"]]), config)
        self.assertEqual(gzip.decompress(self.files[saved["Layers"][0]]), self.layer()[1])

    def test_nothing_is_in_it_but_what_the_program_needs(self):
        with tarfile.open(fileobj=io.BytesIO(self.layer()[1])) as layer:
            entries = {entry.name: entry for entry in layer}
        wanted = {line.split(" (")[0].split()[-1].lstrip("/") for line in run("ldd", HEAPSCAN).stdout.splitlines() if " (" in line}
        wanted = {path for path in wanted if "vdso" not in path} | {"usr/bin/heapscan", "etc/passwd"}
        files = {name for name, entry in entries.items() if entry.isfile()}
        others = files - wanted
        self.assertEqual(wanted - files, set())
        self.assertTrue(all(name.startswith("usr/share/doc/") and name.endswith("/copyright") for name in others), others)
        self.assertIn("usr/share/doc/heapscan/copyright", others)
        self.assertIn("usr/share/doc/libc6/copyright", others)
        for name, entry in entries.items():
            self.assertEqual((entry.uid, entry.gid, entry.mtime, entry.mode & 0o6000), (0, 0, 0, 0), name)
            self.assertTrue(entry.isfile() or entry.isdir(), name)
            self.assertIn(os.path.dirname(name), {"", *entries}, "folders come with it")

    def test_it_is_the_same_each_time(self):
        again = Path(self.folder.name) / "again.tar"
        self.assertEqual(run(OCI_IMAGE, HEAPSCAN, again).returncode, 0)
        self.assertEqual(again.read_bytes(), self.archive.read_bytes())

    def test_the_program_runs_in_it(self):
        root = Path(self.folder.name) / "root"
        with tarfile.open(fileobj=io.BytesIO(self.layer()[1])) as layer:
            layer.extractall(root)
        enter = ["chroot"] if os.geteuid() == 0 else ["unshare", "-r", "chroot"]
        if enter[0] == "unshare" and run("unshare", "-r", "true").returncode != 0:
            self.skipTest("without root, and without user namespaces, nobody can enter the image")
        inside = run(*enter, root, "/usr/bin/heapscan", "version")
        self.assertEqual((inside.stdout, inside.stderr, inside.returncode), (run(HEAPSCAN, "version").stdout, "", 0))

    def test_a_folder_runs_wherever_it_lies(self):
        made = Path(self.folder.name) / "made"
        self.assertEqual(run(OCI_IMAGE, "--folder", HEAPSCAN, made).returncode, 0)
        moved = made.rename(Path(self.folder.name) / "with space")
        version = run(HEAPSCAN, "version").stdout
        self.assertEqual(run(moved / "heapscan", "version").stdout, version)
        (Path(self.folder.name) / "link").symlink_to(moved / "heapscan")
        self.assertEqual(run(Path(self.folder.name) / "link", "version").stdout, version)
        again = run(OCI_IMAGE, "--folder", HEAPSCAN, moved)
        self.assertEqual(again.returncode, 1)
        self.assertIn("File exists", again.stderr)
        self.assertFalse((moved / "etc").exists())

    def test_what_is_no_heapscan_is_refused(self):
        for program, why in (("/bin/true", "is not heapscan"), ("/nonexistent", "/nonexistent does not run here")):
            done = run(OCI_IMAGE, program, Path(self.folder.name) / "refused.tar")
            self.assertEqual(done.returncode, 1)
            self.assertIn(why, done.stderr)
            self.assertFalse((Path(self.folder.name) / "refused.tar").exists())


if __name__ == "__main__":
    OCI_IMAGE, HEAPSCAN = sys.argv[1:3]
    program = unittest.main(argv=sys.argv[:1], verbosity=2, exit=False)
    sys.exit(1 if not program.result.wasSuccessful() else 77 if program.result.skipped else 0)
