// Libraries of the system have call frame information for all of their code; damaged ones are
// refused or harmless.
#include "symbols/dwarf/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/elf/open_file.h"

namespace heapscan {
namespace {

std::optional<ElfFile> open_library(const std::string& path) {
  Notes notes;
  OpenedFile opened = open_regular_file(path);
  return ElfFile::open(std::move(opened.file), path, notes);
}

std::vector<std::string> loaded_libraries() {
  std::vector<std::string> paths;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        if (*info->dlpi_name == '/')
          static_cast<std::vector<std::string>*>(out)->emplace_back(info->dlpi_name);
        return 0;
      },
      &paths);
  return paths;
}

TEST(CallFrames, LibrariesOfTheSystemDescribeTheirFunctions) {
  const auto libraries = loaded_libraries();
  ASSERT_GE(libraries.size(), 5U);
  for (const std::string& path : libraries) {
    const auto file = open_library(path);
    ASSERT_TRUE(file) << path;
    const auto frames = CallFrames::open(*file);
    ASSERT_TRUE(frames) << path;
    size_t functions = 0;
    size_t described = 0;
    for (const ElfSymbol& symbol : file->dynamic_symbols()) {
      if (!symbol.defined || symbol.type != STT_FUNC || symbol.size == 0) continue;
      ++functions;
      described += frames->at(symbol.address) != nullptr ? 1 : 0;
    }
    EXPECT_GE(described, functions * 9 / 10) << path;
  }
}

class DamagedFrames : public testing::Test {
 protected:
  DamagedFrames() {
    const auto file = open_library(LOCALS);
    bytes_.assign(file->bytes().begin(), file->bytes().end());
    const auto section = file->section(".eh_frame");
    begin_ = static_cast<size_t>(section->data() - file->bytes().data());
    size_ = section->size();
    for (const ElfSymbol& symbol : file->dynamic_symbols()) {
      if (symbol.type == STT_FUNC && symbol.size != 0) functions_.push_back(symbol.address);
    }
    for (const ElfSegment& segment : file->segments()) {
      if (segment.type == PT_GNU_EH_FRAME) table_ = segment.offset;
    }
  }
  // What is still found of the functions, or nothing when the file is refused.
  [[nodiscard]] std::optional<size_t> found() const {
    Notes notes;
    const auto file = ElfFile::from_bytes(bytes_, "damaged", notes);
    const auto frames = file ? CallFrames::open(*file) : std::nullopt;
    if (!frames) return std::nullopt;
    size_t count = 0;
    for (const FileAddr address : functions_) {
      const DwarfFrame frame = frames->at(FileAddr(address.value + 1));
      if (!frame) continue;
      ++count;
      Dwarf_Op memory[3];
      Dwarf_Op* operations = nullptr;
      size_t operation_count = 0;
      (void)dwarf_frame_cfa(frame.get(), &operations, &operation_count);
      for (int i = 0; i < 17; ++i)
        (void)dwarf_frame_register(frame.get(), i, memory, &operations, &operation_count);
    }
    return count;
  }
  // Where the last entry's program ends in so many instructions that do nothing.
  [[nodiscard]] size_t padding(size_t size) const {
    const std::vector<std::byte> zeros(size);
    const auto begin = bytes_.begin() + static_cast<std::ptrdiff_t>(begin_);
    const auto end = begin + static_cast<std::ptrdiff_t>(size_ - 4);  // 4: the end of the list
    const auto place = std::find_end(begin, end, zeros.begin(), zeros.end());
    return place == end ? 0 : static_cast<size_t>(place - bytes_.begin());
  }

  std::vector<std::byte> bytes_;
  std::vector<FileAddr> functions_;
  size_t begin_ = 0;
  size_t size_ = 0;
  size_t table_ = 0;
};

TEST_F(DamagedFrames, WithoutDamageAllAreFound) {
  ASSERT_FALSE(functions_.empty());
  EXPECT_EQ(found(), functions_.size());
}

// libdw would fill a table of 2 GiB.
TEST_F(DamagedFrames, RegistersThatNoProcessorHasAreRefused) {
  const size_t place = padding(5);
  ASSERT_NE(place, 0U);
  constexpr unsigned char kUndefined[] = {0x07, 0xff, 0xff, 0xff, 0x3f};  // register 134,217,727
  std::memcpy(bytes_.data() + place, kUndefined, sizeof kUndefined);
  EXPECT_FALSE(found());
}

TEST_F(DamagedFrames, ATableThatLeadsBetweenEntriesIsRefused) {
  auto entry = load<uint32_t>(bytes_.data() + table_ + 12 + 4);
  entry += 4;
  std::memcpy(bytes_.data() + table_ + 12 + 4, &entry, sizeof entry);
  EXPECT_FALSE(found());
}

TEST_F(DamagedFrames, AnyOtherDamageIsHarmless) {
  std::mt19937 random(1);
  const std::vector<std::byte> whole = bytes_;
  for (int round = 0; round < 3000; ++round) {
    bytes_ = whole;
    for (unsigned i = 1 + random() % 4; i > 0; --i)
      bytes_[begin_ + random() % size_] = static_cast<std::byte>(random());
    (void)found();
  }
}

}  // namespace
}  // namespace heapscan
