#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>

#include "heapscan/base/parallel.h"
#include "heapscan/identify/families.h"
#include "heapscan/identify/field_meaning.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

constexpr uint64_t kFunction = FakeProgram::kCode + 0x100;
constexpr uint64_t kTable = FakeProgram::kStrong + 0x8000;  // constants of the fake program

// A program whose blocks carry the name of what they are, to hold families against.
class FamiliesTest : public testing::Test {
 protected:
  Addr block(const std::string& type, uint64_t size, const std::vector<uint64_t>& words) {
    const Addr at = program_.block(size);
    for (size_t i = 0; i < words.size(); ++i) program_.poke(at + 8 * i, words[i]);
    type_of_[at] = type;
    return at;
  }
  Addr text(const std::string& type, const std::string& string) {
    std::vector<uint64_t> words((string.size() + 8) / 8);
    std::copy(string.begin(), string.end(), reinterpret_cast<char*>(words.data()));
    return block(type, std::max<uint64_t>(24, string.size() + 1), words);
  }
  // A table of functions, as of a class.
  uint64_t table(size_t number) {
    const Addr at(kTable + number * 64);
    for (size_t i = 0; i < 4; ++i) program_.poke(at + 8 * i, kFunction + 16 * (4 * number + i));
    return at.value;
  }

  void run(const FamilyOptions& options = {}) {
    world_ = program_.build();
    world_.heap.allocator_state = allocator_state_;
    reach_ = world_.trace();
    families_ = find_families(world_.image, Symbols(), world_.runtime, world_.heap, world_.roots,
                              reach_, options);
  }
  [[nodiscard]] FamilyId of(Addr at) const { return families_.of(world_.heap.block_at(at)); }
  // The families that blocks of this type are in.
  [[nodiscard]] std::set<FamilyId> families_of(const std::string& type) const {
    std::set<FamilyId> result;
    for (const auto& [at, name] : type_of_) {
      if (name == type) result.insert(of(at));
    }
    return result;
  }
  [[nodiscard]] Shape shape_of(const std::string& type) const {
    return families_.rows[*families_of(type).begin()].shape;
  }
  void expect_one(const std::string& type) const {
    EXPECT_EQ(families_of(type).size(), 1U) << type;
  }
  void expect_apart(const std::string& one, const std::string& other) const {
    const std::set<FamilyId> a = families_of(one);
    for (const FamilyId id : families_of(other)) EXPECT_FALSE(a.contains(id)) << one << other;
  }

  FakeProgram program_;
  std::vector<AddrRange> allocator_state_;
  std::map<Addr, std::string> type_of_;
  FakeProgram::World world_;
  Reachability reach_;
  Families families_;
  std::mt19937_64 random_{7};
};

TEST_F(FamiliesTest, EqualRecordsAreOneFamily) {
  for (int i = 0; i < 100; ++i) block("session", 40, {7, kFunction, 0, 0x1234567812345678, 3});
  run();
  expect_one("session");
  const Family& row = families_.rows[FamilyId(0)];
  EXPECT_EQ(row.blocks, 100U);
  EXPECT_EQ(row.bytes, 4000U);
  EXPECT_EQ(row.shape, Shape::Record);
  ASSERT_EQ(row.sizes.size(), 1U);
  EXPECT_EQ(row.sizes[0], std::make_pair(uint64_t{40}, uint64_t{100}));
  EXPECT_EQ(row.samples.size(), Family::kSamples);
  EXPECT_TRUE(std::is_sorted(row.samples.begin(), row.samples.end()));
  EXPECT_EQ(row.samples.front(), families_.blocks.front());
}

TEST_F(FamiliesTest, OptionalFieldsDoNotSplit) {
  const Addr other = block("other", 200, {1, 2, 3, kFunction});
  for (uint64_t i = 0; i < 256; ++i) {
    block("record", 56,
          {kFunction, (i & 1) != 0 ? other.value : 0, (i & 2) != 0 ? other.value : 0,
           (i & 4) != 0 ? i : 0, (i & 8) != 0 ? i * i : 0, i + 1, 0});
  }
  run();
  expect_one("record");
  expect_apart("record", "other");
}

