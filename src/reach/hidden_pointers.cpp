// Every byte position is a possible address, which is eight times the work of the aligned pass. Two
// observations make it cheap. First, only start pointers at blocks already found lost count, so the
// answer is almost always "none here". Second, a user-space address has six bytes: the fifth and
// sixth from below are the same for whole heaps (0x7f.., 0x55..) and the top two are zero.
// Comparing sixteen positions at once for that sixth byte and the two zeros above it (SSE2, which
// every x86-64 has; thirty-two with AVX2, sixty-four with AVX-512) leaves a position in thousands to
// look at. Tagged words have the sixth byte, but for its top bit, and something else on top of it;
// they are looked for at aligned positions only, since at odd ones any text would do.
#include "reach/why_possible.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>

#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr size_t kPlacesPerPiece = 256;
constexpr uint64_t kLargestPlace = 1 << 20;  // bytes; longer ranges are shared out
// What a step of 16 positions reads beyond the last of them, and more.
constexpr uint64_t kMargin = 32;
constexpr uint64_t kHeader = 16;       // of a block, before it
constexpr size_t kWordsPerPart = 256;  // of a bitmap; ranges are not joined across parts
constexpr uint32_t kAlignedPositions = 0x01010101;  // of byte positions from an aligned one on
constexpr uint64_t kAlignedPositions64 = 0x0101010101010101;
constexpr int64_t kTimerTag = int64_t{1} << (63 - kAddressBits);  // in the bits from 47 up
constexpr size_t kMostSixthBytes = 4;                             // for which there is a faster way

// The values that bits 40 to 46 of a candidate's address take, also where it is shifted as timers'
// are.
std::vector<uint8_t> sixth_bytes(const HeapModel& heap, const BlockBitmap& candidates) {
  std::array<bool, 128> seen{};
  candidates.for_each([&](BlockId id) {
    const uint64_t address = heap.block(id).begin().value & kPlainMask;
    seen[address >> 40] = true;
    seen[address >> 41] = true;
  });
  std::vector<uint8_t> values;
  for (size_t i = 0; i < seen.size(); ++i) {
    if (seen[i]) values.push_back(static_cast<uint8_t>(i));
  }
  return values;
}

// The candidate that a word with tags names; none when it names none.
BlockId named_by_tagged(const HeapModel& heap, const BlockBitmap& candidates, uint64_t word) {
  for (const uint64_t value : readings_of_tagged(word)) {
    const BlockId id = heap.block_at(Addr(value));
    if (id.valid() && candidates.test(id) && heap.block(id).begin().value == value) return id;
  }
  return BlockId::none();
}

class HiddenSearch {
 public:
  HiddenSearch(const HeapModel& heap, const BlockBitmap& candidates,
               const std::vector<uint8_t>& sixth, Vectors vectors)
      : heap_(heap), candidates_(candidates), sixth_(sixth), vectors_(vectors) {
    uint64_t end = 0;
    candidates.for_each([&](BlockId id) {
      const uint64_t begin = heap.block(id).begin().value;
      if (end == 0) low_ = begin;
      end = begin + kLowTags + 1;
    });
    span_ = end - low_;
    // Blocks are sorted by address, and so are these bytes.
    for (uint64_t at = low_ >> 40; at <= std::min<uint64_t>(end >> 40, 0x7f); ++at) {
      if (std::find(sixth_.begin(), sixth_.end(), at) == sixth_.end()) continue;
      if (sixth_count_ == kMostSixthBytes) {
        vectors_ = Vectors::Sse2;
        return;
      }
      sixth_of_plain_[sixth_count_++] = static_cast<char>(at);
    }
  }

