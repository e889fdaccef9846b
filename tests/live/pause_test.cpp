// How long the target stands still, against the least that reading its memory can take.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <vector>

#include "acquire/copy_plan.h"
#include "heapscan/acquire/live.h"
#include "live/target.h"

namespace heapscan {
namespace {

using std::chrono::steady_clock;
using testing::resident_bytes;
using testing::Target;

constexpr const char* kMebibytes = "1536";
constexpr uint64_t kStride = uint64_t{4} << 20;
constexpr int kRounds = 3;

double seconds_since(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

std::vector<AddrRange> resident_writable_pages(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  Notes notes;
  std::vector<Mapping> mappings = parse_maps(read_text_file(folder + "/maps"), notes);
  std::erase_if(mappings, [](const Mapping& m) { return !m.perms.write; });
  PageMap pages(folder);
  const auto runs = pages.scan(mappings, {});
  return plan_copy(std::move(mappings), {}, runs).copied();
}

// One thread, one call after the other, into memory that is there already or not.
double bare_copy(int pid, const std::vector<AddrRange>& pages, bool faulted_in) {
  uint64_t total = 0;
  for (const AddrRange& range : pages) total += range.size();
  MappedMemory memory = MappedMemory::reserve(total);
  if (faulted_in) {
    ::madvise(memory.data(), total, MADV_HUGEPAGE);
    std::fill(memory.data(), memory.data() + total, std::byte{1});
  }
  const auto begin = steady_clock::now();
  std::byte* to = memory.data();
  for (const AddrRange& range : pages) {
    for (uint64_t done = 0; done < range.size(); done += kStride) {
      const uint64_t size = std::min(kStride, range.size() - done);
      iovec local{to, size};
      iovec remote{reinterpret_cast<void*>((range.begin() + done).value), size};
      EXPECT_EQ(::process_vm_readv(pid, &local, 1, &remote, 1, 0), static_cast<ssize_t>(size));
      to += size;
    }
  }
  return seconds_since(begin);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

uint64_t peak_resident_bytes() {
  return std::strtoull(testing::status_field(::getpid(), "VmHWM").c_str(), nullptr, 10) * 1024;
}

TEST(LivePause, IsAtMostAThirdLongerThanABareCopy) {
  Target target(PROGRAM_BIG_HEAP, {kMebibytes});
  ASSERT_TRUE(target.is_ready());
  const auto pages = resident_writable_pages(target.pid());
  std::vector<double> pauses, bare, bare_unprepared, whole;
  for (int round = 0; round < kRounds; ++round) {
    bare.push_back(bare_copy(target.pid(), pages, true));
    bare_unprepared.push_back(bare_copy(target.pid(), pages, false));
    const auto begin = steady_clock::now();
    const Capture capture = capture_process(target.pid());
    whole.push_back(seconds_since(begin));
    pauses.push_back(capture.facts.pause_seconds.value());
  }
  std::printf("pause %.1f ms, bare copy %.1f ms (not prepared %.1f ms), whole capture %.1f ms\n",
              median(pauses) * 1e3, median(bare) * 1e3, median(bare_unprepared) * 1e3,
              median(whole) * 1e3);
  EXPECT_LE(median(pauses), 1.3 * median(bare));
}

TEST(LivePause, NeedsLittleMoreMemoryThanTheTarget) {
  Target target(PROGRAM_BIG_HEAP, {kMebibytes});
  ASSERT_TRUE(target.is_ready());
  const uint64_t resident = resident_bytes(target.pid());
  const Capture capture = capture_process(target.pid());
  std::printf("target %.1f MiB, our peak %.1f MiB\n", static_cast<double>(resident) / (1 << 20),
              static_cast<double>(peak_resident_bytes()) / (1 << 20));
  EXPECT_LE(peak_resident_bytes(), resident + resident / 20 + (uint64_t{64} << 20));
}

}  // namespace
}  // namespace heapscan
