// Which of the kernel's services a program uses that keep words for it.

#include "reach/why_possible.h"

#include <elf.h>
#include <gmock/gmock.h>

#include "support/fake_process.h"

namespace heapscan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> used_in(FakeProcess& process) {
  std::vector<std::string> names;
  const MemoryImage image = process.build();
  for (const UnseenReferences& unseen : find_unseen_references(image))
    names.push_back(unseen.holder);
  return names;
}

void set_call(Thread& thread, uint64_t number) {
  thread.registers[static_cast<size_t>(Register::OrigRax)] = number;
}

TEST(KernelUse, AThreadThatWaitsForEventsUsesEpoll) {
  FakeProcess process;
  set_call(process.add_first_thread(), 232);
  EXPECT_THAT(used_in(process), ElementsAre("epoll"));
}

TEST(KernelUse, OtherCallsSayNothing) {
  FakeProcess process;
  set_call(process.add_first_thread(), 0);
  EXPECT_THAT(used_in(process), IsEmpty());
}

TEST(KernelUse, WhereTheImageKnowsWhatTheKernelHoldsOnlyWhatItSaysCounts) {
  FakeProcess process;
  set_call(process.add_first_thread(), 232);
  process.set_kernel_references({});
  EXPECT_THAT(used_in(process), IsEmpty());
}

TEST(KernelUse, AStaticProgramHasTheCallInItsCode) {
  FakeProcess process;
  process.add_first_thread();
  process.poke(FakeProcess::kCode, 0x050f000000deb8);  // mov $222,%eax; syscall
  EXPECT_THAT(used_in(process), ElementsAre("POSIX timers"));
}

// A module whose table of functions has one entry.
class Import : public testing::Test {
 protected:
  static constexpr Addr kTables = FakeProcess::kProgramData;
  static constexpr uint64_t kSlot = 0xf00;

  explicit Import(const std::string& name = "epoll_ctl") {
    process_.add_first_thread();
    process_.module(process_.program).dynamic = AddrRange::sized(kTables, 0x100);
    const Addr symbols = kTables + 0x200;
    const Addr names = kTables + 0x300;
    const Addr relocations = kTables + 0x400;
    size_t row = 0;
    const auto entry = [&](uint64_t tag, uint64_t value) {
      process_.poke(kTables + 16 * row, tag);
      process_.poke(kTables + 16 * row + 8, value);
      ++row;
    };
    entry(DT_SYMTAB, symbols.value);
    entry(DT_STRTAB, names.value);
    entry(DT_JMPREL, relocations.value);
    entry(DT_PLTRELSZ, sizeof(Elf64_Rela));
    entry(DT_NULL, 0);
    process_.poke_half(symbols + sizeof(Elf64_Sym), 1);  // the name; undefined
    process_.poke_text(names + 1, name);
    process_.poke(relocations, kTables.value + kSlot - FakeProcess::kProgram.value);
    process_.poke(relocations + 8, ELF64_R_INFO(1, R_X86_64_JUMP_SLOT));
  }
  FakeProcess process_;
};

TEST_F(Import, IsUseWhenItIsBoundToAnotherModule) {
  process_.poke(kTables + kSlot, FakeProcess::kLoader + 0x10);
  EXPECT_THAT(used_in(process_), ElementsAre("epoll"));
}

TEST_F(Import, IsNoUseBeforeTheFirstCall) {
  process_.poke(kTables + kSlot, FakeProcess::kCode);
  EXPECT_THAT(used_in(process_), IsEmpty());
}

}  // namespace
}  // namespace heapscan
