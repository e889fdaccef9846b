// What a stop may cost the process, and us: for looks that nobody watches.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cli/options.h"
#include "heapscan/acquire/capture.h"

namespace heapscan {

struct CostLimits {
  std::optional<double> pause;    // seconds
  std::optional<uint64_t> bytes;  // to be copied
};

void add_cost_options(CLI::App& command, CostLimits& limits);

// Why a process must not be stopped; empty when it may.
[[nodiscard]] std::string why_too_dear(const CostLimits& limits, const PauseEstimate& estimate);

// `spell` is asked for a sentence about the estimate, unless it is empty. What is called in front of the stop throws
// Error (Acquire) where the limits are exceeded; without either there is none.
[[nodiscard]] CaptureOptions capture_within(
    int pid, const ProcessWords& words, const CostLimits& limits,
    const std::function<std::string(const PauseEstimate&)>& spell);

}  // namespace heapscan
