// Every word of the image is asked whether it names one of the blocks in question; the best answer
// per block is kept. A holder is packed into one integer whose order is the order of strength, so
// that threads only need an atomic minimum: strong holders before weak ones before stale words
// before possible and lost blocks before diagnostic ones before free blocks, aligned and untagged
// words before hidden ones, start pointers before interior ones, lower addresses before higher
// ones.
#include "heapscan/reach/holders.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"
#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "reach/why_possible.h"

namespace heapscan {

namespace {

constexpr uint64_t kNoHolder = ~uint64_t{0};
constexpr uint64_t kPiece = 1 << 20;

enum Rank : uint64_t {
  kStrong,
  kWeak,
  kStale,
  kPossibleBlock,
  kLostBlock,
  kDiagnostic,
  kFreeBlock
};

// rank:4 hidden:1 tagged:1 interior:1 word:1 address:48, from the top; `word` marks a root word,
// whose index stands for the address.
uint64_t pack(Rank rank, bool hidden, bool tagged, bool interior, bool is_word, uint64_t address) {
  return rank << 60 | uint64_t{hidden} << 59 | uint64_t{tagged} << 58 | uint64_t{interior} << 57 |
         uint64_t{is_word} << 56 | (address & ((uint64_t{1} << 48) - 1));
}

Rank rank_of(RootKind kind) {
  switch (strength_of(kind)) {
    case RootStrength::Strong:
      return kStrong;
    case RootStrength::Weak:
      return kWeak;
    case RootStrength::Diagnostic:
      return kDiagnostic;
  }
  return kDiagnostic;
}

Rank rank_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::Reachable:
      return kStrong;
    case Verdict::Possible:
      return kPossibleBlock;
    case Verdict::Indirect:
    case Verdict::Definite:
      return kLostBlock;
    case Verdict::NotJudged:
      return kFreeBlock;
  }
  return kFreeBlock;
}

// Tells words that name none of the blocks in question, most of them at the cost of one look into
// the nearest cache: one bit per page that holds part of such a block, pages a table's length apart
// sharing one.
class WantedPages {
 public:
  WantedPages(const HeapModel& heap, std::span<const BlockId> blocks) {
    if (blocks.empty()) return;
    const auto range = [&](BlockId id) { return heap.block(id).range(); };
    low_ = range(blocks.front()).begin().value;
    span_ = range(blocks.back()).end().value - low_;
    while (shift_ < kLargestShift && pages_of(heap, blocks) > kMostPages) ++shift_;
    for (const BlockId id : blocks) {
      if (range(id).empty()) continue;
      const uint64_t first = range(id).begin().value >> shift_;
      const uint64_t pages = std::min(((range(id).end().value - 1) >> shift_) - first + 1, kBits);
      if (pages == kBits) {
        bits_.fill(~uint64_t{0});
        return;
      }
      for (uint64_t page = first; page < first + pages; ++page)
        bits_[page % kBits / 64] |= uint64_t{1} << page % 64;
    }
  }
  [[nodiscard]] bool is_near(uint64_t value) const { return value - low_ < span_; }
  [[nodiscard]] bool may_be_named_by(uint64_t value) const {
    const uint64_t page = value >> shift_;
    return is_near(value) && (bits_[page % kBits / 64] >> page % 64 & 1) != 0;
  }

 private:
  // 16 KiB of bits, which stay in the first cache; one in sixteen may be set, so that fifteen of
  // sixteen words that lead elsewhere are told by it. A page is as large as that takes.
  static constexpr uint64_t kBits = 1 << 17;
  static constexpr uint64_t kMostPages = kBits / 16;
  static constexpr uint32_t kLargestShift = 30;  // a bit for each GiB reaches over all addresses

  [[nodiscard]] uint64_t pages_of(const HeapModel& heap, std::span<const BlockId> blocks) const {
    uint64_t pages = 0;
    for (const BlockId id : blocks) pages += (heap.block(id).size() >> shift_) + 1;
    return pages;
  }

  uint64_t low_ = 0;
  uint64_t span_ = 0;
  uint32_t shift_ = 12;
  std::array<uint64_t, kBits / 64> bits_{};
};

class HolderSearch {
 public:
  HolderSearch(const MemoryImage& image, const HeapModel& heap, const Roots& roots,
               const Reachability& reach, std::span<const BlockId> blocks)
      : image_(image),
        heap_(heap),
        roots_(roots),
        reach_(reach),
        blocks_(blocks),
        pages_(heap, blocks),
        wanted_(heap.blocks.size()),
        best_(blocks.size(), kNoHolder) {
    for (const BlockId id : blocks) wanted_.set(id);
  }

