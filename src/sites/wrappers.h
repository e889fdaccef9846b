// Functions that hand out memory which others gave them.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/sites/call_sites.h"
#include "sites/data_flow.h"

namespace heapscan {

// What the function is as an allocator, when it is one: it returns what a call handed out, and the
// caller decides how much that is.
[[nodiscard]] std::optional<AllocatorFunction> wrapper_in(
    const FunctionFlow& flow, const std::vector<AllocatorFunction>& allocators);

// A function that returns a new block and decides itself how large it is. That its callers get one
// tells what they make point to what; a person looks into the function itself.
[[nodiscard]] std::optional<AllocatorFunction> maker_in(
    const FunctionFlow& flow, const std::vector<AllocatorFunction>& allocators,
    const std::unordered_map<Addr, uint32_t>& allocator_of);

}  // namespace heapscan
