#include <gtest/gtest.h>

#include "identify/typing/typing.h"
#include "typing_program.h"

namespace heapscan {
namespace {

// struct list {item *first, *last; void (*copy)(), (*drop)();}, some of which are alive.
class TypingLikeness : public testing::Test {
 protected:
  static constexpr uint64_t kDrop = FakeProgram::kCode + 0x40;

  TypingLikeness() {
    item_ = p_.record("item", 24);
    p_.members(item_, {{.offset = 0, .type = p_.pointer_to(item_), .name = "next"},
                       {.offset = 8, .type = p_.integer(8), .name = "value"}});
    list_ = p_.record("list", 40);
    const TypeId function = p_.pointer_to(p_.function());
    const TypeId item = p_.pointer_to(item_);
    p_.members(list_, {{.offset = 0, .type = p_.pointer_to(list_), .name = "other"},
                       {.offset = 8, .type = item, .name = "first"},
                       {.offset = 16, .type = item, .name = "last"},
                       {.offset = 24, .type = function, .name = "copy"},
                       {.offset = 32, .type = function, .name = "drop"}});
  }
  std::vector<Addr> blocks(size_t count, uint64_t size) {
    std::vector<Addr> made;
    for (size_t i = 0; i < count; ++i) made.push_back(p_.program.block(size));
    return made;
  }
  // Each with functions of its own.
  void live_lists(size_t count) {
    const auto lists = blocks(count, 40);
    for (size_t i = 0; i < count; ++i) {
      if (i + 1 < count) p_.program.poke(lists[i], lists[i + 1]);
      p_.program.poke(lists[i] + 24, FakeProgram::kCode + 0x200 + 16 * i);
      p_.program.poke(lists[i] + 32, kDrop + 16 * (i % 3));
    }
    p_.global_pointer("lists", list_, lists.front());
  }
  void poke_all(const std::vector<Addr>& blocks, uint64_t offset, uint64_t value) {
    for (const Addr block : blocks) p_.program.poke(block + offset, value);
  }
  std::vector<std::vector<Evidence>> ask() {
    const auto found = type_families(p_.inputs()).rows;
    return {found.begin(), found.end()};
  }

