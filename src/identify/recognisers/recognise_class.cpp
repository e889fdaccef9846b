// The first word of an object with virtual functions is its class's primary vtable, the one whose
// offset to top is zero; no other word at the begin of a block passes class_of_vtable(). Objects
// side by side in one block repeat the word at the distance of their size: an object cannot
// contain another of its own class, so the repetition proves an array. new T[n] puts n before it.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "identify/inputs.h"
#include "identify/recognisers/block_types.h"
#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

constexpr uint64_t kCookie = 8;

enum class Form : uint8_t { None, Single, Array, CountedArray };

// The distance at which `vptr`, which stands at `first`, comes again; 0 when it does not.
uint64_t stride_of(const Sample& sample, uint64_t first, uint64_t vptr) {
  for (uint64_t offset = first + 8; offset + 8 <= sample.bytes.size(); offset += 8) {
    if (sample.word(offset) == vptr) return offset - first;
  }
  return 0;
}

// All repetitions lie side by side from the first on, with whole elements between them.
bool is_array(const Sample& sample, uint64_t first, uint64_t vptr, uint64_t stride) {
  if (stride < 8 || first + 2 * stride > sample.size) return false;
  bool goes_on = true;
  for (uint64_t offset = first; offset + 8 <= sample.bytes.size(); offset += 8) {
    const bool is_place = (offset - first) % stride == 0;
    const bool is_object = sample.word(offset) == vptr;
    if (is_object && !(is_place && goes_on)) return false;
    if (is_place && !is_object) goes_on = false;
  }
  return true;
}

Form form_at_cookie(const Sample& sample, uint64_t vptr) {
  const uint64_t count = sample.word(0).value_or(0);
  const uint64_t stride = stride_of(sample, kCookie, vptr);
  if (count < 2 || stride == 0 || count > sample.size / stride) return Form::None;
  const uint64_t used = kCookie + count * stride;
  if (!fills(used, sample.size)) return Form::None;
  return is_array(sample, kCookie, vptr, stride) ? Form::CountedArray : Form::None;
}

class Classes {
 public:
  explicit Classes(const Inputs& inputs) : inputs_(inputs) {}

  // Of the complete object that begins with `vptr`.
  const std::string* name(uint64_t vptr) {
    const auto [place, is_new] = names_.try_emplace(vptr);
    if (is_new) {
      const auto found = class_of_vtable(inputs_.image, inputs_.symbols, inputs_.addresses, vptr);
      if (found && found->offset_to_top.value_or(0) == 0)
        place->second = label_of_class(found->name);
    }
    return place->second.empty() ? nullptr : &place->second;
  }

 private:
  const Inputs& inputs_;
  std::map<uint64_t, std::string> names_;
};

struct ClassAnswer {
  std::string name;
  Form form = Form::None;
  auto operator<=>(const ClassAnswer&) const = default;
};

ClassAnswer answer_of(const Sample& sample, Classes& classes) {
  const uint64_t first = sample.word(0).value_or(0);
  if (const std::string* name = classes.name(first)) {
    const uint64_t stride = stride_of(sample, 0, first);
    return {*name, is_array(sample, 0, first, stride) ? Form::Array : Form::Single};
  }
  const uint64_t second = sample.word(kCookie).value_or(0);
  const std::string* name = classes.name(second);
  if (name == nullptr) return {};
  const Form form = form_at_cookie(sample, second);
  return form == Form::None ? ClassAnswer{} : ClassAnswer{*name, form};
}

}  // namespace

std::optional<Evidence> recognise_class(const Inputs& inputs, FamilyId family) {
  const std::vector<Sample> samples = samples_of(inputs, family);
  Classes classes(inputs);
  const auto answers =
      count_answers(samples, [&](const Sample& sample) { return answer_of(sample, classes); });
  if (answers.empty()) return std::nullopt;
  const ClassAnswer& most = commonest(answers).first;
  // Of vectors with different capacity some hold a single object.
  const std::string& name = most.name;
  uint32_t agreeing = 0;
  uint32_t arrays = 0;
  for (const auto& [answer, count] : answers) {
    if (answer.name != name) continue;
    agreeing += count;
    if (answer.form != Form::Single) arrays += count;
  }
  if (!nearly_all(agreeing, samples.size())) return std::nullopt;
  Evidence evidence;
  evidence.kind = EvidenceKind::Vtable;
  evidence.label = 2 * arrays > agreeing ? "array of " + name : name;
  evidence.detail =
      fmt::format("+{:#x} -> vtable for {}", most.form == Form::CountedArray ? kCookie : 0, name);
  evidence.samples = static_cast<uint32_t>(samples.size());
  evidence.agreeing = agreeing;
  evidence.unites = true;
  return evidence;
}

}  // namespace heapscan
