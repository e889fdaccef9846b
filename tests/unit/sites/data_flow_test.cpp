#include "sites/data_flow.h"

#include <gtest/gtest.h>

#include <random>

#include "heapscan/image/image.h"
#include "sites/flow_record.h"

namespace heapscan {
namespace {

using Code = std::vector<uint8_t>;

// A function at kFunction in whose code calls to kMalloc allocate.
class DataFlow : public testing::Test {
 public:
  static constexpr uint64_t kFunction = 0x400000;
  static constexpr uint64_t kMalloc = 0x500000;
  static constexpr uint64_t kConstructor = 0x500100;
  static constexpr uint64_t kAbort = 0x500200;
  static constexpr uint64_t kLength = 0x500300;  // strlen
  static constexpr uint64_t kCopy = 0x500400;    // strcpy

  DataFlow() {
    AllocatorFunction malloc;
    malloc.function = Addr(kMalloc);
    malloc.size_parameter = 0;
    allocators_.push_back(malloc);
  }

  // Appends `bytes`.
  DataFlow& add(const Code& bytes) {
    code_.insert(code_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  // call or jmp with a 32-bit offset.
  DataFlow& go(uint8_t opcode, uint64_t target) {
    add({opcode});
    const auto offset = static_cast<uint32_t>(target - (kFunction + code_.size() + 4));
    for (unsigned i = 0; i < 4; ++i) code_.push_back(static_cast<uint8_t>(offset >> (8 * i)));
    return *this;
  }
  DataFlow& call(uint64_t target) { return go(0xe8, target); }

  FunctionFlow flow() {
    const FlowContext context{image_, allocators_, [](Addr target) {
                                Callee callee;
                                callee.function = target;
                                if (target == Addr(kMalloc)) callee.kind = Callee::Kind::Allocator;
                                if (target == Addr(kAbort)) callee.kind = Callee::Kind::NoReturn;
                                if (target == Addr(kLength)) {
                                  callee.kind = Callee::Kind::ReturnsLength;
                                }
                                if (target == Addr(kCopy)) {
                                  callee.kind = Callee::Kind::ReturnsFirst;
                                  callee.writes_text = true;
                                }
                                return callee;
                              }};
    FlowQuestions questions(context, nullptr, false);
    return in_process(follow_function(questions, std::as_bytes(std::span(code_)), Addr(kFunction)),
                      questions);
  }

  MemoryImage image_ = ImageBuilder().freeze();
  std::vector<AllocatorFunction> allocators_;
  Code code_;
};

const Code kReturn{0xc3};
const Code kSize32{0xbf, 0x20, 0, 0, 0};  // mov edi, 0x20

TEST_F(DataFlow, SeesTheSizeAndWhatIsWrittenBehindTheCall) {
  add(kSize32).call(kMalloc);
  add({0x48, 0xc7, 0x40, 0x08, 5, 0, 0, 0});  // mov qword [rax + 8], 5
  add({0xc7, 0x40, 0x10, 7, 0, 0, 0});        // mov dword [rax + 0x10], 7
  add(kReturn);
  const FunctionFlow found = flow();
  ASSERT_EQ(found.allocations.size(), 1U);
  EXPECT_EQ(found.allocations[0].at, Addr(kFunction + 5));
  EXPECT_EQ(found.allocations[0].after, Addr(kFunction + 10));
  EXPECT_TRUE(found.allocations[0].arguments[0].is_number(0x20));
  ASSERT_EQ(found.writes.size(), 2U);
  EXPECT_EQ(found.writes[0].to, value_plus(allocation(0), 8));
  EXPECT_TRUE(found.writes[0].value.is_number(5));
  EXPECT_EQ(found.writes[1].width, 4);
  ASSERT_EQ(found.results.size(), 1U);
  EXPECT_EQ(found.results[0], allocation(0));
}

TEST_F(DataFlow, BothSidesOfAConditionCount) {
  add(kSize32);
  add({0xb8, 0x40, 0, 0, 0});  // mov eax, 0x40
  add({0x85, 0xf6});           // test esi, esi
  add({0x0f, 0x45, 0xf8});     // cmovne edi, eax
  call(kMalloc).add(kReturn);
  const Value size = flow().allocations.at(0).arguments[0];
  ASSERT_EQ(size.more, 1);
  EXPECT_EQ(size.number_at(0), 0x20);
  EXPECT_EQ(size.number_at(1), 0x40);
}

TEST_F(DataFlow, ABranchIsFollowedBothWays) {
  add(kSize32);
  add({0x85, 0xf6});           // test esi, esi
  add({0x74, 0x05});           // je +5
  add({0xbf, 0x60, 0, 0, 0});  // mov edi, 0x60
  call(kMalloc).add(kReturn);
  const Value size = flow().allocations.at(0).arguments[0];
  ASSERT_EQ(size.more, 1);
  EXPECT_EQ(size.number_at(1), 0x60);
}

TEST_F(DataFlow, ABorrowChoosesOneOfTwoSizes) {
  add({0x83, 0xff, 0x01});           // cmp edi, 1
  add({0x19, 0xff});                 // sbb edi, edi
  add({0x83, 0xe7, 0xf0});           // and edi, -16
  add({0x81, 0xc7, 0xf8, 1, 0, 0});  // add edi, 0x1f8
  call(kMalloc).add(kReturn);
  const Value size = flow().allocations.at(0).arguments[0];
  ASSERT_EQ(size.more, 1);
  EXPECT_EQ(size.number_at(0), 0x1e8);
  EXPECT_EQ(size.number_at(1), 0x1f8);
}

TEST_F(DataFlow, AWrapperPassesItsParameterOn) {
  add({0x48, 0x83, 0xc7, 0x10});  // add rdi, 16
  call(kMalloc);
  add({0x48, 0x83, 0xc0, 0x10});  // add rax, 16
  add(kReturn);
  const FunctionFlow found = flow();
  EXPECT_EQ(found.allocations.at(0).arguments[0], value_plus(parameter(0), 16));
  EXPECT_EQ(found.results.at(0), value_plus(allocation(0), 16));
}

TEST_F(DataFlow, AJumpToTheAllocatorIsACall) {
  add({0x48, 0x8d, 0x3c, 0x7f});  // lea rdi, [rdi + 2 * rdi]
  go(0xe9, kMalloc);
  const FunctionFlow found = flow();
  ASSERT_EQ(found.allocations.size(), 1U);
  EXPECT_EQ(found.allocations[0].arguments[0].scale, 3);
  EXPECT_EQ(found.results.at(0), allocation(0));
}

TEST_F(DataFlow, WordsOfTheStackKeepTheirValues) {
  add({0x48, 0x83, 0xec, 0x18});  // sub rsp, 24
  add(kSize32).call(kMalloc);
  add({0x48, 0x89, 0x44, 0x24, 0x08});  // mov [rsp + 8], rax
  call(kConstructor - 0x40);            // whatever: rax is gone
  add({0x48, 0x8b, 0x54, 0x24, 0x08});  // mov rdx, [rsp + 8]
  add({0xc6, 0x42, 0x03, 0x09});        // mov byte [rdx + 3], 9
  add(kReturn);
  const FunctionFlow found = flow();
  ASSERT_EQ(found.writes.size(), 1U);
  EXPECT_EQ(found.writes[0].to, value_plus(allocation(0), 3));
  EXPECT_EQ(found.writes[0].width, 1);
}

TEST_F(DataFlow, VectorRegistersWriteTwoWords) {
  add(kSize32).call(kMalloc);
  add({0x66, 0x0f, 0xef, 0xc0});        // pxor xmm0, xmm0
  add({0x0f, 0x11, 0x40, 0x10});        // movups [rax + 0x10], xmm0
  add({0xba, 0x11, 0x11, 0, 0});        // mov edx, 0x1111
  add({0x66, 0x48, 0x0f, 0x6e, 0xca});  // movq xmm1, rdx
  add({0x66, 0x0f, 0x6c, 0xc8});        // punpcklqdq xmm1, xmm0
  add({0x0f, 0x11, 0x08});              // movups [rax], xmm1
  add(kReturn);
  const FunctionFlow found = flow();
  ASSERT_EQ(found.writes.size(), 4U);
  EXPECT_TRUE(found.writes[0].value.is_number(0));
  EXPECT_EQ(found.writes[1].to.offset, 0x18);
  EXPECT_TRUE(found.writes[2].value.is_number(0x1111));
  EXPECT_TRUE(found.writes[3].value.is_number(0));
}

TEST_F(DataFlow, WhoIsHandedTheBlockMayFillIt) {
  add(kSize32).call(kMalloc);
  add({0x48, 0x89, 0xc7});  // mov rdi, rax
  call(kConstructor).add(kReturn);
  const FunctionFlow found = flow();
  ASSERT_EQ(found.fills.size(), 1U);
  EXPECT_EQ(found.fills[0].function, Addr(kConstructor));
  EXPECT_EQ(found.fills[0].first, allocation(0));
}

TEST_F(DataFlow, TheLengthsOfTwoTextsAreOne) {
  call(kLength);
  add({0x48, 0x89, 0xc3});  // mov rbx, rax
  call(kLength);
  add({0x48, 0x8d, 0x7c, 0x03, 0x02});  // lea rdi, [rbx + rax + 2]
  call(kMalloc).add(kReturn);
  const Value size = flow().allocations.at(0).arguments[0];
  EXPECT_EQ(size.of, Value::Of::Length);
  EXPECT_EQ(std::pair(size.scale, size.offset), std::pair(int64_t{1}, int64_t{2}));
}

TEST_F(DataFlow, AFunctionThatWritesTextIsSeenToAndReturnsItsFirstParameter) {
  add(kSize32).call(kMalloc);
  add({0x48, 0x89, 0xc7});  // mov rdi, rax
  call(kCopy).add(kReturn);
  const FunctionFlow found = flow();
  ASSERT_EQ(found.fills.size(), 1U);
  EXPECT_TRUE(found.fills[0].writes_text);
  EXPECT_EQ(found.results.at(0), allocation(0));
}

TEST_F(DataFlow, NothingComesBehindACallThatDoesNotReturn) {
  add(kSize32);
  add({0x85, 0xf6, 0x74, 0x05});  // test esi, esi; je +5
  call(kAbort);
  call(kMalloc).add(kReturn);
  EXPECT_TRUE(flow().allocations.at(0).arguments[0].is_number(0x20));
}

TEST_F(DataFlow, AnyBytesAreReadInBoundedTime) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    code_.clear();
    for (int i = 0; i < 4000; ++i) code_.push_back(static_cast<uint8_t>(random()));
    call(kMalloc).add(kReturn);
    EXPECT_LE(flow().writes.size(), 4096U);
  }
}

}  // namespace
}  // namespace heapscan
