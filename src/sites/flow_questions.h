// What following a function asks of the process it runs in, and what it is told.
//
// The instructions of a function are the same in every process that loads its module; what differs is
// where modules and blocks lie, and what pointers hold. So a function is followed in addresses of its own:
// those of its module count from a fixed place, and other addresses that it is told of are named in
// the order in which it learns them. All else that it wants to know it asks here. What comes out
// depends on its instructions and on the answers alone: where the same questions have the same
// answers again, the result is the same, and need not be worked out (flow_record.h).
//
//   FlowQuestions questions(context, module, false);
//   questions.callee_at(Addr(kOwnAddresses + 0x1030))  // a call, in the function's own addresses
//   questions.in_process(0x1b5c'0000'0000'1030)        // 0x7f12'3456'1030
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "sites/flow_context.h"
#include "sites/values.h"

namespace heapscan {

// One question and its answer; addresses are the function's own.
struct FlowQuestion {
  enum class Kind : uint8_t {
    Callee,    // whom a call of the code at `about` leads to
    Constant,  // what the `bytes` bytes at `about` are for good
    Pointer,   // what the pointer at `about` holds
    Handed,   // whether a member at `about` bytes is a pointer to an allocator that was handed over
    Running,  // whether a thread may be in the middle of the function
  };
  Kind kind = Kind::Callee;
  uint8_t bytes = 0;
  uint64_t about = 0;
  uint8_t answer =
      0;  // Callee, Handed: a Callee::Kind, kHasContext, kWritesText; others: 1 for yes, or known
  int8_t size_parameter = -1;
  int8_t result_parameter = -1;
  uint64_t value = 0;  // an address; of a constant itself

  bool operator==(const FlowQuestion&) const = default;
  static constexpr uint8_t kHasContext = 0x08;
  static constexpr uint8_t kWritesText = 0x10;
};

// Where a module that may lie anywhere begins in its functions' own addresses; other addresses that
// they know are further up. Far from all numbers and addresses that programs have.
constexpr uint64_t kOwnAddresses = 0x1b5c'0000'0000'0000;
constexpr uint64_t kNameDistance = uint64_t{1} << 42;  // between names of addresses
constexpr uint64_t kNameReach = uint64_t{1} << 32;     // bytes around one that are meant by it

class FlowQuestions {
 public:
  // `module` may be null: then addresses are those of the process. `is_running`: a thread may be in
  // the middle of the function, so that what comes later says nothing.
  FlowQuestions(const FlowContext& context, const Module* module, bool is_running);

  // ---- what is asked ------------------------------------------------------------------------------

  [[nodiscard]] Callee callee_at(Addr target);
  // What the image has there, when nobody can write there any more.
  [[nodiscard]] std::optional<uint64_t> constant_at(Addr place, unsigned bytes);
  [[nodiscard]] std::optional<Addr> pointer_at(Addr place);
  // The allocator that is called through a member that lies so far behind what a register points at.
  [[nodiscard]] Callee handed_at(int64_t displacement);
  [[nodiscard]] bool is_running();

  // In the order in which they were asked first, each once.
  [[nodiscard]] const std::vector<FlowQuestion>& asked() const { return asked_; }
  // Asks what was asked before, and whether the answer is the same.
  [[nodiscard]] bool has_same_answer(const FlowQuestion& before);
  // Those that it was told of, in that order; each once.
  [[nodiscard]] const std::vector<uint32_t>& allocators() const { return allocators_; }

  // ---- addresses ----------------------------------------------------------------------------------

  [[nodiscard]] Addr own(Addr in_module) const;
  // `number` when it is no address that is known.
  [[nodiscard]] uint64_t in_process(uint64_t number) const;
  [[nodiscard]] Value in_process(const Value& value) const;

 private:
  struct Asked {
    FlowQuestion::Kind kind;
    uint8_t bytes;
    uint64_t about;
    bool operator==(const Asked&) const = default;
  };
  struct AskedHash {
    size_t operator()(const Asked& a) const {
      return std::hash<uint64_t>{}((a.about << 6) ^ (uint64_t{a.bytes} << 3) ^
                                   static_cast<uint64_t>(a.kind));
    }
  };
  struct Answer {
    size_t index;  // of asked_
    Callee callee;
  };
  const Answer& answer(const Asked& asked);
  [[nodiscard]] Answer ask(const Asked& asked, FlowQuestion& question);
  [[nodiscard]] std::optional<uint64_t> constant_in_process(Addr place, unsigned bytes) const;
  // The function's own name for an address of the process. A pointer counts as one wherever it leads, so
  // that nothing that the process can write is ever in a record.
  [[nodiscard]] uint64_t name(uint64_t in_process);
  // For what may also be a number, which is itself.
  [[nodiscard]] uint64_t name_if_address(uint64_t number);

  const FlowContext& context_;
  AddrRange module_;
  std::vector<AddrRange> unwritable_;  // parts of the module
  uint64_t begin_ = 0;                 // of the module in own addresses
  bool is_running_;
  std::vector<FlowQuestion> asked_;
  std::unordered_map<Asked, Answer, AskedHash> answers_;
  std::vector<uint32_t> allocators_;
  std::vector<uint64_t> named_;  // addresses of the process
  std::unordered_map<uint64_t, size_t> names_;
};

}  // namespace heapscan
