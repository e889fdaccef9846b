#include "heapscan/symbols/symbols.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace heapscan {
namespace {

TEST(Demangled, NamesOfCpp) {
  EXPECT_EQ(demangled("_ZN2ns6Parser5parseEi"), "ns::Parser::parse(int)");
  EXPECT_EQ(demangled("_ZTVN2ns6ParserE"), "vtable for ns::Parser");
  EXPECT_EQ(demangled("_ZN12_GLOBAL__N_16hiddenE"), "(anonymous namespace)::hidden");
}

TEST(NameOfSymbol, HasNoAbiTag) {
  EXPECT_EQ(name_of_symbol("_Z8settingsB5cxx11"), "settings");
  EXPECT_EQ(name_of_symbol("_ZN2ns4nameB5cxx11Ei"), "ns::name(int)");
}

TEST(Demangled, NamesOfRust) {
  const std::pair<const char*, const char*> names[] = {
      {"_RNvNtNtCsjrHSEGnQ3l9_3std2io5stdio6STDOUT", "std::io::stdio::STDOUT"},
      {"_RINvNtCsgEmfK2I1SDS_4core3ptr13drop_in_placeNtNtCs_5alloc6string6StringECs0_2rs",
       "core::ptr::drop_in_place::<alloc::string::String>"},
      {"_RNvMs_NtCs1_4core3strRShj", "_RNvMs_NtCs1_4core3strRShj"},  // no name at its end
      {"_RNvMs_NtCs1_4core3strRSh3len", "<&[u8]>::len"},
      {"_RNvXCs1_1aNtB2_1TNtB2_5Trait1f", "<a::T as a::Trait>::f"},
      {"_RNCNvCs1_1a4mains_0.llvm.123", "a::main::{closure#1}"},
      {"_RINvCs1_1a1fAhj10_FUKCmEuTmEE", "a::f::<[u8; 16], unsafe extern \"C\" fn(u32), (u32,)>"},
      {"_RINvCs1_1a1fDINtB2_2FnTEEp6OutputmNtB2_4SendEL_E",
       "a::f::<dyn a::Fn<(), Output = u32> + a::Send>"},
  };
  for (const auto& [mangled, name] : names) EXPECT_EQ(demangled(mangled), name);
}

TEST(Demangled, OlderNamesOfRust) {
  EXPECT_EQ(demangled("_ZN2rs5CACHE17ha9366af13fcf9538E"), "rs::CACHE");
  EXPECT_EQ(demangled("_ZN59_$LT$a..Map$LT$I$C$F$GT$$u20$as$u20$core..Iterator$GT$$RF$_"
                      "4fold17h186d762d05694e5aE"),
            "<a::Map<I,F> as core::Iterator>&_::fold");
  EXPECT_EQ(demangled("_ZN2ns17h186d762d05694e5zE"), "ns::h186d762d05694e5z");  // no hash: C++
}

// Each part refers to the one before it twice.
TEST(Demangled, NamesOfRustThatExplodeStayAsTheyAre) {
  const auto name_of_levels = [](int levels) {
    std::string name = "_RINvC1a1f";
    std::string before = "B6_";
    for (int i = 0; i < levels; ++i) {
      const size_t at = name.size() - 2;
      name += "T" + (i == 0 ? std::string("mm") : before + before) + "E";
      const std::string digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
      const size_t value = at - 1;
      before = "B" +
               (value < 62 ? std::string(1, digits[value])
                           : std::string{digits[value / 62], digits[value % 62]}) +
               "_";
    }
    return name + "E";
  };
  EXPECT_THAT(demangled(name_of_levels(3)), testing::StartsWith("a::f::<(u32, u32), ((u32, u32)"));
  EXPECT_EQ(demangled(name_of_levels(40)), name_of_levels(40));
}

TEST(Demangled, OthersStayAsTheyAre) {
  for (const char* name : {"", "malloc", "_Z", "_ZN", "_ZN2ns", "_start", "Z1fv"})
    EXPECT_EQ(demangled(name), name);
}

TEST(Demangled, LongNamesStayAsTheyAre) {
  const std::string name = "_Z2000" + std::string(2000, 'a') + "v";
  EXPECT_EQ(demangled(name), name);
}

// Each template has the one before it as both of its arguments.
TEST(Demangled, NamesThatExplodeStayAsTheyAre) {
  const auto name_of_levels = [](int levels) {
    const std::string digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    std::string name = "_Z1f1AIiiE";
    for (int i = 0; i < levels; ++i) {
      const std::string last = std::string("S") + digits[static_cast<size_t>(i)] + "_";
      name += "S_I" + last + last + "E";
    }
    return name;
  };
  EXPECT_GT(demangled(name_of_levels(8)).size(), 2000U);
  EXPECT_EQ(demangled(name_of_levels(35)), name_of_levels(35));
}

TEST(Demangled, NestingIsSurvived) {
  const std::string name = "_Z1f" + std::string(1000, 'P') + "i";
  EXPECT_FALSE(demangled(name).empty());
}

}  // namespace
}  // namespace heapscan
