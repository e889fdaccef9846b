#include "identify/typing/fit_types.h"

#include <gtest/gtest.h>

#include <optional>

#include "typing_program.h"

namespace heapscan {
namespace {

class TypingWeigh : public testing::Test {
 protected:
  // How well `type` agrees with all of `blocks`.
  std::optional<Candidate> ask(TypeId type, const std::vector<Addr>& blocks) {
    const Inputs& inputs = p_.inputs();
    Layouts layouts(inputs.types);
    Beliefs beliefs;
    beliefs.families = Column<FamilyId, TypeId>(inputs.families.rows.size());
    beliefs.candidates = Column<FamilyId, std::vector<TypeId>>(inputs.families.rows.size());
    Checker checker(inputs, layouts, beliefs);
    std::vector<Words> words;
    for (const Addr block : blocks)
      words.push_back(read_words(inputs, inputs.heap.block_at(block), 1024));
    std::vector<Specimen> specimens;
    for (const Words& one : words) specimens.push_back({&one, 0});
    return weigh(checker, FamilyId::none(), specimens, type);
  }
  std::vector<Addr> blocks(size_t count, uint64_t size) {
    std::vector<Addr> made;
    for (size_t i = 0; i < count; ++i) made.push_back(p_.program.block(size));
    return made;
  }
  // struct packet {long kind, room; char data[];}
  TypeId packet() {
    const TypeId type = p_.record("packet", 16);
    p_.members(type, {{.offset = 0, .type = p_.integer(8), .name = "kind"},
                      {.offset = 8, .type = p_.integer(8), .name = "room"},
                      {.offset = 16, .type = p_.array_of(p_.character(), 0), .name = "data"}});
    return type;
  }

  TypingProgram p_;
};

TEST_F(TypingWeigh, CharactersAtTheEndMayBeText) {
  const TypeId type = packet();
  const auto texts = blocks(4, 56);
  for (const Addr block : texts) p_.poke_text(block + 16, "what the packet says");
  EXPECT_GT(ask(type, texts)->score, 0);
}

TEST_F(TypingWeigh, CharactersAtTheEndAreNoPointers) {
  const TypeId type = packet();
  const auto tables = blocks(4, 56);
  for (const Addr block : tables) {
    for (uint64_t at = 16; at < 56; at += 8) p_.program.poke(block + at, FakeProgram::kCode + at);
  }
  EXPECT_LT(ask(type, tables)->score, -20);
}

TEST_F(TypingWeigh, AMemberThatSaysHowMuchThereIsBehindItIsEvidence) {
  const TypeId type = packet();
  const auto sized = blocks(4, 408);
  for (const Addr block : sized) p_.program.poke(block + 8, 392);
  EXPECT_GE(ask(type, sized)->support, 20);
}

TEST_F(TypingWeigh, AnyOtherNumberIsNone) {
  const TypeId type = packet();
  const auto others = blocks(4, 408);
  for (const Addr block : others) p_.program.poke(block + 8, 300);
  EXPECT_EQ(ask(type, others)->support, 0);
}

// struct job {struct op *op; long due;}, which names elements of static struct op operations[4].
class TypingVariables : public TypingWeigh {
 protected:
  TypingVariables() {
    op_ = p_.record("op", 32);
    p_.members(op_, {{.offset = 0, .type = p_.pointer_to(p_.function()), .name = "run"}});
    job_ = p_.record("job", 16);
    p_.members(job_, {{.offset = 0, .type = p_.pointer_to(op_), .name = "op"},
                      {.offset = 8, .type = p_.integer(8), .name = "due"}});
  }
  Addr variable(const std::string& name, TypeId type, size_t words) {
    Addr begin;
    for (size_t i = 0; i < words; ++i) {
      const Addr at = p_.program.strong_root(uint64_t{i + 1});
      if (i == 0) begin = at;
    }
    p_.types.add_variable({name, ModuleId(0), begin, false, type});
    return begin;
  }
  std::vector<Addr> jobs_of(Addr op) {
    const auto made = blocks(4, 24);
    for (const Addr block : made) p_.program.poke(block, op);
    return made;
  }
  TypeId op_, job_;
};

TEST_F(TypingVariables, AnElementOfAnArrayOfTheTypeIsTheSurestEvidence) {
  const Addr operations = variable("operations", p_.array_of(op_, 4), 16);
  const auto found = ask(job_, jobs_of(operations + 64));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->support, 20);
  EXPECT_GE(found->score, 50);
}

TEST_F(TypingVariables, AnElementOfAnotherTypeSpeaksAgainstIt) {
  const TypeId other = p_.record("other", 32);
  p_.members(other, {{.offset = 0, .type = p_.integer(8), .name = "number"}});
  const Addr others = variable("others", p_.array_of(other, 4), 16);
  EXPECT_LT(ask(job_, jobs_of(others + 32))->score, 0);
}

TEST_F(TypingVariables, TheMiddleOfAnElementIsNoEvidence) {
  const Addr operations = variable("operations", p_.array_of(op_, 4), 16);
  EXPECT_EQ(ask(job_, jobs_of(operations + 40))->support, 0);
}

// struct entry {std::string name;}, the text of which was freed and holds a pointer now.
TEST_F(TypingWeigh, TheRoomOfAStringIsThatOfItsBlockWhateverIsInItNow) {
  const TypeId type = p_.record("entry", 32);
  const TypeId string = p_.record("std::__cxx11::basic_string<char, std::char_traits<char> >", 32);
  p_.members(string, {{.offset = 0, .type = p_.pointer_to(p_.character()), .name = "_M_p"},
                      {.offset = 8, .type = p_.integer(8), .name = "_M_string_length"},
                      {.offset = 16, .type = p_.integer(8), .name = "_M_allocated_capacity"}});
  p_.members(type, {{.offset = 0, .type = string, .name = "name"}});
  const auto entries = blocks(4, 40);
  for (const Addr entry : entries) {
    const Addr text = p_.program.block(40);
    p_.program.poke(text, entry);
    p_.program.poke(entry, text);
    p_.program.poke(entry + 8, 29);
    p_.program.poke(entry + 16, 30);
  }
  const auto found = ask(type, entries);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->support, 20);
  EXPECT_GE(found->score, 60);
}

