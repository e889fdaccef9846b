// An array of pointers that is in use leads to no freed memory, and what its owner puts into it, a
// queue's messages for example, is in it once. What the owner has given up and not cleared looks
// different: the blocks were freed, and their places taken by others again and again. So words that
// lead to freed memory, into the middle of blocks, or where another word of the array leads as
// well, dangle. Where most do, the words are no longer in use.
//
// Only rows of words that are pointers or null are looked at. In an array of structs, in an arena,
// in a slab of nodes, a field beside the pointer tells the program whether a slot is in use, and
// live slots may lie anywhere between dead ones; in a bare array only the position can tell. For
// the same reason the slots must have been filled one after the other: a hash table that keeps its
// state elsewhere has live slots between dead ones, too, but neighbours in it have nothing in
// common, while what is allocated in a row lies near, and a place that is taken again and again is
// taken by slots that lie near.
#include "reach/stale_words.h"

#include <algorithm>

#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr uint64_t kStalePieceBytes = 32 << 20;  // of memory looked through in one go
constexpr uint64_t kSmallPiece = 64 << 10;
constexpr size_t kStaleBlocksPerPiece = 4096;
constexpr size_t kFewestPointers = 256;     // in a row
constexpr size_t kFewestFreed = 16;         // in a row: without any it is in use
constexpr size_t kMostNulls = 64;           // one after the other
constexpr size_t kWindow = 128;             // pointers judged together
constexpr size_t kLeastPercent = 50;        // of a window's pointers dangle
constexpr size_t kLeastPercentNearer = 66;  // neighbours nearer than pointers half a window away
constexpr size_t kLeastPercentNear = 70;    // of words that lead to one place, near each other
constexpr size_t kFewestCompared = 16;      // pointers, for one of these
constexpr size_t kFewestWindows = 2;
constexpr size_t kMostUnclear = 4;  // windows between stale ones that dangle, but in no order

struct Found {
  AddrRange range;
  Addr row;  // where the row begins
  BlockId block;
  uint64_t words = 0;
  uint64_t dangling = 0;
};

// Looks through consecutive words for stretches.
class Search {
 public:
  Search(const Leads& leads, AddrRange within, BlockId block, std::vector<Found>& found)
      : leads_(leads), within_(within), block_(block), found_(found) {}

  void look_through(Addr begin, Bytes bytes) {
    const size_t words = bytes.size() / 8;
    const auto word = [&](size_t i) { return load<uint64_t>(bytes.data() + i * 8); };
    size_t i = 0;
    while (i < words) {
      if (word(i) == 0 || !leads_.may_be_slot(word(i))) {
        ++i;
        continue;
      }
      size_t end = i;
      size_t filled = 0;
      size_t nulls = 0;
      for (; end < words && nulls <= kMostNulls && leads_.may_be_slot(word(end)); ++end) {
        filled += word(end) != 0;
        nulls = word(end) == 0 ? nulls + 1 : 0;
      }
      if (filled >= kFewestPointers)
        look_at_row(begin + i * 8, bytes.subspan(i * 8, (end - i) * 8));
      i = end + 1;
    }
  }

 private:
  struct Slot {
    uint64_t at = 0;
    uint64_t value = 0;
    Lead lead = Lead::Null;
    bool dangles = false;
    bool is_repeated = false;
    bool is_near_same = false;
  };

