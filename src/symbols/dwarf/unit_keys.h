// Keys for the types of one unit (see type_table.h).
//
// Twice each chain of pointers, arrays and typedefs is followed to its end, without recursion: once
// for what members show of their types (a struct's name stands for it), once for the keys.
#pragma once

#include <cstdint>
#include <vector>

#include "symbols/dwarf/unit_types.h"

namespace heapscan {

using TypeKey = uint64_t;  // 0: void, or nothing known

[[nodiscard]] constexpr uint64_t mixed(uint64_t a, uint64_t b) {
  uint64_t x = (a ^ (b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2))) * 0xff51afd7ed558ccdULL;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 29);
}
[[nodiscard]] TypeKey key_of_array(uint64_t count, TypeKey element);
// Stands for a DIE of another unit of the file numbered `file`.
[[nodiscard]] TypeKey key_of_reference(uint32_t file, DieRef ref);

class UnitKeys {
 public:
  // Names structs after their typedefs where they have no name of their own.
  explicit UnitKeys(UnitTypes& unit);

  [[nodiscard]] TypeKey key(size_t type) const { return keys_[type]; }
  [[nodiscard]] TypeKey of(DieRef ref) const;
  // `ref` as other units see it when it leads out of this one; else none.
  [[nodiscard]] DieRef outside(DieRef ref) const;
  // Whether the type is but another name for its target.
  [[nodiscard]] static bool passes_through(const RawType& type);

 private:
  enum class Depth { Nominal, Full };
  void name_after_typedefs();
  void follow_chains(Depth depth, std::vector<TypeKey>& out);
  [[nodiscard]] TypeKey end_of_chain(const RawType& type, Depth depth) const;
  [[nodiscard]] TypeKey joined(const RawType& type, TypeKey target) const;
  [[nodiscard]] TypeKey key_of_record(const RawType& type) const;

  UnitTypes& unit_;
  std::vector<TypeKey> nominal_;
  std::vector<TypeKey> keys_;
};

}  // namespace heapscan
