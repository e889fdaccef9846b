// The units whose code has one of the addresses are found by their ranges; libdw then reads their
// line tables, and only theirs. It keeps every row of a table, and the path of every file in it
// spelled out, however often a damaged table names one folder: what that comes to is worked out
// first. Without .debug_str, whose texts are as long as names of templates: compilers have put paths
// into tables or .debug_line_str only, and where the compiler ran is not asked for.
#include "symbols/dwarf/libdw_file.h"

#include <dwarf.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "symbols/dwarf/cursor.h"

namespace heapscan {

namespace {

// Of one unit, and of all that are read. A byte can be a row, for which libdw needs up to 100; GCC
// needs three or four for one.
constexpr uint64_t kLargestTable = uint64_t{8} << 20;
constexpr uint64_t kMostTables = uint64_t{32} << 20;
constexpr uint64_t kMostPathBytes = uint64_t{256} << 20;
// Units that have an address and no line for it: a few functions in assembly, or damage.
constexpr size_t kMostWithoutLines = 64;

uint64_t longest_text(Bytes section) {
  uint64_t longest = 0;
  for (uint64_t at = 0; at < section.size();) {
    const void* const end = std::memchr(section.data() + at, 0, section.size() - at);
    const uint64_t next =
        end == nullptr ? section.size()
                       : static_cast<uint64_t>(static_cast<const std::byte*>(end) - section.data());
    longest = std::max(longest, next - at);
    at = next + 1;
  }
  return longest;
}

class LineSearch {
 public:
  LineSearch(const DwarfFile& file, std::span<LineQuery> queries)
      : queries_(queries), left_(queries.size()), budget_(file) {}

  // Whether there are queries left.
  bool answer(Dwarf_Die& unit, std::span<const size_t> which) {
    const auto is_open = [&](size_t i) { return queries_[i].line == 0; };
    if (std::none_of(which.begin(), which.end(), is_open) || !budget_.allows(unit)) return true;
    const size_t before = left_;
    for (const size_t i : which) {
      if (is_open(i)) answer(unit, queries_[i]);
    }
    without_lines_ += left_ == before ? 1 : 0;
    return left_ > 0 && without_lines_ < kMostWithoutLines;
  }

 private:
  void answer(Dwarf_Die& unit, LineQuery& query) {
    Dwarf_Line* const row = dwarf_getsrc_die(&unit, query.address.value);
    int line = 0;
    if (row == nullptr || dwarf_lineno(row, &line) != 0 || line <= 0) return;
    const char* const path = dwarf_linesrc(row, nullptr, nullptr);
    if (path == nullptr || *path == '\0') return;
    query.file = path;
    query.line = static_cast<uint32_t>(line);
    --left_;
  }

  std::span<LineQuery> queries_;
  size_t left_;
  LineTableBudget budget_;
  size_t without_lines_ = 0;
};

}  // namespace

LineTableBudget::LineTableBudget(const DwarfFile& file) : file_(file), left_(kMostTables) {}

// The table's header: length, version, length of the rest up to the program.
bool LineTableBudget::allows(Dwarf_Die& unit) {
  const auto at = number_of(unit, DW_AT_stmt_list);
  if (!at) return false;
  DwarfCursor cursor(file_.line, *at);
  uint64_t size = cursor.u32();
  const uint64_t offset_size = size == 0xffffffffU ? 8 : 4;
  if (offset_size == 8) size = cursor.u64();
  const uint16_t version = cursor.u16();
  if (version >= 5) cursor.u16();  // sizes of an address and a segment
  const uint64_t header = cursor.unsigned_of(offset_size);
  if (cursor.failed() || size > std::min(kLargestTable, left_) || header > size) return false;
  uint64_t longest = header;
  if (version >= 5) {
    if (longest_line_text_ == 0) longest_line_text_ = 1 + longest_text(file_.line_str);
    longest = longest_line_text_ + longest_text(cursor.block(std::min(header, cursor.left())));
  } else {
    Dwarf_Attribute attribute;
    const char* const folder = dwarf_formstring(dwarf_attr(&unit, DW_AT_comp_dir, &attribute));
    longest = longest_text(cursor.block(std::min(header, cursor.left())));
    if (folder != nullptr) longest += std::strlen(folder);
  }
  constexpr uint64_t kSmallestFile = 2;
  if (2 * longest * (header / kSmallestFile) > kMostPathBytes) return false;
  left_ -= size;
  return true;
}

void find_lines(const DwarfFile& file, std::span<LineQuery> queries) {
  const auto libdw =
      queries.empty() ? std::nullopt : LibdwFile::open(file, LibdwFile::Texts::OfLines);
  if (!libdw) return;
  std::vector<FileAddr> addresses;
  for (const LineQuery& query : queries) addresses.push_back(query.address);
  LineSearch search(file, queries);
  libdw->for_units_with(addresses, [&](size_t, Dwarf_Die& unit, std::span<const size_t> which) {
    return search.answer(unit, which);
  });
}

}  // namespace heapscan
