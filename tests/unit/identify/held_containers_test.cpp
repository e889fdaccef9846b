// Which blocks are a container's, and how many entries it has: types and words made by hand.
#include "heapscan/identify/held_containers.h"

#include <gtest/gtest.h>

#include <array>

#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"
#include "identify/typed_containers.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

// A server in a variable: a map at +8 and a list at +56, as libstdc++ lays them out.
class HeldContainersTest : public testing::Test {
 protected:
  HeldContainersTest() {
    number_ = builder_.add({.kind = TypeKind::Integer, .size = 8, .name = "long"});
    map_ = builder_.add({.kind = TypeKind::Struct, .size = 48, .name = "std::map<int, long>"});
    list_ =
        builder_.add({.kind = TypeKind::Struct, .size = 24, .name = "std::__cxx11::list<long>"});
    server_ = builder_.add({.kind = TypeKind::Struct, .size = 80, .name = "Server"});
    builder_.set_members(server_, {{.offset = 0, .type = number_, .name = "started"},
                                   {.offset = 8, .type = map_, .name = "sessions"},
                                   {.offset = 56, .type = list_, .name = "log"}});
  }
  // A block of 40 bytes that three words of its own tie to others.
  Addr node(std::initializer_list<Addr> links) {
    const Addr at = program_.block(40);
    uint64_t offset = 0;
    for (const Addr link : links) program_.poke(at + 8 * offset++, link);
    return at;
  }
  HeldContainers find(Types types) {
    types_ = std::move(types);
    world_ = program_.build();
    graph_ = build_live_graph(world_.image, world_.heap, world_.roots, world_.trace());
    NamedRoots roots;
    roots.groups.owners = 1;
    roots.rows.push_back({"server", Addr(FakeProgram::kStrong), server_});
    roots.groups.owner_of.push_back(RootOwnerId(0));
    roots.groups.group_of.assign(graph_.root_pointers().size(), RootGroupId(0));
    retained_ = find_retained(world_.image, world_.heap, graph_, roots.groups);
    return find_held_containers(world_.image, Symbols(), world_.heap, types_, Clusters(),
                                Identities(), roots, graph_, retained_);
  }
  // The member whose container the block belongs to; empty: none.
  [[nodiscard]] std::string member_of(const HeldContainers& held, Addr block) const {
    const auto row = retained_.row_of(world_.heap.block_at(block));
    if (!row || held.of_row.empty() || held.of_row[*row] == 0) return "";
    return held.places[held.instances[held.of_row[*row] - 1].place].container.member;
  }

  TypesBuilder builder_;
  TypeId number_;
  TypeId map_;
  TypeId list_;
  TypeId server_;
  FakeProgram program_;
  FakeProgram::World world_;
  Types types_;
  LiveGraph graph_;
  Retained retained_;
};

TEST_F(HeldContainersTest, MembersOfMembersWithTheirNames) {
  const TypeId outer = builder_.add({.kind = TypeKind::Struct, .size = 96, .name = "Site"});
  builder_.set_members(outer, {{.offset = 16, .type = server_, .name = "server"}});
  const Types types = builder_.freeze();
  const auto found = containers_in(types, outer);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].member, "server.sessions");
  EXPECT_EQ(found[0].offset, 24U);
  EXPECT_EQ(found[1].member, "server.log");
  EXPECT_EQ(containers_in(types, map_).front().member, "");
  EXPECT_TRUE(containers_in(types, number_).empty());
}

TEST_F(HeldContainersTest, NodesBelongToTheContainerTheyAreReachedFrom) {
  const Addr right = node({});
  const Addr left = node({});
  const Addr top = node({left, right});
  program_.poke(left, top);
  program_.poke(right, top);
  const Addr last = node({});
  const Addr inner = node({last});
  const Addr first = node({inner});
  program_.poke(last + 8, inner);
  program_.poke(inner + 8, first);
  const Addr other = node({});
  // started, compare, colour, parent, left, right, count; next, previous, size
  for (const uint64_t word : {other.value, uint64_t{0}, uint64_t{0}, top.value, left.value,
                              right.value, uint64_t{3}, first.value, last.value, uint64_t{3}})
    program_.strong_root(word);
  const HeldContainers held = find(builder_.freeze());
  for (const Addr at : {top, left, right}) EXPECT_EQ(member_of(held, at), "sessions");
  for (const Addr at : {first, inner, last}) EXPECT_EQ(member_of(held, at), "log");
  EXPECT_EQ(member_of(held, other), "");
  ASSERT_EQ(held.instances.size(), 2U);
  EXPECT_EQ(held.instances[0].entries, 3U);
  EXPECT_EQ(held.instances[1].entries, 3U);
}

