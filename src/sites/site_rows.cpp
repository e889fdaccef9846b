// Reads off what is known of each call when all functions have been followed.

#include "sites/site_rows.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace heapscan {

namespace {

constexpr size_t kMostMade = 8;      // sites that one maker's block may be of
constexpr size_t kMostFields = 128;  // of one site

// Code can name any offset.
int64_t moved_by(int64_t offset, int64_t bytes) {
  return static_cast<int64_t>(static_cast<uint64_t>(offset) + static_cast<uint64_t>(bytes));
}

class RowMaker {
 public:
  RowMaker(const SiteInputs& in, CallSites& found) : in_(in), found_(found) {}

  void run() {
    make_rows();
    find_links();
    find_mentions();
  }

 private:
  void make_rows() {
    std::vector<CallSite> rows;
    for (const auto& [begin, flow] : in_.flows) {
      if (is_passed(begin)) continue;
      for (uint32_t i = 0; i < flow.allocations.size(); ++i) add_row(begin, flow, i, rows);
    }
    std::sort(rows.begin(), rows.end(),
              [](const CallSite& x, const CallSite& y) { return x.call < y.call; });
    for (CallSite& row : rows) {
      functions_with_rows_.insert(row.function);
      found_.rows.push_back(std::move(row));
    }
  }

  void add_row(Addr function, const FunctionFlow& flow, uint32_t i, std::vector<CallSite>& rows) {
    const AllocatingCall& call = flow.allocations[i];
    if (call.at.is_null() || found_.allocators[call.allocator].is_maker) return;
    if (is_in_system_library(call.at)) return;
    CallSite row;
    if (const Region* region = in_.image.region_at(call.at)) row.module = region->module;
    row.call = call.at;
    row.after = call.after;
    row.function = function;
    row.allocator = call.allocator;
    const AllocatorFunction& allocator = found_.allocators[call.allocator];
    row.bytes = requested(allocator, call.arguments);
    row.callers = callers_of(function);
    row.makes_text = allocator.fills_text || row.bytes.is_of_text || becomes_text(flow, i);
    add_fields(flow, i, allocator.header_bytes, row.fields);
    rows.push_back(std::move(row));
  }

  // Nobody looks for a leak there: who calls it is meant.
  [[nodiscard]] bool is_in_system_library(Addr call) const {
    const Region* region = in_.image.region_at(call);
    return region != nullptr && region->module.valid() &&
           in_.runtime.roles.is_system_library(region->module);
  }

  // The sites whose blocks allocation `id` of a function may be: its call, or, where it calls a
  // maker, those of the maker's calls whose blocks it returns.
  [[nodiscard]] std::vector<CallSiteId> sites_of(const FunctionFlow& flow, uint32_t id) const {
    std::vector<CallSiteId> sites;
    std::vector<const AllocatingCall*> calls;
    if (id < flow.allocations.size()) calls.push_back(&flow.allocations[id]);
    for (uint8_t depth = 0; depth <= kMakerDepth && !calls.empty(); ++depth) {
      std::vector<const AllocatingCall*> next;
      for (const AllocatingCall* call : calls) {
        if (call->at.is_null()) continue;
        const AllocatorFunction& allocator = found_.allocators[call->allocator];
        if (!allocator.is_maker) {
          if (const CallSiteId site = site_at(call->at); site.valid()) sites.push_back(site);
          continue;
        }
        const auto made = in_.flows.find(allocator.function);
        if (made == in_.flows.end()) continue;
        for (const Value& result : made->second.results) {
          if (result.points_into(Value::Of::Allocation) &&
              result.id < made->second.allocations.size()) {
            next.push_back(&made->second.allocations[result.id]);
          }
        }
      }
      calls = std::move(next);
    }
    std::sort(sites.begin(), sites.end());
    sites.erase(std::unique(sites.begin(), sites.end()), sites.end());
    if (sites.size() > kMostMade) sites.resize(kMostMade);
    return sites;
  }

  [[nodiscard]] CallSiteId site_at(Addr call) const {
    const auto at = std::lower_bound(found_.rows.begin(), found_.rows.end(), call,
                                     [](const CallSite& row, Addr a) { return row.call < a; });
    if (at == found_.rows.end() || at->call != call) return CallSiteId::none();
    return CallSiteId(static_cast<size_t>(at - found_.rows.begin()));
  }

