// Containers that say by their own words what they are: open files, Python's, memory resources.
#include "identify/known_containers.h"

#include <gtest/gtest.h>

#include <cstring>

#include "heapscan/identify/glib_slices.h"
#include "heapscan/symbols/symbols.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

constexpr uint64_t kDictType = FakeProgram::kStrong + 0x1000;
constexpr uint64_t kListType = FakeProgram::kStrong + 0x1200;
constexpr uint64_t kModuleType = FakeProgram::kStrong + 0x1400;
constexpr uint64_t kTextType = FakeProgram::kStrong + 0x1600;
constexpr uint64_t kFileList = FakeProgram::kStrong + 0x1800;

class KnownContainersTest : public testing::Test {
 protected:
  void build() {
    world_ = program_.build();
    SymbolsBuilder builder(world_.image);
    const auto add = [&](std::string_view name, uint64_t at) {
      builder.add(ModuleId(0), {.name = name, .address = Addr(at), .size = 8});
    };
    add("PyDict_Type", kDictType);
    add("PyList_Type", kListType);
    add("PyModule_Type", kModuleType);
    add("_IO_list_all", kFileList);
    symbols_ = builder.freeze();
  }
  [[nodiscard]] std::vector<KnownContainer> find_python() {
    build();
    return find_python_containers(world_.image, symbols_, world_.heap);
  }
  // An object in Python's own memory: {references, type, words...}.
  Addr object(uint64_t type, std::initializer_list<uint64_t> words) {
    const Addr at = arena_ + used_;
    program_.poke(at, uint64_t{1});
    program_.poke(at + 8, type);
    uint64_t offset = 16;
    for (const uint64_t word : words) {
      program_.poke(at + offset, word);
      offset += 8;
    }
    used_ += 96;
    return at;
  }
  // ASCII, behind a head of five words as since 3.12.
  Addr text(const char* characters) {
    uint64_t word = 0;
    std::memcpy(&word, characters, std::strlen(characters));
    return object(kTextType, {std::strlen(characters), 0, 0, word});
  }
  // {references, sizes and kind, usable, entries, index of 8, entries of {key, value}}, of 3.11.
  Addr table(uint64_t entries, uint64_t size = 32 + 8 + 16 * 5) {
    const Addr at = program_.block(size);
    program_.poke(at, uint64_t{1});
    program_.poke(at + 8, uint64_t{1} << 16 | 3 << 8 | 3);
    program_.poke(at + 24, entries);
    return at;
  }

  FakeProgram program_;
  Addr arena_ = program_.mapping(1 << 16);
  uint64_t used_ = 64;
  FakeProgram::World world_;
  Symbols symbols_;
};

TEST_F(KnownContainersTest, ADictWithTheNameOfItsVariable) {
  const Addr keys = table(3);
  const Addr dict = object(kDictType, {3, 0, keys.value, 0});
  const Addr variables = table(2);
  program_.poke(variables + 40 + 16, text("cache"));
  program_.poke(variables + 40 + 24, dict);
  const Addr variables_dict = object(kDictType, {2, 0, variables.value, 0});
  object(kModuleType, {variables_dict.value, 0, 0, 0, text("server").value});
  const auto found = find_python();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].kind, "Python dict");
  EXPECT_EQ(found[0].name, "server.cache");
  EXPECT_EQ(found[0].entries, 3U);
  EXPECT_EQ(found[0].blocks, std::vector{world_.heap.block_at(keys)});
  EXPECT_EQ(found[1].name, "");
}

TEST_F(KnownContainersTest, ADictThatContradictsItsTableIsNone) {
  object(kDictType, {4, 0, table(3).value, 0});             // more in use than entries
  object(kDictType, {50, 0, table(50).value, 0});           // more entries than room
  object(kDictType, {3, 0, table(3).value, arena_.value});  // its keys are others', too
  object(kDictType, {3, 0, 0x10, 0});
  const Addr freed = object(kDictType, {3, 0, table(3).value, 0});
  program_.poke(freed, arena_);  // a link to the next free place, no count
  EXPECT_TRUE(find_python().empty());
}

