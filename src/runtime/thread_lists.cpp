// How the lists are found without knowing the version: a list head is a pair of words in a module's
// writable data whose first points at the list member of a descriptor that points back at the pair.
// A descriptor names itself, so nothing else looks like that. Which list a head is of is told by
// symbols where there are any; else by who is on it (the first thread is on the user list, a
// running thread with a stack of glibc's on the used list); else by its place: since 2.34 the three
// heads follow each other, used, user, cache. An empty list has nothing on it that matters.
#include "runtime/runtime_parts.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <unordered_set>

namespace heapscan {

namespace {

using List = ListedDescriptor::List;

constexpr size_t kMostDescriptors = 1 << 20;
constexpr uint64_t kHeadSize = 16;
constexpr uint64_t kDescriptorAlignment = 16;  // and so of the list member

struct Head {
  Addr at;
  List list = List::Unknown;
  std::vector<Descriptor> members;
  bool whole = false;  // the ring closes
};

std::optional<Descriptor> member_at(const MemoryImage& image, Addr link) {
  if (link < Addr(kDescriptorList)) return std::nullopt;
  return read_descriptor(image, link - kDescriptorList);
}

bool is_head(const MemoryImage& image, Addr at, Addr next) {
  return next != at && image.read_addr(next + 8) == at && member_at(image, next);
}

// Modules that may hold the heads: the loader, libpthread of old, and the program when it is
// static.
std::vector<ModuleId> modules_with_heads(const MemoryImage& image, const ModuleRoles& roles) {
  std::vector<ModuleId> modules;
  for (size_t i = 0; i < image.modules().size(); ++i) {
    const Module& module = image.modules()[ModuleId(i)];
    if (ModuleId(i) == roles.loader || module.file_name().starts_with("libpthread") ||
        (!roles.loader.valid() && module.is_executable)) {
      modules.push_back(ModuleId(i));
    }
  }
  return modules;
}

void find_heads_in(const MemoryImage& image, AddrRange data, std::vector<Head>& heads) {
  if (image.regions().empty()) return;
  const AddrRange memory(image.regions().front().range.begin(), image.regions().back().range.end());
  image.for_each_span(data, [&](Addr begin, Bytes bytes) {
    const Addr first = begin.align_up(8);
    for (uint64_t at = first - begin; at + kHeadSize <= bytes.size(); at += 8) {
      const Addr next(load<uint64_t>(bytes.data() + at));
      if (!next.is_aligned(kDescriptorAlignment) || !memory.contains(next)) continue;
      if (is_head(image, begin + at, next)) heads.push_back({begin + at, List::Unknown, {}, false});
    }
  });
}

std::vector<Head> find_heads(const MemoryImage& image, const ModuleRoles& roles) {
  std::vector<Head> heads;
  for (const ModuleId id : modules_with_heads(image, roles)) {
    for (const ModuleSegment& segment : image.modules()[id].segments) {
      if (segment.writable) find_heads_in(image, segment.range, heads);
    }
  }
  std::sort(heads.begin(), heads.end(), [](const Head& a, const Head& b) { return a.at < b.at; });
  const auto same = [](const Head& a, const Head& b) { return a.at == b.at; };
  heads.erase(std::unique(heads.begin(), heads.end(), same), heads.end());
  return heads;
}

// `seen`: links on any list so far; rings that run into each other must not cost more than one.
void follow(const MemoryImage& image, Head& head, std::unordered_set<Addr>& seen) {
  Addr link = image.read_addr(head.at).value_or(Addr());
  while (link != head.at && head.members.size() < kMostDescriptors && seen.insert(link).second) {
    const auto member = member_at(image, link);
    if (!member) return;
    head.members.push_back(*member);
    link = image.read_addr(link).value_or(Addr());
  }
  head.whole = link == head.at;
}

// The descriptors that glibc exports for libthread_db: size in bits, count, byte offset.
std::optional<Addr> in_rtld_global(const MemoryImage& image, const Symbols& symbols,
                                   ModuleId loader, std::string_view member) {
  if (!loader.valid()) return std::nullopt;
  const auto global = symbols.address_of(loader, "_rtld_global");
  if (!global) return std::nullopt;
  for (size_t i = 0; i < image.modules().size(); ++i) {
    const auto descriptor = symbols.address_of(ModuleId(i), member);
    if (!descriptor) continue;
    const auto offset = image.read<uint32_t>(*descriptor + 8);
    if (offset && *offset < 0x10000) return *global + *offset;
  }
  return std::nullopt;
}

struct NamedHead {
  Addr at;
  List list;
};

std::vector<NamedHead> heads_by_symbol(const MemoryImage& image, const Symbols& symbols,
                                       const ModuleRoles& roles) {
  std::vector<NamedHead> named;
  if (const auto used =
          in_rtld_global(image, symbols, roles.loader, "_thread_db_rtld_global__dl_stack_used")) {
    named.push_back({*used, List::Used});
  }
  if (const auto user =
          in_rtld_global(image, symbols, roles.loader, "_thread_db_rtld_global__dl_stack_user")) {
    named.push_back({*user, List::User});
    named.push_back({*user + kHeadSize, List::Cache});
  }
  static constexpr std::array<std::pair<std::string_view, List>, 6> kNames = {{
      {"stack_used", List::Used},
      {"__stack_user", List::User},
      {"stack_cache", List::Cache},
      {"_dl_stack_used", List::Used},
      {"_dl_stack_user", List::User},
      {"_dl_stack_cache", List::Cache},
  }};
  for (const ModuleId id : modules_with_heads(image, roles)) {
    for (const auto& [name, list] : kNames) {
      if (const auto at = symbols.address_of(id, name)) named.push_back({*at, list});
    }
  }
  return named;
}

bool holds_live_mapped_stack(const Head& head, const std::unordered_set<Addr>& live) {
  return std::any_of(head.members.begin(), head.members.end(), [&](const Descriptor& d) {
    return !d.is_first_thread() && live.contains(d.at);
  });
}

void name_heads(const MemoryImage& image, const Symbols& symbols, const ModuleRoles& roles,
                const std::unordered_set<Addr>& live, std::vector<Head>& heads) {
  for (const NamedHead& named : heads_by_symbol(image, symbols, roles)) {
    for (Head& head : heads) {
      if (head.at == named.at) head.list = named.list;
    }
  }
  Addr user;
  for (Head& head : heads) {
    if (head.list != List::Unknown) continue;
    const bool has_first = std::any_of(head.members.begin(), head.members.end(),
                                       [](const Descriptor& d) { return d.is_first_thread(); });
    if (has_first) {
      head.list = List::User;
    } else if (holds_live_mapped_stack(head, live)) {
      head.list = List::Used;
    }
  }
  for (const Head& head : heads) {
    if (head.list == List::User) user = head.at;
  }
  for (Head& head : heads) {
    if (head.list != List::Unknown || user.is_null()) continue;
    if (head.at + kHeadSize == user) head.list = List::Used;
    if (head.at == user + kHeadSize) head.list = List::Cache;
  }
}

// Every live descriptor is on a list, and every list closes.
bool is_complete(const std::vector<Head>& heads, std::span<const Descriptor> live,
                 const std::vector<ListedDescriptor>& listed) {
  const bool whole = std::all_of(heads.begin(), heads.end(), [](const Head& h) { return h.whole; });
  return whole && !live.empty() && std::all_of(live.begin(), live.end(), [&](const Descriptor& d) {
           return std::binary_search(listed.begin(), listed.end(),
                                     ListedDescriptor{d, List::Unknown},
                                     [](const ListedDescriptor& a, const ListedDescriptor& b) {
                                       return a.descriptor.at < b.descriptor.at;
                                     });
         });
}

}  // namespace

ThreadLists read_thread_lists(const MemoryImage& image, const Symbols& symbols,
                              const ModuleRoles& roles, std::span<const Descriptor> live) {
  std::vector<Head> heads = find_heads(image, roles);
  std::unordered_set<Addr> seen;
  for (Head& head : heads) follow(image, head, seen);
  std::unordered_set<Addr> live_at;
  for (const Descriptor& descriptor : live) live_at.insert(descriptor.at);
  name_heads(image, symbols, roles, live_at, heads);

  ThreadLists lists;
  for (const Head& head : heads) {
    for (const Descriptor& member : head.members) lists.descriptors.push_back({member, head.list});
  }
  std::stable_sort(lists.descriptors.begin(), lists.descriptors.end(),
                   [](const ListedDescriptor& a, const ListedDescriptor& b) {
                     return a.descriptor.at < b.descriptor.at;
                   });
  const auto same = [](const ListedDescriptor& a, const ListedDescriptor& b) {
    return a.descriptor.at == b.descriptor.at;
  };
  lists.descriptors.erase(std::unique(lists.descriptors.begin(), lists.descriptors.end(), same),
                          lists.descriptors.end());
  lists.complete = is_complete(heads, live, lists.descriptors);
  return lists;
}

}  // namespace heapscan
