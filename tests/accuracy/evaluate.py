#!/usr/bin/python3
"""How well a report's clusters and labels agree with what is true of each block.

The truth is a file of lines, written by truth_preload.c (module, chain, block ADDR USABLE CHAIN
REQUESTED kept|dropped), by name_types (type CHAIN NAME), or by a fixture program (block ADDR SIZE
TYPE VERDICT). The report is `heapscan core CORE --format json` with every block listed.

Every figure counts pairs or bytes exactly, from tables of how many blocks fall together:

  recall        of the pairs of blocks with one call chain (three frames above the allocator), the
                share whose blocks are in one cluster; `one size`: of such pairs of one usable size
  precision     of the pairs in one cluster, the share whose chains have a frame in common
  of records    the same of blocks that are neither text nor arrays nor buffers by their label, and
                larger than the smallest there are: what has fields
  type precision  of the pairs in one cluster whose types are known, the share with one type
  right, wrong  of the lost bytes whose type is known, the share labelled with that type, and with
                another one; what is left has no type in its label
  top 10        of the lost bytes, the share that the first ten entries of the report account for
"""
import argparse
import json
import pathlib
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import combinations
from typing import NamedTuple

from labels import SAYS_LITTLE, claimed_type, is_same_type

CHAIN_FRAMES = 3
SMALLEST = 24  # usable bytes
LOST = ("definite", "indirect")
ALL_BLOCKS = ["--format", "json", "--blocks", "all", "-n", "100000",
              "--kinds", "definite,indirect,possible,reachable"]


class Known(NamedTuple):
    """What the truth says of a block."""
    chain: tuple  # the frames above the allocator, innermost first; empty when not recorded
    type: str | None


class Judged(NamedTuple):
    """A block that both the truth and the report know."""
    size: int
    lost: bool
    cluster: object
    label: str
    chain: tuple
    type: str | None


class Share(NamedTuple):
    part: int
    whole: int

    def __str__(self):
        return f"{self.part / self.whole:.3f}" if self.whole else "–"

    def value(self):
        return self.part / self.whole if self.whole else None


# ---- reading ------------------------------------------------------------------------------------


def read_truth(lines):
    """{address: Known}"""
    chains, types, blocks = {}, {}, {}
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] == "chain":
            chains[words[1]] = tuple(words[2:2 + CHAIN_FRAMES])
        elif words[0] == "type":
            types[words[1]] = " ".join(words[2:])
        elif words[0] == "block":
            blocks[int(words[1], 16)] = words[3]
    recorded = bool(chains)
    return {address: Known(chains[key], types.get(key)) if recorded else Known((), key)
            for address, key in blocks.items()}


def join(report, truth):
    """The blocks in both, and how many are only in the report or only in the truth."""
    labels = {entry["id"]: entry["label"] for entry in report["leaks"]}
    judged, seen = [], set()
    for row in report["blocks"]:
        address = int(row["address"], 16)
        known = truth.get(address)
        if known is None:
            continue
        seen.add(address)
        cluster = row["cluster"] or f"alone {row['address']}"
        judged.append(Judged(row["size"], row["verdict"] in LOST, cluster,
                             labels.get(row["cluster"], ""), known.chain, known.type))
    return judged, len(report["blocks"]) - len(judged), len(truth) - len(seen)


# ---- counting pairs -----------------------------------------------------------------------------


def pairs(count):
    return count * (count - 1) // 2


def pairs_together(keys):
    """How many pairs of items have equal keys."""
    return sum(pairs(count) for count in Counter(keys).values())


def recall(blocks, of_one_size=False):
    def alike(b):
        return (b.chain, b.size) if of_one_size else b.chain
    return Share(pairs_together((alike(b), b.cluster) for b in blocks),
                 pairs_together(alike(b) for b in blocks))


def pairs_sharing_a_frame(chains):
    """Inclusion and exclusion: pairs with one frame in common, less those with two, plus three."""
    holders = Counter()
    for chain, count in chains.items():
        frames = sorted(set(chain))
        for size in range(1, len(frames) + 1):
            for part in combinations(frames, size):
                holders[part] += count
    return sum(pairs(count) * (1 if len(part) % 2 else -1) for part, count in holders.items())


def precision(blocks):
    by_cluster = defaultdict(Counter)
    for b in blocks:
        by_cluster[b.cluster][b.chain] += 1
    return Share(sum(pairs_sharing_a_frame(chains) for chains in by_cluster.values()),
                 sum(pairs(chains.total()) for chains in by_cluster.values()))


def type_precision(blocks):
    typed = [b for b in blocks if b.type]
    return Share(pairs_together((b.cluster, b.type) for b in typed),
                 pairs_together(b.cluster for b in typed))


def is_record(block):
    return block.size > SMALLEST and not SAYS_LITTLE.match(block.label)


# ---- counting bytes -----------------------------------------------------------------------------


def right_bytes(blocks):
    typed = [b for b in blocks if b.type]
    return Share(sum(b.size for b in typed if is_right(b)), sum(b.size for b in typed))


def wrong_bytes(blocks):
    typed = [b for b in blocks if b.type]
    return Share(sum(b.size for b in typed if is_wrong(b)), sum(b.size for b in typed))


def is_right(block):
    claim = claimed_type(block.label)
    return claim is not None and is_same_type(claim, block.type)


def is_wrong(block):
    claim = claimed_type(block.label)
    return claim is not None and not is_same_type(claim, block.type)


