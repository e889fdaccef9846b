#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/trace_process.h"
#include "heapscan/base/error.h"
#include "heapscan/base/parallel.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr uint64_t kMostOneInAsked = 1'000'000;
constexpr uint64_t kMostStacksShown = 1'000'000;

int run_trace(const TraceWords& words) {
  if (words.sizes && !words.shared.cluster.empty())
    throw Error(ErrorKind::Usage, "--size and --cluster both say which sizes are meant; give one");
  if (words.format == TraceFormat::Pprof)
    require_no_terminal(words.shared.output, "--format pprof");
  check_output(words.shared.output);
  const ThreadLimit limit(words.shared.threads);
  return trace_process(pick_processes(words.process.target, words.process.pick).front(), words);
}

// "264", "1k-4k", "64k-".
SizeRange size_range_from(const std::string& text) {
  const size_t dash = text.find('-');
  SizeRange sizes;
  sizes.least = size_from("--size", text.substr(0, dash));
  sizes.most = dash == std::string::npos ? sizes.least
               : dash + 1 == text.size() ? SizeRange().most
                                         : size_from("--size", text.substr(dash + 1));
  if (sizes.least <= sizes.most) return sizes;
  throw CLI::ValidationError(
      fmt::format("--size {} is no range: its end is below its beginning", escaped(text)));
}

void add_what_to_trace(CLI::App& command, TraceWords& words) {
  add_process_word(command, words.process);
  add_text(command, "seconds", "[SECONDS]", "How long to trace; fractions are fine [10]",
           [&words](const std::string& text) {
             words.seconds = decimal_from("SECONDS", text, 0.01, 86400, "seconds");
           });
  add_text(
      command, "--cluster", "ID",
      "Only blocks from the smallest size to the largest in this group, as attach names groups; "
      "takes a look at the process first",
      [&words](const std::string& text) { words.shared.cluster = cluster_id_from(text); });
  add_text(command, "--size", "N[-M]",
           "Only blocks of N (to M) usable bytes; calls of other sizes cost about half",
           [&words](const std::string& text) { words.sizes = size_range_from(text); });
  add_text(command, "--sample", "N",
           "Record blocks at one address of N, and more sparsely when there are more than 20,000 "
           "records a second [1]",
           [&words](const std::string& text) {
             words.one_in = number_from("--sample", text, kMostOneInAsked);
             if (words.one_in == 0) throw CLI::ValidationError("--sample takes a number from 1 on");
           });
  add_text(command, "--max-slowdown", "X",
           "End early when the process takes X times as long for what it does [3]",
           [&words](const std::string& text) {
             words.most_slowdown = decimal_from("--max-slowdown", text, 1.01, 1000, "times");
           });
  add_process_options(command, words.process, "the look at the end");
}

void add_how_to_report(CLI::App& command, TraceWords& words) {
  CLI::Option* const format =
      add_choice<TraceFormat>(command, "--format", words.format,
                              {{"text", TraceFormat::Text},
                               {"json", TraceFormat::Json},
                               {"html", TraceFormat::Html},
                               {"folded", TraceFormat::Folded},
                               {"pprof", TraceFormat::Pprof}},
                              "Format of the report; html: a page for a browser, in one file; "
                              "folded: lines for flame graphs; pprof: for pprof [text]");
  command
      .add_flag_callback(
          "--folded", [&words] { words.format = TraceFormat::Folded; },
          "The same as --format folded")
      ->excludes(format);
  add_choice<TraceWeight>(command, "--weight", words.weight,
                          {{"lost", TraceWeight::Lost},
                           {"reachable", TraceWeight::Reachable},
                           {"freed", TraceWeight::Freed},
                           {"all", TraceWeight::All}},
                          "What bytes flame graphs count [lost]");
  add_output_option(command, words.shared.output);
  add_number(command, "-n,--top", kMostStacksShown, words.shared.report.top,
             "Show at most N stacks [10]");
  add_content_option(command, words.shared.report);
  add_color_option(command, words.shared);
  CLI::Option* const verbose =
      command.add_flag("-v,--verbose", words.shared.report.verbose,
                       "Show all frames, and stacks whose blocks were all freed as well");
  command
      .add_flag("-q,--quiet", words.shared.report.quiet, "Show only the SUMMARY line; no progress")
      ->excludes(verbose);
  add_reading_options(command, words.shared);
}

void add_trace_words(CLI::App& command, TraceWords& words) {
  add_what_to_trace(command, words);
  add_how_to_report(command, words);
}

}  // namespace

void setup_trace(CLI::App& program, Run& run) {
  add_command<TraceWords>(
      program, run,
      {"trace",
       "Record which stacks allocate, and say which of the blocks were leaked\n"
       "Lets the kernel record each allocation for SECONDS while the process runs on: probes "
       "(uprobes) on malloc and its kin, with the stack at that moment, for which no frame "
       "pointers "
       "are needed. Then looks at the process, as attach does, and says of each stack how much of "
       "what it allocated is leaked by now, still reachable, or freed. Only what is allocated "
       "meanwhile is seen: the leak has to go on.\n"
       "Takes root, or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE. The process is not stopped before "
       "the look, and nothing of ours is in it; when heapscan ends, however it ends, the kernel "
       "takes the probes away. Each call of an allocation function takes 1 to 4 microseconds "
       "longer meanwhile, half of that when its size is not wanted.",
       add_trace_words,
       examples({
           {"heapscan trace 4711", "Which code leaks, and how much of it in ten seconds?"},
           {"heapscan trace nginx --newest --cluster aa5c7057 60",
            "Who allocates the blocks of a group that attach has shown."},
           {"heapscan trace 4711 --size 264 30", "The same for a size, usable bytes."},
           {"heapscan trace 4711 --folded -o leak.folded && flamegraph.pl leak.folded > leak.svg",
            "A flame graph of leaked bytes."},
           {"heapscan trace 4711 --format pprof -o leak.pb.gz && pprof -http=: leak.pb.gz",
            "For pprof: lost, possibly lost, reachable and freed blocks and bytes."},
       }) + "\nExit codes:\n"
            "  0  nothing that was allocated meanwhile is definitely leaked\n"
            "  1  something is\n"
            "  2  wrong command line, or no such group\n"
            "  3  the process cannot be read, or probes are refused; the message says what is "
            "missing\n"
            "  4  its allocator is not supported, or it is no 64-bit x86 program\n",
       run_trace});
}

}  // namespace heapscan
