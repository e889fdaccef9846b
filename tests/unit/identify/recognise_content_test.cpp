#include <gtest/gtest.h>

#include "identify/recognisers/recognisers.h"
#include "unit/identify/recogniser_world.h"

namespace heapscan {
namespace {

constexpr uint64_t kSize = 136;

class RecogniseContent : public testing::Test {
 protected:
  // That many blocks that hold `first` and, from +0x30 on, the word `later`.
  [[nodiscard]] std::string label_of(size_t blocks, uint64_t first, uint64_t later) {
    RecogniserWorld world;
    std::vector<Addr> members;
    for (size_t i = 0; i < blocks; ++i) {
      members.push_back(world.program.block(kSize));
      world.program.poke(members.back(), first);
      world.program.poke(members.back() + 0x30, later);
    }
    const FamilyId family = world.family(members, Shape::Untouched);
    const auto evidence = recognise_content(world.inputs(), family);
    return evidence ? evidence->label : "";
  }
};

TEST_F(RecogniseContent, ZerosAreCalledSo) { EXPECT_EQ(label_of(1, 0, 0), "zero-filled"); }

// One block may be a buffer whose first words the program left out to align it.
TEST_F(RecogniseContent, OnlyManyBlocksAreUntouched) {
  EXPECT_EQ(label_of(1, 0x55a58adc4fd6, 0x1db71064), "");
  EXPECT_EQ(label_of(30, 0x55a58adc4fd6, 0x1db71064), "untouched since allocation");
}

}  // namespace
}  // namespace heapscan
