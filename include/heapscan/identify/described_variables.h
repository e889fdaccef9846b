// Which variable that debug information describes lies at an address.
//
// Made of Types, which must outlive it: globals, functions' static variables, and locals in the
// stacks of the image; not thread-local ones, which have no single address.
#pragma once

#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

struct DescribedVariable {
  AddrRange range;
  const LocalVariable* local = nullptr;  // null: it is `global`
  const Variable* global = nullptr;
  TypeId type;
};

class DescribedVariables {
 public:
  explicit DescribedVariables(const Types& types);

  // The one that covers `at`; of several the innermost. Null when there is none.
  [[nodiscard]] const DescribedVariable* at(Addr at) const;

 private:
  void add(DescribedVariable variable, const Types& types, Addr address);

  std::vector<DescribedVariable> variables_;  // by address
};

}  // namespace heapscan
