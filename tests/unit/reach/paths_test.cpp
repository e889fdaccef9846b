#include "heapscan/reach/holders.h"

#include <gtest/gtest.h>

#include "support/fake_program.h"

namespace heapscan {
namespace {

class Paths : public testing::Test {
 protected:
  void build() {
    world_ = program_.build();
    graph_ = build_live_graph(world_.image, world_.heap, world_.roots, world_.trace());
  }
  // The blocks of each path, by address.
  [[nodiscard]] std::vector<std::vector<Addr>> paths(Addr to, size_t most) const {
    std::vector<std::vector<Addr>> result;
    for (const Path& path : shortest_paths(graph_, world_.heap.block_at(to), most)) {
      result.emplace_back();
      for (const BlockId id : path.blocks) result.back().push_back(world_.heap.block(id).begin());
    }
    return result;
  }

  FakeProgram program_;
  FakeProgram::World world_;
  LiveGraph graph_;
};

using Ways = std::vector<std::vector<Addr>>;

TEST_F(Paths, TheShortestComesFirst) {
  const Addr far = program_.block(24);
  const Addr middle = program_.block(24);
  const Addr near = program_.block(24);
  const Addr target = program_.block(24);
  program_.strong_root(far);
  program_.strong_root(near);
  program_.poke(far, middle);
  program_.poke(middle, target);
  program_.poke(near, target);
  build();
  EXPECT_EQ(paths(target, 1), (Ways{{near, target}}));
  EXPECT_EQ(paths(target, 9), (Ways{{near, target}, {far, middle, target}}));
}

TEST_F(Paths, ARootThatLeadsThereItselfIsTheShortest) {
  const Addr target = program_.block(24);
  const Addr other = program_.block(24);
  const Addr root = program_.strong_root(target);
  program_.strong_root(other);
  program_.poke(other, target);
  build();
  EXPECT_EQ(paths(target, 2), (Ways{{target}, {other, target}}));
  EXPECT_EQ(shortest_paths(graph_, world_.heap.block_at(target), 1).front().from.at, root);
}

// What is held only through the block itself says nothing about who holds it.
TEST_F(Paths, DoNotLeadThroughTheBlockItself) {
  const Addr target = program_.block(24);
  const Addr child = program_.block(24);
  program_.strong_root(target);
  program_.poke(target, child);
  program_.poke(child, target);
  build();
  EXPECT_EQ(paths(target, 9), (Ways{{target}}));
}

TEST_F(Paths, OfALostBlockThereAreNone) {
  const Addr lost = program_.block(24);
  const Addr kept = program_.block(24);
  program_.strong_root(kept);
  build();
  EXPECT_TRUE(paths(lost, 9).empty());
}

}  // namespace
}  // namespace heapscan
