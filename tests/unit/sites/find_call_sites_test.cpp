#include <gtest/gtest.h>

#include <span>

#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {
namespace {

// A program without frames or symbols but malloc's: functions begin where calls lead.
class FindCallSites : public testing::Test {
 public:
  static constexpr uint64_t kBase = 0x400000;
  static constexpr uint64_t kMalloc = kBase + 0x10;

  FindCallSites() : code_(0x400, uint8_t{0xcc}) { put(kMalloc, {0xc3}); }

  void put(uint64_t at, std::vector<uint8_t> bytes) {
    std::copy(bytes.begin(), bytes.end(), code_.begin() + static_cast<ptrdiff_t>(at - kBase));
  }
  // The bytes of a call at `at`.
  static std::vector<uint8_t> call(uint64_t at, uint64_t target, uint8_t opcode = 0xe8) {
    const auto offset = static_cast<uint32_t>(target - (at + 5));
    std::vector<uint8_t> bytes{opcode};
    for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<uint8_t>(offset >> (8 * i)));
    return bytes;
  }

  CallSites find() {
    ImageBuilder builder;
    Module module;
    module.path = "/program";
    module.range = AddrRange::sized(Addr(kBase), 0x1000);
    module.bias = kBase;
    module.segments.push_back({module.range, false, true});
    module.is_executable = true;
    const ModuleId id = builder.add_module(module);
    Region region;
    code_.resize(0x1000, uint8_t{0xcc});
    region.range = module.range;
    region.perms = {.read = true, .execute = true};
    region.backing = Backing::File;
    region.contents = Contents::Saved;
    region.module = id;
    region.bytes = builder.keep_copy(std::as_bytes(std::span(code_)));
    builder.add_region(region);
    image_ = builder.freeze();
    SymbolsBuilder symbols(image_);
    symbols.add(id, {.name = "malloc", .address = Addr(kMalloc), .size = 1});
    const Symbols names = symbols.freeze();
    return find_call_sites(image_, names, find_runtime_facts(image_, names));
  }

  std::vector<uint8_t> code_;
  MemoryImage image_;
};

TEST_F(FindCallSites, LooksThroughWrappersAndTheirHeaders) {
  constexpr uint64_t kWrapper = kBase + 0x40;
  constexpr uint64_t kJumper = kBase + 0x80;
  constexpr uint64_t kMaker = kBase + 0xc0;
  constexpr uint64_t kMain = kBase + 0x100;
  put(kWrapper, {0x48, 0x83, 0xc7, 0x10});  // add rdi, 16
  put(kWrapper + 4, call(kWrapper + 4, kMalloc));
  put(kWrapper + 9, {0x48, 0x83, 0xc0, 0x10, 0xc3});  // add rax, 16; ret
  put(kJumper, call(kJumper, kWrapper, 0xe9));
  put(kMaker, {0xbf, 0x20, 0, 0, 0});  // mov edi, 0x20
  put(kMaker + 5, call(kMaker + 5, kJumper));
  put(kMaker + 10, {0x48, 0xc7, 0x40, 0x08, 7, 0, 0, 0, 0xc3});  // mov qword [rax + 8], 7; ret
  put(kMain, call(kMain, kMaker));
  put(kMain + 5, call(kMain + 5, kMain));
  put(kMain + 10, {0xc3});
  // Nobody gets here; it tells where the wrapper begins.
  put(kMain + 0x20, call(kMain + 0x20, kWrapper));
  const CallSites sites = find();
  ASSERT_EQ(sites.rows.size(), 1U);
  const CallSite& site = sites.rows[CallSiteId(0)];
  EXPECT_EQ(site.call, Addr(kMaker + 5));
  EXPECT_EQ(site.after, Addr(kMaker + 10));
  EXPECT_EQ(site.function, Addr(kMaker));
  EXPECT_EQ(site.bytes.constants, (std::vector<uint64_t>{0x30})) << "with the header";
  ASSERT_EQ(site.fields.size(), 1U);
  EXPECT_EQ(site.fields[0].offset, 0x18U) << "as malloc's caller sees it";
  EXPECT_EQ(site.fields[0].value, 7U);
  const AllocatorFunction& jumper = sites.allocators[site.allocator];
  EXPECT_EQ(jumper.function, Addr(kJumper));
  EXPECT_EQ(jumper.inner, Addr(kWrapper));
  EXPECT_EQ(jumper.header_bytes, 16U);
}

TEST_F(FindCallSites, AFunctionThatMakesSomethingIsTheSiteItself) {
  constexpr uint64_t kMaker = kBase + 0x40;
  constexpr uint64_t kUser = kBase + 0x80;
  put(kMaker, {0xbf, 0x20, 0, 0, 0});  // mov edi, 0x20
  put(kMaker + 5, call(kMaker + 5, kMalloc));
  put(kMaker + 10, {0xc3});
  // Two of them, the second at +0x10 of the first.
  put(kUser, {0x53});  // push rbx
  put(kUser + 1, call(kUser + 1, kMaker));
  put(kUser + 6, {0x48, 0x89, 0xc3});  // mov rbx, rax
  put(kUser + 9, call(kUser + 9, kMaker));
  put(kUser + 14, {0x48, 0x89, 0x43, 0x10, 0x5b, 0xc3});  // mov [rbx + 0x10], rax; pop rbx; ret
  put(kBase + 0xc0, call(kBase + 0xc0, kUser));
  const CallSites sites = find();
  ASSERT_EQ(sites.rows.size(), 1U);
  EXPECT_EQ(sites.rows[CallSiteId(0)].call, Addr(kMaker + 5));
  ASSERT_EQ(sites.links.size(), 1U);
  EXPECT_EQ(sites.links[0].child, CallSiteId(0));
  EXPECT_EQ(sites.links[0].parent, CallSiteId(0));
  EXPECT_EQ(sites.links[0].offset, 0x10U);
}

TEST_F(FindCallSites, WithoutAnAllocatorThereIsNothing) {
  put(kBase + 0x40, call(kBase + 0x40, kBase + 0x80));
  EXPECT_TRUE(find().rows.empty());
}

}  // namespace
}  // namespace heapscan
