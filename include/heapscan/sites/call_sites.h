// Calls in the target's code that allocate memory, and what the code around each says of the blocks
// that come from it.
//
// Made by find_call_sites() from the instructions of every module, stripped or not: a call site is
// a call of malloc, its family, operator new or a library function that hands out a block, or of a
// function that passes one on (a wrapper: found, not listed). Sites are where a person would look:
// in the caller of the outermost wrapper. x86-64 only. Addresses are run-time addresses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"
#include "heapscan/sites/code_store.h"
#include "heapscan/symbols/debug_info.h"
#include "heapscan/symbols/symbols.h"
#include "heapscan/symbols/types.h"

namespace heapscan {

using CallSiteId = Id<struct CallSiteTag>;

// How many bytes a site asks for.
struct RequestedBytes {
  enum class Kind : uint8_t {
    Constant,  // one of `constants`
    Linear,    // base + n * step, for an n that only the run knows
    Unknown,   // decided inside the callee: the length of a string, a library's struct
  };
  Kind kind = Kind::Unknown;
  std::vector<uint64_t> constants;  // bytes; sorted, at most kMostConstants
  uint64_t base = 0;                // bytes
  uint64_t step = 1;                // bytes; not 0
  bool is_of_text = false;          // Linear: n is the length of a text
  static constexpr size_t kMostConstants = 4;
};

// A word, or part of one, that the code behind the call writes into the new block.
struct StoredField {
  enum class Kind : uint8_t {
    Constant,    // `value`: a number, or an address of code or data
    Allocation,  // the block of another site
    OwnAddress,  // the block's own address plus `value`, as in the head of an empty list
    Other,       // a value that is not known here: the field is written, no more
  };
  uint64_t offset = 0;  // in the block
  uint8_t width = 8;    // bytes: 1, 2, 4 or 8
  Kind kind = Kind::Other;
  uint64_t value = 0;
  Addr at;  // of the instruction that writes it, in the site's function or in one that it calls
};

// A function that hands out memory, whoever wrote it.
struct AllocatorFunction {
  Addr function;
  std::string name;              // as in the file; empty when it has none
  int8_t size_parameter = -1;    // counted from 0; -1: the size is none of its parameters
  int8_t count_parameter = -1;   // times which the size is meant
  uint64_t fixed_bytes = 0;      // added to what the parameters say
  uint64_t header_bytes = 0;     // between what malloc returns and what it returns
  uint64_t scale = 1;            // of the size parameter
  bool fills_text = false;       // strdup: the block is a string
  bool is_operator_new = false;  // or ends in it, as the members of std::string do
  int8_t result_parameter = -1;  // the block goes through this pointer; -1: it is returned
  bool is_maker = false;  // it decides itself how much it asks for: a function that makes an object
  Addr inner;             // the allocator that it calls; null for those of libraries
  uint32_t callers = 0;   // calls of it, if it is a wrapper or a maker
};

struct CallSite {
  ModuleId module;
  Addr call;                        // of the call instruction; the return address is behind it
  Addr after;                       // the return address; of a tail call the end of the jump
  Addr function;                    // where the function that holds it begins; null when not known
  uint32_t allocator = 0;           // which one it calls, of CallSites::allocators
  RequestedBytes bytes;             // as malloc sees them
  std::vector<StoredField> fields;  // sorted by offset; offsets as malloc's caller sees them
  bool makes_text = false;          // as the size and what becomes of the block say
  uint32_t callers = 0;             // places that call its function, of one that hands the block on
};

// Code that makes a block of `parent` point to one of `child`, `offset` bytes into it.
struct SiteLink {
  CallSiteId child;
  uint64_t offset = 0;
  CallSiteId parent;  // none: whatever the code was handed
};

// An instruction that takes the address of a function or object.
struct Mention {
  Addr of;
  Addr function;  // that does so
};

// What the source assigns the pointer to that a site's call returns.
struct SiteResult {
  std::string name;                      // "session", "pool->free_list"; empty: it is returned
  TypeKind pointee = TypeKind::Unknown;  // what that points to; Unknown: nothing is known
  // The struct, class or union that it points to, or, where it points to pointers, that these do.
  TypeId record;
};

struct CallSites {
  Column<CallSiteId, CallSite> rows;          // sorted by call
  Column<CallSiteId, SiteResult> results;     // of name_results(); empty where nobody asked
  std::vector<SiteLink> links;                // sorted by child, each once
  std::vector<Mention> mentions;              // by functions with sites only; sorted, each once
  std::vector<AllocatorFunction> allocators;  // known ones and wrappers
  Notes notes;

  // The allocator that a site calls, then those that it goes through, the last one known to the C
  // library or to C++ where all are known. Bounded.
  [[nodiscard]] std::vector<const AllocatorFunction*> chain_of(const CallSite& site) const;
};

// Damaged code costs what it touches: every function, module and round is bounded. Functions that
// were left out are noted. With a `store` functions that an earlier run followed are not followed
// again; what is found is the same.
[[nodiscard]] CallSites find_call_sites(const MemoryImage& image, const Symbols& symbols,
                                        const RuntimeFacts& runtime, const CodeStore& store = {});

// CallSites::results, as far as debug information tells: location lists and the code behind each call.
// `types` are of the same modules.
[[nodiscard]] Column<CallSiteId, SiteResult> name_results(const MemoryImage& image,
                                                          const DebugInfo& debug_info,
                                                          const Types& types,
                                                          const CallSites& sites);

}  // namespace heapscan