  TypingProgram p_;
  TypeId item_, list_;
};

TEST_F(TypingLikeness, OneFunctionThatSomeLiveBlocksNameThereIsEnough) {
  live_lists(9);
  const auto lost = p_.family(6, 40);
  poke_all(lost, 32, kDrop + 16);
  const auto evidence = ask();
  const Evidence* const alike = find_kind(evidence[0], EvidenceKind::LooksLike);
  ASSERT_NE(alike, nullptr);
  EXPECT_EQ(alike->label, "struct list");
}

TEST_F(TypingLikeness, AFunctionThatNoneNamesIsNot) {
  live_lists(9);
  const auto lost = p_.family(6, 40);
  poke_all(lost, 32, kDrop + 0x1000);
  EXPECT_EQ(find_kind(ask()[0], EvidenceKind::LooksLike), nullptr);
}

TEST_F(TypingLikeness, OneLiveBlockIsLittleToBeAlikeTo) {
  const auto live = blocks(1, 40);
  const auto items = blocks(2, 24);
  const auto lost = p_.family(6, 40);
  for (const auto& lists : {live, lost}) {
    poke_all(lists, 8, items[0].value);
    poke_all(lists, 32, kDrop);
  }
  p_.global_pointer("lists", list_, live.front());
  EXPECT_EQ(find_kind(ask()[0], EvidenceKind::LooksLike), nullptr);
}

// All of them lead to texts, none to items.
TEST_F(TypingLikeness, PointersThatMostlyLeadElsewhereAreNotAlike) {
  const auto items = blocks(2, 24);
  const auto lists = blocks(9, 40);
  for (size_t i = 0; i < lists.size(); ++i) {
    if (i + 1 < lists.size()) p_.program.poke(lists[i], lists[i + 1]);
    p_.program.poke(lists[i] + 8, items[0]);
    p_.program.poke(lists[i] + 16, items[1]);
  }
  p_.global_pointer("lists", list_, lists.front());
  const auto lost = p_.family(6, 40);
  const auto texts = p_.family(6, 8);
  for (size_t i = 0; i < lost.size(); ++i) {
    p_.poke_text(texts[i], "text");
    for (uint64_t at = 8; at < 24; at += 8) p_.program.poke(lost[i] + at, texts[i]);
  }
  EXPECT_EQ(find_kind(ask()[0], EvidenceKind::LooksLike), nullptr);
}

TEST_F(TypingLikeness, AFewLiveBlocksNameManyThatNothingElseFits) {
  live_lists(3);
  const auto lost = p_.family(64, 40);
  poke_all(lost, 32, kDrop + 16);
  const auto evidence = ask();
  const Evidence* const alike = find_kind(evidence[0], EvidenceKind::LooksLike);
  ASSERT_NE(alike, nullptr);
  EXPECT_EQ(alike->label, "struct list");
}

// None of the other is alive to be compared with.
TEST_F(TypingLikeness, OneOfTwoTypesOfOneLayoutIsNotNamedByBeingAlive) {
  const TypeId twin = p_.record("queue", 40);
  const TypeId function = p_.pointer_to(p_.function());
  p_.members(twin, {{.offset = 0, .type = p_.pointer_to(twin), .name = "next"},
                    {.offset = 8, .type = p_.pointer_to(item_), .name = "head"},
                    {.offset = 16, .type = p_.pointer_to(item_), .name = "tail"},
                    {.offset = 24, .type = function, .name = "push"},
                    {.offset = 32, .type = function, .name = "pop"}});
  live_lists(9);
  const auto lost = p_.family(6, 40);
  poke_all(lost, 32, kDrop + 16);
  EXPECT_EQ(strongest_label(ask()[0]), "");
}

// Where 16 bytes are left over, malloc gives them too.
TEST_F(TypingLikeness, BlocksWithWhatWasLeftOverAreOfTheTypeOfTheOthers) {
  const TypeId op = p_.record("op", 8);
  const Addr variable = p_.program.strong_root(uint64_t{0});
  p_.types.add_variable({"run", ModuleId(0), variable, false, op});
  const TypeId job = p_.record("job", 40);
  p_.members(job, {{.offset = 0, .type = p_.pointer_to(op), .name = "op"},
                   {.offset = 8, .type = p_.integer(8), .name = "due"}});
  auto jobs = blocks(6, 40);
  jobs.push_back(p_.program.block(56));
  p_.group(jobs);
  poke_all(jobs, 0, variable.value);
  EXPECT_EQ(strongest_label(ask()[0]), "struct job");
}

// struct wrapper {struct inner inner;}, and perhaps others that have such a part.
class TypingWrappers : public TypingLikeness {
 protected:
  std::string label(bool has_other_use) {
    const TypeId function = p_.pointer_to(p_.function());
    const TypeId inner = p_.record("inner", 24);
    p_.members(inner, {{.offset = 0, .type = function, .name = "open"},
                       {.offset = 8, .type = function, .name = "close"},
                       {.offset = 16, .type = p_.integer(8), .name = "uses"}});
    const TypeId wrapper = p_.record("wrapper", 24);
    p_.members(wrapper, {{.offset = 0, .type = inner, .name = "inner"}});
    if (has_other_use) {
      const TypeId other = p_.record("other", 104);
      p_.members(other, {{.offset = 64, .type = inner, .name = "inner"}});
    }
    static_cast<void>(p_.pointer_to(inner));
    static_cast<void>(p_.pointer_to(wrapper));
    const auto lost = p_.family(6, 24);
    poke_all(lost, 0, kDrop);
    poke_all(lost, 8, kDrop + 64);
    return strongest_label(ask()[0]);
  }
};

TEST_F(TypingWrappers, WhatOnlyAWrapperHasIsMeantAsTheWrapper) {
  EXPECT_EQ(label(false), "struct wrapper");
}
TEST_F(TypingWrappers, WhatOthersHaveTooIsMeantItself) { EXPECT_EQ(label(true), "struct inner"); }

// struct table {open, close; ...} of 48 bytes in blocks for which malloc may have been asked for
// 56, and perhaps struct counted {struct table table; long count;}, which is as large.
class TypingDerived : public TypingLikeness {
 protected:
  std::string label(bool has_derived, bool is_pointed_at) {
    const TypeId function = p_.pointer_to(p_.function());
    const TypeId table = p_.record("table", 48);
    p_.members(table, {{.offset = 0, .type = function, .name = "open"},
                       {.offset = 8, .type = function, .name = "close"},
                       {.offset = 16, .type = p_.pointer_to(table), .name = "next"}});
    if (has_derived) {
      const TypeId counted = p_.record("counted", 56);
      p_.members(counted, {{.offset = 0, .type = table, .name = "table"},
                           {.offset = 48, .type = p_.integer(8), .name = "count"}});
    }
    const auto live = blocks(4, 56);
    const auto lost = p_.family(6, 56);
    for (const auto& tables : {live, lost}) {
      poke_all(tables, 0, kDrop);
      poke_all(tables, 8, kDrop + 64);
    }
    for (size_t i = 0; i + 1 < live.size(); ++i) p_.program.poke(live[i] + 16, live[i + 1]);
    p_.global_pointer("tables", table, live.front());
    if (is_pointed_at) {
      for (const Addr at : lost) p_.global_pointer("pointer", table, at);
    }
    const auto evidence = ask();
    const Evidence* const found =
        find_kind(evidence[0], is_pointed_at ? EvidenceKind::Pointed : EvidenceKind::LooksLike);
    return found == nullptr ? "" : found->label;
  }
};

TEST_F(TypingDerived, BlocksAreAlikeToTheOnlyTypeThatFits) {
  EXPECT_EQ(label(false, false), "struct table");
}
TEST_F(TypingDerived, BlocksThatLookAlikeMayBeOfATypeThatBeginsWithIt) {
  EXPECT_EQ(label(true, false), "");
}
TEST_F(TypingDerived, BlocksAreOfTheOnlyTypeThatFitsAPointer) {
  EXPECT_EQ(label(false, true), "struct table");
}
TEST_F(TypingDerived, BlocksThatArePointedAtMayBeOfATypeThatBeginsWithIt) {
  EXPECT_EQ(label(true, true), "");
}

// A pointer in the word behind the type's end.
class TypingEnds : public TypingLikeness {
 protected:
  std::string label(bool has_more) {
    live_lists(3);
    const auto lost = p_.family(6, 56);
    const auto more = p_.family(6, 24);
    const TypeId node = p_.record("node", 48);
    p_.members(node, {{.offset = 0, .type = p_.pointer_to(node), .name = "next"},
                      {.offset = 8, .type = p_.pointer_to(list_), .name = "list"},
                      {.offset = 16, .type = p_.pointer_to(p_.function()), .name = "visit"}});
    for (size_t i = 0; i < lost.size(); ++i) {
      p_.program.poke(lost[i], lost[(i + 1) % lost.size()]);
      p_.program.poke(lost[i] + 16, kDrop);
      if (has_more) p_.program.poke(lost[i] + 48, more[i]);
    }
    return strongest_label(ask()[0]);
  }
};

TEST_F(TypingEnds, ATypeMayEndBeforeTheBlock) { EXPECT_EQ(label(false), "struct node"); }
TEST_F(TypingEnds, ATypeDoesNotEndBeforeAField) { EXPECT_EQ(label(true), ""); }

// struct hist {hist *next; unsigned char *stack;}: what it points at is no text.
class TypingBytes : public TypingLikeness {
 protected:
  std::string label(bool has_pointers) {
    const TypeId byte =
        p_.types.add({.kind = TypeKind::Character, .size = 1, .name = "unsigned char"});
    const TypeId hist = p_.record("hist", 24);
    p_.members(hist, {{.offset = 0, .type = p_.pointer_to(hist), .name = "next"},
                      {.offset = 8, .type = p_.pointer_to(byte), .name = "stack"}});
    const auto owners = blocks(6, 24);
    const auto stacks = p_.family(6, 264);
    for (size_t i = 0; i < owners.size(); ++i) {
      if (i + 1 < owners.size()) p_.program.poke(owners[i], owners[i + 1]);
      p_.program.poke(owners[i] + 8, stacks[i]);
      p_.program.poke(stacks[i], 0x0403020100 + i);
      if (has_pointers) p_.program.poke(stacks[i] + 8, owners[i]);
    }
    p_.global_pointer("history", hist, owners.front());
    return strongest_label(ask()[0]);
  }
};

TEST_F(TypingBytes, BytesThatAMemberPointsAtAreNamedAfterIt) {
  EXPECT_EQ(label(false), "unsigned char[]");
}
TEST_F(TypingBytes, PointersAreNoBytes) { EXPECT_EQ(label(true), ""); }

// struct field {unsigned char data[1];}
TEST_F(TypingLikeness, AStructThatIsNothingButATailIsNoAnswer) {
  const TypeId field = p_.record("field", 1);
  p_.members(field, {{.offset = 0, .type = p_.array_of(p_.character(), 1), .name = "data"}});
  const auto lost = p_.family(6, 104);
  poke_all(lost, 8, 77);
  p_.global_pointer("fields", field, lost.front());
  EXPECT_EQ(strongest_label(ask()[0]), "");
}

}  // namespace
}  // namespace heapscan
