#include "identify/families/rounds.h"
#include "identify/recognisers/block_types.h"
#include "identify/recognisers/recognisers.h"
#include "unit/identify/recogniser_world.h"

namespace heapscan {
namespace {

TEST(RecogniseClass, TheFirstWordNamesTheClassWithoutSymbols) {
  RecogniserWorld world;
  const Addr parser = world.vtable("6Parser");
  std::vector<Addr> blocks;
  for (int i = 0; i < 3; ++i) {
    blocks.push_back(world.program.block(40));
    world.program.poke(blocks.back(), parser);
  }
  const FamilyId id = world.family(blocks);
  const auto evidence = recognise_class(world.inputs(), id);
  ASSERT_TRUE(evidence);
  EXPECT_EQ(evidence->kind, EvidenceKind::Vtable);
  EXPECT_EQ(evidence->label, "Parser");
  EXPECT_EQ(evidence->detail, "+0x0 -> vtable for Parser");
  EXPECT_EQ(evidence->agreeing, 3U);
  EXPECT_TRUE(evidence->unites);
}

TEST(RecogniseClass, ASecondaryVtableIsNoBeginOfAnObject) {
  RecogniserWorld world;
  const Addr block = world.program.block(40);
  world.program.poke(block, world.vtable("6Parser", -16));
  const FamilyId id = world.family({block});
  EXPECT_FALSE(recognise_class(world.inputs(), id));
}

TEST(RecogniseClass, OfSeveralVtablesTheFirstWins) {
  RecogniserWorld world;
  const Addr block = world.program.block(56);
  world.program.poke(block, world.vtable("7Derived"));
  world.program.poke(block + 16, world.vtable("7Derived", -16));
  world.program.poke(block + 32, world.vtable("6Member"));
  const FamilyId id = world.family({block});
  const auto evidence = recognise_class(world.inputs(), id);
  ASSERT_TRUE(evidence);
  EXPECT_EQ(evidence->label, "Derived");
}

TEST(RecogniseClass, DisagreeingBlocksHaveNoClass) {
  RecogniserWorld world;
  const Addr a = world.program.block(40);
  const Addr b = world.program.block(40);
  world.program.poke(a, world.vtable("1A"));
  world.program.poke(b, world.vtable("1B"));
  const FamilyId id = world.family({a, b});
  EXPECT_FALSE(recognise_class(world.inputs(), id));
}

TEST(RecogniseClass, ARepeatedVtableIsAnArray) {
  RecogniserWorld world;
  const Addr vptr = world.vtable("6Parser");
  const Addr vector = world.program.block(104);
  for (int i = 0; i < 3; ++i) world.program.poke(vector + 24 * i, vptr);
  const Addr counted = world.program.block(88);
  world.program.poke(counted, 3);
  for (int i = 0; i < 3; ++i) world.program.poke(counted + 8 + 24 * i, vptr);
  const FamilyId first = world.family({vector});
  const FamilyId second = world.family({counted});
  const Inputs& inputs = world.inputs();
  ASSERT_TRUE(recognise_class(inputs, first));
  EXPECT_EQ(recognise_class(inputs, first)->label, "array of Parser");
  ASSERT_TRUE(recognise_class(inputs, second));
  EXPECT_EQ(recognise_class(inputs, second)->label, "array of Parser");
}

TEST(RecogniseClass, WithoutTypeInformationASymbolNamesTheClass) {
  RecogniserWorld world;
  const Addr table = world.data({0, 0, FakeProgram::kCode, FakeProgram::kCode + 8});
  const Addr unnamed = world.data({0, 0, FakeProgram::kCode, FakeProgram::kCode + 8});
  world.symbol("_ZTVN3net10ConnectionE", table, 32);
  const Addr a = world.program.block(40);
  const Addr b = world.program.block(40);
  world.program.poke(a, table + 16);
  world.program.poke(b, unnamed + 16);
  const FamilyId named = world.family({a});
  const FamilyId nameless = world.family({b});
  const Inputs& inputs = world.inputs();
  ASSERT_TRUE(recognise_class(inputs, named));
  EXPECT_EQ(recognise_class(inputs, named)->label, "net::Connection");
  EXPECT_FALSE(recognise_class(inputs, nameless));
}

// A core may lack the pages of a file that the program never wrote to.
TEST(RecogniseClass, AVtableThatWasNotSavedIsKnownByItsSymbol) {
  constexpr uint64_t kConstants = 0x7f1200000000;
  ImageBuilder image_builder;
  Module module;
  module.path = "/fake/library";
  module.range = AddrRange::sized(Addr(kConstants), 0x1000);
  module.segments = {{module.range, false, false}};
  image_builder.add_module(module);
  const MemoryImage image = image_builder.freeze();
  SymbolsBuilder builder(image);
  builder.add(ModuleId(0), {.name = "_ZTV6Parser", .address = Addr(kConstants + 64), .size = 40});
  builder.add(ModuleId(0), {.name = "table", .address = Addr(kConstants + 128), .size = 40});
  const Symbols symbols = builder.freeze();
  const RuntimeFacts runtime;
  const HeapModel heap;
  const AddressMap addresses(image, runtime, heap);
  const auto found = class_of_vtable(image, symbols, addresses, kConstants + 80);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "Parser");
  EXPECT_FALSE(found->from_memory);
  EXPECT_FALSE(class_of_vtable(image, symbols, addresses, kConstants + 64));
  EXPECT_FALSE(class_of_vtable(image, symbols, addresses, kConstants + 144));
}

TEST(RecogniseClass, AClassIsAFamilyOfItsOwn) {
  RecogniserWorld world;
  const Addr a = world.vtable("1A");
  const Addr b = world.vtable("1B");
  std::vector<Addr> blocks;
  for (int i = 0; i < 30; ++i) {
    blocks.push_back(world.program.block(40));
    world.program.poke(blocks.back(), i == 0 ? 7 : i == 1 ? b.value : a.value);
  }
  world.family(blocks);
  const Inputs& inputs = world.inputs();
  const Families apart = tell_apart(inputs.image, inputs.symbols, inputs.runtime, inputs.heap,
                                    inputs.roots, inputs.reach, inputs.families);
  ASSERT_EQ(apart.rows.size(), 3U);
  EXPECT_EQ(apart.rows[apart.of(inputs.heap.block_at(blocks[0]))].blocks, 1U);
  EXPECT_EQ(apart.rows[apart.of(inputs.heap.block_at(blocks[1]))].blocks, 1U);
  EXPECT_EQ(apart.rows[FamilyId(0)].blocks, 28U);
  EXPECT_EQ(apart.rows[FamilyId(0)].bytes, 28 * 40U);
}

TEST(RecogniseClass, WhatOnlyLooksLikeAVtableIsNone) {
  RecogniserWorld world;
  const Addr functions =
      world.data({0, FakeProgram::kCode, FakeProgram::kCode, FakeProgram::kCode});
  const Addr long_name = world.vtable(std::string(200'000 / 8, 'a'));
  const Addr no_name = world.vtable("\x1b[31m");
  const Addr past_end(FakeProgram::kStrong + FakeProgram::kAreaSize);
  for (const Addr word : {functions, functions + 8, long_name, no_name, past_end,
                          Addr(FakeProgram::kStrong), Addr(FakeProgram::kCode + 8)}) {
    const Addr block = world.program.block(40);
    world.program.poke(block, word);
    world.family({block});
  }
  const Inputs& inputs = world.inputs();
  for (size_t i = 0; i < inputs.families.rows.size(); ++i)
    EXPECT_FALSE(recognise_class(inputs, FamilyId(i))) << i;
}

TEST(RecogniseClass, WhatASharedPointerAllocatesIsNamedAfterWhatItOwns) {
  EXPECT_EQ(label_of_class("std::_Sp_counted_ptr_inplace<net::Conn<int, (char)60>, "
                           "std::allocator<net::Conn<int, (char)60> >, "
                           "(__gnu_cxx::_Lock_policy)2>"),
            "std::make_shared<net::Conn<int, (char)60>>");
  EXPECT_EQ(label_of_class("std::_Sp_counted_ptr<Conn*, (__gnu_cxx::_Lock_policy)2>"),
            "counts of std::shared_ptr<Conn>");
  EXPECT_EQ(label_of_class("std::_Sp_counted_ptr_inplace<"), "std::_Sp_counted_ptr_inplace<");
  EXPECT_EQ(label_of_class("std::vector<int>"), "std::vector<int>");
}

}  // namespace
}  // namespace heapscan
