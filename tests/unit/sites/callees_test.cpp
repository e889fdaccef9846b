// Whom calls lead to that name nobody: through slots, and through members of structs.
#include <elf.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sites/known_functions.h"
#include "unit/sites/small_program.h"

namespace heapscan {
namespace {

using CallsThroughMembers = SmallProgram;

// As lua does: the allocator is handed over and kept in a state, with which it is called.
TEST_F(CallsThroughMembers, AnAllocatorThatWasHandedOverIsFoundWhereAParameterIsPassedOn) {
  constexpr uint64_t kWrapper = kBase + 0x40;
  constexpr uint64_t kUser = kBase + 0x80;
  constexpr uint64_t kMain = kBase + 0xc0;
  put(kWrapper, {0x48, 0x89, 0xf7});  // mov rdi, rsi
  put(kWrapper + 3, call(kWrapper + 3, kMalloc, 0xe9));
  poke(kHeap + 0x110, kWrapper);          // state->allocate
  poke(kHeap + 0x10, kHeap + 0x100);      // a pointer to the state
  put(kUser, {0x53});                     // push rbx
  put(kUser + 1, {0x48, 0x8b, 0x5f, 8});  // mov rbx, [rdi + 8]
  put(kUser + 5, {0x48, 0x8b, 0x3b});     // mov rdi, [rbx]
  put(kUser + 8, {0xff, 0x53, 0x10});     // call [rbx + 0x10]
  put(kUser + 11, {0x5b, 0xc3});          // pop rbx; ret
  put(kMain, {0xbe, 0x18, 0, 0, 0});      // mov esi, 0x18
  put(kMain + 5, call(kMain + 5, kUser));
  put(kMain + 10, {0xc3});
  put(kBase + 0x100, call(kBase + 0x100, kMain));
  put(kBase + 0x105, call(kBase + 0x105, kWrapper));
  const CallSites sites = find();
  const auto at_main = std::find_if(sites.rows.begin(), sites.rows.end(),
                                    [](const CallSite& s) { return s.call == Addr(kMain + 5); });
  ASSERT_NE(at_main, sites.rows.end());
  EXPECT_EQ(at_main->bytes.constants, (std::vector<uint64_t>{0x18}));
}

// As expat does: a struct that was handed over holds malloc, and sizes are constants.
TEST_F(CallsThroughMembers, MallocIsCalledThroughAMemberWithASize) {
  constexpr uint64_t kMaker = kBase + 0x80;
  poke(kHeap + 0x118, kMalloc);             // parser->malloc
  poke(kHeap + 0x10, kHeap + 0x100);        // a pointer to the parser
  put(kMaker, {0xbf, 0x40, 0, 0, 0});       // mov edi, 0x40
  put(kMaker + 5, {0xff, 0x53, 0x18});      // call [rbx + 0x18]
  put(kMaker + 8, {0xbf, 3, 0, 0, 0});      // mov edi, 3
  put(kMaker + 13, {0xff, 0x53, 0x18});     // call [rbx + 0x18]: a callback, by what it is given
  put(kMaker + 16, {0x48, 0x89, 0xf7});     // mov rdi, rsi
  put(kMaker + 19, {0xff, 0x53, 0x18});     // call [rbx + 0x18]: another
  put(kMaker + 22, {0xbf, 0x40, 0, 0, 0});  // mov edi, 0x40
  put(kMaker + 27, {0xff, 0x53, 0x20});     // call [rbx + 0x20]: nothing is known of that member
  put(kMaker + 30, {0xc3});
  put(kBase + 0x100, call(kBase + 0x100, kMaker));
  put(kBase + 0x105, call(kBase + 0x105, kMalloc));
  const CallSites sites = find();
  std::vector<Addr> calls;
  for (const CallSite& site : sites.rows) {
    if (site.function == Addr(kMaker)) calls.push_back(site.call);
  }
  ASSERT_EQ(calls, std::vector<Addr>{Addr(kMaker + 5)});
}

// As tidy does: a table in the module's own data has its allocator, which nobody calls by name.
TEST_F(CallsThroughMembers, AnAllocatorInAModulesOwnTableIsCalledThroughIt) {
  constexpr uint64_t kWrapper = kBase + 0x40;
  constexpr uint64_t kMaker = kBase + 0x80;
  put(kWrapper, {0x48, 0x89, 0xf7});  // mov rdi, rsi
  put(kWrapper + 3, call(kWrapper + 3, kMalloc, 0xe9));
  poke(kData + 0x40, kWrapper);            // the table
  poke(kData + 0x80, kData + 0x40);        // an object with that table
  put(kMaker, {0x48, 0x8b, 0x3b});         // mov rdi, [rbx]
  put(kMaker + 3, {0x48, 0x8b, 0x07});     // mov rax, [rdi]
  put(kMaker + 6, {0xbe, 0x50, 0, 0, 0});  // mov esi, 0x50
  put(kMaker + 11, {0xff, 0x10});          // call [rax]
  put(kMaker + 13, {0xc3});
  put(kBase + 0x100, call(kBase + 0x100, kMaker));
  put(kBase + 0x105, call(kBase + 0x105, kWrapper));
  const CallSites sites = find();
  const auto made = std::find_if(sites.rows.begin(), sites.rows.end(),
                                 [](const CallSite& s) { return s.call == Addr(kMaker + 11); });
  ASSERT_NE(made, sites.rows.end());
  EXPECT_EQ(made->bytes.constants, (std::vector<uint64_t>{0x50}));
}

// A program that calls a function of another module through a slot which the loader has bound by name.
class Importing : public SmallProgram {
 public:
  static constexpr uint64_t kLibrary = 0x600000;
  static constexpr uint64_t kSlot = kData + 0x800;

