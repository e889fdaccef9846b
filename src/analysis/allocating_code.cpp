// A name matches as in LeakSanitizer, which has the whole stack: the function that holds the call, its
// source file and module, and the program's own allocators that the call goes through. What lies below
// those, malloc above all, would match whatever there is.
#include "analysis/allocating_code.h"

namespace heapscan {

namespace {

void add_function(const std::string& name, std::vector<std::string>& names) {
  if (name.empty()) return;
  names.push_back(name);
  names.push_back(name_of_symbol(name));
}

std::vector<std::string> names_around(const Analysis& a, const CallSite& site) {
  std::vector<std::string> names;
  if (const auto symbol = a.symbols.ref_at(site.call))
    add_function(std::string(symbol->name), names);
  if (site.module.valid()) names.push_back(a.image.modules()[site.module].path);
  if (const SourceLine* const line = a.line_of(site.call)) names.push_back(line->file);
  for (const AllocatorFunction* const allocator : a.call_sites.chain_of(site)) {
    if (!allocator->inner.is_null()) add_function(allocator->name, names);
  }
  return names;
}

}  // namespace

AllocatingCode name_allocating_code(const Analysis& a) {
  AllocatingCode code(a.site_matches.size());
  for (size_t i = 0; i < code.size(); ++i) {
    const ClusterSites& matches = a.site_matches[ClusterId(i)];
    if (matches.is_answered())
      code[ClusterId(i)] = names_around(a, a.call_sites.rows[matches.best.front().site]);
  }
  return code;
}

}  // namespace heapscan
