#include "heapscan/report/place.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "heapscan/report/find.h"
#include "heapscan/report/grep.h"
#include "heapscan/report/refs.h"
#include "heapscan/report/whatis.h"
#include "heapscan/symbols/types.h"
#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Two sessions in use, one leaked, a free block; the first session points to the second.
class PlaceTest : public testing::Test {
 protected:
  PlaceTest() {
    made_.label("struct session");
    first_ = made_.reachable(56, "GET /index.html\x1b[31m");
    second_ = made_.reachable(56);
    lost_ = made_.definite(120);
    freed_ = made_.free_block(40);
    made_.program().poke(first_ + 40, second_ + 16);
    made_.program().poke(first_ + 48, ~uint64_t{0});
    made_.program().poke(freed_, lost_);
    root_ = made_.program().strong_root(first_);
    RootWord rbx;
    rbx.value = first_.value;
    rbx.tid = 7;
    rbx.name = "rbx";
    made_.program().add_root_word(rbx);
    analysis_ = made_.judge();
  }

  template <typename Options>
  static Options options() {
    Options options;
    options.command = "heapscan x 4711";
    return options;
  }
  template <typename Report>
  static std::string text_of(const Report& report) {
    std::ostringstream out;
    render_text(report, false, out);
    return out.str();
  }

  JudgedProgram made_;
  Addr first_;
  Addr second_;
  Addr lost_;
  Addr freed_;
  Addr root_;
  Analysis analysis_;
};

TEST_F(PlaceTest, SaysWhichBlockAnAddressIsInAndHowFarInIt) {
  const PlaceFinder places(analysis_);
  const Place place = places.at(second_ + 16);
  EXPECT_EQ(place.kind, PlaceKind::Block);
  EXPECT_EQ(place.offset(), 16U);
  EXPECT_EQ(place.cluster, id_of_label("struct session"));
  EXPECT_THAT(spelled(place), HasSubstr("+0x10 in block"));
  EXPECT_THAT(spelled(place), HasSubstr("56 B, struct session, reachable"));
  EXPECT_EQ(places.at(freed_).kind, PlaceKind::FreeBlock);
  EXPECT_THAT(spelled(places.at(freed_)), HasSubstr(", free"));
  EXPECT_EQ(places.at(first_ - 8).kind, PlaceKind::Memory);  // the header of a heap without ranges
  EXPECT_EQ(spelled(places.at(Addr(0x10))), "not mapped");
}

TEST_F(PlaceTest, RefsFindsPointersToTheBeginIntoTheMiddleInRegistersAndInFreedMemory) {
  const std::vector<Addr> asked = {first_, second_, lost_};
  const RefsReport report = describe_refs(live_facts(), analysis_, asked, options<RefsOptions>());
  ASSERT_THAT(report.answers, SizeIs(3));
  EXPECT_EQ(report.answers[0].total, 2U);
  EXPECT_EQ(report.answers[0].references[0].place.name, "register rbx of thread 7");
  EXPECT_EQ(report.answers[0].references[1].place.at, root_);
  EXPECT_EQ(report.answers[1].references[0].place.at, first_ + 40);
  EXPECT_EQ(report.answers[1].references[0].into, 16U);
  EXPECT_EQ(report.answers[2].references[0].place.kind, PlaceKind::FreeBlock);
}

TEST_F(PlaceTest, RefsShowsAsManyAsAskedForAndSaysHowToSeeTheRest) {
  RefsOptions one = options<RefsOptions>();
  one.top = 1;
  const std::vector<Addr> asked = {first_};
  const RefsReport report = describe_refs(live_facts(), analysis_, asked, one);
  EXPECT_THAT(report.answers[0].references, SizeIs(1));
  EXPECT_THAT(text_of(report), HasSubstr("1 more, show with: heapscan x 4711 -n 2"));
}

TEST_F(PlaceTest, GrepShowsNothingThatCouldMoveACursor) {
  GrepPattern pattern;
  pattern.is_text = true;
  pattern.text = "index.html\x1b[31m";
  const GrepReport report = describe_grep(live_facts(), analysis_, pattern, options<GrepOptions>());
  ASSERT_THAT(report.hits, SizeIs(1));
  EXPECT_EQ(report.hits[0].around, "\"GET /index.html\\x1b[31m\"");
  EXPECT_THAT(text_of(report), Not(HasSubstr("\x1b")));
  GrepOptions without = options<GrepOptions>();
  without.content = false;
  EXPECT_EQ(describe_grep(live_facts(), analysis_, pattern, without).hits[0].around, "");
}

