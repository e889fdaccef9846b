// A tree of memory as a profile for pprof: each row that has something of its own is a sample, whose
// stack are the rows above it; cumulative figures in pprof are then what a row holds in all.
//
// pprof's stacks are of places in code. A row is a place without an address, and a function of the row's name; rows
// of one name are one place, so that they are one box in pprof's graph.
#include <map>
#include <ostream>

#include "heapscan/report/page.h"
#include "report/pprof_profile.h"
#include "report/tree_rows.h"

namespace heapscan {

namespace {

class TreeProfile {
 public:
  TreeProfile(const TreeRows& rows, double captured_at) : rows_(rows) {
    profile_.add_type("blocks", "count");
    profile_.add_type("bytes", "bytes");
    add_samples();
    profile_.set_time(captured_at);
    profile_.number(14, profile_.text("bytes"));
  }

  void write(std::ostream& out) { profile_.write(out); }

 private:
  void add_samples() {
    const std::vector<VerdictTotal> own = own_totals(rows_);
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (own[i].blocks == 0 && own[i].bytes == 0) continue;
      std::vector<uint64_t> stack;  // innermost first
      for (size_t at = i; at != TreeRow::kNoParent; at = rows_[at].parent)
        stack.push_back(place_of(rows_[at].name));
      profile_.add_sample(stack, {own[i].blocks, own[i].bytes});
    }
  }

  uint64_t place_of(const std::string& name) {
    const auto [at, is_new] = places_.try_emplace(name, places_.size() + 1);
    if (!is_new) return at->second;
    ProtoMessage function;
    function.number(1, at->second);
    function.number(2, profile_.text(name));
    function.number(3, profile_.text(name));
    profile_.message(5, function);
    ProtoMessage line;
    line.number(1, at->second);
    ProtoMessage location;
    location.number(1, at->second);
    location.message(4, line);
    profile_.message(4, location);
    return at->second;
  }

  const TreeRows& rows_;
  PprofProfile profile_;
  std::map<std::string, uint64_t> places_;
};

}  // namespace

void render_pprof(const HoldsReport& report, std::ostream& out) {
  TreeProfile(tree_of_holds(report), report.target.captured_at).write(out);
}

void render_pprof(const Report& report, std::ostream& out) {
  TreeProfile(tree_of_groups(report), report.target.captured_at).write(out);
}

}  // namespace heapscan
