// Objects of CPython: a reference count, then the type, which is an object itself and has a type;
// that chain ends at `type`, the only object that is its own type. So an object is told from memory
// alone, and its type says its name. What the garbage collector watches has a header of its own in
// front, since 3.12 sometimes behind two more words.
//
// Sources: CPython Include/object.h, Include/cpython/object.h (tp_name, tp_basicsize follow the
// PyVarObject head), Include/internal/pycore_gc.h; 3.5 to 3.13, builds without
// Py_TRACE_REFS.
#include "identify/recognisers/block_types.h"

#include <fmt/format.h>

#include <algorithm>

#include "heapscan/base/parallel.h"
#include "identify/inputs.h"
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
constexpr uint64_t kSmallestText = 40;  // of a string whose characters follow its head
constexpr size_t kMostPythonTypes = 100'000;
constexpr size_t kPythonGrain = 4096;  // blocks

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

PythonType read_type(const MemoryImage& image, Addr type) {
  if (!leads_to_type(image, type)) return {};
  const auto name = image.read_addr(type + kName);
  const auto basic_size = image.read<uint64_t>(type + kBasicSize);
  if (!name || !basic_size || *basic_size < 16 || *basic_size > kLargestBasicSize) return {};
  if ((image.read<uint64_t>(type + kFlags).value_or(0) & kMakesTypes) != 0)
    return {"Python type", *basic_size, false};  // classes, whatever their metaclass
  auto text = image.read_string(*name, kLongestPythonName);
  if (!text || !is_name(*text)) return {};
  const uint64_t least = *text == "str" ? std::min(*basic_size, kSmallestText) : *basic_size;
  return {"Python " + *text, least, image.module_at(*name) == nullptr};
}

bool may_be_type(const FamilyInputs& inputs, uint64_t address) {
  const WordKind kind = inputs.addresses.kind_of(address);
  return kind == WordKind::Data || is_block_pointer(kind) || kind == WordKind::Mapped;
}

struct PythonAnswer {
  std::string name;
  uint64_t header = 0;
  bool named_in_heap = false;
  auto operator<=>(const PythonAnswer&) const = default;
};

// f(header, address of the type) for what may be the head of an object.
template <typename F>
void for_each_head(const Sample& sample, F&& f) {
  for (const uint64_t header : kHeaders) {
    const auto count = sample.word(header);
    const auto address = sample.word(header + kType);
    if (count && *count != 0 && *count <= kMostReferences && address) f(header, *address);
  }
}

// `type_at(address)`: the type there, or null.
template <typename F>
PythonAnswer answer_of(const Sample& sample, F&& type_at) {
  PythonAnswer answer;
  for_each_head(sample, [&](uint64_t header, uint64_t address) {
    const PythonType* const type = answer.name.empty() ? type_at(address) : nullptr;
    if (type != nullptr && !type->name.empty() && header + type->least_size <= sample.size)
      answer = {type->name, header, type->named_in_heap};
  });
  return answer;
}

bool has_python(const FamilyInputs& inputs) {
  for (size_t i = 0; i < inputs.image.modules().size(); ++i) {
    if (inputs.symbols.address_of(ModuleId(i), "PyType_Type")) return true;
  }
  return false;
}

// Where types may lie, by what the blocks point at.
std::vector<uint64_t> possible_types(const FamilyInputs& inputs) {
  const std::vector<BlockId>& blocks = inputs.families.blocks;
  std::vector<std::vector<uint64_t>> pieces((blocks.size() + kPythonGrain - 1) / kPythonGrain);
  parallel_for_pieces(blocks.size(), kPythonGrain, [&](size_t begin, size_t end) {
    std::vector<uint64_t>& found = pieces[begin / kPythonGrain];
    for (size_t i = begin; i < end; ++i) {
      const auto sample = sample_of(inputs, blocks[i]);
      if (!sample) continue;
      for_each_head(*sample, [&](uint64_t, uint64_t address) {
        if (address % 8 == 0 && may_be_type(inputs, address)) found.push_back(address);
      });
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
  });
  std::vector<uint64_t> all;
  for (const std::vector<uint64_t>& piece : pieces)
    all.insert(all.end(), piece.begin(), piece.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  all.resize(std::min(all.size(), kMostPythonTypes));
  return all;
}

}  // namespace

PythonKinds::PythonKinds(const FamilyInputs& inputs) : inputs_(inputs) {
  if (!has_python(inputs)) return;
  for (const uint64_t address : possible_types(inputs)) {
    PythonType type = read_type(inputs.image, Addr(address));
    if (!type.name.empty()) types_.emplace(address, std::move(type));
  }
}

std::string_view PythonKinds::name_of(BlockId block) const {
  const auto sample = sample_of(inputs_, block);
  if (!sample) return {};
  std::string_view name;
  for_each_head(*sample, [&](uint64_t header, uint64_t address) {
    const auto type = types_.find(address);
    if (name.empty() && type != types_.end() && header + type->second.least_size <= sample->size) {
      name = type->second.name;
    }
  });
  return name;
}

std::vector<std::string> PythonKinds::names() const {
  std::vector<std::string> names;
  for (const auto& [address, type] : types_) names.push_back(type.name);
  return names;
}

std::optional<Evidence> recognise_python(const Inputs& inputs, FamilyId family) {
  const std::vector<Sample> samples = samples_of(inputs, family);
  std::map<uint64_t, PythonType> types;
  const auto type_at = [&](uint64_t address) {
    const auto [place, is_new] = types.try_emplace(address);
    if (is_new && may_be_type(inputs, address))
      place->second = read_type(inputs.image, Addr(address));
    return &place->second;
  };
  const auto answers =
      count_answers(samples, [&](const Sample& sample) { return answer_of(sample, type_at); });
  if (answers.empty()) return std::nullopt;
  const auto& [answer, agreeing] = commonest(answers);
  if (!nearly_all(agreeing, samples.size())) return std::nullopt;
  Evidence evidence;
  evidence.kind = EvidenceKind::Library;
  evidence.label = answer.name;
  evidence.detail = fmt::format("+{:#x} -> the type of {}", answer.header + kType, answer.name);
  evidence.samples = static_cast<uint32_t>(samples.size());
  evidence.agreeing = agreeing;
  evidence.unites = true;
  evidence.quotes_heap = answer.named_in_heap;
  return evidence;
}

}  // namespace heapscan
