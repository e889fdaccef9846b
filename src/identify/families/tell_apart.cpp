// Signatures know blocks by the kinds of their words, and one record of pointers is like another:
// nodes of a hash table fall together with the elements of a vector, an object with few fields with
// a struct. The class that a block begins with, and the container that owns it, tell them apart.
//
// Every family's members are counted by class and by part of a container. A class is a family of
// its own, however small: its name is certain. Of the others large enough groups become families;
// nodes also by the place of their container, since a container has one kind of node. Storage is
// separated by place where the container is a member of objects or nodes; elsewhere it is not, for
// strings lie at many offsets of many arrays. Blocks that no container owns stay with the largest
// group, unless what the others are is certain for each block (nodes) or the family is taken apart
// anyway.
#include "identify/families/rounds.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include "heapscan/base/hash.h"
#include "heapscan/base/parallel.h"
#include "heapscan/heap/block_memory.h"
#include "heapscan/identify/clusters.h"
#include "identify/members.h"
#include "identify/recognisers/block_types.h"
#include "identify/recognisers/containers.h"

namespace heapscan {

namespace {

constexpr uint64_t kFewestApart = 64;  // blocks of a container that are worth a family of their own
constexpr uint32_t kNoCode = 0;
constexpr uint32_t kClass = uint32_t{1} << 31;  // set in the code of a block whose class is known
constexpr size_t kApartGrain = 4096;
constexpr size_t kAhead = 8;  // blocks
constexpr size_t kMostVtables = 100'000;

using Counts = std::map<uint32_t, uint64_t>;  // code -> blocks

// What makes blocks a group: nothing known, a part of any container, a part of those at one place
// (then `value` is the block's code), a class (likewise).
struct GroupKey {
  enum class Kind : uint8_t { Unknown, Part, PartAtPlace, Class };
  Kind kind = Kind::Unknown;
  uint32_t value = 0;
  auto operator<=>(const GroupKey&) const = default;
};

using Groups = std::map<GroupKey, uint64_t>;  // blocks of each

// What is known of each block.
struct Facts {
  ContainerSearch containers;
  std::vector<std::string> classes;     // names, sorted
  std::vector<uint32_t> codes;          // one per block
  std::vector<Counts> counts;           // one per family
  Column<FamilyId, uint8_t> is_record;  // whether most of its blocks are objects or nodes

  [[nodiscard]] ContainerPart part(uint32_t code) const { return containers.member(code).part; }
  [[nodiscard]] const ContainerPlace& place(uint32_t code) const {
    return containers.places[containers.member(code).place];
  }
};

bool is_node(ContainerPart part) {
  return part == ContainerPart::TreeNode || part == ContainerPart::ListNode ||
         part == ContainerPart::HashNode;
}

// ---- what blocks are ------------------------------------------------------------------------

// The first word of each block, where it could be a vptr; 0 otherwise.
std::vector<uint64_t> first_words(const FamilyInputs& inputs) {
  const std::vector<BlockId>& blocks = inputs.families.blocks;
  std::vector<uint64_t> words(blocks.size());
  const BlockMemory memory(inputs.image, inputs.heap);
  parallel_for_pieces(blocks.size(), kApartGrain, [&](size_t begin, size_t end) {
    BlockReader reader(inputs.heap, memory);
    for (size_t i = begin; i < end; ++i) {
      if (i + 2 * kAhead < end) reader.announce_row(blocks[i + 2 * kAhead]);
      if (i + kAhead < end) reader.announce_bytes(blocks[i + kAhead], sizeof(uint64_t));
      const Addr at = inputs.heap.block(blocks[i]).begin();
      const std::byte* const bytes = reader.bytes_at(at);
      const uint64_t word =
          bytes != nullptr ? load<uint64_t>(bytes) : inputs.image.read<uint64_t>(at).value_or(0);
      if (word % 8 != 0 || inputs.heap.index.range_at(word) != BlockIndex::kNoRange) continue;
      const WordKind kind = inputs.addresses.kind_of(word);
      if (kind == WordKind::Constant || kind == WordKind::Data) words[i] = word;
    }
  });
  return words;
}

std::map<uint64_t, std::string> names_of_classes(const FamilyInputs& inputs,
                                                 std::vector<uint64_t> words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  words.resize(std::min(words.size(), kMostVtables));
  std::map<uint64_t, std::string> names;
  for (const uint64_t word : words) {
    const auto found = class_of_vtable(inputs.image, inputs.symbols, inputs.addresses, word);
    if (found && found->offset_to_top.value_or(0) == 0) names.emplace(word, found->name);
  }
  return names;
}

uint32_t code_of_class(const Facts& facts, std::string_view name) {
  const auto at = std::lower_bound(facts.classes.begin(), facts.classes.end(), name);
  return kClass | static_cast<uint32_t>(at - facts.classes.begin());
}

void add_classes(const FamilyInputs& inputs, Facts& facts) {
  const std::vector<uint64_t> words = first_words(inputs);
  const std::map<uint64_t, std::string> names = names_of_classes(inputs, words);
  const GlibKinds glib(inputs);
  const PythonKinds python(inputs);
  facts.classes = glib.names();
  for (std::string& name : python.names()) facts.classes.push_back(std::move(name));
  for (const auto& [word, name] : names) facts.classes.push_back(name);
  std::sort(facts.classes.begin(), facts.classes.end());
  facts.classes.erase(std::unique(facts.classes.begin(), facts.classes.end()), facts.classes.end());
  std::map<uint64_t, uint32_t> codes;
  for (const auto& [word, name] : names) codes[word] = code_of_class(facts, name);
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == 0) continue;
    const auto code = codes.find(words[i]);
    if (code != codes.end()) facts.codes[i] = code->second;
  }
  if (!glib.in_use() && !python.in_use()) return;
  const std::vector<BlockId>& blocks = inputs.families.blocks;
  parallel_for_pieces(blocks.size(), kApartGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      std::string_view name = glib.in_use() ? glib.name_of(blocks[i]) : std::string_view();
      if (name.empty() && python.in_use()) name = python.name_of(blocks[i]);
      if (!name.empty()) facts.codes[i] = code_of_class(facts, name);
    }
  });
}

