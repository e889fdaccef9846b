// A resource begins with the address of its class' vtable, so memory is searched for that word; but
// only where a program uses the class at all: then a module other than the library has the vtable's
// address, or a copy of it, or the constructor's address, by which it calls that. Of monotonic
// buffers the resource knows the end of the newest. A pool resource has an array of pools, each with
// a vector of chunks, and a vector of what was too large for its pools.
//
// The library has no symbol for one of the vtables, so that is found by the type information to
// which it leads.
//
// Source: libstdc++ include/std/memory_resource and src/c++17/memory_resource.cc, GCC 9 to 14. Debug
// information of programs only declares these classes.
#include <algorithm>
#include <array>

#include "heapscan/heap/used_block.h"
#include "heapscan/image/lookups.h"
#include "heapscan/reach/pmr_buffer.h"
#include "heapscan/symbols/symbols.h"
#include "identify/known_containers.h"

namespace heapscan {

namespace {

constexpr size_t kMostBuffers = 1 << 20;       // of one resource
constexpr size_t kMostBuffersInAll = 1 << 22;  // damaged chains may be rings
constexpr uint64_t kMostListed = 1 << 20;      // bytes of a list of chunks
constexpr size_t kMostResources = 1 << 20;
constexpr uint64_t kBeforeFunctions = 16;  // of a vtable, which is where objects point

struct ResourceClass {
  const char* vtable;  // a symbol
  const char* type;    // a symbol, too
  const char* constructor;
  const char* name;
  bool is_monotonic;
};
constexpr std::array<ResourceClass, 2> kResourceClasses{
    {{"_ZTVNSt3pmr25monotonic_buffer_resourceE", "_ZTINSt3pmr25monotonic_buffer_resourceE", "",
      "std::pmr::monotonic_buffer_resource", true},
     {"_ZTVNSt3pmr28unsynchronized_pool_resourceE", "_ZTINSt3pmr28unsynchronized_pool_resourceE",
      "_ZNSt3pmr28unsynchronized_pool_resourceC1ERKNS_12pool_optionsEPNS_15memory_resourceE",
      "std::pmr::unsynchronized_pool_resource", false}}};

Addr pointer_at(const MemoryImage& image, Addr at) { return image.read_addr(at).value_or(Addr()); }

std::vector<BlockId> buffers_of(const MemoryImage& image, const HeapModel& heap, Addr resource) {
  constexpr uint64_t kHead = 56;
  std::vector<BlockId> blocks;
  Addr end = pointer_at(image, resource + kHead);
  while (!end.is_null() && blocks.size() < kMostBuffers) {
    const BlockId block = heap.block_at(end);
    const auto size = image.read<uint64_t>(end);
    if (!block.valid() || !size) break;
    if (BufferEnd::size_in(*size) != end + BufferEnd::kBytes - heap.block(block).begin()) break;
    blocks.push_back(block);
    end = pointer_at(image, end + BufferEnd::kBefore);
  }
  return blocks;
}

// Adds blocks at whose begin words of `range` point, and returns them.
std::vector<BlockId> add_named_in(const MemoryImage& image, const HeapModel& heap, AddrRange range,
                                  std::vector<BlockId>& blocks) {
  std::vector<BlockId> found;
  range = AddrRange::sized(range.begin(), std::min(range.size(), kMostListed));
  for (Addr at = range.begin(); at + 8 <= range.end() && blocks.size() < kMostBuffers;
       at = at + 8) {
    const BlockId block = used_block_at(heap, pointer_at(image, at));
    if (!block.valid()) continue;
    found.push_back(block);
    blocks.push_back(block);
  }
  return found;
}

std::vector<BlockId> chunks_of(const MemoryImage& image, const HeapModel& heap, Addr resource) {
  constexpr uint64_t kLarge = 32;  // {begin, end, end of room} of a vector
  constexpr uint64_t kPools = 64;
  constexpr uint64_t kMostPoolBytes = 64 * 64;  // of the array of pools
  std::vector<BlockId> blocks;
  const BlockId pools = used_block_at(heap, pointer_at(image, resource + kPools));
  if (pools.valid()) {
    blocks.push_back(pools);
    const AddrRange range = heap.block(pools).range();
    const AddrRange first = AddrRange::sized(range.begin(), std::min(range.size(), kMostPoolBytes));
    for (const BlockId chunks : add_named_in(image, heap, first, blocks))
      add_named_in(image, heap, heap.block(chunks).range(), blocks);
  }
  const AddrRange large = AddrRange::sized(resource + kLarge, 8);
  for (const BlockId list : add_named_in(image, heap, large, blocks))
    add_named_in(image, heap, heap.block(list).range(), blocks);
  return blocks;
}

class ResourceSearch {
 public:
  ResourceSearch(const MemoryImage& image, const Symbols& symbols, const HeapModel& heap)
      : image_(image), symbols_(symbols), heap_(heap) {}

