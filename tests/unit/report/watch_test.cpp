#include "heapscan/report/watch.h"

#include <gtest/gtest.h>

#include <sstream>

namespace heapscan {
namespace {

template <typename Line>
std::string text_of(const Line& line) {
  std::ostringstream out;
  render_text(line, false, out);
  return out.str();
}

TEST(Sparkline, DrawsEachValueAgainstTheLargest) {
  EXPECT_EQ(sparkline({0, 10, 20, 70}, 8), "▁▂▃█");
  EXPECT_EQ(sparkline({5, 5, 5}, 8), "███");
  EXPECT_EQ(sparkline({0, 0}, 8), "▁▁");
  EXPECT_EQ(sparkline({7}, 8), "") << "one value has no course";
  EXPECT_EQ(sparkline({}, 8), "");
}

TEST(Sparkline, OfManyValuesEndsWithTheLast) {
  std::vector<uint64_t> values(100, 0);
  values.back() = 70;
  EXPECT_EQ(sparkline(values, 4), "▁▁▁█");
}

TEST(RateText, SaysHowSureItIs) {
  constexpr double kMiB = 1 << 20;
  EXPECT_EQ(rate_text({{kMiB / 60, kMiB / 120, kMiB / 40, 10, 100}, false}),
            "+1.0 MiB/min, between +512.0 KiB/min and +1.5 MiB/min with 95 % confidence");
  EXPECT_EQ(rate_text({{0, -kMiB / 60, kMiB / 60, 10, 100}, true}),
            "no steady growth in the second half of the time (100 s): between -1.0 MiB/min and "
            "+1.0 MiB/min with 95 % confidence");
  EXPECT_EQ(rate_text({{0, 0, 0, 10, 100}, false}), "no growth");
  EXPECT_EQ(rate_text({{-kMiB / 60, -kMiB / 60, -kMiB / 60, 10, 100}, false}),
            "-1.0 MiB/min, steadily: it shrinks");
}

TEST(SampleLine, HasGrowthFromTheSecondOn) {
  SampleLine line;
  line.memory = {4096, 2048, 1024, 0, 0, 1};
  EXPECT_EQ(text_of(line),
            "       0.0 s     4.0 KiB     2.0 KiB     1.0 KiB         0 B         0 B\n");
  line.seconds = 90;
  line.growth = 2048;
  line.per_second = 512;
  line.memory.proportional.reset();
  EXPECT_EQ(
      text_of(line),
      "        90 s     4.0 KiB           -     1.0 KiB         0 B         0 B     +2.0 KiB    "
      "+30.0 KiB/min\n");
}

WatchReport watched() {
  WatchReport report;
  report.pid = 4711;
  report.command = "server";
  report.seconds = 600;
  report.ended = "interrupted";
  report.samples = 61;
  report.looks = 2;
  report.stopped = {2, 0.012, 0.009};
  report.first.resident = 10 << 20;
  report.last.resident = 30 << 20;
  return report;
}

TEST(WatchReport, BeginsWithWhatItCost) {
  std::ostringstream out;
  render_text(watched(), WatchStyle{}, out);
  EXPECT_EQ(out.str(),
            "heapscan: pid 4711 (server) watched for 10 min 0 s: 61 samples, 2 looks, stopped for "
            "12.0 ms in all, 9.0 ms at most; interrupted\n"
            "samples     10.0 MiB → 30.0 MiB resident (+20.0 MiB); without files 0 B → 0 B (+0 B)\n"
            "looks       none inside: nothing is known of single blocks\n");
}

TEST(WatchReport, SaysWhenTheLimitIsMet) {
  WatchReport report = watched();
  report.rate = LatestRate{{1024, 512, 2048, 61, 600}, false};
  report.limits = {{"the machine", 8 << 20, 4 << 20}};
  report.left = time_left(report.limits, report.rate->rate);
  std::ostringstream out;
  render_text(report, WatchStyle{}, out);
  EXPECT_NE(
      out.str().find("\nlimit       4.0 MiB of 8.0 MiB used, the machine: full at that rate in "
                     "68 min 16 s (between 34 min 8 s and 2 h 16 min)\n"),
      std::string::npos)
      << out.str();
}

}  // namespace
}  // namespace heapscan
