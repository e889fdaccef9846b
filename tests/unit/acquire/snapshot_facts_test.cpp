// The HEAPSCAN note: what goes in comes out, and whatever else comes in does no harm.
#include "acquire/snapshot_parts.h"

#include <gtest/gtest.h>

#include "acquire/note_codec.h"

namespace heapscan {
namespace {

SnapshotFacts example() {
  SnapshotFacts facts;
  facts.capture.pid = 4711;
  facts.capture.command = "nginx";
  facts.capture.executable = "/usr/sbin/nginx";
  facts.capture.captured_at = 1700000000.25;
  facts.capture.pause_seconds = 0.038;
  facts.capture.content = Content::Pointers;
  facts.pause_parts = {{"copy", 0.03}};
  facts.host = "web1";
  facts.missing_bytes = 12;
  Region heap;
  heap.range = AddrRange::sized(Addr(0x555555800000), 0x21000);
  heap.perms = {true, true, false, false};
  heap.contents = Contents::Saved;
  heap.label = "[heap]";
  Region code;
  code.range = AddrRange::sized(Addr(0x7ffff7a00000), 0x1000);
  code.perms = {true, false, true, false};
  code.backing = Backing::File;
  code.module = ModuleId(size_t{0});
  code.file_offset = 0x26000;
  code.label = "/lib/libc.so.6";
  Region shared;
  shared.range = AddrRange::sized(Addr(0x7ffff7b00000), 0x2000);
  shared.perms = {true, true, false, true};
  shared.label = "/dev/zero (deleted)";
  shared.object = 0xfedcba9876543210;
  facts.regions = {heap, code, shared};
  Module module;
  module.path = "/lib/libc.so.6";
  module.build_id = "0123abcd";
  module.range = code.range;
  module.bias = 0x7ffff79da000;
  module.segments = {{code.range, false, true}};
  module.tls = TlsSegment{0x80, 0x20};
  module.dynamic = AddrRange::sized(Addr(0x7ffff7a00100), 0x100);
  facts.modules = {module};
  Thread thread;
  thread.tid = 4712;
  thread.name = "worker";
  thread.has_registers = true;
  facts.threads = {thread};
  facts.kernel_references = {{KernelReference::Kind::Timer, 0x555555800010, "timer 1"}};
  facts.residency = Residency{{heap.range}, 4096, 8192};
  facts.populated = {AddrRange::sized(heap.range.begin(), 0x1000),
                     AddrRange::sized(heap.range.begin() + 0x3000, 0x2000)};
  facts.notes = {{NoteKind::Thread, "thread 4713", "it works inside the kernel"}};
  facts.hashes = {{heap.range.begin() + 16, 0x1122334455667788}};
  return facts;
}

SnapshotFacts decoded(Bytes bytes) {
  std::string why;
  const auto facts = decode_snapshot_facts(bytes, why);
  EXPECT_TRUE(facts) << why;
  return facts.value_or(SnapshotFacts());
}

std::string refusal(Bytes bytes) {
  std::string why;
  EXPECT_FALSE(decode_snapshot_facts(bytes, why));
  return why;
}

TEST(SnapshotFacts, ComeBackAsTheyWere) {
  const SnapshotFacts before = example();
  const std::vector<std::byte> bytes = encode_snapshot_facts(before);
  const SnapshotFacts after = decoded(bytes);
  EXPECT_EQ(encode_snapshot_facts(after), bytes);
  EXPECT_EQ(after.capture.pid, 4711);
  EXPECT_EQ(after.capture.captured_at, 1700000000.25);
  EXPECT_EQ(after.capture.pause_seconds, 0.038);
  EXPECT_EQ(after.capture.content, Content::Pointers);
  ASSERT_EQ(after.regions.size(), 3U);
  EXPECT_EQ(after.regions[0].range, before.regions[0].range);
  EXPECT_EQ(after.regions[0].perms, before.regions[0].perms);
  EXPECT_FALSE(after.regions[0].module.valid());
  EXPECT_EQ(after.regions[1].module, ModuleId(size_t{0}));
  EXPECT_EQ(after.regions[1].file_offset, 0x26000U);
  EXPECT_EQ(after.regions[1].object, 0U);
  EXPECT_EQ(after.regions[2].object, 0xfedcba9876543210U);
  ASSERT_EQ(after.modules.size(), 1U);
  EXPECT_EQ(after.modules[0].bias, before.modules[0].bias);
  EXPECT_EQ(after.modules[0].tls->align, 0x20U);
  EXPECT_EQ(after.threads[0].name, "worker");
  EXPECT_EQ(after.kernel_references->front().value, 0x555555800010U);
  EXPECT_EQ(after.residency->resident, before.residency->resident);
  EXPECT_EQ(after.populated, before.populated);
  EXPECT_EQ(after.notes[0].text, before.notes[0].text);
  EXPECT_EQ(after.hashes, before.hashes);
}

TEST(SnapshotFacts, DoNotInventWhatWasNotKnown) {
  SnapshotFacts before = example();
  before.kernel_references.reset();
  before.residency.reset();
  before.capture.pause_seconds.reset();
  const SnapshotFacts after = decoded(encode_snapshot_facts(before));
  EXPECT_FALSE(after.kernel_references);
  EXPECT_FALSE(after.residency);
  EXPECT_FALSE(after.capture.pause_seconds);
}

TEST(SnapshotFacts, OfAnotherVersionAreRefused) {
  NoteWriter note;
  note.number(kSnapshotVersion + 1);
  EXPECT_EQ(refusal(note.bytes()), "it has version 2, and this heapscan reads version 1");
  EXPECT_NE(refusal({}), "");
}

TEST(SnapshotFacts, SectionsOfTheFutureAreSkipped) {
  std::vector<std::byte> bytes = encode_snapshot_facts(example());
  NoteWriter more;
  more.number(1000);
  more.text("what will be");
  bytes.insert(bytes.end(), more.bytes().begin(), more.bytes().end());
  EXPECT_EQ(decoded(bytes).capture.pid, 4711);
}

TEST(SnapshotFacts, CutAnywhereAreRefusedOrSound) {
  const std::vector<std::byte> bytes = encode_snapshot_facts(example());
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::string why;
    const auto facts = decode_snapshot_facts(Bytes(bytes).first(size), why);
    EXPECT_TRUE(facts || !why.empty()) << size;
  }
}

TEST(SnapshotFacts, WithAnyByteChangedDoNoHarm) {
  const std::vector<std::byte> bytes = encode_snapshot_facts(example());
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const unsigned value : {0x00U, 0x7fU, 0x80U, 0xffU}) {
      std::vector<std::byte> changed = bytes;
      changed[at] = std::byte(value);
      std::string why;
      const auto facts = decode_snapshot_facts(changed, why);
      if (!facts) continue;
      for (const Region& region : facts->regions) {
        EXPECT_FALSE(region.range.empty());
        EXPECT_TRUE(!region.module.valid() || region.module.index() < facts->modules.size());
      }
    }
  }
}

