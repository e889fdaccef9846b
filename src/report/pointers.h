// What most blocks of a cluster point at: functions, variables, classes and strings of modules.
#pragma once

#include <string>
#include <vector>

#include "heapscan/analysis/analysis.h"
#include "heapscan/identify/field_meaning.h"
#include "heapscan/report/report.h"

namespace heapscan {

// What a pointer into a module points at: "vtable for Parser", "session_new (session.c:88)",
// "idle_list+0x8", "\"HTTP/1.1\"", "libfoo.so+0x4010". Escaped; empty for every other field.
[[nodiscard]] std::string spelled_target(const Analysis& analysis, const FieldMeaning& field);

// By offset; at most kMostPointers of the offsets where at least half of the samples agree. Without
// content, no strings.
[[nodiscard]] std::vector<GroupPointer> common_pointers(const Analysis& analysis,
                                                        const AddressMap& addresses,
                                                        ClusterId cluster, bool content);
constexpr size_t kMostPointers = 16;

}  // namespace heapscan
