// Adjacent mappings appear as one region, so every page of raw memory may be the first of such a
// chunk's mapping. It is when the header there is marked as mmapped and its length makes whole
// pages that fit. An aligned block leaves that header behind, stale, and has its own further up,
// where the block is aligned and prev_size leads back to the mapping's start: of the headers of one
// mapping the highest is the true one. After realloc the stale one may give an old length.
// Since 2.43 the size leaves out the mapping's last 16 bytes; both layouts are tried and the chunks
// found decide.
//
// malloc maps memory to be read and written, and what a program protects of it later is rare (the
// guard page of a stack that it allocated). So chunks are first taken from low to high addresses
// where memory is writable throughout. Where malloc's own totals disagree with that, every page of
// all the memory is a candidate, and the totals choose.

#include "heap/glibc/mmapped_chunks.h"

#include <algorithm>
#include <atomic>

#include "heap/glibc/chunk.h"
#include "heap/glibc/mmapped_choice.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/base/parallel.h"
#include "heapscan/image/intervals.h"

namespace heapscan::glibc {

namespace {

class Search {
 public:
  Search(const MemoryImage& image, uint64_t trailer) : reader_(image), trailer_(trailer) {}

  // The mapping that would begin at `start`, and end at or below `limit`.
  std::optional<MmappedChunk> mapping_at(uint64_t start, uint64_t limit) {
    std::optional<MmappedChunk> best;
    for_each_at(start, limit, [&](const MmappedChunk& chunk) {
      if (!best) best = chunk;
    });
    return best;
  }

  // Calls f for all of them, the likeliest first; of those with one end only the likeliest.
  template <typename F>
  void for_each_at(uint64_t start, uint64_t limit, F&& f) {
    const std::optional<MmappedChunk> lowest = chunk_at(start, start, limit);
    if (!lowest) return;
    std::vector<Addr> ends;
    const auto add = [&](const MmappedChunk& chunk) {
      const Addr end = chunk.mapping.end();
      if (std::find(ends.begin(), ends.end(), end) != ends.end()) return;
      ends.push_back(end);
      f(chunk);
    };
    // Highest first: the true header lies above the one left behind.
    for (unsigned power = 63; power >= 5; --power) {
      const uint64_t alignment = uint64_t{1} << power;
      const uint64_t mem = (start + kHeader + alignment - 1) & ~(alignment - 1);
      if (mem <= start + kHeader || mem >= limit) continue;
      if (const auto higher = chunk_at(mem - kHeader, start, limit)) add(*higher);
    }
    add(*lowest);
  }

 private:
  std::optional<MmappedChunk> chunk_at(uint64_t chunk, uint64_t start, uint64_t limit) {
    const auto word = reader_.word(chunk + 8);
    if (!word || (*word & kFlagBits) != kIsMmapped) return std::nullopt;
    const auto previous = reader_.word(chunk);
    const uint64_t huge_page_flag = trailer_ != 0 ? 1 : 0;
    if (!previous || (*previous & ~huge_page_flag) != chunk - start) return std::nullopt;
    const uint64_t size = size_of(*word);
    if (size < kMinSize || size > limit - start) return std::nullopt;
    const uint64_t end = chunk + size + trailer_;
    if (end % kPage != 0 || end > limit || end < chunk + kMinSize) return std::nullopt;
    const uint64_t block_end = trailer_ != 0 ? chunk + size + 8 : chunk + size;
    return MmappedChunk{AddrRange(Addr(start), Addr(end)),
                        AddrRange(Addr(chunk + kHeader), Addr(block_end))};
  }