  // All positions p in [0, count) of bytes that lie at address `at` (a multiple of 8); `bytes` may
  // reach further, which lets the last positions be compared at once too.
  void scan(Addr at, Bytes bytes, uint64_t count, std::vector<HiddenPointer>& found) const {
    const std::byte* const data = bytes.data();
    uint64_t p = scan_wide(at, bytes, count, found);
    for (; p < count && p + 16 + 7 <= bytes.size(); p += 16) {
      const __m128i high = load16(data + p + 5);
      const __m128i sixth = _mm_and_si128(high, _mm_set1_epi8(0x7f));
      __m128i match = _mm_setzero_si128();
      for (const uint8_t byte : sixth_) {
        match = _mm_or_si128(match, _mm_cmpeq_epi8(sixth, _mm_set1_epi8(static_cast<char>(byte))));
      }
      auto matches = static_cast<uint32_t>(_mm_movemask_epi8(match));
      if (count - p < 16) matches &= (1U << (count - p)) - 1;
      if (matches == 0) continue;
      const __m128i zeros =
          _mm_and_si128(_mm_cmpeq_epi8(load16(data + p + 6), _mm_setzero_si128()),
                        _mm_cmpeq_epi8(load16(data + p + 7), _mm_setzero_si128()));
      const auto plain = matches & static_cast<uint32_t>(_mm_movemask_epi8(zeros)) &
                         ~static_cast<uint32_t>(_mm_movemask_epi8(high));
      look_where_worth(at, data, p, matches, plain, found);
    }
    for (; p < count && p + 8 <= bytes.size(); ++p) look(at, data, p, found);
  }

 private:
  uint64_t scan_wide(Addr at, Bytes bytes, uint64_t count,
                     std::vector<HiddenPointer>& found) const {
    switch (vectors_) {
      case Vectors::Sse2:
        return 0;
      case Vectors::Avx2:
        return scan_avx2(at, bytes, count, found);
      case Vectors::Avx512:
        return scan_avx512(at, bytes, count, found);
    }
    return 0;
  }

  // Both begin at the first position, go as far as whole steps go and return the position that is
  // next. Plain words are looked for at odd positions, by their sixth byte, tagged ones at aligned
  // positions, by what is left of them without tags: an ordinary pointer is neither.

