// The entries of a PT_NOTE segment or SHT_NOTE section (ELF gABI, "Note Section").
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "heapscan/base/bytes.h"

namespace heapscan {

struct ElfNote {
  std::string_view owner;  // "CORE", "LINUX", "GNU", without the NUL
  uint32_t type = 0;       // NT_*
  Bytes content;
};

// Calls f for each whole note, until f returns false. Returns false when the bytes end inside a
// note. `align` is the segment's p_align: 8 pads entries to 8 bytes, everything else to 4.
bool for_each_elf_note(Bytes bytes, uint64_t align, const std::function<bool(const ElfNote&)>& f);

// The GNU build-id among the notes, in lower-case hexadecimal; empty when there is none.
[[nodiscard]] std::string find_build_id(Bytes notes, uint64_t align);

}  // namespace heapscan
