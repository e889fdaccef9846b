// Groups in the text report: a headline each, and for the first ones what is known of them.
#pragma once

#include <iosfwd>
#include <span>

#include "heapscan/report/report.h"
#include "report/text_style.h"

namespace heapscan {

// Writes groups one after the other and numbers them through.
class GroupWriter {
 public:
  GroupWriter(const Report& report, const Style& style, std::ostream& out)
      : report_(report), options_(report.options), style_(style), out_(out) {}

  // The first `shown` of them, in full the first `detailed`.
  void write(std::span<const LeakGroup> groups, size_t shown, size_t detailed);

 private:
  void write_headline(const LeakGroup& group);
  void write_detail(const LeakGroup& group);
  void write_facts(const LeakGroup& group);
  void write_identity(const LeakGroup& group);
  void write_below(const LeakGroup& group);
  void write_bytes(const LeakGroup& group);

  const Report& report_;
  const ReportOptions& options_;
  const Style& style_;
  std::ostream& out_;
  size_t number_ = 0;
};

}  // namespace heapscan
