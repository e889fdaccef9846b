// The DIEs of one unit, in the order of the file. Nothing here recurses or follows a reference.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "symbols/dwarf/cursor.h"
#include "symbols/dwarf/file.h"

namespace heapscan {

// The attributes that are read; all others are stepped over.
enum class Attribute : uint8_t {
  AbstractOrigin,
  AddrBase,
  BitSize,
  ByteSize,
  ConstValue,
  Count,
  DataBitOffset,
  DataMemberLocation,
  Declaration,
  DwoName,
  Encoding,
  External,
  Language,
  Location,
  Name,
  Sibling,
  Signature,
  Specification,
  StrOffsetsBase,
  Type,
  UpperBound,
  Ignored,  // none of these; last
};
constexpr size_t kAttributes = static_cast<size_t>(Attribute::Ignored);

struct AttributeValue {
  uint16_t form = 0;   // DW_FORM_*
  uint64_t value = 0;  // of a block or inline string: where it begins in the section
  uint64_t size = 0;   // of a block
};

struct Die {
  uint64_t offset = 0;
  uint64_t next = 0;  // where its attributes end
  uint16_t tag = 0;   // 0: the end of a list of children
  bool has_children = false;
  uint64_t present = 0;  // one bit per Attribute
  std::array<AttributeValue, kAttributes> values;

  [[nodiscard]] const AttributeValue* find(Attribute a) const {
    const auto i = static_cast<size_t>(a);
    return (present >> i & 1) != 0 ? &values[i] : nullptr;
  }
  [[nodiscard]] bool has(Attribute a) const { return find(a) != nullptr; }
};

struct AbbrevTable {
  struct Spec {
    Attribute attribute;
    uint16_t form;
    int64_t implicit;
  };
  struct Abbrev {
    uint64_t code;
    uint16_t tag;
    bool has_children;
    uint32_t first_spec;
    uint32_t specs;
  };
  std::vector<Abbrev> abbrevs;  // sorted by code
  std::vector<Spec> specs;
  [[nodiscard]] const Abbrev* find(uint64_t code) const;
};

// Parsed tables, the latest few of them. Not to be shared between threads.
class AbbrevCache {
 public:
  [[nodiscard]] std::shared_ptr<const AbbrevTable> table(const DwarfFile& file, uint64_t offset);
  // Whether more was parsed than any sound file needs.
  [[nodiscard]] bool exhausted() const { return parsed_bytes_ > kMostBytes; }

 private:
  static constexpr uint64_t kMostBytes = uint64_t{2} << 30;
  struct Entry {
    const DwarfFile* file = nullptr;
    uint64_t offset = 0;
    std::shared_ptr<const AbbrevTable> table;
  };
  std::array<Entry, 16> entries_;
  size_t oldest_ = 0;
  uint64_t parsed_bytes_ = 0;
};

// Of a well-formed unit; what goes further is damaged or hostile.
inline constexpr size_t kDeepestDie = 512;  // entries open at once
inline constexpr int kMostOrigins = 4;      // from an instance to what it is an instance of

class UnitReader {
 public:
  UnitReader(const DwarfFile& file, const DwarfUnit& unit, AbbrevCache& cache);

  [[nodiscard]] const DwarfFile& file() const { return *file_; }
  [[nodiscard]] const DwarfUnit& unit() const { return *unit_; }
  // The DIE at `offset`; false past the end of the unit and where it makes no sense.
  [[nodiscard]] bool read(uint64_t offset, Die& die) const;
  // The unit's own DIE, with which it begins.
  [[nodiscard]] const Die& root() const { return root_; }
  [[nodiscard]] bool valid() const { return root_.tag != 0; }

  [[nodiscard]] std::string_view text(const AttributeValue* value) const;  // empty for null
  [[nodiscard]] std::string_view name_of(const Die& die) const {
    return text(die.find(Attribute::Name));
  }
  // Nothing when it is not a constant that is given here.
  [[nodiscard]] std::optional<uint64_t> number(const AttributeValue* value) const;
  [[nodiscard]] std::optional<FileAddr> address_at_index(uint64_t index) const;
  [[nodiscard]] DieRef reference(const AttributeValue* value) const;
  // The bytes of a block or expression.
  [[nodiscard]] std::optional<Bytes> block(const AttributeValue* value) const;
  [[nodiscard]] bool flag(const AttributeValue* value) const {
    return value != nullptr && value->value != 0;
  }
  [[nodiscard]] bool contains(DieRef ref) const {
    return ref.space() == unit_->space && ref.offset() >= unit_->first_die &&
           ref.offset() < unit_->end;
  }
  // Where to go on behind the DIE's children, when it says so.
  [[nodiscard]] std::optional<uint64_t> behind_children(const Die& die) const;

 private:
  [[nodiscard]] AttributeValue read_form(DwarfCursor& cursor, uint64_t form,
                                         int64_t implicit) const;
  [[nodiscard]] std::string_view indexed_text(uint64_t index) const;

  const DwarfFile* file_;
  const DwarfUnit* unit_;
  Bytes section_;
  std::shared_ptr<const AbbrevTable> abbrevs_;
  Die root_;
  uint64_t str_offsets_base_ = 0;
  uint64_t addr_base_ = 0;
};

// Readers for the DIEs that other units name. Not to be shared between threads.
class UnitFinder {
 public:
  UnitFinder(const DwarfFile& file, AbbrevCache& cache) : file_(file), cache_(cache) {}
  // Of the unit that holds the DIE at `ref`, until the next call; null when there is none. What the
  // reader refers to is then meant as in its own file. Signatures are not found.
  [[nodiscard]] const UnitReader* unit_of(DieRef ref);

 private:
  const DwarfFile& file_;
  AbbrevCache& cache_;
  std::optional<UnitReader> last_;
};

}  // namespace heapscan
