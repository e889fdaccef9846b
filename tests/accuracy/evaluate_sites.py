#!/usr/bin/python3
"""How often a report names the code that allocated a group's blocks.

The truth is what truth_preload.c writes: modules with their load address, chains of return
addresses, blocks with their chain. The report is `heapscan core CORE --format json` with every
block listed. Of each lost group of at least ten blocks the truth knows:

  answered   the first site has a probability of at least a half
  top 1      of the answered: the first site is right for most of the group's blocks
  top 3      of the answered: one of the three sites named is
  sure       of the sites said with more than 0.9: the share that is wrong
  several    groups that several calls are named for; right: each of these calls made some of the blocks,
             and together they made nine tenths

A site is right for a block when its return address is one of the block's first four frames above the
C and C++ libraries. `by function` compares functions instead of calls, where symbols tell.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
from collections import Counter, defaultdict

FRAMES = 4
FEWEST_BLOCKS = 10
ANSWER = 0.5
SURE = 0.9
LOST = ("definite", "indirect")
RUNTIME = re.compile(r"/(libc|libstdc\+\+|libc\+\+|ld-linux[^/]*|truth_preload)[.\-]")
REPORT = ["--sites", "--format", "json", "--blocks", "all", "-n", "100000",
          "--kinds", "definite,indirect,possible,reachable"]


def read_truth(lines):
    """{address: (frame, …)} of the first frames above the runtime, each (module's name, offset).
    Links to libraries are followed, as the kernel does in its maps."""
    modules, chains, blocks = {}, {}, {}
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] == "module":
            modules[words[1]] = words[3]
        elif words[0] == "chain":
            frames = []
            for word in words[2:]:
                module, _, offset = word.partition("+")
                path = modules.get(module, "")
                if RUNTIME.search(path):
                    continue
                frames.append((pathlib.Path(path).resolve().name, int(offset, 16)))
            chains[words[1]] = tuple(frames[:FRAMES])
        elif words[0] == "block":
            blocks[int(words[1], 16)] = chains.get(words[3], ())
    return blocks


def groups_of(report, truth):
    """[(leak, {chain: blocks})] of lost groups that are large enough."""
    chains = defaultdict(Counter)
    for row in report["blocks"]:
        chain = truth.get(int(row["address"], 16))
        if chain and row["verdict"] in LOST and row["cluster"]:
            chains[row["cluster"]][chain] += 1
    leaks = {}
    for leak in report["leaks"]:
        if leak["verdict"] in LOST:
            leaks.setdefault(leak["id"], leak)
    return [(leaks[id], chains[id]) for id in leaks if chains[id].total() >= FEWEST_BLOCKS]


def is_frame(site, frame):
    """Whether the call is that of the frame: a return address lies behind its call."""
    module, after = frame
    call = int(site["call_address"], 16)
    return site["module"] == module and 2 <= after - call <= 8


def is_right(site, chains):
    right = sum(count for chain, count in chains.items()
                if any(is_frame(site, frame) for frame in chain))
    return 2 * right >= chains.total()


def are_right(sites, chains):
    made = Counter()  # blocks by which site
    for chain, count in chains.items():
        for i, site in enumerate(sites):
            if any(is_frame(site, frame) for frame in chain):
                made[i] += count
                break
    return len(made) == len(sites) and 10 * made.total() >= 9 * chains.total()


def most_common(chains):
    chain, count = chains.most_common(1)[0]
    return " < ".join(f"{module}+{offset:#x}" for module, offset in chain), count / chains.total()


def judge(report, truth, show):
    figures = Counter()
    for leak, chains in groups_of(report, truth):
        figures["groups"] += 1
        sites = leak["sites"]
        answered = bool(sites) and sites[0]["probability"] >= ANSWER
        first = answered and is_right(sites[0], chains)
        third = answered and any(is_right(site, chains) for site in sites)
        figures["answered"] += answered
        figures["first"] += first
        figures["third"] += third
        shared = leak.get("shared_sites", [])
        if shared:
            figures["several"] += 1
            figures["several and right"] += are_right(shared, chains)
        if answered and sites[0]["probability"] > SURE:
            figures["sure"] += 1
            figures["sure and wrong"] += not first
        if show:
            among = [i for i, site in enumerate(sites) if is_right(site, chains)]
            say = "right" if first else "WRONG" if answered else "none"
            chain, share = most_common(chains)
            print(f"{say:5} among {among} of {leak['site_candidates']} {leak['blocks']}x "
                  f"{leak['sizes'][0]['size']} {leak['label'][:40]!r} truth {share:.2f} {chain}")
            for site in shared:
                print(f"      {'among right' if are_right(shared, chains) else 'among WRONG'} {site['agreeing']} of {site['samples']}: "
                      f"{site['module']}+{site['call_address']} {site['function'][:40]} <- {site['callee'][:40]}")
            for site in sites:
                print(f"      {site['probability']:.2f} {site['module']}+{site['call_address']} "
                      f"{site['function'][:40]} <- {site['callee'][:40]} {site['evidence']}")
    return figures


def share(part, whole):
    return f"{part / whole:.2f}" if whole else "–"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heapscan", required=True)
    parser.add_argument("--show", action="store_true", help="print every group")
    parser.add_argument("folders", nargs="+", type=pathlib.Path,
                        help="each with a core and its truth, as tests/accuracy/run makes them")
    options = parser.parse_args()
    total = Counter()
    print("| program | groups | answered | top 1 | top 3 | sure | sure and wrong | several | right |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for folder in options.folders:
        with open(folder / "truth", encoding="utf-8", errors="replace") as lines:
            truth = read_truth(lines)
        run = subprocess.run([options.heapscan, "core", str(folder / "core"), *REPORT],
                             stdout=subprocess.PIPE, check=False)
        if run.returncode not in (0, 1):
            sys.exit(f"evaluate_sites: no report on {folder}")
        figures = judge(json.loads(run.stdout), truth, options.show)
        total.update(figures)
        print_row(folder.name, figures)
    print_row("all", total)


def print_row(name, figures):
    print(f"| {name} | {figures['groups']} | {share(figures['answered'], figures['groups'])} "
          f"| {share(figures['first'], figures['answered'])} "
          f"| {share(figures['third'], figures['answered'])} | {figures['sure']} "
          f"| {share(figures['sure and wrong'], figures['sure'])} | {figures['several']} "
          f"| {share(figures['several and right'], figures['several'])} |", flush=True)


if __name__ == "__main__":
    main()