// Every tenth block is 16 bytes larger, and whatever was there before is still in them.
TEST_F(FamiliesTest, BlocksThatMallocDidNotSplitAreOfTheirKind) {
  for (uint64_t size : {24, 40, 88, 200}) {
    const std::string kind = "kind of " + std::to_string(size);
    const Addr owned = block("owned by " + kind, 312, {1, 2, 3, kFunction});
    for (uint64_t i = 0; i < 100; ++i) {
      const bool is_larger = i % 10 == 3;
      const Addr at = block(kind, is_larger ? size + 16 : size, {kFunction + size, owned.value});
      if (!is_larger) continue;
      program_.poke(at + size, i % 20 == 3 ? 0x6f6e657962616460 : uint64_t{0});
      program_.poke(at + size + 8, i % 30 == 3 ? kFunction + i : uint64_t{0});
    }
  }
  run();
  for (uint64_t size : {24, 40, 88, 200}) expect_one("kind of " + std::to_string(size));
  expect_apart("kind of 24", "kind of 40");
  expect_apart("kind of 88", "kind of 200");
}

TEST_F(FamiliesTest, AsManyLargerBlocksAreAKindOfTheirOwn) {
  const Addr owned = block("owned", 312, {1, 2, 3, kFunction});
  for (uint64_t i = 0; i < 100; ++i) block("small", 40, {i + 1, owned.value, 5});
  for (uint64_t i = 0; i < 60; ++i) block("large", 56, {i + 1, owned.value, 5});
  run();
  expect_apart("small", "large");
}

TEST_F(FamiliesTest, AFewLargerBlocksWithFieldsBehindAreAKindOfTheirOwn) {
  const Addr owned = block("owned", 312, {1, 2, 3, kFunction});
  for (uint64_t i = 0; i < 100; ++i) block("small", 40, {i + 1, owned.value, 5});
  for (uint64_t i = 0; i < 20; ++i) block("large", 56, {i + 1, owned.value, 5, 0, 0, owned.value});
  run();
  expect_apart("small", "large");
}

TEST_F(FamiliesTest, AFewLargerBlocksThatBeginDifferentlyAreAKindOfTheirOwn) {
  const Addr owned = block("owned", 312, {1, 2, 3, kFunction});
  for (uint64_t i = 0; i < 100; ++i) block("small", 40, {i + 1, owned.value, 5});
  for (uint64_t i = 0; i < 6; ++i) block("large", 56, {owned.value, kFunction, 0, 0});
  run();
  expect_apart("small", "large");
}

TEST_F(FamiliesTest, TablesOfFunctionsTellClassesApart) {
  const uint64_t circle = table(0);
  const uint64_t square = table(1);
  for (uint64_t i = 0; i < 50; ++i) {
    block("circle", 40, {circle, i, i, 0, 5});
    block("square", 40, {square, i, i, 0, 5});
  }
  run();
  expect_one("circle");
  expect_one("square");
  expect_apart("circle", "square");
}

TEST_F(FamiliesTest, TextsOfAllLengthsAreOne) {
  for (size_t i = 4; i < 300; i += 3) text("text", std::string(i, static_cast<char>('a' + i % 26)));
  run();
  expect_one("text");
  EXPECT_EQ(shape_of("text"), Shape::Text);
}

TEST_F(FamiliesTest, ArraysOfAllLengthsAreOne) {
  std::vector<uint64_t> nodes;
  for (uint64_t i = 0; i < 40; ++i)
    nodes.push_back(block("node", 72, {kFunction, i + 1, i, 3, kFunction + 32}).value);
  for (size_t length : {17, 20, 30, 40}) {
    block("array", length * 8 + 16, {nodes.begin(), nodes.begin() + static_cast<long>(length)});
  }
  for (uint64_t length : {20, 30, 50}) {
    std::vector<uint64_t> numbers(length);
    for (size_t i = 0; i < length; ++i) numbers[i] = i + 1;
    block("numbers", length * 8, numbers);
  }
  run();
  expect_one("array");
  EXPECT_EQ(shape_of("array"), Shape::Pointers);
  expect_one("numbers");
  EXPECT_EQ(shape_of("numbers"), Shape::Numbers);
  expect_one("node");
}

