// What a module takes from others: the entries of its global offset table that the loader binds to
// functions and variables of other modules, by name. Read from the image, as the module's dynamic
// section says (System V ABI, x86-64: R_X86_64_JUMP_SLOT and R_X86_64_GLOB_DAT).
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Calls `f(slot, name)` for each such entry, `slot` being where it lies; names are cut
// after `longest_name` bytes. Bounded. Nothing of a static program, or where the image lacks the
// tables.
void for_each_import(const MemoryImage& image, const Module& module, size_t longest_name,
                     const std::function<void(Addr slot, const std::string& name)>& f);

}  // namespace heapscan
