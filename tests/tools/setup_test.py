"""What tools/setup says and does on machines that lack something.

usage: setup_test.py SETUP

Machines are made up: a folder with stand-ins for apt-get, dpkg-query, id and the like is all of PATH that matters.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SETUP = None
DPKG_QUERY = """#!/bin/sh
for package; do :; done
grep -qx "$package" "$MACHINE/installed" && printf 'install ok installed'
"""
APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$MACHINE/calls"
for word; do
  case $word in download) command=download ;; install) command=install ;; update) command=update ;; esac
done
if [ -e "$MACHINE/no-network" ] && [ "$command" != update ]; then exit 100; fi
case $command in
  install)
    case "$*" in *nodejs*)
      printf '#!/bin/sh\\n' >"$BIN/node"; cp "$MACHINE/npm" "$BIN/npm"; chmod +x "$BIN/node" "$BIN/npm" ;;
    esac
    case "$*" in *postgresql-client*) printf '#!/bin/sh\\n' >"$BIN/psql"; chmod +x "$BIN/psql" ;; esac
    case "$*" in *chromium*) [ ! -e "$MACHINE/no-browser" ] || exit 100 ;; esac
    for word; do echo "$word" >>"$MACHINE/installed"; done ;;
  download)
    for word; do
      case $word in nginx | redis-* | postgresql-15) echo "${word%%=*}" >"${word%%=*}_1.0_amd64.deb" ;; esac
    done ;;
esac
"""
DPKG_DEB = """#!/bin/sh
case $1 in
  --field)
    case $(cat "$2")/$3 in
      */Version) echo 1.0 ;;
      redis-server/Depends) echo 'lsb-base (>= 3.2-14), redis-tools (= 1.0)' ;;
      redis-tools/Depends) echo 'adduser, libjemalloc2 (>= 3.5.0), libc6 (>= 2.34)' ;;
      postgresql-15/Depends) echo 'postgresql-client-15, libc6 (>= 2.36)' ;;
      nginx/Depends) echo 'libc6 (>= 2.34), libcrypt1 (>= 1:4.1.0), nginx-common (<< 1.0.1~), zlib1g (>= 1:1.1.4)' ;;
    esac ;;
  --extract)
    mkdir -p "$3/usr/bin" "$3/usr/sbin"
    case $(cat "$2") in
      nginx) program=usr/sbin/nginx ;;
      redis-server) ln -s redis-check-rdb "$3/usr/bin/redis-server"; exit ;;
      redis-tools) program=usr/bin/redis-check-rdb ;;
      postgresql-15) mkdir -p "$3/usr/lib/postgresql/15/bin"; program=usr/lib/postgresql/15/bin/initdb ;;
    esac
    printf '#!/bin/sh\\n' >"$3/$program"
    chmod +x "$3/$program" ;;
esac
"""
APT_CACHE = """#!/bin/sh
printf 'postgresql\\n  Depends: postgresql-15\\n  Suggests: postgresql-doc\\n'
"""
NPM = """#!/bin/sh
echo "npm $*" >>"$MACHINE/calls"
[ ! -e "$MACHINE/no-network" ] || exit 1
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules/@duckdb/node-api"
"""
SUDO = """#!/bin/sh
echo "sudo $*" >>"$MACHINE/calls"
[ ! -e "$MACHINE/may-not-sudo" ] || exit 1
exec "$@"
"""


