#include <gtest/gtest.h>

#include <random>

#include "heapscan/base/parallel.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

// A fake program is made, traced, and asked for verdicts.
class Trace : public testing::Test {
 protected:
  void trace() {
    world_ = program_.build();
    reach_ = world_.trace();
  }
  [[nodiscard]] Verdict verdict(Addr block) const { return world_.verdict(reach_, block); }
  [[nodiscard]] std::optional<Reason> reason(Addr block) const {
    for (const PossibleBlock& possible : reach_.possible) {
      if (possible.block == world_.heap.block_at(block)) return possible.reason;
    }
    return std::nullopt;
  }

  FakeProgram program_;
  FakeProgram::World world_;
  Reachability reach_;
};

// Valgrind's nine chains: R a root, A and B blocks, --> start pointers, -?-> pointers into the
// middle.
TEST_F(Trace, NineChains) {
  const Addr b1 = program_.block(104);
  program_.strong_root(b1);  // R --> B
  const Addr a2 = program_.block(104);
  const Addr b2 = program_.block(104);
  program_.strong_root(a2);
  program_.poke(a2, b2);                // R --> A --> B
  const Addr b3 = program_.block(104);  // B
  const Addr a4 = program_.block(104);
  const Addr b4 = program_.block(104);
  program_.poke(a4, b4);  // A --> B
  const Addr b5 = program_.block(104);
  program_.strong_root(b5 + 40);  // R -?-> B
  const Addr a6 = program_.block(104);
  const Addr b6 = program_.block(104);
  program_.strong_root(a6);
  program_.poke(a6, b6 + 40);  // R --> A -?-> B
  const Addr a7 = program_.block(104);
  const Addr b7 = program_.block(104);
  program_.strong_root(a7 + 40);
  program_.poke(a7, b7);  // R -?-> A --> B
  const Addr a8 = program_.block(104);
  const Addr b8 = program_.block(104);
  program_.strong_root(a8 + 40);
  program_.poke(a8, b8 + 40);  // R -?-> A -?-> B
  const Addr a9 = program_.block(104);
  const Addr b9 = program_.block(104);
  program_.poke(a9, b9 + 40);  // A -?-> B
  trace();
  EXPECT_EQ(verdict(b1), Verdict::Reachable);
  EXPECT_EQ(verdict(a2), Verdict::Reachable);
  EXPECT_EQ(verdict(b2), Verdict::Reachable);
  EXPECT_EQ(verdict(b3), Verdict::Definite);
  EXPECT_EQ(verdict(a4), Verdict::Definite);
  EXPECT_EQ(verdict(b4), Verdict::Indirect);
  EXPECT_EQ(verdict(b5), Verdict::Possible);
  EXPECT_EQ(verdict(a6), Verdict::Reachable);
  EXPECT_EQ(verdict(b6), Verdict::Possible);
  EXPECT_EQ(verdict(a7), Verdict::Possible);
  EXPECT_EQ(verdict(b7), Verdict::Possible);
  EXPECT_EQ(verdict(a8), Verdict::Possible);
  EXPECT_EQ(verdict(b8), Verdict::Possible);
  EXPECT_EQ(verdict(a9), Verdict::Definite);
  EXPECT_EQ(verdict(b9), Verdict::Indirect);
  EXPECT_EQ(reason(b5), Reason::Interior);
  EXPECT_EQ(reason(b7), Reason::ViaPossible);
}

TEST_F(Trace, StrongerHolderWins) {
  const Addr both = program_.block(104);
  program_.strong_root(both + 40);
  program_.strong_root(both);
  const Addr weakly_and_interior = program_.block(104);
  program_.weak_root(weakly_and_interior);
  const Addr lost = program_.block(104);
  program_.poke(lost, weakly_and_interior);
  trace();
  EXPECT_EQ(verdict(both), Verdict::Reachable);
  EXPECT_EQ(verdict(weakly_and_interior), Verdict::Possible);
  EXPECT_EQ(reason(weakly_and_interior), Reason::WeakRoot);
  EXPECT_EQ(verdict(lost), Verdict::Definite);
}

TEST_F(Trace, AllocatorStateAndFreeBlocksHoldNothing) {
  const Addr held_by_free = program_.block(104);
  const Addr cached = program_.block(104, BlockState::Tcache);
  const Addr binned = program_.block(104, BlockState::Binned);
  const Addr bookkeeping = program_.block(648, BlockState::Bookkeeping);
  program_.strong_root(cached);
  program_.strong_root(binned);
  program_.strong_root(bookkeeping);
  program_.poke(cached + 16, held_by_free);
  program_.poke(binned + 16, held_by_free);
  program_.poke(bookkeeping + 16, held_by_free);
  trace();
  EXPECT_EQ(verdict(held_by_free), Verdict::Definite);
  EXPECT_EQ(verdict(cached), Verdict::NotJudged);
  EXPECT_EQ(verdict(bookkeeping), Verdict::NotJudged);
}

