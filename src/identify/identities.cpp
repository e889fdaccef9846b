#include "heapscan/identify/identities.h"

#include <array>

namespace heapscan {

const char* name_of(EvidenceKind kind) {
  static constexpr std::array<const char*, 8> kNames = {
      "content", "symbol", "fit", "looks like", "container", "library", "pointed", "vtable"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace heapscan
