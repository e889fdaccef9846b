// Names of Rust as people write them. Rust has two ways to mangle: the older one looks like a
// nested name of C++ that ends with a hash, the newer one ("v0", RFC 2603) begins with _R. The reader of
// libiberty has no bound: it writes 400 MB for a name of 239 bytes whose parts refer back twice each.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace heapscan {

// "core::ptr::drop_in_place::<alloc::string::String>" for "_RINv…" or "_ZN…17h0123456789abcdefE",
// without the hashes of crates and functions. Nothing where it is neither, uses what is not known
// here, or stands for too long a text.
[[nodiscard]] std::optional<std::string> rust_name(std::string_view mangled);

}  // namespace heapscan
