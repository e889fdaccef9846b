#include "heapscan/diff/imprint.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "heapscan/base/hash.h"
#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr size_t kRowsPerPiece = 4096;
constexpr uint64_t kWord = sizeof(uint64_t);

// What a word at this place adds to the hash of its block. Zeros add nothing, so it does not matter
// whether they were saved.
uint64_t part_of_hash(uint64_t offset, uint64_t word) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
  return word == 0 ? 0 : mix(word + kOdd * (offset + 1));
}

// The bytes as the word at an aligned place that they are a part of.
uint64_t part_of_word(Bytes bytes, uint64_t at) {
  uint64_t word = 0;
  std::memcpy(reinterpret_cast<std::byte*>(&word) + at, bytes.data(), bytes.size());
  return word;
}

uint64_t given_or_own(std::span<const BlockHash> hashes, const MemoryImage& image,
                      AddrRange block) {
  const auto at = std::lower_bound(hashes.begin(), hashes.end(), block.begin(),
                                   [](const BlockHash& row, Addr a) { return row.address < a; });
  return at != hashes.end() && at->address == block.begin() ? at->hash
                                                            : hash_of_contents(image, block);
}

const Module* program_of(const MemoryImage& image) {
  for (const Module& module : image.modules()) {
    if (module.is_executable) return &module;
  }
  return nullptr;
}

}  // namespace

static_assert(sizeof(ImprintRow) == 32);

uint64_t hash_of_contents(const MemoryImage& image, AddrRange block) {
  uint64_t hash = block.size();
  image.for_each_span(block, [&](Addr begin, Bytes bytes) {
    while (!bytes.empty()) {
      const uint64_t in_word = (begin - block.begin()) % kWord;
      const size_t length = std::min<size_t>(kWord - in_word, bytes.size());
      const uint64_t word = length == kWord ? load<uint64_t>(bytes.data())
                                            : part_of_word(bytes.first(length), in_word);
      hash += part_of_hash(begin - block.begin() - in_word, word);
      begin = begin + length;
      bytes = bytes.subspan(length);
    }
  });
  return hash;
}

ProgramMark mark_of(const MemoryImage& image) {
  constexpr uint64_t kAtRandom = 25;
  ProgramMark mark;
  if (const Module* const program = program_of(image)) {
    mark.is_known = true;
    mark.file_name = program->file_name();
    mark.build_id = program->build_id;
    mark.range = program->range;
  }
  mark.random_at = image.aux(kAtRandom);
  std::array<std::byte, 16> random{};
  // A look without contents has lost them.
  if (mark.random_at && !image.lacks_numbers() && image.read_bytes(Addr(*mark.random_at), random))
    mark.random.assign(reinterpret_cast<const char*>(random.data()), random.size());
  return mark;
}

Imprint make_imprint(const Analysis& analysis, std::span<const BlockHash> hashes) {
  const HeapModel& heap = analysis.heap;
  Imprint imprint;
  imprint.program = mark_of(analysis.image);
  imprint.lacks_numbers = analysis.image.lacks_numbers();
  imprint.fingerprints = Column<ClusterId, uint64_t>(analysis.clusters.rows.size());
  for (size_t i = 0; i < analysis.clusters.rows.size(); ++i)
    imprint.fingerprints[ClusterId(i)] = analysis.clusters.rows[ClusterId(i)].fingerprint;

  imprint.rows = GrowingArray<ImprintRow>(heap.blocks.size());
  for (size_t i = 0; i < heap.blocks.size(); ++i) {
    const Block& block = heap.blocks[i];
    if (block.state() != BlockState::Used) continue;
    ImprintRow row;
    row.begin = block.begin();
    row.block = BlockId(i);
    row.cluster = analysis.clusters.of(row.block);
    row.size = block.size() & ((uint64_t{1} << 56) - 1);  // Block::kLargestSize is less
    row.verdict = static_cast<uint8_t>(analysis.reach.verdicts[i]);
    imprint.rows.push_back(row);
  }
  parallel_for_pieces(imprint.rows.size(), kRowsPerPiece, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      ImprintRow& row = imprint.rows[i];
      row.contents = given_or_own(hashes, analysis.image, AddrRange::sized(row.begin, row.size));
    }
  });
  return imprint;
}

}  // namespace heapscan
