// What is in use of a ring begins or ends where an index says, or a pointer. Neither is known by
// name. But the index lies in the struct that points at the ring, or before the slots, or is a
// variable near them. Every number there is taken for one: too many cursors only make us overlook
// a few lost blocks, a missing one would make live ones look lost.
#include "reach/stale_words.h"

#include <algorithm>
#include <bit>

#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr uint64_t kClose = 64;           // bytes before and after
constexpr uint64_t kNearPointer = 256;    // bytes before and after a pointer at the store
constexpr uint64_t kNearSlots = 4096;     // bytes before and after the slots in a block
constexpr uint64_t kNearVariable = 4096;  // likewise in a module's data
constexpr size_t kMostNear = 256;         // more say nothing
constexpr uint64_t kLargestCounter = uint64_t{1} << 40;
constexpr size_t kMostPointers = 256;  // at one store, in one part of memory
constexpr size_t kMostSlotsBack = 1 << 22;
constexpr size_t kMostNullSlots = 64;  // in a row of pointers
constexpr size_t kCursorBlocksPerPiece = 4096;

// What belongs to one store: the whole block, or the row of slots in a module's data.
AddrRange extent_of(const StaleStore& store, const HeapModel& heap) {
  return store.block.valid() ? heap.block(store.block).range() : store.range;
}

class Extents {
 public:
  Extents(const HeapModel& heap, const StaleStores& stale) {
    for (const StaleStore& store : stale.stores) ranges_.push_back(extent_of(store, heap));
    if (ranges_.empty()) return;
    low_ = ranges_.front().begin().value;
    span_ = ranges_.back().end().value - low_;
  }
  // The store that `word` points at or one past the end of, or kNone.
  static constexpr size_t kNone = ~size_t{0};
  [[nodiscard]] size_t named_by(uint64_t word) const {
    if (word - low_ > span_) return kNone;
    const auto after =
        std::upper_bound(ranges_.begin(), ranges_.end(), word,
                         [](uint64_t a, const AddrRange& r) { return a < r.begin().value; });
    if (after == ranges_.begin()) return kNone;
    const auto at = std::prev(after);
    return word <= at->end().value ? static_cast<size_t>(at - ranges_.begin()) : kNone;
  }

 private:
  std::vector<AddrRange> ranges_;
  uint64_t low_ = 0;
  uint64_t span_ = 0;
};

// A word that points at a store.
struct Pointer {
  size_t store = 0;
  uint64_t at = 0;
  uint64_t value = 0;
  auto operator<=>(const Pointer&) const = default;
};

void look(Addr begin, Bytes bytes, const Extents& extents, std::vector<Pointer>& found) {
  for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8) {
    const auto word = load<uint64_t>(bytes.data() + i);
    const size_t store = extents.named_by(word);
    if (store != Extents::kNone) found.push_back({store, (begin + i).value, word});
  }
}

// What the C library keeps for itself. A thread's stack may begin where a store ends, and the
// numbers near that, such as the processor in rseq's area, change from one look to the next.
class LibraryMemory {
 public:
  LibraryMemory(const RuntimeFacts& runtime, const Roots& roots) {
    for (const ThreadArea& area : runtime.threads)
      ranges_.push_back(AddrRange::sized(area.descriptor, area.descriptor_size));
    for (const RootRange& root : roots.ranges) {
      if (root.kind == RootKind::LoaderMemory || root.kind == RootKind::Dtv)
        ranges_.push_back(root.range);
    }
  }
  [[nodiscard]] bool contains(Addr at) const {
    return std::any_of(ranges_.begin(), ranges_.end(),
                       [&](const AddrRange& range) { return range.contains(at); });
  }

 private:
  std::vector<AddrRange> ranges_;
};

// The lowest of each store.
std::vector<Pointer> few_of_each(std::vector<Pointer> pointers) {
  std::sort(pointers.begin(), pointers.end());
  std::vector<Pointer> kept;
  for (const Pointer& pointer : pointers) {
    const bool is_one_too_many =
        kept.size() >= kMostPointers && kept[kept.size() - kMostPointers].store == pointer.store;
    if (!is_one_too_many) kept.push_back(pointer);
  }
  return kept;
}

std::vector<Pointer> find_pointers(const MemoryImage& image, const HeapModel& heap,
                                   const Roots& roots, const LibraryMemory& library,
                                   const Extents& extents) {
  std::vector<std::vector<Pointer>> parts((heap.blocks.size() + kCursorBlocksPerPiece - 1) /
                                          kCursorBlocksPerPiece);
  parallel_for_pieces(heap.blocks.size(), kCursorBlocksPerPiece, [&](size_t begin, size_t end) {
    std::vector<Pointer>& found = parts[begin / kCursorBlocksPerPiece];
    for (size_t i = begin; i < end; ++i) {
      if (!heap.blocks[i].is_judged()) continue;
      image.for_each_span(heap.blocks[i].range(),
                          [&](Addr at, Bytes bytes) { look(at, bytes, extents, found); });
    }
    found = few_of_each(std::move(found));
  });
  std::vector<Pointer> all;
  for (const RootRange& root : roots.ranges) {
    if (strength_of(root.kind) == RootStrength::Diagnostic) continue;
    image.for_each_span(root.range, [&](Addr at, Bytes bytes) { look(at, bytes, extents, all); });
  }
  std::erase_if(all, [&](const Pointer& pointer) { return library.contains(Addr(pointer.at)); });
  for (const RootWord& word : roots.words) {
    const size_t store = extents.named_by(word.value);
    if (store != Extents::kNone) all.push_back({store, 0, word.value});
  }
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return few_of_each(std::move(all));
}

