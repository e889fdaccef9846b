// Asks every known struct about the samples of a family, the cheapest test (their size) first.
#include <algorithm>

#include "identify/known_values.h"
#include "identify/recognisers/library_structs.h"
#include "identify/recognisers/recognisers.h"

namespace heapscan {

namespace {

std::optional<Evidence> ask(const FamilyInputs& inputs, std::span<const Sample> samples,
                            const KnownStruct& known) {
  const auto agreeing =
      static_cast<size_t>(std::count_if(samples.begin(), samples.end(), [&](const Sample& sample) {
        return is_one(inputs, sample, known);
      }));
  if (!nearly_all(agreeing, samples.size())) return std::nullopt;
  Evidence evidence;
  evidence.kind = EvidenceKind::Library;
  evidence.label = known.label;
  evidence.detail = known.detail;
  evidence.samples = static_cast<uint32_t>(samples.size());
  evidence.agreeing = static_cast<uint32_t>(agreeing);
  evidence.unites = true;
  return evidence;
}

bool may_be(const Family& family, const KnownStruct& known) {
  return !family.sizes.empty() && family.sizes.front().first <= known.max_size &&
         family.sizes.back().first >= known.min_size;
}

}  // namespace

uint64_t size_of_block_at(const FamilyInputs& inputs, uint64_t address) {
  if (inputs.addresses.kind_of(address) != WordKind::BlockStart) return 0;
  return inputs.heap.block(inputs.addresses.block_meant_by(address)).size();
}

uint64_t room_at(const FamilyInputs& inputs, uint64_t address) {
  if (!is_block_pointer(inputs.addresses.kind_of(address))) return 0;
  return inputs.heap.block(inputs.addresses.block_meant_by(address)).range().end() - Addr(address);
}

bool is_code(const FamilyInputs& inputs, uint64_t address) {
  return inputs.addresses.kind_of(address) == WordKind::Code;
}

bool is_in_module(const FamilyInputs& inputs, uint64_t address) {
  const WordKind kind = inputs.addresses.kind_of(address);
  return kind == WordKind::Constant || kind == WordKind::Data;
}

std::string text_at(const FamilyInputs& inputs, uint64_t address, size_t limit) {
  const std::string text = inputs.image.read_string(Addr(address), limit + 1).value_or("");
  const bool printable = std::all_of(
      text.begin(), text.end(), [](char c) { return is_printable(static_cast<unsigned char>(c)); });
  return printable && text.size() <= limit ? text : "";
}

bool is_one(const FamilyInputs& inputs, const Sample& sample, const KnownStruct& known) {
  return sample.size >= known.min_size && sample.size <= known.max_size &&
         known.is_one(inputs, sample);
}

std::optional<Evidence> recognise_known(const FamilyInputs& inputs, FamilyId family,
                                        std::span<const Sample> samples,
                                        std::span<const KnownStruct> structs) {
  if (samples.empty()) return std::nullopt;
  for (const KnownStruct& known : structs) {
    if (!may_be(inputs.families.rows[family], known)) continue;
    if (auto evidence = ask(inputs, samples, known)) return evidence;
  }
  return std::nullopt;
}

std::optional<Evidence> recognise_library(const Inputs& inputs, FamilyId family) {
  const std::vector<Sample> samples = samples_of(inputs, family);
  for (const auto structs :
       {stdio_structs(), c_library_structs(), table_structs(), runtime_structs(), openssl_structs(),
        zlib_structs(), xml_structs(), database_structs(), other_structs()}) {
    if (auto evidence = recognise_known(inputs, family, samples, structs)) return evidence;
  }
  return std::nullopt;
}

}  // namespace heapscan
