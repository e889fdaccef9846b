// What is in use of a ring, a stack or a vector is in one piece, from where one index points to
// where another one does, and all of it leads to different blocks. Where the indices are not found,
// what is in use can still be told where little was used twice: what was forgotten lies mostly
// alone between slots whose blocks were freed as they should. Slots whose block is held from
// elsewhere tell nothing there: it may be a later block at the same address.
#include "reach/stale_words.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr size_t kFewestLive = 3;  // in a row; one or two hold memory by chance
constexpr size_t kNever = ~size_t{0};

enum class Use : uint8_t { Open, Held, Dangling };

class Slots {
 public:
  Slots(const MemoryImage& image, const HeapModel& heap, const StaleStretch& stretch,
        const BlockBitmap& open)
      : heap_(heap), open_(open) {
    image.for_each_span(stretch.range, [&](Addr begin, Bytes bytes) {
      for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8)
        add((begin + i).value, load<uint64_t>(bytes.data() + i));
    });
  }

  void compare() {
    find_same();
    find_dangling();
  }

  [[nodiscard]] bool any_open() const {
    return std::any_of(uses_.begin(), uses_.end(), [](Use use) { return use == Use::Open; });
  }

  // Of two cursors with only different blocks between them.
  void mark_between(const std::vector<uint64_t>& cursors) {
    std::vector<size_t> borders = {0, slots_.size()};
    for (const uint64_t cursor : cursors) borders.push_back(slot_at(cursor));
    std::sort(borders.begin(), borders.end());
    borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
    size_t lowest = 0;  // all from here on to `at` are different blocks
    size_t at = 0;
    for (const size_t end : borders) {
      for (; at < end; ++at) {
        if (dangles_[at]) {
          lowest = at + 1;
        } else if (before_[at] != kNever) {
          lowest = std::max(lowest, before_[at] + 1);
        }
      }
      const auto begin = std::lower_bound(borders.begin(), borders.end(), lowest);
      for (size_t i = *begin; i < end; ++i) slots_[i].is_live = true;
    }
  }

  void mark_at(const std::vector<uint64_t>& cursors) {
    for (const uint64_t cursor : cursors) {
      const size_t at = slot_at(cursor);
      if (at < slots_.size()) slots_[at].is_live = true;
      if (at > 0) slots_[at - 1].is_live = true;
    }
  }

  void mark_rows() {
    size_t row = 0;
    size_t length = 0;
    for (size_t i = 0; i <= slots_.size(); ++i) {
      const bool ends = i == slots_.size() || dangles_[i] || is_repeated_[i];
      if (!ends) {
        length += uses_[i] == Use::Open;
        continue;
      }
      for (; row < i && length >= kFewestLive; ++row) slots_[row].is_live = true;
      row = i + 1;
      length = 0;
    }
  }

  [[nodiscard]] std::vector<Slot> take() const {
    std::vector<Slot> result;
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (uses_[i] == Use::Open) result.push_back(slots_[i]);
    }
    return result;
  }

 private:
  // The first slot at `address` or above.
  [[nodiscard]] size_t slot_at(uint64_t address) const {
    return static_cast<size_t>(
        std::partition_point(slots_.begin(), slots_.end(),
                             [&](const Slot& slot) { return slot.at < address; }) -
        slots_.begin());
  }

  void add(uint64_t at, uint64_t word) {
    if (word == 0) return;
    const BlockId id = heap_.block_at(Addr(word));
    slots_.push_back({at, word, id, false});
    uses_.push_back(use_of(id, word));
  }

  [[nodiscard]] Use use_of(BlockId id, uint64_t word) const {
    if (id.valid() && open_.test(id)) return Use::Open;
    if (!id.valid()) {
      return heap_.index.range_at(word) == BlockIndex::kNoRange ? Use::Held : Use::Dangling;
    }
    const Block& block = heap_.block(id);
    return block.is_judged() || block.state() == BlockState::Bookkeeping ? Use::Held
                                                                         : Use::Dangling;
  }

  void find_same() {
    std::vector<std::pair<uint64_t, size_t>> order;
    order.reserve(slots_.size());
    for (size_t i = 0; i < slots_.size(); ++i) order.emplace_back(slots_[i].value, i);
    std::sort(order.begin(), order.end());
    before_.assign(slots_.size(), kNever);
    is_repeated_.assign(slots_.size(), false);
    for (size_t i = 1; i < order.size(); ++i) {
      if (order[i].first != order[i - 1].first) continue;
      before_[order[i].second] = order[i - 1].second;
      is_repeated_[order[i].second] = is_repeated_[order[i - 1].second] = true;
    }
  }

  // Pointers into the middle dangle, unless they are what the array is made of.
  void find_dangling() {
    const auto is_middle = [&](size_t i) {
      return uses_[i] == Use::Open && slots_[i].value != heap_.block(slots_[i].block).begin().value;
    };
    size_t middles = 0;
    size_t open = 0;
    for (size_t i = 0; i < slots_.size(); ++i) {
      middles += is_middle(i);
      open += uses_[i] == Use::Open;
    }
    const bool are_links = 2 * middles > open;
    for (size_t i = 0; i < slots_.size(); ++i)
      dangles_.push_back(uses_[i] == Use::Dangling || (is_middle(i) && !are_links));
  }

  const HeapModel& heap_;
  const BlockBitmap& open_;
  std::vector<Slot> slots_;
  std::vector<Use> uses_;
  std::vector<size_t> before_;  // the slot before that leads to the same place
  std::vector<bool> is_repeated_;
  std::vector<bool> dangles_;
};

}  // namespace

std::vector<Slot> slots_of(const MemoryImage& image, const HeapModel& heap,
                           const StaleStretch& stretch, const BlockBitmap& open,
                           const SlotCursors& cursors) {
  Slots slots(image, heap, stretch, open);
  if (!slots.any_open()) return {};
  slots.compare();
  slots.mark_between(cursors.slots);
  slots.mark_at(cursors.close);
  slots.mark_rows();
  return slots.take();
}

}  // namespace heapscan
