// What the words of one block mean, one by one: the annotated map of a group's example.
//
// Made by field_meanings() for the blocks a report shows; values only, so that a report can choose
// its words and leave content out. Strings of the target are as they were found: whoever prints
// them escapes them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/identify/clusters.h"
#include "heapscan/identify/identities.h"
#include "heapscan/identify/words.h"
#include "heapscan/image/image.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

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

}  // namespace heapscan
