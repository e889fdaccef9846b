#include "sites/callees.h"

#include <mutex>

#include "heapscan/image/imports.h"
#include "sites/known_functions.h"
#include "sites/stubs.h"

namespace heapscan {

namespace {

void add_what_is_known(std::string_view name, Callee& callee) {
  if (never_returns(name)) callee.kind = Callee::Kind::NoReturn;
  if (returns_first_parameter(name)) callee.kind = Callee::Kind::ReturnsFirst;
  if (returns_length(name)) callee.kind = Callee::Kind::ReturnsLength;
  if (writes_text(name)) callee.writes_text = true;
}

}  // namespace

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
  if (symbol && symbol->offset == 0) add_what_is_known(symbol->name, callee);
  const auto imported = imported_.find(callee.function);
  if (imported != imported_.end()) add_what_is_known(imported->second, callee);
  return callee;
}

// Which variant of strlen the loader chose has a name in the C library's debug information only, but
// the slots that it is called through have theirs.
void Callees::find_imported() {
  constexpr size_t kLongestName = 32;
  for (const Module& module : image_.modules()) {
    for_each_import(image_, module, kLongestName, [&](Addr slot, const std::string& name) {
      const bool says_something = never_returns(name) || returns_first_parameter(name) ||
                                  returns_length(name) || writes_text(name);
      if (!says_something) return;
      const auto bound = image_.read_addr(slot);
      const Module* const home = bound ? image_.module_at(*bound) : nullptr;
      if (home != nullptr && home != &module) imported_.emplace(*bound, name);
    });
  }
}

}  // namespace heapscan
