#include "sites/flow_record.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <span>

#include "heapscan/image/image.h"

namespace heapscan {
namespace {

// A module whose one function asks for 0x20 bytes, writes the address of something in the module and the
// one that a variable holds into them, and hands them on to a function behind a pointer.
class FlowRecord : public testing::Test {
 public:
  static constexpr uint64_t kFunctionAt = 0x100;
  static constexpr uint64_t kMallocAt = 0x800;
  static constexpr uint64_t kLengthAt = 0x840;  // strlen
  static constexpr uint64_t kCopyAt = 0x880;    // strcpy
  static constexpr uint64_t kObjectAt = 0x900;
  static constexpr uint64_t kVariableAt = 0x1000;
  static constexpr uint64_t kHeapSize = 0x1000;

  struct Process {
    uint64_t module = 0x55550000'0000;
    uint64_t heap = 0x5555'8000'0000;
    uint64_t variable = 0x5555'8000'0010;
    bool allocates = true;
    bool copies_text = true;
  };

  static void put(std::vector<uint8_t>& code, std::vector<uint8_t> bytes, uint64_t target) {
    const uint64_t behind = kFunctionAt + code.size() + bytes.size() + 4;
    const auto offset = static_cast<uint32_t>(target - behind);
    for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<uint8_t>(offset >> (8 * i)));
    code.insert(code.end(), bytes.begin(), bytes.end());
  }

  static void add(std::vector<uint8_t>& code, const std::vector<uint8_t>& bytes) {
    code.insert(code.end(), bytes.begin(), bytes.end());
  }

  FlowRecord() {
    code_ = {0xbf, 0x20, 0, 0, 0};                // mov edi, 0x20
    put(code_, {0xe8}, kMallocAt);                // call malloc
    put(code_, {0x48, 0x8d, 0x0d}, kObjectAt);    // lea rcx, [object]
    add(code_, {0x48, 0x89, 0x48, 0x08});         // mov [rax + 8], rcx
    put(code_, {0x48, 0x8b, 0x15}, kVariableAt);  // mov rdx, [variable]
    add(code_, {0x48, 0x8b, 0x52, 0x18});         // mov rdx, [rdx + 24]
    add(code_, {0x48, 0x89, 0x50, 0x10});         // mov [rax + 16], rdx
    add(code_, {0x48, 0x89, 0xc7, 0xff, 0xd2});   // mov rdi, rax; call rdx
    code_.push_back(0xc3);
    AllocatorFunction malloc;
    malloc.size_parameter = 0;
    allocators_.push_back(malloc);
  }

  // Calls f(questions, the function).
  template <typename F>
  void in(const Process& process, F&& f) {
    ImageBuilder builder;
    Module module;
    module.range = AddrRange::sized(Addr(process.module), 0x2000);
    module.bias = process.module;
    module.segments.push_back({AddrRange::sized(Addr(process.module), 0x1000), false, true});
    module.segments.push_back(
        {AddrRange::sized(Addr(process.module + 0x1000), 0x1000), true, false});
    const ModuleId id = builder.add_module(module);
    std::vector<std::byte> bytes(0x2000);
    std::memcpy(bytes.data() + kFunctionAt, code_.data(), code_.size());
    std::memcpy(bytes.data() + kVariableAt, &process.variable, 8);
    Region region;
    region.range = module.range;
    region.perms = {.read = true, .write = true, .execute = true};
    region.backing = Backing::File;
    region.contents = Contents::Saved;
    region.module = id;
    region.bytes = builder.keep_copy(bytes);
    builder.add_region(region);
    region.range = AddrRange::sized(Addr(process.heap), kHeapSize);
    region.module = ModuleId::none();
    region.bytes = builder.keep_copy(bytes);
    builder.add_region(region);
    const MemoryImage image = builder.freeze();
    const FlowContext context{image, allocators_, [&](Addr target) {
                                Callee callee;
                                callee.function = target;
                                if (process.allocates && target == Addr(process.module + kMallocAt))
                                  callee.kind = Callee::Kind::Allocator;
                                if (target == Addr(process.module + kLengthAt))
                                  callee.kind = Callee::Kind::ReturnsLength;
                                callee.writes_text =
                                    process.copies_text && target == Addr(process.module + kCopyAt);
                                return callee;
                              }};
    FlowQuestions questions(context, &image.modules()[id], false);
    f(questions, AddrRange::sized(Addr(process.module + kFunctionAt), code_.size()));
  }

  std::vector<std::byte> recorded(const Process& process) {
    std::vector<std::byte> record;
    in(process, [&](FlowQuestions& questions, AddrRange function) {
      record = record_flow(
          questions, follow_function(questions, std::as_bytes(std::span(code_)), function.begin()));
    });
    return record;
  }

  std::string followed(const Process& process) {
    std::string text;
    in(process, [&](FlowQuestions& questions, AddrRange function) {
      text = spelled(
          in_process(follow_function(questions, std::as_bytes(std::span(code_)), function.begin()),
                     questions));
    });
    return text;
  }

  // Empty when it cannot be used there.
  std::string recalled(Bytes record, const Process& process) {
    std::string text;
    in(process, [&](FlowQuestions& questions, AddrRange function) {
      const auto flow = recall_flow(record, function, questions);
      if (flow) text = spelled(*flow);
    });
    return text;
  }

