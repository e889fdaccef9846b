// What the fields of blocks mean: those that many blocks agree on, and those of one block.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/families.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// ---- the fields that blocks agree on, learnt from samples ---------------------------------------

struct Field {
  uint64_t offset = 0;
  WordKind kind = WordKind::Zero;    // the commonest but for zero, unless all are zero
  uint32_t samples = 0;              // that are long enough to have the field
  uint32_t agreeing = 0;             // of them, those of that kind
  uint32_t zeros = 0;                // of them, those that are zero
  std::optional<uint64_t> constant;  // the one value all samples have, whatever its kind
  Addr common;  // of a pointer into a module: the commonest address; null otherwise
  uint32_t common_count = 0;
  FamilyId to;  // of a pointer to blocks, where families are known: that of most of them; or none
  uint32_t to_count = 0;
};

struct Profile {
  size_t samples = 0;
  std::vector<Field> fields;  // one per 8 bytes of the smallest sample, up to kProfiled bytes
  static constexpr uint64_t kProfiled = 1024;
};

// Of the first `limit` bytes of the samples.
[[nodiscard]] Profile make_profile(const MemoryImage& image, const AddressMap& addresses,
                                   const HeapModel& heap, std::span<const BlockId> samples,
                                   uint64_t limit = Profile::kProfiled,
                                   const Families* families = nullptr);

// ---- addresses of what was unloaded -------------------------------------------------------------

// Addresses among the libraries where nothing is mapped now: of what was unloaded.
//
// Refers to the image, which must outlive it.

class UnmappedPlaces {
 public:
  explicit UnmappedPlaces(const MemoryImage& image);
  [[nodiscard]] bool has(uint64_t word) const;

 private:
  const MemoryImage& image_;
  AddrRange libraries_;  // from below the lowest of them to the end of the highest
};

// ---- of one block -------------------------------------------------------------------------------

// What the words of one block mean, one by one: the annotated map of a group's example.
//
// Made by field_meanings() for the blocks a report shows; values only, so that a report can choose
// its words and leave content out. Strings of the target are as they were found: whoever prints
// them escapes them.

enum class Meaning : uint8_t {
  Zero,
  Integer,   // small, or small and negative
  Pair,      // two small integers
  Text,      // ASCII, in this word and those that follow
  WideText,  // UTF-16 or UTF-32, likewise
  Float,
  Time,
  SocketAddress,  // of the Internet or of Unix, perhaps behind a number of four bytes
  Value,          // any other
  Vtable,         // the vtable of a class
  Function,       // code
  Object,         // a variable or constant of a module
  ConstantText,   // points at a string in a module's read-only data
  Block,          // points at or into a block the program uses
  FreeBlock,      // at or into one that is free, or the allocator's own memory
  Stack,          // into a thread's stack or thread-local storage
  Mapped,         // into other mapped memory
  Unmapped,       // where libraries are loaded, but nothing is mapped there any more
};
[[nodiscard]] const char* name_of(Meaning meaning);

struct FieldMeaning {
  uint64_t offset = 0;  // in the block
  uint64_t length = 8;  // bytes: more than a word where words of one meaning run on
  Meaning meaning = Meaning::Zero;
  uint64_t value = 0;  // the first word
  // The class of a vtable; the function or variable pointed at, demangled; empty when it has no
  // name.
  std::string symbol = {};
  uint64_t into = 0;  // bytes behind the begin of the symbol, the module without one, or the block
  ModuleId module = {};
  BlockId block = {};      // of Block
  ClusterId cluster = {};  // of Block: the cluster of that block; none when it was not clustered
  int tid = 0;             // of Stack
  // Text, WideText (as ASCII), ConstantText: at most kMostText bytes of it. SocketAddress: spelled.
  std::string text = {};
  bool text_goes_on = false;
  static constexpr size_t kMostText = 64;

  // Whether the value or text is the program's data rather than a name or a place.
  [[nodiscard]] bool shows_content() const;
};

struct FieldContext {
  const MemoryImage& image;
  const Symbols& symbols;
  const HeapModel& heap;
  const AddressMap& addresses;
  const Clusters& clusters;
};

// Of the bytes of `block` from `from` up to `limit`, in order, none left out: runs of zeros, of
// text and of equal words are one field each. `from` is a multiple of 8. Empty when they are not
// saved.
[[nodiscard]] std::vector<FieldMeaning> field_meanings(const FieldContext& context, BlockId block,
                                                       uint64_t limit = 512, uint64_t from = 0);

// Of a value that means a time, whatever its unit: seconds since 1970.
[[nodiscard]] uint64_t seconds_of_time(uint64_t value);

// "-> idle_list (data of a.out)", "-> #3 struct conn", "\"GET /\"", "3", "1.25",
// "2026-11-20 10:00:00 UTC", "-> stack of thread 12". Clusters are counted from 1, as reports do.
// Without content, values and texts become the name of their kind.
[[nodiscard]] std::string spelled(const FieldMeaning& field, const MemoryImage& image,
                                  const Identities& identities, bool content = true);

// ---- texts of known structs ---------------------------------------------------------------------

// What a block of a known library's struct stands for, where its own text lies in no string: the
// subject of a certificate.

// "subject CN=sql.example.net" of a block with that label; empty when nothing is known. It quotes
// content, as it was found.
[[nodiscard]] std::string text_of_known(const MemoryImage& image, std::string_view label,
                                        AddrRange block);

}  // namespace heapscan
