#include "heapscan/reach/holders.h"

#include <gtest/gtest.h>

#include "support/fake_program.h"

namespace heapscan {
namespace {

class Holders : public testing::Test {
 protected:
  std::string holder_of(Addr block) {
    world_ = program_.build();
    const Reachability reach = world_.trace();
    const std::vector<BlockId> blocks = {world_.heap.block_at(block)};
    const auto holders = find_holders(world_.image, world_.heap, world_.roots, reach, blocks);
    return holders[0] ? describe(*holders[0], world_.image, world_.heap, world_.roots, reach) : "";
  }
  FakeProgram program_;
  FakeProgram::World world_;
  Addr block_ = program_.block(104);
};

TEST_F(Holders, NothingNamesIt) { EXPECT_EQ(holder_of(block_), ""); }

TEST_F(Holders, RootBeatsBlock) {
  const Addr other = program_.block(104);
  program_.poke(other, block_);
  program_.strong_root(block_ + 40);
  EXPECT_EQ(holder_of(block_), "program data at 0x555555558000, 40 bytes past its start");
}

TEST_F(Holders, LostBlock) {
  const Addr other = program_.block(104);
  program_.poke(other + 24, block_);
  EXPECT_EQ(holder_of(block_), "block 0x7f5500000080 (+0x18), which is leaked itself");
}

TEST_F(Holders, FreeBlockIsTheLastResort) {
  const Addr cached = program_.block(104, BlockState::Tcache);
  program_.poke(cached + 24, block_);
  EXPECT_EQ(holder_of(block_), "freed block 0x7f5500000080 (+0x18)");
}

TEST_F(Holders, ItsOwnWordsDoNotCount) {
  program_.poke(block_ + 8, block_);
  EXPECT_EQ(holder_of(block_), "");
}

TEST_F(Holders, Register) {
  program_.add_root_word({RootKind::Register, block_.value + 8, 17, "rbx", false});
  EXPECT_EQ(holder_of(block_), "register rbx of thread 17, 8 bytes past its start");
}

TEST_F(Holders, WhatTheKernelHoldsIsNamedOnce) {
  program_.add_root_word({RootKind::KernelQueue, block_.value, 0, "pipe fd 7", false});
  EXPECT_EQ(holder_of(block_), "pipe fd 7");
  const Addr watched = program_.block(104);
  program_.add_root_word({RootKind::Epoll, watched.value, 0, "epoll fd 7 watching fd 12", false});
  EXPECT_EQ(holder_of(watched), "epoll fd 7 watching fd 12");
  const Addr asked = program_.block(104);
  program_.add_root_word({RootKind::IoUring, asked.value, 0, "fd 9", false});
  EXPECT_EQ(holder_of(asked), "io_uring fd 9");
}

TEST_F(Holders, UnalignedWord) {
  const Addr other = program_.block(104);
  program_.strong_root(other);
  program_.poke(other + 5, block_);
  EXPECT_EQ(holder_of(block_),
            "block 0x7f5500000080 (+0x5), which is reachable, in an unaligned word");
}

}  // namespace
}  // namespace heapscan
