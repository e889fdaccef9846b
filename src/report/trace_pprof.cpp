// A profile as pprof has it: perftools.profiles.Profile of profile.proto, gzipped.
#include <map>
#include <ostream>
#include <string_view>

#include "heapscan/report/trace.h"
#include "report/proto_encoding.h"

namespace heapscan {

namespace {

class PprofProfile {
 public:
  explicit PprofProfile(const TraceReport& report) : report_(report) { (void)text(""); }

  std::string write() {
    for (const char* const fate : {"lost", "possible", "reachable", "freed"}) {
      add_type(std::string(fate) + "_blocks", "count");
      add_type(std::string(fate) + "_bytes", "bytes");
    }
    add_samples();
    add_mappings();
    add_locations();
    constexpr double kNanoseconds = 1e9;
    profile_.number(9, static_cast<uint64_t>(report_.began_at * kNanoseconds));
    profile_.number(10, static_cast<uint64_t>(report_.seconds * kNanoseconds));
    ProtoMessage period_type;
    period_type.number(1, text("addresses"));
    period_type.number(2, text("count"));
    profile_.message(11, period_type);
    profile_.number(12, report_.one_in);
    for (const std::string& note : report_.notes) profile_.number(13, text(note));
    profile_.number(14, text("lost_bytes"));
    std::vector<std::string_view> ordered(texts_.size());
    for (const auto& [string, index] : texts_) ordered[index] = string;
    for (const std::string_view string : ordered) profile_.text(6, string);
    return profile_.bytes();
  }

 private:
  uint64_t text(const std::string& string) {
    return texts_.try_emplace(string, texts_.size()).first->second;
  }

  void add_type(const std::string& what, const char* unit) {
    ProtoMessage type;
    type.number(1, text(what));
    type.number(2, text(unit));
    profile_.message(1, type);
  }

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
      ProtoMessage sample;
      sample.packed(1, places);
      sample.packed(2, values);
      profile_.message(2, sample);
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
      mapping.number(5, text(module.path));
      mapping.number(6, text(module.build_id));
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
      function.number(2, text(frame.function));
      function.number(3, text(frame.function));
      function.number(4, text(frame.file));
      profile_.message(5, function);
    }
    return at->second;
  }

  const TraceReport& report_;
  ProtoMessage profile_;
  std::map<std::string, uint64_t> texts_;
  std::map<std::pair<std::string, std::string>, uint64_t> functions_;
};

}  // namespace

void render_pprof(const TraceReport& report, std::ostream& out) {
  write_gzip(PprofProfile(report).write(), out);
}

}  // namespace heapscan
