#include "heapscan/identify/root_groups.h"

#include <gtest/gtest.h>

#include "heapscan/symbols/symbols.h"
#include "support/fake_program.h"

namespace heapscan {
namespace {

// A fake program whose strong roots are data of its one module.
class RootGroupsTest : public testing::Test {
 protected:
  void symbol(std::string_view name, Addr at, uint64_t size) {
    symbols_.push_back({name, at, size});
  }
  NamedRoots name() {
    world_ = program_.build();
    SymbolsBuilder builder(world_.image);
    for (const SymbolRow& row : symbols_) builder.add(ModuleId(0), row);
    const Symbols symbols = builder.freeze();
    graph_ = build_live_graph(world_.image, world_.heap, world_.roots, world_.trace());
    return name_roots(world_.image, symbols, Types(), world_.roots, graph_);
  }
  // "owner: group" of each root pointer.
  [[nodiscard]] static std::vector<std::string> names(const NamedRoots& roots) {
    std::vector<std::string> result;
    for (const RootGroupId group : roots.groups.group_of)
      result.push_back(roots.owners[roots.groups.owner_of[group]].name + ": " +
                       roots.rows[group].name);
    return result;
  }

  FakeProgram program_;
  FakeProgram::World world_;
  LiveGraph graph_;
  std::vector<SymbolRow> symbols_;
};

using NameList = std::vector<std::string>;

TEST_F(RootGroupsTest, AllWordsOfAVariableAreOneGroup) {
  const Addr table = program_.strong_root(program_.block(24));
  program_.strong_root(program_.block(24));
  const Addr other = program_.strong_root(program_.block(24));
  symbol("table", table, 16);
  symbol("_ZN6Server8sessionsE", other, 8);
  const NamedRoots roots = name();
  EXPECT_EQ(names(roots),
            (NameList{"program: table", "program: table", "program: Server::sessions"}));
  EXPECT_EQ(roots.rows.size(), 2U);
  EXPECT_EQ(roots.groups.owners, 1U);
}

TEST_F(RootGroupsTest, WithoutSymbolsEveryWordIsAGroup) {
  program_.strong_root(program_.block(24));
  program_.strong_root(program_.block(24));
  EXPECT_EQ(names(name()), (NameList{"program: +0x8000", "program: +0x8008"}));
}

// A stripped program's table of a million pointers is not a million variables.
TEST_F(RootGroupsTest, OfVeryManyWordsWithoutSymbolsTheLastAreOneGroup) {
  const Addr block = program_.block(24);
  for (int i = 0; i < 5000; ++i) program_.strong_root(block);
  const NamedRoots roots = name();
  EXPECT_EQ(roots.rows.size(), 4097U);
  EXPECT_EQ(roots.rows[RootGroupId(4096)].name, "data from +0x10000 on");
  EXPECT_EQ(roots.groups.group_of.back(), RootGroupId(4096));
}

TEST_F(RootGroupsTest, WordsThatAreNotInMemoryBelongToTheirThreadOrTheKernel) {
  const Addr in_register = program_.block(24);
  const Addr in_kernel = program_.block(24);
  program_.add_root_word({RootKind::Register, in_register.value, 12, "rbx", false});
  program_.add_root_word({RootKind::Epoll, in_kernel.value, 0, "epoll fd 7 watching fd 12", false});
  EXPECT_EQ(names(name()), (NameList{"thread 12: registers", "kernel: epoll fd 7 watching fd 12"}));
}

}  // namespace
}  // namespace heapscan
