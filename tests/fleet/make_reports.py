#!/usr/bin/python3
"""Made-up reports of a fleet whose truth is known: what tools/fleet answers about them can be checked.

usage: make_reports.py FOLDER [HOSTS]     104 reports of each host: four services, looked at every eight hours

Nothing is left to chance. `Fleet` says what is so; lines are only what heapscan would have written of it.
"""

import dataclasses
import datetime
import functools
import gzip
import json
import os
import pathlib
import subprocess
import sys

STEPS = 26
HOURS = 8  # between looks
BEGIN = datetime.datetime(2026, 3, 1)
MIB = 1 << 20
GIB = 1 << 30

ORDER = "00000000000000a1"  # leaks since the second build of the shop
SESSION = "00000000000000a2"
TEXT = "00000000000000a3"  # is gathered by some shops
INVOICE = "00000000000000a4"  # leaked by the third build
ENTRY = "00000000000000b1"  # of the cache, which grows on some hosts
REPORT_TEXT = "00000000000000c1"  # leaked by every report

SHOP_BUILDS = ("aa" * 20, "11" * 20, "77" * 20)  # in their order, which is none of the alphabet
OTHER_BUILDS = {"cache": "cc" * 20, "mail": "dd" * 20, "report": "ee" * 20}
FILLERS = 6


@dataclasses.dataclass(frozen=True)
class Group:
    id: str
    verdict: str
    label: str
    kind: str
    site: str
    bytes: int
    size: int = 96

    @property
    def lost(self):
        return self.bytes if self.verdict == "definite" else 0


@dataclasses.dataclass(frozen=True)
class Look:
    host: int
    unit: str
    program: str
    pid: int
    build: str
    step: int
    groups: tuple

    @property
    def host_name(self):
        return f"host{self.host:04}"

    @property
    def time(self):
        return BEGIN + datetime.timedelta(hours=HOURS * self.step, seconds=self.host)

    @property
    def in_use(self):
        return sum(group.bytes for group in self.groups)

    @property
    def lost(self):
        return sum(group.lost for group in self.groups)

    @property
    def limit(self):
        """Name, limit, and how much of it is used."""
        if self.program == "cache":
            return "cgroup /system.slice/cache.service", GIB, self.in_use + 100 * MIB
        return "the machine", 16 * GIB, 8 * GIB + self.host * MIB


def build_of_shop(host, step):
    """Which build, and since which step: it is rolled out in waves."""
    second, third = 8 + host % 3, 16 + host % 5
    return (2, third) if step >= third else (1, second) if step >= second else (0, 0)


def fillers(program):
    return [Group(f"{i:x}{hash_of(program):015x}", "reachable", f"unknown type ({64 + 8 * i} B)", "", "", 4096 * (i + 1))
            for i in range(FILLERS)]


def hash_of(word):
    return functools.reduce(lambda sum_, letter: (sum_ * 257 + ord(letter)) % (1 << 60), word, 0)


def shop(host, step):
    build, since = build_of_shop(host, step)
    age = step - since
    groups = [Group(SESSION, "reachable", "struct session", "likeness", "", MIB * (1 + host % 3))]
    if host % 3 == 0:
        groups.append(Group(TEXT, "reachable", "text", "content", "", 512 * (1 + age)))
    if build >= 1:
        groups.append(Group(ORDER, "reachable", "struct order", "pointed", "order_new+0x2c (order.c:88)", 9600))
        if host % 10 != 0 and age > 0:
            groups.append(Group(ORDER, "definite", "struct order", "pointed", "order_new+0x2c (order.c:88)",
                                96 * (10 + host % 7) * age))
    if build == 2:
        groups.append(Group(INVOICE, "definite", "Invoice", "vtable", "", 4096))
    return Look(host, "shop.service", "shop", 1000 + build, SHOP_BUILDS[build], step, tuple(groups + fillers("shop")))


def cache(host, step):
    entry = Group(ENTRY, "reachable", "struct entry", "likeness", "", 64 * MIB + (65536 * step if host % 4 == 0 else 0))
    return Look(host, "cache.service", "cache", 2000, OTHER_BUILDS["cache"], step, tuple([entry] + fillers("cache")))


def mail(host, step):
    return Look(host, "mail.service", "mail", 3000, OTHER_BUILDS["mail"], step, ())


def report(host, step):
    text = Group(REPORT_TEXT, "definite", "text", "content", "", 4096 * (1 + host % 2))
    return Look(host, f"docker-{host:012x}", "report", 4000 + step, OTHER_BUILDS["report"], step, (text,))


class Fleet:
    def __init__(self, hosts):
        self.hosts = hosts

    def looks_of(self, host):
        for step in range(STEPS):
            for service in (shop, cache, mail, report):
                # From the middle on some hosts are not looked at any more.
                if host % 50 != 7 or step < STEPS // 2:
                    yield service(host, step)

    def looks(self):
        for host in range(self.hosts):
            yield from self.looks_of(host)


def lines_of(look):
    known = {"host": look.host_name, "unit": look.unit, "program": look.program, "command": look.program, "pid": look.pid,
             "executable": f"/usr/bin/{look.program}", "build_id": look.build,
             "captured_at": (look.time - datetime.datetime(1970, 1, 1)).total_seconds()}
    no_growth = {"growth_bytes": None, "growth_blocks": None, "growth_bytes_per_minute": None,
                 "growth_blocks_per_minute": None, "seconds": None}
    name, limit, used = look.limit
    lost = [group for group in look.groups if group.lost]
    yield {"schema": "heapscan.process/1", **known, "kind": "live", "heapscan": "0.1.0", "pause_seconds": 0.012,
           "rss_bytes": look.in_use + 20 * MIB, "mapped_bytes": look.in_use + 80 * MIB, "free_bytes": MIB,
           "lost_mapping_bytes": 0, "in_use_bytes": look.in_use,
           "in_use_blocks": sum(group.bytes // group.size for group in look.groups), "lost_bytes": look.lost,
           "lost_blocks": sum(group.bytes // group.size for group in lost), "possible_bytes": 0, "suppressed_bytes": 0,
           "limit_name": name, "limit_bytes": limit, "limit_used_bytes": used, **no_growth, "groups": len(look.groups),
           "groups_left_out": 0, "modules": [{"name": "libc.so.6", "build_id": "ab" * 20}]}
    for group in look.groups:
        yield {"schema": "heapscan.groups/1", **known, "id": group.id, "verdict": group.verdict, "label": group.label,
               "kind": group.kind or None, "site": group.site or None, "bytes": group.bytes,
               "blocks": group.bytes // group.size, "indirect_bytes": 0, "lost_bytes": group.lost, **no_growth}


def write_reports(fleet, folder):
    """A file for each host, packed in one of the ways in which files may be."""
    counts = {"looks": 0, "groups": 0}
    for host in range(fleet.hosts):
        text = []
        for look in fleet.looks_of(host):
            counts["looks"] += 1
            counts["groups"] += len(look.groups)
            text += [json.dumps(line, separators=(",", ":")) + "\n" for line in lines_of(look)]
        whole = "".join(text).encode()
        path = pathlib.Path(folder) / f"host{host:04}.jsonl"
        if host % 20 == 1:
            path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(whole, 1))
        elif host % 20 == 2:
            subprocess.run(["zstd", "-q", "-1", "-o", f"{path}.zst"], input=whole, check=True)
        else:
            path.write_bytes(whole)
    return counts


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    print(write_reports(Fleet(int(sys.argv[2]) if len(sys.argv) > 2 else 1000), sys.argv[1]))
