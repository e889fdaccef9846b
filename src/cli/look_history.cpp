#include "cli/watch_process.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "heapscan/diff/diff.h"

namespace heapscan {

namespace {

constexpr size_t kMostKept = 64;  // looks in the course of a group

}  // namespace

bool LookHistory::add(const Look& look, LookLine line) {
  KeptLook next;
  next.imprint = make_imprint(look.analysis);
  next.summary = summarize_look(look.captured.facts, look.analysis, content_);
  next.seconds = line.seconds;
  if (!first_) {
    follow_groups(next, diff({}, next.imprint, false));
    first_ = std::move(next);
  } else {
    const KeptLook& before = previous_ ? *previous_ : *first_;
    if (!compare_processes(before.imprint.program, next.imprint.program).is_same) return false;
    const Delta step = diff(before.imprint, next.imprint, true);
    follow_groups(next, step);
    describe(look, next, step);
    previous_ = std::move(next);
  }
  ++looks_;
  last_line_ = std::move(line);
  return true;
}

// All groups, while the look is there that can say what holds them. `step` is from the look before.
void LookHistory::describe(const Look& look, const KeptLook& next, const Delta& step) {
  const Delta whole = previous_ ? diff(first_->imprint, next.imprint, true) : Delta();
  const Delta& delta = previous_ ? whole : step;
  ChangesOptions all;
  all.top = std::numeric_limits<size_t>::max();
  all.with_still = true;
  changes_ = describe_changes(first_->summary, next.summary, delta,
                              find_holders_of_born(look.analysis, next.imprint, delta), all);
  changes_->seconds = next.seconds - first_->seconds;
  changes_->intervals = looks_;
  changes_->loss_is_of_last_two = true;
  changes_->all.lost = step.all.lost;
  std::map<std::string, LostChange> losses;
  for (const KindChange& kind : step.kinds) {
    if (kind.after.valid()) losses[next.summary.groups[kind.after].id] = kind.lost;
  }
  for (ChangeRow& row : changes_->rows) {
    const Course& course = courses_[row.cluster];
    row.history = course.bytes;
    if (looks_ % every_ != 0) row.history.push_back(row.change.is.bytes);
    row.grew = course.grew;
    row.change.lost = losses[row.cluster];
  }
}

// A group that has another id than before is the one that diff() matched it with.
void LookHistory::follow_groups(const KeptLook& next, const Delta& step) {
  std::map<std::string, Course> courses;
  const KeptLook* const before = previous_ ? &*previous_ : first_ ? &*first_ : nullptr;
  const bool is_kept = looks_ % every_ == 0;
  for (const KindChange& kind : step.kinds) {
    if (!kind.after.valid()) continue;
    Course course;
    course.bytes.resize(kept_);
    if (before != nullptr && kind.before.valid())
      course = courses_[before->summary.groups[kind.before].id];
    if (before != nullptr && kind.growth() > 0) ++course.grew;
    if (is_kept) course.bytes.push_back(kind.is.bytes);
    courses[next.summary.groups[kind.after].id] = std::move(course);
  }
  courses_ = std::move(courses);
  if (is_kept && ++kept_ == kMostKept) thin_courses();
}

void LookHistory::thin_courses() {
  for (auto& [id, course] : courses_) {
    for (size_t i = 0; 2 * i < kept_; ++i) course.bytes[i] = course.bytes[2 * i];
    course.bytes.resize((kept_ + 1) / 2);
  }
  kept_ = (kept_ + 1) / 2;
  every_ *= 2;
}

std::optional<ChangeReport> LookHistory::changes(size_t top) const {
  if (!changes_) return std::nullopt;
  ChangeReport report = *changes_;
  std::erase_if(report.rows, [](const ChangeRow& row) {
    return row.change.growth() <= 0 && !leaks(row.change);
  });
  std::stable_partition(report.rows.begin(), report.rows.end(),
                        [&](const ChangeRow& row) { return row.grew == report.intervals; });
  report.left_out = 0;
  show_largest(report, top);
  return report;
}

std::optional<ChangeReport> LookHistory::all_changes(size_t top) const {
  if (!first_) return std::nullopt;
  ChangesOptions all;
  all.top = top;
  all.with_still = true;
  ChangeReport report =
      changes_ ? *changes_
               : describe_changes(first_->summary, first_->summary,
                                  diff(first_->imprint, first_->imprint, true), {}, all);
  if (changes_) {
    show_largest(report, top);
  } else {
    report.intervals = 0;
  }
  return report;
}

bool LookHistory::anything_leaked() const {
  if (changes_) return changes_->anything_leaked();
  return last_line_ && last_line_->lost.blocks > 0;
}

}  // namespace heapscan