  void find_links() {
    for (const auto& [begin, flow] : in_.flows) add_links(flow);
    const auto key = [](const SiteLink& l) { return std::tuple(l.child, l.offset, l.parent); };
    std::sort(found_.links.begin(), found_.links.end(),
              [&](const SiteLink& x, const SiteLink& y) { return key(x) < key(y); });
    found_.links.erase(
        std::unique(found_.links.begin(), found_.links.end(),
                    [&](const SiteLink& x, const SiteLink& y) { return key(x) == key(y); }),
        found_.links.end());
  }

  void add_links(const FunctionFlow& flow) {
    for (const PointerWrite& write : flow.writes) {
      if (!write.value.points_into(Value::Of::Allocation) || write.value.offset != 0 ||
          write.to.offset < 0 || write.width != 8) {
        continue;
      }
      std::vector<CallSiteId> parents{CallSiteId::none()};
      if (write.to.of == Value::Of::Allocation) parents = sites_of(flow, write.to.id);
      for (const CallSiteId child : sites_of(flow, write.value.id)) {
        for (const CallSiteId parent : parents) {
          found_.links.push_back({child, static_cast<uint64_t>(write.to.offset), parent});
        }
      }
    }
  }

  // A pointer that is loaded counts as mentioned by its captured value: addresses are often taken
  // from the global offset table.
  void find_mentions() {
    for (const ModuleCode& code : in_.code) {
      for (const CodeReference& r : code.references) {
        if (r.kind != ReferenceKind::Address && r.kind != ReferenceKind::LoadSlot) continue;
        const AddrRange function = code.function_at(r.from);
        if (functions_with_rows_.count(function.begin()) == 0) continue;
        const Addr of = r.kind == ReferenceKind::Address
                            ? r.target
                            : in_.image.read_addr(r.target).value_or(Addr());
        if (in_.image.module_at(of) != nullptr) found_.mentions.push_back({of, function.begin()});
      }
    }
    const auto key = [](const Mention& m) { return std::pair(m.of, m.function); };
    std::sort(found_.mentions.begin(), found_.mentions.end(),
              [&](const Mention& a, const Mention& b) { return key(a) < key(b); });
    found_.mentions.erase(
        std::unique(found_.mentions.begin(), found_.mentions.end(),
                    [&](const Mention& a, const Mention& b) { return key(a) == key(b); }),
        found_.mentions.end());
  }

  // Whether it is a wrapper: any block may be from there, which tells nobody anything.
  [[nodiscard]] bool is_passed(Addr function) const {
    const auto id = in_.allocator_of.find(function);
    return id != in_.allocator_of.end() && !found_.allocators[id->second].is_maker;
  }

  [[nodiscard]] uint32_t callers_of(Addr function) const {
    const auto id = in_.allocator_of.find(function);
    return id == in_.allocator_of.end() ? 0 : found_.allocators[id->second].callers;
  }

  [[nodiscard]] static bool becomes_text(const FunctionFlow& flow, uint32_t id) {
    return std::any_of(flow.fills.begin(), flow.fills.end(), [&](const FillingCall& call) {
      return call.writes_text && call.first.of == Value::Of::Allocation && call.first.id == id &&
             call.first.offset == 0;
    });
  }

