// From addresses of code to functions, files and lines, inlined functions included.
#include <algorithm>
#include <map>

#include "heapscan/base/text.h"
#include "heapscan/report/names.h"
#include "heapscan/report/trace.h"
#include "heapscan/symbols/symbols.h"
#include "report/report_parts.h"

namespace heapscan {

namespace {

std::string function_text(std::string_view symbol) { return escaped(name_of_symbol(symbol)); }

void set_line(TraceFrame& frame, const SourceLine& line) {
  frame.file = escaped(line.file);
  frame.line = line.line;
}

TraceCall describe_call(Addr address, const Analysis& analysis,
                        const std::optional<SourceLine>& line,
                        const std::vector<InlinedCall>& inlined,
                        std::span<const MemoryImage* const> earlier) {
  TraceCall call;
  call.address = address;
  TraceFrame outer;
  const Module* module = analysis.image.module_at(address);
  if (module != nullptr) {
    if (const auto symbol = analysis.symbols.ref_at(address)) {
      outer.function = function_text(symbol->name);
      call.offset = symbol->offset;
    }
  }
  for (size_t i = earlier.size(); i-- > 0 && module == nullptr;)
    module = earlier[i]->module_at(address);
  if (module != nullptr) {
    call.module = escaped(module->path);
    call.in_module = module->in_file(address);
  }
  std::optional<SourceLine> here = line;
  for (const InlinedCall& copy : inlined) {
    TraceFrame frame;
    frame.function = function_text(copy.function);
    frame.is_inlined = true;
    if (here) set_line(frame, *here);
    here = copy.called_at.line != 0 ? std::optional(copy.called_at) : std::nullopt;
    call.frames.push_back(std::move(frame));
  }
  if (here) set_line(outer, *here);
  call.frames.push_back(std::move(outer));
  return call;
}

}  // namespace

void describe_stacks(const AllocationLog& log, std::span<const TracedStack> stacks,
                     const Analysis& analysis, const DebugInfo& debug_info,
                     std::span<const MemoryImage* const> earlier, TraceReport& report) {
  std::vector<Addr> addresses;
  for (const AllocationLog::Stack& stack : log.stacks())
    addresses.insert(addresses.end(), stack.calls.begin(), stack.calls.end());
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  const auto lines = debug_info.lines_of(addresses);
  const auto inlined = debug_info.inlined_calls_at(addresses);
  for (size_t i = 0; i < addresses.size(); ++i)
    report.places.push_back(describe_call(addresses[i], analysis, lines[i], inlined[i], earlier));
  for (const Module& module : analysis.image.modules())
    report.modules.push_back({escaped(module.path), module.build_id, module.range, module.bias});
  for (const Note& note : escaped_notes(analysis.notes(), analysis.image, report.content))
    report.notes.push_back(note_text(note));

  for (const TracedStack& traced : stacks) {
    const AllocationLog::Stack& stack = log.stacks()[traced.stack];
    TraceRow row;
    row.fates = traced.fates;
    row.lost_sizes = traced.lost_sizes;
    row.is_whole = stack.is_whole;
    for (const BlockId block : traced.examples)
      row.examples.push_back(analysis.heap.block(block).begin());
    if (!traced.examples.empty()) {
      const ClusterId cluster = analysis.clusters.of(traced.examples.front());
      if (cluster.valid()) {
        row.cluster = id_of(analysis, cluster);
        row.label = label_of(analysis, cluster);
      }
    }
    for (const Addr call : stack.calls) {
      const auto at = std::lower_bound(addresses.begin(), addresses.end(), call);
      row.calls.push_back(static_cast<uint32_t>(at - addresses.begin()));
    }
    report.rows.push_back(std::move(row));
  }
}

StateTotal TraceRow::lost() const {
  return {of(Verdict::Definite).blocks + of(Verdict::Indirect).blocks,
          of(Verdict::Definite).bytes + of(Verdict::Indirect).bytes};
}

std::optional<double> TraceReport::slowdown() const {
  constexpr double kLeast = 0.02;  // two ticks of the kernel's clock
  const double own = processor_seconds - probe_seconds;
  if (processor_seconds < kLeast) return std::nullopt;
  return processor_seconds / std::max(own, processor_seconds / 100);
}

std::array<StateTotal, kVerdictCount> TraceReport::totals() const {
  std::array<StateTotal, kVerdictCount> totals{};
  for (const TraceRow& row : rows) {
    for (size_t i = 0; i < kVerdictCount; ++i) {
      totals[i].blocks += row.fates[i].blocks;
      totals[i].bytes += row.fates[i].bytes;
    }
  }
  return totals;
}

}  // namespace heapscan
