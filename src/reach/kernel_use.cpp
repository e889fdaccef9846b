// A core has nothing of what the kernel keeps: the words behind epoll descriptors and timers, what
// lies in pipes. That a program uses such a service shows in two places: a thread stands in the
// system call, or a module's table of functions (GOT) has the address of the C library's wrapper.
// Functions are bound when they are first called, so the table tells use from mere mention, but for
// programs that bind everything at once. A static program has the wrapper's code only if it calls
// it.

#include "reach/why_possible.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "heapscan/base/text.h"
#include "heapscan/image/imports.h"

namespace heapscan {

namespace {

struct Service {
  std::string_view name;
  uint64_t most;  // words of one kind that the kernel is taken to hold; not what it could
};
constexpr std::array<Service, 5> kServices = {{{"epoll", 256},
                                               {"POSIX timers", 256},
                                               {"io_uring or asynchronous I/O", 256},
                                               {"message queues or queued signals", 64},
                                               {"pipes", 64}}};
constexpr size_t kEpoll = 0;
constexpr size_t kTimers = 1;
constexpr size_t kRings = 2;
constexpr size_t kMessages = 3;
constexpr size_t kPipes = 4;

struct Call {
  std::string_view name;
  size_t service;
  uint32_t number;  // of the system call that starts the use (x86-64); 0: none of its own
};
constexpr Call kCalls[] = {{"epoll_ctl", kEpoll, 233},
                           {"timer_create", kTimers, 222},
                           {"io_uring_setup", kRings, 425},
                           {"io_uring_queue_init", kRings, 0},
                           {"io_uring_queue_init_params", kRings, 0},
                           {"io_submit", kRings, 209},
                           {"mq_send", kMessages, 242},
                           {"msgsnd", kMessages, 69},
                           {"sigqueue", kMessages, 129},
                           {"pthread_sigqueue", kMessages, 297},
                           {"pipe", kPipes, 22},
                           {"pipe2", kPipes, 293},
                           {"socketpair", kPipes, 53}};
// epoll_wait, epoll_pwait, epoll_pwait2; io_uring_enter, io_getevents.
constexpr std::pair<uint64_t, size_t> kWaits[] = {
    {232, kEpoll}, {281, kEpoll}, {441, kEpoll}, {426, kRings}, {208, kRings}};

constexpr size_t kLongestName = 32;

using Used = std::array<bool, kServices.size()>;

void look_through_imports(const MemoryImage& image, const Module& module, Used& used) {
  for_each_import(image, module, kLongestName, [&](Addr slot, const std::string& name) {
    const auto call = std::find_if(std::begin(kCalls), std::end(kCalls),
                                   [&](const Call& c) { return c.name == name; });
    // Libraries have pipes to wake their own threads with.
    if (call == std::end(kCalls) || (call->service == kPipes && !module.is_executable)) return;
    const auto bound = image.read_addr(slot);
    const Module* const home = bound ? image.module_at(*bound) : nullptr;
    if (home != nullptr && home != &module) used[call->service] = true;
  });
}

// mov $number,%eax; syscall
void look_through_code(const MemoryImage& image, const Module& module, Used& used) {
  constexpr size_t kLength = 7;
  for (const ModuleSegment& segment : module.segments) {
    if (!segment.executable) continue;
    image.for_each_span(segment.range, [&](Addr, Bytes bytes) {
      for (size_t i = 0; i + kLength <= bytes.size(); ++i) {
        const auto* const at = bytes.data() + i;
        const void* const next = std::memchr(at, 0xb8, bytes.size() - i - kLength + 1);
        if (next == nullptr) return;
        i += static_cast<size_t>(static_cast<const std::byte*>(next) - at);
        if (load<uint16_t>(bytes.data() + i + 5) != 0x050f) continue;
        const auto number = load<uint32_t>(bytes.data() + i + 1);
        for (const Call& call : kCalls) {
          // The C library itself makes pipes.
          if (call.number != 0 && call.number == number && call.service != kPipes)
            used[call.service] = true;
        }
      }
    });
  }
}

}  // namespace

std::vector<UnseenReferences> find_unseen_references(const MemoryImage& image) {
  std::vector<UnseenReferences> unseen;
  if (image.kernel_references()) {
    for (const KernelReference& reference : *image.kernel_references()) {
      if (reference.kind == KernelReference::Kind::Unseen)
        unseen.push_back({reference.detail, reference.value});
    }
    return unseen;
  }
  Used used{};
  for (const Thread& thread : image.threads()) {
    if (!thread.has_registers) continue;
    for (const auto& [number, service] : kWaits) {
      if (thread.reg(Register::OrigRax) == number) used[service] = true;
    }
  }
  for (const Module& module : image.modules()) {
    if (!module.dynamic.empty()) {
      look_through_imports(image, module, used);
    } else if (module.is_executable) {
      look_through_code(image, module, used);
    }
  }
  for (size_t i = 0; i < kServices.size(); ++i) {
    if (used[i]) unseen.push_back({std::string(kServices[i].name), kServices[i].most});
  }
  return unseen;
}

std::vector<BlockId> heads_the_kernel_may_hold(const MemoryImage& image, const HeapModel& heap,
                                               std::span<const LostBlock> lost, Notes& notes) {
  const std::vector<UnseenReferences> unseen = find_unseen_references(image);
  uint64_t most = 0;
  std::string holders;
  for (const UnseenReferences& references : unseen) {
    most = std::max(most, references.most);
    holders += (holders.empty() ? "" : ", ") + references.holder;
  }
  std::map<uint64_t, uint64_t> alike;  // heads, by size
  const auto is_head = [&](const LostBlock& one) {
    return one.head == one.block && heap.block(one.block).state() == BlockState::Used;
  };
  for (const LostBlock& one : lost) {
    if (is_head(one)) ++alike[heap.block(one.block).size()];
  }
  std::vector<BlockId> heads;
  for (const LostBlock& one : lost) {
    if (is_head(one) && alike[heap.block(one.block).size()] <= most) heads.push_back(one.block);
  }
  if (heads.empty()) return heads;
  notes.push_back({NoteKind::KernelReferences, "",
                   counted(heads.size(), "block") + " that nothing points to " +
                       (heads.size() == 1 ? "is" : "are") +
                       " called possible, not lost: the kernel may hold what cannot be seen (" +
                       holders + "). More than " + std::to_string(most) +
                       " blocks of one size are called lost"});
  return heads;
}

}  // namespace heapscan
