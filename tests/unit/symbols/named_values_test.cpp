// Functions of a library call others of which nothing is known; what debug information calls the
// results is in its source.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "heapscan/base/bytes.h"
#include "heapscan/elf/open_file.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/debug_info.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {
namespace {

constexpr uint64_t kSubjectBias = 0x7f0000000000;
// DWARF's numbers of rax, rcx, rdx, rbx, rsp, rbp, rsi and rdi.
constexpr std::array<uint8_t, 8> kDwarfNumbers = {0, 2, 1, 3, 7, 6, 4, 5};
constexpr uint8_t kDwarfRax = 0;
constexpr uint8_t kDwarfRbp = 6;

class NamedValuesTest : public testing::Test {
 protected:
  void open(const char* path) {
    Notes notes;
    OpenedFile opened = open_regular_file(path);
    auto file = ElfFile::open(std::move(opened.file), path, notes);
    ASSERT_TRUE(file.has_value());
    Module module;
    module.path = path;
    module.bias = kSubjectBias;
    for (const ElfSegment& s : file->segments()) {
      if (s.type != PT_LOAD) continue;
      const AddrRange range = AddrRange::sized(module.at_run_time(s.address), s.memory_size);
      const bool is_code = (s.flags & PF_X) != 0;
      module.segments.push_back({range, (s.flags & PF_W) != 0, is_code});
      if (!is_code) continue;
      code_begin_ = range.begin();
      const Bytes bytes = file->segment_bytes(s);
      code_.assign(bytes.begin(), bytes.end());
    }
    ImageBuilder builder;
    module_ = builder.add_module(module);
    image_ = builder.freeze();
    files_.push_back(std::move(file));
    info_ = open_debug_info(image_, files_, {.debug_dirs = {}, .debuginfod = false});
    symbols_ = load_symbols(image_, files_, info_);
  }

  [[nodiscard]] Bytes code_at(Addr at, uint64_t size) const {
    const uint64_t begin = std::min<uint64_t>(at - code_begin_, code_.size());
    return Bytes(code_).subspan(begin, std::min<uint64_t>(size, code_.size() - begin));
  }
  [[nodiscard]] AddrRange range_of(const char* function) const {
    const auto at = symbols_.address_of(module_, function);
    const auto symbol = at ? symbols_.ref_at(*at) : std::nullopt;
    EXPECT_TRUE(symbol.has_value()) << function;
    return symbol ? AddrRange::sized(*at, symbol->size) : AddrRange();
  }
  // Where calls within the function return to.
  [[nodiscard]] std::vector<Addr> behind_calls_in(const char* function) const {
    constexpr uint64_t kCall = 5;  // bytes
    const AddrRange range = range_of(function);
    std::vector<Addr> found;
    for (Addr at = range.begin(); at + kCall <= range.end(); at = at + 1) {
      const Bytes insn = code_at(at, kCall);
      if (insn.size() < kCall || insn[0] != std::byte{0xe8}) continue;
      const auto offset = static_cast<int64_t>(load<int32_t>(insn.data() + 1));
      const Addr target((at + kCall).value + static_cast<uint64_t>(offset));
      if (target >= code_begin_ && target < code_begin_ + code_.size()) found.push_back(at + kCall);
    }
    EXPECT_FALSE(found.empty()) << function;
    return found;
  }
  // The first of the next instructions that writes rax to memory.
  [[nodiscard]] std::optional<ValuePlace> written_behind(Addr at) const {
    constexpr uint64_t kSearched = 24;
    const Bytes code = code_at(at, kSearched);
    for (size_t i = 0; i + 4 <= code.size(); ++i) {
      const auto modrm = static_cast<uint8_t>(code[i + 2]);
      const bool is_store = code[i] == std::byte{0x48} && code[i + 1] == std::byte{0x89} &&
                            (modrm & 0x38) == 0 && (modrm & 7) != 4 && modrm < 0x80;
      if (!is_store) continue;
      const bool has_displacement = (modrm & 0xc0) == 0x40;
      ValuePlace place;
      place.kind = ValuePlace::Kind::Memory;
      place.code = AddrRange::sized(at + i, has_displacement ? 4 : 3);
      place.reg = kDwarfNumbers[modrm & 7];
      place.displacement = has_displacement ? static_cast<int8_t>(code[i + 3]) : 0;
      return place;
    }
    return std::nullopt;
  }
  [[nodiscard]] static ValuePlace in_rax(Addr from) {
    ValuePlace place;
    place.code = AddrRange::sized(from, 8);
    place.reg = kDwarfRax;
    return place;
  }
  // The first that has a name.
  [[nodiscard]] NamedValue value_at(const std::vector<ValuePlace>& places) const {
    for (const auto& value : info_.named_values_at(places)) {
      if (value) return *value;
    }
    return {};
  }

