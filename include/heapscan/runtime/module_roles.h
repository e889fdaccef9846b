// What part each module plays: the one answer to "is this the program, the C library, the loader,
// a library that every program has?".
//
// Made once by find_module_roles(). A module has one role. The program is the program whatever it
// defines: many define malloc, and a static one is its own C library.
#pragma once

#include <cstdint>

#include "heapscan/base/id.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

enum class ModuleRole : uint8_t {
  Program,     // what was started
  Loader,      // ld.so, also where it was started to load the program
  Glibc,       // the C library, of each namespace
  Musl,        // a C library that is not glibc; loader at the same time
  CppLibrary,  // libstdc++ or libc++
  Support,     // what else comes with the C library and the compiler: libm, libpthread, libgcc_s
  Other,
};

struct ModuleRoles {
  Column<ModuleId, ModuleRole> of;  // one per module
  ModuleId loader;     // that serves the process; none: a static program, or it is not known
  ModuleId c_library;  // that does; may be the program. None when it is not known

  [[nodiscard]] bool is(ModuleId module, ModuleRole role) const { return of[module] == role; }
  [[nodiscard]] bool is_c_library_or_loader(ModuleId module) const {
    return is(module, ModuleRole::Glibc) || is(module, ModuleRole::Musl) ||
           is(module, ModuleRole::Loader);
  }
  // Every program has it, so that it says nothing about this one.
  [[nodiscard]] bool is_system_library(ModuleId module) const {
    return !is(module, ModuleRole::Program) && !is(module, ModuleRole::Other);
  }
};

[[nodiscard]] ModuleRoles find_module_roles(const MemoryImage& image, const Symbols& symbols);

}  // namespace heapscan
