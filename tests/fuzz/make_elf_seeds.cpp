// Writes the seeds of core_fuzz and elf_fuzz: one small file per feature a mutation should start
// from.
//
// usage: make_elf_seeds FOLDER     (fixtures/fuzz; files there are replaced)
//
// One seed is not made here: elf/dwarf is a malloc.c of six lines that declares malloc_chunk,
// malloc_state and _heap_info, built with gcc -g -O1 -fPIC -shared -nostdlib -Wl,-n.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "support/elf_writer.h"

namespace {

using namespace heapscan;

void save(const std::filesystem::path& path, const ByteString& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

constexpr uint64_t kHeap = 0x555500000000;
constexpr uint64_t kStack = 0x7ffff0000000;
constexpr uint64_t kLibrary = 0x7f0000000000;
constexpr uint32_t kRw = PF_R | PF_W;

ByteString head_of(const ByteString& bytes, size_t size) {
  return {bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)};
}

LibraryWriter library() {
  LibraryWriter made;
  made.dynamic_symbols = {{"malloc", 0x1010, 32}, {"free", 0x1040, 16}};
  made.symbols = {{"main_arena", 0x3100, 2200, STT_OBJECT, STB_LOCAL},
                  {"tcache", 8, 8, STT_TLS, STB_LOCAL}};
  made.tls_size = 64;
  made.debug_link = "lib.debug";
  return made;
}

CoreWriter core() {
  CoreWriter made;
  made.unaligned().thread(42, kLibrary + 0x1000, kStack + 16, 0x7000).process(42, "victim");
  made.note("LINUX", NT_X86_XSTATE, pattern(64)).aux(AT_PHDR, kLibrary + 64).aux(AT_PAGESZ, 4096);
  made.segment(kHeap, pattern(64), 0x1000, kRw).segment(kStack, pattern(64), kRw);
  return made;
}

CoreWriter& with_library(CoreWriter& made, const ByteString& header) {
  made.segment(kLibrary, header, 0x1000, PF_R).segment(kLibrary + 0x1000, {}, 0x1000, PF_R | PF_X);
  made.segment(kLibrary + 0x3000, pattern(64), 0x1000, kRw)
      .segment(kLibrary + 0x4000, {}, 0x4000, kRw);
  made.file(kLibrary, kLibrary + 0x1000, 0, "/lib.so")
      .file(kLibrary + 0x1000, kLibrary + 0x2000, 1, "/lib.so");
  return made.file(kLibrary + 0x3000, kLibrary + 0x4000, 2, "/lib.so");
}

void write_cores(const std::filesystem::path& folder) {
  save(folder / "small", core().write());
  CoreWriter kernel = core();
  save(folder / "library", with_library(kernel, head_of(library().write(), 512)).write());
  CoreWriter extended = core();
  save(folder / "extended_count", extended.extended_count().write());
  CoreWriter withheld;
  withheld.unaligned()
      .thread(1, 0, kStack)
      .segment(kStack, {}, 0x1000, kRw)
      .segment(kHeap, pattern(16), kRw);
  save(folder / "withheld", withheld.segment(kHeap + 0x5000, {}, 0x1000, 0).write());
  CoreWriter overlapping = core();
  overlapping.segment(kHeap + 16, pattern(64), 0x2000, kRw)
      .segment(kHeap, pattern(8), ~uint64_t{0}, kRw);
  save(folder / "overlapping", overlapping.write());
  ByteString cut = core().write();
  cut.resize(cut.size() - 100);
  save(folder / "cut_off", cut);
  CoreWriter threads = core();
  for (int tid = 43; tid < 47; ++tid) threads.thread(tid).note("LINUX", NT_X86_XSTATE, pattern(16));
  save(folder / "threads",
       threads.note("CORE", NT_SIGINFO, pattern(128)).note("GDB", 0xff000000, {}).write());
}

// The library without the two pages of code and data in its middle, which teach a fuzzer nothing.
ByteString shortened(LibraryWriter made) {
  ByteString bytes = made.write();
  constexpr size_t kBegin = 1024;
  constexpr size_t kCut = 3 * 4096 - kBegin;
  bytes.erase(bytes.begin() + kBegin, bytes.begin() + kBegin + kCut);
  auto header = load<Elf64_Ehdr>(bytes.data());
  header.e_shoff -= kCut;
  overwrite(bytes, 0, header);
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const size_t at = header.e_shoff + i * sizeof(Elf64_Shdr);
    auto section = load<Elf64_Shdr>(bytes.data() + at);
    if (section.sh_offset >= kCut) section.sh_offset -= kCut;
    overwrite(bytes, at, section);
  }
  return bytes;
}

void write_libraries(const std::filesystem::path& folder) {
  save(folder / "library", shortened(library()));
  LibraryWriter bare;
  bare.build_id.clear();
  save(folder / "bare", shortened(bare));
  save(folder / "first_page", head_of(library().write(), 512));
  LibraryWriter many = library();
  for (int i = 0; i < 20; ++i)
    many.symbols.push_back({"f" + std::to_string(i), 0x1000U + static_cast<unsigned>(i) * 8, 8});
  save(folder / "many_symbols", shortened(many));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  write_cores(folder / "core");
  write_libraries(folder / "elf");
  return 0;
}