  std::vector<KnownContainer> find() {
    bool is_used = false;
    ModuleId library;
    for (size_t i = 0; i < image_.modules().size(); ++i) {
      for (const ResourceClass& known : kResourceClasses) {
        const auto made_by = symbols_.address_of(ModuleId(i), known.constructor);
        auto vtable = symbols_.address_of(ModuleId(i), known.vtable);
        if (!vtable && made_by) vtable = vtable_of(ModuleId(i), known);
        if (!vtable) continue;
        vtables_.push_back({vtable->value + kBeforeFunctions, &known});
        signs_.insert(signs_.end(), {vtable->value, vtable->value + kBeforeFunctions});
        if (made_by) signs_.push_back(made_by->value);
        is_used |= library.valid() && library != ModuleId(i);  // a copy of its own
        if (!library.valid()) library = ModuleId(i);
      }
    }
    if (vtables_.empty()) return {};
    if (!is_used && !is_used_by_another(library)) return {};
    for (const Region& region : image_.regions()) {
      if (region.perms.write) look_through(region.range);
    }
    return std::move(found_);
  }

 private:
  struct Vtable {
    uint64_t address = 0;
    const ResourceClass* known = nullptr;
  };

  [[nodiscard]] std::optional<Addr> vtable_of(ModuleId id, const ResourceClass& known) const {
    const auto type = symbols_.address_of(id, known.type);
    if (!type) return std::nullopt;
    Addr vtable;
    for_each_word(image_, image_.modules()[id].range, [&](Addr at, uint64_t word) {
      if (word == type->value && image_.read<uint64_t>(at - 8) == uint64_t{0}) vtable = at - 8;
    });
    if (vtable.is_null()) return std::nullopt;
    return vtable;
  }

  [[nodiscard]] const ResourceClass* class_of(uint64_t word) const {
    for (const Vtable& vtable : vtables_) {
      if (vtable.address == word) return vtable.known;
    }
    return nullptr;
  }

  [[nodiscard]] bool is_used_by_another(ModuleId library) const {
    const Module* const own = &image_.modules()[library];
    bool is_used = own->is_executable;  // linked in
    for (const Region& region : image_.regions()) {
      const Module* const module = image_.module_at(region.range.begin());
      if (module == nullptr || module == own || region.perms.execute || is_used) continue;
      for_each_word(image_, region.range, [&](Addr, uint64_t word) {
        is_used |= std::find(signs_.begin(), signs_.end(), word) != signs_.end();
      });
    }
    return is_used;
  }

  void look_through(AddrRange range) {
    for_each_word(image_, range, [&](Addr at, uint64_t word) {
      const ResourceClass* const known = class_of(word);
      if (known != nullptr && found_.size() < kMostResources && buffers_ < kMostBuffersInAll)
        add(at, *known);
    });
  }

  void add(Addr at, const ResourceClass& known) {
    KnownContainer container;
    container.kind = known.name;
    container.at = at;
    container.blocks =
        known.is_monotonic ? buffers_of(image_, heap_, at) : chunks_of(image_, heap_, at);
    buffers_ += container.blocks.size();
    if (container.blocks.empty()) return;
    if (image_.module_at(at) != nullptr) container.name = name_of_variable(symbols_, at);
    found_.push_back(std::move(container));
  }

  const MemoryImage& image_;
  const Symbols& symbols_;
  const HeapModel& heap_;
  std::vector<Vtable> vtables_;
  std::vector<uint64_t> signs_;  // words that a module has which uses a class
  std::vector<KnownContainer> found_;
  size_t buffers_ = 0;  // in all of them
};

}  // namespace

std::vector<KnownContainer> find_memory_resources(const MemoryImage& image, const Symbols& symbols,
                                                  const HeapModel& heap) {
  return ResourceSearch(image, symbols, heap).find();
}

}  // namespace heapscan
