#include "heap/glibc/arena_shape.h"

#include "heap/glibc/chunk.h"

namespace heapscan::glibc {

PairShape shape_of_pair(WordReader& reader, Addr bins, size_t index) {
  const Addr header(bin_header(bins.value, index + 1));
  const auto fd = reader.word(header + 0x10);
  const auto bk = reader.word(header + 0x18);
  if (!fd || !bk) return PairShape::Unreadable;
  if (*fd == header.value && *bk == header.value) return PairShape::Empty;
  if (*fd % kAlignment != 0 || *bk % kAlignment != 0 || *fd == 0 || *bk == 0)
    return PairShape::Broken;
  const auto back = reader.word(Addr(*fd) + 0x18);
  const auto forth = reader.word(Addr(*bk) + 0x10);
  if (back && *back != header.value) return PairShape::Broken;
  if (forth && *forth != header.value) return PairShape::Broken;
  if (back && forth) return PairShape::Linked;
  // Not saved is not wrong, but where nothing is mapped at all no chunk can be.
  const MemoryImage& image = reader.image();
  return image.region_at(Addr(*fd)) != nullptr && image.region_at(Addr(*bk)) != nullptr
             ? PairShape::Unreadable
             : PairShape::Broken;
}

BinsShape shape_of_bins(WordReader& reader, Addr bins) {
  BinsShape shape;
  for (size_t i = 0; i < kBins; ++i) {
    switch (shape_of_pair(reader, bins, i)) {
      case PairShape::Empty:
      case PairShape::Linked:
        ++shape.sound;
        break;
      case PairShape::Unreadable:
        ++shape.unreadable;
        break;
      case PairShape::Broken:
        ++shape.broken;
        break;
    }
    if (shape.broken > kBins - 100) break;
  }
  return shape;
}

std::optional<ArenaFields> read_arena(WordReader& reader, Addr state, const ArenaLayout& layout) {
  const auto mutex = reader.half(state + ArenaLayout::kMutex);
  const auto flags = reader.half(state + ArenaLayout::kFlags);
  const auto top = reader.word(state + layout.top());
  const auto next = reader.word(state + layout.next());
  const auto system_mem = reader.word(state + layout.system_mem());
  if (!mutex || !flags || !top || !next || !system_mem) return std::nullopt;
  ArenaFields fields;
  fields.locked = *mutex != 0;
  fields.flags = *flags;
  const bool never_used = *top == state.value + layout.bins - kHeader;
  fields.top = never_used ? Addr() : Addr(*top);
  fields.next = Addr(*next);
  fields.system_mem = *system_mem;
  return fields;
}

bool has_attached_threads(WordReader& reader, Addr bins) {
  const auto attached = reader.word(bins + 0x810);
  const auto system_mem = reader.word(bins + 0x818);
  const auto max_system_mem = reader.word(bins + 0x820);
  if (!attached || !system_mem || !max_system_mem) return true;
  // Without the field these two are system_mem (a page at least, once used) and its high-water
  // mark.
  const bool without = *attached >= kPage && *attached <= *system_mem;
  return !without ||
         (*attached < (uint64_t{1} << 20) && *system_mem != 0 && *system_mem <= *max_system_mem &&
          *system_mem % kPage == 0 && *max_system_mem % kPage == 0);
}

}  // namespace heapscan::glibc