TEST_F(Trace, NeitherEndNorHeaderHolds) {
  const Addr first = program_.block(104);
  const Addr second = program_.block(104);
  program_.strong_root(first.value + 104);  // one past the end: the next chunk's size word
  program_.strong_root(second.value - 8);
  program_.strong_root(second.value - 1);
  trace();
  EXPECT_EQ(verdict(first), Verdict::Definite);
  EXPECT_EQ(verdict(second), Verdict::Definite);
}

TEST_F(Trace, LinksLeftByTheAllocatorHoldNothing) {
  const Addr before_held = program_.block(104);
  const Addr held = program_.block(104);
  const Addr before_lost = program_.block(104);
  const Addr lost = program_.block(104);
  program_.strong_root(held);
  program_.poke(held + 16, held - 16);
  program_.poke(lost + 24, lost - 16);
  trace();
  EXPECT_EQ(verdict(before_held), Verdict::Definite);
  EXPECT_EQ(verdict(held), Verdict::Reachable);
  EXPECT_EQ(verdict(before_lost), Verdict::Definite);
  EXPECT_EQ(verdict(lost), Verdict::Definite);
}

// Large blocks are scanned in pieces.
TEST_F(Trace, LinksLeftInLargeBlocksHoldNothingEither) {
  const Addr before = program_.block(104);
  const Addr held = program_.block(1 << 20);
  program_.strong_root(held);
  program_.poke(held + 16, held - 16);
  trace();
  EXPECT_EQ(verdict(held), Verdict::Reachable);
  EXPECT_EQ(verdict(before), Verdict::Definite);
}

// The end of an array may lie where the next block's header begins.
TEST_F(Trace, EndsOfArraysHold) {
  const Addr array = program_.block(104);
  const Addr owner = program_.block(104);
  program_.strong_root(owner);
  program_.poke(owner + 40, array + 96);
  trace();
  EXPECT_EQ(verdict(array), Verdict::Possible);
}

TEST_F(Trace, LowTagBitsAreAStartPointer) {
  std::vector<Addr> blocks;
  for (uint64_t tag = 1; tag < 8; ++tag) {
    blocks.push_back(program_.block(104));
    program_.strong_root(blocks.back().value | tag);
  }
  trace();
  for (const Addr block : blocks) EXPECT_EQ(verdict(block), Verdict::Reachable);
}

TEST_F(Trace, HiddenPointersMakePossible) {
  const Addr holder = program_.block(104);
  program_.strong_root(holder);
  const Addr unaligned = program_.block(104);
  const Addr tagged = program_.block(104);
  const Addr below_unaligned = program_.block(104);
  const Addr tagged_interior = program_.block(104);
  program_.poke(holder + 3, unaligned);
  program_.poke(holder + 16, tagged.value | uint64_t{0x8123} << 48);
  program_.poke(holder + 24, (tagged_interior + 16).value | uint64_t{0x8123} << 48);
  program_.poke(unaligned, below_unaligned);
  trace();
  EXPECT_EQ(verdict(unaligned), Verdict::Possible);
  EXPECT_EQ(reason(unaligned), Reason::Unaligned);
  EXPECT_EQ(verdict(tagged), Verdict::Possible);
  EXPECT_EQ(reason(tagged), Reason::Tagged);
  EXPECT_EQ(verdict(below_unaligned), Verdict::Possible);
  EXPECT_EQ(verdict(tagged_interior), Verdict::Definite);
}

// A few rounds, and one pass over what is left, serve a chain of any length.
TEST_F(Trace, ChainOfTaggedWordsIsFollowedToItsEnd) {
  constexpr uint64_t kCounter = uint64_t{0x0123} << 48;
  std::vector<Addr> chain;
  for (int i = 0; i < 1000; ++i) chain.push_back(program_.block(56 + 16 * (i % 3)));
  const Addr below = program_.block(104);
  for (size_t i = 0; i + 1 < chain.size(); ++i)
    program_.poke(chain[i] + 8, chain[i + 1].value | kCounter * (i % 7 + 1) | i % 8);
  program_.poke(chain.back() + 16, below);
  program_.strong_root(chain[0].value | kCounter);
  trace();
  for (const Addr block : chain) {
    EXPECT_EQ(verdict(block), Verdict::Possible);
    EXPECT_EQ(reason(block), Reason::Tagged);
  }
  EXPECT_EQ(reason(below), Reason::ViaPossible);
}

