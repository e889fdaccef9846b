#include "heapscan/identify/identities.h"

#include <array>

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
  const size_t name = label.rfind("Python ");
  return name == std::string::npos ? "" : label.substr(0, name) + "Python object";
}

}  // namespace

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
