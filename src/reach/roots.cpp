// Memory goes to the first that names it, from the most to the least specific: what is the
// allocator's own is no root; then threads' stacks and storage, which may lie in anything; then
// what could not be parsed of the heap; all blocks are left out, for they must be reached; then
// module data, the loader's memory, and whatever writable memory is left.
#include "heapscan/reach/roots.h"

#include <algorithm>
#include <utility>

#include "heapscan/image/intervals.h"
#include "reach/root_sources.h"

namespace heapscan {

namespace {

void exclude_blocks(const HeapModel& heap, RootCollector& roots) {
  for (const HeapRange& range : heap.ranges) roots.exclude(range.range);
  for (const BlockIndex::Range& range : heap.index.ranges()) {
    roots.exclude(AddrRange(Addr(range.begin), Addr(range.end)));
  }
}

// Loader memory is told by what points at it, and so are its neighbours; the heap is told by its
// own structure.
std::vector<AddrRange> loader_memory_beside(const HeapModel& heap, const RuntimeFacts& runtime) {
  std::vector<AddrRange> ranges;
  for (const HeapRange& range : heap.ranges) ranges.push_back(range.range);
  return subtract(runtime.loader_memory, joined(std::move(ranges)));
}

// To the end of the last page: the loader begins to hand out memory behind its own data.
void add_module_data(const MemoryImage& image, RootCollector& roots) {
  for (size_t i = 0; i < image.modules().size(); ++i) {
    for (const ModuleSegment& segment : image.modules()[ModuleId(i)].segments) {
      if (!segment.writable) continue;
      roots.add(RootRange{RootKind::ModuleData,
                          {segment.range.begin(), segment.range.end().align_up(kPage)},
                          0,
                          ModuleId(i)});
    }
  }
}

// Memory that was made read-only still holds what it held. Of files only what can differ from the
// file counts.
bool may_hold_words(const Region& region) {
  switch (region.backing) {
    case Backing::Anonymous:
      return region.perms.write || !region.perms.shared;
    case Backing::File:
      return region.perms.write;
    case Backing::Device:
    case Backing::Special:
      return false;
  }
  return false;
}

void add_remaining_memory(const MemoryImage& image, RootCollector& roots) {
  for (const Region& region : image.regions()) {
    if (!may_hold_words(region) || region.contents == Contents::Absent) continue;
    const RootKind kind = region.perms.shared ? RootKind::SharedMemory : RootKind::UnknownMemory;
    roots.add(RootRange{kind, region.range, 0, ModuleId::none()});
  }
}

RootKind kind_of(KernelReference::Kind kind) {
  switch (kind) {
    case KernelReference::Kind::Epoll:
      return RootKind::Epoll;
    case KernelReference::Kind::Timer:
      return RootKind::Timer;
    case KernelReference::Kind::QueuedSignal:
      return RootKind::QueuedSignal;
    case KernelReference::Kind::Queue:
      return RootKind::KernelQueue;
    case KernelReference::Kind::IoUring:
    case KernelReference::Kind::Unseen:
      return RootKind::IoUring;
  }
  return RootKind::Epoll;
}

void add_kernel_references(const MemoryImage& image, RootCollector& roots) {
  if (!image.kernel_references()) {
    roots.add(Note{NoteKind::KernelReferences, "",
                   "what only the kernel holds (epoll data, timers, queued signals) is not known "
                   "here; a block that "
                   "nothing else points to looks leaked"});
    return;
  }
  for (const KernelReference& reference : *image.kernel_references()) {
    if (reference.kind == KernelReference::Kind::Unseen) continue;
    roots.add(RootWord{kind_of(reference.kind), reference.value, 0, reference.detail, false});
  }
}

}  // namespace

const char* name_of(RootKind kind) {
  switch (kind) {
    case RootKind::ModuleData:
      return "module data";
    case RootKind::LoaderMemory:
      return "loader memory";
    case RootKind::Stack:
      return "stack";
    case RootKind::SignalStack:
      return "signal stack";
    case RootKind::Register:
      return "register";
    case RootKind::VectorRegister:
      return "vector register";
    case RootKind::ThreadLocal:
      return "thread-local storage";
    case RootKind::ThreadResult:
      return "thread result";
    case RootKind::Dtv:
      return "dynamic TLS";
    case RootKind::Epoll:
      return "epoll";
    case RootKind::Timer:
      return "timer";
    case RootKind::QueuedSignal:
      return "queued signal";
    case RootKind::KernelQueue:
      return "pipe or socket";
    case RootKind::IoUring:
      return "io_uring";
    case RootKind::SharedMemory:
      return "shared memory";
    case RootKind::InTransit:
      return "malloc or free under way";
    case RootKind::ThreadArgument:
      return "thread argument";
    case RootKind::DamagedHeap:
      return "damaged heap";
    case RootKind::UnknownMemory:
      return "unknown memory";
    case RootKind::DeadStack:
      return "dead stack";
    case RootKind::CachedStack:
      return "stack of a finished thread";
  }
  return "unknown";
}

RootStrength strength_of(RootKind kind) {
  switch (kind) {
    case RootKind::KernelQueue:
    case RootKind::IoUring:
    case RootKind::SharedMemory:
    case RootKind::InTransit:
    case RootKind::ThreadArgument:
    case RootKind::DamagedHeap:
    case RootKind::UnknownMemory:
      return RootStrength::Weak;
    case RootKind::DeadStack:
    case RootKind::CachedStack:
      return RootStrength::Diagnostic;
    default:
      return RootStrength::Strong;
  }
}

Roots find_roots(const MemoryImage& image, const RuntimeFacts& runtime, const HeapModel& heap) {
  RootCollector roots;
  for (const AddrRange& state : heap.allocator_state) roots.exclude(state);
  add_thread_roots(image, runtime, heap, roots);
  for (const Thread& thread : image.threads()) add_registers(thread, roots);
  add_blocks_in_transit(image, heap, roots);
  for (const AddrRange& damaged : heap.damaged) {
    roots.add(RootRange{RootKind::DamagedHeap, damaged, 0, ModuleId::none()});
  }
  exclude_blocks(heap, roots);
  add_module_data(image, roots);
  for (const AddrRange& memory : loader_memory_beside(heap, runtime)) {
    roots.add(RootRange{RootKind::LoaderMemory, memory, 0, ModuleId::none()});
  }
  add_remaining_memory(image, roots);
  add_kernel_references(image, roots);
  return roots.take();
}

namespace {

AddrRange whole_words(AddrRange range) {
  return {range.begin().align_up(8), range.end().align_down(8)};
}

}  // namespace

void RootCollector::add(const RootRange& like) {
  for (const AddrRange& part : claim(whole_words(like.range))) {
    RootRange range = like;
    range.range = part;
    roots_.ranges.push_back(range);
  }
}

void RootCollector::add_diagnostic(const RootRange& range) {
  RootRange words = range;
  words.range = whole_words(range.range);
  if (!words.range.empty()) roots_.ranges.push_back(words);
}

std::vector<AddrRange> RootCollector::claim(AddrRange range) {
  std::vector<AddrRange> free;
  if (range.empty()) return free;
  auto next = claimed_.upper_bound(range.begin());
  if (next != claimed_.begin() && std::prev(next)->second >= range.begin()) --next;
  Addr at = range.begin();
  AddrRange joined = range;
  while (next != claimed_.end() && next->first <= range.end()) {
    if (at < next->first) free.emplace_back(at, next->first);
    at = std::max(at, next->second);
    joined = {std::min(joined.begin(), next->first), std::max(joined.end(), next->second)};
    next = claimed_.erase(next);
  }
  if (at < range.end()) free.emplace_back(at, range.end());
  claimed_.emplace(joined.begin(), joined.end());
  return free;
}

Roots RootCollector::take() {
  std::stable_sort(roots_.ranges.begin(), roots_.ranges.end(),
                   [](const RootRange& a, const RootRange& b) { return a.range < b.range; });
  return std::move(roots_);
}

}  // namespace heapscan
