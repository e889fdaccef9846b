// Breadth first from variables: a member that points at a block gives that block its type, if the
// block's size and words allow it, and so on from there. A doubtful block is not believed and leads
// nowhere. A heap may hold millions of blocks of one type while some hundred say all there is to
// say, so no more are looked at. A pointer to less than a block holds is one to a header: the block
// is one of the types that begin with it, and once enough of them are known their tag says which
// (class Tags). Objects of classes are also found where no typed path leads, by the vtables in blocks
// taken evenly from the whole heap.
//
// A thread-local variable lies at its offset in each thread's copy of its module's block. The
// program's own is number 1 in the thread's vector (dtv) if it has any; which number a library has
// only the loader knows, so theirs are left out. Facts: ELF handling for thread-local storage,
// variant II; glibc dtv_t.
#include "identify/typing/live_types.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace heapscan {

namespace {

constexpr uint64_t kDtv = 8;          // in the thread control block
constexpr uint64_t kDtvEntry = 16;    // value, start of the block
constexpr uint64_t kNotThere = 4096;  // no block is in the first page

// Where the program's own thread-local storage begins in each live thread.
std::vector<Addr> storage_of_program(const Inputs& inputs) {
  std::vector<Addr> storage;
  for (const ThreadArea& area : inputs.runtime.threads) {
    if (area.fate != ThreadArea::Fate::Live || area.descriptor.is_null()) continue;
    const auto dtv = inputs.image.read_addr(area.descriptor + kDtv);
    const auto begin = dtv ? inputs.image.read_addr(*dtv + kDtvEntry) : std::nullopt;
    if (begin && begin->value >= kNotThere && begin->value != ~uint64_t{0})
      storage.push_back(*begin);
  }
  return storage;
}

constexpr uint32_t kMostTried = 2048;     // blocks per type
constexpr uint32_t kMostOfHeader = 8192;  // blocks that begin with a header of many types
constexpr size_t kMostTyped = 50'000;     // blocks of all types
constexpr size_t kMostPlaces = 100'000;   // variables
constexpr size_t kVtablesTried = 16'384;  // blocks asked for a vtable
constexpr int kMostLearned = 8;           // rounds of learning tags
constexpr uint64_t kLiveBytes = 2048;     // looked at in each block

// Which values the small members of an array's elements have, as long as they are few.
class ArrayValues {
 public:
  explicit ArrayValues(const Layout& layout) : step_(layout.size) {
    for (const Leaf& leaf : layout.leaves) {
      if (holds_small_number(leaf)) members_.push_back({leaf.offset, leaf.size, {}});
    }
  }

  // The last half may not be in use.
  void add(const Words& words, uint64_t count) {
    for (uint64_t i = 0; i < std::min((count + 1) / 2, kMostFollowed); ++i) {
      const uint64_t base = i * step_;
      if (base + step_ > words.bytes()) break;
      ++elements_;
      for (LiveArray::Values& member : members_) {
        if (member.values.size() > kMostValues) continue;
        const uint64_t value = words.integer(base + member.offset, member.size);
        const auto at = std::lower_bound(member.values.begin(), member.values.end(), value);
        if (at == member.values.end() || *at != value) member.values.insert(at, value);
      }
    }
  }

  // Those that say something: any array has zeros and ones.
  [[nodiscard]] std::vector<LiveArray::Values> take() {
    std::erase_if(members_, [](const LiveArray::Values& member) {
      return member.values.size() > kMostValues || member.values.empty() ||
             member.values.back() < 2;
    });
    return elements_ < kFewestElements ? std::vector<LiveArray::Values>() : std::move(members_);
  }

 private:
  static constexpr size_t kMostValues = 24;        // more are no choice of a few
  static constexpr uint64_t kFewestElements = 64;  // fewer have not shown all values
  uint64_t step_;
  uint64_t elements_ = 0;
  std::vector<LiveArray::Values> members_;
};

class LiveWalk {
 public:
  LiveWalk(Checker& checker, Votes& votes, Tags& tags)
      : checker_(checker), inputs_(checker.inputs()), votes_(votes), tags_(tags) {}

  LiveTypes walk() {
    follow_variables();
    follow_found();
    add_objects();
    follow_found();
    for (int round = 0; round < kMostLearned && learn_tags(); ++round) follow_found();
    return {take_ones(), take_arrays()};
  }

 private:
  struct Found {
    BlockId block;
    Extent extent;
  };

  void follow_variables() {
    const std::vector<TypedPlace> places = typed_places(inputs_);
    for (size_t i = 0; i < std::min(places.size(), kMostPlaces); ++i) {
      const TypedPlace& place = places[i];
      if (!checker_.layouts().of(place.type).holds_pointers()) continue;
      const Words words = read_words(inputs_, place.range, Words::kMostBytes);
      if (words.facts.empty()) continue;
      if (place.is_local && !checker_.agrees(place.type, words, 0)) continue;
      Extent extent;
      extent.type = place.type;
      follow(extent, words, TypeId::none(), place.variable);
    }
  }