  WordReader reader_;
  uint64_t trailer_;
};

constexpr size_t kMostCandidates = size_t{1} << 16;

struct FoundChunk {
  MmappedChunk chunk;
  bool at_boundary =
      false;  // begins where a mapping must begin: at the edge of a region or behind another chunk
};

// From low to high addresses, each behind the one before.
std::vector<FoundChunk> search(const MemoryImage& image, const std::vector<AddrRange>& memory,
                               uint64_t trailer) {
  Search at(image, trailer);
  std::vector<FoundChunk> found;
  for (const AddrRange& range : memory) {
    uint64_t done = range.begin().value;
    bool behind_another = true;
    image.for_each_span(range, [&](Addr begin, Bytes bytes) {
      const uint64_t end = begin.value + bytes.size();
      uint64_t page = std::max(begin.align_up(kPage).value, done);
      while (page < end && end - page >= kPage) {
        if (page != done) behind_another = false;
        const auto chunk = at.mapping_at(page, range.end().value);
        if (!chunk) {
          page += kPage;
          continue;
        }
        const Region* const region = image.region_at(Addr(page));
        const bool edge = region != nullptr && region->range.begin().value == page;
        found.push_back({*chunk, behind_another || edge});
        page = done = chunk->mapping.end().value;
        behind_another = true;
      }
    });
  }
  return found;
}

// Whatever looks like such a chunk; what overlaps as well. Nothing when that is too much.
std::vector<MmappedCandidate> candidates_in(const MemoryImage& image,
                                            const std::vector<AddrRange>& memory,
                                            const std::vector<AddrRange>& writable,
                                            uint64_t trailer) {
  Search at(image, trailer);
  std::vector<MmappedCandidate> found;
  const auto begins_or_ends = [&](Addr a) {
    const Region* const below = a.is_null() ? nullptr : image.region_at(a - 1);
    const Region* const here = image.region_at(a);
    return below == nullptr || here == nullptr || below->perms != here->perms ||
           below->backing != here->backing;
  };
  for (const AddrRange& range : memory) {
    image.for_each_span(range, [&](Addr begin, Bytes bytes) {
      const Addr end = begin + bytes.size();
      for (Addr page = begin.align_up(kPage); page < end && end - page >= kPage;
           page = page + kPage) {
        if (found.size() > kMostCandidates) return;
        at.for_each_at(page.value, range.end().value, [&](const MmappedChunk& chunk) {
          MmappedCandidate candidate{chunk};
          const AddrRange mapping = chunk.mapping;
          candidate.writable = common_bytes(writable, mapping) == mapping.size();
          candidate.at_edge = mapping.begin() == range.begin() || begins_or_ends(mapping.begin());
          candidate.to_edge = mapping.end() == range.end() || begins_or_ends(mapping.end());
          found.push_back(candidate);
        });
      }
    });
  }
  if (found.size() > kMostCandidates) found.clear();
  return found;
}

// Where more were found than there can be, some are data that looks like a header. Those begin
// anywhere.
void drop_unlikely(std::vector<FoundChunk>& found, uint64_t expected) {
  uint64_t too_many = found.size() > expected ? found.size() - expected : 0;
  const auto kept_from = std::remove_if(found.rbegin(), found.rend(), [&](const FoundChunk& one) {
    if (too_many == 0 || one.at_boundary) return false;
    --too_many;
    return true;
  });
  found.erase(found.begin(), kept_from.base());
}

std::vector<AddrRange> writable_part(const MemoryImage& image, const std::vector<AddrRange>& free) {
  std::vector<AddrRange> others;
  for (const Region& region : image.regions()) {
    if (!region.perms.write) others.push_back(region.range);
  }
  return subtract(free, joined(std::move(others)));
}

MmappedTotal total_of(const std::vector<FoundChunk>& found) {
  MmappedTotal total;
  for (const FoundChunk& one : found) {
    ++total.count;
    total.bytes += one.chunk.mapping.size();
  }
  return total;
}

// What the program has it mostly knows the address of, and of a number that looks like a header
// it does not. A look through all writable memory, for the rare case that malloc's totals alone
// must decide.
void mark_referenced(const MemoryImage& image, std::vector<MmappedCandidate>& candidates) {
  std::vector<uint64_t> begins;
  for (const MmappedCandidate& candidate : candidates)
    begins.push_back(candidate.chunk.block.begin().value);
  std::sort(begins.begin(), begins.end());
  begins.erase(std::unique(begins.begin(), begins.end()), begins.end());
  if (begins.empty()) return;
  std::vector<std::atomic<bool>> referenced(begins.size());
  const std::vector<Region>& regions = image.regions();
  parallel_for(regions.size(), [&](size_t r) {
    if (!regions[r].perms.write) return;
    image.for_each_span(regions[r].range, [&](Addr at, Bytes bytes) {
      for (size_t i = at.align_up(8) - at; i + 8 <= bytes.size(); i += 8) {
        const auto word = load<uint64_t>(bytes.data() + i);
        if (word < begins.front() || word > begins.back()) continue;
        const auto found = std::lower_bound(begins.begin(), begins.end(), word);
        if (*found == word) referenced[static_cast<size_t>(found - begins.begin())] = true;
      }
    });
  });
  for (MmappedCandidate& candidate : candidates) {
    const auto found =
        std::lower_bound(begins.begin(), begins.end(), candidate.chunk.block.begin().value);
    candidate.is_referenced = referenced[static_cast<size_t>(found - begins.begin())];
  }
}

// 2.43 adds the 16 bytes that a chunk's size leaves out when it maps one, but not when realloc
// moves it.
uint64_t miscounted_at_most(uint64_t trailer) { return trailer != 0 ? uint64_t{64} << 10 : 0; }

bool agree(MmappedTotal a, MmappedTotal b, uint64_t trailer) {
  const uint64_t apart = a.bytes > b.bytes ? a.bytes - b.bytes : b.bytes - a.bytes;
  return a.count == b.count && apart <= miscounted_at_most(trailer);
}

}  // namespace

MmappedChunks find_mmapped_chunks(const MemoryImage& image, const std::vector<AddrRange>& free,
                                  std::optional<MmappedTotal> expected, uint64_t likely_trailer) {
  const uint64_t other_trailer = likely_trailer == 0 ? 16 : 0;
  const std::vector<AddrRange> writable = writable_part(image, free);
  std::vector<FoundChunk> found = search(image, writable, likely_trailer);
  MmappedChunks result;
  result.trailer = likely_trailer;
  if (found.empty() && (!expected || expected->count != 0)) {
    found = search(image, writable, other_trailer);
    if (!found.empty()) result.trailer = other_trailer;
  }
  if (expected && !agree(total_of(found), *expected, result.trailer)) {
    const uint64_t tolerance = miscounted_at_most(result.trailer);
    std::vector<MmappedCandidate> candidates = candidates_in(image, free, writable, result.trailer);
    mark_referenced(image, candidates);
    if (auto chosen = choose_mmapped(std::move(candidates), *expected, tolerance)) {
      result.chunks = std::move(*chosen);
      for (const MmappedChunk& chunk : result.chunks) result.bytes += chunk.mapping.size();
      return result;
    }
  }
  // One may just have been mapped and not yet counted.
  if (expected && found.size() > expected->count + 1) drop_unlikely(found, expected->count);
  for (const FoundChunk& one : found) result.chunks.push_back(one.chunk);
  result.bytes = total_of(found).bytes;
  return result;
}

}  // namespace heapscan::glibc