TEST_F(HeldContainersTest, WhatTwoContainersGetAtBelongsToNone) {
  const Addr shared = node({});
  const Addr top = node({shared});
  const Addr first = node({shared});
  for (const uint64_t word : {uint64_t{0}, uint64_t{0}, uint64_t{0}, top.value, top.value,
                              top.value, uint64_t{1}, first.value, first.value, uint64_t{1}})
    program_.strong_root(word);
  const HeldContainers held = find(builder_.freeze());
  EXPECT_EQ(member_of(held, top), "sessions");
  EXPECT_EQ(member_of(held, first), "log");
  EXPECT_EQ(member_of(held, shared), "");
}

// ---- in the elements of arrays ------------------------------------------------------------------

TEST_F(HeldContainersTest, ArraysOfArraysAreToldAsOne) {
  const TypeId row =
      builder_.add({.kind = TypeKind::Array, .size = 72, .target = list_, .count = 3});
  const TypeId rows =
      builder_.add({.kind = TypeKind::Array, .size = 144, .target = row, .count = 2});
  const TypeId servers =
      builder_.add({.kind = TypeKind::Array, .size = 160, .target = server_, .count = 2});
  const Types types = builder_.freeze();
  const auto nested = containers_in(types, rows);
  ASSERT_EQ(nested.size(), 1U);
  EXPECT_EQ(nested[0].member, "[][]");
  EXPECT_EQ(nested[0].count, 6U);
  EXPECT_EQ(nested[0].stride, 24U);
  EXPECT_TRUE(nested[0].is_nested);
  const auto members = containers_in(types, servers);
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[1].member, "[].log");
  EXPECT_EQ(members[1].offset, 56U);
  EXPECT_EQ(members[1].count, 2U);
  EXPECT_EQ(members[1].stride, 80U);
  EXPECT_FALSE(members[1].is_nested);
}

TEST_F(HeldContainersTest, EachElementHasItsOwnEntries) {
  server_ = builder_.add({.kind = TypeKind::Array, .size = 72, .target = list_, .count = 3});
  const std::array<Addr, 3> nodes{node({}), node({}), node({})};
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const uint64_t word : {nodes[i].value, nodes[i].value, 1 + uint64_t{i}})
      program_.strong_root(word);
  }
  const HeldContainers held = find(builder_.freeze());
  ASSERT_EQ(held.instances.size(), 3U);
  for (size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_EQ(member_of(held, nodes[i]), "[]");
    EXPECT_EQ(held.instances[i].element, i);
    EXPECT_EQ(held.instances[i].entries, 1 + i);
  }
}

TEST_F(HeldContainersTest, ElementsOfStdArrayHaveNoNameOfTheirOwn) {
  const TypeId elements =
      builder_.add({.kind = TypeKind::Array, .size = 48, .target = list_, .count = 2});
  const TypeId array = builder_.add(
      {.kind = TypeKind::Struct, .size = 48, .name = "std::array<std::list<long>, 2>"});
  builder_.set_members(array, {{.offset = 0, .type = elements, .name = "_M_elems"}});
  const TypeId site = builder_.add({.kind = TypeKind::Struct, .size = 56, .name = "Site"});
  builder_.set_members(site, {{.offset = 8, .type = array, .name = "logs"}});
  const auto found = containers_in(builder_.freeze(), site);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].member, "logs[]");
  EXPECT_EQ(found[0].offset, 8U);
}

// As debug information may claim of any variable.
TEST_F(HeldContainersTest, AnArrayThatIsLongerThanItsMemoryHasUnknownEntries) {
  constexpr uint64_t kCount = uint64_t{1} << 30;
  server_ = builder_.add(
      {.kind = TypeKind::Array, .size = 24 * kCount, .target = list_, .count = kCount});
  const Addr first = node({});
  for (const uint64_t word : {first.value, first.value, uint64_t{5}}) program_.strong_root(word);
  const HeldContainers held = find(builder_.freeze());
  EXPECT_EQ(member_of(held, first), "[]");
  ASSERT_EQ(held.instances.size(), 1U);
  EXPECT_FALSE(held.instances[0].entries);
}

