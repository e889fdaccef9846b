// What tells the parts of a pause from the other phases that Report::timing lists.
#pragma once

#include <string_view>

namespace heapscan {

// How the names of those phases begin that are parts of the time during which a process stood still.
// They lie within another phase, the acquisition.
inline constexpr std::string_view kPausePart = "pause: ";

}  // namespace heapscan
