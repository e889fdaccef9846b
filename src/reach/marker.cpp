// Following each pointer as it is met would jump through memory at random: at tens of millions of
// blocks every jump misses the caches and the address translation. So claimed blocks are only
// noted, in a bitmap, and scanned in ascending order, sweep after sweep: neighbours share pages,
// and what comes next is known early enough to be fetched in time. Each sweep scans what the last
// one claimed behind its own position. A list of a million nodes would need as many sweeps, so when
// little is left the walk goes along the pointers after all, and back to sweeping when that becomes
// much. Switching costs nothing, since the bitmaps always tell what is still to be scanned.
#include "reach/marker.h"

#include <algorithm>
#include <array>

#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr size_t kWordsPerSweepPart = 64;  // of a bitmap, in a sweep
constexpr size_t kFewestToSweep = 4096;    // blocks: a sweep for less is never worth it

// By kind of root: each kind is a step of its own, so that the funnel's rows do not depend on
// timing.
std::array<std::vector<MarkPiece>, kRootKinds> cut(const MemoryImage& image,
                                                   std::span<const RootRange> ranges,
                                                   const StaleStores& left_out) {
  std::array<std::vector<MarkPiece>, kRootKinds> pieces;
  for (const RootRange& root : ranges) {
    image.for_each_span(root.range, [&](Addr begin, Bytes bytes) {
      for_each_part_outside(left_out, AddrRange::sized(begin, bytes.size()), [&](AddrRange span) {
        for (Addr at = span.begin(); at < span.end(); at = at.align_down(8) + kMarkPieceBytes) {
          const auto kind = static_cast<size_t>(root.kind);
          pieces[kind].push_back({AddrRange(at, at.align_down(8) + kMarkPieceBytes).intersect(span),
                                  BlockIndex::kNoRange, kind, Addr()});
        }
      });
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

// The steps of one walk, and what is left for the next one.
class Steps {
 public:
  explicit Steps(MarkWalk& walk)
      : walk_(walk), workers_(ThreadLimit::current(), MarkWorker(walk)) {}

  // For seeding; to be followed by a step.
  [[nodiscard]] MarkWorker& first() { return workers_[0]; }

  void scan(std::vector<MarkPiece> pieces) {
    large_ = std::move(pieces);
    scan_large();
  }

  void run_to_the_end() {
    while (true) {
      if (!large_.empty()) {
        scan_large();
      } else if (overflow_ || list_.size() > walk_.most_listed) {
        step([](MarkWorker& worker, size_t) { worker.sweep(kWordsPerSweepPart); });
      } else if (!list_.empty()) {
        follow();
      } else {
        return;
      }
    }
  }

  [[nodiscard]] std::vector<uint64_t> finish(Funnels& funnels) {
    std::vector<uint64_t> handed_back;
    for (MarkWorker& worker : workers_) {
      handed_back.insert(handed_back.end(), worker.handed_back().begin(),
                         worker.handed_back().end());
      add(funnels, worker.funnels());
    }
    drop_duplicates(handed_back);
    return handed_back;
  }

 private:
  // f(worker, its number) on every worker at once; then collects what they leave.
  template <typename F>
  void step(F&& f) {
    walk_.next = 0;
    walk_.idle = 0;
    parallel_for(workers_.size(), [&](size_t i) { f(workers_[i], i); });
    collect();
  }

  void collect() {
    list_.clear();
    overflow_ = false;
    for (MarkWorker& worker : workers_) {
      list_.insert(list_.end(), worker.claimed().begin(), worker.claimed().end());
      worker.claimed().clear();
      overflow_ |= worker.take_overflow();
      large_.insert(large_.end(), worker.large().begin(), worker.large().end());
      worker.large().clear();
    }
  }

  void scan_large() {
    const std::vector<MarkPiece> pieces = std::exchange(large_, {});
    const std::vector<uint32_t> waiting = std::exchange(list_, {});
    const bool overflow = overflow_;
    step([&](MarkWorker& worker, size_t) { worker.scan_pieces(pieces); });
    list_.insert(list_.end(), waiting.begin(), waiting.end());
    overflow_ |= overflow;
  }

  void follow() {
    const std::vector<uint32_t> list = std::exchange(list_, {});
    const size_t share = (list.size() + workers_.size() - 1) / workers_.size();
    step([&](MarkWorker& worker, size_t i) {
      const size_t begin = std::min(list.size(), i * share);
      worker.follow(std::span(list).subspan(begin, std::min(share, list.size() - begin)));
    });
  }

  MarkWalk& walk_;
  std::vector<MarkWorker> workers_;
  std::vector<uint32_t> list_;  // claimed blocks; some may have been scanned meanwhile
  bool overflow_ = false;       // there are more
  std::vector<MarkPiece> large_;
};

}  // namespace

std::vector<uint64_t> Marker::run(Mode mode, BlockBitmap& open, const BlockBitmap& unreached,
                                  std::span<const RootRange> ranges,
                                  std::span<const RootWord> words,
                                  std::span<const uint64_t> addresses, Funnels& funnels) {
  BlockBitmap unscanned(open);
  MarkWalk walk{mode,      image_,  heap_,
                memory_,   rules_,  left_out_,
                holed_,    open,    unreached,
                unscanned, hidden_, std::max(kFewestToSweep, heap_.blocks.size() / 1024)};
  Steps steps(walk);
  for (const RootWord& word : words) {
    if (word.is_start) {
      steps.first().seed_start(word.value, static_cast<size_t>(word.kind));
    } else {
      steps.first().seed(word.value, static_cast<size_t>(word.kind));
    }
  }
  for (const uint64_t address : addresses) steps.first().seed(address, kHeapRow);
  steps.scan({});  // takes over what was seeded
  for (std::vector<MarkPiece>& pieces : cut(image_, ranges, left_out_)) {
    if (!pieces.empty()) steps.scan(std::move(pieces));
  }
  steps.run_to_the_end();
  return steps.finish(funnels);
}

}  // namespace heapscan
