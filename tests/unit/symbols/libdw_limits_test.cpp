// What is asked of libdw is bounded: files made so that each limit is met, and one step before it.
#include <dwarf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/elf_writer.h"
#include "symbols/dwarf/libdw_file.h"

namespace heapscan {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kUnitCode = 16;  // bytes of code of each unit, one unit behind the other

// Units of DWARF 4 that all use one abbreviation and one line table.
class UnitsWriter {
 public:
  // `filler`: bytes of abbreviations before the one that is used.
  explicit UnitsWriter(size_t units, size_t filler = 0) {
    for (uint64_t i = 0; i < units; ++i) add_unit(i * kUnitCode);
    if (filler != 0) {
      append(abbrev_, uint8_t{2});
      append(abbrev_, uint8_t{DW_TAG_base_type});
      append(abbrev_, uint8_t{DW_CHILDREN_no});
      while (abbrev_.size() < filler) add_attribute(DW_AT_name, DW_FORM_string);
      append(abbrev_, uint16_t{0});
    }
    append(abbrev_, uint8_t{1});
    append(abbrev_, uint8_t{DW_TAG_compile_unit});
    append(abbrev_, uint8_t{DW_CHILDREN_no});
    add_attribute(DW_AT_stmt_list, DW_FORM_sec_offset);
    add_attribute(DW_AT_low_pc, DW_FORM_addr);
    add_attribute(DW_AT_high_pc, DW_FORM_data8);
    append(abbrev_, uint16_t{0});
    append(abbrev_, uint8_t{0});
  }

  // A table that has lines for the code of units `first` to the last one, and as many instructions
  // that do nothing as make it `size` bytes.
  void add_lines(size_t first, uint64_t size = 0) {
    ByteString program;
    append(program, uint8_t{0});
    append(program, uint8_t{9});
    append(program, uint8_t{DW_LNE_set_address});
    append(program, uint64_t{first * kUnitCode});
    append(program, uint8_t{DW_LNS_copy});
    append(program, uint8_t{DW_LNS_fixed_advance_pc});
    append(program, static_cast<uint16_t>((units_.size() - first) * kUnitCode));
    program.resize(std::max<size_t>(program.size(), size), std::byte{DW_LNS_set_basic_block});
    append(program, uint8_t{0});
    append(program, uint8_t{1});
    append(program, uint8_t{DW_LNE_end_sequence});

    ByteString header;
    for (const int byte : {1, 1, 1, -5, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1})
      append(header, static_cast<uint8_t>(byte));
    append(header, uint8_t{0});  // folders
    append_text(header, "a.c");
    for (int i = 0; i < 4; ++i) append(header, uint8_t{0});  // of the file, and no other one

    append(line_, static_cast<uint32_t>(6 + header.size() + program.size()));
    append(line_, uint16_t{4});
    append(line_, static_cast<uint32_t>(header.size()));
    line_.insert(line_.end(), header.begin(), header.end());
    line_.insert(line_.end(), program.begin(), program.end());
  }

  [[nodiscard]] DwarfFile file() const {
    DwarfFile file;
    file.info = info_;
    file.abbrev = abbrev_;
    file.line = line_;
    file.units = units_;
    return file;
  }

  // How many of one address in each unit get a line.
  [[nodiscard]] size_t lines_found() const {
    std::vector<LineQuery> queries(units_.size());
    for (size_t i = 0; i < queries.size(); ++i) queries[i].address = FileAddr{i * kUnitCode + 4};
    find_lines(file(), queries);
    return static_cast<size_t>(std::count_if(queries.begin(), queries.end(),
                                             [](const LineQuery& query) { return query.line; }));
  }

 private:
  void add_attribute(uint8_t name, uint8_t form) {
    append(abbrev_, name);
    append(abbrev_, form);
  }

  void add_unit(uint64_t code) {
    DwarfUnit unit;
    unit.version = 4;
    unit.type = DW_UT_compile;
    unit.begin = info_.size();
    unit.first_die = unit.begin + kHeader;
    append(info_, uint32_t{kHeader - 4 + kDie});
    append(info_, uint16_t{4});
    append(info_, uint32_t{0});
    append(info_, uint8_t{8});
    append(info_, uint8_t{1});
    append(info_, uint32_t{0});  // the table
    append(info_, code);
    append(info_, kUnitCode);
    unit.end = info_.size();
    units_.push_back(unit);
  }

  static constexpr uint32_t kHeader = 11;
  static constexpr uint32_t kDie = 1 + 4 + 8 + 8;
  ByteString info_;
  ByteString abbrev_;
  ByteString line_;
  std::vector<DwarfUnit> units_;
};

TEST(LibdwLimits, LinesOfUnitsAreFound) {
  UnitsWriter units(3);
  units.add_lines(0);
  EXPECT_EQ(units.lines_found(), 3U);
}

// Four times 7 MiB fit into the 32, five do not.
TEST(LibdwLimits, LineTablesAreReadUpTo32MebibytesInAll) {
  UnitsWriter units(5);
  units.add_lines(0, 7 * kMiB);
  EXPECT_EQ(units.lines_found(), 4U);
}

TEST(LibdwLimits, ALineTableOfMoreThan8MebibytesIsNotRead) {
  UnitsWriter large(1);
  large.add_lines(0, 7 * kMiB);
  EXPECT_EQ(large.lines_found(), 1U);
  UnitsWriter too_large(1);
  too_large.add_lines(0, 8 * kMiB);
  EXPECT_EQ(too_large.lines_found(), 0U);
}

TEST(LibdwLimits, After64UnitsWithoutALineNoMoreAreAsked) {
  UnitsWriter few(64);
  few.add_lines(63);
  EXPECT_EQ(few.lines_found(), 1U);
  UnitsWriter many(65);
  many.add_lines(64);
  EXPECT_EQ(many.lines_found(), 0U);
}

// For each unit libdw parses the abbreviations up to the one that its first entry uses.
TEST(LibdwLimits, FilesWhoseAbbreviationsCostTooMuchAreNotOpened) {
  const UnitsWriter few(127, kMiB - 256);
  EXPECT_TRUE(LibdwFile::open(few.file(), LibdwFile::Texts::All).has_value());
  const UnitsWriter many(129, kMiB);
  EXPECT_FALSE(LibdwFile::open(many.file(), LibdwFile::Texts::All).has_value());
}

TEST(LibdwLimits, FilesOfTooManyUnitsAreNotOpened) {
  const UnitsWriter units(1);
  DwarfFile file = units.file();
  file.units.resize(500'000, file.units.front());
  EXPECT_TRUE(LibdwFile::open(file, LibdwFile::Texts::All).has_value());
  file.units.push_back(file.units.front());
  EXPECT_FALSE(LibdwFile::open(file, LibdwFile::Texts::All).has_value());
}

}  // namespace
}  // namespace heapscan
