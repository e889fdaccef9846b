#include "heapscan/report/triage.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "heapscan/base/text.h"
#include "report/triage_parts.h"

namespace heapscan {

namespace {

constexpr size_t kPartsOfARow = 3;
constexpr uint64_t kSmallestPart = uint64_t{64} << 10;
constexpr uint64_t kLargeNameless = uint64_t{1} << 20;

const char* spelled_use(MachineUse use) {
  static constexpr std::array<const char*, kMachineUses> kNames = {
      "free",
      "free, kept by each processor",
      "anonymous memory of processes",
      "swap cache of processes",
      "page cache",
      "shared memory and tmpfs",
      "slab, reclaimable",
      "slab, unreclaimable",
      "other reclaimable kernel memory",
      "vmalloc",
      "page tables",
      "kernel stacks",
      "per-CPU data",
      "huge pages",
      "zram",
      "zswap",
      "copies for file systems and devices",
      "bad memory",
      "balloon",
      "not accounted for"};
  return kNames[static_cast<size_t>(use)];
}

int64_t grown(uint64_t was, uint64_t is) {
  return static_cast<int64_t>(is) - static_cast<int64_t>(was);
}

// ---- lines of the account -----------------------------------------------------------------------

// Who may not read the flags knows the usual ones by name.
bool is_reclaimable(const SlabCache& cache) {
  const std::string_view name = cache.name;
  return cache.reclaimable.value_or(name == "dentry" || name == "buffer_head" ||
                                    name == "radix_tree_node" || name.starts_with("xfs_inode") ||
                                    name.find("inode_cache") != std::string_view::npos);
}

std::vector<TriagePart> parts_of_slab(const std::vector<SlabCache>& slab, bool reclaimable) {
  std::vector<TriagePart> parts;
  for (const SlabCache& cache : slab) {
    if (parts.size() == kPartsOfARow || cache.bytes < kSmallestPart) break;
    if (is_reclaimable(cache) == reclaimable)
      parts.push_back({escaped(cache.name), cache.bytes, {}});
  }
  return parts;
}

std::vector<TriagePart> parts_of_vmalloc(const std::optional<VmallocUse>& vmalloc) {
  std::vector<TriagePart> parts;
  if (!vmalloc) return parts;
  for (const VmallocCaller& caller : vmalloc->callers) {
    if (parts.size() == kPartsOfARow || caller.bytes < kSmallestPart) break;
    parts.push_back({escaped(caller.name), caller.bytes, {}});
  }
  return parts;
}

std::vector<TriagePart> parts_of_huge_pages(const std::vector<HugePool>& pools) {
  std::vector<TriagePart> parts;
  for (const HugePool& pool : pools) {
    const std::string pages = human_bytes(pool.page_bytes) + " pages";
    const uint64_t unused = std::min(pool.free, pool.total);
    const uint64_t promised = std::min(pool.reserved, unused);
    parts.push_back({pages + " in use", (pool.total - unused) * pool.page_bytes, {}});
    parts.push_back({"unused", unused * pool.page_bytes, {}});
    if (promised != 0) parts.push_back({"reserved of these", promised * pool.page_bytes, {}});
  }
  return parts;
}

std::vector<TriagePart> parts_of_zram(const std::vector<ZramDevice>& devices) {
  std::vector<TriagePart> parts;
  for (const ZramDevice& device : devices) {
    if (device.used_bytes == 0 || parts.size() == kPartsOfARow) continue;
    parts.push_back({escaped(device.name) + " holds", device.original_bytes, {}});
  }
  return parts;
}

std::vector<TriagePart> named_counters(
    const MemInfo& memory, std::initializer_list<std::pair<const char*, const char*>> keys) {
  std::vector<TriagePart> parts;
  for (const auto& [key, name] : keys) {
    if (const uint64_t bytes = memory.of(key); bytes != 0) parts.push_back({name, bytes, {}});
  }
  return parts;
}

std::vector<TriagePart> parts_of(MachineUse use, const MachineFacts& facts) {
  switch (use) {
    case MachineUse::Free:
      return named_counters(facts.memory, {{"Unaccepted", "not yet accepted by the guest"},
                                           {"CmaFree", "only for movable pages (CMA)"}});
    case MachineUse::Anonymous:
      return named_counters(facts.memory, {{"AnonHugePages", "in transparent huge pages"}});
    case MachineUse::FileCache:
      return named_counters(
          facts.memory,
          {{"Dirty", "dirty"}, {"Writeback", "being written"}, {"Buffers", "of block devices"}});
    case MachineUse::SlabReclaimable:
      return parts_of_slab(facts.slab, true);
    case MachineUse::SlabUnreclaimable:
      return parts_of_slab(facts.slab, false);
    case MachineUse::Vmalloc:
      return parts_of_vmalloc(facts.vmalloc);
    case MachineUse::HugePages:
      return parts_of_huge_pages(facts.huge_pools);
    case MachineUse::Zram:
      return parts_of_zram(facts.zram);
    case MachineUse::Zswap:
      return named_counters(facts.memory, {{"Zswapped", "zswap holds"}});
    default:
      return {};
  }
}

void add_rows(const MachineFacts& facts, const EarlierReading& before, TriageReport& report) {
  report.account = account_for(facts);
  std::optional<MachineAccount> was;
  if (before.facts != nullptr) was = account_for(*before.facts);
  for (size_t i = 0; i < kMachineUses; ++i) {
    const auto use = static_cast<MachineUse>(i);
    TriageRow row{use, spelled_use(use), report.account.of(use), {}, parts_of(use, facts)};
    if (was) row.growth = row.bytes - was->of(use);
    report.rows.push_back(std::move(row));
  }
}

void add_grown_slab(const MachineFacts& facts, const MachineFacts& before, size_t top,
                    TriageReport& report) {
  std::map<std::string_view, uint64_t> was;
  for (const SlabCache& cache : before.slab) was.emplace(cache.name, cache.bytes);
  for (const SlabCache& cache : facts.slab) {
    const auto known = was.find(cache.name);
    const int64_t growth = grown(known == was.end() ? 0 : known->second, cache.bytes);
    if (growth >= static_cast<int64_t>(kSmallestPart))
      report.grown_slab.push_back({escaped(cache.name), cache.bytes, growth});
  }
  std::stable_sort(report.grown_slab.begin(), report.grown_slab.end(),
                   [](const TriagePart& a, const TriagePart& b) { return *a.growth > *b.growth; });
  if (report.grown_slab.size() > top) report.grown_slab.resize(top);
}

// ---- processes ----------------------------------------------------------------------------------

ProcessMemory escaped_process(ProcessMemory memory) {
  memory.name = escaped(memory.name);
  return memory;
}

// How much more there is because of it.
int64_t added_by(const TriageProcess& process) {
  if (process.is_new) return static_cast<int64_t>(process.memory.held());
  return process.growth.value_or(0);
}

void sum_processes(const MachineFacts& facts, TriageReport& report) {
  TriageProcesses& sums = report.processes;
  sums.count = facts.processes.size();
  for (const ProcessMemory& process : facts.processes) {
    if (process.proportional) ++sums.with_shares;
    sums.anonymous += process.proportional ? process.proportional->anonymous : process.anonymous;
  }
  const auto all =
      static_cast<uint64_t>(std::max<int64_t>(report.account.of(MachineUse::Anonymous), 0));
  constexpr uint64_t kWorthSaying = uint64_t{64} << 20;  // processes begin and end meanwhile
  const uint64_t unseen = all - std::min(all, sums.anonymous);
  if (unseen > std::max(kWorthSaying, all / 20)) sums.unseen = unseen;
}

void add_processes(const MachineFacts& facts, const EarlierReading& before,
                   const TriageOptions& options, TriageReport& report) {
  sum_processes(facts, report);
  TriageProcesses& sums = report.processes;
  std::vector<TriageProcess> all;
  for (const ProcessMemory& process : facts.processes) all.push_back({process, {}, false});
  if (before.facts != nullptr) {
    ProcessChanges changes = compare_processes(before.facts->processes, facts.processes);
    for (size_t i = 0; i < all.size(); ++i) {
      all[i].growth = changes.growth[i];
      all[i].is_new = !changes.growth[i].has_value();
    }
    sums.begun = changes.begun;
    sums.ended = changes.ended.size();
    if (changes.ended.size() > options.top) changes.ended.resize(options.top);
    for (ProcessMemory& process : changes.ended)
      sums.largest_ended.push_back(escaped_process(std::move(process)));
  }
  std::stable_sort(all.begin(), all.end(), [](const TriageProcess& a, const TriageProcess& b) {
    if (added_by(a) != added_by(b)) return added_by(a) > added_by(b);
    return a.memory.held() > b.memory.held();
  });
  for (const TriageProcess& process : all) {
    const ProcessMemory& memory = process.memory;
    if (memory.pid == options.own_pid) continue;
    if (!sums.largest || memory.held() > sums.largest->held()) sums.largest = memory;
  }
  if (sums.largest) sums.largest = escaped_process(std::move(*sums.largest));
  if (all.size() > options.top) all.resize(options.top);
  for (TriageProcess& process : all) {
    process.memory = escaped_process(std::move(process.memory));
    sums.top.push_back(std::move(process));
  }
}

// ---- files without a disk, and without a name ---------------------------------------------------

void add_shared(const MachineFacts& facts, size_t top, TriageReport& report) {
  TriageShared& shared = report.shared;
  shared.bytes =
      static_cast<uint64_t>(std::max<int64_t>(report.account.of(MachineUse::SharedMemory), 0));
  shared.sysv = facts.sysv;
  for (const NamelessFile& file : facts.nameless) {
    if (!file.is_memfd) continue;
    ++shared.memfds;
    shared.memfd_bytes += file.bytes;
  }
  for (TmpfsMount mount : facts.tmpfs) {
    if (mount.used.value_or(0) < kSmallestPart || shared.mounts.size() == top) continue;
    mount.point = escaped(mount.point);
    mount.largest_file = escaped(mount.largest_file);
    shared.mounts.push_back(std::move(mount));
  }
}

void add_nameless(const MachineFacts& facts, size_t top, TriageReport& report) {
  for (NamelessFile file : facts.nameless) {
    if (file.bytes < kLargeNameless) continue;
    if (report.nameless.size() == top) {
      ++report.nameless_left_out;
      continue;
    }
    file.path = escaped(file.path);
    file.process = escaped(file.process);
    report.nameless.push_back(std::move(file));
  }
}

// ---- limits, and what the kernel says of its own leaks ------------------------------------------

void add_cgroups(const MachineFacts& facts, size_t top, TriageReport& report) {
  for (CgroupUse use : facts.cgroups) {
    if (report.cgroups.size() == top) break;
    use.path = escaped(use.path);
    report.cgroups.push_back(std::move(use));
  }
  report.cgroups_left_out = facts.cgroups.size() - report.cgroups.size();
}

void add_kmemleak(const MachineFacts& facts, TriageReport& report) {
  report.kmemleak = facts.kmemleak;
  if (report.kmemleak) {
    for (KmemleakObject& object : report.kmemleak->first) {
      object.command = escaped(object.command);
      object.allocated = escaped(object.allocated);
    }
    return;
  }
  switch (facts.outcome_of("/sys/kernel/debug/kmemleak")) {
    case ReadOutcome::Refused:
      report.kmemleak_missing = "unknown without root";
      break;
    case ReadOutcome::TooSlow:
      report.kmemleak_missing = "busy scanning; ask again in a minute";
      break;
    default:
      report.kmemleak_missing =
          facts.has_debugfs
              ? "not in this kernel; it takes one that was built with CONFIG_DEBUG_KMEMLEAK"
              : "unknown: debugfs is not mounted; mount -t debugfs none /sys/kernel/debug";
  }
}

}  // namespace

const TriageRow& row_of(const TriageReport& report, MachineUse use) {
  return report.rows[static_cast<size_t>(use)];
}

TriageReport describe_triage(const MachineFacts& facts, const EarlierReading& before,
                             const TriageOptions& options) {
  TriageReport report;
  report.host = escaped(facts.host);
  report.kernel = escaped(facts.kernel);
  report.captured_at = facts.captured_at;
  report.as_root = facts.as_root;
  if (before.facts != nullptr) report.seconds = before.seconds;
  add_rows(facts, before, report);
  if (before.facts != nullptr) add_grown_slab(facts, *before.facts, options.top, report);
  report.sockets = facts.sockets;
  for (SocketMemory& socket : report.sockets) socket.protocol = escaped(socket.protocol);
  add_processes(facts, before, options, report);
  add_shared(facts, options.top, report);
  add_nameless(facts, options.top, report);
  add_cgroups(facts, options.top, report);
  add_kmemleak(facts, report);
  add_left_over_hints(facts, report);
  add_what_was_not_read(facts, report);
  add_summary(report);
  add_next_steps(facts, options, report);
  return report;
}

}  // namespace heapscan
