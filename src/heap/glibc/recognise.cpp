// glibc gives itself away by its name and one function; in a static program, by what is left of it.

#include <algorithm>
#include <string_view>

#include "heap/allocator_detection.h"
#include "heap/glibc/glibc_heap.h"

namespace heapscan::glibc {

namespace {

constexpr std::string_view kMessages[] = {"malloc(): ", "corrupted double-linked list",
                                          "munmap_chunk(): invalid pointer"};

std::optional<Recognition> recognise_library(const HeapInputs& inputs, ModuleId id) {
  const Module& module = inputs.image.modules()[id];
  const std::string_view file = module.file_name();
  const std::string name = name_in_sentence(module);
  if (inputs.runtime.roles.is(id, ModuleRole::Glibc) ||
      inputs.symbols.exports(id, "gnu_get_libc_version")) {
    return Recognition{id, name + " serves malloc"};
  }
  if (file.starts_with("libc_malloc_debug.so")) {
    const ModuleId c_library = inputs.runtime.roles.c_library;
    return Recognition{c_library.valid() ? c_library : id, "glibc's malloc, checked by " + name};
  }
  return std::nullopt;
}

std::optional<Recognition> recognise_in_program(const HeapInputs& inputs, ModuleId id) {
  const Module& module = inputs.image.modules()[id];
  const std::string linked = name_in_sentence(module) + " is linked with glibc's malloc: it has ";
  for (const std::string_view symbol : {"main_arena", "__libc_mallopt", "_int_malloc"}) {
    if (inputs.symbols.address_of(id, symbol))
      return Recognition{id, linked + "\"" + std::string(symbol) + "\""};
  }
  for (const std::string_view message : kMessages) {
    if (holds_text(inputs.image, module, message))
      return Recognition{id, linked + "the message \"" + std::string(message) + "\""};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Recognition> recognise(const HeapInputs& inputs, ModuleId module, Linkage linkage) {
  return linkage == Linkage::Dynamic ? recognise_library(inputs, module)
                                     : recognise_in_program(inputs, module);
}

// Some arena of the C library has memory.
std::optional<Recognition> find_in_use(const HeapInputs& inputs) {
  Notes ignored;
  const ModuleId c_library = inputs.runtime.roles.c_library;
  for (const Ring& ring : find_rings(inputs.image, inputs.symbols, c_library, ignored)) {
    const bool used = std::any_of(ring.states.begin(), ring.states.end(), [&](Addr state) {
      return inputs.image.read<uint64_t>(state + ring.layout.system_mem()).value_or(0) != 0;
    });
    if (used) return Recognition{c_library, "arenas of glibc's shape are in use"};
  }
  return std::nullopt;
}

}  // namespace heapscan::glibc
