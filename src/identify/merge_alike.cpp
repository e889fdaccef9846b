// Blocks of one class fall into several clusters when their sizes or the state of their fields
// differ. Where the strongest evidence says that its label alone decides, clusters with one label
// become one, and their fingerprint is made from that label. Figures and samples are taken anew
// from all members.
#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "heapscan/base/hash.h"
#include "heapscan/identify/identities.h"
#include "identify/clustering/cluster_rows.h"

namespace heapscan {

namespace {

// A label without the length of its array: "array of Point" for "Point[8]".
std::string without_length(const std::string& label) {
  const size_t open = label.rfind('[');
  if (open == std::string::npos || open == 0 || !label.ends_with(']')) return label;
  const std::string_view count = std::string_view(label).substr(open + 1, label.size() - open - 2);
  const bool is_count = !count.empty() && count.find_first_not_of("0123456789") == count.npos;
  return is_count ? "array of " + label.substr(0, open) : label;
}

// Parts of the standard containers are in every program.
bool is_general(const Identity& identity) {
  for (const Evidence& evidence : identity.evidence) {
    if (!evidence.label.empty() && evidence.label == identity.label)
      return evidence.kind == EvidenceKind::Container || evidence.kind == EvidenceKind::Content;
  }
  return true;
}

// The label that makes clusters one; empty when there is none.
std::string uniting_label(const Identity& identity) {
  for (const Evidence& evidence : identity.evidence) {
    if (evidence.label.empty() || evidence.label != identity.label) continue;
    return evidence.unites ? without_length(identity.label) : "";
  }
  return "";
}

void set_label(Identity& identity, const std::string& label) {
  for (Evidence& evidence : identity.evidence) {
    if (evidence.label == identity.label) evidence.label = label;
  }
  identity.label = label;
}

void add_evidence(std::vector<Evidence>& all, const std::vector<Evidence>& more) {
  for (const Evidence& evidence : more) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const Evidence& other) {
      return other.kind == evidence.kind &&
             without_length(other.label) == without_length(evidence.label);
    });
    if (same == all.end()) continue;  // it holds for a part of the blocks only
    same->samples += evidence.samples;
    same->agreeing += evidence.agreeing;
  }
}

struct Merged {
  Column<ClusterId, Cluster> rows;
  Column<ClusterId, Identity> identities;
  std::vector<ClusterId> target;  // one per old cluster
};

Merged join(const Clusters& clusters, const Identities& identities, std::string_view program) {
  Merged merged;
  std::unordered_map<std::string, ClusterId> by_label;
  for (size_t i = 0; i < clusters.rows.size(); ++i) {
    const Cluster& cluster = clusters.rows[ClusterId(i)];
    const Identity& identity = identities.rows[ClusterId(i)];
    const std::string label = uniting_label(identity);
    ClusterId target(merged.rows.size());
    if (!label.empty()) target = by_label.try_emplace(label, target).first->second;
    merged.target.push_back(target);
    if (target.index() == merged.rows.size()) {
      merged.rows.push_back(cluster);
      merged.identities.push_back(identity);
      if (!label.empty()) {
        const uint64_t name = hash_of(label);
        merged.rows[target].fingerprint = is_general(identity) ? mix(name, hash_of(program)) : name;
      }
      continue;
    }
    Identity& joined = merged.identities[target];
    merged.rows[target].bytes += cluster.bytes;
    if (joined.label != identity.label) set_label(joined, label);
    add_evidence(joined.evidence, identity.evidence);
  }
  return merged;
}

// No two groups have one id. Those that nothing tells apart are numbered, in an order that another
// run most probably has as well.
void number_equals(Column<ClusterId, Cluster>& rows) {
  std::vector<ClusterId> ids;
  for (size_t i = 0; i < rows.size(); ++i) ids.emplace_back(i);
  const auto key = [&](ClusterId id) {
    const Cluster& row = rows[id];
    const uint64_t size = row.sizes.empty() ? 0 : row.sizes.front().first;
    return std::tuple(row.fingerprint, row.shape, size, ~row.blocks, id);
  };
  std::sort(ids.begin(), ids.end(), [&](ClusterId a, ClusterId b) { return key(a) < key(b); });
  uint64_t before = 0;
  uint64_t number = 0;
  for (const ClusterId id : ids) {
    const uint64_t fingerprint = rows[id].fingerprint;
    number = fingerprint == before ? number + 1 : 0;
    before = fingerprint;
    if (number > 0) rows[id].fingerprint = mix(fingerprint, number);
  }
}

// Old positions in their new order.
std::vector<ClusterId> order_of(const Column<ClusterId, Cluster>& rows) {
  std::vector<ClusterId> order;
  for (size_t i = 0; i < rows.size(); ++i) order.emplace_back(i);
  const auto key = [&](ClusterId id) {
    const Cluster& row = rows[id];
    const BlockId first = row.samples.empty() ? BlockId::none() : row.samples.front();
    return std::tuple(~row.bytes, row.fingerprint, first);
  };
  std::sort(order.begin(), order.end(), [&](ClusterId a, ClusterId b) { return key(a) < key(b); });
  return order;
}

}  // namespace

std::pair<Clusters, Identities> merge_alike(const HeapModel& heap, Clusters clusters,
                                            Identities identities, std::string_view program) {
  Merged merged = join(clusters, identities, program);
  number_equals(merged.rows);
  const std::vector<ClusterId> order = order_of(merged.rows);
  std::vector<ClusterId> place(order.size());
  Identities named;
  named.notes = std::move(identities.notes);
  Column<ClusterId, Cluster> rows;
  for (const ClusterId old : order) {
    place[old.index()] = rows.push_back(std::move(merged.rows[old]));
    named.rows.push_back(std::move(merged.identities[old]));
  }
  for (ClusterId& id : clusters.cluster_of) {
    if (id.valid()) id = place[merged.target[id.index()].index()];
  }
  clusters.rows = std::move(rows);
  fill_rows(heap, clusters);
  return {std::move(clusters), std::move(named)};
}

}  // namespace heapscan