  void follow_found() {
    for (; next_ < found_.size(); ++next_) {
      const Found found = found_[next_];
      const Words words = read_words(inputs_, found.block, kLiveBytes);
      follow(found.extent, words, found.extent.type, {});
    }
  }

  void follow(const Extent& extent, const Words& words, TypeId owner, std::string_view variable) {
    for_each_pointer(checker_, extent, words, [&](const Leaf& leaf, const WordFact& fact) {
      if (!is_block_pointer(fact.kind)) return;
      if (fact.family.valid()) {
        const uint64_t into = fact.value - inputs_.heap.block(fact.block).begin().value;
        Vote vote;
        vote.owner = owner;
        vote.member = owner.valid() ? leaf.member : variable;
        if (into == 0) votes_.cast(fact.family, leaf, vote);
      }
      if (leaf.kind != LeafKind::TextPointer) consider(leaf.follow, fact);
    });
  }

  void consider(TypeId type, const WordFact& fact) {
    if (!type.valid() || found_.size() >= kMostTyped || checker_.is_exhausted()) return;
    const auto known = checker_.beliefs().blocks.find(fact.block.value);
    if (known != checker_.beliefs().blocks.end()) {
      if (known->second != type) note_header(type, known->second);
      return;
    }
    const uint32_t most = tags_.has_tag(type) ? kMostOfHeader : kMostTried;
    if (++tried_[type.value] > most) return;
    const Block& block = inputs_.heap.block(fact.block);
    const Words words = read_words(inputs_, fact.block, kLiveBytes);
    const auto extent = extent_of(checker_, type, block, fact.value - block.begin().value, words);
    if (extent) return believe(fact.block, *extent);
    if (fact.kind == WordKind::BlockStart) consider_header(type, fact.block, words);
  }

  void note_header(TypeId header, TypeId type) {
    if (checker_.relatives().has_header(type, header)) tags_.note_header(header);
  }

  // What the block begins with is known, and perhaps which value there means which type.
  void consider_header(TypeId header, BlockId block, const Words& words) {
    const TypeId type = tags_.has_tag(header) ? tags_.type_of(header, words)
                                              : only_with_header(header, block, words);
    const auto extent = type.valid()
                            ? extent_of(checker_, type, inputs_.heap.block(block), 0, words)
                            : std::nullopt;
    if (extent && !extent->is_array) {
      tags_.note_header(header);
      return believe(block, *extent);
    }
    const bool is_begin = checker_.agrees(header, words, 0);
    if (!type.valid() && is_begin) tags_.add_unexplained(header, block);
  }

  // Of the types that begin with the header the only one that the block can be.
  TypeId only_with_header(TypeId header, BlockId block, const Words& words) {
    return only_fitting(
        checker_.layouts(), checker_.relatives().beginning_with(header), [&](TypeId type) {
          const auto extent = extent_of(checker_, type, inputs_.heap.block(block), 0, words);
          return extent && !extent->is_array;
        });
  }

  // True when blocks have a type now that had none.
  bool learn_tags() {
    std::vector<TypedBlock> typed;
    for (const Found& found : found_) {
      if (!found.extent.is_array) typed.push_back({found.block, found.extent.type});
    }
    if (!tags_.learn(typed)) return false;
    const size_t before = found_.size();
    for (const TypedBlock& row : tags_.take_explained()) {
      const bool is_known = checker_.beliefs().blocks.contains(row.block.value);
      if (is_known || found_.size() >= kMostTyped) continue;
      const Words words = read_words(inputs_, row.block, kLiveBytes);
      const auto extent = extent_of(checker_, row.type, inputs_.heap.block(row.block), 0, words);
      if (extent && !extent->is_array) believe(row.block, *extent);
    }
    return found_.size() > before;
  }

  void believe(BlockId block, const Extent& extent) {
    checker_.beliefs().blocks.emplace(block.value, extent.type);
    found_.push_back({block, extent});
  }

  void add_objects() {
    const size_t count = inputs_.heap.blocks.size();
    const size_t step = std::max<size_t>(1, count / kVtablesTried);
    for (size_t i = 0; i < count && found_.size() < kMostTyped; i += step) {
      const BlockId id(i);
      const Block& block = inputs_.heap.block(id);
      if (block.state() != BlockState::Used || inputs_.reach.verdict(id) != Verdict::Reachable)
        continue;
      if (checker_.beliefs().blocks.contains(id.value)) continue;
      const auto word = inputs_.image.read<uint64_t>(block.begin());
      if (!word || *word < kLiveBytes) continue;
      WordFact fact;
      fact.value = *word;
      fact.kind = inputs_.addresses.kind_of(*word);
      const TypeId type = checker_.class_at(fact);
      if (!type.valid() || ++tried_[type.value] > kMostTried) continue;
      const auto extent = extent_of(checker_, type, block, 0, read_words(inputs_, id, kLiveBytes));
      if (extent) believe(id, *extent);
    }
  }

