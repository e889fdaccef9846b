// Cores that end too early. Wherever a core was cut off, nothing may be called lost that the whole
// core does not call lost, and the reader is told that it is cut, and where.
//
// The cuts: where the headers and the notes begin and end, and within each segment and note.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "heapscan/acquire/capture.h"
#include "heapscan/analysis/analysis.h"
#include "heapscan/base/error.h"
#include "heapscan/base/fd.h"
#include "heapscan/base/text.h"
#include "heapscan/elf/elf_file.h"
#include "heapscan/symbols/symbols.h"
#include "support/fixture_process.h"

namespace heapscan {
namespace {

Analysis analyze_capture(Capture capture) {
  Symbols symbols = load_symbols(capture.image, capture.files);
  return analyze(std::move(capture.image), std::move(symbols));
}

std::set<Addr> lost_in(const Analysis& analysis) {
  std::set<Addr> lost;
  for (const LostBlock& row : analysis.reach.lost)
    lost.insert(analysis.heap.block(row.block).begin());
  return lost;
}

// Sizes to cut a core to, ascending. gdb writes section headers behind the last segment; nobody
// misses those.
std::set<uint64_t> cuts_of(Bytes core) {
  std::set<uint64_t> cuts;
  const auto add_around = [&](uint64_t at) {
    for (const uint64_t size : {at - 1, at, at + 1}) {
      if (size < core.size()) cuts.insert(size);
    }
  };
  Notes ignored;
  const std::optional<ElfFile> elf = ElfFile::from_bytes(core, "core", ignored);
  EXPECT_TRUE(elf);
  add_around(sizeof(Elf64_Ehdr) + elf->segments().size() * sizeof(Elf64_Phdr));
  uint64_t end = 0;
  for (const ElfSegment& segment : elf->segments()) {
    end = std::max(end, segment.offset + segment.file_size);
    if (segment.type != PT_NOTE) {
      cuts.insert(segment.offset + segment.file_size / 2);
      continue;
    }
    add_around(segment.offset);
    for_each_elf_note(elf->segment_bytes(segment), segment.align, [&](const ElfNote& note) {
      const auto at = static_cast<uint64_t>(note.content.data() - core.data());
      for (const uint64_t size : {at, at + note.content.size() / 2, at + note.content.size()}) {
        if (size < core.size()) cuts.insert(size);
      }
      return true;
    });
  }
  cuts.insert(end - 1);
  cuts.erase(cuts.lower_bound(end), cuts.end());
  return cuts;
}

struct CutResults {
  size_t analysed = 0;
  size_t refused = 0;
};

bool says_where(const std::string& text, uint64_t size) {
  return text.find("cut off at byte " + grouped(size)) != std::string::npos;
}

void expect_is_said(const MemoryImage& image, uint64_t size) {
  EXPECT_TRUE(std::any_of(image.notes().begin(), image.notes().end(),
                          [&](const Note& note) { return says_where(note.text, size); }))
      << "cut at " << size;
}

CutResults sweep(const std::string& path) {
  const Fd file = Fd::open_read(path);
  const MappedMemory memory = MappedMemory::map_file(file, std::filesystem::file_size(path), path);
  const std::set<Addr> lost_in_whole = lost_in(analyze_capture(load_core(path)));
  EXPECT_FALSE(lost_in_whole.empty());
  CutResults results;
  for (const uint64_t size : cuts_of(memory.bytes())) {
    Capture capture;
    try {
      capture = load_core_bytes(memory.bytes().first(size), path, {}, true);
    } catch (const Error& error) {
      // Nothing but headers.
      EXPECT_EQ(error.kind(), ErrorKind::Acquire) << error.what();
      ++results.refused;
      continue;
    }
    expect_is_said(capture.image, size);
    try {
      const Analysis analysis = analyze_capture(std::move(capture));
      const std::set<Addr> lost = lost_in(analysis);
      EXPECT_TRUE(
          std::includes(lost_in_whole.begin(), lost_in_whole.end(), lost.begin(), lost.end()))
          << "cut at " << size << ": " << lost.size() << " blocks are called lost";
      // What is cut off may be code only.
      EXPECT_TRUE(lost.empty() || analysis.image.missing_bytes() == 0) << "cut at " << size;
      ++results.analysed;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Unsupported) << error.what();
      EXPECT_TRUE(says_where(error.what(), size)) << error.what();
      ++results.refused;
    }
  }
  return results;
}

TEST(CutCore, OfGcore) {
  if (const auto reason = why_no_gcore()) GTEST_SKIP() << *reason;
  FixtureProcess fixture(FIXTURE);
  const Gcore core = fixture.make_gcore();
  const CutResults results = sweep(core.path);
  // Its notes come last, and what they say of files is found in memory: cuts in them cost threads
  // only.
  EXPECT_GT(results.analysed, 20U);
  fixture.end();
}

TEST(CutCore, OfTheKernel) {
  if (const auto reason = why_kernel_writes_no_core()) GTEST_SKIP() << *reason;
  FixtureProcess fixture(FIXTURE);
  const std::string path = fixture.abort_for_core();
  const CutResults results = sweep(path);
  EXPECT_GT(results.analysed, 5U);
}

}  // namespace
}  // namespace heapscan
