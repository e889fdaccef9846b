#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <utility>

#include "heapscan/base/text.h"
#include "heapscan/report/gate.h"
#include "heapscan/report/report.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

// Everything in a report is printable ASCII already.
std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

struct TestCase {
  enum class Outcome { Passed, Failed, Skipped };
  std::string name;
  Outcome outcome = Outcome::Passed;
  std::string message;  // one sentence
  std::string detail;   // lines
};

std::string detail_of(const Report& report, const LeakGroup& group) {
  std::string text;
  if (group.sites.is_answered) {
    text += fmt::format("allocated by {}, {}\n", group.sites.rows[0].place(),
                        spelled_probability(group.sites.rows[0].probability));
  }
  for (const std::string& line : all_strings(group)) text += line + '\n';
  for (const GroupPointer& pointer : group.pointers)
    text += fmt::format("+{:#x} -> {}\n", pointer.offset, pointer.symbol);
  for (const std::string& reason : group.reasons) text += reason + '\n';
  return text + cluster_command(report.options, group.id) + '\n';
}

TestCase test_of(const Report& report, const LeakGroup& group) {
  TestCase test;
  test.name = fmt::format("{} [{}]", group.label, group.id);
  test.message = sentence_on(group);
  test.detail = detail_of(report, group);
  if (group.verdict == Verdict::Possible) {
    test.outcome = TestCase::Outcome::Skipped;
  } else if (counts_as_failure(report, group)) {
    test.outcome = TestCase::Outcome::Failed;
  }
  return test;
}

void add_mappings(const Report& report, std::vector<TestCase>& tests) {
  std::map<uint64_t, uint64_t> counts;
  for (const MappingRow& row : report.mappings) {
    if (row.verdict == Verdict::Definite) ++counts[row.size];
  }
  for (const auto& [size, count] : counts) {
    const std::string message =
        fmt::format("{} of {} unreachable", counted(count, "mapping"), human_bytes(size));
    const bool fails = report.gate ? report.gate->fails : true;
    tests.push_back({fmt::format("mappings of {} bytes", size),
                     fails ? TestCase::Outcome::Failed : TestCase::Outcome::Passed, message, ""});
  }
}

void write_test(const Report& report, const TestCase& test, std::ostream& out) {
  out << fmt::format("    <testcase classname=\"heapscan.{}\" name=\"{}\"",
                     xml(report.target.command), xml(test.name));
  switch (test.outcome) {
    case TestCase::Outcome::Failed:
      out << fmt::format(">\n      <failure type=\"leak\" message=\"{}\">{}</failure>\n",
                         xml(test.message), xml(test.detail));
      break;
    case TestCase::Outcome::Skipped:
      out << fmt::format(">\n      <skipped message=\"{}\"/>\n", xml(test.message));
      break;
    case TestCase::Outcome::Passed:
      if (test.message.empty()) {
        out << "/>\n";
        return;
      }
      out << fmt::format(">\n      <system-out>{}</system-out>\n", xml(test.message));
  }
  out << "    </testcase>\n";
}

}  // namespace

void render_junit(const Report& report, std::ostream& out) {
  std::vector<TestCase> tests;
  for (const LeakGroup& group : report.leaks) {
    if (group.verdict != Verdict::Reachable && group.verdict != Verdict::Indirect)
      tests.push_back(test_of(report, group));
  }
  add_mappings(report, tests);
  if (tests.empty()) tests.push_back({"no leaks", TestCase::Outcome::Passed, "", ""});
  const auto number_of = [&](TestCase::Outcome outcome) {
    return std::count_if(tests.begin(), tests.end(),
                         [&](const TestCase& test) { return test.outcome == outcome; });
  };
  out << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  out << fmt::format(
      "  <testsuite name=\"heapscan\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">\n",
      tests.size(), number_of(TestCase::Outcome::Failed), number_of(TestCase::Outcome::Skipped));
  for (const TestCase& test : tests) write_test(report, test, out);
  out << "  </testsuite>\n</testsuites>\n";
}

}  // namespace heapscan
