// Parts of the JSON report that need more than a line.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "heapscan/report/report.h"

namespace heapscan {

using Json = nlohmann::ordered_json;

// In one line, ASCII only.
[[nodiscard]] inline std::string dumped(const Json& value) {
  return value.dump(-1, ' ', true, Json::error_handler_t::replace);
}

[[nodiscard]] inline Json or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

template <typename T>
[[nodiscard]] Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

[[nodiscard]] inline Json json_of(const VerdictTotal& total) {
  return {{"blocks", total.blocks}, {"bytes", total.bytes}};
}
[[nodiscard]] inline Json json_of(const StateTotal& total) {
  return {{"blocks", total.blocks}, {"bytes", total.bytes}};
}

[[nodiscard]] Json json_of_addresses(const std::vector<Addr>& addresses);
[[nodiscard]] Json json_of_sizes(const std::vector<std::pair<uint64_t, uint64_t>>& sizes);
[[nodiscard]] Json json_of_identity(const std::vector<IdentityRow>& rows);
[[nodiscard]] Json json_of_group(const LeakGroup& group);
[[nodiscard]] Json json_of_cluster(const ClusterMap& map);

}  // namespace heapscan
