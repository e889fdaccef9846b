#include "support/fake_heap.h"

#include <algorithm>

#include "heap/glibc/chunks.h"
#include "heapscan/base/error.h"

namespace heapscan {

using namespace glibc;

namespace {

uint64_t chunk_size_for(uint64_t usable) { return std::max(kMinSize, (usable + 8 + 15) / 16 * 16); }
uint64_t link_to(const Family& family, Addr field, uint64_t target) {
  return family.safe_linking ? target ^ (field.value >> 12) : target;
}

}  // namespace

// ---- one arena
// ----------------------------------------------------------------------------------------------------

FakeArena::FakeArena(FakeHeap& owner, Addr where, Addr heap_info) : state(where), owner_(owner) {
  if (heap_info.is_null()) {
    begin = at_ = FakeHeap::kBreak;
    end_ = begin + FakeHeap::kHeapSize;
    owner_.process.map(begin, FakeHeap::kHeapSize);
    system_mem = FakeHeap::kHeapSize;
    return;
  }
  open_heap(heap_info);
  at_ = (state + owner_.family.arena->size).align_up(16);
  begin = at_;
}

void FakeArena::open_heap(Addr base) {
  owner_.process.map(base, FakeHeap::kHeapSize);
  owner_.process.poke(base, state);
  owner_.process.poke(base + 8, heap);
  owner_.process.poke(base + 16, FakeHeap::kHeapSize);
  owner_.process.poke(base + 24, FakeHeap::kHeapSize);
  if (owner_.family.heap_info_size > 0x20) owner_.process.poke(base + 32, kPage);
  heap = base;
  at_ = base + owner_.family.heap_info_size;
  end_ = base + FakeHeap::kHeapSize;
  last_is_free_ = false;
  system_mem += FakeHeap::kHeapSize;
}

Addr FakeArena::append(uint64_t usable, bool is_free) {
  const uint64_t size = chunk_size_for(usable);
  HS_CHECK(end_ - at_ >= size + 2 * kFenceSize);
  const bool marks_arena = !heap.is_null() && !is_free;
  if (last_is_free_) owner_.process.poke(at_, last_size_);
  owner_.process.poke(at_ + 8,
                      size | (last_is_free_ ? 0 : kPrevInUse) | (marks_arena ? kNonMainArena : 0));
  const Addr mem = at_ + kHeader;
  at_ = at_ + size;
  last_size_ = size;
  last_is_free_ = is_free;
  return mem;
}

Addr FakeArena::used(uint64_t usable) { return append(usable, false); }

Addr FakeArena::binned(uint64_t usable) {
  const Addr mem = append(usable, true);
  bins_[bin_of(last_size_)].push_back(mem - kHeader);
  return mem;
}

Addr FakeArena::unsorted(uint64_t usable) {
  const Addr mem = append(usable, true);
  bins_[kUnsortedBin].push_back(mem - kHeader);
  return mem;
}

Addr FakeArena::fast(uint64_t usable) {
  const Addr mem = append(usable, false);
  if (owner_.family.arena->fastbins != 0)
    fastbins_[(last_size_ - kMinSize) / 16].push_back(mem - kHeader);
  return mem;
}

void FakeArena::new_heap(uint64_t left) {
  if (last_is_free_) used(24);
  if (left != 0) used(room() - left - 8);
  // What is left becomes a free chunk and two headers; the first of which takes in what is too
  // little for a chunk.
  const uint64_t rest = room() - 2 * kFenceSize;
  if (rest >= kMinSize) {
    append(rest - 8, true);
    bins_[kUnsortedBin].push_back(at_ - last_size_);
    owner_.process.poke(at_, last_size_);
    owner_.process.poke(at_ + 8, kFenceSize);
  } else {
    owner_.process.poke(at_ + 8, (rest + kFenceSize) | kPrevInUse);
    owner_.process.poke(at_ + rest + kFenceSize, rest + kFenceSize);
  }
  owner_.process.poke(end_ - kFenceSize + 8, kPrevInUse);
  open_heap(FakeHeap::kHeaps + FakeHeap::kReservation * owner_.heaps_++);
}

void FakeArena::move_break(uint64_t gap) {
  if (last_is_free_) used(24);
  const uint64_t left = end_ - at_;
  append(left - 2 * kFenceSize - 8, true);
  bins_[kUnsortedBin].push_back(at_ - last_size_);
  owner_.process.poke(at_, last_size_);
  owner_.process.poke(at_ + 8, kFenceSize);
  owner_.process.poke(at_ + kFenceSize + 8, kFenceSize | kPrevInUse);
  owner_.process.map(end_, gap + FakeHeap::kHeapSize);
  at_ = end_ + gap;
  end_ = at_ + FakeHeap::kHeapSize;
  last_is_free_ = false;
  system_mem += gap + FakeHeap::kHeapSize;
}

void FakeArena::seal() {
  FakeProcess& process = owner_.process;
  const ArenaLayout& layout = *owner_.family.arena;
  top = at_;
  if (last_is_free_) process.poke(top, last_size_);
  process.poke(top + 8, (end_ - top) | (last_is_free_ ? 0 : kPrevInUse));
  process.poke_half(state + ArenaLayout::kMutex, locked ? 1 : 0);
  process.poke_half(state + ArenaLayout::kFlags, heap.is_null() ? 0 : kNoncontiguous);
  process.poke(state + layout.top(), top);
  if (layout.has_attached) process.poke(state + layout.attached(), 1);
  process.poke(state + layout.system_mem(), system_mem);
  process.poke(state + layout.max_system_mem(), system_mem);
  for (size_t bin = 1; bin <= kBins; ++bin) {
    const Addr header(bin_header(state.value + layout.bins, bin));
    Addr before = header;
    for (const Addr chunk : bins_[bin]) {
      process.poke(before + 0x10, chunk);
      process.poke(chunk + 0x18, before);
      before = chunk;
    }
    process.poke(before + 0x10, header);
    process.poke(header + 0x18, before);
  }
  for (size_t i = 0; i < fastbins_.size(); ++i) {
    if (layout.fastbins == 0) break;
    Addr next;
    for (const Addr chunk : fastbins_[i]) {
      process.poke(chunk + kHeader, link_to(owner_.family, chunk + kHeader, next.value));
      next = chunk;
    }
    process.poke(state + layout.fastbins + 8 * i, next);
  }
}

// ---- the whole heap
// -------------------------------------------------------------------------------------------------

FakeHeap::FakeHeap(const Family& which) : family(which), process(FakeProcess::k241) {
  library = process.add_module("/lib/libc.so.6", kLibrary, 0x4000);
  arenas_.emplace_back(new FakeArena(*this, kMainArena, Addr()));
}

FakeArena& FakeHeap::new_arena() {
  const Addr heap = kHeaps + kReservation * heaps_++;
  arenas_.emplace_back(new FakeArena(*this, heap + family.heap_info_size, heap));
  return *arenas_.back();
}

Addr FakeHeap::mmapped(uint64_t usable, uint64_t alignment) {
  const uint64_t trailer = family.mmapped_trailer;
  const Addr start = mapped_end_;
  const uint64_t room = alignment > 16 ? alignment : 0;
  const Addr chunk = room == 0 ? start : (start + kHeader).align_up(alignment) - kHeader;
  const Addr end = (chunk + kHeader + usable + room).align_up(kPage);
  if (chunk != start) pokes_.emplace_back(start + 8, (end - start - trailer) | kIsMmapped);
  pokes_.emplace_back(chunk, chunk - start);
  pokes_.emplace_back(chunk + 8, (end - chunk - trailer) | kIsMmapped);
  mapped_end_ = end;
  ++n_mmaps_;
  mmapped_mem_ += end - start;
  return chunk + kHeader;
}

Addr FakeHeap::raw_mapping(uint64_t size) {
  const Addr begin = mapped_end_;
  mapped_end_ = begin + size;
  return begin;
}

Addr FakeHeap::tcache(FakeArena& arena, size_t thread, const std::vector<uint64_t>& sizes) {
  HS_CHECK(family.tcache != nullptr);
  const TcacheLayout& layout = *family.tcache;
  const uint64_t most = 7;
  const Addr mem = arena.used(layout.size);
  const auto poke_count = [&](size_t bin, uint64_t count) {
    const uint64_t stored = layout.counts_are_free_slots ? most - count : count;
    const uint64_t offset = bin * layout.count_bytes;
    const Addr word = mem + offset / 4 * 4;
    const uint64_t shift = offset % 4 * 8;
    uint32_t& whole = counts_[word];
    const uint32_t mask = (layout.count_bytes == 1 ? 0xffU : 0xffffU) << shift;
    whole = (whole & ~mask) | static_cast<uint32_t>(stored << shift);
    process.poke_half(word, whole);
  };
  std::map<size_t, std::vector<Addr>> lists;
  for (const uint64_t usable : sizes) {
    const Addr block = arena.used(usable);
    lists[(chunk_size_for(usable) - kMinSize) / 16].push_back(block);
    cached.push_back(block);
  }
  for (size_t bin = 0; bin < layout.bins; ++bin) {
    poke_count(bin, lists[bin].size());
    Addr next;
    for (const Addr block : lists[bin]) {
      process.poke(block, link_to(family, block, next.value));
      process.poke(block + 8, layout.count_bytes == 1 ? mem.value : kKey);
      next = block;
    }
    process.poke(mem + layout.entries + 8 * bin, next);
  }
  if (thread == 0) {
    process.poke(FakeProcess::kFirstDescriptor - kTlsOffset, mem);
  } else {
    const Addr descriptor = process.add_stack(Addr(0x7ffe00000000) + thread * 0x100000, 0x10000,
                                              static_cast<int>(thread) + 1);
    process.add_thread(static_cast<int>(thread) + 1, descriptor, descriptor - 0x1000);
    process.poke(descriptor - kTlsOffset, mem);
  }
  return mem;
}

void FakeHeap::seal() {
  process.add_first_thread();
  for (size_t i = 0; i < arenas_.size(); ++i) {
    arenas_[i]->seal();
    process.poke(arenas_[i]->state + family.arena->next(),
                 arenas_[(i + 1) % arenas_.size()]->state);
  }
  const ParamsLayout& params = *family.params;
  for (const uint64_t offset : {0x00U, 0x08U, 0x10U}) process.poke(kParams + offset, 0x20000);
  process.poke(kParams + 0x18, 8);
  process.poke_half(kParams + params.n_mmaps, static_cast<uint32_t>(n_mmaps_));
  process.poke_half(kParams + params.n_mmaps + 4, 65536);
  process.poke_half(kParams + params.n_mmaps + 8, static_cast<uint32_t>(n_mmaps_));
  process.poke(kParams + params.mmapped_mem, mmapped_mem_);
  process.poke(kParams + params.mmapped_mem + 8, mmapped_mem_);
  process.poke(kParams + params.sbrk_base, kBreak);
  if (params.tcache_bins != 0) {
    process.poke(kParams + params.tcache_bins, 64);
    process.poke(kParams + params.tcache_bins + 8, 0x408);
    process.poke(kParams + params.tcache_bins + 16, 7);
  }
  if (mapped_end_ != kMapped) process.map(kMapped, mapped_end_ - kMapped);
  for (const auto& [at, value] : pokes_) process.poke(at, value);
}

HeapModel FakeHeap::walk(std::function<StructLayouts()> read_structs) {
  image_ = process.build();
  SymbolsBuilder builder(image_);
  if (read_structs) {
    builder.set_struct_reader(library, std::move(read_structs));
    builder.add(library, {.name = "main_arena", .address = kMainArena, .size = family.arena->size});
  }
  const Symbols symbols = builder.freeze();
  return walk_heap(image_, symbols, find_runtime_facts(image_, symbols));
}

}  // namespace heapscan
