// By what a module exports, where its dynamic table could be read; by its file's name otherwise.
#include "heapscan/runtime/runtime_facts.h"

#include <elf.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace heapscan {

namespace {

constexpr std::string_view kLoaderExports = "_rtld_global";

bool is_named(const Module& module, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view prefix) {
    return module.file_name().starts_with(prefix);
  });
}

ModuleId first_exporting(const MemoryImage& image, const Symbols& symbols, std::string_view name) {
  for (size_t i = 0; i < image.modules().size(); ++i) {
    if (symbols.exports(ModuleId(i), name)) return ModuleId(i);
  }
  return ModuleId::none();
}

ModuleId first_named(const MemoryImage& image, std::initializer_list<std::string_view> prefixes) {
  for (size_t i = 0; i < image.modules().size(); ++i) {
    if (is_named(image.modules()[ModuleId(i)], prefixes)) return ModuleId(i);
  }
  return ModuleId::none();
}

ModuleId find_loader(const MemoryImage& image, const Symbols& symbols) {
  const ModuleId exporter = first_exporting(image, symbols, kLoaderExports);
  if (exporter.valid()) return exporter;
  const Addr base(image.aux(AT_BASE).value_or(0));
  for (size_t i = 0; i < image.modules().size() && !base.is_null(); ++i) {
    if (image.modules()[ModuleId(i)].range.contains(base)) return ModuleId(i);
  }
  return first_named(image, {"ld-linux", "ld-2.", "ld.so", "ld-musl"});
}

ModuleId find_c_library(const MemoryImage& image, const Symbols& symbols) {
  const ModuleId exporter = first_exporting(image, symbols, "__libc_start_main");
  if (exporter.valid()) return exporter;
  return first_named(image, {"libc.so", "libc-2.", "ld-musl"});
}

ModuleRole role_of(const MemoryImage& image, const Symbols& symbols, ModuleId id) {
  const Module& module = image.modules()[id];
  if (symbols.exports(id, kLoaderExports)) return ModuleRole::Loader;
  if (module.is_executable) return ModuleRole::Program;
  if (symbols.exports(id, "gnu_get_libc_version")) return ModuleRole::Glibc;
  if (is_named(module, {"libc.so.6", "libc-2."})) return ModuleRole::Glibc;
  if (is_named(module, {"libc.so", "ld-musl"})) return ModuleRole::Musl;
  if (is_named(module, {"ld-linux", "ld-2.", "ld.so"})) return ModuleRole::Loader;
  if (is_named(module, {"libstdc++.so", "libc++.so", "libc++abi.so"}))
    return ModuleRole::CppLibrary;
  if (is_named(module, {"libm.so", "libm-2.", "libpthread.so", "libpthread-2.", "libgcc_s.so"}))
    return ModuleRole::Support;
  return ModuleRole::Other;
}

}  // namespace

ModuleRoles find_module_roles(const MemoryImage& image, const Symbols& symbols) {
  ModuleRoles roles;
  for (size_t i = 0; i < image.modules().size(); ++i)
    roles.of.push_back(role_of(image, symbols, ModuleId(i)));
  roles.loader = find_loader(image, symbols);
  roles.c_library = find_c_library(image, symbols);
  return roles;
}

}  // namespace heapscan
