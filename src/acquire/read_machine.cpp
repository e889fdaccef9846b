#include "heapscan/acquire/read_machine.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

#include "acquire/kernel_files.h"
#include "acquire/machine_parts.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr size_t kSmallFile = 65536;
constexpr size_t kLargeFile = size_t{16} << 20;

// A file whose outcome is told.
std::string read_told(const std::string& root, const std::string& path, MachineFacts& facts) {
  FileRead file = read_file(root + path, kLargeFile);
  facts.outcomes[path] = file.outcome;
  return std::move(file.text);
}

std::string first_line(const std::string& path) {
  const std::string text = read_file(path, kSmallFile).text;
  return text.substr(0, text.find('\n'));
}

// Names in a folder that begin with `begin`, sorted.
std::vector<std::string> entries_like(const std::string& folder, std::string_view begin) {
  constexpr size_t kMostEntries = 256;
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  if (entries == nullptr) return names;
  while (const dirent* const entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name.starts_with(begin) && names.size() < kMostEntries) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The largest caches only: each is a file, and only they are told of.
void learn_what_is_reclaimable(const std::string& root, std::vector<SlabCache>& slab) {
  constexpr size_t kMostAsked = 40;
  for (size_t i = 0; i < std::min(slab.size(), kMostAsked); ++i) {
    if (slab[i].name.find('/') != std::string::npos) continue;
    const auto flag =
        number_of_file(root + "/sys/kernel/slab/" + slab[i].name + "/reclaim_account");
    if (flag) slab[i].reclaimable = *flag != 0;
  }
}

void read_huge_pools(const std::string& root, MachineFacts& facts) {
  const std::string folder = root + "/sys/kernel/mm/hugepages";
  constexpr std::string_view kBegin = "hugepages-";
  for (const std::string& name : entries_like(folder, kBegin)) {
    HugePool pool;
    std::from_chars(name.data() + kBegin.size(), name.data() + name.size(), pool.page_bytes);
    if (pool.page_bytes == 0 || pool.page_bytes > uint64_t{1} << 40) continue;
    pool.page_bytes *= 1024;
    const std::string files = folder + "/" + name;
    pool.total = number_of_file(files + "/nr_hugepages").value_or(0);
    pool.free = number_of_file(files + "/free_hugepages").value_or(0);
    pool.reserved = number_of_file(files + "/resv_hugepages").value_or(0);
    if (pool.total != 0) facts.huge_pools.push_back(pool);
  }
  const MemInfo& memory = facts.memory;
  if (facts.huge_pools.empty() && memory.of("HugePages_Total") != 0) {
    facts.huge_pools.push_back({memory.of("Hugepagesize"), memory.of("HugePages_Total"),
                                memory.of("HugePages_Free"), memory.of("HugePages_Rsvd")});
  }
}

void read_zram(const std::string& root, MachineFacts& facts) {
  for (const std::string& name : entries_like(root + "/sys/block", "zram")) {
    const std::string file = root + "/sys/block/" + name + "/mm_stat";
    if (auto device = parse_zram(name, read_file(file, kSmallFile).text))
      facts.zram.push_back(std::move(*device));
  }
}

void read_counts(const std::string& root, MachineFacts& facts) {
  const std::string proc = root + "/proc";
  facts.memory = parse_meminfo(read_file(proc + "/meminfo", kSmallFile).text);
  facts.free_list_pages = parse_free_lists(read_file(proc + "/zoneinfo", kLargeFile).text);
  facts.slab = parse_slabinfo(read_told(root, "/proc/slabinfo", facts), facts.page_size);
  facts.vmalloc = parse_vmallocinfo(read_told(root, "/proc/vmallocinfo", facts), facts.page_size);
  read_huge_pools(root, facts);
  read_zram(root, facts);
  facts.processes = read_process_memory(proc, facts.page_size);
}

void read_the_rest(const std::string& root, MachineFacts& facts) {
  const std::string proc = root + "/proc";
  learn_what_is_reclaimable(root, facts.slab);
  facts.sockets =
      parse_socket_memory(read_file(proc + "/net/sockstat", kSmallFile).text,
                          read_file(proc + "/net/protocols", kSmallFile).text, facts.page_size);
  facts.sysv = parse_sysv_segments(read_file(proc + "/sysvipc/shm", kLargeFile).text);
  read_rollups(proc, facts);
  if (root.empty()) read_nameless_files(facts);
  read_tmpfs_mounts(root, facts);
  read_cgroup_uses(root, facts);
  read_kmemleak(root, facts);
  for (const char* const file : {"/proc/allocinfo", "/sys/kernel/debug/page_owner"}) {
    const bool may_read = ::access((root + file).c_str(), R_OK) == 0;
    facts.outcomes[file] = may_read ? ReadOutcome::Read : outcome_of_errno(errno);
  }
}

}  // namespace

MachineFacts read_machine(const std::string& root, MachineWanted wanted) {
  MachineFacts facts;
  facts.captured_at =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  facts.page_size = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  facts.as_root = ::geteuid() == 0;
  facts.host = first_line(root + "/proc/sys/kernel/hostname");
  facts.kernel = first_line(root + "/proc/sys/kernel/osrelease");
  read_counts(root, facts);
  if (facts.memory.of("MemTotal") == 0) {
    throw Error(
        ErrorKind::Acquire,
        fmt::format("{}/proc/meminfo says nothing of MemTotal; {}", escaped(root),
                    root.empty() ? "mount /proc" : "--root takes a folder with proc/meminfo"));
  }
  if (wanted == MachineWanted::Everything) read_the_rest(root, facts);
  return facts;
}

}  // namespace heapscan