  void look_through_roots() {
    for (size_t i = 0; i < roots_.words.size(); ++i) {
      const RootWord& word = roots_.words[i];
      note(word.value, rank_of(word.kind), true, i);
    }
    for (const RootRange& root : roots_.ranges) {
      image_.for_each_span(root.range, [&](Addr begin, Bytes bytes) {
        look_but_stale(begin, bytes, rank_of(root.kind));
      });
    }
  }

  // Of the heap's memory as it lies there: which block a word is in is asked only of the few words
  // that name what is looked for.
  void look_through_blocks() {
    std::vector<Piece> pieces;
    const std::span<const BlockIndex::Range> ranges = heap_.index.ranges();
    for (uint32_t r = 0; r < ranges.size(); ++r) {
      const AddrRange range(Addr(ranges[r].begin), Addr(ranges[r].end));
      image_.for_each_span(range, [&](Addr begin, Bytes bytes) {
        // Words that straddle a cut are read with the part below it.
        for (size_t at = 0; at < bytes.size(); at += kPiece)
          pieces.push_back(
              {begin + at, bytes.subspan(at, std::min<size_t>(kPiece + 7, bytes.size() - at)), r});
      });
    }
    parallel_for(pieces.size(), [&](size_t i) { look_in_blocks(pieces[i]); });
  }

  // Where the verdict came from such a word.
  void add_hidden() {
    for (const HiddenName& hidden : reach_.hidden) {
      if (wanted_.test(hidden.block))
        keep(hidden.block, pack(kWeak, true, hidden.tagged, false, false, hidden.at.value));
    }
    BlockBitmap candidates(heap_.blocks.size());
    for (const PossibleBlock& possible : reach_.possible) {
      if (possible.reason == Reason::Tagged && wanted_.test(possible.block))
        candidates.set(possible.block);
    }
    for (const HiddenWord& hidden : find_hidden_words(heap_, candidates, roots_.words))
      keep(heap_.block_at(Addr(hidden.value)), pack(kWeak, true, true, false, true, hidden.word));
  }

  [[nodiscard]] std::vector<std::optional<Holder>> holders() const {
    std::vector<std::optional<Holder>> result(blocks_.size());
    for (size_t i = 0; i < blocks_.size(); ++i) {
      if (best_[i] != kNoHolder) result[i] = unpack(best_[i], heap_.block(blocks_[i]));
    }
    return result;
  }

 private:
  struct Piece {
    Addr begin;
    Bytes bytes;
    uint32_t range = 0;  // of the index
  };

  void look_in_blocks(const Piece& piece) {
    if (!heap_.pointers.knows(piece.range)) {
      look(piece.begin, piece.bytes, [this](Addr at, uint64_t value) { look_in_block(at, value); });
      return;
    }
    const uint64_t skip = piece.begin.align_up(8) - piece.begin;
    if (skip >= piece.bytes.size()) return;
    const Addr begin = piece.begin + skip;
    const Bytes bytes = piece.bytes.subspan(skip);
    // In ascending order the processor sees what comes next; pointers by themselves it does not.
    constexpr size_t kFetched = 16 << 10;
    for (size_t from = 0; from < bytes.size(); from += kFetched) {
      const Bytes part = bytes.subspan(from, std::min(kFetched, bytes.size() - from));
      fetch(part);
      heap_.pointers.for_each(piece.range, begin.value + from, part.size(), [&](uint64_t at) {
        const auto value = load<uint64_t>(part.data() + at);
        if (pages_.may_be_named_by(value)) look_in_block(begin + from + at, value);
      });
    }
  }

  // Words that are stale rank lower.
  void look_but_stale(Addr begin, Bytes bytes, Rank rank) {
    const AddrRange range = AddrRange::sized(begin, bytes.size());
    const auto look_at_part = [&](AddrRange part, Rank rank_of_part) {
      look(part.begin(), bytes.subspan(part.begin() - begin, part.size()),
           [&](Addr at, uint64_t value) { keep_word(at, value, named_by(value), rank_of_part); });
    };
    for_each_part_outside(reach_.stale, range, [&](AddrRange part) { look_at_part(part, rank); });
    for (const StaleStretch& stretch : reach_.stale.within(range))
      look_at_part(stretch.range.intersect(range), std::max(rank, kStale));
  }

