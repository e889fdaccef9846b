// Every recogniser, one per file: most look at one family each and return their evidence, or
// nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/symbols/symbols.h"
#include "identify/inputs.h"

namespace heapscan {

// C++ classes by the vtable at the begin of the block; arrays of them; what shared_ptr allocates.
[[nodiscard]] std::optional<Evidence> recognise_class(const Inputs& inputs, FamilyId family);
// Functions, variables and inner objects that the blocks name at fixed places.
[[nodiscard]] std::optional<Evidence> recognise_symbol_fields(const Inputs& inputs,
                                                              FamilyId family);
// Frames of C++20's coroutines.
[[nodiscard]] std::optional<Evidence> recognise_coroutine(const Inputs& inputs, FamilyId family);
// Structs of the C library, the loader, libstdc++ and other libraries.
[[nodiscard]] std::optional<Evidence> recognise_library(const Inputs& inputs, FamilyId family);
// Objects of CPython by their type.
[[nodiscard]] std::optional<Evidence> recognise_python(const Inputs& inputs, FamilyId family);
// Text, numbers, raw bytes, arrays of pointers.
[[nodiscard]] std::optional<Evidence> recognise_content(const Inputs& inputs, FamilyId family);

// ---- those that look at all families at once ---------------------------------------------------

// What GLib made blocks for: instances of GObject's types, what its type system keeps, and
// containers. For the first `count` families.
[[nodiscard]] Column<FamilyId, std::optional<Evidence>> recognise_glib(const Inputs& inputs,
                                                                       size_t count);

// Nodes of the trees that tsearch() makes. For the first `count` families.
[[nodiscard]] Column<FamilyId, std::optional<Evidence>> recognise_search_trees(const Inputs& inputs,
                                                                               size_t count);

// Blocks that the standard containers made, without debug information. For every family, asked
// last: `known` is the evidence found so far, which tells what the container is a member of.
[[nodiscard]] Column<FamilyId, std::optional<Evidence>> recognise_containers(
    const Inputs& inputs, const Column<FamilyId, std::vector<Evidence>>& known);

// ---- names as source code says them -------------------------------------------------------------

// Of a type, as std::type_info::name() has it: "6Parser" is "Parser". What cannot be demangled
// stays as it is.
[[nodiscard]] std::string name_of_type(std::string_view mangled);

// Of a symbol that is a function: without parameters, and without the suffixes of clones.
[[nodiscard]] std::string name_of_function(std::string_view symbol);

// What people call a struct that debug information knows under another name: "FILE" for "struct
// locked_FILE", "coroutine frame of f" for the type a compiler makes. Others stay as they are.
[[nodiscard]] std::string name_people_know(const std::string& label);

}  // namespace heapscan
