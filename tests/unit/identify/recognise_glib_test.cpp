#include "identify/families/rounds.h"
#include "identify/recognisers/recognisers.h"

#include <array>

#include "identify/recognisers/block_types.h"
#include "unit/identify/recogniser_world.h"

namespace heapscan {
namespace {

constexpr uint64_t kObject = 20 << 2;

// GObject's type system as GLib lays it out: the fundamental types, and what derives from them.
class FakeTypes {
 public:
  struct Type {
    uint64_t id = 0;
    Addr node;
    Addr data;
    Addr class_struct;
    std::vector<uint64_t> supers;  // itself, its parent, ...
  };

  // `references`: bytes of a node in front of what all versions have.
  explicit FakeTypes(uint64_t references = 8) : references_(references) {
    static constexpr std::array<const char*, 22> kNames = {
        "",       "void",   "GInterface", "gchar",   "guchar",     "gboolean",
        "gint",   "guint",  "glong",      "gulong",  "gint64",     "guint64",
        "GEnum",  "GFlags", "gfloat",     "gdouble", "gchararray", "gpointer",
        "GBoxed", "GParam", "GObject",    "GVariant"};
    table_ = world_.data(std::vector<uint64_t>(256));
    quarks_ = world_.program.block(16384);
    quarks_variable_ = world_.data({7, quarks_.value});
    for (uint64_t k = 1; k < kNames.size(); ++k) {
      const Addr node = world_.program.block(8 + references_ + 64 + 16) + 8;
      world_.program.poke(table_ + 8 * k, node);
      fundamental_[k].id = k << 2;
      fundamental_[k].node = node;
      fill_node(fundamental_[k], quark(kNames[k]));
    }
    make_class(fundamental_[20], 24, 0);
  }

  // Names are constants of the module unless told otherwise.
  uint64_t quark(std::string_view name, bool in_heap = false) {
    Addr text = in_heap ? world_.program.block(name.size() + 1) : world_.string(name);
    if (in_heap) {
      for (size_t i = 0; i < name.size(); i += 8) {
        uint64_t word = 0;
        std::memcpy(&word, name.data() + i, std::min<size_t>(8, name.size() - i));
        world_.program.poke(text + i, word);
      }
    }
    world_.program.poke(quarks_ + 8 * ++last_quark_, text);
    return last_quark_;
  }

  void fill_node(Type& type, uint64_t quark) {
    if (type.supers.empty()) type.supers = {type.id};
    const Addr members = type.node + references_;
    world_.program.poke(members + 8, (type.supers.size() - 1) << 32);
    world_.program.poke(members + 32, quark);
    for (size_t i = 0; i < type.supers.size(); ++i)
      world_.program.poke(members + 64 + 8 * i, type.supers[i]);
  }

  void make_class(Type& type, uint64_t instance_size, uint64_t private_size) {
    type.class_struct = world_.program.block(136);
    world_.program.poke(type.class_struct, type.id);
    type.data = world_.program.block(80);
    world_.program.poke(type.data + 56, type.class_struct);
    world_.program.poke(type.data + 64, instance_size | private_size << 16);
    world_.program.poke(type.node + references_ + 24, type.data);
  }

  void set_children(const Type& parent, const std::vector<uint64_t>& ids) {
    const Addr list = world_.program.block(8 * ids.size());
    for (size_t i = 0; i < ids.size(); ++i) world_.program.poke(list + 8 * i, ids[i]);
    const Addr members = parent.node + references_;
    world_.program.poke(members + 8, (parent.supers.size() - 1) << 32 | ids.size());
    world_.program.poke(members + 16, list);
  }

  // A type below `parent`, which does not know of it yet.
  Type derive(const Type& parent, uint64_t quark, uint64_t instance_size, uint64_t private_size) {
    Type type;
    type.node = world_.program.block(references_ + 64 + 8 * (parent.supers.size() + 2));
    type.id = type.node.value;
    type.supers = parent.supers;
    type.supers.insert(type.supers.begin(), type.id);
    fill_node(type, quark);
    make_class(type, instance_size, private_size);
    return type;
  }

  Type& object_type() { return fundamental_[20]; }

  Addr instance(const Type& type, uint64_t size, uint64_t private_size) {
    const Addr block = world_.program.block(size);
    world_.program.poke(block + private_size, type.class_struct);
    return block;
  }

