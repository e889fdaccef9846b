#include "sites/flow_questions.h"

#include <algorithm>
#include <array>
#include <span>

namespace heapscan {

namespace {

Callee allocator_called(const FlowContext& context, uint32_t id, Addr function) {
  const AllocatorFunction& allocator = context.allocators[id];
  Callee callee;
  callee.kind = Callee::Kind::Allocator;
  callee.has_context = allocator.size_parameter > 0 && allocator.count_parameter != 0;
  callee.function = function;
  callee.allocator = id;
  callee.size_parameter = allocator.size_parameter;
  callee.result_parameter = allocator.result_parameter;
  return callee;
}

}  // namespace

FlowQuestions::FlowQuestions(const FlowContext& context, const Module* module, bool is_running)
    : context_(context), is_running_(is_running) {
  if (module == nullptr) return;
  module_ = module->range;
  begin_ = module->bias == 0 ? module_.begin().value : kOwnAddresses;
  for (const ModuleSegment& segment : module->segments) {
    if (!segment.writable) unwritable_.push_back(segment.range);
  }
}

Addr FlowQuestions::own(Addr in_module) const {
  return module_.contains(in_module) ? Addr(in_module.value - module_.begin().value + begin_)
                                     : in_module;
}

uint64_t FlowQuestions::in_process(uint64_t number) const {
  const uint64_t above = number - kOwnAddresses + kNameReach;
  const uint64_t index = above / kNameDistance;
  if (above % kNameDistance >= 2 * kNameReach + (index == 0 ? module_.size() : 0)) return number;
  if (index == 0) {
    return begin_ == kOwnAddresses ? number - kOwnAddresses + module_.begin().value : number;
  }
  if (index > named_.size()) return number;
  return named_[index - 1] + (above % kNameDistance) - kNameReach;
}

Value FlowQuestions::in_process(const Value& value) const {
  Value result = value;
  result.offset = static_cast<int64_t>(in_process(static_cast<uint64_t>(value.offset)));
  if (value.of == Value::Of::Loaded) {
    result.scale = static_cast<int64_t>(in_process(static_cast<uint64_t>(value.scale)));
  }
  return result;
}

uint64_t FlowQuestions::name_if_address(uint64_t number) {
  const bool is_address = context_.image.region_at(Addr(number)) != nullptr;
  return is_address ? name(number) : number;
}

uint64_t FlowQuestions::name(uint64_t in_process) {
  if (in_process == 0) return 0;
  if (module_.contains(Addr(in_process))) return own(Addr(in_process)).value;
  const auto [known, is_new] = names_.emplace(in_process, named_.size());
  if (is_new) named_.push_back(in_process);
  return kOwnAddresses + (known->second + 1) * kNameDistance;
}

// ---- questions ------------------------------------------------------------------------------------

Callee FlowQuestions::callee_at(Addr target) {
  return answer({FlowQuestion::Kind::Callee, 0, target.value}).callee;
}

Callee FlowQuestions::handed_at(int64_t displacement) {
  return answer({FlowQuestion::Kind::Handed, 0, static_cast<uint64_t>(displacement)}).callee;
}

bool FlowQuestions::is_running() {
  return asked_[answer({FlowQuestion::Kind::Running, 0, 0}).index].answer != 0;
}

std::optional<Addr> FlowQuestions::pointer_at(Addr place) {
  const FlowQuestion& q = asked_[answer({FlowQuestion::Kind::Pointer, 8, place.value}).index];
  return q.answer != 0 ? std::optional(Addr(q.value)) : std::nullopt;
}

std::optional<uint64_t> FlowQuestions::constant_at(Addr place, unsigned bytes) {
  if (bytes > 8) return std::nullopt;
  // What lies in the module's file, and is the same in every process.
  const Addr there(in_process(place.value));
  for (const AddrRange part : unwritable_) {
    if (part.contains(AddrRange::sized(there, bytes))) return constant_in_process(there, bytes);
  }
  const Asked asked{FlowQuestion::Kind::Constant, static_cast<uint8_t>(bytes), place.value};
  const FlowQuestion& q = asked_[answer(asked).index];
  return q.answer != 0 ? std::optional(q.value) : std::nullopt;
}

std::optional<uint64_t> FlowQuestions::constant_in_process(Addr place, unsigned bytes) const {
  const Region* region = context_.image.region_at(place);
  if (region == nullptr || region->perms.write || !region->module.valid()) return std::nullopt;
  std::array<std::byte, 8> buffer{};
  if (!context_.image.read_bytes(place, std::span<std::byte>(buffer).first(bytes))) {
    return std::nullopt;
  }
  return load<uint64_t>(buffer.data());
}

const FlowQuestions::Answer& FlowQuestions::answer(const Asked& asked) {
  const auto known = answers_.find(asked);
  if (known != answers_.end()) return known->second;
  FlowQuestion question;
  question.kind = asked.kind;
  question.bytes = asked.bytes;
  question.about = asked.about;
  const Answer told = ask(asked, question);
  asked_.push_back(question);
  return answers_.emplace(asked, told).first->second;
}

FlowQuestions::Answer FlowQuestions::ask(const Asked& asked, FlowQuestion& question) {
  Answer told{asked_.size(), {}};
  const Addr about(in_process(asked.about));
  switch (asked.kind) {
    case FlowQuestion::Kind::Running:
      question.answer = is_running_ ? 1 : 0;
      return told;
    case FlowQuestion::Kind::Pointer:
      if (const auto pointer = context_.image.read_addr(about)) {
        question.answer = 1;
        question.value = name(pointer->value);
      }
      return told;
    case FlowQuestion::Kind::Constant:
      if (const auto constant = constant_in_process(about, asked.bytes)) {
        question.answer = 1;
        question.value = asked.bytes == 8 ? name_if_address(*constant) : *constant;
      }
      return told;
    case FlowQuestion::Kind::Handed:
      if (context_.handed != nullptr) {
        const auto handed = context_.handed->at(module_.begin(), static_cast<int64_t>(asked.about));
        if (handed) {
          told.callee = allocator_called(context_, *handed, context_.allocators[*handed].function);
        }
      }
      break;
    case FlowQuestion::Kind::Callee:
      told.callee = context_.callee_at(about);
      if (told.callee.kind == Callee::Kind::Allocator) {
        told.callee = allocator_called(context_, told.callee.allocator, told.callee.function);
      }
      break;
  }
  Callee& callee = told.callee;
  if (!callee.function.is_null()) callee.function = Addr(name(callee.function.value));
  if (callee.kind == Callee::Kind::Allocator &&
      std::find(allocators_.begin(), allocators_.end(), callee.allocator) == allocators_.end()) {
    allocators_.push_back(callee.allocator);
  }
  question.answer = static_cast<uint8_t>(callee.kind);
  if (callee.has_context) question.answer |= FlowQuestion::kHasContext;
  if (callee.writes_text) question.answer |= FlowQuestion::kWritesText;
  question.size_parameter = callee.size_parameter;
  question.result_parameter = callee.result_parameter;
  question.value = callee.function.value;
  return told;
}

bool FlowQuestions::has_same_answer(const FlowQuestion& before) {
  FlowQuestion question{before.kind, before.bytes, before.about};
  (void)ask({before.kind, before.bytes, before.about}, question);
  return question == before;
}

}  // namespace heapscan
