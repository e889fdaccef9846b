// Code that only leads to other code: stubs of the procedure linkage table (System V ABI, x86-64),
// and functions of which the compiler left nothing.
#pragma once

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"

namespace heapscan {

[[nodiscard]] bool is_code(const MemoryImage& image, Addr at);
// Where a stub at `at` leads, as its slot was when the image was taken; `at` when there is none.
[[nodiscard]] Addr behind_stubs(const MemoryImage& image, Addr at);
// Whether `at`, which lies behind a stub, asks the loader to bind the stub's slot: what the stub stands
// for was never called through it.
[[nodiscard]] bool asks_loader(const MemoryImage& image, Addr at);
// Whether `code` is the table of stubs, of which its first entry, or the first of all, tells.
[[nodiscard]] bool are_stubs(const MemoryImage& image, AddrRange code);
// mov rax, rdi; ret: what is left of a function that only told the compiler something.
[[nodiscard]] bool only_returns_first_parameter(const MemoryImage& image, Addr function);

}  // namespace heapscan
