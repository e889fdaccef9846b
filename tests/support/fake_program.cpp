#include "support/fake_program.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace heapscan {

Addr FakeProgram::block(uint64_t size, BlockState state) {
  const uint64_t chunk = std::max<uint64_t>(32, (size + 8 + 15) / 16 * 16);
  const Addr begin(kHeap + heap_used_ + 16);
  heap_used_ += chunk;
  heap_.bytes.resize(heap_used_ +
                     64);  // the last block's last word lies in the next chunk's header
  blocks_.emplace_back(begin, chunk - 8, state, ArenaId(0));
  return begin;
}

Addr FakeProgram::mapping(uint64_t size) {
  const uint64_t offset = mappings_.bytes.size();
  mappings_.bytes.resize(offset + size + 4096);
  const Addr begin(kMappings + offset);
  blocks_.emplace_back(begin, size, BlockState::Mapping, ArenaId::none());
  return begin;
}

std::byte* FakeProgram::place(Addr at, size_t size) {
  for (Area* area : {&heap_, &strong_, &weak_, &mappings_}) {
    if (at.value >= area->begin && at.value + size <= area->begin + area->bytes.size()) {
      return area->bytes.data() + (at.value - area->begin);
    }
  }
  throw std::out_of_range("no such place in the fake program");
}

void FakeProgram::poke(Addr at, uint64_t value) { std::memcpy(place(at, 8), &value, 8); }

Addr FakeProgram::strong_root(uint64_t value) {
  const Addr at(kStrong + 8 * strong_used_++);
  poke(at, value);
  return at;
}

Addr FakeProgram::weak_root(Addr value) {
  const Addr at(kWeak + 8 * weak_used_++);
  poke(at, value);
  return at;
}

FakeProgram::World FakeProgram::build() {
  ImageBuilder builder;
  for (const Area* area : {&heap_, &strong_, &weak_, &mappings_}) {
    if (area->bytes.empty()) continue;
    Region region;
    region.range = AddrRange::sized(Addr(area->begin), area->bytes.size());
    region.perms = {true, true, false, false};
    region.contents = Contents::Saved;
    region.bytes = builder.keep_copy(area->bytes);
    builder.add_region(region);
  }
  const std::vector<std::byte> code_bytes(kCodeSize);
  Region code;
  code.range = AddrRange::sized(Addr(kCode), kCodeSize);
  code.perms = {.read = true, .execute = true};
  code.contents = Contents::Saved;
  code.bytes = builder.keep_copy(code_bytes);
  builder.add_region(code);
  Module module;
  module.path = module_path_;
  module.is_executable = is_executable_;
  module.range = {Addr(kCode), Addr(kStrong + kAreaSize)};
  module.segments = {{AddrRange::sized(Addr(kCode), kCodeSize), false, true},
                     {AddrRange::sized(Addr(kStrong), kAreaSize), true, false}};
  module.dynamic = dynamic_;
  module.bias = bias_;
  builder.add_module(module);
  for (size_t i = 0; i < threads_; ++i) {
    Thread thread;
    thread.tid = static_cast<int>(i + 1);
    if (i == 0 && thread_pointer_) {
      thread.has_registers = true;
      thread.registers[static_cast<size_t>(Register::FsBase)] = thread_pointer_->value;
    }
    builder.add_thread(thread);
  }
  builder.add_missing_bytes(missing_);
  if (kernel_references_) builder.set_kernel_references(*kernel_references_);
  if (residency_) builder.set_residency(*residency_);

  World world;
  world.image = builder.freeze();
  world.runtime.roles.of.push_back(ModuleRole::Other);
  std::sort(blocks_.begin(), blocks_.end(),
            [](const Block& a, const Block& b) { return a.begin() < b.begin(); });
  world.heap.blocks = GrowingArray<Block>(blocks_.size());
  for (const Block& block : blocks_) world.heap.blocks.push_back(block);
  const std::vector<AddrRange> grids = {AddrRange::sized(Addr(kHeap), heap_.bytes.size())};
  world.heap.index = BlockIndex(world.heap.blocks.rows(), grids);
  roots_.ranges.push_back(
      {RootKind::ModuleData, AddrRange::sized(Addr(kStrong), kAreaSize), 0, ModuleId(0)});
  roots_.ranges.push_back(
      {RootKind::UnknownMemory, AddrRange::sized(Addr(kWeak), kAreaSize), 0, ModuleId::none()});
  world.roots = std::move(roots_);
  return world;
}

}  // namespace heapscan
