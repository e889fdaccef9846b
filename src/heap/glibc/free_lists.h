// Free chunks that a walk of the heap takes for used ones: caches of threads, fastbins and bins.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "heap/glibc/chunks.h"
#include "heap/glibc/damage_log.h"
#include "heap/glibc/layouts.h"
#include "heap/glibc/word_reader.h"
#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan::glibc {

// ---- caches of threads --------------------------------------------------------------------------

// The caches of free blocks that every thread has (2.26 and later). Their blocks look used to a
// walk of the heap.

struct Tcache {
  BlockId block;  // the struct's own
  const TcacheLayout* layout = nullptr;
  int tid = 0;          // 0: no living thread's
  bool in_tls = false;  // named by a thread's local storage, as opposed to found by its shape
};

// `tcache_count`: blocks per bin as mp_ has it; nothing when unknown.
[[nodiscard]] std::vector<Tcache> find_tcaches(const MemoryImage& image,
                                               std::span<const ThreadArea> threads,
                                               const HeapModel& heap,
                                               std::optional<uint64_t> tcache_count,
                                               bool& safe_linking);

struct TcacheMarks {
  uint64_t blocks = 0;
  uint64_t bins = 0;        // that were not empty
  uint64_t miscounted = 0;  // bins whose count differs from the length of their list
};
// Marks the members of every cache, and the structs themselves as bookkeeping.
[[nodiscard]] TcacheMarks mark_tcaches(const MemoryImage& image, HeapModel& heap,
                                       const std::vector<Tcache>& tcaches,
                                       std::optional<uint64_t> tcache_count, bool safe_linking,
                                       DamageLog& damage);

// ---- fastbins and bins --------------------------------------------------------------------------

// Free chunks that a walk of the heap takes for used ones, and what the lists of free chunks say
// otherwise.

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
