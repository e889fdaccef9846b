// Families are found in rounds. In the first, a pointer to a block is just that; the groups it ends
// with say what kind of block a pointer leads to, and who points at a block, which is what the
// second works with. A third told nothing apart that was worth it on real programs: its news come
// from blocks three pointers away. What is known of blocks for certain, their class or which part
// of which container they are, takes the families apart at the end: where a container lies is said
// by the families found so far.
//
// A round is one pass over the blocks that gives each a signature, groups of equal signatures, and
// the joining of groups that agree. Only the pass costs time per block, and only columns of small
// numbers take memory per block: its id, its group, its signature and its owner. The second round
// looks only at what can have changed: blocks of one group of the first differ in what they lead to.
#include <algorithm>
#include <bit>
#include <iterator>

#include "heapscan/base/parallel.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/identify/families.h"
#include "identify/families/rounds.h"
#include "identify/families/shapes.h"
#include "identify/families/signatures.h"

namespace heapscan {

namespace {

constexpr int kRounds = 2;  // the second knows which group of the first points at a block
constexpr size_t kFamilyBlocksPerPiece = 2048;  // enough that sharing them out costs little
constexpr size_t kFewestGroups = 1 << 14;       // that are always allowed
constexpr size_t kBlocksPerGroup = 64;          // beyond them
constexpr uint64_t kExactSize = 1024;           // sizes up to this are told apart even in a hurry

std::vector<BlockId> wanted_blocks(const HeapModel& heap, const Reachability& reach,
                                   const VerdictSet& verdicts) {
  std::vector<BlockId> blocks;
  const auto is_wanted = [&](size_t i) {
    return heap.blocks[i].state() == BlockState::Used && verdicts.has(reach.verdicts[i]);
  };
  size_t count = 0;
  for (size_t i = 0; i < heap.blocks.size(); ++i) count += is_wanted(i) ? 1 : 0;
  blocks.reserve(count);
  for (size_t i = 0; i < heap.blocks.size(); ++i) {
    if (is_wanted(i)) blocks.emplace_back(i);
  }
  return blocks;
}

class Rounds {
 public:
  Rounds(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime,
         const HeapModel& heap, std::span<const BlockId> blocks)
      : image_(image),
        symbols_(symbols),
        heap_(heap),
        blocks_(blocks),
        addresses_(image, runtime, heap),
        memory_(image, heap),
        wanted_(bitmap_of(heap, blocks)),
        numbers_(wanted_),
        round_pointers_(find_round_pointers(heap, addresses_, memory_, blocks)),
        signatures_(blocks.size()) {
    signatures_.resize(blocks.size());
  }

  // Group per block; shape per group.
  [[nodiscard]] std::pair<std::vector<uint32_t>, std::vector<Shape>> run() {
    for (int round = 0; round < kRounds; ++round) {
      if (round == 0) {
        sign_all();
      } else {
        sign_second_time();
      }
      const auto groups =
          group_equal(signatures_, std::max(kFewestGroups, blocks_.size() / kBlocksPerGroup),
                      [this](uint32_t number) { return size_class(number); });
      if (round == 0) recipes_ = SignatureRecipes(groups, blocks_, [this] { return make_maker(); });
      MergedGroups merged = merge_groups(
          groups, image_, symbols_, addresses_, blocks_, [this] { return make_maker(); },
          round + 1 == kRounds ? Rests::Join : Rests::Leave);
      groups_.resize(blocks_.size());
      parallel_for_pieces(blocks_.size(), kFamilyBlocksPerPiece, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) groups_[i] = merged.family_of[signatures_[i]];
      });
      shapes_ = std::move(merged.shapes);
    }
    return {std::move(groups_), std::move(shapes_)};
  }

