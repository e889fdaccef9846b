// Separate debug files: by build-id under the debug directories, by .gnu_debuglink beside the
// module, or from the debuginfod servers that the user has named.
#pragma once

#include <optional>
#include <string>

#include "heapscan/elf/elf_file.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// `file` may be null: then only the module's build-id can lead somewhere. A file that does not
// match is refused with a note; that there is none is no note.
[[nodiscard]] std::optional<ElfFile> find_debug_file(const Module& module, const ElfFile* file,
                                                     const SymbolOptions& options, Notes& notes);

// The file that dwz moved what several files share into (.gnu_debugaltlink). That it is missing is
// a note: `file` cannot be understood without it.
[[nodiscard]] std::optional<ElfFile> find_alternate_file(const ElfFile& file,
                                                         const SymbolOptions& options,
                                                         Notes& notes);

// The checksum of .gnu_debuglink (CRC-32, IEEE 802.3).
[[nodiscard]] uint32_t debuglink_crc(Bytes bytes);

}  // namespace heapscan
