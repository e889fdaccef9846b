// The instructions around a call site, for people.
#pragma once

#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"

namespace heapscan {

struct ListedInstruction {
  Addr at;
  std::string text;  // "mov edi, 0x100"
  Addr target;       // of a direct call or jump; null otherwise
};

// The call, at most `before` instructions in front of it and `after` behind it, in the order in
// which they lie there. What is in front of it can only be told from where the function begins: it is
// left out where that is not known, or far away. Empty when the code is not saved.
[[nodiscard]] std::vector<ListedInstruction> list_code_around(const MemoryImage& image,
                                                              const CallSite& site, size_t before,
                                                              size_t after);

}  // namespace heapscan
