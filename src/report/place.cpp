#include "heapscan/report/place.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "heapscan/base/text.h"
#include "heapscan/image/lookups.h"
#include "heapscan/report/names.h"
#include "heapscan/symbols/symbols.h"
#include "report/describe_parts.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

constexpr size_t kLongestPlaceName = 60;
constexpr uint64_t kRedZone = 128;  // below the stack pointer, in use all the same (x86-64 psABI)

PlaceKind kind_of(const Block& block) {
  switch (block.state()) {
    case BlockState::Used:
      return PlaceKind::Block;
    case BlockState::Mapping:
      return PlaceKind::Mapping;
    case BlockState::Bookkeeping:
      return PlaceKind::Allocator;
    default:
      return PlaceKind::FreeBlock;
  }
}

std::string with_into(const std::string& name, uint64_t into) {
  return into == 0 ? name : fmt::format("{}+{:#x}", name, into);
}

std::string spelled_block(const Place& place) {
  const char* const noun = place.kind == PlaceKind::Mapping ? "mapping" : "block";
  std::string text = fmt::format("{} {}, {}", noun, hex(place.begin), human_bytes(place.size));
  if (place.offset() != 0) {
    text = fmt::format("+{:#x}{}{} in ", place.offset(), place.member.empty() ? "" : " ",
                       shortened(place.member, kLongestPlaceName)) +
           text;
  }
  if (!place.name.empty()) text += ", " + shortened(place.name, kLongestPlaceName);
  return text + (place.state.empty() ? "" : ", " + place.state);
}

bool holds(const std::vector<AddrRange>& ranges, Addr at) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [at](const AddrRange& range) { return range.contains(at); });
}

bool is_in_heap(const HeapModel& heap, Addr at) {
  const auto after =
      std::upper_bound(heap.ranges.begin(), heap.ranges.end(), at,
                       [](Addr a, const HeapRange& range) { return a < range.range.begin(); });
  return after != heap.ranges.begin() && std::prev(after)->range.contains(at);
}

}  // namespace

const char* name_of(PlaceKind kind) {
  switch (kind) {
    case PlaceKind::Block:
      return "block";
    case PlaceKind::FreeBlock:
      return "free block";
    case PlaceKind::Allocator:
      return "allocator";
    case PlaceKind::Mapping:
      return "mapping";
    case PlaceKind::Code:
      return "code";
    case PlaceKind::Variable:
      return "variable";
    case PlaceKind::Stack:
      return "stack";
    case PlaceKind::ThreadStorage:
      return "thread storage";
    case PlaceKind::Memory:
      return "memory";
    case PlaceKind::Unmapped:
      return "unmapped";
  }
  return "unknown";
}

std::string spelled(const Place& place) {
  switch (place.kind) {
    case PlaceKind::Block:
    case PlaceKind::FreeBlock:
    case PlaceKind::Mapping:
      return spelled_block(place);
    case PlaceKind::Allocator:
      return place.begin.is_null() ? place.name : spelled_block(place);
    case PlaceKind::Unmapped:
      return "not mapped";
    default:
      break;
  }
  std::string text =
      place.member.empty()
          ? with_into(place.name, place.offset())
          : shortened(fmt::format("{}{}{}", place.name, place.member.starts_with('[') ? "" : ".",
                                  place.member),
                      kLongestPlaceName);
  if (!place.owner.empty()) text += " of " + place.owner;
  return place.state.empty() ? text : text + ", " + place.state;
}

Json json_of(const Place& place) {
  return {{"kind", name_of(place.kind)},
          {"at", place.at.is_null() ? Json(nullptr) : Json(hex(place.at))},
          {"name", or_null(place.name)},
          {"owner", or_null(place.owner)},
          {"begin", place.begin.is_null() ? Json(nullptr) : Json(hex(place.begin))},
          {"size", place.size == 0 ? Json(nullptr) : Json(place.size)},
          {"state", or_null(place.state)},
          {"cluster", or_null(place.cluster)},
          {"member", or_null(place.member)},
          {"type", or_null(place.type)}};
}

PlaceFinder::PlaceFinder(const Analysis& analysis)
    : analysis_(analysis), variables_(analysis.types) {}

Place PlaceFinder::at(Addr at) const {
  if (const BlockId id = analysis_.heap.block_at(at); id.valid()) return in_block(id, at);
  Place place;
  place.at = at;
  const Region* const region = analysis_.image.region_at(at);
  if (region == nullptr) return place;
  if (holds(analysis_.heap.allocator_state, at) || is_in_heap(analysis_.heap, at)) {
    place.kind = PlaceKind::Allocator;
    const auto symbol = analysis_.symbols.ref_at(at);
    place.name = symbol ? with_into(escaped(name_of_symbol(symbol->name)), symbol->offset)
                        : "malloc's own memory, between blocks";
    return place;
  }
  if (in_thread(place)) return place;
  if (region->module.valid()) return in_module(region, at);
  place.kind = PlaceKind::Memory;
  place.begin = region->range.begin();
  place.size = region->range.size();
  place.name = region->label.empty() ? fmt::format("anonymous memory at {}", hex(place.begin))
                                     : escaped(region->label);
  return place;
}

