// What `heapscan core` costs: whole, as a process, against reading the file once; its own memory;
// and stage by stage.
//
//     core_bench --heapscan=PROGRAM --cores=FILE[,FILE...] [--threads=1,2] [--benchmark_...]
//
// FILE is what make_core leaves behind, named BLOCKS.core: the number of blocks is taken from its
// name. Every core is read once before anything is measured, so that it is in the page cache.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "bench_process.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/analysis/analysis.h"
#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/report/report.h"
#include "heapscan/symbols/debug_info.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan::bench {
namespace {

constexpr size_t kReadBuffer = 1 << 20;

struct Settings {
  std::string heapscan;
  std::vector<std::string> cores;
  std::vector<unsigned> threads = {1, 2};
};

struct Core {
  std::string path;
  std::string blocks;

  [[nodiscard]] double block_count() const { return std::strtod(blocks.c_str(), nullptr); }
};

// read(2) of the whole file into one small buffer: what it takes to look at every byte once.
double time_read(const std::string& path) {
  std::vector<char> buffer(kReadBuffer);
  const double begin = now();
  const Fd file = Fd::open_read(path);
  while (::read(file.get(), buffer.data(), buffer.size()) > 0) continue;
  return now() - begin;
}

// The same through a mapping: each page is faulted in and added up.
double time_mapped_sum(const std::string& path) {
  const double begin = now();
  const Fd file = Fd::open_read(path);
  const MappedMemory memory = MappedMemory::map_file(file, std::filesystem::file_size(path), path);
  uint64_t sum = 0;
  const auto* words = reinterpret_cast<const uint64_t*>(memory.data());
  for (uint64_t i = 0; i < memory.size() / 8; ++i) sum += words[i];
  benchmark::DoNotOptimize(sum);
  return now() - begin;
}

std::vector<std::string> core_command(const Settings& settings, const Core& core,
                                      unsigned threads) {
  return {settings.heapscan, "core", core.path, "--threads", std::to_string(threads)};
}

// 0 and 1 are both answers: nothing lost, something lost.
bool has_succeeded(const FinishedRun& run, benchmark::State& state) {
  if (run.exit_code == 0 || run.exit_code == 1) return true;
  state.SkipWithError(("heapscan ended with exit code " + std::to_string(run.exit_code)).c_str());
  return false;
}

void bench_whole(benchmark::State& state, const Settings& settings, const Core& core,
                 unsigned threads) {
  for (auto _ : state) {
    const double read_seconds = time_read(core.path);
    const double mapped_seconds = time_mapped_sum(core.path);
    const FinishedRun run = run_to_end(core_command(settings, core, threads), Watch::Nothing);
    if (!has_succeeded(run, state)) return;
    state.SetIterationTime(run.wall_seconds);
    state.counters["read_s"] = read_seconds;
    state.counters["mapped_sum_s"] = mapped_seconds;
    state.counters["times_read"] = run.wall_seconds / read_seconds;
    state.counters["user_s"] = run.user_seconds;
    state.counters["system_s"] = run.system_seconds;
    state.counters["ns_per_block"] = run.wall_seconds * 1e9 / core.block_count();
  }
}

void bench_memory(benchmark::State& state, const Settings& settings, const Core& core,
                  unsigned threads) {
  for (auto _ : state) {
    const FinishedRun run = run_to_end(core_command(settings, core, threads), Watch::Memory);
    if (!has_succeeded(run, state)) return;
    state.SetIterationTime(run.wall_seconds);
    const auto peak = static_cast<double>(run.peak_anonymous_bytes);
    state.counters["own_bytes"] = peak;
    state.counters["own_bytes_per_block"] = peak / core.block_count();
  }
}

// What each column of the table is made of: stages as the analysis calls them.
double seconds_of(const Analysis& analysis, std::initializer_list<std::string_view> stages) {
  double sum = 0;
  for (const auto& [name, seconds] : analysis.timing) {
    if (std::find(stages.begin(), stages.end(), name) != stages.end()) sum += seconds;
  }
  return sum;
}

void count_stages(benchmark::State& state, const Analysis& analysis) {
  state.counters["3_walk_heap_s"] =
      seconds_of(analysis, {"find threads", "walk heap", "find roots"});
  state.counters["4_trace_s"] = seconds_of(analysis, {"trace"});
  state.counters["5_families_s"] = seconds_of(analysis, {"find families"});
  state.counters["6_identify_s"] =
      seconds_of(analysis, {"read types", "identify", "make clusters", "find source lines"});
  state.counters["7_fold_trees_s"] = seconds_of(analysis, {"fold trees", "suppress"});
}

void bench_stages(benchmark::State& state, const Core& core, unsigned threads) {
  const ThreadLimit limit(threads);
  for (auto _ : state) {
    const double began = now();
    auto capture = std::make_unique<Capture>(load_core(core.path));
    const double loaded = now();
    const DebugInfo debug_info = open_debug_info(capture->image, capture->files);
    Symbols symbols = load_symbols(capture->image, capture->files, debug_info);
    const double named = now();
    auto analysis = std::make_unique<Analysis>(
        analyze(std::move(capture->image), std::move(symbols), debug_info));
    const double analyzed = now();
    std::ostringstream out;
    {
      const Report report = describe(capture->facts, *analysis, ReportOptions());
      render_text(report, false, out);
    }
    const double reported = now();
    benchmark::DoNotOptimize(out.str().size());
    count_stages(state, *analysis);
    analysis.reset();
    capture.reset();
    const double released = now();
    state.counters["1_load_core_s"] = loaded - began;
    state.counters["2_load_symbols_s"] = named - loaded;
    state.counters["8_report_s"] = reported - analyzed;
    state.counters["9_release_s"] = released - reported;
    state.SetIterationTime(released - began);
  }
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  std::istringstream in(list);
  for (std::string item; std::getline(in, item, ',');) items.push_back(item);
  return items;
}

// Takes our own arguments out of argv. False when one is missing.
bool take_settings(int& argc, char** argv, Settings& settings) {
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with("--heapscan=")) {
      settings.heapscan = word.substr(11);
    } else if (word.starts_with("--cores=")) {
      settings.cores = split(word.substr(8));
    } else if (word.starts_with("--threads=")) {
      settings.threads.clear();
      for (const std::string& item : split(word.substr(10))) {
        settings.threads.push_back(static_cast<unsigned>(std::strtoul(item.c_str(), nullptr, 10)));
      }
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return !settings.heapscan.empty() && !settings.cores.empty();
}

void add_benchmarks(const Settings& settings) {
  auto add = [](const std::string& name, auto function) {
    benchmark::RegisterBenchmark(name.c_str(), function)
        ->UseManualTime()
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  };
  for (const std::string& path : settings.cores) {
    const Core core{path, std::filesystem::path(path).stem().string()};
    for (const unsigned threads : settings.threads) {
      const std::string which = "/blocks:" + core.blocks + "/threads:" + std::to_string(threads);
      add("whole" + which,
          [=](benchmark::State& state) { bench_whole(state, settings, core, threads); });
      add("memory" + which,
          [=](benchmark::State& state) { bench_memory(state, settings, core, threads); });
      add("stages" + which, [=](benchmark::State& state) { bench_stages(state, core, threads); });
    }
  }
}

}  // namespace
}  // namespace heapscan::bench

int main(int argc, char** argv) {
  using namespace heapscan::bench;
  Settings settings;
  if (!take_settings(argc, argv, settings)) {
    std::fputs(
        "usage: core_bench --heapscan=PROGRAM --cores=FILE[,FILE...] [--threads=1,2] "
        "[--benchmark_...]\n",
        stderr);
    return 2;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  for (const std::string& core : settings.cores) static_cast<void>(time_read(core));
  add_benchmarks(settings);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
