// What follows from a machine's account: one sentence that says where its memory is, and the next
// command.
//
// What is free or can be had back at once is nobody's trouble: the sentence names the largest of the
// other lines, and what is left over where that is much.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "heapscan/base/text.h"
#include "report/report_parts.h"
#include "report/triage_parts.h"

namespace heapscan {

namespace {

constexpr const char* kAllocInfo = "/proc/allocinfo";
constexpr const char* kPageOwner = "/sys/kernel/debug/page_owner";
constexpr int64_t kGrowthWorthALook = int64_t{1} << 20;

// Lines that somebody may have to do something about.
constexpr std::array kTroubles = {MachineUse::Anonymous,
                                  MachineUse::SharedMemory,
                                  MachineUse::SlabUnreclaimable,
                                  MachineUse::SlabReclaimable,
                                  MachineUse::OtherReclaimable,
                                  MachineUse::Vmalloc,
                                  MachineUse::PageTables,
                                  MachineUse::KernelStacks,
                                  MachineUse::PerCpu,
                                  MachineUse::HugePages,
                                  MachineUse::Zram,
                                  MachineUse::Zswap,
                                  MachineUse::Temporary,
                                  MachineUse::Corrupted,
                                  MachineUse::Balloon,
                                  MachineUse::LeftOver};

const TriageRow& largest_trouble(const TriageReport& report) {
  const MachineUse use = *std::max_element(
      kTroubles.begin(), kTroubles.end(),
      [&](MachineUse a, MachineUse b) { return report.account.of(a) < report.account.of(b); });
  return row_of(report, use);
}

// "processes hold", "page tables hold": what has them, with its verb.
std::string subject_of(MachineUse use) {
  switch (use) {
    case MachineUse::Anonymous:
      return "processes hold";
    case MachineUse::SharedMemory:
      return "shared memory and tmpfs hold";
    case MachineUse::SlabUnreclaimable:
      return "slab that cannot be reclaimed holds";
    case MachineUse::SlabReclaimable:
      return "slab that can be reclaimed holds";
    case MachineUse::OtherReclaimable:
      return "reclaimable memory of drivers is";
    case MachineUse::PageTables:
      return "page tables hold";
    case MachineUse::KernelStacks:
      return "kernel stacks hold";
    case MachineUse::PerCpu:
      return "per-CPU data of the kernel is";
    case MachineUse::HugePages:
      return "huge pages are set aside for";
    case MachineUse::Temporary:
      return "copies for file systems and devices are";
    case MachineUse::Corrupted:
      return "bad memory is";
    case MachineUse::Balloon:
      return "the hypervisor has taken back";
    case MachineUse::LeftOver:
      return "nothing accounts for";
    default:
      return std::string(name_of(use)) + " holds";  // vmalloc, zram, zswap
  }
}

std::string amount(int64_t bytes, uint64_t total) {
  const auto shown = static_cast<uint64_t>(std::max<int64_t>(bytes, 0));
  return fmt::format("{} ({})",
                     spelled_share(static_cast<double>(shown), static_cast<double>(total)),
                     human_bytes(shown));
}

// ", most of it redis-server (1234) with 9.1 GiB"
std::string who_has_it(const TriageReport& report, const TriageRow& row) {
  if (row.use == MachineUse::Anonymous) {
    const uint64_t unseen = report.processes.unseen;
    if (2 * static_cast<int64_t>(unseen) > row.bytes)
      return fmt::format(", {} of it processes that cannot be seen from here", human_bytes(unseen));
    const auto& largest = report.processes.largest;
    if (!largest) return "";
    return fmt::format(", {} the most with {}{}", spelled_process(*largest),
                       human_bytes(largest->held()),
                       largest->swapped == 0
                           ? ""
                           : fmt::format(", of which {} in swap", human_bytes(largest->swapped)));
  }
  if (row.use == MachineUse::SharedMemory && !report.shared.mounts.empty()) {
    const TmpfsMount& mount = report.shared.mounts.front();
    if (mount.used.value_or(0) >= report.shared.memfd_bytes)
      return fmt::format(", {} the most with {}", mount.point, human_bytes(*mount.used));
  }
  if (row.use == MachineUse::SharedMemory && report.shared.memfd_bytes != 0)
    return fmt::format(", memfds the most with {}", human_bytes(report.shared.memfd_bytes));
  if (row.parts.empty() || row.use == MachineUse::HugePages || row.use == MachineUse::Zram ||
      row.use == MachineUse::Zswap) {
    return "";
  }
  return fmt::format(", {} the most with {}", row.parts.front().name,
                     human_bytes(row.parts.front().bytes));
}

// Where a machine has memory and a container has not.
std::string nearest_limit(const TriageReport& report) {
  constexpr double kNear = 0.9;
  if (report.cgroups.empty()) return "";
  const CgroupUse& nearest = report.cgroups.front();
  const auto used = static_cast<double>(nearest.used);
  const auto limit = static_cast<double>(nearest.limit);
  if (used < limit * kNear) return "";
  return fmt::format("cgroup {} is at {} of its limit", nearest.path, spelled_share(used, limit));
}

std::string counted_processes(uint64_t count) {
  return fmt::format("{} process{}", grouped(count), count == 1 ? "" : "es");
}

const TriageProcess* fastest_process(const TriageReport& report, int own_pid) {
  for (const TriageProcess& process : report.processes.top) {
    if (process.memory.pid == own_pid) continue;
    return process.growth.value_or(0) >= kGrowthWorthALook ? &process : nullptr;
  }
  return nullptr;
}

void advise_on_processes(const TriageOptions& options, TriageReport& report) {
  if (const TriageProcess* const fastest = fastest_process(report, options.own_pid)) {
    report.next.push_back({fmt::format("heapscan attach {}", fastest->memory.pid),
                           fmt::format("{} grows: {}", fastest->memory.name,
                                       spelled_growth(*fastest->growth, *report.seconds))});
    return;
  }
  if (const auto& largest = report.processes.largest) {
    report.next.push_back({fmt::format("heapscan attach {}", largest->pid),
                           fmt::format("{} holds {}, the most of all processes", largest->name,
                                       human_bytes(largest->held()))});
  }
}

void advise_on_slab(const TriageRow& row, TriageReport& report) {
  if (row.use == MachineUse::SlabUnreclaimable) {
    report.next.push_back({"slabtop -s c", "which caches are large, and go on growing"});
    report.next.push_back(
        {"bpftrace -e 'tracepoint:kmem:kmalloc { @[kstack(8)] = sum(args->bytes_alloc); }'",
         "who allocates from them"});
  }
}

// What is in the way of everything else comes first.
void advise_on_the_kernel(TriageReport& report) {
  const TriageRow& row = largest_trouble(report);
  if (row.bytes <= report.account.much()) return;
  advise_on_slab(row, report);
  if (row.use == MachineUse::Vmalloc && row.parts.empty())
    report.next.push_back({"sudo cat /proc/vmallocinfo", "who has asked for it"});
  if (row.use == MachineUse::PageTables)
    report.next.push_back({"grep VmPTE /proc/[0-9]*/status | sort -rnk2 | head", "whose they are"});
}

// Who took pages that no counter names is known only to those who were asked to write it down.
void advise_on_left_over(const MachineFacts& facts, TriageReport& report) {
  const bool has_profile = facts.outcome_of(kAllocInfo) != ReadOutcome::Absent;
  report.next.push_back(
      {"sort -rn /proc/allocinfo | head",
       has_profile
           ? "who allocated it, by line of the kernel"
           : "who allocated it; from Linux 6.10 on, booted with sysctl.vm.mem_profiling=1"});
  const bool has_owners = facts.outcome_of(kPageOwner) == ReadOutcome::Read;
  report.next.push_back({"cat /sys/kernel/debug/page_owner",
                         has_owners ? "the same by stack"
                                    : "the same by stack; where it was booted with page_owner=on"});
  report.next.push_back({"bpftrace -e 'tracepoint:kmem:mm_page_alloc { @[kstack(8)] = count(); }'",
                         "who takes pages now, if it grows"});
  report.next.push_back({"drgn", "walks the kernel's own structures, live: what a driver holds"});
}

}  // namespace

std::string spelled_share(double part, double whole) {
  const double percent = whole <= 0 ? 0 : part / whole * 100;
  return percent >= 9.95 ? fmt::format("{:.0f} %", percent) : fmt::format("{:.1f} %", percent);
}

std::string spelled_process(const ProcessMemory& process) {
  return fmt::format("{} ({})", process.name, process.pid);
}

std::string spelled_growth(int64_t bytes, double seconds) {
  constexpr double kMost = 1e18;  // what a damaged copy may say
  const double per_minute = static_cast<double>(bytes) * 60 / seconds;
  return signed_bytes(std::llround(std::clamp(per_minute, -kMost, kMost))) + "/min";
}

void add_summary(TriageReport& report) {
  const MachineAccount& account = report.account;
  const TriageRow& row = largest_trouble(report);
  std::string text;
  if (account.available) {
    text = fmt::format(
        "{} of {} is available; ",
        spelled_share(static_cast<double>(*account.available), static_cast<double>(account.total)),
        human_bytes(account.total));
  }
  text += fmt::format("{} {}{}", subject_of(row.use), amount(row.bytes, account.total),
                      who_has_it(report, row));
  if (row.use != MachineUse::LeftOver && account.leaves_much()) {
    text += fmt::format("; {} {}", subject_of(MachineUse::LeftOver),
                        amount(account.left_over(), account.total));
  }
  if (const std::string limit = nearest_limit(report); !limit.empty()) text += "; " + limit;
  report.summary = text;
}

void add_left_over_hints(const MachineFacts& facts, TriageReport& report) {
  const MachineAccount& account = report.account;
  if (account.balloon_outside != 0) {
    report.left_over_hints.push_back(fmt::format("a balloon of {} lies outside these {}",
                                                 human_bytes(account.balloon_outside),
                                                 human_bytes(account.total)));
  }
  if (!account.knows_vmalloc) {
    report.left_over_hints.emplace_back(
        "what vmalloc took is in it: this kernel tells that only root, in /proc/vmallocinfo");
  }
  if (!account.leaves_much()) return;
  report.left_over_hints.emplace_back(
      "pages that drivers took for themselves: of a GPU, of network or storage devices");
  if (!facts.memory.find("Balloon")) {
    report.left_over_hints.emplace_back(
        "a balloon of the hypervisor: VMware's, for one, stays in MemTotal, and this kernel does "
        "not "
        "count it");
  }
  uint64_t sockets = 0;
  for (const SocketMemory& socket : facts.sockets) sockets += socket.bytes;
  if (sockets > static_cast<uint64_t>(account.left_over()) / 4) {
    report.left_over_hints.push_back(
        fmt::format("buffers of sockets: {} are charged to them, of which slab has a part",
                    human_bytes(sockets)));
  }
  const uint64_t cma = facts.memory.of("CmaTotal") -
                       std::min(facts.memory.of("CmaTotal"), facts.memory.of("CmaFree"));
  if (cma != 0) {
    report.left_over_hints.push_back(
        fmt::format("up to {} of contiguous memory for devices (CMA)", human_bytes(cma)));
  }
}

void add_what_was_not_read(const MachineFacts& facts, TriageReport& report) {
  const auto say = [&](bool is_missing, std::string what) {
    if (is_missing) report.not_read.push_back(std::move(what));
  };
  for (const char* const file : {"/proc/slabinfo", "/proc/vmallocinfo"})
    say(facts.outcome_of(file) == ReadOutcome::Refused, file);
  say(facts.rollups_refused != 0, "shared pages of " + counted_processes(facts.rollups_refused));
  say(facts.descriptors_refused != 0,
      "open files of " + counted_processes(facts.descriptors_refused));
  const auto in_time = [&](uint64_t skipped, const char* what) {
    if (skipped != 0)
      report.left_out.push_back(fmt::format("{} of {}", what, counted_processes(skipped)));
  };
  in_time(facts.rollups_skipped, "shared pages");
  in_time(facts.descriptors_skipped, "open files");
  if (facts.cgroups_cut) report.left_out.emplace_back("some cgroups");
}

void add_next_steps(const MachineFacts& facts, const TriageOptions& options, TriageReport& report) {
  advise_on_the_kernel(report);
  if (report.account.leaves_much()) advise_on_left_over(facts, report);
  advise_on_processes(options, report);
  if (!report.seconds) report.next.push_back({options.command + " --seconds 30", "what grows"});
}

}  // namespace heapscan
