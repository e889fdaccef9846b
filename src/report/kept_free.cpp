#include "heapscan/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <tuple>

#include "heapscan/base/text.h"
#include "heapscan/report/holds.h"
#include "heapscan/report/names.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

constexpr size_t kBriefArenas = 3;
constexpr size_t kManyArenas = 4;
constexpr size_t kLongestPinLabel = 48;
constexpr uint64_t kWorthAWord = 20;  // one part in so many of what is resident

// ---- rows ---------------------------------------------------------------------------------------

using HolderNames = std::map<BlockId, std::string>;

// What alone leads to each of `blocks`: the first row below an owner on the way to it.
HolderNames name_holders(const Analysis& analysis, const std::vector<BlockId>& blocks) {
  HolderNames names;
  if (!analysis.holding || blocks.empty()) return names;
  const Retained& retained = analysis.holding->retained;
  retained.for_each_row([&](RetainedRow row) {
    const BlockId block = retained.block(row);
    if (!block.valid() || !std::binary_search(blocks.begin(), blocks.end(), block)) return;
    RetainedRow holder = Retained::kWhole;
    for (RetainedRow at = retained.parent(row); at != Retained::kWhole; at = retained.parent(at)) {
      if (retained.owner(at).valid() || retained.is_unexplained(at)) break;
      holder = at;
    }
    if (holder != Retained::kWhole) names[block] = name_of_holder(analysis, holder);
  });
  return names;
}

std::optional<PinRow> describe_pin(const Analysis& analysis, const HolderNames& holders,
                                   BlockId id) {
  if (!id.valid()) return std::nullopt;
  const Block& block = analysis.heap.block(id);
  PinRow row{block.begin(), block.size(), name_of(block.state()), "", "", ""};
  if (block.state() == BlockState::Tcache) row.label = "freed, and kept by a thread's tcache";
  if (block.state() == BlockState::Bookkeeping) row.label = "the C library's own";
  const ClusterId cluster = analysis.clusters.of(id);
  if (cluster.valid()) {
    row.label = label_of(analysis, cluster);
    row.cluster = id_of(analysis, cluster);
  }
  if (const auto holder = holders.find(id); holder != holders.end()) row.held_by = holder->second;
  return row;
}

// ---- words --------------------------------------------------------------------------------------

std::string spelled(const PinRow& pin) {
  std::string text = fmt::format("{}, {}", hex(pin.address), human_bytes(pin.size));
  if (!pin.label.empty()) text += ", " + shortened(pin.label, kLongestPinLabel);
  if (!pin.held_by.empty()) text += ", held by " + shortened(pin.held_by, kLongestPinLabel);
  return text;
}

std::string spelled(const FreeStretchRow& stretch) {
  if (!stretch.pin) return "below the arena's next heap";
  std::string text = "below " + spelled(*stretch.pin);
  if (stretch.above_blocks > 1)
    text += fmt::format(", the first of {} in use up to the end",
                        counted(stretch.above_blocks, "block"));
  return text;
}

void write_arena(const ArenaRow& arena, bool verbose, std::ostream& out) {
  out << fmt::format("  {:<9} {}\n", fmt::format("arena {}", arena.number), spelled(arena));
  if (!verbose) return;
  for (size_t i = 1; i < arena.stretches.size(); ++i) {
    out << fmt::format("            {} {}\n", human_bytes(arena.stretches[i].bytes),
                       spelled(arena.stretches[i]));
  }
}

Json json_of(const PinRow& pin) {
  return {{"address", hex(pin.address)},
          {"size", pin.size},
          {"state", pin.state},
          {"label", or_null(pin.label)},
          {"cluster", or_null(pin.cluster)},
          {"held_by", or_null(pin.held_by)}};
}

Json json_of_pin(const std::optional<PinRow>& pin) { return pin ? json_of(*pin) : Json(nullptr); }

}  // namespace

std::string spelled(const ArenaRow& arena) {
  const bool has_end = arena.end_bytes > 0;
  std::string text = human_bytes(arena.free_bytes) + " free, ";
  text += has_end ? human_bytes(arena.end_bytes) + " of it at the end, which free() gives back"
                  : "none of it at the end";
  if (arena.stretches.empty()) return text;
  const FreeStretchRow& largest = arena.stretches.front();
  const uint64_t rest = arena.free_bytes - std::min(arena.free_bytes, arena.end_bytes);
  if (2 * largest.bytes >= rest)
    return text + fmt::format("; {} lies {}", human_bytes(largest.bytes), spelled(largest));
  text += fmt::format("; {} lies between blocks in use, the largest piece, {}, {}",
                      has_end ? "the rest" : "it", human_bytes(largest.bytes), spelled(largest));
  return text;
}

