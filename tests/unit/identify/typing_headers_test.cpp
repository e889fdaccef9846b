#include <gtest/gtest.h>

#include "identify/typing/typing.h"
#include "typing_program.h"

namespace heapscan {
namespace {

// Types of C that share struct object {object *next; char tag; char mark;}: three begin with its
// members and are alike in all else.
class TypingHeaders : public testing::Test {
 protected:
  static constexpr uint64_t kString = 0x14;
  static constexpr uint64_t kTable = 0x25;
  static constexpr uint64_t kSymbol = 0x15;
  static constexpr size_t kLive = 12;

  TypingHeaders() {
    object_ = p_.record("object", 16);
    next_ = p_.pointer_to(object_);
    byte_ = p_.character();
    string_ = derived("string", 40, "length", p_.integer(8));
    symbol_ = derived("symbol", 40, "uses", p_.integer(8));
    table_ = derived("table", 40, "used", p_.integer(8));
    p_.members(object_, header());
  }

  std::vector<Member> header() const {
    return {{.offset = 0, .type = next_, .name = "next"},
            {.offset = 8, .type = byte_, .name = "tag"},
            {.offset = 9, .type = byte_, .name = "mark"}};
  }
  // The header, a pointer to another one, and one member more.
  TypeId derived(const std::string& name, uint64_t size, const std::string& last, TypeId type) {
    const TypeId id = p_.record(name, size);
    std::vector<Member> members = header();
    members.push_back({.offset = 16, .type = p_.pointer_to(id), .name = "other"});
    members.push_back({.offset = 24, .type = type, .name = last});
    p_.members(id, members);
    return id;
  }
  std::vector<Addr> blocks(size_t count, uint64_t size) {
    std::vector<Addr> made;
    for (size_t i = 0; i < count; ++i) made.push_back(p_.program.block(size));
    return made;
  }
  void fill(const std::vector<Addr>& blocks, uint64_t tag, Addr next) {
    for (size_t i = 0; i < blocks.size(); ++i) {
      p_.program.poke(blocks[i], next);
      p_.program.poke(blocks[i] + 8, tag | (1 + i % 2) << 8);
      p_.program.poke(blocks[i] + 24, 1000 + i);
    }
  }
  // Live ones of a type, each naming another, from a variable on.
  std::vector<Addr> live(const std::string& name, TypeId type, uint64_t tag) {
    const std::vector<Addr> made = blocks(kLive, 40);
    fill(made, tag, Addr());
    for (size_t i = 0; i + 1 < made.size(); ++i) p_.program.poke(made[i] + 16, made[i + 1]);
    p_.global_pointer(name, type, made.front());
    return made;
  }
  std::vector<std::vector<Evidence>> ask() {
    const auto found = type_families(p_.inputs()).rows;
    return {found.begin(), found.end()};
  }

