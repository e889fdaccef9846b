#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/acquire/core_streams.h"
#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

struct FileOptions {
  std::string file;   // "-": standard input
  bool last = false;  // ask coredumpctl
  std::string match;  // for which one; empty: any
  std::string sysroot;
  SharedOptions shared;
};

std::string again(const FileOptions& options) {
  std::string words = "heapscan core";
  if (options.last) words += " --last";
  const std::string& which = options.last ? options.match : options.file;
  if (!which.empty()) words += ' ' + shell_word(which);
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

Capture load_standard_input(const CoreOptions& options) {
  if (isatty(STDIN_FILENO) != 0) {
    throw Error(
        ErrorKind::Usage,
        "standard input is a terminal; pipe a core dump in: coredumpctl dump 4711 | heapscan "
        "core -");
  }
  return load_core_stream(Fd(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)), "standard input", options);
}

Capture load(const FileOptions& options) {
  const CoreOptions core = core_options(options);
  if (options.last) return load_last_core(options.match, core);
  return options.file == "-" ? load_standard_input(core) : load_core(options.file, core);
}

int run_core(const FileOptions& options) {
  if (options.last != options.file.empty()) {
    throw Error(ErrorKind::Usage, options.last
                                      ? "core takes a file or --last, not both"
                                      : "core needs a file, - for standard input, or --last; see "
                                        "heapscan core --help");
  }
  return run_report(options.shared, again(options), [&] { return load(options); });
}

void add_core_words(CLI::App& command, FileOptions& options) {
  command.add_option("file", options.file, "The core dump or snapshot; - is standard input")
      ->type_name("[FILE]");
  command
      .add_option_function<std::vector<std::string>>(
          "--last",
          [&options](const std::vector<std::string>& match) {
            options.last = true;
            if (!match.empty()) options.match = match.back();
          },
          "The newest core dump that systemd-coredump has kept, or the newest of MATCH: a process "
          "id, a name or a path, as coredumpctl takes it")
      ->type_name("[MATCH]")
      ->expected(0, 1);
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
       "Reads a core dump written by the kernel, gcore or coredumpctl, also one "
       "packed by zstd, gzip, xz or lz4 whatever its name, "
       "and reports on it as attach does on a process. A core does not "
       "record what the kernel holds for the program and may lack part of "
       "the memory; the report says so. A file of heapscan snapshot has "
       "all of it.",
       add_core_words,
       examples({
           {"heapscan core core.4711", "What had the process leaked when the core was written?"},
           {"gcore -o core 4711 && heapscan core core.4711",
            "Write a core now, analyse it as often as you like."},
           {"heapscan core --last nginx",
            "The newest core dump of nginx that systemd-coredump has kept."},
           {"ssh web1 'gzip -c core.4711' | heapscan core - --sysroot /srv/images/web",
            "One that is elsewhere."},
           {"heapscan core core.4711 --sysroot /srv/images/web",
            "The core is from a container or another host whose files are in /srv/images/web."},
           {"heapscan core core.4711 --no-content -o report.txt",
            "A report to pass on: it contains nothing of the target's memory."},
       }),
       run_core});
}

}  // namespace heapscan
