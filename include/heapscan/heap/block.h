// A block: what malloc returned, header not included. One row of the block table, 12 bytes, since
// there may be tens of millions of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"

namespace heapscan {

enum class BlockState : uint8_t {
  Used,         // handed out to the program
  Tcache,       // free, cached by a thread
  Fastbin,      // free, in a fastbin
  Binned,       // free, in a bin
  Top,          // the rest of a heap, never handed out or given back
  Bookkeeping,  // the C library's own: tcache structs, fenceposts, thread-local storage of ended
                // threads
  Mapping,      // a raw anonymous mapping that no allocator, stack or loader owns
};
[[nodiscard]] const char* name_of(BlockState state);

class Block {
 public:
  // Bytes, of a block of an arena and of another one. Larger ones are cut to it.
  static constexpr uint64_t kLargestInArena = ((uint64_t{1} << 36) - 1) * 8;
  static constexpr uint64_t kLargestSize = ((uint64_t{1} << 49) - 1) * 8;
  static constexpr uint32_t kArenas = 1 << 13;  // that can be told apart
  // Blocks lie below: what user space has but for page tables of five levels.
  static constexpr Addr kEndOfPlaces{uint64_t{1} << 47};

  Block() = default;
  // `arena` none: a chunk with a mapping of its own, or a raw mapping. What malloc hands out begins at
  // multiples of 16 bytes and has multiples of 8; of what does not (a mapping in a damaged core), the
  // bytes between two such places.
  Block(Addr begin, uint64_t size, BlockState state, ArenaId arena) {
    const uint64_t at = begin.align_up(kUnit).value & kPlaceMask;
    const uint64_t skipped = (at - begin.value) % kUnit;
    const bool has_arena = arena.valid() && arena.value < kArenas;
    const uint64_t most = (has_arena ? kLargestInArena : kLargestSize) / 8;
    const uint64_t units = std::min((size > skipped ? size - skipped : 0) / 8, most);
    uint64_t low = at | static_cast<uint64_t>(state);
    low |= (units >> 32) << (has_arena ? kHighInArena : kHigh);
    if (has_arena) low |= kHasArena | uint64_t{arena.value} << kHigh;
    store(low);
    words_[2] = static_cast<uint32_t>(units);
  }

  [[nodiscard]] Addr begin() const { return Addr(low() & kPlaceMask); }
  [[nodiscard]] uint64_t size() const {  // usable bytes
    const uint64_t low = this->low();
    const uint64_t high = low >> ((low & kHasArena) != 0 ? kHighInArena : kHigh);
    return (high << 32 | words_[2]) * 8;
  }
  [[nodiscard]] AddrRange range() const { return AddrRange::sized(begin(), size()); }
  [[nodiscard]] BlockState state() const { return static_cast<BlockState>(low() & kStateMask); }
  [[nodiscard]] ArenaId arena() const {
    const uint64_t low = this->low();
    return (low & kHasArena) != 0 ? ArenaId(low >> kHigh & (kArenas - 1)) : ArenaId::none();
  }
  // Used blocks and mappings: what a verdict is passed on.
  [[nodiscard]] bool is_judged() const {
    return state() == BlockState::Used || state() == BlockState::Mapping;
  }
  void set_state(BlockState state) { store((low() & ~kStateMask) | static_cast<uint64_t>(state)); }

 private:
  // Two words are where the block begins, between whose zeros stand the state (the lowest 3 bits),
  // whether it has an arena (1), and above it 17 bits: of a block of an arena the arena's number (13) and
  // the upper part of size / 8, of another one that alone. The third is the lower part of size / 8.
  static constexpr uint64_t kUnit = 16;
  static constexpr uint64_t kStateMask = 7;
  static constexpr uint64_t kHasArena = 8;
  static constexpr uint64_t kPlaceMask = (kEndOfPlaces.value - 1) & ~(kUnit - 1);
  static constexpr unsigned kHigh = 47;
  static constexpr unsigned kHighInArena = 60;

  [[nodiscard]] uint64_t low() const {
    uint64_t low;
    std::memcpy(&low, words_.data(), sizeof low);
    return low;
  }
  void store(uint64_t low) { std::memcpy(words_.data(), &low, sizeof low); }

  std::array<uint32_t, 3> words_{};
};
static_assert(sizeof(Block) == 12);

// Whether the word at `at` in the block that begins at `begin` is what glibc left there when the
// block was free, large and the only one of its size: a link to its own header. The header begins
// with the last word of the block before, of which the word says nothing.
[[nodiscard]] constexpr bool is_left_link(Addr begin, Addr at, uint64_t word) {
  return word == begin.value - 16 && (at == begin + 16 || at == begin + 24);
}

}  // namespace heapscan
