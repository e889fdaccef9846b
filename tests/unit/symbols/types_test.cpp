#include "heapscan/symbols/types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heapscan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class TypesTest : public testing::Test {
 protected:
  TypeId integer() { return builder_.add({.kind = TypeKind::Integer, .size = 4, .name = "int"}); }
  TypeId pointer_to(TypeId target) {
    return builder_.add({.kind = TypeKind::Pointer, .size = 8, .target = target});
  }
  TypeId array_of(TypeId element, uint64_t count) {
    return builder_.add({.kind = TypeKind::Array, .target = element, .count = count});
  }
  TypeId record(std::string name, uint64_t size) {
    return builder_.add({.kind = TypeKind::Struct, .size = size, .name = std::move(name)});
  }
  TypesBuilder builder_;
};

TEST_F(TypesTest, SpellsTypesAsCDoes) {
  const TypeId number = integer();
  const TypeId session = record("session", 24);
  const TypeId parser =
      builder_.add({.kind = TypeKind::Struct, .size = 8, .name = "ns::Parser", .is_class = true});
  const TypeId nameless = builder_.add({.kind = TypeKind::Union, .size = 8});
  const TypeId matrix = array_of(array_of(number, 4), 3);
  const TypeId pointers = array_of(pointer_to(session), 2);
  const TypeId to_array = pointer_to(array_of(number, 4));
  const TypeId to_void = pointer_to(TypeId::none());
  const TypeId handler = pointer_to(builder_.add({.kind = TypeKind::Function}));
  const TypeId flexible = array_of(number, 0);
  const Types types = builder_.freeze();
  EXPECT_EQ(types.spelled(session), "struct session");
  EXPECT_EQ(types.spelled(parser), "ns::Parser");
  EXPECT_EQ(types.spelled(nameless), "union {...}");
  EXPECT_EQ(types.spelled(matrix), "int [3][4]");
  EXPECT_EQ(types.spelled(pointers), "struct session *[2]");
  EXPECT_EQ(types.spelled(to_array), "int (*)[4]");
  EXPECT_EQ(types.spelled(to_void), "void *");
  EXPECT_EQ(types.spelled(handler), "function *");
  EXPECT_EQ(types.spelled(flexible), "int []");
  EXPECT_EQ(types.spelled(TypeId::none()), "void");
}

TEST_F(TypesTest, APointerToItselfIsSpelledForAWhile) {
  const TypeId pointer = pointer_to(TypeId(0));
  const Types types = builder_.freeze();
  EXPECT_EQ(types.spelled(pointer), "...********");
}

TEST_F(TypesTest, RecordsAreSortedAndFoundByName) {
  const TypeId big = record("node", 64);
  const TypeId small = record("node", 16);
  const TypeId other = record("a", 16);
  (void)record("declared", 0);
  (void)integer();
  const Types types = builder_.freeze();
  EXPECT_THAT(types.records(), ElementsAre(other, small, big));
  EXPECT_THAT(types.named("node"), ElementsAre(big, small));
  EXPECT_THAT(types.named("declared"), IsEmpty());
  EXPECT_THAT(types.named("nod"), IsEmpty());
}

TEST_F(TypesTest, MembersMayNameTypesAddedLater) {
  const TypeId list = record("list", 16);
  const TypeId next = pointer_to(list);
  builder_.set_members(list, {{.offset = 0, .type = next, .name = "next"},
                              {.offset = 8, .type = integer(), .name = "value"}});
  const Types types = builder_.freeze();
  ASSERT_EQ(types.members(list).size(), 2U);
  EXPECT_EQ(types.members(list)[0].name, "next");
  EXPECT_EQ(types.type(types.members(list)[0].type).target, list);
}

