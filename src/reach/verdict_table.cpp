#include "reach/verdict_table.h"

#include <algorithm>

#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr size_t kWordsPerPiece = 1024;  // of a bitmap: 64 blocks each

using VerdictTotals = std::array<VerdictTotal, kVerdictCount>;

struct Totals {
  VerdictTotals blocks{};
  VerdictTotals mappings{};
};

void add(VerdictTotals& sum, const VerdictTotals& part) {
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i].blocks += part[i].blocks;
    sum[i].bytes += part[i].bytes;
  }
}

}  // namespace

BlockBitmap judged_blocks(const HeapModel& heap) {
  BlockBitmap judged(heap.blocks.size());
  parallel_for_pieces(judged.word_count(), kWordsPerPiece, [&](size_t begin, size_t end) {
    for (size_t w = begin; w < end; ++w) {
      uint64_t bits = 0;
      for (size_t i = 0; i < 64 && w * 64 + i < heap.blocks.size(); ++i) {
        bits |= uint64_t{heap.blocks[w * 64 + i].is_judged()} << i;
      }
      judged.set_word(w, bits);
    }
  });
  return judged;
}

void give_verdicts(const HeapModel& heap, const BlockBitmap& judged, const BlockBitmap& unreached,
                   const BlockBitmap& unheld, Reachability& result) {
  const size_t count = heap.blocks.size();
  result.verdicts = GrowingArray<Verdict>(count);
  result.verdicts.resize(count);
  BlockBitmap heads(count);
  for (const LostBlock& lost : result.lost) {
    if (lost.head == lost.block) heads.set(lost.block);
  }
  std::vector<Totals> totals((judged.word_count() + kWordsPerPiece - 1) / kWordsPerPiece);
  parallel_for_pieces(judged.word_count(), kWordsPerPiece, [&](size_t begin, size_t end) {
    Totals& sums = totals[begin / kWordsPerPiece];
    for (size_t i = begin * 64; i < std::min(end * 64, count); ++i) {
      const BlockId id(i);
      const Verdict verdict = !judged.test(id)      ? Verdict::NotJudged
                              : !unreached.test(id) ? Verdict::Reachable
                              : !unheld.test(id)    ? Verdict::Possible
                              : heads.test(id)      ? Verdict::Definite
                                                    : Verdict::Indirect;
      result.verdicts[i] = verdict;
      const Block& block = heap.blocks[i];
      auto& rows = block.state() == BlockState::Mapping ? sums.mappings : sums.blocks;
      rows[static_cast<size_t>(verdict)].blocks += 1;
      rows[static_cast<size_t>(verdict)].bytes += block.size();
    }
  });
  for (const Totals& sums : totals) {
    add(result.totals, sums.blocks);
    add(result.mapping_totals, sums.mappings);
  }
}

}  // namespace heapscan
