#include "acquire/cgroups.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace heapscan {
namespace {

constexpr CgroupVersion kOne = CgroupVersion::One;
constexpr CgroupVersion kTwo = CgroupVersion::Two;

TEST(Cgroups, PlacesOfAProcess) {
  using Places = std::vector<CgroupPlace>;
  EXPECT_EQ(parse_cgroup_places("0::/system.slice/nginx.service\n"),
            (Places{{kTwo, "/system.slice/nginx.service"}}));
  EXPECT_EQ(
      parse_cgroup_places("5:cpu,cpuacct:/a\n4:memory:/docker/ab12\n1:name=systemd:/b\n0::/c:d\n"),
      (Places{{kOne, "/docker/ab12"}, {kTwo, "/c:d"}}));
  EXPECT_EQ(parse_cgroup_places("0::/../../elsewhere\nnonsense\n3:memory\n"), Places{});
}

TEST(Cgroups, UnitOfAProcess) {
  const std::string id(64, 'a');
  EXPECT_EQ(unit_of_cgroups("0::/system.slice/nginx.service\n"), "nginx.service");
  EXPECT_EQ(unit_of_cgroups("0::/system.slice/system-job.slice/job@7.service/worker/3\n"),
            "job@7.service");
  EXPECT_EQ(unit_of_cgroups("0::/user.slice/user-1.slice/user@1.service/app.slice/app-x.scope\n"),
            "app-x.scope");
  EXPECT_EQ(unit_of_cgroups("0::/system.slice/docker-" + id + ".scope\n"), "docker-aaaaaaaaaaaa");
  EXPECT_EQ(unit_of_cgroups("4:memory:/docker/" + id + "\n"), "aaaaaaaaaaaa");
  EXPECT_EQ(unit_of_cgroups("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id +
                            ".scope/init\n"),
            "cri-containerd-aaaaaaaaaaaa");
  EXPECT_EQ(unit_of_cgroups("0::/lxc.payload.web/init\n"), "lxc-web");
  EXPECT_EQ(unit_of_cgroups("4:memory:/a.service\n1:name=systemd:/b.service\n0::/c.service\n"),
            "b.service");
  for (const char* none : {"", "0::/\n", "0::/init\n", "nonsense", "0::", "0:x", "0::/a/b\n"})
    EXPECT_EQ(unit_of_cgroups(none), "") << none;
  EXPECT_EQ(unit_of_cgroups("0::/x" + id + "\n"), "");
}

constexpr const char* kMounts =
    "22 1 0:20 / /proc rw - proc proc rw\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    "41 31 0:38 /kube\\040pods /sys/fs/cgroup/unified rw - cgroup2 none rw\n";

TEST(Cgroups, Mounts) {
  EXPECT_EQ(parse_cgroup_mounts(kMounts),
            (std::vector<CgroupMount>{{kOne, "/", "/sys/fs/cgroup/memory"},
                                      {kTwo, "/kube pods", "/sys/fs/cgroup/unified"}}));
  EXPECT_TRUE(parse_cgroup_mounts("35 31 - cgroup2\n - \n\\\n").empty());
}

TEST(Cgroups, FoldersFromTheInnermostOut) {
  const std::vector<CgroupMount> mounts = parse_cgroup_mounts(kMounts);
  EXPECT_EQ(folders_of({{kOne, "/a/b"}}, mounts),
            (std::vector<CgroupFolder>{{kOne, "/a/b", "/sys/fs/cgroup/memory/a/b"},
                                       {kOne, "/a", "/sys/fs/cgroup/memory/a"},
                                       {kOne, "/", "/sys/fs/cgroup/memory"}}));
  EXPECT_EQ(folders_of({{kTwo, "/kube pods/x"}}, mounts),
            (std::vector<CgroupFolder>{{kTwo, "/kube pods/x", "/sys/fs/cgroup/unified/x"},
                                       {kTwo, "/kube pods", "/sys/fs/cgroup/unified"}}));
  EXPECT_TRUE(folders_of({{kTwo, "/kube podsandmore"}}, mounts).empty()) << "not below the mount";
  EXPECT_TRUE(folders_of({{kTwo, "/elsewhere"}}, mounts).empty());
}

class CgroupFiles : public testing::Test {
 protected:
  CgroupFiles() {
    std::string pattern = testing::TempDir() + "heapscan-cgroup-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~CgroupFiles() override { std::filesystem::remove_all(folder_); }
  void write(const char* name, const char* text) { std::ofstream(folder_ + "/" + name) << text; }
  std::string folder_;
};

TEST_F(CgroupFiles, LimitOfVersionTwo) {
  write("memory.max", "1000000\n");
  write("memory.current", "800000\n");
  write("memory.stat", "anon 5\ninactive_file 300000\nactive_file 90000\n");
  EXPECT_EQ(read_memory_limit({kTwo, "/a", folder_}),
            (MemoryLimit{"cgroup /a", 1000000, 500000, 90000}));
  write("memory.max", "max\n");
  EXPECT_FALSE(read_memory_limit({kTwo, "/a", folder_}));
}

TEST_F(CgroupFiles, LimitOfVersionOne) {
  write("memory.limit_in_bytes", "1000000\n");
  write("memory.usage_in_bytes", "800000\n");
  write("memory.stat", "inactive_file 1\ntotal_inactive_file 900000\n");
  EXPECT_EQ(read_memory_limit({kOne, "/a", folder_}), (MemoryLimit{"cgroup /a", 1000000, 0}));
  write("memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(read_memory_limit({kOne, "/a", folder_})) << "that is none";
}

TEST_F(CgroupFiles, NoFilesNoLimit) {
  EXPECT_FALSE(read_memory_limit({kTwo, "/a", folder_}));
  EXPECT_FALSE(read_memory_limit({kOne, "/a", folder_ + "/gone"}));
}

TEST(MachineLimit, IsAllMemoryButWhatIsAvailable) {
  EXPECT_EQ(parse_machine_limit("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   400 kB\n"),
            (MemoryLimit{"the machine", 1000 * 1024, 600 * 1024}));
  EXPECT_FALSE(parse_machine_limit(""));
  EXPECT_FALSE(parse_machine_limit("MemTotal: 5 kB\nMemAvailable: 6 kB\n"));
}

}  // namespace
}  // namespace heapscan
