#include "acquire/memory_copy.h"

#include <algorithm>
#include <string_view>

#include "acquire/module_map.h"

namespace heapscan {

namespace {

// A mapping without an inode is anonymous whatever its name: "[heap]", "[anon:...]".
Backing backing_of_file(const Mapping& mapping, const MappingUse* use) {
  if (use != nullptr && use->device_memory) return Backing::Device;
  if (mapping.perms.shared && is_shared_memory(mapping.path)) return Backing::Anonymous;
  const Backing backing = backing_of_path(mapping.path);
  const bool has_file = mapping.inode != 0 || backing == Backing::Device;
  return has_file ? backing : Backing::Anonymous;
}

void add_joined(std::vector<AddrRange>& ranges, AddrRange range) {
  if (!ranges.empty() && ranges.back().end() == range.begin()) {
    ranges.back() = {ranges.back().begin(), range.end()};
  } else {
    ranges.push_back(range);
  }
}

bool is_wanted(const PageRun& run, Treatment treatment) {
  if (run.guard) return false;
  switch (treatment) {
    case Treatment::Ignore:
      return false;
    case Treatment::Anonymous:
      return !run.zero;
    case Treatment::Private:
      return !run.of_file;
    case Treatment::Shared:
    case Treatment::Vdso:
      return run.present;
  }
  return false;
}

bool is_stored(const PlannedMapping& planned) {
  switch (planned.treatment) {
    case Treatment::Ignore:
      return false;
    case Treatment::Anonymous:
    case Treatment::Shared:
      return !planned.copied.empty();
    case Treatment::Private:
      return planned.mapping.perms.write || !planned.copied.empty();
    case Treatment::Vdso:
      return planned.copied.size() == 1 && planned.copied.front() == planned.mapping.range;
  }
  return false;
}

// Adds what `run` says about its part of the mapping.
void add_run(const PageRun& run, PlannedMapping& planned, CopyPlan& plan) {
  const AddrRange part = run.range.intersect(planned.mapping.range);
  if (part.empty()) return;
  if (run.present) {
    add_joined(plan.resident, part);
    if (planned.mapping.perms.shared) plan.shared_bytes += part.size();
  } else if (run.swapped && !run.guard) {
    planned.swapped_bytes += part.size();
  }
  if (is_wanted(run, planned.treatment)) {
    add_joined(planned.copied, part);
  } else if (planned.treatment == Treatment::Private && run.present && !run.guard) {
    add_joined(planned.clean, part);
  }
}

}  // namespace

Treatment treatment_of(const Mapping& mapping, const MappingUse* use) {
  const std::string_view path = mapping.path;
  if (path == "[vdso]") return Treatment::Vdso;
  if (path.starts_with("[vvar") || path == "[vsyscall]") return Treatment::Ignore;
  const Backing backing = backing_of_file(mapping, use);
  if (backing == Backing::Device) return Treatment::Ignore;
  if (mapping.perms.shared) return mapping.perms.write ? Treatment::Shared : Treatment::Ignore;
  return backing == Backing::File ? Treatment::Private : Treatment::Anonymous;
}

Backing backing_of(const Mapping& mapping, const MappingUse* use) {
  const std::string_view path = mapping.path;
  if (path == "[vdso]" || path.starts_with("[vvar") || path == "[vsyscall]")
    return Backing::Special;
  return backing_of_file(mapping, use);
}

std::vector<AddrRange> CopyPlan::copied() const {
  std::vector<AddrRange> all;
  for (const PlannedMapping& planned : mappings) {
    all.insert(all.end(), planned.copied.begin(), planned.copied.end());
  }
  return all;
}

std::vector<AddrRange> CopyPlan::stored_runs() const {
  std::vector<AddrRange> stretches;
  for (const PlannedMapping& planned : mappings) {
    if (planned.stored) add_joined(stretches, planned.mapping.range);
  }
  return stretches;
}

CopyPlan plan_copy(std::vector<Mapping> mappings, const std::vector<MappingUse>& uses,
                   const std::vector<PageRun>& runs) {
  CopyPlan plan;
  plan.mappings.reserve(mappings.size());
  size_t next = 0;
  for (Mapping& mapping : mappings) {
    PlannedMapping planned;
    const MappingUse* const use = use_of(uses, mapping.range);
    planned.treatment = treatment_of(mapping, use);
    planned.backing = backing_of(mapping, use);
    planned.mapping = std::move(mapping);
    const AddrRange range = planned.mapping.range;
    while (next < runs.size() && runs[next].range.end() <= range.begin()) ++next;
    for (size_t i = next; i < runs.size() && runs[i].range.begin() < range.end(); ++i) {
      add_run(runs[i], planned, plan);
    }
    planned.stored = is_stored(planned);
    if (!planned.stored) planned.copied.clear();
    plan.swapped_bytes += planned.swapped_bytes;
    plan.mappings.push_back(std::move(planned));
  }
  return plan;
}

}  // namespace heapscan
