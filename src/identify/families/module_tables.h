// What the constants are that blocks point at: tables of functions tell classes apart, strings do
// not. One per thread; remembers what it has looked up.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"
#include "identify/families/signatures.h"

namespace heapscan {

class ModuleTables {
 public:
  ModuleTables(const MemoryImage& image, const Symbols& symbols, const AddressMap& addresses)
      : image_(image), symbols_(symbols), addresses_(addresses) {}

  // Makes the first trait a Table where it names one, and takes the identity off every pointer to a
  // string: which string a field names does not tell records apart.
  void judge_constants(Signature& signature);

 private:
  enum class Kind : uint8_t { Functions, String, Other };
  [[nodiscard]] Kind kind_at(uint64_t address);
  [[nodiscard]] Kind look_at(uint64_t address) const;

  const MemoryImage& image_;
  const Symbols& symbols_;
  const AddressMap& addresses_;
  std::unordered_map<uint64_t, Kind> known_;
};

}  // namespace heapscan