TEST_F(FamiliesTest, TinyBlocksAreToldByWhoPointsAtThem) {
  for (uint64_t i = 0; i < 60; ++i) {
    const Addr first = block("first", 24, {i + 1, 1});
    const Addr second = block("second", 24, {i + 1, 1});
    block("owner", 88, {kFunction, first.value, 5, 3, 2, 1, second.value, kFunction + 64});
  }
  run();
  expect_one("owner");
  expect_one("first");
  expect_one("second");
  expect_apart("first", "second");
}

// Arrays of pointers to this and that are one group, so that they own everything alike.
TEST_F(FamiliesTest, ArraysOfPointersSayNothingOfTinyRecordsTheyPointAt) {
  const auto table = [&](const std::vector<uint64_t>& elements) {
    block("table", 8 * elements.size(), elements);
  };
  for (uint64_t i = 0; i < 40; ++i) {
    std::vector<uint64_t> entries;
    std::vector<uint64_t> numbers;
    for (uint64_t k = 0; k < 9; ++k) {
      const Addr key = text("key", "key of an entry " + std::to_string(i));
      entries.push_back(block("entry", 24, {key.value + 3, 0x4059000000000000}).value);
      numbers.push_back(block("number", 24, {0xabc000000001 + 256 * i, 5}).value);
    }
    table(entries);
    table(numbers);
  }
  run();
  expect_one("entry");
  expect_one("number");
  expect_apart("entry", "number");
}

TEST_F(FamiliesTest, WhatPointersLeadToTellsRecordsApart) {
  for (uint64_t i = 0; i < 60; ++i) {
    const Addr key = text("key", "key of an entry " + std::to_string(i));
    const Addr value = block("value", 104, {kFunction, i, 7, 9, kFunction + 16});
    block("of keys", 40, {key.value, key.value, key.value, i + 1, 1});
    block("of values", 40, {value.value, value.value, value.value, i + 1, 1});
  }
  run();
  expect_one("of keys");
  expect_one("of values");
  expect_apart("of keys", "of values");
}

