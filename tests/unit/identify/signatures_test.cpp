#include "identify/families/signatures.h"

#include <gtest/gtest.h>

#include "heapscan/heap/block_bitmap.h"
#include "heapscan/heap/block_memory.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

// What the first word of a 24-byte block is taken for in the first round.
TraitKind first_trait(FakeProgram::World world, Addr block) {
  const AddressMap addresses(world.image, world.runtime, world.heap);
  const BlockMemory memory(world.image, world.heap);
  BlockBitmap wanted(world.heap.blocks.size());
  for (size_t i = 0; i < world.heap.blocks.size(); ++i) wanted.set(BlockId(i));
  const BlockNumbers numbers(wanted);
  std::vector<BlockId> blocks;
  wanted.for_each([&](BlockId id) { blocks.push_back(id); });
  const auto round = find_round_pointers(world.heap, addresses, memory, blocks);
  return SignatureMaker(world.heap, addresses, memory, numbers, {{}, {}, {}, round})
      .signature_of(world.heap.block_at(block))
      .trait[0]
      .kind;
}

TEST(Signatures, WhatAnEmptyStringLeftIsNoField) {
  FakeProgram program;
  const Addr record = program.block(24);
  program.poke(record, 0x55c743660000);
  program.poke(record + 8, 3);
  EXPECT_EQ(first_trait(program.build(), record), TraitKind::Zero);
}

// It looks like what an empty string left, once in so many starts of a program.
TEST(Signatures, APointerToABlockAtARoundAddressIsAPointer) {
  FakeProgram program;
  Addr round = program.block(40);  // shifts the others to multiples of 32
  while (round.value % 0x10000 != 0) round = program.block(24);
  const Addr record = program.block(24);
  program.poke(record, round);
  program.poke(record + 8, 3);
  EXPECT_EQ(first_trait(program.build(), record), TraitKind::Block);
}

TEST(Signatures, WhatManyEmptyStringsLeftIsNoFieldThoughABlockBeginsThere) {
  FakeProgram program;
  Addr round = program.block(40);
  while (round.value % 0x10000 != 0) round = program.block(24);
  Addr last;
  for (int i = 0; i < 10; ++i) {
    last = program.block(24);
    program.poke(last, round);
    program.poke(last + 8, 3);
  }
  EXPECT_EQ(first_trait(program.build(), last), TraitKind::Zero);
}

}  // namespace
}  // namespace heapscan
