// libdw as the judge of the reader of types: every named struct, class and union that it sees must
// be among the types, with the same size and the same members at the same places, and every variable
// with a fixed address.
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <link.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "heapscan/elf/open_file.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/debug_info.h"

namespace heapscan {
namespace {

struct OracleRecord {
  uint64_t size = 0;
  std::vector<std::pair<uint64_t, std::string>> members;
  auto operator<=>(const OracleRecord&) const = default;
};

// What libdw says, by qualified name.
class Oracle {
 public:
  // Reads one unit of so many.
  Oracle(const std::string& path, size_t one_of) : file_(Fd::open_read(path)) {
    Dwarf* const dwarf = dwarf_begin(file_.get(), DWARF_C_READ);
    if (dwarf == nullptr) return;
    Dwarf_Off next = 0;
    size_t header = 0;
    size_t units = 0;
    for (Dwarf_Off at = 0; dwarf_nextcu(dwarf, at, &next, &header, nullptr, nullptr, nullptr) == 0;
         at = next) {
      Dwarf_Die unit;
      if (units++ % one_of != 0 || dwarf_offdie(dwarf, at + header, &unit) == nullptr) continue;
      is_c_ = dwarf_srclang(&unit) == DW_LANG_C11 || dwarf_srclang(&unit) == DW_LANG_C99;
      children(unit, "");
    }
    dwarf_end(dwarf);
  }
  std::map<std::string, std::set<OracleRecord>> records;
  std::set<std::pair<uint64_t, std::string>> variables;  // addresses in the file

 private:
  void children(Dwarf_Die parent, const std::string& scope) {
    Dwarf_Die die;
    if (dwarf_child(&parent, &die) != 0) return;
    do {
      visit(die, scope);
    } while (dwarf_siblingof(&die, &die) == 0);
  }

  void visit(Dwarf_Die die, const std::string& scope) {
    const char* const name = dwarf_diename(&die);
    switch (dwarf_tag(&die)) {
      case DW_TAG_namespace:
        return children(die, scope + (name != nullptr ? name : "(anonymous namespace)") + "::");
      case DW_TAG_structure_type:
      case DW_TAG_class_type:
      case DW_TAG_union_type:
        if (name == nullptr) return;
        add_record(die, scope + name);
        return children(die, is_c_ ? scope : scope + name + "::");
      case DW_TAG_variable:
        return add_variable(die);
      default:
        return;
    }
  }

  void add_record(Dwarf_Die& die, const std::string& name) {
    const int size = dwarf_bytesize(&die);
    if (size <= 0 || dwarf_hasattr(&die, DW_AT_declaration) != 0) return;
    OracleRecord record;
    record.size = static_cast<uint64_t>(size);
    Dwarf_Die member;
    for (int more = dwarf_child(&die, &member); more == 0; more = dwarf_siblingof(&member, &member))
      add_member(member, record);
    std::sort(record.members.begin(), record.members.end());
    records[name].insert(std::move(record));
  }

  static void add_member(Dwarf_Die& member, OracleRecord& record) {
    const bool is_base = dwarf_tag(&member) == DW_TAG_inheritance;
    if ((dwarf_tag(&member) != DW_TAG_member && !is_base) ||
        dwarf_hasattr(&member, DW_AT_external) != 0 ||
        dwarf_hasattr(&member, DW_AT_declaration) != 0)
      return;
    Dwarf_Attribute attribute;
    Dwarf_Word offset = 0;
    if (dwarf_attr(&member, DW_AT_data_bit_offset, &attribute) != nullptr) {
      EXPECT_EQ(dwarf_formudata(&attribute, &offset), 0);
      offset /= 8;
    } else if (dwarf_attr(&member, DW_AT_data_member_location, &attribute) != nullptr &&
               dwarf_formudata(&attribute, &offset) != 0) {
      return;  // depends on the object
    }
    const char* const name = dwarf_diename(&member);
    record.members.emplace_back(offset, name != nullptr && !is_base ? name : "");
  }