TEST(Grep, LooksForNothingBelowTheFirstAddress) {
  const std::string memory(64, 'x');
  ImageBuilder builder;
  Region region;
  region.range = AddrRange::sized(Addr(0), memory.size());
  region.contents = Contents::Saved;
  region.bytes = builder.keep_copy(std::as_bytes(std::span(memory)));
  builder.add_region(region);
  Analysis analysis;
  analysis.image = builder.freeze();
  GrepPattern pattern;
  pattern.is_text = true;
  pattern.text = "xxx";
  GrepOptions options;
  options.top = 3;
  const GrepReport report = describe_grep(live_facts(), analysis, pattern, options);
  ASSERT_THAT(report.hits, SizeIs(3));
  EXPECT_EQ(report.hits[2].around, '"' + std::string(2 + 48, 'x') + '"');
}

TEST_F(PlaceTest, FindTakesLabelIdSizeAndVerdict) {
  const auto found = [&](auto&& change) {
    FindOptions wanted = options<FindOptions>();
    change(wanted);
    const FindReport report = describe_find(live_facts(), analysis_, wanted);
    std::vector<Addr> addresses;
    for (const FoundBlock& block : report.blocks) addresses.push_back(block.address);
    return addresses;
  };
  EXPECT_THAT(found([](FindOptions& o) { o.kind = "session"; }),
              ElementsAre(first_, second_, lost_));
  EXPECT_THAT(found([](FindOptions& o) { o.kind = "^session$"; }), IsEmpty());
  EXPECT_THAT(found([](FindOptions& o) { o.kind = id_of_label("struct session").substr(0, 6); }),
              ElementsAre(first_, second_, lost_));
  EXPECT_THAT(found([](FindOptions& o) { o.min_size = 57; }), ElementsAre(lost_));
  EXPECT_THAT(found([](FindOptions& o) { o.verdicts = VerdictSet{Verdict::Definite}; }),
              ElementsAre(lost_));
  EXPECT_THAT(found([](FindOptions& o) {
                o.verdicts = VerdictSet{};
                o.free = true;
              }),
              ElementsAre(freed_));
  EXPECT_THAT(found([](FindOptions& o) {
                o.largest_first = true;
                o.top = 1;
              }),
              ElementsAre(lost_));
}

TEST_F(PlaceTest, ATypeIsContradictedByItsMembers) {
  TypesBuilder builder;
  const TypeId boolean = builder.add({.kind = TypeKind::Boolean, .size = 1, .name = "bool"});
  const TypeId pointer = builder.add({.kind = TypeKind::Pointer, .size = 8});
  const TypeId fits = builder.add({.kind = TypeKind::Struct, .size = 48, .name = "fits"});
  const TypeId not_fits = builder.add({.kind = TypeKind::Struct, .size = 48, .name = "not_fits"});
  const TypeId larger = builder.add({.kind = TypeKind::Struct, .size = 64, .name = "larger"});
  const TypeId marked = builder.add({.kind = TypeKind::Struct, .size = 56, .name = "marked"});
  builder.set_members(fits, {{.offset = 40, .type = pointer, .name = "next"}});
  builder.set_members(marked, {{.offset = 48, .type = pointer, .name = "parent"}});
  builder.set_members(not_fits, {{.offset = 0, .type = pointer, .name = "owner"},
                                 {.offset = 8, .type = boolean, .name = "done"}});
  builder.set_members(larger, {{.offset = 0, .type = pointer, .name = "owner"}});
  analysis_.types = builder.freeze();
  const auto fit = [&](const char* type) {
    return *describe_assertion(live_facts(), analysis_, first_, type, options<AnswerOptions>())
                .answers.front()
                .fit;
  };
  EXPECT_THAT(fit("fits").contradictions, IsEmpty());
  EXPECT_EQ(fit("struct fits").members, 1U);
  EXPECT_THAT(fit("marked").contradictions, IsEmpty());
  EXPECT_EQ(fit("marked").members, 0U);
  ASSERT_THAT(fit("not_fits").contradictions, SizeIs(2));
  EXPECT_EQ(fit("not_fits").contradictions[0].reason, "leads to no mapped memory");
  EXPECT_EQ(fit("not_fits").contradictions[1].reason, "is neither 0 nor 1");
  EXPECT_THAT(fit("larger").contradictions[0].reason, HasSubstr("the block has 56 B"));
  EXPECT_THROW((void)fit("fit"), Error);
}

}  // namespace
}  // namespace heapscan
