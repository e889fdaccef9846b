// A coroutine's frame begins with two functions, one that resumes it and one that destroys it, both
// made from one function of the program. Their names say so: GCC calls them f.actor and f.destroy,
// Clang f.resume and f.destroy or f.cleanup. Where there are no names, GCC's second one does: it
// sets a bit of the frame and goes on with the first.
#include <array>
#include <string>

#include "heapscan/base/text.h"
#include "identify/recognisers/library_structs.h"
#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

// A mangled name without what tells the parts of a coroutine apart; empty when it is no such part.
std::string_view without_suffix(std::string_view name,
                                std::initializer_list<const char*> suffixes) {
  for (const char* const suffix : suffixes) {
    if (name.ends_with(suffix))
      return name.substr(0, name.size() - std::string_view(suffix).size());
  }
  return {};
}

std::string_view name_at(const Inputs& inputs, uint64_t address) {
  const auto symbol = inputs.symbols.ref_at(Addr(address));
  return symbol && symbol->offset == 0 ? symbol->name : std::string_view();
}

// Whether the code at `destroy` is "or 1 into a field of the frame, go on at `resume`".
bool goes_on_at(const Inputs& inputs, uint64_t destroy, uint64_t resume) {
  constexpr size_t kRead = 96;  // bytes; it does nothing else
  std::array<std::byte, kRead> code{};
  if (!inputs.image.read_bytes(Addr(destroy), code)) return false;
  const auto byte = [&](size_t at) { return std::to_integer<uint8_t>(code[at]); };
  bool sets_bit = false;
  for (size_t at = 0; at + 5 <= kRead; ++at) {
    const bool or_memory =
        byte(at) == 0x66 && byte(at + 1) == 0x83 && (byte(at + 2) & 0x38) == 0x08;
    const bool or_register = byte(at) == 0x83 && (byte(at + 1) & 0xf8) == 0xc8 && byte(at + 2) == 1;
    sets_bit = sets_bit || or_memory || or_register;
    const uint8_t operation = byte(at);
    if (!sets_bit || (operation != 0xe9 && operation != 0xe8 && operation != 0xeb)) continue;
    const bool is_short = operation == 0xeb;
    const int64_t distance =
        is_short ? load<int8_t>(code.data() + at + 1) : load<int32_t>(code.data() + at + 1);
    const uint64_t next = destroy + at + (is_short ? 2 : 5);
    if (next + static_cast<uint64_t>(distance) == resume) return true;
  }
  return false;
}

// "fetch_quote"; "?" of a coroutine without a name, nothing when it is none.
std::string function_of(const Inputs& inputs, const Sample& sample) {
  const uint64_t resume = word(sample, 0);
  const uint64_t destroy = word(sample, 8);
  if (!is_code(inputs, destroy) || (resume != 0 && !is_code(inputs, resume))) return "";
  const std::string_view second =
      without_suffix(name_at(inputs, destroy), {".destroy", ".cleanup"});
  if (!second.empty()) {
    const std::string_view first = without_suffix(name_at(inputs, resume), {".actor", ".resume"});
    if (resume != 0 && first != second) return "";
    return name_of_function(second);
  }
  return resume != 0 && name_at(inputs, destroy).empty() && goes_on_at(inputs, destroy, resume)
             ? "?"
             : "";
}

}  // namespace

std::optional<Evidence> recognise_coroutine(const Inputs& inputs, FamilyId family) {
  const std::vector<Sample> samples = samples_of(inputs, family);
  const auto answers =
      count_answers(samples, [&](const Sample& sample) { return function_of(inputs, sample); });
  if (answers.empty()) return std::nullopt;
  const auto& [function, agreeing] = commonest(answers);
  if (!nearly_all(agreeing, samples.size())) return std::nullopt;
  Evidence evidence;
  const bool is_known = function != "?";
  evidence.label = is_known ? "coroutine frame of " + function : "coroutine frame";
  evidence.detail = "it begins with the functions that resume and destroy it";
  evidence.kind = EvidenceKind::Library;
  evidence.samples = static_cast<uint32_t>(samples.size());
  evidence.agreeing = agreeing;
  evidence.unites = is_known;
  return evidence;
}

}  // namespace heapscan
