#include "unit/report/judged_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

namespace heapscan {

namespace {

uint64_t fingerprint_of(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

std::string name_of_size(uint64_t size) { return fmt::format("of {} bytes", size); }

}  // namespace

std::string id_of_label(std::string_view label) {
  return fmt::format("{:016x}", fingerprint_of(label));
}

std::string id_of_size(uint64_t size) { return id_of_label(name_of_size(size)); }

Addr JudgedProgram::add(Addr block, Verdict verdict, std::string_view content) {
  for (size_t at = 0; at < content.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, content.data() + at, std::min<size_t>(8, content.size() - at));
    program_.poke(block + at, word);
  }
  judgements_.push_back({block, verdict, block, Reason::Interior, label_});
  return block;
}

Addr JudgedProgram::reachable(uint64_t size, std::string_view content) {
  return add(program_.block(size), Verdict::Reachable, content);
}

Addr JudgedProgram::definite(uint64_t size, std::string_view content) {
  return add(program_.block(size), Verdict::Definite, content);
}

Addr JudgedProgram::indirect(uint64_t size, Addr head) {
  const Addr block = add(program_.block(size), Verdict::Indirect, {});
  judgements_.back().head = head;
  return block;
}

Addr JudgedProgram::possible(uint64_t size, Reason reason) {
  const Addr block = add(program_.block(size), Verdict::Possible, {});
  judgements_.back().reason = reason;
  return block;
}

Addr JudgedProgram::mapping(uint64_t size, Verdict verdict) {
  return add(program_.mapping(size), verdict, {});
}

void JudgedProgram::enter(const Judgement& judgement, const HeapModel& heap, Reachability& reach) {
  const BlockId id = heap.block_at(judgement.block);
  const Block& block = heap.block(id);
  reach.verdicts[id.index()] = judgement.verdict;
  auto& totals = block.state() == BlockState::Mapping ? reach.mapping_totals : reach.totals;
  VerdictTotal& total = totals[static_cast<size_t>(judgement.verdict)];
  ++total.blocks;
  total.bytes += block.size();
  if (judgement.verdict == Verdict::Definite || judgement.verdict == Verdict::Indirect) {
    reach.lost.push_back({id, heap.block_at(judgement.head)});
  }
  if (judgement.verdict == Verdict::Possible) reach.possible.push_back({id, judgement.reason});
}

Analysis JudgedProgram::judge() {
  FakeProgram::World world = program_.build();
  Analysis analysis;
  analysis.image = std::move(world.image);
  analysis.runtime = std::move(world.runtime);
  analysis.heap = std::move(world.heap);
  analysis.roots = std::move(world.roots);
  analysis.heap.allocator = "glibc";
  analysis.heap.version = "2.36";
  analysis.heap.layout_source = LayoutSource::Table;
  analysis.heap.found_by = "the symbol main_arena";
  analysis.heap.arenas.resize(1);

  Reachability& reach = analysis.reach;
  reach.verdicts = GrowingArray<Verdict>(analysis.heap.blocks.size());
  reach.verdicts.resize(analysis.heap.blocks.size());
  for (const Judgement& judgement : judgements_) enter(judgement, analysis.heap, reach);
  std::sort(reach.lost.begin(), reach.lost.end(),
            [](auto& a, auto& b) { return a.block < b.block; });
  std::sort(reach.possible.begin(), reach.possible.end(),
            [](auto& a, auto& b) { return a.block < b.block; });
  cluster(analysis);
  return analysis;
}

void JudgedProgram::cluster(Analysis& analysis) const {
  std::map<std::string, std::vector<BlockId>> clusters;
  std::map<std::string, std::string> labels;
  for (const Judgement& judgement : judgements_) {
    const BlockId id = analysis.heap.block_at(judgement.block);
    const Block& block = analysis.heap.block(id);
    if (block.state() != BlockState::Used) continue;
    const std::string name = judgement.label.empty() ? name_of_size(block.size()) : judgement.label;
    clusters[name].push_back(id);
    labels[name] = judgement.label;
  }
  std::vector<std::pair<BlockId, ClusterId>> pairs;
  for (auto& [name, blocks] : clusters) {
    std::sort(blocks.begin(), blocks.end());
    Cluster row;
    row.fingerprint = fingerprint_of(name);
    row.samples = blocks;
    std::map<uint64_t, uint64_t> sizes;
    for (const BlockId id : blocks) {
      ++row.blocks;
      row.bytes += analysis.heap.block(id).size();
      ++sizes[analysis.heap.block(id).size()];
    }
    row.sizes.assign(sizes.begin(), sizes.end());
    const ClusterId id = analysis.clusters.rows.push_back(std::move(row));
    for (const BlockId block : blocks) pairs.emplace_back(block, id);
    Identity identity;
    identity.label = labels[name];
    analysis.identities.rows.push_back(std::move(identity));
  }
  std::sort(pairs.begin(), pairs.end());
  std::vector<BlockId> members;
  std::vector<ClusterId> cluster_of;
  for (const auto& [block, id] : pairs) {
    members.push_back(block);
    cluster_of.push_back(id);
  }
  analysis.clusters.members = BlockColumn<ClusterId>(members, std::move(cluster_of));
}

CaptureFacts live_facts() {
  CaptureFacts facts;
  facts.pid = 4711;
  facts.command = "fake";
  facts.executable = "/usr/bin/fake";
  facts.source = "pid 4711";
  facts.captured_at = 1.5e9;
  facts.pause_seconds = 0.038;
  return facts;
}

}  // namespace heapscan
