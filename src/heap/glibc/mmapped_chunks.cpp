// Adjacent mappings appear as one region, so every page of raw memory may be the first of such a
// chunk's mapping. It is when the header there is marked as mmapped and its length makes whole
// pages that fit. An aligned block leaves that header behind, stale, and has its own further up,
// where the block is aligned and prev_size leads back to the mapping's start: of the headers of one
// mapping the highest is the true one. After realloc the stale one may give an old length.
// Since 2.43 the size leaves out the mapping's last 16 bytes; both layouts are tried and the chunks
// found decide.

#include "heap/glibc/mmapped_chunks.h"

#include <algorithm>

#include "heap/glibc/chunk.h"
#include "heap/glibc/word_reader.h"

namespace heapscan::glibc {

namespace {

class Search {
 public:
  Search(const MemoryImage& image, uint64_t trailer) : reader_(image), trailer_(trailer) {}

  // The mapping that would begin at `start`, and end at or below `limit`.
  std::optional<MmappedChunk> mapping_at(uint64_t start, uint64_t limit) {
    std::optional<MmappedChunk> found = chunk_at(start, start, limit);
    if (!found) return std::nullopt;
    // Highest first: the true header lies above the one left behind.
    for (unsigned power = 63; power >= 5; --power) {
      const uint64_t alignment = uint64_t{1} << power;
      const uint64_t mem = (start + kHeader + alignment - 1) & ~(alignment - 1);
      if (mem <= start + kHeader || mem >= limit) continue;
      if (const auto higher = chunk_at(mem - kHeader, start, limit)) return higher;
    }
    return found;
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

struct MmappedCandidate {
  MmappedChunk chunk;
  bool at_boundary =
      false;  // begins where a mapping must begin: at the edge of a region or behind another chunk
};

std::vector<MmappedCandidate> search(const MemoryImage& image, const std::vector<AddrRange>& free,
                                     uint64_t trailer) {
  Search at(image, trailer);
  std::vector<MmappedCandidate> found;
  for (const AddrRange& range : free) {
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

// Where more were found than there can be, some are data that looks like a header. Those begin
// anywhere.
void drop_unlikely(std::vector<MmappedCandidate>& found, uint64_t expected) {
  uint64_t too_many = found.size() > expected ? found.size() - expected : 0;
  const auto kept_from =
      std::remove_if(found.rbegin(), found.rend(), [&](const MmappedCandidate& candidate) {
        if (too_many == 0 || candidate.at_boundary) return false;
        --too_many;
        return true;
      });
  found.erase(found.begin(), kept_from.base());
}

}  // namespace

MmappedChunks find_mmapped_chunks(const MemoryImage& image, const std::vector<AddrRange>& free,
                                  std::optional<uint64_t> expected, uint64_t likely_trailer) {
  const uint64_t other_trailer = likely_trailer == 0 ? 16 : 0;
  std::vector<MmappedCandidate> found = search(image, free, likely_trailer);
  uint64_t trailer = likely_trailer;
  if (found.empty() && expected.value_or(1) != 0) {
    found = search(image, free, other_trailer);
    if (!found.empty()) trailer = other_trailer;
  }
  // One may just have been mapped and not yet counted.
  if (expected && found.size() > *expected + 1) drop_unlikely(found, *expected);
  MmappedChunks result;
  result.trailer = trailer;
  for (const MmappedCandidate& candidate : found) {
    result.chunks.push_back(candidate.chunk);
    result.bytes += candidate.chunk.mapping.size();
  }
  return result;
}

}  // namespace heapscan::glibc
