// Reads how a machine's memory is used, from /proc and /sys. Nothing is written and nobody is
// stopped; what cannot be read is said in the facts.
#pragma once

#include <string>

#include "heapscan/machine/machine.h"

namespace heapscan {

enum class MachineWanted {
  Counts,      // what is compared with a later reading: the kernel's counters, slab, processes
  Everything,  // also shares, files, limits
};

// `root` stands in front of /proc and /sys: a folder with what was copied of them on another
// machine, where files that need the machine itself are not looked at. Empty: this machine. Takes less
// than a second: what takes longer is left out. Throws Error (Acquire) when there is no meminfo.
[[nodiscard]] MachineFacts read_machine(const std::string& root, MachineWanted wanted);

}  // namespace heapscan
