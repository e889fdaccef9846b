#include "reach/stale_words.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace heapscan {

namespace {

constexpr size_t kFewestToBeLost = 64;  // alike: in one store, or of one size

}  // namespace

StaleTracing::StaleTracing(const MemoryImage& image, const RuntimeFacts& runtime,
                           const HeapModel& heap, const BlockMemory& memory, const Roots& roots)
    : image_(image),
      runtime_(runtime),
      heap_(heap),
      memory_(memory),
      roots_(roots),
      arrays_(find_stale_stores(image, heap, memory, roots)),
      rooms_(find_spare_rooms(image, heap, memory, roots, arrays_)),
      stores_(arrays_),
      holed_(heap.blocks.size()) {
  add_rooms();
  for (const StaleStore& store : stores_.stores) {
    if (store.block.valid()) holed_.set(store.block);
  }
}

void StaleTracing::add_rooms() {
  for (const SpareRoom& room : rooms_) {
    stores_.stretches.push_back({room.range, static_cast<uint32_t>(stores_.stores.size())});
    stores_.stores.push_back({room.block, room.range, room.words, room.dangling, room.kind});
  }
  std::sort(stores_.stretches.begin(), stores_.stretches.end(),
            [](const StaleStretch& a, const StaleStretch& b) { return a.range < b.range; });
}

bool StaleTracing::is_reached(const StaleStore& store, const BlockBitmap& unreached) const {
  return !store.block.valid() || !unreached.test(store.block);
}

const SlotCursors& StaleTracing::cursors_of(uint32_t store) {
  if (cursors_.empty()) cursors_ = find_slot_cursors(image_, runtime_, heap_, roots_, arrays_);
  return cursors_[store];
}

std::vector<uint64_t> StaleTracing::live_words(const BlockBitmap& unreached) {
  std::vector<uint64_t> words;
  if (stores_.stretches.empty()) return words;
  const uint64_t left = unreached.count();
  if (left == left_before_) return words;  // the set only shrinks
  left_before_ = left;
  for (const StaleStretch& stretch : arrays_.stretches) {
    if (!is_reached(arrays_.stores[stretch.store], unreached)) continue;
    for (const Slot& slot :
         slots_of(image_, heap_, stretch, unreached, cursors_of(stretch.store))) {
      const bool is_mapping = heap_.block(slot.block).state() == BlockState::Mapping;
      if (slot.is_live || is_mapping) words.push_back(slot.value);
    }
  }
  for (const SpareRoom& room : rooms_) {
    if (unreached.test(room.block)) continue;
    for_each_named(room.range, unreached, [&](uint64_t word, BlockId id) {
      if (heap_.block(id).state() == BlockState::Mapping) words.push_back(word);
    });
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

// f(word, block) for each word that leads to a block of `open`.
template <typename F>
void StaleTracing::for_each_named(AddrRange range, const BlockBitmap& open, F&& f) const {
  image_.for_each_span(range, [&](Addr begin, Bytes bytes) {
    for (size_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8) {
      const auto word = load<uint64_t>(bytes.data() + i);
      const BlockId id = heap_.block_at(Addr(word));
      if (id.valid() && open.test(id)) f(word, id);
    }
  });
}

// What is spare is not in use whatever it leads to, if it is known whose it is.
std::vector<StaleTracing::Named> StaleTracing::named_in_rooms(const BlockBitmap& unreached,
                                                              const BlockBitmap& unheld) const {
  std::vector<Named> named;
  std::vector<SpareRoom> asked;
  std::vector<size_t> room_of;  // of each of `named`, in `asked`
  for (size_t i = 0; i < rooms_.size(); ++i) {
    const SpareRoom& room = rooms_[i];
    if (unheld.test(room.block)) continue;
    const size_t before = named.size();
    const auto store = static_cast<uint32_t>(arrays_.stores.size() + i);
    for_each_named(room.range, unheld, [&](uint64_t word, BlockId id) {
      named.push_back({id, word, store, !unreached.test(room.block)});
      room_of.push_back(asked.size());
    });
    if (named.size() != before) asked.push_back(room);
  }
  const std::vector<bool> disputed = find_disputed(image_, heap_, memory_, roots_, asked);
  for (size_t i = 0; i < named.size(); ++i) named[i].is_firm &= !disputed[room_of[i]];
  return named;
}

StaleTracing::Leftovers StaleTracing::leftovers(const BlockBitmap& unreached,
                                                const BlockBitmap& unheld) {
  std::vector<Named> named = named_in_rooms(unreached, unheld);
  for (const StaleStretch& stretch : arrays_.stretches) {
    const StaleStore& store = arrays_.stores[stretch.store];
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
