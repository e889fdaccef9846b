#include "heapscan/report/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;

template <typename Render>
std::string text_of(Render&& render, const Report& report) {
  std::ostringstream out;
  render(report, out);
  return out.str();
}

// What reports of this program say, against one of the program as `Then` made it.
class GateTest : public ::testing::Test {
 protected:
  static void leak(JudgedProgram& program, const std::string& label, size_t blocks) {
    program.label(label);
    for (size_t i = 0; i < blocks; ++i) program.definite(56);
  }
  static Analysis judged(size_t sessions, size_t jobs) {
    JudgedProgram program;
    leak(program, "struct session", sessions);
    leak(program, "struct job", jobs);
    return program.judge();
  }
  static Report report_on(const Analysis& analysis, const GateOptions& gate) {
    ReportOptions options;
    options.gate = gate;
    return describe(live_facts(), analysis, options);
  }
  static std::string json_of(const Analysis& analysis, ReportOptions options = {}) {
    std::ostringstream out;
    render_json(describe(live_facts(), analysis, options), out);
    return out.str();
  }
  static GateOptions against(const Analysis& then) {
    ParsedBaseline parsed = parse_baseline(json_of(then), "then.json");
    EXPECT_EQ(parsed.problem, "");
    return {std::nullopt, std::move(parsed.baseline)};
  }
};

TEST_F(GateTest, NothingIsAllowedUnlessSaid) {
  EXPECT_TRUE(Allowance{}.is_exceeded_by({1, 0}));
  EXPECT_FALSE(Allowance{}.is_exceeded_by({0, 0}));
}

TEST_F(GateTest, WhatIsAllowedIsNotAbove) {
  const Allowance bytes{100, std::nullopt};
  EXPECT_FALSE(bytes.is_exceeded_by({1000, 100}));
  EXPECT_TRUE(bytes.is_exceeded_by({1, 101}));
  const Allowance blocks{std::nullopt, 3};
  EXPECT_FALSE(blocks.is_exceeded_by({3, 1000}));
  EXPECT_TRUE(blocks.is_exceeded_by({4, 1}));
}

TEST_F(GateTest, WithoutItTheReportFailsForAnythingDefinite) {
  EXPECT_TRUE(report_on(judged(1, 0), {}).fails());
  EXPECT_FALSE(report_on(judged(0, 0), {}).fails());
}

TEST_F(GateTest, OnlyWhatIsMoreCounts) {
  const Analysis then = judged(3, 2);
  const Analysis now = judged(3, 5);
  const Report report = report_on(now, against(then));
  ASSERT_TRUE(report.gate);
  EXPECT_EQ(report.gate->counted.blocks, 3U);
  EXPECT_EQ(report.gate->counted.bytes, 3 * 56U);
  EXPECT_EQ(report.gate->grown_groups, 1U);
  EXPECT_EQ(report.gate->known_groups, 1U);
  EXPECT_EQ(report.gate->new_groups, 0U);
  EXPECT_TRUE(report.fails());
}

TEST_F(GateTest, WhatShrankMakesUpForNothing) {
  const Analysis then = judged(9, 2);
  const Report report = report_on(judged(1, 3), against(then));
  EXPECT_EQ(report.gate->counted.blocks, 1U);
  EXPECT_TRUE(report.fails());
}

TEST_F(GateTest, TheSameAsThenPasses) {
  EXPECT_FALSE(report_on(judged(3, 2), against(judged(3, 2))).fails());
}

TEST_F(GateTest, GroupsThatTheReportDoesNotListCountAsWell) {
  ReportOptions options;
  options.gate = against(judged(3, 0));
  options.top = 0;
  const Report report = describe(live_facts(), judged(3, 2), options);
  EXPECT_TRUE(report.leaks.empty());
  EXPECT_EQ(report.gate->new_groups, 1U);
  EXPECT_TRUE(report.fails());
}

TEST_F(GateTest, MappingsAreComparedBySize) {
  JudgedProgram before;
  before.mapping(4096, Verdict::Definite);
  const Analysis then = before.judge();
  JudgedProgram after;
  after.mapping(4096, Verdict::Definite);
  after.mapping(8192, Verdict::Definite);
  const Report report = report_on(after.judge(), against(then));
  EXPECT_EQ(report.gate->counted.blocks, 1U);
  EXPECT_EQ(report.gate->counted.bytes, 8192U);
}

TEST_F(GateTest, ABaselineThatLeavesGroupsOutIsRefused) {
  ReportOptions options;
  options.top = 1;
  const ParsedBaseline parsed = parse_baseline(json_of(judged(3, 2), options), "then.json");
  EXPECT_THAT(parsed.problem, HasSubstr("hold 3 of 5 blocks"));
  EXPECT_THAT(parsed.problem, HasSubstr("-n 1000000000"));
}

