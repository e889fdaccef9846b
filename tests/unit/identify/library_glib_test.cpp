#include "identify/recognisers/library_glib.h"
#include "unit/identify/recogniser_world.h"

namespace heapscan {
namespace {

constexpr uint64_t kGlibFunction = FakeProgram::kCode + 0x20;

uint64_t halves(uint64_t low, uint64_t high) { return high << 32 | low; }

class FakeContainers {
 public:
  Addr block(const std::vector<uint64_t>& words, uint64_t size = 0) {
    const Addr begin = program().block(std::max<uint64_t>(size, 8 * words.size()));
    for (size_t i = 0; i < words.size(); ++i) program().poke(begin + 8 * i, words[i]);
    return begin;
  }
  uint64_t array(uint64_t bytes) { return program().block(bytes).value; }
  FakeProgram& program() { return world_.program; }

  std::string label(Addr begin) { return label_of({begin}); }
  std::string label_of(const std::vector<Addr>& members) {
    const FamilyId id = world_.family(members);
    const Inputs& inputs = world_.inputs();
    for (const auto structs : {glib_structs(), glib_containers(), glib_linked_structs()}) {
      if (const auto evidence = recognise_known(inputs, id, samples_of(inputs, id), structs))
        return evidence->label;
    }
    return "";
  }

  // As g_hash_table_new() makes it, with 16 places.
  std::vector<uint64_t> hash_table() {
    return {16,         halves(13, 15), halves(5, 6),  halves(3, 0), array(128),    array(64),
            array(128), kGlibFunction,  kGlibFunction, halves(1, 9), kGlibFunction, 0};
  }