def top_entries(report, count=10):
    """Of a report made with the default options."""
    entries = [e for e in report["leaks"] if e["verdict"] == "definite"][:count]
    verdicts = report["totals"]["verdicts"]
    shown = sum(e["bytes"] + e["indirect"]["bytes"] for e in entries)
    return Share(shown, sum(verdicts[v]["bytes"] for v in LOST))


# ---- a program ----------------------------------------------------------------------------------


def figures(blocks):
    lost = [b for b in blocks if b.lost]
    chained = {"lost": [b for b in lost if b.chain], "all": [b for b in blocks if b.chain]}
    result = {}
    for scope, some in chained.items():
        result[f"recall {scope}"] = recall(some)
        result[f"recall of one size {scope}"] = recall(some, of_one_size=True)
        result[f"precision {scope}"] = precision(some)
    records = [b for b in chained["lost"] if is_record(b)]
    result["recall of one size records"] = recall(records, of_one_size=True)
    result["precision records"] = precision(records)
    result["type precision lost"] = type_precision(lost)
    result["type precision all"] = type_precision(blocks)
    result["right"] = right_bytes(lost)
    result["wrong"] = wrong_bytes(lost)
    result["typed"] = Share(sum(b.size for b in lost if b.type), sum(b.size for b in lost))
    return result


def run_heapscan(heapscan, core, options):
    done = subprocess.run([heapscan, "core", core, *options], stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"evaluate: heapscan ended with code {done.returncode} on {core}")
    return json.loads(done.stdout)


def judge_corpus(heapscan, folder, options):
    """folder holds `core` and `truth`."""
    with open(folder / "truth", encoding="utf-8") as lines:
        truth = read_truth(lines)
    report = run_heapscan(heapscan, folder / "core", ALL_BLOCKS + options)
    blocks, only_reported, only_true = join(report, truth)
    result = figures(blocks)
    result["top 10"] = top_entries(
        run_heapscan(heapscan, folder / "core", ["--format", "json", *options]))
    counts = {"blocks": len(blocks), "lost": sum(b.lost for b in blocks),
              "clusters": len({b.cluster for b in blocks if b.lost}),
              "chains": len({b.chain for b in blocks if b.lost}),
              "only reported": only_reported, "only true": only_true}
    return counts, result, blocks


# ---- showing ------------------------------------------------------------------------------------

COLUMNS = [("recall", "recall lost"), ("one size", "recall of one size lost"),
           ("precision", "precision lost"),
           ("one size/records", "recall of one size records"),
           ("precision/records", "precision records"), ("recall/all", "recall all"),
           ("one size/all", "recall of one size all"), ("precision/all", "precision all"),
           ("type prec.", "type precision lost"), ("type prec./all", "type precision all"),
           ("typed", "typed"), ("right", "right"), ("wrong", "wrong"), ("top 10", "top 10")]


def table(rows):
    head = ["program", "blocks", "lost", "chains", "clusters"] + [short for short, _ in COLUMNS]
    yield "| " + " | ".join(head) + " |"
    yield "| --- |" + " ---: |" * (len(head) - 1)
    for name, counts, result in rows:
        cells = [name] + [f"{counts[c]:,}" for c in ("blocks", "lost", "chains", "clusters")]
        yield "| " + " | ".join(cells + [str(result[key]) for _, key in COLUMNS]) + " |"


def worst(blocks, count):
    """What costs most: chains torn apart, clusters thrown together, wrong labels; of lost blocks."""
    lost = [b for b in blocks if b.lost]
    by_chain, by_cluster, wrong = defaultdict(Counter), defaultdict(Counter), Counter()
    for b in lost:
        if b.chain:
            by_chain[b.chain][(b.cluster, b.label, b.size)] += 1
            by_cluster[(b.cluster, b.label)][b.chain] += 1
        if b.type and is_wrong(b):
            wrong[(b.label, b.type)] += b.size

    def torn(chain):
        together = Counter()
        for (cluster, _, _), n in by_chain[chain].items():
            together[cluster] += n
        return pairs(together.total()) - sum(map(pairs, together.values()))

    def mixed(cluster):
        chains = by_cluster[cluster]
        return pairs(chains.total()) - pairs_sharing_a_frame(chains)

    for chain in sorted(by_chain, key=torn, reverse=True)[:count]:
        if torn(chain):
            yield f"torn apart: {torn(chain):,} pairs of the chain {' '.join(chain)}"
            for (cluster, label, size), n in by_chain[chain].most_common(6):
                yield f"    {n:,} × {size} B in {cluster}: {label}"
    for cluster in sorted(by_cluster, key=mixed, reverse=True)[:count]:
        if mixed(cluster):
            yield f"thrown together: {mixed(cluster):,} pairs in {cluster[0]}: {cluster[1]}"
            for chain, n in by_cluster[cluster].most_common(6):
                yield f"    {n:,} of the chain {' '.join(chain)}"
    for (label, truth), size in wrong.most_common(count):
        yield f"wrong: {size:,} bytes of {truth} labelled {label}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heapscan", required=True, help="the program to judge")
    parser.add_argument("--option", action="append", default=[],
                        help="one more word on heapscan's command line; may be repeated")
    parser.add_argument("--worst", type=int, default=0, metavar="N",
                        help="also the N worst cases of each kind, per program")
    parser.add_argument("folders", nargs="+", type=pathlib.Path, help="each with a core and a truth")
    arguments = parser.parse_args()
    rows = []
    for folder in arguments.folders:
        counts, result, blocks = judge_corpus(arguments.heapscan, folder, arguments.option)
        rows.append((folder.name, counts, result))
        for line in worst(blocks, arguments.worst):
            print(f"{folder.name}: {line}")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
