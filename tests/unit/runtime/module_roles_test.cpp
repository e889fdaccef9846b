// One module, one role, whatever it defines.

#include "heapscan/runtime/runtime_facts.h"

#include <gmock/gmock.h>

#include "heapscan/symbols/symbols.h"
#include "support/fake_process.h"

namespace heapscan {
namespace {

constexpr uint64_t kApart = 0x100000;

class ModuleRolesTest : public testing::Test {
 protected:
  ModuleId add(const std::string& path) {
    const Addr begin = Addr(0x7ffff7000000) + kApart * count_++;
    return process_.add_module(path, begin, 0x3000);
  }
  void define(ModuleId module, const char* name) { defined_.push_back({module, name}); }

  ModuleRoles roles() {
    const MemoryImage image = process_.build();
    SymbolsBuilder builder(image);
    for (const auto& [module, name] : defined_) {
      builder.add(module, {.name = name,
                           .address = image.modules()[module].range.begin(),
                           .size = 1,
                           .exported = true});
    }
    return find_module_roles(image, builder.freeze());
  }

  FakeProcess process_;
  uint64_t count_ = 0;
  std::vector<std::pair<ModuleId, const char*>> defined_;
};

TEST_F(ModuleRolesTest, NamesTell) {
  const std::pair<const char*, ModuleRole> files[] = {
      {"/lib/libc.so.6", ModuleRole::Glibc},           {"/lib/libc-2.31.so", ModuleRole::Glibc},
      {"/lib/ld-musl-x86_64.so.1", ModuleRole::Musl},  {"/lib/ld-2.31.so", ModuleRole::Loader},
      {"/lib/libm.so.6", ModuleRole::Support},         {"/lib/libgcc_s.so.1", ModuleRole::Support},
      {"/lib/libstdc++.so.6", ModuleRole::CppLibrary}, {"/lib/libcurl.so.4", ModuleRole::Other}};
  std::vector<ModuleId> ids;
  for (const auto& [path, role] : files) ids.push_back(add(path));
  const ModuleRoles found = roles();
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_TRUE(found.is(ids[i], files[i].second)) << files[i].first;
    EXPECT_EQ(found.is_system_library(ids[i]), files[i].second != ModuleRole::Other);
  }
  EXPECT_EQ(found.c_library, ids[0]);
}

TEST_F(ModuleRolesTest, ExportsTellWhateverTheName) {
  const ModuleId libc = add("/opt/x.so");
  define(libc, "gnu_get_libc_version");
  define(libc, "__libc_start_main");
  define(process_.loader, "_rtld_global");
  const ModuleRoles found = roles();
  EXPECT_TRUE(found.is(libc, ModuleRole::Glibc));
  EXPECT_EQ(found.c_library, libc);
  EXPECT_TRUE(found.is(process_.loader, ModuleRole::Loader));
  EXPECT_EQ(found.loader, process_.loader);
}

TEST_F(ModuleRolesTest, AProgramWithAMallocOfItsOwnIsNoSystemLibrary) {
  for (const char* name : {"malloc", "free", "gnu_get_libc_version", "__libc_start_main"})
    define(process_.program, name);
  const ModuleRoles found = roles();
  EXPECT_TRUE(found.is(process_.program, ModuleRole::Program));
  EXPECT_FALSE(found.is_system_library(process_.program));
  EXPECT_FALSE(found.is_c_library_or_loader(process_.program));
  EXPECT_EQ(found.c_library, process_.program) << "a static program is its own C library";
}

TEST_F(ModuleRolesTest, ALibraryWithAMallocIsAnyOther) {
  const ModuleId library = add("/lib/libtool.so");
  define(library, "malloc");
  EXPECT_TRUE(roles().is(library, ModuleRole::Other));
}

}  // namespace
}  // namespace heapscan
