// Why a block that no proper pointer names may be in use after all.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/base/vectors.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/reach/roots.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

// ---- words with tags ----------------------------------------------------------------------------

// What address a word stands for whose spare bits carry something else.
//
// Nothing that a program can map lies above 2^47, and malloc's blocks begin at multiples of 16. So
// programs keep a counter, a mark or a type in the bits from 47 or 48 up (lock-free queues, LuaJIT,
// JavaScript engines), flags in the lowest three, or both. glibc's timer_t of a timer that starts a
// thread is its block's address shifted right by one, with the top bit set.

constexpr uint64_t kAddressBits = 47;
constexpr uint64_t kPlainMask = (uint64_t{1} << kAddressBits) - 1;
constexpr uint64_t kLowTags = 7;

[[nodiscard]] constexpr bool has_high_tags(uint64_t word) { return word > kPlainMask; }

// The two readings of a word with tags in its high bits; the second is null where there is none.
[[nodiscard]] constexpr std::array<uint64_t, 2> readings_of_tagged(uint64_t word) {
  const bool may_be_timer = word >> kAddressBits == uint64_t{1} << (63 - kAddressBits);
  return {word & kPlainMask & ~kLowTags, may_be_timer ? word << 1 & kPlainMask : 0};
}

// ---- words that do not look like an address -----------------------------------------------------

// Words that name a lost block without looking like its address: unaligned ones, and ones whose top
// bits carry tags, whatever their lowest three hold.

struct HiddenPointer {
  uint64_t value = 0;  // the block's address
  Addr at;             // where the word lies
  bool tagged = false;
  constexpr auto operator<=>(const HiddenPointer&) const = default;
};

// A tagged word that is not in memory.
struct HiddenWord {
  uint64_t value = 0;  // the block's address
  size_t word = 0;     // its place among the root words
};

// Start pointers at blocks of `candidates` hidden in the saved bytes of `places`; sorted.
[[nodiscard]] std::vector<HiddenPointer> find_hidden_pointers(const MemoryImage& image,
                                                              const HeapModel& heap,
                                                              const BlockBitmap& candidates,
                                                              std::span<const AddrRange> places,
                                                              Vectors vectors = widest_vectors());

// The same for words by themselves, registers above all.
[[nodiscard]] std::vector<HiddenWord> find_hidden_words(const HeapModel& heap,
                                                        const BlockBitmap& candidates,
                                                        std::span<const RootWord> words);

// What may hide pointers: strong and weak roots, and the judged blocks whose bit in `searched` is
// set. Sorted, touching ranges joined (headers between blocks included).
[[nodiscard]] std::vector<AddrRange> places_to_search(const MemoryImage& image,
                                                      const HeapModel& heap, const Roots& roots,
                                                      const BlockBitmap& searched);

// ---- signal stacks ------------------------------------------------------------------------------

// Signals and stacks: the frame that the kernel leaves on the stack a handler runs on, and lost
// blocks that the kernel may hold, stacks set with sigaltstack() whose address the program forgot.
//
// Source: Linux arch/x86/include/asm/sigframe.h (struct rt_sigframe), uapi/asm/ucontext.h and
// sigcontext.h.

struct SignalFrame {
  Addr at;
  Addr interrupted_sp;
  AddrRange alternate_stack;  // as sigaltstack set it; empty when the frame does not say
};

// A frame in `search` that was made when the thread ran on `own_stack`. Of several, one of which is
// then only the remains of an earlier signal, the one that leaves most of the stack alive.
[[nodiscard]] std::optional<SignalFrame> find_signal_frame(const MemoryImage& image,
                                                           AddrRange search, AddrRange own_stack);

// The alternative stacks that frames in `search` name, remains of earlier signals included; sorted,
// each once.
[[nodiscard]] std::vector<AddrRange> alternate_stacks_named(const MemoryImage& image,
                                                            AddrRange search);

// Those of `lost`, with the reason why; sorted by block.
[[nodiscard]] std::vector<PossibleBlock> find_signal_stacks(const MemoryImage& image,
                                                            const RuntimeFacts& runtime,
                                                            const HeapModel& heap,
                                                            std::span<const LostBlock> lost);

// ---- what of the program's words the kernel may hold where nobody can see them ------------------

// Words that the kernel may hold.
struct UnseenReferences {
  std::string holder;  // for people
  uint64_t most = 0;   // how many of one kind
};

// What the image says of it; and where the image cannot know what the kernel holds, which of its
// services the program evidently uses that keep words for it. Empty when there is no sign of any.
[[nodiscard]] std::vector<UnseenReferences> find_unseen_references(const MemoryImage& image);

// Heads among `lost` of which there are no more alike than the kernel is taken to hold. Many that
// are alike are a leak: each would need a descriptor or a timer of its own. Ascending; adds a note
// when there are any.
[[nodiscard]] std::vector<BlockId> heads_the_kernel_may_hold(const MemoryImage& image,
                                                             const HeapModel& heap,
                                                             std::span<const LostBlock> lost,
                                                             Notes& notes);

// ---- what belongs together because it was reserved together -------------------------------------

// Reservations among `unreached` that continue a mapping which is not: a program that made usable
// the beginning of what it reserved has the address of that only. Ascending.
[[nodiscard]] std::vector<uint64_t> reservations_begun(const MemoryImage& image,
                                                       const HeapModel& heap,
                                                       const BlockBitmap& unreached);

// Mappings among `unheld` that touch a reservation which is not: its first or its last part, or
// somebody else's.
[[nodiscard]] std::vector<BlockId> beside_reservations(const MemoryImage& image,
                                                       const HeapModel& heap,
                                                       const BlockBitmap& unheld);

}  // namespace heapscan
