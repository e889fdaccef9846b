#include "sites/wrappers.h"

#include <algorithm>

#include "sites/site_rows.h"

namespace heapscan {

namespace {

// Whether the function writes behind what it returns: then it makes something of its own.
bool fills_fields(const FunctionFlow& flow, const Value& result) {
  return std::any_of(flow.writes.begin(), flow.writes.end(), [&](const PointerWrite& write) {
    return write.to.points_into(Value::Of::Allocation) && write.to.id == result.id &&
           write.to.offset >= result.offset;
  });
}

std::optional<AllocatorFunction> passed_on(const AllocatingCall& call,
                                           const std::vector<AllocatorFunction>& allocators) {
  const AllocatorFunction& inner = allocators[call.allocator];
  if (inner.result_parameter >= 0 || inner.is_maker || call.at.is_null()) return std::nullopt;
  AllocatorFunction wrapper = inner;
  wrapper.inner = inner.function;
  wrapper.name.clear();
  if (inner.size_parameter < 0) {
    // A string's copy, of a parameter.
    if (!inner.fills_text || call.arguments[0].of != Value::Of::Parameter) return std::nullopt;
    return wrapper;
  }
  const Value& size = call.arguments[static_cast<size_t>(inner.size_parameter)];
  const Value count = inner.count_parameter < 0
                          ? number(1)
                          : call.arguments[static_cast<size_t>(inner.count_parameter)];
  const auto is_parameter = [](const Value& v) {
    return v.of == Value::Of::Parameter && v.scale > 0;
  };
  wrapper.size_parameter = wrapper.count_parameter = -1;
  if (size.of == Value::Of::Product && size.offset == 0 && count.is_number(1)) {
    wrapper.size_parameter = static_cast<int8_t>(size.id >> 8);
    wrapper.count_parameter = static_cast<int8_t>(size.id & 0xff);
    wrapper.scale *= static_cast<uint64_t>(size.scale);
    return wrapper;
  }
  if (is_parameter(size) && (count.is_one_number() || is_parameter(count))) {
    if (size.offset < 0) return std::nullopt;
    wrapper.size_parameter = static_cast<int8_t>(size.id);
    wrapper.fixed_bytes += inner.scale * static_cast<uint64_t>(size.offset);
    wrapper.scale *= static_cast<uint64_t>(size.scale);
    if (is_parameter(count)) {
      wrapper.count_parameter = static_cast<int8_t>(count.id);
    } else {
      wrapper.scale *= static_cast<uint64_t>(std::max<int64_t>(count.offset, 1));
    }
    // More than padding is an array of something: the function knows what it makes.
    return wrapper.scale == 1 ? std::optional(wrapper) : std::nullopt;
  }
  if (is_parameter(count) && size.is_one_number() && size.offset == 1) {
    wrapper.size_parameter = static_cast<int8_t>(count.id);
    return wrapper;
  }
  return std::nullopt;
}

}  // namespace

std::optional<AllocatorFunction> wrapper_in(const FunctionFlow& flow,
                                            const std::vector<AllocatorFunction>& allocators) {
  for (const Value& result : flow.results) {
    if (!result.points_into(Value::Of::Allocation) || result.offset < 0 ||
        result.id >= flow.allocations.size()) {
      continue;
    }
    auto wrapper = passed_on(flow.allocations[result.id], allocators);
    if (!wrapper) continue;
    wrapper->header_bytes += static_cast<uint64_t>(result.offset);
    if (fills_fields(flow, result)) continue;
    return wrapper;
  }
  return std::nullopt;
}

std::optional<AllocatorFunction> maker_in(const FunctionFlow& flow,
                                          const std::vector<AllocatorFunction>& allocators,
                                          const std::unordered_map<Addr, uint32_t>& allocator_of) {
  for (const Value& result : flow.results) {
    if (!result.points_into(Value::Of::Allocation) || result.offset != 0 ||
        result.id >= flow.allocations.size()) {
      continue;
    }
    const AllocatingCall& call = flow.allocations[result.id];
    if (call.at.is_null()) continue;
    const AllocatorFunction& inner = allocators[call.allocator];
    uint8_t depth = 0;
    for (const AllocatorFunction* a = &inner; a->is_maker && depth < kMakerDepth; ++depth) {
      a = &allocators[allocator_of.at(a->inner)];
    }
    if (depth == kMakerDepth) continue;
    AllocatorFunction maker;
    maker.is_maker = true;
    maker.inner = inner.function;
    return maker;
  }
  return std::nullopt;
}

}  // namespace heapscan
