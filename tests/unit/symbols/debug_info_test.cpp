#include "heapscan/symbols/debug_info.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "heapscan/base/error.h"
#include "heapscan/elf/open_file.h"
#include "heapscan/image/image.h"
#include "support/temp_folder.h"

namespace heapscan {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uint64_t kBias = 0x7f0000000000;

// Modules at their places, and what is known about them.
class Program {
 public:
  explicit Program(const std::vector<std::string>& paths,
                   const SymbolOptions& options = {.debug_dirs = {}}) {
    ImageBuilder builder;
    for (const std::string& path : paths) {
      OpenedFile opened = open_regular_file(path);
      auto file = ElfFile::open(std::move(opened.file), path, notes);
      HS_CHECK(file.has_value());
      Module module;
      module.path = path;
      module.bias = kBias + ids.size() * 0x100000000;
      module.build_id = file->build_id();
      for (const ElfSegment& s : file->segments()) {
        if (s.type == PT_TLS) module.tls = TlsSegment{s.memory_size, s.align};
        if (s.type != PT_LOAD) continue;
        module.segments.push_back({AddrRange::sized(module.at_run_time(s.address), s.memory_size),
                                   (s.flags & PF_W) != 0, (s.flags & PF_X) != 0});
      }
      ids.push_back(builder.add_module(module));
      files.push_back(std::move(file));
    }
    image = builder.freeze();
    info = open_debug_info(image, files, options);
    types = info.read_types(image, ids);
    symbols = load_symbols(image, files, info);
  }

  [[nodiscard]] std::vector<std::string> members_of(std::string_view name) const {
    const auto found = types.named(name);
    if (found.size() != 1) return {std::to_string(found.size()) + " types"};
    return members_of(found[0]);
  }
  [[nodiscard]] std::vector<std::string> members_of(TypeId id) const {
    std::vector<std::string> out;
    for (const Member& member : types.members(id)) {
      out.push_back(std::to_string(member.offset) + " " + types.spelled(member.type) + " " +
                    (member.is_base ? "(base)" : member.name) +
                    (member.is_bit_field ? " (bits)" : ""));
    }
    return out;
  }
  [[nodiscard]] const Variable* variable(std::string_view name) const {
    for (const Variable& variable : types.variables()) {
      if (variable.name == name) return &variable;
    }
    return nullptr;
  }
  [[nodiscard]] std::string type_of(std::string_view name) const {
    const Variable* const found = variable(name);
    return found == nullptr ? "no variable" : types.spelled(found->type);
  }