// A vector of int, whose elements may hold pointers from `from` on.
class TypingVector : public TypingWeigh {
 protected:
  std::optional<Candidate> ask_vector(uint64_t from) {
    const TypeId type = p_.record("std::_Vector_base<int, std::allocator<int> >::_Vector_impl", 24);
    const TypeId element = p_.pointer_to(p_.integer(4));
    p_.members(type, {{.offset = 0, .type = element, .name = "_M_start"},
                      {.offset = 8, .type = element, .name = "_M_finish"},
                      {.offset = 16, .type = element, .name = "_M_end_of_storage"}});
    const auto vectors = blocks(4, 24);
    for (const Addr vector : vectors) {
      const Addr elements = p_.program.block(120);
      p_.program.poke(vector, elements);
      p_.program.poke(vector + 8, elements + 120);
      p_.program.poke(vector + 16, elements + 120);
      for (uint64_t at = 0; at < 120; at += 8) p_.program.poke(elements + at, 7 + at);
      for (uint64_t at = from; at < 120; at += 8) p_.program.poke(elements + at, elements);
    }
    return ask(type, vectors);
  }
};

TEST_F(TypingVector, NumbersMayBeNumbers) { EXPECT_GE(ask_vector(120)->score, 50); }
TEST_F(TypingVector, PointersBehindTheFirstElementsAreNoNumbers) {
  EXPECT_LT(ask_vector(40)->score, 10);
}

// struct table {table *next; table *meta; char *name; table *list; long used, room;}
class TypingUnset : public TypingWeigh {
 protected:
  TypingUnset() {
    table_ = p_.record("table", 48);
    const TypeId pointer = p_.pointer_to(table_);
    p_.members(table_, {{.offset = 0, .type = pointer, .name = "next"},
                        {.offset = 8, .type = pointer, .name = "meta"},
                        {.offset = 16, .type = p_.pointer_to(p_.character()), .name = "name"},
                        {.offset = 24, .type = pointer, .name = "list"},
                        {.offset = 32, .type = p_.integer(8), .name = "used"},
                        {.offset = 40, .type = p_.integer(8), .name = "room"}});
    tables_ = blocks(6, 56);
    for (size_t i = 0; i < tables_.size(); ++i) p_.program.poke(tables_[i] + 40, 10 + i);
  }
  void spoil(uint64_t offset) {
    for (size_t i = 0; i < tables_.size(); ++i)
      p_.program.poke(tables_[i] + offset, 0x6f6e657962616400 + i);
  }
  TypeId table_;
  std::vector<Addr> tables_;
};

TEST_F(TypingUnset, OnePointerMayBeUnsetAndSpeaksAgainstTheType) {
  spoil(24);
  const auto found = ask(table_, tables_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->unset, "list");
  EXPECT_LT(found->score, 0);
}

TEST_F(TypingUnset, TwoMayNot) {
  spoil(8);
  spoil(24);
  EXPECT_FALSE(ask(table_, tables_));
}

TEST_F(TypingUnset, WhatIsAlwaysTheSameWasSet) {
  for (const Addr table : tables_) p_.program.poke(table + 24, 0x123456789abcdef0);
  EXPECT_FALSE(ask(table_, tables_));
}

}  // namespace
}  // namespace heapscan
