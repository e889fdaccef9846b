#include "symbols/dwarf/unit.h"

#include <dwarf.h>

#include <algorithm>

namespace heapscan {

namespace {

constexpr size_t kMostAbbrevs = 1'000'000;  // of one table
constexpr size_t kMostSpecs = 128;          // of one abbreviation; more is damage
constexpr size_t kLongestUnitText = 64 << 10;

// GNU extensions of the time before DWARF 5; dwarf.h of old elfutils lacks some.
constexpr uint64_t kGnuDwoName = 0x2130;
constexpr uint64_t kGnuAddrBase = 0x2133;

Attribute attribute_of(uint64_t name) {
  switch (name) {
    case DW_AT_abstract_origin:
      return Attribute::AbstractOrigin;
    case DW_AT_addr_base:
    case kGnuAddrBase:
      return Attribute::AddrBase;
    case DW_AT_bit_size:
      return Attribute::BitSize;
    case DW_AT_byte_size:
      return Attribute::ByteSize;
    case DW_AT_const_value:
      return Attribute::ConstValue;
    case DW_AT_count:
      return Attribute::Count;
    case DW_AT_data_bit_offset:
      return Attribute::DataBitOffset;
    case DW_AT_data_member_location:
      return Attribute::DataMemberLocation;
    case DW_AT_declaration:
      return Attribute::Declaration;
    case DW_AT_dwo_name:
    case kGnuDwoName:
      return Attribute::DwoName;
    case DW_AT_encoding:
      return Attribute::Encoding;
    case DW_AT_external:
      return Attribute::External;
    case DW_AT_language:
      return Attribute::Language;
    case DW_AT_location:
      return Attribute::Location;
    case DW_AT_name:
      return Attribute::Name;
    case DW_AT_sibling:
      return Attribute::Sibling;
    case DW_AT_signature:
      return Attribute::Signature;
    case DW_AT_specification:
      return Attribute::Specification;
    case DW_AT_str_offsets_base:
      return Attribute::StrOffsetsBase;
    case DW_AT_type:
      return Attribute::Type;
    case DW_AT_upper_bound:
      return Attribute::UpperBound;
    default:
      return Attribute::Ignored;
  }
}

std::string_view bounded_text(Bytes section, uint64_t offset) {
  if (offset >= section.size()) return {};
  return string_at(section.subspan(offset, std::min(section.size() - offset, kLongestUnitText)), 0);
}

AbbrevTable parse_abbrevs(Bytes section, uint64_t offset, uint64_t& bytes) {
  AbbrevTable table;
  DwarfCursor cursor(section, offset);
  while (!cursor.at_end() && table.abbrevs.size() < kMostAbbrevs) {
    AbbrevTable::Abbrev abbrev{};
    abbrev.code = cursor.uleb();
    if (abbrev.code == 0) break;
    const uint64_t tag = cursor.uleb();
    abbrev.tag = tag <= 0xffff ? static_cast<uint16_t>(tag) : uint16_t{0xffff};
    abbrev.has_children = cursor.u8() != 0;
    abbrev.first_spec = static_cast<uint32_t>(table.specs.size());
    while (!cursor.failed()) {
      const uint64_t name = cursor.uleb();
      const uint64_t form = cursor.uleb();
      const int64_t implicit = form == DW_FORM_implicit_const ? cursor.sleb() : 0;
      if (name == 0 && form == 0) break;
      table.specs.push_back({attribute_of(name),
                             form <= 0xffff ? static_cast<uint16_t>(form) : uint16_t{0xffff},
                             implicit});
    }
    if (cursor.failed() || table.specs.size() - abbrev.first_spec > kMostSpecs) break;
    abbrev.specs = static_cast<uint32_t>(table.specs.size()) - abbrev.first_spec;
    table.abbrevs.push_back(abbrev);
  }
  bytes += cursor.at() - std::min(offset, cursor.at());
  std::stable_sort(table.abbrevs.begin(), table.abbrevs.end(),
                   [](const auto& a, const auto& b) { return a.code < b.code; });
  return table;
}

}  // namespace

const AbbrevTable::Abbrev* AbbrevTable::find(uint64_t code) const {
  if (code - 1 < abbrevs.size() && abbrevs[code - 1].code == code) return &abbrevs[code - 1];
  const auto found = std::partition_point(abbrevs.begin(), abbrevs.end(),
                                          [&](const Abbrev& a) { return a.code < code; });
  return found != abbrevs.end() && found->code == code ? &*found : nullptr;
}

std::shared_ptr<const AbbrevTable> AbbrevCache::table(const DwarfFile& file, uint64_t offset) {
  for (const Entry& entry : entries_) {
    if (entry.file == &file && entry.offset == offset) return entry.table;
  }
  Entry& entry = entries_[oldest_];
  oldest_ = (oldest_ + 1) % entries_.size();
  entry = {&file, offset,
           std::make_shared<AbbrevTable>(
               exhausted() ? AbbrevTable() : parse_abbrevs(file.abbrev, offset, parsed_bytes_))};
  return entry.table;
}

UnitReader::UnitReader(const DwarfFile& file, const DwarfUnit& unit, AbbrevCache& cache)
    : file_(&file),
      unit_(&unit),
      section_(file.section_of(unit).first(unit.end)),
      abbrevs_(cache.table(file, unit.abbrevs)) {
  if (!read(unit.first_die, root_)) root_.tag = 0;
  // Without the attribute, the first table begins behind a header.
  str_offsets_base_ = number(root_.find(Attribute::StrOffsetsBase)).value_or(unit.offset_size * 2);
  addr_base_ = number(root_.find(Attribute::AddrBase)).value_or(unit.version >= 5 ? 8 : 0);
}

bool UnitReader::read(uint64_t offset, Die& die) const {
  die.present = 0;
  die.tag = 0;
  die.has_children = false;
  die.offset = offset;
  if (offset < unit_->first_die || offset >= unit_->end) return false;
  DwarfCursor cursor(section_, offset);
  const uint64_t code = cursor.uleb();
  die.next = cursor.at();
  if (code == 0) return !cursor.failed();
  const AbbrevTable::Abbrev* const abbrev = abbrevs_->find(code);
  if (abbrev == nullptr) return false;
  const AbbrevTable::Spec* const specs = abbrevs_->specs.data() + abbrev->first_spec;
  for (uint32_t i = 0; i < abbrev->specs; ++i) {
    const AttributeValue value = read_form(cursor, specs[i].form, specs[i].implicit);
    if (specs[i].attribute == Attribute::Ignored) continue;
    const auto slot = static_cast<size_t>(specs[i].attribute);
    die.values[slot] = value;
    die.present |= uint64_t{1} << slot;
  }
  die.tag = abbrev->tag;
  die.has_children = abbrev->has_children;
  die.next = cursor.at();
  return !cursor.failed();
}

AttributeValue UnitReader::read_form(DwarfCursor& cursor, uint64_t form, int64_t implicit) const {
  if (form == DW_FORM_indirect) {
    form = cursor.uleb();
    if (form == DW_FORM_indirect || form == DW_FORM_implicit_const)
      return cursor.fail(), AttributeValue();
  }
  AttributeValue result;
  result.form = static_cast<uint16_t>(form);
  const auto block = [&](uint64_t size) {
    result.value = cursor.at();
    result.size = size;
    cursor.skip(size);
  };
  switch (form) {
    case DW_FORM_flag_present:
      result.value = 1;
      break;
    case DW_FORM_implicit_const:
      result.value = static_cast<uint64_t>(implicit);
      break;
    case DW_FORM_data1:
    case DW_FORM_ref1:
    case DW_FORM_flag:
    case DW_FORM_strx1:
    case DW_FORM_addrx1:
      result.value = cursor.u8();
      break;
    case DW_FORM_data2:
    case DW_FORM_ref2:
    case DW_FORM_strx2:
    case DW_FORM_addrx2:
      result.value = cursor.u16();
      break;
    case DW_FORM_strx3:
    case DW_FORM_addrx3:
      result.value = cursor.unsigned_of(3);
      break;
    case DW_FORM_data4:
    case DW_FORM_ref4:
    case DW_FORM_ref_sup4:
    case DW_FORM_strx4:
    case DW_FORM_addrx4:
      result.value = cursor.u32();
      break;
    case DW_FORM_addr:
    case DW_FORM_data8:
    case DW_FORM_ref8:
    case DW_FORM_ref_sig8:
    case DW_FORM_ref_sup8:
      result.value = cursor.u64();
      break;
    case DW_FORM_sdata:
      result.value = static_cast<uint64_t>(cursor.sleb());
      break;
    case DW_FORM_udata:
    case DW_FORM_ref_udata:
    case DW_FORM_strx:
    case DW_FORM_addrx:
    case DW_FORM_loclistx:
    case DW_FORM_rnglistx:
    case DW_FORM_GNU_addr_index:
    case DW_FORM_GNU_str_index:
      result.value = cursor.uleb();
      break;
    case DW_FORM_ref_addr:
      result.value = cursor.unsigned_of(unit_->version == 2 ? 8 : unit_->offset_size);
      break;
    case DW_FORM_strp:
    case DW_FORM_line_strp:
    case DW_FORM_strp_sup:
    case DW_FORM_sec_offset:
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_GNU_strp_alt:
      result.value = cursor.unsigned_of(unit_->offset_size);
      break;
    case DW_FORM_string:
      result.value = cursor.at();
      (void)cursor.text();
      break;
    case DW_FORM_block1:
      block(cursor.u8());
      break;
    case DW_FORM_block2:
      block(cursor.u16());
      break;
    case DW_FORM_block4:
      block(cursor.u32());
      break;
    case DW_FORM_block:
    case DW_FORM_exprloc:
      block(cursor.uleb());
      break;
    case DW_FORM_data16:
      block(16);
      break;
    default:
      cursor.fail();
  }
  return result;
}

std::string_view UnitReader::indexed_text(uint64_t index) const {
  if (index > file_->str_offsets.size()) return {};
  DwarfCursor cursor(file_->str_offsets, str_offsets_base_ + index * unit_->offset_size);
  const uint64_t offset = cursor.unsigned_of(unit_->offset_size);
  return cursor.failed() ? std::string_view() : bounded_text(file_->str, offset);
}

std::string_view UnitReader::text(const AttributeValue* value) const {
  if (value == nullptr) return {};
  switch (value->form) {
    case DW_FORM_string:
      return bounded_text(section_, value->value);
    case DW_FORM_strp:
      return bounded_text(file_->str, value->value);
    case DW_FORM_line_strp:
      return bounded_text(file_->line_str, value->value);
    case DW_FORM_GNU_strp_alt:
    case DW_FORM_strp_sup:
      return file_->alternate == nullptr ? std::string_view()
                                         : bounded_text(file_->alternate->str, value->value);
    case DW_FORM_strx:
    case DW_FORM_strx1:
    case DW_FORM_strx2:
    case DW_FORM_strx3:
    case DW_FORM_strx4:
    case DW_FORM_GNU_str_index:
      return indexed_text(value->value);
    default:
      return {};
  }
}

std::optional<uint64_t> UnitReader::number(const AttributeValue* value) const {
  if (value == nullptr) return std::nullopt;
  switch (value->form) {
    case DW_FORM_data1:
    case DW_FORM_data2:
    case DW_FORM_data4:
    case DW_FORM_data8:
    case DW_FORM_udata:
    case DW_FORM_sdata:
    case DW_FORM_implicit_const:
    case DW_FORM_sec_offset:
      return value->value;
    default:
      return std::nullopt;
  }
}

std::optional<FileAddr> UnitReader::address_at_index(uint64_t index) const {
  if (index > file_->addr.size()) return std::nullopt;
  const auto found = read_at<uint64_t>(file_->addr, addr_base_ + index * 8);
  if (!found) return std::nullopt;
  return FileAddr(*found);
}

DieRef UnitReader::reference(const AttributeValue* value) const {
  if (value == nullptr) return {};
  switch (value->form) {
    case DW_FORM_ref1:
    case DW_FORM_ref2:
    case DW_FORM_ref4:
    case DW_FORM_ref8:
    case DW_FORM_ref_udata:
      return value->value < unit_->end - unit_->begin
                 ? DieRef(unit_->space, unit_->begin + value->value)
                 : DieRef();
    case DW_FORM_ref_addr:
      return {DieRef::Space::Info, value->value};
    case DW_FORM_ref_sig8:
      return {DieRef::Space::Signature, value->value};
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_ref_sup4:
    case DW_FORM_ref_sup8:
      return {DieRef::Space::Alternate, value->value};
    default:
      return {};
  }
}

std::optional<Bytes> UnitReader::block(const AttributeValue* value) const {
  if (value == nullptr) return std::nullopt;
  switch (value->form) {
    case DW_FORM_exprloc:
    case DW_FORM_block:
    case DW_FORM_block1:
    case DW_FORM_block2:
    case DW_FORM_block4:
      return slice(section_, value->value, value->size);
    default:
      return std::nullopt;
  }
}

std::optional<uint64_t> UnitReader::behind_children(const Die& die) const {
  const DieRef sibling = reference(die.find(Attribute::Sibling));
  if (!sibling.valid() || sibling.space() != unit_->space || sibling.offset() < die.next ||
      sibling.offset() >= unit_->end) {
    return std::nullopt;
  }
  return sibling.offset();
}

const UnitReader* UnitFinder::unit_of(DieRef ref) {
  const bool away = ref.space() == DieRef::Space::Alternate;
  const DwarfFile* const file = away ? file_.alternate : &file_;
  if (file == nullptr) return nullptr;
  if (away) ref = DieRef(DieRef::Space::Info, ref.offset());
  if (last_ && &last_->file() == file && last_->contains(ref)) return &*last_;
  // Units are sorted by section, then place.
  const auto above =
      std::partition_point(file->units.begin(), file->units.end(), [&](const DwarfUnit& unit) {
        return unit.space < ref.space() ||
               (unit.space == ref.space() && unit.begin <= ref.offset());
      });
  if (above == file->units.begin()) return nullptr;
  const DwarfUnit& unit = *std::prev(above);
  if (unit.space != ref.space() || ref.offset() >= unit.end) return nullptr;
  last_.emplace(*file, unit, cache_);
  return last_->valid() ? &*last_ : nullptr;
}

}  // namespace heapscan