TEST_F(TypesTest, WhatLiesOutsideIsTakenOut) {
  const TypeId number = integer();
  const TypeId type = record("session", 8);
  const TypeId tail = array_of(number, 0);
  builder_.set_members(type, {{.offset = 0, .type = number, .name = "in"},
                              {.offset = 6, .type = number, .name = "sticks out"},
                              {.offset = 9, .name = "beyond"},
                              {.offset = ~uint64_t{0}, .type = number, .name = "far"},
                              {.offset = 4, .type = TypeId(1000), .name = "dangling"},
                              {.offset = 8, .type = tail, .name = "tail"}});
  builder_.add_variable({.name = "v", .type = TypeId(1000)});
  builder_.add_local({.name = "l", .type = TypeId(1000)});
  const TypeId pointer = pointer_to(TypeId(1000));
  const Types types = builder_.freeze();
  std::vector<std::string> names;
  for (const Member& member : types.members(type)) names.push_back(member.name);
  EXPECT_THAT(names, ElementsAre("in", "dangling", "tail"));
  EXPECT_FALSE(types.members(type)[1].type.valid());
  EXPECT_FALSE(types.variables()[0].type.valid());
  EXPECT_FALSE(types.locals()[0].type.valid());
  EXPECT_FALSE(types.type(pointer).target.valid());
}

TEST_F(TypesTest, NothingContainsItself) {
  const TypeId self = record("self", 8);
  builder_.set_members(self, {{.offset = 0, .type = self, .name = "me"}});
  const TypeId a = record("a", 8);
  const TypeId b = record("b", 8);
  builder_.set_members(a, {{.offset = 0, .type = b, .name = "b"}});
  builder_.set_members(b, {{.offset = 0, .type = a, .name = "a"}});
  const TypeId array = builder_.add({.kind = TypeKind::Array, .size = 8, .count = 1});
  builder_.set_type(array, {.kind = TypeKind::Array, .size = 8, .target = array, .count = 1});
  const Types types = builder_.freeze();
  EXPECT_FALSE(types.members(self)[0].type.valid());
  EXPECT_TRUE(types.members(a)[0].type.valid());
  EXPECT_FALSE(types.members(b)[0].type.valid());
  EXPECT_FALSE(types.type(array).target.valid());
}

TEST_F(TypesTest, NestingIsBounded) {
  TypeId inner = record("innermost", 8);
  const TypeId innermost = inner;
  TypeId outer;
  for (int i = 0; i < 100'000; ++i) {
    outer = record("", 8);
    builder_.set_members(outer, {{.offset = 0, .type = inner}});
    inner = outer;
  }
  const Types types = builder_.freeze();
  const auto depth_of = [&](TypeId id) {
    int depth = 0;
    for (; types.type(id).members != 0 && types.members(id)[0].type.valid(); ++depth)
      id = types.members(id)[0].type;
    return depth;
  };
  for (size_t i = 0; i < types.size(); ++i) ASSERT_LT(depth_of(TypeId(i)), 64);
  EXPECT_EQ(depth_of(TypeId(innermost.index() + 63)), 63);
}

TEST_F(TypesTest, ArraysHoldWhatTheirSizeAllows) {
  const TypeId number = integer();
  const TypeId sized = array_of(number, 10);
  const TypeId boasting =
      builder_.add({.kind = TypeKind::Array, .size = 16, .target = number, .count = 1'000'000});
  const TypeId of_nothing = array_of(record("declared", 0), ~uint64_t{0});
  const TypeId outer = builder_.add({.kind = TypeKind::Array, .count = 3});
  builder_.set_type(outer, {.kind = TypeKind::Array, .target = array_of(number, 5), .count = 3});
  const Types types = builder_.freeze();
  EXPECT_EQ(types.type(outer).size, 60U) << "whichever comes first";
  EXPECT_EQ(types.type(sized).size, 40U);
  EXPECT_EQ(types.type(boasting).count, 4U);
  EXPECT_EQ(types.type(of_nothing).count, 0U);
}

TEST_F(TypesTest, VariablesAreSortedByPlace) {
  builder_.add_variable({.name = "c", .module = ModuleId(1), .address = Addr(8)});
  builder_.add_variable({.name = "b", .module = ModuleId(0), .address = Addr(32)});
  builder_.add_variable({.name = "a", .module = ModuleId(0), .address = Addr(16)});
  const Types types = builder_.freeze();
  std::vector<std::string> names;
  for (const Variable& variable : types.variables()) names.push_back(variable.name);
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace heapscan
