#!/usr/bin/python3
"""Real servers under load: that `watch` confirms no leak where there is none, and that `diff` finds one soon.

usage: watch_servers.py --heapscan PROGRAM [OPTIONS] healthy [SERVER...]
       watch_servers.py --heapscan PROGRAM --preload LIBRARY [OPTIONS] leaks [SERVER...]

healthy: each server is watched under load for --seconds (1800); a line of figures each. Exit code 1 if anything was
confirmed to be leaked.
leaks: one call in --one-in (100) of one free() of the server is left out, of another site in each of --runs (10). A look
every --look-every (15) seconds is compared with one made before, until the group to which most of the blocks belong that
were not freed comes first, and half of its growth or more is theirs. --one-size: only sites that free blocks of one
size; in Python many sites free objects of all kinds. Exit code 1 if that took longer than --seconds (300)
in any run.
Either begins when the server has answered as often as it is asked in --warm-up (20) seconds; time between looks is
counted in answers, too. --in-short: in some seconds, for a test that it works.

Servers: nginx, python, mosquitto; those that are not installed are left out, and said to be. Exit code 77 when none is, or
when no process may be traced.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from heapscan_cli import why_ptrace_is_refused

OPTIONS = argparse.Namespace()
PATIENCE = 30
PRINT = threading.Lock()


def say(text):
    with PRINT:
        print(text, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def receive_all(connection):
    while connection.recv(65536):
        pass


class Server:
    """A server process of its own, with its folder and port, and the load it is under."""

    name = ""
    program = ""
    per_second = 50
    ready_text = ""  # what it says when it listens

    def __init__(self, folder, environment):
        self.folder = folder
        self.port = free_port()
        self.done = 0
        self.answered = threading.Condition()
        self.stopping = threading.Event()
        self.listens = False
        self.spoke = threading.Event()  # that it listens, or for the last time
        self.prepare()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, cwd=folder,
                                        env={**os.environ, **self.environment(), **environment})
        self.reader = threading.Thread(target=self.read_output)
        self.threads = [threading.Thread(target=self.keep_asking, args=(number,)) for number in range(2)]
        self.reader.start()
        if not self.spoke.wait(PATIENCE) or not self.listens:
            self.end()
            raise AssertionError(f"{self.name} does not say that it listens")
        for thread in self.threads:
            thread.start()

    def environment(self):
        return {}

    def prepare(self):
        pass

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def read_output(self):
        """To its end, so that the server never waits for us."""
        for line in self.process.stdout:
            if self.ready_text in line:
                self.listens = True
                self.spoke.set()
        self.spoke.set()

    def wait_for_load(self, seconds):
        """Until it has answered as often as it is asked in so many seconds."""
        with self.answered:
            wanted = self.done + seconds * self.per_second
            while self.done < wanted:
                so_far = self.done
                if not self.answered.wait_for(lambda: self.done > so_far, PATIENCE):
                    raise AssertionError(f"{self.name} answers no more")

    def keep_asking(self, number):
        due = time.monotonic()
        while not self.stopping.is_set():
            due = max(due + len(self.threads) / self.per_second, time.monotonic() - 1)
            self.stopping.wait(max(0, due - time.monotonic()))
            with contextlib.suppress(OSError):
                self.ask(number)
                with self.answered:
                    self.done += 1
                    self.answered.notify_all()

    def end(self):
        self.stopping.set()
        for thread in self.threads:
            if thread.ident is not None:
                thread.join()
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()

    def get(self, path, *headers):
        with self.connect() as connection:
            lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
            connection.sendall("\r\n".join(lines).encode())
            receive_all(connection)


class Nginx(Server):
    name, program, per_second, ready_text = "nginx", "nginx", 150, "event method"

    def prepare(self):
        (self.folder / "www").mkdir()
        (self.folder / "www" / "page.html").write_text("<p>" + "text " * 4000, encoding="utf-8")
        (self.folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {self.folder}/pid; error_log stderr notice;
events {{ worker_connections 256; }}
http {{
  access_log off; gzip on; gzip_types text/html; default_type text/html;
  client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p; fastcgi_temp_path {self.folder}/f;
  uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  server {{
    listen 127.0.0.1:{self.port};
    root {self.folder}/www;
    location /proxied/ {{ proxy_pass http://127.0.0.1:{self.port}/; }}
  }}
}}""", encoding="utf-8")

    def command(self):
        return [shutil.which(self.program), "-p", str(self.folder), "-e", "stderr", "-c", str(self.folder / "nginx.conf")]

    def ask(self, number):
        path = ("/page.html", "/proxied/page.html", "/missing")[self.done % 3]
        self.get(path, *(["Accept-Encoding: gzip"] if number else []))


