// A line table is a program that counts addresses up, sequence by sequence; each row holds up to
// the next one. All programs are run through, one after the other, and the queries are held against
// the rows as they go by, so that nothing is kept and .debug_info is not needed to find the right
// one. The names of files are looked up only for rows that answer something.
#include "symbols/dwarf/lines.h"

#include <dwarf.h>

#include <algorithm>

#include "symbols/dwarf/cursor.h"

namespace heapscan {

namespace {

constexpr size_t kLongestSourcePath = 4096;
constexpr uint64_t kMostFormats = 16;
// Bytes of tables read and queries stepped over: programs may overlap at will in a damaged file.
constexpr uint64_t kMostWork = uint64_t{1} << 30;

struct Program {
  Bytes bytes;  // from the header's begin to the program's end
  uint16_t version = 0;
  uint64_t offset_size = 4;
  uint64_t tables = 0;  // of directories and files
  uint64_t code = 0;
  uint8_t instruction_length = 1;
  int8_t line_base = 0;
  uint8_t line_range = 1;
  uint8_t opcode_base = 1;
  Bytes operand_counts;
};

// Moves `at` to the next program; false when this one cannot be read.
bool read_program(Bytes section, uint64_t& at, Program& program) {
  DwarfCursor cursor(section, at);
  const uint64_t begin = at;
  at = section.size();
  uint64_t length = cursor.u32();
  program.offset_size = length == 0xffffffffU ? 8 : 4;
  if (program.offset_size == 8) length = cursor.u64();
  if (cursor.failed() || length > cursor.left()) return false;
  at = cursor.at() + length;
  program.bytes = section.subspan(begin, at - begin);
  cursor = DwarfCursor(program.bytes, cursor.at() - begin);
  program.version = cursor.u16();
  if (program.version < 2 || program.version > 5) return false;
  if (program.version == 5 && (cursor.u8() != 8 || cursor.u8() != 0)) return false;
  const uint64_t header_length = cursor.unsigned_of(program.offset_size);
  if (header_length > cursor.left()) return false;
  program.code = cursor.at() + header_length;
  program.instruction_length = cursor.u8();
  if (program.version >= 4) cursor.u8();  // operations per instruction
  cursor.u8();                            // whether rows are statements at first
  program.line_base = static_cast<int8_t>(cursor.u8());
  program.line_range = cursor.u8();
  program.opcode_base = cursor.u8();
  if (program.opcode_base == 0 || program.line_range == 0) return false;
  program.operand_counts = cursor.block(program.opcode_base - 1U);
  program.tables = cursor.at();
  return !cursor.failed();
}

std::string joined(std::string_view folder, std::string_view name) {
  name = name.substr(0, kLongestSourcePath);
  if (folder.empty() || name.starts_with('/')) return std::string(name);
  return std::string(folder.substr(0, kLongestSourcePath)) + "/" + std::string(name);
}

// Directories and files as they stand in DWARF 2 to 4: file and directory 0 are the unit's own.
std::string file_name_before_5(const Program& program, uint64_t file) {
  DwarfCursor cursor(program.bytes.first(program.code), program.tables);
  const uint64_t folders_at = cursor.at();
  while (!cursor.failed() && !cursor.text().empty()) {
  }
  for (uint64_t i = 1; !cursor.failed(); ++i) {
    const std::string_view name = cursor.text();
    const uint64_t folder = cursor.uleb();
    cursor.uleb();  // time
    cursor.uleb();  // size
    if (name.empty() || cursor.failed()) break;
    if (i != file) continue;
    DwarfCursor folders(program.bytes.first(program.code), folders_at);
    std::string_view folder_name;
    for (uint64_t f = 1; f <= folder && !folders.failed(); ++f) {
      folder_name = folders.text();
      if (folder_name.empty()) break;
    }
    return joined(folder_name, name);
  }
  return {};
}

struct Format {
  uint64_t content;  // DW_LNCT_*
  uint64_t form;
};

struct Entry {
  std::string_view path;
  uint64_t folder = 0;
};

class TablesOf5 {
 public:
  TablesOf5(const DwarfFile& file, const Program& program)
      : file_(file),
        offset_size_(program.offset_size),
        cursor_(program.bytes.first(program.code), program.tables) {}

  [[nodiscard]] std::string name_of(uint64_t file) {
    const std::vector<Entry> folders = read_table(kMostFolders);
    const std::vector<Entry> files = read_table(file + 1);
    if (file >= files.size()) return {};
    // Folder 0 is where the compiler ran; what lies there was given without a folder.
    const uint64_t folder = files[file].folder;
    return joined(folder == 0 || folder >= folders.size() ? "" : folders[folder].path,
                  files[file].path);
  }

 private:
  static constexpr uint64_t kMostFolders = 100'000;

  std::vector<Entry> read_table(uint64_t most) {
    std::vector<Format> formats;
    const uint64_t format_count = cursor_.u8();
    if (format_count > kMostFormats) cursor_.fail();
    for (uint64_t i = 0; i < format_count && !cursor_.failed(); ++i) {
      const uint64_t content = cursor_.uleb();
      formats.push_back({content, cursor_.uleb()});
    }
    const uint64_t count = cursor_.uleb();
    std::vector<Entry> entries;
    for (uint64_t i = 0; i < count && !cursor_.failed(); ++i) {
      const uint64_t before = cursor_.at();
      const Entry entry = read_entry(formats);
      if (cursor_.failed() || cursor_.at() == before) break;
      if (entries.size() < most) entries.push_back(entry);
    }
    return entries;
  }

  Entry read_entry(const std::vector<Format>& formats) {
    Entry entry;
    for (const Format& format : formats) {
      if (format.content == DW_LNCT_path) {
        entry.path = read_text(format.form);
      } else {
        const uint64_t number = read_number(format.form);
        if (format.content == DW_LNCT_directory_index) entry.folder = number;
      }
    }
    return entry;
  }

