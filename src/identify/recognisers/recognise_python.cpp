// Objects of CPython: a reference count, then the type, which is an object itself and has a type;
// that chain ends at `type`, the only object that is its own type. So an object is told from memory
// alone, and its type says its name. What the garbage collector watches has a header of its own in
// front, since 3.12 sometimes behind two more words.
//
// Sources: CPython Include/object.h, Include/cpython/object.h (tp_name, tp_basicsize follow the
// PyVarObject head), Include/internal/pycore_gc.h; 3.5 to 3.13, builds without
// Py_TRACE_REFS.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "identify/recognisers/recogniser_samples.h"
#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

constexpr uint64_t kType = 8;   // of an object
constexpr uint64_t kName = 24;  // of a type: tp_name
constexpr uint64_t kBasicSize = 32;
constexpr uint64_t kFlags = 168;
constexpr uint64_t kMakesTypes = uint64_t{1} << 31;  // Py_TPFLAGS_TYPE_SUBCLASS
constexpr uint64_t kLargestBasicSize = 1 << 16;
constexpr uint64_t kMostReferences = 0xffffffff;  // 3.12 and later: of what never dies
constexpr size_t kLongestPythonName = 128;
constexpr int kMostMetatypes = 4;
constexpr uint64_t kHeaders[] = {0, 16, 32};

bool is_name(const std::string& name) {
  return !name.empty() && name.size() < kLongestPythonName &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '.' || c == '-' || c == ' ' || c == '<' || c == '>';
         });
}

// Whether the types of types lead from `type` to the one that is its own.
bool leads_to_type(const MemoryImage& image, Addr type) {
  for (int i = 0; i < kMostMetatypes; ++i) {
    if (type.is_null() || !type.is_aligned(8)) return false;
    const auto next = image.read_addr(type + kType);
    if (!next) return false;
    if (*next == type) {
      const auto name = image.read_addr(type + kName);
      return name && image.read_string(*name, kLongestPythonName) == "type";
    }
    type = *next;
  }
  return false;
}

struct PythonType {
  std::string name;  // empty: it is none
  uint64_t basic_size = 0;
  bool named_in_heap = false;  // a class made at run time
};

PythonType read_type(const MemoryImage& image, Addr type) {
  if (!leads_to_type(image, type)) return {};
  const auto name = image.read_addr(type + kName);
  const auto basic_size = image.read<uint64_t>(type + kBasicSize);
  if (!name || !basic_size || *basic_size < 16 || *basic_size > kLargestBasicSize) return {};
  if ((image.read<uint64_t>(type + kFlags).value_or(0) & kMakesTypes) != 0)
    return {"type", *basic_size, false};  // classes, whatever their metaclass
  auto text = image.read_string(*name, kLongestPythonName);
  if (!text || !is_name(*text)) return {};
  return {std::move(*text), *basic_size, image.module_at(*name) == nullptr};
}

class PythonTypes {
 public:
  explicit PythonTypes(const Inputs& inputs) : inputs_(inputs) {}

  const PythonType& at(uint64_t address) {
    const auto [place, is_new] = types_.try_emplace(address);
    const WordKind kind = is_new ? inputs_.addresses.kind_of(address) : WordKind::Zero;
    if (kind == WordKind::Data || is_block_pointer(kind) || kind == WordKind::Mapped)
      place->second = read_type(inputs_.image, Addr(address));
    return place->second;
  }

 private:
  const Inputs& inputs_;
  std::map<uint64_t, PythonType> types_;
};

struct PythonAnswer {
  std::string name;
  uint64_t header = 0;
  bool named_in_heap = false;
  auto operator<=>(const PythonAnswer&) const = default;
};

PythonAnswer answer_of(const Sample& sample, PythonTypes& types) {
  for (const uint64_t header : kHeaders) {
    const auto count = sample.word(header);
    const auto address = sample.word(header + kType);
    if (!count || *count == 0 || *count > kMostReferences || !address) continue;
    const PythonType& type = types.at(*address);
    if (!type.name.empty() && header + type.basic_size <= sample.size)
      return {type.name, header, type.named_in_heap};
  }
  return {};
}

}  // namespace

std::optional<Evidence> recognise_python(const Inputs& inputs, ClusterId cluster) {
  const std::vector<Sample> samples = samples_of(inputs, cluster);
  PythonTypes types(inputs);
  std::map<PythonAnswer, uint32_t> answers;
  for (const Sample& sample : samples) ++answers[answer_of(sample, types)];
  answers.erase(PythonAnswer{});
  if (answers.empty()) return std::nullopt;
  const auto best =
      std::max_element(answers.begin(), answers.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  if (!nearly_all(best->second, samples.size())) return std::nullopt;
  Evidence evidence;
  evidence.kind = EvidenceKind::Library;
  evidence.label = "Python " + best->first.name;
  evidence.detail =
      fmt::format("+{:#x} -> Python type {}", best->first.header + kType, best->first.name);
  evidence.samples = static_cast<uint32_t>(samples.size());
  evidence.agreeing = best->second;
  evidence.unites = true;
  evidence.quotes_heap = best->first.named_in_heap;
  return evidence;
}

}  // namespace heapscan
