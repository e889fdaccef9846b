#include "reach/stale_words.h"

#include <gtest/gtest.h>

#include "heapscan/base/parallel.h"
#include "heapscan/reach/holders.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

constexpr size_t kOwners = 80;
constexpr size_t kRoom = 16;
constexpr size_t kUsed = 5;
constexpr uint64_t kItem = 104;

// Owners, blocks of one size with the three pointers of a vector at one offset; of the items, what
// stands behind the end was freed, but for one of each.
class SpareRoomTest : public testing::Test {
 protected:
  [[nodiscard]] Addr item(BlockState state = BlockState::Used) {
    return program_.block(kItem, state);
  }
  // `is_kept(place)`: whether the item there was not freed.
  template <typename F>
  void add_owner(F&& is_kept, size_t used = kUsed) {
    const Addr owner = program_.block(72);
    const Addr array = program_.block(kRoom * 8 + 8);
    program_.strong_root(owner);
    program_.poke(owner + 16, array);
    program_.poke(owner + 24, array + used * 8);
    program_.poke(owner + 32, array + kRoom * 8);
    for (size_t i = 0; i < kRoom; ++i) {
      const bool kept = is_kept(i);
      const Addr one = item(kept ? BlockState::Used : BlockState::Binned);
      program_.poke(array + i * 8, one);
      items_.push_back(one);
    }
    arrays_.push_back(array);
    owners_.push_back(owner);
  }
  void add_owners() {
    for (size_t i = 0; i < kOwners; ++i)
      add_owner([](size_t place) { return place < kUsed || place == 9; });
  }
  void trace() {
    world_ = program_.build();
    reach_ = world_.trace();
  }
  [[nodiscard]] Verdict verdict(size_t owner, size_t place) const {
    return world_.verdict(reach_, items_[owner * kRoom + place]);
  }
  [[nodiscard]] uint64_t total(Verdict verdict) const {
    return reach_.totals[static_cast<size_t>(verdict)].blocks;
  }

  FakeProgram program_;
  FakeProgram::World world_;
  Reachability reach_;
  std::vector<Addr> items_;
  std::vector<Addr> arrays_;
  std::vector<Addr> owners_;
};

TEST_F(SpareRoomTest, HoldsNothing) {
  add_owners();
  trace();
  EXPECT_EQ(total(Verdict::Definite), kOwners);
  EXPECT_EQ(total(Verdict::Possible), 0U);
  EXPECT_EQ(verdict(3, 9), Verdict::Definite);
  for (size_t i = 0; i < kUsed; ++i) EXPECT_EQ(verdict(3, i), Verdict::Reachable) << i;
  ASSERT_EQ(reach_.stale_held.size(), kOwners);
  const BlockId asked[] = {world_.heap.block_at(items_[9])};
  const auto holders = find_holders(world_.image, world_.heap, world_.roots, reach_, asked);
  ASSERT_TRUE(holders.front().has_value());
  EXPECT_NE(describe(*holders.front(), world_.image, world_.heap, world_.roots, reach_)
                .find("behind what is in use of the array"),
            std::string::npos);
}

TEST_F(SpareRoomTest, SaysTheSameWithAnyNumberOfThreads) {
  add_owners();
  trace();
  for (const unsigned threads : {1U, 2U, 7U}) {
    const ThreadLimit limit(threads);
    EXPECT_EQ(world_.trace().lost.size(), reach_.lost.size()) << threads;
  }
}

TEST_F(SpareRoomTest, AFewAreOnlyPossible) {
  for (size_t i = 0; i < 20; ++i)
    add_owner([](size_t place) { return place < kUsed || place == 9; });
  trace();
  EXPECT_EQ(total(Verdict::Definite), 0U);
  EXPECT_EQ(total(Verdict::Possible), 20U);
  ASSERT_FALSE(reach_.possible.empty());
  EXPECT_EQ(reach_.possible.front().reason, Reason::StaleWord);
}

// An owner may say which element is the last one, not where the one behind it would be.
TEST_F(SpareRoomTest, BeginsBehindTheFirstElementThatIsFree) {
  for (size_t i = 0; i < kOwners; ++i)
    add_owner([](size_t place) { return place <= kUsed || place == 9; });
  trace();
  EXPECT_EQ(verdict(3, kUsed), Verdict::Reachable);
  EXPECT_EQ(verdict(3, 9), Verdict::Definite);
}

// A reader: what it has passed was freed, what stands behind is still to be read.
TEST_F(SpareRoomTest, IsNotWhatAReaderHasNotRead) {
  for (size_t i = 0; i < kOwners; ++i) add_owner([](size_t place) { return place >= kUsed; });
  trace();
  EXPECT_EQ(verdict(3, 9), Verdict::Reachable);
  EXPECT_EQ(total(Verdict::Possible), 0U);
}

// What is still to be read, where nothing of what was read was freed.
TEST_F(SpareRoomTest, IsProvenByFreedMemory) {
  for (size_t i = 0; i < kOwners; ++i) add_owner([](size_t) { return true; });
  trace();
  EXPECT_EQ(verdict(3, 9), Verdict::Reachable);
}

