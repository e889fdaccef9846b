// Types of many units, each kept once.
//
// A type is known by a key: a hash of what it is. Of a struct these are its qualified name, size
// and members with the names of their types; of a pointer the key of what it points to. So units,
// and tables, are joined by adding what is not there yet, whatever their order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/base/id.h"
#include "heapscan/base/key_index.h"
#include "heapscan/symbols/types.h"
#include "symbols/dwarf/unit_types.h"

namespace heapscan {

// ---- keys of one unit ---------------------------------------------------------------------------

// Keys for the types of one unit (see type_table.h).
//
// Twice each chain of pointers, arrays and typedefs is followed to its end, without recursion: once
// for what members show of their types (a struct's name stands for it), once for the keys.

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

// ---- the table ----------------------------------------------------------------------------------

class TypeTable {
 public:
  // Adds what of `unit` is new. References that lead out of the unit stay open until resolve().
  // `keep`: whether other units may name DIEs of this one.
  void add(UnitTypes& unit, bool keep);
  // Says that `signature` names the type at `die` of the unit added last.
  void add_signature(const UnitTypes& unit, DieRef signature, DieRef die);
  void add(TypeTable&& other);
  // Says that the types came from `module`: once all units of it are added.
  void set_module(ModuleId module);
  // Points references out of units to what they mean: once all units of a module are added.
  void resolve_references();
  // Points declarations to a definition of that name, of several to the one most units have: once
  // all modules are added.
  void resolve_declarations();
  // Whether a bound was hit, and what comes later will be missing.
  [[nodiscard]] bool full() const;

  struct PlacedVariable {
    std::string name;
    TypeKey type = 0;
    uint64_t place = 0;  // address in the file; of a thread-local one: offset
    bool is_thread_local = false;
    ModuleId module;
    const Frame* frame = nullptr;  // of a local one, whose place is an address at run time
    std::string function;          // likewise
  };
  [[nodiscard]] std::vector<PlacedVariable>& variables() { return variables_; }
  // The key of each type of the unit added last.
  [[nodiscard]] const std::vector<TypeKey>& unit_keys() const { return unit_keys_; }

  // Adds every type; type_of() then says which a key became.
  void emit(TypesBuilder& builder);
  [[nodiscard]] TypeId type_of(TypeKey key) const;

 private:
  struct Row {
    TypeKey key = 0;
    TypeKind kind = TypeKind::Unknown;
    bool is_class = false;
    bool declared = false;
    bool open = false;  // a reference to a DIE of another unit
    uint32_t seen = 1;  // in how many units
    uint32_t name = 0;
    uint32_t first_member = 0;
    uint32_t members = 0;
    uint64_t size = 0;
    uint64_t count = 0;
    TypeKey target = 0;
    ModuleId module;
  };
  struct RowMember {
    uint64_t offset = 0;
    TypeKey type = 0;
    uint32_t name = 0;
    bool is_base = false;
    bool is_bit_field = false;
  };
  struct Name {
    uint64_t hash = 0;
    std::string text;
  };

  uint32_t add_name(uint64_t hash, std::string text);
  [[nodiscard]] bool add_row(const Row& row);
  void open_reference(const UnitTypes& unit, const UnitKeys& keys, DieRef ref);
  void add_type(const UnitTypes& unit, const UnitKeys& keys, size_t index);
  void add_array(const UnitTypes& unit, const RawType& type, TypeKey element);
  void add_members(const UnitTypes& unit, const UnitKeys& keys, const RawType& type, Row& row);
  void add_variable(const UnitTypes& unit, const UnitKeys& keys, const RawVariable& variable);
  void name_after_typedefs();
  void forward(TypeKey from, TypeKey to);
  [[nodiscard]] TypeKey meant_by(TypeKey key) const;

  std::vector<Row> rows_;
  std::vector<RowMember> members_;
  std::vector<Name> names_;
  uint64_t name_bytes_ = 0;
  KeyIndex row_of_key_;
  KeyIndex name_of_hash_;
  std::vector<PlacedVariable> variables_;
  std::vector<std::pair<TypeKey, TypeKey>> kept_;       // references, and what they mean
  std::vector<std::pair<TypeKey, uint32_t>> typedefs_;  // of references: names
  KeyIndex forwards_;                                   // into forwarded_
  std::vector<TypeKey> forwarded_;
  std::vector<TypeKey> unit_keys_;
  std::vector<TypeId> ids_;  // of rows, once emitted
};

}  // namespace heapscan