Place PlaceFinder::in_block(BlockId id, Addr at) const {
  const Block& block = analysis_.heap.block(id);
  Place place;
  place.kind = kind_of(block);
  place.at = at;
  place.begin = block.begin();
  place.size = block.size();
  place.state = state_of_block(analysis_, id);
  if (!block.is_judged()) return place;
  place.name = label_of_block(analysis_, id);
  place.cluster = id_of_block(analysis_, id);
  const MemberName member =
      name_member(analysis_.types, type_of_block(analysis_, id), block.size(), place.offset());
  place.member = escaped(member.name);
  place.type = escaped(member.type);
  return place;
}

Place PlaceFinder::in_module(const Region* region, Addr at) const {
  Place place;
  place.kind = region->perms.execute ? PlaceKind::Code : PlaceKind::Variable;
  place.at = at;
  const Module& module = analysis_.image.modules()[region->module];
  place.owner = escaped(module.file_name());
  if (const auto symbol = analysis_.symbols.ref_at(at)) {
    place.name = escaped(name_of_symbol(symbol->name));
    place.begin = at - symbol->offset;
    place.size = symbol->size;
  } else {
    place.name = fmt::format("+{:#x}", module.in_file(at).value);
  }
  if (place.kind == PlaceKind::Variable) describe_variable(place);
  if (const SourceLine* const line = analysis_.line_of(at); line != nullptr)
    place.state = spelled_line(*line);
  return place;
}

// Puts what is known of the variable at place.at into `place`.
void PlaceFinder::describe_variable(Place& place) const {
  const DescribedVariable* const variable = variables_.at(place.at);
  if (variable == nullptr) return;
  const bool is_named = place.kind == PlaceKind::Variable && place.size != 0;
  if (is_named && variable->range.begin() != place.begin) return;
  if (variable->local != nullptr) {
    place.kind = PlaceKind::Variable;
    place.name =
        fmt::format("{} in {}", escaped(variable->local->name), escaped(variable->local->function));
  } else if (!is_named) {
    place.name = escaped(variable->global->name);
  }
  place.begin = variable->range.begin();
  place.size = variable->range.size();
  const MemberName member =
      name_member(analysis_.types, variable->type, place.size, place.offset());
  place.member = escaped(member.name);
  place.type = escaped(member.name.empty() ? analysis_.types.spelled(variable->type) : member.type);
}

// Whether the place is a thread's; then it is described.
bool PlaceFinder::in_thread(Place& place) const {
  for (const ThreadArea& area : analysis_.runtime.threads) {
    const bool is_stack = area.stack.contains(place.at);
    const bool is_descriptor =
        !area.descriptor.is_null() &&
        AddrRange::sized(area.descriptor, area.descriptor_size).contains(place.at);
    const bool is_storage = is_descriptor || area.static_tls.contains(place.at);
    if (!is_stack && !is_storage) continue;
    const bool is_live = area.fate == ThreadArea::Fate::Live;
    place.kind = is_storage ? PlaceKind::ThreadStorage : PlaceKind::Stack;
    place.name = is_descriptor ? "descriptor" : is_storage ? "thread-local storage" : "stack";
    place.owner = is_live ? thread_name(area.tid) : "a thread that has ended";
    if (is_storage || !is_live) return true;
    const Thread& thread = analysis_.image.threads()[area.thread];
    const bool is_below = thread.has_registers && place.at + kRedZone < thread.sp();
    if (is_below) place.state = "below what is in use";
    describe_variable(place);
    return true;
  }
  return false;
}

std::string PlaceFinder::thread_name(int tid) const {
  for (const Thread& thread : analysis_.image.threads()) {
    if (thread.tid == tid && !thread.name.empty())
      return fmt::format("thread {} ({})", tid, escaped(thread.name));
  }
  return fmt::format("thread {}", tid);
}

std::string label_of_block(const Analysis& analysis, BlockId block) {
  const ClusterId cluster = analysis.clusters.of(block);
  return cluster.valid() ? label_of(analysis, cluster) : "";
}

std::string id_of_block(const Analysis& analysis, BlockId block) {
  const ClusterId cluster = analysis.clusters.of(block);
  return cluster.valid() ? id_of(analysis, cluster) : "";
}

TypeId type_of_block(const Analysis& analysis, BlockId block) {
  const ClusterId cluster = analysis.clusters.of(block);
  return cluster.valid() ? analysis.identities.rows[cluster].type : TypeId::none();
}

std::string state_of_block(const Analysis& analysis, BlockId id) {
  const Block& block = analysis.heap.block(id);
  if (block.is_judged()) return name_of(analysis.reach.verdict(id));
  if (block.state() == BlockState::Bookkeeping) return "the C library's own";
  return block.state() == BlockState::Top ? "never handed out, or given back" : "free";
}

}  // namespace heapscan
