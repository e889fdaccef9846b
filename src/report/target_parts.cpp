#include "report/report_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <ctime>
#include <ostream>
#include <string_view>

#include "heapscan/base/text.h"
#include "heapscan/report/report.h"

namespace heapscan {

namespace {

constexpr size_t kNotesShown = 5;

std::string pause_text(double seconds) {
  if (seconds < 0.01) return fmt::format("{:.1f} ms", seconds * 1000);
  return seconds < 1 ? fmt::format("{:.0f} ms", seconds * 1000) : fmt::format("{:.1f} s", seconds);
}

// "2026-03-01 14:05:09 UTC"; empty when it is no time.
std::string date_text(double seconds) {
  constexpr double kYear9999 = 253402300800.0;
  if (!(seconds > 0) || seconds >= kYear9999) return "";
  const auto whole = static_cast<std::time_t>(seconds);
  std::tm parts{};
  char text[32] = "";
  if (gmtime_r(&whole, &parts) == nullptr) return "";
  (void)std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

const char* word_for(const CaptureFacts& target) {
  if (target.kind != CaptureFacts::Kind::Core) return "";
  return target.is_snapshot ? "snapshot " : "core ";
}

const char* words_for(Content content) {
  switch (content) {
    case Content::Full:
      return "";
    case Content::Pointers:
      return ", written without contents (addresses and small numbers only)";
    case Content::None:
      return ", written without contents (addresses only)";
  }
  return "";
}

// `text` without the numbers that are no addresses: a damaged size may be what somebody wrote over
// it.
std::string without_values(std::string_view text, const MemoryImage& image) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (size_t at = text.find("0x"); at != std::string_view::npos; at = text.find("0x")) {
    const size_t end = std::min(text.find_first_not_of(kDigits, at + 2), text.size());
    uint64_t value = 0;
    std::from_chars(text.data() + at + 2, text.data() + end, value, 16);
    const bool is_address = image.region_at(Addr(value)) != nullptr;
    out += text.substr(0, is_address ? end : at + 2);
    if (!is_address) out += "...";
    text.remove_prefix(end);
  }
  return out += text;
}

}  // namespace

Notes escaped_notes(Notes notes, const MemoryImage& image, bool content) {
  for (Note& note : notes) {
    if (!content && note.kind == NoteKind::HeapDamage) note.text = without_values(note.text, image);
    note.where = escaped(note.where);
    note.text = escaped(note.text);
  }
  return notes;
}

CaptureFacts escaped_facts(CaptureFacts facts) {
  facts.command = escaped(facts.command);
  facts.executable = escaped(facts.executable);
  facts.source = escaped(facts.source);
  facts.unit = escaped(facts.unit);
  return facts;
}

std::string headline(const CaptureFacts& target, size_t threads) {
  std::string line = std::string("heapscan: ") + word_for(target) + target.source;
  if (!target.command.empty()) line += fmt::format(" ({})", target.command);
  if (target.kind == CaptureFacts::Kind::Core && target.pid != 0)
    line += fmt::format(", pid {}", target.pid);
  line += ", " + counted(threads, "thread");
  const std::string date = target.is_snapshot ? date_text(target.captured_at) : "";
  if (!date.empty()) line += ", taken " + date;
  if (target.pause_seconds) line += ", stopped for " + pause_text(*target.pause_seconds);
  if (target.signal)
    line += fmt::format(", killed by signal {} ({})", *target.signal, strsignal(*target.signal));
  return line + words_for(target.content);
}

std::string note_text(const Note& note) {
  return fmt::format("{}{}{}: {}", name_of(note.kind), note.where.empty() ? "" : " ", note.where,
                     note.text);
}

std::string with_options(std::string_view command, std::string_view options) {
  constexpr std::string_view kRun = "heapscan run";
  const bool runs = command.starts_with(kRun) && command.substr(kRun.size()).starts_with(' ');
  const size_t place = runs ? kRun.size() : command.size();
  return fmt::format("{}{}{}", command.substr(0, place), options, command.substr(place));
}

void write_notes(const Notes& notes, bool all, const std::string& command, std::ostream& out) {
  if (notes.empty()) return;
  out << fmt::format("{:<11} {}\n", "notes", notes.size());
  const size_t shown = all ? notes.size() : std::min(notes.size(), kNotesShown);
  for (size_t i = 0; i < shown; ++i) {
    out << "  " << note_text(notes[i]) << '\n';
  }
  if (shown < notes.size())
    out << fmt::format("  {}, show with: {}\n", counted(notes.size() - shown, "more note"),
                       with_options(command, " -v"));
}

void write_timing(const PhaseTimes& timing, std::ostream& out) {
  if (timing.empty()) return;
  out << "timing\n";
  double total = 0;
  for (const auto& [phase, seconds] : timing) {
    if (phase.find(kPausePart) != std::string::npos) {  // of the acquisition, and counted there
      out << fmt::format("    {:<30}{:>8.3f} ms\n", phase, seconds * 1e3);
      continue;
    }
    out << fmt::format("  {:<20}{:>10.3f} s\n", phase, seconds);
    total += seconds;
  }
  out << fmt::format("  {:<20}{:>10.3f} s\n", "total", total);
}

Json json_of_target(const CaptureFacts& target, size_t threads) {
  return {{"kind", target.kind == CaptureFacts::Kind::Live ? "live" : "core"},
          {"pid", target.pid == 0 ? Json(nullptr) : Json(target.pid)},
          {"command", target.command},
          {"executable", target.executable},
          {"threads", threads},
          {"captured_at", target.captured_at},
          {"pause_seconds", or_null(target.pause_seconds)},
          {"snapshot", target.is_snapshot},
          {"content", name_of(target.content)}};
}

Json json_of(const Note& note) {
  return {{"kind", name_of(note.kind)}, {"where", note.where}, {"text", note.text}};
}

Json json_of(const Notes& notes) {
  Json rows = Json::array();
  for (const Note& note : notes) rows.push_back(json_of(note));
  return rows;
}

Json json_of_timing(const PhaseTimes& timing) {
  Json phases = Json::object();
  for (const auto& [phase, seconds] : timing) phases[phase] = seconds;
  return phases;
}

}  // namespace heapscan
