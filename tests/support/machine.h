// What this machine can do; a test that needs what it cannot is skipped with the reason.
#pragma once

#include <optional>
#include <string>

namespace heapscan {

// Why there is no terminal device to be had; nothing where there is.
[[nodiscard]] std::optional<std::string> why_no_terminal();

// Why memory that was mapped and never touched may be there all the same (huge pages for all,
// locked memory); nothing where a byte written costs a page.
[[nodiscard]] std::optional<std::string> why_untouched_memory_is_filled();

// Why no connection can be made within this machine; nothing where it can.
[[nodiscard]] std::optional<std::string> why_no_loopback();

// Why the file behind a mapping cannot be opened once its name is gone; nothing where it can.
[[nodiscard]] std::optional<std::string> why_mapped_files_need_a_name();

}  // namespace heapscan
