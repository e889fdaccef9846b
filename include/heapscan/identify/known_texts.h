// What a block of a known library's struct stands for, where its own text lies in no string: the
// subject of a certificate.
#pragma once

#include <string>
#include <string_view>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"

namespace heapscan {

// "subject CN=sql.example.net" of a block with that label; empty when nothing is known. It quotes
// content, as it was found.
[[nodiscard]] std::string text_of_known(const MemoryImage& image, std::string_view label,
                                        AddrRange block);

}  // namespace heapscan
