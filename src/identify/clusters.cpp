#include "heapscan/identify/clusters.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace heapscan {

const char* name_of(EvidenceKind kind) {
  static constexpr std::array<const char*, 8> kNames = {
      "content", "symbol", "fit", "likeness", "container", "library", "pointed", "vtable"};
  return kNames[static_cast<size_t>(kind)];
}

namespace {

// "Python Account", "array of pointers to Python Account": everything before the name that was
// read.
std::string without_last_name(const std::string& label) {
  struct Named {
    std::string_view before;  // the name
    std::string_view without;
  };
  static constexpr std::array<Named, 4> kNamed = {{{"Python ", "Python object"},
                                                   {"GObject ", "GObject"},
                                                   {"GTypeInstance ", "GTypeInstance"},
                                                   {"class struct of ", "class struct"}}};
  for (const Named& named : kNamed) {
    const size_t at = label.rfind(named.before);
    if (at != std::string::npos) return label.substr(0, at) + std::string(named.without);
  }
  return "";
}

}  // namespace

const Evidence* naming_evidence(const std::vector<Evidence>& evidence) {
  const auto naming = std::find_if(evidence.begin(), evidence.end(),
                                   [](const Evidence& e) { return !e.label.empty(); });
  return naming == evidence.end() ? nullptr : &*naming;
}

Identities without_heap_names(Identities identities) {
  for (Identity& identity : identities.rows) {
    for (Evidence& evidence : identity.evidence) {
      if (!evidence.quotes_heap) continue;
      const std::string label = without_last_name(evidence.label);
      if (identity.label == evidence.label) identity.label = label;
      evidence.label = label;
      evidence.detail.clear();
    }
  }
  return identities;
}

}  // namespace heapscan
