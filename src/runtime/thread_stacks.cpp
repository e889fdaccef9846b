#include "runtime/runtime_parts.h"

#include <elf.h>

#include <algorithm>
#include <limits>

namespace heapscan {

namespace {

constexpr uint64_t kLargestStack = uint64_t{1} << 40;

bool is_writable(const Region& region) {
  return region.perms.write && region.backing != Backing::Device &&
         region.backing != Backing::Special;
}

}  // namespace

AddrRange writable_run(const MemoryImage& image, Addr at, AddrRange limits) {
  const Region* const found = image.region_at(at);
  if (found == nullptr || !is_writable(*found)) return {};
  const Region* const first = image.regions().data();
  const Region* const last = first + image.regions().size() - 1;
  const Region* low = found;
  while (low != first && low->range.begin() > limits.begin() && is_writable(low[-1]) &&
         low[-1].range.end() == low->range.begin()) {
    --low;
  }
  const Region* high = found;
  while (high != last && high->range.end() < limits.end() && is_writable(high[1]) &&
         high[1].range.begin() == high->range.end()) {
    ++high;
  }
  return AddrRange(low->range.begin(), high->range.end()).intersect(limits);
}

AddrRange find_first_stack(const MemoryImage& image) {
  const AddrRange anywhere(Addr(0), Addr(std::numeric_limits<uint64_t>::max()));
  for (const int type : {AT_RANDOM, AT_EXECFN, AT_PLATFORM}) {
    const Addr hint(image.aux(type).value_or(0));
    const Region* const region = hint.is_null() ? nullptr : image.region_at(hint);
    if (region == nullptr || region->backing != Backing::Anonymous || region->perms.shared)
      continue;
    const AddrRange run = writable_run(image, hint, anywhere);
    if (!run.empty()) return run;
  }
  return {};
}

AddrRange stack_of(const MemoryImage& image, const Descriptor& descriptor) {
  if (descriptor.is_first_thread() || descriptor.stack_size > kLargestStack) return {};
  const uint64_t guard = descriptor.guard_size < descriptor.stack_size ? descriptor.guard_size : 0;
  const AddrRange claimed(descriptor.stack_begin + guard, descriptor.stack_end());
  if (!claimed.contains(descriptor.at)) return {};
  return writable_run(image, descriptor.at, claimed);
}

std::vector<Descriptor> find_descriptors_by_shape(const MemoryImage& image,
                                                  uint64_t descriptor_size) {
  std::vector<Descriptor> found;
  if (descriptor_size < kSmallestDescriptor || descriptor_size > kPage) return found;
  for (const Region& region : image.regions()) {
    if (region.backing != Backing::Anonymous || !is_writable(region) || region.perms.shared ||
        region.module.valid()) {
      continue;
    }
    image.for_each_span(region.range, [&](Addr begin, Bytes bytes) {
      for (Addr page_end = begin.align_up(kPage); page_end <= begin + bytes.size();
           page_end = page_end + kPage) {
        const auto descriptor = read_descriptor(image, page_end - descriptor_size);
        if (descriptor && descriptor->stack_end() == page_end &&
            !stack_of(image, *descriptor).empty()) {
          found.push_back(*descriptor);
        }
      }
    });
  }
  return found;
}

}  // namespace heapscan
