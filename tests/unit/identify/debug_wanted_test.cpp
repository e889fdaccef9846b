#include "heapscan/identify/debug_wanted.h"

#include <gmock/gmock.h>

#include "recogniser_world.h"

namespace heapscan {
namespace {

TEST(DebugWanted, FunctionsThatExamplesPointAtOnceEach) {
  RecogniserWorld world;
  const Addr first = world.program.block(40);
  const Addr second = world.program.block(64);
  const Addr unclustered = world.program.block(40);
  world.program.poke(first, FakeProgram::kCode + 0x20);
  world.program.poke(first + 8, FakeProgram::kStrong);
  world.program.poke(second + 16, FakeProgram::kCode + 0x10);
  world.program.poke(second + 24, FakeProgram::kCode + 0x20);
  world.program.poke(unclustered, FakeProgram::kCode + 0x30);
  world.family({first});
  world.family({second});
  const Inputs& inputs = world.inputs();
  Clusters clusters;
  for (const Family& family : inputs.families.rows) {
    Cluster row;
    row.samples = family.samples;
    clusters.rows.push_back(std::move(row));
  }
  EXPECT_THAT(
      functions_pointed_at(inputs.image, inputs.runtime, inputs.heap, clusters),
      testing::ElementsAre(Addr(FakeProgram::kCode + 0x10), Addr(FakeProgram::kCode + 0x20)));
}

TEST(DebugWanted, NothingIsReadThatIsNotDescribed) {
  RecogniserWorld world;
  world.family({world.program.block(40)});
  const Inputs& inputs = world.inputs();
  EXPECT_THAT(modules_worth_reading(inputs.image, inputs.runtime, inputs.heap, inputs.families,
                                    DebugInfo()),
              testing::IsEmpty());
}

}  // namespace
}  // namespace heapscan
