// What the C library, the loader, libxml2 and curl allocate, and what only looks like it.
#include "identify/recognisers/recognisers.h"
#include "unit/identify/recogniser_world.h"

namespace heapscan {
namespace {

class LibraryRuntime : public testing::Test {
 protected:
  Addr block(uint64_t size) { return world_.program.block(size); }
  void poke(Addr at, uint64_t value) { world_.program.poke(at, value); }
  void poke(Addr at, Addr value) { world_.program.poke(at, value); }
  // Two 32-bit members of one word.
  void poke(Addr at, uint32_t first, uint32_t second) { poke(at, uint64_t{second} << 32 | first); }
  std::string label(Addr begin) {
    const FamilyId id = world_.family({begin});
    const auto evidence = recognise_library(world_.inputs(), id);
    return evidence ? evidence->label : "";
  }
  // Thirteen tables but for the one of LC_ALL, three tables of ctype, thirteen names.
  Addr locale() {
    const Addr locale = block(232);
    const Addr table = world_.data({1, 2, 3});
    for (uint64_t i = 0; i < 29; ++i) {
      if (i != 6) poke(locale + 8 * i, table);
    }
    return locale;
  }
  // A document of libxml2.
  Addr document() {
    const Addr document = block(168);
    poke(document + 8, 9);
    poke(document + 64, document);
    return document;
  }
  RecogniserWorld world_;
};

TEST_F(LibraryRuntime, ALocaleHasTablesAndNames) { EXPECT_EQ(label(locale()), "locale_t"); }

TEST_F(LibraryRuntime, ATableOfAllCategoriesIsNoLocales) {
  const Addr begin = locale();
  poke(begin + 48, world_.data({1}));
  EXPECT_EQ(label(begin), "");
}

TEST_F(LibraryRuntime, ALocaleNamesAllItsCategories) {
  const Addr begin = locale();
  poke(begin + 104 + 24 + 16, 0);
  EXPECT_EQ(label(begin), "");
}

class LibraryLinkMap : public LibraryRuntime {
 protected:
  static constexpr uint64_t kBias = 0x555555550000;
  Addr link_map(Addr dynamic, uint64_t bias) {
    world_.program.set_dynamic(AddrRange::sized(Addr(FakeProgram::kStrong), 0x100), kBias);
    const Addr map = block(1176);
    poke(map, bias);
    poke(map + 16, dynamic);
    poke(map + 40, map);
    return map;
  }
};

TEST_F(LibraryLinkMap, PointsToItselfAndToAModulesDynamicSection) {
  EXPECT_EQ(label(link_map(Addr(FakeProgram::kStrong), kBias)), "struct link_map");
}

TEST_F(LibraryLinkMap, OfAnotherDynamicSectionIsNone) {
  EXPECT_EQ(label(link_map(Addr(FakeProgram::kStrong) + 8, kBias)), "");
}

TEST_F(LibraryLinkMap, OfAModuleAtAnotherPlaceIsNone) {
  EXPECT_EQ(label(link_map(Addr(FakeProgram::kStrong), kBias + 0x1000)), "");
}

TEST_F(LibraryRuntime, AThreadsDescriptorPointsIntoItsVector) {
  const Addr vector = block(296);
  poke(vector, 16);
  world_.program.set_thread_pointer(world_.data({0, vector.value + 16}));
  EXPECT_EQ(label(vector), "dynamic thread vector");
}

TEST_F(LibraryRuntime, AVectorOfNoThreadIsNone) {
  const Addr vector = block(296);
  poke(vector, 16);
  world_.program.set_thread_pointer(world_.data({0, vector.value + 32}));
  EXPECT_EQ(label(vector), "");
}

TEST_F(LibraryRuntime, ADocumentPointsToItself) { EXPECT_EQ(label(document()), "struct _xmlDoc"); }

TEST_F(LibraryRuntime, ADocumentOfAnotherIsNone) {
  const Addr other = document();
  const Addr begin = document();
  poke(begin + 64, other);
  EXPECT_EQ(label(begin), "");
}

TEST_F(LibraryRuntime, AnAttributePointsToItsDocument) {
  const Addr attribute = block(104);
  poke(attribute + 8, 2);
  poke(attribute + 64, document());
  EXPECT_EQ(label(attribute), "struct _xmlAttr");
}

TEST_F(LibraryRuntime, AnAttributeOfWhatIsNoDocumentIsNone) {
  const Addr attribute = block(104);
  poke(attribute + 8, 2);
  poke(attribute + 64, block(168));
  EXPECT_EQ(label(attribute), "");
}

// Magic numbers of curl: lib/urldata.h, lib/multihandle.h, lib/curl_share.h.
TEST_F(LibraryRuntime, CurlsHandlesBeginWithTheirMagic) {
  struct Handle {
    uint32_t magic;
    uint64_t size;
    const char* label;
  };
  for (const Handle& handle :
       {Handle{0xc0dedbad, 5400, "struct Curl_easy"}, Handle{0x000bab1e, 600, "struct Curl_multi"},
        Handle{0x7e117a1e, 104, "struct Curl_share"}}) {
    RecogniserWorld world;
    const Addr begin = world.program.block(handle.size);
    const Addr other = world.program.block(handle.size);
    world.program.poke(begin, handle.magic);
    world.program.poke(other, handle.magic + 1);
    const FamilyId id = world.family({begin});
    const FamilyId of_other = world.family({other});
    const Inputs& inputs = world.inputs();
    const auto evidence = recognise_library(inputs, id);
    ASSERT_TRUE(evidence) << handle.label;
    EXPECT_EQ(evidence->label, handle.label);
    EXPECT_FALSE(recognise_library(inputs, of_other));
  }
}

}  // namespace
}  // namespace heapscan