 private:
  RecogniserWorld world_;
};

class LibraryGlib : public testing::Test, protected FakeContainers {};

TEST_F(LibraryGlib, AHashTableHasAPrimeForItsSize) {
  EXPECT_EQ(label(block(hash_table())), "GHashTable");
}

TEST_F(LibraryGlib, AHashTableOfAnEarlierVersionHasSmallSizes) {
  EXPECT_EQ(label(block({halves(16, 13), halves(15, 5), 6, array(128), array(64), array(128),
                         kGlibFunction, kGlibFunction, halves(1, 9), 0, 0})),
            "GHashTable");
}

TEST_F(LibraryGlib, AHashTableThatContradictsItselfIsNone) {
  struct Damage {
    size_t word;
    uint64_t value;
  };
  for (const Damage damage :
       {Damage{0, 15}, Damage{0, 32}, Damage{0, 0}, Damage{1, halves(11, 15)},
        Damage{1, halves(13, 16)}, Damage{2, halves(6, 5)}, Damage{2, halves(6, 17)}, Damage{4, 0},
        Damage{5, 1}, Damage{7, 0}, Damage{8, 99}, Damage{9, 0}, Damage{0, uint64_t{1} << 63}}) {
    FakeContainers fresh;
    std::vector<uint64_t> words = fresh.hash_table();
    words[damage.word] = damage.value;
    EXPECT_EQ(fresh.label(fresh.block(words)), "") << damage.word << " " << damage.value;
  }
}

TEST_F(LibraryGlib, AnArrayFillsItsBlock) {
  EXPECT_EQ(label(block({array(512), halves(3, 32), halves(16, 1), halves(1, 0), 0})), "GArray");
}

TEST_F(LibraryGlib, AnArrayOfAnEarlierVersionCountsBytes) {
  EXPECT_EQ(label(block({array(512), halves(3, 512), halves(16, 1), halves(1, 0), kGlibFunction})),
            "GArray");
}

TEST_F(LibraryGlib, AnArrayOfALaterVersionHasAMemberMore) {
  const uint64_t references = halves(0xffffffff, 1);
  EXPECT_EQ(label(block({array(512), halves(3, 32), halves(16, 1), references, 0})), "GArray");
}

TEST_F(LibraryGlib, AnArrayOfAnotherLengthIsNone) {
  EXPECT_EQ(label(block({array(256), halves(3, 32), halves(16, 1), halves(1, 0), 0})), "");
}

TEST_F(LibraryGlib, AnArrayLongerThanItsBlockIsNone) {
  EXPECT_EQ(label(block({array(512), halves(0xffffffff, 32), halves(16, 1), halves(1, 0), 0})), "");
}

TEST_F(LibraryGlib, APointerArrayFillsItsBlock) {
  EXPECT_EQ(label(block({array(128), halves(2, 16), halves(1, 0), kGlibFunction, 0})), "GPtrArray");
}

TEST_F(LibraryGlib, APointerArrayWithoutReferencesIsNone) {
  EXPECT_EQ(label(block({array(128), halves(2, 16), halves(0, 0), kGlibFunction, 0})), "");
}

TEST_F(LibraryGlib, AFreedArrayIsNoPointerArray) {
  EXPECT_EQ(label(block({array(128), halves(2, 16), halves(8, 0), 0, 0})), "");
}

TEST_F(LibraryGlib, AStringEndsWhereItSays) {
  const uint64_t text = array(64);
  program().poke(Addr(text), 0x6f6c6c6548);  // "Hello"
  EXPECT_EQ(label(block({text, 5, 64})), "GString");
}

TEST_F(LibraryGlib, AStringThatGoesOnIsNone) {
  const uint64_t text = array(64);
  program().poke(Addr(text), 0x6f6c6c6548);
  EXPECT_EQ(label(block({text, 4, 64})), "");
}

TEST_F(LibraryGlib, AnEmptyStringSaysTooLittle) { EXPECT_EQ(label(block({array(64), 0, 64})), ""); }

TEST_F(LibraryGlib, NodesOfAListNameEachOther) {
  const Addr first = block({1, 0, 0});
  const Addr second = block({2, 0, first.value});
  program().poke(first + 8, second);
  EXPECT_EQ(label(second), "GList");
}

TEST_F(LibraryGlib, NodesThatAreNotNamedBackAreNone) {
  const Addr first = block({1, 0, 0});
  const Addr second = block({2, 0, first.value});
  program().poke(first + 8, first);
  EXPECT_EQ(label(second), "");
}

TEST_F(LibraryGlib, FreedNodesThatHoldTextNowAreNone) {
  const Addr first = block({0x64726f77, 0, 0});  // "word"
  const Addr second = block({2, 0, first.value});
  program().poke(first + 8, second);
  EXPECT_EQ(label(second), "");
}

TEST_F(LibraryGlib, ASingleListThatGoesOnElsewhereIsNone) {
  std::vector<Addr> nodes;
  for (uint64_t i = 0; i < 12; ++i)
    nodes.push_back(block({i + 1, i == 0 ? 0 : nodes[i - 1].value}));
  nodes.erase(nodes.begin());  // the end of it
  EXPECT_EQ(label_of(nodes), "");
}

TEST_F(LibraryGlib, ASingleListIsOfOneKind) {
  std::vector<Addr> nodes;
  for (uint64_t i = 0; i < 30; ++i)
    nodes.push_back(block({i + 1, i == 0 ? 0 : nodes[i - 1].value}));
  EXPECT_EQ(label_of(nodes), "GSList");
}

TEST_F(LibraryGlib, ATreeOfTwoLinksIsNoSingleList) {
  std::vector<Addr> nodes;
  for (uint64_t i = 0; i < 30; ++i)
    nodes.push_back(block({i == 0 ? 0 : nodes[i / 2].value, i == 0 ? 0 : nodes[i - 1].value}));
  EXPECT_EQ(label_of(nodes), "");
}

TEST_F(LibraryGlib, AQueueNamesTheEndsOfAList) {
  const Addr first = block({1, 0, 0});
  const Addr second = block({2, 0, first.value});
  program().poke(first + 8, second);
  EXPECT_EQ(label(block({first.value, second.value, 2})), "GQueue");
}

TEST_F(LibraryGlib, AQueueWithoutAnEndIsNone) {
  const Addr first = block({1, 0, 0});
  const Addr second = block({2, 0, first.value});
  program().poke(first + 8, second);
  EXPECT_EQ(label(block({first.value, first.value, 2})), "");
}

TEST_F(LibraryGlib, ATreeHasFunctionsAndARoot) {
  const Addr root = block({1, 2, 0, 0, 0});
  EXPECT_EQ(label(block({root.value, kGlibFunction, 0, 0, 0, halves(1, 1)}, 56)), "GTree");
}

TEST_F(LibraryGlib, ARingEndsTheWalk) {
  const Addr first = block({1, 0, 0});
  const Addr second = block({2, first.value, first.value});
  program().poke(first + 8, second);
  program().poke(first + 16, second);
  EXPECT_EQ(label(second), "");
}

}  // namespace
}  // namespace heapscan