TEST_F(Trace, HiddenAndPlainWordsTakeTurnsInAChain) {
  std::vector<Addr> chain;
  for (int i = 0; i < 300; ++i) chain.push_back(program_.block(56));
  for (size_t i = 0; i + 1 < chain.size(); ++i) {
    const Addr next = chain[i + 1];
    if (i % 3 == 0) program_.poke(chain[i] + 8, next.value | uint64_t{1} << 63);
    if (i % 3 == 1) program_.poke(chain[i] + 11, next);
    if (i % 3 == 2) program_.poke(chain[i] + 16, next);
  }
  program_.strong_root(chain[0].value | uint64_t{1} << 63);
  trace();
  for (const Addr block : chain) EXPECT_EQ(verdict(block), Verdict::Possible);
  EXPECT_EQ(reason(chain[1]), Reason::Tagged);
  EXPECT_EQ(reason(chain[2]), Reason::Unaligned);
  EXPECT_EQ(reason(chain[3]), Reason::ViaPossible);
}

TEST_F(Trace, ChainOfTaggedWordsThatNothingHoldsIsLost) {
  std::vector<Addr> chain;
  for (int i = 0; i < 20; ++i) chain.push_back(program_.block(56));
  for (size_t i = 0; i + 1 < chain.size(); ++i)
    program_.poke(chain[i] + 8, chain[i + 1].value | uint64_t{0x0123} << 48);
  const Addr held = program_.block(104);
  program_.strong_root(held.value | uint64_t{1} << 63);
  trace();
  for (const Addr block : chain) EXPECT_EQ(verdict(block), Verdict::Definite);
  EXPECT_EQ(verdict(held), Verdict::Possible);
}

TEST_F(Trace, TagsOfEveryKindHideAPointer) {
  struct Case {
    const char* what;
    uint64_t (*encode)(uint64_t);
  };
  const Case cases[] = {
      {"bit 63", [](uint64_t a) { return a | uint64_t{1} << 63; }},
      {"counter in the top 16 bits", [](uint64_t a) { return a | uint64_t{1} << 48; }},
      {"all top 16 bits", [](uint64_t a) { return a | uint64_t{0xffff} << 48; }},
      {"counter and low flags", [](uint64_t a) { return a | uint64_t{0x77} << 48 | 3; }},
      {"bit 63 and all low flags", [](uint64_t a) { return a | uint64_t{1} << 63 | 7; }},
      {"LuaJIT's 17 bits of type", [](uint64_t a) { return a | ~uint64_t{4} << 47; }},
      {"bit 47 alone", [](uint64_t a) { return a | uint64_t{1} << 47; }},
      {"glibc's timer", [](uint64_t a) { return a >> 1 | uint64_t{1} << 63; }},
  };
  std::vector<Addr> blocks;
  for (const Case& c : cases) {
    blocks.push_back(program_.block(104));
    program_.strong_root(c.encode(blocks.back().value));
  }
  const Addr in_register = program_.block(104);
  program_.add_root_word(
      {RootKind::Register, in_register.value | uint64_t{0x77} << 48 | 1, 1, "rcx", false});
  const Addr xored = program_.block(104);
  program_.strong_root(xored.value ^ uint64_t{0x123456789});
  trace();
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(verdict(blocks[i]), Verdict::Possible) << cases[i].what;
    EXPECT_EQ(reason(blocks[i]), Reason::Tagged) << cases[i].what;
  }
  EXPECT_EQ(reason(in_register), Reason::Tagged);
  EXPECT_EQ(verdict(xored), Verdict::Definite);
}

TEST_F(Trace, UnalignedWordAtEveryOffsetIsFound) {
  const Addr holder = program_.block(4000);
  program_.strong_root(holder);
  std::vector<Addr> blocks;
  for (uint64_t i = 0; i < 100; ++i) {
    blocks.push_back(program_.block(104));
    program_.poke(holder + 17 * i + 1, blocks.back());
  }
  trace();
  for (uint64_t i = 0; i < 100; ++i) {
    const bool aligned = (17 * i + 1) % 8 == 0;
    EXPECT_EQ(verdict(blocks[i]), aligned ? Verdict::Reachable : Verdict::Possible) << i;
  }
}

TEST_F(Trace, HiddenPointerInALostBlockHoldsNothing) {
  const Addr lost = program_.block(104);
  const Addr named = program_.block(104);
  program_.poke(lost + 3, named);
  trace();
  EXPECT_EQ(verdict(lost), Verdict::Definite);
  EXPECT_EQ(verdict(named), Verdict::Definite);
}

TEST_F(Trace, RingHasOneHead) {
  const Addr a = program_.block(104);
  const Addr b = program_.block(104);
  const Addr c = program_.block(104);
  const Addr tail = program_.block(104);
  const Addr alone = program_.block(104);
  program_.poke(c, a);
  program_.poke(a, b);
  program_.poke(b, c);
  program_.poke(b + 8, tail);
  program_.poke(alone, alone);
  trace();
  EXPECT_EQ(verdict(a), Verdict::Definite);
  EXPECT_EQ(verdict(b), Verdict::Indirect);
  EXPECT_EQ(verdict(c), Verdict::Indirect);
  EXPECT_EQ(verdict(tail), Verdict::Indirect);
  EXPECT_EQ(verdict(alone), Verdict::Definite);
  for (const LostBlock& lost : reach_.lost) {
    const Addr block = world_.heap.block(lost.block).begin();
    EXPECT_EQ(world_.heap.block(lost.head).begin(), block == alone ? alone : a);
  }
}

