// Which class a word at the begin of an object names, from memory alone, and what its blocks are
// called.
//
// Source: Itanium C++ ABI, sections 2.5 (virtual tables) and 2.9 (run-time type information); the
// type_info classes of libstdc++ and libc++abi have the same names and layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

struct VtableClass {
  std::string name;  // demangled, of bounded length
  // From the vptr back to the begin of the object: 0 for the primary vtable, negative for those of
  // further bases. Nothing when the vtable's memory is not here.
  std::optional<int64_t> offset_to_top;
  bool from_memory = false;  // otherwise from a symbol
};

// Nothing unless `vptr` is certainly the address point of a vtable whose class has a name.
[[nodiscard]] std::optional<VtableClass> class_of_vtable(const MemoryImage& image,
                                                         const Symbols& symbols,
                                                         const AddressMap& addresses,
                                                         uint64_t vptr);

// The class's own name, but for the counters that std::shared_ptr and std::make_shared allocate:
// "std::make_shared<Parser>" for std::_Sp_counted_ptr_inplace<Parser, ...>.
[[nodiscard]] std::string label_of_class(std::string_view name);

// The first argument of a template's name: "int" of "std::pair<int, char>"; empty for what is no
// template.
[[nodiscard]] std::string_view first_template_argument(std::string_view name);

}  // namespace heapscan