// Collects the cursors of one store.
class Cursors {
 public:
  Cursors(const MemoryImage& image, const LibraryMemory& library, AddrRange extent, Addr first_slot)
      : image_(image), library_(library), origins_{extent.begin(), first_slot}, extent_(extent) {}

  void add_pointer(uint64_t value) { close_.push_back(value); }

  // `centre` is what they lie near.
  void add_numbers_in(AddrRange range, AddrRange centre) {
    const AddrRange close(centre.begin() - kClose, centre.end() + kClose);
    image_.for_each_span(range, [&](Addr begin, Bytes bytes) {
      for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8) {
        if (library_.contains(begin + i)) continue;
        add_number(load<uint64_t>(bytes.data() + i), close.contains(begin + i) ? close_ : slots_);
      }
    });
  }

  [[nodiscard]] SlotCursors take(bool is_complete) {
    drop_duplicates(close_);
    drop_duplicates(slots_);
    SlotCursors result;
    if (slots_.size() <= kMostNear) result.slots = std::move(slots_);
    result.slots.insert(result.slots.end(), close_.begin(), close_.end());
    std::sort(result.slots.begin(), result.slots.end());
    result.close = std::move(close_);
    result.is_complete = is_complete;
    return result;
  }

 private:
  static void drop_duplicates(std::vector<uint64_t>& slots) {
    std::sort(slots.begin(), slots.end());
    slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  }
  void add_number(uint64_t word, std::vector<uint64_t>& slots) {
    if (image_.region_at(Addr(word)) != nullptr) return;  // a pointer's halves are no numbers
    if (word < kLargestCounter) add_index(word, slots);
    if (word >> 32 == 0) return;
    add_index(word & 0xffffffff, slots);
    add_index(word >> 32, slots);
  }
  // An index, or a counter that goes on counting when the ring begins again.
  void add_index(uint64_t number, std::vector<uint64_t>& slots) const {
    for (const Addr origin : origins_) {
      const uint64_t count = (extent_.end() - origin) / 8;
      if (count < 2) continue;
      if (number <= count) {
        slots.push_back(origin.value + number * 8);
        continue;
      }
      slots.push_back(origin.value + number % count * 8);
      slots.push_back(origin.value + number % (count - 1) * 8);
      slots.push_back(origin.value + number % std::bit_floor(count) * 8);
    }
  }
  const MemoryImage& image_;
  const LibraryMemory& library_;
  const Addr origins_[2];
  const AddrRange extent_;
  std::vector<uint64_t> slots_;
  std::vector<uint64_t> close_;
};

// Where the row of pointers begins that `slots` is part of.
Addr begin_of_row(const MemoryImage& image, const HeapModel& heap, AddrRange slots, Addr lowest) {
  Addr begin = slots.begin();
  size_t nulls = 0;
  for (size_t i = 0; i < kMostSlotsBack && lowest < slots.begin() - i * 8 && nulls < kMostNullSlots;
       ++i) {
    const Addr at = slots.begin() - (i + 1) * 8;
    const uint64_t word = image.read<uint64_t>(at).value_or(1);
    if (word != 0 && heap.index.range_at(word) == BlockIndex::kNoRange) break;
    nulls = word == 0 ? nulls + 1 : 0;
    if (word != 0) begin = at;
  }
  return begin;
}

AddrRange surroundings(AddrRange range, uint64_t bytes) {
  return {range.begin() - bytes, range.end() + bytes};
}

// Adds what lies before and after the slots, within `around`.
void add_neighbours(Cursors& cursors, AddrRange slots, AddrRange around, uint64_t bytes) {
  const AddrRange near = surroundings(slots, bytes).intersect(around);
  cursors.add_numbers_in({near.begin(), slots.begin()}, slots);
  cursors.add_numbers_in({slots.end(), near.end()}, slots);
}

AddrRange root_around(const Roots& roots, AddrRange slots) {
  for (const RootRange& root : roots.ranges) {
    if (root.range.contains(slots)) return root.range;
  }
  return slots;
}

}  // namespace

std::vector<SlotCursors> find_slot_cursors(const MemoryImage& image, const RuntimeFacts& runtime,
                                           const HeapModel& heap, const Roots& roots,
                                           const StaleStores& stale) {
  const Extents extents(heap, stale);
  const LibraryMemory library(runtime, roots);
  const std::vector<Pointer> pointers = find_pointers(image, heap, roots, library, extents);
  std::vector<SlotCursors> result;
  auto next = pointers.begin();
  for (size_t i = 0; i < stale.stores.size(); ++i) {
    const StaleStore& store = stale.stores[i];
    const AddrRange extent = extent_of(store, heap);
    const AddrRange around = store.block.valid() ? extent : root_around(roots, store.range);
    const AddrRange row(begin_of_row(image, heap, store.range, around.begin()), store.range.end());
    Cursors cursors(image, library, store.block.valid() ? extent : row, row.begin());
    add_neighbours(cursors, row, around, store.block.valid() ? kNearSlots : kNearVariable);
    for (; next != pointers.end() && next->store == i; ++next) {
      cursors.add_pointer(next->value);
      const AddrRange word = AddrRange::sized(Addr(next->at), 8);
      if (next->at != 0 && !extent.contains(word))
        cursors.add_numbers_in(surroundings(word, kNearPointer), word);
    }
    // Among variables, where the row begins with something else, so may the array.
    const bool is_known = store.block.valid() || row.begin() == store.range.begin();
    result.push_back(cursors.take(is_known && !image.lacks_numbers()));
  }
  return result;
}

}  // namespace heapscan
