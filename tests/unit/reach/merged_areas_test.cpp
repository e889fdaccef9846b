// Mappings that touch, divided by what their contents begin with and by what leads into them.
#include "heapscan/reach/merged_areas.h"

#include <gmock/gmock.h>

#include "support/fake_program.h"

namespace heapscan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uint64_t kPart = 16 * kPage;
constexpr uint64_t kParts = 20;
constexpr uint64_t kMagic = 0x62756666;

// An area of twenty parts, each of which begins with the same word and its number.
class MergedAreasTest : public testing::Test {
 protected:
  MergedAreasTest() : area_(program_.mapping(kParts * kPart)) {
    for (uint64_t i = 0; i < kParts; ++i) {
      program_.poke(part(i), kMagic);
      program_.poke(part(i) + 8, i + 1);
    }
  }
  [[nodiscard]] Addr part(uint64_t number) const { return area_ + number * kPart; }
  [[nodiscard]] std::vector<MergedArea> find() {
    const FakeProgram::World world = program_.build();
    return find_merged_areas(world.image, world.heap, world.roots, world.trace());
  }

  FakeProgram program_;
  Addr area_;
};

TEST_F(MergedAreasTest, PartsThatNothingNamesAreToldOf) {
  for (const uint64_t i : {1U, 5U, 6U, 19U}) program_.strong_root(part(i));
  const auto found = find();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].period, kPart);
  EXPECT_EQ(found[0].first, area_);
  EXPECT_EQ(found[0].parts, kParts);
  EXPECT_EQ(found[0].places, 4U);
  EXPECT_EQ(found[0].named, 4U);
  ASSERT_THAT(found[0].unnamed, SizeIs(16));
  EXPECT_EQ(found[0].unnamed[0], part(0));
  EXPECT_EQ(found[0].unnamed[1], part(2));
  EXPECT_EQ(found[0].unnamed_bytes, 16 * kPart);
}

TEST_F(MergedAreasTest, ANamedPartNamesOthers) {
  for (const uint64_t i : {1U, 5U, 6U}) program_.strong_root(part(i));
  for (uint64_t i = 6; i + 1 < kParts; ++i) program_.poke(part(i) + 16, part(i + 1) + 100);
  const auto found = find();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].places, 3U);
  EXPECT_THAT(found[0].unnamed, ElementsAre(part(0), part(2), part(3), part(4)));
}

TEST_F(MergedAreasTest, LiveBlocksName) {
  const Addr block = program_.block(88);
  program_.strong_root(block);
  program_.strong_root(part(0));
  for (uint64_t i = 1; i < kParts - 1; ++i) {
    const Addr holder = program_.block(24);
    program_.poke(holder, part(i));
    program_.strong_root(holder);
  }
  const auto found = find();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(found[0].unnamed, ElementsAre(part(kParts - 1)));
}

TEST_F(MergedAreasTest, WhereAllIsNamedNothingIsSaid) {
  for (uint64_t i = 0; i < kParts; ++i) program_.strong_root(part(i));
  EXPECT_THAT(find(), IsEmpty());
}

TEST_F(MergedAreasTest, ItsBeginAndACursorAreNoEvidence) {
  program_.strong_root(part(0));
  program_.strong_root(part(7));
  EXPECT_THAT(find(), IsEmpty());
}

TEST_F(MergedAreasTest, PointersToElsewhereThanBeginningsAreNoEvidence) {
  for (const uint64_t i : {1U, 5U, 6U}) program_.strong_root(part(i));
  for (const uint64_t i : {8U, 9U, 12U, 13U}) program_.strong_root(part(i) + 5000);
  EXPECT_THAT(find(), IsEmpty());
}

TEST(MergedAreas, WithoutASpacingNothingIsSaid) {
  FakeProgram program;
  const Addr area = program.mapping(kParts * kPart);
  for (uint64_t i = 0; i < kParts; ++i) program.poke(area + i * kPart, 1000 + i);
  for (const uint64_t i : {1U, 5U, 6U}) program.strong_root(area + i * kPart);
  const FakeProgram::World world = program.build();
  EXPECT_THAT(find_merged_areas(world.image, world.heap, world.roots, world.trace()), IsEmpty());
}

TEST(MergedAreas, AnArrayOfPagesAlikeIsOneThing) {
  FakeProgram program;
  const Addr area = program.mapping(512 * kPage);
  for (uint64_t i = 0; i < 512; ++i) program.poke(area + i * kPage, kMagic);
  for (const uint64_t i : {1U, 5U, 6U, 9U}) program.strong_root(area + i * kPage);
  const FakeProgram::World world = program.build();
  EXPECT_THAT(find_merged_areas(world.image, world.heap, world.roots, world.trace()), IsEmpty());
}

}  // namespace
}  // namespace heapscan
