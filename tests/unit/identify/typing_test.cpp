#include "identify/typing/typing.h"

#include <gtest/gtest.h>

#include "typing_program.h"

namespace heapscan {
namespace {

class Typing : public testing::Test {
 protected:
  // struct session { struct session *next; void (*on_timeout)(); char *name; struct conn *conn;
  //                  long id; long hits; }; struct conn { int fd; int state; };
  void declare_session() {
    session_ = p_.record("session", 48);
    conn_ = p_.record("conn", 8);
    p_.members(conn_, {{.offset = 0, .type = p_.integer(4), .name = "fd"},
                       {.offset = 4, .type = p_.integer(4), .name = "state"}});
    p_.members(session_, session_members(session_));
  }
  std::vector<Member> session_members(TypeId self) {
    return {{.offset = 0, .type = p_.pointer_to(self), .name = "next"},
            {.offset = 8, .type = p_.pointer_to(p_.function()), .name = "on_timeout"},
            {.offset = 16, .type = p_.pointer_to(p_.character()), .name = "name"},
            {.offset = 24, .type = p_.pointer_to(conn_), .name = "conn"},
            {.offset = 32, .type = p_.integer(8), .name = "id"},
            {.offset = 40, .type = p_.integer(8), .name = "hits"}};
  }
  // Rings are lost as a whole.
  void link(const std::vector<Addr>& blocks) {
    for (size_t i = 0; i < blocks.size(); ++i)
      p_.program.poke(blocks[i], blocks[(i + 1) % blocks.size()]);
  }
  void fill_sessions(const std::vector<Addr>& sessions, const std::vector<Addr>& names,
                     const std::vector<Addr>& conns) {
    for (size_t i = 0; i < sessions.size(); ++i) {
      p_.program.poke(sessions[i] + 8, FakeProgram::kCode + 64);
      p_.program.poke(sessions[i] + 16, names[i]);
      p_.poke_text(names[i], "user number " + std::to_string(i));
      p_.program.poke(sessions[i] + 24, conns[i]);
      p_.program.poke(conns[i], uint64_t{1} << 32 | (7 + i));
      p_.program.poke(sessions[i] + 32, 1000 + i);
    }
  }
  std::vector<std::vector<Evidence>> ask() {
    const auto found = type_families(p_.inputs()).rows;
    return {found.begin(), found.end()};
  }

