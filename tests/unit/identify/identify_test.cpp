#include <random>

#include "heapscan/base/parallel.h"
#include "identify/families/rounds.h"
#include "unit/identify/recogniser_world.h"
#include "unit/identify/typing_program.h"

namespace heapscan {
namespace {

FamilyEvidence identify(const Inputs& inputs) {
  return identify(inputs.image, inputs.symbols, inputs.types, inputs.runtime, inputs.heap,
                  inputs.roots, inputs.reach, inputs.families);
}

std::string label_of(const FamilyEvidence& evidence, FamilyId family) {
  const Evidence* const naming = naming_evidence(evidence.rows[family]);
  return naming == nullptr ? "" : naming->label;
}

TEST(Identify, TheStrongestEvidenceGivesTheLabel) {
  RecogniserWorld world;
  const Addr list = world.data({0});
  world.symbol("idle_list", list);
  const Addr vptr = world.vtable("6Parser");
  const Addr a = world.program.block(40);
  world.program.poke(a, vptr);
  world.program.poke(a + 16, list);
  const Addr b = world.program.block(40);
  world.program.poke(b + 8, list);
  const Addr c = world.program.block(40);
  world.program.poke(c, 7);
  const FamilyId parser = world.family({a});
  const FamilyId named = world.family({b});
  const FamilyId unknown = world.family({c});
  const FamilyEvidence evidence = identify(world.inputs());
  EXPECT_EQ(label_of(evidence, parser), "Parser");
  ASSERT_EQ(evidence.rows[parser].size(), 2U);
  EXPECT_EQ(evidence.rows[parser][1].label, "block pointing to idle_list");
  EXPECT_EQ(evidence.rows[parser][1].detail, "+0x10 -> idle_list");
  EXPECT_EQ(label_of(evidence, named), "block pointing to idle_list");
  EXPECT_EQ(label_of(evidence, unknown), "");
}

TEST(Identify, SaysWhenThereAreTooManyGroupsToNameThemAll) {
  const auto notes_of = [](size_t families) {
    RecogniserWorld world;
    for (size_t i = 0; i < families; ++i) world.family({world.program.block(24)});
    Notes notes = identify(world.inputs()).notes;
    return notes;
  };
  EXPECT_TRUE(notes_of(10'000).empty());
  const Notes notes = notes_of(10'001);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0].kind, NoteKind::Groups);
  EXPECT_EQ(notes[0].text,
            "only the 10,000 largest of 10,001 groups were "
            "named; the others are known by their "
            "size alone");
}

TEST(Identify, SaysWhenThereAreTooManyGroupsForTypes) {
  const auto notes_of = [](size_t families, bool has_types) {
    TypingProgram program;
    if (has_types) program.record("session", 24);
    for (size_t i = 0; i < families; ++i) program.family(1, 24);
    Notes notes = identify(program.inputs()).notes;
    return notes;
  };
  EXPECT_TRUE(notes_of(2'000, true).empty());
  EXPECT_TRUE(notes_of(2'001, false).empty());
  const Notes notes = notes_of(2'001, true);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0].text,
            "only the 2,000 largest of 2,001 groups were "
            "compared with the types in the debug "
            "information");
}

TEST(Identify, MarksOfTheLinkerAndChanceNameNothing) {
  RecogniserWorld world;
  const Addr data = world.data(std::vector<uint64_t>(16, 0));
  world.symbol("__GNU_EH_FRAME_HDR", data, 0);
  world.symbol("server", data + 64, 64);
  world.symbol("on_timeout", Addr(FakeProgram::kCode + 0x40), 64);
  std::vector<FamilyId> families;
  for (const Addr target : {data + 16, data + 65, Addr(FakeProgram::kCode + 0x48), data + 80}) {
    const Addr block = world.program.block(24);
    world.program.poke(block + 8, target);
    families.push_back(world.family({block}));
  }
  const FamilyEvidence evidence = identify(world.inputs());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(label_of(evidence, families[i]), "") << i;
  EXPECT_EQ(label_of(evidence, families[3]), "block pointing to server");
}

TEST(Identify, AnArrayOfPointersSaysWhatItPointsAt) {
  RecogniserWorld world;
  const Addr vptr = world.vtable("6Parser");
  const Addr array = world.program.block(40);
  std::vector<Addr> parsers;
  for (uint64_t i = 0; i < 4; ++i) {
    parsers.push_back(world.program.block(40));
    world.program.poke(parsers.back(), vptr);
    world.program.poke(array + 8 * i, parsers.back());
  }
  world.family(parsers);
  const FamilyId pointers = world.family({array}, Shape::Pointers);
  EXPECT_EQ(label_of(identify(world.inputs()), pointers), "array of pointers to Parser");
}

TEST(Identify, TextIsOnlyCalledSoWhenItIs) {
  RecogniserWorld world;
  const Addr text = world.program.block(24);
  world.program.poke(text, 0x6c6c6568'20676e6f);
  const Addr numbers = world.program.block(24);
  world.program.poke(numbers, uint64_t{7} << 32 | 3);
  const Addr umlauts = world.program.block(24);
  world.program.poke(umlauts, 0xbcc3b6c3a4c3);
  const FamilyId a = world.family({text}, Shape::Text);
  const FamilyId b = world.family({numbers}, Shape::Text);
  const FamilyId c = world.family({umlauts});
  const FamilyEvidence evidence = identify(world.inputs());
  EXPECT_EQ(label_of(evidence, a), "text");
  EXPECT_EQ(label_of(evidence, b), "");
  EXPECT_EQ(label_of(evidence, c), "text");
}

// Blocks and data overwritten at random, mostly with addresses of each other.
TEST(Identify, DamageNeitherStopsItNorMakesItDependOnThreads) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    RecogniserWorld world;
    std::mt19937_64 random(seed);
    std::vector<Addr> places;
    std::vector<std::vector<Addr>> members(8);
    for (int i = 0; i < 200; ++i) {
      const uint64_t size = 24 + 16 * (random() % 12);
      const Addr begin = world.program.block(size);
      members[random() % members.size()].push_back(begin);
      for (uint64_t at = 0; at + 8 <= size; at += 8) places.push_back(begin + at);
    }
    for (int i = 0; i < 64; ++i) places.push_back(world.data({0}));
    places.push_back(world.vtable("6Parser"));
    world.symbol("__gxx_personality_v0", Addr(FakeProgram::kCode));
    world.symbol("_ZTV1A", places[random() % places.size()], 64);
    world.symbol(std::string(1 << 20, 'x'), Addr(FakeProgram::kCode + 0x80), 16);
    const auto word = [&]() -> uint64_t {
      switch (random() % 6) {
        case 0:
          return random() % 4;
        case 1:
          return random();
        case 2:
          return FakeProgram::kCode + random() % 0x1000;
        default:
          return places[random() % places.size()].value;
      }
    };
    for (const Addr place : places) world.program.poke(place, word());
    for (size_t i = 0; i < members.size(); ++i) world.family(members[i], static_cast<Shape>(i % 6));
    const Inputs& inputs = world.inputs();
    const auto labels = [&](unsigned threads) {
      const ThreadLimit limit(threads);
      const Families apart = tell_apart(inputs.image, inputs.symbols, inputs.runtime, inputs.heap,
                                        inputs.roots, inputs.reach, inputs.families);
      FamilyEvidence evidence = identify(inputs.image, inputs.symbols, inputs.types, inputs.runtime,
                                         inputs.heap, inputs.roots, inputs.reach, apart);
      const auto [clusters, identities] =
          make_clusters(inputs.heap, apart, std::move(evidence), "program");
      std::vector<std::string> result;
      for (size_t i = 0; i < clusters.rows.size(); ++i)
        result.push_back(identities.rows[ClusterId(i)].label + " " +
                         std::to_string(clusters.rows[ClusterId(i)].fingerprint));
      return result;
    };
    EXPECT_EQ(labels(1), labels(4)) << seed;
  }
}

}  // namespace
}  // namespace heapscan
