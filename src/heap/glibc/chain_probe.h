// Tells chunks from other bytes by where their sizes lead.
//
// One size word proves nothing. But a chunk's size leads to the next chunk, and that one's to the
// next: a start from which a dozen steps in a row make sense, or which arrives exactly at the end
// of the heap, is a chunk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "heap/glibc/chunks.h"
#include "heap/glibc/word_reader.h"

namespace heapscan::glibc {

// Whether a header of this size, `to_end` bytes before the end of a heap, is one of those that
// close it.
[[nodiscard]] bool is_fence(uint64_t size, uint64_t to_end);
// The end of the headers, all of size 16, that close a stretch of a main arena at a page's end: brk
// failed there, or somebody else moved the break.
[[nodiscard]] std::optional<uint64_t> end_of_fence(WordReader& reader, uint64_t at,
                                                   uint64_t size_word);

class ChainProbe {
 public:
  // `area.range` may begin anywhere; only its end, its kind and its top are looked at.
  ChainProbe(const MemoryImage& image, const HeapArea& area)
      : reader_(image),
        end_(area.range.end().value),
        top_(area.top.value),
        is_main_(area.is_main),
        saved_(image.populated_bytes(area.range)),
        allowed_(std::min(kMostEffort, kLeastEffort + kEffortPerByte * saved_)),
        longest_(saved_ / 16 + allowed_) {}

  // Whether `at`, with `size_word` in place of its own size word, starts a chain of chunks.
  [[nodiscard]] bool is_chain(uint64_t at, uint64_t size_word);
  [[nodiscard]] bool is_chain(uint64_t at);
  // The same, but the chain must go all the way to the end of the heap or to the two headers that
  // close a stretch of it at a page's end, where it is followed no further. Returns that end.
  [[nodiscard]] std::optional<uint64_t> end_of_chain(uint64_t at);

  // The size of the chunk at `at` if only the low byte of its size word is wrong: the least that
  // leads to a chain, which every other that does must lie on.
  [[nodiscard]] std::optional<uint64_t> size_without_low_byte(uint64_t at, uint64_t size_word);

  // The first chunk at or after `from` that starts a chain. Nothing when there is none below the
  // end or the effort allowed is used up.
  [[nodiscard]] std::optional<uint64_t> next_chain(uint64_t from);

 private:
  static constexpr unsigned kEnough = 16;  // steps that make a chain
  // Steps spent on telling chunks from other bytes. A heap may claim any size, so what is allowed
  // follows from the bytes there are.
  static constexpr uint64_t kMostEffort = uint64_t{1} << 25;
  static constexpr uint64_t kLeastEffort = 4096;
  static constexpr uint64_t kEffortPerByte = 4;
  enum class Step { Good, Arrived, Bad };
  struct At {
    uint64_t chunk = 0;
    uint64_t word = 0;
  };
  Step step(At& at);
  bool leads_to(uint64_t from, uint64_t to);

  WordReader reader_;
  uint64_t end_;
  uint64_t top_;
  bool is_main_;
  uint64_t saved_;  // bytes of the heap that were saved
  uint64_t allowed_;
  uint64_t longest_;  // steps for all chains followed to their ends: sound ones share none
  uint64_t effort_ = 0;
};

}  // namespace heapscan::glibc
