#include "cli/cost_limits.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/output.h"
#include "heapscan/base/error.h"
#include "heapscan/base/text.h"

namespace heapscan {

namespace {

constexpr double kMillisecondsInSecond = 1e3;

}  // namespace

void add_cost_options(CLI::App& command, CostLimits& limits) {
  add_text(command, "--max-pause", "MS",
           "Leave a process alone that is expected to stand still for more than MS milliseconds",
           [&limits](const std::string& text) {
             limits.pause =
                 decimal_from("--max-pause", text, 0, 1e9, "milliseconds") / kMillisecondsInSecond;
           });
  add_text(command, "--max-copy", "SIZE",
           "Leave a process alone of which more than SIZE is to be copied",
           [&limits](const std::string& text) { limits.bytes = size_from("--max-copy", text); });
}

std::string why_too_dear(const CostLimits& limits, const PauseEstimate& estimate) {
  if (limits.bytes && estimate.bytes > *limits.bytes)
    return fmt::format("about {} of it are to be copied, and --max-copy is {}",
                       human_bytes(estimate.bytes), human_bytes(*limits.bytes));
  if (limits.pause && estimate.pause_seconds > *limits.pause)
    return fmt::format("it is expected to stand still for {:.1f} ms, and --max-pause is {:g}",
                       estimate.pause_seconds * kMillisecondsInSecond,
                       *limits.pause * kMillisecondsInSecond);
  return "";
}

CaptureOptions capture_within(int pid, const ProcessWords& words, const CostLimits& limits,
                              const std::function<std::string(const PauseEstimate&)>& spell) {
  CaptureOptions how;
  how.leave_calls = words.leave_calls;
  if (!spell && !limits.pause && !limits.bytes) return how;
  how.on_estimate = [pid, limits, spell](const PauseEstimate& estimate) {
    if (spell) say(spell(estimate));
    const std::string why = why_too_dear(limits, estimate);
    if (!why.empty())
      throw Error(ErrorKind::Acquire, fmt::format("process {} was left alone: {}", pid, why));
  };
  return how;
}

}  // namespace heapscan
