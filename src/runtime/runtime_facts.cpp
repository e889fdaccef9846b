#include "heapscan/runtime/runtime_facts.h"

#include "heapscan/image/intervals.h"
#include "runtime/runtime_parts.h"

namespace heapscan {

RuntimeFacts find_runtime_facts(const MemoryImage& image, const Symbols& symbols) {
  RuntimeFacts facts;
  facts.roles = find_module_roles(image, symbols);
  facts.link_maps = read_link_maps(image, symbols);
  facts.threads = find_thread_areas(image, symbols, facts.roles, facts.link_maps, facts.notes);
  facts.loader_memory =
      find_loader_memory(image, symbols, facts.roles, facts.link_maps, facts.threads);
  facts.ended_storage = storage_of_ended_threads(image, facts.threads);
  return facts;
}

std::vector<AddrRange> thread_stacks(const MemoryImage& image, const RuntimeFacts& runtime) {
  // struct pthread: where the stack's mapping begins, its guard included, and how long it is.
  constexpr uint64_t kStackBlock = 0x690;
  constexpr uint64_t kStackBlockSize = 0x698;
  std::vector<AddrRange> stacks;
  for (const ThreadArea& area : runtime.threads) {
    stacks.push_back(whole_pages(area.stack));
    if (area.descriptor.is_null()) continue;
    const auto begin = image.read_addr(area.descriptor + kStackBlock);
    const auto size = image.read<uint64_t>(area.descriptor + kStackBlockSize);
    if (!begin || !size) continue;
    const AddrRange whole = AddrRange::sized(*begin, *size);
    if (whole.contains(area.descriptor) && whole.contains(area.stack))
      stacks.push_back(whole_pages(whole));
  }
  return joined(std::move(stacks));
}

std::vector<AddrRange> thread_and_loader_memory(const RuntimeFacts& runtime) {
  std::vector<AddrRange> taken = runtime.loader_memory;
  for (const ThreadArea& area : runtime.threads) {
    taken.push_back(whole_pages(area.static_tls));
    if (!area.descriptor.is_null()) {
      taken.push_back(whole_pages(AddrRange::sized(area.descriptor, area.descriptor_size)));
    }
  }
  return joined(std::move(taken));
}

}  // namespace heapscan
