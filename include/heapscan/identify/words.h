// What one word of a block says, by itself.
//
// An AddressMap knows which addresses mean something in this image; made once per image. kind_of()
// is what clustering asks of every word of every block: it looks at the value and the map only,
// never at what lies behind a pointer.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

enum class WordKind : uint8_t {
  Zero,
  Small,       // 1 … 65,535
  Negative,    // -65,536 … -1, as 64 or as 32 bits
  Pair,        // two 32-bit integers, each below 65,536 or small and negative
  Text,        // at least four bytes of printable ASCII from the first on, then only NUL
  WideText,    // the same in UTF-16
  Code,        // points into executable module memory
  Constant,    // points into module memory that is read-only after start: vtables, strings, tables
  Data,        // points into a module's writable memory
  BlockStart,  // points at the begin of a block the program uses
  BlockInterior,  // points into one, or one past its end
  FreeBlock,      // points into a block that is free, or at the allocator's own memory
  Stack,          // points into a thread's stack or thread-local storage
  Mapped,         // points into other mapped memory
  Float,          // a double of plausible size
  Time,           // seconds, milli-, micro- or nanoseconds since 1970, of a plausible year
  Number,         // any other value with at least two zero bytes at its end or its beginning
  Random,         // any other value
};
constexpr size_t kWordKinds = static_cast<size_t>(WordKind::Random) + 1;
[[nodiscard]] std::string_view name_of(WordKind kind);

[[nodiscard]] constexpr bool is_pointer(WordKind kind) {
  return kind >= WordKind::Code && kind <= WordKind::Mapped;
}
[[nodiscard]] constexpr bool is_block_pointer(WordKind kind) {
  return kind == WordKind::BlockStart || kind == WordKind::BlockInterior;
}
// Points into a module: what it points at may have a name.
[[nodiscard]] constexpr bool is_module_pointer(WordKind kind) {
  return kind == WordKind::Code || kind == WordKind::Constant || kind == WordKind::Data;
}

// How many characters of ASCII `bytes` begins with that take `step` bytes each, 2 or 4; 0 where
// they are too few, or hardly letters, so that they may be small numbers.
[[nodiscard]] size_t wide_text_length(Bytes bytes, size_t step);

// Refers to the runtime facts and the heap, which must outlive it.
class AddressMap {
 public:
  AddressMap(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap);

  [[nodiscard]] WordKind kind_of(uint64_t word) const;
  // The same of a word that is known to mean no block.
  [[nodiscard]] WordKind kind_outside_blocks(uint64_t word) const;
  // The block that `word` points at or into, or whose end it is, as that of an array; none when
  // there is none. HeapModel::block_at() asks what lies at an address, and leaves the end out.
  [[nodiscard]] BlockId block_meant_by(uint64_t word) const;
  // The tid of the thread whose stack or storage `address` lies in; 0 when it lies in none, or in
  // that of a thread that is no more.
  [[nodiscard]] int thread_of(Addr address) const;

 private:
  struct Place {
    uint64_t begin = 0;
    uint64_t end = 0;
    WordKind kind = WordKind::Mapped;
  };
  [[nodiscard]] static std::vector<Place> visible_parts(const std::vector<Place>& layers);
  // `id` is the block that `word` means.
  [[nodiscard]] WordKind kind_of_block_at(BlockId id, uint64_t word) const;
  [[nodiscard]] WordKind place_of(
      uint64_t word) const;  // outside blocks; Random when it is nowhere

  const RuntimeFacts& runtime_;
  const HeapModel& heap_;
  std::vector<Place> places_;  // sorted, disjoint
};

}  // namespace heapscan
