// Range lists and location lists (DWARF 4 section 2.17.3 and 2.6.2, DWARF 5 section 2.17.3, 2.6.2).
#pragma once

#include <cstdint>
#include <optional>

#include "symbols/dwarf/unit.h"

namespace heapscan {

// Answers about the code of one unit. Lists may be shared by many DIEs: what is read of them in all
// is bounded by `entries_left`, which the caller keeps.
class UnitLists {
 public:
  UnitLists(const UnitReader& reader, uint64_t& entries_left);

  // Whether the code of the DIE (DW_AT_low_pc and DW_AT_high_pc, or DW_AT_ranges) includes `pc`.
  [[nodiscard]] bool covers(const Die& die, FileAddr pc) const;
  // Whether the DIE says anything about its code.
  [[nodiscard]] static bool has_code(const Die& die) {
    return die.has(Attribute::LowPc) || die.has(Attribute::Ranges);
  }
  // The expression that holds at `pc`.
  [[nodiscard]] std::optional<Bytes> location_at(const AttributeValue* value, FileAddr pc) const;

 private:
  [[nodiscard]] bool range_list_covers(const AttributeValue& value, FileAddr pc) const;
  // Calls f(begin, end, cursor behind them) for each entry, until it returns true.
  template <typename F>
  bool walk_old(Bytes section, uint64_t offset, F&& f) const;
  template <typename F>
  bool walk_new(Bytes section, uint64_t offset, bool locations, F&& f) const;
  [[nodiscard]] std::optional<uint64_t> offset_of(const AttributeValue& value, Bytes section,
                                                  Attribute base) const;

  const UnitReader& reader_;
  uint64_t& entries_left_;
  uint64_t base_ = 0;
};

}  // namespace heapscan
