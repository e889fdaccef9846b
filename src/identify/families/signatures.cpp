// The first words of a record are traits of their own; what lies behind is told in four parts, each
// by what it mostly holds, since long tails are arrays or buffers more often than fields. Of text,
// arrays and raw data only what they are made of counts, and where they hang.
//
// A word costs little to judge; waiting for memory costs much. So a block is announced in steps:
// its row, its bytes, then the entries of the index its words will be looked up in, then the rows
// those lead to. Each step needs what the one before has brought.
#include "identify/families/signatures.h"

#include <algorithm>
#include <mutex>

#include "heapscan/base/parallel.h"
#include "identify/families/shapes.h"

namespace heapscan {

namespace {

constexpr size_t kStep = 6;                     // blocks between two steps of announcing
constexpr uint64_t kSmallSize = 40;             // bytes, also given out for what needs fewer
constexpr uint64_t kSearchedForZero = 1 << 20;  // bytes of a block
constexpr size_t kLinks = 2;                    // words of a free block that the allocator uses
constexpr uint64_t kFewestUnwritten = 64;       // bytes of a block that may not have been written
constexpr ptrdiff_t kMostThatPoint = 3;         // blocks that begin with one round pointer
constexpr size_t kSignaturesPerPiece = 4096;

// A word of which only the lower bytes were overwritten, with zeros: an empty string over what a
// block's last owner had left. A pointer to a block that begins at such an address looks the same,
// but not many blocks have it; what was left in neighbours is the same word in all of them.
bool is_left_over(uint64_t word) { return word != 0 && (word & 0xffff) == 0; }

}  // namespace

TraitKind trait_of(WordKind kind) {
  switch (kind) {
    case WordKind::Zero:
      return TraitKind::Zero;
    case WordKind::Small:
    case WordKind::Negative:
      return TraitKind::Integer;
    case WordKind::Pair:
      return TraitKind::Pair;
    case WordKind::Text:
    case WordKind::WideText:
      return TraitKind::Text;
    case WordKind::Code:
      return TraitKind::Code;
    case WordKind::Constant:
      return TraitKind::Constant;
    case WordKind::Data:
      return TraitKind::Data;
    case WordKind::BlockStart:
      return TraitKind::Block;
    case WordKind::BlockInterior:
      return TraitKind::Interior;
    case WordKind::FreeBlock:
      return TraitKind::Free;
    case WordKind::Stack:
    case WordKind::Mapped:
      return TraitKind::Elsewhere;
    case WordKind::Float:
      return TraitKind::Float;
    case WordKind::Time:
    case WordKind::Number:
      return TraitKind::Number;
    case WordKind::Random:
      return TraitKind::Random;
  }
  return TraitKind::Random;
}

std::vector<uint64_t> find_round_pointers(const HeapModel& heap, const AddressMap& addresses,
                                          const BlockMemory& memory,
                                          std::span<const BlockId> blocks) {
  std::mutex mutex;
  std::vector<uint64_t> words;
  parallel_for_pieces(blocks.size(), kSignaturesPerPiece, [&](size_t begin, size_t end) {
    BlockReader reader(heap, memory);
    for (size_t i = begin; i < end; ++i) {
      if (i + 2 * kStep < end) reader.announce_row(blocks[i + 2 * kStep]);
      if (i + kStep < end && heap.block(blocks[i + kStep]).size() <= Signature::kTiny)
        reader.announce_bytes(blocks[i + kStep], sizeof(uint64_t));
      const Block& block = heap.block(blocks[i]);
      if (block.size() > Signature::kTiny) continue;
      const std::byte* const at = reader.bytes_at(block.begin());
      const uint64_t word = at == nullptr ? 0 : load<uint64_t>(at);
      if (!is_left_over(word) || addresses.kind_of(word) != WordKind::BlockStart) continue;
      const std::lock_guard lock(mutex);
      words.push_back(word);
    }
  });
  std::sort(words.begin(), words.end());
  std::vector<uint64_t> pointers;
  for (auto word = words.begin(); word != words.end();) {
    const auto next = std::upper_bound(word, words.end(), *word);
    if (next - word <= kMostThatPoint) pointers.push_back(*word);
    word = next;
  }
  return pointers;
}

uint64_t Signature::bucket() const { return mix(static_cast<uint64_t>(shape) + 1, size); }

uint64_t Signature::hash() const {
  uint64_t kinds = bucket();
  IdentityHash identities;
  for (size_t i = 0; i < traits; ++i) {
    kinds = mix(kinds, static_cast<uint64_t>(trait[i].kind));
    identities.add(trait[i].identity, trait[i].is_unwritten);
  }
  return (kinds & kKindBits) | IdentityHash::value(identities.traits(), owner);
}

void SignatureMaker::announce(std::span<const BlockId> blocks, size_t next) {
  if (next + 4 * kStep < blocks.size()) reader_.announce_row(blocks[next + 4 * kStep]);
  if (next + 3 * kStep < blocks.size())
    reader_.announce_bytes_in_turn(blocks, next + 3 * kStep, kAnnounced);
  static_assert(kAhead > 2 * kStep);
  now_ = next % kAhead;
  if (next + 2 * kStep < blocks.size())
    find_candidates(blocks[next + 2 * kStep], ahead_[(next + 2 * kStep) % kAhead]);
  if (next + kStep < blocks.size()) {
    Candidates& candidates = ahead_[(next + kStep) % kAhead];
    if (candidates.of == blocks[next + kStep]) find_targets(candidates);
  }
}

void SignatureMaker::find_candidates(BlockId id, Candidates& candidates) {
  candidates.of = id;
  candidates.are_found = false;
  candidates.count = 0;
  const AddrRange block = heap_.block(id).range();
  const AddrRange part = AddrRange::sized(block.begin(), std::min(block.size(), kAnnounced));
  reader_.for_each_pointer(part, [&](Addr begin, Bytes bytes, size_t i) {
    const auto word = load<uint64_t>(bytes.data() + i);
    const uint32_t range = heap_.index.range_at(word);
    if (range == BlockIndex::kNoRange) return;
    heap_.index.prefetch(heap_.index.ranges()[range], word);
    const auto number = static_cast<uint32_t>((begin + i - block.begin()) / 8);
    candidates.rows[candidates.count++] = {number, word, range, BlockId::none()};
  });
}

void SignatureMaker::find_targets(Candidates& candidates) {
  for (size_t i = 0; i < candidates.count; ++i) {
    Candidates::Candidate& row = candidates.rows[i];
    row.block = heap_.index.block_before(heap_.index.ranges()[row.range], row.value);
    if (!row.block.valid()) continue;
    reader_.announce_row(row.block);
    if (!known_.group_of.empty()) numbers_.prefetch(row.block);
  }
  candidates.are_found = true;
}

WordCounts SignatureMaker::look_at_words(BlockId id, Bytes head) {
  const size_t words = head.size() / 8;
  std::fill_n(targets_.begin(), words, BlockId::none());
  const Candidates& candidates = ahead_[now_];
  const bool is_announced = candidates.of == id && candidates.are_found;
  if (is_announced) {
    for (size_t i = 0; i < candidates.count; ++i) {
      const Candidates::Candidate& row = candidates.rows[i];
      if (row.block.valid() && row.value <= heap_.block(row.block).range().end().value)
        targets_[row.word] = row.block;
    }
  }
  const uint64_t announced = is_announced ? std::min<uint64_t>(head.size(), kAnnounced) : 0;
  const Addr begin = heap_.block(id).begin();
  if (announced < head.size()) {
    const AddrRange rest(begin + announced, begin + head.size());
    reader_.for_each_pointer(rest, [&](Addr at, Bytes bytes, size_t i) {
      targets_[(at + i - begin) / 8] = addresses_.block_meant_by(load<uint64_t>(bytes.data() + i));
    });
  }
  WordCounts counts;
  for (size_t i = 0; i < words; ++i) {
    kinds_[i] = kind_of(load<uint64_t>(head.data() + 8 * i), targets_[i]);
    counts.add(kinds_[i]);
  }
  return counts;
}

Bytes SignatureMaker::head_of(BlockId id) {
  const AddrRange block = heap_.block(id).range();
  const uint64_t length = std::min(block.size(), kHead) / 8 * 8;
  if (const std::byte* const at = reader_.bytes_at(block.begin())) return {at, length};
  copy_.fill(std::byte{0});
  reader_.for_each_span(AddrRange::sized(block.begin(), length), [&](Addr at, Bytes bytes) {
    std::copy(bytes.begin(), bytes.end(), copy_.begin() + (at - block.begin()));
  });
  return {copy_.data(), length};
}

bool SignatureMaker::is_zero_behind(BlockId id) {
  const AddrRange block = heap_.block(id).range();
  if (block.size() <= kHead) return true;
  const AddrRange rest(block.begin() + kHead,
                       block.begin() + std::min(block.size(), kSearchedForZero));
  bool is_zero = true;
  reader_.for_each_span(rest, [&](Addr, Bytes bytes) {
    is_zero = is_zero && std::all_of(bytes.begin(), bytes.end(),
                                     [](std::byte byte) { return byte == std::byte{0}; });
  });
  return is_zero;
}

// Only a free block names the allocator's own memory: nothing was written over it since.
WordKind SignatureMaker::kind_of(uint64_t word, BlockId block) const {
  if (word == 0) return WordKind::Zero;
  if (!block.valid()) {
    const WordKind kind = addresses_.kind_outside_blocks(word);
    return kind == WordKind::FreeBlock ? WordKind::Zero : kind;
  }
  const Block& meant = heap_.block(block);
  if (!meant.is_judged()) return WordKind::FreeBlock;
  return meant.begin().value == word ? WordKind::BlockStart : WordKind::BlockInterior;
}
bool SignatureMaker::is_allocators(uint64_t word) const {
  const auto& state = heap_.allocator_state;
  if (state.empty() || word < state.front().begin().value || word >= state.back().end().value)
    return false;
  return std::any_of(state.begin(), state.end(),
                     [&](const AddrRange& range) { return range.contains(Addr(word)); }) &&
         !addresses_.block_meant_by(word).valid();
}

// What is left of a free block's link when an empty string was written over it.
bool SignatureMaker::was_emptied(uint64_t word) const {
  if (!is_left_over(word)) return false;
  const AddrRange possible = AddrRange::sized(Addr(word), 0x10000);
  return std::any_of(heap_.allocator_state.begin(), heap_.allocator_state.end(),
                     [&](const AddrRange& range) { return range.overlaps(possible); });
}

// A pointer is no text, whatever letters its bytes are.
bool SignatureMaker::is_text(BlockId id, Bytes head) const {
  const auto has_pointer = [&] {
    return is_pointer(addresses_.kind_of(load<uint64_t>(head.data())));
  };
  if (is_text_block(head, heap_.block(id).size())) return !has_pointer();
  if (known_.is_short_text.empty()) return false;
  const uint32_t group = known_.group_of[numbers_.number_of(id)];
  return known_.is_short_text[group] != 0 && may_be_short_text(head) && !has_pointer();
}

Signature SignatureMaker::signature_of(BlockId id) {
  const uint64_t size = heap_.block(id).size();
  const Bytes head = head_of(id);
  Signature signature;
  if (!known_.owner_of.empty()) signature.owner = known_.owner_of[numbers_.number_of(id)];
  if (has_links(id, head)) {
    signature.size = size;
    return signature;
  }
  if (is_text(id, head)) {
    signature.shape = Shape::Text;
    signature.traits = 1;
    signature.trait[0] = {TraitKind::Text, text_begin(head)};
    return signature;
  }
  const WordCounts counts = look_at_words(id, head);
  const bool is_utf32 = is_utf32_block(head, size);
  signature.shape =
      is_utf32 ? Shape::Text : shape_of({kinds_.data(), head.size() / 8}, size, counts);
  if (signature.shape == Shape::Untouched && !is_zero_behind(id)) signature.shape = Shape::Record;
  switch (signature.shape) {
    case Shape::Untouched:
      signature.size = size;
      break;
    case Shape::Record:
      signature.size = size;
      if (size > Signature::kTiny && size <= kSmallSize &&
          was_emptied(load<uint64_t>(head.data()))) {
        signature.size = Signature::kTiny;
        signature.traits = Signature::kTiny / 8;
      } else {
        describe_record(head, signature);
      }
      break;
    case Shape::Text:  // of wide characters
      signature.size = is_utf32 ? 4 : 2;
      signature.traits = 1;
      signature.trait[0] = {TraitKind::Pair, text_begin(head)};
      break;
    case Shape::Pointers:
    case Shape::Numbers:
    case Shape::Raw:
      describe_array(head, signature);
      break;
  }
  return signature;
}

Trait SignatureMaker::trait_of_word(Bytes head, size_t number) const {
  const WordKind kind = kinds_[number];
  Trait trait{trait_of(kind), 0};
  if (is_module_pointer(kind)) trait.identity = load<uint64_t>(head.data() + number * 8);
  if (is_block_pointer(kind) && !known_.group_of.empty()) {
    const BlockId target = targets_[number];
    if (numbers_.has(target))
      trait.identity = known_.group_of[numbers_.number_of(target)] + uint64_t{1};
  }
  return trait;
}

// Facts: glibc malloc.c. A chunk in a bin is linked in both directions, with chunks or with the
// bin; one in a thread's cache in one, and since 2.32 with its own page number mixed in.
bool SignatureMaker::has_links(BlockId id, Bytes head) const {
  if (head.size() < kFewestUnwritten) return false;
  const auto first = load<uint64_t>(head.data());
  const auto second = load<uint64_t>(head.data() + 8);
  if (second != 0) return is_chunk_or_list(first) && is_chunk_or_list(second);
  constexpr int kPageBits = 12;
  const uint64_t next = first ^ heap_.block(id).begin().value >> kPageBits;
  if (first == 0 || next == first) return false;
  if (next == 0) return true;
  const BlockId target = addresses_.block_meant_by(next);
  return target.valid() && heap_.block(target).begin().value == next &&
         heap_.block(target).size() == heap_.block(id).size();
}

// The index tells where blocks of arenas begin without a look at their rows.
bool SignatureMaker::is_chunk_or_list(uint64_t word) const {
  constexpr uint64_t kChunkHeader = 16;
  if (is_allocators(word)) return true;
  const uint64_t begin = word + kChunkHeader;
  const uint32_t number = heap_.index.range_at(begin);
  if (number == BlockIndex::kNoRange) return false;
  const BlockIndex::Range& range = heap_.index.ranges()[number];
  if (range.first_word == BlockIndex::kNoGrid)
    return heap_.block(BlockId(range.first_block)).begin().value == begin;
  const uint64_t offset = begin - range.begin;
  const uint64_t starts = heap_.index.word_for(range, begin)->starts;
  return offset % 16 == 0 && (starts >> (offset % BlockIndex::kBytesPerWord / 16) & 1) != 0;
}

void SignatureMaker::describe_record(Bytes head, Signature& signature) {
  const size_t words = head.size() / 8;
  // What the allocator wrote there while the block was free.
  if (words > 1 && signature.size == head.size() &&
      load<uint64_t>(head.data() + head.size() - 8) == signature.size + 8)
    kinds_[words - 1] = WordKind::Zero;
  const size_t fields = std::min(words, Signature::kFields);
  for (size_t i = 0; i < fields; ++i) signature.trait[i] = trait_of_word(head, i);
  const auto is_link = [&](size_t i) {
    return kinds_[i] == WordKind::Zero && is_allocators(load<uint64_t>(head.data() + i * 8));
  };
  for (size_t i = 0; i < std::min(fields, kLinks); ++i)
    signature.trait[i].is_unwritten = is_link(i);
  signature.traits = fields;
  const bool may_be_empty = signature.size <= Signature::kTiny || (words > 1 && is_link(1));
  const auto first = load<uint64_t>(head.data());
  if (may_be_empty && is_left_over(first) &&
      !std::binary_search(known_.round_pointers.begin(), known_.round_pointers.end(), first))
    signature.trait[0] = {};
  if (words <= fields) return;
  const size_t part = (words - fields + Signature::kTailParts - 1) / Signature::kTailParts;
  for (size_t begin = fields; begin < words; begin += part) {
    std::array<uint32_t, kTraitKinds> seen{};
    for (size_t i = begin; i < std::min(words, begin + part); ++i)
      ++seen[static_cast<size_t>(trait_of(kinds_[i]))];
    const auto most = std::max_element(seen.begin() + 1, seen.end());
    if (*most != 0)
      signature.trait[signature.traits].kind = static_cast<TraitKind>(most - seen.begin());
    ++signature.traits;
  }
}

// One trait: what most words are, and what most of them point at.
void SignatureMaker::describe_array(Bytes head, Signature& signature) const {
  constexpr size_t kLooked = 16;  // an array says soon what it points to, or never
  std::array<uint32_t, kTraitKinds> seen{};
  std::array<Trait, kLooked> pointers;
  size_t count = 0;
  for (size_t i = 0; i < head.size() / 8; ++i) {
    ++seen[static_cast<size_t>(trait_of(kinds_[i]))];
    if (is_block_pointer(kinds_[i]) && count < kLooked) pointers[count++] = trait_of_word(head, i);
  }
  const auto most = std::max_element(seen.begin() + 1, seen.end());
  signature.traits = 1;
  signature.trait[0].kind = static_cast<TraitKind>(most - seen.begin());
  if (signature.shape != Shape::Pointers) return;
  std::sort(pointers.begin(), pointers.begin() + count,
            [](const Trait& a, const Trait& b) { return a.identity < b.identity; });
  signature.trait[0].identity = pointers[count / 2].identity;
}

// One hash table from signature to group, filled in the order of the blocks, so that the groups are
// the same for every number of threads. A look-up per block waits for memory unless it is announced
// a few blocks ahead.

namespace {

constexpr uint32_t kEmpty = ~uint32_t{0};
constexpr uint32_t kMostVariants = 1024;  // of one shape and kinds that differ in identities
constexpr size_t kSignaturesAhead = 16;

class Table {
 public:
  Table() : slots_(1 << 12, kEmpty) {}

