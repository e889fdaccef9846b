// A library calls back into the test, which takes a picture of its own stack: what the library's
// functions have there at that moment is known.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <link.h>
#include <ucontext.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/elf/open_file.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/debug_info.h"
#include "subjects/locals.h"

namespace heapscan {
namespace {

using testing::Contains;
using testing::SizeIs;

constexpr uint64_t kPicture = 4096;

struct Picture {
  ucontext_t context{};
  Addr begin;
  std::vector<std::byte> stack;
  Addr innermost;
  Addr outer;
};
Picture picture;

__attribute__((no_sanitize("address", "thread"))) void copy_stack(const volatile std::byte* from) {
  for (size_t i = 0; i < kPicture; ++i) picture.stack[i] = from[i];
}

void take_picture(void* innermost, void* outer) {
  picture.stack.resize(kPicture);
  picture.innermost = Addr(reinterpret_cast<uint64_t>(innermost));
  picture.outer = Addr(reinterpret_cast<uint64_t>(outer));
  ::getcontext(&picture.context);
  const auto sp = static_cast<uint64_t>(picture.context.uc_mcontext.gregs[REG_RSP]);
  picture.begin = Addr(sp) - 256;
  copy_stack(reinterpret_cast<const volatile std::byte*>(picture.begin.value));
}

std::array<uint64_t, kRegisterCount> registers_of(const ucontext_t& context) {
  static constexpr std::pair<Register, int> kOrder[] = {
      {Register::R15, REG_R15}, {Register::R14, REG_R14}, {Register::R13, REG_R13},
      {Register::R12, REG_R12}, {Register::Rbp, REG_RBP}, {Register::Rbx, REG_RBX},
      {Register::Rip, REG_RIP}, {Register::Rsp, REG_RSP}};
  std::array<uint64_t, kRegisterCount> registers{};
  for (const auto& [to, from] : kOrder) {
    registers[static_cast<size_t>(to)] = static_cast<uint64_t>(context.uc_mcontext.gregs[from]);
  }
  return registers;
}

struct Mapped {
  std::string path;
  uint64_t bias;
};

Mapped mapped_at(const void* address) {
  Dl_info info;
  link_map* map = nullptr;
  EXPECT_NE(::dladdr1(address, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP), 0);
  const bool is_executable = map->l_name == nullptr || *map->l_name == '\0';
  return {is_executable ? std::filesystem::read_symlink("/proc/self/exe").string() : info.dli_fname,
          map->l_addr};
}

class LocalsTest : public testing::TestWithParam<const char*> {
 protected:
  // The locals of the library's frames.
  std::vector<LocalVariable> locals() {
    void* const library = ::dlopen(GetParam(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      ADD_FAILURE() << ::dlerror();
      return {};
    }
    const auto run = reinterpret_cast<decltype(&start)>(::dlsym(library, "start"));
    EXPECT_NE(run(&take_picture), 0);

    ImageBuilder builder;
    Notes notes;
    ModuleFiles files;
    for (const Mapped& mapped : {mapped_at(reinterpret_cast<const void*>(run)),
                                 mapped_at(reinterpret_cast<const void*>(&take_picture))}) {
      OpenedFile opened = open_regular_file(mapped.path);
      auto file = ElfFile::open(std::move(opened.file), mapped.path, notes);
      Module module;
      module.path = mapped.path;
      module.bias = mapped.bias;
      for (const ElfSegment& s : file->segments()) {
        if (s.type == PT_LOAD)
          module.segments.push_back(
              {AddrRange::sized(module.at_run_time(s.address), s.memory_size), false, true});
      }
      builder.add_module(module);
      files.push_back(std::move(file));
    }
    Region stack;
    stack.range = AddrRange::sized(picture.begin, kPicture);
    stack.perms = {true, true, false, false};
    stack.contents = Contents::Saved;
    stack.bytes = picture.stack.data();
    builder.add_region(stack);
    Thread thread;
    thread.tid = 7;
    thread.has_registers = true;
    thread.registers = registers_of(picture.context);
    builder.add_thread(thread);
    const MemoryImage image = builder.freeze();
    const DebugInfo info = open_debug_info(image, files, {.debug_dirs = {}, .debuginfod = false});
    types_ = info.read_types(image, std::vector<ModuleId>{ModuleId(0)});
    ::dlclose(library);
    return {types_.locals().begin(), types_.locals().end()};
  }
  Types types_;
};

TEST_P(LocalsTest, AreWhereTheFunctionsPutThem) {
  const auto all = locals();
  std::vector<Addr> frames;
  for (const LocalVariable& local : all) {
    EXPECT_EQ(local.tid, 7);
    if (local.name != "frame") continue;
    frames.push_back(local.address);
    EXPECT_EQ(local.function, "inner");
    EXPECT_EQ(types_.spelled(local.type), "struct frame");
  }
  EXPECT_THAT(frames, testing::ElementsAre(picture.innermost, picture.outer))
      << "one for each time the function runs";
}

TEST_P(LocalsTest, BlocksWithinFunctionsCount) {
  const auto all = locals();
  const auto find = [&](std::string_view name) {
    return std::find_if(all.begin(), all.end(), [&](const auto& l) { return l.name == name; });
  };
  const auto first = find("first");
  ASSERT_NE(first, all.end());
  EXPECT_EQ(first->function, "start");
  EXPECT_GT(first->address, picture.outer);
  const auto numbers = find("numbers");
  ASSERT_NE(numbers, all.end());
  EXPECT_EQ(types_.type(numbers->type).size, 32U);
}

INSTANTIATE_TEST_SUITE_P(Optimized, LocalsTest, testing::Values(LOCALS, LOCALS_OPTIMIZED));

}  // namespace
}  // namespace heapscan
