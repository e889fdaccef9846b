// What followed functions say, as call sites, links between their blocks and addresses they mention.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/sites/call_sites.h"
#include "sites/data_flow.h"
#include "sites/module_code.h"

namespace heapscan {

constexpr unsigned kFillDepth = 2;  // a constructor and its base's
constexpr uint8_t kMakerDepth = 2;  // makers that call makers

struct SiteInputs {
  const MemoryImage& image;
  const RuntimeFacts& runtime;
  const std::vector<ModuleCode>& code;
  const std::map<Addr, FunctionFlow>& flows;               // by the function's begin
  const std::unordered_map<Addr, uint32_t>& allocator_of;  // by the function's begin
};

// Fills in all of `found` but its allocators.
void make_site_rows(const SiteInputs& in, CallSites& found);

}  // namespace heapscan
