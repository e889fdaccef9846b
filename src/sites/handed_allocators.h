// Allocators that code is handed as a member of some struct, as lua's `frealloc`, expat's `malloc_fcn` and
// zlib's `zalloc` are: which members those are, and which functions call through one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"
#include "sites/module_code.h"
#include "sites/values.h"

namespace heapscan {

struct HandedAllocators {
  // How far into what is pointed at a pointer to an allocator lies, and the allocator's index. Of structs
  // outside modules, which any code may have been handed; and of those in a module's own data, by where
  // the module begins.
  std::map<int64_t, uint32_t> anywhere;
  std::map<std::pair<Addr, int64_t>, uint32_t> within;

  [[nodiscard]] bool empty() const { return anywhere.empty() && within.empty(); }
  // The allocator that code of a module calls through a pointer so far behind what a register holds.
  [[nodiscard]] std::optional<uint32_t> at(Addr module, int64_t offset) const;
};

// Of malloc and of wrappers that return the block. `is_slot`: whether instructions refer to that very place,
// so that it is no member of anything.
[[nodiscard]] HandedAllocators find_handed_allocators(
    const MemoryImage& image, const std::vector<AllocatorFunction>& allocators,
    const std::function<bool(Addr)>& is_slot);

// Whether a call through such a member, with this as the size, may be one of the allocator: other members
// at that offset may be any function. A parameter that is passed on counts only for an allocator that is given
// a context of its own in front of the size.
[[nodiscard]] bool may_be_asked_of_handed(const Value& size, bool has_context);

// Functions of a module, which begins at `module`, that call through a pointer at one of the offsets from
// a register.
[[nodiscard]] std::vector<AddrRange> functions_that_call_through(const ModuleCode& code,
                                                                 Addr module,
                                                                 const HandedAllocators& handed);

}  // namespace heapscan