TEST(SnapshotFacts, WithLengthsThatLieAreRefused) {
  NoteWriter section;
  section.number(uint64_t{1} << 40);  // regions
  NoteWriter note;
  note.number(kSnapshotVersion);
  note.number(2);
  note.number(section.bytes().size());
  note.raw(section.bytes());
  EXPECT_EQ(refusal(note.bytes()), "its list of regions is damaged");

  NoteWriter longer;
  longer.number(kSnapshotVersion);
  longer.number(2);
  longer.number(~uint64_t{0});
  EXPECT_EQ(refusal(longer.bytes()), "it ends in the middle");
}

TEST(SnapshotFacts, WithoutAListTheyNeedAreRefused) {
  NoteWriter note;
  note.number(kSnapshotVersion);
  EXPECT_EQ(refusal(note.bytes()), "its description of the capture is missing");
}

TEST(SnapshotFacts, WithARegionOfNoModuleAreRefused) {
  SnapshotFacts facts = example();
  facts.modules.clear();
  EXPECT_EQ(refusal(encode_snapshot_facts(facts)),
            "a region belongs to a module that is not listed");
}

TEST(NoteCodec, ReadsTheNumbersItWrites) {
  for (const uint64_t value :
       {uint64_t{0}, uint64_t{127}, uint64_t{128}, uint64_t{1} << 63, ~uint64_t{0}}) {
    NoteWriter writer;
    writer.number(value);
    NoteReader reader(writer.bytes());
    EXPECT_EQ(reader.number(), value);
    EXPECT_TRUE(reader.at_end() && !reader.failed());
  }
}

TEST(NoteCodec, RefusesNumbersThatAreTooLong) {
  const std::vector<std::byte> endless(11, std::byte{0xff});
  NoteReader reader(endless);
  EXPECT_EQ(reader.number(), 0U);
  EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace heapscan
