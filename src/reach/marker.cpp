// Marking is bound by memory latency: each word that may be a pointer needs the index, each block that is found needs
// its row and its bytes, and all of these are cache misses. So nothing is used when it is found. A candidate word is
// put into a small ring and its index entry is prefetched; when it comes out of the ring sixteen candidates later, the
// entry has arrived. A block found that way has its row and first bytes prefetched, and comes out of a second ring when
// they are there.
//
// Work is shared through a pool of bundles of block ids. A worker keeps its own stack and gives bundles away only while
// somebody waits for them. Large blocks are cut into pieces that anybody may scan. The walk is over when nobody is at work
// and the pool is empty.
#include "reach/marker.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr uint64_t kPiece = 256 << 10;  // bytes of a large block or root range scanned at a time
constexpr size_t kBundle = 512;         // block ids given away at a time
constexpr size_t kWordRing = 16;
constexpr size_t kBlockRing = 8;
constexpr size_t kMostUnsorted = 1 << 20;  // handed-back pointers kept before duplicates are dropped

struct Piece {
  AddrRange range;
  uint32_t index_range = BlockIndex::kNoRange;  // of block pieces
  size_t funnel = kHeapRow;
};

// What workers share.
class Pool {
 public:
  void add_pieces(std::vector<Piece> pieces) {
    const std::lock_guard lock(mutex_);
    for (Piece& piece : pieces) pieces_.push_back(piece);
    changed_.notify_all();
  }
  void add_bundle(std::vector<uint32_t> bundle) {
    const std::lock_guard lock(mutex_);
    bundles_.push_back(std::move(bundle));
    changed_.notify_one();
  }
  [[nodiscard]] bool somebody_waits() const { return waiting_.load(std::memory_order_relaxed) > 0; }