  std::vector<LiveType> take_ones() {
    std::map<std::pair<uint64_t, uint32_t>, size_t> places;
    std::vector<LiveType> answer;
    for (const Found& found : found_) {
      const uint64_t usable = inputs_.heap.block(found.block).size();
      if (found.extent.is_array || inputs_.reach.verdict(found.block) != Verdict::Reachable)
        continue;
      const auto [place, is_new] =
          places.try_emplace({usable, found.extent.type.value}, answer.size());
      if (is_new) answer.push_back({found.extent.type, usable, 0, false, {}});
      LiveType& live = answer[place->second];
      ++live.blocks;
      live.is_least = tried_[live.type.value] > kMostTried || found_.size() >= kMostTyped;
      if (live.examples.size() < LiveType::kExamples) live.examples.push_back(found.block);
    }
    std::stable_sort(answer.begin(), answer.end(),
                     [](const LiveType& a, const LiveType& b) { return a.usable < b.usable; });
    return answer;
  }

  std::vector<LiveArray> take_arrays() {
    std::vector<LiveArray> arrays;
    std::map<uint32_t, std::pair<size_t, ArrayValues>> places;  // by element
    for (const Found& found : found_) {
      const TypeId element = found.extent.type;
      const bool is_one = !found.extent.is_array || found.extent.base != 0 ||
                          !is_record(inputs_.types.type(element));
      if (is_one || inputs_.reach.verdict(found.block) != Verdict::Reachable) continue;
      const auto [place, is_new] = places.try_emplace(element.value, arrays.size(),
                                                      ArrayValues(checker_.layouts().of(element)));
      if (is_new) arrays.push_back({element, 0, {}, {}});
      LiveArray& array = arrays[place->second.first];
      ++array.blocks;
      array.usable.push_back(inputs_.heap.block(found.block).size());
      place->second.second.add(read_words(inputs_, found.block, kLiveBytes), found.extent.count);
    }
    for (auto& [element, row] : places) arrays[row.first].members = row.second.take();
    for (LiveArray& array : arrays) {
      std::sort(array.usable.begin(), array.usable.end());
      array.usable.erase(std::unique(array.usable.begin(), array.usable.end()), array.usable.end());
    }
    std::erase_if(arrays, [](const LiveArray& array) { return array.members.empty(); });
    return arrays;
  }

  Checker& checker_;
  const Inputs& inputs_;
  Votes& votes_;
  Tags& tags_;
  std::vector<Found> found_;
  size_t next_ = 0;
  std::unordered_map<uint32_t, uint32_t> tried_;
};

}  // namespace

std::vector<TypedPlace> typed_places(const Inputs& inputs) {
  std::vector<TypedPlace> places;
  const auto add = [&](Addr address, TypeId type, std::string_view name, bool is_local) {
    const uint64_t size = type.valid() ? inputs.types.type(type).size : 0;
    if (size != 0) places.push_back({AddrRange::sized(address, size), type, name, is_local});
  };
  const std::vector<Addr> storage = storage_of_program(inputs);
  for (const Variable& variable : inputs.types.variables()) {
    if (!variable.is_thread_local) {
      add(variable.address, variable.type, variable.name, false);
      continue;
    }
    const bool is_known = variable.module.valid() &&
                          variable.module.index() < inputs.image.modules().size() &&
                          inputs.image.modules()[variable.module].is_executable;
    if (!is_known) continue;
    for (const Addr begin : storage)
      add(begin + variable.address.value, variable.type, variable.name, false);
  }
  for (const LocalVariable& local : inputs.types.locals())
    add(local.address, local.type, local.name, true);
  return places;
}

void Votes::cast(FamilyId family, const Leaf& leaf, Vote by) {
  const bool is_text = leaf.kind == LeafKind::TextPointer;
  by.type = is_text ? TypeId::none() : leaf.follow;
  by.of_string = leaf.of_string;
  if (is_text) by.character = leaf.target;
  if (!is_text && !by.type.valid()) return;
  for (Vote& vote : rows[family]) {
    if (vote.type != by.type || vote.of_string != by.of_string) continue;
    vote.count += by.count;
    vote.sure |= by.sure;
    return;
  }
  rows[family].push_back(by);
}

LiveTypes type_live_blocks(Checker& checker, Votes& votes, Tags& tags) {
  return LiveWalk(checker, votes, tags).walk();
}

}  // namespace heapscan
