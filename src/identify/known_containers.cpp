// Sources: GLib glib/ghash.c (gint sizes until 2.58, gsize since) and glib/garray.c; glibc
// libio/bits/types/struct_FILE.h. Whether a block is a GHashTable has been checked by
// recognisers/library_glib.cpp, against all that is constant there.
#include "identify/known_containers.h"

#include <array>
#include <unordered_set>
#include <utility>

namespace heapscan {

namespace {

constexpr size_t kMostOpenFiles = 1 << 20;

uint64_t word_at(const MemoryImage& image, Addr at) { return image.read<uint64_t>(at).value_or(0); }
uint32_t half_at(const MemoryImage& image, Addr at) { return image.read<uint32_t>(at).value_or(0); }

void add_block(const HeapModel& heap, uint64_t address, std::vector<BlockId>& blocks) {
  const BlockId block = used_block_at(heap, Addr(address));
  if (block.valid()) blocks.push_back(block);
}

struct TableLayout {
  uint64_t modulus;  // the mask follows, then nodes and nodes with tombstones
  uint64_t keys;     // hashes and values follow; a set's values are its keys
};
constexpr std::array<TableLayout, 2> kTableLayouts{{{8, 32}, {4, 24}}};

std::optional<KnownContainer> read_hash_table(const MemoryImage& image, const HeapModel& heap,
                                              BlockId head) {
  const Addr at = heap.block(head).begin();
  const uint32_t size = half_at(image, at);
  for (const TableLayout& layout : kTableLayouts) {
    const uint32_t mask = half_at(image, at + layout.modulus + 4);
    const uint32_t nodes = half_at(image, at + layout.modulus + 8);
    const uint32_t occupied = half_at(image, at + layout.modulus + 12);
    if (size == 0 || mask != size - 1 || nodes > occupied || occupied > size) continue;
    KnownContainer table{"GHashTable", "", {head}, nodes, false, {}};
    for (uint64_t array = 0; array < 3; ++array)
      add_block(heap, word_at(image, at + layout.keys + 8 * array), table.blocks);
    return table;
  }
  return std::nullopt;
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
  enum class Kind : uint8_t { None, Table, Array };
  std::vector<Kind> kinds(identities.rows.size());
  bool is_any = false;
  for (size_t i = 0; i < kinds.size(); ++i) {
    const std::string& label = identities.rows[ClusterId(i)].label;
    if (label == "GHashTable") kinds[i] = Kind::Table;
    if (label == "GArray" || label == "GPtrArray") kinds[i] = Kind::Array;
    is_any |= kinds[i] != Kind::None;
  }
  std::vector<KnownContainer> found;
  if (!is_any) return found;
  for (size_t i = 0; i < clusters.blocks.size(); ++i) {
    const ClusterId cluster = clusters.cluster_of[i];
    if (!cluster.valid() || kinds[cluster.index()] == Kind::None) continue;
    auto container =
        kinds[cluster.index()] == Kind::Table
            ? read_hash_table(image, heap, clusters.blocks[i])
            : read_array(image, heap, clusters.blocks[i], identities.rows[cluster].label);
    if (container) found.push_back(std::move(*container));
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
