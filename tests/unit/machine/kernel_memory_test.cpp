#include "heapscan/machine/kernel_memory.h"

#include <gtest/gtest.h>

#include "heapscan/machine/machine.h"

namespace heapscan {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr const char* kRest = " : tunables 0 0 0 : slabdata ";

TEST(Slabinfo, LargestFirst) {
  const std::string text = std::string("slabinfo - version: 2.1\n# name <active_objs> …\n") +
                           "dentry 90 105 192 21 1" + kRest + "5 5 0\n" +
                           "kmalloc-2k 1 16 2048 16 8" + kRest + "1 1 0\n";
  const std::vector<SlabCache> caches = parse_slabinfo(text, kPageBytes);
  ASSERT_EQ(caches.size(), 2);
  EXPECT_EQ(caches[0].name, "kmalloc-2k");
  EXPECT_EQ(caches[0].bytes, 8 * kPageBytes);
  EXPECT_EQ(caches[1].name, "dentry");
  EXPECT_EQ(caches[1].bytes, 5 * kPageBytes);
  EXPECT_EQ(caches[1].objects_in_use, 90);
  EXPECT_EQ(caches[1].object_size, 192);
}

TEST(Slabinfo, LinesThatAreNoneAreLeftOut) {
  for (const char* const line :
       {"a 1 2 3 4 18446744073709551615 : slabdata 1 1 0", "a 1 2 3 : slabdata 1 1 0",
        "a 1 2 3 4 5", "a 1 2 3 4 x : slabdata 1 1 0", ": slabdata", "", "a 1 2 3 4 5 : slabdata 1",
        "a 1 2 3 4 2 : slabdata 1 9223372036854775807 0"}) {
    EXPECT_TRUE(parse_slabinfo(line, kPageBytes).empty()) << line;
  }
}

TEST(Vmallocinfo, OnlyPagesThatWereAllocatedForAnArea) {
  const auto use = parse_vmallocinfo(
      "0x1-0x2   20480 kernel_clone+0x94/0x3e0 pages=4 vmalloc N0=4\n"
      "0x1-0x2   20480 table_alloc+0x1/0x2 [nf_tables] pages=4 vmalloc vpages N0=4\n"
      "0x1-0x2   12288 table_alloc+0x1/0x2 [nf_tables] pages=2 vmalloc N0=2\n"
      "0x1-0x2   12288 htab_map_alloc+0x1/0x2 pages=2 vmalloc N0=2\n"
      "0x1-0x2   12288 pci_map+0x1/0x2 phys=0x00000000d0000000 ioremap\n"
      "0x1-0x2   12288 gpu_map+0x1/0x2 pages=2 vmap\n"
      "0x1-0x2    8192 unpurged vm_area\n",
      kPageBytes);
  ASSERT_TRUE(use);
  EXPECT_EQ(use->bytes, 12 * kPageBytes);
  EXPECT_EQ(use->stack_bytes, 4 * kPageBytes);
  ASSERT_EQ(use->callers.size(), 2);
  EXPECT_EQ(use->callers[0].name, "table_alloc [nf_tables]");
  EXPECT_EQ(use->callers[0].bytes, 6 * kPageBytes);
  EXPECT_EQ(use->callers[0].areas, 2);
  EXPECT_EQ(use->callers[1].name, "htab_map_alloc");
}

TEST(Vmallocinfo, OfNothing) {
  EXPECT_FALSE(parse_vmallocinfo("", kPageBytes));
  EXPECT_FALSE(
      parse_vmallocinfo("0x1-0x2 8192 f+0/0 pages=18446744073709551615 vmalloc\n", kPageBytes));
  EXPECT_FALSE(parse_vmallocinfo("0x1-0x2 x f+0/0 pages=1 vmalloc\nvmalloc\n \n", kPageBytes));
}

TEST(SocketMemoryText, EachCounterOnce) {
  const std::vector<SocketMemory> sockets = parse_socket_memory(
      "sockets: used 812\nTCP: inuse 300 orphan 2 tw 40 alloc 350 mem 10\nUDP: inuse 8 mem 0\n"
      "FRAG: inuse 1 memory 8192\nRAW: inuse 0\nTCP: mem\n",
      "protocol  size sockets  memory press\nSCTP 1800 12 5 no\nUNIX 1024 300 -1 NI\n"
      "TCPv6 2304 300 10 no\nMPTCP 2304 300 10 no\n",
      kPageBytes);
  ASSERT_EQ(sockets.size(), 3);
  EXPECT_EQ(sockets[0].protocol, "TCP");
  EXPECT_EQ(sockets[0].bytes, 10 * kPageBytes);
  EXPECT_EQ(sockets[1].protocol, "SCTP");
  EXPECT_EQ(sockets[2].protocol, "FRAG");
  EXPECT_EQ(sockets[2].bytes, 8192);
}

TEST(Zram, MemoryThatItUses) {
  const auto device = parse_zram("zram0", "4000 1000 1228 0 1300 10 20 30 40\n");
  ASSERT_TRUE(device);
  EXPECT_EQ(device->original_bytes, 4000);
  EXPECT_EQ(device->used_bytes, 1228);
  for (const char* const text : {"", "1 2", "1 2 -3", "x", "1 2 18446744073709551615"})
    EXPECT_FALSE(parse_zram("zram0", text)) << text;
}

TEST(Zoneinfo, PagesInListsPerProcessor) {
  EXPECT_EQ(parse_free_lists("Node 0, zone DMA\n  per-node stats\n  count: 7\n  pagesets\n"
                             "    cpu: 0\n              count:    5\n              high:  9\n"
                             "    cpu: 1\n              count: 6\nNode 0, zone Normal\n  pagesets\n"
                             "    cpu: 0\n              count: x\n              count: 10\n"),
            21);
  const std::string huge = "pagesets\ncount: 18446744073709551615\n";
  EXPECT_LE(parse_free_lists(huge + huge), uint64_t{1} << 56);
}

TEST(Sysv, SegmentsThatNobodyUses) {
  const SysvSegments sum = parse_sysv_segments(
      "key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap\n"
      "0 1 600 1000 9 9 2 33 33 33 33 0 0 0 800 0\n0 2 600 500 9 9 0 33 33 33 33 0 0 0 300 4096\n"
      "1 2 3\n");
  EXPECT_EQ(sum.segments, 2);
  EXPECT_EQ(sum.bytes, 1500);
  EXPECT_EQ(sum.resident, 1100);
  EXPECT_EQ(sum.swapped, 4096);
  EXPECT_EQ(sum.unattached, 1);
  EXPECT_EQ(sum.unattached_bytes, 300);
}

TEST(Kmemleak, ObjectsAndWhoAllocatedThem) {
  const KmemleakReport report = parse_kmemleak(
      "unreferenced object 0xffff88810a7b2c00 (size 192):\n  comm \"insmod\", pid 1234, jiffies 1\n"
      "  hex dump (first 32 bytes):\n    00 01 02\n  backtrace:\n"
      "    [<00000000a1b2c3d4>] __kmalloc+0x52/0x140\n"
      "    [<0000000012345678>] session_open+0x2c/0x60 [leaky]\n"
      "unreferenced object 0xffff88810a7b2d00 (size 64):\n  comm \"kworker/0:1\", pid 7, jiffies "
      "2\n"
      "  backtrace (crc 5c1f0aa7):\n    kmem_cache_alloc_noprof+0x1/0x2\n    "
      "usb_alloc_urb+0x1/0x2\n");
  EXPECT_EQ(report.objects, 2);
  EXPECT_EQ(report.bytes, 256);
  ASSERT_EQ(report.first.size(), 2);
  EXPECT_EQ(report.first[0].command, "insmod");
  EXPECT_EQ(report.first[0].allocated, "session_open [leaky]");
  EXPECT_EQ(report.first[1].allocated, "usb_alloc_urb");
}

TEST(Kmemleak, BoundedAndUnmoved) {
  std::string text = "backtrace\n    stray+0x1/0x2\n";
  for (int i = 0; i < 1000; ++i) text += "unreferenced object\n  comm \"\n  backtrace\n";
  const KmemleakReport report =
      parse_kmemleak(text + "unreferenced object 0 (size 99999999999999999999)");
  EXPECT_EQ(report.objects, 1001);
  EXPECT_EQ(report.bytes, 0);
  EXPECT_EQ(report.first.size(), KmemleakReport::kMostShown);
  EXPECT_EQ(parse_kmemleak("").objects, 0);
}

}  // namespace
}  // namespace heapscan
