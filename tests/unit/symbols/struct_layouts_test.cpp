#include "symbols/dwarf/read_types.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "heapscan/elf/open_file.h"
#include "support/elf_writer.h"
#include "symbols/debug_files.h"

namespace heapscan {
namespace {

// The debug file of the C library we run with, where it is installed.
std::optional<ElfFile> libc_debug_file() {
  Dl_info info;
  if (::dladdr(reinterpret_cast<void*>(&gnu_get_libc_version), &info) == 0) return std::nullopt;
  OpenedFile opened = open_regular_file(info.dli_fname);
  Notes notes;
  const auto libc = ElfFile::open(std::move(opened.file), info.dli_fname, notes);
  if (!libc) return std::nullopt;
  Module module;
  module.build_id = libc->build_id();
  return find_debug_file(module, &*libc, SymbolOptions(), notes);
}

TEST(MallocStructs, AreReadFromLibcsOwnDwarf) {
  const auto debug = libc_debug_file();
  if (!debug) GTEST_SKIP() << "the C library's debug symbols are not installed";
  const auto structs = read_malloc_structs(*debug);
  for (const char* name :
       {"malloc_state", "malloc_par", "tcache_perthread_struct", "_heap_info", "malloc_chunk"}) {
    ASSERT_TRUE(structs.contains(name)) << name;
  }
  // Unchanged in every version since 2.26.
  EXPECT_EQ(structs.at("malloc_chunk").members.at("fd"), 16U);
  EXPECT_EQ(structs.at("malloc_state").members.at("top") % 8, 0U);
  EXPECT_GT(structs.at("malloc_state").members.at("next"),
            structs.at("malloc_state").members.at("bins"));
  EXPECT_EQ(structs.at("_heap_info").members.at("ar_ptr"), 0U);
}

TEST(MallocStructs, WithoutDwarfThereAreNone) {
  const ByteString bytes = LibraryWriter().write();
  Notes notes;
  EXPECT_TRUE(read_malloc_structs(*ElfFile::from_bytes(bytes, "lib.so", notes)).empty());
}

TEST(MallocStructs, GarbageInPlaceOfDwarfGivesNone) {
  const auto debug = libc_debug_file();
  if (!debug) GTEST_SKIP() << "the C library's debug symbols are not installed";
  for (const unsigned seed : {1U, 2U, 3U, 4U}) {
    ByteString bytes(debug->bytes().begin(), debug->bytes().end());
    std::srand(seed);
    // Every thousandth byte of everything but the headers.
    for (size_t at = 4096; at + 65536 < bytes.size();
         at += 1 + static_cast<size_t>(std::rand()) % 2000) {
      bytes[at] = static_cast<std::byte>(std::rand());
    }
    Notes notes;
    const auto damaged = ElfFile::from_bytes(bytes, "libc.debug", notes);
    EXPECT_LE(damaged ? read_malloc_structs(*damaged).size() : 0, 6U);
  }
}

}  // namespace
}  // namespace heapscan
