// A thread pointer names a descriptor, the descriptor its stack. Descriptors of threads that are no
// more come from glibc's own lists, or from their shape where the lists are damaged. A descriptor
// on the list of stacks in use whose thread has ended waits to be joined; one whose thread does not
// exist although it never ended was inherited over fork.
#include "heapscan/runtime/runtime_facts.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "heapscan/base/text.h"
#include "heapscan/image/lookups.h"
#include "runtime/runtime_parts.h"

namespace heapscan {

namespace {

using List = ListedDescriptor::List;

constexpr uint64_t kUsualDescriptorSize = 0x940;

struct LiveThread {
  size_t thread = 0;
  std::optional<Descriptor> descriptor;
};

// A raw clone() may share its maker's thread pointer: the descriptor is then the thread's whose
// stack it names.
bool owns(const Thread& thread, const Descriptor& descriptor) {
  if (descriptor.tid == thread.tid) return true;
  return !descriptor.is_first_thread() &&
         AddrRange(descriptor.stack_begin, descriptor.stack_end()).contains(thread.sp());
}

std::vector<LiveThread> find_live(const MemoryImage& image) {
  std::vector<LiveThread> live;
  std::unordered_map<Addr, size_t> owner;
  for (size_t i = 0; i < image.threads().size(); ++i) {
    const Thread& thread = image.threads()[i];
    live.push_back({i, std::nullopt});
    if (!thread.has_registers) continue;
    const auto descriptor = read_descriptor(image, thread.thread_pointer());
    if (!descriptor) continue;
    const auto [place, is_new] = owner.emplace(descriptor->at, i);
    if (!is_new) {
      if (!owns(thread, *descriptor) || owns(image.threads()[place->second], *descriptor)) continue;
      live[place->second].descriptor.reset();
      place->second = i;
    }
    live[i].descriptor = descriptor;
  }
  return live;
}

std::vector<Descriptor> descriptors_of(const std::vector<LiveThread>& live) {
  std::vector<Descriptor> descriptors;
  for (const LiveThread& thread : live) {
    if (thread.descriptor) descriptors.push_back(*thread.descriptor);
  }
  return descriptors;
}

// glibc tells libthread_db; a stack of its own making ends with the descriptor.
uint64_t descriptor_size(const MemoryImage& image, const Symbols& symbols,
                         const std::vector<Descriptor>& descriptors) {
  for (size_t i = 0; i < image.modules().size(); ++i) {
    const auto symbol = symbols.address_of(ModuleId(i), "_thread_db_sizeof_pthread");
    const auto size = symbol ? image.read<uint32_t>(*symbol) : std::nullopt;
    if (size && *size >= kSmallestDescriptor && *size <= kLargestDescriptor) return *size;
  }
  uint64_t least = kLargestDescriptor + 1;
  for (const Descriptor& descriptor : descriptors) {
    const uint64_t size = descriptor.stack_end() - descriptor.at;
    if (!descriptor.is_first_thread() && size >= kSmallestDescriptor) least = std::min(least, size);
  }
  return least <= kLargestDescriptor ? least : kUsualDescriptorSize;
}

class AreaFinder {
 public:
  AreaFinder(const MemoryImage& image, const Symbols& symbols, const ModuleRoles& roles,
             std::span<const LinkMap> maps, Notes& notes)
      : image_(image), symbols_(symbols), roles_(roles), maps_(maps), notes_(notes) {}

  std::vector<ThreadArea> find() {
    live_ = find_live(image_);
    const std::vector<Descriptor> known = descriptors_of(live_);
    descriptor_size_ = descriptor_size(image_, symbols_, known);
    tls_size_ = static_tls_size(image_, symbols_, maps_);
    first_stack_ = find_first_stack(image_);
    gone_ = find_gone(known);
    probe(known);
    match_threads_without_registers();
    for (const LiveThread& thread : live_) add_live(thread);
    for (const ListedDescriptor& listed : gone_) add_gone(listed);
    note_left_by_fork();
    add_orphaned_first_stack();
    make_stacks_disjoint();
    return std::move(areas_);
  }

 private:
  std::vector<ListedDescriptor> find_gone(const std::vector<Descriptor>& known) {
    std::unordered_set<Addr> seen;
    for (const Descriptor& descriptor : known) seen.insert(descriptor.at);
    std::vector<ListedDescriptor> gone;
    ThreadLists lists = read_thread_lists(image_, symbols_, roles_, known);
    for (const ListedDescriptor& listed : lists.descriptors) {
      if (seen.insert(listed.descriptor.at).second) gone.push_back(listed);
    }
    if (!lists.complete && !known.empty()) {
      for (const Descriptor& descriptor : find_descriptors_by_shape(image_, descriptor_size_)) {
        if (seen.insert(descriptor.at).second) gone.push_back({descriptor, List::Unknown});
      }
      std::sort(gone.begin(), gone.end(), [](const ListedDescriptor& a, const ListedDescriptor& b) {
        return a.descriptor.at < b.descriptor.at;
      });
    }
    return gone;
  }

  void probe(const std::vector<Descriptor>& known) {
    std::vector<Descriptor> all = known;
    for (const ListedDescriptor& listed : gone_) all.push_back(listed.descriptor);
    members_ = probe_members(image_, all);
  }

  // A thread that could not be stopped has no thread pointer to go by, but its tid.
  void match_threads_without_registers() {
    for (LiveThread& thread : live_) {
      if (image_.threads()[thread.thread].has_registers) continue;
      const auto found = std::find_if(gone_.begin(), gone_.end(), [&](const ListedDescriptor& l) {
        return l.descriptor.tid == image_.threads()[thread.thread].tid && l.list != List::Cache &&
               !(members_ && has_exited(image_, l.descriptor, *members_));
      });
      if (found == gone_.end()) continue;
      thread.descriptor = found->descriptor;
      gone_.erase(found);
    }
  }

