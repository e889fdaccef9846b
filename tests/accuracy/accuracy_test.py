#!/usr/bin/python3
"""Tests the figures themselves: a handful of blocks, every number computed by hand."""
import unittest
from collections import Counter

import count_weights
import evaluate
import labels
import name_types
from evaluate import Share

TRUTH = """\
allocations 99
module 0 0x1000 /bin/program
chain 7 0+0x1 0+0x2 0+0x3 0+0x99
chain 8 0+0x1 0+0x4 0+0x5
chain 9 1+0x1 1+0x2 1+0x3
type 7 struct Tree
type 8 std::vector<int>
block 0x10 32 7 30 dropped
block 0x20 32 7 30 dropped
block 0x30 32 7 30 dropped
block 0x40 48 7 40 kept
block 0x50 32 8 30 kept
block 0x60 32 8 30 kept
block 0x70 32 9 30 kept
block 0x80 32 9 30 kept
block 0x90 64 9 60 kept
"""


def row(address, size, cluster, verdict="definite"):
    return {"address": hex(address), "size": size, "verdict": verdict, "cluster": cluster}


def entry(name, label, verdict="definite", size=0, indirect=0):
    return {"id": name, "label": label, "verdict": verdict, "bytes": size,
            "indirect": {"bytes": indirect}}


REPORT = {
    "leaks": [entry("x", "Tree"), entry("y", "unknown type (32 B)"), entry("z", "struct Parser")],
    "blocks": [
        row(0x10, 32, "x"), row(0x20, 32, "x"), row(0x30, 32, "y", "indirect"), row(0x40, 48, "x"),
        row(0x50, 32, "x"), row(0x60, 32, "z"),
        row(0x70, 32, "y"), row(0x80, 32, "z"),
        row(0x1000, 16, "z")],
}


class Joining(unittest.TestCase):
    def setUp(self):
        self.blocks, self.only_reported, self.only_true = evaluate.join(
            REPORT, evaluate.read_truth(TRUTH.splitlines()))

    def test_blocks_that_one_side_does_not_know_are_counted(self):
        self.assertEqual((len(self.blocks), self.only_reported, self.only_true), (8, 1, 1))

    def test_a_chain_is_three_frames(self):
        self.assertEqual(self.blocks[0].chain, ("0+0x1", "0+0x2", "0+0x3"))

    def test_a_block_without_a_cluster_is_alone(self):
        report = {"leaks": [], "blocks": [row(0x10, 32, None), row(0x20, 32, None)]}
        blocks, _, _ = evaluate.join(report, evaluate.read_truth(TRUTH.splitlines()))
        self.assertEqual(evaluate.recall(blocks), Share(0, 1))

    def test_fixtures_name_the_type_in_place_of_the_chain(self):
        truth = evaluate.read_truth(["block 0x10 32 Tree definite", "ready 17"])
        self.assertEqual(truth, {0x10: evaluate.Known((), "Tree")})


class Pairs(unittest.TestCase):
    def setUp(self):
        self.blocks, _, _ = evaluate.join(REPORT, evaluate.read_truth(TRUTH.splitlines()))

    def test_recall(self):
        # chain 7: x x y x, 3 of 6; chain 8: x z, 0 of 1; chain 9: y z, 0 of 1
        self.assertEqual(evaluate.recall(self.blocks), Share(3, 8))

    def test_recall_of_one_size(self):
        # chain 7 of 32 bytes: x x y, 1 of 3; of 48 bytes none; the others as before
        self.assertEqual(evaluate.recall(self.blocks, of_one_size=True), Share(1, 5))

    def test_precision(self):
        # x: three of chain 7, one of 8, which share frame 0x1: 6 of 6; y: 7 and 9, 0 of 1;
        # z: 8 and 9, 0 of 1
        self.assertEqual(evaluate.precision(self.blocks), Share(6, 8))

    def test_type_precision(self):
        # x: three trees and a vector, 3 of 6; elsewhere at most one block has a known type
        self.assertEqual(evaluate.type_precision(self.blocks), Share(3, 6))

    def test_records_are_what_has_fields(self):
        labels_of = {"struct A": True, "unknown type (40 B)": True, "array of struct A": True, "block pointing to x": True,
                     "unknown type (several sizes)": True, "text": False, "text of std::string": False,
                     "char[]": False, "array of numbers": False, "array of pointers to struct A": False,
                     "raw bytes": False, "zero-filled": False,
                     "untouched since allocation": False}
        blocks = [evaluate.Judged(40, True, "x", label, (), None) for label in labels_of]
        self.assertEqual({b.label: evaluate.is_record(b) for b in blocks}, labels_of)
        self.assertFalse(evaluate.is_record(evaluate.Judged(24, True, "x", "struct A", (), None)))

    def test_pairs_that_share_two_frames_count_once(self):
        chains = Counter({("a", "b", "c"): 2, ("a", "b", "d"): 1, ("e", "c", "a"): 1})
        self.assertEqual(evaluate.pairs_sharing_a_frame(chains), 6)

    def test_pairs_that_share_nothing_do_not_count(self):
        chains = Counter({("a", "b", "c"): 1, ("d", "b", "e"): 1, ("e", "f", "g"): 1})
        self.assertEqual(evaluate.pairs_sharing_a_frame(chains), 2)

    def test_a_frame_that_comes_twice_counts_once(self):
        self.assertEqual(evaluate.pairs_sharing_a_frame(Counter({("a", "a", "b"): 3})), 3)


