#include <gtest/gtest.h>

#include "heapscan/diff/diff.h"
#include "heapscan/image/image.h"

namespace heapscan {
namespace {

constexpr uint64_t kAtRandom = 25;

struct Program {
  std::string path = "/usr/bin/server";
  std::string build_id = "ab12";
  uint64_t begin = 0x555555550000;
  uint64_t random = 7;  // what the kernel gave it with exec
};

MemoryImage image_of(const Program& program) {
  ImageBuilder builder;
  Module module;
  module.path = program.path;
  module.build_id = program.build_id;
  module.range = AddrRange::sized(Addr(program.begin), 0x1000);
  module.is_executable = true;
  builder.add_module(module);
  std::vector<std::byte> stack(0x1000);
  std::memcpy(stack.data(), &program.random, sizeof program.random);
  Region region;
  region.range = AddrRange::sized(Addr(0x7ffffffde000), 0x1000);
  region.perms = {true, true, false, false};
  region.contents = Contents::Saved;
  region.bytes = builder.keep_copy(stack);
  builder.add_region(region);
  builder.set_aux({{kAtRandom, region.range.begin().value}});
  return builder.freeze();
}

std::string why_not_same(const Program& before, const Program& after) {
  const SameProcess same = compare_processes(mark_of(image_of(before)), mark_of(image_of(after)));
  EXPECT_EQ(same.is_same, same.why_not.empty());
  return same.why_not;
}

TEST(CompareProcesses, OneRunIsOneProcess) { EXPECT_EQ(why_not_same({}, {}), ""); }

TEST(CompareProcesses, SaysWhatIsDifferent) {
  EXPECT_EQ(why_not_same({}, {.path = "/usr/bin/other"}), "they are of different programs");
  EXPECT_EQ(why_not_same({}, {.build_id = "ab13"}), "they are of two builds of the program");
  EXPECT_EQ(why_not_same({.path = "/opt/server-1.0"}, {.path = "/opt/server-1.1"}),
            "they are of two builds of the program");
  EXPECT_EQ(why_not_same({}, {.begin = 0x555555560000}), "they are of two runs of the program");
  EXPECT_EQ(why_not_same({}, {.random = 8}), "they are of two runs of the program");
}

// A process id may have been given to another program since: only what exec gave it tells.
TEST(CompareProcesses, AProgramWithoutAName) {
  EXPECT_FALSE(compare_processes({}, mark_of(image_of({}))).is_same);
}

}  // namespace
}  // namespace heapscan
