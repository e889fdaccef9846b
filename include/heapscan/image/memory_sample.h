// What the kernel says of a running process' memory without anybody stopping it. For display and for
// rates: no analysis sees it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace heapscan {

struct MemorySample {
  uint64_t resident = 0;                 // bytes, as all of these
  std::optional<uint64_t> proportional;  // PSS; nothing where the kernel does not tell
  uint64_t anonymous = 0;                // resident, private or shared after fork
  uint64_t shared = 0;                   // resident shared memory, without files on a disk
  uint64_t swapped = 0;
  uint64_t threads = 0;

  // Memory that has no file to go back to: what grows when a process grows for good.
  [[nodiscard]] uint64_t held() const { return anonymous + shared + swapped; }
};

// How much memory there may be at most: of a cgroup that the process is in, or of the machine.
struct MemoryLimit {
  std::string name;    // "cgroup /docker/ab12", "the machine"
  uint64_t limit = 0;  // bytes
  uint64_t used = 0;   // by everybody it counts, without files that nobody has used lately
  uint64_t files = 0;  // of that, files in use, which can be dropped where nothing else is left
  constexpr bool operator==(const MemoryLimit&) const = default;
};

}  // namespace heapscan
