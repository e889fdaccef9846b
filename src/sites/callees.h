// Whom calls lead to. What does not change while allocators are being found is asked once for each
// address; safe to ask from several threads.
#pragma once

#include <set>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"
#include "sites/flow_context.h"

namespace heapscan {

class Callees {
 public:
  Callees(const MemoryImage& image, const Symbols& symbols) : image_(image), symbols_(symbols) {
    find_imported();
  }

  // `allocators` and `never_ran` by where functions begin.
  [[nodiscard]] Callee at(Addr target, const std::unordered_map<Addr, uint32_t>& allocators,
                          const std::set<Addr>& never_ran) const;

 private:
  [[nodiscard]] Callee known_at(Addr target) const;
  [[nodiscard]] Callee make(Addr target) const;
  void find_imported();

  const MemoryImage& image_;
  const Symbols& symbols_;
  std::unordered_map<Addr, std::string> imported_;  // functions that names say something of
  mutable std::shared_mutex lock_;
  mutable std::unordered_map<Addr, Callee> known_;
};

}  // namespace heapscan
