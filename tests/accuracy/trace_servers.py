#!/usr/bin/python3
"""Real servers that lose what one of their stacks allocates: that `trace` names exactly that stack.

usage: trace_servers.py --heapscan PROGRAM --preload LIBRARY [OPTIONS] [SERVER...]

In each of --runs (10) another stack of those that allocate most often is chosen, and one block in --one-in (10) of its
blocks is never freed. `trace` records while the server answers as often as it is asked in --seconds (10). The first
stack of its report has to be the chosen one, call by call, as far as the preloaded library has walked it (10 calls, its
own included). Where words that the server has forgotten still lead to the blocks (nginx never clears its pools), they
are called reachable, and the line says so.

Servers: nginx, python, mosquitto; those that are not installed are left out, and said to be. Exit code 77 when none is, or
when no process may be traced; 1 when a stack was not found.
"""

import argparse
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time

import watch_servers
from watch_servers import PATIENCE, SERVERS, on_each_server, running, say

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from trace_test import why_probes_are_refused

OPTIONS = argparse.Namespace()
FRAMES, SITES, MARKED = 10, 4096, 1 << 16  # as in lose_allocations.c
HEADER, SITE = struct.Struct("<4Q"), struct.Struct(f"<4Q{FRAMES}Q")
TURNED = (1 << 64) - 1


class Losing:
    """The file through which lose_allocations.c is told what to lose, and tells who allocates."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(b"")
        os.truncate(path, HEADER.size + SITES * SITE.size + MARKED * 8)

    def sites(self):
        """hash -> (calls, bytes, size or 1, return addresses)"""
        with open(self.path, "rb") as file:
            file.seek(HEADER.size)
            sites = SITE.iter_unpack(file.read(SITE.size * SITES))
        return {site[0]: (*site[1:4], [frame ^ TURNED for frame in site[4:] if frame not in (0, TURNED)])
                for site in sites if site[0]}

    def choose(self, site, one_in):
        with open(self.path, "r+b") as file:
            file.seek(8)
            file.write(struct.pack("<Q", one_in))
            file.flush()
            file.seek(0)
            file.write(struct.pack("<Q", site))

    def lost(self):
        with open(self.path, "rb") as file:
            return HEADER.unpack(file.read(HEADER.size))[3]


def choose_stack(losing, server, run):
    """The run-th of those that allocate most often: its hash, calls a second and return addresses."""
    before = losing.sites()
    began = time.monotonic()
    asked = server.done
    server.wait_for_load(OPTIONS.seconds / 2)
    window = time.monotonic() - began
    rates = []
    for site, (calls, _, _, frames) in losing.sites().items():
        more = calls - before.get(site, (0,))[0]
        if more >= 5 * window and more >= (server.done - asked) / 4:
            rates.append((more / window, site, frames))
    if not rates:
        raise AssertionError(f"{server.name} allocates nothing often enough")
    rates.sort(reverse=True)
    return rates[run % len(rates)]


def library_range(pid, name):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        lines = [line.split()[0].split("-") for line in maps if line.rstrip().endswith("/" + name)]
    return range(int(lines[0][0], 16), int(lines[-1][1], 16))


def trace_once(kind, run):
    library = pathlib.Path(OPTIONS.preload).resolve()
    with tempfile.TemporaryDirectory(prefix="heapscan-losing-") as name:
        losing = Losing(pathlib.Path(name) / "allocations")
        with running(kind, LOSE_ALLOCATIONS=str(losing.path), LD_PRELOAD=str(library)) as server:
            server.wait_for_load(OPTIONS.warm_up)
            rate, site, frames = choose_stack(losing, server, run)
            own = library_range(server.process.pid, library.name)
            tracing = subprocess.Popen([OPTIONS.heapscan, "trace", str(server.process.pid), "600", "--format", "json"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            line = tracing.stderr.readline()
            if "tracing pid" not in line:
                raise AssertionError(line + tracing.stderr.read())
            losing.choose(site, OPTIONS.one_in)
            began = server.done
            server.wait_for_load(OPTIONS.seconds)
            tracing.send_signal(signal.SIGTERM)
            out, err = tracing.communicate(timeout=10 * PATIENCE)
            lost = losing.lost()
            asked = server.done - began
        if tracing.returncode > 1:
            raise AssertionError(err)
        report = json.loads(out)
        wanted = [frame for frame in frames if frame not in own]
        first = report["stacks"][0]
        found = [int(frame["address"], 16) + 1 for frame in first["frames"] if not frame["inlined"]]
        found = [frame for frame in found if frame not in own]
        exact = found[:len(wanted)] == wanted
        is_lost = first["definite"]["blocks"] + first["indirect"]["blocks"] > 0
        names = [frame["function"] or f"{pathlib.Path(frame['module'] or '?').name}+{frame['module_address']}"
                 for frame in first["frames"] if not frame["inlined"] and int(frame["address"], 16) not in own]
        say(f"{kind.name}, run {run + 1}: {rate:.0f} allocations a second, {lost} blocks lost, {asked} requests: "
            f"{'NOT FOUND' if not exact else 'exact' if is_lost else 'exact, but its blocks are held by something'}; first stack: {first['definite']['blocks']} definite, "
            f"{first['indirect']['blocks']} indirect, {first['possible']['blocks']} possible, "
            f"{first['reachable']['blocks']} reachable, {first['freed']['blocks']} freed: {' < '.join(names[:4])}; "
            f"1 address of {report['one_in']}, {report['calls']} calls, {report['lost_records']} not recorded, "
            f"slowdown {report['overhead']['slowdown'] or 0:.2f}")
        if not exact:
            for stack in report["stacks"][:5]:
                say(f"    {stack['definite']} {[frame['function'] for frame in stack['frames'][:6]]}")
        return exact


def trace_often(kind):
    exact = sum(trace_once(kind, run) for run in range(OPTIONS.runs))
    say(f"{kind.name}: exact in {exact} of {OPTIONS.runs} runs")
    return exact == OPTIONS.runs


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--heapscan", required=True)
    parser.add_argument("--preload", required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--one-in", type=int, default=10)
    parser.add_argument("--warm-up", type=float, default=5)
    parser.add_argument("servers", nargs="*", default=list(SERVERS))
    parser.parse_args(namespace=OPTIONS)
    if why := why_probes_are_refused():
        say(why)
        return 77
    results = on_each_server(OPTIONS.servers, trace_often)
    if not results:
        return 77
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
