// Both block tables are sorted by address, so one pass over both finds what was at each address
// before and after. Bytes are compared where a block of one size was in use both times. Then kinds
// are matched, and a block that stayed where it was but became another kind is counted as gone and
// born: freed and allocated anew.
#include "heapscan/diff/diff.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <tuple>
#include <utility>

#include "diff/match_kinds.h"
#include "heapscan/base/parallel.h"

namespace heapscan {

namespace {

constexpr size_t kPairsPerPiece = 4096;

// Blocks of one address and size, in use both times.
struct BlockPair {
  BlockId before;
  BlockId after;
};

GrowingArray<Fate> fates_of(const HeapModel& heap, Fate fate) {
  GrowingArray<Fate> fates(heap.blocks.size());
  fates.resize(heap.blocks.size());
  for (size_t i = 0; i < heap.blocks.size(); ++i) {
    if (heap.blocks[i].state() == BlockState::Used) fates[i] = fate;
  }
  return fates;
}

std::vector<BlockPair> blocks_that_stayed(const HeapModel& before, const HeapModel& after) {
  std::vector<BlockPair> pairs;
  size_t i = 0;
  for (size_t k = 0; k < after.blocks.size(); ++k) {
    const Block& block = after.blocks[k];
    while (i < before.blocks.size() && before.blocks[i].begin() < block.begin()) ++i;
    if (i == before.blocks.size()) break;
    const Block& old = before.blocks[i];
    if (old.begin() == block.begin() && old.size() == block.size() &&
        old.state() == BlockState::Used && block.state() == BlockState::Used)
      pairs.push_back({BlockId(i), BlockId(k)});
  }
  return pairs;
}

// A word that a reduced memory does not have is zero there, or this mark of a page once written.
constexpr uint64_t kLeftOut = 65535;

// Whether `full` has in the block what `reduced` kept of it. Addresses of mapped memory are always
// kept. What neither saved is not looked at.
bool has_kept_words(const MemoryImage& reduced, const MemoryImage& full, AddrRange block) {
  bool same = true;
  const auto compare = [&](Addr begin, Bytes bytes) {
    for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size() && same; i += 8) {
      const uint64_t kept = reduced.read<uint64_t>(begin + i).value_or(0);
      const uint64_t word = full.read<uint64_t>(begin + i).value_or(0);
      const bool may_be_left_out = kept == 0 || kept == kLeftOut;
      same = kept == word || (may_be_left_out && reduced.region_at(Addr(word)) == nullptr);
    }
  };
  reduced.for_each_span(block, compare);
  full.for_each_span(block, compare);
  return same;
}

const BlockHash* hash_at(std::span<const BlockHash> hashes, Addr address) {
  const auto at = std::lower_bound(hashes.begin(), hashes.end(), address,
                                   [](const BlockHash& row, Addr a) { return row.address < a; });
  return at != hashes.end() && at->address == address ? &*at : nullptr;
}

// Whether `other` has what is saved of the block in `image`. What neither of them saved is not looked
// at: a damaged core may claim blocks of any size.
bool has_saved_bytes(const MemoryImage& image, const MemoryImage& other, AddrRange block) {
  std::array<std::byte, 4096> buffer{};
  bool same = true;
  image.for_each_span(block, [&](Addr begin, Bytes bytes) {
    for (size_t at = 0; at < bytes.size() && same; at += buffer.size()) {
      const std::span part(buffer.data(), std::min(buffer.size(), bytes.size() - at));
      same = other.read_bytes(begin + at, part) &&
             std::memcmp(part.data(), bytes.data() + at, part.size()) == 0;
    }
  });
  return same;
}

bool has_same_bytes(const MemoryImage& before, const MemoryImage& after, AddrRange block) {
  const auto one = before.view(block);
  const auto other = after.view(block);
  if (one && other) return std::memcmp(one->data(), other->data(), block.size()) == 0;
  return has_saved_bytes(before, after, block) && has_saved_bytes(after, before, block);
}

// Block -> cluster.
std::vector<ClusterId> clusters_by_block(const Analysis& analysis) {
  std::vector<ClusterId> of(analysis.heap.blocks.size());
  for (size_t i = 0; i < analysis.clusters.blocks.size(); ++i)
    of[analysis.clusters.blocks[i].index()] = analysis.clusters.cluster_of[i];
  return of;
}

bool is_lost(Verdict verdict) {
  return verdict == Verdict::Definite || verdict == Verdict::Indirect;
}

void count(VerdictTotal& total, uint64_t bytes) {
  ++total.blocks;
  total.bytes += bytes;
}

class Diffing {
 public:
  Diffing(const Analysis& before, const Analysis& after, const ContentHashes& hashes)
      : before_(before),
        after_(after),
        hashes_(hashes),
        cluster_before_(clusters_by_block(before)),
        cluster_after_(clusters_by_block(after)) {
    delta_.fate_before = fates_of(before.heap, Fate::Gone);
    delta_.fate_after = fates_of(after.heap, Fate::Born);
  }