  __attribute__((target("avx2"))) uint64_t scan_avx2(Addr at, Bytes bytes, uint64_t count,
                                                     std::vector<HiddenPointer>& found) const {
    const std::byte* const data = bytes.data();
    const auto load_at = [data](uint64_t p) __attribute__((target("avx2"))) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(data + p));
    };
    const __m256i plain_bits = _mm256_set1_epi64x(static_cast<int64_t>(kPlainMask));
    const __m256i low = _mm256_set1_epi64x(static_cast<int64_t>(low_));
    const __m256i span = _mm256_set1_epi64x(static_cast<int64_t>(span_));
    const __m256i timer = _mm256_set1_epi64x(kTimerTag);
    uint64_t p = 0;
    for (; p + 32 <= count && p + 32 + 7 <= bytes.size(); p += 32) {
      const __m256i sixth = load_at(p + 5);
      __m256i match = _mm256_setzero_si256();
      for (size_t i = 0; i < sixth_count_; ++i)
        match =
            _mm256_or_si256(match, _mm256_cmpeq_epi8(sixth, _mm256_set1_epi8(sixth_of_plain_[i])));
      auto worth = static_cast<uint32_t>(_mm256_movemask_epi8(match)) & ~kAlignedPositions;
      if (worth != 0) {
        const __m256i top = _mm256_or_si256(load_at(p + 6), load_at(p + 7));
        worth &= static_cast<uint32_t>(
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(top, _mm256_setzero_si256())));
      }
      const __m256i word = load_at(p);
      // Below 2^47, so that a signed comparison will do.
      const __m256i offset = _mm256_sub_epi64(_mm256_and_si256(word, plain_bits), low);
      const __m256i is_inside = _mm256_andnot_si256(
          _mm256_cmpgt_epi64(_mm256_setzero_si256(), offset), _mm256_cmpgt_epi64(span, offset));
      const __m256i tag = _mm256_srli_epi64(word, kAddressBits);
      const __m256i is_tagged = _mm256_or_si256(
          _mm256_andnot_si256(_mm256_cmpeq_epi64(tag, _mm256_setzero_si256()), is_inside),
          _mm256_cmpeq_epi64(tag, timer));
      worth |= static_cast<uint32_t>(_mm256_movemask_epi8(is_tagged)) & kAlignedPositions;
      look_at_each(at, data, p, worth, found);
    }
    return p;
  }

  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) uint64_t scan_avx512(
      Addr at, Bytes bytes, uint64_t count, std::vector<HiddenPointer>& found) const {
    const std::byte* const data = bytes.data();
    const __m512i plain_bits = _mm512_set1_epi64(static_cast<int64_t>(kPlainMask));
    const __m512i low = _mm512_set1_epi64(static_cast<int64_t>(low_));
    const __m512i span = _mm512_set1_epi64(static_cast<int64_t>(span_));
    const __m512i timer = _mm512_set1_epi64(kTimerTag);
    uint64_t p = 0;
    for (; p + 64 <= count && p + 64 + 7 <= bytes.size(); p += 64) {
      const __m512i sixth = _mm512_loadu_si512(data + p + 5);
      uint64_t plain = 0;
      for (size_t i = 0; i < sixth_count_; ++i)
        plain |= _mm512_cmpeq_epi8_mask(sixth, _mm512_set1_epi8(sixth_of_plain_[i]));
      plain &= ~kAlignedPositions64;
      if (plain != 0) {
        const __m512i top =
            _mm512_or_si512(_mm512_loadu_si512(data + p + 6), _mm512_loadu_si512(data + p + 7));
        plain = _mm512_mask_testn_epi8_mask(plain, top, top);
      }
      const __m512i word = _mm512_loadu_si512(data + p);
      const __m512i offset = _mm512_sub_epi64(_mm512_and_si512(word, plain_bits), low);
      const __m512i tag = _mm512_maskz_srli_epi64(0xff, word, kAddressBits);
      const unsigned tagged =
          _mm512_mask_cmplt_epu64_mask(_mm512_test_epi64_mask(tag, tag), offset, span) |
          _mm512_cmpeq_epi64_mask(tag, timer);
      if (plain == 0 && tagged == 0) continue;
      look_at_each(at, data, p, static_cast<uint32_t>(plain), found);
      look_at_each(at, data, p + 32, static_cast<uint32_t>(plain >> 32), found);
      for (unsigned rest = tagged; rest != 0; rest &= rest - 1)
        look(at, data, p + 8 * static_cast<unsigned>(std::countr_zero(rest)), found);
    }
    return p;
  }

  void look_at_each(Addr at, const std::byte* data, uint64_t p, uint32_t worth,
                    std::vector<HiddenPointer>& found) const {
    for (uint32_t rest = worth; rest != 0; rest &= rest - 1)
      look(at, data, p + static_cast<unsigned>(std::countr_zero(rest)), found);
  }

  // Of the positions from p on: `matches` have such a sixth byte, `plain` zeros above it.
  void look_where_worth(Addr at, const std::byte* data, uint64_t p, uint32_t matches,
                        uint32_t plain, std::vector<HiddenPointer>& found) const {
    look_at_each(at, data, p, (plain & ~kAlignedPositions) | (matches & ~plain & kAlignedPositions),
                 found);
  }

  static __m128i load16(const std::byte* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  }

  void look(Addr at, const std::byte* data, uint64_t p, std::vector<HiddenPointer>& found) const {
    const auto word = load<uint64_t>(data + p);
    const bool tagged = has_high_tags(word);
    if (tagged == (p % 8 != 0)) return;
    const BlockId id = tagged ? named_by_tagged(heap_, candidates_, word) : named_by_plain(word);
    if (!id.valid()) return;
    const Addr where = at + p;
    if (heap_.block(id).range().contains(where)) return;
    found.push_back({heap_.block(id).begin().value, where, tagged});
  }

  [[nodiscard]] BlockId named_by_plain(uint64_t word) const {
    const BlockId id = heap_.block_at(Addr(word));
    const bool is_start =
        id.valid() && candidates_.test(id) && heap_.block(id).begin().value == word;
    return is_start ? id : BlockId::none();
  }

  const HeapModel& heap_;
  const BlockBitmap& candidates_;
  const std::vector<uint8_t>& sixth_;
  Vectors vectors_;
  // Words that name a candidate lie in [low_, low_ + span_) without their high tags.
  uint64_t low_ = 0;
  uint64_t span_ = 0;
  // Bits 40 to 47 of where they begin.
  std::array<char, kMostSixthBytes> sixth_of_plain_{};
  size_t sixth_count_ = 0;
};

void cut(AddrRange range, std::vector<AddrRange>& places) {
  for (Addr at = range.begin(); at < range.end(); at = at + kLargestPlace) {
    // Words that straddle the cut are found from the part below it.
    places.push_back(AddrRange::sized(at, kLargestPlace + 7).intersect(range));
  }
}