  void announce(uint64_t key) const { __builtin_prefetch(&slots_[mix(key) & (slots_.size() - 1)]); }
  // The slot of `key`: its group, or empty.
  [[nodiscard]] uint32_t& slot_of(uint64_t key) {
    size_t at = mix(key) & (slots_.size() - 1);
    while (slots_[at] != kEmpty && groups_[slots_[at]].signature != key)
      at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }
  uint32_t add(uint64_t key, uint32_t example) {
    if (groups_.size() * 2 >= slots_.size()) grow();
    const auto group = static_cast<uint32_t>(groups_.size());
    slot_of(key) = group;
    groups_.push_back({key, 0, example});
    return group;
  }
  [[nodiscard]] std::vector<SignatureGroup>& groups() { return groups_; }

 private:
  void grow() {
    const size_t size = slots_.size() * 2;
    slots_.assign(size, kEmpty);
    for (size_t i = 0; i < groups_.size(); ++i)
      slot_of(groups_[i].signature) = static_cast<uint32_t>(i);
  }
  std::vector<uint32_t> slots_;
  std::vector<SignatureGroup> groups_;
};

}  // namespace

std::vector<SignatureGroup> group_equal(GrowingArray<uint64_t>& column, size_t most,
                                        const std::function<uint64_t(uint32_t)>& rest_of) {
  Table table;
  Table kinds;  // how many groups differ in identities only, as `blocks`
  for (size_t i = 0; i < column.size(); ++i) {
    if (i + kSignaturesAhead < column.size()) table.announce(column[i + kSignaturesAhead]);
    const auto number = static_cast<uint32_t>(i);
    uint64_t key = column[i];
    uint32_t group = table.slot_of(key);
    if (group == kEmpty) {
      const uint32_t known = kinds.slot_of(key & Signature::kKindBits);
      const uint32_t variants =
          known != kEmpty ? known : kinds.add(key & Signature::kKindBits, number);
      if (kinds.groups()[variants].blocks < kMostVariants) {
        ++kinds.groups()[variants].blocks;
      } else {
        key &= Signature::kKindBits;
        group = table.slot_of(key);
      }
    }
    if (group == kEmpty && table.groups().size() >= most) {
      key = rest_of(number) << 32;
      group = table.slot_of(key);
    }
    if (group == kEmpty) group = table.add(key, number);
    ++table.groups()[group].blocks;
    column[i] = group;
  }
  return std::move(table.groups());
}

}  // namespace heapscan
