#include "heapscan/identify/described_variables.h"

#include <algorithm>

namespace heapscan {

namespace {

constexpr int kMostAsked = 8;  // variables that begin before an address

}  // namespace

DescribedVariables::DescribedVariables(const Types& types) {
  for (const Variable& variable : types.variables()) {
    if (!variable.is_thread_local)
      add({{}, nullptr, &variable, variable.type}, types, variable.address);
  }
  for (const LocalVariable& local : types.locals())
    add({{}, &local, nullptr, local.type}, types, local.address);
  std::stable_sort(variables_.begin(), variables_.end(),
                   [](const DescribedVariable& a, const DescribedVariable& b) {
                     return a.range.begin() < b.range.begin();
                   });
}

void DescribedVariables::add(DescribedVariable variable, const Types& types, Addr address) {
  if (!variable.type.valid() || types.type(variable.type).size == 0) return;
  variable.range = AddrRange::sized(address, types.type(variable.type).size);
  variables_.push_back(variable);
}

const DescribedVariable* DescribedVariables::at(Addr at) const {
  auto after =
      std::upper_bound(variables_.begin(), variables_.end(), at,
                       [](Addr a, const DescribedVariable& v) { return a < v.range.begin(); });
  for (int tries = 0; after != variables_.begin() && tries < kMostAsked; ++tries) {
    --after;
    if (after->range.contains(at)) return &*after;
  }
  return nullptr;
}

}  // namespace heapscan