class Setup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="heapscan-setup-")
        self.addCleanup(folder.cleanup)
        self.machine = Path(folder.name)
        self.bin = self.machine / "bin"
        self.bin.mkdir()
        (self.machine / "tree/tools").mkdir(parents=True)
        shutil.copy(SETUP, self.machine / "tree/tools/setup")
        (self.machine / "calls").write_text("")
        self.stand_in("apt-get", APT_GET)
        self.stand_in("dpkg-query", DPKG_QUERY)
        self.stand_in("dpkg-deb", DPKG_DEB)
        self.stand_in("dpkg", "#!/bin/sh\nexit 0\n")
        self.stand_in("cmake", "#!/bin/sh\necho cmake version 3.25.1\n")
        self.stand_in("apt-cache", APT_CACHE)
        (self.machine / "npm").write_text(NPM)
        self.user(0)
        for tool in ("sh", "sed", "grep", "tr", "sort", "dirname", "mktemp", "mkdir", "cat", "ln", "chmod", "rm", "cp",
                     "wc", "env"):
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.have([])

    def stand_in(self, name, text):
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def user(self, uid):
        self.stand_in("id", f"#!/bin/sh\necho {uid}\n")

    def packages(self, *words):
        done = self.setup("--list", *words)
        return [line.split()[0] for line in done.stdout.splitlines()]

    def have(self, packages):
        (self.machine / "installed").write_text("".join(f"{package}\n" for package in packages))

    def have_all(self):
        self.have([*self.packages(), "libjemalloc2", "libc6", "libcrypt1", "zlib1g"])

    def calls(self):
        return (self.machine / "calls").read_text().splitlines()

    def setup(self, *words, **environment):
        # /usr/sbin is where the script looks for servers by itself; this machine's may have them.
        script = self.machine / "tree/tools/setup"
        script.write_text(script.read_text().replace(":/usr/sbin:", ":"))
        return subprocess.run(["/bin/sh", script, *words], capture_output=True, text=True, check=False,
                              env={"PATH": str(self.bin), "BIN": str(self.bin), "MACHINE": str(self.machine), **environment})

    def test_nothing_to_do(self):
        self.have_all()
        done = self.setup("build")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("are present, nothing to do", done.stdout)
        self.assertEqual(self.calls(), [])

    def test_installs_what_is_missing_and_unpacks_servers(self):
        done = self.setup()
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        others = {"nginx", "redis-server", "postgresql", "@duckdb/node-api"}
        wanted = set(self.packages()) - others
        self.assertLessEqual(wanted, set((self.machine / "installed").read_text().split()))
        programs = self.machine / "tree/build/programs/usr"
        self.assertTrue((programs / "sbin/nginx").is_file())
        self.assertTrue((programs / "bin/redis-server").is_file(), "the package it is a link into is there too")
        self.assertTrue((programs / "lib/postgresql/15/bin/initdb").is_file())
        self.assertTrue((self.machine / "tree/build/duckdb/node_modules/@duckdb/node-api").is_dir())
        self.assertEqual(sorted(os.listdir(programs.parent)), ["usr"], "nothing is left over")
        installs = [call for call in self.calls() if " install " in call]
        for never in ("nginx", "redis-server", "redis-tools", "nginx-common", "postgresql", "postgresql-15"):
            self.assertNotIn(f" {never} ", " ".join(installs) + " ", "a service would be started")
        self.assertIn(" libjemalloc2", " ".join(installs))
        self.assertIn("nothing to do", self.setup().stdout, "the second time")

    def test_a_user_without_sudo_is_told_what_to_ask_for(self):
        self.user(1000)
        done = self.setup("build")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^setup: installing packages needs root, and there is no sudo here; ask an "
                                      r"administrator to run: apt-get install g\+\+ cmake [^\n]*libcli11-dev[^\n]*\n$")

    def test_a_user_who_may_not_use_sudo(self):
        self.user(1000)
        self.stand_in("sudo", SUDO)
        (self.machine / "may-not-sudo").write_text("")
        done = self.setup("build")
        self.assertEqual(done.returncode, 1)
        self.assertIn("ask an administrator to run: apt-get install g++ cmake ", done.stderr)

    def test_a_user_with_sudo(self):
        self.user(1000)
        self.stand_in("sudo", SUDO)
        self.assertEqual(self.setup("build").returncode, 0)
        for call in self.calls():
            if call.startswith("apt-get"):
                self.assertIn(f"sudo {call}", "\n".join(self.calls()).replace(
                    "sudo env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 ", "sudo "))

    def test_no_network(self):
        (self.machine / "no-network").write_text("")
        done = self.setup("build")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no network); ask an administrator to run: apt-get install g++ cmake ", done.stderr)

    def test_a_server_that_cannot_be_had_costs_a_test(self):
        self.have_all()
        (self.machine / "no-network").write_text("")
        done = self.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        for server in ("nginx", "redis-server"):
            self.assertIn(f"setup: could not download {server} (no network?); the tests with {server} will be skipped, "
                          f"or ask an administrator to run: apt-get install {server}\n", done.stderr)
        self.assertEqual(os.listdir(self.machine / "tree/build/programs"), [])
        self.assertEqual(self.setup(CI="true").returncode, 1)

    def test_a_server_whose_libraries_cannot_be_had(self):
        self.have(self.packages())
        self.user(1000)
        done = self.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("ask an administrator to run: apt-get install libc6 libjemalloc2\n", done.stderr)
        self.assertIn("the tests with redis-server will be skipped", done.stderr)
        self.assertEqual(os.listdir(self.machine / "tree/build/programs"), [])

    def test_a_browser_that_cannot_be_had_costs_a_test(self):
        (self.machine / "no-browser").touch()
        done = self.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("setup: could not install a browser; the tests with chromium will be skipped", done.stderr)
        self.assertNotIn("chromium", (self.machine / "installed").read_text())
        in_ci = self.setup(CI="true")
        self.assertEqual(in_ci.returncode, 1)
        self.assertIn("setup: could not install a browser", in_ci.stderr)

    def test_databases_that_cannot_be_had_cost_a_test(self):
        self.have_all()
        (self.machine / "no-network").write_text("")
        done = self.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("setup: could not find PostgreSQL; the tests with postgresql will be skipped, or ask", done.stderr)
        self.assertIn("setup: could not fetch DuckDB with npm (no network?); the tests with @duckdb/node-api will be skipped, "
                      "or with network, run tools/setup again\n", done.stderr)

    def test_an_npm_that_is_there_is_used(self):
        self.have_all()
        self.stand_in("npm", NPM)
        self.stand_in("node", "#!/bin/sh\n")
        self.assertEqual(self.setup().returncode, 0)
        self.assertNotIn(" nodejs", "\n".join(self.calls()))
        self.assertRegex("\n".join(self.calls()), r"npm install [^\n]* @duckdb/node-api@\d")

    def test_a_tree_that_is_read_only(self):
        self.have_all()
        (self.machine / "tree/build").write_text("")  # root may write anywhere, but not below a file
        done = self.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"cannot write to \S*/tree/build/programs; the tests with nginx will be skipped")

    def test_another_distribution(self):
        (self.bin / "apt-get").unlink()
        done = self.setup()
        self.assertEqual(done.returncode, 1)
        self.assertIn("not a Debian or Ubuntu system; install the equivalents of what tools/setup --list", done.stderr)


if __name__ == "__main__":
    SETUP = sys.argv.pop(1)
    unittest.main(verbosity=2)
