#include "heap/allocator.h"

#include <elf.h>
#include <gmock/gmock.h>

#include "heapscan/symbols/symbols.h"
#include "support/fake_process.h"

namespace heapscan {
namespace {

using testing::HasSubstr;

constexpr Addr kLibc{0x7ffff7a00000};
constexpr Addr kPreload{0x7ffff7b00000};
constexpr uint64_t kLibrarySize = 0x3000;

struct Export {
  ModuleId module;
  const char* name;
};

AllocatorInCharge decide(FakeProcess& process, std::initializer_list<Export> exports,
                         std::initializer_list<Export> locals = {}) {
  const MemoryImage image = process.build();
  SymbolsBuilder builder(image);
  for (const Export& e : exports) {
    builder.add(e.module, {.name = e.name,
                           .address = image.modules()[e.module].range.begin(),
                           .size = 1,
                           .exported = true});
  }
  for (const Export& e : locals) {
    builder.add(e.module,
                {.name = e.name, .address = image.modules()[e.module].range.begin(), .size = 1});
  }
  const Symbols symbols = builder.freeze();
  const RuntimeFacts runtime = find_runtime_facts(image, symbols);
  return find_allocator({image, symbols, runtime}, known_allocators());
}

// An unused arena of glibc's shape: every bin points at itself, and the ring at the arena.
// `system`: what it got.
void put_arena(FakeProcess& process, Addr arena, uint64_t system) {
  const Addr bins = arena + 0x70;
  for (uint64_t i = 0; i < 127; ++i) {
    const Addr header = bins + 16 * i - 16;
    process.poke(header + 16, header);
    process.poke(header + 24, header);
  }
  process.poke(bins - 16, bins - 16);
  process.poke(arena + 0x870, arena);
  process.poke(arena + 0x880, 1);
  process.poke(arena + 0x888, system);
  process.poke(arena + 0x890, system);
}

TEST(FindAllocator, CLibraryServesMalloc) {
  FakeProcess process;
  const ModuleId libc = process.add_module("/lib/libc.so.6", kLibc, kLibrarySize);
  const auto found = decide(process, {{libc, "malloc"}, {libc, "__libc_start_main"}});
  EXPECT_EQ(found.name, "glibc");
  EXPECT_EQ(found.module, libc);
}

TEST(FindAllocator, LoadersOwnMallocServesNobody) {
  FakeProcess process;
  const ModuleId libc = process.add_module("/lib/libc-2.31.so", kLibc, kLibrarySize);
  const auto found = decide(
      process, {{process.loader, "malloc"}, {process.loader, "_rtld_global"}, {libc, "malloc"}});
  EXPECT_EQ(found.module, libc);
}

TEST(FindAllocator, FirstInLookupOrderServes) {
  FakeProcess process;
  const ModuleId libc = process.add_module("/lib/libc.so.6", kLibc, kLibrarySize);
  const ModuleId preload = process.add_module("/lib/libjemalloc.so.2", kPreload, kLibrarySize);
  process.link_modules({process.program, preload, libc, process.loader});
  const auto found = decide(process, {{libc, "malloc"}, {preload, "malloc"}, {preload, "mallctl"}});
  EXPECT_EQ(found.name, "jemalloc");
  EXPECT_EQ(found.module, preload);
}

TEST(FindAllocator, AllocatorThatIsLoadedBehindTheCLibraryDoesNotServe) {
  FakeProcess process;
  const ModuleId other = process.add_module("/lib/libjemalloc.so.2", kPreload, kLibrarySize);
  const ModuleId libc = process.add_module("/lib/libc.so.6", kLibc, kLibrarySize);
  put_arena(process, kLibc + 0x1100, 0x21000);
  process.link_modules({process.program, libc, process.loader, other});
  const auto found = decide(
      process,
      {{libc, "malloc"}, {libc, "__libc_start_main"}, {other, "malloc"}, {other, "mallctl"}});
  EXPECT_EQ(found.name, "glibc");
  EXPECT_THAT(found.found_by, HasSubstr("libjemalloc"));
}

TEST(FindAllocator, IdleCLibraryGivesWayToAnAllocatorOfAnotherName) {
  FakeProcess process;
  const ModuleId libc = process.add_module("/lib/libc.so.6", kLibc, kLibrarySize);
  put_arena(process, kLibc + 0x1100, 0);
  const auto found = decide(process, {{libc, "malloc"}, {libc, "__libc_start_main"}},
                            {{process.program, "_rjem_malloc"}});
  EXPECT_EQ(found.name, "jemalloc");
  EXPECT_EQ(found.module, process.program);
}

TEST(FindAllocator, AllocatorThatTakesTheCLibrarysInternalNamesIsSeen) {
  FakeProcess process;
  const ModuleId preload = process.add_module("/lib/libtcmalloc.so.4", kPreload, kLibrarySize);
  const auto found =
      decide(process, {{preload, "malloc"}, {preload, "__libc_malloc"}, {preload, "tc_malloc"}});
  EXPECT_EQ(found.name, "tcmalloc");
}

TEST(FindAllocator, WrapperOfTheCLibrarysMallocIsSeenThrough) {
  FakeProcess process;
  const ModuleId wrapper =
      process.add_module("/lib/libheaptrack_preload.so", kPreload, kLibrarySize);
  const ModuleId libc = process.add_module("/lib/libc.so.6", kLibc, kLibrarySize);
  put_arena(process, kLibc + 0x1100, 0x21000);
  process.link_modules({process.program, wrapper, libc});
  const auto found =
      decide(process, {{wrapper, "malloc"}, {libc, "malloc"}, {libc, "__libc_start_main"}});
  EXPECT_EQ(found.name, "glibc");
  EXPECT_EQ(found.module, libc);
  EXPECT_THAT(found.found_by, HasSubstr("interposed by libheaptrack_preload.so"));
}

TEST(FindAllocator, UnknownAllocatorIsNamedByItsModule) {
  FakeProcess process;
  const ModuleId mine = process.add_module("/opt/libmine.so", kPreload, kLibrarySize);
  const ModuleId libc = process.add_module("/lib/libc.so.6", kLibc, kLibrarySize);
  process.link_modules({process.program, mine, libc});
  const auto found =
      decide(process, {{mine, "malloc"}, {libc, "malloc"}, {libc, "__libc_start_main"}});
  EXPECT_EQ(found.name, "libmine.so");
}

TEST(FindAllocator, CheckedMallocIsStillGlibcs) {
  FakeProcess process;
  const ModuleId debug = process.add_module("/lib/libc_malloc_debug.so.0", kPreload, kLibrarySize);
  const ModuleId libc = process.add_module("/lib/libc.so.6", kLibc, kLibrarySize);
  const auto found =
      decide(process, {{debug, "malloc"}, {libc, "malloc"}, {libc, "__libc_start_main"}});
  EXPECT_EQ(found.name, "glibc");
  EXPECT_EQ(found.module, libc);
}

TEST(FindAllocator, AllocatorWithoutSymbolsIsKnownByItsMessages) {
  FakeProcess process;
  const ModuleId preload = process.add_module("/opt/libje.so", kPreload, kLibrarySize);
  process.poke_text(kPreload + 0x40, "<jemalloc>: Error");
  EXPECT_EQ(decide(process, {{preload, "malloc"}}).name, "jemalloc");
}

TEST(FindAllocator, StaticProgramBySymbol) {
  FakeProcess process;
  EXPECT_EQ(decide(process, {}, {{process.program, "main_arena"}}).name, "glibc");
}

TEST(FindAllocator, StaticProgramWithMuslsMalloc) {
  FakeProcess process;
  EXPECT_EQ(decide(process, {}, {{process.program, "__malloc_context"}}).name, "musl");
}

TEST(FindAllocator, StrippedStaticProgramByMessage) {
  FakeProcess process;
  process.poke_text(FakeProcess::kCode, "malloc(): corrupted top size");
  const auto found = decide(process, {});
  EXPECT_EQ(found.name, "glibc");
  EXPECT_EQ(found.module, process.program);
}

TEST(FindAllocator, StaticProgramWithAnotherAllocator) {
  FakeProcess process;
  process.poke_text(FakeProcess::kCode, "mimalloc: warning: ");
  EXPECT_EQ(decide(process, {}).name, "mimalloc");
}

TEST(FindAllocator, GoProgramHasNone) {
  FakeProcess process;
  process.poke_text(FakeProcess::kProgramData + 0x100, "\xff Go buildinf:");
  const auto found = decide(process, {});
  EXPECT_EQ(found.name, "unknown");
  EXPECT_FALSE(found.module.valid());
  EXPECT_THAT(found.found_by, HasSubstr("Go"));
}

TEST(FindAllocator, Musl) {
  FakeProcess process;
  const ModuleId musl = process.add_module("/lib/ld-musl-x86_64.so.1", kLibc, kLibrarySize);
  EXPECT_EQ(decide(process, {{musl, "malloc"}, {musl, "__libc_start_main"}}).name, "musl");
}

// The C library is the program's, but what runs is Valgrind.
TEST(FindAllocator, ProgramUnderValgrind) {
  FakeProcess process;
  const ModuleId libc = process.add_module("/lib/libc.so.6", kLibc, kLibrarySize);
  const ModuleId preloaded = process.add_module(
      "/usr/libexec/valgrind/vgpreload_core-amd64-linux.so", kPreload, kLibrarySize);
  const auto found = decide(process, {{libc, "malloc"}, {libc, "__libc_start_main"}});
  EXPECT_EQ(found.name, kValgrind);
  EXPECT_EQ(found.module, preloaded);
}

TEST(FindAllocator, NothingThereIsUnknown) {
  FakeProcess process;
  EXPECT_EQ(decide(process, {}).name, "unknown");
}

}  // namespace
}  // namespace heapscan
