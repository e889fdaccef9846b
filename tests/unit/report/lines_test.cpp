// The lines in which looks go into a table.
#include "heapscan/report/lines.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "unit/report/page_samples.h"

namespace heapscan {
namespace {

using Lines = std::vector<nlohmann::json>;

template <typename ReportOf>
std::string text_of_lines(const ReportOf& report) {
  std::ostringstream out;
  render_jsonl(report,
               {"web3",
                "1.0",
                "nginx",
                "abcd",
                {{"libc.so.6", "ef01"}},
                MemoryLimit{"the machine", 1000, 600}},
               out);
  return out.str();
}

template <typename ReportOf>
Lines lines_of(const ReportOf& report) {
  std::istringstream text(text_of_lines(report));
  Lines lines;
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

// Names of the fields, in their order.
std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> names;
  const auto object = nlohmann::ordered_json::parse(line);
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

TEST(Lines, OfALookBeginWithTheProcess) {
  Report report = hostile_report();
  report.target.unit = "nginx.service";
  report.suppressed = {2, 64};
  report.verdicts[static_cast<size_t>(Verdict::NotJudged)] = {11, 90'000};
  const Lines lines = lines_of(report);
  ASSERT_EQ(lines.size(), 3U);
  const auto& process = lines[0];
  EXPECT_EQ(process["schema"], "heapscan.process/1");
  EXPECT_EQ(process["host"], "web3");
  EXPECT_EQ(process["unit"], "nginx.service");
  EXPECT_EQ(process["program"], "nginx");
  EXPECT_EQ(process["in_use_bytes"], 3600 + 400 + 3600 + 6000 + 64);
  EXPECT_EQ(process["in_use_blocks"], 152);
  EXPECT_EQ(process["lost_bytes"], 4000);
  EXPECT_EQ(process["lost_blocks"], 60);
  EXPECT_EQ(process["possible_bytes"], 3600);
  EXPECT_EQ(process["growth_bytes"], nullptr);
  EXPECT_EQ(process["groups"], 2);
  EXPECT_EQ(process["groups_left_out"], 7);
  EXPECT_EQ(process["modules"][0]["name"], "libc.so.6");
  EXPECT_EQ(process["limit_name"], "the machine");
  EXPECT_EQ(process["limit_used_bytes"], 600);
}

TEST(Lines, OfALookHaveOneForEachGroup) {
  const Lines lines = lines_of(hostile_report());
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1]["schema"], "heapscan.groups/1");
  EXPECT_EQ(lines[1]["build_id"], "abcd");
  EXPECT_EQ(lines[1]["kind"], "likeness");
  EXPECT_EQ(lines[1]["verdict"], "definite");
  EXPECT_EQ(lines[1]["lost_bytes"], 3600);
  EXPECT_EQ(lines[2]["verdict"], "possible");
  EXPECT_EQ(lines[2]["lost_bytes"], 0);
  EXPECT_EQ(lines[1]["growth_bytes"], nullptr);
}

TEST(Lines, AreThereWhereNothingIsLost) {
  const Lines lines = lines_of(Report());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["lost_bytes"], 0);
  EXPECT_EQ(lines[0]["rss_bytes"], nullptr);
  EXPECT_EQ(lines[0]["groups"], 0);
}

TEST(Lines, OfChangesTellVerdictsApart) {
  const Lines lines = lines_of(hostile_changes());
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0]["growth_bytes"], 8000);
  EXPECT_EQ(lines[0]["growth_bytes_per_minute"], 8000);
  EXPECT_EQ(lines[0]["lost_bytes"], 2000);
  EXPECT_EQ(lines[0]["groups"], 2);
  EXPECT_EQ(lines[1]["verdict"], "definite");
  EXPECT_EQ(lines[1]["bytes"], 2000);
  EXPECT_EQ(lines[1]["growth_blocks"], 20);
  EXPECT_EQ(lines[1]["lost_bytes"], 2000);
  EXPECT_EQ(lines[2]["verdict"], "reachable");
  EXPECT_EQ(lines[2]["growth_bytes"], 6000);
  EXPECT_EQ(lines[2]["seconds"], 60);
}

TEST(Lines, KeepQuietAboutGrowthThatNobodyKnows) {
  ChangeReport report = hostile_changes();
  report.seconds = 0;
  EXPECT_EQ(lines_of(report)[1]["growth_bytes"], 2000);
  EXPECT_EQ(lines_of(report)[1]["growth_bytes_per_minute"], nullptr);
  report.intervals = 0;
  for (const auto& line : lines_of(report)) EXPECT_EQ(line["growth_bytes"], nullptr);
}

TEST(Lines, HaveTheSameFieldsWhateverTheyComeFrom) {
  const auto lines = [](const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  };
  const auto look = lines(text_of_lines(hostile_report()));
  const auto change = lines(text_of_lines(hostile_changes()));
  EXPECT_EQ(fields_of(look[0]), fields_of(change[0]));
  EXPECT_EQ(fields_of(look[1]), fields_of(change[1]));
}

}  // namespace
}  // namespace heapscan