  void enter() {
    const std::lock_guard lock(mutex_);
    ++active_;
  }
  // Waits for work. False when all of it is done.
  bool take(Piece& piece, bool& is_piece, std::vector<uint32_t>& bundle) {
    std::unique_lock lock(mutex_);
    --active_;
    while (true) {
      if (!bundles_.empty()) {
        bundle = std::move(bundles_.back());
        bundles_.pop_back();
        is_piece = false;
        break;
      }
      if (!pieces_.empty()) {
        piece = pieces_.back();
        pieces_.pop_back();
        is_piece = true;
        break;
      }
      if (active_ == 0) {
        changed_.notify_all();
        return false;
      }
      waiting_.fetch_add(1, std::memory_order_relaxed);
      changed_.wait(lock);
      waiting_.fetch_sub(1, std::memory_order_relaxed);
    }
    ++active_;
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Piece> pieces_;
  std::vector<std::vector<uint32_t>> bundles_;
  size_t active_ = 0;
  std::atomic<size_t> waiting_ = 0;
};

void drop_duplicates(std::vector<uint64_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

struct Walk {
  Marker::Mode mode;
  const MemoryImage& image;
  const HeapModel& heap;
  const BlockMemory& memory;
  const InteriorRules& rules;
  BlockBitmap& open;
  const BlockBitmap& unreached;
  Pool& pool;
};

class Worker {
 public:
  explicit Worker(const Walk& walk) : walk_(walk), index_(walk.heap.index) {
    for (const BlockIndex::Stretch& stretch : index_.stretches()) stretches_[stretch_count_++] = stretch;
  }

  // Works until nobody has anything left.
  void work() {
    Piece piece;
    bool is_piece = false;
    std::vector<uint32_t> bundle;
    walk_.pool.enter();
    while (walk_.pool.take(piece, is_piece, bundle)) {
      if (is_piece) {
        scan_piece(piece);
      } else {
        stack_.insert(stack_.end(), bundle.begin(), bundle.end());
      }
      drain();
    }
    drop_duplicates(handed_back_);
  }

  void seed(uint64_t value, size_t funnel) {
    row_ = &funnels_[funnel];
    offer(value);
    flush_words();
  }
  void seed_start(uint64_t value, size_t funnel) {
    row_ = &funnels_[funnel];
    ++row_->words;
    const uint32_t range = index_.range_at(value);
    if (range == BlockIndex::kNoRange) {
      ++row_->no_block;
      return;
    }
    const BlockId id = index_.block_before(index_.ranges()[range], value);
    if (id.valid() && walk_.heap.block(id).range().contains(Addr(value))) {
      claim(id);
    } else {
      ++row_->no_block;
    }
  }
  // Hands everything seeded so far to the pool.
  void publish() {
    if (!stack_.empty()) walk_.pool.add_bundle(std::exchange(stack_, {}));
    drop_duplicates(handed_back_);
  }

  [[nodiscard]] const Funnels& funnels() const { return funnels_; }
  [[nodiscard]] std::vector<uint64_t>& handed_back() { return handed_back_; }

 private:
  struct Candidate {
    uint64_t value = 0;
    uint32_t range = BlockIndex::kNoRange;
  };

  void scan_piece(const Piece& piece) {
    row_ = &funnels_[piece.funnel];
    auto scan_span = [this](Addr, Bytes bytes) { scan(bytes); };
    if (piece.index_range != BlockIndex::kNoRange) {
      walk_.memory.for_each_span(piece.index_range, piece.range, scan_span);
    } else {
      walk_.image.for_each_span(piece.range, [&](Addr begin, Bytes bytes) {
        const uint64_t skip = begin.align_up(8) - begin;
        if (skip < bytes.size()) scan(bytes.subspan(skip));
      });
    }
    flush_words();
    row_ = &funnels_[kHeapRow];
  }

  void scan(Bytes bytes) {
    const size_t words = bytes.size() / 8;
    const std::byte* at = bytes.data();
    for (size_t i = 0; i < words; ++i, at += 8) offer_quietly(load<uint64_t>(at));
    row_->words += words;
  }

  void offer(uint64_t value) {
    ++row_->words;
    offer_quietly(value);
  }

  void offer_quietly(uint64_t value) {
    for (size_t s = 0; s < stretch_count_; ++s) {
      const uint64_t offset = value - stretches_[s].begin;
      if (offset < stretches_[s].size) {
        enqueue(value, index_.range_in(stretches_[s], offset, value));
        return;
      }
    }
    ++row_->out_of_range;
  }

  void enqueue(uint64_t value, uint32_t range) {
    if (range == BlockIndex::kNoRange) {
      ++row_->no_block;
      return;
    }
    const BlockIndex::Range& where = index_.ranges()[range];
    if (where.first_word != BlockIndex::kNoGrid) __builtin_prefetch(index_.word_for(where, value));
    Candidate& slot = ring_[ring_next_++ % kWordRing];
    const Candidate oldest = std::exchange(slot, {value, range});
    if (oldest.range != BlockIndex::kNoRange) resolve(oldest);
  }

  void flush_words() {
    for (size_t i = 0; i < kWordRing; ++i) {
      const Candidate oldest = std::exchange(ring_[ring_next_++ % kWordRing], {});
      if (oldest.range != BlockIndex::kNoRange) resolve(oldest);
    }
  }

  void resolve(const Candidate& candidate) {
    const BlockIndex::Range& range = index_.ranges()[candidate.range];
    const BlockId id = index_.block_before(range, candidate.value);
    if (!id.valid()) {
      ++row_->no_block;
      return;
    }
    const bool known_start = is_start(range, candidate.value);
    if (!walk_.open.test(id) && (known_start || !walk_.unreached.test(id))) {
      ++row_->duplicate;
      return;
    }
    if (!known_start && !follow_interior(id, candidate)) return;
    claim(id);
  }

  static bool is_start(const BlockIndex::Range& range, uint64_t value, const BlockIndex::Word& word) {
    const uint64_t offset = value - range.begin;
    return offset % 16 == 0 && (word.starts >> (offset % BlockIndex::kBytesPerWord / 16) & 1) != 0;
  }
  [[nodiscard]] bool is_start(const BlockIndex::Range& range, uint64_t value) const {
    if (range.first_word == BlockIndex::kNoGrid) return value == range.begin;
    return is_start(range, value, *index_.word_for(range, value));
  }

  // Whether a pointer into the middle of block `id`, or behind its end, is to be followed.
  bool follow_interior(BlockId id, const Candidate& candidate) {
    const Block& block = walk_.heap.block(id);
    if (!block.range().contains(Addr(candidate.value))) {
      ++row_->no_block;
      return false;
    }
    if (block.state() == BlockState::Mapping) return true;
    if (walk_.mode == Marker::Mode::Firm) {
      if (walk_.rules.explain(block, candidate.value, content_of(block, candidate.range))) return true;
      hand_back(candidate.value);
      return false;
    }
    hand_back(candidate.value);
    return true;
  }

  [[nodiscard]] Bytes content_of(const Block& block, uint32_t range) const {
    if (const std::byte* bytes = walk_.memory.at(range, block.begin().value)) return {bytes, block.size()};
    return walk_.image.view(block.range()).value_or(Bytes());
  }

  void hand_back(uint64_t value) {
    handed_back_.push_back(value);
    if (handed_back_.size() >= next_cleanup_) {
      drop_duplicates(handed_back_);
      next_cleanup_ = std::max(kMostUnsorted, handed_back_.size() * 2);
    }
  }

  void claim(BlockId id) {
    if (!walk_.open.claim(id)) {
      ++row_->duplicate;
      return;
    }
    ++row_->followed;
    __builtin_prefetch(&walk_.heap.block(id));
    stack_.push_back(id.value);
  }

  void drain() {
    row_ = &funnels_[kHeapRow];
    while (true) {
      while (!stack_.empty() || blocks_in_ring_ > 0) {
        if (stack_.size() > 2 * kBundle && walk_.pool.somebody_waits()) give_away();
        next_block();
      }
      flush_words();
      if (stack_.empty()) return;
    }
  }

  void give_away() {
    const auto from = stack_.end() - static_cast<std::ptrdiff_t>(kBundle);
    walk_.pool.add_bundle(std::vector<uint32_t>(from, stack_.end()));
    stack_.erase(from, stack_.end());
  }

  // Takes a block off the stack into the ring, and scans the one that has been there longest.
  void next_block() {
    InFlight incoming;
    if (!stack_.empty()) {
      incoming = arrive(BlockId(stack_.back()));
      stack_.pop_back();
      ++blocks_in_ring_;
    }
    const InFlight ready = std::exchange(block_ring_[block_next_++ % kBlockRing], incoming);
    if (ready.range == BlockIndex::kNoRange) return;
    --blocks_in_ring_;
    scan_block(ready);
  }

  struct InFlight {
    AddrRange bytes;
    uint32_t range = BlockIndex::kNoRange;
  };

  InFlight arrive(BlockId id) const {
    const AddrRange bytes = walk_.heap.block(id).range();
    const uint32_t range = index_.range_at(bytes.begin().value);
    if (const std::byte* host = walk_.memory.at(range, bytes.begin().value)) {
      __builtin_prefetch(host);
      if (bytes.size() > 64) __builtin_prefetch(host + 64);
    }
    return {bytes, range};
  }

  void scan_block(const InFlight& block) {
    if (block.bytes.size() <= kPiece) {
      walk_.memory.for_each_span(block.range, block.bytes, [this](Addr, Bytes bytes) { scan(bytes); });
      return;
    }
    std::vector<Piece> pieces;
    image_pieces(block, pieces);
    walk_.pool.add_pieces(std::move(pieces));
  }

  // Only what was ever touched is cut into pieces: a mapping may span terabytes.
  void image_pieces(const InFlight& block, std::vector<Piece>& pieces) const {
    walk_.image.for_each_span(block.bytes, [&](Addr begin, Bytes bytes) {
      const AddrRange span = AddrRange::sized(begin, bytes.size());
      for (Addr at = span.begin(); at < span.end(); at = at + kPiece) {
        pieces.push_back({AddrRange::sized(at, kPiece).intersect(span), block.range, kHeapRow});
      }
    });
  }

  const Walk& walk_;
  const BlockIndex& index_;
  std::array<BlockIndex::Stretch, BlockIndex::kStretches> stretches_{};
  size_t stretch_count_ = 0;
  std::array<Candidate, kWordRing> ring_{};
  size_t ring_next_ = 0;
  std::array<InFlight, kBlockRing> block_ring_{};
  size_t block_next_ = 0;
  size_t blocks_in_ring_ = 0;
  std::vector<uint32_t> stack_;
  std::vector<uint64_t> handed_back_;
  size_t next_cleanup_ = kMostUnsorted;
  Funnels funnels_{};
  Funnel* row_ = &funnels_[kHeapRow];
};

std::vector<Piece> cut(const MemoryImage& image, std::span<const RootRange> ranges) {
  std::vector<Piece> pieces;
  for (const RootRange& root : ranges) {
    image.for_each_span(root.range, [&](Addr begin, Bytes bytes) {
      const AddrRange span = AddrRange::sized(begin, bytes.size());
      for (Addr at = span.begin(); at < span.end(); at = at.align_down(8) + kPiece) {
        pieces.push_back({AddrRange(at, at.align_down(8) + kPiece).intersect(span),
                          BlockIndex::kNoRange, static_cast<size_t>(root.kind)});
      }
    });
  }
  return pieces;
}

void add(Funnels& sum, const Funnels& part) {
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i].words += part[i].words;
    sum[i].out_of_range += part[i].out_of_range;
    sum[i].no_block += part[i].no_block;
    sum[i].duplicate += part[i].duplicate;
    sum[i].followed += part[i].followed;
  }
}

}  // namespace