  static std::string spelled(const Value& v) {
    return fmt::format("{}/{}/{}*{:x}+{:x} ", static_cast<int>(v.of), v.more, v.id,
                       static_cast<uint64_t>(v.scale), static_cast<uint64_t>(v.offset));
  }
  static std::string spelled(const FunctionFlow& flow) {
    std::string text;
    for (const AllocatingCall& call : flow.allocations) {
      text += fmt::format("call {:x} {:x} {} ", call.at.value, call.after.value, call.allocator);
      for (const Value& argument : call.arguments) text += spelled(argument);
    }
    for (const PointerWrite& w : flow.writes) {
      text += fmt::format("write {} {:x} ", w.width, w.at.value) + spelled(w.to) + spelled(w.value);
    }
    for (const FillingCall& f : flow.fills) {
      text += fmt::format("fill {:x}{} ", f.function.value, f.writes_text ? " text" : "") +
              spelled(f.first);
    }
    for (const Value& result : flow.results) text += "result " + spelled(result);
    return text + (flow.never_ran ? "never" : "");
  }

  std::vector<uint8_t> code_;
  std::vector<AllocatorFunction> allocators_;
};

TEST_F(FlowRecord, SaysWhatFollowingTheFunctionWould) {
  const Process process;
  const std::string flow = followed(process);
  EXPECT_THAT(flow, testing::HasSubstr(fmt::format("{:x}", process.module + kObjectAt)));
  EXPECT_EQ(recalled(recorded(process), process), flow);
}

TEST_F(FlowRecord, KeepsWhatIsSaidOfTexts) {
  code_.clear();
  put(code_, {0xe8}, kLengthAt);         // call strlen
  add(code_, {0x48, 0x8d, 0x78, 0x01});  // lea rdi, [rax + 1]
  put(code_, {0xe8}, kMallocAt);         // call malloc
  add(code_, {0x48, 0x89, 0xc7});        // mov rdi, rax
  put(code_, {0xe8}, kCopyAt);           // call strcpy
  code_.push_back(0xc3);
  const std::vector<std::byte> record = recorded({});
  const std::string flow = followed({});
  EXPECT_EQ(recalled(record, {}), flow);
  EXPECT_THAT(flow, testing::HasSubstr(" text "));
  const auto length = fmt::format(" {}/0/", static_cast<int>(Value::Of::Length));
  EXPECT_THAT(flow, testing::HasSubstr(length));
  EXPECT_EQ(recalled(record, {.copies_text = false}), "") << "strcpy is another function there";
}

TEST_F(FlowRecord, HoldsWhereverModuleAndBlocksLie) {
  const std::vector<std::byte> record = recorded({});
  for (const Process& elsewhere :
       {Process{.module = 0x7fff'1234'0000}, Process{.heap = 0x1000'0000, .variable = 0x1000'0800},
        Process{0x7fff'1234'0000, 0x20'0000, 0x20'0fe0, true, true}}) {
    EXPECT_EQ(recalled(record, elsewhere), followed(elsewhere));
  }
}

TEST_F(FlowRecord, IsOfNoUseWhereAnAnswerIsAnother) {
  const std::vector<std::byte> record = recorded({});
  EXPECT_EQ(recalled(record, {.allocates = false}), "") << "malloc is none there";
  EXPECT_EQ(recalled(record, {.variable = 0}), "") << "a pointer leads nowhere";
  EXPECT_EQ(recalled(record, {.variable = 0x5555'0000'0900}), "") << "it leads into the module";
}

TEST_F(FlowRecord, HasNothingOfWhatTheProcessMayWrite) {
  const Process secret{.variable = 0x0123'4567'89ab'cdef};
  const std::vector<std::byte> record = recorded(secret);
  EXPECT_EQ(recalled(record, secret), followed(secret));
  const Process another{.variable = 0x0fed'cba9'8765'4321};
  EXPECT_EQ(recorded(another), record);
  EXPECT_EQ(recalled(record, another), followed(another));
}

TEST_F(FlowRecord, ThatIsCutShortIsOfNoUse) {
  const std::vector<std::byte> record = recorded({});
  for (size_t length = 0; length < record.size(); ++length) {
    EXPECT_EQ(recalled(Bytes(record).first(length), {}), "") << length;
  }
}

TEST_F(FlowRecord, ThatIsDamagedNamesNoCallOutsideTheFunction) {
  const std::vector<std::byte> record = recorded({});
  for (size_t at = 0; at < record.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> damaged = record;
      damaged[at] ^= static_cast<std::byte>(1U << bit);
      in({}, [&](FlowQuestions& questions, AddrRange function) {
        const auto flow = recall_flow(damaged, function, questions);
        if (!flow) return;
        for (const AllocatingCall& call : flow->allocations) {
          if (call.at.is_null()) continue;
          EXPECT_TRUE(function.contains(call.at));
          EXPECT_LT(call.at, call.after);
          EXPECT_LT(call.allocator, allocators_.size());
        }
        for (const PointerWrite& write : flow->writes) EXPECT_LE(write.width, 8);
        for (const Value& result : flow->results) {
          EXPECT_TRUE(result.of != Value::Of::Parameter || result.id < kParameters);
        }
      });
    }
  }
}

}  // namespace
}  // namespace heapscan
