#include "symbols/dwarf/lists.h"

#include <dwarf.h>

namespace heapscan {

namespace {

constexpr uint64_t kBaseFollows = ~uint64_t{0};  // in the place of an entry's begin
constexpr uint64_t kListsHeader = 12;            // of .debug_rnglists and .debug_loclists

}  // namespace

UnitLists::UnitLists(const UnitReader& reader, uint64_t& entries_left)
    : reader_(reader), entries_left_(entries_left) {
  if (const auto low = reader.address(reader.root().find(Attribute::LowPc))) base_ = low->value;
}

bool UnitLists::covers(const Die& die, FileAddr pc) const {
  if (const AttributeValue* const ranges = die.find(Attribute::Ranges))
    return range_list_covers(*ranges, pc);
  const auto low = reader_.address(die.find(Attribute::LowPc));
  if (!low || pc < *low) return false;
  const AttributeValue* const high = die.find(Attribute::HighPc);
  if (const auto end = reader_.address(high)) return pc < *end;
  const auto size = reader_.number(high);
  return size && pc.value - low->value < *size;
}

std::optional<Bytes> UnitLists::location_at(const AttributeValue* value, FileAddr pc) const {
  if (const auto expression = reader_.block(value)) return expression;
  if (value == nullptr) return std::nullopt;
  const bool is_new = reader_.unit().version >= 5;
  const Bytes section = is_new ? reader_.file().loclists : reader_.file().loc;
  const auto offset = offset_of(*value, section, Attribute::LoclistsBase);
  if (!offset) return std::nullopt;
  std::optional<Bytes> found;
  const auto take = [&](uint64_t begin, uint64_t end, DwarfCursor& cursor) {
    const Bytes expression = cursor.block(is_new ? cursor.uleb() : cursor.u16());
    if (cursor.failed()) return true;
    if (pc.value < begin || pc.value >= end) return false;
    found = expression;
    return true;
  };
  (void)(is_new ? walk_new(section, *offset, true, take) : walk_old(section, *offset, take));
  return found;
}

bool UnitLists::range_list_covers(const AttributeValue& value, FileAddr pc) const {
  const bool is_new = reader_.unit().version >= 5;
  const Bytes section = is_new ? reader_.file().rnglists : reader_.file().ranges;
  const auto offset = offset_of(value, section, Attribute::RnglistsBase);
  if (!offset) return false;
  const auto holds = [&](uint64_t begin, uint64_t end, DwarfCursor&) {
    return pc.value >= begin && pc.value < end;
  };
  return is_new ? walk_new(section, *offset, false, holds) : walk_old(section, *offset, holds);
}

// By number in a table of offsets, or the offset itself.
std::optional<uint64_t> UnitLists::offset_of(const AttributeValue& value, Bytes section,
                                             Attribute base) const {
  if (value.form == DW_FORM_rnglistx || value.form == DW_FORM_loclistx) {
    const uint64_t table = reader_.number(reader_.root().find(base)).value_or(kListsHeader);
    if (value.value > section.size() || table > section.size()) return std::nullopt;
    DwarfCursor cursor(section, table + value.value * reader_.unit().offset_size);
    const uint64_t offset = cursor.unsigned_of(reader_.unit().offset_size);
    if (cursor.failed() || offset > section.size()) return std::nullopt;
    return table + offset;
  }
  return reader_.number(&value);
}

template <typename F>
bool UnitLists::walk_old(Bytes section, uint64_t offset, F&& f) const {
  DwarfCursor cursor(section, offset);
  uint64_t base = base_;
  while (!cursor.failed() && entries_left_ > 0) {
    --entries_left_;
    const uint64_t begin = cursor.u64();
    const uint64_t end = cursor.u64();
    if (cursor.failed() || (begin == 0 && end == 0)) return false;
    if (begin == kBaseFollows) {
      base = end;
    } else if (f(base + begin, base + end, cursor)) {
      return true;
    }
  }
  return false;
}

template <typename F>
bool UnitLists::walk_new(Bytes section, uint64_t offset, bool locations, F&& f) const {
  DwarfCursor cursor(section, offset);
  uint64_t base = base_;
  const auto indexed = [&](uint64_t index) {
    const auto address = reader_.address_at_index(index);
    return address ? address->value : 0;
  };
  while (!cursor.failed() && entries_left_ > 0) {
    --entries_left_;
    uint64_t begin = 0;
    uint64_t end = 0;
    // The kinds of both lists have the same numbers up to 4; locations have one more then, the
    // default.
    uint8_t kind = cursor.u8();
    if (locations && kind == DW_LLE_default_location) {
      if (f(0, ~uint64_t{0}, cursor)) return true;
      continue;
    }
    if (locations && kind > DW_LLE_default_location) --kind;
    switch (kind) {
      case DW_RLE_base_addressx:
        base = indexed(cursor.uleb());
        continue;
      case DW_RLE_base_address:
        base = cursor.u64();
        continue;
      case DW_RLE_startx_endx:
        begin = indexed(cursor.uleb());
        end = indexed(cursor.uleb());
        break;
      case DW_RLE_startx_length:
        begin = indexed(cursor.uleb());
        end = begin + cursor.uleb();
        break;
      case DW_RLE_offset_pair:
        begin = base + cursor.uleb();
        end = base + cursor.uleb();
        break;
      case DW_RLE_start_end:
        begin = cursor.u64();
        end = cursor.u64();
        break;
      case DW_RLE_start_length:
        begin = cursor.u64();
        end = begin + cursor.uleb();
        break;
      default:
        return false;
    }
    if (!cursor.failed() && f(begin, end, cursor)) return true;
  }
  return false;
}

}  // namespace heapscan
