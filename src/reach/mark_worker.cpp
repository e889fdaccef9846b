// Marking is bound by memory latency, so nothing is used when it is found (see block_memory.h). A
// word that may be a pointer is used sixteen such words later. A block to be scanned waits in a ring
// for its row and in another one for its first bytes.
#include "reach/marker.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr size_t kMostUnsorted = 1
                                 << 20;  // handed-back pointers kept before duplicates are dropped
constexpr size_t kWorthSharing = 1024;   // blocks in a list

}  // namespace

void drop_duplicates(std::vector<uint64_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

MarkWorker::MarkWorker(MarkWalk& walk)
    : walk_(walk),
      index_(walk.heap.index),
      pointers_(walk.heap.index),
      reader_(walk.heap, walk.memory),
      next_cleanup_(kMostUnsorted) {
  for (const BlockIndex::Stretch& stretch : index_.stretches())
    stretches_[stretch_count_++] = stretch;
  if (stretch_count_ == 0) return;
  const BlockIndex::Stretch& last = stretches_[stretch_count_ - 1];
  low_ = stretches_[0].begin;
  span_ = last.begin + last.size - low_;
}

void MarkWorker::seed(uint64_t value, size_t funnel) {
  row_ = &funnels_[funnel];
  ++row_->words;
  if (!offer(value)) ++row_->out_of_range;
  flush_words();
}

void MarkWorker::seed_start(uint64_t value, size_t funnel) {
  row_ = &funnels_[funnel];
  ++row_->words;
  const BlockId id = walk_.heap.block_at(Addr(value));
  if (id.valid()) {
    claim(id);
  } else {
    ++row_->no_block;
  }
}

void MarkWorker::scan_pieces(std::span<const MarkPiece> pieces) {
  for (size_t i = walk_.next++; i < pieces.size(); i = walk_.next++) scan_piece(pieces[i]);
}

void MarkWorker::sweep(size_t words_per_part) {
  row_ = &funnels_[kHeapRow];
  const size_t words = walk_.open.word_count();
  for (size_t part = walk_.next++; part * words_per_part < words; part = walk_.next++) {
    const size_t end = std::min(words, (part + 1) * words_per_part);
    for (size_t w = part * words_per_part; w < end; ++w) {
      // Nobody else changes this word of `unscanned` during this step.
      const uint64_t ready = walk_.unscanned.word(w) & ~walk_.open.word(w);
      if (ready == 0) continue;
      walk_.unscanned.set_word(w, walk_.unscanned.word(w) & ~ready);
      for (uint64_t rest = ready; rest != 0; rest &= rest - 1) {
        feed(BlockId(w * 64 + static_cast<size_t>(std::countr_zero(rest))));
      }
    }
  }
  drain();
}

void MarkWorker::follow(std::span<const uint32_t> list) {
  row_ = &funnels_[kHeapRow];
  claimed_.assign(list.begin(), list.end());
  // A table is worth more than what is left of the list: what it leads to can be swept.
  while (!overflow_ && large_.empty()) {
    if (claimed_.empty()) {
      drain();
      if (claimed_.empty()) break;
    }
    const BlockId id(claimed_.back());
    claimed_.pop_back();
    if (walk_.unscanned.claim(id)) feed(id);
    if (claimed_.size() > kWorthSharing && walk_.idle.load(std::memory_order_relaxed) != 0) break;
  }
  drain();
  ++walk_.idle;
}

void MarkWorker::scan_piece(const MarkPiece& piece) {
  row_ = &funnels_[piece.funnel];
  if (piece.index_range != BlockIndex::kNoRange) {
    walk_.memory.for_each_span(piece.index_range, piece.range, [&](Addr at, Bytes bytes) {
      scan_but_links(piece.block, at, bytes);
    });
  } else {
    walk_.image.for_each_span(piece.range, [&](Addr begin, Bytes bytes) {
      const uint64_t skip = begin.align_up(8) - begin;
      if (skip < bytes.size()) scan(bytes.subspan(skip));
    });
  }
  flush_words();
}

void MarkWorker::scan(Bytes bytes) {
  const size_t words = bytes.size() / 8;
  const std::byte* const data = bytes.data();
  auto near = [&](size_t i) { return load<uint64_t>(data + i * 8) - low_ < span_; };
  size_t inside = 0;
  size_t i = 0;
  // Most words are nowhere near a heap: four of them are one branch.
  for (; i + 4 <= words; i += 4) {
    if (!(near(i) | near(i + 1) | near(i + 2) | near(i + 3))) continue;
    for (size_t k = i; k < i + 4; ++k) {
      if (near(k)) inside += offer(load<uint64_t>(data + k * 8));
    }
  }
  for (; i < words; ++i) {
    if (near(i)) inside += offer(load<uint64_t>(data + i * 8));
  }
  row_->words += words;
  row_->out_of_range += words - inside;
}

// All words of a block but the links to its own header that were left there.
void MarkWorker::scan_but_links(Addr begin, Addr at, Bytes bytes) {
  size_t scanned = 0;
  for (const size_t offset : {size_t{16}, size_t{24}}) {
    const auto word = read_at<uint64_t>(bytes, offset);
    if (!word || !is_left_link(begin, at + offset, *word)) continue;
    scan(bytes.subspan(scanned, offset - scanned));
    scanned = offset + sizeof(uint64_t);
  }
  scan(bytes.subspan(scanned));
}

// The same for a block whose words that may be pointers are known.
void MarkWorker::scan_pointers(uint32_t range, AddrRange block) {
  size_t inside = 0;
  size_t links = 0;
  walk_.memory.for_each_pointer(range, block, [&](Addr begin, Bytes bytes, size_t i) {
    const auto value = load<uint64_t>(bytes.data() + i);
    if (is_left_link(begin, begin + i, value)) {
      ++links;
    } else {
      inside += offer(value);
    }
  });
  const size_t words = block.size() / 8 - links;
  row_->words += words;
  row_->out_of_range += words - inside;
}

// False when the word is out of range.
bool MarkWorker::offer(uint64_t value) {
  for (size_t s = 0; s < stretch_count_; ++s) {
    const uint64_t offset = value - stretches_[s].begin;
    if (offset >= stretches_[s].size) continue;
    enqueue(value, index_.range_in(stretches_[s], offset, value));
    return true;
  }
  return false;
}

void MarkWorker::enqueue(uint64_t value, uint32_t range) {
  if (range == BlockIndex::kNoRange) {
    ++row_->no_block;
    return;
  }
  pointers_.push({value, range, {}},
                 [this](const Pointers::Pointer& pointer, BlockId id) { resolve(pointer, id); });
}

void MarkWorker::flush_words() {
  pointers_.flush([this](const Pointers::Pointer& pointer, BlockId id) { resolve(pointer, id); });
}

void MarkWorker::resolve(const Pointers::Pointer& pointer, BlockId id) {
  if (!id.valid()) {
    ++row_->no_block;
    return;
  }
  const bool known_start = is_start(index_.ranges()[pointer.range], pointer.value);
  if (!walk_.open.test(id) && (known_start || !walk_.unreached.test(id))) {
    ++row_->duplicate;
    return;
  }
  if (!known_start && !follow_interior(id, pointer)) return;
  claim(id);
}

bool MarkWorker::is_start(const BlockIndex::Range& range, uint64_t value) const {
  if (range.first_word == BlockIndex::kNoGrid) return value == range.begin;
  const uint64_t offset = value - range.begin;
  const uint64_t starts = index_.word_for(range, value)->starts;
  return offset % 16 == 0 && (starts >> (offset % BlockIndex::kBytesPerWord / 16) & 1) != 0;
}

// Whether a pointer into the middle of block `id`, or behind its end, is to be followed.
bool MarkWorker::follow_interior(BlockId id, const Pointers::Pointer& pointer) {
  const Block& block = walk_.heap.block(id);
  if (!block.range().contains(Addr(pointer.value))) {
    ++row_->no_block;
    return false;
  }
  if (block.state() == BlockState::Mapping) return true;
  if (walk_.mode == Marker::Mode::Firm) {
    if (walk_.rules.explain(block, pointer.value, content_of(block, pointer.range))) return true;
    hand_back(pointer.value);
    return false;
  }
  hand_back(pointer.value);
  return true;
}

Bytes MarkWorker::content_of(const Block& block, uint32_t range) const {
  if (const std::byte* bytes = walk_.memory.at(range, block.begin().value))
    return {bytes, block.size()};
  return walk_.image.view(block.range()).value_or(Bytes());
}

void MarkWorker::hand_back(uint64_t value) {
  handed_back_.push_back(value);
  if (handed_back_.size() >= next_cleanup_) {
    drop_duplicates(handed_back_);
    next_cleanup_ = std::max(kMostUnsorted, handed_back_.size() * 2);
  }
}

void MarkWorker::claim(BlockId id) {
  if (!walk_.open.claim(id)) {
    ++row_->duplicate;
    return;
  }
  ++row_->followed;
  if (claimed_.size() < walk_.most_listed) {
    claimed_.push_back(id.value);
  } else {
    overflow_ = true;
  }
}

// Sends a block on its way through the rings, and scans the one that has come through. None only
// pushes them on.
void MarkWorker::feed(BlockId id) {
  if (id.valid()) {
    reader_.announce_row(id);
    ++in_flight_;
  }
  const size_t at = next_block_++;
  const BlockId arrived = std::exchange(rows_[at % kRowRing], id);
  const InFlight incoming = arrived.valid() ? arrive(arrived) : InFlight();
  const InFlight ready = std::exchange(blocks_[at % kBlockRing], incoming);
  if (ready.range == BlockIndex::kNoRange) return;
  --in_flight_;
  scan_block(ready);
}

void MarkWorker::drain() {
  while (in_flight_ != 0) feed(BlockId::none());
  flush_words();
}

MarkWorker::InFlight MarkWorker::arrive(BlockId id) {
  const AddrRange bytes = walk_.heap.block(id).range();
  const InFlight block{bytes, reader_.range_of(bytes.begin()), walk_.holed.test(id)};
  const bool is_empty = is_known(block) && !walk_.memory.has_pointers(block.range, bytes);
  if (!is_empty) {
    reader_.announce_bytes(id);
    return block;
  }
  if (!walk_.hidden.empty()) offer_hidden(bytes);
  row_->words += bytes.size() / 8;
  row_->out_of_range += bytes.size() / 8;
  --in_flight_;
  return {};
}

// Of larger blocks the parts that were never touched count for nothing.
bool MarkWorker::is_known(const InFlight& block) const {
  return !block.is_holed && block.bytes.size() <= BlockMemory::kDirect &&
         walk_.memory.tells_of(block.range);
}

void MarkWorker::scan_block(const InFlight& block) {
  if (!walk_.hidden.empty()) offer_hidden(block.bytes);
  if (is_known(block)) {
    scan_pointers(block.range, block.bytes);
    return;
  }
  if (block.bytes.size() <= kMarkPieceBytes) {
    walk_.memory.for_each_span(block.range, block.bytes, [&](Addr at, Bytes bytes) {
      if (!block.is_holed) {
        scan_but_links(block.bytes.begin(), at, bytes);
        return;
      }
      for_each_part_outside(walk_.left_out, AddrRange::sized(at, bytes.size()),
                            [&](AddrRange part) {
                              scan_but_links(block.bytes.begin(), part.begin(),
                                             bytes.subspan(part.begin() - at, part.size()));
                            });
    });
    return;
  }
  // Only what was ever touched is cut into pieces: a mapping may span terabytes. Stale stretches
  // are cut out.
  walk_.image.for_each_span(block.bytes, [&](Addr begin, Bytes bytes) {
    for_each_part_outside(
        walk_.left_out, AddrRange::sized(begin, bytes.size()), [&](AddrRange span) {
          for (Addr at = span.begin(); at < span.end(); at = at + kMarkPieceBytes) {
            large_.push_back({AddrRange::sized(at, kMarkPieceBytes).intersect(span), block.range,
                              kHeapRow, block.bytes.begin()});
          }
        });
  });
}

void MarkWorker::offer_hidden(AddrRange block) {
  auto next = std::lower_bound(walk_.hidden.begin(), walk_.hidden.end(), block.begin(),
                               [](const HiddenPointer& h, Addr at) { return h.at < at; });
  for (; next != walk_.hidden.end() && next->at < block.end(); ++next) {
    ++row_->words;
    if (!offer(next->value)) ++row_->out_of_range;
  }
}

}  // namespace heapscan
