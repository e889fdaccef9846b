// What every report says of its target.
#pragma once

#include <iosfwd>
#include <string>

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

// The first few of them, one line each; nothing when there are none.
void write_notes(const Notes& notes, std::ostream& out);

[[nodiscard]] Json json_of_target(const CaptureFacts& target, size_t threads);
[[nodiscard]] Json json_of(const Note& note);

}  // namespace heapscan
