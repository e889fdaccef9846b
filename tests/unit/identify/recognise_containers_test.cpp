#include "identify/families/rounds.h"
#include "identify/recognisers/recognisers.h"

#include "unit/identify/recogniser_world.h"

namespace heapscan {
namespace {

class RecogniseContainers : public testing::Test {
 protected:
  RecogniseContainers() { world_.symbol("__gxx_personality_v0", Addr(FakeProgram::kCode + 0xf00)); }

  Addr block(const std::vector<uint64_t>& words, uint64_t size = 0) {
    const Addr begin = world_.program.block(std::max<uint64_t>(size, 8 * words.size()));
    poke(begin, words);
    return begin;
  }
  void poke(Addr at, const std::vector<uint64_t>& words) {
    for (size_t i = 0; i < words.size(); ++i) world_.program.poke(at + 8 * i, words[i]);
  }

  // One label per family; `owner` says what the first family is.
  std::vector<std::string> labels(const std::string& owner = "Owner") {
    const Inputs& inputs = world_.inputs();
    Column<FamilyId, std::vector<Evidence>> known(inputs.families.rows.size());
    Evidence of_owner;
    of_owner.kind = EvidenceKind::Vtable;
    of_owner.label = owner;
    known[FamilyId(0)] = {of_owner};
    std::vector<std::string> result;
    for (const auto& evidence : recognise_containers(inputs, known))
      result.push_back(evidence ? evidence->label : "");
    return result;
  }

