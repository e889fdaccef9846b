// What a core's notes would have said of the files that were mapped, found in its memory instead.
#pragma once

#include "acquire/core_file.h"

namespace heapscan {

// Fills `core.mappings` (and AT_PHDR, which tells the program from libraries) from the ELF headers
// that were saved and from the loader's list of what it loaded. Does nothing when the list of files
// is there, or nothing is found.
void recover_file_mappings(CoreFile& core);

}  // namespace heapscan
