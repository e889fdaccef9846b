// Where what was found out about modules' code is kept from run to run. Reading machine code is most of
// what call sites cost, and of a module it comes to the same each time.
//
// `sites` opens no files: whoever has a place for them hands in how to get and put what is kept. What is
// given back may be damaged, of another version or of no module at all; then it counts for nothing.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "heapscan/base/bytes.h"

namespace heapscan {

// Both are called from several threads. Names are letters, digits, '-' and '.'.
struct CodeStore {
  // What was kept by that name; empty when nothing was.
  std::function<std::vector<std::byte>(const std::string& name)> get;
  std::function<void(const std::string& name, Bytes content)> put;

  [[nodiscard]] bool exists() const { return get && put; }
};

}  // namespace heapscan
