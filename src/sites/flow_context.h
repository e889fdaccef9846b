// What is known of a process when its functions are followed.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"
#include "sites/handed_allocators.h"

namespace heapscan {

// Whom a call goes to, behind stubs and pointers; made by whoever knows all modules.
struct Callee {
  enum class Kind : uint8_t {
    Plain,
    Allocator,
    NoReturn,
    NeverCalled,    // as the image shows: code behind the call has not run
    ReturnsFirst,   // its first parameter, as memset and memcpy do
    ReturnsLength,  // of a text, as strlen does
  };
  Kind kind = Kind::Plain;
  bool writes_text = false;  // where its first parameter points, as strcpy and sprintf do
  bool has_context = false;  // of Allocator: a parameter in front of those that decide the size
  Addr function;
  uint32_t allocator = 0;        // of Allocator
  int8_t size_parameter = -1;    // likewise, as in AllocatorFunction
  int8_t result_parameter = -1;  // likewise
};

struct FlowContext {
  const MemoryImage& image;
  const std::vector<AllocatorFunction>& allocators;
  std::function<Callee(Addr)> callee_at;  // of the first instruction that is called
  // Null: calls through members lead nobody knows where.
  const HandedAllocators* handed = nullptr;
};

}  // namespace heapscan
