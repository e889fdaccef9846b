// Sources: GLib glib/ghash.c (gint sizes until 2.58, gsize since) and glib/garray.c; glibc
// libio/bits/types/struct_FILE.h. Whether a block is a GArray or a GPtrArray has been checked by
// recognisers/library_glib.cpp.
#include "identify/known_containers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_set>
#include <utility>

namespace heapscan {

namespace {

constexpr size_t kMostOpenFiles = 1 << 20;
constexpr size_t kMostTables = 1 << 22;

uint64_t word_at(const MemoryImage& image, Addr at) { return image.read<uint64_t>(at).value_or(0); }
uint32_t half_at(const MemoryImage& image, Addr at) { return image.read<uint32_t>(at).value_or(0); }

void add_block(const HeapModel& heap, uint64_t address, std::vector<BlockId>& blocks) {
  const BlockId block = used_block_at(heap, Addr(address));
  if (block.valid()) blocks.push_back(block);
}

struct TableLayout {
  uint64_t modulus;  // the mask follows, then nodes and nodes with tombstones
  uint64_t keys;     // hashes and values follow, a set's values are its keys; then two functions
  uint64_t size;     // of the struct
};
constexpr std::array<TableLayout, 2> kTableLayouts{{{8, 32, 88}, {4, 24, 80}}};
constexpr uint64_t kMostHeadBytes = 112;  // of a block that is nothing but the struct

bool is_code(const MemoryImage& image, uint64_t address) {
  const Region* const region = image.region_at(Addr(address));
  return region != nullptr && region->perms.execute;
}

// The sizes go together as in no other struct; the modulus is a prime below the size.
bool may_be_table(Bytes bytes, const TableLayout& layout) {
  const auto half = [&](uint64_t offset) { return load<uint32_t>(bytes.data() + offset); };
  const uint32_t size = half(0);
  const uint32_t modulus = half(layout.modulus);
  return std::has_single_bit(size) && size >= 8 && half(layout.modulus + 4) == size - 1 &&
         modulus < size && modulus > size / 2 && (layout.modulus == 4 || half(4) == 0) &&
         half(layout.modulus + 8) <= half(layout.modulus + 12) && half(layout.modulus + 12) <= size;
}

std::optional<KnownContainer> read_table(const MemoryImage& image, const HeapModel& heap,
                                         BlockId block, Addr at, const TableLayout& layout) {
  KnownContainer table{"GHashTable", "", {}, half_at(image, at + layout.modulus + 8), false, {}};
  const uint64_t size = half_at(image, at);
  if (at == heap.block(block).begin() && heap.block(block).size() <= kMostHeadBytes) {
    table.blocks.push_back(block);
  } else {
    table.at = at;
  }
  for (uint64_t array = 0; array < 3; ++array) {
    const BlockId part = used_block_at(heap, Addr(word_at(image, at + layout.keys + 8 * array)));
    if (!part.valid() || heap.block(part).size() < 4 * size) return std::nullopt;
    table.blocks.push_back(part);
  }
  if (!is_code(image, word_at(image, at + layout.keys + 24))) return std::nullopt;
  return table;
}

// Until 2.76 GLib parcels out larger blocks, so that a table is not always a block of its own.
void add_tables(const MemoryImage& image, const HeapModel& heap,
                std::vector<KnownContainer>& found) {
  for (size_t i = 0; i < heap.blocks.size() && found.size() < kMostTables; ++i) {
    const Block& block = heap.blocks[i];
    if (block.state() != BlockState::Used || block.size() < kTableLayouts.back().size) continue;
    image.for_each_span(block.range(), [&](Addr begin, Bytes bytes) {
      for (size_t at = begin.align_up(8) - begin; at + kTableLayouts.back().size <= bytes.size();
           at += 8) {
        for (const TableLayout& layout : kTableLayouts) {
          if (at + layout.size > bytes.size() || !may_be_table(bytes.subspan(at), layout)) continue;
          auto table = read_table(image, heap, BlockId(i), begin + at, layout);
          if (table) found.push_back(std::move(*table));
        }
      }
    });
  }
}

// {elements, how many, ...}
std::optional<KnownContainer> read_array(const MemoryImage& image, const HeapModel& heap,
                                         BlockId head, const std::string& kind) {
  const Addr at = heap.block(head).begin();
  const uint32_t length = half_at(image, at + 8);
  KnownContainer array{kind, "", {head}, length, false, {}};
  add_block(heap, word_at(image, at), array.blocks);
  if (array.blocks.size() < 2 || length > heap.block(array.blocks[1]).size()) return std::nullopt;
  return array;
}

bool is_open_file(const MemoryImage& image, Addr file) {
  constexpr uint32_t kMagic = 0xfbad0000;
  return (half_at(image, file) & 0xffff0000) == kMagic;
}

}  // namespace

BlockId used_block_at(const HeapModel& heap, Addr at) {
  const BlockId block = heap.block_at(at);
  if (!block.valid() || heap.block(block).begin() != at) return BlockId::none();
  return heap.block(block).state() == BlockState::Used ? block : BlockId::none();
}

std::vector<KnownContainer> find_glib_containers(const MemoryImage& image, const HeapModel& heap,
                                                 const Clusters& clusters,
                                                 const Identities& identities) {
  std::vector<KnownContainer> found;
  const auto& modules = image.modules();
  if (std::any_of(modules.begin(), modules.end(), [](const Module& module) {
        return module.file_name().starts_with("libglib-2.0.so");
      }))
    add_tables(image, heap, found);
  std::vector<bool> is_array(identities.rows.size());
  for (size_t i = 0; i < is_array.size(); ++i) {
    const std::string& label = identities.rows[ClusterId(i)].label;
    is_array[i] = label == "GArray" || label == "GPtrArray";
  }
  if (std::find(is_array.begin(), is_array.end(), true) == is_array.end()) return found;
  for (size_t i = 0; i < clusters.blocks.size(); ++i) {
    const ClusterId cluster = clusters.cluster_of[i];
    if (!cluster.valid() || !is_array[cluster.index()]) continue;
    auto array = read_array(image, heap, clusters.blocks[i], identities.rows[cluster].label);
    if (array) found.push_back(std::move(*array));
  }
  return found;
}

std::vector<KnownContainer> find_open_files(const MemoryImage& image, const Symbols& symbols,
                                            const HeapModel& heap) {
  constexpr uint64_t kBuffer = 0x38;
  constexpr uint64_t kChain = 0x68;
  std::vector<KnownContainer> found;
  for (size_t i = 0; i < image.modules().size(); ++i) {
    const auto list = symbols.address_of(ModuleId(i), "_IO_list_all");
    if (!list) continue;
    std::unordered_set<uint64_t> met;
    Addr file(word_at(image, *list));
    while (met.size() < kMostOpenFiles && is_open_file(image, file) &&
           met.insert(file.value).second) {
      const BlockId block = used_block_at(heap, file);
      if (block.valid()) {
        found.push_back({"open FILE", "", {block}, std::nullopt, true, {}});
        add_block(heap, word_at(image, file + kBuffer), found.back().blocks);
      }
      file = Addr(word_at(image, file + kChain));
    }
    if (!met.empty()) break;
  }
  return found;
}

}  // namespace heapscan