TEST_F(KnownContainersTest, AListInBlocksOfMalloc) {
  const Addr items = program_.block(88);
  const Addr list = program_.block(56);
  program_.poke(list + 16, uint64_t{2});  // behind the head of what is collected
  program_.poke(list + 24, kListType);
  program_.poke(list + 32, uint64_t{11});
  program_.poke(list + 40, items);
  const auto found = find_python();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].entries, 11U);
  EXPECT_EQ(found[0].blocks,
            (std::vector{world_.heap.block_at(list), world_.heap.block_at(items)}));
}

TEST_F(KnownContainersTest, OpenFilesOfALoopedList) {
  const Addr first = program_.block(472);
  const Addr second = program_.block(472);
  const Addr buffer = program_.block(4104);
  for (const Addr file : {first, second}) program_.poke(file, uint64_t{0xfbad2488});
  program_.poke(first + 0x68, second);
  program_.poke(second + 0x68, first);
  program_.poke(second + 0x38, buffer);
  program_.poke(Addr(kFileList), first);
  build();
  const auto found = find_open_files(world_.image, symbols_, world_.heap);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].blocks, std::vector{world_.heap.block_at(first)});
  EXPECT_EQ(found[1].blocks,
            (std::vector{world_.heap.block_at(second), world_.heap.block_at(buffer)}));
}

// ---- pages of GLib's slices ---------------------------------------------------------------------

class SlicePagesTest : public testing::Test {
 protected:
  static constexpr uint64_t kPage = 512;

  // The information at the end of the page that begins at `at`.
  void page(Addr at, Addr free_piece, uint32_t in_use, Addr next, Addr previous) {
    const Addr info = at + (kPage - 48);
    program_.poke(info, free_piece);
    program_.poke(info + 8, in_use);
    program_.poke(info + 16, next + (kPage - 48));
    program_.poke(info + 24, previous + (kPage - 48));
  }
  [[nodiscard]] bool is_page(Addr at, uint64_t size = kPage - 8) {
    return is_slice_page(world_.image, AddrRange::sized(at, size));
  }

  FakeProgram program_;
  Addr first_ = Addr(program_.block(16 * kPage + 8).value).align_up(kPage);
  Addr second_ = first_ + kPage;
  FakeProgram::World world_;
};

TEST_F(SlicePagesTest, ARingOfPagesIsTold) {
  page(first_, first_ + 48, 9, second_, second_);
  page(second_, Addr(), 29, first_, first_);
  world_ = program_.build();
  EXPECT_TRUE(is_page(first_));
  EXPECT_TRUE(is_page(second_));
  EXPECT_TRUE(is_page(second_, kPage + 8));  // malloc left 16 bytes with it
  EXPECT_FALSE(is_page(second_, kPage + 24));
  EXPECT_FALSE(is_page(second_, kPage / 2 - 8));
  EXPECT_FALSE(is_page(second_ + kPage));
}

TEST_F(SlicePagesTest, WhatContradictsItselfIsNone) {
  const Addr third = second_ + kPage;
  page(first_, first_ + 8, 9, first_, first_);           // no place of a piece
  page(second_, Addr(), 33, second_, second_);           // more pieces than fit
  page(third, Addr(), 9, third + kPage, third + kPage);  // its neighbour leads elsewhere
  page(third + kPage, Addr(), 9, third, first_);
  page(third + 2 * kPage, Addr(), 9, third + 2 * kPage + 8, third);
  world_ = program_.build();
  for (const Addr at : {first_, second_, third, third + 2 * kPage})
    EXPECT_FALSE(is_page(at)) << at.value;
}

}  // namespace
}  // namespace heapscan
