// The one pass that reads all of the heap's memory in ascending order and asks each word whether it
// lies near a heap. It does not wait for memory, so the comparisons count: eight words at once with
// AVX-512, four with AVX2.
#include "heapscan/heap/pointer_words.h"

#include <immintrin.h>

#include <algorithm>
#include <array>

#include "heapscan/base/bytes.h"
#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr uint64_t kBitsPerWord = 64;
constexpr uint64_t kBytesPerBits = kBitsPerWord * 8;       // of memory that one word tells of
constexpr uint64_t kBytesPerPiece = 2048 * kBytesPerBits;  // 1 MiB

using Stretches = std::span<const BlockIndex::Stretch>;

// Each returns one bit for each of the 64 words at `data`.

uint64_t near_words_sse2(const std::byte* data, size_t words, Stretches stretches) {
  uint64_t bits = 0;
  for (size_t i = 0; i < words; ++i) {
    const auto value = load<uint64_t>(data + i * 8);
    bool is_near = false;
    for (const BlockIndex::Stretch& stretch : stretches)
      is_near |= value - stretch.begin < stretch.size;
    bits |= uint64_t{is_near} << i;
  }
  return bits;
}

__attribute__((target("avx2"))) uint64_t near_words_avx2(const std::byte* data,
                                                         Stretches stretches) {
  // There is only a signed comparison.
  const __m256i sign = _mm256_set1_epi64x(std::numeric_limits<int64_t>::min());
  uint64_t bits = 0;
  for (size_t i = 0; i < kBitsPerWord; i += 4) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(data + i * 8));
    __m256i near = _mm256_setzero_si256();
    for (const BlockIndex::Stretch& stretch : stretches) {
      const __m256i begin = _mm256_set1_epi64x(static_cast<int64_t>(stretch.begin));
      const __m256i size =
          _mm256_xor_si256(sign, _mm256_set1_epi64x(static_cast<int64_t>(stretch.size)));
      const __m256i offset = _mm256_xor_si256(sign, _mm256_sub_epi64(words, begin));
      near = _mm256_or_si256(near, _mm256_cmpgt_epi64(size, offset));
    }
    const auto mask = static_cast<uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(near)));
    bits |= uint64_t{mask} << i;
  }
  return bits;
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) uint64_t near_words_avx512(
    const std::byte* data, Stretches stretches) {
  uint64_t bits = 0;
  for (size_t i = 0; i < kBitsPerWord; i += 8) {
    const __m512i words = _mm512_loadu_si512(data + i * 8);
    unsigned near = 0;
    for (const BlockIndex::Stretch& stretch : stretches) {
      const __m512i offset =
          _mm512_sub_epi64(words, _mm512_set1_epi64(static_cast<int64_t>(stretch.begin)));
      near |=
          _mm512_cmplt_epu64_mask(offset, _mm512_set1_epi64(static_cast<int64_t>(stretch.size)));
    }
    bits |= uint64_t{near} << i;
  }
  return bits;
}

uint64_t near_words(const std::byte* data, Stretches stretches, Vectors vectors) {
  switch (vectors) {
    case Vectors::Sse2:
      return near_words_sse2(data, kBitsPerWord, stretches);
    case Vectors::Avx2:
      return near_words_avx2(data, stretches);
    case Vectors::Avx512:
      return near_words_avx512(data, stretches);
  }
  return 0;
}

// Sets the bits from number `first` of `bits` on for the words of `bytes`.
void set_bits(Bytes bytes, Stretches stretches, Vectors vectors, uint64_t first, uint64_t* bits) {
  const uint64_t end = first + bytes.size() / 8;
  for (uint64_t at = first; at < end;) {
    const std::byte* const data = bytes.data() + (at - first) * 8;
    const uint64_t up_to = std::min(end, (at / kBitsPerWord + 1) * kBitsPerWord);
    const bool is_whole = up_to - at == kBitsPerWord;
    const uint64_t near = is_whole ? near_words(data, stretches, vectors)
                                   : near_words_sse2(data, up_to - at, stretches);
    bits[at / kBitsPerWord] |= near << at % kBitsPerWord;
    at = up_to;
  }
}

// Part of a grid; its first bit is the first of a word.
struct WordsPiece {
  AddrRange range;
  uint64_t first_bit = 0;
};

}  // namespace

PointerWords::PointerWords(const MemoryImage& image, const BlockIndex& index, Vectors vectors)
    : range_(index.ranges().size()) {
  uint64_t words = 0;
  std::vector<WordsPiece> pieces;
  for (size_t i = 0; i < range_.size(); ++i) {
    const BlockIndex::Range& grid = index.ranges()[i];
    if (grid.first_word == BlockIndex::kNoGrid || grid.begin % 8 != 0) continue;
    range_[i] = {grid.begin, words * kBitsPerWord};
    const AddrRange whole(Addr(grid.begin), Addr(grid.end));
    for (uint64_t at = 0; at < whole.size(); at += kBytesPerPiece) {
      pieces.push_back({AddrRange::sized(whole.begin() + at, kBytesPerPiece).intersect(whole),
                        range_[i].first_bit + at / 8});
    }
    words += (whole.size() + kBytesPerBits - 1) / kBytesPerBits;
  }
  // One word more: bits_in() may be asked for the one behind the last.
  bits_ = GrowingArray<uint64_t>(words + 1);
  bits_.resize(words + 1);
  parallel_for(pieces.size(), [&](size_t i) {
    const WordsPiece& piece = pieces[i];
    image.for_each_span(piece.range, [&](Addr begin, Bytes bytes) {
      const uint64_t skip = begin.align_up(8) - begin;
      if (skip >= bytes.size()) return;
      set_bits(bytes.subspan(skip), index.stretches(), vectors,
               piece.first_bit + (begin + skip - piece.range.begin()) / 8, bits_.data());
    });
  });
}

}  // namespace heapscan
