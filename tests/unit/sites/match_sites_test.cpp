#include "heapscan/sites/match_sites.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "sites/name_words.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

// Blocks of the test's making in clusters of the test's making, and calls that may have made them.
class MatchSites : public testing::Test {
 public:
  // A cluster of `count` blocks of `size` bytes, each with `value` at `offset`.
  ClusterId cluster(size_t count, uint64_t size, uint64_t offset = 0, uint64_t value = 0) {
    Cluster row;
    row.blocks = count;
    row.bytes = count * size;
    row.sizes = {{size, count}};
    const ClusterId id = clusters_.rows.push_back(row);
    for (size_t i = 0; i < count; ++i) {
      const Addr block = program_.block(size);
      program_.poke(block + offset, value);
      members_.emplace_back(block, id);
    }
    return id;
  }
  // A cluster of 20 blocks of 104 bytes, with a word of its own each at `offset`.
  ClusterId cluster_of(uint64_t offset, const std::function<uint64_t(size_t)>& value) {
    const ClusterId id = cluster(20, 104);
    for (size_t i = 0; i < 20; ++i)
      program_.poke(members_[members_.size() - 20 + i].first + offset, value(i));
    return id;
  }
  // Blocks in use that are in no cluster.
  void live(size_t count, uint64_t size, uint64_t offset, uint64_t value) {
    for (size_t i = 0; i < count; ++i) program_.poke(program_.block(size) + offset, value);
  }
  CallSiteId site(uint64_t size, std::vector<StoredField> fields = {}) {
    CallSite row;
    row.call = Addr(FakeProgram::kCode + 0x20 * (sites_.rows.size() + 1));
    row.after = row.call + 5;
    row.function = row.call;
    row.bytes.kind = RequestedBytes::Kind::Constant;
    row.bytes.constants = {size};
    row.fields = std::move(fields);
    return sites_.rows.push_back(row);
  }
  static StoredField field(uint64_t offset, uint64_t value,
                           StoredField::Kind kind = StoredField::Kind::Constant) {
    StoredField field;
    field.offset = offset;
    field.kind = kind;
    field.value = value;
    return field;
  }

  SiteMatches match() {
    world_ = program_.build();
    if (sites_.allocators.empty()) sites_.allocators.resize(1);
    std::vector<BlockId> members;
    std::vector<ClusterId> clusters;
    for (const auto& [address, cluster] : members_) {
      members.push_back(world_.heap.block_at(address));
      clusters.push_back(cluster);
      clusters_.rows[cluster].samples.push_back(members.back());
    }
    clusters_.members = BlockColumn<ClusterId>(members, std::move(clusters));
    Identities identities;
    identities.rows = Column<ClusterId, Identity>(clusters_.rows.size());
    for (const auto& [id, identity] : identities_) identities.rows[id] = identity;
    const Symbols symbols;
    const Types types = types_.freeze();
    return match_sites(
        {world_.image, symbols, types, world_.runtime, world_.heap, clusters_, identities}, sites_);
  }
  // A struct of 100 bytes, the first of them in a member `head` of that type.
  TypeId record(const char* name, TypeId head = {}) {
    const TypeId id = types_.add({.kind = TypeKind::Struct, .size = 100, .name = name});
    if (head.valid()) types_.set_members(id, {{.offset = 0, .type = head, .name = "head"}});
    return id;
  }
  void settle(ClusterId blocks, const char* label, TypeId type = {}) {
    Identity identity;
    identity.label = label;
    identity.type = type;
    identities_.emplace_back(blocks, identity);
  }
  // The likelier of two sites by far.
  static void expect_order(const ClusterSites& sites, CallSiteId right, CallSiteId wrong) {
    ASSERT_FALSE(sites.best.empty());
    EXPECT_EQ(sites.best[0].site, right);
    EXPECT_GT(probability_of(sites, right), 3 * probability_of(sites, wrong));
  }
  // A site of 100 bytes whose result the source assigns to a pointer to that.
  CallSiteId site_of(TypeKind pointee, TypeId record = {}) {
    const CallSiteId id = site(100);
    while (sites_.results.size() < sites_.rows.size()) sites_.results.push_back({});
    sites_.results[id] = {"variable", pointee, record};
    return id;
  }
  // A cluster of 20 blocks, each with one of `words`, and as large as that needs or `size`.
  ClusterId texts(const std::vector<std::string>& words, uint64_t size = 0) {
    Cluster row;
    row.shape = Shape::Text;
    row.blocks = 20;
    const ClusterId id = clusters_.rows.push_back(row);
    for (size_t i = 0; i < 20; ++i) {
      const std::string& text = words[i % words.size()];
      const uint64_t wanted = size != 0 ? size : text.size() + 1;
      const uint64_t usable = (wanted + 23) / 16 * 16 - 8;
      const Addr block = program_.block(usable);
      for (size_t at = 0; at <= text.size(); at += 8) {
        uint64_t word = 0;
        std::memcpy(&word, text.data() + at, std::min<size_t>(8, text.size() - at));
        program_.poke(block + at, word);
      }
      members_.emplace_back(block, id);
      auto& sizes = clusters_.rows[id].sizes;
      const auto same = std::find_if(sizes.begin(), sizes.end(),
                                     [&](const auto& s) { return s.first == usable; });
      if (same != sizes.end()) {
        ++same->second;
      } else {
        sizes.emplace_back(usable, 1);
      }
    }
    auto& sizes = clusters_.rows[id].sizes;
    std::sort(sizes.begin(), sizes.end());
    return id;
  }
  // A site of a text's length and `more` bytes.
  CallSiteId text_site(uint64_t more) {
    const CallSiteId id = array_site(1);
    sites_.rows[id].bytes.base = more;
    sites_.rows[id].bytes.is_of_text = sites_.rows[id].makes_text = true;
    return id;
  }
  // A site of a multiple of `step`.
  CallSiteId array_site(uint64_t step) {
    const CallSiteId id = site(0);
    sites_.rows[id].bytes = {};
    sites_.rows[id].bytes.kind = RequestedBytes::Kind::Linear;
    sites_.rows[id].bytes.step = step;
    return id;
  }
  static bool has_fact(const SiteMatch& match, SiteFact::Kind kind) {
    return std::any_of(match.facts.begin(), match.facts.end(),
                       [&](const SiteFact& fact) { return fact.kind == kind; });
  }
  static double probability_of(const ClusterSites& sites, CallSiteId site) {
    for (const SiteMatch& match : sites.best) {
      if (match.site == site) return match.probability;
    }
    return 0;
  }

