// Many looks at a process whose threads are in malloc and free all the time: a block that the
// allocator is at work on may be held by nobody else, and is not lost.

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "heapscan/acquire/capture.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/symbols/symbols.h"
#include "support/fixture_process.h"

namespace heapscan {
namespace {

constexpr int kLooks = 60;

TEST(InTransit, NoBlockOfAThreadInsideMallocIsLost) {
  if (const auto reason = why_ptrace_is_refused()) GTEST_SKIP() << *reason;
  FixtureProcess fixture(INSIDE_MALLOC);
  std::set<Addr> lost_for_good;
  for (const TruthLine& line : fixture.truth().blocks) {
    if (line.verdict != Verdict::Reachable) lost_for_good.insert(line.address);
  }
  for (int look = 0; look < kLooks; ++look) {
    const Capture capture = capture_process(fixture.pid());
    const Symbols symbols = load_symbols(capture.image, capture.files);
    const RuntimeFacts runtime = find_runtime_facts(capture.image, symbols);
    const HeapModel heap = walk_heap(capture.image, symbols, runtime);
    const Reachability reach =
        trace(capture.image, runtime, heap, find_roots(capture.image, runtime, heap));
    size_t found = 0;
    for (const LostBlock& lost : reach.lost) {
      const Block& block = heap.block(lost.block);
      if (lost_for_good.contains(block.begin())) {
        ++found;
      } else {
        ADD_FAILURE() << "look " << look << ": block " << std::hex << block.begin().value << " of "
                      << std::dec << block.size() << " B is called "
                      << name_of(reach.verdict(lost.block));
      }
    }
    EXPECT_EQ(found, lost_for_good.size()) << "look " << look;
  }
}

}  // namespace
}  // namespace heapscan
