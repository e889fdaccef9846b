#include "sites/code_table.h"

#include <gtest/gtest.h>

#include "sites/packed_bytes.h"

namespace heapscan {
namespace {

const std::string kCodeName = "0123abcd-0000000000000001.code";

std::vector<std::byte> record_of(std::string_view text) {
  const Bytes bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> some_table() {
  CodeTable table(kCodeName, {});
  table.add({0x1000, 0x40}, record_of("one"));
  table.add({0x1000, 0x40}, record_of("one again"));
  table.add({0x800, 0x10}, record_of("two"));
  return table.bytes();
}

size_t records_in(const CodeTable& table) {
  return table.records_of({0x1000, 0x40}).size() + table.records_of({0x800, 0x10}).size();
}

TEST(CodeTable, HasWhatWasKept) {
  const CodeTable table(kCodeName, some_table());
  const auto records = table.records_of({0x1000, 0x40});
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(record_of("one again"), std::vector<std::byte>(records[1].begin(), records[1].end()));
  EXPECT_EQ(table.records_of({0x800, 0x10}).size(), 1U);
  EXPECT_TRUE(table.records_of({0x800, 0x11}).empty()) << "another function";
  EXPECT_FALSE(table.has_news());
  EXPECT_EQ(table.bytes(), some_table());
}

TEST(CodeTable, HasNothingOfAnotherModuleOrVersion) {
  EXPECT_EQ(records_in(CodeTable("0123abcd-0000000000000002.code", some_table())), 0U);
  EXPECT_EQ(records_in(CodeTable("0123abcd", some_table())), 0U);
  EXPECT_EQ(records_in(CodeTable(kCodeName, {})), 0U);
}

TEST(CodeTable, HasNothingOnceAnyByteDiffers) {
  const std::vector<std::byte> whole = some_table();
  for (size_t at = 0; at < whole.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> damaged = whole;
      damaged[at] ^= static_cast<std::byte>(1U << bit);
      EXPECT_EQ(records_in(CodeTable(kCodeName, std::move(damaged))), 0U) << at;
    }
  }
}

TEST(CodeTable, HasNothingOfAFileThatWasCutShortOrGrew) {
  const std::vector<std::byte> whole = some_table();
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(records_in(CodeTable(
                  kCodeName, {whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length)})),
              0U);
  }
  std::vector<std::byte> longer = whole;
  longer.push_back({});
  EXPECT_EQ(records_in(CodeTable(kCodeName, std::move(longer))), 0U);
}

// What no damage makes, but somebody who means harm.
TEST(CodeTable, BelievesNoCountThatIsSealed) {
  const auto sealed_numbers = [](const std::vector<uint64_t>& numbers) {
    PackedWriter to;
    for (const uint64_t n : numbers) to.put(n);
    return CodeTable(kCodeName, sealed(kCodeName, to.take()));
  };
  EXPECT_EQ(sealed_numbers({1, 0x800, 0x10, 1, 0}).records_of({0x800, 0x10}).size(), 1U)
      << "this is how it should be";
  for (const auto& numbers : std::vector<std::vector<uint64_t>>{
           {~uint64_t{0}},                                   // functions
           {1, ~uint64_t{0}, 0x10, 1, 0},                    // where one begins
           {2, 0x800, 0x10, 1, 0, 0xffff'ffff, 0x10, 1, 0},  // likewise, in all
           {1, 0x800, ~uint64_t{0}, 1, 0},                   // its size
           {1, 0x800, 0x10, ~uint64_t{0}, 0},                // records
           {1, 0x800, 0x10, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0},   // more than are kept
           {1, 0x800, 0x10, 1, ~uint64_t{0}},                // bytes of one
           {1, 0x800, 0x10, 1, 1},                           // that is not there
           {2, 0x800, 0x10, 1, 0, 0, 0x10, 1, 0},            // one function twice
           {1, 0x800, 0x10, 1, 0, 0}}) {                     // and something more
    EXPECT_EQ(records_in(sealed_numbers(numbers)), 0U);
  }
}

TEST(CodeTable, KeepsTheNewestRecordsOfAFunction) {
  CodeTable table(kCodeName, {});
  for (char c = 'a'; c <= 'z'; ++c) table.add({0x800, 0x10}, record_of(std::string(1, c)));
  const CodeTable again(kCodeName, table.bytes());
  const auto records = again.records_of({0x800, 0x10});
  ASSERT_EQ(records.size(), 8U);
  EXPECT_EQ(records.back()[0], std::byte{'z'});
}

TEST(CodeTable, IsWrittenAgainWhenEnoughIsNew) {
  CodeTable table(kCodeName, {});
  EXPECT_FALSE(table.has_news());
  for (uint32_t i = 0; i < 1000; ++i) table.add({i, 1}, record_of("x"));
  EXPECT_TRUE(table.has_news());
  CodeTable again(kCodeName, table.bytes());
  again.add({0, 1}, record_of("y"));
  EXPECT_FALSE(again.has_news()) << "one of a thousand";
  for (uint32_t i = 0; i < 20; ++i) again.add({i, 2}, record_of("y"));
  EXPECT_TRUE(again.has_news());
}

}  // namespace
}  // namespace heapscan