class Labels(unittest.TestCase):
    def setUp(self):
        self.blocks, _, _ = evaluate.join(REPORT, evaluate.read_truth(TRUTH.splitlines()))

    def test_right_and_wrong_bytes(self):
        # typed: 3 * 32 + 48 of Tree, 2 * 32 of the vector. Tree said of two trees of 32 and one of
        # 48 bytes, and of a vector; Parser of another vector; nothing of the third tree.
        self.assertEqual(evaluate.right_bytes(self.blocks), Share(112, 208))
        self.assertEqual(evaluate.wrong_bytes(self.blocks), Share(64, 208))

    def test_names_are_compared_without_keywords_spaces_and_defaults(self):
        for claim, truth in [
                ("struct session", "session"), ("BuildLog::LogEntry", "LogEntry"),
                ("std::map<int, A>", "std::map<int,class A>"), ("struct point[8]", "point[]"),
                ("array of struct point", "point"),
                ("array of pointers to struct state", "state *"), ("FILE", "_IO_FILE|FILE"),
                ("std::_List_node<std::vector<long int, std::allocator<long int> > >",
                 "std::_List_node<std::vector<long>>")]:
            self.assertTrue(labels.is_same_type(claim, truth), claim)
        for claim, truth in [
                ("session", "session_list"), ("Other::Entry", "Log::Entry"), ("char", "int"),
                ("std::_List_node<int>", "std::_List_node<long>")]:
            self.assertFalse(labels.is_same_type(claim, truth), claim)

    def test_a_part_of_a_container_may_leave_out_of_what(self):
        for claim, truth in [
                ("node of std::map or set in Registry at +0x8", "std::_Rb_tree_node<int>"),
                ("elements of std::vector in Polygon at +0x10", "std::vector<Point>::elements"),
                ("array of Point", "std::vector<Point>::elements"),
                ("buckets of std::unordered_map in A", "std::__detail::_Hash_node_base*"),
                ("text of std::string in Connection at +0x28", "std::string::text"),
                ("text", "char")]:
            self.assertTrue(labels.is_same_type(claim, truth), claim)
        for claim, truth in [
                ("node of std::list in A", "std::_Rb_tree_node<int>"), ("text", "Point"),
                ("elements of std::vector in A", "Point"), ("array of A", "std::vector<B>::elements")]:
            self.assertFalse(labels.is_same_type(claim, truth), claim)

    def test_names_people_know_are_those_of_the_library(self):
        for claim, truth in [("FILE", "locked_FILE"), ("regex_t (re_dfa_t)", "re_dfa_t"), ("X509", "struct x509_st")]:
            self.assertTrue(labels.is_same_type(claim, truth), claim)
        for claim, truth in [("FILE", "session"), ("regex_t (re_dfa_t)", "session")]:
            self.assertFalse(labels.is_same_type(claim, truth), claim)

    def test_words_for_bytes_claim_no_type(self):
        for label in ("", "unknown type (264 B)", "raw bytes", "array of numbers", "block pointing to f",
                      "unknown type (several sizes)"):
            self.assertIsNone(labels.claimed_type(label), label)

    def test_the_share_of_the_first_entries(self):
        report = {"leaks": [entry("x", "", "possible", 1000)] +
                           [entry("x", "", "definite", 10, 5) for _ in range(12)],
                  "totals": {"verdicts": {"definite": {"bytes": 120}, "indirect": {"bytes": 80}}}}
        self.assertEqual(evaluate.top_entries(report), Share(150, 200))


