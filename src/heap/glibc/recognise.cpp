// glibc gives itself away by its name and one function; in a static program, by what is left of it.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "heap/allocator.h"
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

// The library says its version in a sentence of its read-only data. Only a hint: distributions
// carry changes back.

namespace {

constexpr std::string_view kBanner = "GNU C Library ";
constexpr std::string_view kVersion = " version ";
constexpr size_t kMostBanner = 200;  // characters; the banner has about seventy

std::string version_in(Bytes bytes) {
  const auto* const text = reinterpret_cast<const char*>(bytes.data());
  const void* const at = memmem(text, bytes.size(), kBanner.data(), kBanner.size());
  if (at == nullptr) return {};
  const auto offset = static_cast<size_t>(static_cast<const char*>(at) - text);
  std::string_view line(text + offset, std::min(kMostBanner, bytes.size() - offset));
  line = line.substr(0, line.find('\n'));
  const size_t version = line.find(kVersion);
  if (version == std::string_view::npos) return {};
  std::string_view number = line.substr(version + kVersion.size());
  number = number.substr(0, number.find_first_not_of("0123456789."));
  while (!number.empty() && number.back() == '.') number.remove_suffix(1);
  return std::string(number);
}

}  // namespace

std::string version_of(const MemoryImage& image, const GlibcHeap& found) {
  std::string version;
  for (const Library& library : found.libraries) {
    if (!library.ring.module.valid()) continue;
    for (const ModuleSegment& segment : image.modules()[library.ring.module].segments) {
      if (segment.writable) continue;
      image.for_each_span(segment.range, [&](Addr, Bytes bytes) {
        if (version.empty()) version = version_in(bytes);
      });
    }
    if (!version.empty()) break;
  }
  return version;
}

}  // namespace heapscan::glibc