  Addr code_begin_;
  std::vector<std::byte> code_;
  ModuleId module_;
  ModuleFiles files_;
  MemoryImage image_;
  DebugInfo info_;
  Symbols symbols_;
};

class NamedValuesOfBoth : public NamedValuesTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override { open(GetParam()); }
};

TEST_P(NamedValuesOfBoth, AVariableHasAResultFromWhereItIsAssigned) {
  const Addr behind = behind_calls_in("assigned").front();
  std::vector<ValuePlace> places{in_rax(behind)};
  if (const auto written = written_behind(behind)) places.push_back(*written);
  const NamedValue value = value_at(places);
  EXPECT_EQ(value.name, "mail");
  EXPECT_EQ(value.pointee, TypeKind::Struct);
  EXPECT_EQ(value.record, "letter") << "a struct that has its typedef's name only";
  EXPECT_EQ(value.record_bytes, 32U);
}

// Where nothing is optimised, variables are never in registers.
TEST_F(NamedValuesTest, ARegisterIsAVariableFromItsAssignmentOnOnly) {
  open(RESULTS_OPTIMIZED);
  const AddrRange function = range_of("assigned");
  const Addr behind = behind_calls_in("assigned").front();
  ValuePlace there = in_rax(behind);
  there.code = {behind, function.end()};
  ValuePlace other = there;
  other.reg = 9;
  ValuePlace before = there;
  before.code = {function.begin(), behind};
  const auto values = info_.named_values_at(std::vector{there, other, before});
  EXPECT_TRUE(values[0].has_value());
  EXPECT_FALSE(values[1].has_value()) << "another register";
  EXPECT_FALSE(values[2].has_value()) << "not assigned yet";
}

TEST_P(NamedValuesOfBoth, AMemberIsNamedByThePointerThatLeadsToIt) {
  const Addr behind = behind_calls_in("put_into_member").back();
  const auto written = written_behind(behind);
  ASSERT_TRUE(written.has_value());
  std::vector<ValuePlace> places{*written};
  // Where nothing is optimised, the pointer is fetched from the frame, the function's first word in it.
  ValuePlace fetched = *written;
  fetched.kind = ValuePlace::Kind::Behind;
  fetched.reg = kDwarfRbp;
  fetched.displacement = -8;
  fetched.member = written->displacement;
  places.push_back(fetched);
  const NamedValue value = value_at(places);
  EXPECT_EQ(value.name, "bag->content.sorted");
  EXPECT_EQ(value.pointee, TypeKind::Pointer);
  EXPECT_EQ(value.record, "letter") << "what the pointers point to";
}

TEST_P(NamedValuesOfBoth, AFunctionReturnsItsResult) {
  const AddrRange function = range_of("returned");
  ValuePlace place;
  place.kind = ValuePlace::Kind::Returned;
  place.code = AddrRange::sized(function.end() - 1, 1);
  const NamedValue value = value_at({place});
  EXPECT_EQ(value.name, "");
  EXPECT_EQ(value.record, "bag");
}

TEST_P(NamedValuesOfBoth, APointerToAnythingSaysNothing) {
  const AddrRange function = range_of("returned_as_anything");
  ValuePlace place;
  place.kind = ValuePlace::Kind::Returned;
  place.code = AddrRange::sized(function.end() - 1, 1);
  const NamedValue value = value_at({place});
  EXPECT_EQ(value.pointee, TypeKind::Void);
  EXPECT_EQ(value.record, "");
}

TEST_P(NamedValuesOfBoth, PlacesOutsideAllCodeHaveNoNames) {
  EXPECT_FALSE(info_.named_values_at(std::vector{in_rax(Addr(0x1000))})[0].has_value());
  EXPECT_TRUE(info_.named_values_at({}).empty());
}

INSTANTIATE_TEST_SUITE_P(Subjects, NamedValuesOfBoth, testing::Values(RESULTS, RESULTS_OPTIMIZED));

}  // namespace
}  // namespace heapscan
