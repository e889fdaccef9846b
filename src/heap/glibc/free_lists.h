// Free chunks that a walk of the heap takes for used ones, and what the lists of free chunks say
// otherwise.
#pragma once

#include <cstdint>
#include <vector>

#include "heap/glibc/chunk_walk.h"
#include "heap/glibc/damage_log.h"
#include "heap/glibc/layouts.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"

namespace heapscan::glibc {

// The block that begins at exactly `mem`; none when there is none.
[[nodiscard]] BlockId block_starting_at(const HeapModel& heap, uint64_t mem);

// Whether links are stored XORed with their own address shifted right by 12 (2.32 and later), voted
// by list members.
class LinkVote {
 public:
  // `field` holds a link to another member's field.
  void add(WordReader& reader, const HeapModel& heap, uint64_t field);
  [[nodiscard]] bool safe_linking(bool otherwise) const {
    return plain_ == mangled_ ? otherwise : mangled_ > plain_;
  }
  [[nodiscard]] uint64_t votes() const { return plain_ + mangled_; }

 private:
  uint64_t plain_ = 0;
  uint64_t mangled_ = 0;
};
[[nodiscard]] constexpr uint64_t decoded_link(uint64_t field, uint64_t stored, bool safe_linking) {
  return safe_linking ? stored ^ (field >> 12) : stored;
}

// The arena's fastbin heads, empty ones included: chunk addresses.
[[nodiscard]] std::vector<uint64_t> fastbin_heads(WordReader& reader, Addr state,
                                                  const ArenaLayout& layout);
// Marks every member of the arena's fastbins. Returns how many.
uint64_t mark_fastbins(WordReader& reader, HeapModel& heap, Addr state, const ArenaLayout& layout,
                       bool safe_linking, DamageLog& damage);

struct BinsVerdict {
  bool ok = false;
  uint64_t listed = 0;     // chunks the grid calls free
  uint64_t wrong = 0;      // contradictions
  bool tolerated = false;  // few enough for a process stopped inside malloc
};
// Compares the arena's bins with its free chunks; follows the lists only where the two differ.
[[nodiscard]] BinsVerdict check_bins(WordReader& reader, HeapModel& heap, Addr state,
                                     const ArenaLayout& layout, const FreeChunkSums& free,
                                     bool in_flux, DamageLog& damage);

}  // namespace heapscan::glibc
