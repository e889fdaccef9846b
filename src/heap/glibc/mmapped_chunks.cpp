// Any page can hold two words that look like the header of such a chunk, and memory that a runtime
// fills with tables of numbers has many of them. What cannot be a coincidence is a set of chunks
// whose number and length in total are those that malloc counts. The sets are made from low to high
// addresses: a candidate either is left out, or is added to a set of candidates that end below it.
// Sets of the same number and length differ by how likely their members are, and the best stays.
// Beyond a number of sets, only the likeliest are carried on. Candidates that fill the memory
// between two edges and overlap no other are not in doubt.
//
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

#include "heap/glibc/chunks.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/base/parallel.h"
#include "heapscan/image/intervals.h"

namespace heapscan::glibc {

namespace {

// Bounds for images made to be expensive: each candidate multiplies what is to be weighed.
constexpr size_t kMostDoubtful = 1024;
constexpr size_t kMostSets = 1024;  // carried on from each candidate
constexpr uint32_t kNobody = ~uint32_t{0};

struct ChunkSet {
  uint64_t count = 0;
  uint64_t bytes = 0;
  uint64_t likely = 0;
  uint32_t last = kNobody;  // index into links

  [[nodiscard]] bool is_alike(const ChunkSet& other) const {
    return count == other.count && bytes == other.bytes;
  }
};

struct Link {
  uint32_t candidate = 0;
  uint32_t before = kNobody;
};

bool by_size(const ChunkSet& a, const ChunkSet& b) {
  return a.count != b.count ? a.count < b.count : a.bytes < b.bytes;
}

// Of two alike the likelier; of equally likely ones that of `a`.
std::vector<ChunkSet> merged(const std::vector<ChunkSet>& a, const std::vector<ChunkSet>& b) {
  std::vector<ChunkSet> result;
  result.reserve(a.size() + b.size());
  auto left = a.begin();
  auto right = b.begin();
  while (left != a.end() || right != b.end()) {
    if (right == b.end() || (left != a.end() && by_size(*left, *right))) {
      result.push_back(*left++);
    } else if (left == a.end() || by_size(*right, *left)) {
      result.push_back(*right++);
    } else {
      result.push_back(right->likely > left->likely ? *right : *left);
      ++left;
      ++right;
    }
  }
  return result;
}

void keep_likeliest(std::vector<ChunkSet>& sets) {
  if (sets.size() <= kMostSets) return;
  std::stable_sort(sets.begin(), sets.end(),
                   [](const ChunkSet& a, const ChunkSet& b) { return a.likely > b.likely; });
  sets.resize(kMostSets);
  std::sort(sets.begin(), sets.end(), by_size);
}

uint64_t likelihood(const MmappedCandidate& candidate) {
  return 1 + (candidate.writable ? 8 : 0) + (candidate.at_edge ? 3 : 0) +
         (candidate.to_edge ? 2 : 0) + (candidate.is_referenced ? 4 : 0);
}

// A mapping may also begin where another chunk's ends, and end where another's begins.
void mark_neighbours(std::vector<MmappedCandidate>& sorted) {
  std::vector<Addr> begins;
  std::vector<Addr> ends;
  for (const MmappedCandidate& c : sorted) {
    begins.push_back(c.chunk.mapping.begin());
    ends.push_back(c.chunk.mapping.end());
  }
  std::sort(begins.begin(), begins.end());
  std::sort(ends.begin(), ends.end());
  for (MmappedCandidate& c : sorted) {
    const AddrRange mapping = c.chunk.mapping;
    c.at_edge = c.at_edge || std::binary_search(ends.begin(), ends.end(), mapping.begin());
    c.to_edge = c.to_edge || std::binary_search(begins.begin(), begins.end(), mapping.end());
  }
}

// Moves those that are not in doubt out of `sorted` (by their ends).
std::vector<MmappedChunk> take_certain(std::vector<MmappedCandidate>& sorted) {
  std::vector<MmappedChunk> certain;
  std::vector<MmappedCandidate> doubtful;
  std::vector<Addr> lowest_from(sorted.size() + 1, Addr(~uint64_t{0}));
  for (size_t i = sorted.size(); i > 0; --i)
    lowest_from[i - 1] = std::min(lowest_from[i], sorted[i - 1].chunk.mapping.begin());
  Addr end_before;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const MmappedCandidate& c = sorted[i];
    const AddrRange mapping = c.chunk.mapping;
    const bool alone = end_before <= mapping.begin() && lowest_from[i + 1] >= mapping.end();
    if (alone && c.writable && c.at_edge && c.to_edge) {
      certain.push_back(c.chunk);
    } else {
      doubtful.push_back(c);
    }
    end_before = std::max(end_before, mapping.end());
  }
  sorted = std::move(doubtful);
  return certain;
}

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

std::optional<std::vector<MmappedChunk>> choose_mmapped(std::vector<MmappedCandidate> candidates,
                                                        MmappedTotal total, uint64_t tolerance) {
  std::sort(candidates.begin(), candidates.end(),
            [](const MmappedCandidate& a, const MmappedCandidate& b) {
              const AddrRange x = a.chunk.mapping;
              const AddrRange y = b.chunk.mapping;
              if (x.end() != y.end()) return x.end() < y.end();
              if (x.begin() != y.begin()) return x.begin() < y.begin();
              return a.chunk.block.begin() > b.chunk.block.begin();
            });
  mark_neighbours(candidates);
  std::vector<MmappedChunk> chosen = take_certain(candidates);
  for (const MmappedChunk& chunk : chosen) {
    if (total.count == 0 || total.bytes + tolerance < chunk.mapping.size()) return std::nullopt;
    --total.count;
    total.bytes -= std::min(total.bytes, chunk.mapping.size());
  }
  if (candidates.size() > kMostDoubtful) return std::nullopt;
  const uint64_t most_bytes =
      total.bytes > ~uint64_t{0} - tolerance ? ~uint64_t{0} : total.bytes + tolerance;

  std::vector<Link> links;
  std::vector<std::vector<ChunkSet>> sets(1, {ChunkSet{}});  // [i]: of the first i candidates
  for (size_t i = 0; i < candidates.size(); ++i) {
    const AddrRange mapping = candidates[i].chunk.mapping;
    const auto below = std::partition_point(
        candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(i),
        [&](const MmappedCandidate& c) { return c.chunk.mapping.end() <= mapping.begin(); });
    std::vector<ChunkSet> with;
    for (const ChunkSet& set : sets[static_cast<size_t>(below - candidates.begin())]) {
      if (set.count == total.count || mapping.size() > most_bytes - set.bytes) continue;
      links.push_back({static_cast<uint32_t>(i), set.last});
      with.push_back({set.count + 1, set.bytes + mapping.size(),
                      set.likely + likelihood(candidates[i]),
                      static_cast<uint32_t>(links.size() - 1)});
    }
    sets.push_back(merged(sets.back(), with));
    keep_likeliest(sets.back());
  }

  const ChunkSet* best = nullptr;
  for (const ChunkSet& set : sets.back()) {
    const uint64_t apart =
        set.bytes > total.bytes ? set.bytes - total.bytes : total.bytes - set.bytes;
    if (set.count != total.count || apart > tolerance) continue;
    if (best == nullptr || set.likely > best->likely) best = &set;
  }
  if (best == nullptr) return std::nullopt;
  for (uint32_t at = best->last; at != kNobody; at = links[at].before)
    chosen.push_back(candidates[links[at].candidate].chunk);
  std::sort(chosen.begin(), chosen.end(), [](const MmappedChunk& a, const MmappedChunk& b) {
    return a.mapping.begin() < b.mapping.begin();
  });
  return chosen;
}

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
