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
#include "unit/sites/small_program.h"

namespace heapscan {
namespace {

using FindCallSites = SmallProgram;

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
  put_relative(kUser, {0x48, 0x8d, 0x05}, kMethods);  // lea rax, [rip + …], the struct
  put(kUser + 7, {0xff, 0x60, 0x20});                 // jmp [rax + 0x20]
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

TEST_F(FindCallSites, ASizeThatAVariableHoldsMayBeAny) {
  constexpr uint64_t kMaker = kBase + 0x100;
  put_relative(kMaker, {0x48, 0x8b, 0x3d}, kData + 0x80);  // mov rdi, [variable]
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