  Delta run(bool is_same_process) {
    delta_.is_same_process = is_same_process;
    if (is_same_process) stayed_ = blocks_that_stayed(before_.heap, after_.heap);
    compare_bytes();
    match();
    count_before();
    count_after();
    std::erase_if(delta_.kinds,
                  [](const KindChange& kind) { return kind.was.blocks + kind.is.blocks == 0; });
    std::stable_sort(
        delta_.kinds.begin(), delta_.kinds.end(), [](const KindChange& a, const KindChange& b) {
          return std::tuple(b.growth(), b.born.bytes) < std::tuple(a.growth(), a.born.bytes);
        });
    return std::move(delta_);
  }

 private:
  void compare_bytes() {
    parallel_for_pieces(stayed_.size(), kPairsPerPiece, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const BlockPair& pair = stayed_[i];
        const AddrRange range = after_.heap.block(pair.after).range();
        const Fate fate = has_same_content(range) ? Fate::Unchanged : Fate::Changed;
        delta_.fate_before[pair.before.index()] = fate;
        delta_.fate_after[pair.after.index()] = fate;
      }
    });
  }

  [[nodiscard]] bool has_same_content(AddrRange block) const {
    if (before_.image.lacks_numbers() != after_.image.lacks_numbers()) {
      return before_.image.lacks_numbers() ? has_kept_words(before_.image, after_.image, block)
                                           : has_kept_words(after_.image, before_.image, block);
    }
    const BlockHash* const was = hash_at(hashes_.before, block.begin());
    const BlockHash* const is = hash_at(hashes_.after, block.begin());
    if (was != nullptr && is != nullptr) return was->hash == is->hash;
    return has_same_bytes(before_.image, after_.image, block);
  }

  void match() {
    std::map<std::pair<ClusterId, ClusterId>, uint64_t> counts;
    for (const BlockPair& pair : stayed_) {
      const ClusterId from = cluster_before_[pair.before.index()];
      const ClusterId to = cluster_after_[pair.after.index()];
      if (from.valid() && to.valid()) ++counts[{from, to}];
    }
    std::vector<Survivors> survivors;
    for (const auto& [clusters, blocks] : counts)
      survivors.push_back({clusters.first, clusters.second, blocks});
    kind_before_ = Column<ClusterId, uint32_t>(before_.clusters.rows.size());
    kind_after_ = Column<ClusterId, uint32_t>(after_.clusters.rows.size());
    for (const KindPair& pair : match_kinds(before_, after_, std::move(survivors))) {
      const auto kind = static_cast<uint32_t>(delta_.kinds.size());
      if (pair.before.valid()) kind_before_[pair.before] = kind;
      if (pair.after.valid()) kind_after_[pair.after] = kind;
      delta_.kinds.emplace_back();
      delta_.kinds.back().before = pair.before;
      delta_.kinds.back().after = pair.after;
    }
    part_what_became_another_kind();
  }

  // An unchanged block is the same block, whatever it is taken for.
  void part_what_became_another_kind() {
    for (const BlockPair& pair : stayed_) {
      if (delta_.fate_after[pair.after.index()] == Fate::Unchanged) continue;
      const ClusterId from = cluster_before_[pair.before.index()];
      const ClusterId to = cluster_after_[pair.after.index()];
      if (!from.valid() || !to.valid() || kind_before_[from] == kind_after_[to]) continue;
      delta_.fate_before[pair.before.index()] = Fate::Gone;
      delta_.fate_after[pair.after.index()] = Fate::Born;
    }
  }

  // The rows that a block counts for: that of its kind, and the one over all.
  template <typename F>
  void for_kinds(ClusterId cluster, const Column<ClusterId, uint32_t>& kind_of, F&& f) {
    f(delta_.all);
    if (cluster.valid()) f(delta_.kinds[kind_of[cluster]]);
  }

  void count_before() {
    for (size_t i = 0; i < delta_.fate_before.size(); ++i) {
      const Fate fate = delta_.fate_before[i];
      if (fate == Fate::None) continue;
      const uint64_t bytes = before_.heap.blocks[i].size();
      const bool was_lost = is_lost(before_.reach.verdicts[i]);
      for_kinds(cluster_before_[i], kind_before_, [&](KindChange& kind) {
        count(kind.was, bytes);
        if (fate == Fate::Gone) count(kind.gone, bytes);
        if (!was_lost) return;
        count(kind.lost_before, bytes);
        if (fate == Fate::Gone) count(kind.lost.freed, bytes);
      });
    }
  }

  void count_after() {
    std::vector<BlockId> old(after_.heap.blocks.size());
    for (const BlockPair& pair : stayed_) old[pair.after.index()] = pair.before;
    for (size_t i = 0; i < delta_.fate_after.size(); ++i) {
      const Fate fate = delta_.fate_after[i];
      if (fate == Fate::None) continue;
      const uint64_t bytes = after_.heap.blocks[i].size();
      const bool is_lost_now = is_lost(after_.reach.verdicts[i]);
      const bool was_lost = fate != Fate::Born && is_lost(before_.reach.verdicts[old[i].index()]);
      for_kinds(cluster_after_[i], kind_after_, [&](KindChange& kind) {
        count(kind.is, bytes);
        if (fate == Fate::Born) count(kind.born, bytes);
        if (fate == Fate::Unchanged) count(kind.unchanged, bytes);
        if (fate == Fate::Changed) count(kind.changed, bytes);
        if (is_lost_now) count(kind.lost_now, bytes);
        if (was_lost && fate == Fate::Changed) count(kind.lost.written, bytes);
        if (was_lost && fate == Fate::Unchanged)
          count(is_lost_now ? kind.lost.confirmed : kind.lost.regained, bytes);
        if (is_lost_now && !was_lost) count(kind.lost.newly, bytes);
      });
    }
  }

  const Analysis& before_;
  const Analysis& after_;
  const ContentHashes& hashes_;
  const std::vector<ClusterId> cluster_before_;  // of each block
  const std::vector<ClusterId> cluster_after_;
  std::vector<BlockPair> stayed_;            // sorted
  Column<ClusterId, uint32_t> kind_before_;  // cluster -> kind
  Column<ClusterId, uint32_t> kind_after_;
  Delta delta_;
};

