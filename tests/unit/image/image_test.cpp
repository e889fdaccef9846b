#include <gtest/gtest.h>

#include "heapscan/image/image.h"

namespace heapscan {
namespace {

std::vector<std::byte> counting(size_t size, uint8_t from = 1) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(from + i);
  return bytes;
}

Region region(uint64_t begin, uint64_t size, Contents contents = Contents::Zero,
              const std::byte* bytes = nullptr) {
  Region r;
  r.range = AddrRange::sized(Addr(begin), size);
  r.contents = contents;
  r.bytes = bytes;
  return r;
}

TEST(MemoryImage, ReadsAcrossTouchingRegions) {
  ImageBuilder builder;
  builder.add_region(region(0x1004, 4, Contents::Saved, builder.keep_copy(counting(4, 5))));
  builder.add_region(region(0x1000, 4, Contents::Saved, builder.keep_copy(counting(4))));
  const MemoryImage image = builder.freeze();
  EXPECT_EQ(image.read<uint64_t>(Addr(0x1000)), 0x0807060504030201U);
  EXPECT_EQ(image.read<uint16_t>(Addr(0x1003)), 0x0504U);
  EXPECT_FALSE(image.read<uint64_t>(Addr(0x1001)).has_value());
  EXPECT_FALSE(image.read<uint8_t>(Addr(0xfff)).has_value());
}

TEST(MemoryImage, ZeroRegionsReadAsZeroAndAbsentOnesDoNot) {
  ImageBuilder builder;
  builder.add_region(region(0x1000, 0x1000));
  builder.add_region(region(0x2000, 0x1000, Contents::Absent));
  const MemoryImage image = builder.freeze();
  EXPECT_EQ(image.read<uint64_t>(Addr(0x1800)), 0U);
  EXPECT_FALSE(image.read<uint64_t>(Addr(0x2800)).has_value());
  EXPECT_FALSE(image.read<uint64_t>(Addr(0x1ffc)).has_value());
  EXPECT_FALSE(image.view({Addr(0x1000), Addr(0x1008)}).has_value());
}

TEST(MemoryImage, ViewNeedsBytesThatLieSideBySide) {
  ImageBuilder builder;
  const std::byte* const bytes = builder.keep_copy(counting(32));
  builder.add_region(region(0x1000, 16, Contents::Saved, bytes));
  builder.add_region(region(0x1010, 16, Contents::Saved, bytes + 16));
  builder.add_region(region(0x1020, 16, Contents::Saved, builder.keep_copy(counting(16))));
  const MemoryImage image = builder.freeze();
  ASSERT_TRUE(image.view({Addr(0x1008), Addr(0x1018)}).has_value());
  EXPECT_EQ(image.view({Addr(0x1008), Addr(0x1018)})->data(), bytes + 8);
  EXPECT_FALSE(image.view({Addr(0x1018), Addr(0x1028)}).has_value());
  EXPECT_FALSE(image.view({Addr(0x1028), Addr(0x1038)}).has_value());
}

TEST(MemoryImage, SpansLeaveOutWhatWasNeverTouched) {
  ImageBuilder builder;
  builder.add_region(
      region(0x1000, 0x3000, Contents::Saved, builder.keep_copy(std::vector<std::byte>(0x3000))));
  builder.add_region(region(0x4000, 0x1000));
  builder.add_populated({Addr(0x1800), Addr(0x2000)});
  builder.add_populated({Addr(0x2000), Addr(0x2100)});
  builder.add_populated({Addr(0x3f00), Addr(0x9000)});
  const MemoryImage image = builder.freeze();
  std::vector<AddrRange> spans;
  image.for_each_span({Addr(0x1900), Addr(0x5000)}, [&](Addr begin, Bytes bytes) {
    spans.push_back(AddrRange::sized(begin, bytes.size()));
  });
  const std::vector<AddrRange> expected = {{Addr(0x1900), Addr(0x2100)},
                                           {Addr(0x3f00), Addr(0x4000)}};
  EXPECT_EQ(spans, expected);
  EXPECT_EQ(image.populated_bytes({Addr(0), Addr(0x10000)}), 0x800U + 0x100U + 0x100U);
}

TEST(MemoryImage, WithoutWordOfPopulationEverySavedByteCounts) {
  ImageBuilder builder;
  builder.add_region(
      region(0x1000, 0x1000, Contents::Saved, builder.keep_copy(std::vector<std::byte>(0x1000))));
  const MemoryImage image = builder.freeze();
  EXPECT_EQ(image.populated_bytes({Addr(0), Addr(0x10000)}), 0x1000U);
}

TEST(ImageBuilder, OverlapsAreLeftOutAndNoted) {
  ImageBuilder builder;
  builder.add_region(region(0x1000, 0x1000));
  builder.add_region(region(0x1800, 0x1000));
  builder.add_region(region(0x2800, 0));
  const MemoryImage image = builder.freeze();
  ASSERT_EQ(image.regions().size(), 1U);
  ASSERT_EQ(image.notes().size(), 1U);
  EXPECT_EQ(image.notes()[0].kind, NoteKind::Input);
}

TEST(MemoryImage, StringsEndAtTheLimitAndFailAtTheEdge) {
  ImageBuilder builder;
  builder.add_region(region(0x1000, 8, Contents::Saved, builder.keep_copy(counting(8, 'a'))));
  const MemoryImage image = builder.freeze();
  EXPECT_EQ(image.read_string(Addr(0x1000), 3), "abc");
  EXPECT_FALSE(image.read_string(Addr(0x1000), 100).has_value());
}

TEST(MemoryImage, OfModulesThatOverlapTheOneAddedFirstIsFound) {
  ImageBuilder builder;
  const auto add = [&](const char* path, std::vector<AddrRange> ranges) {
    Module module;
    module.path = path;
    for (const AddrRange& range : ranges) module.segments.push_back({range, false, true});
    builder.add_module(module);
  };
  add("/second/in/memory", {{Addr(0x30000), Addr(0x31000)}, {Addr(0x20000), Addr(0x28000)}});
  add("/around", {{Addr(0x10000), Addr(0x40000)}});
  add("/within", {{Addr(0x12000), Addr(0x13000)}, {Addr(0x27000), Addr(0x29000)}});
  const MemoryImage image = builder.freeze();
  const auto path_at = [&](uint64_t a) {
    const Module* const module = image.module_at(Addr(a));
    return module == nullptr ? std::string() : module->path;
  };
  EXPECT_EQ(path_at(0xffff), "");
  EXPECT_EQ(path_at(0x10000), "/around");
  EXPECT_EQ(path_at(0x12800), "/around");
  EXPECT_EQ(path_at(0x27fff), "/second/in/memory");
  EXPECT_EQ(path_at(0x28000), "/around");
  EXPECT_EQ(path_at(0x30fff), "/second/in/memory");
  EXPECT_EQ(path_at(0x3ffff), "/around");
  EXPECT_EQ(path_at(0x40000), "");
}

TEST(MemoryImage, FindsModulesBySegment) {
  ImageBuilder builder;
  Module module;
  module.path = "/usr/lib/libx.so.1";
  module.bias = 0x10000;
  module.segments = {{{Addr(0x11000), Addr(0x12000)}, false, true}};
  builder.add_module(module);
  builder.set_aux({{3, 77}});
  const MemoryImage image = builder.freeze();
  ASSERT_NE(image.module_at(Addr(0x11fff)), nullptr);
  EXPECT_EQ(image.module_at(Addr(0x12000)), nullptr);
  EXPECT_EQ(image.module_at(Addr(0x11000))->file_name(), "libx.so.1");
  EXPECT_EQ(image.module_at(Addr(0x11000))->in_file(Addr(0x11010)), FileAddr(0x1010));
  EXPECT_EQ(image.aux(3), 77U);
  EXPECT_FALSE(image.aux(4).has_value());
}

TEST(MemoryImage, OfNothingAnswersNothing) {
  const MemoryImage image = ImageBuilder().freeze();
  EXPECT_EQ(image.region_at(Addr(0)), nullptr);
  EXPECT_FALSE(image.view({Addr(0), Addr(8)}).has_value());
  EXPECT_EQ(image.populated_bytes({Addr(0), Addr(~uint64_t{0})}), 0U);
}

}  // namespace
}  // namespace heapscan