  // Calls f(address, word) for each aligned word that may name a block in question.
  template <typename F>
  void look(Addr begin, Bytes bytes, F&& f) const {
    const std::byte* const data = bytes.data();
    const auto near = [&](size_t at) { return pages_.is_near(load<uint64_t>(data + at)); };
    const auto look_at = [&](size_t at) {
      const auto value = load<uint64_t>(data + at);
      if (pages_.may_be_named_by(value)) f(begin + at, value);
    };
    size_t i = begin.align_up(8) - begin;
    // Most words are nowhere near a heap: four of them are one branch.
    for (; i + 32 <= bytes.size(); i += 32) {
      if (!(near(i) | near(i + 8) | near(i + 16) | near(i + 24))) continue;
      for (size_t k = i; k < i + 32; k += 8) look_at(k);
    }
    for (; i + 8 <= bytes.size(); i += 8) look_at(i);
  }

  void look_in_block(Addr at, uint64_t value) {
    const BlockId id = named_by(value);
    if (!id.valid()) return;
    const BlockId within = heap_.block_at(at);
    if (!within.valid() || within == id) return;
    const Block& block = heap_.block(within);
    if (block.state() == BlockState::Top || block.state() == BlockState::Bookkeeping) return;
    if (block.range().end() - at < 8 || is_left_link(block.begin(), at, value)) return;
    const Rank rank = rank_of(reach_.verdict(within));
    keep_word(at, value, id, reach_.stale.stretch_at(at) ? std::max(rank, kStale) : rank);
  }

  void keep_word(Addr at, uint64_t value, BlockId id, Rank rank) {
    if (id.valid())
      keep(id, pack(rank, false, false, value != heap_.block(id).begin().value, false, at.value));
  }

  void note(uint64_t value, Rank rank, bool is_word, size_t index) {
    const BlockId id = named_by(value);
    if (id.valid())
      keep(id, pack(rank, false, false, value != heap_.block(id).begin().value, is_word, index));
  }

  [[nodiscard]] BlockId named_by(uint64_t value) const {
    const uint32_t range = heap_.index.range_at(value);
    if (range == BlockIndex::kNoRange) return BlockId::none();
    const BlockId id = heap_.index.block_before(heap_.index.ranges()[range], value);
    if (!id.valid() || !wanted_.test(id) || !heap_.block(id).range().contains(Addr(value))) {
      return BlockId::none();
    }
    return id;
  }

  void keep(BlockId id, uint64_t packed) {
    const auto at = std::lower_bound(blocks_.begin(), blocks_.end(), id);
    if (at == blocks_.end() || *at != id) return;
    std::atomic_ref best(best_[static_cast<size_t>(at - blocks_.begin())]);
    uint64_t current = best.load(std::memory_order_relaxed);
    while (packed < current &&
           !best.compare_exchange_weak(current, packed, std::memory_order_relaxed)) {
    }
  }

  [[nodiscard]] Holder unpack(uint64_t packed, const Block& held) const {
    Holder holder;
    const uint64_t address = packed & ((uint64_t{1} << 48) - 1);
    const bool hidden = (packed >> 59 & 1) != 0;
    holder.tagged = (packed >> 58 & 1) != 0;
    holder.unaligned = hidden && !holder.tagged;
    if ((packed >> 56 & 1) != 0) {
      holder.kind = Holder::Kind::Root;
      holder.root = roots_.ranges.size() + address;
      if (!hidden) holder.into = Addr(roots_.words[address].value) - held.begin();
      return holder;
    }
    holder.at = Addr(address);
    if (!hidden) holder.into = image_.read_addr(holder.at).value_or(held.begin()) - held.begin();
    locate(holder, packed >> 60);
    return holder;
  }

