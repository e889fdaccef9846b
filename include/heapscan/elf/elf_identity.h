// What a file is, judged by its first bytes: said before anything else of it is believed.
#pragma once

#include <string>

#include "heapscan/base/bytes.h"

namespace heapscan {

[[nodiscard]] bool has_elf_magic(Bytes bytes);

// What is wrong with `bytes` as a little-endian x86-64 ELF file of version 1, as the end of a
// sentence about it: "is empty", "is a 32-bit ELF file (i386)", "is for aarch64", "is compressed
// with xz". Empty when nothing is.
[[nodiscard]] std::string why_not_x86_64_elf(Bytes bytes);

// "an executable", "a core", …: the file type e_type in words.
[[nodiscard]] const char* name_of_elf_type(uint16_t type);

}  // namespace heapscan