TEST_F(SpareRoomTest, EndsWhereTheLastOwnerSaysThatUseEnds) {
  add_owners();
  for (const Addr array : arrays_) {
    program_.strong_root(array);
    program_.strong_root(array + 12 * 8);
    program_.strong_root(array + kRoom * 8);
  }
  trace();
  EXPECT_EQ(verdict(3, 9), Verdict::Reachable);
}

// Its block was freed and handed out again: two call it theirs.
TEST_F(SpareRoomTest, IsInDisputeWhereAnotherBlockPointsAtTheArray) {
  add_owners();
  for (const Addr array : arrays_) {
    const Addr other = program_.block(40);
    program_.strong_root(other);
    program_.poke(other + 8, array);
  }
  trace();
  EXPECT_EQ(total(Verdict::Definite), 0U);
  EXPECT_EQ(verdict(3, 9), Verdict::Possible);
}

TEST_F(SpareRoomTest, OfALostBlockHangsNothingBelowIt) {
  add_owners();
  const Addr heads[] = {program_.block(200), program_.block(200)};
  const Addr array = program_.block(kRoom * 8 + 8);
  program_.poke(owners_.back() + 40, uint64_t{0});
  const Addr owner = program_.block(72);
  program_.poke(heads[0], owner);
  program_.poke(owner + 16, array);
  program_.poke(owner + 24, array + 8);
  program_.poke(owner + 32, array + kRoom * 8);
  program_.poke(array, item());
  program_.poke(array + 10 * 8, heads[1]);
  trace();
  EXPECT_EQ(world_.verdict(reach_, heads[0]), Verdict::Definite);
  EXPECT_EQ(world_.verdict(reach_, heads[1]), Verdict::Definite);
  EXPECT_EQ(world_.verdict(reach_, array), Verdict::Indirect);
}

// {items, used, room} in variables; too short for a row of pointers that dangles by itself.
class CountedRoom : public SpareRoomTest {
 protected:
  static constexpr size_t kPlaces = 200;
  static constexpr size_t kInUse = 60;
  static constexpr size_t kArrays = 4;
  template <typename F>
  void fill(F&& is_kept) {
    for (size_t a = 0; a < kArrays; ++a) {
      const Addr array = program_.block(kPlaces * 8 + 8);
      program_.strong_root(array);
      program_.strong_root(kPlaces << 32 | kInUse);
      for (size_t i = 0; i < kPlaces; ++i) {
        items_.push_back(item(is_kept(i) ? BlockState::Used : BlockState::Binned));
        program_.poke(array + i * 8, items_.back());
      }
    }
    trace();
  }
  [[nodiscard]] Verdict verdict_of(size_t i) const { return world_.verdict(reach_, items_[i]); }
};

TEST_F(CountedRoom, HoldsNothing) {
  fill([](size_t i) { return i < kInUse || i % 6 == 0; });
  EXPECT_EQ(verdict_of(kInUse - 1), Verdict::Reachable);
  EXPECT_EQ(verdict_of(kInUse), Verdict::Reachable) << "the first one may be counted as in use";
  EXPECT_EQ(verdict_of(66), Verdict::Definite);
  EXPECT_EQ(verdict_of(198), Verdict::Definite);
}

// The current one of many tabs.
TEST_F(CountedRoom, IsNotWhatStandsBehindAnyNumber) {
  fill([](size_t) { return true; });
  EXPECT_EQ(verdict_of(198), Verdict::Reachable);
}

TEST_F(CountedRoom, IsNotWhereFreedMemoryIsLedToFromBothSides) {
  fill([](size_t i) { return i % 6 == 0; });
  EXPECT_EQ(verdict_of(198), Verdict::Reachable);
}

// {chars, length, room}: the memory was somebody else's before.
class TextRoom : public SpareRoomTest {
 protected:
  static constexpr size_t kTexts = 80;
  // What the byte behind the text's 16 is.
  void fill(char last) {
    for (size_t i = 0; i < kTexts; ++i) {
      const Addr text = program_.block(104);
      program_.strong_root(text);
      program_.strong_root(uint64_t{16});
      program_.strong_root(uint64_t{96});
      for (uint64_t at = 0; at < 16; at += 8) program_.poke(text + at, 0x6162636465666768U);
      program_.poke(text + 16, uint64_t{static_cast<unsigned char>(last)});
      items_.push_back(item());
      program_.poke(text + 48, items_.back());
    }
    trace();
  }
};

TEST_F(TextRoom, HoldsNothing) {
  fill('\0');
  EXPECT_EQ(total(Verdict::Definite), kTexts);
  EXPECT_EQ(reach_.stale.stores.front().kind, StaleStore::Kind::BehindText);
}

TEST_F(TextRoom, IsOnlyWhereTheLengthIsTheTexts) {
  fill('x');
  EXPECT_EQ(total(Verdict::Definite), 0U);
  EXPECT_EQ(total(Verdict::Possible), 0U);
}

}  // namespace
}  // namespace heapscan
