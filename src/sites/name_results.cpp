// Debug information names variables by the registers and memory that they are in; the code behind a call
// says in which of these its result is. What they agree in is what the result is assigned to. A type is
// known again by its name and size.
#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/identify/described_variables.h"
#include "heapscan/sites/call_sites.h"
#include "sites/result_places.h"

namespace heapscan {

namespace {

// "Parser" of "ns::Parser", "map<ns::Key, int>" of "std::map<ns::Key, int>".
std::string_view without_namespaces(std::string_view name) {
  const size_t arguments = std::min(name.find('<'), name.size());
  const size_t colons = name.substr(0, arguments).rfind("::");
  return colons == std::string_view::npos ? name : name.substr(colons + 2);
}

// Structs, classes and unions by their names without namespaces.
class RecordsByName {
 public:
  explicit RecordsByName(const Types& types) : types_(types) {
    for (const TypeId id : types.records())
      rows_.emplace_back(without_namespaces(types.type(id).name), id);
    std::sort(rows_.begin(), rows_.end());
  }

  // The one of that name and size, the module's own first; without a size, of that name. None where
  // several would do.
  [[nodiscard]] TypeId find(std::string_view name, uint64_t bytes, ModuleId module) const {
    if (name.empty()) return {};
    std::vector<TypeId> own;
    std::vector<TypeId> others;
    const auto first = std::lower_bound(
        rows_.begin(), rows_.end(), name,
        [](const auto& row, std::string_view wanted) { return row.first < wanted; });
    for (auto row = first; row != rows_.end() && row->first == name; ++row) {
      const Type& type = types_.type(row->second);
      if (bytes != 0 && type.size != bytes) continue;
      (type.module == module ? own : others).push_back(row->second);
    }
    const std::vector<TypeId>& found = own.empty() ? others : own;
    return found.size() == 1 ? found.front() : TypeId();
  }

 private:
  const Types& types_;
  std::vector<std::pair<std::string_view, TypeId>> rows_;
};

SiteResult result_of(const Types& types, const Variable& variable) {
  SiteResult result;
  if (!variable.type.valid()) return result;
  const Type& pointer = types.type(variable.type);
  if (pointer.kind != TypeKind::Pointer) return result;
  result.name = variable.name;
  result.pointee = TypeKind::Void;
  if (!pointer.target.valid()) return result;
  const Type& target = types.type(pointer.target);
  result.pointee = target.kind;
  const TypeId record = target.kind == TypeKind::Pointer ? target.target : pointer.target;
  if (record.valid() && is_record(types.type(record).kind)) result.record = record;
  return result;
}

}  // namespace

Column<CallSiteId, SiteResult> name_results(const MemoryImage& image, const DebugInfo& debug_info,
                                            const Types& types, const CallSites& sites) {
  std::vector<ValuePlace> places;
  std::vector<CallSiteId> site_of;  // the places
  Column<CallSiteId, SiteResult> results(sites.rows.size());
  const auto take = [&](CallSiteId site, SiteResult result) {
    if (telling(result.pointee) > telling(results[site].pointee)) results[site] = std::move(result);
  };
  const DescribedVariables variables(types);
  for (size_t s = 0; s < sites.rows.size(); ++s) {
    const CallSite& site = sites.rows[CallSiteId(s)];
    if (!site.module.valid() || !debug_info.describes(site.module)) continue;
    if (sites.allocators[site.allocator].result_parameter >= 0) continue;
    const ResultPlaces found = places_of_result(image, site);
    places.insert(places.end(), found.places.begin(), found.places.end());
    site_of.resize(places.size(), CallSiteId(s));
    for (const Addr at : found.written_at) {
      const DescribedVariable* const variable = variables.at(at);
      if (variable != nullptr && variable->global != nullptr && variable->range.begin() == at)
        take(CallSiteId(s), result_of(types, *variable->global));
    }
  }
  if (places.empty()) return results;
  const RecordsByName records(types);
  const auto values = debug_info.named_values_at(places);
  for (size_t p = 0; p < places.size(); ++p) {
    if (!values[p]) continue;
    const NamedValue& value = *values[p];
    take(site_of[p],
         {value.name, value.pointee,
          records.find(value.record, value.record_bytes, sites.rows[site_of[p]].module)});
  }
  return results;
}

}  // namespace heapscan