TEST_F(GateTest, WhatIsNoReportIsRefused) {
  for (const char* text : {"", "{", "[]", "null", "7", "{\"schema\":\"heapscan.diff/1\"}",
                           "{\"schema\":7}", "\"heapscan.report/1\""}) {
    EXPECT_THAT(parse_baseline(text, "x").problem, HasSubstr("--format json")) << text;
  }
}

TEST_F(GateTest, AReportOfAnyShapeIsReadWithoutHarm) {
  for (const char* rest :
       {"", ",\"leaks\":7", ",\"leaks\":[7,null,{}]", ",\"leaks\":{\"a\":[]}",
        ",\"leaks\":[{\"verdict\":\"definite\",\"id\":[],\"blocks\":-1,\"bytes\":1e99}]",
        ",\"mappings\":[{\"verdict\":\"definite\",\"size\":\"x\"}]", ",\"totals\":[1]"}) {
    EXPECT_EQ(
        parse_baseline(std::string("{\"schema\":\"heapscan.report/1\"") + rest + "}", "x").problem,
        "")
        << rest;
  }
}

TEST_F(GateTest, JunitNamesAreEscaped) {
  JudgedProgram program;
  leak(program, "map<a&b, \"c\">", 2);
  const std::string text = text_of(render_junit, report_on(program.judge(), {}));
  EXPECT_THAT(text, HasSubstr("name=\"map&lt;a&amp;b, &quot;c&quot;&gt; ["));
  EXPECT_THAT(text, HasSubstr("tests=\"1\" failures=\"1\""));
}

TEST_F(GateTest, JunitOfNothingHasATestThatPassed) {
  const std::string text = text_of(render_junit, report_on(judged(0, 0), {}));
  EXPECT_THAT(text, HasSubstr("tests=\"1\" failures=\"0\""));
  EXPECT_THAT(text, HasSubstr("name=\"no leaks\"/>"));
}

TEST_F(GateTest, JunitFailsOnlyForWhatCounts) {
  const std::string text = text_of(render_junit, report_on(judged(3, 5), against(judged(3, 2))));
  EXPECT_THAT(text, HasSubstr("tests=\"2\" failures=\"1\""));
  GateOptions all_allowed;
  all_allowed.allowance = Allowance{1 << 20, std::nullopt};
  EXPECT_THAT(text_of(render_junit, report_on(judged(3, 5), all_allowed)),
              HasSubstr("tests=\"2\" failures=\"0\""));
}

TEST_F(GateTest, SarifSaysWhatBecameOfAGroup) {
  const Json json =
      Json::parse(text_of(render_sarif, report_on(judged(3, 5), against(judged(3, 2)))));
  std::map<std::string, std::pair<std::string, std::string>> found;
  for (const Json& result : json["runs"][0]["results"]) {
    found[result["properties"]["label"]] = {result["baselineState"], result["level"]};
  }
  EXPECT_EQ(found["struct session"], std::pair(std::string("unchanged"), std::string("note")));
  EXPECT_EQ(found["struct job"], std::pair(std::string("updated"), std::string("error")));
}

TEST_F(GateTest, SarifNamesTheProgramWhereNoLineIsKnown) {
  const Analysis analysis = judged(1, 0);
  Report report = report_on(analysis, {});
  report.target.executable = "/opt/a b#c";
  EXPECT_THAT(text_of(render_sarif, report), HasSubstr("\"file:///opt/a%20b%23c\""));
}

TEST_F(GateTest, SuggestedRulesAreOnesThatCanBeRead) {
  JudgedProgram program;
  leak(program, "struct session", 3);
  program.mapping(4096, Verdict::Definite);
  const std::string text = text_of(render_suppressions, report_on(program.judge(), {}));
  const ParsedSuppressions parsed = parse_suppressions(text, "x");
  EXPECT_FALSE(parsed.problem) << text;
  ASSERT_EQ(parsed.rules.size(), 1U);
  EXPECT_EQ(parsed.rules[0].kind, SuppressionKind::Id);
  EXPECT_EQ(parsed.rules[0].pattern, id_of_label("struct session"));
  EXPECT_THAT(text, HasSubstr("# struct session: 168 B in 3 blocks"));
  EXPECT_THAT(text, HasSubstr("no rule can name a mapping: 1 mapping of 4.0 KiB"));
}

TEST_F(GateTest, IsToldInJsonOnlyWhenAskedFor) {
  EXPECT_THAT(json_of(judged(1, 0)), Not(HasSubstr("\"gate\"")));
  ReportOptions options;
  options.gate.allowance = Allowance{1 << 20, std::nullopt};
  const Json json = Json::parse(json_of(judged(1, 0), options));
  EXPECT_EQ(json["gate"]["failed"], false);
  EXPECT_EQ(json["gate"]["allowed_bytes"], 1 << 20);
  EXPECT_TRUE(json["gate"]["baseline"].is_null());
}

}  // namespace
}  // namespace heapscan
