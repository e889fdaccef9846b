#include <elf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <span>

#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/sites/code_listing.h"
#include "heapscan/symbols/symbols.h"
#include "sites/code_table.h"

namespace heapscan {
namespace {

// A program without frames or symbols but malloc's: functions begin where calls lead.
class FindCallSites : public testing::Test {
 public:
  static constexpr uint64_t kBase = 0x400000;
  static constexpr uint64_t kMalloc = kBase + 0x10;
  static constexpr uint64_t kData = kBase + 0x1000;  // of the program
  static constexpr uint64_t kHeap = 0x800000;

  FindCallSites()
      : code_(0x400, uint8_t{0xcc}), data_(0x1000, uint8_t{0}), heap_(0x1000, uint8_t{0}) {
    put(kMalloc, {0xc3});
  }

  // A word of the data or the heap.
  void poke(uint64_t at, uint64_t word) {
    auto& bytes = at >= kHeap ? heap_ : data_;
    std::memcpy(bytes.data() + (at - (at >= kHeap ? kHeap : kData)), &word, sizeof word);
  }

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

  // The begin of a function that asks `allocator` for `size` bytes; ten bytes of code.
  void put_request(uint64_t at, uint8_t size, uint64_t allocator) {
    put(at, {0xbf, size, 0, 0, 0});  // mov edi, size
    put(at + 5, call(at + 5, allocator));
  }

  CallSites find(const CodeStore& store = {}) {
    ImageBuilder builder;
    Module module;
    module.path = "/program";
    module.build_id = build_id_;
    module.range = AddrRange::sized(Addr(kBase), 0x2000);
    module.bias = kBase;
    module.segments.push_back({AddrRange::sized(Addr(kBase), 0x1000), false, true});
    module.segments.push_back({AddrRange::sized(Addr(kData), 0x1000), true, false});
    module.is_executable = true;
    module.dynamic = dynamic_;
    const ModuleId id = builder.add_module(module);
    Region region;
    code_.resize(0x1000, uint8_t{0xcc});
    region.range = AddrRange::sized(Addr(kBase), 0x1000);
    region.perms = {.read = true, .execute = true};
    region.backing = Backing::File;
    region.contents = Contents::Saved;
    region.module = id;
    region.bytes = builder.keep_copy(std::as_bytes(std::span(code_)));
    builder.add_region(region);
    region.range = AddrRange::sized(Addr(kData), 0x1000);
    region.perms = {.read = true, .write = true};
    region.bytes = builder.keep_copy(std::as_bytes(std::span(data_)));
    builder.add_region(region);
    region.range = AddrRange::sized(Addr(kHeap), 0x1000);
    region.backing = Backing::Anonymous;
    region.module = ModuleId::none();
    region.bytes = builder.keep_copy(std::as_bytes(std::span(heap_)));
    builder.add_region(region);
    if (!library_.empty()) add_library(builder);
    image_ = builder.freeze();
    SymbolsBuilder symbols(image_);
    symbols.add(id, {.name = "malloc", .address = Addr(kMalloc), .size = 1});
    const Symbols names = symbols.freeze();
    return find_call_sites(image_, names, find_runtime_facts(image_, names), store);
  }

  void add_library(ImageBuilder& builder) const {
    Module module;
    module.path = "/lib/other.so";
    module.range = AddrRange::sized(Addr(0x600000), 0x1000);
    module.segments.push_back({module.range, false, true});
    Region region;
    region.module = builder.add_module(module);
    region.range = AddrRange::sized(Addr(0x600000), 0x1000);
    region.perms = {.read = true, .execute = true};
    region.backing = Backing::File;
    region.contents = Contents::Saved;
    std::vector<uint8_t> bytes = library_;
    bytes.resize(0x1000, uint8_t{0xcc});
    region.bytes = builder.keep_copy(std::as_bytes(std::span(bytes)));
    builder.add_region(region);
  }

