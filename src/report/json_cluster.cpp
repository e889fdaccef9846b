#include "heapscan/base/text.h"
#include "report/json_values.h"

namespace heapscan {

namespace {

Json json_of_row(const MapRow& row) {
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
  for (const MapRow& row : map.rows) words.push_back(json_of_row(row));
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
