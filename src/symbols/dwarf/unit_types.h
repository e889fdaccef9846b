// What one unit declares, as it stands in the file: types, members and variables still name each
// other by where they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "heapscan/symbols/types.h"
#include "symbols/dwarf/unit.h"

namespace heapscan {

// A namespace, a record or a function: what qualifies names. Number 0 is the unit itself.
struct Scope {
  uint32_t parent = 0;  // whose name comes before its own
  uint32_t around = 0;  // which it lies in
  uint64_t begin = 0;   // DIEs in [begin, end) are declared within
  uint64_t end = ~uint64_t{0};
  std::string_view name;
  uint64_t declared_at = 0;  // of a function defined elsewhere than declared: the DIE that says so
  uint64_t hash = 0;         // of the qualified name
  bool in_types = true;      // whether it qualifies types (a function of C does not)
};

struct RawMember {
  uint32_t owner = 0;  // its type
  std::string_view name;
  uint64_t offset = 0;
  DieRef type;
  bool is_base = false;
  bool is_bit_field = false;
};

struct RawType {
  uint64_t die = 0;
  uint16_t tag = 0;
  TypeKind kind = TypeKind::Unknown;
  bool declared = false;  // without a definition
  bool is_class = false;
  uint32_t scope = 0;
  std::string_view name;
  uint64_t size = 0;
  DieRef target;
  uint32_t first = 0;  // of its members, or its dimensions
  uint32_t count = 0;
  uint64_t values = 0;  // of an enumeration: Type::count
};

struct Frame;

struct RawVariable {
  uint32_t scope = 0;
  uint64_t declared_at = 0;             // where that says more of its scope
  std::vector<std::string_view> outer;  // names of scopes in another unit, from the outside in
  std::string_view name;
  DieRef type;
  uint64_t place = 0;  // address in the file; of a thread-local one: offset
  bool is_thread_local = false;
  const Frame* frame = nullptr;  // of a local one, whose place is an address at run time
};

struct UnitTypes {
  uint32_t file = 0;          // a number of the caller's: DIEs are told apart by it
  bool is_alternate = false;  // whether the file is what other files name as their alternate
  // How many bytes of names may still be looked at: names may overlap in the file, so that reading
  // them could take longer than its size lets expect.
  uint64_t names_left = ~uint64_t{0};
  // Likewise, of DIEs of other units that are looked through for the scopes of one of them.
  uint64_t others_left = ~uint64_t{0};
  DieRef::Space space = DieRef::Space::Info;
  uint64_t begin = 0;  // of the unit, in its section
  uint64_t end = 0;
  std::vector<Scope> scopes;
  std::vector<RawType> types;        // sorted by die
  std::vector<RawMember> members;    // sorted by owner
  std::vector<uint64_t> dimensions;  // counts of elements
  std::vector<RawVariable> variables;
  bool is_split = false;  // what it describes is in another file (.dwo)
  bool damaged = false;
  void clear();  // all but what belongs to the file
  [[nodiscard]] bool contains(DieRef ref) const {
    return ref.space() == space && ref.offset() >= begin && ref.offset() < end;
  }
  // Index of the type at `ref`; nothing when the unit has none there.
  [[nodiscard]] std::optional<uint32_t> find(DieRef ref) const;
  // The scope that `die` is declared in.
  [[nodiscard]] uint32_t scope_of(uint64_t die) const;
  [[nodiscard]] uint64_t hash_of_scope(uint32_t scope) const;
  // "outer::inner::name", cut at 64 KiB.
  [[nodiscard]] std::string qualified(uint32_t scope, std::string_view name) const;
  [[nodiscard]] std::vector<std::string_view> parts_of(uint32_t scope) const;
};

// Whether programs in it are shown as in C++ (DW_LANG_*).
[[nodiscard]] bool is_cpp(uint64_t language);
// Of a base type (DW_ATE_*), and of what is none (DW_TAG_*).
[[nodiscard]] TypeKind kind_of_encoding(uint64_t encoding);
[[nodiscard]] TypeKind kind_of_tag(uint16_t tag);
// Typedefs and qualifiers: the type is what they lead to.
[[nodiscard]] bool is_alias(uint16_t tag);

// FNV-1a; hash_of("b", hash_of("a")) == hash_of("ab").
constexpr uint64_t kNoHash = 14695981039346656037ULL;
[[nodiscard]] constexpr uint64_t hash_of(std::string_view text, uint64_t hash = kNoHash) {
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ULL;
  return hash;
}
// Of the qualified name: the same for every unit.
[[nodiscard]] uint64_t qualified_hash(const Scope& scope, std::string_view name);

// Fills `out`, which may be what another unit of the same file left behind. `others` is asked for
// names and types that are kept in other units (LTO).
void read_unit_types(const UnitReader& reader, UnitFinder& others, bool assume_cpp, UnitTypes& out);

// ---- the simple locations and offsets that DWARF expressions give; all others are nothing -------

// Of DW_AT_data_member_location; nothing for what depends on the object (virtual bases).
[[nodiscard]] std::optional<uint64_t> constant_member_offset(const UnitReader& reader,
                                                             const AttributeValue& value);

struct StaticPlace {
  uint64_t value = 0;  // an address in the file; of a thread-local variable an offset
  bool is_thread_local = false;
};
// Of a variable that is not on a stack.
[[nodiscard]] std::optional<StaticPlace> static_place(const UnitReader& reader, Bytes expression);

}  // namespace heapscan
