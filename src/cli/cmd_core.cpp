#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/acquire/capture.h"

namespace heapscan {

namespace {

struct FileOptions {
  std::string file;
  std::string sysroot;
  SharedOptions shared;
};

std::string again(const FileOptions& options) {
  std::string words = "heapscan core " + shell_word(options.file);
  if (!options.sysroot.empty()) words += " --sysroot " + shell_word(options.sysroot);
  return words;
}

CoreOptions core_options(const FileOptions& options) {
  CoreOptions core;
  core.sysroot = options.sysroot;
  core.debug_dirs = options.shared.debug_dirs;
  core.debug_dirs.emplace_back("/usr/lib/debug");
  return core;
}

int run_core(const FileOptions& options) {
  return run_report(options.shared, again(options),
                    [&] { return load_core(options.file, core_options(options)); });
}

void add_core_words(CLI::App& command, FileOptions& options) {
  command.add_option("file", options.file, "The core dump or snapshot")
      ->required()
      ->type_name("FILE");
  add_text(
      command, "--sysroot", "DIR", "Look in DIR for the files that the process had mapped",
      [&options](const std::string& text) { options.sysroot = folder_from("--sysroot", text); });
  add_shared_options(command, options.shared);
}

}  // namespace

void setup_core(CLI::App& program, Run& run) {
  add_command<FileOptions>(
      program, run,
      {"core",
       "Find leaked memory in a core dump or a snapshot\n"
       "Reads a core dump written by the kernel, gcore or coredumpctl (also "
       ".zst) and reports on it as attach does on a process. A core does not "
       "record what the kernel holds for the program and may lack part of "
       "the memory; the report says so. A file of heapscan snapshot has "
       "all of it.",
       add_core_words,
       examples({
           {"heapscan core core.4711", "What had the process leaked when the core was written?"},
           {"gcore -o core 4711 && heapscan core core.4711",
            "Write a core now, analyse it as often as you like."},
           {"heapscan core core.4711 --sysroot /srv/images/web",
            "The core is from a container or another host whose files are in /srv/images/web."},
           {"heapscan core core.4711 --no-content -o report.txt",
            "A report to pass on: it contains nothing of the target's memory."},
       }),
       run_core});
}

}  // namespace heapscan