  FakeProgram program_;
  FakeProgram::World world_;
  Clusters clusters_;
  CallSites sites_;
  std::vector<std::pair<Addr, ClusterId>> members_;
  std::vector<std::pair<ClusterId, Identity>> identities_;
  TypesBuilder types_;
};

TEST_F(MatchSites, OnlySizesThatWouldDoAreCandidates) {
  const ClusterId blocks = cluster(20, 104);
  site(200);
  const CallSiteId right = site(100);
  const SiteMatches matches = match();
  EXPECT_EQ(matches[blocks].candidates, 1U);
  ASSERT_EQ(matches[blocks].best.size(), 1U);
  EXPECT_EQ(matches[blocks].best[0].site, right);
}

TEST_F(MatchSites, WhatTheCodeWritesDecides) {
  const ClusterId blocks = cluster(20, 104, 16, 0x5245);
  live(20, 104, 16, 1);
  const CallSiteId wrong = site(100, {field(16, 0x5752)});
  const CallSiteId right = site(100, {field(16, 0x5245)});
  const SiteMatches matches = match();
  ASSERT_TRUE(matches[blocks].is_answered());
  EXPECT_EQ(matches[blocks].best[0].site, right);
  EXPECT_GT(probability_of(matches[blocks], right), 4 * probability_of(matches[blocks], wrong));
}

TEST_F(MatchSites, WhatOtherBlocksHaveAsWellProvesLittle) {
  const ClusterId blocks = cluster(20, 104, 16, 7);
  live(200, 104, 16, 7);
  const CallSiteId same = site(100, {field(16, 7)});
  const CallSiteId silent = site(100);
  const SiteMatches matches = match();
  EXPECT_LT(probability_of(matches[blocks], same), 1.5 * probability_of(matches[blocks], silent));
}

TEST_F(MatchSites, AlikeCallsAreNoAnswer) {
  const ClusterId blocks = cluster(20, 104);
  for (int i = 0; i < 5; ++i) site(100);
  const SiteMatches matches = match();
  EXPECT_FALSE(matches[blocks].is_answered());
  EXPECT_EQ(matches[blocks].candidates, 5U);
  EXPECT_EQ(matches[blocks].best.size(), ClusterSites::kMostShown);
}

