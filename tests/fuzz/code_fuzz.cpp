// Any bytes as the machine code of a program: the reader of call sites ends, and keeps what its
// header promises. The first eight bytes say where in the rest malloc and a wrapper's like lie; the
// rest is the program as it lies in memory, ELF header first, which may lead to frames.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>

#include "heapscan/base/bytes.h"
#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/symbols/symbols.h"

#include "check_call_sites.h"

namespace {

using namespace heapscan;

constexpr uint64_t kBase = 0x400000;
constexpr size_t kMostBytes = 256 * 1024;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes input = std::as_bytes(std::span(data, std::min(size, kMostBytes)));
  if (input.size() < 16) return 0;
  const auto malloc_at = load<uint32_t>(input.data());
  const auto calloc_at = load<uint32_t>(input.data() + 4);
  const Bytes program = input.subspan(8);
  ImageBuilder builder;
  Module module;
  module.path = "/program";
  module.range = AddrRange::sized(Addr(kBase), program.size());
  module.bias = kBase;
  module.segments.push_back({module.range, false, true});
  module.is_executable = true;
  const ModuleId id = builder.add_module(module);
  Region region;
  region.range = module.range;
  region.perms = {.read = true, .execute = true};
  region.backing = Backing::File;
  region.contents = Contents::Saved;
  region.module = id;
  region.bytes = builder.keep_copy(program);
  builder.add_region(region);
  const MemoryImage image = builder.freeze();
  SymbolsBuilder symbols_builder(image);
  symbols_builder.add(id, {.name = "malloc", .address = Addr(kBase + malloc_at % program.size())});
  symbols_builder.add(id, {.name = "calloc", .address = Addr(kBase + calloc_at % program.size())});
  const Symbols symbols = symbols_builder.freeze();
  const RuntimeFacts runtime = find_runtime_facts(image, symbols);
  check_call_sites(find_call_sites(image, symbols, runtime));
  return 0;
}

// Changes a few bytes, mostly one instruction's worth side by side.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t, unsigned seed) {
  if (size == 0) return size;
  std::mt19937 random(seed);
  const size_t changes = 1 + random() % 12;
  for (size_t i = 0; i < changes; ++i) {
    const size_t at = random() % size;
    const size_t bytes = std::min<size_t>(1 + random() % 8, size - at);
    for (size_t k = 0; k < bytes; ++k) data[at + k] = static_cast<uint8_t>(random());
  }
  return size;
}
