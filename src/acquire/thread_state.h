// What ptrace tells about a stopped thread: its registers, and the values of signals that wait for
// it. Formats: NT_PRSTATUS (struct user_regs_struct), NT_X86_XSTATE (the XSAVE area), siginfo_t.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "heapscan/base/note.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Without registers, and a note, when the kernel has none to give. Throws Error (Unsupported) for
// 32-bit code.
[[nodiscard]] Thread read_registers(int tid, std::string name, Notes& notes);

// Values of signals that wait to be delivered: to one thread, or (`shared`) to the process as a
// whole.
[[nodiscard]] std::vector<KernelReference> queued_signals(int tid, bool shared, Notes& notes);

// The value that comes with the signal which the thread was stopped in front of.
[[nodiscard]] std::optional<KernelReference> held_signal(int tid);

}  // namespace heapscan