// Where one word of a block is zero, others mostly are: that all of them agree is no more than one fact.
TEST_F(MatchSites, ManyZerosAreOneFact) {
  const ClusterId blocks = cluster(20, 104);
  for (int i = 0; i < 20; ++i) {
    const Addr block = program_.block(104);
    for (uint64_t at = 0; at < 96; at += 8) program_.poke(block + at, 0x1234567);
  }
  const CallSiteId one = site(100, {field(16, 0)});
  const CallSiteId many =
      site(100, {field(0, 0), field(8, 0), field(16, 0), field(24, 0), field(32, 0), field(40, 0)});
  const CallSiteId none = site(100);
  const SiteMatches matches = match();
  EXPECT_GT(probability_of(matches[blocks], one), probability_of(matches[blocks], none));
  EXPECT_LT(probability_of(matches[blocks], many), 1.1 * probability_of(matches[blocks], one));
}

TEST_F(MatchSites, CallsThatStoreDifferentTagsShareTheBlocks) {
  const ClusterId blocks = cluster_of(16, [](size_t i) { return i % 2 == 0 ? 0x5245 : 0x5752; });
  const CallSiteId reader = site(100, {field(8, 0), field(16, 0x5245)});
  const CallSiteId writer = site(100, {field(8, 0), field(16, 0x5752)});
  site(100, {field(16, 0x544d)});
  const SiteMatches matches = match();
  ASSERT_FALSE(matches[blocks].is_answered());
  const std::vector<SiteShare>& shares = matches[blocks].shares;
  ASSERT_EQ(shares.size(), 2U);
  EXPECT_EQ(shares[0].site, reader);
  EXPECT_EQ(shares[1].site, writer);
  for (const SiteShare& share : shares) {
    EXPECT_EQ(share.claimed, 10U);
    EXPECT_EQ(share.samples, 20U);
  }
}

TEST_F(MatchSites, NobodySharesBlocksOfWhichManyHaveNoTagThatIsKnown) {
  const ClusterId blocks = cluster_of(16, [](size_t i) { return 0x1000 + i % 4; });
  site(100, {field(16, 0x1000)});
  site(100, {field(16, 0x1001)});
  const SiteMatches matches = match();
  EXPECT_FALSE(matches[blocks].is_answered());
  EXPECT_TRUE(matches[blocks].shares.empty());
}

TEST_F(MatchSites, NobodySharesBlocksThatTwoCallsCanHaveMade) {
  const ClusterId blocks = cluster_of(16, [](size_t i) { return i % 2 == 0 ? 0x5245 : 0x5752; });
  site(100, {field(16, 0x5245)});
  site(100, {field(16, 0x5752)});
  site(100, {field(16, 0x5752)});
  EXPECT_TRUE(match()[blocks].shares.empty());
}

TEST_F(MatchSites, TheHeadOfAnEmptyListPointsAtItself) {
  const ClusterId blocks = cluster(20, 104);
  for (const auto& [block, cluster] : members_) program_.poke(block + 8, block + 8);
  site(100);
  const CallSiteId right = site(100, {field(8, 8, StoredField::Kind::OwnAddress)});
  const SiteMatches matches = match();
  ASSERT_TRUE(matches[blocks].is_answered());
  EXPECT_EQ(matches[blocks].best[0].site, right);
}

TEST_F(MatchSites, WhatHoldsTheBlocksSpeaksForTheCallThatStoresThemThere) {
  const ClusterId children = cluster(20, 56);
  const ClusterId parents = cluster(20, 104);
  for (size_t i = 0; i < 20; ++i) program_.poke(members_[20 + i].first + 24, members_[i].first);
  const CallSiteId parent = site(100);
  const CallSiteId wrong = site(50);
  const CallSiteId right = site(50);
  for (int i = 0; i < 40; ++i) site(1000);  // that store nothing at +0x18
  sites_.links.push_back({wrong, 8, parent});
  sites_.links.push_back({right, 24, parent});
  const SiteMatches matches = match();
  EXPECT_EQ(matches[parents].best[0].site, parent);
  ASSERT_GE(matches[children].best.size(), 2U);
  EXPECT_EQ(matches[children].best[0].site, right);
  EXPECT_GT(matches[children].best[0].probability, 2 * matches[children].best[1].probability);
}

