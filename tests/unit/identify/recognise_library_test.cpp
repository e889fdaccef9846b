#include "identify/families/rounds.h"
#include "identify/recognisers/recognisers.h"

#include "identify/recognisers/block_types.h"
#include "unit/identify/recogniser_world.h"

namespace heapscan {
namespace {

class RecogniseLibrary : public testing::Test {
 protected:
  Addr block(const std::vector<uint64_t>& words, uint64_t size = 0) {
    const Addr begin = world_.program.block(std::max<uint64_t>(size, 8 * words.size()));
    for (size_t i = 0; i < words.size(); ++i) world_.program.poke(begin + 8 * i, words[i]);
    return begin;
  }
  std::string label(Addr begin) {
    const FamilyId id = world_.family({begin});
    const auto evidence = recognise_library(world_.inputs(), id);
    return evidence ? evidence->label : "";
  }
  RecogniserWorld world_;
};

TEST_F(RecogniseLibrary, AFileHasItsMagicAndItsJumpTable) {
  const Addr file = block({0xfbad2488}, 472);
  world_.program.poke(file + 0xd8, world_.data({0, 0, FakeProgram::kCode}));
  EXPECT_EQ(label(file), "FILE");
}

TEST_F(RecogniseLibrary, AClosedFileStillHasItsJumpTable) {
  const Addr table = world_.data({0, 0, FakeProgram::kCode});
  world_.symbol("_IO_file_jumps", table, 168);
  const Addr file = block({0}, 472);
  world_.program.poke(file + 0xd8, table);
  EXPECT_EQ(label(file), "FILE");
}

TEST_F(RecogniseLibrary, AFileWithoutAJumpTableIsNone) {
  EXPECT_EQ(label(block({0xfbad2488}, 472)), "");
}

TEST_F(RecogniseLibrary, ADirectorySaysHowLongItsBufferIs) {
  EXPECT_EQ(label(block({5, 32768, 240, 48, 77}, 32768 + 48)), "DIR");
}

TEST_F(RecogniseLibrary, ABufferOfAnotherLengthIsNoDirectory) {
  EXPECT_EQ(label(block({5, 16384, 240, 48, 77}, 32768 + 48)), "");
}

TEST_F(RecogniseLibrary, ADirectoryEntryIsAsLongAsItsName) {
  // inode, offset, length 32, type 8, "a_name"
  EXPECT_EQ(label(block({1234, 99, 0x616e5f6108'0020 | uint64_t{0x6d} << 56, 0x65}, 40)),
            "struct dirent");
}

TEST_F(RecogniseLibrary, AnAddressInfoPointsAtTheAddressBehindIt) {
  const Addr info = block({uint64_t{2} << 32, uint64_t{6} << 32 | 1, 16, 0, 0, 0, 2, 0});
  world_.program.poke(info + 24, info + 48);
  EXPECT_EQ(label(info), "struct addrinfo");
}

TEST_F(RecogniseLibrary, AConverterPointsAtItsOwnStates) {
  const Addr converter = block(std::vector<uint64_t>(14, 0));
  world_.program.poke(converter, 2);
  world_.program.poke(converter + 16 + 32, converter + 16 + 40);
  world_.program.poke(converter + 64 + 32, converter + 64 + 40);
  EXPECT_EQ(label(converter), "iconv_t");
}

TEST_F(RecogniseLibrary, APatternKnowsTheLengthOfItsCompiledForm) {
  const Addr compiled = block({1, 2, 3}, 232);
  const Addr map = block({1}, 264);
  EXPECT_EQ(label(block({compiled.value, 232, 232, 7, map.value, 0, 1, 0, 0})), "regex_t");
}

TEST_F(RecogniseLibrary, APatternOfAnotherLengthIsNone) {
  const Addr compiled = block({1, 2, 3}, 296);
  EXPECT_EQ(label(block({compiled.value, 232, 232, 7, 0, 0, 1, 0, 0})), "");
}

TEST_F(RecogniseLibrary, InterfacesLieInOneBlock) {
  const Addr list = block(std::vector<uint64_t>(47, 0));
  const Addr second = list + 184;
  world_.program.poke(list, second);
  world_.program.poke(list + 8, list + 164);
  world_.program.poke(second + 8, second + 164);
  EXPECT_EQ(label(list), "struct ifaddrs");
}

TEST_F(RecogniseLibrary, AnInterfaceWithItsNameElsewhereIsNone) {
  const Addr list = block(std::vector<uint64_t>(23, 0));
  world_.program.poke(list + 8, list + 56);
  EXPECT_EQ(label(list), "");
}

TEST_F(RecogniseLibrary, ABioNamesTheFunctionsOfItsKind) {
  std::vector<uint64_t> method(12, FakeProgram::kCode + 0x40);
  method[0] = 1025;
  method[1] = world_.string("memory buffer").value;
  const Addr table = world_.data(method);
  const Addr bio = block({0, table.value, 0, 0, 0, 1}, 136);
  EXPECT_EQ(label(bio), "BIO");
}

TEST_F(RecogniseLibrary, ATableOfNoKindIsNoBios) {
  std::vector<uint64_t> method(12, FakeProgram::kCode + 0x40);
  method[0] = 0x1025;
  method[1] = world_.string("memory buffer").value;
  EXPECT_EQ(label(block({0, world_.data(method).value, 0, 0, 0, 1}, 136)), "");
}

TEST_F(RecogniseLibrary, AConnectionHasAVersionAndAMethod) {
  std::vector<uint64_t> method(12, FakeProgram::kCode + 0x40);
  method[0] = 0x10000;
  EXPECT_EQ(label(block({0x304, world_.data(method).value}, 7624)), "SSL");
}

TEST_F(RecogniseLibrary, AnUnusedEmergencyPoolIsOneFreeEntry) {
  EXPECT_EQ(label(block({72704, 0}, 72704)), "emergency pool of libstdc++");
}

TEST_F(RecogniseLibrary, AnAprNodeKnowsItsEnd) {
  const Addr node = block({0, 0, 1, 0, 0}, 8192);
  world_.program.poke(node + 24, node + 40);
  world_.program.poke(node + 32, node + 8192);
  EXPECT_EQ(label(node), "apr_memnode_t");
}

TEST_F(RecogniseLibrary, AZlibStateIsTheOneItsStreamNames) {
  const Addr stream = block(std::vector<uint64_t>(14, 0));
  const Addr state = block({stream.value, 16191}, 7152);
  world_.program.poke(stream + 56, state);
  EXPECT_EQ(label(state), "struct inflate_state");
}

TEST_F(RecogniseLibrary, AZlibStreamIsTheOneItsStateNames) {
  const Addr stream = block(std::vector<uint64_t>(15, 0));
  const Addr state = block({stream.value, 16191}, 7152);
  world_.program.poke(stream + 56, state);
  world_.program.poke(stream + 64, FakeProgram::kCode + 0x40);
  world_.program.poke(stream + 72, FakeProgram::kCode + 0x80);
  EXPECT_EQ(label(stream), "struct z_stream_s");
}

TEST_F(RecogniseLibrary, AnXmlNodeNamesItsDocument) {
  const Addr document = block({0, 9}, 176);
  world_.program.poke(document + 64, document);
  const Addr node = block({0, 1}, 120);
  world_.program.poke(node + 64, document);
  EXPECT_EQ(label(node), "struct _xmlNode");
}

TEST(RecognisePython, ObjectsLeadToTheTypeOfTypes) {
  RecogniserWorld world;
  const Addr type = world.data({1, 0, 0, world.string("type").value, 800, 40});
  world.program.poke(type + 8, type);
  std::vector<uint64_t> words{1, type.value, 0, world.string("collections.deque").value, 48};
  const Addr deque = world.data({words[0], words[1], words[2], words[3], words[4]});
  const Addr plain = world.program.block(56);
  world.program.poke(plain, 1);
  world.program.poke(plain + 8, deque);
  const Addr tracked = world.program.block(72);
  world.program.poke(tracked + 16, 2);
  world.program.poke(tracked + 24, deque);
  const Addr stranger = world.program.block(56);
  world.program.poke(stranger, 1);
  world.program.poke(stranger + 8, world.data({1, 1, 1, 1, 48}));
  const Addr table = world.program.block(88);  // a class lies behind a pointer there, no count
  world.program.poke(table + 32, plain);
  world.program.poke(table + 40, deque);
  const FamilyId a = world.family({plain});
  const FamilyId d = world.family({table});
  const FamilyId b = world.family({tracked});
  const FamilyId c = world.family({stranger});
  const Inputs& inputs = world.inputs();
  ASSERT_TRUE(recognise_python(inputs, a));
  EXPECT_EQ(recognise_python(inputs, a)->label, "Python collections.deque");
  ASSERT_TRUE(recognise_python(inputs, b));
  EXPECT_EQ(recognise_python(inputs, b)->detail, "+0x18 -> the type of Python collections.deque");
  EXPECT_FALSE(recognise_python(inputs, c));
  EXPECT_FALSE(recognise_python(inputs, d));
}

TEST(RecognisePython, ObjectsOfOneShapeAreToldApartByTheirType) {
  RecogniserWorld world;
  const Addr type = world.data({1, 0, 0, world.string("type").value, 800, 40});
  world.program.poke(type + 8, type);
  world.symbol("PyType_Type", type, 48);
  const Addr text = world.data({1, type.value, 0, world.string("str").value, 80});
  const Addr number = world.data({1, type.value, 0, world.string("int").value, 24});
  std::vector<Addr> objects;
  for (int i = 0; i < 6; ++i) {
    objects.push_back(world.program.block(56));
    world.program.poke(objects.back(), 1);
    world.program.poke(objects.back() + 8, i < 2 ? text : number);
  }
  objects.push_back(world.program.block(56));
  world.family(objects);
  const Inputs& inputs = world.inputs();
  const PythonKinds kinds(inputs);
  EXPECT_EQ(kinds.name_of(inputs.heap.block_at(objects[0])), "Python str") << "small as it is";
  EXPECT_EQ(kinds.name_of(inputs.heap.block_at(objects[6])), "");
  const Families apart = tell_apart(inputs.image, inputs.symbols, inputs.runtime, inputs.heap,
                                    inputs.roots, inputs.reach, inputs.families);
  const auto family = [&](size_t i) { return apart.of(inputs.heap.block_at(objects[i])); };
  EXPECT_EQ(family(0), family(1));
  EXPECT_NE(family(1), family(2));
  EXPECT_EQ(family(2), family(5));
}

TEST(RecognisePython, ProgramsWithoutPythonHaveNoObjects) {
  RecogniserWorld world;
  const Addr type = world.data({1, 0, 0, world.string("type").value, 800, 40});
  world.program.poke(type + 8, type);
  const Addr object = world.program.block(56);
  world.program.poke(object, 1);
  world.program.poke(object + 8, world.data({1, type.value, 0, world.string("int").value, 24}));
  world.family({object});
  EXPECT_FALSE(PythonKinds(world.inputs()).in_use());
}

TEST(RecognisePython, NamesThatLieInTheHeapCanBeLeftOut) {
  RecogniserWorld world;
  const Addr type = world.data({1, 0, 0, world.string("type").value, 800, 40});
  world.program.poke(type + 8, type);
  const Addr name = world.program.block(24);
  world.program.poke(name, 0x746e756f636341);  // "Account"
  const Addr account = world.data({1, type.value, 0, name.value, 48});
  const Addr object = world.program.block(56);
  world.program.poke(object, 1);
  world.program.poke(object + 8, account);
  const FamilyId family = world.family({object});
  const auto evidence = recognise_python(world.inputs(), family);
  ASSERT_TRUE(evidence);
  EXPECT_EQ(evidence->label, "Python Account");
  Identities identities;
  identities.rows.push_back({evidence->label, {}, {*evidence}});
  Evidence vtable;
  vtable.kind = EvidenceKind::Vtable;
  vtable.label = "Parser";
  identities.rows.push_back({"Parser", {}, {vtable}});
  const Identities plain = without_heap_names(std::move(identities));
  const Identity& first = plain.rows[ClusterId(0)];
  EXPECT_EQ(first.label, "Python object");
  EXPECT_EQ(first.evidence.front().label, "Python object");
  EXPECT_EQ(first.evidence.front().detail, "");
  EXPECT_EQ(plain.rows[ClusterId(1)].label, "Parser");
}

}  // namespace
}  // namespace heapscan