  // A row may still hold words that are no pointers to blocks: they end it.
  void look_at_row(Addr begin, Bytes bytes) {
    slots_.clear();
    size_t freed = 0;
    const auto end_row = [&] {
      if (freed >= kFewestFreed && slots_.size() >= kFewestPointers) judge_row();
      slots_.clear();
      freed = 0;
    };
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      const auto value = load<uint64_t>(bytes.data() + i);
      const Lead lead = leads_.lead_of(value, within_);
      if (lead == Lead::Null) continue;
      if (lead == Lead::Elsewhere) {
        end_row();
        continue;
      }
      freed += lead == Lead::Freed;
      slots_.push_back(
          {(begin + i).value, value, lead, lead == Lead::Freed || lead == Lead::Middle});
    }
    end_row();
  }

  void judge_row() {
    mark_repeated();
    const size_t windows = slots_.size() / kWindow;
    size_t first = windows;  // of the stretch, if there is one
    size_t end = 0;          // behind its last stale window
    for (size_t i = 0; i < windows; ++i) {
      const State state = state_of(window(i));
      const bool goes_on = state != State::Used && i - end < kMostUnclear;
      if (first != windows && state != State::Stale && !goes_on) {
        add_stretch(first, end, windows);
        first = windows;
      }
      if (state != State::Stale) continue;
      if (first == windows) first = i;
      end = i + 1;
    }
    if (first != windows) add_stretch(first, end, windows);
  }

  // Several words to one place: at most one of them is in use.
  void mark_repeated() {
    std::vector<std::pair<uint64_t, size_t>> order;
    order.reserve(slots_.size());
    for (size_t i = 0; i < slots_.size(); ++i) order.emplace_back(slots_[i].value, i);
    std::sort(order.begin(), order.end());
    for (size_t i = 0, end = 0; i < order.size(); i = end) {
      while (end < order.size() && order[end].first == order[i].first) ++end;
      if (end - i > 1) mark_same(std::span(order).subspan(i, end - i));
    }
  }

  // Words that lead to one place lie near each other when that was in use for some time. Were they
  // anywhere, one in two would find another one that near.
  void mark_same(std::span<const std::pair<uint64_t, size_t>> same) {
    const size_t near = slots_.size() / same.size() / 3;
    for (size_t i = 0; i < same.size(); ++i) {
      Slot& slot = slots_[same[i].second];
      slot.dangles = slot.is_repeated = true;
      const auto is_near = [&](size_t a, size_t b) {
        return same[b].second - same[a].second <= near;
      };
      slot.is_near_same =
          (i > 0 && is_near(i - 1, i)) || (i + 1 < same.size() && is_near(i, i + 1));
    }
  }

  [[nodiscard]] std::span<const Slot> window(size_t i) const {
    const bool is_last = (i + 2) * kWindow > slots_.size();
    return std::span(slots_).subspan(i * kWindow, is_last ? slots_.size() - i * kWindow : kWindow);
  }

  enum class State { Used, Unclear, Stale };
  [[nodiscard]] static State state_of(std::span<const Slot> slots) {
    if (count_dangling(slots) * 100 < slots.size() * kLeastPercent) return State::Used;
    return lie_near(slots) || repeat_near(slots) ? State::Stale : State::Unclear;
  }

  [[nodiscard]] bool is_used(size_t i) const { return state_of(window(i)) == State::Used; }

  [[nodiscard]] static size_t count_dangling(std::span<const Slot> slots) {
    return static_cast<size_t>(
        std::count_if(slots.begin(), slots.end(), [](const Slot& slot) { return slot.dangles; }));
  }

  // The addresses of neighbours.
  [[nodiscard]] static bool lie_near(std::span<const Slot> slots) {
    const auto distance = [](uint64_t a, uint64_t b) { return a < b ? b - a : a - b; };
    const size_t half = slots.size() / 2;
    size_t nearer = 0;
    size_t compared = 0;
    for (size_t i = 0; i + 1 < slots.size(); ++i) {
      const uint64_t near = distance(slots[i].value, slots[i + 1].value);
      const uint64_t far = distance(slots[i].value, slots[(i + half) % slots.size()].value);
      if (near == far) continue;
      nearer += near < far;
      ++compared;
    }
    return compared >= kFewestCompared && nearer * 100 >= compared * kLeastPercentNearer;
  }

  [[nodiscard]] static bool repeat_near(std::span<const Slot> slots) {
    size_t repeated = 0;
    size_t near = 0;
    for (const Slot& slot : slots) {
      repeated += slot.is_repeated;
      near += slot.is_near_same;
    }
    return repeated >= kFewestCompared && near * 100 >= repeated * kLeastPercentNear;
  }

  // Where another window lies before or behind, the border may be anywhere between. In a block that
  // is one array, what is in use beyond it shows by other means; among variables another array may
  // begin, so that the outermost window stays out.
  void add_stretch(size_t first, size_t end, size_t windows) {
    if (block_.valid()) {
      for (size_t i = 0; i < kMostUnclear && first > 0 && !is_used(first - 1); ++i) --first;
      for (size_t i = 0; i < kMostUnclear && end < windows && !is_used(end); ++i) ++end;
    } else {
      if (first > 0) ++first;
      if (end < windows) --end;
    }
    if (end < first + kFewestWindows) return;
    const Slot& last = window(end - 1).back();
    Found found;
    found.range = {Addr(slots_[first * kWindow].at), Addr(last.at) + 8};
    found.row = Addr(slots_.front().at);
    found.block = block_;
    for (size_t i = first; i < end; ++i) {
      found.words += window(i).size();
      found.dangling += count_dangling(window(i));
    }
    found_.push_back(found);
  }

  const Leads& leads_;
  const AddrRange within_;
  const BlockId block_;
  std::vector<Found>& found_;
  std::vector<Slot> slots_;  // of the row, without nulls
};

// Part of a root range or of a large block.
struct Piece {
  AddrRange range;
  BlockId block;
};

