// How long attaching stops a process, against what merely copying its memory takes.
//
//     attach_bench --generator=PROGRAM --blocks=N [--benchmark_...]
//
// PROGRAM is bench_heap_generator. The yardstick is process_vm_readv of the pages of its writable
// private mappings that are in memory, in one thread, while it runs: into a buffer written to
// beforehand, and into a fresh one.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "bench_process.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/base/addr.h"
#include "heapscan/base/error.h"

namespace heapscan::bench {
namespace {

constexpr size_t kMostPieces = 1024;               // IOV_MAX
constexpr uint64_t kInMemory = uint64_t{1} << 63;  // of an entry of /proc/PID/pagemap

struct Settings {
  std::string generator;
  uint64_t blocks = 0;
};

std::vector<AddrRange> writable_private_mappings(int pid) {
  std::vector<AddrRange> mappings;
  std::istringstream maps(read_text_file("/proc/" + std::to_string(pid) + "/maps"));
  for (std::string line; std::getline(maps, line);) {
    unsigned long long begin = 0;
    unsigned long long end = 0;
    char perms[5] = {};
    if (std::sscanf(line.c_str(), "%llx-%llx %4s", &begin, &end, perms) != 3) continue;
    if (perms[0] == 'r' && perms[1] == 'w' && perms[3] == 'p')
      mappings.emplace_back(Addr(begin), Addr(end));
  }
  return mappings;
}

// The stretches of pages in memory.
std::vector<AddrRange> resident_stretches(int pid) {
  const Fd pagemap = Fd::open_read("/proc/" + std::to_string(pid) + "/pagemap");
  std::vector<AddrRange> stretches;
  std::vector<uint64_t> entries(1 << 16);
  for (const AddrRange& mapping : writable_private_mappings(pid)) {
    for (Addr at = mapping.begin(); at < mapping.end();) {
      const uint64_t pages = std::min<uint64_t>((mapping.end() - at) / kPage, entries.size());
      const ssize_t got = ::pread(pagemap.get(), entries.data(), pages * 8,
                                  static_cast<off_t>(at.value / kPage * 8));
      if (got <= 0) break;
      for (ssize_t i = 0; i < got / 8; ++i, at = at + kPage) {
        if ((entries[static_cast<size_t>(i)] & kInMemory) == 0) continue;
        if (!stretches.empty() && stretches.back().end() == at) {
          stretches.back() = {stretches.back().begin(), at + kPage};
        } else {
          stretches.emplace_back(at, at + kPage);
        }
      }
    }
  }
  return stretches;
}

uint64_t total_bytes(const std::vector<AddrRange>& stretches) {
  uint64_t bytes = 0;
  for (const AddrRange& stretch : stretches) bytes += stretch.size();
  return bytes;
}

// Copies all stretches into `buffer`; the seconds that took.
double time_bare_copy(int pid, const std::vector<AddrRange>& stretches, std::byte* buffer) {
  const double begin = now();
  for (size_t first = 0; first < stretches.size(); first += kMostPieces) {
    std::vector<iovec> remote;
    uint64_t bytes = 0;
    for (size_t i = first; i < std::min(first + kMostPieces, stretches.size()); ++i) {
      remote.push_back({reinterpret_cast<void*>(stretches[i].begin().value), stretches[i].size()});
      bytes += stretches[i].size();
    }
    // One call moves at most 2 GiB.
    size_t at = 0;
    while (bytes != 0) {
      const iovec local{buffer, bytes};
      const ssize_t got =
          ::process_vm_readv(pid, &local, 1, remote.data() + at, remote.size() - at, 0);
      if (got <= 0)
        throw Error(ErrorKind::Acquire, "process_vm_readv failed: " + describe_errno(errno) + ".");
      buffer += got;
      bytes -= static_cast<uint64_t>(got);
      for (auto left = static_cast<size_t>(got); left != 0;) {
        const size_t part = std::min(left, remote[at].iov_len);
        remote[at].iov_base = static_cast<std::byte*>(remote[at].iov_base) + part;
        remote[at].iov_len -= part;
        left -= part;
        if (remote[at].iov_len == 0) ++at;
      }
    }
  }
  return now() - begin;
}

void bench_pause(benchmark::State& state, int pid) {
  for (auto _ : state) {
    const std::vector<AddrRange> stretches = resident_stretches(pid);
    const uint64_t bytes = total_bytes(stretches);
    double fresh = 0;
    double warm = 0;
    {
      MappedMemory buffer = MappedMemory::reserve(bytes);
      fresh = time_bare_copy(pid, stretches, buffer.data());
      warm = time_bare_copy(pid, stretches, buffer.data());
    }
    const double begin = now();
    const Capture capture = capture_process(pid);
    const double total = now() - begin;
    const double pause = capture.facts.pause_seconds.value_or(0);
    state.SetIterationTime(pause);
    state.counters["resident_bytes"] = static_cast<double>(bytes);
    state.counters["bare_fresh_s"] = fresh;
    state.counters["bare_warm_s"] = warm;
    state.counters["times_bare_fresh"] = pause / fresh;
    state.counters["times_bare_warm"] = pause / warm;
    state.counters["capture_s"] = total;
  }
}

bool take_settings(int& argc, char** argv, Settings& settings) {
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with("--generator=")) {
      settings.generator = word.substr(12);
    } else if (word.starts_with("--blocks=")) {
      settings.blocks = std::strtoull(word.c_str() + 9, nullptr, 10);
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return !settings.generator.empty() && settings.blocks != 0;
}

}  // namespace
}  // namespace heapscan::bench

int main(int argc, char** argv) {
  using namespace heapscan::bench;
  Settings settings;
  if (!take_settings(argc, argv, settings)) {
    std::fputs("usage: attach_bench --generator=PROGRAM --blocks=N [--benchmark_...]\n", stderr);
    return 2;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  try {
    const RunningGenerator target(settings.generator, settings.blocks);
    const std::string name = "pause/blocks:" + std::to_string(settings.blocks);
    benchmark::RegisterBenchmark(name.c_str(),
                                 [&](benchmark::State& state) { bench_pause(state, target.pid()); })
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
    benchmark::RunSpecifiedBenchmarks();
  } catch (const heapscan::Error& error) {
    std::fprintf(stderr, "attach_bench: %s\n", error.what());
    return 3;
  }
  benchmark::Shutdown();
  return 0;
}