class Types(unittest.TestCase):
    RULES = name_types.read_rules([
        "# of a list program", "xmalloc -", 'new_list "sizeof.struct (\\w+)" struct \\1',
        "new_list struct item", "std::string::_M_create char"])

    def type_of(self, *frames):
        return name_types.type_of(frames, self.RULES)

    def test_the_first_frame_with_a_rule_decides(self):
        self.assertEqual(self.type_of(("new_list", "x = sizeof(struct list)")), "struct list")
        self.assertEqual(self.type_of(("new_list", "other line"), ("main", "")), "struct item")

    def test_wrappers_are_passed_over(self):
        self.assertEqual(self.type_of(("xmalloc", ""), ("new_list", "")), "struct item")

    def test_a_frame_without_a_rule_ends_the_search(self):
        self.assertIsNone(self.type_of(("other", ""), ("new_list", "")))
        self.assertIsNone(self.type_of(("xmalloc", "")))

    def test_the_standard_allocator_says_the_type(self):
        frame = "std::__new_allocator<std::pair<int, char> >::allocate(unsigned long, void const*)"
        self.assertEqual(self.type_of((frame, "")), "std::pair<int, char>|std::vector<std::pair<int, char>>::elements")

    def test_a_new_expression_says_the_type(self):
        self.assertEqual(self.type_of(("Graph::add(int)", "edge = new Edge(from, to);")), "Edge")
        self.assertEqual(self.type_of(("f", "names = new char*[n];")), "char*")

    def test_a_cast_says_the_type(self):
        self.assertEqual(self.type_of(("f", "p = (struct hentry*)malloc(n);")), "hentry")
        self.assertEqual(self.type_of(("f", "p = (entry **) calloc(n, 8);")), "entry *")


class Weights(unittest.TestCase):
    NAMES = ["Nothing", "Contradicts", "ToText", "ToNoText", "Lives"]
    COUNTED = """\
group 10 20
type 0 struct Tree
sign 8 1 2 1.0
prior 4
type 1 struct Book
sign 8 1 2 0.25
sign 8 1 3 0.75
type 2 struct Twin
out
type 1 struct BookCover
sign 8 1 3 1.0
""".splitlines()

    def groups(self, name="Tree"):
        [(addresses, types)] = count_weights.read_groups(self.COUNTED, self.NAMES)
        self.assertEqual(addresses, [0x10, 0x20])
        both = count_weights.split(types, name)
        return [count_weights.Group("trees", *both)] * 100 if both else []

    def test_what_is_contradicted_is_left_out_and_the_other_types_count_as_one(self):
        other = self.groups()[0].other
        self.assertEqual((other[("8", "ToText")], other[("8", "ToNoText")]), (0.125, 0.875))

    def test_types_that_begin_with_each_other_are_right_together(self):
        self.assertEqual(self.groups("Book")[0].other[("8", "ToText")], 1)

    def test_without_the_true_type_or_another_one_there_is_nothing_to_count(self):
        self.assertEqual((self.groups("Twin"), self.groups("Leaf")), ([], []))

    def test_weights_are_logarithms_of_ratios(self):
        weights = count_weights.weigh(self.groups())
        self.assertEqual(weights["ToText"], (29, 100))  # 10 log2 (101.1 / 13.6)
        self.assertLess(weights["ToNoText"][0], -50)
        self.assertGreater(weights["Lives"][0], 50)

    def test_only_rows_that_say_so_are_written(self):
        header = ("    Weight{Sign::ToText, 30, 1},  // counted: letters\n"
                  "    Weight{Sign::Lives, 10, 0},\n")
        self.assertEqual(count_weights.written(header, {"ToText": (29, 9), "Lives": (7, 9)}),
                         header.replace("30", "29"))


if __name__ == "__main__":
    unittest.main()
