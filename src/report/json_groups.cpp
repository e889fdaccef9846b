#include "heapscan/base/text.h"

#include "report/report_parts.h"

namespace heapscan {

namespace {

Json json_of_pointers(const std::vector<GroupPointer>& pointers) {
  Json rows = Json::array();
  for (const GroupPointer& pointer : pointers) {
    rows.push_back({{"offset", pointer.offset},
                    {"kind", pointer.kind},
                    {"symbol", pointer.symbol},
                    {"share", pointer.share}});
  }
  return rows;
}

Json json_of_below(const std::vector<BelowRow>& below) {
  Json rows = Json::array();
  for (const BelowRow& row : below) {
    rows.push_back(
        {{"cluster", row.cluster},
         {"label", row.label},
         {"parent", row.parent == BelowRow::kNoParent ? Json(nullptr) : Json(row.parent)},
         {"offset", row.offset},
         {"blocks", row.blocks},
         {"bytes", row.bytes},
         {"repeats", row.repeats}});
  }
  return rows;
}

}  // namespace

Json json_of_addresses(const std::vector<Addr>& addresses) {
  Json rows = Json::array();
  for (const Addr address : addresses) rows.push_back(hex(address));
  return rows;
}

Json json_of_sizes(const std::vector<std::pair<uint64_t, uint64_t>>& sizes) {
  Json rows = Json::array();
  for (const auto& [size, blocks] : sizes) rows.push_back({{"size", size}, {"blocks", blocks}});
  return rows;
}

Json json_of_identity(const std::vector<IdentityRow>& identity) {
  Json rows = Json::array();
  for (const IdentityRow& row : identity) {
    rows.push_back({{"kind", row.kind},
                    {"label", or_null(row.label)},
                    {"detail", or_null(row.detail)},
                    {"samples", row.samples},
                    {"agreeing", row.agreeing}});
  }
  return rows;
}

std::vector<std::string> all_strings(const LeakGroup& group) {
  std::vector<std::string> all = group.strings;
  all.insert(all.end(), group.strings_behind.begin(), group.strings_behind.end());
  return all;
}

// What is said of the call itself.
static Json json_of_call(const SiteRow& site) {
  return {{"module", site.module},          {"call_address", hex(site.call_address)},
          {"function", site.function},      {"offset", site.offset},
          {"source", or_null(site.source)}, {"callee", site.callee}};
}

Json json_of_site(const SiteRow& site) {
  Json json = json_of_call(site);
  json.update({{"probability", site.probability}, {"evidence", site.facts}});
  return json;
}

static Json json_of_shared_sites(const GroupSites& sites) {
  Json rows = Json::array();
  for (const SharedSite& share : sites.shared) {
    rows.push_back(json_of_call(share.site));
    rows.back().update({{"agreeing", share.claimed}, {"samples", share.samples}});
  }
  return rows;
}

static Json json_of_sites(const GroupSites& sites) {
  Json rows = Json::array();
  for (const SiteRow& row : sites.rows) {
    rows.push_back({{"rank", rows.size() + 1}});
    rows.back().update(json_of_site(row));
  }
  return rows;
}

static Json json_of_since(const std::optional<SinceBaseline>& since) {
  if (!since) return Json();
  return {{"state", name_of(since->state)}, {"more", json_of(since->more)}};
}

Json json_of_group(const LeakGroup& group) {
  return {{"id", group.id},
          {"verdict", name_of(group.verdict)},
          {"blocks", group.blocks},
          {"bytes", group.bytes},
          {"indirect", json_of(group.indirect)},
          {"kind_total", group.verdict == Verdict::Definite ? json_of(group.kind_total) : Json()},
          {"share", group.share},
          {"sizes", json_of_sizes(group.sizes)},
          {"label", group.label},
          {"identified_by", json_of_identity(group.identity)},
          {"evidence", group.reasons},
          {"content", {{"hex", or_null(group.content_hex)}, {"text", or_null(group.content_text)}}},
          {"strings", all_strings(group)},
          {"pointers", json_of_pointers(group.pointers)},
          {"below", json_of_below(group.below)},
          {"below_left_out", group.below_left_out},
          {"child_of", group.child_of},
          {"sites", json_of_sites(group.sites)},
          {"site_candidates", group.sites.candidates},
          {"shared_sites", json_of_shared_sites(group.sites)},
          {"example", hex(group.example)},
          {"members_shown", json_of_addresses(group.members_shown)},
          {"since_baseline", json_of_since(group.since)}};
}

Json json_of_map_row(const MapRow& row) {
  return {{"offset", row.offset},
          {"length", row.length},
          {"bytes", or_null(row.bytes)},
          {"kind", row.kind},
          {"meaning", row.meaning},
          {"symbol", or_null(row.symbol)},
          {"points_to", or_null(row.points_to)},
          {"member", or_null(row.member)},
          {"type", or_null(row.type)},
          {"samples", row.samples},
          {"agreeing", row.agreeing},
          {"mostly", or_null(row.mostly)},
          {"constant", row.constant},
          {"folded", row.folded}};
}

namespace {

Json json_of_relations(const std::vector<Relation>& relations) {
  Json rows = Json::array();
  for (const Relation& relation : relations) {
    rows.push_back({{"cluster", relation.cluster},
                    {"label", relation.label},
                    {"offset", relation.offset},
                    {"blocks", relation.blocks},
                    {"bytes", relation.bytes}});
  }
  return rows;
}

}  // namespace

Json json_of_cluster(const ClusterMap& map) {
  Json verdicts = Json::object();
  for (const auto& [verdict, total] : map.verdicts) verdicts[verdict] = json_of(total);
  Json words = Json::array();
  for (const MapRow& row : map.rows) words.push_back(json_of_map_row(row));
  return {{"id", map.id},
          {"label", map.label},
          {"shape", map.shape},
          {"blocks", map.blocks},
          {"bytes", map.bytes},
          {"sizes", json_of_sizes(map.sizes)},
          {"verdicts", std::move(verdicts)},
          {"identified_by", json_of_identity(map.identity)},
          {"samples", map.samples},
          {"example", hex(map.example)},
          {"example_size", map.example_size},
          {"words", std::move(words)},
          {"parents", json_of_relations(map.parents)},
          {"children", json_of_relations(map.children)},
          {"examples", json_of_addresses(map.examples)}};
}

}  // namespace heapscan
