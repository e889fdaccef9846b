// Most fields keep their initial values in most processes, and those that change stay within
// bounds. Every place in the library's writable data is scored against every layout; a symbol only
// adds to the score. One misplaced field is enough to lose against the right layout, since the
// fields overlap others there.

#include "heap/glibc/arenas.h"

#include "heap/glibc/chunks.h"

namespace heapscan::glibc {

namespace {

constexpr uint64_t kDefaultThreshold = 0x20000;  // trim_threshold, top_pad, mmap_threshold
constexpr uint32_t kDefaultMaxMmaps = 65536;
constexpr int kConvincing = 7;

struct Fields {
  WordReader& reader;
  Addr base;
  [[nodiscard]] uint64_t word(uint64_t offset) const {
    return reader.word(base + offset).value_or(~uint64_t{0});
  }
  [[nodiscard]] uint32_t half(uint64_t offset) const {
    const uint64_t both = word(offset / 8 * 8);
    return static_cast<uint32_t>(offset % 8 == 0 ? both : both >> 32);
  }
};

// How much the bytes at `base` look like this layout; negative when they cannot be it.
int score(const Fields& at, const ParamsLayout& row, Addr sbrk_base) {
  int points = 0;
  for (const uint64_t offset : {0x00U, 0x08U, 0x10U}) {
    if (at.word(offset) == kDefaultThreshold) ++points;
  }
  if (at.word(0x18) == 8 || at.word(0x18) == 2) ++points;
  if (at.word(0x20) < 100000) ++points;
  const uint32_t n_mmaps = at.half(row.n_mmaps);
  const uint32_t most = at.half(row.n_mmaps + 4);
  const uint32_t high_water = at.half(row.n_mmaps + 8);
  const uint32_t no_dynamic = at.half(row.n_mmaps + 12);
  if (n_mmaps > high_water || no_dynamic > 1) return -1;
  if (most == kDefaultMaxMmaps) points += 3;
  const uint64_t mapped = at.word(row.mmapped_mem);
  const uint64_t most_mapped = at.word(row.mmapped_mem + 8);
  if (mapped % kAlignment != 0 || mapped > most_mapped || (n_mmaps == 0) != (mapped == 0))
    return -1;
  if ((high_water == 0) != (most_mapped == 0)) return -1;
  points += n_mmaps != 0 ? 2 : 1;
  const uint64_t base = at.word(row.sbrk_base);
  if (!sbrk_base.is_null() && base == sbrk_base.value) points += 6;
  if (base == 0) {
    points += sbrk_base.is_null() ? 1 : 0;
  } else if (at.reader.image().region_at(Addr(base)) == nullptr) {
    return -1;
  }
  if (row.hp_pagesize != 0) {
    const uint64_t huge = at.word(row.hp_pagesize);
    const uint64_t transparent = at.word(row.hp_pagesize - 8);
    if ((huge & (huge - 1)) != 0 || (transparent & (transparent - 1)) != 0) return -1;
    ++points;
  }
  if (row.tcache_bins != 0) {
    const uint64_t bins = at.word(row.tcache_bins);
    const uint64_t count = at.word(row.tcache_bins + 16);
    if (bins > 128 || count > 0xffff) return -1;
    points += bins == TcacheLayout::kSmallBins ? 3 : 1;
    if (count == 7 || count == 16) ++points;
  }
  return points;
}

}  // namespace

std::optional<MallocParams> find_params(WordReader& reader, const Symbols& symbols,
                                        const Ring& ring, Addr sbrk_base) {
  const MemoryImage& image = reader.image();
  if (!ring.module.valid()) return std::nullopt;
  const auto symbol = symbols.address_of(ring.module, "mp_");
  int most = 0;
  Addr best;
  const ParamsLayout* layout = nullptr;
  const auto consider = [&](Addr at) {
    const Fields fields{reader, at};
    for (const ParamsLayout& row : params_layouts()) {
      // One of the two must hold, and both are cheap to see.
      const bool by_base = !sbrk_base.is_null() && fields.word(row.sbrk_base) == sbrk_base.value;
      if (!by_base && fields.half(row.n_mmaps + 4) != kDefaultMaxMmaps && symbol != at) continue;
      const int points = score(fields, row, sbrk_base) + (symbol == at ? kConvincing : 0);
      if (points <= most || points < kConvincing) continue;
      most = points;
      best = at;
      layout = &row;
    }
  };
  if (symbol) consider(*symbol);
  for (const ModuleSegment& segment : image.modules()[ring.module].segments) {
    if (!segment.writable) continue;
    image.for_each_span(segment.range, [&](Addr begin, Bytes bytes) {
      for (Addr at = begin.align_up(8); at + 0x50 <= begin + bytes.size(); at = at + 8)
        consider(at);
    });
  }
  if (layout == nullptr) return std::nullopt;
  const Fields at{reader, best};
  MallocParams params;
  params.range = AddrRange::sized(best, layout->size);
  params.layout = layout;
  params.sbrk_base = Addr(at.word(layout->sbrk_base));
  params.n_mmaps = at.half(layout->n_mmaps);
  params.mmapped_mem = at.word(layout->mmapped_mem);
  if (layout->tcache_bins != 0) params.tcache_count = at.word(layout->tcache_bins + 16);
  return params;
}

}  // namespace heapscan::glibc