void count_codes(const Families& families, Facts& facts) {
  facts.counts.resize(families.rows.size());
  for (size_t i = 0; i < families.blocks.size(); ++i)
    ++facts.counts[families.family_of[i].index()][facts.codes[i]];
  facts.is_record = Column<FamilyId, uint8_t>(families.rows.size());
  for (size_t i = 0; i < families.rows.size(); ++i) {
    uint64_t blocks = 0;
    for (const auto& [code, count] : facts.counts[i]) {
      const bool is_class = (code & kClass) != 0;
      if (is_class || (code != kNoCode && is_node(facts.part(code)))) blocks += count;
    }
    facts.is_record[FamilyId(i)] = 2 * blocks > families.rows[FamilyId(i)].blocks ? 1 : 0;
  }
}

Facts find_facts(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime,
                 const HeapModel& heap, const Roots& roots, const Reachability& reach,
                 const Families& families) {
  const AddressMap addresses(image, runtime, heap);
  const FamilyInputs inputs{image, symbols, runtime, heap, roots, reach, families, addresses};
  Facts facts;
  facts.containers = search_containers(inputs, Column<FamilyId, uint8_t>(families.rows.size(), 1));
  facts.codes = std::move(facts.containers.codes);
  add_classes(inputs, facts);
  count_codes(families, facts);
  return facts;
}

// ---- what becomes a family --------------------------------------------------------------------

GroupKey container_key(const Facts& facts, const Counts& counts, uint64_t blocks, uint32_t code) {
  if (code == kNoCode) return {};
  const ContainerPart part = facts.part(code);
  const uint64_t here = counts.at(code);
  const FamilyId owner = facts.place(code).owner;
  const bool has_own_place = is_node(part) || (owner.valid() && facts.is_record[owner] != 0);
  if (has_own_place && here >= kFewestApart && here * 10 >= blocks)
    return {GroupKey::Kind::PartAtPlace, code};
  return {GroupKey::Kind::Part, static_cast<uint32_t>(part)};
}

bool has_nodes(const Facts& facts, const GroupKey& key) {
  return key.kind == GroupKey::Kind::PartAtPlace
             ? is_node(facts.part(key.value))
             : key.kind == GroupKey::Kind::Part && is_node(static_cast<ContainerPart>(key.value));
}

