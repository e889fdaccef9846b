#include "heap/allocator.h"

#include <gmock/gmock.h>

#include "heapscan/symbols/symbols.h"
#include "support/fake_process.h"

namespace heapscan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Addr kCodeLibc{0x7ffff7a00000};

struct Function {
  const char* name;
  uint64_t offset;
  uint64_t size;
};

// The library's code is its first page.
std::vector<AddrRange> code_with(std::initializer_list<Function> functions) {
  FakeProcess process;
  const ModuleId libc = process.add_module("/lib/libc.so.6", kCodeLibc, 0x3000);
  const MemoryImage image = process.build();
  SymbolsBuilder builder(image);
  for (const Function& f : functions)
    builder.add(libc, {.name = f.name, .address = kCodeLibc + f.offset, .size = f.size});
  return find_allocator_code(image, builder.freeze(), libc);
}

// The local functions between, before and behind the exported ones belong to it.
TEST(AllocatorCode, ReachesFromNeighbourToNeighbour) {
  EXPECT_THAT(code_with({{"timer_settime", 0x100, 0x38},
                         {"malloc", 0x400, 0x90},
                         {"free", 0x600, 0x40},
                         {"malloc_info", 0x800, 0x36},
                         {"mcheck", 0x900, 0x10}}),
              ElementsAre(AddrRange(kCodeLibc + 0x140, kCodeLibc + 0x900)));
}

TEST(AllocatorCode, EndsWithTheCode) {
  EXPECT_THAT(code_with({{"malloc", 0x400, 0x90}, {"free", 0x600, 0x40}}),
              ElementsAre(AddrRange(kCodeLibc, kCodeLibc + 0x1000)));
}

TEST(AllocatorCode, IsUnknownWithoutNames) {
  EXPECT_THAT(code_with({{"main", 0x400, 0x90}}), IsEmpty());
}

}  // namespace
}  // namespace heapscan
