#include "support/fixture_process.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <stdexcept>

namespace heapscan {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void bad_line(const std::string& line, const std::string& why) {
  throw std::runtime_error("fixture said \"" + line + "\": " + why);
}

std::optional<Verdict> parse_verdict(const std::string& word, const std::string& line) {
  if (word == "free") return std::nullopt;
  for (const Verdict verdict :
       {Verdict::Reachable, Verdict::Possible, Verdict::Indirect, Verdict::Definite}) {
    if (word == name_of(verdict)) return verdict;
  }
  bad_line(line, "\"" + word + "\" is no verdict");
}

TruthLine parse_block(std::istringstream& words, const std::string& line) {
  TruthLine result;
  std::string address;
  std::string verdict;
  std::string verdict_in_core;
  if (!(words >> address >> result.size >> result.label >> verdict)) {
    bad_line(line, "address, size, label and verdict are expected");
  }
  result.address = Addr(std::stoull(address, nullptr, 16));
  result.may_be_any = verdict == "any";
  if (result.may_be_any) return result;
  result.verdict = parse_verdict(verdict, line);
  result.verdict_in_core =
      words >> verdict_in_core ? parse_verdict(verdict_in_core, line) : result.verdict;
  return result;
}

TruthSummary parse_summary(std::istringstream& words, const std::string& line) {
  TruthSummary result;
  std::string verdict;
  if (!(words >> verdict >> result.blocks >> result.bytes)) {
    bad_line(line, "verdict, blocks and bytes are expected");
  }
  result.verdict = parse_verdict(verdict, line);
  return result;
}

// Reads lines up to `ready`, which has to name `pid`.
Truth read_truth(ChildProcess& child) {
  Truth truth;
  for (;;) {
    const std::string line = child.read_line();
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "block") {
      truth.blocks.push_back(parse_block(words, line));
    } else if (kind == "mapping") {
      truth.mappings.push_back(parse_block(words, line));
    } else if (kind == "summary") {
      truth.summaries.push_back(parse_summary(words, line));
    } else if (kind == "least") {
      truth.summaries.push_back(parse_summary(words, line));
      truth.summaries.back().is_least = true;
    } else if (kind == "ready") {
      pid_t pid = 0;
      words >> pid;
      if (pid != child.pid()) bad_line(line, "its pid is " + std::to_string(child.pid()));
      for (std::string word; words >> word;) truth.extra.push_back(word);
      return truth;
    } else {
      bad_line(line, "block, mapping, summary, least or ready is expected");
    }
  }
}

ChildProcess start(const std::string& program, const std::vector<std::string>& arguments,
                   const TempFolder& folder) {
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  ChildProcess::Options options;
  options.folder = folder / ".";
  options.may_dump_core = true;
  return {words, options};
}

std::string only_file_in(const fs::path& folder, const std::string& beginning) {
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with(beginning)) {
      found.push_back(entry.path().string());
    }
  }
  if (found.size() != 1) {
    throw std::runtime_error(std::to_string(found.size()) + " files " + beginning + "* in " +
                             folder.string() + ", one is expected");
  }
  return found.front();
}

}  // namespace

FixtureProcess::FixtureProcess(const std::string& program,
                               const std::vector<std::string>& arguments)
    : child_(start(program, arguments, folder_)), truth_(read_truth(child_)) {}

Gcore FixtureProcess::make_gcore() { return heapscan::make_gcore(child_.pid(), folder_); }

std::string FixtureProcess::abort_for_core() { return heapscan::abort_for_core(child_); }

int FixtureProcess::end() {
  child_.close_stdin();
  return child_.wait();
}

std::optional<std::string> why_kernel_writes_no_core() {
  std::string pattern = read_text_file("/proc/sys/kernel/core_pattern", 4096);
  while (!pattern.empty() && pattern.back() == '\n') pattern.pop_back();
  if (pattern.starts_with('|') || pattern.find('/') != std::string::npos) {
    return "the kernel sends cores elsewhere: core_pattern is \"" + pattern + "\"";
  }
  if (!pattern.starts_with("core")) {
    return "cores are called by another name: core_pattern is \"" + pattern + "\"";
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY) {
    return "the size of cores is limited (ulimit -H -c)";
  }
  return std::nullopt;
}

std::optional<std::string> why_no_gcore() {
  if (!find_program("gcore")) return "gcore is not in PATH (it comes with gdb)";
  return why_ptrace_is_refused();
}

Gcore make_gcore(int pid, const TempFolder& folder) {
  ChildProcess::Options options;
  options.environment = {"DEBUGINFOD_URLS="};
  options.joins_stderr = true;
  const std::string prefix = folder / "gcore";
  std::istringstream lines(run_program({"gcore", "-o", prefix, std::to_string(pid)}, options));
  Gcore core{prefix + "." + std::to_string(pid), {}};
  for (std::string line; std::getline(lines, line);) {
    const bool is_vsyscall = line.find("0xffffffffff600000") != std::string::npos;
    if (line.find("Memory read failed") != std::string::npos && !is_vsyscall) {
      core.left_out += line + "\n";
    }
  }
  return core;
}

std::string abort_for_core(ChildProcess& child) {
  const fs::path folder = fs::read_symlink("/proc/" + std::to_string(child.pid()) + "/cwd");
  const int status = child.end_with(SIGABRT);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !WCOREDUMP(status)) {
    throw std::runtime_error("the aborted process left no core; its wait status is " +
                             std::to_string(status));
  }
  return only_file_in(folder, "core");
}

}  // namespace heapscan