  std::vector<ModuleId> ids;
  ModuleFiles files;
  Notes notes;
  MemoryImage image;
  DebugInfo info;
  Types types;
  Symbols symbols;
};

class SessionTest : public testing::TestWithParam<const char*> {};

TEST_P(SessionTest, MembersAreWhereTheCompilerPutThem) {
  const Program program({GetParam()});
  EXPECT_THAT(program.types.notes(), IsEmpty());
  EXPECT_THAT(
      program.members_of("session"),
      ElementsAre("0 struct session * next", "8 struct queue * pending", "16 char [16] name",
                  "32 unsigned int state (bits)", "32 unsigned int flags (bits)", "40 union {...} ",
                  "48 function * handler", "56 point [2][3] corners", "104 point * watched"));
  EXPECT_THAT(program.members_of("point"), ElementsAre("0 int x", "4 int y"));
  const TypeId session = program.types.named("session")[0];
  EXPECT_EQ(program.types.type(session).size, 112U);
  EXPECT_THAT(program.members_of(program.types.members(session)[5].type),
              ElementsAre(testing::AnyOf("0 long int number", "0 long number"), "0 double real"));
}

TEST_P(SessionTest, ADeclarationIsResolvedByAnotherUnit) {
  const Program program({GetParam()});
  const auto session = program.types.named("session");
  ASSERT_THAT(session, SizeIs(1)) << "the same struct of two units is one type";
  const Member& pending = program.types.members(session[0])[1];
  const TypeId queue = program.types.type(pending.type).target;
  EXPECT_THAT(program.members_of(queue),
              ElementsAre("0 int length", "8 struct queue * self", "16 struct item [] items"));
  EXPECT_EQ(program.types.type(queue).size, 16U);
}

TEST_P(SessionTest, VariablesHaveTheirTypesAndPlaces) {
  const Program program({GetParam()});
  EXPECT_EQ(program.type_of("sessions"), "struct session *");
  EXPECT_EQ(program.type_of("origin"), "point");
  EXPECT_EQ(program.type_of("only"), "struct queue");
  EXPECT_EQ(program.type_of("background"), "enum color");
  EXPECT_THAT(program.type_of("run_sessions::calls"), testing::AnyOf("long int", "long"));
  for (const char* name : {"sessions", "origin", "background"}) {
    const Variable* const variable = program.variable(name);
    ASSERT_NE(variable, nullptr) << name;
    EXPECT_EQ(variable->address, program.symbols.address_of(ModuleId(0), name));
  }
  const Variable* const current = program.variable("current");
  ASSERT_NE(current, nullptr);
  EXPECT_TRUE(current->is_thread_local);
  EXPECT_EQ(current->address.value, program.symbols.tls_offset_of(ModuleId(0), "current"));
}

// RED and GREEN are 0 and 1; LOUD and SHRILL are 2 and 4, together 6.
TEST_P(SessionTest, EnumerationsKnowHowManyValuesTheyHave) {
  const Program program({GetParam()});
  const auto values = [&](std::string_view name) {
    const Variable* const found = program.variable(name);
    return found == nullptr ? 0 : program.types.type(found->type).count;
  };
  EXPECT_EQ(values("background"), 2U);
  EXPECT_EQ(values("volume"), 8U);
}

TEST_P(SessionTest, CodeHasLines) {
  const Program program({GetParam()});
  const auto begin = program.symbols.address_of(ModuleId(0), "run_sessions");
  const auto other = program.symbols.address_of(ModuleId(0), "make_queue");
  ASSERT_TRUE(begin && other);
  const auto lines = program.info.lines_of(std::vector<Addr>{*other, Addr(16), *begin});
  ASSERT_THAT(lines, SizeIs(3));
  ASSERT_TRUE(lines[0] && lines[2]);
  EXPECT_FALSE(lines[1]);
  EXPECT_THAT(lines[0]->file, EndsWith("subjects/queue.c"));
  EXPECT_THAT(lines[0]->line, testing::AnyOf(15U, 16U));
  EXPECT_THAT(lines[2]->file, EndsWith("subjects/session.c"));
  EXPECT_EQ(lines[2]->line, 11U);
}

INSTANTIATE_TEST_SUITE_P(Dwarf, SessionTest, testing::Values(SESSION, SESSION4, WITHOUT_TABLE));

class ParserTest : public testing::TestWithParam<const char*> {};

TEST_P(ParserTest, NamesAreQualified) {
  const Program program({GetParam()});
  EXPECT_THAT(program.types.notes(), IsEmpty());
  EXPECT_THAT(program.members_of("text::Parser"),
              ElementsAre("0 text::Node (base)", "16 text::Parser::Token * tokens_",
                          "24 text::Pool<text::Parser::Token, 4> * pool_", "32 function * visit_",
                          "40 member pointer member_"));
  EXPECT_THAT(program.members_of("text::Node"),
              ElementsAre(testing::HasSubstr("0 function ** _vptr"),
                          testing::AnyOf("8 long int line", "8 long line")));
  EXPECT_THAT(program.members_of("text::Parser::Token"),
              ElementsAre("0 char kind", "8 text::Parser::Token * next"));
  EXPECT_THAT(program.members_of("text::Pool<text::Parser::Token, 4>"),
              ElementsAre("0 text::Parser::Token [4] items",
                          "64 text::Pool<text::Parser::Token, 4> * next"));
  EXPECT_THAT(program.types.named("text::(anonymous namespace)::Hidden"), SizeIs(1));
}

TEST_P(ParserTest, VariablesOfClassesAndFunctionsAreFound) {
  const Program program({GetParam()});
  EXPECT_EQ(program.type_of("parser"), "text::Parser");
  EXPECT_EQ(program.type_of("pool"), "text::Pool<text::Parser::Token, 4>");
  EXPECT_EQ(program.type_of("text::Parser::first"), "text::Parser *");
  EXPECT_EQ(program.type_of("text::(anonymous namespace)::hidden"),
            "text::(anonymous namespace)::Hidden");
  EXPECT_EQ(program.type_of("text::Parser::count::calls"), "int");
  EXPECT_EQ(program.type_of("text::Parser::count::local"), "text::Parser::count::Local");
}

INSTANTIATE_TEST_SUITE_P(Dwarf, ParserTest,
                         testing::Values(PARSER, PARSER_UNITS, PARSER_PACKED, COMMON_TYPES));

TEST(DebugInfoTest, ASeparateDebugFileIsFound) {
  const Program program({STRIPPED});
  EXPECT_TRUE(program.info.describes(ModuleId(0)));
  EXPECT_THAT(program.types.named("session"), SizeIs(1));
  EXPECT_EQ(program.type_of("run_sessions::calls"), "long int");
}

TEST(DebugInfoTest, AMissingFileOfCommonTypesIsANote) {
  const TempFolder folder;
  const std::string alone = folder / "libshared1.so";
  std::filesystem::copy_file(COMMON_TYPES, alone);
  const Program program({alone});
  ASSERT_THAT(program.info.notes(), SizeIs(1));
  EXPECT_THAT(program.info.notes()[0].text, testing::HasSubstr("common.dwz"));
}

TEST(DebugInfoTest, WhatWasUnpackedServesAgain) {
  const Program program({PARSER_PACKED});
  const Types again = program.info.read_types(program.image, program.ids);
  ASSERT_GT(again.records().size(), 0U);
  EXPECT_EQ(again.records().size(), program.types.records().size());
}

TEST(DebugInfoTest, PackedSymbolsAreRead) {
  const Program program({PACKED_SYMBOLS});
  const Program whole({SESSION});
  EXPECT_TRUE(program.symbols.address_of(ModuleId(0), "origin"));
  EXPECT_EQ(program.symbols.address_of(ModuleId(0), "origin"),
            whole.symbols.address_of(ModuleId(0), "origin"));
}

// A folder laid out as a server's tree serves as one.
TEST(DebugInfoTest, ServersAreAskedOnlyWhenNamed) {
  if (void* const library = ::dlopen("libdebuginfod.so.1", RTLD_LAZY); library == nullptr)
    GTEST_SKIP() << "libdebuginfod is not installed";
  const TempFolder folder;
  const std::string alone = folder / "libsession.so";
  std::filesystem::copy_file(STRIPPED, alone);
  Notes notes;
  const std::string id = ElfFile::open(Fd::open_read(alone), alone, notes)->build_id();
  const std::string served = folder / ("server/buildid/" + id + "/debuginfo");
  std::filesystem::create_directories(std::filesystem::path(served).parent_path());
  std::filesystem::copy_file(SESSION, served);
  ::setenv("DEBUGINFOD_CACHE_PATH", (folder / "cache").c_str(), 1);

  ::setenv("DEBUGINFOD_URLS", "", 1);
  EXPECT_THAT(Program({alone}).types.named("session"), IsEmpty());
  ::setenv("DEBUGINFOD_URLS", ("file://" + (folder / "server")).c_str(), 1);
  EXPECT_THAT(Program({alone}, {.debug_dirs = {}, .debuginfod = false}).types.named("session"),
              IsEmpty());
  EXPECT_THAT(Program({alone}).types.named("session"), SizeIs(1));
  ::unsetenv("DEBUGINFOD_URLS");
}

TEST(DebugInfoTest, OnlyWhatWasAskedForIsRead) {
  const Program program({SESSION, PARSER});
  const ModuleId second[] = {ModuleId(1)};
  const Types types = program.info.read_types(program.image, second);
  EXPECT_THAT(types.named("session"), IsEmpty());
  EXPECT_THAT(types.named("text::Parser"), SizeIs(1));
  EXPECT_TRUE(std::all_of(types.variables().begin(), types.variables().end(),
                          [](const Variable& v) { return v.module == ModuleId(1); }));
}

TEST(DebugInfoTest, ModulesShareTypesAndKeepVariables) {
  const Program program({SESSION, SESSION4});
  EXPECT_THAT(program.types.named("session"), SizeIs(1));
  EXPECT_THAT(program.types.named("queue"), SizeIs(1));
  EXPECT_EQ(std::count_if(program.types.variables().begin(), program.types.variables().end(),
                          [](const Variable& v) { return v.name == "sessions"; }),
            2);
}

TEST(DebugInfoTest, WithoutDwarfNothingIsDescribed) {
  const DebugInfo none;
  EXPECT_FALSE(none.describes(ModuleId(0)));
  EXPECT_TRUE(none.read_types(MemoryImage(), {}).empty());
  const auto lines = none.lines_of(std::vector<Addr>{Addr(1)});
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_FALSE(lines[0]);
}

}  // namespace
}  // namespace heapscan
