// DWARF written by hand, byte by byte, to say what no compiler says.
#include <dwarf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/elf_writer.h"
#include "symbols/dwarf/type_table.h"

namespace heapscan {
namespace {

using testing::IsEmpty;

// One DWARF 4 unit: abbreviations are added as they are used.
class UnitWriter {
 public:
  UnitWriter() { begin(DW_TAG_compile_unit, true); }

  // The offset at which the DIE will be.
  size_t begin(uint8_t tag, bool children,
               std::initializer_list<std::pair<int, int>> attributes = {}) {
    const size_t at = kHeader + info_.size();
    append(info_, ++abbrev_count_);
    append(abbrev_, abbrev_count_);
    append(abbrev_, tag);
    append(abbrev_, static_cast<uint8_t>(children));
    for (const auto& [name, form] : attributes) {
      append(abbrev_, static_cast<uint8_t>(name));
      append(abbrev_, static_cast<uint8_t>(form));
    }
    append(abbrev_, uint16_t{0});
    return at;
  }
  template <typename T>
  UnitWriter& value(T v) {
    append(info_, v);
    return *this;
  }
  UnitWriter& text(std::string_view t) {
    append_text(info_, t);
    return *this;
  }
  void end() { append(info_, uint8_t{0}); }

  static constexpr uint32_t kHeader = 11;
  DwarfFile file() {
    whole_.clear();
    append(whole_, static_cast<uint32_t>(kHeader - 4 + info_.size()));
    append(whole_, uint16_t{4});
    append(whole_, uint32_t{0});
    append(whole_, uint8_t{8});
    whole_.insert(whole_.end(), info_.begin(), info_.end());
    DwarfFile file;
    file.info = whole_;
    file.abbrev = abbrev_;
    DwarfUnit unit;
    unit.version = 4;
    unit.type = DW_UT_compile;
    unit.first_die = kHeader;
    unit.end = whole_.size();
    file.units.push_back(unit);
    return file;
  }