  explicit Importing() {
    // The dynamic section, its symbols, its names, its relocations.
    constexpr uint64_t kSymbols = kData + 0x200;
    constexpr uint64_t kNames = kData + 0x300;
    constexpr uint64_t kRelocations = kData + 0x400;
    dynamic_ = AddrRange::sized(Addr(kData + 0x100), 0x60);
    const std::pair<uint64_t, uint64_t> entries[] = {{DT_SYMTAB, kSymbols},
                                                     {DT_STRTAB, kNames},
                                                     {DT_JMPREL, kRelocations},
                                                     {DT_PLTRELSZ, sizeof(Elf64_Rela)},
                                                     {DT_NULL, 0}};
    uint64_t at = dynamic_.begin().value;
    for (const auto& [tag, value] : entries) {
      poke(at, tag);
      poke(at + 8, value);
      at += 16;
    }
    poke(kSymbols + sizeof(Elf64_Sym), 1);  // the name; undefined
    poke(kNames, 0x6e656c72747300);         // "", "strlen"
    poke(kRelocations, kSlot - kBase);
    poke(kRelocations + 8, ELF64_R_INFO(1, R_X86_64_JUMP_SLOT));
    poke(kSlot, kLibrary + 0x40);
    library_.assign(0x100, uint8_t{0xc3});
  }
};

TEST_F(Importing, AVariantOfStrlenIsKnownByTheNameOfTheSlot) {
  constexpr uint64_t kCopy = kBase + 0x100;
  put_relative(kCopy, {0xff, 0x15}, kSlot);  // call [slot]
  put(kCopy + 6, {0x48, 0x8d, 0x78, 0x02});  // lea rdi, [rax + 2]
  put(kCopy + 10, call(kCopy + 10, kMalloc));
  put(kCopy + 15, {0xc3});
  for (const uint64_t caller : {kBase + 0x200, kBase + 0x240}) put(caller, call(caller, kCopy));
  const CallSites found = find();
  ASSERT_EQ(found.rows.size(), 1U);
  const CallSite& site = found.rows[CallSiteId(0)];
  EXPECT_TRUE(site.bytes.is_of_text);
  EXPECT_TRUE(site.makes_text);
  EXPECT_EQ(site.bytes.base, 2U);
  EXPECT_EQ(site.callers, 2U);
}

TEST(KnownFunctions, AreKnownByAllTheirNames) {
  for (const char* const name : {"strlen", "__strlen_avx2", "__strlen_evex", "__strnlen_sse2"})
    EXPECT_TRUE(returns_length(name)) << name;
  for (const char* const name : {"strcpy", "__strcpy_chk", "__stpcpy_evex", "__vsnprintf_chk"})
    EXPECT_TRUE(writes_text(name)) << name;
  for (const char* const name : {"memcpy", "__memmove_avx_unaligned_erms", "__memset_chk"})
    EXPECT_TRUE(returns_first_parameter(name)) << name;
  for (const char* const name : {"strlen_of", "my_strcpy", "__str", "_strlen", ""}) {
    EXPECT_FALSE(returns_length(name)) << name;
    EXPECT_FALSE(writes_text(name)) << name;
  }
}

}  // namespace
}  // namespace heapscan