void cut(AddrRange range, BlockId block, const MemoryImage& image, std::vector<Piece>& pieces) {
  image.for_each_span(range, [&](Addr begin, Bytes bytes) {
    const AddrRange span = AddrRange(begin.align_up(8), begin + bytes.size());
    for (Addr at = span.begin(); at < span.end(); at = at + kStalePieceBytes)
      pieces.push_back({AddrRange::sized(at, kStalePieceBytes).intersect(span), block});
  });
}

// What blocks `begin` to `end` have to offer: stretches of small ones, pieces of large ones.
struct StalePart {
  std::vector<Found> found;
  std::vector<Piece> pieces;
};

StalePart look_through_blocks(const MemoryImage& image, const HeapModel& heap,
                              const BlockMemory& memory, const Leads& leads, size_t begin,
                              size_t end) {
  StalePart part;
  uint32_t range = BlockIndex::kNoRange;
  for (size_t i = begin; i < end; ++i) {
    const Block& block = heap.blocks[i];
    if (!block.is_judged() || block.size() < kSmallestStaleStore) continue;
    if (block.size() > kSmallPiece) {
      cut(block.range(), BlockId(i), image, part.pieces);
      continue;
    }
    const uint64_t address = block.begin().value;
    if (range == BlockIndex::kNoRange || address >= heap.index.ranges()[range].end)
      range = heap.index.range_at(address);
    const bool has_few =
        memory.tells_of(range) && memory.count_pointers(range, block.range()) < kFewestPointers;
    if (has_few) continue;
    memory.for_each_span(range, block.range(), [&](Addr at, Bytes bytes) {
      Search(leads, block.range(), BlockId(i), part.found).look_through(at, bytes);
    });
  }
  return part;
}

// What lies in one block is one store, and so is what lies in one row among variables.
StaleStores join(std::vector<Found> found) {
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.range < b.range; });
  StaleStores stale;
  const Found* before = nullptr;
  for (const Found& part : found) {
    const bool is_new = before == nullptr || before->block != part.block ||
                        (!part.block.valid() && before->row != part.row);
    if (is_new) stale.stores.push_back({part.block, AddrRange::sized(part.range.begin(), 0)});
    before = &part;
    StaleStore& store = stale.stores.back();
    store.range = {store.range.begin(), part.range.end()};
    store.words += part.words;
    store.dangling += part.dangling;
    stale.stretches.push_back({part.range, static_cast<uint32_t>(stale.stores.size() - 1)});
  }
  return stale;
}

}  // namespace

std::span<const StaleStretch> StaleStores::within(AddrRange range) const {
  if (stretches.empty()) return {};
  const auto first = std::partition_point(
      stretches.begin(), stretches.end(),
      [&](const StaleStretch& stretch) { return stretch.range.end() <= range.begin(); });
  const auto last = std::partition_point(first, stretches.end(), [&](const StaleStretch& stretch) {
    return stretch.range.begin() < range.end();
  });
  return {first, last};
}

const StaleStretch* StaleStores::stretch_at(Addr at) const {
  const auto found = within(AddrRange::sized(at, 1));
  return found.empty() ? nullptr : &found.front();
}

StaleStores find_stale_stores(const MemoryImage& image, const HeapModel& heap,
                              const BlockMemory& memory, const Roots& roots) {
  const Leads leads(heap);
  std::vector<StalePart> parts((heap.blocks.size() + kStaleBlocksPerPiece - 1) /
                               kStaleBlocksPerPiece);
  parallel_for_pieces(heap.blocks.size(), kStaleBlocksPerPiece, [&](size_t begin, size_t end) {
    parts[begin / kStaleBlocksPerPiece] =
        look_through_blocks(image, heap, memory, leads, begin, end);
  });
  std::vector<Piece> pieces;
  for (const RootRange& root : roots.ranges) {
    if (root.kind == RootKind::ModuleData) cut(root.range, BlockId::none(), image, pieces);
  }
  std::vector<Found> all;
  for (const StalePart& part : parts) {
    all.insert(all.end(), part.found.begin(), part.found.end());
    pieces.insert(pieces.end(), part.pieces.begin(), part.pieces.end());
  }
  std::vector<std::vector<Found>> found(pieces.size());
  parallel_for(pieces.size(), [&](size_t i) {
    const Piece& piece = pieces[i];
    const AddrRange own = piece.block.valid() ? heap.block(piece.block).range() : AddrRange();
    image.for_each_span(piece.range, [&](Addr begin, Bytes bytes) {
      Search(leads, own, piece.block, found[i]).look_through(begin, bytes);
    });
  });
  for (const auto& part : found) all.insert(all.end(), part.begin(), part.end());
  return join(std::move(all));
}

}  // namespace heapscan
