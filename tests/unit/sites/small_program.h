// A program made of bytes, for tests of what its code allocates.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/symbols/symbols.h"

namespace heapscan {

// A program without frames or symbols but malloc's: functions begin where calls lead.
class SmallProgram : public testing::Test {
 public:
  static constexpr uint64_t kBase = 0x400000;
  static constexpr uint64_t kMalloc = kBase + 0x10;
  static constexpr uint64_t kData = kBase + 0x1000;  // of the program
  static constexpr uint64_t kHeap = 0x800000;

  SmallProgram()
      : code_(0x400, uint8_t{0xcc}), data_(0x1000, uint8_t{0}), heap_(0x1000, uint8_t{0}) {
    put(kMalloc, {0xc3});
  }

  // A word of the data or the heap.
  void poke(uint64_t at, uint64_t word) {
    auto& bytes = at >= kHeap ? heap_ : data_;
    std::memcpy(bytes.data() + (at - (at >= kHeap ? kHeap : kData)), &word, sizeof word);
  }

  void put(uint64_t at, std::vector<uint8_t> bytes) {
    std::copy(bytes.begin(), bytes.end(), code_.begin() + static_cast<ptrdiff_t>(at - kBase));
  }
  // An instruction that ends in the offset of `target` from what is behind it.
  void put_relative(uint64_t at, std::vector<uint8_t> bytes, uint64_t target) {
    const auto offset = static_cast<uint32_t>(target - (at + bytes.size() + 4));
    for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<uint8_t>(offset >> (8 * i)));
    put(at, bytes);
  }
  // The bytes of a call at `at`.
  static std::vector<uint8_t> call(uint64_t at, uint64_t target, uint8_t opcode = 0xe8) {
    const auto offset = static_cast<uint32_t>(target - (at + 5));
    std::vector<uint8_t> bytes{opcode};
    for (unsigned i = 0; i < 4; ++i) bytes.push_back(static_cast<uint8_t>(offset >> (8 * i)));
    return bytes;
  }

  // The begin of a function that asks `allocator` for `size` bytes; ten bytes of code.
  void put_request(uint64_t at, uint8_t size, uint64_t allocator) {
    put(at, {0xbf, size, 0, 0, 0});  // mov edi, size
    put(at + 5, call(at + 5, allocator));
  }

  CallSites find(const CodeStore& store = {}) {
    ImageBuilder builder;
    Module module;
    module.path = "/program";
    module.build_id = build_id_;
    module.range = AddrRange::sized(Addr(kBase), 0x2000);
    module.bias = kBase;
    module.segments.push_back({AddrRange::sized(Addr(kBase), 0x1000), false, true});
    module.segments.push_back({AddrRange::sized(Addr(kData), 0x1000), true, false});
    module.is_executable = true;
    module.dynamic = dynamic_;
    const ModuleId id = builder.add_module(module);
    Region region;
    code_.resize(0x1000, uint8_t{0xcc});
    region.range = AddrRange::sized(Addr(kBase), 0x1000);
    region.perms = {.read = true, .execute = true};
    region.backing = Backing::File;
    region.contents = Contents::Saved;
    region.module = id;
    region.bytes = builder.keep_copy(std::as_bytes(std::span(code_)));
    builder.add_region(region);
    region.range = AddrRange::sized(Addr(kData), 0x1000);
    region.perms = {.read = true, .write = true};
    region.bytes = builder.keep_copy(std::as_bytes(std::span(data_)));
    builder.add_region(region);
    region.range = AddrRange::sized(Addr(kHeap), 0x1000);
    region.backing = Backing::Anonymous;
    region.module = ModuleId::none();
    region.bytes = builder.keep_copy(std::as_bytes(std::span(heap_)));
    builder.add_region(region);
    if (!library_.empty()) add_library(builder);
    image_ = builder.freeze();
    SymbolsBuilder symbols(image_);
    symbols.add(id, {.name = "malloc", .address = Addr(kMalloc), .size = 1});
    const Symbols names = symbols.freeze();
    return find_call_sites(image_, names, find_runtime_facts(image_, names), store);
  }

  void add_library(ImageBuilder& builder) const {
    Module module;
    module.path = "/lib/other.so";
    module.range = AddrRange::sized(Addr(0x600000), 0x1000);
    module.segments.push_back({module.range, false, true});
    Region region;
    region.module = builder.add_module(module);
    region.range = AddrRange::sized(Addr(0x600000), 0x1000);
    region.perms = {.read = true, .execute = true};
    region.backing = Backing::File;
    region.contents = Contents::Saved;
    std::vector<uint8_t> bytes = library_;
    bytes.resize(0x1000, uint8_t{0xcc});
    region.bytes = builder.keep_copy(std::as_bytes(std::span(bytes)));
    builder.add_region(region);
  }

  std::string build_id_;
  AddrRange dynamic_;             // of the program
  std::vector<uint8_t> library_;  // code of another module; empty: there is none
  std::vector<uint8_t> code_;
  std::vector<uint8_t> data_;
  std::vector<uint8_t> heap_;
  MemoryImage image_;
};

}  // namespace heapscan
