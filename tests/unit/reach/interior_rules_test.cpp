#include <gtest/gtest.h>

#include "support/fake_program.h"

namespace heapscan {
namespace {

class InteriorRule : public testing::Test {
 protected:
  // A pointer `into` the block from a strong root is all that holds it.
  Verdict judge(uint64_t into) {
    program_.strong_root(block_ + into);
    world_ = program_.build();
    return world_.verdict(world_.trace(), block_);
  }
  // An object file's vtable: an offset, a type, then functions.
  Addr vtable() {
    program_.strong_root(uint64_t{0});
    const Addr first = program_.strong_root(FakeProgram::kCode + 0x100);
    program_.strong_root(FakeProgram::kCode + 0x200);
    return first;
  }

  FakeProgram program_;
  Addr block_ = program_.block(232);
  FakeProgram::World world_;
};

TEST_F(InteriorRule, NothingExplainsAPlainMiddle) { EXPECT_EQ(judge(40), Verdict::Possible); }

TEST_F(InteriorRule, ArrayCookie) {
  program_.poke(block_, uint64_t{7});  // 8 + 7 * 32 = 232
  EXPECT_EQ(judge(8), Verdict::Reachable);
}

TEST_F(InteriorRule, ArrayCookieThatDoesNotFillTheBlock) {
  program_.poke(block_, uint64_t{120});  // elements of one byte would leave 104 bytes over
  EXPECT_EQ(judge(8), Verdict::Possible);
}

TEST_F(InteriorRule, LengthPrefix) {
  program_.poke(block_, uint64_t{210});
  EXPECT_EQ(judge(8), Verdict::Reachable);
}

TEST_F(InteriorRule, OldString) {
  program_.poke(block_, uint64_t{100});
  program_.poke(block_ + 8, uint64_t{200});
  EXPECT_EQ(judge(24), Verdict::Reachable);
}

TEST_F(InteriorRule, OldStringWithImpossibleLength) {
  program_.poke(block_, uint64_t{300});
  program_.poke(block_ + 8, uint64_t{200});
  EXPECT_EQ(judge(24), Verdict::Possible);
}

TEST_F(InteriorRule, MakeShared) {
  program_.poke(block_, vtable());
  program_.poke(block_ + 8, uint64_t{1} | uint64_t{1} << 32);
  EXPECT_EQ(judge(16), Verdict::Reachable);
}

TEST_F(InteriorRule, MakeSharedNeedsItsVtable) {
  program_.poke(block_ + 8, uint64_t{1} | uint64_t{1} << 32);
  EXPECT_EQ(judge(16), Verdict::Possible);
}

TEST_F(InteriorRule, CountedValueOfRust) {
  program_.poke(block_, uint64_t{3});
  program_.poke(block_ + 8, uint64_t{1});
  EXPECT_EQ(judge(16), Verdict::Reachable);
}

TEST_F(InteriorRule, CountedObjectBehindACollectorsHeader) {
  program_.poke(block_ + 16, uint64_t{2});
  program_.poke(block_ + 24, FakeProgram::kStrong + 0x800);
  EXPECT_EQ(judge(16), Verdict::Reachable);
}

TEST_F(InteriorRule, CountWithoutATypeIsNoObject) {
  program_.poke(block_ + 16, uint64_t{2});
  program_.poke(block_ + 24, uint64_t{77});
  EXPECT_EQ(judge(16), Verdict::Possible);
}

TEST_F(InteriorRule, SecondBaseClass) {
  const Addr table = vtable();
  program_.poke(block_, table);
  program_.poke(block_ + 24, table + 8);
  EXPECT_EQ(judge(24), Verdict::Reachable);
}

TEST_F(InteriorRule, OneVtableIsNotEnough) {
  program_.poke(block_, vtable());
  EXPECT_EQ(judge(24), Verdict::Possible);
}

TEST_F(InteriorRule, OwnBeginBeforeTheAlignedPart) {
  program_.poke(block_ + 56, block_);
  EXPECT_EQ(judge(64), Verdict::Reachable);
}

}  // namespace
}  // namespace heapscan
