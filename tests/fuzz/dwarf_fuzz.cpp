// Any bytes as a module's file with debug information: whatever of it opens yields types that keep
// their promises, lines, and the same again on another run.
#include <cstddef>
#include <cstdint>

#include "heapscan/base/error.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/debug_info.h"
#include "symbols/dwarf/read_types.h"

namespace {

using namespace heapscan;

constexpr ModuleId kModule(0);
constexpr uint64_t kBias = 0x7f0000000000;

Module module_of(const ElfFile& file) {
  Module module;
  module.path = "/fuzz.so";
  module.bias = kBias;
  for (const ElfSegment& s : file.segments()) {
    if (s.type == PT_TLS) module.tls = TlsSegment{s.memory_size, s.align};
    if (s.type != PT_LOAD || module.segments.size() >= 64) continue;
    module.segments.push_back({AddrRange::sized(module.at_run_time(s.address), s.memory_size),
                               (s.flags & PF_W) != 0, (s.flags & PF_X) != 0});
  }
  return module;
}

void check_type(const Types& types, TypeId id) {
  const auto is_sound = [&](TypeId other) {
    return !other.valid() || other.index() < types.size();
  };
  const Type& type = types.type(id);
  HS_CHECK(is_sound(type.target));
  for (const Member& member : types.members(id)) {
    HS_CHECK(is_sound(member.type) && member.offset <= type.size);
    if (!member.type.valid() || member.is_bit_field) continue;
    HS_CHECK(types.type(member.type).size <= type.size - member.offset);
  }
  if (type.kind == TypeKind::Array && type.target.valid() && type.count != 0)
    HS_CHECK(types.type(type.target).size <= type.size / type.count);
  HS_CHECK(!types.spelled(id).empty());
}

void check_types(const Types& types, const Module& module) {
  for (size_t i = 0; i < types.size(); ++i) check_type(types, TypeId(i));
  for (const TypeId id : types.records()) HS_CHECK(types.type(id).size != 0);
  for (const Variable& variable : types.variables()) {
    HS_CHECK(variable.type.valid() && variable.module == kModule);
    HS_CHECK(!variable.is_thread_local ||
             (module.tls && variable.address.value < module.tls->size));
  }
}

// The file as what dwz moved out of itself: references lead to and fro.
void check_alternate(const ElfFile& file, const Module& module) {
  TypesBuilder builder;
  read_module_types(MemoryImage(), {{kModule, &module, &file, &file, {}}}, builder);
  check_types(builder.freeze(), module);
}

// Where threads stand in the module's code, with stacks full of addresses of it.
void add_threads(const Module& module, ImageBuilder& builder) {
  constexpr uint64_t kStackWords = 512;
  const Addr stack(0x7ffe00000000);
  std::vector<uint64_t> words;
  for (uint64_t i = 0; i < kStackWords; ++i) {
    const ModuleSegment& segment = module.segments[i % module.segments.size()];
    words.push_back((segment.range.begin() + i * 8 % (segment.range.size() + 1)).value);
  }
  Region region;
  region.range = AddrRange::sized(stack, kStackWords * 8);
  region.perms = {true, true, false, false};
  region.contents = Contents::Saved;
  region.bytes = builder.keep_copy(std::as_bytes(std::span(words)));
  builder.add_region(region);
  for (int tid = 1; tid <= 4; ++tid) {
    Thread thread;
    thread.tid = tid;
    thread.has_registers = true;
    thread.registers.fill(stack.value + 512);
    thread.registers[static_cast<size_t>(Register::Rip)] = words[static_cast<size_t>(tid) * 16];
    builder.add_thread(thread);
  }
}

void check_lines(const DebugInfo& info, const Module& module) {
  std::vector<Addr> addresses;
  for (const ModuleSegment& segment : module.segments) {
    for (uint64_t i = 0; i < 8; ++i) addresses.push_back(segment.range.begin() + i * 16);
  }
  for (const auto& line : info.lines_of(addresses)) HS_CHECK(!line || !line->file.empty());
  for (const auto& calls : info.inlined_calls_at(addresses)) {
    for (const InlinedCall& call : calls) HS_CHECK(!call.function.empty());
  }
}

// Values in every register, in memory around it, and behind what lies there, all over the code.
void check_named_values(const DebugInfo& info, const Module& module) {
  std::vector<ValuePlace> places;
  for (const ModuleSegment& segment : module.segments) {
    for (uint64_t i = 0; i < 64; ++i) {
      ValuePlace place;
      place.kind = static_cast<ValuePlace::Kind>(i % 4);
      place.code = AddrRange::sized(segment.range.begin() + i * 4, 1 + i % 32);
      place.reg = static_cast<uint8_t>(i % 16);
      place.displacement = static_cast<int64_t>(i % 8) * 8 - 32;
      place.member = static_cast<int64_t>(i % 5) * 8;
      places.push_back(place);
    }
  }
  const auto values = info.named_values_at(places);
  const auto again = info.named_values_at(places);
  constexpr size_t kLongest = 4096;
  for (size_t i = 0; i < values.size(); ++i) {
    HS_CHECK(values[i].has_value() == again[i].has_value());
    if (!values[i]) continue;
    HS_CHECK(values[i]->name == again[i]->name && values[i]->record == again[i]->record);
    HS_CHECK(values[i]->name.size() + values[i]->record.size() < kLongest);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  Notes notes;
  auto file = ElfFile::from_bytes(bytes, "fuzz", notes);
  if (!file) return 0;
  const Module module = module_of(*file);
  check_alternate(*file, module);
  ImageBuilder builder;
  builder.add_module(module);
  if (!module.segments.empty()) add_threads(module, builder);
  const MemoryImage image = builder.freeze();
  ModuleFiles files;
  files.push_back(std::move(file));
  const SymbolOptions options{.debug_dirs = {}};
  (void)load_symbols(image, files, options);
  const DebugInfo info = open_debug_info(image, files, options);
  const Types types = info.read_types(image, std::vector<ModuleId>{kModule});
  check_types(types, module);
  check_lines(info, module);
  check_named_values(info, module);
  return 0;
}
