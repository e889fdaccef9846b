#include "reach/lost_components.h"

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

}  // namespace
}  // namespace heapscan