  std::string build_id_;
  AddrRange dynamic_;             // of the program
  std::vector<uint8_t> library_;  // code of another module; empty: there is none
  std::vector<uint8_t> code_;
  std::vector<uint8_t> data_;
  std::vector<uint8_t> heap_;
  MemoryImage image_;
};

TEST_F(FindCallSites, TheCodeAroundACallIsListed) {
  constexpr uint64_t kMaker = kBase + 0xc0;
  put(kMaker, {0x55, 0xbf, 0x20, 0, 0, 0});  // push rbp; mov edi, 0x20
  put(kMaker + 6, call(kMaker + 6, kMalloc));
  put(kMaker + 11, {0x48, 0xc7, 0x40, 0x08, 7, 0, 0, 0, 0xc3});  // mov qword [rax + 8], 7; ret
  put(kBase + 0x100, call(kBase + 0x100, kMaker));
  const CallSites sites = find();
  ASSERT_EQ(sites.rows.size(), 1U);
  CallSite site = sites.rows[CallSiteId(0)];
  ASSERT_EQ(site.fields.size(), 1U);
  EXPECT_EQ(site.fields[0].at, Addr(kMaker + 11)) << "the instruction that writes it";
  const auto listed = [&](size_t before, size_t after) {
    std::vector<std::string> texts;
    for (const ListedInstruction& insn : list_code_around(image_, site, before, after))
      texts.push_back(insn.text);
    return texts;
  };
  EXPECT_EQ(listed(1, 1), (std::vector<std::string>{"mov edi, 0x20", "call 0x400010",
                                                    "mov qword ptr [rax + 8], 7"}));
  EXPECT_EQ(listed(9, 0).size(), 3U) << "from where the function begins";
  EXPECT_EQ(list_code_around(image_, site, 0, 0).front().target, Addr(kMalloc));
  site.function = Addr();
  EXPECT_EQ(listed(9, 0), (std::vector<std::string>{"call 0x400010"})) << "nothing can be told";
  site.function = Addr(kMaker - 0x20);
  site.call = Addr(kMaker + 3);
  EXPECT_EQ(listed(9, 9), std::vector<std::string>()) << "in the middle of an instruction";
  site.call = site.function = Addr(0x10000);
  EXPECT_EQ(listed(9, 9), std::vector<std::string>()) << "nothing is saved";
}

TEST_F(FindCallSites, LooksThroughWrappersAndTheirHeaders) {
  constexpr uint64_t kWrapper = kBase + 0x40;
  constexpr uint64_t kJumper = kBase + 0x80;
  constexpr uint64_t kMaker = kBase + 0xc0;
  constexpr uint64_t kMain = kBase + 0x100;
  put(kWrapper, {0x48, 0x83, 0xc7, 0x10});  // add rdi, 16
  put(kWrapper + 4, call(kWrapper + 4, kMalloc));
  put(kWrapper + 9, {0x48, 0x83, 0xc0, 0x10, 0xc3});  // add rax, 16; ret
  put(kJumper, call(kJumper, kWrapper, 0xe9));
  put_request(kMaker, 0x20, kJumper);
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

TEST_F(FindCallSites, LooksThroughAWrapperThatJumpsToItsNeighbour) {
  constexpr uint64_t kWrapper = kBase + 0x40;
  constexpr uint64_t kJumper = kBase + 0x50;
  constexpr uint64_t kMaker = kBase + 0xc0;
  put(kWrapper, call(kWrapper, kMalloc));
  put(kWrapper + 5, {0xc3});
  put(kJumper, {0xeb, static_cast<uint8_t>(kWrapper - (kJumper + 2))});
  put_request(kMaker, 0x20, kJumper);
  put(kMaker + 10, {0xc3});
  put(kBase + 0x100, call(kBase + 0x100, kMaker));
  // Nobody gets here; it tells where the wrapper begins.
  put(kBase + 0x120, call(kBase + 0x120, kWrapper));
  const CallSites sites = find();
  ASSERT_EQ(sites.rows.size(), 1U);
  EXPECT_EQ(sites.rows[CallSiteId(0)].call, Addr(kMaker + 5));
  EXPECT_EQ(sites.rows[CallSiteId(0)].bytes.constants, (std::vector<uint64_t>{0x20}));
}

TEST_F(FindCallSites, AFunctionThatMakesSomethingIsTheSiteItself) {
  constexpr uint64_t kMaker = kBase + 0x40;
  constexpr uint64_t kUser = kBase + 0x80;
  put_request(kMaker, 0x20, kMalloc);
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

TEST_F(FindCallSites, CodeBehindACallThatTheLoaderNeverBoundHasNotRun) {
  constexpr uint64_t kStub = kBase + 0x40;
  constexpr uint64_t kAskLoader = kBase + 0x50;
  constexpr uint64_t kSlot = kBase + 0x60;
  constexpr uint64_t kBefore = kBase + 0x80;
  constexpr uint64_t kBehind = kBase + 0xc0;
  constexpr uint64_t kBeside = kBase + 0x100;
  put(kStub, {0xff, 0x25, 0x1a, 0, 0, 0});                // jmp [rip + 0x1a], the slot
  put(kAskLoader, {0x68, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0});  // push 0; jmp
  put(kSlot, {0x50, 0, 0x40, 0, 0, 0, 0, 0});             // as the linker left it
  put_request(kBefore, 0x20, kMalloc);
  put_request(kBefore + 10, 0x20, kStub);
  put(kBefore + 20, {0xc3});
  put_request(kBehind, 0x20, kStub);
  put_request(kBehind + 10, 0x20, kMalloc);
  put(kBehind + 20, {0xc3});
  put(kBeside, {0x85, 0xff, 0x74, 0x0a});  // test edi, edi; je +10
  put_request(kBeside + 4, 0x20, kStub);
  put_request(kBeside + 14, 0x20, kMalloc);
  put(kBeside + 24, {0xc3});
  put(kBase + 0x140, call(kBase + 0x140, kBefore));
  put(kBase + 0x145, call(kBase + 0x145, kBehind));
  put(kBase + 0x14a, call(kBase + 0x14a, kBeside));
  const CallSites sites = find();
  ASSERT_EQ(sites.rows.size(), 1U);
  EXPECT_EQ(sites.rows[CallSiteId(0)].call, Addr(kBeside + 19)) << "it gets there without the call";
}

TEST_F(FindCallSites, AllocatorsAreCalledThroughMembersOfStructs) {
  constexpr uint64_t kWrapper = kBase + 0x40;
  constexpr uint64_t kUser = kBase + 0x80;
  constexpr uint64_t kMain = kBase + 0xc0;
  constexpr uint64_t kMethods = kData + 0x40;
  put(kWrapper, {0x48, 0x83, 0xc7, 0x08});  // add rdi, 8
  put(kWrapper + 4, call(kWrapper + 4, kMalloc));
  put(kWrapper + 9, {0xc3});
  poke(kMethods + 0x20, kWrapper);
  put(kUser, {0x48, 0x8d, 0x05});  // lea rax, [rip + …], the struct
  const auto offset = static_cast<uint32_t>(kMethods - (kUser + 7));
  for (unsigned i = 0; i < 4; ++i) put(kUser + 3 + i, {static_cast<uint8_t>(offset >> (8 * i))});
  put(kUser + 7, {0xff, 0x60, 0x20});  // jmp [rax + 0x20]
  put_request(kMain, 0x18, kUser);
  put(kMain + 10, {0xc3});
  put(kBase + 0x100, call(kBase + 0x100, kMain));
  put(kBase + 0x105, call(kBase + 0x105, kWrapper));
  const CallSites sites = find();
  const auto at_main = std::find_if(sites.rows.begin(), sites.rows.end(),
                                    [](const CallSite& s) { return s.call == Addr(kMain + 5); });
  ASSERT_NE(at_main, sites.rows.end());
  EXPECT_EQ(at_main->bytes.constants, (std::vector<uint64_t>{0x20})) << "with the header";
}

// As lua does: the allocator is handed over and kept in a state, with which it is called.
TEST_F(FindCallSites, AnAllocatorThatWasHandedOverIsFoundWhereAParameterIsPassedOn) {
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
TEST_F(FindCallSites, MallocIsCalledThroughAMemberWithASize) {
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
TEST_F(FindCallSites, AnAllocatorInAModulesOwnTableIsCalledThroughIt) {
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

// What is kept of the code, and what was asked for.
struct KeptCode {
  std::map<std::string, std::vector<std::byte>> files;
  unsigned gets = 0;
  unsigned puts = 0;

  CodeStore store() {
    return {[this](const std::string& name) {
              ++gets;
              return files[name];
            },
            [this](const std::string& name, Bytes content) {
              ++puts;
              files[name].assign(content.begin(), content.end());
            }};
  }
};

class KeptCallSites : public FindCallSites {
 public:
  static constexpr uint64_t kMaker = kBase + 0xc0;

  KeptCallSites() {
    build_id_ = "0123abcd";
    put_request(kMaker, 0x20, kMalloc);
    put(kMaker + 10, {0x48, 0xc7, 0x40, 0x08, 7, 0, 0, 0, 0xc3});  // mov qword [rax + 8], 7; ret
    put(kBase + 0x100, call(kBase + 0x100, kMaker));
  }

  static void expect_the_site(const CallSites& sites, uint64_t bytes) {
    ASSERT_EQ(sites.rows.size(), 1U);
    const CallSite& site = sites.rows[CallSiteId(0)];
    EXPECT_EQ(site.call, Addr(kMaker + 5));
    EXPECT_EQ(site.function, Addr(kMaker));
    EXPECT_EQ(site.bytes.constants, std::vector<uint64_t>{bytes});
    ASSERT_EQ(site.fields.size(), 1U);
    EXPECT_EQ(site.fields[0].value, 7U);
    EXPECT_EQ(site.fields[0].at, Addr(kMaker + 10));
  }

  KeptCode kept_;
};

TEST_F(KeptCallSites, AreTheSameTheNextTime) {
  expect_the_site(find(kept_.store()), 0x20);
  EXPECT_EQ(kept_.puts, 1U);
  ASSERT_EQ(kept_.files.size(), 1U);
  EXPECT_EQ(kept_.files.begin()->first.substr(0, 9), "0123abcd-");
  expect_the_site(find(kept_.store()), 0x20);
  EXPECT_EQ(kept_.puts, 1U) << "nothing is new";
  EXPECT_EQ(kept_.gets, 2U);
}

TEST_F(KeptCallSites, AreReadFromWhatIsKept) {
  expect_the_site(find(kept_.store()), 0x20);
  // The same file with another size in it: code is not read again when it is known.
  const CodeTable before(kept_.files.begin()->first, kept_.files.begin()->second);
  const CodeTable::Function maker{0xc0, 0xf40};
  ASSERT_EQ(before.records_of(maker).size(), 1U);
  std::vector<std::byte> record(before.records_of(maker)[0].begin(),
                                before.records_of(maker)[0].end());
  // Number, with an offset of 0x20: small, doubled for its sign.
  const std::vector<std::byte> from{std::byte{0x80}, std::byte{0x80}, std::byte{0x02}};
  const auto at = std::search(record.begin(), record.end(), from.begin(), from.end());
  ASSERT_NE(at, record.end());
  at[2] = std::byte{0x03};
  CodeTable changed(kept_.files.begin()->first, {});
  changed.add(maker, record);
  kept_.files.begin()->second = changed.bytes();
  expect_the_site(find(kept_.store()), 0x30);
}

TEST_F(KeptCallSites, OfCodeThatWasChangedAreReadAnew) {
  expect_the_site(find(kept_.store()), 0x20);
  put_request(kMaker, 0x30, kMalloc);
  expect_the_site(find(kept_.store()), 0x30);
  EXPECT_EQ(kept_.files.size(), 2U);
}

TEST_F(KeptCallSites, OfAModuleWithoutABuildIdAreNotKept) {
  for (const char* const id : {"", "../../etc/passwd", "0123ABCD"}) {
    build_id_ = id;
    expect_the_site(find(kept_.store()), 0x20);
  }
  EXPECT_EQ(kept_.gets, 0U);
  EXPECT_EQ(kept_.puts, 0U);
}

TEST_F(KeptCallSites, ThatAreDamagedAreReadAnewAndReplaced) {
  expect_the_site(find(kept_.store()), 0x20);
  const std::vector<std::byte> whole = kept_.files.begin()->second;
  for (const size_t length : {size_t{0}, size_t{1}, size_t{20}, whole.size() - 1}) {
    kept_.files.begin()->second.resize(length);
    expect_the_site(find(kept_.store()), 0x20);
    EXPECT_EQ(kept_.files.begin()->second, whole);
  }
}

// A program that calls a function of another module through a slot which the loader has bound by name.
class Importing : public FindCallSites {
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
  put(kCopy, {0xff, 0x15});  // call [slot]
  const auto offset = static_cast<uint32_t>(kSlot - (kCopy + 6));
  for (unsigned i = 0; i < 4; ++i) put(kCopy + 2 + i, {static_cast<uint8_t>(offset >> (8 * i))});
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

TEST_F(FindCallSites, ASizeThatAVariableHoldsMayBeAny) {
  constexpr uint64_t kMaker = kBase + 0x100;
  put(kMaker, {0x48, 0x8b, 0x3d});  // mov rdi, [variable]
  const auto offset = static_cast<uint32_t>(kData + 0x80 - (kMaker + 7));
  for (unsigned i = 0; i < 4; ++i) put(kMaker + 3 + i, {static_cast<uint8_t>(offset >> (8 * i))});
  put(kMaker + 7, call(kMaker + 7, kMalloc));
  put(kMaker + 12, {0xc3});
  put(kBase + 0x200, call(kBase + 0x200, kMaker));
  const CallSites found = find();
  ASSERT_EQ(found.rows.size(), 1U);
  EXPECT_EQ(found.rows[CallSiteId(0)].bytes.kind, RequestedBytes::Kind::Linear);
  EXPECT_EQ(found.rows[CallSiteId(0)].bytes.step, 1U);
}

TEST_F(FindCallSites, WithoutAnAllocatorThereIsNothing) {
  put(kBase + 0x40, call(kBase + 0x40, kBase + 0x80));
  EXPECT_TRUE(find().rows.empty());
}

}  // namespace
}  // namespace heapscan
