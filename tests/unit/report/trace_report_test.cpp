#include "heapscan/report/trace.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "heapscan/report/page.h"
#include "report/tree_rows.h"
#include "unit/report/judged_program.h"

namespace heapscan {
namespace {

// A stack of two calls, one of them of a function that was inlined, with `lost` lost blocks of 264
// bytes and as many freed ones.
TraceReport traced_stack(uint64_t lost) {
  TraceReport report;
  report.pid = 4711;
  report.command = "fake";
  report.seconds = 10;
  report.ended = "the time is over";
  report.calls_seen = 1500;
  report.recorded = 2 * lost;
  report.call_cost = 2e-6;
  report.probe_seconds = 0.5;
  report.processor_seconds = 2;
  report.pause_seconds = 0.0125;
  report.least_size = report.most_size = 264;
  TraceCall inner;
  inner.address = Addr(0x1005);
  inner.module = "/usr/bin/fake";
  inner.in_module = FileAddr(0x1005);
  inner.offset = 0x14;
  inner.frames = {{"new_ticket", "ticket.c", 7, true}, {"serve", "serve.c", 30, false}};
  TraceCall outer;
  outer.address = Addr(0x2005);
  outer.module = "/usr/bin/fake";
  outer.in_module = FileAddr(0x2005);
  outer.frames = {{}};
  report.places = {inner, outer};
  TraceRow row;
  row.fates[static_cast<size_t>(Verdict::Definite)] = {lost, lost * 264};
  row.fates[static_cast<size_t>(Verdict::NotJudged)] = {lost, lost * 264};
  row.calls = {0, 1};
  row.is_whole = true;
  report.rows = {row};
  return report;
}

std::string traced_text(const TraceReport& report) {
  std::ostringstream out;
  render_text(report, false, out);
  return out.str();
}

std::string folded(const TraceReport& report, TraceWeight weight) {
  std::ostringstream out;
  render_folded(report, weight, out);
  return out.str();
}

TEST(TraceText, SaysWhatBecameOfTheBlocksAndWhoAllocatedThem) {
  EXPECT_EQ(
      traced_text(traced_stack(100)),
      "heapscan: pid 4711 (fake) traced for 10 s; the time is over; then stopped for 12.5 ms\n"
      "recorded    1,500 allocations seen, 200 recorded of 264 B\n"
      "slowdown    about 1.33 times as slow meanwhile: 2.0 us for each call, 0.50 s of the "
      "2.00 s of processor time that the process used\n"
      "leaked      25.8 KiB in 100 blocks unreachable (25.8 KiB definite, 0 B indirect)\n"
      "reachable   0 B in 0 blocks\n"
      "freed       25.8 KiB in 100 blocks\n"
      "  #1   25.8 KiB in 100 blocks leaked; 25.8 KiB in 100 blocks freed\n"
      "         new_ticket (ticket.c:7)  inlined\n"
      "         serve+0x14 (serve.c:30)\n"
      "         fake+0x2005\n"
      "SUMMARY: 25.8 KiB definitely lost in 100 blocks, 0 B indirectly, 0 B possibly, of what "
      "was allocated in 10 s\n");
}

TEST(TracePage, DrawsTheStacksAndTellsWhatBecameOfTheirBlocks) {
  std::ostringstream out;
  TraceReport report = traced_stack(100);
  report.rows[0].label = "<b>ticket</b>";
  render_html(report, TraceWeight::Lost, out);
  const std::string page = out.str();
  EXPECT_NE(page.find("25.8 KiB in 100 blocks of what was allocated in 10 s is leaked."),
            std::string::npos);
  EXPECT_NE(page.find("<li><code>serve+0x14 (serve.c:30)</code></li>"), std::string::npos);
  EXPECT_NE(page.find("&lt;b&gt;ticket&lt;/b&gt;"), std::string::npos);
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  const TreeRows rows = tree_of_stacks(report, TraceWeight::Lost);
  std::vector<std::string> names;
  for (const TreeRow& row : rows) names.push_back(row.name);
  EXPECT_EQ(names, (std::vector<std::string>{"all stacks", "fake+0x2005", "serve", "new_ticket"}));
  for (const TreeRow& row : rows) EXPECT_EQ(row.total.bytes, 26'400U) << row.name;
  EXPECT_EQ(tree_of_stacks(report, TraceWeight::Reachable).size(), 1U);
}

TEST(TraceText, OfASampleNumbersAreEstimates) {
  TraceReport report = traced_stack(100);
  report.one_in = 4;
  const std::string text = traced_text(report);
  EXPECT_NE(text.find("at one address of 4: numbers below are estimates"), std::string::npos);
  EXPECT_NE(text.find("SUMMARY: about 25.8 KiB"), std::string::npos) << text;
}

TEST(TraceText, StacksWhoseBlocksWereAllFreedAreShownOnlyWhenAskedFor) {
  TraceReport report = traced_stack(100);
  report.rows.front().fates[static_cast<size_t>(Verdict::Definite)] = {};
  EXPECT_EQ(traced_text(report).find("#1"), std::string::npos);
  report.verbose = true;
  EXPECT_NE(traced_text(report).find("#1"), std::string::npos);
}

TEST(TraceText, MoreStacksThanAskedForAreCounted) {
  TraceReport report = traced_stack(100);
  report.rows.resize(3, report.rows.front());
  report.top = 1;
  EXPECT_NE(traced_text(report).find("  and 2 more stacks; see --top\n"), std::string::npos);
}

TEST(TraceText, OfAProcessThatHardlyRanNothingIsSaidOfItsSpeed) {
  TraceReport report = traced_stack(100);
  report.processor_seconds = 0.01;
  EXPECT_FALSE(report.slowdown());
  EXPECT_EQ(traced_text(report).find("times as slow"), std::string::npos);
}

TEST(TraceFolded, HasAStackToALineOutermostFirst) {
  EXPECT_EQ(folded(traced_stack(100), TraceWeight::Lost), "fake+0x2005;serve;new_ticket 26400\n");
  EXPECT_EQ(folded(traced_stack(100), TraceWeight::All), "fake+0x2005;serve;new_ticket 52800\n");
  EXPECT_EQ(folded(traced_stack(100), TraceWeight::Reachable), "");
}

TEST(TraceJson, HasEveryFrameOfAStack) {
  std::ostringstream out;
  render_json(traced_stack(100), out);
  const auto value = nlohmann::json::parse(out.str());
  ASSERT_EQ(value["stacks"].size(), 1U);
  const auto& frames = value["stacks"][0]["frames"];
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0]["function"], "new_ticket");
  EXPECT_TRUE(frames[0]["offset"].is_null());
  EXPECT_EQ(frames[1]["offset"], 0x14);
  EXPECT_TRUE(frames[2]["function"].is_null());
  EXPECT_EQ(frames[2]["module_address"], "0x2005");
  EXPECT_EQ(value["totals"]["definite"]["bytes"], 26400);
}

TEST(DescribeStacks, NamesTheGroupOfWhatIsLostAndKeepsTheNotesOfTheLook) {
  JudgedProgram program;
  program.label("struct ticket");
  const Addr lost = program.definite(264);
  Analysis analysis = program.judge();
  analysis.heap.notes.push_back({NoteKind::HeapDamage, "0x10", "a note of the look"});
  AllocationLog log;
  RecordedAllocation allocation;
  allocation.address = lost;
  allocation.size = 264;
  allocation.stack = log.stack_of({Addr(0x10), Addr(0x20)}, false);
  log.add(allocation);
  TraceReport report;
  report.notes = {"a note of the trace"};
  describe_stacks(log, judge_allocations(log, analysis.heap, analysis.reach), analysis, DebugInfo(),
                  {}, report);
  ASSERT_EQ(report.rows.size(), 1U);
  const TraceRow& row = report.rows.front();
  EXPECT_EQ(row.label, "struct ticket");
  EXPECT_EQ(row.cluster, id_of_label("struct ticket"));
  EXPECT_EQ(row.examples, std::vector<Addr>{lost});
  EXPECT_FALSE(row.is_whole);
  ASSERT_EQ(row.calls.size(), 2U);
  EXPECT_EQ(report.places[row.calls[0]].address, Addr(0x10));
  EXPECT_EQ(report.places[row.calls[0]].module, "") << "code in no module";
  EXPECT_EQ(report.notes, (std::vector<std::string>{"a note of the trace",
                                                    "heap-damage 0x10: a note of the look"}));
}

}  // namespace
}  // namespace heapscan
