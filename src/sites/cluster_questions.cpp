#include "sites/cluster_questions.h"

#include <algorithm>
#include <map>

#include "heapscan/base/hash.h"
#include "sites/site_weights.h"
#include "sites/traces.h"

namespace heapscan {

namespace {

constexpr size_t kMostSamples = 24;  // blocks of a cluster that are asked
constexpr size_t kMostOthers = 256;  // blocks of other clusters that are asked, of one size

// malloc gives up to 15 bytes more than it was asked for, and what lies in them is chance: where
// all samples have one value that is not zero, somebody wrote it.
uint64_t used_bytes(const ClusterQuestion& question) {
  if (question.samples.size() < kFewestSamples) return 0;
  const Bytes first = question.samples[0].bytes;
  if (question.cluster.sizes.size() > 2 || first.size() < 8 || first.size() > kMostBytes) return 0;
  uint64_t used = 0;
  for (uint64_t at = 0; at + 8 <= first.size(); at += 8) {
    const auto word = load<uint64_t>(first.data() + at);
    const Share share = share_of(question.samples, {at, 8, {word}});
    if (word != 0 && share.yes == share.asked) used = at + 8;
  }
  return used;
}

// A pointer may be all letters.
bool may_be_text(const ClusterQuestion& question) {
  const bool begins_with_name = !question.names.empty() && question.names.front().first == 0;
  return question.cluster.shape != Shape::Pointers && question.type_bytes == 0 && !begins_with_name;
}

}  // namespace

ClusterQuestions::ClusterQuestions(const MatchInputs& in, size_t count) : in_(in) {
  for (size_t c = 0; c < count; ++c) {
    others_.emplace(usual_size(in.clusters.rows[ClusterId(c)].sizes).usable,
                    std::vector<BlockId>());
  }
  gather_others();
}

ClusterQuestion ClusterQuestions::of(ClusterId id) const {
  ClusterQuestion question{id, in_.clusters.rows[id]};
  add_type(question);
  const std::vector<BlockId>& samples = question.cluster.samples;
  const size_t step = std::max<size_t>(1, samples.size() / kMostSamples);
  for (size_t i = 0; i < samples.size(); i += step)
    question.samples.push_back(sample_of(samples[i]));
  const auto others = others_.find(usual_size(question.cluster.sizes).usable);
  if (others != others_.end()) {
    for (const BlockId block : others->second) {
      if (in_.clusters.of(block) != id) question.others.push_back(sample_of(block));
    }
  }
  find_names(question);
  question.texts = texts_in(question.samples);
  question.is_text =
      question.cluster.shape == Shape::Text || (may_be_text(question) && question.texts.are_all());
  add_elements(question);
  question.used_bytes = used_bytes(question);
  return question;
}

// Blocks in use of each wanted size, spread over all of that size.
void ClusterQuestions::gather_others() {
  std::map<uint64_t, uint64_t> seen;
  for (size_t i = 0; i < in_.heap.blocks.size(); ++i) {
    const Block& block = in_.heap.blocks[i];
    if (block.state() != BlockState::Used) continue;
    const auto wanted = others_.find(block.size());
    if (wanted == others_.end()) continue;
    const uint64_t count = ++seen[block.size()];
    std::vector<BlockId>& kept = wanted->second;
    if (kept.size() < kMostOthers) {
      kept.emplace_back(i);
    } else if (const uint64_t place = mix(i) % count; place < kMostOthers) {
      kept[place] = BlockId(i);
    }
  }
}

BlockBytes ClusterQuestions::sample_of(BlockId block) const {
  const AddrRange range = in_.heap.block(block).range();
  return {range.begin(), in_.image.view(range).value_or(Bytes())};
}

void ClusterQuestions::add_type(ClusterQuestion& question) const {
  const Identity& identity = in_.identities.rows[question.id];
  const Evidence* const naming = naming_evidence(identity.evidence);
  question.is_of_cpp = identity.label.find("std::") != std::string::npos ||
                       (naming != nullptr && naming->kind == EvidenceKind::Vtable);
  // What they point at is something else.
  if (naming == nullptr || naming->kind != EvidenceKind::Symbol) {
    question.words = words_of(identity.label);
    std::erase_if(question.words, is_plain_word);
  }
  if (!identity.type.valid()) return;
  const Type& type = in_.types.type(identity.type);
  if (is_record(type.kind)) question.type_bytes = type.size;
}

void ClusterQuestions::add_elements(ClusterQuestion& question) const {
  const TypeId type = in_.identities.rows[question.id].type;
  if (question.is_text) {
    question.element_bytes = 1;
  } else if (type.valid() && in_.types.type(type).kind == TypeKind::Array) {
    const TypeId element = in_.types.type(type).target;
    if (element.valid()) question.element_bytes = in_.types.type(element).size;
  } else if (question.cluster.shape == Shape::Pointers) {
    question.element_bytes = sizeof(uint64_t);
  }
}

// Words that are one address of a module in nearly all samples.
void ClusterQuestions::find_names(ClusterQuestion& question) const {
  if (question.samples.empty()) return;
  const Bytes first = question.samples[0].bytes;
  for (uint64_t offset = 0; offset + 8 <= std::min<uint64_t>(first.size(), kMostBytes);
       offset += 8) {
    const auto word = load<uint64_t>(first.data() + offset);
    if (in_.image.module_at(Addr(word)) == nullptr) continue;
    const Share share = share_of(question.samples, {offset, 8, {word}});
    if (share.yes * 10 >= share.asked * 9) question.names.emplace_back(offset, Addr(word));
  }
}

}  // namespace heapscan
