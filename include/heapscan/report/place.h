// What lies at an address of the target: a block, a variable, code, a stack, nothing.
//
// Made by PlaceFinder. Every string is escaped.
#pragma once

#include <cstdint>
#include <string>

#include "heapscan/analysis/analysis.h"
#include "heapscan/base/addr.h"
#include "heapscan/identify/described_variables.h"

namespace heapscan {

enum class PlaceKind : uint8_t {
  Block,          // in use
  FreeBlock,      // freed, or never handed out
  Allocator,      // malloc's own: its state, headers between blocks, the C library's own blocks
  Mapping,        // an anonymous mapping that the program made
  Code,           // a function, or code without a name
  Variable,       // a global or local variable, or module data without a name
  Stack,          // of a thread
  ThreadStorage,  // thread-local storage, or a thread's descriptor
  Memory,         // other mapped memory
  Unmapped,
};
// "block", "variable": for scripts.
[[nodiscard]] const char* name_of(PlaceKind kind);

struct Place {
  PlaceKind kind = PlaceKind::Unmapped;
  Addr at;
  // Of a block what it is, if that is known; otherwise the variable, function, thread or mapping.
  std::string name;
  std::string owner;  // the module or thread; empty: none
  Addr begin;         // of the block, variable, function or mapping; null: unknown
  uint64_t size = 0;  // bytes of it; 0: unknown
  // Of a block its verdict, or what it is instead; of a stack whether `at` lies below what is in use;
  // of code its line, where that is known.
  std::string state;
  std::string cluster;  // the id of a block's group; empty: none
  std::string member;   // what lies at `at` in a block or variable of a known type
  std::string type;     // of that, or of the variable

  [[nodiscard]] uint64_t offset() const { return begin.is_null() ? 0 : at - begin; }
};

// "+0x18 in block 0x…, 264 B, struct session, definite", "queue of nginx", "not mapped".
[[nodiscard]] std::string spelled(const Place& place);

// Refers to the analysis, which must outlive it.
class PlaceFinder {
 public:
  explicit PlaceFinder(const Analysis& analysis);
  [[nodiscard]] Place at(Addr at) const;

 private:
  [[nodiscard]] Place in_block(BlockId id, Addr at) const;
  [[nodiscard]] Place in_module(const Region* region, Addr at) const;
  [[nodiscard]] bool in_thread(Place& place) const;
  void describe_variable(Place& place) const;
  [[nodiscard]] std::string thread_name(int tid) const;

  const Analysis& analysis_;
  const DescribedVariables variables_;
};

// ---- of one block -------------------------------------------------------------------------------

// What the block is, and the id of its group; empty when that is not known.
[[nodiscard]] std::string label_of_block(const Analysis& analysis, BlockId block);
[[nodiscard]] std::string id_of_block(const Analysis& analysis, BlockId block);
// None when it is not known.
[[nodiscard]] TypeId type_of_block(const Analysis& analysis, BlockId block);
// Its verdict, or what else it is: "free", "the C library's own".
[[nodiscard]] std::string state_of_block(const Analysis& analysis, BlockId block);

}  // namespace heapscan