  std::vector<std::optional<Evidence>> ask(const std::vector<std::vector<Addr>>& families) {
    for (const auto& members : families) world_.family(members);
    const auto found = recognise_glib(world_.inputs(), families.size());
    std::vector<std::optional<Evidence>> rows;
    for (size_t i = 0; i < families.size(); ++i) rows.push_back(found[FamilyId(i)]);
    return rows;
  }
  std::string label(Addr block) {
    const auto evidence = ask({{block}}).front();
    return evidence ? evidence->label : "";
  }

  const uint64_t references_;
  RecogniserWorld world_;
  Addr table_;
  Addr quarks_;
  Addr quarks_variable_;
  uint64_t last_quark_ = 0;
  std::array<Type, 22> fundamental_;
};

class RecogniseGlib : public testing::Test, protected FakeTypes {};

TEST_F(RecogniseGlib, AnInstanceIsNamedByItsClass) {
  const Type info = derive(object_type(), quark("GFileInfo"), 40, 0);
  const Type output = derive(object_type(), quark("GOutputStream"), 32, 16);
  const Type memory = derive(output, quark("GMemoryOutputStream"), 40, 64);
  set_children(object_type(), {info.id, output.id});
  set_children(output, {memory.id});
  const auto found = ask({{instance(info, 40, 0), instance(info, 40, 0)},
                          {instance(memory, 104, 64)},
                          {instance(object_type(), 24, 0)}});
  ASSERT_TRUE(found[0] && found[1] && found[2]);
  EXPECT_EQ(found[0]->label, "GFileInfo");
  EXPECT_EQ(found[0]->detail, "+0x0 -> GObject class GFileInfo");
  EXPECT_EQ(found[0]->agreeing, 2U);
  EXPECT_FALSE(found[0]->quotes_heap);
  EXPECT_EQ(found[1]->label, "GMemoryOutputStream");
  EXPECT_EQ(found[1]->detail, "+0x40 -> GObject class GMemoryOutputStream");
  EXPECT_EQ(found[2]->label, "GObject");
}

TEST(RecogniseGlibTypes, LaterVersionsHaveNodesThatCountNoReferences) {
  FakeTypes fake(0);
  const auto info = fake.derive(fake.object_type(), fake.quark("GFileInfo"), 40, 16);
  fake.set_children(fake.object_type(), {info.id});
  EXPECT_EQ(fake.label(fake.instance(info, 56, 16)), "GFileInfo");
}

TEST_F(RecogniseGlib, ClassesOfNumbersHaveNoInstances) {
  Type& flags = fundamental_[13];
  make_class(flags, 24, 0);
  EXPECT_EQ(label(instance(flags, 24, 0)), "");
}

TEST_F(RecogniseGlib, ABlockThatOnlyPointsAtAClassIsNoInstance) {
  const Type info = derive(object_type(), quark("GFileInfo"), 40, 16);
  set_children(object_type(), {info.id});
  const auto found = ask({{instance(info, 88, 16)},  // too long
                          {instance(info, 40, 16)},  // too short
                          {instance(info, 56, 0)},   // at another place
                          {instance(info, 56, 16)}});
  for (size_t i = 0; i < 3; ++i) EXPECT_FALSE(found[i]) << i;
  EXPECT_TRUE(found[3]);
}

TEST_F(RecogniseGlib, SamplesHaveToAgree) {
  const Type info = derive(object_type(), quark("GFileInfo"), 40, 0);
  const Type task = derive(object_type(), quark("GTask"), 40, 0);
  set_children(object_type(), {info.id, task.id});
  EXPECT_FALSE(ask({{instance(info, 40, 0), instance(task, 40, 0)}}).front());
}

TEST_F(RecogniseGlib, InstancesOfDifferentClassesAreTakenApart) {
  const Type info = derive(object_type(), quark("GFileInfo"), 40, 0);
  const Type task = derive(object_type(), quark("GTask"), 40, 0);
  set_children(object_type(), {info.id, task.id});
  const Addr first = instance(info, 40, 0);
  const Addr second = instance(task, 40, 0);
  const Addr third = instance(info, 40, 0);
  world_.family({first, second, third});
  const Inputs& inputs = world_.inputs();
  const Families apart = tell_apart(inputs.image, inputs.symbols, inputs.runtime, inputs.heap,
                                    inputs.roots, inputs.reach, inputs.families);
  const auto of = [&](Addr block) { return apart.of(inputs.heap.block_at(block)); };
  EXPECT_EQ(apart.rows.size(), 2U);
  EXPECT_EQ(of(first), of(third));
  EXPECT_NE(of(first), of(second));
}

TEST_F(RecogniseGlib, WhatTheTypeSystemKeepsIsNamedToo) {
  const Type info = derive(object_type(), quark("GFileInfo"), 40, 0);
  set_children(object_type(), {info.id});
  const auto found = ask({{info.class_struct}, {info.node, object_type().node - 8}, {info.data}});
  ASSERT_TRUE(found[0] && found[1] && found[2]);
  EXPECT_EQ(found[0]->label, "class struct of GFileInfo");
  EXPECT_EQ(found[1]->label, "struct _TypeNode");
  EXPECT_EQ(found[2]->label, "union _TypeData");
}

TEST_F(RecogniseGlib, NamesThatWereMadeAtRunTimeAreContent) {
  const Type shape = derive(object_type(), quark("__main__+Secret", true), 40, 0);
  set_children(object_type(), {shape.id});
  const auto found = ask({{instance(shape, 40, 0)}, {shape.class_struct}});
  ASSERT_TRUE(found[0] && found[1]);
  EXPECT_EQ(found[0]->label, "GObject __main__+Secret");
  Identities identities;
  for (const auto& evidence : found) identities.rows.push_back({evidence->label, {}, {*evidence}});
  const Identities plain = without_heap_names(std::move(identities));
  EXPECT_EQ(plain.rows[ClusterId(0)].label, "GObject");
  EXPECT_EQ(plain.rows[ClusterId(1)].label, "class struct");
  for (const Identity& identity : plain.rows) EXPECT_EQ(identity.evidence.front().detail, "");
}

TEST_F(RecogniseGlib, WithoutTheTableOfFundamentalTypesNothingIsSaid) {
  const Type info = derive(object_type(), quark("GFileInfo"), 40, 0);
  set_children(object_type(), {info.id});
  world_.program.poke(table_ + 8 * 12, uint64_t{0});
  EXPECT_EQ(label(instance(info, 40, 0)), "");
}

TEST_F(RecogniseGlib, WithoutTheTableOfQuarksNothingIsSaid) {
  const Type info = derive(object_type(), quark("GFileInfo"), 40, 0);
  set_children(object_type(), {info.id});
  world_.program.poke(quarks_variable_ + 8, world_.program.block(16384));
  EXPECT_EQ(label(instance(info, 40, 0)), "");
}

TEST_F(RecogniseGlib, ATableOfQuarksThatIsCutOffIsNone) {
  const Type info = derive(object_type(), quark("GFileInfo"), 40, 0);
  set_children(object_type(), {info.id});
  const Addr cut = world_.program.block(8 * 16);
  for (uint64_t i = 1; i < 16; ++i) world_.program.poke(cut + 8 * i, world_.string("GObject"));
  world_.program.poke(quarks_variable_ + 8, cut);
  EXPECT_EQ(label(instance(info, 40, 0)), "");
}

TEST_F(RecogniseGlib, AQuarkThatTheTableDoesNotHaveLeavesOnlyItsTypeOut) {
  const Type info = derive(object_type(), quark("GFileInfo"), 40, 0);
  const Type strange = derive(object_type(), 0xffffffff, 56, 0);
  set_children(object_type(), {strange.id, info.id});
  const auto found = ask({{instance(strange, 56, 0)}, {instance(info, 40, 0)}});
  EXPECT_FALSE(found[0]);
  ASSERT_TRUE(found[1]);
  EXPECT_EQ(found[1]->label, "GFileInfo");
}

TEST_F(RecogniseGlib, TypesThatAreTheirOwnChildrenEndTheWalk) {
  const Type output = derive(object_type(), quark("GOutputStream"), 40, 0);
  const Type memory = derive(output, quark("GMemoryOutputStream"), 56, 0);
  set_children(object_type(), {output.id, output.id, kObject, memory.id});
  set_children(output, {memory.id, output.id, kObject});
  set_children(memory, {output.id, memory.id});
  const auto found = ask({{instance(output, 40, 0)}, {instance(memory, 56, 0)}});
  ASSERT_TRUE(found[0] && found[1]);
  EXPECT_EQ(found[0]->label, "GOutputStream");
  EXPECT_EQ(found[1]->label, "GMemoryOutputStream");
}

TEST_F(RecogniseGlib, AListOfChildrenLongerThanItsBlockIsNotRead) {
  const Type info = derive(object_type(), quark("GFileInfo"), 40, 0);
  set_children(object_type(), {info.id});
  world_.program.poke(object_type().node + 16, uint64_t{0xffffffff});
  EXPECT_EQ(label(instance(info, 40, 0)), "");
}

TEST_F(RecogniseGlib, AnErrorHasADomainAndAMessage) {
  const uint64_t errors = quark("g-io-error-quark");
  const uint64_t others = quark("g-object-weak-refs");
  const Addr message = world_.program.block(40);
  world_.program.poke(message, 0x656c69662073694e);
  const Addr empty = world_.program.block(40);
  const auto error = [&](uint64_t domain, uint64_t text) {
    const Addr block = world_.program.block(24);
    world_.program.poke(block, uint64_t{1} << 32 | domain);
    world_.program.poke(block + 8, text);
    return block;
  };
  const auto found = ask({{error(errors, message.value)},
                          {error(others, message.value)},
                          {error(errors, empty.value)},
                          {error(errors, message.value + 8)},
                          {error(0xffffffff, message.value)}});
  ASSERT_TRUE(found[0]);
  EXPECT_EQ(found[0]->label, "GError");
  for (size_t i = 1; i < found.size(); ++i) EXPECT_FALSE(found[i]) << i;
}

// As g_ptr_array_new() makes it, with room for 16 pointers.
Addr make_pointer_array(FakeProgram& program) {
  const Addr pointers = program.block(128);
  const Addr block = program.block(40);
  program.poke(block, pointers);
  program.poke(block + 8, uint64_t{16} << 32 | 2);
  program.poke(block + 16, 1);
  return block;
}

TEST_F(RecogniseGlib, ContainersAreKnownWhereGlibIsInUse) {
  const auto found = ask({{make_pointer_array(world_.program)}});
  ASSERT_TRUE(found.front());
  EXPECT_EQ(found.front()->label, "GPtrArray");
  EXPECT_EQ(found.front()->kind, EvidenceKind::Container);
  EXPECT_FALSE(found.front()->unites);
}

TEST(RecogniseGlibContainers, AreUnknownInOtherPrograms) {
  RecogniserWorld world;
  world.family({make_pointer_array(world.program)});
  EXPECT_FALSE(recognise_glib(world.inputs(), 1)[FamilyId(0)]);
}

// Whatever one word of the type system says, an object is given its own name or none.
TEST_F(RecogniseGlib, DamageNeverGivesAWrongName) {
  struct Place {
    const char* what;
    uint64_t words;
    Addr FakeTypes::Type::*block;
  };
  static constexpr Place kPlaces[] = {
      {"node", 12, &Type::node}, {"data", 10, &Type::data}, {"class", 2, &Type::class_struct}};
  for (const Place& place : kPlaces) {
    for (uint64_t i = 0; i < place.words; ++i) {
      for (int kind = 0; kind < 5; ++kind) {
        SCOPED_TRACE(std::string(place.what) + ", word " + std::to_string(i) + ", value " +
                     std::to_string(kind));
        FakeTypes fake;
        const Type info = fake.derive(fake.object_type(), fake.quark("GFileInfo"), 40, 0);
        const Type task = fake.derive(fake.object_type(), fake.quark("GTask"), 56, 0);
        fake.set_children(fake.object_type(), {info.id, task.id});
        const uint64_t values[] = {0, ~uint64_t{0}, info.node.value, task.class_struct.value,
                                   0x4141414141414141};
        fake.world_.program.poke(info.*place.block + 8 * i, values[kind]);
        const auto found = fake.ask({{fake.instance(info, 40, 0)}, {fake.instance(task, 56, 0)}});
        if (found[0]) {
          EXPECT_EQ(found[0]->label, "GFileInfo");
        }
        ASSERT_TRUE(found[1]);
        EXPECT_EQ(found[1]->label, "GTask");
      }
    }
  }
}

}  // namespace
}  // namespace heapscan