  void locate(Holder& holder, uint64_t rank) const {
    const BlockId block = heap_.block_at(holder.at);
    const bool diagnostic = rank == kDiagnostic;
    if (block.valid() && !diagnostic) {
      holder.block = block;
      holder.kind = heap_.block(block).is_judged() ? Holder::Kind::Block : Holder::Kind::FreeBlock;
      return;
    }
    holder.kind = Holder::Kind::Root;
    for (size_t i = 0; i < roots_.ranges.size(); ++i) {
      const bool is_diagnostic = strength_of(roots_.ranges[i].kind) == RootStrength::Diagnostic;
      if (is_diagnostic == diagnostic && roots_.ranges[i].range.contains(holder.at)) {
        holder.root = i;
        return;
      }
    }
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  const Roots& roots_;
  const Reachability& reach_;
  std::span<const BlockId> blocks_;
  const WantedPages pages_;
  BlockBitmap wanted_;
  std::vector<uint64_t> best_;
};

std::string describe_root_range(const RootRange& root, Addr at, const MemoryImage& image) {
  std::string text = name_of(root.kind);
  if (root.module.valid()) {
    const Module& module = image.modules()[root.module];
    text = std::string(module.file_name()) + " data";
  }
  if (root.tid != 0) text += " of thread " + std::to_string(root.tid);
  return text + " at " + hex(at);
}

// "register rbx of thread 12", "pipe fd 7": names of what the kernel holds begin with its kind.
std::string describe_root_word(const RootWord& word) {
  const bool says_kind = word.kind == RootKind::Epoll || word.kind == RootKind::Timer ||
                         word.kind == RootKind::KernelQueue;
  std::string text = says_kind && !word.name.empty() ? "" : name_of(word.kind);
  if (!word.name.empty()) text += (text.empty() ? "" : " ") + word.name;
  if (word.tid != 0) text += " of thread " + std::to_string(word.tid);
  return text;
}

// Of a block that is in use.
const char* state_of(const Holder& holder, const HeapModel& heap, const Reachability& reach) {
  if (heap.block(holder.block).state() == BlockState::Mapping) {
    return reach.verdict(holder.block) == Verdict::Reachable ? "a reachable mapping"
                                                             : "an unreachable mapping";
  }
  switch (reach.verdict(holder.block)) {
    case Verdict::Reachable:
      return "reachable";
    case Verdict::Possible:
      return "possibly leaked itself";
    case Verdict::Indirect:
    case Verdict::Definite:
      return "leaked itself";
    case Verdict::NotJudged:
      return "free";
  }
  return "unknown";
}

}  // namespace

std::vector<std::optional<Holder>> find_holders(const MemoryImage& image, const HeapModel& heap,
                                                const Roots& roots, const Reachability& reach,
                                                std::span<const BlockId> blocks) {
  HolderSearch search(image, heap, roots, reach, blocks);
  search.look_through_roots();
  search.look_through_blocks();
  search.add_hidden();
  return search.holders();
}

std::string describe_place(const Holder& holder, const MemoryImage& image, const HeapModel& heap,
                           const Roots& roots, const Reachability& reach) {
  if (holder.kind == Holder::Kind::Root) {
    return holder.root >= roots.ranges.size()
               ? describe_root_word(roots.words[holder.root - roots.ranges.size()])
               : describe_root_range(roots.ranges[holder.root], holder.at, image);
  }
  const Block& block = heap.block(holder.block);
  const std::string text =
      "block " + hex(block.begin()) + " (+" + hex(holder.at - block.begin()) + ")";
  if (holder.kind == Holder::Kind::FreeBlock) return "freed " + text;
  return text + ", which is " + state_of(holder, heap, reach);
}

std::string describe_words(const StaleStore& store, const HeapModel& heap) {
  const Addr where = store.block.valid() ? heap.block(store.block).begin() : store.range.begin();
  switch (store.kind) {
    case StaleStore::Kind::BehindEnd:
      return fmt::format("behind what is in use of the array {}", hex(where));
    case StaleStore::Kind::BehindText:
      return fmt::format("behind the end of the text {}", hex(where));
    case StaleStore::Kind::Dangling:
      break;
  }
  return fmt::format("of {}, {} % of whose pointers lead to freed memory", hex(where),
                     store.percent());
}

std::string describe_pointer(const Holder& holder) {
  std::string text;
  if (holder.into != 0) text += ", " + counted(holder.into, "byte") + " past its start";
  if (holder.unaligned) text += ", in an unaligned word";
  if (holder.tagged) text += ", in a word with tagged top bits";
  return text;
}

std::string describe(const Holder& holder, const MemoryImage& image, const HeapModel& heap,
                     const Roots& roots, const Reachability& reach) {
  std::string text = describe_place(holder, image, heap, roots, reach) + describe_pointer(holder);
  if (const StaleStretch* stale = reach.stale.stretch_at(holder.at);
      stale != nullptr && holder.kind != Holder::Kind::FreeBlock) {
    text += ", a word " + describe_words(reach.stale.stores[stale->store], heap);
  }
  return text;
}

}  // namespace heapscan
