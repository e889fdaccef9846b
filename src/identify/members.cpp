#include "identify/members.h"

#include <algorithm>

#include "heapscan/base/hash.h"

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
  template <typename IdT, typename Row>
  void move_to(Column<IdT, Row>& rows) {
    for (const Slot& slot : slots_) {
      if (slot.blocks != 0) rows[IdT(slot.row)].sizes.emplace_back(slot.size, slot.blocks);
    }
    slots_.clear();
    for (Row& row : rows) std::sort(row.sizes.begin(), row.sizes.end());
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

// `for_each_member(f)` calls f(block, row) for each block, in ascending order.
template <typename IdT, typename Row, typename ForEach>
void count_blocks(const HeapModel& heap, const ForEach& for_each_member, Column<IdT, Row>& rows) {
  SizeCounts sizes;
  for_each_member([&](BlockId block, IdT id) {
    Row& row = rows[id];
    const uint64_t size = heap.block(block).size();
    ++row.blocks;
    row.bytes += size;
    sizes.add(id.value, size);
  });
  sizes.move_to(rows);
}

// Of n members the k-th is a sample where k * kSamples / n takes on a new value.
template <typename IdT, typename Row, typename ForEach>
void choose_samples(const ForEach& for_each_member, Column<IdT, Row>& rows) {
  struct Progress {
    uint64_t member = 0;
    uint64_t next = 0;  // member that is a sample
  };
  std::vector<Progress> progress(rows.size());
  for_each_member([&](BlockId block, IdT id) {
    Progress& of = progress[id.index()];
    const uint64_t member = of.member++;
    if (member != of.next) return;
    Row& row = rows[id];
    row.samples.push_back(block);
    const uint64_t place = member * Row::kSamples / row.blocks;
    of.next = ((place + 1) * row.blocks + Row::kSamples - 1) / Row::kSamples;
  });
}

template <typename IdT, typename Row, typename ForEach>
void fill(const HeapModel& heap, const ForEach& for_each_member, Column<IdT, Row>& rows) {
  for (Row& row : rows) {
    row.blocks = row.bytes = 0;
    row.sizes.clear();
    row.samples.clear();
  }
  count_blocks(heap, for_each_member, rows);
  choose_samples(for_each_member, rows);
}

}  // namespace

FamilyId Families::of(BlockId block) const {
  const auto at = std::lower_bound(blocks.begin(), blocks.end(), block);
  if (at == blocks.end() || *at != block) return FamilyId::none();
  return family_of[static_cast<size_t>(at - blocks.begin())];
}

UsualSize usual_size(const Sizes& sizes) {
  UsualSize usual;
  for (const auto& [size, blocks] : sizes) {
    if (blocks > usual.blocks) usual = {size, blocks};
  }
  for (const auto& [size, blocks] : sizes) {
    if (size == usual.usable + kLeftOver) usual.blocks += blocks;
  }
  return usual;
}

void fill_rows(const HeapModel& heap, Families& families) {
  const auto for_each_member = [&](const auto& f) {
    for (size_t i = 0; i < families.blocks.size(); ++i)
      f(families.blocks[i], families.family_of[i]);
  };
  fill(heap, for_each_member, families.rows);
}
void fill_rows(const HeapModel& heap, Clusters& clusters) {
  fill(
      heap, [&](const auto& f) { clusters.members.for_each(f); }, clusters.rows);
}

}  // namespace heapscan
