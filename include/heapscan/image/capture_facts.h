// What a person wants to know about where an image came from. For display only: no analysis sees
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "heapscan/base/addr.h"

namespace heapscan {

// What a snapshot kept of the memory.
enum class Content {
  Full,
  Pointers,  // words that are addresses, and small numbers
  None,      // words that are addresses
};
[[nodiscard]] constexpr const char* name_of(Content content) {
  return content == Content::Full ? "full" : content == Content::Pointers ? "pointers" : "none";
}

struct CaptureFacts {
  enum class Kind { Live, Core };
  Kind kind = Kind::Live;
  bool is_snapshot = false;  // a core that heapscan wrote
  int pid = 0;               // 0 when unknown
  std::string command;       // comm or NT_PRPSINFO name
  std::string executable;    // path as the target saw it
  std::string source;        // "pid 4711" or the core's path
  std::string unit;  // of systemd, or the container: "nginx.service"; empty: unknown, or none
  double captured_at =
      0;  // seconds since the epoch: when the process was stopped; of a core its file's mtime
  std::optional<double> pause_seconds;  // how long the target stood still; unknown of a core
  std::optional<int> signal;            // what killed it; cores only
  Content content = Content::Full;      // less in a snapshot only
};

// ---- what a snapshot without contents keeps of them ---------------------------------------------

// A hash of what a heap block contained, for snapshots that leave contents out: two looks at one
// process can still tell whether the block was written to in between.

struct BlockHash {
  Addr address;  // as malloc returned it
  uint64_t hash = 0;
  constexpr bool operator==(const BlockHash&) const = default;
};

}  // namespace heapscan
