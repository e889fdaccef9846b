#include "reach/stale_tracing.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "reach/stale_slots.h"
#include "reach/stale_stretches.h"

namespace heapscan {

namespace {

constexpr size_t kFewestToBeLost = 64;  // alike: in one store, or of one size

}  // namespace

StaleTracing::StaleTracing(const MemoryImage& image, const RuntimeFacts& runtime,
                           const HeapModel& heap, const BlockMemory& memory, const Roots& roots)
    : image_(image),
      runtime_(runtime),
      heap_(heap),
      roots_(roots),
      stores_(find_stale_stores(image, heap, memory, roots)) {}

bool StaleTracing::is_reached(const StaleStore& store, const BlockBitmap& unreached) const {
  return !store.block.valid() || !unreached.test(store.block);
}

const SlotCursors& StaleTracing::cursors_of(uint32_t store) {
  if (cursors_.empty()) cursors_ = find_slot_cursors(image_, runtime_, heap_, roots_, stores_);
  return cursors_[store];
}

std::vector<uint64_t> StaleTracing::live_words(const BlockBitmap& unreached) {
  std::vector<uint64_t> words;
  if (stores_.stretches.empty()) return words;
  const uint64_t left = unreached.count();
  if (left == left_before_) return words;  // the set only shrinks
  left_before_ = left;
  for (const StaleStretch& stretch : stores_.stretches) {
    if (!is_reached(stores_.stores[stretch.store], unreached)) continue;
    for (const Slot& slot :
         slots_of(image_, heap_, stretch, unreached, cursors_of(stretch.store))) {
      const bool is_mapping = heap_.block(slot.block).state() == BlockState::Mapping;
      if (slot.is_live || is_mapping) words.push_back(slot.value);
    }
  }
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  std::vector<uint64_t> fresh;
  std::set_difference(words.begin(), words.end(), handed_out_.begin(), handed_out_.end(),
                      std::back_inserter(fresh));
  std::vector<uint64_t> known;
  std::set_union(words.begin(), words.end(), handed_out_.begin(), handed_out_.end(),
                 std::back_inserter(known));
  handed_out_ = std::move(known);
  return fresh;
}

StaleTracing::Leftovers StaleTracing::leftovers(const BlockBitmap& unreached,
                                                const BlockBitmap& unheld) {
  struct Named {
    BlockId block;
    uint64_t word = 0;
    uint32_t store = 0;
    bool is_firm = false;  // the store is reachable, and what of it is in use is known
  };
  std::vector<Named> named;
  for (const StaleStretch& stretch : stores_.stretches) {
    const StaleStore& store = stores_.stores[stretch.store];
    if (store.block.valid() && unheld.test(store.block)) continue;
    const bool is_firm = is_reached(store, unreached) && cursors_of(stretch.store).is_complete;
    for (const Slot& slot : slots_of(image_, heap_, stretch, unheld, {}))
      named.push_back({slot.block, slot.value, stretch.store, is_firm});
  }
  std::sort(named.begin(), named.end(), [](const Named& a, const Named& b) {
    return std::tuple(a.block, !a.is_firm, a.store, a.word) <
           std::tuple(b.block, !b.is_firm, b.store, b.word);
  });
  std::map<uint32_t, size_t> in_store;
  std::map<uint64_t, size_t> of_size;
  Leftovers result;
  for (const Named& row : named) {
    if (!result.held.empty() && result.held.back().block == row.block) continue;
    result.held.push_back({row.block, row.store});
    if (!row.is_firm) continue;
    ++in_store[row.store];
    ++of_size[heap_.block(row.block).size()];
  }
  for (const Named& row : named) {
    const bool is_leak = row.is_firm && (in_store[row.store] >= kFewestToBeLost ||
                                         of_size[heap_.block(row.block).size()] >= kFewestToBeLost);
    if (!is_leak) result.few.push_back(row.word);
  }
  return result;
}

}  // namespace heapscan
