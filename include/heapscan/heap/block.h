// A block: what malloc returned, header not included. One row of the block table, 16 bytes, since
// there may be tens of millions of them.
#pragma once

#include <cstdint>

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
  static constexpr uint64_t kLargestSize = (uint64_t{1} << 45) - 1;

  Block() = default;
  // `arena` none: a chunk with a mapping of its own, or a raw mapping. Sizes above kLargestSize are
  // cut to it.
  Block(Addr begin, uint64_t size, BlockState state, ArenaId arena)
      : begin_(begin.value),
        packed_((size < kLargestSize ? size : kLargestSize) << 19 |
                static_cast<uint64_t>(state) << 16 |
                (arena.valid() ? arena.value & 0xffff : 0xffff)) {}

  [[nodiscard]] Addr begin() const { return Addr(begin_); }
  [[nodiscard]] uint64_t size() const { return packed_ >> 19; }  // usable bytes
  [[nodiscard]] AddrRange range() const { return AddrRange::sized(begin(), size()); }
  [[nodiscard]] BlockState state() const { return static_cast<BlockState>(packed_ >> 16 & 7); }
  [[nodiscard]] ArenaId arena() const {
    return (packed_ & 0xffff) == 0xffff ? ArenaId::none() : ArenaId(packed_ & 0xffff);
  }
  // Used blocks and mappings: what a verdict is passed on.
  [[nodiscard]] bool is_judged() const {
    return state() == BlockState::Used || state() == BlockState::Mapping;
  }
  void set_state(BlockState state) {
    packed_ = (packed_ & ~(uint64_t{7} << 16)) | static_cast<uint64_t>(state) << 16;
  }

 private:
  uint64_t begin_ = 0;
  uint64_t packed_ = 0;  // size:45 state:3 arena:16
};
static_assert(sizeof(Block) == 16);

// Whether the word at `at` in the block that begins at `begin` is what glibc left there when the
// block was free, large and the only one of its size: a link to its own header. The header begins
// with the last word of the block before, of which the word says nothing.
[[nodiscard]] constexpr bool is_left_link(Addr begin, Addr at, uint64_t word) {
  return word == begin.value - 16 && (at == begin + 16 || at == begin + 24);
}

}  // namespace heapscan
