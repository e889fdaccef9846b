// Structs of known libraries, each told by what only it has: a magic number, a pointer to itself,
// lengths that add up. A check must be so strong that one block that passes it is one.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "identify/inputs.h"

namespace heapscan {

struct KnownStruct {
  const char* label;
  const char* detail;  // what was checked, as a sentence for people
  uint64_t min_size;   // usable bytes
  uint64_t max_size;
  bool (*is_one)(const FamilyInputs& inputs, const Sample& sample);
};
// What a sample holds at the offset; 0 behind its end.
[[nodiscard]] inline uint64_t word(const Sample& sample, uint64_t offset) {
  return sample.word(offset).value_or(0);
}
[[nodiscard]] inline uint32_t half(const Sample& sample, uint64_t offset) {
  return read_at<uint32_t>(sample.bytes, offset).value_or(0);
}

inline constexpr uint64_t kAnySize = std::numeric_limits<uint64_t>::max();

// Usable bytes of the block that begins at `address`; 0 where none does.
[[nodiscard]] uint64_t size_of_block_at(const FamilyInputs& inputs, uint64_t address);
// Bytes from `address` to the end of the block it is in; 0 where it is in none.
[[nodiscard]] uint64_t room_at(const FamilyInputs& inputs, uint64_t address);
[[nodiscard]] bool is_code(const FamilyInputs& inputs, uint64_t address);
// In a module, but no code.
[[nodiscard]] bool is_in_module(const FamilyInputs& inputs, uint64_t address);
// The text at `address`, without its NUL; empty when there is none of at most `limit` characters.
[[nodiscard]] std::string text_at(const FamilyInputs& inputs, uint64_t address,
                                  size_t limit = 4096);

[[nodiscard]] std::span<const KnownStruct> stdio_structs();
[[nodiscard]] std::span<const KnownStruct> c_library_structs();
[[nodiscard]] std::span<const KnownStruct> runtime_structs();  // loader, libstdc++
[[nodiscard]] std::span<const KnownStruct> openssl_structs();
[[nodiscard]] std::span<const KnownStruct> zlib_structs();
[[nodiscard]] std::span<const KnownStruct> xml_structs();       // libxml2
[[nodiscard]] std::span<const KnownStruct> table_structs();     // what search.h and spawn.h make
[[nodiscard]] std::span<const KnownStruct> database_structs();  // libpq, SQLite
[[nodiscard]] std::span<const KnownStruct> other_structs();     // apr, curl, json-c
// Only where GLib is in use; those that are told by a number of their own, and the others.
[[nodiscard]] std::span<const KnownStruct> glib_structs();
[[nodiscard]] std::span<const KnownStruct> glib_containers();

[[nodiscard]] bool is_one(const FamilyInputs& inputs, const Sample& sample,
                          const KnownStruct& known);
// The first of them that nearly all samples of the family are.
[[nodiscard]] std::optional<Evidence> recognise_known(const FamilyInputs& inputs, FamilyId family,
                                                      std::span<const Sample> samples,
                                                      std::span<const KnownStruct> structs);

}  // namespace heapscan
