// The test that guards the architecture: every fixture program is analysed live, as a gcore core,
// as a kernel core and as a snapshot of the same waiting process, each with one thread and with
// several. All of these have to say the same, and what they say has to be what the program knows
// about its own heap.
//
// Which programs: FIXTURE_LIST, written by CMake.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "cli/reduce_content.h"
#include "heapscan/acquire/capture.h"
#include "heapscan/acquire/snapshot.h"
#include "heapscan/analysis/analysis.h"
#include "heapscan/base/parallel.h"
#include "heapscan/symbols/symbols.h"
#include "pipeline/accounting.h"
#include "pipeline/judgement.h"
#include "support/fixture_process.h"

namespace heapscan {
namespace {

struct FixtureProgram {
  std::string name;
  std::string path;
};

void PrintTo(const FixtureProgram& fixture, std::ostream* out) { *out << fixture.path; }

const FixtureProgram kFixtures[] = {
#include FIXTURE_LIST
};

constexpr unsigned kThreadCounts[] = {1, 4};

Analysis analyze_capture(Capture capture) {
  const DebugInfo debug_info = open_debug_info(capture.image, capture.files);
  Symbols symbols = load_symbols(capture.image, capture.files, debug_info);
  return analyze(std::move(capture.image), std::move(symbols), debug_info);
}

class ThreeDoors : public testing::TestWithParam<FixtureProgram> {
 protected:
  [[nodiscard]] bool is(const std::string& name) const {
    return GetParam().name == name || GetParam().name.ends_with("_" + name);
  }
  // Its threads go on allocating: of the blocks it does not list it is only known that none is
  // lost.
  [[nodiscard]] bool keeps_allocating() const { return is("inside_malloc"); }
  // It lists what the C library handed out, not what that holds.
  [[nodiscard]] bool lists_heads() const { return is("typed_library"); }
  [[nodiscard]] bool is_damaged() const { return is("damaged"); }

  // Analyses `capture` and holds the result against the truth, the books, and what was said before.
  void examine(Capture capture, Door door, unsigned threads, const Truth& truth,
               const std::string& title) {
    const ThreadLimit limit(threads);
    const Analysis analysis = analyze_capture(std::move(capture));
    const Coverage coverage = keeps_allocating() ? Coverage::Moving
                              : lists_heads()    ? Coverage::Heads
                                                 : Coverage::Whole;
    expect_none(title + ": verdicts", contradictions(analysis, truth, door, coverage));
    expect_none(title + ": bytes", accounting_errors(analysis));
    if (!is_damaged() && !keeps_allocating()) {
      expect_none(title + ": allocator's figures", failed_checks(analysis.heap));
    }
    if (keeps_allocating()) return;
    Judgement judgement = judgement_of(analysis, truth);
    if (before_) {
      expect_none(before_title_ + ", then " + title, differences(*before_, judgement));
    } else {
      before_ = std::move(judgement);
      before_title_ = title;
    }
  }

  void examine_live(const FixtureProcess& fixture) {
    for (const unsigned threads : kThreadCounts) {
      examine(capture_process(fixture.pid()), Door::Live, threads, fixture.truth(),
              "live with " + std::to_string(threads) + " threads");
    }
  }

  void examine_core(const std::string& core, const Truth& truth, const std::string& kind) {
    for (const unsigned threads : kThreadCounts) {
      examine(load_core(core), Door::Core, threads, truth,
              kind + " with " + std::to_string(threads) + " threads");
    }
  }

  // What gdb left out cannot be judged by: this has to be said, and nothing may be called lost that
  // is not.
  void examine_incomplete_core(const Gcore& core, const Truth& truth) {
    const Analysis analysis = analyze_capture(load_core(core.path));
    EXPECT_NE(analysis.image.missing_bytes(), 0U) << "not noticed: " << core.left_out;
    expect_none("gcore core without " + core.left_out, false_alarms(analysis, truth));
    expect_none("incomplete gcore core: bytes", accounting_errors(analysis));
  }

  // What the kernel holds is in a snapshot, so the same is expected of it as of the process.
  void examine_snapshot(const std::string& path, const Truth& truth) {
    for (const unsigned threads : kThreadCounts) {
      examine(load_core(path), Door::Live, threads, truth,
              "snapshot with " + std::to_string(threads) + " threads");
    }
  }

  // Numbers that tell what is lost are left out where they might be text: then more is possible.
  [[nodiscard]] bool needs_all_numbers() const {
    return is("headers") || is("job_ring") || is("message_ring") || is("spare_room");
  }