  TypingProgram p_;
  TypeId object_, next_, byte_, string_, symbol_, table_;
};

TEST_F(TypingHeaders, TheTagSaysWhichOfTwoTypesThatAreAlike) {
  const auto strings = live("strings", string_, kString);
  const auto tables = live("tables", table_, kTable);
  p_.program.poke(strings.front(), tables.front());
  const auto lost_strings = p_.family(8, 40);
  const auto lost_tables = p_.family(8, 40);
  fill(lost_strings, kString, strings.front());
  fill(lost_tables, kTable, strings.front());
  const auto evidence = ask();
  const Evidence* const found = find_kind(evidence[0], EvidenceKind::LooksLike);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->label, "struct string");
  EXPECT_EQ(found->detail, "has the tag of live `struct string` objects");
  EXPECT_EQ(strongest_label(evidence[1]), "struct table");
}

TEST_F(TypingHeaders, AnUnknownTagIsNoAnswer) {
  const auto strings = live("strings", string_, kString);
  const auto tables = live("tables", table_, kTable);
  p_.program.poke(strings.front(), tables.front());
  const auto lost = p_.family(8, 40);
  fill(lost, 0x77, strings.front());
  EXPECT_EQ(strongest_label(ask()[0]), "");
}

TEST_F(TypingHeaders, ANumberThatAllTypesHaveIsNoTag) {
  const auto strings = live("strings", string_, kString);
  const auto tables = live("tables", table_, kString);
  p_.program.poke(strings.front(), tables.front());
  const auto lost = p_.family(8, 40);
  fill(lost, kString, strings.front());
  EXPECT_EQ(strongest_label(ask()[0]), "");
}

TEST_F(TypingHeaders, ATagThatNoKnownBlockHasIsLearntByElimination) {
  const auto strings = live("strings", string_, kString);
  const auto tables = live("tables", table_, kTable);
  const auto symbols = blocks(kLive, 40);
  fill(symbols, kSymbol, tables.front());
  for (size_t i = 0; i < kLive; ++i) p_.program.poke(strings[i], symbols[i]);
  const auto lost = p_.family(8, 40);
  fill(lost, kSymbol, tables.front());
  const auto evidence = ask();
  ASSERT_NE(find_kind(evidence[0], EvidenceKind::LooksLike), nullptr);
  EXPECT_EQ(find_kind(evidence[0], EvidenceKind::LooksLike)->detail,
            "has the tag of live `struct symbol` objects");
}

// struct widget {widget *parent; long x, y;}; struct button {widget widget; void (*pressed)();};
// struct slider {widget widget; double low, high; void (*moved)();}
TEST_F(TypingHeaders, OfTheTypesThatBeginWithAStructTheOneThatFitsIsMeant) {
  const TypeId widget = p_.record("widget", 24);
  const TypeId button = p_.record("button", 32);
  const TypeId slider = p_.record("slider", 56);
  p_.members(widget, {{.offset = 0, .type = p_.pointer_to(widget), .name = "parent"},
                      {.offset = 8, .type = p_.integer(8), .name = "x"},
                      {.offset = 16, .type = p_.integer(8), .name = "y"}});
  p_.members(button, {{.offset = 0, .type = widget, .name = "widget"},
                      {.offset = 24, .type = p_.pointer_to(p_.function()), .name = "pressed"}});
  p_.members(slider, {{.offset = 0, .type = widget, .name = "widget"},
                      {.offset = 24, .type = p_.floating(), .name = "low"},
                      {.offset = 32, .type = p_.floating(), .name = "high"},
                      {.offset = 48, .type = p_.pointer_to(p_.function()), .name = "moved"}});
  const auto widgets = p_.family(8, 56);
  for (size_t i = 0; i < widgets.size(); ++i) {
    if (i + 1 < widgets.size()) p_.program.poke(widgets[i], widgets[i + 1]);
    p_.program.poke(widgets[i] + 24, 0x3ff8000000000000);  // 1.5
    p_.program.poke(widgets[i] + 48, FakeProgram::kCode + 64);
  }
  p_.global_pointer("window", widget, widgets.front());
  EXPECT_EQ(strongest_label(ask()[0]), "struct slider");
}

// struct link {link *next;}; struct task {long number; link link; void (*step)();}
TEST_F(TypingHeaders, AListThroughAMemberLeadsToWhatHoldsTheMember) {
  const TypeId link = p_.record("link", 16);
  const TypeId task = p_.record("task", 40);
  const TypeId job = p_.record("job", 40);
  const TypeId step = p_.pointer_to(p_.function());
  p_.members(link, {{.offset = 0, .type = p_.pointer_to(link), .name = "next"},
                    {.offset = 8, .type = p_.pointer_to(link), .name = "previous"}});
  p_.members(task, {{.offset = 0, .type = p_.integer(8), .name = "number"},
                    {.offset = 8, .type = link, .name = "link"},
                    {.offset = 24, .type = step, .name = "step"},
                    {.offset = 32, .type = step, .name = "end"}});
  p_.members(job, {{.offset = 0, .type = step, .name = "step"},
                   {.offset = 8, .type = link, .name = "link"},
                   {.offset = 24, .type = p_.integer(8), .name = "number"}});
  const auto tasks = blocks(kLive, 40);
  const auto lost = p_.family(4, 40);
  for (size_t i = 0; i < kLive; ++i) {
    p_.program.poke(tasks[i] + 8, tasks[(i + 1) % kLive] + 8);
    p_.program.poke(tasks[i] + 16, tasks[(i + kLive - 1) % kLive] + 8);
  }
  for (const auto& some : {tasks, lost}) {
    for (size_t i = 0; i < some.size(); ++i) {
      p_.program.poke(some[i], 5000 + i);
      p_.program.poke(some[i] + 24, FakeProgram::kCode + 64);
      p_.program.poke(some[i] + 32, FakeProgram::kCode + 128);
    }
  }
  p_.global_pointer("first", link, tasks.front() + 8);
  const auto evidence = ask();
  const Evidence* const alike = find_kind(evidence[0], EvidenceKind::LooksLike);
  ASSERT_NE(alike, nullptr);
  EXPECT_EQ(alike->label, "struct task");
}

// A thousand structs that hold a thousand links each.
TEST_F(TypingHeaders, PartsOfVeryManyStructsLeadNowhere) {
  const TypeId link = p_.record("link", 16);
  p_.members(link, {{.offset = 0, .type = p_.pointer_to(link), .name = "next"},
                    {.offset = 8, .type = p_.pointer_to(link), .name = "previous"}});
  for (int i = 0; i < 1000; ++i) {
    const TypeId holder = p_.record("holder" + std::to_string(i), 56);
    std::vector<Member> links;
    for (uint64_t k = 0; k < 1000; ++k) {
      links.push_back({.offset = k % 3 * 16, .type = link, .name = "link"});
    }
    p_.members(holder, links);
  }
  const auto held = p_.family(200, 56);
  for (size_t i = 0; i + 1 < held.size(); ++i) p_.program.poke(held[i] + 16, held[i + 1] + 16);
  p_.global_pointer("first", link, held.front() + 16);
  EXPECT_EQ(strongest_label(ask()[0]), "");
}

// struct value {long as; char tag;}; arrays of it hang below struct list {value *values; long
// used;}
class TypingArrays : public TypingHeaders {
 protected:
  TypingArrays() {
    value_ = p_.record("value", 16);
    p_.members(value_, {{.offset = 0, .type = p_.integer(8), .name = "as"},
                        {.offset = 8, .type = byte_, .name = "tag"}});
  }
  void hang_up_arrays_of(TypeId element) {
    const TypeId list = p_.record("list", 24);
    p_.members(list, {{.offset = 0, .type = p_.pointer_to(list), .name = "next"},
                      {.offset = 8, .type = p_.pointer_to(element), .name = "values"}});
    const auto lists = blocks(40, 24);
    const auto arrays = blocks(40, 72);
    for (size_t i = 0; i < lists.size(); ++i) {
      if (i + 1 < lists.size()) p_.program.poke(lists[i], lists[i + 1]);
      p_.program.poke(lists[i] + 8, arrays[i]);
    }
    fill_values(arrays, 3);
    p_.global_pointer("lists", list, lists.front());
  }
  void fill_values(const std::vector<Addr>& arrays, uint64_t tag) {
    for (size_t i = 0; i < arrays.size(); ++i) {
      for (uint64_t at = 0; at < 64; at += 16) {
        p_.program.poke(arrays[i] + at, 7000 + i + at);
        p_.program.poke(arrays[i] + at + 8, tag + i % 2);
      }
    }
  }
  TypeId value_;
};

TEST_F(TypingArrays, ArraysLookLikeLiveOnesWhoseMembersTakeTheSameFewValues) {
  hang_up_arrays_of(value_);
  const auto lost = p_.family(6, 72);
  fill_values(lost, 3);
  const auto evidence = ask();
  const Evidence* const alike = find_kind(evidence[0], EvidenceKind::LooksLike);
  ASSERT_NE(alike, nullptr);
  EXPECT_EQ(alike->label, "struct value[4]");
  EXPECT_EQ(alike->detail, "matches 40 live arrays of `struct value`");
}

// union slot {struct head {long as; char tag;} head; struct entry {long as; char tag; char
// key_tag;} entry;}
TEST_F(TypingArrays, AUnionOneArmOfWhichCoversTheOthersIsThatArm) {
  const TypeId as = p_.integer(8);
  const TypeId head = p_.record("head", 16);
  const TypeId entry = p_.record("entry", 16);
  const TypeId slot = p_.record("slot", 16, TypeKind::Union);
  std::vector<Member> members = {{.offset = 0, .type = as, .name = "as"},
                                 {.offset = 8, .type = byte_, .name = "tag"}};
  p_.members(head, members);
  members.push_back({.offset = 9, .type = byte_, .name = "key_tag"});
  p_.members(entry, members);
  p_.members(slot, {{.offset = 0, .type = head, .name = "head"},
                    {.offset = 0, .type = entry, .name = "entry"}});
  hang_up_arrays_of(slot);
  const auto lost = p_.family(6, 72);
  fill_values(lost, 3);
  EXPECT_EQ(strongest_label(ask()[0]), "union slot[4]");
}

TEST_F(TypingArrays, OtherValuesAreNotAlike) {
  hang_up_arrays_of(value_);
  const auto lost = p_.family(6, 72);
  fill_values(lost, 8);
  EXPECT_EQ(strongest_label(ask()[0]), "");
}

TEST_F(TypingArrays, ZerosAndOnesSayNothing) {
  hang_up_arrays_of(value_);
  const auto lost = p_.family(6, 72);
  fill_values(lost, 0);
  EXPECT_EQ(strongest_label(ask()[0]), "");
}

}  // namespace
}  // namespace heapscan
