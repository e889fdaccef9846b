// Types of whole modules out of their DWARF.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"
#include "symbols/dwarf/file.h"
#include "symbols/dwarf/frames.h"

namespace heapscan {

// Where a module's DWARF is.
struct DebugFile {
  ModuleId id;
  const Module* module = nullptr;
  const ElfFile* file = nullptr;
  const ElfFile* alternate = nullptr;  // what dwz moved out; null when there is none
  std::span<const Frame> frames;       // those that ran the module's code
  KeptSections* kept = nullptr;        // where what is unpacked may be kept; may be null
};

// Adds the types and variables of all modules, the locals of their frames in `image`, and notes.
// The same for every number of threads.
void read_module_types(const MemoryImage& image, const std::vector<DebugFile>& modules,
                       TypesBuilder& builder);

// ---- layouts of the C library's allocator structs, from DWARF -----------------------------------

class KeptSections;

// malloc_state, malloc_par, tcache_perthread_struct, tcache_entry, _heap_info and malloc_chunk, as
// far as `file` describes them in the unit of malloc.c. Every walk is bounded; damaged DWARF yields
// what was understood before. `kept`: where what is unpacked may be kept.
[[nodiscard]] StructLayouts read_malloc_structs(const ElfFile& file, KeptSections* kept = nullptr);

}  // namespace heapscan