  ThreadArea describe(const Descriptor& descriptor) const {
    ThreadArea area;
    area.descriptor = descriptor.at;
    area.descriptor_size = descriptor_size_;
    area.stack = descriptor.is_first_thread() ? first_stack_ : stack_of(image_, descriptor);
    const AddrRange limits(descriptor.at - tls_size_, descriptor.at + 1);
    const AddrRange storage = writable_run(image_, descriptor.at, limits);
    area.static_tls = {storage.empty() ? descriptor.at : storage.begin(), descriptor.at};
    if (descriptor.is_first_thread()) return area;
    if (!area.stack.empty()) area.mapping_bytes = descriptor.stack_size;
    if (members_) area.start = start_of(descriptor);
    return area;
  }

  [[nodiscard]] Addr start_of(const Descriptor& descriptor) const {
    const auto start = image_.read_addr(descriptor.at + members_->start_routine);
    return start && is_code(image_, *start) ? *start : Addr();
  }

  void add_live(const LiveThread& live) {
    const Thread& thread = image_.threads()[live.thread];
    ThreadArea area;
    if (live.descriptor) {
      area = describe(*live.descriptor);
      if (members_ && !live.descriptor->is_first_thread()) {
        area.result = live.descriptor->at + members_->result;
        area.argument = live.descriptor->at + members_->argument;
      }
    }
    if (area.stack.empty() && thread.has_registers && first_stack_.contains(thread.sp())) {
      area.stack = first_stack_;
    }
    area.fate = ThreadArea::Fate::Live;
    area.tid = thread.tid;
    area.thread = live.thread;
    areas_.push_back(area);
  }

  [[nodiscard]] ThreadArea::Fate fate_of(const ListedDescriptor& listed) const {
    using Fate = ThreadArea::Fate;
    if (listed.list == List::Cache || !members_) return Fate::Cached;
    if (!has_exited(image_, listed.descriptor, *members_)) return Fate::Cached;
    const bool by_shape = listed.list == List::Unknown;
    const bool is_wanted =
        !by_shape || !was_joined_or_detached(image_, listed.descriptor, *members_);
    return is_wanted ? Fate::Exited : Fate::Cached;
  }

  void add_gone(const ListedDescriptor& listed) {
    ThreadArea area = describe(listed.descriptor);
    area.fate = fate_of(listed);
    if (area.fate == ThreadArea::Fate::Exited) {
      area.result = listed.descriptor.at + members_->result;
    } else if (listed.list == List::Used && listed.descriptor.tid > 0) {
      left_by_fork_.push_back(listed.descriptor.tid);
    }
    areas_.push_back(area);
  }

  void note_left_by_fork() {
    if (left_by_fork_.empty()) return;
    notes_.push_back({NoteKind::Thread, "",
                      "glibc lists " + counted(left_by_fork_.size(), "thread") +
                          " that this process does not have (" +
                          std::to_string(left_by_fork_.front()) +
                          (left_by_fork_.size() == 1 ? "" : ", …") +
                          "); what they had on their stacks is taken for left over from before a "
                          "fork"});
  }

  // The first thread may be gone while others live on, or fork was called by another thread.
  void add_orphaned_first_stack() {
    if (first_stack_.empty() || live_.empty()) return;
    const bool owned = std::any_of(areas_.begin(), areas_.end(), [&](const ThreadArea& a) {
      return a.stack.overlaps(first_stack_);
    });
    if (owned) return;
    ThreadArea area;
    area.fate = ThreadArea::Fate::Exited;
    area.stack = first_stack_;
    areas_.push_back(area);
  }

  // Two descriptors can claim the same memory only when one lies: live threads are believed first.
  void make_stacks_disjoint() {
    std::vector<size_t> order(areas_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      const ThreadArea& x = areas_[a];
      const ThreadArea& y = areas_[b];
      return std::pair(x.stack.begin(), a) < std::pair(y.stack.begin(), b);
    });
    size_t before = areas_.size();
    for (const size_t i : order) {
      ThreadArea& area = areas_[i];
      if (area.stack.empty()) continue;
      if (before != areas_.size() && areas_[before].stack.overlaps(area.stack)) {
        const bool drop_before =
            areas_[before].fate != ThreadArea::Fate::Live && area.fate == ThreadArea::Fate::Live;
        (drop_before ? areas_[before] : area).stack = {};
        notes_.push_back({NoteKind::Thread, hex(area.descriptor),
                          "two threads claim the same stack; one of them is not believed"});
        if (!drop_before) continue;
      }
      before = i;
    }
  }

  const MemoryImage& image_;
  const Symbols& symbols_;
  const ModuleRoles& roles_;
  std::span<const LinkMap> maps_;
  Notes& notes_;
  std::vector<LiveThread> live_;
  std::vector<ListedDescriptor> gone_;
  std::optional<DescriptorMembers> members_;
  uint64_t descriptor_size_ = 0;
  uint64_t tls_size_ = 0;
  AddrRange first_stack_;
  std::vector<int> left_by_fork_;  // tids
  std::vector<ThreadArea> areas_;
};

}  // namespace

std::vector<ThreadArea> find_thread_areas(const MemoryImage& image, const Symbols& symbols,
                                          const ModuleRoles& roles, std::span<const LinkMap> maps,
                                          Notes& notes) {
  return AreaFinder(image, symbols, roles, maps, notes).find();
}

}  // namespace heapscan
