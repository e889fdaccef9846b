// An object of kmemleak is a stretch of lines:
//
//   unreferenced object 0xffff88810a7b2c00 (size 192):
//     comm "insmod", pid 1234, jiffies 4294901234
//     hex dump (first 32 bytes): …
//     backtrace (crc 5c1f0aa7):
//       [<00000000a1b2c3d4>] __kmalloc+0x52/0x140        (kernels before 6.8 print the address)
//       [<0000000012345678>] session_open+0x2c/0x60 [leaky]
//
// Who allocated it is the first function of the stack that does not itself hand out memory.
#include <array>

#include "heapscan/machine/kernel_memory.h"
#include "machine/kernel_text.h"

namespace heapscan {

namespace {

bool hands_out_memory(std::string_view function) {
  constexpr std::array<std::string_view, 14> kBegins = {
      "kmemleak_", "kmem_cache_alloc", "__kmem_cache_alloc",
      "kmalloc",   "__kmalloc",        "__do_kmalloc",
      "slab_",     "__vmalloc",        "vmalloc",
      "vzalloc",   "kvmalloc",         "__kvmalloc",
      "krealloc",  "kmemdup"};
  return std::any_of(kBegins.begin(), kBegins.end(),
                     [&](std::string_view begin) { return function.starts_with(begin); });
}

// "192" of "unreferenced object 0x… (size 192):".
std::optional<uint64_t> size_in(std::string_view line) {
  const size_t at = line.find("(size ");
  if (at == std::string_view::npos) return std::nullopt;
  line.remove_prefix(at + 6);
  const auto size = whole_number(line.substr(0, line.find(')')));
  return size && *size <= kMostBytes ? size : std::nullopt;
}

std::string quoted_in(std::string_view line) {
  const size_t open = line.find('"');
  const size_t close = line.rfind('"');
  return open == close ? std::string() : std::string(line.substr(open + 1, close - open - 1));
}

void read_line(std::string_view line, bool& in_stack, KmemleakObject& object) {
  std::string_view rest = line;
  std::string_view word = take_word(rest);
  if (word == "comm") object.command = quoted_in(line);
  if (word.starts_with("backtrace")) {
    in_stack = true;
  } else if (in_stack && object.allocated.empty()) {
    if (word.starts_with("[<")) word = take_word(rest);
    const std::string_view function = word.substr(0, word.find('+'));
    if (!function.empty() && !hands_out_memory(function)) {
      const std::string_view module = take_word(rest);
      object.allocated = std::string(function);
      if (module.starts_with('[')) object.allocated += " " + std::string(module);
    }
  }
}

}  // namespace

KmemleakReport parse_kmemleak(std::string_view text) {
  KmemleakReport report;
  KmemleakObject ignored;
  KmemleakObject* object = &ignored;
  bool in_stack = false;
  report.first.reserve(KmemleakReport::kMostShown);
  for_each_line(text, [&](std::string_view line) {
    if (!line.starts_with("unreferenced object")) return read_line(line, in_stack, *object);
    const uint64_t size = size_in(line).value_or(0);
    ++report.objects;
    add_bytes(report.bytes, size);
    in_stack = false;
    ignored = KmemleakObject();
    object = &ignored;
    if (report.first.size() == KmemleakReport::kMostShown) return;
    report.first.push_back({size, "", ""});
    object = &report.first.back();
  });
  return report;
}

}  // namespace heapscan
