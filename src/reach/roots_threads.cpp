// A thread's own memory ends, seen from below, in what it no longer uses (below the stack pointer
// and the red zone), its live frames, its static TLS and its descriptor. Two words of the
// descriptor only look alive: the argument it was started with and the result the last thread on
// the same stack left.
//
// A stack pointer elsewhere means a signal handler on an alternative stack, or a fiber. Then the
// memory it lies in is live from there up, and so is the thread's own stack: from where the signal
// interrupted it, or, since a fiber's switch leaves no trace that all libraries share, all of it.
#include "reach/root_sources.h"

#include <elf.h>

#include <algorithm>
#include <string>

#include "heapscan/base/text.h"
#include "reach/why_possible.h"

namespace heapscan {

namespace {

constexpr uint64_t kRedZone = 128;   // System V ABI, x86-64
constexpr uint64_t kDtv = 8;         // in the thread control block
constexpr uint64_t kDtvHeader = 16;  // dtv[-1]: the number of entries
constexpr uint64_t kDtvEntry = 16;   // value, start of the block
constexpr uint64_t kMostDtvEntries = 1 << 16;
constexpr uint64_t kLowestPointer = 4096;  // below lie flags and the mark of what is not there yet

using Fate = ThreadArea::Fate;

class ThreadRoots {
 public:
  ThreadRoots(const MemoryImage& image, const HeapModel& heap, RootCollector& roots)
      : image_(image), heap_(heap), roots_(roots) {}

  void add(const ThreadArea& area) {
    if (area.fate == Fate::Live) {
      add_storage(area);
      add_stacks(area);
    } else {
      add_gone(area);
    }
    add_dtv(area);
  }

 private:
  [[nodiscard]] AddrRange storage_of(const ThreadArea& area) const {
    if (area.descriptor.is_null()) return {};
    const Addr end = area.descriptor + area.descriptor_size;
    const bool on_stack = area.stack.contains(area.descriptor);
    return {area.static_tls.empty() ? area.descriptor : area.static_tls.begin(),
            on_stack ? std::max(end, area.stack.end()) : end};
  }

  void add_weak_word(const ThreadArea& area, Addr at, const char* name) {
    if (at.is_null()) return;
    roots_.exclude(AddrRange::sized(at, 8));
    const uint64_t value = image_.read<uint64_t>(at).value_or(0);
    if (value >= kLowestPointer) {
      roots_.add(RootWord{RootKind::ThreadArgument, value, area.tid, name, false});
    }
  }

  void add_storage(const ThreadArea& area) {
    add_weak_word(area, area.argument, "at start");
    add_weak_word(area, area.result, "left by the stack's last thread");
    roots_.add(RootRange{RootKind::ThreadLocal, storage_of(area), area.tid, ModuleId::none()});
  }

  void add_stack(RootKind kind, const ThreadArea& area, AddrRange range) {
    roots_.add(RootRange{kind, range, area.tid, ModuleId::none()});
  }

  // [sp - red zone, end) of `stack` is alive, what is below only tells what once was.
  void add_from(RootKind kind, const ThreadArea& area, AddrRange stack, Addr sp) {
    const Addr low = std::max(sp - kRedZone, stack.begin());
    add_stack(kind, area, {low, stack.end()});
    roots_.exclude({stack.begin(), low});
    roots_.add_diagnostic(
        RootRange{RootKind::DeadStack, {stack.begin(), low}, area.tid, ModuleId::none()});
  }

  void add_stacks(const ThreadArea& area) {
    const Thread& thread = image_.threads()[area.thread];
    if (!thread.has_registers) {
      add_stack(RootKind::Stack, area, area.stack);
      note(area, area.stack.empty() ? "has no registers and its stack is unknown"
                                    : "has no registers; its whole stack is searched");
    } else if (area.stack.contains(thread.sp())) {
      add_from(RootKind::Stack, area, area.stack, thread.sp());
    } else {
      add_elsewhere(area, thread.sp());
    }
  }

  void add_elsewhere(const ThreadArea& area, Addr sp) {
    const bool knows_own = !area.stack.empty();
    AddrRange around = stack_around(sp);
    const auto frame =
        knows_own ? find_signal_frame(image_, {sp, around.end()}, area.stack) : std::nullopt;
    if (frame && frame->alternate_stack.contains(sp))
      around = around.intersect(frame->alternate_stack);
    hold_block_around(area, sp);
    add_stack(knows_own ? RootKind::SignalStack : RootKind::Stack, area,
              {std::max(sp - kRedZone, around.begin()), around.end()});
    if (around.empty()) note(area, "has a stack pointer that is in no known memory");
    if (!knows_own) return;
    if (frame) {
      add_from(RootKind::SignalStack, area, area.stack, frame->interrupted_sp);
    } else {
      add_stack(RootKind::Stack, area, area.stack);
      note(area, "runs on another stack than its own, all of which is searched");
    }
  }

