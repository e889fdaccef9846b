// Writes the seeds of pipeline_fuzz: cores of a small process with a heap of each kind of block,
// sound ones and ones that claim more than they hold.
//
// usage: make_pipeline_seeds FOLDER PROGRAM     (fixtures/fuzz/pipeline, a library of
// fixtures/fuzz/dwarf whose segments lie in its first two pages)
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/elf_writer.h"
#include "support/fake_heap.h"

namespace {

using namespace heapscan;

ByteString read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> chars{std::istreambuf_iterator<char>(in), {}};
  const auto bytes = std::as_bytes(std::span(chars));
  return {bytes.begin(), bytes.end()};
}

bool is_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// Pages of zeros become segments without bytes, which read as zero too.
void add_region(CoreWriter& core, const Region& region) {
  const uint32_t flags = (region.perms.read ? PF_R : 0U) | (region.perms.write ? PF_W : 0U) |
                         (region.perms.execute ? PF_X : 0U);
  const Bytes bytes(region.bytes, region.range.size());
  for (uint64_t at = 0; at < bytes.size();) {
    const bool zero = is_zero(bytes.subspan(at, kPage));
    uint64_t end = at + kPage;
    while (end < bytes.size() && is_zero(bytes.subspan(end, kPage)) == zero) end += kPage;
    const Bytes part = bytes.subspan(at, end - at);
    core.segment((region.range.begin() + at).value,
                 zero ? ByteString() : ByteString(part.begin(), part.end()), part.size(), flags);
    at = end;
  }
}

CoreWriter core_of(const MemoryImage& image) {
  CoreWriter core;
  core.unaligned();
  for (const Thread& thread : image.threads()) {
    core.thread(thread.tid, thread.pc().value, thread.sp().value, thread.thread_pointer().value);
  }
  core.process(1, "fuzz");
  for (const AuxEntry& entry : image.aux()) core.aux(entry.type, entry.value);
  for (const Region& region : image.regions()) {
    add_region(core, region);
    if (!region.module.valid()) continue;
    const Module& module = image.modules()[region.module];
    const bool is_program = region.module.index() == 0;
    const uint64_t page = is_program ? 0 : (region.range.begin() - module.range.begin()) / kPage;
    core.file(region.range.begin().value, region.range.end().value, page,
              is_program ? "/fuzz/program" : module.path);
  }
  return core;
}

constexpr Addr kRoots = FakeProcess::kProgramData + 0xf00;  // in the program's data

// struct session of the program: 112 bytes.
void fill_session(FakeProcess& process, Addr at, Addr next, Addr text) {
  process.poke(at, next);
  process.poke(at + 8, text);
  process.poke(at + 16, 7);
  process.poke(at + 24, FakeProcess::kCode + 0x280);
  process.poke(at + 96, 1'700'000'000);
}

MemoryImage process_with(const glibc::Family& family, const ByteString& program) {
  FakeHeap fake(family);
  FakeProcess& process = fake.process;
  for (uint64_t at = 0; at < kPage; at += 8)
    process.poke(FakeProcess::kProgram + at, load<uint64_t>(program.data() + at));
  const auto text = [&](FakeArena& arena, const std::string& words) {
    const Addr block = arena.used(words.size() + 1);
    process.poke_text(block, words);
    return block;
  };
  const auto sessions = [&](FakeArena& arena, int count, const std::string& words) {
    Addr last;
    for (int i = 0; i < count; ++i) {
      const Addr session = arena.used(112);
      fill_session(process, session, last, text(arena, words + std::to_string(i)));
      last = session;
    }
    return last;
  };
  process.poke(kRoots, sessions(fake.main(), 6, "GET /index/"));
  sessions(fake.main(), 5, "GET /lost/");
  for (int i = 0; i < 4; ++i) fake.main().used(0x150);
  const Addr interior = fake.main().used(200);
  process.poke(kRoots + 8, interior + 72);
  fake.main().binned(600);
  fake.main().used(40);
  fake.main().fast(40);
  fake.main().unsorted(2000);
  // A lost block that holds a mapping, which holds a block.
  const Addr mapping = fake.raw_mapping(2 * kPage);
  const Addr holder = fake.main().used(40);
  process.poke(holder + 16, mapping);
  const Addr large = fake.mmapped(0x1800);
  FakeArena& other = fake.new_arena();
  const Addr below = other.used(56);
  sessions(other, 3, "/thread/");
  // As FakeHeap lays out the stack of a second thread.
  const Addr second = Addr(0x7ffe00110000) - FakeProcess::kDescriptorSize;
  if (family.tcache != nullptr) {
    fake.tcache(fake.main(), 0, {24, 24, 104});
    fake.tcache(other, 1, {40});
  }
  fake.seal();
  // A stack without a byte would look as if stacks had been kept out of the core.
  process.poke(FakeProcess::kFirstStack + FakeProcess::kFirstStackSize - 0x1000,
               FakeProcess::kCode);
  if (family.tcache != nullptr) process.poke(second - 0x1000, FakeProcess::kCode);
  process.poke(mapping + 64, below);
  process.poke(large + 8, interior);
  return process.build();
}

// As pipeline_fuzz reads them: questions are asked, of a report with reachable groups and all blocks.
constexpr uint8_t kQuestions = 16;
constexpr uint8_t kEverything = kQuestions | 3;

ByteString input_of(uint8_t choices, const ByteString& program, const ByteString& core) {
  ByteString input;
  append(input, choices);
  append(input, uint8_t{1});
  append(input, static_cast<uint32_t>(program.size()));
  input.insert(input.end(), program.begin(), program.end());
  input.insert(input.end(), core.begin(), core.end());
  return input;
}

void save(const std::filesystem::path& path, const ByteString& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FOLDER PROGRAM\n", argv[0]);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const ByteString program = read_file(argv[2]);
  const auto families = glibc::families();
  const glibc::Family& newest = families.back();
  const MemoryImage image = process_with(newest, program);
  save(folder / "newest_glibc", input_of(kEverything, program, core_of(image).write()));
  const MemoryImage oldest = process_with(families.front(), program);
  save(folder / "oldest_glibc", input_of(kQuestions, program, core_of(oldest).write()));

  // Segments that claim address space no file could hold, wherever something looks at it.
  constexpr uint32_t kRw = PF_R | PF_W;
  CoreWriter untouched = core_of(image);
  untouched.segment(0x10000000, {}, uint64_t{1} << 60, kRw);
  save(folder / "huge_untouched", input_of(kEverything, program, untouched.write()));
  CoreWriter missing = core_of(image);
  missing.segment(0x800000000000, pattern(kPage), uint64_t{1} << 60, kRw);
  save(folder / "huge_missing", input_of(kEverything, program, missing.write()));
  CoreWriter many = core_of(image);
  for (uint64_t i = 0; i < 300; ++i) {
    const uint64_t begin = 0x600000000000 + (i << 36);
    if (i % 2 == 0) many.segment(begin - 16, pattern(16), kRw);
    many.segment(begin, {}, uint64_t{1} << (37 + i % 7), kRw);
  }
  save(folder / "many_claims", input_of(kEverything, program, many.write()));
  return 0;
}
