// Which of CPython's types single blocks are objects of.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "identify/inputs.h"

namespace heapscan {

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
