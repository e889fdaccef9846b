// Any page can hold two words that look like the header of such a chunk, and memory that a runtime
// fills with tables of numbers has many of them. What cannot be a coincidence is a set of chunks
// whose number and length in total are those that malloc counts. The sets are made from low to high
// addresses: a candidate either is left out, or is added to a set of candidates that end below it.
// Sets of the same number and length differ by how likely their members are, and the best stays.
// Beyond a number of sets, only the likeliest are carried on. Candidates that fill the memory
// between two edges and overlap no other are not in doubt.

#include "heap/glibc/mmapped_choice.h"

#include <algorithm>

namespace heapscan::glibc {

namespace {

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

}  // namespace heapscan::glibc