  void add_variable(Dwarf_Die& die) {
    Dwarf_Attribute attribute;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_attr(&die, DW_AT_location, &attribute) == nullptr ||
        dwarf_getlocation(&attribute, &operations, &count) != 0 || count != 1 ||
        operations[0].atom != DW_OP_addr || dwarf_diename(&die) == nullptr)
      return;
    // At 0 is what the linker threw away.
    if (operations[0].number != 0) variables.emplace(operations[0].number, dwarf_diename(&die));
  }

  Fd file_;
  bool is_c_ = false;
};

constexpr uint64_t kOracleBias = 0x7f0000000000;

class Ours {
 public:
  explicit Ours(const std::string& path) {
    Notes notes;
    ModuleFiles files;
    OpenedFile opened = open_regular_file(path);
    files.push_back(ElfFile::open(std::move(opened.file), path, notes));
    Module module;
    module.path = path;
    module.bias = kOracleBias;
    module.build_id = files[ModuleId(0)]->build_id();
    for (const ElfSegment& s : files[ModuleId(0)]->segments()) {
      if (s.type == PT_LOAD)
        module.segments.push_back(
            {AddrRange::sized(module.at_run_time(s.address), s.memory_size), true, true});
    }
    ImageBuilder builder;
    builder.add_module(module);
    const MemoryImage image = builder.freeze();
    const DebugInfo info = open_debug_info(image, files);
    const ElfFile* const separate = info.separate_file(ModuleId(0));
    dwarf_path = separate != nullptr ? separate->path() : path;
    types = info.read_types(image, std::vector<ModuleId>{ModuleId(0)});
  }
  [[nodiscard]] bool has(const std::string& name, const OracleRecord& wanted) const {
    for (const TypeId id : types.named(name)) {
      OracleRecord record;
      record.size = types.type(id).size;
      for (const Member& member : types.members(id))
        record.members.emplace_back(member.offset, member.name);
      std::sort(record.members.begin(), record.members.end());
      if (record == wanted) return true;
    }
    return false;
  }
  Types types;
  std::string dwarf_path;
};

void expect_agreement(const std::string& path, size_t records_at_least, size_t one_of = 1) {
  const Ours ours(path);
  const Oracle oracle(ours.dwarf_path, one_of);
  EXPECT_GE(oracle.records.size(), records_at_least);
  for (const auto& [name, records] : oracle.records) {
    for (const OracleRecord& record : records)
      EXPECT_TRUE(ours.has(name, record)) << name << " of " << record.size << " bytes";
  }
  std::set<std::pair<uint64_t, std::string>> variables;
  for (const Variable& variable : ours.types.variables()) {
    if (variable.is_thread_local) continue;
    const size_t scope = variable.name.rfind("::");
    variables.emplace(variable.address.value - kOracleBias,
                      scope == std::string::npos ? variable.name : variable.name.substr(scope + 2));
  }
  std::vector<std::pair<uint64_t, std::string>> missing;
  std::set_difference(oracle.variables.begin(), oracle.variables.end(), variables.begin(),
                      variables.end(), std::back_inserter(missing));
  EXPECT_THAT(missing, testing::IsEmpty());
}

TEST(LibdwOracle, AgreesOnOurSubjects) {
  expect_agreement(SESSION, 3);
  expect_agreement(SESSION4, 3);
  expect_agreement(PARSER, 3);
  expect_agreement(LOCALS, 1);
}

TEST(LibdwOracle, AgreesOnTheCLibrary) {
  std::string path;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        const std::string name = info->dlpi_name;
        if (name.find("/libc.so.6") != std::string::npos) *static_cast<std::string*>(out) = name;
        return 0;
      },
      &path);
  ASSERT_FALSE(path.empty());
  if (Ours(path).types.empty()) GTEST_SKIP() << "the C library's debug file is not installed";
  expect_agreement(path, 100, 10);
}

}  // namespace
}  // namespace heapscan