GroupKey largest(const Groups& groups) {
  return std::max_element(groups.begin(), groups.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// The groups of the blocks without a class; too small ones go with the largest.
std::map<uint32_t, GroupKey> keys_by_container(const Facts& facts, const Counts& counts) {
  uint64_t blocks = 0;
  for (const auto& [code, count] : counts) blocks += count;
  std::map<uint32_t, GroupKey> keys;
  Groups groups;
  for (const auto& [code, count] : counts) {
    keys[code] = container_key(facts, counts, blocks, code);
    groups[keys[code]] += count;
  }
  size_t owned = 0;
  bool certain = false;
  const uint64_t unknown = groups.contains({}) ? groups.at({}) : 0;
  const auto is_large = [&](uint64_t count) {
    return count >= kFewestApart && count * 20 >= blocks;
  };
  for (const auto& [key, count] : groups) {
    if (key == GroupKey() || !is_large(count)) continue;
    ++owned;
    certain |= has_nodes(facts, key) && count * 5 >= blocks && unknown * 5 >= blocks;
  }
  const bool is_split = owned >= 2 || certain;
  for (auto& [code, key] : keys) {
    if (!is_split) {
      key = {};
    } else if (!is_large(groups.at(key))) {
      key = largest(groups);
    }
  }
  return keys;
}

std::map<uint32_t, GroupKey> keys_of(const Facts& facts, const Counts& counts) {
  Counts without_class;
  std::map<uint32_t, GroupKey> keys;
  for (const auto& [code, count] : counts) {
    if ((code & kClass) != 0) {
      keys[code] = {GroupKey::Kind::Class, code};
    } else {
      without_class[code] = count;
    }
  }
  keys.merge(keys_by_container(facts, without_class));
  return keys;
}

// From names and shapes only; places without a name are told apart by how many blocks they have.
uint64_t mark_of(const Families& families, const Facts& facts, const GroupKey& key,
                 const Groups& groups) {
  const uint64_t hash = mix(1 + static_cast<uint64_t>(key.kind));
  if (key.kind == GroupKey::Kind::Class)
    return mix(hash, hash_of(facts.classes[key.value & ~kClass]));
  if (key.kind != GroupKey::Kind::PartAtPlace) return mix(hash, key.value);
  const ContainerMember member = facts.containers.member(key.value);
  const ContainerPlace& place = facts.place(key.value);
  const uint64_t of_part = mix(hash, static_cast<uint64_t>(member.part));
  if (place.owner.valid())
    return mix(mix(of_part, families.rows[place.owner].portrait), place.offset);
  if (!place.variable.empty()) return mix(of_part, hash_of(place.variable));
  const uint64_t blocks = groups.at(key);
  return mix(
      of_part,
      static_cast<uint64_t>(std::count_if(groups.begin(), groups.end(), [&](const auto& other) {
        return other.second > blocks || (other.second == blocks && other.first < key);
      })));
}

// Adds rows for all groups of `family` but the largest, which keeps its row.
std::map<uint32_t, FamilyId> split(const Facts& facts, const Counts& counts, FamilyId family,
                                   Families& families) {
  const std::map<uint32_t, GroupKey> keys = keys_of(facts, counts);
  Groups groups;
  for (const auto& [code, count] : counts) groups[keys.at(code)] += count;
  if (groups.size() < 2) return {};
  std::map<GroupKey, FamilyId> rows{{largest(groups), family}};
  for (const auto& [key, count] : groups) {
    if (rows.contains(key)) continue;
    Family row;
    row.shape = families.rows[family].shape;
    row.portrait = families.rows[family].portrait;
    row.mark = mark_of(families, facts, key, groups);
    rows[key] = families.rows.push_back(std::move(row));
  }
  std::map<uint32_t, FamilyId> row_of_code;
  for (const auto& [code, key] : keys) row_of_code[code] = rows.at(key);
  return row_of_code;
}

void sort_rows(Families& families) {
  std::vector<FamilyId> order;
  for (size_t i = 0; i < families.rows.size(); ++i) order.emplace_back(i);
  std::sort(order.begin(), order.end(), [&](FamilyId a, FamilyId b) {
    const Family& first = families.rows[a];
    const Family& second = families.rows[b];
    return std::tuple(second.bytes, first.portrait, first.mark, a) <
           std::tuple(first.bytes, second.portrait, second.mark, b);
  });
  Column<FamilyId, Family> rows;
  std::vector<FamilyId> place(order.size());
  for (const FamilyId old : order)
    place[old.index()] = rows.push_back(std::move(families.rows[old]));
  families.rows = std::move(rows);
  for (FamilyId& id : families.family_of) id = place[id.index()];
}

}  // namespace

Families tell_apart(const MemoryImage& image, const Symbols& symbols, const RuntimeFacts& runtime,
                    const HeapModel& heap, const Roots& roots, const Reachability& reach,
                    Families families) {
  const Facts facts = find_facts(image, symbols, runtime, heap, roots, reach, families);
  if (facts.containers.places.empty() && facts.classes.empty()) return families;
  std::vector<std::map<uint32_t, FamilyId>> row_of_code;
  for (size_t i = 0; i < facts.counts.size(); ++i)
    row_of_code.push_back(split(facts, facts.counts[i], FamilyId(i), families));
  for (size_t i = 0; i < families.blocks.size(); ++i) {
    FamilyId& id = families.family_of[i];
    const auto& rows = row_of_code[id.index()];
    if (!rows.empty()) id = rows.at(facts.codes[i]);
  }
  fill_rows(heap, families);
  sort_rows(families);
  return families;
}

}  // namespace heapscan
