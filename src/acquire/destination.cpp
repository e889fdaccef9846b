#include "acquire/memory_copy.h"

#include <sys/mman.h>

#include <algorithm>

#include "heapscan/base/error.h"

namespace heapscan {

namespace {

constexpr uint64_t kHugePage = uint64_t{2} << 20;
// Address space around what was seen, so that mappings that grow or come to adjoin are still in one
// piece.
constexpr uint64_t kRoomToGrow = uint64_t{4} << 30;
constexpr uint64_t kFaultPiece = uint64_t{32} << 20;
constexpr uint64_t kWorthAdvising = uint64_t{4} << 20;
constexpr size_t kAdvisedAtMost = 16384;  // each splits a mapping of ours, and those are limited
constexpr uint64_t kWorthASystemCall = uint64_t{64} << 10;
constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14

std::byte* align_up(std::byte* at, uint64_t alignment) {
  const uint64_t beyond = reinterpret_cast<uint64_t>(at) % alignment;
  return beyond == 0 ? at : at + (alignment - beyond);
}

void advise_huge(std::span<std::byte> bytes) {
  std::byte* const begin = align_up(bytes.data(), kHugePage);
  std::byte* const end = bytes.data() + bytes.size();
  if (begin + kHugePage > end) return;
  const uint64_t whole = static_cast<uint64_t>(end - begin) / kHugePage * kHugePage;
  ::madvise(begin, whole, MADV_HUGEPAGE);
}

void fault_in_piece(std::span<std::byte> bytes) {
  if (bytes.size() >= kWorthASystemCall &&
      ::madvise(bytes.data(), bytes.size(), kPopulateWrite) == 0) {
    return;
  }
  for (size_t at = 0; at < bytes.size(); at += kPage) {
    *reinterpret_cast<volatile std::byte*>(&bytes[at]) = std::byte{0};
  }
}

// Cut at multiples of the piece size in our own address space, so that no huge page has two
// writers.
std::vector<std::span<std::byte>> cut(const std::vector<std::span<std::byte>>& ranges) {
  std::vector<std::span<std::byte>> pieces;
  for (std::span<std::byte> rest : ranges) {
    while (!rest.empty()) {
      const auto to_border =
          static_cast<size_t>(align_up(rest.data() + 1, kFaultPiece) - rest.data());
      const size_t size = std::min(rest.size(), to_border);
      pieces.push_back(rest.first(size));
      rest = rest.subspan(size);
    }
  }
  return pieces;
}

bool lies_below(const std::span<std::byte>& a, const std::span<std::byte>& b) {
  return a.data() < b.data();
}

}  // namespace

void Destination::reserve(const std::vector<AddrRange>& runs) {
  std::vector<AddrRange> missing;
  for (const AddrRange& run : runs) {
    if (find(run) == nullptr) missing.push_back(run);
  }
  try {
    add_around(missing, kRoomToGrow);
  } catch (const Error&) {
    add_around(missing, 0);  // address space is limited (ulimit -v, strict overcommit)
  }
  placed_.clear();
  for (const AddrRange& run : runs) placed_.push_back({run, find(run)});
}

void Destination::add_around(const std::vector<AddrRange>& runs, uint64_t room) {
  for (size_t first = 0; first < runs.size();) {
    size_t last = first;
    while (last + 1 < runs.size() && runs[last + 1].begin() - runs[last].end() <= room) ++last;
    const AddrRange range(runs[first].begin() - room, runs[last].end() + room);
    reservations_.push_back({range, MappedMemory::reserve(range.size())});
    first = last + 1;
  }
}

std::byte* Destination::find(AddrRange run) {
  for (Reservation& reservation : reservations_) {
    if (reservation.range.contains(run)) {
      return reservation.memory.data() + (run.begin() - reservation.range.begin());
    }
  }
  return nullptr;
}

std::byte* Destination::at(Addr at) {
  const auto after = std::upper_bound(placed_.begin(), placed_.end(), at,
                                      [](Addr a, const Placed& p) { return a < p.run.begin(); });
  HS_CHECK(after != placed_.begin() && std::prev(after)->run.contains(at));
  return std::prev(after)->bytes + (at - std::prev(after)->run.begin());
}

void Destination::fault_in(const std::vector<AddrRange>& ranges, WorkCrew& crew) {
  size_t advised = 0;
  for (const AddrRange& range : ranges) {
    const std::span<std::byte> bytes(at(range.begin()), range.size());
    if (bytes.size() >= kWorthAdvising && advised++ < kAdvisedAtMost) advise_huge(bytes);
    faulted_.push_back(bytes);
  }
  std::sort(faulted_.begin(), faulted_.end(), lies_below);
  const auto pieces = cut(faulted_);
  crew.run(pieces.size(), [&](size_t i) { fault_in_piece(pieces[i]); });
}

void Destination::give_back_unused(const std::vector<AddrRange>& used) {
  std::vector<std::span<std::byte>> kept;
  for (const AddrRange& range : used) kept.emplace_back(at(range.begin()), range.size());
  std::sort(kept.begin(), kept.end(), lies_below);
  size_t next = 0;
  for (const std::span<std::byte>& bytes : faulted_) {
    std::byte* begin = bytes.data();
    std::byte* const end = bytes.data() + bytes.size();
    while (next < kept.size() && kept[next].data() + kept[next].size() <= begin) ++next;
    for (size_t i = next; begin < end; ++i) {
      std::byte* const stop = i < kept.size() ? std::min(kept[i].data(), end) : end;
      if (begin < stop) ::madvise(begin, static_cast<size_t>(stop - begin), MADV_DONTNEED);
      if (i >= kept.size()) break;
      begin = std::max(begin, kept[i].data() + kept[i].size());
    }
  }
  faulted_.clear();
}

void Destination::hand_over(ImageBuilder& builder) {
  for (Reservation& reservation : reservations_) builder.keep(std::move(reservation.memory));
  reservations_.clear();
  placed_.clear();
}

}  // namespace heapscan
