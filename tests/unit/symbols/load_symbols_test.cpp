#include <gtest/gtest.h>

#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"
#include "support/elf_writer.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

constexpr uint64_t kLibraryBias = 0x7f0000000000;
constexpr ModuleId kModule(0);

class LoadSymbolsTest : public testing::Test {
 protected:
  // The symbols of one library at kLibraryBias.
  Symbols load(const LibraryWriter& library, bool with_file = true) {
    bytes_ = library.write();
    Notes notes;
    auto file = ElfFile::from_bytes(bytes_, "/opt/lib.so", notes);
    Module module;
    module.bias = kLibraryBias;
    module.build_id = file->build_id();
    for (const ElfSegment& s : file->segments()) {
      if (s.type != PT_LOAD) continue;
      module.segments.push_back(
          {AddrRange::sized(module.at_run_time(s.address), s.memory_size), false, false});
    }
    ImageBuilder builder;
    builder.add_module(module);
    const MemoryImage image = builder.freeze();
    ModuleFiles files;
    files.push_back(with_file ? std::move(file) : std::nullopt);
    SymbolOptions options;
    options.debug_dirs = {folder_ / "debug"};
    return load_symbols(image, files, options);
  }
  ByteString bytes_;
  TempFolder folder_;
};

TEST_F(LoadSymbolsTest, JoinsBothTables) {
  LibraryWriter library;
  library.dynamic_symbols = {{"malloc", 0x1010, 32},
                             {"imported", 0, 0, STT_FUNC, STB_GLOBAL, SHN_UNDEF},
                             {"VERSION_1", 0, 0, STT_OBJECT, STB_GLOBAL, SHN_ABS},
                             {"resolver", 0x1080, 8, STT_GNU_IFUNC}};
  library.symbols = {{"malloc", 0x1010, 32},
                     {"main_arena", 0x3100, 2200, STT_OBJECT, STB_LOCAL},
                     {"tcache", 0x18, 8, STT_TLS, STB_LOCAL},
                     {"lib.c", 0, 0, STT_FILE, STB_LOCAL, SHN_ABS}};
  const Symbols symbols = load(library);
  EXPECT_EQ(symbols.address_of(kModule, "malloc"), Addr(kLibraryBias + 0x1010));
  EXPECT_TRUE(symbols.exports(kModule, "malloc"));
  EXPECT_EQ(symbols.address_of(kModule, "main_arena"), Addr(kLibraryBias + 0x3100));
  EXPECT_FALSE(symbols.exports(kModule, "main_arena"));
  EXPECT_EQ(symbols.tls_offset_of(kModule, "tcache"), 0x18U);
  EXPECT_TRUE(symbols.address_of(kModule, "resolver"));
  for (const char* name : {"imported", "VERSION_1", "lib.c"})
    EXPECT_FALSE(symbols.address_of(kModule, name)) << name;
  EXPECT_EQ(symbols.at(Addr(kLibraryBias + 0x3200))->name, "main_arena");
}

TEST_F(LoadSymbolsTest, ADebugFileAddsWhatWasStripped) {
  LibraryWriter debug;
  debug.symbols = {{"helper", 0x1060, 8, STT_FUNC, STB_LOCAL}};
  folder_.write("debug/.build-id/ab/ababababababababababababababababababab.debug", debug.write());
  LibraryWriter stripped;
  stripped.dynamic_symbols = {{"malloc", 0x1010, 32}};
  EXPECT_EQ(load(stripped).address_of(kModule, "helper"), Addr(kLibraryBias + 0x1060));
  const Symbols without_file = load(stripped, false);
  EXPECT_EQ(without_file.address_of(kModule, "helper"), Addr(kLibraryBias + 0x1060));
  EXPECT_FALSE(without_file.address_of(kModule, "malloc"));
}

TEST_F(LoadSymbolsTest, AModuleWithoutAnythingHasNoNames) {
  const Symbols symbols = load(LibraryWriter(), false);
  EXPECT_FALSE(symbols.address_of(kModule, "malloc"));
  EXPECT_FALSE(symbols.at(Addr(kLibraryBias + 0x1010)));
  EXPECT_TRUE(symbols.notes().empty());
}

TEST_F(LoadSymbolsTest, AbsurdSymbolsAreSurvived) {
  LibraryWriter library;
  library.symbols = {
      {"top", ~uint64_t{0}, ~uint64_t{0}}, {"zero", 0, ~uint64_t{0}}, {"f", 0x1000, 16}};
  const Symbols symbols = load(library);
  EXPECT_EQ(symbols.at(Addr(kLibraryBias + 0x1004))->name, "f");
  EXPECT_TRUE(symbols.at(Addr(kLibraryBias + 0x1020)));
}

}  // namespace
}  // namespace heapscan
