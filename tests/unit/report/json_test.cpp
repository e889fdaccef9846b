#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "heapscan/base/text.h"
#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;

std::string json_text(const Report& report) {
  std::ostringstream out;
  render_json(report, out);
  return out.str();
}

Json json_of(const Report& report) { return Json::parse(json_text(report)); }

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

class JsonTest : public ::testing::Test {
 protected:
  JsonTest() {
    definite_ = program_.definite(200, "GET /index.html");
    program_.indirect(40, definite_);
    program_.possible(56);
    program_.reachable(72);
    program_.mapping(4096, Verdict::Possible);
    analysis_ = program_.judge();
    analysis_.heap.checks = {{"system bytes", true, "132 KiB"}};
    analysis_.heap.notes = {{NoteKind::MissingFile, "/bin/x", "gone \x1b"}};
    analysis_.heap.totals.used = {4, 368};
    analysis_.timing = {{"trace", 0.5}};
  }
  [[nodiscard]] Report report(const ReportOptions& options = {}) const {
    return describe(live_facts(), analysis_, options);
  }
  JudgedProgram program_;
  Analysis analysis_;
  Addr definite_;
};

TEST_F(JsonTest, HasTheMembersOfTheSchemaInOrder) {
  const Json json = json_of(report());
  EXPECT_THAT(keys_of(json),
              ElementsAre("schema", "target", "allocator", "totals", "memory", "free_memory",
                          "ended_threads", "holders", "leaks", "mappings", "areas", "notes",
                          "suppressions", "unused_suppressions", "blocks", "timing"));
  EXPECT_EQ(json["schema"], "heapscan.report/1");
  EXPECT_THAT(keys_of(json["target"]),
              ElementsAre("kind", "pid", "command", "executable", "threads", "captured_at",
                          "pause_seconds", "snapshot", "content"));
  EXPECT_THAT(
      keys_of(json["leaks"][0]),
      ElementsAre("id", "verdict", "blocks", "bytes", "indirect", "kind_total", "share", "sizes",
                  "label", "identified_by", "evidence", "content", "strings", "pointers", "below",
                  "below_left_out", "child_of", "sites", "site_candidates", "shared_sites",
                  "example", "members_shown", "since_baseline"));
  EXPECT_THAT(keys_of(json["totals"]["verdicts"]),
              ElementsAre("reachable", "possible", "indirect", "definite", "suppressed"));
}

TEST_F(JsonTest, HoldsWhatTheReportHolds) {
  const Json json = json_of(report());
  EXPECT_EQ(json["target"]["kind"], "live");
  EXPECT_EQ(json["target"]["pause_seconds"], 0.038);
  EXPECT_EQ(json["allocator"]["layout_source"], "table");
  EXPECT_EQ(json["allocator"]["checks"],
            Json::parse(R"([{"name":"system bytes","ok":true,"detail":"132 KiB"}])"));
  EXPECT_EQ(json["totals"]["heap"]["trimmable_bytes"], nullptr);
  EXPECT_EQ(json["totals"]["verdicts"]["definite"], Json::parse(R"({"blocks":1,"bytes":200})"));
  const Json& leak = json["leaks"][0];
  EXPECT_EQ(leak["example"], hex(definite_));
  EXPECT_EQ(leak["indirect"]["bytes"], 40);
  EXPECT_EQ(leak["kind_total"], Json::parse(R"({"blocks":1,"bytes":200})"));
  EXPECT_EQ(report().leaks[0].kind_sizes, std::pair(uint64_t{200}, uint64_t{200}));
  EXPECT_EQ(leak["content"]["text"].get<std::string>().substr(0, 15), "GET /index.html");
  EXPECT_EQ(leak["sites"], Json::array());
  EXPECT_EQ(json["mappings"][0]["verdict"], "possible");
  EXPECT_EQ(json["notes"][0]["text"], "gone \\x1b");
  EXPECT_EQ(json["blocks"], Json::array());
  EXPECT_EQ(json["timing"], Json::object());
}

TEST_F(JsonTest, ListsBlocksAndTimingOnRequest) {
  ReportOptions options;
  options.blocks = BlockList::All;
  options.timing = true;
  const Json json = json_of(report(options));
  EXPECT_EQ(json["blocks"].size(), 4U);
  EXPECT_EQ(json["blocks"][0]["address"], hex(definite_));
  EXPECT_EQ(json["blocks"][0]["cluster"], json["leaks"][0]["id"]);
  EXPECT_EQ(json["blocks"][0]["held_by"], nullptr);
  EXPECT_EQ(json["timing"]["trace"], 0.5);
}

TEST_F(JsonTest, KeepsContentOutWhenAsked) {
  ReportOptions options;
  options.content = false;
  options.blocks = BlockList::All;
  const std::string text = json_text(report(options));
  EXPECT_THAT(text, Not(HasSubstr("GET")));
  EXPECT_THAT(text, Not(HasSubstr("474554")));
  EXPECT_EQ(Json::parse(text)["leaks"][0]["content"], Json::parse(R"({"hex":null,"text":null})"));
}

TEST_F(JsonTest, NullsWhatACoreCannotSay) {
  CaptureFacts facts;
  facts.kind = CaptureFacts::Kind::Core;
  const Json json = json_of(describe(facts, analysis_, {}));
  EXPECT_EQ(json["target"]["kind"], "core");
  EXPECT_EQ(json["target"]["pid"], nullptr);
  EXPECT_EQ(json["target"]["pause_seconds"], nullptr);
}

}  // namespace
}  // namespace heapscan
