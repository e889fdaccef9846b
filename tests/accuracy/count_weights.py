#!/usr/bin/python3
"""Counts what each sign that speaks for or against a type weighs, and writes it into a table.

Of every group of lost blocks whose type the truth knows, count_signs says which signs its blocks
show of that type, and of all others of the same size that nothing contradicts. A sign's weight is

  10 * log2(share of members that show it, of the true type / the same of the other types)

tenths of a bit, among members of the kinds that can show it and say something at all. Every group
counts once, and so do all other types of a group together; a member that is one of many of its kind
in its type counts less. Both shares start with PRIOR observations that are alike, so that what was
seldom seen weighs little.

    count_weights.py --counter COUNT_SIGNS --header src/identify/weights.h WORK/development/*

prints the table: each sign's weight by hand, counted, how many groups showed it, and the least and
the most that is counted when one of the programs is left out. --write puts what is counted into the
rows of the header that say `counted`; --without PROGRAM leaves one out.
"""
import argparse
import math
import pathlib
import re
import subprocess
import sys
from collections import Counter, defaultdict
from typing import NamedTuple

from evaluate import read_truth
from labels import is_same_type

PRIOR = 2  # observations
MOST_MEMBERS = 4  # of one kind in a type that count one each
FEWEST_TYPED = 0.9  # of a group's samples, with one type

# Zeros are zero for every type of that size; a contradiction is no matter of weight.
SAYS_NOTHING = {"Nothing", "Contradicts", "ZeroNumber", "NoCharacter", "EmptyText", "NullPointer"}
ROW = re.compile(r"^(\s*Weight\{Sign::(\w+), )(-?\d+)(, (\d)\},)(.*)$", re.M)


class Group(NamedTuple):
    """Both {(kind of members or "prior", sign): how much}: of the true type, of the others."""
    program: str
    true: Counter
    other: Counter


# ---- reading ------------------------------------------------------------------------------------


def read_groups(lines, names):
    """[(addresses, [(place, type, Counter or None when contradicted)])]; names: of signs."""
    groups = []
    for line in lines:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "group":
            groups.append(([int(address, 16) for address in rest.split()], []))
        elif word == "type":
            place, _, name = rest.partition(" ")
            groups[-1][1].append([int(place), name, Counter()])
        elif word == "out":
            groups[-1][1][-1][2] = None
        elif word == "sign":
            kind, members, sign, share = rest.split()
            weight = min(1, MOST_MEMBERS / max(float(members), 1))
            groups[-1][1][-1][2][kind, names[int(sign)]] += float(share) * weight
        elif word == "prior":
            groups[-1][1][-1][2]["prior", names[int(rest)]] = 1
    return groups


def true_name(addresses, truth):
    """The type that nearly all of the blocks have; None when there is none."""
    known = Counter(truth[a].type for a in addresses if a in truth)
    name, count = known.most_common(1)[0] if known else (None, 0)
    return name if name and count >= FEWEST_TYPED * len(addresses) else None


def split(types, name):
    """The signs of the true type, and the mean of those of the others; None where either lacks."""
    places = {place for place, said, _ in types if is_same_type(said, name)}
    true = [signs for place, _, signs in types if place in places and signs is not None]
    other = [signs for place, _, signs in types if place not in places and signs is not None]
    return (mean(true), mean(other)) if true and other else None


def mean(counters):
    total = Counter()
    for counter in counters:
        for key, value in counter.items():
            total[key] += value / len(counters)
    total["prior", "asked"] += 1
    return total


def groups_of(counter, folder, names):
    with open(folder / "truth", encoding="utf-8") as lines:
        truth = read_truth(lines)
    done = subprocess.run([counter, folder / "core"], stdout=subprocess.PIPE, text=True, check=True)
    for addresses, types in read_groups(done.stdout.splitlines(), names):
        name = true_name(addresses, truth)
        both = split(types, name) if name else None
        if both:
            yield Group(folder.name, *both)


# ---- counting -----------------------------------------------------------------------------------


def kinds_of_signs(groups):
    kinds = defaultdict(set)
    for group in groups:
        for signs in (group.true, group.other):
            for kind, sign in signs:
                kinds[sign].add(kind)
    return kinds


def asked(signs, kinds):
    """How many members could have shown a sign of these kinds."""
    if kinds == {"prior"}:
        return signs["prior", "asked"]
    return sum(n for (kind, sign), n in signs.items() if kind in kinds and sign not in SAYS_NOTHING)


def weigh(groups):
    """{sign: (tenths of a bit, groups that show it)}"""
    weights = {}
    for sign, kinds in kinds_of_signs(groups).items():
        if sign in SAYS_NOTHING or sign == "asked":
            continue
        true = sum(g.true[kind, sign] for g in groups for kind in kinds)
        other = sum(g.other[kind, sign] for g in groups for kind in kinds)
        of_true = sum(asked(g.true, kinds) for g in groups)
        of_other = sum(asked(g.other, kinds) for g in groups)
        usual = (true + other) / (of_true + of_other)
        ratio = ((true + PRIOR * usual) / (of_true + PRIOR)) / (
            (other + PRIOR * usual) / (of_other + PRIOR))
        shown = sum(any((g.true + g.other)[kind, sign] > 0 for kind in kinds) for g in groups)
        weights[sign] = round(10 * math.log2(ratio)), shown
    return weights


def table(header, groups):
    programs = sorted({g.program for g in groups})
    weights = weigh(groups)
    without = [weigh([g for g in groups if g.program != left_out]) for left_out in programs]
    yield f"{len(groups)} groups of {', '.join(programs)}"
    yield "| sign | by hand | counted | groups | least | most |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for _, sign, hand, _, _, _ in ROW.findall(header):
        if sign not in weights:
            continue
        counted, shown = weights[sign]
        others = [w[sign][0] for w in without if sign in w] or [counted]
        yield f"| {sign} | {hand} | {counted} | {shown} | {min(others)} | {max(others)} |"


def written(header, weights):
    """The header, with what is counted in the rows that say so."""
    def replace(match):
        begin, sign, old, end, _, comment = match.groups()
        is_counted = "// counted" in comment and sign in weights
        return f"{begin}{weights[sign][0] if is_counted else old}{end}{comment}"
    return ROW.sub(replace, header)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counter", required=True, type=pathlib.Path, help="count_signs")
    parser.add_argument("--header", required=True, type=pathlib.Path, help="identify/weights.h")
    parser.add_argument("--without", action="append", default=[], metavar="PROGRAM")
    parser.add_argument("--write", action="store_true", help="change the header")
    parser.add_argument("folders", nargs="+", type=pathlib.Path, help="each with a core and a truth")
    arguments = parser.parse_args()
    header = arguments.header.read_text(encoding="utf-8")
    names = [row[1] for row in ROW.findall(header)]
    groups = []
    for folder in arguments.folders:
        if folder.name not in arguments.without:
            groups += groups_of(arguments.counter, folder, names)
    if not groups:
        sys.exit("count_weights: no group with a known type")
    print("\n".join(table(header, groups)))
    if arguments.write:
        arguments.header.write_text(written(header, weigh(groups)), encoding="utf-8")


if __name__ == "__main__":
    main()
