// How a report names clusters: their ids, their labels, and names that are too long for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/analysis/analysis.h"

namespace heapscan {

// One recogniser's answer, as a report shows it.
struct IdentityRow {
  std::string kind;    // name_of(EvidenceKind)
  std::string label;   // may be empty
  std::string detail;  // a sentence; empty when it would show content that is not to be shown
  uint64_t samples = 0;
  uint64_t agreeing = 0;  // of them
};

// 16 hexadecimal digits: the fingerprint.
[[nodiscard]] std::string id_of(const Analysis& analysis, ClusterId cluster);

// Escaped, never empty: the identity's label, or else what the blocks have in common by their
// shape and size.
[[nodiscard]] std::string label_of(const Analysis& analysis, ClusterId cluster);

// How that identity is known: name_of(EvidenceKind). Empty where there is none.
[[nodiscard]] std::string kind_of_label(const Analysis& analysis, ClusterId cluster);

// Escaped, strongest first. Without content, nothing that may quote it.
[[nodiscard]] std::vector<IdentityRow> identity_of(const Analysis& analysis, ClusterId cluster,
                                                   bool content);

// "256 B", "24..4,096 B": of sizes that are sorted.
[[nodiscard]] std::string spelled_sizes(const std::vector<std::pair<uint64_t, uint64_t>>& sizes);

// `name` for people, at most `limit` characters of it: arguments of templates give way first, the
// innermost before the others, then its middle. "..." stands for what is left out.
[[nodiscard]] std::string shortened(std::string_view name, size_t limit);

// "session.c:88": the file's name without its folders, escaped.
[[nodiscard]] std::string spelled_line(const SourceLine& line);

// What lies at an address of a module, escaped: "idle_list", "serve_page+0x4", or
// "libfoo.so+0x40", as in the ELF file, where nothing has a name. The address itself outside modules.
[[nodiscard]] std::string name_of_place(const Analysis& analysis, Addr at);

// The clusters that `id` means: one whose id is or begins with it, or, when none does, none and the
// ids that come nearest.
struct ClusterChoice {
  std::vector<ClusterId> found;  // several when `id` is too short
  std::vector<ClusterId> near;   // at most kMostNear, nearest first
  static constexpr size_t kMostNear = 3;
};
[[nodiscard]] ClusterChoice find_cluster(const Analysis& analysis, std::string_view id);

}  // namespace heapscan
