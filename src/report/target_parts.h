// What every report says of its target.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/base/note.h"
#include "heapscan/image/capture_facts.h"
#include "heapscan/image/image.h"
#include "report/json_values.h"

namespace heapscan {

// The facts as they may be shown on a terminal.
[[nodiscard]] CaptureFacts escaped_facts(CaptureFacts facts);

// Notes likewise; without content, none that may quote memory does.
[[nodiscard]] Notes escaped_notes(Notes notes, const MemoryImage& image, bool content);

// "heapscan: pid 4711 (nginx), 9 threads, stopped for 38 ms": the first line of a text. The facts
// are escaped.
[[nodiscard]] std::string headline(const CaptureFacts& target, size_t threads);

// One line each, the first few or all of them; nothing when there are none. `command` shows all with
// -v.
void write_notes(const Notes& notes, bool all, const std::string& command, std::ostream& out);

using PhaseTimes = std::vector<std::pair<std::string, double>>;  // phase, seconds
// Nothing when there are none.
void write_timing(const PhaseTimes& timing, std::ostream& out);

[[nodiscard]] Json json_of_target(const CaptureFacts& target, size_t threads);
[[nodiscard]] Json json_of(const Note& note);
[[nodiscard]] Json json_of(const Notes& notes);
[[nodiscard]] Json json_of_timing(const PhaseTimes& timing);

}  // namespace heapscan