void write_kept_free(const KeptFree& kept, bool verbose, std::ostream& out) {
  if (kept.arenas.empty() || (!kept.is_large && !verbose)) return;
  out << fmt::format("free        {} kept by malloc; malloc_trim(0) would give back {}{}\n",
                     human_bytes(kept.free_bytes), human_bytes(kept.page_bytes),
                     kept.is_resident ? "" : ", or what of it is resident");
  const size_t shown = verbose ? kept.arenas.size() : std::min(kept.arenas.size(), kBriefArenas);
  for (size_t i = 0; i < shown; ++i) write_arena(kept.arenas[i], verbose, out);
  uint64_t others = 0;
  for (size_t i = shown; i < kept.arenas.size(); ++i) others += kept.arenas[i].free_bytes;
  if (shown < kept.arenas.size()) {
    out << fmt::format("  {} more with {}, show with -v\n",
                       counted(kept.arenas.size() - shown, "arena"), human_bytes(others));
  }
  if (kept.arenas.size() >= kManyArenas) {
    out << "  with fewer arenas less is kept: MALLOC_ARENA_MAX=2, or mallopt(M_ARENA_MAX, 2)\n";
  }
}

bool is_much_of(const MemoryAccount& memory, const FreeMemory& free_memory) {
  FreeMemory resident = free_memory;
  resident.free_bytes = memory.of(MemoryUse::HeapFree).resident_bytes.value_or(resident.free_bytes);
  return resident.is_large() && kWorthAWord * resident.free_bytes >=
                                    memory.total.resident_bytes.value_or(resident.free_bytes);
}

KeptFree describe_kept_free(const Analysis& analysis) {
  const FreeMemory& memory = analysis.free_memory;
  KeptFree kept;
  kept.is_large = memory.is_large();
  kept.is_resident = analysis.image.residency().has_value();
  kept.free_bytes = memory.free_bytes;
  kept.page_bytes = memory.page_bytes;
  const HolderNames holders = name_holders(analysis, memory.pins());
  for (size_t i = 0; i < memory.arenas.size(); ++i) {
    const ArenaFree& arena = memory.arenas[ArenaId(i)];
    if (arena.free_bytes == 0) continue;
    ArenaRow row;
    row.number = i;
    row.state = analysis.heap.arenas[i].state;
    row.is_main = analysis.heap.arenas[i].is_main;
    row.used_bytes = arena.used_bytes;
    row.free_bytes = arena.free_bytes;
    row.end_bytes = arena.end_bytes;
    row.page_bytes = arena.page_bytes;
    row.last = describe_pin(analysis, holders, arena.last);
    for (const FreeStretch& stretch : arena.stretches) {
      row.stretches.push_back({stretch.begin, stretch.bytes, stretch.page_bytes,
                               describe_pin(analysis, holders, stretch.pin), stretch.above_blocks,
                               stretch.above_bytes});
    }
    kept.arenas.push_back(std::move(row));
  }
  std::stable_sort(
      kept.arenas.begin(), kept.arenas.end(),
      [](const ArenaRow& a, const ArenaRow& b) { return a.free_bytes > b.free_bytes; });
  return kept;
}

Json json_of(const ArenaRow& arena) {
  Json stretches = Json::array();
  for (const FreeStretchRow& stretch : arena.stretches) {
    stretches.push_back(
        {{"begin", hex(stretch.begin)},
         {"bytes", stretch.bytes},
         {"page_bytes", stretch.page_bytes},
         {"pin", json_of_pin(stretch.pin)},
         {"above", {{"blocks", stretch.above_blocks}, {"bytes", stretch.above_bytes}}}});
  }
  return {{"arena", arena.number},
          {"address", hex(arena.state)},
          {"main", arena.is_main},
          {"used_bytes", arena.used_bytes},
          {"free_bytes", arena.free_bytes},
          {"end_bytes", arena.end_bytes},
          {"page_bytes", arena.page_bytes},
          {"last", json_of_pin(arena.last)},
          {"stretches", std::move(stretches)}};
}

Json json_of(const KeptFree& kept) {
  Json arenas = Json::array();
  for (const ArenaRow& arena : kept.arenas) arenas.push_back(json_of(arena));
  return {{"large", kept.is_large},
          {"resident", kept.is_resident},
          {"free_bytes", kept.free_bytes},
          {"page_bytes", kept.page_bytes},
          {"arenas", std::move(arenas)}};
}

}  // namespace heapscan