TEST_F(MatchSites, AResultOfTheBlocksTypeSpeaksForACall) {
  const ClusterId blocks = cluster(20, 104);
  const TypeId session = record("session");
  const TypeId channel = record("channel");
  settle(blocks, "struct session", session);
  const CallSiteId right = site_of(TypeKind::Struct, session);
  const CallSiteId silent = site_of(TypeKind::Void);
  const CallSiteId wrong = site_of(TypeKind::Struct, channel);
  const SiteMatches matches = match();
  ASSERT_TRUE(matches[blocks].is_answered());
  EXPECT_EQ(matches[blocks].best[0].site, right);
  EXPECT_EQ(matches[blocks].best[1].site, silent);
  EXPECT_GT(probability_of(matches[blocks], silent), 3 * probability_of(matches[blocks], wrong));
}

TEST_F(MatchSites, WhatBeginsWithTheResultsTypeMayBeMeant) {
  const ClusterId blocks = cluster(20, 104);
  const TypeId shape = record("Shape");
  const TypeId circle = record("Circle", shape);
  settle(blocks, "Circle", circle);
  const CallSiteId base = site_of(TypeKind::Struct, shape);
  site_of(TypeKind::Struct, record("Line"));
  const SiteMatches matches = match();
  ASSERT_TRUE(matches[blocks].is_answered());
  EXPECT_EQ(matches[blocks].best[0].site, base);
}

TEST_F(MatchSites, OfTypesThatFitTheLikelierSpeaksForACall) {
  const ClusterId blocks = cluster(20, 104);
  const TypeId session = record("session");
  const TypeId channel = record("channel");
  Identity identity;
  identity.fitting = {{session, 60}, {channel, 20}};
  identities_.emplace_back(blocks, identity);
  const CallSiteId likelier = site_of(TypeKind::Struct, session);
  const CallSiteId fits = site_of(TypeKind::Struct, channel);
  const CallSiteId contradicted = site_of(TypeKind::Struct, record("timer"));
  const SiteMatches matches = match();
  const ClusterSites& found = matches[blocks];
  EXPECT_EQ(found.best[0].site, likelier);
  EXPECT_GT(probability_of(found, likelier), 3 * probability_of(found, fits));
  EXPECT_GE(probability_of(found, fits), probability_of(found, contradicted));
}

TEST_F(MatchSites, AHeadThatIsWrittenOutIsTheSameBeginning) {
  const ClusterId blocks = cluster(20, 104);
  const TypeId number = types_.add({.kind = TypeKind::Integer, .size = 8, .name = "long"});
  const Member common{.offset = 0, .type = number, .name = "kind"};
  const TypeId header = record("header");
  types_.set_members(header, {common});
  const TypeId node = record("node");
  types_.set_members(node, {common, {.offset = 8, .type = number, .name = "value"}});
  const TypeId other = record("other");
  types_.set_members(other, {{.offset = 0, .type = number, .name = "length"}});
  settle(blocks, "struct node", node);
  const CallSiteId as_header = site_of(TypeKind::Struct, header);
  const CallSiteId as_other = site_of(TypeKind::Struct, other);
  expect_order(match()[blocks], as_header, as_other);
}

TEST_F(MatchSites, ArraysOfPointersAreToldByWhatThesePointTo) {
  const ClusterId blocks = cluster(20, 104);
  clusters_.rows[blocks].shape = Shape::Pointers;
  const TypeId session = record("session");
  const TypeId channel = record("channel");
  const TypeId pointer = types_.add({.kind = TypeKind::Pointer, .size = 8, .target = session});
  settle(blocks, "array of struct session *", pointer);
  const CallSiteId right = site_of(TypeKind::Pointer, session);
  const CallSiteId wrong = site_of(TypeKind::Pointer, channel);
  expect_order(match()[blocks], right, wrong);
}

TEST_F(MatchSites, TextIsMadeWhereItIsAssignedToPointersToCharacters) {
  const ClusterId blocks = cluster(20, 104);
  clusters_.rows[blocks].shape = Shape::Text;
  const CallSiteId text = site_of(TypeKind::Character);
  const CallSiteId numbers = site_of(TypeKind::Integer);
  expect_order(match()[blocks], text, numbers);
}

TEST_F(MatchSites, TextIsMadeWhereAsMuchIsAskedForAsItHas) {
  const ClusterId blocks =
      texts({"/usr/lib/x86_64-linux-gnu/libm.so", "/usr/share/doc/README.txt.gz"});
  const CallSiteId copied = text_site(1);
  const CallSiteId other = text_site(0);
  sites_.rows[other].bytes.is_of_text = sites_.rows[other].makes_text = false;
  const ClusterSites found = match()[blocks];
  expect_order(found, copied, other);
  EXPECT_TRUE(has_fact(found.best[0], SiteFact::Kind::Length));
}

