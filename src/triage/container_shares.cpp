// One pass over the rows, parents before children: each row below a holder belongs to the outermost
// container on its way up, and that to its place. So what a map's values hold in containers of their own
// counts for the map.
#include <algorithm>
#include <unordered_map>

#include "heapscan/triage/retained_tree.h"

namespace heapscan {

namespace {

class ContainerShares {
 public:
  ContainerShares(const MemoryImage& image, const HeapModel& heap, const Retained& retained,
                  const HeldContainers& containers, std::span<const RetainedRow> holders,
                  const BlockHeld& f)
      : image_(image),
        heap_(heap),
        retained_(retained),
        containers_(containers),
        f_(f),
        is_counted_(containers.instances.size()),
        of_row_(retained.first_leaf(), kNone) {
    for (const RetainedRow holder : holders) {
      if (holder < of_row_.size()) of_row_[holder] = static_cast<uint32_t>(rows_.size());
      rows_.push_back({static_cast<uint32_t>(rows_.size()), {}});
    }
  }

  [[nodiscard]] std::vector<std::vector<HeldShare>> find() {
    const size_t holders = rows_.size();
    retained_.for_each_row([&](RetainedRow row) { look_at(row); });
    std::vector<std::vector<HeldShare>> shares(holders);
    for (size_t i = holders; i < rows_.size(); ++i)
      shares[rows_[i].holder].push_back(rows_[i].share);
    for (std::vector<HeldShare>& some : shares) {
      std::stable_sort(some.begin(), some.end(),
                       [](const HeldShare& a, const HeldShare& b) { return a.bytes > b.bytes; });
    }
    return shares;
  }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};
  struct Row {
    uint32_t holder = 0;
    HeldShare share;  // its place is none for what lies in no container
  };

  void look_at(RetainedRow row) {
    if (row == Retained::kWhole) return;
    if (row < of_row_.size() && of_row_[row] != kNone) return;  // a holder
    uint32_t at = of_row_[retained_.parent(row)];
    if (at == kNone) return;
    const uint32_t number = row < containers_.of_row.size() ? containers_.of_row[row] : 0;
    if (rows_[at].share.place == RetainedNode::kNoPlace && number != 0) {
      at = row_of(rows_[at].holder, containers_.instances[number - 1].place);
    }
    if (row < of_row_.size()) of_row_[row] = at;
    HeldShare& share = rows_[at].share;
    const BlockId block = retained_.block(row);
    if (block.valid() && f_) f_(block, rows_[at].holder, share.place);
    if (share.place == RetainedNode::kNoPlace) return;
    if (number != 0 && containers_.instances[number - 1].place == share.place)
      count_instance(number - 1, share);
    if (block.valid()) share.bytes += held_bytes(image_, heap_.block(block));
  }

  uint32_t row_of(uint32_t holder, uint32_t place) {
    const auto [at, is_new] = row_by_key_.try_emplace(uint64_t{holder} << 32 | place, 0);
    if (is_new) {
      at->second = static_cast<uint32_t>(rows_.size());
      rows_.push_back({holder, {}});
      rows_.back().share.place = place;
    }
    return at->second;
  }

  void count_instance(uint32_t instance, HeldShare& share) {
    if (is_counted_[instance]) return;
    is_counted_[instance] = true;
    const std::optional<uint64_t>& entries = containers_.instances[instance].entries;
    ++share.containers;
    share.largest.see(containers_.instances[instance]);
    share.entries =
        share.entries && entries ? std::optional(*share.entries + *entries) : std::nullopt;
  }

  const MemoryImage& image_;
  const HeapModel& heap_;
  const Retained& retained_;
  const HeldContainers& containers_;
  const BlockHeld& f_;
  std::vector<bool> is_counted_;  // of each instance
  std::vector<uint32_t> of_row_;  // of each row that is no leaf
  std::vector<Row> rows_;         // the holders, then containers below them
  std::unordered_map<uint64_t, uint32_t> row_by_key_;
};

}  // namespace

std::vector<std::vector<HeldShare>> container_shares(
    const MemoryImage& image, const HeapModel& heap, const Retained& retained,
    const HeldContainers& containers, std::span<const RetainedRow> holders, const BlockHeld& f) {
  if (containers.instances.empty()) return std::vector<std::vector<HeldShare>>(holders.size());
  return ContainerShares(image, heap, retained, containers, holders, f).find();
}

}  // namespace heapscan
