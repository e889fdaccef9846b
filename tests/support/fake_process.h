// A process written down by hand: modules, memory, threads with glibc descriptors. What is poked is
// what the image holds.
//
//   FakeProcess process;
//   const Addr worker = process.add_stack(Addr(0x7f5000000000), 0x10000, 12);  // a descriptor at
//   its top process.link(FakeProcess::kStackUsed, {worker}); process.add_thread(12, worker, worker
//   - 0x800); const MemoryImage image = process.build();
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "heapscan/image/image.h"

namespace heapscan {

class FakeProcess {
 public:
  static constexpr uint64_t kDescriptorSize = 0x940;
  static constexpr Addr kProgram{0x555555550000};  // code; data one page on
  static constexpr Addr kCode{0x555555550100};
  static constexpr Addr kProgramData{0x555555551000};
  static constexpr Addr kLoader{0x7ffff7fc0000};  // code; data one page on
  static constexpr Addr kLoaderData{0x7ffff7fc1000};
  static constexpr Addr kFirstStack{0x7ffffffde000};
  static constexpr uint64_t kFirstStackSize = 0x21000;
  static constexpr Addr kFirstStorage{
      0x7ffff7d00000};  // the first thread's TLS and descriptor, in loader memory
  static constexpr Addr kFirstDescriptor{0x7ffff7d00780};
  // Heads of the lists, one behind the other as in _rtld_global since 2.34.
  static constexpr Addr kStackUsed{0x7ffff7fc1800};
  static constexpr Addr kStackUser{0x7ffff7fc1810};
  static constexpr Addr kStackCache{0x7ffff7fc1820};

  // Where members of struct pthread lie: glibc 2.32 to 2.41, and 2.43.
  struct Members {
    uint64_t joiner;
    uint64_t result;
    uint64_t start_routine;
    uint64_t argument;
  };
  static constexpr Members k241{0x620, 0x628, 0x638, 0x640};
  static constexpr Members k243{0x628, 0x630, 0x640, 0x648};

  // A program, a loader, the first stack and the first thread's descriptor. `members` holds for
  // every descriptor.
  explicit FakeProcess(Members members = k241);

  ModuleId program{0};
  ModuleId loader{1};
  const Members members;

  // Writable private anonymous memory, or what `region` says; may be changed until build().
  Region& map(Addr begin, uint64_t size);
  ModuleId add_module(const std::string& path, Addr begin, uint64_t size);
  Module& module(ModuleId id) { return modules_[id.index()]; }
  void poke(Addr at, uint64_t value);
  void poke(Addr at, Addr value) { poke(at, value.value); }
  void poke_half(Addr at, uint32_t value);
  [[nodiscard]] uint64_t word(Addr at);  // as poked
  void poke_text(Addr at, const std::string& text);

  // Writes a descriptor.
  void add_descriptor(Addr at, AddrRange stack, uint64_t guard, int tid);
  // Maps a stack whose lowest page is a guard that maps do not show, with a descriptor at its top.
  Addr add_stack(Addr begin, uint64_t size, int tid);
  // Makes a ring of `head` and the descriptors.
  void link(Addr head, std::initializer_list<Addr> descriptors);

  // The loader's list of link maps, in the order given, which is the order of lookup. Returns where
  // they are.
  std::vector<Addr> link_modules(std::initializer_list<ModuleId> order);

  Thread& add_thread(int tid, Addr thread_pointer, Addr sp);
  // The first thread, with its descriptor and on its list.
  Thread& add_first_thread(int tid = 1);

  void set_aux(std::vector<AuxEntry> aux) { aux_ = std::move(aux); }
  void set_kernel_references(std::vector<KernelReference> references);
  void set_residency(Residency residency) { builder_.set_residency(std::move(residency)); }

  // May be called once.
  [[nodiscard]] MemoryImage build();

 private:
  struct Memory {
    Region region;
    std::vector<std::byte> bytes;
  };
  std::byte* place(Addr at, size_t size);

  std::map<Addr, Memory> memory_;
  std::vector<Module> modules_;
  std::vector<Thread> threads_;
  std::vector<AuxEntry> aux_;
  ImageBuilder builder_;
};

}  // namespace heapscan
