// The commands, one file each. setup_x() adds a command to the program; when it was chosen, `run`
// is set to what it does, which returns the exit code or throws Error.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace heapscan {

using Run = std::function<int()>;

void setup_attach(CLI::App& program, Run& run);
void setup_core(CLI::App& program, Run& run);
void setup_diff(CLI::App& program, Run& run);
void setup_holds(CLI::App& program, Run& run);
void setup_why(CLI::App& program, Run& run);
void setup_snapshot(CLI::App& program, Run& run);
void setup_trace(CLI::App& program, Run& run);
void setup_watch(CLI::App& program, Run& run);

}  // namespace heapscan
