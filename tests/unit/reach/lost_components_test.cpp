#include "reach/verdicts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "support/fake_program.h"

namespace heapscan {
namespace {

using Edges = std::vector<std::vector<size_t>>;

std::vector<std::vector<bool>> closure(const Edges& edges) {
  const size_t n = edges.size();
  std::vector<std::vector<bool>> reaches(n, std::vector<bool>(n));
  for (size_t i = 0; i < n; ++i) {
    reaches[i][i] = true;
    for (const size_t to : edges[i]) reaches[i][to] = true;
  }
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        if (reaches[i][k] && reaches[k][j]) reaches[i][j] = true;
      }
    }
  }
  return reaches;
}

// By the definition: a head is the lowest of those that reach each other and that nobody else
// reaches.
std::vector<size_t> heads_by_definition(const Edges& edges) {
  const auto reaches = closure(edges);
  std::vector<size_t> heads;
  for (size_t i = 0; i < edges.size(); ++i) {
    bool is_head = true;
    for (size_t j = 0; j < edges.size(); ++j) {
      if (reaches[j][i] && (!reaches[i][j] || j < i)) is_head = false;
    }
    if (is_head) heads.push_back(i);
  }
  std::vector<size_t> head_of(edges.size());
  for (size_t i = 0; i < edges.size(); ++i) {
    head_of[i] = *std::find_if(heads.begin(), heads.end(), [&](size_t h) { return reaches[h][i]; });
  }
  return head_of;
}

TEST(LostComponents, AgreeWithTheDefinitionOnRandomGraphs) {
  std::mt19937 random(7);
  for (int run = 0; run < 200; ++run) {
    const size_t n = 1 + random() % 24;
    Edges edges(n);
    FakeProgram program;
    std::vector<Addr> blocks;
    for (size_t i = 0; i < n; ++i) blocks.push_back(program.block(64));
    for (size_t i = 0; i < n; ++i) {
      for (size_t e = 0; e < random() % 4; ++e) {
        const size_t to = random() % n;
        edges[i].push_back(to);
        program.poke(blocks[i] + 8 * e, blocks[to] + (random() % 2) * 16);
      }
    }
    const FakeProgram::World world = program.build();
    const Reachability reach = world.trace();
    const std::vector<size_t> expected = heads_by_definition(edges);
    ASSERT_EQ(reach.lost.size(), n);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_EQ(reach.lost[i].head.index(), expected[i]) << "run " << run << " block " << i;
      EXPECT_EQ(reach.verdicts[i], expected[i] == i ? Verdict::Definite : Verdict::Indirect);
    }
  }
}

TEST(LostComponents, ChainOfAMillionDoesNotRecurse) {
  FakeProgram program;
  constexpr size_t kLength = 1'000'000;
  std::vector<Addr> blocks;
  for (size_t i = 0; i < kLength; ++i) blocks.push_back(program.block(24));
  for (size_t i = 0; i + 1 < kLength; ++i) program.poke(blocks[i], blocks[i + 1]);
  const Reachability reach = program.build().trace();
  ASSERT_EQ(reach.lost.size(), kLength);
  EXPECT_EQ(reach.totals[static_cast<size_t>(Verdict::Definite)].blocks, 1U);
  EXPECT_EQ(reach.lost.back().head.index(), 0U);
}

// Which of the blocks stands for all of them.
Addr only_head(FakeProgram& program) {
  const FakeProgram::World world = program.build();
  const Reachability reach = world.trace();
  EXPECT_EQ(reach.totals[static_cast<size_t>(Verdict::Definite)].blocks, 1U);
  for (const LostBlock& lost : reach.lost) EXPECT_EQ(lost.head, reach.lost.front().head);
  return world.heap.block(reach.lost.front().head).begin();
}

// A ring of `count` nodes of 40 bytes and then one header, linked both ways at these offsets.
Addr linked_ring(FakeProgram& program, size_t count, uint64_t in_node, uint64_t in_header,
                 uint64_t header_size) {
  std::vector<Addr> hooks;
  for (size_t i = 0; i < count; ++i) hooks.push_back(program.block(40) + in_node);
  const Addr header = program.block(header_size);
  hooks.push_back(header + in_header);
  for (size_t i = 0; i < hooks.size(); ++i) {
    const Addr next = hooks[(i + 1) % hooks.size()];
    program.poke(hooks[i], next);
    program.poke(next + 8, hooks[i]);
  }
  return header;
}

TEST(LostComponents, AHeaderStandsForItsList) {
  FakeProgram program;
  const Addr header = linked_ring(program, 3, 0, 16, 88);
  EXPECT_EQ(only_head(program), header);
}

TEST(LostComponents, AHeaderOfItsOwnStandsForNodesLinkedByAMember) {
  FakeProgram program;
  const Addr header = linked_ring(program, 3, 16, 0, 24);
  EXPECT_EQ(only_head(program), header);
}

TEST(LostComponents, OfTwoBlocksTheOneNamedByItsMiddleIsTheHeader) {
  FakeProgram program;
  const Addr header = linked_ring(program, 1, 0, 16, 88);
  EXPECT_EQ(only_head(program), header);
}

// Every one names the next and the one before by its begin, but for the last.
Addr ring_of_all_sizes(FakeProgram& program, size_t count) {
  std::vector<Addr> hooks;
  for (size_t i = 0; i < count; ++i) hooks.push_back(program.block(40 + 16 * i));
  const Addr last = hooks.back();
  hooks.back() = last + 16;
  for (size_t i = 0; i < count; ++i) {
    program.poke(hooks[i], hooks[(i + 1) % count]);
    program.poke(hooks[(i + 1) % count] + 8, hooks[i]);
  }
  return last;
}

TEST(LostComponents, OfAFewDifferentBlocksTheOneNamedByItsMiddleIsTheHeader) {
  FakeProgram program;
  const Addr header = ring_of_all_sizes(program, 8);
  EXPECT_EQ(only_head(program), header);
}

// Asking who names each of them, and how, would take as long as their bytes times their number.
TEST(LostComponents, ManyDifferentBlocksHaveNoHeader) {
  FakeProgram program;
  const Addr last = ring_of_all_sizes(program, 9);
  EXPECT_LT(only_head(program), last);
}

TEST(LostComponents, NodesAlikeAreStoodForByTheLowest) {
  FakeProgram program;
  const Addr last = linked_ring(program, 3, 0, 0, 40);
  EXPECT_LT(only_head(program), last);
}

TEST(LostComponents, AnArrayOfChildrenIsNoHeader) {
  FakeProgram program;
  const Addr parent = program.block(104);
  const Addr array = program.block(72);
  program.poke(parent, array);
  for (uint64_t i = 0; i < 4; ++i) {
    const Addr child = program.block(104);
    program.poke(array + 8 * i, child);
    program.poke(child + 8, parent);
  }
  EXPECT_EQ(only_head(program), parent);
}

TEST(LostComponents, WhatHangsBelowAListHangsBelowItsHeader) {
  FakeProgram program;
  const Addr text = program.block(24);
  const Addr header = linked_ring(program, 3, 0, 16, 88);
  program.poke(header - 48 + 24, text);  // the last node names it
  EXPECT_EQ(only_head(program), header);
}

}  // namespace
}  // namespace heapscan