// As the nodes of a document refer to it, and it to one of them only.
TEST_F(Trace, RingOfABlockAndWhatBelongsToItHasTheOwnerAsHead) {
  const Addr attribute = program_.block(88);
  std::vector<Addr> nodes;
  for (int i = 0; i < 4; ++i) nodes.push_back(program_.block(104));
  const Addr document = program_.block(168);
  program_.poke(document + 16, nodes[0]);
  for (size_t i = 0; i < nodes.size(); ++i) {
    program_.poke(nodes[i] + 8, document);
    program_.poke(nodes[i] + 24, nodes[(i + 1) % nodes.size()]);
  }
  program_.poke(nodes[2] + 40, attribute);
  program_.poke(attribute + 8, document);
  trace();
  EXPECT_EQ(verdict(document), Verdict::Definite);
  EXPECT_EQ(verdict(attribute), Verdict::Indirect);
  for (const Addr node : nodes) EXPECT_EQ(verdict(node), Verdict::Indirect);
  for (const LostBlock& lost : reach_.lost)
    EXPECT_EQ(world_.heap.block(lost.head).begin(), document);
}

TEST_F(Trace, ConsistentLinksAreExplained) {
  std::vector<Addr> nodes;
  for (int i = 0; i < 50; ++i) nodes.push_back(program_.block(104));
  for (size_t i = 0; i + 1 < nodes.size(); ++i) program_.poke(nodes[i] + 24, nodes[i + 1] + 24);
  program_.strong_root(nodes[0] + 24);
  const Addr payload = program_.block(56);
  program_.poke(nodes[30], payload);
  std::vector<Addr> too_few;
  for (int i = 0; i < 5; ++i) too_few.push_back(program_.block(200));
  for (size_t i = 0; i + 1 < too_few.size(); ++i)
    program_.poke(too_few[i] + 40, too_few[i + 1] + 40);
  program_.strong_root(too_few[0] + 40);
  trace();
  for (const Addr node : nodes) EXPECT_EQ(verdict(node), Verdict::Reachable);
  EXPECT_EQ(verdict(payload), Verdict::Reachable);
  for (const Addr node : too_few) EXPECT_EQ(verdict(node), Verdict::Possible);
}

// Blocks of the same size that are no such objects prove nothing against them.
TEST_F(Trace, ObjectsOfOneClassAreHeldAtTheirHooks) {
  program_.strong_root(uint64_t{0});
  const Addr functions = program_.strong_root(FakeProgram::kCode + 0x100);
  std::vector<Addr> objects;
  for (int i = 0; i < 12; ++i) {
    objects.push_back(program_.block(104));
    program_.poke(objects.back(), functions);
  }
  for (size_t i = 0; i + 1 < objects.size(); ++i) program_.poke(objects[i] + 8, objects[i + 1] + 8);
  program_.strong_root(objects[0] + 8);
  const Addr payload = program_.block(56);
  program_.poke(objects[9] + 32, payload);
  std::vector<Addr> others;
  for (uint64_t i = 0; i < 30; ++i) {
    others.push_back(program_.block(104));
    program_.strong_root(others.back() + 16 + 8 * (i % 7));
  }
  trace();
  for (const Addr object : objects) EXPECT_EQ(verdict(object), Verdict::Reachable);
  EXPECT_EQ(verdict(payload), Verdict::Reachable);
  for (const Addr other : others) EXPECT_EQ(verdict(other), Verdict::Possible);
}

// An allocation wrapper: whatever the size, the program is given what lies behind its header.
TEST_F(Trace, HeaderInFrontOfBlocksOfManySizes) {
  std::vector<Addr> blocks;
  for (uint64_t i = 0; i < 18; ++i) {
    blocks.push_back(program_.block(120 + 96 * (i % 6)));
    program_.strong_root(blocks.back() + 24);
  }
  const Addr below = program_.block(56);
  program_.poke(blocks[7] + 40, below);
  const Addr smallest = program_.block(40);  // what is handed out of it is its last word
  program_.strong_root(smallest + 24);
  const Addr elsewhere = program_.block(120);
  program_.strong_root(elsewhere + 64);
  trace();
  for (const Addr block : blocks) EXPECT_EQ(verdict(block), Verdict::Reachable);
  EXPECT_EQ(verdict(below), Verdict::Reachable);
  EXPECT_EQ(verdict(smallest), Verdict::Reachable);
  EXPECT_EQ(verdict(elsewhere), Verdict::Possible);
}

