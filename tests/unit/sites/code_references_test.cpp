#include "sites/code_references.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <tuple>

namespace heapscan {
namespace {

constexpr Addr kCode{0x5555'0000'1000};
constexpr AddrRange kModule{Addr(0x5555'0000'0000), Addr(0x5555'0001'0000)};

using Reference = std::tuple<uint64_t, uint64_t, ReferenceKind>;

std::vector<Reference> spelled(const std::vector<CodeReference>& references) {
  std::vector<Reference> spelled;
  for (const CodeReference& r : references) {
    spelled.emplace_back(r.target.value, r.from.value, r.kind);
  }
  return spelled;
}

struct Found {
  std::vector<CodeReference> references;
  std::vector<CodeReference> short_jumps;
};

Found found_in(const std::vector<uint8_t>& code) {
  Found found;
  find_references(kModule, kCode, std::as_bytes(std::span(code)), found.references,
                  found.short_jumps);
  return found;
}

TEST(CodeReferences, AreFoundWhereverTheyBegin) {
  const std::vector<std::pair<std::vector<uint8_t>, ReferenceKind>> kinds = {
      {{0xe8}, ReferenceKind::Call},
      {{0xe9}, ReferenceKind::Jump},
      {{0xff, 0x15}, ReferenceKind::CallSlot},
      {{0xff, 0x25}, ReferenceKind::JumpSlot},
      {{0x48, 0x8b, 0x0d}, ReferenceKind::LoadSlot},
      {{0x4c, 0x8b, 0x3d}, ReferenceKind::LoadSlot},
      {{0x48, 0x8d, 0x05}, ReferenceKind::Address},
      {{0x4c, 0x8d, 0x25}, ReferenceKind::Address}};
  for (const auto& [opcode, kind] : kinds) {
    for (size_t at = 0; at < 40; ++at) {
      std::vector<uint8_t> code(at, 0x90);
      code.insert(code.end(), opcode.begin(), opcode.end());
      for (const uint8_t b : std::vector<uint8_t>{0x34, 0x12, 0, 0}) code.push_back(b);
      const uint64_t behind = kCode.value + code.size();
      code.resize(48, 0x90);
      const Found found = found_in(code);
      EXPECT_EQ(spelled(found.references),
                (std::vector<Reference>{{behind + 0x1234, kCode.value + at, kind}}));
      EXPECT_TRUE(found.short_jumps.empty());
      code[at + opcode.size() + 3] = 0x10;
      EXPECT_TRUE(found_in(code).references.empty()) << "leads out of the module";
    }
  }
}

TEST(CodeReferences, OfTwoBytesAreApart) {
  for (size_t at = 0; at < 40; ++at) {
    std::vector<uint8_t> code(41, 0x90);
    code[at] = 0xeb;
    code[at + 1] = 0xf0;
    const Found found = found_in(code);
    EXPECT_TRUE(found.references.empty());
    EXPECT_EQ(spelled(found.short_jumps),
              (std::vector<Reference>{
                  {kCode.value + at + 2 - 0x10, kCode.value + at, ReferenceKind::Jump}}));
  }
}

TEST(CodeReferences, WithOtherBytesAreNone) {
  for (const std::vector<uint8_t>& begin : std::vector<std::vector<uint8_t>>{{0xff, 0x16},
                                                                             {0x48, 0x8b, 0x0c},
                                                                             {0x48, 0x8c, 0x0d},
                                                                             {0x49, 0x8b, 0x0d},
                                                                             {0x8b, 0x0d}}) {
    std::vector<uint8_t> code = begin;
    code.resize(48, 0);
    EXPECT_TRUE(found_in(code).references.empty());
  }
  EXPECT_TRUE(found_in({0xe8, 0, 0, 0}).references.empty()) << "cut short";
  EXPECT_TRUE(found_in({0xeb}).short_jumps.empty()) << "likewise";
}

TEST(CodeReferences, AreSortedByWhereTheyLead) {
  std::mt19937 random(1);
  std::vector<CodeReference> references;
  for (unsigned i = 0; i < 5000; ++i) {
    references.push_back({kModule.begin() + random() % 64 * 97,
                          kModule.begin() + random() % 0x10000,
                          static_cast<ReferenceKind>(random() % 6)});
  }
  std::vector<Reference> right = spelled(references);
  std::sort(right.begin(), right.end());
  sort_references(kModule, references);
  EXPECT_EQ(spelled(references), right);
  // A damaged module may have parts beside it.
  for (const CodeReference& beside : {CodeReference{kModule.begin() + 97, kModule.end() + 8},
                                      CodeReference{kModule.begin() - 8, kModule.begin() + 16}}) {
    std::shuffle(references.begin(), references.end(), random);
    references.push_back(beside);
    right.push_back(spelled({beside}).front());
    std::sort(right.begin(), right.end());
    sort_references(kModule, references);
    std::vector<Reference> found = spelled(references);
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end(), [](const auto& a, const auto& b) {
      return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
    }));
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, right);
  }
  const AddrRange large(kModule.begin(), kModule.begin() + (uint64_t{1} << 30));
  std::shuffle(references.begin(), references.end(), random);
  sort_references(large, references);
  EXPECT_TRUE(std::is_sorted(references.begin(), references.end(),
                             [](const CodeReference& a, const CodeReference& b) {
                               return std::tie(a.target, a.from) < std::tie(b.target, b.from);
                             }));
}

}  // namespace
}  // namespace heapscan
