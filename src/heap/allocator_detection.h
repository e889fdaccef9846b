// Which allocator serves malloc in this process.
//
// Decided as the dynamic loader decides: the first object in lookup order whose dynamic table
// defines malloc serves it; what that object is, known symbols and strings tell. An object that
// only wraps another's malloc is seen through: that one's heap is in use then. Facts:
// the allocators' public symbols and messages.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "heap/allocator.h"
#include "heapscan/image/image.h"

namespace heapscan {

// Whether `text` stands anywhere in the module's memory.
[[nodiscard]] bool holds_text(const MemoryImage& image, const Module& module,
                              std::string_view text);

// As a sentence names it: its file's name, or "the program".
[[nodiscard]] std::string name_in_sentence(const Module& module);

struct AllocatorInCharge {
  // "glibc", "jemalloc", "tcmalloc", "mimalloc", "musl", …; the file name of a module that serves
  // malloc and is none of them; "unknown" when nothing serves it.
  std::string name;
  ModuleId module;       // which module holds the allocator's state; none when unknown
  std::string found_by;  // a sentence
};

// `allocators`: those that can be read. Others are named, by what gives them away.
[[nodiscard]] AllocatorInCharge find_allocator(const HeapInputs& inputs,
                                               std::span<const Allocator> allocators);

}  // namespace heapscan