// The root at the top is the only one, and the header is seen in what hangs below.
TEST_F(Trace, HeaderIsLearntFromWhatIsPossible) {
  const Addr top = program_.block(1000);
  program_.strong_root(top + 24);
  std::vector<Addr> blocks;
  for (uint64_t i = 0; i < 18; ++i) {
    blocks.push_back(program_.block(120 + 96 * (i % 6)));
    program_.poke(top + 32 + 8 * i, blocks.back() + 24);
  }
  trace();
  EXPECT_EQ(verdict(top), Verdict::Reachable);
  for (const Addr block : blocks) EXPECT_EQ(verdict(block), Verdict::Reachable);
}

// Each offset by chance, in many sizes.
TEST_F(Trace, ScatteredPointersIntoManySizesTeachNoHeader) {
  std::mt19937_64 random(7);
  std::vector<Addr> blocks;
  for (uint64_t i = 0; i < 400; ++i) {
    const uint64_t size = 200 + 16 * (random() % 40);
    blocks.push_back(program_.block(size));
    program_.poke(blocks.back(), uint64_t{0x1122334455667788});  // no hash table
    program_.strong_root(blocks.back() + 8 * (9 + random() % (size / 8 - 9)));
  }
  trace();
  for (const Addr block : blocks) EXPECT_EQ(verdict(block), Verdict::Possible);
}

// As talloc's: nearly all blocks have one size, but all headers begin with one number.
TEST_F(Trace, HeaderOfOneSizeIsKnownInOthersByItsMark) {
  constexpr uint64_t kMagic = 0xe8150c70;
  const auto put_header = [&](Addr block, Addr next) {
    program_.poke(block, kMagic | uint64_t{0x1234} << 32);
    program_.poke(block + 8, next);
  };
  const Addr top = program_.block(120);
  program_.strong_root(top + 96);
  std::vector<Addr> holders;
  std::vector<Addr> data;
  for (int i = 0; i < 40; ++i) {
    holders.push_back(program_.block(120));
    data.push_back(program_.block(2152));
    put_header(data.back(), Addr());
    program_.poke(holders.back() + 104, data.back() + 96);
  }
  put_header(top, holders[0]);
  for (size_t i = 0; i < holders.size(); ++i)
    put_header(holders[i], i + 1 < holders.size() ? holders[i + 1] : Addr());
  const Addr without_mark = program_.block(200);
  program_.strong_root(without_mark + 96);
  trace();
  EXPECT_EQ(verdict(top), Verdict::Reachable);
  for (const Addr block : holders) EXPECT_EQ(verdict(block), Verdict::Reachable);
  for (const Addr block : data) EXPECT_EQ(verdict(block), Verdict::Reachable);
  EXPECT_EQ(verdict(without_mark), Verdict::Possible);
}

TEST_F(Trace, ObjectThatKnowsItsOwnAddress) {
  const Addr knows = program_.block(1560);
  program_.strong_root(knows + 8);
  program_.poke(knows + 88, knows + 8);
  program_.poke(knows + 416, knows + 8);
  const Addr below = program_.block(56);
  program_.poke(knows + 200, below);
  const Addr once = program_.block(104);  // a string that holds its characters itself
  program_.strong_root(once + 40);
  program_.poke(once + 24, once + 40);
  const Addr empty_list = program_.block(104);
  program_.strong_root(empty_list + 40);
  program_.poke(empty_list + 40, empty_list + 40);
  program_.poke(empty_list + 48, empty_list + 40);
  trace();
  EXPECT_EQ(verdict(knows), Verdict::Reachable);
  EXPECT_EQ(verdict(below), Verdict::Reachable);
  EXPECT_EQ(verdict(once), Verdict::Possible);
  EXPECT_EQ(verdict(empty_list), Verdict::Possible);
}

TEST_F(Trace, HookOfADoublyLinkedList) {
  const Addr owner = program_.block(200);
  program_.strong_root(owner);
  const Addr head = owner + 48;
  const Addr one = program_.block(88);
  const Addr two = program_.block(312);
  program_.poke(head, one + 72);
  program_.poke(one + 72, two + 16);
  program_.poke(two + 16, head);
  program_.poke(head + 8, two + 16);
  program_.poke(two + 24, one + 72);
  program_.poke(one + 80, head);
  const Addr one_way = program_.block(312);
  program_.poke(owner + 8, one_way + 16);
  program_.poke(one_way + 16, head);
  program_.poke(one_way + 24, head);
  trace();
  EXPECT_EQ(verdict(one), Verdict::Reachable);
  EXPECT_EQ(verdict(two), Verdict::Reachable);
  EXPECT_EQ(verdict(one_way), Verdict::Possible);
}

TEST_F(Trace, LinksAtScatteredOffsetsStayPossible) {
  std::vector<Addr> blocks;
  for (uint64_t i = 0; i < 40; ++i) {
    blocks.push_back(program_.block(1000));
    program_.strong_root(blocks.back() + 24 * (i + 1));
  }
  trace();
  for (const Addr block : blocks) EXPECT_EQ(verdict(block), Verdict::Possible);
}

