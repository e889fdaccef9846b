// Rows are made twice: of the groups as they are, to have samples to make fingerprints from, and
// once more when it is known which groups are one cluster and in which order clusters stand.
#include "identify/clustering/cluster_rows.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "heapscan/base/parallel.h"
#include "identify/clustering/cluster_fingerprints.h"
#include "identify/clustering/signatures.h"

namespace heapscan {

namespace {

// Counts how often a size occurs in a row.
class SizeCounts {
 public:
  void add(uint32_t row, uint64_t size) {
    if (used_ * 2 >= slots_.size()) grow();
    Slot& slot = slot_of(row, size);
    if (slot.blocks == 0) {
      slot.row = row;
      slot.size = size;
      ++used_;
    }
    ++slot.blocks;
  }
  void move_to(Column<ClusterId, Cluster>& rows) {
    for (const Slot& slot : slots_) {
      if (slot.blocks != 0) rows[ClusterId(slot.row)].sizes.emplace_back(slot.size, slot.blocks);
    }
    slots_.clear();
    for (Cluster& row : rows) std::sort(row.sizes.begin(), row.sizes.end());
  }

 private:
  struct Slot {
    uint64_t size = 0;
    uint32_t row = 0;
    uint32_t blocks = 0;
  };
  Slot& slot_of(uint32_t row, uint64_t size) {
    size_t at = mix(size, row) & (slots_.size() - 1);
    while (slots_[at].blocks != 0 && (slots_[at].row != row || slots_[at].size != size))
      at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.blocks != 0) slot_of(slot.row, slot.size) = slot;
    }
  }
  std::vector<Slot> slots_ = std::vector<Slot>(1 << 10);
  size_t used_ = 0;
};

void count_blocks(const HeapModel& heap, Clusters& clusters) {
  SizeCounts sizes;
  for (size_t i = 0; i < clusters.blocks.size(); ++i) {
    Cluster& row = clusters.rows[clusters.cluster_of[i]];
    const uint64_t size = heap.block(clusters.blocks[i]).size();
    ++row.blocks;
    row.bytes += size;
    sizes.add(clusters.cluster_of[i].value, size);
  }
  sizes.move_to(clusters.rows);
}

// Of n members the k-th is a sample where k * kSamples / n takes on a new value.
void choose_samples(Clusters& clusters) {
  std::vector<uint64_t> seen(clusters.rows.size());
  for (size_t i = 0; i < clusters.blocks.size(); ++i) {
    const ClusterId id = clusters.cluster_of[i];
    Cluster& row = clusters.rows[id];
    const uint64_t member = seen[id.index()]++;
    const uint64_t place = member * Cluster::kSamples / row.blocks;
    if (member == 0 || (member - 1) * Cluster::kSamples / row.blocks != place)
      row.samples.push_back(clusters.blocks[i]);
  }
}

// Group -> cluster: groups with one fingerprint together, most bytes first.
std::vector<ClusterId> order_by_bytes(const Column<ClusterId, Cluster>& groups) {
  std::unordered_map<uint64_t, uint64_t> bytes;
  for (const Cluster& group : groups) bytes[group.fingerprint] += group.bytes;
  std::vector<std::pair<uint64_t, uint64_t>> order(bytes.begin(), bytes.end());
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::unordered_map<uint64_t, ClusterId> place;
  for (size_t i = 0; i < order.size(); ++i) place[order[i].first] = ClusterId(i);
  std::vector<ClusterId> into;
  into.reserve(groups.size());
  for (const Cluster& group : groups) into.push_back(place[group.fingerprint]);
  return into;
}

// Groups with one fingerprint become one cluster.
Clusters unite_equal(const HeapModel& heap, Clusters groups) {
  const std::vector<ClusterId> into = order_by_bytes(groups.rows);
  size_t count = 0;
  for (const ClusterId id : into) count = std::max(count, id.index() + 1);
  Column<ClusterId, Cluster> rows(count);
  for (size_t i = 0; i < into.size(); ++i) {
    rows[into[i]].shape = groups.rows[ClusterId(i)].shape;
    rows[into[i]].fingerprint = groups.rows[ClusterId(i)].fingerprint;
  }
  groups.rows = std::move(rows);
  for (ClusterId& id : groups.cluster_of) id = into[id.index()];
  fill_rows(heap, groups);
  return groups;
}

}  // namespace

UsualSize usual_size(const Cluster& cluster) {
  UsualSize usual;
  for (const auto& [size, blocks] : cluster.sizes) {
    if (blocks > usual.blocks) usual = {size, blocks};
  }
  for (const auto& [size, blocks] : cluster.sizes) {
    if (size == usual.usable + kLeftOver) usual.blocks += blocks;
  }
  return usual;
}

void fill_rows(const HeapModel& heap, Clusters& clusters) {
  for (Cluster& row : clusters.rows) {
    row.blocks = row.bytes = 0;
    row.sizes.clear();
    row.samples.clear();
  }
  count_blocks(heap, clusters);
  choose_samples(clusters);
}

Clusters make_clusters(const MemoryImage& image, const Symbols& symbols,
                       const RuntimeFacts& runtime, const HeapModel& heap,
                       std::vector<BlockId> blocks, std::span<const uint32_t> group_of,
                       std::span<const Shape> shapes) {
  Clusters clusters;
  clusters.blocks = std::move(blocks);
  clusters.cluster_of.resize(clusters.blocks.size());
  for (size_t i = 0; i < group_of.size(); ++i) clusters.cluster_of[i] = ClusterId(group_of[i]);
  clusters.rows = Column<ClusterId, Cluster>(shapes.size());
  for (size_t i = 0; i < shapes.size(); ++i) clusters.rows[ClusterId(i)].shape = shapes[i];
  fill_rows(heap, clusters);

  const std::vector<uint64_t> fingerprints =
      make_fingerprints(image, symbols, runtime, heap, clusters);
  for (size_t i = 0; i < fingerprints.size(); ++i)
    clusters.rows[ClusterId(i)].fingerprint = fingerprints[i];
  return unite_equal(heap, std::move(clusters));
}

Clusters join_clusters(const HeapModel& heap, const Clusters& a, const Clusters& b) {
  Clusters joined;
  const size_t count = a.blocks.size() + b.blocks.size();
  joined.blocks.reserve(count);
  joined.cluster_of.reserve(count);
  for (size_t i = 0, j = 0; i + j < count;) {
    const bool from_a = j == b.blocks.size() || (i < a.blocks.size() && a.blocks[i] < b.blocks[j]);
    joined.blocks.push_back(from_a ? a.blocks[i] : b.blocks[j]);
    joined.cluster_of.push_back(from_a ? a.cluster_of[i]
                                       : ClusterId(a.rows.size() + b.cluster_of[j].index()));
    ++(from_a ? i : j);
  }
  for (const Clusters* part : {&a, &b}) {
    for (const Cluster& row : part->rows) joined.rows.push_back(row);
  }
  return unite_equal(heap, std::move(joined));
}

}  // namespace heapscan
