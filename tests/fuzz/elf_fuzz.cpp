// Any bytes as a module's file: whatever of it opens can be read to the end, as one module placed
// twice, with all that symbols make of it.
#include <cstddef>
#include <cstdint>

#include "acquire/module_map.h"
#include "heapscan/base/error.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"
#include "symbols/dwarf/read_types.h"

namespace {

using namespace heapscan;

bool lies_within(Bytes part, Bytes whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_file(const ElfFile& file, Bytes bytes) {
  for (const ElfSegment& segment : file.segments())
    HS_CHECK(lies_within(file.segment_bytes(segment), bytes));
  for (const char* name : {".text", ".gnu_debuglink", ".symtab", ""}) {
    HS_CHECK(lies_within(file.section(name).value_or(Bytes()), bytes));
  }
  for (const auto& symbols : {file.dynamic_symbols(), file.symbols()}) {
    for (const ElfSymbol& s : symbols)
      HS_CHECK(lies_within(std::as_bytes(std::span(s.name)), bytes));
  }
  (void)file.debug_link();
  (void)file.interpreter();
  (void)file.is_debug_only();
  for (const auto& [name, layout] : read_malloc_structs(file)) {
    for (const auto& [member, offset] : layout.members) HS_CHECK(offset < layout.size);
  }
}

// Mapped as its own program headers say, at two places.
std::vector<FileMapping> mappings_for(const ElfFile& file) {
  std::vector<FileMapping> mappings;
  for (const uint64_t bias : {uint64_t{0x7f0000000000}, uint64_t{0x7f8000000000}}) {
    for (const ElfSegment& s : file.segments()) {
      if (s.type != PT_LOAD || mappings.size() >= 64) continue;
      const Addr begin = Addr(s.address.value + bias).align_down(4096);
      const Addr end = (Addr(s.address.value + bias) + s.file_size).align_up(4096);
      const Perms perms{true, (s.flags & PF_W) != 0, (s.flags & PF_X) != 0, false};
      if (begin < end)
        mappings.push_back({{begin, end}, s.offset & ~uint64_t{4095}, perms, true, "/fuzz.so"});
    }
  }
  return mappings;
}

void check_module(const ElfFile& file, Bytes bytes) {
  ModuleMap map = build_module_map(mappings_for(file), [&](const std::string& path, auto) {
    Notes notes;
    auto again = ElfFile::from_bytes(bytes, path, notes);
    HS_CHECK(again.has_value());
    return std::optional<ModuleSource>(module_source(std::move(*again)));
  });
  HS_CHECK(map.files.size() == map.modules.size());
  const AddrRange everything(Addr(0), Addr(~uint64_t{0}));
  uint64_t covered = 0;
  for (const ModulePart& part : map.divide(everything)) covered += part.range.size();
  HS_CHECK(covered == everything.size());
  ImageBuilder builder;
  for (const Module& module : map.modules) builder.add_module(module);
  const MemoryImage image = builder.freeze();
  const Symbols symbols = load_symbols(image, map.files, {.debug_dirs = {}});
  for (const Module& module : image.modules()) {
    (void)symbols.at(module.range.begin());
    (void)symbols.at(module.at_run_time(FileAddr(0x1010)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  Notes notes;
  const auto file = ElfFile::from_bytes(bytes, "fuzz", notes);
  if (!file) {
    HS_CHECK(!notes.empty());
    return 0;
  }
  check_file(*file, bytes);
  check_module(*file, bytes);
  return 0;
}
