// Layouts of the C library's allocator structs, from DWARF.
#pragma once

#include <map>
#include <string>

#include "heapscan/elf/elf_file.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

class KeptSections;

// malloc_state, malloc_par, tcache_perthread_struct, tcache_entry, _heap_info and malloc_chunk, as
// far as `file` describes them in the unit of malloc.c. Every walk is bounded; damaged DWARF yields
// what was understood before. `kept`: where what is unpacked may be kept.
[[nodiscard]] std::map<std::string, StructLayout, std::less<>> read_malloc_structs(
    const ElfFile& file, KeptSections* kept = nullptr);

}  // namespace heapscan
