#include "cli/keep_capture.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <optional>

#include "cli/options.h"
#include "cli/output.h"
#include "cli/reduce_content.h"
#include "heapscan/acquire/snapshot.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

namespace {

double seconds_after(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

// What blocks there are decides what of malloc's memory is kept.
struct KnownHeap {
  RuntimeFacts runtime;
  std::optional<HeapModel> heap;
};

KnownHeap find_blocks(const Capture& capture, const ReadingOptions& reading) {
  SymbolOptions where;
  where.debug_dirs.insert(where.debug_dirs.begin(), reading.debug_dirs.begin(),
                          reading.debug_dirs.end());
  where.debuginfod = reading.debuginfod;
  const DebugInfo debug_info = open_debug_info(capture.image, capture.files, where);
  const Symbols symbols = load_symbols(capture.image, capture.files, debug_info);
  KnownHeap known;
  known.runtime = find_runtime_facts(capture.image, symbols);
  try {
    known.heap = walk_heap(capture.image, symbols, known.runtime);
  } catch (const Error& error) {
    say(fmt::format("{}; the snapshot is written, but only addresses are kept of that memory",
                    error.what()));
  }
  return known;
}

std::string summary(const Capture& capture, const std::string& path, Content content,
                    const WrittenSnapshot& written, double seconds) {
  const CaptureFacts& facts = capture.facts;
  std::string text = fmt::format("pid {}", facts.pid);
  if (!facts.command.empty()) text += fmt::format(" ({})", escaped(facts.command));
  text +=
      fmt::format(", {}, stopped for {:.1f} ms", counted(capture.image.threads().size(), "thread"),
                  facts.pause_seconds.value_or(0) * 1e3);
  if (content != Content::Full)
    text += fmt::format("; content kept: {}",
                        content == Content::Pointers ? "addresses and small numbers" : "addresses");
  return text +
         fmt::format("; {} takes {} for {} of memory, written in {:.1f} s; see heapscan core {}",
                     escaped(path), human_bytes(written.disk_bytes),
                     human_bytes(written.memory_bytes), seconds, shell_word(path));
}

}  // namespace

void add_keep_options(CLI::App& command, KeepHow& how) {
  command.add_flag("--force", how.force, "Replace FILE if there is one");
  add_choice<Content>(
      command, "--content", how.content,
      {{name_of(Content::Full), Content::Full},
       {name_of(Content::Pointers), Content::Pointers},
       {name_of(Content::None), Content::None}},
      "What to keep of the memory: full; pointers: addresses and small numbers, no text; none: "
      "addresses only [full]");
}

std::string snapshot_name_for(const std::string& pattern, int pid) {
  utsname names{};
  return expanded_name(pattern,
                       {pid, ::uname(&names) == 0 ? names.nodename : "", std::time(nullptr)});
}

std::string keep_capture(const Capture& capture, const std::string& path, const KeepHow& how,
                         Progress& progress) {
  SnapshotOptions snapshot;
  snapshot.replace = how.force;
  KnownHeap known;
  if (how.content != Content::Full) {
    progress.stage("finding blocks");
    known = find_blocks(capture, how.reading);
    snapshot.content = rules_of_content(capture.image, known.runtime,
                                        known.heap ? &*known.heap : nullptr, how.content);
  }
  progress.stage("looking for empty pages");
  snapshot.on_progress = [&](uint64_t done, uint64_t all) {
    progress.stage(
        fmt::format("writing {}, {} of {}", escaped(path), human_bytes(done), human_bytes(all)));
  };
  const auto began = std::chrono::steady_clock::now();
  const WrittenSnapshot written = write_snapshot(capture, path, snapshot);
  return summary(capture, path, how.content, written, seconds_after(began));
}

}  // namespace heapscan
