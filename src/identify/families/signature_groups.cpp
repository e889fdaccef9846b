// One hash table from signature to group, filled in the order of the blocks, so that the groups are
// the same for every number of threads. A look-up per block waits for memory unless it is announced
// a few blocks ahead.
#include "identify/families/signatures.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr uint32_t kEmpty = ~uint32_t{0};
constexpr uint32_t kMostVariants = 1024;  // of one shape and kinds that differ in identities
constexpr uint64_t kKindBits = 0xffffffff00000000;
constexpr size_t kSignaturesAhead = 16;

class Table {
 public:
  Table() : slots_(1 << 12, kEmpty) {}

  void announce(uint64_t key) const { __builtin_prefetch(&slots_[mix(key) & (slots_.size() - 1)]); }
  // The slot of `key`: its group, or empty.
  [[nodiscard]] uint32_t& slot_of(uint64_t key) {
    size_t at = mix(key) & (slots_.size() - 1);
    while (slots_[at] != kEmpty && groups_[slots_[at]].signature != key)
      at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }
  uint32_t add(uint64_t key, uint32_t example) {
    if (groups_.size() * 2 >= slots_.size()) grow();
    const auto group = static_cast<uint32_t>(groups_.size());
    slot_of(key) = group;
    groups_.push_back({key, 0, example});
    return group;
  }
  [[nodiscard]] std::vector<SignatureGroup>& groups() { return groups_; }

 private:
  void grow() {
    const size_t size = slots_.size() * 2;
    slots_.assign(size, kEmpty);
    for (size_t i = 0; i < groups_.size(); ++i)
      slot_of(groups_[i].signature) = static_cast<uint32_t>(i);
  }
  std::vector<uint32_t> slots_;
  std::vector<SignatureGroup> groups_;
};

}  // namespace

std::vector<SignatureGroup> group_equal(GrowingArray<uint64_t>& column, size_t most,
                                        const std::function<uint64_t(uint32_t)>& rest_of) {
  Table table;
  Table kinds;  // how many groups differ in identities only, as `blocks`
  for (size_t i = 0; i < column.size(); ++i) {
    if (i + kSignaturesAhead < column.size()) table.announce(column[i + kSignaturesAhead]);
    const auto number = static_cast<uint32_t>(i);
    uint64_t key = column[i];
    uint32_t group = table.slot_of(key);
    if (group == kEmpty) {
      const uint32_t known = kinds.slot_of(key & kKindBits);
      const uint32_t variants = known != kEmpty ? known : kinds.add(key & kKindBits, number);
      if (kinds.groups()[variants].blocks < kMostVariants) {
        ++kinds.groups()[variants].blocks;
      } else {
        key &= kKindBits;
        group = table.slot_of(key);
      }
    }
    if (group == kEmpty && table.groups().size() >= most) {
      key = rest_of(number) << 32;
      group = table.slot_of(key);
    }
    if (group == kEmpty) group = table.add(key, number);
    ++table.groups()[group].blocks;
    column[i] = group;
  }
  return std::move(table.groups());
}

}  // namespace heapscan
