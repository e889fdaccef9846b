// What GLib made blocks for: instances of GObject's types, what its type system keeps, and
// containers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identify/inputs.h"
#include "identify/recognisers/glib_types.h"

namespace heapscan {

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

// For the first `count` families.
[[nodiscard]] Column<FamilyId, std::optional<Evidence>> recognise_glib(const Inputs& inputs,
                                                                       size_t count);

}  // namespace heapscan
