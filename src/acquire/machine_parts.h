// Parts of read_machine(), each with the time that it may take.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "acquire/kernel_files.h"
#include "heapscan/machine/machine.h"

namespace heapscan {

// ---- what may take too long ---------------------------------------------------------------------

// Calls work(deliver) in a thread of its own, and returns what it has delivered when it has ended, or
// when `patience` is over. The kernel may let a read wait for ever (for the lock of a process that
// hangs, say): then that thread hangs, and ends with heapscan. deliver() is false when nobody waits any
// more. `work` owns all it uses.
template <typename T>
std::vector<T> collect_within(std::chrono::milliseconds patience,
                              std::function<void(const std::function<bool(T)>& deliver)> work) {
  struct Box {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<T> items;
    bool ended = false;
    bool closed = false;
  };
  const auto box = std::make_shared<Box>();
  const auto run = [box, work = std::move(work)] {
    work([&box](T item) {
      const std::lock_guard lock(box->mutex);
      if (!box->closed) box->items.push_back(std::move(item));
      return !box->closed;
    });
    const std::lock_guard lock(box->mutex);
    box->ended = true;
    box->changed.notify_one();
  };
  try {
    std::thread(run).detach();
  } catch (const std::system_error&) {
    return {};  // no thread is to be had
  }
  std::unique_lock lock(box->mutex);
  box->changed.wait_for(lock, patience, [&box] { return box->ended; });
  box->closed = true;
  return std::move(box->items);
}

// ---- the parts ----------------------------------------------------------------------------------

// `proc` is "/proc".
[[nodiscard]] std::vector<ProcessMemory> read_process_memory(const std::string& proc,
                                                             uint64_t page_size);
// Adds to the processes of `facts` their shares of what they share, as far as time allows.
void read_rollups(const std::string& proc, MachineFacts& facts);
void read_nameless_files(MachineFacts& facts);
void read_tmpfs_mounts(const std::string& root, MachineFacts& facts);
void read_cgroup_uses(const std::string& root, MachineFacts& facts);
void read_kmemleak(const std::string& root, MachineFacts& facts);

}  // namespace heapscan
