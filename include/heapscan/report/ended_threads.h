// What reports say of threads that have ended and that nobody joined: the C library keeps the stack
// of each. Every string is escaped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"

namespace heapscan {

// Those that were started with one function.
struct EndedThreadsRow {
  std::string function;  // "run_job (server.c:30)"; empty: unknown
  Addr start;            // its address; null: unknown
  uint64_t threads = 0;
  uint64_t stack_bytes = 0;  // mapped, guards included
  std::optional<uint64_t> resident_bytes;
};

// Most threads first.
[[nodiscard]] std::vector<EndedThreadsRow> describe_ended_threads(const Analysis& analysis);

// Their sum; the function is empty.
[[nodiscard]] EndedThreadsRow sum_of(const std::vector<EndedThreadsRow>& rows);

}  // namespace heapscan