TEST_F(Trace, BlockNamedAtSeveralPlacesIsAPool) {
  const Addr pool = program_.block(4000);
  const Addr next_pool = program_.block(8000);
  const Addr in_pool = program_.block(104);
  for (uint64_t i = 1; i <= 4; ++i) {
    program_.strong_root(pool + 48 * i);
    program_.poke(pool + 8 * i, next_pool + 112 * i);
  }
  program_.poke(next_pool + 1000, in_pool);
  const Addr named_thrice = program_.block(4000);
  for (uint64_t i = 1; i <= 3; ++i) program_.strong_root(named_thrice + 48 * i);
  const Addr named_at_odd_places = program_.block(4000);
  for (uint64_t i = 1; i <= 9; ++i) program_.strong_root(named_at_odd_places + 48 * i + 4);
  trace();
  EXPECT_EQ(verdict(pool), Verdict::Reachable);
  EXPECT_EQ(verdict(next_pool), Verdict::Reachable);
  EXPECT_EQ(verdict(in_pool), Verdict::Reachable);
  EXPECT_EQ(verdict(named_thrice), Verdict::Possible);
  EXPECT_EQ(verdict(named_at_odd_places), Verdict::Possible);
}

TEST_F(Trace, BlockWhosePartsNameEachOtherIsAPool) {
  const Addr pool = program_.block(4000);
  for (uint64_t i = 0; i < 8; ++i) program_.poke(pool + 64 * i + 8, pool + 64 * (i + 1));
  program_.strong_root(pool + 192);
  const Addr nobody_names = program_.block(4000);
  for (uint64_t i = 0; i < 8; ++i)
    program_.poke(nobody_names + 64 * i + 8, nobody_names + 64 * (i + 1));
  const Addr few_parts = program_.block(4000);
  for (uint64_t i = 0; i < 7; ++i) program_.poke(few_parts + 64 * i + 8, few_parts + 64 * (i + 1));
  program_.strong_root(few_parts + 192);
  trace();
  EXPECT_EQ(verdict(pool), Verdict::Reachable);
  EXPECT_EQ(verdict(nobody_names), Verdict::Definite);
  EXPECT_EQ(verdict(few_parts), Verdict::Possible);
}

TEST_F(Trace, LostMappingKeepsHeapBlocksPossibleButNotOtherMappings) {
  const Addr lost = program_.mapping(0x4000);
  const Addr lost_too = program_.mapping(0x4000);
  const Addr held = program_.mapping(0x4000);
  const Addr block = program_.block(104);
  const Addr in_held = program_.block(104);
  program_.poke(lost + 0x100, block);
  program_.poke(lost + 0x108, lost_too);
  program_.poke(lost_too + 8, lost);
  program_.strong_root(held + 0x234);
  program_.poke(held + 0x3ff8, in_held);
  trace();
  EXPECT_EQ(verdict(lost), Verdict::Definite);
  EXPECT_EQ(verdict(lost_too), Verdict::Indirect);
  EXPECT_EQ(verdict(held), Verdict::Reachable);
  EXPECT_EQ(verdict(in_held), Verdict::Reachable);
  EXPECT_EQ(verdict(block), Verdict::Possible);
  EXPECT_EQ(reason(block), Reason::WeakRoot);
  EXPECT_EQ(reach_.mapping_totals[static_cast<size_t>(Verdict::Definite)].bytes, 0x4000U);
  EXPECT_EQ(reach_.totals[static_cast<size_t>(Verdict::Definite)].blocks, 0U);
}

TEST_F(Trace, UntouchedBlockMayBeASignalStack) {
  const Addr stack = program_.block(16392);
  const Addr small = program_.block(1000);
  const Addr written = program_.block(16408);
  program_.poke(written + 8000, uint64_t{1});
  trace();
  EXPECT_EQ(verdict(stack), Verdict::Possible);
  EXPECT_EQ(reason(stack), Reason::MayBeSignalStack);
  EXPECT_EQ(verdict(small), Verdict::Definite);
  EXPECT_EQ(verdict(written), Verdict::Definite);
}

// What malloc returns for 64 KiB, for one minimum more, and for the sizes processors with large
// registers ask for; larger ones are buffers.
TEST_F(Trace, SignalStacksOfEveryUsualSize) {
  std::vector<Addr> stacks;
  for (const uint64_t size : {2056U, 8200U, 14344U, 45064U, 65544U, 67592U, 69640U, 131080U})
    stacks.push_back(program_.block(size));
  const Addr too_large = program_.block(262152);
  const Addr too_small = program_.block(1032);
  trace();
  for (const Addr stack : stacks) EXPECT_EQ(reason(stack), Reason::MayBeSignalStack);
  EXPECT_EQ(verdict(too_large), Verdict::Definite);
  EXPECT_EQ(verdict(too_small), Verdict::Definite);
}

