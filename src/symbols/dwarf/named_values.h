// What the source calls the values that code has at some place: by location lists of variables, and
// members of what they point to.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "heapscan/elf/elf_file.h"
#include "heapscan/symbols/debug_info.h"
#include "symbols/dwarf/file.h"

namespace heapscan {

// A ValuePlace with addresses of the file.
struct ValueQuery {
  ValuePlace::Kind kind = ValuePlace::Kind::Register;
  FileAddr begin;
  FileAddr end;
  uint8_t reg = 0;
  int64_t displacement = 0;
  int64_t member = 0;
};

// One answer per query, which are sorted by `begin`. `code` says where frames lie; may be null.
[[nodiscard]] std::vector<std::optional<NamedValue>> find_named_values(
    const DwarfFile& file, const ElfFile* code, std::span<const ValueQuery> queries);

}  // namespace heapscan