// Of what is large only what was saved is cut into places: a range may claim terabytes.
void add_places(const MemoryImage& image, AddrRange range, std::vector<AddrRange>& places) {
  if (range.size() <= kLargestPlace) {
    cut(range, places);
    return;
  }
  image.for_each_span(
      range, [&](Addr begin, Bytes bytes) { cut(AddrRange::sized(begin, bytes.size()), places); });
}

// The blocks of words [begin, end) of the bitmap; those with nothing but a header between them make
// one range.
std::vector<AddrRange> join_blocks(const MemoryImage& image, const HeapModel& heap,
                                   const BlockBitmap& searched, size_t begin, size_t end) {
  std::vector<AddrRange> places;
  AddrRange joined;
  for (size_t w = begin; w < end; ++w) {
    for (uint64_t rest = searched.word(w); rest != 0; rest &= rest - 1) {
      const AddrRange block =
          heap.blocks[w * 64 + static_cast<size_t>(std::countr_zero(rest))].range();
      if (block.begin() - joined.end() <= kHeader) {
        joined = {joined.begin(), block.end()};
      } else {
        add_places(image, joined, places);
        joined = block;
      }
    }
  }
  add_places(image, joined, places);
  return places;
}

}  // namespace

std::vector<HiddenPointer> find_hidden_pointers(const MemoryImage& image, const HeapModel& heap,
                                                const BlockBitmap& candidates,
                                                std::span<const AddrRange> places,
                                                Vectors vectors) {
  const std::vector<uint8_t> sixth = sixth_bytes(heap, candidates);
  const HiddenSearch search(heap, candidates, sixth, vectors);
  std::vector<std::vector<HiddenPointer>> found((places.size() + kPlacesPerPiece - 1) /
                                                kPlacesPerPiece);
  parallel_for_pieces(places.size(), kPlacesPerPiece, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const AddrRange place = places[i];
      const AddrRange with_margin(place.begin(), place.end() + kMargin);
      image.for_each_span(with_margin, [&](Addr at, Bytes bytes) {
        const uint64_t skip = std::min<uint64_t>(at.align_up(8) - at, bytes.size());
        const uint64_t inside = std::min<uint64_t>(bytes.size(), place.end() - at);
        if (inside < skip + 8) return;
        search.scan(at + skip, bytes.subspan(skip), inside - skip - 7,
                    found[begin / kPlacesPerPiece]);
      });
    }
  });
  std::vector<HiddenPointer> all;
  for (const auto& part : found) all.insert(all.end(), part.begin(), part.end());
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<HiddenWord> find_hidden_words(const HeapModel& heap, const BlockBitmap& candidates,
                                          std::span<const RootWord> words) {
  std::vector<HiddenWord> found;
  for (size_t i = 0; i < words.size(); ++i) {
    if (strength_of(words[i].kind) == RootStrength::Diagnostic || !has_high_tags(words[i].value))
      continue;
    const BlockId id = named_by_tagged(heap, candidates, words[i].value);
    if (id.valid()) found.push_back({heap.block(id).begin().value, i});
  }
  return found;
}

std::vector<AddrRange> places_to_search(const MemoryImage& image, const HeapModel& heap,
                                        const Roots& roots, const BlockBitmap& searched) {
  std::vector<std::vector<AddrRange>> parts((searched.word_count() + kWordsPerPart - 1) /
                                            kWordsPerPart);
  parallel_for_pieces(searched.word_count(), kWordsPerPart, [&](size_t begin, size_t end) {
    parts[begin / kWordsPerPart] = join_blocks(image, heap, searched, begin, end);
  });
  std::vector<AddrRange> of_roots;
  for (const RootRange& root : roots.ranges) {
    if (strength_of(root.kind) != RootStrength::Diagnostic) add_places(image, root.range, of_roots);
  }
  std::sort(of_roots.begin(), of_roots.end());
  parts.push_back(std::move(of_roots));

  std::vector<AddrRange> places;
  size_t count = 0;
  for (const auto& part : parts) count += part.size();
  places.reserve(count);
  for (const auto& part : parts) places.insert(places.end(), part.begin(), part.end());
  std::inplace_merge(places.begin(),
                     places.end() - static_cast<std::ptrdiff_t>(parts.back().size()), places.end());
  return places;
}

}  // namespace heapscan
