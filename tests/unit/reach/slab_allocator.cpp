#include "slab_allocator.h"

#include <algorithm>
#include <set>
#include <vector>

#include "heap/allocator.h"
#include "heapscan/image/intervals.h"

namespace heapscan::slab {

namespace {

constexpr size_t kMostSlabs = 1 << 20;

struct Slab {
  Addr begin;
  uint64_t object_bytes = 0;
  uint64_t objects = 0;
  [[nodiscard]] AddrRange parcelled() const {
    return AddrRange::sized(begin + kFirstObject, object_bytes * objects);
  }
};

std::vector<Slab> slabs_from(const MemoryImage& image, Addr at, Notes& notes) {
  std::vector<Slab> slabs;
  std::set<Addr> seen;
  while (!at.is_null() && slabs.size() < kMostSlabs && seen.insert(at).second) {
    const uint64_t bytes = image.read<uint64_t>(at + kObjectBytes).value_or(0);
    const uint64_t objects = image.read<uint64_t>(at + kObjects).value_or(0);
    const bool is_sound = image.read<uint64_t>(at) == kMagic && bytes != 0 && bytes % 16 == 0 &&
                          bytes <= Block::kLargestSize && objects <= kMostObjects;
    if (!is_sound) {
      notes.push_back({NoteKind::HeapDamage, "", "a slab is damaged; those behind it are unknown"});
      break;
    }
    slabs.push_back({at, bytes, objects});
    at = image.read_addr(at + kNext).value_or(Addr());
  }
  std::sort(slabs.begin(), slabs.end(),
            [](const Slab& a, const Slab& b) { return a.begin < b.begin; });
  return slabs;
}

bool is_handed_out(const MemoryImage& image, const Slab& slab, uint64_t object) {
  const uint64_t word = image.read<uint64_t>(slab.begin + kBitmap + object / 64 * 8).value_or(0);
  return (word >> object % 64 & 1) != 0;
}

}  // namespace

std::optional<Recognition> recognise(const HeapInputs& inputs, ModuleId module, Linkage) {
  if (!inputs.symbols.address_of(module, "slab_head")) return std::nullopt;
  return Recognition{module, "it has the symbol slab_head"};
}

std::optional<Recognition> find_in_use(const HeapInputs& inputs) {
  for (size_t i = 0; i < inputs.image.modules().size(); ++i) {
    const auto head = inputs.symbols.address_of(ModuleId(i), "slab_head");
    if (head && inputs.image.read<uint64_t>(*head).value_or(0) != 0)
      return Recognition{ModuleId(i), "there are slabs"};
  }
  return std::nullopt;
}

std::optional<HeapModel> walk(const HeapInputs& inputs, ModuleId module) {
  const MemoryImage& image = inputs.image;
  const auto head = module.valid() ? inputs.symbols.address_of(module, "slab_head") : std::nullopt;
  if (!head) return std::nullopt;
  HeapModel heap;
  heap.allocator = kAllocator.name;
  heap.found_by = "the symbol slab_head";
  heap.arenas.push_back({*head, true, 0, 0});
  heap.allocator_state.push_back(AddrRange::sized(*head, 8));

  std::vector<Block> blocks;
  std::vector<AddrRange> owned;
  std::vector<AddrRange> grids;
  for (const Slab& slab : slabs_from(image, image.read_addr(*head).value_or(Addr()), heap.notes)) {
    for (uint64_t i = 0; i < slab.objects; ++i) {
      const bool used = is_handed_out(image, slab, i);
      blocks.emplace_back(slab.parcelled().begin() + i * slab.object_bytes, slab.object_bytes,
                          used ? BlockState::Used : BlockState::Binned, ArenaId(0));
    }
    heap.ranges.push_back({slab.parcelled(), ArenaId(0)});
    heap.allocator_state.push_back(AddrRange::sized(slab.begin, kFirstObject));
    grids.push_back(slab.parcelled());
    owned.push_back(whole_pages({slab.begin, slab.parcelled().end()}));
  }
  for (const AddrRange& mapping : raw_mappings(image, inputs.runtime, owned))
    blocks.emplace_back(mapping.begin(), mapping.size(), BlockState::Mapping, ArenaId::none());
  std::sort(blocks.begin(), blocks.end(),
            [](const Block& a, const Block& b) { return a.begin() < b.begin(); });

  heap.blocks = GrowingArray<Block>(blocks.size());
  for (const Block& block : blocks) heap.blocks.push_back(block);
  heap.index = BlockIndex(heap.blocks.rows(), grids);
  mark_ended_storage(inputs.runtime, heap);
  heap.allocator_state = joined(std::move(heap.allocator_state));
  heap.totals = add_up(image, heap.blocks.rows(), heap.arenas);
  return heap;
}

}  // namespace heapscan::slab
