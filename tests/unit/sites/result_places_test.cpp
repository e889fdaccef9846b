#include "sites/result_places.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace heapscan {
namespace {

constexpr Addr kCall(0x401000);
constexpr uint64_t kCallBytes = 5;
constexpr Addr kBehind = kCall + kCallBytes;
// DWARF's numbers.
constexpr uint8_t kRaxThere = 0;
constexpr uint8_t kRbxThere = 3;
constexpr uint8_t kRbpThere = 6;

// Of a call, or a jump, that begins the code and has five bytes.
ResultPlaces places_in(std::vector<uint8_t> code) {
  Region region;
  region.range = AddrRange::sized(kCall, code.size());
  region.perms = {true, false, true, false};
  region.contents = Contents::Saved;
  region.bytes = reinterpret_cast<const std::byte*>(code.data());
  ImageBuilder builder;
  builder.add_region(region);
  const MemoryImage image = builder.freeze();
  CallSite site;
  site.call = kCall;
  site.after = kBehind;
  return places_of_result(image, site);
}

// Of a call, what is behind it, and then a return.
ResultPlaces places_behind(std::initializer_list<uint8_t> behind) {
  std::vector<uint8_t> code{0xe8, 0, 0, 0, 0};
  code.insert(code.end(), behind);
  code.push_back(0xc3);
  return places_in(std::move(code));
}

const ValuePlace* place_of(const ResultPlaces& found, ValuePlace::Kind kind, uint8_t reg = 0) {
  const auto at =
      std::find_if(found.places.begin(), found.places.end(), [&](const ValuePlace& place) {
        return place.kind == kind && (kind == ValuePlace::Kind::Returned || place.reg == reg);
      });
  return at == found.places.end() ? nullptr : &*at;
}

TEST(ResultPlaces, TheResultIsInRaxUntilThatIsWritten) {
  // mov rbx, rax; xor eax, eax
  const ResultPlaces found = places_behind({0x48, 0x89, 0xc3, 0x31, 0xc0});
  const ValuePlace* const rax = place_of(found, ValuePlace::Kind::Register, kRaxThere);
  ASSERT_NE(rax, nullptr);
  EXPECT_EQ(rax->code, AddrRange(kBehind, kBehind + 5));
  const ValuePlace* const rbx = place_of(found, ValuePlace::Kind::Register, kRbxThere);
  ASSERT_NE(rbx, nullptr);
  EXPECT_EQ(rbx->code, AddrRange(kBehind + 3, kBehind + 6));
  EXPECT_EQ(place_of(found, ValuePlace::Kind::Returned), nullptr) << "it returns zero";
}

TEST(ResultPlaces, ACalledFunctionMayChangeRax) {
  // mov rbx, rax; call +0; mov rax, rbx
  const ResultPlaces found = places_behind({0x48, 0x89, 0xc3, 0xe8, 0, 0, 0, 0, 0x48, 0x89, 0xd8});
  const ValuePlace* const rax = place_of(found, ValuePlace::Kind::Register, kRaxThere);
  ASSERT_NE(rax, nullptr);
  EXPECT_EQ(rax->code, AddrRange(kBehind, kBehind + 8));
  EXPECT_NE(place_of(found, ValuePlace::Kind::Returned), nullptr) << "it is back there";
}

TEST(ResultPlaces, MemoryIsNamedByTheRegisterThatLeadsThere) {
  // mov [rbx+0x10], rax
  const ResultPlaces found = places_behind({0x48, 0x89, 0x43, 0x10});
  const ValuePlace* const memory = place_of(found, ValuePlace::Kind::Memory, kRbxThere);
  ASSERT_NE(memory, nullptr);
  EXPECT_EQ(memory->displacement, 0x10);
  EXPECT_EQ(memory->code, AddrRange::sized(kBehind, 4));
}

TEST(ResultPlaces, APointerFetchedFromTheFrameLeadsThere) {
  // mov rdx, [rbp-8]; mov [rdx+0x18], rax
  const ResultPlaces found = places_behind({0x48, 0x8b, 0x55, 0xf8, 0x48, 0x89, 0x42, 0x18});
  const ValuePlace* const behind = place_of(found, ValuePlace::Kind::Behind, kRbpThere);
  ASSERT_NE(behind, nullptr);
  EXPECT_EQ(behind->displacement, -8);
  EXPECT_EQ(behind->member, 0x18);
}

TEST(ResultPlaces, WhereTheFrameMovesWhatWasFetchedIsForgotten) {
  // mov rdx, [rbp-8]; pop rbp; mov [rdx+0x18], rax
  const ResultPlaces found = places_behind({0x48, 0x8b, 0x55, 0xf8, 0x5d, 0x48, 0x89, 0x42, 0x18});
  EXPECT_EQ(place_of(found, ValuePlace::Kind::Behind, kRbpThere), nullptr);
}

TEST(ResultPlaces, AVariableOfTheModuleHasAnAddress) {
  // mov [rip+0x100], rax
  const ResultPlaces found = places_behind({0x48, 0x89, 0x05, 0x00, 0x01, 0x00, 0x00});
  ASSERT_EQ(found.written_at.size(), 1U);
  EXPECT_EQ(found.written_at[0], kBehind + 7 + 0x100);
}

TEST(ResultPlaces, AFieldOfTheBlockItselfIsNoPlace) {
  // mov [rax], rax
  const ResultPlaces found = places_behind({0x48, 0x89, 0x00});
  EXPECT_EQ(place_of(found, ValuePlace::Kind::Memory), nullptr);
}

TEST(ResultPlaces, JumpsAreFollowed) {
  // jmp +2; (two bytes that are skipped) ; mov rbx, rax
  const ResultPlaces found = places_behind({0xeb, 0x02, 0x31, 0xc0, 0x48, 0x89, 0xc3});
  EXPECT_NE(place_of(found, ValuePlace::Kind::Register, kRbxThere), nullptr);
  EXPECT_NE(place_of(found, ValuePlace::Kind::Returned), nullptr);
}

TEST(ResultPlaces, CodeThatJumpsToItselfEnds) {
  EXPECT_LE(places_behind({0xeb, 0xfe}).places.size(), 4U);
}

TEST(ResultPlaces, CodeThatIsNotSavedHasNone) {
  CallSite site;
  site.call = Addr(0x1000);
  site.after = Addr(0x1005);
  const ResultPlaces found = places_of_result(ImageBuilder().freeze(), site);
  EXPECT_TRUE(found.places.empty());
  EXPECT_TRUE(found.written_at.empty());
}

TEST(ResultPlaces, ATailCallReturnsItsResult) {
  const ResultPlaces found = places_in({0xe9, 0, 0, 0, 0});
  ASSERT_EQ(found.places.size(), 1U);
  EXPECT_EQ(found.places[0].kind, ValuePlace::Kind::Returned);
}

}  // namespace
}  // namespace heapscan
