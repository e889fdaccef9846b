#include "acquire/probe_dangers.h"

#include <sys/utsname.h>

#include <charconv>
#include <optional>
#include <utility>

#include "acquire/proc_files.h"
#include "heapscan/base/fd.h"

namespace heapscan {

namespace {

using Version = std::pair<int, int>;

std::optional<Version> version_of(std::string_view release) {
  Version version;
  const char* const end = release.data() + release.size();
  const auto [dot, error] = std::from_chars(release.data(), end, version.first);
  if (error != std::errc() || dot == end || *dot != '.') return std::nullopt;
  if (std::from_chars(dot + 1, end, version.second).ec != std::errc()) return std::nullopt;
  return version;
}

}  // namespace

std::string why_probes_would_kill(const ProbedProcess& process) {
  const auto version = version_of(process.kernel);
  if (!version) return "";
  if (process.has_filter && *version >= Version(6, 11) && *version < Version(6, 14)) {
    return "it has a filter of system calls (seccomp), which this kernel (" + process.kernel +
           ") applies to probes as well, so that they could end it; Linux 6.14 does not";
  }
  if (process.has_shadow_stack && *version < Version(6, 11)) {
    return "it has a shadow stack, which this kernel (" + process.kernel +
           ") forgets when it probes, so that the process would end; Linux 6.11 does not";
  }
  return "";
}

ProbedProcess read_probed_process(int pid) {
  constexpr int kFilter = 2;  // seccomp(2)
  constexpr size_t kLongestStatus = 65536;
  ProbedProcess process;
  utsname kernel{};
  if (::uname(&kernel) == 0) process.kernel = kernel.release;
  for (const int tid : list_threads(pid)) {
    const auto status = parse_status(read_text_file(
        process_folder(pid) + "/task/" + std::to_string(tid) + "/status", kLongestStatus));
    if (!status) continue;
    if (status->seccomp_mode == kFilter) process.has_filter = true;
    if (status->has_shadow_stack) process.has_shadow_stack = true;
  }
  return process;
}

}  // namespace heapscan