std::vector<uint64_t> Marker::run(Mode mode, BlockBitmap& open, const BlockBitmap& unreached,
                                  std::span<const RootRange> ranges, std::span<const RootWord> words,
                                  std::span<const uint64_t> addresses, Funnels& funnels) {
  Pool pool;
  const Walk walk{mode, image_, heap_, memory_, rules_, open, unreached, pool};
  pool.add_pieces(cut(image_, ranges));

  Worker first(walk);
  for (const RootWord& word : words) {
    if (word.is_start) {
      first.seed_start(word.value, static_cast<size_t>(word.kind));
    } else {
      first.seed(word.value, static_cast<size_t>(word.kind));
    }
  }
  for (const uint64_t address : addresses) first.seed(address, kHeapRow);
  first.publish();

  const size_t count = ThreadLimit::current();
  std::vector<Worker> workers;
  workers.reserve(count);
  for (size_t i = 0; i < count; ++i) workers.emplace_back(walk);
  parallel_for(count, [&](size_t i) { workers[i].work(); });

  std::vector<uint64_t> handed_back = std::move(first.handed_back());
  add(funnels, first.funnels());
  for (Worker& worker : workers) {
    handed_back.insert(handed_back.end(), worker.handed_back().begin(), worker.handed_back().end());
    add(funnels, worker.funnels());
  }
  drop_duplicates(handed_back);
  return handed_back;
}

}  // namespace heapscan
