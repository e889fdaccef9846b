#include "heap/mappings.h"

#include <gmock/gmock.h>

#include "heap/intervals.h"
#include "support/fake_process.h"

namespace heapscan {
namespace {

using testing::ElementsAre;

constexpr Addr kRaw{0x7ff000000000};

AddrRange pages(uint64_t first, uint64_t count) {
  return AddrRange::sized(kRaw + first * kPage, count * kPage);
}

// Everything of FakeProcess that is not ours.
std::vector<AddrRange> mappings_of(FakeProcess& process, std::vector<AddrRange> taken = {}) {
  taken.push_back(AddrRange::sized(FakeProcess::kFirstStack, FakeProcess::kFirstStackSize));
  taken.push_back(AddrRange::sized(FakeProcess::kFirstStorage, 2 * kPage));
  const MemoryImage image = process.build();
  return find_mappings(image, joined(std::move(taken)));
}

TEST(FindMappings, WhatNothingElseOwns) {
  FakeProcess process;
  process.map(kRaw, 10 * kPage);
  EXPECT_THAT(mappings_of(process, {pages(3, 2)}), ElementsAre(pages(0, 3), pages(5, 5)));
}

TEST(FindMappings, RightsTellNeighboursApart) {
  FakeProcess process;
  process.map(kRaw, 2 * kPage);
  process.map(kRaw + 2 * kPage, kPage).perms.write = false;
  process.map(kRaw + 3 * kPage, kPage).perms.write = false;
  process.poke(kRaw + 2 * kPage, 1);
  process.poke(kRaw + 3 * kPage, 1);
  EXPECT_THAT(mappings_of(process), ElementsAre(pages(0, 2), pages(2, 2)));
}

TEST(FindMappings, ProtectedMemoryCountsWhenItHoldsSomething) {
  FakeProcess process;
  process.map(kRaw, kPage).perms = {};
  process.map(kRaw + 4 * kPage, kPage).perms = {};
  process.poke(kRaw + 4 * kPage + 8, 1);
  EXPECT_THAT(mappings_of(process), ElementsAre(pages(4, 1)));
}

TEST(FindMappings, ReadOnlyMemoryCountsWhenItHoldsSomething) {
  FakeProcess process;
  Perms read_only;
  read_only.read = true;
  process.map(kRaw, kPage).perms = read_only;
  process.map(kRaw + 4 * kPage, kPage).perms = read_only;
  process.poke(kRaw + 4 * kPage + 8, 1);
  EXPECT_THAT(mappings_of(process), ElementsAre(pages(4, 1)));
}

TEST(FindMappings, FilesAreOthers) {
  FakeProcess process;
  process.map(kRaw, kPage).backing = Backing::File;
  process.map(kRaw + 4 * kPage, kPage).backing = Backing::Special;
  EXPECT_THAT(mappings_of(process), ElementsAre());
}

TEST(FindMappings, SharedAnonymousMemoryIsAMappingOfItsOwn) {
  FakeProcess process;
  process.map(kRaw, kPage).perms.shared = true;
  process.map(kRaw + kPage, kPage);
  EXPECT_THAT(mappings_of(process), ElementsAre(pages(0, 1), pages(1, 1)));
}

TEST(FindMappings, StacksUsedFromTheirTopsAreToldApart) {
  FakeProcess process;
  process.map(kRaw, 60 * kPage);
  for (uint64_t stack = 0; stack < 6; ++stack)
    process.poke(kRaw + (stack * 10 + 9) * kPage + 100, 1);
  const auto found = mappings_of(process);
  ASSERT_EQ(found.size(), 6U);
  EXPECT_EQ(found[0], pages(0, 10));
  EXPECT_EQ(found[5], pages(50, 10));
}

TEST(FindMappings, FourStacksAreNotEnough) {
  FakeProcess process;
  process.map(kRaw, 40 * kPage);
  for (uint64_t stack = 0; stack < 4; ++stack)
    process.poke(kRaw + (stack * 10 + 9) * kPage + 100, 1);
  EXPECT_THAT(mappings_of(process), ElementsAre(pages(0, 40)));
}

TEST(FindMappings, OneStackOfAnotherSizeKeepsThemTogether) {
  FakeProcess process;
  process.map(kRaw, 61 * kPage);
  for (uint64_t stack = 0; stack < 6; ++stack) {
    process.poke(kRaw + (stack * 10 + 9 + (stack > 3 ? 1 : 0)) * kPage + 100, 1);
  }
  EXPECT_THAT(mappings_of(process), ElementsAre(pages(0, 61)));
}

TEST(Intervals, Subtract) {
  EXPECT_THAT(subtract({pages(0, 4), pages(6, 4)}, {pages(1, 1), pages(3, 4), pages(9, 9)}),
              ElementsAre(pages(0, 1), pages(2, 1), pages(7, 2)));
  EXPECT_THAT(subtract({pages(0, 4)}, {}), ElementsAre(pages(0, 4)));
  EXPECT_THAT(subtract({pages(1, 2)}, {pages(0, 9)}), ElementsAre());
}

TEST(Intervals, Joined) {
  EXPECT_THAT(joined({pages(4, 1), pages(0, 2), pages(2, 1), pages(9, 0)}),
              ElementsAre(pages(0, 3), pages(4, 1)));
}

TEST(Intervals, CommonBytes) {
  EXPECT_EQ(common_bytes({pages(0, 2), pages(4, 2)}, pages(1, 4)), 2 * kPage);
  EXPECT_EQ(common_bytes({}, pages(1, 4)), 0U);
}

}  // namespace
}  // namespace heapscan