  std::string_view read_text(uint64_t form) {
    switch (form) {
      case DW_FORM_string:
        return cursor_.text();
      case DW_FORM_line_strp:
        return string_of(file_.line_str, cursor_.unsigned_of(offset_size_));
      case DW_FORM_strp:
        return string_of(file_.str, cursor_.unsigned_of(offset_size_));
      default:
        return cursor_.fail(), std::string_view();
    }
  }

  static std::string_view string_of(Bytes section, uint64_t offset) {
    if (offset >= section.size()) return {};
    return string_at(section.subspan(offset, std::min(section.size() - offset, kLongestSourcePath)),
                     0);
  }

  uint64_t read_number(uint64_t form) {
    switch (form) {
      case DW_FORM_data1:
        return cursor_.u8();
      case DW_FORM_data2:
        return cursor_.u16();
      case DW_FORM_data4:
        return cursor_.u32();
      case DW_FORM_data8:
        return cursor_.u64();
      case DW_FORM_udata:
        return cursor_.uleb();
      case DW_FORM_data16:
        return cursor_.skip(16), 0;
      case DW_FORM_block:
        return cursor_.skip(cursor_.uleb()), 0;
      default:
        return (void)read_text(form), 0;  // the source text, say
    }
  }

  const DwarfFile& file_;
  uint64_t offset_size_;
  DwarfCursor cursor_;
};

class Run {
 public:
  Run(const DwarfFile& file, const Program& program, std::span<LineQuery> queries, uint64_t& work)
      : file_(file),
        program_(program),
        queries_(queries),
        work_(work),
        cursor_(program.bytes, program.code) {}

  void run() {
    start_sequence();
    while (!cursor_.at_end() && !cursor_.failed()) {
      const uint8_t opcode = cursor_.u8();
      if (opcode >= program_.opcode_base) {
        const unsigned adjusted = opcode - program_.opcode_base;
        advance(adjusted / program_.line_range);
        line_ += program_.line_base + static_cast<int64_t>(adjusted % program_.line_range);
        row();
      } else if (opcode == 0) {
        extended();
      } else {
        standard(opcode);
      }
    }
  }

 private:
  void start_sequence() {
    address_ = 0;
    line_ = 1;
    source_ = 1;
    open_ = false;
    next_ = queries_.size();
  }

  void advance(uint64_t operations) { address_ += operations * program_.instruction_length; }

  void standard(uint8_t opcode) {
    switch (opcode) {
      case DW_LNS_copy:
        return row();
      case DW_LNS_advance_pc:
        return advance(cursor_.uleb());
      case DW_LNS_advance_line:
        line_ += cursor_.sleb();
        return;
      case DW_LNS_set_file:
        source_ = cursor_.uleb();
        return;
      case DW_LNS_const_add_pc:
        return advance((255U - program_.opcode_base) / program_.line_range);
      case DW_LNS_fixed_advance_pc:
        address_ += cursor_.u16();
        return;
      default:
        for (auto i = static_cast<uint8_t>(program_.operand_counts[opcode - 1U]); i > 0; --i)
          cursor_.uleb();
    }
  }

  void extended() {
    const uint64_t length = cursor_.uleb();
    if (length == 0) return;
    const uint64_t end = cursor_.at() + std::min(length, cursor_.left());
    switch (cursor_.u8()) {
      case DW_LNE_end_sequence:
        row();
        start_sequence();
        break;
      case DW_LNE_set_address:
        if (length == 9) address_ = cursor_.u64();
        break;
      default:
        break;
    }
    if (cursor_.at() < end) cursor_.skip(end - cursor_.at());
  }

  // The row before holds from its address up to here.
  void row() {
    if (!open_) {
      open_ = address_ != 0;  // at 0 is what the linker threw away
      next_ = static_cast<size_t>(
          std::partition_point(queries_.begin(), queries_.end(),
                               [&](const LineQuery& q) { return q.address.value < address_; }) -
          queries_.begin());
    } else {
      while (next_ < queries_.size() && queries_[next_].address.value < address_) answer();
    }
    row_line_ = line_;
    row_source_ = source_;
  }

  void answer() {
    LineQuery& query = queries_[next_++];
    if (++work_ > kMostWork) return;
    if (query.line != 0 || row_line_ <= 0 || row_line_ > 0xffffffffLL) return;
    if (row_source_ != named_source_ || name_.empty()) {
      name_ = program_.version >= 5 ? TablesOf5(file_, program_).name_of(row_source_)
                                    : file_name_before_5(program_, row_source_);
      named_source_ = row_source_;
      work_ += program_.code - program_.tables;
    }
    if (name_.empty()) return;
    query.file = name_;
    query.line = static_cast<uint32_t>(row_line_);
  }

  const DwarfFile& file_;
  const Program& program_;
  std::span<LineQuery> queries_;
  uint64_t& work_;
  DwarfCursor cursor_;
  uint64_t address_ = 0;
  int64_t line_ = 1;
  uint64_t source_ = 1;
  int64_t row_line_ = 0;
  uint64_t row_source_ = 0;
  bool open_ = false;
  size_t next_ = 0;  // the first query at or above the row
  std::string name_;
  uint64_t named_source_ = 0;
};

}  // namespace

void find_lines(const DwarfFile& file, std::span<LineQuery> queries) {
  if (queries.empty()) return;
  uint64_t work = 0;
  for (uint64_t at = 0; at < file.line.size() && work <= kMostWork;) {
    Program program;
    if (read_program(file.line, at, program)) Run(file, program, queries, work).run();
  }
}

}  // namespace heapscan
