#include "heapscan/symbols/symbols.h"

#include <gtest/gtest.h>

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
