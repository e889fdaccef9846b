#include "heap/allocator.h"

#include <gmock/gmock.h>

#include "heapscan/image/intervals.h"
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

TEST(FindMappings, SharedObjectsThatTouchAreToldApart) {
  FakeProcess process;
  for (uint64_t i = 0; i < 4; ++i) {
    Region& region = process.map(kRaw + i * 2 * kPage, 2 * kPage);
    region.perms.shared = true;
    region.label = i < 3 ? "/dev/zero (deleted)" : "/memfd:x (deleted)";
    // The second goes on where the first ends, the third is another object.
    region.file_offset = i == 1 || i == 3 ? 2 * kPage : 0;
  }
  EXPECT_THAT(mappings_of(process), ElementsAre(pages(0, 4), pages(4, 2), pages(6, 2)));
}

// What is left of a second object may go on where the first ends.
TEST(FindMappings, SharedObjectsThatTouchAreToldApartByTheirInodes) {
  FakeProcess process;
  for (uint64_t i = 0; i < 3; ++i) {
    Region& region = process.map(kRaw + i * 2 * kPage, 2 * kPage);
    region.perms.shared = true;
    region.label = "/dev/zero (deleted)";
    region.file_offset = i * 2 * kPage;
    region.object = i < 2 ? 17 : 18;
  }
  EXPECT_THAT(mappings_of(process), ElementsAre(pages(0, 4), pages(4, 2)));
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

// ---- reservations

constexpr uint64_t kMiBPages = (uint64_t{1} << 20) / kPage;

class Reservations : public testing::Test {
 protected:
  void reserve(uint64_t first, uint64_t count) {
    process_.map(kRaw + first * kPage, count * kPage).perms = {};
  }
  void use(uint64_t first, uint64_t count) { process_.map(kRaw + first * kPage, count * kPage); }
  std::vector<AddrRange> found(std::vector<AddrRange> taken = {}) {
    taken.push_back(AddrRange::sized(FakeProcess::kFirstStack, FakeProcess::kFirstStackSize));
    taken.push_back(AddrRange::sized(FakeProcess::kFirstStorage, 2 * kPage));
    taken = joined(std::move(taken));
    const MemoryImage image = process_.build();
    std::vector<AddrRange> mappings = find_mappings(image, taken);
    join_reservations(image, taken, mappings);
    return mappings;
  }
  FakeProcess process_;
};

TEST_F(Reservations, UsablePartsAreOneMappingWithWhatIsReservedAroundThem) {
  reserve(0, kMiBPages);
  use(kMiBPages, 4);
  reserve(kMiBPages + 4, 2 * kMiBPages);
  use(3 * kMiBPages + 4, 1);
  reserve(3 * kMiBPages + 5, 100);
  EXPECT_THAT(found(), ElementsAre(pages(0, 3 * kMiBPages + 105)));
}

TEST_F(Reservations, PartsOfOtherRightsCountAsUsable) {
  reserve(0, kMiBPages);
  use(kMiBPages, 1);
  process_.map(kRaw + (kMiBPages + 1) * kPage, kPage).perms = {.read = true, .execute = true};
  process_.poke(kRaw + (kMiBPages + 1) * kPage, 1);
  reserve(kMiBPages + 2, 1);
  EXPECT_THAT(found(), ElementsAre(pages(0, kMiBPages + 3)));
}

TEST_F(Reservations, BuffersBetweenGuardsStayApart) {
  for (uint64_t i = 0; i < 4; ++i) {
    reserve(i * 17, 1);
    use(i * 17 + 1, 16);
  }
  reserve(4 * 17, 1);
  EXPECT_THAT(found(), ElementsAre(pages(1, 16), pages(18, 16), pages(35, 16), pages(52, 16)));
}

TEST_F(Reservations, LongGuardsOfLongBuffersAreGuards) {
  reserve(0, 16);
  use(16, 16);
  reserve(32, 16);
  EXPECT_THAT(found(), ElementsAre(pages(16, 16)));
}

TEST_F(Reservations, WhatTouchesItFromOutsideIsNoPart) {
  use(0, 2);
  reserve(2, kMiBPages);
  use(2 + kMiBPages, 1);
  reserve(3 + kMiBPages, kMiBPages);
  use(3 + 2 * kMiBPages, 5);
  EXPECT_THAT(found(),
              ElementsAre(pages(0, 2), pages(2, 2 * kMiBPages + 1), pages(3 + 2 * kMiBPages, 5)));
}

TEST_F(Reservations, SharedMemoryEndsIt) {
  reserve(0, kMiBPages);
  process_.map(kRaw + kMiBPages * kPage, kPage).perms.shared = true;
  reserve(kMiBPages + 1, kMiBPages);
  EXPECT_THAT(found(), ElementsAre(pages(kMiBPages, 1)));
}

TEST_F(Reservations, WhatAnAllocatorOrAThreadOwnsIsNotJoined) {
  reserve(0, kMiBPages);
  use(kMiBPages, 4);
  reserve(kMiBPages + 4, kMiBPages);
  EXPECT_THAT(found({pages(kMiBPages + 2, 1)}),
              ElementsAre(pages(kMiBPages, 2), pages(kMiBPages + 3, 1)));
}

// gcore makes readable memory of it, all zero.
TEST_F(Reservations, ReservedMemoryMayReadAsZero) {
  process_.map(kRaw, kMiBPages * kPage).perms = {.read = true};
  use(kMiBPages, 1);
  process_.map(kRaw + (kMiBPages + 1) * kPage, kPage).perms = {.read = true};
  EXPECT_THAT(found(), ElementsAre(pages(0, kMiBPages + 2)));
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
