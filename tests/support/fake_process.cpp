#include "support/fake_process.h"

#include <elf.h>

#include <cstring>

#include "heapscan/base/error.h"

namespace heapscan {

namespace {

constexpr uint64_t kListOffset = 0x2c0;

}  // namespace

FakeProcess::FakeProcess(Members where) : members(where) {
  add_module("/bin/program", kProgram, 2 * kPage);
  modules_[0].is_executable = true;
  add_module("/lib/ld-linux-x86-64.so.2", kLoader, 2 * kPage);
  map(kFirstStack, kFirstStackSize);
  map(kFirstStorage, 2 * kPage);
  const Addr random = kFirstStack + kFirstStackSize - 0x100;
  aux_ = {{AT_RANDOM, random.value}, {AT_BASE, kLoader.value}};
}

Region& FakeProcess::map(Addr begin, uint64_t size) {
  Memory& memory = memory_[begin];
  memory.bytes.resize(size);
  memory.region.range = AddrRange::sized(begin, size);
  memory.region.perms = {.read = true, .write = true};
  memory.region.contents = Contents::Saved;
  return memory.region;
}

ModuleId FakeProcess::add_module(const std::string& path, Addr begin, uint64_t size) {
  Region& code = map(begin, kPage);
  Region& data = map(begin + kPage, size - kPage);
  const ModuleId id(modules_.size());
  code.backing = data.backing = Backing::File;
  code.module = data.module = id;
  code.perms = {.read = true, .execute = true};
  Module module;
  module.path = path;
  module.range = AddrRange::sized(begin, size);
  module.bias = begin.value;
  module.segments = {{code.range, false, true}, {data.range, true, false}};
  modules_.push_back(module);
  return id;
}

std::byte* FakeProcess::place(Addr at, size_t size) {
  auto after = memory_.upper_bound(at);
  HS_CHECK(after != memory_.begin());
  Memory& memory = std::prev(after)->second;
  HS_CHECK(memory.region.range.contains(AddrRange::sized(at, size)));
  return memory.bytes.data() + (at - memory.region.range.begin());
}

void FakeProcess::poke(Addr at, uint64_t value) { std::memcpy(place(at, 8), &value, 8); }
uint64_t FakeProcess::word(Addr at) { return load<uint64_t>(place(at, 8)); }
void FakeProcess::poke_half(Addr at, uint32_t value) { std::memcpy(place(at, 4), &value, 4); }
void FakeProcess::poke_text(Addr at, const std::string& text) {
  std::memcpy(place(at, text.size()), text.data(), text.size());
}

void FakeProcess::add_descriptor(Addr at, AddrRange stack, uint64_t guard, int tid) {
  poke(at, at);
  poke(at + 0x10, at);
  poke_half(at + 0x2d0, static_cast<uint32_t>(tid));
  poke(at + 0x690, stack.begin());
  poke(at + 0x698, stack.size());
  poke(at + 0x6a0, guard);
  if (!stack.begin().is_null()) poke(at + members.start_routine, kCode);
}

Addr FakeProcess::add_stack(Addr begin, uint64_t size, int tid) {
  map(begin, size);
  const Addr descriptor = begin + size - kDescriptorSize;
  add_descriptor(descriptor, AddrRange::sized(begin, size), kPage, tid);
  return descriptor;
}

void FakeProcess::link(Addr head, std::initializer_list<Addr> descriptors) {
  Addr last = head;
  for (const Addr descriptor : descriptors) {
    const Addr member = descriptor + kListOffset;
    poke(last, member);
    poke(member + 8, last);
    last = member;
  }
  poke(last, head);
  poke(head + 8, last);
}

std::vector<Addr> FakeProcess::link_modules(std::initializer_list<ModuleId> order) {
  const Addr debug = kProgramData + 0x100;
  const Addr dynamic = kProgramData + 0x200;
  module(program).dynamic = AddrRange::sized(dynamic, 0x40);
  poke(dynamic, DT_DEBUG);
  poke(dynamic + 8, debug);
  poke_half(debug, 1);
  std::vector<Addr> maps;
  Addr at = kProgramData + 0x400;
  Addr from = debug + 8;
  for (const ModuleId id : order) {
    Module& linked = module(id);
    if (linked.dynamic.empty()) {
      linked.dynamic = AddrRange::sized(linked.range.begin() + kPage, 0x40);
    }
    poke(from, at);
    poke(at, linked.bias);
    poke(at + 16, linked.dynamic.begin());
    maps.push_back(at);
    from = at + 24;
    at = at + 0x40;
  }
  return maps;
}

Thread& FakeProcess::add_thread(int tid, Addr thread_pointer, Addr sp) {
  Thread thread;
  thread.tid = tid;
  thread.has_registers = true;
  thread.registers[static_cast<size_t>(Register::FsBase)] = thread_pointer.value;
  thread.registers[static_cast<size_t>(Register::Rsp)] = sp.value;
  thread.registers[static_cast<size_t>(Register::Rip)] = kCode.value;
  threads_.push_back(thread);
  return threads_.back();
}

Thread& FakeProcess::add_first_thread(int tid) {
  add_descriptor(kFirstDescriptor, {}, 0, tid);
  poke(kFirstDescriptor + 0x698, (kFirstStack + kFirstStackSize - 0x200).value);
  link(kStackUsed, {});
  link(kStackUser, {kFirstDescriptor});
  link(kStackCache, {});
  return add_thread(tid, kFirstDescriptor, kFirstStack + kFirstStackSize - 0x1000);
}

void FakeProcess::set_kernel_references(std::vector<KernelReference> references) {
  builder_.set_kernel_references(std::move(references));
}

MemoryImage FakeProcess::build() {
  for (auto& [begin, memory] : memory_) {
    if (memory.region.contents == Contents::Saved) {
      memory.region.bytes = builder_.keep_copy(memory.bytes);
    }
    builder_.add_region(memory.region);
  }
  for (const Module& module : modules_) builder_.add_module(module);
  for (const Thread& thread : threads_) builder_.add_thread(thread);
  builder_.set_aux(aux_);
  return builder_.freeze();
}

}  // namespace heapscan
