// What was recorded of allocations, as a profile for pprof.
#include <map>
#include <ostream>

#include "heapscan/report/trace.h"
#include "report/pprof_profile.h"

namespace heapscan {

namespace {

class TraceProfile {
 public:
  explicit TraceProfile(const TraceReport& report) : report_(report) {}

  void write(std::ostream& out) {
    for (const char* const fate : {"lost", "possible", "reachable", "freed"}) {
      profile_.add_type(std::string(fate) + "_blocks", "count");
      profile_.add_type(std::string(fate) + "_bytes", "bytes");
    }
    add_samples();
    add_mappings();
    add_locations();
    constexpr double kNanoseconds = 1e9;
    profile_.set_time(report_.began_at);
    profile_.number(10, static_cast<uint64_t>(report_.seconds * kNanoseconds));
    ProtoMessage period_type;
    period_type.number(1, profile_.text("addresses"));
    period_type.number(2, profile_.text("count"));
    profile_.message(11, period_type);
    profile_.number(12, report_.one_in);
    for (const std::string& note : report_.notes) profile_.number(13, profile_.text(note));
    profile_.number(14, profile_.text("lost_bytes"));
    profile_.write(out);
  }

 private:
  void add_samples() {
    for (const TraceRow& row : report_.rows) {
      std::vector<uint64_t> places;
      for (const uint32_t at : row.calls) places.push_back(at + 1);
      std::vector<uint64_t> values;
      for (const StateTotal& fate : {row.lost(), row.of(Verdict::Possible),
                                     row.of(Verdict::Reachable), row.of(Verdict::NotJudged)}) {
        values.push_back(fate.blocks);
        values.push_back(fate.bytes);
      }
      profile_.add_sample(places, values);
    }
  }

  void add_mappings() {
    for (size_t i = 0; i < report_.modules.size(); ++i) {
      const TraceModule& module = report_.modules[i];
      ProtoMessage mapping;
      mapping.number(1, i + 1);
      mapping.number(2, module.range.begin().value);
      mapping.number(3, module.range.end().value);
      mapping.number(4, module.range.begin().value - module.bias);
      mapping.number(5, profile_.text(module.path));
      mapping.number(6, profile_.text(module.build_id));
      mapping.number(7, 1);  // functions are named already
      profile_.message(3, mapping);
    }
  }

  [[nodiscard]] uint64_t mapping_of(Addr address) const {
    for (size_t i = 0; i < report_.modules.size(); ++i) {
      if (report_.modules[i].range.contains(address)) return i + 1;
    }
    return 0;
  }

  void add_locations() {
    for (size_t i = 0; i < report_.places.size(); ++i) {
      const TraceCall& call = report_.places[i];
      ProtoMessage location;
      location.number(1, i + 1);
      location.number(2, mapping_of(call.address));
      location.number(3, call.address.value);
      for (const TraceFrame& frame : call.frames) {
        if (frame.function.empty()) continue;
        ProtoMessage line;
        line.number(1, function_of(frame));
        line.number(2, frame.line);
        location.message(4, line);
      }
      profile_.message(4, location);
    }
  }

  uint64_t function_of(const TraceFrame& frame) {
    const auto [at, is_new] =
        functions_.try_emplace({frame.function, frame.file}, functions_.size() + 1);
    if (is_new) {
      ProtoMessage function;
      function.number(1, at->second);
      function.number(2, profile_.text(frame.function));
      function.number(3, profile_.text(frame.function));
      function.number(4, profile_.text(frame.file));
      profile_.message(5, function);
    }
    return at->second;
  }

  const TraceReport& report_;
  PprofProfile profile_;
  std::map<std::pair<std::string, std::string>, uint64_t> functions_;
};

}  // namespace

void render_pprof(const TraceReport& report, std::ostream& out) { TraceProfile(report).write(out); }

}  // namespace heapscan