// A handler has run on it: the frame that it left names the stack.
TEST_F(Trace, UsedSignalStackIsKnownByItsFrame) {
  const auto put_frame = [&](Addr at, Addr stack, uint64_t size) {
    program_.poke(at, FakeProgram::kCode + 0x100);
    program_.poke(at + 8, uint64_t{7});
    program_.poke(at + 24, stack);
    program_.poke(at + 40, size);
    program_.poke(at + 48 + 15 * 8, uint64_t{0x7ffffffde000});
    program_.poke(at + 48 + 16 * 8, FakeProgram::kCode + 0x200);
    program_.poke(at + 48 + 18 * 8, uint64_t{0x2b000000000033});
    program_.poke(at + 48 + 23 * 8, at + 0x200);
  };
  const Addr stack = program_.block(16392);
  put_frame(stack + 12008, stack, 16384);
  const Addr left_on_it = program_.block(104);
  program_.poke(stack + 15000, left_on_it);
  const Addr names_another = program_.block(32776);
  put_frame(names_another + 12008, Addr(0x7f1100000000), 16384);
  trace();
  EXPECT_EQ(reason(stack), Reason::NamedAsSignalStack);
  EXPECT_EQ(reason(left_on_it), Reason::ViaPossible);
  EXPECT_EQ(verdict(names_another), Verdict::Definite);
}

TEST_F(Trace, MoreUntouchedBlocksThanThreadsAreNoSignalStacks) {
  const Addr one = program_.block(16392);
  const Addr two = program_.block(16392);
  trace();
  EXPECT_EQ(verdict(one), Verdict::Definite);
  EXPECT_EQ(verdict(two), Verdict::Definite);
}

TEST_F(Trace, MissingMemoryLowersEveryLostBlock) {
  const Addr a = program_.block(104);
  const Addr b = program_.block(104);
  program_.poke(a, b);
  program_.lose_memory(4096);
  trace();
  EXPECT_EQ(verdict(a), Verdict::Possible);
  EXPECT_EQ(verdict(b), Verdict::Possible);
  EXPECT_EQ(reason(a), Reason::MissingMemory);
  EXPECT_TRUE(reach_.lost.empty());
  ASSERT_EQ(reach_.notes.size(), 1U);
  EXPECT_EQ(reach_.notes[0].kind, NoteKind::MissingMemory);
}

TEST_F(Trace, WhatTheKernelMayHoldIsPossibleButNotMoreThanItCanHold) {
  program_.set_kernel_references({{KernelReference::Kind::Unseen, 3, "io_uring fd 5"}});
  std::vector<Addr> few;
  std::vector<Addr> many;
  for (int i = 0; i < 3; ++i) few.push_back(program_.block(104));
  for (int i = 0; i < 4; ++i) many.push_back(program_.block(200));
  const Addr below = program_.block(40);
  program_.poke(few[0], below);
  trace();
  for (const Addr block : few) {
    EXPECT_EQ(verdict(block), Verdict::Possible);
    EXPECT_EQ(reason(block), Reason::KernelMayHold);
  }
  for (const Addr block : many) EXPECT_EQ(verdict(block), Verdict::Definite);
  EXPECT_EQ(verdict(below), Verdict::Possible);
  EXPECT_EQ(reason(below), Reason::ViaPossible);
  ASSERT_EQ(reach_.notes.size(), 1U);
  EXPECT_NE(reach_.notes[0].text.find("io_uring fd 5"), std::string::npos);
}

TEST_F(Trace, WordsInQueuesMakePossible) {
  const Addr queued = program_.block(104);
  const Addr below = program_.block(104);
  program_.poke(queued + 8, below);
  RootWord word;
  word.kind = RootKind::KernelQueue;
  word.value = queued.value;
  word.name = "pipe fd 7";
  program_.add_root_word(word);
  trace();
  EXPECT_EQ(verdict(queued), Verdict::Possible);
  EXPECT_EQ(reason(queued), Reason::HeldByKernel);
  EXPECT_EQ(verdict(below), Verdict::Possible);
}

TEST_F(Trace, RootWordsCountByTheirKind) {
  const Addr in_register = program_.block(104);
  const Addr in_argument = program_.block(104);
  const Addr dtv = program_.block(104);
  program_.add_root_word({RootKind::Register, in_register.value, 1, "rbx", false});
  program_.add_root_word({RootKind::ThreadArgument, in_argument.value, 1, "", false});
  program_.add_root_word({RootKind::Dtv, dtv.value + 16, 1, "", true});
  trace();
  EXPECT_EQ(verdict(in_register), Verdict::Reachable);
  EXPECT_EQ(verdict(in_argument), Verdict::Possible);
  EXPECT_EQ(verdict(dtv), Verdict::Reachable);
}

