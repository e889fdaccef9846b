// Which processes a name on the command line means.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace heapscan {

enum class Pick { TheOnlyOne, Newest, Oldest, All };

// Digits are a process id, anything else is a name, of which `pick` says which process is meant.
// Never empty. Throws Error (Usage, Acquire) that lists the candidates where it takes a choice.
[[nodiscard]] std::vector<int> pick_processes(const std::string& target, Pick pick);

// "reports/nginx.4711.json" of "reports/nginx.json": a file for each of several processes.
[[nodiscard]] std::string with_pid(std::string_view path, int pid);

}  // namespace heapscan