  // Memory that is being used as a stack is not lost, whether or not anything else names it.
  void hold_block_around(const ThreadArea& area, Addr sp) {
    const BlockId id = heap_.block_at(sp);
    if (!id.valid() || !heap_.block(id).is_judged()) return;
    roots_.add(
        RootWord{RootKind::SignalStack, heap_.block(id).begin().value, area.tid, "in use", true});
  }

  // The block `sp` lies in; else its region as far as no heap begins.
  [[nodiscard]] AddrRange stack_around(Addr sp) const {
    const BlockId id = heap_.block_at(sp);
    if (id.valid()) return heap_.block(id).is_judged() ? heap_.block(id).range() : AddrRange();
    const Region* const region = image_.region_at(sp);
    if (region == nullptr || !region->perms.write || region->backing == Backing::Device) return {};
    AddrRange around = region->range;
    for (const BlockIndex::Range& range : heap_.index.ranges()) {
      const AddrRange taken(Addr(range.begin), Addr(range.end));
      if (taken.contains(sp)) return {};
      if (taken.end() <= sp && taken.end() > around.begin()) around = {taken.end(), around.end()};
      if (taken.begin() > sp) return {around.begin(), std::min(around.end(), taken.begin())};
    }
    return around;
  }

  void add_gone(const ThreadArea& area) {
    const uint64_t result = area.fate == Fate::Exited && !area.result.is_null()
                                ? image_.read<uint64_t>(area.result).value_or(0)
                                : 0;
    if (result >= kLowestPointer) {
      roots_.add(
          RootWord{RootKind::ThreadResult, result, area.tid, "at " + hex(area.result), false});
    }
    if (is_first_stack(area.stack)) {
      // The environment lies on it, and putenv() may have put anything there.
      roots_.add(RootRange{RootKind::UnknownMemory, area.stack, 0, ModuleId::none()});
    } else {
      exclude_as_cached(area.stack);
    }
    if (!area.stack.contains(area.descriptor)) exclude_as_cached(storage_of(area));
  }

  void exclude_as_cached(AddrRange range) {
    roots_.exclude(range);
    roots_.add_diagnostic(RootRange{RootKind::CachedStack, range, 0, ModuleId::none()});
  }

  [[nodiscard]] bool is_first_stack(AddrRange stack) const {
    const auto on_it = [&](uint64_t type) {
      const auto hint = image_.aux(type);
      return hint && stack.contains(Addr(*hint));
    };
    return on_it(AT_RANDOM) || on_it(AT_EXECFN);
  }

  // The vector is a block of malloc's, named by its third word; it stays allocated with a cached
  // stack. It names the blocks of dynamic TLS twice, where they begin and where, aligned, their
  // contents do.
  void add_dtv(const ThreadArea& area) {
    if (area.descriptor.is_null()) return;
    const Addr dtv = image_.read_addr(area.descriptor + kDtv).value_or(Addr());
    if (dtv.value < kLowestPointer || !dtv.is_aligned(8)) return;
    const Addr start = dtv - kDtvHeader;
    roots_.add(RootWord{RootKind::Dtv, start.value, area.tid, "vector", true});
    if (area.fate != Fate::Live) return;
    const uint64_t entries = std::min(image_.read<uint64_t>(start).value_or(0), kMostDtvEntries);
    for (uint64_t i = 1; i <= entries; ++i) {
      const auto value = image_.read<uint64_t>(dtv + i * kDtvEntry);
      const auto block = image_.read<uint64_t>(dtv + i * kDtvEntry + 8);
      if (!value || !block) return;
      add_tls_block(area, i, *value, *block);
    }
  }

  // Before 2.25 there was no second word but a flag.
  void add_tls_block(const ThreadArea& area, uint64_t module, uint64_t value, uint64_t block) {
    if (value + 1 < kLowestPointer) return;
    const uint64_t start = block >= kLowestPointer ? block : value;
    if (storage_of(area).contains(Addr(start))) return;
    roots_.add(
        RootWord{RootKind::Dtv, start, area.tid, "of module " + std::to_string(module), true});
  }

  void note(const ThreadArea& area, const std::string& text) {
    roots_.add(Note{NoteKind::Thread, "thread " + std::to_string(area.tid), "it " + text});
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  RootCollector& roots_;
};

}  // namespace

void add_thread_roots(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap,
                      RootCollector& roots) {
  ThreadRoots threads(image, heap, roots);
  for (const ThreadArea& area : runtime.threads) {
    if (area.fate != Fate::Live || area.thread < image.threads().size()) threads.add(area);
  }
}

}  // namespace heapscan