  RecogniserWorld world_;
};

TEST_F(RecogniseContainers, StringsAndVectorsOwnTheirStorage) {
  const Addr text = block({0x2074736f686e6961, 0x6e616d65, 0, 0, 0});
  const Addr elements = block({1, 2, 3, 0, 0});
  const Addr owner = block(
      {7, text.value, 12, 38, 0, elements.value, (elements + 24).value, (elements + 40).value, 0});
  world_.family({owner});
  world_.family({text}, Shape::Text);
  world_.family({elements});
  EXPECT_EQ(labels(), (std::vector<std::string>{"", "text of std::string in Owner at +0x8",
                                                "elements of std::vector in Owner at +0x28"}));
}

TEST_F(RecogniseContainers, StorageThatIsNotAllTheirsIsNotNamed) {
  const Addr mine = block({0x2074736f686e6961, 0x6e616d65, 0, 0, 0});
  const Addr other = block({0x2074736f686e6961, 0x6e616d65, 0, 0, 0});
  const Addr owner = block({mine.value, 12, 38, 0, other.value});
  world_.family({owner});
  world_.family({mine, other}, Shape::Text);
  EXPECT_EQ(labels(), (std::vector<std::string>{"", ""}));
}

// Containers are looked for in some of the owners, and found in all.
TEST_F(RecogniseContainers, WhatNoSampleOwnsIsStillNamed) {
  std::vector<Addr> owners;
  std::vector<Addr> texts;
  for (int i = 0; i < 64; ++i) {
    texts.push_back(block({0x2074736f686e6961, 0x6e616d65, 0, 0, 0}));
    owners.push_back(block({7, texts.back().value, 12, 38, 0}));
  }
  const Addr lonely = texts[33];
  texts.erase(texts.begin() + 33);
  world_.family(owners);
  world_.family(texts, Shape::Text);
  world_.family({lonely}, Shape::Text);
  EXPECT_EQ(labels(), (std::vector<std::string>{"", "text of std::string in Owner at +0x8",
                                                "text of std::string in Owner at +0x8"}));
}

TEST_F(RecogniseContainers, ACapacityThatDoesNotFillItsBlockIsNone) {
  const Addr text = block({0x2074736f686e6961, 0x6e616d65}, 200);
  const Addr open = block({0x2074736f686e6961, 0x6e616d6520202020}, 40);
  const Addr owner = block({text.value, 12, 38, 0, open.value, 12, 38, 0});
  world_.family({owner});
  world_.family({text}, Shape::Text);
  world_.family({open}, Shape::Text);  // no NUL where it should end
  EXPECT_EQ(labels(), (std::vector<std::string>{"", "", ""}));
}

TEST_F(RecogniseContainers, TreesAreTiedToParentsAndChildren) {
  const Addr owner = block(std::vector<uint64_t>(7, 0));
  const Addr header = owner + 16;
  std::vector<Addr> nodes;
  for (int i = 0; i < 3; ++i) nodes.push_back(block(std::vector<uint64_t>(6, 0)));
  poke(header, {0, nodes[1].value, nodes[0].value, nodes[2].value, 3});
  poke(nodes[1], {1, header.value, nodes[0].value, nodes[2].value});
  poke(nodes[0], {0, nodes[1].value});
  poke(nodes[2], {0, nodes[1].value});
  world_.family({owner});
  world_.family(nodes);
  EXPECT_EQ(labels(), (std::vector<std::string>{"", "node of std::map or set in Owner at +0x10"}));
}

TEST_F(RecogniseContainers, ListsAreRingsThroughTheirOwner) {
  const Addr owner = block({7, 0, 0, 2, 0});
  const Addr head = owner + 8;
  const Addr a = block({0, 0, 5});
  const Addr b = block({0, 0, 6});
  poke(head, {a.value, b.value, 2});
  poke(a, {b.value, head.value});
  poke(b, {head.value, a.value});
  world_.family({owner});
  world_.family({a, b});
  EXPECT_EQ(labels(), (std::vector<std::string>{"", "node of std::list in Owner at +0x8"}));
}

TEST_F(RecogniseContainers, AListOfAnotherLengthIsNone) {
  const Addr owner = block({7, 0, 0, 3, 0});
  const Addr head = owner + 8;
  const Addr a = block({0, 0, 5});
  const Addr b = block({0, 0, 6});
  poke(head, {a.value, b.value, 3});
  poke(a, {b.value, head.value});
  poke(b, {head.value, a.value});
  world_.family({owner});
  world_.family({a, b});
  EXPECT_EQ(labels(), (std::vector<std::string>{"", ""}));
}

TEST_F(RecogniseContainers, HashTablesHaveBucketsAndAChain) {
  const Addr c = block({0, 30});
  const Addr b = block({c.value, 20});
  const Addr a = block({b.value, 10});
  const Addr buckets = block({0, 0, 0, 0, 0});
  const Addr owner = block({buckets.value, 5, a.value, 3, 0x3f800000, 5, 0});
  world_.family({owner});
  world_.family({a, b, c});
  world_.family({buckets});
  EXPECT_EQ(labels(), (std::vector<std::string>{"", "node of std::unordered_map in Owner at +0x0",
                                                "buckets of std::unordered_map in Owner at +0x0"}));
}

TEST_F(RecogniseContainers, DequesHaveAMapOfChunks) {
  const Addr first = block({}, 512);
  const Addr second = block({}, 512);
  const Addr map = block({0, 0, 0, first.value, second.value, 0, 0, 0});
  const Addr node = map + 24;
  const Addr owner =
      block({map.value, 8, (first + 8).value, first.value, (first + 512).value, node.value,
             (second + 16).value, second.value, (second + 512).value, (node + 8).value, 0});
  world_.family({owner});
  world_.family({map});
  world_.family({first, second});
  EXPECT_EQ(labels(), (std::vector<std::string>{"", "map of std::deque in Owner at +0x0",
                                                "elements of std::deque in Owner at +0x0"}));
}

TEST_F(RecogniseContainers, AnEmptyDequesChunkIsNoVectors) {
  const Addr chunk = block({}, 512);
  const Addr map = block({0, 0, 0, chunk.value, 0, 0, 0, 0});
  const uint64_t begin = chunk.value;
  const uint64_t place = (map + 24).value;
  const Addr owner =
      block({map.value, 8, begin, begin, begin + 512, place, begin, begin, begin + 512, place});
  world_.family({owner});
  world_.family({chunk});
  EXPECT_EQ(labels(), (std::vector<std::string>{"", "elements of std::deque in Owner at +0x0"}));
}

TEST_F(RecogniseContainers, BlocksThatAreContainersAndNoMoreAreCalledSo) {
  const Addr known = block({1, 2, 3});
  const Addr elements = block({1, 2, 3, 0, 0});
  const Addr vector = block({elements.value, (elements + 24).value, (elements + 40).value});
  const Addr larger = block({elements.value, (elements + 24).value, (elements + 40).value, 7, 7});
  const Addr tree = block(std::vector<uint64_t>(7, 0));
  const Addr node = block({1, (tree + 8).value, 0, 0, 5});
  poke(tree, {0, 0, node.value, node.value, node.value, 1});
  const Addr list = block({0, 0, 1});
  const Addr link = block({list.value, list.value, 5});
  poke(list, {link.value, link.value});
  world_.family({known});
  for (const Addr at : {vector, larger, tree, list}) world_.family({at});
  EXPECT_EQ(labels(),
            (std::vector<std::string>{"", "std::vector", "", "std::map or set", "std::list"}));
}

TEST_F(RecogniseContainers, WhatHasANameIsNotCalledAContainer) {
  const Addr elements = block({1, 2, 3, 0, 0});
  world_.family({block({elements.value, (elements + 24).value, (elements + 40).value})});
  EXPECT_EQ(labels("Span"), (std::vector<std::string>{""}));
}

TEST_F(RecogniseContainers, AFunctionNamesTheClassItCalls) {
  const Addr functor = block({1, 2, 3});
  const Addr owner =
      block({functor.value, 0, FakeProgram::kCode + 0x10, FakeProgram::kCode + 0x40, 0});
  world_.symbol(
      "_ZNSt17_Function_handlerIFlvE6ChangeE10_M_managerERSt9_Any_dataRKS3_"
      "St18_Manager_operation",
      Addr(FakeProgram::kCode + 0x10), 0x20);
  world_.family({owner});
  world_.family({functor});
  EXPECT_EQ(labels(), (std::vector<std::string>{"", "Change"}));
}

TEST_F(RecogniseContainers, VariablesOwnContainersToo) {
  const Addr elements = block({1, 2, 3});
  const Addr variable = world_.data({elements.value, (elements + 16).value, (elements + 24).value});
  world_.symbol("table", variable, 24);
  world_.family({elements});
  world_.program.strong_root(elements);
  EXPECT_EQ(labels(""), (std::vector<std::string>{"elements of std::vector in table"}));
}

TEST_F(RecogniseContainers, EndlessAndCrossedLinksEnd) {
  const Addr a = block({0, 0, 1, 0, 0});
  const Addr b = block({0, 0, 1, 0, 0});
  poke(a, {b.value, b.value, a.value, 1, 0x3f800000});
  poke(b, {b.value, a.value, a.value, b.value});
  const Addr table = block({a.value, 4, a.value, 1000, 0x3f800000, 0, 0});
  const Addr list = block({a.value, b.value, 1U << 30});
  world_.family({table, list});
  world_.family({a, b});
  EXPECT_EQ(labels(), (std::vector<std::string>{"", ""}));
}

TEST_F(RecogniseContainers, OneShapeOwnedAsDifferentPartsIsTakenApart) {
  constexpr uint64_t kEach = 70;
  std::vector<Addr> mixed;
  std::vector<Addr> owners;
  for (uint64_t i = 0; i < kEach; ++i) {
    mixed.push_back(block({0, i, 0}));  // elements of a vector
    owners.push_back(
        block({mixed.back().value, (mixed.back() + 16).value, (mixed.back() + 24).value, 7, 7}));
  }
  Addr chain;
  for (uint64_t i = 0; i < kEach; ++i) {
    chain = block({chain.value, i, 0});  // nodes of a table
    mixed.push_back(chain);
  }
  const Addr buckets = block(std::vector<uint64_t>(97, 0));
  const Addr table = block({buckets.value, 97, chain.value, kEach, 0x3f800000, 97, 0});
  world_.family(owners);
  const FamilyId whole = world_.family(mixed);
  world_.family({table});
  const Inputs& inputs = world_.inputs();
  const Families apart = tell_apart(inputs.image, inputs.symbols, inputs.runtime, inputs.heap,
                                    inputs.roots, inputs.reach, inputs.families);
  ASSERT_EQ(apart.rows.size(), 4U);
  EXPECT_EQ(inputs.families.rows[whole].blocks, 2 * kEach);
  const FamilyId elements = apart.of(inputs.heap.block_at(mixed.front()));
  const FamilyId nodes = apart.of(inputs.heap.block_at(mixed.back()));
  EXPECT_NE(elements, nodes);
  EXPECT_EQ(apart.rows[elements].portrait, apart.rows[nodes].portrait);
  EXPECT_NE(apart.rows[elements].mark, apart.rows[nodes].mark);
  EXPECT_EQ(apart.rows[elements].blocks, kEach);
  EXPECT_EQ(apart.rows[nodes].blocks, kEach);
  EXPECT_EQ(apart.rows[nodes].bytes, kEach * 24);
}

TEST(RecogniseContainersInC, AreNotLookedFor) {
  RecogniserWorld world;
  const Addr elements = world.program.block(24);
  const Addr owner = world.program.block(24);
  world.program.poke(owner, elements);
  world.program.poke(owner + 8, elements + 16);
  world.program.poke(owner + 16, elements + 24);
  world.family({owner});
  const FamilyId id = world.family({elements});
  const Inputs& inputs = world.inputs();
  EXPECT_FALSE(recognise_containers(inputs, Column<FamilyId, std::vector<Evidence>>(2))[id]);
}

}  // namespace
}  // namespace heapscan