const Module* program_of(const MemoryImage& image) {
  for (const Module& module : image.modules()) {
    if (module.is_executable) return &module;
  }
  return nullptr;
}

}  // namespace

Delta diff(const Analysis& before, const Analysis& after, bool is_same_process,
           const ContentHashes& hashes) {
  return Diffing(before, after, hashes).run(is_same_process);
}

SameProcess compare_processes(const MemoryImage& before, const MemoryImage& after) {
  const Module* const one = program_of(before);
  const Module* const other = program_of(after);
  if (one == nullptr || other == nullptr) return {false, "the program of one of them is unknown"};
  if (one->file_name() != other->file_name()) return {false, "they are of different programs"};
  if (one->build_id != other->build_id) return {false, "they are of two builds of the program"};
  if (one->range != other->range) return {false, "they are of two runs of the program"};
  constexpr uint64_t kAtRandom = 25;  // 16 random bytes on the stack, new with every exec
  const auto here = before.aux(kAtRandom);
  const auto there = after.aux(kAtRandom);
  if (here && there) {
    std::array<std::byte, 16> left{};
    std::array<std::byte, 16> right{};
    // A look without contents has lost them; its stack lies at an address chosen at random, too.
    const bool kept = !before.lacks_numbers() && !after.lacks_numbers();
    const bool readable =
        kept && before.read_bytes(Addr(*here), left) && after.read_bytes(Addr(*there), right);
    if (*here != *there || (readable && left != right))
      return {false, "they are of two runs of the program"};
  }
  return {true, ""};
}

}  // namespace heapscan
