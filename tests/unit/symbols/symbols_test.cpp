#include "heapscan/symbols/symbols.h"

#include <gtest/gtest.h>

#include "heapscan/image/image.h"

namespace heapscan {
namespace {

constexpr ModuleId kFirst(0);
constexpr ModuleId kSecond(1);

class SymbolsTest : public testing::Test {
 protected:
  SymbolsTest() {
    ImageBuilder builder;
    for (const uint64_t base : {0x20000U, 0x10000U}) {
      Module module;
      module.segments = {{AddrRange::sized(Addr(base), 0x1000), false, true},
                         {AddrRange::sized(Addr(base + 0x2000), 0x1000), true, false}};
      builder.add_module(module);
    }
    image_ = builder.freeze();
  }
  [[nodiscard]] SymbolsBuilder builder() const { return SymbolsBuilder(image_); }
  static std::string name_at(const Symbols& symbols, uint64_t address) {
    const auto hit = symbols.at(Addr(address));
    return hit ? hit->name + "+" + std::to_string(hit->offset) : "-";
  }
  MemoryImage image_;
};

TEST_F(SymbolsTest, FindsByNameInItsModuleOnly) {
  SymbolsBuilder made = builder();
  made.add(kFirst, {.name = "f", .address = Addr(0x20100), .size = 16, .exported = true});
  made.add(kSecond, {.name = "f", .address = Addr(0x10200), .size = 16});
  made.add(kSecond, {.name = "tcache", .address = Addr(0x48), .size = 8, .tls = true});
  const Symbols symbols = made.freeze();
  EXPECT_EQ(symbols.address_of(kFirst, "f"), Addr(0x20100));
  EXPECT_EQ(symbols.address_of(kSecond, "f"), Addr(0x10200));
  EXPECT_TRUE(symbols.exports(kFirst, "f"));
  EXPECT_FALSE(symbols.exports(kSecond, "f"));
  EXPECT_FALSE(symbols.address_of(kFirst, "g"));
  EXPECT_FALSE(symbols.address_of(ModuleId::none(), "f"));
  EXPECT_EQ(symbols.tls_offset_of(kSecond, "tcache"), 0x48U);
  EXPECT_FALSE(symbols.address_of(kSecond, "tcache"));
  EXPECT_FALSE(symbols.tls_offset_of(kSecond, "f"));
}

TEST_F(SymbolsTest, TheBetterRankIsMeant) {
  SymbolsBuilder made = builder();
  made.add(kFirst, {.name = "memcpy", .address = Addr(0x20300), .size = 8, .rank = 3});
  made.add(kFirst, {.name = "memcpy", .address = Addr(0x20500), .size = 8, .rank = 0});
  made.add(kFirst, {.name = "__memcpy", .address = Addr(0x20500), .size = 8, .rank = 2});
  const Symbols symbols = made.freeze();
  EXPECT_EQ(symbols.address_of(kFirst, "memcpy"), Addr(0x20500));
  EXPECT_EQ(name_at(symbols, 0x20504), "memcpy+4");
}

TEST_F(SymbolsTest, FindsTheSymbolThatCoversAnAddress) {
  SymbolsBuilder made = builder();
  made.add(kFirst, {.name = "outer", .address = Addr(0x20100), .size = 0x100});
  made.add(kFirst, {.name = "inner", .address = Addr(0x20120), .size = 0x10});
  made.add(kFirst, {.name = "label", .address = Addr(0x20150)});
  made.add(kFirst, {.name = "start", .address = Addr(0x20400)});
  const Symbols symbols = made.freeze();
  EXPECT_EQ(name_at(symbols, 0x200ff), "-");
  EXPECT_EQ(name_at(symbols, 0x20100), "outer+0");
  EXPECT_EQ(name_at(symbols, 0x20125), "inner+5");
  EXPECT_EQ(name_at(symbols, 0x20130), "outer+48");
  EXPECT_EQ(name_at(symbols, 0x20151), "outer+81");
  EXPECT_EQ(name_at(symbols, 0x20410), "start+16");
  EXPECT_EQ(name_at(symbols, 0x22000), "-");  // another segment
  EXPECT_EQ(name_at(symbols, 0x10100), "-");  // another module
  EXPECT_EQ(name_at(symbols, 0x1), "-");
}

TEST_F(SymbolsTest, FindsTheSameWithoutACopy) {
  SymbolsBuilder made = builder();
  made.add(kFirst, {.name = "f", .address = Addr(0x20100), .size = 16});
  const Symbols symbols = made.freeze();
  const auto found = symbols.ref_at(Addr(0x20104));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "f");
  EXPECT_EQ(found->offset, 4U);
  EXPECT_EQ(found->size, 16U);
  EXPECT_EQ(found->module, kFirst);
  EXPECT_FALSE(symbols.ref_at(Addr(0x20110)));
}

TEST_F(SymbolsTest, OneNameAtOnePlaceIsOneSymbol) {
  SymbolsBuilder made = builder();
  made.add(kFirst, {.name = "f", .address = Addr(0x20100), .size = 0, .rank = 1});
  made.add(kFirst, {.name = "f", .address = Addr(0x20100), .size = 16, .exported = true});
  const Symbols symbols = made.freeze();
  EXPECT_TRUE(symbols.exports(kFirst, "f"));
  EXPECT_EQ(name_at(symbols, 0x2010f), "f+15");
}

TEST_F(SymbolsTest, ReadsStructLayoutsOnceWhenAskedForThem) {
  SymbolsBuilder made = builder();
  int reads = 0;
  made.set_struct_reader(kFirst, [&reads] {
    ++reads;
    return StructLayouts{{"malloc_state", {2200, {{"top", 96}}}}};
  });
  const Symbols symbols = made.freeze();
  EXPECT_EQ(reads, 0);
  ASSERT_TRUE(symbols.struct_layout(kFirst, "malloc_state"));
  EXPECT_EQ(symbols.struct_layout(kFirst, "malloc_state")->members.at("top"), 96U);
  EXPECT_FALSE(symbols.struct_layout(kFirst, "malloc_par"));
  EXPECT_FALSE(symbols.struct_layout(kSecond, "malloc_state"));
  EXPECT_EQ(reads, 1);
}

}  // namespace
}  // namespace heapscan
