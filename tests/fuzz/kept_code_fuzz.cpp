// Anything as what earlier runs left of a module's code, with a checksum that is right: the reader ends,
// and call sites keep what their header promises. The program is always the same. When the first byte is
// even, what it leaves itself is changed in some places (three bytes each: where, and what comes there);
// otherwise the rest of the input takes its place.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "check_call_sites.h"
#include "heapscan/base/bytes.h"
#include "heapscan/image/image.h"
#include "heapscan/sites/call_sites.h"
#include "heapscan/symbols/symbols.h"
#include "sites/code_table.h"

namespace {

using namespace heapscan;

constexpr uint64_t kBase = 0x55550000'0000;
constexpr uint64_t kPart = 0x1000;  // bytes of code, and of data behind it
constexpr uint64_t kMalloc = 0x10;
constexpr size_t kMostBytes = 64 * 1024;

// A wrapper that puts a header in front, a constructor, a function that makes an object with both, one that
// calls malloc through a pointer, and one that calls these two.
std::vector<std::byte> program() {
  std::vector<std::byte> memory(2 * kPart, std::byte{0xcc});
  uint64_t at = kMalloc;
  const auto put = [&](const std::vector<uint8_t>& bytes) {
    for (const uint8_t b : bytes) memory[at++] = std::byte{b};
  };
  const auto put_to = [&](const std::vector<uint8_t>& bytes, uint64_t target) {
    put(bytes);
    const auto offset = static_cast<uint32_t>(target - (at + 4));
    for (unsigned i = 0; i < 4; ++i) memory[at++] = static_cast<std::byte>(offset >> (8 * i));
  };
  constexpr uint64_t kWrapper = 0x40, kConstructor = 0x80, kMaker = 0xc0, kIndirect = 0x140;
  put({0xc3});
  at = kWrapper;
  put({0x48, 0x83, 0xc7, 0x10});  // add rdi, 16
  put_to({0xe8}, kMalloc);
  put({0x48, 0x83, 0xc0, 0x10, 0xc3});  // add rax, 16; ret
  at = kConstructor;
  put_to({0x48, 0x8d, 0x0d}, 0x900);                   // lea rcx, [0x900]
  put({0x48, 0x89, 0x0f});                             // mov [rdi], rcx
  put({0x48, 0xc7, 0x47, 0x08, 0x07, 0, 0, 0, 0xc3});  // mov qword [rdi + 8], 7; ret
  at = kMaker;
  put({0x53, 0xbf, 0x20, 0, 0, 0});  // push rbx; mov edi, 0x20
  put_to({0xe8}, kWrapper);
  put({0x48, 0x89, 0xc3, 0x48, 0x89, 0xdf});  // mov rbx, rax; mov rdi, rbx
  put_to({0xe8}, kConstructor);
  put({0x48, 0x89, 0xd8, 0x5b, 0xc3});  // mov rax, rbx; pop rbx; ret
  at = kIndirect;
  put({0xbf, 0x40, 0, 0, 0});             // mov edi, 0x40
  put_to({0xff, 0x15}, kPart);            // call [pointer]
  put_to({0x48, 0x8b, 0x15}, kPart + 8);  // mov rdx, [another]
  put({0x48, 0x89, 0x50, 0x10, 0xc3});    // mov [rax + 16], rdx; ret
  at = 0x180;
  put_to({0xe8}, kMaker);
  put_to({0xe8}, kIndirect);
  put({0xc3});
  for (const uint64_t pointer : {kBase + kMalloc, kBase + 0x900}) {
    const Bytes word = std::as_bytes(std::span(&pointer, 1));
    std::copy(
        word.begin(), word.end(),
        memory.begin() + static_cast<ptrdiff_t>(kPart + (pointer == kBase + kMalloc ? 0 : 8)));
  }
  return memory;
}

class Process {
 public:
  Process() {
    ImageBuilder builder;
    Module module;
    module.path = "/program";
    module.build_id = "0123abcd";
    module.range = AddrRange::sized(Addr(kBase), 2 * kPart);
    module.bias = kBase;
    module.segments.push_back({AddrRange::sized(Addr(kBase), kPart), false, true});
    module.segments.push_back({AddrRange::sized(Addr(kBase + kPart), kPart), true, false});
    module.is_executable = true;
    const ModuleId id = builder.add_module(module);
    const std::byte* const bytes = builder.keep_copy(program());
    for (const bool is_data : {false, true}) {
      Region region;
      region.range = AddrRange::sized(Addr(kBase + (is_data ? kPart : 0)), kPart);
      region.perms = {.read = true, .write = is_data, .execute = !is_data};
      region.backing = Backing::File;
      region.contents = Contents::Saved;
      region.module = id;
      region.bytes = bytes + (is_data ? kPart : 0);
      builder.add_region(region);
    }
    image_ = builder.freeze();
    SymbolsBuilder names(image_);
    names.add(id, {.name = "malloc", .address = Addr(kBase + kMalloc), .size = 1});
    symbols_ = names.freeze();
    runtime_ = find_runtime_facts(image_, symbols_);
    (void)find({}, [this](Bytes content) { left_.assign(content.begin(), content.end()); });
    HS_CHECK(!left_.empty());
  }

  // With `kept` as what an earlier run left, head and name not included.
  CallSites find(
      Bytes kept, const std::function<void(Bytes)>& put = [](Bytes) {}) const {
    CodeStore store;
    store.get = [&](const std::string& name) { return sealed(name, kept); };
    store.put = [&](const std::string& name, Bytes content) {
      put(content.subspan(sealed(name, {}).size()));
    };
    return find_call_sites(image_, symbols_, runtime_, store);
  }

  [[nodiscard]] const std::vector<std::byte>& left() const { return left_; }

 private:
  MemoryImage image_;
  Symbols symbols_;
  RuntimeFacts runtime_;
  std::vector<std::byte> left_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Process process;
  const Bytes input = std::as_bytes(std::span(data, std::min(size, kMostBytes)));
  if (input.empty()) return 0;
  std::vector<std::byte> kept(input.begin() + 1, input.end());
  if (data[0] % 2 == 0) {
    kept = process.left();
    for (size_t at = 1; at + 3 <= input.size(); at += 3) {
      kept[load<uint16_t>(input.data() + at) % kept.size()] = input[at + 2];
    }
  }
  check_call_sites(process.find(kept));
  return 0;
}
