// Words for people: sizes, counts, and strings from the target made safe for a terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "heapscan/base/addr.h"

namespace heapscan {

// "0x7f12…": lower-case hexadecimal with prefix.
[[nodiscard]] std::string hex(Addr address);
[[nodiscard]] std::string hex(uint64_t value);

// "812 B", "39.0 MiB": binary units, one decimal from KiB on.
[[nodiscard]] std::string human_bytes(uint64_t bytes);

// "3,104,220".
[[nodiscard]] std::string grouped(uint64_t count);

// "1 block", "2 blocks": the noun's plural is noun + "s".
[[nodiscard]] std::string counted(uint64_t count, std::string_view noun);

// Every byte that is not printable ASCII, and the backslash, becomes \n, \t or \xNN: nothing the
// target holds can move a cursor or change a colour.
[[nodiscard]] std::string escaped(std::string_view raw);

// "4096", "10k", "4M", "1G", "0x20" (k, M, G are binary); nothing when it is not such a number or
// overflows.
[[nodiscard]] std::optional<uint64_t> parse_size(std::string_view text);

}  // namespace heapscan
