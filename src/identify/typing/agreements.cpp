// Small numbers agree by chance: a count tells something where the block is larger than the
// smallest there is, or a text longer than a few letters, and where it is not always the same.
#include "identify/typing/agreements.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

namespace heapscan {

namespace {

constexpr size_t kMostNumbers = 16;                   // members that are tried as a count
constexpr size_t kMostPointers = 16;                  // members that are tried as what is counted
constexpr size_t kFewestRooms = 3;                    // fewer agree by chance
constexpr uint64_t kTellingText = 3;                  // characters
constexpr uint64_t kTellingConstant = 40;             // bytes, where all are alike
constexpr uint64_t kMostCounted = uint64_t{1} << 40;  // no heap holds more; products stay small
constexpr size_t kLongestText = 4096;                 // whose length is measured

// What a pointer leads to.
struct Room {
  size_t specimen = 0;
  Requests requests;
  std::optional<uint64_t> text;  // its length
};

bool may_count(const Leaf& leaf) {
  return leaf.kind == LeafKind::Integer && (leaf.size == 4 || leaf.size == 8);
}

bool may_be_counted(const Leaf& leaf) {
  return is_followed(leaf) && !leaf.of_string && !leaf.begins_vector;
}

uint64_t element_of(const Inputs& inputs, const Leaf& leaf) {
  if (leaf.kind == LeafKind::TextPointer) return 1;
  return leaf.target.valid() ? inputs.types.type(leaf.target).size : 0;
}

std::vector<Room> rooms_of(const Inputs& inputs, const Leaf& leaf,
                           std::span<const Specimen> specimens) {
  std::vector<Room> rooms;
  for (size_t i = 0; i < specimens.size(); ++i) {
    const WordFact* const word = specimens[i].words->at(specimens[i].base + leaf.offset);
    if (word == nullptr || word->kind != WordKind::BlockStart) continue;
    Room room{i, requests_for(inputs.heap.block(word->block)), std::nullopt};
    if (leaf.kind == LeafKind::TextPointer) {
      if (const auto text = inputs.image.read_string(Addr(word->value), kLongestText))
        room.text = text->size();
    }
    rooms.push_back(room);
  }
  return rooms;
}

bool counts(const Leaf& number, uint64_t element, const std::vector<Room>& rooms,
            std::span<const Specimen> specimens) {
  size_t wrong = 0;
  size_t telling = 0;
  size_t large = 0;
  std::optional<uint64_t> first;
  bool differs = false;
  for (const Room& room : rooms) {
    const Specimen& specimen = specimens[room.specimen];
    const uint64_t offset = specimen.base + number.offset;
    if (offset + number.size > specimen.words->bytes()) return false;
    const uint64_t value = specimen.words->integer(offset, number.size);
    const bool is_count = value != 0 && value <= kMostCounted / element;
    const bool fills = is_count && (room.requests.has(value * element) ||
                                    (element == 1 && room.requests.has(value + 1)));
    const bool measures = is_count && room.text && (*room.text == value || *room.text + 1 == value);
    if (!fills && !measures) {
      if (++wrong * 20 > rooms.size()) return false;
      continue;
    }
    telling += (fills && room.requests.least != 0) || (measures && value >= kTellingText) ? 1 : 0;
    large += room.requests.most >= kTellingConstant ? 1 : 0;
    differs |= first.value_or(value) != value;
    first = value;
  }
  return telling * 2 >= rooms.size() && (differs || large == rooms.size());
}

constexpr size_t kMostChoices = 16;   // values of a tag
constexpr size_t kFewestOfArm = 2;    // specimens
constexpr size_t kMostChoosers = 16;  // members that are tried

struct Choice {
  uint32_t arms = ~uint32_t{0};  // bit per arm that fits all
  size_t specimens = 0;
};

// Which arms fit a specimen; zeros fit all and say nothing.
std::vector<uint32_t> fitting_arms(Checker& checker, const Layout& layout, const Leaf& leaf,
                                   TypeId type, FamilyId family,
                                   std::span<const Specimen> specimens) {
  std::vector<uint32_t> fitting;
  for (const Specimen& specimen : specimens)
    fitting.push_back(
        checker.fitting_arms(layout, leaf, *specimen.words, {type, family, specimen.base}));
  return fitting;
}

bool chooses(const Leaf& member, const std::vector<uint32_t>& fitting,
             std::span<const Specimen> specimens) {
  std::map<uint64_t, Choice> choices;
  for (size_t i = 0; i < specimens.size(); ++i) {
    const uint64_t offset = specimens[i].base + member.offset;
    if (offset + member.size > specimens[i].words->bytes()) return false;
    Choice& choice = choices[specimens[i].words->integer(offset, member.size)];
    choice.arms &= fitting[i];
    ++choice.specimens;
    if (choice.arms == 0 || choices.size() > kMostChoices) return false;
  }
  return std::any_of(choices.begin(), choices.end(), [&](const auto& a) {
    return std::any_of(choices.begin(), choices.end(), [&](const auto& b) {
      const bool are_enough =
          a.second.specimens >= kFewestOfArm && b.second.specimens >= kFewestOfArm;
      return are_enough && (a.second.arms & b.second.arms) == 0;
    });
  });
}

}  // namespace

std::vector<Counted> find_counted(const Inputs& inputs, const Layout& layout,
                                  std::span<const Specimen> specimens) {
  std::vector<Counted> found;
  size_t pointers = 0;
  for (const Leaf& leaf : layout.leaves) {
    if (!may_be_counted(leaf) || ++pointers > kMostPointers) continue;
    const uint64_t element = element_of(inputs, leaf);
    if (element == 0) continue;
    const std::vector<Room> rooms = rooms_of(inputs, leaf, specimens);
    if (rooms.size() < kFewestRooms) continue;
    size_t numbers = 0;
    for (const Leaf& number : layout.leaves) {
      if (!may_count(number) || ++numbers > kMostNumbers) continue;
      if (!counts(number, element, rooms, specimens)) continue;
      found.push_back({&leaf, &number, rooms.size()});
      break;
    }
  }
  return found;
}

const Leaf* chooser_of(Checker& checker, const Layout& layout, const Leaf& leaf, TypeId type,
                       FamilyId family, std::span<const Specimen> specimens) {
  if (leaf.arms < 2 || leaf.arms > 32) return nullptr;
  const std::vector<uint32_t> fitting =
      fitting_arms(checker, layout, leaf, type, family, specimens);
  size_t tried = 0;
  for (const Leaf& member : layout.leaves) {
    if (!holds_small_number(member) && member.kind != LeafKind::Boolean) continue;
    if (++tried > kMostChoosers) break;
    if (chooses(member, fitting, specimens)) return &member;
  }
  return nullptr;
}

}  // namespace heapscan
