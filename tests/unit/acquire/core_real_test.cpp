// Cores of a living process, compared byte by byte with the process itself.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <sstream>

#include "heapscan/acquire/capture.h"
#include "heapscan/symbols/symbols.h"
#include "support/child_process.h"
#include "support/machine.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

// One line of /proc/PID/maps and what /proc/PID/mem gave for it.
struct Mapping {
  AddrRange range;
  std::string perms;
  std::string name;
  std::vector<std::byte> bytes;  // empty when unreadable
};

std::vector<Mapping> mappings_of(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::istringstream lines(read_text_file(folder + "/maps"));
  const Fd memory = Fd::open_read(folder + "/mem");
  std::vector<Mapping> mappings;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    uint64_t begin = 0;
    uint64_t end = 0;
    char dash = 0;
    std::string offset, device, inode;
    Mapping m;
    words >> std::hex >> begin >> dash >> end >> m.perms >> offset >> device >> inode >> std::ws;
    std::getline(words, m.name);
    m.range = {Addr(begin), Addr(end)};
    if (m.perms[0] == 'r' && m.name != "[vvar]" && m.name != "[vsyscall]" &&
        m.name != "[vvar_vclock]") {
      m.bytes.resize(m.range.size());
      const ssize_t got =
          ::pread(memory.get(), m.bytes.data(), m.bytes.size(), static_cast<off_t>(begin));
      if (got != static_cast<ssize_t>(m.bytes.size())) m.bytes.clear();
    }
    mappings.push_back(std::move(m));
  }
  return mappings;
}

class RealCore : public testing::Test {
 protected:
  RealCore() : victim_({PROGRAM_VICTIM}, options()) {
    std::istringstream words(victim_.read_line());
    for (uint64_t* place : {&touched_, &untouched_, &reserved_, &shared_, &readable_}) {
      std::string word;
      words >> word;
      *place = std::stoull(word, nullptr, 16);
    }
    int proof = 0;
    words >> proof;
    EXPECT_EQ(proof, 4711);
    victim_.await_reading(0);
    before_ = mappings_of(victim_.pid());
  }

  ChildProcess::Options options() const {
    ChildProcess::Options made;
    made.folder = folder_ / "";
    made.may_dump_core = true;
    return made;
  }

  void expect_same_memory(const MemoryImage& image) const {
    uint64_t compared = 0;
    for (const Mapping& m : before_) {
      if (m.bytes.empty()) continue;
      std::vector<std::byte> saved(m.bytes.size());
      ASSERT_TRUE(image.read_bytes(m.range.begin(), saved))
          << m.name << " " << std::hex << m.range.begin().value;
      ASSERT_TRUE(saved == m.bytes) << m.name << " " << std::hex << m.range.begin().value;
      compared += m.bytes.size();
    }
    EXPECT_GT(compared, uint64_t{4} << 20);
  }

  void expect_modules(const MemoryImage& image, const ModuleFiles& files) const {
    size_t executables = 0;
    size_t math = 0;
    for (size_t i = 0; i < image.modules().size(); ++i) {
      const Module& module = image.modules()[ModuleId(i)];
      EXPECT_TRUE(files[ModuleId(i)]) << module.path;
      EXPECT_FALSE(module.build_id.empty());
      EXPECT_FALSE(module.dynamic.empty());
      executables += module.is_executable ? 1 : 0;
      math += module.file_name() == "libm.so.6" ? 1 : 0;
      EXPECT_EQ(module.is_executable, module.path == PROGRAM_VICTIM);
      for (const ModuleSegment& s : module.segments) {
        EXPECT_NE(image.region_at(s.range.begin()), nullptr);
        const Region* const last = image.region_at(s.range.end() - 1);
        ASSERT_NE(last, nullptr);
        EXPECT_EQ(last->module, ModuleId(i)) << module.path;
      }
    }
    EXPECT_EQ(executables, 1U);
    EXPECT_EQ(math, 2U);  // once per namespace
  }

  void expect_symbols(const Capture& capture) const {
    const Symbols symbols = load_symbols(capture.image, capture.files);
    for (size_t i = 0; i < capture.image.modules().size(); ++i) {
      const Module& module = capture.image.modules()[ModuleId(i)];
      if (module.file_name() != "libc.so.6") continue;
      const auto malloc_at = symbols.address_of(ModuleId(i), "malloc");
      ASSERT_TRUE(malloc_at);
      EXPECT_TRUE(symbols.exports(ModuleId(i), "malloc"));
      const auto hit = symbols.at(*malloc_at + 3);
      ASSERT_TRUE(hit);
      EXPECT_EQ(hit->module, ModuleId(i));
      EXPECT_EQ(hit->offset, 3U);
      return;
    }
    FAIL() << "no libc";
  }

  TempFolder folder_;
  ChildProcess victim_;
  std::vector<Mapping> before_;
  uint64_t touched_ = 0;
  uint64_t untouched_ = 0;
  uint64_t reserved_ = 0;
  uint64_t shared_ = 0;
  uint64_t readable_ = 0;
};

TEST_F(RealCore, ByGcoreEqualsTheProcess) {
  if (!find_program("gcore")) GTEST_SKIP() << "gcore is not installed";
  if (const auto why = why_ptrace_is_refused()) GTEST_SKIP() << *why;
  const std::string pid = std::to_string(victim_.pid());
  run_program({"gcore", "-o", folder_ / "core", pid});
  const Capture capture = load_core(folder_ / ("core." + pid));
  expect_same_memory(capture.image);
  expect_modules(capture.image, capture.files);
  expect_symbols(capture);
  EXPECT_EQ(capture.image.missing_bytes(), 0U);
  EXPECT_EQ(capture.image.threads().size(), 2U);
  EXPECT_EQ(capture.facts.pid, victim_.pid());
  EXPECT_EQ(capture.facts.executable, PROGRAM_VICTIM);
  EXPECT_EQ(capture.facts.signal, std::nullopt);
}

TEST_F(RealCore, ByTheKernelEqualsTheProcess) {
  const int pid = victim_.pid();
  const int status = victim_.end_with(SIGABRT);
  if (!WCOREDUMP(status)) GTEST_SKIP() << "the kernel writes no cores here";
  std::string path = folder_ / "core";
  if (!std::filesystem::exists(path)) path += "." + std::to_string(pid);
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "kernel.core_pattern sends cores elsewhere";
  const Capture capture = load_core(path);
  expect_same_memory(capture.image);
  expect_modules(capture.image, capture.files);
  expect_symbols(capture);
  EXPECT_EQ(capture.image.missing_bytes(), 0U);
  EXPECT_EQ(capture.facts.signal, SIGABRT);
  EXPECT_EQ(capture.image.region_at(Addr(untouched_))->contents, Contents::Zero);
  EXPECT_EQ(capture.image.region_at(Addr(reserved_))->contents, Contents::Absent);
  if (!why_untouched_memory_is_filled()) {
    EXPECT_LT(capture.image.populated_bytes(AddrRange::sized(Addr(touched_), 1 << 20)), 65537U);
  }
  for (const Thread& thread : capture.image.threads()) {
    EXPECT_TRUE(thread.has_registers);
    EXPECT_FALSE(thread.xsave.empty());
    EXPECT_TRUE(capture.image.read_addr(thread.sp()));
    EXPECT_TRUE(capture.image.read_addr(thread.thread_pointer()));
  }
}

}  // namespace
}  // namespace heapscan
