#include "heapscan/machine/kernel_memory.h"

#include <tuple>

#include "machine/kernel_text.h"

namespace heapscan {

namespace {

// "name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables … : slabdata
// <active_slabs> <num_slabs> <sharedavail>"
std::optional<SlabCache> cache_of(std::string_view line, uint64_t page_size) {
  const size_t data = line.find(": slabdata");
  if (data == std::string_view::npos) return std::nullopt;
  std::string_view slabs = line.substr(data + std::string_view(": slabdata").size());
  const std::string_view name = take_word(line);
  const auto in_use = take_number(line);
  const auto objects = take_number(line);
  const auto size = take_number(line);
  const auto per_slab = take_number(line);
  const auto pages = take_number(line);
  const auto active_slabs = take_number(slabs);
  const auto all_slabs = take_number(slabs);
  if (!in_use || !objects || !size || !per_slab || !pages || !active_slabs || !all_slabs)
    return std::nullopt;
  const auto slab_bytes = bytes_of(*pages, page_size);
  const auto bytes = slab_bytes ? bytes_of(*all_slabs, *slab_bytes) : std::nullopt;
  if (!bytes) return std::nullopt;
  return SlabCache{std::string(name), *bytes, *in_use, *size, std::nullopt};
}

// The number behind `key` in a line of sockstat: "TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 129".
std::optional<uint64_t> value_in(std::string_view line, std::string_view key) {
  while (!line.empty()) {
    const std::string_view word = take_word(line);
    if (word == key) return take_number(line);
  }
  return std::nullopt;
}

void add_protocol(std::string_view name, std::optional<uint64_t> bytes,
                  std::vector<SocketMemory>& sockets) {
  constexpr size_t kMostProtocols = 64;
  if (!bytes || *bytes == 0 || sockets.size() >= kMostProtocols) return;
  sockets.push_back({std::string(name), *bytes});
}

std::optional<uint64_t> page_bytes_of(std::optional<uint64_t> pages, uint64_t page_size) {
  return pages ? bytes_of(*pages, page_size) : std::nullopt;
}

// Protocols of one family share a counter, and sockstat has it already.
bool is_in_sockstat(std::string_view name) {
  return name.starts_with("TCP") || name.starts_with("UDP") || name.starts_with("MPTCP");
}

}  // namespace

std::vector<SlabCache> parse_slabinfo(std::string_view text, uint64_t page_size) {
  std::vector<SlabCache> caches;
  for_each_line(text, [&](std::string_view line) {
    if (line.starts_with('#')) return;
    if (auto cache = cache_of(line, page_size)) caches.push_back(std::move(*cache));
  });
  std::sort(caches.begin(), caches.end(), [](const SlabCache& a, const SlabCache& b) {
    return std::tie(b.bytes, a.name) < std::tie(a.bytes, b.name);
  });
  return caches;
}

std::vector<SocketMemory> parse_socket_memory(std::string_view sockstat, std::string_view protocols,
                                              uint64_t page_size) {
  std::vector<SocketMemory> sockets;
  for_each_line(sockstat, [&](std::string_view line) {
    std::string_view name = take_word(line);
    if (name.ends_with(':')) name.remove_suffix(1);
    if (name == "FRAG") return add_protocol(name, value_in(line, "memory"), sockets);
    add_protocol(name, page_bytes_of(value_in(line, "mem"), page_size), sockets);
  });
  for_each_line(protocols, [&](std::string_view line) {
    const std::string_view name = take_word(line);
    if (is_in_sockstat(name)) return;
    (void)take_word(line);                 // size of a socket
    (void)take_word(line);                 // sockets
    const auto pages = take_number(line);  // -1: not counted
    if (pages) add_protocol(name, bytes_of(*pages, page_size), sockets);
  });
  std::stable_sort(sockets.begin(), sockets.end(),
                   [](const SocketMemory& a, const SocketMemory& b) { return a.bytes > b.bytes; });
  return sockets;
}

std::optional<ZramDevice> parse_zram(std::string_view name, std::string_view mm_stat) {
  std::string_view line = mm_stat.substr(0, mm_stat.find('\n'));
  const auto original = take_number(line);
  const auto compressed = take_number(line);
  const auto used = take_number(line);
  if (!original || !compressed || !used || *original > kMostBytes || *used > kMostBytes)
    return std::nullopt;
  return ZramDevice{std::string(name), *original, *used};
}

uint64_t parse_free_lists(std::string_view zoneinfo) {
  uint64_t pages = 0;
  bool in_lists = false;
  for_each_line(zoneinfo, [&](std::string_view line) {
    const std::string_view key = take_word(line);
    if (key == "pagesets") in_lists = true;
    if (key == "Node") in_lists = false;
    if (!in_lists || key != "count:") return;
    if (const auto count = take_number(line)) add_bytes(pages, std::min(*count, kMostBytes));
  });
  return pages;
}

}  // namespace heapscan
