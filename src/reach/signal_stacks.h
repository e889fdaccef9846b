// Signals and stacks: the frame that the kernel leaves on the stack a handler runs on, and lost
// blocks that the kernel may hold, stacks set with sigaltstack() whose address the program forgot.
//
// Source: Linux arch/x86/include/asm/sigframe.h (struct rt_sigframe), uapi/asm/ucontext.h and
// sigcontext.h.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

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

}  // namespace heapscan
