#include "sites/flow_record.h"

#include <algorithm>
#include <cstdlib>

#include "sites/packed_bytes.h"

namespace heapscan {

namespace {

constexpr size_t kMostQuestions = 16 * 1024;
constexpr size_t kLongestRecord = size_t{1} << 20;  // bytes
constexpr uint8_t kMostWidth = 8;                   // bytes, of a write
constexpr uint64_t kLongestInstruction = 15;        // bytes

// ---- numbers and addresses --------------------------------------------------------------------------
//
// Small numbers, addresses of the module and addresses with names of the function's own take few bytes.

enum Form : int64_t { kSmall, kAddress, kWhole };
constexpr uint64_t kOwnReach = uint64_t{1} << 60;  // from where own addresses begin

void put_number(uint64_t number, PackedWriter& to) {
  const auto value = static_cast<int64_t>(number);
  const auto from_own = static_cast<int64_t>(number - kOwnAddresses);
  if (value > -(int64_t{1} << 40) && value < int64_t{1} << 48) {
    to.put_signed(value * 4 + kSmall);
  } else if (static_cast<uint64_t>(from_own) + kOwnReach < 2 * kOwnReach) {
    to.put_signed(from_own / static_cast<int64_t>(kNameDistance) * 4 + kAddress);
    to.put_signed(from_own % static_cast<int64_t>(kNameDistance));
  } else {
    to.put_signed(kWhole);
    to.put(number);
  }
}

uint64_t number_in(PackedReader& from) {
  const int64_t head = from.signed_number();
  switch (head & 3) {
    case kSmall:
      return static_cast<uint64_t>(head >> 2);
    case kAddress:
      return kOwnAddresses + static_cast<uint64_t>(head >> 2) * kNameDistance +
             static_cast<uint64_t>(from.signed_number());
    case kWhole:
      return from.number();
    default:
      from.fail();
      return 0;
  }
}

// ---- values -----------------------------------------------------------------------------------------

constexpr uint8_t kHasId = 0x20;
constexpr uint8_t kHasScale = 0x40;
constexpr uint8_t kHasOffset = 0x80;

int64_t usual_scale(Value::Of of) { return of == Value::Of::Number ? 0 : 1; }

void put_value(const Value& value, PackedWriter& to) {
  const bool has_scale = value.scale != usual_scale(value.of);
  to.put_byte(static_cast<uint8_t>(static_cast<unsigned>(value.of) | unsigned{value.more} << 3 |
                                   (value.id != 0 ? kHasId : 0U) | (has_scale ? kHasScale : 0U) |
                                   (value.offset != 0 ? kHasOffset : 0U)));
  if (value.id != 0) to.put(value.id);
  if (has_scale) put_number(static_cast<uint64_t>(value.scale), to);
  if (value.offset != 0) put_number(static_cast<uint64_t>(value.offset), to);
}

bool is_possible(const Value& value) {
  switch (value.of) {
    case Value::Of::Parameter:
      return value.id < kParameters;
    case Value::Of::Product:
      return (value.id & 0xff) < kParameters && value.id >> 8 < kParameters;
    case Value::Of::Number:
      return true;
    default:
      return value.more == 0;
  }
}

Value value_in(PackedReader& from) {
  Value value;
  const uint8_t head = from.byte();
  const unsigned of = head & 7;
  if (of > static_cast<unsigned>(Value::Of::Length)) {
    from.fail();
    return value;
  }
  value.of = static_cast<Value::Of>(of);
  value.more = head >> 3 & 3;
  value.scale = usual_scale(value.of);
  if ((head & kHasId) != 0) value.id = static_cast<uint32_t>(from.number(0xffff'ffff));
  if ((head & kHasScale) != 0) value.scale = static_cast<int64_t>(number_in(from));
  if ((head & kHasOffset) != 0) value.offset = static_cast<int64_t>(number_in(from));
  if (!is_possible(value)) from.fail();
  return value;
}

// ---- questions --------------------------------------------------------------------------------------

bool is_of_callee(FlowQuestion::Kind kind) {
  return kind == FlowQuestion::Kind::Callee || kind == FlowQuestion::Kind::Handed;
}

void put_question(const FlowQuestion& question, PackedWriter& to) {
  to.put_byte(
      static_cast<uint8_t>(static_cast<unsigned>(question.kind) | unsigned{question.answer} << 3));
  if (question.kind == FlowQuestion::Kind::Constant) to.put_byte(question.bytes);
  put_number(question.about, to);
  if (is_of_callee(question.kind)) {
    to.put_signed(question.size_parameter);
    to.put_signed(question.result_parameter);
  }
  put_number(question.value, to);
}

FlowQuestion question_in(PackedReader& from) {
  FlowQuestion question;
  const uint8_t head = from.byte();
  if ((head & 7) > static_cast<unsigned>(FlowQuestion::Kind::Running)) from.fail();
  if (from.is_damaged()) return question;
  question.kind = static_cast<FlowQuestion::Kind>(head & 7);
  question.answer = head >> 3;
  if (question.kind == FlowQuestion::Kind::Pointer) question.bytes = 8;
  if (question.kind == FlowQuestion::Kind::Constant) {
    question.bytes = from.byte();
    if (question.bytes > 8) from.fail();
  }
  question.about = number_in(from);
  if (is_of_callee(question.kind)) {
    question.size_parameter = static_cast<int8_t>(from.signed_number());
    question.result_parameter = static_cast<int8_t>(from.signed_number());
  }
  question.value = number_in(from);
  return question;
}

// ---- results ----------------------------------------------------------------------------------------

void put_allocation(const AllocatingCall& call, const std::vector<uint32_t>& allocators,
                    PackedWriter& to) {
  if (call.at.is_null()) {
    to.put(0);
    return;
  }
  const auto which = std::find(allocators.begin(), allocators.end(), call.allocator);
  to.put(static_cast<uint64_t>(which - allocators.begin()) + 1);
  put_number(call.at.value, to);
  to.put(call.after - call.at);
  for (const Value& argument : call.arguments) put_value(argument, to);
}

AllocatingCall allocation_in(PackedReader& from, const std::vector<uint32_t>& allocators) {
  AllocatingCall call;
  const uint64_t which = from.number(allocators.size());
  if (which == 0) return call;
  call.allocator = allocators[which - 1];
  call.at = Addr(number_in(from));
  const uint64_t length = from.number(kLongestInstruction);
  if (length == 0) from.fail();
  call.after = call.at + length;
  for (Value& argument : call.arguments) argument = value_in(from);
  return call;
}

void put_write(const PointerWrite& write, PackedWriter& to) {
  to.put_byte(write.width);
  put_value(write.to, to);
  put_value(write.value, to);
  put_number(write.at.value, to);
}

PointerWrite write_in(PackedReader& from) {
  PointerWrite write;
  write.width = from.byte();
  if (write.width > kMostWidth) from.fail();
  write.to = value_in(from);
  write.value = value_in(from);
  write.at = Addr(number_in(from));
  return write;
}

FunctionFlow flow_in(PackedReader& from, const std::vector<uint32_t>& allocators) {
  FunctionFlow flow;
  flow.never_ran = from.number(1) != 0;
  for (size_t left = from.count(kMostFacts); left != 0; --left) {
    flow.allocations.push_back(allocation_in(from, allocators));
  }
  for (size_t left = from.count(kMostFacts); left != 0; --left) {
    flow.writes.push_back(write_in(from));
  }
  for (size_t left = from.count(kMostFacts); left != 0; --left) {
    FillingCall call;
    call.function = Addr(number_in(from));
    call.first = value_in(from);
    call.writes_text = from.number(1) != 0;
    flow.fills.push_back(call);
  }
  for (size_t left = from.count(kMostFacts); left != 0; --left) {
    flow.results.push_back(value_in(from));
  }
  return flow;
}

// Each call in the function, and none twice.
bool are_calls_of(AddrRange function, const std::vector<AllocatingCall>& calls) {
  std::vector<Addr> at;
  for (const AllocatingCall& call : calls) {
    if (call.at.is_null()) continue;
    if (!function.contains(call.at)) return false;
    at.push_back(call.at);
  }
  std::sort(at.begin(), at.end());
  return std::adjacent_find(at.begin(), at.end()) == at.end();
}

}  // namespace

FunctionFlow in_process(FunctionFlow flow, const FlowQuestions& questions) {
  const auto move = [&](Addr& address) { address = Addr(questions.in_process(address.value)); };
  const auto move_value = [&](Value& value) { value = questions.in_process(value); };
  for (AllocatingCall& call : flow.allocations) {
    move(call.at);
    move(call.after);
    for (Value& argument : call.arguments) move_value(argument);
  }
  for (PointerWrite& write : flow.writes) {
    move_value(write.to);
    move_value(write.value);
    move(write.at);
  }
  for (FillingCall& call : flow.fills) {
    move(call.function);
    move_value(call.first);
  }
  for (Value& result : flow.results) move_value(result);
  return flow;
}

std::vector<std::byte> record_flow(const FlowQuestions& questions, const FunctionFlow& own) {
  PackedWriter to;
  if (questions.asked().size() > kMostQuestions) return {};
  to.put(questions.asked().size());
  for (const FlowQuestion& question : questions.asked()) put_question(question, to);
  to.put(own.never_ran ? 1 : 0);
  to.put(own.allocations.size());
  for (const AllocatingCall& call : own.allocations) {
    put_allocation(call, questions.allocators(), to);
  }
  to.put(own.writes.size());
  for (const PointerWrite& write : own.writes) put_write(write, to);
  to.put(own.fills.size());
  for (const FillingCall& call : own.fills) {
    put_number(call.function.value, to);
    put_value(call.first, to);
    to.put(call.writes_text ? 1 : 0);
  }
  to.put(own.results.size());
  for (const Value& result : own.results) put_value(result, to);
  return to.size() <= kLongestRecord ? to.take() : std::vector<std::byte>();
}

std::optional<FunctionFlow> recall_flow(Bytes record, AddrRange function,
                                        FlowQuestions& questions) {
  PackedReader from(record);
  for (size_t left = from.count(kMostQuestions); left != 0; --left) {
    const FlowQuestion before = question_in(from);
    if (from.is_damaged() || !questions.has_same_answer(before)) return std::nullopt;
  }
  FunctionFlow flow = in_process(flow_in(from, questions.allocators()), questions);
  if (from.is_damaged() || !from.is_at_end() || !are_calls_of(function, flow.allocations)) {
    return std::nullopt;
  }
  return flow;
}

}  // namespace heapscan
