// Types that single blocks name themselves: C++ classes, GObject's types, Python's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"
#include "identify/inputs.h"

namespace heapscan {

// ---- C++ classes --------------------------------------------------------------------------------

// Which class a word at the begin of an object names, from memory alone, and what its blocks are
// called.
//
// Source: Itanium C++ ABI, sections 2.5 (virtual tables) and 2.9 (run-time type information); the
// type_info classes of libstdc++ and libc++abi have the same names and layout.

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

// ---- GObject ------------------------------------------------------------------------------------

// The types that a program has registered with GObject's type system, read from memory alone.
//
// Made by find_glib_types(); empty in programs without GObject. Every type in it is proven: its
// node names itself and its parent, its class, where there is one, names the node, and its name
// comes from the table in which the fundamental types have theirs.

struct GlibType {
  std::string name;            // "GFileInfo"
  uint64_t id = 0;             // the GType: the node's address, or the number of a fundamental type
  uint64_t fundamental = 0;    // the GType of the type it descends from, or its own
  Addr node;                   // the block with its TypeNode
  Addr data;                   // its TypeData; null while there is no class
  Addr class_struct;           // null while there is none
  uint64_t private_size = 0;   // bytes in front of an instance, in the same block
  uint64_t instance_size = 0;  // bytes; 0 when there are no instances
  bool named_in_heap = false;  // the name is no constant of a module

  [[nodiscard]] bool is_object() const;  // a GObject
};

class GlibTypes {
 public:
  // What the type system itself keeps for a type, each in a block of its own.
  enum class Part : uint8_t { None, Node, Data, Class };
  struct Owned {
    Part part = Part::None;
    const GlibType* type = nullptr;
  };

  GlibTypes() = default;
  GlibTypes(std::vector<GlibType> types, std::unordered_set<uint32_t> error_domains);

  [[nodiscard]] bool empty() const { return types_.empty(); }
  [[nodiscard]] const std::vector<GlibType>& types() const { return types_; }
  // Whose instance the block is. Null when it is none, or one that was freed.
  [[nodiscard]] const GlibType* of_instance(const MemoryImage& image, const Block& block) const;
  [[nodiscard]] Owned owned(Addr block) const;
  // Whether the quark names a domain of errors: "g-io-error-quark".
  [[nodiscard]] bool is_error_domain(uint32_t quark) const { return domains_.contains(quark); }

 private:
  struct Place {
    Part part = Part::None;
    uint32_t type = 0;
  };
  // An instance and what lies in front of it.
  struct Extent {
    uint64_t bytes = 0;  // both
    uint64_t private_size = 0;
    auto operator<=>(const Extent&) const = default;
  };
  std::vector<GlibType> types_;  // parents before children
  std::unordered_map<Addr, Place> parts_;
  std::vector<Extent> extents_;  // that instances have; sorted
  std::unordered_set<uint32_t> domains_;
};

[[nodiscard]] GlibTypes find_glib_types(const MemoryImage& image, const HeapModel& heap,
                                        const AddressMap& addresses);

// What single blocks are. Refers to the inputs, which must outlive it.
class GlibKinds {
 public:
  explicit GlibKinds(const FamilyInputs& inputs);

  [[nodiscard]] bool in_use() const { return in_use_; }  // the program uses GLib
  [[nodiscard]] const GlibTypes& types() const { return types_; }
  // "GFileInfo", "GHashTable"; empty when unknown.
  [[nodiscard]] std::string_view name_of(BlockId block) const;
  [[nodiscard]] std::vector<std::string> names() const;  // all there can be

 private:
  const FamilyInputs& inputs_;
  GlibTypes types_;
  bool in_use_ = false;
};

// ---- which of CPython's types single blocks are objects of --------------------------------------

struct PythonType {
  std::string name;  // "Python dict"; empty: it is none
  uint64_t least_size = 0;
  bool named_in_heap = false;  // a class made at run time
};

// Refers to the inputs, which must outlive it. Knows nothing in programs without CPython.
class PythonKinds {
 public:
  explicit PythonKinds(const FamilyInputs& inputs);

  [[nodiscard]] bool in_use() const { return !types_.empty(); }
  // Empty when the block is no object.
  [[nodiscard]] std::string_view name_of(BlockId block) const;
  [[nodiscard]] std::vector<std::string> names() const;  // all there can be

 private:
  const FamilyInputs& inputs_;
  std::map<uint64_t, PythonType> types_;  // by address
};

}  // namespace heapscan
