// Separate debug files: by build-id under the debug directories, by .gnu_debuglink beside the
// module, or from the debuginfod servers that the user has named.
#pragma once

#include <optional>
#include <string>

#include "heapscan/base/fd.h"
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

// ---- debug files from servers, by the protocol of elfutils' debuginfod --------------------------

struct FetchedFile {
  Fd file;  // invalid when there is none
  std::string path;
};

// The debug file of that build-id, out of the client's cache or from a server. Nobody is asked when
// the environment variable DEBUGINFOD_URLS is unset or empty. Safe to call from several threads.
[[nodiscard]] FetchedFile fetch_debug_file(const std::string& build_id);

// Whether the variable is set but the client's library is not installed.
[[nodiscard]] bool debuginfod_is_missing();

}  // namespace heapscan
