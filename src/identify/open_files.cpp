// Source: glibc libio/stdfiles.c: _IO_list_all leads to all streams.
#include <unordered_set>

#include "heapscan/heap/used_block.h"
#include "identify/known_containers.h"
#include "identify/known_values.h"

namespace heapscan {

namespace {

constexpr size_t kMostOpenFiles = 1 << 20;

bool is_open_file(const MemoryImage& image, Addr file) {
  return StdioFile::is_open(image.read<uint32_t>(file).value_or(0));
}

}  // namespace

std::string name_of_variable(const Symbols& symbols, Addr at) {
  const auto symbol = symbols.ref_at(at);
  if (!symbol || symbol->size == 0) return "";
  return name_of_symbol(symbol->name);
}

std::vector<KnownContainer> find_open_files(const MemoryImage& image, const Symbols& symbols,
                                            const HeapModel& heap) {
  std::vector<KnownContainer> found;
  for (size_t i = 0; i < image.modules().size(); ++i) {
    const auto list = symbols.address_of(ModuleId(i), "_IO_list_all");
    if (!list) continue;
    std::unordered_set<uint64_t> met;
    Addr file = image.read_addr(*list).value_or(Addr());
    while (met.size() < kMostOpenFiles && is_open_file(image, file) &&
           met.insert(file.value).second) {
      const BlockId block = used_block_at(heap, file);
      if (block.valid()) {
        found.push_back({"open FILE", "", {block}, std::nullopt, true, {}});
        const BlockId buffer =
            used_block_at(heap, image.read_addr(file + StdioFile::kBuffer).value_or(Addr()));
        if (buffer.valid()) found.back().blocks.push_back(buffer);
      }
      file = image.read_addr(file + StdioFile::kNextOpen).value_or(Addr());
    }
    if (!met.empty()) break;
  }
  return found;
}

}  // namespace heapscan
