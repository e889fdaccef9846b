// The instructions of one module as they lie in the image, where its functions begin, and what its
// instructions refer to.
//
// Function bounds come from .eh_frame_hdr (LSB 5.0, "Exception Frames"), which stripped modules have
// as well; where it is missing or damaged, from targets of calls and from symbols. References are
// found by their bytes, without decoding anything: a rip-relative reference is an opcode of the
// few that refer to functions and pointers, and an offset that leads somewhere into the module. Bytes
// that look like one and are none cost a function that is read for nothing, and no wrong answer: the
// reader of instructions decides.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/bytes.h"
#include "heapscan/base/id.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"
#include "sites/code_references.h"

namespace heapscan {

struct ModuleCode {
  ModuleId module;
  struct Span {
    Addr begin;
    Bytes bytes;
    [[nodiscard]] Addr end() const { return begin + bytes.size(); }
  };
  std::vector<Span> spans;                // sorted, disjoint; only what is saved
  std::vector<AddrRange> functions;       // sorted by begin, disjoint
  std::vector<CodeReference> references;  // sorted by target, then from

  // The function that holds `code`; empty when none does.
  [[nodiscard]] AddrRange function_at(Addr code) const;
  // The bytes of `range`; empty unless all of them are in one span.
  [[nodiscard]] Bytes bytes_of(AddrRange range) const;
  [[nodiscard]] std::span<const CodeReference> references_to(Addr target) const;
};

// Of a module without code in the image: nothing.
[[nodiscard]] ModuleCode read_module_code(const MemoryImage& image, const Symbols& symbols,
                                          ModuleId module);
// The functions that begin at `begin` or above, and what they refer to.
void leave_out_from(Addr begin, ModuleCode& code);

}  // namespace heapscan