TEST_F(Trace, FunnelAddsUp) {
  const Addr a = program_.block(104);
  program_.strong_root(a);
  program_.strong_root(a);
  program_.strong_root(uint64_t{42});
  program_.strong_root(a.value - 8);
  program_.strong_root(program_.block(104) + 56);
  trace();
  const auto row = std::find_if(reach_.funnel.begin(), reach_.funnel.end(), [](const FunnelRow& r) {
    return r.source == name_of(RootKind::ModuleData);
  });
  ASSERT_NE(row, reach_.funnel.end());
  const Funnel& f = row->funnel;
  EXPECT_EQ(f.words, FakeProgram::kAreaSize / 8);
  EXPECT_EQ(f.followed, 1U);
  EXPECT_EQ(f.duplicate, 1U);
  EXPECT_EQ(f.no_block, 1U);
  // The rest are pointers into the middle that nothing explains.
  EXPECT_EQ(f.words, f.out_of_range + f.no_block + f.duplicate + f.followed + 1);
}

// A random program: every kind of word at random places.
FakeProgram random_program(unsigned seed) {
  std::mt19937_64 random(seed);
  FakeProgram program;
  std::vector<Addr> blocks;
  for (int i = 0; i < 3000; ++i) blocks.push_back(program.block(24 + random() % 20 * 16));
  for (int i = 0; i < 5; ++i) blocks.push_back(program.mapping(0x1000));
  for (int i = 0; i < 4000; ++i) {
    const Addr from = blocks[random() % blocks.size()];
    const uint64_t into = random() % 8 == 0 ? 8 * (random() % 3) : 0;
    const uint64_t odd = random() % 50 == 0 ? 3 : 0;
    program.poke(from + 8 * (random() % 2) + odd, blocks[random() % blocks.size()] + into);
  }
  for (int i = 0; i < 300; ++i) program.strong_root(blocks[random() % blocks.size()]);
  for (int i = 0; i < 30; ++i) program.weak_root(blocks[random() % blocks.size()]);
  return program;
}

TEST(TraceThreads, SameAnswerForEveryThreadCount) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    const FakeProgram::World world = random_program(seed).build();
    std::vector<Reachability> answers;
    for (const unsigned threads : {1U, 2U, 4U}) {
      const ThreadLimit limit(threads);
      answers.push_back(world.trace());
    }
    EXPECT_GT(answers[0].lost.size(), 100U);
    EXPECT_GT(answers[0].possible.size(), 10U);
    for (size_t i = 1; i < answers.size(); ++i) {
      ASSERT_TRUE(std::equal(answers[0].verdicts.begin(), answers[0].verdicts.end(),
                             answers[i].verdicts.begin()));
      for (size_t l = 0; l < answers[0].lost.size(); ++l) {
        ASSERT_EQ(answers[0].lost[l].head, answers[i].lost[l].head);
      }
      ASSERT_EQ(answers[0].possible.size(), answers[i].possible.size());
      ASSERT_EQ(answers[0].funnel.size(), answers[i].funnel.size());
      for (size_t f = 0; f < answers[0].funnel.size(); ++f) {
        const FunnelRow& one = answers[0].funnel[f];
        const FunnelRow& other = answers[i].funnel[f];
        EXPECT_EQ(one.source, other.source);
        EXPECT_EQ(one.funnel.followed, other.funnel.followed) << one.source;
        EXPECT_EQ(one.funnel.out_of_range, other.funnel.out_of_range) << one.source;
        EXPECT_EQ(one.funnel.words, other.funnel.words) << one.source;
      }
      for (size_t p = 0; p < answers[0].possible.size(); ++p) {
        ASSERT_EQ(answers[0].possible[p].reason, answers[i].possible[p].reason);
      }
    }
  }
}

TEST(TraceMetamorphic, AnUnrelatedReachableBlockChangesNoVerdict) {
  FakeProgram plain = random_program(3);
  FakeProgram larger = random_program(3);
  const Addr added = larger.block(64);
  larger.strong_root(added);
  const auto before = plain.build();
  const auto after = larger.build();
  const Reachability a = before.trace();
  const Reachability b = after.trace();
  for (size_t i = 0; i < before.heap.blocks.size(); ++i) {
    const BlockId same = after.heap.block_at(before.heap.blocks[i].begin());
    ASSERT_EQ(a.verdicts[i], b.verdict(same));
  }
}

TEST(TraceMetamorphic, DroppingARootNeverMakesALostBlockReachable) {
  FakeProgram program = random_program(4);
  FakeProgram::World world = program.build();
  const Reachability with = world.trace();
  std::erase_if(world.roots.ranges,
                [](const RootRange& r) { return r.kind == RootKind::ModuleData; });
  const Reachability without = world.trace();
  for (size_t i = 0; i < with.verdicts.size(); ++i) {
    if (with.verdicts[i] == Verdict::Definite || with.verdicts[i] == Verdict::Indirect) {
      EXPECT_TRUE(without.verdicts[i] == Verdict::Definite ||
                  without.verdicts[i] == Verdict::Indirect);
    }
  }
  EXPECT_EQ(without.totals[static_cast<size_t>(Verdict::Reachable)].blocks, 0U);
}

}  // namespace
}  // namespace heapscan