 private:
  static BlockBitmap bitmap_of(const HeapModel& heap, std::span<const BlockId> blocks) {
    BlockBitmap bitmap(heap.blocks.size());
    for (const BlockId id : blocks) bitmap.set(id);
    return bitmap;
  }
  [[nodiscard]] SignatureMaker make_maker() const {
    return {
        heap_, addresses_, memory_, numbers_, {groups_, owners_, short_texts_, round_pointers_}};
  }
  void sign_all() {
    parallel_for_pieces(blocks_.size(), kFamilyBlocksPerPiece, [&](size_t begin, size_t end) {
      SignatureMaker maker = make_maker();
      const auto piece = blocks_.subspan(begin, end - begin);
      for (size_t i = 0; i < piece.size(); ++i) {
        maker.announce(piece, i);
        signatures_[begin + i] = maker.signature_of(piece[i]).hash();
      }
    });
  }
  void sign_second_time() {
    short_texts_ = find_short_texts(image_, heap_, blocks_, groups_, shapes_);
    SecondSignatures signed_again =
        sign_again(heap_, memory_, blocks_, numbers_, {groups_, {}, short_texts_, round_pointers_},
                   shapes_, recipes_, {signatures_.data(), signatures_.size()});
    owners_ = std::move(signed_again.owners);
    const std::vector<uint32_t>& left = signed_again.left;
    parallel_for_pieces(left.size(), kFamilyBlocksPerPiece, [&](size_t begin, size_t end) {
      std::vector<BlockId> piece;
      for (size_t i = begin; i < end; ++i) piece.push_back(blocks_[left[i]]);
      SignatureMaker maker = make_maker();
      for (size_t i = 0; i < piece.size(); ++i) {
        maker.announce(piece, i);
        signatures_[left[begin + i]] = maker.signature_of(piece[i]).hash();
      }
    });
  }
  [[nodiscard]] uint64_t size_class(uint32_t number) const {
    const uint64_t size = heap_.block(blocks_[number]).size();
    return size <= kExactSize ? size : kExactSize + static_cast<uint64_t>(std::bit_width(size));
  }

  const MemoryImage& image_;
  const Symbols& symbols_;
  const HeapModel& heap_;
  std::span<const BlockId> blocks_;
  AddressMap addresses_;
  BlockMemory memory_;
  BlockBitmap wanted_;
  BlockNumbers numbers_;
  std::vector<uint64_t> round_pointers_;
  GrowingArray<uint64_t> signatures_;
  SignatureRecipes recipes_;
  std::vector<uint32_t> groups_;      // of the last round
  std::vector<Shape> shapes_;         // of the groups
  std::vector<uint32_t> owners_;      // empty in the first round
  std::vector<uint8_t> short_texts_;  // of the groups; likewise
};

}  // namespace

// Blocks that the program has lost and blocks that it uses are sorted into groups apart, so that a
// lost block's family is the same whether or not somebody also asks about the others.
Families find_families(const MemoryImage& image, const Symbols& symbols,
                       const RuntimeFacts& runtime, const HeapModel& heap, const Roots& roots,
                       const Reachability& reach, const FamilyOptions& options) {
  VerdictSet unreached;
  for (const Verdict verdict : {Verdict::Definite, Verdict::Indirect, Verdict::Possible}) {
    if (options.verdicts.has(verdict)) unreached.add(verdict);
  }
  const auto groups_of = [&](std::vector<BlockId> blocks) {
    auto [group_of, shapes] = Rounds(image, symbols, runtime, heap, blocks).run();
    Families groups = rows_of_groups(heap, std::move(blocks), group_of, shapes);
    draw_portraits(image, symbols, runtime, heap, groups);
    return groups;
  };
  Families groups = groups_of(wanted_blocks(heap, reach, unreached));
  std::vector<BlockId> live;
  if (options.verdicts.has(Verdict::Reachable)) {
    live = wanted_blocks(heap, reach, {Verdict::Reachable});
  } else {
    std::copy_if(options.reachable_too.begin(), options.reachable_too.end(),
                 std::back_inserter(live), [&](BlockId id) {
                   return heap.block(id).state() == BlockState::Used &&
                          reach.verdict(id) == Verdict::Reachable;
                 });
  }
  if (!live.empty()) groups = join_groups(std::move(groups), groups_of(std::move(live)));
  return tell_apart(image, symbols, runtime, heap, roots, reach,
                    unite_equal(heap, std::move(groups)));
}

}  // namespace heapscan
