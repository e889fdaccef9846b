#include "heapscan/acquire/read_machine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <numeric>

#include "acquire/machine_parts.h"
#include "acquire/mountinfo.h"
#include "heapscan/base/error.h"
#include "heapscan/machine/account.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

struct KnownMachine {
  const char* name;
  int64_t left_over_kib;
};

TEST(ReadMachine, WhatIsLeftOverOfKnownMachines) {
  for (const KnownMachine& known :
       {KnownMachine{"linux-4.4", 61'000}, KnownMachine{"linux-4.19-huge-pages", 760'632},
        KnownMachine{"linux-5.15-zram", 40'000}, KnownMachine{"linux-6.1-ghost", 12'843'032},
        KnownMachine{"linux-6.18-slab", 395'712}}) {
    const MachineFacts facts =
        read_machine(std::string(MACHINES) + "/" + known.name, MachineWanted::Everything);
    const MachineAccount account = account_for(facts);
    EXPECT_EQ(account.left_over(), known.left_over_kib * 1024) << known.name;
    EXPECT_EQ(std::accumulate(account.bytes.begin(), account.bytes.end(), int64_t{0}),
              static_cast<int64_t>(facts.memory.of("MemTotal")))
        << known.name;
    EXPECT_FALSE(facts.processes.empty()) << known.name;
  }
}

TEST(ReadMachine, ProcessesFilesAndLimitsOfAKnownMachine) {
  const MachineFacts facts =
      read_machine(std::string(MACHINES) + "/linux-6.1-ghost", MachineWanted::Everything);
  EXPECT_EQ(facts.host, "gpu7");
  ASSERT_EQ(facts.processes.size(), 3) << "without the kernel's threads";
  EXPECT_EQ(facts.processes[0].pid, 1234);
  EXPECT_EQ(facts.processes[0].start_time, 7000);
  ASSERT_TRUE(facts.processes[0].proportional);
  EXPECT_EQ(facts.processes[0].proportional->files, 280'000 * 1024);
  EXPECT_FALSE(facts.processes[2].proportional);
  ASSERT_EQ(facts.cgroups.size(), 3);
  EXPECT_EQ(facts.cgroups[0].path, "/system.slice/train.service");
  EXPECT_EQ(facts.cgroups[0].used, 12'869'000'000);
  EXPECT_EQ(facts.cgroups[0].times_full, 812);
  EXPECT_EQ(facts.cgroups[0].kills, 3);
  EXPECT_FALSE(facts.cgroups_cut);
  ASSERT_TRUE(facts.kmemleak);
  EXPECT_EQ(facts.kmemleak->objects, 2);
  EXPECT_EQ(facts.slab.front().name, "kmalloc-2k");
  EXPECT_EQ(facts.slab.front().reclaimable, false);
}

TEST(ReadMachine, CgroupsOfVersionOne) {
  const TempFolder folder;
  const auto write = [&](const std::string& name, const std::string& text) {
    (void)folder.write(name, std::as_bytes(std::span(text)));
  };
  write("proc/meminfo", "MemTotal: 1000 kB\n");
  write("proc/self/mountinfo", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000\n");
  write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "900\n");
  write("sys/fs/cgroup/memory/a/memory.failcnt", "7\n");
  write("sys/fs/cgroup/memory/a/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  const MachineFacts facts = read_machine(folder / "", MachineWanted::Everything);
  ASSERT_EQ(facts.cgroups.size(), 1);
  EXPECT_EQ(facts.cgroups[0].version, 1);
  EXPECT_EQ(facts.cgroups[0].path, "/a");
  EXPECT_EQ(facts.cgroups[0].times_full, 7);
  EXPECT_EQ(facts.cgroups[0].kills, 2);
}

TEST(ReadMachine, AFolderThatIsNoMachine) {
  const TempFolder folder;
  EXPECT_THROW(read_machine(folder / "", MachineWanted::Everything), Error);
  (void)folder.write("proc/meminfo",
                     std::as_bytes(std::span(std::string_view("MemTotal: x kB\n"))));
  EXPECT_THROW(read_machine(folder / "", MachineWanted::Everything), Error);
}

TEST(ReadMachine, AFifoHoldsNobodyUp) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "proc");
  ASSERT_EQ(::mkfifo((folder / "proc/meminfo").c_str(), 0600), 0);
  EXPECT_THROW(read_machine(folder / "", MachineWanted::Everything), Error);
}

TEST(ReadMachine, OfThisMachineAddsUp) {
  const MachineFacts facts = read_machine("", MachineWanted::Everything);
  const MachineAccount account = account_for(facts);
  EXPECT_EQ(std::accumulate(account.bytes.begin(), account.bytes.end(), int64_t{0}),
            static_cast<int64_t>(facts.memory.of("MemTotal")));
  const auto is_us = [](const ProcessMemory& process) { return process.pid == ::getpid(); };
  EXPECT_EQ(std::count_if(facts.processes.begin(), facts.processes.end(), is_us), 1);
}

TEST(NamelessFiles, AreFoundOncePerFile) {
  constexpr uint64_t kBytes = uint64_t{1} << 20;
  const int memfd = ::memfd_create("frames\x1b", MFD_CLOEXEC);
  ASSERT_GE(memfd, 0);
  ASSERT_EQ(::posix_fallocate(memfd, 0, kBytes), 0);
  const int copy = ::dup(memfd);
  MachineFacts facts;
  facts.processes.emplace_back();
  facts.processes.back().pid = ::getpid();
  facts.processes.back().name = "test";
  read_nameless_files(facts);
  ::close(copy);
  ::close(memfd);
  const auto is_it = [](const NamelessFile& file) { return file.path == "/memfd:frames\x1b"; };
  ASSERT_EQ(std::count_if(facts.nameless.begin(), facts.nameless.end(), is_it), 1);
  const NamelessFile& file = *std::find_if(facts.nameless.begin(), facts.nameless.end(), is_it);
  EXPECT_EQ(file.bytes, kBytes);
  EXPECT_TRUE(file.is_memfd);
  EXPECT_TRUE(file.in_memory);
  EXPECT_EQ(file.pid, ::getpid());
  EXPECT_EQ(file.process, "test");
  EXPECT_EQ(file.holders, 1);
}

TEST(CollectWithin, WaitsNoLongerThanItMay) {
  // What hangs is a read of a pipe that nobody writes to, as the kernel's reads may hang.
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const std::vector<int> items = collect_within<int>(
      std::chrono::milliseconds(20), [reader = ends[0]](const std::function<bool(int)>& deliver) {
        deliver(1);
        char byte = 0;
        (void)!::read(reader, &byte, 1);
        deliver(2);
      });
  EXPECT_LE(items.size(), 1);
  ::close(ends[1]);  // it ends
  EXPECT_EQ(collect_within<int>(std::chrono::minutes(1), [](const auto& deliver) { deliver(3); }),
            std::vector<int>{3});
}

TEST(Mountinfo, LinesAreTakenApart) {
  const std::vector<MountLine> mounts = parse_mountinfo(
      "24 27 0:23 /a\\040b /dev/shm rw,relatime shared:4 - tmpfs tmpfs rw,size=4k\nnonsense\n - "
      "\n");
  ASSERT_EQ(mounts.size(), 1);
  EXPECT_EQ(mounts[0].root, "/a b");
  EXPECT_EQ(mounts[0].point, "/dev/shm");
  EXPECT_EQ(mounts[0].type, "tmpfs");
  EXPECT_EQ(mounts[0].options, "rw,size=4k");
  EXPECT_EQ(mounts[0].device, 0x17);
}

}  // namespace
}  // namespace heapscan