  // Without its contents the blocks' verdicts are the same. Names of groups need not be.
  void examine_reduced(const std::string& path, const Truth& truth) {
    Capture capture = load_core(path);
    EXPECT_EQ(capture.facts.content, Content::Pointers);
    const Analysis analysis = analyze_capture(std::move(capture));
    expect_none("snapshot without contents: bytes", accounting_errors(analysis));
    if (keeps_allocating() || is_damaged()) return;
    std::vector<std::string> problems = contradictions(
        analysis, truth, Door::Live, lists_heads() ? Coverage::Heads : Coverage::Whole);
    if (needs_all_numbers()) {
      std::erase_if(problems, [](const std::string& problem) {
        return problem.find("got possible") != problem.npos || problem.starts_with("total ");
      });
    }
    expect_none("snapshot without contents: verdicts", problems);
  }

  // On a machine that has none of the program's files, nor its C library.
  void examine_moved(const std::string& path, const Truth& truth) {
    const Fd file = Fd::open_read(path);
    const MappedMemory bytes = MappedMemory::map_file(file, std::filesystem::file_size(path), path);
    const Analysis analysis = analyze_capture(load_core_bytes(bytes.bytes(), path, {}, false));
    expect_none("snapshot elsewhere: bytes", accounting_errors(analysis));
    if (keeps_allocating() || is_damaged()) return;
    expect_none("snapshot elsewhere: verdicts",
                contradictions(analysis, truth, Door::Live,
                               lists_heads() ? Coverage::Heads : Coverage::Whole));
  }

 private:
  static void expect_none(const std::string& title, const std::vector<std::string>& problems) {
    EXPECT_TRUE(problems.empty()) << listing(title, problems);
  }

  std::optional<Judgement> before_;
  std::string before_title_;
};

TEST_P(ThreeDoors, LiveAndGcore) {
  if (const auto reason = why_no_gcore()) GTEST_SKIP() << *reason;
  FixtureProcess fixture(GetParam().path);
  examine_live(fixture);
  const Gcore core = fixture.make_gcore();
  if (core.left_out.empty()) {
    examine_core(core.path, fixture.truth(), "gcore core");
  } else {
    examine_incomplete_core(core, fixture.truth());
  }
  const int status = fixture.end();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << "looking into it has changed how it ends: wait status " << status;
}

ContentRules only_pointers(const Capture& capture, std::vector<RuntimeFacts>& runtimes,
                           std::vector<HeapModel>& heaps) {
  const DebugInfo debug_info = open_debug_info(capture.image, capture.files);
  const Symbols symbols = load_symbols(capture.image, capture.files, debug_info);
  runtimes.push_back(find_runtime_facts(capture.image, symbols));
  heaps.push_back(walk_heap(capture.image, symbols, runtimes.back()));
  return rules_of_content(capture.image, runtimes.back(), &heaps.back(), Content::Pointers);
}

TEST_P(ThreeDoors, LiveAndSnapshot) {
  if (const auto reason = why_ptrace_is_refused()) GTEST_SKIP() << *reason;
  FixtureProcess fixture(GetParam().path);
  const TempFolder folder;
  const std::string plain = folder / "plain.core";
  const std::string packed = folder / "packed.core.zst";
  const std::string reduced = folder / "reduced.core";
  {
    const Capture capture = capture_process(fixture.pid());
    std::vector<RuntimeFacts> runtimes;
    std::vector<HeapModel> heaps;
    SnapshotOptions options;
    EXPECT_NE(write_snapshot(capture, plain, options).memory_bytes, 0U);
    EXPECT_NE(write_snapshot(capture, packed, options).memory_bytes, 0U);
    options.content = only_pointers(capture, runtimes, heaps);
    EXPECT_NE(write_snapshot(capture, reduced, options).memory_bytes, 0U);
  }
  examine_live(fixture);
  examine_snapshot(plain, fixture.truth());
  examine(load_core(packed), Door::Live, 4, fixture.truth(), "packed snapshot");
  examine_reduced(reduced, fixture.truth());
  examine_moved(plain, fixture.truth());
  const int status = fixture.end();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "wait status " << status;
}

TEST_P(ThreeDoors, KernelCore) {
  if (const auto reason = why_kernel_writes_no_core()) GTEST_SKIP() << *reason;
  FixtureProcess fixture(GetParam().path);
  if (!why_ptrace_is_refused()) examine_live(fixture);
  examine_core(fixture.abort_for_core(), fixture.truth(), "kernel core");
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ThreeDoors, testing::ValuesIn(kFixtures),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace heapscan
