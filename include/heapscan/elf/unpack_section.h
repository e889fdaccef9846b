// The bytes of a section, whether it is compressed (ELF gABI "Section Compression": zlib, zstd) or
// not.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "heapscan/base/note.h"
#include "heapscan/elf/elf_file.h"

namespace heapscan {

struct UnpackedSection {
  Bytes bytes;                  // empty when there is no such section
  std::shared_ptr<void> owner;  // of the bytes; null when the file is
};

// Nothing is unpacked that says to be larger than `limit`, or that is damaged: a note instead.
[[nodiscard]] UnpackedSection unpack_section(const ElfFile& file, std::string_view name,
                                             uint64_t limit, Notes& notes);

}  // namespace heapscan
