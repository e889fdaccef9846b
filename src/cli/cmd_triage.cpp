#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <thread>

#include "cli/commands.h"
#include "cli/look.h"
#include "cli/options.h"
#include "cli/output.h"
#include "heapscan/acquire/read_machine.h"
#include "heapscan/report/triage.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostTriageRows = 100'000;

struct TriageWords {
  SharedOptions shared;
  std::string root;  // empty: this machine
  std::optional<double> seconds;
  uint64_t top = TriageOptions().top;
};

int run_triage(const TriageWords& words) {
  check_output(words.shared.output);
  std::optional<MachineFacts> before;
  EarlierReading earlier;
  if (words.seconds) {
    before = read_machine(words.root, MachineWanted::Counts);
    const auto began = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::duration<double>(*words.seconds));
    earlier.facts = &*before;
    earlier.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  }
  const MachineFacts facts = read_machine(words.root, MachineWanted::Everything);
  TriageOptions options;
  options.top = words.top;
  options.own_pid = words.root.empty() ? ::getpid() : 0;
  options.command = "heapscan triage";
  write_report(words.shared, describe_triage(facts, earlier, options));
  return kNothingLost;
}

void add_triage_words(CLI::App& command, TriageWords& words) {
  add_text(command, "--seconds", "N",
           "Read twice, N seconds apart, and say what grew; fractions are fine",
           [&words](const std::string& text) {
             words.seconds = decimal_from("--seconds", text, 0.01, 86400, "seconds");
           });
  add_number(command, "-n,--top", kMostTriageRows, words.top, "Show N rows of each table [5]");
  add_text(command, "--root", "DIR",
           "Read DIR/proc and DIR/sys: files that were copied from another machine",
           [&words](const std::string& text) { words.root = folder_from("--root", text); });
  add_format_option(command, words.shared);
  add_output_option(command, words.shared.output);
  add_color_option(command, words.shared);
}

}  // namespace

void setup_triage(CLI::App& program, Run& run) {
  add_command<TriageWords>(
      program, run,
      {"triage",
       "Say where a machine's memory is: which process, or is it the kernel?\n"
       "Reads /proc and /sys, within a second, stops nobody and writes nothing. The first sentence "
       "says where the "
       "memory is. Then lines that add up to all of it: free, processes, files, shared memory, "
       "slab, vmalloc, page tables, huge pages and so on, and what is none of these: pages that a "
       "driver or a balloon has taken. Below them the largest processes, or with --seconds those "
       "that grow fastest; "
       "tmpfs; open files without a name; cgroups that are near their limit; what kmemleak found. "
       "It ends with the next "
       "command.\n"
       "No root is needed; what cannot be read without is named in one line.",
       add_triage_words,
       examples(
           {{"heapscan triage", "Where is this machine's memory?"},
            {"heapscan triage --seconds 60", "What grows, and by how much a minute?"},
            {"heapscan triage --format json | jq '.memory.uses'", "The same for scripts."},
            {"heapscan triage --root copied/", "Of a machine whose files were copied here."}}) +
           "\nExit codes:\n"
           "  0  done, whatever was found\n"
           "  2  wrong command line\n"
           "  3  /proc/meminfo cannot be read, or the result cannot be written\n",
       run_triage});
}

}  // namespace heapscan
