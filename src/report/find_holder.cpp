#include <algorithm>

#include "heapscan/base/error.h"
#include "heapscan/base/text.h"
#include "heapscan/report/holds.h"
#include "heapscan/report/names.h"
#include "report/describe_parts.h"

namespace heapscan {

namespace {

constexpr size_t kHoldersNamed = 5;  // in an error
constexpr size_t kShortestId = 4;    // of a group, as with --cluster

std::string list_of_holders(const Analysis& analysis) {
  const Retained& retained = analysis.holding->retained;
  std::string list;
  for (const LargeHolder& holder :
       largest_holders(analysis.image, analysis.heap, analysis.clusters, retained, kHoldersNamed)) {
    if (!retained.group(holder.row).valid()) continue;
    list += (list.empty() ? "" : ", ") + name_of_holder(analysis, holder);
  }
  return list;
}

bool is_id(std::string_view words) {
  return words.size() >= kShortestId && words.size() <= 16 &&
         words.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// "nginx:sessions" and "nginx: sessions" are the same.
std::string without_blanks_after_colons(std::string_view words) {
  std::string text;
  for (const char c : words) {
    if (c == ' ' && text.ends_with(':')) continue;
    text += c;
  }
  return text;
}

std::vector<RootGroupId> groups_named(const NamedRoots& roots, std::string_view words) {
  const std::string wanted = without_blanks_after_colons(words);
  std::vector<RootGroupId> found;
  for (size_t i = 0; i < roots.rows.size(); ++i) {
    const RootGroupId id(i);
    if (name_of_group(roots, id) == words || hex(roots.rows[id].begin) == words ||
        without_blanks_after_colons(qualified_name(roots, id)) == wanted)
      found.push_back(id);
  }
  return found;
}

}  // namespace

RetainedBy find_holder(const Analysis& analysis, std::string_view words) {
  HS_CHECK(analysis.holding.has_value());
  const Holding& holding = *analysis.holding;
  RetainedBy by;
  for (size_t i = 0; i < holding.roots.owners.size(); ++i) {
    if (name_of_owner(holding.roots, RootOwnerId(i)) == words) by.owner = RootOwnerId(i);
  }
  if (by.owner.valid()) return by;
  const std::vector<RootGroupId> groups = groups_named(holding.roots, words);
  if (groups.size() == 1) {
    by.group = groups.front();
    return by;
  }
  if (groups.size() > 1) {
    std::string list;
    for (size_t i = 0; i < std::min(groups.size(), kHoldersNamed); ++i) {
      list += fmt::format("{}{} at {}", list.empty() ? "" : ", ",
                          qualified_name(holding.roots, groups[i]),
                          hex(holding.roots.rows[groups[i]].begin));
    }
    throw Error(ErrorKind::Usage, fmt::format("several roots are called {}: {}; name one by its "
                                              "address",
                                              escaped(words), list));
  }
  if (is_id(words)) {
    const ClusterChoice choice = find_cluster(analysis, words);
    if (choice.found.size() == 1) {
      by.cluster = choice.found.front();
      return by;
    }
  }
  throw Error(
      ErrorKind::Usage,
      fmt::format("there is no root or group {} that holds anything; the largest roots are {}",
                  escaped(words), list_of_holders(analysis)));
}

}  // namespace heapscan
