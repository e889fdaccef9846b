// From options and a capture to a report and an exit code, on a small heap.
#include "cli/look.h"

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "heapscan/base/error.h"
#include "support/fake_heap.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class RunReport : public testing::Test {
 protected:
  RunReport() : heap_(glibc::families().back()) {
    options_.report.quiet = true;
    options_.output = folder_ / "report";
    options_.format = Format::Json;
    kept_ = heap_.main().used(40);
    heap_.process.poke(FakeProcess::kProgramData + 0x100, kept_);
  }
  // Twenty blocks of one kind that nothing holds.
  void lose_blocks() {
    for (uint64_t i = 0; i < 20; ++i) {
      const Addr block = heap_.main().used(56);
      heap_.process.poke(block, i + 1);
      heap_.process.poke(block + 16, 0x1234567890 + i);
    }
  }
  int run() {
    heap_.seal();
    return run_report(options_, "heapscan core x.core", [&] {
      ++captures_;
      Capture capture;
      capture.image = heap_.process.build();
      return capture;
    });
  }
  std::string refusal() {
    try {
      run();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Usage) << error.what();
      return error.what();
    }
    return "";
  }
  [[nodiscard]] std::string written() const {
    std::ifstream in(options_.output);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  [[nodiscard]] nlohmann::json report() const { return nlohmann::json::parse(written()); }

  TempFolder folder_;
  FakeHeap heap_;
  SharedOptions options_;
  Addr kept_;
  int captures_ = 0;
};

TEST_F(RunReport, NothingLostIsExitCode0) {
  EXPECT_EQ(run(), kNothingLost);
  EXPECT_EQ(report()["totals"]["verdicts"]["definite"]["blocks"], 0);
}

TEST_F(RunReport, ALossIsExitCode1AndInTheReport) {
  lose_blocks();
  EXPECT_EQ(run(), kDefinitelyLost);
  EXPECT_EQ(report()["totals"]["verdicts"]["definite"]["blocks"], 20);
  EXPECT_EQ(report()["leaks"].size(), 1U);
}

TEST_F(RunReport, ALossThatIsSuppressedIsExitCode0) {
  lose_blocks();
  options_.suppression_files.push_back(folder_ / "rules");
  std::ofstream(options_.suppression_files.front()) << "size:56\n";
  EXPECT_EQ(run(), kNothingLost);
  EXPECT_EQ(report()["suppressions"][0]["blocks"], 20);
}

TEST_F(RunReport, OptionsThatCannotMatchAreRefusedBeforeAnythingIsCaptured) {
  options_.report.min_size = 10;
  options_.report.max_size = 5;
  EXPECT_THAT(refusal(), AllOf(HasSubstr("--min-size 10"), HasSubstr("no block can match")));
  EXPECT_EQ(captures_, 0);
}

TEST_F(RunReport, MembersOfNoGroupAreRefusedBeforeAnythingIsCaptured) {
  options_.all_members = true;
  EXPECT_THAT(refusal(), HasSubstr("--all needs --cluster"));
  EXPECT_EQ(captures_, 0);
}

TEST_F(RunReport, APlaceThatCannotBeWrittenToIsRefusedBeforeAnythingIsCaptured) {
  options_.output = folder_ / "no/such/folder";
  EXPECT_THROW(run(), Error);
  EXPECT_EQ(captures_, 0);
}

TEST_F(RunReport, AGroupThatIsNotThereIsRefusedWithTheNearest) {
  lose_blocks();
  options_.cluster = "0000";
  EXPECT_THAT(refusal(), AllOf(HasSubstr("no group 0000"), HasSubstr("the nearest are")));
}

TEST_F(RunReport, WhereNothingIsLostThereIsNoGroup) {
  options_.cluster = "0000";
  EXPECT_THAT(refusal(), AllOf(HasSubstr("nothing is leaked"), HasSubstr("--kinds reachable")));
}

TEST_F(RunReport, TheCommandToRepeatItHasWhatChangesTheAnswer) {
  lose_blocks();
  options_.format = Format::Text;
  options_.report.quiet = false;
  options_.debuginfod = false;
  options_.builtin_suppressions = false;
  options_.report.content = false;
  EXPECT_EQ(run(), kDefinitelyLost);
  EXPECT_THAT(written(), HasSubstr("heapscan core x.core --no-debuginfod "
                                   "--no-builtin-suppressions --no-content --cluster "));
}

TEST_F(RunReport, TimesTheDoorTheAnalysisAndTheReport) {
  options_.report.timing = true;
  EXPECT_EQ(run(), kNothingLost);
  const nlohmann::json timing = report()["timing"];
  for (const char* phase : {"acquire", "symbols", "walk heap", "trace", "report"})
    EXPECT_TRUE(timing.contains(phase)) << phase;
}

}  // namespace
}  // namespace heapscan
