// Another allocator is one folder: what it offers is enough for blocks, roots and verdicts.

#include <gmock/gmock.h>

#include <array>

#include "heap/allocator.h"
#include "heap/glibc/glibc_heap.h"
#include "heapscan/base/error.h"
#include "heapscan/reach/reachability.h"
#include "heapscan/symbols/symbols.h"
#include "slab_allocator.h"
#include "support/fake_process.h"

namespace heapscan {
namespace {

using testing::HasSubstr;

constexpr Addr kLibc{0x7ffff7a00000};
constexpr Addr kLibrary{0x7ffff7b00000};
constexpr Addr kHead{0x7ffff7b01000};
constexpr Addr kSlabs{0x7f5500000000};
constexpr Addr kRaw{0x7f6600000000};

constexpr std::array<Allocator, 2> kBoth = {glibc::kAllocator, slab::kAllocator};

// A program whose malloc is a slab allocator's; the C library's is never used.
class SecondAllocator : public testing::Test {
 protected:
  SecondAllocator() {
    libc_ = process_.add_module("/lib/libc.so.6", kLibc, 0x3000);
    library_ = process_.add_module("/lib/libslab.so", kLibrary, 0x3000);
    process_.link_modules({process_.program, library_, libc_, process_.loader});
    process_.add_first_thread();
    process_.set_kernel_references({});
  }

  // Objects that are all handed out.
  Addr add_slab(uint64_t object_bytes, uint64_t objects) {
    const Addr slab = kSlabs + slabs_++ * 0x10000;
    process_.map(slab, (slab::kFirstObject + object_bytes * objects + kPage - 1) / kPage * kPage);
    process_.poke(slab, slab::kMagic);
    process_.poke(slab + slab::kNext, last_);
    process_.poke(slab + slab::kObjectBytes, object_bytes);
    process_.poke(slab + slab::kObjects, objects);
    for (uint64_t i = 0; i < objects; i += 64) {
      const uint64_t rest = objects - i;
      process_.poke(slab + slab::kBitmap + i / 8,
                    rest >= 64 ? ~uint64_t{0} : (uint64_t{1} << rest) - 1);
    }
    process_.poke(kHead, slab);
    last_ = slab;
    return slab + slab::kFirstObject;
  }

  void walk() {
    image_ = process_.build();
    SymbolsBuilder builder(image_);
    const auto add = [&](ModuleId module, const char* name, Addr address, bool exported) {
      builder.add(module, {.name = name, .address = address, .size = 8, .exported = exported});
    };
    add(libc_, "malloc", kLibc + 0x100, true);
    add(libc_, "gnu_get_libc_version", kLibc + 0x200, true);
    add(libc_, "__libc_start_main", kLibc + 0x300, true);
    add(library_, "malloc", kLibrary + 0x100, true);
    if (has_symbol_) add(library_, "slab_head", kHead, false);
    symbols_ = builder.freeze();
    runtime_ = find_runtime_facts(image_, symbols_);
    heap_ = walk_heap({image_, symbols_, runtime_}, kBoth);
    reach_ = trace(image_, runtime_, heap_, find_roots(image_, runtime_, heap_));
  }

  [[nodiscard]] Verdict verdict(Addr block) const { return reach_.verdict(heap_.block_at(block)); }

  FakeProcess process_;
  ModuleId libc_;
  ModuleId library_;
  bool has_symbol_ = true;
  uint64_t slabs_ = 0;
  Addr last_;
  MemoryImage image_;
  Symbols symbols_;
  RuntimeFacts runtime_;
  HeapModel heap_;
  Reachability reach_;
};

TEST_F(SecondAllocator, ItsBlocksAreTheModel) {
  const Addr small = add_slab(48, 100);
  const Addr large = add_slab(4096, 3);
  process_.poke(last_ + slab::kBitmap, 0b101);
  process_.map(kRaw, 4 * kPage);
  walk();
  EXPECT_EQ(heap_.allocator, "slab");
  EXPECT_EQ(heap_.totals.used.blocks, 102U);
  EXPECT_EQ(heap_.totals.free.bytes, 4096U);
  const Block& first = heap_.block(heap_.block_at(small + 47));
  EXPECT_EQ(first.begin(), small);
  EXPECT_EQ(first.size(), 48U);
  EXPECT_EQ(heap_.block(heap_.block_at(small + 48)).begin(), small + 48);
  EXPECT_EQ(heap_.block(heap_.block_at(large + 4096)).state(), BlockState::Binned);
  EXPECT_EQ(heap_.block(heap_.block_at(kRaw)).state(), BlockState::Mapping);
  EXPECT_FALSE(heap_.block_at(last_).valid()) << "a slab's header is nobody's block";
}

TEST_F(SecondAllocator, VerdictsAreRight) {
  const Addr object = add_slab(64, 8);
  process_.poke(FakeProcess::kProgramData, object);  // a global names the first
  process_.poke(object + 8, object + 64);            // which names the second
  process_.poke(object + 3 * 64, object + 4 * 64);   // nobody names the fourth, it the fifth
  process_.poke(FakeProcess::kProgramData + 8, object + 6 * 64 + 24);  // into the seventh
  walk();
  EXPECT_EQ(verdict(object), Verdict::Reachable);
  EXPECT_EQ(verdict(object + 64), Verdict::Reachable);
  EXPECT_EQ(verdict(object + 2 * 64), Verdict::Definite);
  EXPECT_EQ(verdict(object + 3 * 64), Verdict::Definite);
  EXPECT_EQ(verdict(object + 4 * 64), Verdict::Indirect);
  EXPECT_EQ(verdict(object + 6 * 64), Verdict::Possible);
}

// The list of slabs leads to the first slab of all, whose first object looks like its neighbour.
TEST_F(SecondAllocator, ItsOwnStateKeepsNothing) {
  const Addr object = add_slab(64, 2);
  process_.poke(object - 8, object);
  process_.poke(object - 16, object + 64);
  walk();
  EXPECT_EQ(verdict(object), Verdict::Definite);
  EXPECT_EQ(verdict(object + 64), Verdict::Definite);
}

TEST_F(SecondAllocator, FreeBlocksHoldNothing) {
  const Addr object = add_slab(64, 2);
  process_.poke(FakeProcess::kProgramData, object);
  process_.poke(object, object + 64);
  process_.poke(last_ + slab::kBitmap, 0b10);
  walk();
  EXPECT_EQ(verdict(object + 64), Verdict::Definite);
}

TEST_F(SecondAllocator, DamageIsANote) {
  add_slab(64, 2);
  process_.poke(last_, uint64_t{1});
  walk();
  EXPECT_EQ(heap_.totals.used.blocks, 0U);
  ASSERT_EQ(heap_.notes.size(), 1U);
  EXPECT_THAT(heap_.notes[0].text, HasSubstr("a slab is damaged"));
}

TEST_F(SecondAllocator, WithoutItsSymbolItIsNamedByItsFile) {
  has_symbol_ = false;
  add_slab(64, 2);
  try {
    walk();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("this process uses libslab.so's malloc"));
  }
}

}  // namespace
}  // namespace heapscan