 private:
  ByteString info_;
  ByteString abbrev_;
  ByteString whole_;
  uint8_t abbrev_count_ = 0;
};

UnitTypes raw_types_of(const DwarfFile& file) {
  AbbrevCache cache;
  UnitFinder others(file, cache);
  UnitTypes types;
  read_unit_types(UnitReader(file, file.units[0], cache), others, false, types);
  return types;
}

Types types_of(const DwarfFile& file) {
  UnitTypes raw = raw_types_of(file);
  TypeTable table;
  table.add(raw, false);
  table.resolve_references();
  table.resolve_declarations();
  TypesBuilder builder;
  table.emit(builder);
  return builder.freeze();
}

TEST(HostileDwarf, TypedefsOfThemselvesEnd) {
  UnitWriter unit;
  const auto first = unit.begin(DW_TAG_typedef, false, {{DW_AT_type, DW_FORM_ref4}});
  unit.value(static_cast<uint32_t>(first));
  const auto second = unit.begin(DW_TAG_typedef, false, {{DW_AT_type, DW_FORM_ref4}});
  unit.value(static_cast<uint32_t>(second + 5));
  unit.begin(DW_TAG_const_type, false, {{DW_AT_type, DW_FORM_ref4}});
  unit.value(static_cast<uint32_t>(second));
  const auto pointer = unit.begin(DW_TAG_pointer_type, false, {{DW_AT_type, DW_FORM_ref4}});
  unit.value(static_cast<uint32_t>(pointer));
  unit.end();
  const Types types = types_of(unit.file());
  for (size_t i = 0; i < types.size(); ++i) EXPECT_FALSE(types.spelled(TypeId(i)).empty());
}

TEST(HostileDwarf, AStructDoesNotContainItself) {
  UnitWriter unit;
  const auto self = unit.begin(DW_TAG_structure_type, true,
                               {{DW_AT_name, DW_FORM_string}, {DW_AT_byte_size, DW_FORM_data1}});
  unit.text("self").value(uint8_t{8});
  unit.begin(DW_TAG_member, false,
             {{DW_AT_type, DW_FORM_ref4}, {DW_AT_data_member_location, DW_FORM_data1}});
  unit.value(static_cast<uint32_t>(self)).value(uint8_t{0});
  unit.begin(DW_TAG_member, false,
             {{DW_AT_type, DW_FORM_ref4}, {DW_AT_data_member_location, DW_FORM_data1}});
  unit.value(static_cast<uint32_t>(self)).value(uint8_t{200});
  unit.end();
  unit.end();
  const Types types = types_of(unit.file());
  ASSERT_EQ(types.named("self").size(), 1U);
  const auto members = types.members(types.named("self")[0]);
  ASSERT_EQ(members.size(), 1U) << "what lies outside is left out";
  EXPECT_FALSE(members[0].type.valid());
}

TEST(HostileDwarf, SiblingsThatPointBackwardsAreNotFollowed) {
  UnitWriter unit;
  const auto function = unit.begin(DW_TAG_lexical_block, true);
  unit.begin(DW_TAG_inlined_subroutine, true, {{DW_AT_sibling, DW_FORM_ref4}});
  unit.value(static_cast<uint32_t>(function));
  unit.end();
  unit.end();
  unit.begin(DW_TAG_base_type, false,
             {{DW_AT_name, DW_FORM_string}, {DW_AT_byte_size, DW_FORM_data1}});
  unit.text("int").value(uint8_t{4});
  unit.end();
  const Types types = types_of(unit.file());
  ASSERT_EQ(types.size(), 1U);
  EXPECT_EQ(types.spelled(TypeId(0)), "int");
}

TEST(HostileDwarf, AbsurdNestingIsDamage) {
  UnitWriter unit;
  unit.begin(DW_TAG_base_type, false,
             {{DW_AT_name, DW_FORM_string}, {DW_AT_byte_size, DW_FORM_data1}});
  unit.text("int").value(uint8_t{4});
  unit.begin(DW_TAG_lexical_block, true);
  for (int i = 0; i < 100'000; ++i) unit.value(uint8_t{3});  // that abbreviation again
  const UnitTypes raw = raw_types_of(unit.file());
  EXPECT_TRUE(raw.damaged);
  EXPECT_EQ(raw.types.size(), 1U) << "what came before is understood";
}

TEST(HostileDwarf, NamesAreReadWithinABudget) {
  UnitWriter unit;
  for (int i = 0; i < 3; ++i) {
    unit.begin(DW_TAG_base_type, false,
               {{DW_AT_name, DW_FORM_string}, {DW_AT_byte_size, DW_FORM_data1}});
    unit.text("1234567890").value(uint8_t{4});
  }
  unit.end();
  const DwarfFile file = unit.file();
  AbbrevCache cache;
  UnitFinder others(file, cache);
  UnitTypes types;
  types.names_left = 25;
  read_unit_types(UnitReader(file, file.units[0], cache), others, false, types);
  ASSERT_EQ(types.types.size(), 3U);
  EXPECT_EQ(types.types[1].name, "1234567890");
  EXPECT_EQ(types.types[2].name, "");
  EXPECT_TRUE(types.damaged);
}

TEST(HostileDwarf, AVariableThatDefinesItselfEnds) {
  UnitWriter unit;
  const auto variable =
      unit.begin(DW_TAG_variable, false,
                 {{DW_AT_specification, DW_FORM_ref4}, {DW_AT_location, DW_FORM_exprloc}});
  unit.value(static_cast<uint32_t>(variable)).value(uint8_t{9}).value(uint8_t{DW_OP_addr});
  unit.value(uint64_t{0x1000});
  unit.end();
  EXPECT_THAT(raw_types_of(unit.file()).variables, IsEmpty());
}

TEST(HostileDwarf, HugeArraysHoldNothingTheyCannot) {
  UnitWriter unit;
  const auto number = unit.begin(DW_TAG_base_type, false, {{DW_AT_byte_size, DW_FORM_data1}});
  unit.value(uint8_t{8});
  unit.begin(DW_TAG_array_type, true, {{DW_AT_type, DW_FORM_ref4}});
  unit.value(static_cast<uint32_t>(number));
  for (int i = 0; i < 3; ++i) {
    unit.begin(DW_TAG_subrange_type, false, {{DW_AT_count, DW_FORM_data8}});
    unit.value(uint64_t{1} << 40);
  }
  unit.end();
  unit.end();
  const Types types = types_of(unit.file());
  for (size_t i = 0; i < types.size(); ++i) {
    const Type& type = types.type(TypeId(i));
    if (type.kind != TypeKind::Array || type.count == 0) continue;
    EXPECT_LE(types.type(type.target).size, type.size / type.count);
  }
}

}  // namespace
}  // namespace heapscan
