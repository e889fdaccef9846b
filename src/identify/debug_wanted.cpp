#include "heapscan/identify/debug_wanted.h"

#include <algorithm>

#include "heapscan/identify/field_meaning.h"
#include "heapscan/identify/words.h"

namespace heapscan {

namespace {

// Each costs a search of line tables; a report shows tens of them.
constexpr size_t kMostFunctions = 4096;

// Calls f(address, kind) for each word of the rows' first samples that points into a module.
template <typename Rows, typename F>
void for_each_module_pointer(const MemoryImage& image, const RuntimeFacts& runtime,
                             const HeapModel& heap, const Rows& rows, F&& f) {
  const AddressMap addresses(image, runtime, heap);
  for (const auto& row : rows) {
    const AddrRange block = heap.block(row.samples.front()).range();
    const uint64_t size = std::min(block.size(), Profile::kProfiled);
    image.for_each_span(AddrRange::sized(block.begin(), size), [&](Addr begin, Bytes bytes) {
      for (uint64_t i = begin.align_up(8) - begin; i + 8 <= bytes.size(); i += 8) {
        const auto word = load<uint64_t>(bytes.data() + i);
        const WordKind kind = addresses.kind_of(word);
        if (is_module_pointer(kind)) f(Addr(word), kind);
      }
    });
  }
}

}  // namespace

std::vector<ModuleId> modules_worth_reading(const MemoryImage& image, const RuntimeFacts& runtime,
                                            const HeapModel& heap, const Families& families,
                                            const DebugInfo& debug_info) {
  const auto& modules = image.modules();
  Column<ModuleId, uint8_t> is_named(modules.size());
  for_each_module_pointer(image, runtime, heap, families.rows, [&](Addr address, WordKind) {
    const Module* const module = image.module_at(address);
    if (module != nullptr) is_named[ModuleId(static_cast<size_t>(module - modules.data()))] = 1;
  });
  std::vector<ModuleId> wanted;
  for (size_t i = 0; i < modules.size(); ++i) {
    const ModuleId id(i);
    const bool may_be_met = is_named[id] != 0 || !runtime.roles.is_c_library_or_loader(id);
    if (may_be_met && debug_info.describes(id)) wanted.push_back(id);
  }
  return wanted;
}

std::vector<Addr> functions_pointed_at(const MemoryImage& image, const RuntimeFacts& runtime,
                                       const HeapModel& heap, const Clusters& clusters) {
  std::vector<Addr> code;
  for_each_module_pointer(image, runtime, heap, clusters.rows, [&](Addr address, WordKind kind) {
    if (kind == WordKind::Code && code.size() < kMostFunctions) code.push_back(address);
  });
  std::sort(code.begin(), code.end());
  code.erase(std::unique(code.begin(), code.end()), code.end());
  return code;
}

}  // namespace heapscan