// A few small objects whose first word is a pointer that could be letters: "A\nUUUU".
TEST_F(MatchSites, WhatBeginsWithAPointerIsNoText) {
  const ClusterId blocks = cluster(3, 24, 0, FakeProgram::kCode + 0xa41);
  const CallSiteId maker = site(16);
  const CallSiteId copied = text_site(1);
  const ClusterSites found = match()[blocks];
  EXPECT_GT(probability_of(found, maker), probability_of(found, copied));
  for (const SiteMatch& each : found.best) EXPECT_FALSE(has_fact(each, SiteFact::Kind::Called));
}

TEST_F(MatchSites, WhatHasRoomToSpareWasNotMadeForItsText) {
  const ClusterId blocks = texts({"short words here, in much", "room, 100 bytes or so of it"}, 100);
  const CallSiteId copied = text_site(1);
  const CallSiteId buffer = text_site(0);
  sites_.rows[buffer].bytes.is_of_text = false;
  expect_order(match()[blocks], buffer, copied);
}

TEST_F(MatchSites, OfFunctionsThatCopyTextTheOneCalledFromMorePlacesIsLikelier) {
  const ClusterId blocks =
      texts({"/usr/lib/x86_64-linux-gnu/libm.so", "/usr/share/doc/README.txt.gz"});
  const CallSiteId seldom = text_site(1);
  const CallSiteId often = text_site(1);
  sites_.rows[seldom].callers = 2;
  sites_.rows[often].callers = 200;
  expect_order(match()[blocks], often, seldom);
}

TEST_F(MatchSites, HowOftenAMakerOfOtherThingsIsCalledSaysNothing) {
  const ClusterId blocks = cluster(20, 104, 0, 0x1234);
  const CallSiteId seldom = site(100);
  const CallSiteId often = site(100);
  sites_.rows[often].callers = 200;
  const ClusterSites found = match()[blocks];
  EXPECT_EQ(probability_of(found, often), probability_of(found, seldom));
}

TEST_F(MatchSites, ArraysAreMadeWhereMultiplesOfTheirElementAreAskedFor) {
  const ClusterId blocks = cluster_of(0, [](size_t i) { return 0x1000 + i; });
  const TypeId element = types_.add({.kind = TypeKind::Struct, .size = 24, .name = "point"});
  settle(blocks, "array of struct point",
         types_.add({.kind = TypeKind::Array, .size = 96, .target = element}));
  const CallSiteId right = array_site(24);
  const CallSiteId wrong = array_site(8);
  array_site(1);
  array_site(4);
  expect_order(match()[blocks], right, wrong);
}

TEST_F(MatchSites, AWholeWordOfCharactersIsNoChance) {
  constexpr uint64_t kWord = 0x7865646e692f2e2e;  // "../index"
  const ClusterId blocks = cluster(20, 104, 0, kWord);
  live(50, 104, 0, 0x1234);
  const CallSiteId writer = site(100, {field(0, kWord)});
  for (int i = 0; i < 50; ++i) site(100);
  const ClusterSites found = match()[blocks];
  EXPECT_EQ(found.best.at(0).site, writer);
  EXPECT_GT(found.best.at(0).probability, 0.8);
}

TEST_F(MatchSites, PartsOfContainersComeFromOperatorNew) {
  const ClusterId blocks = cluster(20, 104);
  settle(blocks, "text of std::string");
  clusters_.rows[blocks].shape = Shape::Text;
  sites_.allocators.resize(3);
  sites_.allocators[1].is_operator_new = true;
  sites_.allocators[2].fills_text = true;
  const CallSiteId duplicated = site(100);
  sites_.rows[duplicated].allocator = 2;
  const CallSiteId made = site(100);
  sites_.rows[made].allocator = 1;
  expect_order(match()[blocks], made, duplicated);
}

TEST(NameWords, AreTheWordsThatNamesAreMadeOf) {
  EXPECT_EQ(words_of("re_dfastate_t"), (NameWords{"dfastate"}));
  EXPECT_EQ(words_of("RoffNode"), (NameWords{"node", "roff"}));
  EXPECT_EQ(words_of("std::map<Key, Value>"), (NameWords{"key", "map", "std", "value"}));
  EXPECT_TRUE(is_plain_word("unknown"));
  EXPECT_FALSE(is_plain_word("roff"));
}

}  // namespace
}  // namespace heapscan