TEST_F(FamiliesTest, ShortTextsAreToldFromNumbersInWhatIsLeftBehind) {
  for (uint64_t i = 0; i < 40; ++i) {
    text("text", "long enough to be text " + std::to_string(i));
    // "id" or "n" over the rest of a pointer, with other left-overs behind.
    block("text", 24, {0x7f5500006469 + (i << 24), i % 2 == 0 ? 0 : FakeProgram::kWeak + i, 32});
    block("number", 24, {i * 70'000 + 1, 0, i % 3 == 0 ? 32U : 0U});
  }
  run();
  expect_one("text");
  expect_one("number");
  expect_apart("text", "number");
}

// Some of them lie over old bytes, which nobody leaves who writes a number; all are told by that.
TEST_F(FamiliesTest, PunctuationOverOldBytesIsText) {
  const std::vector<std::string> strings = {",", ".", ";", "(", "1,", ")"};
  for (uint64_t i = 0; i < 60; ++i) {
    const std::string& string = strings[i % strings.size()];
    uint64_t word = i % 3 == 0 ? 0x55ca09000000 + (i << 16) : 0;
    for (size_t at = string.size() + 1; at-- > 0;) {
      const uint64_t byte = at < string.size() ? static_cast<unsigned char>(string[at]) : 0;
      word = (word & ~(uint64_t{0xff} << 8 * at)) | byte << 8 * at;
    }
    block("text", 24, {word, 0, 0});
  }
  run();
  expect_one("text");
  EXPECT_EQ(shape_of("text"), Shape::Text);
}

TEST_F(FamiliesTest, SmallNumbersOfAllWidthsAreNoText) {
  for (uint64_t i = 0; i < 60; ++i) {
    block("long", 24, {40 + i % 7, 0, 0});
    block("ints", 24, {uint64_t{7 + i} << 32 | (40 + i % 7), 0, 0});
    block("one constant", 24, {0x9c5a002c, 0, 0});
  }
  run();
  for (const char* type : {"long", "ints", "one constant"})
    EXPECT_EQ(shape_of(type), Shape::Record) << type;
}

TEST_F(FamiliesTest, PointersMadeOfLettersAreNoText) {
  const uint64_t letters = FakeProgram::kStrong + 0xa050;  // the bytes "P VUUU"
  for (uint64_t i = 0; i < 40; ++i) block("record", 24, {letters + i, kFunction, i});
  run();
  expect_one("record");
  EXPECT_EQ(shape_of("record"), Shape::Record);
}

TEST_F(FamiliesTest, WideTextIsTextAndNumbersAreNot) {
  for (uint64_t i = 0; i < 40; ++i) {
    std::vector<uint64_t> words;
    const std::string text = "wide text number " + std::to_string(i) + (i % 2 == 0 ? "0" : "");
    for (size_t at = 0; at < text.size(); at += 2) {
      const uint64_t second = at + 1 < text.size() ? static_cast<unsigned char>(text[at + 1]) : 0;
      words.push_back(static_cast<unsigned char>(text[at]) | second << 32);
    }
    const Addr wide = block("text", 88, words);
    block("owner", 56, {kFunction, wide.value, 1, 2, 3});
    const Addr narrow = this->text("narrow", "a narrow text of the same owners " + text);
    block("owner", 56, {kFunction, narrow.value, 1, 2, 3});
    std::vector<uint64_t> numbers;
    for (uint64_t at = 0; at < 16; ++at) numbers.push_back((40 + at % 9) | (50 + i % 7) << 32);
    block("numbers", 136, numbers);
  }
  run();
  expect_one("text");
  EXPECT_EQ(shape_of("text"), Shape::Text);
  expect_apart("text", "narrow");
  expect_one("numbers");
  EXPECT_EQ(shape_of("numbers"), Shape::Numbers);
}

TEST_F(FamiliesTest, TextsOfAFewTemplatesAreToldApart) {
  for (int i = 0; i < 100; ++i) {
    text("progress", "[" + std::to_string(1000 + i) + "/9000] building");
    text("greeting", "Dear customer " + std::to_string(i));
  }
  run();
  expect_one("progress");
  expect_one("greeting");
  expect_apart("progress", "greeting");
}

TEST_F(FamiliesTest, ManyBeginningsAreNoTemplates) {
  for (int i = 0; i < 300; ++i) {
    std::string word = i % 4 == 0 ? "std::vector" : "";
    for (int k = 0; k < 12; ++k) word += static_cast<char>('a' + random_() % 26);
    text("name", word);
  }
  run();
  expect_one("name");
}

TEST_F(FamiliesTest, WhatOwnsTextsTellsThemApart) {
  for (uint64_t i = 0; i < 50; ++i) {
    const Addr name = text("name", std::string(8 + i % 9, static_cast<char>('a' + i % 26)));
    const Addr value = text("value", std::string(6 + i % 7, static_cast<char>('A' + i % 26)));
    block("pair", 88, {kFunction, name.value, 5, 3, 2, 1, value.value, kFunction + 64});
  }
  run();
  expect_one("name");
  expect_one("value");
  expect_apart("name", "value");
}

TEST_F(FamiliesTest, ClassesWithATailOfAnyLengthAreOne) {
  const uint64_t packet = table(0);
  for (uint64_t i = 0; i < 40; ++i)
    block("packet", 56 + 16 * (i % 10), {packet, i, kFunction, 7, i + 3, i});
  run();
  expect_one("packet");
  EXPECT_EQ(families_.rows[*families_of("packet").begin()].sizes.size(), 10U);
}

TEST_F(FamiliesTest, WhatAFreeBlockLeftBehindDoesNotSplit) {
  for (uint64_t i = 0; i < 60; ++i)
    block("record", 40, {kFunction, i + 1, 3, 0, i % 2 == 0 ? 48U : 0U});
  run();
  expect_one("record");
}

TEST_F(FamiliesTest, EmptyStringsOverFreeListLinksAreOneInBlocksOfSeveralSizes) {
  allocator_state_ = {AddrRange::sized(Addr(FakeProgram::kWeak + 0x0cc0), 0x100)};
  const uint64_t left = FakeProgram::kWeak & ~uint64_t{0xffff};  // the link's low bytes are gone
  for (uint64_t i = 0; i < 40; ++i) {
    block("empty", 24, {left});
    block("empty", 40, {left, i % 2 == 0 ? i * 70'000 : 0, i % 3, i});
    block("pair", 24, {(i + 1) << 32 | (i + 1), 0, i % 2 == 0 ? 32U : 0U});
    block("record", 40, {kFunction, i + 1, 3, i});
  }
  run();
  expect_one("empty");
  expect_one("pair");
  expect_apart("empty", "pair");
  expect_apart("empty", "record");
}

// A reference counter and a pointer into a text; and short strings with their lengths in
// front, behind which nothing was ever written.
TEST_F(FamiliesTest, LinksOfTheAllocatorAreNoNullPointers) {
  allocator_state_ = {AddrRange::sized(Addr(FakeProgram::kWeak + 0x0cc0), 0x100)};
  const uint64_t link = allocator_state_.front().begin().value + 16;
  for (uint64_t i = 0; i < 60; ++i) {
    const Addr value = text("value", "value of an object " + std::to_string(i));
    block("object", 24, {0x10000'0000 + i % 7, value.value + 3});
    block("string", 24, {0x3'33'3203 + (i % 10 << 24), link});
  }
  run();
  expect_one("object");
  expect_one("string");
  expect_apart("object", "string");
}

TEST_F(FamiliesTest, WhatFillsItsWordIsNoInteger) {
  for (uint64_t i = 0; i < 100; ++i) {
    block("hash", 24, {random_() >> 12 | 0xabc0000000000001, 0, i % 3 == 0 ? 32U : 0U});
    block("count", 24, {i + 1, 0, i % 3 == 0 ? 32U : 0U});
  }
  run();
  expect_one("hash");
  expect_one("count");
  expect_apart("hash", "count");
}

TEST_F(FamiliesTest, UntouchedBuffersAreOneFamilyPerSize) {
  for (int i = 0; i < 10; ++i) block("buffer", 4088, {});
  for (int i = 0; i < 10; ++i) block("page", 8184, {});
  for (int i = 0; i < 10; ++i) program_.poke(block("sparse", 4088, {}) + 4000, 7);
  run();
  expect_one("buffer");
  expect_apart("buffer", "sparse");
  EXPECT_EQ(shape_of("sparse"), Shape::Record);
  expect_apart("buffer", "page");
  EXPECT_EQ(shape_of("buffer"), Shape::Untouched);
}

// What the allocator's lists and earlier owners left in them differs.
TEST_F(FamiliesTest, BlocksThatWereNeverWrittenAreOneFamilyWhateverIsLeftInThem) {
  const Addr list(kTable + 0x4000);
  allocator_state_.push_back(AddrRange::sized(list, 0x1000));
  const Addr owned = block("owned", 312, {1, 2, 3, kFunction});
  for (uint64_t i = 0; i < 30; ++i) {
    const std::string words = "text of an earlier owner, which was " + std::to_string(i);
    const Addr left = text("never written", words + std::string(344 - words.size() - 1, '.'));
    block("never written", 344, {list.value, list.value, kFunction, kFunction, owned.value});
    const Addr zero = block("never written", 344, {});
    const Addr cached = block("never written", 344, {0, 0, owned.value, owned.value, 0, i});
    for (uint64_t at = 0; at < 16; at += 8) program_.poke(left + at, list.value + 16);
    program_.poke(cached, zero.value ^ cached.value >> 12);
    block("written", 344, {i + 1, list.value, kFunction, kFunction, owned.value});
  }
  run();
  expect_one("never written");
  expect_apart("never written", "written");
}

TEST_F(FamiliesTest, NumbersAndPointersAtOnePlaceAreTwoKinds) {
  for (uint64_t i = 0; i < 100; ++i) {
    const Addr payload =
        text("payload", "payload of a job that is forgotten: " + std::to_string(i));
    block("job", 24, {i, payload.value});
    block("measure", 24, {i, i << 32 | i});
  }
  run();
  expect_one("job");
  expect_apart("job", "measure");
}

TEST_F(FamiliesTest, OnlyUsedBlocksOfTheWantedVerdictsAreInFamilies) {
  const Addr held = block("held", 40, {1, 2, 3});
  const Addr lost = block("lost", 40, {1, 2, 3});
  const Addr unused = program_.block(40, BlockState::Binned);
  program_.strong_root(held);
  run();
  EXPECT_TRUE(of(lost).valid());
  EXPECT_FALSE(of(held).valid());
  EXPECT_FALSE(of(unused).valid());
  EXPECT_EQ(families_.blocks.size(), 1U);
}

TEST_F(FamiliesTest, LostBlocksLookTheSameWhetherOrNotLiveOnesAreToo) {
  for (uint64_t i = 0; i < 40; ++i) {
    block("lost", 56, {table(1), i, 0});
    program_.strong_root(block("held", 56, {table(1), i, 7 * i, kFunction, i * i}));
    program_.strong_root(block("other", 56, {table(2), i, kFunction}));
  }
  run();
  const uint64_t alone = families_.rows[*families_of("lost").begin()].portrait;
  FamilyOptions options;
  options.verdicts.add(Verdict::Reachable);
  families_ = find_families(world_.image, Symbols(), world_.runtime, world_.heap, world_.roots,
                            reach_, options);
  expect_one("lost");
  expect_apart("lost", "other");
  EXPECT_EQ(families_.rows[*families_of("lost").begin()].portrait, alone);
  EXPECT_TRUE(std::is_sorted(families_.blocks.begin(), families_.blocks.end()));
  EXPECT_EQ(families_.blocks.size(), 120U);
}

// The same program with its heap laid out in another order and behind other blocks, and its code
// `moved` by so many bytes.
std::map<uint64_t, uint64_t> fingerprints(bool other_run, uint64_t moved = 0) {
  FakeProgram program;
  std::vector<int> order(90);
  for (int i = 0; i < 90; ++i) order[static_cast<size_t>(i)] = i;
  if (other_run) {
    for (int i = 0; i < 7; ++i) program.strong_root(program.block(24));
    std::shuffle(order.begin(), order.end(), std::mt19937(3));
  }
  for (const int i : order) {
    const auto n = static_cast<uint64_t>(i);
    if (i % 3 == 0) {
      const Addr record = program.block(72);
      const Addr text = program.block(24 + 16 * (n % 4));
      program.poke(record, kFunction + moved);
      program.poke(record + 16, text);
      program.poke(record + 32, n);
      program.poke(text, 0x6867666564636261);
    } else if (i % 3 == 1) {
      const Addr record = program.block(72);
      program.poke(record, kFunction + moved + 0x80);
      program.poke(record + 8, n + 1);
    } else {
      program.poke(program.block(40), n * 1'000'003);
    }
  }
  const FakeProgram::World world = program.build();
  const Families families =
      find_families(world.image, Symbols(), world.runtime, world.heap, world.roots, world.trace());
  std::map<uint64_t, uint64_t> blocks;
  for (const Family& row : families.rows) blocks[row.portrait] = row.blocks;
  return blocks;
}

TEST(Portraits, AreTheSameInAnotherRun) {
  const auto one = fingerprints(false);
  EXPECT_GE(one.size(), 4U);
  EXPECT_EQ(one, fingerprints(true));
}

TEST(Portraits, AreTheSameInAnotherBuildWithoutSymbols) {
  EXPECT_EQ(fingerprints(false), fingerprints(true, 0x40));
}

// Any bytes at all: half of them words that mean something, so that everything is tried.
class AnyBytes : public FamiliesTest, public testing::WithParamInterface<unsigned> {};

TEST_P(AnyBytes, GiveOneAnswerOnAnyNumberOfThreads) {
  random_.seed(GetParam());
  std::vector<Addr> blocks;
  for (int i = 0; i < 3000; ++i)
    blocks.push_back(program_.block(24 + 16 * (random_() % (1 + GetParam() * 3 % 40))));
  for (const Addr at : blocks) {
    for (uint64_t word = random_() % 4; word < 3; ++word) {
      const std::array<uint64_t, 8> values = {random_(),
                                              random_() % 100'000,
                                              blocks[random_() % blocks.size()].value,
                                              kFunction,
                                              0x6867666564636261,
                                              blocks[random_() % blocks.size()].value + 8,
                                              FakeProgram::kStrong + random_() % 4096,
                                              random_() << 32};
      program_.poke(at + 8 * word, values[random_() % (GetParam() % 8 + 1)]);
    }
  }
  run();
  EXPECT_EQ(families_.family_of.size(), families_.blocks.size());
  uint64_t count = 0;
  for (const Family& row : families_.rows) {
    uint64_t of_sizes = 0;
    uint64_t bytes = 0;
    for (const auto& [size, n] : row.sizes) {
      of_sizes += n;
      bytes += n * size;
    }
    EXPECT_EQ(of_sizes, row.blocks);
    EXPECT_EQ(bytes, row.bytes);
    EXPECT_EQ(row.samples.size(), std::min<size_t>(row.blocks, Family::kSamples));
    count += row.blocks;
  }
  EXPECT_EQ(count, families_.blocks.size());
  for (const unsigned threads : {1U, 4U}) {
    const ThreadLimit limit(threads);
    const Families again = find_families(world_.image, Symbols(), world_.runtime, world_.heap,
                                         world_.roots, reach_, {});
    EXPECT_EQ(again.family_of, families_.family_of);
    for (size_t i = 0; i < again.rows.size(); ++i)
      EXPECT_EQ(again.rows[FamilyId(i)].portrait, families_.rows[FamilyId(i)].portrait);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AnyBytes, testing::Range(0U, 16U));

class ProfileTest : public FamiliesTest {};

TEST_F(ProfileTest, SaysWhatTheSamplesAgreeOn) {
  const Addr other = block("other", 200, {1, 2, 3, kFunction});
  for (uint64_t i = 0; i < 100; ++i)
    block("record", 56, {kFunction, i % 4 == 0 ? 0 : other.value, 7, 0, i + 1});
  run();
  const FamilyId id = *families_of("record").begin();
  const Profile profile =
      make_profile(world_.image, AddressMap(world_.image, world_.runtime, world_.heap), world_.heap,
                   families_.rows[id].samples, Profile::kProfiled, &families_);
  ASSERT_EQ(profile.samples, Family::kSamples);
  ASSERT_EQ(profile.fields.size(), 7U);
  const Field& code = profile.fields[0];
  EXPECT_EQ(code.kind, WordKind::Code);
  EXPECT_EQ(code.common, Addr(kFunction));
  EXPECT_EQ(code.common_count, Family::kSamples);
  EXPECT_EQ(code.constant, kFunction);
  const Field& pointer = profile.fields[1];
  EXPECT_EQ(pointer.offset, 8U);
  EXPECT_EQ(pointer.kind, WordKind::BlockStart);
  EXPECT_EQ(pointer.agreeing + pointer.zeros, Family::kSamples);
  EXPECT_EQ(pointer.to, of(other));
  EXPECT_EQ(pointer.to_count, pointer.agreeing);
  EXPECT_FALSE(pointer.constant.has_value());
  EXPECT_EQ(profile.fields[3].kind, WordKind::Zero);
  EXPECT_EQ(profile.fields[3].constant, 0U);
  EXPECT_EQ(profile.fields[4].kind, WordKind::Small);
}

}  // namespace
}  // namespace heapscan
