#include "sites/callees.h"

#include <mutex>

#include "sites/known_allocators.h"
#include "sites/stubs.h"

namespace heapscan {

Callee Callees::at(Addr target, const std::unordered_map<Addr, uint32_t>& allocators,
                   const std::set<Addr>& never_ran) const {
  Callee callee = known_at(target);
  if (callee.kind == Callee::Kind::NeverCalled || never_ran.count(callee.function) != 0) {
    callee.kind = Callee::Kind::NeverCalled;
    return callee;
  }
  const auto allocator = allocators.find(callee.function);
  if (allocator != allocators.end()) {
    callee.kind = Callee::Kind::Allocator;
    callee.allocator = allocator->second;
  }
  return callee;
}

Callee Callees::known_at(Addr target) const {
  {
    const std::shared_lock lock(lock_);
    const auto known = known_.find(target);
    if (known != known_.end()) return known->second;
  }
  const Callee callee = make(target);
  const std::unique_lock lock(lock_);
  known_.emplace(target, callee);
  return callee;
}

Callee Callees::make(Addr target) const {
  Callee callee;
  callee.function = behind_stubs(image_, target);
  if (asks_loader(image_, callee.function)) {
    callee.kind = Callee::Kind::NeverCalled;
    return callee;
  }
  if (only_returns_first_parameter(image_, callee.function)) {
    callee.kind = Callee::Kind::ReturnsFirst;
  }
  const auto symbol = symbols_.ref_at(callee.function);
  if (!symbol || symbol->offset != 0) return callee;
  if (never_returns(symbol->name)) callee.kind = Callee::Kind::NoReturn;
  if (returns_first_parameter(symbol->name)) callee.kind = Callee::Kind::ReturnsFirst;
  return callee;
}

}  // namespace heapscan
