// Types of whole modules out of their DWARF.
#pragma once

#include <span>
#include <vector>

#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/types_builder.h"
#include "symbols/dwarf/file.h"
#include "symbols/dwarf/unwind.h"

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

}  // namespace heapscan