TEST_F(HeldContainersTest, WhatIsWholeBesideSuchAnArrayIsKnown) {
  constexpr uint64_t kCount = uint64_t{1} << 20;
  const TypeId logs = builder_.add(
      {.kind = TypeKind::Array, .size = 24 * kCount, .target = list_, .count = kCount});
  server_ = builder_.add({.kind = TypeKind::Struct, .size = 24 + 24 * kCount, .name = "Site"});
  builder_.set_members(server_, {{.offset = 0, .type = list_, .name = "jobs"},
                                 {.offset = 24, .type = logs, .name = "logs"}});
  const Addr job = node({});
  const Addr line = node({});
  for (const Addr at : {job, line}) {
    for (const uint64_t word : {at.value, at.value, uint64_t{1}}) program_.strong_root(word);
  }
  const HeldContainers held = find(builder_.freeze());
  ASSERT_EQ(held.instances.size(), 2U);
  EXPECT_EQ(member_of(held, job), "jobs");
  EXPECT_EQ(held.instances[0].entries, 1U);
  EXPECT_EQ(member_of(held, line), "logs[]");
  EXPECT_FALSE(held.instances[1].entries);
}

// Of a list of sessions each has a list of its own: {next, previous, {id, log}}.
TEST_F(HeldContainersTest, ContainersInTheValuesOfAContainer) {
  const TypeId session = builder_.add({.kind = TypeKind::Struct, .size = 32, .name = "Session"});
  builder_.set_members(session, {{.offset = 0, .type = number_, .name = "id"},
                                 {.offset = 8, .type = list_, .name = "log"}});
  const TypeId sessions =
      builder_.add({.kind = TypeKind::Struct,
                    .size = 24,
                    .name = "std::__cxx11::list<Session, std::allocator<Session> >"});
  builder_.set_members(server_, {{.offset = 0, .type = sessions, .name = "sessions"}});
  std::vector<Addr> outer;
  std::vector<Addr> inner;
  for (size_t i = 0; i < 3; ++i) {
    outer.push_back(program_.block(56));
    inner.push_back(node({}));
    program_.poke(outer[i] + 24, inner[i]);
    program_.poke(outer[i] + 32, inner[i]);
    program_.poke(outer[i] + 40, uint64_t{1});
    if (i == 0) continue;
    program_.poke(outer[i - 1], outer[i]);
    program_.poke(outer[i] + 8, outer[i - 1]);
  }
  for (const uint64_t word : {outer.front().value, outer.back().value, uint64_t{3}})
    program_.strong_root(word);
  const HeldContainers held = find(builder_.freeze());
  for (const Addr at : outer) EXPECT_EQ(member_of(held, at), "sessions");
  for (const Addr at : inner) EXPECT_EQ(member_of(held, at), "log");
  EXPECT_EQ(held.instances.size(), 4U);
}

TEST_F(HeldContainersTest, MoreEntriesThanBlocksAreNotBelieved) {
  const Addr top = node({});
  for (const uint64_t word : {uint64_t{0}, uint64_t{0}, uint64_t{0}, top.value, top.value,
                              top.value, uint64_t{1} << 40, uint64_t{0}, uint64_t{0}, uint64_t{0}})
    program_.strong_root(word);
  const HeldContainers held = find(builder_.freeze());
  ASSERT_EQ(held.instances.size(), 1U);
  EXPECT_EQ(held.instances[0].entries, std::nullopt);
}

TEST_F(HeldContainersTest, AVectorCountsByTheSizeOfItsElements) {
  const TypeId element = builder_.add({.kind = TypeKind::Struct, .size = 24, .name = "Point"});
  const TypeId pointer = builder_.add({.kind = TypeKind::Pointer, .size = 8, .target = element});
  const TypeId data = builder_.add({.kind = TypeKind::Struct, .size = 24, .name = "data"});
  builder_.set_members(data, {{.offset = 0, .type = pointer, .name = "_M_start"}});
  const TypeId vector =
      builder_.add({.kind = TypeKind::Struct, .size = 24, .name = "std::vector<Point>"});
  builder_.set_members(vector, {{.offset = 0, .type = data, .name = "_M_impl"}});
  const Addr elements = program_.block(264);
  for (const uint64_t end : {uint64_t{0}, uint64_t{7 * 24}, uint64_t{10 * 24}})
    program_.strong_root(elements.value + end);
  const Types types = builder_.freeze();
  world_ = program_.build();
  EXPECT_EQ(entries_of(world_.image, world_.heap, types, vector, Addr(FakeProgram::kStrong)), 7U);
  EXPECT_EQ(entries_of(world_.image, world_.heap, types, element, Addr(FakeProgram::kStrong)),
            std::nullopt);
}

}  // namespace
}  // namespace heapscan