class Python(Server):
    name, program, per_second, ready_text = "python", "/usr/bin/python3", 50, "listening"

    def prepare(self):
        (self.folder / "page.html").write_text("<p>" + "text " * 400, encoding="utf-8")
        (self.folder / "serve.py").write_text("""
import http.server, json, sys, urllib.parse
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.answer = json.dumps({"asked": query, "headers": dict(self.headers)})
        super().do_GET()
    def log_message(self, *arguments): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
""", encoding="utf-8")

    def environment(self):
        return {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}

    def command(self):
        return [self.program, "serve.py", str(self.port)]

    def ask(self, number):
        self.get(f"/{('page.html', 'missing')[self.done % 2]}?user={self.done % 100}&from={number}")


class Mosquitto(Server):
    name, program, per_second, ready_text = "mosquitto", "mosquitto", 150, " running"

    def prepare(self):
        (self.folder / "conf").write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nlog_dest stderr\nlog_type information\n",
                                          encoding="utf-8")

    def command(self):
        return [shutil.which(self.program), "-c", "conf"]

    def ask(self, number):
        """A client that subscribes to a topic, publishes to it, is sent that, and goes."""
        def text(value):
            return struct.pack(">H", len(value)) + value.encode()

        def packet(kind, body):
            return bytes([kind, 0x80 | len(body) % 128, len(body) // 128]) + body

        topic = f"house/{number}/room/{self.done % 50}"
        with self.connect() as connection:
            connection.sendall(packet(0x10, text("MQTT") + bytes([4, 2, 0, 60]) + text(f"client-{number}-{self.done}"))
                               + packet(0x82, b"\x00\x01" + text(topic) + b"\x01")
                               + packet(0x32, text(topic) + b"\x00\x02" + b"temperature " * 20)
                               + packet(0xe0, b"")[:1] + b"\x00")
            receive_all(connection)


SERVERS = {server.name: server for server in (Nginx, Python, Mosquitto)}


@contextlib.contextmanager
def running(kind, **environment):
    with tempfile.TemporaryDirectory(prefix="heapscan-servers-") as name:
        server = kind(pathlib.Path(name), environment)
        try:
            yield server
        finally:
            server.end()


def heapscan(*words):
    done = subprocess.run([OPTIONS.heapscan, *[str(word) for word in words]], capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise AssertionError(f"heapscan {' '.join(str(word) for word in words)}: {done.stderr}")
    return json.loads(done.stdout) if "json" in words else None


# ---- healthy ---------------------------------------------------------------------------------------


def watch_healthy(kind):
    with running(kind) as server:
        server.wait_for_load(OPTIONS.warm_up)  # what a server makes once is made by then
        asked = server.done
        interval = min(5, OPTIONS.seconds / 12)
        count = 1 + round(OPTIONS.seconds / interval)
        watch = subprocess.run([OPTIONS.heapscan, "watch", str(server.process.pid), str(interval), str(count), "--every", "6",
                                "--format", "json", "-q"], stdout=subprocess.PIPE, text=True, check=False)
        report = json.loads(watch.stdout.splitlines()[-1])
        changes = report["changes"]
        total = changes["total"]
        rate = report["rate"]
        say(f"{kind.name}: {report['seconds']:.0f} s, {server.done - asked} requests, {report['samples']} samples, "
            f"{report['looks']} looks, stopped for {report['stopped']['seconds'] * 1e3:.0f} ms in all, "
            f"{report['stopped']['longest'] * 1e3:.1f} ms at most; resident {report['first']['rss_bytes'] >> 10} -> "
            f"{report['latest']['rss_bytes'] >> 10} KiB; {total['after']['blocks']} blocks; confirmed "
            f"{total['confirmed']['blocks']}, newly lost {total['newly_lost']['blocks']}; growing groups "
            f"{[(g['label'], g['growth_bytes']) for g in changes['groups'][:3]]}; rate "
            f"{rate and [round(rate[key] * 60) for key in ('low', 'high')]} bytes a minute; exit code {watch.returncode}")
        return total["confirmed"]["blocks"] == 0


# ---- leaks -----------------------------------------------------------------------------------------

FRAMES, SITES, MOST_SKIPPED = 4, 4096, 1 << 16  # as in skip_frees.c
HEADER, SITE, BLOCK = struct.Struct("<4Q"), struct.Struct("<4Q4Q"), struct.Struct("<2Q")
TURNED = (1 << 64) - 1


class Skipping:
    """The file through which skip_frees.c is told what to leave out, and tells what it has."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(b"")
        os.truncate(path, HEADER.size + SITES * SITE.size + MOST_SKIPPED * BLOCK.size)

    def read(self, offset, form, count):
        with open(self.path, "rb") as file:
            file.seek(offset)
            return list(form.iter_unpack(file.read(form.size * count)))

    def sites(self):
        """hash -> (calls, bytes, size or 1)"""
        return {site[0]: site[1:4] for site in self.read(HEADER.size, SITE, SITES) if site[0]}

    def choose(self, site, one_in):
        with open(self.path, "r+b") as file:
            file.seek(8)
            file.write(struct.pack("<Q", one_in))
            file.flush()
            file.seek(0)
            file.write(struct.pack("<Q", site))

    def skipped(self):
        """address -> bytes"""
        count = min(self.read(0, HEADER, 1)[0][3], MOST_SKIPPED)
        return {address ^ TURNED: size for address, size in self.read(HEADER.size + SITES * SITE.size, BLOCK, count)}


def choose_site(skipping, server, run, window):
    """The run-th of the sites that were called most often, with calls a second and bytes a call."""
    before = skipping.sites()
    asked = server.done
    began = time.monotonic()
    server.wait_for_load(window)
    after = skipping.sites()
    window = time.monotonic() - began
    rates = []
    for site, (calls, size, only_size) in after.items():
        was = before.get(site, (0, 0, 0))
        often = calls - was[0] >= 5 * window and calls - was[0] >= (server.done - asked) / 4
        if often and (only_size > 1 or not OPTIONS.one_size):
            rates.append(((calls - was[0]) / window, (size - was[1]) / (calls - was[0]), site))
    if not rates:
        raise AssertionError(f"{server.name} frees nothing often enough")
    rates.sort(reverse=True)
    return rates[run % len(rates)]


def is_first(before, after, skipped):
    """Whether the group of the skipped blocks comes first and grew by them; and what came first."""
    groups = heapscan("diff", before, after, "--format", "json")["groups"]
    if not groups or groups[0]["growth_bytes"] <= 0:
        return False, "nothing grew"
    listed = heapscan("core", after, "--kinds", "definite,possible,indirect,reachable", "--blocks", "all", "-n", 0,
                      "--format", "json")
    sums, verdicts = {}, {}
    for block in listed["blocks"]:
        size = skipped.get(int(block["address"], 16))
        if size is not None:
            sums[block["cluster"]] = sums.get(block["cluster"], 0) + size
            verdicts[block["verdict"]] = verdicts.get(block["verdict"], 0) + 1
    first = groups[0]
    text = f"{first['label']} +{first['growth_bytes']} B, of them not freed {sums.get(first['id'], 0)}, of {len(sums)} groups; {verdicts}"
    most = max(sums, key=sums.get, default=None)
    return most == first["id"] and 2 * sums[most] >= first["growth_bytes"], text


def leak_once(kind, run):
    with tempfile.TemporaryDirectory(prefix="heapscan-skipping-") as name:
        folder = pathlib.Path(name)
        skipping = Skipping(folder / "frees")
        with running(kind, SKIP_FREES=str(skipping.path), LD_PRELOAD=str(pathlib.Path(OPTIONS.preload).resolve())) as server:
            pid = server.process.pid
            server.wait_for_load(OPTIONS.warm_up)
            rate, size, site = choose_site(skipping, server, run, OPTIONS.look_every / 3)
            heapscan("snapshot", pid, "-o", folder / "before", "-q")
            skipping.choose(site, OPTIONS.one_in)
            began = time.monotonic()
            after = folder / "after"
            while True:
                server.wait_for_load(OPTIONS.look_every)
                heapscan("snapshot", pid, "-o", after, "-q", "--force")
                took = time.monotonic() - began
                found, text = is_first(folder / "before", after, skipping.skipped())
                if found or took > OPTIONS.seconds:
                    break
            say(f"{kind.name}, run {run + 1}: {rate:.0f} frees a second of {size:.0f} B; {len(skipping.skipped())} left out; "
                f"{'first after' if found else 'NOT first after'} {took:.0f} s: {text}")
            return found


def leak_often(kind):
    return all([leak_once(kind, run) for run in range(OPTIONS.runs)])


def on_each_server(names, judge):
    """{name: what judge(server) returns, None when it fails} of those that are installed, side by side."""
    results = {}

    def run(kind):
        results[kind.name] = None
        results[kind.name] = judge(kind)

    threads = []
    for name in names or SERVERS:
        if shutil.which(SERVERS[name].program):
            threads.append(threading.Thread(target=run, args=(SERVERS[name],)))
        else:
            say(f"{name}: not installed")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--heapscan", required=True)
    parser.add_argument("--preload")
    parser.add_argument("what", choices=["healthy", "leaks"])
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--one-in", type=int, default=100)
    parser.add_argument("--look-every", type=float, default=15)
    parser.add_argument("--one-size", action="store_true")
    parser.add_argument("--in-short", action="store_true")
    parser.add_argument("--warm-up", type=float, default=20)
    parser.add_argument("servers", nargs="*", default=list(SERVERS))
    parser.parse_args(namespace=OPTIONS)
    if OPTIONS.in_short:
        OPTIONS.seconds, OPTIONS.warm_up, OPTIONS.look_every = {"healthy": 3, "leaks": 60}[OPTIONS.what], 2, 3
        OPTIONS.runs, OPTIONS.one_in = 1, 2
    OPTIONS.seconds = OPTIONS.seconds or {"healthy": 1800, "leaks": 300}[OPTIONS.what]
    if why := why_ptrace_is_refused():
        say(why)
        return 77
    results = on_each_server(OPTIONS.servers, watch_healthy if OPTIONS.what == "healthy" else leak_often)
    if not results:
        return 77
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
