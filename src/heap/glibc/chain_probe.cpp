#include "heap/glibc/chain_probe.h"

#include <algorithm>

#include "heap/glibc/chunks.h"

namespace heapscan::glibc {

bool is_fence(uint64_t size, uint64_t to_end) {
  if (size == 0) return to_end == kFenceSize;
  return size == kFenceSize && (to_end == 2 * kFenceSize || to_end == 3 * kFenceSize);
}

std::optional<uint64_t> end_of_fence(WordReader& reader, uint64_t at, uint64_t size_word) {
  if (size_of(size_word) != kFenceSize) return std::nullopt;
  const auto second = reader.word(at + kFenceSize + 8);
  if (!second || size_of(*second) != kFenceSize) return std::nullopt;
  if ((at + 2 * kFenceSize) % kPage == 0) return at + 2 * kFenceSize;
  const auto third = reader.word(at + 2 * kFenceSize + 8);
  if (!third || size_of(*third) != kFenceSize || (at + 3 * kFenceSize) % kPage != 0)
    return std::nullopt;
  return at + 3 * kFenceSize;
}

// Moves to the next chunk if this one makes sense.
ChainProbe::Step ChainProbe::step(At& at) {
  ++effort_;
  if (top_ != 0 && at.chunk >= top_) return at.chunk == top_ ? Step::Arrived : Step::Bad;
  const uint64_t size = size_of(at.word);
  if (size < kMinSize || size % kAlignment != 0 || (at.word & kIsMmapped) != 0) return Step::Bad;
  if (at.chunk > end_ || size > end_ - at.chunk) return Step::Bad;
  if (is_main_ && (at.word & kNonMainArena) != 0) return Step::Bad;
  const uint64_t next = at.chunk + size;
  if (top_ != 0 && next > top_) return Step::Bad;
  if (next == top_) return Step::Arrived;
  if (next == end_) return Step::Bad;
  const auto previous = reader_.word(next);
  const auto word = reader_.word(next + 8);
  if (!previous || !word) return Step::Bad;
  if ((*word & kPrevInUse) == 0) {
    // A free chunk: its size stands twice, it is never the second in a row, and it belongs to no
    // thread.
    if (*previous != size || (at.word & kPrevInUse) == 0 || (at.word & kNonMainArena) != 0)
      return Step::Bad;
  }
  if (is_fence(size_of(*word), end_ - next)) return Step::Arrived;
  at = {next, *word};
  return Step::Good;
}

bool ChainProbe::is_chain(uint64_t at, uint64_t size_word) {
  At here{at, size_word};
  for (unsigned i = 0; i < kEnough; ++i) {
    switch (step(here)) {
      case Step::Good:
        break;
      case Step::Arrived:
        return true;
      case Step::Bad:
        // The headers that close a stretch in the middle of a heap: somebody else moved the break.
        return i > 0 && end_of_fence(reader_, here.chunk, here.word).has_value();
    }
  }
  return true;
}

bool ChainProbe::is_chain(uint64_t at) {
  const auto word = reader_.word(at + 8);
  return word && is_chain(at, *word);
}

std::optional<uint64_t> ChainProbe::end_of_chain(uint64_t at) {
  const auto word = reader_.word(at + 8);
  if (!word) return std::nullopt;
  At here{at, *word};
  for (uint64_t steps = 0; effort_ < longest_; ++steps) {
    switch (step(here)) {
      case Step::Good:
        break;
      case Step::Arrived:
        return end_;
      case Step::Bad: {
        if (steps == 0) return std::nullopt;
        return end_of_fence(reader_, here.chunk, here.word);
      }
    }
  }
  return std::nullopt;
}

std::optional<uint64_t> ChainProbe::size_without_low_byte(uint64_t at, uint64_t size_word) {
  std::optional<uint64_t> only;
  if (effort_ > allowed_) return only;
  for (uint64_t low = 0; low < 0x100; low += kAlignment) {
    const uint64_t size = (size_word & ~uint64_t{0xff}) | low;
    if (size == size_of(size_word) || size < kMinSize || at > end_ || size > end_ - at) continue;
    const uint64_t next = at + size;
    const bool lands = next == top_ || is_chain(next);
    // The chunk itself may be free as well: then its size stands at its end.
    const auto word = reader_.word(next + 8);
    if (!lands || (next != top_ && word && (*word & kPrevInUse) == 0 && reader_.word(next) != size))
      continue;
    if (only && !leads_to(at + *only, next)) return std::nullopt;
    if (!only) only = size;
  }
  return only;
}

// Whether the chain from `from` comes by `to`.
bool ChainProbe::leads_to(uint64_t from, uint64_t to) {
  const auto word = reader_.word(from + 8);
  if (!word) return false;
  At here{from, *word};
  while (here.chunk < to) {
    const uint64_t next = here.chunk + size_of(here.word);
    if (step(here) != Step::Good) return next == to;
  }
  return here.chunk == to;
}

std::optional<uint64_t> ChainProbe::next_chain(uint64_t from) {
  // Only where something was ever written: a chunk's size word is never zero.
  std::optional<uint64_t> found;
  uint64_t at = (from + kAlignment - 1) / kAlignment * kAlignment;
  reader_.image().for_each_span(AddrRange(Addr(at), Addr(end_)), [&](Addr begin, Bytes bytes) {
    if (found || effort_ > allowed_) return;
    const uint64_t first =
        std::max(at, (begin.value >= 8 ? begin.value - 8 : 0) / kAlignment * kAlignment);
    for (uint64_t p = first; p + 2 * 8 <= begin.value + bytes.size() && p + kMinSize <= end_;
         p += kAlignment) {
      if (p + 8 < begin.value) continue;
      const uint64_t word = load<uint64_t>(bytes.data() + (p + 8 - begin.value));
      if (size_of(word) < kMinSize || (word & 8) != 0 || (word & kIsMmapped) != 0 ||
          size_of(word) > end_ - p)
        continue;
      if (p == top_ || is_chain(p, word)) {
        found = p;
        return;
      }
      if (effort_ > allowed_) return;
    }
  });
  if (!found && top_ != 0 && top_ >= at && effort_ <= allowed_) found = top_;
  return found;
}

}  // namespace heapscan::glibc