  TypingProgram p_;
  TypeId session_;
  TypeId conn_;
};

TEST_F(Typing, OneTypeOfAllFitsTheHeadAndNamesWhatItPointsAt) {
  declare_session();
  const auto sessions = p_.family(5, 48);
  const auto names = p_.family(5, 40, Shape::Text);
  const auto conns = p_.family(5, 8);
  link(sessions);
  fill_sessions(sessions, names, conns);
  const auto evidence = ask();
  ASSERT_NE(find_kind(evidence[0], EvidenceKind::Fit), nullptr);
  EXPECT_EQ(find_kind(evidence[0], EvidenceKind::Fit)->label, "struct session");
  EXPECT_EQ(find_kind(evidence[0], EvidenceKind::Fit)->type, session_);
  EXPECT_EQ(strongest_label(evidence[1]), "char[]");
  ASSERT_NE(find_kind(evidence[2], EvidenceKind::Pointed), nullptr);
  EXPECT_EQ(find_kind(evidence[2], EvidenceKind::Pointed)->label, "struct conn");
  EXPECT_EQ(find_kind(evidence[2], EvidenceKind::Pointed)->detail,
            "member `conn` of `struct session` points to such blocks");
}

TEST_F(Typing, TwoTypesThatFitAlikeAreNoAnswer) {
  declare_session();
  const TypeId other = p_.record("request", 48);
  p_.members(other, session_members(other));
  const auto sessions = p_.family(5, 48);
  const auto names = p_.family(5, 40, Shape::Text);
  const auto conns = p_.family(5, 8);
  link(sessions);
  fill_sessions(sessions, names, conns);
  const FamilyEvidence found = type_families(p_.inputs());
  EXPECT_TRUE(found.rows[FamilyId(0)].empty());
  EXPECT_TRUE(found.rows[FamilyId(2)].empty());
  const std::vector<FittingType>& fitting = found.fitting[FamilyId(0)];
  ASSERT_EQ(fitting.size(), 2U) << "but it is known that it is one of the two";
  EXPECT_EQ(fitting[0].score, fitting[1].score);
  EXPECT_TRUE((fitting[0].type == session_ && fitting[1].type == other) ||
              (fitting[0].type == other && fitting[1].type == session_));
}

TEST_F(Typing, OneStructThatUnitsDeclareTwiceIsOneAnswer) {
  declare_session();
  const TypeId again = p_.record("session", 48);
  p_.members(again, session_members(again));
  const auto sessions = p_.family(5, 48);
  const auto names = p_.family(5, 40, Shape::Text);
  const auto conns = p_.family(5, 8);
  link(sessions);
  fill_sessions(sessions, names, conns);
  EXPECT_EQ(strongest_label(ask()[0]), "struct session");
}

TEST_F(Typing, SizeAloneIsNoEvidence) {
  declare_session();
  const auto blocks = p_.family(5, 48);
  for (size_t i = 0; i < blocks.size(); ++i) p_.program.poke(blocks[i] + 32, 100 + i);
  EXPECT_TRUE(ask()[0].empty());
}

TEST_F(Typing, OneMemberThatCannotBeRefusesTheType) {
  declare_session();
  const auto sessions = p_.family(5, 48);
  const auto names = p_.family(5, 40, Shape::Text);
  const auto conns = p_.family(5, 8);
  link(sessions);
  fill_sessions(sessions, names, conns);
  for (const Addr session : sessions) p_.program.poke(session + 24, 0x123456789abcdef0);
  EXPECT_TRUE(ask()[0].empty());
}

TEST_F(Typing, LostBlocksLookLikeLiveOnes) {
  declare_session();
  const auto live = std::vector<Addr>{p_.program.block(48), p_.program.block(48)};
  const auto live_names = std::vector<Addr>{p_.program.block(40), p_.program.block(40)};
  const auto live_conns = std::vector<Addr>{p_.program.block(8), p_.program.block(8)};
  p_.program.poke(live[0], live[1]);
  fill_sessions(live, live_names, live_conns);
  p_.global_pointer("all", session_, live[0]);
  const auto lost = p_.family(3, 48);
  const auto names = p_.family(3, 40, Shape::Text);
  const auto conns = p_.family(3, 8);
  fill_sessions(lost, names, conns);
  const auto evidence = ask();
  const Evidence* const alike = find_kind(evidence[0], EvidenceKind::LooksLike);
  ASSERT_NE(alike, nullptr);
  EXPECT_EQ(alike->label, "struct session");
  EXPECT_EQ(alike->detail, "matches 2 live `struct session` objects");
  EXPECT_EQ(strongest_label(evidence[2]), "struct conn");
}

// Blocks of a pointer to a session and, perhaps, one to something else. A variable points at one.
class TypingPairs : public Typing {
 protected:
  std::string label(bool has_second) {
    declare_session();
    const auto live = std::vector<Addr>{p_.program.block(48)};
    const auto names = std::vector<Addr>{p_.program.block(40)};
    const auto conns = std::vector<Addr>{p_.program.block(8)};
    fill_sessions(live, names, conns);
    p_.global_pointer("session", session_, live[0]);
    p_.global_pointer("conn", conn_, conns[0]);
    const TypeId pointer = p_.pointer_to(session_);
    const auto pairs = p_.family(3, 24);
    for (const Addr pair : pairs) {
      p_.program.poke(pair, live[0]);
      if (has_second) p_.program.poke(pair + 8, conns[0]);
      p_.global_pointer("pair", pointer, pair);
    }
    return strongest_label(ask()[0]);
  }
};

TEST_F(TypingPairs, PointersMayEndBeforeTheBlock) {
  EXPECT_EQ(label(false), "array of struct session *");
}
TEST_F(TypingPairs, APointerToSomethingElseIsNoElement) { EXPECT_EQ(label(true), ""); }

TEST_F(Typing, ArraysAreCountedOrNot) {
  const TypeId point = p_.record("point", 24);
  p_.members(point, {{.offset = 0, .type = p_.floating(), .name = "x"},
                     {.offset = 8, .type = p_.floating(), .name = "y"},
                     {.offset = 16, .type = p_.pointer_to(p_.function()), .name = "draw"}});
  const TypeId shape = p_.record("shape", 40);
  p_.members(shape, {{.offset = 0, .type = p_.pointer_to(shape), .name = "next"},
                     {.offset = 8, .type = p_.pointer_to(point), .name = "fixed"},
                     {.offset = 16, .type = p_.pointer_to(point), .name = "varying"},
                     {.offset = 24, .type = p_.pointer_to(p_.function()), .name = "paint"},
                     {.offset = 32, .type = p_.floating(), .name = "area"}});
  const auto shapes = p_.family(3, 40);
  const auto fixed = p_.family(3, 12 * 24);
  std::vector<Addr> varying;
  for (uint64_t i = 0; i < 3; ++i) varying.push_back(p_.program.block((3 + 2 * i) * 24));
  p_.group(varying);
  link(shapes);
  for (size_t i = 0; i < 3; ++i) {
    p_.program.poke(shapes[i] + 8, fixed[i]);
    p_.program.poke(shapes[i] + 16, varying[i]);
    p_.program.poke(shapes[i] + 24, FakeProgram::kCode + 32);
    p_.program.poke(shapes[i] + 32, 0x4009000000000000);
  }
  const auto evidence = ask();
  EXPECT_EQ(strongest_label(evidence[0]), "struct shape");
  EXPECT_EQ(strongest_label(evidence[1]), "struct point[12]");
  EXPECT_EQ(strongest_label(evidence[2]), "array of struct point");
}

TEST_F(Typing, ABlockBiggerThanOneAndSmallerThanTwoIsSomethingElse) {
  const TypeId small = p_.record("small", 48);
  p_.members(small, {{.offset = 0, .type = p_.pointer_to(small), .name = "next"}});
  const auto lost = p_.family(2, 80);
  const auto live = p_.program.block(48);
  p_.global_pointer("head", small, live);
  p_.program.poke(live, lost[0]);
  p_.program.poke(lost[0], lost[1]);
  EXPECT_TRUE(ask()[0].empty());
}

TEST_F(Typing, PossibleBlocksAreNamedByTheVariablesThatLeadToThem) {
  declare_session();
  const auto blocks = p_.family(1, 48);
  p_.global_pointer("all", session_, blocks[0]);
  const auto evidence = ask();
  EXPECT_EQ(strongest_label(evidence[0]), "struct session");
  EXPECT_EQ(evidence[0][0].detail, "variable `all` points to such blocks");
}

TEST_F(Typing, VoidPointersGiveNoType) {
  const auto blocks = p_.family(1, 48);
  p_.global_pointer("cookie", TypeId::none(), blocks[0]);
  p_.record("anything", 48);
  EXPECT_TRUE(ask()[0].empty());
}

TEST_F(Typing, AStructWithATailTakesBlocksOfAnySize) {
  const TypeId message = p_.record("message", 16);
  p_.members(message, {{.offset = 0, .type = p_.pointer_to(message), .name = "next"},
                       {.offset = 8, .type = p_.pointer_to(p_.function()), .name = "send"},
                       {.offset = 16, .type = p_.array_of(p_.character(), 0), .name = "text"}});
  std::vector<Addr> blocks;
  for (const uint64_t size : {40U, 72U, 136U}) blocks.push_back(p_.program.block(size));
  p_.group(blocks);
  link(blocks);
  for (const Addr block : blocks) {
    p_.program.poke(block + 8, FakeProgram::kCode + 8);
    p_.poke_text(block + 16, "hello");
  }
  EXPECT_EQ(strongest_label(ask()[0]), "struct message");
}

TEST_F(Typing, NodesOfATreeAreFoundThroughTheirBase) {
  const TypeId base = p_.record("std::_Rb_tree_node_base", 32);
  p_.members(base, {{.offset = 0, .type = p_.integer(4), .name = "_M_color"},
                    {.offset = 8, .type = p_.pointer_to(base), .name = "_M_parent"},
                    {.offset = 16, .type = p_.pointer_to(base), .name = "_M_left"},
                    {.offset = 24, .type = p_.pointer_to(base), .name = "_M_right"}});
  const TypeId node = p_.record("std::_Rb_tree_node<std::pair<int const, Foo> >", 48);
  p_.members(node, {{.offset = 0, .type = base, .is_base = true},
                    {.offset = 32, .type = p_.integer(8), .name = "_M_storage"}});
  const TypeId tree = p_.record(
      "std::_Rb_tree<int, std::pair<int const, Foo>, std::_Select1st<std::pair<int const, Foo> >, "
      "std::less<int>, std::allocator<std::pair<int const, Foo> > >",
      48);
  p_.members(tree, {{.offset = 8, .type = base, .name = "_M_header"}});
  const auto blocks = p_.family(1, 48);
  const Addr at = p_.program.strong_root(uint64_t{0});
  for (int i = 0; i < 5; ++i) p_.program.strong_root(uint64_t{0});
  p_.program.poke(at + 16, blocks[0]);
  p_.program.poke(blocks[0] + 8, at + 8);
  p_.types.add_variable({"by_number", ModuleId(0), at, false, tree});
  EXPECT_EQ(strongest_label(ask()[0]), "struct std::_Rb_tree_node<std::pair<int const, Foo> >");
}

TEST_F(Typing, AUnionIsFollowedWhenOneArmFits) {
  declare_session();
  const TypeId choice = p_.record("choice", 8, TypeKind::Union);
  p_.members(choice, {{.offset = 0, .type = p_.pointer_to(conn_), .name = "conn"},
                      {.offset = 0, .type = p_.floating(), .name = "number"}});
  const TypeId value = p_.record("value", 24);
  p_.members(value, {{.offset = 0, .type = choice}});
  const auto conns = p_.family(1, 8);
  const auto live = p_.program.block(24);
  p_.program.poke(live, conns[0]);
  p_.program.poke(conns[0], 3);
  p_.global_pointer("value", value, live);
  EXPECT_EQ(strongest_label(ask()[0]), "struct conn");
}

TEST_F(Typing, AUnionWithTwoFittingArmsLeadsNowhere) {
  declare_session();
  const TypeId other = p_.record("other", 8);
  p_.members(other, {{.offset = 0, .type = p_.integer(8), .name = "number"}});
  const TypeId choice = p_.record("choice", 8, TypeKind::Union);
  p_.members(choice, {{.offset = 0, .type = p_.pointer_to(conn_), .name = "conn"},
                      {.offset = 0, .type = p_.pointer_to(other), .name = "other"}});
  const TypeId value = p_.record("value", 24);
  p_.members(value, {{.offset = 0, .type = choice}});
  const auto conns = p_.family(1, 8);
  const auto live = p_.program.block(24);
  p_.program.poke(live, conns[0]);
  p_.program.poke(conns[0], 3);
  p_.global_pointer("value", value, live);
  EXPECT_TRUE(ask()[0].empty());
}

TEST_F(Typing, ABlockOfPointersIsNamedByWhatTheyLeadTo) {
  declare_session();
  const auto sessions = p_.family(5, 48);
  const auto names = p_.family(5, 40, Shape::Text);
  const auto conns = p_.family(5, 8);
  const auto table = p_.family(1, 56, Shape::Pointers);
  fill_sessions(sessions, names, conns);
  link(sessions);
  for (size_t i = 0; i < sessions.size(); ++i) p_.program.poke(table[0] + 8 * i, sessions[i]);
  const auto evidence = ask();
  EXPECT_EQ(strongest_label(evidence[3]), "array of struct session *");
}

TEST_F(Typing, BlocksOfPointersToThisAndThatHaveNoName) {
  declare_session();
  const auto sessions = p_.family(5, 48);
  const auto names = p_.family(5, 40, Shape::Text);
  const auto conns = p_.family(5, 8);
  const auto table = p_.family(1, 72, Shape::Pointers);
  fill_sessions(sessions, names, conns);
  link(sessions);
  for (size_t i = 0; i < 4; ++i) {
    p_.program.poke(table[0] + 16 * i, sessions[i]);
    p_.program.poke(table[0] + 16 * i + 8, names[i]);
  }
  EXPECT_TRUE(ask()[3].empty());
}

TEST_F(Typing, AnArrayIsFitByWhatItsElementsHold) {
  const TypeId route = p_.record("route", 32);
  p_.members(route, {{.offset = 0, .type = p_.pointer_to(p_.character()), .name = "path"},
                     {.offset = 8, .type = p_.pointer_to(p_.function()), .name = "serve"},
                     {.offset = 16, .type = p_.floating(), .name = "weight"},
                     {.offset = 24, .type = p_.integer(8), .name = "hits"}});
  const Addr path = p_.program.block(40);
  p_.poke_text(path, "/index.html");
  std::vector<Addr> blocks;
  for (uint64_t i = 2; i < 6; ++i) {
    blocks.push_back(p_.program.block(32 * i));
    for (uint64_t element = 0; element < i; ++element) {
      const Addr at = blocks.back() + 32 * element;
      p_.program.poke(at, path);
      p_.program.poke(at + 8, FakeProgram::kCode + 16 * element);
      p_.program.poke(at + 16, 0x3ff8000000000000 + element);
    }
  }
  p_.group(blocks);
  EXPECT_EQ(strongest_label(ask()[0]), "array of struct route");
}

// struct order and struct offer: alike but for a member that is an enumeration of four values in
// one and a number in the other.
TEST_F(Typing, ANumberThatIsNoValueOfTheEnumerationSpeaksAgainstIt) {
  const TypeId state =
      p_.types.add({.kind = TypeKind::Enumeration, .size = 4, .name = "state", .count = 4});
  const TypeId text = p_.pointer_to(p_.character());
  for (const auto& [name, last] : {std::pair("order", state), std::pair("offer", p_.integer(4))}) {
    const TypeId id = p_.record(name, 40);
    p_.members(id, {{.offset = 0, .type = text, .name = "item"},
                    {.offset = 8, .type = text, .name = "buyer"},
                    {.offset = 16, .type = p_.pointer_to(p_.function()), .name = "done"},
                    {.offset = 32, .type = last, .name = "last"}});
  }
  const Addr name = p_.program.block(40);
  p_.poke_text(name, "a dozen eggs");
  const auto fill = [&](const std::vector<Addr>& blocks, uint64_t value) {
    for (const Addr block : blocks) {
      p_.program.poke(block, name);
      p_.program.poke(block + 8, name);
      p_.program.poke(block + 16, FakeProgram::kCode);
      p_.program.poke(block + 32, value++);
    }
  };
  const auto offers = p_.family(6, 40);
  const auto either = p_.family(2, 40);
  const auto marks = p_.family(2, 40);
  fill(offers, 900);
  fill(either, 2);
  fill(marks, 0xfffffffe);
  const auto evidence = ask();
  EXPECT_EQ(strongest_label(evidence[0]), "struct offer");
  EXPECT_EQ(strongest_label(evidence[1]), "");
  EXPECT_EQ(strongest_label(evidence[2]), "");
}

TEST_F(Typing, NodesOfAListAreNoArray) {
  const TypeId header = p_.record("header", 16);
  p_.members(header, {{.offset = 0, .type = p_.pointer_to(header), .name = "next"},
                      {.offset = 8, .type = p_.integer(8), .name = "kind"}});
  const auto blocks = p_.family(4, 32);
  p_.global_pointer("first", header, blocks[0]);
  for (size_t i = 0; i + 1 < blocks.size(); ++i) p_.program.poke(blocks[i], blocks[i + 1]);
  EXPECT_TRUE(ask()[0].empty());
}

TEST_F(Typing, AFewPointersDoNotNameAFamilyOfStrangers) {
  declare_session();
  const auto strangers = p_.family(40, 8);
  for (size_t i = 0; i < strangers.size(); ++i) p_.program.poke(strangers[i], 5 + i);
  p_.global_pointer("numbers", p_.integer(4), strangers[7]);
  EXPECT_TRUE(ask()[0].empty());
}

// Each could be an array of aliases, and a variable of a library leads to one of them.
TEST_F(Typing, OneVariableDoesNotNameManyBlocksAsArrays) {
  for (const size_t count : {8U, 200U}) {
    p_ = TypingProgram();
    const TypeId alias = p_.record("alias", 16);
    p_.members(alias, {{.offset = 0, .type = p_.pointer_to(p_.character()), .name = "alias"},
                       {.offset = 8, .type = p_.pointer_to(p_.character()), .name = "value"}});
    const auto texts = p_.family(3, 24, Shape::Text);
    for (const Addr text : texts) p_.poke_text(text, "a word or two");
    const auto arrays = p_.family(count, 72);
    for (const Addr array : arrays) {
      for (uint64_t at = 0; at < 64; at += 8) p_.program.poke(array + at, texts[at / 8 % 3]);
    }
    p_.global_pointer("map", alias, arrays[5]);
    EXPECT_EQ(find_kind(ask()[1], EvidenceKind::Pointed) != nullptr, count == 8) << count;
  }
}

TEST_F(Typing, MarksAreNoPointers) {
  declare_session();
  const TypeId other = p_.record("request", 48);
  auto members = session_members(other);
  members[4].type = p_.pointer_to(conn_);
  p_.members(other, std::move(members));
  const auto sessions = p_.family(5, 48);
  const auto names = p_.family(5, 40, Shape::Text);
  const auto conns = p_.family(5, 8);
  link(sessions);
  fill_sessions(sessions, names, conns);
  for (size_t i = 0; i < sessions.size(); ++i) p_.program.poke(sessions[i] + 32, i % 2);
  EXPECT_EQ(strongest_label(ask()[0]), "struct session");
}

TEST_F(Typing, ANewArraysCountIsNotPartOfIt) {
  declare_session();
  const auto blocks = p_.family(1, 8 + 3 * 48);
  p_.program.poke(blocks[0], 3);
  const TypeId pool = p_.record("pool", 16);
  p_.members(pool, {{.offset = 0, .type = p_.pointer_to(session_), .name = "sessions"}});
  const Addr live = p_.program.block(16);
  p_.global_pointer("pool", pool, live);
  p_.program.poke(live, blocks[0] + 8);
  const auto conns = p_.family(1, 8);
  p_.program.poke(blocks[0] + 8 + 24, conns[0]);
  p_.program.poke(conns[0], 5);
  EXPECT_EQ(strongest_label(ask()[1]), "struct conn");
}

// Where the program itself is not described, its own structs cannot be found among the types.
TEST_F(Typing, AForeignLibrarysTypeMustNameTheLibrary) {
  for (const bool is_foreign : {false, true}) {
    TypingProgram p;
    const TypeId path = p.types.add({.kind = TypeKind::Struct,
                                     .size = 40,
                                     .name = "search_path",
                                     .module = is_foreign ? ModuleId(0) : ModuleId::none()});
    p.members(path, {{.offset = 0, .type = p.pointer_to(path), .name = "next"},
                     {.offset = 8, .type = p.pointer_to(p.character()), .name = "what"},
                     {.offset = 16, .type = p.pointer_to(p.character()), .name = "where"},
                     {.offset = 24, .type = p.integer(8), .name = "length"},
                     {.offset = 32, .type = p.integer(8), .name = "status"}});
    const auto blocks = p.family(5, 40);
    const Addr text = p.program.block(40);
    p.poke_text(text, "/usr/lib/somewhere");
    for (size_t i = 0; i < blocks.size(); ++i) {
      p.program.poke(blocks[i], blocks[(i + 1) % blocks.size()]);
      p.program.poke(blocks[i] + 8, text);
      p.program.poke(blocks[i] + 16, text);
    }
    const auto evidence = type_families(p.inputs()).rows;
    EXPECT_EQ(strongest_label(evidence[FamilyId(0)]), is_foreign ? "" : "struct search_path");
  }
}

TEST_F(Typing, AnotherWordThanTheTypeHasSpeaksAgainstIt) {
  const TypeId list = p_.record("list", 16);
  p_.members(list, {{.offset = 0, .type = p_.pointer_to(list), .name = "next"},
                    {.offset = 8, .type = p_.pointer_to(p_.function()), .name = "call"}});
  const TypeId counted = p_.record("counted_list", 24);
  p_.members(counted, {{.offset = 0, .type = p_.pointer_to(counted), .name = "next"},
                       {.offset = 8, .type = p_.pointer_to(p_.function()), .name = "call"},
                       {.offset = 16, .type = p_.integer(8), .name = "count"}});
  const auto blocks = p_.family(5, 24);
  link(blocks);
  for (size_t i = 0; i < blocks.size(); ++i) {
    p_.program.poke(blocks[i] + 8, FakeProgram::kCode + 16);
    p_.program.poke(blocks[i] + 16, 3 + i);
  }
  EXPECT_EQ(strongest_label(ask()[0]), "struct counted_list");
}

TEST_F(Typing, HostileTypesCostNothing) {
  const TypeId huge = p_.record("huge", uint64_t{1} << 60);
  p_.members(huge, {{.offset = 0, .type = p_.array_of(p_.pointer_to(huge), uint64_t{1} << 56)}});
  const TypeId wide = p_.record("wide", 48);
  const TypeId number = p_.integer(1);
  std::vector<Member> many(1'000'000, Member{.offset = 3, .type = number, .name = "x"});
  p_.members(wide, std::move(many));
  TypeId nested = p_.record("nested", 48);
  for (int level = 0; level < 60; ++level) {
    const TypeId outer = p_.record("nested", 48, TypeKind::Union);
    p_.members(outer, {{.offset = 0, .type = nested}, {.offset = 0, .type = nested}});
    nested = outer;
  }
  const auto blocks = p_.family(4, 48);
  link(blocks);
  p_.global_pointer("huge", huge, blocks[0]);
  p_.global_pointer("wide", wide, blocks[1]);
  p_.global_pointer("nested", nested, blocks[2]);
  EXPECT_EQ(strongest_label(ask()[0]).find("huge"), std::string::npos);
}

TEST_F(Typing, ManyTypesThatSayNothingCostLittle) {
  std::vector<Member> numbers;
  const TypeId number = p_.integer(2);
  for (uint64_t i = 0; i < 500; ++i)
    numbers.push_back({.offset = 2 * i, .type = number, .name = "n"});
  for (int i = 0; i < 1500; ++i) {
    const TypeId type = p_.record("numbers" + std::to_string(i), 1000);
    p_.members(type, numbers);
  }
  for (int i = 0; i < 40; ++i) {
    const auto blocks = p_.family(24, 1000);
    for (const Addr block : blocks) p_.program.poke(block, 1);
  }
  for (const auto& evidence : ask()) EXPECT_TRUE(evidence.empty());
}

TEST_F(Typing, TheAnswerIsTheSameTwice) {
  declare_session();
  const auto sessions = p_.family(5, 48);
  const auto names = p_.family(5, 40, Shape::Text);
  const auto conns = p_.family(5, 8);
  link(sessions);
  fill_sessions(sessions, names, conns);
  const Inputs& inputs = p_.inputs();
  const auto one = type_families(inputs).rows;
  const auto two = type_families(inputs).rows;
  for (size_t i = 0; i < one.size(); ++i) {
    const auto& a = one[FamilyId(i)];
    const auto& b = two[FamilyId(i)];
    ASSERT_EQ(a.size(), b.size());
    for (size_t j = 0; j < a.size(); ++j) {
      EXPECT_EQ(a[j].label, b[j].label);
      EXPECT_EQ(a[j].detail, b[j].detail);
    }
  }
}

TEST_F(Typing, NothingIsSaidWithoutTypes) {
  p_.family(2, 48);
  EXPECT_TRUE(ask()[0].empty());
}

// struct item {long kind; void *data;}, in one request with the bytes its member leads to.
class TypingItems : public Typing {
 protected:
  TypingItems() {
    item_ = p_.record("item", 16);
    p_.members(item_, {{.offset = 0, .type = p_.integer(8), .name = "kind"},
                       {.offset = 8, .type = p_.pointer_to(TypeId::none()), .name = "data"}});
    // Of the size of the whole request, and nothing contradicts it.
    p_.members(p_.record("counters", 40), {{.offset = 0, .type = p_.integer(8), .name = "in"},
                                           {.offset = 8, .type = p_.integer(8), .name = "out"}});
    p_.global_pointer("items", item_, Addr());
  }
  void fill(const std::vector<Addr>& items, uint64_t rest) {
    for (size_t i = 0; i < items.size(); ++i) {
      p_.program.poke(items[i], 3 + i % 2);
      p_.program.poke(items[i] + 8, items[i] + rest);
      p_.poke_text(items[i] + 24, "text " + std::to_string(i));
    }
  }
  TypeId item_;
};

TEST_F(TypingItems, AStructInOneRequestWithWhatItsMemberLeadsTo) {
  const auto items = p_.family(6, 40);
  fill(items, 19);
  EXPECT_EQ(strongest_label(ask()[0]), "struct item");
}

TEST_F(TypingItems, FewOfThemMayHaveRoomThatMallocDidNotSplitOff) {
  const auto items = p_.family(6, 40);
  fill(items, 19);
  const Addr elsewhere = p_.program.block(72);
  p_.program.poke(items[2] + 8, elsewhere + 24);
  EXPECT_EQ(strongest_label(ask()[0]), "struct item");
}

TEST_F(TypingItems, APointerFarIntoTheBlockDoesNotEndTheStruct) {
  const auto items = p_.family(6, 72);
  fill(items, 48);
  EXPECT_EQ(strongest_label(ask()[0]), "");
}

}  // namespace
}  // namespace heapscan
