#include "heapscan/report/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "heapscan/base/text.h"
#include "report/html/html_parts.h"
#include "unit/report/judged_program.h"
#include "unit/report/page_samples.h"

namespace heapscan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

template <typename... Parts>
std::string page_of(const Parts&... parts) {
  std::ostringstream out;
  render_html(parts..., out);
  return out.str();
}

size_t times(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

// The data that a page carries under an id.
std::string data_of(const std::string& page, const std::string& id) {
  const std::string begin = "<script type=\"application/json\" id=\"" + id + "\">";
  const size_t at = page.find(begin);
  if (at == std::string::npos) return "";
  const size_t from = at + begin.size();
  return page.substr(from, page.find("</script>", from) - from);
}

// Every page, of what would do harm where it is not escaped.
std::vector<std::string> hostile_pages() {
  const PageParts parts = hostile_parts();
  return {page_of(hostile_report(), parts), page_of(*parts.holds), page_of(hostile_changes()),
          page_of(hostile_watch()), page_of(hostile_why())};
}

TEST(HtmlText, IsEscaped) {
  EXPECT_EQ(html("<img src='x' onerror=\"y\"> & \xc3\x97"),
            "&lt;img src=&#39;x&#39; onerror=&quot;y&quot;&gt; &amp; \xc3\x97");
}

TEST(HtmlText, HasNothingThatCannotBeSeen) {
  const std::string gone = "\ufffd";
  EXPECT_EQ(html(std::string_view("a\0b", 3)), "a" + gone + "b");
  for (const char* text :
       {"\x1b", "\x7f", "\n", "\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80",
        "\u0085", "\u200b", "\u2028", "\u2029", "\u202e", "\u2066", "\ufeff"}) {
    const std::string escaped_text = html(text);
    EXPECT_EQ(times(escaped_text, gone) * gone.size(), escaped_text.size()) << escaped(text);
  }
}

TEST(HostilePage, HasNoElementOfTheTarget) {
  for (const std::string& page : hostile_pages()) {
    EXPECT_THAT(page, Not(HasSubstr("<img")));
    EXPECT_THAT(page, Not(HasSubstr("<script>window")));
    EXPECT_EQ(times(page, "<script>"), 1U) << "its own";
    EXPECT_EQ(times(page, "</script>"), times(page, "<script>") + times(page, "<script type="));
    EXPECT_THAT(page, HasSubstr("&quot;onmouseover=&#39;"));
    EXPECT_THAT(page, Not(HasSubstr("\u2028")));
    EXPECT_THAT(page, Not(HasSubstr("\x1b")));
    EXPECT_THAT(page, Not(HasSubstr("\xff")));
  }
}

TEST(HostilePage, LetsNothingRunButItsOwnScript) {
  for (const std::string& page : hostile_pages()) {
    EXPECT_THAT(page, HasSubstr("content=\"default-src 'none'; script-src 'sha256-"));
    EXPECT_THAT(page, Not(HasSubstr("unsafe-")));
    EXPECT_THAT(page, Not(HasSubstr(" style=")));
    EXPECT_THAT(page, Not(HasSubstr(" src=\"")));
  }
}

TEST(LookPage, CarriesWhatTheJsonSays) {
  const Report report = hostile_report();
  std::ostringstream json;
  render_json(report, json);
  const std::string page = page_of(report, hostile_parts());
  EXPECT_EQ(nlohmann::json::parse(data_of(page, "report")), nlohmann::json::parse(json.str()));
  EXPECT_EQ(nlohmann::json::parse(data_of(page, "holds"))["schema"], "heapscan.holds/1");
}

TEST(LookPage, CanBeReadWithoutScripts) {
  const std::string page = page_of(hostile_report(), hostile_parts());
  EXPECT_THAT(page, HasSubstr("3.9 KiB is leaked, 40 % of what malloc has in use: 60 blocks that"));
  EXPECT_THAT(page, HasSubstr("Where the memory is: 312.0 KiB resident"));
  EXPECT_THAT(page, HasSubstr("<code>00000000000000aa</code>"));
  EXPECT_THAT(page, HasSubstr("7 more groups left out"));
  EXPECT_EQ(times(page, "<details class=\"group\""), 2U);
  EXPECT_THAT(page, HasSubstr("sessions&lt;/script&gt;")) << "the tree as a list";
}

TEST(LookPage, SaysWhenNothingIsLeaked) {
  Report report;
  report.held = {40, 6000};
  report.holders = {{"nginx: sessions", {30, 3000}}};
  const std::string page = page_of(report, PageParts());
  EXPECT_THAT(page,
              HasSubstr("<div class=\"verdict good\">\n<p class=\"first\">Nothing is leaked."));
  EXPECT_THAT(page, HasSubstr("50 % is reachable only through nginx: sessions."));
  report.kept_free.is_large = true;
  report.kept_free.arenas.resize(1);
  report.kept_free.free_bytes = 1 << 20;
  EXPECT_THAT(page_of(report, PageParts()),
              HasSubstr("malloc keeps 1.0 MiB that the program has freed"));
}

TEST(LookPage, ShowsSoManyGroupsInFullAndTheOthersAsRows) {
  const std::string page = page_of(report_of_groups(350), PageParts());
  EXPECT_EQ(times(page, "<details class=\"group\""), PageParts::kGroupsInFull);
  EXPECT_EQ(times(page, "<tr><td class=\"name\">"), 350U);
  EXPECT_THAT(page, HasSubstr("The first 100 groups are here."));
}

TEST(LookPage, ShowsNoContentWhenAsked) {
  JudgedProgram program;
  program.definite(200, "GET /index.html");
  program.reachable(72, "POST /form");
  const Analysis analysis = program.judge();
  const auto page = [&](bool content) {
    ReportOptions options;
    options.content = content;
    const Report report = describe(live_facts(), analysis, options);
    PageParts parts;
    parts.maps = map_groups(analysis, report);
    return page_of(report, parts);
  };
  EXPECT_THAT(page(true), HasSubstr("GET /index.html"));
  EXPECT_THAT(page(true), HasSubstr("474554"));
  EXPECT_THAT(page(false), HasSubstr("Words of block")) << "there is a map";
  EXPECT_THAT(page(false), Not(HasSubstr("/index.html")));
  EXPECT_THAT(page(false), Not(HasSubstr("474554")));
}

TEST(ChangesPage, ShowsBeforeAndAfter) {
  const std::string page = page_of(hostile_changes());
  EXPECT_THAT(page,
              HasSubstr("Grew by 9.8 KiB in 60 s, most of it held by the program: +7.8 KiB."));
  EXPECT_THAT(page, HasSubstr("1,000 B → 8.8 KiB"));
  EXPECT_THAT(page, HasSubstr("grew in 2 of 3 intervals"));
  EXPECT_THAT(page, HasSubstr("<svg class=\"course\""));
  EXPECT_EQ(nlohmann::json::parse(data_of(page, "report"))["schema"], "heapscan.diff/1");
}

TEST(WatchPage, DrawsEachSampleAndLook) {
  const std::string page = page_of(hostile_watch());
  const size_t line = page.find("<polyline class=\"held\" points=\"");
  ASSERT_NE(line, std::string::npos);
  const std::string points = page.substr(line, page.find("/>", line) - line);
  EXPECT_EQ(times(points, ","), 5U);
  EXPECT_EQ(times(page, "<g class=\"look\">"), 2U);
  EXPECT_THAT(page,
              HasSubstr("<title>after 10 s: 11.0 MiB resident, 9.0 MiB without files</title>"));
  EXPECT_THAT(page,
              HasSubstr("Memory without files went from 8.0 MiB to 12.0 MiB in 40 s (+4.0 MiB)."));
  std::istringstream lines(data_of(page, "report"));
  size_t count = 0;
  for (std::string text; std::getline(lines, text); ++count)
    EXPECT_EQ(nlohmann::json::parse(text)["schema"], "heapscan.watch/1");
  EXPECT_EQ(count, 1U + 5 + 2 + 1 + 1);
}

TEST(WatchPage, KeepsTheShapeOfVeryManySamples) {
  WatchPage page;
  SampleLine sample;
  for (int i = 0; i < 50'000; ++i) {
    sample.seconds = i;
    keep_line(page, sample);
  }
  EXPECT_LT(page.samples.size(), 4000U);
  EXPECT_GT(page.samples.size(), 1000U);
  EXPECT_EQ(page.samples.front().seconds, 0);
  EXPECT_GT(page.samples.back().seconds, 49'000);
}

TEST(WhyPage, HasTheChainFromTheTopDown) {
  WhyReport report;
  WhyAnswer answer;
  answer.asked = answer.block.emplace(0x555500001000);
  answer.size = answer.resident = 264;
  answer.state = "reachable";
  answer.label = "struct session";
  WhyPath path;
  path.owner = "nginx";
  path.root = "sessions";
  path.steps = {{8, "table.slots[3]", Addr(0x555500002000), 64, 64, "struct slot", "", 1},
                {16, "next", Addr(0x555500001000), 264, 264, "struct session", "", 7}};
  answer.paths = {path};
  report.answers = {answer};
  const std::string page = page_of(report);
  EXPECT_NE(page.find("0x555500001000, struct session of 264 B, is reachable: sessions of nginx "
                      "leads to it."),
            std::string::npos);
  const size_t root = page.find("<li class=\"root\"><span class=\"strong\">sessions</span>");
  const size_t slot = page.find("<li><code>table.slots[3]</code> ");
  const size_t next = page.find("<li><code>next</code>, 7 times ");
  ASSERT_NE(next, std::string::npos);
  EXPECT_LT(root, slot);
  EXPECT_LT(slot, next);
  EXPECT_EQ(page.find("<details"), std::string::npos) << "one chain is not folded";
  EXPECT_NE(data_of(page, "why").find("\"heapscan.why/1\""), std::string::npos);
}

TEST(WhyPage, IsBadWhereABlockIsLost) {
  const std::string page = page_of(hostile_why());
  EXPECT_NE(page.find("<div class=\"verdict bad\">"), std::string::npos);
  EXPECT_NE(page.find("2 of 3 addresses lie in blocks of the heap."), std::string::npos);
}

TEST(TreeRows, AddUp) {
  const PageParts parts = hostile_parts();
  const TreeRows rows = tree_of_memory(hostile_report(), &*parts.holds);
  EXPECT_EQ(rows.front().total.bytes, 6000U + 3600 + 400);
  uint64_t sum = 0;
  for (const VerdictTotal& own : own_totals(rows)) sum += own.bytes;
  EXPECT_EQ(sum, rows.front().total.bytes);
}

TEST(Folded, HasAPathForWhatEachRowHoldsItself) {
  HoldsReport holds;
  holds.rows.resize(3);
  for (uint32_t i = 1; i < 3; ++i) holds.rows[i].parent = i - 1;
  const std::array<std::pair<const char*, uint64_t>, 3> rows = {
      {{"everything", 300}, {"a;b", 200}, {"queue", 200}}};
  for (size_t i = 0; i < rows.size(); ++i) {
    holds.rows[i].name = rows[i].first;
    holds.rows[i].retained = {1, rows[i].second};
  }
  std::ostringstream out;
  render_folded(holds, out);
  EXPECT_EQ(out.str(), "everything 100\neverything;a:b;queue 200\n");
}

TEST(Folded, OfALookIsByCallSite) {
  Report report;
  LeakGroup group;
  group.bytes = 400;
  group.label = "struct session";
  group.sites.is_answered = true;
  group.sites.rows = {{"web", Addr(), "session_new", 20, "web.c:8", "malloc", 0.9, {}, {}}};
  report.leaks = {group, group};
  report.leaks[1].sites.is_answered = false;
  std::ostringstream out;
  render_folded(report, out);
  EXPECT_EQ(out.str(), "all groups;web;session_new+0x14 (web.c:8);struct session 400\n");
}

TEST(Folded, OfALookWithoutCallSitesIsWhatIsLeaked) {
  Report report;
  LeakGroup group;
  group.verdict = Verdict::Definite;
  group.blocks = 2;
  group.bytes = 400;
  group.indirect = {1, 50};
  group.label = "struct session";
  group.below.resize(1);
  group.below[0].label = "text";
  group.below[0].blocks = 1;
  group.below[0].bytes = 50;
  report.leaks = {group};
  std::ostringstream out;
  render_folded(report, out);
  EXPECT_EQ(out.str(),
            "all blocks;leaked;struct session 400\nall blocks;leaked;struct session;text 50\n");
}

TEST(OwnTotals, OfBlocksAndBytes) {
  TreeRows rows(2);
  rows[0].total = {5, 500};
  rows[1].parent = 0;
  rows[1].total = {2, 600};
  const std::vector<VerdictTotal> own = own_totals(rows);
  EXPECT_EQ(own[0].blocks, 3U);
  EXPECT_EQ(own[0].bytes, 0U) << "what is below has more, which is odd and no reason to wrap";
  EXPECT_EQ(own[1].bytes, 600U);
}

}  // namespace
}  // namespace heapscan
