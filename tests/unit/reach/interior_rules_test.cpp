#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string_view>

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
  // Text, then zeros up to the next word.
  void poke_text(Addr at, std::string_view text) {
    for (size_t i = 0; i < text.size(); i += 8) {
      uint64_t word = 0;
      std::memcpy(&word, text.data() + i, std::min<size_t>(8, text.size() - i));
      program_.poke(at + i, word);
    }
  }
  // An object file's vtable: an offset, a type, then functions.
  Addr vtable() {
    program_.strong_root(uint64_t{0});
    const Addr first = program_.strong_root(FakeProgram::kCode + 0x100);
    program_.strong_root(FakeProgram::kCode + 0x200);
    return first;
  }

  // Eight buckets of 24 bytes and their control bytes, the first of them in the lowest byte.
  void poke_small_table(uint64_t control) {
    program_.poke(block_ + 8 * 24, control);
    program_.poke(block_ + 8 * 24 + 8, ~uint64_t{0});
    program_.poke(block_ + 8 * 24 + 16, control);
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

TEST_F(InteriorRule, LengthInAHeaderOfTwoWords) {
  program_.poke(block_, uint64_t{0xef00'0aef});
  program_.poke(block_ + 8, uint64_t{200});
  EXPECT_EQ(judge(16), Verdict::Reachable);
}

TEST_F(InteriorRule, LengthThatDoesNotFillTheBlock) {
  program_.poke(block_ + 8, uint64_t{150});
  EXPECT_EQ(judge(16), Verdict::Possible);
}

TEST_F(InteriorRule, EndOfABufferThatSaysHowLongItIs) {
  block_ = program_.block(200);
  program_.poke(block_ + 176, uint64_t{192 | 3});  // made for alignment of 8
  EXPECT_EQ(judge(176), Verdict::Reachable);
}

TEST_F(InteriorRule, EndOfABufferOfAnotherLength) {
  block_ = program_.block(200);
  program_.poke(block_ + 176, uint64_t{128 | 3});
  EXPECT_EQ(judge(176), Verdict::Possible);
}

TEST_F(InteriorRule, NameBehindAHeader) {
  const Addr item = program_.block(40);
  poke_text(item + 16, "\x01highlight_group_2");
  program_.strong_root(item + 17);
  world_ = program_.build();
  EXPECT_EQ(world_.verdict(world_.trace(), item), Verdict::Reachable);
}

TEST_F(InteriorRule, TheEndOfAStringIsNoName) {
  const Addr path = program_.block(40);
  poke_text(path, "/usr/share/misc/magic.mgc");
  program_.strong_root(path + 16);
  world_ = program_.build();
  EXPECT_EQ(world_.verdict(world_.trace(), path), Verdict::Possible);
}

TEST_F(InteriorRule, NameThatEndsBeforeTheBlockDoes) {
  poke_text(block_ + 16, "\x01highlight_group_2");
  EXPECT_EQ(judge(17), Verdict::Possible);
}

TEST_F(InteriorRule, ElementsBehindTheirHash) {
  const Addr table = program_.block(8 * 40);  // 8 elements of 32 bytes behind 16 numbers
  for (uint64_t i = 0; i < 8; ++i) program_.poke(table + 8 * i, uint64_t{0xffffffff} << 32 | i);
  program_.strong_root(table + 64);
  world_ = program_.build();
  EXPECT_EQ(world_.verdict(world_.trace(), table), Verdict::Reachable);
}

TEST_F(InteriorRule, ElementsWithoutKeys) {
  program_.poke(block_, ~uint64_t{0});
  EXPECT_EQ(judge(8), Verdict::Reachable);
}

TEST_F(InteriorRule, LargeBlocksAreWholePages) {
  constexpr uint64_t kElements = 4096;
  const Addr table = program_.block((kElements * 40 + 4095) / 4096 * 4096 + 4096 - 16);
  for (uint64_t i = 0; i < kElements; ++i) program_.poke(table + 8 * i, ~uint64_t{0});
  program_.strong_root(table + 8 * kElements);
  world_ = program_.build();
  EXPECT_EQ(world_.verdict(world_.trace(), table), Verdict::Reachable);
}

TEST_F(InteriorRule, NumbersBeyondTheElementsAreNoHash) {
  const Addr table = program_.block(8 * 40);
  for (uint64_t i = 0; i < 8; ++i) program_.poke(table + 8 * i, uint64_t{0xffffffff} << 32 | 8);
  program_.strong_root(table + 64);
  world_ = program_.build();
  EXPECT_EQ(world_.verdict(world_.trace(), table), Verdict::Possible);
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

// Buckets of 24 bytes, then the control bytes of Rust's hash tables.
TEST_F(InteriorRule, ControlBytesOfASmallTable) {
  poke_small_table(0xffff'ffff'05ff'ff12);
  EXPECT_EQ(judge(8 * 24), Verdict::Reachable);
}

TEST_F(InteriorRule, ControlBytesAreNotAllFull) {
  poke_small_table(0x0102'0304'0506'0708);
  EXPECT_EQ(judge(8 * 24), Verdict::Possible);
}

TEST_F(InteriorRule, ControlBytesAreRepeated) {
  poke_small_table(0xffff'ffff'05ff'ff12);
  program_.poke(block_ + 8 * 24 + 16, uint64_t{0xffff'ffff'05ff'ff13});
  EXPECT_EQ(judge(8 * 24), Verdict::Possible);
}

TEST_F(InteriorRule, ControlBytesOfALargeTable) {
  constexpr uint64_t kBuckets = 32;
  const Addr table = program_.block(kBuckets * 17 + 16 + 8);  // 16 bytes each
  const Addr control = table + kBuckets * 16;
  for (uint64_t i = 0; i < kBuckets; i += 8) program_.poke(control + i, 0xffff'8000'7f10'ff00 + i);
  program_.poke(control + kBuckets, uint64_t{0xffff'8000'7f10'ff00});
  program_.poke(control + kBuckets + 8, uint64_t{0xffff'8000'7f10'ff08});
  const Addr element = program_.block(40);
  program_.poke(table + 8, element);
  program_.strong_root(control);
  world_ = program_.build();
  const Reachability reach = world_.trace();
  EXPECT_EQ(world_.verdict(reach, table), Verdict::Reachable);
  EXPECT_EQ(world_.verdict(reach, element), Verdict::Reachable);
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

TEST_F(InteriorRule, ObjectWhoseTypeIsAnObjectItself) {
  const Addr type = program_.block(1064);
  program_.strong_root(type);
  program_.poke(type + 16, uint64_t{5});
  program_.poke(type + 24, FakeProgram::kStrong + 0x800);
  program_.poke(block_ + 32, uint64_t{2});
  program_.poke(block_ + 40, type + 16);
  EXPECT_EQ(judge(32), Verdict::Reachable);
}

TEST_F(InteriorRule, TypesThatNameEachOtherLeadNowhere) {
  const Addr type = program_.block(1064);
  program_.strong_root(type);
  program_.poke(type + 16, uint64_t{5});
  program_.poke(type + 24, type + 16);
  program_.poke(block_ + 32, uint64_t{2});
  program_.poke(block_ + 40, type + 16);
  EXPECT_EQ(judge(32), Verdict::Possible);
}

// A block that is the stack of a fiber: what it pushed when it was left.
class StackRule : public InteriorRule {
 protected:
  StackRule() {
    program_.poke(saved_ + 8 * 7, FakeProgram::kCode + 0x123);
    program_.poke(saved_ + 8 * 9, stack_ + kSaved + 8 * 20);
    program_.poke(saved_ + 8 * 20, stack_ + kSaved + 8 * 30);
    program_.poke(saved_ + 8 * 21, FakeProgram::kCode + 0x223);
    program_.poke(saved_ + 8 * 31, FakeProgram::kCode + 0x323);
  }
  Verdict judge_stack(Addr held_at) {
    program_.strong_root(held_at);
    world_ = program_.build();
    return world_.verdict(world_.trace(), stack_);
  }

  static constexpr uint64_t kSize = 16 << 10;
  static constexpr uint64_t kSaved = kSize - 800;
  Addr stack_ = program_.block(kSize + 4096 + 8);
  Addr saved_ = stack_ + kSaved;
};

TEST_F(StackRule, SavedStackPointer) { EXPECT_EQ(judge_stack(saved_), Verdict::Reachable); }

TEST_F(StackRule, NoStackPointerWithoutAnAddressToGoOnAt) {
  program_.poke(saved_ + 8 * 7, uint64_t{0});
  EXPECT_EQ(judge_stack(saved_), Verdict::Possible);
}

TEST_F(StackRule, NoStackPointerWithoutFrames) {
  program_.poke(saved_ + 8 * 20, uint64_t{0});
  EXPECT_EQ(judge_stack(saved_), Verdict::Possible);
}

TEST_F(StackRule, ObjectAtTheUpperEndThatHasTheStackPointer) {
  program_.poke(stack_ + kSize - 64 + 16, saved_);
  EXPECT_EQ(judge_stack(stack_ + kSize - 64), Verdict::Reachable);
}

TEST_F(InteriorRule, SlabsOfOneHead) {
  const Addr head = program_.block(1064);
  program_.poke(head, block_);
  program_.poke(head + 8, head);
  program_.poke(block_ + 8, head);
  EXPECT_EQ(judge(64), Verdict::Reachable);
}

TEST_F(InteriorRule, AnEmptyListIsNoSlab) {
  program_.poke(block_, block_);
  program_.poke(block_ + 8, block_);
  EXPECT_EQ(judge(64), Verdict::Possible);
}

TEST_F(InteriorRule, ASlabAndItsNextHaveOneHead) {
  const Addr next = program_.block(1064);
  program_.poke(block_, next);
  program_.poke(block_ + 8, block_);
  EXPECT_EQ(judge(64), Verdict::Possible);
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
