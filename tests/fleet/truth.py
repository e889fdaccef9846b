"""What tools/fleet must answer about a made-up fleet, worked out from the fleet itself and not from its lines.

Each function answers one question: the names of the columns, and rows of text as the tool prints them (null: None).
"""

import collections
import datetime

import make_reports

SITE = "order_new+0x2c (order.c:88)"
WEEK = datetime.timedelta(days=7)
DAY = datetime.timedelta(days=1)


def text_of(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def rows_of(rows):
    return [[text_of(value) for value in row] for row in rows]


def kinds_of(look):
    """id -> (label, site, bytes, blocks, lost), whatever the verdict."""
    kinds = {}
    for group in look.groups:
        _, _, size, blocks, lost = kinds.get(group.id, ("", "", 0, 0, 0))
        kinds[group.id] = (group.label, group.site or None, size + group.bytes, blocks + group.bytes // group.size,
                           lost + group.lost)
    return kinds


class Truth:
    def __init__(self, fleet):
        self.processes = collections.defaultdict(list)  # looks at each, in their order
        for look in fleet.looks():
            self.processes[look.host, look.unit, look.program, look.pid, look.build].append(look)
        self.looks = [look for looks in self.processes.values() for look in looks]
        self.newest = max(look.time for look in self.looks)

    def first_seen(self):
        seen = {}
        for look in self.looks:
            key = look.program, look.build
            seen[key] = min(seen.get(key, look.time), look.time)
        return seen

    def latest(self):
        """The newest look at each process of the last day."""
        return [looks[-1] for looks in self.processes.values() if looks[-1].time >= self.newest - DAY]

    def builds(self, rows):
        found = []
        for (program, build), first in self.first_seen().items():
            looks = [look for look in self.looks if (look.program, look.build) == (program, build)]
            found.append([program, build, first, max(look.time for look in looks), len(looks),
                          len({look.host for look in looks})])
        return rows_of(sorted(found, key=lambda row: (row[0], row[2], row[1]))[:rows])

    def grew_since_build(self, build, rows):
        seen = self.first_seen()
        program = next(program for program, known in seen if known == build)
        growth = collections.Counter()
        names = {}
        for (host, _, of, _, own_build), looks in self.processes.items():
            if of != program or seen[of, own_build] < seen[program, build] or len(looks) < 2:
                continue
            for look, sign in ((looks[0], -1), (looks[-1], 1)):
                for id_, (label, site, size, _, _) in kinds_of(look).items():
                    growth[id_, host] += sign * size
                    names[id_] = (label, site)
        found = []
        for id_, (label, site) in names.items():
            grown = [size for (of, _), size in growth.items() if of == id_ and size > 0]
            if grown:
                found.append([program, id_, label, site, len(grown), sum(grown), max(grown)])
        return rows_of(sorted(found, key=lambda row: (-row[4], -row[5], row[1]))[:rows])

    def growing(self, rows):
        sums = {}
        for looks in self.processes.values():
            recent = [look for look in looks if look.time >= self.newest - DAY]
            if len(recent) < 2:
                continue
            first, last = kinds_of(recent[0]), kinds_of(recent[-1])
            seconds = int((recent[-1].time - recent[0].time).total_seconds())
            for id_ in first | last:
                label, site, size, _, lost = last.get(id_, (*first[id_][:2], 0, 0, 0) if id_ in first else None)
                growth = size - (first[id_][2] if id_ in first else 0)
                if growth <= 0:
                    continue
                row = sums.setdefault((recent[0].program, id_), [label, site, set(), 0, 0, 0])
                row[2].add(recent[0].host)
                row[3] += growth
                row[4] += growth * 3600 // seconds
                row[5] += max(lost, first[id_][4] if id_ in first else 0)
        found = [[program, id_, label, site, len(hosts), *numbers]
                 for (program, id_), (label, site, hosts, *numbers) in sums.items()]
        return rows_of(sorted(found, key=lambda row: (-row[6], row[0], row[1]))[:rows])

    def first_build(self, id_):
        order = sorted(self.first_seen().items(), key=lambda item: item[1])
        met = [look for look in self.looks if kinds_of(look).get(id_, (0, 0, 0))[2] > 0]
        found = []
        for program in sorted({look.program for look in met}):
            builds = [build for (of, build), _ in order if of == program]
            first = next(build for build in builds if any(look.build == build for look in met if look.program == program))
            looks = [look for look in met if (look.program, look.build) == (program, first)]
            place = builds.index(first)
            found.append([program, kinds_of(looks[0])[id_][0], first, self.first_seen()[program, first],
                          min(look.time for look in looks), len({look.host for look in looks}),
                          max(kinds_of(look)[id_][4] for look in looks), builds[place - 1] if place > 0 else None])
        return rows_of(found)

    def top_owners(self, rows):
        sums = {}
        for look in self.latest():
            for id_, (label, site, size, blocks, lost) in kinds_of(look).items():
                sums.setdefault((look.program, id_), [label, site, set(), 0, 0, 0, 0])
                row = sums[look.program, id_]
                row[2].add(look.host)
                for i, more in enumerate((1, size, blocks, lost)):
                    row[3 + i] += more
        found = [[program, id_, label, site, len(hosts), *numbers]
                 for (program, id_), (label, site, hosts, *numbers) in sums.items()]
        return rows_of(sorted(found, key=lambda row: (-row[6], row[0], row[1]))[:rows])

    def lost_by_unit(self, rows):
        hosts = collections.defaultdict(lambda: [0, 0])
        for look in self.latest():
            unit = "containers" if look.unit.startswith("docker-") else look.unit
            hosts[unit, look.program, look.host_name][0] += look.lost
            hosts[unit, look.program, look.host_name][1] += look.in_use
        found = []
        for unit, program in {key[:2] for key in hosts}:
            mine = {host: sums for (of, _, host), sums in hosts.items() if of == unit}
            most = max(lost for lost, _ in mine.values())
            found.append([unit, program, len(mine), sum(lost > 0 for lost, _ in mine.values()),
                          sum(lost for lost, _ in mine.values()), sum(used for _, used in mine.values()), most,
                          min(host for host, (lost, _) in mine.items() if lost == most) if most > 0 else None])
        return rows_of(sorted(found, key=lambda row: (-row[4], row[0]))[:rows])

    def nearest_limit(self, rows):
        limits = collections.defaultdict(list)
        for look in self.looks:
            if look.time >= self.newest - DAY:
                limits[look.host_name, look.limit[0]].append(look)
        found = []
        for (host, name), looks in limits.items():
            times = [look.time for look in looks]
            at_first = [look.limit[2] for look in looks if look.time == min(times)]
            at_last = [look.limit for look in looks if look.time == max(times)]
            limit, used = at_last[0][1], max(used for _, _, used in at_last)
            growth = used - max(at_first)
            seconds = (max(times) - min(times)).total_seconds()
            left = int((limit - used) * seconds / growth / 3600) if growth > 0 else None
            largest = min((-look.in_use, look.program) for look in looks)[1]
            found.append([host, name, used * 100 // limit, limit - used, left, largest, -used / limit])
        found.sort(key=lambda row: (row[-1], *row[:2]))
        return rows_of([row[:-1] for row in found[:rows]])

    def new_groups(self, rows):
        since = self.newest - WEEK
        known = {look.program for look in self.looks if look.time < since}
        met = {}
        for look in sorted(self.looks, key=lambda look: look.time):
            for id_, (label, site, size, _, lost) in kinds_of(look).items():
                row = met.setdefault((look.program, id_), [label, site, look.time, set(), 0, 0, look.build])
                row[3].add(look.host)
                row[4] = max(row[4], size)
                row[5] = max(row[5], lost)
        found = [[program, id_, label, site, first, len(hosts), size, lost, build]
                 for (program, id_), (label, site, first, hosts, size, lost, build) in met.items()
                 if first >= since and program in known]
        return rows_of(sorted(found, key=lambda row: (-row[7], -row[5], row[0], row[1]))[:rows])

    def unseen(self, rows):
        last = {}
        for look in self.looks:
            key = look.host_name, look.unit, look.program
            last[key] = max(last.get(key, look.time), look.time)
        found = [[*key, time] for key, time in last.items() if time < self.newest - DAY]
        return rows_of(sorted(found, key=lambda row: (row[3], *row[:3]))[:rows])


def what_is_asked(truth, rows):
    """(question, its words, the answer) of every question."""
    many = (f"rows={rows}",)
    shop = make_reports.SHOP_BUILDS
    yield "builds", many, truth.builds(rows)
    for build in shop:
        yield "grew-since-build", (f"build={build}", *many), truth.grew_since_build(build, rows)
    yield "growing", many, truth.growing(rows)
    for id_ in (make_reports.ORDER, make_reports.INVOICE, make_reports.SESSION, make_reports.TEXT, "ffffffffffffffff"):
        yield "first-build", (f"id={id_}",), truth.first_build(id_)
    yield "top-owners", many, truth.top_owners(rows)
    yield "lost-by-unit", many, truth.lost_by_unit(rows)
    yield "nearest-limit", many, truth.nearest_limit(rows)
    yield "new-groups", many, truth.new_groups(rows)
    yield "unseen", many, truth.unseen(rows)