  static RequestedBytes requested(const AllocatorFunction& allocator,
                                  const std::array<Value, kParameters>& arguments) {
    RequestedBytes bytes;
    if (allocator.size_parameter < 0) return bytes;
    Value size = arguments[static_cast<size_t>(allocator.size_parameter)];
    if (allocator.count_parameter >= 0) {
      size = product_of(size, arguments[static_cast<size_t>(allocator.count_parameter)], 0);
    }
    size = value_plus(value_times(size, static_cast<int64_t>(allocator.scale)),
                      static_cast<int64_t>(allocator.fixed_bytes));
    if (size.is_number()) {
      bytes.kind = RequestedBytes::Kind::Constant;
      const auto add = [&](int64_t n) {
        if (n >= 0) bytes.constants.push_back(static_cast<uint64_t>(n));
      };
      for (size_t k = 0; k <= size.more; ++k) add(size.number_at(k));
      std::sort(bytes.constants.begin(), bytes.constants.end());
      if (bytes.constants.empty()) bytes.kind = RequestedBytes::Kind::Unknown;
      return bytes;
    }
    bytes.kind = RequestedBytes::Kind::Linear;
    const auto scale = size.of == Value::Of::Loaded ? 1 : static_cast<uint64_t>(size.scale);
    const bool is_negative = static_cast<int64_t>(scale) < 0;
    bytes.step = std::max<uint64_t>(is_negative ? -scale : scale, 1);
    bytes.base = size.offset >= 0 ? static_cast<uint64_t>(size.offset)
                                  : static_cast<uint64_t>(size.offset) % bytes.step;
    // A length, or anything with room for a zero behind it.
    bytes.is_of_text = bytes.step == 1 && (size.of == Value::Of::Length || bytes.base == 1);
    return bytes;
  }

  // What the function, and those that it hands the block to, write into allocation `id`.
  void add_fields(const FunctionFlow& flow, uint32_t id, uint64_t header,
                  std::vector<StoredField>& fields) const {
    for (const PointerWrite& write : flow.writes) {
      if (write.to.of != Value::Of::Allocation || write.to.id != id) continue;
      add_field(write, static_cast<int64_t>(header), fields);
    }
    for (const FillingCall& call : flow.fills) {
      if (call.first.of != Value::Of::Allocation || call.first.id != id) continue;
      add_filled(call.function, moved_by(call.first.offset, static_cast<int64_t>(header)),
                 kFillDepth, fields);
    }
    std::stable_sort(fields.begin(), fields.end(), [](const StoredField& a, const StoredField& b) {
      return a.offset < b.offset;
    });
  }

  // What `function` writes through its first parameter, `shift` bytes into the block. Bounded by
  // `depth`, not by the data.
  void add_filled(Addr function, int64_t shift, unsigned depth,
                  std::vector<StoredField>& fields) const {
    std::vector<std::pair<Addr, int64_t>> wanted{{function, shift}};
    for (unsigned level = 0; level < depth; ++level) {
      std::vector<std::pair<Addr, int64_t>> next;
      for (const auto& [begin, offset] : wanted) {
        const auto flow = in_.flows.find(begin);
        if (flow == in_.flows.end()) continue;
        for (const PointerWrite& write : flow->second.writes) {
          const bool is_first = write.to.of == Value::Of::Parameter && write.to.id == 0;
          if (is_first) add_field(write, offset, fields);
        }
        for (const FillingCall& call : flow->second.fills) {
          if (call.first.of == Value::Of::Parameter && call.first.id == 0) {
            next.emplace_back(call.function, moved_by(offset, call.first.offset));
          }
        }
      }
      wanted = std::move(next);
    }
  }

  static void add_field(const PointerWrite& write, int64_t shift,
                        std::vector<StoredField>& fields) {
    const int64_t offset = moved_by(write.to.offset, shift);
    if (offset < 0 || fields.size() >= kMostFields) return;
    const bool is_own = write.width == 8;
    StoredField field;
    field.offset = static_cast<uint64_t>(offset);
    field.width = write.width;
    field.at = write.at;
    if (write.value.is_one_number()) {
      field.kind = StoredField::Kind::Constant;
      field.value = static_cast<uint64_t>(write.value.offset);
    } else if (is_own && write.value.points_into(write.to.of) && write.value.id == write.to.id &&
               moved_by(write.value.offset, shift) >= 0) {
      field.kind = StoredField::Kind::OwnAddress;
      field.value = static_cast<uint64_t>(moved_by(write.value.offset, shift));
    } else if (write.value.points_into(Value::Of::Allocation) && write.value.offset == 0) {
      field.kind = StoredField::Kind::Allocation;
    }
    fields.push_back(field);
  }

  const SiteInputs& in_;
  CallSites& found_;
  std::set<Addr> functions_with_rows_;
};

}  // namespace

void make_site_rows(const SiteInputs& in, CallSites& found) { RowMaker(in, found).run(); }

}  // namespace heapscan
