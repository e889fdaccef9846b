// Where the program can still get at memory from: everything but malloc blocks themselves.
//
// Each root is named. Strong roots make what they start-point at reachable; weak ones make it
// possible. Diagnostic roots keep nothing alive: they explain a nearest miss ("only a dead stack
// slot of thread 12 still names it").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "heapscan/base/addr.h"
#include "heapscan/base/id.h"
#include "heapscan/base/note.h"
#include "heapscan/heap/heap_model.h"
#include "heapscan/image/image.h"
#include "heapscan/runtime/runtime_facts.h"

namespace heapscan {

enum class RootKind : uint8_t {
  ModuleData,    // writable segments of a module, RELRO included
  LoaderMemory,  // what ld.so allocated before malloc existed
  Stack,         // a live thread's stack from SP - 128
  SignalStack,   // an alternative stack in use, or the interrupted stack under a handler
  Register,
  VectorRegister,
  ThreadLocal,   // static TLS and struct pthread of a live thread
  ThreadResult,  // what an exited, unjoined thread returned
  Dtv,           // the dynamic thread vector and the blocks it names
  Epoll,
  Timer,
  QueuedSignal,
  SharedMemory,    // MAP_SHARED memory that has a file: weak
  InTransit,       // a block that a thread inside malloc or free is at work on: weak
  ThreadArgument,  // pd->arg of a running thread: weak
  DamagedHeap,     // heap memory that could not be parsed: weak
  UnknownMemory,   // anything else writable: weak
  DeadStack,       // below SP: diagnostic
  CachedStack,     // stacks and TLS of finished threads: diagnostic
  KernelQueue,     // a word in a pipe or socket: weak
  IoUring,         // a word of a request, a completion or a registered buffer: weak
};
[[nodiscard]] const char* name_of(RootKind kind);

enum class RootStrength : uint8_t { Strong, Weak, Diagnostic };
[[nodiscard]] RootStrength strength_of(RootKind kind);

// Words to scan, aligned to 8.
struct RootRange {
  RootKind kind = RootKind::UnknownMemory;
  AddrRange range;
  int tid = 0;      // of stacks and thread-local storage
  ModuleId module;  // of module data
};

// One word that is not in memory, or is one by itself.
struct RootWord {
  RootKind kind = RootKind::Register;
  uint64_t value = 0;
  int tid = 0;
  std::string name;       // "rbx", "xmm9", "epoll fd 7 watching fd 12"
  bool is_start = false;  // value is a start pointer whatever it looks like (dtv + 16)
};

struct Roots {
  std::vector<RootRange> ranges;  // sorted by address, disjoint but for diagnostic ones
  std::vector<RootWord> words;
  Notes notes;
};

[[nodiscard]] Roots find_roots(const MemoryImage& image, const RuntimeFacts& runtime,
                               const HeapModel& heap);

}  // namespace heapscan
